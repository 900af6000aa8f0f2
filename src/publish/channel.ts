/**
 * What a ring and a publication of versions have in common: a segment with a header, in which a 64-bit
 * number tells the newest array, one writer that the kernel knows by its `flock`, and readers that sleep
 * until the number grows.
 *
 * `docs/publication.md` describes the header for other languages.
 *
 * @module
 */

import { badResource, busy } from "../errors.ts";
import {
  checkLocksSegments,
  type CreateOptions,
  OpenSegment,
  PARTS_AT,
  PARTS_BYTES,
  type SharedMemory,
} from "../segment/mod.ts";
import { deadlineOf, EventCount, letEventLoopRun } from "../sync/event_count.ts";

/** The bytes of the header; what is published in the same segment comes after it. */
export const HEADER_BYTES = PARTS_BYTES;

// Where things stand in the header, in bytes. The numbers that change are in one line of the cache.
const MAGIC = 0; // char[8]
const DTYPE = 8; // char[8]: NumPy's type string, padded with NUL
const ARRAY_BYTES = 16; // u64
const SLOTS = 24; // u32
const MODE = 28; // u32: the mode of further segments; bit 31: without reservation
const SLOT_STEP = 32; // u64
const NEWEST = PARTS_AT; // u64
const BEGUN = 72; // u64
const TURN = 80; // u32: bit 0: somebody may be asleep; the others count how often those were woken

const NOT_RESERVED = 2 ** 31;

/**
 * The longest sleep in milliseconds before a reader looks again: a writer that is killed between the number
 * and the waking wakes nobody.
 */
const READER_SLICE = 250;

/** What the header says. */
export interface Header {
  /** What kind of publication it is: eight letters. */
  readonly magic: string;
  /** NumPy's type string. */
  readonly dtype: string;
  /** The bytes of one array. */
  readonly arrayBytes: number;
  /** How many slots a ring has; 0 where there are none. */
  readonly slots: number;
  /** The bytes from the beginning of a slot to that of the next. */
  readonly slotStep: number;
}

/** How long to wait for something newer. */
export interface WaitOptions {
  /** The time limit in milliseconds; by default none. With 0 there is one look. */
  timeout?: number;
}

/** How long to wait for something newer without blocking. */
export interface WaitAsyncOptions extends WaitOptions {
  /** Gives the waiting up: the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** How long `load()` waits for the creator. */
export interface LoadOptions {
  /** How long to wait, blocking, for a segment that is not there yet, in milliseconds; by default 0. */
  timeout?: number;
}

/**
 * Orders what this thread reads and writes before it against what comes after it, on every processor: the
 * read-modify-write is a release of what was before, and the load after it an acquire. On ARM neither
 * does alone. The compiler moves no access to memory across them.
 */
export function fence(): void {
  Atomics.add(fenceWord, 0, 1);
  Atomics.load(fenceWord, 0);
}
const fenceWord = new Int32Array(1);

/** An open segment of a publication. */
export class Channel {
  readonly name: string;
  readonly #segment: OpenSegment;
  readonly #numbers: BigInt64Array;
  /** The same memory: the futex takes 32 bits. */
  readonly #words: Int32Array;
  readonly #changes: EventCount;
  #isWriter = false;

  private constructor(segment: OpenSegment) {
    this.name = segment.name;
    this.#segment = segment;
    this.#numbers = new BigInt64Array(segment.buffer!, 0, HEADER_BYTES / 8);
    this.#words = new Int32Array(segment.buffer!, 0, HEADER_BYTES / 4);
    this.#changes = new EventCount(this.#words, TURN / 4, null);
  }

  /**
   * Makes the segment.
   *
   * @param name a checked name
   * @param byteLength the bytes after the header
   * @param header what the header is to say
   * @param options permission bits, and whether to reserve the memory; not checked yet
   */
  static create(
    name: string,
    byteLength: number,
    header: Header,
    options: CreateOptions | undefined,
  ): Channel {
    const size = HEADER_BYTES + byteLength;
    const write = (buffer: ArrayBuffer): void => writeHeader(buffer, header, options);
    return new Channel(OpenSegment.create(name, size, options, write));
  }

