// The README's example in two processes. Its other code blocks are run by `deno test --doc`.
import { assertEquals } from "@std/assert";
import { argumentsOf, pastedFiles, readReadme, root, runWriterAndReader } from "./readme.ts";

Deno.test("README: the first example does in two processes what is said of it", async () => {
  const markdown = readReadme();
  const folder = await Deno.makeTempDir();
  try {
    const files = pastedFiles(markdown);
    assertEquals([...files.keys()], ["writer.ts", "reader.ts"]);
    for (const [name, code] of files) await Deno.writeTextFile(`${folder}/${name}`, code);
    // What `deno add jsr:@shm/array` would do, for the package as it is here.
    const imports = { "@shm/array": new URL("mod.ts", root).href };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));

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
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
