// Words of a segment: any process may have written them. What cannot be is refused, and the message says what it is.

import { assertEquals, assertThrows } from "@std/assert";
import {
  checkMagic,
  checkWord,
  kindOfSegment,
  magics,
  readWord32,
  readWord64,
  refuseOtherKinds,
  type SegmentKind,
  type Word,
  writeMagic,
} from "../src/words.ts";

const NEWEST: Word = { name: "NEWEST", at: 8, type: "u64" };
const SLOTS: Word = { name: "SLOTS", at: 4, type: "u32" };

Deno.test("readWord64() gives safe integers in the range, and refuses all others", () => {
  const numbers = new BigInt64Array(2);
  for (const right of [0n, 1n, 7n, 2n ** 53n - 1n]) {
    numbers[1] = right;
    assertEquals(readWord64(numbers, NEWEST, "table"), Number(right));
  }
  for (const wrong of [-1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    numbers[1] = wrong;
    assertThrows(
      () => readWord64(numbers, NEWEST, "table"),
      Deno.errors.InvalidData,
      `NEWEST is ${wrong}`,
    );
  }
  numbers[1] = 5n;
  assertEquals(readWord64(numbers, NEWEST, "table", 5, 5), 5);
  for (const [least, most] of [[6, 9], [0, 4]]) {
    assertThrows(() => readWord64(numbers, NEWEST, "table", least, most), Deno.errors.InvalidData);
  }
});

Deno.test("readWord32() gives numbers without a sign in the range, and refuses all others", () => {
  const words = new Int32Array(2);
  words[1] = -1;
  assertEquals(readWord32(words, SLOTS, "ring"), 2 ** 32 - 1);
  const error = assertThrows(
    () => readWord32(words, SLOTS, "ring", 1, 100),
    Deno.errors.InvalidData,
    "its word SLOTS is 4294967295, and should be from 1 to 100",
  );
  assertEquals((error as { code?: string }).code, "ERR_SHM_INVALID");
  words[1] = 0;
  assertThrows(() => readWord32(words, SLOTS, "ring", 1, 100), Deno.errors.InvalidData, "'ring'");
});

Deno.test("checkWord() refuses what is no number in a range", () => {
  assertEquals(checkWord(3, SLOTS, "ring", 3, 3), 3);
  for (const wrong of [NaN, -1, Infinity, 2.5e300]) {
    assertThrows(() => checkWord(wrong, SLOTS, "ring"), Deno.errors.InvalidData);
  }
});

Deno.test("magics tell the kinds of segments from each other and from arrays", () => {
  const kinds = Object.keys(magics) as SegmentKind[];
  const sizes: { [kind: string]: number } = { lock: 16 };
  for (const kind of kinds) {
    const buffer = new ArrayBuffer(sizes[kind] ?? 128);
    assertEquals(kindOfSegment(buffer), null, "an array of zeros");
    assertEquals(checkMagic(buffer, kind, "x", false), false, "its creator is not done");
    assertThrows(() => checkMagic(buffer, kind, "x", true), TypeError, magics[kind].what);
    writeMagic(buffer, kind);
    assertEquals(kindOfSegment(buffer), kind);
    assertEquals(checkMagic(buffer, kind, "x", false), true);
    const text = new TextDecoder().decode(
      new Uint8Array(buffer, magics[kind].at, magics[kind].text.length),
    );
    assertEquals(text, magics[kind].text);
    for (const other of kinds.filter((other) => other !== kind)) {
      assertThrows(
        () => refuseOtherKinds(buffer, other, "x"),
        TypeError,
        `as ${magics[other].what}: the segment is that of ${magics[kind].what}`,
      );
    }
    new Uint8Array(buffer, magics[kind].at)[0] ^= 1;
    assertEquals(refuseOtherKinds(buffer, kind, "x"), false);
    assertThrows(
      () => checkMagic(buffer, kind, "x", false),
      TypeError,
      "nothing was written to it",
    );
  }
});

Deno.test("the magic of a lock is looked for in segments of a lock's size only", () => {
  const buffer = new ArrayBuffer(32);
  new Uint8Array(buffer, 12).set(new TextEncoder().encode("LCK1"));
  assertEquals(kindOfSegment(buffer), null);
  assertEquals(kindOfSegment(new ArrayBuffer(0)), null);
  assertEquals(kindOfSegment(new ArrayBuffer(7)), null);
});
