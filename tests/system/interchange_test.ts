/**
 * Arrays that we and Python share: CPython's `multiprocessing.shared_memory` and NumPy on one side, this
 * library on the other.
 */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  type DType,
  type NDArray,
  SharedMemory,
  SharedMemoryArray,
  slice,
  type SliceItem,
} from "@shm/array";
import { bytesPerElement, dtypes, numpyTypeString } from "@shm/array/dtype";
import { evalChild, segmentExists, segmentPath, withNames } from "../helpers/helpers.ts";
import { Peer, runPython } from "../helpers/python.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

// --- Both directions, every dtype ------------------------------------------------------------

/** An element as a number in words, or none for a NaN, and its bits as an unsigned integer. */
interface Sample {
  number: string | null;
  bits: bigint;
}

function float(number: string | null, bits: string): Sample {
  return { number, bits: BigInt(`0x${bits}`) };
}

/** Limits, zeros, infinities and NaNs with a payload, quiet and signalling; bits as IEEE 754 has them. */
const floats: { [dtype in DType]?: Sample[] } = {
  float16: [
    float("0", "0000"),
    float("-0", "8000"),
    float("65504", "7bff"), // the largest
    float("-65504", "fbff"),
    float("0.00006103515625", "0400"), // the smallest normal one
    float("5.960464477539063e-8", "0001"), // the smallest
    float("0.0999755859375", "2e66"),
    float("Infinity", "7c00"),
    float("-Infinity", "fc00"),
    float(null, "7e00"),
    float(null, "fe15"),
    float(null, "7c01"),
  ],
  float32: [
    float("0", "00000000"),
    float("-0", "80000000"),
    float("3.4028234663852886e38", "7f7fffff"),
    float("-3.4028234663852886e38", "ff7fffff"),
    float("1.1754943508222875e-38", "00800000"),
    float("1.401298464324817e-45", "00000001"),
    float("0.10000000149011612", "3dcccccd"),
    float("Infinity", "7f800000"),
    float("-Infinity", "ff800000"),
    float(null, "7fc00000"),
    float(null, "ffc0beef"),
    float(null, "7f800001"),
  ],
  float64: [
    float("0", "0000000000000000"),
    float("-0", "8000000000000000"),
    float("1.7976931348623157e308", "7fefffffffffffff"),
    float("-1.7976931348623157e308", "ffefffffffffffff"),
    float("2.2250738585072014e-308", "0010000000000000"),
    float("5e-324", "0000000000000001"),
    float("0.1", "3fb999999999999a"),
    float("9007199254740995", "4340000000000002"), // a tie, to even
    float("Infinity", "7ff0000000000000"),
    float("-Infinity", "fff0000000000000"),
    float(null, "7ff8000000000000"),
    float(null, "fff800000000beef"),
    float(null, "7ff0000000000001"),
  ],
};

/** Integers at the limits of a type, and beyond 2^53 where it goes that far. */
function integers(dtype: DType): Sample[] {
  const width = 8 * bytesPerElement(dtype);
  const signed = dtype.startsWith("int");
  const lowest = signed ? -(2n ** BigInt(width - 1)) : 0n;
  const highest = lowest + 2n ** BigInt(width) - 1n;
  const far = 2n ** 53n;
  return [lowest, lowest + 1n, -1n, 0n, 1n, far - 1n, far + 1n, -far - 1n, highest - 1n, highest]
    .filter((number) => number >= lowest && number <= highest)
    .map((number) => ({ number: String(number), bits: BigInt.asUintN(width, number) }));
}

function samplesOf(dtype: DType): Sample[] {
  if (dtype === "bool") return [0n, 1n].map((bits) => ({ number: String(bits), bits }));
  return floats[dtype] ?? integers(dtype);
}

/** The bytes of elements, the lowest first: shared memory holds what a little-endian machine has. */
function bytesOf(samples: readonly Sample[], dtype: DType): string {
  const digits = 2 * bytesPerElement(dtype);
  return samples.map(({ bits }) =>
    bits.toString(16).padStart(digits, "0").match(/../g)!.reverse().join("")
  ).join("");
}

