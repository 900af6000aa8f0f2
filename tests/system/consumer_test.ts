// What a user of the published package sees. A registry on this machine serves the files that would be
// published, and a fresh project with an empty cache installs them.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { testWith } from "../helpers/test_with.ts";
import { collectPackage, type Package, serveRegistry } from "./consumer/registry.ts";
import {
  argumentsOf,
  pastedFiles,
  readReadme,
  root,
  runWriterAndReader,
} from "../helpers/readme.ts";

let collected: Promise<Package> | undefined;

/** The files that would be published. The dry run takes seconds, so it is done once. */
function published(): Promise<Package> {
  return collected ??= collectPackage(root);
}

/** A fresh project, and a registry that has the package. */
interface Consumer {
  readonly folder: string;
  readonly env: { [name: string]: string };
  readonly requests: readonly string[];
  /** The files that the registry serves. A test that changes them does so without the manifest. */
  readonly files: Map<string, Uint8Array<ArrayBuffer>>;
  /** Writes a file of the project. */
  write(name: string, text: string): void;
  /** Runs `deno` in the project, which must succeed. Returns what it printed to both outputs. */
  deno(...args: string[]): Promise<string>;
  /** Runs `deno` in the project, which may fail. */
  tryDeno(...args: string[]): Promise<{ code: number; printed: string }>;
}

async function withConsumer(body: (consumer: Consumer) => Promise<void>): Promise<void> {
  const files = new Map((await published()).files);
  await using registry = await serveRegistry({ ...await published(), files });
  const temporary = await Deno.makeTempDir();
  const folder = `${temporary}/project`;
  await Deno.mkdir(folder);
  const env = {
    JSR_URL: registry.url,
    DENO_DIR: `${temporary}/cache`,
    NO_COLOR: "1",
    DENO_NO_UPDATE_CHECK: "1",
  };
  const tryDeno: Consumer["tryDeno"] = async (...args) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: folder,
      env,
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, printed: out + err };
  };
  try {
    await body({
      folder,
      env,
      requests: registry.requests,
      files,
      write: (name, text) => Deno.writeTextFileSync(`${folder}/${name}`, text),
      tryDeno,
      async deno(...args) {
        const { code, printed } = await tryDeno(...args);
        assertEquals(code, 0, `deno ${args.join(" ")}\n${printed}`);
        return printed;
      },
    });
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

/** Adds the package, as the README says. */
async function install(consumer: Consumer): Promise<void> {
  await consumer.deno(...argumentsOf(readReadme(), "add", "jsr:@shm/array"));
}

Deno.test("the package has the sources, documents and licence, and nothing else", async () => {
  const { files, exports } = await published();
  const paths = [...files.keys()];
  for (const path of ["/README.md", "/LICENSE", "/deno.json", "/mod.ts"]) {
    assert(paths.includes(path), `${path} is not published`);
  }
  const document =
    /^\/(docs\/(\w+\/)?\w+\.(md|svg)|bench\/(README\.md|RESULTS\.md|handover\.svg))$/;
  for (const path of paths.filter((path) => !document.test(path))) {
    assertMatch(path, /^\/((src|ffi)\/(\w+\/){0,2}\w+\.ts|mod\.ts|README\.md|LICENSE|deno\.json)$/);
  }
  for (const file of Object.values(exports)) assert(paths.includes(file.slice(1)), file);
  const bytes = [...files].filter(([path]) => !document.test(path))
    .reduce((sum, [, { length }]) => sum + length, 0);
  // Waiting, locking, publication and files came to the 400,000 bytes of the first round. The classes of ranks that
  // are written out, ids, ends and the memory of publications, and errors that tell a way out came to the 620,000
  // of the second one. Descriptions, queues, barriers, the shell and the file for Python come to the 850,000 of the third
  // one. Queues in Python, barriers, locks for readers and two more runtimes came to its 1,300,000 bytes; the text of the
  // file for Python is 131,000 of all, in a module that only the shell imports. Almost half are comments.
  assert(bytes < 1_500_000, `who grants --allow-ffi is to read ${bytes} bytes`);
});

Deno.test("a fresh project adds the package, and runs the README's example in two processes", () =>
  withConsumer(async (consumer) => {
    await install(consumer);
    assertStringIncludes(
      Deno.readTextFileSync(`${consumer.folder}/deno.json`),
      '"@shm/array": "jsr:@shm/array@^',
    );
    const markdown = readReadme();
    for (const [name, code] of pastedFiles(markdown)) consumer.write(name, code);
    await consumer.deno("check", "--all", "writer.ts", "reader.ts");
    assertEquals(
      await runWriterAndReader(
        [Deno.execPath(), ...argumentsOf(markdown, "run", "writer.ts")],
        [Deno.execPath(), ...argumentsOf(markdown, "run", "reader.ts")],
        consumer,
      ),
      {
        reader: "[[1. 2. 3.]\n [4. 5. 6.]]\n",
        writer: "Waiting for reader.ts\n[[7. 7. 7.]\n [4. 5. 6.]]\n",
        code: 0,
      },
    );
    // Deno has asked for the version's metadata, and for no file that the manifest does not have.
    assert(consumer.requests.some((path) => path.endsWith("_meta.json")));
    const { name, version, files } = await published();
    for (const path of consumer.requests.filter((path) => !path.endsWith("meta.json"))) {
      assert(files.has(path.replace(`/${name}/${version}`, "")), path);
    }
  }));

Deno.test("every entry point type-checks under --check=all and isolatedDeclarations", () =>
  withConsumer(async (consumer) => {
    await install(consumer);
    const config = JSON.parse(Deno.readTextFileSync(`${consumer.folder}/deno.json`));
    const compilerOptions = {
      isolatedDeclarations: true,
      noImplicitOverride: true,
      noPropertyAccessFromIndexSignature: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
    };
    consumer.write("deno.json", JSON.stringify({ ...config, compilerOptions }));
    const { exports } = await published();
    const lines = Object.keys(exports).map((entry, i) =>
      `export * as entry${i} from "@shm/array${entry.slice(1)}";`
    );
    // A library that uses this one would publish such code.
    lines.push(
      'import { type NDArray, SharedMemoryArray } from "@shm/array";',
      'export function heights(name: string): NDArray<"float32"> {',
      '  return new SharedMemoryArray([61, 87], "float32", name).load();',
      "}",
    );
    consumer.write("main.ts", lines.join("\n"));
    let { code, printed } = await consumer.tryDeno("check", "--all", "main.ts");
    if (printed.includes("TS5053")) { // An older Deno refuses this option beside those that it sets.
      const options = { ...compilerOptions, isolatedDeclarations: false };
      consumer.write("deno.json", JSON.stringify({ ...config, compilerOptions: options }));
      ({ code, printed } = await consumer.tryDeno("check", "--all", "main.ts"));
    }
    assertEquals(code, 0, printed);
  }));

Deno.test("every entry point is imported without a permission, and only create() wants one", () =>
  withConsumer(async (consumer) => {
    await install(consumer);
    const { exports } = await published();
    for (const entry of Object.keys(exports)) {
      consumer.write("main.ts", `import "@shm/array${entry.slice(1)}"; console.log("imported");`);
      assertStringIncludes(await consumer.deno("run", "--no-prompt", "main.ts"), "imported\n");
    }
    consumer.write(
      "main.ts",
      `import { NDArray } from "@shm/array/ndarray";
       import { numpyTypeString } from "@shm/array/dtype";
       import { SharedMemoryArray } from "@shm/array";
       const view = new NDArray(new Float32Array(4), { shape: [2, 2] });
       console.log(view.slice(0).shape[0], numpyTypeString(view.dtype));
       try {
         new SharedMemoryArray(4, "float32", "consumer").create();
       } catch (error) {
         console.log(error instanceof Deno.errors.NotCapable, error.message);
       }`,
    );
    const printed = await consumer.deno("run", "--no-prompt", "main.ts");
    assertMatch(printed, /^2 <f4\ntrue Requires ffi access.*--allow-ffi/m);
  }));

Deno.test("an example that was copied alone runs, with the deno.json that examples/README.md shows", () =>
  withConsumer(async (consumer) => {
    const examples = new URL("examples/", root);
    const page = Deno.readTextFileSync(new URL("README.md", examples));
    const [, config] = page.match(/^```json\n(.*?)^```$/ms)!;
    const { imports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));
    for (const [name, target] of Object.entries(JSON.parse(config).imports)) {
      if (!name.startsWith("@shm/array")) assertEquals(target, imports[name], name);
    }
    consumer.write("deno.json", config);
    for (const { name, isFile } of Deno.readDirSync(examples)) {
      if (!isFile || !name.endsWith(".ts")) continue;
      const code = Deno.readTextFileSync(new URL(name, examples));
      const needed = Array.from(code.matchAll(/ from "(.*?)"/g), ([, specifier]) => specifier);
      // The page's imports are all that examples take; those of npm are loaded by tests of documents.
      for (const specifier of needed.filter((each) => !/^(\.|node:|@shm\/array)/.test(each))) {
        assert(specifier in JSON.parse(config).imports, `${name} imports ${specifier}`);
      }
      if (needed.every((each) => /^(node:|@shm\/array)/.test(each))) consumer.write(name, code);
    }
    await consumer.deno("check", ".");
    await consumer.deno("run", "-A", "npy.ts");
    await consumer.deno("run", "-A", "config_bytes.ts");
  }));

