// A program can use an array after close, and do everything else to it in any order. The library must
// never let it crash, read a stale value or lose a written one. tests/system/fuzz/child.ts does such things at
// random; the seeds are here. These failures were seen when one protection at a time was removed:
//
// - `transfer(0)` in Mapping.close(): the child dies of SIGSEGV at the first read after a close.
// - zero pages under a moved buffer in close(), munmap() in their place: a moved buffer shows the
//   memory of whatever is mapped there next, or SIGSEGV; without either, it still writes to the segment.
// - zero pages in the finalizer, munmap() in their place: the same for a buffer whose array was dropped.
// - the finalizer on the wrapper and not on the buffer: views of a dropped array read 0.
// - unregistering from the finalizer in close(): the next mapping at that address is wiped out.
// - the test of `buf` in `smh`: a wrapper leaves an array attached, and `array` outlives smh.close().
// - the refusal of a second load(): the first mapping is lost.
// - the test for overlaps in assign(), or the note which segment a buffer maps: wrong elements.
// - the test of the inode in load() of an anonymous segment: another segment's elements are read.
// - the same in unlink(): a segment that has the number now is gone.
// - device and inode in a segment's identity, its name in their place: wrong elements through a hard link.
// - the getter of `detached` that is taken at load time, the buffer's own in its place: a closed array is told to
//   have shrunk.
// - forgetting the segment of a buffer that was marked untransferable: a closed array still describes itself.
// - watching a register anew that was disposed of: names are left at the end.
// - the byteOffset of a view's typed array in toJSON(): the wrong elements.

import { assert, assertEquals } from "@std/assert";
import type { Summary } from "./fuzz/child.ts";
import { seedOf } from "../helpers/random.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** Runs the fuzzer in a process of its own, and removes what it leaves if it dies. */
async function fuzz(seed: number, unit: "steps" | "seconds", amount: number): Promise<Summary> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-check",
      "--allow-ffi",
      "--allow-read",
      "--v8-flags=--expose-gc",
      new URL("./fuzz/child.ts", import.meta.url).pathname,
      ...[seed, unit, amount].map(String),
    ],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, signal, stdout, stderr } = await child.output();
  const left = [...Deno.readDirSync("/dev/shm")].map(({ name }) => name)
    .filter((name) => name.startsWith(`fuzz-${child.pid}-`));
  for (const name of left) Deno.removeSync(`/dev/shm/${name}`);
  const told = `seed ${seed}: ${new TextDecoder().decode(stderr)}`;
  assertEquals(signal, null, told);
  assertEquals(code, 0, told);
  assertEquals(left, [], told);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Runs several fuzzers at once, each to its end, so that one that fails lets the others clean up. */
async function fuzzAll(
  seeds: readonly number[],
  unit: "steps" | "seconds",
  amount: number,
): Promise<Summary[]> {
  const runs = await Promise.allSettled(seeds.map((seed) => fuzz(seed, unit, amount)));
  return runs.map((run) => {
    if (run.status === "rejected") throw run.reason;
    return run.value;
  });
}

function report(what: string, summaries: Summary[]): void {
  const sum = (of: (summary: Summary) => number): string =>
    summaries.reduce((total, summary) => total + of(summary), 0).toLocaleString("en");
  console.log(
    `${what}: ${sum(({ steps }) => steps)} steps, ${sum(({ values }) => values)} values as ` +
      `predicted, ${sum(({ errors }) => errors)} misuses refused`,
  );
}

Deno.test("fuzz: 200,000 random steps over fixed seeds, no crash and no wrong value", async () => {
  const steps = 50_000 * scale;
  const summaries: Summary[] = [];
  for (const pair of [[1, 2], [3, 4]]) {
    summaries.push(...await fuzzAll(pair, "steps", steps));
  }
  report("fixed seeds", summaries);
  for (const summary of summaries) {
    assertEquals(summary.steps, steps);
    // Every operation must have occurred, or the claim above would say nothing of it.
    assertEquals(Object.keys(summary.operations).length, 42);
    assert(summary.values > steps && summary.errors > steps / 10);
  }
});

Deno.test("fuzz: 20 s of a fresh seed, no crash and no wrong value", async () => {
  const seed = seedOf(Date.now() % 2 ** 31);
  console.log(`fresh seeds ${seed} and ${seed + 1}; SHM_SEED=${seed} replays them`);
  report("fresh seeds", await fuzzAll([seed, seed + 1], "seconds", 20 * scale));
});
