/**
 * The commands, and how one is run.
 *
 * @module
 */

import { visible } from "../../ffi/runtime/errors.ts";
import { type PruneOptions, SharedMemoryArray } from "../../mod.ts";
import { quote } from "../check.ts";
import { milliseconds, parse, UsageError } from "./arguments.ts";
import { jsonText, table, whatIsKept } from "./output.ts";

const usage = `Lists shared-memory segments, and removes leftovers.

  deno run --allow-ffi jsr:@shm/array/cli COMMAND

ls [--json]
    Lists the segments of this user: their size, age, prefix, and the processes that map them.

prune [--older-than DURATION] [--prefix PREFIX] [--dry-run] [--json]
    Removes leftovers: segments that buildSmaName named, that no process maps, and that are at least
    as old as DURATION (default 1h). PREFIX takes only those of one prefix; --dry-run only tells.
    Their names go to the output; without --json, what was kept, and why, to the error output.
    A process that hides its memory map (of another user, in another container) is taken for one
    that maps nothing: then choose a DURATION longer than its segments live.

rm NAME...
    Removes segments by name.

DURATION is a number of milliseconds, or one with a unit: 90s, 10m, 2h, 1d.
The exit code is 0 if all went well, 1 if something failed, 2 if the command was wrong.`;

/**
 * Runs one command.
 *
 * @param args the command and its arguments, as `Deno.args` has them
 * @param out takes each line of the output
 * @param complain takes each line for the error output
 * @returns the exit code: 0 if all went well, 1 if something failed, 2 if the command was wrong
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
  try {
    const [command, ...rest] = args;
    if (command === undefined) throw new UsageError("no command");
    // After "--" there are only names.
    const asked = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
    if (command === "help" || asked.includes("--help") || asked.includes("-h")) {
      out(usage);
      return 0;
    }
    const make = Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (make === undefined) throw new UsageError(`there is no command ${quote(command)}`);
    return make(rest, out, complain);
  } catch (error) {
    if (error instanceof UsageError) {
      complain(`Cannot run this: ${error.message}; --help tells more`);
      return 2;
    }
    complain(visible(error instanceof Error ? error.message : String(error)));
    return 1;
  }
}

type Command = (
  args: readonly string[],
  out: (line: string) => void,
  complain: (line: string) => void,
) => 0 | 1;

const commands: { readonly [name: string]: Command } = {
  ls(args, out) {
    const { json } = parse(args, { "--json": "flag" });
    const segments = SharedMemoryArray.list();
    if (json !== undefined) out(jsonText(segments));
    else for (const line of table(segments, Date.now())) out(line);
    return 0;
  },

  prune(args, out, complain) {
    const { json, olderThan = "1h", prefix, dryRun } = parse(args, {
      "--older-than": "value",
      "--prefix": "value",
      "--dry-run": "flag",
      "--json": "flag",
    });
    const limit = milliseconds(olderThan);
    const options: PruneOptions = { olderThan: limit, prefix, dryRun: dryRun !== undefined };
    const names = SharedMemoryArray.prune(options);
    if (json !== undefined) {
      out(jsonText(names));
      return 0;
    }
    for (const name of names) out(visible(name));
    const rest = SharedMemoryArray.list().filter(({ name }) => !names.includes(name));
    const kept = whatIsKept(rest, limit, prefix);
    if (kept !== "") complain(`Kept: ${kept}`);
    else if (names.length === 0) complain("There is nothing to remove.");
    return 0;
  },

  rm(args, out, complain) {
    const { names } = parse(args, {}, "names");
    if (names.length === 0) throw new UsageError("rm wants the names of segments");
    let code: 0 | 1 = 0;
    for (const name of new Set(names)) {
      try {
        if (SharedMemoryArray.clearBuffers([name]).length === 1) {
          out(visible(name));
          continue;
        }
        complain(`Cannot remove ${quote(name)}: there is no such segment`);
      } catch (error) {
        // A segment that cannot be removed must not keep the others from being removed.
        const reasons = error instanceof AggregateError ? error.errors : [error];
        for (const reason of reasons) complain(visible((reason as Error).message));
      }
      code = 1;
    }
    return code;
  },
};
