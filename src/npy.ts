/**
 * NumPy's `.npy` files: read straight into shared memory, and written from any view. The elements go
 * to and from the mapping itself, with no second copy in the heap. A file may also be given as its bytes: one
 * that was fetched, or unpacked from a `.npz`.
 *
 * {@linkcode readNpy} makes a shared array of a file: it needs Linux or macOS, and in Deno the permissions
 * `--allow-ffi` and (for a path) `--allow-read`. {@linkcode writeNpy} writes any view byte for byte as `numpy.save`
 * does: it needs `--allow-write`, and works in every system.
 *
 * @example Write an array to a file, read it back into shared memory
 * ```ts
 * import { NDArray, SharedMemoryRegister } from "@shm/array";
 * import { readNpy, writeNpy } from "@shm/array/npy";
 *
 * const path = Deno.makeTempFileSync({ suffix: ".npy" });
 * const elements = Float32Array.of(1, 2, 3, 4, 5, 6);
 * writeNpy(path, new NDArray(elements, { shape: [2, 3] }));
 *
 * using register = new SharedMemoryRegister();
 * const { sma, view } = readNpy(path, register);
 * console.log(String(view)); // [[1. 2. 3.] [4. 5. 6.]]
 * sma.close();
 * Deno.removeSync(path);
 * ```
 *
 * @see {@link https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html | NumPy: the format}
 *
 * @module
 */

import { type OpenFile, runtime } from "../ffi/runtime/mod.ts";
import { isDetached, isMarkedAs, kindOf, listText, quote, readOptions, shorten } from "./check.ts";
import {
  bytesPerElement,
  type DType,
  type DTypeLike,
  type DTypeOf,
  dtypeOf,
  numpyTypeString,
  parseDType,
  type TypedArrayOf,
  typedArrayOf,
} from "./dtype.ts";
import { badResource, fromCaller } from "./errors.ts";
import { checkShape, NDArray, slice } from "./ndarray/mod.ts";
import { makeName } from "./segment/mod.ts";
import { checkRegister, makeRegistered, type RegisterSmaOptions } from "./shared_array/register.ts";
import { SharedMemoryArray } from "./shared_array/shared_memory_array.ts";

const MAGIC = "\x93NUMPY";

/** NumPy puts the first element at a multiple of this many bytes. */
const ALIGNMENT = 64;

/** NumPy leaves space for a first axis of this many digits, so that a file can grow. */
const GROWTH_DIGITS = 21;

/** NumPy's arrays have no more axes. */
const MAX_AXES = 64;

/** Far more than any header needs; a file that promises more is none. */
const MAX_HEADER_BYTES = 2 ** 24;

/** How many bytes are converted or gathered at a time: they stay in the processor's cache. */
const PIECE_BYTES = 2 ** 18;

/**
 * Where {@linkcode readNpy} finds a file: its path, its `file:` URL, or all its bytes, whose buffer may be that of
 * a segment, too.
 */
export type NpySource = string | URL | ArrayBufferLike | ArrayBufferView<ArrayBufferLike>;

/**
 * How {@linkcode readNpy} reads a file, and what it makes of it.
 *
 * @template T the element type, in any accepted spelling
 */
export interface ReadNpyOptions<T extends DTypeLike = DTypeLike> extends RegisterSmaOptions {
  /** The segment's name, which must be free; by default a new one is made. */
  name?: string;
  /** The caller's part of the name that is made; by default `"npy"`. */
  prefix?: string;
  /**
   * What the element type must be, in any accepted spelling; the compiler then knows it. A file of `uint8` is
   * one of `uint8c`, too. By default whatever stands in the file.
   */
  dtype?: T;
  /**
   * What becomes of complex elements: with `"pairs"` they get a trailing axis of length 2, the real and the
   * imaginary part, of `float32` or `float64`. Other elements are read as ever. By default complex elements are
   * refused.
   */
  complex?: "pairs";
}

/**
 * An array that {@linkcode readNpy} read.
 *
 * @template T the element type, by its canonical name
 */
export interface NpyArray<T extends DType = DType> {
  /**
   * The array in shared memory, attached, which the caller closes. It describes what the file says: its shape,
   * and of a file in Fortran order a `layout` with the strides, so that every program that loads it by this
   * description sees the file's axes.
   */
  sma: SharedMemoryArray<T>;
  /** The whole array: `sma.array`. */
  view: NDArray<T>;
}