/** What is stored where: each shape, and which samples fill it, from 0-d to 4-d. */
function fillings(dtype: DType): { shape: number[]; samples: Sample[] }[] {
  const samples = samplesOf(dtype);
  const fill = (shape: number[]): { shape: number[]; samples: Sample[] } => ({
    shape,
    samples: Array.from(
      { length: shape.reduce((size, length) => size * length, 1) },
      (_, at) => samples[at % samples.length],
    ),
  });
  return [
    ...samples.map((sample) => ({ shape: [], samples: [sample] })),
    ...[[samples.length], [3, 7], [2, 3, 5], [2, 1, 3, 4]].map(fill),
  ];
}

/** The elements as JavaScript writes them. */
function numbersOf(array: NDArray): string[] {
  return Array.from(array, (x) => Object.is(x, -0) ? "-0" : String(x));
}

/** The elements as Python's peer sends them, written as JavaScript writes them. */
function fromPython(texts: string[], dtype: DType): string[] {
  const isFloat = dtype.startsWith("float");
  return texts.map((text) => isFloat ? Number(text) : BigInt(text))
    .map((x) => Object.is(x, -0) ? "-0" : String(x));
}

function expectedNumbers(samples: readonly Sample[], dtype: DType): string[] {
  return fromPython(samples.map(({ number }) => number ?? "NaN"), dtype);
}

/** Stores numbers as numbers; NaNs, of which JavaScript knows one only, as bits. */
function storeSamples(sma: SharedMemoryArray, samples: readonly Sample[]): void {
  const view = sma.array!.reshape(-1);
  const bytes = new Uint8Array(sma.smh!.buf!);
  const isBig = sma.dtype === "int64" || sma.dtype === "uint64";
  samples.forEach((sample, at) => {
    if (sample.number === null) {
      const hex = bytesOf([sample], sma.dtype);
      bytes.set(hex.match(/../g)!.map((byte) => parseInt(byte, 16)), at * hex.length / 2);
    } else {
      const value = isBig ? BigInt(sample.number) : Number(sample.number);
      (view as NDArray<"int8">).set(at, value as number);
    }
  });
}

/** Bytes as hexadecimal digits; Deno 2.2 has no `Uint8Array.prototype.toHex()`. */
function digitsOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function hexOf(sma: SharedMemoryArray): string {
  return digitsOf(new Uint8Array(sma.smh!.buf!));
}

/** A NumPy array of a segment, in the peer's words. */
function attached(sma: SharedMemoryArray): string {
  const dtype = numpyTypeString(sma.dtype);
  return `attach(${JSON.stringify(sma.name)}, ${JSON.stringify(sma.shape)}, "${dtype}")`;
}

for (const dtype of dtypes) {
  testWith("NumPy", `create() makes what NumPy reads: ${dtype}, 0-d to 4-d`, async () => {
    await using peer = new Peer();
    await withNames(async (name) => {
      for (const { shape, samples } of fillings(dtype)) {
        using sma: SharedMemoryArray = new SharedMemoryArray(shape, dtype, name);
        sma.create();
        storeSamples(sma, samples);
        assertEquals(hexOf(sma), bytesOf(samples, dtype)); // nothing before, nothing after
        await peer.run(`a = ${attached(sma)}`);
        assertEquals(await peer.ask("a.tobytes().hex()"), bytesOf(samples, dtype));
        assertEquals(
          fromPython(await peer.ask("numbers_of(a)"), dtype),
          expectedNumbers(samples, dtype),
        );
        sma.unlink();
      }
    });
  });

  testWith("NumPy", `load() reads what NumPy stored: ${dtype}, 0-d to 4-d`, async () => {
    await using peer = new Peer();
    await withNames(async (name) => {
      for (const { shape, samples } of fillings(dtype)) {
        const where = `${JSON.stringify(name)}, ${JSON.stringify(shape)}`;
        const bits = samples.map((sample) => String(sample.bits));
        const numbers = JSON.stringify(samples.map(({ number }) => number)).replaceAll(
          "null",
          "None",
        );
        await peer.run(`a = create(${where}, "${numpyTypeString(dtype)}")`);
        await peer.run(`store(a, ${numbers}, ${JSON.stringify(bits)})`);
        using sma: SharedMemoryArray = new SharedMemoryArray(shape, dtype, name);
        const array = sma.load();
        assertEquals(array.shape, shape);
        assertEquals(hexOf(sma), bytesOf(samples, dtype));
        assertEquals(numbersOf(array), expectedNumbers(samples, dtype));
        sma.unlink();
      }
    });
  });
}

