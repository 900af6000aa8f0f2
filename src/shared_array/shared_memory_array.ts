/**
 * Named n-d arrays in shared memory.
 *
 * @module
 */

import {
  bytesPerElement,
  type DType,
  type DTypeLike,
  type DTypeOf,
  parseDType,
  typedArrayOf,
} from "../dtype.ts";
import { descriptorOf, failuresText, kindOf, listText, readOptions } from "../check.ts";
import { showAs } from "../inspect.ts";
import {
  checkShape,
  contiguousLayout,
  freezeSelection,
  identifyMemoryBy,
  type Layout,
  makeView,
  NDArray,
  type RankOf,
  type Shape,
  type SliceItem,
  sliceLayout,
} from "../ndarray/mod.ts";
import {
  buildName,
  checkName,
  checkPruneOptions,
  checkUsableName,
  type CreateOptions,
  findLeftovers,
  listSegments,
  madeNameMax,
  nameMax,
  type PruneOptions,
  type SegmentInfo,
  segmentOf,
  SharedMemory,
  undoCreate,
  unlink,
} from "../segment/mod.ts";

// Views know nothing of segments: here they learn how two attachments of one are told.
identifyMemoryBy(segmentOf);

/**
 * What an array is, as plain data: an instance's own properties, and what `structuredClone`,
 * `postMessage` and JSON make of it.
 */
export interface SharedMemoryDescriptor<T extends DTypeLike = DTypeLike> {
  /** The lengths of the axes in elements. */
  readonly shape: Shape;
  /** The element type, in any accepted spelling. */
  readonly dtype: T;
  /** The segment's name, without a slash. */
  readonly name: string;
  /** What `load()` takes of the array; `null` or left out for all of it. */
  readonly arraySlice?: readonly SliceItem[] | null;
}

/** The parts of a descriptor that {@linkcode SharedMemoryArray.clone} is to change. */
export type DescriptorOverride<T extends DTypeLike = DTypeLike> = Partial<
  SharedMemoryDescriptor<T>
>;

/**
 * An n-d array in a named shared-memory segment: one process creates it, any other on the machine
 * (Deno, Python with NumPy, C) attaches to it by name, and all see the same bytes with no copy.
 *
 * An instance is a description (shape, dtype, name, arraySlice) that can be sent to other processes as
 * plain data, and, between `create()` or `load()` and `close()`, an attachment. Constructing one
 * touches nothing. The segment belongs to nobody: it lives until its name is removed by `unlink()` and
 * the last process that maps it has closed it or ended.
 *
 * The API is that of the class of the same name in GRIDR (CNES).
 *
 * @example Two attachments of one array
 * ```ts
 * import { SharedMemoryArray, slice } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * const name = SharedMemoryArray.buildSmaName("heights");
 * using mine = new SharedMemoryArray([61, 87], "float32", name);
 * const heights = mine.create();
 * heights.set(10, 20, 142);
 *
 * // In another process, usually: the same name, and only rows 10 to 19.
 * using theirs = new SharedMemoryArray([61, 87], "float32", name, [slice(10, 20)]);
 * assertEquals(theirs.load().get(0, 20), 142);
 * mine.unlink();
 * ```
 *
 * @see {@link https://github.com/CNES/gridr | GRIDR}
 */
export class SharedMemoryArray<T extends DTypeLike = DType, const S extends Shape = Shape> {
  /** How many names {@linkcode SharedMemoryArray.buildSmaName} has made in this process. */
  static COUNTER = 0;

  /** The length of each axis in elements; frozen. */
  declare readonly shape: readonly number[];
  /** The canonical name of the element type. */
  declare readonly dtype: DTypeOf<T>;
  /** The segment's name, without a slash. */
  declare readonly name: string;
  /** What `load()` takes of the array, one item per axis; `null` for all of it. Frozen. */
  declare readonly arraySlice: readonly SliceItem[] | null;

  /** The checked name: unlike `name`, no object that is not an instance has it. */
  readonly #name: string;
  /** All of the array, in C order. */
  readonly #layout: Layout;
  readonly #byteLength: number;
  #smh: SharedMemory | null = null;
  #array: NDArray<DTypeOf<T>> | null = null;

