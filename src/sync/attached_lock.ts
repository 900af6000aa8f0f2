/**
 * What an instance of a lock is attached to: the file that the kernel locks, the words that wake, the gate by which a
 * writer that waits holds back new readers, and what this thread has done with the lock.
 *
 * @module
 */

import { monotonicNow } from "../../ffi/futex.ts";
import { countRemovals } from "../../ffi/shm.ts";
import { sharedAmongCopies } from "../check.ts";
import { isAnonymousName, lacksByteLocks, OpenSegment, type SharedMemory } from "../segment/mod.ts";
import { EventCount } from "./event_count.ts";
import {
  ANNOUNCED,
  checkLock,
  GATE_BYTE,
  GATED,
  HELD,
  indexOf,
  LOCK_BYTES,
  LOCK_SLICE,
  READER_ANNOUNCED,
  TURN,
  WAITING,
  wordsOf,
  writeLock,
} from "./lock_words.ts";

/** How the segment of a lock is made. */
interface Making {
  mode?: number;
  describe?: boolean;
}

/** An attachment to a lock's segment. */
export class AttachedLock {
  readonly segment: OpenSegment;
  /** How writers wait, and how both are woken. */
  readonly writers: EventCount;
  /** How readers wait. A release wakes all that sleep where one of them is a reader, who may go in together. */
  readonly readers: EventCount;
  readonly #words: Int32Array;
  /** How many guards of this attachment have the lock shared. The kernel knows of one lock for all of them. */
  #shares = 0;
  /** Whether the instance has left this attachment for the next lock of its name, while guards had it shared. */
  #isLeft = false;
  /** How many writers of this attachment wait. */
  #waiting = 0;
  /** When a reader has asked for the time the last time. */
  #now = 0;
  /** When the kernel must be asked next whether the gate is closed, whatever the words say. */
  #nextLook = 0;
  /** Until when a reader trusts its last look at the name, if this thread has removed no name since. */
  #namedUntil = 0;
  #removals = 0;

  private constructor(segment: OpenSegment) {
    this.segment = segment;
    const words = wordsOf(segment.buffer!);
    this.#words = words;
    const [turn, waiting] = [indexOf(TURN), indexOf(WAITING)];
    this.writers = new EventCount(words, turn, waiting, false, ANNOUNCED);
    this.readers = new EventCount(words, turn, waiting, false, READER_ANNOUNCED);
  }

  /** Makes the segment of a lock. */
  static create(name: string, options: Making, describe: () => string): AttachedLock {
    return new AttachedLock(OpenSegment.create(name, LOCK_BYTES, options, writeLock, describe));
  }

  /** Makes an anonymous segment of a lock. */
  static createAnonymous(options: Making, describe: () => string): AttachedLock {
    return new AttachedLock(
      OpenSegment.createAnonymous(LOCK_BYTES, options, "shm-array-lock", writeLock, describe),
    );
  }

  /** Attaches to the segment that has a name. */
  static open(name: string, timeout = 0): AttachedLock {
    const wanted = { kind: "lock", takesAnonymous: true } as const;
    return new AttachedLock(OpenSegment.open(name, timeout, isLock, wanted));
  }

  /** Attaches to the segment that has a name, or makes it. */
  static createOrOpen(
    name: string,
    options: Making,
    describe: () => string,
    timeout: number,
  ): AttachedLock {
    return new AttachedLock(
      OpenSegment.createOrOpen(
        name,
        LOCK_BYTES,
        options,
        writeLock,
        describe,
        timeout,
        isLock,
        "lock",
      ),
    );
  }

  /** How one waits that wants the lock shared, or alone. */
  eventOf(isShared: boolean): EventCount {
    return isShared ? this.readers : this.writers;
  }

  // --- The lock of the kernel, and who is in the section -----------------------------------------

  /** Takes the lock of the kernel if that can be had. Further guards that have it shared need no further lock. */
  tryLock(isShared: boolean): boolean {
    return isShared && this.#shares > 0 || this.segment.tryLock(isShared ? "shared" : "exclusive");
  }

  /** Whether a name still leads to the segment. */
  get isNamed(): boolean {
    return this.segment.isNamed;
  }

