/**
 * How a loop over many elements goes: which axes it has, in which order, and where its rows begin. `fill.ts`,
 * `copy.ts` and `iterate.ts` decide what is done to the elements.
 *
 * @module
 */

import { type DType, type TypedArrayOf, typedArrayOf } from "../dtype.ts";
import { extent, type Layout, sizeOf } from "./layout.ts";

/** A view's parts: which elements of which typed array. */
export interface ViewParts<D extends DType = DType> {
  readonly dtype: D;
  readonly data: TypedArrayOf<D>;
  readonly layout: Layout;
}

/** The largest integer of 32 bits. */
export const MAX_INT32 = 0x7fff_ffff;

/** Whether positions leave the range in which V8 computes with 32-bit integers. */
export function isWide(layout: Layout): boolean {
  return extent(layout).highest > MAX_INT32;
}

/**
 * Some elements that lie side by side, as a typed array over the same memory. `subarray()` would let a
 * subclass make it, by a constructor that may take other arguments.
 */
export function elementsAt<D extends DType>(
  { dtype, data }: Pick<ViewParts<D>, "dtype" | "data">,
  position: number,
  count: number,
): TypedArrayOf<D> {
  // If there are no elements, their position may be anywhere, also beyond the end of the buffer.
  const skipped = count === 0 ? 0 : position * data.BYTES_PER_ELEMENT;
  return new (typedArrayOf(dtype))(data.buffer, data.byteOffset + skipped, count);
}

/**
 * The dtypes whose typed arrays move elements of 1, 2, 4 and 8 bytes without a change of any bit. Of 8
 * bytes there are two, because the conversion between a bigint and a float is not free.
 */
export type Word = "uint8" | "uint16" | "int32" | "int64" | "float64";

const words: { readonly [D in DType]: Word } = {
  bool: "uint8",
  int8: "uint8",
  uint8: "uint8",
  uint8c: "uint8",
  int16: "uint16",
  uint16: "uint16",
  // Floats that JavaScript widens to float64 on the way would lose the bits of a NaN.
  float16: "uint16",
  int32: "int32",
  uint32: "int32",
  float32: "int32",
  int64: "int64",
  uint64: "int64",
  float64: "float64",
};

/**
 * The same elements as words. V8 keeps one feedback record per place in the source text, and a loop that
 * has met more than four kinds of typed array takes ten times as long from then on. As words, all
 * dtypes are served by five loops, each of which meets one kind.
 */
export function asWords(cells: ViewParts): ViewParts<Word> {
  const dtype = words[cells.dtype];
  if (dtype === cells.dtype) return cells as ViewParts<Word>;
  const { buffer, byteOffset, length } = cells.data;
  const data: TypedArrayOf<Word> = new (typedArrayOf(dtype))(buffer, byteOffset, length);
  return { dtype, data, layout: cells.layout };
}

/** A nest of loops over one or more layouts of the same shape, with as few axes as possible. */
export interface Loop {
  readonly shape: readonly number[];
  /** The strides of each layout. */
  readonly strides: readonly (readonly number[])[];
  /** The first position in each layout. */
  readonly offsets: readonly number[];
}

/**
 * Drops axes of length 1 and merges axes that lie behind each other in all layouts. Where the first layout is a
 * target, only the elements that it has in the end matter. Then its axes are first turned and sorted so that
 * its positions grow, and axes along which its stride is 0 are dropped.
 */
