// What the contract of SharedMemoryQueue says, case by case. What happens when time is up is in time_out_test.ts.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { type Json, QueueItem, SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryRing } from "@shm/array/publish";
import {
  descriptorsOf,
  errorOf,
  mappingsOf,
  segmentExists,
  withNames,
} from "../helpers/helpers.ts";
import { hang, queueUrl, startMember, statesOf, withQueue } from "../helpers/queue_helpers.ts";
import { handled, rejectionOf, sleep } from "../helpers/publish_helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "queues");

const { BadResource, BrokenPipe, Busy, InvalidData, NotFound } = Deno.errors;

// --- Description -------------------------------------------------------------------------------

Deno.test("SharedMemoryQueue() is plain data, frozen", () => {
  const queue = new SharedMemoryQueue("q", 4);
  assertEquals(JSON.stringify(queue), '{"kind":"queue","name":"q","slots":4,"messageBytes":1024}');
  assertEquals(structuredClone({ ...queue }), {
    kind: "queue",
    name: "q",
    slots: 4,
    messageBytes: 1024,
  });
  assertThrows(() => Object.assign(queue, { slots: 5 }), TypeError);
  const keeping = new SharedMemoryQueue("q", 4, { messageBytes: 64, keepFailed: true });
  assertEquals<unknown>({ ...keeping }, {
    kind: "queue",
    name: "q",
    slots: 4,
    messageBytes: 64,
    keepFailed: true,
  });
  assertEquals<unknown>({ ...SharedMemoryQueue.from(JSON.parse(JSON.stringify(keeping))) }, {
    ...keeping,
  });
  assertEquals(String(queue), "SharedMemoryQueue 'q' 4 slots");
});

Deno.test("SharedMemoryQueue() refuses what cannot be", () => {
  const make = (...args: unknown[]) => () =>
    new SharedMemoryQueue(...args as ConstructorParameters<typeof SharedMemoryQueue>);
  assertThrows(make("q", 0), RangeError, "slots must be from 1 to 4096, not 0");
  assertThrows(make("q", 4097), RangeError, "slots");
  assertThrows(make("q", 1.5), RangeError, "slots");
  assertThrows(make("q", "4"), TypeError, "slots");
  assertThrows(make("q", 4, { messageBytes: 63 }), RangeError, "messageBytes");
  assertThrows(make("q", 4, { messageBytes: 2 ** 31 }), RangeError, "messageBytes");
  assertThrows(make("q", 4, { keepFailed: 1 }), TypeError, "keepFailed");
  assertThrows(make("q", 4, { timeout: 1 }), TypeError, "there is no option");
  assertThrows(make("a/b", 4), RangeError);
  assertThrows(make(undefined, 4), TypeError);
});

Deno.test("SharedMemoryQueue.from() and clone() refuse what is no queue's", () => {
  const from = (descriptor: unknown) => () => SharedMemoryQueue.from(descriptor as never);
  assertThrows(from("q"), TypeError, "JSON.parse() makes it");
  assertThrows(from({ name: "q" }), TypeError, "the descriptor has no slots");
  assertThrows(from({ kind: "ring", name: "q", slots: 2 }), TypeError, "another kind");
  assertThrows(from({ name: "q", slots: 2, shape: [2] }), TypeError, "it has a shape");
  assertThrows(from({ name: "q", slots: 2, message_bytes: 64 }), TypeError, "it is messageBytes");
  assertEquals(SharedMemoryQueue.from({ name: "q", slots: 2 }).messageBytes, 1024);
  // A message that says that it describes a queue may have any other key, but for a spelling of one of ours.
  const message = { kind: "queue", name: "q", slots: 2, job: 7, shape: "round", layout: [1] };
  assertEquals(from(message)().slots, 2);
  assertThrows(from({ ...message, keep_failed: true }), TypeError, "it is keepFailed");
  const queue = new SharedMemoryQueue("q", 2, { keepFailed: true });
  assertEquals(SharedMemoryQueue.clone(queue, { slots: 3 }).keepFailed, true);
  assertThrows(() => SharedMemoryQueue.clone({ ...queue } as never), TypeError, "from()");
  assertThrows(() => SharedMemoryQueue.clone(queue, { size: 3 } as never), TypeError);
});

