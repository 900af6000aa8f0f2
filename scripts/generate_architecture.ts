/**
 * Writes `docs/architecture.md`: the drawing of the layers, and the list of files, each with the first sentence
 * of its comment. `deno task generate` writes the page; `tests/architecture_test.ts` fails if the page is not
 * what this script writes.
 *
 * @module
 */

import { format } from "./format.ts";
import { isFolder, publishedFiles, type Row, rowOf, table } from "./layers.ts";

const root = new URL("../", import.meta.url);

/** The first sentence of the comment at the head of a file. */
export function firstSentence(source: string, file: string): string {
  const [, comment] = /^(?:\/\/[^\n]*\n|\s)*\/\*\*([\s\S]*?)\*\//.exec(source) ?? [];
  const text = comment?.replaceAll(/^ *\* ?/gm, "").trim().split(/\n\s*\n/)[0].replaceAll(
    "\n",
    " ",
  );
  const [sentence] = /^.*?[.:!?](?=\s|$)(?<!:)/.exec(text ?? "") ?? [];
  if (sentence === undefined) {
    throw new Error(`${file} has no comment at its head whose first sentence says what it is for`);
  }
  return sentence.replaceAll(/\{@linkcode ([^}]+)\}/g, "`$1`");
}

/** The files that a page lists. */
export function listFiles(page: string): string[] {
  return Array.from(page.matchAll(/^- `((?:(?:src|ffi)\/\S+|mod)\.ts)`: /gm), ([, file]) => file);
}

/** The table of the layers as a drawing of lines. */
function draw(): string[] {
  const rows = table.map(({ layer, where, purpose, mayImport }, i) => [
    // A layer is written once, beside its first place.
    layer === table[i - 1]?.layer ? "" : layer,
    where,
    purpose,
    mayImport.join(", ") || "–",
  ]);
  const head = ["layer", "where", "what it is for", "may import"];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length))
  );
  const line = (cells: readonly string[]): string =>
    `│ ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" │ ")} │`;
  const rule = ([left, middle, right]: string): string =>
    left + widths.map((width) => "─".repeat(width + 2)).join(middle) + right;
  return [
    rule("┌┬┐"),
    line(head),
    ...rows.flatMap((row) => [...row[0] === "" ? [] : [rule("├┼┤")], line(row)]),
    rule("└┴┘"),
  ];
}

/** The list of the files of one place. */
function list({ layer, where }: Row, files: readonly string[]): string[] {
  const own = files.filter((file) => rowOf(file)?.where === where).sort((a, b) =>
    // The door of a folder comes first.
    Number(b.endsWith("/mod.ts")) - Number(a.endsWith("/mod.ts")) || (a < b ? -1 : 1)
  );
  const lines = own.map((file) =>
    `- \`${file}\`: ${firstSentence(Deno.readTextFileSync(new URL(file, root)), file)}`
  );
  const name = layer === "top" ? "Top" : `Layer ${layer}`;
  return isFolder(where) ? ["", `### ${name}: \`${where}\``, "", ...lines] : lines;
}

/** The single files of one layer, under one heading; and each folder under its own. */
function listLayer(layer: string, files: readonly string[]): string[] {
  const rows = table.filter((row) => row.layer === layer);
  const single = rows.filter(({ where }) => !isFolder(where));
  const folders = rows.filter(({ where }) => isFolder(where));
  const name = layer === "top" ? "Top" : `Layer ${layer}`;
  return [
    ...single.length === 0 ? [] : ["", `### ${name}: files`, ""],
    ...single.flatMap((row) => list(row, files)),
    ...folders.flatMap((row) => list(row, files)),
  ];
}

const words = Deno.readTextFileSync(new URL("./architecture.head.md", import.meta.url));

/** The text of the page. */
export function makePage(): string {
  const files = publishedFiles();
  const layers = [...new Set(table.map(({ layer }) => layer))];
  const drawing = ["```text", ...draw(), "```"].join("\n");
  return [
    words.replace("{drawing}", drawing).trimEnd(),
    "",
    "## The files",
    ...layers.flatMap((layer) => listLayer(layer, files)),
    "",
  ].join("\n");
}

if (import.meta.main) {
  await Deno.writeTextFile(
    new URL("docs/architecture.md", root),
    await format(makePage(), "md"),
  );
}
