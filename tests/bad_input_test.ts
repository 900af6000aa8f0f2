// Wrong calls over the whole public API: each gives an error of the documented class that says what
// is wrong, before anything is asked of the system.
//
// The tests of this file run without any permission (`permissions: "none"`): a call that got as far as
// a system call would have to open the C library, and give NotCapable where another error is expected.
// The first test shows that this is so. Taken out, the check of names lets "a/b" through to
// NotCapable; the check of own options takes what `Object.prototype` has; and so on, row by row.
// A row is changed when a message becomes better, and never loosened.

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import * as typed from "@shm/array";
import { errorOf } from "./helpers/helpers.ts";

// deno-lint-ignore no-explicit-any -- nearly every call here is one that the compiler refuses
const api = typed as any;
const {
  SharedMemoryArray,
  SharedMemory,
  SharedMemoryRegister,
  NDArray,
  slice,
  shmarrayWrap,
  createAndRegisterSma,
} = api;

const permissions = "none";

/** An object whose properties throw when they are read. */
function hostile(keys: readonly PropertyKey[]): object {
  const get = (): never => {
    throw new Error("hostile getter");
  };
  const object = {};
  for (const key of keys) Object.defineProperty(object, key, { enumerable: true, get });
  return object;
}

/** A proxy that throws when one property of its target is read. */
function proxyOf(target: object, trapped: PropertyKey): object {
  return new Proxy(target, {
    get(...args) {
      if (args[1] === trapped) throw new Error("hostile trap");
      return Reflect.get(...args);
    },
  });
}

/** A proxy that throws when its keys are asked for. */
function withoutKeys(): object {
  return new Proxy({}, {
    ownKeys() {
      throw new Error("hostile trap");
    },
  });
}

const sparse: number[] = [2];
sparse[2] = 3;
const hole: number[] = [1];
hole[2] = 3;
const cyclic: unknown[] = [];
cyclic.push(cyclic);
const detached = new Uint8Array(4);
detached.buffer.transfer();
const gone = new NDArray(new Int8Array(4), { shape: [2, 2] });
(gone.data.buffer as ArrayBuffer).transfer();
const view = new NDArray(new Float64Array(6), { shape: [2, 3] });
const big = new NDArray(new BigInt64Array(2));
const sma = new SharedMemoryArray([4], "int8", "a");

/** What V8 says of a method that is called on an object of another class. */
const FOREIGN = /private member|Receiver must be/;

/** An error, what its message says, and calls that give it. */
type Row = [
  ErrorClass: new (message?: string) => Error,
  message: string | RegExp,
  calls: (() => unknown)[],
];

/** How many wrong calls there are in some rows. */
function count(some: readonly Row[]): number {
  return some.reduce((sum, [, , calls]) => sum + calls.length, 0);
}

