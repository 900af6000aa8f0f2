/**
 * Strided n-d views over typed arrays, with NumPy's indexing and without any permission.
 *
 * @example A 2-d view and a part of it
 * ```ts
 * import { NDArray } from "@shm/array/ndarray";
 * import { assertEquals } from "@std/assert";
 *
 * const view = new NDArray(new Float64Array(6), { shape: [2, 3] });
 * view.set(1, 2, 7);
 * const lastColumn = view.slice(":", -1);
 * assertEquals(lastColumn.toArray(), [0, 7]);
 * ```
 *
 * @module
 */

import { makeAccessClass } from "./access.ts";
import {
  type Cells,
  copyElements,
  fillElements,
  isOneRun,
  isWide,
  iterateElements,
} from "./bulk.ts";
import {
  type DType,
  type DTypeLike,
  type DTypeOf,
  dtypeOf,
  type ElementOf,
  parseDType,
  type StorableOf,
  type TagOf,
  type TypedArrayOf,
  typedArrayOf,
} from "./dtype.ts";
import { describeArray, formatArray } from "./format.ts";
import {
  broadcastLayout,
  checkLayout,
  contiguousLayout,
  extent,
  isContiguous,
  Layout,
  reshapeLayout,
  sliceLayout,
  transposeLayout,
} from "./layout.ts";
import { resolveIndex, type SliceItem } from "./slice.ts";

export { type Slice, slice, type SliceItem } from "./slice.ts";
export type * from "./dtype.ts";

/** Elements in nested arrays, as `toArray()` gives them; the last level may be typed arrays. */
export type NestedArray<T> = readonly (T | NestedArray<T>)[] | ArrayLike<T>;

/** What {@linkcode NDArray.assign} takes: a number, a typed array, nested arrays or a view. */
export type AssignSource<D extends DType = DType> =
  | StorableOf<D>
  | NestedArray<StorableOf<D>>
  | NDArray<SameKind<D>>;

/** The dtypes whose elements can be stored in `D`: 64-bit integers take bigints, the others numbers. */
export type SameKind<D extends DType> = D extends "int64" | "uint64" ? "int64" | "uint64"
  : D extends "bool" ? DType
  : Exclude<DType, "int64" | "uint64">;

/** The lengths of an array's axes in elements, or one length for a single axis. */
export type Shape = number | readonly number[];

/** How many axes a shape has, as far as the compiler can know: `RankOf<[61, 87]>` is 2. */
export type RankOf<S extends Shape> = S extends readonly number[] ? S["length"] : 1;

/** One index per axis, where the compiler knows the number of axes; else any number of them. */
export type Indices<R extends number> = number extends R ? number[] : IndexTuples[R];

/** Lists of indices by their length. */
export type IndexTuples = {
  [rank: number]: number[];
  0: [];
  1: [i: number];
  2: [i: number, j: number];
  3: [i: number, j: number, k: number];
  4: [i: number, j: number, k: number, l: number];
  5: [i: number, j: number, k: number, l: number, m: number];
  6: [i: number, j: number, k: number, l: number, m: number, n: number];
};

/** How a new view lies in its typed array. */
export interface NDArrayOptions<S extends Shape = Shape> {
  /** The lengths of the axes in elements, or one length; by default all elements from `offset` on. */
  shape?: S;
  /** The distance between neighbours along each axis, in elements; by default C order. */
  stride?: readonly number[];
  /** The position of the first element in `data`, in elements; by default 0. */
  offset?: number;
}

/**
 * A strided n-d view over a typed array, as NumPy's `ndarray` is one over a buffer. It owns nothing:
 * views of one array share its elements, and making one copies none.
 *
 * A view of an array in shared memory is valid until its owner is closed. After that every method
 * throws `Deno.errors.BadResource`, as `data.buffer.detached` tells.
 *
 * Elements are converted when they are stored as typed arrays do it (an `int8` wraps around, a
 * `uint8c` clamps), but a value of another kind (a string, a bigint for a number) is a `TypeError`.
 *
 * Where the compiler knows the number of axes (`R`), it checks the number of indices.
 *
 * The fields and the getters are those of npm `ndarray`, whose operations take a view as it is.
 *
 * @example Look at one row from both ends
 * ```ts
 * import { NDArray, slice } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * const view = new NDArray(Int16Array.of(1, 2, 3, 4, 5, 6), { shape: [2, 3] });
 * const row = view.slice(0, slice(null, null, -1));
 * assertEquals([...row], [3, 2, 1]);
 * row.set(0, 9);
 * assertEquals(view.get(0, 2), 9);
 * ```
 *
 * @see {@link https://numpy.org/doc/stable/reference/arrays.ndarray.html | NumPy: ndarray}
 */