for (const dtype of ["float16", "float32", "float64"] as const) {
  testWith("NumPy", `assign() and copy() keep a NaN's bits as NumPy does: ${dtype}`, async () => {
    await using peer = new Peer();
    await withNames(async (name, other) => {
      // In runs of any length, and element by element.
      for (const [length, part] of [[3, ":"], [60, ":"], [60, "::-2"]] as const) {
        using from: SharedMemoryArray = new SharedMemoryArray(length, dtype, name);
        using to: SharedMemoryArray = new SharedMemoryArray(length, dtype, other);
        from.create();
        const nans = samplesOf(dtype).filter(({ number }) => number === null);
        storeSamples(from, Array.from({ length }, (_, at) => nans[at % nans.length]));
        const source = from.array!.slice(part);
        to.create().slice(part).assign(source as NDArray<"float64">);
        await peer.run(
          `a, b = ${attached(from)}, np.zeros(${length}, "${numpyTypeString(dtype)}")`,
        );
        await peer.run(`b[${part}] = a[${part}]`);
        assertEquals(hexOf(to), await peer.ask("b.tobytes().hex()"));
        const copy = source.copy();
        const bytes = new Uint8Array(copy.buffer, copy.byteOffset, copy.byteLength);
        assertEquals(digitsOf(bytes), await peer.ask(`a[${part}].copy().tobytes().hex()`));
        from.unlink();
        to.unlink();
      }
    });
  });
}

// --- By name, and at the same time -----------------------------------------------------------

testWith("NumPy", "create() adds no header: Python's SharedMemory has the very bytes", async () => {
  await using peer = new Peer();
  await withNames(async (name) => {
    using sma = new SharedMemoryArray([3, 5], "int16", name);
    sma.create().set(0, 0, 0x0201);
    await peer.run(`a = ${attached(sma)}; memory = gridr_like.open_untracked("${name}")`);
    assertEquals(await peer.ask("memory.name"), name);
    assertEquals(await peer.ask("memory.size"), 30);
    assertEquals(await peer.ask("bytes(memory.buf[:3]).hex()"), "010200");
    await peer.run("memory.close()");
    assertEquals(Deno.statSync(segmentPath(name)).size, 30);
  });
});

testWith("NumPy", "create() and NumPy see each other's writes", async () => {
  await using peer = new Peer();
  await withNames(async (name) => {
    using sma = new SharedMemoryArray([4, 6], "float32", name);
    const array = sma.create();
    await peer.run(`a = ${attached(sma)}`);
    array.set(1, 2, 0.5);
    array.slice(3).assign([1, 2, 3, 4, 5, 6]);
    assertEquals(await peer.ask("a[1, 2]"), 0.5);
    assertEquals(await peer.ask("a[3].tolist()"), [1, 2, 3, 4, 5, 6]);
    await peer.run("a[:, 0] = [7, 8, 9, 10]; a[1, 2] += 1");
    assertEquals(array.slice(":", 0).toArray(), [7, 8, 9, 10]);
    assertEquals(array.get(1, 2), 1.5);
    array.fill(-1);
    assertEquals(await peer.ask("np.unique(a).tolist()"), [-1]);
  });
});

testWith("NumPy", "load() and NumPy see each other's writes", async () => {
  await using peer = new Peer();
  await withNames(async (name) => {
    await peer.run(`a = create("${name}", (2, 3, 4), "<i8"); a.flat = range(24)`);
    using sma = new SharedMemoryArray([2, 3, 4], "int64", name);
    const array = sma.load();
    assertEquals([...array].map(Number), Array.from({ length: 24 }, (_, i) => i));
    array.set(1, 1, 1, 2n ** 60n + 1n);
    assertEquals(await peer.ask("a[1, 1, 1] == 2 ** 60 + 1"), true);
    await peer.run("a[0] = -(2 ** 62) - 1");
    assertEquals(array.get(0, -1, -1), -(2n ** 62n) - 1n);
    assertEquals(array.get(1, 0, 0), 12n);
  });
});

