// SharedMemoryArray.attach(): an array by its name alone.

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "../../mod.ts";
import { SharedMemoryLock } from "../../src/sync/mod.ts";
import { close, open } from "../../ffi/files.ts";
import { fsetxattr } from "../../ffi/xattr.ts";
import {
  descriptorsOf,
  errorOf,
  evalChild,
  mappingsOf,
  segmentPath,
  startChild,
  withNames,
} from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "other systems have no extended attributes of segments");

Deno.test("attach() needs the name alone, in another process", () =>
  withNames(async (name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name, null, { stride: [1, 2] });
    sma.create().set(1, 2, 7);
    const code = `
      using sma = SharedMemoryArray.attach(Deno.args[0]);
      console.log(JSON.stringify([sma, sma.array.get(1, 2), sma.smh.size]));
      sma.array.set(0, 0, 9);`;
    const seen = await evalChild(code, { args: [name] });
    const layout = { byteOffset: 0, stride: [1, 2] };
    const described = { shape: [2, 3], dtype: "float32", name, arraySlice: null, layout };
    assertEquals(seen, [described, 7, 24]);
    assertEquals(sma.array!.get(0, 0), 9);
    sma.unlink();
  }));

Deno.test("attach() with a dtype is checked and typed; uint8c counts as uint8", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "int64", name);
    sma.create().fill(5n);
    using typed = SharedMemoryArray.attach(name, "int64");
    const element: bigint = typed.array!.get(0, 0);
    using byCode = SharedMemoryArray.attach(name, "<i8");
    using byArray = SharedMemoryArray.attach(name, BigInt64Array, { timeout: 10 });
    const others: bigint[] = [byCode.array!.get(0, 0), byArray.array!.get(0, 0)];
    assertEquals([element, ...others], [5n, 5n, 5n]);
    using any = SharedMemoryArray.attach(name);
    const unknown: number | bigint = any.array!.get(0, 0);
    // @ts-expect-error: without a dtype, the elements may be numbers
    const wrong: bigint = any.array!.get(0, 0);
    assertEquals([unknown, wrong], [5n, 5n]);
    const error = errorOf(() => SharedMemoryArray.attach(name, "float64"));
    assertInstanceOf(error, RangeError);
    assertStringIncludes(error.message, "as an array of float64");
    assertStringIncludes(error.message, "described as shape [2, 3] of int64");
    assertEquals(descriptorsOf(name), 0);
    sma.unlink();

    using bytes = new SharedMemoryArray([4], "uint8c", name);
    bytes.create();
    assertEquals(SharedMemoryArray.attach(name).dtype, "uint8");
    using clamped = SharedMemoryArray.attach(name, "uint8c");
    clamped.array!.set(0, 300);
    assertEquals([clamped.dtype, bytes.array!.get(0)], ["uint8c", 255]);
    assertInstanceOf(errorOf(() => SharedMemoryArray.attach(name, "bool")), RangeError);
    bytes.unlink();
  });
});

Deno.test("attach() takes access, also of what this user may read only", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([4], "uint8", name);
    sma.create().fill(1);
    using copy = SharedMemoryArray.attach(name, { access: "copy-on-write" });
    copy.array!.fill(2);
    using typed = SharedMemoryArray.attach(name, "uint8", { access: "copy-on-write" });
    assertEquals([sma.array!.get(0), copy.array!.get(0), typed.array!.get(0)], [1, 2, 1]);
    sma.unlink();
  });
});

Deno.test("attach() takes the name of an anonymous segment, in another process", async () => {
  using sma = SharedMemoryArray.createAnonymous([2, 2], "uint16");
  sma.array!.fill(3);
  const code = `
    using sma = SharedMemoryArray.attach(Deno.args[0], "uint16");
    console.log(JSON.stringify([sma.shape, sma.isAnonymous, sma.array.toArray()]));`;
  assertEquals(await evalChild(code, { args: [sma.name] }), [[2, 2], true, [[3, 3], [3, 3]]]);
  sma.unlink();
});

Deno.test("attach({ timeout }) waits for a creator that has not begun", () =>
  withNames(async (name) => {
    const child = await startChild(
      `console.log("ready");
      using sma = SharedMemoryArray.attach(Deno.args[0], "int32", { timeout: 60_000 });
      console.log(JSON.stringify(sma.shape));`,
      { args: [name] },
    );
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("ready")) text += (await reader.read()).value ?? "";
    using sma = new SharedMemoryArray([5], "int32", name);
    sma.create();
    for (let more = await reader.read(); !more.done; more = await reader.read()) text += more.value;
    assertEquals(text.trim().split("\n"), ["ready", "[5]"]);
    await child.status;
    await child.stderr.cancel();
    sma.unlink();
    assertInstanceOf(
      errorOf(() => SharedMemoryArray.attach(name, { timeout: 20 })),
      Deno.errors.NotFound,
    );
  }));

Deno.test("attach({ timeout }) does not wait for a segment that was removed, but for its successor", () =>
  withNames(async (name) => {
    using bytes = SharedMemory.create(name, 12);
    const child = await startChild(
      `console.log("ready");
      using sma = SharedMemoryArray.attach(Deno.args[0], { timeout: 60_000 });
      console.log(JSON.stringify(sma.shape));`,
      { args: [name] },
    );
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("ready")) text += (await reader.read()).value ?? "";
    await new Promise((resolve) => setTimeout(resolve, 300));
    bytes.unlink();
    using sma = new SharedMemoryArray([5], "int32", name);
    sma.create();
    for (let more = await reader.read(); !more.done; more = await reader.read()) text += more.value;
    assertEquals(text.trim().split("\n"), ["ready", "[5]"]);
    await child.status;
    await child.stderr.cancel();
    sma.unlink();
  }));

