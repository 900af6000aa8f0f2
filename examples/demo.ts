/**
 * The demo: a resampling job like those of GRIDR, by processes that share arrays.
 *
 * A small grid of heights and a large empty output are put in shared memory. Worker processes get
 * descriptors of them, each sliced to some rows, compute those rows in place, and count what they did
 * in a shared counter. The job is done by one process first and then by many, to compare.
 *
 * ```sh
 * deno task demo --help
 * ```
 *
 * @module
 */

import {
  createAndRegisterSma,
  type DType,
  type Shape,
  SharedMemory,
  SharedMemoryArray,
  SharedMemoryRegister,
  slice,
  type SliceItem,
} from "@shm/array";
import { basename, dirname } from "node:path";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { ResampleJob, ShadeJob } from "./demo/worker.ts";
import { gridFromBrightness, readVolcano } from "./demo/input.ts";
import { type BrightnessMap, decodeBrightness, encodeRgb } from "./png.ts";
import { ProgressBar } from "./demo/progress.ts";
import { buildSurface, type Grid, type Scene, surfaceShape } from "./demo/terrain.ts";
import { WorkerPool } from "./demo/worker_pool.ts";

const HELP = `A shaded relief of Maunga Whau, computed by processes that share arrays.

Usage: deno task demo [PICTURE.png] [options]

  PICTURE.png     draw the brightness of this picture as a landscape instead
  --workers N     how many worker processes (default: the number of cores)
  --size WxH      pixels of the result (default: 2784x1952, or what of it the picture's form fills)
  --out FILE      where to write it (default: maunga_whau.png, or PICTURE_relief.png)
  --anonymous     share memory that has no name in /dev/shm: nothing is left even after kill -9
  --help          this text`;

const DEFAULT_WIDTH = 2784;
const DEFAULT_HEIGHT = 1952;
const MOST_PIXELS_A_SIDE = 16384;
const MOST_WORKERS = 256;

/** The fewest rows that are worth a message of their own, and the most pixels for one. */
const LEAST_ROWS = 8;
const MOST_PIXELS = 1e6;

/** A row to shade takes about as long as this many to resample. */
const SHADE_WEIGHT = 80;

/** The prefix of the names of segments, so that a user can see which program made them. */
const PREFIX = "demo";

/** The command line is wrong: the program says so in one line, and ends with code 2. */
class UsageError extends Error {}

interface Size {
  width: number;
  height: number;
}

interface Options {
  picture: string | null;
  workers: number;
  size: Size | null;
  out: string;
  anonymous: boolean;
}

/** The arrays that all processes share. */
interface Arrays {
  surface: SharedMemoryArray<"float64">;
  heights: SharedMemoryArray<"float32">;
  picture: SharedMemoryArray<"uint8">;
  progress: SharedMemoryArray<"int32">;
}

/** Some rows of the picture. */
interface Band {
  firstRow: number;
  arraySlice: SliceItem[];
}

interface Run {
  seconds: number;
  bytesCopied: number;
}

interface Result {
  scene: Scene;
  one: Run;
  many: Run;
  /** Bytes that were compared, `null` where they differ. */
  compared: number | null;
  shared: number;
  pngBytes: number;
  /** Names of all segments that there were. */
  names: string[];
}

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options === null) {
    console.log(HELP);
    return 0;
  }
  await checkFolder(options.out);
  const [grid, size] = await readGround(options);
  const result = await compute(grid, size, options);
  const left = leftovers(result.names);
  report(options, result, left);
  return result.compared !== null && left.length === 0 ? 0 : 1;
}

/** @returns the options, or `null` where the user asks for help */
function readOptions(args: string[]): Options | null {
  const { values, positionals } = parse(args);
  if (values.help) return null;
  if (positionals.length > 1) throw new UsageError("there can be one PICTURE.png only");
  const picture = positionals[0] ?? null;
  return {
    picture,
    workers: readWorkers(values.workers),
    size: values.size === undefined ? null : readSize(values.size),
    out: values.out ?? (picture === null ? "maunga_whau.png" : reliefName(picture)),
    anonymous: values.anonymous ?? false,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        workers: { type: "string" },
        size: { type: "string" },
        out: { type: "string" },
        anonymous: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split("\n")[0]);
  }
}

