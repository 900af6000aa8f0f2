/**
 * Writes `src/ndarray/ranks.ts`: what views of one to four axes do with their elements, one after the other
 * in the same words. V8 needs the words: a loop over the axes takes ten times as long.
 *
 * `deno task generate` writes the file; `tests/ndarray/ranks_test.ts` fails if it is not what this script
 * writes. Why the four ranks are generated, and not written or made at run time, is told in
 * `docs/decisions/element_access.md`.
 *
 * @module
 */

import { format } from "./format.ts";

const NAMES = ["i", "j", "k", "l"];

/** What a function gives for each axis, in one text. */
function each(rank: number, text: (axis: number) => string, glue = ", "): string {
  return Array.from({ length: rank }, (_, axis) => text(axis)).join(glue);
}

const indices = (rank: number): string => each(rank, (a) => NAMES[a]);
const axisKeys = (rank: number): string => each(rank, (a) => `AXIS${a}`);
const typedIndices = (rank: number): string => each(rank, (a) => `${NAMES[a]}: number`);

/** The fields of a view, its making, and its slices. */
function classText(rank: number): string {
  const ns = each(rank, (a) => `n${a}`);
  const rows = Array.from({ length: rank - 1 }, (_, a) => a + 1);
  // Programs ask for one row's elements after the other.
  const subarray = rank > 1 ? "" : `

    override subarray(begin?: number, end?: number): TypedArrayOf {
      const { data, offset } = this;
      const isRun = begin === undefined && end === undefined && #n0 in this && this.#s0 === 1 &&
        data.length > 0 && offset + this.#n0 <= data.length;
      return isRun
        ? new TypedArray(data.buffer, data.byteOffset + offset * data.BYTES_PER_ELEMENT, this.#n0)
        : anySubarray(this, begin, end);
    }`;
  return `
/** The class of views of ${count(rank)}. */
export function class${rank}(
  { Base, Row, ownClass, dtype, rangeOf, sliceFrom, shapeOf, strideOf, axisOf, ${
    rank > 1 ? "" : "TypedArray, anySubarray, "
  }${axisKeys(rank)} }: ClassParts,
): FastClass {
  let lastShape: Numbers, lastStrides: Numbers;
  ${each(rank, (a) => `const into${a} = { start: 0, step: 1, length: 0 };`, "\n")}
  ${
    each(rank, (a) =>
      `let lastLength${a}: number, lastStride${a}: number, lastAxis${a}: Axis;`, "\n")
  }
  return class extends Base {
    declare readonly data: TypedArrayOf;
    declare readonly shape: Numbers;
    declare readonly stride: Numbers;
    declare readonly offset: number;
    declare readonly dtype: DType;
    declare readonly size: number;
    declare readonly ndim: number;
    ${each(rank, (a) => `#n${a} = 0; #s${a} = 0;`, "\n")}

    constructor(data: TypedArrayOf, offset: number, ${each(rank, (a) => `n${a}: number`)}, ${
    each(rank, (a) => `s${a}: number`)
  }) {
      super();
      this.data = data;
      if (${each(rank, (a) => `lastLength${a} !== n${a}`, " || ")}) lastShape = shapeOf(${ns});
      if (${each(rank, (a) => `lastStride${a} !== s${a}`, " || ")}) {
        lastStrides = strideOf(${each(rank, (a) => `s${a}`)});
      }
      ${
    each(
      rank,
      (a) =>
        `if (lastLength${a} !== n${a} || lastStride${a} !== s${a}) {
          lastLength${a} = n${a}; lastStride${a} = s${a};
          lastAxis${a} = axisOf(n${a}, s${a});
        }`,
      "\n",
    )
  }
      this.shape = lastShape;
      this.stride = lastStrides;
      this.offset = offset;
      this.dtype = dtype;
      this.size = ${each(rank, (a) => `n${a}`, " * ")};
      this.ndim = ${rank};
      ${
    each(
      rank,
      (a) =>
        `(this as unknown as Axes)[AXIS${a}] = lastAxis${a};
         this.#n${a} = n${a}; this.#s${a} = s${a};`,
      "\n",
    )
  }
    }

    override slice(${each(rank, (a) => `${NAMES[a]}: SliceItem`)}): GeneralMethods {
      // An object that inherits from a view, or a proxy of one, has no private fields.
      if (!(#n0 in this) || this.data.length === 0) return super.slice(...arguments as Items);
      if (arguments.length === 1 && typeof i === "number" && i === (i | 0)) {
        const at = i < 0 ? i + this.#n0 : i;
        if (at >= 0 && at < this.#n0) {
          return new Row(${
    [
      "this.data",
      "this.offset + at * this.#s0",
      ...rows.map((a) => `this.#n${a}`),
      ...rows.map((a) => `this.#s${a}`),
    ].join(", ")
  });
        }
      }
      if (arguments.length === ${rank}) {
        ${
    each(
      rank,
      (a) =>
        `const range${a} = ${a > 0 ? `range${a - 1} && ` : ""}rangeOf(${
          NAMES[a]
        }, this.#n${a}, into${a});`,
      "\n",
    )
  }
        if (${each(rank, (a) => `range${a} !== null`, " && ")}) {
          return new ownClass.Fast!(
            this.data,
            this.offset + ${each(rank, (a) => `range${a}.start * this.#s${a}`, " + ")},
            ${each(rank, (a) => `range${a}.length`)},
            ${each(rank, (a) => `range${a}.step * this.#s${a} + 0`)},
          );
        }
      }
      return sliceFrom(this, [${each(rank, (a) => `this.#n${a}`)}], [${
    each(rank, (a) => `this.#s${a}`)
  }], arguments as Items);
    }${subarray}
  };
}
`;
}

interface Variant {
  /** What the elements are. */
  kind: "Number" | "Bigint" | "Bool";
  /** Whether an index that counts from the end is served here, too. */
  wraps: boolean;
}

/** The position of an element, by the tables of the axes. */
function position(rank: number, wraps: boolean): string {
  if (wraps || rank <= 2) return `this.offset + ${each(rank, (a) => entry(a, wraps), " + ")}`;
  return `this.offset + this[PAIR01](i, j) + ${
    rank === 3 ? entry(2, false) : "this[PAIR23](k, l)"
  }`;
}

function entry(axis: number, wraps: boolean): string {
  const index = NAMES[axis];
  const key = wraps ? `${index} < 0 ? ${index} + this[AXIS${axis}].length : ${index}` : index;
  return `this[AXIS${axis}][${key}]`;
}

/** What holds of indices that may be looked up. */
function areIndices(rank: number, wraps: boolean): string {
  return each(rank, (a) => `typeof ${NAMES[a]} === "number"`, " && ") +
    (wraps ? ` && ${each(rank, (a) => `${NAMES[a]} === (${NAMES[a]} | 0)`, " && ")}` : "");
}

function nameOf(what: string, rank: number, { kind, wraps }: Variant): string {
  return `${what}${kind === "Number" ? "" : kind}${wraps ? "Wrapping" : ""}${rank}`;
}

/** The keys that `get` looks up itself. */
function usedKeys(rank: number, variant: Variant): string {
  if (!hasPairs(rank, variant)) return axisKeys(rank);
  return rank === 3 ? "AXIS2, PAIR01" : "PAIR01, PAIR23";
}

/** Whether the entries of two axes are added by a method of their own. */
function hasPairs(rank: number, { kind }: Variant): boolean {
  return rank > 2 && kind !== "Bool";
}

function pairKeys(rank: number, variant: Variant): string {
  return !hasPairs(rank, variant) ? "" : rank === 3 ? ", PAIR01" : ", PAIR01, PAIR23";
}

function readText(rank: number, variant: Variant): string {
  const { kind, wraps } = variant;
  const isBool = kind === "Bool";
  // V8 then knows that a number comes: else it makes an object of each float (deviation 10).
  const number = (text: string) => kind === "Bigint" ? text : `+(${text} as number)`;
  const signs = rank === 1 ? "(i | 0)" : `(${each(rank, (a) => NAMES[a], " | ")})`;
  const hasNear = wraps && !isBool;
  const plain = position(rank, isBool);
  const where = hasNear ? `${signs} < 0 ? this[NEAR](${indices(rank)}) : ${plain}` : plain;
  return `
export function ${nameOf("read", rank, variant)}(
  { coldGet, ${hasNear ? "NEAR, " : ""}${usedKeys(rank, variant)} }: ReadParts,
): Get {
  return function (this: Tabled, ${typedIndices(rank)}, extra?: unknown): Element {
    if (extra === undefined && ${areIndices(rank, isBool)}) {
      const value = this.data[${where}];
      if (value !== undefined) return ${isBool ? "value ? 1 : 0" : "value"};
    }
    return ${number("coldGet(this)")};
  };
}
`;
}

/** Gives the position of an element if an index is negative, or as large as if it were. */
function nearText(rank: number): string {
  return `
export function near${rank}({ NEAR, ${axisKeys(rank)} }: Keys): NearMethods {
  return {
    [NEAR](this: Tabled, ${typedIndices(rank)}): number {
      const areIntegers = ${each(rank, (a) => `${NAMES[a]} === (${NAMES[a]} | 0)`, " && ")};
      return areIntegers ? ${position(rank, true)} : -1;
    },
  };
}
`;
}

function writeText(rank: number, variant: Variant): string {
  const { kind, wraps } = variant;
  const isBool = kind === "Bool";
  const isRight = isBool ? "isTruth" : `typeof value === "${kind.toLowerCase()}"`;
  return `
export function ${nameOf("write", rank, variant)}(
  { coldSet, coldIndex, ${axisKeys(rank)}${pairKeys(rank, variant)} }: WriteParts,
): Writers {
  return {
    set(this: Tabled, ${typedIndices(rank)}, value: unknown): void {
      const data: Storable = this.data;
      ${isBool ? 'const isTruth = typeof value === "boolean" || typeof value === "number";' : ""}
      const position = !(arguments.length - ${rank + 1}) && ${
    areIndices(rank, wraps)
  } && ${isRight} ? ${position(rank, wraps)} : -1;
      if (data[position] !== undefined) data[position] = ${
    isBool ? "value || value !== value ? 1 : 0" : "value"
  };
      else coldSet(this, arguments);
    },
    index(this: Tabled, ${typedIndices(rank)}): number {
      const position = !(arguments.length - ${rank}) && ${areIndices(rank, wraps)} ? ${
    position(rank, wraps)
  } : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments);
    },${
    !hasPairs(rank, variant) ? "" : `
    [PAIR01](this: Tabled, i: number, j: number): number {
      return this[AXIS0][i] + this[AXIS1][j];
    },${
      rank === 3 ? "" : `
    [PAIR23](this: Tabled, k: number, l: number): number {
      return this[AXIS2][k] + this[AXIS3][l];
    },`
    }`
  }
  };
}
`;
}

function farText(rank: number): string {
  const sum = `this.offset + ${
    each(rank, (a) => `distanceOf(${NAMES[a]}, this[AXIS${a}])`, " + ")
  }`;
  return `
