/**
 * A mapped segment: how one is made, attached to and given up so that nothing can crash or leak.
 *
 * @module
 */

import {
  close,
  mapShared,
  mapZeroOver,
  setMode,
  setSize,
  shmOpen,
  shmUnlink,
  status,
  unmap,
} from "../../ffi/library.ts";

/** How a segment is made. */
export interface CreateOptions {
  /** The permission bits, set exactly and not thinned by the umask; by default `0o600`. */
  mode?: number;
  /**
   * Whether to reserve memory for the whole segment (the default), so that a full `/dev/shm` is an
   * error with code `ENOSPC` here. Without, the segment is sparse: memory is taken at the first write
   * to each page, and where there is none left that write ends the process with a bus error.
   */
  reserve?: boolean;
}

/**
 * What becomes of a mapping whose buffer is garbage. The memory may live on in another buffer, if
 * `transfer()` or `postMessage()` moved it there, so it must not be unmapped: private zero pages are
 * laid over it, which gives the shared memory back and keeps only the address range.
 */
const abandoned = new FinalizationRegistry<Region>(({ address, byteLength }) => {
  mapZeroOver(address, byteLength);
});

interface Region {
  readonly address: Deno.PointerObject;
  readonly byteLength: number;
}

/** A segment that is mapped into this process, as an `ArrayBuffer`. */
export class Mapping {
  /** The segment's name. */
  readonly name: string;
  /** The size of the segment, in bytes. */
  readonly byteLength: number;
  readonly #address: Deno.PointerObject;
  #buffer: ArrayBuffer | null;

  private constructor(name: string, { address, byteLength }: Region) {
    this.name = name;
    this.byteLength = byteLength;
    this.#address = address;
    // From here on the buffer is the owner: who holds a view of it keeps the mapping.
    this.#buffer = Deno.UnsafePointerView.getArrayBuffer(address, byteLength);
    abandoned.register(this.#buffer, { address, byteLength }, this);
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
   */
  static create(name: string, byteLength: number, options: CreateOptions): Mapping {
    const { mode = 0o600, reserve = true } = options;
    const fd = shmOpen(name, "create", mode);
    try {
      setMode(fd, name, mode);
      setSize(fd, name, byteLength, reserve);
      return Mapping.#map(fd, name, byteLength);
    } catch (error) {
      removeOwn(fd, name);
      throw error;
    } finally {
      close(fd);
    }
  }

  /**
   * Attaches to a segment that is there. Never removes anything.
   *
   * @param name a checked name
   */
  static open(name: string): Mapping {
    const fd = shmOpen(name, "open");
    try {
      return Mapping.#map(fd, name, sizeOnceSet(fd, name));
    } finally {
      close(fd);
    }
  }

  static #map(fd: number, name: string, byteLength: number): Mapping {
    const region = { address: mapShared(fd, name, byteLength), byteLength };
    try {
      return new Mapping(name, region);
    } catch (error) {
      unmap(region.address, byteLength);
      throw error;
    }
  }

  /**
   * Gives up the mapping; the second time does nothing. Every view of the buffer is detached first,
   * so that none can touch memory that is gone. The segment and its name stay.
   */
  close(): void {
    const buffer = this.#buffer;
    if (buffer === null) return;
    this.#buffer = null;
    abandoned.unregister(this);
    if (buffer.detached) {
      // Somebody moved the memory into another buffer, which must not lose its pages under it.
      mapZeroOver(this.#address, this.byteLength);
      return;
    }
    buffer.transfer(0);
    unmap(this.#address, this.byteLength);
  }
}

/** Removes a segment's name; `false` if it was gone already. */
export { shmUnlink as unlink };

/** Undoes a creation that failed half-way, unless somebody removed the name meanwhile. */
function removeOwn(fd: number, name: string): void {
  if (status(fd, name).named) shmUnlink(name);
}

/** How long `open` waits for a creator to set the size, in milliseconds. */
const SIZE_TIMEOUT = 1000;

/** The size of an open segment, once its creator has set it. */
function sizeOnceSet(fd: number, name: string): number {
  let deadline = 0;
  while (true) {
    const { byteLength, regular, named } = status(fd, name);
    if (!regular) {
      throw new Deno.errors.InvalidData(
        `Cannot attach to '${name}': it is no shared memory segment`,
      );
    }
    if (byteLength > 0) return byteLength;
    deadline ||= performance.now() + SIZE_TIMEOUT;
    if (!named || performance.now() > deadline) {
      throw new RangeError(
        `Cannot attach to '${name}': its size is 0 bytes; ` +
          (named ? "its creator has not set one" : "its creator gave up and removed it"),
      );
    }
    Atomics.wait(sleeper, 0, 0, 1);
  }
}
const sleeper = new Int32Array(new SharedArrayBuffer(4));
