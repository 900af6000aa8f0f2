// Rings of frames: one writer, any number of readers, in several processes.

import { markAsUntransferable } from "node:worker_threads";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { Frame, type RingDescriptor, SharedMemoryRing } from "@shm/array/publish";
import {
  descriptorsOf,
  errorOf,
  evalChild,
  mappingsOf,
  segmentExists,
} from "../helpers/helpers.ts";
import {
  handled,
  Member,
  mixedText,
  publishUrl,
  rejectionOf,
  segmentsOf,
  sleep,
  withPublication,
} from "../helpers/publish_helpers.ts";
import { Peer } from "../helpers/python.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm; one writer is told by flock");

type Bytes = SharedMemoryRing<"uint8", readonly [number]>;

/** Calls `body` with a ring of frames of four bytes. */
function withRing(
  slots: number,
  body: (ring: Bytes) => void | Promise<void>,
): Promise<void> {
  return withPublication(async (name) => {
    using ring = new SharedMemoryRing([4] as const, "uint8", name, slots);
    ring.create();
    await body(ring as Bytes);
  });
}

// --- Descriptors -----------------------------------------------------------------------------

Deno.test("SharedMemoryRing is plain data, and comes back from it", () => {
  const ring = new SharedMemoryRing([2, 3], Float32Array, "a-ring", 4);
  const plain: unknown = {
    kind: "ring",
    shape: [2, 3],
    dtype: "float32",
    name: "a-ring",
    slots: 4,
  };
  assertEquals(Object.keys(ring), ["kind", "shape", "dtype", "name", "slots"]);
  assertEquals(JSON.parse(JSON.stringify(ring)), plain);
  assertEquals<unknown>(structuredClone({ ...ring }), plain);
  assert(Object.isFrozen(ring.shape));
  assertThrows(() => (ring as { slots: number }).slots = 5, TypeError);
  assertEquals<unknown>(
    { ...SharedMemoryRing.from(structuredClone(ring) as RingDescriptor) },
    plain,
  );
  assertEquals<unknown>({ ...SharedMemoryRing.from({ ...ring, job: 7 } as RingDescriptor) }, plain);
  assertEquals(SharedMemoryRing.clone(ring, { slots: 9, name: "b" }).slots, 9);
  assertEquals(String(ring), "SharedMemoryRing 'a-ring' 4 × [2, 3] float32");
  assertStringIncludes(Deno.inspect(ring), "attached: false");
  assertEquals(Deno.inspect(SharedMemoryRing.prototype), "SharedMemoryRing {}");
});

Deno.test("SharedMemoryRing refuses wrong arguments before anything is done", async () => {
  const make = (...args: unknown[]) => () =>
    // deno-lint-ignore no-explicit-any -- wrong on purpose
    new (SharedMemoryRing as any)(...args);
  assertThrows(make([2], "float32", "x", "4"), TypeError, "slots must be an integer");
  assertThrows(make([2], "float32", "x"), TypeError, "slots");
  for (const slots of [1, 0, -3, 2 ** 32]) {
    assertThrows(make([2], "float32", "x", slots), RangeError, "slots must be from 2");
  }
  assertThrows(make([2], "float32", "x", 2.5), RangeError);
  assertThrows(make([2 ** 40], "float64", "x", 2 ** 31), RangeError, "2^53");
  assertThrows(make([0], "float32", "x", 4), RangeError);
  assertThrows(make([2], "float99", "x", 4), TypeError);
  assertThrows(make([2], "float32", "a/b", 4), RangeError);
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const from = (value: any) => () => SharedMemoryRing.from(value);
  assertThrows(from(null), TypeError, "a descriptor is an object with shape, dtype, name, slots");
  assertThrows(from('{"name":"x"}'), TypeError, "JSON.parse()");
  assertThrows(from({ shape: [2], dtype: "int8", name: "x" }), TypeError, "has no slots");
  const descriptor = { shape: [2], dtype: "int8", name: "x", slots: 2 };
  for (const odd of ["layout", "arraySlice", "array_slice", "strides", "stride", "byteOffset"]) {
    for (const kind of [undefined, "ring"]) {
      const given = { kind, ...descriptor, [odd]: [1] };
      assertThrows(from(given), TypeError, `${odd} is none of its keys`);
      from({ ...given, [odd]: null })();
    }
  }
  // A job may have an order of its own, and anything else.
  for (const order of ["C", "F"]) {
    assertThrows(from({ ...descriptor, order }), TypeError, "order is none of its keys");
  }
  for (const order of [7, "FIFO", ["C"]]) {
    from({ kind: "ring", ...descriptor, order, job: 1, offset: 3 })();
  }
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  assertThrows(() => SharedMemoryRing.clone({} as any), TypeError, "must be a SharedMemoryRing");
  const ring = new SharedMemoryRing(2, "int8", "nobody-made-this", 2);
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const wrong = ring as any;
  assertThrows(() => wrong.create({ mod: 1 }), TypeError, 'there is no option "mod"');
  assertThrows(() => wrong.load({ timeout: "1" }), TypeError);
  assertThrows(() => wrong.load({ timeout: -1 }), RangeError);
  assertThrows(() => wrong.next({ timeout: 1 }), TypeError, "options come second");
  assertThrows(() => wrong.next(-1), RangeError);
  assertThrows(() => wrong.next(1.5), RangeError);
  assertThrows(() => wrong.next(1, { timeout: NaN }), RangeError);
  assertThrows(() => wrong.next(1, { signal: AbortSignal.abort() }), TypeError, "no option");
  assertThrows(() => wrong.frames({ timeout: 1 }), TypeError, "no option");
  await assertRejects(() => wrong.nextAsync("1"), TypeError);
  await assertRejects(() => wrong.nextAsync(1, { signal: 1 }), TypeError);
  for (
    const act of [() => ring.write(1), () => ring.latest(), () => ring.next(), () => ring.frames()]
  ) {
    assertThrows(() => void act(), Deno.errors.BadResource, "not attached");
  }
  await assertRejects(() => ring.nextAsync(), Deno.errors.BadResource);
  assertThrows(() => new Frame(0), TypeError, "use latest()");
  assertThrows(() => SharedMemoryRing.prototype.unlink.call({ name: "x" } as never), TypeError);
});

