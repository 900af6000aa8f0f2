// A time limit can end at each stage of a call, and what was given up can end in each way afterwards.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Json, type QueueItem, SharedMemoryQueue } from "@shm/array/queue";
import { segmentPath, until } from "../helpers/helpers.ts";
import { poke, rejectionOf, sleep } from "../helpers/publish_helpers.ts";
import { endWhileTaken, hang, startMember, statesOf, withQueue } from "../helpers/queue_helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "queues");

/** The two ways in which a wait is given up, and what the promise is rejected with. */
const ways: {
  readonly name: string;
  readonly options: (ms?: number) => { timeout?: number; signal?: AbortSignal };
  readonly error: string;
}[] = [
  { name: "time is up", options: (ms = 30) => ({ timeout: ms }), error: "TimeoutError" },
  {
    name: "the signal is aborted",
    options: (ms = 30) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new SyntaxError("enough")), ms);
      return { signal: controller.signal };
    },
    error: "SyntaxError",
  },
];

/** Whether a queue of one slot can be used as if nothing had happened. */
async function isUsable(queue: SharedMemoryQueue, other: SharedMemoryQueue): Promise<boolean> {
  const answer = queue.call("again", { full: "throw" });
  const item = (await other.takeAsync({ timeout: 60_000 }))!;
  item.complete(item.message);
  return await answer === "again" && Object.keys(statesOf(queue)).length === 0;
}

