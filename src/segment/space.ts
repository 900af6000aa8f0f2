/**
 * How much room there is for segments.
 *
 * @module
 */

import { type FileSystemStatus, statfs, statx } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";

/**
 * Looks at the file system that segments are on.
 *
 * @returns what it can hold; `null` where that cannot be told, and where it has no limit
 */
export function segmentSpace(): FileSystemStatus | null {
  const { directory } = platform();
  const space = directory === null ? null : statfs(directory);
  return space === null || space.byteLength === 0 ? null : space;
}

/** The size that a container's `/dev/shm` has by default: 64 MiB. One that is no larger is left to others. */
const DEFAULT_SPACE = 2 ** 26;

/**
 * Tells whether a segment is better made without a name: because the file system of segments is not there, has
 * less free than is asked for, or is so small that it is for the small things of all programs. It is always
 * `false` where the system has no anonymous segments.
 *
 * @param byteLength the size of the segment in bytes
 */
export function isBetterAnonymous(byteLength: number): boolean {
  const { directory, memfd } = platform();
  if (directory === null || memfd === null) return false;
  const space = segmentSpace();
  if (space === null) return statx(directory) === null; // no such folder, or one without a limit
  return space.available < byteLength || space.byteLength <= DEFAULT_SPACE;
}
