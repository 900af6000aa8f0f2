/**
 * Loops as people write them, with several accesses each: beside npm ndarray, which checks nothing, and
 * beside raw index arithmetic. Each exported function makes the groups of one process, because what V8
 * learns in one of them (an error, a negative index, many dtypes) would change the others.
 *
 * @module
 */

import { type DType, NDArray, SharedMemoryArray } from "@shm/array";
import { typedArrayOf } from "@shm/array/dtype";
// @ts-types="npm:@types/ndarray@1.0.14"
import ndarray from "ndarray";
import {
  benchGroup,
  expectSame,
  expectSameElements,
  type Goal,
  type Group,
  isBenched,
  ownText,
} from "./measure.ts";

// --- The texts of the loops ------------------------------------------------------------------

/** How one of the contestants writes an access. */
interface Style {
  get(array: string, ...indices: string[]): string;
  set(array: string, ...indicesAndValue: string[]): string;
  /** The length of an axis of `a`, where it is read at each step. */
  length(axis: number): string;
  /** What makes `row` in a loop over rows, and accesses to its element `j`. */
  readonly row: { make: string; get: string; set(value: string): string };
}

const methods = {
  get: (array: string, ...indices: string[]): string => `${array}.get(${indices.join(", ")})`,
  set: (array: string, ...rest: string[]): string => `${array}.set(${rest.join(", ")});`,
  length: (axis: number): string => `a.shape[${axis}]`,
};
const rowMethods = {
  get: "row.get(j)",
  set: (value: string): string => `row.set(j, ${value});`,
};

/** Our views: `a.get(i, j)`. */
const ours: Style = { ...methods, row: { ...rowMethods, make: "a.slice(i)" } };

/** npm ndarray has the same methods; a row is `pick(i, null)`. */
const npm: Style = { ...methods, row: { ...rowMethods, make: "a.pick(i, null)" } };

/** A typed array: `a[i * n1 + j]`. */
const raw: Style = {
  get: (array, ...indices) => `${array}[${position(indices)}]`,
  set: (array, ...rest) => `${array}[${position(rest.slice(0, -1))}] = ${rest.at(-1)};`,
  length: (axis) => `n${axis}`,
  row: { make: "i * n1", get: "a[row + j]", set: (value) => `a[row + j] = ${value};` },
};

function position([i, j, k]: readonly string[]): string {
  return k === undefined ? `(${i}) * n1 + ${j}` : `((${i}) * n1 + ${j}) * n2 + ${k}`;
}

/** A typed array with any offset and strides: `a[o + i * s0 + j * s1]`. */
const rawStrided: Style = {
  ...raw,
  get: (array, i, j) => `${array}[o + (${i}) * s0 + (${j}) * s1]`,
  set: (array, i, j, value) => `${array}[o + (${i}) * s0 + (${j}) * s1] = ${value};`,
};

/** A loop: the arrays are `a`, `b`, `c`, the lengths `n0`, `n1`, `n2`, a factor `f`; `zero` is 0 or 0n. */
type Text = (style: Style) => string;

const all = "for (let i = 0; i < n0; i++) for (let j = 0; j < n1; j++)";
const inner = "for (let i = 1; i < n0 - 1; i++) for (let j = 1; j < n1 - 1; j++)";

/** The names of the eight neighbours' elements of an array, and their declaration. */
function neighbours(style: Style, array: string, prefix: string): string {
  const places = { nw: [-1, -1], n: [-1, 0], ne: [-1, 1], w: [0, -1], e: [0, 1], sw: [1, -1] };
  const others = { s: [1, 0], se: [1, 1] };
  return Object.entries({ ...places, ...others }).map(([name, [di, dj]]) =>
    `const ${prefix}${name} = ${style.get(array, shifted("i", di), shifted("j", dj))};`
  ).join("\n      ");
}

function shifted(index: string, by: number): string {
  return by === 0 ? index : `${index} ${by < 0 ? "-" : "+"} 1`;
}

