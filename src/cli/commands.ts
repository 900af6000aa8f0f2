/**
 * The commands of the shell, in the order in which the usage lists them.
 *
 * @module
 */

import type { Command } from "./command.ts";
import { load } from "./commands/load.ts";
import { ls } from "./commands/ls.ts";
import { prune } from "./commands/prune.ts";
import { python } from "./commands/python.ts";
import { rm } from "./commands/rm.ts";
import { save } from "./commands/save.ts";
import { show } from "./commands/show.ts";
import { watch } from "./commands/watch.ts";

/** All commands. A command has a file of its own in `commands/`. */
export const commands: readonly Command[] = [
  ls,
  show,
  save,
  load,
  watch,
  rm,
  prune,
  python,
];

/** Finds a command by its name. */
export function commandOf(name: string): Command | undefined {
  return commands.find((command) => command.name === name);
}
