/**
 * Sleeping until something in shared memory has changed: one way for locks, for publications, and for what
 * comes later.
 *
 * A word `TURN` counts the changes that a process waited for. A waiter announces itself, looks again, and
 * sleeps on `TURN` as long as that has the value of the announcement. A process that changes something looks
 * afterwards whether a waiter is announced; if so, it advances `TURN` and wakes. So either the waiter's look
 * sees the change, or the changer sees the announcement, and the turn in which the waiter goes to sleep is
 * over.
 *
 * There are two ways to announce oneself. Both are part of the layout of segments, and cannot change:
 *
 * - in a word of its own, `WAITING` (locks): the waiter loads `TURN`, then sets bit 0 of `WAITING`, and bit 1, too, if
 *   all sleepers are to be woken where it sleeps. In the other order it could load the turn that its own announcement
 *   began, and sleep through it unannounced. The changer clears both bits by an atomic "and", and adds 1 to `TURN`. The
 *   other bits are not this file's.
 * - in bit 0 of `TURN` (publications): the waiter sets the bit by an atomic "or", which gives it the turn, too. The
 *   changer adds 1 to `TURN`, by which the bit is cleared and the bits above it count.
 *
 * No sleep is longer than a slice that its caller gives: a process that is killed between its change and the waking
 * wakes nobody. `tests/model/` has models of all of this, with the same names and the same order.
 *
 * @module
 */

import { monotonicNow, realTimeNow } from "../../ffi/futex.ts";
import { sleep } from "../process/parent.ts";
import { LOOKS, Spin } from "./spin.ts";
import { notify, wait, waitAsync, type WaitResult } from "./wait.ts";

/** The moment, by the kernel's monotonic clock, at which a time limit of so many milliseconds ends. */
export function deadlineOf(timeout: number): number {
  return timeout === Infinity ? Infinity : monotonicNow() + timeout;
}

/** How many milliseconds are left until a moment that {@linkcode deadlineOf} gave. */
export function timeLeft(deadline: number): number {
  return deadline === Infinity ? Infinity : deadline - monotonicNow();
}

/** The time of day in milliseconds of the Unix epoch, with a fraction: what says when an array was published. */
export function timestampNow(): number {
  return realTimeNow();
}

/** The longest sleep between two looks in milliseconds, or what tells it after a look. */
type Slice = number | (() => number);

/** In `WAITING`: somebody may be asleep. */
export const ONE_SLEEPS = 1;

/** In `WAITING`: somebody may be asleep who is to be woken with all others. */
export const ALL_SLEEP = 2;

/** The result of an advance for which a waiter was announced. */
export interface Advance {
  /** The turn that it began. */
  readonly turn: number;
  /** How many sleepers it woke. */
  readonly woken: number;
}

/** A word that counts changes, and the sleepers that wait for the next one. */
export class EventCount {
  readonly #words: Int32Array;
  readonly #turn: number;
  readonly #waiting: number | null;
  readonly #wakesOne: boolean;
  readonly #announcement: number;

  /**
   * @param words words of a mapped segment
   * @param turn the position of `TURN` in them
   * @param waiting the position of `WAITING`; `null` if bit 0 of `TURN` serves for it
   * @param wakesOne whether an advance may wake one of several sleepers. The others are not announced any more then:
   * a sleeper of `until()` or `untilAsync()` that has found something wakes the next one, which announces itself.
   * @param announcement the bits by which a waiter announces itself in `WAITING`
   */
  constructor(
    words: Int32Array,
    turn: number,
    waiting: number | null,
    wakesOne = false,
    announcement: number = ONE_SLEEPS,
  ) {
    this.#words = words;
    this.#turn = turn;
    this.#waiting = waiting;
    this.#wakesOne = wakesOne;
    this.#announcement = announcement;
  }

