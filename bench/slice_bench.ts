/**
 * What making a view costs: `slice()` against npm ndarray's `pick`, `lo`, `hi` and `step`.
 *
 * @module
 */

import { NDArray, slice } from "@shm/array";
// @ts-types="npm:@types/ndarray@1.0.14"
import ndarray from "ndarray";
import { benchGroup, expectSame, type Group, isBenched } from "./measure.ts";

const SIDE = 256;
const COUNT = 2000;

const view = new NDArray(new Float64Array(SIDE * SIDE), { shape: [SIDE, SIDE] });
const peer = ndarray(new Float64Array(SIDE * SIDE), [SIDE, SIDE]);

type Made = { readonly offset: number; readonly shape: readonly number[] };

/** Keeps the last view made, so that making it cannot be left out. */
let made: Made = view;

/** The loops are written out: a loop that takes the body as a function would share its feedback. */
const ours = {
  row(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      made = view.slice(i % SIDE);
      sum += made.offset;
    }
    return sum;
  },
  window(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      const at = i % 200;
      made = view.slice(slice(at, at + 10), slice(at + 1, at + 21));
      sum += made.offset;
    }
    return sum;
  },
  sizes(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      made = view.slice(slice(0, i % SIDE), slice(0, 255 - i % SIDE));
      sum += made.shape[0];
    }
    return sum;
  },
  reversed(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      made = view.slice(slice(null, null, 2), slice(null, null, -1));
      sum += made.offset;
    }
    return sum;
  },
  text(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      made = view.slice("::2", "::-1");
      sum += made.offset;
    }
    return sum;
  },
};

const npm = {
  row(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      // Its types do not know that an axis can be left whole.
      const pick = peer.pick as (...at: (number | null)[]) => typeof peer;
      made = pick.call(peer, i % SIDE, null);
      sum += made.offset;
    }
    return sum;
  },
  window(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      const at = i % 200;
      made = peer.lo(at, at + 1).hi(10, 20);
      sum += made.offset;
    }
    return sum;
  },
  sizes(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      made = peer.hi(i % SIDE, 255 - i % SIDE);
      sum += made.shape[0];
    }
    return sum;
  },
  reversed(): number {
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      made = peer.step(2, -1);
      sum += made.offset;
    }
    return sum;
  },
};

/** The goals against npm ndarray. */
const goals = { row: 0.6, window: 1.5, sizes: 8, reversed: 1.5, text: 1.5 };

const labels = {
  row: "one row",
  window: "two ranges",
  sizes: "windows of 256 sizes",
  reversed: "stepped and reversed",
  text: 'as text, "::2"',
};

function sliceGroup(kind: keyof typeof ours): Group {
  const opponent = kind === "text" ? "reversed" : kind;
  return {
    item: "slice() making a view",
    what: labels[kind],
    count: COUNT,
    unit: "ns per view",
    check() {
      const sum = npm[opponent]();
      const shape = `${made.shape}`;
      expectSame(`slice, ${labels[kind]}`, ours[kind](), sum);
      expectSame(`slice, ${labels[kind]}`, `${made.shape}`, shape);
    },
    ours: ours[kind],
    against: [{ name: "npm ndarray", goal: { most: goals[kind] }, run: npm[opponent] }],
  };
}

/** What `bench/peers.ts` measures, too, and lets NumPy do: by the name of NumPy's version of it. */
export const groups: { readonly [kind in keyof typeof ours]: Group } = {
  row: sliceGroup("row"),
  window: sliceGroup("window"),
  sizes: sliceGroup("sizes"),
  reversed: sliceGroup("reversed"),
  text: sliceGroup("text"),
};

if (isBenched(import.meta.url)) Object.values(groups).forEach(benchGroup);
