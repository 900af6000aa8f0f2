/**
 * Calls cleaners when the process ends: by itself, by `Deno.exit()`, by a signal that a cleaner asked for, or
 * by an error that nobody caught.
 *
 * @module
 */

import { needStack, UNFAMILIAR_FRAMES } from "../check.ts";
import { platform } from "../../ffi/platform.ts";
import { runtime, type SignalName } from "../../ffi/runtime/mod.ts";
import { endBySignal, markCleaner, type Unmark } from "./process_end.ts";

/** A function that is called when the process ends. */
interface Cleaner {
  readonly clean: () => void;
  readonly signals: readonly SignalName[];
  readonly uncaught: boolean;
}

/** The cleaners that have not been taken back, in the order in which they came. */
const cleaners = new Set<Cleaner>();

/** Each ends the calls of this file at the end of the isolate, and at an error that nobody caught. */
let stopAtExit: (() => void) | undefined;
let stopAtUncaught: (() => void) | undefined;

/** Whether this isolate ends; whether it cleans at a signal. */
let isEnding = false;
let isCleaning = false;

/** For each signal, what ends its calls, and how many times cleaners want it. */
const listeners = new Map<
  SignalName,
  { readonly stop: () => void; readonly unmark: Unmark; wanted: number }
>();

/** The signals that can be listened to, and that end a process that does not. */
export function endingSignals(): string[] {
  return Object.keys(platform().signals);
}

/**
 * Registers a cleaner, which is called when the process ends.
 *
 * @param clean cleans up; what it throws is printed, and keeps no other cleaner from its work
 * @param signals the signals at which to clean, too, out of {@linkcode endingSignals}; after that the process
 * ends as the signal ends one that does not listen to it
 * @param uncaught whether to clean, too, at an error or a rejection that nobody caught
 * @returns takes it back; the second time does nothing
 */
export function cleanAtExit(
  clean: () => void,
  signals: readonly SignalName[],
  uncaught = false,
): () => void {
  // Half of a listener would be worse than none: neither would it clean, nor could it be taken back.
  needStack(UNFAMILIAR_FRAMES);
  const cleaner = { clean, signals: [...signals], uncaught };
  cleaners.add(cleaner);
  stopAtExit ??= runtime().onExit(cleanAtEnd);
  if (uncaught) stopAtUncaught ??= runtime().onUncaught(cleanUncaught);
  for (const name of cleaner.signals) listen(name);
  return () => forget(cleaner);
}

function forget(cleaner: Cleaner): void {
  needStack(UNFAMILIAR_FRAMES);
  if (!cleaners.delete(cleaner)) return;
  if (cleaners.size === 0) {
    stopAtExit?.();
    stopAtExit = undefined;
  }
  if (uncaughtCleaners().length === 0) {
    stopAtUncaught?.();
    stopAtUncaught = undefined;
  }
  for (const name of cleaner.signals) unlisten(name);
}

function uncaughtCleaners(): Cleaner[] {
  return [...cleaners].filter(({ uncaught }) => uncaught);
}

function listen(name: SignalName): void {
  const entry = listeners.get(name);
  if (entry !== undefined) {
    entry.wanted++;
    return;
  }
  const listener = (): void => {
    isCleaning = true;
    try {
      cleanAll();
    } finally {
      // The process may go on, if a listener of the program keeps it alive. The listener of this file is needed
      // no more.
      stopListening(name);
      isCleaning = false;
      endBySignal(name, stop);
    }
  };
  const stop = runtime().onSignal(name, listener);
  listeners.set(name, { stop, unmark: markCleaner(name), wanted: 1 });
}

function unlisten(name: SignalName): void {
  const entry = listeners.get(name);
  // After the signal has come, this file listens to it no more.
  if (entry !== undefined && --entry.wanted === 0) stopListening(name);
}

function stopListening(name: SignalName): void {
  const entry = listeners.get(name);
  if (entry === undefined) return;
  listeners.delete(name);
  // The process may go on, as under --watch, with isolates that listen.
  if (!((isEnding || isCleaning) && runtime().signalEndsListeners)) entry.stop();
  entry.unmark();
}

/** Lets every cleaner do its work; this isolate is about to end. */
function cleanAtEnd(): void {
  isEnding = true;
  cleanAll();
}

/** Lets every cleaner do its work; the process is about to end. */
function cleanAll(): void {
  callAll(cleaners);
}

/** Calls the cleaners that were registered for uncaught errors. */
function cleanUncaught(): void {
  callAll(uncaughtCleaners());
}

function callAll(some: Iterable<Cleaner>): void {
  for (const { clean } of some) {
    try {
      clean();
    } catch (error) {
      // Nobody is left to catch the error, and the other cleaners must be called, too.
      console.error(error);
    }
  }
}
