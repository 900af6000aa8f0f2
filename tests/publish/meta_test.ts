// Frames bear the moment at which they were published, and what their writer gave with them; versions the moment.
// Both are those of the very frame or version, whatever the writer does meanwhile, and however it ends.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { type Frame, type Json, SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { segmentPath } from "../helpers/helpers.ts";
import { Member, poke, pokeNumber, sleep, withPublication } from "../helpers/publish_helpers.ts";
import { Peer } from "../helpers/python.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "publishing");

const { BadResource, Busy, InvalidData } = Deno.errors;

// As docs/publication.md has them.
const [META_BYTES, BEGUN, TIMED_A, TIME_A, TIMED_B, TIME_B] = [48, 72, 88, 96, 104, 112];
/** Where the words beside the frame of a slot begin, in a ring of 4 bytes a frame and 40 bytes of meta. */
const beside = (slot: number): number => 128 + 64 * slot + 8;

const ringOf = (name: string, metaBytes = 40) =>
  new SharedMemoryRing([4], "uint8", name, 3, { metaBytes });
const tableOf = (name: string) => new SharedMemoryVersions([4], "int32", name);

function pokeDouble(name: string, at: number, value: number): void {
  poke(name, at, new Uint8Array(new Float64Array([value]).buffer));
}

/** Numbers that are no moments. */
const noMoments = [NaN, -1, Infinity, -Infinity, 8.65e15, -Number.MIN_VALUE];

// --- Description -----------------------------------------------------------------------------

Deno.test("metaBytes is a part of a ring's description where it is not 0", () =>
  withPublication((name) => {
    const ring = ringOf(name);
    const text =
      `{"kind":"ring","shape":[4],"dtype":"uint8","name":"${name}","slots":3,"metaBytes":40}`;
    assertEquals(JSON.stringify(ring), text);
    assertEquals(JSON.stringify(SharedMemoryRing.from(JSON.parse(text))), text);
    assertEquals(SharedMemoryRing.clone(ring, { name: "other" }).metaBytes, 40);
    assertEquals(SharedMemoryRing.clone(ring, { metaBytes: 8 }).metaBytes, 8);
    for (const none of [ringOf(name, 0), new SharedMemoryRing([4], "uint8", name, 3)]) {
      assertEquals([none.metaBytes, Object.hasOwn(none, "metaBytes")], [undefined, false]);
      assertEquals(JSON.stringify(none), text.replace(',"metaBytes":40', ""));
    }
    assertEquals(SharedMemoryRing.clone(ring, { metaBytes: 0 }).metaBytes, undefined);
    using _attached = ring.create();
    assertEquals(
      SharedMemoryArray.list().filter((each) => each.name === name).map((each) => each.shape),
      [[4]],
    );
  }));

Deno.test("metaBytes that are wrong are refused before anything is done", () => {
  const make = (options: unknown) => () =>
    new SharedMemoryRing([4], "uint8", "none", 3, options as never);
  for (const wrong of [-1, 1.5, NaN, Infinity, 2 ** 30 + 1, 2 ** 53]) {
    assertThrows(make({ metaBytes: wrong }), RangeError, "metaBytes");
  }
  for (const wrong of ["40", null, 40n, {}]) {
    assertThrows(make({ metaBytes: wrong }), TypeError);
  }
  for (const wrong of [40, "metaBytes", { metabytes: 40 }, []]) {
    assertThrows(make(wrong), TypeError);
  }
  const plain = { shape: [4], dtype: "uint8", name: "none" } as const;
  assertThrows(
    () => SharedMemoryVersions.from({ ...plain, metaBytes: 40 } as never),
    TypeError,
    "metaBytes is none of its keys",
  );
  assertThrows(
    () => SharedMemoryRing.from({ ...plain, slots: 3, meta_bytes: 40 } as never),
    TypeError,
    "meta_bytes is none of its keys",
  );
  const most = new SharedMemoryRing([4], "uint8", "none", 2 ** 20, { metaBytes: 2 ** 30 });
  assertEquals(most.metaBytes, 2 ** 30);
  assertThrows(
    () => new SharedMemoryRing([4], "uint8", "none", 2 ** 31, { metaBytes: 2 ** 30 }),
    RangeError,
    "2^53",
  );
});

