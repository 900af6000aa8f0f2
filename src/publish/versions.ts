/**
 * Versions of a large array, each in a segment of its own.
 *
 * @module
 */

import { checkInteger, isThenable, kindOf } from "../check.ts";
import type { DType, DTypeLike, DTypeOf } from "../dtype.ts";
import { busy, errors, notFound } from "../errors.ts";
import { showAs } from "../inspect.ts";
import type { NDArray, RankOf, Shape } from "../ndarray/mod.ts";
import {
  checkName,
  type CreateOptions,
  nameMax,
  PART_NAME_BYTES,
  partName,
  PARTS_MAGIC,
  undoCreate,
  unlinkWithParts,
} from "../segment/mod.ts";
import { SharedMemoryArray } from "../shared_array/shared_memory_array.ts";
import {
  Channel,
  checkAttached,
  checkDetached,
  closedError,
  type Header,
  type LoadOptions,
  type WaitAsyncOptions,
  type WaitOptions,
} from "./channel.ts";
import {
  checkArrays,
  checkDescriptor,
  checkLoadOptions,
  checkWaitOptions,
  cloneDescriptor,
  describe,
  type PublicationDescriptor,
} from "./description.ts";

/**
 * What a publication of versions is, as plain data: what `structuredClone`, `postMessage` and JSON make of
 * one.
 */
export type VersionsDescriptor<T extends DTypeLike = DTypeLike> = PublicationDescriptor<T>;

/** A complete version of the array, as a reader has it. */
export interface Version<T extends DType = DType, R extends number = number> {
  /** The number of the version: the first one that was ever published is 1. */
  readonly version: number;
  /** The elements, not copied. Nobody writes to them any more, and readers must not either. */
  readonly array: NDArray<T, R>;
}

/** What descriptions of publications have. */
const KIND = { what: "SharedMemoryVersions", parts: ["shape", "dtype", "name"] };

/** The array of one version, attached. */
type Part<T extends DTypeLike, S extends Shape> = SharedMemoryArray<DTypeOf<T>, S>;

/** What an instance has while it is attached. */
interface Attachment<T extends DTypeLike, S extends Shape> {
  readonly channel: Channel;
  /** The newest version that this instance attached. */
  current: Version<DTypeOf<T>, RankOf<S>> | null;
  /** The number of the version that was given out last; 0 before the first. */
  given: number;
  /** The version that is being filled. */
  making: Part<T, S> | null;
  /** The buffers of all versions that this instance attached; who uses one keeps it. */
  readonly buffers: Set<WeakRef<ArrayBuffer>>;
}

/**
 * What closes the mapping of a version, by its buffer. Only the buffer keeps it: a version is given up when no
 * view of it is left.
 */
const closers = new WeakMap<ArrayBuffer, { close(): void }>();

/**
 * The newest complete version of one large array that one process replaces as a whole and any number of
 * others read, with no copy: a table and the servers that answer from it.
 *
 * Each version has a segment of its own. The writer fills the next one, makes it the current one, and removes
 * the name of the one before. Whoever still uses an old version keeps it, unchanged: the kernel counts its
 * users, and frees its memory with the last one. A reader never sees a version that is not complete.
 *
 * The first instance that publishes is the writer until it is closed or its process ends; then another one
 * may publish, goes on with the numbers, and sweeps what one that was killed left half-made.
 *
 * An instance is a description that can be sent to other processes as plain data, `{ shape, dtype, name }`,
 * and, between `create()` or `load()` and `close()`, an attachment. A register can list its name: with it the
 * versions go, too. A `Worker` that is terminated stays the writer until the process ends.
 *
 * What an instance attached of old versions is given up when it is garbage, which is found out some time, in
 * the turns of the event loop: memory is then given back, and only address space stays taken. Until then a
 * reader of a large table may hold several versions. {@linkcode SharedMemoryVersions.closeOlder} gives them
 * back at once; a loop that never lets the event loop run must call it.
 *
 * Linux only.
 *
 * @example One writer, one reader
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryVersions } from "@shm/array/publish";
 * import { assertEquals } from "@std/assert";
 *
 * const name = SharedMemoryArray.buildSmaName("table");
 * using table = new SharedMemoryVersions([1000, 64], "float32", name);
 * table.create();
 *
 * // In another process, usually.
 * using mirror = SharedMemoryVersions.from(JSON.parse(JSON.stringify(table)));
 * mirror.load();
 *
 * await table.publish((next) => next.fill(1));
 * const old = mirror.current()!;
 * await table.publish((next) => next.fill(2));
 * assertEquals(mirror.current()!.array.get(0, 0), 2);
 * assertEquals([old.version, old.array.get(0, 0)], [1, 1]); // still there, still whole
 * table.unlink();
 * ```
 */
