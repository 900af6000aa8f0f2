/**
 * How a segment, and a part of its array, are named on a command line: `NAME[0:5, ::2]`, `--shape 2,3`.
 *
 * @module
 */

import { quote } from "../check.ts";
import { type DType, parseDType } from "../dtype.ts";
import { checkShape, freezeSelection, type SliceItem } from "../ndarray/mod.ts";
import { UsageError } from "./arguments.ts";
import { nameOf } from "./names.ts";

/** What a command is to look at. */
export interface Target {
  /** The segment's name. */
  readonly name: string;
  /** What stood in brackets behind it, as a selection takes it; `null` where nothing did. */
  readonly selection: readonly SliceItem[] | null;
}

/** Spellings that NumPy's users know, of what the library calls otherwise. */
const synonyms: { readonly [text: string]: string } = {
  "np.newaxis": "newaxis",
  "numpy.newaxis": "newaxis",
  None: "newaxis",
  Ellipsis: "...",
};

/**
 * Reads a name with what may stand behind it in brackets. A name may have brackets itself: where there is a
 * segment of the whole text, that one is meant.
 *
 * @param text what the user typed
 * @param exists tells whether there is a segment of a name
 * @returns the name, and what to take of its array
 * @throws {UsageError} if the brackets hold what NumPy's basic indexing does not know
 */
export function readTarget(text: string, exists: (name: string) => boolean): Target {
  const name = nameOf(text);
  const opening = name.lastIndexOf("[");
  if (opening < 1 || !name.endsWith("]") || exists(name)) return { name, selection: null };
  return {
    name: name.slice(0, opening),
    selection: readSelection(name.slice(opening + 1, -1)),
  };
}

/** Reads what stands between the brackets, each item by the library's own parser. */
function readSelection(text: string): readonly SliceItem[] {
  const items = text.split(",").map((item) => item.trim());
  // Python allows a comma behind the last item.
  if (items.length > 1 && items.at(-1) === "") items.pop();
  try {
    return freezeSelection(items.map((item) => synonyms[item] ?? item));
  } catch {
    throw new UsageError(
      `${quote(`[${text}]`)} is no selection; write '[0:5, ::2]', '[-1]' or '[..., 0]'`,
    );
  }
}

/** What the user says of a segment that nothing describes. */
export interface Told {
  readonly dtype?: DType;
  readonly shape?: readonly number[];
}

/**
 * Reads `--dtype` and `--shape`.
 *
 * @param dtype the value of `--dtype`: a name or a NumPy type string
 * @param shape the value of `--shape`: `2,3`, `2x3` or `(2, 3)`
 * @returns what they say
 * @throws {UsageError} if one is wrong
 */
export function readTold(dtype: string | undefined, shape: string | undefined): Told {
  return {
    ...dtype === undefined ? {} : { dtype: readDType(dtype) },
    ...shape === undefined ? {} : { shape: readShape(shape) },
  };
}

function readDType(text: string): DType {
  try {
    return parseDType(text as DType);
  } catch (error) {
    throw new UsageError(`--dtype is wrong: ${(error as Error).message}`);
  }
}

function readShape(text: string): readonly number[] {
  const inner = /^\s*[([]?(.*?),?\s*[)\]]?\s*$/s.exec(text)![1];
  const lengths = inner.split(/\s*[,x×]\s*|\s+/).filter((length) => length !== "");
  try {
    if (lengths.length === 0 || !lengths.every((length) => /^\d+$/.test(length))) {
      throw new UsageError(`--shape wants lengths, as in 480,640, and not ${quote(text)}`);
    }
    return checkShape(lengths.map(Number));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--shape is wrong: ${(error as Error).message}`);
  }
}

/** The options of {@linkcode readTold}. */
export const toldOptions = {
  dtype: { value: "DTYPE", help: "the element type, as float32 or <f4" },
  shape: { value: "SHAPE", help: "the shape, as 480,640" },
} as const;

/** What the help of a command says of names, brackets and these options. */
export const targetHelp: readonly string[] = [
  "Brackets take a part as in NumPy: 'NAME[0:5, ::2]', 'NAME[-1]', 'NAME[..., 0]',",
  "'NAME[newaxis]'; quote them for the shell. Where nothing describes the segment,",
  "--dtype and --shape do.",
];
