import { glibcVersion } from "../../ffi/library.ts";
import { nameMaxWith } from "../../ffi/platform.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { v4 } from "@std/uuid";
import { NDArray, SharedMemory, SharedMemoryArray, slice } from "../../mod.ts";
import { dtypes, numpyTypeString, typedArrayOf } from "../../src/dtype.ts";
import {
  errorOf,
  mappingsOf,
  runChild,
  segmentExists,
  segmentPath,
  uniqueName,
  withNames,
} from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

/** The constructor without its types: what JavaScript can pass to it. */
const Untyped = SharedMemoryArray as unknown as new (...args: unknown[]) => SharedMemoryArray;

type ErrorClass = new (message: string) => Error;

// --- The constructor -------------------------------------------------------------------------

const shapes: [given: unknown, shape: number[]][] = [
  [5, [5]],
  [[5], [5]],
  [[], []],
  [[2, 3, 4], [2, 3, 4]],
  [[1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1]],
  [Object.freeze([2, 3]), [2, 3]],
  [2 ** 53 - 1, [2 ** 53 - 1]],
];
for (const [given, shape] of shapes) {
  Deno.test(`new SharedMemoryArray() takes shape ${JSON.stringify(given)}`, () => {
    assertEquals(new Untyped(given, "uint8", "n").shape, shape);
  });
}

const badShapes: [given: unknown, ErrorClass: ErrorClass, message: string][] = [
  [0, RangeError, "Cannot share shape [0]: it has no elements"],
  [-0, RangeError, "Cannot share shape [0]"],
  [[2, 0], RangeError, "Cannot share shape [2, 0]"],
  [[0, 2 ** 52, 2 ** 52], RangeError, "Cannot use shape"],
  [-1, RangeError, "Cannot use shape [-1]: a length is negative"],
  [[2, -3], RangeError, "a length is negative"],
  [1.5, RangeError, "must be a safe integer, not 1.5"],
  [[2, 0.1], RangeError, "must be a safe integer, not 0.1"],
  [NaN, RangeError, "must be a safe integer, not NaN"],
  [Infinity, RangeError, "must be a safe integer, not Infinity"],
  [2 ** 53, RangeError, "must be a safe integer, not 9007199254740992"],
  [[2 ** 30, 2 ** 30], RangeError, "beyond 2^53 - 1"],
  ["3", TypeError, "Cannot use this shape"],
  [["3"], TypeError, "must be an integer, not a string"],
  [[3n], TypeError, "must be an integer, not a bigint"],
  [[null], TypeError, "must be an integer, not null"],
  // deno-lint-ignore no-sparse-arrays -- a hole is what is tested
  [[1, , 2], TypeError, "must be an integer, not undefined"],
  [null, TypeError, "Cannot use this shape"],
  [undefined, TypeError, "Cannot use this shape"],
  [{ length: 1, 0: 3 }, TypeError, "Cannot use this shape"],
  [true, TypeError, "Cannot use this shape"],
];
for (const [given, Class, message] of badShapes) {
  Deno.test(`new SharedMemoryArray() refuses shape ${Deno.inspect(given)}`, () => {
    assertThrows(() => new Untyped(given, "float64", "n"), Class, message);
  });
}

Deno.test("new SharedMemoryArray() refuses more bytes than a number counts exactly", () => {
  assertThrows(() => new SharedMemoryArray(2 ** 50, "float64", "n"), RangeError, "2^53 - 1 bytes");
  assertThrows(() => new SharedMemoryArray(2 ** 52, "uint16", "n"), RangeError, "2^53 - 1 bytes");
  assertEquals(new SharedMemoryArray(2 ** 50 - 1, "float64", "n").shape, [2 ** 50 - 1]);
});

Deno.test("new SharedMemoryArray() copies the shape", () => {
  const shape = [2, 3];
  const sma = new SharedMemoryArray(shape, "float32", "n");
  shape[0] = 7;
  assertEquals(sma.shape, [2, 3]);
});

Deno.test("new SharedMemoryArray() takes every dtype in every spelling", () => {
  for (const dtype of dtypes) {
    const code = numpyTypeString(dtype).slice(1);
    const spellings: unknown[] = [dtype];
    if (dtype !== "uint8c") spellings.push(code, `<${code}`, `=${code}`, `|${code}`);
    if (dtype !== "bool") spellings.push(typedArrayOf(dtype));
    for (const spelling of spellings) {
      assertEquals(new Untyped(2, spelling, "n").dtype, dtype, String(spelling));
    }
  }
});

