// Readers that have the permission to read only.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EndedError, SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { evalChild, segmentPath, withOtherUser } from "../helpers/helpers.ts";
import { Member, rejectionOf, sleep, withPublication } from "../helpers/publish_helpers.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "publishing");

const { BadResource, NotFound, PermissionDenied } = Deno.errors;
const access = "copy-on-write";
const limits = { timeout: 30_000 };

const ringOf = (name: string) => new SharedMemoryRing([4], "uint8", name, 3, { metaBytes: 30 });
const tableOf = (name: string) => new SharedMemoryVersions([4], "int32", name);

Deno.test("a ring that was loaded copy-on-write is read, and not a byte of it is written", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    using reader = ringOf(name).load({ access });
    const bytes = (): Uint8Array => Deno.readFileSync(segmentPath(name));
    const before = bytes();
    assertEquals(reader.latest(), null);
    assertThrows(() => reader.next(undefined, { timeout: 30 }), DOMException, "time is up");
    await assertRejects(() => reader.nextAsync(undefined, { timeout: 30 }), DOMException);
    assertEquals(bytes(), before, "it announces itself nowhere");
    const blocked = await Member.start(
      `
      const reader = SharedMemoryRing.from(JSON.parse(Deno.args[0])).load({ access: "copy-on-write" });
      say("waits");
      for (let i = 1; i <= 2; i++) say(JSON.stringify([reader.next().sequence, reader.latest().meta]));
      try {
        while (true) reader.next();
      } catch (error) {
        say(error.name);
      }
      `,
      { args: [JSON.stringify(ring)] },
    );
    assertEquals(await blocked.line(), "waits");
    for (let i = 1; i <= 2; i++) {
      const next = reader.nextAsync(undefined, limits);
      await sleep(20);
      ring.write(i, `frame ${i}`);
      const frame = await next;
      assertEquals([frame.sequence, frame.array.get(3), frame.meta], [i, i, `frame ${i}`]);
      assertEquals(await blocked.line(), `[${i},"frame ${i}"]`);
    }
    const frame = reader.latest()!;
    for (let i = 3; i <= 5; i++) ring.write(i);
    assertEquals([frame.isWhole(), frame.copy(), frame.meta], [false, null, "frame 2"]);
    assertEquals(reader.next().skipped, 0);
    ring.end();
    assertEquals(await blocked.line(), "EndedError");
    await blocked.end();
    assertEquals([reader.next().sequence, reader.next().sequence], [4, 5]);
    assertThrows(() => reader.next(), EndedError);
    assertEquals(reader.isEnded, true);
  }));

Deno.test("versions that were loaded copy-on-write are read, and not a byte is written", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    using reader = tableOf(name).load({ access, keep: 0 });
    const bytes = (): Uint8Array => Deno.readFileSync(segmentPath(name));
    const before = bytes();
    assertEquals(reader.current(), null);
    await assertRejects(() => reader.changedAsync({ timeout: 30 }), DOMException);
    assertThrows(() => reader.changed({ timeout: 30 }), DOMException);
    assertEquals(bytes(), before);
    for (let i = 1; i <= 3; i++) {
      const changed = reader.changedAsync(limits);
      await sleep(10);
      await table.publish((next) => next.fill(i));
      const { version, timestamp, array } = await changed;
      assertEquals([version, array.get(0), reader.current()!.version], [i, i, i]);
      assertEquals(timestamp, table.current()!.timestamp);
      // What a reader writes nevertheless stays private.
      array.set(0, 99);
      assertEquals([array.get(0), table.current()!.array.get(0)], [99, i]);
    }
    table.end();
    assertThrows(() => reader.changed(), EndedError);
    table.unlink();
  }));

Deno.test("who has loaded copy-on-write can neither write nor end, and does not become the writer", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    using table = tableOf(`${name}-t`).create();
    using ringReader = ringOf(name).load({ access });
    using tableReader = tableOf(table.name).load({ access });
    const why = "it was loaded copy-on-write, to read only";
    let isCalled = false;
    const fill = () => void (isCalled = true);
    assertThrows(() => ringReader.write(1), PermissionDenied, `Cannot write to '${name}': ${why}`);
    assertThrows(() => ringReader.write(fill), PermissionDenied, why);
    assertThrows(() => ringReader.end(), PermissionDenied, why);
    await assertRejects(() => tableReader.publish(fill), PermissionDenied, why);
    assertThrows(() => tableReader.end(), PermissionDenied, why);
    assertEquals([isCalled, ring.isEnded, table.isEnded], [false, false, false]);
    assertEquals(ring.write(1), 1);
    assertEquals(await table.publish(() => {}), 1);
    // An instance that is loaded anew can.
    ring.close();
    ringReader.close();
    assertEquals(ringReader.load().write(2), 2);
    table.unlink();
  }));

