/**
 * A queue of work that is shared out among processes.
 *
 * @module
 */

import {
  checkInteger,
  checkTimeout,
  FAMILIAR_FRAMES,
  isGiven,
  kindOf,
  markClass,
  needStack,
  quote,
  quoteName,
  readOptions,
  UNFAMILIAR_FRAMES,
} from "../check.ts";
import { badResource, busy, fromCaller, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
import type { Json } from "../json_text.ts";
import {
  checkDescriptor,
  checkLocksSegments,
  checkName,
  cloneDescriptor,
  type CreateOptions,
  defineDescription,
  descriptionOf,
  nameMax,
  OpenSegment,
  refuseForeignParts,
  type SegmentCheck,
  type SharedMemory,
  unlink,
} from "../segment/mod.ts";
import { deadlineOf } from "../sync/event_count.ts";
import { checkMagic, refuseOtherKinds } from "../words.ts";
import {
  AttachedQueue,
  closedError,
  type FillNow,
  type FillSoon,
  type Taken,
} from "./attached_queue.ts";
import {
  COMPLETED,
  deathsOf,
  DONE,
  DROPPED,
  FAILED,
  FAILURES,
  FILLING,
  FREE,
  GIVEN_UP,
  HEADER_BYTES,
  MOST_ATTEMPTS,
  queueBytes,
  type QueueHeader,
  readHeader,
  SEQUENCE,
  TAKEN,
  WAITING,
  writeQueue,
} from "./queue_words.ts";

/** A queue as plain data, as `structuredClone`, `postMessage` and JSON make it. */
export interface QueueDescriptor {
  /** Tells a queue from other kinds; may be left out in a description made by hand. */
  readonly kind?: "queue";
  /** The segment's name, without a slash. */
  readonly name: string;
  /** How many items the queue holds. */
  readonly slots: number;
  /** The most bytes of a message as JSON, and of an answer; by default 1,024. */
  readonly messageBytes?: number;
  /** Whether items that failed keep their slots until {@linkcode SharedMemoryQueue.takeFailed}. */
  readonly keepFailed?: boolean;
}

/** What a queue is like. */
export interface QueueOptions {
  /** The most bytes of a message as JSON, and of an answer: at least 64, by default 1,024. */
  messageBytes?: number;
  /**
   * Whether items of `put()` that failed or were given up keep their slots until
   * {@linkcode SharedMemoryQueue.takeFailed} frees them; by default they are only counted.
   */
  keepFailed?: boolean;
}

/** How an anonymous queue is made. */
export interface AnonymousQueueOptions extends QueueOptions, CreateOptions {}

/** How long `load()` waits for the creator. */
export interface QueueLoadOptions {
  /** How long to wait, blocking, for a queue that is not there yet, in milliseconds; by default 0. */
  timeout?: number;
}

/** How `createOrLoad()` makes a queue, or waits for it. */
export interface QueueCreateOrLoadOptions extends CreateOptions, QueueLoadOptions {}

/** How an item is put, if a slot is free. */
export interface TryPutOptions {
  /** How many takers may die with the item before it is given up: 1 to 30, by default 3. */
  attempts?: number;
}

/** How an item is put. */
export interface PutOptions extends TryPutOptions {
  /** The time limit in milliseconds; by default none. */
  timeout?: number;
}

/** How an item is put without blocking. */
export interface PutAsyncOptions extends PutOptions {
  /** Gives the waiting up: the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * How an item is put whose answer is wanted.
 *
 * @template T what the call gives
 */
export interface CallOptions<T = Json> extends PutAsyncOptions {
  /** What happens if all slots are in use: to wait for one, or `Deno.errors.Busy`; by default `"wait"`. */
  full?: "wait" | "throw";
  /**
   * Called with the answer and the number of the slot, which belongs to this call until the function has ended. What it
   * returns is the result of the call. By default it is the answer.
   */
  read?: (answer: Json, slot: number) => T | Promise<T>;
}

/** How long to wait. */
export interface QueueWaitOptions {
  /** The time limit in milliseconds; by default none. With 0 there is one look. */
  timeout?: number;
}

/** How long to wait without blocking. */
export interface QueueWaitAsyncOptions extends QueueWaitOptions {
  /** Gives the waiting up: the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** How long {@linkcode SharedMemoryQueue.items} goes on. */
export interface ItemsOptions {
  /** Ends the items: the loop over them throws the signal's reason. */
  signal?: AbortSignal;
}

/** How {@linkcode SharedMemoryQueue.serve} works. */
export interface ServeOptions {
  /** How many items are handled at the same time; by default 1. */
  concurrency?: number;
  /** Ends the serving: no item is taken after that, and those that are being handled are finished. */
  signal?: AbortSignal;
}

/** How many slots of a queue are in which state, and how many items there were. */
export interface QueueCounts {
  /** How many slots there are. */
  slots: number;
  /** How many of them nobody uses. */
  free: number;
  /** How many are being filled. */
  filling: number;
  /** How many wait for a taker. */
  waiting: number;
  /** How many a taker has, also if nobody wants the answer any more. */
  taken: number;
  /** How many hold an answer or a failure that nobody has collected yet. */
  answered: number;
  /** How many items were put. */
  put: number;
  /** How many of them were completed. */
  completed: number;
  /** How many of them failed, or were given up. */
  failed: number;
}

/** An item that a taker has, as {@linkcode SharedMemoryQueue.holders} tells. */
export interface QueueHolder {
  /** The item's slot. */
  slot: number;
  /**
   * The taker's process; `undefined` where the kernel does not show that this process holds it: in another PID
   * namespace, say, or of another user.
   */
  pid: number | undefined;
  /** Which attempt this is, from 1. */
  attempt: number;
  /** When it was taken, in milliseconds of the Unix epoch. */
  since: number;
}

/** An item that failed or was given up, as {@linkcode SharedMemoryQueue.takeFailed} tells. */
export interface FailedItem {
  /** The item's message. */
  // deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
  message: any;
  /** How many takers had it. */
  attempts: number;
  /** What the last taker said, with its name and message; or that all of them died. */
  error: Error;
}

/** The name of the class, for messages, and the parts that a description must have. */
const KIND = {
  kind: "queue",
  what: "SharedMemoryQueue",
  parts: ["name", "slots"],
  optional: ["messageBytes", "keepFailed"],
} as const;

const MOST_SLOTS = 4096;
const LEAST_BYTES = 64;
const MOST_BYTES = 2 ** 30;

/** Proves that an item is made by this file. */
const KEY = Symbol();

/**
 * How much of the stack must be free before an item changes hands: at the end of the stack an error could come
 * between any two steps.
 */
let frames = UNFAMILIAR_FRAMES;

/** Whether this process has an item still. */
let isUnfinished: (item: QueueItem) => boolean;

/**
 * An item that this process has taken from a queue. It has it until it completes, fails or releases it, or ends.
 *
 * @example Take, work, answer
 * ```ts
 * import { SharedMemoryQueue } from "@shm/array/queue";
 * import { assertEquals } from "@std/assert";
 *
 * using queue = SharedMemoryQueue.createAnonymous(4);
 * const answer = queue.call({ a: 3, b: 4 });
 *
 * using item = (await queue.takeAsync())!; // usually in another process
 * item.complete(item.message.a * item.message.b);
 * assertEquals(await answer, 12);
 * ```
 */
export class QueueItem {
  /** What was put. */
  // deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
  readonly message: any;
  /** The number of its slot, which belongs to nobody else meanwhile. */
  readonly slot: number;
  /** Which attempt this is, from 1: one more than the number of takers that died with it, or dropped it. */
  readonly attempt: number;
  readonly #queue: AttachedQueue;
  readonly #taken: Taken;

  /**
   * Not for callers: a {@linkcode SharedMemoryQueue} makes items.
   *
   * @throws {TypeError} always, for callers
   */
  constructor(key: unknown, ...parts: unknown[]) {
    if (key !== KEY) {
      throw new TypeError("Cannot construct QueueItem: use take() of a SharedMemoryQueue");
    }
    const [queue, taken] = parts as [AttachedQueue, Taken];
    this.message = taken.message;
    this.slot = taken.slot;
    this.attempt = deathsOf(taken.word) + 1;
    this.#queue = queue;
    this.#taken = taken;
  }

  /**
   * Whether somebody still wants it: `false` when the caller has given up or died, and when this taker has ended it.
   * A long work asks now and then, and stops.
   */
  get wanted(): boolean {
    return this.#queue.isWanted(this.#taken);
  }

  /**
   * Ends the item by an answer. Of an item of `put()`, which nobody wants an answer of, the answer goes nowhere.
   *
   * @param answer the answer; by default null
   * @returns whether somebody wanted it; if not, nothing is touched
   * @throws {TypeError} if JSON cannot write the answer; the item is still this taker's
   * @throws {RangeError} if the answer as JSON has more bytes than the queue has room for; likewise
   * @throws {Deno.errors.BadResource} if this taker has ended it already, or the queue was closed
   * @throws {Deno.errors.InvalidData} if somebody else has written over the slot
   *
   * @example It is over then
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * queue.put("tile 7");
   * const item = queue.take()!;
   * assertEquals(item.complete(), true);
   * assertThrows(() => item.complete(), Deno.errors.BadResource);
   * ```
   */
  complete(answer?: Json): boolean {
    this.#check("complete");
    const isWanted = this.#queue.complete(this.#taken, answer);
    frames = FAMILIAR_FRAMES;
    return isWanted;
  }

  /**
   * Ends the item by an error, which the caller gets with its name and message, shortened where they do not fit. The item
   * is not tried again.
   *
   * @param error what went wrong: an error, or anything as text
   * @returns whether somebody wanted it
   * @throws {Deno.errors.BadResource} if this taker has ended it already, or the queue was closed
   * @throws {Deno.errors.InvalidData} if somebody else has written over the slot
   *
   * @example The caller gets it
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertRejects } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * const answer = queue.call("tile 7");
   * (await queue.takeAsync())!.fail(new RangeError("there is no tile 7"));
   * await assertRejects(() => answer, Error, "there is no tile 7");
   * ```
   */
  fail(error: unknown): boolean {
    this.#check("fail");
    return this.#queue.fail(this.#taken, error);
  }

  /**
   * Gives the item back: the next taker has it, at its old place in the order, and this does not count as an attempt.
   *
   * @throws {Deno.errors.BadResource} if this taker has ended it already, or the queue was closed
   * @throws {Deno.errors.InvalidData} if somebody else has written over the slot
   *
   * @example Not now
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * queue.put("first");
   * queue.put("second");
   * queue.take()!.release();
   * const item = queue.take()!;
   * assertEquals([item.message, item.attempt], ["first", 1]);
   * ```
   */
  release(): void {
    this.#check("release");
    this.#queue.letGo(this.#taken, false);
  }

  /**
   * Gives the item to the next taker, as if this one had died, if it was neither completed, failed nor released. For
   * `using`: work that throws is tried again.
   */
  [Symbol.dispose](): void {
    if (!this.#queue.holds(this.#taken)) return;
    needStack(frames);
    this.#queue.letGo(this.#taken, true);
  }

  #check(action: string): void {
    needStack(frames);
    this.#queue.checkOpen(`${action} an item of`);
    if (this.#queue.holds(this.#taken)) return;
    throw badResource(
      `Cannot ${action} an item of ${quoteName(this.#queue.name)}: it was completed, failed or ` +
        "given back already",
    );
  }

  static {
    isUnfinished = (item) => item.#queue.holds(item.#taken);
    showAs(this.prototype, (item) => {
      if (!(#taken in item)) return {}; // `console.log` may show the prototype itself, too
      const { message, slot, attempt } = item;
      return { message, slot, attempt, over: !isUnfinished(item) };
    });
  }
}
showCallers(QueueItem);

/**
 * Work that is shared out: each item goes to exactly one taker at a time, and comes back when that one dies.
 *
 * **A lease ends with the life of its taker, not with time.** A taker that hangs holds its item until it is killed:
 * {@linkcode SharedMemoryQueue.holders} finds it. A taker that dies in the middle has done a part of the work, and
 * the next one does it again: the work is done at least once, so inputs must not be changed in place.
 *
 * An item is a small message, JSON of up to `messageBytes` bytes, and the number of a slot, which belongs to nobody else
 * until the item is over. Arrays with a leading axis of `slots` carry large data: `inputs.slice(slot)` is filled by
 * the function that makes the message, and read by the taker, with no copy. The oldest item is taken first.
 *
 * Whoever puts by `put()` goes on; who uses `call()` gets the answer. The kernel witnesses who lives, so a taker, a
 * caller or a filler that is killed at any moment is noticed, within 100 ms where somebody waits. Nobody polls.
 * A `Worker` that is terminated keeps what it has until its process ends.
 *
 * An instance is a description that can be sent to other processes as plain data, and, between `create()` or `load()`
 * and `close()`, an attachment. Linux only: other systems have no locks on segments. `docs/queue.md` has what stands in
 * the segment, for other languages.
 *
 * @example A worker that may die
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryQueue } from "@shm/array/queue";
 * import { assertEquals } from "@std/assert";
 *
 * using queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("tiles"), 4);
 * queue.create();
 * using inputs = new SharedMemoryArray([4, 256], "float32", SharedMemoryArray.buildSmaName("in"));
 * inputs.create();
 *
 * const sum = queue.call<number>((slot) => {
 *   inputs.array!.slice(slot).fill(2);
 *   return { what: "sum" };
 * });
 * queue.end();
 *
 * // In another process, usually, which loads both.
 * await queue.serve((item) => {
 *   let sum = 0;
 *   for (const x of inputs.array!.slice(item.slot)) sum += x;
 *   return sum;
 * });
 * assertEquals(await sum, 512);
 * inputs.unlink();
 * queue.unlink();
 * ```
 */
export class SharedMemoryQueue {
  /** Tells a queue from other kinds. */
  declare readonly kind: "queue";
  /** The segment's name, without a slash. */
  declare readonly name: string;
  /** How many items the queue holds. */
  declare readonly slots: number;
  /** The most bytes of a message as JSON, and of an answer. */
  declare readonly messageBytes: number;
  /** `true` if items that failed keep their slots until they are taken; otherwise it is not there. */
  declare readonly keepFailed?: boolean;

  readonly #header: QueueHeader;
  #queue: AttachedQueue | null = null;

  /**
   * Describes a queue. Nothing is created or attached.
   *
   * @param name the segment's name: not empty, without "/" and NUL, at most 255 bytes
   * @param slots how many items the queue holds: 1 to 4,096
   * @param options the room for messages in bytes, and whether failed items are kept
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if the name is not legal, or a number is out of range
   *
   * @example Send it to another process
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * const queue = new SharedMemoryQueue("tiles", 16, { messageBytes: 256 });
   * assertEquals(
   *   JSON.stringify(queue),
   *   '{"kind":"queue","name":"tiles","slots":16,"messageBytes":256}',
   * );
   * ```
   */
  constructor(name: string, slots: number, options?: QueueOptions) {
    try {
      checkName(name, nameMax());
      this.#header = checkHeader(slots, options);
      const { messageBytes, keepFailed } = this.#header;
      defineDescription(this, { kind: "queue", name, slots, messageBytes });
      if (keepFailed) defineDescription(this, { keepFailed });
    } catch (error) {
      throw fromCaller(error, SharedMemoryQueue);
    }
  }

  /**
   * Creates the queue's segment, without an item, and attaches to it. If a step fails, what was made before it is
   * removed.
   *
   * @param options permission bits, and whether to reserve the memory: who takes part must be able to write
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if an option is out of range
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.AlreadyExists} if the name is taken (`EEXIST`)
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`), or there is no descriptor (`EMFILE`) or address space
   * (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example Create, use, remove
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("queue"), 2);
   * queue.create({ mode: 0o660 });
   * assertEquals(queue.counts().free, 2);
   * queue.unlink();
   * ```
   */
  create(options?: CreateOptions): this {
    this.#checkDetached("create");
    const header = this.#header;
    const segment = OpenSegment.create(
      this.name,
      queueBytes(header),
      options,
      (head) => writeQueue(head, header),
      () => descriptionOf(this),
    );
    this.#attach(segment);
    return this;
  }

  /**
   * Attaches to the queue that another instance created.
   *
   * @param options how long to wait, blocking, for a queue that is not there yet
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {TypeError} if the segment is not that of a queue; nothing was written to it
   * @throws {RangeError} if the time limit is negative or NaN, or the queue has another number of slots, other room for
   * messages, or keeps failed items otherwise
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example A worker that may start before the queue is made
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertThrows } from "@std/assert";
   *
   * using queue = new SharedMemoryQueue("nobody-made-this", 4);
   * assertThrows(() => queue.load({ timeout: 20 }), Deno.errors.NotFound);
   * ```
   */
  load(options?: QueueLoadOptions): this {
    const { timeout } = readOptions(options, { timeout: "number of milliseconds" }, "load");
    const limit = checkTimeout(timeout, "load", 0);
    this.#checkDetached("load");
    const look = this.#look();
    this.#attach(OpenSegment.open(this.name, limit, look, { kind: "queue", takesAnonymous: true }));
    return this;
  }

  /**
   * Attaches to the queue, and creates it if it is not there: of several processes that come at the same time, the
   * first one makes it. {@linkcode SharedMemoryQueue.isCreator} tells which one this is.
   *
   * @param options what `create()` and `load()` take
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind, or the segment is not that of a queue
   * @throws {RangeError} if an option is out of range, or the queue is another one than this
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} as {@linkcode SharedMemoryQueue.create}
   *
   * @example All processes alike
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("queue");
   * using first = new SharedMemoryQueue(name, 2).createOrLoad();
   * using second = new SharedMemoryQueue(name, 2).createOrLoad();
   * assertEquals([first.isCreator, second.isCreator], [true, false]);
   * first.unlink();
   * ```
   */
  createOrLoad(options?: QueueCreateOrLoadOptions): this {
    const { timeout, ...making } = readOptions(
      options,
      {
        timeout: "number of milliseconds",
        mode: "number such as 0o600",
        reserve: "boolean",
        describe: "boolean",
      },
      "create or load",
    );
    const limit = checkTimeout(timeout, "load", 0);
    this.#checkDetached("create or load");
    const header = this.#header;
    const segment = OpenSegment.createOrOpen(
      this.name,
      queueBytes(header),
      making,
      (head) => writeQueue(head, header),
      () => descriptionOf(this),
      limit,
      this.#look(),
      "queue",
    );
    this.#attach(segment);
    return this;
  }

  /** Whether this instance made the queue that it is attached to; `null` if it is not attached. */
  get isCreator(): boolean | null {
    return this.#queue?.isCreator ?? null;
  }

  /**
   * Creates a queue that has no name in `/dev/shm`: it is gone when the last process that has it ends. Others load
   * it by its name, as long as its creator lives and has not unlinked it. After that, who waits gets
   * `Deno.errors.NotFound`.
   *
   * @param slots how many items the queue holds: 1 to 4,096
   * @param options the room for messages, permission bits, whether to reserve the memory
   * @returns a new instance, which is attached
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if a number is out of range
   * @throws {Error} if there is no descriptor (`EMFILE`) or memory (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example For the children of this process
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(8, { messageBytes: 128 });
   * using same = SharedMemoryQueue.from(JSON.parse(JSON.stringify(queue))).load();
   * queue.put("hello");
   * assertEquals(same.take()?.message, "hello");
   * queue.unlink();
   * ```
   */
  static createAnonymous(slots: number, options?: AnonymousQueueOptions): SharedMemoryQueue {
    const { messageBytes, keepFailed, ...making } = readOptions(
      options,
      { ...OPTIONS, mode: "number such as 0o600", reserve: "boolean", describe: "boolean" },
      "make an anonymous queue",
    );
    const header = checkHeader(slots, { messageBytes, keepFailed });
    checkLocksSegments("create", "an anonymous queue", "queues between processes are");
    const segment = OpenSegment.createAnonymous(
      queueBytes(header),
      making,
      "shm-array-queue",
      (memory) => writeQueue(memory, header),
      () => descriptionOf(new SharedMemoryQueue("queue", slots, { messageBytes, keepFailed })),
    );
    const queue = new SharedMemoryQueue(segment.name, slots, { messageBytes, keepFailed });
    queue.#attach(segment);
    return queue;
  }

  /**
   * Gives up the attachment; without one, does nothing. Items that were taken here go back, and this does not count as
   * an attempt; calls are withdrawn and rejected with `Deno.errors.BadResource`, as waits are. The segment and its name
   * stay.
   *
   * @example Items go back
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("queue"), 2).create();
   * const other = SharedMemoryQueue.clone(queue).load();
   * queue.put("tile 7");
   * other.take();
   * other.close();
   * assertEquals(queue.take()?.attempt, 1);
   * queue.unlink();
   * ```
   */
  close(): void {
    const queue = this.#queue;
    if (queue === null) return;
    needStack(UNFAMILIAR_FRAMES);
    queue.close();
    this.#queue = null;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Removes the queue's name. No process can attach any more, and none can put. Takers that are attached take what is
   * there, and then get `Deno.errors.NotFound`. An instance that is not attached removes whatever segment has the name.
   *
   * @returns `false` if the name was gone already, or leads to another segment than the one that this instance
   * is attached to; that one stays
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example Remove it once
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("queue"), 2).create();
   * assertEquals(queue.unlink(), true);
   * assertEquals(queue.unlink(), false);
   * ```
   */
  unlink(): boolean {
    const queue = this.#queue;
    return queue?.isOpen ? queue.unlink() : unlink(this.name);
  }

  /**
   * Describes another queue like a given one. The result is not attached, whatever the given one is.
   *
   * @param queue the queue to take the description from
   * @param override what is to differ
   * @returns a new instance
   * @throws {TypeError} if `queue` is no SharedMemoryQueue, or a part of the override is of the wrong kind or unknown
   * @throws {RangeError} if a part of the result is wrong
   *
   * @example Another of its kind
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * const red = new SharedMemoryQueue("red", 16);
   * assertEquals(SharedMemoryQueue.clone(red, { name: "green" }).slots, 16);
   * ```
   */
  static clone(queue: SharedMemoryQueue, override?: Partial<QueueDescriptor>): SharedMemoryQueue {
    return construct(cloneDescriptor(KIND, queue, override));
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`, `structuredClone`, JSON or
   * another instance. The result is not attached.
   *
   * @param descriptor plain data with `name` and `slots`, and `messageBytes` and `keepFailed` where they are not the
   * default; what else it holds is not looked at
   * @returns a new instance
   * @throws {TypeError} if it is no object, that of another kind, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong
   *
   * @example Through JSON, as another process receives it
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * const line = '{"kind":"queue","name":"tiles","slots":16,"messageBytes":256}';
   * assertEquals(SharedMemoryQueue.from(JSON.parse(line)).messageBytes, 256);
   * ```
   */
  static from(descriptor: QueueDescriptor): SharedMemoryQueue {
    return construct(checkQueue(descriptor));
  }

  // --- Putting ---------------------------------------------------------------------------------

  /**
   * Puts an item, if a slot is free.
   *
   * @param fill the message, or a function that gets the number of the slot and returns the message. If it throws,
   * nothing was put.
   * @param options how many takers may die with it
   * @returns `false` if all slots are in use
   * @throws {TypeError} if JSON cannot write the message, the function returns a promise, or an option is of the wrong
   * kind
   * @throws {RangeError} if the message as JSON has more than `messageBytes` bytes, or `attempts` is out of range
   * @throws {Deno.errors.BrokenPipe} if the queue was ended (`EPIPE`)
   * @throws {Deno.errors.NotFound} if the queue's name was removed (`ENOENT`)
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Until it is full
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(2);
   * assertEquals([1, 2, 3].map((n) => queue.tryPut(n)), [true, true, false]);
   * ```
   */
  tryPut(fill: FillNow, options?: TryPutOptions): boolean {
    const { attempts } = readOptions(options, { attempts: "number" }, "put");
    const checked = checkAttempts(attempts);
    return this.#attached("put into").tryPut(fill, checked);
  }

  /**
   * Puts an item, and blocks this thread until a slot is free.
   *
   * The event loop stands still meanwhile; with a listener for `SIGINT`, Ctrl-C waits, too.
   *
   * @param fill the message, or a function that gets the number of the slot and returns the message. If it throws,
   * nothing was put.
   * @param options the time limit in milliseconds, and how many takers may die with it
   * @throws {TypeError} if JSON cannot write the message, the function returns a promise, or an option is of the wrong
   * kind
   * @throws {RangeError} if the message as JSON has more than `messageBytes` bytes, or an option is out of range
   * @throws {DOMException} named "TimeoutError" if time was up
   * @throws {Deno.errors.BrokenPipe} if the queue was ended (`EPIPE`)
   * @throws {Deno.errors.NotFound} if the queue's name was removed (`ENOENT`)
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Large data in an array
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * using inputs = SharedMemoryArray.createAnonymous([queue.slots, 8], "uint8");
   * queue.put((slot) => {
   *   inputs.array!.slice(slot).fill(7);
   *   return { row: 1 };
   * });
   * const item = queue.take()!;
   * assertEquals([item.message.row, inputs.array!.get(item.slot, 0)], [1, 7]);
   * item.complete();
   * ```
   */
  put(fill: FillNow, options?: PutOptions): void {
    const { attempts, timeout } = readOptions(
      options,
      { timeout: "number of milliseconds", attempts: "number" },
      "put",
    );
    const checked = checkAttempts(attempts);
    const limit = checkTimeout(timeout, "put", Infinity);
    this.#attached("put into").put(fill, checked, limit);
  }

  /**
   * Puts an item when a slot is free, without blocking. The calls of an instance have slots in the order in which they
   * were made.
   *
   * @param fill the message, or a function that gets the number of the slot and returns the message or a promise of
   * it. If it throws, nothing was put. If time is up before it has ended, nothing is put, and the slot is free when it
   * has ended.
   * @param options the time limit in milliseconds, a signal that gives it up, and how many takers may die with it
   * @returns a promise, which is rejected with a `DOMException` named "TimeoutError" if time was up, with the
   * signal's reason, with what the function threw, and with the errors of {@linkcode SharedMemoryQueue.put}
   *
   * @example No thread is blocked
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * await queue.putAsync(async (slot) => await Promise.resolve({ slot }));
   * assertEquals(queue.counts().waiting, 1);
   * ```
   */
  async putAsync(fill: FillSoon, options?: PutAsyncOptions): Promise<void> {
    const { attempts, timeout, signal } = readOptions(
      options,
      { timeout: "number of milliseconds", signal: "AbortSignal", attempts: "number" },
      "put",
    );
    const checked = checkAttempts(attempts);
    const deadline = deadlineOf(checkTimeout(timeout, "put", Infinity));
    await this.#attached("put into").putAsync(fill, checked, deadline, signal);
  }

  /**
   * Puts an item and waits for its answer, without blocking.
   *
   * If time is up or the signal is aborted, the call is withdrawn if nobody has taken the item. Otherwise the answer
   * is dropped, and the slot is used again when the taker has let it go; the `TimeoutError` has the taker's process as
   * `pid` then, where the kernel shows that this process holds the item, and `undefined` otherwise. The type of a
   * `DOMException` has no such part: `(error as { pid?: number }).pid` reads it.
   *
   * @param fill the message, or a function that gets the number of the slot and returns the message or a promise of it
   * @param options the time limit in milliseconds, which ends when the answer is there; a signal; how many takers may
   * die with it; what happens if the queue is full; and a function that reads the answer before the slot is free
   * @returns a promise of what `read` returns, by default of the answer. It is rejected with the error that the
   * taker's `fail()` was given, by name and message; with an error "given up after N attempts" if so many takers died;
   * with a `DOMException` named "TimeoutError"; with the signal's reason; with `Deno.errors.Busy` if the queue is full
   * and `full` is "throw"; and with the errors of {@linkcode SharedMemoryQueue.put}
   *
   * @example An answer of 4 MiB, which is read in place
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(2);
   * using outputs = SharedMemoryArray.createAnonymous([queue.slots, 2 ** 20], "float32");
   * const last = queue.call({ fill: 5 }, {
   *   timeout: 10_000,
   *   read: (_answer, slot) => outputs.array!.get(slot, -1),
   * });
   *
   * using item = (await queue.takeAsync())!; // usually in another process
   * outputs.array!.slice(item.slot).fill(item.message.fill);
   * item.complete();
   * assertEquals(await last, 5);
   * ```
   */
  async call<T = Json>(fill: FillSoon, options?: CallOptions<T>): Promise<T> {
    const { attempts, timeout, signal, full = "wait", read } = readOptions<CallOptions<T>>(
      options,
      {
        timeout: "number of milliseconds",
        signal: "AbortSignal",
        attempts: "number",
        full: 'string such as "throw"',
        read: "any",
      },
      "call",
    );
    if (full !== "wait" && full !== "throw") {
      throw new RangeError(`Cannot call: full must be "wait" or "throw", not ${quote(full)}`);
    }
    checkFunction(read ?? takeAsItIs, "call", "read");
    const parts = {
      attempts: checkAttempts(attempts),
      deadline: deadlineOf(checkTimeout(timeout, "call", Infinity)),
      signal,
      throwsIfFull: full === "throw",
      read: read ?? takeAsItIs as (answer: Json) => T,
    };
    return await this.#attached("call").call(fill, parts);
  }

  // --- Taking ----------------------------------------------------------------------------------

  /**
   * Takes the oldest item, and blocks this thread until there is one.
   *
   * Keep the item: one that is dropped stays taken until this process ends. `using item = queue.take()` gives it to
   * the next taker if something throws.
   *
   * @param options the time limit in milliseconds
   * @returns the item; `null` if the queue was ended, and nothing is left
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   * @throws {DOMException} named "TimeoutError" if time was up
   * @throws {Deno.errors.NotFound} if the queue's name was removed, or the creator of an anonymous one has ended, and
   * there is no item (`ENOENT`)
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example A worker's loop
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * for (const n of [1, 2, 3]) queue.put(n);
   * queue.end();
   *
   * let sum = 0;
   * for (let item; (item = queue.take()) !== null;) {
   *   sum += item.message;
   *   item.complete();
   * }
   * assertEquals(sum, 6);
   * ```
   */
  take(options?: QueueWaitOptions): QueueItem | null {
    const { timeout } = readOptions(options, { timeout: "number of milliseconds" }, "take");
    const limit = checkTimeout(timeout, "take", Infinity);
    needStack(frames);
    const queue = this.#attached("take from");
    const taken = queue.take(limit);
    return taken === null ? null : new QueueItem(KEY, queue, taken);
  }

  /**
   * Takes the oldest item when there is one, without blocking.
   *
   * @param options the time limit in milliseconds, and a signal that gives the waiting up
   * @returns a promise of the item; of `null` if the queue was ended, and nothing is left. It is rejected with a
   * `DOMException` named "TimeoutError" if time was up, with the signal's reason, with `Deno.errors.BadResource` if
   * this instance is not attached or was closed meanwhile, with `NotFound` and `InvalidData` as
   * {@linkcode SharedMemoryQueue.take} throws them, and where an argument is wrong. No item is taken then.
   *
   * @example Not for ever
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertRejects } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * await assertRejects(() => queue.takeAsync({ timeout: 10 }), DOMException, "time is up");
   * ```
   */
  async takeAsync(options?: QueueWaitAsyncOptions): Promise<QueueItem | null> {
    const { timeout, signal } = readOptions(options, WAIT_ASYNC, "take");
    const limit = checkTimeout(timeout, "take", Infinity);
    needStack(frames);
    const queue = this.#attached("take from");
    const taken = await queue.takeAsync(limit, signal);
    return taken === null ? null : new QueueItem(KEY, queue, taken);
  }

  /**
   * Goes through the items as they come, for `for await`, until the queue was ended and nothing is left.
   *
   * An item that the loop leaves unfinished stays taken. `using item of` gives it to the next taker; Deno 2.2.0 to
   * 2.2.2 forget such a `using`, but keep one in the body of the loop.
   *
   * @param options a signal that ends the loop
   * @returns the items; the loop throws the signal's reason, and what {@linkcode SharedMemoryQueue.takeAsync} is
   * rejected with
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example One after another
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * queue.put("a");
   * queue.put("b");
   * queue.end();
   * const seen: string[] = [];
   * for await (using item of queue.items()) {
   *   seen.push(item.message);
   *   item.complete();
   * }
   * assertEquals(seen, ["a", "b"]);
   * ```
   */
  items(options?: ItemsOptions): AsyncGenerator<QueueItem, void, void> {
    const { signal } = readOptions(options, { signal: "AbortSignal" }, "take");
    this.#attached("take from");
    return this.#items(signal);
  }

  async *#items(signal: AbortSignal | undefined): AsyncGenerator<QueueItem, void, void> {
    for (let item; (item = await this.takeAsync({ signal })) !== null;) yield item;
  }

  /**
   * Works on items until the queue was ended and nothing is left. What the handler returns is the answer; if it
   * throws, the item fails. An item that the handler has completed, failed or released itself is left as it is.
   *
   * @param handler called with each item; may return a promise
   * @param options how many items at the same time, and a signal that ends the serving: then the items that are
   * being handled are finished, and the promise is fulfilled
   * @returns a promise that is fulfilled when all is done. It is rejected as {@linkcode SharedMemoryQueue.takeAsync}
   * is, when the handlers that run have ended.
   *
   * @example Half of a server
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * const serving = queue.serve(({ message }) => message.toUpperCase(), { concurrency: 2 });
   * assertEquals(await Promise.all(["a", "b"].map((text) => queue.call(text))), ["A", "B"]);
   * queue.end();
   * await serving;
   * ```
   */
  async serve(
    handler: (item: QueueItem) => Json | undefined | void | Promise<Json | undefined | void>,
    options?: ServeOptions,
  ): Promise<void> {
    const { concurrency = 1, signal } = readOptions(
      options,
      { concurrency: "number", signal: "AbortSignal" },
      "serve",
    );
    checkFunction(handler, "serve", "the handler");
    checkInteger(concurrency, "serve", "concurrency");
    if (concurrency < 1) {
      throw new RangeError(`Cannot serve: concurrency must be at least 1, not ${concurrency}`);
    }
    this.#attached("take from");
    const handle = async (item: QueueItem): Promise<void> => {
      try {
        const answer = await handler(item);
        if (isUnfinished(item)) item.complete(answer as Json | undefined);
      } catch (error) {
        if (isUnfinished(item)) item.fail(error);
      }
    };
    const failures: unknown[] = [];
    const stop = new AbortController();
    const ending = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    const work = async (): Promise<void> => {
      try {
        for await (const item of this.#items(ending)) await handle(item);
      } catch (error) {
        if (ending.aborted && error === ending.reason) return;
        failures.push(error);
        stop.abort();
      }
    };
    const most = Math.min(concurrency, this.slots);
    await Promise.all(Array.from({ length: most }, work));
    if (failures.length > 0) throw failures[0];
  }

  // --- Looking, and the end --------------------------------------------------------------------

  /**
   * Takes the oldest of the items of `put()` that have failed or were given up, and frees its slot. They are kept if
   * the queue was made with `keepFailed`, in their slots: a queue that is full of them takes no more items.
   *
   * @returns the item; `null` if there is none
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Try it once more by hand
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4, { keepFailed: true });
   * queue.put("tile 7");
   * queue.take()!.fail(new Error("no memory"));
   * const failed = queue.takeFailed()!;
   * assertEquals([failed.message, failed.attempts, failed.error.message], ["tile 7", 1, "no memory"]);
   * ```
   */
  takeFailed(): FailedItem | null {
    needStack(UNFAMILIAR_FRAMES);
    return this.#attached("look at").takeFailed();
  }

  /**
   * Tells which takers hold which items, and since when: a taker that hangs is found here, and can be killed. What the
   * dead had is given to the next takers before.
   *
   * @returns the items that are taken, by their slots
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Who has been at it for a minute?
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * queue.put("tile 7");
   * using item = queue.take();
   * const old = Date.now() - 60_000;
   * assertEquals(queue.holders().filter(({ since }) => since < old), []);
   * assertEquals(queue.holders()[0].pid, Deno.pid);
   * ```
   */
  holders(): QueueHolder[] {
    needStack(UNFAMILIAR_FRAMES);
    return this.#attached("look at").holders();
  }

  /**
   * Counts the slots in each state, and the items that there were. Who has the answer of a call, or finds the queue
   * drained, finds it counted. The totals are statistics all the same: a step that its process counted, and did not
   * come to make before it was killed, stays counted, and after 2^32 they begin anew.
   *
   * @returns the numbers
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Progress
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * queue.put("tile 7");
   * queue.put("tile 8");
   * queue.take()!.complete();
   * const { put, completed, waiting } = queue.counts();
   * assertEquals([put, completed, waiting], [2, 1, 1]);
   * ```
   */
  counts(): QueueCounts {
    const queue = this.#attached("look at");
    const { words } = queue;
    const states = queue.statesOf();
    return {
      slots: this.slots,
      free: states[FREE],
      filling: states[FILLING],
      waiting: states[WAITING],
      taken: states[TAKEN] + states[DROPPED],
      answered: states[DONE] + states[FAILED] + states[GIVEN_UP],
      put: words.count(SEQUENCE),
      completed: words.count(COMPLETED),
      failed: words.count(FAILURES),
    };
  }

  /**
   * Says that nobody puts any more. Items that are being filled are still put; what is there is taken. Then takers get
   * `null`, and loops over items finish. Any instance may say so; the second time does nothing.
   *
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example The last one
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * queue.end();
   * assertEquals(queue.take(), null);
   * assertThrows(() => queue.put(1), Deno.errors.BrokenPipe);
   * ```
   */
  end(): void {
    this.#attached("end").end();
  }

  /**
   * Whether somebody has said that nobody puts any more. What is there may not be taken yet.
   *
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   */
  get isEnded(): boolean {
    return this.#attached("look at").words.isEnded;
  }

  /**
   * Blocks this thread until every item is over that was put before, or whose filling had begun: completed, failed,
   * given up or withdrawn.
   *
   * @param options the time limit in milliseconds
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   * @throws {DOMException} named "TimeoutError" if time was up
   * @throws {Deno.errors.NotFound} if the queue's name was removed, and nobody works on what is left (`ENOENT`)
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Nothing was put
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * queue.drained();
   * ```
   */
  drained(options?: QueueWaitOptions): void {
    const { timeout } = readOptions(options, { timeout: "number of milliseconds" }, "wait");
    const limit = checkTimeout(timeout, "wait", Infinity);
    this.#attached("wait for").drained(limit);
  }

  /**
   * Waits until every item is over that was put before, or whose filling had begun, without blocking.
   *
   * @param options the time limit in milliseconds, and a signal that gives the waiting up
   * @returns a promise, which is rejected with the signal's reason, and as {@linkcode SharedMemoryQueue.drained}
   * throws
   *
   * @example All tiles are done
   * ```ts
   * import { SharedMemoryQueue } from "@shm/array/queue";
   *
   * using queue = SharedMemoryQueue.createAnonymous(4);
   * for (const tile of [7, 8]) queue.put(tile);
   * queue.end();
   * await Promise.all([queue.serve(() => {}), queue.drainedAsync()]);
   * ```
   */
  async drainedAsync(options?: QueueWaitAsyncOptions): Promise<void> {
    const { timeout, signal } = readOptions(options, WAIT_ASYNC, "wait");
    const limit = checkTimeout(timeout, "wait", Infinity);
    await this.#attached("wait for").drainedAsync(limit, signal);
  }

  /** One line that says which queue this is. */
  toString(): string {
    return `SharedMemoryQueue ${quoteName(this.name)} ${this.slots} slots`;
  }

  static {
    markClass(this.prototype, KIND.what);
    // `console.log` may show the prototype itself, too.
    showAs(
      this.prototype,
      (queue) => #header in queue ? { ...queue, attached: queue.#queue !== null } : {},
    );
  }

  /** Makes what looks whether a segment is this queue's, before a byte is written. */
  #look(): SegmentCheck {
    return (memory, isTimeUp) => {
      checkSize(memory, HEADER_BYTES);
      // The creator writes the magic last.
      if (!checkMagic(memory.buf!, "queue", this.name, isTimeUp)) return false;
      checkSame(readHeader(memory.buf!, this.name), this.#header, this.name);
      checkSize(memory, queueBytes(this.#header));
      return true;
    };
  }

  #attach(segment: OpenSegment): void {
    try {
      this.#queue = new AttachedQueue(segment, this.#header);
    } catch (error) {
      if (segment.isCreator) segment.unlink();
      segment.close();
      throw error;
    }
  }

  #checkDetached(action: string): void {
    if (this.#queue?.isOpen) {
      throw busy(
        `Cannot ${action} ${quoteName(this.name)}: this instance is attached already; close() it ` +
          "first, or clone() it for a second attachment",
      );
    }
    checkLocksSegments(action, this.name, "queues between processes are");
    needStack(UNFAMILIAR_FRAMES);
    this.#queue?.close();
    this.#queue = null;
  }

  #attached(action: string): AttachedQueue {
    const queue = this.#queue;
    if (queue === null) throw closedError(this.name, action);
    queue.checkOpen(action);
    return queue;
  }
}
showCallers(SharedMemoryQueue);

const OPTIONS = { messageBytes: "number of bytes", keepFailed: "boolean" } as const;
const WAIT_ASYNC = { timeout: "number of milliseconds", signal: "AbortSignal" } as const;

function takeAsItIs(answer: Json): Json {
  return answer;
}

// --- Arguments ---------------------------------------------------------------------------------

/** Checks what a queue is to be like. */
function checkHeader(slots: number, options: QueueOptions | undefined): QueueHeader {
  const { messageBytes = 1024, keepFailed = false } = readOptions(
    options,
    OPTIONS,
    "make a queue",
  );
  checkInteger(slots, "make a queue", "slots");
  checkInteger(messageBytes, "make a queue", "messageBytes");
  const check = (value: number, what: string, least: number, most: number): void => {
    if (value >= least && value <= most) return;
    throw new RangeError(
      `Cannot make a queue: ${what} must be from ${least} to ${most}, not ${value}`,
    );
  };
  check(slots, "slots", 1, MOST_SLOTS);
  check(messageBytes, "messageBytes", LEAST_BYTES, MOST_BYTES);
  return { slots, messageBytes, keepFailed };
}

function checkAttempts(attempts = 3): number {
  checkInteger(attempts, "put", "attempts");
  if (attempts >= 1 && attempts <= MOST_ATTEMPTS) return attempts;
  throw new RangeError(
    `Cannot put: attempts must be from 1 to ${MOST_ATTEMPTS}, not ${attempts}`,
  );
}

function checkFunction(value: unknown, action: string, what: string): void {
  if (typeof value === "function") return;
  throw new TypeError(`Cannot ${action}: ${what} must be a function, not ${kindOf(value)}`);
}

/** Refuses a segment that is too small. */
function checkSize({ name, size, buf }: SharedMemory, least: number): void {
  if (size >= least) return;
  refuseOtherKinds(buf!, "queue", name);
  throw new RangeError(
    `Cannot load ${quoteName(name)}: the segment has ${size} bytes, and this queue needs ${least}`,
  );
}

/** Looks whether a segment's header says what it must say. */
function checkSame(found: QueueHeader, wanted: QueueHeader, name: string): void {
  const text = ({ slots, messageBytes, keepFailed }: QueueHeader): string =>
    `${slots} slots and messages of ${messageBytes} bytes, and ${
      keepFailed ? "keeps" : "does not keep"
    } what failed`;
  if (text(found) === text(wanted)) return;
  throw new RangeError(
    `Cannot load ${quoteName(name)}: it has ${text(found)}; this instance has ${text(wanted)}`,
  );
}

/** Spellings of the parts that would be ignored, and then the queue would be another one. */
const MISSPELLED: { readonly [part: string]: string } = {
  message_bytes: "messageBytes",
  keep_failed: "keepFailed",
};

/** Checks that plain data describes a queue. */
function checkQueue(descriptor: QueueDescriptor): QueueDescriptor {
  refuseForeignParts(KIND, checkDescriptor(KIND, descriptor), ["parties"]);
  for (const [part, right] of Object.entries(MISSPELLED)) {
    if (isGiven(descriptor, part)) {
      throw new TypeError(
        `Cannot make a ${KIND.what}: ${part} is none of its keys; it is ${right}`,
      );
    }
  }
  return descriptor;
}

function construct(
  { name, slots, messageBytes, keepFailed }: QueueDescriptor,
): SharedMemoryQueue {
  return new SharedMemoryQueue(name, slots, { messageBytes, keepFailed });
}
