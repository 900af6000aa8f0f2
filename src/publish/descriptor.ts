/**
 * Rings and publications of versions as plain data, and the checks of their arguments.
 *
 * @module
 */

import { checkTimeout, type OptionKind, quoteName, readOptions, refuseIndex } from "../check.ts";
import {
  bytesPerElement,
  type DTypeLike,
  type DTypeOf,
  numpyTypeString,
  parseDType,
} from "../dtype.ts";
import { contiguousLayout, type Shape } from "../ndarray/mod.ts";
import {
  ACCESS_KIND,
  checkAccess,
  checkDescriptor,
  type CreateOptions,
  type DescriptorKind,
} from "../segment/mod.ts";
import { SharedMemoryArray } from "../shared_array/shared_memory_array.ts";
import type { Header } from "./header_words.ts";
import type { CreateOrLoadOptions, LoadOptions, WaitAsyncOptions } from "./publication.ts";

/**
 * What arrays are published, and where, as plain data.
 *
 * @internal
 */
export interface PublicationDescriptor<T extends DTypeLike = DTypeLike> {
  /** The lengths of the axes in elements. */
  readonly shape: Shape;
  /** The element type, in any accepted spelling. */
  readonly dtype: T;
  /** The segment's name, without a slash. */
  readonly name: string;
}

/**
 * Checks what arrays are to be published, and where.
 *
 * @param shape the lengths of the axes in elements
 * @param dtype the element type, in any accepted spelling
 * @param name the segment's name
 * @returns the description in canonical form, and what the header says of the arrays
 */
export function checkArrays<T extends DTypeLike>(
  shape: Shape,
  dtype: T,
  name: string,
): {
  description: PublicationDescriptor<DTypeOf<T>>;
  arrays: Pick<Header, "dtype" | "arrayBytes">;
} {
  const { shape: frozen, dtype: canonical } = new SharedMemoryArray(shape, dtype, name);
  return {
    description: { shape: frozen, dtype: canonical, name },
    arrays: {
      dtype: numpyTypeString(canonical),
      arrayBytes: contiguousLayout(frozen).size * bytesPerElement(canonical),
    },
  };
}

/**
 * Checks a descriptor that came from elsewhere.
 *
 * @param kind what is made of it
 * @param descriptor what the caller gave
 * @returns the descriptor; it has all parts
 */
export function checkPublication<D extends object>(kind: DescriptorKind, descriptor: D): D {
  checkDescriptor(kind, descriptor);
  // If these were ignored, the elements would be wrong.
  const keys = [...kind.parts, ...kind.optional ?? []];
  const odd = LOOK_LIKE_OURS.find((key) => {
    if (keys.includes(key) || !Object.hasOwn(descriptor, key)) return false;
    const value = (descriptor as { readonly [key: string]: unknown })[key];
    // A job may be sent in some "order" of its own.
    return key === "order" ? value === "C" || value === "F" : value != null;
  });
  if (odd !== undefined) {
    throw new TypeError(
      `Cannot make a ${kind.what}: ${odd} is none of its keys, which are ${keys.join(", ")}`,
    );
  }
  return descriptor;
}

/** Keys that some kind has, or is thought to have. */
const LOOK_LIKE_OURS = [
  "slots",
  "metaBytes",
  "meta_bytes",
  "arraySlice",
  "array_slice",
  "layout",
  "stride",
  "strides",
  "byteOffset",
  "byte_offset",
  "order",
];

/**
 * Checks that an instance is of the element type that the caller wants.
 *
 * @param kind what was made
 * @param instance the instance
 * @param dtype the element type, in any accepted spelling; `undefined` if any will do
 * @returns the instance
 */
export function checkDType<I extends { readonly name: string; readonly dtype: string }>(
  { what }: DescriptorKind,
  instance: I,
  dtype: DTypeLike | undefined,
): I {
  refuseIndex(dtype, what);
  const wanted = dtype === undefined ? instance.dtype : parseDType(dtype);
  if (instance.dtype === wanted) return instance;
  throw new RangeError(
    `Cannot make a ${what} of ${wanted}: ${
      quoteName(instance.name)
    } is described as one of ${instance.dtype}`,
  );
}

/**
 * Checks how long to wait.
 *
 * @param options what the caller gave
 * @param takesSignal whether the waiting can be aborted
 * @returns the options; the time limit is never missing
 */
export function checkWaitOptions(
  options: WaitAsyncOptions | undefined,
  takesSignal: boolean,
): WaitAsyncOptions & { timeout: number } {
  const kinds: { [key: string]: OptionKind } = { timeout: "number of milliseconds" };
  if (takesSignal) kinds.signal = "AbortSignal";
  const { timeout, signal } = readOptions(
    options,
    kinds as { timeout: OptionKind; signal: OptionKind },
    "wait",
  );
  return { timeout: checkTimeout(timeout, "wait", Infinity), signal };
}

/**
 * Checks how a publication is to be attached to.
 *
 * @param options what the caller gave
 * @returns the time limit in milliseconds, and whether it is read only
 */
export function checkLoadOptions(options: LoadOptions | undefined): Required<LoadOptions> {
  const { timeout, access } = readOptions(options, LOADING, "load");
  return { timeout: checkTimeout(timeout, "load", 0), access: checkAccess(access) ?? "read-write" };
}

/**
 * Checks how a publication is to be made, or how long to wait for another creator.
 *
 * @param options what the caller gave
 * @returns the options of `create()`, which are not checked yet, the time limit in milliseconds, and whether it is read
 * only
 */
export function checkCreateOrLoadOptions(
  options: CreateOrLoadOptions | undefined,
): { creation: CreateOptions; loading: Required<LoadOptions> } {
  const action = "create or load";
  const kinds = { mode: "any", reserve: "any", describe: "any", ...LOADING } as const;
  const { timeout, access, ...creation } = readOptions(options, kinds, action);
  const loading = {
    timeout: checkTimeout(timeout, action, 0),
    access: checkAccess(access) ?? "read-write",
  };
  return { creation, loading };
}

const LOADING = { timeout: "number of milliseconds", access: ACCESS_KIND } as const;
