/**
 * Mutual exclusion between processes, and between the tasks of one.
 *
 * A lock's segment holds three 32-bit words. None of them excludes anybody: that is the `flock` of the
 * segment, which the kernel gives back when its holder ends.
 *
 * - word 0, `TURN`: one more after each release that somebody waited for; who waits sleeps on it.
 * - word 1, `WAITING`: not 0 if somebody may be asleep.
 * - word 2, `HELD`: not 0 while somebody is in the section. Who finds it so was left an open section.
 *
 * @module
 */

import { monotonicNow } from "../../ffi/futex.ts";
import { defineConstant, kindOf, readOptions } from "../check.ts";
import { badResource, busy, errors, notFound } from "../errors.ts";
import { showAs } from "../inspect.ts";
import {
  checkLocksSegments,
  checkName,
  nameMax,
  OpenSegment,
  type SharedMemory,
  unlink,
} from "../segment/mod.ts";
import { notify, wait, waitAsync } from "./wait.ts";

const TURN = 0;
const WAITING = 1;
const HELD = 2;
const BYTES = 16;

/**
 * The longest sleep in milliseconds before who waits for a lock tries again: a killed holder wakes nobody,
 * and what stands in the segment cannot be trusted.
 */
const SLICE = 20;

/** What a lock is, as plain data: what `structuredClone`, `postMessage` and JSON make of one. */
export interface LockDescriptor {
  /** The segment's name, without a slash. */
  readonly name: string;
}

/** How a lock's segment is made. */
export interface LockCreateOptions {
  /** The permission bits, set exactly and not thinned by the umask; by default `0o600`. */
  mode?: number;
}

/** How a lock's segment is attached to. */
export interface LockLoadOptions {
  /** How long to wait, blocking, for a segment that is not there yet, in milliseconds; by default 0. */
  timeout?: number;
}

/** How long to wait for a lock. */
export interface AcquireOptions {
  /** The time limit in milliseconds; by default none. With 0 there is one try. */
  timeout?: number;
}

/** How long to wait for a lock without blocking. */
export interface AcquireAsyncOptions extends AcquireOptions {
  /** Gives the waiting up: the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** Proves that a guard is made by this file. */
const KEY = Symbol();

/**
 * Stands for a lock that is held. Whoever has it gives the lock back by `release()`, or by `using`.
 *
 * A guard that is dropped without that gives the lock back when it is garbage, and the next holder is told
 * `abandoned`. When that is, nobody knows: use `using`.
 *
 * @example Give it back at the end of the scope
 * ```ts
 * import { SharedMemoryLock } from "@shm/array/sync";
 *
 * using lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`);
 * lock.create();
 * {
 *   using guard = lock.acquire();
 *   if (guard.abandoned) console.log("the last holder was killed: mend what it left");
 * }
 * lock.unlink();
 * ```
 */
export class LockGuard {
  /**
   * Whether the last holder ended, or dropped its guard, without giving the lock back: what the lock
   * protects may be half done.
   */
  readonly abandoned: boolean;
  readonly #release: () => void;

  /**
   * Not for callers: {@linkcode SharedMemoryLock.acquire} and its like make guards.
   *
   * @throws {TypeError} always, for callers
   */
  constructor(key: unknown, abandoned: unknown, release: unknown) {
    if (key !== KEY) {
      throw new TypeError("Cannot construct LockGuard: use acquire() of a SharedMemoryLock");
    }
    this.abandoned = abandoned as boolean;
    this.#release = release as () => void;
  }

  /**
   * Gives the lock back and wakes who waits for it; the second time does nothing.
   *
   * @example The next one can have it
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`);
   * lock.create();
   * const guard = lock.acquire();
   * assertEquals(lock.tryAcquire(), null);
   * guard.release();
   * guard.release();
   * lock.tryAcquire()!.release();
   * lock.unlink();
   * ```
   */
  release(): void {
    this.#release();
  }

  /** The same as `release()`, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  static {
    showAs(this.prototype, (guard) => #release in guard ? { abandoned: guard.abandoned } : {});
  }
}

/** A lock's segment: the file that is locked, and the words. */
class Attachment {
  readonly segment: OpenSegment;
  readonly words: Int32Array;

  private constructor(segment: OpenSegment) {
    this.segment = segment;
    this.words = new Int32Array(segment.buffer!, 0, BYTES / 4);
  }

  static create(name: string, options: LockCreateOptions): Attachment {
    return new Attachment(OpenSegment.create(name, BYTES, options, () => {}));
  }

