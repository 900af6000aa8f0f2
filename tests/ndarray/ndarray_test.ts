import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { NDArray, SharedMemoryArray, slice, type SliceItem } from "../../mod.ts";
import { type DType, dtypes, typedArrayOf } from "../../src/dtype.ts";
import { runChild, withNames } from "../helpers/helpers.ts";

/** NDArray without its types: what JavaScript can pass to it. */
// deno-lint-ignore no-explicit-any -- that is the point
const Untyped = NDArray as unknown as new (...args: any[]) => any;

type ErrorClass = new (message: string) => Error;
type View = NDArray<DType>;

function isBig(dtype: DType): boolean {
  return dtype === "int64" || dtype === "uint64";
}

/** A value that an element of a dtype can hold, different for small different `i`. */
function valueOf(dtype: DType, i: number): number | bigint {
  return isBig(dtype) ? BigInt(i) : dtype === "bool" ? (i * 7 >> 1) & 1 : i;
}

/** A view of a shape in C order whose elements count up. */
function counting(shape: readonly number[], dtype: DType = "int32"): View {
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new (typedArrayOf(dtype))(size) as { [i: number]: unknown };
  for (let i = 0; i < size; i++) data[i] = valueOf(dtype, i);
  return new Untyped(data, { shape, dtype });
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** Every index of a shape, in C order. */
function indicesOf(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, length) => all.flatMap((index) => range(length).map((i) => [...index, i])),
    [[]],
  );
}

// --- The constructor -------------------------------------------------------------------------

Deno.test("new NDArray() takes all of the data by default", () => {
  const data = Float32Array.of(1, 2, 3);
  const view = new NDArray(data);
  assertStrictEquals(view.data, data);
  assertEquals(
    [view.shape, view.stride, view.offset, view.dtype, view.size, view.ndim, view.dimension],
    [[3], [1], 0, "float32", 3, 1, 1],
  );
  assertInstanceOf(view, NDArray);
  assertEquals([view.constructor, NDArray.name], [NDArray as unknown, "NDArray"]);
});

const layouts: [options: object, shape: number[], stride: number[], offset: number][] = [
  [{ shape: [2, 3] }, [2, 3], [3, 1], 0],
  [{ shape: 4 }, [4], [1], 0],
  [{ shape: [] }, [], [], 0],
  [{ shape: [], offset: 11 }, [], [], 11],
  [{ offset: 2 }, [10], [1], 2],
  [{ offset: 12 }, [0], [1], 12],
  [{ shape: [2, 2], offset: 5 }, [2, 2], [2, 1], 5],
  [{ shape: [3, 4], stride: [1, 3] }, [3, 4], [1, 3], 0],
  [{ shape: [12], stride: [-1], offset: 11 }, [12], [-1], 11],
  [{ shape: [5, 5], stride: [0, 0], offset: 11 }, [5, 5], [0, 0], 11],
  [{ shape: [2, 3], stride: [-6, 2], offset: 6 }, [2, 3], [-6, 2], 6],
  [{ shape: [0, 100] }, [0, 100], [100, 1], 0],
  [{ shape: [2, 0, 3] }, [2, 0, 3], [3, 3, 1], 0],
  [{ shape: undefined, stride: undefined, offset: undefined }, [12], [1], 0],
  [{ shape: [1, 1, 12], stride: [999, -999, 1] }, [1, 1, 12], [999, -999, 1], 0],
];
for (const [options, shape, stride, offset] of layouts) {
  Deno.test(`new NDArray() with ${Deno.inspect(options)}`, () => {
    const view = new NDArray(new Uint8Array(12), options);
    assertEquals([view.shape, view.stride, view.offset], [shape, stride, offset]);
    assertEquals(view.size, shape.reduce((a, b) => a * b, 1));
    assertEquals([...view].length, view.size);
  });
}

const refused: [data: unknown, options: unknown, ErrorClass: ErrorClass, message: string][] = [
  [
    [1, 2],
    undefined,
    TypeError,
    "data must be a typed array, not an array; Float64Array.from(data) makes one of numbers",
  ],
  [null, undefined, TypeError, "not null"],
  [undefined, undefined, TypeError, "not undefined"],
  [new ArrayBuffer(8), undefined, TypeError, "; new Float64Array(data) is one over a buffer"],
  [new SharedArrayBuffer(8), undefined, TypeError, "; new Float64Array(data) is one over a buffer"],
  [
    new NDArray(new Int8Array(2)),
    undefined,
    TypeError,
    "; it is a view already, and slice() makes",
  ],
  [new SharedMemoryArray(2, "int8", "x"), undefined, TypeError, "; its array is a view"],
  [new DataView(new ArrayBuffer(8)), undefined, TypeError, "must be a typed array"],
  [new Uint8Array(4), null, TypeError, "options must be an object, not null"],
  [new Uint8Array(4), 4, TypeError, "options must be an object, not a number"],
  [new Uint8Array(4), [2, 2], TypeError, "not an array; a shape is given as { shape }"],
  [
    new Uint8Array(4),
    { strides: [2, 1] },
    TypeError,
    "strides is none of its options; give stride",
  ],
  [new Uint8Array(4), { order: "F" }, TypeError, 'for order "F" of shape [2, 3] that is [1, 2]'],
  [new Uint8Array(4), { byteOffset: 1 }, TypeError, "give offset, which counts elements"],
  [new Uint8Array(4), { offset: null }, TypeError, "not null"],
  [new Uint8Array(4), { dtype: "int8" }, TypeError, "data holds uint8, not int8"],
  [new Uint8Array(4), { dtype: "uint8c" }, TypeError, "data holds uint8, not uint8c"],
  [new Int8Array(4), { dtype: "bool" }, TypeError, "data holds int8, not bool"],
  [new Float32Array(4), { dtype: ">f4" }, TypeError, "big-endian"],
  [new Uint8Array(4), { shape: [5] }, RangeError, "over 4 elements"],
  [new Uint8Array(4), { shape: [2, 2], offset: 1 }, RangeError, "positions 1 to 4"],
  [new Uint8Array(4), { offset: 5 }, RangeError, "over 4 elements"],
  [new Uint8Array(4), { offset: -1 }, RangeError, "offset -1: it is negative"],
  [new Uint8Array(4), { offset: 0.5 }, RangeError, "must be a safe integer, not 0.5"],
  [new Uint8Array(4), { offset: "1" }, TypeError, "offset"],
  [new Uint8Array(4), { shape: [-1] }, RangeError, "a length is negative"],
  [new Uint8Array(4), { shape: [1.5] }, RangeError, "must be a safe integer, not 1.5"],
  [new Uint8Array(4), { shape: ["2"] }, TypeError, "must be an integer"],
  [new Uint8Array(4), { shape: "2" }, TypeError, "shape"],
  [new Uint8Array(4), { shape: [2 ** 30, 2 ** 30] }, RangeError, "beyond 2^53 - 1"],
  [new Uint8Array(4), { shape: [0, 2 ** 30, 2 ** 30] }, RangeError, "beyond 2^53 - 1"],
  [new Uint8Array(4), { shape: [2, 2], stride: [1] }, RangeError, "1 entries"],
  [new Uint8Array(4), { shape: [2, 2], stride: [3, 1] }, RangeError, "positions 0 to 4"],
  [new Uint8Array(4), { shape: [2], stride: [-1] }, RangeError, "positions -1 to 0"],
  [new Uint8Array(4), { shape: [2], stride: [2 ** 53] }, RangeError, "must be a safe integer"],
  [new Uint8Array(4), { shape: [2], stride: 1 }, TypeError, "stride"],
];
for (const [data, options, Class, message] of refused) {
  Deno.test(`new NDArray() refuses ${Deno.inspect(data)} with ${Deno.inspect(options)}`, () => {
    const error = assertThrows(() => new Untyped(data, options), Class, message);
    assertMatch(error.message, /^Cannot /);
  });
}

Deno.test("new NDArray() freezes shape and stride, and copies what it was given", () => {
  const shape = [2, 3];
  const view = new NDArray(new Uint8Array(6), { shape });
  shape[0] = 9;
  assertEquals(view.shape, [2, 3]);
  assertThrows(() => (view.shape as number[])[0] = 1, TypeError);
  assertThrows(() => (view.stride as number[]).pop(), TypeError);
  for (const derived of [view.slice(0), view.transpose(), view.reshape(6)]) {
    assert(Object.isFrozen(derived.shape) && Object.isFrozen(derived.stride));
    assertStrictEquals(derived.data, view.data);
    assertInstanceOf(derived, NDArray);
  }
});

