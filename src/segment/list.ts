/**
 * Lists segments, finds leftovers, and removes many at once.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { close, type FileStatus, geteuid, open, read, readdir, statx } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { failuresText, readOptions } from "../check.ts";
import { notSupported } from "../errors.ts";
import type { DType } from "../dtype.ts";
import { openMemoryFiles, processesThatMap } from "../process/proc.ts";
import { HEAD_BYTES, kindOfHead } from "../words.ts";
import { isAnonymousName, openAnonymous } from "./anonymous.ts";
import { type Description, found, ifItFits } from "./description.ts";
import { directoryAdvice } from "./file.ts";
import { checkUsableName, madeNameMax, nameMax, prefixOf } from "./name.ts";
import { groupsOfParts, listParts, unlinkWithParts, wholeOf } from "./parts.ts";

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
  /**
   * What it is, as its creator has described it, or by the magic at its beginning; `null` where nothing tells, as of
   * raw bytes.
   */
  readonly kind: "array" | "lock" | "barrier" | "ring" | "versions" | "queue" | null;
  /**
   * The lengths of the axes of the array; of the arrays in a ring or in versions. `null` where nothing tells, or
   * there is no array.
   */
  readonly shape: readonly number[] | null;
  /** The element type, likewise. */
  readonly dtype: DType | null;
  /** The permission bits. */
  readonly mode: number;
  /** The user id of its owner. */
  readonly uid: number;
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

/** A segment that was found. */
interface Found {
  readonly name: string;
  readonly status: FileStatus;
  readonly description: Pick<Description, "kind" | "shape" | "dtype"> | null;
}

/**
 * Lists segments, also those without a name in a folder, sorted by name.
 *
 * @param whose those of this user, or also what can be seen of others
 */
export function listSegments(whose: Whose = "own"): SegmentInfo[] {
  const named = findNamed(whose);
  return infoOf([...named, ...findAnonymous(whose)]);
}

/** Whose segments are meant. */
type Whose = "own" | "all";

/** Makes what tells whether a file is meant. */
function filterOf(whose: Whose): (status: FileStatus) => boolean {
  if (whose === "all") return () => true;
  const user = geteuid();
  return (status) => status.user === user;
}

/** Finds the segments that have a name in the folder of segments. */
function findNamed(whose: Whose): Found[] {
  const { directory, os } = platform();
  if (directory === null) {
    throw notSupported(
      `Cannot list segments: ${os} has no way to; keep names in a SharedMemoryRegister`,
    );
  }
  const isMeant = filterOf(whose);
  const segments: Found[] = [];
  for (const name of readdir(directory, directoryAdvice)) {
    const path = `${directory}/${name}`;
    const status = statx(path);
    // A segment may be gone since its name was read.
    if (status === null || !status.regular || !isMeant(status)) continue;
    const { byteLength } = status;
    const described = ifItFits(found.readOfPath(path).value, byteLength);
    segments.push({ name, status, description: described ?? kindAt(path, byteLength) });
  }
  return segments;
}

/** Finds the anonymous segments that some process holds. */
function findAnonymous(whose: Whose): Found[] {
  const isMeant = filterOf(whose);
  const segments: Found[] = [];
  for (const { pid, fd, status } of openMemoryFiles()) {
    if (!isMeant(status)) continue;
    const { byteLength, identity } = status;
    const name = `memfd:${pid}:${fd}:${identity.slice(identity.lastIndexOf(":") + 1)}`;
    let own: number;
    try {
      own = openAnonymous(name, true);
    } catch (error) {
      // It is gone, or it is no segment: a file in memory that its creator has not sealed.
      if (hasCode(error, "ENOENT", "EACCES")) continue;
      throw error;
    }
    try {
      const described = ifItFits(found.read(own).value, byteLength);
      segments.push({ name, status, description: described ?? kindOfOpen(own, name, byteLength) });
    } finally {
      close(own);
    }
  }
  return segments;
}

/** Tells the kind of a segment by its magic. */
function kindOfOpen(fd: number, name: string, byteLength: number): Found["description"] {
  const head = new Uint8Array(HEAD_BYTES);
  const kind = kindOfHead(head.subarray(0, read(fd, head, name)), byteLength);
  return kind === null ? null : { kind, shape: null, dtype: null };
}

