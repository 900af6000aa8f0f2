// The layers of the sources: who may import whom. Deno itself says who imports whom (`deno info
// --json`), so that no form of import is overlooked: types, re-exports, imports for their effects.

import { assert, assertEquals } from "@std/assert";
import { format } from "../scripts/format.ts";
import { listFiles, makePage } from "../scripts/generate_architecture.ts";
import { isFolder, publishedFiles, rowOf, table } from "../scripts/layers.ts";

/** Each file with what it imports, as it is written in the file. */
type Graph = ReadonlyMap<string, readonly string[]>;

/** The file that an import leads to, from the root of the package. */
function targetOf(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

/** What is wrong with imports: one line for each fault, none if all is well. */
function violations(graph: Graph, listed: readonly string[]): string[] {
  const found = listed.filter((file) => !graph.has(file)).map((file) => `${file} is missing`);
  for (const [file, specifiers] of graph) {
    if (!listed.includes(file)) {
      found.push(`${file} is not in docs/architecture.md's list of files`);
    }
    const row = rowOf(file);
    if (row === undefined) {
      found.push(`${file} has no place in the table`);
      continue;
    }
    for (const specifier of specifiers) {
      if (!/^\.\.?\//.test(specifier)) {
        found.push(`${file} imports ${specifier} from outside the package`);
        continue;
      }
      const target = targetOf(file, specifier);
      if (!graph.has(target)) {
        found.push(`${file} imports ${target}, which is not published`);
        continue;
      }
      const targetRow = rowOf(target);
      if (targetRow === undefined) continue; // It is told of as a file without a place.
      if (row === targetRow && isFolder(row.where)) {
        if (target === `${row.where}mod.ts`) found.push(`${file} imports its own folder's mod.ts`);
      } else if (
        !row.mayImport.some((place) => [targetRow.layer, targetRow.where, target].includes(place))
      ) {
        found.push(`${file} imports ${target}`);
      } else if (targetRow.entered === "by mod.ts" && target !== `${targetRow.where}mod.ts`) {
        found.push(`${file} imports ${target} past ${targetRow.where}mod.ts`);
      }
    }
  }
  return found;
}

/** The circles of imports, each as a path that ends where it begins. */
function circles(graph: Graph): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push([...path.slice(path.indexOf(file)), file].join(" → "));
    } else if (!done.has(file)) {
      for (const specifier of graph.get(file) ?? []) {
        visit(targetOf(file, specifier), [...path, file]);
      }
      done.add(file);
    }
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

/** Asks Deno what each of the files under a root imports. */
async function graphOf(root: URL, files: readonly string[]): Promise<Graph> {
  // One start of Deno for all files, by a module that imports each of them.
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const imports = files.map((file) => `import ${JSON.stringify(new URL(file, root).href)};\n`);
    await Deno.writeTextFile(entry, imports.join(""));
    // Without the configuration a name such as "@shm/array" stays as it is written.
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-config", "--no-remote", "--no-npm", entry],
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
      modules: { specifier: string; dependencies?: { specifier: string }[] }[];
    };
    return new Map(files.map((file) => {
      const { href } = new URL(file, root);
      const { dependencies = [] } = modules.find(({ specifier }) => specifier === href)!;
      return [file, dependencies.map(({ specifier }) => specifier)];
    }));
  } finally {
    await Deno.remove(entry);
  }
}

const root = new URL("../", import.meta.url);
const { exports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root))) as {
  exports: { [subPath: string]: string };
};
const published = publishedFiles();

/** The page that draws the layers and lists the files. */
const page = Deno.readTextFileSync(new URL("docs/architecture.md", root));
const listed = listFiles(page);

/** The code of a published file, without its comments: examples in these import what they like. */
function codeOf(file: string): string {
  return withoutComments(Deno.readTextFileSync(new URL(file, root)));
}

