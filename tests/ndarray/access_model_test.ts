// get(), set() and index() against a slow model that is written from the documentation, and shares no code with
// them: over every way in which a view can reach its elements, and in every state of its methods (fresh, renewed
// after errors, serving negative indices).

import { assert, assertEquals, assertThrows } from "@std/assert";
import { NDArray } from "../../mod.ts";
import { bytesPerElement, type DType, dtypes, typedArrayOf } from "../../src/dtype.ts";
import { accessOf } from "../../src/ndarray/element_access.ts";
import { Random, seedOf } from "../helpers/random.ts";

/** NDArray without its types: what JavaScript can pass to it. */
// deno-lint-ignore no-explicit-any -- that is the point
type Loose = any;

const random = new Random(seedOf(20261130));

// --- The model ---------------------------------------------------------------------------------

class Refused extends Error {
  constructor(readonly kind: string, message: string) {
    super(message);
  }
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Where an element lies, or why it cannot be reached. */
function modelIndex(view: Loose, indices: readonly unknown[]): number {
  if (view.data.length === 0 && view.data.buffer.detached) {
    throw new Refused(
      "BadResource",
      "Cannot use this array: its memory is gone; it was closed, or its buffer transferred",
    );
  }
  const rank = view.shape.length;
  if (indices.length !== rank) {
    const [given, axes] = [indices.length, rank];
    throw new Refused(
      "RangeError",
      `Cannot reach an element: ${given} ${
        given === 1 ? "index" : "indices"
      } for an array of ${axes} ${axes === 1 ? "axis" : "axes"}${
        Array.isArray(indices[0]) ? "; write get(0, 1), not get([0, 1])" : ""
      }`,
    );
  }
  let position = view.offset;
  for (let axis = 0; axis < rank; axis++) {
    const index = indices[axis];
    const what = `Cannot reach an element: the index of axis ${axis}`;
    if (typeof index !== "number") {
      throw new Refused("TypeError", `${what} must be an integer, not ${nameOf(index)}`);
    }
    if (!Number.isSafeInteger(index)) {
      throw new Refused("RangeError", `${what} must be a safe integer, not ${index}`);
    }
    const length = view.shape[axis];
    const at = index < 0 ? index + length : index;
    if (at < 0 || at >= length) {
      throw new Refused(
        "RangeError",
        `Cannot reach index ${index}: it is out of bounds for axis ${axis} of length ${length}`,
      );
    }
    position += at * view.stride[axis];
  }
  return position;
}

function modelGet(view: Loose, indices: readonly unknown[]): unknown {
  const element = view.data[modelIndex(view, indices)];
  return view.dtype === "bool" ? (element ? 1 : 0) : element;
}

function modelSet(view: Loose, data: Loose, args: readonly unknown[]): void {
  const position = modelIndex(view, args.slice(0, -1));
  let value = args.at(-1);
  const { dtype } = view;
  const isBig = dtype === "int64" || dtype === "uint64";
  if (dtype === "bool") {
    const hasTruth = value === null ||
      ["string", "number", "bigint", "boolean", "symbol"].includes(typeof value);
    if (hasTruth) value = value || Number.isNaN(value) ? 1 : 0;
  }
  const fits = isBig ? typeof value === "bigint" : typeof value === "number";
  if (!fits) {
    const elements = isBig ? "bigints" : dtype === "bool" ? "true and false" : "numbers";
    const wayOut = typeof value === "bigint"
      ? "; Number(value) converts"
      : typeof value === "number"
      ? "; BigInt(value) converts"
      : "";
    throw new Refused(
      "TypeError",
      `Cannot store ${nameOf(value)} in ${dtype}: its elements are ${elements}${wayOut}`,
    );
  }
  data[position] = value;
}

// --- What is asked -----------------------------------------------------------------------------

/** A result, or the error in its place, in a form that can be compared. */
function outcome(call: () => unknown): object {
  try {
    return { value: call() };
  } catch (error) {
    const { name, kind, message } = error as Error & { kind?: string };
    return { error: kind ?? name, message };
  }
}

let coerced = 0;
/** An object that would do for an index if somebody asked it. */
const likeZero = {
  valueOf: () => (coerced++, 0),
  toString: () => (coerced++, "0"),
};

const wrongIndices: readonly unknown[] = [
  ...[0.5, -0.5, -0.9999999999999999, -1.0000000000000002, 1e-300, NaN, Infinity, -Infinity],
  ...[2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 32 + 1, -(2 ** 32), 2 ** 53, 65_536, 1e6],
  ...["0", "1", "-0", "", "length", 0n, 1n, -1n, null, undefined, true, false, [], [0], [[1]]],
  ...[Symbol("0"), {}, likeZero, Object(0), Object("0"), new Date(0), () => 0, new Uint8Array(1)],
];

function anyIndices(shape: readonly number[], wrong: number): unknown[] {
  const indices: unknown[] = shape.map((length) => {
    if (random.chance(wrong)) {
      return random.oneOf<unknown>([...wrongIndices, length, -length - 1]);
    }
    const bound = random.oneOf([length, Math.min(length, 3)]);
    return random.chance(0.6) ? random.integer(0, bound - 1) : random.integer(-bound, -1);
  });
  if (random.chance(wrong / 4)) indices.pop();
  if (random.chance(wrong / 4)) indices.push(random.oneOf<unknown>([0, null, "x"]));
  if (random.chance(wrong / 4)) indices.push(0, undefined, 1n);
  return indices;
}

/** Layouts for every way of access: short axes, long ones with and without gaps, beyond 2^31. */
function layoutsOf(
  bytes: number,
): { shape: number[]; stride: number[]; length: number; access: string }[] {
  const short = Array.from({ length: 6 }, (_, rank) => {
    const shape = Array.from({ length: rank }, () => random.integer(rank > 3 ? 1 : 2, 6));
    return { shape, stride: shape.map(() => random.integer(-5, 5)), length: 300, access: "tables" };
  });
  // The table of 280,000 bytes is a quarter of 140,000 elements of 8 bytes.
  const quarter = bytes === 8 ? "tables" : "far";
  return [
    ...short,
    { shape: [0, 3], stride: [3, 1], length: 300, access: "tables" },
    { shape: [70_000], stride: [1], length: 70_300, access: "window" },
    { shape: [70_000], stride: [-2], length: 140_400, access: quarter },
    { shape: [3, 2 ** 40], stride: [-2, 0], length: 300, access: "far" },
    {
      shape: [2, 70_000],
      stride: [70_000, 1],
      length: 140_300,
      access: quarter,
    },
    // A table of 280,000 bytes over 2,240,000 and more.
    {
      shape: [70_000, 4],
      stride: [32 / bytes, 1],
      length: 70_000 * 32 / bytes + 300,
      access: "tables",
    },
    {
      shape: [2, 70_000, 2],
      stride: [1, 32 / bytes, 2],
      length: 70_000 * 32 / bytes + 300,
      access: "tables",
    },
  ];
}

function makeView(
  dtype: DType,
  layout: { shape: number[]; stride: number[]; length: number },
  shared: boolean,
): Loose {
  const TypedArray = typedArrayOf(dtype);
  const { shape, stride, length } = layout;
  const bytes = bytesPerElement(dtype) * length;
  const data = new TypedArray(
    shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes),
  ) as Loose;
  const isBig = typeof data[0] === "bigint";
  for (let i = 0; i < length; i++) data[i] = isBig ? BigInt(i) : dtype === "bool" ? i % 3 : i % 251;
  let offset = 50;
  shape.forEach((n, axis) => offset += n > 0 ? Math.max(0, -(n - 1) * stride[axis]) : 0);
  return new (NDArray as Loose)(data, { shape, stride, offset, dtype });
}

