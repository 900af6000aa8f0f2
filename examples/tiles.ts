// A median filter over a picture of 4000 × 3000: workers take its tiles from a queue, and are killed at random.
// No tile is lost or counted twice. It prints the progress and a histogram, and writes filtered.npy.
// Run it: deno run --allow-ffi --allow-run=deno --allow-write examples/tiles.ts [WIDTH HEIGHT FILE]

import { createAndRegisterSma, type NDArray, SharedMemoryRegister, shmarrayWrap } from "@shm/array";
import { writeNpy } from "@shm/array/npy";
import { SharedMemoryQueue } from "@shm/array/queue";
import { exitWithParent } from "@shm/array/sync";

const SIZE = 250; // of a tile

async function main(width: number, height: number, file: string): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"], uncaught: true });
  using pictures = createAndRegisterSma([2, height, width], "uint8", register, "tiles");
  using queue = SharedMemoryQueue.createAnonymous(16);
  const [noisy, filtered] = pictures.array!.rows();
  const pixels = noisy.subarray();
  for (let i = 0; i < pixels.length; i++) pixels[i] = i % 17 === 0 ? 255 : i % width / width * 200;

  // A worker is told where the queue and the pictures are: descriptions, a few bytes each.
  const args = ["run", "--allow-ffi", import.meta.url, JSON.stringify({ queue, pictures })];
  const workers: Deno.ChildProcess[] = [];
  async function keepWorker(i: number): Promise<void> {
    workers[i] = new Deno.Command("deno", { args: [...args, `${Deno.pid}`] }).spawn();
    const { success, signal } = await workers[i].status;
    if (signal === "SIGKILL") return await keepWorker(i);
    if (!success && signal === null) throw new Error("a worker has failed");
  }
  const ends = [0, 1, 2].map(keepWorker);

  const [columns, rows] = [width, height].map((pixels) => Math.ceil(pixels / SIZE));
  const histogram = new Uint32Array(8);
  let done = 0;
  await Promise.all(Array.from({ length: columns * rows }, async (_, i) => {
    const corner = { top: Math.floor(i / columns) * SIZE, left: i % columns * SIZE };
    const counts = await queue.call<number[]>(corner, { attempts: 30 });
    counts.forEach((count, bin) => histogram[bin] += count);
    if (++done % 16 !== 0) return;
    console.log(`${done} of ${columns * rows} tiles are done; a worker is killed`);
    workers[Math.floor(Math.random() * workers.length)].kill("SIGKILL");
  }));
  queue.end();
  await Promise.all(ends);
  histogram.forEach((count, bin) => console.log(`${bin * 32} to ${bin * 32 + 31}: ${count}`));
  writeNpy(file, filtered);
}

/** Filters a tile, and counts its shades in steps of 32. Whoever does it again does the same. */
const filter = shmarrayWrap((pictures: NDArray<"uint8">, top: number, left: number): number[] => {
  const [from, to] = pictures.rows();
  const [height, width] = from.shape;
  const counts = new Array(8).fill(0);
  const { min, max } = Math;
  const mid = (a: number, b: number, c: number): number => max(min(a, b), min(max(a, b), c));
  const row = (y: number): Uint8Array => from.slice(min(max(y, 0), height - 1)).subarray();
  for (let y = top; y < min(top + SIZE, height); y++) {
    const [a, b, c, result] = [row(y - 1), row(y), row(y + 1), to.slice(y).subarray()];
    for (let x = left; x < min(left + SIZE, width); x++) {
      const [w, e] = [max(x - 1, 0), min(x + 1, width - 1)];
      const low = max(min(a[w], b[w], c[w]), min(a[x], b[x], c[x]), min(a[e], b[e], c[e]));
      const middle = mid(mid(a[w], b[w], c[w]), mid(a[x], b[x], c[x]), mid(a[e], b[e], c[e]));
      const high = min(max(a[w], b[w], c[w]), max(a[x], b[x], c[x]), max(a[e], b[e], c[e]));
      counts[(result[x] = mid(low, middle, high)) >> 5]++;
    }
  }
  return counts;
});

const [first = "4000", second = "3000", file = "filtered.npy"] = Deno.args;
if (first.startsWith("{")) {
  const { queue, pictures } = JSON.parse(first);
  exitWithParent(Number(second));
  using tiles = SharedMemoryQueue.from(queue).load();
  await tiles.serve(({ message }) => filter(pictures, message.top, message.left));
} else await main(Number(first), Number(second), file);
