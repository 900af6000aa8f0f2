/**
 * How arguments are checked, and how error messages name values. All other files use these functions,
 * so that there is one way for each.
 *
 * @module
 */

import { visible } from "../ffi/runtime/errors.ts";

export { sharedAmongCopies } from "../ffi/runtime/errors.ts";

/**
 * Names the kind of a value, as a message says it: "null", "an array", "a string".
 *
 * @param value anything
 * @returns the kind, with its article
 */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** The number of characters of a value that a message quotes at most. */
const MOST_QUOTED = 80;

/**
 * Shortens a text that goes into a message.
 *
 * @param text what the message tells of the caller's value
 * @returns the text, or its first 80 characters and "…"
 */
export function shorten(text: string): string {
  return visible(
    text.length > MOST_QUOTED ? text.slice(0, MOST_QUOTED).toWellFormed() + "…" : text,
  );
}

/**
 * Quotes a text of the caller in a message, as JSON writes it: a NUL, a lone surrogate or a character that
 * changes the direction of writing can be seen.
 *
 * @param text the text
 * @returns the text in quotation marks, shortened
 */
export function quote(text: string): string {
  return visible(
    JSON.stringify(text.length > MOST_QUOTED ? text.slice(0, MOST_QUOTED) + "…" : text),
  );
}

/**
 * Quotes the name of a segment in a message. It is the whole name, so that the segment can be found, and
 * everything in it can be seen.
 *
 * @param name the name, which anybody may have chosen
 * @returns the name in single quotation marks, as in the errors of the operating system
 */
export function quoteName(name: string): string {
  return `'${visible(name)}'`;
}

/**
 * Writes a list of numbers in a message: a shape, strides, axes.
 *
 * @param list the numbers
 * @returns the list in brackets, shortened
 */
export function listText(list: readonly unknown[]): string {
  return `[${shorten(list.slice(0, MOST_QUOTED).join(", "))}]`;
}

/** How many failures a message names. */
const MOST_SHOWN = 3;

/**
 * Puts several failures into one message.
 *
 * @param failures what was thrown
 * @returns the first messages, and how many more there are
 */
export function failuresText(failures: readonly unknown[]): string {
  const shown = failures.slice(0, MOST_SHOWN).map((failure) =>
    failure instanceof Error ? failure.message : shorten(String(failure))
  );
  const more = failures.length - shown.length;
  return shown.join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/**
 * Counts how many letters must be added, taken away, replaced or swapped with the next to make one word of another:
 * for "did you mean …?".
 *
 * @see {@link https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance | Optimal string alignment distance}
 */
export function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(
        row[j - 1] + 1,
        rows[i - 1][j] + 1,
        rows[i - 1][j - 1] + Number(a[i - 1] !== b[j - 1]),
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? rows[i - 2][j - 2] + 1
          : Infinity,
      );
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}

/**
 * Checks that a value is a safe integer.
 *
 * @param value what the caller gave
 * @param action what is being done, for the message: "slice"
 * @param what which value it is, for the message: "start"
 * @throws {TypeError} if it is no number
 * @throws {RangeError} if it is a fraction, not finite, or beyond 2^53 - 1
 */
