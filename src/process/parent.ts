/**
 * The parent of this process: who has started it, and how this process ends when that one has ended.
 *
 * @module
 */

import { monotonicNow } from "../../ffi/futex.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { getppid } from "../../ffi/signal.ts";
import { sleep as sleepUnseeing } from "../../ffi/time.ts";
import { checkInteger, sharedAmongCopies } from "../check.ts";
import { fromCaller, notSupported } from "../errors.ts";

/** What is being watched. */
interface Watch {
  /** The process that must stay the parent of this one; 0 while nobody asked for that. */
  parent: number;
  /** When to look again, by the monotonic clock; `Infinity` while nobody asked. */
  next: number;
}

/** The waits of another copy of this package must end, too. */
const watch = sharedAmongCopies<Watch>("parent", () => ({ parent: 0, next: Infinity }));

/**
 * How long after a look the next one comes, in milliseconds: this process ends within a second after its parent, also on
 * a busy machine. A look takes some 0.2 µs.
 */
const INTERVAL = 400;

/** Ends the looks of the event loop. */
let stopLooking: (() => void) | undefined;

/**
 * Ends this process soon after the process that has started it: a worker whose parent was killed, and could tell it
 * nothing, does not stay behind.
 *
 * From now on this process looks every 400 ms whether its parent is still the same. If not, it ends as by
 * `Deno.exit(1)`: registers remove what they list, `unload` listeners run. It looks also while it is blocked in a wait
 * of this package: in `wait`, `acquire`, `take`, `next`, `load` with a time limit, and their like. While a
 * program blocks its only thread by anything else, or computes without a pause, it cannot look.
 *
 * It does not keep the program alive, and may be called again. It is for the main thread, as only that can end the
 * process; it ends the Workers as well.
 *
 * Give the parent's number wherever you can, as an argument of the program: a parent that ended before this
 * call can be noticed by nothing else. The parent must be the direct one: where a shell or a script in between starts
 * this process, and does not become it (`exec`), that one is the parent.
 *
 * Linux can send a signal at the end of a parent (`PR_SET_PDEATHSIG`). It is not used: it comes at the end of the
 * parent's *thread*, and no register could clean.
 *
 * @param parentPid the process that must be the parent: `Deno.pid` of the program that has started this one. If another
 * one is the parent by now, this process ends at once. By default whatever process is the parent now.
 * @throws {TypeError} if `parentPid` is no number
 * @throws {RangeError} if it is no number of a process
 * @throws {Deno.errors.NotSupported} in a `Worker`, and where the parent is in another PID namespace, and so cannot be
 * seen: PID 1 of a container, say (`ENOTSUP`)
 * @throws {Deno.errors.NotCapable} without `--allow-ffi`
 *
 * @example A worker, which is told who its parent is
 * ```ts
 * import { exitWithParent } from "@shm/array/sync";
 *
 * // The parent starts it by: new Deno.Command(Deno.execPath(), { args: [..., String(Deno.pid)] })
 * if (Deno.args.length > 0) exitWithParent(Number(Deno.args[0]));
 * ```
 *
 * @see {@link https://man7.org/linux/man-pages/man2/getpid.2.html | getppid(2)}
 */
export function exitWithParent(parentPid?: number): void {
  try {
    if (parentPid !== undefined) checkPid(parentPid);
    if (runtime().isWorker()) {
      throw notSupported(
        "Cannot exit with the parent: this is a Worker, and only the main thread can end the process; " +
          "call exitWithParent() there",
      );
    }
    const parent = getppid();
    if (parent === 0) {
      throw notSupported(
        "Cannot exit with the parent: it is in another PID namespace, and its end cannot be seen from here",
      );
    }
    // A second call keeps the parent that the first one has found, as the next look may be the first to miss it.
    if (watch.parent === 0) watch.parent = parentPid ?? parent;
    look();
    if (parentPid !== undefined && parentPid !== parent) end();
    stopLooking ??= runtime().onInterval(INTERVAL, look);
  } catch (error) {
    throw fromCaller(error, exitWithParent);
  }
}

/** Numbers of processes are those of a C `int`. */
const MOST_PID = 2 ** 31 - 1;

function checkPid(pid: unknown): void {
  checkInteger(pid, "exit with the parent", "parentPid");
  if (pid >= 1 && pid <= MOST_PID) return;
  throw new RangeError(
    `Cannot exit with the parent: parentPid must be from 1 to ${MOST_PID}, not ${pid}`,
  );
}

/** Looks whether the parent is still the same, and ends this process if not. */
function look(): void {
  if (watch.parent === 0) return;
  watch.next = monotonicNow() + INTERVAL;
  if (getppid() !== watch.parent) end();
}

/** Ends this process. What runs at its end may wait, and must not come here again. */
function end(): never {
  watch.parent = 0;
  watch.next = Infinity;
  stopLooking?.();
  return runtime().exit(1);
}

/**
 * Has a thread that is about to block look after the parent, if somebody asked for that and it is time to. Everything
 * that blocks calls this before, and does not sleep beyond {@linkcode nextLookAtParent}.
 */
export function lookAtParent(): void {
  if (watch.next !== Infinity && monotonicNow() >= watch.next) look();
}

/** When a thread that is blocked must look again, by the monotonic clock; `Infinity` if nobody asked for that. */
export function nextLookAtParent(): number {
  return watch.next;
}

/**
 * Blocks this thread for some milliseconds, in a loop that waits for something: it looks after the parent meanwhile.
 *
 * @param milliseconds how long; shorter than the time between two looks
 */
export function sleep(milliseconds: number): void {
  lookAtParent();
  sleepUnseeing(milliseconds);
}
