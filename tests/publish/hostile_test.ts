// What stands in a publication's segment may come from a hostile program, or from one that was killed.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { segmentPath } from "../helpers/helpers.ts";
import {
  idOf,
  Member,
  partOf,
  poke,
  pokeNumber,
  segmentsOf,
  sleep,
  withPublication,
} from "../helpers/publish_helpers.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "publishing");

const { InvalidData } = Deno.errors;

// As docs/publication.md has them.
const [DTYPE, MODE, SLOT_STEP, ID, NEWEST, BEGUN, ENDED] = [8, 28, 32, 40, 64, 72, 84];

const ringOf = (name: string) => new SharedMemoryRing([4], "uint8", name, 3);
const tableOf = (name: string) => new SharedMemoryVersions([4], "int32", name);

/** Numbers that no publication has. */
const impossible = [
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 60n + 12345n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 5n,
  2n ** 64n - 1n,
];

function bytesOf(name: string): Uint8Array {
  return Deno.readFileSync(segmentPath(name));
}

for (const value of impossible) {
  Deno.test(`a ring whose NEWEST is ${value} is InvalidData, and nothing is written`, () =>
    withPublication(async (name) => {
      using ring = ringOf(name).create();
      ring.write(1);
      using reader = ringOf(name).load();
      pokeNumber(name, NEWEST, value);
      using late = ringOf(name).load();
      const before = bytesOf(name);
      for (const each of [ring, reader, late]) {
        assertThrows(() => each.latest(), InvalidData, "its word NEWEST is");
        assertThrows(() => each.next(undefined, { timeout: 100 }), InvalidData);
        await assertRejects(() => each.nextAsync(undefined, { timeout: 100 }), InvalidData);
        await assertRejects(() => each.frames().next(), InvalidData);
      }
      assertThrows(() => ring.write(2), InvalidData);
      assertThrows(() => ring.write((slot) => slot.fill(2)), InvalidData);
      assertEquals(bytesOf(name), before);
    }));

  Deno.test(`versions whose NEWEST is ${value} are InvalidData, and nothing is made`, () =>
    withPublication(async (name) => {
      using table = tableOf(name).create();
      await table.publish((next) => next.fill(1));
      using reader = tableOf(name).load();
      reader.current();
      pokeNumber(name, NEWEST, value);
      using late = tableOf(name).load();
      const before = segmentsOf(name);
      for (const each of [table, reader, late]) {
        assertThrows(() => each.current(), InvalidData, "its word NEWEST is");
        assertThrows(() => each.changed({ timeout: 100 }), InvalidData);
        await assertRejects(() => each.changedAsync({ timeout: 100 }), InvalidData);
      }
      await assertRejects(() => table.publish((next) => next.fill(1)), InvalidData);
      assertEquals(segmentsOf(name), before);
      assertEquals(table.unlink(), true);
      assertEquals(segmentsOf(name), [], "whatever NEWEST says, nothing is left");
    }));
}

Deno.test("the last number that there is is read, and none comes after it", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    pokeNumber(name, NEWEST, 2n ** 53n - 2n);
    pokeNumber(name, BEGUN, 2n ** 53n - 2n);
    assertEquals(ring.write(7), 2 ** 53 - 1);
    assertEquals(ring.latest()!.sequence, 2 ** 53 - 1);
    assertThrows(() => ring.write(8), InvalidData);
    assertEquals(ring.latest()!.copy(), new Uint8Array([7, 7, 7, 7]));
    using table = tableOf(`${name}-table`).create();
    pokeNumber(table.name, NEWEST, 2n ** 53n - 2n);
    assertEquals(await table.publish((next) => next.fill(1)), 2 ** 53 - 1);
    await assertRejects(() => table.publish(() => {}), InvalidData);
    assertEquals(table.current()!.version, 2 ** 53 - 1);
  }));

