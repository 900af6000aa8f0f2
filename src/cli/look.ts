/**
 * What stands in a segment now, of whatever kind it is. It is looked at copy-on-write: that needs the permission
 * to read only, and no byte of the segment is ever written, so that no writer, reader or holder notices.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { identityText } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { SharedMemory } from "../../mod.ts";
import { listText, quoteName } from "../check.ts";
import { bytesPerElement, type DType, parseDType, typedArrayOf } from "../dtype.ts";
import { errors, invalidData, notFound } from "../errors.ts";
import { contiguousLayout, extent, Layout, NDArray, type SliceItem } from "../ndarray/mod.ts";
import { locksOf, processesThatMap } from "../process/proc.ts";
import { type Header, HEADER_BYTES, type HeaderWords } from "../publish/header_words.ts";
import { FrameWords, ringHeader, RingWords, slotOf, slotStart } from "../publish/ring_words.ts";
import { VersionsWords } from "../publish/versions_words.ts";
import {
  type DescribedLayout,
  type Description,
  openMemory,
  partName,
  type SegmentLook,
  segmentOf,
} from "../segment/mod.ts";
import { timestampNow } from "../sync/event_count.ts";
import {
  HELD,
  indexOf,
  LOCK_BYTES,
  READER_ANNOUNCED,
  WAITING,
  wordsOf,
} from "../sync/lock_words.ts";
import { invalidWord, kindOfSegment, type SegmentKind } from "../words.ts";
import type { Told } from "./selection.ts";
import { type User, Who } from "./who.ts";

/** A segment that is looked at. */
export interface Subject {
  readonly name: string;
  /** Which segment it is: device and inode as `major:minor:inode`. */
  readonly identity: string;
  readonly kind: SegmentKind | "array";
  /** What stands beside the segment, if it is of the same kind: a hint by whoever may write there. */
  readonly description: Description | null;
  readonly memory: SharedMemory;
}

/**
 * Calls a function with a segment, mapped so that nothing can be written to it.
 *
 * @param action what the user wants, for messages: "show"
 * @param name the segment's name
 * @param use what to do with it
 * @returns what the function returns
 * @throws {Deno.errors.NotFound} if there is no such segment
 * @throws {Deno.errors.PermissionDenied} if this user may not read it
 */
export function withSegment<R>(action: string, name: string, use: (subject: Subject) => R): R {
  const { memory, found } = openToRead(action, name);
  try {
    const kind = kindOfSegment(memory.buf!) ?? "array";
    const description = found?.kind === kind ? found : null;
    return use({ name, identity: identityOf(memory.buf!), kind, description, memory });
  } finally {
    memory.close();
  }
}

function openToRead(
  action: string,
  name: string,
): { memory: SharedMemory; found: Description | null } {
  let found: Description | null = null;
  try {
    const look = (...[beside]: Parameters<SegmentLook>): true => {
      found = beside.value;
      return true;
    };
    const memory = openMemory(name, { access: "copy-on-write" }, look);
    return { memory, found };
  } catch (error) {
    if (error instanceof errors.NotFound) {
      throw notFound(`Cannot ${action} ${quoteName(name)}: there is no such segment`, error);
    }
    throw error;
  }
}

/** Whether there is a segment of a name, as far as can be told. */
export function segmentExists(name: string): boolean {
  try {
    SharedMemory.open(name, { access: "copy-on-write" }).close();
    return true;
  } catch (error) {
    return !(error instanceof errors.NotFound || hasCode(error, "ENAMETOOLONG"));
  }
}

/** Which segment a buffer maps, as `/proc` writes it. */
function identityOf(buffer: ArrayBuffer): string {
  const [device, inode] = segmentOf(buffer)!.split(":").map(Number);
  return identityText(device, inode);
}

// --- Who takes part --------------------------------------------------------------------------

/** The processes that map a segment, but for this one; `null` where it cannot be told. */
export function usersOf({ identity }: Subject): User[] | null {
  if (platform().directory === null) return null;
  const pids = processesThatMap(new Set([identity])).get(identity) ?? [];
  return pids.filter((pid) => pid !== runtime().pid).map(processOf);
}