export function planLoop(
  shape: readonly number[],
  layouts: readonly Layout[],
  isTarget: boolean,
): Loop {
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
      // Where several elements have one place in the first layout, the last one stays.
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

/** Whether a loop goes through one run of neighbours in every layout. */
export function isRun({ shape, strides }: Loop): boolean {
  return shape.length <= 1 && strides.every((stride) => (stride[0] ?? 1) === 1);
}

/** The two innermost axes of a loop: rows at a distance of `steps`, whose elements are `innerSteps` apart. */
export interface Block {
  /** The typed arrays, one per layout. */
  readonly data: readonly TypedArrayOf[];
  /** The position of the first element in each. */
  readonly positions: readonly number[];
  readonly count: number;
  readonly steps: readonly number[];
  readonly innerCount: number;
  readonly innerSteps: readonly number[];
}

/**
 * Calls `body` for every pair of innermost axes. The positions that it gets are integers of 32 bits, also
 * where those of the layouts are larger: V8 unrolls a loop over such positions, which takes half the
 * time.
 */
export function runLoop(
  loop: Loop,
  cells: readonly ViewParts[],
  body: (block: Block) => void,
): void {
  if (loop.shape.length < 2 || loop.shape.at(-1)! >= SHORT_ROW) runBlocks(loop, cells, body);
  else inChunks(loop, CACHED, (part) => runBlocks(longestLast(part), cells, body));
}

/** A shorter row costs more than its elements. Then another axis is taken as the row. */
const SHORT_ROW = 16;

/** So many elements stay in the processor's cache while their axes are gone through in another order. */
const CACHED = 4096;

/** Calls `body` for parts of a loop that have no more than `most` elements. */
export function inChunks(loop: Loop, most: number, body: (part: Loop) => void): void {
  const { shape, strides, offsets } = loop;
  const size = sizeOf(shape);
  if (size <= most) return body(loop);
  const count = Math.max(1, Math.floor(most * shape[0] / size));
  for (let at = 0; at < shape[0]; at += count) {
    const length = Math.min(count, shape[0] - at);
    inChunks(
      {
        shape: length === 1 ? shape.slice(1) : [length, ...shape.slice(1)],
        strides: length === 1 ? strides.map((each) => each.slice(1)) : strides,
        offsets: offsets.map((offset, k) => offset + at * strides[k][0]),
      },
      most,
      body,
    );
  }
}

/** The same loop in another order: its longest axis is the innermost. */
function longestLast({ shape, strides, offsets }: Loop): Loop {
  const order = shape.map((_, axis) => axis).sort((a, b) => shape[a] - shape[b]);
  return {
    shape: order.map((axis) => shape[axis]),
    strides: strides.map((each) => order.map((axis) => each[axis])),
    offsets,
  };
}

function runBlocks(
  { shape, strides, offsets }: Loop,
  cells: readonly ViewParts[],
  body: (block: Block) => void,
): void {
  const outer = Math.max(0, shape.length - 2);
  const wide = cells.some(({ layout }) => isWide(layout));
  const positions = offsets.slice();
  const block: Block = {
    data: cells.map(({ data }) => data),
    positions,
    count: shape.at(-2) ?? 1,
    steps: strides.map((stride) => stride.at(-2) ?? 0),
    innerCount: shape.at(-1) ?? 1,
    innerSteps: strides.map((stride) => stride.at(-1) ?? 1),
  };
  if (block.innerCount === 0) return;
  const index = new Array<number>(outer).fill(0);
  do {
    if (wide) narrow(block, cells, body);
    else body(block);
  } while (advance(index, positions, shape, strides, outer));
}

/** Calls `body` with typed arrays that begin where the block does; cuts blocks that are too wide. */
function narrow(block: Block, cells: readonly ViewParts[], body: (block: Block) => void): void {
  const { positions, count, steps, innerCount, innerSteps } = block;
  const extents = positions.map((offset, k) =>
    extent({
      shape: [count, innerCount],
      stride: [steps[k], innerSteps[k]],
      offset,
      size: count * innerCount,
    })
  );
  const spans = extents.map(({ lowest, highest }) => highest - lowest + 1);
  if (spans.every((span) => span <= MAX_INT32)) {
    body({
      ...block,
      data: cells.map((each, k) => elementsAt(each, extents[k].lowest, spans[k])),
      positions: positions.map((position, k) => position - extents[k].lowest),
    });
    return;
  }
  const [length, along] = count > 1 ? [count, steps] : [innerCount, innerSteps];
  const part = count > 1 ? { ...block, count: 1 } : { ...block, innerCount: 1 };
  for (let i = 0; i < length; i++) {
    const at = positions.map((position, k) => position + i * along[k]);
    narrow({ ...part, positions: at }, cells, body);
  }
}

/** Steps an odometer over the first `axes` axes; `false` when it has gone all the way round. */
export function advance(
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
