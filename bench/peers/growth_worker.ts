/**
 * One of the processes on one array, one lock and one queue: reads "sum N", "add N", "lock N" and "queue N".
 *
 * @module
 */

import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryLock } from "@shm/array/sync";
import { expectSame } from "../measure.ts";
import { TextLineStream } from "./lines.ts";

const [array, lockOf, queueOf] = JSON.parse(Deno.args[0]);
const sma = SharedMemoryArray.from(array, "float64");
const view = sma.load();
const counters = SharedMemoryArray.clone(sma, {
  dtype: "int32",
  shape: [16],
}).load({ reinterpret: true });
const lock = SharedMemoryLock.from(lockOf).load();
const queue = SharedMemoryQueue.from(queueOf).load();

const work: { readonly [command: string]: () => void } = {
  sum() {
    const elements = view.subarray();
    let sum = 0;
    for (let i = 16; i < elements.length; i++) sum += elements[i];
    expectSame("the sum", sum, (elements.length - 16) / 2);
  },
  add: () => void Atomics.add(counters.data, 0, 1),
  lock: () => lock.acquire().release(),
  // Each puts an item in, and takes one that it or another has put in.
  queue() {
    queue.put(7);
    queue.take()!.complete();
  },
};

console.log("ready");
for await (const line of Deno.stdin.readable.pipeThrough(new TextLineStream())) {
  const [command, count] = line.split(" ");
  for (let i = 0; i < Number(count); i++) work[command]();
  console.log(count);
}
