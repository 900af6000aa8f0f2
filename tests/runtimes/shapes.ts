/**
 * Takes lists apart, as programs do at the head of a function with a loop: `const [height, width] = view.shape`.
 * The argument "ours" asks for the lists of the library, "frozen" for one that is only frozen.
 *
 * @module
 */

import process from "node:process";
import { NDArray, SharedMemoryArray } from "@shm/array";

const view = new NDArray(new Float64Array(64), { shape: [8, 8] });
const cube = new NDArray(new Float64Array(64), { shape: [4, 4, 4] });
const many = new NDArray(new Float64Array(64), { shape: [2, 2, 2, 2, 4] });
const sma = new SharedMemoryArray([8, 8], "float64", "shapes");
const lists = process.argv[2] === "ours"
  ? [
    ...[view, view.slice(0), cube, many].flatMap(({ shape, stride }) => [shape, stride]),
    sma.shape,
  ]
  : [Object.freeze([8, 8])];

for (const [i, list] of lists.entries()) {
  // Each list has a function of its own, so that what is learnt of one does not serve the others.
  const sumOf = new Function(
    "list",
    `const [first, second = 1] = list; // ${i}
    let sum = 0;
    for (let i = 0; i < 1000; i++) sum += first ^ second ^ i;
    return sum;`,
  );
  let sum = 0;
  for (let turn = 0; turn < 3000; turn++) sum += sumOf(list);
  console.log(`list of ${list.length}: ${sum}`);
}