Deno.test("new NDArray() takes options that are inherited, and getters of classes", () => {
  class Chunk {
    get shape(): number[] {
      return [2, 1];
    }
    get stride(): number[] {
      return [3, 1];
    }
    get offset(): number {
      return 1;
    }
  }
  for (const options of [new Chunk(), Object.create(new Chunk()), Object.create({ ...layoutOf })]) {
    const { shape, stride, offset } = new NDArray(new Uint8Array(6), options as Chunk);
    assertEquals({ shape, stride, offset }, layoutOf);
  }
  const everywhere = Object.prototype as { shape?: number[] };
  everywhere.shape = [2, 2];
  try {
    assertEquals(new NDArray(new Uint8Array(6), {}).shape, [6]);
  } finally {
    delete everywhere.shape;
  }
});
const layoutOf = { shape: [2, 1], stride: [3, 1], offset: 1 };

Deno.test("new NDArray() tells the dtype of every typed array, and of subclasses", () => {
  for (const dtype of dtypes) {
    const data = new (typedArrayOf(dtype))(2);
    assertEquals(new NDArray(data).dtype, dtype === "bool" ? "uint8" : dtype);
    assertEquals(new Untyped(data, { dtype }).dtype, dtype);
  }
  class Bytes extends Uint8Array {}
  assertEquals(new NDArray(new Bytes(2)).dtype, "uint8");
  const view = new NDArray(new Bytes([1, 2, 3])).slice("1:");
  assertEquals([...view.subarray()], [2, 3]);
});

Deno.test("NDArray has element types, to the compiler", () => {
  const big: bigint = new NDArray(new BigInt64Array(1)).get(0);
  const half: number = new NDArray(new Float16Array(1)).get(0);
  const truth = new NDArray(new Uint8Array(1), { dtype: "bool" });
  truth.set(0, true);
  assertEquals([big, half, truth.get(0)], [0n, 0, 1]);
  // @ts-expect-error: a number is not stored in an int64
  assertThrows(() => new NDArray(new BigInt64Array(1)).set(0, 1), TypeError);
});

// --- Elements, of every dtype and rank -------------------------------------------------------

const ranks: readonly number[][] = [
  [],
  [5],
  [2, 3],
  [2, 3, 2],
  [2, 1, 3, 2],
  [2, 2, 1, 2, 3],
  [1, 2, 2, 2, 1, 2],
  [2, 1, 2, 1, 2, 1, 2],
  [1, 2, 1, 2, 1, 2, 1, 2],
  [2, 1, 2, 1, 2, 1, 2, 1, 2],
];
for (const dtype of dtypes) {
  Deno.test(`get(), set() and index() of ${dtype} in 0 to 9 dimensions`, () => {
    for (const shape of ranks) {
      const view = counting(shape, dtype);
      let i = 0;
      for (const index of indicesOf(shape)) {
        const fromEnd = index.map((at, axis) => at - shape[axis]);
        const message = `${dtype} [${shape}] at [${index}]`;
        assertEquals(view.index(...index), i, message);
        assertEquals(view.index(...fromEnd), i, message);
        assertEquals(view.get(...index), valueOf(dtype, i), message);
        assertEquals(view.get(...fromEnd), valueOf(dtype, i), message);
        view.set(...index, valueOf(dtype, i + 1) as number);
        assertEquals(view.data[i], valueOf(dtype, i + 1), message);
        view.set(...fromEnd, valueOf(dtype, i) as number);
        assertEquals(view.data[i], valueOf(dtype, i), message);
        i++;
      }
    }
  });

  Deno.test(`get() and set() of turned views of ${dtype} in 0 to 9 dimensions`, () => {
    for (const shape of ranks) {
      const view = counting(shape, dtype);
      const turned = view.transpose().slice(...shape.map(() => slice(null, null, -1)));
      assertEquals(turned.shape, shape.toReversed());
      for (const index of indicesOf(shape)) {
        const there = index.map((at, axis) => shape[axis] - 1 - at).toReversed();
        assertEquals(turned.get(...there), view.get(...index));
        assertEquals(turned.index(...there), view.index(...index));
      }
      assertEquals(
        [...turned],
        indicesOf(turned.shape).map((index) => turned.get(...index)),
      );
      assertEquals([...turned.copy()] as unknown[], [...turned]);
    }
  });

  Deno.test(`get(), set() and index() of ${dtype} refuse wrong indices`, () => {
    const one = isBig(dtype) ? 1n : 1;
    for (const shape of ranks) {
      const view = counting(shape, dtype) as unknown as {
        [method in "get" | "set" | "index"]: (...args: unknown[]) => unknown;
      };
      const before = (view as unknown as View).copy();
      const zeros: unknown[] = shape.map(() => 0);
      const cases: [index: unknown[], ErrorClass: ErrorClass, message: string][] = [
        [[...zeros, 0], RangeError, `Cannot reach an element: ${shape.length + 1} ind`],
      ];
      shape.forEach((length, axis) => {
        const at = (index: unknown): unknown[] => zeros.with(axis, index);
        cases.push(
          [zeros.slice(1), RangeError, `Cannot reach an element: ${shape.length - 1} ind`],
          [at(length), RangeError, `Cannot reach index ${length}: it is out of bounds for axis`],
          [at(-length - 1), RangeError, `out of bounds for axis ${axis} of length ${length}`],
          [at(2 ** 31), RangeError, "out of bounds"],
          [at(2 ** 32), RangeError, "out of bounds"],
          [at(-(2 ** 32)), RangeError, "out of bounds"],
          [at(0.5), RangeError, "must be a safe integer, not 0.5"],
          [at(NaN), RangeError, "must be a safe integer, not NaN"],
          [at(-Infinity), RangeError, "must be a safe integer, not -Infinity"],
          [at("0"), TypeError, `the index of axis ${axis} must be an integer, not a string`],
          [at(null), TypeError, "not null"],
          [at(undefined), TypeError, "not undefined"],
          [at([0]), TypeError, "not an array"],
          [at(false), TypeError, "not a boolean"],
          [at({ valueOf: () => 0 }), TypeError, "not an object"],
          [at(0n), TypeError, "Cannot"],
        );
      });
      for (const [index, Class, message] of cases) {
        const what = `${dtype} [${shape}] at ${Deno.inspect(index)}`;
        assertThrows(() => view.get(...index), Class, message, `get ${what}`);
        assertThrows(() => view.index(...index), Class, message, `index ${what}`);
        // One index too few is one argument too few: then a bigint stands where an index should.
        const tooFew = index.length < shape.length;
        if (!tooFew) assertThrows(() => view.set(...index, one), Class, message, `set ${what}`);
        else if (dtype !== "bool") assertThrows(() => view.set(...index, one), Error, "Cannot");
        assertEquals((view as unknown as View).copy(), before, `set ${what}`);
      }
    }
  });
}

Deno.test("get() takes -0 for 0", () => {
  const view = counting([2, 2]);
  assertEquals([view.get(-0, 1), view.get(1, -0)], [1, 2]);
});

// --- Values ----------------------------------------------------------------------------------

const conversions: [dtype: DType, stored: number | bigint, read: number | bigint][] = [
  ["int8", 200, -56],
  ["uint8", -1, 255],
  ["uint8", 256.9, 0],
  ["uint8c", 300, 255],
  ["uint8c", -5, 0],
  ["uint8c", 1.5, 2],
  ["int16", 40000, -25536],
  ["uint16", 65537, 1],
  ["int32", 2 ** 31, -(2 ** 31)],
  ["uint32", -1, 2 ** 32 - 1],
  ["int32", NaN, 0],
  ["int64", 2n ** 63n, -(2n ** 63n)],
  ["uint64", -1n, 2n ** 64n - 1n],
  ["float16", 0.1, 0.0999755859375],
  ["float16", 1e6, Infinity],
  ["float32", 0.1, Math.fround(0.1)],
  ["float64", -0, -0],
  ["float64", NaN, NaN],
];
for (const [dtype, stored, read] of conversions) {
  Deno.test(`set(), fill() and assign() of ${dtype} convert ${stored} as typed arrays do`, () => {
    for (const shape of [[], [2], [3, 2], [1, 1, 1, 1, 1, 1, 1, 1, 2]]) {
      const view = counting(shape, dtype);
      const last = shape.map(() => -1);
      view.set(...last, stored as number);
      assertEquals(view.get(...last), read);
      assertEquals([...view.fill(stored as number)], Array(view.size).fill(read));
      view.fill(valueOf(dtype, 1) as number).assign(stored as number);
      assertEquals([...view], Array(view.size).fill(read));
      assertEquals([...view.assign([stored] as number[])], Array(view.size).fill(read));
    }
  });
}

