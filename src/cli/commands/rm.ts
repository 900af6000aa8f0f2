/**
 * `shm rm`: removes segments by name.
 *
 * @module
 */

import { visible } from "../../../ffi/runtime/errors.ts";
import { SharedMemoryArray } from "../../../mod.ts";
import { quote } from "../../check.ts";
import { type Command, defineCommand, type ExitCode } from "../command.ts";

/** Removes segments by name. */
export const rm: Command = defineCommand({
  name: "rm",
  summary: "removes segments by name",
  usage: ["rm NAME..."],
  help: ["Removes segments by name."],
  options: {},
  words: { least: 1, most: Infinity, what: "the names of segments" },
  run({ words }, { out, complain }) {
    let code: ExitCode = 0;
    for (const name of new Set(words)) {
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
});