export function far${rank}(
  { coldGet, coldSet, coldIndex, distanceOf, isBool, kind, ${axisKeys(rank)} }: FarParts,
): FarMethods {
  return {
    get(this: ComputedView, ${typedIndices(rank)}): Element {
      const value = this.data[arguments.length === ${rank} ? ${sum} : -1];
      if (value === undefined) return coldGet(this, arguments.length, ${indices(rank)});
      return isBool ? (value ? 1 : 0) : value;
    },
    set(this: ComputedView, ${typedIndices(rank)}, value: unknown): void {
      const data: Storable = this.data;
      const position = arguments.length === ${rank + 1} ? ${sum} : -1;
      const isTruth = isBool && (typeof value === "boolean" || typeof value === "number");
      const stored = isTruth ? (value || value !== value ? 1 : 0) : value;
      if (typeof stored === kind && data[position] !== undefined) data[position] = stored;
      else coldSet(this, arguments.length, ${indices(rank)}, value);
    },
    index(this: ComputedView, ${typedIndices(rank)}): number {
      const position = arguments.length === ${rank} ? ${sum} : -1;
      return this.data[position] !== undefined ? position : coldIndex(this, arguments.length, ${
    indices(rank)
  });
    },
  };
}
`;
}

function count(rank: number): string {
  return rank === 1 ? "one axis" : `${["two", "three", "four"][rank - 2]} axes`;
}

const head =
  `// Written by scripts/generate_ranks.ts: change that script, and run \`deno task generate\`.

