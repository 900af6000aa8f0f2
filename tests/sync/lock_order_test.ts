// Who gets the lock next: nobody starves beside a process that always wants it again, and nobody waits for a lock
// that only it could give back. Most tests run with copies of the sources in which a wait for a lock ends by itself
// after ten minutes: who is not woken, or waits for somebody's turn in vain, does not come.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { notify, SharedMemoryLock } from "@shm/array/sync";
import { ANNOUNCED, indexOf, TURN, WAITING } from "../../src/sync/lock_words.ts";
import { type Change, changedCopy, inTime, never } from "../helpers/changed_copy.ts";
import { uniqueName } from "../helpers/helpers.ts";
import { slowness } from "../helpers/scale.ts";
import {
  greedyProgram,
  late,
  OFTEN,
  sectionsWhileAsleep,
  waitingProgram,
} from "../helpers/greedy.ts";
import {
  MadeLock,
  progress,
  SHORT_PATIENCE,
  sleep,
  Teller,
  until,
  untilWaiting,
  Words,
} from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "locks on segments");

/** A second instance for a lock, of the same copy of the sources, attached. */
function another(lock: SharedMemoryLock): SharedMemoryLock {
  return (lock.constructor as typeof SharedMemoryLock).from(lock).load();
}

function assertTimeout(call: () => unknown): void {
  assertEquals(assertThrows(call, DOMException, "Cannot acquire").name, "TimeoutError");
}

/** What is there for a test: a lock of a copy of the sources, and processes that have loaded it by the same copy. */
interface Patient {
  readonly lock: SharedMemoryLock;
  readonly words: Words;
  /** Starts a process that finds `lock`, and the words as `data`. */
  start(code: string): Promise<Teller>;
}

/** Calls `body` with a lock for which nobody waits in slices: a wait that nobody ends lasts ten minutes. */
async function withPatience(
  changes: readonly Change[],
  body: (patient: Patient) => Promise<void>,
): Promise<void> {
  await using copy = await changedCopy([
    never("src/sync/lock_words.ts", "LOCK_SLICE", 20),
    ...changes,
  ]);
  const url = copy.url("src/sync/mod.ts");
  const Lock: typeof SharedMemoryLock = (await import(url)).SharedMemoryLock;
  using words = new Words();
  using lock = new Lock(uniqueName()).create();
  const start = (code: string): Promise<Teller> =>
    Teller.start(
      `
      const data = words();
      const lock = new (await import(${JSON.stringify(url)})).SharedMemoryLock(Deno.args[1]).load();
      ${code}
      `,
      [words.name, lock.name],
    );
  try {
    await body({ lock, words, start });
  } finally {
    lock.unlink();
  }
}

/** Who has woken a waiter does not leave the lock to it. */
const noDebts: Change = {
  file: "src/sync/attached_lock.ts",
  text: "debts.set(segment.identity, { turn: advance.turn, until, isCertain });",
  by: "",
};

// --- Greedy holders ----------------------------------------------------------------------------

/** How a process takes the lock that always wants it again, and works for a while in each section. */
const greedy = {
  "acquire()": `const guard = lock.acquire();`,
  "acquireAsync()": `const guard = await lock.acquireAsync();`,
  "tryAcquire()": `const guard = lock.tryAcquire(); if (guard === null) continue;`,
};

/** How many sections of a greedy process end while another one sleeps until it has the lock. */
async function sectionsOf(
  { words, start }: Patient,
  greedy: string,
  ours: "acquire" | "acquireAsync",
): Promise<number> {
  await using _greedy = await start(greedyProgram(greedy));
  await using waiter = await start(waitingProgram(`await lock.${ours}()`));
  return await sectionsWhileAsleep(words, waiter, ours === "acquire" ? undefined : "async");
}

for (const [theirs, code] of Object.entries(greedy)) {
  for (const ours of ["acquire", "acquireAsync"] as const) {
    Deno.test(`${ours}() is let in by a process that takes the lock again and again by ${theirs}`, () =>
      withPatience([late], async (patient) => {
        const most = await sectionsOf(patient, code, ours);
        assert(most < OFTEN, `${most} sections`);
      }));
  }
}

Deno.test("a process that lets nobody in is caught by the same harness: the control", () =>
  withPatience([late, noDebts], async (patient) => {
    assert(await sectionsOf(patient, greedy["acquire()"], "acquire") >= OFTEN);
  }));