testWith(
  "NumPy",
  "load() takes a segment that Python named, and Python takes buildSmaName()'s",
  async () => {
    await using peer = new Peer();
    await peer.run("memory = SharedMemory(create=True, size=80)");
    try {
      const name: string = await peer.ask("memory.name");
      using theirs = new SharedMemoryArray(10, "float64", name);
      theirs.load().fill(2.5);
      assertEquals(await peer.ask("np.frombuffer(memory.buf)[:10].sum()"), 25);
    } finally {
      await peer.run("memory.close(); memory.unlink()");
    }
    using ours = new SharedMemoryArray(10, "float64", SharedMemoryArray.buildSmaName("für Python"));
    ours.create().fill(1.5);
    try {
      assertEquals(await peer.ask(`${attached(ours)}.sum()`), 15);
    } finally {
      ours.unlink();
    }
  },
);

testWith(
  "NumPy",
  "create() and NumPy take turns thousands of times, through the memory alone",
  async () => {
    await using peer = new Peer();
    await withNames(async (name) => {
      const turns = 5000;
      using sma = new SharedMemoryArray([2, 2], "int32", name);
      const array = sma.create();
      const [turn, sum] = [array.index(0, 0), array.index(1, 1)];
      await peer.run(`a = ${attached(sma)}
def play():
    for at in range(0, ${turns}, 2):
        while a[0, 0] != at:
            pass
        a[1, 1] += at
        a[0, 0] = at + 1`);
      const done = peer.run("play()");
      while (Atomics.load(array.data, turn) === 0) await new Promise((go) => setTimeout(go, 1));
      for (let at = 1; at < turns; at += 2) {
        // Each turn has the time: where there is one processor, a turn takes what the scheduler gives.
        const late = Date.now() + 60_000;
        while (Atomics.load(array.data, turn) !== at) assert(Date.now() < late, "Python is gone");
        array.data[sum] += at;
        Atomics.store(array.data, turn, at + 1);
      }
      await done;
      assertEquals(array.get(1, 1), turns * (turns - 1) / 2);
    });
  },
);

testWith("NumPy", "unlink() on either side leaves the other side its array", async () => {
  await using peer = new Peer();
  await withNames(async (name, other) => {
    using ours = new SharedMemoryArray(4, "uint8", name);
    const array = ours.create();
    await peer.run(`a = ${attached(ours)}`);
    ours.unlink();
    ours.array!.set(0, 9);
    assertEquals(await peer.ask("a[0]"), 9);

    await peer.run(`memory = SharedMemory("${other}", create=True, size=4)`);
    using theirs = new SharedMemoryArray(4, "uint8", other);
    const loaded = theirs.load();
    await peer.run("memory.buf[3] = 7; memory.close(); memory.unlink()");
    assertEquals(loaded.toArray(), [0, 0, 0, 7]);
    assertThrows(() => SharedMemory.open(other), Deno.errors.NotFound);
    assertEquals(array.get(0), 9);
  });
});

/** A selection, and what NumPy calls it. */
const selections: [SliceItem[], string][] = [
  [[], "..."],
  [[1], "1"],
  [[-1, "..."], "-1, ..."],
  [[slice(1, 4)], "1:4"],
  [["1:4", "::2"], "1:4, ::2"],
  [[slice(null, null, -1)], "::-1"],
  [["::-2", null, "5::-1"], "::-2, :, 5::-1"],
  [["...", 2], "..., 2"],
  [["...", slice(-3, null), 0], "..., -3:, 0"],
  [[0, "...", "1:-1"], "0, ..., 1:-1"],
  [[{ start: 3 }, 1, { step: -3 }], "3:, 1, ::-3"],
  [["-100:100", "2:3", "4"], "-100:100, 2:3, 4"],
  [[2, 3, 4], "2, 3, 4, ..."],
  [["4:1", ":"], "4:1, :"],
];

