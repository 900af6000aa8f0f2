/**
 * Words of a segment: numbers that any process may have written. There is one way to read each. It checks that
 * the number can be right, and says what is wrong if it cannot.
 *
 * @module
 */

import { quoteName, shorten } from "./check.ts";
import { invalidData } from "./errors.ts";

/** A word of a segment. */
export interface Word {
  /** Its name, as the documents and the models write it. */
  readonly name: string;
  /** Where it stands, in bytes from the beginning of the segment. */
  readonly at: number;
  /** Its type, as the documents write it: `"i32"`, `"u64"`. */
  readonly type: string;
}

/** The error for a number that cannot be right. */
export function invalidWord(segment: string, what: string): Error {
  return invalidData(
    `Cannot use ${quoteName(segment)}: ` +
      `${what}; somebody has written over the segment, or it is none of this kind`,
  );
}

/**
 * Checks a number that was read from a segment.
 *
 * @param value the number; a bigint where it has 64 bits
 * @param word which word it is
 * @param segment the segment's name, for the message
 * @param least the smallest number that it can be
 * @param most the largest one
 * @returns the number
 * @throws {Deno.errors.InvalidData} if it is another one
 */
export function checkWord(
  value: number | bigint,
  word: Word,
  segment: string,
  least = 0,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  const number = Number(value); // a bigint that is rounded here is beyond the largest number anyway
  if (number >= least && number <= most) return number;
  throw invalidWord(
    segment,
    `its word ${word.name} is ${shorten(String(value))}, and should be from ${least} to ${most}`,
  );
}

/**
 * Orders what this thread reads and writes before it against what comes after it, on every processor: the
 * read-modify-write releases what was before, and the load after it acquires. On ARM neither is enough alone.
 * The compiler moves no access to memory across them.
 */
export function fence(): void {
  Atomics.add(fenceWord, 0, 1);
  Atomics.load(fenceWord, 0);
}
const fenceWord = new Int32Array(1);

/**
 * Reads an element of memory that is mapped copy-on-write, and writes nothing, not even the same number:
 * `Atomics.load()` is a read-modify-write in the compiled code of JavaScriptCore (Bun). The kernel would copy the page,
 * and this process would never see again what others write there. An aligned element is read in one access, too.
 *
 * @param numbers the memory
 * @param index which element
 */
export function loadPlainly<T extends Int32Array | BigInt64Array>(
  numbers: T,
  index: number,
): T[number] {
  const value = numbers[index];
  fence(); // what is read after it is read later
  return value;
}

/**
 * Reads a number of 64 bits by one atomic access, and checks it.
 *
 * @param numbers the segment from its beginning on
 * @param word which word to read
 * @param segment the segment's name, for the message
 * @param least the smallest number that it can be
 * @param most the largest one
 * @throws {Deno.errors.InvalidData} if it is another one
 */
export function readWord64(
  numbers: BigInt64Array,
  word: Word,
  segment: string,
  least?: number,
  most?: number,
): number {
  return checkWord(Atomics.load(numbers, word.at / 8), word, segment, least, most);
}

/**
 * Reads a number of 32 bits, without a sign, by one atomic access, and checks it.
 *
 * @param words the segment from its beginning on
 * @param word which word to read
 * @param segment the segment's name, for the message
 * @param least the smallest number that it can be
 * @param most the largest one
 * @throws {Deno.errors.InvalidData} if it is another one
 */
export function readWord32(
  words: Int32Array,
  word: Word,
  segment: string,
  least?: number,
  most?: number,
): number {
  return checkWord(Atomics.load(words, word.at / 4) >>> 0, word, segment, least, most);
}

// --- Magics ----------------------------------------------------------------------------------

/** What tells one kind of segment from the others: some letters, at an offset of their own. */
interface Magic {
  readonly text: string;
  /** Where it stands, in bytes. */
  readonly at: number;
  /** The kind in words, for messages. */
  readonly what: string;
  /** The exact size of the segment, where the magic is too short to tell it alone. */
  readonly size?: number;
}

