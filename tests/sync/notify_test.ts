// Each notification ends one wait, and none is lost to the dead: waits that were aborted, whose array was closed or
// moved, whose Worker was terminated. A changed word alone ends no wait.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { notify, wait, waitAsync, type WaitAsyncResult } from "@shm/array/sync";
import type * as sync from "@shm/array/sync";
import { type Change, changedCopy, inTime, never } from "../helpers/changed_copy.ts";
import { lives, modUrl } from "../helpers/helpers.ts";
import { slowness } from "../helpers/scale.ts";
import {
  hasVector,
  isWaiting,
  sleep,
  syncUrl,
  Teller,
  until,
  untilWaiting,
  Words,
} from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "the futex");

/** The promise of a wait that has begun. */
function begun(result: WaitAsyncResult): Promise<"ok" | "timed-out"> {
  if (!result.async) throw new Error(`the wait ended at once: ${result.value}`);
  return result.value;
}

/** A time that no busy machine needs for what is to be there soon. */
const LONG = 60_000 * slowness;

// --- How many ----------------------------------------------------------------------------------

/** Waits on word 0 three times in one isolate, and tells how each wait ends. */
const threeWaits = `
  const data = words();
  for (const i of [1, 2, 3]) {
    waitAsync(data, 0, 0).value.then((ending) => console.log(i, ending));
  }
  console.log("pending");
`;

for (const value of [0, 1]) {
  const what = value === 0 ? "a word that stays as it is" : "a changed word";
  Deno.test(`notify() of ${what} ends as many waits of another isolate as it says`, async () => {
    if (!hasVector) return; // waits that look every millisecond see the changed word only
    using words = new Words();
    await using teller = await Teller.start(threeWaits, [words.name]);
    assertEquals(await teller.line(), "pending");
    await untilWaiting(teller, "async", 3);
    Atomics.store(words.data, 0, value);
    assertEquals(notify(words.data, 0, 2), 2);
    assertEquals([await teller.line(), await teller.line()], ["1 ok", "2 ok"]);
    const third = teller.line();
    assertEquals(await Promise.race([third, sleep(300)]), undefined);
    assertEquals(notify(words.data, 0, 2), 1);
    assertEquals(await third, "3 ok");
    assertEquals(notify(words.data, 0), 0);
  });
}

Deno.test("notify() of waits here and elsewhere ends as many as it says", async () => {
  using words = new Words();
  const code = `console.log(wait(words(), 0, 0, ${LONG}));`;
  const two = await Promise.all([1, 2].map(() => Teller.start(code, [words.name])));
  try {
    await Promise.all(two.map((teller) => untilWaiting(teller)));
    // It has not begun for the kernel yet: the call that waits is under way to another thread.
    const own = begun(waitAsync(words.data, 0, 0, LONG));
    assertEquals(notify(words.data, 0, 2), 2);
    const lines = two.map((teller) => teller.line());
    const all = [own, ...lines];
    const ended = new Set<string>();
    all.forEach((each, i) => each.then((ending) => ended.add(`${i} ${ending}`)));
    await until("two of them have ended", () => ended.size >= 2);
    await sleep(300);
    assertEquals(ended.size, 2, [...ended].join());
    assertEquals(notify(words.data, 0), 1);
    assertEquals(await Promise.all(all), ["ok", "ok", "ok"]);
    assertEquals(notify(words.data, 0), 0);
  } finally {
    for (const teller of two) await teller[Symbol.asyncDispose]();
  }
});

Deno.test("notify() twice at once ends two waits of an isolate", async () => {
  using words = new Words();
  await using teller = await Teller.start(threeWaits, [words.name]);
  assertEquals(await teller.line(), "pending");
  await untilWaiting(teller, "async", 3);
  for (const value of [1, 2]) {
    Atomics.store(words.data, 0, value);
    notify(words.data, 0, 1);
  }
  // The second may come while the thread that the first has woken is away: that is noticed by the changed word.
  assertEquals([await teller.line(), await teller.line()], ["1 ok", "2 ok"]);
  Atomics.store(words.data, 0, 3);
  notify(words.data, 0);
  assertEquals(await teller.line(), "3 ok");
});

Deno.test("waits of one isolate on one word miss no notification of many", async () => {
  // Each task is woken once, takes one, and is gone: a notification that is missed leaves a task asleep.
  using words = new Words();
  const tasks = 40;
  await using teller = await Teller.start(
    `
    const data = words();
    let done = 0;
    const task = async () => {
      while (true) {
        const free = Atomics.load(data, 0);
        if (free > 0 && Atomics.compareExchange(data, 0, free, free - 1) === free) break;
        if (free === 0) await waitAsync(data, 0, 0).value;
      }
      if (++done === ${tasks}) console.log("done");
    };
    for (let i = 0; i < ${tasks}; i++) task();
    console.log("pending");
    `,
    [words.name],
  );
  assertEquals(await teller.line(), "pending");
  await untilWaiting(teller, "async");
  for (let i = 0; i < tasks; i++) {
    Atomics.add(words.data, 0, 1);
    notify(words.data, 0, 1);
    for (const end = performance.now() + Math.random() * 0.2; performance.now() < end;);
  }
  assertEquals(await inTime(teller.line()), "done");
});