Deno.test("load() refuses another segment, and another queue", () =>
  withNames(async (name, foreign) => {
    using queue = new SharedMemoryQueue(name, 4).create();
    const load = (slots: number, options?: object) => () =>
      new SharedMemoryQueue(name, slots, options).load();
    assertThrows(load(5), RangeError, "it has 4 slots");
    assertThrows(load(4, { messageBytes: 100 }), RangeError, "messages of 1024 bytes");
    assertThrows(load(4, { keepFailed: true }), RangeError, "does not keep");
    assertThrows(() => queue.create(), Busy, "attached already");
    assertThrows(() => new SharedMemoryQueue(name, 4).create(), Deno.errors.AlreadyExists);
    using ring = new SharedMemoryRing(1, "uint8", foreign, 2).create();
    assertThrows(() => new SharedMemoryQueue(foreign, 4).load(), TypeError, "that of a ring");
    assertThrows(() => new SharedMemoryRing(1, "uint8", name, 2).load(), TypeError, "a queue");
    ring.unlink();
    using raw = SharedMemory.create(foreign, 10_000);
    assertThrows(() => new SharedMemoryQueue(foreign, 4).load(), TypeError, "not that of a queue");
    raw.unlink();
    assertThrows(() => new SharedMemoryQueue(foreign, 4).load(), NotFound);
    await Promise.resolve();
  }));

Deno.test("a queue that is not attached can do nothing", async () => {
  const queue = new SharedMemoryQueue("nobody-made-this", 4);
  const calls: (() => unknown)[] = [
    () => queue.put(1),
    () => queue.tryPut(1),
    () => queue.take(),
    () => queue.items(),
    () => queue.takeFailed(),
    () => queue.holders(),
    () => queue.counts(),
    () => queue.end(),
    () => queue.isEnded,
    () => queue.drained(),
  ];
  for (const call of calls) assertThrows(call, BadResource, "not attached");
  await assertRejects(() => queue.putAsync(1), BadResource);
  await assertRejects(() => queue.call(1), BadResource);
  await assertRejects(() => queue.takeAsync(), BadResource);
  await assertRejects(() => queue.serve(() => {}), BadResource);
  await assertRejects(() => queue.drainedAsync(), BadResource);
  queue.close();
  assertEquals(queue.isCreator, null);
});

Deno.test("createOrLoad() creates once; close() leaves nothing open", () =>
  withNames((name) => {
    {
      using first = new SharedMemoryQueue(name, 4).createOrLoad({ mode: 0o640 });
      using second = new SharedMemoryQueue(name, 4).createOrLoad();
      assertEquals([first.isCreator, second.isCreator], [true, false]);
      assertEquals(mappingsOf(name), 2);
      first.put(1);
      assertEquals(second.take()?.message, 1);
      assertEquals(first.unlink(), true);
      assertEquals(segmentExists(name), false);
    }
    assertEquals([mappingsOf(name), descriptorsOf(name)], [0, 0]);
  }));

// --- Putting and taking ------------------------------------------------------------------------

Deno.test("put() and take() hand over messages in their order", () =>
  withQueue(4, (queue, other) => {
    const messages: Json[] = [null, true, -1.5, "ä€🎉\0", [1, { a: [] }], { b: { c: "d" } }, ""];
    for (const message of messages) {
      queue.put(message);
      const item = other.take()!;
      assert(item instanceof QueueItem);
      assertEquals([item.message, item.attempt, item.wanted], [message, 1, true]);
      assertEquals(item.complete(), true);
      assertEquals(item.wanted, false);
    }
    for (const n of [1, 2, 3, 4]) queue.put(n);
    assertEquals([1, 2, 3, 4].map(() => other.take()!.message), [1, 2, 3, 4]);
  }));

