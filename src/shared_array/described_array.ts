/**
 * How an array describes itself beside its segment, and how a description that is found there is compared with the
 * array that is meant.
 *
 * @module
 */

import { listText, quoteName } from "../check.ts";
import { bytesPerElement, type DType, numpyTypeString } from "../dtype.ts";
import { contiguousLayout } from "../ndarray/mod.ts";
import type { DescribedLayout, Description } from "../segment/mod.ts";
import type { Placement } from "./memory_layout.ts";

/** An array as a description has it. */
export interface PlacedArray {
  /** The lengths of the axes. */
  readonly shape: readonly number[];
  /** The element type. */
  readonly dtype: DType;
  /** Where the elements lie; `null` for C order from the first byte on. */
  readonly layout: DescribedLayout | null;
}

/**
 * Gives an array the form that it has in a description.
 *
 * @param dtype the element type
 * @param placement where its elements are
 */
export function placedArray(dtype: DType, { firstByte, layout }: Placement): PlacedArray {
  const { shape, stride, offset } = layout;
  const byteOffset = firstByte + offset * bytesPerElement(dtype);
  const isPlain = byteOffset === 0 && isSameStride(shape, stride, contiguousLayout(shape).stride);
  return { shape, dtype, layout: isPlain ? null : { byteOffset, stride } };
}

/**
 * Writes the description of an array.
 *
 * @param array the array
 * @returns the text, as `JSON.stringify` would write it
 */
export function textOfArray({ shape, dtype, layout }: PlacedArray): string {
  const text = textInOrder(shape, dtype);
  if (layout === null) return text;
  const { byteOffset, stride } = layout;
  return `${text.slice(0, -1)},"layout":{"byteOffset":${byteOffset},"stride":[${stride}]}}`;
}

/**
 * Writes the description of an array that lies in C order from the first byte on.
 *
 * @param shape the lengths of the axes
 * @param dtype the element type
 * @returns the text, as `JSON.stringify` would write it
 */
export function textInOrder(shape: readonly number[], dtype: DType): string {
  // uint8c is uint8 to everybody but JavaScript, and NumPy's type string says so.
  return `{"kind":"array","shape":[${shape}],"dtype":"${numpyTypeString(dtype)}"}`;
}

/**
 * Compares an array that is meant with the one that a segment says it is.
 *
 * @param meant the array that is meant
 * @param hasLayout whether its user gave a layout: it may then be a part of the array, as that of a view is
 * @param found what stands beside the segment, which is an array
 * @param name the segment's name, for the message
 * @throws {RangeError} if they differ
 */
export function compareArrays(
  meant: PlacedArray,
  hasLayout: boolean,
  found: PlacedArray,
  name: string,
): void {
  if (isSameDType(meant.dtype, found.dtype)) {
    const isSameShape = String(meant.shape) === String(found.shape);
    if (isSameShape && isSameLayout(meant, found)) return;
    if (hasLayout && isPart(meant, found, isSameShape)) return;
  }
  const hasLayouts = meant.layout !== null || found.layout !== null;
  throw new RangeError(
    `Cannot load ${quoteName(name)} as ${
      textFor(meant, hasLayouts)
    }: the segment has been described as ` +
      `${textFor(found, hasLayouts)}; load({ reinterpret: true }) takes the bytes as they are`,
  );
}

/**
 * Whether two element types are the same to a description: uint8c is uint8 there.
 *
 * @param a one dtype
 * @param b another one
 */
export function isSameDType(a: DType, b: DType): boolean {
  return numpyTypeString(a) === numpyTypeString(b);
}

/**
 * Takes the array out of a description.
 *
 * @param description the description
 * @returns the array; `null` if it is that of another kind
 */
export function arrayOf({ kind, shape, dtype, layout }: Description): PlacedArray | null {
  return kind === "array" ? { shape: shape!, dtype: dtype!, layout } : null;
}

/**
 * Describes an array in the words of a message.
 *
 * @param array the array
 * @param hasLayouts whether to say so, too, where it lies in C order
 */
export function textFor(
  { shape, dtype, layout }: PlacedArray,
  hasLayouts: boolean = layout !== null,
): string {
  const text = `shape ${listText(shape)} of ${dtype}`;
  if (!hasLayouts) return text;
  return layout === null
    ? `${text} in C order`
    : `${text} with byteOffset ${layout.byteOffset} and stride ${listText(layout.stride)}`;
}

/** Whether strides lead to the same elements: along an axis of length 1 nobody goes. */
function isSameStride(
  shape: readonly number[],
  a: readonly number[],
  b: readonly number[],
): boolean {
  return shape.every((length, axis) => length === 1 || a[axis] === b[axis]);
}

/** The layout of an array, also where that is C order. */
function layoutOf({ shape, layout }: PlacedArray): DescribedLayout {
  return layout ?? { byteOffset: 0, stride: contiguousLayout(shape).stride };
}

