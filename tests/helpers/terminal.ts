/**
 * Runs the command `shm` in a pseudo-terminal, as a user sees it. Python's `pty` makes the terminal.
 *
 * @module
 */

import { runPython } from "./python.ts";
import { cli } from "./shell.ts";

/** How a terminal is, and what is typed there. */
export interface TerminalOptions {
  /** By default 80. */
  columns?: number;
  /** By default 24. */
  rows?: number;
  /** What the program finds in its environment, besides the path; `TERM` is `xterm-256color`. */
  env?: { [name: string]: string };
  /** Texts that are waited for, and the keys that are typed then; `"\x03"` is Ctrl-C. */
  typed?: [text: string, keys: string][];
  /** By default `--allow-ffi`. */
  permissions?: string[];
}

/** What stood in the terminal, and how the program ended. */
export interface Seen {
  /** Everything that the program wrote, with escape sequences. */
  raw: string;
  /** Its lines as they could be read, without escape sequences. */
  lines: string[];
  /** The exit code, or minus the number of the signal that ended it. */
  code: number;
}

/** Runs a command in a terminal. */
export async function inTerminal(args: string[], options: TerminalOptions = {}): Promise<Seen> {
  const { columns = 80, rows = 24, env = {}, typed = [], permissions = ["--allow-ffi"] } = options;
  // What says how many colours there are is the test's business.
  const { NO_COLOR: _, COLORTERM: __, ...own } = Deno.env.toObject();
  const wanted = {
    args: [Deno.execPath(), "run", "--quiet", ...permissions, cli, ...args],
    columns,
    rows,
    env: { ...own, TERM: "xterm-256color", ...env },
    typed,
  };
  const { stdout, stderr } = await runPython(["terminal.py", JSON.stringify(wanted)]);
  const raw = stdout.replaceAll("\r\n", "\n");
  const code = Number(stderr.trimEnd().split("\n").at(-1));
  return { raw, lines: readable(raw).trimEnd().split("\n"), code };
}

/** A text without the escape sequences that change how it looks. */
export function readable(text: string): string {
  // deno-lint-ignore no-control-regex -- this is what such sequences begin with
  return text.replaceAll(/\x1b\[[\d;]*m/g, "");
}
