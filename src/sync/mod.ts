/**
 * Waiting, locking and meeting between processes that share memory: {@linkcode wait}, {@linkcode notify} and {@linkcode
 * waitAsync} do between processes what those of `Atomics` do between threads; {@linkcode SharedMemoryLock} is a lock
 * that is free again when its holder is killed; at a {@linkcode SharedMemoryBarrier} nobody goes on before all have
 * come, and nobody waits for the dead. It needs the permission `--allow-ffi`.
 *
 * The examples below are recipes: event, semaphore, a barrier without seats, and seqlock, in a few lines each, for words
 * of an array of `int32`. Their functions can be copied. All words begin as 0, as `create()` leaves them.
 *
 * Each recipe keeps the rule of waiting: change the word by `Atomics`, then notify; when woken, look at the
 * word again.
 *
 * @example Event: wait until something has happened
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { notify, wait, waitAsync } from "@shm/array/sync";
 *
 * // The word is 1 from when it has happened on.
 * function setEvent(event: Int32Array): void {
 *   Atomics.store(event, 0, 1);
 *   notify(event, 0);
 * }
 *
 * function waitForEvent(event: Int32Array): void {
 *   while (Atomics.load(event, 0) === 0) wait(event, 0, 0);
 * }
 *
 * async function untilEvent(event: Int32Array): Promise<void> {
 *   while (Atomics.load(event, 0) === 0) await waitAsync(event, 0, 0).value;
 * }
 *
 * using sma = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName("event"));
 * const event = sma.create().data;
 * const happened = untilEvent(event); // usually in another process, as is the next line
 * setEvent(event);
 * await happened;
 * waitForEvent(event);
 * sma.unlink();
 * ```
 *
 * @example Semaphore: at most so many at once
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { notify, wait } from "@shm/array/sync";
 *
 * // The word says how many places are free. A holder that is killed never gives its place back: where that
 * // can happen, use as many SharedMemoryLocks as there are places, and tryAcquire() one after another.
 * function takePlace(semaphore: Int32Array): void {
 *   while (true) {
 *     const free = Atomics.load(semaphore, 0);
 *     if (free === 0) wait(semaphore, 0, 0);
 *     else if (Atomics.compareExchange(semaphore, 0, free, free - 1) === free) return;
 *   }
 * }
 *
 * function givePlace(semaphore: Int32Array): void {
 *   Atomics.add(semaphore, 0, 1);
 *   notify(semaphore, 0, 1);
 * }
 *
 * using sma = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName("places"));
 * const places = sma.create().data;
 * Atomics.store(places, 0, 2); // once, before anybody takes one
 * takePlace(places);
 * givePlace(places);
 * sma.unlink();
 * ```
 *
 * @example Barrier: go on when all have come
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { notify, wait } from "@shm/array/sync";
 *
 * // Word 0 counts the parties that have come, word 1 the rounds. After it, all see what each stored before.
 * // The others wait in vain for a party that is killed: where that can happen, use a SharedMemoryBarrier.
 * function meet(barrier: Int32Array, parties: number): void {
 *   const round = Atomics.load(barrier, 1);
 *   if (Atomics.add(barrier, 0, 1) === parties - 1) {
 *     Atomics.store(barrier, 0, 0);
 *     Atomics.add(barrier, 1, 1);
 *     notify(barrier, 1);
 *     return;
 *   }
 *   while (Atomics.load(barrier, 1) === round) wait(barrier, 1, round);
 * }
 *
 * using sma = new SharedMemoryArray([2], "int32", SharedMemoryArray.buildSmaName("barrier"));
 * meet(sma.create().data, 1); // alone, nobody has to be waited for
 * sma.unlink();
 * ```
 *
 * @example Seqlock: one writer, readers that never hold it up
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { wait } from "@shm/array/sync";
 * import { assertEquals } from "@std/assert";
 *
 * // The word is odd while the writer writes. It is changed and looked at by a read-modify-write, which
 * // keeps plain stores and loads on their side of it; Atomics.store() and load() do not on ARM. A writer
 * // that is killed in the middle leaves it odd, and readers wait until the next writer has written.
 * function writeVersion(version: Int32Array, write: () => void): void {
 *   if ((Atomics.load(version, 0) & 1) === 0) Atomics.add(version, 0, 1);
 *   write();
 *   Atomics.add(version, 0, 1);
 * }
 *
 * function readVersion<T>(version: Int32Array, copy: () => T): T {
 *   while (true) {
 *     const before = Atomics.add(version, 0, 0);
 *     if (before & 1) {
 *       wait(version, 0, before, 1);
 *       continue;
 *     }
 *     const result = copy(); // may be torn, and is thrown away then
 *     if (Atomics.add(version, 0, 0) === before) return result;
 *   }
 * }
 *
 * using version = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName("version"));
 * using pose = new SharedMemoryArray([3], "float64", SharedMemoryArray.buildSmaName("pose"));
 * const word = version.create().data;
 * const position = pose.create();
 * writeVersion(word, () => position.assign([1, 2, 3]));
 * assertEquals(readVersion(word, () => position.toArray()), [1, 2, 3]);
 * version.unlink();
 * pose.unlink();
 * ```
 *
 * @see {@link https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/Atomics | Atomics}
 * @module
 */

export { BrokenBarrierError } from "./attached_barrier.ts";
export {
  type BarrierCreateOrLoadOptions,
  type BarrierDescriptor,
  type BarrierLoadOptions,
  type MeetAsyncOptions,
  type MeetOptions,
  SharedMemoryBarrier,
} from "./barrier.ts";
export {
  type AcquireAsyncOptions,
  type AcquireOptions,
  type LockCreateOptions,
  type LockCreateOrLoadOptions,
  type LockDescriptor,
  LockGuard,
  type LockLoadOptions,
  SharedMemoryLock,
  type TryAcquireOptions,
} from "./lock.ts";
export { exitWithParent } from "../process/parent.ts";
export {
  notify,
  wait,
  waitAsync,
  type WaitAsyncOptions,
  type WaitAsyncResult,
  type WaitResult,
} from "./wait.ts";
