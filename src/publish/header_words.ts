/**
 * The words of the header that rings and publications of versions have in common: where each stands, and what
 * may stand in it. Every word is checked here, where it is read: it may come from a writer that was killed, or
 * from a hostile one.
 *
 * `docs/publication.md` describes the words for other languages, and is tested against this file.
 *
 * @module
 */

import { type CreateOptions, isPrivateCopy, PARTS_BYTES, PARTS_ID } from "../segment/mod.ts";
import {
  checkWord,
  fence,
  invalidWord,
  loadPlainly,
  readWord32,
  readWord64,
  type SegmentKind,
  type Word,
  writeMagic,
} from "../words.ts";

/** The bytes of the header; the slots of a ring come after it. */
export const HEADER_BYTES = PARTS_BYTES;

// The words that change are in one line of the cache.

/** What kind of publication it is. Its creator writes it last. */
export const MAGIC: Word = { name: "MAGIC", at: 0, type: "char[8]" };
/** NumPy's type string, and NUL. */
export const DTYPE: Word = { name: "DTYPE", at: 8, type: "char[8]" };
/** The bytes of one array. */
export const ARRAY_BYTES: Word = { name: "ARRAY_BYTES", at: 16, type: "u64" };
/** How many slots a ring has; 0 where there are none. */
export const SLOTS: Word = { name: "SLOTS", at: 24, type: "u32" };
/** The mode bits of the segments; bit 31: their memory is not reserved. */
export const MODE: Word = { name: "MODE", at: 28, type: "u32" };
/** The bytes from the beginning of a slot to that of the next; 0 where there are none. */
export const SLOT_STEP: Word = { name: "SLOT_STEP", at: 32, type: "u64" };
/** Which publication it is; random, and never 0. */
export const ID: Word = { name: "ID", at: PARTS_ID, type: "u64" };
/** The most bytes of the text beside a frame; 0 where frames have none. */
export const META_BYTES: Word = { name: "META_BYTES", at: 48, type: "u32" };
/** The number of the newest whole array; 0 if there is none. */
export const NEWEST: Word = { name: "NEWEST", at: 64, type: "u64" };
/** The number of the newest frame whose writing has begun. */
export const BEGUN: Word = { name: "BEGUN", at: 72, type: "u64" };
/** Bit 0: somebody may be asleep; the others count how often sleepers were woken. */
export const TURN: Word = { name: "TURN", at: 80, type: "u32" };
/** 1 when the writer has said that no more comes, and 0 before. */
export const ENDED: Word = { name: "ENDED", at: 84, type: "u32" };
/** Which version was published at TIME_A; 0 for none. */
export const TIMED_A: Word = { name: "TIMED_A", at: 88, type: "u64" };
/** When that was, in milliseconds of the Unix epoch. */
export const TIME_A: Word = { name: "TIME_A", at: 96, type: "f64" };
/** Which version was published at TIME_B; 0 for none. */
export const TIMED_B: Word = { name: "TIMED_B", at: 104, type: "u64" };
/** When that was, in milliseconds of the Unix epoch. */
export const TIME_B: Word = { name: "TIME_B", at: 112, type: "f64" };

/** The position of the lower half of NEWEST in 32-bit words. */
const NEWEST_LOW = NEWEST.at / 4;

const NOT_RESERVED = 2 ** 31;

/** The words of the header that describe the arrays. They never change. */
export interface Header {
  /** What kind of publication it is. */
  readonly kind: SegmentKind;
  /** NumPy's type string. */
  readonly dtype: string;
  /** The bytes of one array. */
  readonly arrayBytes: number;
  /** How many slots a ring has; 0 where there are none. */
  readonly slots: number;
  /** The bytes from the beginning of a slot to that of the next. */
  readonly slotStep: number;
  /** The most bytes of the text beside a frame. */
  readonly metaBytes: number;
}

/** The last moment that a `Date` can be, in milliseconds of the Unix epoch. */
const LAST_TIME = 8.64e15;

/**
 * Checks a moment that was read from a segment.
 *
 * @param value the moment in milliseconds of the Unix epoch
 * @param word which word it is
 * @param segment the segment's name, for the message
 * @returns the moment
 * @throws {Deno.errors.InvalidData} if it is none
 */
export function checkTime(value: number, word: Pick<Word, "name">, segment: string): number {
  if (value >= 0 && value <= LAST_TIME) return value;
  throw invalidWord(
    segment,
    `its word ${word.name} is ${value}, and should be a moment in milliseconds of the Unix epoch`,
  );
}

/** The words of one attached header. */
export class HeaderWords {
  /** The publication's name, for messages. */
  readonly name: string;
  /** The same memory, by 32 bits: the futex takes no more. */
  readonly words: Int32Array<ArrayBuffer>;
  readonly #numbers: BigInt64Array<ArrayBuffer>;
  /** Whether the memory is mapped copy-on-write. */
  readonly #isCopy: boolean;
  /** The largest number that was read from NEWEST. */
  #seen = 0;

