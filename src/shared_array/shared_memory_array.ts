/**
 * Named n-d arrays in shared memory.
 *
 * @module
 */

import {
  type DType,
  type DTypeLike,
  type DTypeOf,
  dtypeOf,
  parseDType,
  typedArrayOf,
} from "../dtype.ts";
import {
  defineConstant,
  isMarkedAs,
  kindOf,
  listText,
  markClass,
  quote,
  quoteName,
  readOptions,
  refuseIndex,
} from "../check.ts";
import { busy, fromCaller, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
import {
  checkShape,
  freezeSelection,
  frozenList,
  identifyMemoryBy,
  makeView,
  NDArray,
  type RankOf,
  type Shape,
  type SliceItem,
  sliceLayout,
} from "../ndarray/mod.ts";
import {
  checkName,
  clearSegments,
  createAnonymousMemory,
  createMemory,
  type CreateOptions,
  type CreateOrLoadOptions,
  createOrOpenMemory,
  type FoundDescription,
  isAnonymousName,
  listSegments,
  makeName,
  nameMax,
  needStackToMap,
  openMemory,
  type OpenOptions,
  type PruneOptions,
  pruneSegments,
  type SegmentInfo,
  sharedBytesOf,
  type SharedMemory,
  undoCreate,
  unlink,
} from "../segment/mod.ts";
import { kindOfHead, magics } from "../words.ts";
import {
  arrayOf,
  compareArrays,
  isSameDType,
  type PlacedArray,
  placedArray,
  textFor,
  textInOrder,
  textOfArray,
} from "./described_array.ts";
import { freezeLayout, type MemoryLayout, placeElements, type Placement } from "./memory_layout.ts";

// Views know nothing of segments. This tells them how to see that two buffers are one segment, and its name.
identifyMemoryBy(sharedBytesOf);

/**
 * What an array is, as plain data: an instance's own properties, and what `structuredClone`,
 * `postMessage` and JSON make of it.
 *
 * @template T the element type, in any accepted spelling
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
  /** Where the array lies in the segment; `null` or left out for C order from the first byte on. */
  readonly layout?: MemoryLayout | null;
}

/** What an `arraySlice` may be. */
export type Selection = readonly SliceItem[] | null | undefined;

/**
 * How many axes an array of shape `S` has after `load()`: with an `arraySlice` the compiler does not know.
 *
 * @internal
 */
export type LoadedRank<S extends Shape, P extends Selection> = P extends null | undefined
  ? RankOf<S>
  : number;

/**
 * The parts of a descriptor that {@linkcode SharedMemoryArray.clone} is to change.
 *
 * @template T the element type, in any accepted spelling
 *
 * @internal
 */
export type DescriptorOverride<T extends DTypeLike = DTypeLike> = Partial<
  SharedMemoryDescriptor<T>
>;

/** Makes an array in a segment without a name, as `createAnonymous()` does, in a layout. */
export let createAnonymousArray: (
  shape: Shape,
  dtype: DTypeLike,
  layout: MemoryLayout | null,
  options: CreateOptions | undefined,
) => SharedMemoryArray;

