// A pool of processes by npm workerpool: tiles of one shared picture, results, a time limit, an error,
// and a worker that is killed in the middle. docs/pools.md says when this is better than no library.
// Run it: deno run --allow-ffi --allow-run=deno --allow-env --allow-read --allow-sys examples/pool.ts
// It prints how many pixels are in the set, what became of three bad tasks, and the same number once more.

import {
  createAndRegisterSma,
  type NDArray,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
  shmarrayWrap,
  slice,
} from "@shm/array";
import { exitWithParent } from "@shm/array/sync";
import workerpool from "workerpool";

const SIZE = 512;
const TILE = 128;

/** What the workers do. Arrays come as JSON describes them; what is returned goes back as JSON, too. */
const tasks = {
  /** Draws a tile, and tells how many of its pixels are in the Mandelbrot set. */
  draw: (tile: SharedMemoryDescriptor<"uint8">, top: number, left: number): number =>
    drawTile(SharedMemoryArray.from(tile), top, left),

  /** Never ends by itself. */
  hang(): void {
    while (true);
  },

  fail(tile: number): void {
    throw new RangeError(`Cannot draw tile ${tile}: there are ${(SIZE / TILE) ** 2}`);
  },

  /** Is killed in the middle of a tile, as the kernel does where memory is short. */
  die: (tile: SharedMemoryDescriptor<"uint8">): void => spoilTile(SharedMemoryArray.from(tile)),
};

/** The wrapper attaches the tile before the call and closes it after it, also where the call throws. */
const drawTile = shmarrayWrap((tile: NDArray<"uint8">, top: number, left: number): number => {
  let inside = 0;
  const [rows, columns] = tile.shape;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const steps = escapeTime(3 * (left + column) / SIZE - 2.1, 3 * (top + row) / SIZE - 1.5);
      tile.set(row, column, steps);
      if (steps === 255) inside++;
    }
  }
  return inside;
});

const spoilTile = shmarrayWrap((tile: NDArray<"uint8">): void => {
  tile.slice(":64").fill(7);
  Deno.kill(Deno.pid, "SIGKILL");
});

function escapeTime(x: number, y: number): number {
  let [re, im, steps] = [0, 0, 0];
  while (re * re + im * im < 4 && steps < 255) {
    [re, im] = [re * re - im * im + x, 2 * re * im + y];
    steps++;
  }
  return steps;
}

async function main(): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using picture = createAndRegisterSma([SIZE, SIZE], "uint8", register, "workerpool");
  const pool = workerpool.pool(import.meta.filename, {
    workerType: "process",
    maxWorkers: 3,
    // A task beyond its time limit goes on until its worker is killed: twice this later, in milliseconds.
    workerTerminateTimeout: 100,
    forkOpts: { execPath: "deno" },
  });
  try {
    const corners = Array.from({ length: (SIZE / TILE) ** 2 }, (_, i) => {
      const left = i * TILE % SIZE;
      return [(i * TILE - left) / SIZE * TILE, left];
    });
    const draw = async ([top, left]: number[]): Promise<number> => {
      const rows = slice(top, top + TILE);
      const columns = slice(left, left + TILE);
      const tile = SharedMemoryArray.clone(picture, { arraySlice: [rows, columns] });
      return await pool.exec("draw", [tile, top, left]);
    };
    const counts = await Promise.all(corners.map(draw));
    const inside = counts.reduce((a, b) => a + b);
    const drawn = [...picture.array!].filter((shade) => shade === 255).length;
    console.log(`${counts.length} tiles: ${inside} pixels in the set, ${drawn} in the picture`);

    console.log("A task that hangs: ", await failure(pool.exec("hang").timeout(500)));
    console.log("A task that throws:", await failure(pool.exec("fail", [99])));
    console.log("A killed worker:   ", await failure(pool.exec("die", [picture])));

    // Those who hung and died have been replaced, and a tile that was spoilt is drawn again.
    const again = await Promise.all(corners.map(draw));
    console.log(`Once more: ${again.reduce((a, b) => a + b)} pixels in the set`);
  } finally {
    await pool.terminate();
  }
}

/** The class and the first line of the error that a promise is rejected with. */
async function failure(task: PromiseLike<unknown>): Promise<string> {
  try {
    return `no error, but ${await task}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const name = error.name === "Error" ? error.constructor.name : error.name;
    return `${name}: ${error.message.split("\n")[0]}`;
  }
}

/** Workerpool sends an error's own properties only: without this, its class is lost on the way. */
function named<Task extends (...args: never[]) => unknown>(task: Task): Task {
  const call = async (...args: never[]): Promise<unknown> => {
    try {
      return await task(...args);
    } catch (error) {
      if (error instanceof Error) Object.defineProperty(error, "name", { value: error.name });
      throw error;
    }
  };
  return call as Task;
}

if (workerpool.isMainThread) {
  await main();
} else {
  // Deno does not always tell workers that the main process was killed (denoland/deno#35961).
  exitWithParent();
  workerpool.worker(
    Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, named(task)])),
  );
}