function withoutComments(source: string): string {
  // A string that holds "//" or "/*" is kept as a string.
  return source.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, string: string | undefined) => string ?? " ",
  );
}

/** The published files whose code a pattern matches. */
function users(pattern: RegExp): string[] {
  return published.filter((file) => pattern.test(codeOf(file)));
}

/** What is left of code when its re-exports, which name what they export, are taken away. */
function besideReexports(code: string): string {
  return code.replaceAll(/export\s+(type\s+)?\{[^}]*\}\s+from\s+"[^"]+";/g, "").trim();
}

Deno.test("imports point down only, folders are entered by mod.ts, nothing comes from outside", async () => {
  assertEquals(violations(await graphOf(root, published), listed), []);
});

Deno.test("imports form no circle", async () => {
  assertEquals(circles(await graphOf(root, published)), []);
});

Deno.test("the entry points are published files", () => {
  const entries = Object.values(exports).map((path) => path.replace("./", ""));
  assertEquals(entries.filter((entry) => !published.includes(entry)), []);
  assert(entries.includes("mod.ts"));
});

Deno.test("nothing is imported while the program runs", () => {
  assertEquals(users(/\b(import|require)\s*\(/), []);
});

Deno.test("only ffi/library.ts opens a library", () => {
  assertEquals(users(/\bopenLibrary\b/).filter((file) => !file.startsWith("ffi/runtime/")), [
    "ffi/library.ts",
  ]);
});

/** The globals by whose names runtimes differ, where they are used. */
const RUNTIMES = /\b(Deno|Bun|process)\b(?=\s*[.[?!,;)}])/;

/** The part of code in which a runtime's global can be named. */
function withoutWords(source: string): string {
  return withoutComments(source).replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
}

Deno.test("only ffi/runtime/ names a runtime", () => {
  const others = published.filter((file) => !file.startsWith("ffi/runtime/"));
  const codes = others.map((file) => withoutWords(Deno.readTextFileSync(new URL(file, root))));
  assertEquals(others.filter((_, i) => RUNTIMES.test(codes[i])), []);
  const globals = users(/DedicatedWorkerGlobalScope|\bDeno\./);
  assertEquals(globals.filter((file) => others.includes(file)), []);
});

Deno.test("mod.ts of the package and of each folder holds nothing but re-exports, name by name", () => {
  // To choose the runtime is what the door of its folder is for: a file of its own would cost each program. The
  // door of the shell's face is the program that is run.
  const others = ["ffi/runtime/mod.ts", "src/cli/mod.ts"];
  const doors = published.filter((file) => /(^|\/)mod\.ts$/.test(file) && !others.includes(file));
  assertEquals(doors.filter((file) => besideReexports(codeOf(file)) !== ""), []);
  for (const { where, entered } of table) {
    if (entered === "by mod.ts") assert(doors.includes(`${where}mod.ts`), where);
  }
});

Deno.test("docs/architecture.md draws the table and lists the files as they are", async () => {
  assertEquals(page, await format(makePage(), "md"), "run `deno task generate`");
});

// --- That the tests can fail -------------------------------------------------------------------

/** A graph in order, with the imports of some files replaced; `null` takes a file away. */
function sound(changes: { [file: string]: string[] | null }): Graph {
  const graph = new Map<string, string[]>(listed.map((file) => [file, []]));
  for (const [file, specifiers] of Object.entries(changes)) {
    if (specifiers === null) graph.delete(file);
    else graph.set(file, specifiers);
  }
  return graph;
}

