/**
 * Strided n-d views over typed arrays, with NumPy's indexing. They need no permission, and work in every
 * runtime, browsers included.
 *
 * {@linkcode NDArray} is the view: elements by `get` and `set`, parts by {@linkcode NDArray.slice}, loops over
 * `subarray()` or `rows()`, NumPy's `astype`, `T`, `reshape` and `broadcastTo`. {@linkcode slice} is a range of
 * indices; a text such as `"1:3"` does as well. The element types are those of `@shm/array/dtype`. Arrays in
 * shared memory, `SharedMemoryArray` of `@shm/array`, have such views.
 *
 * @example A 2-d view and a part of it
 * ```ts
 * import { NDArray } from "@shm/array/ndarray";
 *
 * const view = new NDArray(new Float64Array(6), { shape: [2, 3] });
 * view.set(1, 2, 7);
 * const lastColumn = view.slice(":", -1);
 * console.log(String(view)); // [[0. 0. 0.] [0. 0. 7.]]
 * console.log(String(lastColumn)); // [0. 7.]
 * ```
 *
 * @module
 */

import type {
  DType,
  DTypeLike,
  DTypeOf,
  ElementOf,
  StorableOf,
  TagOf,
  TypedArrayOf,
} from "../dtype.ts";
import { markClass } from "../check.ts";
import type { SliceItem } from "./slice.ts";
import { View } from "./view.ts";

export { type Slice, slice, type SliceItem } from "./slice.ts";
export type * from "../dtype.ts";

/**
 * Elements in nested arrays, as `toArray()` gives them; the last level may be typed arrays.
 *
 * @template T what the elements are
 */
export type NestedArray<T> = readonly (T | NestedArray<T>)[] | ArrayLike<T>;

/**
 * A source whose elements {@linkcode NDArray.assign} converts: a typed array, a view, or an npm `ndarray`.
 *
 * @internal
 */
export type ElementSource =
  | TypedArrayOf
  | NDArray<DType, number, ArrayBufferLike>
  | {
    /** The typed array that holds the elements. */
    readonly data: TypedArrayOf;
    /** The lengths of the axes in elements. */
    readonly shape: readonly number[];
    /** The distance between neighbours along each axis, in elements. */
    readonly stride: readonly number[];
    /** The position of the first element in `data`, in elements; by default 0. */
    readonly offset?: number;
  };

/**
 * A source that {@linkcode NDArray.assign} takes: one element, or elements of any dtype; also nested arrays of
 * elements, typed arrays or views.
 *
 * @template D the element type, by its canonical name
 */
export type AssignSource<D extends DType = DType> =
  | StorableOf<D>
  | boolean
  | ElementSource
  | NestedArray<StorableOf<D> | boolean | ElementSource>;

/** The lengths of an array's axes in elements, or one length for a single axis. */
export type Shape = number | readonly number[];

/**
 * How many axes a shape has, as far as the compiler can know: `RankOf<[61, 87]>` is 2.
 *
 * @internal
 */
export type RankOf<S extends Shape> = S extends readonly number[] ? S["length"] : 1;

/**
 * One index per axis, where the compiler knows the number of axes; else any number of them.
 *
 * @template R the number of axes
 */
export type Indices<R extends number> = number extends R ? number[] : IndexTuples[R];

/**
 * Lists of indices by their length.
 *
 * @internal
 */
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

/**
 * How many axes a row of a view of `R` axes has: one less.
 *
 * @internal
 */
export type RowRank<R extends number> = number extends R ? number
  : IndexTuples[R] extends [number, ...infer Rest] ? Rest["length"]
  : number;

/**
 * The buffer that a typed array is known to be over. Where its type does not say which one
 * (`Float32Array` without a parameter), this is an `ArrayBuffer`, as nearly all are.
 *
 * @internal
 */
export type BufferOf<A> = A extends { readonly buffer: infer B extends ArrayBufferLike }
  ? (ArrayBufferLike extends B ? ArrayBuffer : B)
  : ArrayBuffer;

