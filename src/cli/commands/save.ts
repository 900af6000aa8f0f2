/**
 * `shm save`: the elements of a segment as a file.
 *
 * @module
 */

import { visible } from "../../../ffi/runtime/errors.ts";
import { quoteName } from "../../check.ts";
import { writeNpy } from "../../npy.ts";
import { type Command, defineCommand, jsonOption } from "../command.ts";
import {
  readStream,
  segmentExists,
  type Subject,
  takeArray,
  type Taken,
  takeNewest,
  withSegment,
} from "../look.ts";
import { jsonText, shapeText } from "../output.ts";
import {
  readTarget,
  readTold,
  type Target,
  targetHelp,
  type Told,
  toldOptions,
} from "../selection.ts";

/** Saves an array as a file. */
export const save: Command = defineCommand({
  name: "save",
  summary: "saves an array as a .npy file of NumPy",
  usage: ["save NAME FILE.npy", "save 'NAME[0:5, ::2]' FILE.npy"],
  help: [
    "Writes the elements of an array, the newest frame of a ring, or the current",
    "version to a file, which is replaced if it is there. Needs --allow-write. Of an",
    "array that is being written to, the file may have old and new elements.",
    "",
    ...targetHelp,
  ],
  options: { ...toldOptions, json: jsonOption },
  words: { least: 2, most: 2, what: "the name of a segment, and a file" },
  run({ options, words }, { out }) {
    const told = readTold(options.dtype, options.shape);
    const target = readTarget(words[0], segmentExists);
    const file = words[1];
    const { dtype, shape, byteLength } = withSegment("save", target.name, (subject) => {
      const { view } = takeElements(subject, target, told);
      writeNpy(file, view);
      return { dtype: view.dtype, shape: view.shape, byteLength: view.nbytes };
    });
    if (options.json) out(jsonText({ name: target.name, file, shape, dtype, byteLength }));
    else out(`${visible(file)}: ${dtype} ${shapeText(shape)}`);
    return 0;
  },
});

function takeElements(subject: Subject, { selection }: Target, told: Told): Taken {
  const { kind, name } = subject;
  const refuse = (why: string): never => {
    throw new TypeError(`Cannot save ${quoteName(name)}: ${why}`);
  };
  if (kind === "ring" || kind === "versions") {
    const stream = readStream("save", subject, told);
    return takeNewest("save", subject, stream, selection) ??
      refuse(kind === "ring" ? "it has no frame yet" : "it has no version yet");
  }
  if (kind !== "array" && told.dtype === undefined) {
    return refuse(`it is a ${kind}, which has no elements`);
  }
  const taken = takeArray("save", subject, told, selection);
  const { nbytes } = taken.view;
  // Whoever may write to a segment may describe it so, and would fill the disk of whoever saves it.
  if (nbytes > subject.memory.size) {
    throw new RangeError(
      `Cannot save ${
        quoteName(name)
      }: its elements lie over one another, and would take ${nbytes} ` +
        `bytes of the ${subject.memory.size} that it has; take a part, as in 'NAME[0]'`,
    );
  }
  return taken;
}
