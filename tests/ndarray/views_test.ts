/**
 * Differential tests of what makes views of views (`reshape`, `"newaxis"`, `broadcastTo`, `T`, `rows`) and of
 * `astype`: random cases are done with our views and with NumPy, the whole batch through one Python process.
 * `SHM_SEED` replays a batch.
 */

import { assert, assertEquals } from "@std/assert";
import { type DType, NDArray, SharedMemory, type SliceItem } from "@shm/array";
import { dtypes, typedArrayOf } from "@shm/array/dtype";
import type { Python } from "../helpers/find_python.ts";
import { eachNumPyTest, runPython } from "../helpers/python.ts";
import { Random, seedOf } from "../helpers/random.ts";
import type { Loose } from "../helpers/views.ts";

/** How many cases there are of each kind of last step. */
const CASES = 2000;

type Step = ["slice", SliceItem[]] | ["transpose" | "reshape" | "broadcastTo", number[]];

interface ViewCase {
  dtype: "int32";
  shape: number[];
  modulus: number;
  first: number;
  steps: Step[];
}

function baseOf({ shape }: ViewCase): NDArray<"int32"> {
  const size = shape.reduce((product, length) => product * length, 1);
  return new NDArray(Int32Array.from({ length: size }, (_, i) => i), { shape });
}

function takeStep(view: NDArray<"int32">, [name, items]: Step): NDArray<"int32"> {
  return (view as Loose)[name](...items);
}

