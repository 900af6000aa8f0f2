/**
 * The words of a ring, and the arithmetic of its slots. The names of the words and the order of the steps are
 * those of the model, `tests/model/ring.pml`, and of `docs/publication.md`. Where each word stands, and what
 * may stand in it, is said in `header_words.ts`: all words of a ring are in the header.
 *
 * @module
 */

import { errors } from "../errors.ts";
import { checkWord, type Word } from "../words.ts";
import {
  ARRAY_BYTES,
  BEGUN,
  DTYPE,
  ENDED,
  fence,
  type Header,
  HEADER_BYTES,
  HeaderWords,
  ID,
  MAGIC,
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
  NEWEST,
  BEGUN,
  TURN,
  ENDED,
];

/** Slots begin at multiples of this many bytes, a line of the cache. */
export const SLOT_ALIGNMENT = 64;

/** Tells what the header of a ring says. */
export function ringHeader(arrays: Pick<Header, "dtype" | "arrayBytes">, slots: number): Header {
  const slotStep = Math.ceil(arrays.arrayBytes / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
  return { kind: "ring", ...arrays, slots, slotStep };
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
   */
  isWhole(sequence: number, slots: number): boolean {
    fence(); // the elements are read before the number is
    return this.begunAfter(sequence) < sequence + slots;
  }
}
