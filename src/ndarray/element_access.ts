/**
 * The classes of views, one for each dtype and rank, made as text: what is done per element or per view
 * runs here at the speed of code that was written for that dtype and rank, with every check.
 *
 * What shapes this room are facts about V8 (`bench/access_bench.ts`, `bench/dtypes_bench.ts` and
 * `bench/slice_bench.ts` show them):
 *
 * - Feedback is kept per place in the source text, and from the fifth kind of typed array on it is
 *   lost: element access then takes ten times as long. So each class has text of its own.
 * - A branch to a throw or a call keeps V8 from lifting out of a loop what does not change in it. So
 *   the position is computed without a branch, and whatever is wrong sets it to -1; the typed array's
 *   own bounds check answers `undefined` to that, as it does for an array whose memory is gone, and that
 *   one answer leads to the general methods, which serve or refuse.
 * - A loop is unrolled if its body is small. So the position counts from the last element back:
 *   how far an index is from the end of its axis serves as check and as factor. And `Math.min(i, 0)`,
 *   not a comparison, asks whether an index is negative: V8 knows that a loop's counter is not, and
 *   leaves it out.
 * - Freezing a shape and strides takes four times as long as the rest of a slice. So equal lists are
 *   shared: a view whose shape is that of the last one of its class gets the same frozen list.
 *
 * @module
 */

import type { DType, TypedArrayOf } from "../dtype.ts";
import type { Layout } from "./layout.ts";
import { type Range, takeRange } from "./slice.ts";

/** Views of more axes, and views whose positions or lengths go beyond 2^31, get no class of their own. */
export const MAX_RANK = 8;

/** `slice()` of more axes is left to the general one: its text doubles with each axis. */
const MAX_SLICED_RANK = 4;

/** Makes a view from plain numbers: its data, its offset, then all lengths, then all strides. */
export type MakeView<V> = (data: TypedArrayOf, offset: number, ...lists: number[]) => V;

/** A class of views, as what makes its instances. */
export interface ViewClass<V> {
  /** Makes a view of a layout that has been checked. */
  fromLayout(data: TypedArrayOf, layout: Layout): V;
  /** The same from plain numbers. */
  readonly make: MakeView<V>;
}

/** The numbers of the axes. */
const axesOf = (rank: number): number[] => Array.from({ length: rank }, (_, axis) => axis);

/**
 * Makes the class of views of one dtype and rank: a subclass of the general one with methods of its own
 * for elements and slices.
 *
 * @param general the general class
 * @param dtype the dtype of the views
 * @param rank the number of axes, at most {@linkcode MAX_RANK}
 * @param classOf gives the class of the same dtype and a smaller rank, for what slices drop
 */
