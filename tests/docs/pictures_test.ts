// The pictures of the documents are those that scripts/draw_pictures.ts draws.

import { assertEquals } from "@std/assert";
import { draw } from "../../scripts/draw_pictures.ts";

const root = new URL("../../", import.meta.url);

Deno.test("docs/pictures/ has what scripts/draw_pictures.ts draws, and nothing else", async () => {
  const pictures = await draw();
  const files = Array.from(
    Deno.readDirSync(new URL("docs/pictures/", root)),
    ({ name }) => `docs/pictures/${name}`,
  );
  assertEquals(files.sort(), Object.keys(pictures).sort());
  for (const [path, svg] of Object.entries(pictures)) {
    assertEquals(Deno.readTextFileSync(new URL(path, root)), svg, path);
  }
});
