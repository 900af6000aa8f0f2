// Adds each row of a 2-d Zarr array to those above it, in a window of shared memory: processes with one
// counter read the chunks into it, and write them back. The array may be larger than /dev/shm.
// Run it: deno run --allow-ffi --allow-run=deno --allow-read --allow-write examples/zarr.ts [IN OUT ROWS]

import * as shm from "@shm/array";
import FileSystemStore from "@zarrita/storage/fs";
import * as zarr from "zarrita";

interface Job {
  file: string;
  write: boolean;
  /** Which row of the file the window begins at. */
  firstRow: number;
  window: shm.SharedMemoryDescriptor<"float64">;
  counter: shm.SharedMemoryDescriptor<"int32">;
}

/** What each process does: copies chunk after chunk between the file and the window. */
async function copyChunks({ file, write, firstRow, ...arrays }: Job): Promise<void> {
  using shown = shm.SharedMemoryArray.from(arrays.window);
  using counter = shm.SharedMemoryArray.from(arrays.counter);
  const [rows, { data: next }] = [shown.load(), counter.load()];
  const array = await open(file);
  const [height, width] = array.chunks;
  const across = Math.ceil(rows.shape[1] / width);
  while (true) {
    const chunk = Atomics.add(next, 0, 1); // nobody else gets this one
    const [top, left] = [Math.floor(chunk / across) * height, chunk % across * width];
    if (top >= rows.shape[0]) return;
    // At the edges the array ends before the chunk does, and so do slices.
    const part = rows.slice(shm.slice(top, top + height), shm.slice(left, left + width));
    const [y, x, down, right] = [firstRow + top, left, ...part.shape];
    if (write) {
      const data = part.data.subarray(part.offset); // zarrita does not look at our offset
      const place = [zarr.slice(y, y + down), zarr.slice(x, x + right)];
      await zarr.set(array, place, { data, shape: [down, right], stride: [...part.stride] });
    } else {
      const { data, shape, stride } = await array.getChunk([y / height, x / width]);
      part.assign(new shm.NDArray(data, { shape, stride }).slice(`:${down}`, `:${right}`));
    }
  }
}

/** Three processes share the chunks of a window. */
async function inProcesses(job: Job): Promise<void> {
  using counter = shm.SharedMemoryArray.from(job.counter);
  counter.load().fill(0);
  const args = ["run", "--allow-ffi", "--allow-read", "--allow-write", import.meta.url];
  const command = new Deno.Command("deno", { args: [...args, JSON.stringify(job)] });
  const ended = await Promise.all([1, 2, 3].map(() => command.spawn().status));
  if (!ended.every(({ success }) => success)) throw new Error(`Cannot copy ${job.file}`);
}

async function main(from: string, to: string, rowsAtOnce: number): Promise<void> {
  const { shape, chunks } = await open(from);
  await create(to, shape, chunks);
  const rows = Math.ceil(rowsAtOnce / chunks[0]) * chunks[0]; // whole chunks
  using register = new shm.SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using whole = shm.createAndRegisterSma([rows, shape[1]], "float64", register, "zarr");
  using counter = shm.createAndRegisterSma(1, "int32", register, "zarr");
  const sums = new Float64Array(shape[1]);
  for (let firstRow = 0; firstRow < shape[0]; firstRow += rows) {
    const arraySlice = [shm.slice(0, shape[0] - firstRow)]; // the last window may be shorter
    using shown = shm.SharedMemoryArray.clone(whole, { arraySlice });
    await inProcesses({ file: from, write: false, firstRow, window: shown, counter });
    const lines = shown.load();
    for (let row = 0; row < lines.shape[0]; row++) {
      const line = lines.slice(row).subarray();
      for (let i = 0; i < line.length; i++) line[i] = sums[i] += line[i];
    }
    await inProcesses({ file: to, write: true, firstRow, window: shown, counter });
  }
  console.log(`The sums of ${shape[0]} rows: ${sums.slice(0, 3).join(", ")}, …`);
}

type Float64File = zarr.Array<"float64", FileSystemStore>;
const open = (folder: string): Promise<Float64File> =>
  zarr.open.v3(new FileSystemStore(folder), { kind: "array" }) as Promise<Float64File>;
const create = (folder: string, shape: number[], chunkShape: number[]): Promise<Float64File> =>
  zarr.create(new FileSystemStore(folder), { shape, chunkShape, dtype: "float64" });

if (Deno.args.length === 1) await copyChunks(JSON.parse(Deno.args[0]));
else if (Deno.args.length > 1) await main(Deno.args[0], Deno.args[1], Number(Deno.args[2] ?? 1024));
else { // an array of its own, in a folder that is removed
  const folder = await Deno.makeTempDir();
  const ones = await create(`${folder}/in`, [1000, 700], [256, 128]);
  await zarr.set(ones, null, 1);
  await main(`${folder}/in`, `${folder}/out`, 300).finally(() =>
    Deno.remove(folder, { recursive: true })
  );
}
