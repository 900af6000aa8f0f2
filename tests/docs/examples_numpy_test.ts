import { assert, assertEquals, assertLess } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { decode } from "fast-png";
import { thoseThatStay } from "../helpers/helpers.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it lists what the example leaves");

const program = new URL("../../examples/numpy/main.ts", import.meta.url).pathname;

function segments(): string[] {
  return SharedMemoryArray.list().filter(({ prefix }) => prefix === "numpy").map(({ name }) =>
    name
  );
}

function run(args: string[], env: Record<string, string> = {}): Promise<Deno.CommandOutput> {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", program, ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
}

testWith(
  "NumPy",
  "examples/numpy has Python filter the image that Deno shares and shows",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = `${folder}/stripes.png`;
      const { success, stdout, stderr } = await run([file]);
      assertEquals(new TextDecoder().decode(stderr), "");
      assert(success);
      const said = new TextDecoder().decode(stdout);
      const [, spoilt, restored] = /Off by (.+) m before, by (.+) m after/.exec(said)!.map(Number);
      assertLess(restored, spoilt / 10, said);

      const { width, height, channels, data } = decode(await Deno.readFile(file));
      assertEquals([width, height, channels], [2 * 87 * 6, 61 * 6, 1]);
      assert(new Set(data).size > 64, "the picture has many greys");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    assertEquals(await thoseThatStay(segments()), []);
  },
);

Deno.test("examples/numpy says what is missing where there is no NumPy, and leaves nothing", async () => {
  const { code, stderr } = await run(["never-written.png"], { SHM_PYTHON: "/bin/false" });
  assertEquals(code, 1);
  assert(new TextDecoder().decode(stderr).includes("does it have NumPy?"));
  assertEquals(await thoseThatStay(segments()), []);
});
