import { assertEquals } from "@std/assert";
import { NDArray } from "../mod.ts";
import { type DType, dtypes, typedArrayOf } from "../src/dtype.ts";
import { Random, seedOf } from "./random.ts";

// Loops over many elements are made as text, per dtype: here they are compared with loops by index over
// views of any layout, also such as nothing but a user's own strides can make.

// deno-lint-ignore no-explicit-any -- views of any dtype
type Loose = any;

const random = new Random(seedOf(20261126));

/** Where views begin in their data: 6 ** 4 elements have room on both sides. */
const MIDDLE = 1300;

/** A view of up to four axes: strides of all signs and 0, axes of length 0 and 1. */
function anyView(dtype: DType, shape = anyShape()): Loose {
  const stride = shape.map(() => random.integer(-9, 9));
  const data = new (typedArrayOf(dtype))(2 * MIDDLE) as Loose;
  const convert = typeof data[0] === "bigint" ? BigInt : Number;
  for (let i = 0; i < data.length; i++) data[i] = convert(dtype === "bool" ? i & 1 : i % 100);
  return new (NDArray as Loose)(data, { shape, stride, offset: MIDDLE, dtype });
}

function anyShape(): number[] {
  return Array.from({ length: random.integer(0, 4) }, () => random.integer(1, 6))
    .map((length) => random.chance(0.05) ? 0 : length);
}

/** Every index of a shape, in C order. */
function indicesOf(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, length) => all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i])),
    [[]],
  );
}

for (const dtype of dtypes) {
  Deno.test(`iteration, copy() and fill() of ${dtype} reach the elements that indices reach`, () => {
    for (let round = 0; round < 80; round++) {
      const view = anyView(dtype);
      const what = `[${view.shape}] [${view.stride}]`;
      const indices = indicesOf(view.shape);
      const elements = indices.map((index) => view.get(...index));
      assertEquals([...view], elements, `iteration ${what}`);
      assertEquals([...view.copy()], elements, `copy ${what}`);
      const iterator = view[Symbol.iterator]();
      for (const element of elements) {
        assertEquals(iterator.next(), { value: element, done: false }, what);
      }
      for (let i = 0; i < 3; i++) {
        assertEquals(iterator.next(), { value: undefined, done: true }, what);
      }
      const expected = view.data.slice();
      const one = typeof expected[0] === "bigint" ? 1n : 1;
      for (const index of indices) expected[view.index(...index)] = one;
      assertEquals(view.fill(one).data, expected, `fill ${what}`);
    }
  });

  Deno.test(`assign() to ${dtype} stores what a loop by index stores`, () => {
    for (let round = 0; round < 80; round++) {
      const shape = anyShape();
      const target = anyView(dtype, shape);
      // Where two elements of the target are one, the order decides, and that is not promised.
      const stride = shape.map((_, axis) =>
        shape.slice(axis + 1).reduce((a, b) => a * b, 1) * (axis % 2 === 0 ? 1 : -1)
      );
      const offset = MIDDLE;
      const apart = new (NDArray as Loose)(target.data, { shape, stride, offset, dtype });
      const kin = dtypes.filter((other) => /int64/.test(other) === /int64/.test(dtype));
      const from = random.chance(0.3) ? dtype : random.oneOf(kin);
      const source = anyView(from, shape.slice(random.integer(0, shape.length)));
      const expected = new (NDArray as Loose)(target.data.slice(), {
        shape,
        stride,
        offset,
        dtype,
      });
      for (const index of indicesOf(shape)) {
        expected.set(...index, source.get(...index.slice(shape.length - source.ndim)));
      }
      const what = `${from} [${source.shape}] [${source.stride}] to [${shape}] [${stride}]`;
      assertEquals(apart.assign(source).data, expected.data, what);
    }
  });
}
