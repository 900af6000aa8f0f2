/**
 * Element access at the speed of plain index arithmetic, with every check.
 *
 * Two facts about V8 shape this room (`bench/access_bench.ts` and `bench/dtypes_bench.ts` show them):
 *
 * - A branch to a throw or a call inside an accessor costs several times the access itself. So the
 *   position is computed without a branch, and whatever is wrong (an index out of bounds, negative,
 *   fractional or no number, too many arguments) sets the position's sign bit. The typed array's own
 *   bounds check then answers `undefined`, as it does for an array whose memory is gone, and that one
 *   answer leads to the slow path, the general `get` and `set`, which serve or refuse.
 * - Feedback is kept per place in the source text, and from the fifth kind of typed array on it is
 *   lost. So the class is made as text, one for each dtype and rank, with text of its own.
 *
 * @module
 */

import type { DType } from "./dtype.ts";

/** Ranks beyond this one, and positions beyond 2^31, are served by the general accessors. */
const MAX_RANK = 8;

// deno-lint-ignore no-explicit-any -- any class: the made one only overrides two methods
type Class = abstract new (...args: any[]) => { readonly data: object; readonly offset: number };

/**
 * Makes the class of views of one dtype and rank: the given class, with faster `get` and `set`.
 *
 * @param base the class with the general `get` and `set`
 * @param dtype the dtype of the views
 * @param rank the number of axes
 * @returns a subclass, or `null` where there is no faster way
 */
export function makeAccessClass<C extends Class>(base: C, dtype: DType, rank: number): C | null {
  if (rank > MAX_RANK) return null;
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const indices = axes.map((axis) => `i${axis}`);
  const position = ["this.offset", ...axes.map((a) => `Math.imul(i${a}, this.#stride${a})`)];
  // Each term is negative exactly if something is wrong with an index; for indices that V8 knows to
  // be small integers, the third one is compiled away.
  const wrong = axes.flatMap((a) => {
    return [`i${a}`, `(this.#last${a} - i${a})`, `-(i${a} !== (i${a} | 0))`];
  });
  const at = (argumentCount: number): string =>
    `(${position.join(" + ")}) | ` +
    `((${[...wrong, `-(arguments.length !== ${argumentCount})`].join(" | ")}) & 0x80000000)`;
  // What cannot be made a number at all (a bigint, a symbol) throws while the position is computed: the
  // slow path says so in this library's words. The try costs nothing that could be measured.
  const isBool = dtype === "bool";
  const kind = dtype === "int64" || dtype === "uint64" ? "bigint" : "number";
  const element = isBool ? "value ? 1 : 0" : "value";
  const isStorable = isBool ? "" : `&& typeof value === "${kind}"`;
  const text = `"use strict"; // ${dtype}, rank ${rank}
    return class NDArray extends Base {
      ${axes.map((a) => `#last${a}; #stride${a};`).join(" ")}
      constructor(data, layout, dtype) {
        super(data, layout, dtype);
        ${axes.map((a) => `this.#last${a} = layout.shape[${a}] - 1;`).join(" ")}
        ${axes.map((a) => `this.#stride${a} = layout.stride[${a}];`).join(" ")}
      }
      get(${indices.join(", ")}) {
        let value;
        try { value = this.data[${at(rank)}]; } catch { return super.get(...arguments); }
        return value !== undefined ? ${element} : super.get(...arguments);
      }
      set(${[...indices, "value"].join(", ")}) {
        const data = this.data;
        let position;
        try { position = ${at(rank + 1)}; } catch { return super.set(...arguments); }
        if (data[position] !== undefined ${isStorable}) {
          data[position] = ${element};
        } else {
          super.set(...arguments);
        }
      }
    }`;
  return new Function("Base", text)(base) as C;
}
