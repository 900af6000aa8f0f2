/**
 * Where a command writes: a terminal with a width and colours, or a pipe or function that takes plain lines.
 *
 * @module
 */

import { runtime } from "../../ffi/runtime/mod.ts";

/** How a text looks on a terminal. Each function gives the text as it is where there are no colours. */
export interface Style {
  /** Whether there are colours. */
  readonly colours: boolean;
  /** A heading. */
  bold(text: string): string;
  /** What matters less. */
  dim(text: string): string;
}

/** Where a command writes. */
export interface Screen {
  /** Takes each line of the output. */
  readonly out: (line: string) => void;
  /** Takes each line for the error output. */
  readonly complain: (line: string) => void;
  /** The width of the terminal in columns; `null` where the output is none, and everything is written in full. */
  readonly columns: number | null;
  /** How lines of the output look. */
  readonly style: Style;
  /**
   * Asks who sits there.
   *
   * @param question a question to be answered by yes or no, without the question mark; all of it can be seen
   * @returns the answer; `null` where nobody can be asked
   */
  readonly ask: (question: string) => boolean | null;
}

function styleWith(colours: boolean): Style {
  const sgr = (on: number, off: number) => (text: string): string =>
    colours && text !== "" ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return { colours, bold: sgr(1, 22), dim: sgr(2, 22) };
}

/** Makes a screen of two functions: without colours, width or anybody who could be asked. */
export function plainScreen(
  out: (line: string) => void,
  complain: (line: string) => void,
): Screen {
  return { out, complain, columns: null, style: styleWith(false), ask: () => null };
}

/** Makes the screen of a program. */
export function programScreen(): Screen {
  const { isTerminal, columns, noColour, confirm } = runtime();
  const isOutTerminal = isTerminal("output");
  return {
    out: console.log,
    complain: console.error,
    columns: isOutTerminal ? columns() : null,
    style: styleWith(isOutTerminal && !noColour),
    ask: (question) => isOutTerminal && isTerminal("input") ? confirm(`${question}?`) : null,
  };
}
