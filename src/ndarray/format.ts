/**
 * The printed form of n-d arrays. It reads exactly as NumPy 2 (2.3 and newer) prints them with its default
 * options, except that the dtype is always shown, by the name that it has here.
 *
 * @module
 */

import type { DType } from "../dtype.ts";

/** What the printer must know about an array. */
export interface Printable {
  /** The element type, by its canonical name. */
  readonly dtype: DType;
  /** The length of each axis, outermost first. */
  readonly shape: readonly number[];
  /**
   * The element at one full index (C order indices, all in range). `bool` elements are 0 or 1;
   * `int64` and `uint64` elements are `bigint`; a float element is a value that its dtype can hold.
   */
  element(index: readonly number[]): number | bigint;
}

// NumPy's default print options, by NumPy's names.
const precision = 8;
const threshold = 1000;
const edgeItems = 3;
const lineWidth = 75;

/** The text that stands for the elements that a summary leaves out. */
const ellipsis = "...";

/** Makes the text of one element, padded to the width that all elements of the array share. */
type ElementFormat = (element: number | bigint) => string;

/** A binary floating-point format of IEEE 754. */
interface FloatKind {
  /** Bits of the mantissa, with the implicit one. */
  readonly bits: number;
  /** The power of two that the last bit of the smallest numbers stands for. */
  readonly minExponent: number;
  /** An array with an element of at least this magnitude is written with exponents. */
  readonly exponentFrom: number;
  /** So is one with an element below this magnitude: NumPy's 1e-4, rounded to the array's dtype. */
  readonly exponentBelow: number;
  /** A 0-d array is written with an exponent from this magnitude on. */
  readonly scalarExponentFrom: number;
}

const floatKinds: { readonly [dtype in DType]?: FloatKind } = {
  float16: {
    bits: 11,
    minExponent: -24,
    exponentFrom: 1e3,
    exponentBelow: 839 * 2 ** -23,
    scalarExponentFrom: 1e3,
  },
  float32: {
    bits: 24,
    minExponent: -149,
    exponentFrom: 1e6,
    exponentBelow: Math.fround(1e-4),
    scalarExponentFrom: 1e6,
  },
  float64: {
    bits: 53,
    minExponent: -1074,
    exponentFrom: 1e8,
    exponentBelow: 1e-4,
    scalarExponentFrom: 1e16,
  },
};

/**
 * The elements of an array as text, as NumPy's `str(a)` has it: `"[[1. 2.]\n [3. 4.]]"`. Of an array of more
 * than 1000 elements, only the first three and the last three along each axis are read and shown.
 *
 * @param array the array to print
 * @returns the text, without a newline at its end
 * @see NumPy manual, `numpy.set_printoptions` (the defaults) and `numpy.array_str`
 */
export function formatArray(array: Printable): string {
  if (array.shape.length === 0) return scalarText(array.element([]), array.dtype);
  return elementsText(array, " ", "", lineWidth);
}

/**
 * The elements of an array with its class and dtype, as NumPy's `repr(a)` of a subclass called
 * `name`: `"NDArray([1., 2.], dtype=float32)"`. The dtype is shown even where NumPy would leave it
 * out, the shape where NumPy shows it: where elements are left out, or there are none. Both go to a
 * line of their own by NumPy's rule, that is, where the last line would get too long.
 *
 * @param array the array to print
 * @param name the name of its class
 * @returns the text, without a newline at its end
 * @see NumPy manual, `numpy.set_printoptions` (the defaults) and `numpy.array_repr`
 */
export function describeArray(array: Printable, name: string): string {
  const opening = `${name}(`;
  const hanging = " ".repeat(opening.length);
  const { shape } = array;
  const size = sizeOf(shape);
  const text = `${opening}${elementsText(array, ", ", hanging, lineWidth - ")".length)},`;
  // The shape is printed where the elements that are shown do not tell it.
  const isTold = size === 0 ? shape.length === 1 : size <= threshold;
  const extras = `${isTold ? "" : `shape=${tupleText(shape)}, `}dtype=${array.dtype})`;
  const lastLine = text.length - (text.lastIndexOf("\n") + 1);
  const fits = lastLine + " ".length + extras.length <= lineWidth;
  return text + (fits ? " " : `\n${hanging}`) + extras;
}

