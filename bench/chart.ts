/**
 * Draws the chart of the hand-over: the time to another process and back, against the array's size.
 *
 * @module
 */

import * as vega from "vega";
import * as vegaLite from "vega-lite";
import type { Handover } from "./peers/handover.ts";

const WIDTH = 560;
const HEIGHT = 440;
const FASTEST = 1e-7;
const SLOWEST = 10;
const LABEL_HEIGHT = 16;

/** Lines of shared memory are strong and blue, a move within one process green, copies warm. */
const colours: { readonly [how: string]: string } = {
  "shared memory + Atomics": "#08306b",
  "shared memory + pipe": "#2171b5",
  "shared memory, attached anew + pipe": "#4a90c9",
  "postMessage to a Worker, transfer": "#238b45",
  "postMessage to a Worker, copy": "#7a0177",
  "file in /tmp": "#d95f0e",
  "Unix socket": "#b8860b",
  "pipe": "#cb181d",
};

/** The height in the chart, in pixels from the top. */
function toPixels(seconds: number): number {
  return HEIGHT * Math.log(SLOWEST / seconds) / Math.log(SLOWEST / FASTEST);
}

function fromPixels(pixels: number): number {
  return SLOWEST * (FASTEST / SLOWEST) ** (pixels / HEIGHT);
}

interface Label {
  readonly how: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly text: string;
}

/** The places of the lines' names at their right ends, moved apart where they would overlap. */
function placeLabels(points: readonly Handover[]): Label[] {
  const largest = Math.max(...points.map(({ bytes }) => bytes));
  const ends = points.filter(({ bytes }) => bytes === largest)
    .sort((a, b) => b.seconds - a.seconds);
  const places = ends.map(({ seconds }) => toPixels(seconds));
  // Neighbours push each other away, both by the same distance, until no two names overlap.
  for (let round = 0; round < 100; round++) {
    for (let i = 1; i < places.length; i++) {
      const push = Math.max(0, LABEL_HEIGHT - (places[i] - places[i - 1])) / 2;
      places[i - 1] -= push;
      places[i] += push;
    }
  }
  return ends.map(({ how, bytes, seconds }, i) => ({
    how,
    bytes,
    seconds: fromPixels(places[i]),
    text: `${how}: ${duration(seconds)}`,
  }));
}

/** A time for people: "52 µs". */
function duration(seconds: number): string {
  const [unit, factor] = seconds < 1e-6
    ? ["ns", 1e9]
    : seconds < 1e-3
    ? ["µs", 1e6]
    : seconds < 1
    ? ["ms", 1e3]
    : ["s", 1];
  const amount = seconds * factor;
  return `${amount >= 9.95 ? Math.round(amount) : amount.toFixed(1)} ${unit}`;
}

function size(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes / 2 ** 10} KiB` : `${bytes / 2 ** 20} MiB`;
}

/** An expression of Vega that shows numbers as the given texts. */
function labelExpression(values: readonly number[], text: (value: number) => string): string {
  const cases = values.map((value) =>
    `abs(datum.value / ${value} - 1) < 1e-6 ? '${text(value)}' : `
  );
  return `${cases.join("")}''`;
}

/** Draws the chart as an SVG document. */
export async function drawChart(points: readonly Handover[]): Promise<string> {
  const sizes = [...new Set(points.map(({ bytes }) => bytes))];
  const decades = Array.from({ length: 9 }, (_, i) => 10 ** (i - 7));
  const ways = Object.keys(colours);
  const color = {
    field: "how",
    type: "nominal",
    scale: { domain: ways, range: ways.map((way) => colours[way]) },
    legend: null,
  };
  const x = {
    field: "bytes",
    type: "quantitative",
    scale: { type: "log", base: 2, domain: [sizes[0] / 1.6, sizes.at(-1)!], nice: false },
    axis: {
      title: "Size of the array",
      values: sizes,
      labelExpr: labelExpression(sizes, size),
      labelOverlap: false,
      labelFlush: false,
      grid: false,
    },
  };
  const y = {
    field: "seconds",
    type: "quantitative",
    scale: { type: "log", domain: [FASTEST, SLOWEST], nice: false },
    axis: {
      title: "Time there and back (median of the best block)",
      values: decades,
      labelExpr: labelExpression(decades, (value) => duration(value).replace(".0", "")),
    },
  };
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "#ffffff",
    // Without a browser the width of a text is unknown: the space for the names is given here.
    autosize: { type: "none" },
    padding: { left: 92, top: 72, right: 340, bottom: 60 },
    width: WIDTH,
    height: HEIGHT,
    title: {
      text: "An array to another process (or a Worker) and back",
      subtitle:
        "Copies take longer the larger the array, shared memory does not. Both axes are logarithmic.",
      anchor: "start",
      fontSize: 17,
      subtitleFontSize: 13,
      subtitleColor: "#444444",
      offset: 14,
      frame: "group",
      dx: -76,
    },
    layer: [
      {
        data: { values: points },
        mark: { type: "line", point: { size: 45, filled: true }, strokeWidth: 2.2, clip: false },
        encoding: { x, y, color },
      },
      {
        data: { values: placeLabels(points) },
        mark: { type: "text", align: "left", baseline: "middle", dx: 12, fontSize: 12.5 },
        encoding: { x, y, color, text: { field: "text", type: "nominal" } },
      },
    ],
    config: {
      font: "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
      view: { stroke: null },
      axis: {
        labelFontSize: 12,
        titleFontSize: 13,
        titleFontWeight: "normal",
        gridColor: "#e6e6e6",
        labelColor: "#222222",
        titleColor: "#222222",
      },
    },
  };
  const compiled = vegaLite.compile(spec as vegaLite.TopLevelSpec).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: "none" });
  return await view.toSVG();
}
