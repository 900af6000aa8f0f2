/**
 * Who cleans up when the process ends: by itself, by `Deno.exit()`, or by a signal that somebody asked for.
 *
 * @module
 */

import { platform } from "../../ffi/platform.ts";
import { raise, SIG_DFL, signal } from "../../ffi/signal.ts";

/** What is called when the process ends. */
interface Cleaner {
  readonly clean: () => void;
  readonly signals: readonly Deno.Signal[];
}

/** The cleaners that have not been taken back, in the order in which they came. */
const cleaners = new Set<Cleaner>();

/** For each signal, the listener, and how many times cleaners want it. */
const listeners = new Map<Deno.Signal, { readonly listener: () => void; wanted: number }>();

/** The signals that can be listened to, and that end a process that does not. */
export function endingSignals(): string[] {
  return Object.keys(platform().signals);
}

/**
 * Has something cleaned when the process ends.
 *
 * @param clean cleans up; what it throws is printed, and keeps no other cleaner from its work
 * @param signals at which signals to clean, too, all of {@linkcode endingSignals}; after that the process ends
 * as the signal ends one that does not listen to it
 * @returns takes it back; the second time does nothing
 */
export function cleanAtExit(clean: () => void, signals: readonly Deno.Signal[]): () => void {
  const cleaner = { clean, signals: [...signals] };
  if (cleaners.size === 0) addEventListener("unload", cleanAll);
  cleaners.add(cleaner);
  for (const name of cleaner.signals) listen(name);
  return () => forget(cleaner);
}

function forget(cleaner: Cleaner): void {
  if (!cleaners.delete(cleaner)) return;
  if (cleaners.size === 0) removeEventListener("unload", cleanAll);
  for (const name of cleaner.signals) unlisten(name);
}

function listen(name: Deno.Signal): void {
  const entry = listeners.get(name);
  if (entry !== undefined) {
    entry.wanted++;
    return;
  }
  const listener = (): void => {
    try {
      cleanAll();
    } finally {
      endBySignal(name);
    }
  };
  Deno.addSignalListener(name, listener);
  listeners.set(name, { listener, wanted: 1 });
}

function unlisten(name: Deno.Signal): void {
  const entry = listeners.get(name)!;
  if (--entry.wanted > 0) return;
  Deno.removeSignalListener(name, entry.listener);
  listeners.delete(name);
}

/** Lets every cleaner do its work; the process is about to end. */
function cleanAll(): void {
  for (const { clean } of cleaners) {
    try {
      clean();
    } catch (error) {
      // Nobody is left to catch it, and the others must be called, too.
      console.error(error);
    }
  }
}

/** Ends this process as the signal ends one that does not listen to it. */
function endBySignal(name: Deno.Signal): void {
  const number = platform().signals[name];
  signal(number, SIG_DFL);
  raise(number);
}
