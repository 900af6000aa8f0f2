/**
 * Functions that take arrays by their description.
 *
 * @module
 */

import { descriptorOf, isMarkedAs, isThenable, kindOf } from "../check.ts";
import type { DType, DTypeLike } from "../dtype.ts";
import { fromCaller } from "../errors.ts";
import type { NDArray } from "../ndarray/mod.ts";
import type { SharedMemory } from "../segment/mod.ts";
import { SharedMemoryArray, type SharedMemoryDescriptor } from "./shared_memory_array.ts";

/**
 * A view, or something that stands for it: an instance, or the plain data that JSON or `postMessage` made of
 * one. For a view of any dtype the data may spell the dtype in any way.
 *
 * @internal
 */
export type OrShared<V> = V extends NDArray<infer D, number, ArrayBufferLike>
  ? V | SharedMemoryArray<D> | SharedMemoryDescriptor<DType extends D ? DTypeLike : D>
  : V;

/**
 * The arguments that a wrapped function takes for a parameter of type `P`: in the place of a view also
 * something that stands for it, and the same for each value of an array or an options object.
 *
 * @internal
 */
export type WrappedParameter<P> = P extends NDArray<DType, number, ArrayBufferLike> ? OrShared<P>
  : P extends ((...args: never) => unknown) ? P
  : P extends object ? P | { [K in keyof P]: OrShared<P[K]> }
  : P;

/**
 * A function that takes descriptions of arrays in the place of the views that `fn` takes.
 *
 * @internal
 */
export type WrappedFunction<This, Args extends unknown[], Result> = (
  this: This,
  ...args: { [I in keyof Args]: WrappedParameter<Args[I]> }
) => Result;

/**
 * Wraps a function so that it can be called with descriptions of arrays in the place of views. Such a
 * description is a `SharedMemoryArray`, or the plain descriptor (an object with `shape`, `dtype` and `name`)
 * that JSON or `postMessage` made of one. Each is loaded before the call and closed after it. If the function
 * returns a promise, they are closed when it has settled. Arguments are looked at, and the values of arguments
 * that are plain objects or arrays (one level deep); such an object is copied, not changed. Everything else is
 * passed as it is.
 *
 * An array that is attached already is passed as `.array` and stays attached. One that occurs twice
 * is loaded once. If one of several cannot be loaded, those loaded before it are closed. Views must
 * not be kept beyond the call: their memory is gone then, and their methods throw
 * `Deno.errors.BadResource`.
 *
 * It is also a standard decorator of methods. (The compiler does not let a decorator change a
 * method's type: declare such a parameter as `NDArray<D> | SharedMemoryArray<D>`.)
 *
 * @template This what the function is called on
 * @template Args what the function takes; the wrapped one takes arrays or descriptions in the place of views
 * @template Result what the function returns
 * @param fn a function or an async function
 * @returns the wrapped function, with the same name and length
 * @throws {TypeError} if `fn` is no function, or a generator function: its body would run after the
 * arrays were closed
 *
 * @example A function over two arrays
 * ```ts
 * import { createAndRegisterSma, type NDArray, SharedMemoryRegister, shmarrayWrap } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * const scale = shmarrayWrap(
 *   (target: NDArray<"float64">, { factor, source }: { factor: number; source: NDArray<"float64"> }) => {
 *     for (let i = 0; i < source.size; i++) target.set(i, source.get(i) * factor);
 *   },
 * );
 *
 * using register = new SharedMemoryRegister();
 * using source = createAndRegisterSma(3, "float64", register);
 * using target = createAndRegisterSma(3, "float64", register);
 * source.array!.assign([1, 2, 3]);
 * scale(target, { factor: 10, source });
 * assertEquals(target.array!.toArray(), [10, 20, 30]);
 * ```
 *
 * @example A worker that is sent the job as JSON
 * ```ts
 * import { createAndRegisterSma, type NDArray, SharedMemoryRegister, shmarrayWrap } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * const clear = shmarrayWrap(({ part }: { part: NDArray<"uint8"> }) => void part.fill(0));
 *
 * using register = new SharedMemoryRegister();
 * using image = createAndRegisterSma([2, 4], "uint8", register);
 * image.array!.fill(7);
 * const line = JSON.stringify({ part: image.array!.slice(":", "1:3") });
 * clear(JSON.parse(line)); // in the worker
 * assertEquals(image.array!.toArray(), [[7, 0, 0, 7], [7, 0, 0, 7]]);
 * ```
 */
export function shmarrayWrap<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result,
): (
  // The type is written out, so that an editor shows what the wrapped function takes.
  this: This,
  ...args: { [I in keyof Args]: WrappedParameter<Args[I]> }
) => Result;
/**
 * Wraps a method, as a decorator.
 *
 * @template This what the method is called on
 * @template Args what the method takes
 * @template Result what the method returns
 * @param method the method
 * @param context what is decorated
 * @returns the wrapped method
 * @throws {TypeError} if something else than a method is decorated, or a generator method
 *
 * @example A decorated method
 * ```ts
 * import { createAndRegisterSma, type NDArray, SharedMemoryRegister, shmarrayWrap } from "@shm/array";
 * import type { SharedMemoryArray } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * class Statistics {
 *   @shmarrayWrap
 *   sum(array: NDArray<"int32"> | SharedMemoryArray<"int32">): number {
 *     let sum = 0;
 *     for (const element of array as NDArray<"int32">) sum += element;
 *     return sum;
 *   }
 * }
 *
 * using register = new SharedMemoryRegister();
 * using sma = createAndRegisterSma([2, 2], "int32", register);
 * sma.array!.fill(3);
 * assertEquals(new Statistics().sum(sma), 12);
 * ```
 */