Deno.test("load() and createOrLoad() compare metaBytes", () =>
  withPublication((name) => {
    using _ring = ringOf(name).create();
    for (const metaBytes of [0, 39, 41]) {
      const other = ringOf(name, metaBytes);
      const why = `it has 40 bytes for the meta of a frame, and not ${metaBytes}`;
      assertThrows(() => other.load(), RangeError, why);
      assertThrows(() => other.createOrLoad(), RangeError, why);
    }
    using same = ringOf(name).load();
    assertEquals(same.latest(), null);
  }));

// --- What is written is read -----------------------------------------------------------------

const values: readonly Json[] = [
  null,
  true,
  0,
  -1.5e300,
  "",
  "höhe 🚀 \0\n",
  "\ud800",
  [],
  [1, [2, [3]]],
  {},
  { a: { b: [1, null, "c"] } },
];

Deno.test("write() gives a frame its meta, and a frame without is null", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    using reader = ringOf(name).load();
    for (const value of values) {
      const sequence = ring.write(1, value);
      const latest = reader.latest()!;
      assertEquals([latest.sequence, latest.meta], [sequence, value]);
      assertEquals(reader.next(sequence - 1).meta, value);
      assertEquals((await reader.nextAsync(sequence - 1)).meta, value);
      assert(latest.meta === latest.meta, "it is the same object each time");
      ring.write(2);
      assertEquals(reader.latest()!.meta, null);
      assertEquals(reader.next(sequence - 1).meta, value);
    }
    ring.write(1, { a: 1, b: undefined, c: new Date(0) } as never);
    assertEquals(reader.latest()!.meta, { a: 1, c: "1970-01-01T00:00:00.000Z" });
    ring.write(1, NaN);
    assertEquals(reader.latest()!.meta, null);
    // One that gives up leaves nothing of its meta to the next.
    assertThrows(() => ring.write(() => raise(new Error("no")), "given up"), Error, "no");
    ring.write(3);
    assertEquals(reader.latest()!.meta, null);
  }));

function raise(error: Error): never {
  throw error;
}

Deno.test("meta fits if its text has metaBytes, and with one more is a RangeError that says both", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    using other = ringOf(name).load();
    for (const text of ["a".repeat(38), "é".repeat(19), "🚀".repeat(9) + "é"]) {
      ring.write(1, text);
      assertEquals(ring.latest()!.meta, text);
      const { sequence } = ring.latest()!;
      let isCalled = false;
      for (const source of [2, () => void (isCalled = true)]) {
        assertThrows(
          () => ring.write(source, text + "!"),
          RangeError,
          "as JSON the meta has 41 bytes, and the ring has room for 40",
        );
      }
      assertEquals([isCalled, ring.latest()!.sequence, ring.latest()!.array.get(0)], [
        false,
        sequence,
        1,
      ]);
    }
    ring.close();
    assertThrows(() => other.write(1, "a".repeat(39)), RangeError);
    ring.load();
    ring.write(1); // what was refused did not make the other the writer
    using without = ringOf(`${name}-0`, 0).create();
    assertThrows(
      () => without.write(1, null),
      RangeError,
      "has 4 bytes, and the ring has room for 0",
    );
    assertEquals(without.write(1, undefined), 1);
    assertEquals(without.latest()!.meta, null);
  }));

Deno.test("meta that JSON cannot write is a TypeError, and costs no frame", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    const circle: { [key: string]: unknown } = {};
    circle.circle = circle;
    for (const wrong of [circle, 1n, { a: 1n }, () => {}, Symbol("no")]) {
      assertThrows(() => ring.write(1, wrong as never), TypeError, "nothing that JSON can write");
    }
    class Mine extends Error {}
    assertThrows(() => ring.write(1, { toJSON: () => raise(new Mine()) } as never), Mine);
    assertEquals(ring.latest(), null);
    // What is called meanwhile writes, or closes.
    const nested = { toJSON: () => ring.write(7, "inner") };
    assertEquals(ring.write(8, nested as never), 2);
    assertEquals([ring.next(0).meta, ring.next(1).meta], ["inner", 1]);
    assertThrows(() => ring.write((_slot) => void ring.write(1, "no"), "outer"), Busy);
    assertThrows(() => ring.write(9, { toJSON: () => `${ring.close()}` } as never), BadResource);
    ring.load();
    assertEquals(ring.latest()!.sequence, 2);
  }));

