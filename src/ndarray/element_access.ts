/**
 * How views reach their elements: as fast as code that is written for one dtype and one number of axes, also in
 * loops with many accesses, and with every check.
 *
 * The formula, for two axes:
 *
 * ```text
 * element [i, j] = data[offset + table0[i] + table1[j]],   table0[i] = i · stride[0],   table1[j] = j · stride[1]
 * ```
 *
 * Each axis has a table of `length` integers ({@linkcode tableOf}). An index that is out of bounds, negative,
 * fractional or missing finds `undefined` in its table; the sum is then NaN, and the element is `undefined`, as
 * it is of an array whose memory is gone. So one test for `undefined` is the whole check: the general method
 * then serves the call or refuses it. Only keys that are no numbers, but look like some ("0", `new Number(0)`), have
 * to be kept out before.
 *
 * Where the code deviates from the formula, and why (`docs/decisions/element_access.md` has the measurements):
 *
 * 1. The text of `get` for two axes has no more than 75 bytes of bytecode. V8 copies the methods that a loop calls into the
 *    loop as long as these have no more than 920 bytes in all, and those of up to 75 bytes that handle floats
 *    without counting them. A loop with more is ten times as slow. `tests/ndarray/ranks_test.ts` reads the sizes.
 * 2. So `get` does not look at `arguments`, which would take 14 bytes, and gives the general method nothing but the
 *    view. The general method gets the arguments from `get.arguments`: functions in sloppy mode have it. It follows
 *    that `get(i, j, undefined)` is served as `get(i, j)` is; a third argument that is anything else is refused.
 *    `set` and `index` are called less often in one loop, and look at the number of their arguments.
 * 3. In `set`, the number of arguments and the kind of the value choose the position, and do not guard the store:
 *    written as a guard, the same test takes twice the time.
 * 4. From three axes on, the first two entries are added by a method of their own, a leaf: what counts for a
 *    loop's limit is the text that is copied, and a small method is copied without counting.
 * 5. V8 remembers for good that a place in the code met an error, and is slower there from then on. So the methods
 *    of a class are renewed after a call that the tables could not serve, on average at most once in 100 ms. They are first
 *    deleted and then defined again: V8 then copies the new ones into loops as it did the old ones.
 * 6. Negative indices are served by the general method. Where there are many of them, the methods are renewed
 *    into a text that asks, by one test, whether any index is negative, and has another method find the element.
 * 7. Feedback is kept per place in the source text, and from the fifth kind of typed array on it is lost. So each dtype
 *    gets a copy of the text ({@linkcode copyOfFactory}), and so does each renewal.
 * 8. Axes too long for a table ({@linkcode accessOf}) are computed: {@linkcode distanceOf}. So is everything where
 *    code may not be made from text. Of one axis without gaps, a typed array over just its elements takes the
 *    place of the table.
 * 9. Positions beyond 2^31 are slow in V8. A view that spans less than that, but lies beyond, asks a view of a typed
 *    array that begins at its lowest element ({@linkcode wide}).
 * 10. What `get` gives of a call is converted by `+`. Once the call has happened, V8 knows nothing of its result: it
 *    would make an object of each float that the same loop reads, so that the loop takes five times as long.
 *
 * `ranks.ts` holds the text for one to four axes; a script writes it.
 *
 * @module
 */

import { descriptorOf } from "../check.ts";
import { type DType, type TypedArrayOf, typedArrayOf } from "../dtype.ts";
import { fromCaller } from "../errors.ts";
import {
  type Axes,
  AXIS0,
  axisKeys,
  type ClassParts,
  type Element,
  type Fallback,
  type FarFallback,
  type FastClass,
  type Fields,
  type GeneralMethods,
  type Get,
  keys,
  type Numbers,
  type ReadParts,
  type SliceFrom,
  type Storable,
  type Stretch,
  type WriteParts,
  type Writers,
} from "./access_parts.ts";
import { isLongAxis, longTableOf, tableOf } from "./axis_tables.ts";
import { frozenList, frozenLists } from "./frozen_lists.ts";
import { extent, type Layout } from "./layout.ts";
import { elementsAt, MAX_INT32 } from "./loop_plan.ts";
import {
  classes,
  fars,
  nears,
  readBigints,
  readBigintWrappings,
  readBoolWrappings,
  reads,
  readWrappings,
  writeBigints,
  writeBoolWrappings,
  writes,
  writeWrappings,
} from "./ranks.ts";
import { rangeOf } from "./slice.ts";

