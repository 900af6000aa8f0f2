import { assertEquals } from "@std/assert";
import { NDArray, SharedMemoryArray } from "../../mod.ts";
import { dtypes, typedArrayOf } from "../../src/dtype.ts";
import { withNames } from "../helpers/helpers.ts";
import { Random, seedOf } from "../helpers/random.ts";
import { anyView, indicesOf, type Loose } from "../helpers/views.ts";

const random = new Random(seedOf(20261126));

for (const dtype of dtypes) {
  Deno.test(`fill() of ${dtype} reaches the elements that indices reach`, () => {
    for (let round = 0; round < 80; round++) {
      const view = anyView(random, dtype);
      const expected = view.data.slice();
      const one = typeof expected[0] === "bigint" ? 1n : 1;
      for (const index of indicesOf(view.shape)) expected[view.index(...index)] = one;
      assertEquals(view.fill(one).data, expected, `fill [${view.shape}] [${view.stride}]`);
    }
  });

  Deno.test(`fill() of ${dtype} with strides stores what a typed array stores`, () => {
    const values = /int64/.test(dtype) ? [0n, -1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n + 7n] : [
      0,
      -0,
      1.5,
      -1,
      300,
      -300,
      2 ** 31,
      2 ** 32 + 5,
      -(2 ** 31) - 1,
      1e300,
      1e-8,
      NaN,
      Infinity,
    ];
    for (const value of values as Loose[]) {
      const data = new (typedArrayOf(dtype))(8);
      const view: Loose = new (NDArray as Loose)(data, { shape: [4], stride: [2], dtype });
      const one = new (typedArrayOf(dtype))(1) as Loose;
      one[0] = dtype === "bool" ? Number(value != 0) : value; // NaN is true, as in NumPy
      view.fill(value);
      for (let i = 0; i < 4; i++) assertEquals([view.get(i), Number(data[2 * i + 1])], [one[0], 0]);
    }
  });
}

Deno.test("fill() reaches positions beyond 2^31, also along strides beyond it", () => {
  withNames((name) => {
    const far = 2 ** 31;
    using sma = new SharedMemoryArray([2 * far + 16], "uint8", name);
    const data = sma.create({ reserve: false }).data as Uint8Array;
    for (
      const [shape, stride, offset] of [
        [[3, 2], [4, 2], far - 4],
        [[2, 2], [far + 3, 5], 1],
        [[3], [-far + 1], 2 * far],
        [[2, 3], [7, 2], 2 * far - 2],
      ] as [number[], number[], number][]
    ) {
      const view = new NDArray(data, { shape, stride, offset });
      const positions = indicesOf(shape).map((index) => view.index(...index));
      view.fill(7);
      for (const position of positions) {
        assertEquals([data[position - 1], data[position], data[position + 1]], [0, 7, 0]);
        data[position] = 0;
      }
    }
  });
});
