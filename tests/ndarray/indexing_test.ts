/**
 * A differential test of basic indexing: random cases are done with our views and with NumPy, the whole
 * batch through one Python process. `SHM_SEED` replays a batch.
 */

import { assert, assertEquals } from "@std/assert";
import { type DType, NDArray, SharedMemory, slice, type SliceItem } from "@shm/array";
import { bytesPerElement, typedArrayOf } from "@shm/array/dtype";
import type { Python } from "../helpers/find_python.ts";
import { eachNumPyTest, runPython } from "../helpers/python.ts";
import { Random, seedOf } from "../helpers/random.ts";

const VIEWS = 4500;
const STORES = 2500;

type Step = ["slice", SliceItem[]] | ["transpose" | "reshape", number[]];

/** An array with numbered elements, and a chain of views of it. */
interface Chain {
  dtype: DType;
  shape: number[];
  /** Element `i` is `i % modulus + first`. */
  modulus: number;
  first: number;
  steps: Step[];
}

/** Look at a view; the indices are read from it one by one. */
interface ViewCase extends Chain {
  indices: number[][];
}

/** Assign to a view: from another array, from nested arrays, or from the same memory. */
interface StoreCase extends Chain {
  source: Chain & { kind: "array" | "nested" | "same memory" };
}

type Case = ViewCase | StoreCase;

/** What became of a case: of a view all that can be seen, of an assignment the target's elements. */
type Outcome = Record<string, unknown>;

// --- What we do ------------------------------------------------------------------------------