export function makeViewClass<V>(
  general: { readonly prototype: V },
  dtype: DType,
  rank: number,
  classOf: (rank: number) => ViewClass<V>,
): ViewClass<V> {
  const axes = axesOf(rank);
  const each = (text: (axis: number) => string, separator = " "): string =>
    axes.map(text).join(separator);
  const lengths = axes.map((a) => `n${a}`);
  const strides = axes.map((a) => `s${a}`);
  const text = `"use strict"; // ${dtype}, rank ${rank}
    ${each((a) => `let lastLength${a}, lastStride${a};`)}
    let lastShape = Object.freeze([]), lastStrides = lastShape;
    const smaller = [];

    class NDArray {
      ${each((a) => `#last${a} = 0; #stride${a} = 0;`)} #end = 0;

      constructor(data, shape, stride, offset, ${[...lengths, ...strides].join(", ")}) {
        this.data = data;
        this.shape = shape;
        this.stride = stride;
        this.offset = offset;
        this.dtype = "${dtype}";
        this.size = ${lengths.join(" * ") || "1"};
        this.ndim = ${rank};
        ${each((a) => `this.#last${a} = n${a} - 1; this.#stride${a} = s${a};`)}
        if (this.size > 0) this.#end = offset${
    each((a) => ` + this.#last${a} * this.#stride${a}`, "")
  };
      }

      ${elementMethods(dtype, rank)}
      ${rank <= MAX_SLICED_RANK ? sliceMethod(rank) : ""}
    }
    Object.setPrototypeOf(NDArray.prototype, general.prototype);
    Object.defineProperty(NDArray.prototype, "constructor", { __proto__: null, value: general });

    function make(data, offset, ${[...lengths, ...strides].join(", ")}) {
      ${
    rank === 0 ? "" : `if (${each((a) => `lastLength${a} !== n${a}`, " || ")}) {
        ${each((a) => `lastLength${a} = n${a};`)}
        lastShape = Object.freeze([${lengths}]);
      }
      if (${each((a) => `lastStride${a} !== s${a}`, " || ")}) {
        ${each((a) => `lastStride${a} = s${a};`)}
        lastStrides = Object.freeze([${strides}]);
      }`
  }
      return new NDArray(data, lastShape, lastStrides, offset, ${[...lengths, ...strides]});
    }
    const fromLayout = (data, { shape, stride, offset }) =>
      make(data, offset, ${[
    ...axes.map((a) => `shape[${a}]`),
    ...axes.map((a) => `stride[${a}]`),
  ]});
    return { make, fromLayout };`;
  return new Function("general", "classOf", "takeRange", "range", "min", "imul", text)(
    general,
    classOf,
    takeRange,
    range,
    Math.min,
    Math.imul,
  ) as ViewClass<V>;
}

/** Where `takeRange` puts what it found; read at once. */
const range: Range = { start: 0, step: 1, length: 0 };

/** The text of `get`, `set` and `index`. */
function elementMethods(dtype: DType, rank: number): string {
  const axes = axesOf(rank);
  const indices = axes.map((axis) => `i${axis}`);
  // For each axis: `left` is how many elements follow on the axis, 0 for the last one (an index that
  // counts from the end is followed by ~index), and negative if there is no such element; `wrong` is
  // negative if that, or something before it, is wrong. Of a loop's counter V8 knows that it is no
  // fraction and not negative, so that `negative` is 0 and all is left out but one subtraction, one
  // multiplication, and the last line of the position.
  const locate = (argumentCount: number): string => `
          const wrong = -(arguments.length !== ${argumentCount});${
    axes.map((a) => `
          const last${a} = this.#last${a} | (wrong${a === 0 ? "" : a - 1} >> 31);
          const negative${a} = min(i${a}, 0);
          const left${a} = (last${a} | (negative${a} >> 31)) - i${a};
          const wrong${a} = left${a} | (negative${a} & (last${a} + negative${a} + 1)) |
            -(i${a} !== (i${a} | 0));`).join("")
  }
          position = (this.#end${axes.map((a) => ` - imul(left${a}, this.#stride${a})`).join("")}) |
            (wrong${rank === 0 ? "" : rank - 1} >> 31);`;
  const isBool = dtype === "bool";
  const kind = dtype === "int64" || dtype === "uint64" ? "bigint" : "number";
  const element = isBool ? "value ? 1 : 0" : "value";
  const isStorable = isBool ? "" : `&& typeof value === "${kind}"`;
  // What cannot be made a number at all (a bigint, a symbol) throws on the way: the general method says
  // so in this library's words. The try costs nothing that could be measured.
  return `get(${indices.join(", ")}) {
        let value;
        try {
          let position;${locate(rank)}
          value = this.data[position];
        } catch {}
        return value !== undefined ? ${element} : super.get(...arguments);
      }

      set(${[...indices, "value"].join(", ")}) {
        const data = this.data;
        let position = -1;
        try {${locate(rank + 1)}
        } catch {}
        if (data[position] !== undefined ${isStorable}) {
          data[position] = ${element};
        } else {
          super.set(...arguments);
        }
      }

      index(${indices.join(", ")}) {
        let position = -1;
        try {${locate(rank)}
        } catch {}
        return position >= 0 && position < this.data.length ? position : super.index(...arguments);
      }`;
}

/** The text of `slice`: integers and common ranges; all else is left to the general one. */
function sliceMethod(rank: number): string {
  const axes = axesOf(rank);
  // A length of -1 marks an axis that is dropped.
  const items = axes.map((a) => `
        if (count > ${a}) {
          if (typeof k${a} === "number") {
            const i = k${a} < 0 ? k${a} + n${a} : k${a};
            if (!(i >= 0 && i < n${a}) || k${a} !== (k${a} | 0)) return super.slice(...arguments);
            offset += i * s${a};
            n${a} = -1;
          } else {
            if (!takeRange(k${a}, n${a}, range)) return super.slice(...arguments);
            n${a} = range.length;
            if (n${a} > 0) {
              offset += range.start * s${a};
              s${a} = range.step * s${a} + 0;
            }
          }
        }`).join("");
  return `slice(${axes.map((axis) => `k${axis}`).join(", ")}) {
        const count = arguments.length;
        // What inherits from a view, or is a proxy of one, has no private fields.
        if (!(#end in this) || count > ${rank}) return super.slice(...arguments);
        const data = this.data;
        if (data.length === 0) return super.slice(...arguments);
        let offset = this.offset;
        ${axes.map((a) => `let n${a} = this.#last${a} + 1, s${a} = this.#stride${a};`).join(" ")}
        ${items}
        ${makeKept(rank, 0, [])}
      }`;
}

/** The text that makes the view of the axes that were not dropped. */
function makeKept(rank: number, axis: number, kept: readonly number[]): string {
  if (axis < rank) {
    return `if (n${axis} >= 0) { ${makeKept(rank, axis + 1, [...kept, axis])} }
        ${makeKept(rank, axis + 1, kept)}`;
  }
  const to = kept.length;
  const make = to === rank ? "make" : `(smaller[${to}] ??= classOf(${to}).make)`;
  const lists = [...kept.map((a) => `n${a}`), ...kept.map((a) => `s${a}`)];
  return `return ${make}(data, ${["offset", ...lists].join(", ")});`;
}
