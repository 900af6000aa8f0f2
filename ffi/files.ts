/**
 * Open files, directories, and what the system knows of them.
 *
 * Deno's own functions for files under /dev and /proc want all permissions; these want --allow-ffi only.
 * The functions that take a path are for Linux only, where the variadic open(2) takes its arguments as any
 * function does.
 *
 * @module
 */

import { type Advice, codeOf, orGeneral, systemError } from "./errors.ts";
import { checked, cString, libc, nullIfMissing, openOnUse, textOf } from "./library.ts";
import { platform } from "./platform.ts";
import { makeError } from "./runtime/errors.ts";
import { type Pointer, runtime } from "./runtime/mod.ts";
import { declareFiles, declareNaming, declareSegments } from "./symbols.ts";

const segments = openOnUse(declareSegments);
const files = openOnUse(declareFiles);
const naming = openOnUse(declareNaming);

/**
 * Opens a file. It is closed in a program that this one starts.
 *
 * @param path the file's path
 * @param flags flags of {@linkcode Platform.flags}, or'ed
 * @param mode the permission bits of a file that is made; the umask takes some away
 * @param advice gives a way out for a code
 * @returns a file descriptor, which the caller closes
 * @see {@link https://man7.org/linux/man-pages/man2/open.2.html | open(2)}
 */
export function open(path: string, flags: number, mode = 0, advice?: Advice): number {
  const all = flags | platform().flags.O_CLOEXEC;
  return checked("open", path, () => files().open(cString(path), all, mode), { advice });
}

/**
 * Reads the next bytes of an open file.
 *
 * @param fd the file
 * @param bytes where to put them
 * @param subject what the file is, for the error
 * @returns how many bytes were read; 0 at the end of the file
 * @see {@link https://man7.org/linux/man-pages/man2/read.2.html | read(2)}
 */
export function read(fd: number, bytes: Uint8Array<ArrayBuffer>, subject: string): number {
  const length = BigInt(bytes.length);
  return checked("read", subject, () => Number(segments().read(fd, bytes, length)));
}

/**
 * Writes bytes to the beginning of an open file, wherever its position is.
 *
 * @param fd the file
 * @param bytes what to write
 * @param subject what the file is, for the error
 * @param advice gives a way out for a code
 * @returns how many bytes were written
 * @see {@link https://man7.org/linux/man-pages/man2/pwrite.2.html | pwrite(2)}
 */
export function pwrite(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  subject: string,
  advice?: Advice,
): number {
  const length = BigInt(bytes.length);
  return checked(
    "pwrite",
    subject,
    () => Number(naming().pwrite(fd, bytes, length, 0n)),
    { advice },
  );
}

/**
 * Closes a file descriptor; it is gone even if that reports an error.
 *
 * @param fd the descriptor
 * @see {@link https://man7.org/linux/man-pages/man2/close.2.html | close(2)}
 */
export function close(fd: number): void {
  segments().close(fd);
}

/**
 * Sets the permission bits of an open file, as they are given.
 *
 * @param fd the file
 * @param mode the permission bits
 * @param subject what the file is, for the error
 * @see {@link https://man7.org/linux/man-pages/man2/fchmod.2.html | fchmod(2)}
 */
export function fchmod(fd: number, mode: number, subject: string): void {
  checked("fchmod", subject, () => segments().fchmod(fd, mode));
}

/**
 * Sets the size of an open file; what is added reads as zeros, and takes no memory before it is written.
 *
 * @param fd the file
 * @param byteLength the size in bytes
 * @param subject what the file is, for the error
 * @see {@link https://man7.org/linux/man-pages/man2/ftruncate.2.html | ftruncate(2)}
 */
export function ftruncate(fd: number, byteLength: number, subject: string): void {
  const length = BigInt(byteLength);
  checked("ftruncate", subject, () => segments().ftruncate(fd, length));
}