Deno.test("a frame's timestamp is when it was published, and stays with its meta when it is overwritten", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    const frames: Frame<"uint8", 1>[] = [];
    const now = (): number => performance.timeOrigin + performance.now();
    for (let i = 1; i <= 6; i++) {
      const before = Date.now();
      let filled = 0;
      ring.write((slot) => {
        slot.fill(i);
        const end = performance.now() + 3;
        while (performance.now() < end);
        filled = Date.now();
      }, `frame ${i}`);
      const frame = ring.latest()!;
      assert(frame.timestamp >= filled && filled >= before, `${frame.timestamp} ${filled}`);
      assert(frame.timestamp <= Date.now() + 1 && Math.abs(now() - frame.timestamp) < 60_000);
      frames.push(frame);
      await sleep(2);
    }
    const times = frames.map(({ timestamp }) => timestamp);
    assertEquals(times, times.toSorted((a, b) => a - b));
    assert(times.some((time) => time % 1 !== 0), "it has a fraction");
    // They were overwritten, and asked for their meta only now.
    assertEquals(frames.map(({ meta }) => meta), [1, 2, 3, 4, 5, 6].map((i) => `frame ${i}`));
    assertEquals(frames.map((frame) => frame.isWhole()), [
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
    assertEquals(ring.latest()!.timestamp, times[5]);
    ring.close();
    assertEquals([frames[5].timestamp, frames[5].meta], [times[5], "frame 6"]);
  }));

Deno.test("a version's timestamp is when it was published, also for who comes later", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    using reader = tableOf(name).load();
    const given: number[] = [];
    for (let i = 1; i <= 5; i++) {
      let filled = 0;
      await table.publish(async (next) => {
        next.fill(i);
        await sleep(3);
        filled = Date.now();
      });
      const { version, timestamp, array, hold } = reader.current()!;
      using _held = hold();
      assertEquals([version, array.get(0)], [i, i]);
      assert(timestamp >= filled && timestamp <= Date.now() + 1);
      using late = tableOf(name).load();
      assertEquals(
        [late, table].map((each) => each.current()!.timestamp),
        [timestamp, timestamp],
      );
      using later = tableOf(name).load();
      assertEquals(later.changed({ timeout: 1000 }).timestamp, timestamp);
      given.push(timestamp);
    }
    assertEquals(given, given.toSorted((a, b) => a - b));
    // The next writer leaves that of the current one alone until there is another one.
    table.close();
    using next = tableOf(name).load();
    await assertRejects(() => next.publish(() => raise(new Error("no"))), Error, "no");
    assertEquals(next.current()!.timestamp, given[4]);
    await next.publish(() => {});
    assert(next.current()!.timestamp > given[4]);
    next.unlink();
  }));

// --- Hostile words ---------------------------------------------------------------------------

Deno.test("a moment that is none is InvalidData, where it is read", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    ring.write(1, "first");
    const kept = ring.latest()!;
    for (const moment of noMoments) {
      using reader = ringOf(name).load();
      pokeDouble(name, beside(0), moment);
      const looks = [() => reader.latest(), () => reader.next()];
      for (const look of looks) assertThrows(look, InvalidData, "its word TIMESTAMP is");
      await assertRejects(() => reader.nextAsync(), InvalidData);
      await assertRejects(() => reader.frames().next(), InvalidData);
    }
    assertEquals([ring.latest()!.timestamp, kept.meta], [kept.timestamp, "first"]);
    ring.write(2);
    assertEquals(ring.latest()!.sequence, 2);

    using table = tableOf(`${name}-t`).create();
    await table.publish(() => {});
    for (const moment of noMoments) {
      using reader = tableOf(table.name).load();
      pokeDouble(table.name, TIME_A, moment);
      assertThrows(() => reader.current(), InvalidData, "its word TIME_A is");
      assertThrows(() => reader.changed(), InvalidData);
      await assertRejects(() => reader.changedAsync(), InvalidData);
    }
    pokeNumber(table.name, TIMED_A, 7n); // nobody noted a moment for version 1
    using reader = tableOf(table.name).load();
    assertEquals([reader.current()!.version, reader.current()!.timestamp], [1, NaN]);
    pokeNumber(table.name, TIMED_B, 2n ** 60n);
    using late = tableOf(table.name).load();
    assertThrows(() => late.current(), InvalidData, "its word TIMED_B is");
    pokeNumber(table.name, TIMED_B, 1n);
    pokeNumber(table.name, TIMED_A, 1n); // both say that they are version 1
    pokeDouble(table.name, TIME_A, 5);
    pokeDouble(table.name, TIME_B, 6);
    assertEquals(late.current()!.timestamp, 5);
    assertEquals(await table.publish((next) => next.fill(2)), 2);
    assert(late.current()!.timestamp > 6);
    table.unlink();
  }));

