// A model behind HTTP: each request goes to one of two workers, 503 says that all is full, 504 that time is up.
// One worker is killed while it has a request, which the other one answers; one hangs, and is killed and replaced.
// Run it: deno run --allow-ffi --allow-run=deno --allow-net=127.0.0.1 examples/inference.ts [MILLISECONDS]
// It prints the answer and the status of each: 200, 200 at the second attempt, 504, and 503 for some of 20 at once.

import { createAndRegisterSma, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { exitWithParent } from "@shm/array/sync";

const [CLASSES, FEATURES, SLOTS] = [10, 784, 4];

async function main(timeout: number): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"], uncaught: true });
  using weights = createAndRegisterSma([CLASSES, FEATURES], "float32", register, "inference");
  using inputs = createAndRegisterSma([SLOTS, FEATURES], "float32", register, "inference");
  using queue = SharedMemoryQueue.createAnonymous(SLOTS);
  for (let i = 0; i < FEATURES; i++) weights.array!.set(i % CLASSES, i, 1); // the training

  const workers = new Map<number | undefined, Deno.ChildProcess>();
  const job = JSON.stringify({ parent: Deno.pid, weights, inputs, queue });
  async function startWorker(): Promise<void> {
    const args = ["run", "--allow-ffi", import.meta.url, job];
    const worker = new Deno.Command("deno", { args, stdout: "piped" }).spawn();
    workers.set(worker.pid, worker);
    worker.status.then(({ success, signal }) => {
      workers.delete(worker.pid);
      if (signal === "SIGKILL") return startWorker();
      if (!success && signal === null) throw new Error("a worker has failed");
    });
    for await (const _ready of worker.stdout) break;
  }
  await Promise.all([startWorker(), startWorker()]);

  async function answer(request: Request): Promise<Response> {
    try {
      const features = new Float32Array(await request.arrayBuffer());
      const result = await queue.call((slot) => {
        inputs.array!.slice(slot).assign(features);
        return new URL(request.url).search;
      }, { timeout, full: "throw" });
      return Response.json(result);
    } catch (error) {
      if (error instanceof RangeError) return new Response(error.message, { status: 400 });
      if (error instanceof Deno.errors.Busy) return new Response("try again", { status: 503 });
      if (!(error instanceof DOMException)) throw error;
      workers.get((error as { pid?: number }).pid)?.kill("SIGKILL"); // the one that has it still
      return new Response("time is up", { status: 504 });
    }
  }
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);

  // The clients. What follows "?" is how the worker fails.
  const { port } = server.addr;
  const body = Float32Array.from({ length: FEATURES }, (_, i) => i % CLASSES === 7 ? 1 : 0);
  async function ask(failure: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${port}/?${failure}`, { method: "POST", body });
    return `${response.status} ${await response.text()}`;
  }
  console.log("A request:       ", await ask(""));
  const stalls = ask("stall");
  while (!queue.holders()[0]?.pid) await new Promise((resume) => setTimeout(resume, 5));
  workers.get(queue.holders()[0].pid)?.kill("SIGKILL");
  console.log("Its worker dies: ", await stalls);
  console.log("Its worker hangs:", await ask("hang"));
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask("slow")));
  const count = (status: string) => answers.filter((text) => text.startsWith(status)).length;
  console.log(`20 at once:       200 for ${count("200")}, 503 for ${count("503")}`);
  queue.end();
  await Promise.all([...workers.values()].map(({ status }) => status));
}

async function work(job: string): Promise<void> {
  const { parent, weights, inputs, queue } = JSON.parse(job);
  exitWithParent(parent);
  using model = SharedMemoryArray.from(weights, "float32");
  using slots = SharedMemoryArray.from(inputs, "float32");
  using requests = SharedMemoryQueue.from(queue).load();
  const rows = [...model.load({ access: "copy-on-write" }).rows()].map((row) => row.subarray());
  const pictures = slots.load();
  console.log("ready");
  await requests.serve(async ({ message, slot, attempt }) => {
    while (message === "?hang" || message === "?stall" && attempt === 1);
    if (message === "?slow") await new Promise((resume) => setTimeout(resume, 100));
    const picture = pictures.slice(slot).subarray();
    const scores = rows.map((row) => row.reduce((sum, weight, i) => sum + weight * picture[i], 0));
    return { label: scores.indexOf(Math.max(...scores)), attempt };
  });
}

if (Deno.args[0]?.startsWith("{")) await work(Deno.args[0]);
else await main(Number(Deno.args[0] ?? 1000));