Deno.test("BEGUN is NEWEST or one more, and NEWEST never becomes less", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    for (let i = 1; i <= 5; i++) ring.write(i);
    const frame = ring.latest()!;
    const read: [string, () => unknown][] = [
      ["isWhole()", () => frame.isWhole()],
      ["copy()", () => frame.copy()],
      ["next()", () => ring.next(3, { timeout: 100 })],
      ["write()", () => ring.write(6)],
    ];
    for (const begun of [0n, 4n, 7n, 2n ** 52n, ...impossible]) {
      pokeNumber(name, BEGUN, begun);
      for (const [what, action] of read) {
        // A frame is whole as long as BEGUN is not a round ahead: 7 is possible to who looks at frame 5 only.
        assertThrows(action, InvalidData, "its word BEGUN is", `${what} with ${begun}`);
      }
    }
    for (const begun of [5n, 6n]) {
      pokeNumber(name, BEGUN, begun); // 6: a writer gave up in the middle
      assertEquals([frame.isWhole(), ring.next(4).sequence], [true, 5]);
    }
    pokeNumber(name, NEWEST, 3n);
    assertThrows(() => ring.latest(), InvalidData, "its word NEWEST is 3, and should be from 5");
    assertThrows(() => ring.write(1), InvalidData);
    assertThrows(() => ring.next(undefined, { timeout: 100 }), InvalidData);
  }));

Deno.test("versions that are said to be there and are not, or have not their size, are InvalidData", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    await table.publish((next) => next.fill(1));
    using reader = tableOf(name).load();
    pokeNumber(name, NEWEST, 9n);
    for (const look of [() => reader.current(), () => reader.changed({ timeout: 100 })]) {
      assertThrows(look, InvalidData, "it is not there");
    }
    await assertRejects(() => reader.changedAsync({ timeout: 100 }), InvalidData);
    using short = new SharedMemoryArray([3], "int32", partOf(name, 9));
    short.create();
    assertThrows(() => reader.current(), InvalidData, "not the size of one");
    short.unlink();
    using whole = new SharedMemoryArray([4], "int32", partOf(name, 9));
    whole.create();
    assertEquals(reader.current()!.version, 9);
    pokeNumber(name, NEWEST, 1n);
    assertThrows(() => reader.current(), InvalidData, "should be from 9");
  }));

Deno.test("what never changes is looked at by load()", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    using table = tableOf(`${name}-table`).create();
    const refused = (each: typeof ring | typeof table, at: number, value: bigint, why: string) => {
      const before = bytesOf(each.name);
      pokeNumber(each.name, at, value);
      const other = each === ring ? ringOf(each.name) : tableOf(each.name);
      assertThrows(() => other.load(), InvalidData, why);
      poke(each.name, 0, before);
      other.load().close();
    };
    for (const each of [ring, table]) {
      refused(each, ID, 0n, "its word ID is 0");
      refused(each, SLOT_STEP, 2n ** 60n, "SLOT_STEP");
      refused(each, SLOT_STEP, 3n, "SLOT_STEP");
      refused(each, 16, 2n ** 63n, "ARRAY_BYTES");
    }
    poke(table.name, MODE, new Uint8Array([0xff, 0xff, 0xff, 0x7f]));
    assertThrows(() => tableOf(table.name).load(), InvalidData, "MODE");
    poke(ring.name, DTYPE, new TextEncoder().encode("<f4\x1b[2J"));
    const error = assertThrows(() => ringOf(name).load(), RangeError) as Error;
    assert(!error.message.includes("\x1b"), "what stands there does not reach the terminal");
  }));

Deno.test("ENDED is 0 or 1", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    using table = tableOf(`${name}-table`).create();
    for (const each of [ring, table]) {
      poke(each.name, ENDED, new Uint8Array([2, 0, 0, 0]));
      assertThrows(
        () => each.isEnded,
        InvalidData,
        "its word ENDED is 2, and should be from 0 to 1",
      );
      assertThrows(() => each.end(), InvalidData);
    }
    assertThrows(() => ring.write(1), InvalidData);
    assertThrows(() => ring.next(), InvalidData);
    await assertRejects(() => table.publish(() => {}), InvalidData);
    await assertRejects(() => table.changedAsync(), InvalidData);
  }));