export function checkInteger(
  value: unknown,
  action: string,
  what: string,
): asserts value is number {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${action}: ${what} must be an integer, not ${kindOf(value)}`);
  }
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`Cannot ${action}: ${what} must be a safe integer, not ${value}`);
  }
}

/**
 * Checks a list of safe integers and copies it.
 *
 * @param list what the caller gave
 * @param action what is being done, for the message: "use this shape"
 * @param what what each entry is, for the message: "a length"
 * @returns a fresh list, which holds no -0
 * @throws {TypeError} if it is no array, or an entry is no number
 * @throws {RangeError} if an entry is no safe integer
 */
export function checkIntegers(list: unknown, action: string, what: string): number[] {
  if (!Array.isArray(list)) {
    const advice = ArrayBuffer.isView(list) ? "; Array.from() makes one of a typed array" : "";
    throw new TypeError(
      `Cannot ${action}: it must be an array of integers, not ${kindOf(list)}${advice}`,
    );
  }
  const copy: number[] = [];
  // The loop goes by index, so that it meets a hole in a sparse array as undefined.
  for (let i = 0; i < list.length; i++) {
    const entry: unknown = list[i];
    checkInteger(entry, action, what);
    copy.push(entry + 0); // -0 would be printed, and compared by Object.is, as another value than 0
  }
  return copy;
}

/**
 * Refuses an index in the place of a dtype: `list.map(SharedMemoryArray.from)` gives one, and compiles.
 *
 * @param dtype what the caller gave
 * @param className the class whose `from()` was called, for the message
 * @throws {TypeError} if it is a number
 */
export function refuseIndex(dtype: unknown, className: string): void {
  if (typeof dtype !== "number") return;
  throw new TypeError(
    `Cannot use this dtype: ${dtype} names none; list.map() gives from() an index, too: ` +
      `write (each) => ${className}.from(each)`,
  );
}

/**
 * Whether a value is a promise, of whatever class: what `await` waits for.
 *
 * @param value what a function returned; its `then` is asked for once, and may be a getter that throws
 * @returns whether it has a method `then`
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value !== null && (typeof value === "object" || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function";
}

/**
 * Tells whether an object has a property that its user gave: its own, an inherited one or a getter of its
 * class. A property that another module added to `Object.prototype` does not count.
 */
export function isGiven(object: object, key: PropertyKey): boolean {
  return Object.hasOwn(object, key) || (key in object && !(key in Object.prototype));
}

/**
 * What kind of value an option must be. The first word is what is checked; the whole text stands in the
 * message: `"number such as 0o600"`. `"any"` is checked by its reader.
 */
export type OptionKind = "any" | `${keyof typeof articles}${"" | ` ${string}`}`;

/** The kinds that can be checked, with their articles. */
const articles = {
  number: "a",
  string: "a",
  boolean: "a",
  array: "an",
  object: "an",
  AbortSignal: "an",
} as const;

/**
 * Copies the options that a caller gave, and checks the kind of each. They may be inherited, or getters of a
 * class, as where Deno and browsers read options.
 *
 * @param options what the caller gave; `undefined` is none
 * @param kinds the names of the options, and the kind of each
 * @param action what is being done, for the message: "create"
 * @returns a fresh object; options that are `undefined` are left out
 * @throws {TypeError} if it is no object, has an option that is not known, or one of another kind
 */
export function readOptions<T extends object>(
  options: T | undefined,
  kinds: { readonly [K in keyof Required<T> & string]: OptionKind },
  action: string,
): Partial<T> {
  if (options === undefined) return NO_OPTIONS;
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    throw new TypeError(
      `Cannot ${action}: the options must be an object, not ${kindOf(options)}`,
    );
  }
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(kinds, key)) {
      const known = Object.keys(kinds).join(", ");
      throw new TypeError(
        `Cannot ${action}: there is no option ${quote(key)}; there is ${known}`,
      );
    }
  }
  const given: Partial<T> = Object.create(null);
  for (const key of Object.keys(kinds) as (keyof T & string)[]) {
    const value = isGiven(options, key) ? options[key] : undefined;
    if (value === undefined) continue;
    checkKind(value, kinds[key], `Cannot ${action}: ${key}`);
    given[key] = value;
  }
  return given;
}

/**
 * Stands for options that were not given. It is shared, because V8 takes 0.3 µs to make an object without a
 * prototype.
 */
const NO_OPTIONS: object = Object.freeze(Object.create(null));

function checkKind(value: unknown, wanted: OptionKind, subject: string): void {
  if (wanted === "any") return;
  const [kind] = wanted.split(" ", 1) as [keyof typeof articles];
  const fits = kind === "array"
    ? Array.isArray(value)
    : kind === "object"
    ? kindOf(value) === "an object"
    : kind === "AbortSignal"
    ? value instanceof AbortSignal
    : kindOf(value) === `a ${kind}`;
  if (!fits) {
    throw new TypeError(`${subject} must be ${articles[kind]} ${wanted}, not ${kindOf(value)}`);
  }
}

/** The longest time limit in milliseconds. A longer one is none, as in `Atomics.wait`. */
export const LONGEST_TIME = 2 ** 53;

/**
 * Checks a time limit.
 *
 * @param timeout the caller's number of milliseconds; `undefined` if there is none
 * @param action what is being done, for the message: "load"
 * @param otherwise the limit where the caller gave none
 * @returns the limit; `Infinity` is none
 * @throws {RangeError} if it is negative or NaN
 */
export function checkTimeout(
  timeout: number | undefined,
  action: string,
  otherwise: number,
): number {
  if (timeout === undefined) return otherwise;
  if (timeout >= 0) return timeout > LONGEST_TIME ? Infinity : timeout;
  throw new RangeError(
    `Cannot ${action}: timeout must be 0 or more milliseconds, not ${timeout}`,
  );
}

/**
 * Makes a property descriptor for `Object.defineProperty` that inherits nothing: a `get` or `set` that another
 * module added to `Object.prototype` is no part of it.
 *
 * @param parts the parts of the descriptor
 * @returns a fresh object without a prototype
 */
export function descriptorOf(parts: PropertyDescriptor): PropertyDescriptor {
  return { __proto__: null, ...parts } as PropertyDescriptor;
}

/**
 * Gives an object a property that can be read and listed, and never be changed.
 *
 * @param target the object
 * @param key the property's name, which the object does not have
 * @param value its value
 */
export function defineConstant(target: object, key: string, value: unknown): void {
  const parts = { value, enumerable: true, writable: false, configurable: false };
  try {
    Object.defineProperty(target, key, parts); // V8 has a fast way for such an object
  } catch {
    Object.defineProperty(target, key, descriptorOf(parts)); // Object.prototype has a `get` or `set`
  }
}

/**
 * Whether the memory of a buffer is gone: it was detached. It asks the getter that was there when this file was
 * loaded. A getter that a program puts in its place, on the prototype or on the buffer, is not believed.
 *
 * @param buffer any buffer; a shared one is never detached
 * @returns whether it is
 */
export function isDetached(buffer: ArrayBufferLike): boolean {
  if (isShared(buffer)) return false;
  return detached === undefined ? refusesViews(buffer) : apply(detached, buffer, []);
}

/** Whether several buffers, also of other threads, can be over the memory of a buffer; of any realm. */
export function isShared(buffer: ArrayBufferLike): buffer is SharedArrayBuffer {
  if (buffer instanceof ArrayBuffer) return false;
  // Most pages of a browser have no class to ask for.
  return Object.prototype.toString.call(buffer) === "[object SharedArrayBuffer]";
}
const { apply } = Reflect;
const detached = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "detached")?.get;

/** Whether no view can be made over a buffer: the same, asked in engines before 2024, which have no such getter. */
function refusesViews(buffer: ArrayBuffer): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/**
 * Takes some room of the stack, and gives it back. Near the end of the stack it throws, before anything is made:
 * later an error could come between any two steps, and the steps that undo them would fail, too.
 *
 * @param frames how much, in frames of some 60 bytes: {@linkcode UNFAMILIAR_FRAMES} or
 * {@linkcode FAMILIAR_FRAMES}
 * @throws {RangeError} if there is less
 */
export function needStack(frames: number): void {
  // deno-fmt-ignore
  takeFrames(Math.ceil(frames / 5), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

/** Calls itself. Its parameters hold nothing: one frame of 300 bytes takes a third of the time that five of 60 take. */
// deno-fmt-ignore
function takeFrames(
  count: number, a: 0, b: 0, c: 0, d: 0, e: 0, f: 0, g: 0, h: 0, i: 0, j: 0, k: 0, l: 0, m: 0, n: 0, o: 0, p: 0, q: 0,
  r: 0, s: 0, t: 0, u: 0, v: 0, w: 0, x: 0,
): number {
  if (count === 0) return 0;
  return takeFrames(count - 1, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x) + 1;
}

/**
 * The room that the first calls of a piece of code need: V8 compiles each function when it is called first. It
 * takes 5 µs. With 700 frames `tests/system/giving_up_test.ts` found names left in 2 of 8 runs, with 500 in
 * most.
 */
export const UNFAMILIAR_FRAMES = 1000;

/**
 * The room that calls need when all functions have been called before. It takes half a microsecond: with 30
 * frames nothing was left in 18 runs.
 */
export const FAMILIAR_FRAMES = 100;

// --- Two copies of this package ----------------------------------------------------------------

/** Where each class says what it is: the same symbol in all copies of this package. */
const CLASS_NAME: symbol = Symbol.for("@shm/array: class");

/**
 * Has the instances of a class be known to other copies of this package, of the same or another version, that one
 * program has loaded: `instanceof` of one copy knows nothing of the instances of the other.
 *
 * @param prototype the prototype of the class; what it inherits from is given the mark, it gets no member itself
 * @param className the name of the class, whatever a bundler makes of it
 */
export function markClass(prototype: object, className: string): void {
  const marked: object = Object.create(Object.getPrototypeOf(prototype));
  Object.defineProperty(marked, CLASS_NAME, descriptorOf({ value: className }));
  Object.setPrototypeOf(prototype, marked);
}

/**
 * Whether a value is an instance of a class, of this copy of the package or of another one.
 *
 * @param value anything
 * @param className what the class was marked as by {@linkcode markClass}
 * @returns whether it is
 */
export function isMarkedAs(value: unknown, className: string): boolean {
  return typeof value === "object" && value !== null &&
    (value as { readonly [key: symbol]: unknown })[CLASS_NAME] === className;
}
