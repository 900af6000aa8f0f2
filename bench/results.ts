/**
 * The results of runs of `bench:peers`: one dated file each, in `bench/results/`.
 *
 * @module
 */

import type { Row, Skipped } from "./measure.ts";
import type { Handover } from "./peers/handover.ts";

/** What one run has measured. */
export interface Results {
  /** When it began, in UTC: "2026-11-26T15:39:44.500Z". */
  readonly date: string;
  readonly seconds: number;
  /** The sections that failed, and have no rows. */
  readonly failed?: readonly string[];
  /** What other sections could not measure. */
  readonly skipped?: readonly Skipped[];
  /** The commit that was measured; older files do not tell it. */
  readonly commit?: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly kernel: string;
    readonly arch: string;
    readonly memoryGiB: number;
  };
  readonly versions: { readonly [program: string]: string };
  readonly rows: readonly Row[];
  readonly handover: readonly Handover[];
}

const FOLDER = new URL("./results/", import.meta.url);

/** The paths of all results, the oldest first. */
export function listResults(): string[] {
  return [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
    .filter((name) => name.endsWith(".json")).sort()
    .map((name) => new URL(name, FOLDER).pathname);
}

/** Reads the results in a file; without a path, the newest ones. */
export async function readResults(path = listResults().at(-1)): Promise<Results> {
  if (path === undefined) throw new Error("There are no results: run deno task bench:peers");
  return JSON.parse(await Deno.readTextFile(path));
}

/** Writes results into a new file that is named by their date, to the minute; returns its path. */
export async function writeResults(results: Results): Promise<string> {
  const name = results.date.slice(0, 16).replace(":", "");
  const path = new URL(`${name}.json`, FOLDER).pathname;
  await Deno.writeTextFile(path, JSON.stringify(results, null, 2));
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", path] }).output();
  return path;
}
