/**
 * The words of a barrier's segment: where each stands, and what may stand in it. The names of the words are those of
 * the model, `tests/model/barrier.pml`, and of `docs/sync.md`, which describes them for other languages and is tested
 * against this file.
 *
 * Nobody counts arrivals. A party that has come says so in the word of its own seat, together with its id, by which the
 * kernel knows whether it lives: so a party may be killed between any two steps, and no number is wrong afterwards.
 *
 * @module
 */

import { quoteName } from "../check.ts";
import type { SharedMemory } from "../segment/mod.ts";
import {
  checkMagic,
  invalidWord,
  readWord32,
  refuseOtherKinds,
  type Word,
  writeMagic,
} from "../words.ts";

/** The bytes of the header. The seats come after it. */
export const HEADER_BYTES = 192;

// Words that other processes change at the same time are in lines of the cache of their own.

/** What kind of segment it is. Its creator writes it last. */
export const MAGIC: Word = { name: "MAGIC", at: 0, type: "char[8]" };
/** How many parties meet; it never changes. */
export const PARTIES: Word = { name: "PARTIES", at: 8, type: "u32" };
/** Counts the ids that attachments were given; the id is its lower 24 bits, after it was counted. */
export const NEXT_ID: Word = { name: "NEXT_ID", at: 12, type: "u32" };
/** Counts the seats that were taken from the dead, or from who had left. */
export const BREAKS: Word = { name: "BREAKS", at: 16, type: "u32" };
/**
 * The generation: how many meetings there were (lower 40 bits), and how often an arrival was taken back (upper 24
 * bits). Both begin anew after their last number.
 */
export const ROUND: Word = { name: "ROUND", at: 64, type: "u64" };
/** Where parties sleep. Bit 0: somebody may be asleep; the others count how often all were woken. */
export const TURN: Word = { name: "TURN", at: 128, type: "u32" };

/** The words of the header, in their order. */
export const headerWords: readonly Word[] = [MAGIC, PARTIES, NEXT_ID, BREAKS, ROUND, TURN];

/** What a seat has: so many bytes, one seat after another. */
export const SEAT_BYTES = 16;

// The positions are counted from where a seat begins.

/**
 * The id of the party that has the seat (lower 24 bits; 0 if it was never taken), and for what it came last: the
 * lower 11 bits of BREAKS, one bit that is 1 if it is patient, and above them the lower 28 bits of the generation that
 * its meeting makes.
 */
export const SEAT: Word = { name: "SEAT", at: 0, type: "u64" };
/** The process of the party, as itself sees its number. */
export const PID: Word = { name: "PID", at: 8, type: "u32" };

/** The words of a seat, in their order. */
export const seatWords: readonly Word[] = [SEAT, PID];

/** The most parties that a barrier can have. */
export const MOST_PARTIES = 4096;

// --- Parts of words ----------------------------------------------------------------------------

const ID_BITS = 24n;
const BREAKS_MASK = 2 ** 11 - 1;
const BREAKS_BITS = 11n;
const SEAT_GENERATIONS = 2 ** 28;
const GENERATION_MASK = (1n << 40n) - 1n;
/** What is added to ROUND when an arrival is taken back. The sum loses what is beyond 64 bits. */
const RETRACTION = 1n << 40n;

/** How many generations there are; the numbers begin anew after that. */
export const GENERATIONS: number = 2 ** 40;

/** The generation in a value of ROUND. */
export function generationOf(round: bigint): number {
  return Number(round & GENERATION_MASK);
}

/** The generation after another one. */
export function nextGeneration(generation: number): number {
  return (generation + 1) % GENERATIONS;
}

/** What a party comes for, as it stands in its seat above the id. */
export interface Arrival {
  /** What the seat of an impatient party says: it has come since the last break. */
  readonly impatient: bigint;
  /** What the seat of a patient one says, above the bits of BREAKS, which do not matter then. */
  readonly patient: bigint;
}

/**
 * Makes what a party comes for.
 *
 * @param generation the generation that the meeting makes
 * @param breaks BREAKS when it came
 */
export function arrivalOf(generation: number, breaks: number): Arrival {
  const number = BigInt(generation % SEAT_GENERATIONS) << 1n;
  return {
    impatient: number << BREAKS_BITS | BigInt(breaks & BREAKS_MASK),
    patient: number | 1n,
  };
}

/** Makes the word of a seat. */
export function seatWord(id: number, { impatient, patient }: Arrival, isPatient: boolean): bigint {
  return (isPatient ? patient << BREAKS_BITS : impatient) << ID_BITS | BigInt(id);
}

/** The id in the word of a seat; 0 if it was never taken. */
export function ownerOf(seat: bigint): number {
  return Number(BigInt.asUintN(24, seat));
}

/** Whether the party in a seat has come: also if the seat's word does not say who it is. */
export function hasCome(seat: bigint, { impatient, patient }: Arrival): boolean {
  const come = seat >> ID_BITS;
  return come === impatient || come >> BREAKS_BITS === patient;
}

// --- The whole ---------------------------------------------------------------------------------

/** The bytes of a barrier's segment. */
export function barrierBytes(parties: number): number {
  return HEADER_BYTES + SEAT_BYTES * parties;
}

