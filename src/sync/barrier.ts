/**
 * A barrier between processes: nobody goes on before all have come.
 *
 * @module
 */

import {
  checkInteger,
  checkTimeout,
  markClass,
  needStack,
  quoteName,
  readOptions,
  UNFAMILIAR_FRAMES,
} from "../check.ts";
import { busy, fromCaller, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
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
  unlink,
} from "../segment/mod.ts";
import { AttachedBarrier, closedError } from "./attached_barrier.ts";
import { barrierBytes, checkBarrier, MOST_PARTIES, writeBarrier } from "./barrier_words.ts";

/** A barrier as plain data, as `structuredClone`, `postMessage` and JSON make it. */
export interface BarrierDescriptor {
  /** Tells a barrier from other kinds; may be left out in a description made by hand. */
  readonly kind?: "barrier";
  /** The segment's name, without a slash. */
  readonly name: string;
  /** How many parties meet. */
  readonly parties: number;
}

/** How `load()` waits for the creator. */
export interface BarrierLoadOptions {
  /** How long to wait, blocking, for a barrier that is not there yet, in milliseconds; by default 0. */
  timeout?: number;
}

/** How `createOrLoad()` makes a barrier, or waits for it. */
export interface BarrierCreateOrLoadOptions extends CreateOptions, BarrierLoadOptions {}

/** How to wait for the others. */
export interface MeetOptions {
  /** The time limit in milliseconds; by default none. With 0 there is one look. */
  timeout?: number;
  /**
   * Whether to wait for a replacement where a party has ended; by default that is a
   * {@linkcode BrokenBarrierError}.
   */
  patient?: boolean;
}

/** How to wait for the others without blocking. */
export interface MeetAsyncOptions extends MeetOptions {
  /** Gives the waiting up: the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

const KIND = { kind: "barrier", what: "SharedMemoryBarrier", parts: ["name", "parties"] } as const;
const CREATION = {
  mode: "number such as 0o600",
  reserve: "boolean",
  describe: "boolean",
} as const;

/**
 * A meeting point of so many parties, processes or tasks: nobody goes on before all have come. After it, each party
 * sees what the others have stored before.
 *
 * Each party has an instance of its own, which takes a seat by `load()`; `create()` makes the barrier, and takes
 * none. The kernel witnesses who sits: a party that is killed, or that closes its instance, is noticed within
 * 100 ms, and all who wait get a {@linkcode BrokenBarrierError}, as `meet()` does from then on. Replacements that
 * load take the seats of those who ended, and when each of these is taken again, the barrier works as before, in the
 * generation in which it was. A party that is `patient` waits for the replacements.
 *
 * A seat that was never taken breaks nothing: who comes early waits for all. When a time limit or a signal ends the
 * waiting of a party, its arrival is taken back, and it may come again; if the meeting was complete before,
 * `meet()` returns as if nothing had happened.
 *
 * A `Worker` that is terminated keeps its seat until its process ends. A party that hangs without ending is waited
 * for. Linux only: other systems have no locks on segments. `docs/sync.md` has what stands in the segment, for other
 * languages.
 *
 * An instance is a description that can be sent to other processes as plain data, `{ kind, name, parties }`, and,
 * between `create()` or `load()` and `close()`, an attachment.
 *
 * @example Step by step
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { type BarrierDescriptor, SharedMemoryBarrier } from "@shm/array/sync";
 * import { assertEquals } from "@std/assert";
 *
 * using barrier = new SharedMemoryBarrier(SharedMemoryArray.buildSmaName("steps"), 2);
 * barrier.create();
 * using heat = new SharedMemoryArray([2], "float64", SharedMemoryArray.buildSmaName("heat"));
 * heat.create().assign([0, 100]);
 *
 * // A process each, usually, which loads both.
 * async function simulate(descriptor: BarrierDescriptor, own: number): Promise<void> {
 *   using barrier = SharedMemoryBarrier.from(descriptor).load();
 *   const values = heat.array!;
 *   for (let step = 0; step < 3; step++) {
 *     const mean = (values.get(0) + values.get(1)) / 2;
 *     await barrier.meetAsync(); // all have read
 *     values.set(own, mean);
 *     await barrier.meetAsync(); // all have written
 *   }
 * }
 * await Promise.all([simulate(barrier, 0), simulate(barrier, 1)]);
 * assertEquals(heat.array!.toArray(), [50, 50]);
 * heat.unlink();
 * barrier.unlink();
 * ```
 *
 * @see {@link https://docs.python.org/3/library/threading.html#barrier-objects | Python's barriers}
 */
export class SharedMemoryBarrier {
  /** Tells a barrier from other kinds. */
  declare readonly kind: "barrier";
  /** The segment's name, without a slash. */
  declare readonly name: string;
  /** How many parties meet. */
  declare readonly parties: number;

