/**
 * Reading of options objects: every option is known, and what another module hung on
 * `Object.prototype` is none.
 *
 * @module
 */

/**
 * Copies the options that a caller gave itself.
 *
 * @param options what the caller gave; `undefined` is none
 * @param known the names of the options
 * @param action what is being done, for the message: "create"
 * @returns a fresh object; options that are `undefined` are left out
 * @throws {TypeError} if it is no object, or has an option that is not known
 */
export function readOptions<T extends object>(
  options: T | undefined,
  known: readonly (keyof T & string)[],
  action: string,
): Partial<T> {
  const own: Partial<T> = Object.create(null);
  if (options === undefined) return own;
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    const kind = options === null ? "null" : Array.isArray(options) ? "an array" : typeof options;
    throw new TypeError(`Cannot ${action}: the options must be an object, not ${kind}`);
  }
  for (const key of Object.keys(options) as (keyof T & string)[]) {
    if (!known.includes(key)) {
      throw new TypeError(
        `Cannot ${action}: there is no option ${JSON.stringify(key)}; there is ${known.join(", ")}`,
      );
    }
    const value = options[key];
    if (value !== undefined) own[key] = value;
  }
  return own;
}
