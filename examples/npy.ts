// Reads a .npy file straight into shared memory, and writes a shared array to a .npy file.
// The file's bytes go to and from the mapping itself: there is no second copy in the heap.
// Run it: deno run --allow-ffi --allow-read --allow-write examples/npy.ts [IN.npy OUT.npy]

import {
  createAndRegisterSma,
  type NDArray,
  type SharedMemoryArray,
  SharedMemoryRegister,
  type TypedArrayOf,
} from "@shm/array";
import { type DTypeLike, numpyTypeString, parseDType } from "@shm/array/dtype";

const MAGIC = "\x93NUMPY";

/** An array as a file described it. */
export interface Loaded {
  /** The array in shared memory; of a file in Fortran order, with its axes reversed. */
  sma: SharedMemoryArray;
  /** The array with the axes as in the file; of a file in Fortran order, a transposed view. */
  view: NDArray;
}

/**
 * Reads a .npy file into a new array in shared memory.
 *
 * @param path the file, in format version 1.0, 2.0 or 3.0
 * @param register takes the segment's name; the caller closes `sma`
 */
export function readNpy(path: string, register: { push(name: string): unknown }): Loaded {
  using file = Deno.openSync(path);
  const { descr, fortranOrder, shape } = parseHeader(readHeader(file));
  // For other dtypes (">f4", "<c8", …) this throws a TypeError, which says what to do instead.
  const dtype = parseDType(descr as DTypeLike);
  const sma = createAndRegisterSma(
    fortranOrder ? shape.toReversed() : shape,
    dtype,
    register,
    "npy",
  );
  const array = sma.array!;
  try {
    readFully(file, bytesOf(array.subarray())); // read(2), with the mapping as its buffer
  } catch (error) {
    sma.close();
    throw error;
  }
  return { sma, view: fortranOrder ? array.transpose() : array };
}

/**
 * Writes a view to a .npy file of format version 1.0, in Fortran order if the elements lie so.
 *
 * @param path the file, replaced if it is there
 * @param view any view; one whose elements do not lie side by side is written in pieces
 */
export function writeNpy(path: string, view: NDArray): void {
  const fortranOrder = !view.isContiguous() && view.transpose().isContiguous();
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  const tuple = view.shape.map((length) => `${length},`).join(" ");
  const dict = `{'descr': '${numpyTypeString(view.dtype)}', ` +
    `'fortran_order': ${fortranOrder ? "True" : "False"}, ` +
    `'shape': (${view.ndim === 1 ? tuple : tuple.slice(0, -1)}), }`;
  // Spaces make the data begin at a multiple of 64; a line feed is the last byte before it.
  const padded = dict.padEnd(dict.length + 63 - (MAGIC.length + 4 + dict.length) % 64) + "\n";
  const length = [padded.length & 0xff, padded.length >> 8];
  const head = Uint8Array.from(MAGIC + "\x01\x00", (character) => character.charCodeAt(0));
  writeFully(file, head);
  writeFully(file, Uint8Array.from(length));
  writeFully(file, new TextEncoder().encode(padded));
  writeElements(file, fortranOrder ? view.transpose() : view);
}

/** Writes elements in C order, in pieces as large as the view has side by side. */
function writeElements(file: Deno.FsFile, view: NDArray): void {
  if (view.isContiguous()) writeFully(file, bytesOf(view.subarray()));
  else for (let i = 0; i < view.shape[0]; i++) writeElements(file, view.slice(i));
}

/** Reads up to the first element; the header is a Python dictionary, as text. */
function readHeader(file: Deno.FsFile): string {
  const start = new Uint8Array(8);
  readFully(file, start);
  const [major] = start.slice(6);
  if (String.fromCharCode(...start.slice(0, 6)) !== MAGIC || major < 1 || major > 3) {
    throw new TypeError("Cannot read this file: it is no .npy file of version 1 to 3");
  }
  const length = new Uint8Array(major === 1 ? 2 : 4);
  readFully(file, length);
  const text = new Uint8Array(length.reduceRight((sum, byte) => sum * 256 + byte, 0));
  readFully(file, text);
  return new TextDecoder().decode(text);
}

interface Header {
  descr: string;
  fortranOrder: boolean;
  shape: number[];
}

function parseHeader(text: string): Header {
  const descr = /'descr': *(?:'([^']*)'|(\[.*?\]) *,)/.exec(text);
  const order = /'fortran_order': *(True|False)/.exec(text);
  const shape = /'shape': *\(([\d, ]*)\)/.exec(text);
  if (descr === null || order === null || shape === null) {
    throw new TypeError(`Cannot read this header: ${text.trim()}`);
  }
  return {
    descr: descr[1] ?? descr[2],
    fortranOrder: order[1] === "True",
    shape: shape[1].split(",").filter((length) => length.trim() !== "").map(Number),
  };
}

/** The bytes of a typed array: the same memory. */
function bytesOf(data: TypedArrayOf): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function readFully(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) throw new RangeError("Cannot read this file: it ends too early");
    done += count;
  }
}

function writeFully(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}

function main([from, to]: string[]): void {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const { sma, view } = readNpy(from, register);
  using _attached = sma;
  console.log(`${from} is in shared memory now, as ${sma.name}:`);
  console.log(view);
  writeNpy(to, view);
  console.log(`${to} has the same ${view.size} elements.`);
}

/** Runs the example without a file: it makes one first. */
function demonstrate(): void {
  const folder = Deno.makeTempDirSync();
  try {
    using register = new SharedMemoryRegister();
    using sma = createAndRegisterSma([3, 4], "float32", register, "npy");
    sma.array!.assign([0.5, 1.5, 2.5, 3.5]);
    writeNpy(`${folder}/in.npy`, sma.array!);
    main([`${folder}/in.npy`, `${folder}/out.npy`]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  if (Deno.args.length === 2) main(Deno.args);
  else demonstrate();
}
