/**
 * How much room there is for segments.
 *
 * @module
 */

import { type FileSystemStatus, statfs } from "../../ffi/files.ts";
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