// --- Segments --------------------------------------------------------------------------------

Deno.test("create() and load() tell what is wrong, and leave nothing attached", () =>
  withPublication((name) => {
    const ring = new SharedMemoryRing([4], "uint8", name, 3);
    assertThrows(() => ring.load(), Deno.errors.NotFound, "load({ timeout })");
    ring.create({ mode: 0o640 });
    assertEquals(Deno.statSync(`/dev/shm/${name}`).mode! & 0o777, 0o640);
    assertThrows(() => ring.create(), Deno.errors.Busy);
    assertThrows(() => ring.load(), Deno.errors.Busy);
    assertThrows(() => SharedMemoryRing.clone(ring).create(), Deno.errors.AlreadyExists);
    const refused = (override: Partial<RingDescriptor>, why: string): void => {
      const other = SharedMemoryRing.clone(ring, override);
      assertThrows(() => other.load(), RangeError, why);
    };
    refused({ shape: [5] }, "its arrays have 4 bytes of '|u1'");
    refused({ dtype: "int8" }, "need 4 of '|i1'");
    refused({ slots: 4 }, "it has 3 slots, and not 4");
    // The same bytes in another shape are the same ring.
    SharedMemoryRing.clone(ring, { shape: [2, 2] }).load().close();
    assertEquals([mappingsOf(name), descriptorsOf(name)], [1, 1]);
    ring.close();
    ring.close();
    assertEquals([mappingsOf(name), descriptorsOf(name)], [0, 0]);
    assert(ring.unlink() && !ring.unlink());
    using array = new SharedMemoryArray([1000], "uint8", name);
    array.create().fill(65);
    assertThrows(() => ring.load(), TypeError, "not that of a ring");
    array.unlink();
    using tiny = new SharedMemoryArray([5], "uint8", name);
    tiny.create({ describe: false });
    assertThrows(() => ring.load(), RangeError, "5 bytes");
    assertEquals(descriptorsOf(name), 0);
  }));

Deno.test("load() with a time limit waits for the creator", () =>
  withPublication(async (name) => {
    const ring = new SharedMemoryRing([4], "uint8", name, 3);
    const start = performance.now();
    assertThrows(() => ring.load({ timeout: 60 }), Deno.errors.NotFound);
    assert(performance.now() - start >= 60);
    const member = await Member.start(
      `
      using ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).create();
      ring.write(7);
    `,
      { args: [JSON.stringify(ring)] },
    );
    using loaded = ring.load({ timeout: 60_000 });
    assertEquals(loaded.next(0, { timeout: 60_000 }).array.get(0), 7);
    await member.end();
  }));

Deno.test("whoever is attached reads what is there when the ring's name is removed", () =>
  withRing(2, (ring) => {
    using reader = SharedMemoryRing.clone(ring).load();
    assertEquals(ring.write(5), 1);
    assertEquals(ring.unlink(), true);
    assertThrows(() => ring.write(6), Deno.errors.NotFound, "its name was removed");
    assertEquals(reader.next().array.get(0), 5);
    assertEquals(segmentExists(ring.name), false);
  }));