/** The wrong calls of each public symbol: one test each, so that a failure names it. */
const rows: { [symbol: string]: Row[] } = {
  "slice()": [
    [TypeError, "Cannot slice: start must be an integer, not a string", [
      () => slice("1"),
    ]],
    [RangeError, "Cannot slice: start must be a safe integer, not 0.5", [
      () => slice(0.5),
    ]],
    [RangeError, "Cannot slice: start must be a safe integer, not NaN; null means an open end", [
      () => slice(NaN),
    ]],
    [
      RangeError,
      "Cannot slice: start must be a safe integer, not Infinity; null means an open end",
      [
        () => slice(Infinity),
      ],
    ],
    [
      RangeError,
      "Cannot slice: stop must be a safe integer, not -Infinity; null means an open end",
      [
        () => slice(null, -Infinity),
      ],
    ],
    [RangeError, "Cannot slice: start must be a safe integer, not 9007199254740992", [
      () => slice(2 ** 53),
    ]],
    [RangeError, "Cannot slice: step must not be 0", [
      () => slice(null, null, 0),
      () => slice(null, null, -0),
    ]],
    [TypeError, "Cannot slice: start must be an integer, not a bigint", [
      () => slice(0n),
    ]],
    [TypeError, "Cannot slice: start must be an integer, not a boolean", [
      () => slice(true),
    ]],
    [TypeError, "Cannot slice: stop must be an integer, not an object", [
      () => slice(null, {}),
    ]],
    [TypeError, "Cannot slice: step must be an integer, not a string", [
      () => slice(null, null, "2"),
    ]],
  ],
  "new SharedMemoryArray(): shape": [
    [TypeError, "Cannot use this shape: it must be an array of integers", [
      () => new SharedMemoryArray(undefined, "int8", "a"),
      () => new SharedMemoryArray(null, "int8", "a"),
      () => new SharedMemoryArray("4", "int8", "a"),
      () => new SharedMemoryArray(4n, "int8", "a"),
      () => new SharedMemoryArray({ length: 1, 0: 4 }, "int8", "a"),
      () => new SharedMemoryArray(Uint8Array.of(4), "int8", "a"),
      () => new SharedMemoryArray(hostile(["length"]), "int8", "a"),
    ]],
    [RangeError, "Cannot share shape [0]: it has no elements, and a segment cannot be empty", [
      () => new SharedMemoryArray(0, "int8", "a"),
      () => new SharedMemoryArray(-0, "int8", "a"),
    ]],
    [RangeError, "Cannot use shape [-1]: a length is negative", [
      () => new SharedMemoryArray(-1, "int8", "a"),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not NaN", [
      () => new SharedMemoryArray(NaN, "int8", "a"),
      () => new SharedMemoryArray([2, NaN], "int8", "a"),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not Infinity", [
      () => new SharedMemoryArray(Infinity, "int8", "a"),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not 1.5", [
      () => new SharedMemoryArray(1.5, "int8", "a"),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not 9007199254740992", [
      () => new SharedMemoryArray(2 ** 53, "int8", "a"),
    ]],
    [RangeError, "Cannot share shape [2, 0]: it has no elements, and a segment cannot be empty", [
      () => new SharedMemoryArray([2, 0], "int8", "a"),
    ]],
    [RangeError, "Cannot use shape [2, -3]: a length is negative", [
      () => new SharedMemoryArray([2, -3], "int8", "a"),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not 0.5", [
      () => new SharedMemoryArray([2, 0.5], "int8", "a"),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not a string", [
      () => new SharedMemoryArray([2, "3"], "int8", "a"),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not a bigint", [
      () => new SharedMemoryArray([2, 3n], "int8", "a"),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not null", [
      () => new SharedMemoryArray([2, null], "int8", "a"),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not an array", [
      () => new SharedMemoryArray([2, [3]], "int8", "a"),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not an object", [
      () => new SharedMemoryArray([2, { valueOf: () => 3 }], "int8", "a"),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not undefined", [
      () => new SharedMemoryArray(sparse, "int8", "a"),
      () => new SharedMemoryArray(new Array(3), "int8", "a"),
    ]],
    [
      RangeError,
      "Cannot use shape [134217728, 134217728]: the number of elements is beyond 2^53 - 1",
      [
        () => new SharedMemoryArray([2 ** 27, 2 ** 27], "int8", "a"),
      ],
    ],
    [RangeError, "Cannot share shape [2251799813685248] of float64: more than 2^53 - 1 bytes", [
      () => new SharedMemoryArray([2 ** 51], "float64", "a"),
    ]],
    [RangeError, "Cannot share shape [9007199254740991] of int16: more than 2^53 - 1 bytes", [
      () => new SharedMemoryArray([Number.MAX_SAFE_INTEGER], "int16", "a"),
    ]],
    [
      RangeError,
      "Cannot use this shape: a length must be a safe integer, not 1.7976931348623157e+308",
      [
        () => new SharedMemoryArray([Number.MAX_VALUE], "int8", "a"),
      ],
    ],
    [Error, "hostile trap", [
      () => new SharedMemoryArray(proxyOf([4], "0"), "int8", "a"),
    ]],
  ],
  "new SharedMemoryArray(): dtype": [
    [TypeError, "Cannot use this dtype: undefined names none", [
      () => new SharedMemoryArray(4, undefined, "a"),
    ]],
    [TypeError, "Cannot use this dtype: null names none", [
      () => new SharedMemoryArray(4, null, "a"),
    ]],
    [TypeError, "Cannot use this dtype: 8 names none", [
      () => new SharedMemoryArray(4, 8, "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "float" is unknown', [
      () => new SharedMemoryArray(4, "float", "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "Int8" is unknown', [
      () => new SharedMemoryArray(4, "Int8", "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "int8 " is unknown', [
      () => new SharedMemoryArray(4, "int8 ", "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "" is unknown', [
      () => new SharedMemoryArray(4, "", "a"),
    ]],
    [
      TypeError,
      'Cannot use this dtype: ">f8" is big-endian; shared memory holds this machine\'s byte order: use "<f8", and let the other side convert with NumPy\'s byteswap()',
      [
        () => new SharedMemoryArray(4, ">f8", "a"),
      ],
    ],
    [
      TypeError,
      'Cannot use this dtype: "c16" is complex; use float32 or float64 with a trailing axis of length 2 (real, imaginary)',
      [
        () => new SharedMemoryArray(4, "c16", "a"),
      ],
    ],
    [
      TypeError,
      'Cannot use this dtype: "complex128" is complex; use float32 or float64 with a trailing axis of length 2 (real, imaginary)',
      [
        () => new SharedMemoryArray(4, "complex128", "a"),
      ],
    ],
    [
      TypeError,
      'Cannot use this dtype: "S8" holds text; use uint8 with the text encoded by TextEncoder',
      [
        () => new SharedMemoryArray(4, "S8", "a"),
      ],
    ],
    [
      TypeError,
      'Cannot use this dtype: "U4" holds text; use uint8 with the text encoded by TextEncoder',
      [
        () => new SharedMemoryArray(4, "U4", "a"),
      ],
    ],
    [TypeError, 'Cannot use this dtype: "O" holds pointers into one process\'s heap', [
      () => new SharedMemoryArray(4, "O", "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "i4,f8" is structured', [
      () => new SharedMemoryArray(4, "i4,f8", "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "M8[ns]"', [
      () => new SharedMemoryArray(4, "M8[ns]", "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "toString" is unknown', [
      () => new SharedMemoryArray(4, "toString", "a"),
    ]],
    [TypeError, 'Cannot use this dtype: "__proto__" is unknown', [
      () => new SharedMemoryArray(4, "__proto__", "a"),
    ]],
    [TypeError, "Cannot use this dtype: the constructor Array makes no supported typed array", [
      () => new SharedMemoryArray(4, Array, "a"),
    ]],
    [TypeError, "Cannot use this dtype: the constructor DataView makes no supported typed array", [
      () => new SharedMemoryArray(4, DataView, "a"),
    ]],
    [
      TypeError,
      "Cannot use this dtype: the constructor (anonymous) makes no supported typed array",
      [
        () => new SharedMemoryArray(4, class {}, "a"),
      ],
    ],
    [TypeError, "Cannot use this dtype: an object names none", [
      () => new SharedMemoryArray(4, new Float32Array(1), "a"),
      () => new SharedMemoryArray(4, { toString: () => "int8" }, "a"),
      () => new SharedMemoryArray(4, new String("int8"), "a"),
    ]],
    [TypeError, "Cannot use this dtype: an array names none", [
      () => new SharedMemoryArray(4, ["int8"], "a"),
    ]],
    [TypeError, "Cannot use this dtype: Symbol(int8) names none", [
      () => new SharedMemoryArray(4, Symbol("int8"), "a"),
    ]],
  ],
  "new SharedMemoryArray(): name": [
    [TypeError, "Cannot use this name: it must be a string, not undefined", [
      () => new SharedMemoryArray(4, "int8"),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not null", [
      () => new SharedMemoryArray(4, "int8", null),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not a number", [
      () => new SharedMemoryArray(4, "int8", 7),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not an array", [
      () => new SharedMemoryArray(4, "int8", ["a"]),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not an object", [
      () => new SharedMemoryArray(4, "int8", { toString: () => "a" }),
      () => new SharedMemoryArray(4, "int8", new String("a")),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not a symbol", [
      () => new SharedMemoryArray(4, "int8", Symbol("a")),
    ]],
    [RangeError, 'Cannot use the name "": it is empty', [
      () => new SharedMemoryArray(4, "int8", ""),
    ]],
    [RangeError, 'Cannot use the name ".": it names a directory', [
      () => new SharedMemoryArray(4, "int8", "."),
    ]],
    [RangeError, 'Cannot use the name "..": it names a directory', [
      () => new SharedMemoryArray(4, "int8", ".."),
    ]],
    [
      RangeError,
      'Cannot use the name "/a": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => new SharedMemoryArray(4, "int8", "/a"),
      ],
    ],
    [
      RangeError,
      'Cannot use the name "a/b": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => new SharedMemoryArray(4, "int8", "a/b"),
      ],
    ],
    [
      RangeError,
      'Cannot use the name "../etc/passwd": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => new SharedMemoryArray(4, "int8", "../etc/passwd"),
      ],
    ],
    [RangeError, 'Cannot use the name "a\\u0000b": it holds a NUL', [
      () => new SharedMemoryArray(4, "int8", "a\0b"),
    ]],
    [RangeError, 'Cannot use the name "\\u0000": it holds a NUL', [
      () => new SharedMemoryArray(4, "int8", "\0"),
    ]],
    [
      RangeError,
      'Cannot use the name "\\ud800": it holds a lone surrogate, which has no UTF-8 form',
      [
        () => new SharedMemoryArray(4, "int8", "\ud800"),
      ],
    ],
    [
      RangeError,
      'Cannot use the name "a\\udc00b": it holds a lone surrogate, which has no UTF-8 form',
      [
        () => new SharedMemoryArray(4, "int8", "a\udc00b"),
      ],
    ],
    [RangeError, "it has 256 bytes in UTF-8, and this platform allows", [
      () => new SharedMemoryArray(4, "int8", "x".repeat(256)),
      () => new SharedMemoryArray(4, "int8", "ß".repeat(128)),
      () => new SharedMemoryArray(4, "int8", "🙂".repeat(64)),
    ]],
    [RangeError, "it has 1000000 bytes in UTF-8, and this platform allows", [
      () => new SharedMemoryArray(4, "int8", "x".repeat(1e6)),
    ]],
  ],
  "new SharedMemoryArray(): arraySlice": [
    [
      TypeError,
      'Cannot use this arraySlice: it must be an array with one item per axis, such as [slice(0, 10), ":"]',
      [
        () => new SharedMemoryArray(4, "int8", "a", ":"),
        () => new SharedMemoryArray(4, "int8", "a", 0),
        () => new SharedMemoryArray(4, "int8", "a", slice(0, 2)),
        () => new SharedMemoryArray(4, "int8", "a", { length: 1, 0: 1 }),
        () => new SharedMemoryArray(4, "int8", "a", new Set([0])),
      ],
    ],
    [RangeError, "Cannot reach index 4: it is out of bounds for axis 0 of length 4", [
      () => new SharedMemoryArray(4, "int8", "a", [4]),
    ]],
    [RangeError, "Cannot reach index -5: it is out of bounds for axis 0 of length 4", [
      () => new SharedMemoryArray(4, "int8", "a", [-5]),
    ]],
    [RangeError, "Cannot slice: 2 indices for an array of 1 axis", [
      () => new SharedMemoryArray(4, "int8", "a", [0, 0]),
    ]],
    [RangeError, "Cannot slice: an index must be a safe integer, not 0.5", [
      () => new SharedMemoryArray(4, "int8", "a", [0.5]),
    ]],
    [RangeError, "Cannot slice: an index must be a safe integer, not NaN", [
      () => new SharedMemoryArray(4, "int8", "a", [NaN]),
    ]],
    [RangeError, 'Cannot slice: "x" is no index; write "3", "0:10", "::-1" or "..."', [
      () => new SharedMemoryArray(4, "int8", "a", ["x"]),
    ]],
    [RangeError, 'Cannot slice: "" is no index; write "3", "0:10", "::-1" or "..."', [
      () => new SharedMemoryArray(4, "int8", "a", [""]),
    ]],
    [RangeError, 'Cannot slice: "0:1:2:3" is no index; write "3", "0:10", "::-1" or "..."', [
      () => new SharedMemoryArray(4, "int8", "a", ["0:1:2:3"]),
    ]],
    [RangeError, 'Cannot slice: "0x1" is no index; write "3", "0:10", "::-1" or "..."', [
      () => new SharedMemoryArray(4, "int8", "a", ["0x1"]),
    ]],
    [RangeError, 'Cannot slice: "1e0" is no index; write "3", "0:10", "::-1" or "..."', [
      () => new SharedMemoryArray(4, "int8", "a", ["1e0"]),
    ]],
    [RangeError, "Cannot slice: step must not be 0", [
      () => new SharedMemoryArray(4, "int8", "a", ["::0"]),
      () => new SharedMemoryArray(4, "int8", "a", [{ step: 0 }]),
    ]],
    [RangeError, "Cannot slice: start must be a safe integer, not 100000000000000000000", [
      () => new SharedMemoryArray(4, "int8", "a", ["99999999999999999999:"]),
    ]],
    [RangeError, 'Cannot slice: "..." may occur only once in a selection', [
      () => new SharedMemoryArray(4, "int8", "a", ["...", "..."]),
    ]],
    [TypeError, "Cannot slice: a boolean true is no index", [
      () => new SharedMemoryArray(4, "int8", "a", [true]),
    ]],
    [TypeError, "Cannot slice: a bigint 1 is no index", [
      () => new SharedMemoryArray(4, "int8", "a", [1n]),
    ]],
    [TypeError, "is no index", [
      () => new SharedMemoryArray(4, "int8", "a", [undefined]),
      () => new SharedMemoryArray(4, "int8", "a", new Array(1)),
    ]],
    [TypeError, "Cannot slice: an array is no index", [
      () => new SharedMemoryArray(4, "int8", "a", [[0, 1]]),
      () => new SharedMemoryArray(4, "int8", "a", [Uint8Array.of(0)]),
    ]],
    [TypeError, "Cannot slice: an object must be a range with start, stop or step", [
      () => new SharedMemoryArray(4, "int8", "a", [{}]),
    ]],
    [TypeError, 'Cannot slice: a range has start, stop and step, not "begin"', [
      () => new SharedMemoryArray(4, "int8", "a", [{ begin: 0 }]),
    ]],
    [TypeError, "Cannot slice: start must be an integer, not a string", [
      () => new SharedMemoryArray(4, "int8", "a", [{ start: "0" }]),
    ]],
    [
      RangeError,
      "Cannot slice: stop must be a safe integer, not Infinity; null means an open end",
      [
        () => new SharedMemoryArray(4, "int8", "a", [{ stop: Infinity }]),
      ],
    ],
    [TypeError, "Cannot slice: a function", [
      () => new SharedMemoryArray(4, "int8", "a", [() => 0]),
    ]],
    [TypeError, "Cannot slice: a symbol Symbol(0) is no index", [
      () => new SharedMemoryArray(4, "int8", "a", [Symbol("0")]),
    ]],
    [Error, "hostile getter", [
      () => new SharedMemoryArray(4, "int8", "a", [hostile(["start"])]),
    ]],
    [Error, "hostile trap", [
      () => new SharedMemoryArray(4, "int8", "a", proxyOf([0], "0")),
    ]],
    [TypeError, "Class constructor SharedMemoryArray cannot be invoked without 'new'", [
      () => SharedMemoryArray(4, "int8", "a"),
    ]],
  ],
  "new SharedMemoryArray(): layout": [
    [TypeError, "Cannot use this layout: the options must be an object, not a number", [
      () => new SharedMemoryArray([4], "int8", "a", null, 4),
    ]],
    [TypeError, "Cannot use this layout: the options must be an object, not an array", [
      () => new SharedMemoryArray([4], "int8", "a", null, [4]),
    ]],
    [TypeError, 'there is no option "offset"; there is byteOffset, stride', [
      () => new SharedMemoryArray([4], "int8", "a", null, { offset: 4 }),
    ]],
    [TypeError, 'there is no option "strides"; there is byteOffset, stride', [
      () => SharedMemoryArray.clone(sma, { layout: { strides: [1] } }),
    ]],
    [TypeError, "Cannot use this layout: byteOffset must be an integer, not a string", [
      () => new SharedMemoryArray([4], "int8", "a", null, { byteOffset: "4" }),
    ]],
    [RangeError, "Cannot use this layout: byteOffset must be a safe integer, not NaN", [
      () => new SharedMemoryArray([4], "int8", "a", null, { byteOffset: NaN }),
    ]],
    [RangeError, "Cannot use this layout: byteOffset -1 is negative", [
      () => new SharedMemoryArray([4], "int8", "a", null, { byteOffset: -1 }),
    ]],
    [RangeError, "byteOffset 12 is no multiple of the 8 bytes of a float64", [
      () => new SharedMemoryArray([4], "float64", "a", null, { byteOffset: 12 }),
      () =>
        SharedMemoryArray.from({ shape: 4, dtype: "f8", name: "a", layout: { byteOffset: 12 } }),
    ]],
    [TypeError, "Cannot use this stride: it must be an array of integers, not a number", [
      () => new SharedMemoryArray([4], "int8", "a", null, { stride: 1 }),
    ]],
    [TypeError, "Cannot use this stride: an entry must be an integer, not undefined", [
      () => new SharedMemoryArray([1, 1, 1], "int8", "a", null, { stride: hole }),
    ]],
    [RangeError, "Cannot use this stride: an entry must be a safe integer, not 0.5", [
      () => new SharedMemoryArray([4], "int8", "a", null, { stride: [0.5] }),
    ]],
    [RangeError, "stride [1, 2] has 2 entries, and the shape has 1", [
      () => new SharedMemoryArray([4], "int8", "a", null, { stride: [1, 2] }),
      () => SharedMemoryArray.clone(sma, { layout: { stride: [1, 2] } }),
    ]],
    [RangeError, "begins 3 bytes before the segment", [
      () => new SharedMemoryArray([4], "int8", "a", null, { stride: [-1] }),
    ]],
    [RangeError, "more than 2^53 - 1 bytes", [
      () => new SharedMemoryArray([4], "int8", "a", null, { byteOffset: 2 ** 53 - 2 }),
      () => new SharedMemoryArray([4], "int8", "a", null, { stride: [2 ** 52] }),
    ]],
    [Error, "hostile getter", [
      () => new SharedMemoryArray([4], "int8", "a", null, hostile(["stride"])),
    ]],
    [Error, "hostile trap", [
      () => new SharedMemoryArray([4], "int8", "a", null, withoutKeys()),
    ]],
  ],
  "SharedMemoryArray.createAnonymous()": [
    [TypeError, "Cannot use this shape: it must be an array of integers", [
      () => SharedMemoryArray.createAnonymous(undefined, "int8"),
    ]],
    [RangeError, "Cannot share shape [0]: it has no elements, and a segment cannot be empty", [
      () => SharedMemoryArray.createAnonymous(0, "int8"),
    ]],
    [TypeError, 'Cannot use this dtype: "int" is unknown', [
      () => SharedMemoryArray.createAnonymous(4, "int"),
    ]],
    [TypeError, "Cannot create: the options must be an object, not a number", [
      () => SharedMemoryArray.createAnonymous(4, "int8", 0o600),
    ]],
    [TypeError, 'there is no option "name"; there is mode, reserve', [
      () => SharedMemoryArray.createAnonymous(4, "int8", { name: "a" }),
    ]],
    [RangeError, "Cannot create: mode must be from 0 to 0o777", [
      () => SharedMemoryArray.createAnonymous(4, "int8", { mode: 0o1000 }),
    ]],
    [TypeError, "Cannot create: reserve must be a boolean, not a number", [
      () => SharedMemoryArray.createAnonymous(4, "int8", { reserve: 0 }),
    ]],
  ],
  "SharedMemoryArray.create()": [
    [RangeError, 'Cannot create "memfd:1:2:3": names of this form lead to anonymous segments', [
      () => new SharedMemoryArray([4], "int8", "memfd:1:2:3").create(),
      () => SharedMemory.create("memfd:1:2:3", 4),
    ]],
    [TypeError, "Cannot create: the options must be an object, not null", [
      () => sma.create(null),
    ]],
    [TypeError, "Cannot create: the options must be an object, not a number", [
      () => sma.create(0o600),
    ]],
    [TypeError, "Cannot create: the options must be an object, not a string", [
      () => sma.create("rw"),
    ]],
    [TypeError, "Cannot create: the options must be an object, not an array", [
      () => sma.create([]),
    ]],
    [TypeError, "Cannot create: mode must be a number such as 0o600, not a string", [
      () => sma.create({ mode: "0600" }),
    ]],
    [TypeError, "Cannot create: mode must be a number such as 0o600, not null", [
      () => sma.create({ mode: null }),
    ]],
    [TypeError, "Cannot create: mode must be a number such as 0o600, not a bigint", [
      () => sma.create({ mode: 0o600n }),
    ]],
    [RangeError, "Cannot create: mode must be from 0 to 0o777", [
      () => sma.create({ mode: -1 }),
      () => sma.create({ mode: 0o1000 }),
      () => sma.create({ mode: 0o4755 }),
      () => sma.create({ mode: 1.5 }),
      () => sma.create({ mode: NaN }),
      () => sma.create({ mode: Infinity }),
    ]],
    [TypeError, "Cannot create: reserve must be a boolean, not a number", [
      () => sma.create({ reserve: 1 }),
    ]],
    [TypeError, "Cannot create: reserve must be a boolean, not a string", [
      () => sma.create({ reserve: "yes" }),
    ]],
    [TypeError, "Cannot create: reserve must be a boolean, not null", [
      () => sma.create({ reserve: null }),
    ]],
    [TypeError, 'Cannot create: there is no option "Reserve"; there is mode, reserve', [
      () => sma.create({ Reserve: false }),
    ]],
    [TypeError, 'Cannot create: there is no option "exclusive"; there is mode, reserve', [
      () => sma.create({ mode: 0o600, exclusive: true }),
    ]],
    [Error, "hostile getter", [
      () => sma.create(hostile(["mode"])),
      () => sma.create(hostile(["reserve"])),
    ]],
    [Error, "hostile trap", [
      () => sma.create(withoutKeys()),
    ]],
    [TypeError, FOREIGN, [
      () => SharedMemoryArray.prototype.create.call({ name: "a", shape: [4], dtype: "int8" }),
    ]],
  ],
  "SharedMemoryArray.load()": [
    [TypeError, "Cannot load: the options must be an object, not a string", [
      () => sma.load("copy-on-write"),
    ]],
    [TypeError, 'Cannot load: there is no option "mode"; there is access, timeout', [
      () => sma.load({ mode: 0o600 }),
    ]],
    [TypeError, "Cannot load: access must be a string", [
      () => sma.load({ access: 4 }),
    ]],
    [RangeError, 'access must be "read-write" or "copy-on-write", not "read-only"', [
      () => sma.load({ access: "read-only" }),
      () => SharedMemory.open("a", { access: "read-only" }),
    ]],
    [TypeError, "Cannot load: timeout must be a number of milliseconds, not a bigint", [
      () => sma.load({ timeout: 4n }),
      () => SharedMemory.open("a", { timeout: 4n }),
    ]],
    [RangeError, "Cannot load: timeout must be 0 or more milliseconds, not", [
      () => sma.load({ timeout: -1 }),
      () => sma.load({ timeout: NaN }),
    ]],
    [Error, "hostile getter", [
      () => sma.load(hostile(["access"])),
    ]],
    [TypeError, FOREIGN, [
      () => SharedMemoryArray.prototype.load.call(Object.create(sma)),
    ]],
  ],
  "SharedMemoryArray.close()": [
    [TypeError, FOREIGN, [
      () => SharedMemoryArray.prototype.close.call({}),
    ]],
  ],
  "SharedMemoryArray.smh": [
    [TypeError, FOREIGN, [
      () => Reflect.get(SharedMemoryArray.prototype, "smh"),
    ]],
    [TypeError, "Cannot set property smh", [
      () => (sma.smh = null),
    ]],
  ],
  "SharedMemoryArray.array": [
    [TypeError, FOREIGN, [
      () => Reflect.get(SharedMemoryArray.prototype, "array"),
    ]],
    [TypeError, "Cannot set property array", [
      () => (sma.array = null),
    ]],
  ],
  "SharedMemoryArray.unlink()": [
    [TypeError, FOREIGN, [
      () => SharedMemoryArray.prototype.unlink.call({}),
      () => SharedMemoryArray.prototype.unlink.call({ name: "a/b" }),
    ]],
  ],
  "SharedMemoryArray[Symbol.dispose]()": [
    [TypeError, "Cannot read properties of null (reading 'close')", [
      () => SharedMemoryArray.prototype[Symbol.dispose].call(null),
    ]],
  ],
  "SharedMemoryArray.shape": [
    [TypeError, "Cannot add property 1, object is not extensible", [
      () => sma.shape.push(1),
    ]],
  ],
  "SharedMemoryArray.name": [
    [TypeError, "Cannot assign to read only property 'name'", [
      () => (sma.name = "b"),
    ]],
  ],
  "SharedMemoryArray.dtype": [
    [TypeError, "Cannot assign to read only property 'dtype'", [
      () => (sma.dtype = "int16"),
    ]],
  ],
  "SharedMemoryArray.arraySlice": [
    [TypeError, "Cannot assign to read only property 'arraySlice'", [
      () => (sma.arraySlice = []),
    ]],
  ],
  "SharedMemoryArray.clone()": [
    [
      TypeError,
      "Cannot clone: the first argument must be a SharedMemoryArray; from() takes plain data",
      [
        () => SharedMemoryArray.clone(),
        () => SharedMemoryArray.clone(null),
        () => SharedMemoryArray.clone({ shape: [4], dtype: "int8", name: "a" }),
        () => SharedMemoryArray.clone("a"),
      ],
    ],
    [TypeError, "Cannot clone: the options must be an object, not null", [
      () => SharedMemoryArray.clone(sma, null),
    ]],
    [TypeError, "Cannot clone: the options must be an object, not a string", [
      () => SharedMemoryArray.clone(sma, "b"),
    ]],
    [TypeError, "Cannot clone: the options must be an object, not an array", [
      () => SharedMemoryArray.clone(sma, ["b"]),
    ]],
    [
      TypeError,
      'Cannot clone: there is no option "Name"; there is shape, dtype, name, arraySlice',
      [
        () => SharedMemoryArray.clone(sma, { Name: "b" }),
      ],
    ],
    [
      RangeError,
      'Cannot use the name "b/c": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => SharedMemoryArray.clone(sma, { name: "b/c" }),
      ],
    ],
    [RangeError, "Cannot share shape [0]: it has no elements, and a segment cannot be empty", [
      () => SharedMemoryArray.clone(sma, { shape: [0] }),
    ]],
    [TypeError, 'Cannot use this dtype: "int" is unknown', [
      () => SharedMemoryArray.clone(sma, { dtype: "int" }),
    ]],
    [RangeError, "Cannot reach index 3: it is out of bounds for axis 0 of length 2", [
      () => SharedMemoryArray.clone(sma, { shape: [2], arraySlice: [3] }),
    ]],
    [Error, "hostile getter", [
      () => SharedMemoryArray.clone(sma, hostile(["name"])),
    ]],
  ],
  "SharedMemoryArray.from()": [
    [TypeError, "array_slice is none of its keys; what load() takes is called arraySlice", [
      () => SharedMemoryArray.from({ shape: 4, dtype: "int8", name: "a", array_slice: [0] }),
    ]],
    [TypeError, "strides is none of its keys; give layout: { stride }", [
      () => SharedMemoryArray.from({ shape: 4, dtype: "int8", name: "a", strides: [1] }),
    ]],
    [TypeError, "order is none of its keys; give layout: { stride }", [
      () => SharedMemoryArray.from({ shape: 4, dtype: "int8", name: "a", order: "C" }),
    ]],
    [TypeError, "byteOffset is none of its keys; it belongs into layout: { byteOffset }", [
      () => SharedMemoryArray.from({ shape: 4, dtype: "int8", name: "a", byteOffset: 0 }),
    ]],
    [TypeError, "stride is none of its keys; it belongs into layout: { stride }", [
      () => SharedMemoryArray.from({ shape: 4, dtype: "int8", name: "a", stride: [1] }),
    ]],
    [TypeError, "Cannot make a SharedMemoryArray from this view: its memory is no segment", [
      () => SharedMemoryArray.from(view),
    ]],
    [TypeError, "postMessage and structuredClone copy a view: send view.toJSON()", [
      () => SharedMemoryArray.from({ ...view }),
    ]],
    [Error, "hostile getter", [
      () => SharedMemoryArray.from(hostile(["shape", "dtype", "name"])),
    ]],
    [TypeError, "a descriptor is an object with shape", [
      () => SharedMemoryArray.from(),
    ]],
    [
      TypeError,
      "Cannot make a SharedMemoryArray from null: a descriptor is an object with shape, dtype, name and arraySlice",
      [
        () => SharedMemoryArray.from(null),
      ],
    ],
    [
      TypeError,
      "Cannot make a SharedMemoryArray from a string: a descriptor is an object with shape, dtype, name and arraySlice",
      [
        () => SharedMemoryArray.from("a"),
      ],
    ],
    [
      TypeError,
      "Cannot make a SharedMemoryArray from a function: a descriptor is an object with shape, dtype, name and arraySlice",
      [
        () => SharedMemoryArray.from(() => sma),
      ],
    ],
    [TypeError, "Cannot make a SharedMemoryArray: the descriptor has no shape", [
      () => SharedMemoryArray.from({}),
      () => SharedMemoryArray.from([]),
      () => SharedMemoryArray.from({ dtype: "int8", name: "a" }),
      () => SharedMemoryArray.from(Object.create({ shape: [4], dtype: "int8", name: "a" })),
      () =>
        SharedMemoryArray.from(JSON.parse('{"__proto__":{"shape":[4]},"dtype":"int8","name":"a"}')),
    ]],
    [TypeError, "Cannot make a SharedMemoryArray: the descriptor has no name", [
      () => SharedMemoryArray.from({ shape: [4], dtype: "int8" }),
    ]],
    [TypeError, "Cannot make a SharedMemoryArray: the descriptor has no dtype", [
      () => SharedMemoryArray.from({ shape: [4], name: "a" }),
    ]],
    [
      TypeError,
      'Cannot use this arraySlice: it must be an array with one item per axis, such as [slice(0, 10), ":"]',
      [
        () => SharedMemoryArray.from({ shape: [4], dtype: "int8", name: "a", arraySlice: ":" }),
      ],
    ],
  ],
  "SharedMemoryArray.buildSmaName()": [
    [TypeError, "Cannot use this prefix: it must be a string, not a number", [
      () => SharedMemoryArray.buildSmaName(7),
    ]],
    [TypeError, "Cannot use this prefix: it must be a string, not an array", [
      () => SharedMemoryArray.buildSmaName(["x"]),
    ]],
    [RangeError, 'it holds a "/"; give it without the leading slash of shm_open', [
      () => SharedMemoryArray.buildSmaName("a/b"),
    ]],
    [RangeError, "it holds a NUL", [
      () => SharedMemoryArray.buildSmaName("a\0b"),
    ]],
    [RangeError, "it holds a lone surrogate, which has no UTF-8 form", [
      () => SharedMemoryArray.buildSmaName("\udfff"),
    ]],
    [RangeError, "are needed to make the name unique", [
      () => SharedMemoryArray.buildSmaName("x".repeat(250)),
    ]],
  ],
  "SharedMemoryArray.clearBuffers()": [
    [TypeError, "Cannot clear buffers: the names must be a list of strings", [
      () => SharedMemoryArray.clearBuffers(),
      () => SharedMemoryArray.clearBuffers(null),
      () => SharedMemoryArray.clearBuffers("abc"),
      () => SharedMemoryArray.clearBuffers(7),
      () => SharedMemoryArray.clearBuffers({ length: 1, 0: "a" }),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not a number", [
      () => SharedMemoryArray.clearBuffers(["a", 7]),
    ]],
    [
      RangeError,
      'Cannot use the name "b/c": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => SharedMemoryArray.clearBuffers(["a", "b/c"]),
      ],
    ],
    [RangeError, 'Cannot use the name "": it is empty', [
      () => SharedMemoryArray.clearBuffers(["a", ""]),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not an object", [
      () => SharedMemoryArray.clearBuffers(["a", sma]),
    ]],
    [TypeError, "Cannot use this name: it must be a string, not undefined", [
      () => SharedMemoryArray.clearBuffers(new Array(2)),
    ]],
    [Error, "hostile getter", [
      () => SharedMemoryArray.clearBuffers(hostile([Symbol.iterator])),
    ]],
  ],
  "SharedMemoryArray.prune()": [
    [Error, "hostile getter", [
      () => SharedMemoryArray.prune(hostile(["olderThan"])),
    ]],
    [TypeError, "Cannot prune: the options must be an object, not null", [
      () => SharedMemoryArray.prune(null),
    ]],
    [TypeError, "Cannot prune: the options must be an object, not a number", [
      () => SharedMemoryArray.prune(3600),
    ]],
    [TypeError, "Cannot prune: the options must be an object, not a string", [
      () => SharedMemoryArray.prune("tile"),
    ]],
    [TypeError, "Cannot prune: olderThan must be a number, not a string", [
      () => SharedMemoryArray.prune({ olderThan: "1h" }),
    ]],
    [RangeError, "Cannot prune: olderThan must be 0 or more milliseconds, not -1", [
      () => SharedMemoryArray.prune({ olderThan: -1 }),
    ]],
    [RangeError, "Cannot prune: olderThan must be 0 or more milliseconds, not NaN", [
      () => SharedMemoryArray.prune({ olderThan: NaN }),
    ]],
    [TypeError, "Cannot prune: olderThan must be a number, not an object", [
      () => SharedMemoryArray.prune({ olderThan: new Date() }),
    ]],
    [TypeError, "Cannot prune: olderThan must be a number, not a bigint", [
      () => SharedMemoryArray.prune({ olderThan: 1n }),
    ]],
    [TypeError, "Cannot prune: prefix must be a string, not a number", [
      () => SharedMemoryArray.prune({ prefix: 7 }),
    ]],
    [TypeError, "Cannot prune: prefix must be a string, not null", [
      () => SharedMemoryArray.prune({ prefix: null }),
    ]],
    [TypeError, "Cannot prune: prefix must be a string, not an object", [
      () => SharedMemoryArray.prune({ prefix: /tile/ }),
    ]],
    [TypeError, "Cannot prune: dryRun must be a boolean, not a string", [
      () => SharedMemoryArray.prune({ dryRun: "no" }),
    ]],
    [TypeError, 'Cannot prune: there is no option "dryrun"; there is olderThan, prefix, dryRun', [
      () => SharedMemoryArray.prune({ dryrun: true }),
    ]],
    [TypeError, 'Cannot prune: there is no option "dry-run"; there is olderThan, prefix, dryRun', [
      () => SharedMemoryArray.prune({ "dry-run": true }),
    ]],
  ],
  "new SharedMemory()": [
    [
      TypeError,
      "Cannot construct SharedMemory: use SharedMemory.create(name, byteLength) or SharedMemory.open(name)",
      [
        () => new SharedMemory("a", 4),
        () => new SharedMemory(),
      ],
    ],
  ],
  "SharedMemory.create()": [
    [TypeError, "Cannot use this name: it must be a string, not undefined", [
      () => SharedMemory.create(),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not undefined", [
      () => SharedMemory.create("a"),
    ]],
    [
      RangeError,
      'Cannot use the name "a/b": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => SharedMemory.create("a/b", 4),
      ],
    ],
    [RangeError, "it has 256 bytes in UTF-8, and this platform allows", [
      () => SharedMemory.create("x".repeat(256), 4),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not a string", [
      () => SharedMemory.create("a", "4"),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not a bigint", [
      () => SharedMemory.create("a", 4n),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not null", [
      () => SharedMemory.create("a", null),
    ]],
    [TypeError, "Cannot create: byteLength must be a number of bytes, not an array", [
      () => SharedMemory.create("a", [4]),
    ]],
    [RangeError, "Cannot create: a segment cannot have 0 bytes", [
      () => SharedMemory.create("a", 0),
      () => SharedMemory.create("a", -0),
    ]],
    [RangeError, "Cannot create: a segment cannot have -1 bytes", [
      () => SharedMemory.create("a", -1),
    ]],
    [RangeError, "Cannot create: a segment cannot have 0.5 bytes", [
      () => SharedMemory.create("a", 0.5),
    ]],
    [RangeError, "Cannot create: a segment cannot have NaN bytes", [
      () => SharedMemory.create("a", NaN),
    ]],
    [RangeError, "Cannot create: a segment cannot have Infinity bytes", [
      () => SharedMemory.create("a", Infinity),
    ]],
    [RangeError, "Cannot create: a segment cannot have 9007199254740992 bytes", [
      () => SharedMemory.create("a", 2 ** 53),
    ]],
    [RangeError, "Cannot create: mode must be from 0 to 0o777", [
      () => SharedMemory.create("a", 4, { mode: 0o1777 }),
    ]],
    [TypeError, 'Cannot create: there is no option "size"; there is mode, reserve', [
      () => SharedMemory.create("a", 4, { size: 4 }),
    ]],
    [TypeError, "Cannot create: the options must be an object, not null", [
      () => SharedMemory.create("a", 4, null),
    ]],
  ],
  "SharedMemory.open()": [
    [TypeError, "Cannot use this name: it must be a string, not undefined", [
      () => SharedMemory.open(),
    ]],
    [
      RangeError,
      'Cannot use the name "a/b": it holds a "/"; give it without the leading slash of shm_open',
      [
        () => SharedMemory.open("a/b"),
      ],
    ],
    [TypeError, "Cannot use this name: it must be a string, not a number", [
      () => SharedMemory.open(7),
    ]],
    [RangeError, 'Cannot use the name "\\u0000": it holds a NUL', [
      () => SharedMemory.open("\0"),
    ]],
    [RangeError, 'Cannot use the name "": it is empty', [
      () => SharedMemory.open(""),
    ]],
  ],
  "SharedMemory.close()": [
    [TypeError, FOREIGN, [
      () => SharedMemory.prototype.close.call({}),
    ]],
  ],
  "SharedMemory.unlink()": [
    [TypeError, FOREIGN, [
      () => SharedMemory.prototype.unlink.call({ name: "a" }),
    ]],
  ],
  "SharedMemory.buf": [
    [TypeError, FOREIGN, [
      () => Reflect.get(SharedMemory.prototype, "buf"),
    ]],
  ],
  "new SharedMemoryRegister()": [
    [TypeError, "Cannot make a register: the options must be an object, not null", [
      () => new SharedMemoryRegister(null),
    ]],
    [TypeError, "Cannot make a register: the options must be an object, not a number", [
      () => new SharedMemoryRegister(3),
    ]],
    [TypeError, "Cannot make a register: the options must be an object, not a string", [
      () => new SharedMemoryRegister("a"),
    ]],
    [TypeError, "Cannot make a register: the options must be an object, not an array", [
      () => new SharedMemoryRegister(["a"]),
    ]],
    [TypeError, 'Cannot make a register: there is no option "signal"; there is signals', [
      () => new SharedMemoryRegister({ signal: "SIGINT" }),
    ]],
    [TypeError, 'Cannot make a register: signals must be an array such as ["SIGINT", "SIGTERM"]', [
      () => new SharedMemoryRegister({ signals: "SIGINT" }),
    ]],
    [RangeError, "Cannot make a register: SIGKILL cannot be listened to", [
      () => new SharedMemoryRegister({ signals: ["SIGKILL"] }),
    ]],
    [RangeError, "Cannot make a register: SIGSEGV cannot be listened to", [
      () => new SharedMemoryRegister({ signals: ["SIGSEGV"] }),
    ]],
    [RangeError, "Cannot make a register: sigint cannot be listened to", [
      () => new SharedMemoryRegister({ signals: ["sigint"] }),
    ]],
    [RangeError, "Cannot make a register: 2 cannot be listened to", [
      () => new SharedMemoryRegister({ signals: [2] }),
    ]],
    [RangeError, "Cannot make a register: undefined cannot be listened to", [
      () => new SharedMemoryRegister({ signals: new Array(1) }),
    ]],
    [RangeError, "Cannot make a register: Symbol(SIGINT) cannot be listened to", [
      () => new SharedMemoryRegister({ signals: [Symbol("SIGINT")] }),
    ]],
    [Error, "hostile getter", [
      () => new SharedMemoryRegister(hostile(["signals"])),
    ]],
  ],
  "createAndRegisterSma()": [
    [TypeError, "Cannot create: the options must be an object, not a boolean", [
      () => createAndRegisterSma(4, "int8", [], "", true),
    ]],
    [TypeError, 'there is no option "signals"; there is anonymous, mode, reserve', [
      () => createAndRegisterSma(4, "int8", [], "", { signals: [] }),
    ]],
    [TypeError, "Cannot create: anonymous must be a boolean, not a number", [
      () => createAndRegisterSma(4, "int8", [], "", { anonymous: 1 }),
    ]],
    [RangeError, "Cannot create: mode must be from 0 to 0o777", [
      () => createAndRegisterSma(4, "int8", [], "", { mode: 0o1000 }),
      () => createAndRegisterSma(4, "int8", [], "", { mode: 0o1000, anonymous: true }),
    ]],
    [RangeError, 'it holds a "/"', [
      () => createAndRegisterSma(4, "int8", [], "a/b", { anonymous: true }),
    ]],
    [Error, "hostile getter", [
      () => createAndRegisterSma(4, "int8", hostile(["push"])),
    ]],
    [
      TypeError,
      "Cannot register: the register must have push(name), as an array or a SharedMemoryRegister",
      [
        () => createAndRegisterSma(4, "int8"),
        () => createAndRegisterSma(4, "int8", null),
        () => createAndRegisterSma(4, "int8", new Set()),
        () => createAndRegisterSma(4, "int8", { push: "a" }),
      ],
    ],
    [RangeError, "Cannot share shape [0]: it has no elements, and a segment cannot be empty", [
      () => createAndRegisterSma(0, "int8", []),
    ]],
    [TypeError, 'Cannot use this dtype: "int" is unknown', [
      () => createAndRegisterSma(4, "int", []),
    ]],
    [TypeError, "Cannot use this prefix: it must be a string, not a number", [
      () => createAndRegisterSma(4, "int8", [], 7),
    ]],
    [RangeError, 'it holds a "/"; give it without the leading slash of shm_open', [
      () => createAndRegisterSma(4, "int8", [], "a/b"),
    ]],
  ],
  "shmarrayWrap()": [
    [TypeError, 'Cannot use this dtype: "int" is unknown', [
      () => shmarrayWrap(() => {})({ shape: 4, dtype: "int", name: "a" }),
      () => shmarrayWrap(() => {})([{ shape: 4, dtype: "int", name: "a" }]),
      () => shmarrayWrap(() => {})({ array: { shape: 4, dtype: "int", name: "a" } }),
    ]],
    [TypeError, "strides is none of its keys", [
      () => shmarrayWrap(() => {})({ shape: 4, dtype: "int8", name: "a", strides: [1] }),
    ]],
    [TypeError, "Cannot wrap undefined: shmarrayWrap takes a function or decorates a method", [
      () => shmarrayWrap(),
    ]],
    [TypeError, "Cannot wrap null: shmarrayWrap takes a function or decorates a method", [
      () => shmarrayWrap(null),
    ]],
    [TypeError, "Cannot wrap an object: shmarrayWrap takes a function or decorates a method", [
      () => shmarrayWrap({ call: () => 0 }),
    ]],
    [TypeError, "Cannot wrap a string: shmarrayWrap takes a function or decorates a method", [
      () => shmarrayWrap("f"),
    ]],
    [
      TypeError,
      "Cannot wrap a generator function: its body would run after the arrays were closed",
      [
        () => shmarrayWrap(function* () {}),
        () => shmarrayWrap(async function* () {}),
      ],
    ],
    [TypeError, "Cannot wrap a class: shmarrayWrap takes a function or decorates a method", [
      () => shmarrayWrap(() => 0, { kind: "class" }),
    ]],
    [TypeError, "Cannot wrap a getter: shmarrayWrap takes a function or decorates a method", [
      () => shmarrayWrap(() => 0, { kind: "getter" }),
    ]],
    [Error, "hostile getter", [
      () => shmarrayWrap(() => 0)(hostile(["a"])),
    ]],
  ],
  "new NDArray()": [
    [TypeError, "Cannot make a view: data must be a typed array, not undefined", [
      () => new NDArray(),
    ]],
    [TypeError, "Cannot make a view: data must be a typed array, not null", [
      () => new NDArray(null),
    ]],
    [TypeError, "Cannot make a view: data must be a typed array, not an array", [
      () => new NDArray([1, 2]),
    ]],
    [TypeError, "Cannot make a view: data must be a typed array, not", [
      () => new NDArray(new ArrayBuffer(8)),
      () => new NDArray(new DataView(new ArrayBuffer(8))),
      () => new NDArray(new Proxy(new Uint8Array(4), {})),
      () => new NDArray({ length: 4, buffer: new ArrayBuffer(4) }),
    ]],
    [TypeError, "Cannot make a view: the options must be an object, not null", [
      () => new NDArray(new Uint8Array(4), null),
    ]],
    [TypeError, "Cannot make a view: the options must be an object, not a number", [
      () => new NDArray(new Uint8Array(4), 4),
    ]],
    [TypeError, "Cannot make a view: the options must be an object, not a string", [
      () => new NDArray(new Uint8Array(4), "int8"),
    ]],
    [TypeError, "Cannot make a view: data holds uint8, not int8", [
      () => new NDArray(new Uint8Array(4), { dtype: "int8" }),
    ]],
    [TypeError, "Cannot make a view: data holds int8, not bool", [
      () => new NDArray(new Int8Array(4), { dtype: "bool" }),
    ]],
    [
      TypeError,
      'Cannot use this dtype: "bytes" holds text; use uint8 with the text encoded by TextEncoder',
      [
        () => new NDArray(new Uint8Array(4), { dtype: "bytes" }),
      ],
    ],
    [TypeError, "Cannot use this dtype: null names none", [
      () => new NDArray(new Uint8Array(4), { dtype: null }),
    ]],
    [TypeError, "Cannot use this shape: it must be an array of integers", [
      () => new NDArray(new Uint8Array(4), { shape: "4" }),
      () => new NDArray(new Uint8Array(4), { shape: null }),
    ]],
    [
      RangeError,
      "Cannot lay shape [5] with stride [1] and offset 0 over 4 elements: it needs positions 0 to 4",
      [
        () => new NDArray(new Uint8Array(4), { shape: 5 }),
        () => new NDArray(new Uint8Array(4), { shape: [5] }),
      ],
    ],
    [RangeError, "Cannot use shape [-1]: a length is negative", [
      () => new NDArray(new Uint8Array(4), { shape: [-1] }),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not NaN", [
      () => new NDArray(new Uint8Array(4), { shape: [2, NaN] }),
    ]],
    [
      RangeError,
      "Cannot use shape [1099511627776, 1099511627776]: the number of elements is beyond 2^53 - 1",
      [
        () => new NDArray(new Uint8Array(4), { shape: [2 ** 40, 2 ** 40] }),
      ],
    ],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not 9007199254740992", [
      () => new NDArray(new Uint8Array(4), { shape: [0, 2 ** 53] }),
    ]],
    [RangeError, "Cannot use stride [3, 1]: it has 2 entries, and the shape [2] has 1", [
      () => new NDArray(new Uint8Array(4), { shape: [2], stride: [3, 1] }),
    ]],
    [
      RangeError,
      "Cannot lay shape [2] with stride [4] and offset 0 over 4 elements: it needs positions 0 to 4",
      [
        () => new NDArray(new Uint8Array(4), { shape: [2], stride: [4] }),
      ],
    ],
    [
      RangeError,
      "Cannot lay shape [2] with stride [-1] and offset 0 over 4 elements: it needs positions -1 to 0",
      [
        () => new NDArray(new Uint8Array(4), { shape: [2], stride: [-1] }),
      ],
    ],
    [RangeError, "Cannot use this stride: an entry must be a safe integer, not 0.5", [
      () => new NDArray(new Uint8Array(4), { shape: [2], stride: [0.5] }),
    ]],
    [RangeError, "Cannot use this stride: an entry must be a safe integer, not NaN", [
      () => new NDArray(new Uint8Array(4), { shape: [2], stride: [NaN] }),
    ]],
    [TypeError, "Cannot use this stride: it must be an array of integers", [
      () => new NDArray(new Uint8Array(4), { shape: [2], stride: 1 }),
    ]],
    [RangeError, "Cannot lay shape [2, 1073741824]", [
      () => new NDArray(new Uint8Array(4), { shape: [2, 2 ** 30], stride: [2 ** 53 - 1, 2 ** 30] }),
    ]],
    [
      RangeError,
      "Cannot lay shape [0] with stride [1] and offset 5 over 4 elements: it needs positions from 5",
      [
        () => new NDArray(new Uint8Array(4), { offset: 5 }),
        () => new NDArray(new Uint8Array(4), { shape: [0], offset: 5 }),
      ],
    ],
    [RangeError, "Cannot use offset -1: it is negative", [
      () => new NDArray(new Uint8Array(4), { offset: -1 }),
    ]],
    [RangeError, "Cannot use this offset: it must be a safe integer, not 0.5", [
      () => new NDArray(new Uint8Array(4), { offset: 0.5 }),
    ]],
    [RangeError, "Cannot use this offset: it must be a safe integer, not NaN", [
      () => new NDArray(new Uint8Array(4), { offset: NaN }),
    ]],
    [TypeError, "Cannot use this offset", [
      () => new NDArray(new Uint8Array(4), { offset: "0" }),
      () => new NDArray(new Uint8Array(4), { offset: 1n }),
    ]],
    [Error, "hostile getter", [
      () => new NDArray(new Uint8Array(4), hostile(["shape"])),
    ]],
    [
      Deno.errors.BadResource,
      "Cannot use this array: its memory is gone; it was closed, or its buffer transferred",
      [
        () => new NDArray(detached),
      ],
    ],
  ],
  "NDArray.get()": [
    [RangeError, "Cannot reach an element: 0 indices for an array of 2 axes", [
      () => view.get(),
    ]],
    [RangeError, "Cannot reach an element: 1 index for an array of 2 axes", [
      () => view.get(0),
      () => view.get([0, 0]),
    ]],
    [RangeError, "Cannot reach an element: 3 indices for an array of 2 axes", [
      () => view.get(0, 0, 0),
    ]],
    [RangeError, "Cannot reach index 2: it is out of bounds for axis 0 of length 2", [
      () => view.get(2, 0),
    ]],
    [RangeError, "Cannot reach index -3: it is out of bounds for axis 0 of length 2", [
      () => view.get(-3, 0),
    ]],
    [RangeError, "Cannot reach index 3: it is out of bounds for axis 1 of length 3", [
      () => view.get(0, 3),
    ]],
    [RangeError, "Cannot reach an element: the index of axis 0 must be a safe integer, not 0.5", [
      () => view.get(0.5, 0),
    ]],
    [RangeError, "Cannot reach an element: the index of axis 0 must be a safe integer, not NaN", [
      () => view.get(NaN, 0),
    ]],
    [
      RangeError,
      "Cannot reach an element: the index of axis 0 must be a safe integer, not Infinity",
      [
        () => view.get(Infinity, 0),
      ],
    ],
    [RangeError, "Cannot reach index 4294967296: it is out of bounds for axis 0 of length 2", [
      () => view.get(2 ** 32, 0),
    ]],
    [
      RangeError,
      "Cannot reach an element: the index of axis 0 must be a safe integer, not 9007199254740992",
      [
        () => view.get(2 ** 53, 0),
      ],
    ],
    [TypeError, "Cannot reach an element: the index of axis 0 must be an integer, not a string", [
      () => view.get("0", 0),
    ]],
    [TypeError, "Cannot reach an element: the index of axis 0 must be an integer, not null", [
      () => view.get(null, 0),
    ]],
    [TypeError, "Cannot reach an element: the index of axis 0 must be an integer, not undefined", [
      () => view.get(undefined, 0),
    ]],
    [TypeError, "Cannot reach an element: the index of axis 0 must be an integer, not a boolean", [
      () => view.get(true, 0),
    ]],
    [TypeError, "Cannot", [
      () => view.get(0n, 0),
      () => view.get(Symbol("0"), 0),
    ]],
    [TypeError, "Cannot reach an element: the index of axis 0 must be an integer, not an array", [
      () => view.get([0], 0),
    ]],
    [TypeError, "Cannot reach an element: the index of axis 0 must be an integer, not", [
      () => view.get({ valueOf: () => 0 }, 0),
    ]],
    [TypeError, "this.index is not a function", [
      () => NDArray.prototype.get.call({}, 0),
    ]],
  ],
  "NDArray.set()": [
    [RangeError, "Cannot reach an element: 0 indices for an array of 2 axes", [
      () => view.set(),
      () => view.set(1),
    ]],
    [RangeError, "Cannot reach an element: 1 index for an array of 2 axes", [
      () => view.set(0, 1),
      () => view.set(0, 0),
    ]],
    [RangeError, "Cannot reach an element: 3 indices for an array of 2 axes", [
      () => view.set(0, 0, 0, 1),
    ]],
    [RangeError, "Cannot reach index 2: it is out of bounds for axis 0 of length 2", [
      () => view.set(2, 0, 1),
    ]],
    [RangeError, "Cannot reach an element: the index of axis 0 must be a safe integer, not 0.5", [
      () => view.set(0.5, 0, 1),
    ]],
    [TypeError, "Cannot reach an element: the index of axis 0 must be an integer, not a string", [
      () => view.set("0", 0, 1),
    ]],
    [RangeError, "Cannot reach index -4: it is out of bounds for axis 1 of length 3", [
      () => view.set(0, -4, 1),
    ]],
    [TypeError, "Cannot store a string in float64: its elements are numbers", [
      () => view.set(0, 0, "1"),
    ]],
    [
      TypeError,
      "Cannot store a bigint in float64: its elements are numbers; Number(value) converts",
      [
        () => view.set(0, 0, 1n),
      ],
    ],
    [TypeError, "Cannot store null in float64: its elements are numbers", [
      () => view.set(0, 0, null),
    ]],
    [TypeError, "Cannot store undefined in float64: its elements are numbers", [
      () => view.set(0, 0, undefined),
    ]],
    [TypeError, "Cannot store a boolean in float64: its elements are numbers", [
      () => view.set(0, 0, true),
    ]],
    [TypeError, "Cannot store an array in float64: its elements are numbers", [
      () => view.set(0, 0, [1]),
    ]],
    [TypeError, "Cannot store", [
      () => view.set(0, 0, { valueOf: () => 1 }),
      () => view.set(0, 0, new Date(0)),
    ]],
    [
      TypeError,
      "Cannot store a number in int64: its elements are bigints; BigInt(value) converts",
      [
        () => big.set(0, 1),
      ],
    ],
    [TypeError, "Cannot store a string in int64: its elements are bigints", [
      () => big.set(0, "1"),
    ]],
    [TypeError, "Cannot store a boolean in int64: its elements are bigints", [
      () => big.set(0, true),
    ]],
    [TypeError, "Cannot store null in int64: its elements are bigints", [
      () => big.set(0, null),
    ]],
  ],
  "NDArray.index()": [
    [RangeError, "Cannot reach an element: 0 indices for an array of 2 axes", [
      () => view.index(),
    ]],
    [RangeError, "Cannot reach an element: 3 indices for an array of 2 axes", [
      () => view.index(0, 0, 0),
    ]],
    [RangeError, "Cannot reach index 9: it is out of bounds for axis 1 of length 3", [
      () => view.index(0, 9),
    ]],
    [TypeError, "Cannot reach an element: the index of axis 1 must be an integer, not a string", [
      () => view.index(0, "0"),
    ]],
    [RangeError, "Cannot reach an element: the index of axis 1 must be a safe integer, not -0.5", [
      () => view.index(0, -0.5),
    ]],
  ],
  "NDArray.slice()": [
    [RangeError, "Cannot reach index 2: it is out of bounds for axis 0 of length 2", [
      () => view.slice(2),
    ]],
    [RangeError, "Cannot slice: 3 indices for an array of 2 axes", [
      () => view.slice(0, 0, 0),
    ]],
    [RangeError, 'Cannot slice: "..." may occur only once in a selection', [
      () => view.slice("...", "..."),
    ]],
    [RangeError, "Cannot slice: an index must be a safe integer, not 0.5", [
      () => view.slice(0.5),
    ]],
    [RangeError, 'Cannot slice: "a" is no index; write "3", "0:10", "::-1" or "..."', [
      () => view.slice("a"),
    ]],
    [TypeError, "is no index", [
      () => view.slice(undefined),
    ]],
    [TypeError, "Cannot slice: a boolean true is no index", [
      () => view.slice(true),
    ]],
    [TypeError, "Cannot slice: an array is no index", [
      () => view.slice([0]),
    ]],
    [TypeError, 'Cannot slice: a range has start, stop and step, not "end"', [
      () => view.slice({ start: 0, end: 1 }),
    ]],
    [TypeError, "Cannot slice: an object must be a range with start, stop or step", [
      () => view.slice(new Map()),
    ]],
    [Error, "hostile getter", [
      () => view.slice(hostile(["stop"])),
    ]],
  ],
  "NDArray.reshape()": [
    [RangeError, "Cannot reshape: shape [2, 3] of 6 elements does not fill shape []", [
      () => view.reshape(),
    ]],
    [RangeError, "Cannot reshape: shape [2, 3] of 6 elements does not fill shape [5]", [
      () => view.reshape(5),
    ]],
    [RangeError, "Cannot reshape: only one length may be -1", [
      () => view.reshape(-1, -1),
    ]],
    [RangeError, "Cannot reshape: shape [2, 3] of 6 elements does not fill shape [-1, 4]", [
      () => view.reshape(-1, 4),
    ]],
    [RangeError, "Cannot use shape [-2, 3]: a length is negative", [
      () => view.reshape(-2, 3),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not a string", [
      () => view.reshape("6"),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not NaN", [
      () => view.reshape([6, NaN]),
    ]],
    [TypeError, "Cannot use this shape: a length must be an integer, not null", [
      () => view.reshape(null),
    ]],
    [RangeError, "Cannot use this shape: a length must be a safe integer, not 9007199254740992", [
      () => view.reshape(2 ** 53),
    ]],
    [
      RangeError,
      "Cannot reshape: the view is not contiguous, and reshape() never copies; use new NDArray(view.copy(), { shape })",
      [
        () => view.transpose().reshape(6),
      ],
    ],
  ],
  "NDArray.subarray()": [
    [
      RangeError,
      "Cannot give a subarray: the view is not contiguous; copy() gives its elements as a copy",
      [
        () => view.slice(":", "::-1").subarray(),
      ],
    ],
  ],
  "NDArray.broadcastTo()": [
    [TypeError, "Cannot use this shape: a length must be an integer, not ", [
      () => view.broadcastTo("3"),
      () => view.broadcastTo([null]),
    ]],
    [RangeError, "Cannot use shape [-1, 3]: a length is negative", [
      () => view.broadcastTo(-1, 3),
    ]],
    [RangeError, "Cannot broadcast: shape [2, 3] does not broadcast to shape [3]", [
      () => view.broadcastTo(3),
    ]],
    [RangeError, "Cannot broadcast: shape [2, 3] does not broadcast to shape []", [
      () => view.broadcastTo(),
    ]],
  ],
  "NDArray.rows()": [
    [RangeError, "Cannot go through the rows of a 0-d view: it has no axis", [
      () => view.slice(0, 0).rows(),
    ]],
    [Deno.errors.BadResource, "Cannot use this array: its memory is gone", [
      () => gone.rows(),
    ]],
  ],
  "NDArray.astype()": [
    [TypeError, "Cannot use this dtype", [
      () => view.astype(),
      () => view.astype("float23"),
      () => view.astype(null),
    ]],
    [Deno.errors.BadResource, "Cannot use this array: its memory is gone", [
      () => gone.astype("int8"),
    ]],
  ],
  "NDArray.transpose()": [
    [RangeError, "Cannot transpose: [0] must name each of the 2 axes once", [
      () => view.transpose(0),
    ]],
    [RangeError, "Cannot transpose: [0, 0] must name each of the 2 axes once", [
      () => view.transpose(0, 0),
    ]],
    [RangeError, "Cannot transpose: [0, 2] must name each of the 2 axes once", [
      () => view.transpose(0, 2),
    ]],
    [RangeError, "Cannot transpose: [-3, 0] must name each of the 2 axes once", [
      () => view.transpose(-3, 0),
    ]],
    [TypeError, "must be an integer, not a string", [
      () => view.transpose("0", 1),
    ]],
    [RangeError, "must be a safe integer, not 0.5", [
      () => view.transpose([0, 0.5]),
    ]],
    [TypeError, "must be an integer, not null", [
      () => view.transpose(null),
    ]],
  ],
  "NDArray.fill()": [
    [TypeError, "Cannot store undefined in float64: its elements are numbers", [
      () => view.fill(),
    ]],
    [TypeError, "Cannot store a string in float64: its elements are numbers", [
      () => view.fill("0"),
    ]],
    [
      TypeError,
      "Cannot store a bigint in float64: its elements are numbers; Number(value) converts",
      [
        () => view.fill(1n),
      ],
    ],
    [TypeError, "Cannot store null in float64: its elements are numbers", [
      () => view.fill(null),
    ]],
    [TypeError, "Cannot store an array in float64: its elements are numbers", [
      () => view.fill([1, 2, 3]),
    ]],
    [
      TypeError,
      "Cannot store a number in int64: its elements are bigints; BigInt(value) converts",
      [
        () => big.fill(1),
      ],
    ],
  ],
  "NDArray.assign()": [
    [TypeError, "Cannot store undefined in float64: its elements are numbers", [
      () => view.assign(),
      () => view.assign(hole),
      () => view.assign(new Array(3)),
    ]],
    [TypeError, "Cannot store a string in float64: its elements are numbers", [
      () => view.assign("123"),
      () => view.assign([1, 2, "3"]),
    ]],
    [
      TypeError,
      "Cannot store a bigint in float64: its elements are numbers; Number(value) converts",
      [
        () => view.assign(1n),
        () => view.assign([1n, 2n, 3n]),
      ],
    ],
    [TypeError, "Cannot store null in float64: its elements are numbers", [
      () => view.assign(null),
      () => view.assign([1, 2, null]),
    ]],
    [
      TypeError,
      "Cannot store a number in int64: its elements are bigints; BigInt(value) converts",
      [
        () => big.assign([1, 2]),
      ],
    ],
    [TypeError, "Cannot store", [
      () => view.assign({ length: 3 }),
      () => view.assign(new Set([1, 2, 3])),
      () => view.assign(new ArrayBuffer(24)),
    ]],
    [RangeError, "Cannot assign: shape [2] does not broadcast to shape [2, 3]", [
      () => view.assign([1, 2]),
      () => view.assign(Uint8Array.of(1, 2)),
    ]],
    [RangeError, "Cannot assign: shape [0] does not broadcast to shape [2, 3]", [
      () => view.assign([]),
    ]],
    [
      RangeError,
      "Cannot assign: the arrays are ragged; at depth 1 one has length 2, the first has length 3",
      [
        () => view.assign([[1, 2, 3], [4, 5]]),
      ],
    ],
    [
      RangeError,
      "Cannot assign: the arrays are ragged; at depth 1 one has a single element, the first has length 3",
      [
        () => view.assign([[1, 2, 3], 4]),
      ],
    ],
    [
      RangeError,
      "Cannot assign: the arrays are ragged; at depth 1 one has length 1, the first has none",
      [
        () => view.assign([1, [2], 3]),
      ],
    ],
    [
      TypeError,
      "Cannot assign: the elements of an object with data, shape and stride must be in a typed array, not in an array",
      [
        () => view.assign({ data: [1, 2, 3], shape: [3], stride: [1], offset: 0 }),
      ],
    ],
    [RangeError, "Cannot lay shape [9] with stride [1] and offset 0 over 3 elements", [
      () => view.assign({ data: new Int8Array(3), shape: [9], stride: [1], offset: 0 }),
    ]],
    [RangeError, "Cannot assign: shape [2, 2] does not broadcast to shape [2, 3]", [
      () => view.assign(new NDArray(new Float64Array(4), { shape: [2, 2] })),
    ]],
    [RangeError, "Cannot assign: the arrays are nested more than 64 deep", [
      () => view.assign(cyclic),
    ]],
    [Error, "hostile trap", [
      () => view.assign(proxyOf([1, 2, 3], "1")),
    ]],
    [
      Deno.errors.BadResource,
      "Cannot use this array: its memory is gone; it was closed, or its buffer transferred",
      [
        () => view.assign(detached),
      ],
    ],
  ],
  "NDArray.shape": [
    [TypeError, "Cannot add property 2, object is not extensible", [
      () => view.shape.push(3),
    ]],
  ],
  "NDArray.stride": [
    [TypeError, "Cannot assign to read only property '0'", [
      () => (view.stride[0] = 1),
    ]],
  ],
};
Deno.test({
  name: "bad input: a system call would be seen here as NotCapable",
  permissions,
  fn() {
    assertInstanceOf(errorOf(() => sma.create()), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => sma.load()), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => sma.unlink()), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => SharedMemory.create("a", 4)), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => SharedMemory.open("a")), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => SharedMemoryArray.list()), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => SharedMemoryArray.prune()), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => createAndRegisterSma(4, "int8", [])), Deno.errors.NotCapable);
    assertInstanceOf(errorOf(() => shmarrayWrap(() => 0)(sma)), Deno.errors.NotCapable);
    const failure = errorOf(() => SharedMemoryArray.clearBuffers(["a"])) as AggregateError;
    assertInstanceOf(failure, AggregateError);
    assertInstanceOf(failure.errors[0], Deno.errors.NotCapable);
  },
});

