// examples/notebook/: the cells run in Python, one after the other, beside the program that they look at.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { segmentExists, uniqueName } from "../helpers/helpers.ts";
import { runPython } from "../helpers/python.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it attaches by name alone");

const folder = new URL("../../examples/notebook/", import.meta.url);

interface Cell {
  readonly cell_type: string;
  readonly source: readonly string[];
}

testWith(
  "NumPy",
  "examples/notebook: Python sees what Deno heats, and Deno what Python writes",
  async () => {
    // Another run of the tests may have a plate, too.
    const name = uniqueName();
    const temporary = await Deno.makeTempDir();
    const program = await Deno.readTextFile(new URL("simulate.ts", folder));
    assertEquals(program.split('"plate"').length, 2);
    const root = new URL("../../mod.ts", import.meta.url).href;
    await Deno.writeTextFile(
      `${temporary}/simulate.ts`,
      program.replace('"plate"', JSON.stringify(name)).replace(
        '"@shm/array"',
        JSON.stringify(root),
      ),
    );
    const simulation = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-ffi", "--no-check", `${temporary}/simulate.ts`],
      stdout: "piped",
    }).spawn();
    const output = simulation.stdout.getReader();
    try {
      const { value } = await output.read();
      assertMatch(new TextDecoder().decode(value), /^The plate is called /);
      const { cells } = JSON.parse(await Deno.readTextFile(new URL("look.ipynb", folder)));
      const code = (cells as readonly Cell[]).filter(({ cell_type }) => cell_type === "code")
        .map(({ source }) => source.join(""));
      assert(code.length > 3);
      // A simulation that was stopped for half a second has warmed nothing: it is waited for.
      const pause = "time.sleep(0.5)\n";
      const parts = code.join("\n").split(pause);
      assertEquals(parts.length, 2);
      const { stdout } = await runPython([
        "-c",
        parts.join(`end = time.monotonic() + 60
while plate[10, 13] <= 0.1 and time.monotonic() < end:
    time.sleep(0.01)
`).replace('"plate"', JSON.stringify(name)),
      ]);
      assertMatch(stdout, /^\[.*\] hottest: [\d.]+\na neighbour is warm now: True\n$/);
    } finally {
      simulation.kill("SIGINT");
      await simulation.status;
      await output.cancel();
      await Deno.remove(temporary, { recursive: true });
    }
    assert(!segmentExists(name));
  },
);
