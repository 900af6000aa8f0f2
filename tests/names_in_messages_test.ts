// Names of segments are chosen by whoever makes them: nothing in them may reach a terminal as it is.

import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { systemError } from "../ffi/errors.ts";
import { visible } from "../ffi/runtime/errors.ts";
import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "../mod.ts";
import { quote, quoteName } from "../src/check.ts";
import { run } from "../src/cli/mod.ts";
import { busy, invalidData } from "../src/errors.ts";
import { SharedMemoryRing, SharedMemoryVersions } from "../src/publish/mod.ts";
import { SharedMemoryLock } from "../src/sync/mod.ts";
import { segmentExists, segmentPath } from "./helpers/helpers.ts";
import { everyTestWith } from "./helpers/test_with.ts";

everyTestWith("Linux", "it makes segments of every name, and lists them");

/** An escape sequence, a bell, a line break, DEL, a control of C1, directions, a line separator, a tag. */
const EVIL = "\u001b[2J\u0007\n\u007f\u009b\u202e\u2066\u200f\u2028\ufeff\u00ad\u{e0041}";
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** Asserts that a text can be shown, and shows the right-to-left override as its number. */
function assertVisible(text: string): void {
  assertFalse(UNSEEN.test(text), JSON.stringify(text));
  assertStringIncludes(text.toLowerCase(), "202e");
}

/** Calls `body` with a name that holds what no terminal should get; the segments are removed. */
function withEvilName<R>(body: (name: string) => R): R {
  const name = `evil-${EVIL}-${crypto.randomUUID().slice(0, 8)}`;
  try {
    return body(name);
  } finally {
    for (const { name: found } of Deno.readDirSync("/dev/shm")) {
      if (found.startsWith(name)) Deno.removeSync(segmentPath(found));
    }
  }
}

/** All messages of what a function throws. */
function messagesOf(fn: () => unknown): string[] {
  try {
    fn();
  } catch (error) {
    const { message, errors = [], cause } = error as Error & { errors?: Error[] };
    return [
      message,
      ...errors.map((error) => error.message),
      ...cause instanceof Error ? [cause.message] : [],
    ];
  }
  throw new Error("it did not throw");
}

Deno.test("visible() writes what cannot be seen as its number, and nothing else", () => {
  assertEquals(visible("tile 7 é 日本 🏔 \\ '\""), "tile 7 é 日本 🏔 \\ '\"");
  assertEquals(visible("a\u202eb\u001b\ud800"), "a\\u{202e}b\\u{1b}\\u{d800}");
  assertEquals(visible("\u{e0041}"), "\\u{e0041}");
});

Deno.test("quote() and quoteName() write every name so that all of it is seen", () => {
  for (const text of [quote(EVIL), quoteName(EVIL), visible(EVIL)]) assertVisible(text);
  assertEquals(quoteName("x".repeat(255)), `'${"x".repeat(255)}'`);
});

Deno.test("errors of the system and of this library show all of a name", () => {
  assertVisible(systemError("linux", 2, "shm_open", EVIL).message);
  assertVisible(systemError("linux", 2, "shm_open", "x", () => `see ${EVIL}`).message);
  assertVisible(busy(`Cannot use '${EVIL}': it is busy`).message);
  assertVisible(invalidData(EVIL).message);
});

Deno.test("whatever fails with a segment shows all of its name", () =>
  withEvilName((name) => {
    const failures: [what: string, fn: (name: string) => unknown][] = [
      ["no array", (name) => new SharedMemoryArray(3, "int8", name).load()],
      ["no segment", (name) => SharedMemory.open(name)],
      ["no lock", (name) => new SharedMemoryLock(name).load()],
      ["no ring", (name) => new SharedMemoryRing(3, "int8", name, 2).load()],
      ["no versions", (name) => new SharedMemoryVersions(3, "int8", name).load()],
      ["an unattached lock", (name) => new SharedMemoryLock(name).acquire()],
      ["an unattached ring", (name) => new SharedMemoryRing(3, "int8", name, 2).latest()],
      ["unattached versions", (name) => new SharedMemoryVersions(3, "int8", name).current()],
    ];
    for (const [what, fn] of failures) {
      for (const message of messagesOf(() => fn(name))) {
        if (message.includes("evil")) assertVisible(message);
        assertFalse(UNSEEN.test(message), what);
      }
    }
    using memory = SharedMemory.create(name, 5);
    const attached = new SharedMemoryArray(5, "int8", name);
    using _attached = attached;
    attached.load();
    const more: (() => unknown)[] = [
      () => SharedMemory.create(name, 5),
      () => new SharedMemoryArray(3, "float64", name).load(),
      () => attached.load(),
      () => new SharedMemoryLock(name).create(),
      () => new SharedMemoryLock(name).load(),
      () => new SharedMemoryRing(3, "int8", name, 2).load(),
      () => new SharedMemoryVersions(3, "int8", name).load(),
    ];
    for (const fn of more) for (const message of messagesOf(fn)) assertVisible(message);
    for (const shown of [String(memory), String(attached)]) assertVisible(shown);
  }));

