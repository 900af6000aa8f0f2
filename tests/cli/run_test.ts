// How commands are found, explained and refused.

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { commands } from "../../src/cli/commands.ts";
import { run } from "../../src/cli/mod.ts";
import { evalChild } from "../helpers/helpers.ts";
import { command, shell } from "../helpers/shell.ts";
import { inTerminal } from "../helpers/terminal.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "commands list segments");

Deno.test("a wrong command line gives 2, says why, what may be meant, and what tells more", () => {
  const wrong: [args: string[], message: RegExp, help: string][] = [
    [["list"], /there is no command "list" \(did you mean ls\?\);/, "shm help"],
    [["lsit"], /there is no command "lsit" \(did you mean ls\?\);/, "shm help"],
    [["prnue", "--json"], /there is no command "prnue" \(did you mean prune\?\);/, "shm help"],
    [["hlep"], /there is no command "hlep" \(did you mean help\?\);/, "shm help"],
    [["toString"], /there is no command "toString";/, "shm help"],
    [["x".repeat(10_000)], /there is no command "x{80}…";/, "shm help"],
    [["--verson"], /there is no option "--verson" \(did you mean --version\?\);/, "shm help"],
    [["--version", "x"], /nothing to do with "x"/, "shm help"],
    [["help", "lss"], /there is no command "lss" \(did you mean ls\?\);/, "shm help"],
    [["help", "ls", "x"], /nothing to do with "x"/, "shm help"],
    [["ls", "--all"], /there is no option "--all";/, "shm help ls"],
    [["ls", "--jsno"], /there is no option "--jsno" \(did you mean --json\?\);/, "shm help ls"],
    [["ls", "--json=1"], /--json takes no value/, "shm help ls"],
    [["ls", "--dry-run"], /there is no option "--dry-run";/, "shm help ls"],
    [
      ["prune", "--older"],
      /no option "--older" \(did you mean --older-than\?\);/,
      "shm help prune",
    ],
    [["prune", "--older-than"], /--older-than wants a value/, "shm help prune"],
    [["prune", "--older-than", "soon"], /"soon" is no duration/, "shm help prune"],
    [["prune", "--older-than", "-1"], /"-1" is no duration/, "shm help prune"],
    [["prune", "--older-than="], /"" is no duration/, "shm help prune"],
    [["prune", "--older-than=1w"], /"1w" is no duration/, "shm help prune"],
    [["prune", "tile"], /nothing to do with "tile"/, "shm help prune"],
    [["prune", "--__proto__"], /there is no option "--__proto__";/, "shm help prune"],
    [["rm"], /rm wants the names/, "shm help rm"],
    [["rm", "-x", "a"], /there is no option "-x";/, "shm help rm"],
  ];
  for (const [args, message, help] of wrong) {
    const { code, out, err } = shell(...args);
    assertEquals([code, out, err.length], [2, [], 1], args.join(" "));
    assertMatch(err[0], message);
    assertMatch(err[0], /^Cannot run this: /);
    assert(err[0].endsWith(`; ${help} tells more`), err[0]);
  }
});

Deno.test("run() refuses what is no list of strings, and what takes no lines, by a TypeError", () => {
  const untyped = run as (...args: unknown[]) => unknown;
  for (const args of [undefined, null, "ls", 7, {}, ["ls", 7], [undefined], new Set(["ls"])]) {
    assertThrows(
      () => untyped(args, () => {}),
      TypeError,
      'Cannot run this: the arguments must be a list of strings, as ["ls", "tile"]',
    );
  }
  for (const functions of [[7], [null], [() => {}, "err"]]) {
    assertThrows(
      () => untyped(["ls"], ...functions),
      TypeError,
      "Cannot run this: out and complain must be functions that take a line",
    );
  }
});

