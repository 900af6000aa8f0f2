/**
 * Work that is shared out among processes: a queue whose items survive their workers, `SharedMemoryQueue`.
 *
 * It is for jobs of milliseconds and more that several processes of one machine do: tiles of an image, requests to a
 * model. Each item goes to one taker at a time. If that one dies, the next one gets it. Who put the item may wait for an
 * answer. The data of an item lie in arrays with an axis of slots, and are copied nowhere. Nobody polls, no
 * server runs, and nothing is left to mend after a kill.
 *
 * **A lease ends with the life of its taker, not with time.** A taker that hangs holds its item until it is killed;
 * `holders()` and the `pid` of a `TimeoutError` tell which process that is.
 *
 * It needs Linux, and in Deno the permission `--allow-ffi`.
 *
 * | you want | take |
 * | --- | --- |
 * | a job done, no answer | `put`, `putAsync`, `tryPut`, and `drained` |
 * | an answer | `call` |
 * | to work | `serve`, or `items`, or `take` and `complete` |
 * | to see who hangs, and what failed | `holders`, `takeFailed` |
 * | to end | `end` |
 *
 * `docs/queue.md` has the words and the states, for other languages.
 *
 * @example Two workers and four tiles
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import {
 *   type QueueDescriptor,
 *   SharedMemoryQueue,
 * } from "@shm/array/queue";
 *
 * const name = SharedMemoryArray.buildSmaName("tiles");
 * using queue = new SharedMemoryQueue(name, 8);
 * queue.create();
 *
 * // A process each, usually.
 * async function work(descriptor: QueueDescriptor): Promise<void> {
 *   using queue = SharedMemoryQueue.from(descriptor).load();
 *   await queue.serve(({ message: { tile } }) => tile * tile);
 * }
 * const workers = [work(queue), work(queue)];
 *
 * const calls = [1, 2, 3, 4].map((tile) => queue.call({ tile }));
 * const answers = await Promise.all(calls);
 * console.log(answers); // [ 1, 4, 9, 16 ]
 * queue.end();
 * await Promise.all(workers);
 * queue.unlink();
 * ```
 *
 * @module
 */

export type { Json } from "../json_text.ts";
export type { FillNow, FillSoon } from "./attached_queue.ts";
export {
  type AnonymousQueueOptions,
  type CallOptions,
  type FailedItem,
  type ItemsOptions,
  type PutAsyncOptions,
  type PutOptions,
  type QueueCounts,
  type QueueCreateOrLoadOptions,
  type QueueDescriptor,
  type QueueHolder,
  QueueItem,
  type QueueLoadOptions,
  type QueueOptions,
  type QueueWaitAsyncOptions,
  type QueueWaitOptions,
  type ServeOptions,
  SharedMemoryQueue,
  type TryPutOptions,
} from "./queue.ts";
