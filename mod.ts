/**
 * Named shared-memory arrays: one process creates an array, any other process on the machine (Deno,
 * Python with NumPy, C) attaches to it by name, and all of them see the same bytes with no copy.
 *
 * {@linkcode SharedMemoryArray} is an n-d array in a named segment, {@linkcode NDArray} is the view of
 * its elements with NumPy's indexing, and {@linkcode SharedMemory} is the bytes alone.
 * {@linkcode shmarrayWrap} lets a function take arrays by description, and
 * {@linkcode SharedMemoryRegister} removes the segments that a job has made.
 *
 * This module needs Linux or macOS, and the permission `--allow-ffi`; the views need no permission.
 *
 * @example Create an array, attach to it by name
 * ```ts
 * import { SharedMemoryArray, slice } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * using mine = new SharedMemoryArray([4, 3], "float32", SharedMemoryArray.buildSmaName("demo"));
 * mine.create().fill(1);
 *
 * // Any process can do this with the same name; here are rows 1 and 2 only.
 * using theirs = SharedMemoryArray.clone(mine, { arraySlice: [slice(1, 3)] });
 * theirs.load().set(0, 0, 7);
 *
 * assertEquals(mine.array!.get(1, 0), 7);
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
