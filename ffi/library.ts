/**
 * The C library: opened on first use, one checked function per call. The only reader of errno.
 *
 * @module
 */

import { systemError } from "./errors.ts";
import { checkDeno, type Platform, platformOf } from "./platform.ts";
import { declareSeldomUsed, declareSymbols } from "./symbols.ts";

type Symbols = Deno.DynamicLibrary<ReturnType<typeof declareSymbols>>["symbols"];
type SeldomUsed = Deno.DynamicLibrary<ReturnType<typeof declareSeldomUsed>>["symbols"];

interface Library {
  readonly platform: Platform;
  /** The name by which it was found. */
  readonly name: string;
  readonly symbols: Symbols;
  /** This thread's errno: it never moves, so it is looked for once. */
  readonly errno: Int32Array;
}

let library: Library | undefined;
let seldom: SeldomUsed | undefined;

/** The opened library; opens it at the first call. */
function libc(): Library {
  return library ??= openLibrary();
}

/** What of the library is seldom called; opened at the first call of it. */
function seldomUsed(): SeldomUsed {
  return seldom ??= Deno.dlopen(libc().name, declareSeldomUsed()).symbols;
}

function openLibrary(): Library {
  checkDeno(Deno.version.deno);
  const platform = platformOf(Deno.build.os, Deno.build.arch);
  const declarations = declareSymbols(platform);
  let failure: unknown;
  for (const name of platform.libraries) {
    try {
      const { symbols } = Deno.dlopen(name, declarations);
      const location = Deno.UnsafePointerView.getArrayBuffer(symbols.errno_location()!, 4);
      return { platform, name, symbols, errno: new Int32Array(location) };
    } catch (error) {
      // A missing permission is missing for the next library, too.
      if (error instanceof Deno.errors.NotCapable) throw error;
      failure = error;
    }
  }
  throw new Deno.errors.NotSupported(
    `Cannot share memory: none of ${platform.libraries.join(", ")} has what is needed`,
    { cause: failure },
  );
}

/** What is known of the system without opening its library, and so without a permission. */
export function platform(): Platform {
  return library?.platform ?? platformOf(Deno.build.os, Deno.build.arch);
}

/** What the last call that failed said. */
let lastErrno = 0;

/**
 * Calls C until it succeeds, or fails twice in a row for the same reason.
 *
 * V8 may compile or collect garbage on this thread between the failure and the reading of errno, and
 * its own system calls (a futex, mostly) then leave theirs there: about once in half a million failures
 * on a busy machine. So errno is read by a plain load, as the very next thing, and a failure counts when
 * two calls in a row gave the same errno. A failed call has done nothing, so it can be repeated; EINTR
 * asks for that anyway.
 *
 * @returns what it returned, or `null` if it failed; `lastError()` says how
 */
function attempt<T>(call: () => T, isFailure: (result: T) => boolean): T | null {
  const { errno } = libc();
  let before = 0;
  while (true) {
    const result = call();
    const now = errno[0];
    if (!isFailure(result)) return result;
    if (now === before && now !== sameEverywhere.EINTR) {
      lastErrno = now;
      return null;
    }
    before = now;
  }
}

/** How most functions tell that they failed. */
const isMinusOne = (result: number): boolean => result === -1;

/** Makes the error for the attempt that just failed. */
function lastError(
  call: string,
  subject: string | null,
  advice?: (code: string) => string | undefined,
): Error {
  return systemError(libc().platform.os, lastErrno, call, subject, advice);
}

/** Whether the attempt that just failed did so with one of some errors. */
function failedWith(...codes: (keyof typeof sameEverywhere)[]): boolean {
  return codes.some((code) => lastErrno === sameEverywhere[code]);
}

/** Errors that have the same number on every supported system. */
const sameEverywhere = { EPERM: 1, ENOENT: 2, ESRCH: 3, EINTR: 4, EACCES: 13, ENOSPC: 28 } as const;

