// Leftovers: what list() and prune() of SharedMemoryArray see and remove, and the same from a shell.
// Every prune() here is bound to a prefix that nothing else uses: other tests, and other programs on
// this machine, have segments of their own.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type SegmentInfo, SharedMemory, SharedMemoryArray } from "@shm/array";
import { run } from "../src/cli.ts";
import { runChild, segmentExists, segmentPath, startChild, withNames } from "./helpers.ts";
import { namespaceTest } from "./scale.ts";

/** Creates a segment that nobody maps, under a name of our own naming. */
function leftover(prefix: string, byteLength = 8): string {
  const name = SharedMemoryArray.buildSmaName(prefix);
  using memory = SharedMemory.create(name, byteLength);
  return memory.name;
}

/** Calls `body` with a prefix of its own; what has it afterwards is removed. */
async function withPrefix(body: (prefix: string) => void | Promise<void>): Promise<void> {
  const prefix = `t${crypto.randomUUID().slice(0, 8)}`;
  try {
    await body(prefix);
  } finally {
    for (const { name } of Deno.readDirSync("/dev/shm")) {
      if (name.includes(`-${prefix}-`)) Deno.removeSync(segmentPath(name));
    }
  }
}

function find(name: string): SegmentInfo | undefined {
  return SharedMemoryArray.list().find((segment) => segment.name === name);
}

/** Runs a command in this process. */
function shell(...args: string[]): { code: number; out: string[]; err: string[] } {
  const [out, err]: [string[], string[]] = [[], []];
  const code = run(args, (line) => out.push(line), (line) => err.push(line));
  return { code, out, err };
}

const cli = new URL("../src/cli.ts", import.meta.url).pathname;

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

// --- list() ----------------------------------------------------------------------------------

Deno.test("list() tells size, time, prefix and processes of a segment", async () => {
  await withPrefix(async (prefix) => {
    const before = Date.now();
    using sma = new SharedMemoryArray([3, 5], "float64", SharedMemoryArray.buildSmaName(prefix));
    sma.create();
    const after = Date.now();
    const mine = find(sma.name)!;
    assertEquals(Object.keys(mine).sort(), ["byteLength", "createdAt", "name", "pids", "prefix"]);
    assertEquals([mine.byteLength, mine.prefix, mine.pids], [120, prefix, [Deno.pid]]);
    // The clock of the file system ticks in steps of a few milliseconds.
    const createdAt = mine.createdAt.getTime();
    assert(createdAt >= before - 20 && createdAt <= after + 20, `${createdAt - before} ms off`);

    const reader = await startChild(
      `
      const sma = new SharedMemoryArray([3, 5], "float64", Deno.args[0]);
      sma.load();
      console.log("ready");
      await Deno.stdin.read(new Uint8Array(1));
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      `,
      { args: [sma.name] },
    );
    const output = reader.stdout.getReader();
    await output.read();
    assertEquals(find(sma.name)!.pids, [Deno.pid, reader.pid].sort((a, b) => a - b));
    sma.close();
    assertEquals(find(sma.name)!.pids, [reader.pid]);
    reader.kill("SIGKILL");
    await reader.status;
    await Promise.all([output.cancel(), reader.stderr.cancel()]);
    assertEquals(find(sma.name)!.pids, []);
    sma.unlink();
    assertEquals(find(sma.name), undefined);
  });
});

Deno.test("list() gives prefix null to a name that buildSmaName did not make", () => {
  withNames((name) => {
    using _memory = SharedMemory.create(name, 1);
    assertEquals(find(name)!.prefix, null);
  });
});

Deno.test("list() gives empty and odd prefixes back as they were", () => {
  for (const prefix of ["", "a-b", "1-2-3", "ä ö", "🙂", "line\nfeed", "x".repeat(150)]) {
    const name = leftover(prefix);
    try {
      assertEquals(find(name)!.prefix, prefix);
    } finally {
      SharedMemoryArray.clearBuffers([name]);
    }
  }
});

Deno.test("list() gives one entry for every segment, sorted by name", () => {
  withNames((a, b, c) => {
    const names = [a, b, c].sort();
    const memories = names.toReversed().map((name) => SharedMemory.create(name, 1));
    const listed = SharedMemoryArray.list().map(({ name }) => name);
    assertEquals(listed.filter((name) => names.includes(name)), names);
    assertEquals(listed, listed.toSorted((x, y) => x < y ? -1 : 1));
    memories.forEach((memory) => memory.close());
  });
});

Deno.test("list() passes over what is no segment", () => {
  withNames((directory, link) => {
    Deno.mkdirSync(segmentPath(directory));
    Deno.symlinkSync("/etc/hostname", segmentPath(link));
    const listed = SharedMemoryArray.list().map(({ name }) => name);
    assertEquals(listed.filter((name) => [directory, link].includes(name)), []);
  });
});

Deno.test("list() is not stopped by a foreign name that is no UTF-8", async () => {
  // Every user may put such a file there. Its name cannot be a string, so it can be left out of the
  // list, but the others must be in it.
  const tail = crypto.randomUUID();
  const printf = async (command: string): Promise<void> => {
    const { success } = await new Deno.Command("sh", {
      args: ["-c", `${command} "/dev/shm/$(printf '\\377%.0s' $(seq 200))-${tail}"`],
    }).output();
    assert(success);
  };
  await printf("touch");
  try {
    withNames((name) => {
      using _memory = SharedMemory.create(name, 1);
      assertEquals(find(name)?.byteLength, 1);
    });
  } finally {
    await printf("rm -f");
  }
});

