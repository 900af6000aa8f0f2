/**
 * `shm ls`: what segments there are.
 *
 * @module
 */

import { SharedMemoryArray } from "../../../mod.ts";
import { type Command, defineCommand, jsonOption } from "../command.ts";
import { jsonText, table } from "../output.ts";

/** Lists segments. */
export const ls: Command = defineCommand({
  name: "ls",
  summary: "lists segments",
  usage: ["ls [--json]"],
  help: ["Lists the segments of this user: size, age, prefix, and who maps them."],
  options: { json: jsonOption },
  words: { least: 0, most: 0 },
  run({ options }, { out }) {
    const segments = SharedMemoryArray.list();
    if (options.json) out(jsonText(segments));
    else for (const line of table(segments, Date.now())) out(line);
    return 0;
  },
});