Deno.test("new SharedMemoryArray() has the element type in its own type", () => {
  withNames((a, b) => {
    using big = new SharedMemoryArray([4], "int64", a);
    const one: bigint = big.create().get(0);
    using half = new SharedMemoryArray([4], Float32Array, b);
    const other: number = half.create().get(0);
    const data: Float32Array = half.array!.data;
    assertEquals([one, other, data.length], [0n, 0, 4]);
  });
});

const badDTypes: [given: unknown, advice: string][] = [
  [">f8", "big-endian"],
  [">i4", 'use "<i4"'],
  ["complex128", "trailing axis of length 2"],
  ["<c16", "trailing axis of length 2"],
  [">c8", "trailing axis of length 2"],
  ["f4,f4", "one array per field"],
  ["V8", "one array per field"],
  ["<U5", "TextEncoder"],
  ["S10", "TextEncoder"],
  ["str", "TextEncoder"],
  ["O", "use one of bool, int8"],
  ["object", "use one of bool, int8"],
  ["float128", "use one of bool, int8, uint8, uint8c"],
  ["FLOAT32", "use one of"],
  ["", "use one of"],
  [Array, "the constructor Array makes no supported typed array"],
  [DataView, "the constructor DataView"],
  [new Float32Array(1), "typed array's constructor"],
  [null, "null names none"],
  [undefined, "undefined names none"],
  [8, "8 names none"],
];
for (const [given, advice] of badDTypes) {
  Deno.test(`new SharedMemoryArray() refuses dtype ${Deno.inspect(given)}`, () => {
    const error = assertThrows(() => new Untyped(2, given, "n"), TypeError, advice);
    assertMatch(error.message, /^Cannot use this dtype: /);
  });
}

Deno.test("new SharedMemoryArray() never advises a dtype that it refuses, too", () => {
  for (const given of [">f16", ">U5", ">S3", ">V8", ">O", ">M8", ">foo"]) {
    const { message } = errorOf(() => new Untyped(2, given, "n"));
    const advised = /use "([^"]+)"/.exec(message)?.[1];
    if (advised !== undefined) new Untyped(2, advised, "n");
  }
});

Deno.test("new SharedMemoryArray() does not call a date dtype structured", () => {
  for (const given of ["M8[ns]", "<M8[s]", "datetime64[ns]", "m8[us]"]) {
    assertFalse(errorOf(() => new Untyped(2, given, "n")).message.includes("structured"), given);
  }
});

const goodNames = [
  "a",
  "a b",
  "...",
  ".hidden",
  "ä€🏔",
  "x".repeat(255),
  "é".repeat(127),
  "-",
  "\n",
];
const badNames: [given: unknown, ErrorClass: ErrorClass, message: string][] = [
  ["", RangeError, "it is empty"],
  [".", RangeError, "it names a directory"],
  ["..", RangeError, "it names a directory"],
  ["/a", RangeError, "without the leading slash"],
  ["a/b", RangeError, 'it holds a "/"'],
  ["a\0b", RangeError, "it holds a NUL"],
  ["\ud83c", RangeError, "lone surrogate"],
  ["x".repeat(256), RangeError, "it has 256 bytes in UTF-8, and this platform allows 255"],
  ["é".repeat(128), RangeError, "it has 256 bytes"],
  [undefined, TypeError, "not undefined"],
  [null, TypeError, "not null"],
  [5, TypeError, "not a number"],
  [["a"], TypeError, "not an array"],
  [new String("a"), TypeError, "not an object"],
];
Deno.test("new SharedMemoryArray() takes every name that the system takes", () => {
  for (const name of goodNames) assertEquals(new SharedMemoryArray(1, "uint8", name).name, name);
});
for (const [given, Class, message] of badNames) {
  Deno.test(`new SharedMemoryArray() refuses name ${Deno.inspect(given).slice(0, 20)}`, () => {
    assertThrows(() => new Untyped(2, "float32", given), Class, message);
  });
}

Deno.test("create() makes segments of names at the limit and beyond ASCII", () => {
  const names = ["x".repeat(200) + uniqueName(), `ä€🏔-${uniqueName()}`];
  names[0] = names[0].padEnd(nameMaxWith(Deno.build.os, glibcVersion()), "y");
  for (const name of names) {
    using sma = new SharedMemoryArray(4, "uint8", name);
    try {
      sma.create().set(0, 1);
      using other = new SharedMemoryArray(4, "uint8", name);
      assertEquals(other.load().get(0), 1);
      assert(segmentExists(name));
    } finally {
      assert(sma.unlink());
    }
  }
});

