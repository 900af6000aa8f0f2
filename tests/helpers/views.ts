/**
 * Views of any layout, also such as nothing but a user's own strides can make, and the loops by index
 * that loops over many elements are compared with.
 *
 * @module
 */

import { NDArray } from "../../mod.ts";
import { type DType, typedArrayOf } from "../../src/dtype.ts";
import type { Random } from "./random.ts";

/** NDArray without its types: what JavaScript can pass to it. */
// deno-lint-ignore no-explicit-any -- views of any dtype
export type Loose = any;

/** Where views begin in their data: 6 ** 4 elements fit on both sides of it. */
export const MIDDLE = 1300;

/** A view of up to four axes: strides of all signs and 0, axes of length 0 and 1. */
export function anyView(random: Random, dtype: DType, shape = anyShape(random)): Loose {
  const stride = shape.map(() => random.integer(-9, 9));
  const data = new (typedArrayOf(dtype))(2 * MIDDLE) as Loose;
  const convert = typeof data[0] === "bigint" ? BigInt : Number;
  for (let i = 0; i < data.length; i++) data[i] = convert(dtype === "bool" ? i & 1 : i % 100);
  return new (NDArray as Loose)(data, { shape, stride, offset: MIDDLE, dtype });
}

/** A shape of up to four axes. */
export function anyShape(random: Random): number[] {
  return Array.from({ length: random.integer(0, 4) }, () => random.integer(1, 6))
    .map((length) => random.chance(0.05) ? 0 : length);
}

/** Every index of a shape, in C order. */
export function indicesOf(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, length) => all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i])),
    [[]],
  );
}
