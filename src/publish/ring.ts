/**
 * A ring of frames in one segment.
 *
 * @module
 */

import { checkInteger, isThenable, kindOf, markClass, quoteName, readOptions } from "../check.ts";
import {
  type DType,
  type DTypeLike,
  type DTypeOf,
  type TypedArrayOf,
  typedArrayOf,
} from "../dtype.ts";
import { busy, fromCaller, invalidData, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
import { type Json, jsonTextOf, parseJsonText } from "../json_text.ts";
import {
  type AssignSource,
  checkShape,
  contiguousLayout,
  makeView,
  type NDArray,
  type RankOf,
  readSource,
  type Shape,
  storeSource,
} from "../ndarray/mod.ts";
import {
  checkLocksSegments,
  cloneDescriptor,
  type CreateOptions,
  defineDescription,
  descriptionOf,
  unlink,
} from "../segment/mod.ts";
import { timestampNow } from "../sync/event_count.ts";
import {
  checkArrays,
  checkCreateOrLoadOptions,
  checkDType,
  checkLoadOptions,
  checkPublication,
  checkWaitOptions,
  type PublicationDescriptor,
} from "./descriptor.ts";
import type { Header } from "./header_words.ts";
import {
  checkAttached,
  checkDetached,
  closedError,
  type CreateOrLoadOptions,
  EndedError,
  type LoadOptions,
  Publication,
  type WaitAsyncOptions,
  type WaitOptions,
} from "./publication.ts";
import {
  FrameWords,
  ringBytes,
  ringHeader,
  RingWords,
  slotOf,
  slotStart,
  type Stamp,
} from "./ring_words.ts";

/** A ring as plain data, as `structuredClone`, `postMessage` and JSON make it. */
export interface RingDescriptor<T extends DTypeLike = DTypeLike> extends PublicationDescriptor<T> {
  /** Tells a ring from other kinds; may be left out in a description made by hand. */
  readonly kind?: "ring";
  /** How many frames the ring holds. */
  readonly slots: number;
  /** The most bytes of the JSON text beside a frame; by default 0. */
  readonly metaBytes?: number;
}

/** What a ring is like. */
export interface RingOptions {
  /**
   * The most bytes of the text beside a frame, which is JSON in UTF-8; by default 0, which is room for none. It takes
   * so much of each slot.
   */
  metaBytes?: number;
}

/** How an anonymous ring is made. */
export interface AnonymousRingOptions extends RingOptions, CreateOptions {}

/** How long {@linkcode SharedMemoryRing.frames} goes on. */
export interface FramesOptions {
  /** Ends the frames: the loop over them throws the signal's reason. */
  signal?: AbortSignal;
}

/** The parts of a ring's description. */
const KIND = {
  kind: "ring",
  what: "SharedMemoryRing",
  parts: ["shape", "dtype", "name", "slots"],
  optional: ["metaBytes"],
} as const;

/** The most bytes that there can be for the text beside a frame: a text is read as a whole. */
const MOST_META = 2 ** 30;

/** How many frames may be overwritten while what stands beside them is read, one after another. */
const MOST_OVERWRITTEN = 1000;

/** Proves that a frame is made by this file. */
const KEY = Symbol();

/**
 * A frame of a ring as a reader gets it. Its elements are not copied, and the writer overwrites them some time.
 * `sequence`, `skipped`, `timestamp` and `meta` were read when the frame was given out, while it was whole, and stay
 * what they are.
 *
 * @example Use it, then ask whether it was whole all the time
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryRing } from "@shm/array/publish";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using ring = new SharedMemoryRing([2, 2], "uint8", SharedMemoryArray.buildSmaName("ring"), 3);
 * ring.create();
 * ring.write([[1, 2], [3, 4]]);
 * const frame = ring.latest()!;
 * let sum = 0;
 * for (const pixel of frame.array) sum += pixel;
 * assert(frame.isWhole()); // otherwise the sum is of no use
 * assertEquals(sum, 10);
 * ring.unlink();
 * ```
 */
export class Frame<T extends DType = DType, R extends number = number> {
  /** The number of the frame: the first one that was ever written is 1. */
  readonly sequence: number;
  /** How many frames the reader missed: those between the last one that it got and this one. */
  readonly skipped: number;
  /**
   * The elements, in the ring itself: not copied. Readers must not write to them. Its `data` begins where the
   * frame does, so its `offset` is 0, and counts from there and not from the beginning of the segment:
   * {@linkcode Frame.byteOffset} does that.
   */
  readonly array: NDArray<T, R>;
  readonly #publication: Publication<RingWords>;
  readonly #slots: number;
  readonly #timestamp: number;
  /** The text beside the frame, until it was read as JSON. */
  #text: Uint8Array | null;
  // deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
  #meta: any = null;

  /**
   * Not for callers: a {@linkcode SharedMemoryRing} makes frames.
   *
   * @throws {TypeError} always, for callers
   */
  constructor(key: unknown, ...parts: unknown[]) {
    if (key !== KEY) {
      throw new TypeError("Cannot construct Frame: use latest() or next() of a SharedMemoryRing");
    }
    const [sequence, skipped, { timestamp, text }, array, publication, slots] = parts as [
      number,
      number,
      Stamp,
      NDArray<T, R>,
      Publication<RingWords>,
      number,
    ];
    this.sequence = sequence;
    this.skipped = skipped;
    this.#timestamp = timestamp;
    this.#text = text;
    this.array = array;
    this.#publication = publication;
    this.#slots = slots;
  }

  /**
   * When the frame was published, in milliseconds of the Unix epoch, with a fraction, by the clock that all processes
   * of the machine read. `Date.now() - timestamp` is how old it is; where the clock was set back meanwhile, that is
   * negative.
   */
  get timestamp(): number {
    return this.#timestamp;
  }

  /**
   * What the writer gave with the frame; `null` if it gave nothing. It is this frame's, also after the frame was
   * overwritten. It is read as JSON when it is asked for first; then it is always the same object.
   *
   * @throws {Deno.errors.InvalidData} if it is no JSON, because somebody has written over the segment
   *
   * @example A position for each picture
   * ```ts
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = SharedMemoryRing.createAnonymous([270, 480], "uint8", 4, { metaBytes: 100 });
   * ring.write((slot) => slot.fill(7), { latitude: 43.56, longitude: 1.48 });
   * const frame = ring.latest()!;
   * assertEquals(frame.meta.latitude, 43.56);
   * const age = Date.now() - frame.timestamp; // in milliseconds
   * assertEquals(age < 60_000, true);
   * ```
   */
  // deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
  get meta(): any {
    if (this.#text !== null) {
      const text = (decoder ??= new TextDecoder()).decode(this.#text);
      this.#meta = parseJsonText(
        text,
        this.#publication.name,
        `the meta of frame ${this.sequence}`,
      );
      this.#text = null;
    }
    return this.#meta;
  }

  /**
   * Where the frame begins in the segment, in bytes. Another process needs it if this one tells it which frame
   * to use, and if it maps the segment by itself.
   */
  get byteOffset(): number {
    if (!this.#publication.isOpen) throw closedError(this.#publication, "look at a frame of");
    return this.array.data.byteOffset;
  }

  /**
   * Tells whether the elements are still those of this frame. Ask after you have used them: if it is so
   * then, it was so all the time.
   *
   * @returns `false` once the writer has begun to overwrite the frame
   * @throws {Deno.errors.BadResource} if the ring was closed
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   *
   * @example A reader that was too slow
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing([4], "uint8", SharedMemoryArray.buildSmaName("ring"), 2);
   * ring.create();
   * ring.write(1);
   * const frame = ring.latest()!;
   * ring.write(2);
   * assertEquals(frame.isWhole(), true);
   * ring.write(3); // into the slot of frame 1
   * assertEquals(frame.isWhole(), false);
   * ring.unlink();
   * ```
   */
  isWhole(): boolean {
    if (!this.#publication.isOpen) throw closedError(this.#publication, "look at a frame of");
    return this.#publication.words.isWhole(this.sequence, this.#slots);
  }

  /**
   * Copies the elements, in C order, to the heap. Into memory that you have already it is faster by a factor
   * of three: `mine.set(frame.array.data)`, and then ask {@linkcode Frame.isWhole}.
   *
   * @returns a typed array that shares nothing; `null` if the frame was overwritten before it was copied
   * @throws {Deno.errors.BadResource} if the ring was closed
   *
   * @example Keep a frame
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing([3], "float32", SharedMemoryArray.buildSmaName("ring"), 2);
   * ring.create();
   * ring.write([1, 2, 3]);
   * assertEquals(ring.latest()!.copy(), new Float32Array([1, 2, 3]));
   * ring.unlink();
   * ```
   */
  copy(): TypedArrayOf<T> | null {
    if (!this.isWhole()) return null;
    const copy = this.array.copy();
    return this.isWhole() ? copy as TypedArrayOf<T> : null;
  }

  static {
    showAs(
      this.prototype,
      (frame) => #slots in frame ? { sequence: frame.sequence, skipped: frame.skipped } : {},
    );
  }
}
showCallers(Frame);

// Made at the first use: a bare engine, in which the package can be imported, too, has none.
let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;

/**
 * A function that fills the slot of a frame, and gets the frame's number. The slot holds old elements, and must
 * be filled when the function returns.
 */
export type FrameFiller<T extends DType, R extends number> = (
  slot: NDArray<T, R>,
  sequence: number,
) => void;

/** The parts of an instance that is attached. */
interface Attachment<D extends DType, R extends number> {
  readonly publication: Publication<RingWords>;
  /** The slots, as far as they were used. */
  readonly slots: Slot<D, R>[];
  /** The number of the newest frame when the instance attached. */
  readonly joined: number;
  /** The number of the frame that was given out last; `null` before the first. */
  last: number | null;
  /** What stands beside that one. */
  stamp: Stamp | null;
  isWriting: boolean;
}

/** A slot, as an instance uses it again and again. */
interface Slot<D extends DType, R extends number> {
  readonly view: NDArray<D, R>;
  readonly words: FrameWords;
}

/**
 * Frames of one shape that one process writes and any number of others read, with no copy: a camera and its
 * viewers. The frames lie in one segment, and the writer overwrites the oldest. It waits for nobody.
 *
 * The first instance that writes is the writer until it is closed or its process ends; then another one may
 * write, and goes on with the numbers, also after one that was killed in the middle of a frame. Readers sleep
 * until there is something new. A reader that is too slow misses frames, and each frame says how many. Whether
 * a frame was overwritten while it was used, the reader asks by {@linkcode Frame.isWhole}; or it takes a
 * {@linkcode Frame.copy}.
 *
 * With each frame goes a time stamp, and what else the writer gives with it: a small JSON value, for which the ring
 * has `metaBytes` of room in each slot.
 *
 * An instance is a description that can be sent to other processes as plain data, `{ shape, dtype, name,
 * slots }` and `metaBytes` where it is not 0, and, between `create()` or `load()` and `close()`, an attachment. It
 * remembers which frame it gave out last. A register can list its name. A `Worker` that is terminated stays the writer until the
 * process ends.
 *
 * Linux only.
 *
 * @example One writer, one reader
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryRing } from "@shm/array/publish";
 * import { assertEquals } from "@std/assert";
 *
 * const name = SharedMemoryArray.buildSmaName("camera");
 * using camera = new SharedMemoryRing([1080, 1920, 3], "uint8", name, 4);
 * camera.create();
 *
 * // In another process, usually.
 * using viewer = SharedMemoryRing.from(JSON.parse(JSON.stringify(camera)));
 * viewer.load();
 *
 * camera.write((slot) => slot.fill(7)); // drawn in place: no copy
 * const frame = viewer.next();
 * assertEquals([frame.sequence, frame.skipped, frame.array.get(0, 0, 0)], [1, 0, 7]);
 * camera.unlink();
 * ```
 */
export class SharedMemoryRing<T extends DTypeLike = DType, const S extends Shape = Shape> {
  /** Tells a ring from other kinds. */
  declare readonly kind: "ring";
  /** The length of each axis of a frame in elements; frozen. */
  declare readonly shape: readonly number[];
  /** The canonical name of the element type. */
  declare readonly dtype: DTypeOf<T>;
  /** The segment's name, without a slash. */
  declare readonly name: string;
  /** How many frames the ring holds. */
  declare readonly slots: number;
  /** The most bytes of the JSON text beside a frame; not there if that is 0. */
  declare readonly metaBytes?: number;

  readonly #header: Header;
  #attachment: Attachment<DTypeOf<T>, RankOf<S>> | null = null;

  /**
   * Describes a ring. Nothing is created or attached.
   *
   * @param shape the lengths of a frame's axes in elements, all at least 1; a number means one axis
   * @param dtype the element type: a name (`"float32"`), a NumPy type string (`"<f4"`), or a typed array's
   * constructor (`Float32Array`)
   * @param name the segment's name: not empty, without "/" and NUL, at most 255 bytes
   * @param slots how many frames the ring holds, at least 2: one of them may be being overwritten. A
   * reader that always takes the newest frame has the time of `slots - 1` frames to use it.
   * @param options the room for the JSON text beside a frame, `metaBytes`: from 0, the default, to 2^30
   * @throws {TypeError} if an argument is of the wrong kind, or the dtype is none of the supported ones
   * @throws {RangeError} if a length, the number of slots or bytes, or the name is wrong
   *
   * @example Send it to another process
   * ```ts
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const ring = new SharedMemoryRing([270, 480], "uint8", "camera", 4);
   * assertEquals(
   *   JSON.stringify(ring),
   *   '{"kind":"ring","shape":[270,480],"dtype":"uint8","name":"camera","slots":4}',
   * );
   * ```
   */
  constructor(shape: S, dtype: T, name: string, slots: number, options?: RingOptions) {
    try {
      const { description, header } = checkRing(shape, dtype, name, slots, options);
      defineDescription(this, description);
      this.#header = header;
    } catch (error) {
      throw fromCaller(error, SharedMemoryRing);
    }
  }

  /**
   * Creates the ring's segment, without a frame, and attaches to it. If a step fails, what was made before
   * it is removed.
   *
   * @param options permission bits (a user that may not write to the segment cannot read frames either), and
   * whether to reserve the memory and to describe the ring
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
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing(8, "int16", SharedMemoryArray.buildSmaName("ring"), 2);
   * ring.create({ mode: 0o660 });
   * assertEquals(ring.latest(), null);
   * ring.unlink();
   * ```
   */
  create(options?: CreateOptions): this {
    checkDetached(this.#attachment?.publication, "create", this.name);
    const header = this.#header;
    const describe = () => descriptionOf(this);
    this.#attach(
      Publication.create(this.name, ringBytes(header), header, RingWords, options, describe),
    );
    return this;
  }

  /**
   * Attaches to the ring that another instance created.
   *
   * @param options how long to wait, blocking, for a ring that is not there yet; and `access: "copy-on-write"` for a
   * reader that has the permission to read only: it looks every 5 ms instead of being woken
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {TypeError} if the segment is not that of a ring; nothing was written to it
   * @throws {RangeError} if an option is out of range, or the ring is not one of this shape, dtype, number of slots and
   * `metaBytes`
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example A viewer that may start before the camera
   * ```ts
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertThrows } from "@std/assert";
   *
   * using ring = new SharedMemoryRing([270, 480], "uint8", "nobody-made-this", 4);
   * assertThrows(() => ring.load({ timeout: 20 }), Deno.errors.NotFound);
   * ```
   *
   * @example A viewer that may not write
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("camera");
   * using camera = new SharedMemoryRing([2, 2], "uint8", name, 3).create({ mode: 0o644 });
   * using viewer = SharedMemoryRing.from(JSON.parse(JSON.stringify(camera))); // of another user, say
   * viewer.load({ access: "copy-on-write" });
   * camera.write(7);
   * assertEquals(viewer.next().array.get(0, 0), 7);
   * camera.unlink();
   * ```
   */
  load(options?: LoadOptions): this {
    const loading = checkLoadOptions(options);
    checkDetached(this.#attachment?.publication, "load", this.name);
    const header = this.#header;
    this.#attach(Publication.load(this.name, ringBytes(header), header, RingWords, loading));
    return this;
  }

  /**
   * Attaches to the ring, or creates it if there is none: of all processes that do so at once, one creates it, and
   * {@linkcode SharedMemoryRing.isCreator} tells which one. A creator that is killed leaves nothing in the way of the
   * others. The creator need not be the writer: who writes first is.
   *
   * @param options those of `create()`, which count for the one that creates it, and those of `load()`
   * @returns this instance
   * @throws {TypeError} if an option is of the wrong kind or unknown, or there is a segment that is not that of a ring
   * @throws {RangeError} if an option is out of range, the name is that of an anonymous segment, or there is
   * a ring of another shape, dtype, number of slots or `metaBytes`
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`), or there is no descriptor (`EMFILE`) or address space
   * (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example A camera and its viewers, which start in any order
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("ring");
   * using viewer = new SharedMemoryRing([2, 2], "uint8", name, 3).createOrLoad();
   * using camera = new SharedMemoryRing([2, 2], "uint8", name, 3).createOrLoad();
   * assertEquals([viewer.isCreator, camera.isCreator], [true, false]);
   * camera.write(7);
   * assertEquals(viewer.next().array.get(0, 0), 7);
   * camera.unlink();
   * ```
   */
  createOrLoad(options?: CreateOrLoadOptions): this {
    const { creation, loading } = checkCreateOrLoadOptions(options);
    checkDetached(this.#attachment?.publication, "create or load", this.name);
    const header = this.#header;
    this.#attach(Publication.createOrLoad(
      this.name,
      ringBytes(header),
      header,
      RingWords,
      creation,
      () => descriptionOf(this),
      loading,
    ));
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
   * Creates a ring that has no name in `/dev/shm`: it is gone when the last process that has it ends. Others load it
   * by its name, as long as its creator lives and has not unlinked it. After that, who waits gets
   * `Deno.errors.NotFound` within a quarter of a second, when it has read what is there, and who writes at once.
   *
   * @param shape the lengths of a frame's axes in elements, all at least 1; a number means one axis
   * @param dtype the element type: a name, a NumPy type string, or a typed array's constructor
   * @param slots how many frames the ring holds, at least 2
   * @param options the room for the JSON text beside a frame, permission bits, whether to reserve the memory and to
   * describe the ring
   * @returns a new instance, which is attached
   * @throws {TypeError} if an argument is of the wrong kind, or the dtype is none of the supported ones
   * @throws {RangeError} if a length, the number of slots or bytes, or an option is wrong
   * @throws {Error} if there is no descriptor (`EMFILE`) or memory (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on other systems than Linux
   *
   * @example For the children of this process
   * ```ts
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using camera = SharedMemoryRing.createAnonymous([270, 480], "uint8", 4);
   * using viewer = SharedMemoryRing.from(JSON.parse(JSON.stringify(camera))).load();
   * camera.write(7);
   * assertEquals(viewer.next().array.get(0, 0), 7);
   * camera.unlink();
   * ```
   */
  static createAnonymous<const T extends DTypeLike, const S extends Shape>(
    shape: S,
    dtype: T,
    slots: number,
    options?: AnonymousRingOptions,
  ): SharedMemoryRing<T, S> {
    const { metaBytes, ...creation } = readOptions(options, {
      ...OPTIONS,
      mode: "number such as 0o600",
      reserve: "boolean",
      describe: "boolean",
    }, "make an anonymous ring");
    const unnamed = new SharedMemoryRing(shape, dtype, "ring", slots, { metaBytes });
    checkLocksSegments("create", "an anonymous ring", "publishing between processes is");
    const header = unnamed.#header;
    const describe = () => descriptionOf(unnamed);
    const publication = Publication.createAnonymous(
      ringBytes(header),
      header,
      RingWords,
      creation,
      describe,
    );
    const ring = new SharedMemoryRing(shape, dtype, publication.name, slots, { metaBytes });
    ring.#attach(publication);
    return ring;
  }

  /**
   * Gives up the attachment, and the right to write; without one, does nothing. Frames are empty from then on.
   * Waits of this instance are rejected with `Deno.errors.BadResource`. The segment and its name stay.
   *
   * @example The next one may write
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 2).create();
   * using next = SharedMemoryRing.clone(ring).load();
   * ring.write(1);
   * assertThrows(() => next.write(2), Deno.errors.Busy);
   * ring.close();
   * assertEquals(next.write(2), 2);
   * next.unlink();
   * ```
   */
  close(): void {
    this.#attachment?.publication.close();
    this.#attachment = null;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Removes the ring's name. No process can attach any more, and none can write. Readers that are attached read
   * what is there, and then get `Deno.errors.NotFound`. An instance that is not attached removes whatever ring
   * has the name. The name of an anonymous ring can be removed only in the process that made it.
   *
   * @returns `false` if the name was gone already, or leads to another segment than the one that this instance
   * is attached to; that one stays
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`), or to another process (an
   * anonymous ring)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example Remove it once
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 2);
   * ring.create();
   * assertEquals(ring.unlink(), true);
   * assertEquals(ring.unlink(), false);
   * ```
   */
  unlink(): boolean {
    this.#checkBrand();
    const publication = this.#attachment?.publication;
    return publication?.isOpen ? publication.unlink() : unlink(this.name);
  }

  /**
   * Describes another ring like a given one. The result is not attached, whatever the given one is.
   *
   * @param ring the ring to take the description from
   * @param override what is to differ
   * @returns a new instance
   * @throws {TypeError} if `ring` is no SharedMemoryRing, or a part of the override is of the wrong kind or
   * unknown
   * @throws {RangeError} if a part of the result is wrong
   *
   * @example A second attachment
   * ```ts
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const left = new SharedMemoryRing([270, 480], "uint8", "left-eye", 4);
   * assertEquals(SharedMemoryRing.clone(left, { name: "right-eye" }).slots, 4);
   * ```
   */
  static clone<T extends DTypeLike, U extends DTypeLike = DTypeOf<T>>(
    ring: SharedMemoryRing<T>,
    override?: Partial<RingDescriptor<U>>,
  ): SharedMemoryRing<DTypeOf<U>> {
    return construct(cloneDescriptor<RingDescriptor<U>>(KIND, ring, override));
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`, `structuredClone`,
   * JSON or another instance. The result is not attached.
   *
   * @param descriptor plain data with `shape`, `dtype`, `name` and `slots`, and `metaBytes` where it is not 0; what
   * else it holds is not looked at
   * @param dtype what the element type must be; the compiler then knows it, whatever it knows of the descriptor
   * @returns a new instance
   * @throws {TypeError} if it is no object, that of another kind, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong, or the element type is another one than `dtype`
   *
   * @example Through JSON, as another process receives it
   * ```ts
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * const line = '{"shape":[2],"dtype":"<f4","name":"camera","slots":3}';
   * assertEquals(SharedMemoryRing.from(JSON.parse(line), "float32").dtype, "float32");
   * ```
   */
  static from<const T extends DTypeLike>(
    descriptor: RingDescriptor,
    dtype: T,
  ): SharedMemoryRing<DTypeOf<T>>;
  /**
   * Makes an instance from a description that came from elsewhere. The compiler takes the element type from the
   * type of the descriptor. It knows nothing of a descriptor that `JSON.parse()` made.
   *
   * @param descriptor plain data with `shape`, `dtype`, `name` and `slots`, and `metaBytes` where it is not 0
   * @returns a new instance, which is not attached
   * @throws {TypeError} if it is no object, that of another kind, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong
   */
  static from<const D extends RingDescriptor>(
    descriptor: D,
  ): SharedMemoryRing<0 extends 1 & D["dtype"] ? DType : DTypeOf<D["dtype"]>>;
  static from(descriptor: RingDescriptor, dtype?: DTypeLike): SharedMemoryRing {
    return checkDType(KIND, construct(checkPublication(KIND, descriptor)), dtype);
  }

  /**
   * Writes a frame in the place of the oldest one, and wakes the readers that wait. This makes the instance
   * the writer, until it is closed.
   *
   * If the source is refused, nothing has happened. If the function throws, no reader sees anything of the
   * frame, and its number is that of the next one; what the slot held before is lost.
   *
   * @param source what is copied into the slot: a number, a typed array, nested arrays or a view, as `assign()`
   * takes it; or a function that fills the slot itself, which holds old elements and must be filled when it
   * returns; it gets the frame's number
   * @param meta what goes with the frame, a JSON value whose text fits into the ring's `metaBytes`; without it, readers
   * get `null`. It is written as JSON before the function is called.
   * @returns the frame's number, from 1
   * @throws {TypeError} if the source is of the wrong kind, the function returns a promise, or JSON cannot write `meta`
   * @throws {RangeError} if the source does not fit into the frame's shape, or the text of `meta` not into `metaBytes`
   * @throws {Deno.errors.PermissionDenied} if this instance was loaded copy-on-write
   * @throws {Deno.errors.Busy} if another instance is the writer, or if it is called by the function
   * @throws {Deno.errors.NotFound} if the ring's name was removed: nobody could find the frame (`ENOENT`)
   * @throws {Deno.errors.BrokenPipe} if the ring was ended (`EPIPE`)
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Copied, or drawn in place
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing([2, 2], "uint8", SharedMemoryArray.buildSmaName("ring"), 2);
   * ring.create();
   * assertEquals(ring.write(new Uint8Array([1, 2])), 1); // both rows
   * assertEquals(ring.write((slot) => slot.fill(3).set(0, 0, 4)), 2);
   * assertEquals(ring.latest()!.array.toArray(), [[4, 3], [3, 3]]);
   * ring.unlink();
   * ```
   */
  write(
    source: AssignSource<DTypeOf<T>> | FrameFiller<DTypeOf<T>, RankOf<S>>,
    meta?: Json,
  ): number {
    const attachment = this.#attached("write to");
    const { publication } = attachment;
    const { words } = publication;
    this.#checkIdle(attachment, "write to");
    // All slots are alike, so the first one serves for the check. A source that is refused costs no frame, and
    // does not make this the writer.
    const elements = typeof source === "function"
      ? null
      : readSource(this.#slot(attachment, 1).view, source);
    const text = meta === undefined ? null : this.#textOf(meta);
    this.#checkStill(attachment, "write to");
    publication.claim("write to");
    const sequence = words.next;
    words.begunAfter(sequence - 1);
    const { view, words: beside } = this.#slot(attachment, sequence);
    words.storeBegun(sequence);
    if (elements !== null) storeSource(view, elements);
    else this.#fill(attachment, view, sequence, source as FrameFiller<DTypeOf<T>, RankOf<S>>);
    beside.write(timestampNow(), text);
    publication.publish(sequence);
    return sequence;
  }

  /**
   * Says that no more frames come: loops over `frames()` finish, and readers that wait get an
   * {@linkcode EndedError}, when they have read what is there. Only the writer can say so, and this makes the
   * instance the writer, as {@linkcode SharedMemoryRing.write} does. Nobody can write to the ring after it;
   * the second time does nothing.
   *
   * @throws {Deno.errors.Busy} if another instance is the writer, or if it is called by the function that
   * fills a frame
   * @throws {Deno.errors.NotFound} if the ring's name was removed
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example A film, and its end
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 4);
   * ring.create();
   * for (const pixel of [5, 6, 7]) ring.write(pixel);
   * ring.end();
   * const seen: number[] = [];
   * for await (const frame of ring.frames()) seen.push(frame.array.get(0));
   * assertEquals(seen, [5, 6, 7]);
   * assertThrows(() => ring.write(8), Deno.errors.BrokenPipe);
   * ring.unlink();
   * ```
   */
  end(): void {
    const attachment = this.#attached("end");
    this.#checkIdle(attachment, "end");
    attachment.publication.end();
  }

  /**
   * Whether the writer has said that no more frames come. Those that are there can still be read.
   *
   * @throws {Deno.errors.BadResource} if this instance is not attached
   */
  get isEnded(): boolean {
    return this.#attached("look at").publication.words.isEnded;
  }

  /**
   * Gives the newest frame, and does not wait.
   *
   * @returns the frame; the same one again if there is no newer one; `null` before the first
   * @throws {Deno.errors.NotFound} if there is no newer one, and the ring's name was removed a quarter of a
   * second ago or earlier, unless the writer has ended it
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Only the newest counts
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 4);
   * ring.create();
   * assertEquals(ring.latest(), null);
   * for (const pixel of [1, 2, 3]) ring.write(pixel);
   * const { sequence, skipped } = ring.latest()!;
   * assertEquals([sequence, skipped], [3, 2]);
   * ring.unlink();
   * ```
   */
  latest(): Frame<DTypeOf<T>, RankOf<S>> | null {
    const attachment = this.#attached("read from");
    const { publication } = attachment;
    const { base } = startOf(attachment);
    const { newest } = publication.words;
    if (newest === 0) {
      publication.words.begunAfter(newest); // throws if the two numbers cannot stand beside each other
      publication.checkNamedLately("read from");
      return null;
    }
    if (newest !== attachment.last) return this.#give(attachment, newest, base, newest);
    publication.checkNamedLately("read from");
    return this.#frame(attachment, newest, base, attachment.stamp!);
  }

  /**
   * Gives the next frame, and blocks this thread until there is one.
   *
   * That is the frame after the last one that any method of this instance gave out; if none did, the first
   * frame of all. If that one is overwritten already, it is the newest: an older one would be overwritten
   * before it could be used. `skipped` says how many are left out; what was written before the instance
   * attached is not counted.
   *
   * The event loop stands still meanwhile; with a listener for `SIGINT`, Ctrl-C waits, too.
   *
   * @param after the number after which to go on, in the place of that of the last frame; 0 is before the
   * first frame
   * @param options the time limit
   * @returns the frame
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if `after` is no whole number from 0, or the time limit is negative or NaN
   * @throws {DOMException} named "TimeoutError" if time was up
   * @throws {EndedError} if the writer has ended the ring, and what is there has been read
   * @throws {Deno.errors.NotFound} if the ring's name was removed, and what is there has been read
   * @throws {Deno.errors.InvalidData} if what stands in the segment cannot be
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Every frame, and at most a second for each
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * using ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 4);
   * ring.create();
   * for (const pixel of [1, 2, 3]) ring.write(pixel);
   * assertEquals(ring.next().sequence, 1);
   * assertEquals(ring.next(undefined, { timeout: 1000 }).sequence, 2);
   * assertEquals(ring.next(2).sequence, 3);
   * assertThrows(() => ring.next(3, { timeout: 10 }), DOMException, "time is up");
   * ring.unlink();
   * ```
   */
  next(after?: number, options?: WaitOptions): Frame<DTypeOf<T>, RankOf<S>> {
    checkAfter(after);
    const { timeout } = checkWaitOptions(options, false);
    const attachment = this.#attached("wait for");
    const start = startOf(attachment, after);
    attachment.publication.awaitNewer(start.after, timeout);
    return this.#give(
      attachment,
      start.after + 1,
      start.base,
      attachment.publication.words.newest,
    );
  }

  /**
   * Gives the next frame when there is one, without blocking. {@linkcode SharedMemoryRing.next} says which one
   * that is.
   *
   * @param after the number after which to go on, in the place of that of the last frame; 0 is before the
   * first frame
   * @param options the time limit, and a signal that gives the waiting up
   * @returns a promise of the frame. It is rejected with a `DOMException` named "TimeoutError" if time was
   * up, with the signal's reason, with an {@linkcode EndedError}, `Deno.errors.NotFound` or `InvalidData` as
   * {@linkcode SharedMemoryRing.next} throws them, with `Deno.errors.BadResource` if this instance is not
   * attached or was closed meanwhile, and where an argument is wrong
   *
   * @example Not for ever
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 4);
   * ring.create();
   * const next = ring.nextAsync(undefined, { signal: AbortSignal.timeout(1000) });
   * ring.write(9); // usually in another process
   * assertEquals((await next).array.get(0), 9);
   * ring.unlink();
   * ```
   */
  async nextAsync(
    after?: number,
    options?: WaitAsyncOptions,
  ): Promise<Frame<DTypeOf<T>, RankOf<S>>> {
    checkAfter(after);
    const { timeout, signal } = checkWaitOptions(options, true);
    const attachment = this.#attached("wait for");
    const start = startOf(attachment, after);
    await attachment.publication.awaitNewerAsync(start.after, timeout, signal);
    this.#checkStill(attachment, "wait for");
    return this.#give(
      attachment,
      start.after + 1,
      start.base,
      attachment.publication.words.newest,
    );
  }

  /**
   * Goes through the frames as they come, for `for await`, until the writer ends the ring. It begins as
   * {@linkcode SharedMemoryRing.nextAsync} does, and goes its own way from then on: several loops over one
   * instance each have all frames.
   *
   * @param options a signal that ends the loop
   * @returns the frames; the loop throws the signal's reason, `Deno.errors.BadResource` if this instance is
   * closed, or `Deno.errors.NotFound` if the ring's name was removed and what was there has been read
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {Deno.errors.BadResource} if this instance is not attached
   *
   * @example Until the third
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { SharedMemoryRing } from "@shm/array/publish";
   * import { assertEquals } from "@std/assert";
   *
   * using ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 4);
   * ring.create();
   * for (const pixel of [5, 6, 7]) ring.write(pixel);
   * const seen: number[] = [];
   * for await (const frame of ring.frames()) {
   *   seen.push(frame.array.get(0));
   *   if (frame.sequence === 3) break;
   * }
   * assertEquals(seen, [5, 6, 7]);
   * ring.unlink();
   * ```
   */
  frames(options?: FramesOptions): AsyncGenerator<Frame<DTypeOf<T>, RankOf<S>>, void, void> {
    const { signal } = readOptions(options, { signal: "AbortSignal" }, "wait");
    this.#attached("wait for");
    return this.#frames(signal);
  }

  async *#frames(
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Frame<DTypeOf<T>, RankOf<S>>, void, void> {
    let after: number | undefined;
    while (true) {
      let frame: Frame<DTypeOf<T>, RankOf<S>>;
      try {
        frame = await this.nextAsync(after, { signal });
      } catch (error) {
        if (error instanceof EndedError) return;
        throw error;
      }
      after = frame.sequence;
      yield frame;
    }
  }

  /** One line that says which ring this is. */
  toString(): string {
    const { name, shape, dtype, slots } = this;
    return `SharedMemoryRing ${quoteName(name)} ${slots} × [${shape.join(", ")}] ${dtype}`;
  }

  static {
    markClass(this.prototype, KIND.what);
    // `console.log` may show the prototype itself, too.
    showAs(
      this.prototype,
      (ring) => #header in ring ? { ...ring, attached: ring.#attachment !== null } : {},
    );
  }

  /**
   * Only instances have this private method. So a call of it throws if `this` is none, and proves that the name
   * was checked.
   */
  #checkBrand(): void {}

  #attach(publication: Publication<RingWords>): void {
    const joined = publication.words.joined;
    this.#attachment = {
      publication,
      slots: [],
      joined,
      last: null,
      stamp: null,
      isWriting: false,
    };
  }

  #attached(action: string): Attachment<DTypeOf<T>, RankOf<S>> {
    return checkAttached(this.#attachment, action, this.name);
  }

  /** Throws if a frame is being written by this instance. */
  #checkIdle({ isWriting }: Attachment<DTypeOf<T>, RankOf<S>>, action: string): void {
    if (!isWriting) return;
    throw busy(
      `Cannot ${action} ${quoteName(this.name)}: this instance is in the middle of a frame`,
    );
  }

  /** Throws if this instance was closed meanwhile, or attached anew. */
  #checkStill(attachment: Attachment<DTypeOf<T>, RankOf<S>>, action: string): void {
    if (this.#attached(action) !== attachment) throw closedError(this, action);
  }

  /** Writes what goes with a frame as JSON. */
  #textOf(meta: Json): Uint8Array {
    const { metaBytes } = this.#header;
    const json = jsonTextOf(meta, "write to", this.name, "meta");
    const text = (encoder ??= new TextEncoder()).encode(json);
    if (text.length <= metaBytes) return text;
    throw new RangeError(
      `Cannot write to ${
        quoteName(this.name)
      }: as JSON the meta has ${text.length} bytes, and the ring has room for ${metaBytes}; ` +
        "its option metaBytes makes more",
    );
  }

  /** Lets a function fill a slot. */
  #fill(
    attachment: Attachment<DTypeOf<T>, RankOf<S>>,
    slot: NDArray<DTypeOf<T>, RankOf<S>>,
    sequence: number,
    fill: FrameFiller<DTypeOf<T>, RankOf<S>>,
  ): void {
    attachment.isWriting = true;
    try {
      if (isThenable(fill(slot, sequence))) {
        throw new TypeError(
          `Cannot write to ${
            quoteName(this.name)
          }: the function returned a promise, and a frame must be ` +
            "filled when it returns; await what it needs before write()",
        );
      }
    } finally {
      attachment.isWriting = false;
    }
    this.#checkStill(attachment, "write to");
  }

  /** The slot of a frame. */
  #slot(
    { publication, slots }: Attachment<DTypeOf<T>, RankOf<S>>,
    sequence: number,
  ): Slot<DTypeOf<T>, RankOf<S>> {
    const slot = slotOf(sequence, this.slots);
    return slots[slot] ??= this.#makeSlot(publication, slot);
  }

  #makeSlot(publication: Publication<RingWords>, slot: number): Slot<DTypeOf<T>, RankOf<S>> {
    const { shape, dtype, name } = this;
    const buffer = publication.buffer!;
    const layout = contiguousLayout(checkShape(shape));
    const start = slotStart(slot, this.#header);
    const data = new (typedArrayOf(dtype))(buffer, start, layout.size);
    const view = makeView(data, layout, dtype) as unknown as NDArray<DTypeOf<T>, RankOf<S>>;
    return { view, words: new FrameWords(name, buffer, slot, this.#header) };
  }

  /**
   * Gives out a frame, or the newest one where that is overwritten.
   *
   * @param sequence the frame's number, which is no more than that of the newest
   * @param base frames after this one count as missed
   * @param newest the number of the newest one
   */
  #give(
    attachment: Attachment<DTypeOf<T>, RankOf<S>>,
    sequence: number,
    base: number,
    newest: number,
  ): Frame<DTypeOf<T>, RankOf<S>> {
    const { words } = attachment.publication;
    let wanted = sequence;
    for (let overwritten = 0; overwritten < MOST_OVERWRITTEN; overwritten++) {
      const beside = this.#slot(attachment, wanted).words;
      const stamp = beside.read();
      if (words.isWhole(wanted, this.slots, newest)) {
        return this.#frame(attachment, wanted, base, beside.check(stamp));
      }
      wanted = newest = words.newest;
    }
    throw invalidData(
      `Cannot read from ${
        quoteName(this.name)
      }: ${MOST_OVERWRITTEN} frames were overwritten, one after another, while what stands beside them was read; ` +
        "give the ring more slots, or its frames less meta",
    );
  }

  #frame(
    attachment: Attachment<DTypeOf<T>, RankOf<S>>,
    sequence: number,
    base: number,
    stamp: Stamp,
  ): Frame<DTypeOf<T>, RankOf<S>> {
    attachment.last = sequence;
    attachment.stamp = stamp;
    const skipped = Math.max(0, sequence - base - 1);
    const { view } = this.#slot(attachment, sequence);
    return new Frame(KEY, sequence, skipped, stamp, view, attachment.publication, this.slots);
  }
}
showCallers(SharedMemoryRing);

