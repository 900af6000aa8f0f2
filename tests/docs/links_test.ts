// Links of documents: each leads to something, and those of published documents to something that is published.

import { assert, assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => Deno.readTextFileSync(new URL(path, root));

/** The documents in a folder, and in those in it. */
function documentsIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) =>
    isDirectory ? documentsIn(`${folder}${name}/`) : name.endsWith(".md") ? [folder + name] : []
  );
}

const documents = [
  ...[
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "bench/README.md",
    "bench/RESULTS.md",
  ],
  ...["docs/", "examples/", "tests/"].flatMap(documentsIn),
];

const { publish } = JSON.parse(read("deno.json"));

/** Whether `deno publish` takes a file. */
function isPublished(path: string): boolean {
  const isIn = (entry: string): boolean =>
    path === entry || path.startsWith(entry.replace(/\/?$/, "/"));
  return publish.include.some(isIn) && !publish.exclude.some(isIn);
}

/** The places that a document's links lead to, code left out. */
function linksOf(text: string): string[] {
  const prose = text.replace(/^```.*?^```$/gms, "").replace(/`[^`\n]*`/g, "");
  return Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link);
}

/** The anchors of a document: what its headings are called in links. */
function anchorsOf(text: string): string[] {
  return Array.from(
    text.replace(/^```.*?^```$/gms, "").matchAll(/^#+ (.*)$/gm),
    ([, title]) => title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"),
  );
}

/** What is wrong with a link of a document; `null` if nothing is. */
function complaint(document: string, link: string): string | null {
  if (/^https:\/\/[\w.-]+\.\w+(\/|$)/.test(link)) return null;
  if (/^[a-z]+:/.test(link)) return `${link} is no address`;
  const [path, anchor] = link.split("#");
  const url = new URL(path || document.split("/").at(-1)!, new URL(document, root));
  const target = url.pathname.slice(root.pathname.length);
  try {
    if (Deno.statSync(url).isDirectory) return `${link} is a folder, which is no page`;
  } catch {
    return `${link} leads to nothing`;
  }
  if (isPublished(document) && !isPublished(target)) return `${link} is not published`;
  if (anchor !== undefined && !anchorsOf(read(target)).includes(anchor)) {
    return `${link}: there is no such heading`;
  }
  return null;
}

Deno.test("every link of a document leads to something that its reader has", () => {
  const complaints = documents.flatMap((document) =>
    linksOf(read(document)).map((link) => complaint(document, link)).filter((each) => each !== null)
      .map((each) => `${document}: ${each}`)
  );
  assertEquals(complaints, []);
  assert(documents.length > 20);
});

Deno.test("a link that is dead, not published, or leads to no heading is found", () => {
  for (const link of ["./nothing.md", "./examples/demo.ts", "./docs/README.md#nothing", "./docs"]) {
    assert(complaint("README.md", link) !== null, link);
  }
  assertEquals(complaint("README.md", "./docs/README.md#documentation"), null);
  assertEquals(linksOf("[a](./b.md) `[c](./d.md)`\n```md\n[e](./f.md)\n```\n"), ["./b.md"]);
});

Deno.test("docs/README.md leads to every page of docs/, and README to the index", () => {
  const index = linksOf(read("docs/README.md"));
  const pages = documentsIn("docs/").filter((path) => /^docs\/\w+\.md$/.test(path));
  const missing = pages.map((path) => path.replace("docs/", "./"))
    .filter((path) => path !== "./README.md" && !index.includes(path));
  assertEquals(missing, []);
  assert(linksOf(read("README.md")).includes("./docs/README.md"));
});

for (const [page, most] of [["README.md", 250], ["CONTRIBUTING.md", 120]] as const) {
  Deno.test(`${page} is a page that one reads at once: at most ${most} lines`, () => {
    assert(read(page).split("\n").length - 1 <= most);
  });
}
