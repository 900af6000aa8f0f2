/**
 * What the tests of queues share: queues that are gone afterwards, and processes that take part.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
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

/** A text in a file of `src/queue/`, and what a copy has in its place. */
export interface Change {
  readonly file: string;
  readonly text: string;
  readonly by: string;
}

/** Copies the sources with changes in them: for processes that do something wrong, or at another pace. */
export async function changedCopy(
  changes: readonly Change[],
): Promise<{ readonly url: string; remove(): Promise<void> }> {
  const folder = await Deno.makeTempDir({ prefix: "queue-copy-" });
  const root = new URL("../../", import.meta.url).pathname;
  const { success } = await new Deno.Command("cp", {
    args: ["-R", `${root}mod.ts`, `${root}src`, `${root}ffi`, folder],
  }).output();
  assert(success);
  for (const { file, text, by } of changes) {
    const path = `${folder}/src/queue/${file}`;
    const source = await Deno.readTextFile(path);
    assertEquals(source.split(text).length, 2, `${file} has the text once: ${text}`);
    await Deno.writeTextFile(path, source.replace(text, by));
  }
  return {
    url: `file://${folder}/src/queue/mod.ts`,
    remove: () => Deno.remove(folder, { recursive: true }),
  };
}
