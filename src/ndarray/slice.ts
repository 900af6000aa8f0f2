/**
 * Which elements of an array a selection takes: NumPy's basic indexing as plain data, and the pure
 * functions that resolve it against a shape.
 *
 * @module
 */

import { checkInteger, kindOf, quote, shorten } from "../check.ts";
import { fromCaller } from "../errors.ts";

/** A range of indices along one axis, as Python's `slice`: `null` means "not given". */
export interface Slice {
  /** The first index; negative ones count from the end; `null` is the end at which `step` begins. */
  readonly start: number | null;
  /** The index before which to stop; `null` runs through to the end. */
  readonly stop: number | null;
  /** The distance from one index to the next, not 0; `null` is 1. */
  readonly step: number | null;
}

/**
 * What a selection says about one axis:
 *
 * - an integer takes one index and drops the axis;
 * - a {@linkcode Slice}, or its text as Python writes it (`"0:10"`, `"::-1"`), takes a range;
 * - `null` and `":"` take the whole axis;
 * - `"..."`, once at most, takes every axis that the other items leave;
 * - `"newaxis"` stands for no axis, but adds one of length 1 at its place.
 *
 * An integer may be written as text, too: `"3"` is `3`.
 */
export type SliceItem = number | string | null | Partial<Slice>;

/**
 * Makes a range of indices along one axis. All three parts are optional, and `null` or `undefined`
 * mean "not given". Note that one argument is the start: Python's `slice(5)` is `slice(null, 5)`
 * here.
 *
 * @param start the first index
 * @param stop the index before which to stop
 * @param step the distance from one index to the next
 * @returns a plain object, which `postMessage` and JSON carry as it is
 * @throws {TypeError} if a part is not a number
 * @throws {RangeError} if a part is not a safe integer, or `step` is 0
 *
 * @example Rows 0 to 9, columns in reverse
 * ```ts
 * import { NDArray, slice } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * const view = new NDArray(Int32Array.from({ length: 60 }, (_, i) => i), { shape: [20, 3] });
 * const part = view.slice(slice(0, 10), slice(null, null, -1));
 * assertEquals(part.shape, [10, 3]);
 * assertEquals(part.get(0, 0), 2);
 * ```
 *
 * @see {@link https://docs.python.org/3/library/functions.html#slice | Python: slice}
 */
export function slice(
  start?: number | null,
  stop?: number | null,
  step?: number | null,
): Slice {
  const first = start ?? null;
  const end = stop ?? null;
  const distance = step ?? null;
  if (!isPart(first) || !isPart(end) || !isPart(distance) || distance === 0) {
    throw fromCaller(refusal(first, end, distance), slice);
  }
  // Never -0, which JSON does not keep.
  return { start: first === 0 ? 0 : first, stop: end === 0 ? 0 : end, step: distance };
}

/**
 * Resolves an index along one axis: negative ones count from the end.
 *
 * @param index the index, any integer
 * @param length the length of the axis, in elements
 * @param axis which axis it is, for the message
 * @returns the index from the start
 * @throws {RangeError} if the index is out of bounds
 */
export function resolveIndex(index: number, length: number, axis: number): number {
  const fromStart = index < 0 ? index + length : index;
  if (fromStart < 0 || fromStart >= length) {
    throw new RangeError(
      `Cannot reach index ${index}: it is out of bounds for axis ${axis} of length ${length}`,
    );
  }
  return fromStart;
}

/** A range that is clamped to an axis. */
export interface Range {
  /** The first index. */
  start: number;
  /** The distance from one index to the next. */
  step: number;
  /** How many indices there are. */
  length: number;
}

/**
 * Clamps a range to an axis, exactly as Python's `slice.indices(length)` does.
 *
 * @param range the range
 * @param length the length of the axis, in elements
 * @returns the first index, the step, and how many indices there are; of no index, 0 and 1
 *
 * @see {@link https://docs.python.org/3/reference/datamodel.html#slice.indices | Python: slice.indices}
 */
export function resolveRange({ start, stop, step }: Slice, length: number): Range {
  return clampParts(start, stop, step, length, { start: 0, step: 1, length: 0 });
}

/**
 * The rules. The parts are arguments, and the result is written into an object that the caller keeps, so that a range
 * in a loop needs no object.
 */
function clampParts(
  start: number | null,
  stop: number | null,
  givenStep: number | null,
  length: number,
  result: Range,
): Range {
  const step = givenStep ?? 1;
  const lowest = step < 0 ? -1 : 0;
  const first = start === null ? (step < 0 ? length - 1 : 0) : clamp(start, length, lowest);
  const end = stop === null ? (step < 0 ? -1 : length) : clamp(stop, length, lowest);
  const count = step === 1 ? end - first : Math.ceil((end - first) / step);
  // An empty range may begin one past the end: nothing is ever read there, but the position of a view must
  // not leave the array. As in NumPy, its stride is that of a step of 1.
  const isEmpty = !(count > 0);
  result.start = isEmpty ? 0 : first;
  result.step = isEmpty ? 1 : step;
  result.length = isEmpty ? 0 : count;
  return result;
}

