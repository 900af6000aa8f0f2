// Where shared memory cannot be had: each module can be imported, views work, and the first use of shared memory
// says what is needed. All modules are bundled, as a program for a browser bundles them.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runInNewContext } from "node:vm";
import { type RuntimeName, tooOld, versions } from "../runtimes/versions.ts";
import { withFolder } from "../helpers/helpers.ts";
import { chromium, runtimePath } from "../helpers/runtimes.ts";
import { slowness } from "../helpers/scale.ts";
import { testWith } from "../helpers/test_with.ts";

/** The public modules, by the names under which the bundle has them. */
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

/** What all runtimes without shared memory are asked, given the bundle as `all`. */
function look(
  // deno-lint-ignore no-explicit-any -- it runs elsewhere, over the bundle
  all: any,
): { views: unknown[]; uses: unknown[][]; shell: unknown[] } {
  const { mod, ndarray, dtype, npy, sync, publish, queue, cli } = all;
  const view = new ndarray.NDArray(Float64Array.from([1, 2, 3, 4, 5, 6]), { shape: [2, 3] });
  view.set(0, 0, view.get(1, 2));
  const header = "{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }";
  const npyFile = Uint8Array.from(
    "\x93NUMPY\x01\0" + String.fromCharCode(header.length) + "\0" + header + "abc",
    (character) => character.charCodeAt(0),
  );
  const uses: (() => unknown)[] = [
    () => new mod.SharedMemoryArray([2, 3], "float32", "x").create(),
    () => new mod.SharedMemoryArray([2, 3], "float32", "x").load(),
    () => new mod.SharedMemoryArray([2, 3], "float32", "x").unlink(),
    () => mod.SharedMemoryArray.attach("x"),
    () => mod.SharedMemoryArray.createAnonymous(3, "int8"),
    () => mod.SharedMemoryArray.list(),
    () => mod.SharedMemoryArray.prune(),
    () => mod.SharedMemoryArray.clearBuffers(["x"]),
    () => mod.SharedMemory.create("x", 8),
    () => mod.SharedMemory.open("x"),
    () => mod.createAndRegisterSma(3, "int8", []),
    () => npy.readNpy(npyFile, []),
    () => new sync.SharedMemoryLock("x").create(),
    () => new sync.SharedMemoryBarrier("x", 2).create(),
    () => new publish.SharedMemoryRing(3, "int8", "x", 2).create(),
    () => new publish.SharedMemoryVersions(3, "int8", "x").load(),
    () => new queue.SharedMemoryQueue("x", 2).load(),
  ];
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  return {
    views: [
      dtype.parseDType("<f4"),
      view.slice(":", "::-1").toArray(),
      String(view),
      [...view],
      view.astype("int16").toArray(),
    ],
    uses: uses.map((use) => {
      try {
        return ["none", use()];
      } catch (error) {
        // clearBuffers() tells what each name met.
        const first = error instanceof AggregateError ? error.errors[0] : error;
        const { name, code, message } = first;
        return [name, code, message, first instanceof mod.errors.NotSupported];
      }
    }),
    shell: [cli.run(["ls"], print, print), lines],
  };
}

/** What {@linkcode look} finds where only shared memory is missing. */
function found(message: string): ReturnType<typeof look> {
  return {
    views: [
      "float32",
      [[3, 2, 6], [6, 5, 4]],
      "[[6. 2. 3.]\n [4. 5. 6.]]",
      [6, 2, 3, 4, 5, 6],
      [[6, 2, 3], [4, 5, 6]],
    ],
    uses: Array(17).fill(["NotSupported", "ENOTSUP", message, true]),
    shell: [1, [message]],
  };
}

/** Which runtimes serve, as the message says where this is none of them. */
const needed =
  "Cannot share memory: Deno 2.2, Node 26.9 or Bun 1.3, or a newer one, is needed, and this is ";

/** Bundles public modules into `all.js` of a folder, which exports each of them by its name. */
async function bundle(
  folder: string,
  names: readonly (keyof typeof modules)[] = Object.keys(modules) as (keyof typeof modules)[],
  ...options: string[]
): Promise<void> {
  const lines = names.map((name) => {
    const url = new URL(`../../${modules[name]}`, import.meta.url).href;
    return `export * as ${name} from ${JSON.stringify(url)};\n`;
  });
  await Deno.writeTextFile(`${folder}/all.ts`, lines.join(""));
  const args = ["bundle", "--quiet", "--platform", "browser", ...options];
  await succeed(Deno.execPath(), [...args, `${folder}/all.ts`, "-o", `${folder}/all.js`], folder);
  await Deno.writeTextFile(`${folder}/look.js`, `export ${look}\n`);
  await Deno.writeTextFile(`${folder}/package.json`, '{ "type": "module" }');
}

