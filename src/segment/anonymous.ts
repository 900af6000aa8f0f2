/**
 * Segments that no name in a folder leads to: files in memory (`memfd_create`), which other processes
 * reach through the descriptor of the one that made them. They vanish with the last process that holds
 * them, however it ends.
 *
 * @module
 */

import { quoteName } from "../check.ts";
import { hasCode, systemError } from "../../ffi/errors.ts";
import { fcntl } from "../../ffi/fcntl.ts";
import { close, fchmod, fstat } from "../../ffi/files.ts";
import { memfdCreate } from "../../ffi/mman.ts";
import { type Platform, platform } from "../../ffi/platform.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { notSupported, permissionDenied } from "../errors.ts";
import { type Describe, writeDescription } from "./description.ts";
import {
  availableMemory,
  hidingOption,
  isEnding,
  isProcessThere,
  openDescriptorOf,
} from "../process/proc.ts";

/** The name of an anonymous segment: its creator, and the descriptor and inode that it has there. */
const namePattern = /^memfd:(\d+):(\d+):(\d+)$/;

/**
 * Tells the names of anonymous segments from all others, which lead to POSIX segments.
 *
 * @param name a checked name
 */
export function isAnonymousName(name: string): boolean {
  return name.startsWith("memfd:") && namePattern.test(name);
}

/** The parts of an anonymous segment's name, as digits. */
interface AnonymousName {
  readonly pid: string;
  readonly fd: string;
  readonly inode: string;
}

function parseAnonymousName(name: string): AnonymousName {
  const [, pid, fd, inode] = namePattern.exec(name)!;
  return { pid, fd, inode };
}

/** The numbers for files in memory, where the system has such. */
function memfdOf(action: string): NonNullable<Platform["memfd"]> {
  const { memfd, os } = platform();
  if (memfd === null) {
    throw notSupported(
      `Cannot ${action} an anonymous segment: ${os} has none; create() makes one with a name`,
    );
  }
  return memfd;
}

/**
 * Makes an empty anonymous segment, and opens it. The descriptor is what its name leads to: its creator
 * keeps it until {@linkcode unlinkAnonymous}.
 *
 * @param label what `/proc` shows beside the descriptor
 * @param mode the permission bits, set exactly
 * @param describe gives the text of its description; `null` for none
 * @returns the descriptor and the name
 * @throws {Deno.errors.NotSupported} on a system without `memfd_create`
 */
