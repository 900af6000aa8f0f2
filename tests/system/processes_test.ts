import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SharedMemoryArray, slice } from "../../mod.ts";
import {
  evalChild,
  modUrl,
  runChild,
  segmentExists,
  segmentPath,
  uniqueName,
  withNames,
  withOtherUser,
} from "../helpers/helpers.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it lists and prunes segments");

// --- A descriptor on its way -----------------------------------------------------------------

/** Runs code in a worker that has `SharedMemoryArray` imported; gives the first message it posts. */
async function askWorker(code: string, message: unknown): Promise<unknown> {
  const source = `import { SharedMemoryArray } from ${JSON.stringify(modUrl)};\n${code}`;
  const url = URL.createObjectURL(new Blob([source], { type: "application/javascript" }));
  const worker = new Worker(url, { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(message);
    });
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}

Deno.test("an instance that is posted to a worker arrives as its descriptor, and works after from()", () =>
  withNames(async (name) => {
    using sma = new SharedMemoryArray([3, 4], "int64", name, [slice(1, null), "::-1"]);
    const array = sma.create();
    array.set(1, 3, 7n);
    const answer = await askWorker(
      `onmessage = ({ data }) => {
        const keys = Object.keys(data);
        const plain = Object.getPrototypeOf(data) === Object.prototype;
        const sma = SharedMemoryArray.from(data);
        const before = sma.array;
        const view = sma.load();
        const seen = view.get(0, 0);
        view.set(1, -1, seen + 1n);
        let again;
        try { sma.load(); } catch (error) { again = error.name; }
        postMessage({ keys, plain, before, shape: view.shape, seen, again });
        sma.close(); // V8 of Deno 2.2 has no \`using\`
      };`,
      sma,
    );
    assertEquals(answer, {
      keys: ["shape", "dtype", "name", "arraySlice"],
      plain: true,
      before: null,
      shape: [2, 4],
      seen: 7n,
      again: "Busy",
    });
    assertEquals(array.get(2, 0), 8n);
    assertEquals(sma.smh !== null, true);
  }));

Deno.test("errno is right in a worker, too", async () => {
  const answer = await askWorker(
    `onmessage = ({ data }) => {
      const codes = [];
      for (let i = 0; i < 1000; i++) {
        try {
          new SharedMemoryArray(1, "uint8", data).load();
        } catch (error) {
          codes.push(error.code);
        }
      }
      postMessage([codes.length, ...new Set(codes)]);
    };`,
    uniqueName(),
  );
  assertEquals(answer, [1000, "ENOENT"]);
});

Deno.test("an instance goes through structuredClone and JSON to a second process", () =>
  withNames(async (name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name, [-1, slice(null, null, 2)]);
    const array = sma.create();
    array.assign([[1, 2, 3], [4, 5, 6]]);
    for (const descriptor of [sma, structuredClone(sma), { ...sma, dtype: "<f4" }]) {
      const seen = await evalChild(
        `const sma = SharedMemoryArray.from(JSON.parse(Deno.args[0]));
        const before = [sma.array, sma.dtype];
        const seen = sma.load().toArray();
        sma.array.fill(9);
        sma.close();
        console.log(JSON.stringify({ before, seen }));`,
        { args: [JSON.stringify(descriptor)], permissions: ["--allow-ffi"] },
      );
      assertEquals(seen, { before: [null, "float32"], seen: [4, 6] });
      assertEquals(array.toArray(), [[1, 2, 3], [9, 5, 9]]);
      array.assign([[1, 2, 3], [4, 5, 6]]);
      // The process that attached has ended; the segment is still there.
      assert(segmentExists(name));
    }
  }));

Deno.test("a segment outlives the process that created it", () =>
  withNames(async (name) => {
    await evalChild(
      `new SharedMemoryArray(4, "uint16", Deno.args[0]).create().fill(300);
      console.log("{}");`,
      { args: [name], permissions: ["--allow-ffi"] },
    );
    using sma = new SharedMemoryArray(4, "uint16", name);
    assertEquals(sma.load().toArray(), [300, 300, 300, 300]);
  }));

