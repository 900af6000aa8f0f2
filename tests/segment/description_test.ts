// What a segment says of itself, in the extended attribute of its file: written by create(), compared by load().

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { type NDArray, SharedMemory, SharedMemoryArray } from "../../mod.ts";
import { SharedMemoryRing, SharedMemoryVersions } from "../../src/publish/mod.ts";
import { SharedMemoryQueue } from "../../src/queue/mod.ts";
import { SharedMemoryLock } from "../../src/sync/mod.ts";
import { close, open } from "../../ffi/files.ts";
import { fgetxattr, fsetxattr } from "../../ffi/xattr.ts";
import { changedCopy, never } from "../helpers/changed_copy.ts";
import {
  errorOf,
  evalChild,
  segmentPath,
  startChild,
  withFolder,
  withNames,
  withOtherUser,
} from "../helpers/helpers.ts";
import { publishUrl } from "../helpers/publish_helpers.ts";
import { Random, seedOf } from "../helpers/random.ts";
import { compile } from "../helpers/sync.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "other systems have no extended attributes of segments");

const ATTRIBUTE = "user.shm_array";
const [READ, WRITE] = [0, 1];

/** The text beside the file at a path; `null` if there is none. */
function textAt(path: string): string | null {
  const fd = open(path, READ);
  try {
    const bytes = fgetxattr(fd, ATTRIBUTE, 65536, path);
    return bytes === null ? null : new TextDecoder().decode(bytes);
  } finally {
    close(fd);
  }
}

function textOf(name: string): string | null {
  return textAt(segmentPath(name));
}

/** Writes a text, or bytes, beside a segment, as anybody could who may write to it. */
function describeAs(name: string, text: unknown): void {
  const fd = open(segmentPath(name), WRITE);
  const bytes = text instanceof Uint8Array
    ? text as Uint8Array<ArrayBuffer>
    : new TextEncoder().encode(typeof text === "string" ? text : JSON.stringify(text));
  try {
    assert(fsetxattr(fd, ATTRIBUTE, bytes, name));
  } finally {
    close(fd);
  }
}

// --- What is written -------------------------------------------------------------------------

Deno.test("create() writes kind, shape and NumPy's dtype beside the segment, not into it", () => {
  withNames((name) => {
    for (
      const [shape, dtype, numpy] of [
        [[2, 3], "float32", "<f4"],
        [[], "int64", "<i8"],
        [[5], "bool", "|b1"],
        [[5], "uint8c", "|u1"],
        [[1, 2, 1], Uint16Array, "<u2"],
      ] as const
    ) {
      using sma = new SharedMemoryArray(shape, dtype, name);
      sma.create();
      assertEquals(textOf(name), JSON.stringify({ kind: "array", shape, dtype: numpy }));
      assert(new Uint8Array(sma.smh!.buf!).every((byte) => byte === 0));
      sma.unlink();
    }
  });
});

Deno.test("create() writes a layout whole, and none where it is that of C order", () => {
  withNames((name) => {
    const cases: [object, object | undefined][] = [
      [{ byteOffset: 16 }, { byteOffset: 16, stride: [3, 1] }],
      [{ stride: [1, 2] }, { byteOffset: 0, stride: [1, 2] }],
      [{ byteOffset: 20, stride: [-3, -1] }, { byteOffset: 20, stride: [-3, -1] }],
      [{ byteOffset: 0, stride: [3, 1] }, undefined],
      [{}, undefined],
    ];
    for (const [layout, written] of cases) {
      using sma = new SharedMemoryArray([2, 3], "float32", name, null, layout);
      sma.create();
      assertEquals(JSON.parse(textOf(name)!), {
        kind: "array",
        shape: [2, 3],
        dtype: "<f4",
        ...(written && { layout: written }),
      });
      sma.unlink();
    }
  });
});

