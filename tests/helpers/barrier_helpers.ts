/**
 * What the tests of barriers share: barriers that are gone afterwards, and processes that take part.
 *
 * @module
 */

import { SharedMemoryBarrier } from "../../src/sync/mod.ts";
import { withNames } from "./helpers.ts";
import { Member } from "./publish_helpers.ts";
import { syncUrl } from "./sync.ts";

/** Calls `body` with so many instances that have all seats of a barrier, which are gone afterwards. */
export function withParties<R>(
  parties: number,
  body: (...barriers: SharedMemoryBarrier[]) => R | Promise<R>,
): Promise<R> {
  return withNames(async (name) => {
    const barriers = Array.from(
      { length: parties },
      () => new SharedMemoryBarrier(name, parties).createOrLoad(),
    );
    try {
      return await body(...barriers);
    } finally {
      for (const barrier of barriers) barrier.close();
    }
  });
}

/** Starts a process that has taken a seat at `barrier`, and says line by line how far it is by `say(line)`. */
export function startParty(barrier: SharedMemoryBarrier, code: string): Promise<Member> {
  return Member.start(`
    const { BrokenBarrierError, SharedMemoryBarrier } = await import(${JSON.stringify(syncUrl)});
    const barrier = SharedMemoryBarrier.from(${JSON.stringify(barrier)}).load();
    ${code}
  `);
}

/** Code of a process that says that it has a seat, and hangs. */
export const hang = `
  say("seat " + barrier.seat);
  setInterval(() => {}, 1000);
`;
