/**
 * Raw named bytes in shared memory.
 *
 * @module
 */

import { kindOf, readOptions, shorten } from "../check.ts";
import { showAs } from "../inspect.ts";
import { type CreateOptions, Mapping, unlink } from "./mapping.ts";
import { checkUsableName } from "./name.ts";

/** Gives up what `create()` made, the name included, unless it leads to another segment by now. */
export let undoCreate: (memory: SharedMemory) => void;

/** Proves that the constructor is called by this file. */
const KEY = Symbol();

/**
 * Raw named bytes that several processes share, as Python's `multiprocessing.shared_memory.SharedMemory`.
 *
 * The bytes belong to the segment, which lives until its name is removed by `unlink()` and the last
 * process that maps it has closed it or ended. An instance is one mapping of it.
 *
 * @example Bytes under a name
 * ```ts
 * import { SharedMemory } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * const name = `bytes-${crypto.randomUUID().slice(0, 8)}`;
 * using mine = SharedMemory.create(name, 16);
 * using theirs = SharedMemory.open(name); // usually in another process
 * new Uint8Array(mine.buf!)[0] = 42;
 * assertEquals(new Uint8Array(theirs.buf!)[0], 42);
 * mine.unlink();
 * ```
 *
 * @see {@link https://docs.python.org/3/library/multiprocessing.shared_memory.html | Python: multiprocessing.shared_memory}
 */
export class SharedMemory {
  readonly #mapping: Mapping;

  /**
   * Not for callers: {@linkcode SharedMemory.create} and {@linkcode SharedMemory.open} make instances.
   *
   * @throws {TypeError} always, for callers
   */
  constructor(key: unknown, mapping: unknown) {
    if (key !== KEY) {
      throw new TypeError(
        "Cannot construct SharedMemory: use SharedMemory.create(name, byteLength) or " +
          "SharedMemory.open(name)",
      );
    }
    this.#mapping = mapping as Mapping;
  }

  /**
   * Makes a segment, zero-filled, and maps it. If a step fails, what was made before it is removed.
   *
   * @param name a name that no segment has; without a slash
   * @param byteLength the size in bytes, at least 1
   * @param options permission bits, and whether to reserve the memory
   * @returns the mapping, which its caller closes; the segment is removed by `unlink()`
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if the name is not legal, or a size or mode is out of range
   * @throws {Deno.errors.AlreadyExists} if the name is taken (`EEXIST`)
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if there is no room (`ENOSPC`), no descriptor (`EMFILE`) or no address space
   * (`ENOMEM`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example A segment that others may read
   * ```ts
   * import { SharedMemory } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const name = `config-${crypto.randomUUID().slice(0, 8)}`;
   * using memory = SharedMemory.create(name, 4096, { mode: 0o644 });
   * assertEquals(memory.size, 4096);
   * memory.unlink();
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
   */
  static create(name: string, byteLength: number, options?: CreateOptions): SharedMemory {
    checkUsableName(name);
    checkByteLength(byteLength);
    const checked = checkCreateOptions(options);
    return new SharedMemory(KEY, Mapping.create(name, byteLength, checked));
  }

  /**
   * Attaches to a segment that is there. A segment whose creator has not set its size yet is waited
   * for, one second at the most. Nothing is ever removed.
   *
   * @param name the segment's name, without a slash
   * @returns the mapping of the whole segment, which its caller closes
   * @throws {TypeError} if the name is no string
   * @throws {RangeError} if the name is not legal, or the segment's size stays 0
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example Catch that nobody has created it
   * ```ts
   * import { SharedMemory } from "@shm/array";
   * import { assertThrows } from "@std/assert";
   *
   * assertThrows(() => SharedMemory.open("nobody-made-this"), Deno.errors.NotFound);
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
   */
  static open(name: string): SharedMemory {
    checkUsableName(name);
    return new SharedMemory(KEY, Mapping.open(name));
  }

  /** The segment's name, without a slash. */
  get name(): string {
    return this.#mapping.name;
  }

  /** The size of the mapping in bytes; of an opened segment it may be larger than what was asked for
   * when it was created, because macOS rounds up to pages. It stays after `close()`. */
  get size(): number {
    return this.#mapping.byteLength;
  }

  /** The bytes, shared with every process that maps the segment; `null` after `close()`. */
  get buf(): ArrayBuffer | null {
    return this.#mapping.buffer;
  }

  /**
   * Gives up the mapping; the second time does nothing. Every typed array over `buf` becomes empty at
   * once, without a copy. The segment and its name stay.
   *
   * @example Views of a closed mapping are empty
   * ```ts
   * import { SharedMemory } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const memory = SharedMemory.create(`bytes-${crypto.randomUUID().slice(0, 8)}`, 8);
   * const bytes = new Uint8Array(memory.buf!);
   * memory.unlink();
   * memory.close();
   * assertEquals(bytes.length, 0);
   * assertEquals(memory.buf, null);
   * ```
   */
  close(): void {
    this.#mapping.close();
  }

  /**
   * Removes the segment's name. Who has it mapped keeps it; nobody else can attach any more.
   *
   * @returns `false` if the name was gone already
   * @throws {Deno.errors.PermissionDenied} if it belongs to somebody else (`EACCES`)
   *
   * @example Remove it once
   * ```ts
   * import { SharedMemory } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * using memory = SharedMemory.create(`bytes-${crypto.randomUUID().slice(0, 8)}`, 8);
   * assertEquals(memory.unlink(), true);
   * assertEquals(memory.unlink(), false);
   * ```
   *
   * @see {@link https://man7.org/linux/man-pages/man3/shm_unlink.3.html | shm_unlink(3)}
   */
  unlink(): boolean {
    return unlink(this.#mapping.name);
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  static {
    undoCreate = (memory) => memory.#mapping.undoCreate();
    showAs(this.prototype, (memory) => {
      if (!(#mapping in memory)) return {}; // the prototype itself can be looked at, too
      const { name, size, buf } = memory;
      return { name, size, closed: buf === null };
    });
  }
}

function checkByteLength(byteLength: unknown): void {
  if (typeof byteLength !== "number") {
    throw new TypeError(
      `Cannot create: byteLength must be a number of bytes, not ${kindOf(byteLength)}`,
    );
  }
  if (!Number.isSafeInteger(byteLength) || byteLength < 1) {
    throw new RangeError(
      `Cannot create: a segment cannot have ${byteLength} bytes, but a whole number from 1 to 2^53 - 1`,
    );
  }
}

function checkCreateOptions(options: CreateOptions | undefined): CreateOptions {
  const { mode, reserve } = readOptions(
    options,
    { mode: "number such as 0o600", reserve: "boolean" },
    "create",
  );
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o777)) {
    const given = Number.isInteger(mode) && mode > 0 ? `0o${mode.toString(8)}` : String(mode);
    throw new RangeError(`Cannot create: mode must be from 0 to 0o777, not ${shorten(given)}`);
  }
  return { mode, reserve };
}