  #barrier: AttachedBarrier | null = null;

  /**
   * Describes a barrier. Nothing is created or attached.
   *
   * @param name the segment's name: not empty, without "/" and NUL, at most 255 bytes
   * @param parties how many parties meet: 1 to 4,096
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if the name is not legal, or the number is out of range
   *
   * @example Send it to another process
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * const barrier = new SharedMemoryBarrier("steps", 4);
   * assertEquals(JSON.stringify(barrier), '{"kind":"barrier","name":"steps","parties":4}');
   * ```
   */
  constructor(name: string, parties: number) {
    try {
      checkName(name, nameMax());
      checkParties(parties);
      defineDescription(this, { kind: "barrier", name, parties });
    } catch (error) {
      throw fromCaller(error, SharedMemoryBarrier);
    }
  }

  /**
   * Creates the barrier's segment, and takes no seat: {@linkcode SharedMemoryBarrier.load} does, of this instance and
   * of others. If a step fails, what was made before it is removed.
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
   * @example A supervisor makes it, and takes no part
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using barrier = new SharedMemoryBarrier(`barrier-${crypto.randomUUID()}`, 4).create();
   * assertEquals(barrier.seat, null);
   * barrier.unlink();
   * ```
   */
  create(options?: CreateOptions): this {
    this.#checkDetached("create");
    const segment = OpenSegment.create(
      this.name,
      barrierBytes(this.parties),
      options,
      (head) => writeBarrier(head, this.parties),
      () => descriptionOf(this),
    );
    this.#attach(segment, false);
    return this;
  }

  /**
   * Takes a seat at the barrier that this or another instance created: the first one that was never taken, or whose
   * party has ended.
   *
   * @param options how long to wait, blocking, for a barrier that is not there yet
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind, or the segment is not that of a barrier; nothing was written
   * to it
   * @throws {RangeError} if the time limit is negative or NaN, or the barrier is for another number of parties
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.Busy} if all seats are taken, or this instance has one already (`EBUSY`)
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example A seat for each party
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using first = new SharedMemoryBarrier(`barrier-${crypto.randomUUID()}`, 2).create().load();
   * using second = SharedMemoryBarrier.from(first).load();
   * assertEquals([first.seat, second.seat], [0, 1]);
   * assertThrows(() => SharedMemoryBarrier.from(first).load(), Deno.errors.Busy);
   * first.unlink();
   * ```
   */
  load(options?: BarrierLoadOptions): this {
    const { timeout } = readOptions(options, { timeout: "number of milliseconds" }, "load");
    const limit = checkTimeout(timeout, "load", 0);
    const made = this.#barrier;
    if (made?.isOpen && made.seat === null && made.isNamed) {
      needStack(UNFAMILIAR_FRAMES);
      made.takeSeat();
      return this;
    }
    // What was created here, and has lost its name since, is of no use to anybody.
    if (made?.seat === null) this.close();
    this.#checkDetached("load");
    const wanted = { kind: "barrier", takesAnonymous: true } as const;
    this.#attach(OpenSegment.open(this.name, limit, this.#look(), wanted), true);
    return this;
  }