/** A list of numbers as Python writes a tuple. */
function tupleText(list: readonly number[]): string {
  return `(${list.join(", ")}${list.length === 1 ? "," : ""})`;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

/** The bracketed elements; every line but the first begins with `hanging`. */
function elementsText(
  array: Printable,
  separator: string,
  hanging: string,
  width: number,
): string {
  const { dtype, shape } = array;
  const size = sizeOf(shape);
  if (size === 0) return "[]";
  const summarized = size > threshold;
  const elements = [...shownElements(array, summarized)];
  const format = elementFormat(elements, dtype, shape.length);
  const words = elements.map(format).values();
  return axisText({ shape, summarized, separator, words }, 0, hanging + " ", width);
}

/** The positions of an axis that are shown, `null` where the ellipsis stands. */
function shownPositions(length: number, summarized: boolean): (number | null)[] {
  if (!summarized || length <= 2 * edgeItems) return Array.from({ length }, (_, at) => at);
  const leading = Array.from({ length: edgeItems }, (_, at) => at);
  const trailing = leading.map((at) => length - edgeItems + at);
  return [...leading, null, ...trailing];
}

/** The elements that are shown, in C order. */
function* shownElements(
  array: Printable,
  summarized: boolean,
  index: readonly number[] = [],
): Generator<number | bigint> {
  if (index.length === array.shape.length) {
    yield array.element(index);
    return;
  }
  for (const at of shownPositions(array.shape[index.length], summarized)) {
    if (at !== null) yield* shownElements(array, summarized, [...index, at]);
  }
}

/** What printing an axis needs to know. */
interface Layout {
  readonly shape: readonly number[];
  readonly summarized: boolean;
  readonly separator: string;
  /** The formatted elements that are shown, in C order: each is taken once. */
  readonly words: Iterator<string, undefined>;
}

/** The text of everything from `axis` on inwards, at the place that `layout.words` has come to. */
function axisText(layout: Layout, axis: number, indent: string, width: number): string {
  const { shape, summarized, separator, words } = layout;
  if (axis === shape.length) return words.next().value ?? "";
  // The bracket that is opened shifts what is inside by one, and the one that closes needs a column.
  const items = shownPositions(shape[axis], summarized).map((at) =>
    at === null ? ellipsis : axisText(layout, axis + 1, indent + " ", width - 1)
  );
  const axesInside = shape.length - axis - 1;
  const text = axesInside === 0
    ? wrapWords(items, separator, indent, width - 1)
    : items.join(separator.trimEnd() + "\n".repeat(axesInside) + indent);
  return `[${text}]`;
}

/** Joins words to lines of at most `width`, unless one word is longer. The first line is without its indent. */
function wrapWords(
  words: readonly string[],
  separator: string,
  indent: string,
  width: number,
): string {
  const finished: string[] = [];
  let line = indent;
  for (const [at, word] of words.entries()) {
    // A word that is too wide for an empty line gets no new line.
    if (line.length + word.length > width && line.length > indent.length) {
      finished.push(line.trimEnd());
      line = indent;
    }
    line += at === words.length - 1 ? word : word + separator;
  }
  return [...finished, line].join("\n").slice(indent.length);
}

function elementFormat(
  elements: readonly (number | bigint)[],
  dtype: DType,
  ndim: number,
): ElementFormat {
  const kind = floatKinds[dtype];
  if (kind !== undefined) return floatFormat(elements.map(Number), kind);
  const text: ElementFormat = dtype === "bool" ? boolText : String;
  // NumPy pads True even where no False is beside it, but not in a 0-d array.
  const width = dtype === "bool"
    ? (ndim > 0 ? "False".length : 0)
    : maxOf(elements.map((element) => text(element).length));
  return (element) => text(element).padStart(width);
}

function boolText(element: number | bigint): string {
  return element ? "True" : "False";
}

/** The text of the only element of a 0-d array, in full precision, as of a NumPy scalar. */
function scalarText(element: number | bigint, dtype: DType): string {
  const kind = floatKinds[dtype];
  if (dtype === "bool") return boolText(element);
  if (kind === undefined) return String(element);
  const value = Number(element);
  if (!Number.isFinite(value)) return nonFiniteText(value);
  const magnitude = Math.abs(value);
  const scientific = magnitude !== 0 &&
    (magnitude < 1e-4 || magnitude >= kind.scalarExponentFrom);
  const { whole, fraction, exponent } = numberParts(value, kind, {
    scientific,
    most: Infinity,
    least: -Infinity,
  });
  if (!scientific) return `${whole}.${fraction || "0"}`;
  const point = fraction === "" ? "" : ".";
  return whole + point + fraction + exponentText(exponent, 2);
}

/** NumPy's FloatingFormat: one notation and one width for all, found by formatting twice. */
function floatFormat(values: readonly number[], kind: FloatKind): ElementFormat {
  const finite = values.filter(Number.isFinite);
  const scientific = needsExponent(finite, kind);
  const shortest = { scientific, most: precision, least: -Infinity };
  const drafts = finite.map((value) => numberParts(value, kind, shortest));
  const fractionWidth = maxOf(drafts.map(({ fraction }) => fraction.length));
  const exponentWidth = maxOf(drafts.map(({ exponent }) => String(Math.abs(exponent)).length), 2);
  const tailWidth = fractionWidth + (scientific ? exponentWidth + "e+".length : 0);
  const wholeWidth = maxOf([
    ...drafts.map(({ whole }) => whole.length),
    ...values.filter((value) => !Number.isFinite(value))
      .map((value) => nonFiniteText(value).length - ".".length - tailWidth),
  ]);
  // Up to the common width the digits are exact: no zeros are added where a number has more digits.
  const final = scientific
    ? { scientific, most: fractionWidth, least: fractionWidth }
    : { scientific, most: precision, least: 0 };

  return (element) => {
    const value = Number(element);
    if (!Number.isFinite(value)) {
      return nonFiniteText(value).padStart(wholeWidth + ".".length + tailWidth);
    }
    const { whole, fraction, exponent } = numberParts(value, kind, final);
    const tail = scientific
      ? fraction.padEnd(fractionWidth, "0") + exponentText(exponent, exponentWidth)
      : fraction.padEnd(fractionWidth);
    return `${whole.padStart(wholeWidth)}.${tail}`;
  };
}

function needsExponent(finite: readonly number[], kind: FloatKind): boolean {
  const magnitudes = finite.map(Math.abs).filter((magnitude) => magnitude !== 0);
  if (magnitudes.length === 0) return false;
  const largest = maxOf(magnitudes);
  const smallest = magnitudes.reduce((least, magnitude) => Math.min(least, magnitude));
  // NumPy divides in the array's own dtype: what rounds to 1000 there does not count as more.
  const ratioLimit = 1000 + 2 ** (9 - kind.bits);
  return largest >= kind.exponentFrom || smallest < kind.exponentBelow ||
    largest / smallest > ratioLimit;
}

function nonFiniteText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  return value < 0 ? "-inf" : "inf";
}

