/**
 * What Linux says under `/proc` of this process, of others and of the machine. No other file reads there.
 *
 * @see {@link https://man7.org/linux/man-pages/man5/proc.5.html | proc(5)}
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import {
  close,
  type FileStatus,
  fstat,
  open,
  read,
  readdir,
  readlink,
  statx,
} from "../../ffi/files.ts";
import { textOf } from "../../ffi/library.ts";
import { platform } from "../../ffi/platform.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { notSupported } from "../errors.ts";

/**
 * Finds which processes map which of some files, as far as this user can see them.
 *
 * @param identities the files, by device and inode, as `statx` gives them
 * @returns the processes of each file that somebody maps, sorted
 * @throws {Deno.errors.NotSupported} if not even the maps of this process can be read
 * @see {@link https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html | proc_pid_maps(5)}
 */
export function processesThatMap(identities: ReadonlySet<string>): Map<string, number[]> {
  const found = new Map<string, number[]>();
  if (identities.size === 0) return found;
  const decoder = new TextDecoder();
  const pids = readdir("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  // An emulator (qemu) shows a process its own map even where /proc is empty.
  if (!pids.includes(runtime().pid) || readProcFile("/proc/self/maps") === null) {
    // Every segment would look as if nobody mapped it, and prune() would remove them all.
    throw notSupported(
      "Cannot tell which processes map a segment: /proc/self/maps cannot be read",
    );
  }
  for (const pid of pids.sort((a, b) => a - b)) {
    // A process may have ended, or belong to another user.
    const maps = readProcFile(`/proc/${pid}/maps`);
    if (maps === null) continue;
    for (const identity of mappedFiles(decoder.decode(maps))) {
      if (!identities.has(identity)) continue;
      const list = found.get(identity);
      if (list === undefined) found.set(identity, [pid]);
      else list.push(pid);
    }
  }
  return found;
}

/**
 * Finds which processes map one file, as far as that does not take long.
 *
 * @param identity the file, as `statx` gives it
 * @param patience how many milliseconds to look
 * @returns processes that this user can see, sorted, and some at least where time was up; `null` where none was
 * found until then, or `/proc` cannot be read
 */
export function whoMaps(identity: string, patience: number): number[] | null {
  const end = performance.now() + patience;
  const found: number[] = [];
  const decoder = new TextDecoder();
  const inMaps = ` ${inHex(identity).replace(/:(?=\d+$)/, " ")} `;
  try {
    const self = runtime().pid;
    // A process always maps something: without that, nothing can be told of others either.
    if (readProcFile("/proc/self/maps") === null) return null;
    const others = readdir("/proc").filter((name) => /^\d+$/.test(name)).map(Number)
      .filter((pid) => pid !== self);
    for (const pid of [self, ...others]) {
      const maps = readProcFile(`/proc/${pid}/maps`);
      if (maps !== null && decoder.decode(maps).includes(inMaps)) found.push(pid);
      if (performance.now() > end) return found.length > 0 ? found : null;
    }
  } catch {
    return null; // The caller is about to throw an error of its own.
  }
  return found.sort((a, b) => a - b);
}

/** A file as the kernel writes it: its device in two hexadecimal numbers, its own number in a decimal one. */
function inHex(identity: string): string {
  const [major, minor, inode] = identity.split(":");
  const hex = (number: string): string => Number(number).toString(16).padStart(2, "0");
  return `${hex(major)}:${hex(minor)}:${inode}`;
}

/** The files in a process's memory map, as `major:minor:inode`. */
function mappedFiles(maps: string): Set<string> {
  const files = new Set<string>();
  // address           perms offset  dev   inode   pathname
  for (
    const [, major, minor, inode] of maps.matchAll(/^\S+ \S+ \S+ ([\da-f]+):([\da-f]+) (\d+)/gm)
  ) {
    if (inode !== "0") files.add(`${parseInt(major, 16)}:${parseInt(minor, 16)}:${inode}`);
  }
  return files;
}

/** A lock of `flock` on a file. */
export interface FileLock {
  /** The process that took it, or waits for it. */
  readonly pid: number;
  /** Whether others may have it at the same time. */
  readonly isShared: boolean;
  /** Whether the process waits for it in the kernel. */
  readonly isWaiting: boolean;
}

/**
 * Finds who holds the lock of a file, and who waits for it in the kernel. A process in another PID namespace is
 * not seen.
 *
 * @param identity the file, as `statx` gives it
 * @returns the locks; `null` where the kernel does not tell
 * @see {@link https://man7.org/linux/man-pages/man5/proc_locks.5.html | proc_locks(5)}
 */
export function locksOf(identity: string): FileLock[] | null {
  const text = readProcFile("/proc/locks");
  if (text === null) return null;
  const wanted = inHex(identity);
  // 11: FLOCK  ADVISORY  WRITE 10190 00:1a:2148097 0 EOF; one that waits has an arrow behind the colon
  const line = /^\d+: (?<arrow>-> )?FLOCK +\S+ +(?<kind>READ|WRITE) +(?<pid>\d+) (?<file>\S+) /gm;
  return [...new TextDecoder().decode(text).matchAll(line)]
    .filter(({ groups }) => groups!.file === wanted)
    .map(({ groups }) => ({
      pid: Number(groups!.pid),
      isShared: groups!.kind === "READ",
      isWaiting: groups!.arrow !== undefined,
    }));
}

/**
 * Finds the bytes of a file on which an open file has a lock of its own, as `F_OFD_SETLK` gives it.
 *
 * @param identity the file, as `statx` gives it
 * @returns their positions, but for those of locks on several bytes; `null` where the kernel does not tell
 */
export function lockedBytes(identity: string): ReadonlySet<number> | null {
  const text = readProcFile("/proc/locks");
  if (text === null) return null;
  const wanted = inHex(identity);
  // 12: OFDLCK ADVISORY  WRITE -1 00:1a:2148097 4294967297 4294967297
  const line = /^\d+: OFDLCK +\S+ +\S+ +\S+ (?<file>\S+) (?<first>\d+) (?<last>\d+)$/gm;
  return new Set(
    [...new TextDecoder().decode(text).matchAll(line)]
      .filter(({ groups }) => groups!.file === wanted && groups!.first === groups!.last)
      .map(({ groups }) => Number(groups!.first)),
  );
}

/**
 * Tells the name of the program that a process runs.
 *
 * @param pid the process
 * @returns its first 15 bytes; `null` if the process has ended
 * @see {@link https://man7.org/linux/man-pages/man5/proc_pid_comm.5.html | proc_pid_comm(5)}
 */
export function programOf(pid: number): string | null {
  const name = readProcFile(`/proc/${pid}/comm`);
  return name === null ? null : textOf(name.subarray(0, -1)); // a line break ends it
}

/** How many mappings this process has; `null` where it cannot be told. */
export function countMappings(): number | null {
  try {
    let count = 0;
    forEachChunk("/proc/self/maps", (bytes) => {
      for (const byte of bytes) if (byte === NEWLINE) count++;
    });
    return count;
  } catch {
    return null; // The caller is about to throw an error of its own.
  }
}
const NEWLINE = 10;

/** How many mappings the system allows a process; `null` where it cannot be told. */
export function mostMappings(): number | null {
  try {
    return Number(new TextDecoder().decode(readFile("/proc/sys/vm/max_map_count")));
  } catch {
    return null; // As above.
  }
}

/**
 * Tells how many bytes the kernel could give to programs without ending one.
 *
 * @returns the available memory and the free swap space; `Infinity` where the kernel does not say
 */
export function availableMemory(): number {
  const text = new TextDecoder().decode(readFile("/proc/meminfo"));
  const kibibytes = (key: string): number =>
    Number(new RegExp(`^${key}: *(\\d+)`, "m").exec(text)?.[1] ?? Infinity);
  return (kibibytes("MemAvailable") + kibibytes("SwapFree")) * 1024;
}

/**
 * Gives the command line by which this process was started.
 *
 * @returns the program and its arguments; `null` where it cannot be told
 */
export function commandLine(): string[] | null {
  const line = readProcFile("/proc/self/cmdline");
  // A NUL ends each word.
  return line === null ? null : new TextDecoder().decode(line).split("\0").slice(0, -1);
}

/**
 * Gives the environment in which this process was started. Deno wants a permission for each variable; what is here
 * can be seen by `ps`, too.
 *
 * @returns the variables; none where it cannot be told
 * @see {@link https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html | proc_pid_environ(5)}
 */
export function startingEnvironment(): { readonly [name: string]: string | undefined } {
  if (platform().directory === null) return {};
  const text = readProcFile("/proc/self/environ");
  if (text === null) return {};
  const entries = new TextDecoder().decode(text).split("\0").filter((entry) => entry.includes("="))
    .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]);
  return Object.fromEntries(entries);
}

