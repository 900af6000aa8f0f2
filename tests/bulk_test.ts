import { assertEquals } from "@std/assert";
import { NDArray, SharedMemoryArray, slice } from "../mod.ts";
import { type DType, dtypes, typedArrayOf } from "../src/dtype.ts";
import { withNames } from "./helpers.ts";
import { Random, seedOf } from "./random.ts";

// Loops over many elements are made as text, per dtype: here they are compared with loops by index over
// views of any layout, also such as nothing but a user's own strides can make.

// deno-lint-ignore no-explicit-any -- views of any dtype
type Loose = any;

const random = new Random(seedOf(20261126));

/** Where views begin in their data: 6 ** 4 elements fit on both sides of it. */
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

Deno.test("iteration ends at the last position of 32 bits as anywhere", () => {
  withNames((name) => {
    const last = 2 ** 31 - 1;
    using sma = new SharedMemoryArray([last + 5], "uint8", name);
    const { data } = sma.create({ reserve: false });
    for (let i = -8; i < 5; i++) data[last + i] = 10 + i;
    const at = (shape: number[], stride: number[], offset: number): number[] => [
      ...new NDArray(data as Uint8Array, { shape, stride, offset }),
    ];
    assertEquals([...sma.array!.slice(last)] as number[], [10]);
    assertEquals(at([1], [-1], last), [10]);
    assertEquals(at([3], [0], last), [10, 10, 10]);
    assertEquals(at([2, 2], [-4, 0], last), [10, 10, 6, 6]);
    assertEquals(at([3], [1], last - 2), [8, 9, 10]);
    assertEquals(at([3], [4], last - 8), [2, 6, 10]);
    assertEquals(at([3], [-1], last + 1), [11, 10, 9]);
    for (const [shape, stride] of [[[3], [4]], [[2, 2], [-4, 0]], [[2, 2], [4, 2]]]) {
      const view = new NDArray(data as Uint8Array, { shape, stride, offset: last - 4 });
      const expected = [...view];
      assertEquals([...view.copy()], expected);
      view.fill(77);
      assertEquals([...view], expected.map(() => 77));
      view.assign(view.slice("...", "::-1"));
      for (let i = -8; i < 5; i++) data[last + i] = 10 + i;
    }
  });
});

/** A subclass whose constructor does not take what typed arrays' own methods give it. */
class Samples extends Float64Array {
  constructor(length: number) {
    super(length);
  }
}

Deno.test("copy(), subarray() and assign() are right on typed arrays of a class of its own", () => {
  for (const length of [6, 100]) {
    const data = new Samples(length);
    for (let i = 0; i < length; i++) data[i] = i;
    const view = new NDArray(data as Float64Array);
    const expected = Array.from({ length: length - 3 }, (_, i) => i + 2);
    const part = view.slice(slice(2, -1));
    assertEquals([...part.copy()], expected);
    assertEquals([...part.subarray()], expected);
    assertEquals(part.subarray().buffer, data.buffer);
    assertEquals(part.toArray(), expected);
    view.slice(slice(0, -3)).assign(part);
    assertEquals([...view], [...expected, length - 3, length - 2, length - 1]);
    view.assign(view.slice("::-1"));
    assertEquals(view.get(-1), 2);
  }
});

Deno.test("an empty view of data that is out of bounds is copied as an empty one", () => {
  const buffer = new ArrayBuffer(64, { maxByteLength: 128 });
  const views = [new Float64Array(buffer, 32, 4), new Float64Array(buffer, 32)].map((data) =>
    new NDArray(data, { shape: [0] })
  );
  buffer.resize(16);
  for (const view of views) assertEquals([...view.copy(), ...view.toArray(), ...view], []);
});

Deno.test("subarray() of an empty view is empty, wherever the view begins", () => {
  const view = new NDArray(new Float64Array(0), { shape: [4, 2, 0] });
  assertEquals(view.slice(-1, -1).subarray(), new Float64Array(0));
});
