/**
 * Waiting on 32-bit words of memory, and waking the threads that wait: the futex of Linux. It is called by
 * its number, because the C library has no function for it.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/futex.2.html | futex(2)}
 * @see {@link https://docs.kernel.org/userspace-api/futex2.html | futex_waitv(2)}
 * @module
 */

import { checked, libc, openOnUse } from "./library.ts";
import { platform } from "./platform.ts";
import { runtime, type Sleeper } from "./runtime/mod.ts";
import { declareFutex } from "./symbols.ts";

const functions = openOnUse(declareFutex);

let callNumber: number | undefined;

/** The number of the system call; -1 where there is none. */
function futexCall(): number {
  return callNumber ??= platform().futexCall ?? -1;
}

/** New system calls have the same number on all processors; that of `futex` is in the platform's table. */
const SYS_futex_waitv = 449;

const FUTEX_WAKE = 1;
const FUTEX_WAIT_BITSET = 9;
const FUTEX_PRIVATE_FLAG = 128;
const FUTEX_BITSET_MATCH_ANY = 0xffff_ffff;
const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const FUTEX2_SIZE_U32 = 0x02;
const FUTEX2_PRIVATE = 128;

/** Whether this system has the futex at all. */
export function hasFutex(): boolean {
  return platform().futexCall !== null;
}

let hasMany: boolean | undefined;

/** Whether this kernel can wait on many words in one call (Linux 5.16 and newer). */
export function hasFutexWaitMany(): boolean {
  if (hasMany !== undefined) return hasMany;
  if (!hasFutex()) return hasMany = false;
  const { futex } = functions();
  // No word at all is refused with EINVAL, by a kernel that has the call; old ones say ENOSYS, and some
  // containers EPERM.
  return hasMany = checked(
    "futex_waitv",
    null,
    () => futex(SYS_futex_waitv, 0n, 0, 0, null, 0n, 0),
    { answer: (code) => code === "EINVAL" },
  ) === true;
}

/** A `struct timespec`: 64 bits of seconds, 64 of nanoseconds. */
export type Timespec = Uint32Array<ArrayBuffer>;

/** Makes a `struct timespec`. */
export function makeTimespec(): Timespec {
  return new Uint32Array(4);
}

/** Writes a time in milliseconds into a `struct timespec`. */
export function setTimespec(timespec: Timespec, milliseconds: number): void {
  const seconds = Math.floor(milliseconds / 1000);
  timespec[0] = seconds % 2 ** 32;
  timespec[1] = Math.floor(seconds / 2 ** 32);
  timespec[2] = Math.min(999_999_999, Math.ceil((milliseconds - seconds * 1000) * 1e6));
  timespec[3] = 0;
}

const scratch = makeTimespec();

/**
 * The time of the kernel's monotonic clock, by which waits are limited.
 *
 * @returns milliseconds since some moment in the past
 * @see {@link https://man7.org/linux/man-pages/man3/clock_gettime.3.html | clock_gettime(3)}
 */
export function monotonicNow(): number {
  if (!hasFutex()) return performance.now(); // without a futex, only loops of this library ask for the time
  return timeBy(CLOCK_MONOTONIC);
}

/**
 * Tells the time of day, more precisely than `Date.now()` does. All processes of the machine read the same clock, and
 * it may be set back or forth.
 *
 * @returns milliseconds of the Unix epoch, with a fraction
 * @see {@link https://man7.org/linux/man-pages/man3/clock_gettime.3.html | clock_gettime(3)}
 */
export function realTimeNow(): number {
  return hasFutex() ? timeBy(CLOCK_REALTIME) : Date.now();
}

function timeBy(clock: number): number {
  functions().clock_gettime(clock, scratch);
  return (scratch[0] + scratch[1] * 2 ** 32) * 1000 + scratch[2] / 1e6;
}

/**
 * Tells where a byte of memory is.
 *
 * @param buffer memory outside of the garbage collector's heap, as every `ArrayBuffer` has it
 */
export function bufferAddress(buffer: ArrayBuffer): number {
  return Number(runtime().addressOfBuffer(buffer));
}

/** How a wait ended. */
export type FutexOutcome = "woken" | "changed" | "timed-out" | "interrupted";

/**
 * Blocks this thread while a word has a value, until somebody wakes it.
 *
 * V8's own futex calls may overwrite errno before it is read: a caller that gets "changed" or "timed-out"
 * must look whether it is so.
 *
 * @param address the address of the word, which any number of processes may map
 * @param value the value, compared by the kernel in the moment in which the wait begins
 * @param deadline when to give up, by {@linkcode monotonicNow}; `Infinity` for never
 */
