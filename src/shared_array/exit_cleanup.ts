/**
 * What this process can do about signals.
 *
 * @module
 */

import { dieBySignal, platform } from "../../ffi/library.ts";

/** The signals that can be listened to, and end a process that does not. */
export function endingSignals(): string[] {
  return Object.keys(platform().signals);
}

/** Ends this process as the signal ends one that does not listen to it. */
export function endBySignal(signal: string): void {
  dieBySignal(signal);
}
