/**
 * What the calls of rings and versions cost in one process, where nobody waits.
 *
 * @module
 */

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { benchGroup, expectSame, type Group, isBenched } from "./measure.ts";

const ITEM = "rings and versions, nobody waits";
const COUNT = 10_000;

/** Removes the names at the end of the program: nobody can write to a ring that has none. */
const register = new SharedMemoryRegister();

/** The groups. */
export async function groups(): Promise<Group[]> {
  const name = (): string => SharedMemoryArray.buildSmaName("bench");
  const table = new SharedMemoryVersions([1000], "float64", name()).create();
  await table.publish((next) => next.fill(1));
  const { array } = table.current()!;
  const ring = new SharedMemoryRing([4], "uint8", name(), 4).create();
  register.push(table.name, ring.name);
  const word = new Int32Array(16);
  return [
    {
      item: ITEM,
      what: "current() with nothing new",
      count: COUNT,
      unit: "ns",
      check: () => expectSame("current()", table.current()!.array, array),
      ours() {
        let sum = 0;
        for (let i = 0; i < COUNT; i++) sum += table.current()!.version;
        return sum;
      },
      against: [{
        name: "get() of one element",
        run() {
          let sum = 0;
          for (let i = 0; i < COUNT; i++) sum += array.get(i % 1000);
          return sum;
        },
      }],
    },
    {
      item: ITEM,
      what: "write() of four bytes, and latest()",
      count: COUNT,
      unit: "ns",
      check: () => expectSame("write()", ring.write(1), ring.latest()!.sequence),
      ours() {
        let sum = 0;
        for (let i = 0; i < COUNT; i++) {
          ring.write((slot) => slot.set(0, i & 127));
          sum += ring.latest()!.array.get(0);
        }
        return sum;
      },
      against: [{
        name: "two Atomics.add() and a store",
        run() {
          let sum = 0;
          for (let i = 0; i < COUNT; i++) {
            Atomics.add(word, 0, 1);
            word[4] = i & 127;
            Atomics.add(word, 1, 1);
            sum += word[4];
          }
          return sum;
        },
      }],
    },
  ];
}

if (isBenched(import.meta.url)) {
  for (const group of await groups()) benchGroup(group);
}