  /**
   * Attaches to a segment that is there, and looks whether it is the one that is meant.
   *
   * @param name a checked name
   * @param byteLength the bytes after the header
   * @param header what the header must say
   * @param what what is loaded, for messages: "a ring"
   * @param timeout how long to wait for a segment that is not there, in milliseconds
   */
  static load(
    name: string,
    byteLength: number,
    header: Header,
    what: string,
    timeout: number,
  ): Channel {
    const check = (memory: SharedMemory, isTimeUp: boolean): boolean => {
      if (memory.size < HEADER_BYTES) {
        throw new RangeError(
          `Cannot load '${name}': the segment has ${memory.size} bytes, which is less than a header`,
        );
      }
      // The creator writes the header last, and its first word after all else.
      const numbers = new BigInt64Array(memory.buf!, 0, HEADER_BYTES / 8);
      if (Atomics.load(numbers, MAGIC / 8) === 0n && !isTimeUp) return false;
      checkHeader(memory, byteLength, header, what);
      return true;
    };
    return new Channel(OpenSegment.open(name, timeout, check));
  }

  /** The memory of the segment; `null` after `close()`. */
  get buffer(): ArrayBuffer | null {
    return this.#segment.buffer;
  }

  /** Whether the segment has a name still. */
  get isNamed(): boolean {
    return this.#segment.isNamed;
  }

