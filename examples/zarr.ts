// Adds each row of a 2-d Zarr array to those above it, in a window of shared memory, into which processes
// with one counter read the chunks. The array may be larger than /dev/shm.
// Run it: deno run --allow-ffi --allow-run=deno --allow-read --allow-write examples/zarr.ts [IN OUT ROWS]

import * as shm from "@shm/array";
import FileSystemStore from "@zarrita/storage/fs";
import * as zarr from "zarrita";

type Float64Array2d = zarr.Array<"float64", FileSystemStore>;
const open = (folder: string): Promise<Float64Array2d> =>
  zarr.open.v3(new FileSystemStore(folder), { kind: "array" }) as Promise<Float64Array2d>;
const create = (folder: string, shape: number[], chunkShape: number[]): Promise<Float64Array2d> =>
  zarr.create(new FileSystemStore(folder), { shape, chunkShape, dtype: "float64" });

/** What each process does: it reads chunk after chunk into a window that begins at a row of the file. */
async function readChunks(
  file: string,
  firstRow: number,
  window: shm.SharedMemoryDescriptor<"float64">,
  counter: shm.SharedMemoryDescriptor<"int32">,
): Promise<void> {
  using mine = shm.SharedMemoryArray.from(window);
  using counting = shm.SharedMemoryArray.from(counter);
  const [rows, { data: next }] = [mine.load(), counting.load()];
  const array = await open(file);
  const [height, width] = array.chunks;
  const across = Math.ceil(array.shape[1] / width);
  while (true) {
    const chunk = Atomics.add(next, 0, 1); // nobody else gets this one
    const [top, left] = [Math.floor(chunk / across) * height, chunk % across * width];
    if (top >= rows.shape[0]) return;
    const { data, shape, stride } = await array.getChunk([(firstRow + top) / height, left / width]);
    // At the edges the array ends before the chunk does, and so do slices.
    const part = rows.slice(shm.slice(top, top + height), shm.slice(left, left + width));
    const [down, right] = part.shape;
    part.assign(new shm.NDArray(data, { shape, stride }).slice(`:${down}`, `:${right}`));
  }
}

async function main(from: string, to: string, rowsAtOnce: number): Promise<void> {
  const { shape: [height, width], chunks } = await open(from);
  const output = await create(to, [height, width], chunks);
  const rows = Math.ceil(rowsAtOnce / chunks[0]) * chunks[0]; // whole chunks
  using register = new shm.SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using whole = shm.createAndRegisterSma([rows, width], "float64", register, "zarr");
  using counter = shm.createAndRegisterSma(1, "int32", register, "zarr");
  const sums = new Float64Array(width);
  for (let first = 0; first < height; first += rows) {
    // The last window may be shorter.
    using shown = shm.SharedMemoryArray.clone(whole, { arraySlice: [`:${height - first}`] });
    counter.array!.fill(0);
    const job = JSON.stringify([from, first, shown, counter]);
    const args = ["run", "--allow-ffi", "--allow-read", import.meta.url, job];
    const ended = [1, 2, 3].map(() => new Deno.Command("deno", { args }).spawn().status);
    if (!(await Promise.all(ended)).every(({ success }) => success)) {
      throw new Error(`Cannot read ${from}`);
    }
    const summed = shown.load();
    for (const row of summed.rows()) {
      const line = row.subarray();
      for (let i = 0; i < width; i++) line[i] = sums[i] += line[i];
    }
    const place = [zarr.slice(first, first + summed.shape[0]), null];
    // One process writes: where two write one chunk, one of them loses.
    await zarr.set(output, place, {
      data: summed.subarray(),
      shape: summed.shape.slice(),
      stride: summed.stride.slice(),
    });
  }
  console.log(`The sums of ${height} rows: ${sums.slice(0, 3).join(", ")}, …`);
}

if (Deno.args.length === 1) {
  await readChunks(...JSON.parse(Deno.args[0]) as Parameters<typeof readChunks>);
} else if (Deno.args.length > 1) {
  await main(Deno.args[0], Deno.args[1], Number(Deno.args[2] ?? 1024));
} else { // an array of its own, in a folder that is removed
  const folder = await Deno.makeTempDir();
  await zarr.set(await create(`${folder}/in`, [1000, 700], [256, 128]), null, 1);
  await main(`${folder}/in`, `${folder}/out`, 300).finally(() =>
    Deno.remove(folder, { recursive: true })
  );
}