const texts = {
  "get": (s) => `let sum = zero; ${all} sum += ${s.get("a", "i", "j")}; return sum;`,
  "get, lengths in the loop's head": (s) =>
    `let sum = zero;
    for (let i = 0; i < ${s.length(0)}; i++) {
      for (let j = 0; j < ${s.length(1)}; j++) sum += ${s.get("a", "i", "j")};
    }
    return sum;`,
  "set": (s) => `let sum = zero; ${all} ${s.set("b", "i", "j", "sum += f")} return sum;`,
  "set(get + 1)": (s) => `${all} ${s.set("b", "i", "j", `${s.get("b", "i", "j")} + one`)}`,
  "axpy": (s) =>
    `${all} ${s.set("b", "i", "j", `f * ${s.get("a", "i", "j")} + ${s.get("b", "i", "j")}`)}`,
  "5-point stencil": (s) =>
    `${inner} {
      ${
      s.set(
        "b",
        "i",
        "j",
        `f * (${s.get("a", "i", "j")} + ${s.get("a", "i - 1", "j")} + ${
          s.get("a", "i + 1", "j")
        } + ${s.get("a", "i", "j - 1")} + ${s.get("a", "i", "j + 1")})`,
      )
    }
    }`,
  "hillshade (8 + 1)": (s) =>
    `${inner} {
      ${neighbours(s, "a", "")}
      const x = (ne + 2 * e + se - nw - 2 * w - sw) * f;
      const y = (sw + 2 * s + se - nw - 2 * n - ne) * f;
      ${s.set("b", "i", "j", "100 * (1 + x + y) / Math.sqrt(1 + x * x + y * y)")}
    }`,
  "matrix product": (s) =>
    `${all} {
      let sum = zero;
      for (let k = 0; k < n1; k++) sum += ${s.get("a", "i", "k")} * ${s.get("b", "k", "j")};
      ${s.set("c", "i", "j", "sum")}
    }`,
  "rows by slice(i)": ({ row }) =>
    `for (let i = 0; i < n0; i++) {
      const row = ${row.make};
      for (let j = 0; j < n1; j++) ${row.set(`${row.get} + one`)}
    }`,
  "3-d 7-point stencil": (s) =>
    `for (let i = 1; i < n0 - 1; i++) for (let j = 1; j < n1 - 1; j++) {
      for (let k = 1; k < n2 - 1; k++) {
        ${
      s.set(
        "b",
        "i",
        "j",
        "k",
        `f * (${
          [
            ["i", "j", "k"],
            ["i - 1", "j", "k"],
            ["i + 1", "j", "k"],
            ["i", "j - 1", "k"],
            [
              "i",
              "j + 1",
              "k",
            ],
            ["i", "j", "k - 1"],
            ["i", "j", "k + 1"],
          ].map((at) => s.get("a", ...at)).join(" + ")
        })`,
      )
    }
      }
    }`,
  "10 gets and 2 sets": (s) =>
    `${inner} {
      ${neighbours(s, "a", "")}
      const x = (ne + 2 * e + se - nw - 2 * w - sw) * f;
      const y = (sw + 2 * s + se - nw - 2 * n - ne) * f;
      ${s.set("b", "i", "j", `x + ${s.get("a", "i", "j")}`)}
      ${s.set("c", "i", "j", `y + ${s.get("c", "i", "j")}`)}
    }`,
  "18 gets": (s) =>
    `let sum = 0; ${inner} {
      ${neighbours(s, "a", "a")}
      ${neighbours(s, "b", "b")}
      sum += anw * bnw + an * bn + ane * bne + aw * bw + ae * be + asw * bsw + as * bs + ase * bse
        + ${s.get("a", "i", "j")} * ${s.get("b", "i", "j")};
    }
    return sum;`,
} satisfies { readonly [name: string]: Text };

/** The name of a loop. */
type LoopName = keyof typeof texts;

type Arrays<A> = readonly [a: A, b: A, c: A];
type Run<A> = (
  ...args: [...Arrays<A>, f: unknown, one: unknown, zero: unknown, ...numbers: number[]]
) => unknown;

/** Makes a function of a loop, with a text that no other function shares. */
function compile<A>(name: LoopName, style: Style, key: string): Run<A> {
  const parameters = "a, b, c, f, one, zero, n0, n1, n2, o, s0, s1";
  return ownText(`${name}, ${key}`, parameters, texts[name](style));
}

