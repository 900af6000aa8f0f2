/**
 * How long a wait looks before it sleeps: not for long, and hardly at all where earlier looks were in vain.
 *
 * @module
 */

import { monotonicNow } from "../../ffi/futex.ts";

/**
 * How long a wait may look at its element before it sleeps, in milliseconds. To wake a thread takes some 5 µs
 * if its core is awake, and 50 µs in a virtual machine whose core sleeps: two processes that answer each other
 * must look for longer than that at least once, or each always finds the other asleep. A round trip then takes
 * 1 to 5 µs instead of 100 (`bench/peers/sync.ts`).
 */
const LONGEST_SPIN = 0.1;
/** How long a wait looks if earlier looks were in vain. */
const SHORTEST_SPIN = 0.001;
/** How often a wait looks before it asks for the time. */
export const LOOKS = 64;
/** The looks of the waits of one kind. After each look in vain the next one takes half the time, down to almost none. */
export class Spin {
  readonly #trial: number;
  #limit = SHORTEST_SPIN;
  #waits = 0;

  /**
   * @param trial one of this many waits looks for the longest time, because the other side may have become faster
   */
  constructor(trial: number) {
    this.#trial = trial;
  }

  /** Begins to look; returns the moment, by the kernel's monotonic clock, at which to give up. */
  begin(): number {
    if (navigator.hardwareConcurrency === 1) return -Infinity; // nobody could answer meanwhile
    return monotonicNow() + (++this.#waits % this.#trial === 0 ? LONGEST_SPIN : this.#limit);
  }

  /** Ends the look; `hasSeen` says whether it was not in vain. */
  end(hasSeen: boolean): void {
    this.#limit = hasSeen ? LONGEST_SPIN : Math.max(SHORTEST_SPIN, this.#limit / 2);
  }
}
