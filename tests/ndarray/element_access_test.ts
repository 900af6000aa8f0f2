import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { NDArray, SharedMemoryArray, slice } from "../../mod.ts";
import { type DType, dtypes, typedArrayOf } from "../../src/dtype.ts";
import { withNames } from "../helpers/helpers.ts";
import { Random, seedOf } from "../helpers/random.ts";

// The classes of views have methods of their own for elements and slices. What those do must be what the
// general methods do, which the other tests look at: here both are asked the same.

/** NDArray without its types: what JavaScript can pass to it. */
// deno-lint-ignore no-explicit-any -- that is the point
type Loose = any;
const general = NDArray.prototype as Loose;

const random = new Random(seedOf(20261125));

/** A result, or the error in its place, in a form that can be compared. */
function outcome(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

/** A view of any layout: strides of all signs and 0, empty axes, axes too long for 32 bits. */
function anyView(dtype: DType): Loose {
  const rank = random.chance(0.8) ? random.integer(0, 5) : random.integer(6, 9);
  const shape = Array.from({ length: rank }, () => random.integer(random.chance(0.1) ? 0 : 1, 4));
  const stride = shape.map(() => random.integer(-5, 5));
  for (let axis = 0; axis < rank; axis++) {
    if (rank > 5 || !random.chance(0.1)) continue;
    shape[axis] = random.oneOf([2 ** 31 - 1, 2 ** 31, 2 ** 32 + 6, 2 ** 40]);
    stride[axis] = 0;
    break;
  }
  const length = 600;
  const data = new (typedArrayOf(dtype))(length) as Loose;
  const isBig = typeof data[0] === "bigint";
  for (let i = 0; i < length; i++) data[i] = isBig ? BigInt(i) : dtype === "bool" ? i & 1 : i;
  return new (NDArray as Loose)(data, { shape, stride, offset: length / 2, dtype });
}

/** Indices, most of them right, and now and then one too many or too few. */
function anyIndices(shape: readonly number[]): unknown[] {
  const indices: unknown[] = shape.map((length) => {
    if (random.chance(0.85)) return random.integer(-length, length - 1);
    return random.oneOf<unknown>([
      length,
      -length - 1,
      0.5,
      -0.5,
      -0.9999999999999999,
      -1.0000000000000002,
      -0,
      NaN,
      Infinity,
      -Infinity,
      2 ** 31,
      -(2 ** 31),
      2 ** 32,
      2 ** 32 + 1,
      -(2 ** 32),
      2 ** 53,
      "0",
      0n,
      -1n,
      null,
      undefined,
      true,
      [0],
      Symbol("0"),
      {},
    ]);
  });
  if (random.chance(0.05)) indices.pop();
  if (random.chance(0.05)) indices.push(0);
  return indices;
}

for (const dtype of dtypes) {
  Deno.test(`get(), set() and index() of ${dtype} do what the general ones do`, () => {
    for (let round = 0; round < 60; round++) {
      const view = anyView(dtype);
      const copy = view.data.slice();
      const twin = new (NDArray as Loose)(copy, view);
      for (let call = 0; call < 40; call++) {
        const indices = anyIndices(view.shape);
        const what = `[${view.shape}] [${view.stride}] at ${Deno.inspect(indices)}`;
        for (const method of ["get", "index"]) {
          const [ours, theirs] = [view, general].map((owner) =>
            outcome(() => owner[method].apply(view, indices))
          );
          assertEquals(ours, theirs, `${method} ${what}`);
        }
        const value = random.oneOf<unknown>([1, 1n, true, "1", undefined, NaN]);
        const [ours, theirs] = [
          outcome(() => view.set(...indices, value)),
          outcome(() => general.set.call(twin, ...indices, value)),
        ];
        assertEquals(ours, theirs, `set ${what} to ${String(value)}`);
      }
      assertEquals(view.data, copy);
    }
  });
}

/** Items of a slice of all kinds and spellings, most of them right. */
function anyItem(length: number): unknown {
  const bound = (): number | null =>
    random.oneOf([
      null,
      random.integer(-length - 2, length + 2),
      random.integer(0, length),
      2 ** 40,
    ]);
  const step = (): number | null => random.oneOf([null, 1, 2, 3, -1, -2, 1e9, -(2 ** 40)]);
  const range = slice(bound(), bound(), step());
  const { start, stop, step: by } = range;
  return random.oneOf<unknown>([
    range,
    range,
    slice(start, stop),
    { start, stop, step: by },
    `${start ?? ""}:${stop ?? ""}:${by ?? ""}`,
    ":",
    "::2",
    null,
    "...",
    random.integer(-length, length - 1),
    random.integer(-length - 1, length),
    Object.assign(slice(start, stop), { stop: random.oneOf<unknown>([1, -1, 0.5, "2", null, 1n]) }),
    random.oneOf<unknown>([
      0.5,
      -0.9999999999999999,
      NaN,
      "x",
      undefined,
      true,
      2n,
      [],
      {},
      "1",
      -0,
    ]),
  ]);
}

Deno.test("slice() does what the general one does", () => {
  for (let round = 0; round < 800; round++) {
    const view = anyView(random.oneOf(dtypes));
    for (let call = 0; call < 10; call++) {
      const items = (view.shape as number[]).map(anyItem);
      if (random.chance(0.2)) items.pop();
      if (random.chance(0.05)) items.push(0);
      const [ours, theirs] = [view, general].map((owner) =>
        outcome(() => {
          const part = owner.slice.apply(view, items);
          const { data, shape, stride, offset, dtype, size, ndim } = part;
          return { own: Object.keys(part), data, shape, stride, offset, dtype, size, ndim };
        })
      );
      assertEquals(ours, theirs, `[${view.shape}] [${view.stride}] by ${Deno.inspect(items)}`);
    }
  }
});

Deno.test("slice() takes a slice() whose parts were taken away as one that never had them", () => {
  const view = new NDArray(new Uint8Array(10), { shape: [10] });
  const ranges = [slice(0, 10, 2), slice(0, 10, 2)] as { step?: number | null }[];
  delete ranges[0].step;
  ranges[1].step = undefined;
  for (const range of ranges) assertEquals(view.slice(range).shape, [10]);
});

Deno.test("views serve through a proxy and as a prototype", () => {
  const view = new NDArray(Uint8Array.of(1, 2, 3, 4), { shape: [2, 2] });
  for (const other of [new Proxy(view, {}), Object.create(view) as typeof view]) {
    other.set(0, 0, 9);
    assertEquals([other.get(0, 0), other.index(1, -1)], [9, 3]);
    assertEquals(other.slice(1, "::-1").toArray(), [4, 3]);
    other.set(0, 0, 1);
  }
});

Deno.test("strides and offsets of -0 are 0, and no other view's", () => {
  const data = new Uint8Array(3);
  for (const zero of [-0, 0]) {
    const view = new NDArray(data, { shape: [2, 3], stride: [zero, 1], offset: zero });
    assert(Object.is(view.stride[0], 0) && Object.is(view.offset, 0));
  }
});

Deno.test("slice() by a negative step along a stride of 0 gives 0, not -0", () => {
  const view = new NDArray(new Uint8Array(3), { shape: [3], stride: [0] });
  for (const item of ["::-1", slice(null, null, -1), { step: -1 }]) {
    assert(Object.is(view.slice(item).stride[0], 0));
  }
});

Deno.test("methods that V8 has compiled check as they did before", () => {
  const view = new NDArray(new Float64Array(12).fill(1.5), { shape: [3, 4] });
  const owner: Loose = new NDArray(new Float64Array(12).fill(2.5), { shape: [3, 4] });
  const sum = (array: NDArray<"float64">, rows: number, columns: number): number => {
    let total = 0;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        array.set(i, j, array.get(i, j) + 0.25);
        total += array.slice(i).get(j);
      }
    }
    return total;
  };
  for (let round = 0; round < 20_000; round++) sum(view, 3, 4);
  assertThrows(() => sum(view, 3, 5), RangeError, "index 4: it is out of bounds for axis 1");
  assertThrows(() => sum(view, 4, 4), RangeError, "index 3: it is out of bounds for axis 0");
  const before = view.get(0, 0);
  assertEquals(view.get(-3, -4), before);
  for (let round = 0; round < 20_000; round++) sum(view, 3, 4);
  owner.data.buffer.transfer(0);
  assertThrows(() => sum(owner, 3, 4), Deno.errors.BadResource);
  assertEquals(sum(view, 1, 1), before + 20_000 / 4 + 0.25);
});

