/**
 * What the tests of leftovers share: segments that nobody maps, under prefixes that nothing else uses.
 * Other tests, and other programs on this machine, have segments of their own.
 *
 * @module
 */

import { type SegmentInfo, SharedMemory, SharedMemoryArray } from "@shm/array";
import { segmentPath } from "./helpers.ts";

/** Creates a segment that nobody maps, under a name of our own naming. */
export function leftover(prefix: string, byteLength = 8): string {
  const name = SharedMemoryArray.buildSmaName(prefix);
  using memory = SharedMemory.create(name, byteLength);
  return memory.name;
}

/** Calls `body` with a prefix of its own; what has it afterwards is removed. */
export async function withPrefix(body: (prefix: string) => void | Promise<void>): Promise<void> {
  const prefix = `t${crypto.randomUUID().slice(0, 8)}`;
  try {
    await body(prefix);
  } finally {
    for (const { name } of Deno.readDirSync("/dev/shm")) {
      if (name.includes(`-${prefix}-`)) Deno.removeSync(segmentPath(name));
    }
  }
}

/** What list() tells of a segment. */
export function find(name: string): SegmentInfo | undefined {
  return SharedMemoryArray.list().find((segment) => segment.name === name);
}
