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
import {
  createAndRegisterSma,
  type RegisterOptions,
  SharedMemoryArray,
  SharedMemoryRegister,
} from "../../mod.ts";
import { errorOf, segmentExists, segmentPath, uniqueName, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** The segments whose names `buildSmaName` made with a prefix, as the file system shows them. */
function segmentsWith(prefix: string): string[] {
  return [...Deno.readDirSync("/dev/shm")].map(({ name }) => name)
    .filter((name) => name.includes(`-${prefix}-`));
}

// --- createAndRegisterSma() ------------------------------------------------------------------

Deno.test("createAndRegisterSma() creates, and pushes the name into an array", () => {
  const register: string[] = [];
  const prefix = uniqueName();
  try {
    using sma = createAndRegisterSma([2, 3], "<f4", register, prefix);
    assertInstanceOf(sma, SharedMemoryArray);
    assertEquals(register, [sma.name]);
    assertMatch(sma.name, new RegExp(`^\\d+-${prefix}-\\d{6}-\\d{4}-\\d{4}-`));
    assertEquals([sma.dtype, sma.arraySlice], ["float32", null]);
    assertEquals(sma.array!.toArray(), [[0, 0, 0], [0, 0, 0]]);
    using other = createAndRegisterSma(4, Int8Array, register, prefix);
    assertEquals(register, [sma.name, other.name]);
    assertEquals(segmentsWith(prefix).sort(), register.toSorted());
  } finally {
    assertEquals(SharedMemoryArray.clearBuffers(register), register);
  }
});

Deno.test("createAndRegisterSma() has no prefix by default", () => {
  using register = new SharedMemoryRegister();
  for (const prefix of [undefined, null, ""]) {
    using sma = createAndRegisterSma(1, "bool", register, prefix);
    assertMatch(sma.name, /^\d+--\d{6}-/);
  }
});

Deno.test("createAndRegisterSma() takes anything with push()", () => {
  const names = new Set<string>();
  const register = {
    push(name: string): void {
      assertStrictEquals(this, register);
      names.add(name);
    },
  };
  using sma = createAndRegisterSma(1, "uint8", register);
  assertEquals(SharedMemoryArray.clearBuffers(names), [sma.name]);
});

Deno.test("createAndRegisterSma() leaves nothing if push() throws", () => {
  const prefix = uniqueName();
  const register = {
    push(): never {
      assertEquals(segmentsWith(prefix).length, 1);
      throw new Error("full");
    },
  };
  assertThrows(() => createAndRegisterSma(1, "uint8", register, prefix), Error, "full");
  assertThrows(
    () => createAndRegisterSma(1, "uint8", Object.freeze([]) as unknown as string[], prefix),
    TypeError,
  );
  assertEquals(segmentsWith(prefix), []);
});

Deno.test("createAndRegisterSma() registers nothing if it cannot create", () => {
  const prefix = uniqueName();
  const register: string[] = [];
  const create = createAndRegisterSma as (...args: unknown[]) => unknown;
  assertThrows(() => create(0, "uint8", register, prefix), RangeError, "no elements");
  assertThrows(() => create(1, ">f4", register, prefix), TypeError, "big-endian");
  assertThrows(() => create(1, "uint8", register, "a/b"), RangeError, '"/"');
  assertThrows(() => create(1, "uint8", undefined, prefix), TypeError, "push(name)");
  assertThrows(() => create(1, "uint8", {}, prefix), TypeError, "push(name)");
  const full = errorOf(() => create([2 ** 30, 2 ** 20], "uint8", register, prefix));
  assertEquals(full.code, "ENOSPC");
  assertEquals([register, segmentsWith(prefix)], [[], []]);
});

// --- SharedMemoryRegister: the list ----------------------------------------------------------

Deno.test("SharedMemoryRegister is an Array of strings", () => {
  using register = new SharedMemoryRegister();
  assert(Array.isArray(register));
  assertInstanceOf(register, Array);
  const name = uniqueName();
  assertEquals([register.length, register.push(name), register[0]], [0, 1, name]);
  assertEquals([...register], [name]);
  assertEquals(JSON.stringify(register), JSON.stringify([name]));
});

Deno.test("SharedMemoryRegister makes plain arrays by map, filter, slice and concat", () => {
  using register = new SharedMemoryRegister();
  register.push(uniqueName(), uniqueName());
  const made = [
    register.map((name) => name.length),
    register.filter(() => true),
    register.slice(1),
    register.concat(["x"]),
    register.flatMap((name) => [name, name]),
    register.splice(0, 1),
  ];
  for (const array of made) {
    assertStrictEquals(Object.getPrototypeOf(array), Array.prototype);
    assertFalse(array instanceof SharedMemoryRegister);
  }
  assertEquals(register.length, 1);
});

// --- Disposal --------------------------------------------------------------------------------

Deno.test("SharedMemoryRegister removes its segments at the end of a scope", () => {
  let names: string[];
  {
    using register = new SharedMemoryRegister();
    using one = createAndRegisterSma(1, "uint8", register);
    const two = createAndRegisterSma(1, "uint8", register);
    names = [one.name, two.name];
    two.close();
    assert(names.every(segmentExists));
  }
  assertFalse(names.some(segmentExists));
});

Deno.test("SharedMemoryRegister removes its segments when an exception leaves the scope", () => {
  let name = "";
  assertThrows(
    () => {
      using register = new SharedMemoryRegister();
      name = createAndRegisterSma(1, "uint8", register).name;
      throw new Error("mine");
    },
    Error,
    "mine",
  );
  assert(name !== "");
  assertFalse(segmentExists(name));
});

Deno.test("SharedMemoryRegister removes whatever was pushed, and gone names are no error", () => {
  withNames((foreign, gone) => {
    using sma = new SharedMemoryArray(1, "uint8", foreign);
    sma.create();
    const register = new SharedMemoryRegister();
    register.push(foreign, gone, foreign);
    register[Symbol.dispose]();
    assertEquals([register.length, segmentExists(foreign)], [0, false]);
    // The attachment is not the register's.
    assertEquals(sma.array!.get(0), 0);
  });
});

Deno.test("SharedMemoryRegister is disposed of more than once, and used again", () => {
  const register = new SharedMemoryRegister();
  register[Symbol.dispose]();
  register[Symbol.dispose]();
  using sma = createAndRegisterSma(1, "uint8", register);
  assert(segmentExists(sma.name));
  register[Symbol.dispose]();
  assertFalse(segmentExists(sma.name));
  register[Symbol.dispose]();
});

Deno.test("SharedMemoryRegister does not remove what was taken off the list", () => {
  withNames((name) => {
    {
      using register = new SharedMemoryRegister();
      using sma = new SharedMemoryArray(1, "uint8", name);
      sma.create();
      register.push(name);
      register.pop();
    }
    assert(segmentExists(name));
  });
});

Deno.test("SharedMemoryRegister tries all, and keeps the list if some cannot be removed", () => {
  withNames((directory, name) => {
    Deno.mkdirSync(segmentPath(directory));
    const register = new SharedMemoryRegister();
    using sma = new SharedMemoryArray(1, "uint8", name);
    sma.create();
    register.push(directory, "a/b", name);
    const error = errorOf(() => register[Symbol.dispose]());
    assertInstanceOf(error, AggregateError);
    assertEquals(error.errors.length, 2);
    assertMatch(error.message, /^Cannot clear the register: /);
    assertStringIncludes(error.message, directory);
    assertFalse(segmentExists(name));
    assertEquals([...register], [directory, "a/b", name]);
    Deno.removeSync(segmentPath(directory));
    register.splice(1, 1);
    register[Symbol.dispose]();
    assertEquals(register.length, 0);
  });
});

const badOptions: [options: unknown, ErrorClass: new (m: string) => Error, message: string][] = [
  [null, TypeError, "the options must be an object, not null"],
  [["a"], TypeError, "the options must be an object, not an array"],
  [3, TypeError, "the options must be an object, not a number"],
  [{ signal: "SIGINT" }, TypeError, 'no option "signal"'],
  [{ signals: "SIGINT" }, TypeError, "signals must be an array"],
  [{ signals: ["SIGKILL"] }, RangeError, "SIGKILL cannot be listened to; there is SIGHUP"],
  [{ signals: ["INT"] }, RangeError, "INT cannot be listened to"],
  [{ signals: [2] }, RangeError, "2 cannot be listened to"],
];
for (const [options, Class, message] of badOptions) {
  Deno.test(`new SharedMemoryRegister() refuses ${Deno.inspect(options)}`, () => {
    const error = assertThrows(
      () => new SharedMemoryRegister(options as RegisterOptions),
      Class,
      message,
    );
    assertMatch(error.message, /^Cannot make a register: /);
  });
}
