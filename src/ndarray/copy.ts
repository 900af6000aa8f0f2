/**
 * Copies many elements, with conversion.
 *
 * @module
 */

import { isShared } from "../check.ts";
import { type DType, type TypedArrayOf, typedArrayOf } from "../dtype.ts";
import { contiguousLayout } from "./layout.ts";
import {
  advance,
  asWords,
  type Block,
  elementsAt,
  inChunks,
  isRun,
  type Loop,
  planLoop,
  runLoop,
  type ViewParts,
  type Word,
} from "./loop_plan.ts";

/** Below this many elements a loop is faster than the two calls that move a run. */
const SHORT_RUN = 32;

/**
 * Copies elements, with the conversions that typed arrays do; to `bool` their truth, and between numbers
 * and bigints, too. The source's layout has the target's shape; the two must not overlap, unless
 * `isOneRun()`.
 */
export function copyElements(target: ViewParts, source: ViewParts): void {
  const loop = planLoop(target.layout.shape, [target.layout, source.layout], true);
  if (target.dtype !== source.dtype) return convertElements(loop, target, source);
  // bool is not moved as bytes: another process may have stored what is neither 0 nor 1.
  if (target.dtype === "bool") return copyByWords("bool", loop, target, source);
  // A single run may overlap its source: then only a move is right, however short it is.
  const least = loop.shape.length <= 1 && target.data.buffer === source.data.buffer ? 0 : SHORT_RUN;
  const inRuns = (loop.shape.at(-1) ?? 1) >= least &&
    loop.strides.every((stride) => (stride.at(-1) ?? 1) === 1);
  if (inRuns) return moveRuns(loop, target, source);
  const words = asWords(target);
  copyByWords(words.dtype, loop, words, asWords(source));
}

/** Whether copying is one move of a run: then `TypedArray.set` is right for overlaps in one buffer. */
export function isOneRun(target: ViewParts, source: ViewParts): boolean {
  return target.dtype === source.dtype && target.dtype !== "bool" &&
    isRun(planLoop(target.layout.shape, [target.layout, source.layout], true));
}

/** Moves rows of neighbours. */
function moveRuns({ shape, strides, offsets }: Loop, target: ViewParts, source: ViewParts): void {
  const outer = Math.max(0, shape.length - 1);
  const length = shape.at(-1) ?? 1;
  if (length === 0) return;
  if (outer === 0 && isShared(target.data.buffer)) {
    // V8 moves from the first element to the last, also over a source that overlaps, where one of the two typed arrays
    // follows the length of a SharedArrayBuffer that can grow, and the other one does not.
    const fixed = elementsAt(target, offsets[0], length) as Float64Array;
    return fixed.set(elementsAt(source, offsets[1], length) as Float64Array);
  }
  const positions = offsets.slice();
  const index = new Array<number>(outer).fill(0);
  do {
    const run = elementsAt(source, positions[1], length) as Float64Array;
    (target.data as Float64Array).set(run, positions[0]);
  } while (advance(index, positions, shape, strides, outer));
}

function copyByWords(word: Word | "bool", loop: Loop, target: ViewParts, source: ViewParts): void {
  runLoop(loop, [target, source], (block) => copyBlock(word, block));
}

function copyBlock(
  word: Word | "bool",
  { data: [target, source], positions: [to, from], count, steps, innerCount, innerSteps }: Block,
): void {
  const [toStep, fromStep] = steps;
  const [innerToStep, innerFromStep] = innerSteps;
  for (let i = 0; i < count; i++) {
    const p = (to + i * toStep) | 0;
    const q = (from + i * fromStep) | 0;
    const end = (p + innerCount * innerToStep) | 0;
    copyRow(word, target, source, p, q, end, innerToStep, innerFromStep);
  }
}

/** Copies one row: see `fillRow` in `fill.ts` for why it is a function, and has these loops. */
function copyRow(
  word: Word | "bool",
  target: TypedArrayOf,
  source: TypedArrayOf,
  to: number,
  from: number,
  end: number,
  toStep: number,
  fromStep: number,
): void {
  let q = from | 0;
  switch (word) {
    case "uint8": {
      const [there, here] = [target as Uint8Array, source as Uint8Array];
      for (let p = to | 0; p !== end; p = (p + toStep) | 0) {
        there[p] = here[q];
        q = (q + fromStep) | 0;
      }
      return;
    }
    case "uint16": {
      const [there, here] = [target as Uint16Array, source as Uint16Array];
      for (let p = to | 0; p !== end; p = (p + toStep) | 0) {
        there[p] = here[q];
        q = (q + fromStep) | 0;
      }
      return;
    }
    case "int32": {
      const [there, here] = [target as Int32Array, source as Int32Array];
      for (let p = to | 0; p !== end; p = (p + toStep) | 0) {
        there[p] = here[q];
        q = (q + fromStep) | 0;
      }
      return;
    }
    case "int64": {
      const [there, here] = [target as BigInt64Array, source as BigInt64Array];
      for (let p = to | 0; p !== end; p = (p + toStep) | 0) {
        there[p] = here[q];
        q = (q + fromStep) | 0;
      }
      return;
    }
    case "float64": {
      const [there, here] = [target as Float64Array, source as Float64Array];
      for (let p = to | 0; p !== end; p = (p + toStep) | 0) {
        there[p] = here[q];
        q = (q + fromStep) | 0;
      }
      return;
    }
    case "bool": {
      const [there, here] = [target as Uint8Array, source as Uint8Array];
      for (let p = to | 0; p !== end; p = (p + toStep) | 0) {
        there[p] = here[q] ? 1 : 0;
        q = (q + fromStep) | 0;
      }
      return;
    }
  }
}

