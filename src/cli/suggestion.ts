/**
 * Which word a user may have meant.
 *
 * @module
 */

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
    const distance = word.startsWith(written) && letters > 1 ? 1 : distanceOf(written, word);
    if (distance < least) [best, least] = [word, distance];
  }
  return best;
}

/**
 * Counts the letters that are missing, too many, others or exchanged with their neighbours.
 *
 * @see {@link https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance | Optimal string alignment distance}
 */
function distanceOf(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(
        rows[i - 1][j] + 1,
        row[j - 1] + 1,
        rows[i - 1][j - 1] + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
      }
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}
