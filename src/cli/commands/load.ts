/**
 * `shm load`: a file as a shared array.
 *
 * @module
 */

import { renameNew } from "../../../ffi/files.ts";
import { platform } from "../../../ffi/platform.ts";
import { visible } from "../../../ffi/runtime/errors.ts";
import { SharedMemoryArray } from "../../../mod.ts";
import { quoteName } from "../../check.ts";
import { alreadyExists, errors, notFound, notSupported } from "../../errors.ts";
import { readNpy } from "../../npy.ts";
import { checkUsableName, isAnonymousName } from "../../segment/mod.ts";
import { type Command, defineCommand, jsonOption } from "../command.ts";
import { segmentExists } from "../look.ts";
import { nameOf } from "../names.ts";
import { jsonText, shapeText } from "../output.ts";

/** Loads a file as a shared array. */
export const load: Command = defineCommand({
  name: "load",
  summary: "makes a shared array of a .npy file of NumPy",
  usage: ["load FILE.npy NAME"],
  help: [
    "Makes a segment of the elements of a file. It gets its name when it is whole,",
    "and stays after this command has ended: shm rm removes it. A name that is taken",
    "is refused. Needs --allow-read.",
  ],
  options: { json: jsonOption },
  words: { least: 2, most: 2, what: "a file, and the name of the segment" },
  run({ options, words }, { out }) {
    const file = words[0];
    const name = nameOf(words[1]);
    checkUsableName(name);
    if (isAnonymousName(name)) {
      throw new RangeError(
        `Cannot load ${quoteName(name)}: names of this form lead to anonymous segments`,
      );
    }
    if (segmentExists(name)) throw takenError(name);
    const { directory } = platform();
    if (directory === null) {
      throw notSupported("Cannot load a file: this system cannot give a segment another name");
    }
    // A command that is killed meanwhile leaves a segment that prune() knows as a leftover.
    const { sma, view } = readNpy(file, []);
    const { shape, dtype, nbytes: byteLength } = view;
    try {
      if (!renameNew(`${directory}/${sma.name}`, `${directory}/${name}`, name)) {
        throw notFound(`Cannot load ${quoteName(name)}: somebody removed the segment meanwhile`);
      }
    } catch (error) {
      SharedMemoryArray.clearBuffers([sma.name]);
      throw error instanceof errors.AlreadyExists ? takenError(name) : error;
    } finally {
      sma.close();
    }
    if (options.json) out(jsonText({ name, file, shape, dtype, byteLength }));
    else out(`${visible(name)}: ${dtype} ${shapeText(shape)}`);
    return 0;
  },
});

function takenError(name: string): Error {
  return alreadyExists(
    `Cannot load ${quoteName(name)}: there is a segment of this name; shm rm removes it`,
  );
}
