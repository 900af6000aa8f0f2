// Puts the tiles of a raster into the queue, and waits until nodes, however many, are done with them.
// Run it: deno run -A examples/cluster/submit.ts FOLDER

import { Queue } from "bullmq";
import * as zarr from "zarrita";
import { ProgressBar } from "../demo/progress.ts";
import { BORDER } from "./hillshade.ts";
import { connect, queueOf, rootOf } from "./shared.ts";

const [folder] = Deno.args;
const root = rootOf(folder);
const heights = root.resolve("heights");
const { shape, chunks: chunkShape } = await zarr.open.v3(heights, { kind: "array" });
const [height, width] = shape.map((n) => n - 2 * BORDER);
await zarr.create(root.resolve("shade"), { shape: [height, width], chunkShape, dtype: "uint8" });

const tiles = [];
for (let top = 0; top < height; top += chunkShape[0]) {
  for (let left = 0; left < width; left += chunkShape[1]) {
    // What is in the queue already is not added: after Ctrl-C, submit again.
    const opts = { jobId: `${top}-${left}`, attempts: 5, backoff: 1000 };
    tiles.push({ name: "tile", data: [top, left], opts });
  }
}
const redis = connect();
const queue = new Queue(queueOf(folder), { connection: redis });
queue.on("error", ({ message }) => console.error(`submit: ${message}`));
await queue.addBulk(tiles);

let [done, failed] = [0, 0];
const bar = new ProgressBar("shading", () => done / tiles.length);
while (done + failed < tiles.length) {
  await new Promise((resume) => setTimeout(resume, 200));
  ({ completed: done, failed } = await queue.getJobCounts("completed", "failed"));
}
bar[Symbol.dispose]();
for (const { id, failedReason } of await queue.getFailed()) console.error(`${id}: ${failedReason}`);
const jobs = await queue.getCompleted();
const again = jobs.filter(({ attemptsStarted }) => attemptsStarted > 1).length;
const nodes = new Set(jobs.map(({ returnvalue }) => returnvalue)).size;
console.log(`${done} tiles by ${nodes} nodes, ${again} of them not at the first attempt`);
await queue.obliterate({ force: true });
await queue.close();
redis.disconnect();
await Deno.remove(`${folder}/unfinished`, { recursive: true }); // of nodes that were killed
if (failed > 0) Deno.exit(1);
