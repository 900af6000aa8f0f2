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

import type { DType, TypedArrayOf } from "../dtype.ts";

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

/** Views of more axes get no class of their own. */
export const MAX_RANK = 4;

/** The methods that serve, or refuse, whatever the fast ones cannot serve. */
export interface General {
  get(...indices: number[]): number | bigint;
  set(...args: unknown[]): void;
  index(...indices: number[]): number;
}

/** Makes a view of a layout that has been checked, and whose lists are frozen. */
export type FastClass = new (
  data: TypedArrayOf,
  shape: readonly number[],
  stride: readonly number[],
  offset: number,
  size: number,
) => General;

/** What the factories use. */
interface Outer {
  /** Makes an object that has the general methods, and nothing else. */
  readonly Base: new () => General;
  readonly dtype: DType;
  readonly isBool: boolean;
  /** What `typeof` says of an element. */
  readonly kind: "number" | "bigint";
}

/** The arguments of a call, which are passed on as they are. */
type Arguments = ArrayLike<unknown> & Iterable<number>;

/** Views of 0 axes. */
function rank0({ Base, dtype, isBool, kind }: Outer): FastClass {
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: readonly number[];
    declare readonly stride: readonly number[];
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #end = 0;

    constructor(
      data: TypedArrayOf,
      shape: readonly number[],
      stride: readonly number[],
      offset: number,
      size: number,
    ) {
      super();
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset;
      this.dtype = dtype;
      this.size = size;
      this.ndim = 0;
      this.#end = size > 0 ? offset : 0;
    }

    #locate(wrong: number): number {
      return (this.#end) | (wrong >> 31);
    }

    override get(): number | bigint {
      let value;
      try {
        value = this.data[this.#locate(-(arguments.length !== 0))];
      } catch { /* the general method says what is wrong */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(value: unknown): void {
      const data = this.data as Record<number, unknown>;
      let position = -1;
      try {
        position = this.#locate(-(arguments.length !== 1));
      } catch { /* the general method says what is wrong */ }
      if (data[position] !== undefined && (isBool || typeof value === kind)) {
        data[position] = isBool ? (value ? 1 : 0) : value;
      } else {
        super.set(...arguments as Arguments);
      }
    }

    override index(): number {
      let position = -1;
      try {
        position = this.#locate(-(arguments.length !== 0));
      } catch { /* the general method says what is wrong */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }
  };
}

/** Views of 1 axis. */
function rank1({ Base, dtype, isBool, kind }: Outer): FastClass {
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

    constructor(
      data: TypedArrayOf,
      shape: readonly number[],
      stride: readonly number[],
      offset: number,
      size: number,
    ) {
      super();
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset;
      this.dtype = dtype;
      this.size = size;
      this.ndim = 1;
      this.#last0 = shape[0] - 1;
      this.#stride0 = stride[0];
      this.#end = size > 0 ? offset + this.#last0 * this.#stride0 : 0;
    }

    #locate(i: number, wrong: number): number {
      const last0 = this.#last0 | (wrong >> 31);
      const negative0 = Math.min(i, 0);
      const left0 = (last0 | (negative0 >> 31)) - i;
      const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
      return (this.#end - Math.imul(left0, this.#stride0)) | (wrong0 >> 31);
    }

    override get(i: number): number | bigint {
      let value;
      try {
        value = this.data[this.#locate(i, -(arguments.length !== 1))];
      } catch { /* the general method says what is wrong */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, value: unknown): void {
      const data = this.data as Record<number, unknown>;
      let position = -1;
      try {
        position = this.#locate(i, -(arguments.length !== 2));
      } catch { /* the general method says what is wrong */ }
      if (data[position] !== undefined && (isBool || typeof value === kind)) {
        data[position] = isBool ? (value ? 1 : 0) : value;
      } else {
        super.set(...arguments as Arguments);
      }
    }

    override index(i: number): number {
      let position = -1;
      try {
        position = this.#locate(i, -(arguments.length !== 1));
      } catch { /* the general method says what is wrong */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }
  };
}

/** Views of 2 axes. */
function rank2({ Base, dtype, isBool, kind }: Outer): FastClass {
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
      shape: readonly number[],
      stride: readonly number[],
      offset: number,
      size: number,
    ) {
      super();
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset;
      this.dtype = dtype;
      this.size = size;
      this.ndim = 2;
      this.#last0 = shape[0] - 1;
      this.#last1 = shape[1] - 1;
      this.#stride0 = stride[0];
      this.#stride1 = stride[1];
      this.#end = size > 0 ? offset + this.#last0 * this.#stride0 + this.#last1 * this.#stride1 : 0;
    }

    #locate(i: number, j: number, wrong: number): number {
      const last0 = this.#last0 | (wrong >> 31);
      const negative0 = Math.min(i, 0);
      const left0 = (last0 | (negative0 >> 31)) - i;
      const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
      const last1 = this.#last1 | (wrong0 >> 31);
      const negative1 = Math.min(j, 0);
      const left1 = (last1 | (negative1 >> 31)) - j;
      const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
      return (this.#end - Math.imul(left0, this.#stride0) - Math.imul(left1, this.#stride1)) |
        (wrong1 >> 31);
    }

    override get(i: number, j: number): number | bigint {
      let value;
      try {
        value = this.data[this.#locate(i, j, -(arguments.length !== 2))];
      } catch { /* the general method says what is wrong */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, j: number, value: unknown): void {
      const data = this.data as Record<number, unknown>;
      let position = -1;
      try {
        position = this.#locate(i, j, -(arguments.length !== 3));
      } catch { /* the general method says what is wrong */ }
      if (data[position] !== undefined && (isBool || typeof value === kind)) {
        data[position] = isBool ? (value ? 1 : 0) : value;
      } else {
        super.set(...arguments as Arguments);
      }
    }

    override index(i: number, j: number): number {
      let position = -1;
      try {
        position = this.#locate(i, j, -(arguments.length !== 2));
      } catch { /* the general method says what is wrong */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }
  };
}

/** Views of 3 axes. */
function rank3({ Base, dtype, isBool, kind }: Outer): FastClass {
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
      shape: readonly number[],
      stride: readonly number[],
      offset: number,
      size: number,
    ) {
      super();
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset;
      this.dtype = dtype;
      this.size = size;
      this.ndim = 3;
      this.#last0 = shape[0] - 1;
      this.#last1 = shape[1] - 1;
      this.#last2 = shape[2] - 1;
      this.#stride0 = stride[0];
      this.#stride1 = stride[1];
      this.#stride2 = stride[2];
      this.#end = size > 0
        ? offset + this.#last0 * this.#stride0 + this.#last1 * this.#stride1 +
          this.#last2 * this.#stride2
        : 0;
    }

    #locate(i: number, j: number, k: number, wrong: number): number {
      const last0 = this.#last0 | (wrong >> 31);
      const negative0 = Math.min(i, 0);
      const left0 = (last0 | (negative0 >> 31)) - i;
      const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
      const last1 = this.#last1 | (wrong0 >> 31);
      const negative1 = Math.min(j, 0);
      const left1 = (last1 | (negative1 >> 31)) - j;
      const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
      const last2 = this.#last2 | (wrong1 >> 31);
      const negative2 = Math.min(k, 0);
      const left2 = (last2 | (negative2 >> 31)) - k;
      const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
      return (this.#end - Math.imul(left0, this.#stride0) - Math.imul(left1, this.#stride1) -
        Math.imul(left2, this.#stride2)) | (wrong2 >> 31);
    }

    override get(i: number, j: number, k: number): number | bigint {
      let value;
      try {
        value = this.data[this.#locate(i, j, k, -(arguments.length !== 3))];
      } catch { /* the general method says what is wrong */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, j: number, k: number, value: unknown): void {
      const data = this.data as Record<number, unknown>;
      let position = -1;
      try {
        position = this.#locate(i, j, k, -(arguments.length !== 4));
      } catch { /* the general method says what is wrong */ }
      if (data[position] !== undefined && (isBool || typeof value === kind)) {
        data[position] = isBool ? (value ? 1 : 0) : value;
      } else {
        super.set(...arguments as Arguments);
      }
    }

    override index(i: number, j: number, k: number): number {
      let position = -1;
      try {
        position = this.#locate(i, j, k, -(arguments.length !== 3));
      } catch { /* the general method says what is wrong */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }
  };
}

/** Views of 4 axes. */
function rank4({ Base, dtype, isBool, kind }: Outer): FastClass {
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
      shape: readonly number[],
      stride: readonly number[],
      offset: number,
      size: number,
    ) {
      super();
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset;
      this.dtype = dtype;
      this.size = size;
      this.ndim = 4;
      this.#last0 = shape[0] - 1;
      this.#last1 = shape[1] - 1;
      this.#last2 = shape[2] - 1;
      this.#last3 = shape[3] - 1;
      this.#stride0 = stride[0];
      this.#stride1 = stride[1];
      this.#stride2 = stride[2];
      this.#stride3 = stride[3];
      this.#end = size > 0
        ? offset + this.#last0 * this.#stride0 + this.#last1 * this.#stride1 +
          this.#last2 * this.#stride2 + this.#last3 * this.#stride3
        : 0;
    }

    #locate(i: number, j: number, k: number, l: number, wrong: number): number {
      const last0 = this.#last0 | (wrong >> 31);
      const negative0 = Math.min(i, 0);
      const left0 = (last0 | (negative0 >> 31)) - i;
      const wrong0 = left0 | (negative0 & (last0 + negative0 + 1)) | -(i !== (i | 0));
      const last1 = this.#last1 | (wrong0 >> 31);
      const negative1 = Math.min(j, 0);
      const left1 = (last1 | (negative1 >> 31)) - j;
      const wrong1 = left1 | (negative1 & (last1 + negative1 + 1)) | -(j !== (j | 0));
      const last2 = this.#last2 | (wrong1 >> 31);
      const negative2 = Math.min(k, 0);
      const left2 = (last2 | (negative2 >> 31)) - k;
      const wrong2 = left2 | (negative2 & (last2 + negative2 + 1)) | -(k !== (k | 0));
      const last3 = this.#last3 | (wrong2 >> 31);
      const negative3 = Math.min(l, 0);
      const left3 = (last3 | (negative3 >> 31)) - l;
      const wrong3 = left3 | (negative3 & (last3 + negative3 + 1)) | -(l !== (l | 0));
      return (this.#end - Math.imul(left0, this.#stride0) - Math.imul(left1, this.#stride1) -
        Math.imul(left2, this.#stride2) - Math.imul(left3, this.#stride3)) | (wrong3 >> 31);
    }

    override get(i: number, j: number, k: number, l: number): number | bigint {
      let value;
      try {
        value = this.data[this.#locate(i, j, k, l, -(arguments.length !== 4))];
      } catch { /* the general method says what is wrong */ }
      if (value === undefined) return super.get(...arguments as Arguments);
      return isBool ? (value ? 1 : 0) : value;
    }

    override set(i: number, j: number, k: number, l: number, value: unknown): void {
      const data = this.data as Record<number, unknown>;
      let position = -1;
      try {
        position = this.#locate(i, j, k, l, -(arguments.length !== 5));
      } catch { /* the general method says what is wrong */ }
      if (data[position] !== undefined && (isBool || typeof value === kind)) {
        data[position] = isBool ? (value ? 1 : 0) : value;
      } else {
        super.set(...arguments as Arguments);
      }
    }

    override index(i: number, j: number, k: number, l: number): number {
      let position = -1;
      try {
        position = this.#locate(i, j, k, l, -(arguments.length !== 4));
      } catch { /* the general method says what is wrong */ }
      if (position >= 0 && position < this.data.length) return position;
      return super.index(...arguments as Arguments);
    }
  };
}

const factories = [rank0, rank1, rank2, rank3, rank4];

/**
 * Makes the class of views of one dtype and rank: a subclass of the general one with methods of its own
 * for elements.
 *
 * @param Base makes an object that has the general methods, and nothing else
 * @param dtype the dtype of the views
 * @param rank the number of axes, at most {@linkcode MAX_RANK}
 */
export function makeFastClass(Base: new () => General, dtype: DType, rank: number): FastClass {
  const factory = copyOfFactory(factories[rank], `${dtype}, ${rank} axes`);
  const kind = dtype === "int64" || dtype === "uint64" ? "bigint" : "number";
  const Fast = factory({ Base, dtype, isBool: dtype === "bool", kind });
  Object.defineProperty(Fast.prototype, "constructor", { value: Base.prototype.constructor });
  return Fast;
}
