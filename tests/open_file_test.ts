import { assertEquals, assertThrows } from "@std/assert";
import { close, fstat } from "../ffi/files.ts";
import { openFileOf, segmentOf, SharedMemory } from "../src/segment/mod.ts";
import { descriptorsOf, mappingsOf, withNames } from "./helpers.ts";

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
