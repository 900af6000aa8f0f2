/**
 * Who comes first makes a segment, and all others attach to it.
 *
 * @module
 */

import { hasCode } from "../../ffi/errors.ts";
import { close, open, statx } from "../../ffi/files.ts";
import { tryFlock } from "../../ffi/flock.ts";
import { platform } from "../../ffi/platform.ts";
import { sleep } from "../process/parent.ts";
import { directoryAdvice, pathOf } from "./file.ts";

/** What is to be attached to, or made. */
export interface Wanted<T> {
  /** The checked name of the segment. */
  readonly name: string;
  /** The size in bytes of one that is made here. */
  readonly byteLength: number;
  /** How long to wait for a segment that somebody else has named before it is whole, in milliseconds. */
  readonly timeout: number;
  /**
   * Attaches to the segment that has the name, and waits for it as long as it is told, in milliseconds. It throws an
   * error with the code `ENOENT` if there is none, or it is removed meanwhile.
   */
  readonly attach: (rest: number) => T;
  /** Makes it. It throws an error with the code `EEXIST` if the name is taken. */
  readonly create: () => T;
}

/** How often one tries at least, also where the time is up. */
const LEAST_TRIES = 100;

/** How long one that has no turn tries to make a segment where there is no room, in milliseconds. */
const FULL_PATIENCE = 100;

/** The size in bytes from which on a segment is made by one process at a time: with less, waiting takes longer. */
const LARGE = 2 ** 20;

/**
 * Attaches to a segment, or makes it if there is none. Of all that do so at once, one makes it.
 *
 * What is made must get its name when it is whole. Then a creator that is killed leaves no name that leads to half
 * a segment, and whoever finds the name finds all. A segment that is removed meanwhile does not count: there is
 * none then, and the next one is made.
 *
 * Several that make the same large segment at once would take its memory several times, until one of them has given
 * it its name. So they take turns. That nobody else makes one does not depend on it: a turn that does not come (its
 * holder may have been stopped) is not waited for any longer than a reservation may take.
 *
 * @returns what one of the two gave
 * @throws what either throws for another reason
 */
export function createOrAttach<T>(wanted: Wanted<T>): T {
  const { name, byteLength, timeout, attach, create } = wanted;
  const start = performance.now();
  const patience = Math.max(timeout, patienceFor(byteLength));
  const turn = byteLength < LARGE ? null : new Turn(name, start + patience);
  try {
    for (let tries = 1;; tries++) {
      try {
        return attach(Math.max(0, timeout - (performance.now() - start)));
      } catch (error) {
        if (!hasCode(error, "ENOENT")) throw error;
      }
      if (turn?.await()) continue; // It may have been made meanwhile.
      try {
        return create();
      } catch (error) {
        const spent = performance.now() - start;
        if (hasCode(error, "ENOSPC")) {
          // Several may be making the same segment, and all but one of them will give their memory back.
          if (turn?.isHeld || spent > FULL_PATIENCE) throw error;
          sleep(1 + 4 * Math.random());
          continue;
        }
        if (!hasCode(error, "EEXIST", "ENOENT")) throw error;
        // Without a folder there is no segment, and none can be made.
        if (hasCode(error, "ENOENT") && directoryAdvice("ENOENT") !== undefined) throw error;
        if (spent > patience && tries >= LEAST_TRIES) throw error;
      }
    }
  } finally {
    turn?.end();
  }
}

/**
 * How long the making of a segment may take, in milliseconds: a second, and more for a large one. To reserve 4 GiB
 * takes some 2 s, and on a busy machine a multiple of it.
 */
function patienceFor(byteLength: number): number {
  return 1000 + byteLength / 2 ** 18;
}

/**
 * The turn to make a large segment: a lock of the kernel on the folder of segments, of which one process at a time
 * gets hold. It is given back when its holder ends, however it ends.
 */
class Turn {
  readonly #name: string;
  readonly #deadline: number;
  #fd: number | null = null;
  #isOver = false;

  constructor(name: string, deadline: number) {
    this.#name = name;
    this.#deadline = deadline;
  }

  /** Whether this process has the turn. */
  get isHeld(): boolean {
    return this.#fd !== null;
  }

  /**
   * Waits for the turn.
   *
   * @returns whether to look for the segment again: this has waited, or got the turn; `false` when there is nothing
   * more to wait for
   */
  await(): boolean {
    const { directory } = platform();
    if (this.#isOver || this.#fd !== null || directory === null) return false;
    let fd: number | null = null;
    try {
      fd = open(directory, platform().flags.O_RDONLY);
      for (let pause = 0.2; !tryFlock(fd, directory); pause = Math.min(2 * pause, LONGEST_PAUSE)) {
        if (performance.now() > this.#deadline) return !(this.#isOver = true);
        sleep(pause);
        if (statx(pathOf(this.#name)) !== null) return true;
      }
      this.#fd = fd;
      fd = null;
      return true;
    } catch (error) {
      // A turn saves memory, and is not needed: a folder that cannot be read or locked does without.
      if (!hasCode(error, ...NO_TURNS)) throw error;
      this.#isOver = true;
      return false;
    } finally {
      if (fd !== null) close(fd);
    }
  }

  /** Gives the turn back. */
  end(): void {
    if (this.#fd !== null) close(this.#fd);
    this.#fd = null;
  }
}

const NO_TURNS = ["EACCES", "EPERM", "ENOENT", "EMFILE", "ENFILE", "ENOLCK", "EINVAL", "ENOSYS"];

/** Looking every 4 ms takes less than 1 % of a processor. */
const LONGEST_PAUSE = 4;
