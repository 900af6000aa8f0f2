/**
 * `shm ls`: what segments there are, whose they are, and who uses them.
 *
 * @module
 */

import { visible } from "../../../ffi/runtime/errors.ts";
import type { SegmentInfo } from "../../../mod.ts";
import { segmentSpace } from "../../segment/mod.ts";
import { choose } from "../arguments.ts";
import { type Command, defineCommand, jsonOption } from "../command.ts";
import { matcherOf, nameOf } from "../names.ts";
import { age, jsonText, shapeText, size } from "../output.ts";
import { allSegments, showsUsers, usersOf } from "../segments.ts";
import { type Column, tableLines } from "../table.ts";
import { Who } from "../who.ts";

/** By which the list can be sorted. */
const orders = {
  name: (a, b) => a.name < b.name ? -1 : 1,
  size: (a, b) => b.byteLength - a.byteLength,
  age: (a, b) => b.createdAt.getTime() - a.createdAt.getTime(),
} as const satisfies { [key: string]: (a: SegmentInfo, b: SegmentInfo) => number };

const columns: readonly Column[] = [
  { title: "NAME", cut: "middle" },
  { title: "KIND" },
  { title: "SHAPE", cut: "end" },
  { title: "DTYPE" },
  { title: "SIZE", align: "right" },
  { title: "AGE", align: "right" },
  { title: "OWNER", cut: "end" },
  { title: "USED BY", cut: "end" },
];
const [NAME, SHAPE, DTYPE, AGE, OWNER, USED_BY] = [0, 2, 3, 5, 6, 7];

/** How a line is made to fit a narrow terminal, step by step; a column of width 0 is left out. */
const steps = [
  [NAME, 36],
  [USED_BY, 15],
  [OWNER, 8],
  [NAME, 20],
  [SHAPE, 13],
  [NAME, 14],
  [USED_BY, 11],
  [SHAPE, 10],
  [OWNER, 5],
  [NAME, 10],
  // No step so far leaves anything out on 80 columns.
  [OWNER, 0],
  [AGE, 0],
  [DTYPE, 0],
  [SHAPE, 0],
] as const;

/** Lists segments. */
export const ls: Command = defineCommand({
  name: "ls",
  summary: "lists what there is, whose it is, and who uses it",
  usage: ["ls [PREFIX] [--sort name|size|age] [--json]"],
  help: [
    "Lists segments: what each is, as far as it says so itself or its bytes do, its",
    "size, how long ago it was made, its owner, and the processes that map it, or",
    "hold it where it has no name in /dev/shm. What nobody uses is dim on a terminal.",
    "Of other users' segments and processes one sees what the system lets one see: ?",
    "stands where that is nothing.",
    "",
    "PREFIX takes only those whose name begins so, or what buildSmaName was given;",
    "one with a * is a pattern for whole names, to be quoted: 'tile-*'.",
  ],
  options: {
    sort: { value: "KEY", help: "by name (default), size (largest first) or age (newest first)" },
    json: jsonOption,
  },
  words: { least: 0, most: 1 },
  run({ options, words: [wanted] }, { out, outAll, columns: width, style }) {
    const order = orders[choose(options.sort ?? "name", ["name", "size", "age"], "--sort")];
    const all = allSegments();
    const segments = wanted === undefined ? all : all.filter(filterOf(wanted));
    segments.sort(order);
    const who = new Who();
    if (options.json) {
      out(jsonText(segments.map((segment) => ({
        ...segment,
        owner: who.owner(segment.uid),
        usedBy: usersOf(segment).map(who.user),
      }))));
      return 0;
    }
    if (segments.length > 0) {
      const now = Date.now();
      const rows = segments.map((segment) => {
        const users = usersOf(segment);
        return {
          cells: [
            visible(segment.name),
            segment.kind ?? "-",
            shapeText(segment.shape),
            segment.dtype ?? "-",
            size(segment.byteLength),
            age(now - segment.createdAt.getTime()),
            visible(who.owner(segment.uid)),
            showsUsers(segment) ? who.names(users) : "?",
          ],
          dim: users.length === 0 && showsUsers(segment),
        };
      });
      outAll(tableLines(columns, rows, { columns: width, style }, steps));
    }
    out(summary(segments, all.length));
    return 0;
  },
});

/** Tells which segments a prefix or pattern takes. */
function filterOf(wanted: string): (segment: SegmentInfo) => boolean {
  const start = nameOf(wanted);
  const matches = matcherOf(start);
  if (matches !== null) return ({ name }) => matches(name);
  return ({ name, prefix }) =>
    name.startsWith(start) || prefix !== null && prefix.startsWith(start);
}

/** The last line: how many segments, and how much room. */
function summary(segments: readonly SegmentInfo[], all: number): string {
  const count = segments.length;
  const bytes = segments.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const counted = (count === all ? "" : `${count} of `) +
    `${all} segment${all === 1 ? "" : "s"}` + (count === 0 ? "" : `, ${size(bytes)}`);
  const space = segmentSpace();
  return space === null
    ? counted
    : `${counted}; /dev/shm: ${size(space.byteLength)} total, ${size(space.available)} free`;
}
