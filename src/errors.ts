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

/** What is used was closed, or was never attached: `BadResource` with code "ERR_SHM_CLOSED". */
export const badResource: ErrorMaker = makerOf("BadResource");

/** Nobody can write any more: `BrokenPipe` with code "EPIPE". */
export const brokenPipe: ErrorMaker = makerOf("BrokenPipe");

/** Somebody has it, this instance itself, too: `Busy` with code "EBUSY". */
export const busy: ErrorMaker = makerOf("Busy");

/** What stands in a segment cannot be: `InvalidData` with code "ERR_SHM_INVALID". */
export const invalidData: ErrorMaker = makerOf("InvalidData");

/** There is nothing of this name, or there is no more: `NotFound` with code "ENOENT". */
export const notFound: ErrorMaker = makerOf("NotFound");

/** This runtime or system cannot do it: `NotSupported` with code "ENOTSUP". */
export const notSupported: ErrorMaker = makerOf("NotSupported");

/** Only another process or user may do it: `PermissionDenied` with code "EPERM". */
export const permissionDenied: ErrorMaker = makerOf("PermissionDenied", "EPERM");
