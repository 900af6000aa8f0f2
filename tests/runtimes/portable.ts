/**
 * What must hold in every runtime, in Deno, Node and Bun alike, with processes of each of the others on the other
 * side. `runtimes_test.ts` starts it in all of them. It needs no framework for tests: the last line of its output tells
 * how many checks passed.
 *
 * @module
 */

import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { inspect } from "node:util";
import vm from "node:vm";
import {
  createAndRegisterSma,
  errors,
  NDArray,
  SharedMemory,
  SharedMemoryArray,
  SharedMemoryRegister,
  shmarrayWrap,
  slice,
} from "@shm/array";
import { run as shell } from "@shm/array/cli";
import { bytesPerElement, dtypes } from "@shm/array/dtype";
import { readNpy, writeNpy } from "@shm/array/npy";
import { EndedError, SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import {
  BrokenBarrierError,
  notify,
  SharedMemoryBarrier,
  SharedMemoryLock,
  wait,
  waitAsync,
} from "@shm/array/sync";
import { addSlowly, check, equal, ok, rejects, report, throws } from "./check.ts";
import { hosts, Peer, runOnce } from "./spawn.ts";

/** How long to wait for the other side, in milliseconds: it is reached only if something is broken. */
const PATIENCE = 60_000;

const runtime = process.versions.bun !== undefined ? "bun" : "Deno" in globalThis ? "deno" : "node";

/** The names that were made, whose segments are removed in the end. */
const names: string[] = [];

/** Makes a name that nobody has. */
function newName(): string {
  const name = `test-runtimes-${process.pid}-${names.length}`;
  names.push(name);
  return name;
}

const exists = (name: string): boolean => fs.existsSync(`/dev/shm/${name}`);
const sleep = (time: number): Promise<void> => new Promise((resume) => setTimeout(resume, time));

/** Makes an array of words to wait on. */
function makeWords(length = 4): SharedMemoryArray<"int32"> & { words: Int32Array } {
  const sma = new SharedMemoryArray([length], "int32", newName());
  return Object.assign(sma as SharedMemoryArray<"int32">, { words: sma.create().data });
}

// --- Arrays --------------------------------------------------------------------------------------

await check("shapes and strides are frozen lists, and look and act like others", () => {
  const shapes = [[], [2], [2, 3], [2, 3, 4], [1, 2, 1, 2, 1]];
  // What Bun's console calls: it shows hidden keys, too.
  const { Bun } = globalThis as { Bun?: { inspect(value: unknown): string } };
  const show = Bun?.inspect ?? inspect;
  for (const shape of shapes) {
    const size = shape.reduce((product, length) => product * length, 1);
    const view = new NDArray(new Uint8Array(size), { shape });
    const sma = new SharedMemoryArray(shape, "uint8", newName());
    for (const list of [view.shape, sma.shape]) {
      ok(Object.isFrozen(list) && Array.isArray(list));
      equal(list, shape);
      equal([...list], shape);
      equal(list.map((length) => length), shape);
      equal(Object.keys(list), Object.keys(shape));
      equal(structuredClone(list), shape);
      equal(JSON.stringify(list), JSON.stringify(shape));
      equal(inspect(list), inspect(shape));
      equal(show({ list }), show({ list: shape }));
      const [first, second, ...others] = list;
      equal([first, second, ...others].slice(0, list.length), shape);
      // Two at a time do not disturb each other, and each ends.
      const [one, other] = [list.values(), list[Symbol.iterator]()];
      for (const length of shape) equal([one.next().value, other.next().value], [length, length]);
      ok(one.next().done === true && other.next().done === true);
    }
    equal([...view.stride], view.stride.slice());
  }
});

for (const dtype of dtypes) {
  await check(`${dtype}: what one attachment writes, the other reads`, () => {
    const sma = new SharedMemoryArray([2, 3], dtype, newName());
    const view = sma.create();
    const is64 = dtype === "int64" || dtype === "uint64";
    equal(view.toArray(), is64 ? [[0n, 0n, 0n], [0n, 0n, 0n]] : [[0, 0, 0], [0, 0, 0]]);
    const other = SharedMemoryArray.clone(sma);
    const elements = other.load();
    (elements as unknown as NDArray<"float64">).set(1, -1, (is64 ? 1n : 1) as number);
    equal(view.get(1, 2), is64 ? 1n : 1);
    equal(sma.smh!.size, 6 * bytesPerElement(dtype));
    other.close();
    sma.unlink();
    sma.close();
  });
}

await check("create() is AlreadyExists where there is a segment of that name", () => {
  const sma = new SharedMemoryArray([4], "uint8", newName());
  sma.create();
  const again = new SharedMemoryArray([4], "uint8", sma.name);
  throws(() => again.create(), errors.AlreadyExists, { code: "EEXIST", includes: "(os error 17)" });
  sma.close();
});

await check("load() is NotFound where there is none, with code, errno and syscall", () => {
  const error = throws(
    () => new SharedMemoryArray([4], "uint8", newName()).load(),
    errors.NotFound,
    { code: "ENOENT", includes: "No such file or directory (os error 2): shm_open" },
  );
  const { errno, syscall } = error as { errno?: number; syscall?: string };
  equal([error.name, errno, syscall], ["NotFound", 2, "shm_open"]);
});

await check("errors holds classes of errors, by their names", () => {
  for (const [name, Class] of Object.entries(errors)) {
    equal(Class.name, name);
    ok(new Class("x") instanceof Error);
  }
  if (runtime !== "deno") return;
  const { Deno } = globalThis as unknown as { Deno: { errors: typeof errors } };
  ok(Object.entries(errors).every(([name, Class]) => Reflect.get(Deno.errors, name) === Class));
});

await check("an attached instance is Busy, a closed one BadResource", () => {
  const sma = new SharedMemoryArray([4], "uint8", newName());
  const view = sma.create();
  throws(() => sma.load(), errors.Busy, { code: "EBUSY" });
  sma.close();
  sma.close();
  equal([sma.array, sma.smh], [null, null]);
  throws(() => view.get(0), errors.BadResource, { code: "ERR_SHM_CLOSED" });
  throws(() => view.fill(1), errors.BadResource);
});

await check("a typed array that outlives close() is empty, and touches nothing", () => {
  const sma = new SharedMemoryArray([4], "uint8", newName());
  const { data } = sma.create();
  sma.close();
  equal([data.length, data[0]], [0, undefined]);
  data[0] = 1;
});

await check("load() compares the size, and names both", () => {
  const sma = new SharedMemoryArray([4], "uint8", newName());
  sma.create({ describe: false });
  throws(() => new SharedMemoryArray([5], "float64", sma.name).load(), RangeError, {
    includes: "40",
  });
  sma.close();
});

await check("wrong arguments are refused before anything is made", () => {
  const name = newName();
  throws(() => new SharedMemoryArray([1.5], "uint8", name), RangeError);
  throws(() => new SharedMemoryArray([1], "float128" as "uint8", name), TypeError);
  throws(() => new SharedMemoryArray([1], "uint8", "a/b"), RangeError);
  throws(() => new SharedMemoryArray([1], "uint8", name).create({ mode: -1 }), RangeError);
  throws(() => new SharedMemoryArray([1], "uint8", name).create({ nosuch: 1 } as never), TypeError);
  ok(!exists(name));
});

await check("unlink() tells whether there was a name, and the memory stays", () => {
  const sma = new SharedMemoryArray([4], "uint8", newName());
  const view = sma.create();
  equal([sma.unlink(), sma.unlink(), exists(sma.name)], [true, false, false]);
  view.set(0, 5);
  equal(view.get(0), 5);
  sma.close();
});

await check("a segment has the mode that create() was told, whatever the umask", () => {
  const umask = process.umask(0o077);
  try {
    const sma = new SharedMemoryArray([4], "uint8", newName());
    sma.create({ mode: 0o640 });
    equal(fs.statSync(`/dev/shm/${sma.name}`).mode & 0o777, 0o640);
    sma.close();
  } finally {
    process.umask(umask);
  }
});

await check("a descriptor goes through JSON, structuredClone() and from()", () => {
  const sma = new SharedMemoryArray([4, 2], "float32", newName(), [slice(1, 3)]);
  const text = JSON.stringify(sma);
  equal(JSON.parse(text), {
    shape: [4, 2],
    dtype: "float32",
    name: sma.name,
    arraySlice: [{ start: 1, stop: 3, step: null }],
  });
  SharedMemoryArray.clone(sma, { arraySlice: null }).create().set(1, 0, 7);
  for (const plain of [JSON.parse(text), structuredClone({ ...sma })]) {
    const other = SharedMemoryArray.from(plain, "float32");
    const view = other.load();
    equal([view.shape, view.get(0, 0)], [[2, 2], 7] as [readonly number[], number]);
    other.close();
  }
});

await check("a view of a shared array describes itself", () => {
  const sma = new SharedMemoryArray([4, 3], "int16", newName());
  const view = sma.create();
  view.assign([[0, 1, 2], [10, 11, 12], [20, 21, 22], [30, 31, 32]]);
  const part = view.slice("1:", "::-2");
  const other = SharedMemoryArray.from(JSON.parse(JSON.stringify(part)), "int16");
  equal(other.load().toArray(), [[12, 10], [22, 20], [32, 30]]);
  other.close();
  sma.close();
});

await check("layout says where an array lies in its segment", () => {
  const memory = SharedMemory.create(newName(), 64);
  new Float64Array(memory.buf!).set([0, 1, 2, 3, 4, 5, 6, 7]);
  const sma = new SharedMemoryArray([3], "float64", memory.name, null, {
    byteOffset: 56,
    stride: [-2],
  });
  equal(sma.load().toArray(), [7, 5, 3]);
  sma.close();
  memory.close();
});

await check("createOrLoad() makes it once", () => {
  const name = newName();
  const [first, second] = [1, 2].map(() => new SharedMemoryArray([4], "int32", name));
  equal([first.isCreator, first.createOrLoad().fill(3) !== null], [null, true]);
  equal([second.createOrLoad().get(0), first.isCreator, second.isCreator], [3, true, false]);
  first.close();
  second.close();
});

await check("load({ timeout }) gives up, and says for how long it waited", () => {
  const sma = new SharedMemoryArray([4], "int32", newName());
  throws(() => sma.load({ timeout: 30 }), errors.NotFound, { includes: "30 ms" });
});

await check("an instance is disposed of at the end of its scope", () => {
  const sma = new SharedMemoryArray([4], "uint8", newName());
  sma.create();
  sma[Symbol.dispose]();
  equal(sma.array, null);
});

await check("raw bytes are shared by SharedMemory, too", () => {
  const memory = SharedMemory.create(newName(), 100);
  const other = SharedMemory.open(memory.name);
  new Uint8Array(memory.buf!)[99] = 9;
  equal([other.size, new Uint8Array(other.buf!)[99]], [100, 9]);
  other.close();
  equal([other.buf, memory.unlink(), memory.unlink()], [null, true, false]);
  memory.close();
});

await check("consoles show what an instance and a view are", () => {
  const sma = new SharedMemoryArray([2], "int8", newName());
  const view = sma.create();
  ok(inspect(sma).startsWith("SharedMemoryArray {"), inspect(sma));
  equal(inspect(view), "NDArray([0, 0], dtype=int8)");
  equal(String(view), "[0 0]");
  sma.close();
});

await check("a sparse array beyond 2^32 elements has its last element, or says why not", () => {
  const sma = new SharedMemoryArray([2 ** 32 + 8], "uint8", newName());
  if (runtime === "bun") {
    throws(() => sma.create({ reserve: false }), errors.NotSupported, {
      code: "ENOTSUP",
      includes: "4294967296",
    });
    ok(!exists(sma.name), "the name is left");
    return;
  }
  const view = sma.create({ reserve: false });
  view.set(-1, 7);
  equal(view.get(2 ** 32 + 7), 7);
  sma.unlink();
  sma.close();
});

await check("an array of 4 GiB less a page works in all", () => {
  const sma = new SharedMemoryArray([2 ** 32 - 4096], "uint8", newName());
  const view = sma.create({ reserve: false });
  view.set(-1, 7);
  equal(view.get(2 ** 32 - 4097), 7);
  equal(view.slice(slice(2 ** 32 - 4100, null)).toArray(), [0, 0, 0, 7]);
  sma.unlink();
  sma.close();
});

await check("an array of 4 GiB has its last element, or says why not", () => {
  const sma = new SharedMemoryArray([2 ** 32], "uint8", newName());
  if (process.versions.bun?.startsWith("1.3.")) {
    throws(() => sma.create({ reserve: false }), errors.NotSupported, { includes: "1.4" });
    ok(!exists(sma.name), "the name is left");
    return;
  }
  const view = sma.create({ reserve: false });
  view.set(-1, 7);
  equal([view.get(-1), view.data[2 ** 32 - 1], view.get(2 ** 32 - 2)], [7, 7, 0]);
  sma.unlink();
  sma.close();
});

await check("a buffer that the program moved away does not crash it", () => {
  const sma = new SharedMemoryArray([4096], "uint8", newName());
  const { data } = sma.create();
  data.fill(5);
  const moved = new Uint8Array(structuredClone(data.buffer, { transfer: [data.buffer] }));
  equal(moved[10], 5);
  sma.close();
  equal([moved[10], moved.length], [0, 4096]);
  moved[10] = 6;
});

await check(
  "elements stay shared while only a typed array is held, also after garbage collection",
  async () => {
    const name = newName();
    const data = (() => {
      const sma = new SharedMemoryArray([512], "float64", name);
      return sma.create().data;
    })();
    const collect = (globalThis as { gc?: () => void }).gc;
    const { Bun } = globalThis as { Bun?: { gc(isNow: boolean): void } };
    for (let round = 0; round < 20; round++) {
      collect?.();
      Bun?.gc(true);
      // Without a way to ask for it, many short-lived buffers bring it about.
      for (let i = 0; i < 2000; i++) new ArrayBuffer(4096);
      await sleep(1);
    }
    data[3] = 42;
    const other = new SharedMemoryArray([512], "float64", name);
    equal(other.load().get(3), 42);
    other.close();
  },
);

await check("what fails at the end of the stack leaves nothing", () => {
  const prefix = newName();
  const left = (): string[] => fs.readdirSync("/dev/shm").filter((name) => name.startsWith(prefix));
  let [made, refused] = [0, 0];
  const deep = (): void => {
    try {
      deep();
    } finally {
      if (made < 3) attempt();
    }
  };
  const attempt = (): void => {
    let sma: SharedMemoryArray;
    try {
      sma = new SharedMemoryArray([4], "uint8", `${prefix}-${made}-${refused}`);
      sma.create();
    } catch {
      refused++;
      return;
    }
    made++;
    sma.unlink();
    sma.close();
  };
  attempt(); // a function is compiled when it is called first, and that needs stack, too
  made = 0;
  throws(deep, RangeError);
  equal(left(), []);
  ok(made === 3 && refused > 0, `${made} made, ${refused} refused`);
});

// --- Views ---------------------------------------------------------------------------------------

const numbers = (): NDArray<"float64", 2> =>
  new NDArray(Float64Array.from({ length: 12 }, (_, i) => i), { shape: [3, 4] }) as NDArray<
    "float64",
    2
  >;

await check("slices, negative steps and texts select as in NumPy", () => {
  const view = numbers();
  equal(view.slice(1).toArray(), [4, 5, 6, 7]);
  equal(view.slice(slice(null, null, -1), 0).toArray(), [8, 4, 0]);
  equal(view.slice("...", "1:3").toArray(), [[1, 2], [5, 6], [9, 10]]);
  equal(view.slice(slice(-100, 100), -1).toArray(), [3, 7, 11]);
  equal(view.slice("newaxis", 0, "::2").toArray(), [[0, 2]]);
});

await check("get() and set() check bounds, and count from the end", () => {
  const view = numbers();
  view.set(-1, -1, 99);
  equal([view.get(2, 3), view.get(-3, 1)], [99, 1]);
  for (const wrong of [[3, 0], [0, 4], [-4, 0], [0.5, 0], [NaN, 0]]) {
    throws(() => view.get(wrong[0], wrong[1]), RangeError);
  }
  throws(() => (view.get as (...indices: number[]) => number)(0), RangeError);
});

await check("element access is right in hot loops, after misses as well", () => {
  const view = numbers();
  const sum = (): number => {
    let total = 0;
    for (let i = 0; i < 3; i++) for (let j = 0; j < 4; j++) total += view.get(i, j);
    return total;
  };
  for (let round = 0; round < 20_000; round++) {
    if (sum() !== 66) throw new Error("a wrong sum");
    if (round % 997 === 0) throws(() => view.get(3, 0), RangeError);
  }
  for (let round = 0; round < 20_000; round++) {
    view.set(1, 1, view.get(1, 1) + 1);
  }
  equal(view.get(1, 1), 20_005);
});

await check("eight dtypes in one loop keep apart", () => {
  const views = dtypes.map((dtype) => {
    const view = new NDArray(new Float64Array(4)).astype(dtype);
    return [dtype, view as unknown as NDArray<"float64", 1>] as const;
  });
  for (let round = 0; round < 3000; round++) {
    for (const [dtype, view] of views) {
      const is64 = dtype === "int64" || dtype === "uint64";
      view.set(round % 4, (is64 ? 1n : 1) as number);
      ok(Number(view.get(round % 4)) === 1, dtype);
    }
  }
});

await check("fill(), assign() and broadcasting", () => {
  const view = numbers();
  view.slice(":", 0).fill(-1);
  view.slice(0).assign([9, 8, 7, 6]);
  equal(view.toArray(), [[9, 8, 7, 6], [-1, 5, 6, 7], [-1, 9, 10, 11]]);
  view.assign(new NDArray(Float64Array.of(1, 2, 3), { shape: [3, 1] }));
  equal(view.toArray(), [[1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]]);
});

await check("assign() is right where source and target overlap", () => {
  const view = new NDArray(Int32Array.from({ length: 6 }, (_, i) => i));
  view.slice("1:").assign(view.slice(":-1"));
  equal(view.toArray(), [0, 0, 1, 2, 3, 4]);
  view.assign(view.slice("::-1"));
  equal(view.toArray(), [4, 3, 2, 1, 0, 0]);
});

await check("reshape(), transpose(), T and broadcastTo() are views", () => {
  const view = numbers();
  view.reshape([2, 6]).set(1, 5, 50);
  equal([view.get(2, 3), view.T.shape, view.T.get(3, 2)], [50, [4, 3], 50]);
  throws(() => view.T.reshape([12]), RangeError);
  equal(view.slice(0).broadcastTo([2, 4]).toArray(), [[0, 1, 2, 3], [0, 1, 2, 3]]);
});

await check("copy(), subarray() and astype()", () => {
  const view = numbers();
  equal([...view.T.copy()], [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
  view.slice(1).subarray()[0] = 44;
  equal(view.get(1, 0), 44);
  throws(() => view.T.subarray(), RangeError);
  equal(view.slice(0).astype("int64").toArray(), [0n, 1n, 2n, 3n]);
});

await check("iteration is in C order, and rows() goes along the first axis", () => {
  const view = numbers();
  equal([...view.T].slice(0, 4), [0, 4, 8, 1]);
  equal([...view.rows()].map((row) => row.get(0)), [0, 4, 8]);
});

await check("bool stores the truth, and prints it", () => {
  const view = new NDArray(new Uint8Array(4), { dtype: "bool" });
  [5, 0, NaN, true].forEach((value, i) => view.set(i, value));
  equal([view.toArray(), String(view)], [[1, 0, 1, 1], "[ True False  True  True]"]);
});

await check("an uneven view prints as NumPy's", () => {
  equal(String(numbers().slice(":", "::-3")), "[[ 3.  0.]\n [ 7.  4.]\n [11.  8.]]");
});

await check("Atomics work on a view's elements, at index()", () => {
  const sma = new SharedMemoryArray([2, 2], "int32", newName());
  const view = sma.create();
  Atomics.add(view.data, view.index(1, 0), 5);
  equal(view.get(1, 0), 5);
  sma.close();
});

await check("views over heap memory need no shared memory, and float16 is there", () => {
  const view = new NDArray(new Float16Array([1.5, 2.25]));
  equal([view.dtype, view.get(1)], ["float16", 2.25]);
});

// --- Wrapped functions and registers -------------------------------------------------------------

type Input = NDArray<"float64">;

/** Whether the memory of a view is gone. */
const isGone = (view: Input): boolean => view.data.length === 0;

await check(
  "a wrapped function takes descriptions, one level into objects, and closes what it opened",
  () => {
    const sma = new SharedMemoryArray([3], "float64", newName());
    sma.create().assign([1, 2, 3]);
    const seen: Input[] = [];
    const sum = shmarrayWrap((given: { input: Input }) => {
      seen.push(given.input);
      return [...given.input].reduce((total, element) => total + element);
    }) as (given: { input: unknown }) => number;
    equal(sum({ input: SharedMemoryArray.clone(sma) }), 6);
    equal(sum({ input: JSON.parse(JSON.stringify(sma)) }), 6);
    equal(seen.map(isGone), [true, true]);
    equal(sum({ input: sma }), 6);
    equal([sma.array === null, isGone(seen[2])], [false, false]);
    sma.close();
  },
);

await check("a wrapped async function closes when its promise is settled", async () => {
  const sma = new SharedMemoryArray([3], "float64", newName());
  sma.create().fill(2);
  sma.close();
  const seen: Input[] = [];
  const later = shmarrayWrap(async (given: Input) => {
    seen.push(given);
    await sleep(1);
    return given.get(1);
  }) as (given: unknown) => Promise<number>;
  const promise = later(sma);
  equal(isGone(seen[0]), false);
  equal([await promise, isGone(seen[0])], [2, true] as unknown[]);
});

await check("a wrapped function that throws closes, too", () => {
  const sma = new SharedMemoryArray([3], "float64", newName());
  sma.create();
  const seen: Input[] = [];
  const fail = shmarrayWrap((given: Input) => {
    seen.push(given);
    throw new Error("on purpose");
  }) as (given: unknown) => void;
  throws(() => fail(SharedMemoryArray.clone(sma)), Error, { includes: "on purpose" });
  equal(seen.map(isGone), [true]);
  sma.close();
});

await check("a register removes what it lists", () => {
  const register = new SharedMemoryRegister();
  const sma = createAndRegisterSma([2], "int8", register, "runtimes");
  sma.close();
  ok(register.includes(sma.name) && exists(sma.name));
  register[Symbol.dispose]();
  ok(!exists(sma.name) && register.length === 0);
});

await check("clearBuffers() tells which names it removed", () => {
  const sma = new SharedMemoryArray([2], "int8", newName());
  sma.create();
  sma.close();
  equal(SharedMemoryArray.clearBuffers([newName(), sma.name]), [sma.name]);
});

await check("buildSmaName() counts, and is unique", () => {
  const [a, b] = [1, 2].map(() => SharedMemoryArray.buildSmaName("x"));
  ok(/^\d+-x-\d{6}-\d{4}-\d{4}-[0-9a-f-]{36}$/.test(a), a);
  equal(Number.parseInt(b), Number.parseInt(a) + 1);
});

for (const ending of ["its end", "exit()", "an error", "a rejection"]) {
  await check(`a register removes its segments at ${ending} of the process`, async () => {
    const name = newName();
    const { code, signal, out } = await runOnce(hosts[0], ending, name);
    equal([signal, out.trim()], [null, "ready"]);
    equal(code, ending === "its end" ? 0 : ending === "exit()" ? 3 : 1);
    ok(!exists(name), "the name is left");
  });
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  await check(
    `a register removes its segments at ${signal}, by which the process then ends`,
    async () => {
      const name = newName();
      const end = await runOnce(hosts[0], "a signal", name, (pid) => process.kill(pid, signal));
      equal([end.signal, exists(name)], [signal, false]);
    },
  );
}

// --- Anonymous segments, private copies, descriptions, lists -------------------------------------

await check("an anonymous array has no file, and is loaded by its name", () => {
  const sma = SharedMemoryArray.createAnonymous([3], "float32");
  ok(/^memfd:\d+:\d+:\d+$/.test(sma.name), sma.name);
  sma.array!.fill(2);
  const other = SharedMemoryArray.from(JSON.parse(JSON.stringify(sma)), "float32");
  other.load().set(0, 5);
  equal([sma.array!.get(0), sma.isAnonymous], [5, true]);
  other.close();
  equal(sma.unlink(), true);
  sma.close();
  throws(() => other.load(), errors.NotFound);
});

await check("copy-on-write keeps to itself what it writes", () => {
  const sma = new SharedMemoryArray([2048], "float64", newName());
  const view = sma.create({ mode: 0o400 });
  const other = SharedMemoryArray.clone(sma);
  const copy = other.load({ access: "copy-on-write" });
  view.set(0, 1);
  equal(copy.get(0), 1);
  copy.set(0, 9);
  view.set(2047, 3);
  equal([view.get(0), copy.get(0), copy.get(2047)], [1, 9, 3]);
  other.close();
  sma.close();
});

await check(
  "load() refuses another dtype or shape than the segment says, reinterpret takes it",
  () => {
    const sma = new SharedMemoryArray([2, 4], "float32", newName());
    sma.create().fill(1);
    const wrong = new SharedMemoryArray([8], "float32", sma.name);
    throws(() => wrong.load(), RangeError, { includes: "[2, 4]" });
    throws(() => new SharedMemoryArray([2, 4], "int32", sma.name).load(), RangeError);
    equal(wrong.load({ reinterpret: true }).get(7), 1);
    wrong.close();
    sma.close();
  },
);

await check("attach() needs a name only, or says that there is no description", () => {
  const sma = new SharedMemoryArray([2, 4], "float32", newName());
  sma.create().fill(1);
  const other = SharedMemoryArray.attach(sma.name);
  equal([other.shape, other.dtype], [[2, 4], "float32"] as [readonly number[], string]);
  other.close();
  throws(() => SharedMemoryArray.attach(sma.name, "int8"), RangeError);
  sma.close();
  const plain = SharedMemory.create(newName(), 8);
  throws(() => SharedMemoryArray.attach(plain.name), RangeError, { includes: "nothing describes" });
  plain.close();
});

await check("list() tells what a segment is, and who maps it", () => {
  const sma = new SharedMemoryArray([2, 4], "float32", newName());
  sma.create({ mode: 0o600 });
  const found = SharedMemoryArray.list().find(({ name }) => name === sma.name)!;
  equal([found.kind, found.shape, found.dtype, found.byteLength, found.mode], [
    "array",
    [2, 4],
    "float32",
    32,
    0o600,
  ] as unknown[]);
  equal(found.pids, [process.pid]);
  sma.close();
});

await check("prune() removes what nobody maps, and nothing else", () => {
  const prefix = `p${process.pid}`;
  const [left, mapped] = [1, 2].map(() => {
    const sma = new SharedMemoryArray([2], "int8", SharedMemoryArray.buildSmaName(prefix));
    names.push(sma.name);
    sma.create();
    return sma;
  });
  left.close();
  equal(SharedMemoryArray.prune({ prefix, olderThan: 0, dryRun: true }), [left.name]);
  equal(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [left.name]);
  equal([exists(left.name), exists(mapped.name)], [false, true]);
  mapped.close();
});

// --- Waiting -------------------------------------------------------------------------------------

await check("wait() is not-equal or timed-out, notify() counts nobody", () => {
  const { words, ...sma } = makeWords();
  equal([wait(words, 0, 1), wait(words, 0, 0, 5), notify(words, 0)], ["not-equal", "timed-out", 0]);
  ok(sma !== null);
});

await check("wait() refuses other memory and other elements", () => {
  throws(() => wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), TypeError);
  throws(() => wait(new Float64Array(4) as unknown as Int32Array, 0, 0), TypeError);
  const { words } = makeWords();
  throws(() => wait(words, 9, 0), RangeError);
});

await check("an Int32Array that another realm made of the memory is as good", () => {
  const { words } = makeWords(1);
  const other: Int32Array = vm.runInNewContext("new Int32Array(buffer)", { buffer: words.buffer });
  ok(!(other instanceof Int32Array), "it is of this realm");
  equal([wait(other, 0, 1), wait(other, 0, 0, 1), notify(other, 0)], ["not-equal", "timed-out", 0]);
});

await check("waitAsync() is not-equal at once, or ends when it is notified", async () => {
  const { words } = makeWords();
  equal(waitAsync(words, 0, 5), { async: false, value: "not-equal" });
  const { value } = waitAsync(words, 0, 0, PATIENCE);
  Atomics.store(words, 0, 1);
  ok(notify(words, 0) === 1);
  equal(await value, "ok");
});

await check("waitAsync() is timed-out where nobody notified, whatever the word says", async () => {
  const { words } = makeWords();
  // Until the thread that sleeps has started, a word that has changed counts as notified.
  let inARow = 0;
  for (let round = 1; inARow < 3; round++) {
    Atomics.store(words, 0, 0);
    const { value } = waitAsync(words, 0, 0, 20);
    setTimeout(() => Atomics.store(words, 0, 1), 2);
    inARow = await value === "timed-out" ? inARow + 1 : 0;
    ok(round < 1000, "it never was");
  }
});

await check("waitAsync() of words that stay as they are is notified", async () => {
  const { words } = makeWords();
  const waits = [0, 1, 2].map((index) => waitAsync(words, index, 0, PATIENCE).value);
  await sleep(20);
  equal([notify(words, 1), await waits[1]], [1, "ok"]);
  for (const index of [0, 2]) notify(words, index);
  equal(await Promise.all(waits), ["ok", "ok", "ok"]);
});

await check("waitAsync() that is aborted rejects with the reason", async () => {
  const { words } = makeWords();
  const controller = new AbortController();
  const { value } = waitAsync(words, 0, 0, PATIENCE, { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")), 5);
  await rejects(value as Promise<string>, Error, { includes: "enough" });
});

await check("waitAsync() of an array that is closed is BadResource", async () => {
  const sma = new SharedMemoryArray([1], "int32", newName());
  const { value } = waitAsync(sma.create().data, 0, 0, PATIENCE);
  setTimeout(() => sma.close(), 5);
  await rejects(value as Promise<string>, errors.BadResource, { code: "ERR_SHM_CLOSED" });
});

await check("600 waits that do not block end, each by its own notification", async () => {
  const { words } = makeWords(600);
  const waits = Array.from(words, (_, index) => waitAsync(words, index, 0, PATIENCE).value);
  await sleep(30);
  for (let index = 0; index < 600; index++) {
    Atomics.store(words, index, 1);
    notify(words, index);
  }
  equal(new Set(await Promise.all(waits)), new Set(["ok"]));
});

const endings: [ending: string, code: number, out: string][] = [
  ["exit() while 300 waits are pending", 3, ""],
  ["its end, when a wait is over", 0, "timed-out"],
  ["terminating a Worker that waits", 0, "terminated"],
  ["terminating a Worker that is blocked", 0, "terminated"],
  ["exit() while a Worker is blocked", 3, ""],
];
for (const [ending, code, out] of endings) {
  await check(`a process is over after ${ending}`, async () => {
    const { name } = makeWords(300);
    const end = await runOnce(hosts[0], ending, name);
    equal([end.signal, end.code, end.out.trim()], [null, code, out] as unknown[]);
  });
}

await check("a process is over after exit() with a listener that throws", async () => {
  const { name } = makeWords(300);
  const { signal, code } = await runOnce(hosts[0], "exit() with a listener that throws", name);
  ok(signal === null && code !== 0, `${signal} ${code}`);
});

// --- Locks ---------------------------------------------------------------------------------------

await check("a lock is given to one, and back by release()", () => {
  const lock = new SharedMemoryLock(newName()).create();
  const other = SharedMemoryLock.from(JSON.parse(JSON.stringify(lock))).load();
  const guard = lock.acquire();
  equal([other.tryAcquire(), guard.abandoned], [null, false]);
  throws(() => lock.acquire(), errors.Busy);
  throws(() => lock.close(), errors.Busy);
  throws(() => other.acquire({ timeout: 10 }), DOMException, { includes: "Cannot acquire" });
  guard.release();
  other.tryAcquire()!.release();
  other.close();
  lock.unlink();
  lock.close();
});

await check("acquireAsync() waits its turn", async () => {
  const lock = new SharedMemoryLock(newName()).create();
  const order: number[] = [];
  const first = await lock.acquireAsync();
  const others = [1, 2, 3].map(async (number) => {
    const guard = await lock.acquireAsync({ timeout: PATIENCE });
    order.push(number);
    guard.release();
  });
  await sleep(5);
  first.release();
  await Promise.all(others);
  equal(order, [1, 2, 3]);
  lock.close();
});

await check("acquireAsync() ends by its time and by its signal", async () => {
  const lock = new SharedMemoryLock(newName()).create();
  const other = new SharedMemoryLock(lock.name).load();
  const guard = lock.acquire();
  await rejects(other.acquireAsync({ timeout: 20 }), DOMException, { includes: "time" });
  const signal = AbortSignal.timeout(20);
  await rejects(other.acquireAsync({ signal }), DOMException);
  guard.release();
  (await other.acquireAsync()).release();
  other.close();
  lock.close();
});

await check("a lock and an array refuse each other's segments", () => {
  const lock = new SharedMemoryLock(newName()).create();
  throws(() => new SharedMemoryArray([1], "int32", lock.name).load(), TypeError);
  lock.close();
  const { name } = makeWords();
  throws(() => new SharedMemoryLock(name).load(), TypeError);
});

await check("a barrier lets all go on when all have come", async () => {
  const barrier = new SharedMemoryBarrier(newName(), 3).create();
  const parties = [1, 2, 3].map(() => SharedMemoryBarrier.from({ ...barrier }).load());
  throws(() => SharedMemoryBarrier.from({ ...barrier }).load(), errors.Busy, { code: "EBUSY" });
  for (const generation of [1, 2, 3]) {
    const met = await Promise.all(parties.map((party) => party.meetAsync({ timeout: PATIENCE })));
    equal(met, [generation, generation, generation]);
  }
  await rejects(parties[0].meetAsync({ timeout: 20 }), DOMException);
  const waiting = parties[0].meetAsync({ timeout: PATIENCE });
  parties[1].close();
  await rejects(waiting, BrokenBarrierError);
  for (const party of [...parties, barrier]) party.close();
});

// --- Publications --------------------------------------------------------------------------------

await check("a ring hands on frames, and tells which were missed", () => {
  const ring = new SharedMemoryRing([4], "float32", newName(), 3).create();
  const reader = SharedMemoryRing.from(JSON.parse(JSON.stringify(ring)), "float32").load();
  equal(reader.latest(), null);
  for (let number = 1; number <= 5; number++) ring.write((slot) => slot.fill(number));
  const frame = reader.next(2, { timeout: PATIENCE });
  equal([frame.sequence, frame.skipped, frame.isWhole(), frame.array.get(0)], [3, 0, true, 3]);
  equal([...reader.latest()!.copy()!], [5, 5, 5, 5]);
  throws(() => reader.next(5, { timeout: 10 }), DOMException);
  ring.end();
  throws(() => reader.next(5, { timeout: PATIENCE }), EndedError);
  throws(() => ring.write(Float32Array.of(1, 2, 3, 4)), errors.BrokenPipe, { code: "EPIPE" });
  reader.close();
  ring.unlink();
  ring.close();
});

await check("who may read only sees new frames also when the code is compiled", () => {
  const ring = new SharedMemoryRing([4], "float32", newName(), 3).create();
  const table = new SharedMemoryVersions([4], "float32", newName()).create();
  const access = "copy-on-write";
  const reader = new SharedMemoryRing([4], "float32", ring.name, 3).load({ access });
  const viewer = new SharedMemoryVersions([4], "float32", table.name).load({ access });
  for (let round = 1; round <= 20; round++) {
    ring.write(round);
    table.publish((next) => void next.fill(round));
    equal(reader.next(undefined, { timeout: PATIENCE }).array.get(3), round);
    equal(viewer.current()!.array.get(3), round);
    for (let look = 0; look < 1000; look++) {
      // What compilers make of the looks must not write, or these pages become this reader's own.
      equal([reader.isEnded, reader.latest()!.sequence], [false, round]);
      equal([viewer.isEnded, viewer.current()!.version], [false, round]);
    }
  }
  ring.end();
  throws(() => reader.next(undefined, { timeout: PATIENCE }), EndedError);
  for (const each of [reader, viewer, ring, table]) each.close();
  ring.unlink();
  table.unlink();
});

await check("frames() goes on until the end", async () => {
  const ring = new SharedMemoryRing([2], "int32", newName(), 8).create();
  const reader = new SharedMemoryRing([2], "int32", ring.name, 8).load();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const frame of reader.frames()) seen.push(frame.sequence);
  })();
  for (let number = 1; number <= 4; number++) {
    ring.write(Int32Array.of(number, number));
    await sleep(2);
  }
  ring.end();
  await reading;
  equal(seen, [1, 2, 3, 4]);
  reader.close();
  ring.close();
});

await check(
  "the newest version of a table is current, an older one that is held stays",
  async () => {
    const table = new SharedMemoryVersions([3], "float64", newName()).create();
    const reader = SharedMemoryVersions.from(JSON.parse(JSON.stringify(table)), "float64").load();
    equal(reader.current(), null);
    equal(await table.publish((next) => void next.fill(1)), 1);
    const first = reader.current()!;
    const held = first.hold();
    await table.publish((next) => void next.fill(2));
    const { version, array } = reader.current()!;
    equal([version, array.get(0), first.array.get(0)], [2, 2, 1]);
    held[Symbol.dispose]();
    await rejects(
      table.publish(() => {
        throw new Error("on purpose");
      }),
      Error,
      { includes: "on purpose" },
    );
    equal(reader.current()!.version, 2);
    reader.close();
    table.unlink();
    table.close();
  },
);

// --- Queues --------------------------------------------------------------------------------------

await check("a queue gives items in order, and takes answers", async () => {
  const queue = new SharedMemoryQueue(newName(), 4).create();
  const taker = SharedMemoryQueue.from(JSON.parse(JSON.stringify(queue))).load();
  queue.put("a");
  queue.put({ b: [1, null] });
  const [first, second] = [taker.take(), taker.take()];
  equal([first!.message, second!.message, first!.attempt], ["a", { b: [1, null] }, 1] as unknown[]);
  equal([first!.complete(), second!.complete()], [true, true]);
  throws(() => first!.complete(), errors.BadResource);
  const answer = queue.call<number>(7, { timeout: PATIENCE });
  const item = (await taker.takeAsync({ timeout: PATIENCE }))!;
  item.complete((item.message as number) + 1);
  equal(await answer, 8);
  taker.close();
  queue.close();
});

await check("a full queue is Busy or false, a released item comes again", async () => {
  const queue = new SharedMemoryQueue(newName(), 1).create();
  ok(queue.tryPut(1));
  equal(queue.tryPut(2), false);
  await rejects(queue.call(3, { full: "throw" }), errors.Busy, { code: "EBUSY" });
  queue.take()!.release();
  queue.take()!.complete();
  queue.end();
  equal(queue.take(), null);
  throws(() => queue.put(4), errors.BrokenPipe);
  queue.close();
});

await check("serve() answers, and a handler that throws fails its item", async () => {
  const queue = new SharedMemoryQueue(newName(), 4).create();
  const serving = queue.serve(({ message }) => {
    if (message === "bad") throw new RangeError("not this one");
    return [message];
  }, { concurrency: 2 });
  equal(await Promise.all([queue.call("x"), queue.call("y")]), [["x"], ["y"]]);
  await rejects(queue.call("bad"), Error, { includes: "not this one" });
  queue.end();
  await serving;
  queue.close();
});

// --- Files and the shell -------------------------------------------------------------------------

const folder = fs.mkdtempSync(`${os.tmpdir()}/shm-runtimes-`);

for (const order of ["C", "Fortran"]) {
  await check(`a .npy file in ${order} order is written and read`, () => {
    const path = `${folder}/${order}.npy`;
    const view = order === "C" ? numbers() : numbers().T;
    writeNpy(path, view);
    equal(fs.readFileSync(path).subarray(1, 6).toString("latin1"), "NUMPY");
    const register = new SharedMemoryRegister();
    const read = readNpy(path, register, { dtype: "float64" });
    equal(read.view.toArray(), view.toArray());
    read.sma.close();
    register[Symbol.dispose]();
  });
}

await check("a .npy file is written over, and shortened", () => {
  const path = new URL(`file://${folder}/over.npy`);
  writeNpy(path, numbers());
  writeNpy(path, numbers().slice(0));
  equal(fs.statSync(path).size, 128 + 32);
  const register = new SharedMemoryRegister();
  const { sma, view } = readNpy(fs.readFileSync(path), register);
  equal(view.toArray(), [0, 1, 2, 3]);
  sma.close();
  register[Symbol.dispose]();
});

await check("a .npy file that is not there is NotFound, one that is none leaves nothing", () => {
  const register: string[] = [];
  throws(() => readNpy(`${folder}/none.npy`, register), errors.NotFound, { code: "ENOENT" });
  throws(() => writeNpy(`${folder}/none/x.npy`, numbers()), errors.NotFound);
  fs.writeFileSync(`${folder}/bad.npy`, "no such thing");
  throws(() => readNpy(`${folder}/bad.npy`, register), Error, { includes: "Cannot read" });
  equal(register, []);
});

/** What a command of the shell prints, and its code. */
function run(...args: string[]): { code: number; out: string[]; err: string[] } {
  const [out, err]: [string[], string[]] = [[], []];
  return { code: shell(args, (line) => out.push(line), (line) => err.push(line)), out, err };
}

await check("shm ls and show tell of a segment", () => {
  const sma = new SharedMemoryArray([2, 2], "int16", newName());
  sma.create().fill(3);
  const listed = JSON.parse(run("ls", "--json").out.join("\n")) as { name: string }[];
  ok(listed.some(({ name }) => name === sma.name));
  const { code, out } = run("show", sma.name);
  equal([code, out.join("\n")], [0, "[[3 3]\n [3 3]]"] as unknown[]);
  sma.close();
});

await check("shm save, load and rm", () => {
  const sma = new SharedMemoryArray([2, 2], "int16", newName());
  sma.create().fill(3);
  sma.close();
  const path = `${folder}/saved.npy`;
  equal(run("save", sma.name, path).code, 0);
  const name = newName();
  equal(run("load", path, name).code, 0);
  const loaded = SharedMemoryArray.attach(name);
  equal(loaded.array!.toArray(), [[3, 3], [3, 3]]);
  loaded.close();
  equal([run("rm", name, sma.name).code, exists(name), exists(sma.name)], [0, false, false]);
});

await check("shm says what it does not know", () => {
  equal(run("nosuch").code, 2);
  equal(run("show", newName()).code, 1);
  equal(run("help").code, 0);
});

// --- Several processes ---------------------------------------------------------------------------

for (const host of hosts.slice(1)) {
  const peer = new Peer(host);

  await check(`${host.name}: the process is of that runtime`, async () => {
    equal(await peer.ask("who"), host.name.split("-")[0]);
  });

  await check(`${host.name}: an array is read and written`, async () => {
    const sma = new SharedMemoryArray([100, 4], "float64", newName());
    const view = sma.create();
    view.assign(numbers().slice(0));
    equal(await peer.ask("sum", { descriptor: sma }), 600);
    equal(view.get(99, 3), -5);
    sma.close();
  });

  await check(`${host.name}: a part of an array is read and written`, async () => {
    const sma = new SharedMemoryArray([4, 4], "float64", newName());
    const view = sma.create();
    view.slice(1).fill(2);
    equal(await peer.ask("sum", { descriptor: view.slice("1:3", "::-2") }), 4);
    equal(view.get(2, 1), -5);
    sma.close();
  });

  await check(
    `${host.name}: an array that was made there is attached to by name here`,
    async () => {
      const sma = new SharedMemoryArray([3], "float64", newName());
      await peer.ask("createLate", { descriptor: sma });
      const view = sma.load({ timeout: PATIENCE });
      while (view.get(2) !== 3) await sleep(1);
      equal(SharedMemoryArray.attach(sma.name).shape, [3] as readonly number[]);
      sma.close();
    },
  );

  await check(`${host.name}: an array is attached to by name there`, async () => {
    const sma = new SharedMemoryArray([2, 2], "float16", newName());
    sma.create().assign([[1, 2.5], [-3, 0]]);
    equal(await peer.ask("attach", { name: sma.name }), {
      shape: [2, 2],
      dtype: "float16",
      text: "[[ 1.   2.5]\n [-3.   0. ]]",
    });
    sma.close();
  });

  await check(`${host.name}: an anonymous array is read and written`, async () => {
    const sma = SharedMemoryArray.createAnonymous([2, 4], "float64");
    sma.array!.fill(1);
    equal(await peer.ask("sum", { descriptor: sma }), 8);
    equal(sma.array!.get(1, 3), -5);
    sma.unlink();
    sma.close();
  });

  await check(`${host.name}: what is written to a private copy stays there`, async () => {
    const sma = new SharedMemoryArray([2, 4], "float64", newName());
    sma.create().fill(1);
    equal(await peer.ask("writePrivately", { descriptor: sma }), 99);
    equal(sma.array!.get(0, 0), 1);
    sma.close();
  });

  await check(`${host.name}: list() tells of a segment, and of this process`, async () => {
    const sma = new SharedMemoryArray([2], "int8", newName());
    sma.create();
    const [found] = await peer.ask<{ pids: number[]; kind: string; byteLength: number }[]>(
      "list",
      { name: sma.name },
    );
    equal([found.kind, found.byteLength, found.pids.includes(process.pid)], ["array", 2, true]);
    sma.close();
  });

  await check(`${host.name}: errors have the same classes and codes`, async () => {
    equal(await peer.ask("fail", { name: newName() }), {
      isNotFound: true,
      code: "ENOENT",
      errno: 2,
      syscall: "shm_open",
    });
  });

  await check(`${host.name}: wait() there is woken from here`, async () => {
    const sma = makeWords();
    peer.tell("wait", { descriptor: sma });
    equal(await peer.answer(), "waits");
    while (notify(sma.words, 0) === 0) await sleep(1);
    equal(await peer.answer(), "ok");
    sma.close();
  });

  await check(`${host.name}: waitAsync() there is woken from here`, async () => {
    const sma = makeWords();
    peer.tell("waitAsync", { descriptor: sma });
    equal(await peer.answer(), "waits");
    // Nobody can notify it before its thread has started.
    while (notify(sma.words, 0) === 0) await sleep(1);
    equal(await peer.answer(), "ok");
    sma.close();
  });

  await check(`${host.name}: 200 rounds of ping-pong lose no notification`, async () => {
    const sma = makeWords();
    const rounds = 200;
    peer.tell("pong", { descriptor: sma, rounds });
    for (let number = 0; number < 2 * rounds; number += 2) {
      Atomics.store(sma.words, 0, number + 1);
      notify(sma.words, 0);
      while (Atomics.load(sma.words, 0) !== number + 2) {
        const { value } = waitAsync(sma.words, 0, number + 1, PATIENCE);
        if (await value === "timed-out") throw new Error(`asleep after ${number}`);
      }
    }
    equal(await peer.answer(), true);
    sma.close();
  });

  for (const locked of [true, false]) {
    const what = locked ? "are all counted under a lock" : "are lost without one: the control";
    await check(`${host.name}: additions of two processes ${what}`, async () => {
      const sma = makeWords();
      const lock = new SharedMemoryLock(newName()).create();
      const rounds = 200;
      // Without a lock none is lost where one of them was stopped until the other one was through.
      let all = true;
      for (let tries = 0; all && tries < (locked ? 1 : 20); tries++) {
        sma.words.fill(0);
        peer.tell("add", { descriptor: sma, lock: lock.name, rounds, locked });
        Atomics.add(sma.words, 1, 1);
        while (Atomics.load(sma.words, 1) < 2) await sleep(1);
        for (let round = 0; round < rounds; round++) {
          const guard = locked ? lock.acquire({ timeout: PATIENCE }) : null;
          addSlowly(sma.words);
          guard?.release();
        }
        await peer.answer();
        all = Atomics.load(sma.words, 0) === 2 * rounds;
      }
      equal(all, locked);
      lock.close();
      sma.close();
    });
  }

  await check(`${host.name}: a lock whose holder is killed is free, and says so`, async () => {
    const lock = new SharedMemoryLock(newName()).create();
    const holder = new Peer(host);
    equal(await holder.ask("hold", { lock: lock.name }), "has it");
    equal(lock.tryAcquire(), null);
    const waiting = lock.acquireAsync({ timeout: PATIENCE });
    await holder.kill();
    const guard = await waiting;
    equal(guard.abandoned, true);
    guard.release();
    lock.close();
  });

  await check(`${host.name}: a barrier is met 50 times, and broken by a kill`, async () => {
    const barrier = new SharedMemoryBarrier(newName(), 2).create();
    const mine = SharedMemoryBarrier.from({ ...barrier }).load();
    const sma = makeWords();
    peer.tell("meet", { barrier, descriptor: sma, rounds: 50 });
    for (let round = 1; round <= 50; round++) {
      Atomics.store(sma.words, 0, round);
      equal(await mine.meetAsync({ timeout: PATIENCE }), 2 * round - 1);
      await mine.meetAsync({ timeout: PATIENCE });
    }
    equal(await peer.answer(), { wrong: 0 });
    const other = new Peer(host);
    equal(await other.ask("sit", { barrier }), "sits");
    const broken = rejects(mine.meetAsync({ timeout: PATIENCE }), BrokenBarrierError);
    await other.kill();
    await broken;
    mine.close();
    barrier.close();
    sma.close();
  });

  await check(`${host.name}: frames that are written there are read here, none torn`, async () => {
    const ring = new SharedMemoryRing([256], "int32", newName(), 4).create();
    peer.tell("writeFrames", { ring, rounds: 300 });
    let [last, whole] = [0, 0];
    for await (const frame of ring.frames()) {
      const elements = frame.copy();
      if (elements === null) continue;
      ok(elements.every((element) => element === frame.sequence), `frame ${frame.sequence}`);
      [last, whole] = [frame.sequence, whole + 1];
    }
    equal([last, await peer.answer()], [300, true] as unknown[]);
    ok(whole > 0);
    ring.close();
  });

  await check(`${host.name}: frames that are written here are read there, none torn`, async () => {
    const ring = new SharedMemoryRing([256], "int32", newName(), 4).create();
    peer.tell("readFrames", { ring });
    equal(await peer.answer(), "reads");
    for (let number = 1; number <= 300; number++) ring.write((slot) => slot.fill(number));
    ring.end();
    equal(await peer.answer(), { torn: 0, last: 300, isAnyWhole: true });
    ring.close();
  });

  await check(`${host.name}: versions that are published there are current here`, async () => {
    const table = new SharedMemoryVersions([64], "float64", newName()).create();
    peer.tell("publish", { versions: table, rounds: 20 });
    let last = 0;
    try {
      while (true) {
        const { version, array } = await table.changedAsync({ timeout: PATIENCE });
        ok(version > last && [...array].every((element) => element === version));
        last = version;
      }
    } catch (error) {
      ok(error instanceof EndedError, String(error));
    }
    equal([last, await peer.answer()], [20, true] as unknown[]);
    table.unlink();
    table.close();
  });

  await check(`${host.name}: a version that is published here is current there`, async () => {
    const table = new SharedMemoryVersions([2], "float64", newName()).create();
    peer.tell("changed", { versions: table });
    equal(await peer.answer(), "waits");
    await table.publish((next) => void next.fill(4));
    equal(await peer.answer(), { version: 1, elements: [4, 4] });
    table.unlink();
    table.close();
  });

  await check(`${host.name}: calls are answered there`, async () => {
    const queue = new SharedMemoryQueue(newName(), 8).create();
    peer.tell("serve", { queue });
    equal(await peer.answer(), "serves");
    const calls = Array.from({ length: 50 }, (_, number) => queue.call<number>(number));
    equal(await Promise.all(calls), Array.from({ length: 50 }, (_, number) => number * number));
    await rejects(queue.call("x"), Error, { includes: "no number" });
    queue.end();
    equal(await peer.answer(), true);
    queue.close();
  });

  await check(`${host.name}: calls from there are answered here`, async () => {
    const queue = new SharedMemoryQueue(newName(), 8).create();
    const serving = queue.serve(({ message }) => {
      if (typeof message !== "number") throw new TypeError("no number");
      return message * message;
    });
    equal(await peer.ask("call", { queue }), {
      answers: [4, 9, 16],
      error: ["TypeError", "no number"],
    });
    queue.end();
    await serving;
    queue.close();
  });

  await check(`${host.name}: an item whose taker is killed comes again`, async () => {
    const queue = new SharedMemoryQueue(newName(), 4).create();
    const taker = new Peer(host);
    const answer = queue.call<string>("work", { timeout: PATIENCE });
    equal(await taker.ask("takeAndHang", { queue }), "work");
    equal(queue.holders().map(({ pid }) => pid), [taker.pid]);
    await taker.kill();
    const item = (await queue.takeAsync({ timeout: PATIENCE }))!;
    equal([item.message, item.attempt], ["work", 2] as unknown[]);
    item.complete("done");
    equal(await answer, "done");
    queue.close();
  });

  await check(`${host.name}: segments of a process that was killed are pruned`, async () => {
    const prefix = `k${process.pid}`;
    const name = SharedMemoryArray.buildSmaName(prefix);
    names.push(name);
    const maker = new Peer(host);
    await maker.ask("createLate", {
      descriptor: new SharedMemoryArray([3], "float64", name),
    });
    while (!exists(name)) await sleep(1);
    await maker.kill();
    equal(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [name]);
  });

  await check(`${host.name}: the process ends by itself when nothing is left to do`, async () => {
    equal(await peer.end(), { code: 0, signal: null });
  });
}

fs.rmSync(folder, { recursive: true });
SharedMemoryArray.clearBuffers(names);
report();
