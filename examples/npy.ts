// Reads a .npy file straight into shared memory, and writes a shared array to a .npy file.
// The file's bytes go to and from the mapping itself: there is no second copy in the heap.
// Run it: deno run --allow-ffi --allow-read --allow-write examples/npy.ts [IN.npy OUT.npy]
// It prints the elements of what it read, and the path of what it wrote.

import { createAndRegisterSma, SharedMemoryRegister } from "@shm/array";
import { readNpy, writeNpy } from "@shm/array/npy";

function main([from, to]: string[]): void {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const { sma, view } = readNpy(from, register);
  using _attached = sma;
  console.log(`${from} is in shared memory now, as ${sma.name}:`);
  console.log(view);
  writeNpy(to, view);
  console.log(`${to} has the same ${view.size} elements.`);
}

/** Runs the example without a file: it makes one first. */
function demonstrate(): void {
  const folder = Deno.makeTempDirSync();
  try {
    using register = new SharedMemoryRegister();
    using sma = createAndRegisterSma([3, 4], "float32", register, "npy");
    sma.array!.assign([0.5, 1.5, 2.5, 3.5]);
    writeNpy(`${folder}/in.npy`, sma.array!);
    main([`${folder}/in.npy`, `${folder}/out.npy`]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

if (Deno.args.length === 2) main(Deno.args);
else demonstrate();
