/**
 * What four processes do that take turns in a ring, or meet: the same code in all of them.
 *
 * @module
 */

import { notify, type SharedMemoryBarrier, wait } from "@shm/array/sync";

/** How many processes there are. */
export const MEMBERS = 4;

/**
 * Passes a turn on to the next one, whenever it comes. The first one begins. Each has a word in a cache line of its own.
 *
 * @param words the words
 * @param own which of the four this is
 * @param turn the turn before the first one: the next one may have come before this process looks
 * @param count how often the turn goes round
 */
export function passOn(words: Int32Array, own: number, turn: number, count: number): void {
  const mine = 16 * own;
  const next = 16 * ((own + 1) % MEMBERS);
  for (let i = 0; i < count; i++) {
    if (own > 0) { while (Atomics.load(words, mine) === turn) wait(words, mine, turn); }
    Atomics.store(words, next, turn + 1);
    notify(words, next);
    if (own === 0) { while (Atomics.load(words, mine) === turn) wait(words, mine, turn); }
    turn++;
  }
}

/** Meets so many times. */
export function meetTimes(barrier: SharedMemoryBarrier, count: number): void {
  for (let i = 0; i < count; i++) barrier.meet();
}
