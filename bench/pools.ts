/**
 * What it costs to give a task to a pool of processes: by npm workerpool, as `examples/pool.ts` does, and
 * by a counter in shared memory, as `examples/worker_pool.ts` does. Prints microseconds a task; the
 * tasks do next to nothing, so that what is measured is their way to the worker and back.
 *
 * @module
 */

import {
  createAndRegisterSma,
  type NDArray,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
  shmarrayWrap,
} from "@shm/array";
import workerpool from "workerpool";
import { type Contestant, expectSame, interleave, quantile } from "./measure.ts";

const WORKERS = 2;
/** How many tasks each process takes by the counter in a round. */
const COUNTED = 200_000;

type Ints = SharedMemoryDescriptor<"int32">;
const first = shmarrayWrap((array: NDArray<"int32">): number => array.data[0]);

const tasks = {
  empty(): void {},

  attach: (array: Ints): number => first(SharedMemoryArray.from(array)),

  /** Takes tasks by the counter at index 1, together with the others. */
  count(array: Ints): void {
    using counter = SharedMemoryArray.from(array);
    const { data } = counter.load();
    for (let i = 0; i < COUNTED; i++) Atomics.add(data, 1, 1);
  },
};

async function main(): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using array = createAndRegisterSma(1024, "int32", register, "bench");
  array.array!.set(0, 7);
  const pool = workerpool.pool(import.meta.filename, {
    workerType: "process",
    minWorkers: WORKERS,
    maxWorkers: WORKERS,
  });
  const all = (count: number, task: string, parameters: unknown[]): Promise<unknown[]> =>
    Promise.all(Array.from({ length: count }, () => pool.exec(task, parameters)));
  try {
    await all(10 * WORKERS, "empty", []);
    expectSame("a task with an array", await pool.exec("attach", [array]), 7);
    const contestants: [name: string, run: Contestant][] = [
      [
        "workerpool: empty tasks, one after the other",
        perTask(200, async () => {
          for (let i = 0; i < 200; i++) await pool.exec("empty");
        }),
      ],
      [
        "workerpool: tasks that attach an array by shmarrayWrap",
        perTask(200, async () => {
          for (let i = 0; i < 200; i++) await pool.exec("attach", [array]);
        }),
      ],
      [
        "workerpool: 1000 of these handed out at once",
        perTask(1000, () => all(1000, "attach", [array])),
      ],
      [
        "counter in shared memory, both processes at it",
        perTask(WORKERS * COUNTED, () => all(WORKERS, "count", [array])),
      ],
      [
        "a process of its own for each task",
        perTask(5, async () => {
          for (let i = 0; i < 5; i++) {
            const args = [
              "run",
              "--allow-ffi",
              "--no-config",
              new URL("peers/start_empty.ts", import.meta.url).href,
            ];
            await new Deno.Command(Deno.execPath(), { args }).output();
          }
        }),
      ],
    ];
    const times = await interleave(contestants.map(([, run]) => run), { rounds: 15 });
    for (const [i, [name]] of contestants.entries()) {
      const [low, middle, high] = [0.25, 0.5, 0.75].map((share) =>
        quantile(times[i], share) / 1000
      );
      const digits = (value: number): string => value.toPrecision(3);
      console.log(`${name}: ${digits(middle)} µs a task [${digits(low)} … ${digits(high)}]`);
    }
    const taken = Atomics.load(array.array!.data, 1);
    expectSame("tasks by the counter", taken, 18 * WORKERS * COUNTED);
  } finally {
    await pool.terminate();
  }
}

function perTask(count: number, run: () => Promise<unknown>): Contestant {
  return async () => {
    const start = performance.now();
    await run();
    return (performance.now() - start) * 1e6 / count;
  };
}

if (workerpool.isMainThread) await main();
else workerpool.worker(tasks);
