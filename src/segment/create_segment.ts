/**
 * How a segment is made: nobody ever finds one that is not whole, and a failure leaves nothing.
 *
 * @module
 */

import { type Advice, hasCode, systemError } from "../../ffi/errors.ts";
import {
  close,
  fchmod,
  fstat,
  ftruncate,
  linkat,
  open,
  type OpenFileStatus,
  posixFallocate,
  pwrite,
  renameNew,
  statx,
} from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { getrlimit, RLIMIT_FSIZE } from "../../ffi/resource.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { isProcThere, whoMaps } from "../process/proc.ts";
import { type Describe, writeDescription } from "./description.ts";
import { notFound } from "../errors.ts";
import { quoteName } from "../check.ts";
import { directoryAdvice, type FileIdentity, pathOf, unlinkOwn } from "./file.ts";
import { madeNameMax, makeName, nameMax, prefixOf } from "./name.ts";

/**
 * The size from which on a segment gets its name last. Naming last takes some 30 to 50 µs more. Creating, closing and
 * unlinking one then takes 1.10 times as long at 1 MiB, 1.03 times at 4 MiB (`bench/attach_bench.ts` has the
 * first).
 */
const NAMED_LAST = 2 ** 20;

/**
 * Writes how a segment begins, which tells its kind: into a buffer of {@linkcode HEAD_MOST} bytes, or of all bytes
 * of a smaller segment, which are all 0.
 */
export type WriteHead = (head: ArrayBuffer) => void;

/** How many bytes of a segment can be written before it gets its name. */
export const HEAD_MOST = 4096;

/** A segment that was made. */
export interface MadeSegment extends FileIdentity {
  /** A file descriptor, which the caller closes. */
  readonly fd: number;
}

/**
 * Makes a segment: zero-filled, with its mode, its size and its memory. A large one gets its name last: no
 * reader ever waits for a reservation, a creator that is killed leaves no empty name, and a failure has no name
 * to take back (`docs/decisions/names_last.md`). Where only files with a name are allowed (policies such as those
 * of snap), it is made as a small one is.
 *
 * A segment that has a head gets its name last, whatever its size is: nobody ever finds one without its head.
 * Where only files with a name are allowed, it is made under another name first.
 *
 * @param name a checked name that no segment has
 * @param byteLength its size in bytes, at least 1
 * @param mode its permission bits, set exactly
 * @param reserve whether to reserve memory for all of it
 * @param describe gives the text of its description, which it gets before its size: who sees the size sees that;
 * `null` for none
 * @param writeHead writes how it begins; it may write nothing. `null` for a segment that somebody may find before
 * it has its size
 * @returns the open segment; `unlinkOwn()` takes the name back
 */
export function makeSegment(
  name: string,
  byteLength: number,
  mode: number,
  reserve: boolean,
  describe: Describe | null = null,
  writeHead: WriteHead | null = null,
): MadeSegment {
  checkFileSizeLimit(name, byteLength, reserve);
  const head = writeHead === null ? null : headOf(byteLength, writeHead);
  const make = (fd: number): OpenFileStatus => {
    const status = fstat(fd, name);
    writeDescription(fd, name, describe);
    // The umask may have taken bits away.
    if (status.mode !== mode && platform().fchmod) fchmod(fd, mode, name);
    setSize(fd, name, byteLength, reserve);
    if (head !== null && head.length > 0) storeHead(fd, name, head, byteLength);
    return status;
  };
  const isNamedLast = head !== null || byteLength >= NAMED_LAST;
  // A description can be written only by a user who may write to the file, also where it is open for writing.
  const firstMode = describe !== null && platform().fchmod ? mode | 0o200 : mode;
  return (isNamedLast ? makeNamedLast(name, make) : null) ??
    (head !== null ? makeRenamed(name, make) : null) ??
    makeNamedFirst(name, firstMode, make);
}

/** Tells how a segment is to begin: without the zeros at the end. */
function headOf(byteLength: number, writeHead: WriteHead): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(Math.min(byteLength, HEAD_MOST));
  writeHead(head.buffer);
  return head.subarray(0, head.findLastIndex((byte) => byte !== 0) + 1);
}

/**
 * Writes how a segment begins. It is not written through a mapping: where `/dev/shm` is full, the first access to a
 * page that was not reserved would end the process.
 */
function storeHead(
  fd: number,
  name: string,
  head: Uint8Array<ArrayBuffer>,
  byteLength: number,
): void {
  const advice = (code: string) => code === "ENOSPC" ? spaceAdvice(byteLength) : undefined;
  // A page is written as a whole, or not at all.
  pwrite(fd, head, name, advice);
}