  /**
   * The same for a reader that has just asked whether the gate is closed. If it has looked within the last {@linkcode
   * NAME_TIME}, it does not look again, which would take as long as the lock itself: it goes on as if it had had the
   * lock from then on. Names that this thread removes are known at once.
   */
  get isNamedLately(): boolean {
    const removals = countRemovals();
    if (this.#now < this.#namedUntil && removals === this.#removals) return true;
    const { segment } = this;
    if (!segment.isNamed) return false;
    // That of an anonymous segment is given up by another way.
    this.#namedUntil = isAnonymousName(segment.name) ? 0 : this.#now + NAME_TIME;
    this.#removals = removals;
    return true;
  }

  /** Gives back what `tryLock()` has taken, where no guard was made for it. */
  undoLock(): void {
    if (this.#shares > 0) return;
    this.unlock();
    this.writers.advance();
  }

  /**
   * Notes that a holder is in the section.
   *
   * @returns whether the last one that had the lock alone never left the section. A reader leaves that as it is: it
   * may not mend what the lock protects, and whoever has the lock alone next must know it, too.
   */
  enter(isShared: boolean): boolean {
    if (!isShared) return Atomics.exchange(this.#words, indexOf(HELD), 1) !== 0;
    this.#shares++;
    return Atomics.load(this.#words, indexOf(HELD)) !== 0;
  }

  /** Notes that the one that had the lock alone is not in the section any more. */
  leave(): void {
    Atomics.store(this.#words, indexOf(HELD), 0);
  }

  /** Gives the lock of the kernel back, unless the attachment was given up already. */
  unlock(): void {
    if (this.segment.isOpen) this.segment.unlock();
  }

  /**
   * Ends the share of one guard.
   *
   * @returns whether it was the last one of this attachment, and the lock was given back
   */
  endShare(): boolean {
    if (this.#shares === 1) {
      if (this.#isLeft) this.segment.close();
      else this.unlock();
    }
    return --this.#shares === 0;
  }

  /** Gives the attachment up, as soon as no guard has it shared. */
  abandon(): void {
    if (this.#shares > 0) this.#isLeft = true;
    else this.segment.close();
  }

  /** Wakes who waits, if somebody does, and notes that this thread lets one in. */
  wakeNext(): void {
    const { segment, writers } = this;
    if (!segment.isOpen) return;
    const advance = writers.advance(1);
    if (advance === null) return;
    const isCertain = advance.woken > 0;
    const until = monotonicNow() + (isCertain ? LOCK_SLICE : PASSAGE_TIME);
    if (debts.size >= MOST_DEBTS) forgetOldDebts();
    debts.set(segment.identity, { turn: advance.turn, until, isCertain });
  }

  // --- The gate --------------------------------------------------------------------------------

  /**
   * Whether a writer that is attached elsewhere waits, and holds back new readers. Where the kernel has no locks on
   * bytes, nobody is held back.
   */
  get isGateClosed(): boolean {
    const words = this.#words;
    const isShown = (Atomics.load(words, indexOf(WAITING)) & GATED) !== 0;
    // What stands in the segment spares the question, and can hide a writer for a slice only.
    const now = this.#now = monotonicNow();
    if (!isShown && now < this.#nextLook) return false;
    this.#nextLook = now + LOCK_SLICE;
    let isClosed = this.#isGateLocked();
    if (isClosed === isShown) return isClosed;
    if (!isClosed) {
      Atomics.and(words, indexOf(WAITING), ~GATED);
      // A writer may have closed it, and shown that, between the question and this.
      isClosed = this.#isGateLocked();
    }
    if (isClosed) Atomics.or(words, indexOf(WAITING), GATED);
    return isClosed;
  }

  #isGateLocked(): boolean {
    try {
      return this.segment.isByteLocked(GATE_BYTE);
    } catch (error) {
      if (lacksByteLocks(error)) return false;
      throw error;
    }
  }

  /** Closes the gate for one more writer of this attachment, and shows that. */
  closeGate(): void {
    if (this.#waiting === 0) {
      try {
        this.segment.tryLockByte(GATE_BYTE, "shared"); // any number of writers have it at once
      } catch (error) {
        if (!lacksByteLocks(error)) throw error;
      }
    }
    this.#waiting++;
    addTo(waitingHere, this.segment.identity, 1);
    this.showGate();
  }

  /** Shows that the gate is closed. What stands in the segment may have been overwritten. */
  showGate(): void {
    Atomics.or(this.#words, indexOf(WAITING), GATED);
  }

  /**
   * Opens the gate for one writer of this attachment.
   *
   * @param hasLock whether the writer has the lock now. If not, readers that it held back must be woken.
   */
  openGate(hasLock: boolean): void {
    const { segment } = this;
    addTo(waitingHere, segment.identity, -1);
    if (--this.#waiting > 0 || !segment.isOpen) return;
    try {
      segment.unlockByte(GATE_BYTE);
    } catch (error) {
      if (!lacksByteLocks(error)) throw error;
    }
    if (hasLock) return;
    const areReadersAsleep = Atomics.load(this.#words, indexOf(WAITING)) & READER_ANNOUNCED &
      ~ANNOUNCED;
    if (areReadersAsleep) this.writers.advance();
  }
}

/** How long a reader trusts its last look at the name of a lock, in milliseconds. */
const NAME_TIME = 0.1;

/** Looks whether a segment is that of a lock. */
function isLock({ buf, name }: SharedMemory, isTimeUp: boolean): boolean {
  return checkLock(buf!, name, isTimeUp);
}

/** A writer that waits, and holds back new readers from its first look in vain on. */
export class WaitingWriter {
  #at: AttachedLock | null = null;

  /** Closes the gate of an attachment. It opens the gate of another one where this writer waited before. */
  wait(attachment: AttachedLock): void {
    if (this.#at === attachment) return attachment.showGate();
    this.end(false);
    attachment.closeGate();
    this.#at = attachment;
  }

  /**
   * Opens the gate.
   *
   * @param hasLock whether the writer has the lock now
   */
  end(hasLock: boolean): void {
    const at = this.#at;
    this.#at = null;
    at?.openGate(hasLock);
  }
}

// --- What this thread has done with locks ------------------------------------------------------

/** The locks that instances of this thread hold, by their segments: how many guards have one shared, -1 where one has it alone. */
export const heldHere: Map<string, number> = sharedAmongCopies(
  "locks that are held, alone or shared",
  () => new Map<string, number>(),
);

/** The locks for which tasks of this thread wait that want them alone, by their segments: how many tasks. */
export const waitingHere: Map<string, number> = sharedAmongCopies(
  "locks that are waited for by writers",
  () => new Map<string, number>(),
);

/** Adds to a number of a map, in which 0 is not there. */
export function addTo(map: Map<string, number>, key: string, change: number): void {
  const sum = (map.get(key) ?? 0) + change;
  if (sum === 0) map.delete(key);
  else map.set(key, sum);
}

/**
 * How long the lock is left to a waiter that is announced but does not sleep, in milliseconds. It may be on the
 * way to sleep or back, it may look every millisecond where the kernel cannot wait for it, or it may have given
 * up.
 */
const PASSAGE_TIME = 2;

/**
 * A turn that this thread owes to a waiter of another thread or process that it has woken. It does not take the
 * lock again before that waiter has had its turn, or did not come.
 */
export interface Debt {
  /** The turn that the release began. It is over when a waiter has taken the lock. */
  readonly turn: number;
  /** The moment at which the debt ends, because the waiter may have been stopped or killed. */
  readonly until: number;
  /** Whether the kernel has said that it woke a waiter. */
  readonly isCertain: boolean;
}

/** The debts of this thread, by the identity of the segments. */
const debts = new Map<string, Debt>();

/**
 * How many debts are kept before this thread looks for those that are over. Locks that were closed leave theirs
 * behind.
 */
const MOST_DEBTS = 100;

function forgetOldDebts(): void {
  const now = monotonicNow();
  for (const [identity, { until }] of debts) if (until <= now) debts.delete(identity);
}

/** Tells whether this thread has to let a waiter in. */
export function debtOf({ segment, writers }: AttachedLock): Debt | null {
  if (debts.size === 0) return null;
  const debt = debts.get(segment.identity);
  if (debt === undefined) return null;
  if (writers.turn === debt.turn && monotonicNow() < debt.until) return debt;
  debts.delete(segment.identity);
  return null;
}

/** Forgets that this thread has to let a waiter in. */
export function forgetDebt({ segment }: AttachedLock): void {
  debts.delete(segment.identity);
}
