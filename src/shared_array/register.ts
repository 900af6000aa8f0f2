/**
 * Registers of segment names, by which a job removes all that it has made.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import type { SignalName } from "../../ffi/runtime/mod.ts";
import type { DTypeLike, DTypeOf } from "../dtype.ts";
import {
  descriptorOf,
  failuresText,
  quote,
  readOptions,
  sharedAmongCopies,
  shorten,
} from "../check.ts";
import { fromCaller, showCallers } from "../errors.ts";
import type { NDArray, Shape } from "../ndarray/mod.ts";
import {
  checkCreateOptions,
  checkFreeName,
  type CreateOptions,
  isBetterAnonymous,
  LABEL,
  type LabelledOptions,
  removeSegments,
} from "../segment/mod.ts";
import { cleanAtExit, endingSignals } from "../process/exit_cleanup.ts";
import { type MemoryLayout, placeElements } from "./memory_layout.ts";
import { createAnonymousArray, SharedMemoryArray } from "./shared_memory_array.ts";

/** When a register cleans up, besides the end of its scope and of the process, and how its arrays are made. */
export interface RegisterOptions {
  /**
   * Signals at which the register cleans up, after which the process ends as the signal would have
   * ended it; by default none.
   */
  signals?: readonly SignalName[];
  /**
   * Whether the register cleans up, too, when an `error` or `unhandledrejection` event comes whose
   * default nobody has prevented yet; by default it does not. It must be asked for, because the register
   * cannot know whether a later listener handles the error and the program goes on.
   */
  uncaught?: boolean;
  /**
   * What memory {@linkcode createAndRegisterSma} takes for the arrays of this register, unless its own options
   * say otherwise: segments with a name in `/dev/shm` (`"named"`, the default), anonymous ones
   * (`"anonymous"`), or (`"auto"`) named ones, but anonymous ones where `/dev/shm` has less free than is asked
   * for, or 64 MiB or less in all.
   */
  memory?: "auto" | "named" | "anonymous";
}

/**
 * A list of segment names that removes the segments when its scope ends, also by an exception, and when the
 * process ends by itself or by `Deno.exit()` (the `unload` event). With `signals` and `uncaught` it also does
 * so at signals and at uncaught errors. Other ends leave the segments: `SIGKILL`; a signal or an error that the
 * register does not listen to; a top-level `await` that can never settle; the end of a `Worker`, by
 * `terminate()`, by `close()` or with the main program. `SharedMemoryArray.prune()` removes such leftovers. So
 * keep registers in the main thread.
 *
 * It is an `Array<string>`: it removes every segment whose name is pushed, also one that another process
 * created. A register that was disposed of can be used again.
 *
 * At a signal that a register listens to, every register of the process cleans, in all Workers, too. Then the
 * process ends by the signal, unless the program has a listener of its own: then that listener decides, and it
 * is called once more for each thread that has registers. PID 1, which the kernel does not end, exits with 128
 * + the signal's number, and so does a program under `deno run --watch` at SIGTERM, so that the watcher starts
 * it again.
 *
 * @example Nothing is left behind
 * ```ts
 * import { createAndRegisterSma, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * let name: string;
 * {
 *   using register = new SharedMemoryRegister();
 *   using sma = createAndRegisterSma([4, 4], "float32", register, "scratch");
 *   name = sma.name;
 * }
 * assertEquals(SharedMemoryArray.clearBuffers([name]), []);
 * ```
 */
export class SharedMemoryRegister extends Array<string> {
  /** `map`, `filter` and the like make a plain array, which removes nothing. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  readonly #signals: readonly SignalName[];
  readonly #uncaught: boolean;
  /** Ends the cleaning at the end of the process; `null` if this register is not registered for it. */
  #forget: (() => void) | null = null;