Deno.test("registers and clearBuffers() remove a ring, prune() one that is left", () =>
  withPublication((name) => {
    {
      using register = new SharedMemoryRegister();
      using ring = new SharedMemoryRing([4], "uint8", name, 3).create();
      register.push(ring.name);
    }
    assertEquals(segmentsOf(name), []);
    const prefix = `ringtest${name}`; // of this test alone
    const made = SharedMemoryArray.buildSmaName(prefix);
    const left = new SharedMemoryRing([4], "uint8", made, 3).create();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
    left.close();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [made]);
  }));

// --- Writing ---------------------------------------------------------------------------------

Deno.test("write() takes what assign() takes, or a function, and numbers from 1", () =>
  withRing(3, (ring) => {
    assertEquals(ring.write(9), 1);
    assertEquals(ring.latest()!.array.toArray(), [9, 9, 9, 9]);
    assertEquals(ring.write(new Uint8Array([1, 2, 3, 4])), 2);
    assertEquals(ring.latest()!.array.toArray(), [1, 2, 3, 4]);
    assertEquals(ring.write([4, 3, 2, 1]), 3);
    assertEquals(ring.write((slot) => slot.set(0, 77)), 4);
    // The slot holds what was in it: frame 1.
    assertEquals(ring.latest()!.array.toArray(), [77, 9, 9, 9]);
    assertEquals(ring.write(ring.latest()!.array), 5);
    assertEquals(ring.latest()!.copy(), new Uint8Array([77, 9, 9, 9]));
  }));

Deno.test("write() that throws leaves nothing to be seen, and its number is the next one's", () =>
  withRing(2, async (ring) => {
    using reader = SharedMemoryRing.clone(ring).load();
    ring.write(1);
    ring.write(2);
    assertThrows(
      () =>
        ring.write((slot) => {
          slot.fill(66);
          throw new RangeError("no picture");
        }),
      RangeError,
      "no picture",
    );
    assertEquals(reader.latest()!.sequence, 2);
    assertEquals(reader.latest()!.array.get(0), 2);
    assertThrows(() => reader.next(2, { timeout: 0 }), DOMException);
    assertThrows(() => ring.write([1, 2, 3]), RangeError);
    assertThrows(() => ring.write("x" as never), TypeError);
    const filled = Promise.withResolvers<void>();
    const fill = async (): Promise<void> => await filled.promise;
    assertThrows(() => ring.write(fill), TypeError, "returned a promise");
    filled.resolve();
    await filled.promise;
    assertThrows(() => ring.write(() => ({ then() {} })), TypeError, "returned a promise");
    assertThrows(() => ring.write(() => ring.write(1)), Deno.errors.Busy, "in the middle");
    assertEquals(ring.write(3), 3);
    const frame = reader.next(2);
    assertEquals([frame.sequence, frame.skipped, frame.copy()![0]], [3, 0, 3]);
    assertThrows(() => ring.write(() => ring.close()), Deno.errors.BadResource);
    assertEquals(reader.latest()!.sequence, 3);
    assertEquals(reader.write(4), 4);
  }));

Deno.test("write() that moves the ring's memory away is BadResource, and the ring can be loaded again", () =>
  withRing(2, (ring) => {
    ring.write(1);
    const open = descriptorsOf(ring.name);
    assertThrows(
      () => ring.write(({ data }) => void data.buffer.transfer()),
      Deno.errors.BadResource,
    );
    assertThrows(() => ring.latest(), Deno.errors.BadResource);
    ring.load();
    assertEquals([descriptorsOf(ring.name), mappingsOf(ring.name)], [open, 1]);
    assertEquals(ring.write(2), 2); // no older attachment is the writer still
  }));

testWith(
  "marks of buffers",
  "a frame of a closed ring is BadResource, also where its buffer could not be detached",
  () =>
    withRing(2, (ring) => {
      ring.write(7);
      const frame = ring.latest()!;
      markAsUntransferable(frame.array.data.buffer);
      ring.close();
      assertThrows(() => frame.isWhole(), Deno.errors.BadResource);
      assertThrows(() => frame.copy(), Deno.errors.BadResource);
    }),
);

Deno.test("write() that refuses its source takes neither a frame away nor the right to write", () =>
  withRing(2, (ring) => {
    ring.write(1);
    ring.write(2);
    ring.close();
    using reader = SharedMemoryRing.clone(ring).load();
    using other = SharedMemoryRing.clone(ring).load();
    const frame = reader.next(0);
    for (const source of ["x", undefined, null, 1n, new ArrayBuffer(4)]) {
      assertThrows(() => reader.write(source as never), TypeError, "Cannot store");
    }
    for (const source of [[1, 2, 3], new Uint8Array(5), [[1, 2, 3, 4], [5, 6, 7, 8]]]) {
      assertThrows(() => reader.write(source), RangeError);
    }
    assertEquals([frame.isWhole(), frame.copy()![0]], [true, 1]);
    assertEquals(other.write(3), 3);
    assertEquals(frame.isWhole(), false);
  }));

