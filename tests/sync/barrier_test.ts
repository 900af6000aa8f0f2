// A barrier: seats, meetings, and what ends a waiting.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import { BrokenBarrierError, SharedMemoryBarrier, SharedMemoryLock } from "@shm/array/sync";
import { inTime } from "../helpers/changed_copy.ts";
import { hang, startParty, withParties } from "../helpers/barrier_helpers.ts";
import {
  descriptorsOf,
  errorOf,
  mappingsOf,
  runChild,
  segmentExists,
  segmentPath,
  withNames,
} from "../helpers/helpers.ts";
import { runPython } from "../helpers/python.ts";
import { handled, rejectionOf, sleep } from "../helpers/publish_helpers.ts";
import { syncUrl } from "../helpers/sync.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "barriers");

const { AlreadyExists, BadResource, Busy, NotFound } = Deno.errors;

/** The error of a promise, or "waits" if it has not ended after so many milliseconds. */
async function stateAfter(promise: Promise<unknown>, ms: number): Promise<string> {
  return await Promise.race([
    promise.then(String, ({ name }) => name),
    sleep(ms).then(() => "waits"),
  ]);
}

// --- Descriptions ------------------------------------------------------------------------------

Deno.test("SharedMemoryBarrier() is plain data, frozen", () => {
  const barrier = new SharedMemoryBarrier("steps", 4);
  assertEquals({ ...barrier }, { kind: "barrier", name: "steps", parties: 4 });
  assertEquals(structuredClone(barrier), { ...barrier } as SharedMemoryBarrier);
  assertThrows(() => (barrier as { parties: number }).parties = 5, TypeError);
  assertEquals([barrier.seat, barrier.isCreator], [null, null]);
  assertEquals(String(barrier), "SharedMemoryBarrier 'steps' 4 parties");
  assertEquals({ ...SharedMemoryBarrier.from(JSON.parse(JSON.stringify(barrier))) }, {
    ...barrier,
  });
  assertEquals(SharedMemoryBarrier.clone(barrier, { name: "red" }).name, "red");
});

Deno.test("SharedMemoryBarrier() refuses what cannot be", () => {
  const make = (name: unknown, parties: unknown) => () =>
    new SharedMemoryBarrier(name as string, parties as number);
  for (const parties of [0, -1, 4097, 1.5, NaN, Infinity]) {
    assertThrows(make("steps", parties), RangeError, "parties");
    assertThrows(() => SharedMemoryBarrier.createAnonymous(parties), RangeError, "parties");
  }
  for (const parties of ["4", null, undefined, [4]]) {
    assertThrows(make("steps", parties), TypeError, "parties");
  }
  for (const name of ["", "a/b", "a\0b", "n".repeat(256)]) assertThrows(make(name, 2), RangeError);
  assertThrows(make(7, 2), TypeError);
  assertEquals(make("steps", 4096)().parties, 4096);
});

Deno.test("from() and clone() refuse what is no barrier's", () => {
  const from = (descriptor: unknown) => () =>
    SharedMemoryBarrier.from(descriptor as SharedMemoryBarrier);
  for (
    const other of [
      null,
      "steps",
      [],
      { name: "steps" },
      { parties: 2 },
      { kind: "barrier", name: "steps" },
      { kind: null, name: "steps", parties: 2 },
      { kind: "Barrier", name: "steps", parties: 2 },
      { name: "steps", parties: 2, shape: [3] },
      { name: "steps", parties: 2, slots: 3 },
      new SharedMemoryArray([2], "float64", "steps"),
      new SharedMemoryLock("steps"),
      new SharedMemoryQueue("steps", 2),
      new SharedMemoryRing([2], "float64", "steps", 3),
      new SharedMemoryVersions([2], "float64", "steps"),
    ]
  ) {
    assertThrows(from(other), TypeError, "Cannot make a SharedMemoryBarrier");
  }
  assertThrows(from({ name: "steps", parties: "2" }), TypeError);
  assertThrows(from({ name: "steps", parties: 0 }), RangeError);
  const message = { kind: "barrier", name: "steps", parties: 2, job: 7, shape: "round" };
  assertEquals(from(message)().parties, 2);
  assertThrows(() => SharedMemoryBarrier.clone({ ...message } as never), TypeError, "from()");
  const barrier = from(message)();
  assertThrows(() => SharedMemoryBarrier.clone(barrier, { slots: 2 } as never), TypeError);
  assertThrows(() => SharedMemoryBarrier.clone(barrier, { kind: "lock" } as never), TypeError);
});

