/**
 * The waits of this isolate that do not block. Many of them share one thread, which sleeps in one call of
 * `futex_waitv`.
 *
 * The kernel has no list of waits, only a queue of sleepers for each word. During the call its words stand in
 * these queues; a notification takes one out. When the call returns, all are out, and the kernel names only the
 * last one that was notified. What became of each wait follows from this:
 *
 * - A wait on the same word that stands before the named one counts as notified, too, because each queue is in order.
 *   The kernel takes the words out one after the other, beginning with the first. Who notifies several times meanwhile
 *   reaches waits that stand further back, and those before them, which were out already, end as well.
 * - If the control word is named, no other word was notified: it stands before all of them. If a word was
 *   changed before the control word was touched, nobody notified it, and its wait goes on.
 * - In the moments before the words are in the queues, and after they are out, nobody can notify them. A word that
 *   was changed then counts as notified, because a notification usually follows.
 *
 * A notification for a wait that was aborted, closed or moved meanwhile is handed on to the next waiter.
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
import { hasCode } from "../../ffi/errors.ts";
import { FAMILIAR_FRAMES, isDetached, needStack, UNFAMILIAR_FRAMES } from "../check.ts";
import { badResource } from "../errors.ts";
import { onClose } from "../segment/mod.ts";

/** A word of shared memory that is waited on. */
export interface WaitedWord {
  readonly array: Int32Array<ArrayBuffer>;
  readonly index: number;
  /** Where the word is in the memory of this process. */
  readonly address: number;
  /** The identity of the word, the same for all mappings of its segment. */
  readonly key: string;
}

/** How a wait ended. */
export type Ending = "ok" | "timed-out";

/** Why a wait is to end, though the kernel has not said so. */
type Reason =
  | { readonly kind: "closed" }
  /**
   * `number`: that of the first wait that began after the notification, where the kernel has no other wait that it
   * could be handed on to; else `Infinity`.
   */
  | { readonly kind: "notified"; readonly number: number }
  | { readonly kind: "aborted"; readonly reason: unknown };

/** Ends waits when it is time: a thread that sleeps for them, or a timer. */
interface Waker {
  add(wait: PendingWait): void;
  /** Asks it to look at the reasons of its waits. */
  poke(): void;
}

/** How much of the stack a wait needs before it begins. It is less when all functions have been called once. */
let framesNeeded = UNFAMILIAR_FRAMES;

/** How many waits there have been. */
let waitsBegun = 0;

/** A wait that has not ended. */
class PendingWait {
  readonly word: WaitedWord;
  /** The value that the word has. */
  readonly expected: number;
  /** When to give up, by the kernel's monotonic clock. */
  readonly deadline: number;
  readonly resolve: (ending: Ending) => void;
  readonly reject: (reason: unknown) => void;
  /** Waits are numbered in the order in which they began. */
  readonly number = ++waitsBegun;
  /** Why it is to end; `null` as long as it is not. */
  reason: Reason | null = null;
  isOver = false;
  /** Whether the word may stand in the kernel's queue. */
  isQueued = false;
  /** Whether this thread has notified waits on the word, and this one may be meant. */
  isMeant = false;
  waker!: Waker;
  /**
   * The value at which the kernel lets it sleep on: the last value that is known to have come without a
   * notification.
   */
  armed: number;
  /** The value that the word had when its thread was called back. */
  sample = 0;
  /** The moment from which on another value than the expected one counts as a notification that was not seen. */
  doubtUntil = Infinity;
  readonly #undo: (() => void)[] = [];

  constructor(
    word: WaitedWord,
    expected: number,
    deadline: number,
    resolve: (ending: Ending) => void,
    reject: (reason: unknown) => void,
  ) {
    this.word = word;
    this.expected = expected;
    this.deadline = deadline;
    this.resolve = resolve;
    this.reject = reject;
    this.armed = expected;
  }

  /** Adds an action that is called when the wait is over. */
  undoLater(action: () => void): void {
    this.#undo.push(action);
  }