Deno.test("Atomics on index() lose no increment between processes", () =>
  withNames(async (name) => {
    using sma = new SharedMemoryArray([2, 3], "int32", name);
    const array = sma.create();
    const count = `
      using sma = new SharedMemoryArray([2, 3], "int32", Deno.args[0]);
      const array = sma.load();
      const at = array.index(1, -1);
      for (let i = 0; i < 200_000; i++) Atomics.add(array.data, at, 1);
      console.log("{}");`;
    await Promise.all([1, 2, 3].map(() => evalChild(count, { args: [name] })));
    assertEquals(array.toArray(), [[0, 0, 0], [0, 0, 600_000]]);
  }));

// --- Permissions -----------------------------------------------------------------------------

Deno.test("without --allow-ffi everything works but the system, which is NotCapable at first use", async () => {
  const answer = await evalChild(
    `
    const errors = {};
    const sma = new SharedMemoryArray([2, 2], "float32", "never-made", ["0:1"]);
    const view = new NDArray(new Float32Array(4), { shape: [2, 2] }).fill(2);
    const copy = SharedMemoryArray.from(JSON.parse(JSON.stringify(SharedMemoryArray.clone(sma))));
    const name = SharedMemoryArray.buildSmaName("x");
    const wrapped = shmarrayWrap((x) => x.get(0, 0));
    const register = new SharedMemoryRegister();
    register[Symbol.dispose]();
    sma.close();
    const uses = {
      create: () => sma.create(),
      load: () => sma.load(),
      unlink: () => sma.unlink(),
      wrapped: () => wrapped(sma),
      clearBuffers: () => SharedMemoryArray.clearBuffers(["never-made"]),
      list: () => SharedMemoryArray.list(),
      prune: () => SharedMemoryArray.prune({ dryRun: true }),
      open: () => SharedMemory.open("never-made"),
      createRaw: () => SharedMemory.create("never-made", 8),
      register: () => createAndRegisterSma(1, "uint8", []),
      // Arguments are checked before the system is asked for anything.
      badName: () => SharedMemory.open("a/b"),
      badMode: () => sma.create({ mode: -1 }),
      badAge: () => SharedMemoryArray.prune({ olderThan: -1 }),
      badList: () => SharedMemoryArray.clearBuffers(["never-made", "a/b"]),
    };
    for (const [use, call] of Object.entries(uses)) {
      try { call(); errors[use] = null; } catch (error) {
        const cause = error instanceof AggregateError ? error.errors[0] : error;
        errors[use] = cause.name + (cause instanceof Deno.errors.NotCapable ? "!" : "");
      }
    }
    console.log(JSON.stringify({
      errors, copy, name: typeof name, view: wrapped(view), slice: slice(1), list: [...register],
    }));`,
    { permissions: [] },
  );
  const not = "NotCapable!";
  assertEquals(answer, {
    errors: {
      create: not,
      load: not,
      unlink: not,
      wrapped: not,
      clearBuffers: not,
      list: not,
      prune: not,
      open: not,
      createRaw: not,
      register: not,
      badName: "RangeError",
      badMode: "RangeError",
      badAge: "RangeError",
      badList: "RangeError",
    },
    copy: { shape: [2, 2], dtype: "float32", name: "never-made", arraySlice: ["0:1"] },
    name: "string",
    view: 2,
    slice: { start: 1, stop: null, step: null },
    list: [],
  });
});

Deno.test("NotCapable is Deno's own, with its own advice", async () => {
  const { code, stderr } = await runChild(
    `new SharedMemoryArray(1, "uint8", "never-made").create();`,
    { permissions: ["--allow-read"] },
  );
  assertEquals(code, 1);
  assertMatch(stderr, /NotCapable: Requires ffi access to "[^"]+", run again with the --allow-ffi/);
});

