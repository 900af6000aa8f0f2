import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import {
  broadcastLayout,
  broadcastToLayout,
  checkLayout,
  checkShape,
  contiguousLayout,
  extent,
  isContiguous,
  Layout,
  reshapeLayout,
  sizeOf,
  sliceLayout,
  transposeLayout,
} from "../../src/ndarray/layout.ts";

Deno.test("contiguousLayout() has the last axis vary fastest, and no stride of 0", () => {
  assertEquals(contiguousLayout([2, 3, 4]), new Layout([2, 3, 4], [12, 4, 1], 0, 24));
  assertEquals(contiguousLayout([]), new Layout([], [], 0, 1));
  assertEquals(contiguousLayout([2, 0, 4]), new Layout([2, 0, 4], [4, 4, 1], 0, 0));
});

Deno.test("sizeOf() is the product, 1 of no axis", () => {
  assertEquals([[], [3], [2, 3], [2, 0]].map(sizeOf), [1, 3, 6, 0]);
});

Deno.test("checkShape() copies, takes one length, and makes -0 a 0", () => {
  const given = [2, 3];
  const checked = checkShape(given);
  given[0] = 9;
  assertEquals(checked, [2, 3]);
  assertEquals(checkShape(4), [4]);
  assert(Object.is(checkShape([-0])[0], 0));
});

Deno.test("checkShape() refuses what is no shape", () => {
  const cases: [shape: unknown, ErrorClass: ErrorConstructor, message: string][] = [
    ["23", TypeError, "it must be an array of integers, not a string"],
    [[2, "3"], TypeError, "a length must be an integer, not a string"],
    [[2, 0.5], RangeError, "a length must be a safe integer, not 0.5"],
    [[2, -1], RangeError, "Cannot use shape [2, -1]: a length is negative"],
    [[2 ** 30, 2 ** 30], RangeError, "the number of elements is beyond 2^53 - 1"],
    [[2 ** 30, 0, 2 ** 30], RangeError, "the number of elements is beyond 2^53 - 1"],
  ];
  for (const [shape, ErrorClass, message] of cases) {
    assertThrows(() => checkShape(shape as number[]), ErrorClass, message);
  }
});

Deno.test("checkLayout() takes all that follows the offset where no shape is given", () => {
  assertEquals(checkLayout(10, {}), new Layout([10], [1], 0, 10));
  assertEquals(checkLayout(10, { offset: 4 }), new Layout([6], [1], 4, 6));
  assertEquals(checkLayout(10, { shape: [2, 5] }), new Layout([2, 5], [5, 1], 0, 10));
});

Deno.test("checkLayout() refuses a layout that leaves the data, at either end", () => {
  for (
    const described of [
      { shape: [11] },
      { shape: [2], stride: [-1] },
      { shape: [2], offset: 9 },
      { shape: [2, 2], stride: [8, 2] },
      { shape: [0], offset: 11 },
    ]
  ) assertThrows(() => checkLayout(10, described), RangeError, "over 10 elements: it needs");
  assertEquals(checkLayout(10, { shape: [10], stride: [-1], offset: 9 }).offset, 9);
  assertEquals(checkLayout(10, { shape: [0], offset: 10 }).size, 0);
});

Deno.test("extent() is the lowest and the highest position, for any signs of the strides", () => {
  assertEquals(extent(new Layout([3, 2], [-4, 5], 10, 6)), { lowest: 2, highest: 15 });
  assertEquals(extent(new Layout([], [], 7, 1)), { lowest: 7, highest: 7 });
  const none = extent(new Layout([0], [1], 7, 0));
  assert(none.highest < none.lowest);
});

Deno.test("isContiguous() does not look at strides along axes of length 1", () => {
  assert(isContiguous(new Layout([2, 1, 3], [3, 99, 1], 5, 6)));
  assert(isContiguous(new Layout([2, 0], [7, 7], 0, 0)));
  assertFalse(isContiguous(new Layout([2, 3], [1, 2], 0, 6)));
  assertFalse(isContiguous(new Layout([3], [-1], 2, 3)));
});

Deno.test("sliceLayout() drops, takes, turns and keeps axes", () => {
  const layout = contiguousLayout([4, 5, 6]);
  assertEquals(sliceLayout(layout, []), layout);
  assertEquals(sliceLayout(layout, [-1]), new Layout([5, 6], [6, 1], 90, 30));
  assertEquals(sliceLayout(layout, ["::2", "::-1"]), new Layout([2, 5, 6], [60, -6, 1], 24, 60));
  assertEquals(sliceLayout(layout, ["...", 2]), new Layout([4, 5], [30, 6], 2, 20));
  assertEquals(sliceLayout(layout, [0, "...", "1:3"]), new Layout([5, 2], [6, 1], 1, 10));
  assertEquals(sliceLayout(layout, [1, 2, 3]), new Layout([], [], 45, 1));
  assertEquals(sliceLayout(layout, ["4:"]), new Layout([0, 5, 6], [30, 6, 1], 0, 0));
  assertEquals(layout, contiguousLayout([4, 5, 6]));
});