/** The magics of all kinds. A segment without one is an array, or none of this library. */
export const magics = {
  lock: { text: "LCK1", at: 12, what: "a lock", size: 16 },
  ring: { text: "SHMRING1", at: 0, what: "a ring" },
  versions: { text: "SHMVERS1", at: 0, what: "a publication of versions" },
  queue: { text: "SHMQUEUE", at: 0, what: "a queue" },
  barrier: { text: "SHMBARR1", at: 0, what: "a barrier" },
} as const satisfies { readonly [kind: string]: Magic };

/** The kinds of segments that have a magic. */
export type SegmentKind = keyof typeof magics;

const kinds = Object.keys(magics) as SegmentKind[];

/**
 * Tells the kind of a segment by how it begins.
 *
 * @param head its first bytes: {@linkcode HEAD_BYTES}, or as many as it has
 * @param byteLength its size
 * @returns its kind; `null` if it has no magic
 */
export function kindOfHead(head: Uint8Array, byteLength: number): SegmentKind | null {
  for (const kind of kinds) {
    const { text, at, size }: Magic = magics[kind];
    if (size !== undefined && size !== byteLength) continue;
    let same = 0;
    while (same < text.length && head[at + same] === text.charCodeAt(same)) same++;
    if (same === text.length) return kind;
  }
  return null;
}

/** So many bytes tell the kind of a segment. */
export const HEAD_BYTES = 16;

/**
 * Reads the magic of a segment.
 *
 * @param buffer the segment
 * @returns its kind; `null` if it has no magic
 */
export function kindOfSegment(buffer: ArrayBuffer): SegmentKind | null {
  const { byteLength } = buffer;
  return kindOfHead(new Uint8Array(buffer, 0, Math.min(HEAD_BYTES, byteLength)), byteLength);
}

/**
 * Writes the magic of a kind, by one atomic access: a process that sees it sees all that was written before.
 *
 * @param buffer the segment
 * @param kind the kind
 */
export function writeMagic(buffer: ArrayBuffer, kind: SegmentKind): void {
  const { text, at } = magics[kind];
  const letters = new TextEncoder().encode(text).buffer;
  if (letters.byteLength === 4) {
    Atomics.store(new Int32Array(buffer, at, 1), 0, new Int32Array(letters)[0]);
  } else {
    Atomics.store(new BigInt64Array(buffer, at, 1), 0, new BigInt64Array(letters)[0]);
  }
}

/**
 * Refuses a segment that has the magic of another kind.
 *
 * @param buffer the segment
 * @param kind the kind that it should be
 * @param name the segment's name, for the message
 * @returns whether it has the magic of the kind; if not, it has none
 * @throws {TypeError} if it is of another kind
 */
export function refuseOtherKinds(buffer: ArrayBuffer, kind: SegmentKind, name: string): boolean {
  const found = kindOfSegment(buffer);
  if (found === kind) return true;
  if (found === null) return false;
  throw new TypeError(
    `Cannot load ${quoteName(name)} as ${magics[kind].what}: ` +
      `the segment is that of ${magics[found].what}`,
  );
}

/**
 * Looks whether a segment has the magic of a kind.
 *
 * @param buffer the segment, large enough for the magic
 * @param kind the kind that it must be
 * @param name the segment's name, for the message
 * @param isTimeUp whether its creator had the time to write the magic
 * @returns `false` if there are zeros in the place of the magic, which its creator may be about to write
 * @throws {TypeError} if it is of another kind, or of none
 */
export function checkMagic(
  buffer: ArrayBuffer,
  kind: SegmentKind,
  name: string,
  isTimeUp: boolean,
): boolean {
  const { text, at, what } = magics[kind];
  // The creator may write the magic between two looks: what is not empty on the first is whole on the second.
  const isEmpty = new Uint8Array(buffer, at, text.length).every((byte) => byte === 0);
  if (refuseOtherKinds(buffer, kind, name)) return true;
  if (isEmpty && !isTimeUp) return false;
  throw new TypeError(
    `Cannot load ${quoteName(name)} ` +
      `as ${what}: the segment is not that of ${what}; nothing was written to it`,
  );
}
