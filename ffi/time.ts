/**
 * Time: a pause of this thread.
 *
 * @module
 */

/**
 * Blocks this thread for some milliseconds.
 *
 * @param milliseconds how long
 */
export function sleep(milliseconds: number): void {
  nobodysWord ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(nobodysWord, 0, 0, milliseconds);
}

/**
 * A word that nobody else knows, so that nobody ends a wait on it. It is made at the first use: most pages of a
 * browser have no `SharedArrayBuffer`.
 */
let nobodysWord: Int32Array | undefined;