Deno.test("create() of every other kind writes its descriptor without the name", () => {
  withNames((ring, versions, lock, queue) => {
    using frames = new SharedMemoryRing([2, 3], "float32", ring, 4).create();
    using table = new SharedMemoryVersions([8], "int16", versions).create();
    using mutex = new SharedMemoryLock(lock).create();
    using jobs = new SharedMemoryQueue(queue, 4).create();
    for (const each of [frames, table, mutex, jobs]) {
      const { name, ...rest } = JSON.parse(JSON.stringify(each));
      assertEquals(JSON.parse(textOf(name)!), rest);
      assertEquals(
        rest.kind,
        { [ring]: "ring", [versions]: "versions", [lock]: "lock", [queue]: "queue" }[name],
      );
      each.unlink();
    }
  });
});

Deno.test("a version of SharedMemoryVersions is described as an array", async () => {
  await withNames(async (name) => {
    using table = new SharedMemoryVersions([8], "int16", name).create();
    await table.publish((next) => void next.fill(3));
    const part = JSON.parse(JSON.stringify(table.current()!.array)).name;
    assertEquals(JSON.parse(textOf(part)!), { kind: "array", shape: [8], dtype: "<i2" });
    using alone = SharedMemoryArray.attach(part, "int16");
    assertEquals(alone.array!.get(7), 3);
    table.unlink();
  });
});

Deno.test("create() describes also what it makes with its name last, and anonymous segments", () => {
  withNames((name) => {
    using large = new SharedMemoryArray([2 ** 21], "uint8", name);
    large.create();
    assertEquals(textOf(name), `{"kind":"array","shape":[2097152],"dtype":"|u1"}`);
    large.unlink();
    using anonymous = SharedMemoryArray.createAnonymous([3], "float64");
    const [, pid, fd] = anonymous.name.split(":");
    assertEquals(textAt(`/proc/${pid}/fd/${fd}`), `{"kind":"array","shape":[3],"dtype":"<f8"}`);
    anonymous.unlink();
  });
});

Deno.test("create({ describe: false }) of every kind writes nothing, and load() looks at the size", async () => {
  await withNames(async (name, ring, versions, lock) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create({ describe: false });
    using other = new SharedMemoryArray([3, 8], "uint8", name);
    assertEquals(other.load().size, 24);
    using frames = new SharedMemoryRing([2], "float32", ring, 4).create({ describe: false });
    using table = new SharedMemoryVersions([8], "int16", versions).create({ describe: false });
    using mutex = new SharedMemoryLock(lock).create({ describe: false });
    assertEquals([name, ring, versions, lock].map(textOf), [null, null, null, null]);
    await table.publish((next) => void next.fill(3));
    const part = JSON.parse(JSON.stringify(table.current()!.array)).name;
    assertEquals(textOf(part), null);
    using anonymous = SharedMemoryArray.createAnonymous([3], "float64", { describe: false });
    const [, pid, fd] = anonymous.name.split(":");
    assertEquals(textAt(`/proc/${pid}/fd/${fd}`), null);
    for (const each of [sma, frames, table, mutex, anonymous]) each.unlink();
  });
});

Deno.test("SharedMemory.create() describes nothing, and has no option for it", () => {
  withNames((name) => {
    using bytes = SharedMemory.create(name, 24);
    assertEquals(textOf(name), null);
    const options = { describe: true } as object;
    const error = errorOf(() => SharedMemory.create(name, 24, options));
    assertInstanceOf(error, TypeError);
    assertStringIncludes(error.message, 'there is no option "describe"');
    bytes.unlink();
  });
});

testWith(
  "another user",
  "create() describes a segment also where its owner may not write",
  () =>
    withNames((name) =>
      withOtherUser(async (as) => {
        // Root may do anything, so an ordinary user makes it.
        const seen = await evalChild(
          `const [name] = Deno.args;
        const seen = [];
        for (const length of [4, 2 ** 21]) {
          for (const mode of [0o444, 0o400, 0o644]) {
            using sma = new SharedMemoryArray([length], "uint8", name);
            sma.create({ mode });
            using alone = SharedMemoryArray.attach(name, { access: "copy-on-write" });
            seen.push([alone.shape[0], Deno.lstatSync("/dev/shm/" + name).mode & 0o777]);
            sma.unlink();
          }
        }
        using sma = SharedMemoryArray.createAnonymous([3], "uint8", { mode: 0o400 });
        using alone = SharedMemoryArray.attach(sma.name, { access: "copy-on-write" });
        seen.push(alone.shape[0]);
        console.log(JSON.stringify(seen));`,
          { args: [name], as },
        );
        const modes = [0o444, 0o400, 0o644];
        assertEquals(seen, [...[4, 2 ** 21].flatMap((n) => modes.map((mode) => [n, mode])), 3]);
      })
    ),
);

