// Where an array lies in its segment: layouts, and the views that describe themselves by one.

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  createAndRegisterSma,
  type DType,
  type MemoryLayout,
  NDArray,
  SharedMemory,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
  shmarrayWrap,
} from "@shm/array";
import { bytesPerElement, dtypes, numpyTypeString, typedArrayOf } from "@shm/array/dtype";
import { errorOf, segmentExists, uniqueName, withNames } from "../helpers/helpers.ts";
import { Peer } from "../helpers/python.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";
import { Random, seedOf } from "../helpers/random.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** Takes anything for arguments, as JavaScript does. */
const construct = (...args: unknown[]): SharedMemoryArray =>
  Reflect.construct(SharedMemoryArray, args);

// --- The layout of an instance ---------------------------------------------------------------

Deno.test("a layout is an own enumerable property, frozen, only where it was given", () => {
  const given = { byteOffset: 8, stride: [1, 2] };
  const sma = construct([2, 3], "int32", "a", null, given);
  assertEquals(Object.keys(sma), ["shape", "dtype", "name", "arraySlice", "layout"]);
  assertEquals(sma.layout, { byteOffset: 8, stride: [1, 2] });
  assertNotEquals(sma.layout as unknown, 1);
  assert(
    sma.layout !== given && Object.isFrozen(sma.layout) && Object.isFrozen(sma.layout!.stride),
  );
  given.stride[0] = 5; // it was copied
  assertEquals(sma.layout!.stride, [1, 2]);
  assertThrows(() => Object.assign(sma, { layout: null }), TypeError);

  for (const without of [construct(2, "int8", "a"), construct(2, "int8", "a", null, null)]) {
    assertEquals(Object.keys(without), ["shape", "dtype", "name", "arraySlice"]);
    assertEquals(["layout" in without, without.layout], [false, undefined]);
  }
  assertEquals(construct(2, "int16", "a", null, { byteOffset: 4 }).layout, { byteOffset: 4 });
  assertEquals(construct(2, "int16", "a", null, { stride: [-0] }).layout, { stride: [0] });
});

Deno.test("a layout travels through JSON, structuredClone, from() and clone()", () => {
  const layout = { byteOffset: 16, stride: [-1] };
  const sma = construct(3, "int32", "a", ["1:"], layout);
  const copies = [
    JSON.parse(JSON.stringify(sma)),
    structuredClone({ ...sma }),
    structuredClone(sma),
  ];
  for (const copy of copies) {
    assertEquals(copy, { shape: [3], dtype: "int32", name: "a", arraySlice: ["1:"], layout });
    assertEquals({ ...SharedMemoryArray.from(copy) }, { ...sma });
  }
  assertEquals(SharedMemoryArray.clone(sma).layout, layout);
  assertEquals(SharedMemoryArray.clone(sma, { layout: null }).layout, undefined);
  assertEquals(SharedMemoryArray.clone(sma, { layout: { byteOffset: 4 } }).layout, {
    byteOffset: 4,
  });
  const plain = { shape: 3, dtype: "int32", name: "a" } as const;
  assertEquals(SharedMemoryArray.from({ ...plain, layout: null }).layout, undefined);
  // What hangs on the prototype is nobody's.
  assertEquals(
    SharedMemoryArray.from(Object.assign(Object.create({ layout }), plain) as typeof plain).layout,
    undefined,
  );
});

Deno.test("create() makes as many bytes as the layout reaches, zero-filled", () => {
  const cases: [shape: number[], dtype: DType, layout: MemoryLayout, bytes: number][] = [
    [[2, 3], "uint8", {}, 6],
    [[2, 3], "float64", { byteOffset: 16 }, 64],
    [[2, 3], "float64", { stride: [1, 2] }, 48], // Fortran's order
    [[2, 3], "uint8", { byteOffset: 16, stride: [4, 1] }, 23], // padded rows
    [[4], "int16", { byteOffset: 6, stride: [-1] }, 8],
    [[2, 3], "int32", { byteOffset: 4 * 5, stride: [-3, -1] }, 24],
    [[3], "int8", { stride: [0] }, 1], // every element is the same one
    [[], "int64", { byteOffset: 8 }, 16],
    [[1, 1], "int8", { stride: [1000, -7] }, 1], // along which nothing steps
  ];
  for (const [shape, dtype, layout, bytes] of cases) {
    withNames((name) => {
      using sma = construct(shape, dtype, name, null, layout);
      const array = sma.create();
      assertEquals([sma.smh!.size, Deno.statSync(`/dev/shm/${name}`).size], [bytes, bytes]);
      assertEquals(new Set(new Uint8Array(sma.smh!.buf!)), new Set([0]));
      assertEquals(array.shape, shape);
      assertEquals([...array].length, array.size);
      array.fill((dtype.includes("64") && dtype.includes("int") ? 1n : 1) as never);
      sma.unlink();
    });
  }
});

