/**
 * Stores one value in many elements.
 *
 * @module
 */

import { type DType, type TypedArrayOf, typedArrayOf } from "../dtype.ts";
import { contiguousLayout } from "./layout.ts";
import {
  asWords,
  type Block,
  isRun,
  planLoop,
  runLoop,
  type ViewParts,
  type Word,
} from "./loop_plan.ts";

/** Stores one value, already converted to the dtype's kind, in every element. */
export function fillElements(cells: ViewParts, value: number | bigint): void {
  const { data, layout } = cells;
  const loop = planLoop(layout.shape, [layout], true);
  if (isRun(loop)) {
    const [first] = loop.offsets;
    (data as Float64Array).fill(value as number, first, first + (loop.shape[0] ?? 1));
    return;
  }
  const words = asWords(cells);
  const word = words === cells ? value : asWord(value, cells.dtype);
  runLoop(loop, [words], (block) => fillBlock(words.dtype, block, word));
}

/** The value as a word: an element of {@linkcode asWords} with the same bits. */
function asWord(value: number | bigint, dtype: DType): number | bigint {
  const data = new (typedArrayOf(dtype))(1);
  (data as Float64Array)[0] = value as number;
  return asWords({ dtype, data, layout: contiguousLayout([]) }).data[0];
}

function fillBlock(
  word: Word,
  {
    data: [data],
    positions: [position],
    count,
    steps: [step],
    innerCount,
    innerSteps: [innerStep],
  }: Block,
  value: number | bigint,
): void {
  for (let i = 0; i < count; i++) {
    const first = (position + i * step) | 0;
    fillRow(word, data, value, first, (first + innerCount * innerStep) | 0, innerStep);
  }
}

/**
 * Fills one row. Each kind of typed array has a loop of its own, and so a feedback record of its own. The
 * row is a function of its own: V8 enters a nest that runs long in the middle of its inner loop, and
 * falls back each time that loop ends, so that a nest takes five times as long. And `| 0` spares a check
 * for overflow.
 */
function fillRow(
  word: Word,
  data: TypedArrayOf,
  value: number | bigint,
  first: number,
  end: number,
  step: number,
): void {
  switch (word) {
    case "uint8": {
      const [target, element] = [data as Uint8Array, value as number];
      for (let p = first | 0; p !== end; p = (p + step) | 0) target[p] = element;
      return;
    }
    case "uint16": {
      const [target, element] = [data as Uint16Array, value as number];
      for (let p = first | 0; p !== end; p = (p + step) | 0) target[p] = element;
      return;
    }
    case "int32": {
      const [target, element] = [data as Int32Array, value as number];
      for (let p = first | 0; p !== end; p = (p + step) | 0) target[p] = element;
      return;
    }
    case "int64": {
      const [target, element] = [data as BigInt64Array, value as bigint];
      for (let p = first | 0; p !== end; p = (p + step) | 0) target[p] = element;
      return;
    }
    case "float64": {
      const [target, element] = [data as Float64Array, value as number];
      for (let p = first | 0; p !== end; p = (p + step) | 0) target[p] = element;
      return;
    }
  }
}
