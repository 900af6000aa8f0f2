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

/** A loop over all elements with a text of its own; what is stored varies from element to element. */
function makeLoop<A>(key: string, operation: "get" | "set", rank: number, raw: boolean): Loop<A> {
  const indices = rank === 2 ? "i, j" : "i, j, k";
  const cell = rank === 2 ? "a[i * n1 + j]" : "a[(i * n1 + j) * n2 + k]";
  const value = rank === 2 ? "i + j" : "i + j + k";
  const body = operation === "get"
    ? (raw ? `sum += ${cell};` : `sum += a.get(${indices});`)
    : (raw ? `${cell} = ${value};` : `a.set(${indices}, ${value});`);
  return ownText(`${key}, ${operation}, rank ${rank}`, "a, n0, n1, n2", nest(rank, body));
}

const LOOP = "get, set in nested loops";
const VIEW = "get, set over a stepped, offset, reversed view";

/** Whole arrays, whose elements lie side by side. */
function wholeGroup(operation: "get" | "set", shape: [number, number, number?]): Group {
  const rank = shape.filter((length) => length !== undefined).length;
  const [n0, n1, n2 = 1] = shape;
  const count = n0 * n1 * n2;
  const lengths = rank === 2 ? [n0, n1] : [n0, n1, n2];
  const heaps = [0, 1, 2].map(() => Float64Array.from({ length: count }, (_, i) => i % 251));
  const view = new NDArray(heaps[0], { shape: lengths });
  const peer = ndarray(heaps[1], lengths);
  const ourLoop = makeLoop<NDArray>("ours", operation, rank, false);
  const rawLoop = makeLoop<Float64Array>("raw", operation, rank, true);
  const peerLoop = makeLoop<typeof peer>("npm ndarray", operation, rank, false);
  const ours = (): number => ourLoop(view, n0, n1, n2);
  const raw = (): number => rawLoop(heaps[2], n0, n1, n2);
  const npm = (): number => peerLoop(peer, n0, n1, n2);
  const what = `${operation} ${rank}-d`;
  const limit = rank === 2 ? 1.5 : 2;
  const goal = `≤ ${limit} ×`;
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
      { name: "raw index arithmetic", goal, limit, run: raw },
      { name: "npm ndarray (unchecked)", goal, limit, run: npm },
    ],
  };
}

/** A view that takes every second row from the second on, and every second column from the end. */
function partGroup(operation: "get" | "set", side: number): Group {
  const heaps = [0, 1].map(() => Float64Array.from({ length: side * side }, (_, i) => i % 251));
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
    against: [{ name: "npm ndarray (unchecked)", goal: "≤ 2.2 ×", limit: 2.2, run: npm }],
  };
}

/** What `bench/peers.ts` measures, too. */
export const groups: readonly Group[] = [
  wholeGroup("get", [1024, 1024]),
  wholeGroup("set", [1024, 1024]),
  wholeGroup("get", [64, 128, 128]),
  wholeGroup("set", [64, 128, 128]),
  partGroup("get", 1024),
  partGroup("set", 1024),
];

if (isBenched(import.meta.url)) groups.forEach(benchGroup);
