// Rings in segments that have no name in /dev/shm.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import { inTime } from "../helpers/changed_copy.ts";
import { Member, rejectionOf, sleep } from "../helpers/publish_helpers.ts";
import { Peer } from "../helpers/python.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "anonymous memory");

const { Busy, NotFound, PermissionDenied } = Deno.errors;

const descriptorOf = (ring: SharedMemoryRing) => JSON.parse(JSON.stringify(ring));

Deno.test("createAnonymous() gives an attached ring, whose name leads others to it", async () => {
  using ring = SharedMemoryRing.createAnonymous([2, 3], "float32", 3, { metaBytes: 30 });
  assert(ring.name.startsWith(`memfd:${Deno.pid}:`));
  assertEquals([ring.isCreator, ring.latest(), ring.isEnded], [true, null, false]);
  const descriptor = descriptorOf(ring);
  assertEquals(descriptor, {
    kind: "ring",
    shape: [2, 3],
    dtype: "float32",
    name: ring.name,
    slots: 3,
    metaBytes: 30,
  });
  using reader = SharedMemoryRing.from(descriptor, "float32").load();
  using once = SharedMemoryRing.clone(ring).load({ access: "copy-on-write" });
  assertEquals([reader.isCreator, once.isCreator], [false, false]);
  const next = reader.nextAsync(undefined, { timeout: 30_000 });
  ring.write((slot, sequence) => slot.fill(sequence + 0.5), { a: 1 });
  for (const frame of [await next, once.next(undefined, { timeout: 30_000 })]) {
    assertEquals([frame.sequence, frame.array.get(1, 2), frame.meta], [1, 1.5, { a: 1 }]);
    assert(Math.abs(Date.now() - frame.timestamp) < 60_000);
  }
  assertThrows(() => reader.write(1), Busy);
  const listed = SharedMemoryArray.list().find(({ name }) => name === ring.name)!;
  assertEquals([listed.kind, listed.shape, listed.dtype], ["ring", [2, 3], "float32"]);
  for (const wrong of [{ slots: 4 }, { metaBytes: 0 }, { shape: [7] }]) {
    assertThrows(() => SharedMemoryRing.clone(ring, wrong).load(), RangeError);
  }
  ring.end();
  assertEquals((await Array.fromAsync(reader.frames())).length, 0);
});

Deno.test("a name of another kind, or one that is to be made, is refused", () => {
  using ring = SharedMemoryRing.createAnonymous([4], "uint8", 2);
  using queue = SharedMemoryQueue.createAnonymous(2);
  using array = SharedMemoryArray.createAnonymous([400], "uint8");
  const { name } = ring;
  const ringOf = (other: string) => new SharedMemoryRing([4], "uint8", other, 2);
  assertThrows(() => ringOf(queue.name).load(), TypeError, "the segment is that of a queue");
  assertThrows(() => ringOf(array.name).load(), TypeError, "not that of a ring");
  assertThrows(() => SharedMemoryQueue.from({ name, slots: 2 }).load(), TypeError, "a ring");
  assertThrows(() => SharedMemoryArray.attach(name), TypeError);
  assertThrows(() => new SharedMemoryRing([4], "uint8", name, 2).create(), RangeError, "anonymous");
  assertThrows(() => ringOf(name).createOrLoad(), RangeError, "anonymous");
  // Each version is a segment of its own, which needs a name.
  assertEquals("createAnonymous" in SharedMemoryVersions, false);
  const table = new SharedMemoryVersions([4], "uint8", name);
  const why = "a publication of versions has none";
  assertThrows(() => table.load(), RangeError, why);
  assertThrows(() => table.create(), RangeError, "anonymous");
  assertThrows(() => table.createOrLoad(), RangeError, "anonymous");
  for (const wrong of [{ mode: 0o1000 }, { metaBytes: -1 }]) {
    assertThrows(() => SharedMemoryRing.createAnonymous([4], "uint8", 2, wrong), RangeError);
  }
  for (const wrong of [{ mode: "0600" }, { timeout: 5 }, { access: "copy-on-write" }, 7]) {
    assertThrows(
      () => SharedMemoryRing.createAnonymous([4], "uint8", 2, wrong as never),
      TypeError,
    );
  }
  assertThrows(() => SharedMemoryRing.createAnonymous([4], "uint8", 1), RangeError);
  assertThrows(() => SharedMemoryRing.createAnonymous([0], "uint8", 2), RangeError);
  assertThrows(() => SharedMemoryRing.createAnonymous([4], "complex64" as never, 2), TypeError);
});