// --- Their arrays ----------------------------------------------------------------------------

type Data = InstanceType<ReturnType<typeof typedArrayOf>>;

/** Three arrays of a dtype; the first two are filled. Floats have fractions, unless they are to be whole. */
function makeData(dtype: DType, length: number, isWhole = false): [Data, Data, Data] {
  const fraction = dtype.startsWith("float") && !isWhole ? 0.375 : 0;
  const convert = isBigint(dtype) ? BigInt : (value: number) => value + fraction;
  // A hundred and one values that come again and again: making each by itself takes seconds at 3000².
  return [7, 11, 0].map((step) => {
    const array = new (typedArrayOf(dtype))(length);
    const pattern = Array.from({ length: 101 }, (_, i) => convert((i * step) % 101));
    array.set(pattern.slice(0, length) as never);
    for (let done = 101; done < length; done *= 2) {
      array.copyWithin(done, 0, Math.min(done, length - done));
    }
    return array;
  }) as unknown as [Data, Data, Data];
}

function isBigint(dtype: DType): boolean {
  return dtype.endsWith("int64");
}

/** The factor, one and zero of a dtype. */
function constantsOf(dtype: DType): [f: unknown, one: unknown, zero: unknown] {
  if (isBigint(dtype)) return [3n, 1n, 0n];
  return [dtype.startsWith("float") ? 0.5 : 3, 1, 0];
}

function viewsOf(data: Arrays<Data>, shape: readonly number[]): Arrays<NDArray> {
  return data.map((each) => new NDArray(each, { shape: [...shape] })) as unknown as Arrays<NDArray>;
}

type Peer = ReturnType<typeof ndarray>;

function peersOf(data: Arrays<Data>, shape: readonly number[]): Arrays<Peer> {
  return data.map((each) => ndarray(each as never, [...shape])) as unknown as Arrays<Peer>;
}

/** How many times the loop's body runs. */
function countOf(name: LoopName, shape: readonly number[]): number {
  const margin = /stencil|hillshade|gets/.test(name) ? 2 : 0;
  const count = shape.reduce((product, length) => product * (length - margin), 1);
  return name === "matrix product" ? count * shape[0] : count;
}

const SIDE = 512;

function shapeOf(name: LoopName): number[] {
  if (name === "3-d 7-point stencil") return [64, 64, 64];
  return name === "matrix product" ? [SIDE / 2, SIDE / 2] : [SIDE, SIDE];
}

interface Options {
  readonly item: string;
  readonly what: string;
  /** The goal against npm ndarray, and against raw index arithmetic. */
  readonly goals: { npm?: Goal; raw?: Goal };
  readonly shape?: number[];
  /** Makes the text of a function different from that of others with the same loop. */
  readonly key?: string;
  /** Whether floats are whole numbers: V8 then takes what `get` gives for an integer. */
  readonly isWhole?: boolean;
  /** Compiles the loop anew at each call, so that it runs for the first time. */
  readonly once?: boolean;
}

/** A group that can also run our loop over one row too many, which is an error. */
interface WholeGroup extends Group {
  overrun(): void;
}

