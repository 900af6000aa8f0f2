/**
 * The segments that commands look at.
 *
 * @module
 */

import { geteuid } from "../../ffi/files.ts";
import type { SegmentInfo } from "../../mod.ts";
import { isAnonymousName, listSegments } from "../segment/mod.ts";

/** Lists all segments that this user can see, sorted by name; those of other users, too. */
export function allSegments(): SegmentInfo[] {
  return listSegments("all");
}

/** Whether a segment belongs to this user. */
export function isOwn({ uid }: SegmentInfo): boolean {
  return uid === geteuid();
}

/** The processes that use a segment: they map it, or it is anonymous and they hold it. */
export function usersOf({ name, pids }: SegmentInfo): number[] {
  if (!isAnonymousName(name)) return pids;
  const holder = Number(name.split(":")[1]);
  return pids.includes(holder) ? pids : [...pids, holder].sort((a, b) => a - b);
}

/** Whether it can be told who uses a segment: an ordinary user may not look at the processes of another one. */
export function showsUsers(segment: SegmentInfo): boolean {
  return usersOf(segment).length > 0 || isOwn(segment) || geteuid() === 0;
}
