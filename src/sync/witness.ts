/**
 * Numbers of attachments that the kernel witnesses: each attachment of a queue or a barrier locks one byte of the
 * segment's file, far beyond the data, that belongs to its number. The kernel gives the lock back when the
 * attachment's process ends, however it ends. So others can tell who is dead, whatever stands in the segment.
 *
 * @module
 */

import { quoteName } from "../check.ts";
import { busy } from "../errors.ts";
import type { OpenSegment } from "../segment/mod.ts";

/** The largest id of an attachment: 24 bits. */
export const LAST_ID: number = 2 ** 24 - 1;

/**
 * The byte of the segment's file that the attachment with the id 0 would lock. Each locks the one that is by its id
 * after this one.
 */
export const LOCK_BASE: number = 2 ** 32;

/** How many ids are tried: those before may belong to attachments that live. */
const MOST_TRIES = 2 ** 16;

/**
 * Claims an id that no living attachment has, and locks its byte.
 *
 * @param segment the segment
 * @param next counts in the segment, and gives the next number. It is trusted in nothing.
 * @param isFree whether an id whose byte was just locked can be used; by default any can
 * @returns the id, from 1 on
 * @throws {Deno.errors.Busy} if none was found
 */
export function claimId(
  segment: OpenSegment,
  next: () => number,
  isFree: (id: number) => boolean = () => true,
): number {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const id = next() & LAST_ID;
    if (id === 0 || !segment.tryLockByte(LOCK_BASE + id)) continue;
    if (isFree(id)) return id;
    segment.unlockByte(LOCK_BASE + id);
  }
  throw busy(
    `Cannot load ${
      quoteName(segment.name)
    }: ${MOST_TRIES} attachments live, or somebody locks their bytes`,
  );
}

/** Whether the attachment that has an id lives. The segment's own attachment is not seen. */
export function isWitnessed(segment: OpenSegment, id: number): boolean {
  return segment.isByteLocked(LOCK_BASE + id);
}
