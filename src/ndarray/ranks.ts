// Written by scripts/generate_ranks.ts: change that script, and run `deno task generate`.

/**
 * What views of one to four axes do with their elements. `element_access.ts` says how it works, and puts the
 * parts together.
 *
 * @module
 */

import type { DType, TypedArrayOf } from "../dtype.ts";
import type {
  Axes,
  Axis,
  ClassParts,
  ComputedView,
  Element,
  FarMethods,
  FarParts,
  FastClass,
  GeneralMethods,
  Get,
  Items,
  Keys,
  NearMethods,
  Numbers,
  ReadParts,
  Storable,
  Tabled,
  WriteParts,
  Writers,
} from "./access_parts.ts";
import type { SliceItem } from "./slice.ts";

// Each function is closed: see copyOfFactory() in element_access.ts.

/** The class of views of one axis. */
export function class1(
  {
    Base,
    Row,
    ownClass,
    dtype,
    rangeOf,
    sliceFrom,
    shapeOf,
    strideOf,
    axisOf,
    TypedArray,
    anySubarray,
    AXIS0,
  }: ClassParts,
): FastClass {
  let lastShape: Numbers, lastStrides: Numbers;
  const into0 = { start: 0, step: 1, length: 0 };
  let lastLength0: number, lastStride0: number, lastAxis0: Axis;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: Numbers;
    declare readonly stride: Numbers;
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #n0 = 0;
    #s0 = 0;

    constructor(data: TypedArrayOf, offset: number, n0: number, s0: number) {
      super();
      this.data = data;
      if (lastLength0 !== n0) lastShape = shapeOf(n0);
      if (lastStride0 !== s0) {
        lastStrides = strideOf(s0);
      }
      if (lastLength0 !== n0 || lastStride0 !== s0) {
        lastLength0 = n0;
        lastStride0 = s0;
        lastAxis0 = axisOf(n0, s0);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0;
      this.ndim = 1;
      (this as unknown as Axes)[AXIS0] = lastAxis0;
      this.#n0 = n0;
      this.#s0 = s0;
    }

    override slice(i: SliceItem): GeneralMethods {
      // An object that inherits from a view, or a proxy of one, has no private fields.
      if (!(#n0 in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#n0 : i;
        if (at >= 0 && at < this.#n0) {
          return new Row(this.data, this.offset + at * this.#s0);
        }
      }
      if (arguments.length === 1) {
        const range0 = rangeOf(i, this.#n0, into0);
        if (range0 !== null) {
          return new ownClass.Fast!(
            this.data,
            this.offset + range0.start * this.#s0,
            range0.length,
            range0.step * this.#s0 + 0,
          );
        }
      }
      return sliceFrom(this, [this.#n0], [this.#s0], arguments as Items);
    }

    override subarray(begin?: number, end?: number): TypedArrayOf {
      const { data, offset } = this;
      const isRun = begin === undefined && end === undefined && #n0 in this && this.#s0 === 1 &&
        data.length > 0 && offset + this.#n0 <= data.length;
      return isRun
        ? new TypedArray(data.buffer, data.byteOffset + offset * data.BYTES_PER_ELEMENT, this.#n0)
        : anySubarray(this, begin, end);
    }
  };
}

export function read1(
  { coldGet, AXIS0 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number") {
      const value = this.data[this.offset + this[AXIS0][i]];
      if (value !== undefined) return value;
    }
    return +(coldGet(this) as number);
  };
}

export function readWrapping1(
  { coldGet, NEAR, AXIS0 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number") {
      const value = this.data[(i | 0) < 0 ? this[NEAR](i) : this.offset + this[AXIS0][i]];
      if (value !== undefined) return value;
    }
    return +(coldGet(this) as number);
  };
}

export function readBigint1(
  { coldGet, AXIS0 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number") {
      const value = this.data[this.offset + this[AXIS0][i]];
      if (value !== undefined) return value;
    }
    return coldGet(this);
  };
}

export function readBoolWrapping1(
  { coldGet, AXIS0 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number" && i === (i | 0)) {
      const value = this.data[this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i]];
      if (value !== undefined) return value ? 1 : 0;
    }
    return +(coldGet(this) as number);
  };
}

export function readBigintWrapping1(
  { coldGet, NEAR, AXIS0 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number") {
      const value = this.data[(i | 0) < 0 ? this[NEAR](i) : this.offset + this[AXIS0][i]];
      if (value !== undefined) return value;
    }
    return coldGet(this);
  };
}

export function near1({ NEAR, AXIS0 }: Keys): NearMethods {
  return {
    [NEAR](this: Tabled, i: number): number {
      const areIntegers = i === (i | 0);
      return areIntegers ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] : -1;
    },
  };
}

