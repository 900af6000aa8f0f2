/**
 * Who comes first makes a segment, and all others attach to it.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { sleep } from "../../ffi/time.ts";
import { directoryAdvice } from "./file.ts";

/** How long one goes on at least where a segment is always removed before one is attached, in milliseconds. */
const LEAST_PATIENCE = 1000;

/** How often one tries at least, also where the time is up. */
const LEAST_TRIES = 100;

/**
 * Attaches to a segment, or makes it if there is none. Of all that do so at once, one makes it.
 *
 * What is made must get its name when it is whole. Then a creator that is killed leaves no name that leads to half
 * a segment, and whoever finds the name finds all. A segment that is removed meanwhile does not count: there is
 * none then, and the next one is made.
 *
 * @param timeout how long to wait for a segment that somebody else has named before it is whole, in milliseconds
 * @param attach attaches to the segment that has the name, and waits for it as long as it is told, in
 * milliseconds; throws an error with the code `ENOENT` if there is none, or it is removed meanwhile
 * @param create makes it; throws an error with the code `EEXIST` if the name is taken
 * @returns what one of the two gave
 * @throws what either throws for another reason
 */
export function createOrAttach<T>(
  timeout: number,
  attach: (rest: number) => T,
  create: () => T,
): T {
  const start = performance.now();
  for (let tries = 1;; tries++) {
    const spent = performance.now() - start;
    try {
      return attach(Math.max(0, timeout - spent));
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
    }
    try {
      return create();
    } catch (error) {
      // There is no room, perhaps because another process is about to make the same segment.
      const isFull = hasCode(error, "ENOSPC");
      if (!isFull && !hasCode(error, "EEXIST", "ENOENT")) throw error;
      const isOver = performance.now() - start > Math.max(timeout, LEAST_PATIENCE);
      if (isOver && (isFull || tries >= LEAST_TRIES)) throw error;
      if (hasCode(error, "ENOENT") && directoryAdvice("ENOENT") !== undefined) throw error;
      if (isFull) sleep(1 + 4 * Math.random());
    }
  }
}
