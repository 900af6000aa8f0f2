import { assertEquals, assertThrows } from "@std/assert";
import {
  checkInteger,
  checkIntegers,
  kindOf,
  listText,
  type OptionKind,
  quote,
  readOptions,
  shorten,
} from "../src/check.ts";

Deno.test("kindOf() names the kind with its article", () => {
  const kinds: [value: unknown, kind: string][] = [
    [null, "null"],
    [undefined, "undefined"],
    [[], "an array"],
    [{}, "an object"],
    [new Uint8Array(1), "an object"],
    ["x", "a string"],
    [1, "a number"],
    [1n, "a bigint"],
    [true, "a boolean"],
    [Symbol("s"), "a symbol"],
    [() => 1, "a function"],
  ];
  for (const [value, kind] of kinds) assertEquals(kindOf(value), kind);
});

Deno.test("shorten() keeps 80 characters, and never half of one", () => {
  assertEquals(shorten("x".repeat(80)), "x".repeat(80));
  assertEquals(shorten("x".repeat(81)), "x".repeat(80) + "…");
  const cut = shorten("x".repeat(79) + "😀".repeat(2));
  assertEquals(cut.isWellFormed(), true);
});

Deno.test("quote() shows what cannot be seen, and shortens", () => {
  assertEquals(quote("a\0\ud800"), '"a\\u0000\\ud800"');
  assertEquals(quote("x".repeat(1000)), `"${"x".repeat(80)}…"`);
});

Deno.test("listText() writes a list in brackets, and shortens", () => {
  assertEquals(listText([1, -2, 3]), "[1, -2, 3]");
  assertEquals(listText([]), "[]");
  assertEquals(listText(Array(1e6).fill(12345)).length, 83);
});

Deno.test("checkInteger() takes safe integers, and says what else was given", () => {
  for (const value of [0, -0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    checkInteger(value, "slice", "start");
  }
  for (const value of ["1", 1n, null, undefined, [1], true]) {
    assertThrows(
      () => checkInteger(value, "slice", "start"),
      TypeError,
      `Cannot slice: start must be an integer, not ${kindOf(value)}`,
    );
  }
  for (const value of [0.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(
      () => checkInteger(value, "slice", "start"),
      RangeError,
      `Cannot slice: start must be a safe integer, not ${value}`,
    );
  }
});

Deno.test("checkIntegers() copies, has no -0, and meets holes", () => {
  const list = [1, -0];
  const copy = checkIntegers(list, "use it", "an entry");
  list[0] = 9;
  assertEquals(copy, [1, 0]);
  assertEquals(Object.is(copy[1], 0), true);
  // deno-lint-ignore no-sparse-arrays -- that is the point
  assertThrows(() => checkIntegers([1, , 2], "use it", "an entry"), TypeError, "not undefined");
  for (const value of ["1", null, { length: 1, 0: 1 }, new Int32Array(1)]) {
    assertThrows(
      () => checkIntegers(value, "use it", "an entry"),
      TypeError,
      `Cannot use it: it must be an array of integers, not ${kindOf(value)}`,
    );
  }
  assertThrows(
    () => checkIntegers(new Int32Array(1), "use it", "an entry"),
    TypeError,
    "; Array.from() makes one of a typed array",
  );
});

interface Options {
  mode?: number;
  reserve?: boolean;
  label?: string;
  list?: unknown[];
  more?: object;
  signal?: AbortSignal;
  other?: unknown;
}

const kinds: { [K in keyof Required<Options>]: OptionKind } = {
  mode: "number such as 0o600",
  reserve: "boolean",
  label: "string",
  list: "array",
  more: "object",
  signal: "AbortSignal",
  other: "any",
};

const read = (options: unknown): Partial<Options> =>
  readOptions(options as Options | undefined, kinds, "create");

Deno.test("readOptions() copies what is there, without what is undefined", () => {
  const { signal } = new AbortController();
  const all = { mode: 1, reserve: false, label: "", list: [], more: {}, signal, other: null };
  assertEquals({ ...read(all) }, all);
  assertEquals(Object.keys(read({ mode: undefined })), []);
  assertEquals(Object.keys(read(undefined)), []);
});

Deno.test("readOptions() does not take what hangs on Object.prototype", () => {
  const everywhere = Object.prototype as { mode?: number };
  everywhere.mode = 7;
  try {
    assertEquals([read({}).mode, read({ mode: 1 }).mode], [undefined, 1]);
  } finally {
    delete everywhere.mode;
  }
  assertEquals(Object.getPrototypeOf(read({ mode: 1 })), null);
});

Deno.test("readOptions() takes what is inherited, and getters of classes", () => {
  assertEquals(read(Object.create({ mode: 7 })).mode, 7);
  const controller = new AbortController();
  assertEquals(read(controller).signal, controller.signal);
  assertThrows(() => read(Object.create({ mode: "7" })), TypeError, "mode must be a number");
});

Deno.test("readOptions() refuses what is no object, unknown names and other kinds", () => {
  for (const options of [null, [], "mode", 1]) {
    assertThrows(
      () => read(options),
      TypeError,
      `Cannot create: the options must be an object, not ${kindOf(options)}`,
    );
  }
  assertThrows(
    () => read({ mod: 1 }),
    TypeError,
    'Cannot create: there is no option "mod"; there is mode, reserve,',
  );
  const wrong: [options: object, message: string][] = [
    [{ mode: "1" }, "mode must be a number such as 0o600, not a string"],
    [{ mode: null }, "mode must be a number such as 0o600, not null"],
    [{ reserve: 1 }, "reserve must be a boolean, not a number"],
    [{ label: 1n }, "label must be a string, not a bigint"],
    [{ list: {} }, "list must be an array, not an object"],
    [{ more: [] }, "more must be an object, not an array"],
    [{ more: null }, "more must be an object, not null"],
    [{ signal: {} }, "signal must be an AbortSignal, not an object"],
  ];
  for (const [options, message] of wrong) {
    assertThrows(() => read(options), TypeError, `Cannot create: ${message}`);
  }
});
