/**
 * Who wants to know that a mapping is about to be closed. A mapping tells those who asked, and knows
 * nothing of what they do.
 *
 * @module
 */

/** Who asked, by the buffer over the mapping. A buffer that nobody asked about is not in it. */
const asked = new WeakMap<ArrayBufferLike, Set<() => void>>();

/**
 * Asks to be told before a mapping is closed by hand. Nobody is told of one whose buffer is garbage.
 *
 * @param buffer the buffer over the mapping
 * @param told called when the buffer is about to be detached, synchronously; must not throw
 * @returns takes the request back
 */
export function onClose(buffer: ArrayBufferLike, told: () => void): () => void {
  let listeners = asked.get(buffer);
  if (listeners === undefined) asked.set(buffer, listeners = new Set());
  listeners.add(told);
  return () => {
    listeners.delete(told);
    if (listeners.size === 0) asked.delete(buffer);
  };
}

/** Tells all who asked that a mapping is about to be closed. */
export function tellClosing(buffer: ArrayBufferLike): void {
  const listeners = asked.get(buffer);
  if (listeners === undefined) return;
  asked.delete(buffer);
  for (const told of listeners) told();
}
