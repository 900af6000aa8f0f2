/**
 * The words of a publication of versions. The names of the words and the order of the steps are those of the
 * model, `tests/model/versions.pml`, and of `docs/publication.md`. The names of the versions themselves, which
 * bear the publication's id, are the business of `src/segment/parts.ts`. Where each word stands, and what may
 * stand in it, is said in `header_words.ts`.
 *
 * @module
 */

import type { Word } from "../words.ts";
import {
  ARRAY_BYTES,
  DTYPE,
  ENDED,
  type Header,
  ID,
  MAGIC,
  MODE,
  NEWEST,
  SLOT_STEP,
  SLOTS,
  TURN,
} from "./header_words.ts";

export { HeaderWords as VersionsWords } from "./header_words.ts";

/** All words of a publication of versions, in their order; `SLOTS` and `SLOT_STEP` are 0. */
export const versionsWords: readonly Word[] = [
  MAGIC,
  DTYPE,
  ARRAY_BYTES,
  SLOTS,
  MODE,
  SLOT_STEP,
  ID,
  NEWEST,
  TURN,
  ENDED,
];

/** Tells what the header of a publication of versions says. */
export function versionsHeader(arrays: Pick<Header, "dtype" | "arrayBytes">): Header {
  return { kind: "versions", ...arrays, slots: 0, slotStep: 0 };
}
