// One program that has loaded this package twice: a bundle and an import, or two versions.

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { notify, SharedMemoryBarrier, SharedMemoryLock, wait, waitAsync } from "@shm/array/sync";
import * as ours from "../../mod.ts";
import { writeNpy } from "../../src/npy.ts";
import { withFolder, withNames } from "../helpers/helpers.ts";

/** Copies the sources elsewhere, so that Deno loads them once more. */
async function withCopy(
  body: (copy: typeof ours, folder: string) => void | Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const root = new URL("../../", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command("cp", {
      args: ["-R", `${root}mod.ts`, `${root}src`, `${root}ffi`, folder],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const copy = await import(`file://${folder}/mod.ts`) as typeof ours;
    assertNotStrictEquals(copy.SharedMemoryArray, ours.SharedMemoryArray);
    await body(copy, folder);
  });
}

Deno.test("shmarrayWrap() loads the instance of another copy, and closes what it loaded", () =>
  withCopy((copy) =>
    withNames((name) => {
      using made = new copy.SharedMemoryArray([2, 3], "int16", name, ["1:"]);
      made.create().assign([[1, 2, 3], [4, 5, 6]]);
      made.close();
      const seen: unknown[] = [];
      const take = ours.shmarrayWrap((view: ours.NDArray, options: { other: ours.NDArray }) => {
        seen.push(view.toArray(), options.other.toArray());
        view.set(0, 0, 40);
      });
      take(made as never, { other: made as never });
      assertEquals([seen, made.smh], [[[[4, 5, 6]], [[4, 5, 6]]], null]);
      assertEquals(made.load().get(0, 0), 40);
      made.unlink();
    })
  ));

Deno.test("shmarrayWrap() gives the array of an attached instance of another copy", () =>
  withCopy((copy) =>
    withNames((name) => {
      using made = new copy.SharedMemoryArray(3, "float64", name);
      const array = made.create();
      made.unlink(); // nobody could attach to it any more
      ours.shmarrayWrap((view: ours.NDArray) => void view.fill(2))(made as never);
      assertEquals([array.toArray(), made.array === array], [[2, 2, 2], true]);
    })
  ));

Deno.test("clone() and from() take the instance and the view of another copy", () =>
  withCopy((copy) =>
    withNames((name) => {
      using made = new copy.SharedMemoryArray([2, 3], "int16", name);
      made.create().assign([[1, 2, 3], [4, 5, 6]]);
      const descriptors = [
        ours.SharedMemoryArray.clone(made as never),
        ours.SharedMemoryArray.from(made),
        ours.SharedMemoryArray.from(made.array! as ours.NDArray),
      ];
      for (const mine of descriptors) {
        using sma = mine;
        assert(sma instanceof ours.SharedMemoryArray);
        assertEquals(sma.load().toArray(), [[1, 2, 3], [4, 5, 6]]);
      }
      using turned = ours.SharedMemoryArray.from(made.array!.T.slice("::-1") as ours.NDArray);
      assertEquals(turned.load().toArray(), [[3, 6], [2, 5], [1, 4]]);
      made.unlink();
    })
  ));

Deno.test("assign() and writeNpy() take the view of another copy", () =>
  withCopy((copy) =>
    withFolder(async (folder) => {
      const view = new copy.NDArray(Float32Array.of(1, 2, 3, 4), { shape: [2, 2] }) as ours.NDArray;
      writeNpy(`${folder}/a.npy`, view.T);
      const bytes = await Deno.readFile(`${folder}/a.npy`);
      assertEquals([...new Float32Array(bytes.slice(-16).buffer)], [1, 2, 3, 4]); // Fortran's order
      const mine = new ours.NDArray(new Float64Array(4), { shape: [2, 2] });
      assertEquals(mine.assign(view.T).toArray(), [[1, 3], [2, 4]]);
    })
  ));

Deno.test("assign() sees that two attachments of two copies are one segment", () =>
  withCopy((copy) =>
    withNames((name) => {
      using made = new copy.SharedMemoryArray(4, "int32", name);
      const theirs = made.create().assign([1, 2, 3, 4]);
      using loaded = new ours.SharedMemoryArray(4, "int32", name);
      loaded.load().slice("1:").assign(theirs.slice(":3") as unknown as ours.NDArray<"int32">);
      assertEquals(theirs.toArray(), [1, 1, 2, 3]);
      made.unlink();
    })
  ));

Deno.test("waits of one copy take an array of the other, and end when that closes it", () =>
  withCopy((copy) =>
    withNames(async (name) => {
      using made = new copy.SharedMemoryArray(4, "int32", name);
      const { data } = made.create();
      assertEquals(wait(data, 0, 1), "not-equal");
      assertEquals(notify(data, 0), 0);
      const { value } = waitAsync(data, 0, 0);
      made.unlink();
      made.close();
      await assertRejects(async () => await value, Deno.errors.BadResource, "closed meanwhile");
      assertThrows(() => wait(data, 0, 0), Deno.errors.BadResource);
    })
  ));

Deno.test("acquire() is Busy where the other copy holds the lock in this thread", () =>
  withCopy(async (_, folder) => {
    const { SharedMemoryLock: Theirs } = await import(`file://${folder}/src/sync/mod.ts`);
    using mine = new SharedMemoryLock(`test-${crypto.randomUUID()}`).create();
    try {
      using theirs = Theirs.from(mine).load();
      const guard = mine.acquire();
      assertThrows(() => theirs.acquire(), Deno.errors.Busy, "another instance of this thread");
      guard.release();
      theirs.acquire().release();
    } finally {
      mine.unlink();
    }
  }));

Deno.test("meet() is Busy where the other copy has a seat in this thread", () =>
  withCopy(async (_, folder) => {
    const { SharedMemoryBarrier: Theirs } = await import(`file://${folder}/src/sync/mod.ts`);
    using mine = new SharedMemoryBarrier(`test-${crypto.randomUUID()}`, 2).createOrLoad();
    try {
      using theirs = Theirs.from(mine).load();
      assertThrows(() => mine.meet(), Deno.errors.Busy, "another instance of this thread");
      assertThrows(() => theirs.meet(), Deno.errors.Busy, "another instance of this thread");
      const met = mine.meetAsync();
      assertEquals([theirs.meet(), await met], [1, 1]);
    } finally {
      mine.unlink();
    }
  }));

Deno.test("clone() takes the ring and the versions of the other copy", () =>
  withCopy(async (_, folder) => {
    const theirs = await import(`file://${folder}/src/publish/mod.ts`);
    const ring = SharedMemoryRing.clone(new theirs.SharedMemoryRing(3, "int8", "a", 2));
    const table = SharedMemoryVersions.clone(new theirs.SharedMemoryVersions(3, "int8", "b"));
    assert(ring instanceof SharedMemoryRing && table instanceof SharedMemoryVersions);
    assertEquals([ring.name, ring.slots, table.name], ["a", 2, "b"]);
    assertThrows(() => SharedMemoryRing.clone(table as never), TypeError, "must be a");
  }));
