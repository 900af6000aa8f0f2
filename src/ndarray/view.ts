/**
 * Views: their making, and their general methods, which are right for every dtype, rank and argument.
 *
 * @module
 */

import {
  checkInteger,
  descriptorOf,
  isDetached,
  isGiven,
  isMarkedAs,
  isShared,
  kindOf,
  listText,
  readOptions,
} from "../check.ts";
import { copyElements, isOneRun } from "./copy.ts";
import {
  bytesPerElement,
  type DType,
  type DTypeLike,
  dtypeOf,
  parseDType,
  type TypedArrayOf,
  typedArrayOf,
} from "../dtype.ts";
import { badResource, fromCaller, showCallers } from "../errors.ts";
import { showText } from "../inspect.ts";
import { frozenList } from "./frozen_lists.ts";
import { fillElements } from "./fill.ts";
import { goneMessage } from "./gone.ts";
import { describeArray, formatArray } from "./format.ts";
import { iterateElements, iterateRows } from "./iterate.ts";
import {
  broadcastLayout,
  broadcastToLayout,
  checkLayout,
  checkShape,
  contiguousLayout,
  extent,
  isContiguous,
  Layout,
  reshapeLayout,
  sizeOf,
  sliceLayout,
  sliceLists,
  transposeLayout,
} from "./layout.ts";
import { elementsAt, type ViewParts } from "./loop_plan.ts";
import { resolveIndex, type SliceItem } from "./slice.ts";
import type { FastClass, GeneralMethods } from "./access_parts.ts";
import {
  accessOf,
  makeFastClass,
  type Maker,
  makeWide,
  makeWindow,
  MANY_AXES,
  type Served,
} from "./element_access.ts";

/** The class of all views. `NDArray` in `ndarray.ts` says what each member does. */
export class View<B extends ArrayBufferLike = ArrayBufferLike> {
  declare readonly data: TypedArrayOf<DType, B>;
  declare readonly shape: readonly number[];
  declare readonly stride: readonly number[];
  declare readonly offset: number;
  declare readonly dtype: DType;
  declare readonly size: number;
  declare readonly ndim: number;

  /** Makes a view as a caller describes it. Views of a program's own subclass have the general methods. */
  constructor(data: TypedArrayOf<DType, B>, options: ViewOptions = {}) {
    try {
      const own = copyOptions(options);
      const dtype = checkDType(data, own.dtype);
      const layout = checkLayout(data.length, own);
      if (new.target === View) return makeView(data, layout, dtype);
      describe(this, data, layout, dtype);
    } catch (error) {
      throw fromCaller(error, View);
    }
  }

  get dimension(): number {
    return this.ndim;
  }

  get T(): View<B> {
    try {
      return this.transpose();
    } catch (error) {
      throw fromCaller(error, getT);
    }
  }

  get itemsize(): number {
    return bytesPerElement(this.dtype);
  }

  get nbytes(): number {
    return this.size * this.itemsize;
  }

  get order(): number[] {
    const size = this.stride.map(Math.abs);
    return size.map((_, axis) => axis).sort((a, b) => size[a] - size[b]);
  }

  // The general methods: right for every rank, position and argument. The classes that
  // makeFastClass() makes come here with whatever they cannot serve.

  get(...indices: number[]): number | bigint {
    try {
      return elementAt(this, this.index(...indices));
    } catch (error) {
      throw fromMethod(error, this, "get");
    }
  }

  set(...args: unknown[]): void {
    try {
      checkHasValue(this, args);
      storeAt(this, this.index(...args.slice(0, -1) as number[]), args.at(-1));
    } catch (error) {
      throw fromMethod(error, this, "set");
    }
  }

  index(...indices: number[]): number {
    try {
      return locate(this, indices);
    } catch (error) {
      throw fromMethod(error, this, "index");
    }
  }

  slice(...items: SliceItem[]): View<B> {
    try {
      checkAttached(this);
      return derive(this, sliceLayout(this, items));
    } catch (error) {
      throw fromMethod(error, this, "slice");
    }
  }

