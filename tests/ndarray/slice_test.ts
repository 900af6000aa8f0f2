import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  freezeSelection,
  parseItem,
  rangeOf,
  resolveIndex,
  resolveRange,
  type Slice,
  slice,
  type SliceItem,
} from "../../src/ndarray/slice.ts";
import { runChild } from "../helpers/helpers.ts";

type ErrorClass = new (message: string) => Error;

Deno.test("slice() is a plain object with null for what is not given", () => {
  assertEquals(slice(), { start: null, stop: null, step: null });
  assertEquals(slice(5), { start: 5, stop: null, step: null });
  assertEquals(slice(null, 5), { start: null, stop: 5, step: null });
  assertEquals(slice(1, -2, -3), { start: 1, stop: -2, step: -3 });
  assertEquals(slice(undefined, undefined, 2), { start: null, stop: null, step: 2 });
  for (const zero of [slice(-0, -0), ...freezeSelection([slice(-0, -0)]) as Slice[]]) {
    assert(Object.is(zero.start, 0) && Object.is(zero.stop, 0)); // JSON keeps no -0
  }
  assert(Object.is(freezeSelection([-0])[0], 0));
  const given = slice(1, 2);
  assertEquals(Object.getPrototypeOf(given), Object.prototype);
  assertEquals(structuredClone(given), given);
  assertEquals(JSON.parse(JSON.stringify(given)), given);
});

const badParts: [args: unknown[], ErrorClass: ErrorClass, message: string][] = [
  [["1"], TypeError, "start must be an integer, not a string"],
  [[1n], TypeError, "start must be an integer, not a bigint"],
  [[0, true], TypeError, "stop must be an integer, not a boolean"],
  [[0, 1, {}], TypeError, "step must be an integer, not an object"],
  [[1.5], RangeError, "start must be a safe integer, not 1.5"],
  [[NaN], RangeError, "start must be a safe integer, not NaN"],
  [[0, Infinity], RangeError, "null means an open end"],
  [[0, 2 ** 53], RangeError, "stop must be a safe integer"],
  [[0, 1, 0], RangeError, "step must not be 0"],
  [[0, 1, -0], RangeError, "step must not be 0"],
];
for (const [args, Class, message] of badParts) {
  Deno.test(`slice() refuses ${Deno.inspect(args)}`, () => {
    const error = assertThrows(
      () => (slice as (...args: unknown[]) => void)(...args),
      Class,
      message,
    );
    assertMatch(error.message, /^Cannot slice: /);
  });
}

/** The indices that Python's `range(length)[start:stop:step]` has, found by walking. */
function walk({ start, stop, step }: Slice, length: number): number[] {
  const by = step ?? 1;
  const all = Array.from({ length }, (_, i) => i);
  if (by < 0) all.reverse();
  const fromStart = (bound: number | null): number | null =>
    bound !== null && bound < 0 ? bound + length : bound;
  const [first, end] = [fromStart(start), fromStart(stop)];
  return all
    .filter((i) => first === null || (by > 0 ? i >= first : i <= first))
    .filter((i) => end === null || (by > 0 ? i < end : i > end))
    .filter((_, k) => k % Math.abs(by) === 0);
}

Deno.test("resolveRange() clamps as Python's slice.indices() does, for all small cases", () => {
  const bounds = [null, ...Array.from({ length: 17 }, (_, i) => i - 8), -1e9, 1e9];
  const steps = [null, 1, 2, 3, 7, -1, -2, -3, -7, 1e9, -1e9];
  for (let length = 0; length <= 6; length++) {
    for (const start of bounds) {
      for (const stop of bounds) {
        for (const step of steps) {
          const range = resolveRange({ start, stop, step }, length);
          const indices = Array.from(
            { length: range.length },
            (_, k) => range.start + k * range.step,
          );
          const message = `[${start}:${stop}:${step}] of ${length}`;
          assertEquals(indices.join(), walk({ start, stop, step }, length).join(), message);
          if (!Object.is(range.length, range.length + 0)) throw new Error(`${message} gives -0`);
        }
      }
    }
  }
});

Deno.test("resolveRange() is right for lengths beyond 2^32", () => {
  const length = 2 ** 40;
  const all = { start: null, stop: null, step: null };
  assertEquals(resolveRange({ ...all, step: -1 }, length), { start: length - 1, step: -1, length });
  assertEquals(resolveRange({ ...all, start: -3 }, length).length, 3);
  assertEquals(resolveRange({ ...all, step: 2 ** 32 + 1 }, length).length, 256);
});

Deno.test("resolveIndex() counts negative indices from the end, and checks", () => {
  assertEquals([0, 4, -1, -5].map((index) => resolveIndex(index, 5, 0)), [0, 4, 4, 0]);
  for (const index of [5, -6, 2 ** 40]) {
    const error = assertThrows(() => resolveIndex(index, 5, 3), RangeError);
    assertEquals(
      error.message,
      `Cannot reach index ${index}: it is out of bounds for axis 3 of length 5`,
    );
  }
  assertThrows(() => resolveIndex(0, 0, 0), RangeError);
});

