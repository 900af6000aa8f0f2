// Deno's pool has 32 threads for calls that block. A program that fills it itself still gets its time limits, aborts
// and closings in time.

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryRing } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";
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

Deno.test("a full pool delays no time limit, abort or close by more than 50 ms", async () => {
  using words = new Words();
  using lock = new SharedMemoryLock(uniqueName()).create();
  using ring = new SharedMemoryRing([4], "uint8", uniqueName(), 3);
  ring.create();
  const guard = lock.acquire();
  try {
    await using teller = await Teller.start(
      `
      import { SharedMemoryRing } from ${
        JSON.stringify(new URL("../../src/publish/mod.ts", import.meta.url).href)
      };
      const { symbols } = Deno.dlopen("libc.so.6", {
        usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
      });
      const memory = SharedMemory.open(Deno.args[0]);
      const data = words();
      const mine = new Int32Array(memory.buf);
      const lock = new SharedMemoryLock(Deno.args[1]).load();
      const closing = new SharedMemoryLock(Deno.args[1]).load();
      const ring = new SharedMemoryRing([4], "uint8", Deno.args[2], 3);
      ring.load();
      await waitAsync(data, 5, 0, 1).value; // once, as programs do
      let awake = 0;
      const naps = Array.from({ length: 32 }, () => symbols.usleep(2_000_000).then(() => awake++));
      await new Promise((resume) => setTimeout(resume, 50));
      const start = performance.now();
      const told = [];
      const note = (what, promise) => promise.then(
        (value) => told.push([what, performance.now() - start, String(value), awake]),
        (error) => told.push([what, performance.now() - start, error.name, awake]),
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
      console.log(JSON.stringify(told));
      await Promise.all(naps);
      Deno.exit();
      `,
      [words.name, lock.name, ring.name],
    );
    const told = JSON.parse(await teller.line()) as [string, number, string, number][];
    // What else runs on this machine makes timers late, too.
    const [, timer] = told.find(([what]) => what === "a plain timer")!;
    for (const [what, time, ending, awake] of told) {
      assertEquals([ending, awake], [waits[what][1], 0], what);
      assert(
        time > 95 && time < timer + 100 * slowness,
        `${what}: ${time} ms, a timer ${timer} ms`,
      );
    }
    assertEquals(told.length, Object.keys(waits).length);
  } finally {
    guard.release();
    lock.unlink();
    ring.unlink();
  }
});