export function futexWait(address: number, value: number, deadline: number): FutexOutcome {
  const { futex } = functions();
  const limit = deadline === Infinity ? null : scratch;
  if (limit !== null) setTimespec(limit, deadline);
  const [number, word] = [futexCall(), BigInt(address)];
  const outcome = checked(
    "futex",
    null,
    () => futex(number, word, FUTEX_WAIT_BITSET, value, limit, 0n, FUTEX_BITSET_MATCH_ANY),
    onceWaited,
  );
  return typeof outcome === "number" ? "woken" : outcome;
}

const outcomes: { readonly [code: string]: FutexOutcome | undefined } = {
  EINTR: "interrupted",
  EAGAIN: "changed",
  ETIMEDOUT: "timed-out",
};
/** A wait that is over is not begun again. */
const onceWaited = { answer: (code: string) => outcomes[code], isBelievedAtOnce: true };

/**
 * Wakes threads that wait on a word, in any process.
 *
 * @param address the address of the word
 * @param count how many to wake at the most, from 0 to 2^31 - 1
 * @returns how many were woken
 */
export function futexWake(address: bigint, count: number): number {
  return wake(address, FUTEX_WAKE, count);
}

function wake(address: bigint, operation: number, count: number): number {
  const { futex_wake } = functions();
  const number = futexCall();
  // V8 calls C directly with a bigint only; a number would take 0.3 µs more.
  const woken = futex_wake(number, address, operation, count);
  // A call that failed is made again, and checked.
  return woken >= 0
    ? woken
    : checked("futex", null, () => futex_wake(number, address, operation, count));
}

/** How many words one call can wait on. */
export const MOST_WORDS = 128;

/** A list of words to wait on: an array of `struct futex_waitv`, and a time limit. */
export class FutexVector {
  readonly #words = new Uint32Array(MOST_WORDS * 6);
  readonly #timeout = makeTimespec();
  readonly #wake: () => void;
  #length = 0;
  #sleeper: Sleeper | undefined;

  /** @param wake ends a wait on all words that is under way */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Takes all words out. */
  clear(): void {
    this.#length = 0;
  }

  /**
   * Puts a word in.
   *
   * @param address where it is
   * @param value the value at which to wait on
   * @param isPrivate whether only this process has it
   */
  push(address: number, value: number, isPrivate = false): void {
    const at = this.#length++ * 6;
    const words = this.#words;
    words[at] = value; // __u64 val
    words[at + 1] = 0;
    words[at + 2] = address % 2 ** 32; // __u64 uaddr
    words[at + 3] = Math.floor(address / 2 ** 32);
    words[at + 4] = FUTEX2_SIZE_U32 | (isPrivate ? FUTEX2_PRIVATE : 0); // __u32 flags
    words[at + 5] = 0; // __u32 __reserved
  }

  /** Settled when the other thread has started; `null` if it has, or need not. */
  get starting(): Promise<void> | null {
    return this.#thread().starting;
  }

  /** How long a wait may take at the most, in milliseconds. */
  get longestWait(): number {
    return this.#thread().longestCall;
  }

  #thread(): Sleeper {
    return this.#sleeper ??= runtime().sleeper(libc().name, this.#wake);
  }

  /**
   * Waits on all words in another thread, until one of them is woken. This object must be kept until the
   * call has returned.
   *
   * @param deadline when to give up, by {@linkcode monotonicNow}
   * @returns the position of the last word in the list that was woken, or -1 if none was: one has another
   * value, time is up, or the call failed. It cannot be told which: errno is that of the other thread.
   */
  wait(deadline: number): Promise<number> {
    setTimespec(this.#timeout, deadline);
    return this.#thread().wait(SYS_futex_waitv, this.#words, this.#length, this.#timeout);
  }
}

/** A word of this process by which a wait on a list of words is ended. */
export class ControlWord {
  readonly #word = new Int32Array(new ArrayBuffer(4));
  readonly #address = bufferAddress(this.#word.buffer);

  /** Puts the word into a list. */
  pushTo(vector: FutexVector): void {
    vector.push(this.#address, this.#word[0], true);
  }

  /** Ends a wait that has the word in its list, also one that has not quite begun. */
  bump(): void {
    Atomics.add(this.#word, 0, 1);
    wake(BigInt(this.#address), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
  }
}