for (const [symbol, its] of Object.entries(rows)) {
  Deno.test({
    name: `${symbol} refuses ${
      count(its)
    } wrong calls by the documented error, without a system call`,
    permissions,
    fn() {
      const wrong: string[] = [];
      for (const [ErrorClass, message, calls] of its) {
        for (const call of calls) {
          const text = String(call).replace(/^\(\)\s*=>\s*/, "");
          try {
            const error = errorOf(call);
            const told = typeof message === "string"
              ? error.message.includes(message)
              : message.test(error.message);
            if (error.constructor !== ErrorClass || !told) wrong.push(`${text} gives ${error}`);
          } catch (failure) {
            wrong.push(`${text}: ${failure}`);
          }
        }
      }
      // All of them at once: one wrong row must not hide the others.
      assert(wrong.length === 0, wrong.join("\n"));
      // None of the views and descriptions that were misused has changed.
      assertEquals(view.toArray(), [[0, 0, 0], [0, 0, 0]]);
      assertEquals([view.shape, view.stride], [[2, 3], [3, 1]]);
      assertEquals(big.toArray(), [0n, 0n]);
      assertEquals({ ...sma }, { shape: [4], dtype: "int8", name: "a", arraySlice: null });
    },
  });
}

Deno.test("bad input: every public function and class has wrong calls, 422 or more in all", () => {
  const symbols = Object.keys(rows).join("\n");
  const without = Object.keys(typed).filter((name) => !new RegExp(`\\b${name}\\b`).test(symbols));
  assertEquals(without, []);
  assert(count(Object.values(rows).flat()) >= 422);
});

