/**
 * What the files of element access have in common: the keys under which a view keeps more than its public
 * fields, and the types of what the factories of `ranks.ts` use.
 *
 * @module
 */

import type { DType, TypedArrayOf } from "../dtype.ts";
import type { ListOf } from "./frozen_lists.ts";
import type { rangeOf, SliceItem } from "./slice.ts";

/** The methods that serve, or refuse, whatever the fast ones cannot serve. */
export interface GeneralMethods {
  get(...indices: number[]): Element;
  set(...args: unknown[]): void;
  index(...indices: number[]): number;
  slice(...items: SliceItem[]): GeneralMethods;
  subarray(begin?: number, end?: number): TypedArrayOf;
}

/** Makes a view from numbers that have been checked: its offset, then all lengths, then all strides. */
export type FastClass = new (
  data: TypedArrayOf,
  offset: number,
  ...lists: number[]
) => GeneralMethods;

/**
 * Slices a view whose shape and strides are given away as fresh lists: V8 reads from a frozen list in ten
 * times the time.
 */
export type SliceFrom = (
  view: GeneralMethods,
  shape: number[],
  stride: number[],
  items: ArrayLike<SliceItem>,
) => GeneralMethods;

// --- What the factories of ranks.ts use --------------------------------------------------------

// They are symbols, because a view's own enumerable keys are its public fields. The compiler takes them for
// strings: a parameter that is taken apart loses the type of a symbol.
export const AXIS0 = Symbol("axis 0") as unknown as "axis 0";
export const AXIS1 = Symbol("axis 1") as unknown as "axis 1";
export const AXIS2 = Symbol("axis 2") as unknown as "axis 2";
export const AXIS3 = Symbol("axis 3") as unknown as "axis 3";
/** The sum of the entries of the first two axes, and of the next two. */
export const PAIR01 = Symbol("axes 0 and 1") as unknown as "axes 0 and 1";
export const PAIR23 = Symbol("axes 2 and 3") as unknown as "axes 2 and 3";
/** The method that finds elements of which an index is negative. */
export const NEAR = Symbol("near") as unknown as "near";

export interface Keys {
  readonly AXIS0: typeof AXIS0;
  readonly AXIS1: typeof AXIS1;
  readonly AXIS2: typeof AXIS2;
  readonly AXIS3: typeof AXIS3;
  readonly PAIR01: typeof PAIR01;
  readonly PAIR23: typeof PAIR23;
  readonly NEAR: typeof NEAR;
}
export const keys: Keys = { AXIS0, AXIS1, AXIS2, AXIS3, PAIR01, PAIR23, NEAR };
export const axisKeys = [AXIS0, AXIS1, AXIS2, AXIS3] as const;

export type Element = number | bigint;
export type Numbers = readonly number[];
export type Items = ArrayLike<SliceItem> & Iterable<SliceItem>;
/** Elements of any dtype, to be stored in. */
export type Storable = { [position: number]: unknown };

/** An axis that has no table. */
export interface Stretch {
  readonly length: number;
  readonly stride: number;
}
/** What the methods of a view use of an axis: its table, or its length and stride. */
export type Axis = Int32Array | Stretch;
export type Axes = { [key in (typeof axisKeys)[number]]: Axis };

export interface Fields {
  readonly data: TypedArrayOf;
  readonly offset: number;
}
/** A view whose axes have tables. */
export interface Tabled extends Fields {
  readonly [AXIS0]: Int32Array;
  readonly [AXIS1]: Int32Array;
  readonly [AXIS2]: Int32Array;
  readonly [AXIS3]: Int32Array;
  [PAIR01](i: number, j: number): number;
  [PAIR23](k: number, l: number): number;
  [NEAR](...indices: number[]): number;
}
/** A view whose positions are computed. */
export interface ComputedView extends Fields {
  readonly [AXIS0]: Stretch;
  readonly [AXIS1]: Stretch;
  readonly [AXIS2]: Stretch;
  readonly [AXIS3]: Stretch;
}

/** What the classes use. */
export interface ClassParts extends Keys {
  /** Makes an object that has the general methods, and nothing else. */
  readonly Base: new () => GeneralMethods;
  readonly dtype: DType;
  readonly rangeOf: typeof rangeOf;
  readonly sliceFrom: SliceFrom;
  /** The class that makes slices of as many axes: it has no name by which it could call itself. */
  readonly ownClass: { Fast: FastClass | null };
  /** The class that makes views of one axis less. */
  readonly Row: FastClass;
  /** Give frozen lists, of which equal ones may be one. */
  readonly shapeOf: ListOf;
  readonly strideOf: ListOf;
  readonly axisOf: (length: number, stride: number) => Axis;
  /** Serves or refuses what is no row of live memory, and asks for a part of it. */
  readonly anySubarray: (view: GeneralMethods, begin?: number, end?: number) => TypedArrayOf;
  /** The typed array of the dtype. */
  readonly TypedArray: new (
    buffer: ArrayBufferLike,
    byteOffset: number,
    length: number,
  ) => TypedArrayOf;
}

/** What a method calls if the tables do not serve it. */
export type Fallback<Result> = (view: Fields, args: ArrayLike<unknown>) => Result;

export interface ReadParts extends Keys {
  readonly coldGet: (view: Fields) => Element;
}
/** What finds the position of an element if one of its indices is negative; NaN or -1 if there is none. */
export interface NearMethods {
  [NEAR](this: never, ...indices: number[]): number;
}
export interface WriteParts extends Keys {
  readonly coldSet: Fallback<void>;
  readonly coldIndex: Fallback<number>;
}

/** What a method calls if no position could be computed: `count` is how many arguments it got. */
export type FarFallback<Result> = (view: Fields, count: number, ...named: unknown[]) => Result;

export interface FarParts extends Keys {
  readonly coldGet: FarFallback<Element>;
  readonly coldSet: FarFallback<void>;
  readonly coldIndex: FarFallback<number>;
  /** The distance of an index from the beginning of its axis; NaN if there is no such index. */
  readonly distanceOf: (index: unknown, axis: Stretch) => number;
  readonly isBool: boolean;
  /** What `typeof` says of an element. */
  readonly kind: "number" | "bigint";
}

export type Get = (this: never, ...indices: number[]) => Element;
export interface Writers {
  set(this: never, ...args: never[]): void;
  index(this: never, ...indices: number[]): number;
  [PAIR01]?(this: never, i: number, j: number): number;
  [PAIR23]?(this: never, k: number, l: number): number;
}
export interface FarMethods extends Writers {
  get: Get;
}
