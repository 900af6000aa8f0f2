// Reads the arrays of a .npz file, which is a ZIP of .npy files, into shared memory: npm fflate unpacks
// them, and readNpy() takes the bytes of each. Without a file it makes one first.
// Run it: deno run --allow-ffi --allow-read --allow-write examples/npz.ts [FILE.npz]
// It prints the type, the shape, the name and the elements of each array.

import { NDArray, SharedMemoryRegister } from "@shm/array";
import { readNpy, writeNpy } from "@shm/array/npy";
import { unzipSync, zipSync } from "fflate";

/** What numpy.savez() makes: one .npy file for each array, called as the array is. */
function pack(arrays: { [name: string]: NDArray }): Uint8Array {
  const path = Deno.makeTempFileSync({ suffix: ".npy" });
  try {
    const files = Object.entries(arrays).map(([name, array]) => {
      writeNpy(path, array);
      return [`${name}.npy`, Deno.readFileSync(path)];
    });
    return zipSync(Object.fromEntries(files));
  } finally {
    Deno.removeSync(path);
  }
}

const [path] = Deno.args;
const archive = path !== undefined ? Deno.readFileSync(path) : pack({
  heights: new NDArray(Float32Array.of(0.5, 1.5, 2.5, 3.5), { shape: [2, 2] }),
  ids: new NDArray(Int16Array.of(7, 8, 9)),
});

using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
for (const [file, bytes] of Object.entries(unzipSync(archive))) {
  const { sma, view } = readNpy(bytes, register, { prefix: "npz" });
  using _attached = sma;
  console.log(`${file} is ${sma.dtype} of shape [${sma.shape.join(", ")}], shared as ${sma.name}`);
  console.log(view);
}