Deno.test("set(), fill() and assign() refuse values of another kind, and store nothing", () => {
  for (const dtype of dtypes) {
    if (dtype === "bool") continue;
    const wrong: unknown[] = [
      isBig(dtype) ? 1 : 1n,
      "1",
      true,
      null,
      undefined,
      {},
      Symbol("s"),
      () => 1,
      new Date(0),
    ];
    for (const shape of [[], [2], [2, 2], [1, 1, 1, 1, 1, 1, 1, 1, 2]]) {
      const view = counting(shape, dtype);
      const before = view.copy();
      const index = shape.map(() => 0);
      for (const value of wrong) {
        const stores = {
          set: () => view.set(...index, value as number),
          fill: () => view.fill(value as number),
          assign: () => view.assign(value as number),
          nested: () => view.assign([value] as number[]),
        };
        for (const [method, store] of Object.entries(stores)) {
          // Booleans, of which NumPy has arrays, may be assigned to numbers.
          if (value === true && (method === "assign" || method === "nested")) continue;
          const error = assertThrows(store, TypeError, undefined, `${dtype} ${method}`);
          assertMatch(error.message, new RegExp(`^Cannot store .* in ${dtype}: `));
        }
        assertEquals(view.copy(), before);
      }
      // The value was forgotten: that is an index too few, or no value.
      assertThrows(() => (view.set as (...args: number[]) => void)(...index));
      assertEquals(view.copy(), before);
    }
  }
});

Deno.test("set() says how to convert between numbers and bigints", () => {
  const loose = (view: unknown): { set(...args: unknown[]): void } => view as never;
  assertThrows(
    () => loose(counting([2], "int64")).set(0, 1),
    TypeError,
    "Cannot store a number in int64: its elements are bigints; BigInt(value) converts",
  );
  assertThrows(
    () => loose(counting([2], "float64")).set(0, 1n),
    TypeError,
    "Cannot store a bigint in float64: its elements are numbers; Number(value) converts",
  );
});

Deno.test("bool stores the truth of what is given, and reads 0 or 1", () => {
  const truths: [value: unknown, truth: number][] = [
    [true, 1],
    [false, 0],
    [1, 1],
    [0, 0],
    [-0, 0],
    [7, 1],
    [0.1, 1],
    [256, 1],
    [5n, 1],
    [0n, 0],
    [NaN, 1],
  ];
  for (const shape of [[], [2], [2, 2], [1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 2]]) {
    for (const [value, truth] of truths) {
      const index = shape.map(() => -1);
      for (const before of [0, 1]) {
        const fresh = () => counting(shape, "bool").fill(before) as NDArray<"bool">;
        const view = fresh();
        view.set(...index, value as boolean);
        assertEquals(view.get(...index), truth);
        assertEquals([...fresh().fill(value as boolean).data], Array(view.size).fill(truth));
        assertEquals([...fresh().assign(value as boolean).data], Array(view.size).fill(truth));
        assertEquals([...fresh().assign([value as boolean]).data], Array(view.size).fill(truth));
      }
    }
  }
});

Deno.test("bool refuses what is no value, as every dtype does", () => {
  const zero = new NDArray(new Uint8Array(1), { shape: [], dtype: "bool" });
  const given: [value: unknown, kind: string][] = [
    [undefined, "undefined"],
    [{}, "an object"],
    [zero, "an object"],
    [new SharedMemoryArray(1, "bool", "a"), "an object"],
    [[0].values(), "an object"],
    [() => 0, "a function"],
  ];
  for (const shape of [[], [1], [1, 1], [1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 1]]) {
    for (const [value, kind] of given) {
      const view = new Untyped(new Uint8Array(1), { shape, dtype: "bool" });
      const ways: (() => unknown)[] = [
        () => view.set(...shape.map(() => 0), value),
        () => view.fill(value),
        () => view.assign([value]),
      ];
      // A view and an array are sources, of which the elements are taken.
      if (value !== zero) ways.push(() => view.assign(value));
      for (const way of value === zero ? ways.slice(0, 2) : ways) {
        assertThrows(
          way,
          TypeError,
          `Cannot store ${kind} in bool: its elements are true and false`,
        );
      }
      assertEquals(view.data[0], 0);
    }
  }
});

Deno.test("bool reads 1 where another process stored another byte, and copies 1", () => {
  const data = Uint8Array.of(0, 7, 255, 1);
  const view = new NDArray(data, { dtype: "bool" });
  assertEquals(range(4).map((i) => view.get(i)), [0, 1, 1, 1]);
  assertEquals([...view], [0, 1, 1, 1]);
  assertEquals(view.toArray(), [0, 1, 1, 1]);
  assertEquals(view.copy(), Uint8Array.of(0, 1, 1, 1));
  assertEquals(view.reshape(1, 1, 1, 1, 1, 1, 1, 2, 2).get(0, 0, 0, 0, 0, 0, 0, 1, 0), 1);
  assertEquals(new NDArray(new Float32Array(4)).assign(view).toArray(), [0, 1, 1, 1]);
  const target = new NDArray(new Uint8Array(4), { dtype: "bool" });
  assertEquals(target.assign(view).data, Uint8Array.of(0, 1, 1, 1));
  assertEquals(String(view), "[False  True  True  True]");
  // As bytes they are what they are.
  assertEquals(new NDArray(data).toArray(), [0, 7, 255, 1]);
});

Deno.test("set() of bool counts its arguments as every dtype does", () => {
  // A forgotten value must not be taken for a false one.
  for (const shape of [[3], [2, 2], [2, 1, 2, 1, 2, 1, 2, 1, 2]]) {
    const view = counting(shape, "bool").fill(1);
    const set = view.set.bind(view) as (...args: unknown[]) => void;
    assertThrows(() => set(...shape.map(() => 0)), RangeError, "Cannot reach an element");
    assertEquals([...view.data], Array(view.size).fill(1));
  }
  const single = counting([], "bool").fill(1);
  assertThrows(() => (single.set as () => void)(), Error, "Cannot");
  assertEquals(single.get(), 1);
});

// --- slice() ---------------------------------------------------------------------------------

/** Selects from nested arrays, by the rules and nothing else: what the views are compared with. */
function pick(nested: unknown, items: readonly SliceItem[], ndim: number): unknown {
  const at = items.indexOf("...");
  if (at >= 0) {
    const whole = Array(ndim - items.length + 1).fill(null);
    return pick(nested, [...items.slice(0, at), ...whole, ...items.slice(at + 1)], ndim);
  }
  if (items.length === 0) return nested;
  const [item, ...rest] = items;
  const list = nested as unknown[];
  const text = typeof item === "string" ? item : null;
  if (typeof item === "number" || (text !== null && !text.includes(":"))) {
    return pick(list.at(Number(item)), rest, ndim - 1);
  }
  const parts = text === null
    ? [
      (item as { start?: number })?.start,
      (item as { stop?: number })?.stop,
      (item as { step?: number })?.step,
    ]
    : text.split(":").map((part) => part.trim() === "" ? null : Number(part));
  return pythonRange(parts, list.length).map((i) => pick(list[i], rest, ndim - 1));
}

/** The indices that Python's `range(n)[start:stop:step]` has, found by walking. */
function pythonRange(parts: (number | null | undefined)[], n: number): number[] {
  const [start, stop] = parts.map((part) =>
    part !== null && part !== undefined && part < 0 ? part + n : part
  );
  const step = parts[2] ?? 1;
  const walk = step > 0 ? range(n) : range(n).toReversed();
  const begun = walk.filter((i) =>
    (start == null || (step > 0 ? i >= start : i <= start)) &&
    (stop == null || (step > 0 ? i < stop : i > stop))
  );
  return begun.filter((_, k) => k % Math.abs(step) === 0);
}

