// The tables by which elements are found: right, shared, bounded, and made late where they are long. And the
// methods that use them: renewed where a call went wrong, and not too often.

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { NDArray } from "../../mod.ts";
import { AXIS0, AXIS1 } from "../../src/ndarray/access_parts.ts";
import {
  isLongAxis,
  longTableOf,
  NO_TABLE,
  tableFacts,
  tableOf,
} from "../../src/ndarray/axis_tables.ts";

// deno-lint-ignore no-explicit-any -- the keys are symbols that the types of views do not have
type Loose = any;

Deno.test("tableOf() gives i * stride for each index, whatever was asked before", () => {
  for (const stride of [1, 0, -3, 512]) {
    for (const length of [5, 0, 1, 17, 4, 300, 5]) {
      assertEquals([...tableOf(length, stride)], Array.from({ length }, (_, i) => i * stride + 0));
    }
  }
});

Deno.test("axes of the same stride share one table, and views of the same axes have the same", () => {
  const long = tableOf(1000, 7);
  const short = tableOf(900, 7);
  assertStrictEquals(long.buffer, short.buffer);
  assertStrictEquals(tableOf(1000, 7), long);
  const view = new NDArray(new Uint8Array(60), { shape: [6, 10] }) as Loose;
  const [one, other] = [view.slice("0:3", "2:4"), view.slice("3:6", "5:7")];
  assertStrictEquals(one[AXIS0], other[AXIS0]);
  assertStrictEquals(one[AXIS1], other[AXIS1]);
});

Deno.test("a table takes 4 bytes for each index, and what is kept of all is bounded", () => {
  const before = tableFacts().integers;
  const length = 5000;
  tableOf(length, 123_456);
  assert(tableFacts().integers - before <= length);
  for (let stride = 1; stride < 400; stride++) tableOf(65_536, -stride);
  assert(tableFacts().integers <= 2 ** 20 + 65_536, `${tableFacts().integers} integers`);
  for (let length = 0; length < 10_000; length++) tableOf(length, 9);
  assert(tableFacts().tables <= 4097, `${tableFacts().tables} tables`);
});

Deno.test("long axes have no table until an element is asked for, and share it", () => {
  assert(isLongAxis(65_537) && !isLongAxis(65_536));
  assertStrictEquals(tableOf(65_537, 3), NO_TABLE);
  const data = new Float64Array(70_000 * 4);
  const [a, b] = [0, 1].map(() => new NDArray(data, { shape: [70_000, 4] }) as Loose);
  assertEquals([a[AXIS0].length, a[AXIS1].length], [0, 4]);
  a.set(69_999, 3, 5);
  assertEquals([b.get(69_999, 3), b.get(-1, -1)], [5, 5]);
  assertEquals(a[AXIS0].length, 70_000);
  assertStrictEquals(a[AXIS0], b[AXIS0]);
  assertStrictEquals(longTableOf(70_000, 4), a[AXIS0]);
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("methods are renewed after calls that went wrong: 16 times at once, and then once in 100 ms", async () => {
  // A dtype and a number of axes that no other test of this file uses.
  const view = new NDArray(new Int16Array(16), { shape: [2, 2, 2, 2] });
  const methods = (): unknown[] => [view.get, view.set, view.index];
  const areOthers = (before: unknown[]): boolean =>
    methods().every((method, i) => method !== before[i]);
  const wrong = (): void => void assertThrows(() => view.get(0, 0, 0, 2), RangeError);
  const first = methods();
  view.get(1, 1, 1, 1);
  assertEquals(methods(), first, "a right call renews nothing");
  wrong();
  assert(areOthers(first));
  const copies = new Set<unknown>();
  const start = performance.now();
  for (let i = 0; i < 200; i++) {
    wrong();
    copies.add(view.get);
  }
  const pauses = Math.ceil((performance.now() - start) / 100);
  assert(copies.size >= 15 && copies.size <= 17 + pauses, `${copies.size} copies`);
  const last = methods();
  await pause(110);
  wrong();
  assert(areOthers(last));
  // Those that somebody kept still serve, and check.
  const [get] = first as [typeof view.get];
  view.set(1, 0, 1, 0, 7);
  assertEquals(get.call(view, 1, 0, 1, 0), 7);
  assertThrows(
    () => (get as Loose).call(view, 1, 0, 1),
    RangeError,
    "3 indices for an array of 4 axes",
  );
});

Deno.test("many negative indices renew the methods into some that serve them", () => {
  const view = new NDArray(Int16Array.from({ length: 27 }, (_, i) => i), { shape: [3, 3, 3] });
  // Only those methods look for negative indices.
  const looks = (): boolean => String(view.get).includes("< 0");
  for (let i = 0; i < 40; i++) assertEquals(view.get(i % 3, -1, 1), 9 * (i % 3) + 7);
  assert(!looks(), "a few are served by the general method");
  for (let i = 0; i < 300; i++) assertEquals(view.get(i % 3, -1, -2), 9 * (i % 3) + 7);
  assert(looks(), "many are served by the tables");
  for (let i = 0; i < 200; i++) {
    assertEquals(view.get(i % 3, -1, -2), 9 * (i % 3) + 7);
    view.set(-1, -1, -1, i);
    assertEquals([view.get(2, 2, 2), view.index(2, -1, 2)], [i, 26]);
  }
  for (const wrong of [-4, 3, 0.5, -0.5, -0.9999999999999999, NaN]) {
    assertThrows(() => view.get(0, wrong, 0), RangeError);
    assertThrows(() => view.set(wrong, 0, 0, 1), RangeError);
  }
  assertThrows(() => view.get("0" as never, 0, 0), TypeError);
  assertThrows(() => view.get(0n as never, 0, 0), TypeError, "must be an integer, not a bigint");
});