/**
 * Reads a `.npy` file of version 1.0, 2.0 or 3.0 into a new array in shared memory. The file is compared
 * with what its header promises before anything is made, so that a file that is refused leaves nothing.
 *
 * Big-endian elements are converted while they are read. Complex elements are read on demand
 * (`complex: "pairs"`). Structured, text and object dtypes are refused, and so are empty arrays, because a segment
 * cannot be empty.
 *
 * @template T the element type of the option `dtype`, in any accepted spelling
 * @param source the file: its path, its URL, or its bytes
 * @param register what the segment's name is pushed into: an array, or a `SharedMemoryRegister`
 * @param options the segment's name, permission bits, whether to reserve the memory, whether the segment is
 * anonymous; the element type that is expected; and what becomes of complex elements
 * @returns the array, created and attached, and the view of it that has the file's axes
 * @throws {TypeError} if an argument or an option is of the wrong kind or unknown, the URL is none of a file, the
 * file is no `.npy` file, its header cannot be read, or the dtype has no typed array
 * @throws {RangeError} if the file is shorter or longer than its header promises, or the array is empty; if the
 * elements are of another type than `dtype`; if the name, the prefix or an option is wrong
 * @throws {Deno.errors.NotFound} if there is no such file; and whatever else Deno's file system throws
 * @throws {Deno.errors.AlreadyExists} if the `name` is taken (`EEXIST`)
 * @throws {Deno.errors.BadResource} if the memory of the bytes is gone
 * @throws {Error} as `create()` of a shared array throws: with code `ENOSPC` if shared memory is full
 *
 * @example Read a file that was typed by hand
 * ```ts
 * import { SharedMemoryRegister } from "@shm/array";
 * import { readNpy } from "@shm/array/npy";
 * import { assertEquals } from "@std/assert";
 *
 * const header = `{"descr": ">u2", "fortran_order": False, "shape": (2,)}\n`;
 * const file = new Uint8Array([
 *   ...[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0],
 *   ...new TextEncoder().encode(header),
 *   ...[1, 0, 0, 2], // 256 and 2, the higher byte first
 * ]);
 *
 * using register = new SharedMemoryRegister();
 * const { sma, view } = readNpy(file, register, { dtype: "uint16", prefix: "typed" });
 * using _attached = sma;
 * assertEquals(view.toArray(), [256, 2]);
 * ```
 *
 * @example Read complex elements from a file
 * ```ts
 * import { SharedMemoryRegister } from "@shm/array";
 * import { readNpy } from "@shm/array/npy";
 * import { assertEquals } from "@std/assert";
 *
 * const header = `{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }\n`;
 * const path = Deno.makeTempFileSync({ suffix: ".npy" });
 * Deno.writeFileSync(path, new Uint8Array([
 *   ...[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0],
 *   ...new TextEncoder().encode(header),
 *   ...new Uint8Array(Float32Array.of(1, 2, 3, -4).buffer), // 1 + 2i and 3 - 4i
 * ]));
 *
 * using register = new SharedMemoryRegister();
 * const { sma, view } = readNpy(path, register, { complex: "pairs", dtype: "float32" });
 * using _attached = sma;
 * assertEquals(view.toArray(), [[1, 2], [3, -4]]);
 * Deno.removeSync(path);
 * ```
 *
 * @see {@link https://numpy.org/doc/stable/reference/generated/numpy.load.html | NumPy: load}
 */
export function readNpy<const T extends DTypeLike = DType>(
  source: NpySource,
  register: { push(name: string): unknown },
  options?: ReadNpyOptions<T>,
): NpyArray<DTypeOf<T>> {
  try {
    const bytes = checkSource(source);
    checkRegister(register);
    const wanted = checkReadOptions(options, register);
    const made = bytes !== null
      ? readFrom(bytes, "Cannot read the bytes of a .npy file", wanted)
      : withFile(
        source as string | URL,
        "read",
        (file) => readFrom(file, `Cannot read ${quote(String(source))}`, wanted),
      );
    return made as NpyArray<DType> as NpyArray<DTypeOf<T>>;
  } catch (error) {
    throw fromCaller(error, readNpy, [register?.push]);
  }
}

/** What is read of a file. */
type Source = Pick<OpenFile, "isFile" | "size" | "read">;

/** The options of a call, checked. */
interface Wanted {
  readonly dtype: DType | null;
  readonly pairs: boolean;
  /** Makes the array and registers it. */
  readonly make: ReturnType<typeof makeRegistered>;
}