Deno.test("attach() waits for a description that comes after the size", () =>
  withNames(async (name) => {
    using bytes = SharedMemory.create(name, 12);
    const child = await startChild(
      `console.log("ready");
      using sma = SharedMemoryArray.attach(Deno.args[0], { timeout: 60_000 });
      console.log(JSON.stringify(sma.shape));`,
      { args: [name] },
    );
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("ready")) text += (await reader.read()).value ?? "";
    await new Promise((resolve) => setTimeout(resolve, 50));
    const fd = open(segmentPath(name), 1);
    try {
      const described = JSON.stringify({ kind: "array", shape: [3], dtype: "<i4" });
      assert(fsetxattr(fd, "user.shm_array", new TextEncoder().encode(described), name));
    } finally {
      close(fd);
    }
    for (let more = await reader.read(); !more.done; more = await reader.read()) text += more.value;
    assertEquals(text.trim().split("\n"), ["ready", "[3]"]);
    await child.status;
    await child.stderr.cancel();
    bytes.unlink();
  }));

Deno.test("attach() without a description is a RangeError that says so, and leaves nothing open", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create({ describe: false });
    const error = errorOf(() => SharedMemoryArray.attach(name));
    assertInstanceOf(error, RangeError);
    assertStringIncludes(error.message, "nothing describes the segment");
    assertStringIncludes(error.message, "new SharedMemoryArray(shape, dtype, name).load()");
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 1]);
    sma.unlink();
    assertInstanceOf(errorOf(() => SharedMemoryArray.attach(name)), Deno.errors.NotFound);
  });
});

Deno.test("attach() says in each message that it attaches", () => {
  withNames((small, lock) => {
    using sma = new SharedMemoryArray([2, 3], "float32", small);
    sma.create();
    const described = JSON.stringify({ kind: "array", shape: [200], dtype: "<f4" });
    const fd = open(segmentPath(small), 1);
    try {
      assert(fsetxattr(fd, "user.shm_array", new TextEncoder().encode(described), small));
    } finally {
      close(fd);
    }
    using mutex = new SharedMemoryLock(lock).create();
    const attach = SharedMemoryArray.attach as (...args: unknown[]) => unknown;
    const messages: [unknown[], string][] = [
      [
        [small],
        `Cannot attach to '${small}': the segment has 24 bytes, and shape [200] of float32 needs 800; ` +
        "this is what the segment is described as",
      ],
      [
        [lock],
        `Cannot attach to '${lock}' as an array: the segment is that of a lock; SharedMemoryLock attaches to it`,
      ],
      [[small, null], "Cannot attach: the options must be an object, not null"],
      [
        [small, { reinterpret: true }],
        'Cannot attach: there is no option "reinterpret"; there is access, timeout',
      ],
      [
        [small, { access: "none" }],
        'Cannot attach: access must be "read-write" or "copy-on-write", not "none"',
      ],
      [
        [small, { timeout: -1 }],
        "Cannot attach: timeout must be 0 or more milliseconds, not -1",
      ],
    ];
    for (const [args, message] of messages) {
      assertEquals(errorOf(() => attach(...args)).message, message);
    }
    sma.unlink();
    mutex.unlink();
  });
});

Deno.test("attach() gives an instance that loads, closes, clones and unlinks as any other", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create();
    const alone = SharedMemoryArray.attach(name, "float32");
    assertInstanceOf(alone, SharedMemoryArray);
    assertInstanceOf(errorOf(() => alone.load()), Deno.errors.Busy);
    alone.close();
    assertEquals(alone.array, null);
    assertEquals(alone.load().shape, [2, 3]);
    using row = SharedMemoryArray.clone(alone, { arraySlice: [0] });
    assertEquals(row.load().shape, [3]);
    assertEquals([alone.unlink(), alone.unlink()], [true, false]);
    alone.close();
  });
});

Deno.test("attach() refuses arguments of the wrong kind before it looks for a segment", () => {
  const attach = SharedMemoryArray.attach as (...args: unknown[]) => unknown;
  const wrong: [unknown[], typeof TypeError | typeof RangeError, string][] = [
    [[], TypeError, "name"],
    [[7], TypeError, "name"],
    [["a/b"], RangeError, "a/b"],
    [["nobody", "float33"], TypeError, "dtype"],
    [["nobody", null], TypeError, "options"],
    [["nobody", {}, {}], TypeError, "dtype"],
    [["nobody", "int8", 7], TypeError, "options"],
    [["nobody", { reinterpret: true }], TypeError, 'no option "reinterpret"'],
    [["nobody", { describe: true }], TypeError, 'no option "describe"'],
    [["nobody", { access: "none" }], RangeError, "access"],
    [["nobody", "int8", { timeout: -1 }], RangeError, "timeout"],
  ];
  for (const [args, ErrorClass, text] of wrong) {
    const error = errorOf(() => attach(...args));
    assertInstanceOf(error, ErrorClass);
    assertStringIncludes(error.message, text);
  }
});