export function write1(
  { coldSet, coldIndex, AXIS0 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 2) && typeof i === "number" && typeof value === "number"
        ? this.offset + this[AXIS0][i]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number): number {
      const position = !(arguments.length - 1) && typeof i === "number"
        ? this.offset + this[AXIS0][i]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function writeWrapping1(
  { coldSet, coldIndex, AXIS0 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 2) && typeof i === "number" && i === (i | 0) &&
          typeof value === "number"
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number): number {
      const position = !(arguments.length - 1) && typeof i === "number" && i === (i | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function writeBigint1(
  { coldSet, coldIndex, AXIS0 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 2) && typeof i === "number" && typeof value === "bigint"
        ? this.offset + this[AXIS0][i]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number): number {
      const position = !(arguments.length - 1) && typeof i === "number"
        ? this.offset + this[AXIS0][i]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function writeBoolWrapping1(
  { coldSet, coldIndex, AXIS0 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, value: unknown): void {
      const data: Storable = this.data;
      const isTruth = typeof value === "boolean" || typeof value === "number";
      const position = !(arguments.length - 2) && typeof i === "number" && i === (i | 0) && isTruth
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i]
        : -1;
      if (data[position] !== undefined) data[position] = value || value !== value ? 1 : 0;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number): number {
      const position = !(arguments.length - 1) && typeof i === "number" && i === (i | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function far1(
  { coldGet, coldSet, coldIndex, distanceOf, isBool, kind, AXIS0 }: FarParts,
): FarMethods {
  return {
    get(this: ComputedView, i: number): Element {
      const value =
        this.data[arguments.length === 1 ? this.offset + distanceOf(i, this[AXIS0]) : -1];
      if (value === undefined) return coldGet(this, arguments.length, i);
      return isBool ? (value ? 1 : 0) : value;
    },
    set(this: ComputedView, i: number, value: unknown): void {
      const data: Storable = this.data;
      const position = arguments.length === 2 ? this.offset + distanceOf(i, this[AXIS0]) : -1;
      const isTruth = isBool && (typeof value === "boolean" || typeof value === "number");
      const stored = isTruth ? (value || value !== value ? 1 : 0) : value;
      if (typeof stored === kind && data[position] !== undefined) data[position] = stored;
      else coldSet(this, arguments.length, i, value);
    },
    index(this: ComputedView, i: number): number {
      const position = arguments.length === 1 ? this.offset + distanceOf(i, this[AXIS0]) : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments.length, i);
    },
  };
}

/** The class of views of two axes. */
export function class2(
  { Base, Row, ownClass, dtype, rangeOf, sliceFrom, shapeOf, strideOf, axisOf, AXIS0, AXIS1 }:
    ClassParts,
): FastClass {
  let lastShape: Numbers, lastStrides: Numbers;
  const into0 = { start: 0, step: 1, length: 0 };
  const into1 = { start: 0, step: 1, length: 0 };
  let lastLength0: number, lastStride0: number, lastAxis0: Axis;
  let lastLength1: number, lastStride1: number, lastAxis1: Axis;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: Numbers;
    declare readonly stride: Numbers;
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #n0 = 0;
    #s0 = 0;
    #n1 = 0;
    #s1 = 0;

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
      if (lastLength0 !== n0 || lastLength1 !== n1) lastShape = shapeOf(n0, n1);
      if (lastStride0 !== s0 || lastStride1 !== s1) {
        lastStrides = strideOf(s0, s1);
      }
      if (lastLength0 !== n0 || lastStride0 !== s0) {
        lastLength0 = n0;
        lastStride0 = s0;
        lastAxis0 = axisOf(n0, s0);
      }
      if (lastLength1 !== n1 || lastStride1 !== s1) {
        lastLength1 = n1;
        lastStride1 = s1;
        lastAxis1 = axisOf(n1, s1);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0 * n1;
      this.ndim = 2;
      (this as unknown as Axes)[AXIS0] = lastAxis0;
      this.#n0 = n0;
      this.#s0 = s0;
      (this as unknown as Axes)[AXIS1] = lastAxis1;
      this.#n1 = n1;
      this.#s1 = s1;
    }

    override slice(i: SliceItem, j: SliceItem): GeneralMethods {
      // An object that inherits from a view, or a proxy of one, has no private fields.
      if (!(#n0 in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#n0 : i;
        if (at >= 0 && at < this.#n0) {
          return new Row(this.data, this.offset + at * this.#s0, this.#n1, this.#s1);
        }
      }
      if (arguments.length === 2) {
        const range0 = rangeOf(i, this.#n0, into0);
        const range1 = range0 && rangeOf(j, this.#n1, into1);
        if (range0 !== null && range1 !== null) {
          return new ownClass.Fast!(
            this.data,
            this.offset + range0.start * this.#s0 + range1.start * this.#s1,
            range0.length,
            range1.length,
            range0.step * this.#s0 + 0,
            range1.step * this.#s1 + 0,
          );
        }
      }
      return sliceFrom(this, [this.#n0, this.#n1], [this.#s0, this.#s1], arguments as Items);
    }
  };
}

export function read2(
  { coldGet, AXIS0, AXIS1 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number" && typeof j === "number") {
      const value = this.data[this.offset + this[AXIS0][i] + this[AXIS1][j]];
      if (value !== undefined) return value;
    }
    return +(coldGet(this) as number);
  };
}

export function readWrapping2(
  { coldGet, NEAR, AXIS0, AXIS1 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number" && typeof j === "number") {
      const value =
        this.data[(i | j) < 0 ? this[NEAR](i, j) : this.offset + this[AXIS0][i] + this[AXIS1][j]];
      if (value !== undefined) return value;
    }
    return +(coldGet(this) as number);
  };
}

export function readBigint2(
  { coldGet, AXIS0, AXIS1 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number" && typeof j === "number") {
      const value = this.data[this.offset + this[AXIS0][i] + this[AXIS1][j]];
      if (value !== undefined) return value;
    }
    return coldGet(this);
  };
}

export function readBoolWrapping2(
  { coldGet, AXIS0, AXIS1 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, extra?: unknown): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" && i === (i | 0) &&
      j === (j | 0)
    ) {
      const value = this
        .data[
          this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j]
        ];
      if (value !== undefined) return value ? 1 : 0;
    }
    return +(coldGet(this) as number);
  };
}

export function readBigintWrapping2(
  { coldGet, NEAR, AXIS0, AXIS1 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, extra?: unknown): Element {
    if (extra === undefined && typeof i === "number" && typeof j === "number") {
      const value =
        this.data[(i | j) < 0 ? this[NEAR](i, j) : this.offset + this[AXIS0][i] + this[AXIS1][j]];
      if (value !== undefined) return value;
    }
    return coldGet(this);
  };
}

export function near2({ NEAR, AXIS0, AXIS1 }: Keys): NearMethods {
  return {
    [NEAR](this: Tabled, i: number, j: number): number {
      const areIntegers = i === (i | 0) && j === (j | 0);
      return areIntegers
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j]
        : -1;
    },
  };
}

export function write2(
  { coldSet, coldIndex, AXIS0, AXIS1 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          typeof value === "number"
        ? this.offset + this[AXIS0][i] + this[AXIS1][j]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number): number {
      const position = !(arguments.length - 2) && typeof i === "number" && typeof j === "number"
        ? this.offset + this[AXIS0][i] + this[AXIS1][j]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function writeWrapping2(
  { coldSet, coldIndex, AXIS0, AXIS1 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          i === (i | 0) && j === (j | 0) && typeof value === "number"
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number): number {
      const position = !(arguments.length - 2) && typeof i === "number" && typeof j === "number" &&
          i === (i | 0) && j === (j | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function writeBigint2(
  { coldSet, coldIndex, AXIS0, AXIS1 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          typeof value === "bigint"
        ? this.offset + this[AXIS0][i] + this[AXIS1][j]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number): number {
      const position = !(arguments.length - 2) && typeof i === "number" && typeof j === "number"
        ? this.offset + this[AXIS0][i] + this[AXIS1][j]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function writeBoolWrapping2(
  { coldSet, coldIndex, AXIS0, AXIS1 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, value: unknown): void {
      const data: Storable = this.data;
      const isTruth = typeof value === "boolean" || typeof value === "number";
      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          i === (i | 0) && j === (j | 0) && isTruth
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j]
        : -1;
      if (data[position] !== undefined) data[position] = value || value !== value ? 1 : 0;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number): number {
      const position = !(arguments.length - 2) && typeof i === "number" && typeof j === "number" &&
          i === (i | 0) && j === (j | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function far2(
  { coldGet, coldSet, coldIndex, distanceOf, isBool, kind, AXIS0, AXIS1 }: FarParts,
): FarMethods {
  return {
    get(this: ComputedView, i: number, j: number): Element {
      const value = this
        .data[
          arguments.length === 2
            ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1])
            : -1
        ];
      if (value === undefined) return coldGet(this, arguments.length, i, j);
      return isBool ? (value ? 1 : 0) : value;
    },
    set(this: ComputedView, i: number, j: number, value: unknown): void {
      const data: Storable = this.data;
      const position = arguments.length === 3
        ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1])
        : -1;
      const isTruth = isBool && (typeof value === "boolean" || typeof value === "number");
      const stored = isTruth ? (value || value !== value ? 1 : 0) : value;
      if (typeof stored === kind && data[position] !== undefined) data[position] = stored;
      else coldSet(this, arguments.length, i, j, value);
    },
    index(this: ComputedView, i: number, j: number): number {
      const position = arguments.length === 2
        ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1])
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments.length, i, j);
    },
  };
}

/** The class of views of three axes. */
export function class3(
  {
    Base,
    Row,
    ownClass,
    dtype,
    rangeOf,
    sliceFrom,
    shapeOf,
    strideOf,
    axisOf,
    AXIS0,
    AXIS1,
    AXIS2,
  }: ClassParts,
): FastClass {
  let lastShape: Numbers, lastStrides: Numbers;
  const into0 = { start: 0, step: 1, length: 0 };
  const into1 = { start: 0, step: 1, length: 0 };
  const into2 = { start: 0, step: 1, length: 0 };
  let lastLength0: number, lastStride0: number, lastAxis0: Axis;
  let lastLength1: number, lastStride1: number, lastAxis1: Axis;
  let lastLength2: number, lastStride2: number, lastAxis2: Axis;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: Numbers;
    declare readonly stride: Numbers;
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #n0 = 0;
    #s0 = 0;
    #n1 = 0;
    #s1 = 0;
    #n2 = 0;
    #s2 = 0;

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
        lastShape = shapeOf(n0, n1, n2);
      }
      if (lastStride0 !== s0 || lastStride1 !== s1 || lastStride2 !== s2) {
        lastStrides = strideOf(s0, s1, s2);
      }
      if (lastLength0 !== n0 || lastStride0 !== s0) {
        lastLength0 = n0;
        lastStride0 = s0;
        lastAxis0 = axisOf(n0, s0);
      }
      if (lastLength1 !== n1 || lastStride1 !== s1) {
        lastLength1 = n1;
        lastStride1 = s1;
        lastAxis1 = axisOf(n1, s1);
      }
      if (lastLength2 !== n2 || lastStride2 !== s2) {
        lastLength2 = n2;
        lastStride2 = s2;
        lastAxis2 = axisOf(n2, s2);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0 * n1 * n2;
      this.ndim = 3;
      (this as unknown as Axes)[AXIS0] = lastAxis0;
      this.#n0 = n0;
      this.#s0 = s0;
      (this as unknown as Axes)[AXIS1] = lastAxis1;
      this.#n1 = n1;
      this.#s1 = s1;
      (this as unknown as Axes)[AXIS2] = lastAxis2;
      this.#n2 = n2;
      this.#s2 = s2;
    }

    override slice(i: SliceItem, j: SliceItem, k: SliceItem): GeneralMethods {
      // An object that inherits from a view, or a proxy of one, has no private fields.
      if (!(#n0 in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#n0 : i;
        if (at >= 0 && at < this.#n0) {
          return new Row(
            this.data,
            this.offset + at * this.#s0,
            this.#n1,
            this.#n2,
            this.#s1,
            this.#s2,
          );
        }
      }
      if (arguments.length === 3) {
        const range0 = rangeOf(i, this.#n0, into0);
        const range1 = range0 && rangeOf(j, this.#n1, into1);
        const range2 = range1 && rangeOf(k, this.#n2, into2);
        if (range0 !== null && range1 !== null && range2 !== null) {
          return new ownClass.Fast!(
            this.data,
            this.offset + range0.start * this.#s0 + range1.start * this.#s1 +
              range2.start * this.#s2,
            range0.length,
            range1.length,
            range2.length,
            range0.step * this.#s0 + 0,
            range1.step * this.#s1 + 0,
            range2.step * this.#s2 + 0,
          );
        }
      }
      return sliceFrom(
        this,
        [this.#n0, this.#n1, this.#n2],
        [this.#s0, this.#s1, this.#s2],
        arguments as Items,
      );
    }
  };
}

export function read3(
  { coldGet, AXIS2, PAIR01 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, k: number, extra?: unknown): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" && typeof k === "number"
    ) {
      const value = this.data[this.offset + this[PAIR01](i, j) + this[AXIS2][k]];
      if (value !== undefined) return value;
    }
    return +(coldGet(this) as number);
  };
}

export function readWrapping3(
  { coldGet, NEAR, AXIS2, PAIR01 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, k: number, extra?: unknown): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" && typeof k === "number"
    ) {
      const value = this.data[
        (i | j | k) < 0 ? this[NEAR](i, j, k) : this.offset + this[PAIR01](i, j) + this[AXIS2][k]
      ];
      if (value !== undefined) {
        return value;
      }
    }
    return +(coldGet(this) as number);
  };
}

export function readBigint3(
  { coldGet, AXIS2, PAIR01 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, k: number, extra?: unknown): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" && typeof k === "number"
    ) {
      const value = this.data[this.offset + this[PAIR01](i, j) + this[AXIS2][k]];
      if (value !== undefined) return value;
    }
    return coldGet(this);
  };
}

export function readBoolWrapping3(
  { coldGet, AXIS0, AXIS1, AXIS2 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, k: number, extra?: unknown): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" &&
      typeof k === "number" && i === (i | 0) && j === (j | 0) && k === (k | 0)
    ) {
      const value = this
        .data[
          this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k]
        ];
      if (value !== undefined) return value ? 1 : 0;
    }
    return +(coldGet(this) as number);
  };
}