/** What can be seen of a view; `null` where a step is refused. */
function look(test: ViewCase): unknown {
  let view = baseOf(test);
  try {
    for (const step of test.steps) view = takeStep(view, step);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  assertEquals(view.T.toArray(), view.transpose().toArray());
  return {
    shape: [...view.shape],
    stride: view.stride.map((stride, axis) =>
      view.shape[axis] > 1 && view.size > 0 ? stride : null
    ),
    offset: view.size > 0 ? view.offset : null,
    values: [...view],
    turned: [...view.T.shape],
    bytes: [view.nbytes, view.itemsize],
    rows: view.ndim > 0 ? Array.from(view.rows(), (row) => [...row]) : null,
  };
}

// --- Random cases ----------------------------------------------------------------------------

/** Axes that can often be merged or split: of lengths with few factors, and many of length 1. */
function randomShape(random: Random): number[] {
  const length = (): number => random.chance(0.04) ? 0 : random.oneOf([1, 1, 2, 2, 3, 4, 6]);
  return Array.from({ length: random.integer(0, 4) }, length);
}

/** Mostly whole axes, so that neighbouring axes often stay together. */
function randomSelection(random: Random, shape: readonly number[]): SliceItem[] {
  const items = shape.map((length): SliceItem =>
    random.chance(0.6) || length === 0
      ? random.oneOf([":", null])
      : random.oneOf<SliceItem>(["::-1", "1:", ":-1", "::2", "::-2", "1:1", 0, -1])
  );
  while (random.chance(0.4)) items.splice(random.integer(0, items.length), 0, "newaxis");
  if (random.chance(0.3)) items.splice(random.integer(0, items.length), 0, "...");
  return items;
}

/** The same number of elements in other lengths, which regroup those of the old shape or not. */
function randomReshape(random: Random, shape: readonly number[]): number[] {
  let wanted = [...shape];
  for (let rounds = random.integer(1, 3); rounds > 0; rounds--) {
    const at = random.integer(0, Math.max(0, wanted.length - 1));
    const how = random.integer(0, 3);
    if (how === 0) wanted.splice(random.integer(0, wanted.length), 0, 1);
    else if (how === 1) wanted = wanted.filter((length) => length !== 1 || random.chance(0.3));
    else if (how === 2 && at + 1 < wanted.length) wanted.splice(at, 2, wanted[at] * wanted[at + 1]);
    else if (wanted[at] % 2 === 0 && wanted[at] > 0) wanted.splice(at, 1, 2, wanted[at] / 2);
  }
  if (wanted.length > 0 && random.chance(0.15)) wanted[random.integer(0, wanted.length - 1)] = -1;
  if (random.chance(0.03)) wanted.push(2); // does not fit
  return wanted;
}

function randomBroadcast(random: Random, shape: readonly number[]): number[] {
  const wanted = shape.map((length) => length === 1 ? random.oneOf([0, 1, 2, 3]) : length);
  while (random.chance(0.4)) wanted.unshift(random.oneOf([0, 1, 2, 3]));
  if (random.chance(0.1)) wanted.shift();
  if (wanted.length > 0 && random.chance(0.05)) wanted[0] += 1; // mostly does not fit
  return wanted;
}

function randomCase(random: Random, last: Step[0]): ViewCase {
  const test: ViewCase = {
    dtype: "int32",
    shape: randomShape(random),
    modulus: 2 ** 31,
    first: 0,
    steps: [],
  };
  let view = baseOf(test);
  const add = (step: Step): void => {
    test.steps.push(step);
    try {
      view = takeStep(view, step);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      test.steps.pop(); // a refusal is asked for at the end only
    }
  };
  for (let steps = random.integer(0, 2); steps > 0; steps--) {
    if (random.chance(0.35)) add(["transpose", random.permutation(view.ndim)]);
    else if (random.chance(0.2)) add(["broadcastTo", randomBroadcast(random, view.shape)]);
    else add(["slice", randomSelection(random, view.shape)]);
  }
  const final = {
    slice: () => randomSelection(random, view.shape),
    reshape: () => randomReshape(random, view.shape),
    broadcastTo: () => randomBroadcast(random, view.shape),
    transpose: () => random.permutation(view.ndim),
  }[last]();
  test.steps.push([last, final] as Step);
  return test;
}

// --- Conversions -----------------------------------------------------------------------------

/** What a value must be so that each dtype can hold it, once its fraction is cut off. */
const limits: { readonly [D in DType]: readonly [least: number | bigint, most: number | bigint] } =
  {
    bool: [-Infinity, Infinity],
    int8: [-128, 127],
    uint8: [0, 255],
    uint8c: [0, 255],
    int16: [-32768, 32767],
    uint16: [0, 65535],
    int32: [-(2 ** 31), 2 ** 31 - 1],
    uint32: [0, 2 ** 32 - 1],
    int64: [-(2n ** 63n), 2n ** 63n - 1n],
    uint64: [0n, 2n ** 64n - 1n],
    float16: [-Infinity, Infinity],
    float32: [-Infinity, Infinity],
    float64: [-Infinity, Infinity],
  };

const fractions = [
  0,
  -0,
  0.3,
  -0.3,
  0.5,
  1.5,
  -1.5,
  2.7,
  -2.7,
  126.9,
  254.5,
  1e-8,
  65503.5,
  65519.9,
]
  .concat(65520, 1e30, -1e30, 1e300, NaN, Infinity, -Infinity, 2 ** 53 - 1, 2 ** 60 + 2 ** 40);

/** Values around what a float can hold exactly, and around the middle between two floats. */
const integers = [0n, 1n, 2n ** 10n + 1n].concat(
  [7, 8, 11, 15, 16, 24, 31, 32, 52, 53, 54, 60, 62, 63, 64].flatMap((bits) => {
    const power = 2n ** BigInt(bits);
    const half = 2n ** BigInt(Math.max(0, bits - 24)); // half the distance of neighbours in float32
    return [power - 1n, power, power + 1n, power + half, power + half + 1n, power + half - 1n]
      .concat(power + 3n * half, power + 3n * half - 1n, power + 3n * half + 1n);
  }),
);

interface Conversion {
  from: DType;
  to: DType;
  bytes: number[];
}

/** Elements of one dtype whose conversion to another is defined in C. */
function conversionOf(random: Random, from: DType, to: DType): NDArray {
  const one = new (typedArrayOf(from))(1) as Loose;
  const isBig = typeof one[0] === "bigint";
  const [least, most] = limits[to];
  const random64 = (): bigint =>
    BigInt.asUintN(64, BigInt(Math.floor(random.next() * 2 ** 53)) * 2049n);
  const values: (number | bigint)[] = [
    ...(isBig ? [] : fractions),
    ...integers,
    ...integers.map((value) => -value),
    ...Array.from({ length: 200 }, random64),
  ].map((value) => {
    if (from === "bool") return value ? 1 : 0;
    one[0] = isBig ? BigInt(value) : Number(value);
    return one[0];
  });
  const held = values.filter((value) => {
    if (Number.isNaN(value) || Math.abs(Number(value)) === Infinity) return least === -Infinity;
    const whole = typeof value === "bigint" ? value : Math.trunc(value);
    return whole >= least && whole <= most;
  });
  const data = new (typedArrayOf(from))(held.length) as Loose;
  held.forEach((value, i) => data[i] = value);
  return new NDArray(data, { dtype: from as never });
}

function bytesOf(view: NDArray): number[] {
  const { buffer, byteOffset, byteLength } = view.copy();
  return [...new Uint8Array(buffer, byteOffset, byteLength)];
}

/** Bytes, but a NaN of any bits is a NaN. */
function elementsOf(bytes: readonly number[], dtype: DType): unknown[] {
  const { buffer } = Uint8Array.from(bytes);
  return [...new (typedArrayOf(dtype))(buffer) as Loose].map((value) =>
    Object.is(value, -0) ? "-0" : Number.isNaN(value) ? "NaN" : String(value)
  );
}

/** Converts by astype(), and by assign() with strides, and compares the two. */
function convert(source: NDArray, to: DType, first: ArrayBuffer, second: ArrayBuffer): number[] {
  const converted = source.astype(to);
  const n = source.size;
  const wide = new NDArray(new (typedArrayOf(to))(3 * n) as Loose, {
    shape: [n],
    stride: [-3],
    offset: 3 * n - 1,
    dtype: to as never,
  }) as NDArray;
  assertEquals([...wide.assign(source)], [...converted]);
  // Over the source's own bytes, also through another attachment of the segment.
  for (const buffer of [first, second]) {
    const own = new NDArray(new (typedArrayOf(source.dtype))(first, 8, n), {
      dtype: source.dtype as never,
    }) as NDArray;
    own.assign(source);
    const over = new NDArray(new (typedArrayOf(to))(buffer, 0, n), {
      dtype: to as never,
    }) as NDArray;
    assertEquals([...over.assign(own)], [...converted]);
  }
  return bytesOf(converted);
}

// --- The comparison --------------------------------------------------------------------------

async function byNumPy(
  python: Python,
  views: readonly ViewCase[],
  conversions: readonly Conversion[],
): Promise<{ views: unknown[]; conversions: number[][] }> {
  const input = JSON.stringify({ views, conversions });
  return JSON.parse((await runPython(["views.py"], input, python.path)).stdout);
}

for (const last of ["reshape", "slice", "broadcastTo", "transpose"] as const) {
  const what = { slice: '"newaxis"', transpose: "T, rows()" }[last as string] ?? `${last}()`;
  eachNumPyTest(
    `${what} gives the views that NumPy gives, in ${CASES} random cases`,
    async (python) => {
      const seed = seedOf(20261125);
      const random = new Random(seed);
      const cases = Array.from({ length: CASES }, () => randomCase(random, last));
      const { views } = await byNumPy(python, cases, []);
      let refused = 0;
      cases.forEach((test, at) => {
        const ours = look(test);
        if (ours === null) refused++;
        assertEquals(ours, views[at], `SHM_SEED=${seed}\ncase: ${JSON.stringify(test)}`);
      });
      assert(refused < CASES / 2, `${refused} of ${CASES} cases are refused by both`);
    },
  );
}

eachNumPyTest("astype() of each dtype to each gives NumPy's elements", async (python) => {
  const random = new Random(seedOf(20261125));
  // NumPy has no uint8c.
  const names = dtypes.filter((dtype) => dtype !== "uint8c");
  const sources = names.flatMap((from) =>
    names.map((to) => [conversionOf(random, from, to), to] as const)
  );
  const cases = sources.map(([source, to]) => ({ from: source.dtype, to, bytes: bytesOf(source) }));
  const { conversions } = await byNumPy(python, [], cases);
  const name = `shm-astype-${crypto.randomUUID()}`;
  using first = SharedMemory.create(name, 2 ** 14);
  try {
    using second = SharedMemory.open(name);
    sources.forEach(([source, to], at) => {
      const ours = elementsOf(convert(source, to, first.buf!, second.buf!), to);
      const theirs = elementsOf(conversions[at], to);
      ours.forEach((element, i) => {
        const value = source.get(i);
        assertEquals(element, theirs[i], `${source.dtype} ${value} to ${to}`);
      });
    });
  } finally {
    first.unlink();
  }
});

Deno.test("astype() defines what C does not: NaN is 0 in an integer, and what is too large wraps", () => {
  const source = new NDArray(Float64Array.of(NaN, Infinity, -Infinity, 2 ** 64 + 2 ** 12, -1, 300));
  const expected: { [D in DType]?: unknown[] } = {
    int8: [0, 0, 0, 0, -1, 44],
    uint32: [0, 0, 0, 4096, 2 ** 32 - 1, 300],
    int64: [0n, 0n, 0n, 4096n, -1n, 300n],
    uint64: [0n, 0n, 0n, 4096n, 2n ** 64n - 1n, 300n],
    uint8c: [0, 255, 0, 255, 0, 255],
    bool: [1, 1, 1, 1, 1, 1],
  };
  for (const [dtype, elements] of Object.entries(expected)) {
    assertEquals(source.astype(dtype as DType).toArray(), elements, dtype);
  }
  assertEquals(new NDArray(BigInt64Array.of(-1n, 300n, 2n)).astype("uint8c").toArray(), [
    0,
    255,
    2,
  ]);
});

Deno.test("astype() copies, in C order, also to the same dtype", () => {
  const view = new NDArray(Int16Array.of(1, 2, 3, 4, 5, 6), { shape: [2, 3] });
  const copy = view.T.astype("int16");
  assertEquals(copy.stride, [2, 1]);
  assertEquals(copy.toArray(), [[1, 4], [2, 5], [3, 6]]);
  copy.fill(0);
  assertEquals(view.get(0, 1), 2);
  assertEquals(
    new NDArray(Uint8Array.of(0, 7), { dtype: "bool" }).astype("bool").data,
    Uint8Array.of(0, 1),
  );
  assertEquals(view.slice("0:0").astype("float64").shape, [0, 3]);
});
