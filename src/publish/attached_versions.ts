/**
 * Decides which versions of a publication an instance keeps mapped. Mapped memory is not given back to the
 * system, and garbage collection comes too late to rely on it.
 *
 * @module
 */

import { isDetached, quoteName } from "../check.ts";
import { badResource } from "../errors.ts";
import { explainGone, goneMessage } from "../ndarray/mod.ts";

/** A version that is mapped. */
interface AttachedVersion {
  readonly number: number;
  readonly byteLength: number;
  /** The memory. Only views keep it alive: a version without a view may be collected as garbage. */
  readonly buffer: WeakRef<ArrayBuffer>;
  /** Whether the user has a view of it. */
  isGiven: boolean;
  /** How many holds there are. */
  holds: number;
}

/** The object that closes the mapping of a version, by the version's buffer. It does not keep the buffer alive. */
const closers = new WeakMap<ArrayBuffer, { close(): void }>();

/** Forgets a version that was collected as garbage. Looking by `deref()` would keep it alive for a while. */
const collected = new FinalizationRegistry<() => void>((forget) => forget());

/**
 * The versions that an instance has mapped, from the oldest to the newest. It keeps the newest, the one before,
 * and those that are held; of the others as many as the user chose, as long as they take no more than a share
 * of the memory for segments.
 */
export class AttachedVersions {
  readonly #name: string;
  readonly #keep: number;
  readonly #mostBytes: number;
  readonly #versions = new Set<AttachedVersion>();

  /**
   * @param name the publication's name
   * @param keep how many of the rest stay, at most
   * @param mostBytes how many bytes the rest may have
   */
  constructor(name: string, keep: number, mostBytes: number) {
    this.#name = name;
    this.#keep = keep;
    this.#mostBytes = mostBytes;
  }

  /**
   * Adds the newest version, and closes old ones if there are too many.
   *
   * @param number its number
   * @param buffer its memory
   * @param owner closes the mapping
   * @returns tells that the user gets a view of it, and holds it
   */
  add(number: number, buffer: ArrayBuffer, owner: { close(): void }): VersionHandle {
    closers.set(buffer, owner);
    const version = {
      number,
      byteLength: buffer.byteLength,
      buffer: new WeakRef(buffer),
      isGiven: false,
      holds: 0,
    };
    this.#versions.add(version);
    collected.register(buffer, () => this.#versions.delete(version));
    this.trim();
    return {
      give: () => void (version.isGiven = true),
      hold: () => this.#hold(version),
    };
  }

  /** Closes the oldest versions while there are too many. */
  trim(): void {
    this.#closeRest(this.#keep, this.#mostBytes);
  }

  /**
   * Closes every version that may be closed, because the system has no more memory, mappings or descriptors.
   *
   * @returns whether there was one
   */
  giveUp(): boolean {
    return this.#closeRest(0, 0);
  }

  /**
   * Closes older versions.
   *
   * @param keep how many of the newest stay; held ones stay, too
   */
  closeOlder(keep: number): void {
    for (const version of [...this.#versions].slice(0, -keep)) {
      if (version.holds === 0) this.#close(version, "closeOlder()");
    }
  }

  /** Closes all. */
  closeAll(): void {
    for (const version of this.#versions) this.#close(version, null);
  }

  #closeRest(keep: number, mostBytes: number): boolean {
    const [newest, ...older] = [...this.#versions].reverse();
    let isBefore = true; // the newest that was given out before the newest of all
    let [count, bytes, isClosed] = [0, 0, false];
    for (const version of newest === undefined ? [] : older) {
      if (version.holds > 0) continue;
      if (version.isGiven) {
        if (isBefore) {
          isBefore = false;
          continue;
        }
        count++;
        bytes += version.byteLength;
        if (count <= keep && bytes <= mostBytes) continue;
      }
      this.#close(version, `${this.#keep} old versions, or an eighth of the memory for segments`);
      isClosed = true;
    }
    return isClosed;
  }

  /** Closes a version; its views then say why. */
  #close(version: AttachedVersion, limit: string | null): void {
    this.#versions.delete(version);
    const buffer = version.buffer.deref();
    if (buffer === undefined) return;
    if (limit !== null) {
      explainGone(
        buffer,
        `Cannot use version ${version.number} of ${quoteName(this.#name)}: ` +
          "it was closed, because there is " +
          `a newer one, and this instance keeps no more than ${limit}; hold() keeps a version`,
      );
    }
    closers.get(buffer)?.close();
  }

  #hold(version: AttachedVersion): Disposable {
    const buffer = version.buffer.deref();
    if (buffer !== undefined && isDetached(buffer)) throw badResource(goneMessage(buffer));
    version.holds++;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        version.holds--;
        this.trim();
      },
    };
  }
}

/** What a mapped version offers. */
export interface VersionHandle {
  /** Tells that the user gets a view of it. */
  give(): void;
  /** Keeps it mapped until the result is disposed of. */
  hold(): Disposable;
}
