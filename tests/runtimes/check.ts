/**
 * Checks that run in every runtime: each has a name, and the last line tells how many passed.
 *
 * @module
 */

import process from "node:process";
import { inspect, isDeepStrictEqual } from "node:util";

let passed = 0;
let failed = 0;

/** How long one check may take, in milliseconds: it keeps a broken one from waiting for ever. */
const LIMIT = 120_000;

/** Runs a check. What it throws is printed, and the next one is run. */
export async function check(name: string, body: () => unknown): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${LIMIT} ms`)), LIMIT);
  });
  try {
    await Promise.race([(async () => await body())(), late]);
    passed++;
  } catch (error) {
    failed++;
    console.log(`FAILED: ${name}\n${error instanceof Error ? error.stack : error}`);
    // The stacks of JavaScriptCore do not begin with the message.
    if (error instanceof Error) console.log(`  (${error.name}: ${error.message})`);
  } finally {
    clearTimeout(timer);
  }
}

/** Prints how many checks passed, and ends the program: with 1 if one failed. */
export function report(): never {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

/** Requires a condition. */
export function ok(condition: unknown, what = "the condition does not hold"): asserts condition {
  if (!condition) throw new Error(what);
}

/** Requires two values to be alike in all their parts. */
export function equal<T>(actual: T, expected: T): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${inspect(actual, { depth: 9 })} is not ${inspect(expected, { depth: 9 })}`);
}

/** A class of errors, as `instanceof` asks for it. */
// deno-lint-ignore no-explicit-any -- any class
type ErrorClass = abstract new (...args: any) => Error;

/** What else an error must have. */
interface Wanted {
  readonly code?: string;
  readonly includes?: string;
}

/** Requires an error of a class. */
function checkError(error: unknown, Class: ErrorClass, { code, includes }: Wanted): void {
  if (!(error instanceof Class)) throw new Error(`${inspect(error)} is no ${Class.name}`);
  if (code !== undefined) equal((error as { code?: string }).code, code);
  if (includes !== undefined) {
    ok(error.message.includes(includes), `${error.message} does not include ${includes}`);
  }
}

/** Requires a function to throw an error of a class; returns it. */
export function throws(body: () => unknown, Class: ErrorClass, wanted: Wanted = {}): Error {
  try {
    body();
  } catch (error) {
    checkError(error, Class, wanted);
    return error as Error;
  }
  throw new Error(`nothing was thrown, and ${Class.name} was to be`);
}

/** Requires a promise to be rejected with an error of a class. */
export async function rejects(
  promise: Promise<unknown>,
  Class: ErrorClass,
  wanted: Wanted = {},
): Promise<void> {
  try {
    await promise;
  } catch (error) {
    checkError(error, Class, wanted);
    return;
  }
  throw new Error(`the promise was fulfilled, and ${Class.name} was expected`);
}

/** Adds to an element in a way that loses additions of others that come between. */
export function addSlowly(element: Int32Array): void {
  const before = Atomics.load(element, 0);
  for (const end = performance.now() + 0.2; performance.now() < end;);
  Atomics.store(element, 0, before + 1);
}