Deno.test("every other kind refuses the descriptor of a barrier", () => {
  const barrier = JSON.parse(JSON.stringify(new SharedMemoryBarrier("steps", 4)));
  for (
    const from of [
      () => SharedMemoryArray.from(barrier),
      () => SharedMemoryLock.from(barrier),
      () => SharedMemoryQueue.from(barrier),
      () => SharedMemoryRing.from(barrier),
      () => SharedMemoryVersions.from(barrier),
    ]
  ) {
    assertThrows(from, TypeError);
  }
});

// --- Segments ----------------------------------------------------------------------------------

/** How each other kind attaches to a name. */
const others: {
  readonly [kind: string]: (name: string) => Disposable & { create(): unknown; load(): unknown };
} = {
  array: (name) => new SharedMemoryArray([512], "uint8", name),
  lock: (name) => new SharedMemoryLock(name),
  queue: (name) => new SharedMemoryQueue(name, 2),
  ring: (name) => new SharedMemoryRing([2], "float64", name, 3),
  versions: (name) => new SharedMemoryVersions([2], "float64", name),
};
for (const [kind, make] of Object.entries(others)) {
  Deno.test(`a barrier and the kind ${kind} refuse each other's segments, and write nothing`, () =>
    withNames((name, second) => {
      const bytesOf = (name: string) => Deno.readFileSync(segmentPath(name));
      using other = make(name);
      other.create();
      const before = bytesOf(name);
      for (const action of ["load", "createOrLoad"] as const) {
        assertThrows(() => new SharedMemoryBarrier(name, 2)[action](), TypeError);
      }
      assertEquals(bytesOf(name), before);
      using _barrier = new SharedMemoryBarrier(second, 30).create();
      const own = bytesOf(second);
      assertThrows(() => make(second).load(), TypeError, "a barrier");
      assertEquals(bytesOf(second), own);
      assertEquals(descriptorsOf(second), 1);
      SharedMemory.open(name).unlink();
    }));
}

Deno.test("without a description a barrier is told by its magic alone", () =>
  withNames((name, second) => {
    using barrier = new SharedMemoryBarrier(name, 30).create({ describe: false });
    for (const make of Object.values(others)) {
      assertThrows(() => make(name).load(), TypeError, "a barrier");
    }
    using memory = SharedMemory.create(second, 4096);
    assertThrows(
      () => new SharedMemoryBarrier(second, 2).load(),
      TypeError,
      "is not that of a barrier",
    );
    assertEquals(new Uint8Array(memory.buf!).every((byte) => byte === 0), true);
    barrier.load();
    memory.unlink();
  }));

Deno.test("load() compares the parties, and takes the seats in their order", () =>
  withNames((name) => {
    using barrier = new SharedMemoryBarrier(name, 2);
    assertThrows(() => barrier.load(), NotFound);
    assertThrows(() => barrier.load({ timeout: 20 }), NotFound);
    assertEquals(barrier.create(), barrier);
    assertEquals([barrier.seat, barrier.isCreator], [null, true]);
    for (const parties of [1, 3, 4096]) {
      assertThrows(() => new SharedMemoryBarrier(name, parties).load(), RangeError, "2 parties");
    }
    assertThrows(() => barrier.create(), Busy);
    assertThrows(() => SharedMemoryBarrier.clone(barrier).create(), AlreadyExists);
    using first = SharedMemoryBarrier.from(barrier).load({ timeout: 1000 });
    assertEquals(barrier.load(), barrier);
    assertEquals([first.seat, barrier.seat], [0, 1]);
    assertEquals([first.isCreator, barrier.isCreator], [false, true]);
    assertThrows(() => barrier.load(), Busy, "attached already");
    const third = SharedMemoryBarrier.from(barrier);
    assertThrows(() => third.load(), Busy, "all 2 seats are taken");
    assertThrows(() => third.createOrLoad(), Busy, "all 2 seats are taken");
    assertEquals([third.seat, third.isCreator], [null, null]);
    first.close();
    assertEquals([first.seat, first.isCreator], [null, null]);
    assertEquals(third.load().seat, 0);
    third.close();
    assertEquals(descriptorsOf(name), 1);
    barrier.close();
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 0]);
  }));

