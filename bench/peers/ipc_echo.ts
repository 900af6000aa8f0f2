/**
 * The other processes of `ipc.ts`: "turns" answers each change of word 0 by the same change of word 16, after
 * it has counted up the first and the last element; "frames" sends back each frame of a ring.
 *
 * @module
 */

import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";
import { notify, wait } from "@shm/array/sync";

const [role, ...descriptors] = Deno.args;
const [first, second] = descriptors.map((text) => JSON.parse(text));

/** Sends back each frame. */
function echoFrames(): void {
  const source = SharedMemoryRing.from(first, "uint8").load();
  const target = SharedMemoryRing.from(second, "uint8").load();
  console.log("ready");
  for (let sequence = 0;;) {
    const frame = source.next(sequence);
    sequence = frame.sequence;
    target.write(frame.array);
  }
}

/** Answers each turn in the array that both have attached. */
function echoTurns(): void {
  const turns = SharedMemoryArray.from(first, "int32").load().data;
  const elements = SharedMemoryArray.from(second, "int32").load().data;
  console.log("ready");
  for (let turn = 0;; turn++) {
    while (Atomics.load(turns, 0) === turn) wait(turns, 0, turn);
    elements[0]++;
    elements[elements.length - 1]++;
    Atomics.store(turns, 16, turn + 1);
    notify(turns, 16);
  }
}

if (role === "frames") echoFrames();
else echoTurns();
