/**
 * The waits of this isolate that do not block: many of them share one thread, which sleeps in one call of
 * `futex_waitv`.
 *
 * Every wait is settled when that call has returned, never before: only then is it known whether the
 * kernel woke it, and only then is nothing left running when a test or a program ends.
 *
 * @module
 */

import {
  ControlWord,
  FutexVector,
  futexWake,
  hasFutexWaitMany,
  monotonicNow,
  MOST_WORDS,
} from "../../ffi/futex.ts";
import { isDetached } from "../check.ts";
import { badResource } from "../errors.ts";
import { onClose } from "../segment/mod.ts";

/** A word of shared memory. */
export interface Place {
  readonly array: Int32Array<ArrayBuffer>;
  readonly index: number;
  /** Where the word is in the memory of this process. */
  readonly address: number;
  /** Which word it is, whatever mapping leads to it. */
  readonly key: string;
}

/** How a wait ended. */
export type Ending = "ok" | "timed-out";

/** Why a wait is to end, though the kernel has not said so. */
type Reason =
  | { readonly kind: "closed" }
  /** `isCounted`: the kernel was asked to wake it, too. */
  | { readonly kind: "notified"; readonly isCounted: boolean }
  | { readonly kind: "aborted"; readonly reason: unknown };

/** What has a wait ended: a thread that sleeps for it, or a timer. */
interface Owner {
  add(wait: PendingWait): void;
  /** Has the reasons of the waits looked at. */
  poke(): void;
}

/** A wait that has not ended. */
class PendingWait {
  /** Why it is to end; `null` as long as it is not. */
  reason: Reason | null = null;
  owner!: Owner;
  readonly #undo: (() => void)[] = [];

  constructor(
    readonly place: Place,
    readonly expected: number,
    /** When to give up, by the kernel's monotonic clock. */
    readonly deadline: number,
    readonly resolve: (ending: Ending) => void,
    readonly reject: (reason: unknown) => void,
  ) {}

  /** Notes what is to be undone when the wait is over. */
  undoLater(action: () => void): void {
    this.#undo.push(action);
  }

  /** Gives the wait a reason to end; the first one counts. */
  end(reason: Reason): void {
    if (this.reason !== null) return;
    this.reason = reason;
    this.owner.poke();
  }

  /** Whether the array is gone; its memory must not be looked at any more. */
  isClosed(): boolean {
    // A buffer that its user moved away is not closed by us, and not to be had any more all the same.
    return this.reason?.kind === "closed" || isDetached(this.place.array.buffer);
  }

  hasChanged(): boolean {
    const { array, index } = this.place;
    return Atomics.load(array, index) !== this.expected;
  }

  /** Settles the wait by what the kernel said. */
  settle(ending: Ending): void {
    this.#isOver();
    this.resolve(ending);
  }

  /** Settles the wait by its reason. */
  settleByReason(): void {
    this.#isOver();
    const { reason } = this;
    if (this.isClosed()) {
      this.reject(
        badResource("Cannot wait any longer: the array was closed meanwhile"),
      );
    } else if (reason?.kind === "aborted") {
      this.reject(reason.reason);
    } else {
      this.resolve("ok");
    }
  }

  #isOver(): void {
    for (const action of this.#undo) action();
  }
}

/** The waits of this isolate by the word that they wait on; who came first stands first. */
const byWord = new Map<string, Set<PendingWait>>();

/**
 * Begins a wait that does not block.
 *
 * @param place the word
 * @param expected the value that it has
 * @param timeout the time limit in milliseconds
 * @param signal aborts the wait
 * @returns how the wait ended; rejected if it was aborted or the array was closed
 */
export function beginWait(
  place: Place,
  expected: number,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  const { promise, resolve, reject } = Promise.withResolvers<Ending>();
  const deadline = timeout === Infinity ? Infinity : monotonicNow() + timeout;
  const wait = new PendingWait(place, expected, deadline, resolve, reject);
  const { key, address, array } = place;
  const same = byWord.get(key) ?? new Set();
  byWord.set(key, same.add(wait));
  wait.undoLater(() => {
    same.delete(wait);
    if (same.size === 0) byWord.delete(key);
  });
  wait.undoLater(onClose(array.buffer, () => {
    // It may have been woken just now, in the place of another, which would sleep on.
    if (!wait.isClosed() && wait.hasChanged()) wakeOthers(address);
    wait.end({ kind: "closed" });
  }));
  if (signal !== undefined) {
    const abort = (): void => wait.end({ kind: "aborted", reason: signal.reason });
    signal.addEventListener("abort", abort, { once: true });
    wait.undoLater(() => signal.removeEventListener("abort", abort));
  }
  ownerOfNext().add(wait);
  return promise;
}

/** Whether any wait of this isolate is pending. */
export function areWaitsPending(): boolean {
  return byWord.size > 0;
}

/**
 * Wakes waits of this isolate on a word, those that came first.
 *
 * @param key which word
 * @param count how many at the most
 * @returns how many
 */
export function wakeOwn(key: string, count: number): number {
  const waiting = [...byWord.get(key) ?? []].filter(({ reason }) => reason === null);
  const woken = waiting.slice(0, count);
  // With some notifications left the kernel is asked next, which has these waits in its queue still.
  for (const wait of woken) wait.end({ kind: "notified", isCounted: woken.length < count });
  return woken.length;
}

/** Hands a notification on that a wait took which is not to have it. */
function wakeOthers(address: number): void {
  if (hasFutexWaitMany()) futexWake(BigInt(address), 1);
}

