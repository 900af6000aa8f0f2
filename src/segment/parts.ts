/**
 * Segments that are parts of another one: the versions of a table, say. Their names are made of its name
 * and a number, and who removes a segment by a list of names removes its parts, too.
 *
 * A segment that has parts has {@linkcode PARTS_BYTES} and begins with {@linkcode PARTS_MAGIC}. At
 * {@linkcode PARTS_AT} stands the number
 * of its current part, in 64 bits. There may be the part before, which is about to be removed, and the one
 * after, which is about to be made; there is no other.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { close, read, statx } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { unlink } from "./file.ts";
import { partName } from "./name.ts";

/** The first eight bytes of a segment that has parts. */
export const PARTS_MAGIC = "SHMVERS1";

/** The size of a segment that has parts. */
export const PARTS_BYTES = 128;

/** Where the number of the current part stands, in bytes. */
export const PARTS_AT = 64;

/**
 * Removes a segment's name, and those of its parts.
 *
 * @param name a checked name
 * @returns the names that were removed
 */
export function unlinkWithParts(name: string): string[] {
  const fd = openToLook(name);
  try {
    const removed = unlink(name) ? [name] : [];
    // The number is read after the name is gone: who makes a part looks at the name when the part is made,
    // and takes it back.
    const current = fd === null ? null : currentPart(fd, name);
    if (current === null) return removed;
    const parts = [current - 1, current, current + 1].filter((number) => number > 0);
    return [...removed, ...parts.map((number) => partName(name, number)).filter(unlink)];
  } finally {
    if (fd !== null) close(fd);
  }
}

/**
 * Opens a segment that may have parts. What cannot be looked into has none that could be removed. All others are
 * not opened: they can be removed when no descriptor is free, and what is no segment may have effects when it is
 * opened (a FIFO blocks).
 */
function openToLook(name: string): number | null {
  const { os, directory, flags } = platform();
  if (os !== "linux") return null; // elsewhere segments cannot be read from, and none has parts
  const status = statx(`${directory}/${name}`);
  if (status === null || !status.regular || status.byteLength !== PARTS_BYTES) return null;
  try {
    return shmOpen(name, flags.O_RDONLY | flags.O_NONBLOCK, 0);
  } catch (error) {
    if (hasCode(error, "ENOENT", "EACCES")) return null;
    throw error;
  }
}

/** Reads the number of the current part; `null` if the segment is not one that has parts. */
function currentPart(fd: number, name: string): number | null {
  const bytes = new Uint8Array(PARTS_AT + 8);
  if (read(fd, bytes, name) < bytes.length) return null;
  if (new TextDecoder().decode(bytes.subarray(0, 8)) !== PARTS_MAGIC) return null;
  return Number(new DataView(bytes.buffer).getBigUint64(PARTS_AT, true));
}