// --- Only a notification ------------------------------------------------------------------------

/** What changes a word that is 0, and tells nobody: as in the tests of ECMA, where the first leaves it as it is. */
const changes: { [name: string]: (data: Int32Array) => unknown } = {
  and: (data) => Atomics.and(data, 0, 1),
  add: (data) => Atomics.add(data, 0, 1),
  compareExchange: (data) => Atomics.compareExchange(data, 0, 0, 1),
  exchange: (data) => Atomics.exchange(data, 0, 1),
  or: (data) => Atomics.or(data, 0, 1),
  store: (data) => Atomics.store(data, 0, 1),
  sub: (data) => Atomics.sub(data, 0, 1),
  xor: (data) => Atomics.xor(data, 0, 1),
};

/**
 * A copy of the sources that never takes a thread for one that does not come: to a timer, which looks then, a changed
 * word is a notification.
 */
const neverStalled: Change = never("src/sync/sleeper.ts", "CALL_BACK_TIME", 30);

/** Waits 400 ms for word 0, after word 1 has said so, and tells how it ended and whether that was too early. */
const waiters = {
  "wait()": `
    const data = words();
    Atomics.add(data, 1, 1);
    const before = performance.now();
    console.log(wait(data, 0, 0, 400), performance.now() - before >= 399.9);
  `,
  "waitAsync()": `
    const data = words();
    const { waitAsync: wait } = await import(Deno.args[1]);
    Atomics.add(data, 1, 1);
    const before = performance.now();
    console.log(await wait(data, 0, 0, 400).value, performance.now() - before >= 399.9);
  `,
  "waitAsync() in a Worker": `
    const code = \`
      import { SharedMemory } from ${JSON.stringify(modUrl)};
      import { waitAsync } from ${JSON.stringify(syncUrl)};
      const data = new Int32Array(SharedMemory.open("\${Deno.args[0]}").buf);
      Atomics.add(data, 1, 1);
      const before = performance.now();
      console.log(await waitAsync(data, 0, 0, 400).value, performance.now() - before >= 399.9);
      close();
    \`;
    new Worker("data:application/javascript," + encodeURIComponent(code), { type: "module" });
  `,
};

for (const [name, code] of Object.entries(waiters)) {
  Deno.test(`${name} is timed-out where nobody notified, whatever the word says`, async () => {
    if (!hasVector && name !== "wait()") return; // a changed word is all that is seen there
    const told: string[] = [];
    await using copy = await changedCopy([neverStalled]);
    for (const change of Object.values(changes)) {
      using words = new Words();
      const args = [words.name, copy.url("src/sync/mod.ts")];
      await using teller = await Teller.start(code, args);
      const line = teller.line();
      let isOver = false; // before a busy machine comes to look
      line.then(() => isOver = true, () => isOver = true);
      await until("it waits", () => Atomics.load(words.data, 1) === 1);
      await until("it sleeps", () => isOver || !lives(teller.pid) || isWaiting(teller.pid));
      await sleep(5);
      change(words.data);
      told.push(await line);
    }
    const right = told.filter((line) => line === "timed-out true").length;
    // A Worker's thread is called back every 60 ms: what changes a word just then may have notified it, too. On a
    // busy machine it takes long to be back. Where changed words end waits, only the first change passes.
    assert(right >= (name.includes("Worker") ? 2 : 8), told.join("; "));
  });
}

Deno.test("waitAsync() is not ended by what becomes of other waits, though its word has changed", async () => {
  if (!hasVector) return;
  using words = new Words();
  await using copy = await changedCopy([neverStalled]);
  // Only a notification of the same copy knows of waits that a thread is about to take up again.
  const { notify, waitAsync }: Pick<typeof sync, "notify" | "waitAsync"> = await import(
    copy.url("src/sync/mod.ts")
  );
  const begin = (limit: number): Promise<"ok" | "timed-out">[] =>
    [limit, undefined, limit].map((limit, i) => begun(waitAsync(words.data, i, 0, limit)));
  let waits: Promise<"ok" | "timed-out">[];
  for (let limit = 300;; limit *= 4) {
    waits = begin(limit);
    let isOver = false; // before their thread sleeps, on a busy machine
    waits[0].then(() => isOver = true);
    await until("they sleep", () => isOver || isWaiting(Deno.pid, 3));
    if (!isOver) break;
    notify(words.data, 1);
    await Promise.all(waits);
  }
  for (const index of [0, 1]) Atomics.store(words.data, index, 1);
  const ended: string[] = [];
  waits.forEach((waiting, i) => waiting.then((ending) => ended.push(`${i} ${ending}`)));
  for (let i = 0; i < 10; i++) {
    assertEquals(await begun(waitAsync(words.data, 3, 0, 3)), "timed-out");
  }
  // Those that have a limit may be over, on a busy machine.
  assertEquals(ended.filter((ending) => !ending.includes("timed-out")), []);
  notify(words.data, 1);
  await inTime(Promise.all(waits));
  assertEquals(ended.toSorted(), ["0 timed-out", "1 ok", "2 timed-out"]);
});