Deno.test("freezeSelection() gives a deeply frozen copy", () => {
  const range: Partial<Slice> = { stop: 3 };
  const given: SliceItem[] = [1, range, ":", null, "...", " 0 : 2 "];
  const kept = freezeSelection(given);
  given.pop();
  (range as { stop: number }).stop = 99;
  assertEquals(kept, [1, { start: null, stop: 3, step: null }, ":", null, "...", " 0 : 2 "]);
  assert(Object.isFrozen(kept) && Object.isFrozen(kept[1]));
  assertEquals(freezeSelection([]), []);
});

const badItems: [items: unknown, ErrorClass: ErrorClass, message: string][] = [
  ["0:1", TypeError, "Cannot use this arraySlice: it must be an array"],
  [{ 0: 1, length: 1 }, TypeError, "Cannot use this arraySlice"],
  [new Int32Array(1), TypeError, "Cannot use this arraySlice"],
  [null, TypeError, "Cannot use this arraySlice"],
  [[undefined], TypeError, "is no index"],
  // deno-lint-ignore no-sparse-arrays -- a hole is what is tested
  [[0, , 1], TypeError, "is no index"],
  [[true], TypeError, "boolean true is no index"],
  [[1n], TypeError, "bigint 1 is no index"],
  [[[0, 1]], TypeError, "an array is no index"],
  [[() => 0], TypeError, "is no index"],
  [[{}], TypeError, "start, stop or step"],
  [[{ start: 0, end: 1 }], TypeError, 'not "end"'],
  [[{ start: "0" }], TypeError, "start must be an integer"],
  [[0.5], RangeError, "index must be a safe integer, not 0.5"],
  [[Infinity], RangeError, "index must be a safe integer, not Infinity"],
  [[""], RangeError, '"" is no index'],
  [["1:2:3:4"], RangeError, '"1:2:3:4" is no index'],
  [["1.5:"], RangeError, "is no index"],
  [["1e3"], RangeError, "is no index"],
  [["- 1"], RangeError, "is no index"],
  [["…"], RangeError, "is no index"],
  [["::0"], RangeError, "step must not be 0"],
  [["9007199254740993"], RangeError, "safe integer"],
];
for (const [items, Class, message] of badItems) {
  Deno.test(`freezeSelection() refuses ${Deno.inspect(items)}`, () => {
    const error = assertThrows(() => freezeSelection(items as SliceItem[]), Class, message);
    assertMatch(error.message, /^Cannot /);
  });
}

Deno.test("the slice module needs no permission", async () => {
  const url = JSON.stringify(new URL("../../src/ndarray/slice.ts", import.meta.url));
  const { code, stdout, stderr } = await runChild(
    `import { resolveRange } from ${url};
    console.log(JSON.stringify(resolveRange(slice(-2, null), 5)));`,
    { permissions: [] },
  );
  assertEquals([code, stdout], [0, '{"start":3,"step":1,"length":2}\n'], stderr);
});

Deno.test("rangeOf() gives what resolveRange() gives, for ranges of every sign", () => {
  const bounds = [null, -(2 ** 40), -7, -5, -4, -1, 0, 1, 3, 4, 5, 7, 2 ** 31, 2 ** 40];
  for (const length of [0, 1, 4, 5]) {
    for (const start of bounds) {
      for (const stop of bounds) {
        for (const step of [null, 1, 2, -1, -3]) {
          const range = slice(start, stop, step);
          const into = { start: 7, step: 7, length: 7 };
          assertEquals(rangeOf(range, length, into), resolveRange(range, length));
          const text = [start, stop, step].map((part) => part ?? "").join(":");
          parseItem(text); // only texts that were read before are served
          assertEquals(rangeOf(text, length, into), resolveRange(range, length), text);
          assertEquals(rangeOf(text, length, into), resolveRange(range, length), text);
        }
      }
    }
  }
});

Deno.test("rangeOf() leaves to parseItem() whatever is no range with all three parts of its own", () => {
  const range = { start: 0, stop: 2, step: null };
  const hidden = Object.defineProperty({ start: 0, stop: 2 }, "step", { value: 1 });
  const numbers = Object.assign([0, 1], range);
  const others: unknown[] = [
    ...[{}, { start: 0 }, { start: 0, stop: 2 }, { ...range, length: 2 }, { x: 1, ...range }],
    ...[{ stop: 2, start: 0, step: null }, { ...range, start: undefined }, { ...range, stop: 0.5 }],
    ...[{ ...range, step: 0 }, { ...range, start: "0" }, { ...range, stop: 1n }, hidden, numbers],
    ...[Object.create(range), Object.create(range, { start: { value: 1, enumerable: true } })],
    ...[new Uint8Array(9), [], [0], 0, 1n, undefined, true, () => 0, Symbol("0"), "never read"],
  ];
  for (const other of others) {
    assertEquals(rangeOf(other, 5, { start: 0, step: 1, length: 0 }), null, Deno.inspect(other));
  }
  assertEquals(rangeOf(range, 5, { start: 0, step: 1, length: 0 })?.length, 2);
});