export function readBigintWrapping3(
  { coldGet, NEAR, AXIS2, PAIR01 }: ReadParts,
): Get {
  return function (this: Tabled, i: number, j: number, k: number, extra?: unknown): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" && typeof k === "number"
    ) {
      const value = this.data[
        (i | j | k) < 0 ? this[NEAR](i, j, k) : this.offset + this[PAIR01](i, j) + this[AXIS2][k]
      ];
      if (value !== undefined) {
        return value;
      }
    }
    return coldGet(this);
  };
}

export function near3({ NEAR, AXIS0, AXIS1, AXIS2 }: Keys): NearMethods {
  return {
    [NEAR](this: Tabled, i: number, j: number, k: number): number {
      const areIntegers = i === (i | 0) && j === (j | 0) && k === (k | 0);
      return areIntegers
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k]
        : -1;
    },
  };
}

export function write3(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2, PAIR01 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof value === "number"
        ? this.offset + this[PAIR01](i, j) + this[AXIS2][k]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number): number {
      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number"
        ? this.offset + this[PAIR01](i, j) + this[AXIS2][k]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
    [PAIR01](this: Tabled, i: number, j: number): number {
      return this[AXIS0][i] + this[AXIS1][j];
    },
  };
}

export function writeWrapping3(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2, PAIR01 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && i === (i | 0) && j === (j | 0) && k === (k | 0) &&
          typeof value === "number"
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number): number {
      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && i === (i | 0) && j === (j | 0) && k === (k | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
    [PAIR01](this: Tabled, i: number, j: number): number {
      return this[AXIS0][i] + this[AXIS1][j];
    },
  };
}