// --- What is dead takes none ---------------------------------------------------------------------

Deno.test("a wait that was notified is ok, whatever comes after that in the same tick", async () => {
  for (const after of ["close", "move", "abort"] as const) {
    using words = new Words();
    using sma = words.attach();
    const data = sma.array!.data as Int32Array<ArrayBuffer>;
    const controller = new AbortController();
    const waiting = begun(waitAsync(data, 0, 0, undefined, controller));
    await sleep(20);
    Atomics.store(data, 0, 1);
    assertEquals(notify(data, 0, 1), 1);
    if (after === "close") sma.close();
    else if (after === "move") data.buffer.transfer();
    else controller.abort();
    assertEquals(await waiting, "ok", after);
  }
});

/** A wait in this process that ends otherwise; the one in another process that came after it must be woken. */
const dead: { [what: string]: (data: Int32Array<ArrayBuffer>, abort: AbortController) => void } = {
  "was moved": (data) => data.buffer.transfer(),
  "is aborted": (_data, abort) => abort.abort(),
};
for (const [what, end] of Object.entries(dead)) {
  Deno.test(`a pending waitAsync() that ${what} takes no notification from a living one`, async () => {
    using words = new Words();
    using sma = words.attach();
    const data = sma.array!.data as Int32Array<ArrayBuffer>;
    const controller = new AbortController();
    const first = begun(waitAsync(data, 0, 0, undefined, controller));
    await untilWaiting({ pid: Deno.pid }, "async");
    await using next = await Teller.start(`console.log(wait(words(), 0, 0, ${LONG}));`, [
      words.name,
    ]);
    await untilWaiting(next);
    end(data, controller);
    Atomics.store(words.data, 0, 1);
    assertEquals(notify(words.data, 0, 1), 1);
    await assertRejects(() => first);
    assertEquals(await next.line(), "ok");
  });
}

Deno.test("a notification that a moved wait had goes to the next wait of the same isolate", async () => {
  using words = new Words();
  using sma = words.attach();
  const first = begun(waitAsync(sma.array!.data as Int32Array, 0, 0));
  const rejected = assertRejects(() => first, Deno.errors.BadResource);
  const second = begun(waitAsync(words.data, 0, 0));
  await untilWaiting({ pid: Deno.pid }, "async", 2);
  (sma.array!.data as Int32Array<ArrayBuffer>).buffer.transfer();
  await using teller = await Teller.start(`console.log(notify(words(), 0, 1));`, [words.name]);
  assertEquals(await teller.line(), hasVector ? "1" : "0");
  if (!hasVector) Atomics.store(words.data, 0, 1);
  await rejected;
  assertEquals(await second, "ok");
});

for (const where of ["here", "in another process"]) {
  Deno.test(`a notification is handed on past a wait that has its own, to the next one ${where}`, async () => {
    if (!hasVector) return;
    using words = new Words();
    using sma = words.attach();
    const moved = begun(waitAsync(sma.array!.data as Int32Array, 0, 0));
    const rejected = assertRejects(() => moved, Deno.errors.BadResource);
    // The waits that follow are on the second thread, of which the first one knows nothing.
    const others = new AbortController();
    const fillers = Array.from(
      { length: 126 },
      () => begun(waitAsync(words.data, 1, 0, undefined, others)).catch(() => "aborted"),
    );
    const second = begun(waitAsync(words.data, 0, 0));
    await untilWaiting({ pid: Deno.pid }, "async", 2);
    await sleep(20);
    await using next = where === "here"
      ? null
      : await Teller.start(`console.log(wait(words(), 0, 0, ${LONG}));`, [words.name]);
    if (next !== null) await untilWaiting(next);
    const third = next?.line() ?? begun(waitAsync(words.data, 0, 0));
    await sleep(20);
    (sma.array!.data as Int32Array<ArrayBuffer>).buffer.transfer();
    assertEquals([notify(words.data, 0, 1), notify(words.data, 0, 1)], [1, 1]);
    await rejected;
    assertEquals(await Promise.all([second, inTime(third)]), ["ok", "ok"]);
    others.abort();
    await Promise.all(fillers);
  });
}

