/**
 * The C library: opened on first use, with the one rule by which a call is believed to have failed. It is
 * the only reader of errno. The files beside it have one checked function for each call of C.
 *
 * @module
 */

import { type Advice, codeOf, orGeneral, systemError } from "./errors.ts";
import { errors, makeError } from "./runtime/errors.ts";
import { type Declarations, type Functions, runtime } from "./runtime/mod.ts";
import { type Platform, platform } from "./platform.ts";
import { declareSegments } from "./symbols.ts";

interface Library {
  readonly platform: Platform;
  /** The name by which it was found. */
  readonly name: string;
  /** The functions that were opened to find it: {@linkcode declareSegments}. */
  readonly symbols: Functions<ReturnType<typeof declareSegments>>;
  /** This thread's errno: it never moves, so it is looked for once. */
  readonly errno: Int32Array;
}

let library: Library | undefined;

/** The opened library; opens it at the first call. */
export function libc(): Library {
  return library ??= openLibrary();
}

/** The groups that are open, by what declares them: several files use functions of one. */
const groups = new Map<unknown, unknown>();

/**
 * Gives a group of functions of C. It is opened at the first use: each symbol takes a tenth of a
 * millisecond, which only programs that use it should pay.
 *
 * @param declare declares the group: one of the functions of `symbols.ts`
 * @returns gives the functions
 */
export function openOnUse<const D extends Declarations>(
  declare: (platform: Platform) => D,
): () => Functions<D> {
  // These come with the library.
  if ((declare as unknown) === declareSegments) {
    return () => libc().symbols as Functions<Declarations> as Functions<D>;
  }
  let opened: Functions<D> | undefined;
  return () => opened ??= open();

  function open(): Functions<D> {
    const functions = groups.get(declare) ??
      runtime().openLibrary(libc().name, declare(libc().platform));
    groups.set(declare, functions);
    return functions as Functions<D>;
  }
}

/**
 * Tells which C library this is.
 *
 * @returns the version of glibc, such as "2.36"; `null` of another library
 * @see {@link https://man7.org/linux/man-pages/man3/gnu_get_libc_version.3.html | gnu_get_libc_version(3)}
 */
export function glibcVersion(): string | null {
  const text = libc().symbols.gnu_get_libc_version?.();
  return text === undefined ? null : runtime().stringAt(text);
}

function openLibrary(): Library {
  runtime().checkVersion();
  const ours = platform();
  const declarations = declareSegments(ours);
  let failure: unknown;
  for (const name of ours.libraries) {
    try {
      const symbols = runtime().openLibrary(name, declarations);
      if (ours.os === "linux" && symbols.gnu_get_libc_version === null) throw notGlibc();
      const location = runtime().bufferAt(symbols.errno_location(), 4);
      return { platform: ours, name, symbols, errno: new Int32Array(location) };
    } catch (error) {
      // A missing permission is missing for the next library, too, and so is glibc.
      if (error instanceof errors.NotCapable || error instanceof errors.NotSupported) throw error;
      if (!runtime().mayCallC()) {
        // With a permission for certain libraries only, Deno takes the library's name for a file in the
        // working directory, and may read no memory.
        throw makeError(
          "NotCapable",
          `Cannot share memory: ffi access was granted to "${name}" only, and all ffi access is needed; ` +
            "answer the prompt with A, or run again with the --allow-ffi flag",
          error,
        );
      }
      failure = error;
    }
  }
  throw makeError(
    "NotSupported",
    `Cannot share memory: none of ${ours.libraries.join(", ")} has what is needed`,
    failure,
  );
}

/**
 * musl answers to glibc's name: its `dlopen` takes each name that begins with "libc." or "librt." for itself. But
 * it has other limits (names, `struct` of signals), and nothing here was ever tried with it.
 */
function notGlibc(): Error {
  return makeError(
    "NotSupported",
    "Cannot share memory: on Linux glibc is needed, and this C library is another one (musl, as on Alpine)",
  );
}

/** How most functions tell that they failed. */
function isMinusOne(result: unknown): boolean {
  return result === -1;
}

/** What a caller of {@linkcode checked} may say about a call. */
export interface CallOptions<T, A> {
  /** Tells from what the function returned whether it failed; by default it returned -1. */
  readonly isFailure?: (result: T) => boolean;
  /** Makes an answer of the code of a failure, for example of "ENOENT"; `undefined` if it is none. */
  readonly answer?: (code: string) => A | undefined;
  /** Gives a way out for the code of a failure that is no answer. */
  readonly advice?: Advice;
  /**
   * Whether an answer is believed the first time, for a call that must not be repeated. The caller must look
   * whether it is so.
   */
  readonly isBelievedAtOnce?: boolean;
}

