/**
 * What the demo can draw: the volcano it comes with, or any PNG as a landscape.
 *
 * @module
 */

import type { BrightnessMap } from "../png.ts";
import type { Grid } from "./terrain.ts";

/** Metres from one height to the next: the distance in the volcano's data, used for pictures, too. */
const SPACING = 10;

/** The highest ground that a white pixel makes, as part of the width of the picture's ground. */
const STEEPNESS = 0.1;

/**
 * The heights of Maunga Whau.
 *
 * The file's rows run from south to north and follow one another from west to east: in the landscape
 * format that the demo draws, west is on top and north is to the right, as in R's own plots of this
 * data. It is the map turned by a quarter, not mirrored. (R says that its matrix's rows are grid lines
 * from east to west and its columns from south to north, and labels its axes in the example of
 * `filled.contour` "Meters North" and "Meters West"; the file holds the matrix's last column first.)
 */
export async function readVolcano(): Promise<Grid> {
  const text = await Deno.readTextFile(new URL("../data/volcano.json", import.meta.url));
  const { width, height, values } = JSON.parse(text);
  return {
    columns: width,
    rows: height,
    heights: Float64Array.from(values),
    spacing: SPACING,
    quantum: 1,
  };
}

/**
 * A picture's brightness as heights.
 *
 * @param most The result has at most this many columns and rows. A larger picture is averaged in square
 * blocks: details that are finer than the output's pixels would only look like noise there.
 */
export function gridFromBrightness(
  map: BrightnessMap,
  most: { width: number; height: number },
): Grid {
  const { width, height, values, steps } = map;
  const block = Math.max(1, Math.ceil(width / most.width), Math.ceil(height / most.height));
  const columns = Math.max(1, Math.floor(width / block));
  const rows = Math.max(1, Math.floor(height / block));
  const white = STEEPNESS * columns * SPACING;
  const heights = new Float64Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const mean = blockMean(values, width, height, column * block, row * block, block);
      heights[row * columns + column] = white * mean;
    }
  }
  return { columns, rows, heights, spacing: SPACING, quantum: white / steps };
}

function blockMean(
  values: Float64Array,
  width: number,
  height: number,
  left: number,
  top: number,
  block: number,
): number {
  const right = Math.min(width, left + block);
  const bottom = Math.min(height, top + block);
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) sum += values[y * width + x];
  }
  return sum / ((right - left) * (bottom - top));
}
