/**
 * How a command line is read.
 *
 * @module
 */

import { quote } from "../check.ts";
import { suggestion } from "./suggestion.ts";

/** The error for a command line that cannot be understood. */
export class UsageError extends Error {}

/** An option: a flag, or one with a value. */
export interface OptionSpec {
  /** What the value is, for the usage: `"DURATION"`. An option without this is a flag. */
  readonly value?: string;
  /** One more way to write it: `"-f"`. */
  readonly short?: `-${string}`;
  /** What it does, in one sentence without a subject. */
  readonly help: string;
}

/** The options of a command, by their names without the two dashes. */
export interface OptionSpecs {
  readonly [name: string]: OptionSpec;
}

/** What was given for each option: of a flag whether, of another one its value. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends { readonly value: string } ? string | undefined : boolean;
};

/** How many words that are no options a command takes, and what they are. */
export interface WordsSpec {
  readonly least: number;
  readonly most: number;
  /** What they are, for the message where there are too few: `"the names of segments"`. */
  readonly what?: string;
}

/** What a command line says. */
export interface Given<S extends OptionSpecs> {
  readonly options: OptionValues<S>;
  readonly words: readonly string[];
}

/**
 * Reads the arguments of a command: `--option value`, `--option=value`, flags, and words. After `--` there are
 * only words.
 *
 * @param args the arguments
 * @param command the name of the command, for the message
 * @param specs the options of the command
 * @param wordsSpec which words it takes
 * @returns what was given; where an option was given twice, the last one
 * @throws {UsageError} if something else was given
 */
export function parse<S extends OptionSpecs>(
  args: readonly string[],
  command: string,
  specs: S,
  wordsSpec: WordsSpec,
): Given<S> {
  const options: { [name: string]: string | boolean | undefined } = Object.create(null);
  for (const name of Object.keys(specs)) {
    options[name] = specs[name].value === undefined ? false : undefined;
  }
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--") {
      words.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      words.push(arg);
      continue;
    }
    const equals = arg.startsWith("--") ? arg.indexOf("=") : -1;
    const written = equals === -1 ? arg : arg.slice(0, equals);
    const name = optionOf(written, specs);
    if (specs[name].value === undefined) {
      if (equals !== -1) throw new UsageError(`${written} takes no value`);
      options[name] = true;
      continue;
    }
    const value = equals === -1 ? args[++i] : arg.slice(equals + 1);
    if (value === undefined) throw new UsageError(`${written} wants a value`);
    options[name] = value;
  }
  const { least, most, what } = wordsSpec;
  if (words.length > most) {
    throw new UsageError(`there is nothing to do with ${quote(words[most])}`);
  }
  if (words.length < least) throw new UsageError(`${command} wants ${what}`);
  return { options: options as OptionValues<S>, words };
}

/** Finds the option that is written so. */
function optionOf(written: string, specs: OptionSpecs): string {
  const known = Object.keys(specs);
  const name = known.find((name) => written === `--${name}` || written === specs[name].short);
  if (name !== undefined) return name;
  throw new UsageError(
    `there is no option ${quote(written)}${suggestion(written, known.map((name) => `--${name}`))}`,
  );
}

/**
 * Finds the one of some words that a user wrote.
 *
 * @param written what was written
 * @param choices what there is
 * @param what what they are, for the message: `"--sort"`
 * @returns the choice
 * @throws {UsageError} if it is none of them
 */
export function choose<const C extends string>(
  written: string,
  choices: readonly C[],
  what: string,
): C {
  const choice = choices.find((choice) => choice === written);
  if (choice !== undefined) return choice;
  const list = `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
  throw new UsageError(`${what} takes ${list}, not ${quote(written)}`);
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