for (const { name, options, error } of ways) {
  Deno.test(`${name} while a call waits for a slot`, () =>
    withQueue(1, async (queue, other) => {
      queue.put(1);
      assertEquals((await rejectionOf(queue.call(2, options()))).name, error);
      other.take()!.complete();
      assert(await isUsable(queue, other));
    }));

  for (const late of ["is fulfilled", "is rejected"]) {
    Deno.test(`${name} while call() and putAsync() fill, and the filling ${late} later`, () =>
      withQueue(2, async (queue, other) => {
        const filled = Promise.withResolvers<Json>();
        const fill = (): Promise<Json> => filled.promise;
        const puts = [queue.call(fill, options()), queue.putAsync(fill, options())];
        for (const failure of puts.map(rejectionOf)) assertEquals((await failure).name, error);
        assertEquals(statesOf(other), { filling: 2 }); // the functions use the slots still
        assertEquals(other.tryPut(1), false);
        if (late === "is fulfilled") filled.resolve("late");
        else filled.reject(new Error("late"));
        await until("the slots are free", () => other.counts().free === 2);
        assertEquals(other.counts().put, 0);
        assert(await isUsable(queue, other));
      }));
  }

  Deno.test(`${name} before the first step, and while putAsync() waits for a slot`, () =>
    withQueue(1, async (queue, other) => {
      let isFilled = false;
      const fill = (): null => {
        isFilled = true;
        return null;
      };
      queue.put(1);
      assertEquals((await rejectionOf(queue.putAsync(fill, options()))).name, error);
      const gone = AbortSignal.abort(new SyntaxError("enough"));
      for (
        const late of [queue.putAsync(fill, { signal: gone }), queue.call(fill, { signal: gone })]
      ) {
        assertEquals((await rejectionOf(late)).name, "SyntaxError");
      }
      assertEquals([isFilled, queue.counts().put], [false, 1]);
      other.take()!.complete();
      assert(await isUsable(queue, other));
    }));

  Deno.test(`${name} while a call is filled, and its instance is closed before the filling ends`, () =>
    withQueue(1, async (queue, other) => {
      const filled = Promise.withResolvers<Json>();
      assertEquals((await rejectionOf(queue.call(() => filled.promise, options()))).name, error);
      queue.close();
      other.tryPut(0);
      assertEquals(statesOf(other), { filling: 1 });
      filled.resolve("late");
      await sleep(0);
      assertEquals(other.tryPut(1), true);
    }));

  Deno.test(`${name} while nobody has taken the call: it is withdrawn`, () =>
    withQueue(1, async (queue, other) => {
      const failure = await rejectionOf(queue.call(1, options()));
      assertEquals(failure.name, error);
      assertEquals((failure as { pid?: number }).pid, undefined);
      assertEquals(statesOf(other), {});
      assert(await isUsable(queue, other));
    }));

  const endings: {
    [ending: string]: (item: NonNullable<ReturnType<SharedMemoryQueue["take"]>>) => void;
  } = {
    "completes it": (item) => assertEquals(item.complete("late"), false),
    "fails it": (item) => assertEquals(item.fail(new Error("late")), false),
    "releases it": (item) => item.release(),
    "drops it": (item) => item[Symbol.dispose](),
  };
  for (const [ending, end] of Object.entries(endings)) {
    Deno.test(`${name} while a taker has the call, which ${ending} later`, () =>
      withQueue(1, async (queue, other) => {
        const answer = rejectionOf(queue.call("given up", options()));
        const item = other.take()!;
        assertEquals(item.wanted, true);
        const failure = await answer as Error & { pid?: number };
        assertEquals(failure.name, error);
        assertEquals(failure.pid, error === "TimeoutError" ? Deno.pid : undefined);
        assertEquals(item.wanted, false);
        assertEquals(statesOf(queue), { taken: 1 }); // the taker uses the slot still
        assertEquals(queue.tryPut(1), false);
        end(item);
        assertEquals(statesOf(queue), {});
        assert(await isUsable(queue, other));
        const { completed, failed } = queue.counts();
        assertEquals([completed, failed], [1, 0]);
      }));
  }

  Deno.test(`${name} while serve() has the call, whose late answer is nobody's`, () =>
    withQueue(2, async (queue, other) => {
      const answered = Promise.withResolvers<void>();
      const wanted: boolean[] = [];
      const taken = new Set<Json>();
      const serving = other.serve(async (item) => {
        if (item.message === "in time") return "in time";
        taken.add(item.message);
        wanted.push(item.wanted);
        await answered.promise;
        wanted.push(item.wanted);
        if (item.message === "throws") throw new Error("late");
        return "late";
      }, { concurrency: 2 });
      const calls = ["returns", "throws"].map((message) =>
        endWhileTaken(
          (limit) => rejectionOf(queue.call(message, options(limit))),
          () => taken.has(message),
          500,
        )
      );
      for (const failure of calls) assertEquals((await failure).name, error);
      assertEquals([wanted, statesOf(queue)], [[true, true], { taken: 2 }]);
      answered.resolve();
      assertEquals(await queue.call("in time"), "in time");
      assertEquals(wanted, [true, true, false, false]);
      assertEquals([queue.counts().completed, queue.counts().failed], [1, 0]);
      queue.end();
      await serving;
    }));

  Deno.test(`${name} while a taker has the call: a late answer touches nothing`, () =>
    withQueue(1, async (queue, other) => {
      const bytes = (): Uint8Array =>
        Deno.readFileSync(segmentPath(queue.name)).subarray(256 + 64 + 64);
      const failure = rejectionOf(queue.call("a message", options()));
      const item = other.take()!;
      assertEquals((await failure).name, error);
      const before = bytes();
      assertEquals(item.complete("a late answer"), false);
      assertEquals(bytes(), before);
      assertThrows(() => item.complete("again"), Deno.errors.BadResource, "already");
      assertThrows(() => item.fail("again"), Deno.errors.BadResource, "already");
      item[Symbol.dispose]();
      assertEquals(bytes(), before);
    }));

  Deno.test(`${name} while a taker has the call, whose caller closes then`, () =>
    withQueue(1, async (queue, other) => {
      const failure = rejectionOf(queue.call(1, options()));
      const item = other.take()!;
      assertEquals((await failure).name, error);
      queue.close();
      assertEquals(statesOf(other), { taken: 1 });
      assertEquals(item.complete("late"), false);
      assertEquals(statesOf(other), {});
      assertEquals(other.tryPut(1), true);
    }));

  Deno.test(`${name} while a taker has the call, which closes later`, () =>
    withQueue(1, async (queue, other) => {
      const answer = rejectionOf(queue.call(1, options()));
      using third = SharedMemoryQueue.clone(other).load();
      third.take();
      assertEquals((await answer).name, error);
      third.close();
      assert(await isUsable(queue, other));
    }));

  Deno.test(`${name} while a taker in another process has the call, which is killed later`, () =>
    withQueue(1, async (queue, other) => {
      const member = await startMember(queue, `say("ready"); ${hang}`);
      assertEquals(await member.line(), "ready");
      const failure: Error & { pid?: number } = await endWhileTaken(
        (limit) => rejectionOf(queue.call(1, options(limit))),
        () => queue.counts().taken === 1,
        500,
      );
      assertEquals(await member.line(), "taken 1");
      assertEquals(failure.name, error);
      if (error === "TimeoutError") assertEquals(failure.pid, member.pid);
      assertEquals(queue.tryPut(1), false);
      await member.kill();
      other.put("after", { timeout: 60_000 });
      assertEquals(queue.take()!.message, "after");
    }));

  Deno.test(`${name} while an answer is read: it is read to the end`, () =>
    withQueue(1, async (queue, other) => {
      const read = async (answer: Json): Promise<Json> => {
        await sleep(60);
        return [answer];
      };
      const answer = queue.call(1, { ...options(), read });
      other.take()!.complete("in time");
      assertEquals(await answer, ["in time"]);
      assert(await isUsable(queue, other));
    }));
}

