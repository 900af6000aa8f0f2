/**
 * What the tests of queues share: queues that are gone afterwards, and processes that take part.
 *
 * @module
 */

import { type QueueOptions, SharedMemoryQueue } from "../../src/queue/mod.ts";
import { withNames } from "./helpers.ts";
import { Member } from "./publish_helpers.ts";

/** The module under test, for code that runs in another process or worker. */
export const queueUrl: string = new URL("../../src/queue/mod.ts", import.meta.url).href;

/** Calls `body` with a queue and a second attachment of it, both of which are gone afterwards. */
export function withQueue<R>(
  slots: number,
  body: (queue: SharedMemoryQueue, other: SharedMemoryQueue) => R | Promise<R>,
  options?: QueueOptions,
): Promise<R> {
  return withNames(async (name) => {
    using queue = new SharedMemoryQueue(name, slots, options).create();
    using other = SharedMemoryQueue.clone(queue).load();
    return await body(queue, other);
  });
}

/** Starts a process that has loaded a queue as `queue`, and says line by line how far it is by `say(line)`. */
export function startMember(
  queue: SharedMemoryQueue,
  code: string,
  url = queueUrl,
): Promise<Member> {
  return Member.start(`
    import { SharedMemoryQueue } from ${JSON.stringify(url)};
    const queue = SharedMemoryQueue.from(${JSON.stringify(queue)}).load();
    ${code}
  `);
}

/** Code of a process that takes one item, says so, and hangs. */
export const hang = `
  const item = queue.take();
  globalThis.item = item; // what nobody can reach is garbage, and its attachment with it
  say("taken " + item.attempt);
  setInterval(() => {}, 1000);
`;

/** What the slots of a queue are now, without those that are free. */
export function statesOf(queue: SharedMemoryQueue): { [state: string]: number } {
  const { filling, waiting, taken, answered } = queue.counts();
  return Object.fromEntries(
    Object.entries({ filling, waiting, taken, answered }).filter(([, count]) => count > 0),
  );
}

/**
 * Lets the time limit of a call end while somebody has it. Where the machine is so slow that nobody has taken it before,
 * the call was withdrawn, and is made again with a longer limit.
 *
 * @param call makes the call with a limit in milliseconds, and gives what it is rejected with
 * @param isTaken whether somebody has it, or had it
 * @param limit the first limit
 */
export async function endWhileTaken<T>(
  call: (limit: number) => Promise<T>,
  isTaken: () => boolean,
  limit: number,
): Promise<T> {
  for (;; limit *= 4) {
    const end = await call(limit);
    if (isTaken()) return end;
  }
}