const values: readonly unknown[] = [
  ...[1, 2.5, -7, NaN, -0, Infinity, 1n, -5n, 2n ** 70n, true, false],
  ...["1", "", null, undefined, Symbol("1"), {}, [1], likeZero, () => 1],
];

for (const dtype of dtypes) {
  Deno.test(`elements of ${dtype} are reached as the documentation says, whatever is asked`, () => {
    for (const layout of layoutsOf(bytesPerElement(dtype))) {
      const view = makeView(dtype, layout, random.chance(0.3));
      assertEquals(accessOf(view.data, view), layout.access, `${layout.shape} of ${dtype}`);
      const twin = view.data.slice();
      // Runs of right calls, then wrong ones, then negative indices: so each state of the methods is met.
      for (const wrong of [0, 0.3, 0, 0.02, 0.3]) {
        for (let call = 0; call < 60; call++) {
          const indices = anyIndices(view.shape, wrong);
          const what = `${dtype} [${view.shape}] [${view.stride}] ${Deno.inspect(indices)}`;
          const got = outcome(() => view.get(...indices));
          const { length } = view.shape;
          // The one thing that get() may not see: an undefined that is too many, and what follows it.
          const unseen = indices.length > length && indices[length] === undefined && "value" in got;
          const asked = unseen ? indices.slice(0, length) : indices;
          assertEquals(got, outcome(() => modelGet(view, asked)), `get ${what}`);
          assertEquals(
            outcome(() => view.index(...indices)),
            outcome(() => modelIndex(view, indices)),
            `index ${what}`,
          );
          const value = random.oneOf(values);
          const args = [...indices, value];
          assertEquals(
            outcome(() => view.set(...args)),
            outcome(() => modelSet(view, twin, args)),
            `set ${what} to ${Deno.inspect(value)}`,
          );
        }
      }
      assert(view.data.every((element: unknown, i: number) => Object.is(element, twin[i])));
    }
    assertEquals(coerced, 0, "an index or a value was asked for its value");
  });

  Deno.test(`elements of ${dtype} are gone with their memory`, () => {
    for (const layout of layoutsOf(bytesPerElement(dtype))) {
      const view = makeView(dtype, layout, false);
      if (view.size > 0) view.get(...view.shape.map(() => 0));
      const moved = view.data.buffer.transfer();
      const zero = dtype === "int64" || dtype === "uint64" ? 0n : 0;
      const indices = view.shape.map(() => 0);
      for (
        const call of [
          () => view.get(...indices),
          () => view.set(...indices, zero),
          () => view.index(...indices),
          () => view.get(),
          () => view.get("x", {}),
          () => view.slice(),
        ]
      ) {
        assertThrows(call, Deno.errors.BadResource, "memory is gone");
      }
      assert(moved.byteLength > 0);
    }
  });
}

