// A pool of worker processes draws the rows of one shared picture: a free worker takes the next row.
// The workers send nothing back: they draw the rows in place, and a shared counter tells the next row.
// Run it: deno run --allow-ffi --allow-run=deno examples/worker_pool.ts
// It prints the picture, and beside each row which worker drew it.

import {
  createAndRegisterSma,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
} from "@shm/array";

const WORKERS = 3;
const SHADES = " .:-=+*%@#";

/** The message that a worker gets, once, as JSON: descriptions of arrays, a few bytes each. */
interface Job {
  id: number;
  picture: SharedMemoryDescriptor<"uint8">;
  /** The number of the next row. */
  next: SharedMemoryDescriptor<"int32">;
  /** For each row, the worker that drew it. */
  drawnBy: SharedMemoryDescriptor<"uint8">;
}

async function main(): Promise<void> {
  // Removes the segments when this function ends, however it ends, and at Ctrl-C.
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using picture = createAndRegisterSma([24, 72], "uint8", register, "pool");
  using next = createAndRegisterSma(1, "int32", register, "pool");
  using drawnBy = createAndRegisterSma(24, "uint8", register, "pool");

  const workers = Array.from({ length: WORKERS }, (_, i) => {
    // An instance is plain data to JSON.
    const job: Job = { id: i + 1, picture, next, drawnBy };
    return new Deno.Command("deno", {
      args: ["run", "--allow-ffi", import.meta.url, JSON.stringify(job)],
    }).spawn();
  });
  for (const worker of workers) {
    const { success } = await worker.status;
    if (!success) throw new Error(`worker ${worker.pid} failed`);
  }

  const pixels = picture.array!;
  for (let row = 0; row < pixels.shape[0]; row++) {
    const line = [...pixels.slice(row)].map((shade) => SHADES[shade]).join("");
    console.log(`${line}  worker ${drawnBy.array!.get(row)}`);
  }
  console.log(`${pixels.shape[0]} rows by ${WORKERS} processes; no pixel was copied or sent.`);
}

function work(job: Job): void {
  using picture = SharedMemoryArray.from(job.picture);
  using next = SharedMemoryArray.from(job.next);
  using drawnBy = SharedMemoryArray.from(job.drawnBy);
  const pixels = picture.load();
  const counter = next.load();
  const owners = drawnBy.load();
  const [height, width] = pixels.shape;
  while (true) {
    // Atomic between processes, too: no row is taken twice, and none is left out.
    const row = Atomics.add(counter.data, counter.index(0), 1);
    if (row >= height) return;
    // A row of a picture is contiguous: a plain typed array, at full speed.
    drawRow(pixels.slice(row).subarray(), (row / (height - 1)) * 2.4 - 1.2, width);
    owners.set(row, job.id);
  }
}

/** Draws one row of the Mandelbrot set. */
function drawRow(row: Uint8Array, y: number, width: number): void {
  for (let column = 0; column < width; column++) {
    const x = (column / (width - 1)) * 3 - 2.1;
    let [re, im, steps] = [0, 0, 0];
    while (re * re + im * im < 4 && steps < 100_000) {
      [re, im] = [re * re - im * im + x, 2 * re * im + y];
      steps++;
    }
    row[column] = Math.min(SHADES.length - 1, Math.floor(Math.log2(steps)));
  }
}

if (Deno.args.length === 0) await main();
else work(JSON.parse(Deno.args[0]));
