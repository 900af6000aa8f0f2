// What holds for wrong calls over the whole public API. Those of each symbol stand in the folders of their
// sources, in `bad_input…_test.ts`.

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import * as typed from "@shm/array";
import { api, sma } from "./helpers/bad_input.ts";
import { errorOf } from "./helpers/helpers.ts";
import { everyTestWith } from "./helpers/test_with.ts";

everyTestWith("Linux", "it calls list()");

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

/** The test files that hold wrong calls, as text. */
function filesOfWrongCalls(): string[] {
  return ["ndarray", "segment", "shared_array"].flatMap((folder) => {
    const url = new URL(`${folder}/`, import.meta.url);
    return [...Deno.readDirSync(url)]
      .filter(({ name }) => /^bad_input\w*_test\.ts$/.test(name))
      .map(({ name }) => Deno.readTextFileSync(new URL(name, url)));
  });
}

Deno.test("bad input: every public function and class has wrong calls, 422 or more in all", () => {
  const files = filesOfWrongCalls();
  const symbols = files.flatMap((text) =>
    Array.from(text.matchAll(/^ {2}"(.+)": \[$/gm), ([, symbol]) => symbol)
  ).join("\n");
  const callable = Object.entries(typed).filter(([, value]) => typeof value === "function");
  const without = callable.filter(([name]) => !new RegExp(`\\b${name}\\b`).test(symbols));
  assertEquals(without, []);
  const least = files.map((text) => Number(/^}, (\d+)\);$/m.exec(text)?.[1]));
  assert(least.reduce((sum, each) => sum + each, 0) >= 422, least.join(" + "));
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
    // An index that would take the memory away if it were converted: it is refused as it is.
    for (const name of ["get", "set", "index"]) {
      const { array, gone } = make();
      const index = { valueOf: gone, toString: gone };
      for (const indices of [[index], [index, 1], [1, index]]) {
        assertInstanceOf(errorOf(() => array[name](...indices)), Error);
        assert(!array.data.buffer.detached, `${name} converts an index`);
      }
      assertInstanceOf(
        errorOf(() => array[name](...name === "set" ? [index, 1] : [index])),
        TypeError,
      );
    }
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