/** Runs a program, which must succeed; what it printed to standard output. */
async function succeed(
  program: string,
  args: string[],
  cwd: string,
  signal?: AbortSignal,
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    signal,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${program} ${args.join(" ")} failed:\n${out}${err}`);
  return out;
}

/** Runs a program of Node or Bun in a folder; what it prints as JSON. */
async function evaluate(
  folder: string,
  program: string,
  runtime: string,
  ...flags: string[]
): Promise<unknown> {
  await Deno.writeTextFile(`${folder}/program.js`, program);
  return JSON.parse(await succeed(runtime, [...flags, "program.js"], folder));
}

const askAll = `import * as all from "./all.js";
import { look } from "./look.js";
console.log(JSON.stringify(look(all)));`;

/** What those that are too old say. */
function refusal(name: RuntimeName): string {
  return name.startsWith("bun")
    ? `Cannot share memory: this is Bun ${
      versions[name]
    }, and 1.3 or newer is needed; bun upgrade gets it`
    : "Cannot share memory: it needs Node 26.9 or newer, or --experimental-ffi (from 26.1 on), " +
      `and this is Node ${versions[name]}`;
}

testWith(
  ["deno bundle", "other runtimes"],
  "Node and Bun that are too old: views work, and shared memory says what is needed",
  () =>
    withFolder(async (folder) => {
      await bundle(folder);
      const all = tooOld.map(async (name) => {
        await Deno.mkdir(`${folder}/${name}`);
        const program = askAll.replaceAll('"./', '"../');
        assertEquals(
          await evaluate(`${folder}/${name}`, program, runtimePath(name)),
          found(refusal(name)),
        );
      });
      await Promise.all(all);
    }),
);

/** A program that shares memory with itself; it prints what it reads. */
const share = `import { mod } from "./all.js";
const [a, b] = [0, 1].map(() => new mod.SharedMemoryArray(3, "int8", "test-" + process.pid));
a.create().fill(7);
console.log(JSON.stringify(b.load().toArray()));
a.unlink();`;

testWith(
  ["deno bundle", "runtimes", "other runtimes"],
  "Node from 26.1 to 26.8 shares memory with --experimental-ffi, and newer ones may be told not to",
  () =>
    withFolder(async (folder) => {
      await bundle(folder);
      const flags = ["--experimental-ffi", "--disable-warning=ExperimentalWarning"];
      assertEquals(
        await evaluate(folder, share, runtimePath("node-26.8"), ...flags),
        [7, 7, 7],
      );
      assertEquals(
        await evaluate(folder, askAll, runtimePath("node"), "--no-experimental-ffi"),
        found(`${refusal("node")} without FFI`),
      );
    }),
);

testWith(
  ["deno bundle", "runtimes"],
  "Windows: views work, and shared memory says which systems have it",
  () =>
    withFolder(async (folder) => {
      await bundle(folder);
      const pretend = `Object.defineProperty(process, "platform", { value: "win32" });
        const all = await import("./all.js");
        const { look } = await import("./look.js");
        console.log(JSON.stringify(look(all)));`;
      for (const name of ["node", "bun"] as const) {
        const arch = Deno.build.arch;
        assertEquals(
          await evaluate(folder, pretend, runtimePath(name)),
          found(
            `Cannot share memory on win32 ${arch}: POSIX shared memory is bound on ` +
              "linux x86_64, linux aarch64, darwin x86_64, darwin aarch64",
          ),
        );
      }
    }),
);

testWith(
  ["deno bundle", "other runtimes"],
  "Cloudflare Workers: views work, and shared memory says what is needed",
  () =>
    withFolder(async (folder) => {
      await bundle(folder);
      // A worker prints nothing to standard output when it is tested, so it compares.
      const expected = JSON.stringify(found(`${needed}Cloudflare Workers`));
      await Deno.writeTextFile(
        `${folder}/worker.js`,
        `import * as all from "./all.js";
        import { look } from "./look.js";
        export default {
          test() {
            const is = JSON.stringify(look(all));
            if (is !== ${JSON.stringify(expected)}) throw new Error("it found " + is);
          },
        };`,
      );
      const embed = (file: string): string => `(name = "${file}", esModule = embed "${file}")`;
      await Deno.writeTextFile(
        `${folder}/config.capnp`,
        `using Workerd = import "/workerd/workerd.capnp";
        const config :Workerd.Config = (services = [(name = "main", worker = .worker)]);
        const worker :Workerd.Worker = (
          modules = [${["worker.js", "look.js", "all.js"].map(embed).join()}],
          compatibilityDate = "2026-11-01",
        );`,
      );
      await succeed(runtimePath("workerd"), ["test", "config.capnp"], folder);
    }),
);

testWith(
  ["deno bundle", "Chromium"],
  "Chromium: views work, and shared memory says what is needed",
  () =>
    withFolder(async (folder) => {
      await bundle(folder);
      await Deno.writeTextFile(
        `${folder}/page.html`,
        `<!doctype html>
        <script type="module">
          import * as all from "./all.js";
          import { look } from "./look.js";
          document.title = encodeURIComponent(JSON.stringify([look(all), navigator.userAgent]));
        </script>`,
      );
      const html = await succeed(
        chromium()!,
        [
          "--headless",
          "--no-sandbox", // root has none, and what runs here is ours
          "--disable-gpu",
          "--disable-dev-shm-usage",
          "--allow-file-access-from-files",
          `--user-data-dir=${folder}/profile`,
          "--dump-dom",
          `file://${folder}/page.html`,
        ],
        folder,
        AbortSignal.timeout(60_000 * slowness),
      );
      const [, title] = html.match(/<title>(.*)<\/title>/) ?? [];
      assert(title !== undefined, html);
      const [looked, agent] = JSON.parse(decodeURIComponent(title));
      assertStringIncludes(agent, "Chrome");
      assertEquals(looked, found(`${needed}a browser (${agent})`));
    }),
);