testWith(
  "deno bundle",
  "the package and a program become one file by deno bundle, for two processes",
  () =>
    withConsumer(async (consumer) => {
      await install(consumer);
      const markdown = readReadme();
      for (const [name, code] of pastedFiles(markdown)) {
        consumer.write(name, code);
        const { code: exit, printed } = await consumer.tryDeno(
          "bundle",
          "-o",
          `one-${name}.js`,
          name,
        );
        assertEquals(exit, 0, printed);
      }
      // The bundled files run alone, in another folder, with an empty cache and without the network.
      const elsewhere = await Deno.makeTempDir({ dir: `${consumer.folder}/..` });
      for (const name of ["writer.ts", "reader.ts"]) {
        await Deno.rename(`${consumer.folder}/one-${name}.js`, `${elsewhere}/one-${name}.js`);
      }
      const command = [
        Deno.execPath(),
        "run",
        "--allow-ffi",
        "--no-remote",
        "--no-npm",
        "--no-config",
      ];
      const printed = await runWriterAndReader(
        [...command, "one-writer.ts.js"],
        [...command, "one-reader.ts.js"],
        { folder: elsewhere, env: { DENO_DIR: `${elsewhere}/cache` } },
      );
      assertEquals(printed.reader, "[[1. 2. 3.]\n [4. 5. 6.]]\n");
      assertEquals(printed.code, 0);
    }),
);

Deno.test("a file that is not the published one is refused, as its checksum tells", () =>
  withConsumer(async (consumer) => {
    // The manifest is as published; the file is not.
    consumer.files.set("/src/dtype.ts", new Uint8Array(8));
    const { code, printed } = await consumer.tryDeno("add", "jsr:@shm/array");
    assert(code !== 0);
    assertStringIncludes(printed, "Integrity check failed");
  }));
