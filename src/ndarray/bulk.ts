/**
 * Loops over many elements at once: fill, copy with conversion, iteration.
 *
 * V8 keeps one feedback record per place in the source text. A loop that has met more than four
 * kinds of typed array goes through a generic element access from then on, ten times as slow, and
 * a factory does not help, because closures of one function literal share their feedback. So the
 * inner loops are made as text, one per dtype (or pair of dtypes), at first use: each has a feedback
 * record of its own, and a program that uses all dtypes runs each about as fast as a program that uses
 * one (`bench/dtypes_bench.ts`). Positions beyond 2^31 get texts of their own too, so that they do not
 * slow down the others. What goes into a text are names from the dtype table only.
 *
 * @module
 */

import { type DType, type TypedArrayOf, typedArrayOf } from "../dtype.ts";
import { extent, type Layout } from "./layout.ts";

/** A view's parts: which elements of which typed array. */
export interface Cells<D extends DType = DType> {
  readonly dtype: D;
  readonly data: TypedArrayOf<D>;
  readonly layout: Layout;
}

/** Whether positions leave the range in which V8 computes with 32-bit integers. */
export function isWide(layout: Layout): boolean {
  return extent(layout).highest > MAX_INT32;
}

/** The largest integer of 32 bits. */
export const MAX_INT32 = 0x7fff_ffff;

/** Stores one value, already converted to the dtype's kind, in every element. */
export function fillElements({ dtype, data, layout }: Cells, value: number | bigint): void {
  const loop = planLoop(layout.shape, [layout], true);
  const kernel = fillKernel(dtype, isWide(layout));
  runLoop(loop, (positions, count, steps, innerCount, innerSteps) => {
    if (innerSteps[0] === 1 && count === 1) {
      (data as Float64Array).fill(value as number, positions[0], positions[0] + innerCount);
    } else {
      kernel(data, value, positions[0], count, steps[0], innerCount, innerSteps[0]);
    }
  });
}

/**
 * Copies elements, with the conversions that typed arrays do (to `bool`: the truth). The source's
 * layout has the target's shape; the two must not overlap, unless `isOneRun()`.
 */
export function copyElements(target: Cells, source: Cells): void {
  const loop = planLoop(target.layout.shape, [target.layout, source.layout], true);
  const isSame = target.dtype === source.dtype;
  // bool is not moved as bytes: another process may have stored what is neither 0 nor 1.
  const movable = isSame && target.dtype !== "bool";
  // A single run may overlap its source: then only a move is right, however short it is.
  const least = loop.shape.length <= 1 && target.data.buffer === source.data.buffer ? 0 : SHORT_RUN;
  const inRuns = movable && (loop.shape.at(-1) ?? 1) >= least &&
    loop.strides.every((stride) => (stride.at(-1) ?? 1) === 1);
  if (inRuns) {
    moveRuns(loop, target, source);
  } else if (isSame) {
    copyOneByOne(loop, asIntegers(target), asIntegers(source));
  } else {
    copyOneByOne(loop, target, source);
  }
}

function moveRuns(loop: Loop, target: Cells, source: Cells): void {
  runLoop(loop, ([to, from], count, steps, innerCount) => {
    for (let i = 0; i < count; i++) {
      const run = elementsAt(source, from + i * steps[1], innerCount) as Float64Array;
      (target.data as Float64Array).set(run, to + i * steps[0]);
    }
  });
}

/**
 * Some elements that lie side by side, as a typed array over the same memory. `subarray()` would let a
 * subclass make it, by a constructor that may take other arguments.
 */
export function elementsAt<D extends DType>(
  { dtype, data }: Pick<Cells<D>, "dtype" | "data">,
  position: number,
  count: number,
): TypedArrayOf<D> {
  // None at all may lie anywhere, also beyond the end of the buffer.
  const skipped = count === 0 ? 0 : position * data.BYTES_PER_ELEMENT;
  return new (typedArrayOf(dtype))(data.buffer, data.byteOffset + skipped, count);
}

function copyOneByOne(loop: Loop, target: Cells, source: Cells): void {
  const wide = isWide(target.layout) || isWide(source.layout);
  const kernel = copyKernel(target.dtype, source.dtype, wide);
  runLoop(loop, ([to, from], count, steps, innerCount, innerSteps) => {
    kernel(
      target.data,
      source.data,
      to,
      from,
      count,
      steps[0],
      steps[1],
      innerCount,
      innerSteps[0],
      innerSteps[1],
    );
  });
}

/** What carries floats that JavaScript would widen to float64 on the way, which changes NaNs. */
const carriers: { readonly [D in DType]?: DType } = { float16: "uint16", float32: "uint32" };

/** The same elements as integers where that is needed to copy every bit, as NumPy does. */
function asIntegers(cells: Cells): Cells {
  const carrier = carriers[cells.dtype];
  if (carrier === undefined) return cells;
  const { buffer, byteOffset, length } = cells.data;
  const data = new (typedArrayOf(carrier))(buffer, byteOffset, length);
  return { dtype: carrier, data, layout: cells.layout };
}

/** Below this many elements a loop beats the two calls that move a run. */
const SHORT_RUN = 32;

