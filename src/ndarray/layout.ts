/**
 * How the elements of a view lie in its typed array: shape, stride and offset, without the data.
 * Pure arithmetic on plain numbers; all of it counts elements, never bytes.
 *
 * @module
 */

import { checkInteger, checkIntegers, listText } from "../check.ts";
import { ELLIPSIS, parseItem, resolveIndex, resolveRange, type SliceItem } from "./slice.ts";

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
  const given = described.offset ?? 0;
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
 * The layout of what a selection takes, by NumPy's rules of basic indexing: negative indices count
 * from the end, ranges are clamped, integers must lie inside, axes that are not named stay whole.
 *
 * @param items one item per axis, `"..."` for several
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

/** The same for a layout whose lists are given away: they become those of the result. */
export function sliceLists(
  shape: number[],
  stride: number[],
  offset: number,
  items: ArrayLike<SliceItem>,
): Layout {
  const axes = shape.length;
  const unnamed = countUnnamed(axes, items);
  let size = 1;
  let axis = 0;
  let kept = 0;
  // By index, so that a hole in a sparse array is met as undefined, not skipped.
  for (let i = 0; i < items.length; i++) {
    const item = parseItem(items[i]);
    if (item === ELLIPSIS) {
      for (const end = axis + unnamed; axis < end; axis++) {
        shape[kept] = shape[axis];
        stride[kept++] = stride[axis];
        size *= shape[axis];
      }
      continue;
    }
    const step = stride[axis];
    const length = shape[axis];
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
    shape[kept] = shape[axis];
    stride[kept++] = stride[axis];
    size *= shape[axis];
  }
  if (kept < axes) shape.length = stride.length = kept;
  return new Layout(shape, stride, offset, size);
}

/** How many axes a selection does not name. */
function countUnnamed(axes: number, items: ArrayLike<SliceItem>): number {
  let ellipses = 0;
  for (let i = 0; i < items.length; i++) if (items[i] === ELLIPSIS) ellipses++;
  if (ellipses > 1) {
    throw new RangeError('Cannot slice: "..." may occur only once in a selection');
  }
  const named = items.length - ellipses;
  if (named > axes) {
    throw new RangeError(
      `Cannot slice: ${named} indices for an array of ${axes} ${axes === 1 ? "axis" : "axes"}`,
    );
  }
  return axes - named;
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
 * @throws {RangeError} if the sizes differ or the layout is not contiguous
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
  if (!isContiguous(layout)) {
    throw new RangeError(
      "Cannot reshape: the view is not contiguous, and reshape() never copies; " +
        "use new NDArray(view.copy(), { shape })",
    );
  }
  const { offset, size } = layout;
  // As in NumPy, the same shape keeps the strides, also those of axes that are never stepped along.
  const isSame = given.length === layout.shape.length &&
    given.every((length, axis) => length === layout.shape[axis]);
  return new Layout(wanted, isSame ? layout.stride : contiguousStride(wanted), offset, size);
}

/**
 * The layout stretched to a larger shape without moving an element: NumPy's broadcasting. Axes of
 * length 1 get stride 0. As in NumPy's assignment, leading axes of length 1 may be too many.
 *
 * @throws {RangeError} if the shapes do not fit
 *
 * @see {@link https://numpy.org/doc/stable/user/basics.broadcasting.html | NumPy: broadcasting}
 */
export function broadcastLayout(layout: Layout, target: readonly number[]): Layout {
  let skip = 0;
  while (layout.shape.length - skip > target.length && layout.shape[skip] === 1) skip++;
  const missing = target.length - (layout.shape.length - skip);
  const stride = target.map((length, axis) => {
    const from = axis - missing + skip;
    if (axis < missing) return 0;
    return layout.shape[from] === length ? layout.stride[from] : layout.shape[from] === 1 ? 0 : NaN;
  });
  if (missing < 0 || stride.some(Number.isNaN)) {
    throw new RangeError(
      `Cannot assign: shape ${listText(layout.shape)} does not broadcast to shape ` +
        listText(target),
    );
  }
  return new Layout(target, stride, layout.offset, sizeOf(target));
}