  static open(name: string, timeout = 0): Attachment {
    return new Attachment(OpenSegment.open(name, timeout, checkSize));
  }

  /** Lets another one have the lock, unless all was given up already. */
  unlock(): void {
    const { words, segment } = this;
    if (!segment.isOpen) return;
    segment.unlock();
    if (Atomics.exchange(words, WAITING, 0) === 0) return;
    Atomics.add(words, TURN, 1);
    notify(words, TURN, 1);
  }
}

function checkSize({ name, size }: SharedMemory): true {
  if (size === BYTES) return true;
  throw new RangeError(
    `Cannot load '${name}': the segment has ${size} bytes, and a lock needs ${BYTES}` +
      (size > BYTES ? "; it is something else, which a lock would write to" : ""),
  );
}

/** Opens the lock that was made anew under a name that was removed. */
function openNext(name: string): Attachment {
  try {
    return Attachment.open(name);
  } catch (cause) {
    if (!(cause instanceof errors.NotFound)) throw cause;
    throw notFound(
      `Cannot acquire '${name}': its name was removed; close() this instance, and create() a new lock`,
      cause,
    );
  }
}

/** The lock that a guard stands for. */
interface Holding {
  readonly attachment: Attachment;
  /** Tells the lock that it is held no more. */
  readonly ended: () => void;
}

/** Runs after a guard was garbage-collected that had not been released. */
const droppedGuards = new FinalizationRegistry<Holding>(({ attachment, ended }) => {
  attachment.unlock();
  ended();
});

/** Somebody who waits without blocking. */
interface Task {
  readonly resolve: (guard: LockGuard) => void;
  readonly reject: (reason: unknown) => void;
  /** What it is to be rejected with; `null` as long as it waits. */
  failure: { readonly reason: unknown } | null;
}

/**
 * A lock that at most one holder has: of all processes on the machine that use its name, and of the tasks
 * in each. A holder that is killed gives it up, and the next one is told so.
 *
 * An instance is a description that can be sent to other processes as plain data, `{ name }`, and, between
 * `create()` or `load()` and `close()`, an attachment to the lock's own segment. The tasks of a program
 * share one instance. The kernel excludes, by `flock` on the segment, so the shell's `flock` and Python's
 * `fcntl.flock` take part.
 *
 * A holder that was killed is noticed within 20 ms. A `Worker` that is terminated while it holds the lock
 * keeps it until the process ends: nothing of it can run any more, and its file stays open. Who removes the
 * name while others have the lock lets two in: one by the old segment, one by the next of this name. Who
 * renames it in `/dev/shm` parts them for good: only a removed name is noticed, which takes half a microsecond.
 *
 * Linux only.
 *
 * @example One at a time
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryLock } from "@shm/array/sync";
 * import { assertEquals } from "@std/assert";
 *
 * using account = new SharedMemoryArray([2], "float64", SharedMemoryArray.buildSmaName("account"));
 * const balance = account.create();
 * using lock = new SharedMemoryLock(`${account.name}.lock`);
 * lock.create(); // in the other processes: load()
 *
 * function move(amount: number): void {
 *   using _guard = lock.acquire();
 *   balance.set(0, balance.get(0) - amount);
 *   balance.set(1, balance.get(1) + amount);
 * }
 * move(5);
 * assertEquals(balance.toArray(), [-5, 5]);
 *
 * account.unlink();
 * lock.unlink();
 * ```
 *
 * @see {@link https://man7.org/linux/man-pages/man2/flock.2.html | flock(2)}
 */
export class SharedMemoryLock {
  /** The segment's name, without a slash. */
  declare readonly name: string;

  #attachment: Attachment | null = null;
  #isHeld = false;
  readonly #tasks: Task[] = [];
  #isServing = false;
  /** Wakes who serves the tasks; `null` while nobody sleeps there. */
  #interrupt: (() => void) | null = null;

  /**
   * Describes a lock. Nothing is created or attached.
   *
   * @param name the segment's name: not empty, without "/" and NUL, at most 255 bytes
   * @throws {TypeError} if the name is no string
   * @throws {RangeError} if the name is not legal
   *
   * @example Send it to another process
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(JSON.stringify(new SharedMemoryLock("tiles")), '{"name":"tiles"}');
   * ```
   */
  constructor(name: string) {
    checkName(name, nameMax());
    defineConstant(this, "name", name);
  }

