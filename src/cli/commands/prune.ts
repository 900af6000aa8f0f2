/**
 * `shm prune`: removes leftovers.
 *
 * @module
 */

import { visible } from "../../../ffi/runtime/errors.ts";
import { SharedMemoryArray } from "../../../mod.ts";
import { isAnonymousName } from "../../segment/mod.ts";
import { milliseconds } from "../arguments.ts";
import { type Command, defineCommand, jsonOption } from "../command.ts";
import { jsonText, whatIsKept } from "../output.ts";

/** Removes leftovers. */
export const prune: Command = defineCommand({
  name: "prune",
  summary: "removes leftovers of programs that were killed",
  usage: ["prune [--older-than DURATION] [--prefix PREFIX] [--dry-run] [--json]"],
  help: [
    "Removes leftovers: segments that buildSmaName named, that no process maps, and",
    "that are old enough. Their names go to the output; without --json, what was",
    "kept, and why, to the error output.",
    "",
    "A process that hides its memory map (of another user, in another container) is",
    "taken for one that maps nothing: then choose a DURATION longer than segments",
    "live. It is a number of milliseconds, or one with a unit: 90s, 10m, 2h, 1d.",
  ],
  options: {
    "older-than": { value: "DURATION", help: "takes only those of this age (default 1h)" },
    "prefix": { value: "PREFIX", help: "takes only those of this prefix of buildSmaName" },
    "dry-run": { help: "only tells what would be removed" },
    "json": jsonOption,
  },
  words: { least: 0, most: 0 },
  run({ options }, { out, complain }) {
    const { prefix, "dry-run": dryRun } = options;
    const limit = milliseconds(options["older-than"] ?? "1h");
    const names = SharedMemoryArray.prune({ olderThan: limit, prefix, dryRun });
    if (options.json) {
      out(jsonText(names));
      return 0;
    }
    for (const name of names) out(`${dryRun ? "would remove " : ""}${visible(name)}`);
    const gone = new Set(names);
    // What is anonymous vanishes by itself: nothing is left over.
    const rest = SharedMemoryArray.list()
      .filter(({ name }) => !gone.has(name) && !isAnonymousName(name));
    const kept = whatIsKept(rest, limit, prefix);
    if (kept !== "") complain(`Kept: ${kept}`);
    else if (names.length === 0) complain("There is nothing to remove.");
    return 0;
  },
});