testWith(
  "another user",
  "another user attaches by name to what it may read only",
  () =>
    withNames((name) =>
      withOtherUser(async (as) => {
        using sma = new SharedMemoryArray([2, 3], "int16", name);
        sma.create({ mode: 0o644 }).fill(5);
        const code = `
        const sma = SharedMemoryArray.attach(Deno.args[0], "int16", { access: "copy-on-write" });
        console.log(JSON.stringify([sma.shape, sma.array.get(1, 2)]));`;
        assertEquals(await evalChild(code, { args: [name], as }), [[2, 3], 5]);
        sma.unlink();
      })
    ),
);

Deno.test("who sees the size of an array sees its description, while it is created again and again", async () => {
  const TEXT = `{"kind":"array","shape":[3,5],"dtype":"<i2"}`;
  await withNames(async (name) => {
    const creator = await startChild(
      `console.log("ready");
      const sma = new SharedMemoryArray([3, 5], "int16", Deno.args[0]);
      while (true) { sma.create(); sma.unlink(); sma.close(); }`,
      { args: [name] },
    );
    try {
      const reader = creator.stdout.getReader();
      await reader.read();
      await reader.cancel();
      let seen = 0;
      for (const end = Date.now() + 60_000; seen < 2000 && Date.now() < end;) {
        let fd: number;
        try {
          fd = open(segmentPath(name), READ);
        } catch {
          continue; // There is none now.
        }
        try {
          const { size } = Deno.statSync(`/proc/self/fd/${fd}`);
          if (size === 0) continue;
          seen++;
          assertEquals(fgetxattr(fd, ATTRIBUTE, 4096, name)?.length, TEXT.length);
        } finally {
          close(fd);
        }
      }
      assert(seen >= 100, `only ${seen} were seen`);
    } finally {
      creator.kill("SIGKILL");
      await creator.status;
      await creator.stderr.cancel();
    }
  });
});

// --- What is compared ------------------------------------------------------------------------

/** What becomes of `load()` where the segment says something; `null` if it loads. */
function loadError(sma: SharedMemoryArray, options?: { reinterpret: boolean }): Error | null {
  try {
    sma.load(options);
    sma.close();
    return null;
  } catch (error) {
    return error as Error;
  }
}

Deno.test("load() refuses another dtype, shape or layout, shows both, and reinterprets if told", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create();
    const described = "described as shape [2, 3] of float32";
    const cases: [number[], string, object | undefined, string][] = [
      [[2, 3], "int32", undefined, "as shape [2, 3] of int32"],
      [[3, 2], "float32", undefined, "as shape [3, 2] of float32"],
      [[6], "float32", undefined, "as shape [6] of float32"],
      [[2], "float32", undefined, "as shape [2] of float32"],
      [[2, 3], "float32", { stride: [1, 2] }, "with byteOffset 0 and stride [1, 2]"],
      [[2], "float32", { byteOffset: 2 ** 4, stride: [-3] }, "with byteOffset 16 and stride [-3]"],
    ];
    for (const [shape, dtype, layout, shown] of cases) {
      const other = new SharedMemoryArray(shape, dtype as "int32", name, null, layout);
      const error = loadError(other as SharedMemoryArray);
      if (layout !== undefined && shape.length === 1) {
        assertEquals(error, null); // a column, upwards: a part of the array
        continue;
      }
      assertInstanceOf(error, RangeError);
      for (const text of [shown, described, "load({ reinterpret: true })"]) {
        assertStringIncludes(error.message, text);
      }
      assertEquals(loadError(other as SharedMemoryArray, { reinterpret: true }), null);
    }
    sma.unlink();
  });
});

