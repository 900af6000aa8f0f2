// Names that are no UTF-8: any program may make them, and they must not stay out of sight.

import { assert, assertEquals, assertFalse, assertStringIncludes, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { run } from "../../src/cli/mod.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it lists segments");

/** Runs a script of the shell, which gets text with octal numbers of bytes for printf. */
function sh(script: string, ...args: string[]): boolean {
  return new Deno.Command("sh", { args: ["-c", script, "sh", ...args] }).outputSync().success;
}

/** Calls `body` with a file in /dev/shm whose name begins with the bytes ff and 80. */
function withForeign(tail: string, body: (name: string) => void): void {
  const path = `/dev/shm/$(printf "\\377\\200%s" "$1")`;
  assert(sh(`printf abcd > "${path}"`, tail));
  try {
    body(`\udcff\udc80${tail}`);
  } finally {
    sh(`rm -f "${path}"`, tail);
  }
}

Deno.test("list() shows a name that is no UTF-8, and the name leads to the segment", () =>
  withForeign(`-${crypto.randomUUID()}`, (name) => {
    const found = SharedMemoryArray.list().find((segment) => segment.name === name);
    assertEquals(found?.byteLength, 4);
    using memory = SharedMemory.open(name);
    assertEquals([...new Uint8Array(memory.buf!)], [97, 98, 99, 100]);
    using sma = new SharedMemoryArray(4, "uint8", name);
    assertEquals(sma.load().get(3), 100);
    // A description goes through JSON.
    using again = SharedMemoryArray.from(JSON.parse(JSON.stringify(sma)));
    assertEquals(again.load().get(0), 97);
    assertEquals(sma.unlink(), true);
    assertEquals(SharedMemoryArray.list().some((segment) => segment.name === name), false);
  }));

Deno.test("clearBuffers() and registers remove a name that is no UTF-8", () => {
  withForeign(`-${crypto.randomUUID()}`, (name) => {
    assertEquals(SharedMemoryArray.clearBuffers([name]), [name]);
  });
  withForeign(`-${crypto.randomUUID()}`, (name) => {
    const register = new SharedMemoryRegister();
    register.push(name);
    register[Symbol.dispose]();
    assertFalse(SharedMemoryArray.list().some((segment) => segment.name === name));
  });
});

Deno.test("prune() removes leftovers whose prefix is no UTF-8", () => {
  const made = SharedMemoryArray.buildSmaName("PREFIX");
  const [before, after] = made.split("PREFIX");
  const path = `/dev/shm/$(printf "%s\\377\\200%s" "$1" "$2")`;
  assert(sh(`printf abcd > "${path}"`, before, after));
  try {
    const prefix = "\udcff\udc80";
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0, dryRun: true }), [
      `${before}${prefix}${after}`,
    ]);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }).length, 1);
    assertFalse(sh(`test -e "${path}"`, before, after));
  } finally {
    sh(`rm -f "${path}"`, before, after);
  }
});

Deno.test("ls shows a name that is no UTF-8 so that all of it is seen", () =>
  withForeign(`-${crypto.randomUUID()}`, (name) => {
    const lines: string[] = [];
    assertEquals(run(["ls"], (line) => lines.push(line)), 0);
    assertStringIncludes(lines.join("\n"), `\\u{dcff}\\u{dc80}${name.slice(2)}`);
    lines.length = 0;
    run(["ls", "--json"], (line) => lines.push(line));
    assert(JSON.parse(lines.join("\n")).some((segment: { name: string }) => segment.name === name));
  }));

Deno.test("a lone surrogate that stands for no byte is no name", () => {
  for (const name of ["\ud800", "a\udc00b", "\udcff\udfff", "\udc7f", "\udd00"]) {
    assertThrows(() => new SharedMemoryArray(1, "int8", name), RangeError, "lone surrogate");
  }
});

Deno.test("a name that is no UTF-8 may have as many bytes as any other", () => {
  new SharedMemoryArray(1, "int8", "\udcff".repeat(255));
  assertThrows(
    () => new SharedMemoryArray(1, "int8", "\udcff".repeat(256)),
    RangeError,
    "256 bytes",
  );
});