Deno.test("unlink() ends what others can reach: writers are told at once, readers when they have read", async () => {
  using ring = SharedMemoryRing.createAnonymous([4], "uint8", 4);
  using reader = SharedMemoryRing.clone(ring).load();
  ring.write(1);
  ring.write(2);
  reader.next();
  using ours = SharedMemoryRing.clone(ring).load();
  assertEquals(ours.next(1).sequence, 2);
  const waiting = ours.nextAsync();
  await sleep(30);
  assertEquals([ring.unlink(), ring.unlink()], [true, false]);
  assert(await inTime(rejectionOf(waiting)) instanceof NotFound);
  assertThrows(() => ring.write(3), NotFound);
  assertThrows(() => reader.end(), NotFound);
  assertEquals(reader.next().sequence, 2);
  assertThrows(() => reader.next(), NotFound);
  await assertRejects(() => reader.frames().next(), NotFound);
  assertThrows(() => SharedMemoryRing.clone(ring).load(), NotFound);
});

Deno.test("registers and clearBuffers() remove one of this process; other processes may not", async () => {
  const ring = SharedMemoryRing.createAnonymous([4], "uint8", 2);
  {
    using register = new SharedMemoryRegister();
    register.push(ring.name);
  }
  assertThrows(() => ring.write(1), NotFound);
  ring.close();
  using second = SharedMemoryRing.createAnonymous([4], "uint8", 2);
  second.write(1);
  const child = await Member.start(
    `
    const ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();
    try {
      ring.unlink();
    } catch (error) {
      say(error.name + " " + error.message);
    }
    say(String(ring.latest().sequence));
    `,
    { args: [JSON.stringify(second)] },
  );
  const refusal = await child.line();
  assert(
    refusal.startsWith("PermissionDenied ") && refusal.includes(`process ${Deno.pid}`),
    refusal,
  );
  assertEquals(await child.line(), "1");
  await child.end();
  assertEquals(second.write(2), 2);
  assertEquals(SharedMemoryArray.clearBuffers([second.name]), [second.name]);
  assertThrows(() => second.write(3), NotFound);
});

Deno.test("who waits for a ring whose creator is killed is told", async () => {
  const child = await Member.start(`
    const ring = SharedMemoryRing.createAnonymous([4], "uint8", 3, { metaBytes: 20 });
    say(JSON.stringify(ring));
    ring.write(7, "hello");
    say("written");
    setInterval(() => {}, 1000);
  `);
  const descriptor = JSON.parse(await child.line());
  assertEquals(await child.line(), "written");
  assertEquals(descriptor.name.split(":").slice(0, 2), ["memfd", `${child.pid}`]);
  using ring = SharedMemoryRing.from(descriptor, "uint8").load();
  using once = SharedMemoryRing.from(descriptor, "uint8").load({ access: "copy-on-write" });
  assertThrows(() => ring.unlink(), PermissionDenied, `process ${child.pid}`);
  assertEquals([ring.next().meta, once.next().meta], ["hello", "hello"]);
  const waiting = [ring.nextAsync(), ring.frames().next(), once.nextAsync()];
  const frame = ring.latest()!;
  await sleep(30);
  const told = Promise.all(waiting.map(rejectionOf));
  await child.kill();
  for (const error of await inTime(told)) assert(error instanceof NotFound);
  await sleep(260); // latest() looks at the name no more often
  for (const each of [ring, once]) {
    assertThrows(() => each.next(undefined, { timeout: 60_000 }), NotFound);
    assertThrows(() => each.latest(), NotFound);
    assertEquals([each.next(0).array.get(3), each.next(0).meta], [7, "hello"]); // it is there still
  }
  assertEquals(frame.copy(), new Uint8Array(4).fill(7));
  assertThrows(() => ring.write(1), NotFound);
  assertThrows(() => SharedMemoryRing.from(descriptor).load(), NotFound);
  assertEquals(ring.unlink(), false);
});

testWith("NumPy", "Python reads and writes an anonymous ring", async () => {
  using ring = SharedMemoryRing.createAnonymous([2, 2], "int16", 3, { metaBytes: 20 });
  ring.write(5, [1]);
  ring.close();
  ring.load();
  await using peer = new Peer();
  await peer.run(`from shm_attach import attach\nring = attach("${ring.name}")`);
  await peer.run("frame = ring.latest()");
  assertEquals(await peer.ask("[frame.array.tolist(), frame.meta]"), [[[5, 5], [5, 5]], [1]]);
  assertEquals(await peer.ask("ring.write(6, [2])"), 2);
  const { array, meta } = ring.latest()!;
  assertEquals([array.toArray(), meta], [[[6, 6], [6, 6]], [2]]);
  ring.unlink();
  await peer.run(`
try:
    ring.write(7)
except FileNotFoundError as error:
    told = type(error).__name__
`);
  assertEquals(await peer.ask("told"), "FileNotFoundError");
});