function readFrom(
  file: Source,
  failure: string,
  { dtype: expected, pairs, make }: Wanted,
): NpyArray {
  const header = readHeader(file, failure, pairs);
  const { isSwapped, fortranOrder, shape } = header;
  const dtype = expected ?? header.dtype;
  // A file cannot tell clamped bytes from others.
  if (numpyTypeString(dtype) !== numpyTypeString(header.dtype)) {
    throw new RangeError(`${failure} as ${dtype}: its elements are of ${header.dtype}`);
  }
  const axes = header.isComplex ? [...shape, 2] : shape;
  const isFortran = fortranOrder && shape.length > 1;
  const layout = isFortran ? { stride: fortranStride(shape, header.isComplex) } : null;
  return make(axes, dtype, layout, (sma, view) => {
    const fileOrder = shape.map((_, axis) => shape.length - 1 - axis);
    const inOrder = !isFortran
      ? view
      : view.transpose(header.isComplex ? [...fileOrder, shape.length] : fileOrder);
    readElements(file, inOrder.subarray(), isSwapped);
    return { sma, view };
  });
}

/**
 * Writes a view to a `.npy` file, byte for byte as `numpy.save` does: in Fortran order if the elements
 * lie so, else in C order. Elements that lie side by side are written from where they are; others are
 * gathered to large pieces first.
 *
 * The header is written last: if writing fails in the middle, for example because the disk is full, the rest is
 * no `.npy` file, and no program takes it for a whole one.
 *
 * @param path the file, replaced if it is there
 * @param view any view, whatever its strides; it is not changed
 * @throws {TypeError} if an argument is of the wrong kind
 * @throws {RangeError} if the view has more than 64 axes, which NumPy's arrays cannot have
 * @throws {Deno.errors.BadResource} if the memory of the view is gone
 * @throws {Deno.errors.NotFound} if there is no such folder; and whatever else Deno's file system throws
 *
 * @example Write every second column, in reverse
 * ```ts
 * import { NDArray } from "@shm/array";
 * import { writeNpy } from "@shm/array/npy";
 * import { assertEquals } from "@std/assert";
 *
 * const path = Deno.makeTempFileSync({ suffix: ".npy" });
 * const view = new NDArray(Uint8Array.of(1, 2, 3, 4, 5, 6), { shape: [2, 3] });
 * writeNpy(path, view.slice(":", "::-2"));
 * assertEquals(Deno.readFileSync(path).subarray(128), Uint8Array.of(3, 1, 6, 4));
 * Deno.removeSync(path);
 * ```
 *
 * @see {@link https://numpy.org/doc/stable/reference/generated/numpy.save.html | NumPy: save}
 */
export function writeNpy(
  path: string | URL,
  view: NDArray<DType, number, ArrayBufferLike>,
): void {
  try {
    checkPath(path);
    checkView(view);
    const isFortran = !view.isContiguous() && view.transpose().isContiguous();
    const header = makeHeader(view, isFortran);
    const inOrder = isFortran ? view.transpose() : view;
    const { data, shape, stride, offset } = inOrder;
    // A bool is written as the byte that it is, also where another program stored neither 0 nor 1.
    const isBool = inOrder.dtype === "bool";
    const elements: NDArray = isBool ? new NDArray(data, { shape, stride, offset }) : inOrder;

    withFile(path, "write", (file) => {
      if (!file.isSeekable) {
        writeFully(file, header);
        return writeElements(file, elements);
      }
      // An old file is written over, not emptied first: ext4 sends the new blocks of a file that was emptied to
      // the disk when it is closed, and a program that empties it again waits for the disk.
      writeFully(file, new Uint8Array(header.length));
      writeElements(file, elements);
      const end = header.length + view.size * bytesPerElement(view.dtype);
      if (file.size > end) file.truncate(end);
      file.rewind();
      writeFully(file, header);
    });
  } catch (error) {
    throw fromCaller(error, writeNpy);
  }
}

/** Opens a file, and closes it in the end. Old engines cannot read a program that has `using` in it. */
function withFile<R>(path: string | URL, mode: "read" | "write", body: (file: OpenFile) => R): R {
  const file = runtime().openFile(path, mode);
  try {
    return body(file);
  } finally {
    file.close();
  }
}

/** The strides of Fortran order, in elements: the first axis is the fastest, but for the two parts of an element. */
function fortranStride(shape: readonly number[], isComplex: boolean): number[] {
  let distance = isComplex ? 2 : 1;
  const strides = shape.map((length) => {
    const own = distance;
    distance *= length;
    return own;
  });
  return isComplex ? [...strides, 1] : strides;
}

// --- Arguments -------------------------------------------------------------------------------

