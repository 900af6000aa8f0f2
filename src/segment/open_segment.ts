/**
 * A segment that is mapped and open at once: it is mapped for what stands in it, and open for the locks that
 * the kernel keeps on its file.
 *
 * @module
 */

import { type Advice, hasCode } from "../../ffi/errors.ts";
import { findByteLock, type LockKind, tryLockByte, unlockByte } from "../../ffi/fcntl.ts";
import { close, fstat, identityText } from "../../ffi/files.ts";
import { tryFlock, unflock } from "../../ffi/flock.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { quote, quoteName } from "../check.ts";
import { magics, type SegmentKind } from "../words.ts";
import { notFound, notSupported } from "../errors.ts";
import { sleep } from "../process/parent.ts";
import { ownsByteLock } from "../process/proc.ts";
import { isAnonymousName, isAnonymousThere, openAnonymous } from "./anonymous.ts";
import { isPrivateCopy, segmentOf } from "./buffer_segment.ts";
import { type Describe, found } from "./description.ts";
import { createOrAttach } from "./create_or_attach.ts";
import type { WriteHead } from "./create_segment.ts";
import { type CreateOptions, needStackToMap, type OpenOptions } from "./mapping.ts";
import {
  checkCreateOptions,
  checkFreeName,
  createAnonymousMemory,
  createMemory,
  LABEL,
  openMemory as openRawMemory,
  type SharedMemory,
  undoCreate,
} from "./shared_memory.ts";

/**
 * Looks whether a segment is of the kind that the caller means, and throws if it is not.
 *
 * @param memory the mapping
 * @param isTimeUp whether this is the last look
 * @returns `false` if the creator has not yet written what tells the kind; on the last look it throws instead
 */
export type SegmentCheck = (memory: SharedMemory, isTimeUp: boolean) => boolean;

/** How long `open()` waits at least for a creator to write what tells the kind, in milliseconds. */
const CREATOR_TIMEOUT = 900;

/** How many segments of one name, each removed at once, `open()` looks at after its time is up. */
const MOST_SUCCESSORS = 100;

/**
 * Closes the descriptor of an open segment that was garbage-collected before `close()`. Its memory may still be
 * in use.
 */
const dropped = new FinalizationRegistry<number>(close);

/** Which segment {@linkcode OpenSegment.open} takes. */
export interface WantedSegment {
  /** The kind that it must be described as, if it is described; by default any. */
  readonly kind?: SegmentKind | null;
  /** Whether only a segment will do that is there now: nobody waits for one that is not there. */
  readonly isThere?: boolean;
  /** Whether it may be an anonymous one. */
  readonly takesAnonymous?: boolean;
  /**
   * What is done with the memory, of a kind that may be attached to with the permission to read only; of other kinds
   * it is left out.
   */
  readonly access?: Access;
}

/** What is done with the memory of a segment: it is shared, or read only. */
export type Access = NonNullable<OpenOptions["access"]>;

/**
 * A mapping and a file descriptor of one segment.
 *
 * They come from two calls of `open`. The kernel gives a lock back when its open file is held no more, and a
 * mapping holds the open file that it was made from. With one open file for both, a lock would stay as long as
 * the memory is mapped. The descriptor is closed in programs that this one starts, so that none of them keeps a
 * lock.
 */
export class OpenSegment {
  /** The name by which it was opened. */
  readonly name: string;
  /** Which segment it is, whatever names lead to it: the same text for all that have it open in this process. */
  readonly identity: string;
  /** Whether it was made here, and not attached to. */
  readonly isCreator: boolean;
  readonly #memory: SharedMemory;
  readonly #fd: number;
  #isClosed = false;

  private constructor(memory: SharedMemory, fd: number, isCreator: boolean) {
    this.isCreator = isCreator;
    this.name = memory.name;
    this.identity = segmentOf(memory.buf!)!;
    this.#memory = memory;
    this.#fd = fd;
    dropped.register(this, fd, this);
  }