Deno.test("the slot belongs to the item from its filling to its end", () =>
  withQueue(2, (queue, other) => {
    const slots: number[] = [];
    const fill = (slot: number) => {
      slots.push(slot);
      assertEquals(other.counts().filling, 1);
      return undefined;
    };
    queue.put(fill);
    queue.put(fill);
    assertEquals(slots.toSorted(), [0, 1]);
    assertEquals(queue.tryPut(fill), false);
    const item = other.take()!;
    assertEquals([item.slot, item.message], [slots[0], null]);
    assertEquals(queue.tryPut(fill), false);
    item.complete();
    assertEquals(queue.tryPut(fill), true);
    assertEquals(slots[2], item.slot);
  }));

Deno.test("a fill that throws, returns a promise or no JSON puts nothing", () =>
  withQueue(1, async (queue) => {
    const cyclic: { [key: string]: Json } = {};
    cyclic.self = cyclic;
    for (const put of [queue.tryPut, queue.put]) {
      assertThrows(
        () =>
          put.call(queue, () => {
            throw new Error("no");
          }),
        Error,
        "no",
      );
      assertThrows(
        () => put.call(queue, (() => Promise.resolve(1)) as never),
        TypeError,
        "putAsync",
      );
      assertThrows(() => put.call(queue, 1n as never), TypeError, "nothing that JSON can write");
      assertThrows(() => put.call(queue, cyclic), TypeError, "nothing that JSON can write");
      assertThrows(() => put.call(queue, Symbol() as never), TypeError);
    }
    await assertRejects(() => queue.putAsync(() => Promise.reject(new Error("no"))), Error, "no");
    await assertRejects(() => queue.call(() => Promise.reject(new Error("no"))), Error, "no");
    assertEquals(statesOf(queue), {});
    assertEquals(queue.counts().put, 0);
  }));

Deno.test("a text that is too long is a RangeError, and changes nothing", () =>
  withQueue(1, async (queue, other) => {
    assertThrows(() => queue.put("x".repeat(63)), RangeError, "has 65 bytes");
    await assertRejects(() => queue.call("€".repeat(21)), RangeError, "has 65 bytes");
    assertEquals(statesOf(queue), {});
    queue.put("x".repeat(62));
    other.take()!.complete("x".repeat(100)); // nobody reads it
    const answer = queue.call("€".repeat(20));
    const item = (await other.takeAsync())!;
    assertEquals(item.message, "€".repeat(20));
    assertThrows(() => item.complete("x".repeat(63)), RangeError, "the answer has 65 bytes");
    assertEquals(item.wanted, true);
    assertEquals(item.complete("x".repeat(62)), true);
    assertEquals(await answer, "x".repeat(62));
  }, { messageBytes: 64 }));

Deno.test("options are checked before anything is done", () =>
  withQueue(1, async (queue) => {
    assertThrows(() => queue.put(1, { attempts: 0 }), RangeError, "attempts must be from 1 to 30");
    assertThrows(() => queue.tryPut(1, { attempts: 31 }), RangeError);
    assertThrows(() => queue.put(1, { timeout: -1 }), RangeError);
    assertThrows(() => queue.take({ timeout: NaN }), RangeError);
    assertThrows(() => queue.take({ signal: null } as never), TypeError, "no option");
    assertThrows(() => queue.items({ timeout: 1 } as never), TypeError, "no option");
    await assertRejects(() => queue.call(1, { full: "no" as never }), RangeError, "full must be");
    await assertRejects(() => queue.call(1, { read: 1 as never }), TypeError, "read must be");
    await assertRejects(() => queue.serve(1 as never), TypeError, "handler must be");
    await assertRejects(() => queue.serve(() => {}, { concurrency: 0 }), RangeError);
    await assertRejects(() => queue.takeAsync({ signal: 1 as never }), TypeError);
    assertThrows(() => new QueueItem(null), TypeError, "take()");
    assertEquals(queue.counts().put, 0);
  }));

Deno.test("a full queue is false, TimeoutError or Busy", () =>
  withQueue(1, async (queue, other) => {
    queue.put(1);
    assertEquals(other.tryPut(2), false);
    assertEquals(errorOf(() => other.put(2, { timeout: 5 })).name, "TimeoutError");
    assertEquals((await rejectionOf(other.putAsync(2, { timeout: 5 }))).name, "TimeoutError");
    assertEquals((await rejectionOf(other.call(2, { timeout: 5 }))).name, "TimeoutError");
    await assertRejects(() => other.call(2, { full: "throw" }), Busy, "all 1 slots are in use");
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    assertEquals(await rejectionOf(other.putAsync(2, { signal })), reason);
    const later = new AbortController();
    const put = other.putAsync(2, { signal: later.signal });
    later.abort(reason);
    assertEquals(await rejectionOf(put), reason);
    assertEquals(queue.counts().put, 1);
  }));