// --- Long input --------------------------------------------------------------------------------

const text = 'ä"x'.repeat(33_334);
const endless: { [what: string]: unknown } = {
  "a text": text,
  "texts": [text, text],
  "numbers": Array.from({ length: 100_000 }, (_, i) => i + 1),
  "a deep list": Array.from({ length: 1000 }).reduce((list: unknown) => [list], 1),
  "a bigint": 10n ** 100_000n,
  "bigints": [10n ** 100_000n],
  "a symbol": Symbol(text),
  "symbols": [Symbol(text)],
  "a function": Object.defineProperty(() => {}, "name", { value: text }),
  "a class": Object.defineProperty(class {}, "name", { value: text }),
  "a generator function": Object.defineProperty(function* () {}, "name", { value: text }),
  "a key": { [text]: 1 },
  "an object that is a text": { toString: () => text, valueOf: () => text },
  "an error": new Error(text),
  "a large number": 1e300,
  "an array-like of many": new Float64Array(100_000),
};

/** All places where a caller gives something. */
const places: { [place: string]: (given: unknown) => unknown } = {
  shape: (given) => new SharedMemoryArray(given, "int8", "a"),
  dtype: (given) => new SharedMemoryArray([1], given, "a"),
  name: (given) => new SharedMemoryArray([1], "int8", given),
  arraySlice: (given) => new SharedMemoryArray([1], "int8", "a", given),
  "an item of arraySlice": (given) => new SharedMemoryArray([1], "int8", "a", [given]),
  "create()": (given) => sma.create(given),
  "create({ mode })": (given) => sma.create({ mode: given }),
  "create({ reserve })": (given) => sma.create({ reserve: given }),
  "clone()": (given) => SharedMemoryArray.clone(given),
  "an override": (given) => SharedMemoryArray.clone(sma, given),
  "an override's shape": (given) => SharedMemoryArray.clone(sma, { shape: given }),
  "from()": (given) => SharedMemoryArray.from(given),
  "a descriptor's name": (given) =>
    SharedMemoryArray.from({ shape: [1], dtype: "int8", name: given }),
  "buildSmaName()": (given) => SharedMemoryArray.buildSmaName(given),
  "clearBuffers()": (given) => SharedMemoryArray.clearBuffers(given),
  "clearBuffers([])": (given) => SharedMemoryArray.clearBuffers([given]),
  "prune()": (given) => SharedMemoryArray.prune(given),
  "prune({ olderThan })": (given) => SharedMemoryArray.prune({ olderThan: given, dryRun: 1 }),
  "prune({ prefix })": (given) => SharedMemoryArray.prune({ prefix: given, dryRun: 1 }),
  "SharedMemory.create()": (given) => SharedMemory.create(given, 1),
  byteLength: (given) => SharedMemory.create("a", given),
  "SharedMemory.open()": (given) => SharedMemory.open(given),
  "a register": (given) => new SharedMemoryRegister(given),
  signals: (given) => new SharedMemoryRegister({ signals: given }),
  "a signal": (given) => new SharedMemoryRegister({ signals: [given] }),
  uncaught: (given) => new SharedMemoryRegister({ uncaught: given }),
  "createAndRegisterSma()": (given) => createAndRegisterSma([1], "int8", given),
  "shmarrayWrap()": (given) => shmarrayWrap(given, given),
  data: (given) => new NDArray(given),
  "options of a view": (given) => new NDArray(new Uint8Array(1), given),
  "shape of a view": (given) => new NDArray(new Uint8Array(1), { shape: given }),
  "stride of a view": (given) => new NDArray(new Uint8Array(1), { stride: given }),
  "offset of a view": (given) => new NDArray(new Uint8Array(1), { offset: given }),
  "dtype of a view": (given) => new NDArray(new Uint8Array(1), { dtype: given }),
  "slice()": (given) => slice(given, given, given),
  "a value": (given) => new NDArray(new Uint8Array(6), { shape: [2, 3] }).set(0, 0, given),
  "values": (given) => new NDArray(new Uint8Array(6), { shape: [2, 3] }).assign([given, given]),
};
for (const method of ["get", "set", "index", "slice", "fill", "assign", "reshape", "transpose"]) {
  const fresh = () => new NDArray(new Float64Array(6), { shape: [2, 3] });
  places[`${method}()`] = (given) => fresh()[method](given);
  places[`${method}(0, …)`] = (given) => fresh()[method](0, given);
  places[`${method}(…) of many`] = (given) => fresh()[method](given, given, given, given);
  places[`${method}(...many)`] = (given) =>
    fresh()[method](...(Array.isArray(given) ? given.slice(0, 10_000) : [given]));
}

