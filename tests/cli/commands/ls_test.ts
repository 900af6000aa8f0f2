// What `shm ls` shows.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type SegmentInfo, SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";
import { startChild, withOtherUser } from "../../helpers/helpers.ts";
import { find, leftover, withPrefix } from "../../helpers/leftovers.ts";
import { command, shell } from "../../helpers/shell.ts";
import { inTerminal } from "../../helpers/terminal.ts";
import { everyTestWith, testWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command lists segments");

Deno.test("ls shows an aligned table, and the room, with --allow-ffi alone", async () => {
  await withPrefix(async (prefix) => {
    using memory = SharedMemory.create(SharedMemoryArray.buildSmaName(prefix), 1_500_000);
    const { code, out, err } = await command(["ls"]);
    assertEquals([code, err], [0, ""]);
    const lines = out.trimEnd().split("\n");
    assertMatch(lines[0], /^NAME +KIND +SHAPE +DTYPE +SIZE +AGE +OWNER +USED BY$/);
    const line = lines.find((each) => each.includes(prefix))!;
    assertMatch(line, / +1\.4 MiB +\d+s /);
    const owner = (await sh("id -un")) || (await sh("id -u"));
    for (
      const [header, text] of [
        ["NAME", memory.name],
        ["OWNER", `${owner} `],
        ["USED BY", `deno:${Deno.pid}`],
      ]
    ) {
      const at = lines[0].indexOf(String(header));
      assert(line.slice(at).startsWith(String(text)), `${header} of ${line}`);
    }
    assertMatch(
      lines.at(-1)!,
      /^\d+ segments?, [\d.]+ \w+; \/dev\/shm: [\d.]+ \w+ total, [\d.]+ \w+ free$/,
    );
    memory.unlink();
  });
});

/** A segment of another prefix, so that what is looked for is never all there is. */
class Another {
  readonly #name = leftover("another");

  [Symbol.dispose](): void {
    SharedMemoryArray.clearBuffers([this.#name]);
  }
}

/** What a script of the shell prints. */
async function sh(script: string): Promise<string> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script], stderr: "null" })
    .output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("ls --json gives what list() gives, the owner, and the programs", async () => {
  await withPrefix((prefix) => {
    using memory = SharedMemory.create(SharedMemoryArray.buildSmaName(prefix), 8);
    const { code, out } = shell("ls", "--json");
    assertEquals(code, 0);
    type Found = SegmentInfo & { owner: string; usedBy: { pid: number; program: string }[] };
    const { owner, usedBy, ...found } = JSON.parse(out.join("\n"))
      .find((each: SegmentInfo) => each.name === memory.name) as Found;
    assertEquals(found, JSON.parse(JSON.stringify(find(memory.name))));
    assertEquals(usedBy, [{ pid: Deno.pid, program: "deno" }]);
    assert(owner.length > 0);
    memory.unlink();
  });
});

Deno.test("ls takes a prefix of names, one of buildSmaName, a pattern or a path", async () => {
  await withPrefix((prefix) => {
    using _another = new Another();
    const [a, b] = [leftover(prefix), leftover(`${prefix}-more`)];
    const named = (...args: string[]): string[] =>
      JSON.parse(shell("ls", "--json", ...args).out.join("\n"))
        .map(({ name }: SegmentInfo) => name);
    assertEquals(named(prefix).sort(), [a, b].sort());
    assertEquals(named(a.slice(0, -1)), [a]);
    assertEquals(named(`/dev/shm/${b}`), [b]);
    assertEquals(named(`*-${prefix}-more-*`), [b]);
    assertEquals(named(`${prefix}-nothing`), []);
    const { out } = shell("ls", `${prefix}-nothing`);
    assertEquals(out.length, 1);
    assertMatch(out[0], /^0 of \d+ segments; \/dev\/shm: /);
    assertMatch(shell("ls", prefix).out.at(-1)!, /^2 of \d+ segments, 16 B; /);
  });
});

