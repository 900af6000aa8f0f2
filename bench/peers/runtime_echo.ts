/**
 * The other processes of `runtime.ts`: "turns" answers each change of word 0 by the same change of word 16;
 * "frames" sends back each frame of a ring.
 *
 * @module
 */

import process from "node:process";
import { SharedMemoryArray } from "../../mod.ts";
import { SharedMemoryRing } from "../../src/publish/mod.ts";
import { notify, wait } from "../../src/sync/mod.ts";

const [role, ...descriptors] = process.argv.slice(2);
const [first, second] = descriptors.map((text) => JSON.parse(text));

if (role === "frames") {
  const source = SharedMemoryRing.from(first, "uint8").load();
  const target = SharedMemoryRing.from(second, "uint8").load();
  process.stdout.write("ready\n", () => {
    for (let sequence = 0;;) {
      const frame = source.next(sequence);
      sequence = frame.sequence;
      target.write(frame.array);
    }
  });
} else {
  const turns = SharedMemoryArray.from(first, "int32").load().data;
  process.stdout.write("ready\n", () => {
    for (let turn = 0;; turn++) {
      while (Atomics.load(turns, 0) === turn) wait(turns, 0, turn);
      Atomics.store(turns, 16, turn + 1);
      notify(turns, 16);
    }
  });
}
