// The helper of docs/lifetime.md for tests: it fails a test that leaves a segment, and lets others pass.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { testWith } from "../helpers/test_with.ts";

const root = new URL("../../", import.meta.url);

/** Runs `deno test` on the page's example, with one line replaced. */
async function runExample(line: string, by: string): Promise<{ code: number; printed: string }> {
  const page = await Deno.readTextFile(new URL("docs/lifetime.md", root));
  const [, code] = page.match(/^```ts\n(.*?leavingNothing.*?)^```$/ms)!;
  assert(code.includes(line));
  const folder = await Deno.makeTempDir();
  try {
    const imports = { "@shm/array": new URL("mod.ts", root).href };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    await Deno.writeTextFile(`${folder}/mean_test.ts`, code.replace(line, by));
    const { code: exit, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--allow-ffi", "--no-check", "mean_test.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    return {
      code: exit,
      printed: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

testWith("Linux", "docs/lifetime.md: a test that leaves nothing passes", async () => {
  const { code, printed } = await runExample("sma.unlink();", "sma.unlink();");
  assertEquals(code, 0, printed);
});

testWith(
  "Linux",
  "docs/lifetime.md: a test that leaves a segment fails, says which, and it is gone",
  async () => {
    const left = await runExample("sma.unlink();", "");
    assertEquals(left.code, 1);
    assertMatch(left.printed, /segments are left: \d+-mean-\S+/);
    const [, leftName] = left.printed.match(/segments are left: (\S+)/)!;
    assertEquals(SharedMemoryArray.list().filter((each) => each.name === leftName), []);
  },
);
