/**
 * Names of segments: which are legal, how unique ones are made, and how their parts are read.
 *
 * @module
 */

import { glibcVersion } from "../../ffi/library.ts";
import { nameMaxAnywhere, nameMaxOf, nameMaxWith } from "../../ffi/platform.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { kindOf, quote } from "../check.ts";

/** The longest name of a segment, in UTF-8 bytes. */
export function nameMax(): number {
  return nameMaxOf(runtime().os);
}

/** The longest name that is made here: it fits with every C library. */
export function madeNameMax(): number {
  return nameMaxAnywhere(runtime().os);
}

/**
 * Checks a name that is about to be used. Besides what {@linkcode checkName} checks, a long name must fit with the
 * C library, too, which is not opened for a short one.
 *
 * @param name the name
 * @throws {TypeError} if the name is no string
 * @throws {RangeError} if it is not legal, or too long
 */
export function checkUsableName(name: unknown): asserts name is string {
  if (name === lastUsable) return;
  checkName(name, nameMax());
  if (name.length * 3 > madeNameMax() && new TextEncoder().encode(name).length > madeNameMax()) {
    checkName(name, nameMaxWith(runtime().os, glibcVersion()));
  }
  lastUsable = name;
}

/** The last name that was found usable: mostly the next call asks for the same one. NaN is equal to no name. */
let lastUsable: unknown = NaN;

/**
 * Checks a segment's name, without the leading slash that `shm_open` wants: the library adds it.
 *
 * @param name the name
 * @param maxBytes how many UTF-8 bytes the platform allows
 * @param prefix the part of it that its user chose, where that is not all; the message tells of this
 * @throws {TypeError} if the name is no string
 * @throws {RangeError} if it is empty, "." or "..", holds "/", NUL or a lone surrogate
 * that stands for no byte, or is too long
 *
 * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
 */
export function checkName(
  name: unknown,
  maxBytes: number,
  prefix?: string,
): asserts name is string {
  if (typeof name !== "string") {
    const advice = kindOf(name) === "an object" ? "; give the name of it" : "";
    throw new TypeError(`Cannot use this name: it must be a string, not ${kindOf(name)}${advice}`);
  }
  const refuse = (why: string): never => {
    const what = prefix === undefined ? `name ${quote(name)}` : `prefix ${quote(prefix)}`;
    throw new RangeError(`Cannot use the ${what}: ${why}`);
  };
  if (name === "") refuse("it is empty");
  if (name === "." || name === "..") refuse("it names a directory");
  if (name.includes("/")) refuse('it holds a "/"; give it without the leading slash of shm_open');
  if (name.includes("\0")) refuse("it holds a NUL");
  // U+DC80 to U+DCFF stand for bytes that are no UTF-8, as in Python: so every name that there is can be used.
  const escapes = name.isWellFormed() ? 0 : name.match(/[\udc80-\udcff]/gu)?.length ?? 0;
  if (!name.isWellFormed() && !name.replaceAll(/[\udc80-\udcff]/gu, "").isWellFormed()) {
    refuse("it holds a lone surrogate, which has no UTF-8 form");
  }
  // A UTF-16 unit takes three UTF-8 bytes at the most: short names need no encoding to be counted.
  if (name.length * 3 > maxBytes) {
    // A lone surrogate is counted as three bytes, and is one.
    const bytes = new TextEncoder().encode(name).length - 2 * escapes;
    if (bytes > maxBytes) {
      refuse(`it has ${bytes} bytes in UTF-8, and this platform allows ${maxBytes}`);
    }
  }
}

/** What goes into a made name. */
export interface NameParts {
  /** How many names this process has made, this one included. */
  readonly counter: number;
  /** The user's own part; may be empty. */
  readonly prefix: string;
  /** When the name is made. */
  readonly date: Date;
  /** A random UUID, version 4. */
  readonly uuid: string;
}

/**
 * Builds a name as GRIDR does, `COUNTER-prefix-YYYYMM-DDHH-MMSS-uuid4` in local time. Where that is
 * longer than the platform allows, `COUNTER-prefix-` and as many of the UUID's hexadecimal digits
 * as fit, 16 at least.
 *
 * @param parts what goes into the name
 * @param maxBytes how many UTF-8 bytes the platform allows
 * @returns the name
 * @throws {TypeError} if the prefix is no string
 * @throws {RangeError} if the prefix holds what no name may hold, or leaves too few bytes for the rest
 */
export function buildName(parts: NameParts, maxBytes: number): string {
  const { counter, prefix, date, uuid } = parts;
  if (typeof prefix !== "string") {
    throw new TypeError(`Cannot use this prefix: it must be a string, not ${kindOf(prefix)}`);
  }
  const two = (n: number): string => String(n).padStart(2, "0");
  const time = String(date.getFullYear()).padStart(4, "0") + two(date.getMonth() + 1) +
    `-${two(date.getDate())}${two(date.getHours())}` +
    `-${two(date.getMinutes())}${two(date.getSeconds())}`;
  const head = `${counter}-${prefix}-`;
  const full = `${head}${time}-${uuid}`;
  const headBytes = new TextEncoder().encode(head).length;
  if (headBytes + FULL_TAIL <= maxBytes) {
    checkName(full, maxBytes, prefix);
    return full;
  }
  const left = maxBytes - headBytes;
  if (left < LEAST_DIGITS) {
    throw new RangeError(
      `Cannot build a name: the prefix ${quote(prefix)} leaves ${Math.max(0, left)} of ` +
        `${maxBytes} bytes, and ${LEAST_DIGITS} are needed to make the name unique`,
    );
  }
  const short = head + uuid.replaceAll("-", "").slice(0, left);
  checkName(short, maxBytes, prefix);
  return short;
}

/**
 * Makes a name that no other segment has, of now and a random UUID.
 *
 * @param prefix the caller's part of it; by default empty
 * @param counter how many names this process has made, this one included
 * @returns the name, which fits with every C library
 * @throws {TypeError} if the prefix is no string
 * @throws {RangeError} if the prefix holds what no name may hold, or leaves too few bytes for the rest
 */
export function makeName(prefix: string | null | undefined, counter: number): string {
  const parts = { counter, prefix: prefix ?? "", date: new Date(), uuid: crypto.randomUUID() };
  return buildName(parts, madeNameMax());
}

/** The fewest hexadecimal digits by which a short name is told from every other: 64 bits. */
const LEAST_DIGITS = 16;

/** The bytes of `YYYYMM-DDHH-MMSS-uuid4`, the tail of a full name. */
const FULL_TAIL = 53;

const fullName =
  /^\d+-(?<prefix>.*)-\d{6}-\d{4}-\d{4}-[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/s;
const shortName = /^(?<head>\d+-(?<prefix>.*)-)(?<digits>[\da-f]+)$/s;

/**
 * Tells the prefix of a name that {@linkcode buildName} made.
 *
 * @param name a segment's name
 * @param maxBytes how many UTF-8 bytes the platform allows
 * @returns the prefix, empty if there was none; `null` if the name was not made here
 */
export function prefixOf(name: string, maxBytes: number): string | null {
  const full = fullName.exec(name);
  if (full !== null) return full.groups!.prefix;
  const short = shortName.exec(name);
  if (short === null) return null;
  // A short name counts only where the full one would not have fitted, and if it fills all the bytes that there
  // are.
  const { head, prefix, digits } = short.groups!;
  const left = maxBytes - new TextEncoder().encode(head).length;
  const made = left < FULL_TAIL && digits.length === Math.min(left, 32) &&
    digits.length >= LEAST_DIGITS;
  return made ? prefix : null;
}
