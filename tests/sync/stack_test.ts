// The end of the stack: what is called there, and fails, leaves no lock taken, no guard that cannot be released, and
// no wait that never ends.

import { assertEquals } from "@std/assert";
import { SharedMemoryLock } from "@shm/array/sync";
import { uniqueName } from "../helpers/helpers.ts";
import { Teller, Words } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "locks on segments");

/**
 * Goes to the end of the stack, and calls something there and in each of the frames before it, until it has succeeded
 * some times. The depth of the outermost frame is shifted, so that the stack ends in another place each time.
 */
const atTheEnd = `
  function atTheEnd(shift, action, most = 30) {
    if (shift > 0) return atTheEnd(shift - 1, action, most);
    let successes = 0;
    (function deeper() {
      try {
        deeper();
      } catch { /* This is the end of the stack. */ }
      if (successes >= most) return;
      try {
        if (action() !== false) successes++;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    })();
    return successes;
  }
`;

/** What is called at the end of the stack, in a process that has, or has not, called it before. */
const actions: { [name: string]: string } = {
  "tryAcquire()": `
    const lock = new SharedMemoryLock(name).load();
    if (isWarm) for (let i = 0; i < 500; i++) lock.tryAcquire().release();
    for (let shift = 0; shift < 40; shift++) {
      atTheEnd(shift, () => {
        const guard = lock.tryAcquire();
        if (guard === null) return false;
        guard.release();
      });
      check(lock, shift);
    }
  `,
  "acquire()": `
    const lock = new SharedMemoryLock(name).load();
    if (isWarm) for (let i = 0; i < 500; i++) lock.acquire().release();
    for (let shift = 0; shift < 40; shift++) {
      atTheEnd(shift, () => lock.acquire({ timeout: 0 }).release());
      check(lock, shift);
    }
  `,
  "release()": `
    const lock = new SharedMemoryLock(name).load();
    if (isWarm) for (let i = 0; i < 500; i++) lock.acquire().release();
    for (let shift = 0; shift < 40; shift++) {
      const guard = lock.acquire();
      atTheEnd(shift, () => guard.release(), 1);
      check(lock, shift);
    }
  `,
  "acquireAsync()": `
    const lock = new SharedMemoryLock(name).load();
    if (isWarm) for (let i = 0; i < 500; i++) (await lock.acquireAsync()).release();
    for (let shift = 0; shift < 40; shift++) {
      const all = [];
      atTheEnd(shift, () => {
        all.push(lock.acquireAsync().then((guard) => guard.release(), (error) => {
          if (!(error instanceof RangeError)) throw error;
        }));
      }, 3);
      await Promise.all(all);
      check(lock, shift);
      (await lock.acquireAsync()).release();
    }
  `,
};

for (const [name, code] of Object.entries(actions)) {
  for (const isWarm of [false, true]) {
    const when = isWarm ? "called before" : "called for the first time";
    Deno.test(`${name} at the end of the stack leaves no lock taken (${when})`, async () => {
      using lock = new SharedMemoryLock(uniqueName()).create();
      try {
        await using teller = await Teller.start(
          `
          ${atTheEnd}
          const name = Deno.args[0];
          const isWarm = ${isWarm};
          const faults = [];
          const other = new SharedMemoryLock(name).load();
          function check(lock, shift) {
            try {
              const guard = other.acquire({ timeout: 60_000 });
              if (guard.abandoned) faults.push(shift + ": abandoned");
              guard.release();
              lock.acquire({ timeout: 60_000 }).release();
            } catch (error) {
              faults.push(shift + ": " + error.name);
            }
          }
          ${code}
          console.log(JSON.stringify(faults));
          Deno.exit();
          `,
          [lock.name],
        );
        assertEquals(await teller.line(), "[]");
      } finally {
        lock.unlink();
      }
    });
  }
}

Deno.test("waitAsync() and notify() at the end of the stack leave no wait that never ends", async () => {
  using words = new Words();
  await using teller = await Teller.start(
    `
    ${atTheEnd}
    const data = words();
    const nap = (time) => new Promise((resume) => setTimeout(resume, time, "never"));
    const faults = [];
    for (let shift = 0; shift < 40; shift++) {
      const begun = [];
      atTheEnd(shift, () => void begun.push(waitAsync(data, 0, 0).value), 5);
      const steady = waitAsync(data, 1, 0).value;
      await nap(1);
      atTheEnd(shift, () => notify(data, 0), 2);
      notify(data, 0);
      notify(data, 1);
      for (const wait of [...begun, steady]) {
        const ending = await Promise.race([wait, nap(60_000)]);
        if (ending !== "ok") faults.push(shift + ": " + ending);
      }
      if (await waitAsync(data, 2, 0, 5).value !== "timed-out") faults.push(shift + ": no time limit");
    }
    console.log(JSON.stringify(faults));
    Deno.exit();
    `,
    [words.name],
  );
  assertEquals(await teller.line(), "[]");
});