Deno.test("a text that is longer than metaBytes, or no JSON, is InvalidData", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    ring.write(1, "first");
    for (const length of [41, 64, 2 ** 31, 2 ** 32 - 1]) {
      using reader = ringOf(name).load();
      poke(name, beside(0) + 8, new Uint8Array(new Uint32Array([length]).buffer));
      assertThrows(() => reader.latest(), InvalidData, `its word META_LENGTH is ${length}`);
      assertThrows(() => reader.next(), InvalidData);
    }
    const texts = ["", "{", '"first', "first", "\0\0\0", '{"a":1}x', "\xff"];
    for (const text of texts) {
      using reader = ringOf(name).load();
      const bytes = new TextEncoder().encode(text);
      poke(name, beside(0) + 8, new Uint8Array(new Uint32Array([bytes.length]).buffer));
      poke(name, beside(0) + 12, bytes);
      const frame = reader.latest()!;
      if (text === "") assertEquals(frame.meta, null);
      else {
        for (let i = 0; i < 2; i++) {
          assertThrows(() => frame.meta, InvalidData, "the meta of frame 1 is no JSON");
        }
      }
      assertEquals([frame.sequence, frame.array.get(0)], [1, 1]);
    }
    poke(name, META_BYTES, new Uint8Array([60, 0, 0, 0]));
    assertThrows(() => ringOf(name).load(), RangeError, "60 bytes for the meta");
    assertThrows(() => ringOf(name, 60).load(), InvalidData, "SLOT_STEP");
  }));

Deno.test("a text that was being written when its writer was killed is never given out", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    for (let i = 1; i <= 4; i++) ring.write(i, `frame ${i}`);
    using reader = ringOf(name).load();
    const kept = reader.next(1); // frame 2, in slot 1
    // What a writer leaves that is killed in the middle of the text of frame 5, which goes to slot 1, too.
    pokeNumber(name, BEGUN, 5n);
    poke(name, beside(1) + 12, new TextEncoder().encode('"frrrr'));
    pokeDouble(name, beside(1), NaN);
    poke(name, beside(1) + 8, new Uint8Array([255, 255, 255, 255]));
    assertEquals([kept.meta, kept.isWhole()], ["frame 2", false]);
    const next = reader.next(1); // frame 2 is asked for, and is overwritten
    assertEquals([next.sequence, next.meta], [4, "frame 4"]);
    assertEquals(reader.next(2).meta, "frame 3");
    assertEquals(reader.latest()!.meta, "frame 4");
    ring.close();
    using writer = ringOf(name).load();
    assertEquals(writer.write(5), 5);
    assertEquals([reader.latest()!.sequence, reader.latest()!.meta], [5, null]);
    assertEquals([reader.next(1).sequence, reader.next(1).meta], [5, null]);
  }));

