/**
 * Extended attributes of open files: short values that a file has beside its bytes.
 *
 * @see {@link https://man7.org/linux/man-pages/man7/xattr.7.html | xattr(7)}
 * @module
 */

import { checked, cString, openOnUse } from "./library.ts";
import { platform } from "./platform.ts";
import { declareAttributes } from "./symbols.ts";

const functions = openOnUse(declareAttributes);

/** For {@linkcode checked}: that a file system has no such attributes (tmpfs before Linux 6.6) is an answer. */
const falseIfNone = {
  answer: (code: string): false | undefined => code === "EOPNOTSUPP" ? false : undefined,
};

/**
 * For {@linkcode checked}: that there is no such attribute, or that it is longer than asked for, is an
 * answer.
 */
const nullIfNone = {
  answer: (code: string): null | undefined =>
    ["ENODATA", "EOPNOTSUPP", "ERANGE"].includes(code) ? null : undefined,
};

/**
 * Sets an attribute of an open file.
 *
 * @param fd the file
 * @param name the attribute's name, which begins with `user.`
 * @param value its value
 * @param subject the segment's name, for the error
 * @returns `false` where files have no such attributes
 * @see {@link https://man7.org/linux/man-pages/man2/setxattr.2.html | fsetxattr(2)}
 */
export function fsetxattr(
  fd: number,
  name: string,
  value: Uint8Array<ArrayBuffer>,
  subject: string,
): boolean {
  // The segments of macOS have none, and its function takes other arguments.
  if (platform().os !== "linux") return false;
  const length = BigInt(value.length);
  return checked(
    "fsetxattr",
    subject,
    () => functions().fsetxattr(fd, cString(name), value, length, 0),
    falseIfNone,
  ) !== false;
}

/**
 * Reads an attribute of an open file.
 *
 * @param fd the file
 * @param name the attribute's name, which begins with `user.`
 * @param mostBytes how long it may be
 * @param subject the segment's name, for the error
 * @returns its value; `null` if there is none, or if it is longer
 * @see {@link https://man7.org/linux/man-pages/man2/getxattr.2.html | fgetxattr(2)}
 */
export function fgetxattr(
  fd: number,
  name: string,
  mostBytes: number,
  subject: string,
): Uint8Array<ArrayBuffer> | null {
  if (platform().os !== "linux") return null;
  const value = new Uint8Array(mostBytes);
  const size = BigInt(mostBytes);
  const length = checked(
    "fgetxattr",
    subject,
    () => Number(functions().fgetxattr(fd, cString(name), value, size)),
    nullIfNone,
  );
  return length === null ? null : value.subarray(0, length);
}