  /**
   * Creates the lock's segment and attaches to it. If a step fails, what was made before it is removed.
   *
   * @param options permission bits: who may not write to the segment cannot take part
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the mode is out of range
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.AlreadyExists} if the name is taken (`EEXIST`)
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`) or there is no descriptor left (`EMFILE`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example Create, use, remove
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   *
   * using lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`);
   * lock.create({ mode: 0o660 });
   * lock.acquire().release();
   * lock.unlink();
   * ```
   */
  create(options?: LockCreateOptions): this {
    const { mode } = readOptions(options, { mode: "number such as 0o600" }, "create");
    this.#checkDetached("create");
    this.#attachment = Attachment.create(this.name, { mode });
    return this;
  }

  /**
   * Attaches to the lock that another instance created.
   *
   * @param options how long to wait, blocking, for a lock that is not there yet
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {RangeError} if the time limit is negative or NaN, or the segment has not the size of a lock's
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example In the other process
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   *
   * using mine = new SharedMemoryLock(`lock-${crypto.randomUUID()}`).create();
   *
   * using theirs = SharedMemoryLock.from(JSON.parse(JSON.stringify(mine)));
   * theirs.load();
   * theirs.acquire().release();
   * mine.unlink();
   * ```
   */
  load(options?: LockLoadOptions): this {
    const { timeout } = checkTimeout(
      readOptions(options, { timeout: "number of milliseconds" }, "load"),
      "load",
    );
    this.#checkDetached("load");
    this.#attachment = Attachment.open(this.name, timeout);
    return this;
  }

