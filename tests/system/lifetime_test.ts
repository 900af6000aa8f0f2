import { assert, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { NDArray, SharedMemoryArray } from "../../mod.ts";
import { type DType, dtypes, type StorableOf, typedArrayOf } from "../../src/dtype.ts";
import { mappingsOf, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

// --- close() detaches, then unmaps -----------------------------------------------------------

Deno.test("close() empties every typed array that was kept", () => {
  withNames((name) => {
    const sma = new SharedMemoryArray([4], "float64", name);
    const data = sma.create().fill(7).data;
    const buffer = sma.smh!.buf!;
    const bytes = new Uint8Array(buffer, 8, 8);
    const view = new DataView(buffer);
    const part = sma.array!.slice("1:3").subarray();
    sma.close();
    assert(buffer.detached);
    assertEquals([data.length, bytes.length, part.length, buffer.byteLength], [0, 0, 0, 0]);
    assertEquals([data[0], bytes[0], part[0]] as unknown[], [undefined, undefined, undefined]);
    data[0] = 1;
    assertThrows(() => view.getInt8(0), TypeError);
    assertThrows(() => data.fill(1), TypeError);
    assertThrows(() => new Uint8Array(buffer), TypeError);
    // Nothing of that was stored.
    assertEquals(sma.load().toArray(), [7, 7, 7, 7]);
    sma.close();
  });
});

type View = NDArray<DType>;

/** Every method of NDArray with arguments that suit a view of rank `r`. */
const methods: { [method: string]: (view: View, index: number[], one: unknown) => unknown } = {
  get: (view, index) => view.get(...index),
  set: (view, index, one) => view.set(...index, one as StorableOf),
  index: (view, index) => view.index(...index),
  slice: (view) => view.slice("..."),
  subarray: (view) => view.subarray(),
  fill: (view, _, one) => view.fill(one as StorableOf),
  assign: (view, _, one) => view.assign(one as StorableOf),
  copy: (view) => view.copy(),
  toArray: (view) => view.toArray(),
  toJSON: (view) => view.toJSON(),
  reshape: (view) => view.reshape(-1),
  broadcastTo: (view) => view.broadcastTo([2, ...view.shape]),
  transpose: (view) => view.transpose(),
  rows: (view) => [...view.rows()],
  astype: (view) => view.astype("float64"),
  valueOf: (view: View) => view.valueOf(),
  isContiguous: (view) => view.isContiguous(),
  toString: (view: View) => view.toString(),
  [Symbol.iterator.toString()]: (view) => [...view],
};

Deno.test("methods of a closed array are all looked at here", () => {
  const { prototype } = NDArray;
  const shown = [Symbol.for("Deno.customInspect"), Symbol.for("nodejs.util.inspect.custom")];
  const names = Reflect.ownKeys(prototype).filter((key) =>
    key !== "constructor" && !shown.includes(key as symbol) &&
    typeof Object.getOwnPropertyDescriptor(prototype, key)!.value === "function"
  ).map(String);
  assertEquals(names.sort(), Object.keys(methods).sort());
});

for (const dtype of dtypes) {
  Deno.test(`NDArray methods throw BadResource after close(), ${dtype}`, () => {
    const one = dtype === "int64" || dtype === "uint64" ? 1n : 1;
    for (const shape of [[], [3], [2, 3], [2, 2, 2], [1, 2, 1, 2, 1, 2, 1, 2, 1]]) {
      withNames((name) => {
        const sma = new SharedMemoryArray(shape, dtype, name);
        const view = sma.create() as unknown as View;
        const index = shape.map(() => 0);
        const views = [view, view.transpose(), view.slice(...shape.map(() => "::-1"))];
        // Warm, so that code that was made for a live array is what meets the closed one.
        for (const v of views) for (let i = 0; i < 20; i++) v.set(...index, v.get(...index));
        sma.close();
        for (const [method, call] of Object.entries(methods)) {
          for (const v of views) {
            assertThrows(
              () => call(v, index, one),
              Deno.errors.BadResource,
              "Cannot use this array: its memory is gone",
              `${method} of rank ${shape.length}`,
            );
          }
        }
        // A closed array is nobody's source, either.
        const target = new NDArray(new (typedArrayOf(dtype))(0), { dtype });
        assertThrows(() => target.assign(view as never), Deno.errors.BadResource);
      });
    }
  });
}

Deno.test("NDArray methods of an empty view work until close(), and throw after", () => {
  withNames((name) => {
    const sma = new SharedMemoryArray([4, 3], "float32", name);
    const empty = sma.create().slice("3:3") as unknown as View;
    assertEquals([empty.shape, empty.size, empty.toArray()], [[0, 3], 0, []]);
    empty.fill(1).assign(2);
    assertEquals([...empty], []);
    sma.close();
    for (const [method, call] of Object.entries(methods)) {
      assertThrows(() => call(empty, [0, 0], 1), Deno.errors.BadResource, undefined, method);
    }
  });
});

Deno.test("iteration ends in BadResource if the array is closed in the middle", () => {
  withNames((name) => {
    const sma = new SharedMemoryArray([2, 3], "uint8", name);
    const seen: number[] = [];
    const walk = (): void => {
      for (const element of sma.create().slice(":", "::2")) {
        seen.push(element);
        if (seen.length === 3) sma.close();
      }
    };
    assertThrows(walk, Deno.errors.BadResource);
    assertEquals(seen, [0, 0, 0]);
  });
});

Deno.test("a closed array can still be described and looked at", () => {
  withNames((name) => {
    const sma = new SharedMemoryArray([2, 3], "float32", name);
    const array = sma.create();
    sma.close();
    assertEquals(
      [array.shape, array.dtype, array.size, array.ndim, array.dimension, array.order],
      [[2, 3], "float32", 6, 2, 2, [1, 0]],
    );
    assertEquals(Deno.inspect(array), "NDArray(closed, shape=[2, 3], dtype=float32)");
    assertThrows(() => new NDArray(array.data), Deno.errors.BadResource);
  });
});

Deno.test("close() of one attachment leaves the others", () => {
  withNames((name) => {
    using one = new SharedMemoryArray(4, "int32", name);
    one.create();
    using two = SharedMemoryArray.clone(one);
    two.load().set(0, 5);
    one.close();
    assertEquals(two.array!.get(0), 5);
    assertEquals(mappingsOf(name), 1);
  });
});

Deno.test("close() gives the external memory back to V8 at once", () => {
  withNames((name) => {
    const before = Deno.memoryUsage().external;
    const sma = new SharedMemoryArray(2 ** 26, "uint8", name);
    sma.create({ reserve: false });
    assertGreater(Deno.memoryUsage().external, before + 2 ** 25);
    sma.close();
    assertLess(Deno.memoryUsage().external, before + 2 ** 25);
  });
});

// --- Large arrays ----------------------------------------------------------------------------

Deno.test("arrays of more than 2^32 elements work to their last element", () => {
  withNames((name) => {
    const length = 2 ** 32 + 16;
    using sma = new SharedMemoryArray(length, "uint8", name);
    const array = sma.create({ reserve: false });
    assertEquals([array.size, array.data.length], [length, length]);
    array.set(length - 1, 7);
    array.set(-2, 8);
    array.set(2 ** 31, 9);
    array.set(2 ** 32, 10);
    assertEquals(
      [length - 1, -2, 2 ** 31, 2 ** 32, 0, 15].map((i) => array.get(i)),
      [7, 8, 9, 10, 0, 0],
    );
    assertEquals(array.data[length - 1], 7);
    assertEquals(array.index(-1), length - 1);
    assertThrows(() => array.get(length), RangeError, "out of bounds");
    assertThrows(() => array.set(-length - 1, 1), RangeError, "out of bounds");
    const end = array.slice("-8:");
    assertEquals([end.offset, end.toArray()], [length - 8, [0, 0, 0, 0, 0, 0, 8, 7]]);
    end.slice("::2").fill(3);
    end.slice("1::2").assign([1, 2, 4, 5]);
    assertEquals([...array.slice("-8:")], [3, 1, 3, 2, 3, 4, 3, 5]);
    assertEquals(array.slice("-1:-9:-1").copy(), Uint8Array.of(5, 3, 4, 3, 2, 3, 1, 3));
    assertEquals(end.subarray(), Uint8Array.of(3, 1, 3, 2, 3, 4, 3, 5));
    assertEquals(end.reshape(2, 4).transpose().get(3, 1), 5);
    // Overlapping, and in two runs: this takes the way over a copy.
    end.slice("3::2").assign(end.slice("1:-2:2"));
    end.assign(end.slice("::-1"));
    assertEquals(end.toArray(), [4, 3, 2, 3, 1, 3, 1, 3]);
  });
});

Deno.test("arrays of more than 2^31 elements in two axes, wide strides and narrow ones", () => {
  withNames((name) => {
    const [rows, columns] = [5, 2 ** 30];
    using sma = new SharedMemoryArray([rows, columns], "uint8", name);
    const array = sma.create({ reserve: false });
    for (let row = 0; row < rows; row++) array.set(row, -1, row + 1);
    assertEquals(array.slice(":", -1).toArray(), [1, 2, 3, 4, 5]);
    assertEquals(array.slice("::-2", columns - 1).toArray(), [5, 3, 1]);
    assertEquals(array.get(4, columns - 1), 5);
    assertEquals(array.data[5 * 2 ** 30 - 1], 5);
    // A narrow view of a wide array uses the fast path again, and is right, too.
    assertEquals(array.slice(0, "-3:").toArray(), [0, 0, 1]);
  });
});
