import { assertEquals, assertThrows } from "@std/assert";
import { close, fstat } from "../../ffi/files.ts";
import { openFileOf, segmentOf, SharedMemory } from "../../src/segment/mod.ts";
import { descriptorsOf, mappingsOf, withNames } from "../helpers/helpers.ts";

Deno.test("openFileOf() gives a mapping and a descriptor of one segment", () =>
  withNames((name) => {
    using made = SharedMemory.create(name, 64);
    const { memory, fd } = openFileOf(name, 0, () => {});
    const { device, inode } = fstat(fd, name);
    assertEquals(segmentOf(memory.buf!), `${device}:${inode}`);
    assertEquals(memory.size, made.size);
    memory.close();
    close(fd);
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 1]);
  }));

Deno.test("openFileOf() keeps nothing of a segment that its caller refuses", () =>
  withNames((name) => {
    using _made = SharedMemory.create(name, 64);
    const refuse = () => {
      throw new RangeError("not mine");
    };
    assertThrows(() => openFileOf(name, 0, refuse), RangeError, "not mine");
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 1]);
    assertThrows(() => openFileOf(`${name}-none`, 0, refuse), Deno.errors.NotFound);
  }));

Deno.test("openFileOf() of a name that is removed in the middle waits for its next owner", () =>
  withNames((name) => {
    // Where no next one comes, the message is as if there had been none.
    for (
      const [timeout, told] of [[0, "waits for its creator"], [5, "nobody has created it"]] as const
    ) {
      using first = SharedMemory.create(name, 64);
      const remove = () => {
        first.unlink();
        // The time has passed, as it may on a busy machine.
        for (const end = performance.now() + 2 * timeout; performance.now() < end;);
      };
      assertThrows(() => openFileOf(name, timeout, remove), Deno.errors.NotFound, told);
    }
    let next: SharedMemory | undefined;
    using second = SharedMemory.create(name, 64);
    const replaceOnce = () => {
      if (next !== undefined) return;
      second.unlink();
      next = SharedMemory.create(name, 32);
    };
    const { memory, fd } = openFileOf(name, 0, replaceOnce);
    assertEquals(memory.size, 32);
    memory.close();
    close(fd);
    next!.close();
  }));