/** Code of a process that waits as one for a lock does, and never takes it. */
const lazy = `
  const mapped = words(Deno.args[1]);
  while (true) {
    Atomics.store(mapped, ${indexOf(WAITING)}, ${ANNOUNCED});
    const turn = Atomics.load(mapped, ${indexOf(TURN)});
    console.log("ready");
    while (Atomics.load(mapped, ${indexOf(TURN)}) === turn) wait(mapped, ${indexOf(TURN)}, turn);
  }
`;

/** Takes a lock, and releases it when another process sleeps until it has it. */
async function releaseFor(teller: Teller, lock: SharedMemoryLock): Promise<void> {
  const guard = lock.acquire();
  assertEquals(await teller.line(), "ready");
  await untilWaiting(teller);
  guard.release();
}

Deno.test("a waiter that is woken is not overtaken by the one that woke it", () =>
  withPatience([], async ({ lock, start }) => {
    await using teller = await start(lazy);
    await releaseFor(teller, lock);
    for (let i = 0; i < 3; i++) {
      assertEquals(lock.tryAcquire(), null, "it is the other one's turn");
      assertTimeout(() => lock.acquire({ timeout: 0 }));
      assertTimeout(() => lock.acquire({ timeout: 1 }));
    }
    assertTimeout(() => lock.acquire({ timeout: 200 })); // only the end of the slice would let it in
  }));

Deno.test("one that is overtaken is found out: the control", () =>
  withPatience([noDebts], async ({ lock, start }) => {
    await using teller = await start(lazy);
    await releaseFor(teller, lock);
    lock.tryAcquire()!.release();
  }));

Deno.test("a waiter that is woken and does not come keeps nobody from the lock for longer than a slice", async () => {
  using words = new Words();
  using lock = new MadeLock();
  await using teller = await Teller.start(lazy, [words.name, lock.name]);
  for (let i = 0; i < 5; i++) {
    const guard = lock.acquire();
    assertEquals(await teller.line(), "ready");
    await untilWaiting(teller);
    const start = performance.now();
    guard.release();
    lock.acquire({ timeout: 60_000 * slowness }).release();
    assert(performance.now() - start >= 19.9, "but for a slice");
  }
});

/** Lets another process in, and tells whether this one can have the lock as soon as that one had it. */
async function isFreeAfterTurn({ lock, start }: Patient): Promise<boolean> {
  await using teller = await start(`
    for (let i = 0; ; i++) {
      console.log("ready");
      lock.acquire().release();
      console.log("had it");
      while (Atomics.load(data, 0) === i) wait(data, 0, i);
    }
  `);
  await releaseFor(teller, lock);
  assertEquals(await teller.line(), "had it");
  const next = lock.tryAcquire();
  next?.release();
  return next !== null;
}

Deno.test("a waiter that has had its turn is owed nothing", () =>
  withPatience([], async (patient) => {
    for (let i = 0; i < 5; i++) assertEquals(await isFreeAfterTurn(patient), true);
  }));

Deno.test("a turn that is owed for ever is found out: the control", () => {
  const change: Change = {
    file: "src/sync/attached_lock.ts",
    text: "if (writers.turn === debt.turn && monotonicNow() < debt.until) return debt;",
    by: "if (monotonicNow() < debt.until) return debt;",
  };
  return withPatience([change], async (patient) => {
    assertEquals(await isFreeAfterTurn(patient), false);
  });
});

