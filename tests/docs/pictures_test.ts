// The pictures of the documents are those that scripts/draw_pictures.ts draws.
// That of a ring shows what a ring does.

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryRing } from "@shm/array/publish";
import { draw } from "../../scripts/draw_pictures.ts";
import { testWith } from "../helpers/test_with.ts";

const root = new URL("../../", import.meta.url);

testWith(
  "formatter",
  "docs/pictures/ has what scripts/draw_pictures.ts draws, and nothing else",
  async () => {
    const pictures = await draw();
    const files = Array.from(
      Deno.readDirSync(new URL("docs/pictures/", root)),
      ({ name }) => `docs/pictures/${name}`,
    );
    assertEquals(files.sort(), Object.keys(pictures).sort());
    for (const [path, svg] of Object.entries(pictures)) {
      assertEquals(Deno.readTextFileSync(new URL(path, root)), svg, path);
    }
  },
);

testWith("Linux", "docs/pictures/ring.svg shows what readers get while frame 42 is written", () => {
  using ring = SharedMemoryRing.createAnonymous([1], "uint8", 4);
  using reader = SharedMemoryRing.from(JSON.parse(JSON.stringify(ring)), "uint8").load();
  for (let n = 1; n < 42; n++) ring.write([n]);
  const picture = Deno.readTextFileSync(new URL("docs/pictures/ring.svg", root));
  const texts = Array.from(picture.matchAll(/<text[^>]*>([^<]*)</g), ([, text]) => text);
  const got: string[] = [];
  ring.write(() => {
    got.push(`latest() is ${reader.latest()!.sequence}`);
    const [late, intime] = [reader.next(37), reader.next(38)];
    got.push(`next(37) is ${late.sequence}, and skips ${late.skipped}`);
    got.push(`next(38) is ${intime.sequence}, and skips ${intime.skipped}`);
  });
  assertEquals(got, [
    "latest() is 41",
    "next(37) is 41, and skips 3",
    "next(38) is 39, and skips 0",
  ]);
  assert(texts.includes("latest(), and next(37), which skips 3"));
  assert(texts.includes("next(38) is 39"));
});
