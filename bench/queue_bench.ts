/**
 * What the calls of a queue cost in one process, where nobody waits.
 *
 * @module
 */

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { benchGroup, expectSame, type Group, isBenched } from "./measure.ts";

/** Removes the segments at the end of the process, and when a signal ends it. */
const register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });

const queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("bench"), 16).create();
register.push(queue.name);

const COUNT = 5000;

export const groups: readonly Group[] = [{
  item: "a queue in one process, nobody waits",
  what: "put, take, complete a small item",
  count: COUNT,
  unit: "ns",
  check() {
    queue.put({ tile: 7 });
    const item = queue.take()!;
    expectSame("the message", item.message.tile, 7);
    expectSame("complete()", item.complete(), true);
  },
  ours() {
    let sum = 0;
    for (let tile = 0; tile < COUNT; tile++) {
      queue.put({ tile });
      const item = queue.take()!;
      sum += item.message.tile;
      item.complete();
    }
    return sum;
  },
  against: [{
    name: "its message and answer as JSON and bytes, there and back",
    run() {
      const [encoder, decoder, bytes] = [new TextEncoder(), new TextDecoder(), new Uint8Array(64)];
      let sum = 0;
      for (let tile = 0; tile < COUNT; tile++) {
        const { written } = encoder.encodeInto(JSON.stringify({ tile }), bytes);
        sum += JSON.parse(decoder.decode(bytes.subarray(0, written))).tile;
        JSON.stringify(null);
      }
      return sum;
    },
  }],
}];

if (isBenched(import.meta.url)) {
  for (const group of groups) benchGroup(group);
}