const encoder = new TextEncoder();
// Names have 255 bytes at the most, paths of this library few more; a slash and a NUL are added.
const scratch = new Uint8Array(512);

/** A string as C wants it, valid until the next call of this function. */
function cString(text: string): Uint8Array<ArrayBuffer> {
  const { written, read } = encoder.encodeInto(text, scratch);
  if (read < text.length || written === scratch.length) {
    throw new RangeError(`Cannot pass ${text.length} characters to the C library`);
  }
  scratch[written] = 0;
  return scratch;
}

// --- Segments --------------------------------------------------------------------------------

/**
 * Opens a segment, or makes it.
 *
 * @param name the segment's name, without the leading slash
 * @param flags `open` to attach to what is there, `create` to make what must not be there yet
 * @param mode the permission bits of a made segment; `setMode()` makes them exact
 * @returns a file descriptor, which the caller closes
 * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
 */
export function shmOpen(name: string, flags: "open" | "create", mode = 0): number {
  const { symbols, platform } = libc();
  const { O_RDWR, O_CREAT, O_EXCL } = platform.flags;
  const oflag = flags === "open" ? O_RDWR : O_RDWR | O_CREAT | O_EXCL;
  const liftUmask = flags === "create" && !platform.fchmod;
  const mask = liftUmask ? symbols.umask(0) : 0;
  const path = cString("/" + name);
  const fd = attempt(
    () =>
      platform.variadicOnStack
        ? symbols.shm_open_variadic(path, oflag, 0, 0, 0, 0, 0, 0, mode)
        : symbols.shm_open(path, oflag, mode),
    isMinusOne,
  );
  if (liftUmask) symbols.umask(mask);
  if (fd === null) throw lastError("shm_open", name, (code) => openAdvice[code]);
  return fd;
}
const openAdvice: { readonly [code: string]: string | undefined } = {
  EEXIST: "load() or open() attaches to it, unlink() removes it",
};

/**
 * Sets the permission bits of a new segment exactly, where `shm_open` let the umask thin them.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/fchmod.2.html | fchmod(2)}
 */
export function setMode(fd: number, name: string, mode: number): void {
  const { symbols, platform } = libc();
  if (!platform.fchmod) return;
  const result = attempt(() => symbols.fchmod(fd, mode), isMinusOne);
  if (result === null) throw lastError("fchmod", name);
}

/**
 * Removes a segment's name.
 *
 * @returns `false` if there was no such name
 * @see {@link https://man7.org/linux/man-pages/man3/shm_unlink.3.html | shm_unlink(3)}
 */
export function shmUnlink(name: string): boolean {
  const { symbols } = libc();
  const path = cString("/" + name);
  if (attempt(() => symbols.shm_unlink(path), isMinusOne) !== null) return true;
  if (failedWith("ENOENT")) return false;
  throw lastError("shm_unlink", name);
}

/**
 * Sets the size of a new segment, and reserves memory for all of it or for none of it.
 *
 * With reservation the size appears when the memory is there: a process that attaches in between
 * finds a segment without a size, never one whose pages may be missing.
 *
 * @param byteLength the size in bytes
 * @param reserve whether to reserve; where the system cannot, the segment is left sparse
 * @see {@link https://man7.org/linux/man-pages/man3/posix_fallocate.3.html | posix_fallocate(3)}
 * @see {@link https://man7.org/linux/man-pages/man2/ftruncate.2.html | ftruncate(2)}
 */
export function setSize(fd: number, name: string, byteLength: number, reserve: boolean): void {
  // The kernel sends SIGXFSZ, which ends a process, to who makes a file larger than `ulimit -f`
  // allows; ignored, it is an EFBIG. No limit is so low that one page is above it.
  if (byteLength > SMALL) {
    return withoutSignal(SIGXFSZ, () => resize(fd, name, byteLength, reserve));
  }
  resize(fd, name, byteLength, reserve);
}
const SMALL = 4096;
/** The same number on every supported system. */
const SIGXFSZ = 25;