Deno.test("elements of a layout are where NumPy would have them", () => {
  withNames((name) => {
    const layout = { byteOffset: 2 + 9, stride: [-4, 1] };
    using rows = construct([3, 2], "uint8", name, ["1:", "::-1"], layout);
    const whole = rows.create();
    whole.assign([[1, 2], [3, 4], [5, 6]]);
    const bytes = new Uint8Array(rows.smh!.buf!);
    assertEquals([...bytes], [0, 0, 0, 5, 6, 0, 0, 3, 4, 0, 0, 1, 2]);
    assertEquals([whole.get(0, 0), whole.get(-1, -1)], [1, 6]);
    whole.fill(9); // the elements only
    assertEquals([...bytes], [0, 0, 0, 9, 9, 0, 0, 9, 9, 0, 0, 9, 9]);
    whole.assign([[1, 2], [3, 4], [5, 6]]);
    // load() takes arraySlice of that.
    using part = SharedMemoryArray.clone(rows);
    assertEquals(part.load().toArray(), [[4, 3], [6, 5]]);
    rows.unlink();
  });
});

Deno.test("several arrays lie in one segment, behind a header", () => {
  withNames((name) => {
    using bytes = SharedMemory.create(name, 128);
    new Uint32Array(bytes.buf!, 0, 1)[0] = 0xc0ffee;
    using red = construct([2, 2], "float32", name, null, { byteOffset: 16 });
    using blue = construct([2, 2], "float64", name, null, { byteOffset: 32 });
    red.load().fill(1);
    blue.load().fill(2);
    assertEquals(new Uint32Array(bytes.buf!)[0], 0xc0ffee);
    assertEquals([...new Float32Array(bytes.buf!, 16, 4)], [1, 1, 1, 1]);
    assertEquals([...new Float64Array(bytes.buf!, 32, 4)], [2, 2, 2, 2]);
    // The typed array begins and ends with the elements: it is no way to the others.
    assertEquals([red.array!.data.byteOffset, red.array!.data.length], [16, 4]);
    bytes.unlink();
  });
});

Deno.test("load() compares the segment's size with what the layout reaches", () => {
  withNames((name) => {
    using memory = SharedMemory.create(name, 24);
    const fits = construct([2, 3], "int32", name, null, { byteOffset: 20, stride: [-3, -1] });
    assertEquals(fits.load().size, 6);
    fits.close();
    const beyond = construct([2, 3], "int32", name, null, { byteOffset: 4 });
    const error = errorOf(() => beyond.load());
    assertEquals(error.constructor, RangeError);
    assertEquals(
      error.message,
      `Cannot load '${name}': the segment has 24 bytes, and shape [2, 3] of int32 needs 28 in its layout`,
    );
    assertEquals(beyond.smh, null);
    memory.unlink();
  });
});

