/**
 * The door of the layer of segments: named bytes in shared memory. A segment is made, mapped and given up
 * here so that nothing can crash or leak; names, listing and leftovers are here, too. Nothing here knows of
 * arrays. Other layers import this file only, and it names one by one what they may use.
 *
 * @module
 */

export { segmentOf } from "./buffer_segment.ts";
export {
  checkPruneOptions,
  findLeftovers,
  listSegments,
  type PruneOptions,
  readProcFile,
  type SegmentInfo,
} from "./list.ts";
export { type CreateOptions, unlink } from "./mapping.ts";
export { buildName, checkName, checkUsableName, madeNameMax, nameMax } from "./name.ts";
export { SharedMemory, undoCreate } from "./shared_memory.ts";
