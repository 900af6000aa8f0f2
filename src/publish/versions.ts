/**
 * Versions of a large array, each in a segment of its own.
 *
 * @module
 */

import {
  checkInteger,
  isThenable,
  kindOf,
  markClass,
  needStack,
  quoteName,
  readOptions,
  UNFAMILIAR_FRAMES,
} from "../check.ts";
import type { DType, DTypeLike, DTypeOf } from "../dtype.ts";
import { busy, errors, fromCaller, invalidData, notFound, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
import { explainGone, type NDArray, type RankOf, type Shape } from "../ndarray/mod.ts";
import {
  checkName,
  cloneDescriptor,
  type CreateOptions,
  defineDescription,
  descriptionOf,
  nameMax,
  PART_NAME_BYTES,
  partName,
  removeParts,
  segmentSpace,
  sweepParts,
  undoCreate,
  unlinkAttached,
  unlinkIfPermitted,
  unlinkWithParts,
} from "../segment/mod.ts";
import { SharedMemoryArray } from "../shared_array/shared_memory_array.ts";
import { timestampNow } from "../sync/event_count.ts";
import { AttachedVersions, type VersionHandle } from "./attached_versions.ts";
import {
  checkArrays,
  checkCreateOrLoadOptions,
  checkDType,
  checkLoadOptions,
  checkPublication,
  checkWaitOptions,
  type PublicationDescriptor,
} from "./descriptor.ts";
import { type Header, HEADER_BYTES } from "./header_words.ts";
import {
  checkAttached,
  checkDetached,
  closedError,
  type CreateOrLoadOptions,
  type LoadOptions,
  Publication,
  type WaitAsyncOptions,
  type WaitOptions,
} from "./publication.ts";
import { versionsHeader, VersionsWords } from "./versions_words.ts";

/**
 * A publication of versions as plain data, as `structuredClone`, `postMessage` and JSON make it.
 */
export interface VersionsDescriptor<T extends DTypeLike = DTypeLike>
  extends PublicationDescriptor<T> {
  /** Tells a publication of versions from other kinds; may be left out in a description made by hand. */
  readonly kind?: "versions";
}

/** How many old versions an instance keeps. */
export interface KeepOptions {
  /**
   * How many old versions stay attached, besides the newest, the one before and those that are held; by default 8.
   * All of these together have an eighth of the file system of `/dev/shm` at most.
   */
  keep?: number;
}

/** How a publication of versions is made. */
export interface VersionsCreateOptions extends CreateOptions, KeepOptions {}

/** How a publication of versions is attached to. */
export interface VersionsLoadOptions extends LoadOptions, KeepOptions {}

/** How a publication of versions is attached to, or made if there is none. */
export interface VersionsCreateOrLoadOptions extends CreateOrLoadOptions, KeepOptions {}

/** A complete version of the array, as a reader gets it. */
export interface Version<T extends DType = DType, R extends number = number> {
  /** The number of the version: the first one that was ever published is 1. */
  readonly version: number;
  /**
   * When the version was published, in milliseconds of the Unix epoch, with a fraction: so old is what is answered from
   * it. NaN where nothing tells, because the segment is damaged.
   */
  readonly timestamp: number;
  /** The elements, not copied. Nobody writes to them any more, and readers must not either. */
  readonly array: NDArray<T, R>;
  /**
   * Keeps the version attached until the result is disposed of, however many newer ones there are meanwhile. It
   * can be taken off the version and called alone: `const { array, hold } = table.current()!`.
   */
  readonly hold: () => Disposable;
}

/** A version; what its getters need cannot be seen. */
class GivenVersion<T extends DType, R extends number> implements Version<T, R> {
  readonly version: number;
  readonly array: NDArray<T, R>;
  readonly #timestamp: number;
  readonly #hold: () => Disposable;

  constructor(
    version: number,
    timestamp: number,
    array: NDArray<T, R>,
    hold: () => Disposable,
  ) {
    this.version = version;
    this.#timestamp = timestamp;
    this.array = array;
    this.#hold = hold;
    Object.freeze(this);
  }

  get timestamp(): number {
    return this.#timestamp;
  }

  get hold(): () => Disposable {
    return this.#hold;
  }
}

/** The parts of a publication's description. */
const KIND = {
  kind: "versions",
  what: "SharedMemoryVersions",
  parts: ["shape", "dtype", "name"],
} as const;

/** How many old versions an instance keeps by default. */
const KEEP = 8;

/** The share of the memory for segments that old versions may take. */
const MOST_SHARE = 1 / 8;

/** How many names of versions may be another user's, one after another, before a writer gives up. */
const MOST_TAKEN = 64;

/** How many versions a reader finds replaced, one after another, before it can attach one. */
const MOST_REPLACED = 1000;

/** The codes that say that the system has no more memory, mappings or descriptors. */
const NO_ROOM: readonly unknown[] = ["ENOSPC", "ENOMEM", "EMFILE", "ENFILE"];

/** The array of one version, attached. */
type Part<T extends DTypeLike, S extends Shape> = SharedMemoryArray<DTypeOf<T>, S>;

/** The parts of an instance that is attached. */
interface Attachment<T extends DTypeLike, S extends Shape> {
  readonly publication: Publication<VersionsWords>;
  /** The publication's id, which the names of its versions bear. */
  readonly id: bigint;
  /** All versions that this instance attached. */
  readonly versions: AttachedVersions;
  /** The newest version that this instance attached. */
  current: Version<DTypeOf<T>, RankOf<S>> | null;
  /** The handle of that one. */
  handle: VersionHandle | null;
  /** The number of the version that was given out last; 0 before the first. */
  given: number;
  /** The version that is being filled. */
  making: Part<T, S> | null;
  /** Whether this is the writer, and has removed what a killed writer may have left. */
  isSwept: boolean;
}

/**
 * The newest complete version of one large array that one process replaces as a whole and any number of
 * others read, with no copy: a table and the servers that answer from it.
 *
 * Each version has a segment of its own. The writer fills the next one, makes it the current one, and removes
 * the name of the one before. A process that still uses an old version keeps it, unchanged: the kernel counts
 * its users, and frees its memory with the last one. A reader never sees a version that is not complete.
 *
 * The first instance that publishes is the writer until it is closed or its process ends; then another one
 * may publish, goes on with the numbers, and sweeps what one that was killed left half-made.
 *
 * An instance is a description that can be sent to other processes as plain data, `{ shape, dtype, name }`,
 * and, between `create()` or `load()` and `close()`, an attachment. A register can list its name: with it the
 * versions go, too. A `Worker` that is terminated stays the writer until the process ends.
 *
 * An instance keeps the newest version that it gave out, the one before, and of older ones as many as `keep`
 * says, as long as they have no more than an eighth of the file system of `/dev/shm`. Versions beyond that are
 * closed, the oldest first: their views are empty, and say so. A reader that uses one version for long calls
 * its `hold()`. {@linkcode SharedMemoryVersions.closeOlder} closes old versions at once.
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
  /** Tells a publication of versions from other kinds. */
  declare readonly kind: "versions";
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
   * @param name the segment's name: not empty, without "/" and NUL, at most 220 bytes, because the names of
   * the versions are longer: that of version 7 of "table" is "table.0123456789abcdef.v7", with the random number
   * of the publication
   * @throws {TypeError} if an argument is of the wrong kind, or the dtype is none of the supported ones
   * @throws {RangeError} if a length, the number of bytes, or the name is wrong
   *
   * @example Send it to another process
   * ```ts
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const table = new SharedMemoryVersions([1000, 64], "float32", "table");
   * assertEquals(
   *   JSON.stringify(table),
   *   '{"kind":"versions","shape":[1000,64],"dtype":"float32","name":"table"}',
   * );
   * ```
   */
  constructor(shape: S, dtype: T, name: string) {
    try {
      const { description, arrays } = checkArrays(shape, dtype, name);
      checkName(name, nameMax() - PART_NAME_BYTES);
      defineDescription(this, { kind: KIND.kind, ...description });
      this.#header = versionsHeader(arrays);
    } catch (error) {
      throw fromCaller(error, SharedMemoryVersions);
    }
  }

  /**
   * Creates the publication's own segment, without a version, and attaches to it. If a step fails, what was
   * made before it is removed.
   *
   * @param options the permission bits, for the versions, too, whether to reserve memory for each version, and
   * how many old versions this instance keeps
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
  create(options?: VersionsCreateOptions): this {
    const kinds = { mode: "any", reserve: "any", describe: "any", keep: "number" } as const;
    const { keep, ...segmentOptions } = readOptions(options, kinds, "create");
    checkKeep(keep, "create");
    checkDetached(this.#attachment?.publication, "create", this.name);
    this.#attach(
      Publication.create(
        this.name,
        HEADER_BYTES,
        this.#header,
        VersionsWords,
        segmentOptions,
        () => descriptionOf(this),
      ),
      keep,
    );
    return this;
  }

  /**
   * Attaches to the publication that another instance created.
   *
   * @param options how long to wait, blocking, for a publication that is not there yet, how many old versions this
   * instance keeps, and `access: "copy-on-write"` for a reader that has the permission to read only: it looks every
   * 5 ms instead of being woken
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {TypeError} if the segment is not that of versions; nothing was written to it
   * @throws {RangeError} if an option is out of range, or the versions are not of this shape and dtype
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
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
  load(options?: VersionsLoadOptions): this {
    const kinds = { timeout: "any", keep: "number", access: "any" } as const;
    const { keep, ...rest } = readOptions(options, kinds, "load");
    const loading = checkLoadOptions(rest);
    checkKeep(keep, "load");
    checkDetached(this.#attachment?.publication, "load", this.name);
    this.#attach(
      Publication.load(this.name, HEADER_BYTES, this.#header, VersionsWords, loading),
      keep,
    );
    return this;
  }

  /**
   * Attaches to the publication, or creates it if there is none: of all processes that do so at once, one creates it, and
   * {@linkcode SharedMemoryVersions.isCreator} tells which one. A creator that is killed leaves nothing in the way of the
   * others. The creator need not be the writer: who writes first is.
   *
   * @param options those of `create()`, which count for the one that creates it, and those of `load()`
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind or unknown, or there is a segment that is not that of versions
   * @throws {RangeError} if an option is out of range, the name is that of an anonymous segment, or there is
   * a publication of another shape or dtype
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`), or there is no descriptor (`EMFILE`) or address space
   * (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example A writer and a reader, which start in any order
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("table");
   * using reader = new SharedMemoryVersions(8, "int64", name).createOrLoad({ keep: 2 });
   * using writer = new SharedMemoryVersions(8, "int64", name).createOrLoad();
   * assertEquals([reader.isCreator, writer.isCreator], [true, false]);
   * await writer.publish((next) => next.fill(1n));
   * assertEquals(reader.current()!.array.get(0), 1n);
   * writer.unlink();
   * ```
   */
  createOrLoad(options?: VersionsCreateOrLoadOptions): this {
    const { keep, ...rest } = readOptions(options, {
      mode: "any",
      reserve: "any",
      describe: "any",
      timeout: "any",
      access: "any",
      keep: "number",
    }, "create or load");
    const { creation, loading } = checkCreateOrLoadOptions(rest);
    checkKeep(keep, "create or load");
    checkDetached(this.#attachment?.publication, "create or load", this.name);
    this.#attach(
      Publication.createOrLoad(
        this.name,
        HEADER_BYTES,
        this.#header,
        VersionsWords,
        creation,
        () => descriptionOf(this),
        loading,
      ),
      keep,
    );
    return this;
  }

  /**
   * Whether this instance has made the segment that it is attached to, and not found it; `null` while it is not
   * attached.
   */
  get isCreator(): boolean | null {
    const publication = this.#attachment?.publication;
    return publication?.isOpen ? publication.isCreator : null;
  }

  /**
   * Gives up the attachment, all versions that this instance attached, and the right to publish; without an
   * attachment, does nothing. Their views are empty from then on. A version that is being filled is removed.
   * Waits of this instance are rejected with `Deno.errors.BadResource`. The current version and the names stay.
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
    const { publication, versions } = attachment;
    attachment.current = null;
    try {
      discard(attachment);
    } finally {
      // A writer whose publication was removed leaves no version: nobody else would remove it.
      if (publication.isWriter && !publication.isNamed) this.#removeAll(attachment);
      versions.closeAll();
      publication.close();
    }
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Gives up the versions that this instance attached, except the newest ones and those that are held: views of
   * older ones are empty from then on, and their memory and address space are given back at once. Without it
   * they go by and by, as the options of `create()` and `load()` say.
   *
   * @param keep how many of the versions that this instance attached stay; by default 1, the newest
   * @throws {TypeError} if `keep` is no number
   * @throws {RangeError} if it is no whole number from 1
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example No more than the newest
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
    this.#attached("use").versions.closeOlder(keep);
  }

  /**
   * Removes all names of the publication: its own, that of the current version, and those of what a killed
   * writer left. Processes that are attached keep their versions. A writer can publish no more, and readers
   * that wait get `Deno.errors.NotFound`. An instance that is not attached removes whatever publication has the
   * name.
   *
   * @returns `false` if the publication's own name was gone already, or leads to another publication than the
   * one that this instance is attached to; that one stays
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
    const publication = this.#attachment?.publication;
    return publication?.isOpen
      ? unlinkAttached(this.name, publication.identity)
      : unlinkWithParts(this.name, new Map()).includes(this.name);
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
      cloneDescriptor<VersionsDescriptor<U>>(KIND, versions, override),
    );
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`, `structuredClone`,
   * JSON or another instance. The result is not attached.
   *
   * @param descriptor plain data with `shape`, `dtype` and `name`; what else it holds is not looked at
   * @param dtype what the element type must be; the compiler then knows it, whatever it knows of the descriptor
   * @returns a new instance
   * @throws {TypeError} if it is no object, that of another kind, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong, or the element type is another one than `dtype`
   *
   * @example Through JSON, as another process receives it
   * ```ts
   * import { SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const line = '{"shape":[2],"dtype":"<f4","name":"table"}';
   * assertEquals(SharedMemoryVersions.from(JSON.parse(line), "float32").dtype, "float32");
   * ```
   */
  static from<const T extends DTypeLike>(
    descriptor: VersionsDescriptor,
    dtype: T,
  ): SharedMemoryVersions<DTypeOf<T>>;
  /**
   * Makes an instance from a description that came from elsewhere. The compiler takes the element type from the
   * type of the descriptor. It knows nothing of a descriptor that `JSON.parse()` made.
   *
   * @param descriptor plain data with `shape`, `dtype` and `name`
   * @returns a new instance, which is not attached
   * @throws {TypeError} if it is no object, that of another kind, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong
   */
  static from<const D extends VersionsDescriptor>(
    descriptor: D,
  ): SharedMemoryVersions<0 extends 1 & D["dtype"] ? DType : DTypeOf<D["dtype"]>>;
  static from(descriptor: VersionsDescriptor, dtype?: DTypeLike): SharedMemoryVersions {
    return checkDType(KIND, construct(checkPublication(KIND, descriptor)), dtype);
  }

  /**
   * Makes a new version: a segment of its own, zero-filled, is filled, becomes the current version, and the
   * readers that wait are woken; the name of the version before is removed. This makes the instance the
   * writer, until it is closed.
   *
   * If it fails, nothing changes and nothing is left; once the version is current, nothing fails any more. A
   * version that is filled without a promise is published when this returns. The writer keeps no version but
   * the current one, and those that its own {@linkcode SharedMemoryVersions.current} gave out.
   *
   * @param fill fills the array, and is done when it returns, or when the promise that it returns is fulfilled;
   * it gets the number of the version. The view is closed then: `current()` gives one that can be read
   * @returns a promise of the version's number: the first is 1, and each is one more than the one before, but
   * where another user has the name that goes with it. It is rejected with what `fill` threw, and with
   * - `TypeError` if `fill` is no function,
   * - `Deno.errors.Busy` if another instance is the writer, or this one is filling a version already,
   * - `Deno.errors.NotFound` if the publication was removed,
   * - `Deno.errors.BrokenPipe` if it was ended,
   * - `Deno.errors.PermissionDenied` if this instance was loaded copy-on-write,
   * - `Deno.errors.BadResource` if this instance is not attached or was closed meanwhile,
   * - `Deno.errors.InvalidData` if what stands in the segment cannot be,
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
    fill: (next: NDArray<DTypeOf<T>, RankOf<S>>, version: number) => unknown,
  ): Promise<number> {
    if (typeof fill !== "function") {
      throw new TypeError(
        `Cannot publish: it takes a function that fills the next version, not ${kindOf(fill)}`,
      );
    }
    needStack(UNFAMILIAR_FRAMES); // What is begun here must be taken back at any depth.
    const attachment = this.#attached("publish to");
    const { publication } = attachment;
    this.#checkIdle(attachment, "publish to");
    this.#claim(attachment);
    const before = publication.words.newest;
    const { version, part } = this.#make(attachment);
    attachment.making = part;
    let again: Part<T, S> | null;
    let timestamp: number;
    try {
      this.#checkNamed(attachment);
      const result: unknown = fill(part.array as NDArray<DTypeOf<T>, RankOf<S>>, version);
      // Without a promise there is nothing to wait for.
      if (isThenable(result)) await result;
      this.#checkStill(attachment, "publish to");
      this.#checkNamed(attachment);
      again = this.#loadOwn(attachment, version);
      publication.words.storeTime(version, timestamp = timestampNow());
    } catch (error) {
      discard(attachment);
      throw error;
    }
    attachment.making = null;
    publication.words.storeNewest(version);
    // The version is current now, whatever happens: no later step may make the promise fail.
    for (
      const step of [
        () => publication.wake(), // readers look again by themselves within a quarter of a second
        () => closeFilled(part, version, this.name), // the view is garbage some time
        () => again === null || this.#take(attachment, version, timestamp, again), // current() attaches it then
        // In a sticky /dev/shm the version before is another user's; unlink() and the next writer remove it.
        () => before > 0 && unlinkIfPermitted(partName(this.name, attachment.id, before)),
      ]
    ) {
      try {
        step();
      } catch {
        // Beside each step stands what makes up for its failure.
      }
    }
    return version;
  }

  /**
   * Says that no more versions come: readers that wait get an {@linkcode EndedError} when they have read the
   * last one, which stays the current one. Only the writer can say so, and this makes the instance the writer,
   * as {@linkcode SharedMemoryVersions.publish} does. Nobody can publish after it; the second time does nothing.
   *
   * @throws {Deno.errors.Busy} if another instance is the writer, or this one is filling a version
   * @throws {Deno.errors.NotFound} if the publication was removed
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example The last version
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { EndedError, SharedMemoryVersions } from "@shm/array/publish";
   * import { assertEquals, assertRejects, assertThrows } from "@std/assert";
   *
   * using table = new SharedMemoryVersions(8, "int8", SharedMemoryArray.buildSmaName("table"));
   * table.create();
   * await table.publish((next) => next.fill(1));
   * table.end();
   * assertEquals(table.changed().version, 1);
   * assertThrows(() => table.changed(), EndedError);
   * await assertRejects(() => table.publish(() => {}), Deno.errors.BrokenPipe);
   * table.unlink();
   * ```
   */
  end(): void {
    const attachment = this.#attached("end");
    this.#checkIdle(attachment, "end");
    attachment.publication.end();
  }

  /**
   * Whether the writer has said that no more versions come. The last one can still be read.
   *
   * @throws {Deno.errors.BadResource} if this instance is not attached
   */
  get isEnded(): boolean {
    return this.#attached("look at").publication.words.isEnded;
  }

  /**
   * Gives the newest complete version, and does not wait. It attaches anew only if there is a newer one than
   * last time, so that it can be called for every question that is answered.
   *
   * @returns the version; the very same object again if there is no newer one; `null` before the first
   * @throws {Deno.errors.BadResource} if this instance is not attached
   * @throws {Deno.errors.NotFound} if the publication was removed before the newest version was attached, and
   * also a quarter of a second after it was removed, though that version is attached: it may be outdated
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
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
   * const { version, timestamp, array } = table.current()!;
   * await table.publish((next) => next.fill(4));
   * assertEquals([version, array.get(0) + array.get(1)], [1, 6]);
   * assertEquals(Date.now() - timestamp < 60_000, true); // in milliseconds: so old is the answer
   * table.unlink();
   * ```
   */
  current(): Version<DTypeOf<T>, RankOf<S>> | null {
    const attachment = this.#attached("read from");
    const { publication, current } = attachment;
    const { words } = publication;
    if (current === null ? words.newest > 0 : !words.isNewest(current.version)) {
      return this.#give(attachment);
    }
    publication.checkNamedLately("read from");
    if (current !== null && attachment.given !== current.version) this.#markGiven(attachment);
    return current;
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
   * @throws {EndedError} if the writer has ended the publication, and the last version was given out
   * @throws {Deno.errors.NotFound} if the publication was removed, and the newest version was given out or is
   * gone
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
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
    attachment.publication.awaitNewer(attachment.given, timeout);
    return this.#give(attachment);
  }

  /**
   * Gives the newest complete version when it is another one than this instance gave out last, without
   * blocking.
   *
   * @param options the time limit, and a signal that gives the waiting up
   * @returns a promise of the version. It is rejected with a `DOMException` named "TimeoutError" if time was
   * up, with the signal's reason, with an {@linkcode EndedError}, `Deno.errors.NotFound` or `InvalidData` as
   * {@linkcode SharedMemoryVersions.changed} throws them, with `Deno.errors.BadResource` if this instance is
   * not attached or was closed meanwhile, and where an option is wrong
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
    await attachment.publication.awaitNewerAsync(attachment.given, timeout, signal);
    this.#checkStill(attachment, "wait for");
    return this.#give(attachment);
  }

  /** One line that says which publication this is. */
  toString(): string {
    return `SharedMemoryVersions ${quoteName(this.name)} [${this.shape.join(", ")}] ${this.dtype}`;
  }

  static {
    markClass(this.prototype, KIND.what);
    // `console.log` may show the prototype itself, too.
    showAs(
      this.prototype,
      (versions) =>
        #header in versions ? { ...versions, attached: versions.#attachment !== null } : {},
    );
  }

  /**
   * Only instances have this private method. So a call of it throws if `this` is none, and proves that the name
   * was checked.
   */
  #checkBrand(): void {}

  #attach(publication: Publication<VersionsWords>, keep = KEEP): void {
    const mostBytes = (segmentSpace()?.byteLength ?? Infinity) * MOST_SHARE;
    this.#attachment = {
      publication,
      id: publication.words.id,
      versions: new AttachedVersions(this.name, keep, mostBytes),
      current: null,
      handle: null,
      given: 0,
      making: null,
      isSwept: false,
    };
  }

  #attached(action: string): Attachment<T, S> {
    return checkAttached(this.#attachment, action, this.name);
  }

  /** Throws if this instance was closed meanwhile, or attached anew. */
  #checkStill(attachment: Attachment<T, S>, action: string): void {
    if (this.#attached(action) !== attachment) throw closedError(this, action);
  }

  /** Throws if a version is being filled by this instance. */
  #checkIdle({ making }: Attachment<T, S>, action: string): void {
    if (making === null) return;
    throw busy(
      `Cannot ${action} ${quoteName(this.name)}: this instance is filling a version already`,
    );
  }

  /** Looks whether the publication was removed: then nobody would remove a version any more. */
  #checkNamed(attachment: Attachment<T, S>): void {
    const { publication } = attachment;
    try {
      publication.checkNamed("publish to");
    } catch (error) {
      if (publication.isWriter) this.#removeAll(attachment);
      throw error;
    }
  }

  /** Makes this the writer, and removes what a killed writer may have left beside the current version. */
  #claim(attachment: Attachment<T, S>): void {
    const { publication, id } = attachment;
    this.#checkNamed(attachment);
    publication.claim("publish to");
    if (attachment.isSwept) return;
    sweepParts(this.name, id, publication.words.newest);
    attachment.isSwept = true;
  }

  /** Removes all versions of a publication that was removed itself. */
  #removeAll({ id }: Attachment<T, S>): void {
    try {
      removeParts(this.name, id);
    } catch {
      // A version that the system refuses to remove or to list stays for prune(). The caller is about to throw
      // an error that says more.
    }
  }

  /** Describes the array of a version. */
  #part(id: bigint, version: number): Part<T, S> {
    const { shape, dtype, name } = this;
    return new SharedMemoryArray(shape, dtype, partName(name, id, version)) as unknown as Part<
      T,
      S
    >;
  }

  /** Makes the segment of the next version. */
  #make(attachment: Attachment<T, S>): { version: number; part: Part<T, S> } {
    const { id, publication } = attachment;
    const { words: { options, next }, isDescribed } = publication;
    let version = next;
    for (let tries = 1;; tries++) {
      const part = this.#part(id, version);
      try {
        withRoom(attachment, () => part.create({ ...options, describe: isDescribed }));
        return { version, part };
      } catch (error) {
        if (!(error instanceof errors.AlreadyExists) || tries > MOST_TAKEN) throw error;
        // It bears the own id, so a killed writer left it, and this is the only writer. Where another user made
        // it, in a sticky /dev/shm, it stays, and the next number is taken.
        if (!unlinkIfPermitted(part.name)) version++;
      }
    }
  }

  /** Attaches the version once more, for the writer's own `current()`: the filler's view will be closed. */
  #loadOwn(attachment: Attachment<T, S>, version: number): Part<T, S> | null {
    const part = this.#part(attachment.id, version);
    try {
      withRoom(attachment, () => part.load());
      return part;
    } catch (error) {
      if (isNoRoom(error)) return null; // current() tries again, and throws then.
      throw error;
    }
  }

  /** Gives the newest version out, attached. */
  #give(attachment: Attachment<T, S>): Version<DTypeOf<T>, RankOf<S>> {
    const { publication, id } = attachment;
    const { words } = publication;
    for (let replaced = 0; replaced < MOST_REPLACED; replaced++) {
      const { newest } = words;
      if (attachment.current?.version !== newest) {
        const timestamp = words.timeOf(newest);
        if (timestamp === null && !words.isNewest(newest)) continue;
        const part = this.#part(id, newest);
        const { access } = publication;
        try {
          // The header has said the dtype and the bytes: a reader may have them in another shape than the writer.
          withRoom(attachment, () => part.load({ reinterpret: true, access }));
        } catch (error) {
          // The name of a version is removed when there is a newer one.
          if (error instanceof errors.NotFound && !words.isNewest(newest)) continue;
          throw this.#attachError(publication, newest, error);
        }
        this.#take(attachment, newest, timestamp ?? NaN, part);
      }
      return this.#markGiven(attachment);
    }
    throw invalidData(
      `Cannot attach to a version of ${
        quoteName(this.name)
      }: ${MOST_REPLACED} numbers of versions were ` +
        "read one after another, and none of these is there; the segment is damaged",
    );
  }

  /** Notes that the newest version that this instance attached is given out. */
  #markGiven(attachment: Attachment<T, S>): Version<DTypeOf<T>, RankOf<S>> {
    attachment.handle!.give();
    attachment.given = attachment.current!.version;
    return attachment.current!;
  }

  /** The error for a version that cannot be attached although it is still the newest. */
  #attachError(publication: Publication<VersionsWords>, version: number, cause: unknown): unknown {
    const what = `Cannot attach to version ${version} of ${quoteName(this.name)}: `;
    if (cause instanceof errors.NotFound) {
      return publication.isNamed
        ? invalidData(
          `${what}the publication says that it is the newest, and it is not there; it was removed by ` +
            "hand, or the segment is damaged",
          cause,
        )
        : notFound(`${what}it was removed, as the publication was`, cause);
    }
    if (cause instanceof RangeError) {
      return invalidData(`${what}its segment has not the size of one; it is damaged`, cause);
    }
    return cause;
  }

  /** Makes an attached version the newest one of this instance. */
  #take(
    attachment: Attachment<T, S>,
    version: number,
    timestamp: number,
    part: Part<T, S>,
  ): void {
    const array = part.array as NDArray<DTypeOf<T>, RankOf<S>>;
    const { buffer } = array.data as { buffer: ArrayBuffer };
    const handle = attachment.versions.add(version, buffer, part);
    attachment.handle = handle;
    attachment.current = new GivenVersion(version, timestamp, array, handle.hold);
  }
}
showCallers(SharedMemoryVersions);

