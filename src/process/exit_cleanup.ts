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
  readonly uncaught: boolean;
  readonly listenings: readonly Listening[];
}

/** Where this file listens to a signal. */
interface Listening {
  readonly name: SignalName;
  /** Ends the calls of this file. */
  readonly stop: () => void;
  readonly unmark: Unmark;
  /** How many times cleaners want it; 0 when the isolate or the process ends. */
  wanted: number;
}

/** The cleaners that have not been taken back, in the order in which they came. */
const cleaners = new Set<Cleaner>();

/** Each ends the calls of this file at the end of the isolate, and at an error that nobody caught. */
let stopAtExit: (() => void) | undefined;
let stopAtUncaught: (() => void) | undefined;

/** For each signal, where this file listens to it. */
const listening = new Map<SignalName, Listening>();

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
  const cleaner = { clean, uncaught, listenings: [...signals].map(listen) };
  cleaners.add(cleaner);
  stopAtExit ??= runtime().onExit(cleanAll);
  if (uncaught) stopAtUncaught ??= runtime().onUncaught(cleanUncaught);
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
  for (const each of cleaner.listenings) {
    if (--each.wanted !== 0) continue;
    listening.delete(each.name);
    each.stop();
    each.unmark();
  }
}

function uncaughtCleaners(): Cleaner[] {
  return [...cleaners].filter(({ uncaught }) => uncaught);
}

function listen(name: SignalName): Listening {
  let entry = listening.get(name);
  if (entry === undefined) {
    const stop = runtime().onSignal(name, () => {
      cleanAll();
      endBySignal(name, stop);
    });
    entry = { name, stop, unmark: markCleaner(name), wanted: 0 };
    listening.set(name, entry);
  }
  entry.wanted++;
  return entry;
}

/**
 * Lets every cleaner do its work; this isolate, and mostly the process, is about to end. This file listens to no signal
 * any more: the process may go on, if a listener of the program keeps it alive, or under `--watch`.
 */
function cleanAll(): void {
  const ended = [...listening.values()];
  listening.clear();
  for (const entry of ended) entry.wanted = 0; // Cleaners that are taken back end nothing now.
  callAll(cleaners);
  for (const { stop, unmark } of ended) {
    // Where the process goes on, an old Deno would let the signal end it, whoever listens in other isolates.
    if (!runtime().signalEndsListeners) stop();
    unmark();
  }
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
