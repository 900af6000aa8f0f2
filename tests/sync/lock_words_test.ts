// The words of a lock: the table of docs/sync.md is that of the program, and what stands in a segment harms nobody.

import { assertEquals } from "@std/assert";
import { LOCK_BYTES, lockWords } from "../../src/sync/lock_words.ts";
import { magics } from "../../src/words.ts";

/** The rows of the first table after a heading, as text. */
function tableAfter(markdown: string, heading: string): string[][] {
  const [, section] = markdown.split(`## ${heading}\n`);
  const rows = /\n\n((?:\|[^\n]*\n)+)/.exec(section)![1].trim().split("\n");
  return rows.slice(2).map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("docs/sync.md has the words of a lock as the program has them", () => {
  const text = Deno.readTextFileSync(new URL("../../docs/sync.md", import.meta.url));
  assertEquals(
    tableAfter(text, "The segment of a lock").map((row) => row.slice(0, 3)),
    lockWords.map(({ at, name, type }) => [String(at), `\`${name}\``, `\`${type}\``]),
  );
  assertEquals(/It has (\d+) bytes/.exec(text)![1], String(LOCK_BYTES));
  assertEquals(
    tableAfter(text, "The segment of a lock").at(-1)![3],
    `\`${magics.lock.text}\``,
  );
});

Deno.test("the words of a lock lie side by side, and fill its segment", () => {
  const ends = lockWords.map(({ at }) => at + 4);
  assertEquals(lockWords.map(({ at }) => at), [0, ...ends.slice(0, -1)]);
  assertEquals(ends.at(-1), LOCK_BYTES);
});