Deno.test("createOrLoad() takes a seat; unlink() removes the own name only", () =>
  withNames((name) => {
    using first = new SharedMemoryBarrier(name, 2).createOrLoad({ mode: 0o660, timeout: 10 });
    assertEquals(Deno.statSync(segmentPath(name)).mode! & 0o777, 0o660);
    using second = new SharedMemoryBarrier(name, 2).createOrLoad();
    assertEquals([first, second].map(({ seat, isCreator }) => [seat, isCreator]), [[0, true], [
      1,
      false,
    ]]);
    assertThrows(() => first.createOrLoad(), Busy);
    assertEquals(second.unlink(), true);
    assertEquals(first.unlink(), false);
    using next = new SharedMemoryBarrier(name, 2).create();
    assertEquals(first.unlink(), false);
    assertEquals(segmentExists(name), true);
    assertEquals(new SharedMemoryBarrier(name, 2).unlink(), true);
    // What was created here and has lost its name is left for the one that has it.
    using third = new SharedMemoryBarrier(name, 2).create();
    next.load();
    assertEquals([next.seat, next.isCreator], [0, false]);
    third.unlink();
  }));

Deno.test("options are checked before anything is done", () =>
  withNames(async (name) => {
    const barrier = new SharedMemoryBarrier(name, 2);
    for (const wrong of [null, 7, { mode: "x" }, { describe: 1 }, { timeout: 5 }, { seat: 0 }]) {
      assertThrows(() => barrier.create(wrong as never), TypeError);
      assertThrows(() => SharedMemoryBarrier.createAnonymous(2, wrong as never), TypeError);
    }
    assertThrows(() => barrier.create({ mode: 0o10000 }), RangeError);
    assertThrows(() => barrier.createOrLoad({ mode: -1 }), RangeError);
    for (const wrong of [null, { timeout: "5" }, { mode: 0o600 }]) {
      assertThrows(() => barrier.load(wrong as never), TypeError);
    }
    assertThrows(() => barrier.load({ timeout: -1 }), RangeError);
    assertThrows(() => barrier.createOrLoad({ timeout: NaN }), RangeError);
    assertThrows(() => barrier.createOrLoad({ patience: 1 } as never), TypeError);
    assertEquals(segmentExists(name), false);
    const kinds = [null, 5, { timeout: "1" }, { patient: 1 }, { patience: true }];
    for (const wrong of kinds) {
      assertThrows(() => barrier.meet(wrong as never), TypeError);
      await assertRejects(() => barrier.meetAsync(wrong as never), TypeError);
    }
    assertThrows(() => barrier.meet({ signal: AbortSignal.timeout(1) } as never), TypeError);
    await assertRejects(() => barrier.meetAsync({ signal: 1 } as never), TypeError);
    for (const timeout of [-1, NaN]) {
      assertThrows(() => barrier.meet({ timeout }), RangeError);
      await assertRejects(() => barrier.meetAsync({ timeout }), RangeError);
    }
    assertThrows(() => barrier.meet(), BadResource, "not attached");
    await assertRejects(() => barrier.meetAsync(), BadResource, "not attached");
    barrier.create();
    assertThrows(() => barrier.meet(), BadResource, "no seat");
    barrier.close();
    barrier.close();
    assertThrows(() => barrier.meet(), BadResource, "not attached");
  }));

Deno.test("a register lists a barrier, and list() knows its kind", () =>
  withNames((name) => {
    {
      using register = new SharedMemoryRegister();
      using barrier = new SharedMemoryBarrier(name, 3).create();
      register.push(barrier.name);
      const info = SharedMemoryArray.list().find((each) => each.name === name);
      assertEquals([info?.kind, info?.shape, info?.dtype], ["barrier", null, null]);
    }
    assertEquals(segmentExists(name), false);
  }));

// --- Meeting -----------------------------------------------------------------------------------