const goodSlices: [given: unknown, kept: unknown][] = [
  [undefined, null],
  [null, null],
  [[], []],
  [[1], [1]],
  [["0:2", null, "..."], ["0:2", null, "..."]],
  [[slice(1, null, 2)], [{ start: 1, stop: null, step: 2 }]],
  [[{ stop: 1 }], [{ start: null, stop: 1, step: null }]],
  [["::-1", -1], ["::-1", -1]],
  // Clamped and empty as in NumPy.
  [["5:9"], ["5:9"]],
];
for (const [given, kept] of goodSlices) {
  Deno.test(`new SharedMemoryArray() takes arraySlice ${Deno.inspect(given)}`, () => {
    assertEquals(new Untyped([3, 4], "float32", "n", given).arraySlice as unknown, kept);
  });
}

const badSlices: [given: unknown, ErrorClass: ErrorClass, message: string][] = [
  [[3], RangeError, "index 3: it is out of bounds for axis 0 of length 3"],
  [[0, -5], RangeError, "out of bounds for axis 1 of length 4"],
  [[":", ":", ":"], RangeError, "3 indices for an array of 2 axes"],
  [["...", "..."], RangeError, "only once"],
  [["0:1:0"], RangeError, "step must not be 0"],
  [[{ step: 0 }], RangeError, "step must not be 0"],
  [["x"], RangeError, '"x" is no index'],
  [[1.5], RangeError, "1.5"],
  [[undefined], TypeError, "is no index"],
  [[true], TypeError, "is no index"],
  [[[0, 1]], TypeError, "an array is no index"],
  [[{}], TypeError, "start, stop or step"],
  [[{ from: 1 }], TypeError, '"from"'],
  ["0:2", TypeError, "Cannot use this arraySlice"],
  [0, TypeError, "Cannot use this arraySlice"],
  [slice(0, 1), TypeError, "Cannot use this arraySlice"],
];
for (const [given, Class, message] of badSlices) {
  Deno.test(`new SharedMemoryArray() refuses arraySlice ${Deno.inspect(given)}`, () => {
    assertThrows(() => new Untyped([3, 4], "float32", "n", given), Class, message);
  });
}

Deno.test("new SharedMemoryArray() touches nothing", () => {
  const name = uniqueName();
  const sma = new SharedMemoryArray([2, 2], "float32", name);
  assertFalse(segmentExists(name));
  assertEquals([sma.smh, sma.array], [null, null]);
});

// --- The instance as plain data --------------------------------------------------------------

Deno.test("SharedMemoryArray has exactly four own enumerable properties, attached or not", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name, ["0:1"]);
    const keys = ["shape", "dtype", "name", "arraySlice"];
    assertEquals(Object.keys(sma), keys);
    assertEquals(Reflect.ownKeys(sma), keys);
    sma.create();
    assertEquals(Object.keys(sma), keys);
    const inherited: string[] = [];
    for (const key in sma) if (!Object.hasOwn(sma, key)) inherited.push(key);
    assertEquals(inherited, []);
  });
});

Deno.test("SharedMemoryArray is read-only, its values are frozen", () => {
  const sma = new SharedMemoryArray([2, 3], "float32", "n", [slice(0, 1), "::2"]);
  const loose = sma as unknown as Record<string, unknown>;
  for (const key of Object.keys(sma)) {
    assertThrows(() => loose[key] = 1, TypeError);
    assertThrows(() => delete loose[key], TypeError);
    assertThrows(() => Object.defineProperty(sma, key, { value: 1 }), TypeError);
  }
  for (const key of ["smh", "array"]) assertThrows(() => loose[key] = 1, TypeError);
  assertThrows(() => (sma.shape as number[])[0] = 7, TypeError);
  assertThrows(() => (sma.shape as number[]).push(7), TypeError);
  assertThrows(() => (sma.arraySlice as unknown[])[0] = 7, TypeError);
  assertThrows(() => (sma.arraySlice![0] as { start: number }).start = 7, TypeError);
});

Deno.test("SharedMemoryArray stays extensible for subclasses", () => {
  class Tile extends SharedMemoryArray<"float32"> {
    level = 3;
    constructor(name: string) {
      super([2, 2], "float32", name);
    }
    override close(): void {
      this.level = 0;
      super.close();
    }
  }
  withNames((name) => {
    const tile = new Tile(name);
    assert(Object.isExtensible(tile));
    assertEquals(tile.level, 3);
    tile.create().fill(1);
    assertInstanceOf(tile, SharedMemoryArray);
    // A copy describes the array, and nothing else.
    assertEquals(Object.keys(SharedMemoryArray.clone(tile)).includes("level"), false);
    tile[Symbol.dispose]();
    assertEquals(tile.level, 0);
  });
});

// --- create(), load(), close(), unlink() -----------------------------------------------------

