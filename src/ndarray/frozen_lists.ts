/**
 * Frozen lists of numbers; equal lists are shared, because freezing one costs more than the rest of making a view.
 *
 * @module
 */

import { descriptorOf } from "../check.ts";
import { showLike } from "../inspect.ts";

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
  return (...numbers) => frozenList(numbers);
}

/** Whether the engine is JavaScriptCore (Bun): no other's errors have the line where they were made. */
const isJavaScriptCore = Object.hasOwn(new Error(), "line");

/**
 * Freezes a list of numbers. A program may take it apart where it is fast, by `const [height, width] = view.shape`:
 * the code that JavaScriptCore compiles for this gives up at each frozen list, and with it the loops of the same
 * function (`docs/decisions/element_access.md`). So lists go through a copy there that is not frozen.
 *
 * @param numbers the list, which is frozen itself
 * @returns the same list
 */
export function frozenList(numbers: Numbers): Numbers {
  if (isJavaScriptCore && !Object.isFrozen(numbers)) {
    const copy = numbers.slice();
    const value = () => copy[Symbol.iterator]();
    Object.defineProperty(numbers, Symbol.iterator, descriptorOf({ value }));
    showLike(numbers, () => numbers.slice());
  }
  return Object.freeze(numbers);
}

// The numbers stand beside the lists, because V8 reads from a frozen list in ten times the time.

function frozenSingles(): ListOf {
  const firsts = new Float64Array(REMEMBERED).fill(NaN);
  const lists = new Array<Numbers>(REMEMBERED).fill([]);
  return (first) => {
    const at = first & (REMEMBERED - 1);
    if (firsts[at] !== first) {
      firsts[at] = first;
      lists[at] = frozenList([first]);
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
      lists[at] = frozenList([first, second]);
    }
    return lists[at];
  };
}
