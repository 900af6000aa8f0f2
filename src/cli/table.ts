/**
 * Tables: columns that are aligned, and fit the width of a terminal.
 *
 * @module
 */

import type { Screen } from "./screen.ts";

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** Numbers are aligned to the right. */
  readonly align?: "right";
  /** How a text is cut where the terminal is too narrow; without this it never is. */
  readonly cut?: "middle" | "end";
}

/**
 * A row: a text for each column, or a list whose first entries are shown where there is no room for all; "-" stands
 * for an empty one.
 */
export interface Row {
  readonly cells: readonly (string | readonly string[])[];
  /** Whether it matters less. */
  readonly dim: boolean;
}

/** What stands between two columns. */
const GAP = "  ";

/**
 * Makes the lines of a table.
 *
 * @param columns the columns
 * @param rows the rows, in whose texts everything can be seen
 * @param screen where they will be written; without a terminal nothing is cut
 * @param steps how far columns may be cut, one step after another: the index of a column, and a width, with 0 to
 * leave it out
 * @returns the lines, with one of titles
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly Row[],
  screen: Pick<Screen, "columns" | "style">,
  steps: readonly (readonly [column: number, width: number])[],
): string[] {
  const { columns: room, style } = screen;
  // Each text is measured once: a list can be long.
  const texts = rows.map(({ cells }) => cells.map(whole));
  const measures = texts.map((row) => row.map(widthOf));
  const widths = columns.map(({ title }, i) =>
    measures.reduce((most, row) => Math.max(most, row[i]), title.length)
  );
  if (room !== null) narrow(widths, columns, room, steps);
  const last = widths.findLastIndex((width) => width > 0);
  const lineOf = (
    cells: Row["cells"],
    texts: readonly string[],
    measures: readonly number[],
  ): string => {
    let line = "";
    for (let i = 0; i < columns.length; i++) {
      if (widths[i] === 0) continue;
      const fits = measures[i] <= widths[i];
      const text = fits ? texts[i] : fitting(cells[i], widths[i], columns[i].cut);
      const padding = " ".repeat(widths[i] - (fits ? measures[i] : widthOf(text)));
      line += columns[i].align === "right" ? padding + text : i === last ? text : text + padding;
      if (i !== last) line += GAP;
    }
    return room === null ? line : cutEnd(line, room);
  };
  const titles = columns.map(({ title }) => title);
  return [
    style.bold(lineOf(titles, titles, titles.map(widthOf))),
    ...rows.map(({ cells, dim }, i) => {
      const line = lineOf(cells, texts[i], measures[i]);
      return dim ? style.dim(line) : line;
    }),
  ];
}

/** Makes columns narrower, step by step, until a line fits. */
function narrow(
  widths: number[],
  columns: readonly Column[],
  room: number,
  steps: readonly (readonly [column: number, width: number])[],
): void {
  const total = (): number =>
    widths.reduce((sum, width) => width === 0 ? sum : sum + width + GAP.length, -GAP.length);
  for (const [i, least] of steps) {
    const tooMuch = total() - room;
    if (tooMuch <= 0) return;
    const floor = least === 0 ? 0 : Math.max(least, columns[i].title.length);
    if (floor === 0) widths[i] = 0;
    if (widths[i] > floor) widths[i] = Math.max(floor, widths[i] - tooMuch);
  }
}

/** All of a cell. */
function whole(cell: string | readonly string[]): string {
  return typeof cell === "string" ? cell : cell.join(",") || "-";
}

/** As much of a cell as fits. */
function fitting(
  cell: string | readonly string[],
  width: number,
  cut: Column["cut"],
): string {
  const text = whole(cell);
  if (widthOf(text) <= width) return text;
  if (typeof cell === "string") {
    return cut === "middle" ? cutMiddle(text, width) : cutEnd(text, width);
  }
  for (let shown = cell.length - 1; shown > 0; shown--) {
    const short = `${cell.slice(0, shown).join(",")} +${cell.length - shown}`;
    if (widthOf(short) <= width) return short;
  }
  const more = cell.length > 1 ? ` +${cell.length - 1}` : "";
  // Of program:pid the number says more.
  const colon = cell[0].lastIndexOf(":");
  const end = cell[0].slice(colon) + more;
  return colon > 0 && end.length < width
    ? cutEnd(cell[0].slice(0, colon), width - end.length) + end
    : cutEnd(cell[0] + more, width);
}

/** Cuts a text in its middle: how it begins and ends tells more than what stands between. */
function cutMiddle(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  const characters = [...text];
  const end = takeWidth(characters.toReversed(), Math.floor((width - 1) / 2)).toReversed();
  const start = takeWidth(characters, width - 1 - widthOf(end.join("")));
  return `${start.join("")}…${end.join("")}`;
}

function cutEnd(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  return `${takeWidth([...text], width - 1).join("")}…`;
}

/** The first characters that fit a width. */
function takeWidth(characters: readonly string[], width: number): string[] {
  const taken: string[] = [];
  let used = 0;
  for (const character of characters) {
    used += widthOf(character);
    if (used > width) break;
    taken.push(character);
  }
  return taken;
}

/**
 * Tells how many columns of a terminal a text takes.
 *
 * @param text the text, in which everything can be seen
 * @returns the width: 2 for each character of East Asia and each picture, 0 for a mark on the one before
 * @see {@link https://www.unicode.org/reports/tr11/ | East Asian Width}
 */
export function widthOf(text: string): number {
  let at = 0;
  while (at < text.length && text.charCodeAt(at) < 0x300) at++;
  if (at === text.length) return at;
  let width = 0;
  for (const character of text) {
    if (!marks.test(character)) width += wide.test(character) ? 2 : 1;
  }
  return width;
}
const marks = /^[\p{Mn}\p{Me}]$/u;
const wide =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}])$/u;
