/**
 * The names of POSIX shared memory.
 *
 * @module
 */

import type { Advice } from "./errors.ts";
import { attempt, cString, failedWithENOENT, isMinusOne, lastError, libc } from "./library.ts";

/**
 * Opens a segment.
 *
 * @param name the segment's name, without the leading slash
 * @param flags flags of {@linkcode Platform.flags}, or'ed
 * @param mode the permission bits of a segment that is made; the system may take some away
 * @param advice gives a way out for a code
 * @returns a file descriptor, which the caller closes
 * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
 */
export function shmOpen(name: string, flags: number, mode: number, advice?: Advice): number {
  const { symbols, platform } = libc();
  const path = cString("/" + name);
  const fd = attempt(
    () =>
      platform.variadicOnStack
        ? symbols.shm_open_variadic(path, flags, 0, 0, 0, 0, 0, 0, mode)
        : symbols.shm_open(path, flags, mode),
    isMinusOne,
  );
  if (fd === null) throw lastError("shm_open", name, advice);
  return fd;
}

/**
 * Removes a segment's name.
 *
 * @param name the segment's name, without the leading slash
 * @returns `false` if there was no such name
 * @see {@link https://man7.org/linux/man-pages/man3/shm_unlink.3.html | shm_unlink(3)}
 */
export function shmUnlink(name: string): boolean {
  const { symbols } = libc();
  const path = cString("/" + name);
  if (attempt(() => symbols.shm_unlink(path), isMinusOne) !== null) return true;
  if (failedWithENOENT()) return false;
  throw lastError("shm_unlink", name);
}
