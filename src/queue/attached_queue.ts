/**
 * An attachment to a queue: the steps from one state of a slot to another, what is taken away from the dead, and
 * how one sleeps until there is something to do. The steps and their order are those of `tests/model/queue.pml`
 * and `docs/queue.md`.
 *
 * Each attachment has an id, and locks the byte of the segment's file that belongs to it. The kernel gives the lock
 * back when the attachment's process ends. Who finds a slot whose owner has no lock changes the word of its state and
 * nothing else, by one compare-and-exchange: an id does not come back, so the word is that of the dead or another one.
 *
 * @module
 */

import { isThenable, quoteName } from "../check.ts";
import { badResource, brokenPipe, busy, notFound } from "../errors.ts";
import { type Json, jsonTextOf, parseJsonText } from "../json_text.ts";
import { lookAtParent } from "../process/parent.ts";
import { ownPid } from "../process/proc.ts";
import type { OpenSegment } from "../segment/mod.ts";
import { deadlineOf, EventCount, letEventLoopRun, timeLeft } from "../sync/event_count.ts";
import { claimId, isWitnessed } from "../sync/witness.ts";
import type { Word } from "../words.ts";
import {
  ANSWER,
  ATTEMPTS,
  CALLER,
  COMPLETED,
  deathsOf,
  DONE,
  DRAIN,
  DROPPED,
  FAILED,
  FAILURES,
  FILLING,
  FREE,
  GIVEN_UP,
  LOCK_BASE,
  NEXT_ID,
  NUMBER,
  ownerOf,
  type QueueHeader,
  QueueWords,
  ROOM,
  SEQUENCE,
  stateOf,
  stateWord,
  TAKEN,
  TAKER,
  WAITING,
  WORK,
} from "./queue_words.ts";

/** What `put()` and its like take, but for promises: a message, or a function that makes it for a slot. */
export type FillNow = Json | ((slot: number) => Json | undefined);
/** The same with promises. */
export type FillSoon = Json | ((slot: number) => Json | undefined | Promise<Json | undefined>);

/** The longest sleep while others hold items, in milliseconds: one of them may be killed. */
const SLICE = 50;
/** The longest sleep otherwise: one may be killed between a change and the waking. */
const LONG_SLICE = 250;
/** After this time, in milliseconds, a look also looks for the dead. */
const WATCH_TIME = 25;
/** After this time a look also looks whether the name is there. */
const NAME_TIME = 50;
/** How often a change is tried while others change the same slot. */
const MOST_CHANGES = 100;

/** An item as it was taken. */
export interface Taken {
  readonly slot: number;
  /** The word of the state as the taker made it. */
  readonly word: number;
  /** The id of the caller; 0 if nobody wants an answer. */
  readonly caller: number;
  // deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
  message: any;
}

/** What an item that failed leaves. */
export interface Failure {
  // deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
  readonly message: any;
  readonly attempts: number;
  readonly error: Error;
}

/** Who holds an item. */
export interface Holder {
  readonly slot: number;
  readonly pid: number | undefined;
  readonly attempt: number;
  readonly since: number;
}

/** What `call()` needs besides the message. */
export interface CallParts<T> {
  readonly attempts: number;
  /** When to give up, by `deadlineOf()`. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** Whether a full queue is an error. */
  readonly throwsIfFull: boolean;
  readonly read: (answer: Json, slot: number) => T | Promise<T>;
}

/** What a look of a taker finds when the queue was ended and nothing is left. */
const NOTHING = Symbol("nothing");

/** An attached queue. */
export class AttachedQueue {
  readonly name: string;
  readonly words: QueueWords;
  /** The number of this attachment. */
  readonly id: number;
  readonly #segment: OpenSegment;
  readonly #work: EventCount;
  readonly #room: EventCount;
  readonly #drain: EventCount;
  /** What was taken here, by its slot. */
  readonly #held = new Map<number, Taken>();
  /** The slots that are filled here, or whose answer somebody here wants. */
  readonly #own = new Set<number>();
  /** The slots whose answer a call here waits for. */
  readonly #calls = new Set<number>();
  /**
   * The slot of the call that watches for the dead, as the others sleep for longer. It is the newest one: answers mostly
   * come in the order of the calls, so it is the last one to end, and need not wake another one to watch.
   */
  #watcher = -1;
  /** How many functions of the program use a slot now. While they do, its lock is kept. */
  #users = 0;
  /** The last of the calls that wait for a slot, which are served in order. */
  #line: Promise<void> | null = null;
  #isOpen = true;
  /** Where the next claim begins. */
  #next = 0;
  #watchedAt = -Infinity;
  #namedAt = -Infinity;