/** Ignores a signal while something is done. */
function withoutSignal(signal: number, action: () => void): void {
  const { symbols } = libc();
  const before = symbols.signal(signal, SIG_IGN);
  try {
    action();
  } finally {
    symbols.signal(signal, before);
  }
}
const SIG_IGN = 1n;

function resize(fd: number, name: string, byteLength: number, reserve: boolean): void {
  const { symbols, platform } = libc();
  if (reserve && symbols.posix_fallocate !== null) {
    let errno: number;
    do errno = symbols.posix_fallocate(fd, 0n, BigInt(byteLength)); while (
      errno === sameEverywhere.EINTR
    );
    if (errno !== 0) {
      const advice = errno === sameEverywhere.ENOSPC
        ? spaceAdvice(byteLength, platform)
        : undefined;
      throw systemError(platform.os, errno, "posix_fallocate", name, () => advice);
    }
    return;
  }
  const result = attempt(() => symbols.ftruncate(fd, BigInt(byteLength)), isMinusOne);
  if (result === null) throw lastError("ftruncate", name);
}

function spaceAdvice(byteLength: number, { directory }: Platform): string {
  return `${byteLength} bytes do not fit into ${directory}: remove leftovers, ` +
    "or make it larger (a container's with --shm-size)";
}

/** What `fstat` tells of an open segment. */
export interface SegmentStatus {
  /** The size in bytes. */
  readonly byteLength: number;
  /** Whether it is a segment: not a directory, a FIFO, a device. */
  readonly regular: boolean;
  /** Whether some name still leads to it. */
  readonly named: boolean;
}

const statBuffer = new Uint8Array(256);
const statView = new DataView(statBuffer.buffer);

/** A 64-bit integer below 2^53 in the last status that was read. */
function readInteger(at: number): number {
  return statView.getUint32(at, true) + statView.getInt32(at + 4, true) * 2 ** 32;
}

/**
 * Looks at an open segment.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/fstat.2.html | fstat(2)}
 */
export function status(fd: number, name: string): SegmentStatus {
  const { symbols, platform } = libc();
  const result = attempt(
    () =>
      symbols.fstat !== null
        ? symbols.fstat(fd, statBuffer)
        : symbols.fxstat!(platform.fxstatVersion, fd, statBuffer),
    isMinusOne,
  );
  if (result === null) throw lastError("fstat", name);
  const { mode, links, size } = platform.stat;
  // The type is in the lower half of the mode, however wide that is.
  const type = statView.getUint16(mode.at, true) & S_IFMT;
  return {
    byteLength: readInteger(size),
    // macOS gives segments no file type at all.
    regular: type === S_IFREG || type === 0,
    named:
      (links.bytes === 2
        ? statView.getUint16(links.at, true)
        : statView.getUint32(links.at, true)) > 0,
  };
}
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Closes a file descriptor; it is gone even if that reports an error. */
export function close(fd: number): void {
  libc().symbols.close(fd);
}

// --- Mappings --------------------------------------------------------------------------------

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/**
 * Maps a segment, readable and writable, shared with every process that maps it.
 *
 * @param byteLength the segment's size; the other functions for mappings take the same
 * @returns the address of the first byte
 * @see {@link https://man7.org/linux/man-pages/man2/mmap.2.html | mmap(2)}
 */
export function mapShared(fd: number, name: string, byteLength: number): Deno.PointerObject {
  const { symbols, platform } = libc();
  const { PROT_READ, PROT_WRITE, MAP_SHARED } = platform.flags;
  const protection = PROT_READ | PROT_WRITE;
  const isHuge = byteLength >= HUGE;
  const hint = isHuge ? hugeHint : null;
  const span = spanOf(byteLength, platform);
  const address = attempt(
    () => symbols.mmap(hint, span, protection, MAP_SHARED, fd, 0n),
    isMapFailed,
  );
  if (address === null) throw lastError("mmap", name);
  if (isHuge) {
    const start = Deno.UnsafePointer.value(address);
    hugeHint = Deno.UnsafePointer.create(start - start % BigInt(HUGE));
  }
  return address;
}