/**
 * Compiles a copy of a factory, whose code shares no feedback with the factory and its other copies. This
 * is the only place of the library that makes code from text, and the text is the library's own.
 *
 * The factory must be closed, because the copy sees nothing of the module around it: it uses its parameters
 * and what is global, and holds no function or class with a name, because bundlers put calls of their own
 * helpers beside those.
 *
 * @param factory a closed factory
 * @param key differs from copy to copy: V8 shares the code of equal texts
 * @param mode "sloppy" for a function whose `arguments` is read from outside
 * @returns the copy; the factory itself where code may not be made from text, as slow as shared code is
 */
export function copyOfFactory<F extends (...args: never) => unknown>(
  factory: F,
  key: string,
  mode: "strict" | "sloppy" = "strict",
): F {
  try {
    const directive = mode === "strict" ? '"use strict"; ' : "";
    return new Function(`${directive}return (${factory}); // ${key}`)();
  } catch (error) {
    if (error instanceof EvalError) return factory;
    throw error;
  }
}

/** The arguments of a call, which are passed on as they are. */
type Arguments = ArrayLike<unknown> & Iterable<number>;

/** What the factories of this file get as parameters. */
interface FactoryParts {
  readonly Base: new () => GeneralMethods;
  readonly dtype: DType;
  readonly isBool: boolean;
  readonly kind: "number" | "bigint";
  readonly freeze: typeof frozenList;
}

/** The distance of an index from the beginning of an axis, in elements; NaN if there is no such index. */
function distanceOf(index: unknown, { length, stride }: Stretch): number {
  if (typeof index !== "number" || index !== (index | 0)) return NaN;
  const fromStart = index < 0 ? index + length : index;
  return fromStart >= 0 && fromStart < length ? fromStart * stride : NaN;
}

// --- Views without axes, with many, far away ---------------------------------------------------

function rank0({ Base, dtype, isBool, kind, freeze }: FactoryParts): FastClass {
  const none: Numbers = freeze([]);
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: readonly number[];
    declare readonly stride: readonly number[];
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #end = 0;

    constructor(data: TypedArrayOf, offset: number) {
      super();
      this.data = data;
      this.shape = none;
      this.stride = none;
      this.offset = offset;
      this.dtype = dtype;
      this.size = 1;
      this.ndim = 0;
      this.#end = offset;
    }

    override get(): number | bigint {
      const value = arguments.length === 0 && #end in this ? this.data[this.#end] : undefined;
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(value: unknown): void {
      const data: Storable = this.data;
      const position = arguments.length === 1 && #end in this ? this.#end : -1;
      if (isBool && (typeof value === "boolean" || typeof value === "number")) {
        value = value || value !== value ? 1 : 0;
      }
      if (data[position] !== undefined && typeof value === kind) data[position] = value;
      else super.set(...arguments as Arguments);
    }

    override index(): number {
      const position = arguments.length === 0 && #end in this ? this.#end : -1;
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }
  };
}

