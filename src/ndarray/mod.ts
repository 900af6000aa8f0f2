/**
 * The door of the layer of views: strided n-d arrays over any typed array. It is pure: nothing here needs
 * a permission, and nothing knows of segments. Other layers import this file only, and it names one by one
 * what they may use.
 *
 * @module
 */

export { checkShape, contiguousLayout, type Layout, sliceLayout } from "./layout.ts";
export {
  type AssignSource,
  type IndexTuples,
  type Indices,
  NDArray,
  type NDArrayConstructor,
  type NDArrayOptions,
  type NestedArray,
  type RankOf,
  type SameKind,
  type Shape,
} from "./ndarray.ts";
export { freezeSelection, type Slice, slice, type SliceItem } from "./slice.ts";
export { identifyMemoryBy, makeView } from "./view.ts";