function readWorkers(text: string | undefined): number {
  if (text === undefined) return Math.min(availableParallelism(), MOST_WORKERS);
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MOST_WORKERS) return count;
  throw new UsageError(`--workers must be a number from 1 to ${MOST_WORKERS}, not "${text}"`);
}

function readSize(text: string): Size {
  const [, width, height] = /^(\d{1,9})[x×](\d{1,9})$/i.exec(text)?.map(Number) ?? [];
  const good = (side: number) => side >= 1 && side <= MOST_PIXELS_A_SIDE;
  if (good(width) && good(height)) return { width, height };
  throw new UsageError(
    `--size must be like 1392x976, up to ${MOST_PIXELS_A_SIDE} a side, not "${text}"`,
  );
}

function reliefName(picture: string): string {
  return `${basename(picture).replace(/\.png$/i, "")}_relief.png`;
}

/** Checks the path of the output before the work begins. */
async function checkFolder(out: string): Promise<void> {
  const folder = await Deno.stat(dirname(out)).catch(() => null);
  if (!folder?.isDirectory) throw new UsageError(`there is no folder "${dirname(out)}" for --out`);
  const there = await Deno.stat(out).catch(() => null);
  if (there?.isDirectory) throw new UsageError(`--out "${out}" is a folder`);
}

/** The heights to draw, and the size to draw them in. */
async function readGround({ picture, size }: Options): Promise<[Grid, Size]> {
  if (picture === null) {
    return [await readVolcano(), size ?? { width: DEFAULT_WIDTH, height: DEFAULT_HEIGHT }];
  }
  const brightness = await readPicture(picture);
  const fitted = size ?? fit(brightness);
  return [gridFromBrightness(brightness, fitted), fitted];
}

async function readPicture(path: string): Promise<BrightnessMap> {
  try {
    return decodeBrightness(await Deno.readFile(path));
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    throw new UsageError(`cannot read "${path}" as a PNG: ${reason}`);
  }
}

/** The largest size of the same form that is not larger than the default. */
function fit({ width, height }: Size): Size {
  const scale = Math.min(DEFAULT_WIDTH / width, DEFAULT_HEIGHT / height);
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}

/** Does the whole job twice, with one process and with many, and writes the picture. */
async function compute(
  grid: Grid,
  size: Size,
  { workers, out, anonymous }: Options,
): Promise<Result> {
  const { width, height } = size;
  // Removes all segments at the end of the block, and when a signal ends this process before.
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const create = <T extends DType, const S extends Shape>(shape: S, dtype: T) =>
    createAndRegisterSma(shape, dtype, register, PREFIX, { anonymous });
  using surface = create(surfaceShape(grid), "float64");
  using heights = create([height, width], "float32");
  using picture = create([height, width, 3], "uint8");
  using progress = create([1], "int32");
  const arrays = { surface, heights, picture, progress };

  const scene: Scene = {
    ...size,
    columns: grid.columns,
    rows: grid.rows,
    groundWidth: grid.columns * grid.spacing,
    groundHeight: grid.rows * grid.spacing,
    ...buildSurface(grid, surface.array!.subarray()),
  };
  const one = await run(scene, arrays, 1);
  const expected = [heights.array!.copy(), picture.array!.copy()];
  heights.array!.fill(0);
  picture.array!.fill(0);
  const many = await run(scene, arrays, workers);
  const found = [heights.array!.subarray(), picture.array!.subarray()];

  const png = encodeRgb(picture.array!.subarray(), width, height, {
    Title: "Shaded relief",
    Software: "The demo of @shm/array",
  });
  await Deno.writeFile(out, png);
  const compared = found.every((array, i) => sameBytes(array, expected[i]));
  return {
    scene,
    one,
    many,
    compared: compared ? found.reduce((sum, array) => sum + array.byteLength, 0) : null,
    shared: Object.values(arrays).reduce((sum, { smh }) => sum + smh!.size, 0),
    pngBytes: png.length,
    names: [...register],
  };
}