export class SharedMemoryVersions<T extends DTypeLike = DType, const S extends Shape = Shape> {
  /** The length of each axis in elements; frozen. */
  declare readonly shape: readonly number[];
  /** The canonical name of the element type. */
  declare readonly dtype: DTypeOf<T>;
  /** The name of the publication's own segment, without a slash. */
  declare readonly name: string;

  readonly #header: Header;
  #attachment: Attachment<T, S> | null = null;

  /**
   * Describes a publication of versions. Nothing is created or attached.
   *
   * @param shape the lengths of the axes in elements, all at least 1; a number means one axis
   * @param dtype the element type: a name (`"float32"`), a NumPy type string (`"<f4"`), or a typed array's
   * constructor (`Float32Array`)
   * @param name the segment's name: not empty, without "/" and NUL, at most 237 bytes, because the names of
   * the versions are longer: that of version 7 of "table" is "table.v7"
   * @throws {TypeError} if an argument is of the wrong kind, or the dtype is none of the supported ones
   * @throws {RangeError} if a length, the number of bytes, or the name is wrong
   *
   * @example Send it to another process
   * ```ts
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const table = new SharedMemoryVersions([1000, 64], "float32", "table");
   * assertEquals(JSON.stringify(table), '{"shape":[1000,64],"dtype":"float32","name":"table"}');
   * ```
   */
  constructor(shape: S, dtype: T, name: string) {
    const { description, arrays } = checkArrays(shape, dtype, name);
    checkName(name, nameMax() - PART_NAME_BYTES);
    describe(this, description);
    this.#header = { magic: PARTS_MAGIC, ...arrays, slots: 0, slotStep: 0 };
  }