  transpose(...axes: (number | readonly number[])[]): View<B> {
    checkAttached(this);
    return derive(this, transposeLayout(this, axes.length === 0 ? undefined : spread(axes)));
  }

  reshape(...shape: (number | readonly number[])[]): View<B> {
    checkAttached(this);
    return derive(this, reshapeLayout(this, spread(shape)));
  }

  broadcastTo(...shape: (number | readonly number[])[]): View<B> {
    checkAttached(this);
    return derive(this, broadcastToLayout(this, checkShape(spread(shape))));
  }

  rows(): IteratorObject<View<B>, undefined> {
    checkAttached(this);
    if (this.ndim === 0) {
      throw new RangeError("Cannot go through the rows of a 0-d view: it has no axis");
    }
    const rows: IteratorObject<View<B>, undefined> = iterateRows(this.shape[0], (row) => {
      try {
        return this.slice(row);
      } catch (error) {
        throw fromCaller(error, rows.next);
      }
    });
    return rows;
  }

  // deno-lint-ignore no-explicit-any -- a View does not say its dtype, NDArray does
  astype(dtype: DTypeLike): any {
    const canonical = parseDType(dtype);
    checkAlive(this);
    const { data, layout } = onHeap(cellsOf(this), canonical);
    return makeView(data, layout, canonical);
  }

  isContiguous(): boolean {
    checkAttached(this);
    return isContiguous(this);
  }

  subarray(begin?: number, end?: number): TypedArrayOf<DType, B> {
    // A row of live memory is told at a third of the price: programs ask for one after the other.
    const isRow = this.ndim === 1 && this.stride[0] === 1 && this.data.length > 0 &&
      this.offset + this.size <= this.data.length;
    if (!isRow) checkAlive(this);
    if (begin !== undefined) checkInteger(begin, "give this subarray", "a bound");
    if (end !== undefined) checkInteger(end, "give this subarray", "a bound");
    if (!isRow && !isContiguous(this)) {
      throw new RangeError(
        "Cannot give a subarray: the view is not contiguous; copy() gives its elements as a copy",
      );
    }
    const all = elementsAt(this, this.offset, this.size) as TypedArrayOf<DType, B>;
    return begin === undefined && end === undefined
      ? all
      : all.subarray(begin, end) as TypedArrayOf<DType, B>;
  }

  fill(value: unknown): this {
    checkAlive(this);
    fillElements(cellsOf(this), toStorable(this.dtype, value));
    return this;
  }

  assign(source: unknown): this {
    storeSource(this, readSource(this, source));
    return this;
  }

  copy(): TypedArrayOf<DType, ArrayBuffer>;
  copy<T extends ArrayBufferLike>(
    options: { into: TypedArrayOf<DType, T> },
  ): TypedArrayOf<DType, T>;
  copy(options?: { into?: TypedArrayOf }): TypedArrayOf {
    if (dtypeOf(options) !== null) {
      throw new TypeError(
        "Cannot copy: there is no option that is a typed array itself; write copy({ into: array })",
      );
    }
    const { into } = readOptions(options, { into: "object" }, "copy");
    checkAlive(this);
    if (into === undefined) return onHeap(cellsOf(this)).data;
    checkCanHold(into, this);
    const target = { ...contiguousLayout(this.shape), dtype: this.dtype, data: into };
    storeSource(target, { value: null, cells: cellsOf(this), layout: this });
    return into;
  }

  toArray(): unknown {
    checkAlive(this);
    return nest(onHeap(cellsOf(this)).data, this.shape);
  }

  [Symbol.iterator](): IteratorObject<number | bigint, undefined> {
    const refuse = (called: Parameters<typeof fromCaller>[1]): never => {
      try {
        checkAlive(this);
      } catch (error) {
        throw fromCaller(error, called);
      }
      throw fromCaller(badResource(goneMessage(this.data.buffer)), called);
    };
    if (isGone(this.data) || isCut(this)) refuse(iterator);
    const elements: IteratorObject<number | bigint, undefined> = iterateElements(
      cellsOf(this),
      () => refuse(elements.next),
    );
    return elements;
  }