/** Whether copying is one move of a run: then `TypedArray.set` is right for overlaps in one buffer. */
export function isOneRun(target: Cells, source: Cells): boolean {
  const loop = planLoop(target.layout.shape, [target.layout, source.layout], true);
  return target.dtype === source.dtype && target.dtype !== "bool" &&
    loop.shape.length <= 1 &&
    loop.strides.every((stride) => stride.length === 0 || stride[0] === 1);
}

/** Goes through the elements in C order. */
export function iterateElements<T extends number | bigint>(
  cells: Cells,
  onLost: () => never,
): IteratorObject<T, undefined> {
  // Where a run ends is one step behind its last element; the step of a run of one element is 1.
  const { layout } = cells;
  const wide = extent(layout).highest + Math.max(1, ...layout.stride) > MAX_INT32;
  const Elements = elementsClass(cells.dtype, wide);
  return new Elements(cells, onLost) as unknown as IteratorObject<T, undefined>;
}

// --- Loop planning ---------------------------------------------------------------------------

/** A nest of loops over one or more layouts of the same shape, with as few axes as possible. */
interface Loop {
  readonly shape: readonly number[];
  /** The strides of each layout. */
  readonly strides: readonly (readonly number[])[];
  /** The first position in each layout. */
  readonly offsets: readonly number[];
}

/**
 * Drops axes of length 1 and merges axes that lie behind each other in all layouts. Where the first
 * layout is a target, in which only what is stored in the end matters, its axes are first turned and
 * sorted so that its positions grow, and those along which it stands still are dropped.
 */
function planLoop(shape: readonly number[], layouts: readonly Layout[], isTarget: boolean): Loop {
  let axes = shape.map((length, axis) => ({
    length,
    strides: layouts.map((layout) => layout.stride[axis]),
  })).filter(({ length }) => length !== 1);
  const offsets = layouts.map((layout) => layout.offset);
  if (axes.some(({ length }) => length === 0)) {
    return { shape: [0], strides: layouts.map(() => [0]), offsets };
  }
  if (isTarget) {
    axes = axes.map(({ length, strides }) => {
      if (strides[0] > 0) return { length, strides };
      strides.forEach((stride, k) => offsets[k] += (length - 1) * stride);
      // Of elements that are one in the first layout, the last is the one that stays.
      if (strides[0] === 0) return { length: 1, strides };
      return { length, strides: strides.map((stride) => -stride) };
    }).filter(({ length }) => length !== 1).sort((a, b) => b.strides[0] - a.strides[0]);
  }
  const merged: typeof axes = [];
  for (const axis of axes) {
    const outer = merged.at(-1);
    if (outer?.strides.every((stride, k) => stride === axis.strides[k] * axis.length)) {
      merged[merged.length - 1] = { length: outer.length * axis.length, strides: axis.strides };
    } else {
      merged.push(axis);
    }
  }
  return {
    shape: merged.map(({ length }) => length),
    strides: layouts.map((_, k) => merged.map(({ strides }) => strides[k])),
    offsets,
  };
}

/** Calls `body` for every pair of innermost axes, with the positions where they begin. */
function runLoop(
  { shape, strides, offsets }: Loop,
  body: (
    positions: readonly number[],
    count: number,
    steps: readonly number[],
    innerCount: number,
    innerSteps: readonly number[],
  ) => void,
): void {
  const outer = Math.max(0, shape.length - 2);
  const innerCount = shape.at(-1) ?? 1;
  const innerSteps = strides.map((stride) => stride.at(-1) ?? 1);
  const count = shape.at(-2) ?? 1;
  const steps = strides.map((stride) => stride.at(-2) ?? 0);
  const positions = offsets.slice();
  const index = new Array<number>(outer).fill(0);
  while (true) {
    body(positions, count, steps, innerCount, innerSteps);
    if (!advance(index, positions, shape, strides, outer)) return;
  }
}

/** Steps an odometer over the first `axes` axes; `false` when it has gone all the way round. */
function advance(
  index: number[],
  positions: number[],
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  axes: number,
): boolean {
  for (let axis = axes - 1; axis >= 0; axis--) {
    const back = ++index[axis] === shape[axis];
    for (let k = 0; k < positions.length; k++) {
      positions[k] += back ? -(shape[axis] - 1) * strides[k][axis] : strides[k][axis];
    }
    if (!back) return true;
    index[axis] = 0;
  }
  return false;
}

// --- Code made per dtype ---------------------------------------------------------------------

type FillKernel = (
  data: TypedArrayOf,
  value: number | bigint,
  position: number,
  count: number,
  step: number,
  innerCount: number,
  innerStep: number,
) => void;

type CopyKernel = (
  target: TypedArrayOf,
  source: TypedArrayOf,
  to: number,
  from: number,
  count: number,
  toStep: number,
  fromStep: number,
  innerCount: number,
  innerToStep: number,
  innerFromStep: number,
) => void;

const made = new Map<string, unknown>();