Deno.test("nobody goes on before all have come, and all get the number of the generation", () =>
  withParties(3, async (a, b, c) => {
    for (let generation = 1; generation < 20; generation++) {
      let isOver = false;
      const first = a.meetAsync();
      const second = b.meetAsync({ timeout: 60_000 });
      first.then(() => isOver = true);
      if (generation < 4) await sleep(30);
      assertEquals(isOver, false);
      assertEquals(c.meet(), generation);
      assertEquals(await Promise.all([first, second]), [generation, generation]);
    }
  }));

Deno.test("a barrier of one is a counter", async () => {
  await withParties(1, async (barrier) => {
    assertEquals([barrier.meet(), barrier.meet({ timeout: 0 })], [1, 2]);
    assertEquals(await barrier.meetAsync({ patient: true }), 3);
  });
});

Deno.test("who comes early waits for seats that were never taken", () =>
  withNames(async (name) => {
    using barrier = new SharedMemoryBarrier(name, 2).createOrLoad();
    const met = barrier.meetAsync();
    assertEquals(await stateAfter(met, 150), "waits");
    using other = SharedMemoryBarrier.from(barrier).load();
    assertEquals([other.meet(), await met], [1, 1]);
  }));

Deno.test("a party waits once at a time, and this thread does not wait for itself", () =>
  withParties(2, async (a, b) => {
    for (const patient of [false, true]) {
      assertThrows(() => a.meet({ patient }), Busy, "another instance of this thread");
    }
    assertEquals(errorOf(() => a.meet({ timeout: 10 })).name, "TimeoutError");
    const met = a.meetAsync();
    await assertRejects(() => a.meetAsync(), Busy, "waits there already");
    assertThrows(() => a.meet({ timeout: 0 }), Busy, "waits there already");
    assertEquals([b.meet(), await met], [1, 1]);
  }));

Deno.test("this thread does not wait for a party of its own that waits for a meeting that is over", () =>
  withParties(2, async (a, b) => {
    const met = a.meetAsync();
    assertEquals(b.meet(), 1);
    // The first party cannot know yet that it may come again.
    for (const patient of [false, true]) {
      assertThrows(() => b.meet({ patient }), Busy, "another instance of this thread");
    }
    assertEquals(await met, 1);
    const next = a.meetAsync();
    assertEquals([b.meet(), await next], [2, 2]);
  }));

Deno.test("this thread does not wait for an arrival of its own that a break has made void", () =>
  withParties(3, async (a, b, c) => {
    const void1 = rejectionOf(a.meetAsync());
    c.close();
    c.load();
    const patient = c.meetAsync({ patient: true });
    assertThrows(() => b.meet({ patient: true }), Busy, "another instance of this thread");
    assert(await void1 instanceof BrokenBarrierError);
    const met = a.meetAsync();
    assertEquals([b.meet(), await met, await patient], [1, 1, 1]);
    c.close();
    // The break comes while this thread blocks.
    const member = await startParty(
      a,
      `const words = new DataView(SharedMemory.open(barrier.name).buf);
      const arrival = () => words.getBigUint64(192 + 16 * 1, true); // of b
      const before = arrival();
      say("seat");
      while (arrival() === before) await new Promise((resume) => setTimeout(resume, 1));
      barrier.close();
      say(barrier.load().meet({ patient: true }));`,
    );
    assertEquals(await member.line(), "seat");
    const void2 = rejectionOf(a.meetAsync({ patient: false }));
    assertThrows(() => b.meet({ patient: true }), Busy, "another instance of this thread");
    assert(await void2 instanceof BrokenBarrierError);
    const last = a.meetAsync();
    assertEquals([b.meet(), await last, Number(await member.line())], [2, 2, 2]);
    await member.end();
  }));