Deno.test("load() compares layouts, both ways", () => {
  withNames((name) => {
    const layout = { byteOffset: 16, stride: [4, 1] };
    using sma = new SharedMemoryArray([2, 3], "uint8", name, null, layout);
    sma.create();
    assertEquals(loadError(SharedMemoryArray.clone(sma) as SharedMemoryArray), null);
    for (const other of [null, { byteOffset: 16 }, { stride: [4, 1] }, { byteOffset: 15 }]) {
      const clone = SharedMemoryArray.clone(sma, { layout: other }) as SharedMemoryArray;
      const error = loadError(clone);
      assertInstanceOf(error, RangeError);
      assertStringIncludes(error.message, "with byteOffset 16 and stride [4, 1]");
      assertEquals(loadError(clone, { reinterpret: true }), null);
    }
    sma.unlink();
  });
});

Deno.test("load() takes uint8c for uint8, a layout of C order for none, and any arraySlice", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "uint8", name);
    sma.create();
    const alike = [
      SharedMemoryArray.clone(sma, { dtype: "uint8c" }),
      SharedMemoryArray.clone(sma, { layout: { byteOffset: 0, stride: [3, 1] } }),
      SharedMemoryArray.clone(sma, { layout: {} }),
      SharedMemoryArray.clone(sma, { arraySlice: [1, "::-1"] }),
    ];
    for (const each of alike) assertEquals(loadError(each as SharedMemoryArray), null);
    assertInstanceOf(
      loadError(SharedMemoryArray.clone(sma, { dtype: "bool" }) as SharedMemoryArray),
      RangeError,
    );
    sma.unlink();
  });
});

Deno.test("load() takes what a view of the array says of itself, whatever view it is", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([4, 6], "int32", name, null, {
      byteOffset: 8,
      stride: [8, 1],
    });
    using plain = new SharedMemoryArray([4, 6, 5], "float32", SharedMemoryArray.buildSmaName("p"));
    try {
      for (const view of [sma.create(), plain.create()]) {
        for (let i = 0; i < view.size; i++) view.data[i % view.data.length] = i;
        const random = new Random(seedOf(24));
        const seen = [view.T, view.slice("newaxis"), view.slice(0, "newaxis").T] as NDArray[];
        for (let i = 0; i < 100; i++) {
          let part = view as NDArray;
          for (let steps = random.integer(1, 3); steps > 0; steps--) {
            const items = [":", "::-1", "1:", ":-1", "::2", "-1:0:-2"];
            part = part.slice(...part.shape.map(() => random.oneOf(items)));
            if (part.size === 0) break;
            if (random.chance(0.3)) part = part.T;
            if (random.chance(0.2) && part.ndim > 0) part = part.slice(0);
          }
          if (part.size > 0) seen.push(part);
        }
        for (const part of seen) {
          using there = SharedMemoryArray.from(JSON.parse(JSON.stringify(part)));
          assertEquals(there.load().toArray(), part.toArray());
        }
      }
      // Also what was reshaped.
      const row = plain.array!.reshape([24, 5]).slice("3:20:4", "::-2");
      using there = SharedMemoryArray.from(row);
      assertEquals(there.load().toArray(), row.toArray());
    } finally {
      sma.unlink();
      plain.unlink();
    }
  });
});

