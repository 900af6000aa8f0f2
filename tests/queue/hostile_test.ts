// What stands in a queue's segment may come from a hostile program, or from one that was killed.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { withNames } from "../helpers/helpers.ts";
import { rejectionOf } from "../helpers/publish_helpers.ts";
import { withQueue } from "../helpers/queue_helpers.ts";
import { Random } from "../helpers/random.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";
import * as words from "../../src/queue/queue_words.ts";

everyTestWith("Linux", "queues");

const { InvalidData } = Deno.errors;

/** Calls `body` with the bytes of a queue's segment. */
function withBytes(
  queue: SharedMemoryQueue,
  body: (view: DataView) => void | Promise<void>,
): void | Promise<void> {
  const memory = SharedMemory.open(queue.name);
  const end = (): void => memory.close();
  let result: void | Promise<void>;
  try {
    result = body(new DataView(memory.buf!));
  } catch (error) {
    end();
    throw error;
  }
  return result instanceof Promise ? result.finally(end) : end();
}

Deno.test("load() refuses a header that cannot be", () =>
  withQueue(2, (queue) => {
    const load = () => SharedMemoryQueue.clone(queue).load();
    withBytes(queue, (view) => {
      view.setUint32(words.KEEP_FAILED.at, 7, true);
      assertThrows(load, InvalidData, "its word KEEP_FAILED is 7");
      view.setUint32(words.KEEP_FAILED.at, 0, true);
      view.setUint32(words.SLOTS.at, 4000, true);
      assertThrows(load, RangeError, "4000 slots");
    });
  }));

Deno.test("states that cannot be are InvalidData for everybody, and nothing waits for them", () =>
  withQueue(2, async (queue, other) => {
    const { stateWord } = words;
    for (
      const word of [
        stateWord(words.FREE, 0, 5),
        stateWord(words.FREE, 3, 0),
        stateWord(words.FILLING, 0, 0),
        stateWord(words.FILLING, 2, 9),
        stateWord(words.TAKEN, 0, 0),
        stateWord(words.DROPPED, 1, 0),
        stateWord(words.DONE, 0, 0),
        stateWord(words.FAILED, 0, 0),
        stateWord(words.GIVEN_UP, 31, 7),
      ]
    ) {
      await withBytes(queue, async (view) => {
        view.setUint32(words.STATE.at + 4, word, true);
        const text = "its word STATE of slot 1 is";
        assertThrows(() => queue.holders(), InvalidData, text);
        assertThrows(() => queue.counts(), InvalidData, text);
        queue.tryPut(1);
        assertThrows(() => other.put(2, { timeout: 60_000 }), InvalidData, text);
        await assertRejects(() => queue.putAsync(2, { timeout: 60_000 }), InvalidData, text);
        await new Promise((resume) => setTimeout(resume, 30));
        assertThrows(() => other.take({ timeout: 60_000 }), InvalidData, text);
        await new Promise((resume) => setTimeout(resume, 30));
        await assertRejects(() => other.takeAsync({ timeout: 60_000 }), InvalidData, text);
        view.setUint32(words.STATE.at + 4, 0, true);
        other.take({ timeout: 60_000 })!.complete();
      });
    }
    assertEquals(queue.tryPut(1), true);
  }));

Deno.test("ENDED, CALLER, ATTEMPTS and lengths that cannot be are InvalidData", () =>
  withQueue(1, async (queue, other) => {
    const part = words.partsStart(1);
    await withBytes(queue, async (view) => {
      view.setUint32(words.ENDED.at, 2, true);
      assertThrows(() => queue.isEnded, InvalidData, "its word ENDED is 2");
      assertThrows(() => queue.put(1), InvalidData, "ENDED");
      assertEquals(view.getUint32(words.STATE.at, true), 0); // what put() had claimed is free
      view.setUint32(words.ENDED.at, 0, true);
      for (
        const [word, value] of [
          [words.ATTEMPTS, 0],
          [words.ATTEMPTS, 31],
          [words.MESSAGE_LENGTH, 0],
          [words.MESSAGE_LENGTH, 1025],
        ] as const
      ) {
        const failure = rejectionOf(queue.call(1));
        view.setUint32(part + word.at, value, true);
        assertThrows(
          () => other.take(),
          InvalidData,
          `its word ${word.name} of slot 0 is ${value}`,
        );
        assertEquals((await failure).name, "InvalidData");
      }
      const answer = rejectionOf(queue.call(1));
      (await other.takeAsync())!.complete();
      view.setUint32(part + words.ANSWER_LENGTH.at, 5000, true);
      assert(await answer instanceof InvalidData);
      queue.put(1);
      const item = other.take()!;
      view.setUint32(part + words.CALLER.at, 2 ** 24, true);
      assertThrows(() => item.release(), InvalidData, "CALLER");
    });
  }));

Deno.test("an item that somebody has taken away is InvalidData for its taker and its caller", () =>
  withQueue(1, async (queue, other) => {
    const answer = rejectionOf(queue.call(1));
    const item = (await other.takeAsync())!;
    withBytes(queue, (view) => view.setUint32(words.STATE.at, 0, true));
    assertThrows(() => item.complete(), InvalidData, "STATE of slot 0");
    assertThrows(() => item.complete(), Deno.errors.BadResource);
    assert(await answer instanceof InvalidData);
    queue.put(2);
    assertEquals(other.take()!.message, 2);
  }));

Deno.test("with 300 hostile headers everything ends soon, by a result or by an error of its own", () =>
  withNames(async (name) => {
    const random = new Random(25);
    const draw = (below: number): number => Math.floor(random.next() * below);
    for (let n = 0; n < Math.round(300 * scale); n++) {
      using queue = new SharedMemoryQueue(name, 3, { keepFailed: n % 2 === 0 }).create();
      using other = SharedMemoryQueue.clone(queue).load();
      queue.put("an item");
      queue.tryPut("another one");
      if (n % 3 === 0) other.take();
      withBytes(queue, (view) => {
        // Some words of the header or of the slots, but not what tells the kind and the size.
        for (let times = 1 + draw(6); times > 0; times--) {
          const at = 16 +
            4 *
              draw(
                (words.messageStart(0, { slots: 3, messageBytes: 1024, keepFailed: false }) - 16) /
                  4,
              );
          const values = [0, 1, 2 ** 32 - 1, draw(2 ** 32), draw(8) + 256 * draw(4), draw(64)];
          view.setUint32(at, values[draw(values.length)], true);
        }
      });
      const start = performance.now();
      const timeout = 5;
      const calls: (() => unknown)[] = [
        () => SharedMemoryQueue.clone(queue).load().close(),
        () => queue.tryPut(1),
        () => queue.put(2, { timeout }),
        () => queue.putAsync(3, { timeout }),
        () => queue.call(4, { timeout }),
        () => other.take({ timeout })?.complete(),
        () => other.takeAsync({ timeout }).then((item) => item?.fail("no")),
        () => queue.holders(),
        () => queue.counts(),
        () => queue.takeFailed(),
        () => queue.drained({ timeout }),
        () => queue.drainedAsync({ timeout }),
        () => queue.end(),
        () => other.take({ timeout }),
        () => other.close(),
      ];
      for (const call of calls) {
        try {
          await call();
        } catch (error) {
          const { name, message } = error as Error;
          const isOurs = message.startsWith("Cannot ") || message.startsWith("given up");
          assert(isOurs && name !== "TypeError", `${n}: ${call} ended with ${name}: ${message}`);
        }
      }
      // Each call may take its time limit; this machine may be busy.
      assert(performance.now() - start < 60_000, `header ${n}`);
      queue.unlink();
    }
  }));
