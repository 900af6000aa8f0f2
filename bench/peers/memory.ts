/**
 * How much resident memory an attachment takes.
 *
 * @module
 */

import { SharedMemoryArray } from "@shm/array";

/** Attaches to a sparse segment again and again; tells the resident bytes before and after. */
export function residentGrowth(
  byteLength: number,
  times: number,
): { before: number; after: number }[] {
  const name = SharedMemoryArray.buildSmaName("bench");
  const owner = new SharedMemoryArray([byteLength], "uint8", name);
  owner.create({ reserve: false });
  owner.close();
  try {
    // The code's own memory is there before the first measurement.
    for (let i = 0; i < 20; i++) attachOnce(name, byteLength);
    return Array.from({ length: times }, () => attachOnce(name, byteLength));
  } finally {
    owner.unlink();
  }
}

function attachOnce(name: string, byteLength: number): { before: number; after: number } {
  using sma = new SharedMemoryArray([byteLength], "uint8", name);
  const before = residentBytes();
  const array = sma.load();
  const after = residentBytes();
  if (array.size !== byteLength) throw new Error("Cannot measure: the array has another size");
  return { before, after };
}

/** Of all the kernel's figures, this one is exact: it walks the pages. */
function residentBytes(): number {
  const text = Deno.readTextFileSync("/proc/self/smaps_rollup");
  return Number(/^Rss: +(\d+) kB$/m.exec(text)![1]) * 1024;
}