/** How often of some times one that let a waiter in, and has the lock again, is announced. */
async function announcedAgain({ words, start }: Patient, rounds: number): Promise<number> {
  const [ROUND, ASKING, GO, LEAVE] = [0, 1, 2, 3];
  const untilRound = (word: number): string =>
    `while (Atomics.load(data, ${word}) < round) wait(data, ${word}, round - 1);`;
  await using waiter = await start(`
    for (let round = 1; ; round++) {
      ${untilRound(ROUND)}
      Atomics.store(data, ${ASKING}, round);
      const guard = lock.acquire();
      console.log("in");
      ${untilRound(LEAVE)}
      guard.release();
    }
  `);
  await using other = await start(`
    const mapped = words(Deno.args[1]);
    for (let round = 1; ; round++) {
      const first = lock.acquire();
      console.log("held");
      ${untilRound(GO)}
      first.release(); // lets the waiter in
      const second = lock.acquire();
      // The waiter's release has taken all announcements back: those who still wait have no other than this one's.
      console.log(Atomics.load(mapped, ${indexOf(WAITING)}) & ${ANNOUNCED});
      second.release();
    }
  `);
  const say = (word: number, round: number): void => {
    Atomics.store(words.data, word, round);
    notify(words.data, word);
  };
  let announced = 0;
  for (let round = 1; round <= rounds; round++) {
    assertEquals(await other.line(), "held");
    say(ROUND, round);
    await until("it asks for the lock", () => Atomics.load(words.data, ASKING) === round);
    await untilWaiting(waiter);
    say(GO, round);
    assertEquals(await waiter.line(), "in");
    await untilWaiting(other);
    say(LEAVE, round);
    announced += Number(await other.line());
  }
  return announced;
}

Deno.test("acquire() that let a waiter in announces itself before it takes the lock", () =>
  withPatience([], async (patient) => {
    assertEquals(await announcedAgain(patient, 10), 10);
  }));

Deno.test("one that does not announce itself is found out: the control", () => {
  const changes: Change[] = [
    {
      file: "src/sync/lock.ts",
      text: "if (!this.#letIn(deadline, isShared)) {",
      by: "this.#letIn(deadline, isShared);\n    {",
    },
    // It sleeps until the waiter's release, and does not see before that the waiter has the lock.
    { file: "src/sync/spin.ts", text: "const LONGEST_SPIN = 0.1;", by: "const LONGEST_SPIN = 0;" },
  ];
  return withPatience(changes, async (patient) => {
    assert(await announcedAgain(patient, 10) < 10);
  });
});

// --- Waiting for oneself -----------------------------------------------------------------------

