/**
 * Signals.
 *
 * @module
 */

import { attempt, lastError, libc } from "./library.ts";

/** What `signal()` takes for the system's own action. */
export const SIG_DFL = 0n;
/** What `signal()` takes to ignore a signal. */
export const SIG_IGN = 1n;
const SIG_ERR = 0xffff_ffff_ffff_ffffn;

/**
 * Sets what a signal does to this process.
 *
 * @param number the signal's number
 * @param handler {@linkcode SIG_DFL}, {@linkcode SIG_IGN}, or what this function gave before
 * @returns what it did before
 * @see {@link https://man7.org/linux/man-pages/man2/signal.2.html | signal(2)}
 */
export function signal(number: number, handler: bigint): bigint {
  const { symbols } = libc();
  const before = attempt(() => symbols.signal(number, handler), (result) => result === SIG_ERR);
  if (before === null) throw lastError("signal", String(number));
  return before;
}

/**
 * Sends a signal to this thread.
 *
 * @param number the signal's number
 * @see {@link https://man7.org/linux/man-pages/man3/raise.3.html | raise(3)}
 */
export function raise(number: number): void {
  const { symbols } = libc();
  if (attempt(() => symbols.raise(number), (result) => result !== 0) === null) {
    throw lastError("raise", String(number));
  }
}