Deno.test("the wait of a terminated Worker takes no notification when its thread has come back", async () => {
  using words = new Words();
  await using teller = await Teller.start(
    `
    const code = \`
      import { SharedMemory } from ${JSON.stringify(modUrl)};
      import { waitAsync } from ${JSON.stringify(syncUrl)};
      const data = new Int32Array(SharedMemory.open("\${Deno.args[0]}").buf);
      waitAsync(data, 0, 0);
      postMessage("waiting");
    \`;
    const worker = new Worker("data:application/javascript," + encodeURIComponent(code), { type: "module" });
    await new Promise((resume) => worker.onmessage = resume);
    console.log("waiting");
    const data = words();
    while (Atomics.load(data, 2) === 0) await new Promise((resume) => setTimeout(resume, 1));
    worker.terminate();
    // It ends when its own thread does, which a busy machine may keep from that.
    const threads = () =>
      [...Deno.readDirSync("/proc/self/task")].map(({ name }) => {
        try {
          return Deno.readTextFileSync("/proc/self/task/" + name + "/comm");
        } catch {
          return ""; // it has just ended
        }
      });
    while (threads().some((name) => name.startsWith("worker-"))) {
      await new Promise((resume) => setTimeout(resume, 1));
    }
    console.log("terminated");
    await new Promise((resume) => setTimeout(resume, 1e9));
    `,
    [words.name],
  );
  assertEquals(await teller.line(), "waiting");
  await untilWaiting(teller, "async", 1);
  await using living = await Teller.start(`console.log(wait(words(), 0, 0, ${LONG}));`, [
    words.name,
  ]);
  await untilWaiting(living);
  Atomics.store(words.data, 2, 1);
  assertEquals(await teller.line(), "terminated");
  // Which takes less than 100 ms, if the machine has time.
  if (hasVector) await until("its thread is back", () => !isWaiting(teller.pid));
  else await sleep(110);
  Atomics.store(words.data, 0, 1);
  let told: string | null = null;
  void living.line().then((line) => told = line, () => {});
  // A call that the Worker had begun, and for which a thread came late, takes one more.
  let [next, woken] = [0, 0];
  await until("the living one is woken", () => {
    if (told === null && performance.now() > next) {
      woken += notify(words.data, 0, 1);
      next = performance.now() + 150;
    }
    return told !== null;
  });
  assertEquals(told, "ok");
  assert(woken <= 2, `${woken} were woken`);
});

// --- Numbers -----------------------------------------------------------------------------------

for (const limit of ["2 ** 53 + 2", "1e22", "Number.MAX_VALUE", "Infinity"]) {
  Deno.test(`wait() and waitAsync() with ${limit} ms have no time limit, and use no processor`, async () => {
    using words = new Words();
    const sleepers = await Promise.all([
      Teller.start(`console.log(wait(words(), 0, 0, ${limit}));`, [words.name]),
      Teller.start(`console.log(await waitAsync(words(), 0, 0, ${limit}).value);`, [words.name]),
    ]);
    try {
      await untilWaiting(sleepers[0]);
      await untilWaiting(sleepers[1], "async");
      await sleep(300); // they have started up
      /** Processor time of both in ticks of 10 ms. */
      const ticks = (): number =>
        sleepers.map(({ pid }) =>
          Deno.readTextFileSync(`/proc/${pid}/stat`).split(" ").slice(13, 15).map(Number)
        ).flat().reduce((sum, part) => sum + part);
      // What they do at their start may take longer on a busy machine; who looks all the time does so in each second.
      let used = Infinity;
      for (let seconds = 0; used >= 20 && seconds < 30; seconds++) {
        const before = ticks();
        await sleep(1000);
        used = ticks() - before;
      }
      assert(used < 20, `${used} ticks`);
      Atomics.store(words.data, 0, 1);
      notify(words.data, 0);
      for (const sleeper of sleepers) assertEquals(await sleeper.line(), "ok");
    } finally {
      for (const sleeper of sleepers) await sleeper[Symbol.asyncDispose]();
    }
  });
}

Deno.test("wait() and waitAsync() give no limit back for a limit that is over", async () => {
  using words = new Words();
  for (const limit of [0, -1, -Infinity, -(2 ** 60)]) {
    assertEquals(wait(words.data, 0, 0, limit), "timed-out");
    assertEquals(waitAsync(words.data, 0, 0, limit), { async: false, value: "timed-out" });
  }
  assertEquals(await begun(waitAsync(words.data, 0, 0, 0.5)), "timed-out");
});
