/**
 * Copies many elements, with conversion.
 *
 * @module
 */

import { type DType, type TypedArrayOf, typedArrayOf } from "../dtype.ts";
import { contiguousLayout } from "./layout.ts";
import {
  advance,
  asWords,
  type Block,
  type Cells,
  elementsAt,
  inChunks,
  isRun,
  type Loop,
  planLoop,
  runLoop,
  type Word,
} from "./loop_plan.ts";

/** Below this many elements a loop beats the two calls that move a run. */
const SHORT_RUN = 32;

/**
 * Copies elements, with the conversions that typed arrays do (to `bool`: the truth). The source's
 * layout has the target's shape; the two must not overlap, unless `isOneRun()`.
 */
export function copyElements(target: Cells, source: Cells): void {
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
export function isOneRun(target: Cells, source: Cells): boolean {
  return target.dtype === source.dtype && target.dtype !== "bool" &&
    isRun(planLoop(target.layout.shape, [target.layout, source.layout], true));
}

/** Moves rows of neighbours. */
function moveRuns({ shape, strides, offsets }: Loop, target: Cells, source: Cells): void {
  const outer = Math.max(0, shape.length - 1);
  const length = shape.at(-1) ?? 1;
  if (length === 0) return;
  const positions = offsets.slice();
  const index = new Array<number>(outer).fill(0);
  do {
    const run = elementsAt(source, positions[1], length) as Float64Array;
    (target.data as Float64Array).set(run, positions[0]);
  } while (advance(index, positions, shape, strides, outer));
}

function copyByWords(word: Word | "bool", loop: Loop, target: Cells, source: Cells): void {
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

// A loop per pair of dtypes would be 156 loops. TypedArray.set() converts between any two, but takes
// neighbours only: so strided elements go through two small typed arrays, which stay in the
// processor's cache.

/** How many elements are converted at once. */
const CHUNK = 1024;

/** Room for a chunk of elements of each dtype, made at first use. */
const scratches: { [D in DType]?: TypedArrayOf } = {};

function scratchOf(dtype: DType): TypedArrayOf {
  return scratches[dtype] ??= new (typedArrayOf(dtype))(CHUNK);
}

/** Copies elements of one dtype to another. */
function convertElements(loop: Loop, target: Cells, source: Cells): void {
  const hasBool = target.dtype === "bool" || source.dtype === "bool";
  if (isRun(loop) && !hasBool) return moveRuns(loop, target, source);
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

type Scratch = Pick<Cells, "dtype" | "data">;

/** Converts elements as typed arrays do it, and to `bool` their truth. */
function convertChunk(from: Scratch, to: Scratch, count: number): void {
  if (to.dtype !== "bool") return setFirst(to.data, from.data, count);
  const truth = to.data as Uint8Array;
  if (from.dtype === "int64" || from.dtype === "uint64") {
    const elements = from.data as BigInt64Array;
    for (let i = 0; i < count; i++) truth[i] = elements[i] ? 1 : 0;
    return;
  }
  const numbers = scratchOf("float64") as Float64Array;
  if (from.data !== numbers) setFirst(numbers, from.data, count);
  for (let i = 0; i < count; i++) truth[i] = numbers[i] ? 1 : 0;
}

function setFirst(target: TypedArrayOf, source: TypedArrayOf, count: number): void {
  const first = count === CHUNK ? source : source.subarray(0, count);
  (target as Float64Array).set(first as Float64Array);
}