Deno.test("create() returns the whole array, zero-filled, of every dtype", () => {
  for (const dtype of dtypes) {
    withNames((name) => {
      using sma = new SharedMemoryArray([2, 3], dtype, name);
      const array = sma.create();
      assertStrictEquals(sma.array as unknown, array as unknown);
      assertInstanceOf(array, NDArray);
      assertInstanceOf(array.data, typedArrayOf(dtype));
      assertEquals([array.shape, array.dtype, array.offset], [[2, 3], dtype, 0]);
      assertEquals(array.copy(), new (typedArrayOf(dtype))(6));
      assertEquals(sma.smh!.size, 6 * array.data.BYTES_PER_ELEMENT);
      assertEquals(Deno.statSync(segmentPath(name)).size, sma.smh!.size);
    });
  }
});

Deno.test("create() does not apply arraySlice, load() does", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray([3, 4], "int16", name, [1, "::2"]);
    const whole = mine.create();
    assertEquals(whole.shape, [3, 4]);
    whole.assign([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]);
    using theirs = SharedMemoryArray.clone(mine);
    const part = theirs.load();
    assertStrictEquals(theirs.array as unknown, part as unknown);
    assertEquals([part.shape, part.toArray()], [[2], [4, 6]]);
    part.set(1, 60);
    assertEquals(whole.get(1, 2), 60);
    mine.close();
    assertEquals(mine.load().toArray(), [4, 60]);
  });
});

Deno.test("load() takes a slice that selects nothing, or one element", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray([3, 4], "float64", name);
    mine.create().set(2, 3, 7);
    using none = SharedMemoryArray.clone(mine, { arraySlice: ["3:3"] });
    assertEquals([none.load().shape, none.array!.toArray()], [[0, 4], []]);
    using one = SharedMemoryArray.clone(mine, { arraySlice: [-1, -1] });
    assertEquals([one.load().shape, one.array!.get()], [[], 7]);
  });
});

Deno.test("create() and load() of a 0-d array", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray([], "int64", name);
    mine.create().set(7n);
    using theirs = SharedMemoryArray.clone(mine);
    assertEquals([theirs.load().get(), theirs.array!.toArray(), mine.smh!.size], [7n, 7n, 8]);
  });
});

Deno.test("load({ reinterpret: true }) reads the bytes under another dtype and shape", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray([2], "float64", name);
    mine.create().assign([1, -2]);
    using bytes = new SharedMemoryArray([2, 8], "uint8", name);
    assertEquals(
      bytes.load({ reinterpret: true }).copy(),
      new Uint8Array(Float64Array.of(1, -2).buffer),
    );
  });
});

Deno.test("create() refuses a taken name, and leaves the other's segment", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray(4, "uint8", name);
    mine.create().fill(7);
    const other = new SharedMemoryArray(8, "uint8", name);
    const error = errorOf(() => other.create());
    assertInstanceOf(error, Deno.errors.AlreadyExists);
    assertEquals(error.code, "EEXIST");
    assertMatch(error.message, new RegExp(`^File exists \\(os error 17\\): shm_open '${name}'`));
    assertEquals([other.smh, other.array], [null, null]);
    assertEquals([Deno.statSync(segmentPath(name)).size, mine.array!.get(3)], [4, 7]);
  });
});

Deno.test("load() of a name that is not there is NotFound", () => {
  const name = uniqueName();
  const sma = new SharedMemoryArray(4, "uint8", name);
  const error = errorOf(() => sma.load());
  assertInstanceOf(error, Deno.errors.NotFound);
  assertEquals(error.code, "ENOENT");
  assertEquals(
    error.message,
    `No such file or directory (os error 2): shm_open '${name}'; load({ timeout }) waits for its creator`,
  );
  assertEquals([sma.smh, sma.array], [null, null]);
});

Deno.test("create() checks its options before it makes anything", () => {
  const name = uniqueName();
  const sma = new SharedMemoryArray(4, "uint8", name);
  const cases: [options: unknown, ErrorClass: ErrorClass, message: string][] = [
    [{ mode: "600" }, TypeError, "mode must be a number"],
    [{ mode: -1 }, RangeError, "mode must be from 0 to 0o777"],
    [{ mode: 0o1000 }, RangeError, "mode must be from 0 to 0o777"],
    [{ mode: 1.5 }, RangeError, "mode must be from 0 to 0o777"],
    [{ mode: NaN }, RangeError, "mode must be from 0 to 0o777"],
    [{ reserve: 0 }, TypeError, "reserve must be a boolean"],
    [{ modus: 1 }, TypeError, 'no option "modus"; there is mode, reserve'],
    [null, TypeError, "the options must be an object, not null"],
    [0o600, TypeError, "the options must be an object, not a number"],
    [[], TypeError, "the options must be an object, not an array"],
  ];
  for (const [options, Class, message] of cases) {
    const error = assertThrows(() => sma.create(options as undefined), Class, message);
    assertMatch(error.message, /^Cannot create: /);
    assertFalse(segmentExists(name));
    assertEquals(sma.smh, null);
  }
});