/** Views of any number of axes: a loop takes the place of the lines that are written out above. */
function anyRank({ Base, dtype, isBool, kind, freeze }: FactoryParts): FastClass {
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: readonly number[];
    declare readonly stride: readonly number[];
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    // V8 reads from a frozen list in ten times the time.
    #lengths: Numbers = [];
    #strides: Numbers = [];

    constructor(data: TypedArrayOf, offset: number, ...lists: number[]) {
      super();
      const rank = lists.length / 2;
      this.#lengths = lists.slice(0, rank);
      this.#strides = lists.slice(rank);
      this.data = data;
      this.shape = freeze(this.#lengths.slice());
      this.stride = freeze(this.#strides.slice());
      this.offset = offset;
      this.dtype = dtype;
      this.size = this.#lengths.reduce((product, length) => product * length, 1);
      this.ndim = rank;
    }

    /** The position of an element, -1 if an index is wrong, or there are not as many as axes. */
    #locate(indices: ArrayLike<unknown>, count: number): number {
      if (count !== this.#lengths.length) return -1;
      let position = this.offset;
      for (let axis = 0; axis < count; axis++) {
        const index = indices[axis];
        const length = this.#lengths[axis];
        if (typeof index !== "number" || index !== (index | 0)) return -1;
        const fromStart = index < 0 ? index + length : index;
        if (fromStart < 0 || fromStart >= length) return -1;
        position += fromStart * this.#strides[axis];
      }
      return position;
    }

    override get(...indices: number[]): number | bigint {
      const value = #lengths in this ? this.data[this.#locate(indices, indices.length)] : undefined;
      if (value === undefined) return super.get(...indices);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(...args: unknown[]): void {
      const data: Storable = this.data;
      const position = #lengths in this ? this.#locate(args, args.length - 1) : -1;
      const given = args.at(-1);
      const hasTruth = isBool && (typeof given === "boolean" || typeof given === "number");
      const value = hasTruth ? (given || given !== given ? 1 : 0) : given;
      if (data[position] !== undefined && typeof value === kind) data[position] = value;
      else super.set(...args);
    }
  };
}

/** A view of one axis without gaps, whose table is a typed array over just its elements (deviation 8). */
interface Windowed extends Fields {
  readonly [AXIS0]: TypedArrayOf;
}

function readWindow({ coldGet, isBool, AXIS0 }: ReadParts & Pick<FactoryParts, "isBool">): Get {
  return function (this: Windowed, i: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number") {
      const value = this[AXIS0][i];
      if (value !== undefined) return isBool ? (value ? 1 : 0) : value;
    }
    return coldGet(this);
  };
}

function writeWindow(
  { coldSet, coldIndex, isBool, kind, AXIS0 }: WriteParts & Pick<FactoryParts, "isBool" | "kind">,
): Writers {
  return {
    set(this: Windowed, i: number, value: unknown): void {
      const data: Storable = this[AXIS0];
      const isTruth = isBool && (typeof value === "boolean" || typeof value === "number");
      const stored = isTruth ? (value || value !== value ? 1 : 0) : value;
      const position = arguments.length === 2 && typeof i === "number" && typeof stored === kind
        ? i
        : -1;
      if (data[position] !== undefined) data[position] = stored;
      else coldSet(this, arguments);
    },
    index(this: Windowed, i: number): number {
      const position = arguments.length === 1 && typeof i === "number" ? i : -1;
      return this[AXIS0][position] !== undefined
        ? this.offset + position
        : coldIndex(this, arguments);
    },
  };
}

/** A view that lies beyond 2^31, of which `inner` has the same elements at lower positions. */
function wide(
  { Base, dtype, INNER }: { Base: new () => GeneralMethods; dtype: DType; INNER: symbol },
) {
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: Numbers;
    declare readonly stride: Numbers;
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;

    constructor(
      data: TypedArrayOf,
      { shape, stride, offset, size }: Layout,
      inner: GeneralMethods,
    ) {
      super();
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset;
      this.dtype = dtype;
      this.size = size;
      this.ndim = shape.length;
      (this as unknown as Inner)[INNER] = inner;
    }

    override get(...indices: number[]): Element {
      return (this as unknown as Inner)[INNER].get(...indices);
    }

    override set(...args: unknown[]): void {
      (this as unknown as Inner)[INNER].set(...args);
    }
  };
}
const INNER = Symbol("inner");
type Inner = { [INNER: symbol]: GeneralMethods };
type WideClass = new (data: TypedArrayOf, layout: Layout, inner: GeneralMethods) => GeneralMethods;
const wideClasses: { [D in DType]?: WideClass } = {};

// --- Classes by dtype, number of axes and access -----------------------------------------------

/** From so many axes on, one class of a dtype serves any number of them. */
export const MANY_AXES = 5;

