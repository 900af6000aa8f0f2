// The classes of errors, their codes, and the line of the program with which their stacks begin.

import { assert, assertEquals, assertInstanceOf, assertMatch, assertNotEquals } from "@std/assert";
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
import { bytesPerElement, numpyTypeString, parseDType, typedArrayOf } from "@shm/array/dtype";
import { readNpy, writeNpy } from "@shm/array/npy";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { notify, SharedMemoryLock, wait, waitAsync } from "@shm/array/sync";
import * as makers from "../src/errors.ts";
import { fromCaller, showCallers } from "../src/errors.ts";
import { errorOf, modUrl, runChild, uniqueName, withNames } from "./helpers/helpers.ts";
import { everyTestWith } from "./helpers/test_with.ts";

everyTestWith("Linux", "locks and publications are to be had there only");

Deno.test("errors has the classes of Deno.errors, each of them the same", () => {
  for (const name of Object.keys(errors) as (keyof typeof errors)[]) {
    assertEquals(errors[name], Deno.errors[name] as unknown, name);
  }
  for (
    const name of ["NotFound", "AlreadyExists", "PermissionDenied", "Busy", "BrokenPipe"] as const
  ) {
    assertInstanceOf(new errors[name]("x"), Deno.errors[name]);
  }
});

const codes: [maker: makers.ErrorMaker, name: keyof typeof errors, code: string][] = [
  [makers.alreadyExists, "AlreadyExists", "EEXIST"],
  [makers.badResource, "BadResource", "ERR_SHM_CLOSED"],
  [makers.brokenPipe, "BrokenPipe", "EPIPE"],
  [makers.busy, "Busy", "EBUSY"],
  [makers.invalidData, "InvalidData", "ERR_SHM_INVALID"],
  [makers.notFound, "NotFound", "ENOENT"],
  [makers.notSupported, "NotSupported", "ENOTSUP"],
  [makers.permissionDenied, "PermissionDenied", "EPERM"],
];
for (const [maker, name, code] of codes) {
  Deno.test(`${name} has the code ${code}`, () => {
    const cause = new Error("because");
    const error = maker("Cannot do this: it is so", cause);
    assertInstanceOf(error, errors[name]);
    assertEquals([error.name, error.code, error.message, error.cause], [
      name,
      code,
      "Cannot do this: it is so",
      cause,
    ]);
    assert(!Object.keys(error).includes("cause"));
    assert(!("cause" in maker("Cannot")));
  });
}

Deno.test("errors of this library have a code each", () =>
  withNames((name) => {
    const sma = new SharedMemoryArray(3, "int8", name);
    const view = sma.create();
    assertEquals(errorOf(() => sma.load()).code, "EBUSY");
    const lock = new SharedMemoryLock(uniqueName());
    assertEquals(errorOf(() => lock.acquire()).code, "ERR_SHM_CLOSED");
    sma.close();
    assertEquals(errorOf(() => view.get(0)).code, "ERR_SHM_CLOSED");
    sma.unlink();
    assertEquals(errorOf(() => sma.load()).code, "ENOENT");
  }));

// --- The caller's line -------------------------------------------------------------------------

/** The file of the first line of a stack. */
function firstFile(error: Error): string {
  const [, first = ""] = error.stack!.slice(error.stack!.indexOf(error.message)).split("\n    at ");
  return /(?:\(|^)((?:file|ext|node):[^()]*?):\d+:\d+\)?$/.exec(first)?.[1] ?? first;
}

/** A view of an array that was closed. */
function closedView(name: string): NDArray<"int8", 2> {
  const sma = new SharedMemoryArray([2, 2], "int8", name);
  const view = sma.create();
  sma.unlink();
  sma.close();
  return view;
}

