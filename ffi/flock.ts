/**
 * Locks on open files. The kernel gives a lock back when its holder ends, however it ends.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/flock.2.html | flock(2)}
 * @module
 */

import type { LockKind } from "./fcntl.ts";
import { checked, falseIfTaken, openOnUse } from "./library.ts";
import { declareFlock } from "./symbols.ts";

const functions = openOnUse(declareFlock);

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/**
 * Takes the lock of an open file, if nobody has it.
 *
 * @param fd the file's descriptor; the lock belongs to what it leads to, which a forked child shares
 * @param subject the segment's name, for the error
 * @param kind whether only one may have it
 * @returns whether it was taken; `false` if somebody else has it
 */
export function tryFlock(
  fd: number,
  subject: string,
  kind: LockKind = "exclusive",
): boolean {
  const { flock } = functions();
  const operation = (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB;
  // A success needs no errno, and so nothing of what `checked()` prepares: half of the time of both.
  if (flock(fd, operation) === 0) return true;
  return checked("flock", subject, () => flock(fd, operation), falseIfTaken) !== false;
}

/**
 * Gives the lock of an open file back.
 *
 * @param fd the file's descriptor
 * @param subject the segment's name, for the error
 */
export function unflock(fd: number, subject: string): void {
  const { flock } = functions();
  if (flock(fd, LOCK_UN) === 0) return;
  checked("flock", subject, () => flock(fd, LOCK_UN));
}
