/**
 * Extended attributes of open files: short values that a file has beside its bytes.
 *
 * @see {@link https://man7.org/linux/man-pages/man7/xattr.7.html | xattr(7)}
 * @module
 */

import { checked, cString, openOnUse } from "./library.ts";
import { platform } from "./platform.ts";
import { declareAttributesByPath, declareSegments } from "./symbols.ts";

const segments = openOnUse(declareSegments);
const functionsByPath = openOnUse(declareAttributesByPath);

/**
 * Codes by which a system says that this file has no attributes, or none that could be set: the file system has
 * none (tmpfs before Linux 6.6), the kernel or a sandbox has no such call, there is no room for one, or this user
 * may not.
 */
const UNAVAILABLE = [
  "EOPNOTSUPP",
  "ENOSYS",
  "EPERM",
  "EACCES",
  "ENOSPC",
  "EDQUOT",
  "E2BIG",
  "ERANGE",
  "EROFS",
];

/** For {@linkcode checked}: that an attribute cannot be set is an answer. */
const falseIfUnavailable = {
  answer: (code: string): false | undefined => UNAVAILABLE.includes(code) ? false : undefined,
};

/**
 * For {@linkcode checked}: that there is no such attribute, or that it is longer than asked for, is an
 * answer.
 */
const nullIfNone = {
  answer: (code: string): null | undefined =>
    code === "ENODATA" || UNAVAILABLE.includes(code) ? null : undefined,
};

/** The names of attributes as C wants them. They are few. */
const encoded = new Map<string, Uint8Array<ArrayBuffer>>();

function nameOf(attribute: string): Uint8Array<ArrayBuffer> {
  const known = encoded.get(attribute);
  if (known !== undefined) return known;
  const text = cString(attribute);
  const copy = text.slice(0, text.indexOf(0) + 1);
  encoded.set(attribute, copy);
  return copy;
}

/**
 * Sets an attribute of an open file.
 *
 * @param fd the file
 * @param name the attribute's name, which begins with `user.`
 * @param value its value
 * @param subject the segment's name, for the error
 * @returns `false` where it cannot have one: files have no attributes here, or there is no room for one, or the
 * file's mode or a policy does not let this user set it
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
    () => segments().fsetxattr(fd, nameOf(name), value, length, 0),
    falseIfUnavailable,
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
    () => segments().fgetxattr(fd, nameOf(name), value, size),
    nullIfNone,
  );
  return length === null ? null : value.subarray(0, length);
}

/**
 * Reads an attribute of an open file into a buffer that is kept, by one call whatever comes of it. A caller to whom
 * an attribute that cannot be read is as good as none needs no more.
 *
 * @param fd the file
 * @param name the attribute's name, which begins with `user.`
 * @param into where to put its value
 * @param size the length of that, as C takes it
 * @returns how long the value is; -1 if it cannot be read, or is longer than the buffer
 * @see {@link https://man7.org/linux/man-pages/man2/getxattr.2.html | fgetxattr(2)}
 */
export function readAttribute(
  fd: number,
  name: string,
  into: Uint8Array<ArrayBuffer>,
  size: bigint,
): number {
  return platform().os === "linux" ? segments().fgetxattr(fd, nameOf(name), into, size) : -1;
}

/**
 * The same of the file at a path. A symbolic link is not followed.
 *
 * @param path the file's path
 * @param name the attribute's name, which begins with `user.`
 * @param into where to put its value
 * @param size the length of that, as C takes it
 * @returns how long the value is; -1 if it cannot be read, or is longer than the buffer
 * @see {@link https://man7.org/linux/man-pages/man2/getxattr.2.html | lgetxattr(2)}
 */
export function readAttributeOfPath(
  path: string,
  name: string,
  into: Uint8Array<ArrayBuffer>,
  size: bigint,
): number {
  if (platform().os !== "linux") return -1;
  // The name goes first: encoding it for the first time takes the memory that the path lies in.
  const attribute = nameOf(name);
  return functionsByPath().lgetxattr(cString(path), attribute, into, size);
}

/**
 * Tells whether an open file could have attributes of users.
 *
 * @param fd the file
 * @param name the name of an attribute, which need not be there
 * @param subject the segment's name, for the error
 * @returns `false` where files have none, or this process may not read them
 * @see {@link https://man7.org/linux/man-pages/man2/getxattr.2.html | fgetxattr(2)}
 */
export function hasAttributes(fd: number, name: string, subject: string): boolean {
  if (platform().os !== "linux") return false;
  return checked(
    "fgetxattr",
    subject,
    () => segments().fgetxattr(fd, nameOf(name), new Uint8Array(0), 0n),
    {
      answer: (code) => code === "ENODATA" ? true : UNAVAILABLE.includes(code) ? false : undefined,
    },
  ) !== false;
}
