import {
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { buildName, checkName, prefixOf } from "../../src/segment/name.ts";
import { errorOf } from "../helpers/helpers.ts";

const parts = {
  counter: 7,
  prefix: "tile",
  date: new Date(2024, 0, 2, 3, 4, 5),
  uuid: "0123abcd-4567-489a-bcde-f0123456789a",
};
const bytes = (name: string): number => new TextEncoder().encode(name).length;

Deno.test("buildName() is GRIDR's form where it fits", () => {
  const full = "7-tile-202401-0203-0405-0123abcd-4567-489a-bcde-f0123456789a";
  assertEquals(buildName(parts, 255), full);
  assertEquals(buildName(parts, bytes(full)), full);
  assertEquals(buildName({ ...parts, prefix: "" }, 255), full.replace("tile", ""));
  assertEquals(
    buildName({ ...parts, date: new Date(2024, 11, 31, 23, 59, 59) }, 255).slice(0, 23),
    "7-tile-202412-3123-5959",
  );
});

Deno.test("buildName() is shorter where the platform's limit is", () => {
  assertEquals(buildName(parts, 30), "7-tile-0123abcd4567489abcdef01");
  for (const limit of [30, 55]) {
    for (const prefix of ["", "a", "é", "0123456789"]) {
      const name = buildName({ ...parts, prefix }, limit);
      assertLessOrEqual(bytes(name), limit);
      assertMatch(name, new RegExp(`^7-${prefix}-[\\da-f]{16,32}$`));
      checkName(name, limit);
      const other = buildName({
        ...parts,
        prefix,
        uuid: parts.uuid.replace("0123abcd", "ffffffff"),
      }, limit);
      assertNotEquals(name, other);
    }
  }
  // 30 bytes are enough for 11 bytes of prefix, and for 14 with counter and hyphens.
  assertEquals(buildName({ ...parts, prefix: "x".repeat(11) }, 30).length, 30);
});

Deno.test("buildName() refuses a prefix that leaves too few bytes, or is not legal", () => {
  const long = assertThrows(() => buildName({ ...parts, prefix: "x".repeat(12) }, 30), RangeError);
  assertEquals(
    long.message,
    'Cannot build a name: the prefix "xxxxxxxxxxxx" leaves 15 of 30 bytes, and 16 are needed to ' +
      "make the name unique",
  );
  assertThrows(() => buildName({ ...parts, prefix: "é".repeat(6) }, 30), RangeError, "leaves 15");
  assertThrows(() => buildName({ ...parts, counter: 10, prefix: "x".repeat(11) }, 30), RangeError);
  assertThrows(() => buildName({ ...parts, prefix: "x".repeat(300) }, 255), RangeError, "leaves 0");
  for (const limit of [30, 255]) {
    assertThrows(
      () => buildName({ ...parts, prefix: "a/b" }, limit),
      RangeError,
      'Cannot use the prefix "a/b": it holds a "/"',
    );
    assertThrows(() => buildName({ ...parts, prefix: "\0" }, limit), RangeError, "NUL");
    assertThrows(() => buildName({ ...parts, prefix: "\ud800" }, limit), RangeError, "surrogate");
  }
  const untyped = { ...parts, prefix: 5 as unknown as string };
  assertThrows(() => buildName(untyped, 30), TypeError, "it must be a string, not a number");
});

Deno.test("prefixOf() tells the prefix that buildName() was given, whatever it is", () => {
  const prefixes = [
    "",
    "a",
    "a-b",
    "-",
    "--",
    "1-2",
    "é🏔",
    "x\ny",
    "202401-0203-0405",
    "abcdef0123456789",
    "x".repeat(180),
    "x".repeat(199),
    "x".repeat(236),
  ];
  for (const limit of [30, 255]) {
    for (const prefix of prefixes) {
      for (const counter of [1, 12345]) {
        let name: string;
        try {
          name = buildName({ ...parts, counter, prefix }, limit);
        } catch (error) {
          assertInstanceOf(error, RangeError);
          continue;
        }
        assertEquals(prefixOf(name, limit), prefix, name);
      }
    }
  }
});

Deno.test("prefixOf() of a name that buildName() has not made is null", () => {
  const full = buildName(parts, 255);
  const foreign = [
    "",
    "x",
    "psm_1234abcd",
    "sem.mine",
    "1-2",
    "1-tile",
    "1-tile-abc",
    full.slice(1),
    full.slice(0, -1),
    full + "0",
    full.replace("-489a", "-589a"),
    full.toUpperCase(),
    // A short name is made only where a full one would not fit.
    buildName(parts, 30),
  ];
  for (const name of foreign) assertEquals(prefixOf(name, 255), null, name);
  for (const name of ["x", "1-x-abc", "7-tile-0123", "7-tile-0123abcd456789abcdef0123"]) {
    assertEquals(prefixOf(name, 30), null, name);
  }
});

Deno.test("checkName() counts UTF-8 bytes against the limit of the platform", () => {
  for (const limit of [30, 255]) {
    checkName("x".repeat(limit), limit);
    assertThrows(() => checkName("x".repeat(limit + 1), limit), RangeError, `allows ${limit}`);
    assertThrows(() => checkName("é".repeat(limit / 2 + 1), limit), RangeError, "bytes in UTF-8");
    assertThrows(() => checkName("🏔".repeat(limit / 2), limit), RangeError, "bytes in UTF-8");
  }
  // The message quotes what cannot be printed, and does not quote a novel.
  const { message } = errorOf(() => checkName("a\0".repeat(1000), 255));
  assertStringIncludes(message, '"a\\u0000a');
  assertLessOrEqual(message.length, 700);
});
