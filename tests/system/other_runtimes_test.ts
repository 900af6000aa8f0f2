// Outside of Deno: an import works, views work, and whatever needs shared memory says what is needed. Each module
// is bundled, as a program for Node or for a browser bundles it.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { withFolder } from "../helpers/helpers.ts";
import { testWith } from "../helpers/test_with.ts";

/** The public modules, by the names under which they are bundled. */
const modules = {
  mod: "mod.ts",
  ndarray: "src/ndarray/ndarray.ts",
  dtype: "src/dtype.ts",
  npy: "src/npy.ts",
  sync: "src/sync/mod.ts",
  publish: "src/publish/mod.ts",
  queue: "src/queue/mod.ts",
  cli: "src/cli/mod.ts",
};

/** Bundles public modules into a folder. */
async function bundle(folder: string, names: readonly (keyof typeof modules)[]): Promise<void> {
  for (const name of names) {
    const entry = new URL(`../../${modules[name]}`, import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--platform", "browser", entry, "-o", `${folder}/${name}.js`],
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }
}

/** Runs a program of Node in a folder; what it prints as JSON. */
async function inNode(folder: string, program: string): Promise<unknown> {
  await Deno.writeTextFile(`${folder}/program.mjs`, program);
  await Deno.writeTextFile(`${folder}/package.json`, '{ "type": "module" }');
  const { success, stdout, stderr } = await new Deno.Command("node", {
    args: ["program.mjs"],
    cwd: folder,
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return JSON.parse(decoder.decode(stdout));
}

const told = `
  const told = (fn) => {
    try {
      return ["none", fn()];
    } catch (error) {
      const { name, code, message } = error;
      return [name, code, message, error instanceof errors.NotSupported];
    }
  };`;

testWith(
  ["deno bundle", "Node"],
  "Node: each module can be imported, and its first use says what is needed",
  () =>
    withFolder(async (folder) => {
      await bundle(folder, ["mod", "dtype", "npy", "sync", "publish", "cli"]);
      const results = await inNode(
        folder,
        `import { errors, SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "./mod.js";
        import * as npy from "./npy.js";
        import * as sync from "./sync.js";
        import * as publish from "./publish.js";
        import { run } from "./cli.js";
        import { parseDType } from "./dtype.js";
        ${told}
        const lines = [];
        const { NotSupported } = errors;
        console.log(JSON.stringify({
          dtype: parseDType("<f4"),
          first: told(() => new SharedMemoryArray([2, 3], "float32", "x")),
          failures: [
            () => new SharedMemoryArray([2, 3], "float32", "x").create(),
            () => SharedMemory.create("x", 8),
            () => SharedMemory.open("x"),
            () => SharedMemoryArray.createAnonymous(3, "int8"),
            () => SharedMemoryArray.list(),
            () => SharedMemoryArray.prune(),
            () => SharedMemoryArray.clearBuffers(["x"]),
            () => new SharedMemoryRegister(),
          ].map(told),
          others: [
            () => new sync.SharedMemoryLock("x").create(),
            () => new publish.SharedMemoryRing(3, "int8", "x", 2).create(),
            () => new publish.SharedMemoryVersions(3, "int8", "x").load(),
            () => npy.readNpy("x.npy", []),
          ].map((fn) => told(fn).slice(0, 3)),
          code: run(["ls"], (line) => lines.push(line), (line) => lines.push(line)),
          lines,
          version: process.versions.node,
        }));`,
      ) as
        & {
          [key in "failures" | "others"]: unknown[][];
        }
        & { dtype: string; first: unknown[]; code: number; lines: string[]; version: string };
      const message =
        `Cannot share memory: Deno 2.2 or newer is needed, and this is Node ${results.version}`;
      assertEquals(results.dtype, "float32");
      assertEquals(results.first, ["NotSupported", "ENOTSUP", message, true]);
      for (const failure of results.failures) {
        assertEquals(failure, ["NotSupported", "ENOTSUP", message, true]);
      }
      // Each bundle has classes of its own here.
      for (const failure of results.others) {
        assertEquals(failure, ["NotSupported", "ENOTSUP", message]);
      }
      assertEquals([results.code, results.lines], [1, [message]]);
    }),
);

testWith(
  ["deno bundle", "Node"],
  "Node: views work, and a view of memory that is gone says so",
  () =>
    withFolder(async (folder) => {
      await bundle(folder, ["ndarray", "mod"]);
      const results = await inNode(
        folder,
        `import { NDArray } from "./ndarray.js";
      import { errors, NDArray as Other } from "./mod.js";
      ${told}
      const view = new NDArray(Float64Array.from([1, 2, 3, 4, 5, 6]), { shape: [2, 3] });
      view.set(0, 0, view.get(1, 2));
      const buffer = new ArrayBuffer(8);
      const lost = new Other(new Float64Array(buffer));
      structuredClone(buffer, { transfer: [buffer] });
      console.log(JSON.stringify([
        view.slice(":", "::-1").toArray(), String(view), [...view], view.astype("int16").toArray(),
        told(() => lost.get(0)).slice(0, 2), told(() => lost.copy()).slice(0, 2),
        told(() => view.get(7, 7)),
      ]));`,
      ) as unknown[][];
      assertEquals(results.slice(0, 4), [
        [[3, 2, 6], [6, 5, 4]],
        "[[6. 2. 3.]\n [4. 5. 6.]]" as unknown as unknown[],
        [6, 2, 3, 4, 5, 6],
        [[6, 2, 3], [4, 5, 6]],
      ]);
      const gone = ["BadResource", "ERR_SHM_CLOSED"];
      assertEquals(results.slice(4, 6), [gone, gone]);
      assertEquals(results[6][0], "RangeError");
    }),
);

testWith(
  ["deno bundle", "Node"],
  "a browser: views work, and shared memory says what is needed",
  () =>
    withFolder(async (folder) => {
      await bundle(folder, ["mod"]);
      const [sum, name, message] = await inNode(
        folder,
        `const { stdout } = process;
      delete globalThis.process;
      Object.defineProperty(globalThis, "navigator", { value: { userAgent: "Mozilla/5.0 (X11)" } });
      const { NDArray, SharedMemory } = await import("./mod.js");
      let sum = 0;
      for (const element of new NDArray(Int32Array.of(1, 2, 3))) sum += element;
      try {
        SharedMemory.open("x");
      } catch ({ name, message }) {
        stdout.write(JSON.stringify([sum, name, message]));
      }`,
      ) as [number, string, string];
      assertEquals([sum, name], [6, "NotSupported"]);
      assertMatch(
        message,
        /^Cannot share memory: Deno 2\.2 or newer is needed, and this is a browser \(Mozilla/,
      );
    }),
);

Deno.test("a Deno without FFI says so", async () => {
  const mod = JSON.stringify(new URL("../../mod.ts", import.meta.url).href);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-config",
      `delete Deno.dlopen;
      const { SharedMemory } = await import(${mod});
      try { SharedMemory.open("x"); } catch (error) { console.log(error.name, error.code, error.message); }`,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  assertStringIncludes(
    new TextDecoder().decode(stdout),
    `NotSupported ENOTSUP Cannot share memory: Deno 2.2 or newer is needed, and this is Deno ${Deno.version.deno} without FFI`,
  );
});

Deno.test("nothing of Deno is touched at import, so that errors are its own when they are used", async () => {
  const mod = JSON.stringify(new URL("../../mod.ts", import.meta.url).href);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-config",
      `const mine = Deno;
      const touched = [];
      const value = new Proxy(mine, { get: (target, key) => (touched.push(key), target[key]) });
      Object.defineProperty(globalThis, "Deno", { value });
      const { errors } = await import(${mod});
      console.log(touched.join());
      console.log(errors.NotFound === mine.errors.NotFound, errors.Busy === mine.errors.Busy);
      console.log(Object.keys(errors).every((name) => errors[name] === mine.errors[name]));`,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assertEquals([decoder.decode(stdout), decoder.decode(stderr)], ["\ntrue true\ntrue\n", ""]);
});
