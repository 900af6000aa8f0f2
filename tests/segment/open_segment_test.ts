// A segment that is mapped and open at once, and its locks. The second holders are descriptors of this process:
// the kernel tells them apart as it tells processes apart.

import { assertEquals, assertThrows } from "@std/assert";
import { OpenSegment, segmentOf, SharedMemory } from "../../src/segment/mod.ts";
import { descriptorsOf, mappingsOf, segmentExists, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /proc");

const anything = (): boolean => true;

Deno.test("OpenSegment.open() gives a mapping and a descriptor of one segment", () =>
  withNames((name) => {
    using made = SharedMemory.create(name, 64);
    const segment = OpenSegment.open(name, 0, anything);
    assertEquals(segment.identity, segmentOf(made.buf!));
    assertEquals([segment.name, segment.byteLength, segment.isOpen], [name, made.size, true]);
    new Uint8Array(made.buf!)[7] = 42;
    assertEquals(new Uint8Array(segment.buffer!)[7], 42);
    assertEquals([descriptorsOf(name), mappingsOf(name)], [1, 2]);
    segment.close();
    segment.close();
    assertEquals([segment.buffer, segment.isOpen], [null, false]);
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 1]);
  }));

Deno.test("OpenSegment.create() makes a segment and writes into it, or leaves nothing", () =>
  withNames((name) => {
    const segment = OpenSegment.create(name, 16, { mode: 0o640 }, (buffer) => {
      new Uint8Array(buffer)[0] = 5;
    });
    assertEquals(new Uint8Array(segment.buffer!)[0], 5);
    assertEquals([descriptorsOf(name), mappingsOf(name)], [1, 1]);
    assertThrows(
      () => OpenSegment.create(name, 16, undefined, () => {}),
      Deno.errors.AlreadyExists,
    );
    segment.unlink();
    segment.close();
    const fail = () => {
      throw new RangeError("cannot be written");
    };
    assertThrows(() => OpenSegment.create(name, 16, undefined, fail), RangeError, "be written");
    assertEquals([descriptorsOf(name), mappingsOf(name), segmentExists(name)], [0, 0, false]);
  }));

Deno.test("OpenSegment.create() whose name is given to another segment meanwhile is AlreadyExists, and takes nothing", () =>
  withNames((name) => {
    let next: SharedMemory | undefined;
    const take = () => {
      assertEquals(segmentExists(name), false, "it gets its name last");
      next = SharedMemory.create(name, 32);
    };
    assertThrows(
      () => OpenSegment.create(name, 16, undefined, take),
      Deno.errors.AlreadyExists,
    );
    next!.close();
    assertEquals(segmentExists(name), true, "that of the other one");
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 0]);
  }));

Deno.test("OpenSegment.open() keeps nothing of a segment that its caller refuses", () =>
  withNames((name) => {
    using _made = SharedMemory.create(name, 64);
    const refuse = () => {
      throw new RangeError("not mine");
    };
    assertThrows(() => OpenSegment.open(name, 0, refuse), RangeError, "not mine");
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 1]);
    assertThrows(() => OpenSegment.open(`${name}-none`, 0, refuse), Deno.errors.NotFound);
  }));

Deno.test("OpenSegment.open() of a name that is removed in the middle waits for its next owner", () =>
  withNames((name) => {
    // Where no next one comes, the message is as if there had been none.
    for (
      const [timeout, message] of [
        [0, "waits for its creator"],
        [5, "nobody has created it"],
      ] as const
    ) {
      using first = SharedMemory.create(name, 64);
      const remove = () => {
        first.unlink();
        // The time has passed, as it may on a busy machine.
        for (const end = performance.now() + 2 * timeout; performance.now() < end;);
        return true;
      };
      assertThrows(() => OpenSegment.open(name, timeout, remove), Deno.errors.NotFound, message);
    }
    let next: SharedMemory | undefined;
    using second = SharedMemory.create(name, 64);
    const replaceOnce = () => {
      if (next !== undefined) return true;
      second.unlink();
      next = SharedMemory.create(name, 32);
      return true;
    };
    const segment = OpenSegment.open(name, 0, replaceOnce);
    assertEquals(segment.byteLength, 32);
    segment.close();
    next!.close();
  }));

Deno.test("OpenSegment.open() refuses nothing that is removed while it is looked at", () =>
  withNames((name) => {
    using first = SharedMemory.create(name, 64);
    let next: SharedMemory | undefined;
    const refuseFirst = ({ size }: SharedMemory) => {
      if (size === 32) return true;
      first.unlink();
      next = SharedMemory.create(name, 32);
      throw new RangeError("not mine");
    };
    const segment = OpenSegment.open(name, 0, refuseFirst);
    assertEquals(segment.byteLength, 32);
    segment.close();
    next!.close();
  }));

Deno.test("OpenSegment.open() waits for what the creator writes, for a bounded time", () =>
  withNames((name) => {
    using made = SharedMemory.create(name, 64);
    const bytes = new Uint8Array(made.buf!);
    let looks = 0;
    const whole = ({ buf }: SharedMemory, isTimeUp: boolean): boolean => {
      if (++looks === 3) bytes[0] = 1;
      if (new Uint8Array(buf!)[0] === 0 && isTimeUp) throw new TypeError("never written");
      return new Uint8Array(buf!)[0] !== 0;
    };
    OpenSegment.open(name, 0, whole).close();
    assertEquals(looks, 3);
    bytes[0] = 0;
    assertThrows(() => OpenSegment.open(name, 0, whole), TypeError, "never written");
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 1]);
  }));

Deno.test("OpenSegment.open() gives up a name that leads to one segment after another", () =>
  withNames((name) => {
    let current = SharedMemory.create(name, 64);
    const replace = () => {
      current.unlink();
      current.close();
      current = SharedMemory.create(name, 64);
      return true;
    };
    for (const timeout of [0, 20]) {
      assertThrows(() => OpenSegment.open(name, timeout, replace), Deno.errors.NotFound, "stays");
    }
    current.close();
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 0]);
  }));

Deno.test("OpenSegment: the lock excludes another descriptor, and close() gives it back", () =>
  withNames((name) => {
    const one = OpenSegment.create(name, 16, undefined, () => {});
    const other = OpenSegment.open(name, 0, anything);
    assertEquals([one.tryLock(), other.tryLock()], [true, false]);
    one.unlock();
    assertEquals([other.tryLock(), one.tryLock()], [true, false]);
    other.close();
    assertEquals(one.tryLock(), true);
    one.close();
  }));

Deno.test("OpenSegment: close() gives the lock back, whatever views of its memory there are", () =>
  withNames((name) => {
    // With one open file for mapping and lock it would not: the pages stay mapped here, as the buffer was moved.
    const one = OpenSegment.create(name, 16, undefined, () => {});
    const other = OpenSegment.open(name, 0, anything);
    const moved = new Uint8Array(one.buffer!.transfer());
    one.tryLock();
    one.close();
    assertEquals([moved.length, other.tryLock()], [16, true]);
    other.close();
  }));

Deno.test("OpenSegment.isNamed tells whether the segment has a name, unlink() removes it once", () =>
  withNames((name) => {
    const segment = OpenSegment.create(name, 16, undefined, () => {});
    assertEquals(segment.isNamed, true);
    assertEquals(segment.unlink(), true);
    assertEquals(segment.isNamed, false);
    assertEquals(segment.unlink(), false);
    segment.close();
  }));