Deno.test("write() of what a getter writes or closes meanwhile is right, or refused", () =>
  withRing(3, (ring) => {
    using reader = SharedMemoryRing.clone(ring).load();
    const source = (meanwhile: () => void) =>
      Object.defineProperty([0, 2, 2, 2], 0, {
        get() {
          meanwhile();
          return 2;
        },
      });
    let isFirst = true;
    const nested = source(() => {
      if (isFirst) isFirst = (ring.write(1), false);
    });
    assertEquals(ring.write(nested), 2);
    assertEquals(reader.next().copy(), new Uint8Array([1, 1, 1, 1]));
    assertEquals(reader.next().copy(), new Uint8Array([2, 2, 2, 2]));
    const closing = source(() => ring.close());
    assertThrows(() => ring.write(closing), Deno.errors.BadResource);
    ring.load();
    const anew = source(() => {
      ring.close();
      ring.load();
    });
    assertThrows(() => ring.write(anew), Deno.errors.BadResource);
    assertEquals([reader.latest()!.sequence, ring.write(3)], [2, 3]);
  }));

Deno.test("the first that writes is the writer until it closes, in this process and in others", () =>
  withRing(2, async (ring) => {
    using other = SharedMemoryRing.clone(ring).load();
    ring.write(1);
    assertThrows(() => other.write(2), Deno.errors.Busy, "it has a writer");
    const code = `
      import { SharedMemoryRing } from ${JSON.stringify(publishUrl)};
      using ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();
      try {
        console.log(ring.write(9));
      } catch (error) {
        console.log(JSON.stringify(error.name));
      }
    `;
    const write = () => evalChild(code, { args: [JSON.stringify(ring)] });
    assertEquals(await write(), "Busy");
    ring.close();
    assertEquals(await write(), 2);
    assertEquals(other.write(3), 3);
  }));

// --- Reading ---------------------------------------------------------------------------------

Deno.test("latest() gives the newest, again if there is none, null before the first", () =>
  withRing(4, (ring) => {
    using reader = SharedMemoryRing.clone(ring).load();
    assertEquals(reader.latest(), null);
    for (let i = 1; i <= 7; i++) ring.write(i);
    const told = () => {
      const { sequence, skipped, array } = reader.latest()!;
      return [sequence, skipped, array.get(3)];
    };
    assertEquals(told(), [7, 6, 7]);
    assertEquals(told(), [7, 0, 7]);
    ring.write(8);
    assertEquals(told(), [8, 0, 8]);
    ring.write(9);
    ring.write(10);
    assertEquals(told(), [10, 1, 10]);
  }));

Deno.test("next() gives every frame in order, and the newest to who was a round late", () =>
  withRing(4, (ring) => {
    using reader = SharedMemoryRing.clone(ring).load();
    for (let i = 1; i <= 3; i++) ring.write(i);
    const told = (after?: number) => {
      const { sequence, skipped, array } = reader.next(after, { timeout: 0 });
      assertEquals(array.get(0), sequence);
      return [sequence, skipped];
    };
    assertEquals([told(), told(), told()], [[1, 0], [2, 0], [3, 0]]);
    assertEquals(errorOf(() => told()).name, "TimeoutError");
    assertEquals(told(1), [2, 0], "after a given number");
    assertEquals(told(), [3, 0], "after the one that was given last");
    for (let i = 4; i <= 15; i++) ring.write(i);
    assertEquals(told(), [15, 11], "a whole round late");
    assertEquals(told(12), [13, 0]);
    assertEquals(told(5), [15, 9]);
    // What was written before an instance attached is not missed by it.
    using late = SharedMemoryRing.clone(ring).load();
    const { sequence, skipped } = late.next();
    assertEquals([sequence, skipped], [15, 0]);
    assertEquals(late.next(0).skipped, 14);
  }));

