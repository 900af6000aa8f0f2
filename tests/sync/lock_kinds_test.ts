// A lock is told from what else has a name: by its description, and by what stands in its segment, which is looked at
// before a byte is written.

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";
import {
  descriptorsOf,
  errorOf,
  mappingsOf,
  segmentExists,
  uniqueName,
} from "../helpers/helpers.ts";
import { Teller } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "locks on segments");

Deno.test("a lock describes itself as a lock, and from() refuses what describes something else", () => {
  const lock = new SharedMemoryLock("tiles");
  assertEquals(JSON.stringify(lock), '{"kind":"lock","name":"tiles"}');
  const from = (descriptor: unknown) => () => SharedMemoryLock.from(descriptor as typeof lock);
  for (
    const other of [
      JSON.parse(JSON.stringify(new SharedMemoryArray([2], "float64", "tiles"))),
      new SharedMemoryRing([2], "float64", "tiles", 3),
      new SharedMemoryVersions([2], "float64", "tiles"),
      { kind: "queue", name: "tiles" },
      { kind: "barrier", name: "tiles", parties: 2 },
      { name: "tiles", parties: 2 },
      { name: "tiles", slots: 4, messageBytes: 64 },
      { kind: "Lock", name: "tiles" },
      { kind: null, name: "tiles" },
      { kind: 1, name: "tiles" },
    ]
  ) {
    assertThrows(from(other), TypeError, "Cannot make a SharedMemoryLock");
  }
  // A message that holds a description has other keys, too.
  const message = { ...lock, job: 7, shape: "round", deadline: null };
  assertEquals(SharedMemoryLock.from(message).name, "tiles");
  assertEquals(SharedMemoryLock.from({ name: "tiles" }).kind, "lock");
});

const arrays: [what: string, fill: (elements: { fill(value: number): void }) => void][] = [
  ["zeros", () => {}],
  ["numbers", (elements) => elements.fill(250)],
];
for (const [what, fill] of arrays) {
  Deno.test(`load() refuses an array of 16 bytes, ${what}, and writes nothing to it`, () => {
    using sma = new SharedMemoryArray([2], "float64", uniqueName());
    const elements = sma.create();
    fill(elements);
    const before = elements.toArray();
    const lock = new SharedMemoryLock(sma.name);
    assertThrows(() => lock.load(), TypeError, "the segment is not that of a lock");
    assertEquals(elements.toArray(), before);
    assertEquals([descriptorsOf(sma.name), mappingsOf(sma.name)], [0, 1]);
    sma.unlink();
  });
}

Deno.test("load() refuses the segments of a ring and of versions, and says what they are", () => {
  using ring = new SharedMemoryRing([2], "float64", uniqueName(), 3);
  using versions = new SharedMemoryVersions([2], "float64", uniqueName());
  for (const [other, what] of [[ring, "a ring"], [versions, "versions"]] as const) {
    other.create();
    try {
      using memory = SharedMemory.open(other.name);
      const before = new Uint8Array(memory.buf!).slice();
      assertThrows(() => new SharedMemoryLock(other.name).load(), TypeError, what);
      assertEquals(new Uint8Array(memory.buf!), before);
    } finally {
      other.unlink();
    }
  }
});

Deno.test("load() waits for a creator that has not written what tells a lock", async () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 16);
  try {
    await using teller = await Teller.start(
      `
      const lock = new SharedMemoryLock(Deno.args[0]);
      console.log("ready");
      for (let isLoaded = false; !isLoaded;) {
        const start = performance.now();
        try {
          lock.load();
          isLoaded = true;
        } catch (error) {
          // The other process may be stopped for as long as load() waits.
          if (performance.now() - start < 900) throw error;
        }
      }
      lock.acquire().release();
      console.log("loaded");
      `,
      [name],
    );
    assertEquals(await teller.line(), "ready");
    new Uint8Array(memory.buf!, 12).set(new TextEncoder().encode("LCK1"));
    assertEquals(await teller.line(), "loaded");
  } finally {
    memory.unlink();
  }
});

const unfinished: [what: string, make: (path: string) => void][] = [
  ["an empty file", (path) => Deno.writeFileSync(path, new Uint8Array(0))],
  ["16 zeros", (path) => Deno.writeFileSync(path, new Uint8Array(16))],
];
for (const [what, make] of unfinished) {
  Deno.test(`load({ timeout }) goes on waiting when ${what} of a killed creator is removed`, async () => {
    const name = uniqueName();
    const path = `/dev/shm/${name}`;
    make(path);
    await using teller = await Teller.start(
      `
      const lock = new SharedMemoryLock(Deno.args[0]);
      console.log("ready");
      lock.load({ timeout: 60_000 });
      lock.acquire().release();
      console.log("loaded");
      `,
      [name],
    );
    assertEquals(await teller.line(), "ready");
    await new Promise((resume) => setTimeout(resume, 100));
    Deno.removeSync(path);
    await new Promise((resume) => setTimeout(resume, 100));
    using lock = new SharedMemoryLock(name).create();
    assertEquals(await teller.line(), "loaded");
    lock.unlink();
  });

  Deno.test(`load({ timeout }) is NotFound when ${what} is removed, and time is up`, async () => {
    // One that removes it too late, on a busy machine, shows nothing.
    for (let isInTime = false; !isInTime;) {
      const name = uniqueName();
      const path = `/dev/shm/${name}`;
      make(path);
      const remover = await Teller.start(
        `
        console.log("ready");
        await new Promise((resume) => setTimeout(resume, 100));
        Deno.removeSync(Deno.args[0]);
        console.log(Date.now());
        `,
        [path],
      );
      await using _end = remover;
      assertEquals(await remover.line(), "ready");
      const [begin, start] = [Date.now(), performance.now()];
      const lock = new SharedMemoryLock(name);
      const error = errorOf(() => lock.load({ timeout: 2000 }));
      assertEquals(performance.now() - start >= 1999, true);
      assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 0]);
      isInTime = Number(await remover.line()) < begin + 1900;
      if (!isInTime) continue;
      assert(error instanceof Deno.errors.NotFound, String(error));
      assertStringIncludes(error.message, "nobody has created it");
    }
  });
}

Deno.test("unlink() of a lock whose name leads to another segment by now is false, and removes nothing", () => {
  using old = new SharedMemoryLock(uniqueName()).create();
  assertEquals(SharedMemoryLock.from(old).unlink(), true);
  assertEquals(old.unlink(), false, "there is no such name");
  using fresh = new SharedMemoryLock(old.name).create();
  assertEquals(old.unlink(), false);
  assertEquals(segmentExists(old.name), true);
  assertEquals(fresh.unlink(), true);
  assertEquals(fresh.unlink(), false);
});
