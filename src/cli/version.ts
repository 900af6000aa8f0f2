/**
 * The version of this package.
 *
 * @module
 */

/** The same as in deno.json; a test compares them. */
export const version = "0.1.0";