/**
 * How a new view lies in its typed array.
 *
 * @template S the shape; where it is a tuple, the compiler knows the number of axes
 */
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
 * A view of an array in shared memory is valid until its owner is closed. After that every method throws
 * `Deno.errors.BadResource`, and `data.buffer.detached` is true.
 *
 * Elements are converted when they are stored as typed arrays do it (an `int8` wraps around, a
 * `uint8c` clamps), but a value of another kind (a string, a bigint for a number) is a `TypeError`.
 *
 * Where the compiler knows the number of axes (`R`), it checks the number of indices. Arrays in shared
 * memory are over an `ArrayBuffer` (`B`), so that files and responses take their `subarray()`; a view over
 * what JavaScript calls a `SharedArrayBuffer` is an `NDArray<"int32", number, SharedArrayBuffer>`.
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
 * @template D the element type, by its canonical name
 * @template R the number of axes; `number` where the compiler does not know it
 * @template B what the elements lie in: an `ArrayBuffer`, or a `SharedArrayBuffer`
 *
 * @see {@link https://numpy.org/doc/stable/reference/arrays.ndarray.html | NumPy: ndarray}
 */
export interface NDArray<
  D extends DType = DType,
  R extends number = number,
  B extends ArrayBufferLike = ArrayBuffer,
> {
  /** The typed array that holds the elements; shared with every other view of it, never copied. */
  readonly data: TypedArrayOf<D, B>;
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
  /** The size of one element in bytes. */
  readonly itemsize: number;
  /** The size of all elements in bytes, `size * itemsize`: so much memory a copy takes. */
  readonly nbytes: number;
  /** A view with the axes reversed: `transpose()`. It throws `Deno.errors.BadResource` if the memory is gone. */
  readonly T: NDArray<D, R, B>;

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
   * Gives the position of an element in `data`, which `Atomics` and other libraries ask for.
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
   * @param items one item per axis: an integer drops the axis; `slice(start, stop, step)` or a text such as
   * `"0:10"` or `"::-1"` takes a range, clamped to the axis; `null` or `":"` takes all of it; `"..."` stands
   * for all axes that are not named; `"newaxis"` stands for no axis, but adds one of length 1
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
   * assertEquals(view.slice(":", "newaxis").shape, [4, 1, 2]);
   * ```
   *
   * @see {@link https://numpy.org/doc/stable/user/basics.indexing.html#basic-indexing | NumPy: basic indexing}
   */
  slice(...items: SliceItem[]): NDArray<D, number, B>;

  /**
   * Gives the elements of a contiguous view as a typed array over the same memory, without a copy. So a worker
   * gets full speed on its rows. (`view.data` is all of the memory, also that of other rows.)
   *
   * @param begin the first element, counted in C order, as `subarray()` of a typed array takes it; by default 0
   * @param end the element before which it ends; by default `size`
   * @returns a typed array that shares the memory, of `size` elements where no bounds are given
   * @throws {TypeError} if a bound is no number
   * @throws {RangeError} if the view is not contiguous, or a bound is no integer
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
  subarray(begin?: number, end?: number): TypedArrayOf<D, B>;

  /**
   * Stores one value in every element.
   *
   * @param value the value; a `bool` view stores its truth, and NaN is true, as in NumPy
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
   * Copies elements into this view, broadcast to its shape by NumPy's rules. Source and target may overlap,
   * also through two attachments of one segment: what is stored are the elements that the source had before the
   * call. Nothing is stored if the source is refused.
   *
   * Elements of typed arrays and views are converted as {@linkcode NDArray.astype} does it. Single values,
   * also those in nested arrays, are of the dtype's kind: a number for a 64-bit integer is a `TypeError`, as
   * it is for `set()`. Only booleans become numbers: 0 and 1.
   *
   * @param source a number, a bigint or a boolean; a typed array (one axis); a view, or what has `data`
   * (a typed array), `shape`, `stride` and `offset` as an npm `ndarray` has; or nested arrays of all these
   * @returns this view
   * @throws {TypeError} if a single value is of the wrong kind, or the source is none of these
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
   * @example Stack two rows of another dtype
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const row = new NDArray(BigInt64Array.of(1n, 2n));
   * const view = new NDArray(new Float32Array(4), { shape: [2, 2] });
   * view.assign([row, row.slice("::-1")]);
   * assertEquals(view.toArray(), [[1, 2], [2, 1]]);
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
  copy(): TypedArrayOf<D, ArrayBuffer>;

  /**
   * Copies the elements, in C order, into a typed array that the caller keeps. In a loop this takes a half of the time
   * or less: memory that is new must first be given by the system, page by page.
   *
   * @param options the typed array that takes the elements: one of `size` elements of this dtype (`Uint8Array`
   * for `bool`). It may be over the view's own memory.
   * @returns that typed array
   * @throws {TypeError} if `into` is no typed array, or one of another dtype, or there is another option
   * @throws {RangeError} if it has not `size` elements
   * @throws {Deno.errors.BadResource} if the memory of the view or of the typed array is gone
   *
   * @example One buffer for all frames
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const frames = new NDArray(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), { shape: [2, 2, 2] });
   * const buffer = new Float32Array(4);
   * for (const frame of frames.rows()) frame.T.copy({ into: buffer });
   * assertEquals(buffer, Float32Array.of(5, 7, 6, 8));
   * ```
   */
  copy<T extends ArrayBufferLike>(options: {
    /** The typed array that takes the elements. */
    into: TypedArrayOf<D, T>;
  }): TypedArrayOf<D, T>;

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
   * Copies the elements to the heap as elements of another dtype.
   *
   * Numbers become elements of smaller dtypes as typed arrays do it: integers wrap around, `uint8c` rounds and
   * clamps, floats are rounded. A fraction is cut off on the way to an integer. All but 0 is true in `bool`,
   * NaN, too. All this is as in NumPy's `astype()`. Two cases that C leaves undefined are defined here: NaN and
   * the infinities become 0 in an integer, and numbers that are too large for it wrap around.
   *
   * @param dtype the dtype of the copy, in any accepted spelling
   * @returns a view in C order that shares nothing
   * @throws {TypeError} if the dtype is none
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example NumPy's default integers as numbers
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const counts = new NDArray(BigInt64Array.of(3n, -4n));
   * assertEquals(counts.astype("float64").toArray(), [3, -4]);
   * assertEquals(new NDArray(Float64Array.of(2.7, -2.7)).astype("int64").toArray(), [2n, -2n]);
   * ```
   *
   * @see {@link https://numpy.org/doc/stable/reference/generated/numpy.ndarray.astype.html | NumPy: astype}
   */
  astype<const T extends DTypeLike>(dtype: T): NDArray<DTypeOf<T>, R>;

  /**
   * Makes a view of the same elements, in C order, in another shape. It works wherever NumPy needs no copy:
   * also in a view that is not contiguous, axes of length 1 can be added and removed, axes can be split, and
   * axes that follow each other without a gap can be merged.
   *
   * @param shape the new lengths, as arguments or as one array; one may be -1 and is computed
   * @returns a view that shares the elements
   * @throws {TypeError} if a length is no number
   * @throws {RangeError} if the sizes differ, or the elements would have to be copied
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
   *
   * @see {@link https://numpy.org/doc/stable/reference/generated/numpy.reshape.html | NumPy: reshape}
   */
  reshape(...shape: number[] | [shape: readonly number[]]): NDArray<D, number, B>;

  /**
   * Makes a view that repeats the elements to fill a larger shape, by NumPy's rules of broadcasting: axes of
   * length 1 are stretched, and axes are added in front, with stride 0.
   *
   * Several positions of the result are one element. NumPy's result is therefore read-only. Here a write
   * through any of these positions changes that one element; of several values that `assign()` stores in it,
   * the last one stays.
   *
   * @param shape the lengths, as arguments or as one array
   * @returns a view that shares the elements
   * @throws {TypeError} if a length is no number
   * @throws {RangeError} if the shape does not fit
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example One row, seen four times
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const row = new NDArray(Float32Array.of(1, 2, 3));
   * const rows = row.broadcastTo(4, 3);
   * assertEquals(rows.stride, [0, 1]);
   * assertEquals(rows.get(3, 2), 3);
   * ```
   *
   * @see {@link https://numpy.org/doc/stable/reference/generated/numpy.broadcast_to.html | NumPy: broadcast_to}
   */
  broadcastTo(...shape: number[] | [shape: readonly number[]]): NDArray<D, number, B>;

  /**
   * Goes through the views along the first axis, as Python does when it iterates over an array.
   *
   * @returns an iterator over views of one axis less, which share the elements
   * @throws {RangeError} if the view is 0-d
   * @throws {Deno.errors.BadResource} if the memory is gone, or goes in the middle
   *
   * @example The largest element of each row
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Int16Array.of(4, 7, 9, 1), { shape: [2, 2] });
   * assertEquals([...view.rows().map((row) => Math.max(...row))], [7, 9]);
   * ```
   */
  rows(): IteratorObject<NDArray<D, RowRank<R>, B>, undefined>;

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
  transpose(...axes: number[] | [axes: readonly number[]]): NDArray<D, R, B>;

  /**
   * Tells whether the elements lie side by side in C order: NumPy's `flags.c_contiguous`.
   *
   * @returns whether `subarray()` can serve
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
   * Describes the view for `JSON.stringify()`. A view of shared memory gives `shape`, `dtype`, `name`,
   * `arraySlice` (`null`) and `layout`: the same keys as the JSON of a `SharedMemoryArray`, whose `from()`
   * makes an instance of them. Its elements stay where they are, and are shared. (A copy-on-write view
   * describes the shared memory, without what was written privately.) Any other view gives
   * `toArray()`, a copy of its elements; of `int64` and `uint64` these are bigints, which
   * `JSON.stringify()` refuses by a `TypeError`, as it does everywhere.
   *
   * `postMessage` and `structuredClone` do not call this method: they copy the whole of `data`.
   *
   * @returns a description, or nested arrays
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Elements on the heap travel as numbers
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const view = new NDArray(Uint8Array.of(1, 2, 3, 4), { shape: [2, 2] });
   * assertEquals(JSON.stringify({ view }), '{"view":[[1,2],[3,4]]}');
   * ```
   */
  // deno-lint-ignore no-explicit-any -- the compiler does not know which memory it is
  toJSON(): any;

  /**
   * Gives the element of a 0-d view, so that `view + 1` computes with it; any other view is its own value.
   *
   * @returns the element, or this view
   * @throws {Deno.errors.BadResource} if the memory is gone
   *
   * @example Compute with a 0-d view
   * ```ts
   * import { NDArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const total = new NDArray(Float64Array.of(3), { shape: [] });
   * assertEquals(Number(total) + 1, 4);
   * ```
   */
  valueOf(): ElementOf<D> | this;

  /**
   * Prints the elements as `str()` of NumPy 2.3 and newer does; of more than 1000 only those at the edges.
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

/** The constructor of views, which also tells them by `instanceof`. */
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
  ): NDArray<DTypeOf<T>, RankOf<S>, BufferOf<A>>;
  /** The prototype of all views. */
  readonly prototype: NDArray;
}

/** `true` if two types have the same members, each of which can stand for the other's. */
type Match<A, B> = [A, keyof A, B, keyof B] extends [B, keyof B, A, keyof A] ? true : false;

/** `View` has exactly the members of `NDArray`, and its constructor takes what `NDArrayConstructor` takes. */
type Proof = [
  instance: Match<View, NDArray<DType, number, ArrayBufferLike>>,
  statics: Match<keyof typeof View, keyof NDArrayConstructor>,
  options: Match<
    Required<ConstructorParameters<typeof View>>,
    Required<ConstructorParameters<NDArrayConstructor>>
  >,
];

/** Compiles only if every part of the proof holds; gives its argument back. */
function proven<T>(value: T, ..._proof: Proof extends true[] ? [] : [Proof]): T {
  return value;
}

markClass(View.prototype, "NDArray");

/** Makes views over typed arrays: see {@linkcode NDArrayConstructor}. */
// The cast gives the class its type parameters, which at run time are `dtype` and `ndim`.
export const NDArray: NDArrayConstructor = proven(View) as unknown as NDArrayConstructor;