  /**
   * Creates the publication's own segment, without a version, and attaches to it. If a step fails, what was
   * made before it is removed.
   *
   * @param options the permission bits, for the versions, too, and whether to reserve memory for each version
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if an option is out of range
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.AlreadyExists} if the name is taken (`EEXIST`)
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`), or there is no descriptor (`EMFILE`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example Create, use, remove
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using table = new SharedMemoryVersions(8, "int64", SharedMemoryArray.buildSmaName("table"));
   * table.create({ mode: 0o660 });
   * assertEquals(table.current(), null);
   * table.unlink();
   * ```
   */
  create(options?: CreateOptions): this {
    checkDetached(this.#attachment?.channel, "create", this.name);
    this.#attach(Channel.create(this.name, 0, this.#header, options));
    return this;
  }

  /**
   * Attaches to the publication that another instance created.
   *
   * @param options how long to wait, blocking, for a publication that is not there yet
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN, or the segment is not that of versions of
   * this shape and dtype
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example A writer that is started again
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("table");
   * using first = new SharedMemoryVersions(8, "int64", name).create();
   * await first.publish((next) => next.fill(1n));
   * first.close(); // or it was killed
   *
   * using second = new SharedMemoryVersions(8, "int64", name).load();
   * assertEquals(await second.publish((next) => next.fill(2n)), 2);
   * second.unlink();
   * ```
   */
  load(options?: LoadOptions): this {
    const timeout = checkLoadOptions(options);
    checkDetached(this.#attachment?.channel, "load", this.name);
    this.#attach(
      Channel.load(this.name, 0, this.#header, "a publication of versions", timeout),
    );
    return this;
  }

  /**
   * Gives up the attachment, all versions that this instance attached, and the right to publish; without an
   * attachment, does nothing. Their views are empty from then on. A version that is being filled is
   * removed. Whoever waits in this instance is rejected with `Deno.errors.BadResource`. The current version
   * and the names stay.
   *
   * @example Views of a closed publication are empty
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertThrows } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("table");
   * const table = new SharedMemoryVersions(8, "int8", name).create();
   * await table.publish((next) => next.fill(1));
   * const { array } = table.current()!;
   * table.close();
   * assertThrows(() => array.get(0), Deno.errors.BadResource);
   * table.unlink();
   * ```
   */
  close(): void {
    const attachment = this.#attachment;
    if (attachment === null) return;
    this.#attachment = null;
    const { channel, buffers } = attachment;
    attachment.current = null;
    try {
      discard(attachment);
    } finally {
      for (const buffer of buffers) closeBuffer(buffer);
      channel.close();
    }
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Gives up the versions that this instance attached but for the newest ones: views of older ones are empty
   * from then on, and their memory and address space are given back at once. Without it they go when they
   * are garbage, some time. A server that answers from a version across an `await` keeps two or three.
   *
   * @param keep how many of the versions that this instance attached stay; by default 1, the newest
   * @throws {TypeError} if `keep` is no number
   * @throws {RangeError} if it is no whole number from 1
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example A loop that never lets the event loop run
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using table = new SharedMemoryVersions(8, "int8", SharedMemoryArray.buildSmaName("table"));
   * table.create();
   * for (let i = 1; i <= 3; i++) {
   *   table.publish((next) => next.fill(i)); // usually in another process
   *   const { version } = table.changed({ timeout: 1000 });
   *   table.closeOlder();
   *   assertEquals(version, i);
   * }
   * table.unlink();
   * ```
   */
  closeOlder(keep: number = 1): void {
    checkInteger(keep, "close", "keep");
    if (keep < 1) throw new RangeError(`Cannot close: keep must be 1 or more, not ${keep}`);
    const { buffers } = this.#attached("use");
    for (const buffer of [...buffers].slice(0, -keep)) {
      closeBuffer(buffer);
      buffers.delete(buffer);
    }
  }

  /**
   * Removes all names of the publication: its own, that of the current version, and those of what a killed
   * writer left. Who is attached keeps what is attached; a writer can publish no more. The instance need
   * not be attached.
   *
   * @returns `false` if the publication's own name was gone already
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example Nothing is left
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using table = new SharedMemoryVersions(8, "int8", SharedMemoryArray.buildSmaName("table"));
   * table.create();
   * await table.publish((next) => next.fill(1));
   * assertEquals(table.unlink(), true);
   * assertEquals(table.unlink(), false);
   * assertEquals(SharedMemoryArray.list().filter(({ name }) => name.startsWith(table.name)), []);
   * ```
   */
  unlink(): boolean {
    this.#checkBrand();
    return unlinkWithParts(this.name).includes(this.name);
  }

  /**
   * Describes another publication like a given one. The result is not attached, whatever the given one is.
   *
   * @param versions the publication to take the description from
   * @param override what is to differ
   * @returns a new instance
   * @throws {TypeError} if `versions` is no SharedMemoryVersions, or a part of the override is of the wrong
   * kind or unknown
   * @throws {RangeError} if a part of the result is wrong
   *
   * @example A second table
   * ```ts
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const words = new SharedMemoryVersions([1000, 64], "float32", "words");
   * assertEquals(SharedMemoryVersions.clone(words, { name: "images" }).shape, [1000, 64]);
   * ```
   */
  static clone<T extends DTypeLike, U extends DTypeLike = DTypeOf<T>>(
    versions: SharedMemoryVersions<T>,
    override?: Partial<VersionsDescriptor<U>>,
  ): SharedMemoryVersions<DTypeOf<U>> {
    return construct(
      cloneDescriptor<VersionsDescriptor<U>>(KIND, SharedMemoryVersions, versions, override),
    );
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`, `structuredClone`,
   * JSON or another instance. The result is not attached.
   *
   * @param descriptor plain data with `shape`, `dtype` and `name`; what else it holds is not looked at
   * @returns a new instance
   * @throws {TypeError} if it is no object, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong
   *
   * @example Through JSON, as another process receives it
   * ```ts
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const line = '{"shape":[2],"dtype":"<f4","name":"table"}';
   * assertEquals(SharedMemoryVersions.from(JSON.parse(line)).dtype, "float32");
   * ```
   */
  static from<const T extends DTypeLike>(
    descriptor: VersionsDescriptor<T>,
  ): SharedMemoryVersions<DTypeOf<T>> {
    return construct(checkDescriptor(KIND, descriptor));
  }

  /**
   * Makes a new version: a segment of its own, zero-filled, is filled, becomes the current version, and the
   * readers that wait are woken; the name of the version before is removed. This makes the instance the
   * writer, until it is closed.
   *
   * If it fails, nothing changes and nothing is left. A version that is filled without a promise is
   * published when this returns.
   *
   * @param fill fills the array, and is done when it returns, or when the promise that it returns is
   * fulfilled; the view is a reader's like any other from then on, and must not be written to
   * @returns a promise of the version's number, from 1. It is rejected with what `fill` threw, and with
   * - `TypeError` if `fill` is no function,
   * - `Deno.errors.Busy` if another instance is the writer, or this one is filling a version already,
   * - `Deno.errors.NotFound` if the publication was removed,
   * - `Deno.errors.BadResource` if this instance is not attached or was closed meanwhile,
   * - an `Error` with code `ENOSPC` if `/dev/shm` has no room for another version
   *
   * @example Filled from elsewhere
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using table = new SharedMemoryVersions([2], "uint8", SharedMemoryArray.buildSmaName("table"));
   * table.create();
   * const version = await table.publish(async (next) => {
   *   next.assign(await new Response(new Uint8Array([3, 4])).bytes());
   * });
   * assertEquals([version, table.current()!.array.toArray()], [1, [3, 4]]);
   * table.unlink();
   * ```
   */
  async publish(
    fill: (next: NDArray<DTypeOf<T>, RankOf<S>>) => unknown,
  ): Promise<number> {
    if (typeof fill !== "function") {
      throw new TypeError(
        `Cannot publish: it takes a function that fills the next version, not ${kindOf(fill)}`,
      );
    }
    const attachment = this.#attached("publish to");
    const { channel } = attachment;
    if (attachment.making !== null) {
      throw busy(
        `Cannot publish to '${this.name}': this instance is filling a version already`,
      );
    }
    if (channel.claim()) this.#sweep(channel);
    const version = channel.newest + 1;
    const part = this.#make(version, channel.options);
    attachment.making = part;
    try {
      this.#checkNamed(channel);
      const result: unknown = fill(part.array as NDArray<DTypeOf<T>, RankOf<S>>);
      // Without a promise there is nothing to wait for.
      if (isThenable(result)) await result;
      this.#checkStill(attachment, "publish to");
      this.#checkNamed(channel);
    } catch (error) {
      discard(attachment);
      throw error;
    }
    attachment.making = null;
    channel.publish(version);
    take(attachment, version, part);
    this.#part(version - 1)?.unlink();
    return version;
  }

  /**
   * Gives the newest complete version, and does not wait. It attaches anew only if there is a newer one than
   * last time, so that it can be called for every question that is answered.
   *
   * @returns the version; the very same object again if there is no newer one; `null` before the first
   * @throws {Deno.errors.BadResource} if this instance is not attached
   * @throws {Deno.errors.NotFound} if the publication was removed before the newest version was attached
   * @throws {Error} if there is no descriptor (`EMFILE`) or address space (`ENOMEM`) left
   *
   * @example All of an answer comes from one version
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using table = new SharedMemoryVersions([2], "int32", SharedMemoryArray.buildSmaName("table"));
   * table.create();
   * await table.publish((next) => next.fill(3));
   * const { version, array } = table.current()!;
   * await table.publish((next) => next.fill(4));
   * assertEquals([version, array.get(0) + array.get(1)], [1, 6]);
   * table.unlink();
   * ```
   */
  current(): Version<DTypeOf<T>, RankOf<S>> | null {
    const attachment = this.#attached("read from");
    const { channel, current } = attachment;
    if (current === null ? channel.newest === 0 : channel.isNewest(current.version)) {
      if (current !== null) attachment.given = current.version;
      return current;
    }
    return this.#give(attachment);
  }

  /**
   * Gives the newest complete version when it is another one than this instance gave out last, and blocks
   * this thread until it is. For an instance that has given out none, that is the first there is.
   *
   * The event loop stands still meanwhile; with a listener for `SIGINT`, Ctrl-C waits, too.
   *
   * @param options the time limit
   * @returns the version
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if the time limit is negative or NaN
   * @throws {DOMException} named "TimeoutError" if time was up
   * @throws {Deno.errors.BadResource} if this instance is not attached
   * @throws {Deno.errors.NotFound} if the publication was removed before the newest version was attached
   *
   * @example At most a second
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using table = new SharedMemoryVersions([2], "int32", SharedMemoryArray.buildSmaName("table"));
   * table.create();
   * await table.publish((next) => next.fill(3));
   * assertEquals(table.changed({ timeout: 1000 }).version, 1);
   * assertThrows(() => table.changed({ timeout: 10 }), DOMException, "time is up");
   * table.unlink();
   * ```
   */
  changed(options?: WaitOptions): Version<DTypeOf<T>, RankOf<S>> {
    const { timeout } = checkWaitOptions(options, false);
    const attachment = this.#attached("wait for");
    attachment.channel.awaitNewer(attachment.given, timeout);
    return this.#give(attachment);
  }

  /**
   * Gives the newest complete version when it is another one than this instance gave out last, without
   * blocking.
   *
   * @param options the time limit, and a signal that gives the waiting up
   * @returns a promise of the version. It is rejected with a `DOMException` named "TimeoutError" if time was
   * up, with the signal's reason, with `Deno.errors.BadResource` if this instance is not attached or was
   * closed meanwhile, with `Deno.errors.NotFound` if the publication was removed before the newest version
   * was attached, and where an option is wrong
   *
   * @example Do something with every version
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using table = new SharedMemoryVersions([2], "int32", SharedMemoryArray.buildSmaName("table"));
   * table.create();
   * const changed = table.changedAsync({ signal: AbortSignal.timeout(1000) });
   * await table.publish((next) => next.fill(3)); // usually in another process
   * assertEquals((await changed).array.get(1), 3);
   * table.unlink();
   * ```
   */
  async changedAsync(options?: WaitAsyncOptions): Promise<Version<DTypeOf<T>, RankOf<S>>> {
    const { timeout, signal } = checkWaitOptions(options, true);
    const attachment = this.#attached("wait for");
    await attachment.channel.awaitNewerAsync(attachment.given, timeout, signal);
    this.#checkStill(attachment, "wait for");
    return this.#give(attachment);
  }

  /** One line that says which publication this is. */
  toString(): string {
    return `SharedMemoryVersions '${this.name}' [${this.shape.join(", ")}] ${this.dtype}`;
  }

  static {
    // The prototype itself can be looked at, too.
    showAs(
      this.prototype,
      (versions) =>
        #header in versions ? { ...versions, attached: versions.#attachment !== null } : {},
    );
  }

  /** That it can be called at all proves `this` to be an instance, whose name has been checked. */
  #checkBrand(): void {}

  #attach(channel: Channel): void {
    this.#attachment = { channel, current: null, given: 0, making: null, buffers: new Set() };
  }

  #attached(action: string): Attachment<T, S> {
    return checkAttached(this.#attachment, action, this.name);
  }

  /** Throws if it was closed meanwhile, or attached anew. */
  #checkStill(attachment: Attachment<T, S>, action: string): void {
    if (this.#attached(action) !== attachment) throw closedError(this.name, action);
  }

  /** Describes the array of a version; `null` before the first. */
  #part(version: number): Part<T, S> | null {
    if (version < 1) return null;
    const { shape, dtype, name } = this;
    return new SharedMemoryArray(shape, dtype, partName(name, version)) as unknown as Part<T, S>;
  }

  /** Removes what a writer that was killed may have left beside the current version. */
  #sweep(channel: Channel): void {
    const { newest } = channel;
    this.#part(newest - 1)?.unlink();
    this.#part(newest + 1)!.unlink();
  }

  /** Makes the segment of the next version. */
  #make(version: number, options: CreateOptions): Part<T, S> {
    const part = this.#part(version)!;
    try {
      part.create(options);
    } catch (error) {
      if (!(error instanceof errors.AlreadyExists)) throw error;
      // A publication of this name was removed by hand, and this was left of it: nobody else is the writer.
      part.unlink();
      part.create(options);
    }
    return part;
  }

