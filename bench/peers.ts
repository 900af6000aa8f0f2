/**
 * Measures everything in one run, side by side, as ratios: against a C program, CPython with NumPy,
 * npm ndarray, plain typed arrays, and other ways to hand data over. Writes a dated file into
 * `bench/results/`.
 *
 * Each section runs in a process of its own, so that what the JavaScript engine learns in one section
 * does not change another.
 *
 * @module
 */

import { type SectionResult, sections } from "./sections.ts";
import { describeGoal, type Row, signOf, type Skipped } from "./measure.ts";
import { type Results, writeResults } from "./results.ts";

async function main(args: readonly string[]): Promise<void> {
  const isQuick = args.includes("--quick");
  const names = args.filter((arg) => arg !== "--quick");
  const rows: Row[] = [];
  const results: Omit<SectionResult, "rows" | "skipped">[] = [];
  const failed: string[] = [];
  const allSkipped: Skipped[] = [];
  const start = performance.now();
  const date = new Date().toISOString();
  for (const name of chooseSections(names)) {
    const begin = performance.now();
    const section = await runSection(name, isQuick);
    if (section === null) {
      // The others are worth having: a whole run takes a quarter of an hour.
      console.log(
        `✗ Section "${name}" failed: ${((performance.now() - begin) / 1000).toFixed(1)} s`,
      );
      failed.push(name);
      continue;
    }
    const { rows: ofSection, skipped = [], ...others } = section;
    ofSection.forEach(printRow);
    for (const { item, what, against, why } of skipped) {
      console.log(`– SKIPPED, as ${why}  ${item}: ${what} | ${against}`);
    }
    allSkipped.push(...skipped);
    console.log(`  (${name}: ${((performance.now() - begin) / 1000).toFixed(1)} s)`);
    rows.push(...ofSection);
    results.push(others);
  }
  const report: Results = {
    date,
    commit: await describeCommit(),
    ...(failed.length === 0 ? {} : { failed }),
    ...(allSkipped.length === 0 ? {} : { skipped: allSkipped }),
    seconds: Math.round((performance.now() - start) / 1000),
    machine: describeMachine(),
    versions: Object.assign(
      { deno: Deno.version.deno, v8: Deno.version.v8 },
      ...results.map(
        ({ versions }) => versions,
      ),
    ),
    rows,
    handover: results.flatMap(({ handover }) => handover ?? []),
  };
  const missed = rows.filter(({ met }) => met === false);
  console.log(`${rows.length} rows in ${report.seconds} s, ${missed.length} goals missed`);
  if (failed.length > 0) {
    console.log(`Failed: ${failed.join(", ")}`);
    Deno.exitCode = 1;
  }
  if (isQuick) return console.log("Not written: each thing was measured once only");
  if (names.length > 0) return console.log("Not written: only some sections were measured");
  console.log(`Written: ${await writeResults(report)}`);
}

/** The commit that is measured, with a plus sign if files have changed since. */
async function describeCommit(): Promise<string> {
  const args = ["describe", "--always", "--exclude=*", "--dirty=+"];
  const { stdout } = await new Deno.Command("git", { args }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** The sections that are asked for, each by its name or by the first words of it; all where none is. */
function chooseSections(names: readonly string[]): string[] {
  const known = Object.keys(sections);
  const chosen = (name: string): string[] =>
    known.filter((each) => each === name || each.startsWith(`${name}:`));
  const wrong = names.find((name) => chosen(name).length === 0);
  if (wrong !== undefined) {
    throw new RangeError(`There is no section "${wrong}", only ${known.join(", ")}`);
  }
  return names.length === 0 ? known : names.flatMap(chosen);
}

/** Runs one section in a process of its own; gives `null` if it failed, which its process has told of. */
async function runSection(name: string, isQuick: boolean): Promise<SectionResult | null> {
  const file = new URL("./sections.ts", import.meta.url).pathname;
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", file, name],
    env: { BENCH_QUICK: isQuick ? "1" : "0" },
    stderr: "inherit",
    signal: AbortSignal.timeout(600_000),
  }).output();
  return success ? JSON.parse(new TextDecoder().decode(stdout)) : null;
}

function printRow(row: Row): void {
  const { item, what, against, value, quartiles, ours, theirs, unit, met } = row;
  const mark = met === null ? " " : met ? "✓" : "✗";
  const spread = quartiles === null ? "" : ` [${quartiles.map((q) => q.toFixed(2)).join(" … ")}]`;
  const figures = `${ours.toPrecision(3)} / ${theirs.toPrecision(3)} ${unit}`;
  console.log(
    `${mark} ${value.toFixed(2)} ${signOf(row)}${spread} (${describeGoal(row)})  ` +
      `${item}: ${what} | ${against}: ${figures}`,
  );
}

function describeMachine(): Results["machine"] {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  return {
    cpu: cpu ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    kernel: `Linux ${Deno.osRelease()}`,
    arch: Deno.build.arch,
    memoryGiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
  };
}

await main(Deno.args);
