/**
 * What segments exist, and which of them are leftovers.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { close, type FileStatus, geteuid, open, read, readdir, statx } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { readOptions } from "../check.ts";
import { directoryAdvice } from "./making.ts";
import { madeNameMax, nameMax, prefixOf, wholeOf } from "./name.ts";

/** What is known of a segment. */
export interface SegmentInfo {
  /** The segment's name, without a slash. */
  readonly name: string;
  /** The segment's size in bytes. */
  readonly byteLength: number;
  /** When it was created. */
  readonly createdAt: Date;
  /** What `buildSmaName` was given; `null` if the name was not made by it. */
  readonly prefix: string | null;
  /** The processes that map it now, as far as this user can see them; sorted. */
  readonly pids: number[];
}

/** Which leftovers to remove. */
export interface PruneOptions {
  /** The least age in milliseconds; by default one hour. */
  olderThan?: number;
  /** The prefix that `buildSmaName` was given; by default any. */
  prefix?: string;
  /** Whether only to tell what would be removed. */
  dryRun?: boolean;
}

const HOUR = 60 * 60 * 1000;

/** Lists the segments of this user, sorted by name. */
export function listSegments(): SegmentInfo[] {
  const { directory, os } = platform();
  if (directory === null) {
    throw new Deno.errors.NotSupported(
      `Cannot list segments: ${os} has no way to; keep names in a SharedMemoryRegister`,
    );
  }
  const user = geteuid();
  const segments: (FileStatus & { name: string })[] = [];
  for (const name of readdir(directory, directoryAdvice)) {
    const status = statx(`${directory}/${name}`);
    // A segment may be gone since its name was read.
    if (status === null || !status.regular || status.user !== user) continue;
    segments.push({ name, ...status });
  }
  const pids = mappingProcesses(new Set(segments.map(({ identity }) => identity)));
  return segments.map(({ name, byteLength, createdAt, identity }) => ({
    name,
    byteLength,
    createdAt: new Date(createdAt),
    prefix: prefixOf(wholeOf(name), madeNameMax()) ?? prefixOf(wholeOf(name), nameMax()),
    pids: pids.get(identity) ?? [],
  })).sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Finds the names of leftovers: named by `buildSmaName`, mapped by nobody, and old enough. */
export function findLeftovers({ olderThan = HOUR, prefix }: PruneOptions): string[] {
  const now = Date.now();
  const segments = listSegments();
  // A segment and its parts are leftovers together, or not at all.
  const kept = new Set(
    segments.filter(({ pids, createdAt }) =>
      pids.length > 0 || now - createdAt.getTime() < olderThan
    ).map(({ name }) => wholeOf(name)),
  );
  return segments.filter((segment) =>
    segment.prefix !== null &&
    (prefix === undefined || segment.prefix === prefix) &&
    !kept.has(wholeOf(segment.name))
  ).map(({ name }) => name);
}

/** Checks the options of `prune` and copies them. */
export function checkPruneOptions(options: PruneOptions | undefined): PruneOptions {
  const kinds = { olderThan: "number", prefix: "string", dryRun: "boolean" } as const;
  const checked = readOptions(options, kinds, "prune");
  const { olderThan } = checked;
  if (olderThan !== undefined && !(olderThan >= 0)) {
    throw new RangeError(
      `Cannot prune: olderThan must be 0 or more milliseconds, not ${olderThan}`,
    );
  }
  return checked;
}

/** Finds which processes map which of some files, by device and inode. */
function mappingProcesses(identities: ReadonlySet<string>): Map<string, number[]> {
  const found = new Map<string, number[]>();
  if (identities.size === 0) return found;
  const decoder = new TextDecoder();
  const pids = readdir("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  // An emulator gives a process its own map even where /proc is empty.
  if (!pids.includes(Deno.pid) || readProcFile("/proc/self/maps") === null) {
    // Every segment would look as if nobody mapped it, and prune() would remove them all.
    throw new Deno.errors.NotSupported(
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

/** Reads a file under `/proc`; `null` if the process has ended, or it is somebody else's. */
export function readProcFile(path: string): Uint8Array | null {
  try {
    return readFile(path);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return null;
    throw error;
  }
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
    return null; // What asks is about to throw an error of its own.
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