export function writeBigint3(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2, PAIR01 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof value === "bigint"
        ? this.offset + this[PAIR01](i, j) + this[AXIS2][k]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number): number {
      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number"
        ? this.offset + this[PAIR01](i, j) + this[AXIS2][k]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
    [PAIR01](this: Tabled, i: number, j: number): number {
      return this[AXIS0][i] + this[AXIS1][j];
    },
  };
}

export function writeBoolWrapping3(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, value: unknown): void {
      const data: Storable = this.data;
      const isTruth = typeof value === "boolean" || typeof value === "number";
      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && i === (i | 0) && j === (j | 0) && k === (k | 0) && isTruth
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k]
        : -1;
      if (data[position] !== undefined) data[position] = value || value !== value ? 1 : 0;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number): number {
      const position = !(arguments.length - 3) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && i === (i | 0) && j === (j | 0) && k === (k | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function far3(
  { coldGet, coldSet, coldIndex, distanceOf, isBool, kind, AXIS0, AXIS1, AXIS2 }: FarParts,
): FarMethods {
  return {
    get(this: ComputedView, i: number, j: number, k: number): Element {
      const value = this
        .data[
          arguments.length === 3
            ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1]) +
              distanceOf(k, this[AXIS2])
            : -1
        ];
      if (value === undefined) return coldGet(this, arguments.length, i, j, k);
      return isBool ? (value ? 1 : 0) : value;
    },
    set(this: ComputedView, i: number, j: number, k: number, value: unknown): void {
      const data: Storable = this.data;
      const position = arguments.length === 4
        ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1]) +
          distanceOf(k, this[AXIS2])
        : -1;
      const isTruth = isBool && (typeof value === "boolean" || typeof value === "number");
      const stored = isTruth ? (value || value !== value ? 1 : 0) : value;
      if (typeof stored === kind && data[position] !== undefined) data[position] = stored;
      else coldSet(this, arguments.length, i, j, k, value);
    },
    index(this: ComputedView, i: number, j: number, k: number): number {
      const position = arguments.length === 3
        ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1]) +
          distanceOf(k, this[AXIS2])
        : -1;
      return this.data[position] !== undefined
        ? position
        : coldIndex(this, arguments.length, i, j, k);
    },
  };
}