/** Writes random bytes where words beside frames are, and looks at the ring; says how long each look took at most. */
const randomText = `
const [name, seed, count] = Deno.args;
let state = Number(seed) >>> 0 || 1;
const random = (n) => {
  state ^= state << 13; state >>>= 0; state ^= state >>> 17; state ^= state << 5; state >>>= 0;
  return state % n;
};
const names = new Map();
let slowest = 0;
const timed = async (what, action) => {
  const start = performance.now();
  let told;
  try {
    await action();
    told = "done";
  } catch (error) {
    told = error.name;
  }
  const time = performance.now() - start;
  slowest = Math.max(slowest, time);
  names.set(told, (names.get(told) ?? 0) + 1);
  if (time > 60000) say(what + " took " + Math.round(time) + " ms: " + told);
  if (!["done", "InvalidData", "RangeError", "TimeoutError"].includes(told)) say(what + " told " + told);
};
const make = () => new SharedMemoryRing([4], "uint8", name, 3, { metaBytes: 40 });
for (let i = 0; i < Number(count); i++) {
  const ring = make().create();
  for (let k = random(5); k > 0; k--) ring.write(k, random(2) ? { k, text: "x".repeat(random(20)) } : undefined);
  const attached = make().load();
  const file = Deno.openSync("/dev/shm/" + name, { write: true });
  for (let k = 1 + random(4); k > 0; k--) {
    // The slots begin at 128; 48 is META_BYTES, 88 and on the times of versions.
    const at = random(4) === 0 ? [48, 52, 88, 96][random(4)] : 128 + 4 * random(48);
    const bytes = crypto.getRandomValues(new Uint8Array(1 + random(12)));
    if (random(3) === 0) bytes.fill(random(2) ? 255 : 0);
    file.seekSync(at, 0);
    file.writeSync(bytes.subarray(0, 192 + 128 - at));
  }
  file.close();
  const late = make();
  await timed("load()", () => { late.load(); });
  for (const each of late.isCreator === null ? [ring, attached] : [ring, attached, late]) {
    await timed("latest()", () => each.latest()?.meta);
    await timed("next()", () => each.next(random(2) ? undefined : random(5), { timeout: 5 }).meta);
    await timed("nextAsync()", async () => (await each.nextAsync(undefined, { timeout: 5 })).meta);
  }
  await timed("write()", () => ring.write(1, "afterwards"));
  await timed("latest()", () => {
    const { meta } = attached.latest();
    if (meta !== "afterwards") throw new Error("the last frame has " + JSON.stringify(meta));
  });
  ring.unlink();
  for (const each of [ring, attached, late]) each.close();
}
say("end " + JSON.stringify({ slowest, names: Object.fromEntries(names) }));
`;

Deno.test(`${300 * scale} random slots and times: each answer comes`, () =>
  withPublication(async (name) => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    const member = await Member.start(randomText, {
      args: [name, String(seed), String(300 * scale)],
    });
    const line = await member.line();
    assert(line.startsWith("end "), `seed ${seed}: ${line}`);
    const { names } = JSON.parse(line.slice(4));
    assert(names.InvalidData > 100, `seed ${seed}: ${line}`);
    await member.end();
  }));

// --- While the writer writes -----------------------------------------------------------------

/** The meta of a frame in the tests below: a text whose length and letters go with the number. */
const metaText = `
const metaOf = (number) => ({ number, text: String.fromCharCode(97 + number % 26).repeat(number * 7919 % 900) });
`;

const writerText = `
${metaText}
const ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();
say("at work");
for (let number = (ring.latest()?.sequence ?? 0) + 1; true; number++) {
  if (ring.write(number & 255, metaOf(number)) !== number) throw new Error("wrong number");
}
`;

/**
 * A reader that goes on until it has read enough frames, and says what it found: how many frames had another one's meta or
 * a smaller timestamp; and how many a reader would have given another one's that does not look at BEGUN after it
 * has read.
 */
