// Documents lead to files that there are.

import { assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);

Deno.test("documents name files that there are", () => {
  const documents = ["README.md", "CONTRIBUTING.md", "bench/README.md", "tests/README.md"];
  for (const folder of ["docs/", "docs/decisions/"]) {
    for (const { name, isFile } of Deno.readDirSync(new URL(folder, root))) {
      if (isFile) documents.push(folder + name);
    }
  }
  const missing = documents.flatMap((document) => {
    const text = Deno.readTextFileSync(new URL(document, root));
    const paths = text.matchAll(
      /(?<![\w/.-])(?:src|ffi|tests|bench|docs|examples|scripts|\.ci)\/[\w./-]*\w/g,
    );
    return Array.from(paths, ([path]) => path).filter((path) => {
      // A page may say x, y or FILE for any file.
      if (/\/(?:[xy]\b|[xy]_|FILE)/.test(path)) return false;
      try {
        return !Deno.statSync(new URL(path, root));
      } catch {
        return true;
      }
    }).map((path) => `${document} names ${path}`);
  });
  assertEquals(missing, []);
});
