/**
 * Where a command writes: a terminal with a width and colours, or a pipe or function that takes plain lines.
 *
 * @module
 */

import { runtime } from "../../ffi/runtime/mod.ts";
import { errors } from "../errors.ts";
import { startingEnvironment } from "../process/proc.ts";
import type { Canvas } from "./picture.ts";

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
  /** Takes many lines of the output: for a program that costs one call of the system, and not one a line. */
  readonly outAll: (lines: readonly string[]) => void;
  /** Takes each line for the error output. */
  readonly complain: (line: string) => void;
  /** The width of the terminal in columns; `null` where the output is none, and everything is written in full. */
  readonly columns: number | null;
  /** What pictures are drawn on. */
  readonly canvas: Canvas;
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

/** What pictures are drawn on where there is no terminal: they must fit into a message or a page. */
const page: Canvas = { columns: 80, rows: 50, colours: 0 };

/** What pictures are drawn on in a terminal. Below them there must be room for the next command. */
function terminalCanvas(columns: number | null, rows: number | null, noColour: boolean): Canvas {
  return {
    columns: columns ?? page.columns,
    rows: rows === null ? page.rows : Math.max(1, rows - 3),
    colours: noColour ? 0 : coloursOfTerminal(),
  };
}

/**
 * How many colours the terminal has, as the environment says it. Almost every terminal has 256; what it makes of
 * more that it does not know is unreadable.
 *
 * @see {@link https://github.com/termstandard/colors | Terminals that know 24-bit colours}
 */
function coloursOfTerminal(): Canvas["colours"] {
  const { TERM = "", COLORTERM = "" } = startingEnvironment();
  if (TERM === "dumb") return 0;
  const isDirect = /^(truecolor|24bit)$/.test(COLORTERM) ||
    /-direct$|^xterm-(kitty|ghostty)$|^(alacritty|wezterm|foot)/.test(TERM);
  return isDirect ? 16777216 : 256;
}

/** Makes a screen of two functions: without colours, width or anybody who could be asked. */
export function plainScreen(
  out: (line: string) => void,
  complain: (line: string) => void,
): Screen {
  return {
    out,
    outAll: (lines) => lines.forEach((line) => out(line)),
    complain,
    columns: null,
    canvas: page,
    style: styleWith(false),
    ask: () => null,
  };
}

/** What a shell says of a program that SIGPIPE ended, which Deno does not let end it: 128 + 13. */
const BROKEN_PIPE = 141;

/** Makes the screen of a program. */
export function programScreen(): Screen {
  const { isTerminal, columns, rows, noColour, confirm, writeLine, exit } = runtime();
  const isOutTerminal = isTerminal("output");
  const write = (line: string): void => {
    try {
      writeLine(line);
    } catch (error) {
      // `shm watch NAME | head` must end, and as quietly as other programs do.
      if (error instanceof errors.BrokenPipe) exit(BROKEN_PIPE);
      throw error;
    }
  };
  return {
    out: write,
    outAll(lines) {
      if (lines.length > 0) write(lines.join("\n"));
    },
    complain: (line) => console.error(line),
    columns: isOutTerminal ? columns() : null,
    canvas: isOutTerminal ? terminalCanvas(columns(), rows(), noColour) : page,
    style: styleWith(isOutTerminal && !noColour),
    ask: (question) => isOutTerminal && isTerminal("input") ? confirm(`${question}?`) : null,
  };
}
