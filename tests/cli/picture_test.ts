// How arrays are drawn: each test reads the picture back, pixel by pixel.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { NDArray } from "@shm/array";
import { type Canvas, drawPicture } from "../../src/cli/picture.ts";
import { readable } from "../helpers/terminal.ts";

const canvas = (columns: number, rows: number, colours: Canvas["colours"] = 16777216): Canvas => ({
  columns,
  rows,
  colours,
});

/** Reads what a terminal would show: the colour of each pixel; `null` is the ground of the terminal. */
function pixelsOf(lines: readonly string[]): (string | null)[][] {
  const rows: (string | null)[][] = [];
  for (const line of lines) {
    const [upper, lower]: (string | null)[][] = [[], []];
    let [ink, ground]: (string | null)[] = [null, null];
    // deno-lint-ignore no-control-regex -- this is what such sequences begin with
    for (const [, codes, character] of line.matchAll(/\x1b\[([\d;]*)m|([^\x1b])/g)) {
      if (character !== undefined) {
        assert("▀▄ ".includes(character), character);
        upper.push(character === "▀" ? ink : ground);
        lower.push(character === "▄" ? ink : ground);
        continue;
      }
      const found = codes.matchAll(/(38|48);(2;\d+;\d+;\d+|5;\d+)|(0|49)/g);
      for (const [, which, colour, reset] of found) {
        if (reset === "0") [ink, ground] = [null, null];
        else if (reset === "49") ground = null;
        else if (which === "38") ink = colour;
        else ground = colour;
      }
    }
    rows.push(upper, lower);
  }
  return rows;
}

const grey = (level: number): string => `2;${level};${level};${level}`;

Deno.test("drawPicture() draws two rows of pixels to a line", () => {
  const view = new NDArray(Uint8Array.of(0, 255, 10, 20, 30, 40, 50, 60), { shape: [4, 2] });
  const { lines, range } = drawPicture(view, canvas(2, 2));
  assertEquals(range, null);
  assertEquals(lines.map(readable), ["▀▀", "▀▀"]);
  assertEquals(pixelsOf(lines), [
    [grey(0), grey(255)],
    [grey(10), grey(20)],
    [grey(30), grey(40)],
    [grey(50), grey(60)],
  ]);
  assertEquals(lines.map((line) => line.endsWith("\x1b[0m")), [true, true]);
});

Deno.test("drawPicture() leaves the lower half of an odd last row to the terminal", () => {
  const view = new NDArray(Uint8Array.of(1, 2, 3), { shape: [3, 1] });
  const { lines } = drawPicture(view, canvas(1, 2));
  assertEquals(pixelsOf(lines), [[grey(1)], [grey(2)], [grey(3)], [null]]);
});

Deno.test("drawPicture() draws three colours, from any layout", () => {
  const planes = new NDArray(Uint8Array.from({ length: 12 }, (_, i) => i * 20), {
    shape: [3, 2, 2],
  });
  const { lines } = drawPicture(planes.transpose([1, 2, 0]) as NDArray, canvas(2, 1));
  assertEquals(pixelsOf(lines), [
    ["2;0;80;160", "2;20;100;180"],
    ["2;40;120;200", "2;60;140;220"],
  ]);
});

Deno.test("drawPicture() spreads other elements from the least to the largest", () => {
  for (const dtype of ["float32", "int16", "float64"] as const) {
    const view = new NDArray(Float64Array.of(-2, 0, 1, 2), { shape: [2, 2] }).astype(dtype);
    const { lines, range } = drawPicture(view as NDArray, canvas(2, 1));
    assertEquals(pixelsOf(lines), [[grey(0), grey(128)], [grey(191), grey(255)]], dtype);
    assertEquals(range, { black: -2, white: 2 });
  }
  const big = new NDArray(BigInt64Array.of(-(2n ** 60n), 2n ** 60n), { shape: [1, 2] });
  assertEquals(pixelsOf(drawPicture(big as unknown as NDArray, canvas(2, 1)).lines)[0], [
    grey(0),
    grey(255),
  ]);
});

Deno.test("drawPicture() has a hole where there is NaN, and does not average it", () => {
  const view = new NDArray(Float64Array.of(NaN, 1, 0, NaN, NaN, NaN), { shape: [3, 2] });
  const { lines, range } = drawPicture(view, canvas(2, 2));
  assertEquals(pixelsOf(lines), [
    [null, grey(255)],
    [grey(0), null],
    [null, null],
    [null, null],
  ]);
  assertEquals(range, { black: 0, white: 1 });
  // One line of one character: the first two rows are its upper half.
  const small = drawPicture(view, canvas(1, 1)).lines;
  assertEquals(pixelsOf(small), [[grey(128)], [null]]);
});

Deno.test("drawPicture() draws infinities as the ends, and what has no range in the middle", () => {
  const view = new NDArray(Float64Array.of(-Infinity, 3, 5, Infinity), { shape: [1, 4] });
  const { lines, range } = drawPicture(view, canvas(4, 1));
  assertEquals(pixelsOf(lines)[0], [grey(0), grey(0), grey(255), grey(255)]);
  assertEquals(range, { black: 3, white: 5 });
  const flat = drawPicture(new NDArray(Float32Array.of(7, 7), { shape: [1, 2] }), canvas(2, 1));
  assertEquals(pixelsOf(flat.lines)[0], [grey(128), grey(128)]);
  const empty = drawPicture(new NDArray(Float32Array.of(NaN), { shape: [1, 1] }), canvas(1, 1));
  assertEquals([pixelsOf(empty.lines)[0], empty.range], [[null], null]);
});

Deno.test("drawPicture() fits into the width and the height, and keeps the proportions", () => {
  const sizes: [shape: number[], canvas: Canvas, width: number, lines: number][] = [
    [[480, 640], canvas(80, 50), 80, 30],
    [[480, 640], canvas(80, 21), 56, 21],
    [[1000, 10], canvas(80, 24), 1, 24],
    [[10, 1000], canvas(80, 24), 80, 1],
    [[4, 6], canvas(80, 24), 72, 24],
    [[1, 1], canvas(7, 24), 7, 4],
    [[81, 81], canvas(80, 100), 80, 40],
  ];
  for (const [shape, on, width, height] of sizes) {
    const view = new NDArray(new Uint8Array(shape[0] * shape[1]), { shape });
    for (const colours of [0, 256, 16777216] as const) {
      const { lines } = drawPicture(view.fill(90), { ...on, colours });
      const found = [Math.max(...lines.map((line) => readable(line).length)), lines.length];
      assertEquals(found, [width, height], `${shape} in ${on.columns} × ${on.rows}`);
    }
  }
});

Deno.test("drawPicture() averages what is larger", () => {
  const view = new NDArray(new Uint8Array(64), { shape: [8, 8] });
  view.slice(":", "4:").fill(100);
  view.slice("4:", ":4").assign([[40, 80, 40, 80]]);
  assertEquals(pixelsOf(drawPicture(view, canvas(2, 1)).lines), [
    [grey(0), grey(100)],
    [grey(60), grey(100)],
  ]);
});

Deno.test("drawPicture() takes the nearest of 256 colours", () => {
  const colours: [number[], number][] = [
    [[0, 0, 0], 16],
    [[255, 255, 255], 231],
    [[255, 0, 0], 196],
    [[0, 95, 215], 26],
    [[8, 8, 8], 232],
    [[118, 118, 118], 243],
    [[238, 238, 238], 255],
  ];
  for (const [colour, code] of colours) {
    const view = new NDArray(Uint8Array.from(colour), { shape: [1, 1, 3] });
    assertEquals(
      pixelsOf(drawPicture(view, canvas(1, 1, 256)).lines)[0],
      [`5;${code}`],
      `${colour}`,
    );
  }
});

Deno.test("drawPicture() takes denser characters for more brightness where there are no colours", () => {
  const view = new NDArray(Uint8Array.from({ length: 20 }, (_, i) => (i % 10) * 28), {
    shape: [2, 10],
  });
  assertEquals(drawPicture(view, canvas(10, 1, 0)).lines, [" .:-=+*#%@"]);
  const hole = new NDArray(Float32Array.of(NaN, 1, 0), { shape: [1, 3] });
  assertEquals(drawPicture(hole, canvas(3, 1, 0)).lines, ["?@"]);
  const colours = new NDArray(Uint8Array.of(0, 255, 0, 0, 0, 255), { shape: [1, 2, 3] });
  assertEquals(drawPicture(colours, canvas(2, 1, 0)).lines, ["+."]);
});

Deno.test("drawPicture() refuses other axes, and says what to take", () => {
  const shapes: [number[], RegExp][] = [
    [[4], /shape is \[4\].*'NAME\[newaxis\]'/],
    [[2, 2, 4], /shape is \[2, 2, 4\].*'NAME\[\.\.\., :3\]'/],
    [[2, 2, 2], /'NAME\[0\]'/],
    [[2, 2, 2, 3], /'NAME\[0\]'/],
    [[0, 2], /shape is \[0, 2\]/],
  ];
  for (const [shape, message] of shapes) {
    const view = new NDArray(new Uint8Array(shape.reduce((a, b) => a * b)), { shape });
    const error = assertThrows(() => drawPicture(view, canvas(80, 24)), RangeError);
    assert(message.test(error.message), error.message);
  }
});
