/**
 * What other layers may use of the layer of segments, which are named bytes in shared memory. This layer
 * makes, maps and gives up segments so that nothing can crash or leak; names, the list of segments and
 * leftovers are its task, too. It does not know of arrays. Other layers import this file only.
 *
 * @module
 */

export { isAnonymousName } from "./anonymous.ts";
export { isPrivateCopy, isUnmarked, onClose, segmentOf, sharedBytesOf } from "./buffer_segment.ts";
export {
  type Describe,
  type DescribedKind,
  type DescribedLayout,
  type Description,
  descriptionOf,
  type FoundDescription,
} from "./description.ts";
export {
  checkDescriptor,
  cloneDescriptor,
  defineDescription,
  type DescriptorKind,
  refuseForeignParts,
} from "./descriptor.ts";
export { lacksByteLocks, unlink } from "./file.ts";
export {
  clearSegments,
  listSegments,
  type PruneOptions,
  pruneSegments,
  removeSegments,
  type SegmentInfo,
} from "./list.ts";
export {
  type CreateOptions,
  type CreateOrLoadOptions,
  needStackToMap,
  type OpenOptions,
  type SegmentLook,
} from "./mapping.ts";
export { checkName, checkUsableName, makeName, nameMax } from "./name.ts";
export { type Access, checkLocksSegments, OpenSegment, type SegmentCheck } from "./open_segment.ts";
export {
  groupsOfParts,
  PART_NAME_BYTES,
  partName,
  PARTS_BYTES,
  PARTS_ID,
  removeParts,
  sweepParts,
  unlinkAttached,
  unlinkIfPermitted,
  unlinkWithParts,
} from "./parts.ts";
export {
  ACCESS_KIND,
  checkAccess,
  checkCreateOptions,
  checkFreeName,
  createAnonymousMemory,
  createMemory,
  createOrOpenMemory,
  LABEL,
  type LabelledOptions,
  openMemory,
  SharedMemory,
  undoCreate,
} from "./shared_memory.ts";
export { isBetterAnonymous, segmentSpace } from "./space.ts";
