// What acquireAsync() owes to waiters that this thread has let in, and what a short time limit leaves it.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { LockGuard, SharedMemoryLock } from "@shm/array/sync";
import { ANNOUNCED, indexOf, LOCK_SLICE, WAITING, wordsOf } from "../../src/sync/lock_words.ts";
import { SharedMemory } from "@shm/array";
import { inTime } from "../helpers/changed_copy.ts";
import { uniqueName } from "../helpers/helpers.ts";
import { Teller, untilWaiting } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "locks on segments");

/** Calls `body` with a lock that is gone afterwards, and with the words of its segment. */
async function withLock(
  body: (lock: SharedMemoryLock, words: Int32Array) => Promise<void>,
): Promise<void> {
  using lock = new SharedMemoryLock(uniqueName()).create();
  using memory = SharedMemory.open(lock.name);
  try {
    await body(lock, wordsOf(memory.buf!));
  } finally {
    lock.unlink();
  }
}

Deno.test("acquireAsync({ timeout: 0 }) has its try, although one that was announced has gone", () =>
  withLock(async (lock, words) => {
    for (const timeout of [0, 0.5, 1]) {
      for (const shared of [false, true]) {
        // A waiter that gave up leaves its announcement.
        Atomics.or(words, indexOf(WAITING), ANNOUNCED);
        lock.acquire().release();
        (await lock.acquireAsync({ timeout, shared })).release();
      }
    }
    // Taken out (the condition that asks for `isCertain`): a TimeoutError, at the first one.
    const guard = lock.acquire();
    await assertRejects(() => lock.acquireAsync({ timeout: 0 }), DOMException, "time is up");
    guard.release();
  }));

Deno.test("acquireAsync() that gives up leaves the turn to the waiter that was let in", () =>
  withLock(async (lock) => {
    // It is woken, and does not come.
    await using teller = await Teller.start(
      `
      const [TURN, WAITING] = [0, 1];
      const data = words();
      while (true) {
        Atomics.store(data, WAITING, 1);
        const turn = Atomics.load(data, TURN);
        console.log("ready");
        while (Atomics.load(data, TURN) === turn) wait(data, TURN, turn);
      }
      `,
      [lock.name],
    );
    let early = 0;
    for (let i = 0; i < 400 && early < 5; i++) {
      const guard = lock.acquire();
      assertEquals(await teller.line(), "ready");
      await untilWaiting(teller);
      const start = performance.now();
      guard.release();
      const first = await lock.acquireAsync({ timeout: 0 }).catch((error) => error);
      if (first instanceof LockGuard) first.release();
      const taken = lock.tryAcquire();
      // Where that took a slice, on a busy machine, the turn of the other one was over.
      if (performance.now() - start < LOCK_SLICE) {
        early++;
        assertEquals(first.name, "TimeoutError");
        // Taken out (the debt stays where the sleep was given up): it has the lock.
        assertEquals(taken, null, "it is the other one's turn");
      }
      taken?.release();
    }
    assert(early > 0);
    // The control: what was not let in by this thread is owed nothing.
    using other = new SharedMemoryLock(uniqueName()).create();
    other.acquire().release();
    other.tryAcquire()!.release();
    other.unlink();
  }));

/** Gives a lock's name to another segment, to which the lock goes over while a call leaves it to one that has gone. */
async function moveDuringCourtesy(
  lock: SharedMemoryLock,
  words: Int32Array,
  timeout: number,
  before: (() => Promise<void>) | null,
): Promise<"acquired" | "too late" | "no courtesy"> {
  Atomics.or(words, indexOf(WAITING), ANNOUNCED); // A waiter that gave up leaves its announcement.
  const start = performance.now();
  lock.acquire().release();
  const call = lock.acquireAsync({ timeout }).then((guard) => {
    guard.release();
    return "acquired" as const;
  }, (error) => {
    assertEquals(error.name, "TimeoutError");
    return "too late" as const;
  });
  // A machine that is busy just now leaves the call nobody to whom it could leave the lock.
  const hasCourtesy = performance.now() - start < LOCK_SLICE;
  // The call sleeps where the lock was, or is about to.
  if (before !== null) await before();
  lock.unlink();
  using _next = new SharedMemoryLock(lock.name).create();
  const guard = lock.tryAcquire();
  try {
    const end = await inTime(call);
    return hasCourtesy || end === "too late" ? end : "no courtesy";
  } finally {
    guard?.release();
  }
}

Deno.test("acquireAsync() keeps its time limit when its instance goes over to the next lock", async () => {
  const ends: string[] = [];
  while (ends.at(-1) !== "too late") {
    await withLock(async (lock, words) => {
      // Taken out (the `finally` of its courtesy): "nobody was woken".
      ends.push(await moveDuringCourtesy(lock, words, 50, null));
      // The control: who has the guard gives it back.
      (await lock.acquireAsync({ timeout: 50 })).release();
    });
    assert(!ends.includes("acquired") && ends.length < 100, ends.join());
  }
});

Deno.test("acquireAsync() keeps a time limit that ends just before its instance goes over", async () => {
  for (let i = 0; i < 20; i++) {
    await withLock(async (lock, words) => {
      const start = performance.now();
      // The timer of the limit comes first. Taken out (the look at the time before a wait for a guard): "nobody was
      // woken" in most runs.
      await moveDuringCourtesy(lock, words, 0.5, async () => {
        while (performance.now() - start < 0.6);
        await new Promise((resume) => setTimeout(resume, 0));
      });
    });
  }
});

Deno.test("acquireAsync() that is aborted says so, although its instance has just gone over to the next lock", () =>
  withLock(async (lock) => {
    using other = new SharedMemoryLock(lock.name).load();
    using _held = other.acquire();
    const abortion = new AbortController();
    const reason = new Error("no more");
    const call = lock.acquireAsync({ signal: abortion.signal });
    const patient = lock.acquireAsync({ timeout: 60_000 });
    const ended = assertRejects(() => call, Error);
    await new Promise((resume) => setTimeout(resume, 30)); // it sleeps
    lock.unlink();
    using _next = new SharedMemoryLock(lock.name).create();
    const guard = lock.tryAcquire()!; // the segment where the call sleeps is closed
    abortion.abort(reason);
    // Taken out (the look at the signal where the sleep has failed): BadResource.
    assertEquals(await ended, reason);
    // The control: one that is not aborted goes over, too.
    guard.release();
    (await patient).release();
  }));
