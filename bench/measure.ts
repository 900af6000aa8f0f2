/**
 * How things are measured here: contestants take turns in one run, and what counts is the ratio.
 *
 * @module
 */

/** A function that does some work and tells how long one unit of it took, in nanoseconds. */
export type Contestant = () => number | Promise<number>;

/** What our contestant is measured against. */
export interface Opponent {
  /** Who it is: "raw loop", "NumPy". */
  readonly name: string;
  /** The goal in words: "≤ 1.5 ×"; left out where there is none. */
  readonly goal?: string;
  /** The goal as a number; with `atLeast`, the ratio must not be below it. */
  readonly limit?: number;
  readonly atLeast?: boolean;
  /** Whether the ratio is how many times as often ours is done in the same time; `limit` is then the least. */
  readonly isRate?: boolean;
}

/** One measured line of the table. */
export interface Row {
  /** Which line of the table it belongs to. */
  readonly item: string;
  /** The part of it that was measured. */
  readonly what: string;
  readonly against: string;
  readonly goal: string | null;
  /** The median of ours / theirs over all rounds; where the goal is a difference, that difference. */
  readonly ratio: number;
  /** The middle half of the rounds lies between these two. */
  readonly quartiles: readonly [number, number] | null;
  readonly ours: number;
  readonly theirs: number;
  readonly unit: string;
  /** Whether the goal is met; `null` where there is none. */
  readonly met: boolean | null;
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
  return against.map((opponent, i) =>
    makeRow(
      { item, what, unit },
      { ...opponent, atLeast: opponent.atLeast ?? opponent.isRate },
      own,
      others[i],
      own.map((t, k) => opponent.isRate ? others[i][k] / t : t / others[i][k]),
    )
  );
}

/** Makes a row of the times of all rounds, and of what is compared with the goal. */
export function makeRow(
  { item, what, unit }: { item: string; what: string; unit: string },
  { name, goal, limit, atLeast }: Opponent,
  ours: readonly number[],
  theirs: readonly number[],
  ratios: readonly number[],
): Row {
  const ratio = quantile(ratios, 0.5);
  return {
    item,
    what,
    against: name,
    goal: goal ?? null,
    ratio,
    quartiles: ratios.length < 4 ? null : [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    ours: quantile(ours, 0.5),
    theirs: quantile(theirs, 0.5),
    unit,
    met: limit === undefined ? null : atLeast ? ratio >= limit : ratio <= limit,
  };
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
  const name = `${group.what} (${group.count} × per run)`;
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