  /**
   * Gives up the attachment; without one, does nothing. Tasks that wait for the lock are rejected with
   * `Deno.errors.BadResource`. The segment and its name stay.
   *
   * @throws {Deno.errors.Busy} if this instance holds the lock: release its guard first
   *
   * @example Not while it is held
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertThrows } from "@std/assert";
   *
   * const lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`).create();
   * const guard = lock.acquire();
   * assertThrows(() => lock.close(), Deno.errors.Busy);
   * guard.release();
   * lock.close();
   * lock.unlink();
   * ```
   */
  close(): void {
    const attachment = this.#attachment;
    if (attachment === null) return;
    if (this.#isHeld) {
      throw busy(
        `Cannot close '${this.name}': this instance holds the lock; release() its guard first`,
      );
    }
    this.#attachment = null;
    for (const task of [...this.#tasks]) {
      this.#fail(
        task,
        badResource(
          `Cannot acquire '${this.name}': this instance was closed meanwhile`,
        ),
      );
    }
    attachment.segment.close();
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Removes the lock's name. From then on nobody can acquire it: who is attached is told `NotFound`, or
   * goes over to a lock that was made anew under the name. Remove it when nobody needs it any more.
   *
   * @returns `false` if the name was gone already
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example Remove it once
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`).create();
   * assertEquals(lock.unlink(), true);
   * assertEquals(lock.unlink(), false);
   * ```
   */
  unlink(): boolean {
    this.#checkBrand();
    return unlink(this.name);
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`, `structuredClone`,
   * JSON or another instance. The result is not attached.
   *
   * @param descriptor plain data with `name`; what else it holds is not looked at
   * @returns a new instance
   * @throws {TypeError} if it is no object, or its name is missing or no string
   * @throws {RangeError} if the name is not legal
   *
   * @example Through JSON
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * const lock = SharedMemoryLock.from(JSON.parse('{"name":"tiles"}'));
   * assertEquals(lock.name, "tiles");
   * ```
   */
  static from(descriptor: LockDescriptor): SharedMemoryLock {
    if (kindOf(descriptor) !== "an object") {
      throw new TypeError(
        `Cannot make a SharedMemoryLock from ${
          kindOf(descriptor)
        }: a descriptor is an object with name`,
      );
    }
    if (!Object.hasOwn(descriptor, "name")) {
      throw new TypeError("Cannot make a SharedMemoryLock: the descriptor has no name");
    }
    return new SharedMemoryLock(descriptor.name);
  }

  /**
   * Takes the lock, and blocks this thread until it can be had. It goes before tasks of this instance that
   * wait in {@linkcode SharedMemoryLock.acquireAsync}, which could not go on meanwhile.
   *
   * The event loop stands still meanwhile; with a listener for `SIGINT`, Ctrl-C waits, too.
   *
   * @param options the time limit
   * @returns the guard, by which the caller gives the lock back
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   * @throws {Deno.errors.BadResource} if this instance is not attached
   * @throws {Deno.errors.Busy} if this instance holds the lock already
   * @throws {Deno.errors.NotFound} if the lock's name was removed (`ENOENT`)
   * @throws {DOMException} named "TimeoutError" if time was up; nothing is left behind
   *
   * @example Not for ever
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using mine = new SharedMemoryLock(`lock-${crypto.randomUUID()}`).create();
   * using theirs = SharedMemoryLock.from(mine).load();
   * using _guard = theirs.acquire();
   * const error = assertThrows(() => mine.acquire({ timeout: 50 }), DOMException);
   * assertEquals(error.name, "TimeoutError");
   * mine.unlink();
   * ```
   */
  acquire(options?: AcquireOptions): LockGuard {
    const timeout = options === undefined ? Infinity : checkTimeout(
      readOptions(options, { timeout: "number of milliseconds" }, "acquire"),
      "acquire",
    ).timeout ?? Infinity;
    this.#attached();
    if (this.#isHeld) {
      throw busy(
        `Cannot acquire '${this.name}': this instance holds the lock already`,
      );
    }
    const guard = this.#take();
    if (guard !== null) return guard;
    const deadline = monotonicNow() + timeout;
    while (true) {
      const turn = this.#announce();
      const guard = this.#take();
      if (guard !== null) return guard;
      const rest = deadline - monotonicNow();
      if (rest <= 0) throw timeoutError(this.name);
      wait(this.#attached().words, TURN, turn, Math.min(rest, SLICE));
    }
  }

  /**
   * Takes the lock if it can be had at once, also while tasks of this instance wait for it.
   *
   * @returns the guard, by which the caller gives the lock back; `null` if somebody has the lock, this
   * instance included
   * @throws {Deno.errors.BadResource} if this instance is not attached
   * @throws {Deno.errors.NotFound} if the lock's name was removed (`ENOENT`)
   *
   * @example Do something else meanwhile
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assert } from "@std/assert";
   *
   * using lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`).create();
   * using guard = lock.tryAcquire();
   * assert(guard !== null);
   * lock.unlink();
   * ```
   */
  tryAcquire(): LockGuard | null {
    this.#attached();
    return this.#isHeld ? null : this.#take();
  }

  /**
   * Takes the lock when it can be had, without blocking. The tasks of an instance are served in the order
   * in which they asked, also while this instance holds the lock.
   *
   * @param options the time limit, and a signal that gives the waiting up
   * @returns a promise of the guard, by which the caller gives the lock back. It is rejected with a
   * `DOMException` named "TimeoutError" if time was up, with the signal's reason, with
   * `Deno.errors.NotFound` if the lock's name was removed, with `Deno.errors.BadResource` if this instance
   * is not attached or was closed meanwhile; nothing is left behind
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   *
   * @example Two tasks
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`).create();
   * const order: string[] = [];
   * async function task(name: string): Promise<void> {
   *   using _guard = await lock.acquireAsync({ signal: AbortSignal.timeout(1000) });
   *   order.push(`${name} begins`);
   *   await Promise.resolve();
   *   order.push(`${name} ends`);
   * }
   * await Promise.all([task("a"), task("b")]);
   * assertEquals(order, ["a begins", "a ends", "b begins", "b ends"]);
   * lock.unlink();
   * ```
   */
  async acquireAsync(options?: AcquireAsyncOptions): Promise<LockGuard> {
    const { timeout = Infinity, signal } = checkTimeout(
      readOptions(
        options,
        { timeout: "number of milliseconds", signal: "AbortSignal" },
        "acquire",
      ),
      "acquire",
    );
    this.#attached();
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<LockGuard>();
    const task: Task = { resolve, reject, failure: null };
    this.#tasks.push(task);
    if (!this.#isServing) this.#serve();
    if (this.#tasks.includes(task)) {
      const abort = (): void => this.#fail(task, signal!.reason);
      signal?.addEventListener("abort", abort, { once: true });
      const cancel = atTime(timeout, () => this.#fail(task, timeoutError(this.name)));
      try {
        return await promise;
      } finally {
        cancel();
        signal?.removeEventListener("abort", abort);
      }
    }
    return await promise;
  }

  /** One line that says which lock this is. */
  toString(): string {
    return `SharedMemoryLock '${this.name}'`;
  }

  static {
    showAs(this.prototype, (lock) => {
      if (!(#attachment in lock)) return {}; // the prototype itself can be looked at, too
      return { name: lock.name, attached: lock.#attachment !== null, held: lock.#isHeld };
    });
  }

  /** That it can be called at all proves `this` to be an instance, whose name has been checked. */
  #checkBrand(): void {}

  #checkDetached(action: string): void {
    if (this.#attachment !== null) {
      throw busy(
        `Cannot ${action} '${this.name}': this instance is attached already; close() it first`,
      );
    }
    checkLocksSegments(action, this.name, "locks between processes are");
  }

  #attached(): Attachment {
    const attachment = this.#attachment;
    if (attachment === null) {
      throw badResource(
        `Cannot acquire '${this.name}': this instance is not attached; create() or load() it first`,
      );
    }
    return attachment;
  }

  /** Says that somebody is about to sleep; returns the turn in which to. */
  #announce(): number {
    const { words } = this.#attached();
    Atomics.store(words, WAITING, 1);
    return Atomics.load(words, TURN);
  }

  /** Takes the lock if nobody has it. This instance must not hold it. */
  #take(): LockGuard | null {
    while (true) {
      const attachment = this.#attached();
      const { segment } = attachment;
      const isTaken = segment.tryLock();
      let isNamed = false;
      try {
        isNamed = segment.isNamed;
        if (isNamed) return isTaken ? this.#hold(attachment) : null;
        // The name was removed. Nobody else comes to this segment any more: go where they go.
        this.#attachment = openNext(this.name);
      } finally {
        if (isTaken && !isNamed) attachment.unlock();
      }
      segment.close();
    }
  }

  /** Makes the guard for the lock that was just taken. */
  #hold(attachment: Attachment): LockGuard {
    const { words } = attachment;
    const isAbandoned = Atomics.exchange(words, HELD, 1) !== 0;
    this.#isHeld = true;
    let isReleased = false;
    const ended = (): void => {
      this.#isHeld = false;
      this.#interrupt?.();
    };
    const holding: Holding = { attachment, ended };
    const guard = new LockGuard(KEY, isAbandoned, () => {
      if (isReleased) return;
      isReleased = true;
      droppedGuards.unregister(holding);
      Atomics.store(words, HELD, 0);
      attachment.unlock();
      ended();
    });
    droppedGuards.register(guard, holding, holding);
    return guard;
  }

  /** Gives the lock to the tasks, one after another. */
  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#tasks.length > 0) {
      const [task] = this.#tasks;
      try {
        if (task.failure !== null) throw task.failure.reason;
        const guard = await this.#takeOrSleep();
        if (guard === null) continue;
        task.resolve(guard);
      } catch (error) {
        task.reject(error);
      }
      this.#tasks.shift();
    }
    this.#isServing = false;
  }

  /** Takes the lock, or sleeps until it may be worth another try, and returns `null`. */
  async #takeOrSleep(): Promise<LockGuard | null> {
    this.#attached();
    if (this.#isHeld) {
      await new Promise<void>((resume) => this.#interrupt = resume);
      this.#interrupt = null;
      return null;
    }
    const guard = this.#take();
    if (guard !== null) return guard;
    const turn = this.#announce();
    const late = this.#take();
    if (late !== null) return late;
    const { words } = this.#attached();
    const stop = new AbortController();
    this.#interrupt = () => stop.abort();
    try {
      await waitAsync(words, TURN, turn, SLICE, { signal: stop.signal }).value;
    } catch (error) {
      // It was interrupted, or the segment was left for another one: what is the case, is seen next.
      if (!stop.signal.aborted && this.#attachment?.words === words) throw error;
    } finally {
      this.#interrupt = null;
    }
    return null;
  }

  /** Has a task end without the lock. */
  #fail(task: Task, reason: unknown): void {
    const at = this.#tasks.indexOf(task);
    if (at < 0 || task.failure !== null) return;
    if (at === 0) {
      // It is being served: it ends when that is over, so that nothing is left running.
      task.failure = { reason };
      this.#interrupt?.();
    } else {
      this.#tasks.splice(at, 1);
      task.reject(reason);
    }
  }
}

function checkTimeout<T extends { timeout?: number }>(options: T, action: string): T {
  const { timeout } = options;
  if (timeout !== undefined && !(timeout >= 0)) {
    throw new RangeError(
      `Cannot ${action}: timeout must be 0 or more milliseconds, not ${timeout}`,
    );
  }
  return options;
}

function timeoutError(name: string): DOMException {
  return new DOMException(
    `Cannot acquire '${name}': somebody has the lock still, and time is up`,
    "TimeoutError",
  );
}

/** Does something when time is up; returns what cancels it. */
function atTime(timeout: number, action: () => void): () => void {
  if (timeout === Infinity) return () => {};
  const deadline = monotonicNow() + timeout;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    const rest = deadline - monotonicNow();
    if (rest <= 0) action();
    else timer = setTimeout(look, Math.min(rest, LONGEST_TIMER));
  };
  look();
  return () => clearTimeout(timer);
}

/** What is longer is no time for `setTimeout`. */
const LONGEST_TIMER = 2 ** 31 - 1;