function exponentText(exponent: number, width: number): string {
  const sign = exponent < 0 ? "-" : "+";
  return `e${sign}${String(Math.abs(exponent)).padStart(width, "0")}`;
}

function maxOf(values: readonly number[], atLeast = 0): number {
  return values.reduce((most, value) => Math.max(most, value), atLeast);
}

/** How many digits of a number are wanted. */
interface Digits {
  /** Whether the number is written as d.ddde+dd. */
  readonly scientific: boolean;
  /** The most digits after the point, even if the text then stands for another number. */
  readonly most: number;
  /** The fewest digits after the point, even if fewer would tell the number from its neighbours. */
  readonly least: number;
}

/** The pieces of a number in decimal notation. */
interface NumberParts {
  /** What is before the point, with the sign. */
  readonly whole: string;
  /** What is after the point, without zeros at its end. */
  readonly fraction: string;
  /** The power of ten that the number is scaled by: 0 in positional notation. */
  readonly exponent: number;
}

function numberParts(value: number, kind: FloatKind, wanted: Digits): NumberParts {
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const { digits, exponent } = value === 0
    ? { digits: "0", exponent: 0 }
    : decimalOf(Math.abs(value), kind, wanted);
  const wholeDigits = wanted.scientific ? 1 : Math.max(exponent + 1, 0);
  const leadingZeros = wanted.scientific ? 0 : Math.max(-exponent - 1, 0);
  const fraction = "0".repeat(leadingZeros) + digits.slice(wholeDigits);
  return {
    whole: sign + (digits.slice(0, wholeDigits).padEnd(wholeDigits, "0") || "0"),
    fraction: fraction.replace(/0+$/, ""),
    exponent: wanted.scientific ? exponent : 0,
  };
}