/** The size from which on a mapping has page tables of its own: a GiB. */
const HUGE = 2 ** 30;

/**
 * Where the next huge mapping may well begin: at a multiple of a GiB it shares no page table with its
 * neighbours, which the kernel would search through when it is unmapped (3.2 µs for both calls, instead
 * of 3.3 to 7.7 by chance; `bench/attach_bench.ts` shows it). It is a wish only: what is mapped there
 * stays.
 */
let hugeHint: Deno.PointerValue = null;

/**
 * How much address space a mapping takes. The kernel puts large mappings side by side, and a loop over
 * two arrays of the same size then meets both at addresses that the processor confuses: of 64 MiB each,
 * `y += a * x` in C takes 0.71 ns per element, and 0.43 with 64 KiB between them (axpy in
 * `bench/bulk_bench.ts` shows it). Up to 16 MiB it makes no difference. So a large mapping reaches beyond
 * the end of its segment, where nobody ever looks.
 */
function spanOf(byteLength: number, { mapsBeyondEnd }: Platform): bigint {
  return BigInt(byteLength >= LARGE && mapsBeyondEnd ? byteLength + GAP : byteLength);
}
const LARGE = 2 ** 24;
const GAP = 2 ** 16;

/**
 * Puts private zero pages in the place of a mapping, at the same address. The memory is given back
 * when nobody else maps it; the address range stays taken.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/mmap.2.html | mmap(2)}
 */
export function mapZeroOver(address: Deno.PointerObject, byteLength: number): void {
  const { symbols, platform } = libc();
  const f = platform.flags;
  const protection = f.PROT_READ | f.PROT_WRITE;
  const flags = f.MAP_PRIVATE | f.MAP_ANONYMOUS | f.MAP_FIXED | f.MAP_NORESERVE;
  const span = spanOf(byteLength, platform);
  const result = attempt(
    () => symbols.mmap(address, span, protection, flags, -1, 0n),
    isMapFailed,
  );
  if (result === null) throw lastError("mmap", null);
}

function isMapFailed(address: Deno.PointerValue): boolean {
  return Deno.UnsafePointer.value(address) === MAP_FAILED;
}

/**
 * Removes a mapping.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/munmap.2.html | munmap(2)}
 */
export function unmap(address: Deno.PointerObject, byteLength: number): void {
  const { symbols, platform } = libc();
  const span = spanOf(byteLength, platform);
  const result = attempt(() => symbols.munmap(address, span), isMinusOne);
  if (result === null) throw lastError("munmap", null);
}

// --- Processes -------------------------------------------------------------------------------

/**
 * Ends this process as a signal ends one that does not handle it.
 *
 * @param signal a name that {@linkcode Platform.signals} has
 * @see {@link https://man7.org/linux/man-pages/man3/raise.3.html | raise(3)}
 */
export function dieBySignal(signal: string): void {
  const { symbols, platform } = libc();
  const number = platform.signals[signal];
  symbols.signal(number, SIG_DFL);
  symbols.raise(number);
}

const SIG_DFL = 0n;

/** The effective user id of this process. */
export function effectiveUser(): number {
  return seldomUsed().geteuid();
}

// --- Files -----------------------------------------------------------------------------------
//
// Deno's own functions for files under /dev and /proc want all permissions; these want --allow-ffi
// only. They are for Linux, where the variadic open(2) takes its arguments as any function does.

/**
 * The names in a directory, without "." and ".." and what is no UTF-8: no string leads to that.
 *
 * @see {@link https://man7.org/linux/man-pages/man3/readdir.3.html | readdir(3)}
 */