  /** Gives the wait a reason to end; the first one counts. */
  end(reason: Reason): void {
    if (this.reason !== null || this.isOver) return;
    // If the stack ended between the two, nobody would see the reason, and the wait would never end.
    needStack(FAMILIAR_FRAMES);
    this.reason = reason;
    this.waker.poke();
  }

  /** Whether the array is gone; its memory must not be looked at any more. */
  isClosed(): boolean {
    // A buffer that the program moved away was not closed here, but its memory is gone all the same.
    return this.reason?.kind === "closed" || isDetached(this.word.array.buffer);
  }

  /** Whether a notification is for it: nothing else ends it. */
  isWaiting(): boolean {
    return !this.isOver && this.reason === null && !this.isClosed();
  }

  /** The value that the word has now. */
  value(): number {
    return Atomics.load(this.word.array, this.word.index);
  }

  hasChanged(): boolean {
    return this.value() !== this.armed;
  }

  /** Settles the wait. */
  settle(ending: Ending): void {
    this.#isOver();
    this.resolve(ending);
  }

  /** Settles the wait by its reason. A wait that was notified is "ok", whatever came after that. */
  settleByReason(): void {
    const { reason } = this;
    if (reason?.kind === "notified") return this.settle("ok");
    this.#isOver();
    this.reject(
      reason?.kind === "aborted" ? reason.reason : badResource(
        "Cannot wait any longer: " +
          (reason === null
            ? "the array's buffer was transferred meanwhile, and the memory with it"
            : "the array was closed meanwhile"),
      ),
    );
  }

  #isOver(): void {
    framesNeeded = FAMILIAR_FRAMES;
    this.isOver = true;
    for (const action of this.#undo) action();
  }
}

/** The waits of this isolate by the word that they wait on, in the order in which they began. */
const byWord = new Map<string, Set<PendingWait>>();

/**
 * Begins a wait that does not block.
 *
 * @param word the word
 * @param expected the value that it has
 * @param timeout the time limit in milliseconds
 * @param signal aborts the wait
 * @returns how the wait ended; rejected if it was aborted or the array was closed
 */
export function beginWait(
  word: WaitedWord,
  expected: number,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  needStack(framesNeeded);
  const { promise, resolve, reject } = Promise.withResolvers<Ending>();
  const deadline = timeout === Infinity ? Infinity : monotonicNow() + timeout;
  const wait = new PendingWait(word, expected, deadline, resolve, reject);
  const { key, array } = word;
  const same = byWord.get(key) ?? new Set();
  byWord.set(key, same.add(wait));
  wait.undoLater(() => {
    same.delete(wait);
    if (same.size === 0) byWord.delete(key);
  });
  wait.undoLater(onClose(array.buffer, () => {
    // It may have been notified just now, and another wait would sleep on. That one must be woken now: later
    // there is no address any more.
    if (wait.isWaiting() && wait.hasChanged()) handOn(wait, array.buffer);
    wait.end({ kind: "closed" });
  }));
  if (signal !== undefined) {
    const abort = (): void => wait.end({ kind: "aborted", reason: signal.reason });
    signal.addEventListener("abort", abort, { once: true });
    wait.undoLater(() => signal.removeEventListener("abort", abort));
  }
  wakerOfNext().add(wait);
  return promise;
}

/** Whether any wait of this isolate is pending. */
export function areWaitsPending(): boolean {
  return byWord.size > 0;
}

/**
 * Notifies waits of this isolate that the kernel could not: they stand in none of its queues yet, or not any more.
 *
 * @param key which word
 * @param most how many waits were to be notified
 * @param woken how many of all processes the kernel has notified before, which were fewer: all that it knew
 * @returns how many more are notified
 */
export function notifyOwn(key: string, most: number, woken: number): number {
  const waiting = [...byWord.get(key) ?? []].filter((wait) => wait.isWaiting());
  // Some of these may be among those that the kernel has woken, and then hand their notification on.
  const number = waitsBegun + 1;
  for (const wait of waiting.slice(0, most - woken)) wait.end({ kind: "notified", number });
  const queued = waiting.filter(({ isQueued }) => isQueued).length;
  return Math.min(most - woken, waiting.length - Math.min(queued, woken));
}