/** A bound of a range as a position: between one before the first and one behind the last index. */
function clamp(bound: number, length: number, lowest: number): number {
  return bound < 0 ? Math.max(bound + length, lowest) : Math.min(bound, length + lowest);
}

/**
 * Clamps the ranges that programs slice with in loops: whole axes, texts that were read before, and objects
 * as {@linkcode slice} makes them.
 *
 * @param item what a caller gave
 * @param length the length of the axis, in elements
 * @param result is given the range
 * @returns `result`; `null` for everything else, right or wrong: {@linkcode parseItem} knows
 */
export function rangeOf(item: unknown, length: number, result: Range): Range | null {
  if (typeof item === "string") {
    const read = item === lastText
      ? lastRead
      : item === lessRecentText
      ? lessRecentRead
      : recall(item);
    if (typeof read !== "object") return null;
    return clampParts(read.start, read.stop, read.step, length, result);
  }
  if (typeof item !== "object") return null;
  if (item === null) return clampParts(null, null, null, length, result);
  // Of an array, or another object that may have very many keys, not even one is asked for.
  const start = (item as Partial<Slice>).start;
  if (start === undefined || !hasAllParts(item)) return null;
  const stop = item.stop ?? null;
  const step = item.step ?? null;
  if (step === null && isInt32(start) && isInt32(stop)) {
    // What most ranges are: the same rules in a third of the time.
    const first = start < 0 ? Math.max(start + length, 0) : start;
    const end = stop < 0 ? stop + length : Math.min(stop, length);
    const isEmpty = end <= first;
    result.start = isEmpty ? 0 : first;
    result.step = 1;
    result.length = isEmpty ? 0 : end - first;
    return result;
  }
  if (start === null && stop === null && isInt32(step) && step !== 0) {
    // Every so many indices of a whole axis, the same rules again.
    const isEmpty = length === 0;
    result.start = step < 0 && !isEmpty ? length - 1 : 0;
    result.step = isEmpty ? 1 : step;
    result.length = step === -1 ? length : Math.ceil(length / Math.abs(step));
    return result;
  }
  if (!isPart(start) || !isPart(stop) || !isPart(step) || step === 0) return null;
  return clampParts(start, stop, step, length, result);
}

function isInt32(value: unknown): value is number {
  return typeof value === "number" && value === (value | 0);
}

const { hasOwnProperty } = Object.prototype;

/**
 * Whether an object has all parts itself, in the order in which {@linkcode slice} gives them, and nothing
 * else. This is what programs slice with in loops.
 */
function hasAllParts(item: object): item is Partial<Slice> {
  // A list of the keys would be made anew for each range. V8 asks no object that it goes through for its own keys.
  let count = 0;
  for (const key in item) {
    const isNext = count === 0 ? key === "start" : count === 1 ? key === "stop" : key === "step";
    if (!isNext || !hasOwnProperty.call(item, key)) return false;
    count++;
  }
  return count === 3;
}

/**
 * Checks that a value is a list of {@linkcode SliceItem}s and copies it, frozen: what an array
 * keeps as its `arraySlice`. Texts stay texts; omitted parts of a range become `null`.
 *
 * @param items the list
 * @returns a deeply frozen copy
 * @throws {TypeError} if the value is no array, or an item is of the wrong kind
 * @throws {RangeError} if an item's value is wrong
 */
export function freezeSelection(items: readonly SliceItem[]): readonly SliceItem[] {
  if (!Array.isArray(items)) {
    throw new TypeError(
      `Cannot use this arraySlice: it must be an array with one item per axis, ` +
        `such as [slice(0, 10), ":"]`,
    );
  }
  const copy: SliceItem[] = [];
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    const parsed = parseItem(item);
    if (item === null || typeof item !== "object") {
      copy.push(item === 0 ? 0 : item); // never -0
    } else {
      const { start, stop, step } = parsed as Slice;
      copy.push(Object.freeze(slice(start, stop, step)));
    }
  }
  return Object.freeze(copy);
}

/** The item that takes every axis that the others leave. */
export const ELLIPSIS = "...";

/** The item that adds an axis of length 1: NumPy's `newaxis`. */
export const NEW_AXIS = "newaxis";

/** An item of a selection in its parsed form. */
export type ParsedItem = number | Slice | typeof ELLIPSIS | typeof NEW_AXIS;

/**
 * Turns one item of a selection into an index, a range whose parts are all there, the ellipsis, or the
 * item that adds an axis.
 *
 * @param item what a caller gave
 * @returns the item in its parsed form
 * @throws {TypeError} if it is of no kind that {@linkcode SliceItem} lists
 * @throws {RangeError} if a number is no safe integer, a step is 0, or a text is none of Python's
 */