/** Where a reader goes on. */
interface Start {
  /** The reader wants the frame after this one. */
  readonly after: number;
  /** Frames after this one count as missed if the reader does not get them. */
  readonly base: number;
}

function startOf(
  { last, joined }: { readonly last: number | null; readonly joined: number },
  after?: number,
): Start {
  if (after !== undefined) return { after, base: after };
  return { after: last ?? 0, base: last ?? joined };
}

function checkAfter(after: unknown): void {
  if (after === undefined) return;
  if (typeof after !== "number") {
    throw new TypeError(
      `Cannot wait: after must be the number of a frame, not ${kindOf(after)}; options come second`,
    );
  }
  if (!Number.isSafeInteger(after) || after < 0) {
    throw new RangeError(`Cannot wait: after must be a whole number from 0, not ${after}`);
  }
}

/** The options of a ring, for {@linkcode readOptions}. */
const OPTIONS = { metaBytes: "number of bytes" } as const;

/** Checks what a ring is to be like. */
function checkRing<T extends DTypeLike>(
  shape: Shape,
  dtype: T,
  name: string,
  slots: number,
  options: RingOptions | undefined,
): { description: object; header: Header } {
  const { description, arrays } = checkArrays(shape, dtype, name);
  checkInteger(slots, "make a ring", "slots");
  if (slots < 2 || slots >= 2 ** 32) {
    throw new RangeError(
      `Cannot make a ring: slots must be from 2 to 2^32 - 1, not ${slots}; one of them may be ` +
        "being overwritten",
    );
  }
  const { metaBytes = 0 } = readOptions(options, OPTIONS, "make a ring");
  checkInteger(metaBytes, "make a ring", "metaBytes");
  if (metaBytes < 0 || metaBytes > MOST_META) {
    throw new RangeError(`Cannot make a ring: metaBytes must be from 0 to 2^30, not ${metaBytes}`);
  }
  const header = ringHeader(arrays, slots, metaBytes);
  if (!Number.isSafeInteger(ringBytes(header))) {
    throw new RangeError(`Cannot make a ring: ${slots} slots have more than 2^53 - 1 bytes`);
  }
  const room = metaBytes === 0 ? {} : { metaBytes };
  return { description: { kind: KIND.kind, ...description, slots, ...room }, header };
}

function construct<T extends DTypeLike>(
  { shape, dtype, name, slots, metaBytes }: RingDescriptor<T>,
): SharedMemoryRing<DTypeOf<T>> {
  return new SharedMemoryRing(shape, dtype, name, slots, {
    metaBytes,
  }) as unknown as SharedMemoryRing<DTypeOf<T>>;
}