  /**
   * Makes an empty register.
   *
   * @param options at which signals to clean up, too, whether at uncaught errors, and what memory its arrays
   * are made of
   * @throws {TypeError} if an option is of the wrong kind or unknown
   * @throws {RangeError} if a signal is none that can be listened to, or there is no such memory
   *
   * @example Clean up at Ctrl-C, too
   * ```ts
   * import { SharedMemoryRegister } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM", "SIGHUP"] });
   * assertEquals(register.length, 0);
   * ```
   */
  constructor(options?: RegisterOptions) {
    const { signals, uncaught, memory } = checkOptions(options);
    super();
    this.#signals = [...signals];
    this.#uncaught = uncaught;
    memoryOf.set(this, memory);
    this.#watch();
  }

  static {
    // Whatever enters an empty list (push, unshift, splice, an assignment) stores an element 0, and an array
    // without one asks its prototype for a setter.
    const set = function (this: SharedMemoryRegister, value: string): void {
      const plain = { value, writable: true, enumerable: true, configurable: true };
      // First, so that no name enters a list that nobody cleans.
      if (#forget in this) this.#watch();
      Object.defineProperty(this, 0, descriptorOf(plain));
    };
    // The setter stands on an object between this class and Array, so that it is no member of a register.
    const between: object = Object.create(Array.prototype);
    Object.defineProperty(between, 0, descriptorOf({ get: () => undefined, set }));
    Object.setPrototypeOf(this.prototype, between);
  }

  /** Registers this register to be cleaned when the process ends. */
  #watch(): void {
    this.#forget ??= cleanAtExit(() => this[Symbol.dispose](), this.#signals, this.#uncaught);
  }

  /**
   * Removes the segments in the list, as `clearBuffers` does, and empties it. If some cannot be
   * removed, the list stays as it is, and is tried again at the end of the process.
   *
   * @throws {AggregateError} if the system refused to remove some, after all were tried
   *
   * @example Clean up by hand
   * ```ts
   * import { createAndRegisterSma, SharedMemoryRegister } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const register = new SharedMemoryRegister();
   * createAndRegisterSma(8, "uint8", register).close();
   * register[Symbol.dispose]();
   * assertEquals(register.length, 0);
   * ```
   */
  [Symbol.dispose](): void {
    // A pushed value that is no name does not keep the others.
    const { failures } = removeSegments(new Set(this));
    if (failures.length > 0) {
      throw new AggregateError(
        failures,
        `Cannot clear the register: ${failuresText(failures)}`,
      );
    }
    this.length = 0;
    this.#forget?.();
    this.#forget = null;
  }
}
showCallers(SharedMemoryRegister);

/** How {@linkcode createAndRegisterSma} makes a segment. */
export interface RegisterSmaOptions extends CreateOptions {
  /**
   * Whether to make an anonymous segment, as `SharedMemoryArray.createAnonymous()` does: it is gone with
   * this process even where a register cannot clean up. The prefix is then only what `/proc` and `lsof`
   * show. By default, `memory` decides.
   */
  anonymous?: boolean;
  /**
   * What memory the array is made of: a segment with a name in `/dev/shm` (`"named"`), an anonymous one
   * (`"anonymous"`), or (`"auto"`) a named one, but an anonymous one where `/dev/shm` has less free than is
   * asked for, or 64 MiB or less in all. By default what the register says, and a register that says nothing
   * (an array of names, say) means `"named"`. `isAnonymous` of the array tells which it became.
   */
  memory?: "auto" | "named" | "anonymous";
}

/** What memory arrays are made of. */
type Memory = NonNullable<RegisterSmaOptions["memory"]>;

/** What memory the arrays of each register are made of. */
const memoryOf = sharedAmongCopies("memory of registers", () => new WeakMap<object, Memory>());

