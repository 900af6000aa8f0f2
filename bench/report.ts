/**
 * Turns the newest results into what a reader sees: `bench/RESULTS.md` with every row, the chart
 * `bench/handover.svg`, and the few rows between the markers in README.md. Another file of results can
 * be given as an argument.
 *
 * @module
 */

import { drawChart } from "./chart.ts";
import { describeGoal, type Row, signOf } from "./measure.ts";
import { readResults, type Results } from "./results.ts";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

// --- Words -----------------------------------------------------------------------------------

/** A figure with its sign: "1.08 ×". */
function describeValue(row: Row): string {
  return `${amount(row.value)} ${signOf(row)}`;
}

function amount(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2);
}

/** A measurement with three digits that count: "0.642", "48,800". */
function digits(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

const programs: { readonly [program: string]: string } = { deno: "Deno", v8: "V8", gcc: "GCC" };

/** When, where and with which programs it was measured. */
function describeRun({ date, commit, machine, versions, seconds }: Results): string {
  const { cpu, cores, kernel, arch, memoryGiB } = machine;
  const used = Object.entries(versions).map(([name, version]) =>
    /^\d/.test(version) ? `${programs[name] ?? name} ${version}` : version
  );
  return `Measured on ${date.slice(0, 10)}${commit === undefined ? "" : `, commit ${commit}`}: ` +
    `${cpu}, ${cores} cores, ${memoryGiB} GiB of memory, ${kernel} ${arch}; ${used.join(", ")}; ` +
    `in ${Math.round(seconds / 60)} minutes.`;
}

// --- RESULTS.md ------------------------------------------------------------------------------

/** The page with every row, one table for each item. */
export function makeResultsPage(results: Results): string {
  const { rows, skipped = [] } = results;
  const items = Map.groupBy(rows, ({ item }) => item);
  const missed = rows.filter(({ met }) => met === false);
  const withGoal = rows.filter(({ met }) => met !== null);
  return [
    "# Results of the benches",
    "",
    "This page is written by `deno task bench:report`. The figures are ratios of times, ours to " +
    "theirs, unless a sign says otherwise; [README.md](./README.md) says what each one means, and " +
    "how to repeat it. _Middle half_: half of all rounds lie between these two figures.",
    "",
    describeRun(results),
    "",
    `${withGoal.length} figures have a goal; ${withGoal.length - missed.length} meet it.`,
    "",
    "![Time to hand an array to another process and back, against its size](./handover.svg)",
    ...missed.length === 0 ? [] : [
      "",
      "## Goals that are missed",
      "",
      "| what | part | against | goal | measured |",
      "| --- | --- | --- | --- | --- |",
      ...missed.map((row) =>
        cells(row.item, row.what, row.against, describeGoal(row), describeValue(row))
      ),
    ],
    ...skipped.length === 0 ? [] : [
      "",
      "## What was skipped",
      "",
      "| what | part | against | why |",
      "| --- | --- | --- | --- |",
      ...skipped.map(({ item, what, against, why }) => cells(item, what, against, why)),
    ],
    ...[...items].flatMap(([item, parts]) => ["", `## ${item}`, "", ...makeTable(parts)]),
    "",
  ].join("\n");
}

function cells(...texts: string[]): string {
  return `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
}

function makeTable(parts: readonly Row[]): string[] {
  return [
    "| part | against | goal | measured | middle half | ours | theirs | met |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...parts.map((row) => {
      const { what, against, figure, quartiles, ours, theirs, unit, met } = row;
      return cells(
        what,
        against,
        describeGoal(row),
        met === false ? `**${describeValue(row)}**` : describeValue(row),
        quartiles === null ? "" : quartiles.map(amount).join(" … "),
        `${digits(ours)} ${unit}`,
        figure === "own" ? "" : digits(theirs),
        met === null ? "" : met ? "yes" : "no",
      );
    }),
  ];
}

// --- README.md -------------------------------------------------------------------------------

/** What README shows: a sentence, and the row that it is from. */
const highlights: readonly { text: string; item: RegExp; what: RegExp; against: string }[] = [
  {
    text: "64 MiB to another process and back, by `wait` and `notify`",
    item: /^fork's messages beside shared memory, 64 MiB/,
    what: /^wait and notify$/,
    against: "fork of Node",
  },
  {
    text: "The same, by a message in a pipe",
    item: /^hand an array/,
    what: /^shared memory \+ pipe, 64 MiB/,
    against: "Unix socket",
  },
  {
    text: "Load an array, read it, close it",
    item: /^load \+ view/,
    what: /^$/,
    against: "bare C",
  },
  {
    text: "A 5-point stencil by `get` and `set`",
    item: /^loops as people write them/,
    what: /^5-point stencil, float64/,
    against: "npm ndarray (unchecked)",
  },
];

/** The few rows of README.md. */
export function makeHighlights(results: Results): string {
  const rows = highlights.map((highlight) => {
    const { text, item, what, against } = highlight;
    const row = results.rows.find((row) =>
      item.test(row.item) && what.test(row.what) && row.against === against
    );
    if (row === undefined) {
      console.error(`Not in these results, so not in README: ${text}, against ${against}`);
      return null;
    }
    return cells(text, against, describeValue(row));
  });
  return [
    BEGIN,
    "",
    `Some of the ${results.rows.length} figures of ${
      results.date.slice(0, 10)
    }, measured side by ` +
    "side; [bench/RESULTS.md](./bench/RESULTS.md) has all of them, and the goals that are missed; " +
    "[docs/performance.md](./docs/performance.md) says how to read them. × is our time divided by theirs.",
    "",
    "| what | beside | measured |",
    "| --- | --- | --- |",
    ...rows.filter((row) => row !== null),
    "",
    "![Time to hand an array to another process and back, against its size](./bench/handover.svg)",
    "",
    END,
  ].join("\n");
}

/** Replaces what is between the markers. */
export function replaceHighlights(text: string, report: string): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin === -1 || end < begin) {
    throw new RangeError(`Cannot write the rows: the file has no ${BEGIN} … ${END}`);
  }
  return text.slice(0, begin) + report + text.slice(end + END.length);
}

async function main([path]: readonly string[]): Promise<void> {
  const beside = (file: string): string => new URL(file, import.meta.url).pathname;
  const [page, chart, readme] = ["./RESULTS.md", "./handover.svg", "../README.md"].map(beside);
  const results = await readResults(path);
  await Deno.writeTextFile(page, makeResultsPage(results));
  await Deno.writeTextFile(chart, await drawChart(results.handover));
  const text = await Deno.readTextFile(readme);
  await Deno.writeTextFile(readme, replaceHighlights(text, makeHighlights(results)));
  // The formatter lines up the tables' columns.
  await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "-q", page, chart, readme],
    cwd: beside(".."),
  }).output();
}

if (import.meta.main) await main(Deno.args);
