/**
 * The classes of views, one for each dtype and rank: what is done per element runs here at the speed of
 * code that was written for that dtype and rank, with every check.
 *
 * What shapes this file are facts about V8 (`bench/access_bench.ts` and `bench/dtypes_bench.ts` show
 * them):
 *
 * - Feedback is kept per place in the source text, and from the fifth kind of typed array on it is
 *   lost: element access then takes ten times as long. So each dtype gets a copy of the text
 *   ({@linkcode copyOfFactory}).
 * - A branch to a throw or a call keeps V8 from lifting out of a loop what does not change in it. So
 *   the position is computed without a branch, and whatever is wrong sets it to -1; the typed array's
 *   own bounds check answers `undefined` to that, as it does for an array whose memory is gone, and that
 *   one answer leads to the general methods, which serve or refuse.
 * - A loop is unrolled if its body is small. So the position counts from the last element back:
 *   how far an index is from the end of its axis serves as check and as factor. And `Math.min(i, 0)`,
 *   not a comparison, asks whether an index is negative: V8 knows that a loop's counter is not, and
 *   leaves it out.
 *
 * @module
 */

import { descriptorOf } from "../check.ts";
import type { DType, TypedArrayOf } from "../dtype.ts";
import { rangeOf, type SliceItem } from "./slice.ts";

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
 * @returns the copy; the factory itself where code may not be made from text, as slow as shared code is
 */
export function copyOfFactory<F extends (...args: never) => unknown>(factory: F, key: string): F {
  try {
    return new Function(`"use strict"; return (${factory}); // ${key}`)();
  } catch (error) {
    if (error instanceof EvalError) return factory;
    throw error;
  }
}

/** The methods that serve, or refuse, whatever the fast ones cannot serve. */
export interface General {
  get(...indices: number[]): number | bigint;
  set(...args: unknown[]): void;
  index(...indices: number[]): number;
  slice(...items: SliceItem[]): General;
}

/** Makes a view from numbers that have been checked: its offset, then all lengths, then all strides. */
export type FastClass = new (data: TypedArrayOf, offset: number, ...lists: number[]) => General;

/**
 * Slices a view whose shape and strides are given away as fresh lists: V8 reads from a frozen list in ten
 * times the time.
 */
export type SliceFrom = (
  view: General,
  shape: number[],
  stride: number[],
  items: ArrayLike<SliceItem>,
) => General;

/** What the factories use. */
interface Outer {
  /** Makes an object that has the general methods, and nothing else. */
  readonly Base: new () => General;
  readonly dtype: DType;
  readonly isBool: boolean;
  /** What `typeof` says of an element. */
  readonly kind: "number" | "bigint";
  readonly rangeOf: typeof rangeOf;
  readonly sliceFrom: SliceFrom;
  /** The class that the factory makes: it has no name by which it could call itself. */
  readonly own: { Fast: FastClass | null };
  /** The class of views of one axis less. */
  readonly Row: FastClass | null;
  readonly freeze: typeof Object.freeze;
  readonly min: typeof Math.min;
  readonly imul: typeof Math.imul;
}

/** The arguments of a call, which are passed on as they are. */
type Arguments = ArrayLike<unknown> & Iterable<number>;
type Items = ArrayLike<SliceItem> & Iterable<SliceItem>;

type Numbers = readonly number[];

/** Elements of any dtype, to be stored in. */
type Storable = { [position: number]: unknown };

// For each axis of what follows: `left` is how many elements follow on the axis, 0 for the last one (an
// index that counts from the end is followed by ~index), and negative if there is no such element; `wrong`
// is negative if that, or something before it, is wrong. Of a loop's counter V8 knows that it is no fraction
// and not negative, so that `negative` is 0 and all is left out but one subtraction, one multiplication,
// and the last line of the position. What cannot be made a number at all (a bigint, a symbol) throws on the
// way; the try costs nothing that could be measured. Of all values NaN alone is not itself: in a bool it is
// true, as in NumPy. The lines are repeated, not shared by a method: with
// one, loops took 10 to 30 % longer. And `min` and `imul` are parameters, because a longer text is too long
// for V8 to put in the place of the call. Freezing a shape and strides takes longer than the rest of a
// view, so equal lists are shared: a view whose shape is that of the last one of its class gets the same
// list.

