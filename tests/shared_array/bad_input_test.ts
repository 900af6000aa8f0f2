// Wrong calls of SharedMemoryArray's members, of registers, and of the functions beside the class: `tests/helpers/bad_input.ts` says what holds for each.

import { api, FOREIGN, hostile, refuses, sma, view, withoutKeys } from "../helpers/bad_input.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it calls list()");

const {
  SharedMemoryArray,
  SharedMemory,
  SharedMemoryRegister,
  shmarrayWrap,
  createAndRegisterSma,
} = api;

refuses({
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
  "SharedMemoryArray.createOrLoad()": [
    [TypeError, "Cannot create or load: the options must be an object, not a string", [
      () => sma.createOrLoad("copy-on-write"),
    ]],
    [TypeError, 'Cannot create or load: there is no option "size"; there is mode, reserve', [
      () => sma.createOrLoad({ size: 4 }),
    ]],
    [RangeError, 'access must be "read-write" or "copy-on-write", not "read-only"', [
      () => sma.createOrLoad({ access: "read-only" }),
    ]],
    [RangeError, "Cannot load: timeout must be 0 or more milliseconds, not", [
      () => sma.createOrLoad({ timeout: -1 }),
    ]],
    [RangeError, "Cannot create: mode must be from 0 to 0o777", [
      () => sma.createOrLoad({ mode: 0o1000 }),
    ]],
    [RangeError, "names of this form lead to anonymous segments", [
      () => new SharedMemoryArray(4, "int8", "memfd:1:2:3").createOrLoad(),
    ]],
    [Error, "hostile getter", [
      () => sma.createOrLoad(hostile(["mode"])),
    ]],
    [TypeError, FOREIGN, [
      () => SharedMemoryArray.prototype.createOrLoad.call(Object.create(sma)),
    ]],
  ],
  "SharedMemoryArray.isCreator": [
    [TypeError, FOREIGN, [
      () => Reflect.get(SharedMemoryArray.prototype, "isCreator"),
    ]],
    [TypeError, "Cannot set property isCreator", [
      () => (sma.isCreator = true),
    ]],
  ],
  "SharedMemoryArray.isAnonymous": [
    [TypeError, FOREIGN, [
      () => Reflect.get(SharedMemoryArray.prototype, "isAnonymous"),
    ]],
    [TypeError, "Cannot set property isAnonymous", [
      () => (sma.isAnonymous = true),
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
    [TypeError, "Cannot use this name: it must be a string, not an object; give the name of it", [
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
    [TypeError, "Cannot make a register: memory must be a string such as", [
      () => new SharedMemoryRegister({ memory: 1 }),
    ]],
    [
      RangeError,
      'Cannot make a register: memory must be "auto", "named" or "anonymous", not "no"',
      [
        () => new SharedMemoryRegister({ memory: "no" }),
      ],
    ],
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
    [TypeError, 'there is no option "signals"; there is anonymous, memory, mode, reserve', [
      () => createAndRegisterSma(4, "int8", [], "", { signals: [] }),
    ]],
    [TypeError, "Cannot create: anonymous must be a boolean, not a number", [
      () => createAndRegisterSma(4, "int8", [], "", { anonymous: 1 }),
    ]],
    [TypeError, "Cannot create: memory must be a string such as", [
      () => createAndRegisterSma(4, "int8", [], "", { memory: true }),
    ]],
    [RangeError, 'Cannot create: memory must be "auto", "named" or "anonymous", not "memfd"', [
      () => createAndRegisterSma(4, "int8", [], "", { memory: "memfd" }),
    ]],
    [RangeError, 'anonymous: true and memory: "auto" contradict each other', [
      () => createAndRegisterSma(4, "int8", [], "", { anonymous: true, memory: "auto" }),
    ]],
    [RangeError, 'anonymous: true and memory: "named" contradict each other', [
      () => createAndRegisterSma(4, "int8", [], "", { anonymous: true, memory: "named" }),
    ]],
    [RangeError, 'anonymous: false and memory: "anonymous" contradict each other', [
      () => createAndRegisterSma(4, "int8", [], "", { anonymous: false, memory: "anonymous" }),
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
}, 160);