export function readDirectory(path: string): string[] {
  const symbols = seldomUsed();
  const directory = attempt(() => symbols.opendir(cString(path)), (result) => result === null);
  if (directory === null) throw lastError("opendir", path);
  const names: string[] = [];
  try {
    let entry: Deno.PointerValue;
    while ((entry = symbols.readdir(directory)) !== null) {
      const name = direntName(entry);
      if (name !== null && name !== "." && name !== "..") names.push(name);
    }
  } finally {
    symbols.closedir(directory);
  }
  return names;
}

/** Reads the name of a `struct dirent` of 64-bit Linux; `null` if it is no UTF-8, and so no string. */
function direntName(entry: Deno.PointerObject): string | null {
  const view = new Deno.UnsafePointerView(entry);
  const [recordLengthAt, nameAt] = [16, 19];
  const bytes = new Uint8Array(view.getUint16(recordLengthAt) - nameAt);
  view.copyInto(bytes, nameAt);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, bytes.indexOf(0)));
  } catch {
    return null;
  }
}

/** What `statx` tells of a file. */
export interface FileStatus {
  /** The size in bytes. */
  readonly byteLength: number;
  /** Whether it is a regular file, as a segment is. */
  readonly regular: boolean;
  /** The user id of its owner. */
  readonly user: number;
  /** When it was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Device and inode, as `major:minor:inode`: what tells it from every other file. */
  readonly identity: string;
}

/**
 * Looks at a file, not following a symbolic link.
 *
 * @returns `null` if there is no such file
 * @see {@link https://man7.org/linux/man-pages/man2/statx.2.html | statx(2)}
 */
export function statFile(path: string): FileStatus | null {
  const symbols = seldomUsed();
  if (symbols.statx === null) {
    throw new Deno.errors.NotSupported("Cannot look at segments: this C library has no statx");
  }
  const { statx } = symbols;
  const result = attempt(
    () => statx(0, cString(path), AT_SYMLINK_NOFOLLOW, STATX_ALL, statBuffer),
    isMinusOne,
  );
  if (result === null) {
    if (failedWith("ENOENT")) return null;
    throw lastError("statx", path);
  }
  const u32 = (at: number): number => statView.getUint32(at, true);
  // A file system that keeps no time of birth has at least that of the last change of the data.
  const time = u32(0) & STATX_BTIME ? 80 : 112;
  return {
    byteLength: readInteger(40),
    regular: (statView.getUint16(28, true) & S_IFMT) === S_IFREG,
    user: u32(20),
    createdAt: readInteger(time) * 1000 + Math.floor(u32(time + 8) / 1e6),
    identity: `${u32(136)}:${u32(140)}:${statView.getBigUint64(32, true)}`,
  };
}
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_ALL = 0xfff;
const STATX_BTIME = 0x800;

/**
 * The bytes of a file whose size is not known before it is read, such as those under `/proc`.
 *
 * @returns `null` if there is no such file or process, or it is somebody else's
 * @see {@link https://man7.org/linux/man-pages/man2/read.2.html | read(2)}
 */
export function readFile(path: string): Uint8Array | null {
  const symbols = seldomUsed();
  const { platform } = libc();
  const fd = attempt(() => symbols.open(cString(path), platform.flags.O_RDONLY), isMinusOne);
  if (fd === null) {
    if (failedWith("ENOENT", "ESRCH", "EACCES", "EPERM")) return null;
    throw lastError("open", path);
  }
  try {
    let bytes = new Uint8Array(1 << 16);
    let length = 0;
    while (true) {
      if (length === bytes.length) {
        const larger = new Uint8Array(bytes.length * 2);
        larger.set(bytes);
        bytes = larger;
      }
      const rest = bytes.subarray(length);
      const count = attempt(() => Number(symbols.read(fd, rest, BigInt(rest.length))), isMinusOne);
      if (count === 0) return bytes.subarray(0, length);
      if (count === null && failedWith("ESRCH", "EACCES", "EPERM")) return null;
      if (count === null) throw lastError("read", path);
      length += count;
    }
  } finally {
    close(fd);
  }
}
