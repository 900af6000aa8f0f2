/**
 * The words of a queue's segment: where each stands, and what may stand in it. The names of the words and of the
 * states are those of the model, `tests/model/queue.pml`, and of `docs/queue.md`, which describes them for other
 * languages and is tested against this file.
 *
 * Every word is checked where it is read: it may come from a process that was killed, or from a hostile one.
 *
 * @module
 */

import { quoteName } from "../check.ts";
import { LAST_ID } from "../sync/witness.ts";
import { checkWord, invalidWord, readWord32, type Word, writeMagic } from "../words.ts";

export { LAST_ID, LOCK_BASE } from "../sync/witness.ts";

// --- The header --------------------------------------------------------------------------------

/** The bytes of the header. The states of the slots come after it. */
export const HEADER_BYTES = 256;

// Words that other processes change at the same time are in lines of the cache of their own.

/** What kind of segment it is. Its creator writes it last. */
export const MAGIC: Word = { name: "MAGIC", at: 0, type: "char[8]" };
/** How many slots there are. */
export const SLOTS: Word = { name: "SLOTS", at: 8, type: "u32" };
/** The most bytes of a message, and of an answer. */
export const MESSAGE_BYTES: Word = { name: "MESSAGE_BYTES", at: 12, type: "u32" };
/** 1 if items that failed keep their slots until somebody takes them, 0 if not. */
export const KEEP_FAILED: Word = { name: "KEEP_FAILED", at: 16, type: "u32" };
/** 1 when somebody has said that nobody puts any more, and 0 before. */
export const ENDED: Word = { name: "ENDED", at: 20, type: "u32" };
/** Counts the ids that attachments were given; the id is its lower 24 bits, after it was counted. */
export const NEXT_ID: Word = { name: "NEXT_ID", at: 24, type: "u32" };
/** Counts the items that were put, from 1; it begins anew after 2^32. */
export const SEQUENCE: Word = { name: "SEQUENCE", at: 64, type: "u32" };
/** Where takers sleep. Bit 0: somebody may be asleep; the others count how often one was woken. */
export const WORK: Word = { name: "WORK", at: 128, type: "u32" };
/** Where those sleep who want a slot. */
export const ROOM: Word = { name: "ROOM", at: 132, type: "u32" };
/** Where those sleep who wait until all is over. */
export const DRAIN: Word = { name: "DRAIN", at: 192, type: "u32" };
/** Counts the items that were completed. */
export const COMPLETED: Word = { name: "COMPLETED", at: 196, type: "u32" };
/** Counts the items that failed or were given up. */
export const FAILURES: Word = { name: "FAILURES", at: 200, type: "u32" };

/** The words of the header, in their order. */
export const headerWords: readonly Word[] = [
  MAGIC,
  SLOTS,
  MESSAGE_BYTES,
  KEEP_FAILED,
  ENDED,
  NEXT_ID,
  SEQUENCE,
  WORK,
  ROOM,
  DRAIN,
  COMPLETED,
  FAILURES,
];

// --- The slots ---------------------------------------------------------------------------------

/** The state of a slot: one word for each, all beside each other. */
export const STATE: Word = { name: "STATE", at: HEADER_BYTES, type: "u32" };

/** What a slot has besides its state: so many bytes, a line of the cache. */
export const SLOT_BYTES = 64;

// The positions are counted from where the part of a slot begins.

/** Where the item stands in the order: SEQUENCE when it was put. */
export const NUMBER: Word = { name: "NUMBER", at: 0, type: "u32" };
/** The id of the attachment that wants an answer; 0 if nobody does. */
export const CALLER: Word = { name: "CALLER", at: 4, type: "u32" };
/** After how many deaths of takers the item is given up: 1 to 30. */
export const ATTEMPTS: Word = { name: "ATTEMPTS", at: 8, type: "u32" };
/** The bytes of the message. */
export const MESSAGE_LENGTH: Word = { name: "MESSAGE_LENGTH", at: 12, type: "u32" };
/** The bytes of the answer. */
export const ANSWER_LENGTH: Word = { name: "ANSWER_LENGTH", at: 16, type: "u32" };
/** Where the caller sleeps, as takers do in WORK. */
export const ANSWER: Word = { name: "ANSWER", at: 20, type: "u32" };
/** The id of the taker that has written PID and SINCE; 0 while nobody has. */
export const TAKER: Word = { name: "TAKER", at: 24, type: "u32" };
/** The process of the taker, as itself sees its number. */
export const PID: Word = { name: "PID", at: 28, type: "u32" };
/** When it was taken, in milliseconds of the Unix epoch. */
export const SINCE: Word = { name: "SINCE", at: 32, type: "f64" };

