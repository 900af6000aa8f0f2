/**
 * The reason why the memory of a view is gone, for messages. An owner that closes memory by itself says why,
 * and what to do.
 *
 * @module
 */

/** The reasons, by the buffer. */
const reasons = new WeakMap<ArrayBufferLike, string>();

/**
 * Says why the memory of a buffer will be gone.
 *
 * @param buffer the buffer that is about to be detached
 * @param message what the error of a view over it says from then on
 */
export function explainGone(buffer: ArrayBufferLike, message: string): void {
  reasons.set(buffer, message);
}

/**
 * Tells why the memory of a buffer is gone.
 *
 * @param buffer a detached buffer
 * @returns the message of the error
 */
export function goneMessage(buffer: ArrayBufferLike): string {
  return reasons.get(buffer) ??
    "Cannot use this array: its memory is gone; it was closed, or its buffer transferred";
}
