// What is no array is never taken for one: neither by its descriptor nor by its segment. Nothing of it is written.

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray, shmarrayWrap } from "../../mod.ts";
import { SharedMemoryRing, SharedMemoryVersions } from "../../src/publish/mod.ts";
import { SharedMemoryQueue } from "../../src/queue/mod.ts";
import { SharedMemoryBarrier, SharedMemoryLock } from "../../src/sync/mod.ts";
import { magics } from "../../src/words.ts";
import { errorOf, mappingsOf, segmentPath, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** Makes a segment of another kind, and something in it. */
const others: { [kind: string]: (name: string) => Disposable } = {
  lock: (name) => new SharedMemoryLock(name).create(),
  ring: (name) => {
    const ring = new SharedMemoryRing([4], "int32", name, 2).create();
    ring.write([1, 2, 3, 4]);
    return ring;
  },
  versions: (name) => new SharedMemoryVersions([4], "int32", name).create(),
  queue: (name) => new SharedMemoryQueue(name, 4).create(),
  barrier: (name) => new SharedMemoryBarrier(name, 2).create(),
};

/** How each other kind attaches. */
const loading: { [kind: string]: (name: string) => Disposable } = {
  lock: (name) => new SharedMemoryLock(name).load(),
  ring: (name) => new SharedMemoryRing([4], "int32", name, 2).load(),
  versions: (name) => new SharedMemoryVersions([4], "int32", name).load(),
  queue: (name) => new SharedMemoryQueue(name, 4).load(),
  barrier: (name) => new SharedMemoryBarrier(name, 2).load(),
};

/** The ways in which a program comes to attach an array. */
const attaching: { [how: string]: (name: string) => unknown } = {
  "load()": (name) => new SharedMemoryArray(4, "uint8", name).load(),
  'load({ access: "copy-on-write" })': (name) =>
    new SharedMemoryArray(4, "uint8", name).load({ access: "copy-on-write" }),
  "load() of more than there is": (name) => new SharedMemoryArray(2 ** 30, "uint8", name).load(),
  "load() with a layout": (name) =>
    new SharedMemoryArray(2, "uint8", name, null, { byteOffset: 4 }).load(),
  "clone()": (name) => SharedMemoryArray.clone(new SharedMemoryArray(4, "uint8", name)).load(),
  "from()": (name) => SharedMemoryArray.from({ shape: 4, dtype: "uint8", name }).load(),
  "shmarrayWrap() of an instance": (name) =>
    shmarrayWrap((view: unknown) => view)(new SharedMemoryArray(4, "uint8", name)),
  "shmarrayWrap() of a descriptor": (name) =>
    shmarrayWrap((view: unknown) => view)({ shape: 4, dtype: "uint8", name }),
};

for (const [kind, make] of Object.entries(others)) {
  Deno.test(`an array refuses the segment of kind ${kind}, however it is attached`, () => {
    withNames((name) => {
      using _other = make(name);
      const before = Deno.readFileSync(segmentPath(name));
      const mappings = mappingsOf(name);
      for (const [how, attach] of Object.entries(attaching)) {
        const error = errorOf(() => attach(name));
        assertEquals(error.constructor, TypeError, how);
        assertStringIncludes(error.message, `Cannot load '${name}' as an array: `, how);
      }
      assertEquals(mappingsOf(name), mappings);
      assertEquals(Deno.readFileSync(segmentPath(name)), before);
    });
  });
}

for (const [kind, make] of Object.entries(loading)) {
  Deno.test(`the kind ${kind} refuses an array of any size by its description, and writes nothing`, () =>
    withNames((name) => {
      for (const length of [1, 4, 6, 100]) {
        using sma = new SharedMemoryArray([length], "float32", name);
        sma.create();
        assertThrows(() => make(name), TypeError, "array");
        assertEquals(sma.array!.toArray(), new Array(length).fill(0));
        assertEquals(mappingsOf(name), 1);
        sma.unlink();
      }
    }));
}

Deno.test("an array takes what only resembles another kind", () => {
  withNames((name) => {
    const fill = (byteLength: number, text: string, at: number): void => {
      using memory = SharedMemory.create(name, byteLength);
      new TextEncoder().encodeInto(text, new Uint8Array(memory.buf!, at));
      memory.close();
      using sma = new SharedMemoryArray(byteLength, "uint8", name);
      assertEquals(sma.load().size, byteLength);
      sma.unlink();
    };
    fill(magics.lock.size, "LCK2", magics.lock.at);
    fill(magics.lock.size + 1, magics.lock.text, magics.lock.at); // no lock has this size
    fill(7, magics.ring.text.slice(0, 7), 0); // too short for the whole magic
    fill(200, magics.ring.text, 1);
    fill(200, magics.versions.text.toLowerCase(), 0);
    fill(200, `${magics.barrier.text.slice(0, 7)}2`, 0);
    fill(200, "", 0);
  });
});

Deno.test("SharedMemory.open() looks at the bytes of any kind", () => {
  withNames((name) => {
    using _lock = new SharedMemoryLock(name).create();
    using memory = SharedMemory.open(name);
    assertEquals(memory.size, 16);
  });
});

// --- Descriptors ---------------------------------------------------------------------------------

const shaped = { shape: [4], dtype: "int32", name: "some-name" } as const;
for (const kind of ["lock", "ring", "versions", "queue", "barrier"]) {
  Deno.test(`from() and shmarrayWrap() refuse the descriptor of kind ${kind}`, () => {
    for (
      const descriptor of [{ ...shaped, kind }, JSON.parse(JSON.stringify({ kind, ...shaped }))]
    ) {
      for (
        const take of [
          () => SharedMemoryArray.from(descriptor),
          () => SharedMemoryArray.from(descriptor, "int32"),
          () => shmarrayWrap((view: unknown) => view)(descriptor),
          () => shmarrayWrap((job: unknown) => job)({ id: 1, input: descriptor }),
          () => shmarrayWrap((list: unknown) => list)([descriptor]),
        ]
      ) {
        const error = errorOf(take);
        assertEquals(error.constructor, TypeError);
        assertStringIncludes(error.message, `is of the kind "${kind}"`);
      }
    }
    const error = errorOf(() => SharedMemoryArray.from({ kind, name: "some-name" } as never));
    assertStringIncludes(
      error.message,
      `SharedMemory${kind[0].toUpperCase()}${kind.slice(1)}.from()`,
    );
  });
}

Deno.test("from() takes a job message, whatever else it holds", () => {
  const job = {
    ...shaped,
    id: 17,
    kind: "resize",
    order: "by-row",
    priority: [1],
    constructor: "x",
    offset: 3,
    strideLength: 2,
  };
  assertEquals({ ...SharedMemoryArray.from(job) }, { ...SharedMemoryArray.from(shaped) });
  for (const order of [7, null, "c", "FIFO", ["C"]]) {
    assertEquals(SharedMemoryArray.from({ ...shaped, order }).name, "some-name");
  }
  assertEquals(SharedMemoryArray.from({ ...shaped, kind: "array" }).name, "some-name");
});

const confused: [key: string, value: unknown, right: string][] = [
  ["array_slice", ["0:2"], "arraySlice"],
  ["array_slice", null, "arraySlice"],
  ["strides", [4], "layout: { stride }"],
  ["byteOffset", 8, "layout: { byteOffset }"],
  ["order", "C", "layout: { stride }"],
  ["order", "F", "layout: { stride }"],
];
for (const [key, value, right] of confused) {
  Deno.test(`from() refuses ${key}: ${JSON.stringify(value)}, and names the right key`, () => {
    for (const layout of [undefined, { byteOffset: 4 }]) {
      const error = errorOf(() => SharedMemoryArray.from({ ...shaped, layout, [key]: value }));
      assertEquals(error.constructor, TypeError);
      assertStringIncludes(error.message, key);
      assertStringIncludes(error.message, right);
    }
  });
}

// --- A dtype that is checked -----------------------------------------------------------------------

Deno.test("from() that list.map() calls says how to write it", () => {
  // The compiler takes all of these.
  const calls: { [name: string]: () => unknown } = {
    SharedMemoryArray: () => JSON.parse(JSON.stringify([shaped])).map(SharedMemoryArray.from),
    SharedMemoryRing: () => [{ ...shaped, slots: 2 }].map(SharedMemoryRing.from),
    SharedMemoryVersions: () => [shaped].map(SharedMemoryVersions.from),
  };
  for (const [name, call] of Object.entries(calls)) {
    assertThrows(
      call,
      TypeError,
      "Cannot use this dtype: 0 names none; list.map() gives from() an index, too: " +
        `write (each) => ${name}.from(each)`,
    );
  }
});

Deno.test("from(descriptor, dtype) checks the element type", () => {
  const text = JSON.stringify({ ...shaped, dtype: "<i4" });
  for (const dtype of ["int32", "<i4", "i4", Int32Array] as const) {
    assertEquals(SharedMemoryArray.from(JSON.parse(text), dtype).dtype, "int32");
  }
  for (const dtype of ["uint32", "float32", "int64", Uint8Array] as const) {
    const error = errorOf(() => SharedMemoryArray.from(JSON.parse(text), dtype));
    assertEquals(error.constructor, RangeError);
    assertStringIncludes(error.message, `"some-name" is described as one of int32`);
  }
  assertEquals(
    errorOf(() => SharedMemoryArray.from(JSON.parse(text), "int33" as never)).name,
    "TypeError",
  );
  assertEquals(SharedMemoryArray.from(JSON.parse(text), undefined as never).dtype, "int32");
});

Deno.test("from(view, dtype) checks the element type of the view", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "int16", name);
    const view = sma.create();
    assertEquals(SharedMemoryArray.from(view.slice(1), "int16").shape, [3]);
    assertEquals(errorOf(() => SharedMemoryArray.from(view, "uint16")).name, "RangeError");
    assert(sma.unlink());
  });
});
