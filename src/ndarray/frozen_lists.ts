/**
 * Frozen lists of numbers; equal lists are shared, because freezing one costs more than the rest of making a view.
 *
 * @module
 */

type Numbers = readonly number[];

/** Gives a frozen list of its arguments. */
export type ListOf = (...numbers: number[]) => Numbers;

/** So many lists are remembered: a power of two. */
const REMEMBERED = 256;

/**
 * Makes what gives frozen lists of one length. Of one and two numbers it remembers the last ones.
 *
 * @param length how many numbers the lists have
 */
export function frozenLists(length: number): ListOf {
  if (length === 1) return frozenSingles();
  if (length === 2) return frozenPairs();
  return (...numbers) => Object.freeze(numbers);
}

// The numbers stand beside the lists, because V8 reads from a frozen list in ten times the time.

function frozenSingles(): ListOf {
  const firsts = new Float64Array(REMEMBERED).fill(NaN);
  const lists = new Array<Numbers>(REMEMBERED).fill([]);
  return (first) => {
    const at = first & (REMEMBERED - 1);
    if (firsts[at] !== first) {
      firsts[at] = first;
      lists[at] = Object.freeze([first]);
    }
    return lists[at];
  };
}

function frozenPairs(): ListOf {
  const firsts = new Float64Array(REMEMBERED).fill(NaN);
  const seconds = new Float64Array(REMEMBERED);
  const lists = new Array<Numbers>(REMEMBERED).fill([]);
  return (first, second) => {
    // Pairs of the same sum, and of the same difference, have places of their own.
    const at = (first + 38 * second) & (REMEMBERED - 1);
    if (firsts[at] !== first || seconds[at] !== second) {
      firsts[at] = first;
      seconds[at] = second;
      lists[at] = Object.freeze([first, second]);
    }
    return lists[at];
  };
}
