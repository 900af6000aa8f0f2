// `copyOfFactory()` copies classes by their source text. A bundler changes that text, and some programs
// forbid to make code from text: views must do the same in both.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { modUrl } from "../helpers/helpers.ts";
import { testWith } from "../helpers/test_with.ts";

/** Runs `deno` in this folder. */
async function deno(...args: string[]): Promise<{ code: number; printed: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: import.meta.dirname,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, printed: out + err };
}

const program = `
import { NDArray, slice } from ${JSON.stringify(modUrl)};
import { dtypes, typedArrayOf } from ${JSON.stringify(new URL("./src/dtype.ts", modUrl).href)};
import { copyOfFactory } from
  ${JSON.stringify(new URL("./src/ndarray/element_access.ts", modUrl).href)};

let checks = 0;
function same(actual, expected) {
  checks++;
  if (String(actual) !== String(expected)) throw new Error(actual + " is not " + expected);
}
for (const dtype of dtypes) {
  for (let rank = 0; rank <= 5; rank++) {
    const data = new (typedArrayOf(dtype))(2 ** rank);
    const one = /int64/.test(dtype) ? 1n : 1;
    const view = new NDArray(data, { shape: Array(rank).fill(2), dtype });
    const [first, last] = [Array(rank).fill(0), Array(rank).fill(-1)];
    view.set(...last, one);
    same(view.get(...last), one);
    same(view.index(...last), 2 ** rank - 1);
    same(view.get(...first), rank === 0 ? one : 0);
    same([...view].at(-1), one);
    same(view.fill(one).copy(), Array(2 ** rank).fill(1));
    if (rank === 0) continue;
    same(view.slice(-1).size, 2 ** (rank - 1));
    same(view.slice(...["::-1", slice(0, 1)].slice(0, rank)).shape.length, rank);
    view.slice(0).fill(one - one);
    same(view.get(...first), 0);
    same(view.assign(view.slice("::-1")).get(...first), 1);
    try {
      view.get(...first.slice(1), 2);
      throw new Error("out of bounds");
    } catch (error) {
      same(error.name, "RangeError");
    }
  }
}
console.log("checked", checks);

// What must not stand in a factory: the bundler puts a call of its own beside a function with a name.
const bad = copyOfFactory(() => {
  const named = () => 1;
  return named;
}, "bad");
try {
  console.log("bad", bad()());
} catch (error) {
  console.log("bad", error.name);
}
`;

testWith(
  "deno bundle",
  "copyOfFactory() copies what deno bundle --minify --keep-names left of the factories",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/program.js`, program);
      const plain = await deno("run", "--no-prompt", `${folder}/program.js`);
      assertMatch(plain.printed, /^checked \d{3,}\nbad 1$/m);
      for (const flags of [["--minify", "--keep-names"], ["--minify"], []]) {
        const { code, printed } = await deno(
          "bundle",
          ...flags,
          "-o",
          `${folder}/bundle.js`,
          `${folder}/program.js`,
        );
        assertEquals(code, 0, printed);
        const ran = await deno("run", "--no-prompt", "--no-config", `${folder}/bundle.js`);
        assertMatch(ran.printed, /^checked \d{3,}$/m, flags.join(" "));
        // The negative control: a factory that is not closed is caught by this very test.
        const isBroken = flags.includes("--keep-names");
        assertStringIncludes(ran.printed, isBroken ? "bad ReferenceError" : "bad 1");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

const FORBIDDEN = "--v8-flags=--disallow-code-generation-from-strings";

Deno.test("the whole suite of views passes where code may not be made from text", async () => {
  const files = ["ndarray", "indexing", "element_access", "loop_plan", "fill", "copy", "iterate"]
    .concat("layout", "slice")
    .map((name) => `${name}_test.ts`);
  const { code, printed } = await deno("test", "-A", "--no-check", FORBIDDEN, ...files);
  assertEquals(code, 0, printed);
  const passed = Number(/ok \| (\d+) passed/.exec(printed)?.[1]);
  assert(passed > 350, printed);
});

Deno.test("code may really not be made from text there, and is made of text elsewhere", async () => {
  const code = `import { NDArray } from ${JSON.stringify(modUrl)};
    const made = globalThis.Function;
    let texts = 0;
    globalThis.Function = new Proxy(made, { construct: (F, args) => (texts++, new F(...args)) });
    new NDArray(new Uint8Array(1)).get(0);
    console.log("texts", texts);
    try {
      console.log(new made("return 1")());
    } catch (error) {
      console.log(error.name);
    }`;
  assertMatch((await deno("eval", FORBIDDEN, code)).printed, /^texts 4\nEvalError$/m);
  assertMatch((await deno("eval", code)).printed, /^texts 5\n1$/m);
});