const selections: SliceItem[][] = [
  [],
  [0],
  [-1],
  ["1"],
  ["-2"],
  [null],
  [":"],
  ["..."],
  [slice(1)],
  [slice(null, 1)],
  [slice(0, 10)],
  [slice(null, null, -1)],
  ["::-1", "::-2"],
  ["1:", -1],
  [{ stop: 2 }, { step: 2 }],
  ["...", 0],
  ["...", "::2", 1],
  [0, "..."],
  [0, "...", -1],
  [1, 2, 3],
  [1, 2, 3, "..."],
  ["...", 1, 2, 3],
  [":", ":", ":"],
  [null, null, slice(3, 0, -2)],
  ["-100:100", "100:-100:-1", " 1 : 3 "],
  ["3:3"],
  ["5:", 0],
  [":", "2:1"],
  ["+1:+2"],
  [slice(-1, null, -1)],
];
for (const items of selections) {
  Deno.test(`slice(${items.map((item) => Deno.inspect(item)).join(", ")})`, () => {
    const view = counting([2, 3, 4]);
    const part = view.slice(...items);
    assertEquals(part.toArray(), pick(view.toArray(), items, 3));
    assertStrictEquals(part.data, view.data);
    // The same of a view that is itself turned and stepped.
    const turned = counting([8, 3, 2]).transpose().slice(":", "::-1", "::2");
    assertEquals(turned.slice(...items).toArray(), pick(turned.toArray(), items, 3));
  });
}

Deno.test("slice() of slices, and of slices of those", () => {
  const view = counting([6, 5, 4]);
  const chain: SliceItem[][] = [["1:", "::-1"], ["::2", 1, ":"], [":", "::-2"], [-1], ["1:"]];
  let [part, model]: [View, unknown] = [view, view.toArray()];
  for (const items of chain) {
    model = pick(model, items, part.ndim);
    part = part.slice(...items);
    assertEquals(part.toArray(), model);
  }
  part.fill(-1);
  assertEquals([...view].filter((element) => element === -1).length, part.size);
});

const badSelections: [items: unknown[], ErrorClass: ErrorClass, message: string][] = [
  [[2], RangeError, "Cannot reach index 2: it is out of bounds for axis 0 of length 2"],
  [["-3"], RangeError, "Cannot reach index -3"],
  [[0, 3], RangeError, "for axis 1 of length 3"],
  [["...", 4], RangeError, "for axis 2 of length 4"],
  [[0, 0, 0, 0], RangeError, "Cannot slice: 4 indices for an array of 3 axes"],
  [["...", 0, "..."], RangeError, "may occur only once"],
  [["::0"], RangeError, "step must not be 0"],
  [[{ step: 0 }], RangeError, "step must not be 0"],
  [[0.5], RangeError, "must be a safe integer, not 0.5"],
  [[NaN], RangeError, "NaN"],
  [[2 ** 53], RangeError, "safe integer"],
  [["1:2:3:4"], RangeError, "is no index"],
  [[""], RangeError, '"" is no index'],
  [["1.5"], RangeError, "is no index"],
  [["a"], RangeError, "is no index"],
  [["0x1"], RangeError, "is no index"],
  [["99999999999999999999"], RangeError, "safe integer"],
  [[slice, 0], TypeError, "is no index"],
  [[undefined], TypeError, "is no index"],
  [[true], TypeError, "is no index"],
  [[1n], TypeError, "is no index"],
  [[[0, 1]], TypeError, "an array is no index"],
  [[new Int32Array(1)], TypeError, "is no index"],
  [[{}], TypeError, "start, stop or step"],
  [[{ begin: 1 }], TypeError, '"begin"'],
  [[{ start: "1" }], TypeError, "start must be an integer, not a string"],
  [[{ stop: 1.5 }], RangeError, "stop must be a safe integer"],
  [[{ stop: Infinity }], RangeError, "null means an open end"],
];
for (const [items, Class, message] of badSelections) {
  Deno.test(`slice() refuses ${Deno.inspect(items)}`, () => {
    const view = counting([2, 3, 4]) as unknown as { slice(...items: unknown[]): unknown };
    const error = assertThrows(() => view.slice(...items), Class, message);
    assertMatch(error.message, /^Cannot /);
  });
}

// --- Empty views -----------------------------------------------------------------------------

Deno.test("empty views are valid", () => {
  const nested: [shape: number[], nested: unknown][] = [
    [[0], []],
    [[0, 3], []],
    [[2, 0], [[], []]],
    [[2, 0, 3], [[], []]],
    [[1, 2, 0], [[[], []]]],
    [[0, 1, 1, 1, 1, 1, 1, 1, 1], []],
  ];
  for (const [shape, expected] of nested) {
    for (const dtype of dtypes) {
      const view = counting(shape, dtype);
      assertEquals([view.size, view.toArray(), [...view]], [0, expected, []]);
      assertEquals(view.copy(), new (typedArrayOf(dtype))(0));
      assertEquals(view.subarray().length, 0);
      assert(view.isContiguous());
      const one = valueOf(dtype, 1) as number;
      assertStrictEquals(view.fill(one).assign(one).assign(view as never), view);
      assertEquals(view.transpose().shape, shape.toReversed());
      assertEquals(view.reshape(0).shape, [0]);
      assertEquals(view.reshape(0, 7).shape, [0, 7]);
      assertEquals(String(view), "[]");
      assertThrows(() => view.get(...shape.map(() => 0)), RangeError, "out of bounds");
      assertThrows(() => view.set(...shape.map(() => 0), one), RangeError, "out of bounds");
      assertThrows(() => view.reshape(1), RangeError, "does not fill");
    }
  }
  assertEquals(counting([3, 4]).slice("3:").reshape(4, 0).shape, [4, 0]);
  assertThrows(() => counting([0, 3]).reshape(0, -1), RangeError, "Cannot reshape");
});

Deno.test("slice() by a view, and assign() of what has an array, say what to do", () => {
  const view = new NDArray(new Float64Array(3));
  const mask = new NDArray(new Uint8Array(3), { dtype: "bool" });
  assertThrows(() => view.slice(mask as never), TypeError, "no masks and no lists of indices");
  assertThrows(() => view.slice([0, 1] as never), TypeError, "an array is no index");
  const sma = new SharedMemoryArray(3, "float64", "a");
  assertThrows(() => view.assign(sma as never), TypeError, "Cannot store an object in float64");
  assertThrows(() => view.assign(sma as never), TypeError, "; give its array");
});

// --- subarray(), copy(), toArray() -----------------------------------------------------------

Deno.test("subarray() shares, copy() and toArray() do not", () => {
  const view = counting([4, 3], "float64");
  const rows = view.slice("1:3");
  const shared = rows.subarray();
  assertInstanceOf(shared, Float64Array);
  assertStrictEquals(shared.buffer, view.data.buffer);
  assertEquals([...shared] as unknown[], [3, 4, 5, 6, 7, 8]);
  shared[0] = 99;
  assertEquals(view.get(1, 0), 99);
  const copy = rows.copy();
  copy[0] = 1;
  assertNotStrictEquals(copy.buffer, view.data.buffer);
  assertEquals(copy.buffer.byteLength, 6 * 8);
  rows.toArray()[0][0] = 2;
  assertEquals(view.get(1, 0), 99);
  assertEquals(view.slice(2, 1).subarray() as unknown, Float64Array.of(7));
  const all = view.subarray();
  for (const [begin, end] of [[1], [1, 3], [-2], [undefined, 2], [3, 1], [0, 99]]) {
    assertEquals(view.subarray(begin, end), all.subarray(begin, end));
  }
  assertStrictEquals(view.subarray(1).buffer, view.data.buffer);
  assertThrows(() => view.subarray("1" as never), TypeError, "Cannot give this subarray");
  assertThrows(() => view.subarray(0.5), RangeError, "Cannot give this subarray");
  assertThrows(() => view.slice(":", 0).subarray(), RangeError, "not contiguous; copy()");
  assertThrows(() => view.transpose().subarray(), RangeError, "Cannot give a subarray");
});

Deno.test("toArray() and copy() of every rank and dtype, in C order", () => {
  for (const dtype of dtypes) {
    for (const shape of ranks) {
      const view = counting(shape, dtype);
      const flat: unknown = shape.length === 0 ? [view.toArray()] : view.toArray().flat(8);
      assertEquals(flat, [...view.data].map((value) => value));
      const copy = view.copy();
      assertInstanceOf(copy, typedArrayOf(dtype));
      assertEquals(copy, view.data);
    }
  }
  assertEquals(counting([]).toArray(), 0);
  assertEquals(counting([2, 2]).transpose().toArray(), [[0, 2], [1, 3]]);
});

// --- reshape(), transpose(), isContiguous() --------------------------------------------------