const wrong: { readonly [what: string]: (name: string) => unknown } = {
  "SharedMemoryArray, load()": (name) => new SharedMemoryArray(3, "int8", name).load(),
  "SharedMemoryArray, create()": () => new SharedMemoryArray(3, "int8", "x").create({ mode: -1 }),
  "SharedMemoryArray, the constructor": () => new SharedMemoryArray([-1], "int8", "x"),
  "SharedMemoryArray, a dtype": () => new SharedMemoryArray(1, "f32" as "float32", "x"),
  "SharedMemoryArray.from()": () =>
    SharedMemoryArray.from({} as { shape: [1]; dtype: "int8"; name: "" }),
  "SharedMemoryArray.clone()": () => SharedMemoryArray.clone(null as unknown as SharedMemoryArray),
  "SharedMemoryArray.clearBuffers()": () =>
    SharedMemoryArray.clearBuffers([7 as unknown as string]),
  "SharedMemoryArray.createAnonymous()": () => SharedMemoryArray.createAnonymous([0], "int8"),
  "SharedMemory.open()": (name) => SharedMemory.open(name),
  "SharedMemory.create()": (name) => SharedMemory.create(name, -1),
  "a register": () => new SharedMemoryRegister({ signals: ["SIGKILL"] }),
  "createAndRegisterSma()": () => createAndRegisterSma(3, "int8", null as unknown as string[]),
  "NDArray, the constructor": () => new NDArray(new Int8Array(3), { shape: [4] }),
  "shmarrayWrap()": () => shmarrayWrap(null as unknown as () => void),
  "a wrapped function": (name) =>
    shmarrayWrap((_: NDArray<"int8">) => {})(new SharedMemoryArray(3, "int8", name)),
  "NDArray, get()": () => new NDArray(new Int8Array(3)).get(7),
  "NDArray, get() of a window": () => new NDArray(new Int8Array(30_000)).get(-30_001),
  "NDArray, get() of bool": () => new NDArray(new Uint8Array(3), { dtype: "bool" }).get(7),
  "NDArray, get() of two axes": () => new NDArray(new Int8Array(6), { shape: [2, 3] }).get(1, 7),
  "NDArray, get() of six axes": () =>
    new NDArray(new Int8Array(6), { shape: [1, 1, 1, 1, 2, 3] }).get(0, 0, 0, 0, 2, 0),
  "NDArray, set()": () => new NDArray(new Float64Array(3)).set(7, 0),
  "NDArray, set() of a wrong element": () => new NDArray(new Float64Array(3)).set(0, "x" as never),
  "NDArray, set() of six axes": () =>
    new NDArray(new Int8Array(6), { shape: [1, 1, 1, 1, 2, 3] }).set(0, 0, 0, 0, 2, 0, 1),
  "NDArray, index()": () => new NDArray(new BigInt64Array(3)).index(7),
  "NDArray, get() after close()": (name) => {
    const sma = new SharedMemoryArray([2, 2], "int8", name);
    const view = sma.create();
    sma.unlink();
    sma.close();
    view.get(0, 0);
  },
  "NDArray, slice()": () => new NDArray(new Int8Array(3)).slice(7),
  "NDArray, slice() after close()": (name) => closedView(name).slice(0),
  "NDArray, T after close()": (name) => closedView(name).T,
  "NDArray, rows() after close()": (name) => closedView(name).rows(),
  "NDArray, a row that comes after close()": (name) => {
    const sma = new SharedMemoryArray([2, 2], "int8", name);
    const rows = sma.create().rows();
    sma.unlink();
    for (const _ of rows) sma.close();
  },
  "NDArray, the elements after close()": (name) => [...closedView(name)],
  "NDArray, an element that comes after close()": (name) => {
    const sma = new SharedMemoryArray([2, 2], "int8", name);
    const view = sma.create();
    sma.unlink();
    for (const _ of view) sma.close();
  },
  "slice()": () => slice(0, 1, 0),
  "slice() of a text": () => slice("0" as unknown as number),
  "SharedMemory, the constructor": () => new SharedMemory(null, null),
  "parseDType()": () => parseDType("f32" as "f4"),
  "bytesPerElement()": () => bytesPerElement("<f4" as "float32"),
  "numpyTypeString()": () => numpyTypeString("<f4" as "float32"),
  "typedArrayOf()": () => typedArrayOf("<f4" as "float32"),
  "NDArray, reshape()": () => new NDArray(new Int8Array(3)).reshape([2]),
  "NDArray, assign()": () => new NDArray(new Int8Array(3)).assign([1, 2]),
  "NDArray, transpose()": () => new NDArray(new Int8Array(3)).transpose([1]),
  "readNpy()": () => readNpy(7 as unknown as string, []),
  "readNpy(), a file that is none": () => readNpy(new URL(import.meta.url), []),
  "writeNpy()": () => writeNpy("x.npy", null as unknown as NDArray),
  "a lock, the constructor": () => new SharedMemoryLock(""),
  "a lock, load()": (name) => new SharedMemoryLock(name).load(),
  "a lock, acquire()": (name) => new SharedMemoryLock(name).acquire(),
  "wait()": () => wait(new Int32Array(1), 0, 0),
  "notify()": () => notify(new Int32Array(1), 0),
  "waitAsync()": () => waitAsync(new Int32Array(1), 0, 0),
  "a ring, the constructor": () => new SharedMemoryRing(3, "int8", "x", 1),
  "a ring, latest()": (name) => new SharedMemoryRing(3, "int8", name, 2).latest(),
  "versions, the constructor": () => new SharedMemoryVersions([0], "int8", "x"),
  "versions, load()": (name) => new SharedMemoryVersions(3, "int8", name).load(),
};
for (const [what, fn] of Object.entries(wrong)) {
  Deno.test(`the stack begins with the caller's line: ${what}`, () =>
    withNames((name) => {
      const error = errorOf(() => fn(name));
      assertEquals(firstFile(error), import.meta.url, error.stack);
    }));
}

