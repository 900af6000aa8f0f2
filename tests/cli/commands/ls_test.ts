// What `shm ls` shows.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type SegmentInfo, SharedMemory, SharedMemoryArray } from "@shm/array";
import { find, leftover, withPrefix } from "../../helpers/leftovers.ts";
import { command, shell } from "../../helpers/shell.ts";
import { everyTestWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command lists segments");

Deno.test("ls shows an aligned table, with --allow-ffi alone", async () => {
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

Deno.test("ls --json gives what list() gives", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const { code, out } = shell("ls", "--json");
    assertEquals(code, 0);
    const found = JSON.parse(out.join("\n")).find((each: SegmentInfo) => each.name === name);
    assertEquals(found, JSON.parse(JSON.stringify(find(name))));
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
