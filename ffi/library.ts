/**
 * The C library: opened on first use, with the one rule by which a call is believed to have failed. It is
 * the only reader of errno. The files beside it have one checked function for each call of C.
 *
 * @module
 */

import { type Advice, systemError } from "./errors.ts";
import { errors, makeError } from "./runtime/errors.ts";
import { type Declarations, type Functions, runtime } from "./runtime/mod.ts";
import { type Platform, platform } from "./platform.ts";
import { declareSeldomUsed, declareSymbols } from "./symbols.ts";

type Symbols = Functions<ReturnType<typeof declareSymbols>>;
type SeldomUsed = Functions<ReturnType<typeof declareSeldomUsed>>;

interface Library {
  readonly platform: Platform;
  /** The name by which it was found. */
  readonly name: string;
  readonly symbols: Symbols;
  /** This thread's errno: it never moves, so it is looked for once. */
  readonly errno: Int32Array;
}

let library: Library | undefined;
let seldom: SeldomUsed | undefined;

/** The opened library; opens it at the first call. */
export function libc(): Library {
  return library ??= openLibrary();
}

/** What of the library is seldom called; opened at the first call of it. */
export function seldomUsed(): SeldomUsed {
  return seldom ??= openSymbols(declareSeldomUsed());
}

/**
 * Tells which C library this is.
 *
 * @returns the version of glibc, such as "2.36"; `null` of another library
 * @see {@link https://man7.org/linux/man-pages/man3/gnu_get_libc_version.3.html | gnu_get_libc_version(3)}
 */
export function glibcVersion(): string | null {
  const version = seldomUsed().gnu_get_libc_version?.();
  return version === undefined ? null : runtime().stringAt(version);
}

/**
 * Opens further symbols of the library, for a file that declares its own: each takes a tenth of a
 * millisecond, which only who uses them should pay.
 *
 * @param declarations the symbols
 */
export function openSymbols<const D extends Declarations>(declarations: D): Functions<D> {
  return runtime().openLibrary(libc().name, declarations);
}

function openLibrary(): Library {
  runtime().checkVersion();
  const ours = platform();
  const declarations = declareSymbols(ours);
  let failure: unknown;
  for (const name of ours.libraries) {
    try {
      const symbols = runtime().openLibrary(name, declarations);
      const location = runtime().bufferAt(symbols.errno_location(), 4);
      return { platform: ours, name, symbols, errno: new Int32Array(location) };
    } catch (error) {
      // A missing permission is missing for the next library, too.
      if (error instanceof errors.NotCapable) throw error;
      if (!runtime().mayCallC()) {
        // Deno then takes the library's name for a file in the working directory, and may read no memory.
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

/** What the last call that failed said. */
let lastErrno = 0;

/** The number of EINTR on every supported system. */
const EINTR = 4;

/**
 * Calls C until it succeeds, or fails twice in a row for the same reason.
 *
 * V8 may compile or collect garbage on this thread between the failure and the reading of errno, and
 * its own system calls (a futex, mostly) then leave theirs there: about once in half a million failures
 * on a busy machine. So errno is read by a plain load, as the very next thing, and a failure counts when
 * two calls in a row gave the same errno. A failed call has done nothing, so it can be repeated; EINTR
 * asks for that anyway.
 *
 * @param call calls one function of C
 * @param isFailure tells from what the function returned whether it failed
 * @returns what it returned, or `null` if it failed; `lastError()` says how
 */
export function attempt<T>(call: () => T, isFailure: (result: T) => boolean): T | null {
  const { errno } = libc();
  let before = 0;
  while (true) {
    const result = call();
    const now = errno[0];
    if (!isFailure(result)) return result;
    if (now === before && now !== EINTR) {
      lastErrno = now;
      return null;
    }
    before = now;
  }
}

/** How most functions tell that they failed. */
export function isMinusOne(result: number): boolean {
  return result === -1;
}

/**
 * Makes the error for the attempt that just failed.
 *
 * @param call the C function that failed
 * @param subject what it was called on: a segment's name or a path; `null` if nothing that has a name
 * @param advice gives a way out for a code, if there is one
 * @returns the error, to be thrown
 */
export function lastError(call: string, subject: string | null, advice?: Advice): Error {
  return systemError(libc().platform.os, lastErrno, call, subject, advice);
}

/** The number of the error of the attempt that just failed. */
export function lastErrorNumber(): number {
  return lastErrno;
}

/** Whether the attempt that just failed did so because there is no such file. */
export function failedWithENOENT(): boolean {
  return lastErrno === ENOENT;
}
/** The same number on every supported system. */
export const ENOENT = 2;

const encoder = new TextEncoder();
// Names have 255 bytes at the most, paths of this library few more; a slash and a NUL are added.
const scratch = new Uint8Array(512);

/** Writes a string as C wants it; it is valid until the next call of this function. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  const { written, read } = encoder.encodeInto(text, scratch);
  if (read < text.length || written === scratch.length) {
    throw new RangeError(`Cannot pass ${text.length} characters to the C library`);
  }
  scratch[written] = 0;
  return scratch;
}
