/**
 * The element types that an array can have: their names, their typed arrays and their NumPy type
 * strings. A pure table, usable without any permission in every runtime, browsers included.
 *
 * {@linkcode parseDType} makes a dtype's name of any spelling (NumPy's, npm ndarray's, a typed array's
 * constructor); {@linkcode dtypeOf} tells that of a typed array; {@linkcode dtypes} lists them all.
 *
 * @example Look up what a dtype means
 * ```ts
 * import {
 *   bytesPerElement,
 *   numpyTypeString,
 *   parseDType,
 * } from "@shm/array/dtype";
 *
 * console.log(parseDType("<f4")); // float32
 * console.log(parseDType(Uint8ClampedArray)); // uint8c
 * console.log(bytesPerElement("float32")); // 4
 * console.log(numpyTypeString("float32")); // <f4
 * ```
 *
 * @module
 */

import { editDistance, kindOf, quote, shorten } from "./check.ts";
import { fromCaller } from "./errors.ts";

/**
 * The typed array that holds the elements of each dtype, over a buffer of type `B`; its keys are the
 * canonical dtype names.
 *
 * @internal
 */
export interface TypedArrays<B extends ArrayBufferLike = ArrayBufferLike> {
  /** One byte per element, 0 or 1. */
  bool: Uint8Array<B>;
  /** Signed integers of 8 bits. */
  int8: Int8Array<B>;
  /** Unsigned integers of 8 bits. */
  uint8: Uint8Array<B>;
  /** Unsigned integers of 8 bits that clamp what is stored to 0 … 255. */
  uint8c: Uint8ClampedArray<B>;
  /** Signed integers of 16 bits. */
  int16: Int16Array<B>;
  /** Unsigned integers of 16 bits. */
  uint16: Uint16Array<B>;
  /** Signed integers of 32 bits. */
  int32: Int32Array<B>;
  /** Unsigned integers of 32 bits. */
  uint32: Uint32Array<B>;
  /** Signed integers of 64 bits; elements are `bigint`. */
  int64: BigInt64Array<B>;
  /** Unsigned integers of 64 bits; elements are `bigint`. */
  uint64: BigUint64Array<B>;
  /** IEEE 754 half precision. */
  float16: Float16Array<B>;
  /** IEEE 754 single precision. */
  float32: Float32Array<B>;
  /** IEEE 754 double precision. */
  float64: Float64Array<B>;
}

/** The canonical name of an element type, for example `"float32"`. */
export type DType = keyof TypedArrays;

/**
 * The typed array over elements of dtype `D`: `TypedArrayOf<"int16">` is `Int16Array`, and
 * `TypedArrayOf<"int16", ArrayBuffer>` one that is known to be over no `SharedArrayBuffer`.
 *
 * @template D the element type, by its canonical name
 * @template B the buffer that the typed array is over
 */
export type TypedArrayOf<D extends DType = DType, B extends ArrayBufferLike = ArrayBufferLike> =
  TypedArrays<B>[D];

/**
 * What one element of dtype `D` is in JavaScript: `bigint` for 64-bit integers, else `number`.
 *
 * @template D the element type, by its canonical name
 */
export type ElementOf<D extends DType = DType> = D extends "int64" | "uint64" ? bigint : number;

/**
 * What can be stored in an element of dtype `D`: an element, and for `bool` also a boolean.
 *
 * @internal
 */
export type StorableOf<D extends DType = DType> = D extends "bool" ? number | boolean
  : ElementOf<D>;

/** The NumPy type string of each dtype, by which NumPy's array interface names it. */
const numpyNames = {
  bool: "|b1",
  int8: "|i1",
  uint8: "|u1",
  uint8c: "|u1",
  int16: "<i2",
  uint16: "<u2",
  int32: "<i4",
  uint32: "<u4",
  int64: "<i8",
  uint64: "<u8",
  float16: "<f2",
  float32: "<f4",
  float64: "<f8",
} as const satisfies Record<DType, string>;

/**
 * NumPy's kind and size of each dtype, without a byte order, and the dtype that it names.
 *
 * @internal
 */