Deno.test({
  name: "bad input: no message quotes more than some 80 characters of it",
  permissions,
  fn() {
    const long: string[] = [];
    let refused = 0;
    for (const [place, call] of Object.entries(places)) {
      for (const [what, given] of Object.entries(endless)) {
        try {
          call(given);
        } catch (error) {
          refused++;
          const { message } = error as Error;
          if (message === text) continue; // It was the caller's own error.
          if (message.length > 400) long.push(`${place} of ${what}: ${message.length} characters`);
        }
      }
    }
    assert(long.length === 0, long.join("\n"));
    assert(refused > 600, String(refused));
    // An error of several names some of them only.
    const names = Array.from({ length: 1000 }, (_, i) => `a/${i}`);
    const register = new SharedMemoryRegister();
    register.push(...names);
    const { message, errors } = errorOf(() => register[Symbol.dispose]()) as AggregateError;
    register.length = 0;
    assertEquals(errors.length, 1000);
    assert(message.length < 400 && message.endsWith("; and 997 more"), message);
  },
});

/** Does something while `Object.prototype` has properties that another module put there. */
function polluted<R>(properties: Record<string, unknown>, body: () => R): R {
  Object.assign(Object.prototype, properties);
  try {
    return body();
  } finally {
    for (const key of Object.keys(properties)) delete (Object.prototype as never)[key];
  }
}

