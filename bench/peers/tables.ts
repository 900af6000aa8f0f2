/**
 * How much memory views take: element access may keep tables, one for each length and stride.
 *
 * @module
 */

import { NDArray } from "@shm/array";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { keep, makeOwnRow, type Row } from "../measure.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** The bytes that stay after garbage was collected. */
function usedBytes(): number {
  collect();
  collect();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Makes things, and tells by how many bytes each of them has made the process larger. */
function growth(count: number, make: (i: number) => NDArray): number {
  const views = new Array<NDArray>(count);
  const before = usedBytes();
  for (let i = 0; i < count; i++) {
    views[i] = make(i);
    views[i].get(...views[i].shape.map(() => 0));
  }
  const bytes = usedBytes() - before;
  keep(views);
  return bytes;
}

/** Measures first views, more views of the same shape, and views of many shapes. */
export function measureTables(): Row[] {
  const item = "memory of views and their tables";
  const LENGTH = 60_000;
  const FIRST = 16;
  const data = new Uint8Array(LENGTH * (FIRST + 8));
  const whole = new NDArray(data, { shape: [LENGTH, 4] }) as NDArray;
  whole.slice("1:").get(0, 0); // the code's own memory is there
  const [tall, many] = [
    new NDArray(data, { shape: [LENGTH] }),
    new NDArray(data.subarray(0, 2 ** 16)),
  ];
  // Each of them has rows of another stride.
  const other = growth(
    FIRST,
    (i) => new NDArray(data, { shape: [LENGTH, 7 + i] }) as NDArray,
  );
  const same = growth(10_000, (i) => whole.slice(`${i % 100}:`) as NDArray);
  const lengths = growth(4096, (i) => tall.slice(`:${i + 1}`) as NDArray);
  const strides = growth(4096, (i) => many.slice(`::${i + 1}`) as NDArray);
  return [
    makeOwnRow(
      { item, what: "first views of 60,000 rows", unit: "bytes per row" },
      { most: 4.1 },
      [other / (FIRST * LENGTH)],
    ),
    makeOwnRow({ item, what: "10,000 parts of one view", unit: "bytes each" }, undefined, [
      same / 10_000,
    ]),
    makeOwnRow({ item, what: "views of 4,096 lengths", unit: "bytes each" }, undefined, [
      lengths / 4096,
    ]),
    makeOwnRow({ item, what: "views with 4,096 strides", unit: "bytes each" }, undefined, [
      strides / 4096,
    ]),
  ];
}