Deno.test("a wrong layout is refused before anything is made", () => {
  type Class = typeof TypeError | typeof RangeError;
  const misuses: [shape: unknown, dtype: string, layout: unknown, Class, message: RegExp][] = [
    [[2, 3], "int32", 5, TypeError, /^Cannot use this layout: .* must be an object, not a number/],
    [[2, 3], "int32", [], TypeError, /must be an object, not an array/],
    [[2, 3], "int32", { strides: [1, 2] }, TypeError, /no option "strides".* byteOffset, stride/],
    [[2, 3], "int32", { offset: 4 }, TypeError, /no option "offset"/],
    [
      [2, 3],
      "int32",
      { byteOffset: "4" },
      TypeError,
      /byteOffset must be an integer, not a string/,
    ],
    [[2, 3], "int32", { byteOffset: 4n }, TypeError, /byteOffset must be an integer, not a bigint/],
    [[2, 3], "int32", { byteOffset: null }, TypeError, /byteOffset must be an integer, not null/],
    [[2, 3], "int32", { byteOffset: 0.5 }, RangeError, /byteOffset must be a safe integer/],
    [[2, 3], "int32", { byteOffset: 2 ** 53 }, RangeError, /byteOffset must be a safe integer/],
    [[2, 3], "int32", { byteOffset: -4 }, RangeError, /byteOffset -4 is negative/],
    [[2, 3], "int32", { byteOffset: 2 }, RangeError, /2 is no multiple of the 4 bytes of a int32/],
    [[2, 3], "int32", { stride: 3 }, TypeError, /Cannot use this stride: it must be an array/],
    [[2, 3], "int32", { stride: "3,1" }, TypeError, /it must be an array of integers/],
    [[2, 3], "int32", { stride: [3, "1"] }, TypeError, /an entry must be an integer/],
    [[2, 3], "int32", { stride: [3, 1.5] }, RangeError, /an entry must be a safe integer/],
    [
      [2, 3],
      "int32",
      { stride: [3] },
      RangeError,
      /stride \[3\] has 1 entries, and the shape has 2/,
    ],
    [[2, 3], "int32", { stride: [3, 1, 1] }, RangeError, /has 3 entries/],
    [[2, 3], "int32", { stride: [-3, 1] }, RangeError, /begins 12 bytes before the segment/],
    [[2, 3], "int32", { byteOffset: 8, stride: [3, -2] }, RangeError, /begins 8 bytes before/],
    [[2, 3], "int32", { stride: [2 ** 52, 1] }, RangeError, /more than 2\^53 - 1 bytes/],
    [[2, 3], "int8", { byteOffset: 2 ** 53 - 4 }, RangeError, /more than 2\^53 - 1 bytes/],
    [[2 ** 40], "int8", { stride: [2 ** 52] }, RangeError, /more than 2\^53 - 1 bytes/],
    [[2 ** 40], "int8", { stride: [-(2 ** 52)] }, RangeError, /before the segment/],
  ];
  for (const [shape, dtype, layout, Class, message] of misuses) {
    const error = errorOf(() => construct(shape, dtype, uniqueName(), null, layout));
    assertEquals([error.constructor, layout], [Class, layout]);
    assertMatch(error.message, message);
    assert(error.message.length < 300);
  }
  // A selection is resolved against the shape, as always.
  assertThrows(() => construct([2, 3], "int8", "a", [2], { byteOffset: 4 }), RangeError, "bounds");
});

Deno.test("from() refuses keys that look like ours and are not, and names the right one", () => {
  const job = { shape: [2, 3], dtype: "int8", name: "a" } as const;
  const mistaken: [key: string, value: unknown, right: string][] = [
    ["array_slice", ["0:1"], "arraySlice"],
    ["strides", [3, 1], "layout: { stride }"],
    ["order", "F", "layout: { stride }"],
    ["byteOffset", 4, "layout: { byteOffset }"],
    ["stride", [1, 2], "layout: { stride }"],
  ];
  for (const [key, value, right] of mistaken) {
    for (const more of [{}, { layout: { byteOffset: 4 } }]) {
      const given = { ...job, ...more, [key]: value } as SharedMemoryDescriptor;
      const error = errorOf(() => SharedMemoryArray.from(given));
      assertEquals(error.constructor, TypeError);
      assertStringIncludes(error.message, `${key} is none of its keys`);
      assertStringIncludes(error.message, right);
    }
  }
  // A job message may hold whatever else it likes.
  const others = { task: "blur", offset: 4, data: [1], size: 6, radius: 2, layouts: 1 };
  assertEquals(SharedMemoryArray.from({ ...job, ...others } as typeof job).shape, [2, 3]);
});

// --- Views that describe themselves ----------------------------------------------------------

Deno.test("toJSON() of a view of a shared array is its description, a few bytes", () => {
  using register = new SharedMemoryRegister();
  using image = createAndRegisterSma([1080, 1920, 3], "uint8", register);
  const text = JSON.stringify({ image: image.array!.slice("0:540") });
  assert(text.length < 250, `${text.length} characters`);
  assertEquals(JSON.parse(text), {
    image: {
      shape: [540, 1920, 3],
      dtype: "uint8",
      name: image.name,
      arraySlice: null,
      layout: { byteOffset: 0, stride: [5760, 3, 1] },
    },
  });
});