  toJSON(): unknown {
    checkAlive(this);
    const { data, shape, stride, offset, dtype } = this;
    const memory = memoryOf(data.buffer);
    if (memory === undefined) return this.toArray();
    const byteOffset = data.byteOffset + offset * data.BYTES_PER_ELEMENT;
    return {
      shape: [...shape],
      dtype,
      name: memory.name,
      arraySlice: null,
      layout: { byteOffset, stride: [...stride] },
    };
  }

  valueOf(): number | bigint | this {
    checkAttached(this);
    return this.ndim === 0 ? this.get() : this;
  }

  toString(): string {
    checkAlive(this);
    return formatArray(printable(this));
  }
}
// It never throws, so that `console.log` can show a closed array, too.
showText(
  View.prototype,
  (view: View): string =>
    view.data === undefined
      ? "NDArray {}" // `console.log` may show the prototype itself, too
      : isGone(view.data) || isCut(view)
      ? `NDArray(closed, shape=[${view.shape.join(", ")}], dtype=${view.dtype})`
      : describeArray(printable(view), "NDArray"),
);
showCallers(View, "get", "set", "index", "slice", Symbol.iterator);

/** The methods of views that have none of their own, as they are here, whatever a program puts in their place. */
const { get, set, index, slice, subarray, [Symbol.iterator]: iterator } = View.prototype;
const { get: getT } = Object.getOwnPropertyDescriptor(View.prototype, "T") as { get: () => View };
const general = { get, set, index, slice };

/** Lets the stack of an error begin with the line that called a method, also where a class of few axes called it. */
function fromMethod(error: unknown, view: View, method: keyof typeof general): unknown {
  fromCaller(error, general[method]);
  const [, first = ""] = (error as Error).stack?.split("\n    at ", 2) ?? [];
  return first.includes("element_access") ? fromCaller(error, view[method]) : error;
}
Object.defineProperty(View, "name", descriptorOf({ value: "NDArray" }));

// --- Making views ----------------------------------------------------------------------------

/** How a caller describes a view. */
export interface ViewOptions {
  shape?: number | readonly number[];
  stride?: readonly number[];
  offset?: number;
  dtype?: DTypeLike;
}

/** Keys that are easily mistaken for ours: ignored, they would give wrong elements. */
const mistaken: { readonly [key: string]: string } = {
  strides: "give stride, which counts elements, not bytes",
  order: 'give stride: for order "F" of shape [2, 3] that is [1, 2]',
  byteOffset: "give offset, which counts elements",
};

/**
 * Copies the options. Whatever else the object has is not looked at, so that a chunk of another library can be
 * given, or an npm `ndarray`: that one inherits `order`, and a dtype that may be none of ours.
 */
function copyOptions(options: ViewOptions): ViewOptions {
  if (kindOf(options) !== "an object") {
    throw new TypeError(
      `Cannot make a view: the options must be an object, not ${kindOf(options)}` +
        (Array.isArray(options) ? "; a shape is given as { shape }" : ""),
    );
  }
  for (const key of Object.keys(mistaken)) {
    if (!Object.hasOwn(options, key)) continue;
    throw new TypeError(`Cannot make a view: ${key} is none of its options; ${mistaken[key]}`);
  }
  const given: ViewOptions = Object.create(null);
  for (const key of ["shape", "stride", "offset"] as const) {
    if (isGiven(options, key)) Object.assign(given, { [key]: options[key] });
  }
  if (Object.hasOwn(options, "dtype")) given.dtype = options.dtype;
  return given;
}

/** Checks that `data` can be viewed as elements of `like`, and tells the dtype. */
function checkDType(data: TypedArrayOf, like: DTypeLike | undefined): DType {
  const own = dtypeOf(data);
  if (own === null) {
    throw new TypeError(
      `Cannot make a view: data must be a typed array, not ${kindOf(data)}${dataAdvice(data)}`,
    );
  }
  const dtype = like === undefined ? own : parseDType(like);
  if (dtype !== own && !(dtype === "bool" && own === "uint8")) {
    throw new TypeError(`Cannot make a view: data holds ${own}, not ${dtype}`);
  }
  if (isGone(data)) throw badResource(goneMessage(data.buffer));
  return dtype;
}

