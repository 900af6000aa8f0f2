/**
 * A Deno program and a Python program that share one float32 image.
 *
 * Deno puts a landscape into shared memory and spoils it with stripes; Python removes them in place, with
 * NumPy's FFT; Deno shows the image before and after, side by side, in a PNG. Python is sent the image's
 * description and nothing else.
 *
 * ```sh
 * deno run -A examples/numpy/main.ts stripes.png
 * ```
 *
 * `SHM_PYTHON` names a Python that has NumPy, if `/usr/bin/python3` is not the one.
 *
 * @module
 */

import { createAndRegisterSma, SharedMemoryRegister } from "@shm/array";
import { encode } from "fast-png";

/** How many pixels of the PNG, down and across, show one of the image. */
const ZOOM = 6;

/** The stripes: how many waves there are down and across the image, and how high they are in metres. */
const STRIPES = [{ down: 9, across: 20, metres: 12 }, { down: -17, across: 8, metres: 7 }];

interface Heights {
  width: number;
  height: number;
  /** Row by row. */
  values: number[];
}

async function readVolcano(): Promise<Heights> {
  return JSON.parse(await Deno.readTextFile(new URL("../data/volcano.json", import.meta.url)));
}

/** The height of all stripes at one pixel. */
function stripesAt(row: number, column: number, { width, height }: Heights): number {
  return STRIPES.reduce((sum, { down, across, metres }) => {
    const turns = down * row / height + across * column / width;
    return sum + metres * Math.sin(2 * Math.PI * turns);
  }, 0);
}

/** Runs the Python program on an image and waits for its end. */
async function filterInPython(description: string): Promise<void> {
  const python = Deno.env.get("SHM_PYTHON") || "/usr/bin/python3";
  const script = new URL("./filter.py", import.meta.url).pathname;
  const command = new Deno.Command(python, { args: ["-B", script, description] });
  const { success } = await command.spawn().status;
  if (!success) throw new Error(`${python} could not filter the image: does it have NumPy?`);
}

/** Draws images of one size beside each other, the lowest height black and the highest white. */
function drawBeside(images: Float32Array[], { width, height, values }: Heights): Uint8Array {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pitch = width * images.length * ZOOM;
  const data = new Uint8ClampedArray(pitch * height * ZOOM);
  for (let at = 0; at < data.length; at++) {
    const column = Math.floor(at % pitch / ZOOM);
    const pixel = Math.floor(at / pitch / ZOOM) * width + column % width;
    data[at] = 255 * (images[Math.floor(column / width)][pixel] - low) / (high - low);
  }
  return encode({ width: pitch, height: height * ZOOM, channels: 1, data });
}

function rootMeanSquare(image: ArrayLike<number>, truth: readonly number[]): number {
  return Math.sqrt(
    truth.reduce((sum, value, i) => sum + (image[i] - value) ** 2, 0) / truth.length,
  );
}

const file = Deno.args[0] ?? "stripes.png";
const volcano = await readVolcano();
const { width, height, values } = volcano;

using register = new SharedMemoryRegister();
using sma = createAndRegisterSma([height, width], "float32", register, "numpy");
const image = sma.array!;
image.reshape(-1).assign(
  values.map((value, i) => value + stripesAt(Math.floor(i / width), i % width, volcano)),
);
const before = image.copy();
await filterInPython(JSON.stringify(sma));
const after = image.subarray();
await Deno.writeFile(file, drawBeside([before, after], volcano));

const [spoilt, restored] = [before, after].map((pixels) => rootMeanSquare(pixels, values));
console.log(`Off by ${spoilt.toFixed(2)} m before, by ${restored.toFixed(2)} m after: ${file}`);
