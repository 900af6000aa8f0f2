// What stands in a barrier's segment may come from a hostile program, or from one that was killed.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory } from "@shm/array";
import { BrokenBarrierError, SharedMemoryBarrier } from "@shm/array/sync";
import { withParties } from "../helpers/barrier_helpers.ts";
import { withNames } from "../helpers/helpers.ts";
import { rejectionOf } from "../helpers/publish_helpers.ts";
import { Random } from "../helpers/random.ts";
import { scale, slowness } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";
import * as words from "../../src/sync/barrier_words.ts";

everyTestWith("Linux", "barriers");

const { Busy, InvalidData } = Deno.errors;

/** The bytes of a barrier's segment, as another program sees them. */
function bytesOf({ name }: { readonly name: string }): { view: DataView } & Disposable {
  const memory = SharedMemory.open(name);
  return { view: new DataView(memory.buf!), [Symbol.dispose]: () => memory.close() };
}

const seatAt = (seat: number): number => words.HEADER_BYTES + words.SEAT_BYTES * seat;

Deno.test("load() refuses a header that cannot be", () =>
  withParties(2, (barrier) => {
    using bytes = bytesOf(barrier);
    for (const parties of [0, 4097, 2 ** 32 - 1]) {
      bytes.view.setUint32(words.PARTIES.at, parties, true);
      const load = () => SharedMemoryBarrier.from(barrier).load();
      assertThrows(load, InvalidData, `its word PARTIES is ${parties}`);
    }
    // The segment is too small for what it says.
    bytes.view.setUint32(words.PARTIES.at, 4000, true);
    assertThrows(() => new SharedMemoryBarrier(barrier.name, 4000).load(), RangeError, "bytes");
  }));

Deno.test("a seat that somebody has taken away is InvalidData for its party", () =>
  withParties(2, async (a, b) => {
    using bytes = bytesOf(a);
    const waiting = rejectionOf(a.meetAsync());
    bytes.view.setBigUint64(seatAt(0), 0x1234n, true);
    assert(await waiting instanceof InvalidData);
    assertThrows(() => a.meet(), InvalidData, "its word SEAT of seat 0 is 0x0000000000001234");
    await assertRejects(() => a.meetAsync({ timeout: 5 }), InvalidData);
    // For the other one it is the seat of somebody who does not live.
    assertThrows(() => b.meet({ timeout: 100 }), BrokenBarrierError);
    a.close();
    a.load();
    const met = a.meetAsync();
    assertEquals([b.meet(), await met], [1, 1]);
  }));

Deno.test("a generation that cannot be is InvalidData for who waits", () =>
  withParties(2, async (a, b) => {
    using bytes = bytesOf(a);
    for (const generation of [7n, 2n ** 40n - 2n, 2n ** 39n]) {
      const waiting = rejectionOf(a.meetAsync());
      bytes.view.setBigUint64(words.ROUND.at, generation + (3n << 40n), true);
      const error = await waiting;
      assert(error instanceof InvalidData && error.message.includes("ROUND"), String(error));
    }
    // Who comes then goes on from there.
    const met = a.meetAsync();
    assertEquals([b.meet(), await met], [2 ** 39 + 1, 2 ** 39 + 1]);
  }));

Deno.test("numbers begin anew after their last one", () =>
  withParties(2, async (a, b) => {
    using bytes = bytesOf(a);
    bytes.view.setBigUint64(words.ROUND.at, 2n ** 64n - 2n, true); // the last generation but one
    bytes.view.setUint32(words.BREAKS.at, 2 ** 32 - 1, true);
    bytes.view.setUint32(words.NEXT_ID.at, 2 ** 24 - 1, true);
    bytes.view.setUint32(words.TURN.at, 2 ** 32 - 2, true);
    for (const generation of [2 ** 40 - 1, 0, 1]) {
      assertThrows(() => a.meet({ timeout: 0 }), DOMException, "1 of 2"); // counted beyond the last
      const met = a.meetAsync();
      assertEquals([b.meet(), await met], [generation, generation]);
    }
    b.close();
    assertEquals(b.load().seat, 1);
    const met = a.meetAsync();
    assertEquals([b.meet(), await met], [2, 2]);
  }));

Deno.test("an id that stands in the seat of a dead party is not given again", () =>
  withParties(3, async (a, b, c) => {
    using bytes = bytesOf(a);
    b.close();
    c.close();
    // The next ones would be those of the dead: taking the byte of one would make the other seat look alive.
    bytes.view.setUint32(words.NEXT_ID.at, 1, true);
    b.load();
    c.load();
    assertEquals([b.seat, c.seat], [1, 2]);
    const met = [a.meetAsync(), b.meetAsync()];
    assertEquals([c.meet(), ...await Promise.all(met)], [1, 1, 1]);
  }));

Deno.test("all seats with the ids of those who live is Busy, and all other ids are taken", () =>
  withParties(1, (barrier) => {
    using bytes = bytesOf(barrier);
    const own = bytes.view.getBigUint64(seatAt(0), true);
    assertThrows(() => SharedMemoryBarrier.from(barrier).load(), Busy);
    bytes.view.setBigUint64(seatAt(0), own | 2n ** 60n, true); // the same party, for something else
    assertThrows(() => SharedMemoryBarrier.from(barrier).load(), Busy);
    assertThrows(() => barrier.meet(), InvalidData);
  }));

Deno.test("with 300 hostile headers everything ends soon, by a result or by an error of its own", () =>
  withNames(async (name) => {
    const random = new Random(25);
    const draw = (below: number): number => Math.floor(random.next() * below);
    for (let n = 0; n < Math.round(300 * scale); n++) {
      using a = new SharedMemoryBarrier(name, 3).create().load();
      using b = SharedMemoryBarrier.from(a).load();
      if (n % 3 === 0) SharedMemoryBarrier.from(a).load().close();
      const waiting = n % 2 === 0 ? b.meetAsync({ timeout: 20 }) : null;
      const settled = waiting?.catch((error) => error);
      {
        using bytes = bytesOf(a);
        // Some words of the header or of the seats, but not what tells the kind and the size.
        for (let times = 1 + draw(6); times > 0; times--) {
          const at = 12 + 4 * draw((words.barrierBytes(3) - 12) / 4);
          const values = [0, 1, 2 ** 32 - 1, draw(2 ** 32), draw(8) + 256 * draw(4), draw(64)];
          bytes.view.setUint32(at, values[draw(values.length)], true);
        }
      }
      const start = performance.now();
      const timeout = 5;
      const calls: (() => unknown)[] = [
        () => SharedMemoryBarrier.from(a).load().close(),
        () => a.meet({ timeout }),
        () => a.meet({ timeout, patient: true }),
        () => a.meetAsync({ timeout }),
        () => b.meetAsync({ timeout, patient: true }),
        async () => {
          const error = await settled;
          if (error instanceof Error) throw error;
        },
        () => a.close(),
        () => a.load().meet({ timeout }),
        () => b.meetAsync({ timeout }),
        () => b.close(),
      ];
      for (const call of calls) {
        try {
          await call();
        } catch (error) {
          const { name, message } = error as Error;
          assert(
            message.startsWith("Cannot ") && name !== "TypeError",
            `${n}: ${call} ended with ${name}: ${message}`,
          );
        }
      }
      // Each call may take its time limit; this machine may be busy.
      assert(performance.now() - start < 60_000 * slowness, `header ${n}`);
      a.unlink();
    }
  }));