  /**
   * Describes an array. Nothing is created or attached.
   *
   * @param shape the lengths of the axes in elements, all at least 1; a number means one axis, `[]` is
   * a 0-d array of one element
   * @param dtype the element type: a name (`"float32"`), a NumPy type string (`"<f4"`), or a typed
   * array's constructor (`Float32Array`)
   * @param name the segment's name: not empty, without "/" and NUL, at most 255 bytes (macOS: 30; with
   * glibc before 2.34: 253, which `create()` and `load()` check)
   * @param arraySlice what `load()` takes of the array, as in `view.slice(...arraySlice)`
   * @throws {TypeError} if an argument is of the wrong kind, or the dtype is none of the supported ones
   * @throws {RangeError} if a length, the number of bytes, the name or the slice is wrong
   *
   * @example A frame of 8-bit RGB
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const frame = new SharedMemoryArray([1080, 1920, 3], "uint8", "frame-0");
   * assertEquals(frame.array, null);
   * ```
   */
  constructor(
    shape: S,
    dtype: T,
    name: string,
    arraySlice?: readonly SliceItem[] | null,
  ) {
    const canonical = parseDType(dtype);
    typedArrayOf(canonical); // a runtime without Float16Array says so here, not after create()
    const layout = contiguousLayout(checkShape(shape));
    const byteLength = layout.size * bytesPerElement(canonical);
    if (byteLength === 0) {
      throw new RangeError(
        `Cannot share shape ${
          listText(layout.shape)
        }: it has no elements, and a segment cannot be empty`,
      );
    }
    if (!Number.isSafeInteger(byteLength)) {
      throw new RangeError(
        `Cannot share shape ${listText(layout.shape)} of ${canonical}: more than 2^53 - 1 bytes`,
      );
    }
    checkName(name, nameMax());
    let frozenSlice: readonly SliceItem[] | null = null;
    if (arraySlice !== undefined && arraySlice !== null) {
      frozenSlice = freezeSelection(arraySlice);
      sliceLayout(layout, frozenSlice); // throws if it does not fit
    }
    this.#name = name;
    this.#layout = layout;
    this.#byteLength = byteLength;
    const describe = (key: string, value: unknown): void => {
      Object.defineProperty(this, key, descriptorOf({ value, enumerable: true }));
    };
    describe("shape", Object.freeze([...layout.shape]));
    describe("dtype", canonical);
    describe("name", name);
    describe("arraySlice", frozenSlice);
  }

  /** The mapping of the segment; `null` before `create()` or `load()`, and after closing. */
  get smh(): SharedMemory | null {
    const smh = this.#smh;
    return smh === null || smh.buf === null ? null : smh;
  }

  /**
   * The array: whole after `create()`, with `arraySlice` applied after `load()`; `null` before, and
   * after closing.
   */
  get array(): NDArray<DTypeOf<T>> | null {
    return this.smh === null ? null : this.#array;
  }