Deno.test("ls --sort sorts by name, size or age", async () => {
  await withPrefix(async (prefix) => {
    const names: string[] = [];
    for (const bytes of [20, 300, 1]) {
      names.push(leftover(prefix, bytes));
      await new Promise((resume) => setTimeout(resume, 20)); // the clock of files ticks every 4 ms
    }
    const [first, second, third] = names;
    const sorted = (...args: string[]): string[] =>
      shell("ls", prefix, ...args).out.slice(1, -1).map((line) => line.split(" ")[0]);
    assertEquals(sorted(), names.toSorted());
    assertEquals(sorted("--sort", "name"), names.toSorted());
    assertEquals(sorted("--sort", "size"), [second, first, third]);
    assertEquals(sorted("--sort=age"), [third, second, first]);
    assertEquals(shell("ls", "--sort", "pid").err, [
      'Cannot run this: --sort takes name, size or age, not "pid"; shm help ls tells more',
    ]);
  });
});

Deno.test("ls does not let a name move the cursor", () => {
  const name = leftover("\x1b[2Jgone\n");
  try {
    const { out } = shell("ls");
    assertEquals(out.filter((line) => /\p{Cc}/u.test(line)), []);
    assert(out.some((line) => line.includes("\\u{1b}[2Jgone\\u{a}")));
  } finally {
    SharedMemoryArray.clearBuffers([name]);
  }
});

/** Calls `body` with a prefix of names under which there is one segment of each kind that the table shows. */
async function withKinds(body: (start: string) => Promise<void>): Promise<void> {
  const start = `t${crypto.randomUUID().slice(0, 5)}-`;
  const frames = new SharedMemoryArray([1024, 768, 3], "uint8", `${start}frames`);
  const camera = new SharedMemoryRing([480, 640], "float32", `${start}camera-of-the-left-side`, 2);
  const lock = new SharedMemoryLock(`${start}lock`);
  const left = new SharedMemoryArray(100, "float64", `${start}left`);
  const raw = `${start}raw`;
  using _another = new Another();
  try {
    for (const each of [frames, camera, lock, left]) each.create();
    left.close();
    SharedMemory.create(raw, 1000).close();
    await body(start);
  } finally {
    for (const each of [frames, camera, lock]) each.close();
    SharedMemoryArray.clearBuffers([frames, camera, lock, left].map(({ name }) => name));
    SharedMemoryArray.clearBuffers([raw]);
  }
}

/** Replaces what differs from machine to machine, and keeps the width. */
function settled(lines: readonly string[], owner: string): string[] {
  return lines.map((line) =>
    line.replaceAll(`deno:${Deno.pid}`, "deno:PID").replace(
      / \d+s /,
      (age) => age.replace(/\d/g, "9"),
    )
      .replace(` ${owner} `, " OWNER ")
      .replace(` ${owner.slice(0, 7)}… `, " OWNER ") // a long name is cut
      .replace(/(\d of )\d+( segments, .*); .*/, "$1N$2; ROOM")
  );
}

testWith(
  "NumPy",
  "ls shows a table of 80 columns in a terminal, with what nobody maps dim",
  () =>
    withKinds(async (start) => {
      const { lines, raw, code } = await inTerminal(["ls", start]);
      assertEquals(code, 0);
      for (const line of lines) assert(line.length <= 80, line);
      const owner = (await sh("id -un")) || (await sh("id -u"));
      // The name of the owner, and the number of the process, are as long as they are.
      const fixed = settled(lines, owner).map((line) => line.replaceAll(/ +/g, " "));
      const camera = lines[1].split(" ")[0];
      assertMatch(camera, new RegExp(`^${start}.*(…|of).*side$`));
      assertEquals(fixed, [
        "NAME KIND SHAPE DTYPE SIZE AGE OWNER USED BY",
        `${camera} ring [480,640] float32 2.3 MiB 9s OWNER deno:PID`,
        `${start}frames array [1024,768,3] uint8 2.3 MiB 9s OWNER deno:PID`,
        `${start}left array [100] float64 800 B 9s OWNER -`,
        `${start}lock lock - - 16 B 9s OWNER deno:PID`,
        `${start}raw - - - 1000 B 9s OWNER -`,
        "5 of N segments, 4.6 MiB; ROOM",
      ]);
      // Everything begins where its title does.
      const at = (title: string): number => lines[0].indexOf(title);
      for (const line of lines.slice(1, -1)) {
        assert(/^(ring|array|lock|-)/.test(line.slice(at("KIND"))), line);
        assert(/^(deno:|-)/.test(line.slice(at("USED BY"))), line);
        assertEquals(line[at("SIZE") + 3], "B", line);
      }
      const [title, ...others] = raw.split("\n");
      assertEquals(title, `\x1b[1m${lines[0]}\x1b[22m`);
      assertEquals(others.filter((line) => line.includes("\x1b")), [
        `\x1b[2m${lines[3]}\x1b[22m`,
        `\x1b[2m${lines[5]}\x1b[22m`,
      ]);
    }),
);

