/**
 * Who holds what: the ids of attachments and their locks, the dead and what they leave, takers that hang, the threads
 * of a process, and the order of items.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type QueueItem, SharedMemoryQueue } from "@shm/array/queue";
import * as words from "../../src/queue/queue_words.ts";
import { type Change, changedCopy } from "../helpers/changed_copy.ts";
import { segmentPath, until, withNames } from "../helpers/helpers.ts";
import { handled, poke, rejectionOf } from "../helpers/publish_helpers.ts";
import { hang, queueUrl, startMember, statesOf, withQueue } from "../helpers/queue_helpers.ts";
import { Random } from "../helpers/random.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "queues");

const { BadResource, NotFound } = Deno.errors;

function wordOf(queue: SharedMemoryQueue, at: number): number {
  return new DataView(Deno.readFileSync(segmentPath(queue.name)).buffer).getUint32(at, true);
}

function setWord(queue: SharedMemoryQueue, at: number, value: number): void {
  poke(queue.name, at, new Uint8Array(new Uint32Array([value]).buffer));
}

// --- Ids ---------------------------------------------------------------------------------------

Deno.test("an id of one that lives is passed over, and so is 0", () =>
  withQueue(1, (queue, other) => {
    assertEquals(wordOf(queue, words.NEXT_ID.at), 2);
    setWord(queue, words.NEXT_ID.at, 2 ** 24 - 1);
    queue.put(1);
    using third = SharedMemoryQueue.clone(queue).load(); // 0, 1 and 2 are passed over
    third.take();
    assertEquals(wordOf(queue, words.STATE.at), words.stateWord(words.TAKEN, 0, 3));
    assertEquals(wordOf(queue, words.NEXT_ID.at), 2 ** 24 + 3);
    assertThrows(() => other.take({ timeout: 60 }), DOMException); // and it is not taken away
    setWord(queue, words.NEXT_ID.at, 2 ** 32 - 1);
    using _fourth = SharedMemoryQueue.clone(queue).load();
    assertEquals(wordOf(queue, words.NEXT_ID.at), 4);
  }));

Deno.test("who gets the id of a dead one takes away what that has left", () =>
  withQueue(3, async (queue) => {
    queue.put("a");
    const member = await startMember(
      queue,
      `const item = queue.take();
      queue.putAsync(() => { say("filling"); return new Promise((resolve) => globalThis.resolve = resolve); });
      queue.call("called");
      say("called");
      setInterval(() => {}, 1000);`,
    );
    assertEquals([await member.line(), await member.line()], ["filling", "called"]);
    const id = words.ownerOf(wordOf(queue, words.STATE.at));
    assertEquals(statesOf(queue), { filling: 1, waiting: 1, taken: 1 });
    await member.kill();
    assertEquals(statesOf(queue), { filling: 1, waiting: 1, taken: 1 }); // nobody has looked
    setWord(queue, words.NEXT_ID.at, 2 ** 24 + id - 1);
    using next = SharedMemoryQueue.clone(queue).load();
    assertEquals(statesOf(queue), { waiting: 1 });
    const item = next.take()!;
    assertEquals([item.message, item.attempt], ["a", 2]);
    assertEquals(words.ownerOf(wordOf(queue, words.STATE.at)), id);
  }));

// --- The dead, and those that hang ---------------------------------------------------------------

Deno.test("a taker that hangs is found by holders(), and killed by its pid", () =>
  withQueue(2, async (queue, other) => {
    const before = Date.now();
    const answer = queue.call("hangs");
    const member = await startMember(queue, hang);
    assertEquals(await member.line(), "taken 1");
    const given = rejectionOf(queue.call("waits", { timeout: 1 }));
    const [{ slot, pid, attempt, since }, ...more] = queue.holders();
    assertEquals([pid, attempt, more.length], [member.pid, 1, 0]);
    assert(since >= before && since <= Date.now());
    await given;
    Deno.kill(pid!, "SIGKILL");
    const item = (await other.takeAsync({ timeout: 60_000 }))!;
    assertEquals([item.message, item.attempt, item.slot], ["hangs", 2, slot]);
    assertEquals(other.holders()[0].attempt, 2);
    item.complete("answered");
    assertEquals(await answer, "answered");
    assertEquals(queue.holders(), []);
    await member.kill().catch(() => {}); // it is dead already
  }));

Deno.test("holders() does not name the dead, also where nobody waits", () =>
  withQueue(2, async (queue, other) => {
    queue.put("tile");
    const taker = await startMember(queue, hang);
    assertEquals(await taker.line(), "taken 1");
    assertEquals(other.holders().map(({ pid }) => pid), [taker.pid]);
    await taker.kill();
    // Taken out (the look for the dead): the item stays in the hands of nobody.
    await until("its death is seen", () => other.holders().length === 0);
    assertEquals(statesOf(queue), { waiting: 1 });
    assertEquals(queue.take({ timeout: 0 })!.attempt, 2);
    assertEquals(queue.holders().map(({ pid, attempt }) => [pid, attempt]), [[Deno.pid, 2]]);
  }));

Deno.test("holders() tells of items that nobody wants any more, too", () =>
  withQueue(2, async (queue, other) => {
    const failure = rejectionOf(queue.call(1, { timeout: 20 }));
    const item = other.take()!;
    assertEquals((await failure).name, "TimeoutError");
    const [{ pid, slot }] = queue.holders();
    assertEquals([pid, slot, item.wanted], [Deno.pid, item.slot, false]);
    assertEquals(statesOf(queue), { taken: 1 });
    item.complete();
    assertEquals(queue.holders(), []);
  }));

Deno.test("drained() alone finds out that the last taker has died", () =>
  withQueue(2, async (queue) => {
    queue.put("kills", { attempts: 1 });
    const member = await startMember(queue, hang);
    assertEquals(await member.line(), "taken 1");
    const drained = queue.drainedAsync({ timeout: 60_000 });
    await member.kill();
    await drained;
    assertEquals([queue.counts().failed, statesOf(queue)], [1, {}]);
    queue.put("kills", { attempts: 1 });
    const second = await startMember(queue, hang);
    assertEquals(await second.line(), "taken 1");
    await second.kill();
    queue.drained({ timeout: 60_000 });
    assertEquals(queue.counts().failed, 2);
  }));

Deno.test("counts() tells each state, and what became of all", () =>
  withQueue(8, async (queue, other) => {
    const filling = queue.putAsync(() => new Promise<null>(() => {}));
    void filling;
    const reading = Promise.withResolvers<void>();
    const calls = ["completes", "fails", "drops"].map((message) =>
      queue.call(message, { read: () => reading.promise }).catch(() => {})
    );
    const [one, two] = [other.take()!, other.take()!, other.take()!];
    one.complete();
    two.fail("no");
    for (const n of [1, 2]) queue.put(n);
    await until("the answers are read", () => queue.counts().answered < 2);
    assertEquals(queue.counts(), {
      slots: 8,
      free: 3,
      filling: 1,
      waiting: 2,
      taken: 1,
      answered: 1, // it is being read
      put: 5,
      completed: 1,
      failed: 1,
    });
    reading.resolve();
    await calls[0];
  }));

// A taker that stops itself as soon as it has woken its caller: what it does later comes too late.
const stopsWhenItHasWoken: Change = {
  file: "src/sync/event_count.ts",
  text: "return { turn, woken };",
  by: 'Deno.kill(Deno.pid, "SIGSTOP");\nreturn { turn, woken };',
};
// It counts after the change, and after all else that it does at once.
const countsLater: Change = {
  file: "src/queue/queue_words.ts",
  text: "this.add(counter);\n    if (this.change(slot, from, to)) return true;",
  by: `if (this.change(slot, from, to)) {
      queueMicrotask(() => this.add(counter));
      return true;
    }`,
};

for (
  const { what, changes, wanted } of [
    { what: "who has an answer finds it counted", changes: [], wanted: [1, 2] },
    {
      what: "it is found out that one counts after it has woken",
      changes: [countsLater],
      wanted: [0, 0],
    },
  ]
) {
  Deno.test(`counts(): ${what}`, async () => {
    await using copy = await changedCopy([stopsWhenItHasWoken, ...changes]);
    await withQueue(1, async (queue) => {
      for (const way of ["complete", "fail", "leave"]) {
        const answer = queue.call(way, { attempts: 1 }).catch(() => {});
        const member = await startMember(
          queue,
          `const item = queue.take();
          if (item.message === "complete") item.complete();
          else if (item.message === "fail") item.fail("no");
          else item[Symbol.dispose]();`,
          copy.url("src/queue/mod.ts"),
        );
        await answer;
        await member.kill();
      }
      const { completed, failed } = queue.counts();
      assertEquals([completed, failed], wanted);
    });
  });
}

Deno.test("the totals leave out what a caller gives up, and what was counted too early", () =>
  withQueue(1, async (queue, other) => {
    const call = queue.call("x", { timeout: 200 });
    const item = other.take()!;
    await assertRejects(() => call, DOMException);
    assertEquals([item.complete(), item.wanted], [false, false]);
    const { completed, failed, free } = queue.counts();
    assertEquals([completed, failed, free], [0, 0, 1]);
  }));

Deno.test("what has failed keeps its slot with keepFailed, until takeFailed() makes room", () =>
  withQueue(1, async (queue, other) => {
    queue.put("fails");
    const item = other.take()!;
    assertEquals(item.fail(new RangeError("no")), true);
    assertEquals(queue.tryPut(1), false);
    const put = queue.putAsync("next");
    assertEquals(other.takeFailed()!.message, "fails");
    await put;
    assertEquals(other.take()!.message, "next");
    assertEquals(other.takeFailed(), null);
  }, { keepFailed: true }));

Deno.test("one that is killed while it takes what has failed leaves it", () =>
  withQueue(1, async (queue, other) => {
    queue.put("fails");
    other.take()!.fail("no");
    const kept = wordOf(queue, words.STATE.at);
    const member = await startMember(queue, `say("ready"); setInterval(() => {}, 1000);`);
    assertEquals(await member.line(), "ready");
    const id = wordOf(queue, words.NEXT_ID.at);
    setWord(queue, words.STATE.at, kept + 256 * id); // as if it were in takeFailed() now
    assertEquals([queue.tryPut(1), other.takeFailed()], [false, null]);
    await member.kill();
    assertEquals(queue.tryPut(1), false); // it looks for the dead
    assertEquals(other.takeFailed()!.message, "fails");
    assertEquals(queue.tryPut(1), true);
  }, { keepFailed: true }));

// --- Threads -----------------------------------------------------------------------------------

/** Starts a Worker that loads a queue, does what the code says and posts what it returns. */
async function inWorker(queue: SharedMemoryQueue, code: string): Promise<[Worker, unknown]> {
  const text = `
    import { SharedMemoryQueue } from ${JSON.stringify(queueUrl)};
    self.onmessage = async ({ data }) => {
      const queue = SharedMemoryQueue.from(data).load();
      const answer = await (async () => { ${code} })();
      self.postMessage(answer);
    };
  `;
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  worker.postMessage({ ...queue });
  const answer = await new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
  URL.revokeObjectURL(url);
  return [worker, answer];
}