for (const [arraySlice, index] of selections) {
  testWith("NumPy", `load() takes of an array what NumPy's a[${index}] takes`, async () => {
    await using peer = new Peer();
    await withNames(async (name) => {
      await peer.run(`a = create("${name}", (5, 4, 6), "<i4"); a.flat = range(120)`);
      using sma = new SharedMemoryArray([5, 4, 6], "int32", name, arraySlice);
      const view = sma.load();
      const { shape, stride, values } = await peer.ask(`layout_of(a[${index}])`);
      assertEquals([view.shape, view.stride, [...view]], [shape, stride, values]);

      view.fill(-1);
      await peer.run(`b = np.arange(120).reshape(5, 4, 6); b[${index}] = -1`);
      assert(await peer.ask("(a == b).all()"), "Deno wrote elsewhere");
      await peer.run(`a[${index}] = np.arange(a[${index}].size).reshape(a[${index}].shape)`);
      assertEquals([...view], Array.from({ length: view.size }, (_, i) => i));
    });
  });
}

// --- GRIDR's class in a pool of Python processes ---------------------------------------------

for (const method of ["fork", "spawn"]) {
  testWith("NumPy", `create() feeds a pool of GRIDR-like Python workers (${method})`, async () => {
    await using peer = new Peer();
    await withNames(async (name, other) => {
      using source = new SharedMemoryArray([50, 40], "float32", name);
      using target = new SharedMemoryArray([50, 40], "float64", other);
      const input = source.create();
      const output = target.create();
      input.assign(Array.from({ length: 50 }, (_, row) => new Float32Array(40).fill(row + 0.5)));
      const describe = (sma: SharedMemoryArray<"float32" | "float64">): string =>
        `gridr_like.SharedMemoryArray((50, 40), "${sma.dtype}", "${sma.name}")`;
      await peer.run(
        `source, target = [gridr_like.bands(s, 8) for s in (${describe(source)}, ${
          describe(target)
        })]`,
      );
      const pids: number[] = await peer.ask(
        `gridr_like.in_pool("${method}", gridr_like.scale, list(zip(source, target, [3] * 8)))`,
      );
      assertEquals(pids.length, 8);
      assert(!pids.includes(await peer.ask("os.getpid()")));
      assertEquals(
        output.slice(":", 39).toArray(),
        input.slice(":", 0).toArray().map((x: number) => 3 * x),
      );
      assertEquals(output.get(49, 39), 148.5);
    });
  });
}

testWith(
  "NumPy",
  "load() joins in on arrays of a GRIDR-like Python program and its pool",
  async () => {
    await using peer = new Peer();
    const name = `gridr-${crypto.randomUUID()}`;
    await peer.run(`whole = gridr_like.SharedMemoryArray((60, 7), "int32", "${name}")
whole.create()
whole.array[...] = np.arange(60)[:, None]`);
    try {
      // Two Deno processes take a part each, by description, and Python's workers add everything up.
      const descriptor = await peer.ask("whole.descriptor()");
      const parts = [["0:20"], [slice(20, 40), "::-1"]] satisfies SliceItem[][];
      await Promise.all(parts.map((arraySlice) =>
        evalChild(
          `using sma = SharedMemoryArray.from(JSON.parse(Deno.args[0]));
        const rows = sma.load();
        for (let row = 0; row < 20; row++) rows.slice(row).fill(rows.get(row, 0) * 10);
        console.log("null");`,
          { args: [JSON.stringify({ ...descriptor, arraySlice })] },
        )
      ));
      const sums: number[] = await peer.ask(
        `gridr_like.in_pool("fork", gridr_like.total, gridr_like.bands(whole, 3))`,
      );
      const sumTo = (n: number): number => n * (n - 1) / 2;
      assertEquals(sums, [
        7 * 10 * sumTo(20),
        7 * 10 * (sumTo(40) - sumTo(20)),
        7 * (sumTo(60) - sumTo(40)),
      ]);
    } finally {
      await peer.run("memory = whole.smh; whole.array = None; memory.close(); memory.unlink()");
    }
  },
);

// --- The trap: CPython removes what it merely attached to ------------------------------------

/** Lets a Python process do something with a segment of ours and exit. */
async function afterPython(
  name: string,
  program: string,
): Promise<{ stderr: string; survived: boolean }> {
  using sma = new SharedMemoryArray(4, "uint8", name);
  sma.create().assign([1, 2, 3, 4]);
  const { stdout, stderr } = await runPython(["-c", `name = "${name}"\n${program}`]);
  assertEquals(stdout, "[1, 2, 3, 4]\n");
  assertEquals(sma.array!.toArray(), [1, 2, 3, 4]); // who is attached keeps the array in any case
  return { stderr, survived: segmentExists(name) };
}