Deno.test("create() takes options that are undefined for not given", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(4, "uint8", name);
    sma.create({ mode: undefined, reserve: undefined });
    assertEquals(Deno.statSync(segmentPath(name)).mode! & 0o777, 0o600);
  });
});

Deno.test("create() and load() of an attached instance are errors, not leaks", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(4, "uint8", name);
    const array = sma.create();
    for (const action of ["create", "load"] as const) {
      assertThrows(
        () => sma[action](),
        Deno.errors.Busy,
        `Cannot ${action} '${name}': this instance is attached already`,
      );
    }
    assertEquals(mappingsOf(name), 1);
    assertStrictEquals(sma.array as unknown, array as unknown);
    sma.close();
    sma.load();
    assertThrows(() => sma.load(), Deno.errors.Busy);
    assertEquals(mappingsOf(name), 1);
  });
});

Deno.test("close() is idempotent, and keeps the segment", () => {
  withNames((name) => {
    const sma = new SharedMemoryArray(4, "uint8", name);
    sma.close();
    sma.create().fill(3);
    sma.close();
    sma.close();
    sma[Symbol.dispose]();
    assertEquals([sma.smh, sma.array, mappingsOf(name)], [null, null, 0]);
    assert(segmentExists(name));
    assertEquals(sma.load().get(0), 3);
    sma.close();
  });
});

Deno.test("close() through smh leaves the instance closed, and ready to load", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(4, "uint8", name);
    const array = sma.create();
    const smh = sma.smh!;
    assertInstanceOf(smh, SharedMemory);
    assertEquals([smh.name, smh.size], [name, 4]);
    smh.close();
    assertEquals([sma.smh, sma.array], [null, null]);
    assertThrows(() => array.get(0), Deno.errors.BadResource);
    sma.load().set(0, 5);
    // The old mapping's close() must not reach the new one.
    smh.close();
    assertEquals(sma.array!.get(0), 5);
  });
});

Deno.test("[Symbol.dispose]() closes at the end of a scope, and keeps the segment", () => {
  withNames((name) => {
    {
      using sma = new SharedMemoryArray(4, "uint8", name);
      sma.create();
      assertEquals(mappingsOf(name), 1);
    }
    assertEquals(mappingsOf(name), 0);
    assert(segmentExists(name));
  });
});

Deno.test("unlink() removes the name, keeps the attachment, and tells whether it was there", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(4, "uint8", name);
    assertEquals(sma.unlink(), false);
    const array = sma.create();
    assertEquals([sma.unlink(), sma.unlink()], [true, false]);
    assertFalse(segmentExists(name));
    array.set(0, 9);
    assertEquals(array.get(0), 9);
    assertThrows(() => SharedMemoryArray.clone(sma).load(), Deno.errors.NotFound);
    // The name is free for another array, and the two share nothing.
    using next = SharedMemoryArray.clone(sma);
    assertEquals(next.create().get(0), 0);
    sma.close();
    // An instance that is not attached removes, too.
    assertEquals([sma.unlink(), segmentExists(name)], [true, false]);
  });
});

Deno.test("smh.unlink() removes the name as unlink() does", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(4, "uint8", name);
    sma.create();
    assertEquals([sma.smh!.unlink(), sma.unlink()], [true, false]);
  });
});

// --- clone() and from() ----------------------------------------------------------------------

const overrides: [override: Record<string, unknown>, expected: Record<string, unknown>][] = [
  [{}, {}],
  [{ shape: [3, 2] }, { shape: [3, 2] }],
  [{ shape: 6 }, { shape: [6] }],
  [{ dtype: "<f4" }, { dtype: "float32" }],
  [{ dtype: Uint8ClampedArray }, { dtype: "uint8c" }],
  [{ name: "other" }, { name: "other" }],
  [{ arraySlice: null }, { arraySlice: null }],
  [{ arraySlice: [0] }, { arraySlice: [0] }],
  [{ arraySlice: undefined, name: undefined }, {}],
  [{ shape: [9], dtype: "bool", name: "all", arraySlice: ["0:3"] }, {
    shape: [9],
    dtype: "bool",
    name: "all",
    arraySlice: ["0:3"],
  }],
];
for (const [override, expected] of overrides) {
  Deno.test(`clone() with override ${Deno.inspect(override)}`, () => {
    withNames((name) => {
      using sma = new SharedMemoryArray([2, 3], "int32", name, ["::2"]);
      sma.create();
      const clone = SharedMemoryArray.clone(sma, override);
      const whole = { shape: [2, 3], dtype: "int32", name, arraySlice: ["::2"] };
      assertEquals({ ...clone } as unknown, { ...whole, ...expected });
      assertEquals([clone.smh, clone.array], [null, null]);
      assertInstanceOf(clone, SharedMemoryArray);
    });
  });
}