Deno.test("each thread of a process is a taker of its own, and close() gives back what it has", () =>
  withQueue(2, async (queue) => {
    queue.put("a");
    const [worker, answer] = await inWorker(
      queue,
      `globalThis.queue = queue;
      const item = queue.take();
      self.onmessage = () => { queue.close(); self.postMessage("closed"); };
      return [item.message, item.attempt];`,
    );
    assertEquals(answer, ["a", 1]);
    assertEquals(queue.holders()[0].pid, Deno.pid);
    assertThrows(() => queue.take({ timeout: 120 }), DOMException);
    const closed = new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
    worker.postMessage(null);
    assertEquals(await closed, "closed");
    const item = queue.take({ timeout: 60_000 })!;
    assertEquals([item.message, item.attempt], ["a", 1]);
    worker.terminate();
  }));

Deno.test("a Worker that is terminated keeps its item until its process ends", () =>
  withQueue(2, async (queue) => {
    queue.put("a");
    const member = await startMember(
      queue,
      `const code = ${
        JSON.stringify(
          `import { SharedMemoryQueue } from ${JSON.stringify(queueUrl)};
           self.onmessage = ({ data }) => {
             const item = SharedMemoryQueue.from(data).load().take();
             self.postMessage(item.message);
           };`,
        )
      };
      const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
      const worker = new Worker(url, { type: "module" });
      worker.onmessage = ({ data }) => { worker.terminate(); say(data); };
      worker.postMessage({ ...queue });
      setInterval(() => {}, 1000);`,
    );
    assertEquals(await member.line(), "a");
    assertThrows(() => queue.take({ timeout: 200 }), DOMException);
    assertEquals(queue.holders()[0].pid, member.pid);
    await member.kill();
    const item = queue.take({ timeout: 60_000 })!;
    assertEquals([item.message, item.attempt], ["a", 2]);
  }));