export interface NDArray<D extends DType = DType, R extends number = number> {
  /** The typed array that holds the elements; shared with every other view of it, never copied. */
  readonly data: TypedArrayOf<D>;
  /** The length of each axis in elements, outermost first; frozen. */
  readonly shape: readonly number[];
  /** The distance from one element to the next along each axis, in elements; frozen. */
  readonly stride: readonly number[];
  /** The position of element `[0, 0, …]` in `data`, in elements. */
  readonly offset: number;
  /** The canonical name of the element type. */
  readonly dtype: D;
  /** The number of elements: the product of `shape`, 1 for 0-d. */
  readonly size: number;
  /** The number of axes. */
  readonly ndim: number;
  /** The number of axes, as npm `ndarray` calls it. */
  readonly dimension: number;
  /** The axes from the smallest stride to the largest, as npm `ndarray` gives them. */
  readonly order: number[];

  /**
   * Reads one element.
   *
   * @param indices one integer per axis; negative ones count from the end
   * @returns the element; of a `bool` view 0 or 1
   * @throws {TypeError} if an index is no number
   * @throws {RangeError} if an index is out of bounds or fractional, or there are not `ndim` of them
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Read from the end
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Float32Array.of(1, 2, 3, 4), { shape: [2, 2] });
   * assertEquals(view.get(-1, 0), 3);
   * ```
   */
  get(...indices: Indices<R>): ElementOf<D>;

  /**
   * Stores one element.
   *
   * @param args one integer per axis, negative ones counting from the end, and the value
   * @throws {TypeError} if an index or the value is of the wrong kind
   * @throws {RangeError} if an index is out of bounds or fractional, or there are not `ndim` of them
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Store a bigint in an int64 view
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(new BigInt64Array(4), { shape: [2, 2] });
   * view.set(1, 0, 2n ** 60n);
   * assertEquals(view.data[2], 2n ** 60n);
   * ```
   */
  set(...args: [...indices: Indices<R>, value: StorableOf<D>]): void;

  /**
   * Tells where an element lies in `data`: what `Atomics` and other libraries want to know.
   *
   * @param indices one integer per axis; negative ones count from the end
   * @returns the position in `data`, in elements
   * @throws {TypeError} if an index is no number
   * @throws {RangeError} if an index is out of bounds or fractional, or there are not `ndim` of them
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Count atomically in one cell
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const counters = new NDArray(new Int32Array(6), { shape: [2, 3] });
   * Atomics.add(counters.data, counters.index(1, -1), 5);
   * assertEquals(counters.get(1, 2), 5);
   * ```
   */
  index(...indices: Indices<R>): number;

  /**
   * Makes a view of a part, by NumPy's rules of basic indexing.
   *
   * @param items one item per axis: an integer drops the axis; `slice(start, stop, step)` or a text
   * such as `"0:10"` or `"::-1"` takes a range, clamped to the axis; `null` or `":"` takes all of it;
   * `"..."` stands for all axes that are not named
   * @returns a view that shares the elements
   * @throws {TypeError} if an item is of the wrong kind
   * @throws {RangeError} if an integer is out of bounds, a text cannot be read, a step is 0, or there
   * are more items than axes
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Every second row, columns in reverse
   * ```ts
   * import { NDArray, slice } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), { shape: [4, 2] });
   * assertEquals(view.slice("::2", slice(null, null, -1)).toArray(), [[2, 1], [6, 5]]);
   * assertEquals(view.slice("...", 0).shape, [4]);
   * ```
   *
   * @see {@link https://numpy.org/doc/stable/user/basics.indexing.html#basic-indexing | NumPy: basic indexing}
   */
  slice(...items: SliceItem[]): NDArray<D>;

