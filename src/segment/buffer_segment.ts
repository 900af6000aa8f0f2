/**
 * What is known of a buffer over a segment. Views know nothing of mappings: they ask here whether two buffers
 * are the same memory, and by which name others reach it. Waits ask here to be called before a mapping is
 * closed.
 *
 * @module
 */

import { sharedAmongCopies } from "../check.ts";
import type { FileIdentity } from "./file.ts";

/** What tells a segment from every other one, whatever names lead to it. */
export interface SegmentIdentity extends FileIdentity {
  /** The name by which it was made or opened. */
  readonly name: string;
  /** Whether what is written goes to private copies of its pages; by default not. */
  readonly isPrivate?: boolean;
}

/**
 * The segment of each buffer that maps one, also where another copy of this package has mapped it. A private field on the buffer would save 0.15 µs of some 12 at each
 * attachment, but would need a constructor that returns another object.
 */
const segments = sharedAmongCopies(
  "segments of buffers, 1",
  () => new WeakMap<ArrayBufferLike, SegmentIdentity | null>(),
);

/**
 * Notes which segment a fresh buffer maps.
 *
 * @param buffer the buffer over a mapping
 * @param segment the segment
 */
export function markSegment(buffer: ArrayBuffer, segment: SegmentIdentity): void {
  segments.set(buffer, segment);
}

/**
 * Forgets which segment a buffer mapped: the mapping was closed, and the buffer, which could not be detached,
 * shows other memory now.
 *
 * @param buffer the buffer
 */
export function unmarkSegment(buffer: ArrayBuffer): void {
  segments.set(buffer, null);
}

/**
 * Tells whether a buffer that is not detached shows other memory than the segment that it mapped.
 *
 * @param buffer any buffer
 * @returns whether its mapping was closed
 */
export function isUnmarked(buffer: ArrayBufferLike): boolean {
  return segments.get(buffer) === null;
}

/**
 * Tells which segment a buffer maps.
 *
 * @param buffer any buffer
 * @returns the name by which it was made or opened, and an `identity` that all buffers over one segment
 * have; `undefined` for memory of another kind
 */
export function sharedBytesOf(
  buffer: ArrayBufferLike,
): { readonly identity: string; readonly name: string } | undefined {
  const segment = segments.get(buffer);
  if (segment === undefined || segment === null) return undefined;
  const { name, device, inode } = segment;
  // A segment may have several names (a hard link), and get another one. Only macOS has nothing better.
  return { identity: inode === 0 ? name : `${device}:${inode}`, name };
}

/**
 * Tells whether a buffer shows a segment copy-on-write: its elements may then differ from those of the segment.
 *
 * @param buffer any buffer
 * @returns whether what is written to it stays private
 */
export function isPrivateCopy(buffer: ArrayBufferLike): boolean {
  return segments.get(buffer)?.isPrivate === true;
}

/**
 * Tells which segment a buffer maps, whatever its name.
 *
 * @param buffer any buffer
 * @returns the same text for all buffers over one segment; `undefined` for memory of another kind
 */
export function segmentOf(buffer: ArrayBufferLike): string | undefined {
  return sharedBytesOf(buffer)?.identity;
}

// --- Before a mapping is closed ----------------------------------------------------------------

/** The functions that are called before a buffer is detached, for each buffer that has some. */
const listenersOf = sharedAmongCopies(
  "listeners of buffers, 1",
  () => new WeakMap<ArrayBufferLike, Set<() => void>>(),
);

/**
 * Asks that a function is called before a mapping is closed by `close()`. It is not called where the buffer is
 * collected as garbage.
 *
 * @param buffer the buffer over the mapping
 * @param listener called when the buffer is about to be detached, synchronously; must not throw
 * @returns takes the request back
 */
export function onClose(buffer: ArrayBufferLike, listener: () => void): () => void {
  let listeners = listenersOf.get(buffer);
  if (listeners === undefined) listenersOf.set(buffer, listeners = new Set());
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) listenersOf.delete(buffer);
  };
}

/** Calls the functions that wait for a mapping to be closed: it is about to be. */
export function tellClosing(buffer: ArrayBufferLike): void {
  const listeners = listenersOf.get(buffer);
  if (listeners === undefined) return;
  listenersOf.delete(buffer);
  for (const listener of listeners) listener();
}
