/**
 * How the elements of a view lie in its typed array: shape, stride and offset, without the data.
 * Pure arithmetic on plain numbers; all of it counts elements, never bytes.
 *
 * @module
 */

import { checkInteger, checkIntegers, listText } from "../check.ts";
import {
  ELLIPSIS,
  NEW_AXIS,
  parseItem,
  resolveIndex,
  resolveRange,
  type SliceItem,
} from "./slice.ts";

/** Where the elements lie: `[i, j, …]` is at `offset + i * stride[0] + j * stride[1] + …`. */
export class Layout {
  /** The length of each axis, outermost first. */
  readonly shape: readonly number[];
  /** The distance from one element to the next along each axis; may be negative or 0. */
  readonly stride: readonly number[];
  /** The position of element `[0, 0, …]`. */
  readonly offset: number;
  /** The number of elements: the product of `shape`, 1 for 0-d. */
  readonly size: number;

  constructor(shape: readonly number[], stride: readonly number[], offset: number, size: number) {
    this.shape = shape;
    this.stride = stride;
    this.offset = offset;
    this.size = size;
  }
}

/** The layout of `shape` in C order (the last axis varies fastest) from position 0 on. */
export function contiguousLayout(shape: readonly number[]): Layout {
  return new Layout(shape, contiguousStride(shape), 0, sizeOf(shape));
}

/** NumPy's strides of a C-order array: an axis of length 0 counts as one of length 1. */
function contiguousStride(shape: readonly number[]): number[] {
  const stride = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    stride[axis] = step;
    step *= Math.max(shape[axis], 1);
  }
  return stride;
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

/**
 * Checks a shape and copies it.
 *
 * @param shape a list of axis lengths, or one length for a single axis
 * @throws {TypeError} if it is neither, or a length is no number
 * @throws {RangeError} if a length is no safe integer, is negative, or the product is not safe
 */
export function checkShape(shape: number | readonly number[]): readonly number[] {
  const lengths = checkIntegers(
    typeof shape === "number" ? [shape] : shape,
    "use this shape",
    "a length",
  );
  // An axis of length 0 must not hide that the others overflow: the strides are made of them.
  let product = 1;
  for (let axis = 0; axis < lengths.length; axis++) {
    if (lengths[axis] < 0) {
      throw new RangeError(`Cannot use shape ${listText(lengths)}: a length is negative`);
    }
    product *= lengths[axis] || 1;
  }
  if (!Number.isSafeInteger(product)) {
    throw new RangeError(
      `Cannot use shape ${listText(lengths)}: the number of elements is beyond 2^53 - 1`,
    );
  }
  return lengths;
}

/**
 * Checks a layout that a user describes against the typed array it is to lie in.
 *
 * @param length the length of the typed array
 * @throws {TypeError} if a part is of the wrong kind
 * @throws {RangeError} if a part is wrong in itself, or an element would lie outside the array
 */
export function checkLayout(
  length: number,
  described: {
    shape?: number | readonly number[];
    stride?: readonly number[];
    offset?: number;
  },
): Layout {
  const given = described.offset === undefined ? 0 : described.offset;
  checkInteger(given, "use this offset", "it");
  const offset = given + 0; // never -0
  if (offset < 0) throw new RangeError(`Cannot use offset ${offset}: it is negative`);
  const shape = described.shape === undefined
    ? [Math.max(0, length - offset)]
    : checkShape(described.shape);
  const stride = described.stride === undefined
    ? contiguousStride(shape)
    : checkIntegers(described.stride, "use this stride", "an entry");
  if (stride.length !== shape.length) {
    throw new RangeError(
      `Cannot use stride ${listText(stride)}: it has ${stride.length} entries, ` +
        `and the shape ${listText(shape)} has ${shape.length}`,
    );
  }
  const layout = new Layout(shape, stride, offset, sizeOf(shape));
  const { lowest, highest } = extent(layout);
  if (lowest < 0 || highest >= length || offset > length) {
    throw new RangeError(
      `Cannot lay shape ${listText(shape)} with stride ${listText(stride)} and offset ` +
        `${offset} over ${length} elements: it needs positions ` +
        (layout.size === 0 ? `from ${offset}` : `${lowest} to ${highest}`),
    );
  }
  return layout;
}

/** The lowest and the highest position that a layout touches; for an empty one `highest` is below `lowest`. */
export function extent({ shape, stride, offset, size }: Layout): {
  lowest: number;
  highest: number;
} {
  let lowest = offset;
  let highest = offset;
  if (size === 0) return { lowest: 0, highest: -1 };
  for (let axis = 0; axis < shape.length; axis++) {
    const reach = (shape[axis] - 1) * stride[axis];
    if (reach < 0) lowest += reach;
    else highest += reach;
  }
  return { lowest, highest };
}

