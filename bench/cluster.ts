/**
 * How `examples/cluster/` grows on one machine: tiles a second with 1, 2 and 4 nodes of one process each,
 * and what a tile costs beside its computation. Needs `redis-server`, and starts one of its own.
 *
 * @module
 */

import { NDArray } from "@shm/array";
import { type JobsOptions, Queue, Worker } from "bullmq";
import * as zarr from "zarrita";
import { until } from "../tests/helpers/helpers.ts";
import { Redis } from "../tests/helpers/redis.ts";
import { hillshade } from "../examples/cluster/hillshade.ts";
import { connect, rootOf } from "../examples/cluster/shared.ts";
import { quantile } from "./measure.ts";

const TILE = 512;
const WIDTH = 3500;

async function main(folder: string): Promise<void> {
  const server = new Redis(folder);
  await server.start();
  Deno.env.set("REDIS_URL", server.url);
  const job = `${folder}/job`;
  try {
    await runExample("demo/terrain_zarr.ts", job, `${WIDTH}`, `${TILE}`).output();
    await measureParts(job);
    await measureQueue();
    for (const count of [1, 2, 4]) await measureNodes(job, count);
  } finally {
    await server.stop();
  }
}

function runExample(file: string, ...args: string[]): Deno.Command {
  const path = new URL(`../examples/${file}`, import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", path, ...args],
    stdout: "piped",
    stderr: "null",
  });
}

/** Reading, computing and writing one tile, each by itself in this process. */
async function measureParts(job: string): Promise<void> {
  const root = rootOf(job);
  const from = await zarr.open.v3(root.resolve("heights"), { kind: "array" });
  const shape = from.shape.map((n) => n - 2);
  const options = { shape, chunkShape: [TILE, TILE], dtype: "uint8" as const };
  const to = await zarr.create(root.resolve("shade"), options);
  const place = [zarr.slice(0, TILE), zarr.slice(TILE, 2 * TILE)];
  const wide = [zarr.slice(0, TILE + 2), zarr.slice(TILE, 2 * TILE + 2)];
  const ground = await zarr.get(from, wide);
  const heights = new NDArray(ground.data as Float32Array, ground);
  const shade = new NDArray(new Uint8Array(TILE * TILE), { shape: [TILE, TILE] });
  const value = { data: shade.data, shape: [TILE, TILE], stride: [TILE, 1] };
  await printTime("compute a tile", () => hillshade(heights, shade, Number(from.attrs.spacing)));
  await printTime("read it with its border, 4 chunks", () => zarr.get(from, wide));
  await printTime("write it and wait for the disk", () => zarr.set(to, place, value));
}

async function printTime(what: string, run: () => unknown): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < 30; round++) {
    const start = performance.now();
    await run();
    if (round >= 10) times.push(performance.now() - start);
  }
  console.log(`${what}: ${quantile(times, 0.5).toFixed(2)} ms`);
}

/** What the queue alone can do: jobs without work, by a worker that takes 2 and one that takes 50 at once. */
async function measureQueue(): Promise<void> {
  for (const concurrency of [2, 50]) {
    const connection = connect();
    const worker = new Worker("empty", () => Promise.resolve(), { connection, concurrency });
    await worker.waitUntilReady();
    const rate = await measureRate("empty", 2000);
    console.log(`the queue alone, ${concurrency} at once: ${rate.toFixed(0)} jobs a second`);
    await worker.close();
    connection.disconnect();
  }
}

/** Jobs a second, from the beginning of the first one to the end of the last. */
async function measureRate(name: string, count: number, data?: unknown[]): Promise<number> {
  const redis = connect();
  const queue = new Queue(name, { connection: redis });
  const opts: JobsOptions = { attempts: 5 };
  await queue.addBulk(
    Array.from({ length: count }, (_, i) => ({ name: "tile", data: data?.[i], opts })),
  );
  await until("all is done", async () => await queue.getCompletedCount() === count);
  const jobs = await queue.getCompleted();
  const begin = Math.min(...jobs.map(({ processedOn }) => processedOn!));
  const end = Math.max(...jobs.map(({ finishedOn }) => finishedOn!));
  await queue.obliterate({ force: true });
  await queue.close();
  redis.disconnect();
  return 1000 * count / (end - begin);
}

async function measureNodes(job: string, count: number): Promise<void> {
  const nodes = Array.from(
    { length: count },
    () => runExample("cluster/node.ts", job, "1").spawn(),
  );
  await Promise.all(nodes.map(async ({ stdout }) => {
    const reader = stdout.getReader();
    await reader.read(); // "ready"
    reader.releaseLock();
  }));
  const { shape } = await zarr.open.v3(rootOf(job).resolve("shade"), { kind: "array" });
  const tiles: number[][] = [];
  for (let top = 0; top < shape[0]; top += TILE) {
    for (let left = 0; left < shape[1]; left += TILE) tiles.push([top, left]);
  }
  const rates: number[] = [];
  for (let round = 0; round < 4; round++) {
    const rate = await measureRate("hillshade-job", tiles.length, tiles);
    if (round > 0) rates.push(rate);
  }
  console.log(`${count} nodes: ${quantile(rates, 0.5).toFixed(1)} tiles a second`);
  for (const node of nodes) {
    node.kill("SIGTERM");
    await node.stdout.cancel();
    await node.status;
  }
}

const folder = await Deno.makeTempDir({ prefix: "cluster-bench-" });
await main(folder).finally(() => Deno.remove(folder, { recursive: true }));