/** Makes a barrier's segment of one that is all zeros. */
export function writeBarrier(buffer: ArrayBuffer, parties: number): void {
  new Int32Array(buffer, 0, HEADER_BYTES / 4)[PARTIES.at / 4] = parties;
  writeMagic(buffer, "barrier");
}

/** Reads how many parties a segment says that it is for; it has the bytes of a header at least. */
export function readParties(buffer: ArrayBuffer, name: string): number {
  return readWord32(new Int32Array(buffer, 0, HEADER_BYTES / 4), PARTIES, name, 1, MOST_PARTIES);
}

/**
 * Checks that a segment is that of a barrier, before a byte of it is written.
 *
 * @param memory the segment
 * @param parties how many the barrier must be for
 * @param isTimeUp whether its creator had the time to write the magic
 * @returns `false` if its creator may be about to do so
 * @throws {TypeError} if it is something else
 * @throws {RangeError} if it is a barrier of another number of parties, or too small
 */
export function checkBarrier(memory: SharedMemory, parties: number, isTimeUp: boolean): boolean {
  const { name } = memory;
  checkSize(memory, HEADER_BYTES);
  if (!checkMagic(memory.buf!, "barrier", name, isTimeUp)) return false;
  const found = readParties(memory.buf!, name);
  if (found !== parties) {
    throw new RangeError(
      `Cannot load ${quoteName(name)}: it is for ${found} parties; this instance is for ${parties}`,
    );
  }
  checkSize(memory, barrierBytes(parties));
  return true;
}

function checkSize({ name, size, buf }: SharedMemory, least: number): void {
  if (size >= least) return;
  refuseOtherKinds(buf!, "barrier", name);
  throw new RangeError(
    `Cannot load ${
      quoteName(name)
    }: the segment has ${size} bytes, and this barrier needs ${least}`,
  );
}

/** The words of a barrier that is attached or looked at. */
export class BarrierWords {
  readonly name: string;
  readonly parties: number;
  /** All words, by 32 bits. */
  readonly words: Int32Array<ArrayBuffer>;
  /** All words, by 64 bits. */
  readonly #numbers: BigUint64Array<ArrayBuffer>;

  /**
   * @param name the barrier's name, for messages
   * @param buffer the memory, which is large enough
   * @param parties how many it is for
   */
  constructor(name: string, buffer: ArrayBuffer, parties: number) {
    this.name = name;
    this.parties = parties;
    const bytes = barrierBytes(parties);
    this.words = new Int32Array(buffer, 0, bytes / 4);
    this.#numbers = new BigUint64Array(buffer, 0, bytes / 8);
  }

  /** The word ROUND. */
  get round(): bigint {
    return Atomics.load(this.#numbers, ROUND.at / 8);
  }

  /** Begins the next generation, if ROUND is what it was; returns whether it was. */
  moveOn(round: bigint): boolean {
    const next = round & GENERATION_MASK;
    const moved = round - next | BigInt(nextGeneration(Number(next)));
    return Atomics.compareExchange(this.#numbers, ROUND.at / 8, round, moved) === round;
  }

  /** Notes in ROUND that an arrival was taken back; returns what it was before. */
  retract(): bigint {
    return Atomics.add(this.#numbers, ROUND.at / 8, RETRACTION);
  }

  /** How often a seat was taken from the dead. */
  get breaks(): number {
    return Atomics.load(this.words, BREAKS.at / 4) >>> 0;
  }

  /** Notes that a seat was taken from the dead. */
  addBreak(): void {
    Atomics.add(this.words, BREAKS.at / 4, 1);
  }

  /** Counts an attachment, and gives its number. */
  nextId(): number {
    return Atomics.add(this.words, NEXT_ID.at / 4, 1) + 1;
  }

  /** The word of a seat. */
  seat(seat: number): bigint {
    return Atomics.load(this.#numbers, indexOf(seat, SEAT) / 8);
  }

  /** Changes the word of a seat from one value to another; returns whether it had the first one. */
  changeSeat(seat: number, from: bigint, to: bigint): boolean {
    return Atomics.compareExchange(this.#numbers, indexOf(seat, SEAT) / 8, from, to) === from;
  }

  /** The process of a party, by its own word. */
  pid(seat: number): number {
    return Atomics.load(this.words, indexOf(seat, PID) / 4) >>> 0;
  }

  /** Notes which process has a seat. */
  writePid(seat: number, pid: number): void {
    Atomics.store(this.words, indexOf(seat, PID) / 4, pid);
  }

  /** The error for a seat that somebody else has changed, although it is this attachment's. */
  lostSeat(seat: number): Error {
    const word = this.seat(seat).toString(16).padStart(16, "0");
    return invalidWord(this.name, `its word SEAT of seat ${seat} is 0x${word}`);
  }

  /** The error for a generation that cannot be. */
  lostRound(): Error {
    return invalidWord(
      this.name,
      `its word ROUND is 0x${this.round.toString(16).padStart(16, "0")}`,
    );
  }
}

/** The position of a word of a seat in bytes. */
function indexOf(seat: number, word: Word): number {
  return HEADER_BYTES + SEAT_BYTES * seat + word.at;
}
