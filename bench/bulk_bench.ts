/**
 * What many elements cost: loops over 64 MiB of shared memory against the same over the heap, and
 * fill, assign, copy and iteration on a strided view against raw loops.
 *
 * @module
 */

import { type DType, NDArray, SharedMemoryArray, slice } from "@shm/array";
import { typedArrayOf } from "@shm/array/dtype";
import {
  benchGroup,
  expectSame,
  expectSameElements,
  type Group,
  isBenched,
  ownText,
} from "./measure.ts";

/** An array whose name is gone at once: nothing is left behind, however the process ends. */
function sharedArray(shape: number[]): NDArray<"float64"> {
  const sma = new SharedMemoryArray(shape, "float64", SharedMemoryArray.buildSmaName("bench"));
  const array = sma.create();
  sma.unlink();
  return array;
}

// --- 64 MiB through .array.data --------------------------------------------------------------

const LENGTH = 8 * 2 ** 20;

/** What is stored varies: V8 runs a loop that stores a constant at one of two speeds, by chance. */
const bodies = {
  sum: "let sum = 0; for (let i = 0; i < x.length; i++) sum += x[i]; return sum;",
  fill: "for (let i = 0; i < x.length; i++) x[i] = k + i; return x[x.length - 1];",
  copy: "for (let i = 0; i < x.length; i++) y[i] = x[i]; return y[y.length - 1];",
  axpy: "for (let i = 0; i < x.length; i++) y[i] += k * x[i]; return y[y.length - 1];",
};

type Loop = (x: Float64Array, y: Float64Array, k: number) => number;