  /**
   * @param segment the queue's segment, whose header was checked
   * @param header what it says
   */
  constructor(segment: OpenSegment, header: QueueHeader) {
    this.name = segment.name;
    this.#segment = segment;
    this.words = new QueueWords(segment.name, segment.buffer!, header);
    const { words } = this.words;
    this.#work = new EventCount(words, WORK.at / 4, null, true);
    this.#room = new EventCount(words, ROOM.at / 4, null, true);
    this.#drain = new EventCount(words, DRAIN.at / 4, null);
    this.id = claimId(segment, () => this.words.add(NEXT_ID));
    // After 2^24 attachments an id comes again. What the one before left is taken away by its successor.
    for (let slot = 0; slot < header.slots; slot++) {
      const word = this.words.state(slot);
      if (ownerOf(word) === this.id) this.#rescue(slot, this.words.checkedState(slot));
    }
  }

  // --- The attachment --------------------------------------------------------------------------

  /** Whether it was not closed, and its memory is there. */
  get isOpen(): boolean {
    // A program may have moved the buffer away.
    return this.#isOpen && this.words.words.length !== 0;
  }

  /** Whether the segment was made here, and not attached to. */
  get isCreator(): boolean {
    return this.#segment.isCreator;
  }

  /** Throws if this is closed. */
  checkOpen(action: string): void {
    if (!this.isOpen) throw closedError(this.name, action, this.#isOpen);
  }

  /** Throws if the queue's name was removed, or the creator of an anonymous one has ended. */
  #checkNamed(action: string): void {
    if (this.#segment.isNamed) return;
    throw notFound(
      `Cannot ${action} ${
        quoteName(this.name)
      }: its name was removed, or the process that made it ` +
        "without a name has ended, so nobody can find it any more; close() this instance, and " +
        "create() or load() the next one",
    );
  }

  /** The same, but once in a while: the look is a call of the system. */
  #checkNamedLately(action: string): void {
    const now = performance.now();
    if (now - this.#namedAt < NAME_TIME) return;
    this.#checkNamed(action);
    this.#namedAt = now;
  }

  /** Removes the queue's name. */
  unlink(): boolean {
    return this.#segment.unlink();
  }

  /**
   * Gives all up: items that were taken here go back, calls are withdrawn. While the program still fills a slot, or
   * reads an answer, the lock is kept: nobody else may use that slot before.
   */
  close(): void {
    if (!this.#isOpen) return;
    if (this.isOpen) {
      for (const taken of [...this.#held.values()]) this.letGo(taken, false);
      for (const slot of [...this.#calls]) this.#withdraw(slot, false);
    }
    this.#isOpen = false;
    this.#segment.closeMemory();
    if (this.#users === 0) this.#segment.close();
  }

  /** Lets a function of the program use a slot. The lock stays until it has ended. */
  async #use<T>(action: () => T | Promise<T>): Promise<T> {
    this.#users++;
    try {
      return await action();
    } finally {
      this.#users--;
      if (this.#users === 0 && !this.#isOpen) this.#segment.close();
    }
  }

  // --- The dead --------------------------------------------------------------------------------

  /** Looks for the dead, if the last look is a while ago; returns whether a slot was taken from one. */
  #watch(): boolean {
    const now = performance.now();
    if (now - this.#watchedAt < WATCH_TIME) return false;
    this.#watchedAt = now;
    return this.sweep();
  }

  /** Takes away from the dead what they had; returns whether they had something. */
  sweep(): boolean {
    const { words } = this;
    const living = new Map<number, boolean>();
    let isRescued = false;
    for (let slot = 0; slot < words.header.slots; slot++) {
      const word = words.checkedState(slot);
      const owner = ownerOf(word);
      if (owner === 0 || this.#isLiving(slot, word, living)) continue;
      isRescued = this.#rescue(slot, word) || isRescued;
    }
    return isRescued;
  }

  /** Whether the owner of a slot lives, and knows that it is the owner. */
  #isLiving(slot: number, word: number, living?: Map<number, boolean>): boolean {
    const owner = ownerOf(word);
    // The lock of this attachment itself does not count as another one's.
    if (owner === this.id) {
      const state = stateOf(word);
      return state === TAKEN || state === DROPPED ? this.#held.has(slot) : this.#own.has(slot);
    }
    let lives = living?.get(owner);
    if (lives === undefined) {
      lives = isWitnessed(this.#segment, owner);
      living?.set(owner, lives);
    }
    return lives;
  }

  /** Takes a slot away from a dead owner. */
  #rescue(slot: number, word: number): boolean {
    const state = stateOf(word);
    if (state === TAKEN) return this.#giveBack(slot, word, true);
    if ((state === FAILED || state === GIVEN_UP) && this.words.callerOf(slot) === 0) {
      // The dead was about to take what had failed.
      return this.words.change(slot, word, stateWord(state, deathsOf(word), 0));
    }
    return this.#free(slot, word);
  }

  /** Gives an item that was taken to the next one, or gives it up. */
  #giveBack(slot: number, word: number, isDeath: boolean): boolean {
    const { words } = this;
    const deaths = deathsOf(word) + (isDeath ? 1 : 0);
    const caller = words.callerOf(slot);
    if (!isDeath || deaths < words.attemptsOf(slot)) {
      if (!words.change(slot, word, stateWord(WAITING, deaths, caller))) return false;
      this.#work.advance(1);
      return true;
    }
    return this.#end(slot, word, stateWord(GIVEN_UP, deaths, caller), caller, FAILURES);
  }

  /** Ends an item that was taken: counts that, changes its state, and wakes who waits for it. */
  #end(slot: number, word: number, end: number, caller: number, counter: Word): boolean {
    const { words } = this;
    const isKept = caller !== 0 || counter === FAILURES && words.header.keepFailed;
    if (!words.changeCounted(slot, word, isKept ? end : FREE, counter)) return false;
    if (caller !== 0) this.#answerEvent(slot).advance();
    if (!isKept) this.#room.advance(1);
    this.#finished();
    return true;
  }

  /** Frees a slot, if its state is still the same. */
  #free(slot: number, word: number): boolean {
    if (!this.words.change(slot, word, FREE)) return false;
    this.#room.advance(1);
    this.#finished();
    return true;
  }

  /** Where the caller of a slot sleeps. */
  #answerEvent(slot: number): EventCount {
    return new EventCount(this.words.words, this.words.indexOf(slot, ANSWER), null);
  }

  // --- The end ---------------------------------------------------------------------------------

  /** Says that nobody puts any more. */
  end(): void {
    this.words.storeEnded();
    this.#work.advance();
    this.#room.advance();
    this.#finished();
  }

  /** Wakes those who wait until all is over, if it is. */
  #finished(): void {
    const { isEnded } = this.words;
    if (!isEnded && (this.#drain.turn & 1) === 0) return;
    if (this.#isSomethingLeft()) return;
    this.#drain.advance();
    if (isEnded) this.#work.advance();
  }

  /** Whether an item is being filled, waits or is taken. */
  #isSomethingLeft(): boolean {
    for (let slot = 0; slot < this.words.header.slots; slot++) {
      const state = stateOf(this.words.state(slot));
      if (state === FILLING || state === WAITING || state === TAKEN) return true;
    }
    return false;
  }

  /** Makes what looks whether all that was put, or is being filled now, is over. */
  #drainLook(): () => true | null {
    const { words } = this;
    const { slots } = words.header;
    let last = words.count(SEQUENCE);
    const filling = new Map<number, number>();
    for (let slot = 0; slot < slots; slot++) {
      const word = words.state(slot);
      if (stateOf(word) === FILLING) filling.set(slot, word);
    }
    let vainLooks = 0;
    return () => {
      this.checkOpen("wait for");
      this.#watch();
      for (const [slot, word] of filling) {
        if (words.state(slot) === word) continue;
        filling.delete(slot);
        last = words.count(SEQUENCE); // it has a number by now, if it was put
      }
      let isOver = filling.size === 0;
      let isHeld = false;
      for (let slot = 0; slot < slots; slot++) {
        const state = stateOf(words.state(slot));
        if (state !== WAITING && state !== TAKEN) continue;
        if ((words.read(slot, NUMBER) - last | 0) > 0) continue;
        isOver = false;
        isHeld ||= state === TAKEN;
      }
      if (isOver) return true;
      vainLooks = isHeld ? 0 : vainLooks + 1;
      if (vainLooks > 1) this.#checkNamedLately("wait for");
      return null;
    };
  }

  /** Blocks until all that was put is over. */
  drained(timeout: number): void {
    const found = this.#drain.until(this.#drainLook(), deadlineOf(timeout), SLICE);
    if (found === null) throw this.#notDrained();
  }

  /** The same without blocking. */
  async drainedAsync(timeout: number, signal: AbortSignal | undefined): Promise<void> {
    const deadline = deadlineOf(timeout);
    const look = this.#drainLook();
    const found = await this.#open(
      "wait for",
      () => this.#drain.untilAsync(look, deadline, SLICE, signal),
    );
    if (found === null) throw this.#notDrained();
  }

  #notDrained(): Error {
    return timeoutError(`wait for ${quoteName(this.name)}: not all items are over`);
  }

  /** Lets a wait that ends because this was closed say so: a wait knows nothing of queues. */
  async #open<T>(action: string, wait: () => Promise<T>): Promise<T> {
    try {
      return await wait();
    } catch (error) {
      if (this.isOpen) throw error;
      throw closedError(this.name, action, this.#isOpen);
    }
  }

  /** How long to sleep at the most: less while another attachment holds an item, and may be killed. */
  readonly #slice = (): number => {
    const { words, id } = this;
    for (let slot = 0; slot < words.header.slots; slot++) {
      const owner = ownerOf(words.state(slot));
      if (owner !== 0 && owner !== id) return SLICE;
    }
    return LONG_SLICE;
  };