/** A loop over whole arrays on the heap. */
function wholeGroup(name: LoopName, dtype: DType, options: Options): WholeGroup {
  const { item, what, goals, shape = shapeOf(name), key = "", once = false, isWhole } = options;
  const constants = constantsOf(dtype);
  const length = shape.reduce((product, each) => product * each);
  const data = [0, 1, 2].map(() => makeData(dtype, length, isWhole));
  let turn = 0;
  const [n0, ...others] = shape;
  const run = <A>(style: Style, contestant: string, arrays: Arrays<A>) => {
    const make = (): Run<A> =>
      compile(name, style, `${contestant}, ${dtype}, ${key}${once ? turn++ : ""}`);
    const loop = make();
    return (more = 0): unknown =>
      (once ? make() : loop)(...arrays, ...constants, n0 + more, ...others);
  };
  const runs = {
    ours: run(ours, "ours", viewsOf(data[0], shape)),
    npm: run(npm, "npm", peersOf(data[1], shape)),
    raw: run(raw, "raw", data[2]),
  };
  const label = `${what}, ${dtype}`;
  return {
    item,
    what: label,
    count: countOf(name, shape),
    unit: "ns per iteration",
    check() {
      for (let i = 0; i < (once ? 1 : 3); i++) {
        const result = runs.raw();
        expectSame(label, runs.ours(), result);
        expectSame(`${label}, npm ndarray`, runs.npm(), result);
      }
      for (const which of [0, 1, 2]) {
        expectSameElements(label, data[0][which] as Uint8Array, data[2][which] as Uint8Array);
        expectSameElements(label, data[1][which] as Uint8Array, data[2][which] as Uint8Array);
      }
    },
    ours: () => runs.ours(),
    against: [
      { name: "npm ndarray (unchecked)", goal: goals.npm, run: () => runs.npm() },
      { name: "raw index arithmetic", goal: goals.raw, run: () => runs.raw() },
    ],
    overrun() {
      expectError(() => runs.ours(1));
      // The others do the rows that ours has done before the error.
      runs.npm();
      runs.raw();
    },
  };
}

// --- The groups ------------------------------------------------------------------------------

/** The dtypes whose loops are measured, each in a process of its own. */
export const loopDTypes = ["float64", "float32", "uint8", "int32", "int16"] as const;

/** All loops over arrays of one dtype, against npm ndarray. */
export function ordinaryGroups(dtype: DType): Group[] {
  const names: LoopName[] = [
    "get",
    "set",
    "set(get + 1)",
    "axpy",
    "5-point stencil",
    "hillshade (8 + 1)",
    "matrix product",
    "rows by slice(i)",
    "3-d 7-point stencil",
  ];
  const item = "loops as people write them";
  if (dtype === "float64") names.push("get, lengths in the loop's head");
  const groups = names.map((name) =>
    wholeGroup(name, dtype, {
      item,
      what: name,
      goals: { npm: { most: name === "3-d 7-point stencil" ? 1.8 : 1.3 } },
    })
  );
  if (!dtype.startsWith("float")) return groups;
  const inWholeNumbers = (["5-point stencil", "hillshade (8 + 1)"] as const).map((name) =>
    wholeGroup(name, dtype, {
      item,
      what: `${name}, whole numbers`,
      goals: { npm: { most: 1.3 } },
      isWhole: true,
      key: "whole numbers",
    })
  );
  return [...groups, ...inWholeNumbers];
}

/** A view that is reversed and stepped, and a first row whose neighbour is the last one. */
export function viewGroups(): Group[] {
  return [reversedGroup(), fromZeroGroup()];
}

const VIEWS = "loops over views, and indices that count from the end";

/** Axpy over every second column of the rows from the last to the first. */
function reversedGroup(): Group {
  const [n0, n1] = [SIDE, SIDE];
  const constants = constantsOf("float64");
  const data = [0, 1, 2].map(() => makeData("float64", n0 * n1 * 2));
  const shape = [n0, 2 * n1];
  const our = viewsOf(data[0], shape).map((view) => view.slice("::-1", "::2"));
  const peer = peersOf(data[1], shape).map((view) => view.step(-1, 2));
  const ourLoop = compile<NDArray>("axpy", ours, "ours, reversed");
  const npmLoop = compile<Peer>("axpy", npm, "npm, reversed");
  const rawLoop = compile<Data>("axpy", rawStrided, "raw, reversed");
  const runs = {
    ours: (): unknown => ourLoop(...our as unknown as Arrays<NDArray>, ...constants, n0, n1),
    npm: (): unknown => npmLoop(...peer as unknown as Arrays<Peer>, ...constants, n0, n1),
    raw: (): unknown => rawLoop(...data[2], ...constants, n0, n1, 1, (n0 - 1) * 2 * n1, -2 * n1, 2),
  };
  return {
    item: VIEWS,
    what: "axpy, reversed and stepped",
    count: n0 * n1,
    unit: "ns per iteration",
    check() {
      for (const run of Object.values(runs)) run();
      expectSameElements("axpy", data[0][1] as Uint8Array, data[2][1] as Uint8Array);
      expectSameElements("axpy, npm ndarray", data[1][1] as Uint8Array, data[2][1] as Uint8Array);
    },
    ours: runs.ours,
    against: [
      { name: "raw index arithmetic", goal: { most: 3 }, run: runs.raw },
      { name: "npm ndarray (unchecked)", run: runs.npm },
    ],
  };
}