Deno.test("clone() refuses what is no array, and wrong or unknown parts", () => {
  const sma = new SharedMemoryArray([2, 3], "int32", "n", [0, 0]);
  const clone = SharedMemoryArray.clone as (...args: unknown[]) => unknown;
  const refused: [args: unknown[], ErrorClass: ErrorClass, message: string][] = [
    [[{ ...sma }], TypeError, "must be a SharedMemoryArray"],
    [[null], TypeError, "must be a SharedMemoryArray"],
    [[sma, { array_slice: null }], TypeError, 'no option "array_slice"'],
    [[sma, { shape: [0] }], RangeError, "no elements"],
    [[sma, { shape: 6 }], RangeError, "2 indices for an array of 1 axis"],
    [[sma, { dtype: ">f4" }], TypeError, "big-endian"],
    [[sma, { name: "" }], RangeError, "empty"],
    [[sma, { name: null }], TypeError, "must be a string"],
    [[sma, null], TypeError, "must be an object"],
  ];
  for (const [args, Class, message] of refused) {
    assertThrows(() => clone(...args), Class, message);
  }
});

Deno.test("from() takes structuredClone, JSON, an instance and a literal", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "int16", name, [slice(0, 1), "::2"]);
    sma.create().assign([[1, 2, 3], [4, 5, 6]]);
    const descriptors = {
      structuredClone: structuredClone(sma),
      json: JSON.parse(JSON.stringify(sma)),
      instance: sma,
      literal: { shape: [2, 3], dtype: "<i2", name, arraySlice: [{ stop: 1 }, "::2"] } as const,
    };
    for (const [source, descriptor] of Object.entries(descriptors)) {
      using copy = SharedMemoryArray.from(descriptor, "int16");
      assertEquals([copy.smh, copy.array], [null, null], source);
      assertEquals([copy.shape, copy.dtype, copy.name], [[2, 3], "int16", name]);
      assertEquals(copy.load().toArray(), [[1, 3]], source);
    }
    // What arrives is plain data: exactly the four properties.
    assertEquals(structuredClone(sma) as unknown, { ...sma });
    assertEquals(JSON.parse(JSON.stringify(sma)), { ...sma });
    assertEquals(Object.getPrototypeOf(structuredClone(sma)), Object.prototype);
  });
});

Deno.test("from() takes a descriptor without arraySlice, and does not look at what else it has", () => {
  const descriptor = { shape: 4, dtype: "<f8", name: "n", attached: true, comment: "x" } as const;
  const sma = SharedMemoryArray.from(descriptor);
  assertEquals({ ...sma }, { shape: [4], dtype: "float64", name: "n", arraySlice: null });
});

Deno.test("from() refuses what is no descriptor", () => {
  const from = SharedMemoryArray.from as (descriptor: unknown) => unknown;
  const refused: [descriptor: unknown, ErrorClass: ErrorClass, message: string][] = [
    [null, TypeError, "from null"],
    [undefined, TypeError, "from undefined"],
    ["{}", TypeError, "from a string"],
    [{}, TypeError, "the descriptor has no shape"],
    [{ shape: 1, name: "n" }, TypeError, "the descriptor has no dtype"],
    [{ shape: 1, dtype: "f4" }, TypeError, "the descriptor has no name"],
    [Object.create({ shape: 1, dtype: "f4", name: "n" }), TypeError, "has no shape of its own"],
    [{ shape: [0], dtype: "f4", name: "n" }, RangeError, "no elements"],
    [Float32Array.of(1), TypeError, "elements are shared by create() and then assign()"],
    [[[1, 2]], TypeError, "elements are shared by create() and then assign()"],
    [{ shape: 1, dtype: "f4", name: "n", slots: 3 }, TypeError, "SharedMemoryRing.from() takes it"],
    [{ shape: 1, dtype: "f4", name: "n", byte_offset: 8 }, TypeError, "layout: { byteOffset }"],
    [{ shape: 1, dtype: "f4", name: "n", arraySlice: [9] }, RangeError, "out of bounds"],
  ];
  for (const [descriptor, Class, message] of refused) {
    assertThrows(() => from(descriptor), Class, message);
  }
});

