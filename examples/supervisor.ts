// Keeps workers running: each may do no more than it must, is started again when it dies, and ends in good order.
// Two workers square numbers. One number kills its worker, the others are answered, and Ctrl-C ends all of it.
// Run it: deno run --allow-ffi --allow-run=deno examples/supervisor.ts
// It prints the death of a worker, the answers 1, 4, 9 and 16, and that all have ended.

import { type QueueDescriptor, SharedMemoryQueue } from "@shm/array/queue";
import { exitWithParent } from "@shm/array/sync";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Keeps one worker running, until it ends with code 0 or `signal` is aborted. Then it is asked to end (SIGTERM), and
 * killed if it has not ended `grace` milliseconds later. One that dies is started again, later and later if it dies
 * soon.
 */
export async function supervise(args: string[], signal: AbortSignal, grace = 5000): Promise<void> {
  for (let delay = 100; !signal.aborted; delay = Math.min(2 * delay, 30_000)) {
    const start = performance.now();
    // The worker is told who its parent is, for exitWithParent().
    const worker = new Deno.Command("deno", { args: [...args, `${Deno.pid}`] }).spawn();
    const kill = (name: "SIGTERM" | "SIGKILL"): void => {
      try {
        worker.kill(name);
      } catch {
        // It has ended just now.
      }
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = (): void => {
      kill("SIGTERM");
      timer = setTimeout(kill, grace, "SIGKILL");
    };
    signal.addEventListener("abort", end);
    const { success, code, signal: killedBy } = await worker.status;
    signal.removeEventListener("abort", end);
    clearTimeout(timer);
    if (success || signal.aborted) return;
    if (performance.now() - start > 60_000) delay = 100; // it was not started in vain
    console.log(`A worker ended by ${killedBy ?? `code ${code}`}; the next starts in ${delay} ms`);
    await sleep(delay, null, { signal }).catch(() => {}); // ends early if the signal is aborted
  }
}

async function main(): Promise<void> {
  const signal = abortedBySignals();
  using queue = SharedMemoryQueue.createAnonymous(8);
  const args = ["run", "--no-prompt", "--allow-ffi", import.meta.url, JSON.stringify(queue)];
  const workers = [1, 2].map(() => supervise(args, signal));

  const answers = [1, 2, 3, 4].map((n) => queue.call(n, { signal }));
  for (const answer of await Promise.allSettled(answers)) {
    console.log(answer.status === "fulfilled" ? `Answer: ${answer.value}` : `${answer.reason}`);
  }
  queue.end();
  await Promise.all(workers);
  console.log("All workers have ended.");
}

/** Ctrl-C in a terminal goes to the workers, too. */
export function abortedBySignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => controller.abort());
  }
  return controller.signal;
}

async function work(descriptor: QueueDescriptor, parent: number): Promise<void> {
  exitWithParent(parent);
  using queue = SharedMemoryQueue.from(descriptor).load();
  await queue.serve(({ message, attempt }) => {
    if (message === 3 && attempt === 1) Deno.exit(70);
    return message ** 2;
  }, { signal: abortedBySignals() }); // what is at work is finished
}

if (import.meta.main && Deno.args.length === 0) await main();
else if (import.meta.main) await work(JSON.parse(Deno.args[0]), Number(Deno.args[1]));