  /**
   * Takes a seat at the barrier, and creates it if it is not there: of several processes that come at the same time,
   * the first one makes it. {@linkcode SharedMemoryBarrier.isCreator} tells which one this is.
   *
   * @param options what `create()` and `load()` take
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind, or the segment is not that of a barrier
   * @throws {RangeError} if an option is out of range, the name is that of an anonymous segment, or the barrier is for
   * another number of parties
   * @throws {Deno.errors.Busy} if all seats are taken, or this instance is attached already (`EBUSY`)
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} as {@linkcode SharedMemoryBarrier.create}
   *
   * @example All processes alike
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * const name = `barrier-${crypto.randomUUID()}`;
   * using first = new SharedMemoryBarrier(name, 2).createOrLoad();
   * using second = new SharedMemoryBarrier(name, 2).createOrLoad();
   * assertEquals([first.isCreator, second.isCreator], [true, false]);
   * const met = first.meetAsync();
   * assertEquals([second.meet(), await met], [1, 1]);
   * first.unlink();
   * ```
   */
  createOrLoad(options?: BarrierCreateOrLoadOptions): this {
    const kinds = { ...CREATION, timeout: "number of milliseconds" } as const;
    const { timeout, ...making } = readOptions(options, kinds, "create or load");
    const limit = checkTimeout(timeout, "create or load", 0);
    this.#checkDetached("create or load");
    const segment = OpenSegment.createOrOpen(
      this.name,
      barrierBytes(this.parties),
      making,
      (head) => writeBarrier(head, this.parties),
      () => descriptionOf(this),
      limit,
      this.#look(),
      "barrier",
    );
    this.#attach(segment, true);
    return this;
  }

  /** Whether this instance made the barrier that it is attached to; `null` if it is not attached. */
  get isCreator(): boolean | null {
    return this.#barrier?.isCreator ?? null;
  }

  /** The number of the seat that this instance has, from 0 on; `null` if it has none. */
  get seat(): number | null {
    return this.#barrier?.seat ?? null;
  }

  /**
   * Creates a barrier that has no name in `/dev/shm`: it is gone when the last process that has it ends. It takes no
   * seat. Others load it by its name, as long as its creator lives and has not unlinked it. After that, who waits gets
   * `Deno.errors.NotFound`.
   *
   * @param parties how many parties meet: 1 to 4,096
   * @param options permission bits, whether to reserve the memory
   * @returns a new instance, which is attached, and can take a seat by `load()`
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if a number is out of range
   * @throws {Error} if there is no descriptor (`EMFILE`) or memory (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example For the children of this process
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using barrier = SharedMemoryBarrier.createAnonymous(2).load();
   * using theirs = SharedMemoryBarrier.from(JSON.parse(JSON.stringify(barrier))).load();
   * const met = barrier.meetAsync();
   * assertEquals(theirs.meet(), 1);
   * await met;
   * barrier.unlink();
   * ```
   */
  static createAnonymous(parties: number, options?: CreateOptions): SharedMemoryBarrier {
    checkParties(parties);
    const making = readOptions(options, CREATION, "make an anonymous barrier");
    checkLocksSegments("create", "an anonymous barrier", "barriers between processes are");
    const segment = OpenSegment.createAnonymous(
      barrierBytes(parties),
      making,
      "shm-array-barrier",
      (memory) => writeBarrier(memory, parties),
      () => descriptionOf(new SharedMemoryBarrier("barrier", parties)),
    );
    const barrier = new SharedMemoryBarrier(segment.name, parties);
    barrier.#attach(segment, false);
    return barrier;
  }