Deno.test("load() takes views whose axes were merged over padding, and no element of the padding", () => {
  // Of each padded array a view that was merged (a random search against NumPy found most of them), as shape, stride and
  // offset; then what comes near it, and has an element of the padding.
  const views: {
    whole: [shape: number[], stride: number[]];
    view: (whole: NDArray) => NDArray;
    is: [shape: number[], stride: number[], offset: number];
    near: [shape: number[], stride: number[], offset: number][];
  }[] = [
    {
      whole: [[3, 5], [6, 1]], // columns 0 and 3
      view: (whole) => whole.slice(":", "::3").reshape(6),
      is: [[6], [3], 0],
      near: [[[5], [3], 2], [[4], [5], 0], [[17], [1], 0], [[2, 6], [1, 2], 0]],
    },
    {
      whole: [[3, 5], [6, 1]],
      view: (whole) => whole.slice("::-1", "4:0:-3").reshape(2, 3).slice("::-1", "::2"),
      is: [[2, 2], [9, -6], 7],
      near: [[[2, 3], [5, 1], 0], [[2, 2], [9, 2], 3]],
    },
    {
      whole: [[2, 3, 5], [24, 6, 1]], // within a plane; planes are padded, too
      view: (whole) => whole.slice("::-1", ":", "::3").slice(0).reshape(2, 3).T,
      is: [[3, 2], [3, 9], 24],
      near: [[[3, 2], [3, 8], 24], [[3, 3], [3, 5], 24]],
    },
    {
      whole: [[2, 3, 4], [32, 8, 1]], // rows 0 and 2 of planes that have a row of padding
      view: (whole) => whole.slice(":", "::2").reshape(4, 4),
      is: [[4, 4], [16, 1], 0],
      near: [[[3, 5], [16, 1], 0], [[4, 3], [8, 1], 0], [[3, 4], [16, 1], 8]],
    },
    {
      whole: [[4, 2, 5], [24, 12, 2]],
      view: (whole) => whole.slice(":", ":", "::3").reshape(16).slice("1::3"),
      is: [[5], [18], 6],
      near: [[[5], [18], 4], [[5], [9], 0]],
    },
    {
      whole: [[3, 9], [12, 1]], // every third, and from each of two columns on those beside it
      view: (whole) => whole.reshape(3, 3, 3).slice(":", "::2").transpose(2, 0, 1).reshape(3, 6),
      is: [[3, 6], [1, 6], 0],
      near: [[[4, 5], [1, 6], 0], [[3, 5], [1, 6], 1]],
    },
  ];
  for (const { whole: [shape, stride], view, is, near } of views) {
    withNames((name) => {
      using sma = new SharedMemoryArray(shape, "int16", name, null, { byteOffset: 4, stride });
      const whole = sma.create();
      whole.data.forEach((_, i) => whole.data[i] = i);
      const part = view(whole as NDArray);
      assertEquals([part.shape, part.stride, part.offset], is);
      using there = SharedMemoryArray.from(JSON.parse(JSON.stringify(part)));
      assertEquals(there.load().toArray(), part.toArray());
      for (const [shape, stride, offset] of near) {
        const layout = { byteOffset: 4 + 2 * offset, stride };
        const other = new SharedMemoryArray(shape, "int16", name, null, layout);
        const error = loadError(other as SharedMemoryArray);
        assertInstanceOf(error, RangeError);
        assertStringIncludes(error.message, "the segment has been described as");
      }
      sma.unlink();
    });
  }
});

Deno.test("load() takes the elements of an array in its own shape and another order for a mistake", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([5, 2], "int16", name);
    // What this view says of itself is what a program says that has the order of the axes wrong.
    const view = sma.create().reshape(2, 5).T;
    using there = SharedMemoryArray.from(JSON.parse(JSON.stringify(view)));
    assertStringIncludes(loadError(there)!.message, "stride [1, 5]: the segment has been");
    assertEquals(there.load({ reinterpret: true }).toArray(), view.toArray());
    sma.unlink();
  });
});

Deno.test("load() refuses another kind by what is described, and by its magic, with TypeError", () => {
  withNames((name, lock) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create();
    for (const kind of ["lock", "barrier", "ring", "versions", "queue"]) {
      describeAs(name, { kind, shape: [2, 3], dtype: "<f4" });
      const error = loadError(SharedMemoryArray.clone(sma) as SharedMemoryArray);
      assertInstanceOf(error, TypeError);
      assertStringIncludes(error.message, "as an array");
      assertInstanceOf(errorOf(() => SharedMemoryArray.attach(name)), TypeError);
    }
    using mutex = new SharedMemoryLock(lock).create({ describe: false });
    const asArray = new SharedMemoryArray([4], "int32", lock) as unknown as SharedMemoryArray;
    assertInstanceOf(loadError(asArray), TypeError);
    assertInstanceOf(errorOf(() => SharedMemoryArray.attach(lock)), TypeError);
    mutex.unlink();
    sma.unlink();
  });
});