/** Gives an open segment all but its name, and tells which one it is. */
type Make = (fd: number) => OpenFileStatus;

function makeNamedFirst(name: string, mode: number, make: Make): MadeSegment {
  const { O_RDWR, O_CREAT, O_EXCL } = platform().flags;
  const fd = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, mode, creationAdvice(name));
  try {
    const { device, inode } = make(fd);
    return { fd, device, inode };
  } catch (error) {
    removeAndClose(fd, name);
    throw error;
  }
}

/**
 * Makes a segment under another name, and renames it when all else is done; `null` where the system has no call
 * that renames without replacing. A creator that is killed leaves the other name, which `prune()` knows.
 */
function makeRenamed(name: string, make: Make): MadeSegment | null {
  if (platform().directory === null || platform().renameat2Call === null) return null;
  // If the name is taken, the error comes now: a reservation may take seconds, and find no room.
  checkFree(name);
  const { O_RDWR, O_CREAT, O_EXCL } = platform().flags;
  const other = unfinishedName(name);
  let fd: number;
  try {
    fd = shmOpen(other, O_RDWR | O_CREAT | O_EXCL, 0o600);
  } catch {
    return null; // The same error comes again, with the name that is meant.
  }
  try {
    const { device, inode } = make(fd);
    const isRenamed = giveOtherName(other, name);
    if (isRenamed) return { fd, device, inode };
  } catch (error) {
    removeAndClose(fd, other);
    throw error;
  }
  removeAndClose(fd, other);
  return null;
}

/** Renames a segment that is whole; `false` where the system does not let it have the other name in this way. */
function giveOtherName(from: string, to: string): boolean {
  let isThere: boolean;
  try {
    isThere = renameNew(pathOf(from), pathOf(to), to, creationAdvice(to));
  } catch (error) {
    if (hasCode(error, ...RENAMING_REFUSED)) return false;
    throw error;
  }
  if (isThere) return true;
  throw notFound(
    `Cannot create ${quoteName(to)}: somebody removed the segment before it had this name`,
  );
}

/** Codes by which the system says that it cannot rename without replacing here, or does not allow it. */
const RENAMING_REFUSED = ["EINVAL", "ENOSYS", "EOPNOTSUPP", "EACCES", "EPERM"];

/**
 * Makes the name that a segment has before it is whole, where it must have one: of the form of `buildSmaName()`, by
 * which `prune()` tells a leftover, and with the same prefix, if the segment's own name is of that form.
 */
function unfinishedName(name: string): string {
  const prefix = prefixOf(name, madeNameMax()) ?? prefixOf(name, nameMax()) ?? UNFINISHED;
  return makeName(prefix, 0);
}

/** The prefix of a segment that is not whole yet, and whose own name has no prefix. */
const UNFINISHED = "unfinished";

/** Makes a segment that gets its name when all else is done; `null` where the system refuses such files. */
function makeNamedLast(name: string, make: Make): MadeSegment | null {
  const fd = openNameless(name);
  if (fd === null) return null;
  let isNamed = false;
  try {
    const { device, inode } = make(fd);
    isNamed = giveName(fd, name);
    if (isNamed) return { fd: openByName(fd, name, inode), device, inode };
  } catch (error) {
    if (isNamed) removeAndClose(fd, name);
    else close(fd);
    throw error;
  }
  close(fd);
  return null;
}

/** Takes back the name of a segment that could not be made, and closes it. */
function removeAndClose(fd: number, name: string): void {
  try {
    unlinkOwn(name, fstat(fd, name));
  } finally {
    close(fd);
  }
}

/**
 * Codes by which the system says that it has no files without a name here, or does not allow them. A user who may
 * make no files at all gets `EACCES`, too, and gets it again for a file with a name.
 */
const NAMELESS_REFUSED = ["EOPNOTSUPP", "EISDIR", "ENOENT", "EINVAL", "EACCES", "EPERM", "ENOSYS"];

/** Whether this system lets files be made without a name, but not be given one. It is found out once. */
let isNamingRefused = false;

/** Gives a segment its name; `false` where the system does not let it have one. */
function giveName(fd: number, name: string): boolean {
  try {
    linkat(fd, pathOf(name), name, creationAdvice(name));
    return true;
  } catch (error) {
    if (!hasCode(error, ...NAMELESS_REFUSED)) throw error;
    // A reservation may take seconds: it is not made in vain again.
    isNamingRefused = true;
    return false;
  }
}

