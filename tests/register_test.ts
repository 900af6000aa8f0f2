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
} from "../mod.ts";
import {
  type ChildOptions,
  errorOf,
  runChild,
  segmentExists,
  segmentPath,
  startChild,
  uniqueName,
  withNames,
} from "./helpers.ts";

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

// --- The end of the process ------------------------------------------------------------------

/** What a child does with its segments; it prints their names before its end. */
async function namesAfter(
  code: string,
  options?: ChildOptions,
): Promise<{ code: number; names: string[]; stderr: string }> {
  const { code: status, stdout, stderr } = await runChild(code, options);
  const names = stdout.trim().split("\n").filter((line) => line !== "");
  return { code: status, names, stderr };
}

const making = `
  const register = new SharedMemoryRegister();
  const sma = createAndRegisterSma(10, "float32", register);
  const other = createAndRegisterSma(10, "float32", register);
  other.close();
  console.log(register.join("\\n"));
`;

const using = making.replace("const register", "using register");
const endings: [criterion: string, code: string, status: number][] = [
  ["its program ends", making, 0],
  ["Deno.exit(3)", `${making} Deno.exit(3);`, 3],
  ["Deno.exit() within the scope", `{ ${using} Deno.exit(4); }`, 4],
  ["a timer that is the last to run", `${making} setTimeout(() => {}, 20);`, 0],
  // Deno fires no unload event at an error that nobody catches: that is what `using` is for.
  ["an exception that nobody catches", `{ ${using} throw new Error("mine"); }`, 1],
];
for (const [criterion, code, status] of endings) {
  Deno.test(`SharedMemoryRegister removes its segments when the process ends by ${criterion}`, async () => {
    const result = await namesAfter(code, { permissions: ["--allow-ffi"] });
    assertEquals([result.code, result.names.length], [status, 2], result.stderr);
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals(left, []);
  });
}

Deno.test("SharedMemoryRegister cleans the other registers if one fails at the end", () =>
  withNames(async (directory) => {
    Deno.mkdirSync(segmentPath(directory));
    const result = await namesAfter(
      `const failing = new SharedMemoryRegister();
      failing.push(Deno.args[0]);
      ${making}`,
      { args: [directory] },
    );
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals([result.names.length, left], [2, []]);
    assertStringIncludes(result.stderr, "Cannot clear the register");
  }));

Deno.test("SharedMemoryRegister that was disposed of takes no part in the end", () =>
  withNames(async (name) => {
    const { code, stderr } = await runChild(
      `const register = new SharedMemoryRegister({ signals: ["SIGTERM"] });
      register[Symbol.dispose]();
      using sma = new SharedMemoryArray(1, "uint8", Deno.args[0]);
      sma.create();`,
      { args: [name] },
    );
    // Neither a listener nor a timer keeps the process alive, either.
    assertEquals(code, 0, stderr);
    assert(segmentExists(name));
  }));

// --- Signals ---------------------------------------------------------------------------------

/** Starts a child that waits to be killed, and sends it a signal once it has printed its names. */
async function endBy(
  signal: Deno.Signal,
  code: string,
): Promise<{ names: string[]; signal: Deno.Signal | null; stderr: string }> {
  const child = await startChild(
    `${code}\nconsole.log("ready");\nsetTimeout(() => {}, 30_000);`,
    { permissions: ["--allow-ffi"] },
  );
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("ready\n")) {
    const { value, done } = await lines.read();
    if (done) break;
    text += value;
  }
  if (text.includes("ready")) child.kill(signal);
  await lines.cancel();
  const stderr = await new Response(child.stderr).text();
  const status = await child.status;
  const names = text.split("\n").filter((line) => line !== "" && line !== "ready");
  return { names, signal: status.signal, stderr };
}

const withSignals = making.replace("Register()", 'Register({ signals: ["SIGINT", "SIGTERM"] })');

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`SharedMemoryRegister cleans up at ${signal}, which then ends the process`, async () => {
    const result = await endBy(signal, withSignals);
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals([result.names.length, left, result.signal], [2, [], signal], result.stderr);
  });
}

for (const signal of ["SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2"] as const) {
  Deno.test(`SharedMemoryRegister can clean up at ${signal}, too`, async () => {
    const result = await endBy(
      signal,
      making.replace("Register()", `Register({ signals: ["${signal}"] })`),
    );
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals([result.names.length, left, result.signal], [2, [], signal], result.stderr);
  });
}

Deno.test("SharedMemoryRegister without signals leaves its segments at SIGTERM", async () => {
  const result = await endBy("SIGTERM", making);
  const left = result.names.filter(segmentExists);
  SharedMemoryArray.clearBuffers(left);
  assertEquals([left.length, result.signal], [2, "SIGTERM"], result.stderr);
});

Deno.test("SharedMemoryRegister: two in one process clean up at one signal", async () => {
  const result = await endBy(
    "SIGTERM",
    `const signals = ["SIGTERM", "SIGTERM"];
    const one = new SharedMemoryRegister({ signals });
    const two = new SharedMemoryRegister({ signals });
    const without = new SharedMemoryRegister();
    for (const register of [one, two, without]) {
      console.log(createAndRegisterSma(1, "uint8", register).name);
    }`,
  );
  const left = result.names.filter(segmentExists);
  SharedMemoryArray.clearBuffers(left);
  // The one that did not ask for signals is cleaned, too: the process ends.
  assertEquals([result.names.length, left, result.signal], [3, [], "SIGTERM"], result.stderr);
});

Deno.test("SharedMemoryRegister: disposing of one keeps the signal for the other", async () => {
  const result = await endBy(
    "SIGINT",
    `const one = new SharedMemoryRegister({ signals: ["SIGINT"] });
    const two = new SharedMemoryRegister({ signals: ["SIGINT", "SIGHUP"] });
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    console.log(createAndRegisterSma(1, "uint8", two).name);`,
  );
  const left = result.names.filter(segmentExists);
  SharedMemoryArray.clearBuffers(left);
  assertEquals([result.names.length, left, result.signal], [1, [], "SIGINT"], result.stderr);
});

Deno.test("SharedMemoryRegister ends the process by the signal though it cannot clean up", () =>
  withNames(async (directory) => {
    Deno.mkdirSync(segmentPath(directory));
    const result = await endBy(
      "SIGTERM",
      `const one = new SharedMemoryRegister({ signals: ["SIGTERM"] });
      one.push(${JSON.stringify(directory)}, "a/b");`,
    );
    assertEquals(result.signal, "SIGTERM");
    assertStringIncludes(result.stderr, directory);
  }));