/**
 * How a view reaches its elements: by a table for each axis, by a typed array over just its elements ("window"), by
 * computing their positions ("far"), by another view at lower positions ("wide"), or by the general methods.
 */
export type Access = "tables" | "window" | "far" | "wide" | "general";

/**
 * Chooses how a view reaches its elements.
 *
 * @param data the typed array
 * @param layout lies within `data`
 */
export function accessOf(data: TypedArrayOf, layout: Layout): Access {
  const { shape } = layout;
  const rank = shape.length;
  if (data.length > MAX_INT32) {
    const { lowest, highest } = extent(layout);
    if (highest - lowest >= MAX_INT32) return rank < MANY_AXES ? "far" : "general";
    if (highest > MAX_INT32) return "wide";
  }
  let longest = 0;
  for (let axis = 0; axis < rank; axis++) if (shape[axis] > longest) longest = shape[axis];
  // In a view of a small array, only an axis of stride 0 can be that long.
  if (rank >= MANY_AXES) return longest > MAX_INT32 ? "general" : "tables";
  if (rank === 0) return "tables";
  if (!canUseTables()) return "far";
  if (!isLongAxis(longest)) return "tables";
  if (rank === 1 && layout.stride[0] === 1) return "window";
  // A table may take a quarter of the bytes that it leads to, and no more.
  return longest * 4 * Int32Array.BYTES_PER_ELEMENT <= data.byteLength ? "tables" : "far";
}

let tablesWork: boolean | undefined;

/** Whether code may be made from text, and a function in sloppy mode has its arguments (deviation 2). */
function canUseTables(): boolean {
  if (tablesWork === undefined) {
    const own: { asked: { arguments?: ArrayLike<unknown> } | null } = { asked: null };
    const copy = copyOfFactory(askedFactory, "probe", "sloppy");
    const asked = copy(() => own.asked!.arguments);
    own.asked = asked as { arguments?: ArrayLike<unknown> };
    try {
      const got = copy === askedFactory ? null : asked(1, undefined);
      tablesWork = got?.length === 2 && got[0] === 1;
    } catch {
      tablesWork = false; // a runtime whose functions have no arguments
    }
  }
  return tablesWork;
}

type Asked = (...args: unknown[]) => ArrayLike<unknown> | undefined;

function askedFactory(tell: () => ArrayLike<unknown> | undefined): Asked {
  return function () {
    return tell();
  };
}

/** What serves or refuses a call that a class cannot serve; the arguments of `set` end with the value. */
export interface Served {
  get(view: Fields, indices: readonly unknown[]): Element;
  set(view: Fields, args: readonly unknown[]): void;
  index(view: Fields, indices: readonly unknown[]): number;
}

/** What makes classes of views; it is the same for all of them. */
export interface Maker {
  /** Makes an object that has the general methods, and nothing else. */
  readonly Base: new () => GeneralMethods;
  readonly served: Served;
  /** Makes slices that are not rows. */
  readonly sliceFrom: SliceFrom;
  readonly anySubarray: ClassParts["anySubarray"];
  /** Gives the class of views with tables, of the same dtype and another number of axes. */
  readonly classOf: (dtype: DType, rank: number) => FastClass;
  /** Gives what makes a view of any access. */
  readonly anyClassOf: (dtype: DType, rank: number) => FastClass;
}

/**
 * Makes the class of views of one dtype, one number of axes and one access: a subclass of the general one with
 * methods of its own for elements and rows.
 *
 * @param maker what all classes have in common
 * @param dtype the dtype of the views
 * @param rank the number of axes, {@linkcode MANY_AXES} for all from there on
 * @param access how the views reach their elements
 */