/** How to come to a typed array from what was given in the place of one. */
function dataAdvice(data: unknown): string {
  if (Array.isArray(data)) return "; Float64Array.from(data) makes one of numbers";
  if (typeof data !== "object" || data === null) return "";
  if (data instanceof ArrayBuffer || isShared(data as ArrayBufferLike)) {
    return "; new Float64Array(data) is one over a buffer";
  }
  if (isMarkedAs(data, "NDArray")) return "; it is a view already, and slice() makes another one";
  return "array" in data ? "; its array is a view" : "";
}

/** Makes an object that has the methods of views, and nothing else. */
const Bare = function () {} as unknown as new () => View;
Bare.prototype = View.prototype;

/** The classes of views by access, dtype and number of axes, made at first use. */
const classes: { [A in "tables" | "window" | "far"]: { [D in DType]?: FastClass[] } } = {
  tables: {},
  window: {},
  far: {},
};

/**
 * The methods that serve or refuse what a fast class cannot serve. They do as the general ones do, but do not ask
 * the view's own `index()`: that would meet what is wrong a second time, in methods that were just renewed.
 */
const served: Served = {
  get: (view, indices) => elementAt(view as View, locate(view as View, indices)),
  set(view, args) {
    checkHasValue(view as View, args);
    storeAt(view as View, locate(view as View, args.slice(0, -1)), args.at(-1));
  },
  index: (view, indices) => locate(view as View, indices),
};

const maker: Maker = {
  Base: Bare,
  served,
  sliceFrom(view, shape, stride, items) {
    const { data, offset, dtype } = view as View;
    try {
      return makeView(data, sliceLists(shape, stride, offset, items), dtype);
    } catch (error) {
      throw fromCaller(error, (view as View).slice);
    }
  },
  anySubarray(view, begin, end) {
    try {
      return subarray.call(view as View, begin, end);
    } catch (error) {
      throw fromCaller(error, (view as View).subarray);
    }
  },
  classOf: (dtype, rank) => classOf("tables", dtype, rank),
  anyClassOf(dtype, rank) {
    return function (data: TypedArrayOf, offset: number, ...lists: number[]) {
      const shape = lists.slice(0, rank);
      return makeView(data, new Layout(shape, lists.slice(rank), offset, sizeOf(shape)), dtype);
    } as unknown as FastClass;
  },
};

function classOf(access: "tables" | "window" | "far", dtype: DType, rank: number): FastClass {
  const ofDType = classes[access][dtype] ??= [];
  return ofDType[rank] ??= makeFastClass(maker, dtype, rank, access);
}

/**
 * Makes a view of a layout that has been checked.
 *
 * @param data the typed array, which is shared
 * @param layout lies within `data`
 * @param dtype what `data` holds
 */
export function makeView<B extends ArrayBufferLike>(
  data: TypedArrayOf<DType, B>,
  layout: Layout,
  dtype: DType,
): View<B> {
  const access = accessOf(data, layout);
  return (access === "general"
    ? makeGeneralView(data, layout, dtype)
    : access === "wide"
    ? makeViewBeyond(data, layout, dtype)
    : access === "window"
    ? makeWindow(classOf(access, dtype, 1), data, layout, dtype)
    : makeFastView(access, data, layout, dtype)) as View<B>;
}

function makeFastView(
  access: "tables" | "far",
  data: TypedArrayOf,
  { shape: n, stride: s, offset }: Layout,
  dtype: DType,
): GeneralMethods {
  const rank = n.length;
  const Fast = classOf(access, dtype, Math.min(rank, MANY_AXES));
  // Spread arguments would take longer than all else.
  switch (rank) {
    case 0:
      return new Fast(data, offset);
    case 1:
      return new Fast(data, offset, n[0], s[0]);
    case 2:
      return new Fast(data, offset, n[0], n[1], s[0], s[1]);
    case 3:
      return new Fast(data, offset, n[0], n[1], n[2], s[0], s[1], s[2]);
    default:
      return new Fast(data, offset, ...n, ...s);
  }
}

