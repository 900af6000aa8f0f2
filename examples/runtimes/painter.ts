// Paints rows of the Mandelbrot set into a shared picture, until another program has taken the last one.
// It is the same text in Deno, Node and Bun, and shows who painted a row by its colour.
// main.ts starts it: painter.ts JOB

import process from "node:process";
import { SharedMemoryArray, type SharedMemoryDescriptor } from "@shm/array";
import { notify, wait } from "@shm/array/sync";

/** What each program is told, as JSON. */
export interface Job {
  readonly picture: SharedMemoryDescriptor<"uint8">;
  readonly state: SharedMemoryDescriptor<"int32">;
  /** Which of the programs this is. */
  readonly index: number;
  readonly painters: number;
}

/** The words of the state: programs that are ready, the next row, programs that are done, rows of each. */
const [READY, NEXT, DONE, ROWS] = [0, 1, 2, 3];

/** How many steps a point may take before it counts as one that stays. */
const MOST = 100;

const job: Job = JSON.parse(process.argv[2]);
using picture = SharedMemoryArray.from(job.picture, "uint8");
using state = SharedMemoryArray.from(job.state, "int32");
const pixels = picture.load();
const words = state.load().data;
const [height, width] = pixels.shape;
const last = height / 2; // The lower half is Python's.

// Nobody begins before all are there. Each has one row of its own, and takes others as they come.
Atomics.add(words, READY, 1);
notify(words, READY);
for (let ready; (ready = Atomics.load(words, READY)) < job.painters;) wait(words, READY, ready);

for (let row = job.index; row < last; row = job.painters + Atomics.add(words, NEXT, 1)) {
  paint(row);
  Atomics.add(words, ROWS + job.index, 1);
}
Atomics.add(words, DONE, 1);
notify(words, DONE);

function paint(row: number): void {
  for (let column = 0; column < width; column++) {
    const steps = stepsAt(column / width * 3.2 - 2.2, row / last * 1.2 - 1.2);
    const shade = Math.round(255 * Math.sqrt(steps / MOST));
    for (let channel = 0; channel < 3; channel++) {
      pixels.set(row, column, channel, channel === job.index ? 128 + shade / 2 : shade);
    }
  }
}

/** How many steps a point takes until it has left; {@linkcode MOST} if it stays. */
function stepsAt(x: number, y: number): number {
  let [a, b] = [0, 0];
  for (let steps = 0; steps < MOST; steps++) {
    if (a * a + b * b > 4) return steps;
    [a, b] = [a * a - b * b + x, 2 * a * b + y];
  }
  return MOST;
}