const NO_OPTIONS: CallOptions<unknown, never> = {};

/**
 * Calls C until it succeeds, or fails twice in a row for the same reason.
 *
 * V8 may compile or collect garbage on this thread between the failure and the reading of errno, and
 * its own system calls (a futex, mostly) then leave theirs there: about once in half a million failures
 * on a busy machine. So errno is read by a plain load, as the very next thing, and a failure counts when
 * two calls in a row gave the same errno. A failed call has done nothing, so it can be repeated; EINTR
 * asks for that anyway.
 *
 * @param name the name of the function, for the error
 * @param subject what it is called on: a segment's name or a path; `null` if nothing that has a name
 * @param call calls the function
 * @param options how it fails, which failures are answers, and what helps
 * @returns what it returned, or the answer
 * @throws {Deno.errors.NotFound} and whatever else errno says, with its code
 */
export function checked<T, A = never>(
  name: string,
  subject: string | null,
  call: () => T,
  options: CallOptions<T, A> = NO_OPTIONS as CallOptions<T, A>,
): T | A {
  const { errno, platform: { os } } = libc();
  const { isFailure = isMinusOne } = options;
  let before = 0;
  while (true) {
    const result = call();
    const now = errno[0];
    if (!isFailure(result)) return result;
    if (now === before || options.isBelievedAtOnce) {
      const code = codeOf(os, now);
      const answer = options.answer?.(code);
      if (answer !== undefined) return answer;
      if (now === before && code !== "EINTR") {
        throw systemError(os, now, name, subject, orGeneral(options.advice));
      }
    }
    before = now;
  }
}

/** For {@linkcode checked}: that there is no such file is an answer. */
export const nullIfMissing = {
  answer: (code: string): null | undefined => code === "ENOENT" ? null : undefined,
};

/** For {@linkcode checked}: that somebody else has a lock is an answer. EWOULDBLOCK is EAGAIN. */
export const falseIfTaken = {
  answer: (code: string): false | undefined =>
    code === "EAGAIN" || code === "EACCES" ? false : undefined,
};

// Made at the first use: a bare engine, in which the package can be imported, too, has none.
let encoder: TextEncoder | undefined;
// Names have 255 bytes at the most, paths of this library few more; a slash and a NUL are added.
const scratch = new Uint8Array(512);

/**
 * Writes a string as C wants it; it is valid until the next call of this function. Bytes that are no UTF-8 are
 * written as {@linkcode textOf} reads them.
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  let { written, read } = (encoder ??= new TextEncoder()).encodeInto(text, scratch);
  // Plain ASCII needs no further look.
  if (written !== read && !text.isWellFormed()) ({ written, read } = encodeEscaped(text));
  if (read < text.length || written === scratch.length) {
    throw new RangeError(`Cannot pass ${text.length} characters to the C library`);
  }
  scratch[written] = 0;
  return scratch;
}

/** Encodes a text into the scratch, character by character, with lone surrogates that stand for bytes. */
function encodeEscaped(text: string): { written: number; read: number } {
  let [written, read] = [0, 0];
  for (const character of text) {
    if (written >= scratch.length) break;
    const byte = byteOf(character);
    if (byte !== null) scratch[written++] = byte;
    else {
      const part = encoder!.encodeInto(character, scratch.subarray(written));
      if (part.read < character.length) break;
      written += part.written;
    }
    read += character.length;
  }
  return { written, read };
}

/** The byte that a lone surrogate from U+DC80 to U+DCFF stands for; `null` for any other character. */
function byteOf(character: string): number | null {
  const code = character.codePointAt(0)!;
  return code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : null;
}

let decoder: TextDecoder | undefined;

/**
 * Reads the bytes of a name. A byte that is no UTF-8 becomes a lone surrogate, U+DC00 and its value, as in
 * Python: so every name is a string, and the string leads to the name.
 *
 * @param bytes the name, without the NUL
 * @returns the name as a string, which {@linkcode cString} turns into the same bytes
 * @see {@link https://peps.python.org/pep-0383/ | PEP 383}
 */
export function textOf(bytes: Uint8Array): string {
  // A mark at the beginning is a part of a name.
  decoder ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return decoder.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length;) {
      const { character, length } = characterAt(bytes, at);
      text += character;
      at += length;
    }
    return text;
  }
}

function characterAt(bytes: Uint8Array, at: number): { character: string; length: number } {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    try {
      return { character: decoder!.decode(bytes.subarray(at, at + length)), length };
    } catch {
      // It needs more bytes, or is none.
    }
  }
  return { character: String.fromCharCode(0xdc00 + bytes[at]), length: 1 };
}
