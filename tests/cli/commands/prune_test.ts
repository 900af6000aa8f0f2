// What `shm prune` removes. Every prune() here is bound to a prefix that nothing else uses.

import { assertEquals } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { runChild, segmentExists } from "../../helpers/helpers.ts";
import { leftover, withPrefix } from "../../helpers/leftovers.ts";
import { command, shell } from "../../helpers/shell.ts";
import { inTerminal } from "../../helpers/terminal.ts";
import { everyTestWith, inNamespaces, testWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command lists segments");

Deno.test("prune tells with --dry-run, and removes without", async () => {
  await withPrefix(async (prefix) => {
    const names = [leftover(prefix), leftover(prefix)].sort();
    const young = shell("prune", "--prefix", prefix);
    assertEquals(young, { code: 0, out: [], err: ["Kept: 2 younger than 1h"] });
    const dry = shell("prune", "--older-than=0", `--prefix=${prefix}`, "--dry-run");
    assertEquals(dry, { code: 0, out: names.map((name) => `would remove ${name}`), err: [] });
    assertEquals(names.filter(segmentExists), names);
    const { code, out } = await command([
      "prune",
      "--older-than",
      "0s",
      "--prefix",
      prefix,
      "--json",
    ]);
    assertEquals([code, JSON.parse(out)], [0, names]);
    assertEquals(names.filter(segmentExists), []);
  });
});

Deno.test("prune says what it keeps of a prefix, and why", async () => {
  await withPrefix((prefix) => {
    assertEquals(shell("prune", "--prefix", prefix), {
      code: 0,
      out: [],
      err: ["There is nothing to remove."],
    });
    const names = [leftover(prefix), leftover(prefix)].sort();
    using used = new SharedMemoryArray(4, "int8", SharedMemoryArray.buildSmaName(prefix));
    used.create();
    const expected = { code: 0, out: [], err: ["Kept: 2 younger than 90m; 1 that processes map"] };
    assertEquals(shell("prune", "--prefix", prefix, "--older-than", "1.5h"), expected);
    const removed = shell("prune", "--prefix", prefix, "--older-than", "0");
    assertEquals(removed, {
      code: 0,
      out: names,
      err: ["Kept: 1 that processes map"],
    });
    // JSON is for programs: nothing else is said.
    assertEquals(shell("prune", "--prefix", prefix, "--json"), { code: 0, out: ["[]"], err: [] });
  });
});

testWith(
  "namespaces",
  "prune says how many have names of their own, which it keeps",
  async () => {
    const { stdout, stderr } = await runChild(
      `
    import { run } from ${JSON.stringify(new URL("../../../src/cli/mod.ts", import.meta.url))};
    for (const name of ["mine", "yours"]) SharedMemory.create(name, 4096).close();
    SharedMemory.create(SharedMemoryArray.buildSmaName(), 4096).close();
    run(["prune"]);
    run(["prune", "--older-than", "0", "--dry-run"], () => {});
    run(["prune", "--older-than", "0"], () => {});
    run(["rm", "mine", "yours"], () => {});
    run(["prune"]);
    `,
      { before: inNamespaces("--mount", "mount -t tmpfs none /dev/shm") },
    );
    const own = "2 with names of their own, which prune never removes, and rm does";
    assertEquals([stdout, stderr.trimEnd().split("\n")], ["", [
      `Kept: 1 younger than 1h; ${own}`,
      `Kept: ${own}`,
      `Kept: ${own}`,
      "There is nothing to remove.",
    ]]);
  },
);

Deno.test("prune reads durations in every unit", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const now = Date.now;
    const units: [string, number][] = [
      ["90000", 90_000],
      ["500ms", 500],
      ["90s", 90_000],
      ["10m", 600_000],
      ["2h", 7_200_000],
      ["1d", 86_400_000],
      ["1.5d", 129_600_000],
    ];
    try {
      for (const [text, milliseconds] of units) {
        const args = ["prune", "--prefix", prefix, "--dry-run", "--older-than", text];
        Date.now = () => now() + milliseconds - 10_000;
        if (milliseconds > 10_000) assertEquals(shell(...args).out, [], text);
        Date.now = () => now() + milliseconds + 10_000;
        assertEquals(shell(...args).out, [`would remove ${name}`], text);
      }
    } finally {
      Date.now = now;
    }
  });
});

testWith(
  "NumPy",
  "prune prints the same in a terminal as in a pipe, and never cuts a name",
  async () => {
    await withPrefix(async (prefix) => {
      const name = leftover(`${prefix}-${"long".repeat(20)}`);
      const args = ["prune", "--prefix", `${prefix}-${"long".repeat(20)}`, "--older-than", "0"];
      try {
        const dry = await inTerminal([...args, "--dry-run"]);
        assertEquals([dry.code, dry.raw], [0, `would remove ${name}\n`]);
        assertEquals(await command([...args, "--dry-run"]), { code: 0, out: dry.raw, err: "" });
        const removed = await inTerminal(args);
        assertEquals([removed.code, removed.raw], [0, `${name}\n`]);
        const nothing = await inTerminal(args);
        assertEquals([nothing.code, nothing.raw], [0, "There is nothing to remove.\n"]);
      } finally {
        SharedMemoryArray.clearBuffers([name]);
      }
    });
  },
);
