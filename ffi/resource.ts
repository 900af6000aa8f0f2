/**
 * Limits of what this process may use.
 *
 * @module
 */

import { checked, openOnUse } from "./library.ts";
import { declareSegments } from "./symbols.ts";

const segments = openOnUse(declareSegments);

/** The size of files that this process makes larger, in bytes; the same number on every supported system. */
export const RLIMIT_FSIZE = 1;

/** `struct rlimit`: 64 bits of the limit now, and 64 of how far it may be raised. */
const limits = new Uint32Array(4);

/**
 * Asks for a limit.
 *
 * @param resource of what
 * @returns the limit that holds now; where there is none, a number larger than any
 * @see {@link https://man7.org/linux/man-pages/man2/getrlimit.2.html | getrlimit(2)}
 */
export function getrlimit(resource: number): number {
  checked("getrlimit", String(resource), () => segments().getrlimit(resource, limits));
  return limits[0] + limits[1] * 2 ** 32;
}
