/**
 * Segments that are parts of another one: the versions of a table, say. If the whole is removed by a list of
 * names, its parts are removed, too.
 *
 * A segment that has parts (the whole) has {@linkcode PARTS_BYTES} bytes, and begins with the magic of
 * versions. At {@linkcode PARTS_ID} stands a random number, which the names of its parts bear: another whole may
 * have had this name before, and yet another may have it soon. No part is removed that bears another id than the
 * one that is meant. The steps, and their order, are those of the model, `tests/model/versions.pml`.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { close, fstat, linkat, read, readdir, rename, statx } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { magics } from "../words.ts";
import { isAnonymousName } from "./anonymous.ts";
import { type FileIdentity, needStackToRemove, pathOf, unlink, unlinkOwn } from "./file.ts";
import { nameMax } from "./name.ts";

/** What a segment that has parts begins with. */
const PARTS_MAGIC = magics.versions.text;

/** The size of a segment that has parts. */
export const PARTS_BYTES = 128;

/** Where the id stands, in bytes: 64 bits, never 0. */
export const PARTS_ID = 40;

// --- Names -----------------------------------------------------------------------------------

/** The digits of an id, of the 64 bits of a number. */
const ID_DIGITS = 16;

/** How many bytes longer than its name the names of a segment's parts may be. */
export const PART_NAME_BYTES = ".".length + ID_DIGITS + ".v".length +
  String(Number.MAX_SAFE_INTEGER).length;

/**
 * Tells the name of a part.
 *
 * @param name the name of the whole
 * @param id the id of the whole
 * @param number the number of the part, from 1
 */
export function partName(name: string, id: bigint, number: number): string {
  return `${name}.${idText(id)}.v${number}`;
}

function idText(id: bigint): string {
  return id.toString(16).padStart(ID_DIGITS, "0");
}

const partForm = /^(?<whole>.+)\.(?<id>[\da-f]{16})\.v(?<number>[1-9]\d{0,15})$/s;
/** The name that a whole has while it is being removed. */
const removedForm = /^(?<whole>.+)\.[\da-f]{16}$/s;

/** What the name of a part says. */
interface PartName {
  /** The name of the whole. */
  readonly whole: string;
  /** The id of the whole, as digits. */
  readonly id: string;
  /** The number of the part. */
  readonly number: number;
}

/** Reads the name of a part; `null` if it is none. */
function parsePartName(name: string): PartName | null {
  const groups = partForm.exec(name)?.groups;
  return groups === undefined
    ? null
    : { whole: groups.whole, id: groups.id, number: Number(groups.number) };
}

/**
 * Tells the name of the segment that a segment may be a part of, by its name.
 *
 * @param name the segment's name
 * @returns the name of the whole; for a name that is no part's the name itself
 */
export function wholeOf(name: string): string {
  return parsePartName(name)?.whole ?? removedForm.exec(name)?.groups?.whole ?? name;
}

/**
 * Tells which of some segments are leftovers together, or not at all: a whole and its living parts. A part whose
 * whole is gone, or has another id by now, is alone.
 *
 * @returns gives for the name of a segment that of its group. It reads the ids of the wholes: the segments must
 * have been listed before, since what is listed later may belong to a whole that is newer than the id.
 */
export function groupsOfParts(): (name: string) => string {
  const ids = new Map<string, string | null | undefined>();
  return (name) => {
    const part = parsePartName(name);
    if (part === null) return name;
    const { whole, id } = part;
    if (!ids.has(whole)) ids.set(whole, idOf(whole));
    const living = ids.get(whole);
    // A part counts as living where the whole cannot be read.
    return living === undefined || living === id ? whole : name;
  };
}

// --- Removing --------------------------------------------------------------------------------

/**
 * Lists the parts of all segments.
 *
 * @returns the names of the parts, by that of the whole; empty where there is no way to list them, as where no
 * descriptor is left: names can be removed nevertheless, and `prune()` finds what is left
 */
export function listParts(): ReadonlyMap<string, readonly string[]> {
  const parts = new Map<string, string[]>();
  for (const name of namesOrNone("EMFILE", "ENFILE", "EACCES", "EPERM", "ENOENT") ?? []) {
    const whole = parsePartName(name)?.whole;
    if (whole === undefined) continue;
    const list = parts.get(whole);
    if (list === undefined) parts.set(whole, [name]);
    else list.push(name);
  }
  return parts;
}