Deno.test("calls of one instance have slots in the order in which they were made", () =>
  withQueue(1, async (queue, other) => {
    queue.put(0);
    const controller = new AbortController();
    const puts = [1, 2, 3].map((n) =>
      queue.putAsync(n, n === 2 ? { signal: controller.signal } : {})
    );
    controller.abort();
    await assertRejects(() => puts[1]);
    const seen: Json[] = [];
    for (let n = 0; n < 3; n++) {
      const item = (await other.takeAsync({ timeout: 60_000 }))!;
      seen.push(item.message);
      item.complete();
    }
    assertEquals(seen, [0, 1, 3]);
    await Promise.all([puts[0], puts[2]]);
  }));

Deno.test("take() waits for an item of another process, and times out", () =>
  withQueue(2, async (queue) => {
    assertEquals(errorOf(() => queue.take({ timeout: 0 })).name, "TimeoutError");
    assertEquals(errorOf(() => queue.take({ timeout: 5 })).name, "TimeoutError");
    assertEquals((await rejectionOf(queue.takeAsync({ timeout: 5 }))).name, "TimeoutError");
    const member = await startMember(queue, `say("ready"); queue.put({ from: Deno.pid });`);
    assertEquals(await member.line(), "ready");
    assertEquals(queue.take({ timeout: 60_000 })?.message, { from: member.pid });
    await member.end();
  }));

Deno.test("release() keeps the place in the order, dispose counts an attempt", () =>
  withQueue(3, (queue, other) => {
    queue.put("a");
    queue.put("b");
    const item = other.take()!;
    item.release();
    assertThrows(() => item.release(), BadResource, "already");
    {
      using again = queue.take()!;
      assertEquals([again.message, again.attempt], ["a", 1]);
    }
    {
      using again = queue.take()!;
      assertEquals([again.message, again.attempt], ["a", 2]);
    }
    const third = other.take()!;
    assertEquals([third.message, third.attempt], ["a", 3]);
    third[Symbol.dispose]();
    third[Symbol.dispose]();
    assertEquals(other.take()!.message, "b");
    const { put, completed, failed } = queue.counts();
    assertEquals([put, completed, failed], [2, 0, 1]);
  }));

Deno.test("an item that is over is BadResource; close() gives items back without an attempt", () =>
  withQueue(3, (queue, other) => {
    for (const n of [1, 2, 3]) queue.put(n);
    const [one, two, three] = [1, 2, 3].map(() => other.take()!);
    assertEquals([one.complete(), two.fail("no")], [true, true]);
    for (const end of ["complete", "fail", "release"] as const) {
      assertThrows(() => (one[end] as (x?: unknown) => void)(), BadResource, "already");
    }
    other.close();
    assertEquals(three.wanted, false);
    assertThrows(() => three.complete(), BadResource, "not attached");
    three[Symbol.dispose]();
    const again = queue.take()!;
    assertEquals([again.message, again.attempt], [3, 1]);
  }));

// --- Calling -----------------------------------------------------------------------------------

Deno.test("call() gets the answer, a failure by name and message, and reads before the slot is free", () =>
  withQueue(1, async (queue, other) => {
    const serving = other.serve(({ message }) => {
      if (message === "fail") throw new RangeError("no such tile");
      if (message === "text") throw "just text";
      return message;
    });
    assertEquals(await queue.call({ a: [1] }), { a: [1] });
    assertEquals(await queue.call(() => undefined), null);
    const failure = await rejectionOf(queue.call("fail"));
    assertEquals([failure.name, failure.message], ["RangeError", "no such tile"]);
    const text = await rejectionOf(queue.call("text"));
    assertEquals([text.name, text.message], ["Error", "just text"]);
    const seen: unknown[] = [];
    const result = await queue.call(7, {
      read: async (answer, slot) => {
        await sleep(5);
        seen.push(answer, slot, queue.tryPut(1), queue.counts().answered);
        return "read";
      },
    });
    assertEquals([result, ...seen], ["read", 7, 0, false, 1]);
    await assertRejects(
      () =>
        queue.call(7, {
          read: () => {
            throw new Error("cannot read");
          },
        }),
      Error,
      "cannot read",
    );
    assertEquals(statesOf(queue), {});
    queue.end();
    await serving;
  }));