/**
 * Creates an array under a name of its own and enters the name into a register.
 *
 * @template T the element type, in any accepted spelling
 * @template S the shape; where it is a tuple, the compiler knows the number of axes
 * @param shape the lengths of the axes in elements, or one length
 * @param dtype the element type, in any accepted spelling
 * @param register what the name is pushed into: an array, or a {@linkcode SharedMemoryRegister}
 * @param prefix the caller's part of the name; by default empty
 * @param options permission bits, whether to reserve the memory and to describe it, and whether the segment is
 * anonymous
 * @returns the array, created and attached; `.array` holds it, zero-filled
 * @throws {TypeError} if an argument is of the wrong kind
 * @throws {RangeError} if the shape, the prefix or an option is wrong, or `anonymous` and `memory` contradict
 * each other
 * @throws {Error} as `create()` or `createAnonymous()` throws
 *
 * @example Create two arrays, remove both
 * ```ts
 * import { createAndRegisterSma, SharedMemoryRegister } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * using register = new SharedMemoryRegister();
 * using input = createAndRegisterSma([61, 87], "float32", register, "input");
 * using output = createAndRegisterSma([610, 870], "float32", register, "output");
 * output.array!.set(0, 0, input.array!.get(0, 0));
 * assertEquals([...register], [input.name, output.name]);
 * ```
 *
 * @example Large arrays also in a container whose `/dev/shm` is small
 * ```ts
 * import { createAndRegisterSma, SharedMemoryRegister } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * using register = new SharedMemoryRegister({ memory: "auto" });
 * using image = createAndRegisterSma([1000, 1000], "float32", register, "image");
 * assertEquals(image.isAnonymous, image.name.startsWith("memfd:"));
 * image.unlink();
 * ```
 */
export function createAndRegisterSma<const T extends DTypeLike, const S extends Shape>(
  shape: S,
  dtype: T,
  register: { push(name: string): unknown },
  prefix?: string | null,
  options?: RegisterSmaOptions,
): SharedMemoryArray<DTypeOf<T>, S> {
  try {
    checkRegister(register);
    const make = makeRegistered(prefix, options, register);
    return make(shape, dtype, null, (sma) => sma) as unknown as SharedMemoryArray<DTypeOf<T>, S>;
  } catch (error) {
    throw fromCaller(error, createAndRegisterSma, [register?.push]);
  }
}

/** What {@linkcode makeRegistered} gives. */
export type MakeRegistered = <R>(
  shape: Shape,
  dtype: DTypeLike,
  layout: MemoryLayout | null,
  fill: (sma: SharedMemoryArray, view: NDArray) => R,
) => R;

/**
 * Checks how an array is to be made, before anything is made, and tells how to make it.
 *
 * @param prefix the caller's part of the name that is made; by default empty
 * @param options permission bits, whether to reserve the memory, and what memory to take
 * @param register what the name is pushed into, in the end
 * @param name the name, where it is not to be made
 * @returns makes an array, has it filled, and registers its name; if a step fails, nothing is left. It gives what
 * `fill` gives
 * @throws {TypeError} if an option is of the wrong kind or unknown
 * @throws {RangeError} if the name or an option is wrong
 */
export function makeRegistered(
  prefix: string | null | undefined,
  options: RegisterSmaOptions | undefined,
  register: { push(name: string): unknown },
  name?: string,
): MakeRegistered {
  const { anonymous, memory, ...create } = readOptions(
    options,
    {
      anonymous: "boolean",
      memory: 'string such as "auto"',
      mode: "any",
      reserve: "any",
      describe: "any",
    },
    "create",
  );
  const checked = checkCreateOptions(create, true);
  const choice = chooseMemory(anonymous, memory, name === undefined ? register : null);
  if (name !== undefined) checkGivenName(name, prefix, choice);
  return (shape, dtype, layout, fill) => {
    const ownName = name ?? SharedMemoryArray.buildSmaName(prefix);
    const named = new SharedMemoryArray(shape, dtype, ownName, null, layout) as SharedMemoryArray;
    const sma = makeIn(
      choice,
      placeElements(named.shape, named.dtype, layout).byteLength,
      () => {
        named.create(checked);
        return named;
      },
      () => {
        const label = ownName.slice(0, LONGEST_LABEL);
        const labelled: LabelledOptions = { ...checked, [LABEL]: label };
        return createAnonymousArray(shape, dtype, layout, labelled);
      },
    );
    try {
      // First, so that no register keeps the name of a segment that is gone again.
      const filled = fill(sma, sma.array!);
      register.push(sma.name);
      return filled;
    } catch (error) {
      // It could not be filled, or the register did not take the name, so nobody else could remove the segment.
      try {
        sma.unlink();
      } finally {
        sma.close();
      }
      throw error;
    }
  };
}

