/**
 * What a command of the shell is made of.
 *
 * @module
 */

import type { Given, OptionSpecs, WordsSpec } from "./arguments.ts";
import type { Screen } from "./screen.ts";

/** 0 if all was done, 1 if something could not be done, 2 if the words were wrong. */
export type ExitCode = 0 | 1 | 2;

/** What a command says of itself, and does. */
interface CommandOf<S extends OptionSpecs> {
  readonly name: string;
  /** What it does, in a few words that follow the name in a list. */
  readonly summary: string;
  /** The ways to write it, without the name of the program: `"rm [-f] NAME..."`. */
  readonly usage: readonly string[];
  /** The lines of its help, before its options. */
  readonly help: readonly string[];
  readonly options: S;
  /** Which words that are no options it takes. */
  readonly words: WordsSpec;
  /**
   * Does it. It throws a `UsageError` if the words are wrong; what else it throws is shown, and gives 1.
   *
   * @param given what the command line says
   * @param screen where it writes
   */
  run(given: Given<S>, screen: Screen): ExitCode;
}

/** A command, whatever its options. */
export type Command = CommandOf<OptionSpecs>;

/**
 * Makes a command. Its options and their types come from one object.
 *
 * @param command what it says of itself, and does
 * @returns the same
 */
export function defineCommand<const S extends OptionSpecs>(command: CommandOf<S>): Command {
  return command as unknown as Command; // parse() gives it what its options say
}

/** The option of each command that prints data. */
export const jsonOption = { help: "prints JSON for programs" } as const;
