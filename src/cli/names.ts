/**
 * Names of segments as they are written in the shell: also as paths, and as patterns.
 *
 * @module
 */

import { platform } from "../../ffi/platform.ts";

/**
 * Reads the name of a segment.
 *
 * @param written a name, or the path of its file: `/dev/shm/NAME`
 * @returns the name; not checked
 */
export function nameOf(written: string): string {
  const { directory } = platform();
  return directory !== null && written.startsWith(`${directory}/`)
    ? written.slice(directory.length + 1)
    : written;
}

/**
 * Reads a pattern, in which each `*` stands for any characters.
 *
 * @param pattern what was written
 * @returns tells whether a name fits; `null` if there is no `*` in it
 */
export function matcherOf(pattern: string): ((name: string) => boolean) | null {
  if (!pattern.includes("*")) return null;
  const parts = pattern.split("*");
  const [first, last] = [parts[0], parts.at(-1)!];
  const inner = parts.slice(1, -1);
  return (name) => {
    if (name.length < first.length + last.length) return false;
    if (!name.startsWith(first) || !name.endsWith(last)) return false;
    let at = first.length;
    const end = name.length - last.length;
    // The first place where a part fits leaves most room for the others.
    return inner.every((part) => {
      const found = name.indexOf(part, at);
      if (found === -1 || found + part.length > end) return false;
      at = found + part.length;
      return true;
    });
  };
}