/** Checks a name that the caller gives in the place of one that is made. */
function checkGivenName(
  name: string,
  prefix: string | null | undefined,
  memory: Memory,
): void {
  checkFreeName(name);
  const other = prefix !== undefined && prefix !== null
    ? "a prefix, which is for a name that is made"
    : memory !== "named"
    ? `memory that may be anonymous, and its maker chooses no name for that; a prefix labels it`
    : null;
  if (other !== null) {
    throw new RangeError(`Cannot create ${quote(name)}: besides the name there is ${other}`);
  }
}

/**
 * Decides what memory an array is made of.
 *
 * @param anonymous what the caller says of that in one way
 * @param memory what the caller says of it in the other way
 * @param register says it where the caller does not, if it is a register of this package; `null` if it is not
 * to be asked
 * @throws {RangeError} if there is no such memory, or both ways are taken and contradict each other
 */
function chooseMemory(
  anonymous: boolean | undefined,
  memory: Memory | undefined,
  register: { push(name: string): unknown } | null,
): Memory {
  if (memory !== undefined) checkMemory(memory, "create");
  if (anonymous === undefined) {
    return memory ?? (register === null ? undefined : memoryOf.get(register)) ?? "named";
  }
  const wanted = anonymous ? "anonymous" : "named";
  if (memory !== undefined && memory !== wanted) {
    throw new RangeError(
      `Cannot create: anonymous: ${anonymous} and memory: "${memory}" contradict each other; ` +
        "memory alone says all",
    );
  }
  return wanted;
}

/**
 * Makes an array in the memory that was chosen.
 *
 * @param memory what was chosen
 * @param byteLength the size in bytes
 * @param named makes it with a name
 * @param anonymous makes it without one
 */
function makeIn<R>(memory: Memory, byteLength: number, named: () => R, anonymous: () => R): R {
  if (memory === "anonymous" || (memory === "auto" && isBetterAnonymous(byteLength))) {
    return anonymous();
  }
  try {
    return named();
  } catch (error) {
    // What was free has been taken by somebody else meanwhile.
    if (memory === "auto" && hasCode(error, "ENOSPC")) return anonymous();
    throw error;
  }
}

function checkMemory(memory: unknown, action: string): asserts memory is Memory {
  if (memory === "auto" || memory === "named" || memory === "anonymous") return;
  throw new RangeError(
    `Cannot ${action}: memory must be "auto", "named" or "anonymous", not ${quote(String(memory))}`,
  );
}

/** As many characters as `memfd_create` takes bytes, at three bytes for each. */
const LONGEST_LABEL = 83;

/**
 * Checks that names can be pushed into a register.
 *
 * @param register what the caller gave
 * @throws {TypeError} if it has no method `push`
 */
export function checkRegister(register: { push(name: string): unknown }): void {
  if (typeof register?.push !== "function") {
    throw new TypeError(
      "Cannot register: the register must have push(name), as an array or a SharedMemoryRegister",
    );
  }
}

/** Checks the options of a register, and completes them. */
function checkOptions(options: RegisterOptions | undefined): Required<RegisterOptions> {
  try {
    const { signals = [], uncaught = false, memory = "named" } = readOptions(
      options,
      {
        signals: 'array such as ["SIGINT", "SIGTERM"]',
        uncaught: "boolean",
        memory: 'string such as "auto"',
      },
      "make a register",
    );
    checkSignals(signals);
    checkMemory(memory, "make a register");
    return { signals, uncaught, memory };
  } catch (error) {
    throw fromCaller(error, SharedMemoryRegister);
  }
}

function checkSignals(signals: readonly SignalName[]): void {
  const known = endingSignals();
  for (const signal of signals) {
    if (!known.includes(signal)) {
      throw new RangeError(
        `Cannot make a register: ${shorten(String(signal))} cannot be listened to; there is ` +
          known.join(", "),
      );
    }
  }
}