function fillNumbered(view: NDArray, { modulus, first }: Chain): NDArray {
  const isBig = view.data instanceof BigInt64Array || view.data instanceof BigUint64Array;
  const data = view.data as { [position: number]: number | bigint };
  for (let i = 0; i < view.size; i++) {
    const number = i % modulus + first;
    data[i] = isBig ? BigInt(number) : view.dtype === "bool" ? Number(number !== 0) : number;
  }
  return view;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

function baseOf(chain: Chain): NDArray {
  const data = new (typedArrayOf(chain.dtype))(sizeOf(chain.shape));
  return fillNumbered(new NDArray(data, chain), chain);
}

/** An array over a buffer that may be shared with another one. */
function overBuffer(buffer: ArrayBuffer, { dtype, shape }: Chain): NDArray {
  return new NDArray(new (typedArrayOf(dtype))(buffer, 0, sizeOf(shape)), { shape, dtype });
}

function takeStep(view: NDArray, step: Step): NDArray {
  return step[0] === "slice" ? view.slice(...step[1]) : view[step[0]](...step[1]);
}

function follow(view: NDArray, steps: readonly Step[]): NDArray {
  return steps.reduce(takeStep, view);
}

function plain(elements: Iterable<number | bigint>): number[] {
  return Array.from(elements, Number);
}

/** `null` or a special outcome instead of the RangeError by which we refuse. */
function unlessRefused<T, R>(action: () => T, refused: R): T | R {
  try {
    return action();
  } catch (error) {
    if (error instanceof RangeError) return refused;
    throw error;
  }
}

const REFUSED: Outcome = { refused: true };

function look(test: ViewCase): Outcome {
  const base = baseOf(test);
  const view = follow(base, test.steps);
  const values = plain(view);
  const nested = view.toArray();
  // However the elements are asked for, they are the same.
  assertEquals(plain(view.copy()), values);
  assertEquals(view.ndim === 0 ? [Number(nested)] : plain(nested.flat(Infinity)), values);
  if (view.isContiguous()) assertEquals(plain(view.subarray()), values);
  return {
    shape: [...view.shape],
    stride: [...view.stride],
    offset: view.size > 0 ? view.offset : null,
    contiguous: view.isContiguous(),
    values,
    got: test.indices.map((index) => unlessRefused(() => getAndSet(view, index), null)),
  };
}

/** Reads an element three ways, after storing it again. */
function getAndSet(view: NDArray, index: readonly number[]): number {
  const value = view.get(...index);
  view.set(...index, value as number);
  assertEquals(view.data[view.index(...index)], value);
  assertEquals(view.get(...index), value);
  return Number(value);
}

/** Assigns; the target lies in `target`, and a source in the same memory in `same`. */
function assignIn(test: StoreCase, target: ArrayBuffer, same: ArrayBuffer): Outcome {
  const base = fillNumbered(overBuffer(target, test), test);
  const { source } = test;
  const from = source.kind === "same memory" ? overBuffer(same, source) : baseOf(source);
  const view = follow(from, source.steps);
  follow(base, test.steps).assign(
    source.kind === "nested" ? view.toArray() : view as NDArray<"int8">,
  );
  return { values: plain(base) };
}

/** Assigns on the heap, within one mapping, and between two mappings of one segment. */
function store(test: StoreCase, first: ArrayBuffer, second: ArrayBuffer): Outcome {
  const heap = new ArrayBuffer(first.byteLength);
  const outcome = assignIn(test, heap, heap);
  if (test.source.kind === "same memory") {
    assertEquals(assignIn(test, first, first), outcome, "through one attachment");
    assertEquals(assignIn(test, first, second), outcome, "through two attachments");
  }
  return outcome;
}

// --- Random cases ----------------------------------------------------------------------------

/** The dtypes that NumPy has, by what can be assigned to each other. */
const small: DType[] = ["int8", "uint8", "int16", "uint16", "int32", "uint32"];
const numbers: DType[] = [...small, "float16", "float32", "float64", "bool"];
const bigs: DType[] = ["int64", "uint64"];

/** Elements that every dtype can hold and that no conversion to another one leaves undefined. */
function numbered(random: Random, dtype: DType): { modulus: number; first: number } {
  if (dtype === "bool") return { modulus: random.integer(2, 3), first: 0 };
  const signed = dtype.startsWith("int");
  return { modulus: random.integer(97, 120), first: signed && random.chance(0.5) ? -60 : 0 };
}

function randomShape(random: Random): number[] {
  const ndim = random.integer(0, 5);
  const longest = [1, 40, 12, 8, 6, 4][ndim];
  const length = (): number =>
    random.chance(0.08) ? random.integer(0, 1) : random.integer(1, longest);
  return Array.from({ length: ndim }, length);
}

/** A start or stop: inside, outside, far outside, or left open. */
function randomBound(random: Random, length: number): number | null {
  if (random.chance(0.25)) return null;
  if (random.chance(0.05)) return random.oneOf([2 ** 31, -(2 ** 31), 2 ** 53 - 1, 1 - 2 ** 53]);
  return random.integer(-length - 2, length + 2);
}

function randomStep(random: Random): number | null {
  if (random.chance(0.3)) return null;
  if (random.chance(0.04)) return random.oneOf([-1, 1]) * random.oneOf([1000, 2 ** 16 + 1]);
  return random.oneOf([-1, 1]) * random.oneOf([1, 1, 2, 3, 7]);
}

/** A range in one of the ways in which it can be written. */
function written(
  random: Random,
  start: number | null,
  stop: number | null,
  step: number | null,
): SliceItem {
  const text = [start, stop].map((bound) => bound ?? "").join(":");
  const unchanged = step === null && random.chance(0.5);
  return random.oneOf<SliceItem>([
    slice(start, stop, step),
    { start, stop, step },
    unchanged ? text : `${text}:${step ?? ""}`,
  ]);
}

/** A range anywhere: often empty, or clamped. */
function anyRange(random: Random, length: number): SliceItem {
  const [start, stop] = [randomBound(random, length), randomBound(random, length)];
  return written(random, start, stop, randomStep(random));
}

/** A range inside an axis, so that a chain of views does not come to nothing soon. */
function innerRange(random: Random, length: number): SliceItem {
  const [one, other] = [random.integer(0, length), random.integer(0, length)];
  const [low, high] = [Math.min(one, other), Math.max(one, other)];
  const step = randomStep(random);
  const [start, stop] = (step ?? 1) > 0 ? [low, high] : [high - 1, low - 1];
  const fromEnd = (bound: number): number | null => {
    if (bound < 0) return null;
    return bound < length && random.chance(0.3) ? bound - length : bound;
  };
  return written(random, fromEnd(start), fromEnd(stop), step);
}

function randomItem(random: Random, length: number): SliceItem {
  if (random.chance(0.15)) return random.oneOf([null, ":", "::"]);
  if (random.chance(0.2)) {
    // Now and then out of bounds.
    const beyond = random.chance(0.03) ? 2 : 0;
    if (length + beyond > 0) {
      const index = random.integer(-length - beyond, length - 1 + beyond);
      return random.chance(0.2) ? String(index) : index;
    }
  }
  return random.chance(0.15) ? anyRange(random, length) : innerRange(random, length);
}

function randomSelection(random: Random, shape: readonly number[]): SliceItem[] {
  const items = shape.map((length) => randomItem(random, length));
  if (random.chance(0.3)) items.length = random.integer(0, items.length);
  if (random.chance(0.3)) {
    // The ellipsis stands for some axes, or for none.
    const at = random.integer(0, items.length);
    items.splice(at, random.integer(0, items.length - at), "...");
  }
  if (random.chance(0.01)) items.push(0); // mostly one too many
  return items;
}

/** A shape with the same number of elements; one length may be left to be computed. */
function randomReshape(random: Random, size: number): number[] {
  if (size === 0) return random.oneOf([[0], [-1], [3, 0, 2], [2, -1]]);
  const shape: number[] = [];
  for (let rest = size; rest > 1 && shape.length < 4;) {
    const divisors = Array.from({ length: rest }, (_, i) => i + 1).filter((d) => rest % d === 0);
    const length = shape.length === 3 ? rest : random.oneOf(divisors);
    shape.push(length);
    rest /= length;
    if (rest > 1 && shape.length === 4) shape[3] *= rest;
  }
  if (shape.length > 0 && random.chance(0.3)) shape[random.integer(0, shape.length - 1)] = -1;
  if (random.chance(0.03)) shape.push(2); // does not fit
  return shape;
}

function randomStepOn(random: Random, view: NDArray): Step {
  if (random.chance(0.2)) {
    const axes = random.permutation(view.ndim);
    if (random.chance(0.3)) return ["transpose", []];
    return ["transpose", axes.map((axis) => random.chance(0.3) ? axis - view.ndim : axis)];
  }
  // Where a view is not contiguous NumPy may copy, and we refuse: that is no case for both.
  if (random.chance(0.1) && view.isContiguous()) {
    return ["reshape", randomReshape(random, view.size)];
  }
  return ["slice", randomSelection(random, view.shape)];
}

function randomChain(random: Random, dtype: DType, shape: number[], length: number): Chain {
  const chain: Chain = { dtype, shape, ...numbered(random, dtype), steps: [] };
  let view: NDArray | null = baseOf(chain);
  while (view !== null && chain.steps.length < length) {
    const step = randomStepOn(random, view);
    chain.steps.push(step);
    const last: NDArray = view;
    view = unlessRefused(() => takeStep(last, step), null); // after a refusal there is no view
  }
  return chain;
}

function randomViewCase(random: Random): ViewCase {
  const dtype = random.oneOf([...numbers, ...bigs]);
  const chain = randomChain(random, dtype, randomShape(random), random.integer(1, 4));
  const view = unlessRefused(() => follow(baseOf(chain), chain.steps), null);
  const indices = view === null || view.size === 0
    ? []
    : [0, 1].map(() =>
      view.shape.map((length) => {
        const beyond = random.chance(0.05) ? 1 : 0;
        return random.integer(-length - beyond, length - 1 + beyond);
      })
    );
  return { ...chain, indices };
}

/** A range that takes `count` elements of an axis. */
function rangeOf(random: Random, length: number, count: number): SliceItem {
  if (count === 0) return written(random, 1, 1, null);
  const widest = count === 1 ? 3 : Math.floor((length - 1) / (count - 1));
  const width = random.chance(0.5) ? 1 : random.integer(1, widest);
  const reach = (count - 1) * width;
  const first = random.integer(0, length - 1 - reach);
  const last = first + reach;
  return random.chance(0.5)
    ? written(random, first, last + 1, width)
    : written(random, last, first === 0 ? null : first - 1, -width);
}

/** Two views of one array that can be assigned to each other and that mostly overlap. */
function randomOverlap(random: Random): StoreCase {
  const dtype = random.oneOf([...numbers, ...bigs]);
  const ndim = random.integer(1, 4);
  const longest = [0, 40, 10, 7, 5][ndim];
  const isCube = random.chance(0.3);
  const edge = random.integer(1, longest);
  const shape = Array.from({ length: ndim }, () => isCube ? edge : random.integer(1, longest));
  const edgeCount = random.integer(1, edge);
  const counts = shape.map((length) => isCube ? edgeCount : random.integer(0, length));
  const stretched = counts.map((count) => random.chance(0.1) ? 1 : count);
  const take = (taken: number[]): Step => [
    "slice",
    shape.map((length, axis) => rangeOf(random, length, taken[axis])),
  ];
  const axes = random.permutation(ndim);
  const otherAxes = isCube ? random.permutation(ndim) : axes;
  const base = { dtype, shape, ...numbered(random, dtype) };
  const kept: Step[] = random.chance(0.2) ? [["slice", [random.oneOf([0, -1])]]] : [];
  return {
    ...base,
    steps: [take(counts), ["transpose", axes]],
    source: {
      kind: "same memory",
      ...base,
      steps: [take(stretched), ["transpose", otherAxes], ...kept],
    },
  };
}

/** Views of one memory as elements of two types. */
function randomReinterpretation(random: Random): StoreCase {
  const [to, from] = [random.oneOf(small), random.oneOf(small)];
  const rows = random.integer(1, 4);
  const columns = (dtype: DType): number => 24 / bytesPerElement(dtype);
  const [taken, count] = [
    random.integer(1, rows),
    random.integer(1, Math.min(columns(to), columns(from))),
  ];
  const part = (dtype: DType): Chain => ({
    dtype,
    shape: [rows, columns(dtype)],
    ...numbered(random, dtype),
    steps: [["slice", [rangeOf(random, rows, taken), rangeOf(random, columns(dtype), count)]]],
  });
  return { ...part(to), source: { kind: "same memory", ...part(from) } };
}

/** Assignment from another array, of a shape that mostly can be broadcast. */
function randomBroadcast(random: Random): StoreCase {
  const isBig = random.chance(0.15);
  const kind = random.oneOf(["array", "nested"] as const);
  const to = random.oneOf(isBig ? bigs : numbers);
  const target = randomChain(random, to, randomShape(random), random.integer(0, 2));
  const view = unlessRefused(() => follow(baseOf(target), target.steps), null);
  const wanted = [...view?.shape ?? []];
  const shape = wanted.map((length) =>
    random.chance(0.2) ? 1 : random.chance(0.02) ? length + 1 : length
  ).slice(random.chance(0.3) ? random.integer(0, wanted.length) : 0);
  // NumPy lets one axis too many pass, in arrays, not in lists.
  if (kind === "array" && random.chance(0.1)) shape.unshift(1);
  const from = random.oneOf(isBig ? bigs : numbers);
  const source = { kind, dtype: from, shape, ...numbered(random, from), steps: [] as Step[] };
  if (kind === "array" && shape.length > 0) {
    // Every second element of an array twice as long, backwards, is one that lies strided.
    const axis = random.integer(0, shape.length - 1);
    const items = shape.map((_, at) => at === axis ? "::-2" : ":");
    source.steps.push(["slice", items]);
    source.shape = shape.map((length, at) => at === axis ? length * 2 : length);
  }
  // Nested lists cannot tell shapes behind an axis of length 0.
  if (kind === "nested" && shape.includes(0)) source.kind = "array";
  return { ...target, source };
}

function randomStoreCase(random: Random): StoreCase {
  const kind = random.next();
  if (kind < 0.5) return randomOverlap(random);
  return kind < 0.65 ? randomReinterpretation(random) : randomBroadcast(random);
}

// --- The comparison --------------------------------------------------------------------------

async function byNumPy(python: Python, cases: readonly Case[]): Promise<Outcome[]> {
  const { stdout } = await runPython(["indexing.py"], JSON.stringify(cases), python.path);
  const outcomes: Outcome[] = JSON.parse(stdout);
  return outcomes.map((outcome) => "refused" in outcome ? REFUSED : outcome);
}

function report(seed: number, test: Case, ours: Outcome, numpy: Outcome): string {
  const lines = { case: test, ours, numpy };
  return [
    `SHM_SEED=${seed}`,
    ...Object.entries(lines).map(([key, value]) => `${key}: ${JSON.stringify(value)}`),
  ].join("\n");
}

/** Compares all, so that a failure can say how many differ, and how. */
function compare(
  seed: number,
  cases: readonly Case[],
  ours: readonly Outcome[],
  numpy: readonly Outcome[],
): void {
  assertEquals(numpy.length, cases.length);
  const reports = cases.flatMap((test, at) =>
    JSON.stringify(ours[at]) === JSON.stringify(numpy[at])
      ? []
      : [report(seed, test, ours[at], numpy[at])]
  );
  assert(
    reports.length === 0,
    `${reports.length} of ${cases.length} cases differ from NumPy:\n${
      reports.slice(0, 5).join("\n\n")
    }`,
  );
}

const what = `NDArray is indexed as NumPy's ndarray, in ${VIEWS + STORES} random cases`;
eachNumPyTest(what, async (python) => {
  const seed = seedOf(20250323);
  const random = new Random(seed);
  const views = Array.from({ length: VIEWS }, () => randomViewCase(random));
  const stores = Array.from({ length: STORES }, () => randomStoreCase(random));
  const name = `shm-indexing-${crypto.randomUUID()}`;
  using first = SharedMemory.create(name, 2 ** 16);
  try {
    using second = SharedMemory.open(name);
    const outcomeOf = <T extends Case>(test: T, action: (test: T) => Outcome): Outcome => {
      try {
        return unlessRefused(() => action(test), REFUSED);
      } catch (error) {
        throw new Error(`SHM_SEED=${seed}\ncase: ${JSON.stringify(test)}`, { cause: error });
      }
    };
    const ours = [
      ...views.map((test) => outcomeOf(test, look)),
      ...stores.map((test) => outcomeOf(test, (t) => store(t, first.buf!, second.buf!))),
    ];
    const cases = [...views, ...stores];
    compare(seed, cases, ours, await byNumPy(python, cases));
  } finally {
    first.unlink();
  }
});

Deno.test("assign() shifts runs of any length within one array", () => {
  for (let length = 2; length <= 80; length++) {
    const data = Float64Array.from({ length }, (_, i) => i);
    const up = new NDArray(data.slice());
    up.slice("1:").assign(up.slice(":-1"));
    assertEquals(up.data, Float64Array.of(0, ...data.subarray(0, -1)));
    const down = new NDArray(data.slice());
    down.slice(":-1").assign(down.slice("1:"));
    assertEquals(down.data, Float64Array.of(...data.subarray(1), length - 1));
  }
});

Deno.test("assign() reverses and transposes an array onto itself", () => {
  const square = new NDArray(Int16Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9), { shape: [3, 3] });
  square.assign(square.transpose());
  assertEquals(square.toArray(), [[1, 4, 7], [2, 5, 8], [3, 6, 9]]);
  square.assign(square.slice("::-1", "::-1"));
  assertEquals(square.toArray(), [[9, 6, 3], [8, 5, 2], [7, 4, 1]]);
  square.assign(square.slice(1));
  assertEquals(square.toArray(), [[8, 5, 2], [8, 5, 2], [8, 5, 2]]);
});

Deno.test("slice() gives an empty range the stride of a step of 1, as NumPy does", () => {
  const view = new NDArray(new Uint8Array(20), { shape: [4, 5] });
  assertEquals(view.slice("2:2:3", "::-2").stride, [5, -2]);
  assertEquals(view.slice("::-1", "1:3:-1").stride, [-5, 1]);
});