Deno.test("with a time limit of 0 a call is withdrawn at once, and an answer in the last moment counts", () =>
  withQueue(1, async (queue, other) => {
    assertEquals((await rejectionOf(queue.call(1, { timeout: 0 }))).name, "TimeoutError");
    assertEquals(statesOf(queue), {});
    const answer = queue.call(1, { timeout: 50 });
    const item = other.take()!;
    const end = performance.now() + 100;
    while (performance.now() < end); // no timer runs meanwhile
    item.complete("in the last moment");
    assertEquals(await answer, "in the last moment");
  }));

Deno.test("an aborted takeAsync() takes nothing, and wakes another one", () =>
  withQueue(4, async (queue, other) => {
    const controller = new AbortController();
    const first = other.takeAsync({ signal: controller.signal });
    const second = queue.takeAsync();
    await sleep(20);
    queue.put(1);
    controller.abort();
    await assertRejects(() => first);
    assertEquals((await second)!.message, 1);
    await assertRejects(() => other.takeAsync({ signal: AbortSignal.abort() }));
  }));

Deno.test("a TimeoutError has no pid where the kernel does not show that this process holds the item", () =>
  withQueue(1, async (queue, other) => {
    const failure = rejectionOf(queue.call(1, { timeout: 30 }));
    const item = other.take()!;
    poke(queue.name, 256 + 64 + 28, new Uint8Array(new Uint32Array([Deno.ppid]).buffer)); // PID
    const error = await failure as Error & { pid?: number };
    assertEquals([error.name, "pid" in error, error.pid], ["TimeoutError", true, undefined]);
    item.complete();
  }));

Deno.test("a caller that closes, or is killed, while a taker has its call: the answer is nobody's", () =>
  withQueue(1, async (queue, other) => {
    using caller = SharedMemoryQueue.clone(queue).load();
    const call = rejectionOf(caller.call("closes"));
    const item = other.take()!;
    assertEquals(item.wanted, true);
    caller.close();
    assert(await call instanceof Deno.errors.BadResource);
    assertEquals([item.wanted, statesOf(queue)], [false, { taken: 1 }]);
    assertEquals([item.complete("late"), statesOf(queue)], [false, {}]);

    const member = await startMember(
      queue,
      `queue.call("is killed"); say("called"); setInterval(() => {}, 1000);`,
    );
    assertEquals(await member.line(), "called");
    const second = queue.take({ timeout: 60_000 })!;
    await member.kill();
    assertEquals(other.tryPut(1), false);
    second.complete("late"); // whether somebody wants it is found out later
    other.put("after", { timeout: 60_000 });
    assertEquals(queue.take()!.message, "after");
  }));

Deno.test("a taker sees that its caller was killed: nobody wants its items any more", () =>
  withQueue(2, async (queue) => {
    const endings: readonly [string, (item: QueueItem) => unknown, unknown][] = [
      ["complete", (item) => item.complete("late"), false],
      ["fail", (item) => item.fail(new Error("late")), false],
      ["release", (item) => item.release(), undefined],
      ["dispose", (item) => item[Symbol.dispose](), undefined],
    ];
    for (const [ending, end, result] of endings) {
      const caller = await startMember(
        queue,
        `queue.call("a"); queue.call("b"); say("called"); setInterval(() => {}, 1000);`,
      );
      assertEquals(await caller.line(), "called");
      const [asked, unasked] = [1, 2].map(() => queue.take({ timeout: 30_000 })!);
      assertEquals([asked.wanted, unasked.wanted], [true, true]);
      await caller.kill();
      // Taken out (the look at the caller): it stays wanted.
      await until("its death is seen", () => !asked.wanted);
      assertEquals([end(asked), end(unasked)], [result, result], ending);
      assertEquals([queue.tryPut(1), queue.tryPut(2), queue.tryPut(3)], [true, true, false]);
      for (const _ of [1, 2]) assertEquals(queue.take()!.complete(), true);
      assertEquals(statesOf(queue), {});
    }
    const { completed, failed } = queue.counts();
    assertEquals([completed, failed], [2 * endings.length, 0]);
  }));

Deno.test("drained() does not wait for an item whose caller was killed, once its taker has seen that", () =>
  withQueue(1, async (queue, other) => {
    const caller = await startMember(
      queue,
      `queue.call("is killed"); say("called"); setInterval(() => {}, 1000);`,
    );
    assertEquals(await caller.line(), "called");
    const item = queue.take({ timeout: 30_000 })!;
    let isDrained = false;
    const draining = other.drainedAsync().then(() => isDrained = true);
    await caller.kill();
    await sleep(50);
    assertEquals(isDrained, false);
    await until("its death is seen", () => !item.wanted);
    await draining;
    assertEquals(item.complete(), false);
  }));