  /**
   * Gives up the seat and the attachment; without one, does nothing. A pending `meetAsync()` is rejected with
   * `Deno.errors.BadResource`, unless the meeting was complete. The barrier is broken for the others until a
   * replacement loads. The segment and its name stay.
   *
   * @example The seat is another one's
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using first = new SharedMemoryBarrier(`barrier-${crypto.randomUUID()}`, 1).createOrLoad();
   * first.meet();
   * first.close();
   * using second = SharedMemoryBarrier.clone(first).load();
   * assertEquals([second.seat, second.meet()], [0, 2]);
   * second.unlink();
   * ```
   */
  close(): void {
    const barrier = this.#barrier;
    if (barrier === null) return;
    needStack(UNFAMILIAR_FRAMES);
    barrier.close();
    this.#barrier = null;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Removes the barrier's name. From then on nobody can take a seat, and who meets or waits gets
   * `Deno.errors.NotFound`: remove it when the last meeting is over. An instance that is not attached removes whatever
   * segment has the name.
   *
   * @returns `false` if the name was gone already, or leads to another segment than the one that this instance
   * is attached to; that one stays
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example Remove it once
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using barrier = new SharedMemoryBarrier(`barrier-${crypto.randomUUID()}`, 2).create();
   * assertEquals(barrier.unlink(), true);
   * assertEquals(barrier.unlink(), false);
   * ```
   */
  unlink(): boolean {
    const barrier = this.#barrier;
    return barrier?.isOpen ? barrier.unlink() : unlink(this.name);
  }

  /**
   * Describes another barrier like a given one. The result is not attached, whatever the given one is.
   *
   * @param barrier the barrier to take the description from
   * @param override what is to differ
   * @returns a new instance
   * @throws {TypeError} if `barrier` is no SharedMemoryBarrier, or a part of the override is of the wrong kind or
   * unknown
   * @throws {RangeError} if a part of the result is wrong
   *
   * @example A second party in the same process
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * const steps = new SharedMemoryBarrier("steps", 4);
   * assertEquals(SharedMemoryBarrier.clone(steps).name, "steps");
   * assertEquals(SharedMemoryBarrier.clone(steps, { parties: 8 }).parties, 8);
   * ```
   */
  static clone(
    barrier: SharedMemoryBarrier,
    override?: Partial<BarrierDescriptor>,
  ): SharedMemoryBarrier {
    const { name, parties } = cloneDescriptor<BarrierDescriptor>(KIND, barrier, override);
    return new SharedMemoryBarrier(name, parties);
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`, `structuredClone`, JSON or
   * another instance. The result is not attached.
   *
   * @param descriptor plain data with `name` and `parties`; what else it holds is not looked at
   * @returns a new instance
   * @throws {TypeError} if it is no object, that of another kind, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong
   *
   * @example Through JSON, as another process receives it
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * const line = '{"kind":"barrier","name":"steps","parties":4}';
   * assertEquals(SharedMemoryBarrier.from(JSON.parse(line)).parties, 4);
   * ```
   */
  static from(descriptor: BarrierDescriptor): SharedMemoryBarrier {
    refuseForeignParts(KIND, checkDescriptor(KIND, descriptor), ["slots"]);
    return new SharedMemoryBarrier(descriptor.name, descriptor.parties);
  }

  /**
   * Comes, and blocks this thread until all parties have come. What each party has stored before is seen by all
   * afterwards.
   *
   * The event loop stands still meanwhile; with a listener for `SIGINT`, Ctrl-C waits, too.
   *
   * @param options the time limit, and whether to wait for replacements of parties that end
   * @returns the number of the generation, which is the same for all: 1 for the first meeting. After 2^40 - 1 comes 0.
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   * @throws {BrokenBarrierError} if a party has ended, or ends, and no other one has its seat, or has taken it meanwhile
   * @throws {Deno.errors.BadResource} if this instance has no seat
   * @throws {Deno.errors.Busy} if this instance waits already; or another instance of this thread has a seat and has
   * not come, and there is no time limit: it could not come while this call blocks
   * @throws {Deno.errors.NotFound} if the barrier's name was removed (`ENOENT`)
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {DOMException} named "TimeoutError" if time was up; this party has not come then, and the others wait on
   *
   * @example Not for ever
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using barrier = new SharedMemoryBarrier(`barrier-${crypto.randomUUID()}`, 2).createOrLoad();
   * const error = assertThrows(() => barrier.meet({ timeout: 20 }), DOMException);
   * assertEquals(error.name, "TimeoutError");
   * barrier.unlink();
   * ```
   */
  meet(options?: MeetOptions): number {
    const { timeout, patient = false } = readOptions(
      options,
      { timeout: "number of milliseconds", patient: "boolean" },
      "meet",
    );
    const limit = checkTimeout(timeout, "meet", Infinity);
    return this.#attached().meet(limit, patient);
  }

  /**
   * Comes at once, and waits without blocking until all parties have come.
   *
   * @param options the time limit, a signal that gives the waiting up, and whether to wait for replacements of parties
   * that end
   * @returns a promise of the number of the generation. It is rejected with what {@linkcode SharedMemoryBarrier.meet}
   * throws, with the signal's reason, and with `Deno.errors.BadResource` if this instance is closed meanwhile; this
   * party has not come then
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   *
   * @example Wait for a replacement
   * ```ts
   * import { SharedMemoryBarrier } from "@shm/array/sync";
   * import { assertEquals } from "@std/assert";
   *
   * using mine = new SharedMemoryBarrier(`barrier-${crypto.randomUUID()}`, 2).createOrLoad();
   * const theirs = SharedMemoryBarrier.from(mine).load();
   * const met = mine.meetAsync({ patient: true, signal: AbortSignal.timeout(10_000) });
   * theirs.close(); // or it was killed
   *
   * using replacement = SharedMemoryBarrier.from(mine).load();
   * assertEquals(replacement.meet(), 1);
   * assertEquals(await met, 1);
   * mine.unlink();
   * ```
   */
  async meetAsync(options?: MeetAsyncOptions): Promise<number> {
    const { timeout, patient = false, signal } = readOptions(
      options,
      { timeout: "number of milliseconds", patient: "boolean", signal: "AbortSignal" },
      "meet",
    );
    const limit = checkTimeout(timeout, "meet", Infinity);
    return await this.#attached().meetAsync(limit, patient, signal);
  }

  /** One line that says which barrier this is. */
  toString(): string {
    return `SharedMemoryBarrier ${quoteName(this.name)} ${this.parties} parties`;
  }

  static {
    markClass(this.prototype, KIND.what);
    // `console.log` may show the prototype itself, too.
    showAs(
      this.prototype,
      (barrier) =>
        #barrier in barrier
          ? { ...barrier, attached: barrier.#barrier !== null, seat: barrier.seat }
          : {},
    );
  }

  /** Makes what looks whether a segment is this barrier's, before a byte is written. */
  #look(): SegmentCheck {
    return (memory, isTimeUp) => checkBarrier(memory, this.parties, isTimeUp);
  }

  #attach(segment: OpenSegment, takesSeat: boolean): void {
    let barrier: AttachedBarrier | null = null;
    try {
      barrier = new AttachedBarrier(segment, this.parties);
      if (takesSeat) barrier.takeSeat();
      this.#barrier = barrier;
    } catch (error) {
      if (segment.isCreator) segment.unlink();
      if (barrier === null) segment.close();
      else barrier.close();
      throw error;
    }
  }

  #checkDetached(action: string): void {
    if (this.#barrier?.isOpen) {
      throw busy(
        `Cannot ${action} ${quoteName(this.name)}: this instance is attached already; close() it ` +
          "first, or clone() it for a second seat",
      );
    }
    checkLocksSegments(action, this.name, "barriers between processes are");
    needStack(UNFAMILIAR_FRAMES);
    this.#barrier?.close();
    this.#barrier = null;
  }

  #attached(): AttachedBarrier {
    if (this.#barrier === null) throw closedError(this.name);
    return this.#barrier;
  }
}
showCallers(SharedMemoryBarrier);

// --- Arguments ---------------------------------------------------------------------------------

function checkParties(parties: number): void {
  checkInteger(parties, "make a barrier", "parties");
  if (parties >= 1 && parties <= MOST_PARTIES) return;
  throw new RangeError(
    `Cannot make a barrier: parties must be from 1 to ${MOST_PARTIES}, not ${parties}`,
  );
}
