/**
 * How things are measured here: contestants take turns in one run, and what counts is the ratio.
 *
 * @module
 */

/** A function that does some work and tells how long one unit of it took, in nanoseconds. */
export type Contestant = () => number | Promise<number>;

/** What a figure must be: at most, or at least, this number. A goal is written once, here, as a number. */
export type Goal = { readonly most: number } | { readonly least: number };

/**
 * What is made of the two measurements of a round: `ratio` is ours divided by theirs, `speed` theirs
 * divided by ours (how many times as fast ours is), `difference` is ours less theirs, in the row's unit,
 * and `own` is ours alone, in the row's unit.
 */
export type Figure = "ratio" | "speed" | "difference" | "own";

/** What our contestant is measured against. */
export interface Opponent {
  /** The opponent's name: "raw loop", "NumPy". */
  readonly name: string;
  /** The goal of the figure; left out where there is none. */
  readonly goal?: Goal;
  /** Default: "ratio". */
  readonly figure?: Figure;
}

/** One measured line of the results. */
export interface Row {
  /** Which line of the table it belongs to. */
  readonly item: string;
  /** The part of it that was measured. */
  readonly what: string;
  readonly against: string;
  readonly figure: Figure;
  /** The median of the figure over all rounds. */
  readonly value: number;
  /** The middle half of the rounds lies between these two. */
  readonly quartiles: readonly [number, number] | null;
  readonly goal: Goal | null;
  /** Whether the goal is met; `null` where there is none. */
  readonly met: boolean | null;
  /** The medians of what was measured, in the unit. */
  readonly ours: number;
  readonly theirs: number;
  readonly unit: string;
}

/** A row that could not be measured, as another program is not there. */
export interface Skipped {
  readonly item: string;
  readonly what: string;
  readonly against: string;
  readonly why: string;
}

/** Functions in one process that do the same work: one of ours, and its opponents. */
export interface Group {
  readonly item: string;
  readonly what: string;
  /** How many units of work one call does. */
  readonly count: number;
  /** The unit that results are given in: "ns per element". */
  readonly unit: string;
  /** Throws if one of the functions gives a wrong result. */
  readonly check: () => void;
  readonly ours: () => unknown;
  /** The first one is the baseline of `deno bench`. */
  readonly against: readonly (Opponent & { readonly run: () => unknown })[];
}

/** Whether each thing is measured once only, to see that the benches work: `bench:peers --quick`. */
export const isQuick: boolean = Deno.env.get("BENCH_QUICK") === "1";

/** Results are stored here, so that no compiler can leave the work out. */
export let sink: unknown;

/** Takes a result. */
export function keep(result: unknown): void {
  sink = result;
}

/** Makes a contestant of a function that does `count` units of work. */
export function timed(run: () => unknown, count = 1): Contestant {
  return () => {
    const start = performance.now();
    keep(run());
    return (performance.now() - start) * 1e6 / count;
  };
}

/**
 * Lets contestants take turns, so that what disturbs the machine disturbs all of them; every other
 * round runs backwards.
 *
 * @returns for each contestant its time in each round
 */
export async function interleave(
  contestants: readonly Contestant[],
  { rounds = 25, warmup = 3 }: { rounds?: number; warmup?: number } = {},
): Promise<number[][]> {
  const times = contestants.map((): number[] => []);
  if (isQuick) [rounds, warmup] = [1, 0];
  for (let round = -warmup; round < rounds; round++) {
    const turns = contestants.map((_, i) => i);
    if (round % 2 !== 0) turns.reverse();
    for (const i of turns) {
      const time = await contestants[i]();
      if (round >= 0) times[i].push(time);
    }
  }
  return times;
}

/** Measures ours against all opponents at once: a row for each. */
export async function compare(
  { item, what, unit }: { item: string; what: string; unit: string },
  ours: Contestant,
  against: readonly (Opponent & { readonly contestant: Contestant })[],
  options?: { rounds?: number; warmup?: number },
): Promise<Row[]> {
  const contestants = [ours, ...against.map(({ contestant }) => contestant)];
  const [own, ...others] = await interleave(contestants, options);
  return against.map((opponent, i) => makeRow({ item, what, unit }, opponent, own, others[i]));
}