Deno.test("an undefined that is too many is not seen by get(), and refused by set() and index()", () => {
  for (let rank = 1; rank <= 4; rank++) {
    const view: Loose = new NDArray(new Float64Array(16).fill(3), { shape: Array(rank).fill(2) });
    const zeros = Array(rank).fill(0);
    for (let round = 0; round < 2; round++) {
      assertEquals(view.get(...zeros, undefined), 3);
      const call = () => view.set(...zeros, 7, undefined);
      assertThrows(call, RangeError, `${rank + 1} indices for an array of ${rank}`);
      assertThrows(() => view.index(...zeros, undefined), RangeError, `${rank + 1} indices`);
      // All that is not undefined is refused, and counted right, however many there are.
      for (const more of [[0], [null], [NaN, undefined], [1, 2, 3, 4, 5, 6, 7]]) {
        const count = rank + more.length;
        assertThrows(
          () => view.get(...zeros, ...more),
          RangeError,
          `${count} indices for an array`,
        );
      }
      assertThrows(() => view.get(...zeros.slice(1)), RangeError, `${rank - 1} ind`);
      assertEquals(view.get(...zeros), 3);
    }
  }
});

Deno.test("a view's own keys are its fields", () => {
  for (const shape of [[], [8], [2, 4], [2, 2, 2], [2, 2, 1, 2], [2, 2, 1, 1, 2]]) {
    const view = new NDArray(new Uint8Array(8), { shape });
    const fields = ["data", "shape", "stride", "offset", "dtype", "size", "ndim"];
    assertEquals(Object.keys(view), fields);
    assertEquals(Object.getOwnPropertyNames(view), fields);
    assertEquals(Object.keys(structuredClone({ ...view, data: null })), fields);
  }
});

Deno.test("elements beyond 2^31 are reached, and gone with their memory", () => {
  for (const dtype of ["uint8", "bool", "int8"] as const) {
    // Nothing of it is touched but a few pages.
    const data = new (typedArrayOf(dtype))(2 ** 31 + 5000) as Loose;
    const all: Loose = new (NDArray as Loose)(data, { shape: [data.length], dtype });
    const part: Loose = new (NDArray as Loose)(data, {
      shape: [50, 40],
      offset: 2 ** 31 + 100,
      dtype,
    });
    assertEquals(accessOf(data, part), "wide");
    assertEquals(accessOf(data, all), "far");
    for (let round = 0; round < 3; round++) {
      for (const [i, j] of [[0, 0], [49, 39], [-1, -2], [7, 9]]) {
        part.set(i, j, 1);
        const position = 2 ** 31 + 100 + (i + (i < 0 ? 50 : 0)) * 40 + j + (j < 0 ? 40 : 0);
        assertEquals([part.get(i, j), part.index(i, j), all.get(position)], [1, position, 1]);
        all.set(position, 0);
        assertEquals([part.get(i, j), all.get(position - data.length)], [0, 0]);
      }
      for (const indices of [[50, 0], [0], [0, 0, 0], [0, 0.5], ["0", 0], [likeZero, 0], [0, 0n]]) {
        assertEquals(outcome(() => part.get(...indices)), outcome(() => modelGet(part, indices)));
        assertEquals(
          outcome(() => part.set(...indices, 1)),
          outcome(() => modelSet(part, data, [...indices, 1])),
        );
      }
    }
    const row = part.slice(-1);
    row.set(-1, 1);
    assertEquals([row.get(39), part.slice("::-1", "::2").get(0, 0), part.T.get(39, 49)], [1, 0, 1]);
    (data.buffer as ArrayBuffer).transfer(0);
    for (const view of [all, part, row]) {
      assertThrows(() => view.get(...view.shape.map(() => 0)), Deno.errors.BadResource);
      assertThrows(() => view.set(...view.shape.map(() => 0), 1), Deno.errors.BadResource);
    }
  }
  assertEquals(coerced, 0);
});
