/**
 * What one element costs: `get` and `set` in nested loops, bounds checked, against raw index
 * arithmetic and against npm ndarray, which checks nothing.
 *
 * @module
 */

import { NDArray, slice } from "@shm/array";
// @ts-types="npm:@types/ndarray@1.0.14"
import ndarray from "ndarray";
import {
  benchGroup,
  expectSame,
  expectSameElements,
  type Group,
  isBenched,
  ownText,
} from "./measure.ts";

type Loop<A> = (array: A, n0: number, n1: number, n2: number) => number;

/** The text of nested loops over 2 or 3 axes. */
function nest(rank: number, body: string): string {
  const inner = rank === 2 ? body : `for (let k = 0; k < n2; k++) ${body}`;
  return `let sum = 0;
    for (let i = 0; i < n0; i++) for (let j = 0; j < n1; j++) ${inner}
    return sum;`;
}

/** The kind of the elements: numbers with a fraction, as measurements are, or whole numbers. */
type Values = "fractions" | "whole numbers";

/** A loop over all elements with a text of its own; what is stored varies from element to element. */
function makeLoop<A>(
  key: string,
  operation: "get" | "set",
  rank: number,
  raw: boolean,
  values: Values = "fractions",
): Loop<A> {
  const indices = rank === 2 ? "i, j" : "i, j, k";
  const cell = rank === 2 ? "a[i * n1 + j]" : "a[(i * n1 + j) * n2 + k]";
  const value = values === "fractions" ? "sum += 0.25" : rank === 2 ? "i + j" : "i + j + k";
  const body = operation === "get"
    ? (raw ? `sum += ${cell};` : `sum += a.get(${indices});`)
    : (raw ? `${cell} = ${value};` : `a.set(${indices}, ${value});`);
  return ownText(`${key}, ${operation}, ${rank}-d, ${values}`, "a, n0, n1, n2", nest(rank, body));
}

function filled(length: number, values: Values = "fractions"): Float64Array {
  return Float64Array.from(
    { length },
    (_, i) => values === "fractions" ? i % 251 + 0.5 : i % 251,
  );
}

const LOOP = "get, set in nested loops";
const VIEW = "get, set over a stepped, offset, reversed view";

/** Whole arrays, whose elements lie side by side. */
function wholeGroup(
  operation: "get" | "set",
  shape: [number, number, number?],
  values: Values = "fractions",
): Group {
  const rank = shape.filter((length) => length !== undefined).length;
  const [n0, n1, n2 = 1] = shape;
  const count = n0 * n1 * n2;
  const lengths = rank === 2 ? [n0, n1] : [n0, n1, n2];
  const heaps = [0, 1, 2].map(() => filled(count, values));
  const view = new NDArray(heaps[0], { shape: lengths });
  const peer = ndarray(heaps[1], lengths);
  const ourLoop = makeLoop<NDArray>("ours", operation, rank, false, values);
  const rawLoop = makeLoop<Float64Array>("raw", operation, rank, true, values);
  const peerLoop = makeLoop<typeof peer>("npm ndarray", operation, rank, false, values);
  const ours = (): number => ourLoop(view, n0, n1, n2);
  const raw = (): number => rawLoop(heaps[2], n0, n1, n2);
  const npm = (): number => peerLoop(peer, n0, n1, n2);
  const what = `${operation} ${rank}-d${values === "fractions" ? "" : `, ${values}`}`;
  const goal = values !== "fractions" ? undefined : { most: rank === 2 ? 1.5 : 2 };
  return {
    item: LOOP,
    what,
    count,
    unit: "ns per element",
    check() {
      const sum = raw();
      expectSame(what, ours(), sum);
      expectSame(`${what}, npm ndarray`, npm(), sum);
      for (const heap of heaps) expectSameElements(what, heap, heaps[2]);
    },
    ours,
    against: [
      { name: "raw index arithmetic", goal, run: raw },
      { name: "npm ndarray (unchecked)", goal, run: npm },
    ],
  };
}

/** A view that takes every second row from the second on, and every second column from the end. */
function partGroup(operation: "get" | "set", side: number): Group {
  const heaps = [0, 1].map(() => filled(side * side));
  const view = new NDArray(heaps[0], { shape: [side, side] })
    .slice(slice(1, null, 2), slice(null, null, -2));
  const peer = ndarray(heaps[1], [side, side]).lo(1, 0).step(2, -2);
  const ourLoop = makeLoop<NDArray>("ours, part", operation, 2, false);
  const peerLoop = makeLoop<typeof peer>("npm ndarray, part", operation, 2, false);
  const [n0, n1] = view.shape;
  const ours = (): number => ourLoop(view, n0, n1, 1);
  const npm = (): number => peerLoop(peer, n0, n1, 1);
  return {
    item: VIEW,
    what: operation,
    count: n0 * n1,
    unit: "ns per element",
    check() {
      expectSame("the view's shape", `${view.shape}`, `${peer.shape}`);
      expectSame(operation, ours(), npm());
      expectSameElements(operation, heaps[0], heaps[1]);
    },
    ours,
    against: [{ name: "npm ndarray (unchecked)", goal: { most: 2.2 }, run: npm }],
  };
}

/** What errors cost afterwards: V8 remembers that compiled code has met them. */
function erredGroup(): Group {
  const [side, count] = [1024, 1024 * 1024];
  // Views of another dtype, so that what V8 learns here does not change the other groups.
  const make = (): NDArray<"float32"> =>
    new NDArray(new Float32Array(count).fill(1.5), { shape: [side, side] });
  const [view, peer] = [make(), make().data];
  const ourLoop = makeLoop<NDArray>("ours, after an error", "get", 2, false);
  const rawLoop = makeLoop<Float32Array>("raw, beside it", "get", 2, true);
  const what = "get 2-d, after errors were caught";
  return {
    item: LOOP,
    what,
    count,
    unit: "ns per element",
    check() {
      for (let i = 0; i < 3; i++) {
        expectSame(what, ourLoop(view as NDArray, side, side, 1), 1.5 * count);
      }
      const closed = make();
      (closed.data.buffer as ArrayBuffer).transfer(0);
      for (let i = 0; i < 3; i++) {
        expectError(() => view.get(side, i));
        expectError(() => closed.get(0, i));
      }
      expectSame(what, ourLoop(view as NDArray, side, side, 1), 1.5 * count);
    },
    ours: () => ourLoop(view as NDArray, side, side, 1),
    against: [
      { name: "raw index arithmetic", run: () => rawLoop(peer as Float32Array, side, side, 1) },
    ],
  };
}

function expectError(call: () => unknown): void {
  try {
    call();
  } catch {
    return;
  }
  throw new Error("Cannot time what comes after an error: there was none");
}

/** What `bench/peers.ts` measures, too. */
export const groups: readonly Group[] = [
  wholeGroup("get", [1024, 1024]),
  wholeGroup("set", [1024, 1024]),
  wholeGroup("get", [64, 128, 128]),
  wholeGroup("set", [64, 128, 128]),
  partGroup("get", 1024),
  partGroup("set", 1024),
  wholeGroup("get", [1024, 1024], "whole numbers"),
  wholeGroup("set", [1024, 1024], "whole numbers"),
  erredGroup(),
];

if (isBenched(import.meta.url)) groups.forEach(benchGroup);
