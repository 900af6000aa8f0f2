/**
 * What stands in a barrier now: how far it is, and who has which seat. It is read without taking part.
 *
 * @module
 */

import { lockedBytes, ownsByteLock } from "../process/proc.ts";
import {
  arrivalOf,
  barrierBytes,
  BarrierWords,
  generationOf,
  hasCome,
  HEADER_BYTES,
  nextGeneration,
  ownerOf,
  readParties,
} from "../sync/barrier_words.ts";
import { LOCK_BASE } from "../sync/witness.ts";
import { invalidWord } from "../words.ts";
import { processOf, type Subject } from "./look.ts";
import { type User, userText } from "./who.ts";

/** A seat that was taken. */
export interface SeatState {
  readonly seat: number;
  /** The party; `null` where the kernel does not show that the process that says so has it. */
  readonly party: User | null;
  /** Whether it has come, and waits for the others. */
  readonly hasCome: boolean;
  /** Whether its party has ended, so that a replacement must take it; `null` where it cannot be told. */
  readonly isDead: boolean | null;
}

/** The state of a barrier. */
export interface BarrierState {
  readonly parties: number;
  /** How many meetings there were. */
  readonly generation: number;
  /** The seats that were ever taken. */
  readonly seats: readonly SeatState[];
}

/** Reads the state of a barrier. */
export function readBarrier({ name, identity, memory }: Subject): BarrierState {
  const buffer = memory.buf!;
  if (memory.size < HEADER_BYTES) {
    throw invalidWord(name, `it has ${memory.size} bytes, which is less than a header`);
  }
  const parties = readParties(buffer, name);
  if (barrierBytes(parties) > memory.size) {
    throw invalidWord(name, `it has ${memory.size} bytes, which is less than its seats need`);
  }
  const words = new BarrierWords(name, buffer, parties);
  const generation = generationOf(words.round);
  const arrival = arrivalOf(nextGeneration(generation), words.breaks);
  const locked = lockedBytes(identity);
  const seats: SeatState[] = [];
  for (let seat = 0; seat < parties; seat++) {
    const word = words.seat(seat);
    const id = ownerOf(word);
    if (id === 0) continue;
    const pid = words.pid(seat);
    const isDead = locked === null ? null : !locked.has(LOCK_BASE + id);
    seats.push({
      seat,
      // A number that stands in a segment is believed only where the kernel says the same.
      party: isDead !== true && ownsByteLock(pid, identity, LOCK_BASE + id) ? processOf(pid) : null,
      hasCome: hasCome(word, arrival),
      isDead,
    });
  }
  return { parties, generation, seats };
}

/** The lines that tell of a barrier. */
export function barrierLines(state: BarrierState): string[] {
  const { parties, generation, seats } = state;
  return [
    `Barrier of ${parties} parties, generation ${generation}`,
    `Seats: ${countsText(state)}`,
    ...seats.map((seat) =>
      `Seat ${seat.seat}: ${partyText(seat)}${seat.hasCome && !seat.isDead ? ", has come" : ""}`
    ),
  ];
}

function partyText({ party, isDead }: SeatState): string {
  if (isDead) return "its party has ended; a replacement must load";
  return party === null ? "a process that cannot be seen" : userText(party);
}

/** How many seats are in which state, in words. */
export function countsText({ parties, seats }: BarrierState): string {
  const dead = deadSeats(seats);
  const free = parties - seats.length;
  return `${seats.length - dead} taken, ${comeSeats(seats)} of them have come, ` +
    `${dead} dead, ${free} never taken`;
}

/** How many parties have come and live. */
export function comeSeats(seats: readonly SeatState[]): number {
  return seats.filter(({ hasCome, isDead }) => hasCome && !isDead).length;
}

/** How many parties have ended. */
export function deadSeats(seats: readonly SeatState[]): number {
  return seats.filter(({ isDead }) => isDead).length;
}

/** What JSON says of a barrier. */
export function barrierFacts({ parties, generation, seats }: BarrierState): object {
  return {
    parties,
    generation,
    seats: seats.map(({ seat, party, hasCome, isDead }) => ({
      seat,
      party,
      come: hasCome,
      dead: isDead,
    })),
  };
}