function checkPath(path: unknown): asserts path is string | URL {
  if (typeof path !== "string" && !(path instanceof URL)) {
    throw new TypeError(
      `Cannot write a .npy file: the path must be a string or a URL, not ${kindOf(path)}`,
    );
  }
  checkUrl(path, "write");
}

/** Checks that a URL is that of a file. */
function checkUrl(path: string | URL, action: string): void {
  const [, scheme] = /^([a-z][a-z\d+.-]+:)/i.exec(String(path)) ?? [];
  if (scheme === undefined) return;
  if (typeof path === "string") {
    // A folder can be called "https:", but who means it writes "./https:".
    if (!path.startsWith("//", scheme.length)) return;
    if (scheme.toLowerCase() === "file:") {
      throw new TypeError(
        `Cannot ${action} ${quote(path)}: the text is a URL and no path; give new URL(…) of it`,
      );
    }
  } else if (scheme === "file:") {
    return;
  }
  throw new TypeError(
    `Cannot ${action} ${quote(String(path))}: only a URL of a file (file:) can be used` +
      (action === "read"
        ? "; give the bytes of another one: await (await fetch(url)).bytes()"
        : "; give a path"),
  );
}

/**
 * Checks where a file is.
 *
 * @returns how to read the bytes; `null` where it is a path or a URL
 */
function checkSource(source: unknown): Source | null {
  if (typeof source === "string" || source instanceof URL) {
    checkUrl(source, "read");
    return null;
  }
  if (ArrayBuffer.isView(source)) return sourceOf(source.buffer, source);
  const tag = Object.prototype.toString.call(source);
  if (tag === "[object ArrayBuffer]" || tag === "[object SharedArrayBuffer]") {
    return sourceOf(source as ArrayBufferLike);
  }
  throw new TypeError(
    "Cannot read a .npy file: the source must be a path, a URL or bytes, not " + kindOf(source) +
      (isView(source)
        ? "; a view has elements and is no file"
        : typeof (source as Blob | null)?.arrayBuffer === "function"
        ? "; await its arrayBuffer()"
        : ""),
  );
}

/** Makes a source of bytes. They may be gone before all of them are read: the register's push() can close them. */
function sourceOf(buffer: ArrayBufferLike, view?: ArrayBufferView): Source {
  if (isDetached(buffer)) {
    throw badResource(
      "Cannot read the bytes of a .npy file: their memory is gone; it was closed, moved or transferred",
    );
  }
  const bytes = new Uint8Array(
    buffer,
    view?.byteOffset ?? 0,
    view?.byteLength ?? buffer.byteLength,
  );
  let at = 0;
  return {
    isFile: true,
    size: bytes.length,
    read(target) {
      const piece = bytes.subarray(at, at + target.length);
      target.set(piece);
      at += piece.length;
      return piece.length;
    },
  };
}

/** Checks the options of {@linkcode readNpy}, so that nothing but the file can be wrong after that. */
function checkReadOptions(
  options: ReadNpyOptions | undefined,
  register: { push(name: string): unknown },
): Wanted {
  const { dtype, complex, name, prefix, ...making } = readOptions<ReadNpyOptions>(
    options,
    {
      name: "string",
      prefix: "string",
      mode: "any",
      reserve: "any",
      describe: "any",
      anonymous: "any",
      memory: "any",
      dtype: "any",
      complex: 'string such as "pairs"',
    },
    "read a .npy file",
  );
  if (complex !== undefined && complex !== "pairs") {
    throw new RangeError(
      `Cannot read a .npy file: complex must be "pairs", not ${quote(complex)}`,
    );
  }
  const ownPrefix = prefix ?? (name === undefined ? "npy" : undefined);
  makeName(ownPrefix, SharedMemoryArray.COUNTER + 1); // throws if the prefix is none; the name is made later
  return {
    dtype: dtype === undefined ? null : parseDType(dtype),
    pairs: complex === "pairs",
    make: makeRegistered(ownPrefix, making, register, name),
  };
}

/** Whether a value is a view, of whatever copy of this package. */
function isView(value: unknown): value is NDArray {
  return isMarkedAs(value, "NDArray");
}

function checkView(view: unknown): asserts view is NDArray {
  if (!isView(view)) {
    const isShared = typeof view === "object" && view !== null && "array" in view;
    throw new TypeError(
      `Cannot write a .npy file: the view must be an NDArray, not ${kindOf(view)}` +
        (isShared
          ? "; give its array"
          : dtypeOf(view) !== null
          ? "; new NDArray(data, { shape }) is one of a typed array"
          : ""),
    );
  }
  if (view.ndim > MAX_AXES) {
    throw new RangeError(
      `Cannot write a .npy file: the view has ${view.ndim} axes, and NumPy's arrays have at most ` +
        MAX_AXES,
    );
  }
  view.isContiguous(); // throws if the memory is gone: before a file is replaced
  if (view.size > 0) view.index(...view.shape.map(() => 0));
}

