// What `shm load` makes.

import { assertEquals, assertMatch } from "@std/assert";
import { NDArray, SharedMemoryArray } from "@shm/array";
import { writeNpy } from "@shm/array/npy";
import {
  segmentExists,
  segmentPath,
  thoseThatStay,
  until,
  withFolder,
  withNames,
} from "../../helpers/helpers.ts";
import { segmentsOf } from "../../helpers/publish_helpers.ts";
import { cli, command, shell } from "../../helpers/shell.ts";
import { everyTestWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command makes segments");

/** Calls a function with a file of [[0, 1, 2], [3, 4, 5]]. */
async function withFile(body: (file: string) => void | Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const file = `${folder}/a.npy`;
    writeNpy(file, new NDArray(Float32Array.from([0, 1, 2, 3, 4, 5]), { shape: [2, 3] }));
    await body(file);
  });
}

/** Segments that are being loaded, also by another suite on this machine. */
const unfinished = (): string[] => segmentsOf("").filter((name) => name.includes("-npy-"));

/** Calls a function that must leave no segment that was being loaded. */
async function leavingNothing(body: () => void | Promise<void>): Promise<void> {
  const before = new Set(unfinished());
  await body();
  assertEquals(await thoseThatStay(unfinished().filter((name) => !before.has(name))), []);
}

Deno.test("load makes a segment that stays after the command has ended", async () => {
  await withFile((file) =>
    withNames((name) =>
      leavingNothing(async () => {
        const permissions = ["--allow-ffi", "--allow-read"];
        const { code, out, err } = await command(["load", file, name], permissions);
        assertEquals([code, out, err], [0, `${name}: float32 [2,3]\n`, ""]);
        using sma = new SharedMemoryArray([2, 3], "float32", name);
        assertEquals(sma.load().toArray(), [[0, 1, 2], [3, 4, 5]]);
        assertEquals(Deno.statSync(segmentPath(name)).mode! & 0o777, 0o600);
      })
    )
  );
});

Deno.test("load and save are inverse", async () => {
  await withFile((file) =>
    withNames((name) => {
      const facts = JSON.parse(shell("load", file, name, "--json").out.join("\n"));
      assertEquals(facts, { name, file, shape: [2, 3], dtype: "float32", byteLength: 24 });
      const again = `${file}.npy`;
      assertEquals(shell("save", name, again).code, 0);
      assertEquals(Deno.readFileSync(again), Deno.readFileSync(file));
    })
  );
});

Deno.test("load refuses a name that is taken, and leaves that segment as it is", async () => {
  await withFile((file) =>
    withNames((name) =>
      leavingNothing(() => {
        using sma = new SharedMemoryArray(1, "uint8", name);
        sma.create().fill(9);
        for (const written of [name, segmentPath(name)]) {
          assertEquals(shell("load", file, written), {
            code: 1,
            out: [],
            err: [`Cannot load '${name}': there is a segment of this name; shm rm removes it`],
          });
        }
        assertEquals(sma.array!.get(0), 9);
      })
    )
  );
});

Deno.test("load leaves nothing where it fails", async () => {
  await withFile((file) =>
    withNames((name) =>
      leavingNothing(async () => {
        Deno.truncateSync(file, 140);
        assertMatch(shell("load", file, name).err[0], /it ends too early/);
        Deno.writeTextFileSync(file, "no array");
        assertMatch(shell("load", file, name).err[0], /it is no \.npy file/);
        assertMatch(shell("load", `${file}x`, name).err[0], /No such file/);
        const denied = await command(["load", file, name]);
        assertEquals(denied.code, 1);
        assertMatch(denied.err, /read access to .*--allow-read/);
        assertEquals(segmentExists(name), false);
        assertMatch(shell("load", file, "a/b").err[0], /Cannot use the name "a\/b"/);
        assertMatch(shell("load", file, "memfd:1:2:3").err[0], /lead to anonymous segments/);
        assertEquals(shell("load", file).code, 2);
        assertEquals(shell("load", file, "a", "b").code, 2);
      })
    )
  );
});

Deno.test("a load that is killed leaves nothing of the name, but a leftover of prune()", async () => {
  await withFolder((folder) =>
    withNames(async (name) => {
      const file = `${folder}/large.npy`;
      const byteLength = 2 ** 26;
      writeNpy(file, new NDArray(new Uint8Array(byteLength), { shape: [byteLength] }));
      const process = new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", "--allow-ffi", "--allow-read", cli, "load", file, name],
        stdout: "null",
      }).spawn();
      let made: string | undefined;
      try {
        await until("the segment is made", () => {
          try {
            const maps = Deno.readTextFileSync(`/proc/${process.pid}/maps`);
            made ??= /\/dev\/shm\/(.*-npy-.*)$/m.exec(maps)?.[1];
          } catch (error) {
            if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended
          }
          return made !== undefined || segmentExists(name);
        });
        try {
          process.kill("SIGKILL");
        } catch (error) {
          if (!(error instanceof TypeError)) throw error; // it has ended
        }
        await process.status;
        // It may have been quicker than the signal: then the segment is whole.
        if (segmentExists(name)) assertEquals(Deno.statSync(segmentPath(name)).size, byteLength);
        else {
          const options = { olderThan: 0, prefix: "npy", dryRun: true };
          assertEquals(SharedMemoryArray.prune(options).includes(made!), true);
        }
      } finally {
        if (made !== undefined && segmentExists(made)) Deno.removeSync(segmentPath(made));
      }
    })
  );
});
