/**
 * A mapped segment: how it is made, attached to and given up, so that nothing can crash or leak.
 *
 * @module
 */

import { type Advice, hasCode } from "../../ffi/errors.ts";
import { close, fstat, type OpenFileStatus, read } from "../../ffi/files.ts";
import { addressOf, bufferOver, mmap, munmap, type Region } from "../../ffi/mman.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { FAMILIAR_FRAMES, isDetached, needStack, quoteName, UNFAMILIAR_FRAMES } from "../check.ts";
import { invalidData, notFound } from "../errors.ts";
import { HEAD_BYTES } from "../words.ts";
import { sleep } from "../process/parent.ts";
import { countMappings, mostMappings } from "../process/proc.ts";
import {
  checkAvailable,
  isAnonymousName,
  makeAnonymous,
  openAnonymous,
  sealSize,
} from "./anonymous.ts";
import { markSegment, type SegmentIdentity, tellClosing, unmarkSegment } from "./buffer_segment.ts";
import { checkFileSizeLimit, makeSegment, setSize, type WriteHead } from "./create_segment.ts";
import { canDescribe, type Describe, found, type FoundDescription } from "./description.ts";
import { directoryAdvice, unlink, unlinkOwn } from "./file.ts";

/** How a segment is made. */
export interface CreateOptions {
  /** The permission bits, set exactly and not thinned by the umask; by default `0o600`.
   * Others attach with permission to write (`0o666`), or copy-on-write with permission to read (`0o644`). */
  mode?: number;
  /**
   * Whether to reserve memory for the whole segment (the default), so that a full `/dev/shm` is an
   * error with code `ENOSPC` here. Without, the segment is sparse: memory is taken at the first write
   * to each page, and where there is none left that write ends the process with a bus error.
   */
  reserve?: boolean;
  /**
   * Whether to write beside the segment what it is (the default), as an extended attribute of its file: by that
   * `load()` sees that it is the array that is meant, and `attach()` and the shell need the name only. Where the
   * system has no such attributes (before Linux 6.6; macOS), there is none.
   */
  describe?: boolean;
}

/** How a segment is attached to. */
export interface OpenOptions {
  /**
   * What is done with the elements. `"read-write"` (the default) shares them with everybody, and needs
   * the permission to read and to write. `"copy-on-write"` needs the permission to read only: what others
   * write is seen until this process writes to the same page (4096 bytes on most machines); what it
   * writes stays private, and is gone after `close()`.
   */
  access?: "read-write" | "copy-on-write";
  /**
   * How many milliseconds to wait, blocking, for a segment that nobody has created yet; by default 0. An
   * anonymous segment is there before its name is, and is not waited for.
   */
  timeout?: number;
  /**
   * Whether to take the bytes as an array of the shape, element type and layout that this instance has, whatever
   * the segment says that it is; by default it must say the same, if it says anything.
   */
  reinterpret?: boolean;
}

/** How a segment is attached to, or made if there is none. */
export interface CreateOrLoadOptions extends CreateOptions, OpenOptions {
  /**
   * How many milliseconds to wait, blocking, for a segment whose name is there before its size is, as another
   * program may make it; at least one second. One that is not there is made at once.
   */
  timeout?: number;
}

/**
 * Gives up mappings whose buffer was garbage-collected. The memory may live on in another buffer, if
 * `transfer()` or `postMessage()` moved it there, so it must not be unmapped.
 */
const abandoned = new FinalizationRegistry<Region>((region) => {
  for (const each of [...notGivenUp.splice(0), region]) {
    try {
      layZeroPages(each);
    } catch {
      // The system has no memory for zero pages now (overcommit is refused): nobody could catch an error here.
      notGivenUp.push(each);
    }
  }
});

/** Abandoned mappings that could not be given up; they are tried again with the next one. */
const notGivenUp: Region[] = [];

/** A segment that is mapped into this process, as an `ArrayBuffer`. */
export class Mapping {
  /** The segment's name. */
  readonly name: string;
  /** The size of the segment, in bytes. */
  readonly byteLength: number;
  readonly #segment: SegmentIdentity;
  readonly #region: Region;
  #buffer: ArrayBuffer | null;
  /** Whether `close()` has detached the buffer, and has not unmapped the memory yet. */
  #isEmptied = false;

