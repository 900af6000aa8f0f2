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
import {
  errorOf,
  evalChild,
  segmentExists,
  segmentPath,
  uniqueName,
  withNames,
} from "../helpers/helpers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

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

// --- memory ----------------------------------------------------------------------------------

/** What `memory` gives in a `/dev/shm` of some size: for each size in MiB, whether the array is anonymous. */
async function choicesIn(size: string, mebibytes: readonly number[]): Promise<unknown> {
  return await evalChild(
    `
    const told = {};
    for (const memory of ["auto", "named", "anonymous", undefined]) {
      told[memory] = ${JSON.stringify(mebibytes)}.map((mib) => {
        using register = new SharedMemoryRegister();
        try {
          using sma = createAndRegisterSma(mib * 2 ** 20, "uint8", register, "m", { memory });
          sma.array.fill(7);
          using other = SharedMemoryArray.from(JSON.parse(JSON.stringify(sma)));
          const isNameless = [...Deno.readDirSync("/dev/shm")].length === 0;
          const isRight = other.load().get(-1) === 7 && isNameless === sma.isAnonymous;
          return isRight ? other.isAnonymous : "wrong";
        } catch ({ code }) {
          return code;
        }
      });
    }
    console.log(JSON.stringify([told, [...Deno.readDirSync("/dev/shm")].length]));`,
    { before: inNamespaces("--mount", `mount -t tmpfs -o ${size} tmpfs /dev/shm`) },
  );
}

testWith(
  "namespaces",
  "memory: auto is anonymous where /dev/shm has less free than is asked for",
  async () => {
    // Taken out (the look at what is free): [false, ...], as ENOSPC decides then; with reserve: false nothing does.
    assertEquals(await choicesIn("size=80m", [1, 80, 81]), [{
      auto: [false, false, true],
      named: [false, false, "ENOSPC"],
      anonymous: [true, true, true],
      undefined: [false, false, "ENOSPC"],
    }, 0]);
  },
);

testWith("namespaces", "memory: auto is anonymous where /dev/shm has 64 MiB or less", async () => {
  const named = { named: [false], anonymous: [true], undefined: [false] };
  assertEquals(await choicesIn("size=64m", [1]), [{ auto: [true], ...named }, 0]);
  assertEquals(await choicesIn("size=65m", [1]), [{ auto: [false], ...named }, 0]);
});

testWith("namespaces", "memory: auto is named in a /dev/shm without a limit", async () => {
  const told = await choicesIn("size=0", [1, 65]);
  assertEquals(told, [{
    auto: [false, false],
    named: [false, false],
    anonymous: [true, true],
    undefined: [false, false],
  }, 0]);
});

testWith("namespaces", "memory: auto looks at what is free, also with reserve: false", async () => {
  const told = await evalChild(
    `
    using register = new SharedMemoryRegister({ memory: "auto" });
    const isAnonymous = (mib, options) => {
      using sma = createAndRegisterSma(mib * 2 ** 20, "uint8", register, null, options);
      return sma.isAnonymous;
    };
    console.log(JSON.stringify([
      isAnonymous(90, { reserve: false }),
      isAnonymous(200, { reserve: false }),
      isAnonymous(200, { reserve: false, memory: "named" }),
      isAnonymous(50), // which stays
      isAnonymous(60),
      isAnonymous(40),
    ]));`,
    { before: inNamespaces("--mount", "mount -t tmpfs -o size=100m tmpfs /dev/shm") },
  );
  assertEquals(told, [false, true, false, false, true, false]);
});

testWith("namespaces", "memory: auto works where there is no /dev/shm", async () => {
  const told = await evalChild(
    `
    using register = new SharedMemoryRegister({ memory: "auto" });
    using sma = createAndRegisterSma(100, "uint8", register);
    console.log(JSON.stringify(sma.isAnonymous));`,
    {
      before: inNamespaces(
        "--mount",
        "mount -t tmpfs none /mnt && touch /mnt/null /mnt/urandom && " +
          "mount --bind /dev/null /mnt/null && mount --bind /dev/urandom /mnt/urandom && " +
          "mount --rbind /mnt /dev",
      ),
    },
  );
  assertEquals(told, true);
});

Deno.test("memory: the call decides, then the register, then it is named", () => {
  const isAnonymous = (
    register: { push(name: string): unknown },
    options?: Parameters<typeof createAndRegisterSma>[4],
  ): boolean => {
    using sma = createAndRegisterSma(1, "int8", register, null, options);
    sma.unlink();
    return sma.isAnonymous;
  };
  using anonymous = new SharedMemoryRegister({ memory: "anonymous" });
  using named = new SharedMemoryRegister({ memory: "named" });
  using silent = new SharedMemoryRegister();
  assertEquals([anonymous, named, silent, []].map((each) => isAnonymous(each)), [
    true,
    false,
    false,
    false,
  ]);
  assertFalse(isAnonymous(anonymous, { memory: "named" }));
  assertFalse(isAnonymous(anonymous, { anonymous: false }));
  assert(isAnonymous(named, { memory: "anonymous" }));
  assert(isAnonymous(named, { anonymous: true }));
  assert(isAnonymous(silent, { anonymous: true, memory: "anonymous" }));
  assertFalse(isAnonymous(anonymous, { anonymous: false, memory: "named" }));
  assertFalse(isAnonymous({ push: () => {}, ...{ memory: "anonymous" } }), "it is no register");
});

Deno.test("memory: a register's subclass and what is derived from it are told apart", () => {
  class Mine extends SharedMemoryRegister {}
  using register = new Mine({ memory: "anonymous" });
  using sma = createAndRegisterSma(1, "int8", register);
  assert(sma.isAnonymous);
  const names = register.map((name) => name); // a plain array
  using other = createAndRegisterSma(1, "int8", names);
  assertFalse(other.isAnonymous);
  other.unlink();
});

Deno.test("isAnonymous: the form of the name decides; it is no part of the description", () => {
  const named = new SharedMemoryArray(1, "int8", "x");
  const anonymous = new SharedMemoryArray(1, "int8", "memfd:1:2:3");
  assertEquals([named.isAnonymous, anonymous.isAnonymous], [false, true]);
  assertFalse("isAnonymous" in JSON.parse(JSON.stringify(anonymous)));
  assertFalse(Object.hasOwn(anonymous, "isAnonymous"));
  assertThrows(() => {
    (anonymous as { isAnonymous: boolean }).isAnonymous = false;
  }, TypeError);
  assertThrows(() => SharedMemoryArray.prototype.isAnonymous, TypeError);
});
