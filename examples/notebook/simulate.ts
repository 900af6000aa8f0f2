// A plate that Deno heats step by step while a Python notebook, look.ipynb, looks at it and touches it.
// It prints the name of the array, and ends at Ctrl-C, or after so many seconds; then nothing is left.
// Run it: deno run --allow-ffi examples/notebook/simulate.ts [SECONDS]

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";

const seconds = Number(Deno.args[0] ?? Infinity);
using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
using sma = new SharedMemoryArray([64, 64], "float32", "plate");
const plate = sma.create();
register.push(sma.name);
plate.slice("28:36", "28:36").fill(100);
console.log(`The plate is called ${sma.name}; open look.ipynb`);

/** One step of the heat equation; the edge stays as it is. */
function step(now: Float32Array, next: typeof plate): void {
  for (let i = 1; i < 63; i++) {
    for (let j = 1; j < 63; j++) {
      const k = 64 * i + j;
      next.set(
        i,
        j,
        now[k] + 0.2 * (now[k - 64] + now[k + 64] + now[k - 1] + now[k + 1] - 4 * now[k]),
      );
    }
  }
}

const end = performance.now() + 1000 * seconds;
while (performance.now() < end) {
  step(plate.copy(), plate);
  await new Promise((resume) => setTimeout(resume, 20));
}
