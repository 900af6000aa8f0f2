/**
 * How a command line is read.
 *
 * @module
 */

import { quote } from "../check.ts";

/** The error for a command line that cannot be understood. */
export class UsageError extends Error {}

/** The options and names of a command line. */
export interface Parsed {
  json?: string;
  olderThan?: string;
  prefix?: string;
  dryRun?: string;
  names: string[];
}

const optionKeys = {
  "--json": "json",
  "--older-than": "olderThan",
  "--prefix": "prefix",
  "--dry-run": "dryRun",
} as const;

/**
 * Reads the arguments of a command: `--option value`, `--option=value`, flags, and names.
 *
 * @param args the arguments
 * @param known the options of the command, and whether each takes a value
 * @param rest whether the command takes names
 * @returns what was given
 * @throws {UsageError} if something else was given
 */
export function parse(
  args: readonly string[],
  known: { readonly [option in keyof typeof optionKeys]?: "flag" | "value" },
  rest?: "names",
): Parsed {
  const parsed: Parsed = { names: [] };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (rest === "names" && arg === "--") {
      parsed.names.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-")) {
      if (rest === undefined) throw new UsageError(`there is nothing to do with ${quote(arg)}`);
      parsed.names.push(arg);
      continue;
    }
    const equals = arg.indexOf("=");
    const option = (equals === -1 ? arg : arg.slice(0, equals)) as keyof typeof optionKeys;
    const kind = Object.hasOwn(known, option) ? known[option] : undefined;
    if (kind === undefined) throw new UsageError(`there is no option ${quote(option)}`);
    if (kind === "flag" && equals !== -1) throw new UsageError(`${option} takes no value`);
    const value = kind === "flag" ? "" : equals === -1 ? args[++i] : arg.slice(equals + 1);
    if (value === undefined) throw new UsageError(`${option} wants a value`);
    parsed[optionKeys[option]] = value;
  }
  return parsed;
}

/** The length of each unit of a duration, in milliseconds. */
export const units: { readonly [unit: string]: number } = {
  "": 1,
  ms: 1,
  s: 1000,
  m: 60 * 1000,
  h: 60 * 60 * 1000,
  d: 24 * 60 * 60 * 1000,
};

/**
 * Reads a duration: "90s", "10m", "2h", "1.5d", or milliseconds.
 *
 * @param text the duration
 * @returns milliseconds
 * @throws {UsageError} if it is none
 */
export function milliseconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|)$/.exec(text);
  if (match === null) {
    throw new UsageError(`${quote(text)} is no duration; write 90s, 10m, 2h, 1d or milliseconds`);
  }
  return Number(match[1]) * units[match[2]];
}