Deno.test("isWhole() and copy() tell when the writer comes round again", () =>
  withRing(3, (ring) => {
    ring.write(1);
    const frame = ring.latest()!;
    for (const i of [2, 3]) {
      ring.write(i);
      assert(frame.isWhole());
      assertEquals(frame.copy(), new Uint8Array(4).fill(1));
    }
    ring.write((slot) => {
      // The writer has begun, though not an element has changed.
      assertEquals([frame.isWhole(), frame.copy()], [false, null]);
      assertEquals(ring.latest()!.sequence, 3);
      slot.fill(4);
    });
    assertEquals([frame.isWhole(), frame.copy()], [false, null]);
    const newest = ring.latest()!;
    assertEquals(Object.keys(newest), ["sequence", "skipped", "array"]);
    assertEquals(Deno.inspect(newest), "Frame { sequence: 4, skipped: 0 }");
    ring.close();
    assertThrows(() => newest.isWhole(), Deno.errors.BadResource);
    assertThrows(() => newest.copy(), Deno.errors.BadResource);
    assertThrows(() => newest.array.get(0), Deno.errors.BadResource);
  }));

for (const start of [2 ** 31 - 4, 2 ** 32 - 4, 2 ** 52 - 4]) {
  Deno.test(`numbers go on across ${start + 3}`, () =>
    withRing(3, async (ring) => {
      {
        using memory = SharedMemory.open(ring.name);
        new BigUint64Array(memory.buf!, 64, 2).fill(BigInt(start));
      }
      using reader = SharedMemoryRing.clone(ring).load();
      for (let i = 1; i <= 8; i++) {
        const next = i % 2 === 0 ? reader.nextAsync(start + i - 1) : null;
        assertEquals(ring.write(i), start + i);
        const frame = await next ?? reader.next(start + i - 1, { timeout: 0 });
        assertEquals([frame.sequence, frame.skipped, frame.copy()![0]], [start + i, 0, i]);
        assertEquals(reader.latest()!.sequence, start + i);
      }
      assertThrows(() => reader.next(undefined, { timeout: 1 }), DOMException);
    }));
}

// --- Waiting ---------------------------------------------------------------------------------

Deno.test("who is woken and closed at once gets BadResource, in whatever step the waiting is", () =>
  withRing(3, async (ring) => {
    for (let round = 0; round < 20; round++) {
      const reader = SharedMemoryRing.clone(ring).load();
      const waiting = rejectionOf(reader.nextAsync(round));
      if (round % 2 === 0) await sleep(round / 2);
      else for (let step = 0; step < round; step++) await null;
      ring.write(round);
      reader.close();
      const error = await waiting;
      assert(error instanceof Deno.errors.BadResource, `round ${round}: ${error}`);
    }
  }));

Deno.test("waiting ends by a time limit, a signal or close()", () =>
  withRing(3, async (ring) => {
    const late = errorOf(() => ring.next(undefined, { timeout: 30 }));
    assert(late instanceof DOMException && late.name === "TimeoutError");
    assertEquals((await rejectionOf(ring.nextAsync(0, { timeout: 30 }))).name, "TimeoutError");
    assertEquals((await rejectionOf(ring.nextAsync(0, { timeout: 0 }))).name, "TimeoutError");
    const reason = new Error("enough");
    assertEquals(
      await rejectionOf(ring.nextAsync(0, { signal: AbortSignal.abort(reason) })),
      reason,
    );
    const stop = new AbortController();
    const waiting = ring.nextAsync(0, { signal: stop.signal });
    const frames = ring.frames({ signal: stop.signal }).next();
    handled(waiting, frames);
    await sleep(20);
    stop.abort(reason);
    assertEquals(await rejectionOf(waiting), reason);
    assertEquals(await rejectionOf(frames), reason);
    const closed = handled(ring.nextAsync(), ring.nextAsync(5, { timeout: 60_000 }));
    await sleep(20);
    ring.close();
    for (const each of closed) assert(await rejectionOf(each) instanceof Deno.errors.BadResource);
  }));

Deno.test("two loops and two instances in one process each have all frames", () =>
  withRing(8, async (ring) => {
    using other = SharedMemoryRing.clone(ring).load();
    const loop = async (reader: SharedMemoryRing<"uint8">): Promise<number[]> => {
      const seen: number[] = [];
      for await (const frame of reader.frames({ signal: AbortSignal.timeout(60_000) })) {
        seen.push(frame.array.get(0), frame.skipped);
        if (frame.sequence === 5) break;
      }
      return seen;
    };
    const loops = [loop(other), loop(other), loop(ring as unknown as SharedMemoryRing<"uint8">)];
    for (let i = 1; i <= 5; i++) {
      ring.write(i);
      await sleep(1);
    }
    const all = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0];
    assertEquals(await Promise.all(loops), [all, all, all]);
  }));

