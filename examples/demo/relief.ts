/**
 * The picture of the demo as pure functions: heights become a shaded relief with a colour ramp, soft
 * shadows, the light of the whole sky, and contour lines.
 *
 * The light has two parts. The *sun* casts shadows: a ray goes from each pixel towards it, and because
 * the sun is a disc, the edges of the shadows are soft. The *sky* is a hillshade from many directions;
 * a direction counts as far as the ground does not hide it, so that hollows are darker than ridges.
 *
 * As in `terrain.ts`, a pixel depends on its place in the whole picture only.
 *
 * @module
 */

import { type Scene, SurfaceSampler } from "./terrain.ts";

/** Linear light. */
type Colour = readonly [red: number, green: number, blue: number];

/** Heights count this much more than they measure when light falls on them, as relief maps do. */
const EXAGGERATION = 1.9;

/** The light comes from the upper left: when it comes from below, people see valleys as ridges. */
const SUN_AZIMUTH = -Math.PI * 0.78;
const SUN_ALTITUDE = Math.PI * 0.2;
/** Half the sun's disc, as a difference of tangents. The true one would be 0.007: hard edges. */
const SUN_SOFTNESS = 0.13;
/** Tangents of the highest horizon that hides none of the sun, and of the lowest that hides all. */
const NONE_HIDDEN = Math.tan(SUN_ALTITUDE) - SUN_SOFTNESS;
const ALL_HIDDEN = Math.tan(SUN_ALTITUDE) + SUN_SOFTNESS;
const SUN_COLOUR: Colour = [4.7, 4.15, 3.3];

const SKY_DIRECTIONS = 12;
const SKY_COLOUR: Colour = [0.8, 1.04, 1.5];
/** The sky below this tangent always counts as seen: testing it takes long and changes little. */
const SKY_HAZE = 0.08;
/** The light that the ground reflects: every pixel gets it. */
const BOUNCE: Colour = [0.1, 0.095, 0.09];
/** Light of this strength, or more, is white. */
const BRIGHTEST = 5;

/** From low to high ground: bush, meadow, dry grass, scoria, bare rock. */
const RAMP: readonly (readonly [place: number, colour: string])[] = [
  [0.00, "#1d4a3c"],
  [0.14, "#386a49"],
  [0.32, "#7a9450"],
  [0.50, "#cdb768"],
  [0.66, "#d99a58"],
  [0.80, "#c8704c"],
  [0.91, "#dfb395"],
  [1.00, "#fbf3e6"],
];

/**
 * Contour lines: half their width in pixels of the default picture, how dark they are, and how much
 * lighter or darker where they face the sun or turn away from it (Tanaka's method).
 */
const HAIRLINE = { width: 0.6, ink: 0, chalk: 0.32 };
const LINE = { width: 0.8, ink: 0.36, chalk: 0 };
const INDEX_LINE = { width: 1.5, ink: 0.55, chalk: 0 };

/** A walk from a pixel in one direction, in steps that grow: near ground matters in detail. */
interface Ray {
  /** The direction, right and down. */
  right: number;
  down: number;
  /** How bright this direction of the sky is. */
  weight: number;
  /** Where each step is in the array of heights, from the pixel. */
  offsets: Int32Array;
  /** Turns a difference of heights at each step into the tangent of an angle. */
  steepness: Float64Array;
  /** How many steps stay in the picture, for each column and for each row. */
  stepsAcross: Int32Array;
  stepsDown: Int32Array;
}

/**
 * Paints rows of one scene. What all rows have in common is computed when the painter is made; the
 * buffers are for one row at a time.
 */
