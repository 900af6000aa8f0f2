import { assertEquals, assertThrows } from "@std/assert";
import { NDArray, SharedMemoryArray } from "../../mod.ts";
import { dtypes } from "../../src/dtype.ts";
import { withNames } from "../helpers/helpers.ts";
import { Random, seedOf } from "../helpers/random.ts";
import { anyView, indicesOf } from "../helpers/views.ts";

const random = new Random(seedOf(20261126));

for (const dtype of dtypes) {
  Deno.test(`iteration of ${dtype} reaches the elements that indices reach`, () => {
    for (let round = 0; round < 80; round++) {
      const view = anyView(random, dtype);
      const what = `[${view.shape}] [${view.stride}]`;
      const elements = indicesOf(view.shape).map((index) => view.get(...index));
      assertEquals([...view], elements, `iteration ${what}`);
      const iterator = view[Symbol.iterator]();
      for (const element of elements) {
        assertEquals(iterator.next(), { value: element, done: false }, what);
      }
      for (let i = 0; i < 3; i++) {
        assertEquals(iterator.next(), { value: undefined, done: true }, what);
      }
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

Deno.test("iteration steps over more than 2^31 positions at once", () => {
  withNames((name) => {
    const far = 2 ** 31;
    using sma = new SharedMemoryArray([2 * far + 16], "uint8", name);
    const data = sma.create({ reserve: false }).data as Uint8Array;
    for (let i = 0; i < 3; i++) data.set([1 + i, 11 + i, 21 + i], i * far);
    const at = (shape: number[], stride: number[], offset: number): number[] => [
      ...new NDArray(data, { shape, stride, offset }),
    ];
    assertEquals(at([3], [far], 0), [1, 2, 3]);
    assertEquals(at([3], [-far], 2 * far + 2), [23, 22, 21]);
    assertEquals(at([3, 2], [far, 2], 0), [1, 21, 2, 22, 3, 23]);
    assertEquals(at([2, 3], [1, far], 1), [11, 12, 13, 21, 22, 23]);
  });
});

Deno.test("iteration meets what is stored while it goes on, and the loss of the memory", () => {
  for (const [shape, stride] of [[[4], [2]], [[2, 2], [4, 2]]]) {
    const data = new Float32Array(8);
    const iterator = new NDArray(data, { shape, stride })[Symbol.iterator]();
    iterator.next();
    data[2] = 5;
    assertEquals(iterator.next().value, 5);
    data.buffer.transfer(0);
    assertThrows(() => iterator.next(), Deno.errors.BadResource);
  }
});