Deno.test("frames() of a reader that is never up to date lets timers run", () =>
  withRing(2, async (ring) => {
    let frames = 0;
    ring.write(1);
    const started = performance.now();
    const stop = new AbortController();
    const second = await rejectionOf((async () => {
      for await (const _frame of ring.frames({ signal: stop.signal })) {
        // When it is at work: this thread may have been stopped before.
        if (++frames === 11) {
          setTimeout(() => stop.abort(new DOMException("", "TimeoutError")), 200);
        }
        ring.write(1);
        if (performance.now() - started > 60_000) throw new Error("no timer has run");
      }
    })());
    assertEquals(second.name, "TimeoutError");
    assert(frames > 10);
  }));

Deno.test("a ring serves Workers, each with an instance of its own", () =>
  withRing(4, async (ring) => {
    const code = `
      import { SharedMemoryRing } from ${JSON.stringify(publishUrl)};
      onmessage = ({ data }) => {
        const ring = SharedMemoryRing.from(data).load();
        postMessage("ready");
        const frame = ring.next(undefined, { timeout: 60000 });
        postMessage([frame.sequence, frame.copy()[0]]);
        ring.close(); // Nobody makes old JavaScript of this text: it has no "using".
      };
    `;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const worker = new Worker(url, { type: "module" });
    try {
      const message = () =>
        new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
      const ready = message();
      worker.postMessage({ ...ring });
      assertEquals(await ready, "ready");
      const answer = message();
      await sleep(20);
      ring.write(42);
      assertEquals(await answer, [1, 42]);
    } finally {
      worker.terminate();
      URL.revokeObjectURL(url);
    }
  }));

Deno.test("an instance that is garbage gives up the right to write, and keeps its views", async () => {
  await withPublication(async (name) => {
    const code = `
      import { SharedMemoryRing } from ${JSON.stringify(publishUrl)};
      const [name] = Deno.args;
      const make = () => new SharedMemoryRing([4], "uint8", name, 2);
      let array;
      (() => {
        const ring = make().create();
        ring.write(3);
        array = ring.latest().array;
      })();
      using next = make().load();
      const busy = [];
      for (let i = 0; i < 100; i++) {
        gc();
        await new Promise((resume) => setTimeout(resume, 10));
        try {
          next.write(4);
          break;
        } catch (error) {
          busy.push(error.name);
        }
      }
      console.log(JSON.stringify([next.latest().sequence, array.get(0)]));
    `;
    assertEquals(await evalChild(code, { args: [name], v8Flags: ["--expose-gc"] }), [2, 3]);
  });
});

// --- Many processes, and killed ones ------------------------------------------------------------

/**
 * A reader of frames of uint32 in which every element holds the frame's number. It says how many of the
 * frames that it took for whole were mixed, how many were not whole, and how many it would have taken for
 * whole without the ring's counters although they were mixed.
 */
const readerText = `
${mixedText}
const [descriptor, counts, speed] = JSON.parse(Deno.args[0]);
using ring = SharedMemoryRing.from(descriptor).load();
// How many frames all readers have read, how many mixed ones they met, and the last frame there will be.
using shared = SharedMemoryArray.from(counts);
const [FRAMES, CAUGHT, LAST] = [0, 1, 2];
const words = shared.load().data;
const cell = new Int32Array(new SharedArrayBuffer(4));
const pauses = {
  fast: () => {},
  medium: () => { for (let end = performance.now() + 0.05; performance.now() < end;); },
  slow: () => Atomics.wait(cell, 0, 0, 3),
};
const pause = pauses[speed];
say("ready");
const found = { frames: 0, mixed: 0, torn: 0, caught: 0, missed: 0 };
let sequence = 0;
while (Atomics.load(words, LAST) === 0 || sequence < Atomics.load(words, LAST)) {
  const frame = ring.next(undefined, { timeout: 60000 });
  if (frame.skipped !== frame.sequence - sequence - 1) throw new Error("skipped is wrong");
  sequence = frame.sequence;
  found.frames++;
  Atomics.add(words, FRAMES, 1);
  found.missed += frame.skipped;
  const isMixed = mixed(frame.array, sequence, pause);
  if (!frame.isWhole()) {
    found.torn++;
    if (isMixed) {
      found.caught++;
      Atomics.add(words, CAUGHT, 1);
    }
  } else if (isMixed) found.mixed++;
  const copy = frame.copy();
  if (copy !== null && copy.some((element) => element !== sequence)) found.mixed++;
}
say(JSON.stringify(found));
`;

