/**
 * What other layers may use of the layer of views, which are strided n-d arrays over any typed array. This
 * layer is pure: nothing in it needs a permission, and it does not know of segments. Other layers import
 * this file only.
 *
 * @module
 */

export { frozenList } from "./frozen_lists.ts";
export { explainGone, goneMessage } from "./gone.ts";
export { checkShape, contiguousLayout, extent, Layout, sliceLayout } from "./layout.ts";
export {
  type AssignSource,
  type BufferOf,
  type ElementSource,
  type IndexTuples,
  type Indices,
  NDArray,
  type NDArrayConstructor,
  type NDArrayOptions,
  type NestedArray,
  type RankOf,
  type RowRank,
  type Shape,
} from "./ndarray.ts";
export { freezeSelection, type Slice, slice, type SliceItem } from "./slice.ts";
export { identifyMemoryBy, makeView, readSource, storeSource } from "./view.ts";