Deno.test("shm alone, help and --help list all commands, and need no permission", async () => {
  for (const args of [[], ["--help"], ["-h"], ["help"], ["help", "--help"], ["help", "help"]]) {
    const { code, out, err } = shell(...args);
    assertEquals([code, err], [0, []]);
    for (const { name, summary } of commands) {
      assert(out.some((line) => line.startsWith(`  ${name} `) && line.endsWith(summary)), name);
    }
    assertStringIncludes(out.join("\n"), "Usage: shm COMMAND");
    assertStringIncludes(out.join("\n"), "exit code");
  }
  assertEquals((await command([], [])).code, 0);
  assertEquals((await command(["nonsense"], [])).code, 2);
});

Deno.test("help of a command tells its usage and each of its options, within 80 columns", () => {
  for (const { name, usage, options } of commands) {
    const { code, out } = shell("help", name);
    assertEquals(code, 0);
    assertEquals(shell(name, "--help"), { code: 0, out, err: [] });
    assertEquals(shell(name, "--nonsense", "-h", "x"), { code: 0, out, err: [] });
    assertEquals(out[0], `Usage: shm ${usage[0]}`);
    const text = out.join("\n");
    for (const option of Object.keys(options)) assertStringIncludes(text, `--${option}`);
    for (const line of [...out, ...shell().out]) assert(line.length <= 80, line);
  }
});

Deno.test("--version tells the version of deno.json", () => {
  const { version } = JSON.parse(
    Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  );
  assertEquals(shell("--version"), { code: 0, out: [`shm ${version}`], err: [] });
});

Deno.test("without --allow-ffi it fails with 1 and says which permission", async () => {
  const { code, out, err } = await command(["ls"], []);
  assertEquals([code, out], [1, ""]);
  assertMatch(err, /ffi access.*--allow-ffi/);
});

Deno.test("run() writes to the console where nothing else is given", () => {
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

testWith("NumPy", "the usage is bold in a terminal, and plain with NO_COLOR", async () => {
  const coloured = await inTerminal([]);
  assertEquals(coloured.lines, shell().out);
  assertStringIncludes(coloured.raw, "\x1b[1mUsage:\x1b[22m shm COMMAND");
  const plain = await inTerminal(["help", "rm"], { env: { NO_COLOR: "1" } });
  assertEquals(plain.raw.trimEnd().split("\n"), shell("help", "rm").out);
});

testWith(
  "namespaces",
  "ls and rm of many segments take time in proportion to how many there are",
  async () => {
    const counts = [2_000, 16_000];
    const times = await evalChild(
      `
      import process from "node:process"; // Deno 2.2 has no named export of cpuUsage()
      import { run } from ${JSON.stringify(new URL("../../src/cli/mod.ts", import.meta.url))};
      const timeOf = (...args) => {
        const before = process.cpuUsage();
        const lines = [];
        if (run(args, (line) => lines.push(line)) !== 0) throw new Error(args.join(" "));
        const { user, system } = process.cpuUsage();
        return { time: user - before.user + system - before.system, lines: lines.length };
      };
      const times = [];
      for (const count of ${JSON.stringify(counts)}) {
        for (let i = 0; i < count; i++) new SharedMemoryArray(8, "uint8", "many-" + i).create();
        times.push([timeOf("ls"), timeOf("rm", "-f", "many-*")]);
      }
      console.log(JSON.stringify(times));
      `,
      { before: inNamespaces("--mount", "mount -t tmpfs none /dev/shm") },
    ) as { time: number; lines: number }[][];
    for (const [i, [ls, rm]] of times.entries()) {
      assert(ls.lines >= counts[i] + 2); // anonymous segments of others are listed, too
      assertEquals(rm.lines, counts[i]);
    }
    // Eight times as many take some eight times as long; what looks at all for each would take 64 times as long.
    for (const command of [0, 1]) {
      const [few, many] = times.map((each) => each[command].time);
      assert(many < 30 * few, `${few} and ${many} µs of processor time`);
    }
  },
);