  /**
   * Gives the elements of a contiguous view as a typed array over the same memory, without a copy:
   * how a worker gets full speed on its rows.
   *
   * @returns a typed array of `size` elements that shares the memory
   * @throws {RangeError} if the view is not contiguous
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Rows as a plain typed array
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(new Float64Array(12), { shape: [4, 3] });
   * view.slice("1:3").subarray().fill(7);
   * assertEquals(view.get(2, 2), 7);
   * ```
   */
  subarray(): TypedArrayOf<D>;

  /**
   * Stores one value in every element.
   *
   * @param value the value; a `bool` view stores its truth
   * @returns this view
   * @throws {TypeError} if the value is of the wrong kind
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Clear one column
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Int8Array.of(1, 2, 3, 4), { shape: [2, 2] });
   * view.slice(":", 0).fill(0);
   * assertEquals(view.toArray(), [[0, 2], [0, 4]]);
   * ```
   */
  fill(value: StorableOf<D>): this;

  /**
   * Copies elements into this view, broadcast to its shape by NumPy's rules. Source and target may
   * overlap, also through two attachments of one segment: the source's old elements are what is
   * stored. Nothing is stored if the source is refused.
   *
   * @param source a number, a typed array (one axis), nested arrays, or a view
   * @returns this view
   * @throws {TypeError} if the source or an element of it is of the wrong kind
   * @throws {RangeError} if the shapes do not fit, or nested arrays are ragged
   * @throws {Deno.errors.BadResource} if the memory of this view or the source is gone
   *
   * @example Rows from one row, and a shift by one
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(new Float32Array(6), { shape: [2, 3] });
   * view.assign([1, 2, 3]);
   * view.slice(0, "1:").assign(view.slice(0, ":-1"));
   * assertEquals(view.toArray(), [[1, 1, 2], [1, 2, 3]]);
   * ```
   *
   * @see {@link https://numpy.org/doc/stable/user/basics.broadcasting.html | NumPy: broadcasting}
   */
  assign(source: AssignSource<D>): this;

  /**
   * Copies the elements, in C order, to the heap.
   *
   * @returns a typed array of `size` elements that shares nothing
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Keep the values beyond close()
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Uint16Array.of(1, 2, 3, 4), { shape: [2, 2] });
   * assertEquals(view.transpose().copy(), Uint16Array.of(1, 3, 2, 4));
   * ```
   */
  copy(): TypedArrayOf<D>;

  /**
   * Copies the elements into nested arrays, as NumPy's `tolist()` does.
   *
   * @returns arrays nested `ndim` deep; of a 0-d view the element itself
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Nested arrays
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Uint8Array.of(1, 2, 3, 4), { shape: [2, 2] });
   * assertEquals(view.toArray(), [[1, 2], [3, 4]]);
   * ```
   */
  // deno-lint-ignore no-explicit-any -- the depth is not known to the compiler
  toArray(): any;

  /**
   * Makes a view of the same elements in another shape.
   *
   * @param shape the new lengths, as arguments or as one array; one may be -1 and is computed
   * @returns a view that shares the elements
   * @throws {TypeError} if a length is no number
   * @throws {RangeError} if the sizes differ, or the view is not contiguous (it is never copied)
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example From one axis to two
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Int32Array.of(1, 2, 3, 4, 5, 6));
   * assertEquals(view.reshape(2, -1).shape, [2, 3]);
   * ```
   */
  reshape(...shape: number[] | [shape: readonly number[]]): NDArray<D>;

  /**
   * Makes a view with the axes permuted.
   *
   * @param axes which axis each new one is, as arguments or as one array, negative ones counting from
   * the end; without any, the axes are reversed
   * @returns a view that shares the elements
   * @throws {TypeError} if an axis is no number
   * @throws {RangeError} if the axes are no permutation
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Bands first
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const rgb = new NDArray(new Uint8Array(24), { shape: [2, 4, 3] });
   * assertEquals(rgb.transpose(2, 0, 1).shape, [3, 2, 4]);
   * ```
   */
  transpose(...axes: number[] | [axes: readonly number[]]): NDArray<D, R>;