/** The process that holds a segment's lock alone, as the writer of a stream does. */
function holderOf({ identity }: Subject): User | null {
  const lock = locksOf(identity)?.find(({ isShared, isWaiting }) => !isShared && !isWaiting);
  return lock === undefined ? null : processOf(lock.pid);
}

/** Looks at a process now: between two lines of `watch` its number may have become another's. */
export function processOf(pid: number): User {
  return new Who().user(pid);
}

// --- Arrays ----------------------------------------------------------------------------------

/** An array that was taken out of a segment. */
export interface Taken {
  readonly dtype: DType;
  /** The shape of the whole array. */
  readonly shape: readonly number[];
  /** The elements that were asked for. */
  readonly view: NDArray;
}

/** Takes a part of a plain array, without a copy. */
export function takeArray(
  action: string,
  subject: Subject,
  told: Told,
  selection: readonly SliceItem[] | null,
): Taken {
  const { name, memory } = subject;
  const place = placeOf(subject, told, memory.size);
  if (place === null) {
    throw new RangeError(
      `Cannot ${action} ${quoteName(name)}: nothing describes its ${memory.size} bytes; ` +
        "say what they are: --dtype float32 --shape 480,640",
    );
  }
  const view = viewOf(action, name, memory.buf!, place);
  return { dtype: place.dtype, shape: place.shape, view: select(view, selection) };
}

/** Where an array lies in a segment. */
interface Place {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where its bytes may be, and how many there are. */
  readonly from: number;
  readonly byteLength: number;
  /** Where its elements lie there; `null` for C order. */
  readonly layout: DescribedLayout | null;
}

/**
 * Finds out where the array of a segment lies, by what the user says, and where the user says nothing, by what the
 * segment says of itself. An element type of the same size leaves the rest as it is.
 *
 * @returns the place; `null` where nobody says of which type the elements are
 */
function placeOf({ description }: Subject, told: Told, byteLength: number): Place | null {
  const described = description?.dtype ?? null;
  const dtype = told.dtype ?? described;
  if (dtype === null) return null;
  const bytes = bytesPerElement(dtype);
  const isSame = told.shape === undefined && description !== null && described !== null &&
    bytesPerElement(described) === bytes;
  const shape = told.shape ?? (isSame ? description.shape : null) ??
    [Math.floor(byteLength / bytes)];
  return { dtype, shape, from: 0, byteLength, layout: isSame ? description.layout : null };
}

function viewOf(
  action: string,
  name: string,
  buffer: ArrayBuffer,
  { dtype, shape, from, byteLength, layout }: Place,
): NDArray {
  const bytes = bytesPerElement(dtype);
  const { size, stride } = contiguousLayout(shape);
  const placed = layout === null
    ? new Layout(shape, stride, 0, size)
    : new Layout(shape, layout.stride, layout.byteOffset / bytes, size);
  const { lowest, highest } = extent(placed);
  // Whoever writes a description, or types a shape, may write anything.
  if (lowest < 0 || !Number.isInteger(lowest) || !((highest + 1) * bytes <= byteLength)) {
    throw new RangeError(
      `Cannot ${action} ${quoteName(name)}: ${dtype} of shape ${listText(shape)} needs ` +
        `${(highest + 1) * bytes} bytes, and there are ${byteLength}`,
    );
  }
  const data = new (typedArrayOf(dtype))(buffer, from, Math.floor(byteLength / bytes));
  return new NDArray(data, { ...placed, dtype } as { shape: readonly number[] }) as NDArray;
}

function select(view: NDArray, selection: readonly SliceItem[] | null): NDArray {
  return selection === null ? view : view.slice(...selection) as NDArray;
}

/** Copies a view to the heap. */
function copyOf(view: NDArray): NDArray {
  const { shape, dtype } = view;
  return new NDArray(view.copy(), { shape, dtype } as { shape: readonly number[] }) as NDArray;
}

// --- Streams ---------------------------------------------------------------------------------

/** The state of a ring or of a publication of versions. */
export interface Stream {
  readonly kind: "ring" | "versions";
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** How many frames a ring holds; `null` of versions. */
  readonly slots: number | null;
  /** The number of the newest frame or version; 0 before the first. */
  readonly newest: number;
  /** How old that one is, in milliseconds; `null` where it cannot be told. */
  readonly age: number | null;
  /** Whether the writer has said that no more comes. */
  readonly isEnded: boolean;
  readonly writer: User | null;
  /** Tells one stream from another that got its name. */
  readonly id: bigint;
}

