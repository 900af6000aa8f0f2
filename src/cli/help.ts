/**
 * How commands are explained.
 *
 * @module
 */

import type { OptionSpecs } from "./arguments.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import type { Style } from "./screen.ts";

/** Gives the lines that explain the program. */
export function usageOfAll(style: Style): string[] {
  return [
    "Shows, reads and removes shared memory: arrays, rings, locks in /dev/shm.",
    "",
    `${style.bold("Usage:")} shm COMMAND [ARGUMENTS]`,
    "",
    ...list(commands.map(({ name, summary }) => [name, summary]), style),
    "",
    "`shm help COMMAND` tells more of one, `shm --version` the version.",
    "The exit code is 0 if all was done, 1 if something could not be done (the rest",
    "was), 2 if the command was wrong.",
  ];
}

/** Gives the lines that explain one command. */
export function usageOf({ usage, help, options }: Command, style: Style): string[] {
  return [
    ...usage.map((way, i) => `${i === 0 ? style.bold("Usage:") : "      "} shm ${way}`),
    "",
    ...help,
    "",
    ...list(optionLines(options), style),
  ];
}

/** Names each option as it is written, and what it does. */
function optionLines(options: OptionSpecs): [string, string][] {
  return [
    ...Object.entries(options).map(([name, { value, short, help }]): [string, string] => [
      `${short === undefined ? "" : `${short}, `}--${name}${
        value === undefined ? "" : ` ${value}`
      }`,
      help,
    ]),
    ["-h, --help", "prints this"],
  ];
}

/** Makes two columns. */
function list(rows: readonly (readonly [string, string])[], style: Style): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) =>
    `  ${style.bold(name)}${" ".repeat(width - name.length)}  ${text}`
  );
}
