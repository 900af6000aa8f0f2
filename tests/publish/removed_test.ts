// Publications whose name was removed, and those that end: nobody writes to nobody, nobody waits for ever.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { EndedError, SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { changedCopy, inTime, never } from "../helpers/changed_copy.ts";
import { errorOf, segmentPath } from "../helpers/helpers.ts";
import {
  handled,
  Member,
  rejectionOf,
  sleep,
  withPublication,
} from "../helpers/publish_helpers.ts";
import { slowness } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "publishing");

const { BrokenPipe, Busy, NotFound } = Deno.errors;

const ringOf = (name: string) => new SharedMemoryRing([4], "uint8", name, 3);
const tableOf = (name: string) => new SharedMemoryVersions([4], "int32", name);

/** How names go away. */
const removals: { [how: string]: (name: string) => void } = {
  "unlink()": (name) => void ringOf(name).unlink(),
  "clearBuffers()": (name) => void SharedMemoryArray.clearBuffers([name]),
  "rm": (name) => Deno.removeSync(segmentPath(name)),
  "unlink() and create()": (name) => {
    ringOf(name).unlink();
    new SharedMemoryRing([8, 8], "float32", name, 3).create().write(2);
  },
};

for (const [how, remove] of Object.entries(removals)) {
  Deno.test(`a ring after ${how}: writers are told at once, readers when they have read what is there`, () =>
    withPublication(async (name) => {
      using ring = ringOf(name).create();
      using reader = ringOf(name).load();
      using loop = ringOf(name).load();
      for (let i = 1; i <= 2; i++) ring.write(i);
      remove(name);
      let isCalled = false;
      const error = assertThrows(() => ring.write(() => void (isCalled = true)), NotFound);
      assertEquals((error as { code?: string }).code, "ENOENT");
      assertEquals(isCalled, false);
      assertThrows(() => ring.write(3), NotFound, "its name was removed");
      assertThrows(() => reader.write(3), NotFound);
      assertThrows(() => ring.end(), NotFound);
      assertEquals([reader.next().sequence, reader.next().sequence], [1, 2]);
      assertThrows(() => reader.next(), NotFound, "its name was removed");
      await assertRejects(() => inTime(reader.nextAsync()), NotFound);
      await assertRejects(() => reader.nextAsync(1000, { timeout: 60_000 * slowness }), NotFound);
      const seen: number[] = [];
      const ending = await inTime(rejectionOf((async () => {
        for await (const frame of loop.frames()) seen.push(frame.sequence);
      })()));
      assert(ending instanceof NotFound, String(ending));
      assertEquals(seen, [1, 2]);
      await sleep(260);
      assertThrows(() => reader.latest(), NotFound);
    }));
}

Deno.test("whoever waits while a name is removed is told", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    using table = tableOf(`${name}-table`).create();
    const blocked = await Member.start(
      `
      const [ring, table, which] = JSON.parse(Deno.args[0]);
      const told = (wait) => {
        try {
          wait();
        } catch (error) {
          say(error.name);
        }
      };
      using reader = which === "ring"
        ? SharedMemoryRing.from(ring).load()
        : SharedMemoryVersions.from(table).load();
      say("waits");
      told(() => which === "ring" ? reader.next() : reader.changed());
      `,
      { args: [JSON.stringify([ring, table, "ring"])] },
    );
    assertEquals(await blocked.line(), "waits");
    const waiting = handled(ring.nextAsync(), table.changedAsync(), ring.frames().next());
    await sleep(50);
    ring.unlink();
    table.unlink();
    for (const each of waiting) assert(await inTime(rejectionOf(each)) instanceof NotFound);
    assertEquals(await inTime(blocked.line()), "NotFound");
    await blocked.end();
  }));

Deno.test("it is found out that somebody waits on without its name: the control", () =>
  withPublication(async (name) => {
    // Who removes a name wakes nobody: without slices, who waits sleeps on.
    await using copy = await changedCopy([
      never("src/publish/publication.ts", "READER_SLICE", 125),
    ]);
    const { SharedMemoryRing: Ring } = await import(copy.url("src/publish/mod.ts"));
    using ring: SharedMemoryRing = new Ring([4], "uint8", name, 3).create();
    const waiting = rejectionOf(ring.nextAsync());
    await sleep(50);
    ring.unlink();
    await assertRejects(() => inTime(waiting, 1000), Error, "nobody was woken");
    ring.close();
    assert(await waiting instanceof Deno.errors.BadResource);
  }));

