// What becomes of an attachment when something goes wrong: the view cannot be made, methods were replaced, a
// buffer cannot be moved, the system has no memory for zero pages. What is wrong here may end the process; so
// each of these is one of its own.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { evalChild, modUrl, runChild, segmentExists, withNames } from "../helpers/helpers.ts";
import { publishUrl } from "../helpers/publish_helpers.ts";
import { syncUrl } from "../helpers/sync.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

const tools = `
  const [name] = Deno.args;
  const maps = () => Deno.readTextFileSync("/proc/self/maps").split("/dev/shm/" + name).length - 1;
  const fds = () => [...Deno.readDirSync("/proc/self/fd")].length;
  // Not by lstatSync(): where it finds nothing at the end of the stack, Deno 2.2 panics.
  const exists = () => {
    try { return [...Deno.readDirSync("/dev/shm")].some((entry) => entry.name === name); } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return false;
    }
  };
  const told = (fn) => { try { fn(); return "none"; } catch (error) { return error.name; } };
`;

// --- The view cannot be made -------------------------------------------------------------------

Deno.test("create() near the end of the stack leaves nothing, wherever it ends", () =>
  withNames(async (name) => {
    // The first arrays of a program, later ones of the same dtype and number of axes, and of others. Taken out
    // (more frames for unfamiliar arrays): mappings are left by the first, names, too, by the last.
    const warm = (bytes: number): string =>
      `for (let i = 0; i < 20; i++) {
        using sma = new SharedMemoryArray(${bytes}, "float32", name);
        sma.create();
        sma.unlink();
      }`;
    for (
      const [bytes, before, dtype] of [
        [64, "", "float32"],
        [2 ** 20, "", "float32"],
        [64, warm(64), "float32"],
        [2 ** 20, warm(64), "float32"],
        [[2, 3, 4], warm(64), "int64"],
      ] as const
    ) {
      const result = await evalChild(
        `${tools}
        ${before}
        let created = 0;
        let refused = 0;
        const wrong = [];
        const before = fds();
        // Each step down the stack is tried, so that it ends at every place of create().
        const deep = (pad) => {
          try { deep(pad); } catch (error) {
            if (!(error instanceof RangeError)) throw error;
          }
          if (created > 60) return;
          const sma = new SharedMemoryArray(${JSON.stringify(bytes)}, "${dtype}", name);
          try {
            try { sma.create(); created++; } finally { if (sma.smh === null && exists()) wrong.push("name"); }
          } catch (error) { refused++; }
          sma.unlink();
          sma.close();
        };
        try { deep(0); } catch (error) { if (!(error instanceof RangeError)) throw error; }
        console.log(JSON.stringify([created > 60, refused > 0, wrong, maps(), fds() - before, exists()]));`,
        { args: [name] },
      );
      assertEquals(result, [true, true, [], 0, 0, false]);
    }
  }));

Deno.test("create() and load() undo the attachment if the view cannot be made", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${tools}
      // What the making of any view needs, and what another module might break.
      const sma = new SharedMemoryArray(100, "float32", name, ["0:50"]);
      const before = fds();
      const { setPrototypeOf } = Object;
      const original = Float32Array.prototype.constructor;
      const results = [];
      const broken = (fn) => {
        const { freeze } = Object;
        const { apply } = Reflect;
        const { get } = Map.prototype;
        // The constructor of the typed array is called with the mapping: it refuses.
        const buffer = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength");
        const { getArrayBuffer } = Deno.UnsafePointerView;
        Deno.UnsafePointerView.getArrayBuffer = (pointer, length) =>
          getArrayBuffer(pointer, length === 4 ? 4 : Math.min(length, 8));
        try { return told(fn); } finally { Deno.UnsafePointerView.getArrayBuffer = getArrayBuffer; }
      };
      told(() => SharedMemory.open("no-such-segment"));
      results.push(broken(() => sma.create()), exists(), maps(), sma.smh);
      const mine = SharedMemoryArray.clone(sma);
      mine.create();
      results.push(broken(() => sma.load()), exists(), maps(), sma.smh);
      mine.close();
      mine.unlink();
      console.log(JSON.stringify([...results, fds() - before]));`,
      { args: [name] },
    );
    assertEquals(result, ["RangeError", false, 0, null, "RangeError", true, 1, null, 0]);
  }));

Deno.test("create() where code may not be generated works, or leaves nothing", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${tools}
      const sma = new SharedMemoryArray([2, 3], "float32", name);
      const how = told(() => sma.create());
      const attached = sma.smh !== null;
      sma.close();
      console.log(JSON.stringify([(how === "none") === attached, exists() === attached, maps()]));
      sma.unlink();`,
      { args: [name], v8Flags: ["--disallow-code-generation-from-strings"] },
    );
    assertEquals(result, [true, true, 0]);
  }));

