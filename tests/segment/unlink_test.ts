// Whose name `unlink()` removes: that of the attached segment, or that of whatever segment has it.

import { assert, assertEquals, assertFalse } from "@std/assert";
import { tryLockByte } from "../../ffi/fcntl.ts";
import { close, open } from "../../ffi/files.ts";
import { SharedMemory, SharedMemoryArray } from "../../mod.ts";
import { createMemory, undoCreate } from "../../src/segment/mod.ts";
import { changedCopy, never } from "../helpers/changed_copy.ts";
import { segmentExists, segmentPath, startChild, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** The ways in which something is attached to a segment of 16 bytes, and can remove its name. */
const attached: { [how: string]: (name: string) => SharedMemory | SharedMemoryArray } = {
  "SharedMemory.create()": (name) => SharedMemory.create(name, 16),
  "SharedMemory.create() of a large one": (name) => SharedMemory.create(name, 2 ** 20),
  "SharedMemory.open()": (name) => {
    SharedMemory.create(name, 16).close();
    return SharedMemory.open(name);
  },
  "create()": (name) => {
    const sma = new SharedMemoryArray(16, "uint8", name);
    sma.create();
    return sma;
  },
  "load()": (name) => {
    SharedMemory.create(name, 16).close();
    const sma = new SharedMemoryArray(16, "uint8", name);
    sma.load();
    return sma;
  },
  'load({ access: "copy-on-write" })': (name) => {
    SharedMemory.create(name, 16).close();
    const sma = new SharedMemoryArray(16, "uint8", name);
    sma.load({ access: "copy-on-write" });
    return sma;
  },
};

for (const [how, attach] of Object.entries(attached)) {
  Deno.test(`unlink() after ${how} leaves a name that is another segment's by now`, () => {
    withNames((name, kept) => {
      using mine = attach(name);
      assert(SharedMemoryArray.clearBuffers([name]).includes(name));
      assertFalse(mine.unlink()); // nobody has the name
      using other = SharedMemory.create(name, 32);
      assertFalse(mine.unlink());
      assert(segmentExists(name));
      // A name that leads to the own segment again is removed.
      Deno.renameSync(segmentPath(name), segmentPath(kept));
      assertFalse(mine.unlink());
      assertFalse(mine.unlink());
      Deno.renameSync(segmentPath(kept), segmentPath(name));
      assert(other.unlink());
    });
  });

  Deno.test(`unlink() after ${how} and close() removes whatever has the name`, () => {
    withNames((name) => {
      const mine = attach(name);
      assert(mine.unlink());
      mine.close();
      assertFalse(mine.unlink());
      using _other = SharedMemory.create(name, 32);
      assert(mine.unlink());
      assertFalse(segmentExists(name));
    });
  });
}

Deno.test("unlink() of an array that was never attached removes whatever has the name", () => {
  withNames((name) => {
    using _memory = SharedMemory.create(name, 8);
    const sma = new SharedMemoryArray([1000, 1000], "float64", name);
    assert(sma.unlink());
    assertFalse(sma.unlink());
  });
});

Deno.test("unlink() of an array whose smh was closed removes whatever has the name", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(16, "uint8", name);
    sma.create();
    sma.smh!.close();
    assert(sma.unlink());
  });
});

Deno.test("unlink() removes one of two names of a segment, the one by which it was opened", () => {
  withNames((name, further) => {
    using memory = SharedMemory.create(name, 8);
    Deno.linkSync(segmentPath(name), segmentPath(further));
    assert(memory.unlink());
    assertEquals([segmentExists(name), segmentExists(further)], [false, true]);
    assertFalse(memory.unlink());
  });
});

Deno.test("undoCreate() leaves a name that is another segment's by now", () => {
  withNames((name) => {
    const memory = createMemory(name, 8, undefined);
    Deno.removeSync(segmentPath(name));
    using other = SharedMemory.create(name, 32);
    undoCreate(memory);
    assertEquals([memory.buf, segmentExists(name), other.size], [null, true, 32]);
  });
});

Deno.test("unlink() by two at once: the second waits, looks again, and leaves the new segment", () =>
  withNames(async (name) => {
    // It waits for the other remover for ten minutes, in the place of a fifth of a second.
    await using copy = await changedCopy([never("src/segment/file.ts", "LONGEST_REMOVAL", 200)]);
    using memory = SharedMemory.create(name, 8);
    const child = await startChild(
      `const { SharedMemory: Patient } = await import(Deno.args[1]);
      using memory = Patient.open(Deno.args[0]);
      console.log("attached");
      console.log(memory.unlink());`,
      { args: [name, copy.url("mod.ts")] },
    );
    // This is what a remover does between its look and its removal.
    const fd = open(segmentPath(name), 2);
    assert(tryLockByte(fd, 2 ** 62, name));
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let seen = "";
    while (!seen.includes("attached\n")) seen += (await reader.read()).value;
    await new Promise((resume) => setTimeout(resume, 20));
    assertEquals(seen, "attached\n", "it removes what another one is removing");
    Deno.removeSync(segmentPath(name));
    using other = SharedMemory.create(name, 32);
    close(fd); // gives the lock back
    for (let piece; !(piece = await reader.read()).done;) seen += piece.value;
    assertEquals(seen, "attached\nfalse\n");
    assertEquals([segmentExists(name), other.size, memory.size], [true, 32, 8]);
    assertEquals(await new Response(child.stderr).text(), "");
    await child.status;
  }));

Deno.test("unlink() waits for no remover that stopped in the middle of it", () => {
  withNames((name) => {
    using memory = SharedMemory.create(name, 8);
    const fd = open(segmentPath(name), 2);
    try {
      assert(tryLockByte(fd, 2 ** 62, name));
      assert(memory.unlink()); // or it would never come back
    } finally {
      close(fd);
    }
  });
});

Deno.test("clearBuffers() removes an array of zeros that has the size of a header and a long name", () => {
  for (const bytes of [220, 221, 238, 239, 255]) {
    const name = crypto.randomUUID().padEnd(bytes, "x");
    using sma = new SharedMemoryArray(16, "float64", name);
    sma.create();
    assertEquals(SharedMemoryArray.clearBuffers([name]), [name]);
    assertFalse(segmentExists(name));
  }
});