const examples: [what: string, changes: { [file: string]: string[] | null }, found: string[]][] = [
  ["a graph in order", {
    "mod.ts": ["./src/ndarray/mod.ts", "./src/shared_array/wrap.ts", "./src/dtype.ts"],
    "src/cli/run.ts": ["../../mod.ts"],
    "src/shared_array/wrap.ts": ["../segment/mod.ts", "../check.ts", "./register.ts"],
    "src/segment/mapping.ts": ["../../ffi/library.ts", "./name.ts"],
    "src/ndarray/layout.ts": ["./slice.ts", "../dtype.ts"],
    "src/dtype.ts": ["./check.ts"],
    "ffi/library.ts": ["./errors.ts"],
  }, []],
  ["an import that points up", {
    "src/dtype.ts": ["./ndarray/mod.ts"],
  }, ["src/dtype.ts imports src/ndarray/mod.ts"]],
  ["an import from the lowest layer of the highest", {
    "ffi/library.ts": ["../mod.ts"],
  }, ["ffi/library.ts imports mod.ts"]],
  ["an import of the shell's file", {
    "mod.ts": ["./src/cli/mod.ts"],
  }, ["mod.ts imports src/cli/mod.ts"]],
  ["a runtime that knows of C", {
    "ffi/runtime/deno.ts": ["./errors.ts", "../library.ts"],
    "ffi/library.ts": ["./runtime/mod.ts"],
  }, ["ffi/runtime/deno.ts imports ffi/library.ts"]],
  ["views that know of segments, and of C", {
    "src/ndarray/view.ts": ["../segment/mod.ts", "../../ffi/library.ts"],
  }, [
    "src/ndarray/view.ts imports src/segment/mod.ts",
    "src/ndarray/view.ts imports ffi/library.ts",
  ]],
  ["segments that know of views", {
    "src/segment/mapping.ts": ["../ndarray/mod.ts"],
  }, ["src/segment/mapping.ts imports src/ndarray/mod.ts"]],
  ["the end of a process that knows of segments", {
    "src/segment/list.ts": ["../process/proc.ts"],
    "src/process/proc.ts": ["../segment/mod.ts"],
  }, ["src/process/proc.ts imports src/segment/mod.ts"]],
  ["a file of a folder that is entered past its mod.ts", {
    "src/shared_array/wrap.ts": ["../segment/mapping.ts"],
    "mod.ts": ["./src/ndarray/slice.ts"],
  }, [
    "mod.ts imports src/ndarray/slice.ts past src/ndarray/mod.ts",
    "src/shared_array/wrap.ts imports src/segment/mapping.ts past src/segment/mod.ts",
  ]],
  ["a file that imports its own folder's mod.ts", {
    "src/ndarray/view.ts": ["./mod.ts"],
  }, ["src/ndarray/view.ts imports its own folder's mod.ts"]],
  ["two places of one layer", {
    "src/check.ts": ["./dtype.ts"],
    "src/inspect.ts": ["./dtype.ts"],
    "src/shared_array/wrap.ts": ["../sync/wait.ts"],
    "src/sync/wait.ts": ["../segment/mod.ts", "./lock.ts", "../shared_array/wrap.ts"],
    "src/sync/lock.ts": [],
  }, [
    "src/check.ts imports src/dtype.ts",
    "src/inspect.ts imports src/dtype.ts",
    "src/shared_array/wrap.ts imports src/sync/wait.ts",
    "src/sync/wait.ts imports src/shared_array/wrap.ts",
  ]],
  ["dependencies", {
    "mod.ts": ["npm:zod", "jsr:@std/assert", "node:fs", "https://deno.land/x/zod/mod.ts"],
  }, [
    "mod.ts imports npm:zod from outside the package",
    "mod.ts imports jsr:@std/assert from outside the package",
    "mod.ts imports node:fs from outside the package",
    "mod.ts imports https://deno.land/x/zod/mod.ts from outside the package",
  ]],
  ["the package by its own name", {
    "src/shared_array/wrap.ts": ["@shm/array"],
  }, ["src/shared_array/wrap.ts imports @shm/array from outside the package"]],
  ["a file of the tests", {
    "src/shared_array/wrap.ts": ["../../tests/helpers/helpers.ts"],
  }, ["src/shared_array/wrap.ts imports tests/helpers/helpers.ts, which is not published"]],
  ["a file without a place", { "src/utils.ts": [] }, [
    "src/utils.ts is not in docs/architecture.md's list of files",
    "src/utils.ts has no place in the table",
  ]],
  ["a new file in a known folder", { "src/ndarray/new.ts": ["./slice.ts"] }, [
    "src/ndarray/new.ts is not in docs/architecture.md's list of files",
  ]],
  ["a file that is missing", { "src/cli/run.ts": null }, ["src/cli/run.ts is missing"]],
];
for (const [what, changes, found] of examples) {
  Deno.test(`violations() of ${what}`, () => {
    const order = (lines: string[]) => lines.toSorted();
    assertEquals(order(violations(sound(changes), listed)), order(found));
  });
}

