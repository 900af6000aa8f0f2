/**
 * `shm python`: prints the file by which Python takes part.
 *
 * @module
 */

import { type Command, defineCommand } from "../command.ts";
import { shmAttach } from "../python_text.ts";

/** Prints `shm_attach.py`. */
export const python: Command = defineCommand({
  name: "python",
  summary: "prints shm_attach.py, by which Python and NumPy take part",
  usage: ["python > shm_attach.py"],
  help: [
    "Prints the file shm_attach.py, for CPython 3.8 and newer. It needs no package",
    "but NumPy. In a program beside it:",
    "",
    "  from shm_attach import Lock, Ring, Versions, attach, create, unlink",
    '  image = attach("frame-0")  # a NumPy array over the shared bytes',
    "",
    "`python -m pydoc shm_attach` tells the rest.",
  ],
  options: {},
  words: { least: 0, most: 0 },
  run(_given, { outAll }) {
    outAll(shmAttach.trimEnd().split("\n"));
    return 0;
  },
});
