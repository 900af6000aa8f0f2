/**
 * Small jobs by BullMQ on Redis, for `queue.ts`: one process adds them, and another one works on them. Commands are
 * "bulk N", by which N jobs are added at once, and "each N", one after another. The answer is how many nanoseconds a
 * job takes, from the first one added to the last one completed.
 *
 * @module
 */

import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { Peer } from "./peer.ts";
import { TextLineStream } from "./lines.ts";

const [role, port, name, concurrency] = Deno.args;
const connection = new Redis(Number(port), { maxRetriesPerRequest: null });
const commands = Deno.stdin.readable.pipeThrough(new TextLineStream());
const print = (text: unknown): void => console.log(`${text}`);

async function work(): Promise<void> {
  const worker = new Worker(name, (job) => Promise.resolve({ tile: job.data.tile }), {
    connection,
    concurrency: Number(concurrency),
  });
  let completed = 0;
  let wanted = Infinity;
  const look = (): void => {
    if (completed < wanted) return;
    completed -= wanted;
    wanted = Infinity;
    print("completed");
  };
  worker.on("completed", () => {
    completed++;
    look();
  });
  await worker.waitUntilReady();
  print("ready");
  for await (const count of commands) {
    wanted = Number(count);
    look();
  }
  await worker.close();
}

async function add(): Promise<void> {
  const queue = new Queue(name, { connection });
  await using worker = await Peer.start(Deno.execPath(), [
    "run",
    "-A",
    import.meta.filename!,
    "work",
    ...Deno.args.slice(1),
  ]);
  print("BullMQ");
  for await (const command of commands) {
    const [how, text] = command.split(" ");
    const count = Number(text);
    const begin = performance.now();
    const completed = worker.ask(text);
    const opts = { removeOnComplete: true };
    const jobs = Array.from(
      { length: count },
      (_, tile) => ({ name: "tile", data: { tile }, opts }),
    );
    if (how === "bulk") await queue.addBulk(jobs);
    else for (const { name, data, opts } of jobs) await queue.add(name, data, opts);
    await completed;
    print((performance.now() - begin) * 1e6 / count);
  }
  await queue.close();
}

await (role === "work" ? work() : add());
connection.disconnect();