  /**
   * @param name the publication's name
   * @param buffer the memory; it has at least as many bytes as a header
   */
  constructor(name: string, buffer: ArrayBuffer) {
    this.name = name;
    this.words = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.#numbers = new BigInt64Array(buffer, 0, HEADER_BYTES / 8);
    this.#isCopy = isPrivateCopy(buffer);
  }

  /** What the header says of the arrays. */
  get arrays(): Omit<Header, "kind"> {
    const bytes = new Uint8Array(this.words.buffer, DTYPE.at, 8).slice();
    return {
      dtype: new TextDecoder().decode(bytes).split("\0", 1)[0],
      arrayBytes: this.number(ARRAY_BYTES),
      slots: this.#word(SLOTS),
      slotStep: this.number(SLOT_STEP),
      metaBytes: this.#word(META_BYTES),
    };
  }

  /** How further segments are to be made: as the creator wanted this one. */
  get options(): CreateOptions {
    const word = this.#word(MODE);
    const mode = checkWord(word % NOT_RESERVED, MODE, this.name, 0, 0o777);
    return { mode, reserve: word < NOT_RESERVED };
  }

  /** Which publication it is. */
  get id(): bigint {
    const numbers = this.#numbers;
    const id = this.#isCopy ? loadPlainly(numbers, ID.at / 8) : Atomics.load(numbers, ID.at / 8);
    if (id === 0n) throw invalidWord(this.name, "its word ID is 0");
    return BigInt.asUintN(64, id);
  }

  /** The number of the newest whole array; 0 if there is none. It never becomes less. */
  get newest(): number {
    return this.#seen = this.number(NEWEST, this.#seen);
  }

  /** The number of the next array, for the writer. */
  get next(): number {
    return checkWord(this.newest, NEWEST, this.name, 0, Number.MAX_SAFE_INTEGER - 1) + 1;
  }

  /**
   * Whether the newest whole array has this number. It compares without making a bigint, as {@linkcode newest}
   * must.
   */
  isNewest(number: number): boolean {
    const { words } = this;
    const high = Math.floor(number / 2 ** 32);
    if (this.#isCopy) {
      return loadPlainly(words, NEWEST_LOW) === (number | 0) &&
        loadPlainly(words, NEWEST_LOW + 1) === high;
    }
    return Atomics.load(words, NEWEST_LOW) === (number | 0) &&
      Atomics.load(words, NEWEST_LOW + 1) === high;
  }

  /**
   * Whether the writer has said that no more comes. A caller that also asks for the newest array must ask this
   * first.
   */
  get isEnded(): boolean {
    return this.#word(ENDED, 0, 1) === 1;
  }

  /** Makes an array the newest one, after all of it was written. */
  storeNewest(number: number): void {
    fence();
    this.store(NEWEST, number);
  }

  /** Says that no more comes. */
  storeEnded(): void {
    Atomics.store(this.words, ENDED.at / 4, 1);
  }

  /** Writes what never changes, into memory that is all zeros. */
  write(
    { kind, dtype, arrayBytes, slots, slotStep, metaBytes }: Header,
    { mode = 0o600, reserve = true }: CreateOptions = {},
  ): void {
    const { words } = this;
    new TextEncoder().encodeInto(dtype, new Uint8Array(words.buffer, DTYPE.at, 8));
    this.store(ARRAY_BYTES, arrayBytes);
    words[SLOTS.at / 4] = slots;
    words[MODE.at / 4] = mode + (reserve ? 0 : NOT_RESERVED);
    this.store(SLOT_STEP, slotStep);
    words[META_BYTES.at / 4] = metaBytes;
    this.#numbers[ID.at / 8] = randomId();
    fence();
    writeMagic(words.buffer, kind);
  }

  /** Reads a number of 64 bits, in one access. */
  protected number(word: Word, least?: number, most?: number): number {
    const numbers = this.#numbers;
    if (!this.#isCopy) return readWord64(numbers, word, this.name, least, most);
    return checkWord(loadPlainly(numbers, word.at / 8), word, this.name, least, most);
  }

  /** Reads a number of 32 bits, in one access. */
  #word(word: Word, least?: number, most?: number): number {
    const { words } = this;
    if (!this.#isCopy) return readWord32(words, word, this.name, least, most);
    return checkWord(loadPlainly(words, word.at / 4) >>> 0, word, this.name, least, most);
  }

  /** Writes a number of 64 bits, in one access. */
  protected store(word: Word, number: number): void {
    Atomics.store(this.#numbers, word.at / 8, BigInt(number));
  }
}

function randomId(): bigint {
  const [id] = crypto.getRandomValues(new BigInt64Array(1));
  return id === 0n ? randomId() : id;
}
