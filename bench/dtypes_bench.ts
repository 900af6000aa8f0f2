/**
 * What a program pays for using many dtypes. V8 optimizes a place in the source text for up to four
 * kinds of typed array. From the fifth on, element access at that place takes ten times as long.
 *
 * @module
 */

import { type DType, NDArray, slice } from "@shm/array";
import { typedArrayOf } from "@shm/array/dtype";
import { expectSame, isBenched, keep, ownText } from "./measure.ts";

const SIDE = 256;
const HALF = SIDE / 2;

/** The eight dtypes that a program uses here: integers, floats, bigints. */
export const eightDTypes: readonly DType[] = [
  "float64",
  "float32",
  "uint8",
  "int16",
  "int32",
  "uint32",
  "int64",
  "float16",
];

/**
 * What is measured. Accessors run over a whole array, the bulk operations over a strided view. In
 * "one loop" all dtypes go through the same line of the program, which slows down plain typed arrays,
 * too: "one raw loop" shows by how much.
 */
export const operations = [
  "get + set",
  "fill",
  "assign",
  "copy",
  "iterate",
  "one loop",
  "one raw loop",
] as const;

/** One of the operations. */
export type Operation = typeof operations[number];

/** All operations on arrays of one dtype. */
export interface Kit {
  readonly dtype: DType;
  /** Does an operation on every element. */
  readonly run: { readonly [operation in Operation]: () => unknown };
}

/** How many elements an operation visits. */
export function countOf(operation: Operation): number {
  return /set|loop/.test(operation) ? SIDE * SIDE : HALF * HALF;
}

type Loop<A> = (array: A, values: ArrayLike<unknown>, zero: unknown) => unknown;

const texts = {
  get: `let last = zero;
    for (let i = 0; i < ${SIDE}; i++) for (let j = 0; j < ${SIDE}; j++) last = a.get(i, j);
    return last;`,
  set: `for (let i = 0; i < ${SIDE}; i++) for (let j = 0; j < ${SIDE}; j++) {
      a.set(i, j, values[(i + j) & 63]);
    }`,
  iterate: "let last = zero; for (const element of a) last = element; return last;",
};

/** One place in the program that meets the arrays of all dtypes. */
const oneLoop: Loop<NDArray> = ownText(
  "one loop",
  "a, values, zero",
  `for (let i = 0; i < ${SIDE}; i++) for (let j = 0; j < ${SIDE}; j++) {
    a.set(i, j, a.get(i, j));
  }`,
);
const oneRawLoop: Loop<NDArray["data"]> = ownText(
  "one raw loop",
  "a, values, zero",
  `for (let i = 0; i < ${SIDE}; i++) for (let j = 0; j < ${SIDE}; j++) {
    a[i * ${SIDE} + j] = a[i * ${SIDE} + j];
  }`,
);

/** Makes arrays of a dtype, and for each operation a loop whose text no other dtype shares. */
export function makeKit(dtype: DType): Kit {
  const length = SIDE * SIDE;
  const convert = dtype === "int64" ? BigInt : Number;
  const values = Array.from({ length: 64 }, (_, i) => convert(i));
  const make = (): NDArray =>
    new NDArray(new (typedArrayOf(dtype))(length), { shape: [SIDE, SIDE] }) as NDArray;
  const [whole, target] = [make(), make()];
  const even = slice(null, null, 2);
  const [part, targetPart] = [whole.slice(even, even), target.slice(even, even)];
  const loop = (operation: keyof typeof texts): Loop<NDArray> =>
    ownText(`${operation} ${dtype}`, "a, values, zero", texts[operation]);
  const [get, set, iterate] = [loop("get"), loop("set"), loop("iterate")];
  let turn = 0;
  const kit: Kit = {
    dtype,
    run: {
      "get + set"() {
        set(whole, values, values[0]);
        return get(whole, values, values[0]);
      },
      fill: () => targetPart.fill(values[turn++ & 63] as never),
      assign: () => targetPart.assign(part as never),
      copy: () => part.copy(),
      iterate: () => iterate(part, values, values[0]),
      "one loop": () => oneLoop(whole, values, values[0]),
      "one raw loop": () => oneRawLoop(whole.data, values, values[0]),
    },
  };
  check(kit, whole, targetPart, part);
  return kit;
}

function check({ dtype, run }: Kit, whole: NDArray, targetPart: NDArray, part: NDArray): void {
  const [last, lastOfPart] = [2 * (SIDE - 1) & 63, 2 * (SIDE - 2) & 63];
  expectSame(`get ${dtype}`, Number(run["get + set"]()), last);
  expectSame(`set ${dtype}`, Number(whole.data[SIDE * SIDE - 1]), last);
  run["one loop"]();
  run["one raw loop"]();
  expectSame(`one loop ${dtype}`, Number(whole.data[SIDE * SIDE - 1]), last);
  expectSame(`iterate ${dtype}`, Number(run.iterate()), lastOfPart);
  run.fill();
  expectSame(`fill ${dtype}`, `${targetPart.toArray().flat()}`, `${Array(HALF * HALF).fill(0)}`);
  run.assign();
  expectSame(`assign ${dtype}`, `${targetPart.toArray()}`, `${part.toArray()}`);
  expectSame(`copy ${dtype}`, `${run.copy()}`, `${part.toArray()}`);
}

/** Runs an operation often on one dtype; returns nanoseconds per element. */
export function timeOperation({ run }: Kit, operation: Operation, times: number): number {
  const work = run[operation];
  const start = performance.now();
  for (let i = 0; i < times; i++) keep(work());
  return (performance.now() - start) * 1e6 / (times * countOf(operation));
}

if (isBenched(import.meta.url)) {
  // Benches run in this order: the first one of each group is alone in the process until then.
  const alone = makeKit("float64");
  for (const operation of operations) {
    const group = `${operation} (${countOf(operation)} × per run)`;
    const run = alone.run[operation];
    Deno.bench({ group, name: "float64, alone", baseline: true, fn: () => keep(run()) });
  }
  let others: Kit[] | undefined;
  const warm = (): Kit[] => others ??= eightDTypes.slice(1).map(makeKit);
  for (const operation of operations) {
    const group = `${operation} (${countOf(operation)} × per run)`;
    const run = alone.run[operation];
    Deno.bench({
      group,
      name: "float64, seven other dtypes in use",
      fn: (bench) => {
        for (const kit of warm()) keep(kit.run[operation]());
        bench.start();
        keep(run());
        bench.end();
      },
    });
  }
}
