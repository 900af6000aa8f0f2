/**
 * An attachment to a publication (a ring or versions): its segment, its header, and how one writes and waits.
 * The writer holds a lock of the kernel; readers sleep until there is something newer.
 *
 * @module
 */

import { quote, quoteName } from "../check.ts";
import { badResource, brokenPipe, busy, notFound, permissionDenied } from "../errors.ts";
import { lookAtParent } from "../process/parent.ts";
import {
  type Access,
  checkLocksSegments,
  type CreateOptions,
  type Describe,
  OpenSegment,
  type SegmentCheck,
  type SharedMemory,
} from "../segment/mod.ts";
import { deadlineOf, EventCount, letEventLoopRun, ReadOnlyCount } from "../sync/event_count.ts";
import { checkMagic, invalidWord, refuseOtherKinds, type SegmentKind } from "../words.ts";
import { type Header, HEADER_BYTES, type HeaderWords, TURN } from "./header_words.ts";

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

/** How `load()` attaches to a publication, and how long it waits for the creator. */
export interface LoadOptions {
  /** How long to wait, blocking, for a segment that is not there yet, in milliseconds; by default 0. */
  timeout?: number;
  /**
   * `"copy-on-write"` is for a reader that has the permission to read only (mode `0o644` gives it to other users). It
   * cannot announce that it waits, so nobody wakes it: it **looks every 5 ms**. It cannot write or `end()`, and what
   * it writes to an array stays private; from then on it does not see what becomes of the same page (4096 bytes),
   * which may be that of the publication's own words: do not write. With `"read-write"`, the default, waiting readers
   * are woken.
   */
  access?: "read-write" | "copy-on-write";
}

/** How a publication is attached to, or made if there is none. */
export interface CreateOrLoadOptions extends CreateOptions, Pick<LoadOptions, "access"> {
  /**
   * How long to wait, blocking, for a segment whose name is there before its header is, as another program may make
   * it, in milliseconds; at least one second. One that is not there is made at once.
   */
  timeout?: number;
}

/**
 * The error that a waiting reader gets when the writer has called `end()`, so that no more comes. By then the
 * reader has read all that was published.
 *
 * @example Until the end
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { EndedError, SharedMemoryRing } from "@shm/array/publish";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using ring = new SharedMemoryRing(1, "uint8", SharedMemoryArray.buildSmaName("ring"), 4);
 * ring.create();
 * ring.write(7);
 * ring.end();
 * assertEquals(ring.next().array.get(0), 7);
 * assertThrows(() => ring.next(), EndedError);
 * ring.unlink();
 * ```
 */
export class EndedError extends Error {
  /** The name of the class. */
  override readonly name = "EndedError";
  /** What tells this error in every runtime. */
  readonly code = "ERR_SHM_ENDED";
}

/** Makes the words of a kind of publication over a segment's memory. */
export interface WordsOf<W extends HeaderWords> {
  new (name: string, buffer: ArrayBuffer): W;
}

/**
 * The longest sleep of a reader in milliseconds, and the time after which it looks whether the name is still
 * there. A writer that is killed before it wakes anybody, or a removal of the name, wakes no reader. So a
 * removal is noticed after two of these at the most.
 */
const READER_SLICE = 125;

/** How long a reader sleeps that nobody can wake, in milliseconds. */
const READ_ONLY_INTERVAL = 5;

/**
 * How many times in a row a reader gets an answer without a look at the clock, which would take longer than all
 * the rest. Each turn of the event loop begins to count anew.
 */
const CALLS_PER_LOOK = 16;

/** An attached publication. */
export class Publication<W extends HeaderWords> {
  readonly name: string;
  readonly words: W;
  readonly #segment: OpenSegment;
  /** Counts what is published, for readers that sleep until there is more. */
  readonly #changes: EventCount;
  #isWriter = false;
  /** When it was seen that the segment has a name. */
  #namedAt = Date.now();
  #callsBeforeLook = 0;
  #isRestarted = true;

