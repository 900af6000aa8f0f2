/**
 * Named shared-memory arrays: one process creates an array, any other process on the machine (Deno,
 * Node, Bun, Python with NumPy, C) attaches to it by name, and all of them see the same bytes with no
 * copy.
 *
 * It needs Linux or macOS, and in Deno the permission `--allow-ffi`, without a path (if it asks, answer
 * with A). It runs in Node from 26.9 and in Bun from 1.3 on. Importing opens nothing and needs no
 * permission.
 *
 * This program starts itself again as a second process, which writes. The first one prints what it finds:
 *
 * ```ts ignore
 * // deno run --allow-ffi --allow-run=deno squares.ts
 * import {
 *   createAndRegisterSma,
 *   SharedMemoryArray,
 *   SharedMemoryRegister,
 * } from "jsr:@shm/array";
 *
 * if (Deno.args.length === 0) {
 *   using register = new SharedMemoryRegister();
 *   using sma = createAndRegisterSma([2, 3], "float64", register);
 *   const me = import.meta.filename!;
 *   const args = ["run", "--allow-ffi", me, JSON.stringify(sma)];
 *   await new Deno.Command("deno", { args }).spawn().status;
 *   console.log(String(sma.array)); // [[ 0.  1.  4.] [ 9. 16. 25.]]
 * } else {
 *   using sma = SharedMemoryArray.from(JSON.parse(Deno.args[0]));
 *   const array = sma.load();
 *   array.assign([[0, 1, 4], [9, 16, 25]]);
 * }
 * ```
 *
 * ## Which entry point is for what
 *
 * | import | what it has |
 * | --- | --- |
 * | `@shm/array` | arrays, views, raw bytes, registers, `shmarrayWrap` |
 * | `@shm/array/sync` | waiting, locks and barriers between processes |
 * | `@shm/array/publish` | frames and tables from one writer to many readers |
 * | `@shm/array/queue` | work that is shared out, each item to one worker |
 * | `@shm/array/npy` | NumPy's files |
 * | `@shm/array/ndarray`, `@shm/array/dtype` | views and element types alone; they need no permission |
 * | `@shm/array/cli` | the command `shm` |
 *
 * ## Lifetime
 *
 * 1. `close()` (or `using`) ends one attachment: its views then throw, and never crash.
 * 2. `unlink()` removes the name; a {@linkcode SharedMemoryRegister} does so for all that it lists.
 * 3. What a killed process left, {@linkcode SharedMemoryArray.list} shows. {@linkcode SharedMemoryArray.prune} removes
 * what has a name of `buildSmaName()`, and `unlink()` the rest.
 *
 * The API is that of `SharedMemoryArray` in {@link https://github.com/CNES/gridr | GRIDR} (CNES).
 *
 * @example Two attachments of one array
 * ```ts
 * import { SharedMemoryArray, slice } from "@shm/array";
 *
 * const name = SharedMemoryArray.buildSmaName("demo");
 * using mine = new SharedMemoryArray([4, 3], "float32", name);
 * mine.create().fill(1);
 *
 * // Any process can do this with the name; here are rows 1 and 2.
 * using theirs = SharedMemoryArray.attach(name, "float32");
 * theirs.array!.slice(slice(1, 3)).set(0, 0, 7);
 *
 * console.log(String(mine.array!.slice(1))); // [7. 1. 1.]
 * mine.unlink();
 * ```
 *
 * @module
 */

export type {
  ArrayTags,
  DType,
  DTypeLike,
  DTypeOf,
  ElementOf,
  NativeOrder,
  NdarrayNames,
  NumPyCodes,
  NumPySpellings,
  NumPyTypeString,
  StorableOf,
  TagOf,
  TypedArrayConstructor,
  TypedArrayOf,
  TypedArrays,
} from "./src/dtype.ts";
export { type ErrorClass, type ErrorClasses, type ErrorName, errors } from "./src/errors.ts";
export type { SignalName } from "./ffi/runtime/mod.ts";
export {
  type AssignSource,
  type BufferOf,
  type ElementSource,
  type IndexTuples,
  type Indices,
  NDArray,
  type NDArrayConstructor,
  type NDArrayOptions,
  type NestedArray,
  type RankOf,
  type RowRank,
  type Shape,
  type Slice,
  slice,
  type SliceItem,
} from "./src/ndarray/mod.ts";
export {
  type CreateOptions,
  type CreateOrLoadOptions,
  type OpenOptions,
  type PruneOptions,
  type SegmentInfo,
  SharedMemory,
} from "./src/segment/mod.ts";
export {
  type DescriptorOverride,
  type LoadedRank,
  type Selection,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
} from "./src/shared_array/shared_memory_array.ts";
export type { MemoryLayout } from "./src/shared_array/memory_layout.ts";
export {
  createAndRegisterSma,
  type RegisterOptions,
  type RegisterSmaOptions,
  SharedMemoryRegister,
} from "./src/shared_array/register.ts";
export {
  type OrShared,
  shmarrayWrap,
  type WrappedFunction,
  type WrappedParameter,
} from "./src/shared_array/wrap.ts";
