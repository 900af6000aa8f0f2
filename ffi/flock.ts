/**
 * Locks on open files, which the kernel gives back when their holder ends, however it ends.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/flock.2.html | flock(2)}
 * @module
 */

import { attempt, isMinusOne, lastError, lastErrorNumber, openSymbols } from "./library.ts";
import type { Functions } from "./runtime/mod.ts";
import { declareFlock } from "./symbols.ts";

type Symbols = Functions<ReturnType<typeof declareFlock>>;

let opened: Symbols | undefined;

/** The symbols; opens them at the first call. */
function calls(): Symbols {
  return opened ??= openSymbols(declareFlock());
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
/** EWOULDBLOCK of Linux; macOS has another one, and no locks on segments. */
const EWOULDBLOCK = 11;

/**
 * Takes the lock of an open file, if nobody has it.
 *
 * @param fd the file's descriptor; the lock belongs to what it leads to, which a forked child shares
 * @param name the segment's name, for the message
 * @returns whether it was taken; `false` if somebody else has it
 */
export function tryFlock(fd: number, name: string): boolean {
  const { flock } = calls();
  if (attempt(() => flock(fd, LOCK_EX | LOCK_NB), isMinusOne) !== null) return true;
  if (lastErrorNumber() === EWOULDBLOCK) return false;
  throw lastError("flock", name);
}

/** Gives the lock of an open file back. */
export function unflock(fd: number, name: string): void {
  const { flock } = calls();
  if (attempt(() => flock(fd, LOCK_UN), isMinusOne) === null) throw lastError("flock", name);
}
