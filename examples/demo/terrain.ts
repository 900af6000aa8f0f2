/**
 * The terrain of the demo as pure functions: a grid of heights becomes a smooth surface, the surface
 * is resampled to the heights of the picture's pixels.
 *
 * Nothing here knows of processes or shared memory: the functions take and fill rows of typed arrays. A
 * pixel's value depends on its place in the whole picture only, never on the tile that it is computed
 * in, so that any number of processes gives the same bits.
 *
 * The filter is the *natural interpolating bicubic spline*. Like Catmull-Rom, the other usual bicubic
 * filter, it reads 4 × 4 values for a pixel and goes through every height that it is given; unlike it,
 * its curvature is continuous too, and a hillshade, which shows slopes, would show the grid's lines
 * where curvature jumps. The heights that it is given are the grid's, smoothed within their accuracy.
 *
 * @module
 */

/** Heights on a regular grid, row by row, the first row on top. */
export interface Grid {
  columns: number;
  rows: number;
  /** In metres. */
  heights: Float64Array;
  /** Distance from one height to the next, in metres. */
  spacing: number;
  /** The step of rounding in {@linkcode Grid.heights}, in metres. */
  quantum: number;
}

/** All that a worker must know about the picture besides the arrays. It travels as JSON. */
export interface Scene {
  /** Size of the picture in pixels. */
  width: number;
  height: number;
  /** Size of the input grid. */
  columns: number;
  rows: number;
  /** Size of the ground in metres. */
  groundWidth: number;
  groundHeight: number;
  /** Lowest and highest ground in metres. */
  low: number;
  high: number;
}

/** The spline reads two coefficients beyond the outermost heights on every side. */
export const MARGIN = 2;

/** The shape of the array of spline coefficients for a grid. */
export function surfaceShape(grid: Pick<Grid, "rows" | "columns">): [number, number] {
  return [grid.rows + 2 * MARGIN, grid.columns + 2 * MARGIN];
}

/**
 * Fills `surface`, of {@linkcode surfaceShape}, with the coefficients of the spline through `grid`.
 *
 * @returns The lowest and the highest height of what the surface goes through.
 */
export function buildSurface(grid: Grid, surface: Float64Array): { low: number; high: number } {
  const heights = smooth(grid);
  const pitch = grid.columns + 2 * MARGIN;
  let low = Infinity;
  let high = -Infinity;
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < grid.columns; column++) {
      const height = heights[row * grid.columns + column];
      surface[(row + MARGIN) * pitch + column + MARGIN] = height;
      if (height < low) low = height;
      if (height > high) high = height;
    }
  }
  for (let row = 0; row < grid.rows; row++) {
    solveSpline(surface, (row + MARGIN) * pitch + MARGIN, 1, grid.columns);
  }
  for (let column = 0; column < pitch; column++) {
    solveSpline(surface, MARGIN * pitch + column, pitch, grid.rows);
  }
  return { low, high };
}

/** In quanta: with less, the grid can be seen; with more, the mountain is flattened. */
const TOLERANCE = 1.25;

/**
 * The smoothest heights that are nowhere further from the given ones than the tolerance.
 *
 * Heights in whole metres make terraces, and light shows their edges as stripes and beads, which belong
 * to the grid and not to the mountain. So every height is moved to where the surface bends least, but
 * by no more than rounding and reading from a map may have moved it. The method is projected gradient
 * descent on the bending energy of a thin plate.
 */
function smooth(grid: Grid): Float64Array {
  const { columns, rows, heights } = grid;
  const result = heights.slice();
  const force = new Float64Array(heights.length);
  const reach = TOLERANCE * grid.quantum;
  // About a second of work at most: a large photograph gets fewer rounds.
  const rounds = Math.min(1000, Math.ceil(1e8 / heights.length));
  for (let round = 0; round < rounds; round++) {
    bendingForce(result, columns, rows, force);
    for (let i = 0; i < result.length; i++) {
      // 64 is the largest eigenvalue of the force: with steps of more than 2/64 the heights diverge.
      const moved = result[i] - force[i] / 36;
      result[i] = Math.min(heights[i] + reach, Math.max(heights[i] - reach, moved));
    }
  }
  return result;
}

/** The gradient of the sum of h_xx² + 2 h_xy² + h_yy² (halved), by each height. */
function bendingForce(h: Float64Array, columns: number, rows: number, force: Float64Array): void {
  force.fill(0);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const i = row * columns + column;
      if (column > 0 && column < columns - 1) addBend(h, force, i, 1);
      if (row > 0 && row < rows - 1) addBend(h, force, i, columns);
      if (column > 0 && row > 0) addTwist(h, force, i, columns);
    }
  }
}

function addBend(h: Float64Array, force: Float64Array, i: number, step: number): void {
  const bend = h[i - step] - 2 * h[i] + h[i + step];
  force[i - step] += bend;
  force[i] -= 2 * bend;
  force[i + step] += bend;
}

function addTwist(h: Float64Array, force: Float64Array, i: number, columns: number): void {
  const twist = h[i] - h[i - 1] - h[i - columns] + h[i - columns - 1];
  force[i] += 2 * twist;
  force[i - 1] -= 2 * twist;
  force[i - columns] -= 2 * twist;
  force[i - columns - 1] += 2 * twist;
}

