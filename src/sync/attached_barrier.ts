/**
 * An attachment to a barrier: how a party takes a seat, comes, goes on, and takes its arrival back. The steps and
 * their order are those of `tests/model/barrier.pml` and `docs/sync.md`.
 *
 * A party that has come says so in the word of its seat, together with its id. Whoever sees that all have come, and
 * that the kernel knows all of them to live, moves ROUND on to the next generation, by one compare-and-exchange: so it
 * does not matter who comes last, or whether that one is killed. Who gives up takes its arrival back, and then counts
 * that in ROUND: whoever had seen the arrival cannot move ROUND on any more, and if somebody did before, the meeting
 * was complete, and it was in time.
 *
 * Who takes the seat of a dead party counts that in BREAKS. Arrivals bear the number that BREAKS had, so those that
 * came before do not count any more, but for those of patient parties: each of the others learns that somebody has
 * died, however fast the replacement was.
 *
 * @module
 */

import {
  FAMILIAR_FRAMES,
  needStack,
  quoteName,
  sharedAmongCopies,
  UNFAMILIAR_FRAMES,
} from "../check.ts";
import { badResource, busy, notFound } from "../errors.ts";
import { ownPid } from "../process/proc.ts";
import { isAnonymousName, type OpenSegment } from "../segment/mod.ts";
import {
  type Arrival,
  arrivalOf,
  BarrierWords,
  generationOf,
  GENERATIONS,
  hasCome,
  nextGeneration,
  ownerOf,
  seatWord,
  TURN,
} from "./barrier_words.ts";
import { deadlineOf, EventCount, letEventLoopRun } from "./event_count.ts";
import { claimId, isWitnessed, LOCK_BASE } from "./witness.ts";

/**
 * A party of a barrier has ended, or has given up its seat by `close()`. The barrier works again when each such seat
 * was taken by a replacement that loads.
 *
 * @example What the others do then
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { BrokenBarrierError, SharedMemoryBarrier } from "@shm/array/sync";
 * import { assertThrows } from "@std/assert";
 *
 * const name = SharedMemoryArray.buildSmaName("steps");
 * using mine = new SharedMemoryBarrier(name, 2).createOrLoad();
 * const theirs = new SharedMemoryBarrier(name, 2).load();
 * theirs.close();
 * assertThrows(() => mine.meet(), BrokenBarrierError); // go back to the last checkpoint
 * mine.unlink();
 * ```
 */
export class BrokenBarrierError extends Error {
  /** The name of the class. */
  override readonly name = "BrokenBarrierError";
  /** What tells this error in every runtime. */
  readonly code = "ERR_SHM_BROKEN";
}

/**
 * The longest sleep in milliseconds. A party that is killed wakes nobody, so after each sleep the others look who
 * lives.
 */
const SLICE = 50;

/** How many looks cost no system call, so long as not all have come: one at once, and one before the first sleep. */
const QUICK_LOOKS = 2;

/**
 * For how long a party that comes believes that an anonymous barrier can be found still, in milliseconds: that look
 * takes 8 µs, and one at a name half of one. Who waits looks after each sleep in any case.
 */
const NAME_TIME = 50;

/** How often a step is tried that only others who do the same can hinder. */
const MOST_TRIES = 10_000;

/** A call of `meet()` or `meetAsync()` that has not ended. */
interface Meeting {
  /** The generation that it makes. */
  readonly generation: number;
  readonly isPatient: boolean;
  /** BREAKS when the party came; of a patient one, when it looked last. */
  breaks: number;
  /** How the seats say that a party has come. */
  arrival: Arrival;
  looks: number;
  /** How it ended by `close()`: whether it was complete before, or what was thrown then. */
  ending: { readonly isComplete: boolean } | { readonly error: unknown } | null;
}

/** A seat that an instance of this thread has. It does not keep the instance. */
interface SeatHere {
  readonly id: number;
  readonly seat: number;
}

/**
 * The seats that instances of this thread have, those of another copy of this package included, by the identity of the
 * barriers' segments.
 */
const seatsHere: Map<string, Set<SeatHere>> = sharedAmongCopies(
  "seats of barriers",
  () => new Map<string, Set<SeatHere>>(),
);

/** How much of the stack must be free before a party comes: an error between two steps would leave it there. */
let framesNeeded = UNFAMILIAR_FRAMES;

/** An attached barrier, with a seat or without. */
export class AttachedBarrier {
  readonly #segment: OpenSegment;
  readonly #words: BarrierWords;
  readonly #event: EventCount;
  #here: SeatHere | null = null;
  #id = 0;
  #seat = -1;
  /** What this attachment has written into its seat. */
  #word = 0n;
  #meeting: Meeting | null = null;
  #isOpen = true;
  /** When an anonymous barrier was found to be there. */
  #foundAt = -Infinity;

