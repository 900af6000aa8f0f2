// Every prune() here is bound to a prefix that nothing else uses.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type SegmentInfo, SharedMemory, SharedMemoryArray } from "@shm/array";
import { run } from "../src/cli/mod.ts";
import { runChild, segmentExists, withNames } from "./helpers/helpers.ts";
import { find, leftover, withPrefix } from "./helpers/leftovers.ts";
import { everyTestWith, inNamespaces, testWith } from "./helpers/test_with.ts";

everyTestWith("Linux", "the commands list segments");

/** Runs a command in this process. */
function shell(...args: string[]): { code: number; out: string[]; err: string[] } {
  const [out, err]: [string[], string[]] = [[], []];
  const code = run(args, (line) => out.push(line), (line) => err.push(line));
  return { code, out, err };
}

const cli = new URL("../src/cli/mod.ts", import.meta.url).pathname;

/** Runs a command in a process of its own. */
async function command(
  args: string[],
  permissions = ["--allow-ffi"],
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...permissions, cli, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

Deno.test("cli: ls shows an aligned table, with --allow-ffi alone", async () => {
  await withPrefix(async (prefix) => {
    using memory = SharedMemory.create(SharedMemoryArray.buildSmaName(prefix), 1_500_000);
    const { code, out, err } = await command(["ls"]);
    assertEquals([code, err], [0, ""]);
    const lines = out.trimEnd().split("\n");
    assertMatch(lines[0], /^ *SIZE +AGE +PREFIX +PIDS +NAME$/);
    const line = lines.find((each) => each.includes(prefix))!;
    assertMatch(line, /^ *1\.4 MiB +\d+s /);
    for (const [header, text] of [["PREFIX", prefix], ["PIDS", Deno.pid], ["NAME", memory.name]]) {
      const at = lines[0].indexOf(String(header));
      assert(line.slice(at).startsWith(String(text)), `${header} of ${line}`);
    }
    memory.unlink();
  });
});

Deno.test("cli: ls --json gives what list() gives", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const { code, out } = shell("ls", "--json");
    assertEquals(code, 0);
    const found = JSON.parse(out.join("\n")).find((each: SegmentInfo) => each.name === name);
    assertEquals(found, JSON.parse(JSON.stringify(find(name))));
  });
});

Deno.test("cli: ls does not let a name move the cursor", () => {
  const name = leftover("\x1b[2Jgone\n");
  try {
    const { out } = shell("ls");
    assertEquals(out.filter((line) => /\p{Cc}/u.test(line)), []);
    assert(out.some((line) => line.includes("\\u{1b}[2Jgone\\u{a}")));
  } finally {
    SharedMemoryArray.clearBuffers([name]);
  }
});

Deno.test("cli: prune tells with --dry-run, and removes without", async () => {
  await withPrefix(async (prefix) => {
    const names = [leftover(prefix), leftover(prefix)].sort();
    const young = shell("prune", "--prefix", prefix);
    assertEquals(young, { code: 0, out: [], err: ["Kept: 2 younger than 1h"] });
    const dry = shell("prune", "--older-than=0", `--prefix=${prefix}`, "--dry-run");
    assertEquals(dry, { code: 0, out: names, err: [] });
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

Deno.test("cli: prune says what it keeps of a prefix, and why", async () => {
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
  "cli: prune says how many have names of their own, which it keeps",
  async () => {
    const { stdout, stderr } = await runChild(
      `
    import { run } from ${JSON.stringify(new URL("../src/cli/mod.ts", import.meta.url))};
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

Deno.test("cli: prune reads durations in every unit", async () => {
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
        assertEquals(shell(...args).out, [name], text);
      }
    } finally {
      Date.now = now;
    }
  });
});

Deno.test("cli: rm removes by name, and fails for one that is missing", async () => {
  await withPrefix(async (prefix) => {
    const [a, b] = [leftover(prefix), leftover(prefix)];
    assertEquals(await command(["rm", a]), { code: 0, out: `${a}\n`, err: "" });
    assert(!segmentExists(a));
    const missing = await command(["rm", a, b]);
    assertEquals(missing, {
      code: 1,
      out: `${b}\n`,
      err: `Cannot remove "${a}": there is no such segment\n`,
    });
    assert(!segmentExists(b));
  });
});

Deno.test("cli: rm goes on after a name that cannot be one", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const { code, out, err } = shell("rm", "a/b", "", name);
    assertEquals([code, out], [1, [name]]);
    assertMatch(err[0], /Cannot use the name "a\/b"/);
    assertMatch(err[1], /Cannot use the name "": it is empty/);
  });
});

Deno.test("cli: rm takes what begins with a dash behind --", () => {
  withNames((name) => {
    const dashed = `--${name}`;
    SharedMemory.create(dashed, 1).close();
    assertEquals(shell("rm", dashed).code, 2);
    assertEquals(shell("rm", "--", dashed), { code: 0, out: [dashed], err: [] });
  });
});

Deno.test("cli: a wrong command line gives 2 and says why", () => {
  const wrong: [string[], RegExp][] = [
    [[], /no command/],
    [["list"], /there is no command "list"/],
    [["toString"], /there is no command "toString"/],
    [["ls", "x"], /nothing to do with "x"/],
    [["ls", "--all"], /there is no option "--all"/],
    [["ls", "--json=1"], /--json takes no value/],
    [["ls", "--dry-run"], /there is no option "--dry-run"/],
    [["prune", "--older-than"], /--older-than wants a value/],
    [["prune", "--older-than", "soon"], /"soon" is no duration/],
    [["prune", "--older-than", "-1"], /"-1" is no duration/],
    [["prune", "--older-than="], /"" is no duration/],
    [["prune", "--older-than=1w"], /"1w" is no duration/],
    [["prune", "tile"], /nothing to do with "tile"/],
    [["prune", "--__proto__"], /there is no option "--__proto__"/],
    [["rm"], /rm wants the names/],
    [["rm", "--force", "a"], /there is no option "--force"/],
  ];
  for (const [args, message] of wrong) {
    const { code, out, err } = shell(...args);
    assertEquals([code, out, err.length], [2, [], 1], args.join(" "));
    assertMatch(err[0], message);
    assertMatch(err[0], /^Cannot run this: .*; --help tells more$/);
  }
});

Deno.test("cli: --help tells all commands and options", async () => {
  for (const args of [["--help"], ["-h"], ["help"], ["rm", "--help"]]) {
    const { code, out } = shell(...args);
    assertEquals(code, 0);
    for (const word of ["ls", "prune", "rm", "--json", "--older-than", "--prefix", "--dry-run"]) {
      assertStringIncludes(out.join("\n"), word);
    }
  }
  assertEquals((await command(["--help"], [])).code, 0);
  assertEquals((await command(["nonsense"], [])).code, 2);
});

Deno.test("cli: without --allow-ffi it fails with 1 and says which permission", async () => {
  const { code, out, err } = await command(["ls"], []);
  assertEquals([code, out], [1, ""]);
  assertMatch(err, /ffi access.*--allow-ffi/);
});

Deno.test("cli: run() writes to the console where nothing else is given", () => {
  const { log } = console;
  const lines: unknown[][] = [];
  console.log = (...line) => void lines.push(line);
  try {
    assertEquals(run(["ls", "--json"]), 0);
  } finally {
    console.log = log;
  }
  assertEquals([lines.length, lines[0].length], [1, 1]);
  assert(Array.isArray(JSON.parse(lines[0][0] as string)));
});