/** The class of views of four axes. */
export function class4(
  {
    Base,
    Row,
    ownClass,
    dtype,
    rangeOf,
    sliceFrom,
    shapeOf,
    strideOf,
    axisOf,
    AXIS0,
    AXIS1,
    AXIS2,
    AXIS3,
  }: ClassParts,
): FastClass {
  let lastShape: Numbers, lastStrides: Numbers;
  const into0 = { start: 0, step: 1, length: 0 };
  const into1 = { start: 0, step: 1, length: 0 };
  const into2 = { start: 0, step: 1, length: 0 };
  const into3 = { start: 0, step: 1, length: 0 };
  let lastLength0: number, lastStride0: number, lastAxis0: Axis;
  let lastLength1: number, lastStride1: number, lastAxis1: Axis;
  let lastLength2: number, lastStride2: number, lastAxis2: Axis;
  let lastLength3: number, lastStride3: number, lastAxis3: Axis;
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: Numbers;
    declare readonly stride: Numbers;
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    #n0 = 0;
    #s0 = 0;
    #n1 = 0;
    #s1 = 0;
    #n2 = 0;
    #s2 = 0;
    #n3 = 0;
    #s3 = 0;

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
        lastShape = shapeOf(n0, n1, n2, n3);
      }
      if (lastStride0 !== s0 || lastStride1 !== s1 || lastStride2 !== s2 || lastStride3 !== s3) {
        lastStrides = strideOf(s0, s1, s2, s3);
      }
      if (lastLength0 !== n0 || lastStride0 !== s0) {
        lastLength0 = n0;
        lastStride0 = s0;
        lastAxis0 = axisOf(n0, s0);
      }
      if (lastLength1 !== n1 || lastStride1 !== s1) {
        lastLength1 = n1;
        lastStride1 = s1;
        lastAxis1 = axisOf(n1, s1);
      }
      if (lastLength2 !== n2 || lastStride2 !== s2) {
        lastLength2 = n2;
        lastStride2 = s2;
        lastAxis2 = axisOf(n2, s2);
      }
      if (lastLength3 !== n3 || lastStride3 !== s3) {
        lastLength3 = n3;
        lastStride3 = s3;
        lastAxis3 = axisOf(n3, s3);
      }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = n0 * n1 * n2 * n3;
      this.ndim = 4;
      (this as unknown as Axes)[AXIS0] = lastAxis0;
      this.#n0 = n0;
      this.#s0 = s0;
      (this as unknown as Axes)[AXIS1] = lastAxis1;
      this.#n1 = n1;
      this.#s1 = s1;
      (this as unknown as Axes)[AXIS2] = lastAxis2;
      this.#n2 = n2;
      this.#s2 = s2;
      (this as unknown as Axes)[AXIS3] = lastAxis3;
      this.#n3 = n3;
      this.#s3 = s3;
    }

    override slice(i: SliceItem, j: SliceItem, k: SliceItem, l: SliceItem): GeneralMethods {
      // An object that inherits from a view, or a proxy of one, has no private fields.
      if (!(#n0 in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#n0 : i;
        if (at >= 0 && at < this.#n0) {
          return new Row(
            this.data,
            this.offset + at * this.#s0,
            this.#n1,
            this.#n2,
            this.#n3,
            this.#s1,
            this.#s2,
            this.#s3,
          );
        }
      }
      if (arguments.length === 4) {
        const range0 = rangeOf(i, this.#n0, into0);
        const range1 = range0 && rangeOf(j, this.#n1, into1);
        const range2 = range1 && rangeOf(k, this.#n2, into2);
        const range3 = range2 && rangeOf(l, this.#n3, into3);
        if (range0 !== null && range1 !== null && range2 !== null && range3 !== null) {
          return new ownClass.Fast!(
            this.data,
            this.offset + range0.start * this.#s0 + range1.start * this.#s1 +
              range2.start * this.#s2 + range3.start * this.#s3,
            range0.length,
            range1.length,
            range2.length,
            range3.length,
            range0.step * this.#s0 + 0,
            range1.step * this.#s1 + 0,
            range2.step * this.#s2 + 0,
            range3.step * this.#s3 + 0,
          );
        }
      }
      return sliceFrom(this, [this.#n0, this.#n1, this.#n2, this.#n3], [
        this.#s0,
        this.#s1,
        this.#s2,
        this.#s3,
      ], arguments as Items);
    }
  };
}

export function read4(
  { coldGet, PAIR01, PAIR23 }: ReadParts,
): Get {
  return function (
    this: Tabled,
    i: number,
    j: number,
    k: number,
    l: number,
    extra?: unknown,
  ): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" &&
      typeof k === "number" && typeof l === "number"
    ) {
      const value = this.data[this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)];
      if (value !== undefined) return value;
    }
    return +(coldGet(this) as number);
  };
}