  /** Looks whether the publication was removed: then nobody would remove a version any more. */
  #checkNamed(channel: Channel): void {
    if (channel.isNamed) return;
    throw notFound(
      `Cannot publish to '${this.name}': its name was removed; create() makes a new one`,
    );
  }

  /** Gives the newest version out, attached. */
  #give(attachment: Attachment<T, S>): Version<DTypeOf<T>, RankOf<S>> {
    const { channel } = attachment;
    while (true) {
      const { newest } = channel;
      if (attachment.current?.version !== newest) {
        const part = this.#part(newest)!;
        try {
          part.load();
        } catch (error) {
          if (!(error instanceof errors.NotFound)) throw error;
          // The name of a version is removed when there is a newer one.
          if (!channel.isNewest(newest)) continue;
          throw this.#removedError(newest, error);
        }
        if (!channel.isNamed) {
          // What has the name now may belong to another publication.
          part.close();
          throw this.#removedError(newest);
        }
        take(attachment, newest, part);
      }
      attachment.given = newest;
      return attachment.current!;
    }
  }

  #removedError(version: number, cause?: unknown): Error {
    return notFound(
      `Cannot attach to version ${version} of '${this.name}': it was removed`,
      cause,
    );
  }
}

/**
 * Forgets a version that is garbage. To look by `deref()` whether it is would keep it for another while.
 */