  private constructor(segment: OpenSegment, words: W) {
    this.name = segment.name;
    this.words = words;
    this.#segment = segment;
    const turn = TURN.at / 4;
    this.#changes = segment.isReadOnly
      ? new ReadOnlyCount(words.words, turn, READ_ONLY_INTERVAL)
      : new EventCount(words.words, turn, null);
  }

  /**
   * Makes the segment.
   *
   * @param name a checked name
   * @param byteLength the bytes of the segment
   * @param header what the header is to say
   * @param Words the class of the words
   * @param options permission bits, and whether to reserve the memory and to describe it; not checked yet
   * @param describe gives the text that says what it is
   */
  static create<W extends HeaderWords>(
    name: string,
    byteLength: number,
    header: Header,
    Words: WordsOf<W>,
    options: CreateOptions | undefined,
    describe: Describe,
  ): Publication<W> {
    const segment = OpenSegment.create(name, byteLength, options, (buffer) => {
      new Words(name, buffer).write(header, options);
    }, describe);
    return new Publication(segment, new Words(name, segment.buffer!));
  }

  /**
   * Makes an anonymous segment.
   *
   * @param byteLength the bytes of the segment
   * @param header what the header is to say
   * @param Words the class of the words
   * @param options permission bits, and whether to reserve the memory and to describe it; not checked yet
   * @param describe gives the text that says what it is
   */
  static createAnonymous<W extends HeaderWords>(
    byteLength: number,
    header: Header,
    Words: WordsOf<W>,
    options: CreateOptions | undefined,
    describe: Describe,
  ): Publication<W> {
    const { kind } = header;
    const segment = OpenSegment.createAnonymous(
      byteLength,
      options,
      `shm-array-${kind}`,
      (memory) => {
        new Words(kind, memory).write(header, options);
      },
      describe,
    );
    return new Publication(segment, new Words(segment.name, segment.buffer!));
  }

  /**
   * Attaches to a segment that exists, and checks its kind before a byte is written.
   *
   * @param name a checked name
   * @param byteLength the least bytes of the segment
   * @param header what the header must say
   * @param Words the class of the words
   * @param options how long to wait for a segment that is not there, in milliseconds, and whether it is read only
   */
  static load<W extends HeaderWords>(
    name: string,
    byteLength: number,
    header: Header,
    Words: WordsOf<W>,
    { timeout, access }: Required<LoadOptions>,
  ): Publication<W> {
    const check = checkOf(byteLength, header, Words);
    const { kind } = header;
    // Each version is a segment of its own, which needs a name.
    const wanted = { kind, access, takesAnonymous: kind === "ring" };
    const segment = OpenSegment.open(name, timeout, check, wanted);
    return new Publication(segment, new Words(name, segment.buffer!));
  }

  /**
   * Attaches to a segment, or makes it if there is none.
   *
   * @param name a checked name
   * @param byteLength the bytes of the segment
   * @param header what the header is to say, or must say
   * @param Words the class of the words
   * @param options permission bits, and whether to reserve the memory and to describe it; not checked yet
   * @param describe gives the text that says what it is
   * @param loading how long to wait for another creator to write the header, in milliseconds, and whether it is read
   * only
   */
  static createOrLoad<W extends HeaderWords>(
    name: string,
    byteLength: number,
    header: Header,
    Words: WordsOf<W>,
    options: CreateOptions | undefined,
    describe: Describe,
    { timeout, access }: Required<LoadOptions>,
  ): Publication<W> {
    const segment = OpenSegment.createOrOpen(
      name,
      byteLength,
      options,
      (head) => new Words(name, head).write(header, options),
      describe,
      timeout,
      checkOf(byteLength, header, Words),
      header.kind,
      access,
    );
    return new Publication(segment, new Words(name, segment.buffer!));
  }

  /** Whether the segment was made here, and not found. */
  get isCreator(): boolean {
    return this.#segment.isCreator;
  }

