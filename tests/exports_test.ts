import { assert, assertEquals } from "@std/assert";
import * as mod from "../mod.ts";
import * as dtype from "../src/dtype.ts";
import * as ndarray from "../src/ndarray/ndarray.ts";
import * as npy from "../src/npy.ts";
import * as publish from "../src/publish/mod.ts";
import * as queue from "../src/queue/mod.ts";
import * as sync from "../src/sync/mod.ts";
import { testWith } from "./helpers/test_with.ts";

Deno.test("mod.ts exports exactly these values", () => {
  assertEquals(Object.keys(mod).sort(), [
    "NDArray",
    "SharedMemory",
    "SharedMemoryArray",
    "SharedMemoryRegister",
    "createAndRegisterSma",
    "errors",
    "shmarrayWrap",
    "slice",
  ]);
});

Deno.test("@shm/array/ndarray and @shm/array/dtype export exactly these values", () => {
  assertEquals(Object.keys(ndarray).sort(), ["NDArray", "slice"]);
  assertEquals(Object.keys(dtype).sort(), [
    "bytesPerElement",
    "dtypeOf",
    "dtypes",
    "numpyTypeString",
    "parseDType",
    "typedArrayOf",
  ]);
});

Deno.test("@shm/array/npy exports exactly these values", () => {
  assertEquals(Object.keys(npy).sort(), ["readNpy", "writeNpy"]);
});

Deno.test("@shm/array/publish exports exactly these values", () => {
  assertEquals(Object.keys(publish).sort(), [
    "EndedError",
    "Frame",
    "SharedMemoryRing",
    "SharedMemoryVersions",
  ]);
});

Deno.test("@shm/array/queue exports exactly these values", () => {
  assertEquals(Object.keys(queue).sort(), ["QueueItem", "SharedMemoryQueue"]);
});

Deno.test("@shm/array/sync exports exactly these values", () => {
  assertEquals(Object.keys(sync).sort(), [
    "BrokenBarrierError",
    "LockGuard",
    "SharedMemoryBarrier",
    "SharedMemoryLock",
    "exitWithParent",
    "notify",
    "wait",
    "waitAsync",
  ]);
});

/** The members of a class and of its prototype. Whoever adds one must add it here, on purpose. */
function membersOf(Class: { prototype: object }): { instance: string[]; statics: string[] } {
  const names = (object: object, except: string[]): string[] =>
    Reflect.ownKeys(object).map(String).filter((key) => !except.includes(key)).sort();
  return {
    instance: names(Class.prototype, ["constructor"]),
    statics: names(Class, ["length", "name", "prototype"]),
  };
}

Deno.test("SharedMemoryArray has exactly these members", () => {
  assertEquals(membersOf(mod.SharedMemoryArray), {
    instance: [
      "Symbol(Deno.customInspect)",
      "Symbol(Symbol.dispose)",
      "Symbol(nodejs.util.inspect.custom)",
      "array",
      "close",
      "create",
      "createOrLoad",
      "isAnonymous",
      "isCreator",
      "load",
      "smh",
      "toString",
      "unlink",
    ],
    statics: [
      "COUNTER",
      "attach",
      "buildSmaName",
      "clearBuffers",
      "clone",
      "createAnonymous",
      "from",
      "list",
      "prune",
    ],
  });
});

Deno.test("SharedMemory has exactly these members", () => {
  assertEquals(membersOf(mod.SharedMemory), {
    instance: [
      "Symbol(Deno.customInspect)",
      "Symbol(Symbol.dispose)",
      "Symbol(nodejs.util.inspect.custom)",
      "buf",
      "close",
      "name",
      "size",
      "toJSON",
      "toString",
      "unlink",
    ],
    statics: ["create", "open"],
  });
});

