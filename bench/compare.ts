/**
 * Shows which rows with a goal got worse from one run of `bench:peers` to another:
 * `deno task bench:compare OLD NEW`, the names of two files in `bench/results/`. Without names it takes
 * the two newest ones. The exit code is 1 if a row got worse by more than 5 % and more than its rounds
 * scatter, or is gone, or has an easier goal; 2 if the command is wrong.
 *
 * @module
 */

import { describeGoal, type Row, signOf } from "./measure.ts";
import { listResults, readResults } from "./results.ts";

/** By how many percent a figure may be worse. */
export const TOLERANCE = 5;

/** What became of a row. */
export interface Change {
  readonly row: Row;
  /** How much worse it is, in percent; `null` where the row is gone. */
  readonly percent: number | null;
  readonly kind: "worse" | "worse, within what the rounds scatter" | "gone" | "its goal is easier";
  readonly text: string;
}

/** Compares the rows with a goal; gives those that are worse, the worst first. */
export function compareRows(before: readonly Row[], after: readonly Row[]): Change[] {
  const changes: Change[] = [];
  for (const old of before) {
    if (old.goal === null) continue;
    const row = after.find((each) => keyOf(each) === keyOf(old));
    if (row === undefined || row.goal === null) {
      changes.push({ row: old, percent: null, kind: "gone", text: "" });
      continue;
    }
    if (isEasier(row, old)) {
      const text = `${describeGoal(old)} → ${describeGoal(row)}`;
      changes.push({ row, percent: null, kind: "its goal is easier", text });
    }
    const percent = worseBy(row, old);
    if (percent <= TOLERANCE) continue;
    const kind = overlap(row, old) ? "worse, within what the rounds scatter" : "worse";
    const text = `${old.value.toFixed(2)} → ${row.value.toFixed(2)} ${signOf(row)}`;
    changes.push({ row, percent, kind, text });
  }
  return changes.sort((a, b) => (b.percent ?? Infinity) - (a.percent ?? Infinity));
}

/** Whether a change is a reason to stop. */
export function isFatal({ kind }: Change): boolean {
  return kind !== "worse, within what the rounds scatter";
}

function keyOf({ item, what, against }: Row): string {
  return [item, what, against].join("\n");
}

/** By how many percent of the old figure (of the goal, where that is larger) the new one is worse. */
function worseBy({ value, goal, figure }: Row, { value: old }: Row): number {
  if ("least" in goal!) return (old / value - 1) * 100;
  // A difference or a share of a processor may be about zero, where percent of it say nothing.
  const base = figure === "ratio" ? old : Math.max(old, goal!.most);
  return (value - old) / base * 100;
}

function isEasier({ goal }: Row, { goal: old }: Row): boolean {
  if ("most" in goal! && "most" in old!) return goal.most > old.most;
  return "least" in goal! && "least" in old! && goal.least < old.least;
}

/** Whether the middle halves of the rounds overlap; one figure without rounds scatters by nothing. */
function overlap(a: Row, b: Row): boolean {
  const [low, high] = a.quartiles ?? [a.value, a.value];
  const [oldLow, oldHigh] = b.quartiles ?? [b.value, b.value];
  return low <= oldHigh && oldLow <= high;
}

/** The path of a file of results that is named by its path or by a part of its name. */
function find(name: string): string {
  const found = listResults().filter((path) => path === name || path.includes(name));
  if (found.length === 1) return found[0];
  const known = listResults().map((path) => path.slice(path.lastIndexOf("/") + 1)).join(", ");
  throw new RangeError(`There are ${found.length} results named "${name}"; known are ${known}`);
}

async function main(names: readonly string[]): Promise<number> {
  const paths = listResults();
  if (names.length !== 0 && names.length !== 2 || paths.length < 2) {
    console.error("Usage: deno task bench:compare [OLD NEW]: the names of two of the results");
    return 2;
  }
  const [before, after] = await Promise.all(
    (names.length === 2 ? names.map(find) : paths.slice(-2)).map((path) => readResults(path)),
  );
  console.log(`${before.date} (${before.commit ?? "?"}) → ${after.date} (${after.commit ?? "?"})`);
  for (const key of ["cpu", "cores", "kernel"] as const) {
    if (before.machine[key] === after.machine[key]) continue;
    console.log(`Another machine: ${key} ${before.machine[key]} → ${after.machine[key]}`);
  }
  const changes = compareRows(before.rows, after.rows);
  for (const { row, percent, kind, text } of changes) {
    const amount = percent === null ? "" : `${percent.toFixed(0)} % `;
    console.log(`${amount}${kind}: ${row.item}: ${row.what} | ${row.against} ${text}`);
  }
  const fatal = changes.filter(isFatal).length;
  const common = before.rows.filter(({ goal }) => goal !== null).length;
  console.log(`${fatal} of ${common} rows with a goal are worse by more than ${TOLERANCE} %`);
  return fatal > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