const readerText = `
${metaText}
const [descriptor, frames, isAsync] = JSON.parse(Deno.args[0]);
const ring = SharedMemoryRing.from(descriptor).load();
const slotStep = Math.ceil((8 + 12 + descriptor.metaBytes) / 64) * 64;
const bytes = Deno.openSync("/dev/shm/" + descriptor.name);
const at = (offset, length) => {
  const found = new Uint8Array(length);
  bytes.seekSync(offset, 0);
  bytes.readSync(found);
  return new DataView(found.buffer);
};
const cell = new Int32Array(new SharedArrayBuffer(4));
/** Reads the meta of the newest frame in two halves, and asks nobody whether it was whole. */
const naive = () => {
  const number = Number(at(64, 8).getBigUint64(0, true));
  if (number === 0) return true;
  const start = 128 + (number - 1) % descriptor.slots * slotStep + 8;
  const length = at(start + 8, 4).getUint32(0, true);
  const half = length >> 1;
  const first = new Uint8Array(at(start + 12, half).buffer);
  Atomics.wait(cell, 0, 0, 1);
  const second = new Uint8Array(at(start + 12 + half, length - half).buffer);
  const text = new TextDecoder();
  try {
    const meta = JSON.parse(text.decode(first) + text.decode(second));
    return JSON.stringify(meta) === JSON.stringify(metaOf(number));
  } catch {
    return false;
  }
};
const found = { frames: 0, wrong: 0, naive: 0, last: 0 };
let [time, sequence] = [0, 0];
while (found.frames < frames || found.naive === 0) {
  const frame = isAsync
    ? await ring.nextAsync(undefined, { timeout: 60000 })
    : found.frames % 2 === 0 ? ring.next(undefined, { timeout: 60000 }) : ring.latest();
  const { timestamp, meta } = frame;
  found.frames++;
  if (JSON.stringify(meta) !== JSON.stringify(metaOf(frame.sequence))) found.wrong++;
  if (frame.sequence < sequence || timestamp < time) found.wrong++;
  [sequence, time] = [frame.sequence, timestamp];
  if (found.frames % 50 === 0 && found.naive < 3 && !naive()) found.naive++;
}
found.last = sequence;
say(JSON.stringify(found));
`;

/** How often a writer is killed. */
const kills = Math.ceil(4 * scale);

Deno.test(`meta and moment are always those of the frame, also while ${kills} writers are killed`, () =>
  withPublication(async (name) => {
    using ring = new SharedMemoryRing([1], "uint8", name, 3, { metaBytes: 1000 }).create();
    let writer = await Member.start(writerText, { args: [JSON.stringify(ring)] });
    assertEquals(await writer.line(), "at work");
    const readers = await Promise.all(
      [true, false].map((isAsync) =>
        Member.start(readerText, { args: [JSON.stringify([ring, 600 * scale, isAsync])] })
      ),
    );
    const lines = Promise.all(readers.map((reader) => reader.line()));
    let isDone = false;
    lines.finally(() => isDone = true).catch(() => {});
    let killed = 0;
    while (killed < kills || !isDone) {
      await sleep(Math.random() * 40);
      await writer.kill();
      killed++;
      writer = await Member.start(writerText, { args: [JSON.stringify(ring)] });
      assertEquals(await writer.line(), "at work");
    }
    for (const line of await lines) {
      const { frames, wrong, naive } = JSON.parse(line);
      assertEquals(wrong, 0, line);
      assert(frames >= 600 * scale && naive > 0, line); // the negative control
    }
    await writer.kill();
    for (const reader of readers) await reader.end();
  }));

/** A reader of versions; \`naive\` counts moments that a reader takes that does not look at TIMED. */
const versionsReaderText = `
const [descriptor, counts] = JSON.parse(Deno.args[0]);
const table = SharedMemoryVersions.from(descriptor).load();
const words = SharedMemoryArray.from(counts).load().data;
const file = Deno.openSync("/dev/shm/" + descriptor.name);
const cell = new Int32Array(new SharedArrayBuffer(4));
let pause = 3; // in which the writer is to publish twice; it grows where the writer is slow
const naive = () => {
  const bytes = new DataView(new ArrayBuffer(128));
  const read = () => {
    file.seekSync(0, 0);
    file.readSync(new Uint8Array(bytes.buffer));
  };
  read();
  const version = bytes.getBigUint64(64, true);
  const at = bytes.getBigUint64(88, true) === version ? 96 : 112;
  const before = bytes.getFloat64(at, true);
  Atomics.wait(cell, 0, 0, pause);
  read();
  const moment = bytes.getFloat64(at, true);
  if (moment !== before) Atomics.add(words, 1, 1);
  else pause++;
  return [Number(version), moment];
};
const told = [];
const naively = [];
say("ready");
try {
  while (true) {
    const { version, timestamp } = table.changed({ timeout: 60000 });
    told.push([version, timestamp]);
    Atomics.add(words, 0, 1);
    if (told.length % 5 === 0) naively.push(naive());
  }
} catch (error) {
  if (error.name !== "EndedError") throw error;
}
say(JSON.stringify([told, naively]));
`;

