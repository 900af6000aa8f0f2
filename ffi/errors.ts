/**
 * Makes the error object that Deno itself would throw, from a number of errno.
 *
 * @module
 */

import { type CodedError, type ErrorName, errors, visible } from "./runtime/errors.ts";

/** An error of the operating system: one of `Deno.errors` where Deno has a class, with `code`. */
export interface SystemError extends CodedError {
  /** The number of the error, for example 2; it is positive, as in C. */
  errno: number;
  /** The function of C that failed, for example `"shm_open"`. */
  syscall: string;
}

type CodeRow = readonly [code: string, text: string, linux: number, darwin: number];

/** Codes, their text, and their number on Linux and on macOS (which share most). */
const codeTable: readonly CodeRow[] = [
  ["EPERM", "Operation not permitted", 1, 1],
  ["ENOENT", "No such file or directory", 2, 2],
  ["ESRCH", "No such process", 3, 3],
  ["EINTR", "Interrupted system call", 4, 4],
  ["EIO", "Input/output error", 5, 5],
  ["ENXIO", "No such device or address", 6, 6],
  ["E2BIG", "Argument list too long", 7, 7],
  ["EBADF", "Bad file descriptor", 9, 9],
  ["EAGAIN", "Resource temporarily unavailable", 11, 35],
  ["ENOMEM", "Cannot allocate memory", 12, 12],
  ["EACCES", "Permission denied", 13, 13],
  ["EFAULT", "Bad address", 14, 14],
  ["EBUSY", "Device or resource busy", 16, 16],
  ["EEXIST", "File exists", 17, 17],
  ["ENODEV", "No such device", 19, 19],
  ["ENOTDIR", "Not a directory", 20, 20],
  ["EISDIR", "Is a directory", 21, 21],
  ["EINVAL", "Invalid argument", 22, 22],
  ["ENFILE", "Too many open files in system", 23, 23],
  ["EMFILE", "Too many open files", 24, 24],
  ["EXDEV", "Invalid cross-device link", 18, 18],
  ["ETXTBSY", "Text file busy", 26, 26],
  ["EFBIG", "File too large", 27, 27],
  ["ENOSPC", "No space left on device", 28, 28],
  ["ESPIPE", "Illegal seek", 29, 29],
  ["EROFS", "Read-only file system", 30, 30],
  ["EPIPE", "Broken pipe", 32, 32],
  ["ERANGE", "Numerical result out of range", 34, 34],
  ["EDEADLK", "Resource deadlock avoided", 35, 11],
  ["ENAMETOOLONG", "File name too long", 36, 63],
  ["ENOLCK", "No locks available", 37, 77],
  ["ENOSYS", "Function not implemented", 38, 78],
  ["ELOOP", "Too many levels of symbolic links", 40, 62],
  ["ENODATA", "No data available", 61, 96],
  ["EOVERFLOW", "Value too large for defined data type", 75, 84],
  ["EOPNOTSUPP", "Operation not supported", 95, 102],
  // On Linux the same number as the one before.
  ["ENOTSUP", "Operation not supported", 95, 45],
  ["ETIMEDOUT", "Connection timed out", 110, 60],
  ["EDQUOT", "Disk quota exceeded", 122, 69],
];

/**
 * The names of the classes in `Deno.errors` that Deno's own file errors have. They are names, so that
 * nothing of Deno is touched at import. A code that is not in this list becomes a plain `Error`, as in
 * Deno.
 */
const classes: { readonly [code: string]: ErrorName | undefined } = {
  EPERM: "PermissionDenied",
  EACCES: "PermissionDenied",
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EINTR: "Interrupted",
  EAGAIN: "WouldBlock",
  EBUSY: "Busy",
  EPIPE: "BrokenPipe",
  ETXTBSY: "Busy",
  ENOTDIR: "NotADirectory",
  EISDIR: "IsADirectory",
  ELOOP: "FilesystemLoop",
  ENOSYS: "NotSupported",
  EOPNOTSUPP: "NotSupported",
  ENOTSUP: "NotSupported",
};

/** Gives a way out for the code of an error, where the caller knows one. */
export type Advice = (code: string) => string | undefined;

/** What to do about errors that any call can meet, and that say more of the machine than of the call. */
const waysOut: { readonly [code: string]: string | undefined } = {
  EIO:
    "the memory or the disk behind it failed, or a page could not be read back from swap: the kernel's log " +
    "(dmesg) says more; copy what can be read, and make it anew",
  ENOLCK:
    "the kernel has no room for another lock: close what is not used any more, here or in other " +
    "programs, and try again",
  ENOSYS:
    "this kernel, or the sandbox that this program runs in (seccomp, gVisor), has no such call: a newer " +
    "kernel or another profile of the sandbox has it",
  EROFS: "the file system is mounted read-only: mount -o remount,rw makes it writable, and " +
    "SharedMemoryArray.createAnonymous() needs no file system",
};

/**
 * Completes the advice of a caller by what helps whatever the call.
 *
 * @param advice what the caller knows
 * @returns the caller's advice, or else the general one
 */
export function orGeneral(advice: Advice | undefined): Advice {
  return (code) => advice?.(code) ?? waysOut[code];
}

/**
 * Makes the error object for a failed call, in the form of Deno's own:
 * `No such file or directory (os error 2): shm_open 'name'`.
 *
 * @param os the operating system, whose numbers these are
 * @param error the number, or the code
 * @param call the C function that failed
 * @param subject what it was called on: a segment's name or a path; `null` if nothing that has a name
 * @param advice gives a way out for a code, if there is one
 * @returns the error, with `code`, `errno` and `syscall`
 */
export function systemError(
  os: System,
  error: number | string,
  call: string,
  subject: string | null,
  advice?: Advice,
): SystemError {
  const entry = codeTable.find((entry) => error === entry[0] || error === numberIn(entry, os));
  const errno = entry === undefined ? Number(error) : numberIn(entry, os);
  const [code, text] = entry ?? [codeOf(os, error), "Unknown error"];
  const className = classes[code];
  const SystemErrorClass = code === "EINVAL"
    ? TypeError // which is outside of the runtime's classes
    : className === undefined
    ? Error
    : errors[className];
  const wayOut = advice?.(code);
  const message = `${text} (os error ${errno}): ${call}` +
    (subject === null ? "" : ` '${visible(subject)}'`) +
    (wayOut === undefined ? "" : `; ${visible(wayOut)}`);
  return Object.assign(new SystemErrorClass(message), { code, errno, syscall: call });
}

/** The systems whose numbers are known. */
type System = "linux" | "darwin";

function numberIn([, , linux, darwin]: CodeRow, os: System): number {
  return os === "linux" ? linux : darwin;
}

/**
 * Names an error of the operating system.
 *
 * @param os the operating system, whose number it is
 * @param error the number
 * @returns the code, for example `"ENOENT"`; `"E9999"` of a number that is not in the table
 */
export function codeOf(os: System, error: number | string): string {
  return codeTable.find((entry) => error === numberIn(entry, os))?.[0] ?? `E${error}`;
}

/**
 * Whether a value that was thrown is an error of the operating system with one of some codes.
 *
 * @param error what was thrown
 * @param codes the codes, for example `"ENOENT"`
 * @returns whether it has one of them
 */
export function hasCode(error: unknown, ...codes: string[]): error is SystemError {
  return error instanceof Error && codes.includes((error as SystemError).code);
}