  // --- Putting ---------------------------------------------------------------------------------

  /** Claims a free slot; -1 if there is none. */
  #claim(): number {
    const { words } = this;
    const { slots } = words.header;
    for (let tries = 0; tries < slots; tries++) {
      const slot = this.#next < slots ? this.#next : 0;
      this.#next = slot + 1;
      if (words.state(slot) !== FREE) continue;
      if (!words.change(slot, FREE, stateWord(FILLING, 0, this.id))) continue;
      this.#own.add(slot);
      // Who ends the queue stores ENDED first, and then looks at the slots.
      let isPut = false;
      try {
        isPut = !words.isEnded;
      } finally {
        if (!isPut) this.#unclaim(slot);
      }
      if (isPut) return slot;
      break;
    }
    if (words.isEnded) throw this.#endedError();
    return -1;
  }

  #endedError(): Error {
    return brokenPipe(
      `Cannot put into ${quoteName(this.name)}: it was ended; unlink() it and create() a new one`,
    );
  }

  /** Gives a slot back that was not filled. */
  #unclaim(slot: number): void {
    if (!this.isOpen) return;
    this.#own.delete(slot);
    this.#free(slot, stateWord(FILLING, 0, this.id));
  }

  /** Claims a slot, also of the dead. */
  #claimAny(): number {
    const slot = this.#claim();
    if (slot >= 0) return slot;
    return this.#watch() ? this.#claim() : -1;
  }

  /** Claims a slot, or finds out that nobody will free one. */
  readonly #roomLook = (): number | null => {
    this.checkOpen("put into");
    const slot = this.#claimAny();
    if (slot >= 0) return slot;
    this.#checkNamedLately("put into");
    return null;
  };

  #full(): string {
    return `put into ${quoteName(this.name)}: all ${this.words.header.slots} slots are in use`;
  }

  /** Lets a function make the message, and puts the item. */
  #fillNow(slot: number, fill: FillNow, attempts: number): void {
    try {
      const message = typeof fill === "function" ? fill(slot) : fill;
      if (isThenable(message)) {
        throw new TypeError(
          `Cannot put into ${quoteName(this.name)}: the function returned a promise; ` +
            "putAsync() waits for it",
        );
      }
      this.checkOpen("put into");
      this.#publish(slot, message, attempts, false);
    } catch (error) {
      this.#unclaim(slot);
      throw error;
    }
  }

  /** Puts an item, if a slot is free. */
  tryPut(fill: FillNow, attempts: number): boolean {
    this.#checkNamed("put into");
    let slot = this.#claim();
    if (slot < 0 && this.sweep()) slot = this.#claim();
    if (slot < 0) return false;
    this.#fillNow(slot, fill, attempts);
    return true;
  }

  /** Blocks until a slot is free, and puts an item. */
  put(fill: FillNow, attempts: number, timeout: number): void {
    this.#checkNamed("put into");
    lookAtParent(); // A program that puts and takes without ever having to wait does not look otherwise.
    const deadline = deadlineOf(timeout);
    let slot: number | null = this.#claim();
    if (slot < 0) slot = this.#room.until(this.#roomLook, deadline, this.#slice);
    if (slot === null) throw timeoutError(this.#full());
    this.#fillNow(slot, fill, attempts);
  }

  /** Makes a slot that was filled wait for a taker. */
  #publish(slot: number, message: Json | undefined, attempts: number, isCall: boolean): void {
    const { words } = this;
    words.writeMessage(slot, jsonTextOf(message, "put into", this.name, "message"), "put into");
    const caller = isCall ? this.id : 0;
    words.store(slot, CALLER, caller);
    words.store(slot, ATTEMPTS, attempts);
    words.store(slot, TAKER, 0);
    words.store(slot, NUMBER, words.add(SEQUENCE));
    const isPut = words.change(
      slot,
      stateWord(FILLING, 0, this.id),
      stateWord(WAITING, 0, caller),
    );
    if (isCall && isPut) this.#calls.add(slot);
    else this.#own.delete(slot);
    if (!isPut) throw words.lostSlot(slot);
    this.#work.advance(1);
  }

  /** Claims a slot if there is one, and no other call waits for one; `null` if not. */
  #claimNow(signal: AbortSignal | undefined, throwsIfFull: boolean): number | null {
    signal?.throwIfAborted();
    this.#checkNamed("put into");
    const slot = this.#line !== null ? -1 : throwsIfFull ? this.#claimAny() : this.#claim();
    if (slot >= 0) return slot;
    if (throwsIfFull) throw busy(`Cannot ${this.#full()}`);
    return null;
  }

  /** Claims a slot when there is one, after the calls that came before. */
  async #claimSoon(deadline: number, signal: AbortSignal | undefined): Promise<number> {
    const before = this.#line;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#line = promise;
    promise.then(() => {
      if (this.#line === promise) this.#line = null;
    });
    try {
      if (before !== null) await inTime(before, deadline, signal, this.#full());
      const slot = await this.#open(
        "put into",
        () => this.#room.untilAsync(this.#roomLook, deadline, this.#slice, signal),
      );
      if (slot === null) throw timeoutError(this.#full());
      return slot;
    } finally {
      // Who comes after one that gave up waits for those before it.
      if (before === null) resolve();
      else before.then(resolve);
    }
  }

  /**
   * Claims a slot, lets a function make the message, and puts the item; returns the slot. What need not wait is done
   * before the first `await`.
   */
  async #fillSoon(
    fill: FillSoon,
    { attempts, deadline, signal, throwsIfFull }: Omit<CallParts<unknown>, "read">,
    isCall: boolean,
  ): Promise<number> {
    const slot = this.#claimNow(signal, throwsIfFull) ?? await this.#claimSoon(deadline, signal);
    let isFilling = false;
    let isGivenUp = false;
    try {
      let message = typeof fill === "function" ? fill(slot) : fill;
      if (isThenable(message)) {
        const promise = message;
        const filling = this.#use(() => promise);
        isFilling = true;
        // A function that nobody waits for any more uses the slot still. It is free when that has ended.
        const settle = (): void => {
          isFilling = false;
          if (isGivenUp) this.#unclaim(slot);
        };
        filling.then(settle, settle);
        const what = `put into ${
          quoteName(this.name)
        }: the function that fills slot ${slot} has not ended`;
        message = await inTime(filling, deadline, signal, what);
      }
      this.checkOpen("put into");
      signal?.throwIfAborted();
      this.#publish(slot, message, attempts, isCall);
      return slot;
    } catch (error) {
      isGivenUp = true;
      if (!isFilling) this.#unclaim(slot);
      throw error;
    }
  }

  /** Puts an item when a slot is free. */
  async putAsync(
    fill: FillSoon,
    attempts: number,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#fillSoon(fill, { attempts, deadline, signal, throwsIfFull: false }, false);
    await letEventLoopRun();
  }

  // --- Calling ---------------------------------------------------------------------------------

  /** Puts an item, waits for its answer, and lets a function read it before the slot is free. */
  async call<T>(fill: FillSoon, parts: CallParts<T>): Promise<T> {
    const slot = await this.#fillSoon(fill, parts, true);
    const { deadline, signal, read } = parts;
    const word = await this.#answered(slot, deadline, signal);
    try {
      const answer = this.#answerOf(slot, word);
      return await this.#use(() => read(answer, slot));
    } finally {
      if (this.isOpen) {
        this.#own.delete(slot);
        this.#free(slot, word);
      }
    }
  }

  /** When the call that watches for the dead is over, another one is woken, to do so. */
  #nextWatcher(slot: number): void {
    if (this.#watcher !== slot) return;
    const [next = -1] = this.#calls;
    this.#watcher = next;
    if (next >= 0 && this.isOpen) this.#answerEvent(next).handOn();
  }

  /** Waits for the answer of a slot; returns the word of its state. If this fails, the call is withdrawn. */
  async #answered(
    slot: number,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    this.#calls.add(slot);
    this.#watcher = slot;
    try {
      return await this.#awaitAnswer(slot, deadline, signal) ?? this.#giveUp(slot);
    } catch (error) {
      if (this.isOpen && this.#calls.has(slot)) this.#withdraw(slot, false);
      throw error;
    } finally {
      this.#calls.delete(slot);
      this.#nextWatcher(slot);
    }
  }

  /** Waits for the answer of a slot; returns the word of its state, and `null` if time was up. */
  async #awaitAnswer(
    slot: number,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<number | null> {
    const { words } = this;
    let vainLooks = 0;
    const look = (): number | null => {
      this.checkOpen("call");
      this.#watch();
      const word = words.checkedState(slot);
      const state = stateOf(word);
      if (state >= DONE && ownerOf(word) === this.id) return word;
      if (state !== TAKEN && !(state === WAITING && ownerOf(word) === this.id)) {
        throw words.lostSlot(slot);
      }
      vainLooks = state === TAKEN ? 0 : vainLooks + 1;
      // Somebody who is attached may take it still, but nobody else comes.
      if (vainLooks > 1) this.#checkNamedLately("call");
      return null;
    };
    const slice = (): number => this.#watcher === slot ? SLICE : LONG_SLICE;
    return await this.#open(
      "call",
      () => this.#answerEvent(slot).untilAsync(look, deadline, slice, signal),
    );
  }

  /** Withdraws a call whose time is up; returns the word of the slot's state if the answer came just now. */
  #giveUp(slot: number): number {
    const word = this.#withdraw(slot, true);
    if (word !== null && stateOf(word) >= DONE) return word;
    this.#calls.delete(slot);
    const call = `call ${quoteName(this.name)}`;
    if (word === null) throw timeoutError(`${call}: nobody has taken the item`);
    const error = timeoutError(`${call}: the taker of slot ${slot} has not answered`);
    const value = this.#pidOf(slot, ownerOf(word));
    throw Object.defineProperty(error, "pid", { value, enumerable: true, configurable: true });
  }

  /**
   * Withdraws a call: nobody wants its answer any more.
   *
   * @param slot the slot
   * @param leavesAnswer whether an answer that is there is left
   * @returns the word of the taker that has the item still, or of the answer that was left; `null` if the slot is free
   */
  #withdraw(slot: number, leavesAnswer: boolean): number | null {
    const { words } = this;
    this.#own.delete(slot);
    for (let tries = 0; tries < MOST_CHANGES; tries++) {
      const word = words.state(slot);
      const state = stateOf(word);
      if (state === TAKEN) {
        if (!words.change(slot, word, stateWord(DROPPED, deathsOf(word), ownerOf(word)))) continue;
        this.#finished();
        return word;
      }
      if (ownerOf(word) !== this.id || state === FREE) break;
      if (state >= DONE && leavesAnswer) {
        this.#own.add(slot);
        return word;
      }
      if (this.#free(slot, word)) return null;
    }
    throw words.lostSlot(slot);
  }

  /** The answer that is there; throws what the taker said, or that there is none. */
  #answerOf(slot: number, word: number): Json {
    const { words, name } = this;
    if (stateOf(word) === DONE) return parseJsonText(words.answerOf(slot), name, "an answer");
    throw this.#failureOf(slot, word, "call");
  }

  /** The error of an item that failed or was given up. */
  #failureOf(slot: number, word: number, action: string): Error {
    const { words, name } = this;
    if (stateOf(word) === GIVEN_UP) {
      const deaths = deathsOf(word);
      return new Error(
        `Cannot ${action} ${quoteName(name)}: given up after ${deaths} attempt${
          deaths === 1 ? "" : "s"
        }, whose takers died`,
      );
    }
    const told = parseJsonText(words.answerOf(slot), name, "what a taker said of its failure");
    const error = new Error(String(told?.message));
    Object.defineProperty(error, "name", {
      value: String(told?.name),
      configurable: true,
      writable: true,
    });
    return error;
  }

  // --- Taking ----------------------------------------------------------------------------------

  /** Takes the oldest item that waits; `null` if there is none. */
  #tryTake(): Taken | null {
    const { words } = this;
    for (let tries = 0; tries < MOST_CHANGES; tries++) {
      const oldest = words.oldestWaiting();
      if (oldest < 0) return null;
      const oldestWord = words.state(oldest);
      if (stateOf(oldestWord) !== WAITING) continue;
      const caller = ownerOf(oldestWord);
      // Nobody wants the answer any more.
      if (caller !== 0 && !this.#isLiving(oldest, oldestWord)) {
        this.#free(oldest, oldestWord);
        continue;
      }
      const word = stateWord(TAKEN, deathsOf(oldestWord), this.id);
      if (!words.change(oldest, oldestWord, word)) continue;
      const taken: Taken = { slot: oldest, word, caller, message: null };
      this.#held.set(oldest, taken);
      words.writeTaker(oldest, this.id, ownPid());
      taken.message = this.#messageOf(taken);
      return taken;
    }
    return null;
  }

  /** The message of an item that was just taken. One that cannot be read fails. */
  // deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
  #messageOf(taken: Taken): any {
    const { slot, word } = taken;
    const { words } = this;
    try {
      if (deathsOf(word) >= words.attemptsOf(slot)) throw words.lostSlot(slot);
      return parseJsonText(words.messageOf(slot), this.name, "a message");
    } catch (error) {
      this.fail(taken, error);
      throw error;
    }
  }

  /** Takes an item, or finds out that none comes. */
  readonly #workLook = (): Taken | typeof NOTHING | null => {
    this.checkOpen("take from");
    this.#watch();
    const { isEnded } = this.words; // read before the slots are looked at: nothing is put after it
    const item = this.#tryTake();
    if (item !== null) return item;
    if (isEnded && !this.#isSomethingLeft()) return NOTHING;
    this.#checkNamedLately("take from");
    return null;
  };

  /** Ends a wait of a taker. */
  #endTaking(found: Taken | typeof NOTHING | null): Taken | null {
    if (found === NOTHING) return null;
    if (found !== null) return found;
    this.#checkNamed("take from");
    throw timeoutError(`take from ${quoteName(this.name)}: nothing came`);
  }

  /** Blocks until there is an item; `null` if the queue was ended, and nothing is left. */
  take(timeout: number): Taken | null {
    lookAtParent();
    const deadline = deadlineOf(timeout);
    const found = this.#workLook() ?? this.#work.until(this.#workLook, deadline, this.#slice);
    return this.#endTaking(found);
  }

  /** The same without blocking. */
  async takeAsync(timeout: number, signal: AbortSignal | undefined): Promise<Taken | null> {
    const deadline = deadlineOf(timeout);
    await letEventLoopRun(); // before an item is taken, so that each is in somebody's hands
    signal?.throwIfAborted();
    const found = this.#workLook() ?? await this.#open(
      "take from",
      () => this.#work.untilAsync(this.#workLook, deadline, this.#slice, signal),
    );
    return this.#endTaking(found);
  }

  /** Whether an item that was taken here was not ended since. */
  holds(taken: Taken): boolean {
    return this.isOpen && this.#held.get(taken.slot) === taken;
  }

  /**
   * Whether somebody wants an item still that was taken here. A caller that was killed has not withdrawn it, so this
   * does: nobody else may, as an item that comes later to the same slot and taker has the same word.
   */
  isWanted(taken: Taken): boolean {
    if (!this.holds(taken)) return false;
    const { words } = this;
    const { slot, word, caller } = taken;
    if (words.state(slot) !== word) return false;
    if (caller === 0 || this.#isCallerLiving(slot, caller)) return true;
    if (words.change(slot, word, stateWord(DROPPED, deathsOf(word), this.id))) this.#finished();
    return false;
  }

  /** Whether the caller of an item that was taken here lives, and waits for the answer. */
  #isCallerLiving(slot: number, caller: number): boolean {
    return caller === this.id ? this.#own.has(slot) : isWitnessed(this.#segment, caller);
  }

  /** Ends an item that was taken here by an answer; returns whether somebody wanted it. */
  complete(taken: Taken, answer: Json | undefined): boolean {
    const text = jsonTextOf(answer, "complete an item of", this.name, "answer");
    if (this.isWanted(taken) && taken.caller !== 0) {
      this.words.writeAnswer(taken.slot, text, "complete an item of");
    }
    return this.#finish(taken, DONE, COMPLETED);
  }

  /** Ends an item that was taken here by an error; returns whether somebody wanted it. */
  fail(taken: Taken, error: unknown): boolean {
    const text = errorText(error, this.words.header.messageBytes);
    if (this.isWanted(taken)) this.words.writeAnswer(taken.slot, text, "fail an item of");
    return this.#finish(taken, FAILED, FAILURES);
  }

  #finish(taken: Taken, state: number, counter: Word): boolean {
    const { slot, word, caller } = taken;
    this.words.clearTaker(slot);
    this.#held.delete(slot);
    if (this.#end(slot, word, stateWord(state, deathsOf(word), caller), caller, counter)) {
      return true;
    }
    this.#freeDropped(taken);
    return false;
  }

  /** Lets an item go that was taken here; it goes to the next one. */
  letGo(taken: Taken, isDeath: boolean): void {
    const { slot, word } = taken;
    this.words.clearTaker(slot);
    this.#held.delete(slot);
    if (!this.#giveBack(slot, word, isDeath)) this.#freeDropped(taken);
  }

  /** Frees a slot that was taken here, and whose caller has given up. */
  #freeDropped({ slot, word }: Taken): void {
    if (this.#free(slot, stateWord(DROPPED, deathsOf(word), this.id))) return;
    throw this.words.lostSlot(slot);
  }

  // --- Looking ---------------------------------------------------------------------------------

  /** Takes the oldest of the items that have failed and are kept; `null` if there is none. */
  takeFailed(): Failure | null {
    const { words } = this;
    const isKept = (word: number): boolean =>
      (stateOf(word) === FAILED || stateOf(word) === GIVEN_UP) && ownerOf(word) === 0;
    for (let tries = 0; tries < MOST_CHANGES; tries++) {
      const now = words.count(SEQUENCE);
      let oldest = -1;
      let oldestAge = -1;
      for (let slot = 0; slot < words.header.slots; slot++) {
        if (!isKept(words.state(slot))) continue;
        const age = now - words.read(slot, NUMBER) >>> 0;
        if (age > oldestAge) [oldest, oldestAge] = [slot, age];
      }
      if (oldest < 0) return null;
      const kept = words.checkedState(oldest);
      const word = stateWord(stateOf(kept), deathsOf(kept), this.id);
      if (!isKept(kept) || !words.change(oldest, kept, word)) continue;
      try {
        return {
          message: parseJsonText(words.messageOf(oldest), this.name, "a message"),
          attempts: deathsOf(word) + (stateOf(word) === FAILED ? 1 : 0),
          error: this.#failureOf(oldest, word, "finish an item of"),
        };
      } finally {
        this.#free(oldest, word);
      }
    }
    return null;
  }

  /** The process of a taker, as far as the kernel says so. */
  #pidOf(slot: number, id: number): number | undefined {
    if (id === this.id) return ownPid();
    const pid = this.words.readTaker(slot, id)?.pid;
    return pid !== undefined && this.#segment.isByteLockedBy(pid, LOCK_BASE + id) ? pid : undefined;
  }

  /** Tells who holds what. The dead hold nothing. */
  holders(): Holder[] {
    const { words } = this;
    this.sweep();
    const found: Holder[] = [];
    for (let slot = 0; slot < words.header.slots; slot++) {
      const word = words.checkedState(slot);
      if (stateOf(word) !== TAKEN && stateOf(word) !== DROPPED) continue;
      const id = ownerOf(word);
      const since = words.readTaker(slot, id)?.since ?? Date.now();
      const pid = this.#pidOf(slot, id);
      if (words.state(slot) !== word) continue; // It was let go meanwhile.
      found.push({ slot, pid, attempt: deathsOf(word) + 1, since });
    }
    return found;
  }

  /** How many slots are in each state. */
  statesOf(): number[] {
    const counts = Array.from({ length: 8 }, () => 0);
    for (let slot = 0; slot < this.words.header.slots; slot++) {
      counts[stateOf(this.words.checkedState(slot))]++;
    }
    return counts;
  }
}