/** The words of a slot besides its state, in their order. */
export const slotWords: readonly Word[] = [
  NUMBER,
  CALLER,
  ATTEMPTS,
  MESSAGE_LENGTH,
  ANSWER_LENGTH,
  ANSWER,
  TAKER,
  PID,
  SINCE,
];

// --- The state of a slot -----------------------------------------------------------------------

/** Nobody has the slot. The whole word is 0. */
export const FREE = 0;
/** The owner fills it. */
export const FILLING = 1;
/** It waits for a taker. The owner is the caller. */
export const WAITING = 2;
/** The owner, a taker, has it. */
export const TAKEN = 3;
/** The owner, a taker, has it still, and its caller does not want it any more. */
export const DROPPED = 4;
/** The answer is there. The owner is the caller. */
export const DONE = 5;
/** A taker has said that it failed. The owner is the caller. */
export const FAILED = 6;
/** So many takers died that it is not tried again. The owner is the caller. */
export const GIVEN_UP = 7;

/** The names of the states, by their numbers. */
export const stateNames: readonly string[] = [
  "FREE",
  "FILLING",
  "WAITING",
  "TAKEN",
  "DROPPED",
  "DONE",
  "FAILED",
  "GIVEN_UP",
];

/** The most attempts that an item can have. */
export const MOST_ATTEMPTS = 30;

/** Makes the word of a slot: state (3 bits), deaths (5), owner (24). */
export function stateWord(state: number, deaths: number, owner: number): number {
  return (state | deaths << 3 | owner << 8) >>> 0;
}

/** The state in the word of a slot. */
export function stateOf(word: number): number {
  return word & 7;
}

/** How many takers have died so far, of the word of a slot. */
export function deathsOf(word: number): number {
  return word >>> 3 & 31;
}

/** The id of the owner in the word of a slot; 0 if there is none. */
export function ownerOf(word: number): number {
  return word >>> 8;
}

// --- The whole ---------------------------------------------------------------------------------

/** What the header says of a queue. It never changes. */
export interface QueueHeader {
  /** How many slots it has. */
  readonly slots: number;
  /** The most bytes of a message, and of an answer. */
  readonly messageBytes: number;
  /** Whether items that failed keep their slots until somebody takes them. */
  readonly keepFailed: boolean;
}

const ALIGNMENT = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Where the parts of the slots begin, in bytes. */
export function partsStart(slots: number): number {
  return HEADER_BYTES + aligned(4 * slots);
}

/** Where the message of a slot begins, in bytes; the answer comes after it, one area further. */
export function messageStart(slot: number, { slots, messageBytes }: QueueHeader): number {
  return partsStart(slots) + SLOT_BYTES * slots + 2 * slot * aligned(messageBytes);
}

/** Where the answer of a slot begins, in bytes. */
export function answerStart(slot: number, header: QueueHeader): number {
  return messageStart(slot, header) + aligned(header.messageBytes);
}

/** The bytes of a queue's segment. */
export function queueBytes(header: QueueHeader): number {
  return messageStart(header.slots, header);
}

/** Makes a queue's segment of one that is all zeros. */
export function writeQueue(buffer: ArrayBuffer, header: QueueHeader): void {
  const words = new Int32Array(buffer, 0, HEADER_BYTES / 4);
  words[SLOTS.at / 4] = header.slots;
  words[MESSAGE_BYTES.at / 4] = header.messageBytes;
  words[KEEP_FAILED.at / 4] = header.keepFailed ? 1 : 0;
  writeMagic(buffer, "queue");
}

/** Reads what the header of a segment says; it has the bytes of a header at least. */
export function readHeader(buffer: ArrayBuffer, name: string): QueueHeader {
  const words = new Int32Array(buffer, 0, HEADER_BYTES / 4);
  return {
    slots: readWord32(words, SLOTS, name),
    messageBytes: readWord32(words, MESSAGE_BYTES, name),
    keepFailed: readWord32(words, KEEP_FAILED, name, 0, 1) === 1,
  };
}