  /** How the segment was attached to: for other segments of the same publication. */
  get access(): Access {
    return this.#segment.isReadOnly ? "copy-on-write" : "read-write";
  }

  /** Whether the segment has a name still. */
  get isNamed(): boolean {
    return this.#segment.isNamed;
  }

  /** Whether the segment says of itself what it is: its creator has not asked for the contrary. */
  get isDescribed(): boolean {
    return this.#segment.isDescribed;
  }

  /** Whether this is the writer. */
  get isWriter(): boolean {
    return this.#isWriter;
  }

  /** The memory of the segment; `null` after `close()`. */
  get buffer(): ArrayBuffer | null {
    return this.#segment.buffer;
  }

  /** Which segment it is, whatever names lead to it. */
  get identity(): string {
    return this.#segment.identity;
  }

  // --- Writing ---------------------------------------------------------------------------------

  /**
   * Throws if the publication's name was removed: nobody could find what is written.
   *
   * @param action what is about to be done, for the message
   */
  checkNamed(action: string): void {
    if (!this.isNamed) throw this.#removedError(action);
  }

  /**
   * Makes this the writer, until it is closed.
   *
   * @param action what is about to be done, for messages
   * @returns whether it was not the writer before
   * @throws {Deno.errors.PermissionDenied} if this was loaded copy-on-write
   * @throws {Deno.errors.NotFound} if the name was removed
   * @throws {Deno.errors.Busy} if somebody else is the writer
   * @throws {Deno.errors.BrokenPipe} if the writer has said that no more comes
   */
  claim(action: string): boolean {
    this.#checkWritable(action);
    this.#checkNotEnded(action); // Whether its writer is still there does not matter then.
    const isFirst = this.#becomeWriter(action);
    if (isFirst) this.#checkNotEnded(action);
    return isFirst;
  }

  #checkWritable(action: string): void {
    if (this.#changes instanceof ReadOnlyCount) throw this.#readOnlyError(action);
    this.checkNamed(action);
  }