Deno.test("locks, rings, versions and queues refuse what is described as another kind", () => {
  withNames((lock, ring, versions, queue, array) => {
    const all = [
      new SharedMemoryLock(lock).create(),
      new SharedMemoryRing([2], "float32", ring, 4).create(),
      new SharedMemoryVersions([8], "int16", versions).create(),
      new SharedMemoryQueue(queue, 4).create(),
    ];
    for (const made of all) {
      const again = () => (made.constructor as typeof SharedMemoryLock).from(made as never).load();
      again().close();
      // The magic is still the right one.
      describeAs(made.name, { kind: "array", shape: [2], dtype: "<f4" });
      const error = errorOf(again);
      assertInstanceOf(error, TypeError);
      assertStringIncludes(error.message, "described as an array");
      describeAs(made.name, { kind: "barrier" });
      assertStringIncludes(errorOf(again).message, "described as a barrier");
      describeAs(made.name, "no description");
      again().close();
      made.unlink();
      made.close();
    }
    // An array of a lock's size that is described is refused, and not waited for.
    using sma = new SharedMemoryArray([4], "int32", array);
    sma.create();
    assertInstanceOf(errorOf(() => new SharedMemoryLock(array).load()), TypeError);
    sma.unlink();
  });
});

Deno.test("load() takes a description that another program wrote in its own way", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create({ describe: false });
    for (
      const text of [
        `{"kind": "array", "shape": [2, 3], "dtype": "<f4"}`,
        `{ "dtype": "float32", "shape": [2,3],\n "kind": "array", "by": "somebody" }`,
        `{"kind":"array","shape":[2,3],"dtype":"f4","layout":{"byteOffset":0,"stride":[3,1]}}`,
      ]
    ) {
      describeAs(name, text);
      assertEquals(loadError(SharedMemoryArray.clone(sma) as SharedMemoryArray), null);
      using alone = SharedMemoryArray.attach(name);
      assertEquals([alone.shape, alone.dtype], [[2, 3], "float32"]);
    }
    sma.unlink();
  });
});

// --- What is no description ------------------------------------------------------------------

/** Texts that no program of ours writes. */
function hostileTexts(): (string | Uint8Array)[] {
  const random = new Random(seedOf(24));
  const scrap = (): unknown =>
    random.oneOf<() => unknown>([
      () => null,
      () => -1,
      () => 1e308,
      () => 2 ** 53,
      () => 0.5,
      () => "array",
      () => "<f4",
      () => ">f4",
      () => "lock",
      () => [],
      () => [2, 3],
      () => [0],
      () => [2 ** 40, 2 ** 40],
      () => Array(500).fill(2),
      () => [[[]]],
      () => ({}),
      () => ({ byteOffset: 2 ** 52, stride: [3, 1] }),
      () => ({ byteOffset: 0, stride: [-3, -1] }),
      () => ({ byteOffset: 8, stride: [1e15, 1] }),
      () => true,
    ])();
  return Array.from({ length: 300 }, (_, i) => {
    if (i % 3 === 0) {
      const length = random.integer(1, i % 2 === 0 ? 60 : 4096);
      return Uint8Array.from({ length }, () => random.integer(0, 255));
    }
    const plain: { [key: string]: unknown } = { kind: "array", shape: [2, 3], dtype: "<f4" };
    const count = random.integer(1, 3);
    for (let n = 0; n < count; n++) {
      plain[random.oneOf(["kind", "shape", "dtype", "layout", "toString"])] = scrap();
    }
    const text = JSON.stringify(plain);
    return i % 3 === 1 ? text : text.slice(0, random.integer(1, text.length));
  });
}

Deno.test("load(), attach() and list() bear 300 hostile descriptions", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create();
    for (const text of hostileTexts()) {
      describeAs(name, text);
      for (
        const action of [
          () => SharedMemoryArray.clone(sma).load().size,
          () => SharedMemoryArray.attach(name).array!.toArray(),
        ]
      ) {
        try {
          action();
        } catch (error) {
          // Another kind is a TypeError, another array a RangeError; both are messages of ours.
          assert(error instanceof RangeError || error instanceof TypeError, String(error));
          assertStringIncludes(error.message, "Cannot ");
          if (error instanceof TypeError) {
            assertStringIncludes(error.message, "the segment is that");
          }
        }
      }
    }
    const { shape, dtype, byteLength } = SharedMemoryArray.list().find((entry) =>
      entry.name === name
    )!;
    assert(shape === null || shape.length > 0 || dtype !== null);
    assertEquals(byteLength, 24);
    sma.unlink();
  });
});