export function makeFastClass(
  { Base, served, sliceFrom, anySubarray, classOf, anyClassOf }: Maker,
  dtype: DType,
  rank: number,
  access: "tables" | "window" | "far",
): FastClass {
  const key = `${dtype}, ${rank} axes, ${access}`;
  const kind = dtype === "int64" || dtype === "uint64" ? "bigint" : "number";
  const isBool = dtype === "bool";
  let Fast: FastClass;
  if (rank === 0 || rank === MANY_AXES) {
    const factory = copyOfFactory(rank === 0 ? rank0 : anyRank, key);
    Fast = factory({ Base, dtype, isBool, kind, freeze: frozenList });
  } else {
    const ownClass: ClassParts["ownClass"] = { Fast: null };
    const rowOf = access === "tables" || rank === 1 ? classOf : anyClassOf;
    Fast = copyOfFactory(classes[rank - 1], key)({
      ...{ Base, ownClass, dtype, rangeOf, sliceFrom, anySubarray, ...keys },
      shapeOf: frozenLists(rank),
      strideOf: frozenLists(rank),
      Row: rowOf(dtype, rank - 1),
      TypedArray: typedArrayOf(dtype),
      axisOf: access === "far" ? (length, stride) => ({ length, stride }) : tableOf,
    });
    ownClass.Fast = access === "tables" ? Fast : anyClassOf(dtype, rank);
    const describe = { rank, kind, isBool, served, key } as const;
    if (access === "far") giveFarMethods(Fast.prototype, describe);
    else giveTableMethods(Fast.prototype, describe, access);
  }
  Object.defineProperty(
    Fast.prototype,
    "constructor",
    descriptorOf({ value: Base.prototype.constructor }),
  );
  return Fast;
}

/** What the methods of a class depend on. */
interface Described {
  readonly rank: number;
  readonly kind: "number" | "bigint";
  readonly isBool: boolean;
  readonly served: Served;
  readonly key: string;
}

/** Defines methods, which are first deleted: V8 then takes them for constants of their class again. */
function define(prototype: object, methods: object): void {
  const names = Reflect.ownKeys(methods);
  for (const name of names) Reflect.deleteProperty(prototype, name);
  for (const name of names) {
    const value = Reflect.get(methods, name);
    Object.defineProperty(
      prototype,
      name,
      descriptorOf({ value, writable: true, configurable: true }),
    );
  }
}

/** The arguments of a call, of which so many were given, and those that it has names for. */
function argumentsOf(count: number, named: unknown[]): unknown[] {
  named.length = count;
  return named;
}

/** Does the work of a method; the stack of its error begins with the line that called the method. */
function asCalled<R>(method: (...args: never[]) => unknown, work: () => R): R {
  try {
    return work();
  } catch (error) {
    throw fromCaller(error, method);
  }
}

function giveFarMethods(
  prototype: object,
  { rank, kind, isBool, served, key }: Described,
): void {
  const coldGet: FarFallback<Element> = (view, count, ...args) =>
    asCalled(methods.get, () => served.get(view, argumentsOf(count, args)));
  const coldSet: FarFallback<void> = (view, count, ...args) =>
    asCalled(methods.set, () => served.set(view, argumentsOf(count, args)));
  const coldIndex: FarFallback<number> = (view, count, ...args) =>
    asCalled(methods.index, () => served.index(view, argumentsOf(count, args)));
  const factory = copyOfFactory(fars[rank - 1], key);
  const methods = factory({ coldGet, coldSet, coldIndex, distanceOf, isBool, kind, ...keys });
  define(prototype, methods);
}

/** So many milliseconds lie between two renewals of the methods of a class, on average (deviation 5). */
const RENEWAL_PAUSE = 100;
/** So many of them may follow each other at once. */
const MOST_RENEWALS = 16;
/** So many negative indices within that time, and the methods are renewed into some that serve them (deviation 6). */
const MANY_NEGATIVES = 100;

