/**
 * Where an array lies in its segment: in C order from the first byte on, or as a layout says.
 *
 * @module
 */

import { bytesPerElement, type DType } from "../dtype.ts";
import { checkInteger, checkIntegers, listText, readOptions } from "../check.ts";
import { contiguousLayout, extent, Layout } from "../ndarray/mod.ts";

/**
 * Where an array lies in its segment, where that is not C order from the first byte on: NumPy's
 * `ndarray(shape, dtype, buffer, offset, strides)`.
 */
export interface MemoryLayout {
  /**
   * The position of element `[0, 0, …]` in the segment, in bytes: a multiple of the element's size. By
   * default 0.
   */
  readonly byteOffset?: number;
  /**
   * The distance from one element to the next along each axis, in elements (NumPy's `strides` are in
   * bytes); may be negative. By default that of C order.
   */
  readonly stride?: readonly number[];
}

/** Where the elements of an array are. */
export interface Placement {
  /** The byte of the segment at which the lowest element begins. */
  readonly firstByte: number;
  /** How many elements there are from the lowest to the highest, gaps included. */
  readonly length: number;
  /** How many bytes of the segment the array needs, from byte 0 on. */
  readonly byteLength: number;
  /** How the elements lie, counted from the lowest. */
  readonly layout: Layout;
}

/**
 * Checks a layout that a caller gives, and copies it.
 *
 * @param given what the user gave
 * @param axes how many axes the array has
 * @param dtype what its elements are
 * @returns a deeply frozen copy, which has what was given
 * @throws {TypeError} if it is no object, or a part is of the wrong kind or unknown
 * @throws {RangeError} if the offset is negative or no multiple of the element's size, or the stride has
 * another number of entries than there are axes
 */
export function freezeLayout(given: MemoryLayout, axes: number, dtype: DType): MemoryLayout {
  const action = "use this layout";
  const { byteOffset, stride } = readOptions(given, { byteOffset: "any", stride: "any" }, action);
  const copy: { byteOffset?: number; stride?: readonly number[] } = {};
  if (byteOffset !== undefined) {
    checkInteger(byteOffset, action, "byteOffset");
    const bytes = bytesPerElement(dtype);
    if (byteOffset < 0 || byteOffset % bytes !== 0) {
      throw new RangeError(
        `Cannot ${action}: byteOffset ${byteOffset} ` +
          (byteOffset < 0 ? "is negative" : `is no multiple of the ${bytes} bytes of a ${dtype}`),
      );
    }
    copy.byteOffset = byteOffset + 0; // never -0
  }
  if (stride !== undefined) {
    const entries = checkIntegers(stride, "use this stride", "an entry");
    if (entries.length !== axes) {
      throw new RangeError(
        `Cannot ${action}: stride ${listText(entries)} has ${entries.length} entries, and the ` +
          `shape has ${axes}`,
      );
    }
    copy.stride = Object.freeze(entries);
  }
  return Object.freeze(copy);
}

/**
 * Computes where the elements of an array are.
 *
 * @param shape the checked lengths of the axes, none of them 0
 * @param dtype what the elements are
 * @param given the checked layout; `null` is C order from byte 0 on
 * @throws {RangeError} if an element would lie before byte 0, or the array reaches beyond 2^53 - 1 bytes
 */
export function placeElements(
  shape: readonly number[],
  dtype: DType,
  given: MemoryLayout | null,
): Placement {
  const bytes = bytesPerElement(dtype);
  const inOrder = contiguousLayout(shape);
  if (given === null) {
    const { size } = inOrder;
    return { firstByte: 0, length: size, byteLength: size * bytes, layout: inOrder };
  }
  // A key that another module added to Object.prototype does not count.
  const stride = Object.hasOwn(given, "stride") ? given.stride! : inOrder.stride;
  const first = (Object.hasOwn(given, "byteOffset") ? given.byteOffset! : 0) / bytes;
  const { lowest, highest } = extent(new Layout(shape, stride, first, inOrder.size));
  if (lowest < 0) {
    throw new RangeError(
      `Cannot use this layout: with byteOffset ${first * bytes} and stride ${listText(stride)}, ` +
        `shape ${listText(shape)} of ${dtype} begins ${-lowest * bytes} bytes before the segment`,
    );
  }
  return {
    firstByte: lowest * bytes,
    length: highest - lowest + 1,
    byteLength: (highest + 1) * bytes,
    layout: new Layout(shape, stride, first - lowest, inOrder.size),
  };
}
