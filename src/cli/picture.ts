/**
 * Draws an array as a picture in a terminal: two pixels to a character, one above the other. It is pure: it makes
 * text, and knows nothing of segments.
 *
 * @module
 */

import { listText } from "../check.ts";
import type { DType, TypedArrayOf } from "../dtype.ts";
import type { NDArray } from "../ndarray/mod.ts";

/** What a picture is drawn on. */
export interface Canvas {
  /** How many characters fit into a line. */
  readonly columns: number;
  /** How many lines there are. */
  readonly rows: number;
  /** How many colours it has: 0 stands for none, so that characters of different density are drawn. */
  readonly colours: 0 | 256 | 16777216;
}

/** A picture as text. */
export interface Picture {
  readonly lines: readonly string[];
  /** The elements that are black and white; `null` where those are 0 and 255, or there is no finite element. */
  readonly range: { readonly black: number; readonly white: number } | null;
}

/** From nothing to much: what stands for pixels where there are no colours. */
const shades = " .:-=+*#%@";

/** What stands for a pixel without a value where there are no colours. */
const NOTHING = "?";

/** The element types whose elements are brightnesses as they are; of the others, the least is black, the largest white. */
const fixedRanges: { readonly [dtype in DType]?: number } = { uint8: 255, uint8c: 255, bool: 1 };

/**
 * Draws an array, as large as fits: a large one is averaged, a small one enlarged by a whole factor.
 *
 * NaN is left out of averages, and where nothing else is, the picture has a hole.
 *
 * @param view two axes (rows and columns), or a third of length 3 (red, green, blue)
 * @param canvas what it is drawn on
 * @returns the lines
 * @throws {RangeError} if it has other axes
 */
export function drawPicture(view: NDArray, canvas: Canvas): Picture {
  const { shape } = view;
  const isColoured = shape.length === 3 && shape[2] === 3;
  if (!(shape.length === 2 || isColoured) || view.size === 0) {
    throw new RangeError(
      `Cannot draw a picture: the shape is ${
        listText(shape)
      }, and a picture has rows and columns, or rows, ` +
        `columns and 3 colours; take a part: ${adviceFor(shape)}`,
    );
  }
  const grid = reduce(view, isColoured ? 3 : 1, canvas);
  const { black, white } = grid;
  const pixels = toBytes(grid);
  const lines = canvas.colours === 0 ? drawShades(pixels) : drawBlocks(pixels, canvas.colours);
  const isKnown = fixedRanges[view.dtype] !== undefined || black > white;
  return { lines, range: isKnown ? null : { black, white } };
}

function adviceFor(shape: readonly number[]): string {
  if (shape.length < 2) return "'NAME[newaxis]' is one row";
  return shape.length === 3 && shape[2] > 3 ? "'NAME[..., :3]', or 'NAME[0]'" : "'NAME[0]'";
}

/** Averages of the elements. */
interface Grid {
  readonly width: number;
  readonly height: number;
  /** 3 for red, green and blue, otherwise 1. */
  readonly channels: number;
  /** How many pixels an average is drawn as, in each direction. */
  readonly factor: number;
  /** The averages; NaN where there is nothing. */
  readonly averages: Float64Array;
  /** The element that is drawn black; larger than white if there is no finite element. */
  readonly black: number;
  readonly white: number;
}

/** Makes a grid that fits, of averages. */
function reduce(view: NDArray, channels: number, { columns, rows }: Canvas): Grid {
  const [height, width] = view.shape;
  // A pixel is as high as it is wide: a character is about twice as high, and holds two.
  const scale = Math.max(width / Math.max(1, columns), height / (2 * Math.max(1, rows)));
  const factor = Math.max(1, Math.floor(1 / scale));
  const w = scale > 1 ? Math.max(1, Math.round(width / scale)) : width;
  const h = scale > 1 ? Math.max(1, Math.round(height / scale)) : height;

  const sums = new Float64Array(w * h * channels);
  const counts = new Float64Array(w * h * channels);
  let [black, white] = [Infinity, -Infinity];
  const place = Int32Array.from({ length: width }, (_, x) => Math.floor(x * w / width) * channels);
  for (let y = 0; y < height; y++) {
    const row = numbersOf(view.slice(y).copy());
    const start = Math.floor(y * h / height) * w * channels;
    for (let x = 0, at = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++, at++) {
        const value = row[at];
        if (value !== value) continue;
        const cell = start + place[x] + channel;
        sums[cell] += value;
        counts[cell]++;
        if (value < black && value !== -Infinity) black = value;
        if (value > white && value !== Infinity) white = value;
      }
    }
  }
  const fixed = fixedRanges[view.dtype];
  if (fixed !== undefined) [black, white] = [0, fixed];
  return {
    width: w,
    height: h,
    channels,
    factor,
    averages: sums.map((sum, i) => sum / counts[i]),
    black,
    white,
  };
}

