// The README's examples in several processes. Its other code blocks are run by `deno test --doc`.
import { assertEquals } from "@std/assert";
import {
  argumentsOf,
  pastedFiles,
  readReadme,
  root,
  runWriterAndReader,
} from "../helpers/readme.ts";

/** Gives a folder with the files that a reader of the README pastes, and the package as it is here. */
async function withPasted(
  body: (folder: string, markdown: string) => Promise<void>,
): Promise<void> {
  const markdown = readReadme();
  const folder = await Deno.makeTempDir();
  try {
    const files = pastedFiles(markdown);
    assertEquals([...files.keys()], ["writer.ts", "reader.ts", "rows.ts", "worker.ts"]);
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
      argumentsOf(markdown, "run", "writer.ts"),
      argumentsOf(markdown, "run", "reader.ts"),
      { folder },
    );
    assertEquals(printed, {
      reader: "[[1. 2. 3.]\n [4. 5. 6.]]\n",
      writer: "Waiting for reader.ts\n[[7. 7. 7.]\n [4. 5. 6.]]\n",
      code: 0,
    });
  }));

Deno.test("README: the workers on rows do what is said of them, with those permissions", () =>
  withPasted(async (folder, markdown) => {
    const { stdout, code } = await new Deno.Command(Deno.execPath(), {
      args: argumentsOf(markdown, "run", "rows.ts"),
      cwd: folder,
      stderr: "inherit",
      // The program starts "deno": the one that runs this test.
      env: { NO_COLOR: "1", PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` },
    }).output();
    assertEquals([code, new TextDecoder().decode(stdout)], [0, "255 255\n"]);
  }));

function dirname(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
