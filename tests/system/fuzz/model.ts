/**
 * What the fuzzer expects: shared arrays as plain ones. Nothing here comes from the library, so that
 * the two can be compared; where the library computes with strides, this lists every position.
 *
 * @module
 */

import type { DType, Slice, SliceItem } from "@shm/array";

/** The typed arrays by dtype, once more. */
const arrays = {
  bool: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint8c: Uint8ClampedArray,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float16: Float16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

/** Every dtype. */
export const allDTypes = Object.keys(arrays) as DType[];

/** What an element is. */
export type Value = number | bigint;

/** What lies behind a mapping: the bytes of a segment, or private zero pages. */
export class Memory {
  readonly #bytes: Uint8Array<ArrayBuffer>;

  /** Whether it holds floats: then nothing else reads or writes it. */
  readonly floats: boolean;

  constructor(byteLength: number, floats = false) {
    this.floats = floats;
    this.#bytes = new Uint8Array(byteLength);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** Stores a byte. */
  poke(at: number, byte: number): void {
    this.bytes[at] = byte;
  }

  /** Reads an element. */
  read(dtype: DType, position: number): Value {
    const value = this.#as(dtype)[position];
    return dtype === "bool" ? (value ? 1 : 0) : value;
  }

  /** Stores an element, converted as typed arrays do it. */
  write(dtype: DType, position: number, value: Value | boolean): void {
    const elements = this.#as(dtype) as { [position: number]: Value };
    elements[position] = dtype === "bool" ? (value || Number.isNaN(value) ? 1 : 0) : value as Value;
  }

  #as(dtype: DType): ArrayLike<Value> {
    const whole = Math.floor(this.bytes.length / elementBytes(dtype));
    return new arrays[dtype](this.bytes.buffer, 0, whole) as ArrayLike<Value>;
  }
}

/** A segment of one page at most, attached copy-on-write: the first write makes all of it private. */
export class PrivateMemory extends Memory {
  readonly base: Memory;
  #own: Uint8Array<ArrayBuffer> | null = null;

  constructor(base: Memory) {
    super(0, base.floats);
    this.base = base;
  }

  override get bytes(): Uint8Array<ArrayBuffer> {
    return this.#own ?? this.base.bytes;
  }

  override poke(at: number, byte: number): void {
    this.#own ??= this.base.bytes.slice();
    super.poke(at, byte);
  }

  override write(dtype: DType, position: number, value: Value | boolean): void {
    this.#own ??= this.base.bytes.slice();
    super.write(dtype, position, value);
  }
}

/** The bytes of one element. */
export function elementBytes(dtype: DType): number {
  return arrays[dtype].BYTES_PER_ELEMENT;
}

/** Whether the elements are bigints. */
export function isBig(dtype: DType): boolean {
  return dtype.endsWith("int64");
}

/** What an element becomes when it is assigned to another dtype, before a typed array stores it. */
export function converted(value: Value, dtype: DType): Value {
  if (dtype === "bool" || (typeof value === "bigint") === isBig(dtype)) return value;
  if (typeof value === "number") return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
  if (/^u?int\d+$/.test(dtype)) return Number(BigInt.asIntN(32, value));
  return dtype === "float32" ? nearestFloat32(value) : Number(value);
}

/** Rounds an integer to 24 bits, half to even, as one conversion to float32 does. */
function nearestFloat32(value: bigint): number {
  const size = value < 0n ? -value : value;
  const unit = 1n << BigInt(Math.max(0, size.toString(2).length - 24));
  const [whole, twice] = [size / unit, 2n * (size % unit)];
  const up = twice > unit || (twice === unit && whole % 2n === 1n) ? 1n : 0n;
  return Number((whole + up) * unit) * (value < 0n ? -1 : 1);
}

/** Where the elements of a view are: the position of each one, in C order. */
export interface Places {
  readonly shape: readonly number[];
  readonly positions: readonly number[];
}

/** How many elements a shape has. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

/** The places of a whole array. */
export function wholePlaces(shape: readonly number[]): Places {
  return { shape, positions: Array.from({ length: sizeOf(shape) }, (_, i) => i) };
}

/** The places of an array that begins somewhere and steps somehow, both in elements. */
export function stridedPlaces(
  shape: readonly number[],
  first: number,
  stride: readonly number[],
): Places {
  const indices = everyIndex(shape.map((length) => Array.from({ length }, (_, i) => i)));
  return {
    shape,
    positions: indices.map((index) =>
      index.reduce((sum, i, axis) => sum + i * stride[axis], first)
    ),
  };
}

/** The indices along one axis that a range takes, as Python's `range(*slice.indices(length))`. */
function rangeIndices({ start, stop, step }: Slice, length: number): number[] {
  const by = step ?? 1;
  const [low, high] = by > 0 ? [0, length] : [-1, length - 1];
  const bound = (given: number | null, open: number): number =>
    given === null ? open : Math.min(Math.max(given < 0 ? given + length : given, low), high);
  const first = bound(start, by > 0 ? low : high);
  const last = bound(stop, by > 0 ? high : low);
  const indices: number[] = [];
  for (let i = first; by > 0 ? i < last : i > last; i += by) indices.push(i);
  return indices;
}

/** The places that a selection of integers and ranges takes; axes without an item stay whole. */
export function select(places: Places, items: readonly SliceItem[]): Places {
  const picked = places.shape.map((length, axis) => {
    const item = items[axis] ?? null;
    if (typeof item === "number") return [item < 0 ? item + length : item];
    return rangeIndices((item ?? { start: null, stop: null, step: null }) as Slice, length);
  });
  return {
    shape: picked.flatMap((indices, axis) =>
      typeof items[axis] === "number" ? [] : [indices.length]
    ),
    positions: everyIndex(picked).map((index) => places.positions[flat(index, places.shape)]),
  };
}

/** The places with the axes permuted. */
export function permute({ shape, positions }: Places, axes: readonly number[]): Places {
  const turned = axes.map((axis) => shape[axis]);
  const indices = everyIndex(turned.map((length) => Array.from({ length }, (_, i) => i)));
  return {
    shape: turned,
    positions: indices.map((index) => {
      const original = new Array<number>(shape.length);
      axes.forEach((axis, i) => original[axis] = index[i]);
      return positions[flat(original, shape)];
    }),
  };
}

/** Whether the elements lie at equal distances: NumPy makes one axis of them without a copy. */
export function areEven({ positions }: Places): boolean {
  return positions.every((position, i) =>
    i < 2 || position - positions[i - 1] === positions[1] - positions[0]
  );
}

/** Whether the elements lie side by side. */
export function areContiguous({ positions }: Places): boolean {
  return positions.every((position, i) => i === 0 || position === positions[i - 1] + 1);
}

/** For each element of the target shape, which one of the source it gets; `null` if they do not fit. */
export function broadcast(source: readonly number[], target: readonly number[]): number[] | null {
  let from = [...source];
  while (from.length > target.length && from[0] === 1) from = from.slice(1);
  if (from.length > target.length) return null;
  const padded = [...new Array<number>(target.length - from.length).fill(1), ...from];
  if (padded.some((length, axis) => length !== 1 && length !== target[axis])) return null;
  return everyIndex(target.map((length) => Array.from({ length }, (_, i) => i)))
    .map((index) => flat(index.map((i, axis) => padded[axis] === 1 ? 0 : i), padded));
}

/** Nested arrays of a shape, from elements in C order. */
export function nested(shape: readonly number[], values: readonly Value[]): unknown {
  if (shape.length === 0) return values[0];
  const [length, ...inner] = shape;
  const each = sizeOf(inner);
  return Array.from(
    { length },
    (_, i) => nested(inner, values.slice(i * each, (i + 1) * each)),
  );
}

/** The full index of an element by its number in C order. */
export function indexOf(number: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  for (const length of shape.toReversed()) {
    index.unshift(number % length);
    number = Math.floor(number / length);
  }
  return index;
}

/** Every combination of one entry per axis, the last axis fastest. */
function everyIndex(picked: readonly (readonly number[])[]): number[][] {
  return picked.reduce<number[][]>(
    (heads, entries) => heads.flatMap((head) => entries.map((entry) => [...head, entry])),
    [[]],
  );
}

function flat(index: readonly number[], shape: readonly number[]): number {
  return index.reduce((position, i, axis) => position * shape[axis] + i, 0);
}
