/**
 * The tables by which elements are found: for each axis of a view, how far each index is from the first
 * element, in elements. Axes of the same stride share one.
 *
 * @module
 */

/** An axis without a table: whatever is looked up in it is `undefined`. */
export const NO_TABLE = new Int32Array(0);

/** Longer axes get their table when an element is first asked for, and not when a view is made. */
const LONGEST = 65_536;

/** Whether an axis gets no table when its view is made. */
export function isLongAxis(length: number): boolean {
  return length > LONGEST;
}

/** The tables of one stride. */
interface OfStride {
  readonly stride: number;
  /** The tables of lengths below {@linkcode SHORT}, by their length. */
  readonly short: (Int32Array | undefined)[];
  /** The longest table: all others are its beginning. */
  readonly longest: Int32Array;
  readonly byLength: Map<number, Int32Array>;
}

/** Axes below this length find their table in a list, which takes a fifth of the time that a map takes. */
const SHORT = 1024;

let ofStrides = new Map<number, OfStride>();
/** The last two strides that were asked for: those of a view's rows and columns. */
let recent: OfStride | undefined;
let lessRecent: OfStride | undefined;
/** How many integers the longest tables hold, and how many tables there are. */
let integers = 0;
let tableCount = 0;

/** The bounds of what is kept: 4 MiB of integers, and as many tables. Views keep what they use. */
const MOST_INTEGERS = 2 ** 20;
const MOST_TABLES = 4096;

/**
 * Gives the table of an axis.
 *
 * @param length the length of the axis; of a long one, the table is empty
 * @param stride its stride
 * @returns `length` integers: that at `i` is `i * stride`
 */
export function tableOf(length: number, stride: number): Int32Array {
  if (length > LONGEST) return NO_TABLE;
  if (length < SHORT) {
    const table = recent?.stride === stride
      ? recent.short[length]
      : lessRecent?.stride === stride
      ? lessRecent.short[length]
      : undefined;
    if (table !== undefined) return table;
  }
  return findTable(length, stride);
}

function findTable(length: number, stride: number): Int32Array {
  let of = ofStrides.get(stride);
  let table = of?.byLength.get(length);
  if (of === undefined || table === undefined) {
    if (integers > MOST_INTEGERS || tableCount > MOST_TABLES) {
      ofStrides = new Map();
      integers = tableCount = 0;
      recent = lessRecent = of = undefined;
    }
    of = longEnough(of, length, stride);
    table = new Int32Array(of.longest.buffer, 0, length);
    of.byLength.set(length, table);
    if (length < SHORT) of.short[length] = table;
    tableCount++;
  }
  if (recent !== of) [recent, lessRecent] = [of, recent];
  return table;
}

/** Gives the tables of a stride, of which the longest has at least so many entries. */
function longEnough(of: OfStride | undefined, length: number, stride: number): OfStride {
  if (of !== undefined && of.longest.length >= length) return of;
  if (of !== undefined) {
    integers -= of.longest.length;
    tableCount -= of.byLength.size;
  }
  // Twice as long as the last one, so that windows that grow do not make one for each length.
  const room = Math.max(length, Math.min(LONGEST, 2 * (of?.longest.length ?? 8)));
  const longer = {
    stride,
    longest: filled(room, stride),
    byLength: new Map(),
    // A list of full length keeps its kind however it is filled.
    short: new Array<Int32Array | undefined>(Math.min(room + 1, SHORT)).fill(undefined),
  };
  ofStrides.set(stride, longer);
  integers += room;
  return longer;
}

function filled(length: number, stride: number): Int32Array {
  const table = new Int32Array(length);
  for (let i = 0; i < length; i++) table[i] = i * stride;
  return table;
}

/** The tables of long axes, as long as a view uses them. */
const longTables = new Map<string, WeakRef<Int32Array>>();
const MOST_LONG_TABLES = 64;

/** Gives the table of an axis of any length. */
export function longTableOf(length: number, stride: number): Int32Array {
  if (length <= LONGEST) return tableOf(length, stride);
  const key = `${length}, ${stride}`;
  let table = longTables.get(key)?.deref();
  if (table === undefined) {
    if (longTables.size === MOST_LONG_TABLES) longTables.clear();
    table = filled(length, stride);
    longTables.set(key, new WeakRef(table));
  }
  return table;
}

/** What the tables that are kept hold, for tests: long ones are kept by their views only. */
export function tableFacts(): { integers: number; tables: number } {
  return { integers, tables: tableCount };
}
