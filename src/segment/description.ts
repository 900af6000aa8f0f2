/**
 * What a segment says of itself: its kind, and of arrays the shape, the element type and where the elements lie. It
 * stands in an extended attribute of the segment's file, as JSON, so that the bytes of the segment stay raw. Whoever
 * may write to the segment may write it: it is a hint, and whatever is computed from it must be checked against the
 * segment's size.
 *
 * @see {@link https://man7.org/linux/man-pages/man7/xattr.7.html | xattr(7)}
 * @module
 */

import { fsetxattr, hasAttributes, readAttribute, readAttributeOfPath } from "../../ffi/xattr.ts";
import { bytesPerElement, type DType, type DTypeLike, parseDType } from "../dtype.ts";

/** The name of the attribute. */
const ATTRIBUTE = "user.shm_array";

/** A description has so many bytes at the most. A longer one is not written, and one that is found counts as none. */
const MOST_BYTES = 4096;

/** The kinds that describe themselves. */
const describedKinds = ["array", "lock", "barrier", "ring", "versions", "queue"] as const;

/** What a segment can be. */
export type DescribedKind = typeof describedKinds[number];

/** Where the elements of an array lie, as a description says it: nothing is left out. */
export interface DescribedLayout {
  /** The position of element `[0, 0, …]` in bytes. */
  readonly byteOffset: number;
  /** The distance from one element to the next along each axis, in elements. */
  readonly stride: readonly number[];
}

/** What a segment says of itself, checked. */
export interface Description {
  /** What it is. */
  readonly kind: DescribedKind;
  /** The lengths of the axes; `null` where this kind has none. */
  readonly shape: readonly number[] | null;
  /** The element type; `null` where this kind has none. */
  readonly dtype: DType | null;
  /** Where the elements lie; `null` for C order from the first byte on. */
  readonly layout: DescribedLayout | null;
}

/** Gives the text of a description. It is called only where one is written. */
export type Describe = () => string;

/**
 * Describes an instance of a kind that is no array, by its own properties except its name.
 *
 * @param instance the instance, which has a `kind`
 * @returns the text of the description
 */
export function descriptionOf(instance: { readonly kind: DescribedKind }): string {
  const { name: _, ...rest } = instance as { kind: DescribedKind; name?: string };
  return JSON.stringify(rest);
}

/**
 * Writes a description beside an open segment. Where files have no attributes, or there is no room for this one,
 * there is none, and all else works.
 *
 * @param fd the segment, open for writing; its owner may write to it, as its mode is now
 * @param name the segment's name, for errors
 * @param describe gives the text; `null` for none
 */
export function writeDescription(fd: number, name: string, describe: Describe | null): void {
  if (describe === null) return;
  const text = describe();
  // A character takes three bytes at the most.
  if (text.length > MOST_BYTES) return;
  const { written, read } = (encoder ??= new TextEncoder()).encodeInto(text, bytes);
  if (read === text.length) fsetxattr(fd, ATTRIBUTE, bytes.subarray(0, written), name);
}

// Made at the first use: a bare engine, in which the package can be imported, too, has none.
let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;
/** What was written or read last. */
const bytes = new Uint8Array(MOST_BYTES);
const SIZE = BigInt(MOST_BYTES);

/** What was read beside a segment: valid until the next time that a description is read or written. */
export class FoundDescription {
  /** How many bytes it has; -1 if there is none. */
  #length = -1;

  /**
   * Reads what stands beside an open segment.
   *
   * @param fd the segment
   */
  read(fd: number): this {
    this.#length = readAttribute(fd, ATTRIBUTE, bytes, SIZE);
    return this;
  }

  /**
   * Reads what stands beside the segment at a path.
   *
   * @param path the path of its file
   */
  readOfPath(path: string): this {
    this.#length = readAttributeOfPath(path, ATTRIBUTE, bytes, SIZE);
    return this;
  }

  /** Whether there is any text. */
  get isThere(): boolean {
    return this.#length > 0;
  }