/** Opens a segment that has no name; `null` where the system cannot, or could not name it afterwards. */
function openNameless(name: string): number | null {
  const { directory } = platform();
  const { O_RDWR, O_TMPFILE } = platform().flags;
  if (directory === null || O_TMPFILE === 0 || isNamingRefused || !isProcThere()) return null;
  // If the name is taken, the error comes now: a reservation may take seconds, and find no room.
  checkFree(name);
  try {
    return open(directory, O_RDWR | O_TMPFILE, 0o600, creationAdvice(name));
  } catch (error) {
    if (hasCode(error, ...NAMELESS_REFUSED)) return null;
    throw error;
  }
}

/** Throws if a name is taken. */
function checkFree(name: string): void {
  if (statx(pathOf(name)) === null) return;
  throw systemError(platform().os, "EEXIST", "shm_open", name, creationAdvice(name));
}

/**
 * Opens a segment once more, by the name that it just got: otherwise `/proc/PID/maps` would show a number in
 * the place of the name. Where that is not possible (its mode lets nobody open it), the first descriptor stays.
 */
function openByName(fd: number, name: string, inode: number): number {
  let again: number;
  try {
    again = shmOpen(name, platform().flags.O_RDWR, 0);
  } catch {
    return fd;
  }
  const isSame = fstat(again, name).inode === inode;
  close(isSame ? fd : again);
  return isSame ? again : fd;
}

/**
 * Refuses a size that this process may not give a file (`ulimit -f`): the kernel would send SIGXFSZ, which ends
 * the process. The signal cannot be caught here: its handler belongs to the whole process.
 */
export function checkFileSizeLimit(name: string, byteLength: number, reserve: boolean): void {
  if (byteLength <= getrlimit(RLIMIT_FSIZE)) return;
  const call = reserve ? "posix_fallocate" : "ftruncate";
  throw systemError(platform().os, "EFBIG", call, name, () => "ulimit -f raises the limit");
}

/**
 * Sets the size of a new segment, and reserves memory for all of it or for none of it.
 *
 * With reservation the size appears when the memory is there: a process that attaches in between
 * finds a segment without a size, never one whose pages may be missing. Where the system cannot reserve,
 * the segment is left sparse.
 */
export function setSize(fd: number, name: string, byteLength: number, reserve: boolean): void {
  const advice = (code: string) => code === "ENOSPC" ? spaceAdvice(byteLength) : undefined;
  if (reserve && posixFallocate(fd, byteLength, name, advice)) return;
  ftruncate(fd, byteLength, name);
}

function spaceAdvice(byteLength: number): string {
  return `${byteLength} bytes do not fit into ${platform().directory}: remove leftovers, ` +
    "or make it larger (a container's with --shm-size)";
}

/** The way out where a segment of some name could not be made. */
function creationAdvice(name: string): Advice {
  return (code) => {
    if (code === "EEXIST") return takenAdvice(name);
    if (code === "ENOSPC") return filesAdvice();
    if (code === "EACCES") return `this user may not make files in ${platform().directory}`;
    return directoryAdvice(code);
  };
}

/** The way out where no other file fits, however small. */
function filesAdvice(): string | undefined {
  const { directory } = platform();
  if (directory === null) return undefined;
  return `${directory} holds as many files as it may: remove leftovers, or mount it with a larger nr_inodes`;
}

/**
 * The way out where a name is taken. It says how old the segment is and which processes map it, if that is known: by
 * that its user sees whether it is a leftover.
 */
function takenAdvice(name: string): string {
  const ways = "load() or open() attaches to it, unlink() removes it";
  const { directory } = platform();
  const status = directory === null ? null : statx(pathOf(name));
  if (status === null) return ways;
  if (!status.regular) {
    return `something else than a segment has this name in ${directory}; choose another one`;
  }
  const pids = whoMaps(status.identity, PATIENCE);
  const mapped = pids === null ? "" : `, and ${mappersText(pids)}`;
  return `it is ${ageText(Date.now() - status.createdAt)} old${mapped}; ${ways}`;
}

/** How long to look for the processes that map a segment, in milliseconds. */
const PATIENCE = 50;

function mappersText(pids: readonly number[]): string {
  if (pids.length === 0) return "no process that this one can see maps it";
  const named = pids.slice(0, 3).map((pid) =>
    pid === runtime().pid ? `${pid} (this one)` : `${pid}`
  );
  const more = pids.length - named.length;
  const list = named.join(", ") + (more > 0 ? ` and ${more} more` : "");
  return pids.length === 1 ? `process ${list} maps it` : `processes ${list} map it`;
}

/** Writes an age in the largest unit of which it has at least one. */
function ageText(milliseconds: number): string {
  const units = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], [
    "second",
    1000,
  ]] as const;
  for (const [unit, length] of units) {
    const count = Math.floor(milliseconds / length);
    if (count >= 1) return `${count} ${unit}${count === 1 ? "" : "s"}`;
  }
  return "less than a second";
}