/** Reads the state of a stream. */
export function readStream(action: string, subject: Subject, told: Told = {}): Stream {
  const { name, kind, memory } = subject;
  if (kind !== "ring" && kind !== "versions") throw new TypeError(`${kind} is no stream`);
  const words = wordsOfStream(subject);
  const { isEnded } = words; // read before the number, as readers do
  const { id } = words;
  const { arrayBytes, slots, slotStep, metaBytes, dtype: typeString } = words.arrays;
  if (kind === "ring") {
    if (slots < 2) throw invalidWord(name, `its word SLOTS is ${slots}`);
    if (slotStep !== ringHeader(words.arrays, slots, metaBytes).slotStep) {
      throw invalidWord(name, `its word SLOT_STEP is ${slotStep}`);
    }
    if (HEADER_BYTES + slots * slotStep > memory.size) {
      throw invalidWord(name, `it has ${memory.size} bytes, which is less than its slots need`);
    }
  }
  const dtype = told.dtype ?? knownDType(name, typeString);
  const shape = told.shape ?? shapeOfStream(subject, dtype, arrayBytes);
  const needed = contiguousLayout(shape).size * bytesPerElement(dtype);
  if (needed > arrayBytes) {
    throw new RangeError(
      `Cannot ${action} ${quoteName(name)}: ${dtype} of shape ${listText(shape)} needs ` +
        `${needed} bytes, and its arrays have ${arrayBytes}`,
    );
  }
  return {
    kind,
    dtype,
    shape,
    slots: kind === "ring" ? slots : null,
    ...lookAtNewest(subject, words),
    isEnded,
    writer: holderOf(subject),
    id,
  };
}

/** The shape that a stream's description says; one axis where that is not of this many bytes. */
function shapeOfStream(
  { description }: Subject,
  dtype: DType,
  arrayBytes: number,
): readonly number[] {
  const bytes = bytesPerElement(dtype);
  const shape = description?.shape ?? null;
  const fits = shape !== null && contiguousLayout(shape).size * bytes === arrayBytes;
  return fits ? shape : [Math.floor(arrayBytes / bytes)];
}

function wordsOfStream({ name, kind, memory }: Subject): HeaderWords {
  if (memory.size < HEADER_BYTES) {
    throw invalidWord(name, `it has ${memory.size} bytes, which is less than a header`);
  }
  return new (kind === "ring" ? RingWords : VersionsWords)(name, memory.buf!);
}

function knownDType(name: string, typeString: string): DType {
  try {
    return parseDType(typeString as DType);
  } catch {
    throw invalidWord(name, "its word DTYPE is no element type");
  }
}

/** Reads the number of the newest array, and how old that is: both are of one array. */
function lookAtNewest(
  subject: Subject,
  words: HeaderWords,
): { newest: number; age: number | null } {
  for (let tries = 0;; tries++) {
    const { newest } = words;
    if (newest === 0) return { newest, age: null };
    const time = timeOf(subject, words, newest);
    if (time !== null) return { newest, age: ageSince(time) };
    // It was overwritten meanwhile, or the segment is damaged.
    if (words.isNewest(newest) || tries === MOST_OVERWRITTEN) return { newest, age: null };
  }
}

/** When an array was published, in milliseconds of the Unix epoch; `null` if that was overwritten, or never there. */
function timeOf({ name, memory }: Subject, words: HeaderWords, number: number): number | null {
  if (words instanceof VersionsWords) return words.timeOf(number);
  const header: Header = { kind: "ring", ...words.arrays };
  const { slots } = header;
  const beside = new FrameWords(name, memory.buf!, slotOf(number, slots), header);
  const stamp = beside.read();
  return (words as RingWords).isWhole(number, slots) ? beside.check(stamp).timestamp : null;
}

/** How old something is, in whole milliseconds. */
function ageSince(time: number): number {
  return Math.max(0, Math.round(timestampNow() - time));
}

/** The newest array of a stream. */
export interface Newest extends Taken {
  readonly number: number;
  /** How old it is, in milliseconds; `null` where it cannot be told. */
  readonly age: number | null;
  /** How many frames or versions came and were gone while this one was being taken. */
  readonly skipped: number;
}