Deno.test("from(view) shares exactly what any slice, transpose or reversed view shows", () => {
  const random = new Random(seedOf(14));
  for (const anonymous of [false, true]) {
    using register = new SharedMemoryRegister();
    for (let round = 0; round < 150; round++) {
      const dtype = random.oneOf(dtypes);
      const shape = Array.from({ length: random.integer(0, 4) }, () => random.integer(1, 5));
      using sma = createAndRegisterSma(shape, dtype, register, null, { anonymous });
      const isBig = dtype === "int64" || dtype === "uint64";
      const values = Array.from({ length: sma.array!.size }, (_, i) => isBig ? BigInt(i) : i % 100);
      (sma.array as NDArray).data.set(values as never);
      let view = sma.array as NDArray;
      for (let step = random.integer(0, 3); step > 0; step--) {
        view = random.chance(0.3)
          ? view.transpose(...random.permutation(view.ndim))
          : view.slice(...view.shape.map((length) =>
            random.chance(0.2) && length > 0
              ? random.integer(-length, length - 1)
              : random.oneOf([null, "::-1", "::2", "1:", ":-1", "-1::-2"])
          ));
      }
      if (view.size === 0) {
        assertThrows(() => SharedMemoryArray.from(view), RangeError, "it has no elements");
        continue;
      }
      using same = SharedMemoryArray.from(view);
      using sent = SharedMemoryArray.from(JSON.parse(JSON.stringify(view)));
      assertEquals({ ...sent }, { ...same });
      assertEquals(same.load().toArray(), view.toArray());
      assertEquals(sent.load().stride, view.stride);
      assertEquals(JSON.stringify(sent.array), JSON.stringify(view)); // from the copy on, it is the same
      sent.array!.fill((isBig ? 5n : 5) as never);
      assertEquals(view.toArray(), same.array!.toArray());
      assertEquals(new Set(view), new Set([isBig ? 5n : dtype === "bool" ? 1 : 5]));
    }
  }
});

Deno.test("a view over SharedMemory's buffer describes itself, too", () => {
  withNames((name) => {
    using memory = SharedMemory.create(name, 64);
    const view = new NDArray(new Int16Array(memory.buf!, 8, 20), { shape: [3, 4], offset: 2 });
    const descriptor = view.slice(1, "::-1").toJSON();
    assertEquals(descriptor, {
      shape: [4],
      dtype: "int16",
      name,
      arraySlice: null,
      layout: { byteOffset: 8 + 2 * (2 + 4 + 3), stride: [-1] },
    });
    view.slice(1).assign([1, 2, 3, 4]);
    using part = SharedMemoryArray.from(descriptor as SharedMemoryDescriptor<"int16">);
    assertEquals(part.load().toArray(), [4, 3, 2, 1]);
    memory.unlink();
  });
});

Deno.test("toJSON() of other memory is toArray(), never the buffer behind it", () => {
  const large = new Float32Array(100_000);
  const view = new NDArray(large, { shape: [250, 400] }).slice("0:2", "3:5");
  large[403] = 1.5;
  assertEquals(JSON.stringify(view), "[[0,0],[1.5,0]]");
  assertEquals(JSON.stringify(new NDArray(Int8Array.of(7), { shape: [] })), "7");
  assertEquals(JSON.stringify(new NDArray(Float64Array.of(NaN, 1))), "[null,1]");
  assertEquals(JSON.stringify(new NDArray(new Uint8Array(new SharedArrayBuffer(2)))), "[0,0]");
  // JSON has no bigints, wherever they stand.
  const big = new NDArray(BigInt64Array.of(1n));
  assertEquals(big.toJSON(), [1n]);
  assertThrows(() => JSON.stringify(big), TypeError, "BigInt");
});