Deno.test("a name in the way that comes again and again ends publish(), and does not hang it", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    const id = idOf(name);
    // Directories cannot be removed as segments are, and are as good as files of another user.
    for (let i = 1; i <= 3; i++) Deno.mkdirSync(segmentPath(`${name}.${id}.v${i}`));
    const error = await assertRejects(() => table.publish(() => {}), Error);
    assert(!(error instanceof TypeError), String(error));
    for (let i = 1; i <= 3; i++) Deno.removeSync(segmentPath(`${name}.${id}.v${i}`));
    await table.publish((next) => next.fill(1));
    table.unlink();
    assertEquals(segmentsOf(name), []);
  }));

/** Runs all that a reader and a writer do on headers that are random, and says how long each took at the most. */
const randomText = `
const [name, seed, count] = Deno.args;
let state = Number(seed) >>> 0 || 1;
const random = (n) => {
  state ^= state << 13; state >>>= 0; state ^= state >>> 17; state ^= state << 5; state >>>= 0;
  return state % n;
};
const special = [0n, 1n, 2n, 3n, 5n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 52n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 62n,
  2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
const number = () => random(3) === 0
  ? BigInt(random(2 ** 32)) << BigInt(random(33))
  : special[random(special.length)];
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
  if (time > slowest) slowest = time;
  names.set(told, (names.get(told) ?? 0) + 1);
  if (time > 60000) say(what + " took " + Math.round(time) + " ms: " + told);
  // A mode that does not let its owner write is a mode, too.
  if (!["done", "InvalidData", "TypeError", "RangeError", "TimeoutError", "EndedError", "BrokenPipe", "NotFound",
    "BadResource", "PermissionDenied"].includes(told)) say(what + " told " + told);
  if (told === "TypeError" && !what.endsWith("load()")) say(what + " told TypeError");
};
for (let i = 0; i < Number(count); i++) {
  const isRing = random(2) === 0;
  const make = () => isRing
    ? new SharedMemoryRing([4], "uint8", name, 3)
    : new SharedMemoryVersions([4], "int32", name);
  const first = make().create();
  for (let k = random(4); k > 0; k--) await (isRing ? first.write(k) : first.publish((next) => next.fill(k)));
  const attached = make().load();
  {
    const file = Deno.openSync("/dev/shm/" + name, { write: true });
    const put = (at, bytes) => { file.seekSync(at, 0); file.writeSync(bytes); };
    for (let k = 1 + random(4); k > 0; k--) {
      const at = random(3) === 0 ? 8 * random(16) : [64, 72, 80, 84, 40][random(5)];
      put(at, new Uint8Array(new BigUint64Array([number()]).buffer));
    }
    file.close();
  }
  const late = make();
  await timed("load()", () => { late.load(); });
  for (const [who, each] of [["creator's ", first], ["attached ", attached], ["late ", late]]) {
    const limits = { timeout: 5 };
    if (isRing) {
      await timed(who + "latest()", () => each.latest()?.copy());
      await timed(who + "next()", () => each.next(random(2) ? undefined : random(5), limits));
      await timed(who + "nextAsync()", () => each.nextAsync(undefined, limits));
      if (who[0] === "c") await timed(who + "write()", () => each.write(1));
    } else {
      await timed(who + "current()", () => each.current()?.array.get(0));
      await timed(who + "changed()", () => each.changed(limits));
      await timed(who + "changedAsync()", () => each.changedAsync(limits));
      if (who[0] === "c") await timed(who + "publish()", () => each.publish((next) => next.fill(1)));
    }
    if (who[0] === "c") await timed(who + "end()", () => each.end());
    await timed(who + "isEnded", () => each.isEnded);
  }
  await timed("unlink()", () => first.unlink());
  for (const each of [first, attached, late]) each.close();
  for (const { name: each } of Deno.readDirSync("/dev/shm")) {
    if (each.startsWith(name)) Deno.removeSync("/dev/shm/" + each);
  }
}
say("end " + JSON.stringify({ slowest, names: Object.fromEntries(names) }));
`;