Deno.test("a long name and message of an error are shortened", () =>
  withQueue(1, async (queue, other) => {
    const answer = rejectionOf(queue.call(1));
    const error = new Error('"€\u0001'.repeat(100));
    error.name = "\u0001".repeat(100);
    (await other.takeAsync())!.fail(error);
    const { name, message } = await answer;
    assert(error.name.startsWith(name) && error.message.startsWith(message));
    assert(name.length > 0);
    const other2 = rejectionOf(queue.call(1));
    (await other.takeAsync())!.fail(new TypeError("€".repeat(1000)));
    const shortened = await other2;
    assertEquals(shortened.name, "TypeError");
    assert(shortened.message.length >= 8 && "€".repeat(1000).startsWith(shortened.message));
    const third = rejectionOf(queue.call(1));
    (await other.takeAsync())!.fail({
      get message() {
        throw new Error("a trap");
      },
    });
    assert("what was thrown cannot be written as text".startsWith((await third).message));
  }, { messageBytes: 64 }));

Deno.test("serve() handles so many at once, leaves what the handler ended, and ends by its signal", () =>
  withQueue(4, async (queue, other) => {
    let now = 0;
    let most = 0;
    const controller = new AbortController();
    const serving = other.serve(async (item) => {
      most = Math.max(most, ++now);
      await sleep(10);
      now--;
      if (item.message === "released" && item.attempt === 1) item.complete("by hand");
      return "returned";
    }, { concurrency: 2, signal: controller.signal });
    const answers = await Promise.all(["released", 1, 2, 3].map((n) => queue.call(n)));
    assertEquals(answers, ["by hand", "returned", "returned", "returned"]);
    assertEquals(most, 2);
    const last = queue.call(4);
    while (now === 0) await sleep(1);
    controller.abort();
    assertEquals(await last, "returned");
    await serving;
    assertEquals(queue.isEnded, false);
  }));

Deno.test("an answer that does not fit fails the item of serve()", () =>
  withQueue(1, async (queue, other) => {
    const serving = other.serve(() => "x".repeat(100));
    await assertRejects(() => queue.call(1), Error, "Cannot complete an item");
    queue.end();
    await serving;
  }, { messageBytes: 64 }));

Deno.test("items() throws the signal's reason, and leaves unfinished items taken", () =>
  withQueue(2, async (queue, other) => {
    queue.put(1);
    queue.put(2);
    for await (const next of other.items()) {
      using item = next;
      if (item.message === 1) item.complete();
      else break;
    }
    const again = other.take()!;
    assertEquals([again.message, again.attempt], [2, 2]);
    again.release();
    for await (const item of other.items()) {
      assertEquals(item.attempt, 2);
      break;
    }
    assertEquals(statesOf(queue), { taken: 1 });
    const reason = new Error("enough");
    const controller = new AbortController();
    const loop = (async () => {
      for await (const item of queue.items({ signal: controller.signal })) item.complete();
    })();
    controller.abort(reason);
    assertEquals(await rejectionOf(loop), reason);
  }));

// --- The dead ----------------------------------------------------------------------------------

Deno.test("an item of a killed taker goes to the next one, and is given up after its attempts", () =>
  withQueue(2, async (queue) => {
    const answer = rejectionOf(queue.call("tile", { attempts: 2 }));
    const first = await startMember(queue, hang);
    assertEquals(await first.line(), "taken 1");
    const [holder] = queue.holders();
    assertEquals([holder.pid, holder.attempt], [first.pid, 1]);
    assert(Math.abs(Date.now() - holder.since) < 60_000);
    const second = await startMember(queue, hang);
    await first.kill();
    assertEquals(await second.line(), "taken 2");
    assertEquals(queue.holders()[0].pid, second.pid);
    await second.kill();
    assertEquals(
      (await answer).message,
      `Cannot call '${queue.name}': given up after 2 attempts, whose takers died`,
    );
    assertEquals(statesOf(queue), {});
    assertEquals(queue.counts().failed, 1);
  }));