// --- The header ------------------------------------------------------------------------------

interface Header {
  /** That of the two parts, where the elements are complex. */
  dtype: DType;
  isComplex: boolean;
  /** Whether the elements have the other byte order. */
  isSwapped: boolean;
  fortranOrder: boolean;
  shape: readonly number[];
}

/**
 * Reads up to the first element.
 *
 * @param failure how a message begins: "Cannot read …"
 * @param pairs whether complex elements are read
 * @throws if the file is not exactly as long as the header promises
 */
function readHeader(file: Source, failure: string, pairs: boolean): Header {
  const start = new Uint8Array(MAGIC.length + 2);
  const isStarted = readUpTo(file, start) === start.length;
  const [major, minor] = start.subarray(MAGIC.length);
  if (!isStarted || String.fromCharCode(...start.subarray(0, MAGIC.length)) !== MAGIC) {
    const isZip = isStarted && String.fromCharCode(...start.subarray(0, 4)) === "PK\x03\x04";
    throw new TypeError(
      `${failure}: it is no .npy file` +
        (isZip
          ? ", but a ZIP file, as a .npz is; unpack it, and give the bytes of one of its .npy files"
          : ""),
    );
  }
  if (major < 1 || major > 3 || minor !== 0) {
    throw new TypeError(
      `${failure}: it is of version ${major}.${minor}, and only 1.0, 2.0 and 3.0 are known`,
    );
  }
  const cutOff = `${failure}: it ends too early`;
  const lengthBytes = new Uint8Array(major === 1 ? 2 : 4);
  if (readUpTo(file, lengthBytes) < lengthBytes.length) throw new RangeError(cutOff);
  const length = lengthBytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const size = sizeOfFile(file, failure);
  const before = start.length + lengthBytes.length + length;
  if (before > size) throw new RangeError(`${cutOff}: in its header`);
  if (length > MAX_HEADER_BYTES) {
    throw new RangeError(
      `${failure}: its header has ${length} bytes, and at most ${MAX_HEADER_BYTES} are read`,
    );
  }
  const bytes = new Uint8Array(length);
  if (readUpTo(file, bytes) < length) throw new RangeError(`${cutOff}: in its header`);
  const header = parseHeader(decodeHeader(bytes, major, failure), failure, pairs);

  const promised = header.shape.reduce((a, b) => a * b, bytesOfElement(header));
  const found = size - before;
  if (found !== promised) {
    const what = `shape ${listText(header.shape)} of ${
      header.isComplex ? "pairs of " : ""
    }${header.dtype} is ${promised} bytes`;
    throw new RangeError(
      found < promised
        ? `${cutOff}: ${what}, and ${found} follow its header`
        : `${failure}: ${found - promised} bytes follow its elements; ${what}`,
    );
  }
  return header;
}

/** The bytes of an element of the file. */
function bytesOfElement({ dtype, isComplex }: Pick<Header, "dtype" | "isComplex">): number {
  return bytesPerElement(dtype) * (isComplex ? 2 : 1);
}

function sizeOfFile(file: Source, failure: string): number {
  const { isFile, size } = file;
  if (!isFile) {
    throw new TypeError(`${failure}: it is no regular file, so that its size cannot be known`);
  }
  return size;
}