function rank0({ Base, dtype, isBool, kind, freeze }: Outer): FastClass {
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

function rank1(
  { Base, dtype, isBool, kind, freeze, min, imul, Row, sliceFrom, own, rangeOf }: Outer,
): FastClass {
  let lastLength0: number, lastStride0: number;
  let lastShape: Numbers = freeze([]);
  let lastStrides: Numbers = lastShape;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: readonly number[];
    declare readonly stride: readonly number[];
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #last0 = 0;
    #stride0 = 0;
    #end = 0;

    constructor(data: TypedArrayOf, offset: number, n0: number, s0: number) {
      super();
      this.data = data;
      if (lastLength0 !== n0) {
        lastLength0 = n0;
        lastShape = freeze([n0]);
      }
      if (lastStride0 !== s0) {
        lastStride0 = s0;
        lastStrides = freeze([s0]);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0;
      this.ndim = 1;
      this.#last0 = n0 - 1;
      this.#stride0 = s0;
      if (this.size > 0) this.#end = offset + this.#last0 * this.#stride0;
    }

    override get(i: number): number | bigint {
      let value;
      try {
        const wrong = -(arguments.length !== 1);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const position = (this.#end - imul(left0, this.#stride0)) | (wrong0 >> 31);
        value = this.data[position];
      } catch { /* The general method says what is wrong. */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, value: unknown): void {
      const data: Storable = this.data;
      let position = -1;
      try {
        const wrong = -(arguments.length !== 2);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        position = (this.#end - imul(left0, this.#stride0)) | (wrong0 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (isBool && (typeof value === "boolean" || typeof value === "number")) {
        value = value || value !== value ? 1 : 0;
      }
      if (data[position] !== undefined && typeof value === kind) data[position] = value;
      else super.set(...arguments as Arguments);
    }

    override index(i: number): number {
      let position = -1;
      try {
        const wrong = -(arguments.length !== 1);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        position = (this.#end - imul(left0, this.#stride0)) | (wrong0 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }

    override slice(i: SliceItem): General {
      // What inherits from a view, or is a proxy of one, has no private fields.
      if (!(#end in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#last0 + 1 : i;
        if (at >= 0 && at <= this.#last0) {
          return new Row!(this.data, this.offset + at * this.#stride0);
        }
      }
      if (arguments.length === 1) {
        const range0 = rangeOf(i, this.#last0 + 1);
        if (range0 !== null) {
          return new own.Fast!(
            this.data,
            this.offset + range0.start * this.#stride0,
            range0.length,
            range0.step * this.#stride0 + 0,
          );
        }
      }
      const n0 = this.#last0 + 1;
      return sliceFrom(this, [n0], [this.#stride0], arguments as Items);
    }
  };
}

function rank2(
  { Base, dtype, isBool, kind, freeze, min, imul, Row, sliceFrom, own, rangeOf }: Outer,
): FastClass {
  let lastLength0: number, lastStride0: number;
  let lastLength1: number, lastStride1: number;
  let lastShape: Numbers = freeze([]);
  let lastStrides: Numbers = lastShape;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: readonly number[];
    declare readonly stride: readonly number[];
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #last0 = 0;
    #last1 = 0;
    #stride0 = 0;
    #stride1 = 0;
    #end = 0;

    constructor(
      data: TypedArrayOf,
      offset: number,
      n0: number,
      n1: number,
      s0: number,
      s1: number,
    ) {
      super();
      this.data = data;
      if (lastLength0 !== n0 || lastLength1 !== n1) {
        lastLength0 = n0;
        lastLength1 = n1;
        lastShape = freeze([n0, n1]);
      }
      if (lastStride0 !== s0 || lastStride1 !== s1) {
        lastStride0 = s0;
        lastStride1 = s1;
        lastStrides = freeze([s0, s1]);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0 * n1;
      this.ndim = 2;
      this.#last0 = n0 - 1;
      this.#last1 = n1 - 1;
      this.#stride0 = s0;
      this.#stride1 = s1;
      if (this.size > 0) {
        this.#end = offset + this.#last0 * this.#stride0 + this.#last1 * this.#stride1;
      }
    }

    override get(i: number, j: number): number | bigint {
      let value;
      try {
        const wrong = -(arguments.length !== 2);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        const position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1)) |
          (wrong1 >> 31);
        value = this.data[position];
      } catch { /* The general method says what is wrong. */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, j: number, value: unknown): void {
      const data: Storable = this.data;
      let position = -1;
      try {
        const wrong = -(arguments.length !== 3);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1)) |
          (wrong1 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (isBool && (typeof value === "boolean" || typeof value === "number")) {
        value = value || value !== value ? 1 : 0;
      }
      if (data[position] !== undefined && typeof value === kind) data[position] = value;
      else super.set(...arguments as Arguments);
    }

    override index(i: number, j: number): number {
      let position = -1;
      try {
        const wrong = -(arguments.length !== 2);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1)) |
          (wrong1 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }

    override slice(i: SliceItem, j: SliceItem): General {
      // What inherits from a view, or is a proxy of one, has no private fields.
      if (!(#end in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#last0 + 1 : i;
        if (at >= 0 && at <= this.#last0) {
          return new Row!(
            this.data,
            this.offset + at * this.#stride0,
            this.#last1 + 1,
            this.#stride1,
          );
        }
      }
      if (arguments.length === 2) {
        const range0 = rangeOf(i, this.#last0 + 1);
        const range1 = range0 && rangeOf(j, this.#last1 + 1);
        if (range0 !== null && range1 !== null) {
          return new own.Fast!(
            this.data,
            this.offset + range0.start * this.#stride0 + range1.start * this.#stride1,
            range0.length,
            range1.length,
            range0.step * this.#stride0 + 0,
            range1.step * this.#stride1 + 0,
          );
        }
      }
      const n0 = this.#last0 + 1;
      const n1 = this.#last1 + 1;
      return sliceFrom(this, [n0, n1], [this.#stride0, this.#stride1], arguments as Items);
    }
  };
}

function rank3(
  { Base, dtype, isBool, kind, freeze, min, imul, Row, sliceFrom, own, rangeOf }: Outer,
): FastClass {
  let lastLength0: number, lastStride0: number;
  let lastLength1: number, lastStride1: number;
  let lastLength2: number, lastStride2: number;
  let lastShape: Numbers = freeze([]);
  let lastStrides: Numbers = lastShape;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: readonly number[];
    declare readonly stride: readonly number[];
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #last0 = 0;
    #last1 = 0;
    #last2 = 0;
    #stride0 = 0;
    #stride1 = 0;
    #stride2 = 0;
    #end = 0;

    constructor(
      data: TypedArrayOf,
      offset: number,
      n0: number,
      n1: number,
      n2: number,
      s0: number,
      s1: number,
      s2: number,
    ) {
      super();
      this.data = data;
      if (lastLength0 !== n0 || lastLength1 !== n1 || lastLength2 !== n2) {
        lastLength0 = n0;
        lastLength1 = n1;
        lastLength2 = n2;
        lastShape = freeze([n0, n1, n2]);
      }
      if (lastStride0 !== s0 || lastStride1 !== s1 || lastStride2 !== s2) {
        lastStride0 = s0;
        lastStride1 = s1;
        lastStride2 = s2;
        lastStrides = freeze([s0, s1, s2]);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0 * n1 * n2;
      this.ndim = 3;
      this.#last0 = n0 - 1;
      this.#last1 = n1 - 1;
      this.#last2 = n2 - 1;
      this.#stride0 = s0;
      this.#stride1 = s1;
      this.#stride2 = s2;
      if (this.size > 0) {
        this.#end = offset + this.#last0 * this.#stride0 + this.#last1 * this.#stride1 +
          this.#last2 * this.#stride2;
      }
    }

    override get(i: number, j: number, k: number): number | bigint {
      let value;
      try {
        const wrong = -(arguments.length !== 3);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        const last2 = this.#last2 | (wrong1 >> 31);
        const negative2 = min(k, 0);
        const left2 = (last2 | (negative2 >> 31)) - k;
        const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
        const position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1) -
          imul(left2, this.#stride2)) | (wrong2 >> 31);
        value = this.data[position];
      } catch { /* The general method says what is wrong. */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, j: number, k: number, value: unknown): void {
      const data: Storable = this.data;
      let position = -1;
      try {
        const wrong = -(arguments.length !== 4);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        const last2 = this.#last2 | (wrong1 >> 31);
        const negative2 = min(k, 0);
        const left2 = (last2 | (negative2 >> 31)) - k;
        const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
        position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1) -
          imul(left2, this.#stride2)) | (wrong2 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (isBool && (typeof value === "boolean" || typeof value === "number")) {
        value = value || value !== value ? 1 : 0;
      }
      if (data[position] !== undefined && typeof value === kind) data[position] = value;
      else super.set(...arguments as Arguments);
    }

    override index(i: number, j: number, k: number): number {
      let position = -1;
      try {
        const wrong = -(arguments.length !== 3);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        const last2 = this.#last2 | (wrong1 >> 31);
        const negative2 = min(k, 0);
        const left2 = (last2 | (negative2 >> 31)) - k;
        const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
        position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1) -
          imul(left2, this.#stride2)) | (wrong2 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }

    override slice(i: SliceItem, j: SliceItem, k: SliceItem): General {
      // What inherits from a view, or is a proxy of one, has no private fields.
      if (!(#end in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#last0 + 1 : i;
        if (at >= 0 && at <= this.#last0) {
          return new Row!(
            this.data,
            this.offset + at * this.#stride0,
            this.#last1 + 1,
            this.#last2 + 1,
            this.#stride1,
            this.#stride2,
          );
        }
      }
      if (arguments.length === 3) {
        const range0 = rangeOf(i, this.#last0 + 1);
        const range1 = range0 && rangeOf(j, this.#last1 + 1);
        const range2 = range1 && rangeOf(k, this.#last2 + 1);
        if (range0 !== null && range1 !== null && range2 !== null) {
          return new own.Fast!(
            this.data,
            this.offset + range0.start * this.#stride0 + range1.start * this.#stride1 +
              range2.start * this.#stride2,
            range0.length,
            range1.length,
            range2.length,
            range0.step * this.#stride0 + 0,
            range1.step * this.#stride1 + 0,
            range2.step * this.#stride2 + 0,
          );
        }
      }
      const n0 = this.#last0 + 1;
      const n1 = this.#last1 + 1;
      const n2 = this.#last2 + 1;
      return sliceFrom(
        this,
        [n0, n1, n2],
        [this.#stride0, this.#stride1, this.#stride2],
        arguments as Items,
      );
    }
  };
}

function rank4(
  { Base, dtype, isBool, kind, freeze, min, imul, Row, sliceFrom, own, rangeOf }: Outer,
): FastClass {
  let lastLength0: number, lastStride0: number;
  let lastLength1: number, lastStride1: number;
  let lastLength2: number, lastStride2: number;
  let lastLength3: number, lastStride3: number;
  let lastShape: Numbers = freeze([]);
  let lastStrides: Numbers = lastShape;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: readonly number[];
    declare readonly stride: readonly number[];
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #last0 = 0;
    #last1 = 0;
    #last2 = 0;
    #last3 = 0;
    #stride0 = 0;
    #stride1 = 0;
    #stride2 = 0;
    #stride3 = 0;
    #end = 0;

    constructor(
      data: TypedArrayOf,
      offset: number,
      n0: number,
      n1: number,
      n2: number,
      n3: number,
      s0: number,
      s1: number,
      s2: number,
      s3: number,
    ) {
      super();
      this.data = data;
      if (lastLength0 !== n0 || lastLength1 !== n1 || lastLength2 !== n2 || lastLength3 !== n3) {
        lastLength0 = n0;
        lastLength1 = n1;
        lastLength2 = n2;
        lastLength3 = n3;
        lastShape = freeze([n0, n1, n2, n3]);
      }
      if (lastStride0 !== s0 || lastStride1 !== s1 || lastStride2 !== s2 || lastStride3 !== s3) {
        lastStride0 = s0;
        lastStride1 = s1;
        lastStride2 = s2;
        lastStride3 = s3;
        lastStrides = freeze([s0, s1, s2, s3]);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0 * n1 * n2 * n3;
      this.ndim = 4;
      this.#last0 = n0 - 1;
      this.#last1 = n1 - 1;
      this.#last2 = n2 - 1;
      this.#last3 = n3 - 1;
      this.#stride0 = s0;
      this.#stride1 = s1;
      this.#stride2 = s2;
      this.#stride3 = s3;
      if (this.size > 0) {
        this.#end = offset + this.#last0 * this.#stride0 + this.#last1 * this.#stride1 +
          this.#last2 * this.#stride2 + this.#last3 * this.#stride3;
      }
    }

    override get(i: number, j: number, k: number, l: number): number | bigint {
      let value;
      try {
        const wrong = -(arguments.length !== 4);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        const last2 = this.#last2 | (wrong1 >> 31);
        const negative2 = min(k, 0);
        const left2 = (last2 | (negative2 >> 31)) - k;
        const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
        const last3 = this.#last3 | (wrong2 >> 31);
        const negative3 = min(l, 0);
        const left3 = (last3 | (negative3 >> 31)) - l;
        const wrong3 = left3 | (negative3 & (last3 + negative3 + 1)) | -(l !== (l | 0));
        const position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1) -
          imul(left2, this.#stride2) - imul(left3, this.#stride3)) | (wrong3 >> 31);
        value = this.data[position];
      } catch { /* The general method says what is wrong. */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, j: number, k: number, l: number, value: unknown): void {
      const data: Storable = this.data;
      let position = -1;
      try {
        const wrong = -(arguments.length !== 5);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        const last2 = this.#last2 | (wrong1 >> 31);
        const negative2 = min(k, 0);
        const left2 = (last2 | (negative2 >> 31)) - k;
        const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
        const last3 = this.#last3 | (wrong2 >> 31);
        const negative3 = min(l, 0);
        const left3 = (last3 | (negative3 >> 31)) - l;
        const wrong3 = left3 | (negative3 & (last3 + negative3 + 1)) | -(l !== (l | 0));
        position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1) -
          imul(left2, this.#stride2) - imul(left3, this.#stride3)) | (wrong3 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (isBool && (typeof value === "boolean" || typeof value === "number")) {
        value = value || value !== value ? 1 : 0;
      }
      if (data[position] !== undefined && typeof value === kind) data[position] = value;
      else super.set(...arguments as Arguments);
    }

    override index(i: number, j: number, k: number, l: number): number {
      let position = -1;
      try {
        const wrong = -(arguments.length !== 4);
        const last0 = this.#last0 | (wrong >> 31);
        const negative0 = min(i, 0);
        const left0 = (last0 | (negative0 >> 31)) - i;
        const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
        const last1 = this.#last1 | (wrong0 >> 31);
        const negative1 = min(j, 0);
        const left1 = (last1 | (negative1 >> 31)) - j;
        const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
        const last2 = this.#last2 | (wrong1 >> 31);
        const negative2 = min(k, 0);
        const left2 = (last2 | (negative2 >> 31)) - k;
        const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
        const last3 = this.#last3 | (wrong2 >> 31);
        const negative3 = min(l, 0);
        const left3 = (last3 | (negative3 >> 31)) - l;
        const wrong3 = left3 | (negative3 & (last3 + negative3 + 1)) | -(l !== (l | 0));
        position = (this.#end - imul(left0, this.#stride0) - imul(left1, this.#stride1) -
          imul(left2, this.#stride2) - imul(left3, this.#stride3)) | (wrong3 >> 31);
      } catch { /* The general method says what is wrong. */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }

    override slice(i: SliceItem, j: SliceItem, k: SliceItem, l: SliceItem): General {
      // What inherits from a view, or is a proxy of one, has no private fields.
      if (!(#end in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#last0 + 1 : i;
        if (at >= 0 && at <= this.#last0) {
          return new Row!(
            this.data,
            this.offset + at * this.#stride0,
            this.#last1 + 1,
            this.#last2 + 1,
            this.#last3 + 1,
            this.#stride1,
            this.#stride2,
            this.#stride3,
          );
        }
      }
      if (arguments.length === 4) {
        const range0 = rangeOf(i, this.#last0 + 1);
        const range1 = range0 && rangeOf(j, this.#last1 + 1);
        const range2 = range1 && rangeOf(k, this.#last2 + 1);
        const range3 = range2 && rangeOf(l, this.#last3 + 1);
        if (range0 !== null && range1 !== null && range2 !== null && range3 !== null) {
          return new own.Fast!(
            this.data,
            this.offset + range0.start * this.#stride0 + range1.start * this.#stride1 +
              range2.start * this.#stride2 + range3.start * this.#stride3,
            range0.length,
            range1.length,
            range2.length,
            range3.length,
            range0.step * this.#stride0 + 0,
            range1.step * this.#stride1 + 0,
            range2.step * this.#stride2 + 0,
            range3.step * this.#stride3 + 0,
          );
        }
      }
      const n0 = this.#last0 + 1;
      const n1 = this.#last1 + 1;
      const n2 = this.#last2 + 1;
      const n3 = this.#last3 + 1;
      return sliceFrom(this, [n0, n1, n2, n3], [
        this.#stride0,
        this.#stride1,
        this.#stride2,
        this.#stride3,
      ], arguments as Items);
    }
  };
}

/** Views of any number of axes: a loop takes the place of the lines that are written out above. */
function anyRank({ Base, dtype, isBool, kind, freeze }: Outer): FastClass {
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

const factories = [rank0, rank1, rank2, rank3, rank4, anyRank];

/** From so many axes on, the classes of a dtype are one. */
export const MANY_AXES = 5;

/**
 * Makes the class of views of one dtype and rank: a subclass of the general one with methods of its own
 * for elements and rows.
 *
 * @param Base makes an object that has the general methods, and nothing else
 * @param dtype the dtype of the views
 * @param rank the number of axes, {@linkcode MANY_AXES} for all from there on
 * @param sliceFrom what slices that are not rows are made by
 * @param classOf gives the class of the same dtype and a smaller rank
 */
export function makeFastClass(
  Base: new () => General,
  dtype: DType,
  rank: number,
  sliceFrom: SliceFrom,
  classOf: (rank: number) => FastClass,
): FastClass {
  const factory = copyOfFactory(factories[rank], `${dtype}, ${rank} axes`);
  const kind = dtype === "int64" || dtype === "uint64" ? "bigint" : "number";
  const { min, imul } = Math;
  const { freeze } = Object;
  const isBool = dtype === "bool";
  const Row = rank === 0 || rank === MANY_AXES ? null : classOf(rank - 1);
  const own: Outer["own"] = { Fast: null };
  const Fast = factory({
    ...{ Base, Row, own, dtype, isBool, kind },
    ...{ rangeOf, sliceFrom, freeze, min, imul },
  });
  own.Fast = Fast;
  Object.defineProperty(
    Fast.prototype,
    "constructor",
    descriptorOf({ value: Base.prototype.constructor }),
  );
  return Fast;
}