Deno.test("RUNTIMES finds a runtime in code, and none in comments and words", () => {
  const found = (code: string) => RUNTIMES.test(withoutWords(code));
  for (
    const code of [
      "Deno.exit(1);",
      "const { pid } = Deno;",
      'if ("x" in globalThis) Deno?.exit();',
      "const { Deno } = globalThis as { Deno?: object };",
      "type Signal = Deno.Signal;",
      "process.exit();",
      "Bun .version;",
      "f(process, 1);",
      'Deno.removeSync("a", "b");',
    ]
  ) assert(found(code), code);
  for (
    const code of [
      "/** {@linkcode Deno.errors.NotFound} */ export const a = 1;",
      "// Deno.exit(1)",
      "/* a\n * process.exit()\n */",
      "let process_end = 1;",
      'throw new Error("the process ends");',
      '["ESRCH", "No such process", 3, 3];',
      'throw new Error("Cannot see the process, which is another\'s");',
    ]
  ) assert(!found(code), code);
});

Deno.test("circles() of a graph finds each, types included", () => {
  const graph = sound({
    "src/ndarray/view.ts": ["./layout.ts"],
    "src/ndarray/layout.ts": ["./slice.ts", "../dtype.ts"],
    "src/ndarray/slice.ts": ["./view.ts"],
    "ffi/errors.ts": ["./errors.ts"],
  });
  assertEquals(circles(graph).map((circle) => circle.split(" → ").length).sort(), [2, 4]);
});

Deno.test("graphOf() sees every form of import, and none that stands in a comment or a string", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const texts: { [file: string]: string } = {
      "a.ts": `
import { z } from "npm:zod";
import fs from "node:fs";
import { NDArray } from "@shm/array";
export * from "jsr:@std/assert";
export {
  a,
  type B,
} from "./lines.ts";
import type { T } from "./type.ts";
import './effect.ts'; // it's "quoted
type X = import("./type_of.ts").X;
const url = "https://x"; import { a } from "./after.ts";
await import("./dynamic.ts");
/** import { x } from "./comment.ts"; */
// import "./line.ts";
const text = 'import "./string.ts"';`,
    };
    for (const name of ["lines", "type", "effect", "type_of", "after", "dynamic"]) {
      texts[`${name}.ts`] = "";
    }
    for (const [file, text] of Object.entries(texts)) {
      await Deno.writeTextFile(`${folder}/${file}`, text);
    }
    const graph = await graphOf(new URL(`file://${folder}/`), Object.keys(texts));
    assertEquals(graph.get("a.ts")!.toSorted(), [
      "./after.ts",
      "./dynamic.ts",
      "./effect.ts",
      "./lines.ts",
      "./type.ts",
      "./type_of.ts",
      "@shm/array",
      "jsr:@std/assert",
      "node:fs",
      "npm:zod",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("besideReexports() leaves what is no re-export by name", () => {
  assertEquals(
    besideReexports(`export { a } from "./a.ts";\nexport type { B } from "./b.ts";`),
    "",
  );
  for (const code of [`export * from "./a.ts";`, "export const a = 1;", `import "./a.ts";`]) {
    assertEquals(besideReexports(code), code);
  }
});