Deno.test({
  name: "bad input: descriptions and views do not take options from Object.prototype",
  permissions,
  fn() {
    // Taken out (options read as plain properties): a view of 4 elements comes out with shape [2], or
    // the call is refused for an option that nobody gave.
    const hung = {
      shape: [2],
      stride: [9],
      offset: 1,
      dtype: "bool",
      arraySlice: [0],
      start: 3,
      layout: { byteOffset: 4 },
      byteOffset: 4,
      strides: [9],
    };
    for (const [key, value] of Object.entries(hung)) {
      const [made, cloned, from, range, array] = polluted({ [key]: value }, () => [
        { ...new SharedMemoryArray([4], "int8", "a") },
        { ...SharedMemoryArray.clone(sma, {}) },
        { ...SharedMemoryArray.from({ shape: [4], dtype: "int8", name: "a" }) },
        slice(1),
        new NDArray(new Uint8Array(4)),
      ]);
      const expected = { shape: [4], dtype: "int8", name: "a", arraySlice: null };
      for (const each of [made, cloned, from]) assertEquals(each, expected, key);
      assertEquals({ ...range }, { start: 1, stop: null, step: null }, key);
      assertEquals([array.shape, array.offset, array.dtype], [[4], 0, "uint8"], key);
    }
  },
});

