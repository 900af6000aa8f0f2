import {
  assertEquals,
  assertNotEquals,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { NDArray, SharedMemory, SharedMemoryArray } from "../../mod.ts";
import { markSegment, segmentOf } from "../../src/segment/buffer_segment.ts";
import { segmentPath, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

Deno.test("segmentOf() is the same for every attachment of one segment, created or opened", () => {
  withNames((name, other) => {
    using mine = SharedMemory.create(name, 8);
    using theirs = SharedMemory.open(name);
    using foreign = SharedMemory.create(other, 8);
    assertEquals(typeof segmentOf(mine.buf!), "string");
    assertStrictEquals(segmentOf(theirs.buf!), segmentOf(mine.buf!));
    assertNotEquals(segmentOf(foreign.buf!), segmentOf(mine.buf!));
  });
});

Deno.test("segmentOf() is undefined for memory of another kind", () => {
  assertEquals(segmentOf(new ArrayBuffer(8)), undefined);
  assertEquals(segmentOf(new SharedArrayBuffer(8)), undefined);
});

Deno.test("segmentOf() tells a segment from the one that had its name before", () => {
  withNames((name) => {
    using before = SharedMemory.create(name, 8);
    before.unlink();
    using after = SharedMemory.create(name, 8);
    assertNotEquals(segmentOf(after.buf!), segmentOf(before.buf!));
  });
});

Deno.test("segmentOf() goes by the name where the system gives segments no inode", () => {
  // As macOS does.
  const [a, b, c] = [0, 1, 2].map(() => new ArrayBuffer(8));
  markSegment(a, { name: "one", device: 0, inode: 0 });
  markSegment(b, { name: "one", device: 0, inode: 0 });
  markSegment(c, { name: "two", device: 0, inode: 0 });
  assertStrictEquals(segmentOf(a), segmentOf(b));
  assertNotEquals(segmentOf(a), segmentOf(c));
});

/** How a segment comes to lead by another name to the bytes that are attached already. */
const ways: { [way: string]: (from: string, to: string) => void } = {
  "a hard link": (from, to) => Deno.linkSync(segmentPath(from), segmentPath(to)),
  "a rename": (from, to) => Deno.renameSync(segmentPath(from), segmentPath(to)),
};
for (const [way, give] of Object.entries(ways)) {
  Deno.test(`segmentOf() is the same through ${way}`, () => {
    withNames((name, other) => {
      using mine = SharedMemory.create(name, 8);
      give(name, other);
      using theirs = SharedMemory.open(other);
      assertStrictEquals(segmentOf(theirs.buf!), segmentOf(mine.buf!));
    });
  });

  for (const n of [6, 100]) {
    Deno.test(`assign() of ${n} elements is right where they overlap through ${way}`, () => {
      withNames((name, other) => {
        const elements = Array.from({ length: n }, (_, i) => i);
        using one = new SharedMemoryArray(n, "int32", name);
        const mine = one.create().assign(elements);
        give(name, other);
        using two = SharedMemoryArray.clone(one, { name: other });
        const theirs = two.load();
        mine.slice("1:").assign(theirs.slice(":-1"));
        assertEquals(theirs.toArray(), [0, ...elements.slice(0, -1)]);
        theirs.assign(elements);
        mine.assign(theirs.slice("::-1"));
        assertEquals(theirs.toArray(), elements.toReversed());
        theirs.assign(elements);
        theirs.slice("1:").assign(mine.data.subarray(0, n - 1));
        assertEquals(mine.toArray(), [0, ...elements.slice(0, -1)]);
      });
    });
  }
}

Deno.test("assign() is right where two SharedArrayBuffers are over one memory, and overlap", () => {
  const shared = new SharedArrayBuffer(48);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  const before = memory.buffer as SharedArrayBuffer;
  memory.grow(1);
  const pairs: [one: SharedArrayBuffer, other: SharedArrayBuffer][] = [
    [shared, structuredClone(shared)], // what a Worker sends back is such a one, too
    [before, memory.buffer as SharedArrayBuffer],
  ];
  for (const [one, other] of pairs) {
    assertNotStrictEquals(one, other);
    const mine = new NDArray(new Float64Array(one, 0, 6));
    const theirs = new NDArray(new Float64Array(other, 0, 6));
    mine.assign([0, 1, 2, 3, 4, 5]).assign(theirs.slice("::-1"));
    assertEquals(theirs.toArray(), [5, 4, 3, 2, 1, 0]);
    mine.slice("1:").assign(theirs.slice(":-1"));
    assertEquals(theirs.toArray(), [5, 5, 4, 3, 2, 1]);
  }
});
