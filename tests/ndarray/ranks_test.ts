// `src/ndarray/ranks.ts` is what its script writes, and its methods are short enough for V8 to copy them into
// loops: docs/decisions/element_access.md says why 75 bytes and 920 bytes are limits. V8 before 14.9
// (Deno 2.8) makes 80 bytes of the same text: loops are slower there.

import { assert, assertEquals } from "@std/assert";
import { formatted } from "../../scripts/generate_ranks.ts";
import * as ranks from "../../src/ndarray/ranks.ts";
import { testWith } from "../helpers/test_with.ts";

Deno.test("ranks.ts is what scripts/generate_ranks.ts writes", async () => {
  const file = await Deno.readTextFile(new URL("../../src/ndarray/ranks.ts", import.meta.url));
  assertEquals(file, await formatted(), "run `deno task generate`");
});

/** Asks V8 how many bytes of bytecode functions have, by the names under which they are defined. */
async function bytecodeSizes(
  texts: { [name: string]: string },
): Promise<{ [name: string]: number }> {
  const program = Object.entries(texts).map(([name, text]) =>
    // The first call makes the bytecode, and fails.
    `try { (${text})({}).call({}); } catch {} console.log("is", ${JSON.stringify(name)});`
  ).join("\n");
  const folder = await Deno.makeTempDir();
  try {
    // A classic script is sloppy, as the copies of the factories of `get` are.
    await Deno.writeTextFile(`${folder}/program.js`, `(0, eval)(${JSON.stringify(program)});`);
    // Where coverage is measured, each block of the code has a counter more.
    const { DENO_COVERAGE_DIR: _, ...env } = Deno.env.toObject();
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-config",
        "--no-prompt",
        "--v8-flags=--print-bytecode,--print-bytecode-filter=measured",
        `${folder}/program.js`,
      ],
      clearEnv: true,
      env: { ...env, NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const sizes: { [name: string]: number } = {};
    let size = NaN;
    for (const line of new TextDecoder().decode(stdout).split("\n")) {
      const [, bytes] = /^Bytecode length: (\d+)/.exec(line) ?? [];
      const [, name] = /^is (\S+)$/.exec(line) ?? [];
      if (bytes !== undefined) size = Number(bytes);
      if (name === undefined) continue;
      sizes[name] = size;
      size = NaN;
    }
    return sizes;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The text of a factory that returns one function, which is given a name. */
function measuredGet(factory: (parts: never) => unknown): string {
  return String(factory).replace(/return function\s*\(/, "return function measured(");
}

/** The text of a factory that returns one of two methods, under another name, and in strict mode. */
function measured(factory: (parts: never) => unknown, method: "set" | "index"): string {
  const text = String(factory).replace(new RegExp(`\\b${method}\\s*\\(`), "measured(");
  return `function (parts) { "use strict"; return (${text})(parts).measured; }`;
}

testWith(
  "short bytecode",
  "get() for two axes has 75 bytes of bytecode at most, and no method has many more than now",
  async () => {
    const limits: { [name: string]: [text: string, limit: number] } = {};
    const atMost = [
      { get: 60, set: 85, index: 75 },
      { get: 75, set: 100, index: 95 },
      { get: 84, set: 115, index: 105 },
      { get: 92, set: 122, index: 112 },
    ];
    atMost.forEach(({ get, set, index }, axis) => {
      limits[`get${axis + 1}`] = [measuredGet(ranks.reads[axis]), get];
      limits[`set${axis + 1}`] = [measured(ranks.writes[axis], "set"), set];
      limits[`index${axis + 1}`] = [measured(ranks.writes[axis], "index"), index];
    });
    // With a set of 97 bytes, eight of these are below the limit of a loop.
    limits.wrappingGet2 = [measuredGet(ranks.readWrappings[1]), 102];
    // That the test can fail: five bytes of code more are seen.
    const longer = limits.get2[0].replace(
      "extra === undefined",
      "extra === undefined && this.longer",
    );
    const sizes = await bytecodeSizes({
      ...Object.fromEntries(Object.entries(limits).map(([name, [text]]) => [name, text])),
      longer,
    });
    for (const [name, [, limit]] of Object.entries(limits)) {
      assert(sizes[name] <= limit, `${name} has ${sizes[name]} bytes, not ${limit} or fewer`);
      assert(sizes[name] > limit - 25, `${name} has ${sizes[name]} bytes: is it measured at all?`);
    }
    assert(sizes.longer > sizes.get2 && sizes.get2 > 50);
  },
);
