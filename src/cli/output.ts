/**
 * How segments are shown.
 *
 * @module
 */

import type { SegmentInfo } from "../../mod.ts";
import { units } from "./arguments.ts";

/**
 * Tells why `prune` left segments where they are.
 *
 * @param segments those that are left
 * @param limit how old a leftover must be, in milliseconds
 * @param prefix the prefix that was asked for
 * @returns the reasons; empty if none is left
 */
export function whatIsKept(
  segments: readonly SegmentInfo[],
  limit: number,
  prefix: string | undefined,
): string {
  const now = Date.now();
  let [used, young, foreign] = [0, 0, 0];
  for (const segment of segments) {
    if (prefix !== undefined && segment.prefix !== prefix) continue;
    if (segment.prefix === null) foreign++;
    else if (segment.pids.length > 0) used++;
    else if (now - segment.createdAt.getTime() < limit) young++;
  }
  return [
    young > 0 ? `${young} younger than ${duration(limit)}` : "",
    used > 0 ? `${used} that processes map` : "",
    foreign > 0 ? `${foreign} with names of their own, which prune never removes, and rm does` : "",
  ].filter((part) => part !== "").join("; ");
}

/** A duration as a command line takes it, in the largest unit that gives a whole number. */
function duration(milliseconds: number): string {
  const [unit, length] = Object.entries(units).toReversed()
    .find(([, length]) => milliseconds % length === 0) ?? ["ms", 1];
  return `${milliseconds / length}${unit || "ms"}`;
}

/**
 * Writes a value as JSON in which everything can be seen; it stands for the same names.
 *
 * @param value what JSON can hold
 * @param indent by how many spaces each level is indented; 0 makes one line of all
 * @returns the text
 */
export function jsonText(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replaceAll(
    /[\p{Cf}\p{Zl}\p{Zp}\x7f-\x9f]/gu,
    (character) =>
      Array.from(
        { length: character.length },
        (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
      ).join(""),
  );
}

/** A shape as it can be pasted into a program, without spaces: `[1024,768,3]`; "-" where there is none. */
export function shapeText(shape: readonly number[] | null): string {
  return shape === null ? "-" : `[${shape.join(",")}]`;
}

/** A size that is easy to read: "512 B", "1.5 KiB", "20 MiB". */
export function size(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  // A size that would be rounded to 1024 is given in the next unit, too.
  for (; Math.round(amount) >= 1024; unit++) amount /= 1024;
  const rounded = unit === 0 || amount >= 9.95 ? Math.round(amount) : amount.toFixed(1);
  return `${rounded} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

/** An age that is easy to read: "12s", "5m", "3h", "2d". */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 60 * 60) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 24 * 60 * 60) return `${Math.floor(seconds / (60 * 60))}h`;
  return `${Math.floor(seconds / (24 * 60 * 60))}d`;
}