Deno.test("current() of a removed publication tells so instead of giving what is outdated", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    using reader = tableOf(name).load();
    using empty = tableOf(name).load();
    assertEquals(empty.current(), null);
    await table.publish((next) => next.fill(1));
    const version = reader.current()!;
    // However often it is asked.
    for (let i = 0; i < 1000; i++) reader.current();
    table.unlink();
    await sleep(260);
    assertThrows(() => reader.current(), NotFound, "its name was removed");
    assertThrows(() => reader.current(), NotFound);
    assertThrows(() => empty.current(), NotFound);
    assertEquals(version.array.get(0), 1, "what it has, it keeps");
    assertThrows(() => reader.changed({ timeout: 60_000 * slowness }), NotFound);
  }));

Deno.test("a program without turns of the event loop is told by current() and latest(), too", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    await table.publish((next) => next.fill(1));
    using ring = ringOf(`${name}-ring`).create();
    ring.write(1);
    table.current();
    ring.latest();
    table.unlink();
    ring.unlink();
    const told = (look: () => unknown): string => {
      const end = performance.now() + 60_000 * slowness;
      while (performance.now() < end) {
        try {
          look();
        } catch (error) {
          return (error as Error).name;
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
      return "never told";
    };
    assertEquals([told(() => table.current()), told(() => ring.latest())], [
      "NotFound",
      "NotFound",
    ]);
  }));

// --- Loading ---------------------------------------------------------------------------------

for (const bytes of [0, 128, 4096]) {
  Deno.test(`load() waits on when ${bytes} bytes of zeros are removed, and takes what comes then`, () =>
    withPublication(async (name) => {
      const code = `
        const ring = SharedMemoryRing.from(JSON.parse(Deno.args[0]));
        say("loads");
        say(String(Date.now()));
        const start = performance.now();
        try {
          ring.load({ timeout: Number(Deno.args[1]) });
          say("loaded " + ring.latest()?.sequence);
        } catch (error) {
          say(error.name + " " + (performance.now() - start >= Number(Deno.args[1])));
        }
      `;
      const ring = ringOf(name);
      const leave = (): void => {
        if (bytes > 0) SharedMemory.create(name, bytes).close();
        else Deno.writeFileSync(segmentPath(name), new Uint8Array(0));
      };
      // It is removed, and nothing comes. Where it is removed too late, on a busy machine, that shows nothing.
      for (let isInTime = false; !isInTime;) {
        leave();
        const late = await Member.start(code, { args: [JSON.stringify(ring), "2000"] });
        assertEquals(await late.line(), "loads");
        const begin = Number(await late.line());
        await sleep(30);
        Deno.removeSync(segmentPath(name));
        isInTime = Date.now() < begin + 1900;
        const line = await late.line();
        if (isInTime) assertEquals(line, "NotFound true");
        await late.end();
      }
      // It is removed, and a ring is made.
      leave();
      const early = await Member.start(code, { args: [JSON.stringify(ring), "60000"] });
      assertEquals(await early.line(), "loads");
      await early.line();
      await sleep(30);
      Deno.removeSync(segmentPath(name));
      await sleep(50);
      using made = ring.create();
      made.write(1);
      assert((await early.line()).startsWith("loaded "));
      await early.end();
    }));
}

// --- The end ---------------------------------------------------------------------------------