  private constructor(segment: SegmentIdentity, byteLength: number, region: Region) {
    this.name = segment.name;
    this.byteLength = byteLength;
    this.#segment = segment;
    this.#region = region;
    // From here on the buffer is the owner: any view of it keeps the mapping alive.
    this.#buffer = bufferOver(region, byteLength);
    markSegment(this.#buffer, segment);
    abandoned.register(this.#buffer, region, this);
  }

  /** The buffer over the mapping; `null` after `close()`. */
  get buffer(): ArrayBuffer | null {
    return this.#buffer;
  }

  /**
   * Makes a segment, zero-filled, and maps it. If a step fails, what the ones before made is removed.
   *
   * @param name a checked name that no segment has
   * @param byteLength the size in bytes, at least 1
   * @param options mode and reservation, checked
   * @param describe gives the text of its description; `null` for none
   * @param writeHead writes how it begins, before it has its name; `null` for a segment that somebody may find
   * before it has its size
   * @param isPrivate whether what is written through this mapping stays private
   */
  static create(
    name: string,
    byteLength: number,
    options: CreateOptions,
    describe: Describe | null,
    writeHead: WriteHead | null,
    isPrivate: boolean,
  ): Mapping {
    const { mode = 0o600, reserve = true } = options;
    const { fd, device, inode } = makeSegment(
      name,
      byteLength,
      mode,
      reserve,
      describe,
      writeHead,
    );
    try {
      return Mapping.#map(fd, { name, device, inode, isPrivate }, byteLength);
    } catch (error) {
      unlinkOwn(name, { device, inode });
      throw error;
    } finally {
      close(fd);
    }
  }

  /**
   * Makes an anonymous segment, zero-filled, and maps it. Its descriptor stays open: `unlink()` of its
   * name closes it. If a step fails, nothing is left.
   *
   * @param label what `/proc` shows in the place of a name
   * @param byteLength the size in bytes, at least 1
   * @param options mode and reservation, checked
   * @param describe gives the text of its description; `null` for none
   */
  static createAnonymous(
    label: string,
    byteLength: number,
    options: CreateOptions,
    describe: Describe | null = null,
  ): Mapping {
    const { mode = 0o600, reserve = true } = options;
    const { fd, name } = makeAnonymous(label, mode, describe);
    try {
      checkFileSizeLimit(name, byteLength, reserve);
      if (reserve) checkAvailable(name, byteLength);
      setSize(fd, name, byteLength, reserve);
      sealSize(fd, name);
      const { device, inode } = fstat(fd, name);
      return Mapping.#map(fd, { name, device, inode }, byteLength);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /**
   * Attaches to a segment. Never removes anything.
   *
   * @param name a checked name
   * @param options access and timeout, checked
   * @param look looks at the segment before it is mapped
   * @param isThere whether only a segment will do that is there now, and stays until it has its size
   */
  static open(name: string, options: OpenOptions, look?: SegmentLook, isThere = false): Mapping {
    const { access = "read-write", timeout = 0 } = options;
    const isPrivate = access === "copy-on-write";
    const deadline = timeout === 0 ? 0 : performance.now() + timeout;
    while (true) {
      const { fd, status } = isAnonymousName(name)
        ? statusOf(openAnonymous(name, isPrivate), name)
        : openOnceSized(name, isPrivate, timeout, deadline, isThere);
      try {
        const { byteLength, device, inode } = status;
        if (look !== undefined) lookAt(look, fd, name, byteLength, deadline);
        return Mapping.#map(fd, { name, device, inode, isPrivate }, byteLength);
      } catch (error) {
        if (error !== REMOVED) throw error;
      } finally {
        close(fd);
      }
    }
  }

  /**
   * Removes the segment's name. As long as this is not closed, a name that leads to another segment by now stays.
   *
   * @returns `false` if the name is gone, or another segment's
   */
  unlink(): boolean {
    return this.#buffer === null ? unlink(this.name) : unlinkOwn(this.name, this.#segment);
  }

  static #map(fd: number, segment: SegmentIdentity, byteLength: number): Mapping {
    const region = mapPages(fd, segment.name, byteLength, segment.isPrivate === true);
    try {
      return new Mapping(segment, byteLength, region);
    } catch (error) {
      munmap(region);
      throw error;
    }
  }

  /**
   * Gives up the mapping; the second time does nothing. Every view of the buffer is detached first,
   * so that none can touch memory that is gone. The segment and its name stay.
   *
   * If the system refuses, the mapping stays as it is, and can be closed again.
   */
  close(): void {
    const buffer = this.#buffer;
    if (buffer === null) return;
    // Nothing may throw between a call of the system and the line that notes it.
    needStack(hasClosed ? FRAMES_TO_CLOSE : UNFAMILIAR_FRAMES_TO_CLOSE);
    if (!this.#isEmptied) {
      tellClosing(buffer);
      if (!isDetached(buffer) && detach(buffer)) {
        this.#isEmptied = true;
      } else {
        // Somebody moved the memory into another buffer, or marked the buffer as one that cannot be moved. Either
        // way there are views that must not lose their pages.
        layZeroPages(this.#region);
        if (!isDetached(buffer)) unmarkSegment(buffer);
      }
    }
    // The finalizer must not run after this: the addresses may be another mapping's then.
    abandoned.unregister(this);
    if (this.#isEmptied) munmap(this.#region);
    this.#buffer = null;
    hasClosed = true;
  }
}

/** Whether a mapping was closed before: V8 has then compiled all that `close()` calls. */
let hasClosed = false;

// `close()` needs less than what makes a mapping: whoever could make one can close it from where they are.
const FRAMES_TO_CLOSE = FAMILIAR_FRAMES / 2;
const UNFAMILIAR_FRAMES_TO_CLOSE = UNFAMILIAR_FRAMES / 2;

/**
 * Looks whether there is stack enough to make a mapping and to close it again.
 *
 * @param isFamiliar whether V8 has compiled all that the caller calls until it is done
 * @throws {RangeError} if there is not
 */
export function needStackToMap(isFamiliar: boolean): void {
  needStack(isFamiliar && hasClosed ? FAMILIAR_FRAMES : UNFAMILIAR_FRAMES);
}

// A program may replace methods on the prototype or on a buffer. These are taken when this file is loaded,
// before it can.
const { apply } = Reflect;
const { transfer } = ArrayBuffer.prototype;

/** Empties all views of a buffer, without a copy; tells whether it could. */
function detach(buffer: ArrayBuffer): boolean {
  try {
    apply(transfer, buffer, [0]);
  } catch {
    // The buffer was marked as one that cannot be moved. The next line looks whether it is detached.
  }
  return isDetached(buffer);
}

// --- Attaching -------------------------------------------------------------------------------

/** An open segment, and what `fstat` said of it. */
interface Opened {
  readonly fd: number;
  readonly status: OpenFileStatus;
}

/**
 * Opens a segment that has a size, and waits for its creator as long as the caller asked for. A segment that is
 * removed before it had a size does not count: with a time limit, the next one of its name is waited for, unless
 * only one will do that is there now.
 */
function openOnceSized(
  name: string,
  isPrivate: boolean,
  timeout: number,
  deadline: number,
  isThere: boolean,
): Opened {
  for (let wasRemoved = false;; wasRemoved = true) {
    const fd = openOnceThere(name, isPrivate, isThere ? 0 : timeout, deadline, wasRemoved);
    const status = statusOnceSized(fd, name, deadline);
    if (status !== null) return { fd, status };
    close(fd);
    if (isThere) {
      throw notFound(`Cannot attach to ${quoteName(name)}: its creator gave up and removed it`);
    }
    if (timeout === 0) throw removedError(name);
    // When time is up, there is one more look for the name; a new segment without a size is not waited for again.
    if (wasRemoved && performance.now() > deadline) {
      throw notFound(`Cannot attach to ${quoteName(name)}: ${givenUpText(timeout)}`);
    }
  }
}

function removedError(name: string): Error {
  return new RangeError(
    `Cannot attach to ${quoteName(name)}: its size is 0 bytes; its creator gave up and removed it`,
  );
}

function givenUpText(timeout: number): string {
  return `its creator gave up and removed it, and nobody has created it again for ${timeout} ms`;
}

/** Looks at an open segment that has its size from the beginning; closes it if it cannot be looked at. */
function statusOf(fd: number, name: string): Opened {
  const status = statusOnceSized(fd, name, 0);
  if (status !== null) return { fd, status };
  close(fd);
  throw removedError(name);
}

/** Opens a segment, waiting for its creator until the deadline; without one, there is one look. */
function openOnceThere(
  name: string,
  isPrivate: boolean,
  timeout: number,
  deadline: number,
  wasRemoved: boolean,
): number {
  const { O_RDONLY, O_RDWR, O_NONBLOCK } = platform().flags;
  // Opened to read only, a FIFO in the place of a segment would block.
  const flags = isPrivate ? O_RDONLY | O_NONBLOCK : O_RDWR;
  const advice = isPrivate ? absentAdvice : attachAdvice;
  if (timeout === 0) return shmOpen(name, flags, 0, advice);
  const lateAdvice: Advice = (code) =>
    code === "ENOENT"
      ? directoryAdvice(code) ??
        (wasRemoved ? givenUpText(timeout) : `nobody has created it for ${timeout} ms`)
      : advice(code);
  for (let pause = 1;; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return shmOpen(name, flags, 0, lateAdvice);
    } catch (error) {
      const left = deadline - performance.now();
      if (left <= 0 || !hasCode(error, "ENOENT")) throw error;
      sleep(Math.min(pause, left));
    }
  }
}
/** Looking every 8 ms for a segment takes less than 1 % of a processor. */
const LONGEST_PAUSE = 8;

const absentAdvice: Advice = (code) =>
  code === "ENOENT"
    ? directoryAdvice(code) ?? "load({ timeout }) waits for its creator"
    : undefined;

const attachAdvice: Advice = (code) =>
  code === "EACCES" || code === "EROFS"
    ? 'attaching wants to write, too; load({ access: "copy-on-write" }) needs to read only'
    : absentAdvice(code);

/** How long `open` waits at least for a creator to set the size, in milliseconds. */
const SIZE_TIMEOUT = 1000;

/**
 * Looks at an open segment, once its creator has set the size. It closes a segment of which it throws.
 *
 * @param fd the segment
 * @param name its name
 * @param deadline until when to wait at least
 * @returns its status; `null` if it was removed before it had a size
 */
function statusOnceSized(fd: number, name: string, deadline: number): OpenFileStatus | null {
  let last = 0;
  try {
    while (true) {
      const status = fstat(fd, name);
      if (!status.regular) {
        throw invalidData(`Cannot attach to ${quoteName(name)}: it is no shared memory segment`);
      }
      if (status.byteLength > 0) return status;
      if (status.named === false) return null;
      last ||= Math.max(deadline, performance.now() + SIZE_TIMEOUT);
      if (performance.now() > last) {
        throw new RangeError(
          `Cannot attach to ${quoteName(name)}: its size is 0 bytes; its creator has not set one`,
        );
      }
      sleep(1);
    }
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * Looks at a segment by what it says of itself, its size and its first {@linkcode HEAD_BYTES}, which are read when
 * they are asked for. It throws if that is none of the caller's kind, and gives `false` if something is missing that
 * its creator may be about to write; not at the last look.
 */
export type SegmentLook = (
  found: FoundDescription,
  byteLength: number,
  readHead: () => Uint8Array,
  isLast: boolean,
) => boolean;

/** Tells that a segment was removed before it said what it is: its successor is the one that is meant. */
const REMOVED = Symbol("removed");

/** Looks at an open segment, and waits for a description as long as for a size. */
function lookAt(
  look: SegmentLook,
  fd: number,
  name: string,
  byteLength: number,
  deadline: number,
): void {
  let head: Uint8Array | null = null;
  const headOf = (): Uint8Array => head ??= readHead(fd, name);
  if (look(found.read(fd), byteLength, headOf, false)) return;
  const last = canDescribe(fd, name) ? Math.max(deadline, performance.now() + SIZE_TIMEOUT) : 0;
  for (let pause = 1;; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const isLast = performance.now() >= last;
    if (look(found.read(fd), byteLength, headOf, isLast) || isLast) return;
    sleep(pause);
    if (!isAnonymousName(name) && fstat(fd, name).named === false) throw REMOVED;
  }
}

/**
 * Reads how a segment begins. It is not read through a mapping: where `/dev/shm` is full, the first look at a page
 * that was not reserved would end the process.
 */
function readHead(fd: number, name: string): Uint8Array {
  // macOS has no read() for segments, and none of the kinds that could be found there.
  if (platform().directory === null) return head.subarray(0, 0);
  const count = read(fd, head, name);
  return count === head.length ? head : head.subarray(0, count);
}
const head = new Uint8Array(HEAD_BYTES);

// --- Mapping ---------------------------------------------------------------------------------

/**
 * Maps an open segment, readable and writable: shared with every process that maps it, or so that what
 * this one writes goes to private copies of the pages.
 */
function mapPages(fd: number, name: string, byteLength: number, isPrivate: boolean): Region {
  const { flags, takesAddressHint, mapsBeyondEnd } = platform();
  const { PROT_READ, PROT_WRITE, MAP_SHARED, MAP_PRIVATE, MAP_NORESERVE } = flags;
  // Few pages are copied, mostly: memory for all of them is not asked for in advance.
  const sharing = isPrivate ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
  const isHuge = byteLength >= HUGE && takesAddressHint;
  const hint = isHuge ? hugeHint : 0n;
  const span = byteLength >= LARGE && mapsBeyondEnd ? byteLength + GAP : byteLength;
  const region = mmap(hint, BigInt(span), PROT_READ | PROT_WRITE, sharing, fd, name, addressAdvice);
  if (isHuge) {
    const start = addressOf(region);
    hugeHint = start - start % BigInt(HUGE);
  }
  return region;
}

const addressAdvice: Advice = (code) => {
  if (code !== "ENOMEM") return undefined;
  const [count, most] = [countMappings(), mostMappings()];
  // V8 and other libraries have mappings, too.
  if (count === null || most === null || count < most * 0.95) return undefined;
  return `this process has ${count} mappings, and vm.max_map_count allows ${most}: close arrays that are ` +
    "not needed, or let sysctl raise it";
};

/** The size from which on a mapping has page tables of its own: a GiB. */
const HUGE = 2 ** 30;

/**
 * The address at which the next huge mapping should begin. At a multiple of a GiB it shares no page table with
 * its neighbours, through which the kernel would search when it is unmapped (3.2 µs for both calls, instead of
 * 3.3 to 7.7 by chance; `bench/attach_bench.ts` shows it). The kernel takes another address where something is
 * mapped there.
 */
let hugeHint = 0n;

/** The size from which on a mapping reaches beyond the end of its segment, where nobody ever looks. */
const LARGE = 2 ** 24;

/**
 * How far a large mapping reaches beyond the end of its segment. The kernel puts large mappings side by
 * side, and a loop over two arrays of the same size then meets both at addresses that the processor
 * confuses: of 64 MiB each, `y += a * x` in C takes 0.71 ns per element, and 0.43 with 64 KiB between them
 * (axpy in `bench/bulk_bench.ts` shows it). Up to 16 MiB it makes no difference.
 */
const GAP = 2 ** 16;

/**
 * Puts private zero pages in the place of a mapping, at the same address. The memory is given back when
 * nobody else maps it; the address range stays taken.
 */
function layZeroPages(region: Region): void {
  const f = platform().flags;
  const protection = f.PROT_READ | f.PROT_WRITE;
  const flags = f.MAP_PRIVATE | f.MAP_ANONYMOUS | f.MAP_FIXED | f.MAP_NORESERVE;
  mmap(addressOf(region), region.span, protection, flags, -1, null);
}
