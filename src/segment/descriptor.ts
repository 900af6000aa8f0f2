/**
 * Plain data that stands for an instance of a class: what `from()` takes from a message or from JSON, and what `clone()`
 * makes of an instance.
 *
 * @module
 */

import { defineConstant, isGiven, isMarkedAs, kindOf, quote, readOptions } from "../check.ts";

/** A class whose instances are described by plain data. */
export interface DescriptorKind {
  /** The `kind` of a description. */
  readonly kind: string;
  /** The name of the class, for messages. */
  readonly what: string;
  /** The parts that a description has beside its kind. */
  readonly parts: readonly string[];
  /** Parts that may be left out. */
  readonly optional?: readonly string[];
}

/**
 * Gives an instance the description of itself, as own properties: plain data, read-only.
 *
 * @param instance the instance
 * @param parts what it is to have
 */
export function defineDescription(instance: object, parts: object): void {
  for (const [key, value] of Object.entries(parts)) defineConstant(instance, key, value);
}

/**
 * Checks that a value describes an instance of a class, as far as the constructor does not: that it is an object, of
 * the kind, and has all parts.
 *
 * @param kind the class
 * @param descriptor what the caller gave
 * @returns the descriptor
 * @throws {TypeError} if it is none of the class
 */
export function checkDescriptor<D extends object>(
  { kind, what, parts }: DescriptorKind,
  descriptor: D,
): D {
  if (kindOf(descriptor) !== "an object") {
    throw new TypeError(
      `Cannot make a ${what} from ${kindOf(descriptor)}: a descriptor is an object with ` +
        parts.join(", ") + (typeof descriptor === "string" ? "; JSON.parse() makes it" : ""),
    );
  }
  checkKind(what, kind, descriptor);
  for (const part of parts) {
    if (!isGiven(descriptor, part)) {
      throw new TypeError(`Cannot make a ${what}: the descriptor has no ${part}`);
    }
  }
  return descriptor;
}

/** Parts of descriptions of arrays, which have no `kind`. */
const PARTS_OF_ARRAYS = ["shape", "dtype", "arraySlice", "array_slice", "layout"];

/**
 * Refuses what looks like the description of another kind. A message that holds a description has other keys, too: one
 * that says what it is may have any.
 *
 * @param kind the class
 * @param descriptor what `checkDescriptor()` gave
 * @param others parts of other kinds, beside those of arrays
 * @throws {TypeError} if it has no kind, and a part of another one
 */
export function refuseForeignParts(
  { kind, what }: Pick<DescriptorKind, "kind" | "what">,
  descriptor: object,
  others: readonly string[],
): void {
  if ((descriptor as { readonly kind?: unknown }).kind === kind) return;
  const foreign = [...PARTS_OF_ARRAYS, ...others].find((part) => isGiven(descriptor, part));
  if (foreign === undefined) return;
  throw new TypeError(
    `Cannot make a ${what}: the descriptor is not that of a ${kind}, as it has a ${foreign}`,
  );
}

/**
 * Takes the description of an instance, with other parts where the caller wants them.
 *
 * @param kind the class
 * @param instance what the caller gave
 * @param override the parts that are to differ
 * @returns the description, whose parts the constructor checks
 * @throws {TypeError} if it is no instance of the class, or the override has a part of another kind
 */
export function cloneDescriptor<D extends object>(
  { kind, what, parts, optional = [] }: DescriptorKind,
  instance: object,
  override: Partial<D> | undefined,
): D {
  if (!isMarkedAs(instance, what)) {
    throw new TypeError(
      `Cannot clone: the first argument must be a ${what}; from() takes plain data`,
    );
  }
  const kinds = Object.fromEntries(["kind", ...parts, ...optional].map((part) => [part, "any"]));
  const parted = { ...instance, ...readOptions<object>(override, kinds, "clone") };
  checkKind(what, kind, parted);
  return parted as D;
}

/** Refuses the description of something else. One that was written by hand may have no kind. */
function checkKind(what: string, wanted: string, descriptor: object): void {
  const { kind } = descriptor as { readonly kind?: unknown };
  if (kind === undefined || kind === wanted) return;
  throw new TypeError(
    `Cannot make a ${what}: the descriptor is that of another kind, ${
      typeof kind === "string" ? quote(kind) : kindOf(kind)
    }, and not of ${quote(wanted)}`,
  );
}