testWith(
  "NumPy",
  "ls writes no colours with NO_COLOR, and cuts nothing in a pipe",
  () =>
    withKinds(async (start) => {
      const { raw } = await inTerminal(["ls", start], { columns: 200, env: { NO_COLOR: "1" } });
      assert(!raw.includes("\x1b"));
      assertStringIncludes(raw, `${start}camera-of-the-left-side  ring  `);
      const narrow = await inTerminal(["ls", start], { columns: 50, env: { NO_COLOR: "1" } });
      for (const line of narrow.lines.slice(0, -1)) assert(line.length <= 50, line);
      assertMatch(narrow.lines[0], /^NAME +KIND.*USED BY$/);
      const { out } = await command(["ls", start]);
      const settle = (text: string) => settled(text.trimEnd().split("\n"), "");
      assertEquals(settle(out), settle(raw));
    }),
);

testWith(
  "another user",
  "ls shows the segments of other users, and who uses them as far as it may",
  () =>
    withOtherUser(async (other) => {
      await withPrefix(async (prefix) => {
        using _another = new Another();
        using mine = new SharedMemoryArray(10, "int16", SharedMemoryArray.buildSmaName(prefix));
        mine.create({ mode: 0o644 });
        const child = await startChild(
          `
        const sma = new SharedMemoryArray(3, "float32", SharedMemoryArray.buildSmaName(${
            JSON.stringify(prefix)
          }));
        sma.create();
        const { run } = await import(${JSON.stringify(`file://${other.folder}/src/cli/mod.ts`)});
        run(["ls", "--json", ${JSON.stringify(prefix)}]);
        run(["ls", ${JSON.stringify(prefix)}]);
        await new Promise((resolve) => setTimeout(resolve, 60_000));
        `,
          { as: other },
        );
        try {
          const foreign = await firstLines(child, "of \\d+ segments");
          const line = foreign.split("\n").find((line) =>
            line.includes(mine.name) && / array /.test(line)
          )!;
          assertMatch(line, / array +\[10\] +int16 +20 B +\d+s +root +\?$/);
          // Root sees the other way round.
          const seen = shell("ls", prefix).out.find((line) => line.includes(`deno:${child.pid}`))!;
          assertMatch(seen, / array +\[3\] +float32 +12 B +\d+s +(nobody|65534) +deno:\d+$/);
          assertEquals(SharedMemoryArray.list().filter((each) => each.prefix === prefix).length, 1);
        } finally {
          child.kill("SIGKILL");
          await child.output();
        }
      });
    }),
);

/** What a process prints up to a line that fits; the process goes on. */
async function firstLines(child: Deno.ChildProcess, last: string): Promise<string> {
  const reader = child.stdout.getReader();
  let text = "";
  while (!new RegExp(last).test(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text;
}

Deno.test("ls shows anonymous segments, and who holds them", () => {
  const anonymous = SharedMemoryArray.createAnonymous([2, 3], "float64");
  try {
    const of = (): string => shell("ls", anonymous.name).out[1];
    const shown = new RegExp(
      `^${anonymous.name} +array +\\[2,3\\] +float64 +48 B .* deno:${Deno.pid}$`,
    );
    assertMatch(of(), shown);
    anonymous.close(); // It stays, by its descriptor.
    assertMatch(of(), shown);
  } finally {
    anonymous.unlink();
  }
  assertEquals(shell("ls", anonymous.name).out.length, 1);
});
