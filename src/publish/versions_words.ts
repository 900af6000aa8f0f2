/**
 * The words of a publication of versions. The names of the words and the order of the steps are those of the
 * model, `tests/model/versions.pml`, and of `docs/publication.md`. The names of the versions themselves, which
 * bear the publication's id, are the business of `src/segment/parts.ts`.
 *
 * @module
 */

import type { Header } from "./header_words.ts";

export { HeaderWords as VersionsWords } from "./header_words.ts";

/** Tells what the header of a publication of versions says. */
export function versionsHeader(arrays: Pick<Header, "dtype" | "arrayBytes">): Header {
  return { kind: "versions", ...arrays, slots: 0, slotStep: 0 };
}