  /**
   * Tells whether the elements lie side by side in C order: NumPy's `flags.c_contiguous`.
   *
   * @returns whether `subarray()` and `reshape()` can serve
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Rows are, columns are not
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assert, assertFalse } from "@std/assert";
   *
   * const view = new NDArray(new Float64Array(6), { shape: [2, 3] });
   * assert(view.slice(0).isContiguous());
   * assertFalse(view.slice(":", 0).isContiguous());
   * ```
   */
  isContiguous(): boolean;

  /**
   * Prints the elements as NumPy's `str()` does; of more than 1000 only those at the edges.
   *
   * @returns the text, without the dtype
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Print an array
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Float64Array.of(1, 2.5, -3, 4), { shape: [2, 2] });
   * assertEquals(String(view), "[[ 1.   2.5]\n [-3.   4. ]]");
   * ```
   */
  toString(): string;

  /**
   * Goes through the elements in C order, innermost axis fastest (NumPy's `flat`).
   *
   * @returns an iterator over the elements
   * @throws {Deno.errors.BadResource} if the memory is gone, or goes in the middle
   */
  [Symbol.iterator](): IteratorObject<ElementOf<D>, undefined>;
}

/** Makes views, and tells them by `instanceof`. */
export interface NDArrayConstructor {
  /**
   * Makes a view over a typed array. The array is shared, not copied.
   *
   * @param data the typed array
   * @param options shape, stride and offset in elements; `dtype` is needed only to make a
   * `Uint8Array` a `bool` view
   * @throws {TypeError} if an argument is of the wrong kind, or `dtype` does not fit `data`
   * @throws {RangeError} if an element would lie outside `data`
   * @throws {Deno.errors.BadResource} if the memory of `data` is gone
   */
  new <
    const A extends TypedArrayOf,
    const T extends DTypeLike = TagOf<A>,
    const S extends Shape = number,
  >(
    data: A,
    options?: NDArrayOptions<S> & { dtype?: T },
  ): NDArray<DTypeOf<T>, RankOf<S>>;
  /** The prototype of all views. */
  readonly prototype: NDArray;
}

/** The symbol under which a mapping's buffer carries the name of its segment. */
const SEGMENT = Symbol.for("@shm/array.segment");

class View {
  declare readonly data: TypedArrayOf;
  declare readonly shape: readonly number[];
  declare readonly stride: readonly number[];
  declare readonly offset: number;
  declare readonly dtype: DType;
  declare readonly size: number;
  declare readonly ndim: number;

  /** Users give options, which are checked; this package gives a layout that is known to be right. */
  constructor(data: TypedArrayOf, described: ViewOptions | Layout = {}, dtype?: DType) {
    const trusted = described instanceof Layout && dtype !== undefined;
    const options = trusted ? {} : ownOptions(described as ViewOptions);
    const type = trusted ? dtype : checkDType(data, options.dtype);
    const layout = trusted ? described : checkLayout(data.length, options);
    this.data = data;
    this.shape = layout.shape;
    this.stride = layout.stride;
    this.offset = layout.offset;
    this.dtype = type;
    this.size = layout.size;
    this.ndim = layout.shape.length;
    if (new.target === View) return makeView(data, layout, type);
  }

  get dimension(): number {
    return this.ndim;
  }

  get order(): number[] {
    const size = this.stride.map(Math.abs);
    return size.map((_, axis) => axis).sort((a, b) => size[a] - size[b]);
  }

  // The general accessors: right for every rank, position and argument. The classes that
  // makeAccessClass() makes come here with whatever they cannot serve.

  get(...indices: number[]): number | bigint {
    const value = this.data[this.index(...indices)];
    return this.dtype === "bool" ? (value ? 1 : 0) : value;
  }

  set(...args: unknown[]): void {
    // Without any argument not even the value is there: index() refuses that of every view but a 0-d one.
    if (args.length === 0 && this.ndim === 0) {
      throw new TypeError("Cannot store undefined: no value is given");
    }
    const indices = args.slice(0, -1) as number[];
    const position = this.index(...indices);
    (this.data as { [position: number]: unknown })[position] = toStorable(this.dtype, args.at(-1));
  }