export interface NumPyCodes {
  /** Booleans of one byte. */
  b1: "bool";
  /** Booleans of one byte, by the letter that NumPy has for them. */
  "?": "bool";
  /** Signed integers of 8 bits. */
  i1: "int8";
  /** Unsigned integers of 8 bits. */
  u1: "uint8";
  /** Signed integers of 16 bits. */
  i2: "int16";
  /** Unsigned integers of 16 bits. */
  u2: "uint16";
  /** Signed integers of 32 bits. */
  i4: "int32";
  /** Unsigned integers of 32 bits. */
  u4: "uint32";
  /** Signed integers of 64 bits. */
  i8: "int64";
  /** Unsigned integers of 64 bits. */
  u8: "uint64";
  /** IEEE 754 half precision. */
  f2: "float16";
  /** IEEE 754 single precision. */
  f4: "float32";
  /** IEEE 754 double precision. */
  f8: "float64";
}

/**
 * The signs of byte order that are native for a code: one byte has no order, so that any sign is.
 *
 * @internal
 */
export type NativeOrder<Code extends keyof NumPyCodes> =
  | ""
  | "<"
  | "="
  | "|"
  | (Code extends "b1" | "?" | "i1" | "u1" ? ">" : never);

/**
 * Every native spelling of a NumPy type string, and the dtype that it names.
 *
 * @internal
 */
export type NumPySpellings = {
  [Code in keyof NumPyCodes as `${NativeOrder<Code>}${Code}`]: NumPyCodes[Code];
};

/**
 * A NumPy type string in a native spelling: `"f4"`, `"<f4"`, `"=f4"`, `"|u1"`, `"?"`.
 *
 * @internal
 */
export type NumPyTypeString = keyof NumPySpellings;

/**
 * The names of dtypes that npm `ndarray` has otherwise, and the dtype that each is.
 *
 * @internal
 */
export interface NdarrayNames {
  /** Unsigned integers of 8 bits that clamp. */
  uint8_clamped: "uint8c";
  /** Signed integers of 64 bits. */
  bigint64: "int64";
  /** Unsigned integers of 64 bits. */
  biguint64: "uint64";
}

/**
 * The names by which typed arrays call themselves, and the dtype that each is.
 *
 * @internal
 */
export interface ArrayTags {
  /** `Int8Array`. */
  Int8Array: "int8";
  /** `Uint8Array`. */
  Uint8Array: "uint8";
  /** `Uint8ClampedArray`. */
  Uint8ClampedArray: "uint8c";
  /** `Int16Array`. */
  Int16Array: "int16";
  /** `Uint16Array`. */
  Uint16Array: "uint16";
  /** `Int32Array`. */
  Int32Array: "int32";
  /** `Uint32Array`. */
  Uint32Array: "uint32";
  /** `BigInt64Array`. */
  BigInt64Array: "int64";
  /** `BigUint64Array`. */
  BigUint64Array: "uint64";
  /** `Float16Array`. */
  Float16Array: "float16";
  /** `Float32Array`. */
  Float32Array: "float32";
  /** `Float64Array`. */
  Float64Array: "float64";
}

/**
 * A constructor of typed arrays, for example `Float32Array`.
 *
 * @internal
 */
export type TypedArrayConstructor =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Uint8ClampedArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor
  | Float16ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor;

/**
 * Everything that names a dtype: the canonical name, npm `ndarray`'s name, the NumPy type string in any
 * native spelling, or the constructor of the typed array.
 */
export type DTypeLike = DType | keyof NdarrayNames | NumPyTypeString | TypedArrayConstructor;

/**
 * The canonical dtype that a {@linkcode DTypeLike} names, computed by the compiler.
 *
 * @template T the element type, in any accepted spelling
 */
export type DTypeOf<T extends DTypeLike> = T extends DType ? T
  : T extends keyof NdarrayNames ? NdarrayNames[T]
  : T extends NumPyTypeString ? NumPySpellings[T]
  : T extends TypedArrayConstructor ? TagOf<InstanceType<T>>
  : never;

/**
 * The dtype of a typed array, from the name by which it calls itself.
 *
 * @internal
 */
export type TagOf<A> = A extends
  { readonly [Symbol.toStringTag]: infer Tag extends keyof ArrayTags } ? ArrayTags[Tag]
  : never;

// Older versions of V8 have no Float16Array. Everything but float16 works there.
const constructors: { readonly [D in DType]: TypedArrayConstructor | undefined } = {
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
  float16: globalThis.Float16Array as Float16ArrayConstructor | undefined,
  float32: Float32Array,
  float64: Float64Array,
};

