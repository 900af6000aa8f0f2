/**
 * How a process that was sent a signal ends, after the cleaners of this isolate have done their work. Other
 * isolates (Workers), other copies of this module and listeners of the program each do their part.
 *
 * @module
 */

import { close } from "../../ffi/files.ts";
import { memfdCreate } from "../../ffi/mman.ts";
import { platform } from "../../ffi/platform.ts";
import { runtime, type SignalName } from "../../ffi/runtime/mod.ts";
import { exitNow, kill } from "../../ffi/signal.ts";
import { commandLine, descriptorTargets } from "./proc.ts";

/** Takes back a mark that {@linkcode markCleaner} made; the second time does nothing. */
export type Unmark = () => void;

/** The name of the marks for a signal; another copy of this module gives the same. */
function markOf(name: SignalName): string {
  return `shm-array-cleaner-${name}`;
}

/**
 * Marks that this isolate has something to clean at a signal. The mark is an open descriptor, because
 * descriptors are what all threads of a process have in common. It is needed where the process must end by
 * an exit, which does not wait for other threads, or where a signal does not wait for them, either: elsewhere
 * nothing is marked.
 *
 * @param name the signal
 * @returns takes the mark back
 */
export function markCleaner(name: SignalName): Unmark {
  const { memfd } = platform();
  const isNeeded = (): boolean =>
    runtime().pid === 1 || runtime().signalEndsListeners || isWatched();
  if (memfd === null || !runtime().mayCallC() || !isNeeded()) return () => {};
  let fd: number | null;
  try {
    fd = memfdCreate(markOf(name), memfd.MFD_CLOEXEC);
  } catch {
    fd = null; // Without a descriptor the end is as for one isolate.
  }
  return () => {
    if (fd !== null) close(fd);
    fd = null;
  };
}

/** Whether some isolate of this process has not taken its mark for a signal back. */
function someAreMarked(name: SignalName): boolean {
  try {
    return descriptorTargets().some((target) => target.startsWith(`/memfd:${markOf(name)} `));
  } catch {
    return false; // Without /proc there is no way to see them.
  }
}

/**
 * Ends this process as a signal ends one that does not listen to it. An old Deno may take the system's action for the
 * very signal that is being told to the threads, so that there the own listener stays until all have cleaned.
 *
 * The signal is sent again. As long as a listener is left, of another isolate or of the program, Deno calls
 * it; when none is left, Deno takes the system's action, so that a parent sees the signal. An old Deno takes it
 * although listeners are left: there the signal is sent when all others have cleaned. Two processes end
 * by an exit instead: PID 1, which the kernel spares its own signals, and a program under `--watch`, where
 * the SIGTERM comes from the watcher and the watcher must survive.
 *
 * @param name the signal
 * @param stop takes the own listener away, which an old Deno still has
 */
export function endBySignal(name: SignalName, stop: () => void): void {
  const number = platform().signals[name];
  if (runtime().pid === 1) {
    onceClean(name, PATIENCE, () => exitAll(128 + number));
  } else if (name === "SIGTERM" && isWatched()) {
    onceClean(name, WATCHERS_PATIENCE, () => runtime().exit(128 + number));
  } else if (runtime().signalEndsListeners) {
    onceClean(name, PATIENCE, () => {
      stop();
      send(number);
    });
  } else send(number);
}

/** Sends a signal to this process. */
function send(number: number): void {
  try {
    kill(runtime().pid, number);
  } catch (error) {
    // Without --allow-ffi no signal can be sent; the process ends by an exit.
    console.error(error);
    runtime().exit(128 + number);
  }
}

/** How long the others have for cleaning, in milliseconds; `docker stop` kills after 10 seconds. */
const PATIENCE = 3000;

/** The same under `--watch`, which ends a program by itself after 500 ms. */
const WATCHERS_PATIENCE = 350;

/** Ends this process when all others have cleaned. Until then listeners that come after this one are called, too. */
function onceClean(name: SignalName, patience: number, end: () => void): void {
  const deadline = performance.now() + patience;
  const look = (): void => {
    if (performance.now() < deadline && someAreMarked(name)) setTimeout(look, 5);
    else end();
  };
  setTimeout(look, 0);
}

/** Ends the process of PID 1. */
function exitAll(code: number): void {
  if (runtime().isWorker()) setTimeout(() => exitNow(code), WORKERS_DELAY);
  else runtime().exit(code);
}

/**
 * How much longer than the main thread a Worker waits, in milliseconds. `Deno.exit()` in a Worker ends only
 * the Worker, and the C library's way gives the main thread no `unload` event; if the main thread has no
 * cleaner, nobody else ends the process.
 */
const WORKERS_DELAY = 200;

/** Whether Deno or Bun runs this program with `--watch`, as its command line tells where there is a /proc. */
function isWatched(): boolean {
  if (runtime().name === "node" || platform().directory === null) return false;
  if (!runtime().mayCallC()) return false;
  const words = commandLine();
  if (words === null) return false;
  // The arguments of the program come last. They are not options of Deno.
  return words.slice(0, words.length - runtime().args.length)
    .some((word) => /^--watch(-hmr)?(=|$)/.test(word));
}