/** Makes a view that lies beyond 2^31, and the one of the same elements at lower positions that it asks. */
function makeViewBeyond(data: TypedArrayOf, layout: Layout, dtype: DType): GeneralMethods {
  const { shape, stride, offset, size } = layout;
  const { lowest, highest } = extent(layout);
  const part = elementsAt({ dtype, data }, lowest, highest - lowest + 1);
  const inner = makeView(part, new Layout(shape, stride, offset - lowest, size), dtype);
  frozenList(shape);
  frozenList(stride);
  return makeWide(Bare, dtype, data, layout, inner);
}

function makeGeneralView(data: TypedArrayOf, layout: Layout, dtype: DType): View {
  const view = new Bare();
  describe(view, data, layout, dtype);
  return view;
}

/** Gives a view its fields. */
function describe(view: View, data: TypedArrayOf, layout: Layout, dtype: DType): void {
  const { shape, stride, offset, size } = layout;
  Object.assign(view, {
    data,
    shape: frozenList(shape),
    stride: frozenList(stride),
    offset,
    dtype,
    size,
    ndim: shape.length,
  });
}

/** Makes a view of some of a view's elements, in another arrangement. */
function derive<B extends ArrayBufferLike>(view: View<B>, layout: Layout): View<B> {
  return makeView(view.data, layout, view.dtype);
}

/** Arguments that may come as one array. */
function spread(args: readonly (number | readonly number[])[]): readonly number[] {
  return args.length === 1 && Array.isArray(args[0]) ? args[0] : args as readonly number[];
}

// --- Elements --------------------------------------------------------------------------------

/** The length is asked first, at a tenth of the price: if it is not 0, the memory is there. */
function isGone(data: TypedArrayOf): boolean {
  return data.length === 0 && isDetached(data.buffer);
}

/** The parts of a view that the functions below use. */
type Elements = Layout & Pick<ViewParts, "dtype" | "data">;

/** Throws if the memory is gone. An empty view of live memory is a valid one. */
function checkAttached(view: Pick<Elements, "data">): void {
  if (isGone(view.data)) throw badResource(goneMessage(view.data.buffer));
}

/** Throws if elements cannot be reached. */
function checkAlive(view: Elements): void {
  checkAttached(view);
  if (isCut(view)) {
    throw new RangeError(`Cannot use this array: its data shrank to ${view.data.length} elements`);
  }
}

/** Whether elements are missing: shared memory never shrinks, but a user's resizable buffer may. */
function isCut(view: Elements): boolean {
  return extent(view).highest >= view.data.length;
}

function cellsOf(view: Elements): ViewParts {
  return { dtype: view.dtype, data: view.data, layout: view };
}

function elementAt({ data, dtype }: View, position: number): number | bigint {
  const value = data[position];
  return dtype === "bool" ? (value ? 1 : 0) : value;
}

function storeAt({ data, dtype }: View, position: number, value: unknown): void {
  (data as { [position: number]: unknown })[position] = toStorable(dtype, value);
}

/** Without any argument not even the value is there: `locate()` refuses that of every view but a 0-d one. */
function checkHasValue(view: View, args: readonly unknown[]): void {
  if (args.length === 0 && view.ndim === 0) {
    throw new TypeError("Cannot store undefined: no value is given");
  }
}

/** Where an element lies. */
function locate(view: View, indices: readonly unknown[]): number {
  checkAlive(view);
  if (indices.length !== view.ndim) {
    throw new RangeError(
      `Cannot reach an element: ${count(indices.length, "index", "indices")} for an array of ` +
        count(view.ndim, "axis", "axes") +
        (Array.isArray(indices[0]) ? "; write get(0, 1), not get([0, 1])" : ""),
    );
  }
  let position = view.offset;
  for (let axis = 0; axis < indices.length; axis++) {
    const index: unknown = indices[axis];
    if (!Number.isSafeInteger(index)) {
      checkInteger(index, "reach an element", `the index of axis ${axis}`);
    }
    position += resolveIndex(index as number, view.shape[axis], axis) * view.stride[axis];
  }
  return position;
}

