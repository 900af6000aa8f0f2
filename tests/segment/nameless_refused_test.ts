// Where a policy allows only files with a name in /dev/shm, large segments are made as small ones are. The refusal
// is real: the kernel refuses the system calls of the child (seccomp).

import { assertEquals } from "@std/assert";
import { evalChild, segmentExists, withFolder, withNames } from "../helpers/helpers.ts";
import { publishUrl } from "../helpers/publish_helpers.ts";
import { compile } from "../helpers/sync.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it uses seccomp and /proc");

const MIB = 2 ** 20;
const refusals: { [code: string]: number } = { EPERM: 1, EACCES: 13, EOPNOTSUPP: 95 };

for (const call of ["open", "link"]) {
  for (const [code, errno] of Object.entries(refusals)) {
    testWith(
      "cc",
      `create() of a large segment works where ${call} of a nameless file is ${code}`,
      () =>
        withFolder((folder) =>
          withNames(async (name, further, table) => {
            const refuse = compile("refuse_nameless.c", folder);
            const seen = await evalChild(
              `const [name, further, table] = Deno.args;
            const told = (fn) => { try { return fn(); } catch (error) { return error.code; } };
            const exists = (name) => told(() => Deno.lstatSync("/dev/shm/" + name).size);
            using sma = new SharedMemoryArray(${2 * MIB}, "uint8", name);
            sma.create({ mode: 0o640 }).fill(3);
            using other = SharedMemoryArray.clone(sma);
            const { mode, blocks, size } = Deno.statSync("/dev/shm/" + name);
            const seen = [
              [mode & 0o777, blocks * 512, size, other.load().get(-1)],
              told(() => SharedMemory.create(name, ${MIB})), // a taken name
              told(() => SharedMemory.create(further, 2 ** 50)), // no room
              exists(further),
            ];
            // The second one, too: what was found out is remembered.
            using second = SharedMemory.create(further, ${3 * MIB}, { reserve: false });
            seen.push([second.size, Deno.statSync("/dev/shm/" + further).blocks]);
            const { SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
            using versions = new SharedMemoryVersions(${MIB}, "uint8", table).create();
            for (const value of [1, 2]) await versions.publish((next) => void next.fill(value));
            seen.push(versions.current().array.get(-1));
            versions.unlink();
            const left = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
              try { return Deno.readLinkSync("/proc/self/fd/" + name); } catch { return ""; }
            }).filter((path) => path.startsWith("/dev/shm/#"));
            console.log(JSON.stringify([...seen, left, sma.unlink(), second.unlink()]));`,
              {
                args: [name, further, table],
                before: `set -- '${refuse}' ${errno} ${call} "$@"`,
              },
            );
            assertEquals(seen, [
              [0o640, 2 * MIB, 2 * MIB, 3],
              "EEXIST",
              "ENOSPC",
              "ENOENT",
              [3 * MIB, 0],
              2,
              [],
              true,
              true,
            ]);
            assertEquals([name, further, table].filter(segmentExists), []);
          })
        ),
    );
  }
}
