/**
 * Waiting, locking and meeting between processes that share memory.
 *
 * It needs Linux (on macOS there is waiting only), and in Deno the permission `--allow-ffi`.
 *
 * | you want | take |
 * | --- | --- |
 * | to wait until another process has changed a word | {@linkcode wait}, {@linkcode waitAsync}, and {@linkcode notify} there |
 * | one process at a time; or one writer, or many readers | {@linkcode SharedMemoryLock}, which is free again when its holder is killed |
 * | to go on when all have come | {@linkcode SharedMemoryBarrier}, at which nobody waits for the dead |
 * | a worker to end with its parent | {@linkcode exitWithParent} |
 *
 * After the first example there are recipes: event, semaphore, a barrier without seats, and seqlock, in a few lines each,
 * for words of an array of `int32`. Their functions can be copied. All words begin as 0, as `create()` leaves them.
 * Each recipe keeps the rule of waiting: change the word by `Atomics`, then notify; when woken, look at the word again.
 *
 * @example A lock: one process at a time
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryLock } from "@shm/array/sync";
 *
 * // Every process does the same: who comes first makes them.
 * const name = SharedMemoryArray.buildSmaName("total");
 * using sma = new SharedMemoryArray([1], "float64", name);
 * const total = sma.createOrLoad();
 * using lock = new SharedMemoryLock(`${name}.lock`).createOrLoad();
 * {
 *   using _guard = lock.acquire(); // until the end of the block
 *   total.set(0, total.get(0) + 5);
 * }
 * console.log(total.get(0)); // 5
 * // Once, at the end:
 * SharedMemoryArray.clearBuffers([name, `${name}.lock`]);
 * ```
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
 *   while (Atomics.load(event, 0) === 0) {
 *     await waitAsync(event, 0, 0).value;
 *   }
 * }
 *
 * const name = SharedMemoryArray.buildSmaName("event");
 * using sma = new SharedMemoryArray([1], "int32", name);
 * const event = sma.create().data;
 * const happened = untilEvent(event); // in other processes, usually
 * setEvent(event);
 * await happened;
 * waitForEvent(event);
 * console.log(event[0]); // 1
 * sma.unlink();
 * ```
 *
 * @example Semaphore: at most so many at once
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { notify, wait } from "@shm/array/sync";
 *
 * // The word says how many places are free. A holder that is killed never
 * // gives its place back: where that can happen, use as many
 * // SharedMemoryLocks as there are places, and tryAcquire() each in turn.
 * function takePlace(semaphore: Int32Array): void {
 *   while (true) {
 *     const free = Atomics.load(semaphore, 0);
 *     if (free === 0) {
 *       wait(semaphore, 0, 0);
 *       continue;
 *     }
 *     const found = Atomics.compareExchange(semaphore, 0, free, free - 1);
 *     if (found === free) return;
 *   }
 * }
 *
 * function givePlace(semaphore: Int32Array): void {
 *   Atomics.add(semaphore, 0, 1);
 *   notify(semaphore, 0, 1);
 * }
 *
 * const name = SharedMemoryArray.buildSmaName("places");
 * using sma = new SharedMemoryArray([1], "int32", name);
 * const places = sma.create().data;
 * Atomics.store(places, 0, 2); // once, before anybody takes one
 * takePlace(places);
 * console.log(places[0]); // 1
 * givePlace(places);
 * sma.unlink();
 * ```
 *
 * @example Barrier: go on when all have come
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { notify, wait } from "@shm/array/sync";
 *
 * // Word 0 counts the parties that have come, word 1 the rounds. After it,
 * // all see what each stored before. The others wait in vain for a party
 * // that is killed: where that can happen, use a SharedMemoryBarrier.
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
 * const name = SharedMemoryArray.buildSmaName("barrier");
 * using sma = new SharedMemoryArray([2], "int32", name);
 * const words = sma.create().data;
 * meet(words, 1); // alone, nobody has to be waited for
 * console.log(words[1]); // 1
 * sma.unlink();
 * ```
 *
 * @example Seqlock: one writer, readers that never hold it up
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { wait } from "@shm/array/sync";
 *
 * // The word is odd while the writer writes. It is changed and looked at
 * // by a read-modify-write, which keeps plain stores and loads on their
 * // side of it; Atomics.store() and load() do not on ARM. A writer that is
 * // killed in the middle leaves it odd, and readers wait until the next
 * // writer has written.
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
 * const name = SharedMemoryArray.buildSmaName("pose");
 * using version = new SharedMemoryArray([1], "int32", `${name}.version`);
 * using pose = new SharedMemoryArray([3], "float64", name);
 * const word = version.create().data;
 * const position = pose.create();
 * writeVersion(word, () => position.assign([1, 2, 3]));
 * console.log(readVersion(word, () => position.toArray())); // [ 1, 2, 3 ]
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