/** The names of all segments; `null` where they cannot be listed, or that fails with one of some codes. */
function namesOrNone(...codes: string[]): string[] | null {
  const { os, directory } = platform();
  if (os !== "linux" || directory === null) return null; // no other system has parts
  try {
    return readdir(directory);
  } catch (error) {
    if (hasCode(error, ...codes)) return null;
    throw error;
  }
}

/**
 * Removes a segment's name, those of its parts, and those of parts that an earlier whole of this name left: their
 * writer was killed when that one was gone already.
 *
 * @param name a checked name
 * @param listed what {@linkcode listParts} told before
 * @returns the names that were removed
 */
export function unlinkWithParts(
  name: string,
  listed: ReadonlyMap<string, readonly string[]>,
): string[] {
  needStackToRemove();
  const removed = unlinkWhole(name);
  const older = listed.get(name) ?? [];
  if (older.length === 0) return removed;
  const living = idOf(name); // read after the list was made: the parts of a newer whole are not in it
  if (living === undefined) return removed;
  const dead = older.filter((part) => parsePartName(part)!.id !== living);
  return [...removed, ...dead.filter(unlink)];
}

/** Removes whichever segment has a name, and if it has parts, these. */
function unlinkWhole(name: string): string[] {
  for (let tries = 0; tries < MOST_SUCCESSORS; tries++) {
    const found = lookForWhole(name);
    if (found === "another kind") return unlink(name) ? [name] : [];
    if (found === "nothing") return [];
    const removed = removeWhole(name, found);
    if (removed.length > 0) return removed;
    // Somebody else removed that one meanwhile: the name may lead to the next one by now.
  }
  return [];
}

/** How many segments that get one name after another are looked at before a removal gives up. */
const MOST_SUCCESSORS = 100;

/**
 * Removes the name of a segment that somebody is attached to, and those of its parts, unless the name leads to
 * another segment by now.
 *
 * @param name a checked name
 * @param identity which segment is meant: its device and its number on that
 * @returns whether it was removed
 */
export function unlinkAttached(name: string, identity: string): boolean {
  const [device, inode] = identity.split(":").map(Number);
  return removeWhole(name, { device, inode }).length > 0;
}

/**
 * Removes a whole and its parts. It gets another name first: of two that remove at the same time, while a third
 * one makes the next whole of this name, each then knows which one it removes.
 *
 * @param name its name
 * @param segment the segment that is meant
 * @returns the names that were removed; none if the name is gone, or another segment's
 */
function removeWhole(name: string, segment: FileIdentity): string[] {
  needStackToRemove(); // also for what comes after the name is gone
  const other = `${name}.${idText(randomId())}`;
  if (!unlinkOwn(name, segment, () => rename(pathOf(name), pathOf(other), name))) return [];
  // The lock that unlinkOwn() takes excludes all removers of this package, but not rm.
  if (inodeOf(other) !== segment.inode) {
    giveBack(other, name);
    return [];
  }
  let id: bigint | null = null;
  try {
    id = readId(other);
  } finally {
    unlink(other);
  }
  // The writer looks at the name when a part is made, and takes it back if there is none: what is listed now
  // is all there is.
  return [name, ...id === null ? [] : removeParts(name, id)];
}

/** Gives a segment its name again, unless there is yet another one of this name by now. */
function giveBack(other: string, name: string): void {
  const fd = openToLook(other);
  if (fd === null) return; // It is gone, or keeps the other name, by which prune() knows it.
  try {
    linkat(fd, pathOf(name), name);
    unlink(other);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    close(fd);
  }
}

/**
 * Removes the parts that bear an id.
 *
 * @param name the name of the whole
 * @param id its id
 * @returns the names that were removed
 * @throws what the system says of the first that it refuses to remove, after all others were
 */
export function removeParts(name: string, id: bigint): string[] {
  return removeEach(partsOf(name, id).map(({ number }) => partName(name, id, number)));
}

/**
 * Removes the parts that bear an id but for the current one, and leaves what this user may not remove: in a
 * `/dev/shm` that is sticky, as it mostly is, that are those of another user.
 *
 * @param name the name of the whole
 * @param id its id
 * @param current the number of the part that stays
 */
export function sweepParts(name: string, id: bigint, current: number): void {
  for (const { number } of partsOf(name, id, current)) {
    if (number !== current) unlinkIfPermitted(partName(name, id, number));
  }
}

/**
 * Removes a name if this user may.
 *
 * @param name a checked name
 * @returns whether it is gone
 */
