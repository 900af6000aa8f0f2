/**
 * What stands in a queue now: its counts, and who holds what. It is read without taking part.
 *
 * @module
 */

import { ownsByteLock } from "../process/proc.ts";
import {
  COMPLETED,
  deathsOf,
  DONE,
  DROPPED,
  FAILED,
  FAILURES,
  FILLING,
  FREE,
  GIVEN_UP,
  HEADER_BYTES,
  LOCK_BASE,
  ownerOf,
  queueBytes,
  QueueWords,
  readHeader,
  SEQUENCE,
  stateOf,
  TAKEN,
  WAITING,
} from "../queue/queue_words.ts";
import type { QueueCounts } from "../queue/mod.ts";
import { invalidWord } from "../words.ts";
import { processOf, type Subject } from "./look.ts";
import { ageText } from "./report.ts";
import { type User, userText } from "./who.ts";

/** An item that a taker has. */
export interface QueueHolder {
  readonly slot: number;
  /** The taker; `null` where the kernel does not show that this process holds it. */
  readonly taker: User | null;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  /** How long it has been held, in milliseconds. */
  readonly heldMs: number;
}

/** The state of a queue. */
export interface QueueState {
  readonly counts: QueueCounts;
  readonly holders: readonly QueueHolder[];
  /** Whether somebody has said that nobody puts any more. */
  readonly isEnded: boolean;
}

/** Reads the state of a queue. */
export function readQueue({ name, identity, memory }: Subject): QueueState {
  const buffer = memory.buf!;
  if (memory.size < HEADER_BYTES) {
    throw invalidWord(name, `it has ${memory.size} bytes, which is less than a header`);
  }
  const header = readHeader(buffer, name);
  if (!(queueBytes(header) <= memory.size)) {
    throw invalidWord(name, `it has ${memory.size} bytes, which is less than its slots need`);
  }
  const words = new QueueWords(name, buffer, header);
  const states = new Array<number>(8).fill(0);
  const holders: QueueHolder[] = [];
  for (let slot = 0; slot < header.slots; slot++) {
    const word = words.checkedState(slot);
    const state = stateOf(word);
    states[state]++;
    if (state !== TAKEN && state !== DROPPED) continue;
    const id = ownerOf(word);
    const noted = words.readTaker(slot, id);
    // A number that stands in a segment is believed only where the kernel says the same.
    const isTheirs = noted !== null && ownsByteLock(noted.pid, identity, LOCK_BASE + id);
    holders.push({
      slot,
      taker: isTheirs ? processOf(noted.pid) : null,
      attempt: deathsOf(word) + 1,
      heldMs: noted === null ? 0 : Math.max(0, Math.round(Date.now() - noted.since)),
    });
  }
  return {
    counts: {
      slots: header.slots,
      free: states[FREE],
      filling: states[FILLING],
      waiting: states[WAITING],
      taken: states[TAKEN] + states[DROPPED],
      answered: states[DONE] + states[FAILED] + states[GIVEN_UP],
      put: words.count(SEQUENCE),
      completed: words.count(COMPLETED),
      failed: words.count(FAILURES),
    },
    holders,
    isEnded: words.isEnded,
  };
}

/** The lines that tell of a queue. */
export function queueLines({ counts, holders, isEnded }: QueueState): string[] {
  const { slots, free, filling, waiting, taken, answered, put, completed, failed } = counts;
  return [
    `Queue of ${slots} slots${isEnded ? ", ended" : ""}`,
    `Slots: ${free} free, ${filling} filling, ${waiting} waiting, ${taken} taken, ${answered} answered`,
    `Items: ${put} put, ${completed} completed, ${failed} failed`,
    ...holders.map(({ slot, taker, attempt, heldMs }) =>
      `Slot ${slot}: taken ${ageText(heldMs)} ago by ` +
      `${taker === null ? "a process that cannot be seen" : userText(taker)}, ` +
      `attempt ${attempt}`
    ),
  ];
}

/** What JSON says of a queue. */
export function queueFacts({ counts, holders, isEnded }: QueueState): object {
  return { ...counts, holders, ended: isEnded };
}

/** Whether nobody puts any more, and no slot has anything in it. */
export function isOver({ counts, isEnded }: QueueState): boolean {
  return isEnded && counts.free === counts.slots;
}
