// What a user of Node and Bun gets of the published package: the tarball that JSR makes for npm is installed in an
// empty project, outside of the checkout, and nothing of Deno is there.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { makeNpmTarball, type PackageJson } from "../../scripts/npm_tarball.ts";
import { packages, supported } from "../runtimes/versions.ts";
import { python } from "../helpers/find_python.ts";
import { segmentExists, thoseThatStay, withNames } from "../helpers/helpers.ts";
import { pastedFiles, readReadme, root, runWriterAndReader } from "../helpers/readme.ts";
import { runtimePath } from "../helpers/runtimes.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** An empty project that has installed the package. */
interface Project {
  readonly folder: string;
  readonly manifest: PackageJson;
}

let project: Promise<Project> | undefined;

/** The project; it takes seconds, so all tests have the same one. It is removed at the end of this file. */
function installed(): Promise<Project> {
  return project ??= install();
}

async function install(): Promise<Project> {
  const folder = await Deno.makeTempDir();
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const manifest = await makeNpmTarball(root, `${folder}/array.tgz`);
  await Deno.writeTextFile(`${folder}/package.json`, '{ "type": "module" }');
  const others = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  // The name is that which `npx jsr add @shm/array` gives to what it installs.
  await succeed("npm", [
    "install",
    "--no-audit",
    "--no-fund",
    `@shm/array@file:${folder}/array.tgz`,
    ...others,
  ], folder);
  return { folder, manifest };
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: { [name: string]: string } = {},
): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs a program, which must succeed; what it printed to standard output. */
async function succeed(...args: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  if (code !== 0) throw new Error(`${args[0]} ${args[1].join(" ")}: ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** The command that runs a program of Node or Bun, without Node's warning that its FFI is new. */
function commandOf(name: typeof supported[number]): string[] {
  const flags = name.startsWith("node") ? ["--disable-warning=ExperimentalWarning"] : [];
  return [runtimePath(name), ...flags];
}

testWith(
  ["deno pack", "runtimes"],
  "the package for npm has what JSR puts there, and nothing else",
  async () => {
    const { folder, manifest } = await installed();
    const { name, type, dependencies, exports } = manifest;
    assertEquals([name, type, dependencies], ["@jsr/shm__array", "module", {}]);
    const { exports: published } = JSON.parse(
      await Deno.readTextFile(new URL("deno.json", root)),
    );
    assertEquals(Object.keys(exports), Object.keys(published));
    assertEquals(exports["./sync"], {
      types: "./_dist/src/sync/mod.d.ts",
      default: "./src/sync/mod.js",
    });

    const files = (await succeed("tar", ["-tzf", "array.tgz"], folder)).trimEnd().split("\n")
      .filter((path) => !path.endsWith("/")).map((path) => path.replace("package/", ""));
    const allowed =
      /^((_dist\/)?(mod|(src|ffi)\/(\w+\/){0,2}\w+)\.(js|ts|d\.ts)|(docs\/|bench\/)?\S+\.(md|svg)|LICENSE|(deno|package)\.json)$/;
    assertEquals(files.filter((path) => !allowed.test(path)), []);
    // Each module is there in both forms, and names no other module by its TypeScript.
    const scripts = files.filter((path) => path.endsWith(".js"));
    assert(scripts.length > 50, String(scripts.length));
    for (const path of scripts) {
      assert(files.includes(path.replace(/js$/, "ts")), path);
      const text = await Deno.readTextFile(`${folder}/node_modules/@shm/array/${path}`);
      assertEquals(text.match(/^(import|export)\b[^;]*\bfrom "\.[^"]*\.ts";/m), null, path);
    }
  },
);

/** What both ways to load the package print, where `load` is one of them. */
const use = (load: string): string => `
const { SharedMemoryArray, SharedMemoryRegister, NDArray, errors } = ${load}("@shm/array");
const { NDArray: Same } = ${load}("@shm/array/ndarray");
const { parseDType } = ${load}("@shm/array/dtype");
const { readNpy, writeNpy } = ${load}("@shm/array/npy");
const { SharedMemoryBarrier, SharedMemoryLock } = ${load}("@shm/array/sync");
const { SharedMemoryRing, SharedMemoryVersions } = ${load}("@shm/array/publish");
const { SharedMemoryQueue } = ${load}("@shm/array/queue");
const { run } = ${load}("@shm/array/cli");
const name = process.argv[2];
const one = new SharedMemoryArray([2, 3], "float32", name);
const other = SharedMemoryArray.from(JSON.parse(JSON.stringify(one)));
one.create().fill(7);
other.load().set(1, -1, 9);
const lines = [];
const result = [
  one.array.toArray(), parseDType("<f4"), NDArray === Same,
  [readNpy, writeNpy, SharedMemoryBarrier, SharedMemoryLock, SharedMemoryRing, SharedMemoryVersions, SharedMemoryQueue,
    SharedMemoryRegister].map((each) => typeof each).join(),
  run(["ls"], (line) => lines.push(line), console.error), lines.some((line) => line.startsWith(name)),
  one.unlink(),
];
one.close();
other.close();
try { other.load(); } catch (error) { result.push(error instanceof errors.NotFound, error.code); }
console.log(JSON.stringify(result));`;

const used = [
  [[7, 7, 7], [7, 7, 9]],
  "float32",
  true,
  Array(8).fill("function").join(),
  0,
  true,
  true,
  true,
  "ENOENT",
];

testWith(
  ["deno pack", "runtimes"],
  "Node and Bun import and require all entry points, and share memory",
  async () => {
    const { folder } = await installed();
    await Deno.writeTextFile(`${folder}/use.mjs`, use("await import"));
    await Deno.writeTextFile(`${folder}/use.cjs`, use("require"));
    for (const name of supported) {
      for (const file of ["use.mjs", "use.cjs"]) {
        await withNames(async (segment) => {
          const [program, ...flags] = commandOf(name);
          const ran = await run(program, [...flags, file, segment], folder);
          assertEquals([ran.code, ran.stderr], [0, ""], `${name} ${file}`);
          assertEquals(JSON.parse(ran.stdout), used, `${name} ${file}`);
        });
      }
    }
  },
);

/** A program as a user of Node writes it, for the compiler. */
const typed = `
import { createAndRegisterSma, errors, NDArray, SharedMemoryArray, SharedMemoryRegister, shmarrayWrap,
  type SharedMemoryDescriptor, type SignalName, slice } from "@shm/array";
import { NDArray as Same } from "@shm/array/ndarray";
import { type DType, parseDType } from "@shm/array/dtype";
import { readNpy } from "@shm/array/npy";
import { SharedMemoryBarrier, SharedMemoryLock, waitAsync } from "@shm/array/sync";
import { SharedMemoryRing } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import { run } from "@shm/array/cli";

const signals: SignalName[] = ["SIGINT"];
using register = new SharedMemoryRegister({ signals });
using sma = createAndRegisterSma([2, 3], "float32", register);
const element: number = sma.array!.get(0, 0);
// @ts-expect-error -- the elements of float32 are no bigints
const wrong: bigint = sma.array!.get(0, 0);
const descriptor: SharedMemoryDescriptor<"float32"> = sma;
const dtype: DType = parseDType("<f8");
const same: typeof NDArray = Same;
const big: bigint = new SharedMemoryArray([1], "int64", "x").create().get(0);
const mean = shmarrayWrap((view: NDArray<"float32">) => view.size);
const failed = (error: unknown): boolean => error instanceof errors.NotFound;
const text: number = run(["ls"], (line: string) => console.log(line), () => {});
const file = readNpy(new URL("x.npy", import.meta.url), register, { dtype: "float32" });
export default [element, wrong, descriptor, dtype, same, big, mean(sma), failed, text, file, slice(1),
  SharedMemoryBarrier, SharedMemoryLock, waitAsync, SharedMemoryRing, SharedMemoryQueue, process.pid];
`;

/** The same for CommonJS, which requires the package. */
const typedCommon = `
import array = require("@shm/array");
import sync = require("@shm/array/sync");
const view: array.NDArray<"int32"> = new array.SharedMemoryArray([1], "int32", "x").load();
const lock: sync.SharedMemoryLock = new sync.SharedMemoryLock("y");
export = { view, lock };
`;

testWith(
  ["deno pack", "runtimes"],
  "the types need nothing of Deno: NodeNext and Bundler, strict, libraries checked",
  async () => {
    const { folder } = await installed();
    await Deno.writeTextFile(`${folder}/typed.ts`, typed);
    await Deno.writeTextFile(`${folder}/common.cts`, typedCommon);
    await Deno.writeTextFile(`${folder}/control.ts`, 'export { wait } from "@shm/array/sync";\n');
    const compile = async (
      name: string,
      options: { [option: string]: unknown },
      ...files: string[]
    ): Promise<Ran> => {
      const compilerOptions = {
        target: "esnext",
        lib: ["esnext"],
        types: ["node"],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noPropertyAccessFromIndexSignature: true,
        verbatimModuleSyntax: true,
        skipLibCheck: false,
        noEmit: true,
        ...options,
      };
      await Deno.writeTextFile(
        `${folder}/${name}.json`,
        JSON.stringify({ compilerOptions, files }),
      );
      const [program, ...flags] = commandOf("node");
      const compiler = "node_modules/typescript/bin/tsc";
      return await run(program, [...flags, compiler, "-p", `${name}.json`], folder);
    };
    const bundler = { module: "esnext", moduleResolution: "bundler" };
    const [next, bundled] = await Promise.all([
      compile("next", { module: "nodenext" }, "typed.ts", "common.cts"),
      compile("bundled", bundler, "typed.ts"),
    ]);
    assertEquals([next.code, next.stdout], [0, ""]);
    assertEquals([bundled.code, bundled.stdout], [0, ""]);

    // The control: a type of Deno's in a declaration would be found.
    const declarations = `${folder}/node_modules/@shm/array/_dist/src/sync/wait.d.ts`;
    const text = await Deno.readTextFile(declarations);
    try {
      await Deno.writeTextFile(declarations, `${text}\nexport declare const odd: Deno.Signal;\n`);
      const { stdout } = await compile("control", { ...bundler, types: [] }, "control.ts");
      assertStringIncludes(stdout, "Cannot find namespace 'Deno'");
    } finally {
      await Deno.writeTextFile(declarations, text);
    }
  },
);

testWith(
  ["deno pack", "runtimes"],
  "the README's example runs in Node and Bun, in both roles, and in Deno beside them",
  async () => {
    const { folder } = await installed();
    const files = pastedFiles(readReadme());
    for (const [name, code] of files) await Deno.writeTextFile(`${folder}/${name}`, code);
    const deno = [Deno.execPath(), "run", "--allow-ffi", "--quiet"];
    for (
      const [writer, reader] of [
        [commandOf("node"), commandOf("bun")],
        [commandOf("bun-1.3"), deno],
        [deno, commandOf("node-26.9")],
      ]
    ) {
      assertEquals(
        await runWriterAndReader([...writer, "writer.ts"], [...reader, "reader.ts"], { folder }),
        {
          reader: "[[1. 2. 3.]\n [4. 5. 6.]]\n",
          writer: "Waiting for reader.ts\n[[7. 7. 7.]\n [4. 5. 6.]]\n",
          code: 0,
        },
        `${writer[0]} and ${reader[0]}`,
      );
    }
  },
);

testWith(
  ["deno pack", "runtimes"],
  "the shell runs in Node and Bun as docs/runtimes.md says",
  async () => {
    const { folder } = await installed();
    const page = await Deno.readTextFile(new URL("docs/runtimes.md", root));
    const lines = page.split("\n").filter((line) => line.includes("src/cli/mod.js"));
    assertEquals(lines.map((line) => line.split(" ")[0]), ["node", "bun"]);
    for (const name of supported) {
      const line = lines.find((line) => name.startsWith(line.split(" ")[0]))!;
      const [, file] = line.split(" ");
      const [program, ...flags] = commandOf(name);
      const shell = (...args: string[]): Promise<Ran> =>
        run(program, [...flags, file, ...args], folder);
      await withNames(async (segment) => {
        await Deno.writeFile(`/dev/shm/${segment}`, new Uint8Array(64), { mode: 0o600 });
        const listed = await shell("ls", "--json");
        assertEquals([listed.code, listed.stderr], [0, ""], name);
        assertStringIncludes(listed.stdout, segment);
        assertEquals((await shell("rm", segment)).code, 0);
        assertEquals(segmentExists(segment), false);
        const wrong = await shell("frobnicate");
        assertEquals([wrong.code, wrong.stdout], [2, ""]);
        assertStringIncludes(wrong.stderr, 'there is no command "frobnicate"');
      });
    }
  },
);

testWith(
  ["deno pack", "runtimes", "NumPy"],
  "examples/runtimes: Deno, Node and Bun paint one picture, and Python mirrors it",
  async () => {
    const { folder } = await installed();
    const place = `${folder}/example`;
    await Deno.mkdir(`${place}/bin`, { recursive: true });
    const example = new URL("examples/runtimes/", root);
    for (const { name } of Deno.readDirSync(example)) {
      await Deno.copyFile(new URL(name, example), `${place}/${name}`);
    }
    const shell = "../node_modules/@shm/array/src/cli/mod.js";
    const [node, ...flags] = commandOf("node");
    const text = await succeed(node, [...flags, shell, "python"], place);
    await Deno.writeTextFile(`${place}/shm_attach.py`, text);
    const programs = {
      deno: Deno.execPath(),
      node,
      bun: runtimePath("bun"),
      python3: python()!.path,
    };
    for (const [name, path] of Object.entries(programs)) {
      // Python finds its own modules by the name that it was called by.
      await Deno.writeTextFile(`${place}/bin/${name}`, `#!/bin/sh\nexec "${path}" "$@"\n`, {
        mode: 0o755,
      });
    }
    const PATH = `${place}/bin:${Deno.env.get("PATH")}`;
    for (const starter of [["deno", "run", "-A", "--quiet"], commandOf("node"), ["bun"]]) {
      const [program, ...args] = starter;
      const output = await succeed(
        program.includes("/") ? program : `${place}/bin/${program}`,
        [...args, "main.ts", "picture.ppm"],
        place,
        { PATH },
      );
      const rows = output.match(
        /^Deno painted (\d+) rows, Node (\d+), Bun (\d+); Python the water\.\n$/,
      )!.slice(1).map(Number);
      assert(rows.every((count) => count > 0), output);
      const picture = await Deno.readFile(`${place}/picture.ppm`);
      await Deno.remove(`${place}/picture.ppm`);
      const head = new TextEncoder().encode("P6 640 400 255\n");
      assertEquals(picture.subarray(0, head.length), head);
      const pixels = picture.subarray(head.length);
      assertEquals(pixels.length, 400 * 640 * 3);
      const painted = [0, 0, 0];
      for (let row = 0; row < 200; row++) {
        const at = (row: number): Uint8Array => pixels.subarray(row * 640 * 3, (row + 1) * 640 * 3);
        // The colour of the first pixel, which no step reaches, tells who it was.
        painted[at(row).indexOf(Math.max(...at(row).subarray(0, 3)))]++;
        assertEquals(at(399 - row), at(row).map((value) => value >> 1), `row ${row}`);
      }
      assertEquals(painted, rows);
    }
    const left = [...Deno.readDirSync("/dev/shm")].map(({ name }) => name)
      .filter((name) => /^\d+-(picture|state)-/.test(name));
    assertEquals(await thoseThatStay(left), []);
  },
);