export class ReliefPainter {
  readonly #scene: Scene;
  readonly #sampler: SurfaceSampler;
  readonly #sun: Ray;
  readonly #sky: Ray[];
  readonly #ramp = buildRamp();
  readonly #tone = buildTone();
  /** Metres from one hairline to the next. */
  readonly #contours: number;
  readonly #lineScale: number;
  /** How steeply the ground rises to the right and downwards, and the length of its upright. */
  readonly #right: Float64Array;
  readonly #down: Float64Array;
  readonly #norm: Float64Array;
  /** How much light of the sun and of the sky falls on each pixel. */
  readonly #sunlight: Float64Array;
  readonly #skylight: Float64Array;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#sampler = new SurfaceSampler(scene);
    const relief = Math.max(scene.high - scene.low, 1e-9) * EXAGGERATION;
    // Beyond this, nothing is high enough to hide any of the sun.
    const reach = relief / NONE_HIDDEN;
    this.#sun = buildRay(scene, SUN_AZIMUTH, reach, 1.03);
    this.#sky = Array.from({ length: SKY_DIRECTIONS }, (_, i) => {
      const azimuth = 2 * Math.PI * (i + 0.5) / SKY_DIRECTIONS;
      return buildRay(scene, azimuth, reach, 1.35);
    });
    this.#contours = contourInterval(scene);
    this.#lineScale = Math.max(0.4, scene.width / 2784);
    this.#right = new Float64Array(scene.width);
    this.#down = new Float64Array(scene.width);
    this.#norm = new Float64Array(scene.width);
    this.#sunlight = new Float64Array(scene.width);
    this.#skylight = new Float64Array(scene.width);
  }

  /**
   * Paints the rows from `firstRow` on, as many as fit into `target`.
   *
   * @param surface The coefficients of the surface.
   * @param heights The heights of the whole picture: shadows come from far away.
   */
  paintRows(
    surface: Float64Array,
    heights: Float32Array,
    firstRow: number,
    target: Uint8Array,
  ): void {
    const pitch = 3 * this.#scene.width;
    for (let y = firstRow, at = 0; at < target.length; y++, at += pitch) {
      this.#measureSlopes(surface, y);
      this.#castSunlight(heights, y);
      this.#skylight.fill(0);
      for (const ray of this.#sky) this.#addSkylight(heights, y, ray);
      this.#paintRow(heights, y, target.subarray(at, at + pitch));
    }
  }

  #measureSlopes(surface: Float64Array, y: number): void {
    const right = this.#right;
    const down = this.#down;
    const norm = this.#norm;
    this.#sampler.slopesRight(surface, y, right);
    this.#sampler.slopesDown(surface, y, down);
    for (let x = 0; x < norm.length; x++) {
      right[x] *= EXAGGERATION;
      down[x] *= EXAGGERATION;
      norm[x] = Math.sqrt(1 + right[x] * right[x] + down[x] * down[x]);
    }
  }

  /** Computes the sunlight: 1 where the ground faces the sun and nothing hides it. */
  #castSunlight(heights: Float32Array, y: number): void {
    const { width, high } = this.#scene;
    const ray = this.#sun;
    const level = Math.cos(SUN_ALTITUDE);
    const upright = Math.sin(SUN_ALTITUDE);
    for (let x = 0; x < width; x++) {
      const rise = ray.right * this.#right[x] + ray.down * this.#down[x];
      const facing = (upright - level * rise) / this.#norm[x];
      if (facing <= 0) {
        this.#sunlight[x] = 0;
        continue;
      }
      const steps = Math.min(ray.stepsAcross[x], ray.stepsDown[y]);
      const horizon = findHorizon(
        heights,
        y * width + x,
        ray,
        steps,
        high,
        Math.max(rise, NONE_HIDDEN),
        ALL_HIDDEN,
      );
      this.#sunlight[x] = facing * smoothStep((ALL_HIDDEN - horizon) / (2 * SUN_SOFTNESS));
    }
  }

  /** Adds the skylight: about 1 on level ground that sees the whole sky. */
  #addSkylight(heights: Float32Array, y: number, ray: Ray): void {
    const { width, high } = this.#scene;
    for (let x = 0; x < width; x++) {
      const rise = ray.right * this.#right[x] + ray.down * this.#down[x];
      // This part of the sky shines from half-way up, and the ground may face away from it.
      const facing = (0.75 - 0.66 * rise) / this.#norm[x];
      if (facing <= 0) continue;
      const steps = Math.min(ray.stepsAcross[x], ray.stepsDown[y]);
      const horizon = findHorizon(
        heights,
        y * width + x,
        ray,
        steps,
        high,
        Math.max(rise, SKY_HAZE),
        Infinity,
      );
      // What is left of an even sky above that horizon: the square of its cosine.
      this.#skylight[x] += ray.weight * facing / (1 + horizon * horizon);
    }
  }

  /** Turns colours, light and lines into bytes. */
  #paintRow(heights: Float32Array, y: number, target: Uint8Array): void {
    const { width, low, high } = this.#scene;
    const ramp = this.#ramp;
    const tone = this.#tone;
    const rampLast = ramp.length / 3 - 1;
    const rampScale = rampLast / Math.max(high - low, 1e-9);
    const toneLast = tone.length - 1;
    const toneScale = toneLast / BRIGHTEST;
    for (let x = 0, to = 0; x < width; x++, to += 3) {
      const height = heights[y * width + x];
      const from = 3 * Math.min(rampLast, Math.max(0, Math.round((height - low) * rampScale)));
      const dither = ditherAt(x, y);
      const paper = this.#contour(height, x);
      for (let c = 0; c < 3; c++) {
        const light = SUN_COLOUR[c] * this.#sunlight[x] + SKY_COLOUR[c] * this.#skylight[x] +
          BOUNCE[c];
        const value = ramp[from + c] * light * paper * toneScale;
        target[to + c] = tone[Math.min(toneLast, Math.round(value))] + dither;
      }
    }
  }

  /** The factor by which a contour line changes a pixel's light: below 1 it darkens, above 1 it lightens. */
  #contour(height: number, x: number): number {
    const right = this.#right[x];
    const down = this.#down[x];
    const number = Math.round(height / this.#contours);
    const metres = Math.abs(height - number * this.#contours);
    const { width, height: rows, groundWidth, groundHeight } = this.#scene;
    const rise = hypotenuse(right * groundWidth / width, down * groundHeight / rows);
    const pixels = metres * EXAGGERATION / Math.max(rise, 1e-9);
    const line = number % 25 === 0 ? INDEX_LINE : number % 5 === 0 ? LINE : HAIRLINE;
    const cover = line.width * this.#lineScale + 0.5 - pixels;
    if (cover <= 0) return 1;
    const slope = hypotenuse(right, down);
    const towardsSun = -(this.#sun.right * right + this.#sun.down * down) / Math.max(slope, 1e-9);
    // On level ground a line would become a blot.
    const strength = Math.min(1, cover) * smoothStep(slope / 0.1);
    return 1 + strength * (line.chalk * towardsSun - line.ink);
  }
}

/**
 * The tangent of the angle up to what hides most of the sky along a ray.
 *
 * @param at Where the pixel is in `heights`.
 * @param high The highest ground there is: the walk ends where even that would hide no more.
 * @param horizon The least result.
 * @param enough The walk ends when the result is this high.
 */
function findHorizon(
  heights: Float32Array,
  at: number,
  ray: Ray,
  steps: number,
  high: number,
  horizon: number,
  enough: number,
): number {
  const { offsets, steepness } = ray;
  const height = heights[at];
  const rise = high - height; // of the highest ground
  for (let i = 0; i < steps; i++) {
    if (rise * steepness[i] < horizon) break;
    const tangent = (heights[at + offsets[i]] - height) * steepness[i];
    if (tangent > horizon) {
      horizon = tangent;
      if (horizon >= enough) break;
    }
  }
  return horizon;
}

function buildRay(scene: Scene, azimuth: number, reach: number, growth: number): Ray {
  const right = Math.cos(azimuth);
  const down = Math.sin(azimuth);
  const across = scene.groundWidth / scene.width;
  const along = scene.groundHeight / scene.height;
  const pixel = Math.max(across, along);
  const xs: number[] = [];
  const ys: number[] = [];
  for (let metres = 2 * pixel; metres < reach; metres = metres * growth + pixel / 2) {
    xs.push(Math.round(right * metres / across));
    ys.push(Math.round(down * metres / along));
  }
  return {
    right,
    down,
    // The sky is brighter around the sun.
    weight: (1 + 0.55 * Math.cos(azimuth - SUN_AZIMUTH)) / SKY_DIRECTIONS,
    offsets: Int32Array.from(xs, (x, i) => ys[i] * scene.width + x),
    // Steps are whole pixels, and angles are those to where they really lead: no error.
    steepness: Float64Array.from(
      xs,
      (x, i) => EXAGGERATION / Math.hypot(x * across, ys[i] * along),
    ),
    stepsAcross: stepsInside(xs, scene.width),
    stepsDown: stepsInside(ys, scene.height),
  };
}

/** For every place from 0 to `size`, how many of the ever longer `steps` stay within. */
function stepsInside(steps: number[], size: number): Int32Array {
  const counts = new Int32Array(size);
  for (let place = 0; place < size; place++) {
    let count = 0;
    while (count < steps.length && place + steps[count] >= 0 && place + steps[count] < size) {
      count++;
    }
    counts[place] = count;
  }
  return counts;
}

/** 1, 2 or 5 times a power of ten: about fifty hairlines from the lowest to the highest ground. */
function contourInterval(scene: Scene): number {
  const about = Math.max(scene.high - scene.low, 1e-9) / 50;
  const power = 10 ** Math.floor(Math.log10(about));
  const [one, two, five, ten] = [1, 2, 5, 10].map((step) => step * power);
  if (about < 1.5 * power) return one;
  if (about < 3.5 * power) return two;
  return about < 7.5 * power ? five : ten;
}

/** As `Math.hypot`, which is slow, for numbers that are not extreme. */
function hypotenuse(a: number, b: number): number {
  return Math.sqrt(a * a + b * b);
}

function smoothStep(t: number): number {
  if (t <= 0) return 0;
  if (t >= 1) return 1;
  return t * t * (3 - 2 * t);
}

/**
 * A number from 0 to 1 that differs from one pixel to the next. Added before rounding, it keeps a slow
 * gradient without steps. (It is Jorge Jimenez's interleaved gradient noise.)
 */
function ditherAt(x: number, y: number): number {
  const wave = 0.06711056 * x + 0.00583715 * y;
  const noise = 52.9829189 * (wave - Math.floor(wave));
  return noise - Math.floor(noise);
}

/**
 * From light of 0 to `BRIGHTEST` to bytes: Reinhard's curve, so that bright ground keeps its colour
 * and form, then the curve of sRGB.
 */
function buildTone(): Float64Array {
  const size = 1 << 16;
  return Float64Array.from({ length: size }, (_, i) => {
    const light = BRIGHTEST * i / (size - 1);
    const toned = light * (1 + light / (BRIGHTEST * BRIGHTEST)) / (1 + light);
    return 255 * toSrgb(toned);
  });
}

/** The stops of {@linkcode RAMP} joined in OKLab, where equal steps look equal. */
function buildRamp(): Float64Array {
  const size = 4096;
  const ramp = new Float64Array(3 * size);
  const stops = RAMP.map(([place, colour]) => ({ place, lab: toOklab(parseColour(colour)) }));
  for (let i = 0; i < size; i++) {
    const place = i / (size - 1);
    const next = Math.max(1, stops.findIndex((stop) => stop.place >= place));
    const [a, b] = [stops[next - 1], stops[next]];
    const t = (place - a.place) / (b.place - a.place);
    const lab = a.lab.map((value, c) => value + (b.lab[c] - value) * t);
    ramp.set(fromOklab(lab as unknown as Colour), 3 * i);
  }
  return ramp;
}

function parseColour(hex: string): Colour {
  const value = parseInt(hex.slice(1), 16);
  return [fromSrgb(value >> 16), fromSrgb(value >> 8 & 255), fromSrgb(value & 255)];
}

function fromSrgb(byte: number): number {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function toSrgb(linear: number): number {
  return linear <= 0.0031308 ? linear * 12.92 : 1.055 * linear ** (1 / 2.4) - 0.055;
}

/** Björn Ottosson's OKLab. */
function toOklab([r, g, b]: Colour): Colour {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
  ];
}

function fromOklab([lightness, a, b]: Colour): Colour {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
  ];
}