export function parseItem(item: unknown): ParsedItem {
  if (typeof item === "number") {
    checkInteger(item, "slice", "an index");
    return item;
  }
  if (item === null) return whole;
  if (typeof item === "string") return parseText(item);
  if (typeof item === "object" && !Array.isArray(item) && !ArrayBuffer.isView(item)) {
    return parseObject(item as Partial<Slice>);
  }
  return refuseItem(item);
}

function refuseItem(item: unknown): never {
  const kind = typeof item === "object" || item === undefined
    ? kindOf(ArrayBuffer.isView(item) ? [] : item)
    : `${kindOf(item)} ${shorten(String(item))}`;
  throw new TypeError(
    `Cannot slice: ${kind} is no index; use an integer, slice(start, stop, step), "0:10", null ` +
      'for a whole axis, or "..."',
  );
}

const whole: Slice = Object.freeze({ start: null, stop: null, step: null });

/** Texts that have been read: programs write few of them, and slice with them in loops. */
const readTexts = new Map<string, number | Slice>();
const MOST_TEXTS = 256;

/** The last two texts that were asked for, and what was read: the ranges of rows and of columns. */
let lastText = "";
let lastRead: number | Slice | undefined;
let lessRecentText = "";
let lessRecentRead: number | Slice | undefined;

/** Gives what was read from a text; `undefined` if it was not read yet. */
function recall(text: string): number | Slice | undefined {
  const read = readTexts.get(text);
  if (read === undefined) return undefined;
  [lessRecentText, lessRecentRead] = [lastText, lastRead];
  [lastText, lastRead] = [text, read];
  return read;
}

/** Reads an item as Python writes it: `"3"`, `"0:10"`, `"::-1"`, `"..."`. */
function parseText(text: string): ParsedItem {
  if (text === ELLIPSIS || text === NEW_AXIS) return text;
  let item = readTexts.get(text);
  if (item === undefined) {
    item = readText(text);
    if (readTexts.size === MOST_TEXTS) readTexts.clear();
    readTexts.set(text, item);
  }
  return item;
}

function readText(text: string): number | Slice {
  const parts = text.split(":").map((part) => part.trim());
  const legal = parts.length <= 3 && parts.every((part) => /^([+-]?\d+)?$/.test(part)) &&
    (parts.length > 1 || parts[0] !== "");
  if (!legal) {
    throw new RangeError(
      `Cannot slice: ${quote(text)} is no index; ` +
        (text.includes(",")
          ? `give one text per axis: slice("1:3", "::-1")`
          : `write "3", "0:10", "::-1" or "..."`),
    );
  }
  const [start, stop = null, step = null] = parts.map((part) => part === "" ? null : Number(part));
  if (parts.length === 1) {
    checkInteger(start, "slice", "an index");
    return start!;
  }
  const range = { start, stop, step };
  checkParts(range.start, range.stop, range.step);
  return range;
}

/** Reads a range given as a plain object, whose parts may be left out. */
function parseObject(item: Partial<Slice>): Slice {
  // Only what is the object's own is a part, not something on Object.prototype.
  const keys = Object.keys(item);
  if (keys.length === 0) {
    throw new TypeError("Cannot slice: an object must be a range with start, stop or step");
  }
  const unknown = keys.find((key) => key !== "start" && key !== "stop" && key !== "step");
  if ("data" in item && "shape" in item) {
    throw new TypeError(
      "Cannot slice: a view is no index; there are no masks and no lists of indices, only integers and ranges",
    );
  }
  if (unknown !== undefined) {
    throw new TypeError(`Cannot slice: a range has start, stop and step, not ${quote(unknown)}`);
  }
  const own: Partial<Slice> = Object.assign(Object.create(null), item);
  const range = { start: own.start ?? null, stop: own.stop ?? null, step: own.step ?? null };
  checkParts(range.start, range.stop, range.step);
  return range;
}

/** The error that {@linkcode checkParts} throws. */
function refusal(start: unknown, stop: unknown, step: unknown): unknown {
  try {
    checkParts(start, stop, step);
  } catch (error) {
    return error;
  }
}

function checkParts(start: unknown, stop: unknown, step: unknown): void {
  checkPart(start, "start");
  checkPart(stop, "stop");
  checkPart(step, "step");
  if (step === 0) throw new RangeError("Cannot slice: step must not be 0");
}

function checkPart(value: unknown, what: string): void {
  if (!isPart(value)) refusePart(value, what);
}

function isPart(value: unknown): boolean {
  return value === null || Number.isSafeInteger(value);
}

function refusePart(value: unknown, what: string): void {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RangeError(
      `Cannot slice: ${what} must be a safe integer, not ${value}; null means an open end`,
    );
  }
  checkInteger(value, "slice", what);
}