// --- Conversion ------------------------------------------------------------------------------

// A loop per pair of dtypes would be 156 loops. TypedArray.set() converts between any two that hold numbers,
// but takes neighbours only: so strided elements go through two small typed arrays, which stay in the
// processor's cache. Between numbers and bigints it does not convert, and a loop with BigInt() or Number()
// makes an object per element: so integers of 64 bits are read and written as two halves of 32 bits.

/** How many elements are converted at once. */
const CHUNK = 4096;

/** Typed arrays for a chunk of elements of each dtype, made at first use. */
const scratches: { [D in DType]?: TypedArrayOf } = {};

function scratchOf<D extends DType>(dtype: D): TypedArrayOf<D> {
  return (scratches[dtype] ??= new (typedArrayOf(dtype))(CHUNK)) as TypedArrayOf<D>;
}

/** Copies elements of one dtype to another. */
function convertElements(loop: Loop, target: ViewParts, source: ViewParts): void {
  if (isRun(loop)) return convertRun(loop, target, source);
  if (loop.shape[0] === 0) return;
  const [from, to] = [asWords(source), asWords(target)];
  const read = { dtype: source.dtype, data: scratchOf(source.dtype) };
  const written = { dtype: target.dtype, data: scratchOf(target.dtype) };
  inChunks(
    loop,
    CHUNK,
    ({ shape, strides: [toStrides, fromStrides], offsets: [toOffset, fromOffset] }) => {
      const layout = contiguousLayout(shape);
      const [gathered, converted] = [read, written].map((part) => asWords({ ...part, layout }));
      copyByWords(
        source.dtype === "bool" ? "bool" : from.dtype,
        { shape, strides: [layout.stride, fromStrides], offsets: [0, fromOffset] },
        gathered,
        from,
      );
      convertChunk(read, written, layout.size);
      copyByWords(
        to.dtype,
        { shape, strides: [toStrides, layout.stride], offsets: [toOffset, 0] },
        to,
        converted,
      );
    },
  );
}

/** Converts neighbours where they lie. */
function convertRun(
  { shape, offsets: [to, from] }: Loop,
  target: ViewParts,
  source: ViewParts,
): void {
  const length = shape[0] ?? 1;
  for (let at = 0; at < length; at += CHUNK) {
    const count = Math.min(CHUNK, length - at);
    let data = elementsAt(source, from + at, count);
    if (source.dtype === "bool") {
      // Another process may have stored another number: it is made 0 or 1 first.
      copyRow("bool", scratchOf("bool"), data, 0, 0, count, 1, 1);
      data = scratchOf("bool");
    }
    const part = { dtype: target.dtype, data: elementsAt(target, to + at, count) };
    convertChunk({ dtype: source.dtype, data }, part, count);
  }
}

type Elements = Pick<ViewParts, "dtype" | "data">;

/** Converts elements as typed arrays do it, to `bool` their truth, and numbers to bigints and back. */
function convertChunk(from: Elements, to: Elements, count: number): void {
  if (to.dtype === "bool") return takeTruth(from, to.data as Uint8Array, count);
  const [isBig, becomesBig] = [holdsBigints(from.dtype), holdsBigints(to.dtype)];
  if (isBig && becomesBig) return setFirst(to.data, from.data, count);
  if (becomesBig && isFloat(from.dtype)) {
    return splitNumbers(inFloat64(from, count), halvesOf(to.data), count);
  }
  if (becomesBig) {
    const longs = new BigInt64Array(to.data.buffer, to.data.byteOffset, to.data.length);
    return extendIntegers(inInt32(from, count), longs, from.dtype === "uint32", count);
  }
  if (isCut(to.dtype) && (isBig || isFloat(from.dtype))) {
    // Typed arrays of 32 bits and fewer take the lowest bits of an integer, signed or not.
    const integers = resultOf(to, "int32") as Int32Array;
    if (isBig) takeLower(halvesOf(from.data), integers, count);
    else cutFractions(inFloat64(from, count), integers, count);
    if (integers.buffer !== to.data.buffer) setFirst(to.data, integers, count);
    return;
  }
  if (!isBig) return setFirst(to.data, from.data, count);
  const numbers = resultOf(to, "float64") as Float64Array;
  joinHalves(halvesOf(from.data), from.dtype, to.dtype, numbers, count);
  if (numbers !== to.data) setFirst(to.data, numbers, count);
}