Deno.test("equal shapes and strides are one frozen list, and no view's lists are another's", () => {
  const view = new NDArray(new Uint8Array(64), { shape: [8, 8] });
  const [a, b] = [view.slice("0:4", "0:4"), view.slice("4:8", "4:8")];
  assertStrictEquals(a.shape, b.shape);
  const other = view.slice("0:4", "::2");
  assertEquals([a.shape, a.stride, other.shape, other.stride], [[4, 4], [8, 1], [4, 4], [8, 2]]);
  const given = [4, 4];
  const made = new NDArray(new Uint8Array(16), { shape: given });
  given[0] = 1;
  assertEquals(made.shape, [4, 4]);
  for (const { shape, stride } of [a, b, other, made]) {
    assert(Object.isFrozen(shape) && Object.isFrozen(stride));
  }
});

Deno.test("huge arrays that are attached at once and again keep to their own memory", () => {
  withNames((first, second, third) => {
    const names = [first, second, third];
    const length = 2 ** 30 + 4096;
    const arrays = names.map((name) => new SharedMemoryArray([length], "uint8", name));
    arrays.forEach((sma, i) => sma.create({ reserve: false }).set(-1, i + 1));
    for (let round = 0; round < 3; round++) {
      arrays.forEach((sma, i) => {
        assertEquals([sma.array!.get(-1), sma.array!.get(0)], [i + 1, round]);
        sma.array!.set(0, round + 1);
      });
      // In another order each time, so that one takes the place of another.
      for (const sma of round % 2 === 0 ? arrays : arrays.toReversed()) sma.close();
      for (const sma of arrays) sma.load();
    }
    for (const sma of arrays) sma.close();
  });
});