/** Every canonical dtype name, in the order of the table. */
export const dtypes: readonly DType[] = Object.freeze(Object.keys(numpyNames) as DType[]);

const bySpelling = new Map<unknown, DType>();
const byTag = new Map<string, DType>();
for (const dtype of dtypes) {
  bySpelling.set(dtype, dtype);
  // The type string of uint8c and the typed array of bool are those of uint8, and mean uint8.
  if (dtype !== "uint8c") {
    const code = numpyNames[dtype].slice(1);
    const orders = ["", "<", "=", "|", ...(code.endsWith("1") ? [">"] : [])];
    for (const order of orders) {
      bySpelling.set(order + code, dtype);
      if (dtype === "bool") bySpelling.set(order + "?", dtype);
    }
  }
  const constructor = constructors[dtype];
  if (dtype !== "bool" && constructor !== undefined) {
    bySpelling.set(constructor, dtype);
    byTag.set(constructor.name, dtype);
  }
}

const ndarrayNames: NdarrayNames = {
  uint8_clamped: "uint8c",
  bigint64: "int64",
  biguint64: "uint64",
};
for (const [name, dtype] of Object.entries(ndarrayNames)) bySpelling.set(name, dtype);

/**
 * Gives the canonical name of a dtype in any accepted spelling.
 *
 * @template T the element type, in any accepted spelling
 * @param like the name (`"float32"`), npm `ndarray`'s name (`"uint8_clamped"`), the NumPy type string in
 * a native spelling (`"<f4"`, `"=f4"`, `"f4"`, `"|u1"`, `"?"`), or the typed array's constructor
 * (`Float32Array`)
 * @returns the canonical name
 * @throws {TypeError} if it is none of these; for big-endian, complex, structured, string and object
 * dtypes the message says what to use instead
 *
 * @example Three spellings of one dtype
 * ```ts
 * import { parseDType } from "@shm/array/dtype";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseDType("float64"), "float64");
 * assertEquals(parseDType("<f8"), "float64");
 * assertEquals(parseDType(Float64Array), "float64");
 * ```
 *
 * @see {@link https://numpy.org/doc/stable/reference/arrays.interface.html | NumPy: type strings}
 */
export function parseDType<const T extends DTypeLike>(like: T): DTypeOf<T> {
  const dtype = bySpelling.get(like);
  if (dtype === undefined) throw fromCaller(unusable(complaint(like)), parseDType);
  return dtype as DTypeOf<T>;
}

function unusable(reason: string): TypeError {
  return new TypeError(`Cannot use this dtype: ${reason}`);
}

/** The error for a value that is not the canonical name of a dtype, where only that will do. */
function notCanonical(value: unknown): TypeError {
  const dtype = bySpelling.get(value);
  if (dtype === undefined) return unusable(complaint(value));
  const given = typeof value === "string" ? quote(value) : `the constructor of ${dtype}`;
  return unusable(`${given} is not its canonical name, which is "${dtype}": parseDType() gives it`);
}

