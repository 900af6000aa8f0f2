/**
 * Measures everything in one run, side by side, as ratios: against a C program, CPython with NumPy,
 * npm ndarray, plain typed arrays, and other ways to hand data over. Writes `bench/results.json`.
 *
 * Each section runs in a process of its own, so that what the JavaScript engine learns in one section
 * does not change another.
 *
 * @module
 */

import { type SectionResult, sections } from "./peers/sections.ts";
import type { Row } from "./measure.ts";

const OUTPUT = new URL("./results.json", import.meta.url);

async function main(names: readonly string[]): Promise<void> {
  const rows: Row[] = [];
  const results: Omit<SectionResult, "rows">[] = [];
  const start = performance.now();
  for (const name of names.length > 0 ? names : Object.keys(sections)) {
    const { rows: ofSection, ...others } = await runSection(name);
    ofSection.forEach(printRow);
    rows.push(...ofSection);
    results.push(others);
  }
  const report = {
    date: new Date().toISOString(),
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
  if (names.length > 0) return console.log("Not written: only some sections were measured");
  await Deno.writeTextFile(OUTPUT, JSON.stringify(report, null, 2));
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", OUTPUT.pathname] }).output();
}

/** Runs one section in a process of its own. */
async function runSection(name: string): Promise<SectionResult> {
  const file = new URL("./peers/sections.ts", import.meta.url).pathname;
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", file, name],
    stderr: "inherit",
    signal: AbortSignal.timeout(240_000),
  }).output();
  if (!success) throw new Error(`Cannot measure: section "${name}" failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

function printRow({ item, what, against, goal, ratio, quartiles, ours, theirs, unit, met }: Row) {
  const mark = met === null ? " " : met ? "✓" : "✗";
  const spread = quartiles === null ? "" : ` [${quartiles.map((q) => q.toFixed(2)).join(" … ")}]`;
  const figures = `${ours.toPrecision(3)} / ${theirs.toPrecision(3)} ${unit}`;
  console.log(
    `${mark} ${ratio.toFixed(2)}${spread} (${
      goal ?? "–"
    })  ${item}: ${what} | ${against}: ${figures}`,
  );
}

function describeMachine(): Record<string, string | number> {
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