/** Compiles a text once. The key, in a comment, keeps V8 from sharing code between equal texts. */
function make<T>(key: string, text: string, ...outer: [name: string, value: unknown][]): T {
  let result = made.get(key) as T | undefined;
  if (result === undefined) {
    const names = outer.map(([name]) => name);
    result = new Function(...names, `"use strict"; // ${key}\n${text}`)(
      ...outer.map(([, value]) => value),
    ) as T;
    made.set(key, result);
  }
  return result;
}

/**
 * How positions are computed in a text: as 32-bit integers that nobody checks for overflow, so that V8
 * unrolls the loop, which takes half the time; the `wide` ones as they are.
 */
const arithmetic = (wide: boolean): (text: string) => string =>
  wide ? (text) => text : (text) => `(${text}) | 0`;

// The inner loop is a function of its own: V8 enters a nest that runs long in the middle of its inner
// loop, and falls back each time that loop ends, so that a nest takes five times as long.

function fillKernel(dtype: DType, wide: boolean): FillKernel {
  const int = arithmetic(wide);
  return make(
    `fill ${dtype}${wide ? " wide" : ""}`,
    `const fillRow = (data, value, position, end, step) => {
      for (let p = ${int("position")}; p !== end; p = ${int("p + step")}) data[p] = value;
    };
    return (data, value, position, count, step, innerCount, innerStep) => {
      for (let i = 0; i < count; i++) {
        const p = ${int("position + i * step")};
        fillRow(data, value, p, ${int("p + innerCount * innerStep")}, innerStep);
      }
    }`,
  );
}

function copyKernel(target: DType, source: DType, wide: boolean): CopyKernel {
  const int = arithmetic(wide);
  const value = target === "bool" || source === "bool" ? "source[q] ? 1 : 0" : "source[q]";
  return make(
    `copy ${source} to ${target}${wide ? " wide" : ""}`,
    `const copyRow = (target, source, to, from, end, toStep, fromStep) => {
      let q = ${int("from")};
      for (let p = ${int("to")}; p !== end; p = ${int("p + toStep")}) {
        target[p] = ${value};
        q = ${int("q + fromStep")};
      }
    };
    return (target, source, to, from, count, toStep, fromStep, innerCount, innerToStep, innerFromStep) => {
      for (let i = 0; i < count; i++) {
        const p = ${int("to + i * toStep")};
        const q = ${int("from + i * fromStep")};
        const end = ${int("p + innerCount * innerToStep")};
        copyRow(target, source, p, q, end, innerToStep, innerFromStep);
      }
    }`,
  );
}

/** The part of an iterator that does not touch elements; `next` is made per dtype. */
abstract class ElementRuns extends Iterator<number | bigint, undefined> {
  // Declared only: a field that is first undefined is one of which V8 knows less.
  declare protected readonly data: TypedArrayOf;
  declare protected readonly onLost: () => never;
  declare protected position: number;
  declare protected end: number;
  declare protected readonly step: number;
  readonly #shape: readonly number[];
  readonly #strides: readonly (readonly number[])[];
  readonly #index: number[];
  readonly #start: number[];
  #ended: boolean;

  constructor({ data, layout }: Cells, onLost: () => never) {
    super();
    const loop = planLoop(layout.shape, [layout], false);
    this.data = data;
    this.onLost = onLost;
    // A run is over when its end is reached: an axis along which nothing steps is gone through in
    // runs of one element.
    const stands = loop.strides[0].at(-1) === 0;
    this.#shape = stands ? [...loop.shape, 1] : loop.shape;
    this.#strides = stands ? [[...loop.strides[0], 1]] : loop.strides;
    this.#index = new Array<number>(Math.max(0, this.#shape.length - 1)).fill(0);
    this.#start = loop.offsets.slice();
    this.#ended = loop.shape.includes(0);
    this.position = this.#start[0];
    this.step = this.#strides[0].at(-1) ?? 1;
    this.end = this.#ended ? this.position : this.#endOfRun();
  }

  /** Goes to the next run; `false` at the end, and from then on. */
  protected nextRun(): boolean {
    const axes = this.#shape.length - 1;
    this.#ended ||= !advance(this.#index, this.#start, this.#shape, this.#strides, axes);
    if (this.#ended) return false;
    this.position = this.#start[0];
    this.end = this.#endOfRun();
    return true;
  }

  #endOfRun(): number {
    return this.position + (this.#shape.at(-1) ?? 1) * this.step;
  }
}

type ElementsClass = new (cells: Cells, onLost: () => never) => ElementRuns;

function elementsClass(dtype: DType, wide: boolean): ElementsClass {
  const int = arithmetic(wide);
  // One place makes all results, so that a loop which takes them apart at once never has one made.
  return make(
    `iterate ${dtype}${wide ? " wide" : ""}`,
    `return class Elements extends ElementRuns {
      next() {
        let value;
        let done = true;
        if (this.position !== this.end || this.nextRun()) {
          value = this.data[this.position];
          if (value === undefined) this.onLost();
          ${dtype === "bool" ? "value = value ? 1 : 0;" : ""}
          this.position = ${int("this.position + this.step")};
          done = false;
        }
        return { value, done };
      }
    }`,
    ["ElementRuns", ElementRuns],
  );
}
