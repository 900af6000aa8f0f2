/**
 * One worker process of the demo.
 *
 * It reads a line of JSON with the scene, prepares, and answers with a line when it is ready. Each
 * further line is a job, with descriptors of shared arrays; the worker reads and writes their elements
 * in place, and answers with an empty object. It ends when its standard input ends, which also happens
 * when the parent dies.
 *
 * @module
 */

import { type DType, type NDArray, SharedMemoryArray, shmarrayWrap } from "@shm/array";
import { readLines } from "./lines.ts";
import { ReliefPainter } from "./relief.ts";
import { type Scene, SurfaceSampler, surfaceShape } from "./terrain.ts";

/** Which rows to compute. */
interface Rows {
  /** Where in the whole picture the rows begin that the array to write is sliced to. */
  firstRow: number;
  /** What each of them adds to the progress. */
  weight: number;
}

/** Computes the heights of some rows. */
export interface ResampleJob extends Rows {
  task: "resample";
  arrays: {
    /** The coefficients of the ground's surface. */
    surface: SharedMemoryArray<"float64">;
    /** Sliced to the rows to write. */
    heights: SharedMemoryArray<"float32">;
    /** A counter for all processes. */
    progress: SharedMemoryArray<"int32">;
  };
}

/** Computes the colours of some rows, with the shadows that all the ground around throws on them. */
export interface ShadeJob extends Rows {
  task: "shade";
  arrays: {
    surface: SharedMemoryArray<"float64">;
    /** The whole picture's, from whichever process wrote them. */
    heights: SharedMemoryArray<"float32">;
    /** Sliced to the rows to write. */
    picture: SharedMemoryArray<"uint8">;
    progress: SharedMemoryArray<"int32">;
  };
}

type Job = ResampleJob | ShadeJob;

/** The views that a wrapped function gets of a job's arrays. */
type Views<Arrays> = {
  [K in keyof Arrays]: Arrays[K] extends SharedMemoryArray<infer D extends DType> ? NDArray<D>
    : never;
};

/** Everything that is computed once, for all jobs. */
class Tools {
  readonly width: number;
  readonly sampler: SurfaceSampler;
  readonly painter: ReliefPainter;

  constructor(scene: Scene) {
    this.width = scene.width;
    this.sampler = new SurfaceSampler(scene);
    this.painter = new ReliefPainter(scene);
  }
}

/** `shmarrayWrap` attaches the arrays of a job before the call, and closes them after it. */
const resample = shmarrayWrap(
  (arrays: Views<ResampleJob["arrays"]>, job: Rows, { width, sampler }: Tools) => {
    const surface = arrays.surface.subarray();
    for (const [row, target] of strips(arrays.heights.subarray(), width)) {
      sampler.resampleRows(surface, job.firstRow + row, target);
      advance(arrays.progress, job.weight * target.length / width);
    }
  },
);

const shade = shmarrayWrap(
  (arrays: Views<ShadeJob["arrays"]>, job: Rows, { width, painter }: Tools) => {
    const surface = arrays.surface.subarray();
    const heights = arrays.heights.subarray();
    for (const [row, target] of strips(arrays.picture.subarray(), 3 * width)) {
      painter.paintRows(surface, heights, job.firstRow + row, target);
      advance(arrays.progress, job.weight * target.length / (3 * width));
    }
  },
);

/** A few rows at a time, so that the progress moves. */
function* strips<Data extends Float32Array | Uint8Array>(
  data: Data,
  pitch: number,
): Generator<[firstRow: number, rows: Data]> {
  const rows = 4;
  for (let at = 0; at < data.length; at += rows * pitch) {
    yield [at / pitch, data.subarray(at, at + rows * pitch) as Data];
  }
}

/** Several processes add to one counter: `+=` would lose some of it. */
function advance(progress: NDArray<"int32">, by: number): void {
  Atomics.add(progress.data, progress.index(0), by);
}

/** Makes arrays of the descriptors that came through the pipe. */
function readJob(line: string): Job {
  const job = JSON.parse(line);
  for (const key of Object.keys(job.arrays)) {
    job.arrays[key] = SharedMemoryArray.from(job.arrays[key]);
  }
  return job;
}

/** Runs the code for a while before the clock starts, because V8 compiles code that has run often. */
function warmUp(): void {
  const scene: Scene = {
    width: 256,
    height: 96,
    columns: 16,
    rows: 6,
    groundWidth: 160,
    groundHeight: 60,
    low: 0,
    high: 32,
  };
  const [rows, columns] = surfaceShape(scene);
  const surface = Float64Array.from({ length: rows * columns }, (_, i) => i * 37 % 32);
  const heights = new Float32Array(scene.width * scene.height);
  const picture = new Uint8Array(3 * heights.length);
  const { sampler, painter } = new Tools(scene);
  for (let round = 0; round < 3; round++) {
    sampler.resampleRows(surface, 0, heights);
    painter.paintRows(surface, heights, 0, picture);
  }
}

async function answer(reply: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(reply) + "\n");
  for (let sent = 0; sent < bytes.length;) sent += await Deno.stdout.write(bytes.subarray(sent));
}

async function main(): Promise<void> {
  // Ctrl-C reaches the whole group of processes. The parent decides: when it ends, so does this one.
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => {});
  const lines = readLines(Deno.stdin.readable);
  const scene: Scene = JSON.parse((await lines.next()).value ?? "null");
  if (scene === null) return;
  const tools = new Tools(scene);
  warmUp();
  await answer({});
  for await (const line of lines) {
    const job = readJob(line);
    if (job.task === "resample") resample(job.arrays, job, tools);
    else shade(job.arrays, job, tools);
    await answer({});
  }
}

if (import.meta.main) {
  await main();
  Deno.exit();
}
