// The README's example in two processes. Its other code blocks are run by `deno test --doc`.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const root = new URL("../", import.meta.url);

/** The code blocks that begin with `// NAME.ts`: files that a reader pastes. */
function pastedFiles(markdown: string): Map<string, string> {
  const blocks = markdown.matchAll(/^```ts ignore\n\/\/ (\S+\.ts)\n(.*?)^```$/gms);
  return new Map([...blocks].map(([, name, code]) => [name, code]));
}

/** Starts one of the pasted files by the command that the README gives for it. */
function start(markdown: string, folder: string, file: string): Deno.ChildProcess {
  const command = markdown.match(RegExp(`^deno (run .*${file})$`, "m"));
  assert(command !== null, `the README does not say how to run ${file}`);
  return new Deno.Command(Deno.execPath(), {
    args: command[1].split(" "),
    cwd: folder,
    stdout: "piped",
    stderr: "inherit",
    env: { NO_COLOR: "1" },
  }).spawn();
}

async function readUntil(
  reader: ReadableStreamDefaultReader<string>,
  text: string,
): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) break;
    seen += value;
  }
  return seen;
}

Deno.test("README: the first example does in two processes what is said of it", async () => {
  const markdown = await Deno.readTextFile(new URL("README.md", root));
  const folder = await Deno.makeTempDir();
  try {
    const files = pastedFiles(markdown);
    assertEquals([...files.keys()], ["writer.ts", "reader.ts"]);
    for (const [name, code] of files) await Deno.writeTextFile(`${folder}/${name}`, code);
    // What `deno add jsr:@shm/array` would do, for the package as it is here.
    const imports = { "@shm/array": new URL("mod.ts", root).href };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));

    const writer = start(markdown, folder, "writer.ts");
    const output = writer.stdout.pipeThrough(new TextDecoderStream()).getReader();
    await readUntil(output, "Waiting for reader.ts\n");

    const read = await start(markdown, folder, "reader.ts").output();
    assertEquals(new TextDecoder().decode(read.stdout), "[[1. 2. 3.]\n [4. 5. 6.]]\n");
    const last = await readUntil(output, "]]\n");
    assertStringIncludes(last, "[[7. 7. 7.]\n [4. 5. 6.]]\n");
    assertEquals((await writer.status).code, 0);
    await output.cancel();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