/** The number of this process. */
export function ownPid(): number {
  return runtime().pid;
}

/**
 * Tells whether a process has an open file that has the lock of one byte, as its `fdinfo` shows.
 *
 * @param pid the process
 * @param identity the file, as `statx` gives it
 * @param at the position of the byte
 * @returns whether it has; `false` also where this process may not look
 * @see {@link https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html | proc_pid_fdinfo(5)}
 */
export function ownsByteLock(pid: number, identity: string, at: number): boolean {
  // lock:	1: OFDLCK  ADVISORY  WRITE -1 00:1a:4711 4294967297 4294967297
  const lock = ` ${inHex(identity)} ${at} ${at}`;
  const folder = `${folderOf(String(pid))}/fdinfo`;
  const decoder = new TextDecoder();
  try {
    return readdir(folder).some((fd) => {
      const text = readProcFile(`${folder}/${fd}`);
      return text !== null &&
        decoder.decode(text).split("\n").some((line) =>
          line.startsWith("lock:") && line.includes(" OFDLCK ") && line.endsWith(lock)
        );
    });
  } catch (error) {
    if (hasCode(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return false;
    throw error;
  }
}

/** What the descriptors of this process lead to: paths, and labels of files without a name. */
export function descriptorTargets(): string[] {
  const folder = "/proc/self/fd";
  return readdir(folder).map((fd) => readlink(`${folder}/${fd}`)).filter((path) => path !== null);
}

/** A file in memory that a process has open. */
export interface MemoryFile {
  readonly pid: string;
  /** Its descriptor there. */
  readonly fd: string;
  readonly status: FileStatus;
}

/**
 * Finds files in memory (`memfd_create`) that some process has open, as far as this user can see them. If several
 * descriptors lead to one, it is found once: in the process that was started first, by the lowest number.
 *
 * @returns the files
 */
export function openMemoryFiles(): MemoryFile[] {
  const files = new Map<string, MemoryFile[]>();
  for (const pid of readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const folder = `${folderOf(pid)}/fd`;
    for (const fd of orNothing(() => readdir(folder)) ?? []) {
      const target = orNothing(() => readlink(`${folder}/${fd}`));
      if (!target?.startsWith("/memfd:")) continue;
      const status = orNothing(() => statx(`${folder}/${fd}`, true));
      if (!status?.regular) continue;
      const known = files.get(status.identity);
      if (known === undefined) files.set(status.identity, [{ pid, fd, status }]);
      else known.push({ pid, fd, status });
    }
  }
  return [...files.values()].map((same) => {
    if (same.length === 1) return same[0];
    const order = same.map((file) => ({ file, start: startOf(file.pid) }));
    order.sort((a, b) => a.start - b.start || Number(a.file.fd) - Number(b.file.fd));
    return order[0].file;
  });
}

/** When a process was started, in ticks since the system was; `Infinity` if it has ended. */
function startOf(pid: string): number {
  const fields = statOf(pid);
  return fields === null ? Infinity : Number(fields[22 - 3]);
}

/** What `/proc` says of a process, from the third field on, its state; `null` if nothing. */
function statOf(pid: string): string[] | null {
  const bytes = readProcFile(`${folderOf(pid)}/stat`);
  if (bytes === null) return null;
  const text = new TextDecoder().decode(bytes);
  // The program's name is in brackets, and may hold spaces and brackets.
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/**
 * Tells whether a process has ended, or is about to: its number is there until its parent has asked for its end, but
 * its memory is gone, and nobody but root may look at its descriptors any more.
 *
 * @param pid the process
 * @returns whether it is seen to have no memory; `false` if it is not seen at all
 * @see {@link https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html | proc_pid_stat(5)}
 */
export function isEnding(pid: string): boolean {
  const fields = statOf(pid);
  return fields !== null && (/^[ZX]/.test(fields[0]) || fields[23 - 3] === "0"); // state, vsize
}

/** What an action gives; `null` if the process has ended meanwhile, or it is somebody else's. */
function orNothing<T>(action: () => T): T | null {
  try {
    return action();
  } catch (error) {
    if (hasCode(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return null;
    throw error;
  }
}

/**
 * Tells whether this process can be seen under `/proc`, and with it a file that it has open: without, no
 * file can be named or opened once more by its descriptor.
 *
 * @returns whether it can
 */
export function isProcThere(): boolean {
  return pathExists("/proc/self/fd");
}

/**
 * Tells whether a process can be seen from here.
 *
 * @param pid the process
 * @returns whether it can
 */
export function isProcessThere(pid: string): boolean {
  return pathExists(folderOf(pid));
}

/**
 * Opens what a descriptor of a process leads to.
 *
 * @param pid the process
 * @param fd its descriptor
 * @param flags how to open it, as `open` takes them
 * @returns a file descriptor, which the caller closes
 */
export function openDescriptorOf(pid: string, fd: string | number, flags: number): number {
  return open(`${folderOf(pid)}/fd/${fd}`, flags);
}

/**
 * Tells by which option `/proc` hides processes of other users from this one.
 *
 * @returns the option as it is mounted, `"hidepid=invisible"` say; `null` where nothing is hidden
 * @see {@link https://docs.kernel.org/filesystems/proc.html#mount-options | Mount options of /proc}
 */
export function hidingOption(): string | null {
  const mounts = readProcFile("/proc/self/mountinfo");
  if (mounts === null) return null;
  // … mount point, options, optional fields, "-", type, source, options of the file system
  const ofProc = /^\S+ \S+ \S+ \S+ \/proc .* - proc \S+ (\S+)$/gm;
  // The last one that is mounted there covers the others.
  const options = [...new TextDecoder().decode(mounts).matchAll(ofProc)].at(-1)?.[1] ?? "";
  // Linux before 5.8 shows numbers. The other values of hidepid show that a process exists, though nothing of
  // it.
  return /\bhidepid=(?:invisible|ptraceable|[24])\b/.exec(options)?.[0] ?? null;
}

/** The folder of a process. A process may look at itself where others are hidden from it. */
function folderOf(pid: string): string {
  return `/proc/${pid === String(runtime().pid) ? "self" : pid}`;
}

function pathExists(path: string): boolean {
  try {
    // It is not opened for reading: that may not be allowed where looking is.
    const fd = open(path, platform().memfd?.O_PATH ?? 0);
    try {
      fstat(fd, path); // A process that /proc hides (hidepid) can be opened so, but not looked at.
    } finally {
      close(fd);
    }
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT", "ESRCH")) return false;
    throw error;
  }
}

/** Reads a file under `/proc`; `null` if the process has ended, or it is somebody else's. */
function readProcFile(path: string): Uint8Array | null {
  return orNothing(() => readFile(path));
}

/** Reads a file whose size is not known before it is read. */
function readFile(path: string): Uint8Array {
  let all = new Uint8Array(1 << 16);
  let length = 0;
  forEachChunk(path, (bytes) => {
    if (length + bytes.length > all.length) {
      const larger = new Uint8Array(all.length * 2);
      larger.set(all.subarray(0, length));
      all = larger;
    }
    all.set(bytes, length);
    length += bytes.length;
  });
  return all.subarray(0, length);
}

/** Hands over the bytes of a file, piece by piece; each is valid until the next. */
function forEachChunk(path: string, take: (bytes: Uint8Array) => void): void {
  const fd = open(path, platform().flags.O_RDONLY);
  try {
    const bytes = new Uint8Array(1 << 14);
    while (true) {
      const count = read(fd, bytes, path);
      if (count === 0) return;
      take(bytes.subarray(0, count));
    }
  } finally {
    close(fd);
  }
}