Deno.test("toJSON() and from() of a closed or moved array's view", () => {
  withNames((name) => {
    const sma = construct(4, "int64", name);
    const view = sma.create();
    assertEquals(view.toJSON().name, name); // bigints are no obstacle: no element travels
    const moved = new NDArray(new BigInt64Array(structuredClone(sma.smh!.buf!)));
    sma.close();
    for (
      const use of [
        () => view.toJSON(),
        () => JSON.stringify({ view }),
        () => SharedMemoryArray.from(view),
      ]
    ) {
      assertThrows(use, Deno.errors.BadResource, "its memory is gone");
    }
    // A copy is other memory.
    const message = "Cannot make a SharedMemoryArray from this view: its memory is no segment";
    assertThrows(() => SharedMemoryArray.from(moved), TypeError, message);
    sma.unlink();
  });
});

Deno.test("from() tells who sent a view by postMessage that it was copied", () => {
  withNames((name) => {
    using sma = construct([2, 2], "uint8", name);
    const view = sma.create();
    const copied = structuredClone({ ...view });
    sma.unlink();
    const error = errorOf(() =>
      SharedMemoryArray.from(copied as unknown as SharedMemoryDescriptor)
    );
    assertEquals(error.constructor, TypeError);
    assertStringIncludes(error.message, "postMessage and structuredClone copy a view");
    assertStringIncludes(error.message, "view.toJSON()");
  });
});

// --- Wrapped functions -----------------------------------------------------------------------

Deno.test("shmarrayWrap() takes descriptors, in arguments, plain objects and arrays", () => {
  withNames((name) => {
    using sma = construct([2, 3], "int32", name);
    const array = sma.create();
    array.assign([[1, 2, 3], [4, 5, 6]]);
    const job = JSON.parse(JSON.stringify({ first: array.slice(0), all: sma, n: 3 }));
    const seen: NDArray[] = [];
    const call = shmarrayWrap((...args: unknown[]) => {
      const [first, { all, n }, [again, last]] = args as [
        NDArray,
        { all: NDArray; n: number },
        NDArray[],
      ];
      seen.push(first, all, again, last);
      assert(again === first, "one description was loaded twice");
      first.fill(0);
      return [n, all.toArray(), last.toArray()];
    });
    const before = JSON.stringify(job);
    const list = [{ ...job.first }, JSON.parse(JSON.stringify(array.slice("::-1", -1)))];
    assertEquals(call(job.first, job, list), [3, [[0, 0, 0], [4, 5, 6]], [6, 0]]);
    assertEquals(JSON.stringify(job), before); // what was given is not changed
    assertEquals(list.every((each) => Object.hasOwn(each, "name")), true);
    for (const view of seen) assertThrows(() => view.get(0), Deno.errors.BadResource);
    sma.unlink();
    // What cannot be loaded is an error of the call, and what was loaded before is closed.
    const gone = errorOf(() => call(job.first, job, []));
    assertEquals(gone.constructor, Deno.errors.NotFound);
  });
});

Deno.test("shmarrayWrap() leaves objects alone that only look a little like a descriptor", () => {
  const echo = shmarrayWrap((...args: unknown[]) => args);
  class Described {
    shape = [1];
    dtype = "int8";
    name = "a";
  }
  const given = [{ shape: [1], name: "a" }, { dtype: "int8", name: "a" }, new Described(), [[
    1,
    2,
  ]]];
  assertEquals(echo(...given).map((each, i) => each === given[i]), [true, true, true, true]);
  // One that is all there is checked as from() checks it.
  assertThrows(
    () => echo({ shape: [1], dtype: "int7", name: "a" }),
    TypeError,
    "Cannot use this dtype",
  );
});

Deno.test("shmarrayWrap() keeps descriptors attached until a promise has settled", async () => {
  await withNames(async (name) => {
    using sma = construct(2, "int32", name);
    sma.create().assign([1, 2]);
    const { promise, resolve } = Promise.withResolvers<void>();
    let view: NDArray | undefined;
    const pending = shmarrayWrap(async (given: NDArray<"int32">) => {
      view = given;
      await promise;
      return given.get(1);
    })({ shape: [2], dtype: "int32", name });
    assertEquals(view!.get(0), 1);
    resolve();
    assertEquals(await pending, 2);
    assertThrows(() => view!.get(0), Deno.errors.BadResource);
    sma.unlink();
    assertEquals(segmentExists(name), false);
  });
});

// --- NumPy -----------------------------------------------------------------------------------

interface Case {
  shape: number[];
  dtype: DType;
  layout: { byteOffset: number; stride: number[] };
}