Deno.test("waits of who may read only end by a signal, by close(), and when the name is removed", () =>
  withPublication(async (name) => {
    using ring = ringOf(name).create();
    using table = tableOf(`${name}-t`).create();
    const readers = [ringOf(name).load({ access }), ringOf(name).load({ access })];
    using tableReader = tableOf(table.name).load({ access });
    const abortion = new AbortController();
    const { signal } = abortion;
    const aborted = [
      readers[0].nextAsync(undefined, { signal }),
      tableReader.changedAsync({ signal }),
    ];
    const closed = readers[1].nextAsync();
    await sleep(20);
    abortion.abort(new Error("enough"));
    for (const error of await Promise.all(aborted.map(rejectionOf))) {
      assertEquals(error.message, "enough");
    }
    readers[1].close();
    assert(await rejectionOf(closed) instanceof BadResource);
    const removed = [readers[0].nextAsync(), tableReader.changedAsync()];
    ring.unlink();
    table.unlink();
    for (const error of await Promise.all(removed.map(rejectionOf))) {
      assert(error instanceof NotFound);
    }
    assertThrows(() => readers[0].next(), NotFound);
    readers[0].close();
  }));

Deno.test("createOrLoad() takes access, too: the one that makes it reads only", () =>
  withPublication(async (name) => {
    using reader = ringOf(name).createOrLoad({ access, mode: 0o644 });
    using writer = ringOf(name).createOrLoad();
    using other = ringOf(name).createOrLoad({ access });
    assertEquals([reader.isCreator, writer.isCreator, other.isCreator], [true, false, false]);
    assertThrows(() => reader.write(1), PermissionDenied);
    writer.write(7);
    for (const each of [reader, other]) assertEquals(each.next(0, limits).array.get(0), 7);
    using first = tableOf(`${name}-t`).createOrLoad({ access });
    using second = tableOf(`${name}-t`).createOrLoad();
    assertEquals([first.isCreator, second.isCreator], [true, false]);
    await assertRejects(() => first.publish(() => {}), PermissionDenied);
    await second.publish((next) => next.fill(3));
    assertEquals(first.changed(limits).array.get(0), 3);
    second.unlink();
  }));

Deno.test("access is one of two texts", () => {
  for (const each of [ringOf("none"), tableOf("none")]) {
    for (const wrong of ["read-only", "", "rw"]) {
      assertThrows(
        () => each.load({ access: wrong as never }),
        RangeError,
        'access must be "read-write" or "copy-on-write"',
      );
      assertThrows(() => each.createOrLoad({ access: wrong as never }), RangeError);
    }
    for (const wrong of [1, true, null]) {
      assertThrows(() => each.load({ access: wrong as never }), TypeError);
      assertThrows(() => each.createOrLoad({ access: wrong as never }), TypeError);
    }
    assertThrows(() => each.load({ access }), NotFound);
    assertThrows(() => each.create({ access } as never), TypeError);
  }
});

testWith(
  "another user",
  "another user reads what it may not write, and is told of the way",
  () =>
    withPublication(async (name) => {
      using ring = ringOf(name).create({ mode: 0o644 });
      using table = tableOf(`${name}-t`).create({ mode: 0o644 });
      ring.write(7, "seven");
      await table.publish((next) => next.fill(8));
      const told = await withOtherUser((other) =>
        evalChild(
          `
        const { SharedMemoryRing, SharedMemoryVersions } =
          await import(${JSON.stringify(`file://${other.folder}/src/publish/mod.ts`)});
        const [ringed, tabled] = JSON.parse(Deno.args[0]);
        const ring = SharedMemoryRing.from(ringed);
        const table = SharedMemoryVersions.from(tabled);
        const told = [];
        for (const each of [ring, table]) {
          try {
            each.load();
          } catch (error) {
            told.push([error.name, error.code, error.message.includes('load({ access: "copy-on-write" })')]);
          }
          each.load({ access: "copy-on-write" });
        }
        told.push([ring.next().meta, ring.latest().array.get(0), table.current().array.get(0)]);
        try {
          ring.write(1);
        } catch (error) {
          told.push(error.name);
        }
        console.log(JSON.stringify(told));
        `,
          {
            as: other,
            args: [JSON.stringify([ring, table])],
          },
        )
      );
      const denied = ["PermissionDenied", "EACCES", true];
      assertEquals<unknown>(told, [denied, denied, ["seven", 7, 8], "PermissionDenied"]);
      table.unlink();
    }),
);
