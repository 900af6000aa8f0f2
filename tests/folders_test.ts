// The folders of tests: they mirror the sources, and each test says itself what it needs of the system.

import { assert, assertEquals, assertMatch } from "@std/assert";

const root = new URL("../", import.meta.url);

const read = (file: string): string => Deno.readTextFileSync(new URL(file, root));

/** The files of a folder and of those in it, by their paths from the root. */
function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))]
    .flatMap(({ name, isDirectory }) =>
      isDirectory ? filesIn(`${folder}${name}/`) : [folder + name]
    ).sort();
}

const sources = ["src/", "ffi/"].flatMap(filesIn)
  .filter((file) => file.endsWith(".ts") && file !== "ffi/runtime/types.ts"); // it has types only
const tests = filesIn("tests/").filter((file) => file.endsWith("_test.ts"));

/** Where the tests of a source file stand. */
function mirrorOf(source: string): string {
  return source.replace(/^src\//, "").replace(/^/, "tests/").replace(/\.ts$/, "_test.ts");
}

/** The test files that bear the name of a source file, and stand elsewhere than at its mirror. */
function misplaced(sources: readonly string[], tests: readonly string[]): string[] {
  const name = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
  return tests.filter((test) => {
    const mirrors = sources.map(mirrorOf).filter((mirror) => name(mirror) === name(test));
    return mirrors.length > 0 && !mirrors.includes(test);
  });
}

Deno.test("the test of a source file stands in the folder that mirrors the file's", () => {
  assertEquals(misplaced(sources, tests), []);
  // The control: one in a wrong folder, and one that is forgotten at the top, are found.
  const wrong = ["tests/lock_test.ts", "tests/system/mman_test.ts"];
  assertEquals(misplaced(["src/sync/lock.ts", "ffi/mman.ts"], wrong), wrong);
  assertEquals(misplaced(["src/errors.ts", "ffi/errors.ts"], ["tests/ffi/errors_test.ts"]), []);
});

Deno.test("tests stand in folders that mirror sources, or that say what they are", () => {
  const mirrors = sources.map(mirrorOf).map((path) => path.slice(0, path.lastIndexOf("/") + 1));
  const known = new Set([
    ...mirrors,
    "tests/system/",
    "tests/runtimes/",
    "tests/docs/",
    "tests/model/",
  ]);
  const folder = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);
  assertEquals(tests.filter((test) => !known.has(folder(test))), []);
});

Deno.test("a test is skipped by testWith() only, which says so in a line", () => {
  // `shm watch` has a column of this name.
  const skips =
    /\bignore\s*:|\.ignore\s*\(|\.skip\s*\(|SKIPPED(?! {2}READERS)|\.only\s*\(|\bonly: true/;
  const others = tests.filter((test) =>
    test !== "tests/folders_test.ts" && skips.test(read(test).replaceAll(/^\s*\/\/.*$/gm, ""))
  );
  assertEquals(others, []);
});

Deno.test("test files that look where only Linux has something say that they need it", () => {
  const looks = /\/dev\/shm\/|\/proc\/|\b(segmentExists|segmentPath|mappingsOf|descriptorsOf)\(/;
  const without = tests
    .filter((test) => looks.test(read(test).replaceAll(/^\s*\/\/.*$/gm, "")))
    .filter((test) => !/\b(everyTestWith|testWith)\(\s*"Linux"/.test(read(test)));
  assertEquals(without, []);
});

Deno.test(".ci/run requires whatever tests may need, and runs what needs root as root", () => {
  const run = read(".ci/run");
  const variables = [...read("tests/helpers/test_with.ts").matchAll(/required: "(SHM_\w+)"/g)]
    .map(([, variable]) => variable);
  assert(variables.length >= 8, String(variables));
  assertEquals(variables.filter((variable) => !run.includes(`${variable}=1`)), []);
  assertMatch(run, /"\(another user\|namespaces\|room\)"/);
  assertEquals(variables.filter((variable) => !read("tests/README.md").includes(variable)), []);
});

Deno.test("the files that tasks and the workflow name are there", () => {
  const texts = ["deno.json", ".ci/run", ".github/workflows/ci.yml", "tests/README.md"].map(read);
  const named = texts.join("\n").match(/tests\/[\w/]+\.ts\b/g)!
    .filter((file) => file !== "tests/x/y_test.ts" && file !== "tests/ffi/y_test.ts")
    .filter((file) => file !== "tests/helpers/without_leaks.ts"); // made by .ci/run
  assert(named.length > 10);
  const all = filesIn("tests/");
  assertEquals(named.filter((file) => !all.includes(file)), []);
});