/** Says why the table does not have a dtype, and what to use instead. */
function complaint(like: unknown): string {
  const accepted = `use one of ${dtypes.join(", ")}`;
  if (typeof like === "function") {
    return `the constructor ${
      shorten(like.name) || "(anonymous)"
    } makes no supported typed array; ${accepted}`;
  }
  if (Array.isArray(like) && Array.isArray(like[0])) {
    return `a list of fields is structured; use one array per field, each of one of ${
      dtypes.join(", ")
    }`;
  }
  if (typeof like !== "string") {
    return `${
      typeof like === "object" ? kindOf(like) : shorten(String(like))
    } names none; ${accepted}, ` +
      "a NumPy type string, or a typed array's constructor";
  }
  const quoted = quote(like);
  const code = like.replace(/^[<>=|]/, "");
  if (/^(c(8|16|32)|complex\d*|[DF])$/.test(code)) {
    return `${quoted} is complex; use float32 or float64 with a trailing axis of length 2 ` +
      "(real, imaginary)";
  }
  if (like.startsWith(">") && bySpelling.has(code)) {
    return `${quoted} is big-endian; shared memory holds this machine's byte order: use ` +
      `${
        JSON.stringify(bySpelling.has("<" + code) ? "<" + code : code)
      }, and let the other side convert with NumPy's byteswap()`;
  }
  if (/^([SUa]\d*|str|bytes|string)$/.test(code)) {
    return `${quoted} holds text; use uint8 with the text encoded by TextEncoder`;
  }
  if (/^(O|object)\d*$/.test(code)) {
    return `${quoted} holds pointers into one process's heap; ${accepted}`;
  }
  if (/^([Mm]8|datetime|timedelta)/.test(code)) {
    return `${quoted} holds dates; use int64 with the number of ticks`;
  }
  if (code === "V2" || code === "bfloat16") {
    return `${quoted} is ${
      code === "V2" ? "raw 2 bytes, as NumPy saves bfloat16" : "raw 2 bytes"
    }: ` +
      'view as uint16, in NumPy by array.view("uint16"): the bits stay, and the upper half of a float32 ' +
      "has the same";
  }
  if (code === "V1" || code.startsWith("float8")) {
    return `${quoted} is raw 1 byte: view as uint8, in NumPy by array.view("uint8")`;
  }
  if (/^V\d*$|[,{[]/.test(code)) {
    return `${quoted} is ${/^V/.test(code) ? "raw bytes, or it is " : ""}structured; ` +
      `use one array per field, each of one of ${dtypes.join(", ")}`;
  }
  const meant = sizeless.get(code);
  // NumPy's "f16" is a long double, of 16 bytes.
  const near = meant === undefined && code !== "f16" ? nearest(like) : undefined;
  return `${quoted} is unknown; ` +
    (meant === undefined ? "" : `NumPy's is ${meant}; `) +
    (near === undefined ? "" : `did you mean "${near}"? `) +
    `${near === undefined ? "" : "Otherwise "}use one of ${dtypes.join(", ")}, ` +
    'or a NumPy type string such as "<f4"' +
    (code === "f16" ? '; did you mean "float16", which is "<f2"?' : "");
}

/** The names that other languages have for some dtypes, in lower case, where they look different. */
const otherNames: ReadonlyMap<string, DType> = new Map([
  ["boolean", "bool"],
  ["byte", "int8"],
  ["sbyte", "int8"],
  ["ubyte", "uint8"],
  ["uchar", "uint8"],
  ["short", "int16"],
  ["ushort", "uint16"],
  ["long", "int64"],
  ["ulong", "uint64"],
  ["bigint", "int64"],
  ["biguint", "uint64"],
  ["number", "float64"],
]);

/** Finds the dtype that a nearly right name means: "f32", "Float32Array", "unit8". */
function nearest(like: string): DType | undefined {
  // Nobody means a dtype by a long text.
  if (like.length > 24) return undefined;
  const plain = like.toLowerCase().replaceAll(/[^a-z0-9]|array$|_t$/g, "");
  if (plain.includes("clamped")) return "uint8c";
  const other = otherNames.get(plain);
  if (other !== undefined) return other;
  const [, letters, digits] = /^([a-z]+)(\d*)/.exec(plain) ?? [];
  if (letters === undefined) return undefined;
  const kind = abbreviations.get(letters) ?? letters;
  // The digits must be right: nobody means int16 by "int128".
  return dtypes.filter((dtype) => dtype.replace(/\D+/, "") === digits)
    .map((dtype) => ({ dtype, far: editDistance(kind, dtype.replace(/\d.*/, "")) }))
    .filter(({ far }) => far <= 2)
    .sort((a, b) => a.far - b.far)[0]?.dtype;
}

/** The letters before the number of bits. */
const abbreviations: ReadonlyMap<string, string> = new Map([
  ["f", "float"],
  ["fp", "float"],
  ["i", "int"],
  ["s", "int"],
  ["u", "uint"],
  ["bigint", "int"],
  ["biguint", "uint"],
]);

/** NumPy's names and letters without a size, and the dtype that each of them means on Linux. */
const sizeless: ReadonlyMap<string, DType> = new Map([
  ["float", "float64"],
  ["double", "float64"],
  ["single", "float32"],
  ["half", "float16"],
  ["int", "int64"],
  ["uint", "uint64"],
  ["b", "int8"],
  ["B", "uint8"],
  ["h", "int16"],
  ["H", "uint16"],
  ["i", "int32"],
  ["I", "uint32"],
  ["l", "int64"],
  ["L", "uint64"],
  ["q", "int64"],
  ["Q", "uint64"],
  ["e", "float16"],
  ["f", "float32"],
  ["d", "float64"],
]);

/**
 * Gives the size of one element.
 *
 * @param dtype a canonical dtype name
 * @returns the size in bytes
 * @throws {TypeError} if it is none: {@linkcode parseDType} makes one of another spelling
 *
 * @example Bytes of a float16
 * ```ts
 * import { bytesPerElement } from "@shm/array/dtype";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bytesPerElement("float16"), 2);
 * ```
 */
export function bytesPerElement(dtype: DType): number {
  const name: unknown = numpyNames[dtype];
  if (typeof name !== "string") throw fromCaller(notCanonical(dtype), bytesPerElement);
  return Number(name[2]);
}

/**
 * Gives the type string by which NumPy names a dtype, for the other side of a segment.
 *
 * @param dtype a canonical dtype name
 * @returns the type string, with byte order: `"<f4"`, `"|u1"`
 * @throws {TypeError} if it is none: {@linkcode parseDType} makes one of another spelling
 *
 * @example What to tell NumPy
 * ```ts
 * import { numpyTypeString } from "@shm/array/dtype";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(numpyTypeString("uint16"), "<u2");
 * assertEquals(numpyTypeString("bool"), "|b1");
 * ```
 *
 * @see {@link https://numpy.org/doc/stable/reference/arrays.interface.html | NumPy: type strings}
 */
export function numpyTypeString(dtype: DType): string {
  const name: unknown = numpyNames[dtype];
  if (typeof name !== "string") throw fromCaller(notCanonical(dtype), numpyTypeString);
  return name;
}

/**
 * Gives the constructor of the typed array that holds a dtype's elements.
 *
 * @template D the element type, by its canonical name
 * @param dtype a canonical dtype name
 * @returns the constructor: `Float32Array` for `"float32"`, `Uint8Array` for `"bool"`
 * @throws {TypeError} for `"float16"`, where the runtime has no `Float16Array`; if it is no canonical name
 *
 * @example Allocate on the heap what matches a shared array
 * ```ts
 * import { typedArrayOf } from "@shm/array/dtype";
 * import { assertEquals } from "@std/assert";
 *
 * const heap = new (typedArrayOf("int64"))(3);
 * assertEquals(heap, new BigInt64Array(3));
 * ```
 */
export function typedArrayOf<D extends DType>(dtype: D): TypedArrayMaker<D> {
  const constructor = constructors[dtype];
  if (constructor === undefined || typeof numpyNames[dtype] !== "string") {
    throw fromCaller(
      dtype === "float16"
        ? new TypeError(
          "Cannot use dtype float16: this runtime has no Float16Array; a newer Deno has",
        )
        : notCanonical(dtype),
      typedArrayOf,
    );
  }
  return constructor as unknown as TypedArrayMaker<D>;
}

/**
 * A constructor of the typed arrays that hold dtype `D`.
 *
 * @internal
 */
export interface TypedArrayMaker<D extends DType> {
  /** Makes a zero-filled typed array of `length` elements on the heap. */
  new (length: number): TypedArrayOf<D>;
  /** Copies a typed array of the same kind. */
  new (source: TypedArrayOf<D>): TypedArrayOf<D>;
  /** Makes a typed array of `length` elements over `buffer`, from byte `byteOffset` on. */
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArrayOf<D>;
}

/**
 * Tells the dtype of a typed array; for a `Uint8Array` this is `"uint8"`, never `"bool"`.
 *
 * @param value anything
 * @returns the dtype, or `null` where the value is no typed array
 *
 * @example Ask a typed array
 * ```ts
 * import { dtypeOf } from "@shm/array/dtype";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(dtypeOf(new Float32Array(2)), "float32");
 * assertEquals(dtypeOf([1, 2]), null);
 * ```
 */
export function dtypeOf(value: unknown): DType | null {
  // The getter %TypedArray%.prototype[@@toStringTag] reads an internal slot. So it ignores properties
  // of that name, it knows subclasses (node's Buffer) and arrays of other realms, and never throws.
  const tag = readTag.call(value) as string | undefined;
  return tag === undefined ? null : byTag.get(tag) ?? null;
}

const readTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;