// --- Methods that somebody replaced ------------------------------------------------------------

const replaced: { [what: string]: string } = {
  "a transfer() that copies": `
    ArrayBuffer.prototype.transfer = function (length = this.byteLength) {
      const copy = new ArrayBuffer(length);
      new Uint8Array(copy).set(new Uint8Array(this).subarray(0, length));
      return copy;
    };`,
  "a transfer() that does nothing": `ArrayBuffer.prototype.transfer = () => {};`,
  "a transfer() that throws": `ArrayBuffer.prototype.transfer = () => { throw new Error("no"); };`,
  "a transfer() of the buffer's own": `sma.smh.buf.transfer = () => new ArrayBuffer(0);`,
  "a detached that says yes":
    `Object.defineProperty(ArrayBuffer.prototype, "detached", { get: () => true });`,
  "a detached that says no":
    `Object.defineProperty(ArrayBuffer.prototype, "detached", { get: () => false });`,
  "a detached of the buffer's own":
    `Object.defineProperty(sma.smh.buf, "detached", { value: true });`,
};
for (const [what, code] of Object.entries(replaced)) {
  Deno.test(`close() is not fooled by ${what}`, () =>
    withNames(async (name) => {
      const result = await evalChild(
        `${tools}
        const sma = new SharedMemoryArray(100_000, "uint8", name);
        sma.create().fill(7);
        const { array } = sma;
        const { data } = array;
        ${code}
        sma.close();
        sma.close();
        // A view that still had its memory would end the process here.
        const seen = [data.length, data[5], maps(), sma.smh, told(() => array.get(0))];
        sma.unlink();
        console.log(JSON.stringify(seen));`,
        { args: [name] },
      );
      assertEquals(result, [0, null, 0, null, "BadResource"]);
    }));
}

Deno.test("close() is safe with a transfer() that copies and was there before the module", () =>
  withNames(async (name) => {
    const { signal, stdout, stderr } = await runChild(
      `const { transfer } = ArrayBuffer.prototype;
      ArrayBuffer.prototype.transfer = function (length) { return new ArrayBuffer(length ?? 1); };
      const copy = ${JSON.stringify(modUrl)} + "?";
      const { Mapping } = await import(${
        JSON.stringify(new URL("../../src/segment/mapping.ts?copy", import.meta.url).href)
      });
      const mapping = Mapping.create(Deno.args[0], 4096, {});
      const bytes = new Uint8Array(mapping.buffer);
      bytes.fill(7);
      mapping.close();
      // It could not be detached; so it has pages of zeros that nobody shares.
      bytes[1] = 5;
      console.log(bytes[0], bytes[1], mapping.buffer);`,
      { args: [name] },
    );
    assertEquals([signal, stdout], [null, "0 5 null\n"], stderr);
  }));

testWith(
  "marks of buffers",
  "close() of a buffer that is marked untransferable neither throws, leaks nor crashes",
  () =>
    withNames(async (name) => {
      const result = await evalChild(
        `${tools}
      const { markAsUntransferable } = await import("node:worker_threads");
      const sma = new SharedMemoryArray(100_000, "uint8", name);
      sma.create().fill(7);
      const { array } = sma;
      const { data } = array;
      markAsUntransferable(sma.smh.buf);
      const other = SharedMemoryArray.clone(sma);
      other.load();
      sma.close();
      sma.close();
      data[1] = 5;
      const seen = [data[0], data[1], other.array.get(1), maps(), sma.smh, sma.array];
      // Nobody else sees what they hold now, so they describe no segment.
      console.log(JSON.stringify([...seen, told(() => SharedMemoryArray.from(array))]));
      other.close();
      sma.unlink();`,
        { args: [name] },
      );
      // The views cannot be emptied: they are over zeros that nobody shares.
      assertEquals(result, [0, 5, 7, 1, null, null, "TypeError"]);
    }),
);

// --- No memory for zero pages ------------------------------------------------------------------

/** Has the system refuse zero pages, as it does where overcommit is off. */
const limiting = `
  const { platform } = await import(${
  JSON.stringify(new URL("../../ffi/platform.ts", import.meta.url).href)
});
  const { flags } = platform();
  // Without this flag there is nothing to map.
  const refuseZeroPages = () => { platform().flags = { ...flags, MAP_ANONYMOUS: 0 }; };
  const allowZeroPages = () => { platform().flags = flags; };
`;

