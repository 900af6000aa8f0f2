/**
 * What an attachment costs beside a large heap: V8 counts attached memory as its own, and collects garbage
 * the sooner.
 *
 * @module
 */

import { SharedMemoryArray } from "@shm/array";
import { expectSame, isQuick, makeOwnRow, type Row } from "../measure.ts";

const BYTES = 100e6;

/** A thousand attachments of 100 MB that all stay, in a program that has half a million objects. */
export function measureMany(): Row[] {
  const count = isQuick ? 10 : 1000;
  const name = SharedMemoryArray.buildSmaName("bench");
  const owner = new SharedMemoryArray([BYTES], "uint8", name);
  owner.create({ reserve: false }).set(0, 7);
  try {
    const heap = Array.from({ length: 500_000 }, (_, i) => ({ i, text: `object ${i}` }));
    const arrays: SharedMemoryArray<"uint8">[] = [];
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      const sma = new SharedMemoryArray([BYTES], "uint8", name);
      sma.load();
      arrays.push(sma as SharedMemoryArray<"uint8">);
    }
    const seconds = (performance.now() - begin) / 1000;
    let sum = 0;
    for (const sma of arrays) {
      sum += sma.array!.get(0);
      sma.close();
    }
    expectSame("the first elements", sum, 7 * count);
    expectSame("the heap", heap.length, 500_000);
    return [
      makeOwnRow(
        { item: "1,000 attachments of 100 MB beside 500,000 objects", what: "", unit: "s" },
        { most: 5 },
        [seconds],
      ),
    ];
  } finally {
    owner.unlink();
  }
}