/** Closes the view that a filler had, so that nobody writes to a version that is current. */
function closeFilled(part: SharedMemoryArray, version: number, name: string): void {
  const { buffer } = part.array!.data;
  explainGone(
    buffer,
    `Cannot use this array: it was filled, and is version ${version} of ${quoteName(name)} ` +
      "now; current() gives " +
      "an array to read from",
  );
  part.close();
}

/** Gives up the version that is being filled, and removes it. */
function discard<T extends DTypeLike, S extends Shape>(attachment: Attachment<T, S>): void {
  const part = attachment.making;
  if (part === null) return;
  attachment.making = null;
  undoCreate(part.smh!);
}

function isNoRoom(error: unknown): boolean {
  return error instanceof Error && NO_ROOM.includes((error as { code?: unknown }).code);
}

/** Does a step, and where the system has no room for it, gives up what can be given up and tries once more. */
function withRoom<T extends DTypeLike, S extends Shape>(
  { versions }: Attachment<T, S>,
  step: () => void,
): void {
  try {
    step();
  } catch (error) {
    if (!isNoRoom(error)) throw error;
    versions.giveUp();
    step();
  }
}

function checkKeep(keep: number | undefined, action: string): void {
  if (keep === undefined) return;
  checkInteger(keep, action, "keep");
  if (keep < 0) throw new RangeError(`Cannot ${action}: keep must be 0 or more, not ${keep}`);
}

function construct<T extends DTypeLike>(
  { shape, dtype, name }: VersionsDescriptor<T>,
): SharedMemoryVersions<DTypeOf<T>> {
  return new SharedMemoryVersions(shape, dtype, name) as unknown as SharedMemoryVersions<
    DTypeOf<T>
  >;
}