/**
 * Notes that this thread has notified waits on a word through the kernel. Which waits of this isolate were
 * notified becomes known later; until then they may be aborted or closed.
 *
 * @param key which word
 */
export function noteNotified(key: string): void {
  for (const wait of byWord.get(key) ?? []) if (wait.isWaiting()) wait.isMeant = wait.isQueued;
}

/**
 * Hands on a notification that a wait cannot use: to another wait of this isolate on the same word, or to one
 * that the kernel chooses.
 *
 * @param wait the wait that had it
 * @param closing the buffer that is being closed, whose waits can use none
 */
function handOn(wait: PendingWait, closing?: ArrayBuffer): void {
  const { word: { key, address }, reason } = wait;
  const number = reason?.kind === "notified" ? reason.number : Infinity;
  for (const other of byWord.get(key) ?? []) {
    // A notification for all that waited is not for those that came later.
    if (other.number >= number) break;
    if (!other.isWaiting() || other.word.array.buffer === closing) continue;
    // The kernel may have notified this one, too: then it hands on in its turn.
    other.end({ kind: "notified", number });
    return;
  }
  // notifyOwn() notifies waits only where the kernel has none left.
  if (number !== Infinity) return;
  try {
    futexWake(BigInt(address), 1);
  } catch (error) {
    if (!hasCode(error, "EFAULT")) throw error; // The array was closed, and nothing is mapped there any more.
  }
}

// --- Threads that sleep ----------------------------------------------------------------------

/** How many waits share a thread: one word of its call is the control word. */
const WAITS_PER_THREAD = MOST_WORDS - 1;

/**
 * How many threads are used at the most. Deno's pool has 32 for an isolate, and asynchronous file reads need
 * some. For further waits a timer looks every millisecond.
 */
const MOST_THREADS = 8;

/**
 * How long a thread that was called back may take, in milliseconds. If it takes longer, it has not begun: all threads
 * of the runtime's pool are taken by something else.
 */
const CALL_BACK_TIME = 30;

/**
 * How long before its time is up a thread is called back, in milliseconds, if its calls must be short: after a call
 * that was called back, it is known what was notified.
 */
const AHEAD = CALL_BACK_TIME + 5;

/**
 * How long a wait stays in doubt, in milliseconds. When one wait on a word was notified, and the word has another value
 * now, it cannot be told whether a second notification came for the next wait before that one was in the queue again.
 * If it did, the value is usually still there after this time, and the wait ends.
 */
const DOUBT = 1500;

/** After how many calls that failed for no visible reason a thread is given up. */
const MOST_FAILURES = 16;

/** One thread, and the waits that share it. */
class SleepingThread implements Waker {
  readonly #control = new ControlWord();
  readonly #vector = new FutexVector(() => this.#control.bump());
  #waits: PendingWait[] = [];
  /** The waits of the call that is under way, in the order of its words. */
  #queued: readonly PendingWait[] = [];
  #isUnderWay = false;
  #isSettling = false;
  /** When the call was called back; `Infinity` if it was not. */
  #calledBackAt = Infinity;
  #isStalled = false;
  #failures = 0;
  /** Calls the thread back when something is due. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Fires when the thread should have come back. */
  #stallTimer: ReturnType<typeof setTimeout> | undefined;

  /** Whether this thread can take one more wait. */
  get hasRoom(): boolean {
    return !this.#isStalled && this.#waits.length < WAITS_PER_THREAD;
  }