/**
 * What views of one to four axes do with their elements. \`element_access.ts\` says how it works, and puts the
 * parts together.
 *
 * @module
 */

import type { DType, TypedArrayOf } from "../dtype.ts";
import type {
  Axes,
  Axis,
  ClassParts,
  ComputedView,
  Element,
  FarMethods,
  FarParts,
  FastClass,
  GeneralMethods,
  Get,
  Items,
  Keys,
  NearMethods,
  Numbers,
  ReadParts,
  Storable,
  Tabled,
  WriteParts,
  Writers,
} from "./access_parts.ts";
import type { SliceItem } from "./slice.ts";

// Each function is closed: see copyOfFactory() in element_access.ts.
`;

const writeVariants: readonly Variant[] = [
  { kind: "Number", wraps: false },
  { kind: "Number", wraps: true },
  { kind: "Bigint", wraps: false },
  { kind: "Bool", wraps: true },
];
const readVariants: readonly Variant[] = [...writeVariants, { kind: "Bigint", wraps: true }];
const ranks = [1, 2, 3, 4];

/** The list of all parts of a kind, from which `element_access.ts` takes one by its rank. */
function listText(name: string, part: (rank: number) => string): string {
  return `export const ${name} = [${ranks.map(part).join(", ")}] as const;\n`;
}

/** The text of the file, not yet formatted. */
export function ranksText(): string {
  const texts = ranks.flatMap((rank) => [
    classText(rank),
    ...readVariants.map((variant) => readText(rank, variant)),
    nearText(rank),
    ...writeVariants.map((variant) => writeText(rank, variant)),
    farText(rank),
  ]);
  const list = (what: "read" | "write", variant: Variant): string =>
    listText(`${nameOf(what, 0, variant).slice(0, -1)}s`, (rank) => nameOf(what, rank, variant));
  const lists = [
    listText("classes", (rank) => `class${rank}`),
    ...readVariants.map((variant) => list("read", variant)),
    listText("nears", (rank) => `near${rank}`),
    ...writeVariants.map((variant) => list("write", variant)),
    listText("fars", (rank) => `far${rank}`),
  ];
  return head + texts.join("") + "\n" + lists.join("\n");
}

/** The text of the file, as `deno fmt` leaves it: what it leaves once it may change again. */
export async function formatted(): Promise<string> {
  return await format(await format(ranksText(), "ts"), "ts");
}

if (import.meta.main) {
  await Deno.writeTextFile(
    new URL("../src/ndarray/ranks.ts", import.meta.url),
    await formatted(),
  );
}
