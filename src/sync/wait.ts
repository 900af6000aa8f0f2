/**
 * Waiting for a word of shared memory to change, and waking the waits.
 *
 * @module
 */

import { bufferAddress, futexWait, futexWake, hasFutex, monotonicNow } from "../../ffi/futex.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { isDetached, isGiven, isShared, kindOf, LONGEST_TIME, readOptions } from "../check.ts";
import { dtypeOf } from "../dtype.ts";
import { badResource, fromCaller } from "../errors.ts";
import { lookAtParent, nextLookAtParent, sleep } from "../process/parent.ts";
import { isPrivateCopy, isUnmarked, onClose, segmentOf } from "../segment/mod.ts";
import { areWaitsPending, beginWait, noteNotified, notifyOwn } from "./sleeper.ts";
import { LOOKS, Spin } from "./spin.ts";

/** How {@linkcode wait} ended. */
export type WaitResult = "ok" | "not-equal" | "timed-out";

/** The result of {@linkcode waitAsync}: how the wait ended, if it ended at once, else a promise of that. */
export type WaitAsyncResult =
  | { readonly async: false; readonly value: "not-equal" | "timed-out" }
  | { readonly async: true; readonly value: Promise<"ok" | "timed-out"> };

/** How {@linkcode waitAsync} may be given up. */
export interface WaitAsyncOptions {
  /** Aborts the wait: its promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Blocks this thread while an element has a value, until somebody calls {@linkcode notify} on it: a
 * process that maps the same segment, another thread of this one, Python or C.
 *
 * It is `Atomics.wait` for memory that processes share, with the same arguments and results. As with every
 * futex, look at the element again after "ok", which may come without a notification. Always change the element
 * before you notify, so that no notification is lost between a look and a wait.
 *
 * Before the thread sleeps it looks at the element for a moment, at the most 0.1 ms: processes that answer each
 * other soon then need not be put to sleep and be woken. If it sees a change, the result is "not-equal".
 *
 * The event loop stands still meanwhile: no timer, no listener for a signal runs. With a listener for
 * `SIGINT`, Ctrl-C waits, too. {@linkcode waitAsync} does not block. A `Worker` looks at the element every 95 ms, and
 * can be terminated then: there a change counts as a notification, one that comes during such a look without a change
 * wakes nobody, as the result of {@linkcode notify} says, and the wait of one that was terminated may take a
 * notification for 100 ms. So change the element before you notify.
 *
 * On macOS and Windows the element is looked at every millisecond.
 *
 * @param array an `Int32Array` over a mapped segment: `view.data`, or one over `SharedMemory.buf`
 * @param index the position of the element in it, as `view.index(…)` gives it
 * @param value the value at which to wait; taken as a 32-bit integer
 * @param timeout the time limit in milliseconds; by default none
 * @returns "ok" if it was woken, "not-equal" if the element had another value, "timed-out" if time was up
 * @throws {TypeError} if `array` is no `Int32Array`, or its memory is not a mapped segment
 * @throws {RangeError} if there is no element `index`
 * @throws {Deno.errors.BadResource} if the array was closed
 * @throws {Deno.errors.NotCapable} without `--allow-ffi`
 *
 * @example A flag, and at most half a second
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { wait } from "@shm/array/sync";
 * import { assertEquals } from "@std/assert";
 *
 * using sma = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName("flag"));
 * const flag = sma.create().data;
 * assertEquals(wait(flag, 0, 0, 500), "timed-out"); // nobody notifies
 * assertEquals(wait(flag, 0, 1), "not-equal");
 * sma.unlink();
 * ```
 *
 * @see {@link https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/Atomics/wait | Atomics.wait}
 * @see {@link https://man7.org/linux/man-pages/man2/futex.2.html | futex(2)}
 */
export function wait(
  array: Int32Array,
  index: number,
  value: number,
  timeout?: number,
): WaitResult {
  try {
    const memory = checkArray(array, "wait");
    const position = checkIndex(array, index, "wait");
    const expected = toInt32(value);
    const limit = toTimeout(timeout);
    checkOpen(array, memory, "wait");
    if (Atomics.load(array, position) !== expected) return "not-equal";
    if (limit === 0) return "timed-out";
    return block(
      array,
      position,
      memory.address + array.byteOffset + 4 * position,
      expected,
      limit,
    );
  } catch (error) {
    throw fromCaller(error, wait);
  }
}

/**
 * Ends waits on an element, by {@linkcode wait} or {@linkcode waitAsync}, in any process: those that began first.
 *
 * It is `Atomics.notify` for memory that processes share. Change the element first, with `Atomics`: a
 * waiter that has not quite fallen asleep then sees it. A notification that reaches a wait which was aborted, or whose
 * array was closed or moved, wakes the next one.
 *
 * On macOS and Windows waiters see the changed element by themselves, and only those of this thread are
 * counted.
 *
 * @param array an `Int32Array` over a mapped segment
 * @param index the position of the element in it
 * @param count how many to wake at the most; by default all
 * @returns how many were woken
 * @throws {TypeError} if `array` is no `Int32Array`, or its memory is not a mapped segment
 * @throws {RangeError} if there is no element `index`
 * @throws {Deno.errors.BadResource} if the array was closed
 * @throws {Deno.errors.NotCapable} without `--allow-ffi`
 *
 * @example Say that something is ready
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { notify } from "@shm/array/sync";
 * import { assertEquals } from "@std/assert";
 *
 * using sma = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName("ready"));
 * const ready = sma.create().data;
 * Atomics.store(ready, 0, 1);
 * assertEquals(notify(ready, 0), 0); // nobody waits here
 * sma.unlink();
 * ```
 *
 * @see {@link https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/Atomics/notify | Atomics.notify}
 */
export function notify(array: Int32Array, index: number, count?: number): number {
  try {
    const memory = checkArray(array, "notify");
    const position = checkIndex(array, index, "notify");
    const most = count === undefined ? Infinity : Math.max(toIntegerOrInfinity(count), 0);
    checkOpen(array, memory, "notify");
    const offset = array.byteOffset + 4 * position;
    if (memory.last.offset !== offset) {
      memory.last = { offset, address: BigInt(memory.address + offset) };
    }
    const woken = most > 0 && hasFutex()
      ? futexWake(memory.last.address, Math.min(most, MOST_WOKEN))
      : 0;
    if (!areWaitsPending()) return woken;
    const key = `${memory.segment}:${offset}`;
    if (woken > 0) noteNotified(key);
    return woken === most ? woken : woken + notifyOwn(key, most, woken);
  } catch (error) {
    throw fromCaller(error, notify);
  }
}

/** The largest count that the kernel takes. */
const MOST_WOKEN = 2 ** 31 - 1;

/**
 * Waits as {@linkcode wait} does, without blocking: it is `Atomics.waitAsync` for memory that processes
 * share, with the same arguments and results.
 *
 * Up to 127 waits share one thread of Deno's pool, so that hundreds of them slow no file access down, and a
 * program that fills the pool itself delays no time limit, abort or closing by more than 50 ms. A wait that is pending
 * keeps the program alive; `Deno.exit()` ends it. Closing the array rejects it.
 *
 * A notification ends the wait with "ok", whatever comes after that; without one it is "timed-out" when time is up,
 * whatever the element says. The wait begins a moment after the call has returned, and a thread that was woken for one
 * wait is away from all of its others for some microseconds: an element that is changed in that time counts as
 * notified. So does one that is changed while the thread gets no processor for 30 ms, as a timer looks at it then.
 * Several notifications in a row may end more waits of one isolate on one element than they were told to. So change
 * the element before you notify, and look at it again after "ok". The wait of a `Worker` that was terminated may take a
 * notification for 100 ms.
 *
 * Where the kernel has no `futex_waitv` (Linux before 5.16, macOS, Windows), and from the 1,017th wait on,
 * the element is looked at every millisecond.
 *
 * @param array an `Int32Array` over a mapped segment, which is kept until the wait is over
 * @param index the position of the element in it
 * @param value the value at which to wait; taken as a 32-bit integer
 * @param timeout the time limit in milliseconds; by default none
 * @param options a signal that aborts the wait
 * @returns `{ async: false, value }` if it ended at once: "not-equal" or "timed-out"; else
 * `{ async: true, value }` with a promise of "ok" or "timed-out". The promise is rejected with the
 * signal's reason, or with `Deno.errors.BadResource` when the array is closed.
 * @throws {TypeError} if `array` is no `Int32Array`, its memory is not a mapped segment, or an option is of
 * the wrong kind
 * @throws {RangeError} if there is no element `index`
 * @throws {Deno.errors.BadResource} if the array was closed
 * @throws {Deno.errors.NotCapable} without `--allow-ffi`
 *
 * @example Wait, and be woken
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { notify, waitAsync } from "@shm/array/sync";
 * import { assertEquals } from "@std/assert";
 *
 * using sma = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName("turn"));
 * const turn = sma.create().data;
 * const waiting = waitAsync(turn, 0, 0);
 *
 * Atomics.store(turn, 0, 1); // usually in another process
 * notify(turn, 0);
 *
 * assertEquals(await waiting.value, "ok");
 * sma.unlink();
 * ```
 *
 * @see {@link https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/Atomics/waitAsync | Atomics.waitAsync}
 * @see {@link https://docs.kernel.org/userspace-api/futex2.html | futex_waitv(2)}
 */
export function waitAsync(
  array: Int32Array,
  index: number,
  value: number,
  timeout?: number,
  options?: WaitAsyncOptions,
): WaitAsyncResult {
  try {
    const memory = checkArray(array, "wait");
    const position = checkIndex(array, index, "wait");
    const expected = toInt32(value);
    const limit = toTimeout(timeout);
    const { signal } = readOptions(options, { signal: "AbortSignal" }, "wait");
    checkOpen(array, memory, "wait");
    if (signal?.aborted) return { async: true, value: Promise.reject(signal.reason) };
    if (Atomics.load(array, position) !== expected) return { async: false, value: "not-equal" };
    if (limit === 0) return { async: false, value: "timed-out" };
    const offset = array.byteOffset + 4 * position;
    const place = {
      array: array as Int32Array<ArrayBuffer>,
      index: position,
      address: memory.address + offset,
      key: `${memory.segment}:${offset}`,
    };
    return { async: true, value: beginWait(place, expected, limit, signal) };
  } catch (error) {
    throw fromCaller(error, waitAsync);
  }
}

// --- Arguments -------------------------------------------------------------------------------

/** What `wait` and `notify` know of a buffer over a segment. */
interface Memory {
  /** Where its first byte is in the memory of this process. */
  readonly address: number;
  readonly segment: string;
  /**
   * The last byte that was asked for, and its address. It is kept, because V8 takes 0.1 µs to make a bigint of
   * a number.
   */
  last: { readonly offset: number; readonly address: bigint };
  /** Whether its mapping was closed. The buffer need not be detached then: the program may have forbidden that. */
  isClosed: boolean;
}

/** The buffers that were waited on, so that their addresses are asked for once. */
const known = new WeakMap<ArrayBufferLike, Memory>();

/** Checks the array, and gives the facts about its memory. */
function checkArray(array: unknown, action: string): Memory {
  // One of another realm (node:vm) is as good.
  if (array instanceof Int32Array || dtypeOf(array) === "int32") {
    return memoryOf(array as Int32Array, action);
  }
  throw new TypeError(
    `Cannot ${action}: it takes an Int32Array, not ${
      ArrayBuffer.isView(array) ? `a ${array.constructor.name}` : kindOf(array)
    }; of a view of int32, view.data and view.index(…)`,
  );
}

/** Checks the position of an element, as `Atomics` does. */
function checkIndex(array: Int32Array, index: unknown, action: string): number {
  const position = toIntegerOrInfinity(index);
  if (position >= 0 && position < array.length) return position;
  checkOpen(array, null, action);
  throw new RangeError(
    `Cannot ${action}: there is no element ${position} in an array of ${array.length}`,
  );
}

/** Checks that the array is open still: the conversion of an argument may have closed it. */
function checkOpen(array: Int32Array, memory: Memory | null, action: string): void {
  // An array whose memory is gone has no elements.
  if (memory?.isClosed || array.length === 0 && isDetached(array.buffer)) {
    throw closedError(action);
  }
}

function closedError(action: string): Error {
  return badResource(`Cannot ${action}: the array was closed, or its buffer transferred`);
}

/** Gives the facts about the memory of an array. It may do so for a closed array, too, which has no elements. */
function memoryOf(array: Int32Array, action: string): Memory {
  const { buffer } = array as Int32Array<ArrayBuffer>;
  const memory = known.get(buffer);
  if (memory !== undefined) return memory;
  checkOpen(array, null, action);
  const segment = segmentOf(buffer);
  if (segment === undefined) {
    if (isUnmarked(buffer)) throw closedError(action);
    throw new TypeError(
      `Cannot ${action}: the array is not over a mapped segment` +
        (isShared(buffer)
          ? "; Atomics serves a SharedArrayBuffer"
          : "; the data of a shared array are, a copy of them is not"),
    );
  }
  if (isPrivateCopy(buffer)) {
    // The kernel would copy the page for this process alone. Then no other process could wake it, and it would
    // see no change of theirs.
    throw new TypeError(
      `Cannot ${action}: the array was loaded copy-on-write, and is not shared; load() it without access`,
    );
  }
  const address = bufferAddress(buffer);
  const last = { offset: 0, address: BigInt(address) };
  const found = { address, segment, last, isClosed: false };
  onClose(buffer, () => found.isClosed = true);
  known.set(buffer, found);
  return found;
}

/** The number that a value is, as the language converts it: symbols and bigints are TypeErrors. */
function toNumber(value: unknown): number {
  return +(value as number);
}

function toIntegerOrInfinity(value: unknown): number {
  const number = Math.trunc(toNumber(value));
  return Number.isNaN(number) ? 0 : number + 0;
}

function toInt32(value: unknown): number {
  return toNumber(value) | 0;
}

function toTimeout(value: unknown): number {
  if (typeof value === "object" && value !== null) {
    const key = ["signal", "timeout"].find((key) => isGiven(value, key));
    if (key !== undefined) {
      throw new TypeError(
        `Cannot wait: the fourth argument is the time limit in milliseconds, not an object with ${key}; ` +
          "waitAsync() takes { signal } as its fifth",
      );
    }
  }
  const number = value === undefined ? NaN : toNumber(value);
  return Number.isNaN(number) || number > LONGEST_TIME ? Infinity : Math.max(number, 0);
}

// --- Blocking --------------------------------------------------------------------------------

/** Blocks while an element has a value. */
function block(
  array: Int32Array,
  index: number,
  address: number,
  expected: number,
  timeout: number,
): WaitResult {
  const deadline = timeout === Infinity ? Infinity : monotonicNow() + timeout;
  if (spin(array, index, expected)) return "not-equal";
  longestSleep ??= runtime().isWorker() ? LONGEST_OF_WORKER : Infinity;
  let hasSlept = false;
  while (true) {
    lookAtParent();
    let end = Math.min(deadline, nextLookAtParent());
    if (longestSleep !== Infinity) end = Math.min(end, monotonicNow() + longestSleep);
    const outcome = hasFutex() ? futexWait(address, expected, end) : nap();
    if (outcome === "woken") return "ok";
    // The caller checks any other outcome: V8 may have overwritten errno.
    if (outcome !== "changed" && deadline !== Infinity && monotonicNow() >= deadline) {
      return "timed-out";
    }
    hasSlept ||= outcome !== "changed";
    if (Atomics.load(array, index) !== expected) return hasSlept ? "ok" : "not-equal";
  }
}

/**
 * How long a Worker sleeps at the most, in milliseconds. While it is in the kernel it cannot be terminated, and in Node
 * `process.exit()` waits for that.
 */
const LONGEST_OF_WORKER = 95;

/** How long this thread sleeps at the most. */
let longestSleep: number | undefined;

const spins = new Spin(64);

/**
 * Looks at an element for a moment, as an answer may come sooner than a thread can be put to sleep and be
 * woken.
 *
 * @returns whether the element has changed
 */
function spin(array: Int32Array, index: number, expected: number): boolean {
  const end = spins.begin();
  do {
    for (let look = 0; look < LOOKS; look++) {
      if (Atomics.load(array, index) === expected) continue;
      spins.end(true);
      return true;
    }
  } while (monotonicNow() < end);
  spins.end(false);
  return false;
}

/** Sleeps a millisecond, where there is no futex. */
function nap(): "interrupted" {
  sleep(1);
  return "interrupted";
}