/**
 * Reserves memory for the first bytes of an open file, which grows to that size if it is smaller.
 *
 * @param fd the file
 * @param byteLength how many bytes
 * @param subject what the file is, for the error
 * @param advice gives a way out for a code
 * @returns `false` if this system has no such call
 * @see {@link https://man7.org/linux/man-pages/man3/posix_fallocate.3.html | posix_fallocate(3)}
 */
export function posixFallocate(
  fd: number,
  byteLength: number,
  subject: string,
  advice?: Advice,
): boolean {
  const { posix_fallocate } = segments();
  if (posix_fallocate === null) return false;
  const { os } = platform();
  const length = BigInt(byteLength);
  // This function returns the error and leaves errno alone, so it needs no checked(). Older kernels begin
  // anew after a signal: a program that gets signals all the time would never come to the end.
  for (let i = 1;; i++) {
    const errno = posix_fallocate(fd, 0n, length);
    if (errno === 0) return true;
    if (i === MOST_INTERRUPTIONS || codeOf(os, errno) !== "EINTR") {
      throw systemError(os, errno, "posix_fallocate", subject, orGeneral(advice));
    }
  }
}
/** How many times a reservation is begun anew. */
const MOST_INTERRUPTIONS = 100;

/** What `fstat` tells of an open file. */
export interface OpenFileStatus {
  /** The size in bytes. */
  readonly byteLength: number;
  /** Whether it is a regular file, as a segment is: not a directory, a FIFO, a device. */
  readonly regular: boolean;
  /** The permission bits, and those of a set user or group. */
  readonly mode: number;
  /** Whether some name still leads to it; `null` where the system does not tell. */
  readonly named: boolean | null;
  /** The device that it is on. */
  readonly device: number;
  /** Its number, which no other file of the device has; 0 where the system gives segments no number. */
  readonly inode: number;
}

// All supported systems are little-endian. V8 reads elements in line, and calls a function for a DataView's.
const statBuffer = new Uint8Array(256);
const statWords = new Uint32Array(statBuffer.buffer);

/** Reads 32 bits of the last status, at a multiple of 4 bytes. */
function readU32(at: number): number {
  return statWords[at >> 2];
}

/** Reads 16 bits of the last status, at a multiple of 2 bytes. */
function readU16(at: number): number {
  return readU32(at) >> (at & 2 ? 16 : 0) & 0xffff;
}

/** Reads a 64-bit integer of the last status, below 2^53 and not negative. */
function readInteger(at: number): number {
  return readU32(at) + readU32(at + 4) * 2 ** 32;
}

/**
 * Looks at an open file.
 *
 * @param fd the file
 * @param subject what the file is, for the error
 * @returns what is known of it
 * @see {@link https://man7.org/linux/man-pages/man2/fstat.2.html | fstat(2)}
 */
export function fstat(fd: number, subject: string): OpenFileStatus {
  const { platform } = libc();
  const { fstat, fxstat } = segments();
  checked(
    "fstat",
    subject,
    () => fstat !== null ? fstat(fd, statBuffer) : fxstat!(platform.fxstatVersion, fd, statBuffer),
  );
  const { device, inode, mode, links, size } = platform.stat;
  const count = links.narrow ? readU16(links.at) : readU32(links.at);
  // Type and permissions are in the lower half of the mode, however wide that is.
  const bits = readU16(mode);
  const type = bits & S_IFMT;
  return {
    byteLength: readInteger(size),
    // macOS gives segments no file type at all.
    regular: type === S_IFREG || type === 0,
    mode: bits & ~S_IFMT,
    named: platform.countsNames ? count > 0 : null,
    device: readU32(device),
    inode: platform.numbersSegments ? readInteger(inode) : 0,
  };
}
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** What `statx` tells of the file at a path. */
export interface FileStatus {
  /** The size in bytes. */
  readonly byteLength: number;
  /** Whether it is a regular file, as a segment is. */
  readonly regular: boolean;
  /** The user id of its owner. */
  readonly user: number;
  /** The permission bits, and those of a set user or group. */
  readonly mode: number;
  /** When it was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Device and inode, as `major:minor:inode`, which no other file has. */
  readonly identity: string;
}

