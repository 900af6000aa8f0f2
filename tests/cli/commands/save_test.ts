// What `shm save` writes.

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { readNpy } from "@shm/array/npy";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";
import { segmentPath, withFolder, withNames } from "../../helpers/helpers.ts";
import { runPython } from "../../helpers/python.ts";
import { command, shell } from "../../helpers/shell.ts";
import { everyTestWith, testWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command looks at segments");

/** Reads a file back. */
function elementsOf(file: string): unknown {
  const { sma, view } = readNpy(file, []);
  try {
    return view.toArray();
  } finally {
    sma.unlink();
    sma.close();
  }
}

testWith("NumPy", "save writes a file that NumPy reads", async () => {
  await withFolder((folder) =>
    withNames(async (name) => {
      using sma = new SharedMemoryArray([3, 4], "int16", name);
      sma.create().reshape([12]).assign(Int16Array.from({ length: 12 }, (_, i) => i - 5));
      const file = `${folder}/a.npy`;
      assertEquals(shell("save", name, file), {
        code: 0,
        out: [`${file}: int16 [3,4]`],
        err: [],
      });
      const program = "import numpy as np, sys; print(np.load(sys.argv[1]).tolist())";
      const { stdout } = await runPython(["-c", program, file]);
      assertEquals(JSON.parse(stdout), sma.array!.toArray());
      // A file that is there is replaced.
      const part = shell("save", `${name}[::2, 1]`, file, "--json");
      assertEquals(JSON.parse(part.out.join("\n")), {
        name,
        file,
        shape: [2],
        dtype: "int16",
        byteLength: 4,
      });
      assertEquals(elementsOf(file), [-4, 4]);
      assertEquals(shell("save", name, file, "--dtype", "uint16", "--shape", "2").code, 0);
      assertEquals(elementsOf(file), [2 ** 16 - 5, 2 ** 16 - 4]);
    })
  );
});

Deno.test("save writes no more bytes than a segment has, whatever it says that it is", async () => {
  await withFolder((folder) =>
    withNames(async (name) => {
      const file = `${folder}/a.npy`;
      // One row, a thousand times: 12 bytes would make a file of 12,000.
      using sma = new SharedMemoryArray([1000, 3], "float32", name, null, { stride: [0, 1] });
      sma.create();
      const refused = shell("save", name, file);
      assertEquals([refused.code, refused.out], [1, []]);
      assertMatch(refused.err[0], /^Cannot save .*would take 12000 bytes of the 12 that it has/);
      await assertRejects(() => Deno.stat(file), Deno.errors.NotFound);
      assertEquals(shell("save", `${name}[0]`, file).code, 0);
      assertEquals(elementsOf(file), [0, 0, 0]);
    })
  );
});

Deno.test("save writes the newest frame of a ring, and the current version", async () => {
  await withFolder((folder) =>
    withNames(async (ringName, tableName) => {
      const file = `${folder}/a.npy`;
      using ring = new SharedMemoryRing([2], "float32", ringName, 2).create();
      assertMatch(shell("save", ringName, file).err[0], /Cannot save '.*': it has no frame yet/);
      ring.write([1, 2]);
      ring.write([3, 4]);
      assertEquals(shell("save", ringName, file).code, 0);
      assertEquals(elementsOf(file), [3, 4]);
      using table = new SharedMemoryVersions([2], "uint8", tableName).create();
      assertMatch(shell("save", tableName, file).err[0], /it has no version yet/);
      await table.publish((next) => void next.fill(7));
      assertEquals(shell("save", tableName, file).code, 0);
      assertEquals(elementsOf(file), [7, 7]);
      table.unlink();
    })
  );
});

Deno.test("save needs the permission to read the segment only", async () => {
  await withFolder((folder) =>
    withNames((name) => {
      using _memory = SharedMemory.create(name, 2, { mode: 0o400 });
      assertEquals(shell("save", name, `${folder}/a.npy`, "--dtype", "uint8").code, 0);
      assertEquals(elementsOf(`${folder}/a.npy`), [0, 0]);
      return Promise.resolve();
    })
  );
});

Deno.test("save fails without touching the file for what has no elements", async () => {
  await withFolder((folder) =>
    withNames((name, lockName) => {
      using _lock = new SharedMemoryLock(lockName).create();
      const file = `${folder}/a.npy`;
      Deno.writeTextFileSync(file, "before");
      assertMatch(shell("save", lockName, file).err[0], /it is a lock, which has no elements/);
      assertMatch(shell("save", name, file).err[0], /there is no such segment/);
      using _memory = SharedMemory.create(name, 8);
      assertMatch(shell("save", name, file).err[0], /nothing describes its 8 bytes/);
      assertEquals(shell("save", `${name}[9]`, file, "--dtype", "u1").code, 1);
      assertEquals(Deno.readTextFileSync(file), "before");
      assertEquals(shell("save", name).code, 2);
      assertEquals(shell("save", name, file, "b").code, 2);
      assertEquals(shell("save", name, `${folder}/no/a.npy`, "--dtype", "u1").code, 1);
      return Promise.resolve();
    })
  );
});

Deno.test("save without --allow-write fails and names the permission", async () => {
  await withNames(async (name) => {
    using _memory = SharedMemory.create(name, 8);
    const { code, out, err } = await command(["save", segmentPath(name), "a.npy", "--dtype=u1"]);
    assertEquals([code, out], [1, ""]);
    assertMatch(err, /write access to "a\.npy".*--allow-write/);
  });
});