/** Whether the elements lie side by side in C order: NumPy's `flags.c_contiguous`. */
export function isContiguous({ shape, stride, size }: Layout): boolean {
  if (size === 0) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 1) continue;
    if (stride[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/**
 * The layout of a selection, by NumPy's rules of basic indexing: negative indices count from the end, ranges
 * are clamped, integers must lie inside, axes that are not named stay whole.
 *
 * @param items one item per axis, `"..."` for several, `"newaxis"` for one that is added
 * @throws {TypeError} if an item is of no kind that `SliceItem` lists
 * @throws {RangeError} if an integer is out of bounds, there are more items than axes, a text is none
 * of Python's, or `"..."` occurs twice
 *
 * @see {@link https://numpy.org/doc/stable/user/basics.indexing.html#basic-indexing | NumPy: basic indexing}
 */
export function sliceLayout(
  { shape, stride, offset }: Layout,
  items: ArrayLike<SliceItem>,
): Layout {
  return sliceLists(shape.slice(), stride.slice(), offset, items);
}

/** The same for a layout whose lists nobody else needs: the result takes them over. */
export function sliceLists(
  shape: number[],
  stride: number[],
  offset: number,
  items: ArrayLike<SliceItem>,
): Layout {
  const axes = shape.length;
  const added = countOf(items, NEW_AXIS);
  const unnamed = countUnnamed(axes, items, added);
  // The result is written over the lists. An axis that is added would overwrite one that is still to be read.
  const [lengths, steps] = added === 0 ? [shape, stride] : [shape.slice(), stride.slice()];
  let size = 1;
  let axis = 0;
  let kept = 0;
  // By index, so that a hole in a sparse array is met as undefined, not skipped.
  for (let i = 0; i < items.length; i++) {
    const item = parseItem(items[i]);
    if (item === ELLIPSIS) {
      for (const end = axis + unnamed; axis < end; axis++) {
        shape[kept] = lengths[axis];
        stride[kept++] = steps[axis];
        size *= lengths[axis];
      }
      continue;
    }
    if (item === NEW_AXIS) {
      shape[kept] = 1;
      stride[kept++] = 0;
      continue;
    }
    const step = steps[axis];
    const length = lengths[axis];
    if (typeof item === "number") {
      offset += resolveIndex(item, length, axis) * step;
    } else {
      const range = resolveRange(item, length);
      offset += range.start * step;
      shape[kept] = range.length;
      stride[kept++] = range.step * step + 0; // + 0: never -0
      size *= range.length;
    }
    axis++;
  }
  for (; axis < axes; axis++) {
    shape[kept] = lengths[axis];
    stride[kept++] = steps[axis];
    size *= lengths[axis];
  }
  if (kept < axes) shape.length = stride.length = kept;
  return new Layout(shape, stride, offset, size);
}

/** How many axes a selection does not name. */
function countUnnamed(axes: number, items: ArrayLike<SliceItem>, added: number): number {
  const ellipses = countOf(items, ELLIPSIS);
  if (ellipses > 1) {
    throw new RangeError('Cannot slice: "..." may occur only once in a selection');
  }
  const named = items.length - ellipses - added;
  if (named > axes) {
    throw new RangeError(
      `Cannot slice: ${named} ${named === 1 ? "index" : "indices"} for an array of ${axes} ` +
        (axes === 1 ? "axis" : "axes"),
    );
  }
  return axes - named;
}

function countOf(items: ArrayLike<SliceItem>, item: SliceItem): number {
  let count = 0;
  for (let i = 0; i < items.length; i++) if (items[i] === item) count++;
  return count;
}

/**
 * The layout with its axes permuted.
 *
 * @param axes the axis of `layout` that each new axis is; negative ones count from the end; by
 * default the axes in reverse
 * @throws {RangeError} if this is no permutation
 */
export function transposeLayout(layout: Layout, axes?: readonly number[]): Layout {
  const { shape, stride, offset, size } = layout;
  const ndim = shape.length;
  if (axes === undefined) {
    return new Layout([...shape].reverse(), [...stride].reverse(), offset, size);
  }
  const given = checkIntegers(axes, "use this list of axes", "an axis");
  const order = given.map((axis) => axis < 0 ? axis + ndim : axis);
  const seen = new Set(order);
  if (order.length !== ndim || seen.size !== ndim || order.some((a) => a < 0 || a >= ndim)) {
    throw new RangeError(
      `Cannot transpose: ${listText(given)} must name each of the ${ndim} axes once`,
    );
  }
  return new Layout(
    order.map((axis) => shape[axis]),
    order.map((axis) => stride[axis]),
    offset,
    size,
  );
}

/**
 * The layout with another shape of the same size, in C order.
 *
 * @param shape the new lengths; one may be -1, and is computed from the others
 * @throws {RangeError} if the sizes differ, or no strides give the elements in this order
 */
export function reshapeLayout(layout: Layout, shape: number | readonly number[]): Layout {
  const given = typeof shape === "number"
    ? [shape]
    : checkIntegers(shape, "use this shape", "a length");
  const wanted = checkShape(given.map((length) => length === -1 ? 1 : length)) as number[];
  const open = given.indexOf(-1);
  if (open !== given.lastIndexOf(-1)) {
    throw new RangeError("Cannot reshape: only one length may be -1");
  }
  if (open !== -1) {
    const others = sizeOf(wanted);
    const rest = layout.size / others;
    wanted[open] = others > 0 && Number.isInteger(rest) ? rest : -1;
  }
  if (sizeOf(wanted) !== layout.size || wanted[open] === -1) {
    throw new RangeError(
      `Cannot reshape: shape ${listText(layout.shape)} of ${layout.size} elements does not ` +
        `fill shape ${listText(given)}`,
    );
  }
  // As in NumPy, the same shape keeps the strides, also those of axes of length 1.
  const isSame = given.length === layout.shape.length &&
    given.every((length, axis) => length === layout.shape[axis]);
  const stride = isSame ? layout.stride : reshapedStride(layout, wanted);
  if (stride === null) {
    throw new RangeError(
      "Cannot reshape: the view is not contiguous, and reshape() never copies; " +
        "use new NDArray(view.copy(), { shape })",
    );
  }
  return new Layout(wanted, stride, layout.offset, layout.size);
}

/** The strides that an array gets with another shape of the same size; `null` where NumPy copies. */
function reshapedStride(layout: Layout, wanted: readonly number[]): readonly number[] | null {
  if (layout.size <= 1 || isContiguous(layout)) return contiguousStride(wanted);
  return regroupedStride(layout, wanted);
}

/**
 * The strides for a shape that takes groups of neighbouring axes for other groups of the same size: the old
 * axes of each group must follow each other as those of a contiguous array do.
 *
 * A port of `_attempt_nocopy_reshape()` for C order, in `numpy/core/src/multiarray/shape.c`.
 *
 * @see {@link https://github.com/numpy/numpy/blob/v1.26.4/numpy/core/src/multiarray/shape.c | NumPy: shape.c}
 */
function regroupedStride(layout: Layout, wanted: readonly number[]): number[] | null {
  // An axis of length 1 has no second element, so its stride says nothing.
  const axes = layout.shape.map((_, axis) => axis).filter((axis) => layout.shape[axis] !== 1);
  const shape = axes.map((axis) => layout.shape[axis]);
  const stride = axes.map((axis) => layout.stride[axis]);
  const result = new Array<number>(wanted.length);
  let [from, to] = [0, 0]; // where the groups of old and new axes begin
  while (to < wanted.length && from < shape.length) {
    let [fromEnd, toEnd] = [from + 1, to + 1];
    let [fromSize, toSize] = [shape[from], wanted[to]];
    while (fromSize !== toSize) {
      if (toSize < fromSize) toSize *= wanted[toEnd++];
      else fromSize *= shape[fromEnd++];
    }
    for (let axis = from; axis < fromEnd - 1; axis++) {
      if (stride[axis] !== shape[axis + 1] * stride[axis + 1]) return null;
    }
    let step = stride[fromEnd - 1];
    for (let axis = toEnd - 1; axis >= to; axis--) {
      result[axis] = step;
      step *= wanted[axis];
    }
    [from, to] = [fromEnd, toEnd];
  }
  // What is left are axes of length 1.
  return result.fill(to > 0 ? result[to - 1] : 1, to);
}

/**
 * The layout stretched to a larger shape without moving an element: NumPy's broadcasting. Axes that are
 * stretched or added get stride 0.
 *
 * @param target the shape
 * @throws {RangeError} if the shapes do not fit
 *
 * @see {@link https://numpy.org/doc/stable/user/basics.broadcasting.html | NumPy: broadcasting}
 */
export function broadcastToLayout(layout: Layout, target: readonly number[]): Layout {
  return stretch(layout, target, "broadcast");
}

/**
 * The layout of a source that is assigned to an array of a shape. As in NumPy, it is broadcast, and it may have
 * more leading axes of length 1 than the array has axes.
 *
 * @param target the shape
 * @throws {RangeError} if the shapes do not fit
 */
export function broadcastLayout(layout: Layout, target: readonly number[]): Layout {
  let skip = 0;
  while (layout.shape.length - skip > target.length && layout.shape[skip] === 1) skip++;
  const { shape, stride, offset, size } = layout;
  const kept = skip === 0
    ? layout
    : new Layout(shape.slice(skip), stride.slice(skip), offset, size);
  return stretch(kept, target, "assign", shape);
}

function stretch(
  { shape, stride, offset }: Layout,
  target: readonly number[],
  action: string,
  given = shape,
): Layout {
  const missing = target.length - shape.length;
  const stretched = target.map((length, axis) => {
    const from = axis - missing;
    if (from < 0) return 0;
    return shape[from] === length ? stride[from] : shape[from] === 1 ? 0 : NaN;
  });
  if (missing < 0 || stretched.some(Number.isNaN)) {
    throw new RangeError(
      `Cannot ${action}: shape ${listText(given)} does not broadcast to shape ` + listText(target),
    );
  }
  return new Layout(target, stretched, offset, sizeOf(target));
}