Deno.test("reshape() is a view in C order", () => {
  const view = counting([2, 6]);
  for (const shape of [[12], [3, 4], [2, 2, 3], [1, 12, 1], [4, -1], [-1], [-1, 3, 2]]) {
    const reshaped = view.reshape(...shape);
    assertEquals(reshaped.shape, view.reshape(shape).shape);
    assertEquals(reshaped.size, 12);
    assertEquals([...reshaped], range(12));
    assertStrictEquals(reshaped.data, view.data);
  }
  assertEquals(counting([1]).reshape([]).get(), 0);
  assertEquals(counting([]).reshape(1, 1).toArray(), [[0]]);
  assertEquals(view.slice(1).reshape(2, 3).toArray(), [[6, 7, 8], [9, 10, 11]]);
  view.reshape(12).set(7, -7);
  assertEquals(view.get(1, 1), -7);
});

const badShapes: [shape: unknown[], ErrorClass: ErrorClass, message: string][] = [
  [[5], RangeError, "shape [2, 6] of 12 elements does not fill shape [5]"],
  [[-1, 5], RangeError, "does not fill"],
  [[-1, -1], RangeError, "only one length may be -1"],
  [[-2, 6], RangeError, "negative"],
  [[0, -1], RangeError, "Cannot reshape"],
  [[2.5], RangeError, "2.5"],
  [["12"], TypeError, "must be an integer"],
  [[[3, 4], 1], TypeError, "must be an integer"],
];
for (const [shape, Class, message] of badShapes) {
  Deno.test(`reshape() refuses ${Deno.inspect(shape)}`, () => {
    const view = counting([2, 6]) as unknown as { reshape(...shape: unknown[]): unknown };
    const error = assertThrows(() => view.reshape(...shape), Class, message);
    assertMatch(error.message, /^Cannot /);
  });
}

Deno.test("reshape() never copies: of a view that is not contiguous it is an error", () => {
  for (const view of [counting([3, 4]).transpose(), counting([3, 5]).slice(":", "::2")]) {
    assertThrows(() => view.reshape(-1), RangeError, "Cannot reshape: the view is not contiguous");
  }
});

Deno.test("transpose() permutes the axes", () => {
  const view = counting([2, 3, 4]);
  const cases: [axes: number[], shape: number[]][] = [
    [[], [4, 3, 2]],
    [[0, 1, 2], [2, 3, 4]],
    [[1, 0, 2], [3, 2, 4]],
    [[2, 0, 1], [4, 2, 3]],
    [[-1, 0, -2], [4, 2, 3]],
  ];
  for (const [axes, shape] of cases) {
    const turned = view.transpose(...axes);
    assertEquals(turned.shape, shape);
    if (axes.length > 0) assertEquals(view.transpose(axes).stride, turned.stride);
    const order = axes.length === 0 ? [2, 1, 0] : axes.map((axis) => (axis + 3) % 3);
    for (const index of indicesOf(view.shape)) {
      assertEquals(turned.get(...order.map((axis) => index[axis])), view.get(...index));
    }
  }
  assertEquals(counting([]).transpose().get(), 0);
  for (const axes of [[0, 1], [0, 0, 1], [0, 1, 3], [0, 1, 2, 3], [-4, 1, 2], [0, 2, -1]]) {
    assertThrows(() => view.transpose(...axes), RangeError, "must name each of the 3 axes once");
  }
  const loose = view as unknown as { transpose(...axes: unknown[]): unknown };
  assertThrows(() => loose.transpose("0", 1, 2), TypeError, "axes");
  assertThrows(() => loose.transpose(0.5, 1, 2), RangeError, "axes");
});

Deno.test("isContiguous() is NumPy's flags.c_contiguous", () => {
  const view = counting([2, 3, 4]);
  const yes = [
    view,
    view.slice(1),
    view.slice("1:"),
    view.slice(0, "1:3"),
    view.slice(0, 0, "::4"),
    view.slice(0, 0, 0),
    view.slice("::-2", "1:"),
    view.slice("5:", "::2"),
    counting([]),
    counting([1, 5, 1]).transpose(),
  ];
  const no = [
    view.transpose(),
    view.slice("::-1"),
    view.slice(":", "1:"),
    view.slice(":", 0),
    view.slice("...", "::2"),
  ];
  assertEquals(yes.map((v) => v.isContiguous()), yes.map(() => true));
  assertEquals(no.map((v) => v.isContiguous()), no.map(() => false));
});

// --- The getters of scijs ndarray ------------------------------------------------------------

Deno.test("dimension and order are those of scijs ndarray", () => {
  const view = counting([2, 3, 4]);
  assertEquals([view.dimension, view.order], [3, [2, 1, 0]]);
  assertEquals(view.transpose().order, [0, 1, 2]);
  assertEquals(view.transpose(1, 2, 0).order, [1, 0, 2]);
  assertEquals(view.slice("::-1").order, [2, 1, 0]);
  assertEquals([counting([]).dimension, counting([]).order], [0, []]);
  // A fresh array each time: who changes it harms nobody.
  view.order.reverse();
  assertEquals(view.order, [2, 1, 0]);
  // What cwise reads: own fields, so that a view can be taken apart.
  for (const field of ["data", "shape", "stride", "offset"]) assert(Object.hasOwn(view, field));
});

// --- fill() ----------------------------------------------------------------------------------

for (const dtype of dtypes) {
  Deno.test(`fill() of ${dtype} stores in every element of the view, and nowhere else`, () => {
    const one = (isBig(dtype) ? 1n : 1) as number;
    const zero = (isBig(dtype) ? 0n : 0) as number;
    for (const items of [[], ["::2"], [":", "1:3"], [1], [0, "::-2"], ["...", 0], [1, 2, 3]]) {
      for (const turn of [false, true]) {
        const view = counting([2, 3, 4], dtype).fill(zero);
        const part = (turn ? view.transpose(2, 0, 1).transpose(1, 2, 0) : view).slice(...items);
        assertStrictEquals(part.fill(one), part);
        assertEquals([...view.data].filter((element) => element == 1).length, part.size);
        assert([...part].every((element) => element == 1));
      }
    }
  });
}

// --- assign() --------------------------------------------------------------------------------