const plainly = `from multiprocessing.shared_memory import SharedMemory
memory = SharedMemory(name)
print(list(memory.buf[:4]))
memory.close()`;

testWith(
  "NumPy",
  "CPython removes a segment when a process that merely attached exits",
  async () => {
    await withNames(async (name) => {
      const { stderr, survived } = await afterPython(name, plainly);
      assert(!survived, "if CPython no longer does this, the README is to say so");
      assertThrows(() => SharedMemory.open(name), Deno.errors.NotFound);
      // The tracker's warning speaks of a leak; it is the only sign of what happened.
      assert(stderr.includes("leaked shared_memory objects"), stderr);
    });
  },
);

testWith(
  "NumPy",
  "CPython keeps the segment with track=False, or unregistered before 3.13",
  async () => {
    await withNames(async (name) => {
      const { stderr, survived } = await afterPython(
        name,
        `import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
if sys.version_info >= (3, 13):
    memory = SharedMemory(name, track=False)
else:
    memory = SharedMemory(name)
    resource_tracker.unregister(memory._name, "shared_memory")
print(list(memory.buf[:4]))
memory.close()`,
      );
      assert(survived);
      assertEquals(stderr, "");
    });
  },
);

testWith("NumPy", "attach() of examples/python keeps the segment", async () => {
  await withNames(async (name) => {
    const { stderr, survived } = await afterPython(
      name,
      `from shm_attach import attach\nprint(attach(name, (4,), "uint8").tolist())`,
    );
    assert(survived);
    assertEquals(stderr, "");
  });
});

testWith("NumPy", "attach() leaves the tracking of segments that Python created", async () => {
  await withNames(async (name, own) => {
    const { stderr, survived } = await afterPython(
      name,
      `from multiprocessing.shared_memory import SharedMemory
from shm_attach import attach
own = SharedMemory("${own}", create=True, size=4)
attach("${own}", 4, "uint8")[:] = attach(name, 4, "uint8")
print(list(own.buf))`,
    );
    assert(survived);
    assert(!segmentExists(own), "Python cleans up behind itself");
    assert(stderr.includes("leaked shared_memory objects"), stderr);
  });
});

testWith("NumPy", "attach() works in many processes of a pool at once, in silence", async () => {
  await withNames(async (name) => {
    const { stderr, survived } = await afterPython(
      name,
      `import multiprocessing
from multiprocessing.shared_memory import SharedMemory
from shm_attach import attach

def work(at):
    return attach(name, (4,), "uint8")[at].item()

own = SharedMemory(create=True, size=4)  # from here on there is a tracker, and the pool shares it
with multiprocessing.get_context("fork").Pool(4) as pool:
    print(pool.map(work, [0, 1, 2, 3] * 50, chunksize=1)[-4:])
own.close()
own.unlink()`,
    );
    assert(survived);
    assertEquals(stderr, "");
  });
});

testWith(
  "NumPy",
  "attach() keeps the mapping as long as there are views, and no longer",
  async () => {
    await using peer = new Peer();
    await withNames(async (name) => {
      using sma = new SharedMemoryArray([3, 4], "float64", name);
      const array = sma.create();
      await peer.run(`column = ${attached(sma)}[:, 1].reshape(3, 1)`);
      await peer.run("gc.collect(); column[...] = 4");
      assertEquals(array.slice(":", 1).toArray(), [4, 4, 4]);
      assertEquals(await peer.ask(`mapped("${name}")`), 1);
      await peer.run("del column; gc.collect()");
      assertEquals(await peer.ask(`mapped("${name}")`), 0);
    });
  },
);

testWith("NumPy", "attach() raises FileNotFoundError where there is no segment", async () => {
  await using peer = new Peer();
  await peer.run(`
try:
    attach("nobody-made-this", 4, "uint8")
    message = None
except FileNotFoundError as error:
    message = str(error)`);
  assertNotEquals(await peer.ask("message"), null);
  assertEquals(
    await peer.ask("resource_tracker.register.__name__"),
    "register",
  );
});
