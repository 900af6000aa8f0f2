/**
 * Draws the pictures of the documents: `docs/pictures/processes.svg` and `docs/pictures/ring.svg`. They have
 * colours for light and for dark pages. `deno task generate` writes them.
 *
 * @module
 */

import { format } from "./format.ts";

const style = `
    text { font: 16px system-ui, sans-serif; fill: #1f2328; }
    .small { font-size: 13.5px; fill: #59636e; }
    .code { font-family: ui-monospace, monospace; font-size: 13px; }
    .box { fill: #f6f8fa; stroke: #59636e; }
    .segment { fill: #ddf4ff; stroke: #0969da; }
    .cell { fill: #ffffff; stroke: #0969da; }
    .new { fill: #dafbe1; stroke: #1a7f37; }
    .busy { fill: #fff1e5; stroke: #bc4c00; }
    .line { fill: none; stroke: #0969da; stroke-width: 1.5; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .small { fill: #9198a1; }
      .box { fill: #151b23; stroke: #9198a1; }
      .segment { fill: #121d2f; stroke: #4493f8; }
      .cell { fill: #0d1117; stroke: #4493f8; }
      .new { fill: #12261e; stroke: #3fb950; }
      .busy { fill: #221a19; stroke: #db6d28; }
      .line { stroke: #4493f8; }
    }`;

/** A picture: its title, which screen readers say, and its parts. */
function picture(width: number, height: number, title: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
  <title>${title}</title>
  <style>${style}
  </style>
  <defs>
    <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
      <path class="line" d="M1,1 L7,4 L1,7" />
    </marker>
  </defs>
  ${parts.join("\n  ")}
</svg>
`;
}

function box(kind: string, x: number, y: number, width: number, height: number): string {
  return `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6" />`;
}

function text(x: number, y: number, words: string, kind = ""): string {
  return `<text${
    kind && ` class="${kind}"`
  } x="${x}" y="${y}" text-anchor="middle">${words}</text>`;
}

function arrow(x1: number, y1: number, x2: number, y2: number, both = false): string {
  return `<path class="line" d="M${x1},${y1} L${x2},${y2}" marker-end="url(#tip)"${
    both ? ' marker-start="url(#tip)"' : ""
  } />`;
}

/** Several processes over one segment. */
function processes(): string {
  const peers = [
    ["Deno", 'create("frame")'],
    ["Deno, Node, Bun", 'attach("frame")'],
    ["Python, NumPy", 'attach("frame")'],
    ["C", 'shm_open("/frame")'],
  ];
  const [width, gap] = [154, 8]; // narrow, so that it can be read on a phone
  const parts = peers.flatMap(([name, call], i) => {
    const x = 8 + i * (width + gap);
    const middle = x + width / 2;
    return [
      box("box", x, 8, width, 56),
      text(middle, 31, name),
      text(middle, 51, call, "small code"),
      arrow(middle, 66, middle, 108, true),
    ];
  });
  const whole = 4 * width + 3 * gap;
  const cells = Array.from({ length: 12 }, (_, i) => box("cell", 150 + i * 28, 122, 28, 28));
  return picture(whole + 16, 196, "Several processes see the same bytes", [
    ...parts,
    box("segment", 8, 110, whole, 78),
    text(78, 141, "/dev/shm/frame", "code"),
    ...cells,
    text(150 + 6 * 28, 174, "the bytes, once in memory, and nothing else", "small"),
    text(570, 134, "described beside it:", "small"),
    text(570, 152, "[3, 4] uint8", "small code"),
  ]);
}

/** The slots of a ring, with its writer and two readers. */
function ring(): string {
  const [width, gap, top] = [132, 8, 74];
  const slots = ["41", "42, half written", "39", "40"];
  const kinds = ["new", "busy", "cell", "cell"];
  const x = (slot: number): number => 24 + slot * (width + gap);
  return picture(600, 196, "A writer goes round the slots of a ring, and readers look", [
    box("segment", 8, top - 18, 4 * width + 3 * gap + 32, 84),
    ...slots.flatMap((label, i) => [
      box(kinds[i], x(i), top, width, 48),
      text(x(i) + width / 2, top + 28, label, "small"),
    ]),
    text(x(1) + width / 2, 22, "writer: write(frame 42)"),
    arrow(x(1) + width / 2, 28, x(1) + width / 2, top - 3),
    text(x(0) + width / 2 + 56, 178, "latest(), and next(37), which skips 3"),
    arrow(x(0) + width / 2, 162, x(0) + width / 2, top + 51),
    text(x(2) + width / 2, 178, "next(38) is 39"),
    arrow(x(2) + width / 2, 162, x(2) + width / 2, top + 51),
  ]);
}

/** Draws the pictures. Their keys are their paths from the root. */
export async function draw(): Promise<{ readonly [path: string]: string }> {
  return {
    "docs/pictures/processes.svg": await format(processes(), "svg"),
    "docs/pictures/ring.svg": await format(ring(), "svg"),
  };
}

if (import.meta.main) {
  for (const [path, svg] of Object.entries(await draw())) {
    await Deno.writeTextFile(new URL(`../${path}`, import.meta.url), svg);
  }
}