export function readWrapping4(
  { coldGet, NEAR, PAIR01, PAIR23 }: ReadParts,
): Get {
  return function (
    this: Tabled,
    i: number,
    j: number,
    k: number,
    l: number,
    extra?: unknown,
  ): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" &&
      typeof k === "number" && typeof l === "number"
    ) {
      const value = this.data[
        (i | j | k | l) < 0
          ? this[NEAR](i, j, k, l)
          : this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)
      ];
      if (value !== undefined) {
        return value;
      }
    }
    return +(coldGet(this) as number);
  };
}

export function readBigint4(
  { coldGet, PAIR01, PAIR23 }: ReadParts,
): Get {
  return function (
    this: Tabled,
    i: number,
    j: number,
    k: number,
    l: number,
    extra?: unknown,
  ): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" &&
      typeof k === "number" && typeof l === "number"
    ) {
      const value = this.data[this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)];
      if (value !== undefined) return value;
    }
    return coldGet(this);
  };
}

export function readBoolWrapping4(
  { coldGet, AXIS0, AXIS1, AXIS2, AXIS3 }: ReadParts,
): Get {
  return function (
    this: Tabled,
    i: number,
    j: number,
    k: number,
    l: number,
    extra?: unknown,
  ): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" &&
      typeof k === "number" && typeof l === "number" && i === (i | 0) && j === (j | 0) &&
      k === (k | 0) && l === (l | 0)
    ) {
      const value = this
        .data[
          this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k] +
          this[AXIS3][l < 0 ? l + this[AXIS3].length : l]
        ];
      if (value !== undefined) return value ? 1 : 0;
    }
    return +(coldGet(this) as number);
  };
}