Deno.test("end() of a ring: what is there is read, then iterators finish and waiting is an EndedError", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    using reader = ringOf(name).load();
    using other = ringOf(name).load();
    const waiting = reader.nextAsync(2);
    const loop = (async () => {
      const seen: number[] = [];
      for await (const frame of other.frames()) seen.push(frame.sequence);
      return seen;
    })();
    for (let i = 1; i <= 2; i++) ring.write(i);
    assertEquals([ring.isEnded, reader.isEnded], [false, false]);
    assertThrows(() => reader.end(), Busy, "it has a writer");
    ring.end();
    ring.end();
    assertEquals([ring.isEnded, reader.isEnded], [true, true]);
    assert(await rejectionOf(waiting) instanceof EndedError);
    assertEquals(await loop, [1, 2]);
    assertEquals([reader.next().sequence, reader.next().sequence], [1, 2]);
    const error = errorOf(() => reader.next());
    assert(error instanceof EndedError && error instanceof Error);
    assertEquals([error.name, error.code], ["EndedError", "ERR_SHM_ENDED"]);
    assertThrows(() => reader.next(undefined, { timeout: 0 }), EndedError);
    assertEquals((await other.frames().next()).done, true);
    assertEquals(reader.latest()!.sequence, 2);
    assertEquals(
      (assertThrows(() => ring.write(3), BrokenPipe) as { code?: string }).code,
      "EPIPE",
    );
    // Also while its writer is there still: that it has ended counts more than that there is another writer.
    assertThrows(() => other.write(3), BrokenPipe);
    ring.close();
    // Nobody else writes either, but to end it again is no error.
    assertThrows(() => other.write(3), BrokenPipe);
    other.end();
    // The end stands in the segment, for those who come later, too; also without its name.
    using late = ringOf(name).load();
    late.unlink();
    assertEquals([late.next(1).sequence, late.isEnded], [2, true]);
    assertThrows(() => late.next(), EndedError);
    assertThrows(() => ringOf(name).isEnded, Deno.errors.BadResource);
    assertThrows(() => ringOf(name).end(), Deno.errors.BadResource);
  }));

Deno.test("end() of versions: the last one stays, waiting is an EndedError, publishing a BrokenPipe", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    using reader = tableOf(name).load();
    const filling = table.publish(async (next) => {
      assertThrows(() => table.end(), Busy, "filling a version");
      await sleep(20);
      next.fill(5);
    });
    assertThrows(() => table.end(), Busy);
    await filling;
    const waiting = [1, 2].map(async () => {
      const { version } = await reader.changedAsync();
      return [version, await rejectionOf(reader.changedAsync())];
    });
    await sleep(20);
    assertThrows(() => reader.end(), Busy);
    table.end();
    for (const each of waiting) {
      const [version, error] = await each;
      assert(version === 1 && error instanceof EndedError);
    }
    assertThrows(() => reader.changed(), EndedError);
    assertEquals([reader.isEnded, reader.current()!.array.get(0)], [true, 5]);
    assert(await rejectionOf(table.publish(() => {})) instanceof BrokenPipe);
    assert(await rejectionOf(reader.publish(() => {})) instanceof BrokenPipe);
    table.close();
    assert(await rejectionOf(reader.publish(() => {})) instanceof BrokenPipe);
    using late = tableOf(name).load();
    assertEquals(late.changed().version, 1);
    assertThrows(() => late.changed(), EndedError);
    // What has ended is not outdated when its name is gone.
    late.unlink();
    await sleep(260);
    assertEquals(late.current()!.version, 1);
  }));

Deno.test("the end reaches readers in other processes, also where the writer is killed right after it", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    const readers = await Promise.all([
      `for await (const frame of ring.frames()) seen.push(frame.sequence); say(seen.join(" ") + " end");`,
      `try { while (true) seen.push(ring.next().sequence); } catch (error) { say(seen.join(" ") + " " + error.name); }`,
    ].map((code) =>
      Member.start(
        `using ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();
         const seen = [];
         say("reads");
         ${code}`,
        { args: [JSON.stringify(ring)] },
      )
    ));
    for (const reader of readers) assertEquals(await reader.line(), "reads");
    const writer = await Member.start(
      `const ring = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load();
       for (let i = 1; i <= 3; i++) {
         ring.write(i);
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
       }
       ring.end();
       say("ended");
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`,
      { args: [JSON.stringify(ring)] },
    );
    assertEquals(await writer.line(), "ended");
    await writer.kill();
    assertEquals(await readers[0].line(), "1 2 3 end");
    assertEquals(await readers[1].line(), "1 2 3 EndedError");
    for (const reader of readers) await reader.end();
    assertEquals(ring.isEnded, true);
  }));