// --- Threads that sleep ----------------------------------------------------------------------

/** How many waits share a thread: one word of its call is the control word. */
const WAITS_PER_THREAD = MOST_WORDS - 1;

/**
 * How many threads are used at the most. Deno's pool has 32 for an isolate, and asynchronous file reads
 * want theirs. Waits beyond that are looked at every millisecond.
 */
const MOST_THREADS = 8;

/**
 * How long a thread sleeps at a time, in milliseconds. A Worker that is terminated leaves its thread
 * asleep, and what that one takes of notifications is lost: so it must end some time.
 */
const SLICE = 2000;

/** After how many calls that failed for no visible reason a thread is given up. */
const MOST_FAILURES = 16;

/** One thread, and the waits that share it. */
class SleepingThread implements Owner {
  readonly #control = new ControlWord();
  readonly #vector = new FutexVector(() => this.#control.bump());
  #waits: PendingWait[] = [];
  #isAsleep = false;
  #isPoked = false;
  #failures = 0;

  get hasRoom(): boolean {
    return this.#waits.length < WAITS_PER_THREAD;
  }

  add(wait: PendingWait): void {
    wait.owner = this;
    this.#waits.push(wait);
    if (this.#isAsleep) this.poke();
    else this.#run();
  }

  poke(): void {
    if (!this.#isAsleep || this.#isPoked) return;
    this.#isPoked = true;
    this.#control.bump();
  }

  async #run(): Promise<void> {
    this.#isAsleep = true;
    while (this.#waits.length > 0) {
      let end = monotonicNow() + SLICE;
      this.#vector.clear();
      this.#control.pushTo(this.#vector);
      for (const { place, expected, deadline } of this.#waits) {
        this.#vector.push(place.address, expected);
        if (deadline < end) end = deadline;
      }
      const woken = await this.#vector.wait(end);
      const isExplained = woken >= 0 || this.#isPoked;
      this.#isPoked = false;
      const isSettled = this.#settle(woken);
      if (isExplained || isSettled || monotonicNow() >= end) this.#failures = 0;
      else if (++this.#failures > MOST_FAILURES) this.#giveUp();
    }
    this.#isAsleep = false;
  }

  /**
   * Settles what has ended. The kernel tells only the last word that it woke. Waits on one word stand in
   * its queue in the order of the list, so all before that one on the same word were woken, too; of other
   * words it is unknown, but a changed value tells it. Waits that were added meanwhile stand behind.
   *
   * @param woken what the call returned
   * @returns whether any has ended
   */
  #settle(woken: number): boolean {
    const now = monotonicNow();
    const last = woken - 1; // the control word stands before the waits
    const wokenKey = this.#waits[last]?.place.key;
    const pending: PendingWait[] = [];
    this.#waits.forEach((wait, i) => {
      const { place, reason, deadline } = wait;
      const isClosed = wait.isClosed();
      const isWoken = i <= last && place.key === wokenKey;
      const isChanged = !isClosed && wait.hasChanged();
      if (isClosed || reason !== null) wait.settleByReason();
      else if (isWoken || isChanged) wait.settle("ok");
      else if (deadline <= now) wait.settle("timed-out");
      else pending.push(wait);
      if (isClosed || reason === null || (reason.kind === "notified" && reason.isCounted)) return;
      // It may have been woken in the place of another, which would sleep on.
      if (isWoken || (isChanged && i < last)) wakeOthers(place.address);
    });
    const isAnyEnded = pending.length < this.#waits.length;
    this.#waits = pending;
    return isAnyEnded;
  }

  /** Has the waits looked at in the other way. */
  #giveUp(): void {
    threads.splice(threads.indexOf(this), 1);
    for (const wait of this.#waits) looking.add(wait);
    this.#waits = [];
  }
}

const threads: SleepingThread[] = [];

/** What the next wait is given to. */
function ownerOfNext(): Owner {
  if (!isVectorUsed || !hasFutexWaitMany()) return looking;
  let thread = threads.find(({ hasRoom }) => hasRoom);
  if (thread === undefined) {
    if (threads.length === MOST_THREADS) return looking;
    thread = new SleepingThread();
    threads.push(thread);
  }
  return thread;
}

// --- Looking again and again -----------------------------------------------------------------

/** The waits that no thread sleeps for: a timer looks at them every millisecond. */
class Looking implements Owner {
  readonly #waits = new Set<PendingWait>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  add(wait: PendingWait): void {
    wait.owner = this;
    this.#waits.add(wait);
    this.#timer ??= setTimeout(() => this.#look(), 1);
  }

  poke(): void {
    clearTimeout(this.#timer);
    this.#look();
  }

  #look(): void {
    this.#timer = undefined;
    const now = monotonicNow();
    for (const wait of this.#waits) {
      if (wait.reason !== null || wait.isClosed()) wait.settleByReason();
      else if (wait.hasChanged()) wait.settle("ok");
      else if (wait.deadline <= now) wait.settle("timed-out");
      else continue;
      this.#waits.delete(wait);
    }
    if (this.#waits.size > 0) this.#timer = setTimeout(() => this.#look(), 1);
  }
}

const looking = new Looking();

let isVectorUsed = true;

/**
 * For tests: has later waits done as a kernel without `futex_waitv` makes it necessary.
 *
 * @param used whether the call may be used
 */
export function useVector(used: boolean): void {
  isVectorUsed = used;
}