const collected = new FinalizationRegistry<() => void>((forget) => forget());

/** From how many bytes of old versions on the collector is made to look for garbage. */
const MUCH = 2 ** 29;

/**
 * Has the collector of garbage look soon. It counts what is on the heap, and not the memory of versions: a
 * reader that makes little garbage otherwise would keep dozens of versions. The array is garbage at once.
 */
function makeGarbage(): unknown[] {
  return new Array(2 ** 18);
}

/** Makes an attached version the newest one of an instance. */
function take<T extends DTypeLike, S extends Shape>(
  attachment: Attachment<T, S>,
  version: number,
  part: Part<T, S>,
): void {
  const array = part.array as NDArray<DTypeOf<T>, RankOf<S>>;
  const { buffer } = array.data as { buffer: ArrayBuffer };
  closers.set(buffer, part);
  const { buffers } = attachment;
  if (buffers.size * array.data.byteLength >= MUCH) makeGarbage();
  const reference = new WeakRef(buffer);
  buffers.add(reference);
  collected.register(buffer, () => buffers.delete(reference));
  attachment.current = Object.freeze({ version, array });
}

/** Gives up the version that is being filled, and removes it. */
function discard<T extends DTypeLike, S extends Shape>(attachment: Attachment<T, S>): void {
  const part = attachment.making;
  if (part === null) return;
  attachment.making = null;
  // Where the publication was removed meanwhile, another one may have the name now, which stays.
  undoCreate(part.smh!);
}

function closeBuffer(buffer: WeakRef<ArrayBuffer>): void {
  const alive = buffer.deref();
  if (alive !== undefined) closers.get(alive)?.close();
}

function construct<T extends DTypeLike>(
  { shape, dtype, name }: VersionsDescriptor<T>,
): SharedMemoryVersions<DTypeOf<T>> {
  return new SharedMemoryVersions(shape, dtype, name) as unknown as SharedMemoryVersions<
    DTypeOf<T>
  >;
}
