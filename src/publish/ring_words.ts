/**
 * The words of a ring, and the arithmetic of its slots. The names of the words and the order of the steps are
 * those of the model, `tests/model/ring.pml`, and of `docs/publication.md`. Where each word of the header stands,
 * and what may stand in it, is said in `header_words.ts`; what stands beside a frame in its slot is said here.
 *
 * @module
 */

import { errors } from "../errors.ts";
import { checkWord, fence, type Word } from "../words.ts";
import {
  ARRAY_BYTES,
  BEGUN,
  checkTime,
  DTYPE,
  ENDED,
  type Header,
  HEADER_BYTES,
  HeaderWords,
  ID,
  MAGIC,
  META_BYTES,
  MODE,
  NEWEST,
  SLOT_STEP,
  SLOTS,
  TURN,
} from "./header_words.ts";

/** All words of a ring, in their order. */
export const ringWords: readonly Word[] = [
  MAGIC,
  DTYPE,
  ARRAY_BYTES,
  SLOTS,
  MODE,
  SLOT_STEP,
  ID,
  META_BYTES,
  NEWEST,
  BEGUN,
  TURN,
  ENDED,
];

/** Slots begin at multiples of this many bytes, a line of the cache. */
export const SLOT_ALIGNMENT = 64;

// What stands beside a frame: its words begin at the first multiple of 8 after its elements, and are counted from there.

/** When the frame was published, in milliseconds of the Unix epoch. */
export const TIMESTAMP: Word = { name: "TIMESTAMP", at: 0, type: "f64" };
/** How many bytes the text beside the frame has; 0 for none. It is there where META_BYTES is not 0. */
export const META_LENGTH: Word = { name: "META_LENGTH", at: 8, type: "u32" };
/** The text beside the frame, JSON in UTF-8. */
export const META: Word = { name: "META", at: 12, type: "char[META_BYTES]" };

/** The words beside a frame, in their order. */
export const frameWords: readonly Word[] = [TIMESTAMP, META_LENGTH, META];

/** Tells what the header of a ring says. */
export function ringHeader(
  arrays: Pick<Header, "dtype" | "arrayBytes">,
  slots: number,
  metaBytes = 0,
): Header {
  const end = besideFrame(arrays.arrayBytes) +
    (metaBytes === 0 ? META_LENGTH.at : META.at + metaBytes);
  const slotStep = Math.ceil(end / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
  return { kind: "ring", ...arrays, slots, slotStep, metaBytes };
}

/** Where the words beside a frame begin, in bytes from the beginning of its slot. */
export function besideFrame(arrayBytes: number): number {
  return Math.ceil(arrayBytes / 8) * 8;
}

/** The bytes of a ring's segment. */
export function ringBytes({ slots, slotStep }: Header): number {
  return HEADER_BYTES + slots * slotStep;
}

/** The slot in which a frame lies; frames are numbered from 1, slots from 0. */
export function slotOf(sequence: number, slots: number): number {
  return (sequence - 1) % slots;
}

/** Where a slot begins, in bytes from the beginning of the segment. */
export function slotStart(slot: number, { slotStep }: Header): number {
  return HEADER_BYTES + slot * slotStep;
}

/** The words of an attached ring. */
export class RingWords extends HeaderWords {
  /**
   * NEWEST when a reader joins. It has not missed the frames before. If the number cannot be right, `next()`
   * says so.
   */
  get joined(): number {
    try {
      return this.newest;
    } catch (error) {
      if (error instanceof errors.InvalidData) return 0;
      throw error;
    }
  }

  /**
   * The number of the newest frame whose writing has begun. It is NEWEST, or one more: the writer stores it
   * before NEWEST, so what is read here is at least any NEWEST that was read before, and at most one more than
   * any that is read after.
   *
   * @param least the number of a frame that was whole before
   */
  begunAfter(least: number): number {
    const begun = this.number(BEGUN, least);
    // NEWEST is read after BEGUN, and so at most one less.
    if (begun > least + 1) checkWord(begun, BEGUN, this.name, least, this.newest + 1);
    return begun;
  }

  /** Says that a frame is being written, before its first byte is. */
  storeBegun(sequence: number): void {
    this.store(BEGUN, sequence);
    fence();
  }

  /**
   * Whether the writer has not begun to overwrite a frame. If so, everything that was read of the frame before
   * is right.
   *
   * @param sequence the number of a frame that was whole
   * @param slots how many slots the ring has
   * @param least the number of a frame that was whole before, if that is known of a later one
   */
  isWhole(sequence: number, slots: number, least = sequence): boolean {
    fence(); // the elements are read before the number is
    return this.begunAfter(least) < sequence + slots;
  }
}

/** What stands beside a frame, as it was read. */
export interface Stamp {
  /** When the frame was published, in milliseconds of the Unix epoch. */
  readonly timestamp: number;
  /** How many bytes the text beside the frame should have. */
  readonly length: number;
  /** A copy of the text; `null` if there is none. */
  readonly text: Uint8Array | null;
}

/** The words beside the frame of one slot. */
export class FrameWords {
  readonly #name: string;
  readonly #time: Float64Array<ArrayBuffer>;
  readonly #length: Int32Array<ArrayBuffer>;
  readonly #text: Uint8Array<ArrayBuffer>;

  /**
   * @param name the ring's name, for messages
   * @param buffer the memory of the segment
   * @param slot the number of the slot
   * @param header what the ring's header says; it was compared with the segment
   */
  constructor(name: string, buffer: ArrayBuffer, slot: number, header: Header) {
    const { arrayBytes, metaBytes } = header;
    const at = slotStart(slot, header) + besideFrame(arrayBytes);
    this.#name = name;
    this.#time = new Float64Array(buffer, at, 1);
    this.#length = new Int32Array(buffer, at + META_LENGTH.at, metaBytes === 0 ? 0 : 1);
    this.#text = new Uint8Array(buffer, metaBytes === 0 ? at : at + META.at, metaBytes);
  }

  /**
   * Writes what stands beside the frame, between BEGUN and NEWEST of the frame.
   *
   * @param timestamp when it is published, in milliseconds of the Unix epoch
   * @param text the text beside it, which fits; `null` for none
   */
  write(timestamp: number, text: Uint8Array | null): void {
    this.#time[0] = timestamp;
    if (this.#length.length === 0) return;
    if (text !== null) this.#text.set(text);
    this.#length[0] = text === null ? 0 : text.length;
  }

  /** Copies what stands beside the frame. It may be that of two frames, until it is known that the frame was whole. */
  read(): Stamp {
    const timestamp = this.#time[0];
    if (this.#length.length === 0) return { timestamp, length: 0, text: null };
    const length = this.#length[0] >>> 0;
    return { timestamp, length, text: length === 0 ? null : this.#text.slice(0, length) };
  }

  /**
   * Checks what was read of a frame that was whole.
   *
   * @returns the same
   * @throws {Deno.errors.InvalidData} if it cannot be right
   */
  check(stamp: Stamp): Stamp {
    checkTime(stamp.timestamp, TIMESTAMP, this.#name);
    if (stamp.length !== 0) {
      checkWord(stamp.length, META_LENGTH, this.#name, 0, this.#text.length);
    }
    return stamp;
  }
}
