import { assert, assertEquals, assertFalse, assertStrictEquals } from "@std/assert";
import { NDArray } from "../../mod.ts";
import { contiguousLayout, Layout, transposeLayout } from "../../src/ndarray/layout.ts";
import { asWords, isRun, isWide, planLoop } from "../../src/ndarray/loop_plan.ts";

Deno.test("planLoop() makes one run of all axes that lie behind each other", () => {
  const layout = contiguousLayout([2, 1, 3, 4]);
  const loop = planLoop(layout.shape, [layout, layout], true);
  assertEquals(loop, { shape: [24], strides: [[1], [1]], offsets: [0, 0] });
  assert(isRun(loop));
  assert(isRun(planLoop([], [contiguousLayout([])], true)));
});

Deno.test("planLoop() keeps axes apart that lie behind each other in one layout only", () => {
  const [a, b] = [contiguousLayout([2, 3]), transposeLayout(contiguousLayout([3, 2]))];
  const loop = planLoop([2, 3], [a, b], false);
  assertEquals(loop, { shape: [2, 3], strides: [[3, 1], [1, 2]], offsets: [0, 0] });
  assertFalse(isRun(loop));
});

Deno.test("planLoop() goes through a target as its positions grow", () => {
  const target = new Layout([2, 3], [1, -2], 4, 6);
  const source = contiguousLayout([2, 3]);
  assertEquals(planLoop([2, 3], [target, source], true), {
    shape: [3, 2],
    strides: [[2, 1], [-1, 3]],
    offsets: [0, 2],
  });
  assertEquals(planLoop([2, 3], [target], false).offsets, [4]);
});

Deno.test("planLoop() stores only the last of elements that are one", () => {
  const target = new Layout([3, 2], [0, 1], 0, 6);
  const source = contiguousLayout([3, 2]);
  assertEquals(planLoop([3, 2], [target, source], true), {
    shape: [2],
    strides: [[1], [1]],
    offsets: [0, 4],
  });
});

Deno.test("planLoop() of no elements has no elements", () => {
  assertEquals(planLoop([3, 0], [contiguousLayout([3, 0])], true).shape, [0]);
});

Deno.test("asWords() views the same memory, and gives cells that are words as they are", () => {
  const layout = contiguousLayout([2]);
  const cells = { dtype: "float32", data: new Float32Array([1, -1]), layout } as const;
  const words = asWords(cells);
  assertEquals([words.dtype, [...words.data]], ["int32", [0x3f800000, 0xbf800000 | 0]]);
  assertStrictEquals(words.data.buffer, cells.data.buffer);
  const floats = { dtype: "float64", data: new Float64Array(2), layout } as const;
  assertStrictEquals<unknown>(asWords(floats), floats);
});

Deno.test("isWide() tells positions that 32 bits do not hold", () => {
  assertFalse(isWide(new Layout([2], [1], 2 ** 31 - 2, 2)));
  assert(isWide(new Layout([2], [1], 2 ** 31 - 1, 2)));
  assertFalse(isWide(new Layout([0], [1], 2 ** 40, 0)));
});

Deno.test("subarray() of an empty view is empty, wherever the view begins", () => {
  const view = new NDArray(new Float64Array(0), { shape: [4, 2, 0] });
  assertEquals(view.slice(-1, -1).subarray(), new Float64Array(0));
});
