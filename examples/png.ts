/**
 * Reads and writes PNG files for the demo: the npm package `fast-png`, and the conversions that it lacks.
 *
 * @module
 */

import { convertIndexedToRgb, decode, type DecodedPng, encode } from "fast-png";

/** Brightness from 0 to 1, row by row. */
export interface BrightnessMap {
  width: number;
  height: number;
  values: Float64Array;
  /** How many steps there are from black to white. */
  steps: number;
}

/** Encodes red, green and blue bytes. */
export function encodeRgb(
  data: Uint8Array,
  width: number,
  height: number,
  text: Record<string, string>,
): Uint8Array {
  return encode({ width, height, data, channels: 3, depth: 8, text }, { zlib: { level: 6 } });
}

/** Decodes a PNG of any kind: grey or colours or palette, 1 to 16 bits, with or without alpha. */
export function decodeBrightness(bytes: Uint8Array): BrightnessMap {
  const png = decode(bytes);
  const { width, height } = png;
  const samples = unpack(png);
  const channels = samples.length / (width * height);
  const white = png.palette ? 255 : 2 ** png.depth - 1;
  const values = new Float64Array(width * height);
  for (let i = 0, at = 0; i < values.length; i++, at += channels) {
    const bright = channels < 3
      ? samples[at]
      : 0.2126 * samples[at] + 0.7152 * samples[at + 1] + 0.0722 * samples[at + 2];
    // Transparent pixels become low ground. With 2 and 4 channels, the last one is alpha.
    const alpha = channels % 2 === 0 ? samples[at + channels - 1] / white : 1;
    values[i] = bright / white * alpha;
  }
  return { width, height, values, steps: white };
}

/** Gives one number per sample; PNG keeps several small samples in one byte. */
function unpack(png: DecodedPng): ArrayLike<number> {
  if (png.palette) return convertIndexedToRgb(png);
  if (png.depth >= 8) return png.data;
  const perByte = 8 / png.depth;
  const pitch = Math.ceil(png.width / perByte);
  return Uint8Array.from({ length: png.width * png.height }, (_, i) => {
    const x = i % png.width;
    const byte = png.data[Math.floor(i / png.width) * pitch + Math.floor(x / perByte)];
    const shift = 8 - png.depth * (x % perByte + 1);
    return byte >> shift & (1 << png.depth) - 1;
  });
}
