/**
 * What segments exist, and which of them are leftovers.
 *
 * @module
 */

import { type FileStatus, geteuid, readdir, statx } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { readOptions } from "../check.ts";
import { notSupported } from "../errors.ts";
import { processesThatMap } from "../process/proc.ts";
import { directoryAdvice } from "./create_segment.ts";
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
    throw notSupported(
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
  const pids = processesThatMap(new Set(segments.map(({ identity }) => identity)));
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