function decodeHeader(bytes: Uint8Array, major: number, failure: string): string {
  try {
    return new TextDecoder(major < 3 ? "latin1" : "utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new TypeError(`${failure}: its header is not in UTF-8`);
  }
}

/** The keys of a header; NumPy writes and reads exactly these. */
const KEYS = ["descr", "fortran_order", "shape"];

function parseHeader(text: string, failure: string, pairs: boolean): Header {
  const header = new LiteralReader(text, `${failure}: its header`).readAll();
  const fail = (reason: string): never => {
    throw new TypeError(`${failure}: ${reason}`);
  };
  if (header.kind !== "dictionary") return fail(`its header is no dictionary: ${brief(header)}`);
  const keys = [...header.items.keys()].sort();
  if (keys.join() !== KEYS.join()) {
    fail(
      `its header has the keys ${shorten(keys.map(quote).join(", ")) || "none"}, not ${
        KEYS.join(", ")
      }`,
    );
  }
  const [descr, order, shape] = KEYS.map((key) => header.items.get(key)!);
  if (order.kind !== "boolean") {
    return fail(`fortran_order is neither True nor False: ${brief(order)}`);
  }
  if (shape.kind !== "tuple") return fail(`the shape is no tuple of integers: ${brief(shape)}`);
  const lengths = shape.items.map((length) =>
    length.kind === "integer"
      ? length.value
      : fail(`the shape is no tuple of integers: ${brief(shape)}`)
  );
  const dtype = parseDescr(descr, pairs);
  const count = lengths.length + (dtype.isComplex ? 1 : 0);
  if (count > MAX_AXES) {
    throw new RangeError(
      `${failure}: it has ${count} axes${dtype.isComplex ? ", with that of the pairs" : ""}, ` +
        `and NumPy's arrays have at most ${MAX_AXES}`,
    );
  }
  const bytes = bytesOfElement(dtype);
  if (lengths.some((length) => length < 0)) {
    throw new RangeError(`${failure}: its shape ${listText(lengths)} has a negative length`);
  }
  const size = lengths.reduce((product, length) => product * length, 1n);
  if (size === 0n) {
    throw new RangeError(
      `${failure}: its shape ${listText(lengths)} has no elements, and a segment cannot be empty`,
    );
  }
  if (size * BigInt(bytes) > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(
      `${failure}: it ends too early: its shape ${listText(lengths)} is beyond 2^53 - 1 bytes`,
    );
  }
  return { ...dtype, fortranOrder: order.value, shape: checkShape(lengths.map(Number)) };
}

/** Finds the dtype of `descr`: a type string, in either byte order. */
function parseDescr(
  descr: Literal,
  pairs: boolean,
): Pick<Header, "dtype" | "isSwapped" | "isComplex"> {
  // If `descr` is no string, it describes a structure. parseDType() recognizes its text by the brackets.
  const code = descr.kind === "string" ? descr.value : descr.text;
  const part = partOf(code);
  if (part !== null) {
    if (pairs) return { dtype: part, isSwapped: code.startsWith(">"), isComplex: true };
    throw new TypeError(
      `Cannot use this dtype: ${
        quote(code)
      } is complex; readNpy() with the option complex: "pairs" ` +
        `makes ${part} of it, with a trailing axis of length 2 (real, imaginary)`,
    );
  }
  const native = /^>[iuf][248]$/.test(code) ? code.replace(">", "<") : code;
  return {
    dtype: parseDType(native as DTypeLike),
    isSwapped: native !== code,
    isComplex: false,
  };
}

/** The dtype of the two parts of a complex element; `null` if it is none, or has no typed array. */
function partOf(code: string): DType | null {
  const [, letters, name] = /^(?:[<>=|]?(c8|c16|F|D)|(complex64|complex128))$/.exec(code) ?? [];
  const complex = letters ?? name;
  if (complex === undefined) return null;
  return /^(c8|F|complex64)$/.test(complex) ? "float32" : "float64";
}

/** Makes what is before the first element, as NumPy does. */
function makeHeader(view: NDArray, isFortran: boolean): Uint8Array<ArrayBuffer> {
  const { shape } = view;
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const dictionary = `{'descr': '${numpyTypeString(view.dtype)}', ` +
    `'fortran_order': ${isFortran ? "True" : "False"}, 'shape': ${tuple}, }`;
  const growing = isFortran ? shape.at(-1) : shape.at(0);
  const spare = growing === undefined ? 0 : GROWTH_DIGITS - String(growing).length;
  const text = dictionary + " ".repeat(spare);
  const before = MAGIC.length + 4;
  const padding = ALIGNMENT - (before + text.length + 1) % ALIGNMENT;
  const padded = text + " ".repeat(padding) + "\n";
  const all = `${MAGIC}\x01\x00` +
    String.fromCharCode(padded.length & 0xff, padded.length >> 8) + padded;
  return Uint8Array.from(all, (character) => character.charCodeAt(0));
}

// --- Python's literals -----------------------------------------------------------------------

/** A value as Python's source writes it, with that text. */
type Literal =
  & { readonly text: string }
  & (
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "integer"; readonly value: bigint }
    | { readonly kind: "boolean"; readonly value: boolean }
    | { readonly kind: "None" }
    | { readonly kind: "tuple" | "list"; readonly items: readonly Literal[] }
    | { readonly kind: "dictionary"; readonly items: ReadonlyMap<string, Literal> }
  );