  /** The number of the newest whole array; 0 if there is none. */
  get newest(): number {
    return Number(Atomics.load(this.#numbers, NEWEST / 8));
  }

  /** The number of the newest array whose writing has begun. */
  get begun(): number {
    return Number(Atomics.load(this.#numbers, BEGUN / 8));
  }

  /** Whether the newest whole array has a number. It is {@linkcode newest} without making a bigint. */
  isNewest(number: number): boolean {
    return Atomics.load(this.#words, NEWEST / 4) === (number | 0) &&
      Atomics.load(this.#words, NEWEST / 4 + 1) === Math.floor(number / 2 ** 32);
  }

  /** How further segments are to be made: as the creator wanted this one. */
  get options(): CreateOptions {
    const word = this.#words[MODE / 4] >>> 0;
    return { mode: word % NOT_RESERVED, reserve: word < NOT_RESERVED };
  }

  /**
   * Makes this the writer, until it is closed.
   *
   * @returns whether it was not the writer before
   * @throws {Deno.errors.Busy} if somebody else is
   */
  claim(): boolean {
    if (this.#isWriter) return false;
    if (!this.#segment.tryLock()) {
      throw busy(
        `Cannot write to '${this.name}': it has a writer, which stays the only one until it closes ` +
          "or ends",
      );
    }
    return this.#isWriter = true;
  }

  /** Says that an array is being written, before its first byte is. */
  begin(number: number): void {
    Atomics.store(this.#numbers, BEGUN / 8, BigInt(number));
    fence();
  }

  /** Makes a written array the newest, and wakes who waits for it. */
  publish(number: number): void {
    fence();
    Atomics.store(this.#numbers, NEWEST / 8, BigInt(number));
    this.#changes.advance();
  }

  /** Blocks until there is an array after a number. */
  awaitNewer(after: number, timeout: number): void {
    const look = (): true | null => this.newest > after || null;
    if (look() !== null) return;
    if (this.#changes.until(look, deadlineOf(timeout), READER_SLICE) !== null) return;
    throw timeoutError(this.name);
  }

  /** Waits until there is an array after a number, without blocking. */
  async awaitNewerAsync(
    after: number,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const deadline = deadlineOf(timeout);
    const look = (): true | null => {
      signal?.throwIfAborted();
      if (!this.isOpen) throw closedError(this.name, "wait for");
      return this.newest > after || null;
    };
    if (look() !== null) {
      await letEventLoopRun();
      if (look() !== null) return;
    }
    const found = await this.#changes.untilAsync(look, deadline, READER_SLICE, signal);
    if (found === null) throw timeoutError(this.name);
  }

  /** Gives all up, the writer's claim included; the second time does nothing. */
  close(): void {
    this.#segment.close();
  }

  /** Whether it was not closed. */
  get isOpen(): boolean {
    // Its user may have moved the buffer away, or marked it so that close() could not empty it.
    return this.#segment.isOpen && this.#words.length !== 0;
  }
}

/** Looks whether the header of a segment says what it must say. */
function checkHeader(
  { name, size, buf }: SharedMemory,
  byteLength: number,
  wanted: Header,
  what: string,
): void {
  const found = readHeader(buf!);
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot load '${name}': ${why}`);
  };
  if (found.magic !== wanted.magic) refuse(`the segment is not that of ${what}`);
  if (found.dtype !== wanted.dtype || found.arrayBytes !== wanted.arrayBytes) {
    refuse(
      `its arrays have ${found.arrayBytes} bytes of '${found.dtype}', and shape and dtype here ` +
        `need ${wanted.arrayBytes} of '${wanted.dtype}'`,
    );
  }
  if (found.slots !== wanted.slots) {
    refuse(`it has ${found.slots} slots, and not ${wanted.slots}`);
  }
  if (found.slotStep !== wanted.slotStep || size < HEADER_BYTES + byteLength) {
    refuse(`the segment has ${size} bytes, and another layout`);
  }
}

function writeHeader(
  buffer: ArrayBuffer,
  { magic, dtype, arrayBytes, slots, slotStep }: Header,
  { mode = 0o600, reserve = true }: CreateOptions = {},
): void {
  const view = new DataView(buffer);
  const text = new TextEncoder();
  text.encodeInto(dtype, new Uint8Array(buffer, DTYPE, 8));
  view.setBigUint64(ARRAY_BYTES, BigInt(arrayBytes), true);
  view.setUint32(SLOTS, slots, true);
  view.setUint32(MODE, mode + (reserve ? 0 : NOT_RESERVED), true);
  view.setBigUint64(SLOT_STEP, BigInt(slotStep), true);
  const letters = new BigInt64Array(text.encode(magic).buffer);
  Atomics.store(new BigInt64Array(buffer, MAGIC, 1), 0, letters[0]);
}

function readHeader(buffer: ArrayBuffer): Header {
  const view = new DataView(buffer);
  const text = (at: number): string =>
    new TextDecoder().decode(new Uint8Array(buffer, at, 8).slice()).replace(/\0+$/, "");
  return {
    magic: text(MAGIC),
    dtype: text(DTYPE),
    arrayBytes: Number(view.getBigUint64(ARRAY_BYTES, true)),
    slots: view.getUint32(SLOTS, true),
    slotStep: Number(view.getBigUint64(SLOT_STEP, true)),
  };
}

function timeoutError(name: string): DOMException {
  return new DOMException(
    `Cannot wait any longer for '${name}': nothing newer came, and time is up`,
    "TimeoutError",
  );
}

/** The error for who uses a publication that is not attached. */
export function closedError(name: string, action: string): Error {
  return badResource(
    `Cannot ${action} '${name}': this instance is not attached; create() or load() it first`,
  );
}

/**
 * Checks that an instance can be attached: it is not, and this system has what publishing needs. What is left of
 * an attachment whose buffer was moved away is given up.
 *
 * @param channel what the instance has
 * @param action what it is about to do, for the message
 * @param name the segment's name
 */
export function checkDetached(channel: Channel | undefined, action: string, name: string): void {
  if (channel?.isOpen) {
    throw busy(
      `Cannot ${action} '${name}': this instance is attached already; close() it first, ` +
        "or clone() it for a second attachment",
    );
  }
  channel?.close();
  checkLocksSegments(action, name, "publishing between processes is");
}

/**
 * Checks that an instance is attached.
 *
 * @param attachment what the instance has
 * @param action what it is about to do, for the message
 * @param name the segment's name
 * @returns the attachment
 */
export function checkAttached<A extends { readonly channel: Channel }>(
  attachment: A | null,
  action: string,
  name: string,
): A {
  if (attachment === null || !attachment.channel.isOpen) throw closedError(name, action);
  return attachment;
}
