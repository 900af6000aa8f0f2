/**
 * Signals.
 *
 * @module
 */

import { attempt, isMinusOne, lastError, seldomUsed } from "./library.ts";

/**
 * Sends a signal to a process.
 *
 * @param pid the process
 * @param number the signal's number; 0 sends none, and only looks whether one could be sent
 * @see {@link https://man7.org/linux/man-pages/man2/kill.2.html | kill(2)}
 */
export function kill(pid: number, number: number): void {
  const symbols = seldomUsed();
  if (attempt(() => symbols.kill(pid, number), isMinusOne) === null) {
    throw lastError("kill", String(pid));
  }
}

/**
 * Ends this process at once, with all its threads and without any event.
 *
 * @param code the exit code
 * @see {@link https://man7.org/linux/man-pages/man2/_exit.2.html | _exit(2)}
 */
export function exitNow(code: number): void {
  seldomUsed()._exit(code);
}
