import { assert, assertEquals } from "@std/assert";

/**
 * The house: which file stands on which floor, and what it may import. Arrows point down, or to a
 * neighbour that is named; never up. A trailing slash means every file of that folder.
 */
const floor2 = [
  "src/bulk.ts",
  "src/dtype.ts",
  "src/format.ts",
  "src/layout.ts",
  "src/naming.ts",
  "src/ndarray.ts",
  "src/inspect.ts",
  "src/options.ts",
  "src/segment_mark.ts",
  "src/slice.ts",
  "src/view.ts",
  "src/view_class.ts",
];
const floor3 = [
  "src/process.ts",
  "src/segments.ts",
  "src/shared_memory.ts",
  "src/shared_memory_array.ts",
];

const house: { [file: string]: readonly string[] } = {
  // Floor 0: the C library.
  "ffi/symbols.ts": [],
  "ffi/platform.ts": [],
  "ffi/errors.ts": [],
  "ffi/libc.ts": ["ffi/"],
  // Floor 1: a mapped segment.
  "ffi/mapping.ts": ["ffi/"],
  // Floor 2: what needs no permission.
  "src/dtype.ts": [],
  "src/naming.ts": [],
  "src/inspect.ts": [],
  "src/options.ts": [],
  "src/segment_mark.ts": [],
  "src/slice.ts": [],
  "src/layout.ts": ["src/slice.ts"],
  "src/bulk.ts": ["src/dtype.ts", "src/layout.ts"],
  "src/format.ts": ["src/dtype.ts"],
  "src/view_class.ts": ["src/dtype.ts", "src/layout.ts", "src/slice.ts"],
  "src/view.ts": floor2,
  "src/ndarray.ts": floor2,
  // Floor 3: segments.
  "src/shared_memory.ts": [...floor2, "ffi/mapping.ts"],
  "src/segments.ts": [...floor2, "ffi/"],
  "src/process.ts": [...floor2, "ffi/"],
  "src/shared_memory_array.ts": [...floor2, ...floor3],
  // Floor 4: helpers on the class.
  "src/wrap.ts": [...floor2, ...floor3],
  "src/register.ts": [...floor2, ...floor3],
  // The top.
  "mod.ts": ["src/"],
  "src/cli.ts": ["mod.ts"],
};

/** Files of the house that need not be there. */
const optional = ["src/cli.ts"];

/** Who may be imported by whom is written above; that nobody imports the top, too. */
const order = Object.keys(house);

/** Every module that a source text imports, by `import`, `export from` or `import()`. */
function importsOf(source: string): string[] {
  const code = withoutComments(source);
  const statements = [
    // import … from "x", export … from "x", also over several lines.
    /\b(?:import|export)\b[^;"'`]*?\bfrom\s*(["'])(?<module>[^"']+)\1/g,
    // import "x"
    /\bimport\s*(["'])(?<module>[^"']+)\1/g,
    // import("x"); what is not a plain string is a module that nobody can check.
    /\bimport\s*\(\s*(?<module>[^)]*)\)/g,
    /\brequire\s*\(\s*(?<module>[^)]*)\)/g,
  ];
  return statements.flatMap((statement) =>
    [...code.matchAll(statement)].map(({ groups }) => groups!.module.replace(/^["']|["']$/g, ""))
  );
}

/** The code of a source text: examples in its comments import what they like. */
function withoutComments(source: string): string {
  // A string that holds "//" or "/*" is kept as a string.
  return source.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, string: string | undefined) => string ?? " ",
  );
}

/** What is wrong with the published files: one line for each, none if all is well. */
function violations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const file of order) {
    if (!files.has(file) && !optional.includes(file)) found.push(`${file} is missing`);
  }
  for (const [file, source] of files) {
    const allowed = house[file];
    if (allowed === undefined) {
      found.push(`${file} has no place in the house`);
      continue;
    }
    for (const module of importsOf(source)) {
      if (!/^\.\.?\//.test(module)) {
        found.push(`${file} imports ${module} from outside the package`);
        continue;
      }
      const target = new URL(module, `file:///${file}`).pathname.slice(1);
      if (!files.has(target)) {
        found.push(`${file} imports ${target}, which is not published`);
      } else if (!allowed.some((a) => a === target || (a.endsWith("/") && target.startsWith(a)))) {
        found.push(`${file} imports ${target}`);
      }
    }
  }
  return found;
}

/** The files that are published, by `publish.include` of deno.json. */
function publishedFiles(): Map<string, string> {
  const root = new URL("../", import.meta.url);
  const files = new Map<string, string>();
  const read = (path: string): void => {
    if (path.endsWith("/")) {
      for (const { name, isDirectory } of Deno.readDirSync(new URL(path, root))) {
        read(path + name + (isDirectory ? "/" : ""));
      }
    } else if (/\.[cm]?[jt]sx?$/.test(path)) {
      files.set(path, Deno.readTextFileSync(new URL(path, root)));
    }
  };
  const { publish } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));
  for (const path of publish.include as string[]) read(path);
  return files;
}

Deno.test("imports point down only, and nothing is imported from outside the package", () => {
  assertEquals(violations(publishedFiles()), []);
});

