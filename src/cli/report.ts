/**
 * What is said of streams and locks: in words for people, and as facts for JSON.
 *
 * @module
 */

import type { LockState, Newest, Stream } from "./look.ts";
import { age as longAge, shapeText } from "./output.ts";
import { usersText } from "./who.ts";

/** The parts that are not empty, with commas between them. */
function listed(...parts: string[]): string {
  return parts.filter((part) => part !== "").join(", ");
}

// --- Streams ---------------------------------------------------------------------------------

/** One line about a stream: "Ring of 4 slots, uint8 (2, 3), written by deno:42". */
export function streamText({ kind, slots, writer, isEnded, dtype, shape }: Stream): string {
  return listed(
    kind === "ring" ? `Ring of ${slots} slots` : "Versions",
    `${dtype} ${shapeText(shape)}`,
    writer === null ? "without a writer now" : `written by ${usersText([writer])}`,
    isEnded ? "ended" : "",
  );
}

/** One line about the newest array of a stream: "Frame 17, 40ms old, 2 skipped". */
export function newestText({ kind }: Stream, newest: Newest | null): string {
  if (newest === null) return kind === "ring" ? "No frame yet" : "No version yet";
  const { number, age, skipped } = newest;
  return listed(
    `${kind === "ring" ? "Frame" : "Version"} ${number}`,
    age === null ? "" : `${ageText(age)} old`,
    `${skipped} skipped`,
  );
}

/** What JSON calls the number of a stream's newest array. */
export function numberKey({ kind }: Stream): "sequence" | "version" {
  return kind === "ring" ? "sequence" : "version";
}

/** What JSON says of a stream. */
export function streamFacts({ kind, slots, writer, isEnded, dtype, shape }: Stream): object {
  return { kind, shape, dtype, ...slots === null ? {} : { slots }, writer, ended: isEnded };
}

// --- Locks -----------------------------------------------------------------------------------

/** Who holds a lock, in words. */
export function holdersText({ holders, isShared, isMarked }: LockState): string {
  if (holders !== null && holders.length > 0) {
    const by = `by ${usersText(holders)}`;
    if (!isShared) return `held ${by}`;
    return `held shared ${by}${isMarked ? ", abandoned by the last holder before" : ""}`;
  }
  if (holders === null) return isMarked ? "held, or abandoned" : "free, as far as can be told";
  return isMarked ? "free, abandoned by its last holder" : "free";
}

/** Who waits for a lock, in words. */
export function waitersText({ waiters, someoneWaits }: LockState): string {
  if (waiters.length > 0) return usersText(waiters);
  return someoneWaits ? "somebody" : "nobody";
}

/** What JSON says of a lock. */
export function lockFacts(
  { holders, isShared, waiters, someoneWaits, isMarked }: LockState,
): object {
  return {
    holders,
    shared: isShared,
    waiters,
    waiting: someoneWaits || waiters.length > 0,
    abandoned: holders !== null && (holders.length === 0 || isShared) && isMarked,
  };
}

// --- Text ------------------------------------------------------------------------------------

/** An age that is easy to read: "12ms", "1.3s", "5m". */
export function ageText(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)}ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  return longAge(milliseconds);
}