Deno.test("new SharedMemoryArray() sees arguments in another order, and a descriptor", () => {
  const Loose = SharedMemoryArray as unknown as new (...args: unknown[]) => unknown;
  const order = "the order is shape, dtype, name";
  assertThrows(() => new Loose("name", [2, 3], "f8"), TypeError, order);
  assertThrows(() => new Loose("f8", 6, "name"), TypeError, order);
  assertThrows(
    () => new Loose([2, 3], "tile", "f8"),
    TypeError,
    'or a NumPy type string such as "<f4"; the order is shape, dtype, name',
  );
  // A segment may have the name of a dtype.
  assertEquals(errorOf(() => new Loose([2, 3], "tile", "name")).message.includes(order), false);
  assertEquals(String(new Loose([2, 3], "u1", "f8")), "SharedMemoryArray 'f8' [2, 3] uint8");
  const descriptor = { shape: [2], dtype: "f8", name: "a" };
  assertThrows(() => new Loose(descriptor), TypeError, "from() takes a descriptor");
});

Deno.test("create() tells that a mode of decimal digits is none", () => {
  const sma = new SharedMemoryArray(1, "int8", "a");
  assertThrows(() => sma.create({ mode: 666 }), RangeError, "permission bits are octal: 0o666");
});

// --- Names -----------------------------------------------------------------------------------