  /** Whether the runtime has no thread to give. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  add(wait: PendingWait): void {
    const { starting } = this.#vector;
    if (starting !== null) {
      looking.add(wait);
      if (!this.#isStalled) starting.then(() => this.#begin());
      this.#isStalled = true;
      return;
    }
    wait.waker = this;
    this.#waits.push(wait);
    if (this.#isUnderWay) this.poke();
    else this.#run();
  }

  /** Takes the waits that have come while the thread was starting; what is too much for it, further threads take. */
  #begin(): void {
    this.#isStalled = false;
    for (const wait of looking.give(Infinity)) wakerOfNext().add(wait);
  }

  poke(): void {
    if (!this.#isUnderWay || this.#isSettling || this.#calledBackAt !== Infinity) return;
    this.#calledBackAt = monotonicNow();
    for (const wait of this.#queued) if (wait.isWaiting()) wait.sample = wait.value();
    this.#control.bump();
    // When this fires, the event loop may have been busy: the call may have returned, and its promise not yet
    // been settled.
    const look = (): void => {
      this.#stallTimer = setTimeout(() => this.#stall(), 1);
    };
    this.#stallTimer = setTimeout(look, CALL_BACK_TIME);
  }

  async #run(): Promise<void> {
    this.#isUnderWay = true;
    try {
      while (this.#waits.length > 0) {
        const limit = this.#prepare();
        const woken = await this.#vector.wait(limit);
        const isExplained = woken >= 0 || this.#calledBackAt !== Infinity ||
          monotonicNow() >= limit;
        const isAnyEnded = this.#settle(woken);
        if (isExplained || isAnyEnded) this.#failures = 0;
        else if (++this.#failures > MOST_FAILURES) break;
      }
    } finally {
      this.#isUnderWay = false;
      // Waits are left only if the thread does not work. Then a timer looks at them.
      if (this.#waits.length > 0) {
        threads.splice(threads.indexOf(this), 1);
        this.#letOthersLook();
      }
    }
  }

  /** Makes the list of words for the next call; returns when the kernel is to end it. */
  #prepare(): number {
    const now = monotonicNow();
    const { longestWait } = this.#vector;
    this.#vector.clear();
    this.#control.pushTo(this.#vector);
    this.#queued = [...this.#waits];
    this.#calledBackAt = Infinity;
    let next = longestWait < 1000 ? now + longestWait - AHEAD : Infinity;
    for (const wait of this.#queued) {
      wait.isQueued = true;
      wait.isMeant = false;
      this.#vector.push(wait.word.address, wait.armed);
      next = Math.min(next, wait.deadline, wait.doubtUntil);
    }
    if (next !== Infinity) {
      const rest = Math.min(Math.ceil(Math.max(0, next - now)), LONGEST_TIMER);
      this.#timer = setTimeout(() => this.poke(), rest);
    }
    return now + longestWait;
  }

  /**
   * Settles what has ended when a call has returned.
   *
   * @param woken the position of the last word that was notified, in a list that begins with the control word; -1
   * if none was
   * @returns whether any wait has ended
   */
  #settle(woken: number): boolean {
    clearTimeout(this.#timer);
    clearTimeout(this.#stallTimer);
    const wasStalled = this.#isStalled;
    this.#isStalled = false;
    this.#isSettling = true;
    const queued = this.#queued;
    this.#queued = [];
    const last = woken - 1; // the control word stands before the waits
    const namedKey = queued[last]?.word.key;
    /** Waits that were notified, but cannot use the notification. */
    const useless: PendingWait[] = [];
    queued.forEach((wait, i) => {
      wait.isQueued = false;
      const isNotified = i <= last && wait.word.key === namedKey;
      if (isNotified) this.#settleNotified(wait, useless);
      else if (wait.waker === this && !wait.isOver) {
        if (wait.isWaiting()) this.#settleOther(wait, woken, namedKey);
        else {
          // It may have been notified although the kernel did not name it.
          if (wait.reason?.kind === "aborted" && i < last && isChangedOpen(wait)) {
            useless.push(wait);
          }
          wait.settleByReason();
        }
      }
    });
    for (const wait of useless) handOn(wait);
    // Waits that were added meanwhile may have been aborted or closed. Waits that are left may get a
    // notification from others.
    for (const wait of this.#waits) {
      if (!wait.isOver && !wait.isWaiting()) wait.settleByReason();
    }
    const pending = this.#waits.filter(({ isOver }) => !isOver);
    const isAnyEnded = pending.length < this.#waits.length;
    this.#waits = pending;
    this.#isSettling = false;
    if (wasStalled) {
      // There is a thread again, or there was one all the time, and it was slow.
      for (const wait of looking.give(WAITS_PER_THREAD - pending.length)) {
        wait.waker = this;
        pending.push(wait);
      }
    }
    return isAnyEnded;
  }

  /** Settles a wait that the kernel has notified. */
  #settleNotified(wait: PendingWait, useless: PendingWait[]): void {
    if (wait.isMeant && wait.reason?.kind !== "notified" && !wait.isOver) {
      wait.settle("ok"); // It was notified first, and aborted or closed afterwards.
    } else if (!wait.isWaiting()) {
      useless.push(wait);
      if (!wait.isOver) wait.settleByReason();
    } else if (wait.waker === this) {
      wait.settle("ok");
    } else {
      wait.end({ kind: "notified", number: Infinity }); // The timer looks at it since the thread was stalled.
    }
  }

  /** Settles a wait that the kernel has not named, if it has ended. */
  #settleOther(wait: PendingWait, woken: number, namedKey: string | undefined): void {
    const { deadline, expected } = wait;
    const value = wait.value();
    if (woken === 0 && this.#calledBackAt !== Infinity) {
      // No word was notified up to the call-back.
      if (deadline <= this.#calledBackAt) return wait.settle("timed-out");
      if (value !== wait.sample) return wait.settle("ok");
    } else if (value !== wait.armed) {
      if (wait.word.key !== namedKey) return wait.settle("ok");
      if (wait.doubtUntil === Infinity) wait.doubtUntil = monotonicNow() + DOUBT;
    }
    const now = monotonicNow();
    if (deadline <= now) return wait.settle("timed-out");
    if (wait.doubtUntil <= now) {
      if (value !== expected) return wait.settle("ok");
      wait.doubtUntil = Infinity;
    }
    wait.armed = value;
  }

  /** Gives up the thread, which was called back and did not come: the runtime has none to give. */
  #stall(): void {
    this.#isStalled = true;
    this.#letOthersLook();
  }

  /** Leaves the waits to the timer that looks every millisecond. */
  #letOthersLook(): void {
    const waits = this.#waits;
    this.#waits = [];
    for (const wait of waits) {
      wait.isQueued = false;
      looking.add(wait);
    }
    looking.poke();
  }
}

