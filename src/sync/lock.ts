/**
 * Mutual exclusion between processes, and between the tasks of one. The words of a lock's segment and the order of
 * the steps stand in `lock_words.ts` and `docs/sync.md`.
 *
 * @module
 */

import { monotonicNow } from "../../ffi/futex.ts";
import {
  checkTimeout,
  defineConstant,
  FAMILIAR_FRAMES,
  isGiven,
  kindOf,
  needStack,
  quote,
  quoteName,
  readOptions,
  sharedAmongCopies,
  UNFAMILIAR_FRAMES,
} from "../check.ts";
import { badResource, busy, errors, fromCaller, notFound, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
import {
  checkLocksSegments,
  checkName,
  descriptionOf,
  nameMax,
  OpenSegment,
  type SharedMemory,
  unlink,
} from "../segment/mod.ts";
import { deadlineOf, EventCount, turnOfEventLoop } from "./event_count.ts";
import {
  checkLock,
  HELD,
  indexOf,
  LOCK_BYTES,
  LOCK_SLICE,
  TURN,
  WAITING,
  wordsOf,
  writeLock,
} from "./lock_words.ts";

/** A lock as plain data, as `structuredClone`, `postMessage` and JSON make it. */
export interface LockDescriptor {
  /** Tells a lock from what else has a name. */
  readonly kind: "lock";
  /** The segment's name, without a slash. */
  readonly name: string;
}

/** How a lock's segment is made. */
export interface LockCreateOptions {
  /** The permission bits, set exactly and not thinned by the umask; by default `0o600`. */
  mode?: number;
  /** Whether to write beside the segment that it is a lock (the default), for the shell and `list()`. */
  describe?: boolean;
}

/** How a lock's segment is attached to. */
export interface LockLoadOptions {
  /** How long to wait, blocking, for a segment that is not there yet, in milliseconds; by default 0. */
  timeout?: number;
}

/** How a lock's segment is attached to, or made if there is none. */
export interface LockCreateOrLoadOptions extends LockCreateOptions {
  /**
   * How long to wait, blocking, for a segment whose name is there before it is a lock's, as another program may make
   * it, in milliseconds; at least one second. One that is not there is made at once.
   */
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
 * Stands for a lock that is held. Its owner gives the lock back by `release()`, or by `using`.
 *
 * Keep the guard. `await lock.acquireAsync();` alone drops it: the lock is given back when the guard is
 * garbage-collected, which may be at once or never, and the section is open to others from then on. The next holder
 * finds `abandoned`, and the console warns once for each lock. Write `using guard = await lock.acquireAsync();`.
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
   * Gives the lock back and wakes a waiter; the second time does nothing.
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
showCallers(LockGuard);

/** A lock's segment: the file that is locked, and the words. */
class Attachment {
  readonly segment: OpenSegment;
  readonly event: EventCount;
  readonly #words: Int32Array;

  private constructor(segment: OpenSegment) {
    this.segment = segment;
    this.#words = wordsOf(segment.buffer!);
    this.event = new EventCount(this.#words, indexOf(TURN), indexOf(WAITING));
  }

  static create(lock: SharedMemoryLock, options: LockCreateOptions): Attachment {
    const describe = () => descriptionOf(lock);
    return new Attachment(
      OpenSegment.create(lock.name, LOCK_BYTES, options, writeLock, describe),
    );
  }

  static open(name: string, timeout = 0): Attachment {
    return new Attachment(OpenSegment.open(name, timeout, isLock, { kind: "lock" }));
  }

  static createOrOpen(
    lock: SharedMemoryLock,
    options: LockCreateOptions,
    timeout: number,
  ): Attachment {
    const { name } = lock;
    const describe = () => descriptionOf(lock);
    return new Attachment(
      OpenSegment.createOrOpen(
        name,
        LOCK_BYTES,
        options,
        writeLock,
        describe,
        timeout,
        isLock,
        "lock",
      ),
    );
  }

  /** Notes that a holder is in the section; returns whether the last one never left it. */
  enter(): boolean {
    return Atomics.exchange(this.#words, indexOf(HELD), 1) !== 0;
  }

  /** Notes that nobody is in the section. */
  leave(): void {
    Atomics.store(this.#words, indexOf(HELD), 0);
  }

  /** Gives the lock back, unless the attachment was given up already. */
  unlock(): void {
    if (this.segment.isOpen) this.segment.unlock();
  }

  /** Wakes a waiter, if there is one, and notes that this thread lets it in. */
  wakeNext(): void {
    const { segment, event } = this;
    if (!segment.isOpen) return;
    const advance = event.advance(1);
    if (advance === null) return;
    const isCertain = advance.woken > 0;
    const until = monotonicNow() + (isCertain ? LOCK_SLICE : PASSAGE_TIME);
    if (debts.size >= MOST_DEBTS) forgetOldDebts();
    debts.set(segment.identity, { turn: advance.turn, until, isCertain });
  }
}

/** Looks whether a segment is that of a lock. */
function isLock({ buf, name }: SharedMemory, isTimeUp: boolean): boolean {
  return checkLock(buf!, name, isTimeUp);
}

/** Opens the lock that was made anew under a name that was removed. */
function openNext(name: string): Attachment {
  try {
    return Attachment.open(name);
  } catch (cause) {
    if (!(cause instanceof errors.NotFound)) throw cause;
    throw notFound(
      `Cannot acquire ${quoteName(name)}: ` +
        "its name was removed; close() this instance, and create() a new lock",
      cause,
    );
  }
}

/** The lock that a guard stands for. */
interface Holding {
  readonly name: string;
  readonly attachment: Attachment;
  /** Called when the lock is held no more. */
  readonly ended: () => void;
}

/** Gives a lock back after its guard was garbage-collected without a release. */
const droppedGuards = new FinalizationRegistry<Holding>(({ name, attachment, ended }) => {
  attachment.unlock();
  attachment.wakeNext();
  ended();
  if (warnedOf.has(name)) return;
  warnedOf.add(name);
  console.warn(
    `A guard of the SharedMemoryLock ${quoteName(name)} ` +
      "was dropped without release(), and the lock given back when the " +
      "guard was garbage-collected: what it protects was open to others. Keep the guard: " +
      "using guard = await lock.acquireAsync();",
  );
});

/** The names of locks of which a guard was dropped. There is one warning for each. */
const warnedOf = new Set<string>();

/** A call of `acquireAsync()` that has not ended. */
interface Task {
  readonly resolve: (guard: LockGuard) => void;
  readonly reject: (reason: unknown) => void;
  /** Aborted with the reason with which the task is to be rejected. */
  readonly failure: AbortController;
}

/**
 * The result of a try to take the lock where the name leads to another segment by now. The next try is made
 * there.
 */
const MOVED = Symbol("moved");

/**
 * How long the lock is left to a waiter that is announced but does not sleep, in milliseconds. It may be on the
 * way to sleep or back, it may look every millisecond where the kernel cannot wait for it, or it may have given
 * up.
 */
const PASSAGE_TIME = 2;

/** How often one try follows a name that leads to one segment after another. */
const MOST_MOVES = 100;

/**
 * A lock that at most one holder has, among all processes of the machine that use its name, and among the tasks
 * of each. If its holder is killed, the lock is free, and the guard of the next holder says so.
 *
 * An instance is a description that can be sent to other processes as plain data, `{ kind, name }`, and, between
 * `create()` or `load()` and `close()`, an attachment to the lock's own segment. The tasks of a program
 * share one instance. The kernel excludes, by `flock` on the segment, so the shell's `flock` and Python's
 * `fcntl.flock` take part.
 *
 * The tasks of an instance get the lock in the order in which they asked. Between processes and threads, one that
 * releases the lock while another waits does not get it again before one that waited had its turn, or 20 ms have
 * passed: the waiter may be stopped or dead. The one that has waited longest is woken first; one that comes just then may
 * be faster. Plain users of `flock` are not part of this order, and can keep others out.
 *
 * A holder that was killed is noticed within 20 ms. A `Worker` that is terminated while it holds the lock
 * keeps it until the process ends: nothing of it can run any more, and its file stays open. If the name is removed
 * while somebody has the lock, two can be in: one by the old segment, one by the next of this name. If the segment is
 * renamed in `/dev/shm`, this is not noticed: only a removed name is, which takes half a microsecond.
 *
 * Linux only. `docs/sync.md` has what stands in the segment, for other languages.
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
  /** Tells a lock from what else has a name. */
  declare readonly kind: "lock";
  /** The segment's name, without a slash. */
  declare readonly name: string;

  #attachment: Attachment | null = null;
  #isHeld = false;
  readonly #tasks: Task[] = [];
  #isServing = false;
  /** Resumes the first task that waits until this instance gives the lock back; `null` if there is none. */
  #resume: (() => void) | null = null;

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
   * assertEquals(JSON.stringify(new SharedMemoryLock("tiles")), '{"kind":"lock","name":"tiles"}');
   * ```
   */
  constructor(name: string) {
    try {
      checkName(name, nameMax());
      defineConstant(this, "kind", "lock");
      defineConstant(this, "name", name);
    } catch (error) {
      throw fromCaller(error, SharedMemoryLock);
    }
  }

  /**
   * Creates the lock's segment and attaches to it. If a step fails, what was made before it is removed.
   *
   * @param options permission bits (users that may not write to the segment cannot take part), and whether to
   * describe the lock
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
    const kinds = { mode: "number such as 0o600", describe: "boolean" } as const;
    const checked = readOptions(options, kinds, "create");
    this.#checkDetached("create");
    this.#attachment = Attachment.create(this, checked);
    return this;
  }

  /**
   * Attaches to the lock that another instance created.
   *
   * @param options how long to wait, blocking, for a lock that is not there yet
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind, or the segment is not that of a lock: an array of 16
   * bytes, a ring. Nothing is written to it.
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
    const { timeout } = readOptions(options, { timeout: "number of milliseconds" }, "load");
    const limit = checkTimeout(timeout, "load", 0);
    this.#checkDetached("load");
    this.#attachment = Attachment.open(this.name, limit);
    return this;
  }

  /**
   * Attaches to the lock, or creates it if there is none: of all processes that do so at once, one creates it, and
   * {@linkcode SharedMemoryLock.isCreator} tells which one. A creator that is killed leaves nothing in the way of
   * the others.
   *
   * @param options those of `create()`, which count for the one that creates it, and those of `load()`
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind or unknown, or there is a segment that is not that of a
   * lock
   * @throws {RangeError} if an option is out of range, the name is that of an anonymous segment, or there is a
   * segment that has not the size of a lock's
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`) or there is no descriptor left (`EMFILE`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example The same line in every process
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using lock = new SharedMemoryLock(`lock-${crypto.randomUUID()}`).createOrLoad();
   * using other = SharedMemoryLock.from(lock).createOrLoad();
   * assertEquals([lock.isCreator, other.isCreator], [true, false]);
   * lock.unlink();
   * ```
   */
  createOrLoad(options?: LockCreateOrLoadOptions): this {
    const kinds = {
      mode: "number such as 0o600",
      describe: "boolean",
      timeout: "number of milliseconds",
    } as const;
    const { timeout, ...creation } = readOptions(options, kinds, "create or load");
    const limit = checkTimeout(timeout, "create or load", 0);
    this.#checkDetached("create or load");
    this.#attachment = Attachment.createOrOpen(this, creation, limit);
    return this;
  }

  /**
   * Whether this instance has made the segment that it is attached to, and not found it; `null` while it is not
   * attached. An instance that went over to a lock that was made anew has not made that one.
   */
  get isCreator(): boolean | null {
    return this.#attachment?.segment.isCreator ?? null;
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
    needStack(UNFAMILIAR_FRAMES);
    if (this.#isHeld) {
      throw busy(
        `Cannot close ${quoteName(this.name)}: ` +
          "this instance holds the lock; release() its guard first",
      );
    }
    this.#attachment = null;
    for (const task of [...this.#tasks]) {
      this.#fail(
        task,
        badResource(
          `Cannot acquire ${quoteName(this.name)}: this instance was closed meanwhile`,
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
   * Removes the lock's name. From then on nobody can acquire it: attached instances throw `NotFound`, or go
   * over to a lock that was made anew under the name. Remove it when nobody needs it any more.
   *
   * An attached instance removes the name of its own segment only. An instance that is not attached removes the
   * name, whatever segment it leads to.
   *
   * @returns `false` if the name was gone already, or leads to another segment by now, which stays
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
    const attachment = this.#attachment;
    return attachment === null ? unlink(this.name) : attachment.segment.unlink();
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`, `structuredClone`,
   * JSON or another instance. The result is not attached.
   *
   * @param descriptor plain data with `kind` and `name`; other keys, as of a message that holds a description, are
   * not looked at. Without `kind` it must have none of the parts of an array.
   * @returns a new instance
   * @throws {TypeError} if it is no object, describes something else than a lock, or its name is missing or no
   * string
   * @throws {RangeError} if the name is not legal
   *
   * @example Through JSON
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * const lock = SharedMemoryLock.from(JSON.parse('{"kind":"lock","name":"tiles"}'));
   * assertEquals(lock.name, "tiles");
   * ```
   */
  static from(
    descriptor: LockDescriptor | { readonly kind?: undefined; readonly name: string },
  ): SharedMemoryLock {
    checkDescriptor(descriptor);
    return new SharedMemoryLock(descriptor.name);
  }

  /**
   * Takes the lock, and blocks this thread until it can be had. It comes before tasks of this instance that
   * wait in {@linkcode SharedMemoryLock.acquireAsync}, because they cannot run while this thread is blocked.
   *
   * The event loop stands still meanwhile; with a listener for `SIGINT`, Ctrl-C waits, too.
   *
   * @param options the time limit; beyond 2^53 ms there is none
   * @returns the guard, by which the caller gives the lock back
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   * @throws {Deno.errors.BadResource} if this instance is not attached
   * @throws {Deno.errors.Busy} if this instance holds the lock already, or another instance of this thread does and
   * there is no time limit: it could not give the lock back while this call blocks
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
      readOptions(options, { timeout: "number of milliseconds" }, "acquire").timeout,
      "acquire",
      Infinity,
    );
    needStack(frames.sync);
    this.#attached();
    if (this.#isHeld) {
      throw busy(
        `Cannot acquire ${quoteName(this.name)}: this instance holds the lock already`,
      );
    }
    const deadline = deadlineOf(timeout);
    // A process that has let a waiter in must announce itself before it takes the lock. Otherwise the waiters
    // behind it sleep on beside a free lock.
    const guard = this.#letIn(deadline) ? null : this.#take();
    if (guard !== null) return guard;
    const check = (): void => {
      if (timeout === Infinity) this.#checkNotHeldHere();
    };
    check();
    if (timeout === 0) throw timeoutError(this.name);
    while (true) {
      const attachment = this.#attached();
      const look = (): LockGuard | typeof MOVED | null => {
        const found = this.#tryTake(attachment, true);
        if (found === null) check();
        return found;
      };
      const found = attachment.event.until(look, deadline, LOCK_SLICE);
      if (found === null) throw timeoutError(this.name);
      if (found !== MOVED) return found;
      if (monotonicNow() > deadline) throw timeoutError(this.name);
    }
  }

  /**
   * Takes the lock if it can be had at once, also while tasks of this instance wait for it.
   *
   * @returns the guard, by which the caller gives the lock back; `null` if somebody has the lock, this
   * instance included, or it is the turn of one that waits since this thread released the lock
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
    needStack(frames.sync);
    const attachment = this.#attached();
    return this.#isHeld || debtOf(attachment)?.isCertain ? null : this.#take();
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
    const { timeout, signal } = readOptions(
      options,
      { timeout: "number of milliseconds", signal: "AbortSignal" },
      "acquire",
    );
    const limit = checkTimeout(timeout, "acquire", Infinity);
    needStack(frames.async);
    this.#attached();
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<LockGuard>();
    const task: Task = { resolve, reject, failure: new AbortController() };
    this.#tasks.push(task);
    if (!this.#isServing) this.#serve();
    if (!this.#tasks.includes(task)) return await promise;
    const abort = (): void => this.#fail(task, signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const cancel = atTime(limit, () => this.#fail(task, timeoutError(this.name)));
    try {
      return await promise;
    } finally {
      cancel();
      signal?.removeEventListener("abort", abort);
    }
  }

  /** One line that says which lock this is. */
  toString(): string {
    return `SharedMemoryLock ${quoteName(this.name)}`;
  }

  static {
    showAs(this.prototype, (lock) => {
      if (!(#attachment in lock)) return {}; // `console.log` may show the prototype itself, too
      return { name: lock.name, attached: lock.#attachment !== null, held: lock.#isHeld };
    });
  }

  #checkDetached(action: string): void {
    if (this.#attachment !== null) {
      throw busy(
        `Cannot ${action} ${quoteName(this.name)}: ` +
          "this instance is attached already; close() it first",
      );
    }
    checkLocksSegments(action, this.name, "locks between processes are");
  }

  #attached(): Attachment {
    const attachment = this.#attachment;
    if (attachment === null) {
      throw badResource(
        `Cannot acquire ${quoteName(this.name)}: ` +
          "this instance is not attached; create() or load() it first",
      );
    }
    return attachment;
  }

  /** Refuses to block this thread for a lock that only this thread can give back. */
  #checkNotHeldHere(): void {
    if (!heldHere.has(this.#attached().segment.identity)) return;
    throw busy(
      `Cannot acquire ${quoteName(this.name)}: ` +
        "another instance of this thread holds the lock, and could not give it " +
        "back while this call blocks; acquireAsync() does not block, and { timeout } ends the waiting",
    );
  }

  /**
   * Blocks until the waiter that this thread has woken at its last release has had its turn.
   *
   * @param deadline when to give up
   * @returns whether there was one
   * @throws {DOMException} named "TimeoutError" if time was up before its turn was over
   */
  #letIn(deadline: number): boolean {
    const attachment = this.#attached();
    const debt = debtOf(attachment);
    if (debt === null) return false;
    const rest = deadline - monotonicNow();
    if (!debt.isCertain && rest <= 0) return false;
    const { segment, event } = attachment;
    event.announce();
    event.sleep(debt.turn, Math.max(0, Math.min(debt.until - monotonicNow(), rest)));
    if (debt.isCertain && deadline < debt.until && debtOf(attachment) !== null) {
      event.handOn(); // This thread makes no use of a wake-up that it may have had.
      throw timeoutError(this.name);
    }
    debts.delete(segment.identity);
    return true;
  }

  /** Takes the lock if nobody has it. This instance must not have it. */
  #take(): LockGuard | null {
    for (let moves = 0; moves < MOST_MOVES; moves++) {
      const found = this.#tryTake(this.#attached(), false);
      if (found !== MOVED) return found;
    }
    return null;
  }

  /**
   * Takes the lock if nobody has it.
   *
   * @param attachment what this instance is attached to
   * @param hasWaited whether the caller has announced itself before
   * @returns the guard; `null` if somebody has the lock; {@linkcode MOVED} if the name was removed and leads to
   * another segment, to which this instance is attached now
   */
  #tryTake(attachment: Attachment, hasWaited: boolean): LockGuard | typeof MOVED | null {
    const { segment } = attachment;
    const isTaken = segment.tryLock();
    let isNamed = false;
    try {
      isNamed = segment.isNamed;
      if (isNamed) return isTaken ? this.#hold(attachment, hasWaited) : null;
      // The name was removed. No other process comes to this segment any more, so this goes over to the new
      // one.
      this.#attachment = openNext(this.name);
    } finally {
      if (isTaken && !isNamed) {
        attachment.unlock();
        attachment.event.advance();
      }
    }
    segment.close();
    return MOVED;
  }

  /** Makes the guard for the lock that was just taken. */
  #hold(attachment: Attachment, hasWaited: boolean): LockGuard {
    const { identity } = attachment.segment;
    const isAbandoned = attachment.enter();
    // The process that has let a waiter in learns by this that the waiter has had its turn.
    if (hasWaited) attachment.event.count();
    this.#isHeld = true;
    heldHere.add(identity);
    let steps = 0;
    const ended = (): void => {
      heldHere.delete(identity);
      this.#isHeld = false;
      this.#resume?.();
    };
    const holding: Holding = { name: this.name, attachment, ended };
    const guard = new LockGuard(KEY, isAbandoned, () => {
      // At the end of the stack each step may throw. Called again, this goes on with the step that is missing.
      // The steps before must not be done twice, because another process may have the lock by then.
      if (steps === 0) {
        attachment.leave();
        steps = 1;
      }
      if (steps === 1) {
        attachment.unlock();
        steps = 2;
      }
      if (steps === 2) {
        attachment.wakeNext();
        steps = 3;
      }
      if (steps === 3) {
        droppedGuards.unregister(holding);
        ended();
        steps = 4;
        frames.sync = TAKING_FRAMES;
      }
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
        const guard = await this.#takeAsync(task.failure.signal);
        if (guard === null) continue;
        task.resolve(guard);
        frames.async = FAMILIAR_FRAMES;
      } catch (error) {
        task.reject(error);
      }
      this.#tasks.shift();
    }
    this.#isServing = false;
  }

  /**
   * Takes the lock for a task, or waits until something has changed, and returns `null`.
   *
   * @param signal is aborted when the task is to end
   */
  async #takeAsync(signal: AbortSignal): Promise<LockGuard | null> {
    signal.throwIfAborted();
    const attachment = this.#attached();
    if (this.#isHeld) {
      await new Promise<void>((resume) => {
        this.#resume = resume;
        signal.addEventListener("abort", () => resume(), { once: true });
      });
      this.#resume = null;
      return null;
    }
    try {
      const debt = debtOf(attachment);
      if (debt !== null) {
        debts.delete(attachment.segment.identity);
        attachment.event.announce();
        await attachment.event.sleepAsync(debt.turn, debt.until - monotonicNow(), signal);
      } else {
        const guard = this.#take();
        if (guard !== null) return guard;
        if (this.#attachment !== attachment) return null;
      }
      // Another call may have taken the lock, or left the segment, while this one slept.
      const look = (): LockGuard | typeof MOVED | null =>
        this.#isHeld || this.#attachment !== attachment ? MOVED : this.#tryTake(attachment, true);
      const found = await attachment.event.untilAsync(look, Infinity, LOCK_SLICE, signal);
      if (found !== MOVED) return found;
      await turnOfEventLoop(); // Timers must run, even if a program gives the name to one segment after another.
      return null;
    } catch (error) {
      // The segment was left for the next one of its name, and closed, while this call slept there.
      if (!signal.aborted && this.#attachment !== null && this.#attachment !== attachment) {
        return null;
      }
      throw error;
    }
  }

  /** Ends a task without the lock. */
  #fail(task: Task, reason: unknown): void {
    const at = this.#tasks.indexOf(task);
    if (at < 0) return;
    // The first task is being served. It ends when that is over, so that nothing goes on running.
    if (at === 0) return task.failure.abort(reason);
    this.#tasks.splice(at, 1);
    task.reject(reason);
  }
}
showCallers(SharedMemoryLock);

/**
 * How much of the stack must be free before anything is done. At the end of the stack an error could come
 * between taking a lock and making its guard, and nobody could give the lock back.
 */
const frames = { sync: UNFAMILIAR_FRAMES, async: UNFAMILIAR_FRAMES };

/** How much is needed when a lock has been taken and given back before: 100 frames would take half a microsecond. */
const TAKING_FRAMES = 60;

// --- What this thread has done with locks ------------------------------------------------------

/** The locks that instances of this thread hold, by the identity of their segments. */
const heldHere = sharedAmongCopies("locks that are held", () => new Set<string>());

/**
 * A turn that this thread owes to a waiter of another thread or process that it has woken. It does not take the
 * lock again before that waiter has had its turn, or did not come.
 */
interface Debt {
  /** The turn that the release began. It is over when a waiter has taken the lock. */
  readonly turn: number;
  /** The moment at which the debt ends, because the waiter may have been stopped or killed. */
  readonly until: number;
  /** Whether the kernel has said that it woke a waiter. */
  readonly isCertain: boolean;
}

/** The debts of this thread, by the identity of the segments. */
const debts = new Map<string, Debt>();

/**
 * How many debts are kept before this thread looks for those that are over. Locks that were closed leave theirs
 * behind.
 */
const MOST_DEBTS = 100;

function forgetOldDebts(): void {
  const now = monotonicNow();
  for (const [identity, { until }] of debts) if (until <= now) debts.delete(identity);
}

/** Tells whether this thread has to let a waiter in. */
function debtOf({ segment, event }: Attachment): Debt | null {
  const debt = debts.get(segment.identity);
  if (debt === undefined) return null;
  if (event.turn === debt.turn && monotonicNow() < debt.until) return debt;
  debts.delete(segment.identity);
  return null;
}

// --- Arguments ---------------------------------------------------------------------------------

/** Parts of descriptions of other kinds. Descriptions of arrays have no `kind`. */
const FOREIGN_PARTS = ["shape", "dtype", "arraySlice", "layout"];

/** Checks that plain data describes a lock. */
function checkDescriptor(descriptor: unknown): void {
  if (kindOf(descriptor) !== "an object") {
    throw new TypeError(
      `Cannot make a SharedMemoryLock from ${
        kindOf(descriptor)
      }: a descriptor is an object with kind and name`,
    );
  }
  const given = descriptor as { readonly [key: string]: unknown };
  const foreign = isGiven(given, "kind")
    ? (given.kind === "lock" ? undefined : `its kind is ${describe(given.kind)}`)
    : FOREIGN_PARTS.filter((part) => isGiven(given, part)).map((part) => `it has a ${part}`)[0];
  if (foreign !== undefined) {
    throw new TypeError(
      `Cannot make a SharedMemoryLock: the descriptor is not that of a lock, as ${foreign}`,
    );
  }
  if (!isGiven(given, "name")) {
    throw new TypeError("Cannot make a SharedMemoryLock: the descriptor has no name");
  }
}

/** Shows a value in a message. */
function describe(value: unknown): string {
  return typeof value === "string" ? quote(value) : kindOf(value);
}

function timeoutError(name: string): DOMException {
  return new DOMException(
    `Cannot acquire ${quoteName(name)}: somebody has the lock still, and time is up`,
    "TimeoutError",
  );
}

/** Calls a function when time is up; the function that is returned cancels that. */
function atTime(timeout: number, action: () => void): () => void {
  if (timeout === Infinity) return () => {};
  const deadline = deadlineOf(timeout);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    const rest = deadline - monotonicNow();
    if (rest <= 0) action();
    else timer = setTimeout(look, Math.min(rest, LONGEST_TIMER));
  };
  look();
  return () => clearTimeout(timer);
}

/** The longest time that `setTimeout` takes. */
const LONGEST_TIMER = 2 ** 31 - 1;
