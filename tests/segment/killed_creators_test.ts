// Creators that the kernel kills at each of their steps: the kinds that have a header leave no name that leads to
// half a segment. The kills are real (seccomp).

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SharedMemoryArray } from "../../mod.ts";
import { SharedMemoryRing, SharedMemoryVersions } from "../../src/publish/mod.ts";
import { SharedMemoryLock } from "../../src/sync/mod.ts";
import { runChild, segmentExists, segmentPath } from "../helpers/helpers.ts";
import { withPrefix } from "../helpers/leftovers.ts";
import { publishUrl } from "../helpers/publish_helpers.ts";
import { atCall } from "../helpers/seccomp.ts";
import { syncUrl } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it uses seccomp");

const imports = `
  const { SharedMemoryLock } = await import(${JSON.stringify(syncUrl)});
  const { SharedMemoryRing, SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
  const kinds = {
    lock: (name) => new SharedMemoryLock(name),
    ring: (name) => new SharedMemoryRing([4], "int32", name, 3),
    versions: (name) => new SharedMemoryVersions([4], "int32", name),
    array: (name) => new SharedMemoryArray([4], "int32", name),
  };
`;

/** The same in this process. */
const kinds = {
  lock: (name: string) => new SharedMemoryLock(name),
  ring: (name: string) => new SharedMemoryRing([4], "int32", name, 3),
  versions: (name: string) => new SharedMemoryVersions([4], "int32", name),
  array: (name: string) => new SharedMemoryArray([4], "int32", name),
};

/** Runs a creator of a kind that is killed at a system call. */
async function killCreator(
  make: string,
  name: string,
  call: string,
  refused: readonly string[] = [],
): Promise<void> {
  const { signal, stdout, stderr } = await runChild(
    `${imports}${atCall}
    const [name, call, ...refused] = Deno.args;
    for (const each of refused) atCall(each, 95); // EOPNOTSUPP
    atCall(call, "kill");
    ${make};
    console.log("it lives");`,
    { args: [name, call, ...refused], before: "ulimit -c 0" },
  );
  assertEquals([signal, stdout], ["SIGSYS", ""], `${call}: ${stderr}`);
}

/** The segments whose names `buildSmaName` made with a prefix. */
const namesWith = (prefix: string): string[] =>
  SharedMemoryArray.list().filter((each) => each.prefix === prefix).map(({ name }) => name);

const steps = [
  "openat of a nameless file",
  "fsetxattr",
  "fchmod",
  "fallocate",
  "pwrite64",
  "linkat",
];

for (const kind of ["lock", "ring", "versions"] as const) {
  Deno.test(`create() of a ${kind} that is killed at any step leaves nothing`, () =>
    withPrefix(async (prefix) => {
      for (const step of steps) {
        const name = SharedMemoryArray.buildSmaName(prefix);
        await killCreator(`kinds.${kind}(name).create({ mode: 0o640 })`, name, step);
        assertEquals(namesWith(prefix), [], step);
        using next = kinds[kind](name);
        next.create();
        assert(next.unlink());
      }
    }));

  Deno.test(`create() of a ${kind} where nameless files are refused leaves at most what prune() removes`, () =>
    withPrefix(async (prefix) => {
      for (
        const [refused, step] of [
          ["openat of a nameless file", "fchmod"],
          ["openat of a nameless file", "fallocate"],
          ["openat of a nameless file", "pwrite64"],
          ["openat of a nameless file", "renameat2"],
          ["linkat", "renameat2"],
        ]
      ) {
        const name = SharedMemoryArray.buildSmaName(prefix);
        const make = `kinds.${kind}(name).create({ mode: 0o640 })`;
        await killCreator(make, name, step, [refused]);
        assert(!segmentExists(name), `${refused}, ${step}`);
        const left = namesWith(prefix);
        assertEquals(left.length, 1, `${refused}, ${step}`);
        using next = kinds[kind](name);
        next.create();
        assert(next.unlink());
        assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), left);
      }
    }));
}

Deno.test("what a killed creator of a name of another form leaves is shown as unfinished, and pruned", () =>
  withPrefix(async (prefix) => {
    const before = new Set(namesWith("unfinished"));
    const refused = ["openat of a nameless file"];
    await killCreator("kinds.lock(name).create()", `${prefix}-lock`, "renameat2", refused);
    const left = namesWith("unfinished").filter((name) => !before.has(name));
    assertEquals([left.length, segmentExists(`${prefix}-lock`)], [1, false]);
    const { birthtime } = Deno.statSync(segmentPath(left[0]));
    assert(Date.now() - birthtime!.getTime() < 60_000);
    const dry = { prefix: "unfinished", olderThan: 0, dryRun: true };
    assert(SharedMemoryArray.prune(dry).includes(left[0]));
    assertEquals(SharedMemoryArray.clearBuffers(left), left);
  }));

// Nothing of the above would hold if the name came first, as it does for small arrays.
Deno.test("create() of a small array that is killed before it has its size leaves a useless name", () =>
  withPrefix(async (prefix) => {
    const name = SharedMemoryArray.buildSmaName(prefix);
    await killCreator("kinds.array(name).create()", name, "fallocate");
    using next = kinds.array(name);
    assertThrows(() => next.load(), RangeError, "its creator has not set one");
    assertThrows(() => next.create(), Deno.errors.AlreadyExists);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [name]);
  }));

for (const refusals of [["openat of a nameless file"], ["linkat"], ["linkat", "renameat2"]]) {
  Deno.test(`create() of each kind works where the kernel refuses ${refusals.join(" and ")}`, () =>
    withPrefix(async (prefix) => {
      const errnos = refusals.includes("renameat2") ? [1, 22, 38] : [1, 95];
      for (const errno of errnos) {
        const { code, stdout, stderr } = await runChild(
          `${imports}${atCall}
          const [prefix, errno, ...refused] = Deno.args;
          for (const each of refused) atCall(each, Number(errno));
          const told = [];
          const names = () => SharedMemoryArray.list().filter((each) => each.prefix === prefix).length;
          for (const kind of ["lock", "ring", "versions"]) {
            const name = SharedMemoryArray.buildSmaName(prefix);
            using one = kinds[kind](name).create({ mode: 0o644 });
            const { mode, size } = Deno.statSync("/dev/shm/" + name);
            let code;
            try { kinds[kind](name).create(); } catch (error) { code = error.message; }
            using other = kinds[kind](name).load();
            const maps = Deno.readTextFileSync("/proc/self/maps").split(name).length - 1;
            told.push([(mode & 0o777).toString(8), size > 0, code, maps, names(), one.unlink(), names()]);
          }
          console.log(JSON.stringify(told));`,
          { args: [prefix, String(errno), ...refusals] },
        );
        assertEquals(code, 0, stderr);
        const told = JSON.parse(stdout);
        assertEquals(told.length, 3);
        for (const [mode, isSized, message, ...rest] of told) {
          assertEquals([mode, isSized, ...rest], ["644", true, 2, 1, true, 0], `${errno}`);
          assertStringIncludes(message, "File exists (os error 17)");
          assertStringIncludes(message, "and process ");
        }
      }
    }));
}
