// Wrong calls of slice() and of NDArray: `tests/helpers/bad_input.ts` says what holds for each.

import {
  api,
  big,
  cyclic,
  detached,
  gone,
  hole,
  hostile,
  proxyOf,
  refuses,
  view,
} from "../helpers/bad_input.ts";

const { NDArray, slice } = api;

refuses({
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
}, 170);
