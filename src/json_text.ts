/**
 * JSON texts that stand in segments: one way to write a value as such a text, and one to read it again. Any process
 * may have written the text that is read.
 *
 * @module
 */

import { quoteName } from "./check.ts";
import { invalidData } from "./errors.ts";

/** A value that JSON can write. Of a member that is `undefined` nothing is written. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/**
 * Writes a value as JSON; `undefined` is null.
 *
 * @param value the value
 * @param action what is about to be done, for the message: "put into"
 * @param name the segment's name, for the message
 * @param what what the value is, for the message: "message"
 * @returns the text
 * @throws {TypeError} if JSON cannot write the value
 */
export function jsonTextOf(
  value: Json | undefined,
  action: string,
  name: string,
  what: string,
): string {
  const refuse = (why: string, cause?: unknown): never => {
    throw new TypeError(
      `Cannot ${action} ${quoteName(name)}: the ${what} is nothing that JSON can write${why}`,
      { cause },
    );
  };
  let text: string | undefined;
  try {
    text = JSON.stringify(value ?? null);
  } catch (error) {
    if (error instanceof TypeError) refuse(`: ${error.message}`, error);
    throw error; // of a toJSON() of the program, or of the end of the stack
  }
  return text ?? refuse("");
}

/**
 * Reads a text of a segment as JSON.
 *
 * @param text the text
 * @param name the segment's name, for the message
 * @param what what it is, for the message
 * @throws {Deno.errors.InvalidData} if it is none
 */
// deno-lint-ignore no-explicit-any -- as JSON.parse() gives it
export function parseJsonText(text: string, name: string, what: string): any {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidData(
      `Cannot use ${quoteName(name)}: ${what} is no JSON; somebody has written over the segment`,
      cause,
    );
  }
}