/** Starts the workers, and takes the time from when all are ready to when all rows are done. */
async function run(scene: Scene, arrays: Arrays, workers: number): Promise<Run> {
  await using pool = await WorkerPool.start(
    new URL("./demo/worker.ts", import.meta.url),
    workers,
    scene,
  );
  const counter = arrays.progress.array!;
  const total = scene.height * (1 + SHADE_WEIGHT);
  counter.fill(0);
  using _bar = new ProgressBar(
    countOf(workers, "process").padEnd(14),
    () => Atomics.load(counter.data, counter.index(0)) / total,
  );
  const rows = bands(scene, workers);
  const start = performance.now();
  await pool.askAll(rows.map((band) => resampleJob(band, arrays)));
  // Shadows fall across bands, so all heights must be computed first. They are shared, and not sent.
  await pool.askAll(rows.map((band) => shadeJob(band, arrays)));
  return { seconds: (performance.now() - start) / 1000, bytesCopied: pool.bytes };
}

function resampleJob({ firstRow, arraySlice }: Band, arrays: Arrays): ResampleJob {
  const { surface, progress } = arrays;
  const heights = SharedMemoryArray.clone(arrays.heights, { arraySlice });
  return { task: "resample", firstRow, weight: 1, arrays: { surface, heights, progress } };
}

function shadeJob({ firstRow, arraySlice }: Band, arrays: Arrays): ShadeJob {
  const { surface, heights, progress } = arrays;
  const picture = SharedMemoryArray.clone(arrays.picture, { arraySlice });
  const weight = SHADE_WEIGHT;
  return { task: "shade", firstRow, weight, arrays: { surface, heights, picture, progress } };
}

/**
 * Divides all rows into bands that become smaller. Large bands come first, because each band costs a
 * message and an attachment; small ones come last, so that all workers end at about the same time.
 */
function bands({ width, height }: Scene, workers: number): Band[] {
  const most = MOST_PIXELS / width;
  const result: Band[] = [];
  for (let firstRow = 0; firstRow < height;) {
    const rows = Math.ceil(
      Math.max(LEAST_ROWS, Math.min(most, (height - firstRow) / (4 * workers))),
    );
    result.push({ firstRow, arraySlice: [slice(firstRow, firstRow + rows)] });
    firstRow += rows;
  }
  return result;
}

function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const left = new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  const right = new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}

/** Which of the segments are still there. */
function leftovers(names: string[]): string[] {
  return names.filter((name) => {
    try {
      SharedMemory.open(name).close();
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

function report({ workers, out }: Options, result: Result, left: string[]): void {
  const { scene, one, many, compared } = result;
  const speedUp = (one.seconds / many.seconds).toFixed(2);
  const lines: [string, string][] = [
    ["Picture", `${out} (${bytes(result.pngBytes)})`],
    ["Resampled", `${scene.columns} × ${scene.rows} heights to ${scene.width} × ${scene.height}`],
    [
      "1 process",
      `${one.seconds.toFixed(2)} s (each time new processes, warm before the clock starts)`,
    ],
    [countOf(workers, "process"), `${many.seconds.toFixed(2)} s, ${speedUp} times as fast`],
    ["Shared", `${bytes(result.shared)} in ${countOf(result.names.length, "segment")}`],
    ["Copied", `${bytes(many.bytesCopied)} through pipes: descriptors and answers`],
    [
      "Same result",
      compared === null ? "NO: it differs" : `yes, bit for bit: ${bytes(compared)} compared`,
    ],
    ["Segments left", left.length === 0 ? "none" : left.join(", ")],
  ];
  console.log(lines.map(([label, text]) => `${label.padEnd(16)}${text}`).join("\n"));
}

function bytes(count: number): string {
  return count < 1e5 ? `${count.toLocaleString("en")} bytes` : `${(count / 1e6).toFixed(1)} MB`;
}

function countOf(count: number, noun: "process" | "segment"): string {
  const plural = noun === "process" ? "processes" : "segments";
  return `${count} ${count === 1 ? noun : plural}`;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    console.error(`demo: ${(error as Error).message}`);
    Deno.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
