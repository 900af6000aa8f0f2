// Deno's pool has 32 threads for calls that block. A program that fills it itself still gets its time limits, aborts
// and closings.

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryRing } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";
import { type Change, changedCopy, never } from "../helpers/changed_copy.ts";
import { uniqueName } from "../helpers/helpers.ts";
import { slowness } from "../helpers/scale.ts";
import { Teller, Words } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "locks on segments");

/** What is to end 100 ms after it began, and how it is to end. */
const waits: { [what: string]: [code: string, ending: string] } = {
  "a plain timer": ["new Promise((resume) => setTimeout(resume, 100))", "undefined"],
  "waitAsync() with a time limit": ["waitAsync(data, 0, 0, 100).value", "timed-out"],
  "waitAsync() with a signal": [
    "waitAsync(data, 1, 0, undefined, { signal: AbortSignal.timeout(100) }).value",
    "TimeoutError",
  ],
  "waitAsync() whose array is closed": ["waitAsync(mine, 1, 0).value", "BadResource"],
  "waitAsync() that is notified here": ["waitAsync(data, 2, 0).value", "ok"],
  "acquireAsync() with a time limit": ["lock.acquireAsync({ timeout: 100 })", "TimeoutError"],
  "acquireAsync() with a signal": [
    "lock.acquireAsync({ signal: AbortSignal.timeout(100) })",
    "TimeoutError",
  ],
  "acquireAsync() whose lock is closed": ["closing.acquireAsync()", "BadResource"],
  "nextAsync() with a time limit": ["ring.nextAsync(undefined, { timeout: 100 })", "TimeoutError"],
};

/** What is told of a wait: after how many milliseconds and how it ended, and how many threads were free again then. */
type Told = [what: string, time: number, ending: string, free: number];

/**
 * Begins all these waits in a process whose pool is full until they have ended, but for so many milliseconds at the
 * most, and tells of each of them.
 */
async function endingsIn(limit: number, changes: readonly Change[] = []): Promise<Told[]> {
  await using copy = await changedCopy(changes);
  const [mod, sync, publish] = ["mod.ts", "src/sync/mod.ts", "src/publish/mod.ts"]
    .map((file) => JSON.stringify(copy.url(file)));
  using words = new Words();
  using lock = new SharedMemoryLock(uniqueName()).create();
  using ring = new SharedMemoryRing([4], "uint8", uniqueName(), 3);
  ring.create();
  const guard = lock.acquire();
  try {
    await using teller = await Teller.start(
      `{
      const { SharedMemory } = await import(${mod});
      const { notify, SharedMemoryLock, waitAsync } = await import(${sync});
      const { SharedMemoryRing } = await import(${publish});
      const { symbols } = Deno.dlopen("libc.so.6", {
        pipe: { parameters: ["buffer"], result: "i32" },
        read: { parameters: ["i32", "buffer", "usize"], result: "isize", nonblocking: true },
        write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      });
      const [memory, more] = [SharedMemory.open(Deno.args[0]), SharedMemory.open(Deno.args[0])];
      const [mine, data] = [new Int32Array(memory.buf), new Int32Array(more.buf)];
      const lock = new SharedMemoryLock(Deno.args[1]).load();
      const closing = new SharedMemoryLock(Deno.args[1]).load();
      const ring = new SharedMemoryRing([4], "uint8", Deno.args[2], 3);
      ring.load();
      await waitAsync(data, 5, 0, 1).value; // once, as programs do
      // Each thread reads one byte of a pipe, which nobody writes before all is over.
      const [ends, bytes] = [new Int32Array(2), new Uint8Array(32)];
      symbols.pipe(ends);
      let free = 0;
      const reads = Array.from({ length: 32 }, () => symbols.read(ends[0], bytes, 1n).then(() => free++));
      const release = () => symbols.write(ends[1], new Uint8Array(32), 32n);
      const timer = setTimeout(release, ${limit});
      await new Promise((resume) => setTimeout(resume, 50));
      const start = performance.now();
      const told = [];
      const note = (what, promise) => promise.then(
        (value) => told.push([what, performance.now() - start, String(value), free]),
        (error) => told.push([what, performance.now() - start, error.name, free]),
      );
      const all = [${
        Object.entries(waits).map(([what, [code]]) => `note(${JSON.stringify(what)}, ${code})`)
      }];
      setTimeout(() => {
        memory.close();
        closing.close();
        notify(data, 2);
      }, 100);
      await Promise.all(all);
      clearTimeout(timer);
      if (free === 0) release();
      await Promise.all(reads);
      console.log(JSON.stringify(told));
      Deno.exit();
      }`,
      [words.name, lock.name, ring.name],
    );
    return JSON.parse(await teller.line());
  } finally {
    guard.release();
    lock.unlink();
    ring.unlink();
  }
}

Deno.test("a full pool holds up no time limit, abort or close", async () => {
  const told = await endingsIn(60_000 * slowness);
  for (const [what, time, ending, free] of told) {
    assertEquals([ending, free], [waits[what][1], 0], what);
    assert(time > 95, `${what}: ${time} ms`);
  }
  assertEquals(told.length, Object.keys(waits).length);
});

Deno.test("a full pool that holds up a time limit is found out: the control", async () => {
  // Nobody sees that the thread was called back, and does not come.
  const told = await endingsIn(2000, [never("src/sync/sleeper.ts", "CALL_BACK_TIME", 30)]);
  const late = told.filter(([, , , free]) => free > 0).map(([what]) => what);
  assert(late.includes("waitAsync() with a time limit"), late.join());
});