testWith(
  "deno bundle",
  "a bare engine: views work, and shared memory says what is needed",
  () =>
    withFolder(async (folder) => {
      // It has the objects of the language, what names are made of, and URL: no console, no TextEncoder, no timer.
      await bundle(folder);
      const text = await Deno.readTextFile(`${folder}/all.js`);
      const [, list] = text.match(/^export \{([^]*?)\};/m)!;
      const names = list.replaceAll(/(\w+) as (\w+)/g, "$2: $1");
      const module = text.replaceAll("import.meta.url", JSON.stringify("all.js"));
      const script = `${module.replace(/^export \{[^]*?\};/m, "")}
        JSON.stringify((${look})({ ${names} }));`;
      assertEquals(
        JSON.parse(runInNewContext(script, { crypto, URL })),
        found(`${needed}another runtime`),
      );
    }),
);

testWith(
  ["deno bundle", "Node"],
  "Node: views work, and a view of memory that is gone says so",
  () =>
    withFolder(async (folder) => {
      await bundle(folder, ["ndarray", "mod"]);
      const results = await evaluate(
        folder,
        `import { ndarray, mod } from "./all.js";
      const { NDArray } = ndarray;
      const { errors, NDArray: Other } = mod;
      const told = (fn) => {
        try {
          return ["none", fn()];
        } catch ({ name, code, message }) {
          return [name, code, message];
        }
      };
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
        "node",
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
      const [sum, name, message] = await evaluate(
        folder,
        `const { stdout } = process;
      delete globalThis.process;
      Object.defineProperty(globalThis, "navigator", { value: { userAgent: "Mozilla/5.0 (X11)" } });
      const { NDArray, SharedMemory } = (await import("./all.js")).mod;
      let sum = 0;
      for (const element of new NDArray(Int32Array.of(1, 2, 3))) sum += element;
      try {
        SharedMemory.open("x");
      } catch ({ name, message }) {
        stdout.write(JSON.stringify([sum, name, message]));
      }`,
        "node",
      ) as [number, string, string];
      assertEquals([sum, name], [6, "NotSupported"]);
      assertMatch(
        message,
        /^Cannot share memory: Deno 2\.2, Node 26\.9 or Bun 1\.3, or a newer one, is needed, and this is a browser \(Mozilla/,
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
    `NotSupported ENOTSUP ${needed}Deno ${Deno.version.deno} without FFI`,
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