/** A literal without its text. */
type Content = Literal extends infer L ? L extends Literal ? Omit<L, "text"> : never : never;

function brief(literal: Literal): string {
  return shorten(literal.text);
}

/** Python 3 nests brackets no deeper. */
const MAX_NESTING = 200;

/** What a character after a backslash stands for; a line break stands for nothing. */
const escapes: { readonly [character: string]: string } = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Reads a literal of Python 2 or 3, as `ast.literal_eval()` does; complex and real numbers excepted. */
class LiteralReader {
  readonly #text: string;
  readonly #subject: string;
  #at = 0;

  constructor(text: string, subject: string) {
    this.#text = text;
    this.#subject = subject;
  }

  /** Reads the whole text, which is one literal. */
  readAll(): Literal {
    const literal = this.#value(0);
    this.#skip();
    if (this.#at < this.#text.length) this.#fail();
    return literal;
  }

  #fail(): never {
    const rest = this.#text.slice(this.#at, this.#at + 100).trim();
    throw new TypeError(
      `${this.#subject} cannot be read ` +
        (rest === "" ? "to its end" : `from character ${this.#at} on: ${quote(rest)}`),
    );
  }

  /** Takes what a sticky expression matches here; `null` where it does not match. */
  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at = pattern.lastIndex;
    return match[0];
  }

  /** Takes spaces, line breaks and comments, and then a sign if it is the next one. */
  #takeSign(sign: string): boolean {
    this.#skip();
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #skip(): void {
    while (this.#take(/[ \t\f\r\n]+|#[^\n]*|\\\r?\n(?=[^])/y) !== null);
  }

  #value(depth: number): Literal {
    if (depth > MAX_NESTING) this.#fail();
    this.#skip();
    const start = this.#at;
    const content = this.#content(depth);
    return { ...content, text: this.#text.slice(start, this.#at) } as Literal;
  }

  #content(depth: number): Content {
    if (this.#takeSign("{")) return this.#dictionary(depth);
    if (this.#takeSign("[")) return { kind: "list", items: this.#items("]", depth).items };
    if (this.#takeSign("(")) {
      const { items, isTuple } = this.#items(")", depth);
      return isTuple ? { kind: "tuple", items } : items[0];
    }
    const word = this.#take(/(?:True|False|None)(?!\w)/y);
    if (word === "None") return { kind: "None" };
    if (word !== null) return { kind: "boolean", value: word === "True" };
    return this.#integer() ?? this.#string() ?? this.#fail();
  }

  #dictionary(depth: number): Content {
    const items = new Map<string, Literal>();
    while (!this.#takeSign("}")) {
      const key = this.#value(depth + 1);
      if (key.kind !== "string" || !this.#takeSign(":")) return this.#fail();
      items.set(key.value, this.#value(depth + 1));
      if (!this.#takeSign(",") && this.#text[this.#at] !== "}") this.#fail();
    }
    return { kind: "dictionary", items };
  }

  /** Reads to a closing bracket. One item without a comma is no tuple, but stands in brackets. */
  #items(closing: string, depth: number): { items: Literal[]; isTuple: boolean } {
    const items: Literal[] = [];
    let hasComma = false;
    while (!this.#takeSign(closing)) {
      items.push(this.#value(depth + 1));
      if (this.#takeSign(",")) hasComma = true;
      else if (this.#text[this.#at] !== closing) this.#fail();
    }
    return { items, isTuple: hasComma || items.length === 0 };
  }

  /** An integer; Python 2 wrote an L behind a long one. */
  #integer(): Content | null {
    const text = this.#take(
      /(?:[+-][ \t\f\r\n]*)?(?:0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|[1-9](?:_?\d)*|0+(?:_0+)*)L?(?![\w.])/y,
    );
    if (text === null) return null;
    // Python reads longer numbers only on request, and no file is that large.
    if (text.length > 4300) return this.#fail();
    const [, sign, digits] = /^([+-]?)\s*(.*?)L?$/.exec(text.replaceAll("_", ""))!;
    return { kind: "integer", value: sign === "-" ? -BigInt(digits) : BigInt(digits) };
  }

  /** Strings that follow each other are one. */
  #string(): Content | null {
    let value: string | null = null;
    for (;;) {
      this.#skip();
      const opening = this.#take(/[uUrR]?(?:'''|"""|'|")/y);
      if (opening === null) return value === null ? null : { kind: "string", value };
      const isRaw = /^r/i.test(opening);
      value = (value ?? "") + this.#untilQuote(opening.replace(/^\w/, ""), isRaw);
    }
  }

  #untilQuote(quotes: string, isRaw: boolean): string {
    let value = "";
    while (!this.#text.startsWith(quotes, this.#at)) {
      const plain = this.#take(quotes.length === 3 ? /[^\\'"]+/y : /[^\\'"\n]+/y);
      if (plain !== null) value += plain;
      else if (this.#text[this.#at] === "\\") value += this.#escape(isRaw);
      else value += this.#take(/['"]/y) ?? this.#fail();
    }
    this.#at += quotes.length;
    return value;
  }

  #escape(isRaw: boolean): string {
    const text = this.#take(
      /\\(?:x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{1,3}|\r\n|[^])/y,
    );
    if (text === null) return this.#fail();
    if (isRaw) return text;
    const code = text.slice(1);
    const isHex = /^[xuU]./.test(code);
    if (isHex || /^[0-7]/.test(code)) {
      const point = isHex ? parseInt(code.slice(1), 16) : parseInt(code, 8);
      return point <= 0x10ffff ? String.fromCodePoint(point) : this.#fail();
    }
    if (code === "\r\n") return "";
    if (/[xuUN]/.test(code)) this.#fail(); // no digits, or a character by its name
    return escapes[code] ?? text;
  }
}