/** Makes a row of the measurements of all rounds. */
export function makeRow(
  { item, what, unit }: { item: string; what: string; unit: string },
  { name, goal, figure = "ratio" }: Opponent,
  ours: readonly number[],
  theirs: readonly number[],
): Row {
  const values = ours.map((own, i) => makeFigure(figure, own, theirs[i]));
  const value = quantile(values, 0.5);
  return {
    item,
    what,
    against: name,
    figure,
    value,
    quartiles: values.length < 4 ? null : [quantile(values, 0.25), quantile(values, 0.75)],
    goal: goal ?? null,
    met: goal === undefined ? null : isMet(goal, value),
    ours: quantile(ours, 0.5),
    theirs: quantile(theirs, 0.5),
    unit,
  };
}

/** Makes a row of something that is measured by itself, in the unit. */
export function makeOwnRow(
  labels: { item: string; what: string; unit: string },
  goal: Goal | undefined,
  values: readonly number[],
): Row {
  return makeRow(labels, { name: "itself", goal, figure: "own" }, values, values);
}

function makeFigure(figure: Figure, ours: number, theirs: number): number {
  if (figure === "own") return ours;
  if (figure === "difference") return ours - theirs;
  return figure === "ratio" ? ours / theirs : theirs / ours;
}

/** Whether a value meets a goal. */
export function isMet(goal: Goal, value: number): boolean {
  return "most" in goal ? value <= goal.most : value >= goal.least;
}

/** The sign behind a row's figure: "×", "× as fast", "ms more", "µs". */
export function signOf({ figure, unit }: Row): string {
  if (figure === "ratio") return "×";
  if (figure === "speed") return "× as fast";
  return figure === "own" ? unit : `${unit} more`;
}

/** A goal in words: "≤ 1.3 ×". */
export function describeGoal(row: Row): string {
  if (row.goal === null) return "–";
  const limit = "most" in row.goal ? `≤ ${row.goal.most}` : `≥ ${row.goal.least}`;
  return `${limit} ${signOf(row)}`;
}

/** Checks a group, then measures it. */
export async function compareGroup(group: Group, options?: { rounds?: number }): Promise<Row[]> {
  group.check();
  return await compare(
    group,
    timed(group.ours, group.count),
    group.against.map((opponent) => ({
      ...opponent,
      contestant: timed(opponent.run, group.count),
    })),
    options,
  );
}

/** Checks a group, then hands it to `deno bench`; outside of that, does nothing. */
export function benchGroup(group: Group): void {
  const name = `${group.what || group.item} (${group.count} × per run)`;
  group.check();
  Deno.bench({ group: name, name: "@shm/array", fn: () => keep(group.ours()) });
  group.against.forEach(({ name: opponent, run }, i) =>
    Deno.bench({ group: name, name: opponent, baseline: i === 0, fn: () => keep(run()) })
  );
}

/** Whether a module is the one that `deno bench` runs, and not imported by another. */
export function isBenched(url: string): boolean {
  return Deno.mainModule === url;
}

/** The value below which a share of all values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  return below + (sorted[Math.ceil(at)] - below) * (at % 1);
}

/**
 * Makes a function with a text of its own. V8 remembers types per place in the source text: two
 * contestants that share a loop would slow each other down.
 */
export function ownText<F>(key: string, parameters: string, body: string): F {
  return new Function(parameters, `"use strict"; // ${key}\n${body}`) as F;
}

/** Throws unless two results are the same. */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) {
    throw new Error(`Cannot time ${what}: it gives ${actual}, not ${expected}`);
  }
}

/** Throws unless two lists hold the same elements. */
export function expectSameElements<T>(
  what: string,
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
): void {
  expectSame(`${what} (length)`, actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] !== expected[i]) expectSame(`${what} (element ${i})`, actual[i], expected[i]);
  }
}

/** How long either side is busy before it goes on, in milliseconds: the other one is asleep by then. */
export const DWELL = 0.15;

/** Is busy for that long. */
export function dwell(): void {
  for (const end = performance.now() + DWELL; performance.now() < end;);
}
