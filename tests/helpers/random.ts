/**
 * Random numbers that can be replayed: the same seed gives the same sequence, on every machine.
 *
 * @module
 */

/** The seed of this run: the environment variable `SHM_SEED`, or the given one. */
export function seedOf(usual: number): number {
  const text = Deno.env.get("SHM_SEED");
  if (text === undefined || text === "") return usual;
  if (!/^\d+$/.test(text)) throw new Error(`SHM_SEED must be an integer of 0 or more, not ${text}`);
  return Number(text);
}

/** A source of random choices: mulberry32, a generator with 32 bits of state. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A number from 0 to 1, 1 excluded. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `lowest` to `highest`, both included. */
  integer(lowest: number, highest: number): number {
    return lowest + Math.floor(this.next() * (highest - lowest + 1));
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of several choices. */
  oneOf<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)];
  }

  /** The integers from 0 to `length` - 1 in any order. */
  permutation(length: number): number[] {
    const order = Array.from({ length }, (_, at) => at);
    for (let at = length - 1; at > 0; at--) {
      const other = this.integer(0, at);
      [order[at], order[other]] = [order[other], order[at]];
    }
    return order;
  }
}