Deno.test("a killed filler leaves nothing; a killed caller's items are withdrawn", () =>
  withQueue(2, async (queue, other) => {
    const filler = await startMember(
      queue,
      `queue.putAsync(() => { say("filling"); return new Promise((resolve) => globalThis.resolve = resolve); });
      setInterval(() => {}, 1000);`,
    );
    assertEquals(await filler.line(), "filling");
    const caller = await startMember(
      queue,
      `queue.call("wanted"); say("called"); setInterval(() => {}, 1000);`,
    );
    assertEquals(await caller.line(), "called");
    assertEquals(statesOf(queue), { filling: 1, waiting: 1 });
    assertEquals(queue.tryPut(1), false);
    await Promise.all([filler.kill(), caller.kill()]);
    assertEquals([other.tryPut(1), other.tryPut(2), other.tryPut(3)], [true, true, false]);
    assertEquals([queue.take()!.message, queue.take()!.message], [1, 2]);
  }));

Deno.test("the answer of a killed caller is dropped, also when it dies after it was there", () =>
  withQueue(1, async (queue) => {
    const caller = await startMember(
      queue,
      `queue.call("x", { read: () => { say("reading"); return new Promise((resolve) => globalThis.resolve = resolve); } });
      say("called"); setInterval(() => {}, 1000);`,
    );
    assertEquals(await caller.line(), "called");
    assertEquals(queue.take()!.complete("y"), true);
    assertEquals(await caller.line(), "reading");
    assertEquals(queue.tryPut(1), false);
    await caller.kill();
    queue.put(1, { timeout: 60_000 });
    assertEquals(queue.take()!.message, 1);
  }));

Deno.test("keepFailed keeps what failed and what was given up until takeFailed()", () =>
  withQueue(3, async (queue, other) => {
    queue.put("fails");
    queue.put("kills", { attempts: 1 });
    queue.take()!.fail(new RangeError("too large"));
    const member = await startMember(queue, hang);
    await member.line();
    await member.kill();
    const answer = rejectionOf(queue.call("call", { attempts: 1 }));
    using _item = (await queue.takeAsync({ timeout: 60_000 }))!;
    _item[Symbol.dispose]();
    await answer; // of a call nothing is kept
    queue.end();
    assertEquals(other.take(), null);
    other.drained();
    assertEquals(statesOf(other), { answered: 2 });
    const first = other.takeFailed()!;
    assertEquals([first.message, first.attempts], ["fails", 1]);
    assertEquals([first.error.name, first.error.message], ["RangeError", "too large"]);
    const second = queue.takeFailed()!;
    assertEquals([second.message, second.attempts], ["kills", 1]);
    assert(
      second.error instanceof Error && second.error.message.includes("given up after 1 attempt"),
    );
    assertEquals([queue.takeFailed(), statesOf(queue)], [null, {}]);
    assertEquals(queue.counts().failed, 3);
  }, { keepFailed: true }));

Deno.test("takeFailed() of a queue that keeps nothing is null", () =>
  withQueue(1, (queue) => {
    queue.put(1);
    queue.take()!.fail("no");
    assertEquals([queue.takeFailed(), queue.counts().failed], [null, 1]);
  }));

// --- The end -----------------------------------------------------------------------------------