/**
 * Looks at the file at a path.
 *
 * @param path the file's path
 * @param follows whether to look at what a symbolic link leads to; by default at the link itself
 * @returns what is known of it; `null` if there is no such file
 * @see {@link https://man7.org/linux/man-pages/man2/statx.2.html | statx(2)}
 */
export function statx(path: string, follows = false): FileStatus | null {
  const { statx } = files();
  if (statx === null) {
    throw makeError("NotSupported", "Cannot look at segments: this C library has no statx");
  }
  const result = checked(
    "statx",
    path,
    () => statx(AT_FDCWD, cString(path), follows ? 0 : AT_SYMLINK_NOFOLLOW, STATX_ALL, statBuffer),
    nullIfMissing,
  );
  if (result === null) return null;
  // A file system that keeps no time of birth has at least that of the last change of the data.
  const time = readU32(0) & STATX_BTIME ? 80 : 112;
  return {
    byteLength: readInteger(40),
    regular: (readU16(28) & S_IFMT) === S_IFREG,
    user: readU32(20),
    mode: readU16(28) & ~S_IFMT,
    createdAt: readInteger(time) * 1000 + Math.floor(readU32(time + 8) / 1e6),
    identity: `${readU32(136)}:${readU32(140)}:${readInteger(32)}`,
  };
}
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_ALL = 0xfff;
const STATX_BTIME = 0x800;

/**
 * Writes which file it is as {@linkcode FileStatus.identity} does, from what `fstat` tells of an open one.
 *
 * @param device its device, of which Linux packs both numbers so that old programs, which know 16 bits, see theirs
 * @param inode its number there
 * @see {@link https://man7.org/linux/man-pages/man3/makedev.3.html | makedev(3)}
 */
export function identityText(device: number, inode: number): string {
  const major = device >>> 8 & 0xfff;
  const minor = device & 0xff | device >>> 12 & 0xfff00;
  return `${major}:${minor}:${inode}`;
}

/**
 * Lists a directory, without "." and "..".
 *
 * @param path the directory's path
 * @param advice gives a way out for a code
 * @returns the names in it, those that are no UTF-8 as {@linkcode textOf} reads them
 * @see {@link https://man7.org/linux/man-pages/man3/readdir.3.html | readdir(3)}
 */
export function readdir(path: string, advice?: Advice): string[] {
  const directory = checked("opendir", path, () => files().opendir(cString(path)), {
    isFailure: runtime().isNull,
    advice,
  });
  const names: string[] = [];
  try {
    while (true) {
      const entry = files().readdir(directory);
      if (runtime().isNull(entry)) break;
      const name = direntName(entry);
      if (name !== "." && name !== "..") names.push(name);
    }
  } finally {
    files().closedir(directory);
  }
  return names;
}

/** Reads the name of a `struct dirent` of 64-bit Linux: the record may be shorter than the structure, up to the NUL. */
function direntName(entry: Pointer): string {
  const bytes = new Uint8Array(runtime().bufferAt(entry, DIRENT_BYTES), DIRENT_NAME);
  return textOf(bytes.subarray(0, bytes.indexOf(0)));
}
const DIRENT_NAME = 19;
const DIRENT_BYTES = DIRENT_NAME + 256;

/**
 * Gives an open file that has no name one, as one step: a file that has the name already stays.
 *
 * @param fd the file, opened with O_TMPFILE
 * @param path its path
 * @param subject what the file is, for the error
 * @param advice gives a way out for a code
 * @see {@link https://man7.org/linux/man-pages/man2/linkat.2.html | linkat(2)}
 */