Deno.test("the picture in the README shows the house as it is", () => {
  const readme = Deno.readTextFileSync(new URL("../README.md", import.meta.url));
  const [, picture] = /```text\n([^`]*ffi\/mapping\.ts[^`]*)```/.exec(readme)!;
  const floors = picture.split(/├[─┼]+┤/)
    .map((floor) => [...floor.matchAll(/\S+\.ts/g)].map(([file]) => file).sort());
  const ffi = order.filter((file) => file.startsWith("ffi/") && file !== "ffi/mapping.ts");
  assertEquals(floors, [
    ["mod.ts", "src/cli.ts"],
    ["src/register.ts", "src/wrap.ts"],
    floor3.toSorted(),
    floor2.toSorted(),
    ["ffi/mapping.ts"],
    ffi.sort(),
  ]);
  assertEquals(floors.flat().sort(), order.toSorted());
});

Deno.test("imports form no circle", () => {
  const files = publishedFiles();
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert(!path.includes(file), [...path, file].join(" → "));
    if (done.has(file)) return;
    for (const module of importsOf(files.get(file) ?? "")) {
      visit(new URL(module, `file:///${file}`).pathname.slice(1), [...path, file]);
    }
    done.add(file);
  };
  for (const file of files.keys()) visit(file, []);
});

Deno.test("only ffi/libc.ts opens a library and reads errno; only ffi/ calls C", () => {
  const users = (pattern: RegExp): string[] =>
    [...publishedFiles()].filter(([, source]) => pattern.test(withoutComments(source)))
      .map(([file]) => file);
  assertEquals(users(/\bDeno\.dlopen\b/), ["ffi/libc.ts"]);
  assertEquals(
    users(/\bDeno\.(dlopen|UnsafePointer|UnsafePointerView)\b/).filter((file) =>
      !file.startsWith("ffi/")
    ),
    [],
  );
});

Deno.test("the top of the house holds nothing but re-exports", () => {
  const code = withoutComments(publishedFiles().get("mod.ts")!).trim();
  const rest = code.replaceAll(/export\s+(type\s+)?\{[^}]*\}\s+from\s+"[^"]+";/g, "").trim();
  assertEquals(rest, "");
});

// --- That the test can fail ------------------------------------------------------------------

/** A house in order, with some files replaced or added. */
function sound(changes: { [file: string]: string | null }): Map<string, string> {
  const files = new Map(order.map((file) => [file, ""]));
  for (const [file, source] of Object.entries(changes)) {
    if (source === null) files.delete(file);
    else files.set(file, source);
  }
  return files;
}

const examples: [what: string, changes: { [file: string]: string | null }, found: string[]][] = [
  ["a sound house", {
    "src/shared_memory.ts": `import { Mapping } from "../ffi/mapping.ts";`,
    "src/layout.ts": `import type { Slice } from "./slice.ts";`,
    "src/dtype.ts": `/** import { x } from "npm:x"; */\n// import "y";\nconst s = "no // comment";`,
  }, []],
  ["an arrow that runs up", {
    "src/dtype.ts": `import { NDArray } from "./ndarray.ts";`,
  }, ["src/dtype.ts imports src/ndarray.ts"]],
  ["an arrow from the cellar to the top", {
    "ffi/libc.ts": `export * from "../mod.ts";`,
  }, ["ffi/libc.ts imports mod.ts"]],
  ["a type that runs up", {
    "ffi/errors.ts": `import type { A } from "../src/dtype.ts";`,
  }, ["ffi/errors.ts imports src/dtype.ts"]],
  ["a re-export over several lines", {
    "src/slice.ts": `export {\n  a,\n  b,\n} from "./layout.ts";`,
  }, ["src/slice.ts imports src/layout.ts"]],
  ["helpers that go past their floor", {
    "src/wrap.ts": `import { unlink } from '../ffi/mapping.ts'`,
  }, ["src/wrap.ts imports ffi/mapping.ts"]],
  ["an import for its effects", {
    "src/naming.ts": `import "./options.ts";`,
  }, ["src/naming.ts imports src/options.ts"]],
  ["a dynamic import", {
    "src/naming.ts": `const m = await import("./options.ts");`,
  }, ["src/naming.ts imports src/options.ts"]],
  ["a dynamic import that nobody can read", {
    "src/naming.ts": `const m = await import(name);`,
  }, ["src/naming.ts imports name from outside the package"]],
  ["a dependency", {
    "mod.ts":
      `import { z } from "npm:zod";\nexport * from "jsr:@std/assert";\nimport fs from "node:fs";`,
  }, [
    "mod.ts imports npm:zod from outside the package",
    "mod.ts imports jsr:@std/assert from outside the package",
    "mod.ts imports node:fs from outside the package",
  ]],
  ["the package by its own name", {
    "src/wrap.ts": `import { NDArray } from "@shm/array";`,
  }, ["src/wrap.ts imports @shm/array from outside the package"]],
  ["a file of the tests", {
    "src/wrap.ts": `import { help } from "../tests/helpers.ts";`,
  }, ["src/wrap.ts imports tests/helpers.ts, which is not published"]],
  ["a comment that hides nothing", {
    "src/dtype.ts": `const url = "https://x"; import { a } from "./slice.ts"; // it's "quoted`,
  }, ["src/dtype.ts imports src/slice.ts"]],
  ["a file without a place", { "src/utils.ts": "" }, ["src/utils.ts has no place in the house"]],
  ["a file that is missing", { "src/bulk.ts": null }, ["src/bulk.ts is missing"]],
  ["an optional file that is missing", { "src/cli.ts": null }, []],
];
for (const [what, changes, found] of examples) {
  Deno.test(`violations() of ${what}`, () => {
    assertEquals(violations(sound(changes)), found);
  });
}