Deno.test("after end() nobody puts, what is there is taken, and then all finish", () =>
  withQueue(3, async (queue, other) => {
    queue.put(1);
    const filled = Promise.withResolvers<Json>();
    const filling = queue.putAsync(() => filled.promise);
    const taking = other.takeAsync();
    assertEquals((await taking)!.message, 1);
    other.end();
    other.end();
    assertEquals([queue.isEnded, other.isEnded], [true, true]);
    assertThrows(() => queue.put(2), BrokenPipe, "it was ended");
    assertThrows(() => queue.tryPut(2), BrokenPipe);
    await assertRejects(() => queue.putAsync(2), BrokenPipe);
    await assertRejects(() => queue.call(2), BrokenPipe);
    const waiting = queue.takeAsync();
    assertEquals((await rejectionOf(other.drainedAsync({ timeout: 20 }))).name, "TimeoutError");
    assertEquals(errorOf(() => other.drained({ timeout: 5 })).name, "TimeoutError");
    filled.resolve("late");
    await filling;
    const late = (await waiting)!;
    assertEquals(late.message, "late");
    const ends = [queue.takeAsync(), other.takeAsync(), other.drainedAsync()];
    late.complete();
    other.close(); // gives item 1 back
    await assertRejects(() => ends[1], BadResource);
    await assertRejects(() => ends[2], BadResource);
    const again = (await ends[0]) as QueueItem;
    assertEquals(again.message, 1);
    const [last, drained] = [queue.takeAsync(), queue.drainedAsync()];
    again.complete();
    assertEquals([await last, await drained], [null, undefined]);
    for await (const _ of queue.items()) throw new Error("there is nothing");
    await queue.serve(() => {});
  }));

Deno.test("end() wakes those who wait for a slot", () =>
  withQueue(1, async (queue, other) => {
    queue.put(1);
    const put = queue.putAsync(2);
    const call = queue.call(3);
    handled(put, call);
    other.end();
    await assertRejects(() => put, BrokenPipe);
    await assertRejects(() => call, BrokenPipe);
  }));

Deno.test("drained() waits for what was put before, and not for what comes after", () =>
  withQueue(4, async (queue, other) => {
    queue.put(1);
    const drained = queue.drainedAsync();
    queue.put(2);
    assertEquals(other.take()!.complete(), true);
    await drained;
    assertEquals(statesOf(queue), { waiting: 1 });
    const reason = new Error("enough");
    assertEquals(
      await rejectionOf(queue.drainedAsync({ signal: AbortSignal.abort(reason) })),
      reason,
    );
  }));

Deno.test("a removed name is NotFound for those who put at once, for takers when nothing is left", () =>
  withQueue(2, async (queue, other) => {
    queue.put(1);
    const taking = [other.takeAsync(), other.takeAsync()];
    assertEquals((await taking[0])!.message, 1);
    queue.unlink();
    await assertRejects(() => taking[1], NotFound, "its name was removed");
    assertThrows(() => queue.put(2), NotFound);
    assertThrows(() => queue.tryPut(2), NotFound);
    await assertRejects(() => queue.putAsync(2), NotFound);
    await assertRejects(() => queue.call(2), NotFound);
    assertThrows(() => queue.take({ timeout: 60_000 }), NotFound);
    assertThrows(() => queue.take({ timeout: 0 }), NotFound);
  }));

Deno.test("a call that nobody can take any more is NotFound, and so is drained()", () =>
  withQueue(2, async (queue) => {
    const ends = Promise.all([queue.call(1), queue.drainedAsync()].map(rejectionOf));
    queue.unlink();
    for (const error of await ends) assert(error instanceof NotFound);
    assertEquals(statesOf(queue), {}); // the call was withdrawn
  }));

Deno.test("closing rejects what waits, and withdraws calls", () =>
  withQueue(1, async (queue, other) => {
    const call = queue.call(1);
    assertEquals(statesOf(other), { waiting: 1 });
    const waits = handled(call, queue.putAsync(2), queue.call(3), queue.drainedAsync());
    queue.close();
    for (const each of waits) await assertRejects(() => each, BadResource);
    assertEquals(statesOf(other), {});
    using third = SharedMemoryQueue.clone(other).load();
    const taking = third.takeAsync();
    third.close();
    await assertRejects(() => taking, BadResource);
  }));

// --- Threads, and queues without a name --------------------------------------------------------

