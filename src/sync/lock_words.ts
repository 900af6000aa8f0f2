/**
 * The words of a lock's segment. `docs/sync.md` has the same table and the order of the steps, for programs in
 * other languages; `tests/model/lock.pml` proves them, under the same names.
 *
 * No word excludes anybody. The `flock` of the segment does, which the kernel gives back when its holder ends.
 * So no value of a word admits a writer beside anybody, and none delays a waiter for longer than {@linkcode
 * LOCK_SLICE}.
 *
 * @module
 */

import { quoteName } from "../check.ts";
import { checkMagic, magics, refuseOtherKinds, type Word, writeMagic } from "../words.ts";
import { ALL_SLEEP, ONE_SLEEPS } from "./event_count.ts";

/** The size of a lock's segment in bytes. */
export const LOCK_BYTES: number = magics.lock.size;

/** One more after each release for which a waiter was announced, and whenever a waiter takes the lock. */
export const TURN: Word = { name: "TURN", at: 0, type: "i32" };

/**
 * Bits: {@linkcode ANNOUNCED} if somebody may be asleep in `TURN`, both of {@linkcode READER_ANNOUNCED} if a reader may
 * be, {@linkcode GATED} if a writer may hold back new readers.
 */
export const WAITING: Word = { name: "WAITING", at: 4, type: "i32" };

/** In `WAITING`: somebody may be asleep who wants the lock alone. */
export const ANNOUNCED: number = ONE_SLEEPS;

/** In `WAITING`: somebody may be asleep who wants the lock shared. A release wakes all sleepers then. */
export const READER_ANNOUNCED: number = ONE_SLEEPS | ALL_SLEEP;

/**
 * In `WAITING`: a writer may hold back new readers. It spares readers the question to the kernel, which alone knows
 * whether it is so. A release leaves this bit; a reader that finds the gate open clears it.
 */
export const GATED = 4;

/**
 * The byte of the lock's file that each writer locks while it waits, shared, so that any number of them can: the
 * gate. A new reader does not take the lock while somebody else has a lock on it. The kernel opens it when the writer
 * ends.
 */
export const GATE_BYTE: number = 2 ** 32;

/**
 * Not 0 while one that has the lock alone is in the section. A process that takes the lock and finds it so knows that
 * the last such holder never left the section. Readers do not change it.
 */
export const HELD: Word = { name: "HELD", at: 8, type: "i32" };

/** Tells a lock from 16 bytes of anything else: the letters `LCK1`. */
export const MAGIC: Word = { name: "MAGIC", at: magics.lock.at, type: "char[4]" };

/** All of them, in their order. */
export const lockWords: readonly Word[] = [TURN, WAITING, HELD, MAGIC];

/**
 * The longest sleep in milliseconds before a waiter tries to take the lock again: a holder that is killed wakes
 * nobody, and what stands in the segment cannot be trusted. For the same time, a process that releases a lock
 * leaves it to the waiter that it has woken.
 */
export const LOCK_SLICE = 20;

/** Gives the words of a lock's segment. */
export function wordsOf(buffer: ArrayBuffer): Int32Array {
  return new Int32Array(buffer, 0, LOCK_BYTES / Int32Array.BYTES_PER_ELEMENT);
}

/** The position of a word in {@linkcode wordsOf}. */
export function indexOf(word: Word): number {
  return word.at / Int32Array.BYTES_PER_ELEMENT;
}

/** Makes a lock's segment of one that is all zeros. */
export function writeLock(buffer: ArrayBuffer): void {
  writeMagic(buffer, "lock");
}

/**
 * Checks that a segment is a lock's, before a byte of it is written.
 *
 * @param buffer the segment
 * @param name its name, for the message
 * @param isTimeUp whether its creator had the time to write the magic
 * @returns `false` if its creator may be about to do so
 * @throws {TypeError} if it is something else
 * @throws {RangeError} if it has not the size of a lock's
 */
export function checkLock(buffer: ArrayBuffer, name: string, isTimeUp: boolean): boolean {
  const { byteLength } = buffer;
  if (byteLength === LOCK_BYTES) return checkMagic(buffer, "lock", name, isTimeUp);
  refuseOtherKinds(buffer, "lock", name);
  throw new RangeError(
    `Cannot load ${quoteName(name)}: ` +
      `the segment has ${byteLength} bytes, and a lock needs ${LOCK_BYTES}` +
      (byteLength > LOCK_BYTES ? "; it is something else, which a lock would write to" : ""),
  );
}
