/**
 * Which word a user may have meant.
 *
 * @module
 */

import { editDistance } from "../check.ts";

/**
 * Asks whether another word was meant.
 *
 * @param written what was written
 * @param known the words that there are
 * @returns the question, with a space before it, for the middle of a message; empty where no word is near
 */
export function suggestion(written: string, known: readonly string[]): string {
  const word = nearest(written, known);
  return word === null ? "" : ` (did you mean ${word}?)`;
}

/** Finds the word that is nearest to what was written; `null` if none is near. */
function nearest(written: string, known: readonly string[]): string | null {
  // Nobody types half of a word wrongly; of what is very long, nothing is near.
  const letters = written.replace(/^-+/, "").length;
  const most = Math.min(2, Math.floor(letters / 2));
  if (letters > 40) return null;
  let [best, least]: [string | null, number] = [null, most + 1];
  for (const word of known) {
    const distance = word.startsWith(written) && letters > 1 ? 1 : editDistance(written, word);
    if (distance < least) [best, least] = [word, distance];
  }
  return best;
}