  /**
   * Creates the segment, zero-filled, and attaches to it. If a step fails, what was made before it is
   * removed.
   *
   * @param options permission bits, and whether to reserve the memory
   * @returns the whole array, `arraySlice` not applied; the elements are shared, this instance owns
   * the mapping
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if an option is out of range
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.AlreadyExists} if the name is taken (`EEXIST`)
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`), or there is no descriptor (`EMFILE`) or address
   * space (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on a system without POSIX shared memory
   *
   * @example Create, use, remove
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * using sma = new SharedMemoryArray([2, 3], "int64", SharedMemoryArray.buildSmaName());
   * const array = sma.create({ mode: 0o600 });
   * array.fill(7n);
   * assertEquals(array.get(1, 2), 7n);
   * sma.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
   */
  create(options?: CreateOptions): NDArray<DTypeOf<T>, RankOf<S>> {
    this.#checkDetached("create");
    const smh = SharedMemory.create(this.name, this.#byteLength, options);
    try {
      return this.#attach(smh, null);
    } catch (error) {
      undoCreate(smh);
      throw error;
    }
  }

  /**
   * Attaches to the segment that another instance created.
   *
   * @returns the array with `arraySlice` applied; the elements are shared, this instance owns the
   * mapping
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {RangeError} if the segment is smaller than shape and dtype need
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on a system without POSIX shared memory
   *
   * @example Only the last column
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName();
   * using whole = new SharedMemoryArray([2, 2], "uint8", name);
   * whole.create().assign([[1, 2], [3, 4]]);
   * using column = SharedMemoryArray.clone(whole, { arraySlice: [":", -1] });
   * assertEquals(column.load().toArray(), [2, 4]);
   * whole.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
   */
  load(): NDArray<DTypeOf<T>> {
    this.#checkDetached("load");
    const smh = SharedMemory.open(this.name);
    if (smh.size < this.#byteLength) {
      smh.close();
      throw new RangeError(
        `Cannot load '${this.name}': the segment has ${smh.size} bytes, and shape ` +
          `${listText(this.shape)} of ${this.dtype} needs ${this.#byteLength}`,
      );
    }
    try {
      return this.#attach(smh, this.arraySlice);
    } catch (error) {
      smh.close();
      throw error;
    }
  }

  /**
   * Gives up the attachment; without one, does nothing. Every view of the array is empty from then on,
   * and its methods throw `Deno.errors.BadResource`. The segment and its name stay. Asynchronous work on
   * a view (a file that is read into it, say) must be awaited before: other threads are not seen here.
   *
   * @example Close twice, and load again
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const sma = new SharedMemoryArray(4, "float64", SharedMemoryArray.buildSmaName());
   * const array = sma.create();
   * array.fill(1.5);
   * sma.close();
   * sma.close();
   * assertThrows(() => array.get(0), Deno.errors.BadResource);
   * assertEquals(sma.load().get(0), 1.5);
   * sma.unlink();
   * sma.close();
   * ```
   */
  close(): void {
    this.#smh?.close();
    this.#smh = null;
    this.#array = null;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Removes the segment's name. Who is attached keeps the array; nobody else can attach any more, and
   * the memory is free when the last one has closed. The instance need not be attached.
   *
   * @returns `false` if the name was gone already
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example The name goes, the array stays
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * using sma = new SharedMemoryArray(1, "int32", SharedMemoryArray.buildSmaName());
   * const array = sma.create();
   * assertEquals(sma.unlink(), true);
   * array.set(0, 5);
   * assertEquals(array.get(0), 5);
   * assertEquals(sma.unlink(), false);
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man3/shm_unlink.3.html | shm_unlink(3)}
   */
  unlink(): boolean {
    return unlink(this.#name);
  }

  /**
   * Describes another array like a given one. The result is not attached, whatever the given one is.
   *
   * @param sma the array to take the description from
   * @param override what is to differ; `arraySlice: null` takes the whole array
   * @returns a new instance
   * @throws {TypeError} if `sma` is no SharedMemoryArray, or a part of the override is of the wrong
   * kind or unknown
   * @throws {RangeError} if a part of the result is wrong
   *
   * @example One description per worker
   * ```ts
   * import { SharedMemoryArray, slice } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const whole = new SharedMemoryArray([100, 8], "float32", "rows");
   * const parts = [0, 50].map((row) =>
   *   SharedMemoryArray.clone(whole, { arraySlice: [slice(row, row + 50)] })
   * );
   * assertEquals(parts[1].arraySlice, [{ start: 50, stop: 100, step: null }]);
   * ```
   */
  static clone<T extends DTypeLike, U extends DTypeLike = DTypeOf<T>>(
    sma: SharedMemoryArray<T>,
    override?: DescriptorOverride<U>,
  ): SharedMemoryArray<DTypeOf<U>> {
    if (!(sma instanceof SharedMemoryArray)) {
      throw new TypeError(
        "Cannot clone: the first argument must be a SharedMemoryArray; from() takes plain data",
      );
    }
    const own = readOptions(
      override,
      { shape: "any", dtype: "any", name: "any", arraySlice: "any" },
      "clone",
    );
    return construct({ ...sma, ...own }) as SharedMemoryArray<DTypeOf<U>>;
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`,
   * `structuredClone`, JSON or another instance. The result is not attached.
   *
   * @param descriptor plain data with `shape`, `dtype`, `name` and, if wanted, `arraySlice`; what else
   * it holds is not looked at
   * @returns a new instance
   * @throws {TypeError} if it is no object, or a part is missing or of the wrong kind
   * @throws {RangeError} if a part is wrong
   *
   * @example Through JSON, as a worker process receives it
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const line = JSON.stringify(new SharedMemoryArray([4, 4], "<f8", "tile", ["0:2"]));
   * const sma = SharedMemoryArray.from<"float64">(JSON.parse(line));
   * assertEquals(sma.dtype, "float64");
   * assertEquals(sma.arraySlice, ["0:2"]);
   * ```
   */
  static from<const T extends DTypeLike>(
    descriptor: SharedMemoryDescriptor<T>,
  ): SharedMemoryArray<DTypeOf<T>> {
    if (descriptor === null || typeof descriptor !== "object") {
      throw new TypeError(
        `Cannot make a SharedMemoryArray from ${
          kindOf(descriptor)
        }: a descriptor is an object with shape, dtype, name and arraySlice` +
          (typeof descriptor === "string" ? "; JSON.parse() makes it of a text" : ""),
      );
    }
    if (descriptor instanceof NDArray) {
      throw new TypeError(
        "Cannot make a SharedMemoryArray from a view: send the SharedMemoryArray itself",
      );
    }
    for (const part of ["shape", "dtype", "name"] as const) {
      if (!Object.hasOwn(descriptor, part)) {
        throw new TypeError(`Cannot make a SharedMemoryArray: the descriptor has no ${part}`);
      }
    }
    const arraySlice = Object.hasOwn(descriptor, "arraySlice") ? descriptor.arraySlice : null;
    return construct({ ...descriptor, arraySlice });
  }

  /**
   * Makes a name that no other segment has, `COUNTER-prefix-YYYYMM-DDHH-MMSS-uuid4` in local time.
   * Where the platform allows less (macOS), or the prefix is long, a shorter unique one that fits.
   *
   * @param prefix the caller's part of the name; by default empty
   * @returns the name, without a slash
   * @throws {TypeError} if the prefix is no string
   * @throws {RangeError} if the prefix holds "/" or NUL, or leaves no room for the rest
   *
   * @example A name with a prefix
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertMatch } from "@std/assert";
   *
   * assertMatch(SharedMemoryArray.buildSmaName("tile"), /^\d+-tile-/);
   * ```
   */
  static buildSmaName(prefix?: string | null): string {
    const parts = {
      counter: SharedMemoryArray.COUNTER + 1,
      prefix: prefix ?? "",
      date: new Date(),
      uuid: crypto.randomUUID(),
    };
    const name = buildName(parts, madeNameMax());
    SharedMemoryArray.COUNTER = parts.counter;
    return name;
  }

  /**
   * Removes the names of segments. Every one is tried, even if another fails.
   *
   * @param names the names, without slashes; names that are gone already are no error
   * @returns those that were removed
   * @throws {TypeError} if `names` is no list of strings
   * @throws {RangeError} if a name is not legal; then none is removed
   * @throws {AggregateError} if the system refused some (`errors` holds one error for each), after all
   * were tried
   *
   * @example Remove what a job has made
   * ```ts
   * import { createAndRegisterSma, SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const register: string[] = [];
   * createAndRegisterSma([2, 2], "float32", register).close();
   * assertEquals(SharedMemoryArray.clearBuffers(register), register);
   * assertEquals(SharedMemoryArray.clearBuffers(register), []);
   * ```
   */
  static clearBuffers(names: Iterable<string>): string[] {
    if (
      typeof names === "string" || names === null || names === undefined ||
      typeof names[Symbol.iterator] !== "function"
    ) {
      throw new TypeError("Cannot clear buffers: the names must be a list of strings");
    }
    const wanted = new Set(names);
    for (const name of wanted) checkUsableName(name);
    const removed: string[] = [];
    const failures: unknown[] = [];
    for (const name of wanted) {
      try {
        if (unlink(name)) removed.push(name);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw new AggregateError(
        failures,
        `Cannot clear ${failures.length} of ${wanted.size} buffers: ${failuresText(failures)}`,
      );
    }
    return removed;
  }

  /**
   * Lists the segments of this user, whoever made them.
   *
   * Processes of other users and in other PID namespaces (containers) cannot be seen, so `pids` may
   * miss some of those that map a segment.
   *
   * @returns one entry per segment, sorted by name
   * @throws {Deno.errors.NotSupported} on macOS, which cannot list segments
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`; no other permission is needed
   *
   * @example Find a segment
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * using sma = new SharedMemoryArray(1024, "float64", SharedMemoryArray.buildSmaName("list"));
   * sma.create();
   * const found = SharedMemoryArray.list().find(({ name }) => name === sma.name)!;
   * assertEquals(found.byteLength, 8192);
   * assertEquals(found.prefix, "list");
   * assertEquals(found.pids, [Deno.pid]);
   * sma.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html | proc_pid_maps(5)}
   */
  static list(): SegmentInfo[] {
    return listSegments();
  }

  /**
   * Removes leftovers: segments of this user that {@linkcode SharedMemoryArray.buildSmaName} named,
   * that no process maps, and that are old enough. A young one may be no leftover: between its
   * creator's `close()` and its reader's `load()` nobody maps it.
   *
   * Processes of other users and in other PID namespaces (containers) cannot be seen: where such
   * share segments with this user, choose `olderThan` so that theirs are safe.
   *
   * @param options which ones, and whether only to tell
   * @returns the names that were removed (with `dryRun`: would be), sorted
   * @throws {TypeError} if an option is of the wrong kind or unknown
   * @throws {RangeError} if `olderThan` is negative or NaN
   * @throws {AggregateError} if the system refused to remove some, after all were tried
   * @throws {Deno.errors.NotSupported} on macOS, which cannot list segments
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`; no other permission is needed
   *
   * @example What is older than a day
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const day = 24 * 60 * 60 * 1000;
   * const names = SharedMemoryArray.prune({ olderThan: day, prefix: "my-job", dryRun: true });
   * assertEquals(names, []);
   * ```
   */
  static prune(options?: PruneOptions): string[] {
    const checked = checkPruneOptions(options);
    const names = findLeftovers(checked);
    return checked.dryRun ? names : SharedMemoryArray.clearBuffers(names);
  }

  /** One line that says what this array is. */
  toString(): string {
    return `SharedMemoryArray '${this.name}' ${listText(this.shape)} ${this.dtype}`;
  }

  static {
    // The prototype itself can be looked at, too.
    showAs(this.prototype, (sma) => #smh in sma ? { ...sma, attached: sma.smh !== null } : {});
  }

  #checkDetached(action: string): void {
    if (this.smh !== null) {
      throw new Deno.errors.Busy(
        `Cannot ${action} '${this.name}': this instance is attached already; close() it first, ` +
          "or clone() it for a second attachment",
      );
    }
  }

  #attach(smh: SharedMemory, part: readonly SliceItem[] | null): NDArray<DTypeOf<T>> {
    const { dtype } = this;
    const data = new (typedArrayOf(dtype))(smh.buf!, 0, this.#layout.size);
    const whole = makeView(data, this.#layout, dtype) as unknown as NDArray<DTypeOf<T>>;
    const array = part === null ? whole : whole.slice(...part);
    this.#smh = smh;
    this.#array = array;
    return array;
  }
}

function construct<T extends DTypeLike>(
  { shape, dtype, name, arraySlice }: SharedMemoryDescriptor<T>,
): SharedMemoryArray<DTypeOf<T>> {
  return new SharedMemoryArray(shape, dtype, name, arraySlice) as unknown as SharedMemoryArray<
    DTypeOf<T>
  >;
}