  /**
   * Makes a segment, and opens it. It gets its name when it is whole, so that nobody ever finds one without its
   * head, and a creator that is killed leaves no useless name. If a step fails, what was made before it is removed.
   *
   * @param name a checked name that no segment has
   * @param byteLength the size in bytes
   * @param options mode, reservation and whether to describe it, which are checked here
   * @param writeHead writes what tells its kind, into the first 4096 bytes
   * @param describe gives the text that says what it is; `null` for none
   * @param access what is done with the memory once the head is written
   */
  static create(
    name: string,
    byteLength: number,
    options: CreateOptions | undefined,
    writeHead: WriteHead,
    describe: Describe | null = null,
    access: Access = "read-write",
  ): OpenSegment {
    needStackToMap(false);
    const making = { writeHead, access };
    return OpenSegment.#open(createMemory(name, byteLength, options, describe, making));
  }

  /**
   * Makes an anonymous segment, and opens it. If a step fails, nothing is left.
   *
   * @param byteLength the size in bytes
   * @param options mode, reservation and whether to describe it, which are checked here
   * @param label what `/proc` and `lsof` show in the place of a name
   * @param writeHead writes what tells its kind, into its memory
   * @param describe gives the text that says what it is
   */
  static createAnonymous(
    byteLength: number,
    options: CreateOptions | undefined,
    label: string,
    writeHead: WriteHead,
    describe: Describe,
  ): OpenSegment {
    const made = createAnonymousMemory(byteLength, { ...options, [LABEL]: label }, describe);
    return OpenSegment.#open(made, writeHead);
  }

