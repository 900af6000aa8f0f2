// docs/errors.md quotes messages that the sources have.

import { assert, assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);

/** The text of all sources of the package. */
function sourcesIn(folder: string): string {
  return [...Deno.readDirSync(new URL(folder, root))].map(({ name, isDirectory }) =>
    isDirectory
      ? sourcesIn(`${folder}${name}/`)
      : Deno.readTextFileSync(new URL(folder + name, root))
  ).join("\n");
}

/** What the first columns of the page's tables quote. */
function quoted(page: string): string[] {
  return Array.from(page.matchAll(/^\| `([^`]+)`/gm), ([, text]) => text);
}

Deno.test("docs/errors.md quotes messages that the sources have", () => {
  const sources = sourcesIn("src/") + sourcesIn("ffi/");
  const missing = (page: string): string[] =>
    quoted(page).filter((text) => !sources.includes(text));
  const page = Deno.readTextFileSync(new URL("docs/errors.md", root));
  assert(quoted(page).length > 30);
  assertEquals(missing(page), []);
  // The control: a message that nobody throws is found.
  assertEquals(missing("| `Cannot fly: no wings` | x |"), ["Cannot fly: no wings"]);
});