/**
 * Turns `count` heights, `step` apart from `first` on, into the coefficients of the natural cubic
 * spline through them, and writes those of the margin at both ends too.
 *
 * The equations are (c[i-1] + 4 c[i] + c[i+1]) / 6 = height[i], and no bend at the ends, which makes
 * the outermost coefficients equal to the heights. The system is tridiagonal: Thomas's algorithm.
 */
function solveSpline(data: Float64Array, first: number, step: number, count: number) {
  const ratio = new Float64Array(count);
  for (let i = 1; i < count - 1; i++) {
    const at = first + i * step;
    ratio[i] = 1 / (4 - ratio[i - 1]);
    data[at] = (6 * data[at] - data[at - step]) * ratio[i];
  }
  for (let i = count - 2; i > 0; i--) {
    const at = first + i * step;
    data[at] -= ratio[i] * data[at + step];
  }
  const last = first + (count - 1) * step;
  for (let k = 1; k <= MARGIN; k++) {
    const inward = Math.min(k, count - 1) * step;
    data[first - k * step] = 2 * data[first] - data[first + inward];
    data[last + k * step] = 2 * data[last] - data[last - inward];
  }
}

/** Which four coefficients a line of output reads at a place, and how much of each. */
interface Taps {
  /** Index of the first of the four coefficients. */
  first: Int32Array;
  /** Four weights per place: the height. */
  value: Float64Array;
  /** Four weights per place: its derivative, per metre. */
  slope: Float64Array;
}

/** The taps for `size` pixels spread evenly over `cells` heights and `metres` of ground. */
function splineTaps(size: number, cells: number, metres: number): Taps {
  const taps = {
    first: new Int32Array(size),
    value: new Float64Array(4 * size),
    slope: new Float64Array(4 * size),
  };
  const perMetre = cells / metres;
  for (let i = 0; i < size; i++) {
    // Pixels and heights alike stand for the middle of their cell.
    const place = (i + 0.5) * cells / size - 0.5;
    const cell = Math.floor(place);
    const t = place - cell;
    const u = 1 - t;
    taps.first[i] = cell - 1 + MARGIN;
    taps.value.set([
      u * u * u / 6,
      (3 * t * t * t - 6 * t * t + 4) / 6,
      (3 * u * u * u - 6 * u * u + 4) / 6,
      t * t * t / 6,
    ], 4 * i);
    taps.slope.set([
      -u * u / 2 * perMetre,
      (3 * t * t - 4 * t) / 2 * perMetre,
      (4 * u - 3 * u * u) / 2 * perMetre,
      t * t / 2 * perMetre,
    ], 4 * i);
  }
  return taps;
}

/**
 * Reads heights and slopes of the surface at the pixels of a scene. What all rows have in common is
 * computed when the sampler is made.
 */
export class SurfaceSampler {
  readonly #width: number;
  readonly #pitch: number;
  readonly #across: Taps;
  readonly #down: Taps;
  readonly #line: Float64Array;

  constructor(scene: Scene) {
    this.#width = scene.width;
    this.#pitch = scene.columns + 2 * MARGIN;
    this.#across = splineTaps(scene.width, scene.columns, scene.groundWidth);
    this.#down = splineTaps(scene.height, scene.rows, scene.groundHeight);
    this.#line = new Float64Array(this.#pitch);
  }

  /** Computes the heights of the rows from `firstRow` on, as many as fit into `target`. */
  resampleRows(surface: Float64Array, firstRow: number, target: Float32Array): void {
    const width = this.#width;
    for (let y = firstRow, at = 0; at < target.length; y++, at += width) {
      this.#blendRows(surface, y, this.#down.value);
      this.#blendColumns(this.#across.value, target.subarray(at, at + width));
    }
  }

  /** How steeply the ground rises to the right at the pixels of row `y`: metres per metre. */
  slopesRight(surface: Float64Array, y: number, target: Float64Array): void {
    this.#blendRows(surface, y, this.#down.value);
    this.#blendColumns(this.#across.slope, target);
  }

  /** How steeply the ground rises downwards in the picture at the pixels of row `y`. */
  slopesDown(surface: Float64Array, y: number, target: Float64Array): void {
    this.#blendRows(surface, y, this.#down.slope);
    this.#blendColumns(this.#across.value, target);
  }

  /** Four rows of coefficients become one line: the filter's vertical half. */
  #blendRows(surface: Float64Array, y: number, weights: Float64Array): void {
    const pitch = this.#pitch;
    const line = this.#line;
    const [a, b, c, d] = weights.subarray(4 * y, 4 * y + 4);
    const first = this.#down.first[y] * pitch;
    for (let i = 0, at = first; i < pitch; i++, at++) {
      line[i] = a * surface[at] + b * surface[at + pitch] +
        c * surface[at + 2 * pitch] + d * surface[at + 3 * pitch];
    }
  }

  /** Four values of the line become one pixel: the filter's horizontal half. */
  #blendColumns(weights: Float64Array, target: Float32Array | Float64Array): void {
    const line = this.#line;
    const first = this.#across.first;
    for (let x = 0, w = 0; x < first.length; x++, w += 4) {
      const at = first[x];
      target[x] = weights[w] * line[at] + weights[w + 1] * line[at + 1] +
        weights[w + 2] * line[at + 2] + weights[w + 3] * line[at + 3];
    }
  }
}
