/**
 * What other layers may use of the layer of segments, which are named bytes in shared memory. This layer
 * makes, maps and gives up segments so that nothing can crash or leak; names, the list of segments and
 * leftovers are its task, too. It does not know of arrays. Other layers import this file only.
 *
 * @module
 */

export { isPrivateCopy, isUnmarked, segmentOf, sharedBytesOf } from "./buffer_segment.ts";
export { onClose } from "./close_notice.ts";
export {
  checkPruneOptions,
  findLeftovers,
  listSegments,
  type PruneOptions,
  type SegmentInfo,
} from "./list.ts";
export { type CreateOptions, type OpenOptions, unlink } from "./mapping.ts";
export {
  buildName,
  checkName,
  checkUsableName,
  madeNameMax,
  nameMax,
  PART_NAME_BYTES,
  partName,
} from "./name.ts";
export { checkLocksSegments, OpenSegment, type SegmentCheck } from "./open_segment.ts";
export { PARTS_AT, PARTS_BYTES, PARTS_MAGIC, unlinkWithParts } from "./parts.ts";
export { createAnonymousMemory, createMemory, SharedMemory, undoCreate } from "./shared_memory.ts";