/** The number d.ddd × 10^exponent, d.ddd being the digits. */
interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

/**
 * Generates digits from the exact value until they tell it from its neighbours, as Steele & White
 * and Burger & Dybvig do. JavaScript's own shortest digits would not do: NumPy rounds the exact
 * value where it cuts digits off, and goes on with exact digits where it wants more.
 */
function decimalOf(value: number, kind: FloatKind, wanted: Digits): Decimal {
  const { mantissa, exponent: binaryExponent } = binaryOf(value, kind);
  // Beneath a power of two the neighbour is half as far away as above it.
  const isUneven = mantissa === 1n << BigInt(kind.bits - 1) && binaryExponent > kind.minExponent;
  // The value and half the distances to its neighbours, as fractions of one denominator.
  const quarter = 1n << BigInt(Math.max(binaryExponent, 0));
  const denominator = 4n << BigInt(Math.max(-binaryExponent, 0));
  const numerator = 4n * quarter * mantissa;
  const exponent = decimalExponent(value, numerator, denominator);
  const up = 10n ** BigInt(Math.max(-exponent, 0));
  const unit = denominator * 10n ** BigInt(Math.max(exponent, 0));

  let rest = numerator * up;
  let below = (isUneven ? quarter : 2n * quarter) * up;
  let above = 2n * quarter * up;
  // A reader rounds halfway cases to even, so the exact middle still belongs to an even number.
  const tolerance = mantissa % 2n === 0n ? 0n : 1n;
  const pointPlace = wanted.scientific ? exponent : 0;
  let digits = "";
  for (let place = exponent;; place--) {
    const digit = rest / unit;
    rest %= unit;
    const low = rest + tolerance <= below;
    const high = rest + above >= unit + tolerance;
    const isUnique = (low || high) && place <= pointPlace - wanted.least;
    if (isUnique || place <= pointPlace - wanted.most) {
      const roundsUp = low === high ? isMoreThanHalf(rest, unit, digit) : high;
      return roundsUp
        ? incremented(`${digits}${digit}`, exponent)
        : { digits: `${digits}${digit}`, exponent };
    }
    digits += digit;
    rest *= 10n;
    below *= 10n;
    above *= 10n;
  }
}

/** Whether what is left after `digit` rounds it up: a tie goes to the even digit. */
function isMoreThanHalf(rest: bigint, unit: bigint, digit: bigint): boolean {
  const doubled = 2n * rest;
  return doubled > unit || (doubled === unit && digit % 2n === 1n);
}

/** The decimal whose last digit is one more, with the carry. */
function incremented(digits: string, exponent: number): Decimal {
  const kept = digits.replace(/9+$/, "");
  if (kept === "") return { digits: "1", exponent: exponent + 1 };
  return { digits: kept.slice(0, -1) + (Number(kept.at(-1)) + 1), exponent };
}

/** The power of ten of the first digit of `value`, which is also given as an exact fraction. */
function decimalExponent(value: number, numerator: bigint, denominator: bigint): number {
  // The logarithm is inexact: near a power of ten it can miss by one, in either direction.
  const estimate = Math.floor(Math.log10(value));
  const reaches = (exponent: number): boolean =>
    exponent < 0
      ? numerator * 10n ** BigInt(-exponent) >= denominator
      : numerator >= denominator * 10n ** BigInt(exponent);
  if (!reaches(estimate)) return estimate - 1;
  return reaches(estimate + 1) ? estimate + 1 : estimate;
}

const scratch = new DataView(new ArrayBuffer(8));

/** A positive number as mantissa × 2^exponent, the mantissa having as many bits as its kind keeps. */
function binaryOf(value: number, kind: FloatKind): { mantissa: bigint; exponent: number } {
  scratch.setFloat64(0, value);
  const bits = scratch.getBigUint64(0);
  const storedExponent = Number(bits >> 52n);
  const implicitBit = storedExponent === 0 ? 0n : 1n << 52n;
  const exponent = Math.max(storedExponent, 1) - 1075;
  const excess = Math.max(53 - kind.bits, kind.minExponent - exponent);
  return {
    mantissa: (BigInt.asUintN(52, bits) | implicitBit) >> BigInt(excess),
    exponent: exponent + excess,
  };
}