export function unlinkIfPermitted(name: string): boolean {
  try {
    unlink(name);
    return true;
  } catch (error) {
    if (hasCode(error, "EACCES", "EPERM")) return false;
    throw error;
  }
}

/** The parts that bear an id. Where they cannot be listed, those beside the current one may be there. */
function partsOf(name: string, id: bigint, current?: number): { readonly number: number }[] {
  const names = namesOrNone("EACCES", "EPERM");
  if (names === null) {
    const near = current === undefined ? [] : [current - 1, current, current + 1];
    return near.filter((number) => number > 0).map((number) => ({ number }));
  }
  const digits = idText(id);
  return names.filter((each) => each.startsWith(`${name}.${digits}.v`)).map(parsePartName)
    .filter((part) => part !== null && part.whole === name && part.id === digits) as PartName[];
}

function removeEach(names: readonly string[]): string[] {
  const failures: unknown[] = [];
  const removed = names.filter((name) => {
    try {
      return unlink(name);
    } catch (error) {
      failures.push(error);
      return false;
    }
  });
  if (failures.length > 0) throw failures[0];
  return removed;
}

// --- Looking ---------------------------------------------------------------------------------

/** The number of the segment that a name leads to; `null` if it leads to none. */
function inodeOf(name: string): number | null {
  const status = statx(pathOf(name));
  return status === null
    ? null
    : Number(status.identity.slice(status.identity.lastIndexOf(":") + 1));
}

/**
 * Looks which segment a name leads to.
 *
 * @returns the segment if it has parts, or may be about to get the header that tells so; "another kind" if it has
 * none, or this user may not look
 */
function lookForWhole(name: string): FileIdentity | "another kind" | "nothing" {
  if (platform().os !== "linux" || isAnonymousName(name) || isTooLong(name)) return "another kind";
  const status = statx(pathOf(name));
  if (status === null) return "nothing";
  if (!status.regular || status.byteLength !== PARTS_BYTES) return "another kind";
  try {
    const fd = openToLook(name);
    if (fd === null) return "nothing";
    try {
      const magic = new Uint8Array(PARTS_MAGIC.length);
      read(fd, magic, name);
      const isWhole = magic.every((byte) => byte === 0) ||
        new TextDecoder().decode(magic) === PARTS_MAGIC;
      return isWhole ? fstat(fd, name) : "another kind";
    } finally {
      close(fd);
    }
  } catch (error) {
    if (hasCode(error, "EACCES")) return "another kind";
    throw error;
  }
}

/** Whether a name leaves no room for the names of parts, so that no whole has it. */
function isTooLong(name: string): boolean {
  const most = nameMax() - PART_NAME_BYTES;
  return name.length * 3 > most && new TextEncoder().encode(name).length > most;
}

/**
 * The id of the whole that a name leads to, as digits; `null` if it leads to none, `undefined` if this user may
 * not look. What cannot be a whole is not opened: it can be removed when no descriptor is free, and what is no
 * segment may have effects when it is opened (a FIFO blocks).
 */
function idOf(name: string): string | null | undefined {
  const { os } = platform();
  if (os !== "linux") return null; // elsewhere segments cannot be read from, and none has parts
  const status = statx(pathOf(name));
  if (status === null || !status.regular || status.byteLength !== PARTS_BYTES) return null;
  try {
    const id = readId(name);
    return id === null ? null : idText(id);
  } catch (error) {
    if (hasCode(error, "EACCES")) return undefined;
    throw error;
  }
}

/** Opens a segment that may have parts; `null` if it is gone. */
function openToLook(name: string): number | null {
  const { O_RDONLY, O_NONBLOCK } = platform().flags;
  try {
    return shmOpen(name, O_RDONLY | O_NONBLOCK, 0);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
}

/** Reads the id of a whole; `null` if the segment is none, or is gone. */
function readId(name: string): bigint | null {
  const fd = openToLook(name);
  if (fd === null) return null;
  try {
    const bytes = new Uint8Array(PARTS_ID + 8);
    if (read(fd, bytes, name) < bytes.length) return null;
    if (new TextDecoder().decode(bytes.subarray(0, 8)) !== PARTS_MAGIC) return null;
    const id = new DataView(bytes.buffer).getBigUint64(PARTS_ID, true);
    return id === 0n ? null : id;
  } finally {
    close(fd);
  }
}

function randomId(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0];
}