Deno.test("acquire() without a time limit is Busy where another instance of the thread holds the lock", async () => {
  using lock = new MadeLock();
  using other = SharedMemoryLock.from(lock).load();
  const limits = [undefined, {}, { timeout: Infinity }, { timeout: 2 ** 60 }];
  {
    using _guard = lock.acquire();
    for (const limit of limits) {
      assertThrows(() => other.acquire(limit), Deno.errors.Busy, "another instance of this thread");
    }
    assertTimeout(() => other.acquire({ timeout: 30 }));
    assertTimeout(() => other.acquire({ timeout: 0 }));
    assertEquals(other.tryAcquire(), null);
  }
  const [held, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const task = async (): Promise<void> => {
    using _guard = await lock.acquireAsync();
    held.resolve();
    await over.promise;
  };
  const running = task();
  await held.promise;
  for (const limit of limits) assertThrows(() => other.acquire(limit), Deno.errors.Busy);
  assertTimeout(() => other.acquire({ timeout: 10 }));
  const asked = other.acquireAsync(); // This one does not block.
  over.resolve();
  using _theirs = await asked;
  await running;
});

Deno.test("acquire() waits for other threads and processes that hold the lock", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const lock = new SharedMemoryLock(Deno.args[0]).load();
    const guard = lock.acquire();
    console.log("held");
    dwell(100_000);
    guard.release();
    `,
    [lock.name],
  );
  assertEquals(await teller.line(), "held");
  lock.acquire().release();
});

// --- Handing over ------------------------------------------------------------------------------

/** Whether some processes that take a lock again and again come to their end, or sleep on beside a free lock. */
async function handOver(
  { words, start }: Patient,
  count: number,
  patience?: number,
): Promise<"done" | "stalled"> {
  const rounds = 60;
  const THERE = 1;
  words.data.fill(0);
  const all = await Promise.all(Array.from({ length: count }, () =>
    start(`
      Atomics.add(data, ${THERE}, 1);
      while (Atomics.load(data, ${THERE}) < ${count}) await new Promise((resume) => setTimeout(resume, 1));
      for (let i = 0; i < ${rounds}; i++) {
        const guard = await lock.acquireAsync();
        Atomics.add(data, 0, 1);
        dwell(2000);
        guard.release();
      }
    `)));
  try {
    return await progress(() => Atomics.load(words.data, 0), count * rounds, patience);
  } finally {
    for (const teller of all) await teller[Symbol.asyncDispose]();
  }
}

for (const count of [2, 3, 4]) {
  Deno.test(`acquireAsync() hands the lock over between ${count} processes without waiting for a slice`, () =>
    withPatience([], async (patient) => {
      assertEquals(await handOver(patient, count), "done");
    }));
}

Deno.test("a release that wakes nobody is found out: the control", () => {
  const change: Change = {
    file: "src/sync/attached_lock.ts",
    text: "const advance = writers.advance(1);",
    by: "const advance = null as { woken: number; turn: number } | null;",
  };
  return withPatience([change], async (patient) => {
    // One that is stopped until the other one is through never waits for it.
    for (let tries = 1; await handOver(patient, 2, SHORT_PATIENCE) !== "stalled"; tries++) {
      assert(tries < 20, "nobody ever waited");
    }
  });
});

/**
 * A task waits for the lock, a process waits behind it. The task is woken, and aborted before it has the lock: the
 * process must be woken in its place.
 */
async function abortTheFirst(
  { lock, words, start }: Patient,
  first: SharedMemoryLock,
  limit?: number,
): Promise<void> {
  const [ROUND, ASKING] = [0, 1];
  await using teller = await start(`
    for (let round = 0; ; round++) {
      while (Atomics.load(data, ${ROUND}) === round) wait(data, ${ROUND}, round);
      Atomics.store(data, ${ASKING}, round + 1);
      using _guard = lock.acquire();
      console.log("has it");
    }
  `);
  for (let round = 1; round <= 25; round++) {
    const guard = lock.acquire();
    const controller = new AbortController();
    const failing = first.acquireAsync(controller).then(
      (guard) => (guard.release(), "it has the lock"),
      (reason) => reason,
    );
    await untilWaiting({ pid: Deno.pid }, "async");
    await sleep(Math.random() * 40); // at any time of a slice, or after the first one
    Atomics.store(words.data, ROUND, round);
    notify(words.data, ROUND);
    await until("it asks for the lock", () => Atomics.load(words.data, ASKING) === round);
    await untilWaiting(teller);
    const line = teller.line();
    line.catch(() => {}); // it may be killed before
    guard.release(); // wakes the task, which came first
    controller.abort("no patience");
    assertEquals(await failing, "no patience");
    assertEquals(await inTime(line, limit), "has it");
  }
}

Deno.test("a task that was woken and is aborted wakes the next process", () =>
  withPatience([], async (patient) => {
    using first = another(patient.lock);
    await abortTheFirst(patient, first);
  }));

Deno.test("a task that sleeps in slices, was woken and is aborted wakes the next process", () =>
  withPatience([], async (patient) => {
    using first = SharedMemoryLock.from(patient.lock).load();
    await abortTheFirst(patient, first);
  }));

Deno.test("an aborted task that wakes nobody is found out: the control", () => {
  const change: Change = {
    file: "src/sync/event_count.ts",
    text: 'if (ending === "ok") this.handOn();',
    by: "",
  };
  return withPatience([change], async (patient) => {
    using first = another(patient.lock);
    await assertRejects(() => abortTheFirst(patient, first, 3000), Error, "nobody was woken");
  });
});

// --- Guards that nobody kept -------------------------------------------------------------------

Deno.test("a guard that nobody kept is told of once, with the name of the lock", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const lock = new SharedMemoryLock(Deno.args[0]).load();
    const other = SharedMemoryLock.from(lock).load();
    for (let i = 0; i < 3; i++) {
      await lock.acquireAsync();
      let next = null;
      while ((next = other.tryAcquire()) === null) {
        gc();
        await new Promise((resume) => setTimeout(resume, 5));
      }
      next.release();
    }
    (() => { lock.acquire().release(); })(); // no fault
    gc();
    await new Promise((resume) => setTimeout(resume, 50));
    Deno.exit();
    `,
    [lock.name],
    { v8Flags: ["--expose-gc"] },
  );
  const { code, errors } = await teller.end();
  assertEquals(code, 0);
  assertEquals(errors.split(`'${lock.name}'`).length - 1, 1, errors);
  assert(errors.includes("using guard = "), errors);
});

Deno.test("acquireAsync() of a lock that was unlinked while this instance held it is NotFound", async () => {
  using lock = new MadeLock();
  const guard = lock.acquire();
  const next = lock.acquireAsync();
  lock.unlink();
  guard.release();
  await assertRejects(() => next, Deno.errors.NotFound, "its name was removed");
});
