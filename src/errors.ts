/**
 * The errors that the library itself finds, and no function of C: their classes, and one way to make each.
 * Nothing of a runtime is touched at import, and no FFI is needed: views throw these in a browser, too.
 *
 * An argument of the wrong kind is a `TypeError`, a wrong value, shape, size or name a `RangeError`; what C
 * told is made by `ffi/errors.ts`. All else is one of these.
 *
 * @module
 */

import { type CodedError, type ErrorName, makeError } from "../ffi/runtime/errors.ts";

export {
  type CodedError,
  type ErrorClass,
  type ErrorClasses,
  type ErrorName,
  errors,
} from "../ffi/runtime/errors.ts";

/** Makes an error of one class: from its message, and from what led to it. */
export type ErrorMaker = (message: string, cause?: unknown) => CodedError;

function makerOf(name: ErrorName, code?: string): ErrorMaker {
  return (message, cause) => makeError(name, message, cause, code);
}

/** Something has this name already: `AlreadyExists` with code "EEXIST". */
export const alreadyExists: ErrorMaker = makerOf("AlreadyExists");

/** The error for the use of something closed or never attached: `BadResource` with code "ERR_SHM_CLOSED". */
export const badResource: ErrorMaker = makerOf("BadResource");

/** Nobody can write any more: `BrokenPipe` with code "EPIPE". */
export const brokenPipe: ErrorMaker = makerOf("BrokenPipe");

/** Somebody has it, this instance itself, too: `Busy` with code "EBUSY". */
export const busy: ErrorMaker = makerOf("Busy");

/** The error for words of a segment that cannot be right: `InvalidData` with code "ERR_SHM_INVALID". */
export const invalidData: ErrorMaker = makerOf("InvalidData");

/** There is nothing of this name, or there is no more: `NotFound` with code "ENOENT". */
export const notFound: ErrorMaker = makerOf("NotFound");

/** This runtime or system cannot do it: `NotSupported` with code "ENOTSUP". */
export const notSupported: ErrorMaker = makerOf("NotSupported");

/** Only another process or user may do it: `PermissionDenied` with code "EPERM". */
export const permissionDenied: ErrorMaker = makerOf("PermissionDenied", "EPERM");

// --- The caller's line -------------------------------------------------------------------------

/** Something that a program calls. */
// deno-lint-ignore no-explicit-any -- any function and any class
type Callable = ((...args: any) => unknown) | (abstract new (...args: any) => unknown);

/** How V8, and JavaScriptCore after it, write the stack of an object, without what was called last. */
const { captureStackTrace } = Error as {
  captureStackTrace?: (target: object, called: Callable) => void;
};

/** Where the files of this package are; `null` in a bundle, where they cannot be told from a program's. */
const root = /\/src\/errors\.[jt]s$/.test(import.meta.url)
  ? import.meta.url.replace(/src\/errors\.[jt]s$/, "")
  : null;

/**
 * Lets the stack of an error begin with the line that called the library. It changes nothing where the error is
 * none that this library makes, as its message tells: then its place is what matters.
 *
 * @param error what is about to be thrown
 * @param called the public function, method or class that was called; it must not have returned
 * @param args what it was called with: a function among it may have called the library again, and then the error
 * may be that of the inner call
 * @returns the same error
 */
export function fromCaller<E>(error: E, called: Callable, args: readonly unknown[] = []): E {
  if (captureStackTrace === undefined || !(error instanceof Error)) return error;
  if (!isOurs(error.message)) return error;
  if (args.some((arg) => typeof arg === "function") && !isOwn(error, called)) return error;
  captureStackTrace(error, called);
  return error;
}

/** Whether a message is one that this library writes. No regular expression asks: it fails at the end of the stack. */
function isOurs(message: string): boolean {
  return message.startsWith("Cannot ") && message.includes(": ") || message.includes("(os error ");
}

/** Whether all that stands above the caller's line in the stack of an error are lines of this package. */
function isOwn(error: Error, called: Callable): boolean {
  if (root === null) return false;
  const outside = framesOf(error).find((frame) =>
    !frame.includes(`${root}src/`) && !frame.includes(`${root}ffi/`)
  );
  const here: { stack?: string } = {};
  captureStackTrace!(here, called);
  return outside === undefined || outside === framesOf(here)[0];
}

/** The lines of a stack that name a place in a file. */
function framesOf({ stack = "" }: { stack?: string }): string[] {
  return stack.split("\n").filter((line) => /^ +at .*:\d+:\d+\)?$/.test(line));
}

/**
 * Lets the errors of all methods of a class, static ones included, begin with the line that called the method.
 *
 * @param Class the class
 * @param except methods that see to it themselves
 */
export function showCallers(
  Class: Callable & { readonly prototype: object },
  ...except: PropertyKey[]
): void {
  for (const owner of [Class, Class.prototype]) {
    for (const key of Reflect.ownKeys(owner)) {
      const descriptor = Object.getOwnPropertyDescriptor(owner, key)!;
      const { value } = descriptor;
      if (typeof value !== "function" || key === "constructor" || except.includes(key)) continue;
      if (key === "prototype" || !descriptor.configurable) continue;
      Object.defineProperty(owner, key, { ...descriptor, value: showingCaller(value) });
    }
  }
}

/** Makes a method that does the same, and whose errors begin with the caller's line. */
function showingCaller(method: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
  const wrapper = {
    called(this: unknown, ...args: unknown[]): unknown {
      try {
        return apply(method, this, args);
      } catch (error) {
        throw fromCaller(error, wrapper, args);
      }
    },
  }.called;
  for (const key of ["name", "length"]) {
    Object.defineProperty(wrapper, key, {
      value: method[key as "name" | "length"],
      configurable: true,
    });
  }
  return wrapper;
}
const { apply } = Reflect;