function giveTableMethods(
  prototype: object,
  { rank, kind, isBool, served, key }: Described,
  access: "tables" | "window",
): void {
  let copies = 0;
  let allowed = MOST_RENEWALS;
  let allowedAt = -Infinity;
  let negatives = 0;
  let wraps = isBool;

  /** Is called with the indices of each call that the tables did not serve. */
  const learn = (view: Fields, indices: ArrayLike<unknown>): void => {
    if (access === "tables") fillTables(view);
    for (let axis = 0; axis < rank && axis < indices.length; axis++) {
      const index = indices[axis];
      if (typeof index === "number" && index < 0) negatives++;
    }
    const now = performance.now();
    const since = Math.floor((now - allowedAt) / RENEWAL_PAUSE);
    if (since > 0) {
      allowed = Math.min(MOST_RENEWALS, allowed + since);
      allowedAt = now;
      negatives = 0;
    }
    if (!wraps && negatives >= MANY_NEGATIVES) wraps = true;
    else if (allowed > 0) allowed--;
    else return;
    renew();
  };

  const renew = (): void => {
    const text = `${key}, copy ${copies++}`;
    const own: { get: (Get & { arguments?: ArrayLike<unknown> }) | null } = { get: null };
    const coldGet = (view: Fields): Element => {
      const args = Array.from(own.get!.arguments!);
      learn(view, args);
      return asCalled(own.get!, () => served.get(view, args));
    };
    const coldSet: Fallback<void> = (view, args) => {
      learn(view, args);
      asCalled(writers.set, () => served.set(view, Array.from(args)));
    };
    const coldIndex: Fallback<number> = (view, args) => {
      learn(view, args);
      return asCalled(writers.index, () => served.index(view, Array.from(args)));
    };
    const [read, write] = access === "window"
      ? [readWindow, writeWindow]
      : [readOf(rank, kind, isBool, wraps), writeOf(rank, kind, isBool, wraps)];
    const get = own.get = copyOfFactory(read, text, "sloppy")({
      coldGet,
      isBool,
      ...keys,
    });
    const writers = copyOfFactory(write, text)({ coldSet, coldIndex, kind, isBool, ...keys });
    const near = wraps && !isBool ? copyOfFactory(nears[rank - 1], text)(keys) : {};
    define(prototype, { get, ...writers, ...near });
  };
  renew();
}

function readOf(
  rank: number,
  kind: "number" | "bigint",
  isBool: boolean,
  wraps: boolean,
): (parts: ReadParts) => Get {
  if (isBool) return readBoolWrappings[rank - 1];
  if (kind === "bigint") return (wraps ? readBigintWrappings : readBigints)[rank - 1];
  return (wraps ? readWrappings : reads)[rank - 1];
}

/** `set` and `index` of 64-bit integers leave negative indices to the general method. */
function writeOf(
  rank: number,
  kind: "number" | "bigint",
  isBool: boolean,
  wraps: boolean,
): (parts: WriteParts) => Writers {
  if (isBool) return writeBoolWrappings[rank - 1];
  return (kind === "bigint" ? writeBigints : wraps ? writeWrappings : writes)[rank - 1];
}

/** Gives a view the tables of its long axes, which are made when an element is first asked for. */
function fillTables(view: Fields): void {
  const { shape, stride, size } = view as Fields & Layout;
  if (size === 0) return;
  for (let axis = 0; axis < shape.length; axis++) {
    const key = axisKeys[axis];
    if (!isLongAxis(shape[axis]) || !Object.hasOwn(view, key)) continue;
    if (((view as Fields & Axes)[key] as Int32Array).length > 0) continue;
    (view as Fields & Axes)[key] = longTableOf(shape[axis], stride[axis]);
  }
}

/** Makes a view of a long axis without gaps, whose table is a typed array over just its elements. */
export function makeWindow(
  Fast: FastClass,
  data: TypedArrayOf,
  layout: Layout,
  dtype: DType,
): GeneralMethods {
  const { shape: [length], stride: [stride], offset } = layout;
  const view = new Fast(data, offset, length, stride) as GeneralMethods & Axes;
  view[AXIS0] = elementsAt({ dtype, data }, offset, length) as never;
  return view;
}

/** Makes a view that lies beyond 2^31, from one of the same elements at lower positions. */
export function makeWide(
  Base: new () => GeneralMethods,
  dtype: DType,
  data: TypedArrayOf,
  layout: Layout,
  inner: GeneralMethods,
): GeneralMethods {
  const Wide = wideClasses[dtype] ??= copyOfFactory(wide, `${dtype}, wide`)({ Base, dtype, INNER });
  return new Wide(data, layout, inner);
}