Deno.test("NDArray has exactly these members", () => {
  assertEquals(membersOf(mod.NDArray), {
    instance: [
      "Symbol(Deno.customInspect)",
      "Symbol(Symbol.iterator)",
      "Symbol(nodejs.util.inspect.custom)",
      "T",
      "assign",
      "astype",
      "broadcastTo",
      "copy",
      "dimension",
      "fill",
      "get",
      "index",
      "isContiguous",
      "itemsize",
      "nbytes",
      "order",
      "reshape",
      "rows",
      "set",
      "slice",
      "subarray",
      "toArray",
      "toJSON",
      "toString",
      "transpose",
      "valueOf",
    ],
    statics: [],
  });
  assertEquals(Object.keys(new mod.NDArray(new Uint8Array(1))).sort(), [
    "data",
    "dtype",
    "ndim",
    "offset",
    "shape",
    "size",
    "stride",
  ]);
});

Deno.test("SharedMemoryRegister has exactly these members of its own", () => {
  assertEquals(membersOf(mod.SharedMemoryRegister), {
    instance: ["Symbol(Symbol.dispose)"],
    statics: ["Symbol(Symbol.species)"],
  });
});

Deno.test("SharedMemoryLock and LockGuard have exactly these members", () => {
  assertEquals(membersOf(sync.SharedMemoryLock), {
    instance: [
      "Symbol(Deno.customInspect)",
      "Symbol(Symbol.dispose)",
      "Symbol(nodejs.util.inspect.custom)",
      "acquire",
      "acquireAsync",
      "close",
      "create",
      "createOrLoad",
      "isCreator",
      "load",
      "toString",
      "tryAcquire",
      "unlink",
    ],
    statics: ["createAnonymous", "from"],
  });
  assertEquals(membersOf(sync.LockGuard), {
    instance: [
      "Symbol(Deno.customInspect)",
      "Symbol(Symbol.dispose)",
      "Symbol(nodejs.util.inspect.custom)",
      "release",
    ],
    statics: [],
  });
});

Deno.test("SharedMemoryRing, Frame and SharedMemoryVersions have exactly these members", () => {
  const common = [
    "Symbol(Deno.customInspect)",
    "Symbol(Symbol.dispose)",
    "Symbol(nodejs.util.inspect.custom)",
    "close",
    "create",
    "createOrLoad",
    "end",
    "isCreator",
    "isEnded",
    "load",
    "toString",
    "unlink",
  ];
  assertEquals(membersOf(publish.SharedMemoryRing), {
    instance: [...common, "frames", "latest", "next", "nextAsync", "write"].sort(),
    statics: ["clone", "createAnonymous", "from"],
  });
  assertEquals(membersOf(publish.Frame), {
    instance: [
      "Symbol(Deno.customInspect)",
      "Symbol(nodejs.util.inspect.custom)",
      "byteOffset",
      "copy",
      "isWhole",
      "meta",
      "timestamp",
    ],
    statics: [],
  });
  assertEquals(membersOf(publish.SharedMemoryVersions), {
    instance: [...common, "changed", "changedAsync", "closeOlder", "current", "publish"].sort(),
    statics: ["clone", "from"],
  });
});

// Older versions of Deno list what is @internal, too; one that has `deno pack` does not.
testWith("deno pack", "the documentation lists at most 105 names", async () => {
  const { exports } = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  const folder = await Deno.makeTempDir();
  try {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--html", "--name=x", `--output=${folder}`, ...Object.values<string>(exports)],
      cwd: new URL("..", import.meta.url),
      stdout: "null",
      stderr: "null",
    }).output();
    assert(success);
    const pages = (path: string): string[] =>
      [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
        isDirectory ? pages(`${path}/${name}`) : name.endsWith(".html") ? [name.slice(0, -5)] : []
      );
    // What has a dot is a member of something.
    const names = new Set(pages(folder).filter((name) => !/\.|^index$|^all_symbols$/.test(name)));
    assert(names.size <= 105, `${names.size} names: ${[...names].sort().join(" ")}`);
    assert(
      names.has("SharedMemoryArray") && !names.has("IndexTuples"),
      "internal ones are not listed",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