function isSameLayout(a: PlacedArray, b: PlacedArray): boolean {
  const [left, right] = [layoutOf(a), layoutOf(b)];
  return left.byteOffset === right.byteOffset && isSameStride(a.shape, left.stride, right.stride);
}

// --- Parts -----------------------------------------------------------------------------------

/** An axis that one goes along, in the direction of higher addresses. */
interface Axis {
  readonly length: number;
  readonly stride: number;
}

/** The axes of an array from the longest stride to the shortest, and the byte at which its lowest element begins. */
function axesOf(array: PlacedArray): { axes: Axis[]; firstByte: number } {
  const { byteOffset, stride } = layoutOf(array);
  let firstByte = byteOffset;
  const axes: Axis[] = [];
  array.shape.forEach((length, axis) => {
    const step = stride[axis];
    if (length === 1 || step === 0) return;
    if (step < 0) firstByte += step * (length - 1) * bytesPerElement(array.dtype);
    axes.push({ length, stride: Math.abs(step) });
  });
  return { axes: axes.sort((a, b) => b.stride - a.stride), firstByte };
}

/**
 * Puts axes together that lead through memory as one would. Where rows are padded, this is so for those columns only
 * whose distance divides that of the rows, if the last of them lies before the padding: rows of 5 elements, 6 apart,
 * have every third element at 0, 3, 6, 9. A view that was reshaped may lead along them.
 *
 * @param axes the axes of the whole, from the longest stride to the shortest
 * @param parts the same of the part
 * @param first where the part begins, in elements
 */
function mergeAxes(axes: readonly Axis[], parts: readonly Axis[], first: number): Axis[] {
  const merged: Axis[] = [];
  for (let i = axes.length - 1; i >= 0; i--) {
    const outer = axes[i];
    const inner = merged[0];
    const distance = inner && distanceAcross(axes.slice(0, i + 1), inner, parts, first);
    if (!distance) {
      merged.unshift(outer);
      continue;
    }
    const columns = outer.stride / distance;
    const step = distance / inner.stride;
    // From each of those columns the part may go on to the ones beside it, up to the next one or the padding.
    const beside = Math.min(step, inner.length - (columns - 1) * step);
    merged[0] = { length: beside, stride: inner.stride };
    merged.unshift({ length: outer.length * columns, stride: distance });
  }
  return merged;
}

/** The distance of columns that lead on from one row to the next as the part does; `null` where it stays in its row. */
function distanceAcross(
  outers: readonly Axis[],
  { length, stride }: Axis,
  parts: readonly Axis[],
  first: number,
): number | null {
  const row = outers.at(-1)!.stride;
  if (row === stride * length) return stride;
  if (row < stride * length || row % stride !== 0) return null;
  let distance = row;
  const inRow = outers.reduce((rest, outer) => rest % outer.stride, first);
  let column = Math.floor(inRow / stride);
  for (const part of parts.toReversed()) {
    const isAlongRow = part.stride % stride === 0 &&
      !outers.some((outer) => part.stride % outer.stride === 0);
    if (!isAlongRow) continue;
    column += (part.stride / stride) * (part.length - 1);
    if (column >= length) distance = divisorOf(distance, part.stride);
  }
  return distance < row && row - distance < stride * length ? distance : null;
}

/** The greatest common divisor. */
function divisorOf(a: number, b: number): number {
  return b === 0 ? a : divisorOf(b, a % b);
}

/**
 * Whether an array is what a view of another one shows: a slice of it, the same turned round or transposed, and
 * where the shapes differ also a reshaped part. What a view of the same shape does not show is another layout.
 */
function isPart(part: PlacedArray, whole: PlacedArray, isSameShape: boolean): boolean {
  const { axes: parts, firstByte } = axesOf(part);
  const { axes: all, firstByte: begin } = axesOf(whole);
  let rest = (firstByte - begin) / bytesPerElement(whole.dtype);
  if (!Number.isInteger(rest) || rest < 0) return false;
  const axes = isSameShape ? all : mergeAxes(all, parts, rest);
  // Where the part begins along each axis.
  const positions = axes.map(({ stride }) => {
    const position = Math.floor(rest / stride);
    rest -= position * stride;
    return position;
  });
  if (rest !== 0 || positions.some((position, axis) => position >= axes[axis].length)) return false;
  const isTaken = axes.map(() => false);
  return parts.every(({ length, stride }) => {
    const axis = axes.findIndex((candidate, i) =>
      !(isSameShape && isTaken[i]) && stride % candidate.stride === 0 &&
      positions[i] + (stride / candidate.stride) * (length - 1) < candidate.length
    );
    if (axis === -1) return false;
    isTaken[axis] = true;
    positions[axis] += (stride / axes[axis].stride) * (length - 1);
    return true;
  });
}