/** Checks that a typed array can take the elements of a view. */
function checkCanHold(into: unknown, { dtype, size }: View): asserts into is TypedArrayOf {
  const own = dtypeOf(into);
  if (own === null) {
    throw new TypeError(`Cannot copy: into must be a typed array, not ${kindOf(into)}`);
  }
  if (own !== (dtype === "bool" ? "uint8" : dtype)) {
    throw new TypeError(
      `Cannot copy: into holds ${own}, not ${dtype}; new NDArray(into, { shape }).assign(view) converts`,
    );
  }
  const data = into as TypedArrayOf;
  checkAttached({ data });
  if (data.length !== size) {
    throw new RangeError(
      `Cannot copy: into has ${count(data.length, "element", "elements")}, the view has ${size}`,
    );
  }
}

/** Checks that a value is of a dtype's kind; for `bool`, takes its truth. */
function toStorable(dtype: DType, value: unknown): number | bigint {
  if (dtype === "bool" && hasTruth(value)) return value || Number.isNaN(value) ? 1 : 0;
  const fits = isBig(dtype) ? typeof value === "bigint" : typeof value === "number";
  if (!fits) {
    throw new TypeError(
      `Cannot store ${kindOf(value)} in ${dtype}: its elements are ` +
        (isBig(dtype) ? "bigints" : dtype === "bool" ? "true and false" : "numbers") +
        (typeof value === "bigint"
          ? "; Number(value) converts"
          : typeof value === "number"
          ? "; BigInt(value) converts"
          : typeof value === "object" && value !== null && "array" in value
          ? "; give its array"
          : ""),
    );
  }
  return value as number | bigint;
}

/** Whether a value is one that `bool` stores the truth of; that of NaN is true, as in NumPy. */
function hasTruth(value: unknown): boolean {
  const kind = typeof value;
  return kind === "object" ? value === null : kind !== "function" && kind !== "undefined";
}

function isBig(dtype: DType): boolean {
  return dtype === "int64" || dtype === "uint64";
}

/** A boolean that is assigned to numbers, as the number that it is in NumPy; all else as it is. */
function asNumber(value: unknown, dtype: DType): unknown {
  if (typeof value !== "boolean") return value;
  return isBig(dtype) ? BigInt(value) : Number(value);
}

/** What is to be stored: one value in all elements, or a value for each. */
type Source = { readonly value: number | bigint } | {
  readonly value: null;
  /** The elements as the source has them. */
  readonly cells: ViewParts;
  /** The layout that stretches them to the shape of the target. */
  readonly layout: Layout;
};

/**
 * Takes what is to be stored in a view, and checks that it fits. All that `assign()` may refuse is refused
 * here; nothing is stored yet.
 */
export function readSource(target: Elements, source: unknown): Source {
  checkAlive(target);
  const cells = toCells(source) ??
    (Array.isArray(source) ? fromNested(source, target.dtype) : null);
  checkAlive(target); // reading the source may have run a getter that took the memory away
  if (cells === null) {
    return { value: toStorable(target.dtype, asNumber(source, target.dtype)) };
  }
  return { value: null, cells, layout: broadcastLayout(cells.layout, target.shape) };
}

/** Stores in a view what `readSource()` took for it, or for another view of its shape and dtype. */
export function storeSource(view: Elements, source: Source): void {
  const target = cellsOf(view);
  if (source.value !== null) return fillElements(target, source.value);
  if (view.size === 0) return;
  const { cells, layout } = source;
  const stretched = { ...cells, layout };
  // Where the two may overlap, the elements are first copied, unless that is a single move.
  const safe = !mayOverlap(target, cells) ||
    (target.data.buffer === cells.data.buffer && isOneRun(target, stretched));
  copyElements(
    target,
    safe ? stretched : { ...onHeap(cells), layout: rebased(cells, view.shape) },
  );
}

