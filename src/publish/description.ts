/**
 * What rings and publications of versions are, as plain data, and how their arguments are checked.
 *
 * @module
 */

import { defineConstant, kindOf, type OptionKind, readOptions } from "../check.ts";
import type { DTypeLike } from "../dtype.ts";
import type { Shape } from "../ndarray/mod.ts";
import type { WaitAsyncOptions, WaitOptions } from "./channel.ts";

/** What arrays are published, and where, as plain data. */
export interface PublicationDescriptor<T extends DTypeLike = DTypeLike> {
  /** The lengths of the axes in elements. */
  readonly shape: Shape;
  /** The element type, in any accepted spelling. */
  readonly dtype: T;
  /** The segment's name, without a slash. */
  readonly name: string;
}

/**
 * Gives an instance its own properties: plain data, read-only.
 *
 * @param instance the instance
 * @param parts what it is to have
 */
export function describe(instance: object, parts: { [key: string]: unknown }): void {
  for (const [key, value] of Object.entries(parts)) {
    defineConstant(instance, key, value);
  }
}

/**
 * Takes the parts of a descriptor that came from elsewhere.
 *
 * @param descriptor what the caller gave
 * @param what what is made of it, for messages
 * @param parts the parts that it must have
 * @returns the descriptor
 */
export function checkDescriptor<D extends object>(
  descriptor: D,
  what: string,
  parts: readonly (keyof D & string)[],
): D {
  if (kindOf(descriptor) !== "an object") {
    throw new TypeError(
      `Cannot make a ${what} from ${kindOf(descriptor)}: a descriptor is an object with ` +
        parts.join(", ") + (typeof descriptor === "string" ? "; JSON.parse() makes it" : ""),
    );
  }
  for (const part of parts) {
    if (!Object.hasOwn(descriptor, part)) {
      throw new TypeError(`Cannot make a ${what}: the descriptor has no ${part}`);
    }
  }
  return descriptor;
}

/**
 * Checks how long to wait.
 *
 * @param options what the caller gave
 * @param takesSignal whether the waiting can be aborted
 * @returns the options; the time limit is never missing
 */
export function checkWaitOptions(
  options: WaitAsyncOptions | undefined,
  takesSignal: boolean,
): WaitAsyncOptions & { timeout: number } {
  const kinds: { [key: string]: OptionKind } = { timeout: "number of milliseconds" };
  if (takesSignal) kinds.signal = "AbortSignal";
  const { timeout = Infinity, signal } = readOptions(
    options,
    kinds as { timeout: OptionKind; signal: OptionKind },
    "wait",
  );
  return { timeout: checkTimeout(timeout, "wait"), signal };
}

/**
 * Checks how long to wait for a creator.
 *
 * @param options what the caller gave
 * @returns the time limit in milliseconds
 */
export function checkLoadOptions(options: WaitOptions | undefined): number {
  const { timeout = 0 } = readOptions(options, { timeout: "number of milliseconds" }, "load");
  return checkTimeout(timeout, "load");
}

function checkTimeout(timeout: number, action: string): number {
  if (!(timeout >= 0)) {
    throw new RangeError(
      `Cannot ${action}: timeout must be 0 or more milliseconds, not ${timeout}`,
    );
  }
  return timeout;
}
