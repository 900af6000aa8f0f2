// Wrong calls of new SharedMemoryArray(): `tests/helpers/bad_input.ts` says what holds for each.

import {
  api,
  hole,
  hostile,
  proxyOf,
  refuses,
  sma,
  sparse,
  withoutKeys,
} from "../helpers/bad_input.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "names may be shorter elsewhere");

const { SharedMemoryArray, slice } = api;

refuses({
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
}, 129);