/** The row above each row; above the first one there is the last one, whose index is -1. */
function fromZeroGroup(): Group {
  const data = [0, 1].map(() => makeData("float64", SIDE * SIDE)[0]);
  const view = new NDArray(data[0], { shape: [SIDE, SIDE] }) as NDArray;
  const loop = (body: string, key: string): (a: unknown) => number =>
    ownText(
      `get(i - 1, j), ${key}`,
      "a",
      `let sum = 0;
      for (let i = 0; i < ${SIDE}; i++) for (let j = 0; j < ${SIDE}; j++) sum += ${body};
      return sum;`,
    );
  const ourLoop = loop("a.get(i - 1, j)", "ours");
  const rawLoop = loop(`a[(i === 0 ? ${SIDE - 1} : i - 1) * ${SIDE} + j]`, "raw");
  return {
    item: VIEWS,
    what: "get(i - 1, j) from i = 0",
    count: SIDE * SIDE,
    unit: "ns per iteration",
    check: () => expectSame("get(i - 1, j)", ourLoop(view), rawLoop(data[1])),
    ours: () => ourLoop(view),
    against: [{ name: "raw index arithmetic", goal: { most: 3 }, run: () => rawLoop(data[1]) }],
  };
}

const eightDTypes: readonly DType[] = [
  "float64",
  "float32",
  "uint8",
  "int16",
  "int32",
  "uint32",
  "int64",
  "float16",
];

/** Eight dtypes in one program. */
export function eightDTypesGroups(): Group[] {
  const group = (name: LoopName, dtype: DType, isWhole: boolean): Group =>
    wholeGroup(name, dtype, {
      item: "loops, eight dtypes in one program",
      what: isWhole ? `${name}, whole numbers` : name,
      goals: { raw: { most: 3 } },
      shape: [SIDE / 2, SIDE / 2],
      isWhole,
      key: isWhole ? "whole numbers" : "",
    });
  const groups = [
    ...(["set(get + 1)", "5-point stencil"] as const).flatMap((name) =>
      eightDTypes.map((dtype) => group(name, dtype, false))
    ),
    ...(["float64", "float32"] as const).map((dtype) => group("5-point stencil", dtype, true)),
  ];
  // All dtypes are in use before the first one is timed.
  for (const group of groups) group.check();
  return groups;
}

/** Elements beyond position 2^31: the last rows of a large array, and the same through the whole array. */
export function largeGroups(): Group[] {
  const rows = 2 ** 31 / SIDE + SIDE;
  const name = SharedMemoryArray.buildSmaName("bench");
  const sma = new SharedMemoryArray([rows, SIDE], "uint8", name);
  const whole = sma.create({ reserve: false });
  sma.unlink();
  const last = whole.slice(`${rows - SIDE}:`);
  const heap = makeData("uint8", SIDE * SIDE);
  const constants = constantsOf("uint8");
  last.assign(viewsOf(heap, [SIDE, SIDE])[1] as NDArray<"uint8">);
  // In these loops `a` and `b` are the same array: each element is read and written in its place.
  const names: LoopName[] = ["get", "set(get + 1)", "5-point stencil"];
  const group = (loop: LoopName): Group => {
    const ourLoop = compile<NDArray>(loop, ours, "ours, beyond 2^31");
    const rawLoop = compile<Data>(loop, raw, "raw, beside beyond 2^31");
    const view = last as NDArray;
    const runs = {
      ours: () => ourLoop(view, view, view, ...constants, SIDE, SIDE),
      raw: () => rawLoop(heap[1], heap[1], heap[1], ...constants, SIDE, SIDE),
    };
    return {
      item: "loops beyond 2^31",
      what: loop,
      count: countOf(loop, [SIDE, SIDE]),
      unit: "ns per iteration",
      check() {
        expectSame(loop, runs.ours(), runs.raw());
        expectSameElements(loop, last.subarray(), heap[1] as Uint8Array);
      },
      ours: runs.ours,
      against: [
        {
          name: "raw index arithmetic in a small array",
          goal: { most: 3 },
          run: runs.raw,
        },
      ],
    };
  };
  const spanning = (): Group => {
    const text = (cell: string): string =>
      `let sum = 0;
      for (let i = 0; i < ${SIDE}; i++) for (let j = 0; j < ${SIDE}; j++) sum += ${cell};
      return sum;`;
    const start = rows - SIDE;
    const ourLoop = ownText<(a: unknown) => number>("spans", "a", text(`a.get(i + ${start}, j)`));
    const rawLoop = ownText<(a: unknown) => number>("spans, raw", "a", text(`a[i * ${SIDE} + j]`));
    return {
      item: "loops beyond 2^31",
      what: "get through a view that begins below 2^31",
      count: SIDE * SIDE,
      unit: "ns per iteration",
      check: () => expectSame("get", ourLoop(whole), rawLoop(heap[1])),
      ours: () => ourLoop(whole),
      against: [{
        name: "raw index arithmetic in a small array",
        run: () => rawLoop(heap[1]),
      }],
    };
  };
  return [...names.map(group), spanning()];
}

