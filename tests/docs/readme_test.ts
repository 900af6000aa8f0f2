// The README's examples in several processes. Its other code blocks are run by `deno test --doc`.
import { assertEquals } from "@std/assert";
import { SharedMemoryArray } from "../../mod.ts";
import { pythonPath } from "../helpers/find_python.ts";
import {
  argumentsOf,
  pastedFiles,
  readReadme,
  root,
  runWriterAndReader,
} from "../helpers/readme.ts";
import { testWith } from "../helpers/test_with.ts";

/** Gives a folder with the files that a reader of the README pastes, and the package as it is here. */
async function withPasted(
  body: (folder: string, markdown: string) => Promise<void>,
): Promise<void> {
  const markdown = readReadme();
  const folder = await Deno.makeTempDir();
  try {
    const files = pastedFiles(markdown);
    assertEquals([...files.keys()], [
      "squares.ts",
      "writer.ts",
      "reader.ts",
      "rows.ts",
      "worker.ts",
    ]);
    for (const [name, code] of files) await Deno.writeTextFile(`${folder}/${name}`, code);
    // What `deno add jsr:@shm/array` would do.
    const imports = {
      "@shm/array": new URL("mod.ts", root).href,
      "@shm/array/sync": new URL("src/sync/mod.ts", root).href,
    };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    await body(folder, markdown);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("README: the first example does in two processes what is said of it", () =>
  withPasted(async (folder, markdown) => {
    const printed = await runWriterAndReader(
      [Deno.execPath(), ...argumentsOf(markdown, "run", "writer.ts")],
      [Deno.execPath(), ...argumentsOf(markdown, "run", "reader.ts")],
      { folder },
    );
    assertEquals(printed, {
      reader: "[[1. 2. 3.]\n [4. 5. 6.]]\n",
      writer: "Waiting for reader.ts\n[[7. 7. 7.]\n [4. 5. 6.]]\n",
      code: 0,
    });
  }));

/** Runs a program that starts others, and gives what it printed. The programs start "deno": the one that runs this test. */
async function runPasted(folder: string, args: string[]): Promise<string> {
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: folder,
    stderr: "inherit",
    env: { NO_COLOR: "1", PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` },
  }).output();
  assertEquals(code, 0);
  return new TextDecoder().decode(stdout);
}

Deno.test("README: what sixty seconds bring prints what the page says, with those permissions", () =>
  withPasted(async (folder, markdown) => {
    const printed = await runPasted(folder, argumentsOf(markdown, "run", "squares.ts"));
    assertEquals(printed, markdown.match(/^```text\n(.*?)^```$/ms)![1]);
  }));

Deno.test("mod.ts: the program of the package's page prints what it says", () =>
  withPasted(async (folder) => {
    const page = Deno.readTextFileSync(new URL("mod.ts", root)).replace(/^ \* ?/gm, "");
    const [, code] = page.match(/^```ts ignore\n(.*?)^```$/ms)!;
    await Deno.writeTextFile(
      `${folder}/squares.ts`,
      code.replace("jsr:@shm/array", "@shm/array"),
    );
    const printed = await runPasted(
      folder,
      argumentsOf(code.replace(/^\/\/ /m, ""), "run", "squares.ts"),
    );
    assertEquals(printed, "[[ 0.  1.  4.]\n [ 9. 16. 25.]]\n");
  }));

Deno.test("README: the workers on rows do what is said of them, with those permissions", () =>
  withPasted(async (folder, markdown) => {
    assertEquals(await runPasted(folder, argumentsOf(markdown, "run", "rows.ts")), "255 255\n");
  }));

Deno.test("README: the reader may start before the writer", () =>
  withPasted(async (folder, markdown) => {
    const reader = runPasted(folder, argumentsOf(markdown, "run", "reader.ts"));
    const writer = runPasted(folder, argumentsOf(markdown, "run", "writer.ts"));
    assertEquals(await reader, "[[1. 2. 3.]\n [4. 5. 6.]]\n");
    assertEquals(await writer, "Waiting for reader.ts\n[[7. 7. 7.]\n [4. 5. 6.]]\n");
  }));

Deno.test("README: Ctrl-C in the writer leaves no segment", () =>
  withPasted(async (folder, markdown) => {
    const writer = new Deno.Command(Deno.execPath(), {
      args: argumentsOf(markdown, "run", "writer.ts"),
      cwd: folder,
      stdout: "piped",
    }).spawn();
    const output = writer.stdout.getReader();
    await output.read(); // it waits for the reader
    writer.kill("SIGINT");
    const { signal } = await writer.status;
    await output.cancel();
    assertEquals(signal, "SIGINT");
    const [, name] = Deno.readTextFileSync(`${folder}/writer.ts`).match(/"float32", "(.*?)"/)!;
    const left = SharedMemoryArray.list().filter((segment) => segment.name.startsWith(name));
    assertEquals(left, []);
  }));

testWith(
  ["Linux", "NumPy"],
  "README: Python is the reader, and the writer prints what is said of it",
  () =>
    withPasted(async (folder, markdown) => {
      const [, code] = markdown.match(/^```python\n(.*?)^```$/ms)!;
      const [, promised] = code.match(/prints it: (.*)$/m)!;
      const writerFile = Deno.readTextFileSync(`${folder}/writer.ts`);
      const [, segment] = writerFile.match(/"float32", "(.*?)"/)!;
      Deno.writeTextFileSync(`${folder}/reader.py`, code.replaceAll("first-steps", segment));
      Deno.copyFileSync(
        new URL("examples/python/shm_attach.py", root),
        `${folder}/shm_attach.py`,
      );
      const { reader, writer, code: ended } = await runWriterAndReader(
        [Deno.execPath(), ...argumentsOf(markdown, "run", "writer.ts")],
        [pythonPath, "-B", "reader.py"],
        { folder },
      );
      assertEquals([reader, ended], ["[[1. 2. 3.]\n [4. 5. 6.]]\n", 0]);
      assertEquals(
        writer.replace("Waiting for reader.ts\n", "").replace(/\s+/g, " ").trim(),
        promised,
      );
    }),
);

function dirname(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