  index(...indices: number[]): number {
    checkAlive(this);
    if (indices.length !== this.ndim) {
      throw new RangeError(
        `Cannot reach an element: ${count(indices.length, "index", "indices")} for an array of ` +
          count(this.ndim, "axis", "axes") +
          (Array.isArray(indices[0]) ? "; write get(0, 1), not get([0, 1])" : ""),
      );
    }
    let position = this.offset;
    for (let axis = 0; axis < indices.length; axis++) {
      const index: unknown = indices[axis];
      if (typeof index !== "number") {
        throw new TypeError(
          `Cannot reach an element: the index of axis ${axis} must be an integer, not ${
            kindOf(index)
          }`,
        );
      }
      if (!Number.isInteger(index)) {
        throw new RangeError(
          `Cannot reach an element: the index of axis ${axis} must be an integer, not ${index}`,
        );
      }
      position += resolveIndex(index, this.shape[axis], axis) * this.stride[axis];
    }
    return position;
  }

  slice(...items: SliceItem[]): View {
    checkAttached(this);
    return derive(this, sliceLayout(this, items));
  }

  transpose(...axes: (number | readonly number[])[]): View {
    checkAttached(this);
    return derive(this, transposeLayout(this, axes.length === 0 ? undefined : spread(axes)));
  }

  reshape(...shape: (number | readonly number[])[]): View {
    checkAttached(this);
    return derive(this, reshapeLayout(this, spread(shape)));
  }

  isContiguous(): boolean {
    checkAttached(this);
    return isContiguous(this);
  }

  subarray(): TypedArrayOf {
    checkAlive(this);
    if (!isContiguous(this)) {
      throw new RangeError(
        "Cannot give a subarray: the view is not contiguous; copy() gives its elements as a copy",
      );
    }
    return this.data.subarray(this.offset, this.offset + this.size);
  }

  fill(value: unknown): this {
    checkAlive(this);
    fillElements(cellsOf(this), toStorable(this.dtype, value));
    return this;
  }

  assign(source: unknown): this {
    checkAlive(this);
    const target = cellsOf(this);
    const cells = toCells(source, this.dtype);
    if (cells === null) {
      fillElements(target, toStorable(this.dtype, source));
      return this;
    }
    checkAlive(this); // reading nested arrays may have run a getter that took the memory away
    const layout = broadcastLayout(cells.layout, this.shape);
    if (this.size === 0) return this;
    const stretched = { ...cells, layout };
    // Where the two may overlap, the elements are first copied, unless that is a single move.
    const safe = !mayOverlap(target, cells) ||
      (target.data.buffer === cells.data.buffer && isOneRun(target, stretched));
    copyElements(
      target,
      safe ? stretched : { ...onHeap(cells), layout: rebased(cells, this.shape) },
    );
    return this;
  }

  copy(): TypedArrayOf {
    checkAlive(this);
    return onHeap(cellsOf(this)).data;
  }

  toArray(): unknown {
    checkAlive(this);
    return nest(onHeap(cellsOf(this)).data, this.shape);
  }

  [Symbol.iterator](): IteratorObject<number | bigint, undefined> {
    checkAlive(this);
    return iterateElements(cellsOf(this), () => {
      checkAlive(this);
      throw new Deno.errors.BadResource(GONE);
    });
  }

  toString(): string {
    checkAlive(this);
    return formatArray(printable(this));
  }

  /** What `console.log` shows; it never throws, so that a closed array can be looked at, too. */
  [Symbol.for("Deno.customInspect")](): string {
    return isDetached(this.data) || isCut(this)
      ? `NDArray(closed, shape=[${this.shape.join(", ")}], dtype=${this.dtype})`
      : describeArray(printable(this), "NDArray");
  }
}
Object.defineProperty(View, "name", { value: "NDArray" });

/** Makes views over typed arrays: see {@linkcode NDArrayConstructor}. */
export const NDArray: NDArrayConstructor = View as unknown as NDArrayConstructor;

// --- Making views ----------------------------------------------------------------------------

type ViewOptions = NDArrayOptions & { dtype?: DTypeLike };