/** The elements of a view, a typed array, or an npm `ndarray`; `null` if a value is none of these. */
function toCells(source: unknown): ViewParts | null {
  if (source === null || typeof source !== "object") return null;
  if (source instanceof View) {
    checkAlive(source);
    return cellsOf(source);
  }
  const dtype = dtypeOf(source);
  if (dtype !== null) {
    const data = source as TypedArrayOf;
    if (isGone(data)) throw badResource(goneMessage(data.buffer));
    return { dtype, data, layout: contiguousLayout([data.length]) };
  }
  return isForeignView(source) ? fromForeignView(source) : null;
}

/** An array of another library: npm `ndarray`, a chunk of zarrita (which has no offset). */
interface ForeignView {
  readonly data: unknown;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset?: number;
  readonly dtype?: unknown;
}

function isForeignView(value: object): value is ForeignView {
  return !Array.isArray(value) && "data" in value && "shape" in value && "stride" in value;
}

function fromForeignView({ data, shape, stride, offset, dtype }: ForeignView): ViewParts {
  const own = dtypeOf(data);
  if (own === null) {
    throw new TypeError(
      `Cannot assign: the elements of an object with data, shape and stride must be in a typed array, ` +
        `not in ${kindOf(data)}`,
    );
  }
  const elements = data as TypedArrayOf;
  if (isGone(elements)) throw badResource(goneMessage(elements.buffer));
  const layout = checkLayout(elements.length, { shape, stride, offset });
  // A view that another copy of this module made may be of bool.
  return {
    dtype: dtype === "bool" && own === "uint8" ? "bool" : own,
    data: elements,
    layout,
  };
}

/** Deeper than NumPy's arrays can be: an array that contains itself ends here. */
const MAX_DEPTH = 64;

/**
 * Copies nested arrays into a typed array of the target's dtype, so that all is checked first. In the place of
 * an array there may be a view or a typed array, whose elements are converted.
 */
function fromNested(source: readonly unknown[], dtype: DType): ViewParts {
  const shape = shapeOf(source);
  const layout = contiguousLayout(shape);
  const data = new (typedArrayOf(dtype))(layout.size);
  let position = 0;
  const visit = (value: unknown, depth: number): void => {
    const isList = Array.isArray(value);
    const cells = isList ? null : toCells(value);
    if (!isList && cells === null && depth === shape.length) {
      const element = toStorable(dtype, asNumber(value, dtype));
      (data as { [position: number]: unknown })[position++] = element;
      return;
    }
    const found = isList ? [value.length] : cells?.layout.shape ?? [];
    const wanted = shape.slice(depth, isList ? depth + 1 : undefined);
    if (found.length !== wanted.length || found.some((length, k) => length !== wanted[k])) {
      const [one, first] = [found, wanted].map((lengths) =>
        lengths.length === 0
          ? "a single element"
          : lengths.length === 1
          ? `length ${lengths[0]}`
          : `shape ${listText(lengths)}`
      );
      throw new RangeError(
        `Cannot assign: the arrays are ragged; at depth ${depth} one has ${one}, the first has ` +
          (wanted.length === 0 ? "none" : first),
      );
    }
    if (cells !== null) {
      const part = { shape: found, stride: contiguousLayout(found).stride, offset: position };
      copyElements({ dtype, data, layout: { ...part, size: cells.layout.size } }, cells);
      position += cells.layout.size;
    } else if (isList) {
      for (let i = 0; i < value.length; i++) visit(value[i], depth + 1);
    }
  };
  visit(source, 0);
  return { dtype, data, layout };
}

/** The shape of nested arrays, by what is first in each. */
function shapeOf(source: readonly unknown[]): number[] {
  const shape: number[] = [];
  let level: unknown = source;
  while (Array.isArray(level)) {
    if (shape.length === MAX_DEPTH) {
      throw new RangeError(`Cannot assign: the arrays are nested more than ${MAX_DEPTH} deep`);
    }
    shape.push(level.length);
    level = level[0];
  }
  return [...shape, ...toCells(level)?.layout.shape ?? []];
}