Deno.test("close() of a moved buffer that fails can be tried again", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${tools} ${limiting}
      const sma = new SharedMemoryArray(2 ** 30, "uint8", name);
      sma.create({ reserve: false }).set(0, 7);
      const moved = new Uint8Array(sma.smh.buf.transfer());
      const codeOf = (fn) => { try { fn(); return "none"; } catch (error) { return error.code; } };
      refuseZeroPages();
      const first = [codeOf(() => sma.close()), sma.smh !== null, maps(), moved[0]];
      allowZeroPages();
      const second = [codeOf(() => sma.close()), sma.smh, maps(), moved[0]];
      sma.unlink();
      console.log(JSON.stringify([first, second]));`,
      { args: [name] },
    );
    assertEquals(result, [["EBADF", true, 1, 7], ["none", null, 0, 0]]);
  }));

Deno.test("finalizer: one that fails says nothing, and is tried again with the next", () =>
  withNames(async (name) => {
    const { code, stdout, stderr } = await runChild(
      `${tools} ${limiting}
      const drop = (bytes) => {
        const sma = new SharedMemoryArray(bytes, "uint8", name);
        sma.create({ reserve: false });
        sma.unlink();
      };
      const collect = async (until, rounds) => {
        for (let i = 0; i < rounds && !until(); i++) {
          gc();
          await new Promise((resume) => setTimeout(resume, 2));
        }
      };
      drop(2 ** 30);
      refuseZeroPages();
      await collect(() => false, 20);
      const kept = maps();
      allowZeroPages();
      drop(4096);
      await collect(() => maps() === 0, 200);
      console.log(kept, maps());`,
      { args: [name], v8Flags: ["--expose-gc"] },
    );
    assertEquals([code, stdout, stderr], [0, "1 0\n", ""]);
  }));

// --- Many mappings -----------------------------------------------------------------------------

Deno.test("load() near vm.max_map_count says so", () =>
  withNames(async (name) => {
    const { code, stdout, stderr } = await runChild(
      `${tools}
      const most = Number(Deno.readTextFileSync("/proc/sys/vm/max_map_count"));
      const { symbols } = Deno.dlopen("libc.so.6", {
        mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
        munmap: { parameters: ["pointer", "usize"], result: "i32" },
      });
      SharedMemory.create(name, 4096).close();
      let message = "";
      try { SharedMemory.open("no-such-segment"); } catch { /* as it should */ }
      // Every second page of a large range has other rights: each is a mapping of its own.
      const page = 4096n;
      const range = BigInt(most) * 2n * page;
      const start = Deno.UnsafePointer.value(symbols.mmap(null, range, 0, 0x4022, -1, 0n));
      for (let i = 0n; i < BigInt(most) * 48n / 100n; i += 1n) {
        const at = Deno.UnsafePointer.create(start + i * 2n * page);
        const got = Deno.UnsafePointer.value(symbols.mmap(at, page, 1, 0x4032, -1, 0n));
        if (got === 0xffffffffffffffffn) break;
      }
      // At the limit itself V8 may be the first that gets none; so the call fails for another reason.
      try { SharedMemory.create(name + "-2", 2 ** 50, { reserve: false }); }
      catch (error) { message = error.code + " " + error.message; }
      symbols.munmap(Deno.UnsafePointer.create(start), range);
      console.log(message);
      SharedMemoryArray.clearBuffers([name]);`,
      { args: [name] },
    );
    assertEquals(code, 0, stderr);
    assertStringIncludes(
      stdout,
      `ENOMEM Cannot allocate memory (os error 12): mmap '${name}-2'; this process`,
    );
    assertStringIncludes(stdout, "vm.max_map_count allows");
    assertEquals(segmentExists(name), false);
  }));

// --- Object.prototype --------------------------------------------------------------------------

Deno.test("everything works where somebody defined Object.prototype.get and .set", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `import { SharedMemoryLock } from ${JSON.stringify(syncUrl)};
      import { SharedMemoryRing, SharedMemoryVersions } from ${JSON.stringify(publishUrl)};
      for (const key of ["get", "set"]) {
        const plain = { __proto__: null, value: () => 1, configurable: true, writable: true };
        Object.defineProperty(Object.prototype, key, plain);
      }
      const one = new SharedMemoryArray([2], "int8", Deno.args[0], [0]);
      one.create().assign([1, 2]);
      const register = new SharedMemoryRegister();
      register.push(one.name);
      const wrapped = shmarrayWrap(function named(view) { return view.get(); });
      const results = [one.dtype, Deno.inspect(one).length > 9, wrapped.name];
      results.push(new SharedMemoryLock("a").name, new SharedMemoryRing(1, "int8", "b", 2).slots);
      results.push(new SharedMemoryVersions(1, "int8", "c").name);
      one.close();
      results.push(wrapped(one), Deno.inspect(register).length > 9);
      register[Symbol.dispose]();
      delete Object.prototype.get;
      delete Object.prototype.set;
      console.log(JSON.stringify(results));`,
      { args: [name] },
    );
    assertEquals(result, ["int8", true, "named", "a", 2, "c", 1, true]);
  }));