// --- Order -------------------------------------------------------------------------------------

Deno.test("items come in the order in which they were put, whatever their slots, also beyond 2^32", () =>
  withQueue(5, (queue, other) => {
    setWord(queue, words.SEQUENCE.at, 2 ** 32 - 40); // and so the numbers begin anew in between
    const random = new Random(2525);
    const waiting: number[] = [];
    const taken: QueueItem[] = [];
    let next = 0;
    for (let step = 0; step < 600; step++) {
      const draw = random.next();
      if (draw < 0.45) {
        const isPut = queue.tryPut(next);
        assertEquals(isPut, waiting.length + taken.length < 5);
        if (isPut) waiting.push(next++);
      } else if (draw < 0.75) {
        if (waiting.length === 0) continue;
        const item = other.take()!;
        assertEquals(item.message, waiting.shift());
        taken.push(item);
      } else if (taken.length > 0) {
        const [item] = taken.splice(Math.floor(random.next() * taken.length), 1);
        if (draw < 0.9) {
          item.complete();
        } else {
          item.release(); // it has its place still
          waiting.push(item.message as number);
          waiting.sort((a, b) => a - b);
        }
      }
    }
    assert(next > 60 && wordOf(queue, words.SEQUENCE.at) < 2 ** 31);
    for (const item of taken) item.complete();
    while (waiting.length > 0) {
      const item = other.take()!;
      assertEquals(item.message, waiting.shift());
      item.complete();
    }
    queue.drained({ timeout: 60_000 });
  }));

