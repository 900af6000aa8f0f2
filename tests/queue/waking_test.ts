/**
 * Nobody polls: whoever sleeps is woken by whoever changes what it waits for. All run with a copy of the sources whose
 * slices of sleep are ten minutes, so that a look that comes by itself helps nobody.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { until, withNames } from "../helpers/helpers.ts";
import { type Change, changedCopy, inTime, never } from "../helpers/changed_copy.ts";
import { handled } from "../helpers/publish_helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";
import type { SharedMemoryQueue as Queue } from "@shm/array/queue";

everyTestWith("Linux", "queues");

const file = "src/queue/attached_queue.ts";
const noSlices: readonly Change[] = [never(file, "SLICE", 50), never(file, "LONG_SLICE", 250)];

/** Calls `body` with attachments of one queue, which are made by a copy with changes. */
async function withCopy(
  changes: readonly Change[],
  slots: number,
  body: (attach: () => Queue) => Promise<void>,
): Promise<void> {
  await using copy = await changedCopy([...noSlices, ...changes]);
  const { SharedMemoryQueue } = await import(copy.url("src/queue/mod.ts"));
  await withNames(async (name) => {
    const all: Queue[] = [];
    try {
      await body(() => {
        const queue: Queue = new SharedMemoryQueue(name, slots).createOrLoad();
        all.push(queue);
        return queue;
      });
    } finally {
      all.forEach((queue) => queue.close());
    }
  });
}

/** Time in which those who wait fall asleep. */
const asleep = (): Promise<void> => new Promise((resume) => setTimeout(resume, 150));

Deno.test("takers, callers, those who want a slot and those who wait for the end are woken", () =>
  withCopy([], 1, async (attach) => {
    const [one, two, three] = [attach(), attach(), attach()];
    // A taker by put(), one by call(), one by release(), one by close().
    const first = one.takeAsync();
    await asleep();
    two.put("put");
    const item = (await inTime(first))!;
    const again = two.takeAsync();
    await asleep();
    item.release();
    assertEquals((await inTime(again))!.message, "put");
    const third = three.takeAsync();
    await asleep();
    two.close();
    // Who wants a slot by complete(), two who wait by one end each.
    const last = (await inTime(third))!;
    const room = one.putAsync("room");
    const drained = three.drainedAsync();
    await asleep();
    last.complete();
    await inTime(Promise.all([room, drained]));
    three.take()!.complete();
    const call = one.call("call");
    const other = one.putAsync("after");
    await asleep();
    three.take()!.complete("answer");
    assertEquals(await inTime(call), "answer");
    await inTime(other);
    three.take()!.fail("no");
    // end() wakes takers, and those who want a slot.
    three.put("holds the slot");
    const waits = handled(one.putAsync("never"), one.call("never"));
    const holder = three.take()!;
    const takers = [one.takeAsync(), three.takeAsync()];
    await asleep();
    one.end();
    for (const each of waits) await inTime(assertRejects(() => each, Deno.errors.BrokenPipe));
    await asleep();
    holder.complete();
    assertEquals(await inTime(Promise.all(takers)), [null, null]);
  }));

Deno.test("of many takers and many who want a slot each is woken in its turn", () =>
  withCopy([], 2, async (attach) => {
    const [takers, putters] = [[attach(), attach(), attach()], [attach(), attach()]];
    let taken = 0;
    const taking = takers.map(async (queue) => {
      for await (const item of queue.items()) {
        taken++;
        if (taken % 7 === 0) await new Promise((resume) => setTimeout(resume, 1));
        item.complete(item.message);
      }
    });
    await asleep();
    const putting = putters.map(async (queue, which) => {
      for (let n = 0; n < 150; n++) {
        if (n % 3 === which) assertEquals(await queue.call(n), n);
        else await queue.putAsync(n);
      }
    });
    await inTime(Promise.all(putting));
    putters[0].end();
    await inTime(Promise.all(taking));
    assertEquals(taken, 300);
  }));

// The same must see that somebody is not woken.

const faults: readonly { what: string; text: string; by: string; found: string[] }[] = [
  {
    what: "put() wakes no taker",
    text: "    if (!isPut) throw words.lostSlot(slot);\n    this.#work.advance(1);",
    by: "    if (!isPut) throw words.lostSlot(slot);",
    found: [],
  },
  {
    what: "complete() wakes no caller",
    text: "    if (caller !== 0) this.#answerEvent(slot).advance();\n    if (!isKept)",
    by: "    if (!isKept)",
    found: ["taken"],
  },
];

for (const { what, text, by, found } of faults) {
  Deno.test(`it is found out that ${what}`, () =>
    withCopy([{ file, text, by }], 1, async (attach) => {
      const [one, two] = [attach(), attach()];
      const seen: string[] = [];
      const taking = one.takeAsync().then((item) => {
        seen.push("taken");
        item!.complete();
      });
      await asleep();
      const call = two.call("x").then(() => seen.push("answered"));
      const ends = Promise.allSettled([taking, call]);
      await until("what comes about has come", () => seen.length >= found.length);
      await new Promise((resume) => setTimeout(resume, 1500));
      assertEquals(seen, found);
      one.close();
      two.close();
      await ends;
    }));
}