Deno.test("Workers of one process take part like processes", () =>
  withQueue(4, async (queue) => {
    const code = `
      import { SharedMemoryQueue } from ${JSON.stringify(queueUrl)};
      self.onmessage = async ({ data }) => {
        const queue = SharedMemoryQueue.from(data).load();
        let count = 0;
        await queue.serve(({ message }) => (count++, message * 2), { concurrency: 2 });
        queue.close(); // Nobody makes old JavaScript of this text: it has no "using".
        self.postMessage(count);
      };
    `;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const workers = [1, 2].map(() => new Worker(url, { type: "module" }));
    const counts = workers.map((worker) =>
      new Promise<number>((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage({ ...queue });
      })
    );
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    const answers = await Promise.all(numbers.map((n) => queue.call<number>(n)));
    assertEquals(answers, numbers.map((n) => 2 * n));
    queue.end();
    const [a, b] = await Promise.all(counts);
    assertEquals(a + b, 200);
    workers.forEach((worker) => worker.terminate());
    URL.revokeObjectURL(url);
  }));

Deno.test("an anonymous queue goes to other processes, and is NotFound when its creator has ended", async () => {
  const child = await startMember(
    // This process has no queue of this name: the child makes one, and tells.
    SharedMemoryQueue.createAnonymous(2),
    `const own = SharedMemoryQueue.createAnonymous(2, { messageBytes: 128, keepFailed: true });
    say(JSON.stringify(own));
    own.put("hello");
    const item = queue.take();
    say(item.message);
    item.complete();
    setInterval(() => {}, 1000);`,
  );
  const descriptor = JSON.parse(await child.line());
  assert(descriptor.name.startsWith("memfd:"));
  using queue = SharedMemoryQueue.from(descriptor).load();
  assertEquals([queue.isCreator, queue.keepFailed, queue.messageBytes], [false, true, 128]);
  assertEquals(queue.take({ timeout: 60_000 })!.message, "hello");
  const taking = assertRejects(() => queue.takeAsync(), NotFound);
  await child.kill();
  await taking;
  assertThrows(() => queue.put(1), NotFound);
  assertThrows(() => SharedMemoryQueue.from(descriptor).load(), NotFound);
});

Deno.test("unlink() of an anonymous queue ends what others can reach", () => {
  using queue = SharedMemoryQueue.createAnonymous(2);
  using other = SharedMemoryQueue.clone(queue).load();
  queue.put(1);
  assertEquals(queue.unlink(), true);
  assertEquals(other.take()!.message, 1);
  assertThrows(() => other.take({ timeout: 60_000 }), NotFound);
  assertThrows(() => queue.put(1), NotFound);
  assertThrows(() => SharedMemoryQueue.clone(queue).load(), NotFound);
});

Deno.test("holders() has no pid where the kernel does not show that this process holds the item", () =>
  withQueue(2, (queue, other) => {
    queue.put(1);
    const item = other.take()!;
    const [{ slot, pid, attempt, since }] = queue.holders();
    assertEquals([slot, pid, attempt], [item.slot, Deno.pid, 1]);
    assert(since <= Date.now() && since > Date.now() - 60_000);
    using memory = SharedMemory.open(queue.name);
    const at = (256 + 64 + 64 * item.slot + 28) / 4; // PID
    new Int32Array(memory.buf!)[at] = Deno.ppid;
    assertEquals(queue.holders()[0].pid, undefined);
    item.complete();
    assertEquals(queue.holders(), []);
  }));

Deno.test("an array with an axis of slots carries the data", () =>
  withQueue(2, async (queue, other) => {
    using inputs = SharedMemoryArray.createAnonymous([2, 3], "int32");
    const answer = queue.call<number>((slot) => {
      inputs.array!.slice(slot).assign([1, 2, 3]);
      return null;
    });
    const item = (await other.takeAsync())!;
    item.complete(inputs.array!.slice(item.slot).copy().reduce((a, b) => a + b));
    assertEquals(await answer, 6);
    inputs.unlink();
  }));

Deno.test("messages that cannot be read are InvalidData, and the item fails", () =>
  withQueue(1, async (queue, other) => {
    using memory = SharedMemory.open(queue.name);
    const answer = rejectionOf(queue.call("hello"));
    new Uint8Array(memory.buf!).set(new TextEncoder().encode("{{"), 256 + 64 + 64);
    assertThrows(() => other.take(), InvalidData, "a message is no JSON");
    assertEquals((await answer).name, "InvalidData");
    assertEquals(statesOf(queue), {});
  }));
