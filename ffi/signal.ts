/**
 * Processes: signals to them, the parent of this one, and its end.
 *
 * @module
 */

import { checked, openOnUse } from "./library.ts";
import { declareProcesses } from "./symbols.ts";

const functions = openOnUse(declareProcesses);

/**
 * Sends a signal to a process.
 *
 * @param pid the process
 * @param number the signal's number; 0 sends none, and only looks whether one could be sent
 * @see {@link https://man7.org/linux/man-pages/man2/kill.2.html | kill(2)}
 */
export function kill(pid: number, number: number): void {
  checked("kill", String(pid), () => functions().kill(pid, number));
}

/**
 * Tells which process is the parent of this one: the one that has started it, or after the end of that one, the
 * process that takes in orphans (PID 1, or a "subreaper").
 *
 * @returns the process; 0 where it is in another PID namespace
 * @see {@link https://man7.org/linux/man-pages/man2/getpid.2.html | getppid(2)}
 */
export function getppid(): number {
  return functions().getppid();
}

/**
 * Ends this process at once, with all its threads and without any event.
 *
 * @param code the exit code
 * @see {@link https://man7.org/linux/man-pages/man2/_exit.2.html | _exit(2)}
 */
export function exitNow(code: number): void {
  functions()._exit(code);
}
