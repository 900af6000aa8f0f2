// Examples of README, of the pages of docs/ and of the head of each entry point: each prints, and prints what it says.
import { assert, assertEquals } from "@std/assert";
import { uniqueName } from "../helpers/helpers.ts";
import { eachNumPyTest, runPython } from "../helpers/python.ts";
import { root } from "../helpers/readme.ts";
import { everyTestWith } from "../helpers/test_with.ts";
import { SharedMemoryArray } from "../../mod.ts";

everyTestWith("Linux", "the examples have locks, streams and queues");

const { exports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));

/** An example that a reader can paste and run as it is. */
interface Example {
  /** Where it stands: the file, and which of its examples it is. */
  readonly place: string;
  readonly code: string;
}

/** The pages that a reader sees: documents, and what `deno doc` shows first of an entry point. */
function pages(): [path: string, text: string][] {
  const documents = [...Deno.readDirSync(new URL("docs/", root))].map(({ name }) => `docs/${name}`)
    .filter((path) => path.endsWith(".md"));
  const read = (path: string): string => Deno.readTextFileSync(new URL(path, root));
  const heads = Object.values<string>(exports).map((entry): [string, string] => {
    const [head] = read(entry).split("*/");
    return [entry.replace("./", ""), head.replace(/^ \* ?/gm, "")];
  });
  return [
    ...["README.md", ...documents.sort()].map((path): [string, string] => [path, read(path)]),
    ...heads,
  ];
}

/** The examples of a page, without those that are files of a program in several parts (`ts ignore`). */
function examplesOf([path, text]: [path: string, text: string]): Example[] {
  return Array.from(text.matchAll(/^```ts\n(.*?)^```$/gms), ([, code], i) => ({
    place: `${path}, example ${i + 1}`,
    code,
  }));
}

/** What an example says that it prints: the comment that ends the line of each `console.log()`. */
function promised(code: string): string[] {
  return Array.from(
    code.matchAll(/console\.log\(.*\);(?: \/\/ (.*))?$/gm),
    ([, text]) => text ?? "?",
  );
}

/** Runs an example in this process, and returns what it printed: a line for each call, without breaks and indents. */
async function printed({ code }: Example, folder: string): Promise<string[]> {
  const path = `${folder}/${crypto.randomUUID()}.ts`;
  Deno.writeTextFileSync(path, code);
  const lines: string[] = [];
  const { log } = console;
  console.log = (...values) => {
    const texts = values.map((each) =>
      typeof each === "string" ? each : Deno.inspect(each, { colors: false })
    );
    lines.push(texts.join(" ").replace(/\s+/g, " "));
  };
  try {
    await import(`file://${path}`);
  } finally {
    console.log = log;
  }
  return lines;
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const examples = pages().flatMap(examplesOf)
  .filter(({ code }) => !code.includes("Deno.test(")); // tests/docs/leftover_helper_test.ts runs that one

Deno.test("every example of a page prints what it says", () =>
  withFolder(async (folder) => {
    assert(examples.length > 20);
    for (const example of examples) {
      assert(promised(example.code).length > 0, `${example.place} prints nothing`);
      assertEquals(await printed(example, folder), promised(example.code), example.place);
    }
  }));

Deno.test("an example that prints something else than it says is found", () =>
  withFolder(async (folder) => {
    const code = "console.log([1,\n 2]);\nconsole.log(3); // 4\n";
    assertEquals(await printed({ place: "", code }, folder), ["[ 1, 2 ]", "3"]);
    assertEquals(promised("console.log(3); // 4\nconsole.log(5);\n"), ["4", "?"]);
  }));

eachNumPyTest("docs/python.md: its first example prints what it says", async (python) => {
  const page = Deno.readTextFileSync(new URL("docs/python.md", root));
  const [, code] = page.match(/^```python\n(.*?)^```$/ms)!;
  const [, promise] = code.match(/print\(.*\) +# (.*)$/m)!;
  const name = uniqueName();
  try {
    const program = code.replaceAll('"image"', `"${name}"`);
    const { stdout } = await runPython(["-c", program], "", python.path);
    assertEquals(stdout, `${promise}\n`);
  } finally {
    SharedMemoryArray.clearBuffers([name]);
  }
});

Deno.test("an example of a page needs nothing but the package", () => {
  for (const { place, code } of examples) {
    for (const [, source] of code.matchAll(/ from "(.*?)";/g)) {
      const entry = source.replace("@shm/array", ".");
      assert(entry in exports, `${place} imports ${source}, which its reader has not added`);
    }
  }
});

Deno.test("the examples of an entry point fit into the column that deno doc gives them", () => {
  const heads = examples.filter(({ place }) => /\.ts,/.test(place));
  assert(heads.length > 8);
  for (const { place, code } of heads) {
    for (const line of code.split("\n")) assert(line.length <= 74, `${place}: ${line}`);
  }
});

Deno.test("every entry point's page says what it needs, and shows how it is imported", () => {
  for (const [entry, path] of Object.entries<string>(exports)) {
    const [head] = Deno.readTextFileSync(new URL(path, root)).split("*/");
    assert(head.includes(entry === "." ? "@shm/array" : `@shm/array${entry.slice(1)}`), path);
    assert(/--allow-ffi|[Nn]o? ?(\w+ )?permission/.test(head.replace(/\n \* /g, " ")), path);
    assert(head.includes("@example"), path);
  }
});