// Made at the first use: a bare engine, in which the package can be imported, too, has none.
let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;

/** The words and texts of an attached queue. */
export class QueueWords {
  readonly name: string;
  readonly header: QueueHeader;
  /** The header, the states and the parts of the slots, by 32 bits. */
  readonly words: Int32Array<ArrayBuffer>;
  readonly #times: Float64Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** The position of the first slot's part in words. */
  readonly #parts: number;

  /**
   * @param name the queue's name, for messages
   * @param buffer the memory; it is as large as the header says
   * @param header what the header says, checked
   */
  constructor(name: string, buffer: ArrayBuffer, header: QueueHeader) {
    this.name = name;
    this.header = header;
    const length = messageStart(0, header);
    this.words = new Int32Array(buffer, 0, length / 4);
    this.#times = new Float64Array(buffer, 0, length / 8);
    this.#bytes = new Uint8Array(buffer);
    this.#parts = partsStart(header.slots) / 4;
  }

  /** The position of a word of a slot in `words`. */
  indexOf(slot: number, word: Word): number {
    return this.#parts + (slot * SLOT_BYTES + word.at) / 4;
  }

  /** The word of a slot's state, not checked. */
  state(slot: number): number {
    return Atomics.load(this.words, STATE.at / 4 + slot) >>> 0;
  }

  /**
   * Looks for the oldest item that waits. What is found may have changed since: whoever takes it changes its state by
   * compare-and-exchange. The words are read as plain numbers, none of which is older than the atomic read before them.
   * V8 calls a function for an atomic read, which takes ten times as long, and a taker looks at all slots, which may be
   * thousands.
   *
   * @returns its slot; -1 if none waits
   */
  oldestWaiting(): number {
    const now = this.count(SEQUENCE);
    const { words } = this;
    const states = STATE.at / 4;
    const numbers = this.#parts + NUMBER.at / 4;
    const { slots } = this.header;
    let oldest = -1;
    let oldestAge = -1;
    for (let slot = 0; slot < slots; slot++) {
      if (stateOf(words[states + slot]) !== WAITING) continue;
      // One that was put meanwhile has a number after `now`.
      const age = Math.max(0, now - words[numbers + slot * (SLOT_BYTES / 4)] | 0);
      if (age > oldestAge) [oldest, oldestAge] = [slot, age];
    }
    return oldest;
  }

  /** Changes the state of a slot from one word to another; returns whether it had the first one. */
  change(slot: number, from: number, to: number): boolean {
    const at = STATE.at / 4 + slot;
    return Atomics.compareExchange(this.words, at, from | 0, to | 0) === (from | 0);
  }

  /** The word of a slot's state, which must be one that can be. */
  checkedState(slot: number): number {
    const word = this.state(slot);
    if (word === 0 || this.#isPossible(word)) return word;
    throw this.#invalidState(slot, word);
  }

  #isPossible(word: number): boolean {
    const state = stateOf(word);
    const deaths = deathsOf(word);
    if (state === FREE || deaths > MOST_ATTEMPTS || deaths > 0 && state === FILLING) return false;
    if (ownerOf(word) !== 0) return true;
    return state === WAITING ||
      this.header.keepFailed && (state === FAILED || state === GIVEN_UP);
  }