/** The same of a segment that is not open. */
function kindAt(path: string, byteLength: number): Found["description"] {
  if (byteLength < HEAD_BYTES) return null;
  const { O_RDONLY, O_NONBLOCK } = platform().flags;
  let fd: number;
  try {
    fd = open(path, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    // It is gone, or its mode does not let its owner read it.
    if (hasCode(error, "ENOENT", "EACCES", "EPERM")) return null;
    throw error;
  }
  try {
    return kindOfOpen(fd, path, byteLength);
  } finally {
    close(fd);
  }
}

/** The prefix of the name that a segment, or the one that it is a part of, was given by `buildSmaName`. */
function prefixOfWhole(name: string): string | null {
  const whole = wholeOf(name);
  return prefixOf(whole, madeNameMax()) ?? prefixOf(whole, nameMax());
}

/** Completes what was found, and sorts it by name. */
function infoOf(segments: readonly Found[]): SegmentInfo[] {
  const pids = processesThatMap(new Set(segments.map(({ status }) => status.identity)));
  return segments.map(({ name, status, description }): SegmentInfo => ({
    name,
    byteLength: status.byteLength,
    createdAt: new Date(status.createdAt),
    prefix: isAnonymousName(name) ? null : prefixOfWhole(name),
    pids: pids.get(status.identity) ?? [],
    kind: description?.kind ?? null,
    shape: description?.shape ?? null,
    dtype: description?.dtype ?? null,
    mode: status.mode,
    uid: status.user,
  })).sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * Removes the names of segments, and those of their parts. Every one is tried, even if another fails.
 *
 * @param names the names; names that are gone already are no error
 * @returns those that were removed
 * @throws {TypeError} if `names` is no list of strings
 * @throws {RangeError} if a name is not legal; then none is removed
 * @throws {AggregateError} if the system refused some, after all were tried
 */
export function clearSegments(names: Iterable<string>): string[] {
  if (
    typeof names === "string" || names === null || names === undefined ||
    typeof names[Symbol.iterator] !== "function"
  ) {
    throw new TypeError("Cannot clear buffers: the names must be a list of strings");
  }
  const wanted = new Set(names);
  for (const name of wanted) checkUsableName(name);
  const { gone, failures } = removeSegments(wanted);
  if (failures.length > 0) {
    throw new AggregateError(
      failures,
      `Cannot clear ${failures.length} of ${wanted.size} buffers: ${failuresText(failures)}`,
    );
  }
  return [...wanted].filter((name) => gone.has(name));
}

/**
 * Removes the names of segments, and those of their parts. Every one is tried, even if another fails, or is no
 * name at all. The parts of all segments are listed once: once for each would make ten thousand names take minutes.
 *
 * @param names the names; names that are gone already are no error
 * @returns `gone`: the names that were removed; `failures`: what was thrown for the others
 */
export function removeSegments(
  names: ReadonlySet<string>,
): { readonly gone: ReadonlySet<string>; readonly failures: readonly unknown[] } {
  const gone = new Set<string>();
  const failures: unknown[] = [];
  let parts: ReturnType<typeof listParts> | undefined;
  for (const name of names) {
    try {
      checkUsableName(name);
      parts ??= listParts(); // before anything is removed
      for (const removed of unlinkWithParts(name, parts)) gone.add(removed);
    } catch (error) {
      failures.push(error);
    }
  }
  return { gone, failures };
}

/**
 * Removes leftovers: segments that `buildSmaName` named, that no process maps, and that are old enough.
 *
 * @param options which ones, and whether only to tell
 * @returns the names that were removed (with `dryRun`: would be), sorted
 */
export function pruneSegments(options: PruneOptions | undefined): string[] {
  const checked = checkPruneOptions(options);
  const names = findLeftovers(checked);
  return checked.dryRun ? names : clearSegments(names);
}

/** Finds the names of leftovers: named by `buildSmaName`, mapped by nobody, and old enough. */
function findLeftovers({ olderThan = HOUR, prefix }: PruneOptions): string[] {
  const now = Date.now();
  // Anonymous segments are gone with the last process that holds them: none of them is a leftover.
  const segments = infoOf(findNamed("own"));
  // A segment and its living parts are leftovers together, or not at all.
  const groupOf = groupsOfParts(); // after the segments were listed
  const kept = new Set(
    segments.filter(({ pids, createdAt }) =>
      pids.length > 0 || now - createdAt.getTime() < olderThan
    ).map(({ name }) => groupOf(name)),
  );
  return segments.filter((segment) =>
    segment.prefix !== null &&
    (prefix === undefined || segment.prefix === prefix) &&
    !kept.has(groupOf(segment.name))
  ).map(({ name }) => name);
}

/** Checks the options of `prune` and copies them. */
function checkPruneOptions(options: PruneOptions | undefined): PruneOptions {
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
