/**
 * How a command is found and run.
 *
 * @module
 */

import { visible } from "../../ffi/runtime/errors.ts";
import { quote } from "../check.ts";
import { fromCaller } from "../errors.ts";
import { parse, UsageError } from "./arguments.ts";
import type { ExitCode } from "./command.ts";
import { commandOf, commands } from "./commands.ts";
import { usageOf, usageOfAll } from "./help.ts";
import { plainScreen, type Screen } from "./screen.ts";
import { suggestion } from "./suggestion.ts";
import { version } from "./version.ts";

/**
 * Runs one command. It is synchronous, writes no colours, cuts nothing to the width of a terminal, and asks
 * nobody.
 *
 * @param args the command and its arguments, as `Deno.args` has them
 * @param out takes each line of the output
 * @param complain takes each line for the error output
 * @returns the exit code: 0 if all was done, 1 if something could not be done (the rest was), 2 if the command
 * was wrong
 * @throws {TypeError} if `args` is no list of strings, or `out` or `complain` no function
 *
 * @example As a function
 * ```ts
 * import { run } from "@shm/array/cli";
 * import { assertEquals } from "@std/assert";
 *
 * const lines: string[] = [];
 * assertEquals(run(["ls", "--json"], (line) => lines.push(line)), 0);
 * assertEquals(Array.isArray(JSON.parse(lines.join("\n"))), true);
 * ```
 */
export function run(
  args: readonly string[],
  out: (line: string) => void = console.log,
  complain: (line: string) => void = console.error,
): 0 | 1 | 2 {
  if (!Array.isArray(args) || args.some((arg) => typeof arg !== "string")) {
    throw fromCaller(
      new TypeError(`Cannot run this: the arguments must be a list of strings, as ["ls", "tile"]`),
      run,
    );
  }
  if (typeof out !== "function" || typeof complain !== "function") {
    throw fromCaller(
      new TypeError("Cannot run this: out and complain must be functions that take a line"),
      run,
    );
  }
  return runOn(plainScreen(out, complain), args);
}

/**
 * Runs one command on a screen.
 *
 * @param screen where it writes
 * @param args the command and its arguments
 * @returns the exit code
 */
export function runOn(screen: Screen, args: readonly string[]): ExitCode {
  let help = "shm help";
  try {
    const [name, ...rest] = args;
    // After "--" there are only words.
    const asked = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
    const wantsHelp = asked.includes("--help") || asked.includes("-h");
    if (name === "help") {
      const isOfHelp = wantsHelp || (rest.length === 1 && rest[0] === "help");
      return explain(isOfHelp ? [] : rest, screen);
    }
    if (name === undefined || name === "--help" || name === "-h") return explain([], screen);
    if (name === "--version") {
      if (rest.length > 0) throw new UsageError(`there is nothing to do with ${quote(rest[0])}`);
      screen.out(`shm ${version}`);
      return 0;
    }
    const command = commandOf(name) ?? refuse(name);
    if (wantsHelp) return explain([name], screen);
    help = `shm help ${name}`;
    return command.run(parse(rest, name, command.options, command.words), screen);
  } catch (error) {
    if (error instanceof UsageError) {
      screen.complain(`Cannot run this: ${error.message}; ${help} tells more`);
      return 2;
    }
    screen.complain(visible(error instanceof Error ? error.message : String(error)));
    return 1;
  }
}

/** Prints the usage: of one command, or of all. */
function explain(words: readonly string[], { outAll, style }: Screen): ExitCode {
  const [name, ...rest] = words;
  if (rest.length > 0) throw new UsageError(`there is nothing to do with ${quote(rest[0])}`);
  const lines = name === undefined
    ? usageOfAll(style)
    : usageOf(commandOf(name) ?? refuse(name), style);
  outAll(lines);
  return 0;
}

function refuse(name: string): never {
  if (name.startsWith("-")) {
    const known = ["--version", "--help"];
    throw new UsageError(`there is no option ${quote(name)}${suggestion(name, known)}`);
  }
  const known = [...commands.map(({ name }) => name), "help"];
  throw new UsageError(`there is no command ${quote(name)}${suggestion(name, known)}`);
}
