/**
 * Goes through the elements of a view, one after the other.
 *
 * @module
 */

import type { DType, TypedArrayOf } from "../dtype.ts";
import { copyOfFactory } from "./element_access.ts";
import { extent } from "./layout.ts";
import { advance, elementsAt, MAX_INT32, planLoop, type ViewParts } from "./loop_plan.ts";

/** Goes through the elements in C order. */
export function iterateElements<T extends number | bigint>(
  cells: ViewParts,
  onLost: () => never,
): IteratorObject<T, undefined> {
  const Elements = classes[cells.dtype] ??= elementsClass(cells.dtype);
  return new Elements(cells, onLost) as unknown as IteratorObject<T, undefined>;
}

/** The base class of iterators. Engines before 2024 have it under no name, and without `map` and the like. */
const IteratorBase = (globalThis as { Iterator?: typeof Iterator }).Iterator ??
  (class {
    [Symbol.iterator](): this {
      return this;
    }
  } as unknown as typeof Iterator);

/** The part of an iterator that does not touch elements. */
abstract class ElementRuns extends IteratorBase<number | bigint, undefined> {
  // These are only declared: of a field that is first undefined, V8 knows less.
  declare protected data: TypedArrayOf;
  declare protected readonly onLost: () => never;
  /** The position in `data`. This and the next two are integers of 32 bits. */
  declare protected position: number;
  /** The position one step behind the last element of the run. */
  declare protected end: number;
  declare protected readonly step: number;
  /** The cells, where their positions are larger than 32 bits: then `data` is a part of theirs. */
  readonly #wide: ViewParts | null;
  readonly #shape: readonly number[];
  readonly #strides: readonly (readonly number[])[];
  readonly #index: number[];
  readonly #start: number[];
  #ended: boolean;

  constructor(cells: ViewParts, onLost: () => never) {
    super();
    const { data, layout } = cells;
    const { shape, strides: [stride], offsets } = planLoop(layout.shape, [layout], false);
    const step = stride.at(-1) ?? 1;
    const length = shape.at(-1) ?? 1;
    this.data = data;
    this.onLost = onLost;
    // The step of a run of one element is 1, so that this may be the highest end.
    const isWide = extent(layout).highest + Math.max(1, ...layout.stride) > MAX_INT32;
    this.#wide = isWide ? cells : null;
    // A run is over when its end is reached: an axis of stride 0 is gone through in runs of one element, and so
    // is one that is too long for 32 bits.
    const alone = step === 0 || length * Math.abs(step) > MAX_INT32;
    this.#shape = alone ? [...shape, 1] : shape;
    this.#strides = [alone ? [...stride, 1] : stride];
    this.#index = new Array<number>(Math.max(0, this.#shape.length - 1)).fill(0);
    this.#start = offsets.slice();
    this.#ended = shape.includes(0);
    this.step = alone ? 1 : step;
    this.position = 0;
    this.end = 0;
    if (!this.#ended) this.#beginRun();
  }

  /** Goes to the next run; gives `false` at the end, and at every call after that. */
  protected nextRun(): boolean {
    const axes = this.#shape.length - 1;
    this.#ended ||= !advance(this.#index, this.#start, this.#shape, this.#strides, axes);
    if (this.#ended) return false;
    this.#beginRun();
    return true;
  }

  #beginRun(): void {
    const reach = (this.#shape.at(-1) ?? 1) * this.step;
    this.position = this.#start[0];
    if (this.#wide !== null) {
      const lowest = this.position + Math.min(0, reach - this.step);
      const highest = this.position + Math.max(0, reach - this.step);
      if (highest >= this.#wide.data.length) this.onLost();
      this.data = elementsAt(this.#wide, lowest, highest - lowest + 1);
      this.position -= lowest;
    }
    this.end = this.position + reach;
  }
}

type ElementsClass = new (cells: ViewParts, onLost: () => never) => ElementRuns;

const classes: { [D in DType]?: ElementsClass } = {};

function elementsClass(dtype: DType): ElementsClass {
  return copyOfFactory(elementsFactory, `iterate ${dtype}`)(ElementRuns, dtype === "bool");
}

/** A closed factory: see {@linkcode copyOfFactory}. */
function elementsFactory(Runs: typeof ElementRuns, isBool: boolean): ElementsClass {
  return class extends Runs {
    // All results are made at one place. So V8 makes no object where a loop takes the result apart at once.
    next(): IteratorResult<number | bigint, undefined> {
      let value;
      let done = true;
      if (this.position !== this.end || this.nextRun()) {
        value = this.data[this.position];
        if (value === undefined) this.onLost();
        if (isBool) value = value ? 1 : 0;
        this.position = (this.position + this.step) | 0;
        done = false;
      }
      return { value, done } as IteratorResult<number | bigint, undefined>;
    }
  };
}

/** Goes through the rows of a view. A generator would take twice the time for each of them. */
class Rows<Row> extends IteratorBase<Row, undefined> {
  readonly #rowAt: (row: number) => Row;
  #next = 0;
  #count: number;

  constructor(count: number, rowAt: (row: number) => Row) {
    super();
    this.#count = count;
    this.#rowAt = rowAt;
  }

  next(): IteratorResult<Row, undefined> {
    if (this.#next >= this.#count) return { value: undefined, done: true };
    return { value: this.#rowAt(this.#next++), done: false };
  }

  /** Ends it for good: this is called where a loop is left early. */
  override return(): IteratorResult<Row, undefined> {
    this.#count = 0;
    return { value: undefined, done: true };
  }
}

/**
 * Goes through the rows of a view.
 *
 * @param count how many there are
 * @param rowAt makes one
 */
export function iterateRows<Row>(
  count: number,
  rowAt: (row: number) => Row,
): IteratorObject<Row, undefined> {
  return new Rows(count, rowAt) as unknown as IteratorObject<Row, undefined>;
}