/**
 * Copies the options that are the object's own: what hangs on `Object.prototype` is none. Whatever else
 * it has is not looked at, so that npm `ndarray`s can be given.
 */
function ownOptions(options: ViewOptions): ViewOptions {
  if (options === null || typeof options !== "object") {
    throw new TypeError(`Cannot make a view: options must be an object, not ${kindOf(options)}`);
  }
  const own: ViewOptions = Object.create(null);
  for (const key of ["shape", "stride", "offset", "dtype"] as const) {
    if (Object.hasOwn(options, key)) Object.assign(own, { [key]: options[key] });
  }
  return own;
}

/** Checks that `data` can be viewed as elements of `like`, and tells the dtype. */
function checkDType(data: TypedArrayOf, like: DTypeLike | undefined): DType {
  const own = dtypeOf(data);
  if (own === null) {
    throw new TypeError(`Cannot make a view: data must be a typed array, not ${kindOf(data)}`);
  }
  const dtype = like === undefined ? own : parseDType(like);
  if (dtype !== own && !(dtype === "bool" && own === "uint8")) {
    throw new TypeError(`Cannot make a view: data holds ${own}, not ${dtype}`);
  }
  if (isDetached(data)) throw new Deno.errors.BadResource(GONE);
  return dtype;
}

type ViewClass = new (data: TypedArrayOf, layout: Layout, dtype: DType) => View;

/** The classes of views by dtype and rank, made at first use. */
const classes: { [D in DType]?: (ViewClass | undefined)[] } = {};

/** Views whose positions are beyond what makeAccessClass() serves. */
class WideView extends View {}
Object.defineProperty(WideView.prototype, "constructor", { value: View });

function makeView(data: TypedArrayOf, layout: Layout, dtype: DType, wide = isWide(layout)): View {
  if (wide) return new WideView(data, layout, dtype);
  const rank = layout.shape.length;
  const ofDtype = classes[dtype] ??= [];
  const ViewClass = ofDtype[rank] ??= makeViewClass(dtype, rank);
  return new ViewClass(data, layout, dtype);
}

function makeViewClass(dtype: DType, rank: number): ViewClass {
  const ViewClass = (makeAccessClass(View, dtype, rank) ?? class extends View {}) as ViewClass;
  Object.defineProperty(ViewClass.prototype, "constructor", { value: View });
  return ViewClass;
}

/** Makes a view of some of a view's elements, in another arrangement. */
function derive(view: View, layout: Layout): View {
  // A part of what lies within 2^31 positions lies within them, too.
  return makeView(view.data, layout, view.dtype, view instanceof WideView && isWide(layout));
}

/** Arguments that may come as one array. */
function spread(args: readonly (number | readonly number[])[]): readonly number[] {
  return args.length === 1 && Array.isArray(args[0]) ? args[0] : args as readonly number[];
}

// --- Elements --------------------------------------------------------------------------------

const GONE = "Cannot use this array: its memory is gone; it was closed, or its buffer transferred";

function isDetached(data: TypedArrayOf): boolean {
  return (data.buffer as ArrayBuffer).detached === true;
}

/** Throws if the memory is gone. An empty view of live memory is a valid one. */
function checkAttached(view: View): void {
  if (isDetached(view.data)) throw new Deno.errors.BadResource(GONE);
}

/** Throws if elements cannot be reached. */
function checkAlive(view: View): void {
  checkAttached(view);
  if (isCut(view)) {
    throw new RangeError(`Cannot use this array: its data shrank to ${view.data.length} elements`);
  }
}

/** Whether elements are missing: shared memory never shrinks, but a user's resizable buffer may. */
function isCut(view: View): boolean {
  return extent(view).highest >= view.data.length;
}

function cellsOf(view: View): Cells {
  return { dtype: view.dtype, data: view.data, layout: view };
}

