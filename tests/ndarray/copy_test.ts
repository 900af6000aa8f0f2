import { assert, assertEquals } from "@std/assert";
import { NDArray, SharedMemoryArray, slice } from "../../mod.ts";
import { dtypes, typedArrayOf } from "../../src/dtype.ts";
import { withNames } from "../helpers/helpers.ts";
import { Random, seedOf } from "../helpers/random.ts";
import { anyShape, anyView, indicesOf, type Loose, MIDDLE } from "../helpers/views.ts";

const random = new Random(seedOf(20261126));

for (const dtype of dtypes) {
  Deno.test(`copy() of ${dtype} reaches the elements that indices reach`, () => {
    for (let round = 0; round < 80; round++) {
      const view = anyView(random, dtype);
      const elements = indicesOf(view.shape).map((index) => view.get(...index));
      assertEquals([...view.copy()], elements, `copy [${view.shape}] [${view.stride}]`);
    }
  });

  Deno.test(`assign() to ${dtype} stores what a loop by index stores`, () => {
    for (let round = 0; round < 80; round++) {
      const shape = anyShape(random);
      const target = anyView(random, dtype, shape);
      // Where two elements of the target are one, the order decides, and that is not promised.
      const stride = shape.map((_, axis) =>
        shape.slice(axis + 1).reduce((a, b) => a * b, 1) * (axis % 2 === 0 ? 1 : -1)
      );
      const offset = MIDDLE;
      const apart = new (NDArray as Loose)(target.data, { shape, stride, offset, dtype });
      const kin = dtypes.filter((other) => /int64/.test(other) === /int64/.test(dtype));
      const from = random.chance(0.3) ? dtype : random.oneOf(kin);
      const source = anyView(random, from, shape.slice(random.integer(0, shape.length)));
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

/** What one element becomes in a dtype, before a typed array stores it. */
function asOne(value: Loose, to: string): Loose {
  if (to === "bool") return value === 0 || value === 0n ? 0 : 1; // NaN is true, as in NumPy
  if (!/int64/.test(to)) {
    if (typeof value === "number") return value;
    return Number(/^u?int\d+$/.test(to) ? BigInt.asIntN(32, value) : value);
  }
  if (typeof value === "bigint") return value;
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
}

/** Values at which conversions differ. */
const telling = [0, -0, 1, -1, 0.5, -1.5, 127.5, 128, 255.5, 300, -300, 65504, 65520, 1e-8, 2 ** 31]
  .concat(-(2 ** 31) - 1, 2 ** 32 + 5, 2 ** 53, 1e300, -1e300, NaN, Infinity, -Infinity);

Deno.test("assign() with strides converts each pair of dtypes as one element is converted", () => {
  // More elements than are converted at once, and not a multiple of that.
  const [rows, columns] = [70, 31];
  for (const from of dtypes) {
    for (const to of dtypes) {
      const source: Loose = new (NDArray as Loose)(
        new (typedArrayOf(from))(2 * rows * 2 * columns),
        {
          shape: [rows, columns],
          stride: [4 * columns, 2],
          dtype: from,
        },
      );
      const isBig = /int64/.test(from);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const value = telling[(i * columns + j) % telling.length];
          source.set(i, j, isBig ? BigInt(Math.round(Number.isFinite(value) ? value : 3)) : value);
        }
      }
      const target: Loose = new (NDArray as Loose)(new (typedArrayOf(to))(2 * rows * 2 * columns), {
        shape: [rows, columns],
        stride: [1, 2 * rows],
        dtype: to,
      });
      target.assign(source);
      const one = new (typedArrayOf(to))(1) as Loose;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const value = source.get(i, j);
          one[0] = asOne(value, to);
          assert(Object.is(target.get(i, j), one[0]), `${from} ${value} to ${to}`);
        }
      }
      const whole = new (NDArray as Loose)(new (typedArrayOf(to))(rows * columns), {
        shape: [rows, columns],
        dtype: to,
      });
      const dense = new (NDArray as Loose)(source.copy(), { shape: [rows, columns], dtype: from });
      assertEquals([...whole.assign(dense)], [...target], `${from} to ${to}, contiguous`);
    }
  }
});

Deno.test("assign() of the same dtype keeps every bit of a NaN", () => {
  for (
    const [dtype, Bits, nan] of [
      ["float16", Uint16Array, 0x7e55],
      ["float32", Uint32Array, 0x7fc12345],
    ] as const
  ) {
    const bits = new Bits(8).fill(nan);
    const source = new NDArray(new (typedArrayOf(dtype))(bits.buffer) as Float32Array);
    const copy = new Bits(source.slice("::2").copy().buffer as ArrayBuffer);
    assertEquals(copy, new Bits(4).fill(nan));
  }
});

Deno.test("assign() and copy() reach positions beyond 2^31, with and without conversion", () => {
  withNames((name) => {
    const far = 2 ** 31;
    using sma = new SharedMemoryArray([2 * far + 16], "uint8", name);
    const data = sma.create({ reserve: false }).data as Uint8Array;
    const values = [[1, 2], [3, 4]];
    for (
      const [stride, offset] of [[[4, 2], far - 4], [[far + 3, 5], 1], [
        [7, -far + 1],
        2 * far,
      ]] as [
        number[],
        number,
      ][]
    ) {
      const view = new NDArray(data, { shape: [2, 2], stride, offset });
      const sources = [Uint8Array, Int16Array, Float64Array].map((Typed) =>
        new NDArray(Typed.from(values.flat()) as Float64Array, { shape: [2, 2] })
      );
      for (const source of sources) {
        view.assign(source);
        assertEquals(view.toArray(), values);
        assertEquals(view.slice("::-1").toArray(), values.toReversed());
        const back = new NDArray(new Float32Array(8), { shape: [2, 2], stride: [4, 2] });
        assertEquals(back.assign(view as unknown as NDArray<"float32">).toArray(), values);
        view.fill(0);
      }
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
