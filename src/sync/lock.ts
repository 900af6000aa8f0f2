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
  UNFAMILIAR_FRAMES,
} from "../check.ts";
import { badResource, busy, errors, fromCaller, notFound, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
import {
  checkLocksSegments,
  checkName,
  descriptionOf,
  nameMax,
  refuseForeignParts,
  unlink,
} from "../segment/mod.ts";
import {
  addTo,
  AttachedLock,
  debtOf,
  forgetDebt,
  heldHere,
  waitingHere,
  WaitingWriter,
} from "./attached_lock.ts";
import { deadlineOf, timeLeft, turnOfEventLoop } from "./event_count.ts";
import { LOCK_SLICE } from "./lock_words.ts";

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

/** How to take a lock. */
export interface TryAcquireOptions {
  /**
   * Whether others may have the lock at the same time, if they, too, take it shared: for those who only read what it
   * protects. By default one has it alone.
   */
  shared?: boolean;
}

/** How to take a lock, and how long to wait for it. */
export interface AcquireOptions extends TryAcquireOptions {
  /** The time limit in milliseconds; by default none. With 0 there is one try. */
  timeout?: number;
}

/** How long to wait for a lock without blocking. */
export interface AcquireAsyncOptions extends AcquireOptions {
  /** Gives the waiting up: the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** The kinds of options. */
const CREATION = { mode: "number such as 0o600", describe: "boolean" } as const;
const ACQUISITION = { timeout: "number of milliseconds", shared: "boolean" } as const;

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
   * Whether the last one that had the lock alone ended, or dropped its guard, without giving it back: what the lock
   * protects may be half done. Guards of a shared lock tell it, too, and change nothing about it: all of them do, until
   * somebody has had the lock alone, could mend, and has given it back. One that had it shared leaves nothing behind.
   */
  readonly abandoned: boolean;
  readonly #holding: Holding;

  /**
   * Not for callers: {@linkcode SharedMemoryLock.acquire} and its like make guards.
   *
   * @throws {TypeError} always, for callers
   */
  constructor(key: unknown, abandoned: unknown, holding: unknown) {
    if (key !== KEY) {
      throw new TypeError("Cannot construct LockGuard: use acquire() of a SharedMemoryLock");
    }
    this.abandoned = abandoned as boolean;
    this.#holding = holding as Holding;
  }

  /**
   * Gives the lock back and wakes who waits; the second time does nothing.
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
    this.#holding.release();
  }

  /** The same as `release()`, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  static {
    showAs(this.prototype, (guard) => #holding in guard ? { abandoned: guard.abandoned } : {});
  }
}
showCallers(LockGuard);

/** Opens the lock that was made anew under a name that was removed. */
function openNext(name: string): AttachedLock {
  try {
    return AttachedLock.open(name);
  } catch (cause) {
    if (!(cause instanceof errors.NotFound)) throw cause;
    throw notFound(
      `Cannot acquire ${quoteName(name)}: ` +
        "its name was removed, or the process that made it without a name has ended; " +
        "close() this instance, and create() a new lock",
      cause,
    );
  }
}

/** The lock that a guard stands for. */
class Holding {
  readonly name: string;
  readonly isShared: boolean;
  readonly #attachment: AttachedLock;
  /** Called when the lock is held no more. */
  readonly #ended: () => void;
  /** How many of the steps of a release are done. */
  #steps = 0;

  constructor(name: string, attachment: AttachedLock, isShared: boolean, ended: () => void) {
    this.name = name;
    this.isShared = isShared;
    this.#attachment = attachment;
    this.#ended = ended;
  }

  /**
   * Gives the lock back. At the end of the stack each step may throw. Called again, this goes on with the step that is
   * missing. The steps before must not be done twice, because another process may have the lock by then.
   */
  release(): void {
    if (this.#steps === 0) {
      if (!this.isShared) this.#attachment.leave();
      this.#steps = 1;
    }
    this.giveBack();
  }

  /** The same, without a note that the one who had it alone has left the section. */
  giveBack(): void {
    const attachment = this.#attachment;
    if (this.#steps <= 1) {
      let isFree = true;
      if (this.isShared) isFree = attachment.endShare();
      else attachment.unlock();
      this.#steps = isFree ? 2 : 3;
    }
    if (this.#steps === 2) {
      attachment.wakeNext();
      this.#steps = 3;
    }
    if (this.#steps === 3) {
      unwatch(this);
      addTo(heldHere, attachment.segment.identity, this.isShared ? -1 : 1);
      this.#steps = 4;
    }
    if (this.#steps === 4) {
      this.#ended();
      this.#steps = 5;
      frames.sync = TAKING_FRAMES;
    }
  }
}

/** Gives a lock back after its guard was garbage-collected without a release. */
const droppedGuards = new FinalizationRegistry<Holding>((holding) => {
  holding.giveBack();
  const { name } = holding;
  if (warnedOf.has(name)) return;
  warnedOf.add(name);
  console.warn(
    `A guard of the SharedMemoryLock ${quoteName(name)} ` +
      "was dropped without release(), and the lock given back when the " +
      "guard was garbage-collected: what it protects was open to others. Keep the guard: " +
      "using guard = await lock.acquireAsync();",
  );
});

/**
 * The guard that this thread has made last, as long as it has not come back to its event loop. Most guards are released
 * until then, and need not be registered, which takes half as long as the lock itself. No guard can be
 * garbage-collected meanwhile, and the function that is called after that runs later anyway.
 */
let newest: LockGuard | null = null;
let newestHolding: Holding | null = null;
let isWatchingLater = false;

/** Sees to it that a lock is given back if its guard is garbage-collected. */
function watch(guard: LockGuard, holding: Holding): void {
  registerNewest();
  newest = guard;
  newestHolding = holding;
  if (isWatchingLater) return;
  queueMicrotask(watchLater);
  isWatchingLater = true;
}

function watchLater(): void {
  isWatchingLater = false;
  registerNewest();
}

function registerNewest(): void {
  if (newest === null || newestHolding === null) return;
  droppedGuards.register(newest, newestHolding, newestHolding);
  newest = newestHolding = null;
}

function unwatch(holding: Holding): void {
  if (holding === newestHolding) newest = newestHolding = null;
  else droppedGuards.unregister(holding);
}

/** The names of locks of which a guard was dropped. There is one warning for each. */
const warnedOf = new Set<string>();

/** A call of `acquireAsync()` that has not ended. */
interface Task {
  readonly isShared: boolean;
  /** When to give up, by `deadlineOf()`. */
  readonly deadline: number;
  /**
   * Whether it leaves the lock to a waiter that may have gone for good, for some moments. If time is up meanwhile, it
   * has its try afterwards.
   */
  isCourteous: boolean;
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

/** How a try to take the lock is made. */
interface Trying {
  /** Whether the caller has announced itself before. */
  readonly hasWaited: boolean;
  /** Whether this thread runs none of its tasks until it has the lock. */
  readonly isBlocking: boolean;
}

/**
 * Whether a writer that waits holds back a reader. A reader that blocks its thread comes before the writers among the
 * tasks of that thread, which cannot run meanwhile, unless they wait for what this thread holds.
 */
function isHeldBack(attachment: AttachedLock, { isBlocking }: Trying): boolean {
  if (!attachment.isGateClosed) return false;
  const { identity } = attachment.segment;
  return !(isBlocking && waitingHere.has(identity) && !heldHere.has(identity));
}

/** How often one try follows a name that leads to one segment after another. */
const MOST_MOVES = 100;

/**
 * A lock that at most one holder has, or any number of readers, among all processes of the machine that use its name,
 * and among the tasks of each. If its holder is killed, the lock is free, and the guard of the next holder says so.
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
 * Those who only read take it shared, `acquire({ shared: true })`: any number of them have it at once, in one instance
 * and in many. A writer that waits for it holds back new readers until it has had its turn, gives up, or dies: the
 * kernel witnesses it. A shared lock is not made one's own, since the kernel would let others in between: release it,
 * acquire it, and look again. Where a thread that has it shared takes it shared once more, a writer may have come
 * between, and neither could go on: that is `Deno.errors.Busy`, or a time-out. So do not nest them.
 *
 * A holder that was killed is noticed within 20 ms. A `Worker` that is terminated, or ends by an error, while it holds
 * the lock keeps it until the process ends: nothing of it can run any more, and its file stays open. One that waits to
 * have it alone holds back new readers as long. If the name is removed
 * while somebody has the lock, two can be in: one by the old segment, one by the next of this name. If the segment is
 * renamed in `/dev/shm`, this is not noticed: only a removed name is, which takes half a microsecond. A reader that takes
 * the lock again and again looks for that every 0.1 ms; what this thread removes itself, it knows at once.
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
 * @example Many read, one changes
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryLock } from "@shm/array/sync";
 * import { assertEquals } from "@std/assert";
 *
 * using table = new SharedMemoryArray([2], "float64", SharedMemoryArray.buildSmaName("table"));
 * const cells = table.create();
 * using lock = new SharedMemoryLock(`${table.name}.lock`).create();
 *
 * async function change(value: number): Promise<void> {
 *   using _guard = await lock.acquireAsync();
 *   cells.fill(value);
 * }
 * async function read(): Promise<unknown> {
 *   using _guard = await lock.acquireAsync({ shared: true });
 *   return cells.toArray();
 * }
 * await change(5);
 * assertEquals(await Promise.all([read(), read()]), [[5, 5], [5, 5]]);
 *
 * table.unlink();
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

  #attachment: AttachedLock | null = null;
  /** How many guards of this instance have the lock shared; -1 where one has it alone. */
  #held = 0;
  readonly #tasks: Task[] = [];
  #isServing = false;
  /** Resumes the first task that waits until this instance gives the lock back; `null` if there is none. */
  #resume: (() => void) | null = null;
  readonly #endedShared = (): void => {
    this.#resume?.(); // This comes first: at the end of the stack it may throw, and is called again.
    this.#held--;
  };
  readonly #endedAlone = (): void => {
    this.#resume?.();
    this.#held = 0;
  };

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
    const checked = readOptions(options, CREATION, "create");
    this.#checkDetached("create");
    this.#attachment = AttachedLock.create(this.name, checked, () => descriptionOf(this));
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
    this.#attachment = AttachedLock.open(this.name, limit);
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
    const kinds = { ...CREATION, timeout: "number of milliseconds" } as const;
    const { timeout, ...creation } = readOptions(options, kinds, "create or load");
    const limit = checkTimeout(timeout, "create or load", 0);
    this.#checkDetached("create or load");
    const describe = () => descriptionOf(this);
    this.#attachment = AttachedLock.createOrOpen(this.name, creation, describe, limit);
    return this;
  }

  /**
   * Creates a lock that has no name in `/dev/shm`: it is gone when the last process that has it ends. Others load it
   * by its name, as long as its creator lives and has not unlinked it. After that nobody can acquire it, and who waits
   * for it gets `Deno.errors.NotFound`: the processes that still have it may keep what they hold, and no more.
   *
   * @param options permission bits, and whether to describe the lock
   * @returns a new instance, which is attached
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the mode is out of range
   * @throws {Error} if there is no descriptor left (`EMFILE`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example For the children of this process
   * ```ts
   * import { SharedMemoryLock } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using lock = SharedMemoryLock.createAnonymous();
   * using same = SharedMemoryLock.from(JSON.parse(JSON.stringify(lock))).load();
   * using _guard = lock.acquire();
   * assertEquals(same.tryAcquire(), null);
   * lock.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man2/memfd_create.2.html | memfd_create(2)}
   */
  static createAnonymous(options?: LockCreateOptions): SharedMemoryLock {
    const action = "make an anonymous lock";
    const checked = readOptions(options, CREATION, action);
    checkLocksSegments("create", "an anonymous lock", "locks between processes are");
    const describe = () => descriptionOf(new SharedMemoryLock("lock"));
    const attachment = AttachedLock.createAnonymous(checked, describe);
    const lock = new SharedMemoryLock(attachment.segment.name);
    lock.#attachment = attachment;
    return lock;
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
    if (this.#held !== 0) {
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
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`), or another process has made it
   * without a name
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
   * @param options whether to take it shared, and the time limit; beyond 2^53 ms there is none
   * @returns the guard, by which the caller gives the lock back
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   * @throws {Deno.errors.BadResource} if this instance is not attached
   * @throws {Deno.errors.Busy} if this instance holds the lock already, and not both are shared; or, without a time
   * limit, if the call could wait for this very thread, which could not give the lock back while it blocks: another
   * instance of it holds the lock, or it holds the lock shared and a writer waits for that
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
    let [timeout, isShared] = [Infinity, false];
    if (isJustShared(options)) isShared = true;
    else if (options !== undefined) {
      const given = readOptions(options, ACQUISITION, "acquire");
      timeout = checkTimeout(given.timeout, "acquire", Infinity);
      isShared = given.shared === true;
    }
    needStack(frames.sync);
    this.#attached();
    this.#checkNotHeld(isShared);
    const deadline = deadlineOf(timeout);
    // A process that has let a waiter in must announce itself before it takes the lock. Otherwise the waiters
    // behind it sleep on beside a free lock.
    const check = (): void => {
      if (timeout === Infinity) this.#checkNotHeldHere(isShared);
    };
    if (!this.#letIn(deadline, isShared)) {
      const guard = this.#take(isShared, true);
      if (guard !== null) return guard;
      check();
    }
    if (timeout === 0) throw timeoutError(this.name, isShared);
    const writer = isShared ? null : new WaitingWriter();
    let hasLock = false;
    try {
      while (true) {
        const attachment = this.#attached();
        const look = (): LockGuard | typeof MOVED | null => {
          const found = this.#tryTake(attachment, isShared, { hasWaited: true, isBlocking: true });
          if (found === null) {
            check();
            writer?.wait(attachment);
          }
          return found;
        };
        const found = attachment.eventOf(isShared).until(look, deadline, LOCK_SLICE);
        if (found === null) throw timeoutError(this.name, isShared);
        if (found !== MOVED) {
          hasLock = true;
          return found;
        }
        if (monotonicNow() > deadline) throw timeoutError(this.name, isShared);
      }
    } finally {
      writer?.end(hasLock);
    }
  }

  /**
   * Takes the lock if it can be had at once, also while tasks of this instance wait for it.
   *
   * @param options whether to take it shared
   * @returns the guard, by which the caller gives the lock back; `null` if somebody has the lock, this
   * instance included, and not both are shared; if it is the turn of one that waits since this thread released the lock;
   * or if it is to be shared, and a writer waits for it, a task of this instance included
   * @throws {TypeError} if an option is of the wrong kind
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
  tryAcquire(options?: TryAcquireOptions): LockGuard | null {
    const isShared = isJustShared(options) || options !== undefined &&
        readOptions(options, { shared: "boolean" }, "acquire").shared === true;
    needStack(frames.sync);
    const attachment = this.#attached();
    if (!this.#mayJoin(isShared) || debtOf(attachment)?.isCertain) return null;
    // The gate holds back the readers of other instances only.
    if (isShared && this.#tasks.some((task) => !task.isShared)) return null;
    return this.#take(isShared, false);
  }

  /**
   * Takes the lock when it can be had, without blocking. The tasks of an instance are served in the order
   * in which they asked, also while this instance holds the lock. Readers that come one after another are in together.
   *
   * @param options whether to take it shared, the time limit, and a signal that gives the waiting up
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
    const { timeout, signal, shared: isShared = false } = readOptions(
      options,
      { ...ACQUISITION, signal: "AbortSignal" },
      "acquire",
    );
    const limit = checkTimeout(timeout, "acquire", Infinity);
    needStack(frames.async);
    this.#attached();
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<LockGuard>();
    const failure = new AbortController();
    const deadline = deadlineOf(limit);
    const task: Task = { isShared, deadline, isCourteous: false, resolve, reject, failure };
    this.#tasks.push(task);
    if (!this.#isServing) this.#serve();
    if (!this.#tasks.includes(task)) return await promise;
    const abort = (): void => this.#fail(task, signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const cancel = atTime(deadline, () => {
      if (!task.isCourteous) this.#fail(task, timeoutError(this.name, isShared));
    });
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
      return { name: lock.name, attached: lock.#attachment !== null, held: lock.#held !== 0 };
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

  #attached(): AttachedLock {
    const attachment = this.#attachment;
    if (attachment === null) {
      throw badResource(
        `Cannot acquire ${quoteName(this.name)}: ` +
          "this instance is not attached; create() or load() it first",
      );
    }
    return attachment;
  }

  /** Whether one more guard of this instance can have the lock beside those that have it. */
  #mayJoin(isShared: boolean): boolean {
    return this.#held === 0 || isShared && this.#held > 0;
  }

  /** Refuses what this instance would have to wait for itself for. */
  #checkNotHeld(isShared: boolean): void {
    if (this.#mayJoin(isShared)) return;
    throw busy(
      `Cannot acquire ${quoteName(this.name)}: ` +
        (this.#held < 0
          ? "this instance holds the lock already"
          : "this instance holds the lock already, shared; a shared lock is not made one's own: " +
            "release() it first, and look again at what it protects, as others may come between"),
    );
  }

  /** Refuses to block this thread for a lock that only this thread can give back. */
  #checkNotHeldHere(isShared: boolean): void {
    const held = heldHere.get(this.#attached().segment.identity);
    if (held === undefined) return;
    throw busy(
      `Cannot acquire ${quoteName(this.name)}: ` +
        (isShared && held > 0
          ? "this thread holds the lock shared already, and a writer waits for that"
          : "another instance of this thread holds the lock") +
        ", and could not give it " +
        "back while this call blocks; acquireAsync() does not block, and { timeout } ends the waiting",
    );
  }

  /**
   * Blocks until the waiter that this thread has woken at its last release has had its turn.
   *
   * @param deadline when to give up
   * @param isShared how this thread wants the lock
   * @returns whether there was one
   * @throws {DOMException} named "TimeoutError" if time was up before its turn was over
   */
  #letIn(deadline: number, isShared: boolean): boolean {
    const attachment = this.#attached();
    const debt = debtOf(attachment);
    if (debt === null) return false;
    const rest = deadline - monotonicNow();
    if (!debt.isCertain && rest <= 0) return false;
    const event = attachment.eventOf(isShared);
    event.announce();
    event.sleep(debt.turn, Math.max(0, Math.min(debt.until - monotonicNow(), rest)));
    if (debt.isCertain && deadline < debt.until && debtOf(attachment) !== null) {
      event.handOn(); // This thread makes no use of a wake-up that it may have had.
      throw timeoutError(this.name, isShared);
    }
    forgetDebt(attachment);
    return true;
  }

  /**
   * Takes the lock if it can be had. No guard of this instance must stand against it.
   *
   * @param isShared whether to take it shared
   * @param isBlocking whether this thread runs none of its tasks until it has the lock
   */
  #take(isShared: boolean, isBlocking: boolean): LockGuard | null {
    for (let moves = 0; moves < MOST_MOVES; moves++) {
      const found = this.#tryTake(this.#attached(), isShared, { hasWaited: false, isBlocking });
      if (found !== MOVED) return found;
    }
    return null;
  }

  /**
   * Takes the lock if it can be had.
   *
   * @param attachment what this instance is attached to
   * @param isShared whether to take it shared
   * @param how whether the caller has announced itself before, and whether it blocks its thread
   * @returns the guard; `null` if somebody stands against it; {@linkcode MOVED} if the name was removed and leads to
   * another segment, to which this instance is attached now
   */
  #tryTake(
    attachment: AttachedLock,
    isShared: boolean,
    how: Trying,
  ): LockGuard | typeof MOVED | null {
    const isTaken = !(isShared && isHeldBack(attachment, how)) && attachment.tryLock(isShared);
    let isNamed = false;
    try {
      isNamed = isShared && !how.hasWaited ? attachment.isNamedLately : attachment.isNamed;
      if (isNamed) return isTaken ? this.#hold(attachment, isShared, how.hasWaited) : null;
      // The name was removed. No other process comes to this segment any more, so this goes over to the new
      // one.
      this.#attachment = openNext(this.name);
    } finally {
      if (isTaken && !isNamed) attachment.undoLock();
    }
    attachment.abandon();
    return MOVED;
  }

  /** Makes the guard for the lock that was just taken. */
  #hold(attachment: AttachedLock, isShared: boolean, hasWaited: boolean): LockGuard {
    const isAbandoned = attachment.enter(isShared);
    // The process that has let a waiter in learns by this that the waiter has had its turn.
    if (hasWaited) attachment.writers.count();
    this.#held += isShared ? 1 : -1;
    addTo(heldHere, attachment.segment.identity, isShared ? 1 : -1);
    const ended = isShared ? this.#endedShared : this.#endedAlone;
    const holding = new Holding(this.name, attachment, isShared, ended);
    const guard = new LockGuard(KEY, isAbandoned, holding);
    watch(guard, holding);
    return guard;
  }

  /** Gives the lock to the tasks, one after another. */
  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#tasks.length > 0) {
      const [task] = this.#tasks;
      const writer = task.isShared ? null : new WaitingWriter();
      let hasLock = false;
      try {
        let guard: LockGuard | null = null;
        while (guard === null) guard = await this.#takeAsync(task, writer);
        hasLock = true;
        task.resolve(guard);
        frames.async = FAMILIAR_FRAMES;
      } catch (error) {
        task.reject(error);
      } finally {
        writer?.end(hasLock);
      }
      this.#tasks.shift();
    }
    this.#isServing = false;
  }

  /** Takes the lock for a task, or waits until something has changed, and returns `null`. */
  async #takeAsync(task: Task, writer: WaitingWriter | null): Promise<LockGuard | null> {
    const { isShared, failure: { signal } } = task;
    signal.throwIfAborted();
    const attachment = this.#attached();
    if (!this.#mayJoin(isShared)) {
      // Its timer may have come while it was courteous, and comes but once.
      if (timeLeft(task.deadline) <= 0) throw timeoutError(this.name, isShared);
      writer?.wait(attachment);
      await new Promise<void>((resume) => {
        this.#resume = resume;
        signal.addEventListener("abort", () => resume(), { once: true });
      });
      this.#resume = null;
      return null;
    }
    try {
      const event = attachment.eventOf(isShared);
      const debt = debtOf(attachment);
      if (debt !== null && (debt.isCertain || timeLeft(task.deadline) > 0)) {
        event.announce();
        task.isCourteous = !debt.isCertain;
        try {
          await event.sleepAsync(debt.turn, debt.until - monotonicNow(), signal);
        } finally {
          task.isCourteous = false;
        }
        if (debtOf(attachment) === debt) forgetDebt(attachment);
      } else {
        const guard = this.#take(isShared, false);
        if (guard !== null) return guard;
        if (this.#attachment !== attachment) return null;
      }
      // Another call may have taken the lock, or left the segment, while this one slept.
      const look = (): LockGuard | typeof MOVED | null => {
        if (!this.#mayJoin(isShared) || this.#attachment !== attachment) return MOVED;
        const found = this.#tryTake(attachment, isShared, { hasWaited: true, isBlocking: false });
        if (found === null) writer?.wait(attachment);
        return found;
      };
      const found = await event.untilAsync(look, task.deadline, LOCK_SLICE, signal);
      if (found !== null && found !== MOVED) return found;
      if (timeLeft(task.deadline) <= 0) throw timeoutError(this.name, isShared);
      await turnOfEventLoop(); // Timers must run, even if a program gives the name to one segment after another.
      return null;
    } catch (error) {
      signal.throwIfAborted(); // Whatever has become of the segment meanwhile.
      // The segment was left for the next one of its name, and closed, while this call slept there.
      if (this.#attachment !== null && this.#attachment !== attachment) return null;
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

// --- Arguments ---------------------------------------------------------------------------------

/** Tells options that are `{ shared: true }`, and no more. To read and copy them takes as long as the lock itself. */
function isJustShared(options: AcquireOptions | undefined): boolean {
  if (typeof options !== "object" || options === null) return false;
  if (Object.getPrototypeOf(options) !== Object.prototype || options.timeout !== undefined) {
    return false;
  }
  for (const key in options) if (key !== "shared") return false;
  return options.shared === true;
}

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
  if (isGiven(given, "kind") && given.kind !== "lock") {
    throw new TypeError(
      "Cannot make a SharedMemoryLock: the descriptor is not that of a lock, as its kind is " +
        describe(given.kind),
    );
  }
  refuseForeignParts({ kind: "lock", what: "SharedMemoryLock" }, given, [
    "slots",
    "messageBytes",
    "parties",
  ]);
  if (!isGiven(given, "name")) {
    throw new TypeError("Cannot make a SharedMemoryLock: the descriptor has no name");
  }
}

/** Shows a value in a message. */
function describe(value: unknown): string {
  return typeof value === "string" ? quote(value) : kindOf(value);
}

function timeoutError(name: string, isShared: boolean): DOMException {
  return new DOMException(
    `Cannot acquire ${quoteName(name)}: somebody has the lock still${
      isShared ? ", or a writer waits for it" : ""
    }, and time is up`,
    "TimeoutError",
  );
}

/** Calls a function at a moment that {@linkcode deadlineOf} gave; the function that is returned cancels that. */
function atTime(deadline: number, action: () => void): () => void {
  if (deadline === Infinity) return () => {};
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
