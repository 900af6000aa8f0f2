// What `shm ls` shows.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type SegmentInfo, SharedMemory, SharedMemoryArray } from "@shm/array";
import { find, leftover, withPrefix } from "../../helpers/leftovers.ts";
import { command, shell } from "../../helpers/shell.ts";
import { everyTestWith } from "../../helpers/test_with.ts";

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
