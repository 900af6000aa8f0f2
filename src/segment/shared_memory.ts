/**
 * Raw named bytes in shared memory.
 *
 * @module
 */

import {
  checkTimeout,
  kindOf,
  type OptionKind,
  quote,
  quoteName,
  readOptions,
  shorten,
} from "../check.ts";
import { fromCaller, showCallers } from "../errors.ts";
import { showAs } from "../inspect.ts";
import { isAnonymousName } from "./anonymous.ts";
import { createOrAttach } from "./create_or_attach.ts";
import type { WriteHead } from "./create_segment.ts";
import type { Describe } from "./description.ts";
import {
  type CreateOptions,
  type CreateOrLoadOptions,
  Mapping,
  needStackToMap,
  type OpenOptions,
  type SegmentLook,
} from "./mapping.ts";
import { checkUsableName } from "./name.ts";

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
   * Not for callers: {@linkcode SharedMemory.create} and {@linkcode SharedMemory.open} make instances. It is not
   * `private`, because `assertInstanceOf(value, SharedMemory)` would not compile then.
   *
   * @internal
   * @throws {TypeError} always, for callers
   */
  constructor(key: unknown, mapping: unknown) {
    if (key !== KEY) {
      const error = new TypeError(
        "Cannot construct SharedMemory: use SharedMemory.create(name, byteLength) or " +
          "SharedMemory.open(name)",
      );
      throw fromCaller(error, SharedMemory);
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
   * @throws {RangeError} if the name is not legal or has the form of an anonymous segment's, or a size or
   * mode is out of range
   * @throws {Deno.errors.AlreadyExists} if the name is taken (`EEXIST`)
   * @throws {Deno.errors.PermissionDenied} if the system refuses (`EACCES`)
   * @throws {Error} if there is no memory left (`ENOSPC`), no descriptor (`EMFILE`) or no address space
   * (`ENOMEM`)
   * @throws {Deno.errors.NotCapable} without `--allow-ffi`
   *
   * @example A segment that others may load copy-on-write
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
  static create(
    name: string,
    byteLength: number,
    options?: Omit<CreateOptions, "describe">,
  ): SharedMemory {
    needStackToMap(false);
    return createMemory(name, byteLength, options);
  }

  /**
   * Attaches to a segment that is there, or, with a `timeout`, comes to be. A segment whose creator has
   * not set its size yet is waited for, one second at the most. Nothing is ever removed.
   *
   * @param name the segment's name, without a slash, or that of an anonymous segment
   * @param options access, and how long to wait for a creator, in milliseconds
   * @returns the mapping of the whole segment, which its caller closes
   * @throws {TypeError} if an argument is of the wrong kind
   * @throws {RangeError} if the name is not legal, an option has no sense, or the segment's size stays 0
   * @throws {Deno.errors.NotFound} if there is no such segment (`ENOENT`)
   * @throws {Deno.errors.PermissionDenied} if its mode does not allow this user the access (`EACCES`)
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
  static open(name: string, options?: Omit<OpenOptions, "reinterpret">): SharedMemory {
    return openMemory(name, options);
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
   * Removes the segment's name. Processes that have it mapped keep it; no other can attach any more. Until
   * `close()`, this removes the name only if it leads to this segment; after that, whatever segment it leads
   * to.
   *
   * @returns `false` if the name was gone already, or leads to another segment by now
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
    return this.#mapping.unlink();
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Describes the memory, for `JSON.stringify()`: its bytes stay where they are.
   *
   * @returns the segment's name, and the size of the mapping in bytes: what another process opens
   *
   * @example A description that travels
   * ```ts
   * import { SharedMemory } from "@shm/array";
   * import { assertEquals } from "@std/assert";
   *
   * const name = `bytes-${crypto.randomUUID().slice(0, 8)}`;
   * using memory = SharedMemory.create(name, 8);
   * assertEquals(JSON.parse(JSON.stringify(memory)), { name, size: 8 });
   * memory.unlink();
   * ```
   */
  toJSON(): { name: string; size: number } {
    return { name: this.name, size: this.size };
  }

  /** One line that says what this memory is. */
  toString(): string {
    return `SharedMemory ${quoteName(this.name)} ${this.size} bytes`;
  }

  static {
    showAs(this.prototype, (memory) => {
      if (!(#mapping in memory)) return {}; // `console.log` may show the prototype itself, too
      const { name, size, buf } = memory;
      return { name, size, closed: buf === null };
    });
  }
}
showCallers(SharedMemory);

/** How a segment is made besides what its user says. */
export interface Making {
  /** Writes how the segment begins, before it has its name; without it, somebody may find it before it has its size. */
  readonly writeHead?: WriteHead;
  /** What is done with the elements; by default, they are shared. */
  readonly access?: OpenOptions["access"];
}

/**
 * Makes a segment as {@linkcode SharedMemory.create} does, but does not look whether there is room on the
 * stack: the caller has done so, for itself and for this.
 *
 * @param describe gives the text that says what it is, unless the options say that there is to be none; `null` for
 * raw bytes, which have no description and no such option
 * @param making what its user does not say
 * @returns the mapping; {@linkcode undoCreate} takes all back
 */
export function createMemory(
  name: string,
  byteLength: number,
  options: CreateOptions | undefined,
  describe: Describe | null = null,
  { writeHead, access }: Making = {},
): SharedMemory {
  checkFreeName(name);
  checkByteLength(byteLength);
  const checked = checkCreateOptions(options, describe !== null);
  const wanted = checked.describe === false ? null : describe;
  const isPrivate = access === "copy-on-write";
  const mapping = Mapping.create(name, byteLength, checked, wanted, writeHead ?? null, isPrivate);
  return new SharedMemory(KEY, mapping);
}

/**
 * Attaches as {@linkcode SharedMemory.open} does.
 *
 * @param look looks at the segment before it is mapped, unless the options say that its bytes are to be taken as
 * they are; raw bytes have no such look and no such option
 * @param action what the caller does, for the messages; there is that option where it loads
 * @param isThere whether only a segment will do that is there now: nobody waits for one that is not there, or that
 * is removed before it has its size, but for the size one waits
 */
export function openMemory(
  name: string,
  options: OpenOptions | undefined,
  look?: SegmentLook,
  action: "load" | "attach" | "open" = look === undefined ? "open" : "load",
  isThere = false,
): SharedMemory {
  checkUsableName(name);
  const checked = checkOpenOptions(options, action);
  // A failure must be able to close what was opened.
  needStackToMap(hasOpened);
  const memory = new SharedMemory(
    KEY,
    Mapping.open(name, checked, checked.reinterpret ? undefined : look, isThere),
  );
  hasOpened = true;
  return memory;
}

/** A mapping of a segment that was made here, or by somebody else. */
export interface CreatedOrOpened {
  /** The mapping. */
  readonly memory: SharedMemory;
  /** Whether it was made here: {@linkcode undoCreate} takes it back then. */
  readonly isCreator: boolean;
}

/**
 * Attaches to a segment, and makes it if there is none. It gets its name when it is whole. The caller has looked
 * whether there is room on the stack.
 *
 * @param name its name
 * @param byteLength the size in bytes of one that is made here
 * @param options how it is made, and how it is attached to; the time limit is for a segment that has no size yet
 * @param describe gives the text that says what it is
 * @param look looks at a segment that somebody else has made, and throws if it is not of the caller's kind
 */
export function createOrOpenMemory(
  name: string,
  byteLength: number,
  options: CreateOrLoadOptions | undefined,
  describe: Describe,
  look: SegmentLook,
): CreatedOrOpened {
  checkFreeName(name);
  checkByteLength(byteLength);
  const given = readOptions(options, CREATE_OR_LOAD_KINDS, "create or load");
  const { access, timeout, reinterpret, ...creation } = given;
  checkCreateOptions(creation, true);
  const opening = checkOpenOptions({ access, timeout, reinterpret }, "load");
  const making = { writeHead: () => {}, access };
  return createOrAttach<CreatedOrOpened>({
    name,
    byteLength,
    timeout: opening.timeout!,
    attach: (rest) => ({
      memory: openMemory(name, { ...opening, timeout: rest }, look, "load", true),
      isCreator: false,
    }),
    create: () => ({
      memory: createMemory(name, byteLength, creation, describe, making),
      isCreator: true,
    }),
  });
}

/** Whether something was attached to before. */
let hasOpened = false;

/**
 * Gives up what was just made, the name included.
 *
 * @param memory the mapping, which is not closed
 */
export function undoCreate(memory: SharedMemory): void {
  try {
    memory.unlink();
  } finally {
    memory.close();
  }
}

/** The option that {@linkcode LabelledOptions} adds. */
export const LABEL: unique symbol = Symbol("label");

/** How an anonymous segment is made. Callers of this package give no label. */
export interface LabelledOptions extends CreateOptions {
  /** What `/proc` and `lsof` show in the place of a name; at most 249 bytes. */
  readonly [LABEL]?: string;
}

/**
 * Makes an anonymous segment, zero-filled, and maps it. If a step fails, nothing is left.
 *
 * @param byteLength the size in bytes, at least 1
 * @param options permission bits, and whether to reserve the memory
 * @param describe gives the text that says what it is, unless the options say that there is to be none
 * @returns the mapping, which its caller closes; `unlink()` in this process ends what others can reach
 */
export function createAnonymousMemory(
  byteLength: number,
  options: LabelledOptions | undefined,
  describe: Describe,
): SharedMemory {
  const checked = checkCreateOptions(options, true);
  const label = options?.[LABEL] ?? "shm-array";
  needStackToMap(false);
  const wanted = checked.describe === false ? null : describe;
  return new SharedMemory(KEY, Mapping.createAnonymous(label, byteLength, checked, wanted));
}

/**
 * Checks a name that a segment is to get.
 *
 * @param name the name
 * @throws {TypeError} if it is no string
 * @throws {RangeError} if it is not legal, too long, or that of an anonymous segment
 */
export function checkFreeName(name: string): void {
  checkUsableName(name);
  if (isAnonymousName(name)) {
    throw new RangeError(
      `Cannot create ${quote(name)}: names of this form lead to anonymous segments; ` +
        "SharedMemoryArray.createAnonymous() makes one",
    );
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

/**
 * Checks how a segment is to be made.
 *
 * @param options what the caller gave
 * @param isDescribed whether it is of a kind that can be described
 * @returns the same options, those of `create()` only
 * @throws {TypeError} if an option is of the wrong kind or unknown
 * @throws {RangeError} if the mode is out of range
 */
export function checkCreateOptions(
  options: CreateOptions | undefined,
  isDescribed: boolean,
): CreateOptions {
  const { mode, reserve, describe }: CreateOptions = isDescribed
    ? readOptions(options, DESCRIBED_KINDS, "create")
    : readOptions<Omit<CreateOptions, "describe">>(options, RAW_KINDS, "create");
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o777)) {
    const given = Number.isInteger(mode) && mode > 0 ? `0o${mode.toString(8)}` : String(mode);
    const meant = /^[0-7]{3}$/.test(String(mode)) ? `; permission bits are octal: 0o${mode}` : "";
    throw new RangeError(
      `Cannot create: mode must be from 0 to 0o777, not ${shorten(given)}${meant}`,
    );
  }
  // Never -0, which FFI takes for no unsigned number.
  return { mode: mode === undefined ? mode : mode + 0, reserve, describe };
}

type Kinds<T> = { readonly [K in keyof Required<T> & string]: OptionKind };
const RAW_KINDS: Kinds<Omit<CreateOptions, "describe">> = {
  mode: "number such as 0o600",
  reserve: "boolean",
};
const DESCRIBED_KINDS: Kinds<CreateOptions> = { ...RAW_KINDS, describe: "boolean" };

function checkOpenOptions(
  options: OpenOptions | undefined,
  action: "load" | "attach" | "open",
): OpenOptions {
  const told = action === "attach" ? action : "load";
  const { access, timeout, reinterpret }: OpenOptions = action === "load"
    ? readOptions(options, REINTERPRETED_KINDS, told)
    : readOptions<Omit<OpenOptions, "reinterpret">>(options, OPEN_KINDS, told);
  return {
    access: checkAccess(access, told),
    timeout: checkTimeout(timeout, told, 0),
    reinterpret,
  };
}

/**
 * Checks what is to be done with the memory of a segment.
 *
 * @param access what the caller gave, a string if anything
 * @param action what the caller does, for the message
 * @returns the same
 * @throws {RangeError} if it is none of the two
 */
export function checkAccess(
  access: OpenOptions["access"],
  action: "load" | "attach" = "load",
): OpenOptions["access"] {
  if (access === undefined || access === "read-write" || access === "copy-on-write") return access;
  throw new RangeError(
    `Cannot ${action}: access must be "read-write" or "copy-on-write", not ${quote(access)}`,
  );
}

/** The kind of the option. */
export const ACCESS_KIND = 'string such as "copy-on-write"';

const OPEN_KINDS: Kinds<Omit<OpenOptions, "reinterpret">> = {
  access: ACCESS_KIND,
  timeout: "number of milliseconds",
};
const REINTERPRETED_KINDS: Kinds<OpenOptions> = { ...OPEN_KINDS, reinterpret: "boolean" };
const CREATE_OR_LOAD_KINDS: Kinds<CreateOrLoadOptions> = {
  ...DESCRIBED_KINDS,
  ...REINTERPRETED_KINDS,
};