/** Whether the array of a wait is open, and its word has another value. */
function isChangedOpen(wait: PendingWait): boolean {
  return !wait.isClosed() && wait.hasChanged();
}

/** The longest time that `setTimeout` takes. */
const LONGEST_TIMER = 2 ** 31 - 1;

const threads: SleepingThread[] = [];

/** The thread or timer that the next wait is given to. */
function wakerOfNext(): Waker {
  if (!hasFutexWaitMany() || threads.some(({ isStalled }) => isStalled)) return looking;
  let thread = threads.find(({ hasRoom }) => hasRoom);
  if (thread === undefined) {
    if (threads.length === MOST_THREADS) return looking;
    thread = new SleepingThread();
    threads.push(thread);
  }
  return thread;
}

// --- Looking again and again -----------------------------------------------------------------

/** Waits for which no thread sleeps: a timer looks at them every millisecond. It sees changed values only. */
class Looking implements Waker {
  readonly #waits = new Set<PendingWait>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  add(wait: PendingWait): void {
    wait.waker = this;
    this.#waits.add(wait);
    this.#timer ??= setTimeout(() => this.#look(), 1);
  }

  poke(): void {
    clearTimeout(this.#timer);
    this.#look();
  }

  /** Gives waits away, to a thread that can sleep for them. */
  give(most: number): PendingWait[] {
    const given = [...this.#waits].filter((wait) => wait.isWaiting()).slice(0, most);
    for (const wait of given) this.#waits.delete(wait);
    if (this.#waits.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    return given;
  }

  #look(): void {
    this.#timer = undefined;
    const now = monotonicNow();
    for (const wait of this.#waits) {
      if (!wait.isWaiting()) wait.settleByReason();
      else if (wait.hasChanged()) wait.settle("ok");
      else if (wait.deadline <= now) wait.settle("timed-out");
      else continue;
      this.#waits.delete(wait);
    }
    if (this.#waits.size > 0) this.#timer ??= setTimeout(() => this.#look(), 1);
  }
}

const looking = new Looking();
