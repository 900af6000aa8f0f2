// One machine's share of the work: takes tiles from the queue, and shades them by its own processes.
// Run it: deno run -A examples/cluster/node.ts FOLDER [PROCESSES]

import { createAndRegisterSma, NDArray, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { Worker } from "bullmq";
import workerpool from "workerpool";
import * as zarr from "zarrita";
import { BORDER } from "./hillshade.ts";
import { connect, queueOf, rootOf } from "./shared.ts";

const [folder, processes = navigator.hardwareConcurrency] = Deno.args;
// A node that gives no sign of life for so many seconds loses its tiles to others.
const patience = 1000 * Number(Deno.env.get("PATIENCE") ?? 30);

// What a killed node left on this machine goes. The README says where this would be wrong.
SharedMemoryArray.prune({ prefix: "cluster", olderThan: 0 });
using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
const pool = workerpool.pool(new URL("hillshade.ts", import.meta.url).pathname, {
  workerType: "process",
  maxWorkers: Number(processes),
});
const root = rootOf(folder);
const from = await zarr.open.v3(root.resolve("heights"), { kind: "array" });
const to = await zarr.open.v3(root.resolve("shade"), { kind: "array" });
const [size] = to.chunks;

/** Memory for two tiles: while one is read or written, all processes compute the other. */
const places = [1, 2].map(() => ({
  heights: createAndRegisterSma(
    [size + 2 * BORDER, size + 2 * BORDER],
    "float32",
    register,
    "cluster",
  ),
  shade: createAndRegisterSma([size, size], "uint8", register, "cluster"),
}));

/** Idempotent: if two nodes shade one tile at once, either leaves the same file. */
async function shadeTile([top, left]: number[], { heights, shade }: typeof places[0]) {
  const [rows, columns] = [Math.min(size, to.shape[0] - top), Math.min(size, to.shape[1] - left)];
  const [high, wide] = [rows + 2 * BORDER, columns + 2 * BORDER];
  const ground = await zarr.get(from, [zarr.slice(top, top + high), zarr.slice(left, left + wide)]);
  const view = new NDArray(ground.data as Float32Array, ground);
  heights.array!.slice(`:${high}`, `:${wide}`).assign(view);
  const strips = Array.from({ length: Number(processes) }, (_, i) => {
    const [y, end] = [i, i + 1].map((n) => Math.floor(n * rows / Number(processes)));
    return pool.exec("hillshade", [
      SharedMemoryArray.clone(heights, { arraySlice: [`${y}:${end + 2 * BORDER}`, `:${wide}`] }),
      SharedMemoryArray.clone(shade, { arraySlice: [`${y}:${end}`, `:${columns}`] }),
      from.attrs.spacing,
    ]);
  });
  await Promise.allSettled(strips); // none writes any more when the memory is used again
  await Promise.all(strips);
  const place = [zarr.slice(top, top + rows), zarr.slice(left, left + columns)];
  await zarr.set(to, place, { data: shade.array!.data, shape: [rows, columns], stride: [size, 1] });
}

const worker = new Worker(queueOf(folder), async ({ data, attemptsStarted }) => {
  if (attemptsStarted > 1) console.log(`tile ${data} again`);
  const place = places.pop()!;
  await shadeTile(data, place).finally(() => places.push(place));
  return `${Deno.hostname()} ${Deno.pid}`;
}, {
  connection: connect(),
  concurrency: places.length,
  lockDuration: patience,
  stalledInterval: patience,
  maxStalledCount: 100, // a tile is no worse for having been on a machine that died
  runRetryDelay: 1000, // while Redis is away
  autorun: false,
});
worker.on("error", ({ message }) => console.error(`node: ${message}`));
console.log("ready");
await worker.run();