export function linkat(fd: number, path: string, subject: string, advice?: Advice): void {
  const from = cString(`/proc/self/fd/${fd}`).slice();
  const to = cString(path);
  checked(
    "linkat",
    subject,
    () => naming().linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW),
    { advice },
  );
}
/** The same number on every Linux. */
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;

/**
 * Gives a file another name, as one step. A file that has the new name loses it.
 *
 * @param from the path that it has
 * @param to the path that it gets, on the same file system
 * @param subject what the file is, for the error
 * @returns `false` if there is no file of the old name
 * @see {@link https://man7.org/linux/man-pages/man2/rename.2.html | rename(2)}
 */
export function rename(from: string, to: string, subject: string): boolean {
  const [old, next] = [cString(from).slice(), cString(to)];
  return checked("rename", subject, () => naming().rename(old, next), nullIfMissing) !== null;
}

/**
 * Gives a file another name, as one step. A file that has the new name already keeps it.
 *
 * @param from the path that it has
 * @param to the path that it gets, on the same file system
 * @param subject what the file is, for the error
 * @param advice gives a way out for a code
 * @returns `false` if there is no file of the old name
 * @throws {Deno.errors.AlreadyExists} if there is a file of the new name
 * @throws {Deno.errors.NotSupported} if this system has no such call
 * @see {@link https://man7.org/linux/man-pages/man2/renameat2.2.html | renameat2(2)}
 */
export function renameNew(from: string, to: string, subject: string, advice?: Advice): boolean {
  const { renameat2Call } = platform();
  if (renameat2Call === null) {
    throw makeError(
      "NotSupported",
      "Cannot rename without replacing: this system has no renameat2",
    );
  }
  const [old, next] = [cString(from).slice(), cString(to)];
  return checked(
    "renameat2",
    subject,
    () => naming().renameat2(renameat2Call, AT_FDCWD, old, AT_FDCWD, next, RENAME_NOREPLACE),
    { ...nullIfMissing, advice },
  ) !== null;
}
const RENAME_NOREPLACE = 1;

/** What `statfs` tells of a file system. */
export interface FileSystemStatus {
  /** How many bytes it can hold; 0 where it has no limit of its own. */
  readonly byteLength: number;
  /** How many bytes an ordinary user can still store. */
  readonly available: number;
}

/**
 * Looks at the file system that a path is on.
 *
 * @param path the path
 * @returns what is known of it; `null` if there is no such path
 * @see {@link https://man7.org/linux/man-pages/man2/statfs.2.html | statfs(2)}
 */
export function statfs(path: string): FileSystemStatus | null {
  // struct statfs of 64-bit Linux has 120 bytes: long f_type, f_bsize; u64 f_blocks, f_bfree, f_bavail ...
  const status = new BigInt64Array(15);
  const result = checked(
    "statfs",
    path,
    () => files().statfs(cString(path), status),
    nullIfMissing,
  );
  if (result === null) return null;
  const [, blockSize, blocks, , available] = status;
  return {
    byteLength: Number(blockSize * blocks),
    available: Number(blockSize * available),
  };
}

/**
 * Reads where a symbolic link leads to.
 *
 * @param path the link's path
 * @returns what stands in it, cut at 512 bytes; `null` if there is no such file
 * @see {@link https://man7.org/linux/man-pages/man2/readlink.2.html | readlink(2)}
 */
export function readlink(path: string): string | null {
  const target = new Uint8Array(512);
  const length = checked(
    "readlink",
    path,
    () => Number(files().readlink(cString(path), target, BigInt(target.length))),
    nullIfMissing,
  );
  return length === null ? null : new TextDecoder().decode(target.subarray(0, length));
}

/**
 * Gives the user id with which this process makes and opens files.
 *
 * @returns the effective user id
 * @see {@link https://man7.org/linux/man-pages/man2/geteuid.2.html | geteuid(2)}
 */
export function geteuid(): number {
  return files().geteuid();
}
