/**
 * Locks on single bytes of open files, which the kernel gives back when the last descriptor of the opening is
 * closed, however its process ends. They exclude two openings of one process, too. Linux only.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html | F_OFD_SETLK(2const)}
 * @module
 */

import { attempt, isMinusOne, lastError, lastErrorNumber, openSymbols } from "./library.ts";
import type { Functions } from "./runtime/mod.ts";
import { declareRecordLocks } from "./symbols.ts";

type Symbols = Functions<ReturnType<typeof declareRecordLocks>>;

let opened: Symbols | undefined;

/** The symbols; opens them at the first call. */
function calls(): Symbols {
  return opened ??= openSymbols(declareRecordLocks());
}

const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
const EACCES = 13;
const EAGAIN = 11;

/** `struct flock` of 64-bit Linux: short l_type, short l_whence; off_t l_start; off_t l_len; pid_t l_pid. */
const lock = new DataView(new ArrayBuffer(32));
const lockBytes = new Uint8Array(lock.buffer);

function describe(type: number, at: number): Uint8Array<ArrayBuffer> {
  lock.setInt16(0, type, true);
  lock.setBigInt64(8, BigInt(at), true);
  lock.setBigInt64(16, 1n, true);
  return lockBytes;
}

/**
 * Takes the lock of one byte, if no other opening of the file has it. The byte need not be there.
 *
 * @param fd the file, open for writing
 * @param at the position of the byte
 * @param subject what the file is, for the error
 * @returns whether it was taken
 */
export function tryLockByte(fd: number, at: number, subject: string): boolean {
  const { fcntl } = calls();
  if (attempt(() => fcntl(fd, F_OFD_SETLK, describe(F_WRLCK, at)), isMinusOne) !== null) {
    return true;
  }
  if ([EACCES, EAGAIN].includes(lastErrorNumber())) return false;
  throw lastError("fcntl", subject);
}

/**
 * Gives the lock of one byte back.
 *
 * @param fd the file
 * @param at the position of the byte
 * @param subject what the file is, for the error
 */
export function unlockByte(fd: number, at: number, subject: string): void {
  const { fcntl } = calls();
  if (attempt(() => fcntl(fd, F_OFD_SETLK, describe(F_UNLCK, at)), isMinusOne) === null) {
    throw lastError("fcntl", subject);
  }
}