// --- Waiting that ends in another way ----------------------------------------------------------

Deno.test("close() and a removed name end serve() and items()", () =>
  withQueue(2, async (queue, other) => {
    const loop = async (from: SharedMemoryQueue): Promise<void> => {
      for await (const item of from.items()) item.complete();
    };
    const closing = handled(loop(other), other.serve(() => null));
    assertEquals(await queue.call(1), null);
    other.close();
    for (const each of closing) await assertRejects(() => each, BadResource);
    const removed = handled(loop(queue), queue.serve(() => null));
    queue.unlink();
    for (const each of removed) await assertRejects(() => each, NotFound);
  }));

Deno.test("load({ timeout }) waits for the queue's creator; createOrLoad() comes first or second", () =>
  withNames(async (name) => {
    assertThrows(() => new SharedMemoryQueue(name, 2).load({ timeout: 20 }), NotFound);
    const member = await startMember(
      SharedMemoryQueue.createAnonymous(1),
      `say("ready");
      const late = new SharedMemoryQueue(${JSON.stringify(name)}, 2).load({ timeout: 60_000 });
      say(late.take().message);
      const same = new SharedMemoryQueue(${JSON.stringify(name)}, 2).createOrLoad();
      say(String(same.isCreator));`,
    );
    assertEquals(await member.line(), "ready");
    using queue = new SharedMemoryQueue(name, 2).createOrLoad();
    queue.put("first");
    assertEquals([queue.isCreator, await member.line()], [true, "first"]);
    assertEquals(await member.line(), "false");
    await member.end();
  }));

Deno.test("read() that rejects frees the slot, and its error is the call's", () =>
  withQueue(1, async (queue, other) => {
    const reason = new SyntaxError("cannot read");
    const call = rejectionOf(queue.call(1, { read: () => Promise.reject(reason) }));
    other.take()!.complete("x");
    assertEquals(await call, reason);
    assertEquals(statesOf(queue), {});
    // An instance that was closed while an answer is read keeps the slot until that has ended.
    const ending = Promise.withResolvers<string>();
    const reading = Promise.withResolvers<void>();
    const second = queue.call(2, {
      read: () => {
        reading.resolve();
        return ending.promise;
      },
    });
    other.take()!.complete("x");
    await reading.promise;
    queue.close();
    assertThrows(() => other.put(3, { timeout: 120 }), DOMException);
    ending.resolve("read to its end");
    assertEquals(await second, "read to its end");
    other.put(3, { timeout: 60_000 });
    assertEquals(other.take()!.message, 3);
  }));
