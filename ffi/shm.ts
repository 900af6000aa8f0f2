/**
 * The names of POSIX shared memory.
 *
 * @module
 */

import { type Advice, systemError } from "./errors.ts";
import { statx } from "./files.ts";
import { checked, cString, libc, nullIfMissing, openOnUse } from "./library.ts";
import { declareSegments, declareVariadicOpen } from "./symbols.ts";

const segments = openOnUse(declareSegments);
const variadic = openOnUse(declareVariadicOpen);

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
  const { platform } = libc();
  const { shm_open } = segments();
  if (wouldStray()) throw systemError(platform.os, "ENOENT", "shm_open", name, advice);
  const path = cString("/" + name);
  return checked(
    "shm_open",
    name,
    () =>
      platform.variadicOnStack
        ? variadic().shm_open_variadic(path, flags, 0, 0, 0, 0, 0, 0, mode)
        : shm_open(path, flags, mode),
    { advice },
  );
}

/** How many names this thread has removed. */
let removals = 0;

/** Tells how many names this thread has removed by {@linkcode shmUnlink}, so that it knows of them without a look. */
export function countRemovals(): number {
  return removals;
}

/**
 * Removes a segment's name.
 *
 * @param name the segment's name, without the leading slash
 * @returns `false` if there was no such name
 * @see {@link https://man7.org/linux/man-pages/man3/shm_unlink.3.html | shm_unlink(3)}
 */
export function shmUnlink(name: string): boolean {
  if (wouldStray()) return false;
  const path = cString("/" + name);
  removals++;
  return checked("shm_unlink", name, () => segments().shm_unlink(path), nullIfMissing) !== null;
}

/**
 * Whether the C library would put segments in another place. Where there is no `/dev/shm`, glibc before
 * 2.34 takes any tmpfs that is mounted, and no other program looks there.
 */
function wouldStray(): boolean {
  const { name, platform } = libc();
  return name === "librt.so.1" && platform.directory !== null && statx(platform.directory) === null;
}