Deno.test("the moment of a version is the same for all that read it, at full speed", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    using counts = new SharedMemoryArray([2], "int32", `${name}-counts`);
    const words = counts.create().data;
    const args = [JSON.stringify([table, counts])];
    const readers = await Promise.all([1, 2].map(() => Member.start(versionsReaderText, { args })));
    for (const reader of readers) assertEquals(await reader.line(), "ready");
    const moments = new Map<number, number>();
    // On a busy machine the readers come late: the writer goes on until they have seen enough.
    const isEnough = (): boolean => Atomics.load(words, 0) > 60 && Atomics.load(words, 1) > 2;
    const deadline = performance.now() + 60_000;
    for (let i = 1; i <= 1500 * scale || !isEnough() && performance.now() < deadline; i++) {
      await table.publish((next) => next.fill(i));
      const { version, timestamp } = table.current()!;
      moments.set(version, timestamp);
      if (i % 100 === 0) await sleep(1);
    }
    table.end();
    let [read, caught] = [0, 0];
    for (const reader of readers) {
      const [told, naively] = JSON.parse(await reader.line()) as [number, number][][];
      for (const [version, timestamp] of told) assertEquals(timestamp, moments.get(version));
      caught += naively.filter(([version, time]) => moments.get(version) !== time).length;
      read += told.length;
      await reader.end();
    }
    assert(read > 50 && caught > 0, `${read} read, ${caught} caught`); // the negative control
    table.unlink();
  }));

// --- Python ----------------------------------------------------------------------------------

testWith(
  "NumPy",
  "Python reads and writes meta and moments of a ring",
  () =>
    withPublication(async (name) => {
      using ring = ringOf(name).create();
      await using peer = new Peer();
      await peer.run(`
import json, time
from shm_attach import InvalidData, Ring, Versions, attach
ring = attach("${name}")
def raised(action):
    try:
        action()
    except Exception as error:
        return [type(error).__name__, str(error)]
`);
      for (const value of values) {
        ring.write(1, value);
        const { timestamp } = ring.latest()!;
        const told = "[frame.sequence, frame.timestamp]";
        await peer.run("frame = ring.latest()");
        assertEquals(await peer.ask(told), [ring.latest()!.sequence, timestamp]);
        if (value !== "\ud800") assertEquals(await peer.ask("frame.meta"), value);
        await peer.run("first, number = frame.meta, ring.next(frame.sequence - 1).meta");
        assertEquals(await peer.ask("first == number"), true);
        ring.write(1);
        assertEquals(await peer.ask("ring.latest().meta"), null);
      }
      ring.close();
      await peer.run("ring = Ring('" + name + "', 4, 'uint8')");
      ring.load();
      for (const value of ["höhe", { a: [1, 2.5, null, true] }, [], 0, "a".repeat(38)]) {
        await peer.run(
          `number = ring.write(7, json.loads(${JSON.stringify(JSON.stringify(value))}))`,
        );
        const frame = ring.latest()!;
        assertEquals([await peer.ask("number"), frame.meta], [frame.sequence, value]);
        assert(Math.abs(Date.now() - frame.timestamp) < 60_000);
        assertEquals(await peer.ask("ring.latest().timestamp"), frame.timestamp);
      }
      await peer.run(`ring.write(7, "\\ud800")`);
      assertEquals(ring.latest()!.meta, "\ud800");
      await peer.run("ring.write(7)");
      assertEquals([ring.latest()!.meta, await peer.ask("ring.latest().meta")], [null, null]);
      const { sequence } = ring.latest()!;
      const [kind, why] = await peer.ask("raised(lambda: ring.write(1, 'a' * 39))") as string[];
      assertEquals(kind, "ValueError");
      assert(why.includes("41 bytes") && why.includes("room for 40"), why);
      for (const wrong of ["object()", "{1, 2}", "b'a'"]) {
        const told = await peer.ask(`raised(lambda: ring.write(1, ${wrong}))[0]`);
        assertEquals(told, "TypeError");
      }
      assertEquals(await peer.ask("raised(lambda: ring.write(1, float('nan')))[0]"), "ValueError");
      assertEquals(ring.latest()!.sequence, sequence);
      await peer.run("ring.write(1, 'last')\nkept = ring.latest()\n");
      const slot = sequence % 3;
      for (const moment of noMoments) {
        pokeDouble(name, beside(slot), moment);
        assertEquals(
          await peer.ask(`raised(lambda: Ring("${name}", 4, "uint8").latest())[0]`),
          "InvalidData",
        );
      }
      pokeDouble(name, beside(slot), 5);
      poke(name, beside(slot) + 12, new TextEncoder().encode("'"));
      await peer.run(`frame = Ring("${name}", 4, "uint8").latest()`);
      assertEquals(await peer.ask("[frame.timestamp, raised(lambda: frame.meta)[0]]"), [
        5,
        "InvalidData",
      ]);
      poke(name, beside(slot) + 8, new Uint8Array([41, 0, 0, 0]));
      assertEquals(
        await peer.ask(`raised(lambda: Ring("${name}", 4, "uint8").latest())[0]`),
        "InvalidData",
      );
      assertEquals(await peer.ask("kept.meta"), "last");
      // Python makes one that Deno takes part in.
      await peer.run(`made = Ring.create("${name}-p", (2, 2), "float32", 4, meta_bytes=30)`);
      await peer.run(`number = made.write(0.5, {"from": "Python"})`);
      const plain = {
        shape: [2, 2],
        dtype: "float32" as const,
        slots: 4,
        name: `${name}-p`,
        metaBytes: 30,
      };
      using made = SharedMemoryRing.from(plain, "float32").load();
      assertEquals(made.latest()!.meta, { from: "Python" });
      assertEquals(await peer.ask(`attach("${name}-p").meta_bytes`), 30);
      assertEquals(
        await peer.ask(`raised(lambda: Ring.create("${name}-q", 2, "int8", 2, meta_bytes=-1))[0]`),
        "ValueError",
      );
    }),
);

