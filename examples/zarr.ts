// Converts a 2-d Zarr array from metres to feet: processes that share a counter read its chunks into shared
// memory, a window of some rows of chunks at a time. examples/demo/terrain_zarr.ts DIR makes one, DIR/heights.
// Run it: deno run --allow-ffi --allow-run=deno --allow-read --allow-write examples/zarr.ts IN OUT [CHUNKS]
// It prints how many numbers OUT has.

import * as shm from "@shm/array";
import FileSystemStore from "@zarrita/storage/fs";
import * as zarr from "zarrita";

const open = (folder: string) => zarr.open.v3(new FileSystemStore(folder), { kind: "array" });

/** What each process does. The window begins at row `firstRow` of the array. */
const readChunks = shm.shmarrayWrap(
  async (window: shm.NDArray, counter: shm.NDArray<"int32">, from: string, firstRow: number) => {
    const array = await open(from);
    const [height, width] = array.chunks;
    const across = Math.ceil(array.shape[1] / width);
    while (true) {
      const number = Atomics.add(counter.data, 0, 1); // no other process gets this one
      const [top, left] = [Math.floor(number / across) * height, number % across * width];
      if (top >= window.shape[0]) return;
      const chunk = await array.getChunk([(firstRow + top) / height, left / width]);
      const read = new shm.NDArray(chunk.data as Float64Array, chunk);
      // At the edges the array ends before the chunk does, and so does a slice of the window.
      const part = window.slice(`${top}:${top + height}`, `${left}:${left + width}`);
      part.assign(read.slice(`:${part.shape[0]}`, `:${part.shape[1]}`));
    }
  },
);

async function main([from, to, chunksAtOnce = "4"]: string[]): Promise<void> {
  const { shape, chunks: chunkShape } = await open(from);
  const feet = await zarr.create(new FileSystemStore(to), { shape, chunkShape, dtype: "float64" });
  const rows = Number(chunksAtOnce) * chunkShape[0];
  using register = new shm.SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using memory = shm.createAndRegisterSma([rows, shape[1]], "float64", register, "zarr");
  using counter = shm.createAndRegisterSma(1, "int32", register, "zarr");
  for (let firstRow = 0; firstRow < shape[0]; firstRow += rows) {
    // The last window may be shorter.
    using sma = shm.SharedMemoryArray.clone(memory, { arraySlice: [`:${shape[0] - firstRow}`] });
    counter.array!.fill(0);
    const job = JSON.stringify([sma, counter, from, firstRow]);
    const args = ["run", "--allow-ffi", "--allow-read", import.meta.url, job];
    const readers = [1, 2, 3].map(() => new Deno.Command("deno", { args }).spawn().status);
    const done = (await Promise.all(readers)).every(({ success }) => success);
    if (!done) throw new Error(`Cannot read ${from}`);
    const window = sma.load();
    const data = window.subarray();
    for (let i = 0; i < data.length; i++) data[i] /= 0.3048;
    // One process writes: where two write one chunk, one of them loses.
    const place = [zarr.slice(firstRow, firstRow + rows), null];
    await zarr.set(feet, place, { data, shape: [...window.shape], stride: [...window.stride] });
  }
  console.log(`${to} has ${shape.join(" × ")} numbers, in feet`);
}

if (Deno.args.length > 1) await main(Deno.args);
else if (Deno.args[0]?.startsWith("[")) {
  await readChunks(...JSON.parse(Deno.args[0]) as Parameters<typeof readChunks>);
} else throw new TypeError("Cannot start: say which array to read and where to write, IN and OUT");