Deno.test("buildSmaName() is COUNTER-prefix-YYYYMM-DDHH-MMSS-uuid4 in local time", () => {
  const form =
    /^(\d+)-tile-(\d{4})(\d{2})-(\d{2})(\d{2})-(\d{2})(\d{2})-([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/;
  const counter = SharedMemoryArray.COUNTER;
  const before = Math.floor(Date.now() / 1000) * 1000;
  const name = SharedMemoryArray.buildSmaName("tile");
  const after = Date.now();
  assertMatch(name, form);
  const [, count, year, month, day, hour, minute, second, uuid] = form.exec(name)!;
  assertEquals(Number(count), counter + 1);
  assertEquals(SharedMemoryArray.COUNTER, counter + 1);
  const time = new Date(+year, +month - 1, +day, +hour, +minute, +second).getTime();
  assert(before <= time && time <= after, name);
  assert(v4.validate(uuid), uuid);
});

Deno.test("buildSmaName() uses the local time of the process", async () => {
  // Half an hour off, so that neither UTC nor a whole-hour shift could pass for it.
  const { stdout } = await runChild(
    `const at = new Date(); console.log(SharedMemoryArray.buildSmaName("z"), at.getTime());`,
    { permissions: [], before: "export TZ=Asia/Kathmandu" },
  );
  const [name, time] = stdout.trim().split(" ");
  const shifted = new Date(Number(time) + (5 * 60 + 45) * 60_000);
  const clock = shifted.toISOString().replaceAll(/\D/g, "").slice(0, 12);
  const [, , yearMonth, dayHour, minuteSecond] = name.split("-");
  assertEquals(yearMonth + dayHour + minuteSecond.slice(0, 2), clock, name);
});

Deno.test("buildSmaName() has an empty prefix by default, and takes one with hyphens", () => {
  for (const none of [undefined, null, ""]) {
    assertMatch(SharedMemoryArray.buildSmaName(none), /^\d+--\d{6}-\d{4}-\d{4}-/);
  }
  assertMatch(SharedMemoryArray.buildSmaName("a-b 1"), /^\d+-a-b 1-\d{6}-/);
});

Deno.test("buildSmaName() never makes a name twice, and counts", () => {
  const first = SharedMemoryArray.COUNTER;
  const names = Array.from({ length: 1000 }, () => SharedMemoryArray.buildSmaName("x"));
  assertEquals(new Set(names).size, 1000);
  assertEquals(names.map((name) => parseInt(name)), names.map((_, i) => first + 1 + i));
});

Deno.test("buildSmaName() makes shorter names of long prefixes, and refuses longer ones", () => {
  const long = SharedMemoryArray.buildSmaName("x".repeat(220));
  assert(new TextEncoder().encode(long).length <= 255);
  assertMatch(long, /^\d+-x{220}-[\da-f]{16,32}$/);
  new SharedMemoryArray(1, "uint8", long);
  const counter = SharedMemoryArray.COUNTER;
  const build = SharedMemoryArray.buildSmaName as (prefix: unknown) => string;
  assertThrows(() => build("x".repeat(250)), RangeError, "16 are needed");
  assertThrows(() => build("a/b"), RangeError, 'holds a "/"');
  assertThrows(() => build("a\0"), RangeError, "NUL");
  assertThrows(() => build(5), TypeError, "must be a string");
  assertEquals(SharedMemoryArray.COUNTER, counter);
});

// --- clearBuffers() --------------------------------------------------------------------------

function createClosed(name: string): string {
  using sma = new SharedMemoryArray(1, "uint8", name);
  sma.create();
  return name;
}

Deno.test("clearBuffers() returns those that it removed; gone names are no error", () => {
  withNames((a, gone, b) => {
    createClosed(a);
    createClosed(b);
    assertEquals(SharedMemoryArray.clearBuffers([a, gone, b, a]), [a, b]);
    assertEquals([segmentExists(a), segmentExists(b)], [false, false]);
    assertEquals(SharedMemoryArray.clearBuffers([a, gone, b]), []);
    assertEquals(SharedMemoryArray.clearBuffers([]), []);
  });
});

Deno.test("clearBuffers() takes any iterable of strings", () => {
  withNames((a, b) => {
    createClosed(a);
    createClosed(b);
    assertEquals(SharedMemoryArray.clearBuffers(new Set([b, a]).values()), [b, a]);
  });
});

Deno.test("clearBuffers() tries all before it throws an AggregateError", () => {
  withNames((first, directory, last) => {
    createClosed(first);
    createClosed(last);
    // shm_unlink cannot remove a directory.
    Deno.mkdirSync(segmentPath(directory));
    const error = errorOf(() => SharedMemoryArray.clearBuffers([first, directory, last]));
    assertInstanceOf(error, AggregateError);
    assertEquals(error.errors.length, 1);
    const cause: unknown = error.errors[0];
    assertInstanceOf(cause, Error);
    assertEquals(typeof (cause as { code?: string }).code, "string");
    assertStringIncludes(cause.message, `shm_unlink '${directory}'`);
    assertMatch(error.message, /^Cannot clear 1 of 3 buffers: /);
    assertStringIncludes(error.message, directory);
    assertEquals([segmentExists(first), segmentExists(last)], [false, false]);
  });
});

Deno.test("clearBuffers() removes what is no segment, too, and does not wait for it", () =>
  withNames(async (fifo, link, small) => {
    const made = await new Deno.Command("mkfifo", { args: [segmentPath(fifo)] }).output();
    assert(made.success);
    Deno.symlinkSync(segmentPath("nowhere"), segmentPath(link));
    SharedMemory.create(small, 128).close();
    assertEquals(SharedMemoryArray.clearBuffers([fifo, link, small]), [fifo, link, small]);
  }));

Deno.test("clearBuffers() needs no free descriptor", () =>
  withNames((named) => {
    SharedMemory.create(named, 1000).close();
    const anonymous = SharedMemoryArray.createAnonymous(8, "uint8");
    anonymous.close();
    const files: Deno.FsFile[] = [];
    try {
      while (true) files.push(Deno.openSync("/dev/null"));
    } catch {
      assertEquals(SharedMemoryArray.clearBuffers([named, anonymous.name]), [
        named,
        anonymous.name,
      ]);
    } finally {
      for (const file of files) file.close();
    }
  }));

Deno.test("clearBuffers() removes nothing if a name is not legal", () => {
  withNames((name) => {
    createClosed(name);
    const clear = SharedMemoryArray.clearBuffers as (names: unknown) => unknown;
    assertThrows(() => clear([name, "a/b"]), RangeError, 'holds a "/"');
    assertThrows(() => clear([name, 5]), TypeError, "must be a string");
    // A string is an iterable of strings: most likely a mistake.
    assertThrows(() => clear(name), TypeError, "a list of strings");
    for (const bad of [null, undefined, 5, {}]) {
      assertThrows(() => clear(bad), TypeError, "a list of strings");
    }
    assert(segmentExists(name));
  });
});

// --- What it looks like ----------------------------------------------------------------------

Deno.test("Deno.inspect() shows the description, and whether it is attached", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name, [slice(0, 1)]);
    const closed = Deno.inspect(sma, { breakLength: Infinity });
    assertEquals(
      closed,
      `SharedMemoryArray { shape: [ 2, 3 ], dtype: "float32", name: "${name}", ` +
        `arraySlice: [ { start: 0, stop: 1, step: null } ], attached: false }`,
    );
    sma.create();
    assertStringIncludes(Deno.inspect(sma), "attached: true");
    assertStringIncludes(Deno.inspect([{ sma }]), "SharedMemoryArray");
    sma.smh!.close();
    assertStringIncludes(Deno.inspect(sma), "attached: false");
  });
});

Deno.test("toString() is one line", () => {
  assertEquals(
    String(new SharedMemoryArray([2, 3], "f4", "n")),
    "SharedMemoryArray 'n' [2, 3] float32",
  );
  assertEquals(`${new SharedMemoryArray([], "bool", "n")}`, "SharedMemoryArray 'n' [] bool");
});