testWith(
  "NumPy",
  "Python reads and writes moments of versions",
  () =>
    withPublication(async (name) => {
      using table = tableOf(name).create();
      await table.publish(() => {});
      await using peer = new Peer();
      await peer.run(`
from shm_attach import Versions
table = Versions("${name}", 4, "int32")
version, array = table.current()
`);
      const moment = table.current()!.timestamp;
      assertEquals(await peer.ask("[version, table.current().timestamp]"), [1, moment]);
      table.close();
      using reader = tableOf(name).load();
      for (let i = 2; i <= 4; i++) {
        await peer.run(`table.publish(lambda array: array.fill(${i}))`);
        const { version, timestamp } = reader.current()!;
        assertEquals([version, await peer.ask("table.current().timestamp")], [i, timestamp]);
        assert(Math.abs(Date.now() - timestamp) < 60_000 && timestamp >= moment);
        assertEquals(
          await peer.ask(`Versions("${name}", 4, "int32").changed().timestamp`),
          timestamp,
        );
      }
      await peer.run("table.close()");
      await reader.publish(() => {});
      assertEquals(await peer.ask("table.changed().timestamp"), reader.current()!.timestamp);
      pokeNumber(name, TIMED_A, 0n);
      pokeNumber(name, TIMED_B, 0n);
      assertEquals(
        await peer.ask(`str(Versions("${name}", 4, "int32").current().timestamp)`),
        "nan",
      );
      reader.unlink();
    }),
);

Deno.test("what is beside a frame is not a part of its array", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    ring.write(255, "text");
    const { array, byteOffset } = ring.latest()!;
    assertEquals([array.size, array.data.length, byteOffset], [4, 4, 128]);
    assertEquals(Deno.statSync(segmentPath(name)).size, 128 + 3 * 64);
    using memory = SharedMemory.open(name);
    assertEquals(
      new Uint8Array(memory.buf!, 128, 8),
      new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0]),
    );
  }));