/** What happens once in a program, and changes what V8 makes of its loops from then on. */
export const events = [
  "a caught error",
  "a negative index",
  "many negative indices",
  "a fraction",
] as const;

/** Loops that were hot before an event, and loops that are compiled after it. */
export function afterEventGroups(event: typeof events[number]): Group[] {
  const names: LoopName[] = ["get", "set(get + 1)", "5-point stencil", "hillshade (8 + 1)"];
  const make = (when: string): WholeGroup[] =>
    names.map((name) =>
      wholeGroup(name, "float64", {
        item: `loops after ${event}`,
        what: `${name}, ${when}`,
        goals: { raw: { most: 4 } },
        key: when,
      })
    );
  const hot = make("hot before");
  for (const group of hot) {
    for (let i = 0; i < 7; i++) group.check();
  }
  cause(event);
  if (event === "a caught error") hot.forEach((group) => group.overrun());
  return [...hot, ...make("compiled later")];
}

function cause(event: typeof events[number]): void {
  const view = new NDArray(new Float64Array(SIDE * SIDE), { shape: [SIDE, SIDE] });
  if (event === "many negative indices") {
    // As a loop over a row whose neighbour is the last one has them.
    for (let i = 0; i < 3 * SIDE; i++) view.set(-1, i % SIDE, view.get(-1, i % SIDE) + 1);
    return;
  }
  for (let i = 0; i < 3; i++) {
    if (event === "a negative index") {
      view.set(-1, -1, view.get(-1, i - 3) + 1);
    } else if (event === "a fraction") {
      expectError(() => view.get(0.5, i));
      expectError(() => view.set(0, i + 0.5, 1));
    } else {
      expectError(() => view.get(SIDE, i));
      expectError(() => view.set(i, SIDE, 1));
    }
  }
  if (event === "a caught error") {
    (view.data.buffer as ArrayBuffer).transfer(0);
    for (let i = 0; i < 3; i++) expectError(() => view.get(0, i));
  }
}

function expectError(call: () => unknown): void {
  try {
    call();
  } catch {
    return;
  }
  throw new Error("Cannot time what comes after an error: there was none");
}

/** A function that runs once, over a large array: it is compiled while its loop runs. */
export function onceGroups(dtype: DType): Group[] {
  return (["hillshade (8 + 1)", "10 gets and 2 sets", "18 gets"] as const).map((name) =>
    wholeGroup(name, dtype, {
      item: "one function over 3000², called once",
      what: name,
      goals: { npm: { most: 3 } },
      shape: [3000, 3000],
      once: true,
    })
  );
}

if (isBenched(import.meta.url)) {
  // The others need processes of their own: see sections.ts.
  ordinaryGroups("float64").forEach(benchGroup);
}