Deno.test("sliceLayout() refuses more items than axes, and a second ellipsis", () => {
  const layout = contiguousLayout([4, 5]);
  assertThrows(
    () => sliceLayout(layout, [0, 0, 0]),
    RangeError,
    "Cannot slice: 3 indices for an array of 2 axes",
  );
  assertThrows(
    () => sliceLayout(contiguousLayout([]), [0]),
    RangeError,
    "Cannot slice: 1 index for an array of 0 axes",
  );
  assertThrows(() => sliceLayout(layout, ["...", "..."]), RangeError, "only once");
  assertThrows(() => sliceLayout(layout, [4]), RangeError, "out of bounds for axis 0 of length 4");
  assertThrows(() => sliceLayout(layout, ["...", 5]), RangeError, "for axis 1 of length 5");
});

Deno.test("transposeLayout() permutes, or reverses", () => {
  const layout = contiguousLayout([2, 3, 4]);
  assertEquals(transposeLayout(layout), new Layout([4, 3, 2], [1, 4, 12], 0, 24));
  assertEquals(transposeLayout(layout, [1, -1, 0]), new Layout([3, 4, 2], [4, 1, 12], 0, 24));
  for (const axes of [[0, 1], [0, 1, 1], [0, 1, 3], [0, 1, -4]]) {
    assertThrows(
      () => transposeLayout(layout, axes),
      RangeError,
      "must name each of the 3 axes once",
    );
  }
});

Deno.test("reshapeLayout() computes one length, and refuses what does not fill the shape", () => {
  const layout = contiguousLayout([2, 6]);
  assertEquals(reshapeLayout(layout, [3, -1]), contiguousLayout([3, 4]));
  assertEquals(reshapeLayout(layout, 12), contiguousLayout([12]));
  assertThrows(() => reshapeLayout(layout, [5, -1]), RangeError, "does not fill shape [5, -1]");
  assertThrows(() => reshapeLayout(layout, [-1, -1]), RangeError, "only one length may be -1");
});

Deno.test("broadcastToLayout() lets no axis too many pass", () => {
  assertEquals(
    broadcastToLayout(new Layout([3, 1], [5, 7], 2, 3), [2, 3, 4]),
    new Layout([2, 3, 4], [0, 5, 0], 2, 24),
  );
  assertThrows(
    () => broadcastToLayout(contiguousLayout([1, 4]), [4]),
    RangeError,
    "Cannot broadcast: shape [1, 4] does not broadcast to shape [4]",
  );
});

Deno.test("reshapeLayout() regroups axes whose strides follow each other", () => {
  const layout = new Layout([4, 3, 1, 6], [72, 24, 5, 2], 7, 72);
  assertEquals(reshapeLayout(layout, [12, 2, 3]), new Layout([12, 2, 3], [24, 6, 2], 7, 72));
  assertEquals(reshapeLayout(layout, [4, 1, 3, 6, 1]).stride, [72, 72, 24, 2, 2]);
  assertThrows(() => reshapeLayout(layout, [4, 18]), RangeError, "not contiguous");
});

Deno.test("sliceLayout() adds axes of length 1", () => {
  const layout = contiguousLayout([4, 5]);
  assertEquals(
    sliceLayout(layout, ["newaxis", 1, "newaxis", "...", "newaxis"]),
    new Layout([1, 1, 5, 1], [0, 0, 1, 0], 5, 5),
  );
});

Deno.test("broadcastLayout() stretches axes of length 1 by a stride of 0", () => {
  const layout = new Layout([3, 1], [5, 7], 2, 3);
  assertEquals(broadcastLayout(layout, [2, 3, 4]), new Layout([2, 3, 4], [0, 5, 0], 2, 24));
  assertEquals(broadcastLayout(contiguousLayout([1, 1, 4]), [4]), new Layout([4], [1], 0, 4));
  assertThrows(
    () => broadcastLayout(layout, [2, 4]),
    RangeError,
    "Cannot assign: shape [3, 1] does not broadcast to shape [2, 4]",
  );
  assertThrows(() => broadcastLayout(contiguousLayout([2, 4]), [4]), RangeError, "broadcast");
});