export function makeAnonymous(
  label: string,
  mode: number,
  describe: Describe | null,
): { fd: number; name: string } {
  const memfd = memfdOf("create");
  const flags = memfd.MFD_CLOEXEC | memfd.MFD_ALLOW_SEALING;
  // From Linux 6.3 on the kernel asks whether the file may ever be executed.
  const execution = mode & 0o111 ? memfd.MFD_EXEC : memfd.MFD_NOEXEC_SEAL;
  let fd: number;
  try {
    fd = memfdCreate(label, flags | execution);
  } catch (error) {
    if (!hasCode(error, "EINVAL")) throw error;
    fd = memfdCreate(label, flags);
  }
  try {
    const name = `memfd:${runtime().pid}:${fd}:${fstat(fd, label).inode}`;
    writeDescription(fd, name, describe); // its mode allows everything yet
    fchmod(fd, mode, name);
    return { fd, name };
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * Seals the size of an anonymous segment: nobody can shrink or grow it from then on.
 *
 * @param fd the segment, which has its size
 * @param name its name
 */
export function sealSize(fd: number, name: string): void {
  const { F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW } = memfdOf("seal");
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW, name);
}

/**
 * Opens an anonymous segment that a process of this machine has made, and checks that it is the one of this
 * name.
 *
 * @param name its name
 * @param readOnly whether to open it for reading only
 * @returns a file descriptor, which the caller closes
 * @throws {Deno.errors.NotFound} if it is gone, or its creator cannot be seen from here
 * @throws {Deno.errors.PermissionDenied} if it belongs to another user
 */
export function openAnonymous(name: string, readOnly: boolean): number {
  const { O_CLOEXEC } = memfdOf("load");
  const { O_RDONLY, O_RDWR } = platform().flags;
  const handle = handleOf(name);
  try {
    const fd = explained(
      () =>
        openDescriptorOf(String(runtime().pid), handle, (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC),
      name,
      readOnly
        ? "its mode does not let this user read it"
        : 'attaching wants to write, too; load({ access: "copy-on-write" }) needs to read only',
    );
    if (isSealed(fd, name)) return fd;
    close(fd);
    throw notFound(name, REUSED);
  } finally {
    close(handle);
  }
}

const REUSED = "its creator has ended or unlinked it, and the number is another one's now";

/**
 * Gets a handle (`O_PATH`) on the file that a name leads to, without opening it. The descriptor's number may
 * belong to another file by now, a FIFO or a device, and opening those has effects.
 */
function handleOf(name: string): number {
  const { O_PATH, O_CLOEXEC } = memfdOf("load");
  const { pid, fd, inode } = parseAnonymousName(name);
  let handle: number;
  try {
    handle = explained(
      () => openDescriptorOf(pid, fd, O_PATH | O_CLOEXEC),
      name,
      `this process may not look at process ${pid}: what has no name can be reached by the user that ` +
        "made it only",
    );
  } catch (error) {
    if (!hasCode(error, "ENOENT", "ESRCH", "EACCES")) throw error;
    if (isEnding(pid)) throw notFound(name, `process ${pid}, which made it, has ended`);
    // Its parent may have asked for its end since: then nothing tells any more that it was ending.
    const isThere = isProcessThere(pid);
    if (hasCode(error, "EACCES") && isThere) throw error;
    throw notFound(
      name,
      isThere
        ? `process ${pid} has no such descriptor: it has unlinked it, or the number is another process's now`
        : `there is no process ${pid} here: it has ended, or it runs where this process cannot see ` +
          `it, in another PID namespace (a container)${hiddenBy()}`,
    );
  }
  if (isFile(handle, inode, name)) return handle;
  close(handle);
  throw notFound(name, REUSED);
}

/** Whether a descriptor is of the regular file that has an inode number. */
function isFile(fd: number, inode: string, name: string): boolean {
  const status = fstat(fd, name);
  return status.regular && String(status.inode) === inode;
}

/** One more reason why a process cannot be seen, where `/proc` hides those of other users. */
function hiddenBy(): string {
  const option = hidingOption();
  return option === null ? "" : `, or another user runs it, and /proc hides it (${option})`;
}

/**
 * Calls an action that opens a segment. If the system refuses, the error says which segment is meant and what
 * keeps this process out. `/proc` refuses with EPERM where it is mounted with hidepid=noaccess, and with EACCES
 * elsewhere.
 */
function explained(action: () => number, name: string, why: string): number {
  try {
    return action();
  } catch (error) {
    if (!hasCode(error, "EACCES", "EPERM")) throw error;
    throw systemError(platform().os, "EACCES", "open", name, () => why);
  }
}

function notFound(name: string, why: string): Error {
  return systemError(platform().os, "ENOENT", "open", name, () => why);
}

/**
 * Whether the name of an anonymous segment still leads to it: its creator lives, and has not unlinked it.
 *
 * @param name its name
 */
export function isAnonymousThere(name: string): boolean {
  const { pid, fd, inode } = parseAnonymousName(name);
  try {
    // Its creator asks for the number itself: by /proc each acquire() would take three times as long.
    if (pid === String(runtime().pid) && Number(fd) <= MAX_FD) {
      return isFile(Number(fd), inode, name);
    }
    close(handleOf(name));
    return true;
  } catch (error) {
    // Another user's process may have the number by now, at which this one may not look.
    if (hasCode(error, "ENOENT", "EACCES", "EBADF")) return false;
    throw error;
  }
}

/** Whether an open file is an anonymous segment: what its creator has sealed. */
function isSealed(fd: number, name: string): boolean {
  const { F_GET_SEALS, F_SEAL_SHRINK, F_SEAL_GROW } = memfdOf("load");
  const both = F_SEAL_SHRINK | F_SEAL_GROW;
  try {
    return (fcntl(fd, F_GET_SEALS, 0, name) & both) === both;
  } catch (error) {
    if (hasCode(error, "EINVAL")) return false; // a file of another kind
    throw error;
  }
}

/**
 * Closes the descriptor by which an anonymous segment is reached; any thread of its creator can do it.
 *
 * Several threads may try at once, and meanwhile the number may be given to another file, which must not be
 * closed. So a second descriptor holds the file, and only the thread that puts on the last seal closes the
 * first: a seal can be put on once. Where no descriptor is free, the number itself is used.
 *
 * @param name its name
 * @returns `false` if it was gone already
 * @throws {Deno.errors.PermissionDenied} if another process made it
 */
export function unlinkAnonymous(name: string): boolean {
  const { F_DUPFD_CLOEXEC, F_ADD_SEALS, F_SEAL_SEAL } = memfdOf("unlink");
  const { pid, fd, inode } = parseAnonymousName(name);
  if (pid !== String(runtime().pid)) return refuseForeign(name, pid);
  const number = Number(fd);
  if (number > MAX_FD) return false;
  let own: number;
  let isBorrowed = false;
  try {
    own = fcntl(number, F_DUPFD_CLOEXEC, 0, name);
  } catch (error) {
    if (hasCode(error, "EBADF")) return false;
    if (!hasCode(error, "EMFILE")) throw error;
    own = number;
    isBorrowed = true;
  }
  try {
    if (!isFile(own, inode, name) || !isSealed(own, name)) return false;
    try {
      fcntl(own, F_ADD_SEALS, F_SEAL_SEAL, name);
    } catch (error) {
      if (hasCode(error, "EPERM")) return false;
      throw error;
    }
    if (!isFile(own, inode, name)) return false;
    close(number);
    return true;
  } finally {
    // A borrowed number is not closed again: another thread may have closed it, and the system may have given
    // it to a file of this thread.
    if (!isBorrowed) close(own);
  }
}
const MAX_FD = 2 ** 31 - 1;

/** Throws an error that names the owner of another process's segment; gives `false` if the segment is gone. */
function refuseForeign(name: string, pid: string): boolean {
  try {
    close(handleOf(name));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    if (!hasCode(error, "EACCES")) throw error;
  }
  throw permissionDenied(
    `Cannot unlink ${quoteName(name)}: ` +
      `it belongs to process ${pid}, which made it, and goes with it or ` +
      "by its unlink()",
  );
}

/**
 * Refuses to reserve more memory than the machine has. `/dev/shm` has a limit; anonymous memory has none, and
 * the kernel would end processes to find it.
 *
 * @param name the segment's name
 * @param byteLength how many bytes are to be reserved
 * @throws {Error} with code `ENOMEM` if that is more than what is available
 */
export function checkAvailable(name: string, byteLength: number): void {
  if (byteLength < WORTH_ASKING) return;
  const available = availableMemory();
  if (byteLength <= available) return;
  throw systemError(
    platform().os,
    "ENOMEM",
    "posix_fallocate",
    name,
    () =>
      `${byteLength} bytes do not fit into the ${available} bytes of memory that are available; ` +
      "reserve: false takes each page when it is written",
  );
}
/** From this size on it is worth the time to ask: 16 MiB. */
const WORTH_ASKING = 2 ** 24;