/**
 * An n-d array in a named shared-memory segment: one process creates it, any other on the machine
 * (Deno, Node, Bun, Python with NumPy, C) attaches to it by name, and all see the same bytes with no copy.
 *
 * An instance is a description (shape, dtype, name, arraySlice) that can be sent to other processes as
 * plain data, and, between `create()` or `load()` and `close()`, an attachment. Constructing one
 * touches nothing. The segment belongs to nobody: it lives until its name is removed by `unlink()` and
 * the last process that maps it has closed it or ended.
 *
 * The API is that of the class of the same name in GRIDR (CNES).
 *
 * @template T the element type, in any accepted spelling
 * @template S the shape; where it is a tuple, the compiler knows the number of axes
 * @template P the selection, `arraySlice`; `null` if there is none
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
export class SharedMemoryArray<
  T extends DTypeLike = DType,
  const S extends Shape = Shape,
  const P extends Selection = null,
> {
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

  /** Where the array lies in the segment; only an instance that was given a layout has it. Frozen. */
  declare readonly layout?: MemoryLayout;

  /** The checked name. Only instances have it, while any object may have a `name`. */
  readonly #name: string;
  /** All of the array. */
  readonly #placement: Placement;
  #smh: SharedMemory | null = null;
  #array: NDArray<DTypeOf<T>, LoadedRank<S, P>> | null = null;
  /** Whether this instance has made the segment that it is attached to. */
  #isCreator = false;
  /** How it describes itself; made at the first use. */
  #text: string | null = null;

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
   * @param layout where the array lies in its segment: `byteOffset` of element `[0, 0, …]` in bytes, and
   * `stride` in elements; by default C order from the first byte on
   * @throws {TypeError} if an argument is of the wrong kind, or the dtype is none of the supported ones
   * @throws {RangeError} if a length, the number of bytes, the name, the slice or the layout is wrong, or
   * an element would lie before the segment
   *
   * @example A frame of 8-bit RGB
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const frame = new SharedMemoryArray([1080, 1920, 3], "uint8", "frame-0");
   * assertEquals(frame.array, null);
   * ```
   *
   * @example Rows of 3 bytes, padded to 4, behind a header of 16
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("padded");
   * const layout = { byteOffset: 16, stride: [4, 1] };
   * using rows = new SharedMemoryArray([2, 3], "uint8", name, null, layout);
   * rows.create().assign([[1, 2, 3], [4, 5, 6]]);
   * const bytes = new Uint8Array(rows.smh!.buf!, 16);
   * assertEquals([...bytes], [1, 2, 3, 0, 4, 5, 6]);
   * rows.unlink();
   * ```
   *
   * @see {@link https://numpy.org/doc/stable/reference/generated/numpy.ndarray.html | NumPy: ndarray(shape, dtype, buffer, offset, strides)}
   */
  constructor(
    shape: S,
    dtype: T,
    name: string,
    arraySlice?: P,
    layout?: MemoryLayout | null,
  ) {
    try {
      checkOrder(shape, dtype);
      const canonical = parseDType(dtype);
      typedArrayOf(canonical); // throws on a runtime without Float16Array; later, create() would have made a segment already
      const lengths = checkShape(shape);
      if (lengths.includes(0)) {
        throw new RangeError(
          `Cannot share shape ${
            listText(lengths)
          }: it has no elements, and a segment cannot be empty`,
        );
      }
      let frozenLayout: MemoryLayout | null = null;
      if (layout !== undefined && layout !== null) {
        frozenLayout = freezeLayout(layout, lengths.length, canonical);
      }
      const placement = placeElements(lengths, canonical, frozenLayout);
      if (!Number.isSafeInteger(placement.byteLength)) {
        throw new RangeError(
          `Cannot share shape ${listText(lengths)} of ${canonical}: more than 2^53 - 1 bytes`,
        );
      }
      checkName(name, nameMax());
      let frozenSlice: readonly SliceItem[] | null = null;
      if (arraySlice !== undefined && arraySlice !== null) {
        frozenSlice = freezeSelection(arraySlice);
        sliceLayout(placement.layout, frozenSlice); // throws if it does not fit
      }
      this.#name = name;
      this.#placement = placement;
      defineConstant(this, "shape", frozenList([...lengths]));
      defineConstant(this, "dtype", canonical);
      defineConstant(this, "name", name);
      defineConstant(this, "arraySlice", frozenSlice);
      if (frozenLayout !== null) defineConstant(this, "layout", frozenLayout);
    } catch (error) {
      throw fromCaller(withOrder(error, dtype, name), SharedMemoryArray);
    }
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
  get array(): NDArray<DTypeOf<T>, LoadedRank<S, P>> | null {
    return this.smh === null ? null : this.#array;
  }

  /**
   * Whether this instance has made the segment that it is attached to, and not found it; `null` while it is not
   * attached.
   */
  get isCreator(): boolean | null {
    return this.smh === null ? null : this.#isCreator;
  }

  /**
   * Whether the array lies, or would lie, in an anonymous segment. The form of the name decides:
   * `memfd:PID:FD:INODE`.
   */
  get isAnonymous(): boolean {
    return isAnonymousName(this.#name);
  }

  /**
   * Creates the segment, zero-filled, and attaches to it. It has as many bytes as the array reaches, with
   * a layout also those before and between its elements. If a step fails, what was made before it is
   * removed.
   *
   * @param options permission bits, whether to reserve the memory, and whether to write beside the segment what it is
   * @returns the whole array, `arraySlice` not applied; the elements are shared, this instance owns
   * the mapping
   * @throws {TypeError} if an option is of the wrong kind
   * @throws {RangeError} if an option is out of range, or the name is that of an anonymous segment
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
    const { byteLength, layout } = this.#placement;
    const made = madeDTypes[layout.shape.length] ??= new Set();
    needStackToMap(made.has(this.dtype));
    const smh = createMemory(this.name, byteLength, options, () => this.#description);
    try {
      const array = this.#attach(smh, null, true);
      made.add(this.dtype);
      return array;
    } catch (error) {
      undoCreate(smh);
      throw error;
    }
  }

  /**
   * Makes an array in a segment that has no name in `/dev/shm`. Its instance's `name` says which process
   * made it, and is all that `load()` needs elsewhere. Such a segment is gone when the last process that
   * holds it ends, however it ends; the size of `/dev/shm` is no limit for it, and no process can change
   * its size. On Linux only.
   *
   * When another process loads it, the process that made it must still live, and must not have called
   * `unlink()`. Both must run as the same user, and the other one must see the maker's process, so it cannot be
   * in another container. `close()` gives up this attachment only; this process keeps the segment, and can load
   * it again, until `unlink()` or its own end.
   *
   * @param shape the lengths of the axes in elements, or one length
   * @param dtype the element type, in any accepted spelling
   * @param options permission bits, whether to reserve the memory, and whether to describe it, as for `create()`
   * @returns an instance that is attached; its `array` is zero-filled
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if the shape or an option is wrong
   * @throws {Error} if there is not so much memory (`ENOMEM`), or no descriptor (`EMFILE`)
   * @throws {Deno.errors.NotSupported} on another system than Linux
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example Nothing to remove, whatever happens
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals, assertMatch } from "@std/assert";
   *
   * using mine = SharedMemoryArray.createAnonymous([2, 3], "float32");
   * mine.array!.fill(7);
   * assertMatch(mine.name, /^memfd:\d+:\d+:\d+$/);
   *
   * // In another process, usually.
   * using theirs = SharedMemoryArray.from(JSON.parse(JSON.stringify(mine)));
   * assertEquals(theirs.load().get(1, 2), 7);
   * mine.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man2/memfd_create.2.html | memfd_create(2)}
   */
  static createAnonymous<const T extends DTypeLike, const S extends Shape>(
    shape: S,
    dtype: T,
    options?: CreateOptions,
  ): SharedMemoryArray<DTypeOf<T>, S> {
    return createAnonymousArray(shape, dtype, null, options) as never;
  }

  /**
   * Attaches to an array by its name alone: shape, element type and layout are what its creator has written beside
   * the segment, and are checked against its size. With an element type that must be the array's, and the compiler
   * knows it.
   *
   * A description that is not there yet is waited for, one second at the most, or until the time limit. Whoever may
   * write to a segment may change its description: it is a hint, as the elements are.
   *
   * @param name the segment's name, without a slash, or that of an anonymous segment
   * @param dtype what the element type must be, in any accepted spelling
   * @param options access, and how many milliseconds to wait, blocking, for a segment that is not there
   * @returns an instance that is attached; `array` holds all of the array
   * @throws {TypeError} if an argument is of the wrong kind, or the segment is that of a lock, a ring or something
   * else that is no array
   * @throws {RangeError} if nothing describes the segment (it was made with `describe: false`, by another program, or
   * where the system has no such attributes), the element type is another one, the segment is too small for what is
   * described, or the name or an option is out of range
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if its mode does not allow this user the access (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on a system without POSIX shared memory
   *
   * @example The name is all that the other side knows
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("heights");
   * using mine = new SharedMemoryArray([2, 3], "float32", name);
   * mine.create().set(1, 2, 8848);
   *
   * // In another process, usually.
   * using theirs = SharedMemoryArray.attach(name, "float32");
   * assertEquals(theirs.shape, [2, 3]);
   * const height: number = theirs.array!.get(1, 2);
   * assertEquals(height, 8848);
   * mine.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man7/xattr.7.html | xattr(7)}
   */
  static attach<const T extends DTypeLike>(
    name: string,
    dtype: T,
    options?: Omit<OpenOptions, "reinterpret">,
  ): SharedMemoryArray<DTypeOf<T>>;
  /**
   * Attaches to an array of any element type by its name alone.
   *
   * @param name the segment's name, without a slash, or that of an anonymous segment
   * @param options access, and how many milliseconds to wait, blocking, for a segment that is not there
   * @returns an instance that is attached; `array` holds all of the array
   * @throws {TypeError} if an argument is of the wrong kind, or the segment is no array's
   * @throws {RangeError} if nothing describes the segment, or it is too small for what is described
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   */
  static attach(name: string, options?: Omit<OpenOptions, "reinterpret">): SharedMemoryArray;
  static attach(
    name: string,
    dtypeOrOptions?: DTypeLike | Omit<OpenOptions, "reinterpret">,
    options?: Omit<OpenOptions, "reinterpret">,
  ): SharedMemoryArray {
    // Constructors, which name dtypes, are functions.
    const isOptions = typeof dtypeOrOptions === "object" && options === undefined;
    const wanted = isOptions || dtypeOrOptions === undefined
      ? null
      : parseDType(dtypeOrOptions as DTypeLike);
    const given = isOptions ? dtypeOrOptions : options;
    needStackToMap(false);
    let sma: SharedMemoryArray | null = null;
    const smh = openMemory(name, given, (found, byteLength, readHead, isLast) => {
      refuseOtherKinds(readHead(), byteLength, name, "attach to");
      sma = SharedMemoryArray.#described(name, wanted, byteLength, found, isLast);
      return sma !== null;
    }, "attach");
    try {
      sma!.#attach(smh, null, false);
      return sma!;
    } catch (error) {
      smh.close();
      throw error;
    }
  }

  /** Makes an instance of what stands beside a segment; `null` if that may come yet. */
  static #described(
    name: string,
    wanted: DType | null,
    byteLength: number,
    found: FoundDescription,
    isLast: boolean,
  ): SharedMemoryArray | null {
    const { value } = found;
    const array = value === null ? null : arrayOf(value);
    if (value !== null && array === null) throw otherKindError(value.kind, name, "attach to");
    const sma = array === null ? null : instanceOf(array, name, wanted);
    if (array === null || sma === null) {
      // What stands there and is no description will not become one.
      if (!isLast && !found.isThere) return null;
      throw new RangeError(
        `Cannot attach to ${
          quoteName(name)
        } by its name alone: nothing describes the segment (it was made with ` +
          "describe: false, by another program, or where the system has no extended attributes); " +
          `new SharedMemoryArray(shape, dtype, name).load() takes its ${byteLength} bytes`,
      );
    }
    if (wanted !== null && !isSameDType(wanted, array.dtype)) {
      throw new RangeError(
        `Cannot attach to ${quoteName(name)} as an array of ${wanted}: ` +
          `the segment is described as ${textFor(array)}`,
      );
    }
    sma.#checkSize(byteLength, "; this is what the segment is described as", "attach to");
    return sma;
  }

  /**
   * Attaches to the segment that another instance created.
   *
   * With `access: "copy-on-write"` this needs the permission to read only (a segment of another user with mode
   * 0o644). What others write is seen until this process writes to the same page; what this process writes
   * stays private, and is gone after `close()`.
   *
   * What stands beside the segment (see `create()`) is compared with this instance: kind, element type, shape and
   * layout. An instance with a layout may also be a part of the array, as a view's description is. Where nothing
   * stands there, the size is all that is looked at. `reinterpret: true` takes the bytes as this instance has them.
   *
   * @param options access, how many milliseconds to wait, blocking, for a segment that is not there, and whether to
   * take the bytes whatever the segment says that it is
   * @returns the array with `arraySlice` applied; the elements are shared, this instance owns the
   * mapping
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {TypeError} if an option is of the wrong kind or unknown, or the segment is that of a lock, a ring or
   * something else that is no array
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if its mode does not allow this user the access (`EACCES`)
   * @throws {RangeError} if the segment is described as an array of another shape, element type or layout, or is
   * smaller than these need, or an option has no sense
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
   * @example The same bytes as other elements
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName();
   * using numbers = new SharedMemoryArray([2], "float32", name);
   * numbers.create().set(0, 1);
   * using bits = new SharedMemoryArray([2], "uint32", name);
   * assertThrows(() => bits.load(), RangeError, "described as shape [2] of float32");
   * assertEquals(bits.load({ reinterpret: true }).get(0), 0x3f800000);
   * numbers.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
   */
  load(options?: OpenOptions): NDArray<DTypeOf<T>, LoadedRank<S, P>> {
    this.#checkDetached("load");
    const { layout } = this.#placement;
    const loaded = loadedDTypes[layout.shape.length] ??= new Set();
    if (!loaded.has(this.dtype)) needStackToMap(false); // for the others, openMemory() sees to it
    const smh = openMemory(
      this.name,
      options,
      (found, byteLength, readHead) => this.#isMeant(found, byteLength, readHead),
    );
    try {
      this.#checkSize(smh.size);
      const array = this.#attach(smh, this.arraySlice, false);
      loaded.add(this.dtype);
      return array;
    } catch (error) {
      smh.close();
      throw error;
    }
  }

  /**
   * Attaches to the segment, or creates it, zero-filled, if there is none: of all processes that do so at once,
   * one creates it, and {@linkcode SharedMemoryArray.isCreator} tells which one. Nobody finds a segment that is
   * half made, and a creator that is killed leaves nothing in the way of the others.
   *
   * A segment that is there is compared with this instance as `load()` does. `isCreator` does not say that the
   * creator has filled the array: share a lock, or a word that is waited for (`@shm/array/sync`), for that.
   *
   * @param options those of `create()`, which count for the one that creates it, and those of `load()`
   * @returns the array as after `load()`: with `arraySlice` applied, also for the one that has created it
   * @throws {TypeError} if an option is of the wrong kind or unknown, or there is a segment of a lock, a ring or
   * something else that is no array
   * @throws {RangeError} if an option has no sense, the name is that of an anonymous segment, or there is a segment
   * that is described as another array, is too small, or gets no size
   * @throws {Deno.errors.Busy} if this instance is attached already
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if `/dev/shm` is full (`ENOSPC`), or there is no descriptor (`EMFILE`) or address
   * space (`ENOMEM`) left
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   * @throws {Deno.errors.NotSupported} on a system without POSIX shared memory
   *
   * @example Two programs that start in any order
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const name = SharedMemoryArray.buildSmaName("counters");
   * using mine = new SharedMemoryArray([16], "int32", name);
   * mine.createOrLoad();
   *
   * // In the other program: the same lines.
   * using theirs = new SharedMemoryArray([16], "int32", name);
   * theirs.createOrLoad();
   * assertEquals([mine.isCreator, theirs.isCreator], [true, false]);
   * mine.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man2/linkat.2.html | linkat(2)}
   */
  createOrLoad(options?: CreateOrLoadOptions): NDArray<DTypeOf<T>, LoadedRank<S, P>> {
    this.#checkDetached("create or load");
    needStackToMap(false);
    const { byteLength } = this.#placement;
    const { memory, isCreator } = createOrOpenMemory(
      this.name,
      byteLength,
      options,
      () => this.#description,
      (found, byteLength, readHead) => this.#isMeant(found, byteLength, readHead),
    );
    try {
      this.#checkSize(memory.size);
      return this.#attach(memory, this.arraySlice, isCreator);
    } catch (error) {
      if (isCreator) undoCreate(memory);
      else memory.close();
      throw error;
    }
  }

  /**
   * Gives up the attachment; without one, does nothing. Every view of the array is empty from then on, and its
   * methods throw `Deno.errors.BadResource`. The segment and its name stay. Asynchronous work on a view (a file
   * that is read into it, say) must be awaited before: this call cannot see other threads.
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
   * Removes the segment's name. Processes that are attached keep the array; no other can attach any more, and
   * the memory is free when the last one has closed. An attached instance removes the name of its own segment
   * only, and leaves one that leads to another segment by now; an instance that is not attached removes the
   * name of whatever segment has it. The name of an anonymous segment can be removed only in the process that
   * made it, in any of its threads.
   *
   * @returns `false` if the name was gone already, or leads to another segment than the attached one
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`; `EPERM` for an
   * anonymous segment)
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
    const name = this.#name; // an object that is no instance has none, and is refused here
    return this.smh?.unlink() ?? unlink(name);
  }

  /**
   * Describes another array like a given one. The result is not attached, whatever the given one is.
   *
   * @param sma the array to take the description from
   * @param override what is to differ; `arraySlice: null` takes the whole array, `layout: null` is C order
   * from the first byte on
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
  static clone<
    T extends DTypeLike,
    S extends Shape,
    P extends Selection,
    U extends DTypeLike = DTypeOf<T>,
    const N extends Shape = S,
    const Q extends Selection = P,
  >(
    sma: SharedMemoryArray<T, S, P>,
    override?: Omit<DescriptorOverride<U>, "shape" | "arraySlice"> & {
      readonly shape?: N;
      readonly arraySlice?: Q;
    },
  ): SharedMemoryArray<DTypeOf<U>, N, Q> {
    if (!isMarkedAs(sma, "SharedMemoryArray")) {
      throw new TypeError(
        "Cannot clone: the first argument must be a SharedMemoryArray; from() takes plain data",
      );
    }
    const own = readOptions(
      override,
      { shape: "any", dtype: "any", name: "any", arraySlice: "any", layout: "any" },
      "clone",
    );
    const { shape, dtype, name, arraySlice, layout } = { layout: null, ...sma, ...own };
    return new SharedMemoryArray(
      shape,
      dtype,
      name,
      arraySlice,
      layout,
    ) as unknown as SharedMemoryArray<DTypeOf<U>, N, Q>;
  }

  /**
   * Makes an instance from a description that came from elsewhere: from `postMessage`,
   * `structuredClone`, JSON or another instance; or from a view of a shared array, which may be any
   * slice, transposed or reversed. The result is not attached.
   *
   * @param descriptor plain data with `shape`, `dtype`, `name` and, if wanted, `arraySlice` and `layout`,
   * or a view; what else it holds is not looked at, but for keys that are easily mistaken for these
   * @param dtype what the element type must be; the compiler then knows it, whatever it knows of the descriptor
   * @returns a new instance
   * @throws {TypeError} if it is no object, a part is missing or of the wrong kind, a key is one of
   * NumPy's in the place of ours (`strides`, `array_slice`, an `order` of "C" or "F"), it describes something else
   * than an array (a lock, a ring …), or it is a view of other memory
   * @throws {RangeError} if a part is wrong, the element type is another one than `dtype`, or the view is empty
   * @throws {Deno.errors.BadResource} if it is a view whose memory is gone
   *
   * @example Through JSON, as a worker process receives it
   * ```ts
   * import { SharedMemoryArray } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const line = JSON.stringify(new SharedMemoryArray([4, 4], "<f8", "tile", ["0:2"]));
   * const sma = SharedMemoryArray.from(JSON.parse(line), "float64");
   * assertEquals(sma.dtype, "float64");
   * assertEquals(sma.arraySlice, ["0:2"]);
   * ```
   *
   * @example Send a part, and share it
   * ```ts
   * import { createAndRegisterSma, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * using register = new SharedMemoryRegister();
   * using image = createAndRegisterSma([4, 6], "uint8", register);
   * const job = JSON.stringify({ upsideDown: image.array!.slice("::-1", "2:5") });
   *
   * using part = SharedMemoryArray.from(JSON.parse(job).upsideDown, "uint8");
   * part.load().slice(0).fill(9);
   * assertEquals(image.array!.slice(3).toArray(), [0, 0, 9, 9, 9, 0]);
   * ```
   */
  static from<const T extends DTypeLike>(
    descriptor: SharedMemoryDescriptor | NDArray,
    dtype: T,
  ): SharedMemoryArray<DTypeOf<T>>;
  /**
   * Makes an instance from a description that came from elsewhere. The compiler takes the element type from the
   * type of the descriptor. It knows nothing of a descriptor that `JSON.parse()` made.
   *
   * @param descriptor plain data with `shape`, `dtype`, `name` and, if wanted, `arraySlice` and `layout`
   * @returns a new instance, which is not attached
   * @throws {TypeError} if it is no object, a part is missing or of the wrong kind, or it describes something else
   * @throws {RangeError} if a part is wrong
   */
  static from<const D extends SharedMemoryDescriptor>(
    descriptor: D,
  ): SharedMemoryArray<0 extends 1 & D["dtype"] ? DType : DTypeOf<D["dtype"]>>;
  /**
   * Makes an instance that describes what a view of a shared array shows. It is not attached.
   *
   * @param view a view of memory in a segment
   * @returns a new instance, with a layout and without an `arraySlice`
   * @throws {TypeError} if the view is of other memory
   * @throws {RangeError} if the view is empty
   * @throws {Deno.errors.BadResource} if its memory is gone
   */
  static from<V extends NDArray>(
    view: V,
  ): SharedMemoryArray<V extends NDArray<infer D extends DType> ? D : DType>;
  static from(
    descriptor: SharedMemoryDescriptor | NDArray,
    dtype?: DTypeLike,
  ): SharedMemoryArray {
    refuseIndex(dtype, "SharedMemoryArray");
    const wanted = dtype === undefined ? null : parseDType(dtype);
    const plain = isMarkedAs(descriptor, "NDArray")
      ? describeView(descriptor as NDArray)
      : descriptor as SharedMemoryDescriptor;
    checkDescriptor(plain);
    const own = (key: "arraySlice" | "layout") => Object.hasOwn(plain, key) ? plain[key] : null;
    const sma = new SharedMemoryArray(
      plain.shape,
      plain.dtype,
      plain.name,
      own("arraySlice") as readonly SliceItem[] | null,
      own("layout") as MemoryLayout | null,
    ) as SharedMemoryArray;
    if (wanted !== null && sma.dtype !== wanted) {
      throw new RangeError(
        `Cannot make a SharedMemoryArray of ${wanted}: ${
          quote(sma.name)
        } is described as one of ${sma.dtype}`,
      );
    }
    return sma;
  }

  /**
   * Makes a name that no other segment has, `COUNTER-prefix-YYYYMM-DDHH-MMSS-uuid4` in local time. Where the
   * platform allows less (macOS), or the prefix is long, it is a shorter unique name that fits.
   *
   * @param prefix the caller's part of the name; by default empty
   * @returns the name, without a slash
   * @throws {TypeError} if the prefix is no string
   * @throws {RangeError} if the prefix holds "/" or NUL, or leaves too few bytes for the rest
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
    const name = makeName(prefix, SharedMemoryArray.COUNTER + 1);
    SharedMemoryArray.COUNTER++; // Names that could not be made do not count.
    return name;
  }

  /**
   * Removes the names of segments. Every one is tried, even if another fails. With the name of a
   * `SharedMemoryVersions` (`@shm/array/publish`), the names of its versions are removed, too.
   *
   * @param names the names, without slashes; names that are gone already are no error
   * @returns those that were removed
   * @throws {TypeError} if `names` is no list of strings
   * @throws {RangeError} if a name is not legal; then none is removed
   * @throws {AggregateError} if the system refused some (`errors` holds one error for each), after all
   * were tried; without `--allow-ffi` they are `Deno.errors.NotCapable`
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
    return clearSegments(names);
  }

  /**
   * Lists the segments of this user, also those that other programs made.
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
   * Some processes hide their memory map, and look as if they mapped nothing: those of another user, those in
   * another PID namespace (a container), and those that made themselves undumpable by prctl(2). Where such
   * processes share segments with this user, choose `olderThan` so that their segments are younger.
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
    return pruneSegments(options);
  }

  /** One line that says what this array is. */
  toString(): string {
    return `SharedMemoryArray ${quoteName(this.name)} ${listText(this.shape)} ${this.dtype}`;
  }

  static {
    createAnonymousArray = (shape, dtype, layout, options) => {
      // Everything is checked before the segment is made. Its name is known only after that.
      const unnamed = new SharedMemoryArray(shape, dtype, "unnamed", null, layout);
      const { byteLength } = unnamed.#placement;
      const smh = createAnonymousMemory(byteLength, options, () => unnamed.#description);
      try {
        const sma = new SharedMemoryArray(shape, dtype, smh.name, null, layout);
        sma.#attach(smh, null, true);
        return sma as SharedMemoryArray;
      } catch (error) {
        undoCreate(smh);
        throw error;
      }
    };
    markClass(this.prototype, "SharedMemoryArray");
    // `console.log` may show the prototype itself, too.
    showAs(this.prototype, (sma) => #smh in sma ? { ...sma, attached: sma.smh !== null } : {});
  }

  /** What `create()` writes beside the segment. */
  get #description(): string {
    return this.#text ??= this.layout === undefined
      ? textInOrder(this.shape, this.dtype)
      : textOfArray(this.#placed);
  }

  get #placed(): PlacedArray {
    return placedArray(this.dtype, this.#placement);
  }

  /** Throws if a segment is not the one that this instance describes. */
  #isMeant(found: FoundDescription, byteLength: number, readHead: () => Uint8Array): true {
    // What says that it is this very array is no other kind, even if its elements look like a magic: this saves a
    // call of the system (`bench/attach_bench.ts`, "description of 4 KiB").
    if (found.is(this.#description)) return true;
    refuseOtherKinds(readHead(), byteLength, this.name);
    const { value } = found;
    if (value === null) return true;
    const array = arrayOf(value);
    if (array === null) throw otherKindError(value.kind, this.name);
    this.#checkSize(byteLength, `; it is described as ${textFor(array)}`);
    compareArrays(this.#placed, this.layout !== undefined, array, this.name);
    return true;
  }

  /** Throws if a segment is too small for the array. */
  #checkSize(byteLength: number, more = "", action: Attaching = "load"): void {
    const { byteLength: needed } = this.#placement;
    if (byteLength >= needed) return;
    throw new RangeError(
      `Cannot ${action} ${quoteName(this.name)}: the segment has ${byteLength} bytes, and shape ` +
        `${listText(this.shape)} of ${this.dtype} needs ${needed}` +
        (this.layout === undefined ? "" : " in its layout") + more,
    );
  }

  #checkDetached(action: string): void {
    if (this.smh !== null) {
      throw busy(
        `Cannot ${action} ${quoteName(this.name)}: ` +
          "this instance is attached already; close() it first, " +
          "or clone() it for a second attachment",
      );
    }
  }

  #attach(
    smh: SharedMemory,
    part: readonly SliceItem[] | null,
    isCreator: boolean,
  ): NDArray<DTypeOf<T>> {
    const { dtype } = this;
    const { firstByte, length, layout } = this.#placement;
    const data = new (typedArrayOf(dtype))(smh.buf!, firstByte, length);
    const whole = makeView(data, layout, dtype) as unknown as NDArray<DTypeOf<T>>;
    const array = part === null ? whole : whole.slice(...part);
    this.#smh = smh;
    this.#isCreator = isCreator;
    this.#array = array;
    return array;
  }
}
showCallers(SharedMemoryArray);

/**
 * The dtypes of the arrays that were made here, by their number of axes. Each dtype has a class of views of its
 * own, which V8 compiles at its first use.
 */
const madeDTypes: Set<DType>[] = [];

/** The same of arrays that were loaded. */
const loadedDTypes: Set<DType>[] = [];

/** Makes an instance of what a description says; `null` where no array can be so. */
function instanceOf(
  { shape, dtype, layout }: PlacedArray,
  name: string,
  wanted: DType | null,
): SharedMemoryArray | null {
  // uint8c is described as uint8.
  const as = wanted !== null && isSameDType(wanted, dtype) ? wanted : dtype;
  try {
    return new SharedMemoryArray(shape, as, name, null, layout);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return null;
    throw error;
  }
}

/**
 * Describes the elements that a view shows, if other processes can reach them. The view may have been made by
 * another copy of this package.
 */
function describeView(view: NDArray): SharedMemoryDescriptor {
  const isOurs = view instanceof NDArray;
  const isShared = isOurs ? sharedBytesOf(view.data.buffer) !== undefined : true;
  // Of a view of other memory, toJSON() gives the elements.
  const descriptor: unknown = isShared ? view.toJSON() : null;
  if (kindOf(descriptor) !== "an object") {
    throw new TypeError(
      "Cannot make a SharedMemoryArray from this view: its memory is no segment; create() an array, " +
        "and assign() the view to it",
    );
  }
  return descriptor as SharedMemoryDescriptor;
}

/** Checks a descriptor that came from elsewhere, as far as the constructor does not. */
function checkDescriptor(plain: SharedMemoryDescriptor): void {
  if (plain === null || typeof plain !== "object") {
    throw new TypeError(
      `Cannot make a SharedMemoryArray from ${
        kindOf(plain)
      }: a descriptor is an object with shape, dtype, name and arraySlice` +
        (typeof plain === "string" ? "; JSON.parse() makes it of a text" : ""),
    );
  }
  const valueOf = (key: string): unknown =>
    Object.hasOwn(plain, key) ? (plain as unknown as UnknownKeys)[key] : undefined;
  const kind = valueOf("kind");
  if (typeof kind === "string" && Object.hasOwn(otherKinds, kind)) {
    throw new TypeError(
      `Cannot make a SharedMemoryArray: the descriptor is of the kind "${kind}", which is no array; ` +
        `${otherKinds[kind]}.from() takes it`,
    );
  }
  for (const part of ["shape", "dtype", "name"] as const) {
    if (Object.hasOwn(plain, part)) continue;
    throw new TypeError(
      `Cannot make a SharedMemoryArray: the descriptor has no ${part}` +
        (part in plain ? " of its own, as plain data has" : "") +
        (ArrayBuffer.isView(plain) || Array.isArray(plain)
          ? "; elements are shared by create() and then assign()"
          : "") +
        (part === "name" && dtypeOf((plain as { data?: unknown }).data) !== null
          ? "; postMessage and structuredClone copy a view: send view.toJSON() in its place"
          : ""),
    );
  }
  for (const key of Object.keys(mistaken)) {
    const value = valueOf(key);
    // A job may be sent in some "order" of its own.
    if (value === undefined || (key === "order" && value !== "C" && value !== "F")) continue;
    throw new TypeError(
      `Cannot make a SharedMemoryArray: ${key} is none of its keys; ${mistaken[key]}`,
    );
  }
}

/** Refuses a segment that is that of a lock or something else that is no array. */
function refuseOtherKinds(
  head: Uint8Array,
  byteLength: number,
  name: string,
  action: Attaching = "load",
): void {
  const kind = kindOfHead(head, byteLength);
  if (kind !== null) throw otherKindError(kind, name, action);
}

/** What is done to a segment, as messages say it. */
type Attaching = "load" | "attach to";

/** The error for a segment that is no array, as it begins or as it says. */
function otherKindError(kind: string, name: string, action: Attaching = "load"): TypeError {
  const what = Object.hasOwn(magics, kind) ? magics[kind as keyof typeof magics].what : `a ${kind}`;
  return new TypeError(
    `Cannot ${action} ${quoteName(name)} as an array: the segment is that of ${what}; ` +
      `${otherKinds[kind]} attaches to it`,
  );
}

/** The other kinds of descriptors, and the class that takes each. */
const otherKinds: { readonly [kind: string]: string } = {
  lock: "SharedMemoryLock",
  barrier: "SharedMemoryBarrier",
  ring: "SharedMemoryRing",
  versions: "SharedMemoryVersions",
  queue: "SharedMemoryQueue",
};

/**
 * Finds arguments in the wrong order, or a descriptor in their place. Without this, the message would complain
 * of the dtype only.
 */
function checkOrder(shape: unknown, dtype: unknown): void {
  if (typeof shape === "string" && (Array.isArray(dtype) || typeof dtype === "number")) {
    throw new TypeError("Cannot make a SharedMemoryArray: the order is shape, dtype, name");
  }
  if (dtype === undefined && kindOf(shape) === "an object" && "shape" in (shape as object)) {
    throw new TypeError(
      "Cannot make a SharedMemoryArray: the shape must be an array; SharedMemoryArray.from() takes a descriptor",
    );
  }
}

/** An error, with the order of the arguments where the name is a dtype, and the dtype is none. */
function withOrder(error: unknown, dtype: unknown, name: unknown): unknown {
  if (
    !(error instanceof TypeError) || typeof dtype !== "string" || isDType(dtype) || !isDType(name)
  ) {
    return error;
  }
  return new TypeError(`${error.message}; the order is shape, dtype, name`);
}

function isDType(value: unknown): boolean {
  try {
    parseDType(value as DTypeLike);
    return true;
  } catch {
    return false;
  }
}

/** Keys that are easily mistaken for ours: ignored, they would give wrong elements. */
const mistaken: { readonly [key: string]: string } = {
  array_slice: "what load() takes is called arraySlice",
  strides: "give layout: { stride }, which counts elements, not bytes",
  order: 'give layout: { stride }: for order "F" of shape [2, 3] that is [1, 2]',
  stride: "it belongs into layout: { stride }",
  byteOffset: "it belongs into layout: { byteOffset }",
  slots: "it describes a SharedMemoryRing: SharedMemoryRing.from() takes it",
  byte_offset: "it belongs into layout: { byteOffset }",
};
type UnknownKeys = { readonly [key: string]: unknown };