  #invalidState(slot: number, word: number): Error {
    return invalidWord(
      this.name,
      `its word STATE of slot ${slot} is 0x${word.toString(16).padStart(8, "0")}: ${
        stateNames[stateOf(word)]
      } with ${deathsOf(word)} deaths and the owner ${ownerOf(word)}`,
    );
  }

  /** The error for a slot that somebody else has changed, although it is this attachment's. */
  lostSlot(slot: number): Error {
    return this.#invalidState(slot, this.state(slot));
  }

  /** Whether somebody has said that nobody puts any more. */
  get isEnded(): boolean {
    return readWord32(this.words, ENDED, this.name, 0, 1) === 1;
  }

  /** Says that nobody puts any more. */
  storeEnded(): void {
    Atomics.store(this.words, ENDED.at / 4, 1);
  }

  /** Reads a counter of the header. */
  count(word: Word): number {
    return readWord32(this.words, word, this.name);
  }

  /** Adds 1 to a counter of the header. */
  add(word: Word): number {
    return Atomics.add(this.words, word.at / 4, 1) + 1 >>> 0;
  }

  /**
   * Changes a state as {@linkcode change} does, and counts that. It is counted first, and taken back if the change
   * fails: who is woken by the change, or sees it, finds it counted.
   */
  changeCounted(slot: number, from: number, to: number, counter: Word): boolean {
    this.add(counter);
    if (this.change(slot, from, to)) return true;
    Atomics.sub(this.words, counter.at / 4, 1);
    return false;
  }

  /** Reads a word of a slot, and checks it. */
  read(slot: number, word: Word, least = 0, most = 2 ** 32 - 1): number {
    const value = Atomics.load(this.words, this.indexOf(slot, word)) >>> 0;
    if (value >= least && value <= most) return value;
    return checkWord(
      value,
      { ...word, name: `${word.name} of slot ${slot}` },
      this.name,
      least,
      most,
    );
  }

  /** Writes a word of a slot. */
  store(slot: number, word: Word, value: number): void {
    Atomics.store(this.words, this.indexOf(slot, word), value);
  }

  /** The id of the attachment that wants an answer; 0 if nobody does. */
  callerOf(slot: number): number {
    return this.read(slot, CALLER, 0, LAST_ID);
  }

  /** After how many deaths of takers the item is given up. */
  attemptsOf(slot: number): number {
    return this.read(slot, ATTEMPTS, 1, MOST_ATTEMPTS);
  }

  /** Notes who has taken an item, and when. */
  writeTaker(slot: number, id: number, pid: number): void {
    this.store(slot, TAKER, 0);
    this.store(slot, PID, pid);
    this.#times[this.indexOf(slot, SINCE) / 2] = Date.now();
    this.store(slot, TAKER, id);
  }

  /** Takes back what `writeTaker()` noted; to be done before the item is let go. */
  clearTaker(slot: number): void {
    this.store(slot, TAKER, 0);
  }

  /**
   * Tells what the taker of an item has noted of itself.
   *
   * @param slot the slot
   * @param id the taker
   * @returns its process by its own word, and when it took the item; `null` if it has not noted it
   */
  readTaker(slot: number, id: number): { pid: number; since: number } | null {
    if (this.read(slot, TAKER) !== id) return null;
    const pid = this.read(slot, PID);
    const since = this.#times[this.indexOf(slot, SINCE) / 2];
    const isSteady = this.read(slot, TAKER) === id;
    const now = Date.now();
    return isSteady ? { pid, since: since >= 0 && since <= now ? since : now } : null;
  }

  /** Writes the message of an item; the caller has made sure that it fits. */
  writeMessage(slot: number, text: string, action: string): void {
    const at = messageStart(slot, this.header);
    this.store(slot, MESSAGE_LENGTH, this.#write(at, text, action, "message"));
  }

  /** Writes the answer to an item. */
  writeAnswer(slot: number, text: string, action: string): void {
    const at = answerStart(slot, this.header);
    this.store(slot, ANSWER_LENGTH, this.#write(at, text, action, "answer"));
  }

  /** The text of an item's message. */
  messageOf(slot: number): string {
    const length = this.read(slot, MESSAGE_LENGTH, 1, this.header.messageBytes);
    return this.#read(messageStart(slot, this.header), length);
  }

  /** The text of an item's answer. */
  answerOf(slot: number): string {
    const length = this.read(slot, ANSWER_LENGTH, 1, this.header.messageBytes);
    return this.#read(answerStart(slot, this.header), length);
  }

  #write(at: number, text: string, action: string, what: string): number {
    const { messageBytes } = this.header;
    const area = this.#bytes.subarray(at, at + messageBytes);
    encoder ??= new TextEncoder();
    const { read, written } = encoder.encodeInto(text, area);
    if (read === text.length) return written;
    throw new RangeError(
      `Cannot ${action} ${quoteName(this.name)}: as JSON the ${what} has ${
        encoder.encode(text).length
      } bytes, and the queue has room for ${messageBytes}; messageBytes makes more, and large data ` +
        "belong in an array with an axis of slots",
    );
  }

  #read(at: number, length: number): string {
    return (decoder ??= new TextDecoder()).decode(this.#bytes.subarray(at, at + length));
  }
}