/** Checks that a value is of a dtype's kind; for `bool`, takes its truth. */
function toStorable(dtype: DType, value: unknown): number | bigint {
  if (dtype === "bool") return value ? 1 : 0;
  const fits = isBig(dtype) ? typeof value === "bigint" : typeof value === "number";
  if (!fits) {
    throw new TypeError(
      `Cannot store ${kindOf(value)} in ${dtype}: its elements are ` +
        (isBig(dtype) ? "bigints" : "numbers") +
        (typeof value === "bigint"
          ? "; Number(value) converts"
          : typeof value === "number"
          ? "; BigInt(value) converts"
          : ""),
    );
  }
  return value as number | bigint;
}

function isBig(dtype: DType): boolean {
  return dtype === "int64" || dtype === "uint64";
}

/** The elements that a source of `assign` has; `null` if it is a single value. */
function toCells(source: unknown, target: DType): Cells | null {
  if (source instanceof View) {
    checkAlive(source);
    return sameKind(cellsOf(source), target);
  }
  const dtype = dtypeOf(source);
  if (dtype !== null) {
    const data = source as TypedArrayOf;
    if (isDetached(data)) throw new Deno.errors.BadResource(GONE);
    return sameKind({ dtype, data, layout: contiguousLayout([data.length]) }, target);
  }
  return Array.isArray(source) ? fromNested(source, target) : null;
}

function sameKind(source: Cells, target: DType): Cells {
  if (target !== "bool" && isBig(source.dtype) !== isBig(target)) {
    throw new TypeError(
      `Cannot assign ${source.dtype} to ${target}: ` +
        (isBig(target) ? "numbers do not become bigints" : "bigints do not become numbers") +
        " by themselves; convert the elements first",
    );
  }
  return source;
}

/** Deeper than NumPy's arrays can be: an array that contains itself ends here. */
const MAX_DEPTH = 64;

/** Copies nested arrays into a typed array of the target's dtype, so that all is checked first. */
function fromNested(source: readonly unknown[], dtype: DType): Cells {
  const shape: number[] = [];
  for (let level: unknown = source; isList(level); level = level[0]) {
    if (shape.length === MAX_DEPTH) {
      throw new RangeError(`Cannot assign: the arrays are nested more than ${MAX_DEPTH} deep`);
    }
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const layout = contiguousLayout(shape);
  const data = new (typedArrayOf(dtype))(layout.size);
  let position = 0;
  const visit = (value: unknown, depth: number): void => {
    if (depth === shape.length && !isList(value)) {
      (data as { [position: number]: unknown })[position++] = toStorable(dtype, value);
      return;
    }
    if (!isList(value) || value.length !== shape[depth]) {
      throw new RangeError(
        `Cannot assign: the arrays are ragged; at depth ${depth} one has ` +
          (isList(value) ? `length ${value.length}` : "a single element") +
          (depth < shape.length
            ? `, the first has length ${shape[depth]}`
            : ", the first has none"),
      );
    }
    for (let i = 0; i < value.length; i++) visit(value[i], depth + 1);
  };
  visit(source, 0);
  return { dtype, data, layout };
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || dtypeOf(value) !== null;
}

/** Copies elements to the heap, in C order. */
function onHeap(cells: Cells): Cells {
  const layout = contiguousLayout(cells.layout.shape);
  const copy = { dtype: cells.dtype, data: new (typedArrayOf(cells.dtype))(layout.size), layout };
  copyElements(copy, cells);
  return copy;
}

/** The layout of a source's copy on the heap, stretched to the target's shape. */
function rebased(source: Cells, target: readonly number[]): Layout {
  return broadcastLayout(contiguousLayout(source.layout.shape), target);
}

/** Whether two views may touch one byte: in one buffer, or through two mappings of one segment. */
function mayOverlap(a: Cells, b: Cells): boolean {
  if (a.data.buffer !== b.data.buffer) {
    const segment = segmentOf(a.data);
    if (segment === undefined || segment !== segmentOf(b.data)) return false;
  }
  const [aFirst, aEnd] = byteRange(a);
  const [bFirst, bEnd] = byteRange(b);
  return aFirst < bEnd && bFirst < aEnd;
}

function segmentOf(data: TypedArrayOf): unknown {
  return (data.buffer as { [SEGMENT]?: unknown })[SEGMENT];
}

function byteRange({ data, layout }: Cells): [first: number, end: number] {
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

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return `a ${typeof value}`;
}