export function readBigintWrapping4(
  { coldGet, NEAR, PAIR01, PAIR23 }: ReadParts,
): Get {
  return function (
    this: Tabled,
    i: number,
    j: number,
    k: number,
    l: number,
    extra?: unknown,
  ): Element {
    if (
      extra === undefined && typeof i === "number" && typeof j === "number" &&
      typeof k === "number" && typeof l === "number"
    ) {
      const value = this.data[
        (i | j | k | l) < 0
          ? this[NEAR](i, j, k, l)
          : this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)
      ];
      if (value !== undefined) {
        return value;
      }
    }
    return coldGet(this);
  };
}

export function near4({ NEAR, AXIS0, AXIS1, AXIS2, AXIS3 }: Keys): NearMethods {
  return {
    [NEAR](this: Tabled, i: number, j: number, k: number, l: number): number {
      const areIntegers = i === (i | 0) && j === (j | 0) && k === (k | 0) && l === (l | 0);
      return areIntegers
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k] +
          this[AXIS3][l < 0 ? l + this[AXIS3].length : l]
        : -1;
    },
  };
}

export function write4(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2, AXIS3, PAIR01, PAIR23 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, l: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 5) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number" && typeof value === "number"
        ? this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number, l: number): number {
      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number"
        ? this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
    [PAIR01](this: Tabled, i: number, j: number): number {
      return this[AXIS0][i] + this[AXIS1][j];
    },
    [PAIR23](this: Tabled, k: number, l: number): number {
      return this[AXIS2][k] + this[AXIS3][l];
    },
  };
}

export function writeWrapping4(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2, AXIS3, PAIR01, PAIR23 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, l: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 5) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number" && i === (i | 0) && j === (j | 0) &&
          k === (k | 0) && l === (l | 0) && typeof value === "number"
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k] +
          this[AXIS3][l < 0 ? l + this[AXIS3].length : l]
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number, l: number): number {
      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number" && i === (i | 0) && j === (j | 0) &&
          k === (k | 0) && l === (l | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k] +
          this[AXIS3][l < 0 ? l + this[AXIS3].length : l]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
    [PAIR01](this: Tabled, i: number, j: number): number {
      return this[AXIS0][i] + this[AXIS1][j];
    },
    [PAIR23](this: Tabled, k: number, l: number): number {
      return this[AXIS2][k] + this[AXIS3][l];
    },
  };
}

export function writeBigint4(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2, AXIS3, PAIR01, PAIR23 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, l: number, value: unknown): void {
      const data: Storable = this.data;

      const position = !(arguments.length - 5) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number" && typeof value === "bigint"
        ? this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)
        : -1;
      if (data[position] !== undefined) data[position] = value;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number, l: number): number {
      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number"
        ? this.offset + this[PAIR01](i, j) + this[PAIR23](k, l)
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
    [PAIR01](this: Tabled, i: number, j: number): number {
      return this[AXIS0][i] + this[AXIS1][j];
    },
    [PAIR23](this: Tabled, k: number, l: number): number {
      return this[AXIS2][k] + this[AXIS3][l];
    },
  };
}