/**
 * The place where a result is first stored as `dtype`: the target itself if its elements are as wide, else a
 * scratch array.
 */
function resultOf(to: Elements, dtype: "int32" | "float64"): Int32Array | Float64Array {
  if (to.dtype === dtype) return to.data as Int32Array | Float64Array;
  if (dtype === "float64" || to.dtype !== "uint32") return scratchOf(dtype);
  return new Int32Array(to.data.buffer, to.data.byteOffset, to.data.length);
}

function takeTruth(from: Elements, truth: Uint8Array, count: number): void {
  if (holdsBigints(from.dtype)) {
    const halves = halvesOf(from.data);
    for (let i = 0; i < count; i++) truth[i] = (halves[2 * i] | halves[2 * i + 1]) === 0 ? 0 : 1;
    return;
  }
  const numbers = inFloat64(from, count);
  for (let i = 0; i < count; i++) truth[i] = numbers[i] === 0 ? 0 : 1; // NaN is true, as in NumPy
}

/** The elements as float64, which holds those of every dtype but the 64-bit integers exactly. */
function inFloat64(from: Elements, count: number): Float64Array {
  if (from.dtype === "float64") return from.data as Float64Array;
  const numbers = scratchOf("float64");
  setFirst(numbers, from.data, count);
  return numbers;
}

/** The elements of a dtype of integers as int32, which holds the bits of all but those of 64 bits. */
function inInt32(from: Elements, count: number): Int32Array {
  if (from.dtype === "int32") return from.data as Int32Array;
  const integers = scratchOf("int32");
  setFirst(integers, from.data, count);
  return integers;
}

/** 64-bit integers as pairs of a lower and an upper half: all systems that Deno runs on have this order. */
function halvesOf(data: TypedArrayOf): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, 2 * data.length);
}

/** Makes 64-bit integers of shorter ones. Of an integer of 32 bits, V8 makes no object for BigInt(). */
function extendIntegers(
  integers: Int32Array,
  longs: BigInt64Array,
  isUnsigned: boolean,
  count: number,
): void {
  if (isUnsigned) { for (let i = 0; i < count; i++) longs[i] = BigInt(integers[i] >>> 0); }
  else for (let i = 0; i < count; i++) longs[i] = BigInt(integers[i]);
}

function cutFractions(numbers: Float64Array, integers: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) integers[i] = numbers[i];
}

const HALF = 2 ** 32;

/**
 * Cuts fractions off, and wraps what is too large: both halves are stored modulo 2^32, as typed arrays
 * do it. NaN and infinities become 0, as in other integers.
 */
function splitNumbers(numbers: Float64Array, halves: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const number = Math.trunc(numbers[i]);
    halves[2 * i] = number;
    halves[2 * i + 1] = Math.floor(number / HALF);
  }
}

function takeLower(halves: Int32Array, numbers: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) numbers[i] = halves[2 * i];
}

/** Makes numbers of 64-bit integers, for a dtype that these are then stored in. */
function joinHalves(
  halves: Int32Array,
  from: DType,
  to: DType,
  numbers: Float64Array,
  count: number,
): void {
  const isUnsigned = from === "uint64";
  // Rounded to float64 and then to float32, a number that is near the middle of two would go to the wrong
  // one. So beyond 2^53 the bits that float64 would round are cut off, and bit 11, far below all that
  // float32 keeps, says that there were some: this rounds once.
  const roundsTwice = to === "float32";
  for (let i = 0; i < count; i++) {
    let lower = halves[2 * i];
    const upper = isUnsigned ? halves[2 * i + 1] >>> 0 : halves[2 * i + 1];
    if (roundsTwice && (upper >= EXACT || upper < -EXACT) && (lower & 0x7ff) !== 0) {
      lower = (lower & ~0x7ff) | 0x800;
    }
    numbers[i] = upper * HALF + (lower >>> 0);
  }
}

/** With an upper half below this, float64 holds a 64-bit integer exactly. */
const EXACT = 2 ** 21;

function isFloat(dtype: DType): boolean {
  return dtype === "float64" || dtype === "float32" || dtype === "float16";
}

/** Whether a dtype's typed array cuts integers to so many bits; uint8c clamps them. */
function isCut(dtype: DType): boolean {
  return !isFloat(dtype) && !holdsBigints(dtype) && dtype !== "bool" && dtype !== "uint8c";
}

function holdsBigints(dtype: DType): boolean {
  return dtype === "int64" || dtype === "uint64";
}

function setFirst(target: TypedArrayOf, source: TypedArrayOf, count: number): void {
  const first = count === source.length ? source : source.subarray(0, count);
  (target as Float64Array).set(first as Float64Array);
}