const sources: [source: unknown, expected: unknown][] = [
  [7, [[7, 7, 7], [7, 7, 7]]],
  [[1, 2, 3], [[1, 2, 3], [1, 2, 3]]],
  [[[1], [2]], [[1, 1, 1], [2, 2, 2]]],
  [[[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]],
  [[[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]],
  [[[[1, 2, 3], [4, 5, 6]]], [[1, 2, 3], [4, 5, 6]]],
  [[[[[[9]]]]], [[9, 9, 9], [9, 9, 9]]],
  [[5], [[5, 5, 5], [5, 5, 5]]],
  [Uint8Array.of(1, 2, 3), [[1, 2, 3], [1, 2, 3]]],
  [Float64Array.of(4), [[4, 4, 4], [4, 4, 4]]],
  [[Int8Array.of(1, 2, 3), [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]],
  [new NDArray(Int16Array.of(1, 2, 3, 4, 5, 6), { shape: [3, 2] }).transpose(), [[1, 3, 5], [
    2,
    4,
    6,
  ]]],
  [new NDArray(Uint32Array.of(8), { shape: [] }), [[8, 8, 8], [8, 8, 8]]],
  [new NDArray(Float32Array.of(1, 2), { shape: [2, 1] }), [[1, 1, 1], [2, 2, 2]]],
  [new NDArray(Uint8Array.of(5, 0, 1), { dtype: "bool" }), [[1, 0, 1], [1, 0, 1]]],
];
for (const [source, expected] of sources) {
  Deno.test(`assign() from ${Deno.inspect(source, { compact: true }).replaceAll(/\s+/g, " ")}`, () => {
    const targets = [
      new NDArray(new Float64Array(6), { shape: [2, 3] }),
      new NDArray(new Int16Array(6), { shape: [3, 2] }).transpose(),
      new NDArray(new Uint8ClampedArray(24), { shape: [4, 6] }).slice("::-2", "1::2"),
      new NDArray(new Float16Array(6), { shape: [2, 3] }),
    ];
    for (const target of targets) {
      assertStrictEquals(target.assign(source as number), target);
      assertEquals(target.toArray(), expected);
    }
  });
}

const badSources: [source: unknown, ErrorClass: ErrorClass, message: string][] = [
  [[1, 2], RangeError, "shape [2] does not broadcast to shape [2, 3]"],
  [[[1, 2, 3, 4]], RangeError, "does not broadcast"],
  [[[[1, 2, 3]], [[1, 2, 3]]], RangeError, "does not broadcast"],
  [[], RangeError, "shape [0] does not broadcast"],
  [[[], []], RangeError, "does not broadcast"],
  [new Uint8Array(2), RangeError, "does not broadcast"],
  [new NDArray(new Uint8Array(6), { shape: [3, 2] }), RangeError, "does not broadcast"],
  [[[1, 2, 3], [4, 5]], RangeError, "ragged"],
  [[[1, 2, 3], 4], RangeError, "ragged"],
  [[1, [2], 3], RangeError, "ragged"],
  [[[1, 2, 3], [4, 5, [6]]], RangeError, "ragged"],
  [[1, 2, "3"], TypeError, "Cannot store a string in int32"],
  [[1, 2, 3n], TypeError, "Cannot store a bigint"],
  [[1, undefined, 3], TypeError, "Cannot store undefined"],
  // deno-lint-ignore no-sparse-arrays -- a hole is what is tested
  [[1, , 3], TypeError, "Cannot store undefined"],
  ["123", TypeError, "Cannot store a string"],
  [5n, TypeError, "Cannot store a bigint"],
  [null, TypeError, "Cannot store null"],
  [undefined, TypeError, "Cannot store undefined"],
  [new Set([1, 2, 3]), TypeError, "Cannot store"],
  [new ArrayBuffer(24), TypeError, "Cannot store"],
  [[BigInt64Array.of(1n, 2n, 3n), [1n, 2n, 3n]], TypeError, "Cannot store a bigint"],
  [[new NDArray(new Int8Array(3)), new NDArray(new Int8Array(2))], RangeError, "ragged"],
  [[new NDArray(new Int8Array(3)), 1], RangeError, "ragged"],
  [{ data: [1, 2, 3], shape: [3], stride: [1], offset: 0 }, TypeError, "must be in a typed array"],
  [{ data: new Int8Array(3), shape: [4], stride: [1] }, RangeError, "Cannot lay shape [4]"],
  [{ data: new Int8Array(3), shape: [3] }, TypeError, "Cannot store"],
];
for (const [source, Class, message] of badSources) {
  Deno.test(`assign() refuses ${Deno.inspect(source).replaceAll(/\s+/g, " ")}, and stores nothing`, () => {
    const view = counting([2, 3]);
    const error = assertThrows(() => view.assign(source as number), Class, message);
    assertMatch(error.message, /^Cannot /);
    assertEquals([...view], range(6));
  });
}

Deno.test("assign() takes booleans, arrays of views, and what npm ndarray makes", () => {
  const of = (dtype: DType) => counting([2, 3], dtype) as NDArray;
  const row = new NDArray(BigInt64Array.of(1n, 2n, 3n));
  for (const dtype of dtypes) {
    const plain = (view: NDArray): unknown[] => Array.from(view, Number);
    const target = of(dtype);
    assertEquals(plain(target.assign(true)), [1, 1, 1, 1, 1, 1]);
    assertEquals(plain(target.assign([[true], [false]])), [1, 1, 1, 0, 0, 0]);
    const truth = (values: number[]): number[] =>
      dtype === "bool" ? values.map((value) => value ? 1 : 0) : values;
    assertEquals(plain(target.assign([row, row.slice("::-1")])), truth([1, 2, 3, 3, 2, 1]));
    assertEquals(
      plain(target.assign([target.slice(1), target.slice(0)])),
      truth([3, 2, 1, 1, 2, 3]),
    );
    assertEquals(plain(target.assign([Int8Array.of(1, 0, 1), row])), truth([1, 0, 1, 1, 2, 3]));
    const foreign = { data: Float32Array.of(9, 5.5, 4, 3), shape: [3], stride: [-1], offset: 3 };
    assertEquals(
      plain(target.assign(foreign)).slice(3),
      truth([
        3,
        4,
        ["float16", "float32", "float64"].includes(dtype) ? 5.5 : dtype === "uint8c" ? 6 : 5,
      ]),
    );
  }
  const scalars = [new NDArray(Int8Array.of(4), { shape: [] }), 5];
  assertEquals(new NDArray(new Float64Array(2)).assign(scalars).toArray(), [4, 5]);
});

Deno.test("assign() converts with overlap: views of one memory as int64 and as float64", () => {
  for (
    const [from, to] of [["int64", "float64"], ["float64", "int64"], ["int64", "uint64"]] as const
  ) {
    for (const [source, target] of [[":-1", "1:"], ["1:", ":-1"], ["::-1", ":"], [":", ":"]]) {
      const buffer = new ArrayBuffer(8 * 3000);
      const view = (dtype: DType) =>
        new NDArray(new (typedArrayOf(dtype))(buffer)) as NDArray<DType, number, ArrayBuffer>;
      const [there, here] = [view(to), view(from)];
      const numbers = range(3000);
      here.assign(numbers.map((n) => from === "int64" ? BigInt(n) : n) as number[]);
      const expected = Array.from(here.slice(source), Number);
      there.slice(target).assign(here.slice(source));
      assertEquals(Array.from(there.slice(target), Number), expected, `${from} to ${to}`);
    }
  }
});

Deno.test("valueOf() of a 0-d view is its element, and of others the view", () => {
  const element = new NDArray(Float64Array.of(3), { shape: [] });
  assertEquals((element as unknown as number) + 1, 4);
  assertEquals(`${element}`, "3.0");
  const big = new NDArray(BigInt64Array.of(3n), { shape: [] });
  assertEquals((big as unknown as bigint) + 1n, 4n);
  const view = counting([2]);
  assertStrictEquals(view.valueOf(), view);
});

Deno.test("T, itemsize and nbytes are transpose(), and sizes in bytes", () => {
  const view = counting([2, 3], "float64").slice(":", ":2");
  assertEquals(view.T.shape, [2, 2]);
  assertEquals(view.T.stride, view.transpose().stride);
  assertEquals([view.itemsize, view.nbytes], [8, 32]);
  assertEquals(counting([0, 3], "int16").nbytes, 0);
});

Deno.test("rows() goes through the views along the first axis", () => {
  const view = counting([3, 2]);
  const rows = [...view.rows()];
  assertEquals(rows.map((row) => row.toArray()), [[0, 1], [2, 3], [4, 5]]);
  rows[1].set(0, 9);
  assertEquals(view.get(1, 0), 9);
  assertEquals([...counting([2]).rows()].map((row) => row.get()), [0, 1]);
  assertEquals([...counting([0, 2]).rows()].length, 0);
  assertThrows(() => counting([]).rows(), RangeError, "Cannot go through the rows of a 0-d view");
  const gone = counting([3, 2]);
  const iterator = gone.rows();
  iterator.next();
  (gone.data.buffer as ArrayBuffer).transfer();
  assertThrows(() => iterator.next(), Deno.errors.BadResource);
});

Deno.test("broadcastTo() repeats elements, and what is written through it stays once", () => {
  const row = new NDArray(Float32Array.of(1, 2, 3));
  const rows = row.broadcastTo([2, 3]);
  assertEquals(rows.stride, [0, 1]);
  assertEquals(rows.toArray(), [[1, 2, 3], [1, 2, 3]]);
  rows.set(1, 0, 7);
  assertEquals(row.get(0), 7);
  rows.assign([[1, 2, 3], [4, 5, 6]]);
  assertEquals(row.toArray(), [4, 5, 6]);
  assertEquals(rows.fill(8).toArray(), [[8, 8, 8], [8, 8, 8]]);
  assertEquals(row.broadcastTo(0, 3).size, 0);
  assertThrows(() => row.broadcastTo(2), RangeError, "Cannot broadcast: shape [3]");
  assertThrows(() => counting([1, 3]).broadcastTo(3), RangeError, "does not broadcast");
  assertThrows(() => row.broadcastTo(-1, 3), RangeError, "a length is negative");
});

Deno.test("assign() refuses arrays that contain themselves", () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  assertThrows(() => counting([2]).assign(cyclic as number[]), RangeError, "nested more than");
});

Deno.test("assign() between all dtypes converts as typed arrays do, and between numbers and bigints", () => {
  const numbers = [0, 1, 2, 200, 255];
  for (const from of dtypes) {
    for (const to of dtypes) {
      const source = counting([5], from);
      numbers.forEach((n, i) => source.set(i, (isBig(from) ? BigInt(n) : n) as number));
      const target = counting([5], to);
      const convert = to === "bool"
        ? (element: unknown) => element ? 1 : 0
        : isBig(to)
        ? BigInt
        : Number;
      const expected = (typedArrayOf(to) as unknown as Float64ArrayConstructor)
        .from([...source] as number[], convert as (element: number) => number);
      assertEquals(target.assign(source as never).data as unknown, expected, `${from} to ${to}`);
      // The same through strides, and in runs that are longer.
      const wide = counting([40, 2], to);
      const column = counting([80, 2], from);
      [...indicesOf([80, 2])].forEach(([i, j]) => {
        const n = (i * 3 + j) % 200;
        column.set(i, j, (isBig(from) ? BigInt(n) : n) as number);
      });
      wide.assign(column.slice("::-2") as never);
      const via = new (typedArrayOf(to))(1) as { [i: number]: unknown };
      for (const [i, j] of indicesOf([40, 2])) {
        const element = column.get(79 - 2 * i, j);
        via[0] = convert(element as number);
        assertEquals(wide.get(i, j) as unknown, via[0], `${from} to ${to}`);
      }
    }
  }
});

// Overlaps: every selection of a length-n axis onto every other one, in runs short and long.
for (const n of [5, 31, 32, 33, 64, 100]) {
  Deno.test(`assign() of ${n} elements is right where source and target overlap`, () => {
    const pairs: [to: SliceItem, from: SliceItem][] = [
      ["1:", ":-1"],
      [":-1", "1:"],
      ["3:", ":-3"],
      [":-3", "3:"],
      [":", "::-1"],
      ["::-1", ":"],
      ["1:", "-2::-1"],
      ["::2", `:${Math.ceil(n / 2)}`],
      [`:${Math.ceil(n / 2)}`, "::2"],
      ["1:", "0:1"],
      [":", "-1:"],
    ];
    for (const dtype of dtypes) {
      for (const [to, from] of pairs) {
        const view = counting([n], dtype);
        const expected = view.toArray();
        const moved = pick(view.toArray(), [from], 1) as unknown[];
        const places = pick(range(n), [to], 1) as number[];
        places.forEach((place, k) => expected[place] = moved[moved.length === 1 ? 0 : k]);
        view.slice(to).assign(view.slice(from) as never);
        assertEquals(view.toArray(), expected, `${dtype} [${to}] from [${from}]`);
      }
    }
  });
}

Deno.test("assign() is right where rows overlap", () => {
  for (const columns of [3, 40]) {
    for (const [to, from] of [["1:", ":-1"], [":-1", "1:"], ["::-1", ":"]]) {
      const view = counting([5, columns]);
      const expected = view.toArray();
      const moved = pick(view.toArray(), [from], 2) as unknown[];
      (pick(range(5), [to], 1) as number[]).forEach((row, k) => expected[row] = moved[k]);
      view.slice(to).assign(view.slice(from));
      assertEquals(view.toArray(), expected);
      // And within rows.
      const within = counting([4, columns]);
      const shifted = within.toArray().map((row: number[]) => [row[0], ...row.slice(0, -1)]);
      within.slice(":", "1:").assign(within.slice(":", ":-1"));
      assertEquals(within.toArray(), shifted);
    }
  }
});

Deno.test("assign() of a transposed view to itself", () => {
  const view = counting([4, 4]);
  const expected = view.transpose().toArray();
  assertEquals(view.assign(view.transpose()).toArray(), expected);
  assertEquals(view.assign(view).toArray(), expected);
  // Broadcast from one of its own rows and columns.
  const row = counting([3, 3]);
  assertEquals(row.assign(row.slice(1)).toArray(), [[3, 4, 5], [3, 4, 5], [3, 4, 5]]);
  const column = counting([3, 3]);
  assertEquals(
    column.assign(column.slice(":", "1:2")).toArray(),
    [[1, 1, 1], [4, 4, 4], [7, 7, 7]],
  );
});

Deno.test("assign() between typed arrays of two kinds over one buffer", () => {
  const buffer = Uint8Array.from(range(16)).buffer;
  const bytes = new NDArray(new Uint8Array(buffer, 0, 8));
  const words = new NDArray(new Uint16Array(buffer));
  words.assign(bytes);
  assertEquals(words.toArray(), range(8));
});

Deno.test("assign() with a typed array over the view's own memory", () => {
  const view = counting([6]);
  view.slice("1:").assign(view.data.subarray(0, 5) as Int32Array);
  assertEquals(view.toArray(), [0, 0, 1, 2, 3, 4]);
});

for (const n of [6, 100]) {
  Deno.test(`assign() of ${n} elements is right between two attachments of one segment`, () => {
    withNames((name) => {
      using one = new SharedMemoryArray(n, "int32", name);
      one.create().assign(range(n));
      using two = SharedMemoryArray.clone(one);
      const other = two.load();
      one.array!.slice("1:").assign(other.slice(":-1"));
      assertEquals(other.toArray(), [0, ...range(n - 1)]);
      other.assign(range(n));
      one.array!.assign(other.slice("::-1"));
      assertEquals(other.toArray(), range(n).toReversed());
      other.assign(range(n));
      other.slice("1:").assign(one.array!.data.subarray(0, n - 1));
      assertEquals(other.toArray(), [0, ...range(n - 1)]);
    });
  });
}

// --- Iteration -------------------------------------------------------------------------------

Deno.test("iteration gives the elements in C order, as an iterator with all helpers", () => {
  const view = counting([2, 3]);
  assertEquals([...view], range(6));
  assertEquals([...view.transpose()], [0, 3, 1, 4, 2, 5]);
  const iterator = view[Symbol.iterator]();
  assertInstanceOf(iterator, Iterator);
  assertStrictEquals(iterator[Symbol.iterator](), iterator);
  assertEquals(iterator.next(), { value: 0, done: false });
  assertEquals(iterator.map((x) => Number(x) * 2).toArray(), [2, 4, 6, 8, 10]);
  assertEquals(iterator.next(), { value: undefined, done: true });
  assertEquals(iterator.next(), { value: undefined, done: true });
  // Two at once do not disturb each other.
  const [a, b] = [view[Symbol.iterator](), view[Symbol.iterator]()];
  a.next();
  assertEquals([a.next().value, b.next().value], [1, 0]);
  assertEquals(Math.max(...counting([2, 2]) as Iterable<number>), 3);
  assertEquals(Array.from(counting([]) as Iterable<number>), [0]);
});

// --- toString() and Deno.inspect() -----------------------------------------------------------

Deno.test("toString() and Deno.inspect() read like NumPy's str and repr", () => {
  const view = new NDArray(Float32Array.of(1, 2.5, -3, 4), { shape: [2, 2] });
  assertEquals(String(view), "[[ 1.   2.5]\n [-3.   4. ]]");
  assertEquals(
    Deno.inspect(view),
    "NDArray([[ 1. ,  2.5],\n         [-3. ,  4. ]], dtype=float32)",
  );
  assertEquals(String(view.transpose()), "[[ 1.  -3. ]\n [ 2.5  4. ]]");
  assertEquals(String(counting([], "int64")), "0");
  assertEquals(Deno.inspect(counting([3], "uint64")), "NDArray([0, 1, 2], dtype=uint64)");
  // Of a large array only the edges are read.
  const large = new NDArray(new Float64Array(1), { shape: [1e6, 1e6], stride: [0, 0] });
  assertMatch(String(large), /^\[\[0\. 0\. 0\. \.\.\. 0\. 0\. 0\.\]\n/);
});

// --- Memory that is gone, shrinks, or is shared otherwise ------------------------------------

type Call = (view: View) => unknown;
const calls: { [method: string]: Call } = {
  get: (view) => view.get(...view.shape.map(() => -1)),
  set: (view) => view.set(...view.shape.map(() => -1), 1),
  index: (view) => view.index(...view.shape.map(() => -1)),
  slice: (view) => view.slice(),
  subarray: (view) => view.subarray(),
  fill: (view) => view.fill(1),
  assign: (view) => view.assign(1),
  copy: (view) => view.copy(),
  toArray: (view) => view.toArray(),
  reshape: (view) => view.reshape(-1),
  transpose: (view) => view.transpose(),
  isContiguous: (view) => view.isContiguous(),
  iterate: (view) => [...view],
  string: (view) => String(view),
  source: (view) => new NDArray(new Float64Array(8)).assign(view as NDArray<"int32">),
};

Deno.test("methods throw BadResource when the buffer was transferred", () => {
  for (const shape of [[8], [2, 4], [2, 2, 2, 1, 1, 1, 1, 1, 1]]) {
    const view = counting(shape);
    (view.data.buffer as ArrayBuffer).transfer();
    for (const [method, call] of Object.entries(calls)) {
      assertThrows(() => call(view), Deno.errors.BadResource, "Cannot use this array", method);
    }
  }
  const gone = new Int32Array(4);
  gone.buffer.transfer();
  assertThrows(() => counting([4]).assign(gone), Deno.errors.BadResource);
  assertThrows(() => new NDArray(gone), Deno.errors.BadResource);
});

Deno.test("elements cannot be reached when a resizable buffer has shrunk", () => {
  // Methods that only compute a layout need no element.
  const { slice: _slice, reshape: _reshape, transpose: _transpose, isContiguous: _c, ...reaching } =
    calls;
  for (const tracking of [true, false]) {
    for (const shape of [[8], [2, 4], [2, 2, 2, 1, 1, 1, 1, 1, 1]]) {
      const buffer = new ArrayBuffer(32, { maxByteLength: 64 });
      const data = tracking ? new Int32Array(buffer) : new Int32Array(buffer, 0, 8);
      const view = new NDArray(data, { shape }) as unknown as View;
      const turned = view.transpose().slice(...shape.map(() => "::-1"));
      const iterator = view[Symbol.iterator]();
      iterator.next();
      buffer.resize(16);
      for (const [method, call] of Object.entries(reaching)) {
        assertThrows(() => call(view), RangeError, "its data shrank", method);
      }
      assertThrows(() => turned.get(...shape.map(() => 0)), RangeError, "its data shrank");
      assertThrows(() => turned.copy(), RangeError, "its data shrank");
      assertThrows(() => [...iterator], RangeError, "its data shrank");
      // When it has grown again, it is as good as before.
      buffer.resize(64);
      assertEquals(view.fill(3).toArray().flat(9), Array(8).fill(3));
    }
  }
});

Deno.test("Deno.inspect() never throws, whatever has become of the memory", () => {
  const buffer = new ArrayBuffer(32, { maxByteLength: 64 });
  const view = new NDArray(new Int32Array(buffer), { shape: [2, 4] });
  const turned = view.transpose();
  buffer.resize(8);
  for (const v of [view, turned]) assertMatch(Deno.inspect(v), /^NDArray\(/);
  buffer.transfer();
  assertEquals(Deno.inspect(view), "NDArray(closed, shape=[2, 4], dtype=int32)");
});

Deno.test("Deno.inspect() shows the prototypes of views, which are none", () => {
  assertEquals(Deno.inspect(NDArray.prototype), "NDArray {}");
  for (const dtype of dtypes) {
    for (const shape of [[], [2], [2, 3], [1, 2, 1, 1, 3]]) {
      assertEquals(Deno.inspect(Object.getPrototypeOf(counting(shape, dtype))), "NDArray {}");
    }
  }
});

Deno.test("views over a SharedArrayBuffer work as others do", () => {
  const data = new Int32Array(new SharedArrayBuffer(24));
  const view = new NDArray(data, { shape: [2, 3] });
  view.assign([[1, 2, 3], [4, 5, 6]]);
  Atomics.add(view.data, view.index(1, -1), 10);
  assertEquals(view.get(1, 2), 16);
  view.slice(":", "1:").assign(view.slice(":", ":-1"));
  assertEquals(view.toArray(), [[1, 1, 2], [4, 4, 5]]);
  assertStrictEquals(view.subarray().buffer, data.buffer);
  assertInstanceOf(view.copy().buffer, ArrayBuffer);
  assertEquals([...view.transpose()], [1, 4, 1, 4, 2, 5]);
});

Deno.test("assign() is right for overlaps in memory that can grow, also where data follows its length", () => {
  const limits = { maxByteLength: 128 };
  for (const buffer of [new SharedArrayBuffer(64, limits), new ArrayBuffer(64, limits)]) {
    for (const dtype of dtypes) {
      const TypedArray = typedArrayOf(dtype);
      for (const data of [new TypedArray(buffer), new TypedArray(buffer, 0, 8)]) {
        const view: View = new Untyped(data, { shape: [8], dtype });
        const elements = range(8).map((i) => valueOf(dtype, i + 1));
        for (const [to, from] of [["1:", ":-1"], ["3:8", "1:6"], [":-2", "2:"], ["::-1", ":"]]) {
          view.assign(elements);
          const copy = view.slice(from).toArray();
          view.slice(to).assign(view.slice(from));
          assertEquals(view.slice(to).toArray(), copy, `${dtype}, ${to} from ${from}`);
        }
      }
    }
  }
});

Deno.test("views with a byte offset count from their own data", () => {
  const data = new Int16Array(Int16Array.from(range(10)).buffer, 4, 6);
  const view = new NDArray(data, { shape: [2, 2], offset: 1 });
  assertEquals(view.toArray(), [[3, 4], [5, 6]]);
  assertEquals([view.index(1, 1), view.subarray().byteOffset], [4, 6]);
  assertFalse(view.slice(":", 1).isContiguous());
});

// --- Rank 9: the general accessors -----------------------------------------------------------

Deno.test("views of rank 9 do what those of lower ranks do", () => {
  for (const dtype of dtypes) {
    const low = counting([2, 3, 2], dtype);
    const high = counting([2, 1, 1, 3, 1, 1, 2, 1, 1], dtype);
    const up = ([i, j, k]: number[]): number[] => [i, 0, 0, j, 0, 0, k, 0, 0];
    const flat = (view: View): unknown => view.toArray().flat(9);
    const same = (): void => assertEquals(flat(high), flat(low), dtype);
    for (const index of indicesOf(low.shape)) {
      assertEquals(high.get(...up(index)), low.get(...index));
      assertEquals(high.index(...up(index)), low.index(...index));
    }
    const one = valueOf(dtype, 1) as number;
    low.set(1, -1, 0, one);
    high.set(1, 0, 0, -1, 0, 0, 0, 0, 0, one);
    same();
    low.slice(":", 1, "::-1").fill(one);
    high.slice(":", 0, 0, 1, 0, 0, "::-1").fill(one);
    same();
    low.slice("::-1").assign(low as never);
    high.slice("::-1").assign(high as never);
    same();
    low.slice(0).assign([[one], [one], [one]]);
    high.slice(0).assign(one);
    same();
    assertEquals([...high], [...low]);
    assertEquals(high.copy(), low.copy());
    assertEquals(high.subarray(), low.subarray());
    assertEquals(flat(high.transpose()), flat(low.transpose()));
    assertEquals(high.reshape(2, 3, 2).toArray(), low.toArray());
    assertEquals(low.reshape(2, 1, 1, 3, 1, 1, 2, 1, 1).toArray(), high.toArray());
    assertEquals(high.isContiguous(), true);
  }
});

// --- Without permissions ---------------------------------------------------------------------

Deno.test("NDArray needs no permission", async () => {
  const { code, stdout, stderr } = await runChild(
    `const view = new NDArray(new Float32Array(6), { shape: [2, 3] });
    view.set(1, 2, 7);
    view.slice(":", "1:").assign(view.slice(":", "::-2"));
    console.log(JSON.stringify(view.transpose().toArray()), String(view.slice(0)));`,
    { permissions: [] },
  );
  assertEquals([code, stdout], [0, "[[0,0],[0,7],[0,0]] [0. 0. 0.]\n"], stderr);
});

Deno.test("a row's subarray() is refused as that of other views, and begins with the caller's line", () => {
  const view = new NDArray(new Float64Array(8), { shape: [2, 4] });
  for (
    const [part, message] of [
      [view.slice(0), "a bound must be an integer, not a string"],
      [view, "a bound must be an integer, not a string"],
    ] as const
  ) {
    const error = assertThrows(() => part.subarray("1" as never), TypeError, message);
    assertMatch(error.stack!.split("\n")[1], /ndarray_test\.ts/);
  }
  for (const part of [view.slice(0, "::2"), view.slice(":", "::2")]) {
    const error = assertThrows(() => part.subarray(), RangeError, "the view is not contiguous");
    assertMatch(error.stack!.split("\n")[1], /ndarray_test\.ts/);
  }
  assertEquals(view.slice(1).subarray(1, -1).byteOffset, 5 * 8);
  const row = view.slice(1);
  (view.data.buffer as ArrayBuffer).transfer(0);
  assertThrows(() => row.subarray(), Deno.errors.BadResource, "its memory is gone");
});
