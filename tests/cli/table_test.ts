// Tables that fit a terminal.

import { assert, assertEquals } from "@std/assert";
import { plainScreen, type Style } from "../../src/cli/screen.ts";
import { type Column, type Row, tableLines, widthOf } from "../../src/cli/table.ts";

const columns: Column[] = [
  { title: "NAME", cut: "middle" },
  { title: "SIZE", align: "right" },
  { title: "USED BY", cut: "end" },
];

const rows: Row[] = [
  { cells: ["a-name-of-some-length", "12 B", ["deno:12345", "python3:678"]], dim: false },
  { cells: ["b", "1.5 KiB", []], dim: true },
];

const { style } = plainScreen(() => {}, () => {});
const marked: Style = {
  ...style,
  bold: (text) => `<b>${text}</b>`,
  dim: (text) => `<i>${text}</i>`,
};

Deno.test("tableLines() aligns columns, and cuts nothing where there is no terminal", () => {
  assertEquals(tableLines(columns, rows, { columns: null, style }, [[0, 5]]), [
    "NAME                      SIZE  USED BY",
    "a-name-of-some-length     12 B  deno:12345,python3:678",
    "b                      1.5 KiB  -",
  ]);
});

Deno.test("tableLines() cuts step by step until a line fits, and no further", () => {
  const lines = (width: number): string[] =>
    tableLines(columns, rows, { columns: width, style }, [[0, 12], [2, 12], [0, 6], [1, 0]]);
  assertEquals(lines(54)[1], "a-name-of-some-length     12 B  deno:12345,python3:678");
  assertEquals(lines(53)[1], "a-name-of-…me-length     12 B  deno:12345,python3:678");
  assertEquals(lines(45)[1], "a-name…ength     12 B  deno:12345,python3:678");
  assertEquals(lines(44)[1], "a-name…ength     12 B  deno:12345 +1");
  assertEquals(lines(35)[1], "a-name…ength     12 B  de…:12345 +1");
  assertEquals(lines(30), [
    "NAME        SIZE  USED BY",
    "a-n…gth     12 B  de…:12345 +1",
    "b        1.5 KiB  -",
  ]);
  assertEquals(lines(20), ["NAME    USED BY", "a-n…th  de…:12345 +1", "b       -"]);
  assertEquals(lines(10), ["NAME    U…", "a-n…th  d…", "b       -"]);
  for (let width = 2; width < 60; width++) {
    for (const line of lines(width)) assert(widthOf(line) <= width, `${width}: ${line}`);
  }
});

Deno.test("tableLines() shows the titles and what matters less in their own ways", () => {
  assertEquals(tableLines(columns, rows, { columns: null, style: marked }, []), [
    "<b>NAME                      SIZE  USED BY</b>",
    "a-name-of-some-length     12 B  deno:12345,python3:678",
    "<i>b                      1.5 KiB  -</i>",
  ]);
});

Deno.test("widthOf() tells how many columns of a terminal a text takes", () => {
  const widths: [string, number][] = [
    ["", 0],
    ["tile-7", 6],
    ["é", 1],
    ["e\u0301", 1],
    ["日本", 4],
    ["한국어", 6],
    ["ｱ", 1],
    ["Ａ", 2],
    ["🏔", 1], // without U+FE0F it is a sign of text
    ["🚀", 2],
    ["𠀀", 2],
    ["…×", 2],
  ];
  for (const [text, width] of widths) assertEquals(widthOf(text), width, text);
});

Deno.test("tableLines() aligns and cuts names in wide characters", () => {
  const wide: Row[] = [
    { cells: ["日本語日本語日本語", "1 B", "-"], dim: false },
    { cells: ["plain", "1 B", "-"], dim: false },
  ];
  const lines = tableLines(columns, wide, { columns: 26, style }, [[0, 8]]);
  assertEquals(lines, [
    "NAME         SIZE  USED BY",
    "日本語…本語   1 B  -",
    "plain         1 B  -",
  ]);
  assertEquals(widthOf(lines[1]), widthOf(lines[2]));
});