/** Cells on the heap. */
interface HeapCells extends ViewParts {
  readonly data: TypedArrayOf<DType, ArrayBuffer>;
}

/** Copies elements to the heap, in C order, as elements of a dtype. */
function onHeap({ dtype, data, layout }: ViewParts, wanted = dtype): HeapCells {
  const target = contiguousLayout(layout.shape);
  const TypedArray = typedArrayOf(wanted);
  // A copy of a typed array is made without filling it with zeros first. (What others stored as bool
  // may have to be made 0 or 1, and the data of an empty view may be anything.)
  if (wanted === dtype && dtype !== "bool" && layout.size > 0 && isContiguous(layout)) {
    const part = elementsAt({ dtype, data }, layout.offset, layout.size);
    return { dtype, data: new TypedArray(part) as HeapCells["data"], layout: target };
  }
  const fresh = new TypedArray(target.size) as HeapCells["data"];
  const copy = { dtype: wanted, data: fresh, layout: target };
  copyElements(copy, { dtype, data, layout });
  return copy;
}

/** The layout of a source's copy on the heap, stretched to the target's shape. */
function rebased(source: ViewParts, target: readonly number[]): Layout {
  return broadcastLayout(contiguousLayout(source.layout.shape), target);
}

/** Memory that several buffers may be over, also in other processes. */
interface SharedBytes {
  /** The same for all buffers over it. */
  readonly identity: unknown;
  /** The name by which others reach it. */
  readonly name: string;
}

/** Tells which memory a buffer is over, where others can be over it, too; `undefined` elsewhere. */
let memoryOf: (buffer: ArrayBufferLike) => SharedBytes | undefined = () => undefined;

/**
 * Says which memory a buffer is over, so that `assign` sees that views of two buffers overlap, and a view can
 * describe itself. The layer that maps memory calls this function, because this layer imports nothing of that
 * one.
 *
 * @param identify gives the memory that a buffer shares with others, `undefined` if it shares none
 */
export function identifyMemoryBy(
  identify: (buffer: ArrayBufferLike) => SharedBytes | undefined,
): void {
  memoryOf = identify;
}

/** Whether two views may touch one byte: in one buffer, or in two that may be over one memory. */
function mayOverlap(a: ViewParts, b: ViewParts): boolean {
  const [one, other] = [a.data.buffer, b.data.buffer];
  // Nothing tells whether two SharedArrayBuffers are over one memory (a Worker sends one back as another
  // object).
  if (one !== other && !(isShared(one) && isShared(other))) {
    const memory = memoryOf(one);
    if (memory === undefined || memory.identity !== memoryOf(other)?.identity) return false;
  }
  const [aFirst, aEnd] = byteRange(a);
  const [bFirst, bEnd] = byteRange(b);
  return aFirst < bEnd && bFirst < aEnd;
}

function byteRange({ data, layout }: ViewParts): [first: number, end: number] {
  const { lowest, highest } = extent(layout);
  const bytes = data.BYTES_PER_ELEMENT;
  return [data.byteOffset + lowest * bytes, data.byteOffset + (highest + 1) * bytes];
}

/** Builds nested arrays of a shape from elements in C order. */
function nest(data: TypedArrayOf, shape: readonly number[]): unknown {
  if (shape.length === 0) return data[0];
  let level: unknown[] = Array.from(data as ArrayLike<unknown>);
  for (let axis = shape.length - 1; axis > 0; axis--) {
    const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
    level = Array.from(
      { length: outer },
      (_, i) => level.slice(i * shape[axis], (i + 1) * shape[axis]),
    );
  }
  return level;
}

function printable(view: View): Parameters<typeof formatArray>[0] {
  return {
    dtype: view.dtype,
    shape: view.shape,
    element: (index) => view.get(...index),
  };
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}