/** A random layout within some 1,100 bytes; its elements may overlap, as NumPy's may. */
function randomLayout(random: Random): Case {
  const dtype = random.oneOf(dtypes);
  const shape = Array.from({ length: random.integer(0, 4) }, () => random.integer(1, 4));
  const stride = shape.map(() => random.integer(-6, 6));
  const lowest = shape.reduce((sum, n, axis) => sum + Math.min(0, (n - 1) * stride[axis]), 0);
  const byteOffset = (random.integer(0, 5) - lowest) * bytesPerElement(dtype);
  return { shape, dtype, layout: { byteOffset, stride } };
}

/** Whether no two elements are the same one: in which order such are written is nobody's promise. */
function isDistinct({ shape, layout: { stride } }: Case): boolean {
  const positions = shape.reduce(
    (sums, n, axis) =>
      sums.flatMap((sum) => Array.from({ length: n }, (_, i) => sum + i * stride[axis])),
    [0],
  );
  return new Set(positions).size === positions.length;
}

testWith(
  "NumPy",
  "2,000 random layouts hold the elements where NumPy has them, both ways",
  async () => {
    const random = new Random(seedOf(1402));
    const [rounds, batch] = [2000, 100];
    await using peer = new Peer();
    await peer.run(`
def lay(memory, shape, dtype, layout):
    size = np.dtype(dtype).itemsize
    strides = [size * step for step in layout["stride"]]
    return np.ndarray(shape, dtype, memory.buf, layout["byteOffset"], strides)

def read(name, jobs):
    memory = SharedMemory(name)
    resource_tracker.unregister(memory._name, "shared_memory")
    _kept.append(memory)
    return [list(lay(memory, *job).tobytes()) for job in jobs]

def write(jobs, seed):
    for job in jobs:
        array = lay(_kept[-1], *job)
        raw = bytes((seed + i) % 120 for i in range(array.nbytes))
        array[...] = np.frombuffer(raw, array.dtype).reshape(array.shape)
`);
    const jobsOf = (cases: readonly Case[]): string =>
      `json.loads('${
        JSON.stringify(cases.map(({ shape, dtype, layout }) => [
          shape,
          // The bytes of a bool are compared as they are.
          dtype === "bool" ? "|u1" : numpyTypeString(dtype),
          layout,
        ]))
      }')`;
    const typed = ({ dtype }: Case): DType => dtype === "bool" ? "uint8" : dtype;
    const load = (name: string, each: Case): SharedMemoryArray => {
      const sma = construct(each.shape, typed(each), name, null, each.layout);
      sma.load();
      return sma;
    };
    for (let done = 0; done < rounds; done += batch) {
      const name = uniqueName();
      using memory = SharedMemory.create(name, 1200);
      const bytes = new Uint8Array(memory.buf!);
      for (let i = 0; i < bytes.length; i++) bytes[i] = random.integer(0, 120);
      // What NumPy reads is what we read, to the bit.
      const toRead = Array.from({ length: batch }, () => randomLayout(random));
      const theirs: number[][] = await peer.ask(`read(${JSON.stringify(name)}, ${jobsOf(toRead)})`);
      toRead.forEach((each, i) => {
        using sma = load(name, each);
        const copy = sma.array!.copy();
        assertEquals([...new Uint8Array(copy.buffer, copy.byteOffset, copy.byteLength)], theirs[i]);
      });
      // What NumPy writes, one layout over the other, is what we write.
      const toWrite: Case[] = [];
      while (toWrite.length < batch) {
        const each = randomLayout(random);
        if (isDistinct(each)) toWrite.push(each);
      }
      const before = bytes.slice();
      await peer.run(`write(${jobsOf(toWrite)}, ${done % 100})`);
      const written = bytes.slice();
      bytes.set(before);
      for (const each of toWrite) {
        using sma = load(name, each);
        const array = sma.array!;
        const raw = new ArrayBuffer(array.size * bytesPerElement(each.dtype));
        new Uint8Array(raw).forEach((_, i, all) => all[i] = (done % 100 + i) % 120);
        const source = new (typedArrayOf(typed(each)))(raw);
        array.assign(new NDArray(source, { shape: each.shape }) as never);
      }
      assertEquals(bytes, written);
      memory.unlink();
    }
  },
);
