// examples/README.md says what an example takes besides itself, for who copies it.

import { assertEquals } from "@std/assert";

const examples = new URL("../../examples/", import.meta.url);
const read = (path: string): string => Deno.readTextFileSync(new URL(path, examples));

/** The files of a folder, and of those in it, that are programs. */
function programsIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, examples))].flatMap(({ name, isDirectory }) =>
    isDirectory ? programsIn(`${folder}${name}/`) : /\.(ts|py)$/.test(name) ? [folder + name] : []
  );
}

/** The part of `examples/` that a file belongs to: that of `demo/input.ts` is `demo/`. */
const partOf = (path: string): string => path.replace(/\/.*/, "/");

/** The other parts of `examples/` that a program imports, reads or starts. */
function takenBy(path: string, text: string): string[] {
  const literals = [...text.matchAll(/["'](\.{1,2}\/[\w./]+)["']/g)].map(([, to]) => to)
    .filter((to) => !new RegExp(`import type [^;]*"${to}"`).test(text));
  const paths = text.matchAll(/(?:URL\("|meta\.dirname\}\/)(\w[\w./]*)/g);
  const besides = [...paths].map(([, to]) => to);
  const parents = [...text.matchAll(/parents\[1\] \/ "(\w+)"/g)].map(([, to]) => `../${to}/x`);
  const parts = [...literals, ...besides, ...parents]
    .map((to) => new URL(to, new URL(path, examples)).href)
    .filter((href) => href.startsWith(examples.href))
    .map((href) => partOf(href.slice(examples.href.length)));
  const own = partOf(path);
  return [...new Set(parts)].filter((part) => part !== own && part !== own.replace(/\.ts$/, "/"));
}

/** What each part of `examples/` takes of others; what a folder of a program takes is the program's. */
function taken(): { [part: string]: string[] } {
  const found = new Map<string, Set<string>>();
  const programs = programsIn("");
  for (const path of programs) {
    const part = partOf(path);
    const program = part.replace(/\/$/, ".ts");
    const owner = programs.includes(program) ? program : part;
    const rest = takenBy(path, read(path)).filter((each) => each !== owner);
    found.set(owner, new Set([...found.get(owner) ?? [], ...rest]));
  }
  return Object.fromEntries(
    [...found].filter(([, rest]) => rest.size > 0).map(([part, rest]) => [part, [...rest].sort()]),
  );
}

Deno.test("examples/README.md names all that an example takes besides itself", () => {
  const rows = read("README.md").matchAll(/^\| `([\w.]+\/?)` +\| ((?:`[\w.]+\/?`(?:, )?)+) +\|$/gm);
  const said = Object.fromEntries(
    Array.from(rows, ([, part, rest]) => [part, rest.match(/[\w.]+\/?/g)!.sort()]),
  );
  const needed = taken();
  // The cluster takes demo/, which takes data/.
  needed["cluster/"].push(...needed["demo.ts"].filter((part) => part === "data/"));
  needed["cluster/"].sort();
  assertEquals(said, needed);
});

Deno.test("what an example takes of other folders is found", () => {
  const text = `import { a } from "../png.ts"; import type { b } from "../demo/x.ts";
    new URL("../data/a.json", import.meta.url); import "./c.ts";`;
  assertEquals(takenBy("numpy/main.ts", text), ["png.ts", "data/"]);
  assertEquals(takenBy("numpy/filter.py", 'x / parents[1] / "python"'), ["python/"]);
});
