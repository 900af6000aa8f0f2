/**
 * What is needed of a runtime before anything is called: its classes of errors, what can be written to its
 * terminal, the keys by which consoles show an object, and what several copies of this package have in common.
 * Nothing of the runtime is touched at import.
 *
 * @module
 */

/**
 * The names of the classes.
 *
 * @internal
 */
export type ErrorName =
  | "AlreadyExists"
  | "BadResource"
  | "BrokenPipe"
  | "Busy"
  | "FilesystemLoop"
  | "Interrupted"
  | "InvalidData"
  | "IsADirectory"
  | "NotADirectory"
  | "NotCapable"
  | "NotFound"
  | "NotSupported"
  | "PermissionDenied"
  | "WouldBlock";

/** The code of each class, for errors that do not come from a function of C. */
const codes: { readonly [name in ErrorName]: string } = {
  AlreadyExists: "EEXIST",
  BadResource: "ERR_SHM_CLOSED",
  BrokenPipe: "EPIPE",
  Busy: "EBUSY",
  FilesystemLoop: "ELOOP",
  Interrupted: "EINTR",
  InvalidData: "ERR_SHM_INVALID",
  IsADirectory: "EISDIR",
  NotADirectory: "ENOTDIR",
  NotCapable: "ERR_ACCESS_DENIED",
  NotFound: "ENOENT",
  NotSupported: "ENOTSUP",
  PermissionDenied: "EACCES",
  WouldBlock: "EAGAIN",
};

/**
 * A class of errors.
 *
 * @internal
 */
export interface ErrorClass {
  /** Makes an error. */
  new (message?: string, options?: ErrorOptions): Error;
  /** What `instanceof` asks. */
  readonly prototype: Error;
}

/** An error with the `code` by which programs tell errors apart. */
export interface CodedError extends Error {
  /** The symbolic name of the error, for example `"ENOENT"`. */
  code: string;
}

/**
 * The classes by their names.
 *
 * @internal
 */
export type ErrorClasses = { readonly [name in ErrorName]: ErrorClass };

/** The classes that were asked for. */
const found: { [name in ErrorName]?: ErrorClass } = {};

function classOf(name: ErrorName): ErrorClass {
  const { Deno } = globalThis as { Deno?: { errors?: ErrorClasses } };
  return Deno?.errors?.[name] ?? sharedAmongCopies(`errors.${name}`, () => makeClass(name));
}

function makeClass(name: ErrorName): ErrorClass {
  const made = class extends Error {
    readonly code = codes[name];
    constructor(message?: string, options?: ErrorOptions) {
      super(message, options);
      this.name = name;
    }
  };
  Object.defineProperty(made, "name", { value: name });
  return made;
}

/**
 * The classes of the errors that are thrown: those of `Deno.errors` on Deno, classes of the same names elsewhere.
 * So `error instanceof errors.NotFound` can be asked on every runtime. Each error of this package has a `code`:
 *
 * | class | `code` | when |
 * | --- | --- | --- |
 * | `NotFound` | `"ENOENT"` | nothing has the name, or it was removed |
 * | `AlreadyExists` | `"EEXIST"` | the name is taken |
 * | `PermissionDenied` | `"EACCES"`, `"EPERM"` | the segment is another user's, or was loaded to be read only |
 * | `Busy` | `"EBUSY"` | it is attached, held or written by somebody already |
 * | `BadResource` | `"ERR_SHM_CLOSED"` | it was closed, or never attached |
 * | `BrokenPipe` | `"EPIPE"` | a stream or a queue has ended |
 * | `InvalidData` | `"ERR_SHM_INVALID"` | what stands in a segment cannot be |
 * | `NotSupported` | `"ENOTSUP"`, `"ENOSYS"` | this system or runtime has no such thing |
 * | `NotCapable` | `"ERR_ACCESS_DENIED"`, on Deno none | the permission `--allow-ffi` is missing |
 *
 * Where Deno has no class, what the system refuses is a plain `Error` with its code (`"ENOSPC"`, `"ENOMEM"`,
 * `"EMFILE"`). An argument of the wrong kind is a `TypeError`, a wrong value a `RangeError`, a time limit a
 * `DOMException` named "TimeoutError".
 *
 * @example Attach, or do without
 * ```ts
 * import { errors, SharedMemoryArray } from "@shm/array";
 * import { assertEquals } from "@std/assert";
 *
 * function shapeOf(name: string): readonly number[] | null {
 *   try {
 *     using sma = SharedMemoryArray.attach(name);
 *     return sma.shape;
 *   } catch (error) {
 *     if (error instanceof errors.NotFound) return null; // also in Node and Bun
 *     throw error;
 *   }
 * }
 * assertEquals(shapeOf(SharedMemoryArray.buildSmaName("nobody")), null);
 * ```
 */
export const errors: ErrorClasses = Object.freeze(
  Object.defineProperties(
    {},
    Object.fromEntries(
      (Object.keys(codes) as ErrorName[]).map((name) => [
        name,
        { get: () => found[name] ??= classOf(name), enumerable: true },
      ]),
    ),
  ) as ErrorClasses,
);

/**
 * Makes an error of one of the classes.
 *
 * @param name the name of the class
 * @param message the message
 * @param cause what led to it
 * @param code the code, where it is another one than that of the class
 * @returns the error, to be thrown
 */
export function makeError(
  name: ErrorName,
  message: string,
  cause?: unknown,
  code: string = codes[name],
): CodedError {
  const error = Object.assign(new errors[name](visible(message)), { code });
  // Deno 2.2's classes ignore it as an option. As in other errors, it cannot be listed.
  if (cause !== undefined) {
    Object.defineProperty(error, "cause", { value: cause, writable: true, configurable: true });
  }
  return error;
}

/**
 * Writes a text so that a terminal shows all of it: what would move the cursor, change the direction of writing
 * or not be seen at all is written as its number, `\\u{202e}`. Names of segments and paths may hold any
 * character, and any program that makes a segment chooses its name.
 *
 * @param text a text that somebody else may have chosen
 * @returns the text, without control and format characters, line separators and lone surrogates
 */
export function visible(text: string): string {
  // Most texts are ASCII. No regular expression is asked about them: it fails at the end of the stack.
  let at = 0;
  while (at < text.length && text.charCodeAt(at) >= 0x20 && text.charCodeAt(at) <= 0x7e) at++;
  if (at === text.length) return text;
  return invisible.test(text)
    ? text.replaceAll(
      new RegExp(invisible, "gu"),
      (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
    )
    : text;
}
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** The keys of the methods that consoles call to show an object: Deno's, and that of Node, Bun and others. */
export const inspectKeys: { readonly deno: symbol; readonly node: symbol } = {
  deno: Symbol.for("Deno.customInspect"),
  node: Symbol.for("nodejs.util.inspect.custom"),
};

/**
 * Gives something that all copies of this package in one thread have in common.
 *
 * @param what names it, and how it is made up: a version that makes it up in another way names it in another way
 * @param make makes it, for the first copy
 */
export function sharedAmongCopies<T extends object>(what: string, make: () => T): T {
  const key = Symbol.for(`@shm/array: ${what}`);
  const known = (globalThis as { readonly [key: symbol]: unknown })[key];
  if (known !== undefined) return known as T;
  const value = make();
  // Where a program has frozen the global object, each copy has its own.
  Reflect.defineProperty(globalThis, key, { __proto__: null, value } as PropertyDescriptor);
  return value;
}