export function writeBoolWrapping4(
  { coldSet, coldIndex, AXIS0, AXIS1, AXIS2, AXIS3 }: WriteParts,
): Writers {
  return {
    set(this: Tabled, i: number, j: number, k: number, l: number, value: unknown): void {
      const data: Storable = this.data;
      const isTruth = typeof value === "boolean" || typeof value === "number";
      const position = !(arguments.length - 5) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number" && i === (i | 0) && j === (j | 0) &&
          k === (k | 0) && l === (l | 0) && isTruth
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k] +
          this[AXIS3][l < 0 ? l + this[AXIS3].length : l]
        : -1;
      if (data[position] !== undefined) data[position] = value || value !== value ? 1 : 0;
      else coldSet(this, arguments);
    },
    index(this: Tabled, i: number, j: number, k: number, l: number): number {
      const position = !(arguments.length - 4) && typeof i === "number" && typeof j === "number" &&
          typeof k === "number" && typeof l === "number" && i === (i | 0) && j === (j | 0) &&
          k === (k | 0) && l === (l | 0)
        ? this.offset + this[AXIS0][i < 0 ? i + this[AXIS0].length : i] +
          this[AXIS1][j < 0 ? j + this[AXIS1].length : j] +
          this[AXIS2][k < 0 ? k + this[AXIS2].length : k] +
          this[AXIS3][l < 0 ? l + this[AXIS3].length : l]
        : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },
  };
}

export function far4(
  { coldGet, coldSet, coldIndex, distanceOf, isBool, kind, AXIS0, AXIS1, AXIS2, AXIS3 }: FarParts,
): FarMethods {
  return {
    get(this: ComputedView, i: number, j: number, k: number, l: number): Element {
      const value = this
        .data[
          arguments.length === 4
            ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1]) +
              distanceOf(k, this[AXIS2]) + distanceOf(l, this[AXIS3])
            : -1
        ];
      if (value === undefined) return coldGet(this, arguments.length, i, j, k, l);
      return isBool ? (value ? 1 : 0) : value;
    },
    set(this: ComputedView, i: number, j: number, k: number, l: number, value: unknown): void {
      const data: Storable = this.data;
      const position = arguments.length === 5
        ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1]) +
          distanceOf(k, this[AXIS2]) + distanceOf(l, this[AXIS3])
        : -1;
      const isTruth = isBool && (typeof value === "boolean" || typeof value === "number");
      const stored = isTruth ? (value || value !== value ? 1 : 0) : value;
      if (typeof stored === kind && data[position] !== undefined) data[position] = stored;
      else coldSet(this, arguments.length, i, j, k, l, value);
    },
    index(this: ComputedView, i: number, j: number, k: number, l: number): number {
      const position = arguments.length === 4
        ? this.offset + distanceOf(i, this[AXIS0]) + distanceOf(j, this[AXIS1]) +
          distanceOf(k, this[AXIS2]) + distanceOf(l, this[AXIS3])
        : -1;
      return this.data[position] !== undefined
        ? position
        : coldIndex(this, arguments.length, i, j, k, l);
    },
  };
}

export const classes = [class1, class2, class3, class4] as const;

export const reads = [read1, read2, read3, read4] as const;

export const readWrappings = [readWrapping1, readWrapping2, readWrapping3, readWrapping4] as const;

export const readBigints = [readBigint1, readBigint2, readBigint3, readBigint4] as const;

export const readBoolWrappings = [
  readBoolWrapping1,
  readBoolWrapping2,
  readBoolWrapping3,
  readBoolWrapping4,
] as const;

export const readBigintWrappings = [
  readBigintWrapping1,
  readBigintWrapping2,
  readBigintWrapping3,
  readBigintWrapping4,
] as const;

export const nears = [near1, near2, near3, near4] as const;

export const writes = [write1, write2, write3, write4] as const;

export const writeWrappings = [
  writeWrapping1,
  writeWrapping2,
  writeWrapping3,
  writeWrapping4,
] as const;

export const writeBigints = [writeBigint1, writeBigint2, writeBigint3, writeBigint4] as const;

export const writeBoolWrappings = [
  writeBoolWrapping1,
  writeBoolWrapping2,
  writeBoolWrapping3,
  writeBoolWrapping4,
] as const;

export const fars = [far1, far2, far3, far4] as const;