// --- Errors ------------------------------------------------------------------------------------

/** Makes the error for the use of a queue that is not attached. */
export function closedError(name: string, action: string, isMoved = false): Error {
  return badResource(
    `Cannot ${action} ${quoteName(name)}: ` +
      (isMoved
        ? "its buffer was transferred, and the memory with it; close() and load() attach anew"
        : "this instance is not attached; create() or load() it first"),
  );
}

function timeoutError(what: string): DOMException {
  return new DOMException(`Cannot ${what}, and time is up`, "TimeoutError");
}

/** The most characters of an error's name that are handed on. */
const MOST_OF_NAME = 40;

/** Writes the name and the message of an error as JSON of so many bytes at the most. */
function errorText(error: unknown, most: number): string {
  const { name, message } = partsOf(error);
  const bytes = (text: string): number => new TextEncoder().encode(text).length;
  const textOf = (name: string, message: string): string =>
    JSON.stringify({ name: name.toWellFormed(), message: message.toWellFormed() });
  let shortName = name.slice(0, MOST_OF_NAME);
  while (bytes(textOf(shortName, "")) > most) shortName = shortName.slice(0, -1);
  let length = Math.min(message.length, most);
  while (true) {
    const text = textOf(shortName, message.slice(0, length));
    const excess = bytes(text) - most;
    if (excess <= 0) return text;
    // A character takes 6 bytes at the most.
    length -= Math.max(1, Math.floor(excess / 6));
  }
}

function partsOf(error: unknown): { name: string; message: string } {
  try {
    if (typeof error === "object" && error !== null && "message" in error) {
      const { name, message } = error as { readonly name?: unknown; readonly message: unknown };
      return { name: String(name ?? "Error"), message: String(message) };
    }
    return { name: "Error", message: String(error) };
  } catch {
    return { name: "Error", message: "what was thrown cannot be written as text" };
  }
}

/** The longest time that `setTimeout` takes. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Waits for a promise, but no longer than until a deadline, or until a signal is aborted. */
async function inTime<T>(
  promise: Promise<T>,
  deadline: number,
  signal: AbortSignal | undefined,
  what: string,
): Promise<T> {
  if (deadline === Infinity && signal === undefined) return await promise;
  const { promise: stop, reject } = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    const rest = timeLeft(deadline);
    if (rest <= 0) reject(timeoutError(what));
    else if (rest !== Infinity) timer = setTimeout(look, Math.min(rest, LONGEST_TIMER));
  };
  const abort = (): void => reject(signal!.reason);
  look();
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, stop]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