Deno.test({
  name: "bad input: options of functions do not come from Object.prototype",
  permissions,
  fn() {
    // NotCapable: they are accepted, that is, the wrong values were not seen.
    const hung = {
      mode: "x",
      reserve: "x",
      access: "x",
      timeout: "x",
      anonymous: "x",
      olderThan: -1,
      prefix: 7,
      dryRun: "x",
      signals: "x",
    };
    polluted(hung, () => {
      assertInstanceOf(errorOf(() => sma.create({})), Deno.errors.NotCapable);
      assertInstanceOf(errorOf(() => SharedMemory.create("a", 4)), Deno.errors.NotCapable);
      assertInstanceOf(errorOf(() => sma.load({})), Deno.errors.NotCapable);
      assertInstanceOf(errorOf(() => createAndRegisterSma(4, "int8", [])), Deno.errors.NotCapable);
      assertInstanceOf(errorOf(() => SharedMemoryArray.prune({})), Deno.errors.NotCapable);
      assertEquals(new SharedMemoryRegister({}).length, 0);
    });
  },
});

Deno.test({
  name: "bad input: what runs while arguments are read cannot make a view lie",
  permissions,
  fn() {
    const make = () => {
      const data = new Float64Array(3);
      const gone = (): number => {
        if (!data.buffer.detached) data.buffer.transfer();
        return 0;
      };
      return { array: new NDArray(data), gone };
    };
    const { BadResource } = Deno.errors;
    // An index that takes the memory away when it is converted.
    const reading = make();
    assertInstanceOf(errorOf(() => reading.array.get({ valueOf: reading.gone })), BadResource);
    const storing = make();
    assertInstanceOf(errorOf(() => storing.array.set({ valueOf: storing.gone }, 1)), BadResource);
    // A source that does it when it is read: nothing could be stored, so it must not look as if.
    const assigning = make();
    const source = [1, 2, 3];
    Object.defineProperty(source, 1, { get: assigning.gone });
    assertInstanceOf(errorOf(() => assigning.array.assign(source)), BadResource);
    // A shape that is another one each time it is read.
    let reads = 0;
    const fickle = { get: () => reads++ === 0 ? [3] : [300] };
    const options = Object.defineProperty({}, "shape", { ...fickle, enumerable: true });
    try {
      assert(new NDArray(new Uint8Array(3), options).size <= 3);
    } catch (error) {
      assertInstanceOf(error, RangeError);
    }
  },
});