function numbersOf(elements: TypedArrayOf): ArrayLike<number> {
  return elements instanceof BigInt64Array || elements instanceof BigUint64Array
    ? Float64Array.from(elements as Iterable<bigint>, Number)
    : elements as ArrayLike<number>;
}

/** A picture of bytes. */
interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue of a pixel, from 0 to 255; `null` where there is nothing. */
  at(x: number, y: number): Colour | null;
}

type Colour = readonly [red: number, green: number, blue: number];

function toBytes({ width, height, channels, factor, averages, black, white }: Grid): Pixels {
  const span = white - black;
  const byteOf = (average: number): number => {
    if (average === Infinity) return 255;
    if (average === -Infinity) return 0;
    // Where all elements are the same, none is brighter than another.
    return span > 0 ? Math.round(Math.min(1, (average - black) / span) * 255) : 128;
  };
  return {
    width: width * factor,
    height: height * factor,
    at(x, y) {
      if (y >= height * factor) return null;
      const cell = (Math.floor(y / factor) * width + Math.floor(x / factor)) * channels;
      const values = averages.subarray(cell, cell + channels);
      if (values.some(Number.isNaN)) return null;
      const [red, green = red, blue = red] = Array.from(values, byteOf);
      return [red, green, blue];
    },
  };
}

// --- With colours ----------------------------------------------------------------------------

const ESC = "\x1b[";
const RESET = `${ESC}0m`;

/** Draws two pixels to a character: the upper half in the colour of the text, the lower in that of the ground. */
function drawBlocks({ width, height, at }: Pixels, colours: 256 | 16777216): string[] {
  const codeOf = colours === 256 ? code256 : code24Bit;
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = "";
    let [ink, ground] = ["", ""];
    for (let x = 0; x < width; x++) {
      const [upper, lower] = [at(x, y), at(x, y + 1)].map((colour) =>
        colour === null ? null : codeOf(colour)
      );
      // A pixel without a colour shows the ground of the terminal.
      const nextInk = upper ?? lower;
      const nextGround = upper === null ? null : lower;
      const codes: string[] = [];
      if (nextGround === null ? ground !== "" : ground !== nextGround) {
        codes.push(nextGround === null ? "49" : `48;${nextGround}`);
        ground = nextGround ?? "";
      }
      if (nextInk !== null && nextInk !== ink) {
        codes.push(`38;${nextInk}`);
        ink = nextInk;
      }
      if (codes.length > 0) line += `${ESC}${codes.join(";")}m`;
      line += upper !== null ? "▀" : lower !== null ? "▄" : " ";
    }
    lines.push(line + RESET);
  }
  return lines;
}

function code24Bit([red, green, blue]: Colour): string {
  return `2;${red};${green};${blue}`;
}

/** The levels of red, green and blue among the 256 colours: 16 to 231 are a cube of 6 × 6 × 6. */
const levels = [0, 95, 135, 175, 215, 255];

/** The nearest of 256 colours: one of the cube, or one of the 24 greys from 232 on. */
function code256(colour: Colour): string {
  const steps = colour.map((value) =>
    value < 48 ? 0 : value < 115 ? 1 : Math.floor((value - 35) / 40)
  );
  const average = (colour[0] + colour[1] + colour[2]) / 3;
  const grey = Math.max(0, Math.min(23, Math.round((average - 8) / 10)));
  const distance = (other: readonly number[]): number =>
    colour.reduce((sum, value, i) => sum + (value - other[i]) ** 2, 0);
  const inCube = distance(steps.map((step) => levels[step]));
  const inGreys = distance(new Array<number>(3).fill(8 + 10 * grey));
  const number = inGreys < inCube ? 232 + grey : 16 + 36 * steps[0] + 6 * steps[1] + steps[2];
  return `5;${number}`;
}

// --- Without colours -------------------------------------------------------------------------

/** Draws two pixels to a character, whose density is the average of their brightnesses. */
function drawShades({ width, height, at }: Pixels): string[] {
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = "";
    for (let x = 0; x < width; x++) {
      const known = [at(x, y), at(x, y + 1)].filter((colour) => colour !== null);
      const brightness = known.reduce((sum, colour) => sum + luminance(colour), 0) / known.length;
      line += known.length === 0
        ? NOTHING
        : shades[Math.min(shades.length - 1, Math.floor(brightness / 256 * shades.length))];
    }
    lines.push(line.trimEnd());
  }
  return lines;
}

/** How bright a colour looks, as Rec. 601 weighs its parts. */
function luminance([red, green, blue]: Colour): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}