export function shmarrayWrap<This, Args extends unknown[], Result>(
  method: (this: This, ...args: Args) => Result,
  context: ClassMethodDecoratorContext<This, (this: This, ...args: Args) => Result>,
): (this: This, ...args: Args) => Result;
export function shmarrayWrap(
  fn: (this: unknown, ...args: unknown[]) => unknown,
  context?: DecoratorContext,
): (this: unknown, ...args: unknown[]) => unknown {
  try {
    checkWrapped(fn, context);
  } catch (error) {
    throw fromCaller(error, shmarrayWrap);
  }
  function wrapped(this: unknown, ...args: unknown[]): unknown {
    const held: SharedMemory[] = [];
    const described = new Map<string, SharedMemoryArray>();
    let later: Promise<unknown> | null = null;
    try {
      let resolved: unknown[];
      try {
        resolved = args.map((arg) => resolve(arg, held, described));
      } catch (error) {
        throw fromCaller(error, wrapped);
      }
      const result = fn.apply(this, resolved);
      // Whether the result is a promise is asked by its `then`, which may be a getter that throws, now or next
      // time. A promise made here asks again later, and nothing in the result can keep it from settling.
      if (!isThenable(result)) return result;
      later = new Promise((settle) => settle(result));
    } finally {
      if (later === null) release(held);
    }
    return later.finally(() => release(held));
  }
  for (const key of ["name", "length"] as const) {
    Object.defineProperty(wrapped, key, descriptorOf({ value: fn[key], configurable: true }));
  }
  return wrapped;
}

/** Checks what is wrapped. */
function checkWrapped(fn: unknown, context: DecoratorContext | undefined): void {
  const decorated: unknown = context === undefined ? "method" : context?.kind;
  if (typeof decorated !== "string") {
    throw new TypeError(
      "Cannot wrap with a second argument: shmarrayWrap takes one function, as in " +
        "list.map((fn) => shmarrayWrap(fn)), or is a decorator as JavaScript has them, without experimentalDecorators",
    );
  }
  if (typeof fn !== "function" || decorated !== "method") {
    const given = decorated === "method" ? kindOf(fn) : `a ${decorated}`;
    throw new TypeError(
      `Cannot wrap ${given}: shmarrayWrap takes a function or decorates a method`,
    );
  }
  if (/Generator/.test(Object.prototype.toString.call(fn))) {
    throw new TypeError(
      "Cannot wrap a generator function: its body would run after the arrays were closed",
    );
  }
}

/**
 * For each attachment that a wrapper made, the number of running calls that need it. Calls of async functions
 * overlap: the attachment that one of them made serves the others, and the last one closes it.
 */
const holders = new WeakMap<SharedMemory, number>();

/** The arrays that a call got as plain descriptors, by their text: equal descriptors are loaded once. */
type Described = Map<string, SharedMemoryArray>;

/** Replaces an argument, or the values of an array or of an options object. */
function resolve(arg: unknown, held: SharedMemory[], described: Described): unknown {
  const view = viewOf(arg, held, described);
  if (view !== null) return view;
  if (Array.isArray(arg)) return resolveList(arg, held, described);
  if (!isPlainObject(arg)) return arg;
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(arg)) {
    const inner = viewOf(arg[key], held, described);
    if (inner === null) continue;
    copy ??= { ...arg };
    copy[key] = inner;
  }
  return copy ?? arg;
}

/** Replaces the elements of an array. By index: the keys of a million numbers would be as many texts. */
function resolveList(list: unknown[], held: SharedMemory[], described: Described): unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const inner = viewOf(list[i], held, described);
    if (inner === null) continue;
    copy ??= [...list];
    copy[i] = inner;
  }
  return copy ?? list;
}

/** The view of the array that a value is, or describes; `null` if it is something else. */
function viewOf(value: unknown, held: SharedMemory[], described: Described): NDArray | null {
  if (value === null || typeof value !== "object") return null;
  if (value instanceof SharedMemoryArray) return attach(value, held);
  if (isMarkedAs(value, "SharedMemoryArray")) {
    // Another copy of this package made it. Its views have the same methods, and it describes itself in the
    // same way.
    const foreign = value as SharedMemoryArray;
    return foreign.array ?? attach(knownOr(foreign, described), held);
  }
  if (!isPlainObject(value) || !DESCRIPTOR_KEYS.every((key) => Object.hasOwn(value, key))) {
    return null;
  }
  return attach(knownOr(value as unknown as SharedMemoryDescriptor, described), held);
}

/** An instance for a descriptor; equal descriptors have the same one. */
function knownOr(descriptor: SharedMemoryDescriptor, described: Described): SharedMemoryArray {
  const sma = SharedMemoryArray.from(descriptor) as SharedMemoryArray;
  const text = JSON.stringify(sma);
  const known = described.get(text);
  if (known === undefined) described.set(text, sma);
  return known ?? sma;
}
const DESCRIPTOR_KEYS = ["shape", "dtype", "name"] as const;

/** Gives the array of an instance, loading it if it is not attached. */
function attach(sma: SharedMemoryArray, held: SharedMemory[]): NDArray {
  const before = sma.smh;
  if (before === null) sma.load();
  const smh = sma.smh!;
  const count = before === null ? 0 : holders.get(smh);
  // An attachment that no wrapper made is closed by its owner.
  if (count !== undefined) {
    holders.set(smh, count + 1);
    held.push(smh);
  }
  return sma.array!;
}

/** Gives up the attachments that a call needed, and closes those that no other call needs. */
function release(held: readonly SharedMemory[]): void {
  for (const smh of held) {
    const count = holders.get(smh)! - 1;
    holders.set(smh, count);
    if (count === 0) smh.close();
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (value === null || typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
