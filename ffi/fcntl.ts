/**
 * The uses of `fcntl` on open files: duplicates, seals, and locks on single bytes.
 *
 * A lock on bytes belongs to the open file, as a lock of `flock` does. It excludes other open files, also
 * those of the same process, and the kernel gives it back when the last descriptor of its open file is
 * closed. The two kinds of locks know nothing of each other.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/fcntl_locking.2.html | fcntl_locking(2)}
 * @module
 */

import { checked, falseIfTaken, openOnUse } from "./library.ts";
import { type Platform, platform } from "./platform.ts";
import { makeError } from "./runtime/errors.ts";
import { declareMemfd, declareSegments } from "./symbols.ts";

const memfd = openOnUse(declareMemfd);
const segments = openOnUse(declareSegments);

/**
 * Does one of several things with an open file: duplicates it, reads or adds its seals.
 *
 * @param fd the file
 * @param command what to do: one of {@linkcode Platform.memfd} that begins with F
 * @param argument what the command takes; 0 if it takes nothing
 * @param subject what the file is, for the error
 * @returns what the command gives
 * @see {@link https://man7.org/linux/man-pages/man2/fcntl.2.html | fcntl(2)}
 */
export function fcntl(fd: number, command: number, argument: number, subject: string): number {
  return checked("fcntl", subject, () => memfd().fcntl(fd, command, argument));
}

/** How something is locked: by one open file, or by any number of them. */
export type LockKind = "exclusive" | "shared";

const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/**
 * A `struct flock` of 64-bit Linux, the same on all processors: `short l_type, l_whence`, four bytes of nothing,
 * `off_t l_start, l_len`, `pid_t l_pid`, which must be 0.
 */
const lock = new Uint8Array(32);
const lockHalves = new Int16Array(lock.buffer);
const lockWords = new Int32Array(lock.buffer);
const lockOffsets = new BigInt64Array(lock.buffer);

/** Writes a request; offsets count from the beginning of the file. It is valid until the next request. */
function lockOf(type: number, start: number, length: number): Uint8Array<ArrayBuffer> {
  lock.fill(0);
  lockHalves[0] = type;
  lockOffsets[1] = BigInt(start);
  lockOffsets[2] = BigInt(length);
  return lock;
}

function commands(): NonNullable<Platform["byteLocks"]> {
  const { byteLocks, os } = platform();
  if (byteLocks !== null) return byteLocks;
  throw makeError("NotSupported", `Cannot lock bytes of a segment: ${os} has no such locks`);
}

function typeOf(kind: LockKind): number {
  return kind === "shared" ? F_RDLCK : F_WRLCK;
}

/**
 * Locks a byte of an open file, if no other open file has a lock on it that excludes this one. A lock that this
 * open file has on it is replaced.
 *
 * @param fd the file; open for writing to be locked by one, for reading to be locked by many
 * @param at the position of the byte, which may lie beyond the end of the file
 * @param subject the segment's name, for the error
 * @param kind whether only one may have it
 * @returns whether it was locked
 */
export function tryLockByte(
  fd: number,
  at: number,
  subject: string,
  kind: LockKind = "exclusive",
): boolean {
  const { F_OFD_SETLK } = commands();
  return checked(
    "fcntl",
    subject,
    () => segments().fcntl(fd, F_OFD_SETLK, lockOf(typeOf(kind), at, 1)),
    falseIfTaken,
  ) !== false;
}

/**
 * Gives the lock on a byte of an open file back.
 *
 * @param fd the file
 * @param at the position of the byte
 * @param subject the segment's name, for the error
 */
export function unlockByte(fd: number, at: number, subject: string): void {
  const { F_OFD_SETLK } = commands();
  checked("fcntl", subject, () => segments().fcntl(fd, F_OFD_SETLK, lockOf(F_UNLCK, at, 1)));
}

/** A lock on bytes of a file. */
export interface ByteLock {
  readonly kind: LockKind;
  /** The first byte. */
  readonly start: number;
  /** How many bytes; 0 means all up to the end of the file, wherever that is. */
  readonly length: number;
  /** The process that owns the lock (one of `lockf`); `null` if an open file owns it. */
  readonly pid: number | null;
}

/**
 * Looks for a lock of another open file that keeps this one from locking bytes.
 *
 * @param fd the file
 * @param start the first byte
 * @param length how many bytes, at least 1
 * @param subject the segment's name, for the error
 * @param kind how this open file would lock them
 * @returns one such lock; `null` if there is none
 */
export function findByteLock(
  fd: number,
  start: number,
  length: number,
  subject: string,
  kind: LockKind = "exclusive",
): ByteLock | null {
  const { F_OFD_GETLK } = commands();
  checked(
    "fcntl",
    subject,
    () => segments().fcntl(fd, F_OFD_GETLK, lockOf(typeOf(kind), start, length)),
  );
  const type = lockHalves[0];
  if (type === F_UNLCK) return null;
  const pid = lockWords[6];
  return {
    kind: type === F_RDLCK ? "shared" : "exclusive",
    start: Number(lockOffsets[1]),
    length: Number(lockOffsets[2]),
    pid: pid === -1 ? null : pid,
  };
}