Deno.test("list() wants --allow-ffi only, and says so", async () => {
  const code = `console.log(JSON.stringify(SharedMemoryArray.list()), SharedMemoryArray.prune({
    prefix: "nobody-has-this", dryRun: true }))`;
  const allowed = await runChild(code, { permissions: ["--allow-ffi"] });
  assertEquals([allowed.code, allowed.stderr], [0, ""]);
  const refused = await runChild(code, {
    permissions: ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-run"],
  });
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /NotCapable: Requires ffi access.*--allow-ffi/);
});

Deno.test("list() and prune() say that macOS cannot list", async () => {
  // Not on such a machine, but with its name: the answer comes before the library is opened.
  const { stdout } = await runChild(
    `
    Object.defineProperty(Deno, "build", { value: { ...Deno.build, os: "darwin" } });
    for (const call of [() => SharedMemoryArray.list(), () => SharedMemoryArray.prune()]) {
      try {
        call();
      } catch (error) {
        console.log(error.constructor.name, error.message);
      }
    }
    `,
    { permissions: [] },
  );
  const expected =
    "NotSupported Cannot list segments: darwin has no way to; keep names in a SharedMemoryRegister\n";
  assertEquals(stdout, expected.repeat(2));
});

namespaceTest("list() and prune() leave out segments of other users", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    Deno.chownSync(segmentPath(name), 65534, 65534);
    assertEquals(find(name), undefined);
    assertEquals(SharedMemoryArray.prune({ olderThan: 0, prefix }), []);
    assert(segmentExists(name));
  });
});

// --- prune() ---------------------------------------------------------------------------------

Deno.test("prune() removes what nobody maps and is old enough, and returns the names", async () => {
  await withPrefix((prefix) => {
    const names = [leftover(prefix), leftover(prefix)].sort();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 60_000 }), []);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), names);
    assertEquals(names.filter(segmentExists), []);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
  });
});

Deno.test("prune() takes one hour where no age is given", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const now = Date.now;
    const minute = 60_000;
    try {
      Date.now = () => now() + 59 * minute;
      assertEquals(SharedMemoryArray.prune({ prefix }), []);
      Date.now = () => now() + 61 * minute;
      assertEquals(SharedMemoryArray.prune({ prefix }), [name]);
    } finally {
      Date.now = now;
    }
  });
});

Deno.test("prune() keeps what this process or another one maps", async () => {
  // Taken out (the test of pids): both are removed, and whoever loads next finds nothing.
  await withPrefix(async (prefix) => {
    const mine = new SharedMemoryArray(8, "uint8", SharedMemoryArray.buildSmaName(prefix));
    mine.create();
    const theirs = leftover(prefix);
    const reader = await startChild(
      `globalThis.held = SharedMemory.open(Deno.args[0]); console.log("ready");
       await new Promise((resolve) => setTimeout(resolve, 60_000));`,
      { args: [theirs] },
    );
    const output = reader.stdout.getReader();
    await output.read();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
    reader.kill("SIGKILL");
    await reader.status;
    await Promise.all([output.cancel(), reader.stderr.cancel()]);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [theirs]);
    mine.close();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [mine.name]);
  });
});

Deno.test("prune() keeps other prefixes and foreign names", async () => {
  await withPrefix((prefix) => {
    const other = leftover(`${prefix}-x`);
    const foreign = `${prefix}-1-foreign-${prefix}-`;
    SharedMemory.create(foreign, 1).close();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
    assert(segmentExists(other) && segmentExists(foreign));
    assertEquals(SharedMemoryArray.prune({ prefix: `${prefix}-x`, olderThan: 0 }), [other]);
  });
});

Deno.test("prune() with dryRun tells and removes nothing", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0, dryRun: true }), [name]);
    assert(segmentExists(name));
  });
});

namespaceTest("prune() removes nothing where it cannot see who maps what", async () => {
  // Without /proc (a chroot, a bare container) every segment looks as if nobody mapped it: removing
  // them would take the arrays of running programs.
  await withPrefix(async (prefix) => {
    const { stdout } = await runChild(
      `
      const sma = new SharedMemoryArray(4, "int8", SharedMemoryArray.buildSmaName("${prefix}"));
      sma.create();
      try {
        console.log(SharedMemoryArray.prune({ prefix: "${prefix}", olderThan: 0 }).length);
      } catch (error) {
        console.log(error.message);
      }
      console.log(sma.unlink());
      `,
      { before: `exec unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$@"` },
    );
    const [pruned, unlinked] = stdout.trim().split("\n");
    assertEquals(unlinked, "true", `prune() removed a mapped segment, and gave ${pruned}`);
  });
});

namespaceTest(
  "prune() without options cleans a whole /dev/shm, and only of our leftovers",
  async () => {
    const { stdout, stderr } = await runChild(
      `
    const now = Date.now;
    const names = ["a", "b", ""].map((prefix) => SharedMemoryArray.buildSmaName(prefix));
    for (const name of [...names, "foreign"]) SharedMemory.create(name, 4096).close();
    using kept = new SharedMemoryArray(4, "int8", SharedMemoryArray.buildSmaName("kept"));
    kept.create();
    console.log(SharedMemoryArray.prune().length);
    Date.now = () => now() + 3_600_000;
    console.log(String(SharedMemoryArray.prune()) === String(names.sort()));
    console.log(SharedMemoryArray.list().map(({ name }) => name === kept.name || name).sort());
    `,
      { before: `exec unshare -m sh -c 'mount -t tmpfs none /dev/shm && exec "$@"' sh "$@"` },
    );
    assertEquals([stdout, stderr], ['0\ntrue\n[ "foreign", true ]\n', ""]);
  },
);

// --- The shell's face ------------------------------------------------------------------------

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
    assertEquals(young, { code: 0, out: [], err: [] });
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
