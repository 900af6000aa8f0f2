/**
 * The file by which Linux shows a segment: where it is, which one it is, and how its name is removed without
 * ever removing the name of another segment.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { tryLockByte } from "../../ffi/fcntl.ts";
import { close, fstat, identityText, statx } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen, shmUnlink } from "../../ffi/shm.ts";
import { sleep } from "../../ffi/time.ts";
import { FAMILIAR_FRAMES, needStack, UNFAMILIAR_FRAMES } from "../check.ts";
import { isAnonymousName, unlinkAnonymous } from "./anonymous.ts";
import { checkUsableName } from "./name.ts";

/** What identifies a segment on this machine. */
export interface FileIdentity {
  /** The device that it is on, as `fstat` gives it. */
  readonly device: number;
  /** Its number on the device; 0 where the system gives segments none. */
  readonly inode: number;
}

/**
 * Tells the path of a segment's file.
 *
 * @param name a checked name
 * @returns its path; only where the system has a folder of segments
 */
export function pathOf(name: string): string {
  return `${platform().directory}/${name}`;
}

/**
 * Removes a name, whatever segment it leads to; of an anonymous segment, the descriptor by which others reach
 * it.
 *
 * @param name the name
 * @returns `false` if it was gone already
 */
export function unlink(name: string): boolean {
  checkUsableName(name);
  return isAnonymousName(name) ? unlinkAnonymous(name) : shmUnlink(name);
}

/**
 * Removes a name that leads to a certain segment, and leaves one that leads to another segment by now.
 *
 * The kernel has no call that looks and removes at once, and between the two another process may remove the
 * name and make a new segment of it. So a process that removes a segment in this way holds a lock on one byte
 * of that file: meanwhile no other process of this package takes the name from the file, and the name cannot
 * come to lead to another segment. (Moving the file aside first would exclude `rm` and other languages, too,
 * but then `/proc` would show the wrong name for every process that maps it.) On a system that does not number
 * segments, the name is removed whatever it leads to.
 *
 * @param name a checked name
 * @param segment the segment
 * @param remove takes the name away; tells whether it was there
 * @returns whether it was removed; `false` if the name is gone, or another segment's
 */
export function unlinkOwn(
  name: string,
  segment: FileIdentity,
  remove: () => boolean = () => shmUnlink(name),
): boolean {
  if (isAnonymousName(name)) return unlinkAnonymous(name); // its name has the inode in it
  if (platform().directory === null || segment.inode === 0) return shmUnlink(name);
  needStackToRemove();
  const fd = openForRemoval(name);
  if (fd === null) return leadsTo(pathOf(name), segment) && remove();
  try {
    if (takeTurn(fd, name)) {
      const { device, inode, named } = fstat(fd, name);
      return device === segment.device && inode === segment.inode && named !== false && remove();
    }
    // Another process may have taken the name meanwhile, and a third one given it to its own segment.
    awaitTurn(fd, name);
    return leadsTo(pathOf(name), segment) && remove();
  } finally {
    close(fd);
    hasRemoved = true;
  }
}

/** Whether a name was removed before: V8 has then compiled what a removal calls. */
let hasRemoved = false;

/**
 * Looks whether there is stack enough to open what is removed, and to close it again. It asks for half of what
 * the making of a segment asks for: whoever could make one can remove it from where they are.
 *
 * @throws {RangeError} if there is not
 */
export function needStackToRemove(): void {
  needStack((hasRemoved ? FAMILIAR_FRAMES : UNFAMILIAR_FRAMES) / 2);
}

/**
 * Opens what a name leads to, in order to remove it; `null` where that is not possible: its mode may not let its
 * owner write, there may be no descriptor left, or it is no segment. Then it is removed without a lock. Opening
 * waits for nobody, also where somebody has put a FIFO there.
 */
function openForRemoval(name: string): number | null {
  const { O_RDWR, O_NONBLOCK } = platform().flags;
  try {
    return shmOpen(name, O_RDWR | O_NONBLOCK, 0);
  } catch (error) {
    if (hasCode(error, ...NOT_TO_BE_OPENED)) return null;
    throw error;
  }
}

const NOT_TO_BE_OPENED = [
  "ENOENT",
  "EACCES",
  "EPERM",
  "EMFILE",
  "ENFILE",
  "ELOOP",
  "EISDIR",
  "ENXIO",
  "ENODEV",
  "EROFS",
];

/** Keeps other processes of this package from removing the segment, unless one is about to. */
function takeTurn(fd: number, name: string): boolean {
  try {
    return tryLockByte(fd, REMOVAL_BYTE, name);
  } catch (error) {
    if (lacksByteLocks(error)) return true;
    throw error;
  }
}

/** Whether an error says that the kernel cannot lock bytes: not every one that calls itself Linux can (gVisor). */
export function lacksByteLocks(error: unknown): boolean {
  return hasCode(error, "EINVAL", "ENOLCK", "ENOSYS", "EOPNOTSUPP");
}

/**
 * Waits until no other process is about to remove the same segment, but not for long: that process may have
 * been stopped.
 */
function awaitTurn(fd: number, name: string): void {
  const deadline = performance.now() + LONGEST_REMOVAL;
  while (!takeTurn(fd, name) && performance.now() < deadline) sleep(0.1);
}

/** The byte that a process locks while it removes a segment: far beyond the end of any. */
const REMOVAL_BYTE = 2 ** 62;

/** A removal takes some 10 µs; in milliseconds. */
const LONGEST_REMOVAL = 200;

/** Whether a path leads to a certain segment. */
function leadsTo(path: string, { device, inode }: FileIdentity): boolean {
  return statx(path)?.identity === identityText(device, inode);
}

/**
 * Gives the advice for a machine that has no `/dev/shm`; `undefined` if it has one.
 *
 * @param code of the error of a call on a name
 */
export function directoryAdvice(code: string): string | undefined {
  const { directory } = platform();
  if (code !== "ENOENT" || directory === null || statx(directory) !== null) return undefined;
  return `there is no ${directory}: mount a tmpfs there (a container's with --tmpfs ${directory})`;
}