  /** Opens a segment that was just made; removes it if a step fails. */
  static #open(made: SharedMemory, writeHead?: WriteHead): OpenSegment {
    const { name } = made;
    try {
      writeHead?.(made.buf!);
      const identity = segmentOf(made.buf!);
      const fd = openAny(name);
      try {
        const status = fstat(fd, name);
        if (`${status.device}:${status.inode}` !== identity) throw unsteadyError(name);
        return new OpenSegment(made, fd, true);
      } catch (error) {
        close(fd);
        throw error;
      }
    } catch (error) {
      undoCreate(made);
      throw error;
    }
  }

  /**
   * Attaches to a segment, or makes it if there is none: of all that do so at once, one makes it.
   * {@linkcode OpenSegment.isCreator} tells which one.
   *
   * @param name a checked name
   * @param byteLength the size in bytes of one that is made here
   * @param options mode, reservation and whether to describe it, which are checked here
   * @param writeHead writes what tells its kind, into the first 4096 bytes
   * @param describe gives the text that says what it is
   * @param timeout how long to wait for another creator to write what tells the kind, in milliseconds
   * @param check looks whether a segment that somebody else has made is the one that is meant
   * @param kind the kind that it must be described as, if it is described
   * @param access what is done with the memory, of a kind that may be attached to with the permission to read only
   * @throws {RangeError} if the name is that of an anonymous segment
   */
  static createOrOpen(
    name: string,
    byteLength: number,
    options: CreateOptions | undefined,
    writeHead: WriteHead,
    describe: Describe,
    timeout: number,
    check: SegmentCheck,
    kind: SegmentKind | null = null,
    access?: Access,
  ): OpenSegment {
    checkFreeName(name);
    checkCreateOptions(options, true);
    needStackToMap(false);
    return createOrAttach({
      name,
      byteLength,
      timeout,
      attach: (rest) => OpenSegment.open(name, rest, check, { kind, isThere: true, access }),
      create: () => OpenSegment.create(name, byteLength, options, writeHead, describe, access),
    });
  }

  /**
   * Attaches to a segment, and opens the file of that very segment.
   *
   * A segment that is removed before this has finished looking does not count: its successor is waited for.
   *
   * @param name a checked name
   * @param timeout how long to wait for its creator, in milliseconds
   * @param check looks whether it is the one that is meant
   * @param wanted what else it must be, or may be
   * @throws {TypeError} if it is described as another kind
   * @throws {RangeError} if the name is that of an anonymous segment, and it may be none
   */
  static open(
    name: string,
    timeout: number,
    check: SegmentCheck,
    { kind = null, isThere = false, takesAnonymous = false, access }: WantedSegment = {},
  ): OpenSegment {
    if (!takesAnonymous && isAnonymousName(name)) {
      throw new RangeError(
        `Cannot load ${quote(name)}: names of this form lead to anonymous segments, and ${
          kind === null ? "this kind has" : `${magics[kind].what} has`
        } none`,
      );
    }
    const deadline = performance.now() + timeout;
    // A caller that gave a time limit gets the error of a time limit, also where the time has passed meanwhile.
    const least = Math.min(timeout, 1);
    let rest = timeout;
    for (let successors = 0;; successors++) {
      const memory = openMemory(name, rest, isThere, access);
      let fd: number | null = null;
      try {
        fd = openFile(memory, check, deadline, kind, access === "copy-on-write");
      } catch (error) {
        memory.close();
        if (!hasCode(error, "ENOENT")) throw error;
      }
      if (fd !== null) return new OpenSegment(memory, fd, false);
      memory.close();
      if (isThere) throw unsteadyError(name);
      const isTimeUp = performance.now() >= deadline;
      if (isTimeUp && successors >= MOST_SUCCESSORS) throw unsteadyError(name);
      rest = isTimeUp ? least : Math.ceil(deadline - performance.now());
    }
  }

  /** The size of the mapping in bytes. */
  get byteLength(): number {
    return this.#memory.size;
  }

  /** Whether nothing that is written to the memory reaches the segment. */
  get isReadOnly(): boolean {
    const { buf } = this.#memory;
    return buf !== null && isPrivateCopy(buf);
  }

  /** The memory; `null` after `close()`. */
  get buffer(): ArrayBuffer | null {
    return this.#memory.buf;
  }

  /** Whether `close()` has not been called. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Whether a name still leads to the segment. Without one, no other process can attach any more. */
  get isNamed(): boolean {
    if (isAnonymousName(this.name)) return isAnonymousThere(this.name);
    return fstat(this.#fd, this.name).named !== false;
  }

  /** Whether it says of itself what it is. */
  get isDescribed(): boolean {
    return found.read(this.#fd).isThere;
  }

  /**
   * Takes the lock of the segment, if no other open file has a lock that excludes it. A lock of this open file is
   * replaced, which the kernel does in two steps: others may come between.
   *
   * @param kind whether only one may have it
   * @returns whether it was taken
   * @see {@link https://man7.org/linux/man-pages/man2/flock.2.html | flock(2)}
   */
  tryLock(kind?: LockKind): boolean {
    return tryFlock(this.#fd, this.name, kind);
  }

  /** Gives the lock of the segment back. */
  unlock(): void {
    unflock(this.#fd, this.name);
  }

  /**
   * Takes the lock of one byte of the segment's file, if nobody has it. The byte need not be there: such locks lie
   * beyond the data.
   *
   * @param at the position of the byte
   * @param kind whether only one may have it
   * @returns whether it was taken
   * @see {@link https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html | F_OFD_SETLK(2const)}
   */
  tryLockByte(at: number, kind?: LockKind): boolean {
    return tryLockByte(this.#fd, at, this.name, kind);
  }

  /** Gives the lock of one byte back. */
  unlockByte(at: number): void {
    unlockByte(this.#fd, at, this.name);
  }

  /**
   * Whether another open file has the lock of one byte. A lock of this open file does not count.
   *
   * @param at the position of the byte
   */
  isByteLocked(at: number): boolean {
    return findByteLock(this.#fd, at, 1, this.name) !== null;
  }

  /**
   * Whether a process has the lock of one byte, as `/proc` tells. A process that this one may not look at has none.
   *
   * @param pid the process
   * @param at the position of the byte
   */
  isByteLockedBy(pid: number, at: number): boolean {
    const { device, inode } = fstat(this.#fd, this.name);
    return ownsByteLock(pid, identityText(device, inode), at);
  }

  /**
   * Removes the segment's name, and leaves one that leads to another segment by now.
   *
   * @returns whether it was removed
   */
  unlink(): boolean {
    return this.#memory.unlink();
  }

  /** Gives up the mapping only: the locks stay until `close()`. */
  closeMemory(): void {
    this.#memory.close();
  }

  /** Gives up the mapping, the descriptor and all locks; the second time does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#memory.close();
    this.#isClosed = true;
    dropped.unregister(this);
    close(this.#fd);
  }
}

/**
 * Checks that the kernel of this system locks segments.
 *
 * @param action what the caller is about to do with the segment, for the message: "create"
 * @param name the segment's name
 * @param what what needs the locks, for the message: "locks between processes are"
 * @throws {Deno.errors.NotSupported} if it does not
 */
export function checkLocksSegments(action: string, name: string, what: string): void {
  if (platform().os === "linux") return;
  throw notSupported(`Cannot ${action} ${quoteName(name)}: ${what} to be had on Linux only`);
}

/** Attaches. Where that is not permitted, there is another way out than for arrays, which need not write. */
function openMemory(
  name: string,
  timeout: number,
  isThere: boolean,
  access: Access | undefined,
): SharedMemory {
  try {
    return openRawMemory(name, { timeout, access }, undefined, "open", isThere);
  } catch (error) {
    if (access === undefined && hasCode(error, "EACCES") && !isAnonymousName(name)) {
      close(openAny(name));
    }
    throw error;
  }
}

/** Opens a segment once more, by its name. */
function openAny(name: string, readOnly = false): number {
  if (isAnonymousName(name)) return openAnonymous(name, readOnly);
  const { O_RDONLY, O_RDWR } = platform().flags;
  return shmOpen(name, readOnly ? O_RDONLY : O_RDWR, 0, denialAdvice);
}

/**
 * Opens the file of a segment, once it is known to be the one that is meant.
 *
 * @returns a descriptor; `null` if the name is gone, or leads to another segment by now
 */
function openFile(
  memory: SharedMemory,
  check: SegmentCheck,
  deadline: number,
  kind: SegmentKind | null,
  readOnly: boolean,
): number | null {
  const { name } = memory;
  const last = Math.max(deadline, performance.now() + CREATOR_TIMEOUT);
  while (true) {
    // The name is looked at after each look at the content: only a segment that nobody removed is refused.
    let refusal: { readonly error: unknown } | null = null;
    let isWhole = false;
    try {
      isWhole = check(memory, performance.now() >= last);
    } catch (error) {
      refusal = { error };
    }
    const fd = openAny(name, readOnly);
    try {
      const { device, inode } = fstat(fd, name);
      if (segmentOf(memory.buf!) !== `${device}:${inode}`) {
        close(fd);
        return null;
      }
      // What is too small, or has zeros in the place of the magic, may say that it is something else.
      if (kind !== null && (refusal === null || refusal.error instanceof RangeError)) {
        refuseDescribed(fd, kind, name);
      }
      if (refusal !== null) throw refusal.error;
    } catch (error) {
      close(fd);
      throw error;
    }
    if (isWhole) return fd;
    close(fd);
    sleep(1);
  }
}

/** Throws if a segment says that it is of another kind. */
function refuseDescribed(fd: number, kind: SegmentKind, name: string): void {
  const described = found.read(fd).value?.kind;
  if (described === undefined || described === kind) return;
  const { what } = magics[kind];
  throw new TypeError(
    `Cannot load ${
      quoteName(name)
    } as ${what}: the segment is not that of ${what}, but described as ` +
      `${described === "array" ? "an" : "a"} ${described}; nothing was written to it`,
  );
}

function unsteadyError(name: string): Error {
  return notFound(
    `Cannot load ${quote(name)}: its name leads to one segment after another, none of which stays`,
  );
}

const denialAdvice: Advice = (code) =>
  code === "EACCES"
    ? "every process that takes part must read and write; create({ mode: 0o666 }) lets everybody"
    : undefined;