Deno.test("--allow-ffi alone is enough for everything", async () => {
  const prefix = uniqueName();
  const answer = await evalChild(
    `
    const [prefix] = Deno.args;
    const only = ["read", "write", "env", "sys", "run", "net"].map((name) =>
      Deno.permissions.querySync({ name }).state);
    const signals = ["SIGINT", "SIGTERM"];
    using register = new SharedMemoryRegister({ signals });
    const sma = createAndRegisterSma([4, 4], "float64", register, prefix);
    const other = SharedMemoryArray.clone(sma, { arraySlice: [0] });
    other.load().fill(1);
    const moved = sma.smh.buf.transfer();
    sma.close();
    const sum = new Float64Array(moved).length;
    const listed = SharedMemoryArray.list().find(({ name }) => name === sma.name);
    const pids = listed.pids.map((pid) => pid === Deno.pid);
    other.close();
    const pruned = SharedMemoryArray.prune({ prefix, olderThan: 0 });
    using raw = SharedMemory.create(SharedMemoryArray.buildSmaName(prefix), 100);
    const cleared = SharedMemoryArray.clearBuffers([raw.name]);
    console.log(JSON.stringify({
      only: [...new Set(only)], sum, pids, size: listed.byteLength, prefix: listed.prefix,
      pruned: pruned.length, cleared: cleared.length,
    }));`,
    { permissions: ["--allow-ffi"], args: [prefix] },
  );
  assertEquals(answer, {
    only: ["prompt"],
    sum: 16,
    pids: [true],
    size: 128,
    prefix,
    pruned: 1,
    cleared: 1,
  });
});

// --- Mode and umask --------------------------------------------------------------------------

for (const umask of ["000", "022", "077", "777"]) {
  Deno.test(`create() sets the mode exactly under umask ${umask}`, () =>
    withNames(async (a, b, c, d) => {
      await evalChild(
        `const before = Deno.umask(0o${umask});
        const modes = [undefined, 0o666, 0o640, 0o777];
        Deno.args.forEach((name, i) => {
          using sma = new SharedMemoryArray(4, "uint8", name);
          sma.create({ mode: modes[i] }).set(0, 1);
        });
        Deno.umask(before); // what Deno writes at the end, such as coverage, is to be readable
        console.log("{}");`,
        { args: [a, b, c, d], permissions: ["--allow-ffi", "--allow-sys"] },
      );
      const modes = [a, b, c, d].map((name) => Deno.statSync(segmentPath(name)).mode! & 0o7777);
      assertEquals(modes, [0o600, 0o666, 0o640, 0o777]);
    }));
}

Deno.test("create() leaves the umask of the process as it is", () =>
  withNames(async (name) => {
    const answer = await evalChild(
      `using sma = new SharedMemoryArray(4, "uint8", Deno.args[0]);
      sma.create({ mode: 0o666 });
      console.log(Deno.umask());`,
      { args: [name], before: "umask 027" },
    );
    assertEquals(answer, 0o027);
  }));

// --- Another user ----------------------------------------------------------------------------

testWith(
  "another user",
  "a segment of another user is PermissionDenied, and list() does not show it",
  () =>
    withNames(async (name, readable) => {
      using sma = new SharedMemoryArray(4, "uint8", name);
      sma.create();
      using open = new SharedMemoryArray(4, "uint8", readable);
      open.create({ mode: 0o666 }).set(0, 5);
      const program = `
      const [name, readable] = Deno.args;
      const attempts = {
        open: () => SharedMemory.open(name).size,
        unlink: () => new SharedMemoryArray(4, "uint8", name).unlink(),
        clear: () => SharedMemoryArray.clearBuffers([name, readable]),
        create: () => SharedMemory.create(name, 4).size,
        shared: () => new SharedMemoryArray(4, "uint8", readable).load().get(0),
        list: () => SharedMemoryArray.list().filter((s) => Deno.args.includes(s.name)).length,
      };
      const results = Object.entries(attempts).map(([what, attempt]) => {
        try { return [what, attempt()]; } catch (error) {
          const errors = error.errors ?? [error];
          return [what, ...errors.map((e) => e.name + " " + (e.code ?? e.message))];
        }
      });
      console.log(JSON.stringify(Object.fromEntries(results.map(([what, ...r]) => [what, r]))));`;
      const results = await withOtherUser((as) =>
        evalChild(program, { args: [name, readable], permissions: ["--allow-ffi"], as })
      ) as Record<string, (string | number)[]>;
      assertEquals(results.open, ["PermissionDenied EACCES"]);
      assertMatch(String(results.unlink[0]), /^PermissionDenied (EACCES|EPERM)$/);
      assertEquals(results.clear.length, 2);
      for (const error of results.clear) assertStringIncludes(String(error), "PermissionDenied");
      assertMatch(
        String(results.create[0]),
        /^(AlreadyExists EEXIST|PermissionDenied EACCES)$/,
      );
      assertEquals([results.shared, results.list], [[5], [0]]);
      assert(segmentExists(name) && segmentExists(readable));
    }),
);