// --- Elements --------------------------------------------------------------------------------

function readElements(file: Source, data: TypedArrayOf, isSwapped: boolean): void {
  const bytes = bytesOf(data);
  const step = isSwapped ? PIECE_BYTES : bytes.length;
  for (let at = 0; at < bytes.length; at += step) {
    const piece = bytes.subarray(at, at + step);
    // This is read(2), with the mapping as its buffer.
    if (readUpTo(file, piece) < piece.length) {
      throw new RangeError("Cannot read the elements: the file was cut off meanwhile");
    }
    if (isSwapped) swapBytes(piece, data.BYTES_PER_ELEMENT);
  }
}

/** Reverses the bytes of each element. */
function swapBytes({ buffer, byteOffset, byteLength }: Uint8Array, bytesPerElement: number): void {
  if (bytesPerElement === 2) {
    const elements = new Uint16Array(buffer, byteOffset, byteLength / 2);
    for (let i = 0; i < elements.length; i++) elements[i] = elements[i] << 8 | elements[i] >> 8;
    return;
  }
  // In signed words the engine need not look whether a word is beyond 2^31.
  const words = new Int32Array(buffer, byteOffset, byteLength / 4);
  if (bytesPerElement === 4) {
    for (let i = 0; i < words.length; i++) words[i] = swapped(words[i]);
    return;
  }
  for (let i = 0; i < words.length; i += 2) {
    const first = words[i];
    words[i] = swapped(words[i + 1]);
    words[i + 1] = swapped(first);
  }
}

/** A word of four bytes in reverse: first the two of each half change places, then the halves. */
function swapped(word: number): number {
  const pairs = (word & 0xff00ff) << 8 | word >>> 8 & 0xff00ff;
  return pairs << 16 | pairs >>> 16;
}

/** Writes the elements in C order. */
function writeElements(file: OpenFile, view: NDArray, scratch?: TypedArrayOf): void {
  if (view.isContiguous()) return writeFully(file, bytesOf(view.subarray()));
  const fits = Math.min(view.size, PIECE_BYTES / bytesPerElement(view.dtype));
  scratch ??= new (typedArrayOf(view.dtype))(fits);
  if (view.size <= scratch.length) {
    const piece = scratch.subarray(0, view.size);
    new NDArray(piece, { shape: view.shape }).assign(view);
    return writeFully(file, bytesOf(piece));
  }
  // This writes as many rows at a time as fit, or else one row in parts.
  const axis = view.shape.findIndex((length) => length > 1);
  const length = view.shape[axis];
  const rows = Math.max(1, Math.floor(scratch.length / (view.size / length)));
  const whole = new Array<null>(axis).fill(null);
  for (let row = 0; row < length; row += rows) {
    writeElements(file, view.slice(...whole, slice(row, row + rows)), scratch);
  }
}

/** The bytes of a typed array: the same memory. */
function bytesOf({ buffer, byteOffset, byteLength }: TypedArrayOf): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Reads until `bytes` are full, or the file ends; gives how many were read. */
function readUpTo(file: Source, bytes: Uint8Array): number {
  let done = 0;
  while (done < bytes.length) {
    const count = file.read(bytes.subarray(done));
    if (count === 0) break;
    done += count;
  }
  return done;
}

function writeFully(file: OpenFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.write(bytes.subarray(done));
}