  /** The current turn. */
  get turn(): number {
    return Atomics.load(this.#words, this.#turn);
  }

  /** Begins a new turn and wakes nobody: waiters that are about to sleep look again. */
  count(): void {
    Atomics.add(this.#words, this.#turn, 1);
  }

  /**
   * Begins a new turn, if a waiter is announced, and wakes sleepers. The thing that they wait for must have
   * been changed before.
   *
   * @param count how many to wake at the most, where none of them is to be woken with all others; by default all
   * @returns the result; `null` if nobody was announced
   */
  advance(count?: number): Advance | null {
    const words = this.#words;
    let announced = ONE_SLEEPS;
    if (this.#waiting === null) {
      if ((Atomics.load(words, this.#turn) & 1) === 0) return null;
    } else {
      announced = Atomics.and(words, this.#waiting, ~(ONE_SLEEPS | ALL_SLEEP));
      if ((announced & (ONE_SLEEPS | ALL_SLEEP)) === 0) return null;
    }
    const turn = Atomics.add(words, this.#turn, 1) + 1 | 0;
    const areAll = (announced & ALL_SLEEP) !== 0;
    let woken = notify(words, this.#turn, areAll ? undefined : count);
    // The one that was woken may have come meanwhile, and not be the one that can make use of it.
    if (!areAll && this.#waiting !== null && Atomics.load(words, this.#waiting) & ALL_SLEEP) {
      woken += notify(words, this.#turn);
    }
    return { turn, woken };
  }

  /** Wakes one sleeper in the place of a woken one that does not use its turn, unless the segment was closed meanwhile. */
  handOn(): void {
    if (this.#words.length > 0) notify(this.#words, this.#turn, 1);
  }

  /**
   * Announces a sleep. After that, the caller must look once more at the thing that it waits for, also at whether the
   * segment is there still: where it was closed meanwhile, there is nothing to announce.
   *
   * @returns the turn in which to sleep
   */
  announce(): number {
    const words = this.#words;
    if (words.length === 0) return 0;
    if (this.#waiting === null) return Atomics.or(words, this.#turn, 1) | 1;
    const turn = Atomics.load(words, this.#turn);
    Atomics.or(words, this.#waiting, this.#announcement);
    return turn;
  }

  /**
   * Blocks this thread until it is woken, the turn is over, or time is up.
   *
   * @param turn the turn, as `announce()` gave it
   * @param longest the time limit in milliseconds
   * @returns whether it may have been woken; not if it saw by itself that the turn is over
   */
  sleep(turn: number, longest: number): boolean {
    return wait(this.#words, this.#turn, turn, longest) !== "not-equal";
  }

  /**
   * The same without blocking.
   *
   * @param turn the turn
   * @param longest the time limit in milliseconds
   * @param signal gives the sleep up: the promise is rejected with its reason, and a wake-up that came is handed on
   * @returns "ok" if it was woken, "not-equal" if it saw by itself that the turn is over, "timed-out" if time was up
   */
  async sleepAsync(
    turn: number,
    longest: number,
    signal: AbortSignal | undefined,
  ): Promise<WaitResult> {
    if (await this.#spinAsync(turn)) return "not-equal";
    const { async, value } = waitAsync(this.#words, this.#turn, turn, longest, { signal });
    if (!async) return value;
    const ending = await value;
    lastTurnOfEventLoop = monotonicNow();
    if (!signal?.aborted) return ending;
    if (ending === "ok") this.handOn();
    throw signal.reason;
  }

  /**
   * Blocks this thread until a look finds something.
   *
   * @param look looks; gives `null` as long as there is nothing. What it throws ends the waiting.
   * @param deadline when to give up, by {@linkcode deadlineOf}; there is one look at least
   * @param slice the longest sleep between two looks, in milliseconds; a function is asked after each look
   * @returns what was found; `null` if time was up
   */
  until<T>(look: () => T | null, deadline: number, slice: Slice): T | null {
    for (let wasWoken = false;;) {
      const turn = this.announce();
      const found = this.#look(look, wasWoken);
      if (found !== null) return found;
      const rest = timeLeft(deadline);
      if (rest <= 0) return null;
      wasWoken = this.sleep(turn, Math.min(rest, lengthOf(slice)));
    }
  }

  /**
   * Looks. Where an advance wakes one sleeper only, one that was woken wakes the next, unless it looks in vain. Who has
   * seen by itself that the turn is over has taken no other's place.
   */
  #look<T>(look: () => T | null, wasWoken: boolean): T | null {
    if (!this.#wakesOne || !wasWoken) return look();
    let isVain = false;
    try {
      const found = look();
      isVain = found === null;
      return found;
    } finally {
      if (!isVain) this.handOn();
    }
  }

  /**
   * The same without blocking.
   *
   * @param look looks; gives `null` as long as there is nothing. What it throws ends the waiting.
   * @param deadline when to give up, by {@linkcode deadlineOf}; there is one look at least
   * @param slice the longest sleep between two looks, in milliseconds; a function is asked after each look
   * @param signal gives the waiting up: the promise is rejected with its reason
   * @returns what was found; `null` if time was up
   */
  async untilAsync<T>(
    look: () => T | null,
    deadline: number,
    slice: Slice,
    signal: AbortSignal | undefined,
  ): Promise<T | null> {
    for (let wasWoken = false;;) {
      signal?.throwIfAborted();
      const turn = this.announce();
      const found = this.#look(look, wasWoken);
      if (found !== null) return found;
      const rest = timeLeft(deadline);
      if (rest <= 0) return null;
      const ending = await this.sleepAsync(turn, Math.min(rest, lengthOf(slice)), signal);
      wasWoken = ending !== "not-equal";
      if (ending !== "timed-out") continue;
      const late = await this.#untilLate(look, deadline, slice, signal);
      if (late !== WOKEN) return late;
    }
  }

  /**
   * Waits on after a slice in which nothing came. One sleep lasts until it is woken, and a timer looks meanwhile: to end a
   * sleep after each slice and to begin the next one takes many times the time of a look, and who has nothing to do
   * does nothing else.
   *
   * @returns what was found; `null` if time was up; `WOKEN` if the turn is over
   */
  async #untilLate<T>(
    look: () => T | null,
    deadline: number,
    slice: Slice,
    signal: AbortSignal | undefined,
  ): Promise<T | null | typeof WOKEN> {
    signal?.throwIfAborted();
    const turn = this.announce();
    const stop = new AbortController();
    const ending = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    const { promise, resolve, reject } = Promise.withResolvers<T | null | typeof WOKEN>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const lookOn = (): void => {
      // A look could take what nobody wants any more. That the sleep is aborted becomes known in a moment.
      if (signal?.aborted) return;
      try {
        const found = look();
        const rest = timeLeft(deadline);
        if (found !== null || rest <= 0) end(() => resolve(found));
        else timer = setTimeout(lookOn, Math.ceil(Math.min(rest, lengthOf(slice))));
      } catch (error) {
        end(() => reject(error));
      }
    };
    let isOver = false;
    /** Ends the waiting; what comes second counts no more. */
    const end = (how: () => void): void => {
      isOver = true;
      clearTimeout(timer);
      stop.abort();
      how();
    };
    this.sleepAsync(turn, Infinity, ending).then(
      () => {
        if (!isOver) end(() => resolve(WOKEN));
        else this.handOn(); // It was woken just before it was stopped.
      },
      (error) => {
        if (!isOver) end(() => reject(error));
      },
    );
    lookOn();
    return await promise;
  }

  /**
   * Looks at the turn for a moment, as a change may come sooner than a thread can be put to sleep and be woken. Other
   * tasks of this thread run meanwhile.
   *
   * @param turn the turn, as `announce()` gave it
   * @returns whether it is over; not if the segment was closed meanwhile
   */
  async #spinAsync(turn: number): Promise<boolean> {
    const words = this.#words;
    const end = spins.begin();
    while (words.length > 0) {
      for (let look = 0; look < LOOKS; look++) {
        if (Atomics.load(words, this.#turn) === turn) continue;
        spins.end(true);
        await letEventLoopRun();
        return words.length > 0;
      }
      if (monotonicNow() >= end) {
        spins.end(false);
        break;
      }
      await null;
    }
    return false;
  }
}

/**
 * A count of changes for one that may read only, and so can neither announce itself nor be woken: it looks again and
 * again. Nothing is written to the words.
 */
export class ReadOnlyCount extends EventCount {
  readonly #interval: number;

  /**
   * @param words words of a mapped segment
   * @param turn the position of `TURN` in them
   * @param interval how long to sleep between two looks, in milliseconds
   */
  constructor(words: Int32Array, turn: number, interval: number) {
    super(words, turn, null);
    this.#interval = interval;
  }

  /** Announces nothing, and looks at nothing: the segment may have been closed since the last look. */
  override announce(): number {
    return 0;
  }

  /** Blocks this thread for the interval, or less if time is up before. */
  override sleep(_turn: number, longest: number): boolean {
    sleep(Math.min(longest, this.#interval));
    return false;
  }

  /** The same without blocking. */
  override async sleepAsync(
    _turn: number,
    longest: number,
    signal: AbortSignal | undefined,
  ): Promise<WaitResult> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => resolve();
    const timer = setTimeout(end, Math.min(longest, this.#interval));
    signal?.addEventListener("abort", end);
    await promise;
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
    lastTurnOfEventLoop = monotonicNow();
    signal?.throwIfAborted();
    return "not-equal";
  }
}

/** One wait of 16 looks for long: to sleep and be woken costs many times what it does where the thread itself sleeps. */
const spins = new Spin(16);

/** What a wait gives whose turn is over. */
const WOKEN = Symbol("woken");

function lengthOf(slice: Slice): number {
  return typeof slice === "number" ? slice : slice();
}

/**
 * How long tasks may go on without a turn of the event loop, in milliseconds: no timer would run, and no signal
 * abort them.
 */
const LONGEST_RUN = 50;
let lastTurnOfEventLoop = -Infinity;

/**
 * Lets the event loop have a turn, if it had none for long. A loop whose waits always end at once calls this
 * before each look.
 */
export async function letEventLoopRun(): Promise<void> {
  if (monotonicNow() - lastTurnOfEventLoop >= LONGEST_RUN) await turnOfEventLoop();
}

/** Lets the event loop have a turn. */
export async function turnOfEventLoop(): Promise<void> {
  await new Promise((resume) => setTimeout(resume, 0));
  lastTurnOfEventLoop = monotonicNow();
}