/** How many frames may be overwritten while they are copied, one after another. */
const MOST_OVERWRITTEN = 1000;

/**
 * Copies a part of the newest array of a stream, whole: it is of one frame or version.
 *
 * @returns the array; `null` if there is none yet
 */
export function takeNewest(
  action: string,
  subject: Subject,
  stream: Stream,
  selection: readonly SliceItem[] | null,
): Newest | null {
  const words = wordsOfStream(subject);
  let skipped = 0;
  for (let tries = 0, last = 0; tries < MOST_OVERWRITTEN; tries++) {
    const { newest } = words;
    if (newest === 0) return null;
    if (last !== 0) skipped += newest - last;
    last = newest;
    const time = timeOf(subject, words, newest);
    const view = stream.kind === "ring"
      ? takeFrame(action, subject, words as RingWords, stream, newest, selection)
      : takeVersion(action, subject, words, stream, newest, selection);
    if (view === null) continue;
    const { dtype, shape } = stream;
    return {
      number: newest,
      age: time === null ? null : ageSince(time),
      skipped,
      dtype,
      shape,
      view,
    };
  }
  throw invalidData(
    `Cannot ${action} ${quoteName(subject.name)}: each frame is overwritten before it is copied; ` +
      "take a part of it, or give the ring more slots",
  );
}

/** Copies a frame; `null` if it was overwritten meanwhile. */
function takeFrame(
  action: string,
  { name, memory }: Subject,
  words: RingWords,
  { dtype, shape, slots }: Stream,
  number: number,
  selection: readonly SliceItem[] | null,
): NDArray | null {
  const { arrays } = words;
  const from = slotStart(slotOf(number, slots!), { kind: "ring", ...arrays });
  const place = { dtype, shape, from, byteLength: arrays.arrayBytes, layout: null };
  const copy = copyOf(select(viewOf(action, name, memory.buf!, place), selection));
  return words.isWhole(number, slots!) ? copy : null;
}

/** Copies a version; `null` if there is a newer one. */
function takeVersion(
  action: string,
  { name }: Subject,
  words: HeaderWords,
  { dtype, shape, id }: Stream,
  number: number,
  selection: readonly SliceItem[] | null,
): NDArray | null {
  let part: SharedMemory;
  try {
    part = SharedMemory.open(partName(name, id, number), { access: "copy-on-write" });
  } catch (error) {
    if (error instanceof errors.NotFound && !words.isNewest(number)) return null;
    throw error;
  }
  try {
    const place = { dtype, shape, from: 0, byteLength: part.size, layout: null };
    return copyOf(select(viewOf(action, name, part.buf!, place), selection));
  } finally {
    part.close();
  }
}

// --- Locks -----------------------------------------------------------------------------------

/** The state of a lock. */
export interface LockState {
  /** Who holds it; several may hold it shared. `null` where the kernel does not tell. */
  readonly holders: User[] | null;
  readonly isShared: boolean;
  /** Those that wait in the kernel, as the shell's `flock` does. */
  readonly waiters: User[];
  /** Whether a user of this package has announced that it waits. It may have given up meanwhile. */
  readonly someoneWaits: boolean;
  /** Whether somebody holds it alone, or the last one that did ended without giving it back. */
  readonly isMarked: boolean;
}

/** Reads the state of a lock. */
export function readLock({ name, identity, memory }: Subject): LockState {
  if (memory.size !== LOCK_BYTES) throw invalidWord(name, `it has ${memory.size} bytes`);
  const locks = locksOf(identity);
  const words = wordsOf(memory.buf!);
  const held = locks?.filter(({ isWaiting }) => !isWaiting) ?? [];
  return {
    // One process may hold it shared several times.
    holders: locks === null ? null : [...new Set(held.map(({ pid }) => pid))].map(processOf),
    isShared: held.some(({ isShared }) => isShared),
    waiters: locks?.filter(({ isWaiting }) => isWaiting).map(({ pid }) => processOf(pid)) ?? [],
    someoneWaits: (Atomics.load(words, indexOf(WAITING)) & READER_ANNOUNCED) !== 0,
    isMarked: Atomics.load(words, indexOf(HELD)) !== 0,
  };
}
