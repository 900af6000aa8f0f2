/**
 * The layers of the sources: which files may import which. `tests/architecture_test.ts` proves that they do,
 * `scripts/generate_architecture.ts` draws them.
 *
 * @module
 */

/** A row of the table: files of one layer in one place, and what they may import. */
export interface Row {
  layer: "top" | "4" | "3" | "2" | "1" | "0" | "−1";
  /** A file, or a folder with its slash. */
  where: string;
  /** What the place is for, in a few words. */
  purpose: string;
  /** Layers, or places; what stands in the same folder may be imported, too. */
  mayImport: readonly string[];
  /** Whether other places may import the folder's `mod.ts` only. */
  entered?: "by mod.ts";
}

/**
 * The table. Imports point down only. `docs/architecture.md` draws it, and lists the files of each place with
 * the first sentence of each. A new file in one of these folders needs no change here.
 */
export const table: readonly Row[] = [
  {
    layer: "top",
    where: "mod.ts",
    purpose: "the public names",
    mayImport: ["4", "3", "2", "1", "0", "−1"],
  },
  {
    layer: "top",
    where: "src/cli/",
    purpose: "commands for the shell",
    mayImport: ["mod.ts", "4", "3", "2", "1", "0", "−1"],
  },
  {
    layer: "4",
    where: "src/publish/",
    purpose: "streams of arrays for many readers",
    mayImport: ["3", "2", "1"],
  },
  {
    layer: "4",
    where: "src/queue/",
    purpose: "work that is shared out",
    mayImport: ["3", "2", "1"],
  },
  {
    layer: "4",
    where: "src/npy.ts",
    purpose: "arrays in files",
    mayImport: ["3", "2", "1", "0", "−1"],
  },
  {
    layer: "3",
    where: "src/sync/",
    purpose: "waiting, locking and meeting between processes",
    mayImport: ["2", "1", "0", "−1"],
  },
  {
    layer: "3",
    where: "src/shared_array/",
    purpose: "arrays in segments, and their helpers",
    mayImport: ["2", "1", "0", "−1"],
  },
  // What /proc says serves segments (who maps one) and the end of a process alike.
  {
    layer: "2",
    where: "src/segment/",
    purpose: "named bytes, mapped and given up",
    mayImport: ["src/process/", "1", "0", "−1"],
    entered: "by mod.ts",
  },
  {
    layer: "2",
    where: "src/process/",
    purpose: "the end of a process, its parent, what /proc says",
    mayImport: ["1", "0", "−1"],
  },
  // Views know neither segments nor C: they need no permission.
  {
    layer: "2",
    where: "src/ndarray/",
    purpose: "strided views over any typed array",
    mayImport: ["1"],
    entered: "by mod.ts",
  },
  // A layer whose files import nothing would have the way to name a kind of value and to quote a text
  // twice: in check.ts and in dtype.ts, whose messages need it.
  {
    layer: "1",
    where: "src/dtype.ts",
    purpose: "the table of element types",
    mayImport: ["src/check.ts", "src/errors.ts"],
  },
  {
    layer: "1",
    where: "src/inspect.ts",
    purpose: "how instances look in console.log",
    mayImport: ["src/check.ts", "ffi/runtime/errors.ts"],
  },
  {
    layer: "1",
    where: "src/json_text.ts",
    purpose: "JSON that stands in segments",
    mayImport: ["src/check.ts", "src/errors.ts"],
  },
  {
    layer: "1",
    where: "src/words.ts",
    purpose: "how words of a segment are read",
    mayImport: ["src/check.ts", "src/errors.ts"],
  },
  {
    layer: "1",
    where: "src/errors.ts",
    purpose: "the errors that the library itself finds",
    mayImport: ["ffi/runtime/errors.ts"],
  },
  {
    layer: "1",
    where: "src/check.ts",
    purpose: "how arguments are checked",
    mayImport: ["ffi/runtime/errors.ts"],
  },
  {
    layer: "0",
    where: "ffi/",
    purpose: "one checked function for each call of C",
    mayImport: ["−1"],
  },
  { layer: "−1", where: "ffi/runtime/", purpose: "the JavaScript runtime", mayImport: [] },
];

/** Whether a place is a folder. */
export const isFolder = (place: string): boolean => place.endsWith("/");

/** The row that a file belongs to. */
export function rowOf(file: string): Row | undefined {
  // A folder in another one has a row of its own, which comes after that of the other.
  return table.findLast(({ where }) => isFolder(where) ? file.startsWith(where) : file === where);
}

const root = new URL("../", import.meta.url);

/** The files of program text at a path of `publish.include` of deno.json. */
function sourcesIn(path: string): string[] {
  if (!isFolder(path)) return /\.[cm]?[jt]sx?$/.test(path) ? [path] : [];
  return [...Deno.readDirSync(new URL(path, root))]
    .flatMap(({ name, isDirectory }) => sourcesIn(path + name + (isDirectory ? "/" : "")));
}

/** The files of program text that are published, as paths from the root of the repository. */
export function publishedFiles(): string[] {
  const { publish } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root))) as {
    publish: { include: string[] };
  };
  return publish.include.flatMap(sourcesIn);
}
