/**
 * The users of the machine.
 *
 * @module
 */

import { openOnUse } from "./library.ts";
import { runtime } from "./runtime/mod.ts";
import { declareUsers } from "./symbols.ts";

const users = openOnUse(declareUsers);

/**
 * Gives the name of a user.
 *
 * @param user the user id
 * @returns the name; `null` where the system knows none, as in a container that lacks the file of users
 * @see {@link https://man7.org/linux/man-pages/man3/getpwnam.3.html | getpwuid(3)}
 */
export function getpwuid(user: number): string | null {
  const entry = users().getpwuid?.(user);
  if (entry === undefined || runtime().isNull(entry)) return null;
  // On every supported system struct passwd begins with char *pw_name.
  const [name] = new BigUint64Array(runtime().bufferAt(entry, 8));
  return runtime().stringAt(runtime().pointerAt(name));
}
