// The event count: whoever announces, looks and sleeps misses no change, by either protocol of words.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ALL_SLEEP, deadlineOf, EventCount, ONE_SLEEPS } from "../../src/sync/event_count.ts";
import { scale } from "../helpers/scale.ts";
import { progress, SHORT_PATIENCE, Teller, until, untilWaiting, Words } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "the futex");

const [TURN, WAITING] = [0, 1];
const protocols = { "a word of its own": WAITING, "bit 0 of TURN": null } as const;

Deno.test("EventCount wakes all where one of them has announced that, and leaves the other bits", async () => {
  using words = new Words();
  const { data } = words;
  const one = new EventCount(data, TURN, WAITING);
  const all = new EventCount(data, TURN, WAITING, false, ONE_SLEEPS | ALL_SLEEP);
  const other = 4;
  for (const [events, woken] of [[[one, one, one], 1], [[one, all, one], 3]] as const) {
    Atomics.store(data, WAITING, other);
    const waits = events.map((event) => event.sleepAsync(event.announce(), 60_000, undefined));
    assertEquals(data[WAITING], other | ONE_SLEEPS | (events.includes(all) ? ALL_SLEEP : 0));
    await untilWaiting({ pid: Deno.pid }, "async");
    assertEquals(one.advance(1)?.woken, woken);
    assertEquals(data[WAITING], other);
    for (let i = woken; i < events.length; i++) one.handOn();
    await Promise.all(waits);
  }
  assertEquals(one.advance(1), null, "a bit that is not of this file announces nobody");
});

for (const [name, waiting] of Object.entries(protocols)) {
  Deno.test(`EventCount announces itself by ${name}, and an advance takes that back`, () => {
    using words = new Words();
    const { data } = words;
    const event = new EventCount(data, TURN, waiting);
    assertEquals(event.advance(), null, "nobody is announced");
    assertEquals([data[TURN], data[WAITING]], [0, 0]);
    const turn = event.announce();
    assertEquals(turn, event.turn);
    assertEquals(event.announce(), turn, "it is the same turn");
    assertEquals([data[TURN], data[WAITING]], waiting === null ? [1, 0] : [0, 1]);
    assertEquals(event.advance(), { turn: turn + 1, woken: 0 });
    assertEquals(event.advance(), null);
    assertEquals([data[TURN], data[WAITING]], [turn + 1, 0]);
    event.count();
    assertEquals(data[TURN], turn + 2);
  });

  Deno.test(`EventCount.until() looks once without time, and ends by its look or by its time (${name})`, async () => {
    using words = new Words();
    const event = new EventCount(words.data, TURN, waiting);
    let looks = 0;
    const nothing = (): null => (looks++, null);
    assertEquals(event.until(nothing, deadlineOf(0), 20), null);
    assertEquals(await event.untilAsync(nothing, deadlineOf(0), 20, undefined), null);
    assertEquals(looks, 2);
    const start = performance.now();
    assertEquals(event.until(nothing, deadlineOf(50), 20), null);
    assertEquals(await event.untilAsync(nothing, deadlineOf(50), 20, undefined), null);
    assert(performance.now() - start >= 99.8);
    assert(looks >= 6, "a slice ends by itself");
    assertEquals(event.until(() => "found", deadlineOf(Infinity), 20), "found");
    assertEquals(await event.untilAsync(() => 0, Infinity, 20, undefined), 0);
    const fail = (): never => {
      throw new RangeError("gone");
    };
    assertThrows(() => event.until(fail, Infinity, 20), RangeError, "gone");
    await assertRejects(() => event.untilAsync(fail, Infinity, 20, undefined), RangeError, "gone");
  });

  Deno.test(`EventCount.untilAsync() is rejected with the signal's reason (${name})`, async () => {
    using words = new Words();
    const event = new EventCount(words.data, TURN, waiting);
    const signal = AbortSignal.abort("before");
    const reason = await event.untilAsync(() => 1, Infinity, 20, signal).catch((reason) => reason);
    assertEquals(reason, "before");
    const controller = new AbortController();
    const waits = event.untilAsync(() => null, Infinity, 60_000, controller.signal);
    await untilWaiting({ pid: Deno.pid }, "async");
    controller.abort("later");
    assertEquals(await waits.catch((reason) => reason), "later");
  });

  // Taken out (lookOn() asks whether the signal is aborted): it looks once more, and would have taken what it found.
  Deno.test(`EventCount.untilAsync() looks no more after an abort, also where a look is due (${name})`, async () => {
    using words = new Words();
    const event = new EventCount(words.data, TURN, waiting);
    for (let round = 0; round < 20; round++) {
      const controller = new AbortController();
      let [looks, isAborted] = [0, false];
      const look = (): string | null => (looks++, isAborted ? "taken" : null);
      const waits = event.untilAsync(look, Infinity, 1, controller.signal).catch((why) => why);
      await until("the slices have ended", () => looks > 4);
      controller.abort("enough");
      isAborted = true;
      for (const end = performance.now() + 3; performance.now() < end;); // the next look is due
      const before = looks;
      assertEquals([await waits, looks - before], ["enough", 0]);
    }
  });

  /** How a process waits until a look finds something, by slices that are far too long: a change missed stops it. */
  const ways: { [how: string]: string } = {
    "until()": "event.until(look, Infinity, 1e9);",
    "untilAsync()": "await event.untilAsync(look, Infinity, 1e9, undefined);",
    // The broken one looks, and then announces itself and sleeps, without a second look.
    broken:
      "while (look() === null) { dwell(Math.random() * 30); event.sleep(event.announce(), 1e9); }",
  };
  const hunt = async (
    how: string,
    rounds: number,
    patience?: number,
  ): Promise<"done" | "stalled"> => {
    using words = new Words();
    const code = (mine: number, theirs: number): string => `
      import { EventCount } from ${
      JSON.stringify(new URL("../../src/sync/event_count.ts", import.meta.url).href)
    };
      const data = words();
      const event = new EventCount(data, ${TURN}, ${waiting});
      for (let i = 1; i <= ${rounds}; i++) {
        const change = () => { Atomics.store(data, ${mine}, i); event.advance(); };
        const look = () => Atomics.load(data, ${theirs}) >= i || null;
        if (${mine === 2}) change();
        ${ways[how]}
        if (${mine === 3}) change();
      }
      console.log("done");
    `;
    await using one = await Teller.start(code(2, 3), [words.name]);
    await using other = await Teller.start(code(3, 2), [words.name]);
    const end = await progress(() => Atomics.load(words.data, 3), rounds, patience);
    if (end === "done") assertEquals([await one.line(), await other.line()], ["done", "done"]);
    return end;
  };

  const rounds = 10_000 * scale; // 100,000
  for (const how of ["until()", "untilAsync()"]) {
    Deno.test(`EventCount.${how} misses none of ${rounds} changes (${name})`, async () => {
      assertEquals(await hunt(how, rounds), "done");
    });
  }

  Deno.test(`a waiter that does not look again is caught by the same hunt: the control (${name})`, async () => {
    assertEquals(await hunt("broken", 1_000_000, SHORT_PATIENCE), "stalled");
  });
}