  /**
   * Whether it is a certain text, of ASCII characters. Comparing takes less time than parsing.
   *
   * @param text the text
   */
  is(text: string): boolean {
    if (this.#length !== text.length) return false;
    for (let i = 0; i < text.length; i++) {
      if (bytes[i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  /** What it says; `null` if there is none, or it is no valid description. */
  get value(): Description | null {
    return this.#length <= 0 ? null : parse(bytes.subarray(0, this.#length));
  }
}

/** The one that is used again and again: a segment is looked at before the next one is opened. */
export const found: FoundDescription = new FoundDescription();

/**
 * Tells whether there could be a description beside an open segment.
 *
 * @param fd the segment
 * @param name its name, for errors
 * @returns `false` where files have no attributes
 */
export function canDescribe(fd: number, name: string): boolean {
  return hasAttributes(fd, ATTRIBUTE, name);
}

/**
 * Tells what stands beside a segment, if its size allows it.
 *
 * @param description what it says
 * @param byteLength the size of the segment
 * @returns the description; `null` if the elements would not fit
 */
export function ifItFits(description: Description | null, byteLength: number): Description | null {
  if (description === null) return null;
  const { kind, shape, dtype, layout } = description;
  // The arrays of versions are segments of their own.
  if (shape === null || dtype === null || (kind !== "array" && kind !== "ring")) return description;
  let [lowest, highest] = [0, 0];
  if (layout === null) highest = shape.reduce((product, length) => product * length, 1) - 1;
  else {
    shape.forEach((length, axis) => {
      const reach = (length - 1) * layout.stride[axis];
      if (reach < 0) lowest += reach;
      else highest += reach;
    });
  }
  const bytes = bytesPerElement(dtype);
  const offset = layout?.byteOffset ?? 0;
  const fits = offset + lowest * bytes >= 0 && offset + (highest + 1) * bytes <= byteLength;
  return fits ? description : null;
}

/** Reads a description. Anybody may have written it: all of it is checked. */
function parse(text: Uint8Array): Description | null {
  let json: unknown;
  try {
    json = JSON.parse((decoder ??= new TextDecoder("utf-8", { fatal: true })).decode(text));
  } catch {
    return null;
  }
  if (json === null || typeof json !== "object") return null;
  const plain = json as { readonly [key: string]: unknown };
  const own = (key: string): unknown => Object.hasOwn(plain, key) ? plain[key] : undefined;
  const kind = describedKinds.find((known) => known === own("kind"));
  if (kind === undefined) return null;
  const needsArray = kind === "array" || kind === "ring" || kind === "versions";
  const shape = own("shape") === undefined && !needsArray ? null : checkedShape(own("shape"));
  const dtype = own("dtype") === undefined && !needsArray ? null : checkedDType(own("dtype"));
  const layout = own("layout") === undefined || kind !== "array"
    ? null
    : checkedLayout(own("layout"), shape);
  if (shape === undefined || dtype === undefined || layout === undefined) return null;
  return { kind, shape, dtype, layout };
}

/** The lengths of axes; `undefined` if they are none. */
function checkedShape(value: unknown): readonly number[] | undefined {
  return isIntegers(value) && value.every((length) => length >= 1) ? value : undefined;
}

/** The element type that a text names; `undefined` if it is none. */
function checkedDType(value: unknown): DType | undefined {
  if (typeof value !== "string") return undefined;
  try {
    return parseDType(value as DTypeLike);
  } catch {
    return undefined;
  }
}

/** A layout for some shape; `undefined` if it is none. */
function checkedLayout(
  value: unknown,
  shape: readonly number[] | null | undefined,
): DescribedLayout | undefined {
  if (value === null || typeof value !== "object" || !shape) return undefined;
  const { byteOffset, stride } = value as { readonly byteOffset?: unknown; stride?: unknown };
  const isRight = Number.isSafeInteger(byteOffset) && (byteOffset as number) >= 0 &&
    isIntegers(stride) && stride.length === shape.length;
  return isRight ? { byteOffset, stride } as DescribedLayout : undefined;
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry));
}