Deno.test("20,000 frames at full speed, three readers: none is mixed, and the check finds those that are", () =>
  withPublication(async (name) => {
    const least = 20_000 * scale;
    using counts = new SharedMemoryArray([3], "int32", `${name}-counts`);
    const words = counts.create().data;
    using ring = new SharedMemoryRing([16_384], "uint32", name, 4).create();
    const readers = await Promise.all(
      ["fast", "medium", "slow"].map((speed) =>
        Member.start(readerText, { args: [JSON.stringify([ring, counts, speed])] })
      ),
    );
    for (const reader of readers) assertEquals(await reader.line(), "ready");
    // On a busy machine the readers come late: the writer goes on until they have seen enough.
    const deadline = performance.now() + 60_000;
    const isEnough = (): boolean =>
      Atomics.load(words, 0) > 300 && Atomics.load(words, 1) > 0 || performance.now() > deadline;
    let last = 0;
    while (last < least || !isEnough()) {
      const number = last + 1;
      ring.write((slot) => slot.fill(number));
      last = number;
      // Readers are to be at work all the time, on one core, too.
      if (last % 500 === 0) await sleep(1);
    }
    last++;
    Atomics.store(words, 2, last);
    ring.write(last);
    let [caught, frames] = [0, 0];
    for (const reader of readers) {
      const found = JSON.parse(await reader.line());
      assertEquals(found.mixed, 0, JSON.stringify(found));
      assertEquals(found.frames + found.missed, last);
      caught += found.caught;
      frames += found.frames;
      await reader.end();
    }
    // The negative control: without the counters these would have been taken for whole.
    assert(caught > 0, "no reader met a frame that was being overwritten");
    assert(frames > 300);
    counts.unlink();
  }));

/** How often each kind of process is killed in a plain run; ten times as often in a long one. */
const kills = Math.ceil(5 * scale);

Deno.test(`${kills} writers killed in the middle of a frame: readers see none of it, the next goes on`, () =>
  withPublication(async (name) => {
    using ring = new SharedMemoryRing([4096], "uint32", name, 3).create();
    using writer = SharedMemoryRing.clone(ring).load();
    writer.write(1);
    writer.close();
    let sequence = 1;
    for (let k = 0; k < kills; k++) {
      const killed = await Member.start(
        `
        const ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();
        for (let i = 0; i < 3; i++) {
          const number = ring.latest().sequence + 1;
          ring.write((slot) => slot.fill(number));
        }
        ring.write((slot) => {
          slot.slice("0:2000").fill(12345);
          say("half");
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        });
      `,
        { args: [JSON.stringify(ring)] },
      );
      assertEquals(await killed.line(), "half");
      const waiting = ring.nextAsync(sequence + 3, { timeout: 30_000 });
      await killed.kill();
      sequence += 3;
      const frame = ring.latest()!;
      assertEquals([frame.sequence, frame.isWhole()], [sequence, true]);
      assert(frame.copy()!.every((element) => element === sequence));
      // The frame before is whole, too; the one that lay where the killed writer wrote is not.
      assert(ring.next(sequence - 2).copy()!.every((element) => element === sequence - 1));
      assertEquals(ring.next(sequence - 3).sequence, sequence);
      using next = SharedMemoryRing.clone(ring).load();
      assertEquals(next.write(sequence + 1), ++sequence);
      assertEquals((await waiting).sequence, sequence);
      assert(ring.latest()!.copy()!.every((element) => element === sequence));
    }
    ring.unlink();
    assertEquals(segmentsOf(name), []);
  }));

Deno.test(`${kills} writers killed at any moment: what readers take for whole is whole`, () =>
  withPublication(async (name) => {
    using ring = new SharedMemoryRing([16_384], "uint32", name, 3).create();
    let sequence = 0;
    for (let k = 0; k < kills; k++) {
      const killed = await Member.start(
        `
        const ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();
        say("at work");
        for (let number = (ring.latest()?.sequence ?? 0) + 1; true; number++) {
          if (ring.write((slot) => slot.fill(number)) !== number) throw new Error("wrong number");
        }
      `,
        { args: [JSON.stringify(ring)] },
      );
      assertEquals(await killed.line(), "at work");
      await sleep(Math.random() * 20);
      await killed.kill();
      const newest = ring.latest();
      if (newest === null) continue; // it was killed before its first frame
      assert(newest.sequence >= sequence);
      sequence = newest.sequence;
      assert(newest.copy()!.every((element) => element === sequence));
    }
    assertEquals(ring.write(7), sequence + 1);
  }));

Deno.test(`${kills} readers killed while they wait and while they read do no harm`, () =>
  withPublication(async (name) => {
    using ring = new SharedMemoryRing([4096], "uint32", name, 2).create();
    using survivor = SharedMemoryRing.clone(ring).load();
    for (let k = 0; k < kills; k++) {
      const readers = await Promise.all([
        `say("at work"); ring.next(1e9);`,
        `const waits = [1e9, 1e9].map((after) => ring.nextAsync(after)); say("at work"); await waits[0];`,
        `say("at work"); while (true) ring.latest()?.copy();`,
      ].map((code) =>
        Member.start(
          `const ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();\n${code}`,
          { args: [JSON.stringify(ring)] },
        )
      ));
      for (const reader of readers) assertEquals(await reader.line(), "at work");
      const waiting = survivor.nextAsync();
      await sleep(Math.random() * 10);
      await Promise.all(readers.map((reader) => reader.kill()));
      const sequence = ring.write(5);
      assertEquals((await waiting).sequence, sequence);
    }
  }));