  /**
   * @param segment the barrier's segment, which was checked
   * @param parties how many it is for
   */
  constructor(segment: OpenSegment, parties: number) {
    this.#segment = segment;
    this.#words = new BarrierWords(segment.name, segment.buffer!, parties);
    this.#event = new EventCount(this.#words.words, TURN.at / 4, null);
  }

  // --- The attachment --------------------------------------------------------------------------

  /** Whether it was not closed, and its memory is there. */
  get isOpen(): boolean {
    // A program may have moved the buffer away.
    return this.#isOpen && this.#words.words.length !== 0;
  }

  /** Whether the segment was made here, and not attached to. */
  get isCreator(): boolean {
    return this.#segment.isCreator;
  }

  /** Whether others can find the barrier by its name still. */
  get isNamed(): boolean {
    return this.#segment.isNamed;
  }

  /** The number of the seat, from 0 on; `null` if it has none. */
  get seat(): number | null {
    return this.#seat < 0 ? null : this.#seat;
  }

  /** Removes the barrier's name. */
  unlink(): boolean {
    return this.#segment.unlink();
  }

  /** Gives the seat up, and all else. A meeting that is not complete fails. */
  close(): void {
    if (!this.#isOpen) return;
    try {
      if (this.isOpen && this.#seat >= 0) this.#leave();
    } finally {
      this.#isOpen = false;
      this.#forgetHere();
      this.#segment.close();
    }
  }

  /** Gives the seat up, and wakes the others: one of them looks for the dead then. */
  #leave(): void {
    const meeting = this.#meeting;
    if (meeting !== null) {
      try {
        meeting.ending = { isComplete: !this.#takeBack(meeting) };
      } catch (error) {
        meeting.ending = { error };
      }
    }
    this.#segment.unlockByte(LOCK_BASE + this.#id);
    this.#event.advance();
  }

  #forgetHere(): void {
    if (this.#here === null) return;
    const { identity } = this.#segment;
    const seats = seatsHere.get(identity);
    seats?.delete(this.#here);
    if (seats?.size === 0) seatsHere.delete(identity);
  }

  #checkOpen(): void {
    if (!this.isOpen) throw closedError(this.#words.name, this.#isOpen);
  }

  /** Throws if the barrier's name was removed, or the creator of an anonymous one has ended. */
  #checkNamed(action: string): void {
    if (this.#segment.isNamed) {
      if (isAnonymousName(this.#words.name)) this.#foundAt = performance.now();
      return;
    }
    throw notFound(
      `Cannot ${action} ${
        quoteName(this.#words.name)
      }: its name was removed, or the process that made it without a name has ended, so nobody can ` +
        "find it any more; close() this instance, and create() or load() the next one",
    );
  }

  // --- Seats -----------------------------------------------------------------------------------

  /** Takes a seat that nobody has, or whose party has ended. */
  takeSeat(): void {
    this.#checkNamed("load");
    const { parties } = this.#words;
    const id = claimId(this.#segment, () => this.#words.nextId(), (id) => !this.#isInASeat(id));
    try {
      for (let tries = 0; this.#seat < 0; tries++) {
        const seat = this.#findFree();
        if (seat === null || tries > MOST_TRIES) {
          throw busy(
            `Cannot load ${quoteName(this.#words.name)}: all ${parties} seats are taken`,
          );
        }
        this.#sitDown(id, seat.seat, seat.word);
      }
    } catch (error) {
      if (this.#seat < 0) this.#segment.unlockByte(LOCK_BASE + id);
      throw error;
    }
  }

  /** Whether an id stands in a seat. After 2^24 attachments it comes again, and the one before may have died there. */
  #isInASeat(id: number): boolean {
    const words = this.#words;
    for (let seat = 0; seat < words.parties; seat++) {
      if (ownerOf(words.seat(seat)) === id) return true;
    }
    return false;
  }

  /** Finds the first seat that nobody has who lives; `null` if there is none. */
  #findFree(): { seat: number; word: bigint } | null {
    const words = this.#words;
    for (let seat = 0; seat < words.parties; seat++) {
      const word = words.seat(seat);
      const owner = ownerOf(word);
      if (owner === 0 || !isWitnessed(this.#segment, owner)) return { seat, word };
    }
    return null;
  }

  /** Takes a seat, if its word is what it was. */
  #sitDown(id: number, seat: number, before: bigint): void {
    const words = this.#words;
    // The owner and its arrival go by one step: nobody sees the arrival of the dead beside the id of the living.
    const word = seatWord(id, arrivalOf(generationOf(words.round), 0), false);
    if (!words.changeSeat(seat, before, word)) return;
    this.#id = id;
    this.#seat = seat;
    this.#word = word;
    words.writePid(seat, ownPid());
    this.#here = { id, seat };
    const { identity } = this.#segment;
    seatsHere.set(identity, (seatsHere.get(identity) ?? new Set()).add(this.#here));
    if (ownerOf(before) === 0) return;
    // BREAKS first: who sees ROUND as it is now sees that what was there before does not count any more.
    words.addBreak();
    words.retract();
    this.#event.advance();
  }

  /** Finds a seat whose party has ended; -1 if there is none. */
  #findDead(): number {
    const words = this.#words;
    for (let seat = 0; seat < words.parties; seat++) {
      if (seat === this.#seat) continue;
      const owner = ownerOf(words.seat(seat));
      if (owner !== 0 && !isWitnessed(this.#segment, owner)) return seat;
    }
    return -1;
  }

  // --- Meeting ---------------------------------------------------------------------------------

  /** Blocks until all have come; returns the number of the generation. */
  meet(timeout: number, isPatient: boolean): number {
    const deadline = deadlineOf(timeout);
    const meeting = this.#come(isPatient);
    const look = (): true | null => {
      const found = this.#look(meeting);
      // Each time: where the seat of a dead party was taken since the last look, the impatient must come anew.
      if (found === null && timeout === Infinity) this.#checkOthersHere(meeting);
      return found;
    };
    try {
      if (look() === null) {
        if (this.#event.until(look, deadline, SLICE) === null) this.#endOfTime(meeting);
      }
      return this.#goOn(meeting);
    } catch (error) {
      return this.#giveUp(meeting, error);
    }
  }

  /** The same without blocking. The party has come when this returns a promise. */
  async meetAsync(
    timeout: number,
    isPatient: boolean,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    signal?.throwIfAborted();
    const deadline = deadlineOf(timeout);
    const meeting = this.#come(isPatient);
    const look = (): true | null => this.#look(meeting);
    let generation: number;
    try {
      if (look() === null) {
        const found = await this.#event.untilAsync(look, deadline, SLICE, signal);
        if (found === null) this.#endOfTime(meeting);
      }
      generation = this.#goOn(meeting);
    } catch (error) {
      generation = this.#giveUp(meeting, error);
    }
    await letEventLoopRun();
    return generation;
  }

  /** Comes: says in the seat for which generation. */
  #come(isPatient: boolean): Meeting {
    needStack(framesNeeded);
    this.#checkOpen();
    const words = this.#words;
    if (this.#seat < 0) {
      throw badResource(
        `Cannot meet at ${quoteName(words.name)}: this instance has no seat; load() takes one`,
      );
    }
    if (this.#meeting !== null) {
      throw busy(
        `Cannot meet at ${quoteName(words.name)}: this party waits there already; ` +
          "each party has an instance of its own",
      );
    }
    if (performance.now() - this.#foundAt >= NAME_TIME) this.#checkNamed("meet at");
    const generation = nextGeneration(generationOf(words.round));
    const { breaks } = words;
    const arrival = arrivalOf(generation, breaks);
    this.#say(arrival, isPatient);
    return this.#meeting = { generation, isPatient, breaks, arrival, looks: 0, ending: null };
  }

  /** Writes into the own seat for what this party comes. */
  #say(arrival: Arrival, isPatient: boolean): void {
    const word = seatWord(this.#id, arrival, isPatient);
    if (!this.#words.changeSeat(this.#seat, this.#word, word)) {
      throw this.#words.lostSeat(this.#seat);
    }
    this.#word = word;
  }

  /** Whether a meeting is complete, by a value of ROUND. */
  #isComplete({ generation }: Meeting, round: bigint): boolean {
    const now = generationOf(round);
    if (now === generation) return true;
    // It cannot move twice without this party.
    if (nextGeneration(now) !== generation) throw this.#words.lostRound();
    return false;
  }

  /** Looks whether the meeting is complete, and completes it if all have come; `null` if not. */
  #look(meeting: Meeting): true | null {
    this.#checkOpen();
    const words = this.#words;
    const looks = meeting.looks++;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      // In this order: who takes a dead party's seat changes BREAKS first, and then ROUND.
      const { round } = words;
      if (this.#isComplete(meeting, round)) return true;
      if (words.seat(this.#seat) !== this.#word) throw words.lostSeat(this.#seat);
      this.#lookForBreaks(meeting);
      if (!this.#haveAllCome(meeting)) {
        if (looks >= QUICK_LOOKS) this.#lookAround(meeting);
        return null;
      }
      if (!this.#doThoseLive(meeting)) return null;
      if (!words.moveOn(round)) continue;
      this.#event.advance();
      return true;
    }
    throw words.lostRound();
  }

  /** Looks whether a dead party's seat was taken since this one came. */
  #lookForBreaks(meeting: Meeting): void {
    const { breaks } = this.#words;
    if (breaks === meeting.breaks) return;
    if (!meeting.isPatient) {
      throw this.#brokenError("a party has ended, and another one has taken its seat");
    }
    meeting.breaks = breaks;
    meeting.arrival = arrivalOf(meeting.generation, breaks);
  }

  #haveAllCome({ arrival }: Meeting): boolean {
    const words = this.#words;
    for (let seat = 0; seat < words.parties; seat++) {
      if (!hasCome(words.seat(seat), arrival)) return false;
    }
    return true;
  }

  /**
   * Whether all have come and live. The id comes from the same word as the arrival: otherwise the seat may be that of
   * a replacement by now, which lives, and has not come.
   */
  #doThoseLive({ arrival, isPatient }: Meeting): boolean {
    const words = this.#words;
    for (let seat = 0; seat < words.parties; seat++) {
      if (seat === this.#seat) continue;
      const word = words.seat(seat);
      if (!hasCome(word, arrival)) return false;
      if (isWitnessed(this.#segment, ownerOf(word))) continue;
      if (!isPatient) throw this.#deathError(seat);
      return false; // A patient party waits for those that take the seats of the dead.
    }
    return true;
  }

  /** Looks whether one waits in vain. */
  #lookAround(meeting: Meeting): void {
    this.#checkNamed("meet at");
    const dead = meeting.isPatient ? -1 : this.#findDead();
    if (dead >= 0) throw this.#deathError(dead);
  }

  #deathError(seat: number): BrokenBarrierError {
    return this.#brokenError(`the party of seat ${seat} has ended`);
  }

  #brokenError(what: string): BrokenBarrierError {
    return new BrokenBarrierError(
      `Cannot meet at ${quoteName(this.#words.name)}: ${what}; ` +
        "meet() works again when each such seat was taken by one that loads",
    );
  }

  /** Throws what is to be thrown when time is up. */
  #endOfTime(meeting: Meeting): never {
    this.#lookAround(meeting);
    const words = this.#words;
    let come = 0;
    for (let seat = 0; seat < words.parties; seat++) {
      if (hasCome(words.seat(seat), meeting.arrival)) come++;
    }
    throw new DOMException(
      `Cannot meet at ${
        quoteName(words.name)
      }: ${come} of ${words.parties} parties have come, and time is up`,
      "TimeoutError",
    );
  }

  /**
   * Refuses to block this thread for parties that only this thread can make come. Their seats say whether they have: one
   * may still wait in `meetAsync()` for a meeting that is over, or with an arrival that does not count any more.
   */
  #checkOthersHere(meeting: Meeting): void {
    for (const { id, seat } of seatsHere.get(this.#segment.identity)!) {
      if (hasCome(this.#words.seat(seat), meeting.arrival)) continue;
      if (!isWitnessed(this.#segment, id)) continue;
      this.#lookAround(meeting);
      throw busy(
        `Cannot meet at ${quoteName(this.#words.name)}: another instance of this thread has a ` +
          "seat, and could not come while this call blocks; meetAsync() does not block, and " +
          "{ timeout } ends the waiting",
      );
    }
  }

  /** Ends a meeting that is complete. */
  #goOn(meeting: Meeting): number {
    this.#meeting = null;
    framesNeeded = FAMILIAR_FRAMES;
    return meeting.generation;
  }

  /** Takes the arrival back; returns whether that came before all had come. */
  #takeBack(meeting: Meeting): boolean {
    const last = (meeting.generation + GENERATIONS - 1) % GENERATIONS;
    this.#say(arrivalOf(last, 0), false);
    return !this.#isComplete(meeting, this.#words.retract());
  }

  /** Ends a meeting that has failed: throws why, unless it was complete before. */
  #giveUp(meeting: Meeting, error: unknown): number {
    const { ending } = meeting;
    try {
      if (ending !== null && "error" in ending) throw ending.error;
      const isComplete = ending !== null ? ending.isComplete : !this.#takeBackIfOpen(meeting);
      if (isComplete) return meeting.generation;
      // A wait that ends because this was closed knows nothing of barriers.
      if (!this.isOpen) throw closedError(this.#words.name, this.#isOpen);
      // The others may sleep for some time still.
      if (error instanceof BrokenBarrierError) this.#event.advance();
      throw error;
    } finally {
      this.#meeting = null;
    }
  }

  #takeBackIfOpen(meeting: Meeting): boolean {
    return !this.isOpen || this.#takeBack(meeting);
  }
}

/** Makes the error for the use of a barrier that is not attached. */
export function closedError(name: string, isMoved = false): Error {
  return badResource(
    `Cannot meet at ${quoteName(name)}: ` +
      (isMoved
        ? "its buffer was transferred, and the memory with it; close() and load() attach anew"
        : "this instance is not attached; load() it first"),
  );
}