Deno.test("processes and Workers meet, blocking and not", () =>
  withNames(async (name, countsName) => {
    using barrier = new SharedMemoryBarrier(name, 4).create().load();
    using counts = new SharedMemoryArray([4], "int32", countsName);
    const values = counts.create().data;
    const code = (how: string) => `
      const counts = SharedMemoryArray.from(${JSON.stringify(counts)}).load().data;
      for (let step = 1; step <= 50; step++) {
        counts[barrier.seat] = step;
        ${how};
        if (counts.some((count) => count !== step)) throw new Error("early: " + counts);
        ${how};
      }
    `;
    const inWorker = `
      import { SharedMemoryArray } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
      import { SharedMemoryBarrier } from ${JSON.stringify(syncUrl)};
      const barrier = SharedMemoryBarrier.from(${JSON.stringify(barrier)}).load();
      ${code("barrier.meet()")}
      postMessage("done");
      barrier.close();
    `;
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(inWorker)}`, {
      type: "module",
    });
    const done = new Promise((resolve, reject) => {
      worker.onmessage = resolve;
      worker.onerror = reject;
    });
    const members = [
      await startParty(barrier, code("barrier.meet()")),
      await startParty(barrier, code("await barrier.meetAsync()")),
    ];
    for (let step = 1; step <= 50; step++) {
      values[barrier.seat!] = step;
      await barrier.meetAsync();
      assertEquals([...values], [step, step, step, step]);
      assertEquals(await barrier.meetAsync(), 2 * step);
    }
    await done;
    worker.terminate();
    for (const member of members) await member.end();
  }));

// --- Giving up ---------------------------------------------------------------------------------

Deno.test("a time limit withdraws that party only, and it may come again", () =>
  withParties(3, async (a, b, c) => {
    const first = a.meetAsync();
    const late = await rejectionOf(b.meetAsync({ timeout: 30 }));
    assertEquals([late.name, late instanceof DOMException], ["TimeoutError", true]);
    assert(late.message.includes("2 of 3 parties have come"), late.message);
    for (const timeout of [0, 1, 30]) {
      assertEquals(errorOf(() => b.meet({ timeout })).name, "TimeoutError");
    }
    assertEquals(await stateAfter(first, 100), "waits");
    // Who has given up has not come.
    assertEquals(errorOf(() => c.meet({ timeout: 60 })).name, "TimeoutError");
    const again = [b.meetAsync(), c.meetAsync()];
    assertEquals(await Promise.all([first, ...again]), [1, 1, 1]);
    // Before anybody has come.
    assertEquals((await rejectionOf(c.meetAsync({ timeout: 0 }))).name, "TimeoutError");
    const next = [c.meetAsync(), a.meetAsync()];
    assertEquals([b.meet({ timeout: 0 }), ...await Promise.all(next)], [2, 2, 2]);
  }));

Deno.test("a signal withdraws that party only, with its reason", () =>
  withParties(2, async (a, b) => {
    const reason = new SyntaxError("enough");
    await assertRejects(() => a.meetAsync({ signal: AbortSignal.abort(reason) }), SyntaxError);
    const controller = new AbortController();
    const met = rejectionOf(a.meetAsync({ signal: controller.signal, timeout: 60_000 }));
    await sleep(20);
    controller.abort(reason);
    assertEquals(await met, reason);
    assertEquals(errorOf(() => b.meet({ timeout: 0 })).name, "TimeoutError");
    const again = a.meetAsync({ signal: AbortSignal.timeout(60_000) });
    assertEquals([b.meet(), await again], [1, 1]);
  }));

Deno.test("what ends a waiting after the meeting was complete does not count", () =>
  withParties(2, async (a, b) => {
    const controller = new AbortController();
    const met = a.meetAsync({ signal: controller.signal });
    await sleep(20);
    b.meet();
    controller.abort();
    assertEquals(await met, 1);
    const limited = a.meetAsync({ timeout: 30 });
    b.meet();
    const end = performance.now() + 60;
    while (performance.now() < end); // time is up before this task runs again
    assertEquals(await limited, 2);
    const closed = a.meetAsync();
    b.meet();
    a.close();
    assertEquals(await closed, 3);
    // Its seat is free all the same, so the barrier is broken.
    assertThrows(() => b.meet(), BrokenBarrierError);
  }));

Deno.test("closing rejects a pending meeting, and breaks the barrier for the others", () =>
  withParties(3, async (a, b, c) => {
    const closed = rejectionOf(a.meetAsync());
    const broken = rejectionOf(b.meetAsync());
    await sleep(20);
    a.close();
    assert(await closed instanceof BadResource);
    const error = await inTime(broken);
    assert(error instanceof BrokenBarrierError);
    assertEquals([error.name, (error as BrokenBarrierError).code], [
      "BrokenBarrierError",
      "ERR_SHM_BROKEN",
    ]);
    assertThrows(() => c.meet({ timeout: 0 }), BrokenBarrierError, "seat 0");
    await assertRejects(() => c.meetAsync(), BrokenBarrierError);
    // A replacement mends it.
    assertEquals(a.load().seat, 0);
    const mended = [b.meetAsync(), c.meetAsync()];
    assertEquals([a.meet(), ...await Promise.all(mended)], [1, 1, 1]);
  }));

Deno.test("a removed name is NotFound for who comes and for who waits", () =>
  withParties(2, async (a, b) => {
    const waiting = rejectionOf(a.meetAsync());
    await sleep(20);
    b.unlink();
    assert(await waiting instanceof NotFound);
    for (const patient of [false, true]) {
      assertThrows(() => b.meet({ patient }), NotFound, "its name was removed");
      await assertRejects(() => a.meetAsync({ patient }), NotFound);
    }
    assertThrows(() => SharedMemoryBarrier.from(a).load(), NotFound);
  }));

Deno.test("a patient party waits for the name, too", () =>
  withParties(2, async (a, b) => {
    const waiting = rejectionOf(a.meetAsync({ patient: true }));
    await sleep(20);
    b.unlink();
    assert(await waiting instanceof NotFound);
  }));

// --- The dead ----------------------------------------------------------------------------------

Deno.test("a killed party breaks the barrier soon, for all, until it is replaced", () =>
  withNames(async (name) => {
    using a = new SharedMemoryBarrier(name, 3).createOrLoad();
    using b = SharedMemoryBarrier.from(a).load();
    const member = await startParty(a, hang);
    assertEquals(await member.line(), "seat 2");
    const waiting = handled(a.meetAsync(), b.meetAsync());
    assertEquals(await stateAfter(waiting[0], 120), "waits");
    await member.kill();
    for (const each of waiting) assert(await rejectionOf(each) instanceof BrokenBarrierError);
    assertThrows(() => a.meet({ timeout: 10 }), BrokenBarrierError, "seat 2");
    // A patient one waits.
    assertEquals(errorOf(() => a.meet({ timeout: 120, patient: true })).name, "TimeoutError");
    const patient = a.meetAsync({ patient: true });
    assertThrows(() => b.meet(), BrokenBarrierError);
    using replacement = SharedMemoryBarrier.from(a).load();
    assertEquals(replacement.seat, 2);
    const met = b.meetAsync();
    assertEquals([replacement.meet(), await met, await patient], [1, 1, 1]);
  }));

Deno.test("the arrival of a party that was killed does not count", () =>
  withNames(async (name) => {
    using a = new SharedMemoryBarrier(name, 2).createOrLoad();
    const member = await startParty(a, `barrier.meetAsync(); say("come"); ${hang}`);
    assertEquals(await member.line(), "come");
    await member.kill();
    // All have come, but one of them is dead.
    assertThrows(() => a.meet({ timeout: 0 }), BrokenBarrierError, "seat 1");
    assertEquals(errorOf(() => a.meet({ timeout: 0, patient: true })).name, "TimeoutError");
    const patient = a.meetAsync({ patient: true });
    assertEquals(await stateAfter(patient, 120), "waits");
    using replacement = SharedMemoryBarrier.from(a).load();
    assertEquals(await stateAfter(patient, 120), "waits");
    assertEquals([replacement.meet(), await patient], [1, 1]);
  }));

Deno.test("however fast the replacement is, who waited learns that a party has ended", () =>
  withParties(3, async (a, b, c) => {
    for (let round = 0; round < 20; round++) {
      const waiting = a.meetAsync();
      const patient = b.meetAsync({ patient: true });
      c.close();
      c.load();
      const replaced = c.meetAsync();
      assert(await rejectionOf(waiting) instanceof BrokenBarrierError);
      assertEquals(await stateAfter(patient, 1), "waits");
      assertEquals(a.meet(), round + 1);
      assertEquals(await Promise.all([patient, replaced]), [round + 1, round + 1]);
    }
  }));

Deno.test("two dead seats need two replacements", () =>
  withParties(3, async (a, b, c) => {
    b.close();
    c.close();
    assertThrows(() => a.meet(), BrokenBarrierError);
    b.load();
    assertEquals(b.seat, 1);
    assertThrows(() => a.meet(), BrokenBarrierError, "seat 2");
    c.load();
    const met = [b.meetAsync(), c.meetAsync()];
    assertEquals([a.meet(), ...await Promise.all(met)], [1, 1, 1]);
  }));

Deno.test("an instance that is dropped gives its seat up when it is garbage-collected", () =>
  withNames(async (name) => {
    using barrier = new SharedMemoryBarrier(name, 2).createOrLoad();
    const { stdout } = await runChild(
      `
      const { SharedMemoryBarrier, BrokenBarrierError } = await import(${JSON.stringify(syncUrl)});
      const mine = SharedMemoryBarrier.from(${JSON.stringify(barrier)});
      const drop = () => { SharedMemoryBarrier.from(mine).load(); };
      drop();
      for (let tries = 0; tries < 200; tries++) {
        gc();
        await new Promise((resume) => setTimeout(resume, 10));
        try {
          mine.load();
          console.log("seat " + mine.seat);
          break;
        } catch (error) {
          if (!(error instanceof Deno.errors.Busy)) throw error;
        }
      }
      `,
      { v8Flags: ["--expose-gc"] },
    );
    assertEquals(stdout, "seat 1\n");
  }));

// --- Anonymous ---------------------------------------------------------------------------------

Deno.test("an anonymous barrier goes to other processes, and is NotFound when its creator has ended", () =>
  withNames(async (_name) => {
    using barrier = SharedMemoryBarrier.createAnonymous(2, { mode: 0o600 });
    assertEquals([barrier.seat, barrier.isCreator], [null, true]);
    assert(barrier.name.startsWith("memfd:"), barrier.name);
    assertEquals(barrier.load().seat, 0);
    const member = await startParty(barrier, `say(String(barrier.meet())); barrier.close();`);
    assertEquals(await barrier.meetAsync(), 1);
    assertEquals(await member.line(), "1");
    await member.end();
    using other = SharedMemoryBarrier.from(barrier).load();
    const waiting = rejectionOf(other.meetAsync());
    assertEquals(barrier.unlink(), true);
    assert(await waiting instanceof NotFound);
    assertThrows(() => SharedMemoryBarrier.from(barrier).load(), NotFound);
    assertThrows(() => new SharedMemoryBarrier(barrier.name, 2).createOrLoad(), RangeError);
  }));

Deno.test("a party of an anonymous barrier whose creator is killed does not wait for ever", async () => {
  const { Member } = await import("../helpers/publish_helpers.ts");
  const member = await Member.start(`
    const { SharedMemoryBarrier } = await import(${JSON.stringify(syncUrl)});
    globalThis.barrier = SharedMemoryBarrier.createAnonymous(3);
    say(JSON.stringify(barrier));
    setInterval(() => {}, 1000);
  `);
  using barrier = SharedMemoryBarrier.from(JSON.parse(await member.line())).load();
  const waiting = rejectionOf(barrier.meetAsync({ patient: true }));
  await member.kill();
  assert(await waiting instanceof NotFound);
});

// --- Python ------------------------------------------------------------------------------------

testWith("NumPy", "Python has no barriers, and says so", () =>
  withNames(async (name, second) => {
    using _described = new SharedMemoryBarrier(name, 2).create();
    using _bare = new SharedMemoryBarrier(second, 2).create({ describe: false });
    const before = [name, second].map((each) => Deno.readFileSync(segmentPath(each)));
    const { stdout } = await runPython([
      "-c",
      `
from shm_attach import attach
for take in [lambda: attach(${JSON.stringify(name)}), lambda: attach(${
        JSON.stringify(name)
      }, (4,), "u1"),
             lambda: attach(${JSON.stringify(second)}, (4,), "u1")]:
    try:
        take()
    except TypeError as error:
        print(error)
`,
    ]);
    assertEquals(stdout.trimEnd().split("\n"), [
      `Cannot attach to '${name}': the segment is that of a barrier, which Python has not`,
      `Cannot attach to '${name}' as an array: the segment is that of a barrier, which Python has not`,
      `Cannot attach to '${second}' as an array: the segment is that of a barrier, which Python has not`,
    ]);
    assertEquals([name, second].map((each) => Deno.readFileSync(segmentPath(each))), before);
  }));