// --- Python ----------------------------------------------------------------------------------

testWith("NumPy", "Python reads and writes a ring", () =>
  withPublication(async (name) => {
    using ring = new SharedMemoryRing([2, 3], "float32", name, 3).create();
    await using peer = new Peer();
    await peer.run(`
from shm_attach import Ring
ring = Ring("${name}", (2, 3), "float32")
def told(frame):
    return [frame.sequence, frame.skipped, frame.array.tolist(), frame.is_whole()]
def raised(action):
    try:
        action()
    except Exception as error:
        return type(error).__name__
`);
    assertEquals(await peer.ask("ring.latest()"), null);
    assertEquals(await peer.ask("raised(lambda: ring.next(timeout=0.05))"), "TimeoutError");
    const asked = peer.ask("told(ring.next())");
    await sleep(100);
    ring.write([[1, 2, 3], [4, 5, 6]]);
    assertEquals(await asked, [1, 0, [[1, 2, 3], [4, 5, 6]], true]);
    await peer.run("first = ring.latest()");
    for (let i = 2; i <= 9; i++) ring.write(i);
    assertEquals(await peer.ask("[first.is_whole(), first.copy()]"), [false, null]);
    const nines = [[9, 9, 9], [9, 9, 9]];
    assertEquals(await peer.ask("told(ring.next())"), [9, 7, nines, true]);
    assertEquals(await peer.ask("ring.next(7).copy().tolist()"), [[8, 8, 8], [8, 8, 8]]);
    assertEquals(await peer.ask("raised(lambda: ring.write(1))"), "BlockingIOError");
    ring.close();
    ring.load();
    const next = ring.nextAsync(9, { timeout: 60_000 });
    assertEquals(await peer.ask("ring.write(7)"), 10);
    assertEquals((await next).array.toArray(), [[7, 7, 7], [7, 7, 7]]);
    assertThrows(() => ring.write(1), Deno.errors.Busy);
    await peer.run("def half(slot):\n    slot[0] = 66\n    raise ValueError\n");
    assertEquals(await peer.ask("raised(lambda: ring.write(half))"), "ValueError");
    assertEquals(ring.latest()!.sequence, 10);
    assertEquals(await peer.ask("ring.write(lambda slot: slot.fill(8))"), 11);
    assertEquals(ring.latest()!.copy(), new Float32Array(6).fill(8));
    await peer.run("ring.close()");
    assertEquals(ring.write(1), 12);
    for (const wrong of ['(2, 4), "float32"', '(2, 3), "int32"', '(2, 3), "float32", 4']) {
      assertEquals(await peer.ask(`raised(lambda: Ring("${name}", ${wrong}))`), "ValueError");
    }
  }));

testWith(
  "NumPy",
  "no frame is mixed between a writer in Python and a reader in Deno, and the other way",
  () =>
    withPublication(async (name) => {
      const last = 2000 * scale;
      using ring = new SharedMemoryRing([16_384], "uint32", name, 4).create();
      await using peer = new Peer();
      await peer.run(`
from shm_attach import Ring
ring = Ring("${name}", 16384, "uint32")
def write(last):
    for number in range(1, last + 1):
        ring.write(number)
    ring.close()
def read(last):
    number, mixed, whole = 0, 0, 0
    while number < last:
        frame = ring.next(timeout=60)
        number = frame.sequence
        copy = frame.copy()
        if copy is not None:
            whole += 1
            mixed += int((copy != number).any())
    return [mixed, whole > 0]
`);
      using counts = new SharedMemoryArray([3], "int32", `${name}-counts`);
      Atomics.store(counts.create().data, 2, last);
      const reader = await Member.start(readerText, {
        args: [JSON.stringify([ring, counts, "fast"])],
      });
      assertEquals(await reader.line(), "ready");
      await peer.run(`write(${last})`);
      const found = JSON.parse(await reader.line());
      assertEquals(found.mixed, 0);
      await reader.end();
      counts.unlink();
      const asked = peer.ask(`read(${2 * last})`);
      for (let i = last + 1; i <= 2 * last; i++) {
        ring.write((slot) => slot.fill(i));
        if (i % 20 === 0) await sleep(0);
      }
      assertEquals(await asked, [0, true]);
    }),
);