Deno.test("a description that the segment is too small for is refused by attach(), and list() tells none", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    sma.create();
    for (
      const described of [
        { kind: "array", shape: [2, 4], dtype: "<f4" },
        { kind: "array", shape: [2 ** 40], dtype: "<f8" },
        {
          kind: "array",
          shape: [2, 3],
          dtype: "<f4",
          layout: { byteOffset: 4, stride: [3, 1] },
        },
      ]
    ) {
      describeAs(name, described);
      const error = errorOf(() => SharedMemoryArray.attach(name));
      assertInstanceOf(error, RangeError);
      assertStringIncludes(error.message, "the segment has 24 bytes");
      const entry = SharedMemoryArray.list().find((entry) => entry.name === name)!;
      assertEquals([entry.kind, entry.shape, entry.dtype], [null, null, null]);
    }
    sma.unlink();
  });
});

// --- Systems without -------------------------------------------------------------------------

/** What a program sees that makes, loads and lists segments of every kind. */
const everything = `
  const { SharedMemoryRing, SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
  const [name, copy] = Deno.args;
  const { SharedMemoryArray: Patient } = await import(copy);
  const told = (fn) => { try { return fn(); } catch (error) { return [error.name, error.message]; } };
  using small = new SharedMemoryArray([2, 3], "float32", name);
  small.create({ mode: 0o640 }).fill(1);
  using large = new SharedMemoryArray([2 ** 21], "uint8", name + "-large");
  large.create().fill(2);
  using ring = new SharedMemoryRing([4], "int16", name + "-ring", 4).create();
  using table = new SharedMemoryVersions([4], "int16", name + "-table").create();
  await table.publish((next) => void next.fill(3));
  using other = new SharedMemoryArray([24], "uint8", name);
  // By a copy that waits ten minutes for a description, if it may come.
  const start = performance.now();
  const attached = told(() => Patient.attach(name).shape);
  const isAwaited = performance.now() - start > 60_000;
  const kinds = SharedMemoryArray.list().filter((entry) => entry.name.startsWith(name))
    .map(({ kind, shape, dtype, mode }) => [kind, shape, dtype, mode]).slice(0, 3);
  const seen = [
    told(() => other.load().size), table.current().array.get(0), attached, kinds,
    Deno.lstatSync("/dev/shm/" + name).mode & 0o777,
  ];
  for (const each of [small, large, ring, table]) each.unlink();
  console.log(JSON.stringify({ seen, isAwaited }));
`;

/** Runs it, with a shell command before. */
async function checkWithout(name: string, before?: string): Promise<void> {
  await using copy = await changedCopy([never("src/segment/mapping.ts", "SIZE_TIMEOUT", 1000)]);
  const args = [name, copy.url("mod.ts")];
  const { seen, isAwaited } = await evalChild(everything, { args, before }) as {
    seen: unknown[];
    isAwaited: boolean;
  };
  const [loaded, version, attached, kinds, mode] = seen;
  assertEquals([loaded, version, mode], [24, 3, 0o640]);
  assertEquals((attached as string[])[0], "RangeError");
  assertStringIncludes((attached as string[])[1], "nothing describes the segment");
  assert(!isAwaited, "it was waited for, though it cannot come");
  // A ring is known by its magic.
  assertEquals(kinds, [
    [null, null, null, 0o640],
    [null, null, null, 0o600],
    ["ring", null, null, 0o600],
  ]);
}

testWith(
  "namespaces",
  "where the file system has no attributes, all else works",
  () =>
    withNames(async (name) => {
      const before = inNamespaces("--mount", "mount -t ramfs ramfs /dev/shm");
      await checkWithout(name, before);
    }),
);

const refusals: { [code: string]: number } = {
  EPERM: 1,
  E2BIG: 7,
  EACCES: 13,
  ENOSPC: 28,
  ENOSYS: 38,
  EDQUOT: 122,
};
for (const [code, errno] of Object.entries(refusals)) {
  testWith(
    "cc",
    `where attributes are refused with ${code}, all else works`,
    () =>
      withFolder((folder) =>
        withNames(async (name) => {
          const refuse = compile("refuse_nameless.c", folder);
          const before = `set -- '${refuse}' ${errno} attributes "$@"`;
          await checkWithout(name, before);
        })
      ),
  );
}