Deno.test("clearBuffers() and registers tell of failures with names that can be seen", () =>
  withEvilName((name) => {
    // A folder cannot be removed as a segment.
    Deno.mkdirSync(segmentPath(name));
    for (const message of messagesOf(() => SharedMemoryArray.clearBuffers([name]))) {
      assertVisible(message);
    }
    const register = new SharedMemoryRegister();
    register.push(name);
    for (const message of messagesOf(() => register[Symbol.dispose]())) assertVisible(message);
    register.length = 0;
  }));

Deno.test("names that are refused are shown, too", () => {
  for (
    const make of [
      () => new SharedMemoryArray(3, "int8", `a/${EVIL}`),
      () => new SharedMemoryArray(3, EVIL as "int8", "x"),
      () => SharedMemory.open(`${EVIL}\0`),
      () => new SharedMemoryArray(3, "int8", "x", [EVIL]),
      () => SharedMemoryArray.from({ shape: [1], dtype: "int8", name: `/${EVIL}` }),
    ]
  ) for (const message of messagesOf(make)) assertVisible(message);
});

/** What a command line writes, on both outputs. */
function linesOf(...args: string[]): { code: number; lines: string[] } {
  const lines: string[] = [];
  const code = run(args, (line) => lines.push(line), (line) => lines.push(line));
  return { code, lines: lines.flatMap((line) => line.split("\n")) };
}

Deno.test("ls, prune and rm of the shell show all of a name", () => {
  const suffix = SharedMemoryArray.buildSmaName(`evil-\u202e\u001b`);
  try {
    SharedMemory.create(suffix, 5).close();
    for (
      const args of [
        ["ls"],
        ["ls", "--json"],
        ["prune", "--prefix", "evil-\u202e\u001b", "--older-than", "0", "--dry-run"],
        ["prune", "--prefix", "evil-\u202e\u001b", "--older-than", "0", "--dry-run", "--json"],
        ["rm", `${suffix}-is-not-there`],
        ["rm", suffix],
        [EVIL],
        ["ls", `--${EVIL}`],
        ["prune", "--older-than", EVIL],
      ]
    ) {
      const { lines } = linesOf(...args);
      for (const line of lines) assertFalse(UNSEEN.test(line), JSON.stringify([args, line]));
      assertMatch(lines.join("\n"), /202e/);
      if (args.includes("--json")) {
        assertStringIncludes(JSON.stringify(JSON.parse(lines.join("\n"))), JSON.stringify(suffix));
      }
    }
    assertFalse(segmentExists(suffix));
  } finally {
    SharedMemoryArray.clearBuffers([suffix]);
  }
});

Deno.test("no message of the sources holds a name that was not quoted by quoteName()", () => {
  const unquoted: string[] = [];
  const look = (folder: URL): void => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      if (isDirectory) look(new URL(`${name}/`, folder));
      else {
        const text = Deno.readTextFileSync(new URL(name, folder));
        for (const [found] of text.matchAll(/'\$\{[^}]*[nN]ame[^}]*\}'/g)) {
          if (!found.includes("visible(")) unquoted.push(`${name}: ${found}`);
        }
      }
    }
  };
  look(new URL("../src/", import.meta.url));
  look(new URL("../ffi/", import.meta.url));
  assertEquals(unquoted, []);
  assert(/'\$\{[^}]*[nN]ame[^}]*\}'/.test("`Cannot load '${this.name}'`"));
});