Deno.test("an uncaught error shows the line of the program", async () => {
  const { stderr } = await runChild(
    `function readTable() {
      return new SharedMemoryArray([4], "int8", Deno.args[0]).load();
    }
    readTable();`,
    { args: [uniqueName()] },
  );
  const [message, line, , place] = stderr.split("\n");
  assertMatch(message, /^error: Uncaught .*NotFound: No such file or directory/);
  assertMatch(line, /return new SharedMemoryArray\(\[4\], "int8", Deno.args\[0\]\)\.load\(\);/);
  assertMatch(place, /at readTable \(/);
  assert(!stderr.includes(new URL(".", modUrl).href + "src/"), stderr);
});

Deno.test("at the end of the stack, the error is the RangeError of the stack", async () => {
  const { stdout } = await runChild(
    `
    const names = new Set();
        let calls = 0;
    (function deeper() {
      try {
        deeper();
      } catch { /* This is the end of the stack. */ }
      if (calls++ > 5000 || names.has("TypeError")) return;
      try {
        SharedMemoryArray.from(null);
      } catch (error) {
        names.add(error.name);
      }
    })();
    console.log([...names].sort().join());
  `,
    { args: [] },
  );
  assertEquals(stdout.trim(), "RangeError,TypeError");
});

Deno.test("the stack of an error of the program's own function is left as it is", () =>
  withNames((name) => {
    using ring = new SharedMemoryRing(3, "int8", name, 2);
    ring.create();
    const own = new RangeError("Cannot do this: the program says so");
    const before = own.stack;
    assertEquals(
      errorOf(() =>
        ring.write(() => {
          throw own;
        })
      ),
      own,
    );
    assertEquals(own.stack, before);
    // An error of this library in that function belongs to the line there.
    const inner = errorOf(() =>
      ring.write((slot) => {
        slot.reshape([7]);
      })
    );
    const lines = Deno.readTextFileSync(new URL(import.meta.url)).split("\n");
    const [, line] = /errors_test\.ts:(\d+):/.exec(inner.stack!)!;
    assertMatch(lines[Number(line) - 1], /slot\.reshape/);
  }));

Deno.test("fromCaller() leaves what is none of this library's errors", () => {
  const called = () => {};
  for (
    const thrown of [null, "Cannot x: y", new Error("x"), new TypeError("Cannot read properties")]
  ) {
    const before = thrown instanceof Error ? thrown.stack : undefined;
    assertEquals(fromCaller(thrown, called), thrown);
    if (thrown instanceof Error) assertEquals(thrown.stack, before);
  }
});

Deno.test("showCallers() changes neither names, nor lengths, nor what methods do", () => {
  class Some {
    #value = 1;
    plus(a: number, b = 0): number {
      return this.#value + a + b;
    }
    get value(): number {
      return this.#value;
    }
    refuse(): never {
      throw new RangeError("Cannot go on: it is enough");
    }
    except(): void {}
    static make(_a: unknown): Some {
      return new this();
    }
  }
  const { plus, except } = Some.prototype;
  showCallers(Some, "except");
  assertNotEquals(Some.prototype.plus, plus);
  assertEquals(Some.prototype.except, except);
  const descriptor = Object.getOwnPropertyDescriptor(Some.prototype, "plus")!;
  assertEquals([descriptor.value.name, descriptor.value.length, descriptor.enumerable], [
    "plus",
    1,
    false,
  ]);
  assertEquals([Some.make.name, Some.make.length], ["make", 1]);
  const some = Some.make(0);
  assertEquals([some.plus(2, 3), some.value], [6, 1]);
  const error = errorOf(() => some.refuse());
  assert(!error.stack!.includes("refuse"), error.stack);
});