Deno.test(`${300 * scale} random headers: each answer comes, and is no TypeError of ours`, () =>
  withPublication(async (name) => {
    // V8's own errors would be TypeErrors, too: only load() has some to tell.
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

// --- Kinds -----------------------------------------------------------------------------------

Deno.test("a segment of another kind is a TypeError, and not a byte of it changes", () =>
  withPublication((name) => {
    using ring = new SharedMemoryRing([4], "int32", `${name}-ring`, 2).create();
    using table = new SharedMemoryVersions([4], "int32", `${name}-table`).create();
    const texts = {
      zeros: new Uint8Array(256),
      letters: new Uint8Array(256).fill(65),
      "a ring's beginning": new TextEncoder().encode("SHMRING2".padEnd(256)),
    };
    for (const [what, bytes] of Object.entries(texts)) {
      using memory = SharedMemory.create(`${name}-${what.slice(0, 3)}`, 256);
      new Uint8Array(memory.buf!).set(bytes);
    }
    const loads: [name: string, other: { load(): unknown }][] = [
      [ring.name, new SharedMemoryVersions([4], "int32", ring.name)],
      [table.name, new SharedMemoryRing([4], "int32", table.name, 2)],
      ...Object.keys(texts).map((what) => `${name}-${what.slice(0, 3)}`).flatMap((each) =>
        [
          [each, new SharedMemoryVersions([4], "int32", each)],
          [each, new SharedMemoryRing([4], "int32", each, 2)],
        ] as [string, { load(): unknown }][]
      ),
    ];
    for (const [each, other] of loads) {
      const before = bytesOf(each);
      assertThrows(() => other.load(), TypeError, "Cannot load");
      assertEquals(bytesOf(each), before);
    }
  }));

Deno.test("descriptors have a kind of their own, and that of another kind is a TypeError", () => {
  const ring = new SharedMemoryRing([4], "int32", "a", 2);
  const table = new SharedMemoryVersions([4], "int32", "a");
  assertEquals([ring.kind, table.kind], ["ring", "versions"]);
  assertEquals(Object.keys(ring)[0], "kind");
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const plain = (value: unknown): any => JSON.parse(JSON.stringify(value));
  for (const kind of ["versions", "lock", "queue", "barrier", "array", "", 1, null]) {
    assertThrows(
      () => SharedMemoryRing.from({ ...plain(ring), kind }),
      TypeError,
      "that of another kind",
    );
  }
  assertThrows(() => SharedMemoryVersions.from(plain(ring)), TypeError, "another kind");
  assertThrows(() => SharedMemoryVersions.from({ ...plain(table), kind: "ring" }), TypeError);
  assertThrows(() => SharedMemoryRing.from({ ...plain(table), slots: 2 }), TypeError);
  // A descriptor that was written by hand may have none; what is made of it has.
  assertEquals(
    SharedMemoryRing.from({ shape: [4], dtype: "int32", name: "a", slots: 2 }).kind,
    "ring",
  );
  assertEquals(SharedMemoryRing.clone(ring, { kind: "ring", name: "b" }).name, "b");
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  assertThrows(() => SharedMemoryRing.clone(ring, { kind: "versions" } as any), TypeError);
});

Deno.test("a wait of a ring whose buffer is transferred meanwhile says so", () =>
  withPublication(async (name) => {
    using ring = new SharedMemoryRing(4, "uint8", name, 3).create();
    ring.write(1);
    const { array } = ring.next();
    const waits = [ring.nextAsync(), ring.frames().next()];
    await sleep(20);
    array.subarray().buffer.transfer();
    for (const wait of waits) {
      await assertRejects(() => wait, Deno.errors.BadResource, "its buffer was transferred");
    }
  }));

Deno.test("latest() refuses a NEWEST that BEGUN does not allow", () =>
  withPublication((name) => {
    using ring = new SharedMemoryRing(4, "uint8", name, 3).create();
    using reader = SharedMemoryRing.from(ring).load();
    for (let frame = 1; frame <= 4; frame++) ring.write(frame);
    assertEquals(reader.latest()!.sequence, 4);
    for (const newest of [5n, 1000n, 2n ** 53n - 1n]) {
      pokeNumber(name, NEWEST, newest);
      using other = SharedMemoryRing.from(ring).load();
      for (const each of [reader, other]) {
        assertThrows(() => each.latest(), Deno.errors.InvalidData, "its word BEGUN is 4");
      }
      pokeNumber(name, NEWEST, 4n);
      reader.close();
      reader.load();
    }
    pokeNumber(name, NEWEST, 0n);
    reader.close();
    reader.load();
    assertThrows(() => reader.latest(), Deno.errors.InvalidData, "its word BEGUN is 4");
  }));

Deno.test("from() of rings and versions checks the dtype that it is given", () => {
  const ring = JSON.parse(JSON.stringify(ringOf("camera")));
  const table = JSON.parse(JSON.stringify(tableOf("table")));
  const sum: number = SharedMemoryRing.from(ring, "|u1").slots +
    SharedMemoryVersions.from(table, Int32Array).shape[0];
  assertEquals(sum, 7);
  const typed: SharedMemoryVersions<"int32"> = SharedMemoryVersions.from(table, "int32");
  assertEquals(typed.dtype, "int32");
  // @ts-expect-error: the type is asserted, and nobody checks it
  assertEquals(SharedMemoryRing.from<"uint8">(ring).slots, SharedMemoryRing.from(ring).slots);
  // @ts-expect-error: the type is asserted, and nobody checks it
  assertEquals(SharedMemoryVersions.from<"int32">(table).dtype, "int32");
  assertThrows(
    () => SharedMemoryRing.from(ring, "float32"),
    RangeError,
    "Cannot make a SharedMemoryRing of float32: 'camera' is described as one of uint8",
  );
  assertThrows(() => SharedMemoryVersions.from(table, "<u4"), RangeError, "one of int32");
  assertThrows(() => SharedMemoryVersions.from(table, "i32" as "int32"), TypeError, "int32");
});

Deno.test("a ring whose buffer was transferred says so", () =>
  withPublication((name) => {
    using ring = ringOf(name).create();
    ring.write(1);
    const frame = ring.latest()!;
    structuredClone(frame.array.data, { transfer: [frame.array.data.buffer] });
    const acts = [
      () => ring.write(2),
      () => ring.latest(),
      () => ring.next(),
      () => frame.isWhole(),
      () => frame.byteOffset,
    ];
    for (const act of acts) {
      assertThrows(() => void act(), Deno.errors.BadResource, "its buffer was transferred");
    }
    ring.close();
    assertThrows(() => ring.latest(), Deno.errors.BadResource, "not attached");
  }));

Deno.test("byteOffset of a frame is where it begins in the segment, its array's offset counts from there", () =>
  withPublication((name) => {
    using ring = new SharedMemoryRing([3, 5], "uint16", name, 3).create();
    for (let n = 1; n <= 4; n++) {
      ring.write((slot, sequence) => slot.fill(1000 + sequence));
      const { array, byteOffset } = ring.latest()!;
      assertEquals(array.offset, 0);
      using memory = SharedMemory.open(name);
      const elements = new Uint16Array(memory.buf!, byteOffset, 15);
      assertEquals(elements, new Uint16Array(15).fill(1000 + n));
    }
  }));
