/**
 * Registers of segment names, by which a job removes all that it has made.
 *
 * @module
 */

import type { SignalName } from "../../ffi/runtime/mod.ts";
import type { DTypeLike, DTypeOf } from "../dtype.ts";
import { descriptorOf, failuresText, readOptions, shorten } from "../check.ts";
import { fromCaller, showCallers } from "../errors.ts";
import type { Shape } from "../ndarray/mod.ts";
import { clearSegments, type CreateOptions, LABEL, type LabelledOptions } from "../segment/mod.ts";
import { cleanAtExit, endingSignals } from "../process/exit_cleanup.ts";
import { SharedMemoryArray } from "./shared_memory_array.ts";

/** When a register cleans up, besides the end of its scope and of the process. */
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
   * @param options at which signals to clean up, too, and whether at uncaught errors
   * @throws {TypeError} if an option is of the wrong kind or unknown
   * @throws {RangeError} if a signal is none that can be listened to
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
    const { signals, uncaught } = checkOptions(options);
    super();
    this.#signals = [...signals];
    this.#uncaught = uncaught;
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
    const failures: unknown[] = [];
    // One by one, because a pushed value that is no name must not keep the others.
    for (const name of new Set(this)) {
      try {
        clearSegments([name]);
      } catch (error) {
        failures.push(...(error instanceof AggregateError ? error.errors : [error]));
      }
    }
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
   * show. By default `false`.
   */
  anonymous?: boolean;
}

/**
 * Creates an array under a name of its own and enters the name into a register.
 *
 * @param shape the lengths of the axes in elements, or one length
 * @param dtype the element type, in any accepted spelling
 * @param register what the name is pushed into: an array, or a {@linkcode SharedMemoryRegister}
 * @param prefix the caller's part of the name; by default empty
 * @param options permission bits, whether to reserve the memory, and whether the segment is anonymous
 * @returns the array, created and attached; `.array` holds it, zero-filled
 * @throws {TypeError} if an argument is of the wrong kind
 * @throws {RangeError} if the shape, the prefix or an option is wrong
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
    const { anonymous = false, ...create } = readOptions(
      options,
      { anonymous: "boolean", mode: "any", reserve: "any" },
      "create",
    );
    const name = SharedMemoryArray.buildSmaName(prefix);
    let sma: SharedMemoryArray<DTypeOf<T>, S>;
    if (anonymous) {
      const labelled: LabelledOptions = { ...create, [LABEL]: name.slice(0, LONGEST_LABEL) };
      sma = SharedMemoryArray.createAnonymous(shape, dtype, labelled);
    } else {
      const named = new SharedMemoryArray(shape, dtype, name);
      named.create(create);
      sma = named as unknown as typeof sma;
    }
    try {
      register.push(sma.name);
    } catch (error) {
      // The register did not take the name, so nobody else could remove the segment.
      sma.unlink();
      sma.close();
      throw error;
    }
    return sma;
  } catch (error) {
    throw fromCaller(error, createAndRegisterSma, [register?.push]);
  }
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
    const { signals = [], uncaught = false } = readOptions(
      options,
      { signals: 'array such as ["SIGINT", "SIGTERM"]', uncaught: "boolean" },
      "make a register",
    );
    checkSignals(signals);
    return { signals, uncaught };
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