  #checkNotEnded(action: string): void {
    if (!this.words.isEnded) return;
    throw brokenPipe(
      `Cannot ${action} ${
        quoteName(this.name)
      }: its writer has ended it; unlink() it and create() a new one`,
    );
  }

  #becomeWriter(action: string): boolean {
    if (this.#isWriter) return false;
    if (!this.#segment.tryLock()) {
      throw busy(
        `Cannot ${action} ${
          quoteName(this.name)
        }: it has a writer, which stays the only one until it ` +
          "closes or ends",
      );
    }
    return this.#isWriter = true;
  }

  /** Makes a written array the newest, and wakes the readers that wait for it. */
  publish(number: number): void {
    this.words.storeNewest(number);
    this.wake();
  }

  /**
   * Makes this the writer, says that no more comes, and wakes the readers that wait; the second time does
   * nothing.
   */
  end(): void {
    if (this.words.isEnded) return;
    this.#checkWritable("end");
    this.#becomeWriter("end");
    this.words.storeEnded();
    this.wake();
  }

  /** Wakes the readers that wait for what was stored before. */
  wake(): void {
    this.#changes.advance();
  }

  // --- Waiting ---------------------------------------------------------------------------------

  /**
   * Whether there is an array after a number.
   *
   * @throws {EndedError} if there is none, and none comes
   */
  #isThere(after: number): boolean {
    const { words } = this;
    const { isEnded } = words; // read before the number, so that all that was published before the end is seen
    if (words.newest > after) return true;
    if (isEnded) {
      throw new EndedError(
        `Cannot wait for ${quoteName(this.name)}: its writer has said that no more comes`,
      );
    }
    return false;
  }

  /**
   * Looks for an array after a number, and once a slice whether there can be one: the look at the name is a call of
   * the system, and a reader of many frames a second sleeps for each of them.
   */
  #look(after: number): true | null {
    if (this.#isThere(after)) return true;
    const now = Date.now();
    if (Math.abs(now - this.#namedAt) < READER_SLICE) return null;
    const found = this.#lookAtName(after);
    this.#namedAt = now;
    return found;
  }

  /** Throws if the name was removed, and there is no array after a number either. */
  #lookAtName(after: number): true | null {
    if (this.isNamed) return null;
    // It may have been published just before.
    if (this.#isThere(after)) return true;
    throw this.#removedError("wait for");
  }

  /** Throws when time is up, and says whether nothing came, or nothing can come. */
  #endOfTime(after: number): void {
    if (this.#lookAtName(after) === null) throw timeoutError(this.name);
  }

  /** Blocks until there is an array after a number. */
  awaitNewer(after: number, timeout: number): void {
    lookAtParent(); // A reader that never has to wait does not look otherwise.
    if (this.#isThere(after)) return;
    const look = (): true | null => this.#look(after);
    const found = this.#changes.until(look, deadlineOf(timeout), READER_SLICE);
    if (found === null) this.#endOfTime(after);
  }

  /** Waits until there is an array after a number, without blocking. */
  async awaitNewerAsync(
    after: number,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const deadline = deadlineOf(timeout);
    const check = (): void => {
      signal?.throwIfAborted();
      if (!this.isOpen) throw closedError(this, "wait for");
    };
    check();
    if (this.#isThere(after)) {
      await letEventLoopRun();
      check();
      if (this.#isThere(after)) return;
    }
    const look = (): true | null => {
      check();
      return this.#look(after);
    };
    const found = await this.#changes.untilAsync(look, deadline, READER_SLICE, signal)
      .catch((error) => {
        // A wait knows nothing of publications.
        throw this.isMoved && !signal?.aborted ? closedError(this, "wait any longer for") : error;
      });
    if (found === null) this.#endOfTime(after);
  }

  /**
   * Throws if the publication was removed longer than a sleep ago. It is for readers that get once more what
   * they have. It does not look each time, which would take ten times as long as all the rest.
   *
   * @param action what is being done, for the message
   */
  checkNamedLately(action: string): void {
    if (--this.#callsBeforeLook > 0) return;
    const now = Date.now();
    if (Math.abs(now - this.#namedAt) >= 2 * READER_SLICE) {
      // An ended publication stays as it is, with or without its name.
      if (!this.words.isEnded) this.checkNamed(action);
      this.#namedAt = now;
    }
    this.#callsBeforeLook = CALLS_PER_LOOK;
    if (!this.#isRestarted) return;
    this.#isRestarted = false;
    queueMicrotask(() => {
      this.#callsBeforeLook = 0;
      this.#isRestarted = true;
    });
  }

  #readOnlyError(action: string): Error {
    return permissionDenied(
      `Cannot ${action} ${
        quoteName(this.name)
      }: it was loaded copy-on-write, to read only; load() it without access to write`,
    );
  }

  #removedError(action: string): Error {
    return notFound(
      `Cannot ${action} ${
        quoteName(this.name)
      }: its name was removed, so nobody can write to it or find ` +
        "it any more; close() this instance, and create() or load() the next one",
    );
  }

  /**
   * Removes the segment's name, and leaves one that leads to another segment by now.
   *
   * @returns whether it was removed
   */
  unlink(): boolean {
    return this.#segment.unlink();
  }

  /** Gives all up, the writer's claim included; the second time does nothing. */
  close(): void {
    this.#segment.close();
  }

  /** Whether it was not closed, and its memory is there. */
  get isOpen(): boolean {
    // A program may have moved the buffer away, or marked it so that close() could not empty it.
    return this.#segment.isOpen && this.words.words.length !== 0;
  }

  /** Whether its memory is gone although it was not closed, because the program moved the buffer away. */
  get isMoved(): boolean {
    return this.#segment.isOpen && this.words.words.length === 0;
  }
}

// --- Errors ----------------------------------------------------------------------------------

/** Gives what looks whether a segment is that of a publication. */
function checkOf<W extends HeaderWords>(
  byteLength: number,
  header: Header,
  Words: WordsOf<W>,
): SegmentCheck {
  return (memory, isTimeUp) => {
    const { name } = memory;
    checkSize(memory, header.kind);
    // A creator in another language may write the magic last.
    if (!checkMagic(memory.buf!, header.kind, name, isTimeUp)) return false;
    checkHeader(memory, new Words(name, memory.buf!), byteLength, header);
    return true;
  };
}

/** Refuses a segment that is too small for a header. */
function checkSize({ name, size, buf }: SharedMemory, kind: SegmentKind): void {
  if (size >= HEADER_BYTES) return;
  refuseOtherKinds(buf!, kind, name);
  throw new RangeError(
    `Cannot load ${quoteName(name)}: the segment has ${size} bytes, which is less than a header`,
  );
}

/** Looks whether a segment's header says what it must say. */
function checkHeader(
  { name, size }: SharedMemory,
  words: HeaderWords,
  byteLength: number,
  wanted: Header,
): void {
  const found = words.arrays;
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot load ${quoteName(name)}: ${why}`);
  };
  if (found.dtype !== wanted.dtype || found.arrayBytes !== wanted.arrayBytes) {
    refuse(
      `its arrays have ${found.arrayBytes} bytes of '${
        quote(found.dtype).slice(1, -1)
      }', and shape and dtype here ` +
        `need ${wanted.arrayBytes} of '${wanted.dtype}'`,
    );
  }
  if (found.slots !== wanted.slots) refuse(`it has ${found.slots} slots, and not ${wanted.slots}`);
  if (found.metaBytes !== wanted.metaBytes) {
    refuse(`it has ${found.metaBytes} bytes for the meta of a frame, and not ${wanted.metaBytes}`);
  }
  if (found.slotStep !== wanted.slotStep) {
    throw invalidWord(
      name,
      `its word SLOT_STEP is ${found.slotStep}, and should be ${wanted.slotStep}`,
    );
  }
  if (size < byteLength) {
    refuse(`the segment has ${size} bytes, and all slots need ${byteLength}`);
  }
  // Words that never change are checked now, the others where they are used.
  void [words.id, words.options];
}

function timeoutError(name: string): DOMException {
  return new DOMException(
    `Cannot wait any longer for ${quoteName(name)}: nothing newer came, and time is up`,
    "TimeoutError",
  );
}

/** The parts of the error for a publication that is not attached. */
interface NotAttached {
  readonly name: string;
  readonly isMoved?: boolean;
}

/** Makes the error for the use of a publication that is not attached. */
export function closedError({ name, isMoved }: NotAttached, action: string): Error {
  return badResource(
    `Cannot ${action} ${quoteName(name)}: ` +
      (isMoved
        ? "its buffer was transferred, and the memory with it; close() and load() attach anew"
        : "this instance is not attached; create() or load() it first"),
  );
}

/**
 * Checks that an instance can be attached: it is not attached yet, and this system has what publishing needs.
 * If its buffer was moved away, the rest of that attachment is given up.
 *
 * @param publication what the instance has
 * @param action what it is about to do, for the message
 * @param name the segment's name
 */
export function checkDetached(
  publication: Pick<Publication<HeaderWords>, "isOpen" | "close"> | undefined,
  action: string,
  name: string,
): void {
  if (publication?.isOpen) {
    throw busy(
      `Cannot ${action} ${quoteName(name)}: this instance is attached already; close() it first, ` +
        "or clone() it for a second attachment",
    );
  }
  publication?.close();
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
export function checkAttached<
  A extends { readonly publication: Pick<Publication<HeaderWords>, "isOpen" | "isMoved"> },
>(
  attachment: A | null,
  action: string,
  name: string,
): A {
  if (attachment !== null && attachment.publication.isOpen) return attachment;
  throw closedError({ name, isMoved: attachment?.publication.isMoved }, action);
}