interface Pair {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

function makePair(make: () => Float64Array): Pair {
  const [x, y] = [make(), make()];
  return { x: x.map((_, i) => i % 1000), y: y.fill(1) };
}

function heapPair(): Pair {
  return makePair(() => new Float64Array(LENGTH));
}

function sharedPair(): Pair {
  const [x, y] = [sharedArray([LENGTH]).data, sharedArray([LENGTH]).data] as Float64Array[];
  for (let i = 0; i < LENGTH; i++) x[i] = i % 1000;
  return { x, y: y.fill(1) };
}

/** There are several pairs, which take turns: some pages of the kernel's are slower than others. */
const PAIRS = 8;

function inTurns(loop: Loop, pairs: readonly Pair[]): () => number {
  let turn = 0;
  return () => {
    const { x, y } = pairs[turn++ % PAIRS];
    return loop(x, y, 0.5);
  };
}

function wholeGroup(
  operation: keyof typeof bodies,
  shared: readonly Pair[],
  heap: readonly Pair[],
): Group {
  const body = bodies[operation];
  const ours = inTurns(ownText(`${operation} over shared memory`, "x, y, k", body), shared);
  const theirs = inTurns(ownText(`${operation} over the heap`, "x, y, k", body), heap);
  return {
    item: "sum, fill, copy, axpy over 64 MiB float64 through .array.data",
    what: operation,
    count: LENGTH,
    unit: "ns per element",
    check() {
      for (let pair = 0; pair < PAIRS; pair++) {
        expectSame(operation, ours(), theirs());
        expectSameElements(operation, shared[pair].x, heap[pair].x);
        expectSameElements(operation, shared[pair].y, heap[pair].y);
      }
    },
    ours,
    against: [{ name: "heap typed array", goal: { most: 1.03 }, run: theirs }],
  };
}

/** Loops over 64 MiB; the arrays are made when they are asked for. */
export function wholeGroups(): Group[] {
  const make = (pair: () => Pair): Pair[] => Array.from({ length: PAIRS }, pair);
  const [shared, heap] = [make(sharedPair), make(heapPair)];
  return (["sum", "fill", "copy", "axpy"] as const).map((operation) =>
    wholeGroup(operation, shared, heap)
  );
}

// --- A strided view --------------------------------------------------------------------------

/** The view that `peers/numpy_peer.py` uses, too: every second of 1024 rows, every second column. */
const SIDE = 1024;
const HALF = SIDE / 2;

/** A loop over every second row and column, as one would write it by hand. */
function rawLoop(key: string, body: string): (x: Float64Array, y: Float64Array) => number {
  return ownText(
    `raw ${key} over a part`,
    "x, y",
    `let sum = 0;
    for (let i = 0; i < ${SIDE}; i += 2) for (let j = 0; j < ${SIDE}; j += 2) ${body}
    return sum;`,
  );
}

const ITEM = "fill, assign, copy, sum by iteration on a strided view";

/** The operations on a strided view, against raw loops. */
export function partGroups(): Group[] {
  const heap = Float64Array.from({ length: SIDE * SIDE }, (_, i) => i % 1000);
  const target = new Float64Array(SIDE * SIDE);
  const even = slice(null, null, 2);
  const whole = sharedArray([SIDE, SIDE]).assign(
    heap.length === 0 ? 0 : new NDArray(heap, {
      shape: [SIDE, SIDE],
    }),
  );
  const part = whole.slice(even, even);
  const targetPart = sharedArray([SIDE, SIDE]).slice(even, even);
  const count = HALF * HALF;
  const unit = "ns per element";
  let turn = 0;

  const rawFill = ownText<(x: Float64Array, value: number) => void>(
    "raw fill over a part",
    "x, value",
    `for (let i = 0; i < ${SIDE}; i += 2) for (let j = 0; j < ${SIDE}; j += 2) {
      x[i * ${SIDE} + j] = value;
    }`,
  );
  const rawAssign = rawLoop("assign", `x[i * ${SIDE} + j] = y[i * ${SIDE} + j];`);
  const rawCopy = rawLoop("copy", `x[(i * ${HALF} + j) >> 1] = y[i * ${SIDE} + j];`);
  const rawSum = rawLoop("sum", `sum += x[i * ${SIDE} + j];`);
  const iterate = ownText<(view: Iterable<number>) => number>(
    "sum by iteration",
    "view",
    "let sum = 0; for (const element of view) sum += element; return sum;",
  );

  const iterateTyped = ownText<(elements: Iterable<number>) => number>(
    "sum by iteration of a typed array",
    "elements",
    "let sum = 0; for (const element of elements) sum += element; return sum;",
  );
  const typed = part.copy() as Float64Array;

  const byRows = ownText<(view: NDArray<"float64">) => number>(
    "sum by rows",
    "view",
    `let sum = 0;
    for (const row of view.rows()) {
      const elements = row.subarray();
      for (let j = 0; j < elements.length; j++) sum += elements[j];
    }
    return sum;`,
  );
  const rawWhole = ownText<(x: Float64Array) => number>(
    "raw sum over the whole",
    "x",
    "let sum = 0; for (let i = 0; i < x.length; i++) sum += x[i]; return sum;",
  );

  const fill = (): void => void targetPart.fill(turn++);
  const assign = (): void => void targetPart.assign(part);
  const copy = (): Float64Array => part.copy() as Float64Array;
  const byHand = (): Float64Array => {
    const result = new Float64Array(count);
    rawCopy(result, heap);
    return result;
  };
  const [kept, keptByHand] = [new Float64Array(count), new Float64Array(count)];
  const copyInto = (): Float64Array => part.copy({ into: kept });

  return [
    {
      item: ITEM,
      what: "fill",
      count,
      unit,
      check() {
        turn = 7;
        fill();
        expectSame("fill", iterate(targetPart as unknown as Iterable<number>), 7 * count);
        rawFill(target, 7);
        expectSame("raw fill", rawSum(target, target), 7 * count);
      },
      ours: fill,
      against: [{ name: "raw loop", run: () => rawFill(target, turn++) }],
    },
    {
      item: ITEM,
      what: "assign",
      count,
      unit,
      check() {
        assign();
        rawAssign(target, heap);
        expectSameElements("assign", targetPart.copy(), byHand());
        expectSame("raw assign", rawSum(target, target), rawSum(heap, heap));
      },
      ours: assign,
      against: [{ name: "raw loop", run: () => rawAssign(target, heap) }],
    },
    {
      item: ITEM,
      what: "copy",
      count,
      unit,
      check: () => expectSameElements("copy", copy(), byHand()),
      ours: copy,
      against: [{ name: "raw loop", run: byHand }],
    },
    {
      item: ITEM,
      what: "copy into a kept array",
      count,
      unit,
      check: () => expectSameElements("copy into", copyInto(), byHand()),
      ours: copyInto,
      against: [{ name: "raw loop", run: () => rawCopy(keptByHand, heap) }],
    },
    {
      item: ITEM,
      what: "sum by iteration",
      count,
      unit,
      check() {
        expectSame("sum", iterate(part as unknown as Iterable<number>), rawSum(heap, heap));
        expectSame("sum of a typed array", iterateTyped(typed), rawSum(heap, heap));
      },
      ours: () => iterate(part as unknown as Iterable<number>),
      against: [
        { name: "raw loop", goal: { most: 2.5 }, run: () => rawSum(heap, heap) },
        { name: "of a typed array", goal: { most: 1 }, run: () => iterateTyped(typed) },
      ],
    },
    {
      item: ITEM,
      what: "sum by rows() and subarray()",
      count: SIDE * SIDE,
      unit,
      check: () => expectSame("sum by rows", byRows(whole), rawWhole(heap)),
      ours: () => byRows(whole),
      against: [{ name: "raw loop", goal: { most: 1.1 }, run: () => rawWhole(heap) }],
    },
  ];
}

// --- Conversion ------------------------------------------------------------------------------

/** `astype()` of 10^6 elements, against the loop that one would write by hand. */
export function conversionGroups(): Group[] {
  const count = 1e6;
  const numbers = Float64Array.from({ length: count }, (_, i) => i * 12345 - 5000);
  const bigints = BigInt64Array.from(numbers, BigInt);
  const integers = Int32Array.from({ length: count }, (_, i) => i - 5000);
  const group = (
    from: Float64Array | BigInt64Array | Int32Array,
    to: DType,
    element: string,
  ): Group => {
    const view = new NDArray(from) as NDArray;
    const byHand = ownText<(x: typeof from, Type: unknown) => Iterable<number | bigint>>(
      `${view.dtype} to ${to}`,
      "x, Type",
      `const y = new Type(x.length); for (let i = 0; i < x.length; i++) y[i] = ${element}; return y;`,
    );
    const Type = typedArrayOf(to);
    return {
      item: "astype() of 10^6 elements",
      what: `${view.dtype} to ${to}`,
      count,
      unit: "element",
      check() {
        const [ours, theirs] = [view.astype(to).data, byHand(from, Type)];
        expectSame("astype", [...ours].join(), [...theirs].join());
      },
      ours: () => view.astype(to),
      against: [{ name: "loop by hand", run: () => byHand(from, Type) }],
    };
  };
  return [
    group(bigints, "float64", "Number(x[i])"),
    group(bigints, "int32", "Number(BigInt.asIntN(32, x[i]))"),
    group(numbers, "int64", "BigInt(Math.trunc(x[i]))"),
    group(numbers, "int32", "x[i]"),
    group(numbers, "bool", "x[i] === 0 ? 0 : 1"),
    group(integers, "int64", "BigInt(x[i])"),
  ];
}

// --- Create and fill 512 MiB -----------------------------------------------------------------

/** Creates and fills an array; closing it is not counted. Returns nanoseconds. */
export function createAndFill(byteLength: number): number {
  const name = SharedMemoryArray.buildSmaName("bench");
  using sma = new SharedMemoryArray([byteLength / 8], "float64", name);
  const start = performance.now();
  const array = sma.create();
  array.fill(1.5);
  const time = (performance.now() - start) * 1e6;
  sma.unlink();
  const middle = array.data[array.size / 2];
  expectSame("create + fill", middle + array.get(0) + array.get(-1), 4.5);
  return time;
}

if (isBenched(import.meta.url)) {
  [...wholeGroups(), ...partGroups(), ...conversionGroups()].forEach(benchGroup);
  Deno.bench("create + fill 64 MiB", () => void createAndFill(64 * 2 ** 20));
}
