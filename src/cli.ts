/**
 * Commands for the shell: they list segments, and remove leftovers.
 *
 * It needs Linux, and the permission `--allow-ffi`.
 *
 * @example List the segments, remove leftovers, remove one by name
 * ```sh
 * deno run --allow-ffi jsr:@shm/array/cli ls
 * deno run --allow-ffi jsr:@shm/array/cli prune --older-than 1d --prefix tile --dry-run
 * deno run --allow-ffi jsr:@shm/array/cli rm 1-tile-202611-2302-5555-198e6d03-c8bd-4346-8153-55e95be48fdb
 * ```
 *
 * @module
 */

import { runtime } from "../ffi/runtime/mod.ts";
import { type PruneOptions, type SegmentInfo, SharedMemoryArray } from "../mod.ts";
import { quote } from "./check.ts";

const usage = `Lists shared-memory segments, and removes leftovers.

  deno run --allow-ffi jsr:@shm/array/cli COMMAND

ls [--json]
    Lists the segments of this user: their size, age, prefix, and the processes that map them.

prune [--older-than DURATION] [--prefix PREFIX] [--dry-run] [--json]
    Removes leftovers: segments that buildSmaName named, that no process maps, and that are at least
    as old as DURATION (default 1h). PREFIX takes only those of one prefix; --dry-run only tells.
    Their names go to the output; without --json, what was kept, and why, to the error output.
    A process that hides its memory map (of another user, in another container) is taken for one
    that maps nothing: then choose a DURATION longer than its segments live.

rm NAME...
    Removes segments by name.

DURATION is a number of milliseconds, or one with a unit: 90s, 10m, 2h, 1d.
The exit code is 0 if all went well, 1 if something failed, 2 if the command was wrong.`;

/** The error for a command line that cannot be understood. */
class UsageError extends Error {}

/**
 * Runs one command.
 *
 * @param args the command and its arguments, as `Deno.args` has them
 * @param out takes each line of the output
 * @param complain takes each line for the error output
 * @returns the exit code: 0 if all went well, 1 if something failed, 2 if the command was wrong
 *
 * @example As a function
 * ```ts
 * import { run } from "@shm/array/cli";
 * import { assertEquals } from "@std/assert";
 *
 * const lines: string[] = [];
 * assertEquals(run(["ls", "--json"], (line) => lines.push(line)), 0);
 * assertEquals(Array.isArray(JSON.parse(lines.join("\n"))), true);
 * ```
 */
export function run(
  args: readonly string[],
  out: (line: string) => void = console.log,
  complain: (line: string) => void = console.error,
): 0 | 1 | 2 {
  try {
    const [command, ...rest] = args;
    if (command === undefined) throw new UsageError("no command");
    // After "--" there are only names.
    const asked = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
    if (command === "help" || asked.includes("--help") || asked.includes("-h")) {
      out(usage);
      return 0;
    }
    const make = Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (make === undefined) throw new UsageError(`there is no command ${quote(command)}`);
    return make(rest, out, complain);
  } catch (error) {
    if (error instanceof UsageError) {
      complain(`Cannot run this: ${error.message}; --help tells more`);
      return 2;
    }
    complain(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

type Command = (
  args: readonly string[],
  out: (line: string) => void,
  complain: (line: string) => void,
) => 0 | 1;

const commands: { readonly [name: string]: Command } = {
  ls(args, out) {
    const { json } = parse(args, { "--json": "flag" });
    const segments = SharedMemoryArray.list();
    if (json !== undefined) out(JSON.stringify(segments, null, 2));
    else for (const line of table(segments, Date.now())) out(line);
    return 0;
  },

  prune(args, out, complain) {
    const { json, olderThan = "1h", prefix, dryRun } = parse(args, {
      "--older-than": "value",
      "--prefix": "value",
      "--dry-run": "flag",
      "--json": "flag",
    });
    const limit = milliseconds(olderThan);
    const options: PruneOptions = { olderThan: limit, prefix, dryRun: dryRun !== undefined };
    const names = SharedMemoryArray.prune(options);
    if (json !== undefined) {
      out(JSON.stringify(names, null, 2));
      return 0;
    }
    for (const name of names) out(name);
    const rest = SharedMemoryArray.list().filter(({ name }) => !names.includes(name));
    const kept = whatIsKept(rest, limit, prefix);
    if (kept !== "") complain(`Kept: ${kept}`);
    else if (names.length === 0) complain("There is nothing to remove.");
    return 0;
  },

  rm(args, out, complain) {
    const { names } = parse(args, {}, "names");
    if (names.length === 0) throw new UsageError("rm wants the names of segments");
    let code: 0 | 1 = 0;
    for (const name of new Set(names)) {
      try {
        if (SharedMemoryArray.clearBuffers([name]).length === 1) {
          out(name);
          continue;
        }
        complain(`Cannot remove ${quote(name)}: there is no such segment`);
      } catch (error) {
        // A segment that cannot be removed must not keep the others from being removed.
        const reasons = error instanceof AggregateError ? error.errors : [error];
        for (const reason of reasons) complain((reason as Error).message);
      }
      code = 1;
    }
    return code;
  },
};

// --- Arguments -------------------------------------------------------------------------------

/** The options and names of a command line. */
interface Parsed {
  json?: string;
  olderThan?: string;
  prefix?: string;
  dryRun?: string;
  names: string[];
}

const keys = {
  "--json": "json",
  "--older-than": "olderThan",
  "--prefix": "prefix",
  "--dry-run": "dryRun",
} as const;

/** Reads the arguments of a command: `--option value`, `--option=value`, flags, and names. */
function parse(
  args: readonly string[],
  known: { readonly [option in keyof typeof keys]?: "flag" | "value" },
  rest?: "names",
): Parsed {
  const parsed: Parsed = { names: [] };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (rest === "names" && arg === "--") {
      parsed.names.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-")) {
      if (rest === undefined) throw new UsageError(`there is nothing to do with ${quote(arg)}`);
      parsed.names.push(arg);
      continue;
    }
    const equals = arg.indexOf("=");
    const option = (equals === -1 ? arg : arg.slice(0, equals)) as keyof typeof keys;
    const kind = Object.hasOwn(known, option) ? known[option] : undefined;
    if (kind === undefined) throw new UsageError(`there is no option ${quote(option)}`);
    if (kind === "flag" && equals !== -1) throw new UsageError(`${option} takes no value`);
    const value = kind === "flag" ? "" : equals === -1 ? args[++i] : arg.slice(equals + 1);
    if (value === undefined) throw new UsageError(`${option} wants a value`);
    parsed[keys[option]] = value;
  }
  return parsed;
}

const units: { readonly [unit: string]: number } = {
  "": 1,
  ms: 1,
  s: 1000,
  m: 60 * 1000,
  h: 60 * 60 * 1000,
  d: 24 * 60 * 60 * 1000,
};

/** Reads a duration: "90s", "10m", "2h", "1.5d", or milliseconds. */
function milliseconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|)$/.exec(text);
  if (match === null) {
    throw new UsageError(`${quote(text)} is no duration; write 90s, 10m, 2h, 1d or milliseconds`);
  }
  return Number(match[1]) * units[match[2]];
}

// --- Output ----------------------------------------------------------------------------------

/** Tells why `prune` left segments where they are; empty if it left none. */
function whatIsKept(
  segments: readonly SegmentInfo[],
  limit: number,
  prefix: string | undefined,
): string {
  const now = Date.now();
  let [used, young, foreign] = [0, 0, 0];
  for (const segment of segments) {
    if (prefix !== undefined && segment.prefix !== prefix) continue;
    if (segment.prefix === null) foreign++;
    else if (segment.pids.length > 0) used++;
    else if (now - segment.createdAt.getTime() < limit) young++;
  }
  return [
    young > 0 ? `${young} younger than ${duration(limit)}` : "",
    used > 0 ? `${used} that processes map` : "",
    foreign > 0 ? `${foreign} with names of their own, which prune never removes, and rm does` : "",
  ].filter((part) => part !== "").join("; ");
}

/** A duration as a command line takes it, in the largest unit that gives a whole number. */
function duration(milliseconds: number): string {
  const [unit, length] = Object.entries(units).toReversed()
    .find(([, length]) => milliseconds % length === 0) ?? ["ms", 1];
  return `${milliseconds / length}${unit || "ms"}`;
}

/** The lines of the table, with a header. */
function table(segments: readonly SegmentInfo[], now: number): string[] {
  if (segments.length === 0) return ["No segments."];
  const rows = [
    ["SIZE", "AGE", "PREFIX", "PIDS", "NAME"],
    ...segments.map(({ name, byteLength, createdAt, prefix, pids }) => [
      size(byteLength),
      age(now - createdAt.getTime()),
      prefix === null ? "-" : printable(prefix),
      pids.length === 0 ? "-" : pids.join(","),
      printable(name),
    ]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row.map((cell, column) =>
      column < 2 ? cell.padStart(widths[column]) : cell.padEnd(widths[column])
    ).join("  ").trimEnd()
  );
}

/** A name without control characters: a segment's name can hold some that would move the cursor. */
function printable(name: string): string {
  return name.replace(
    /[\p{Cc}\p{Cf}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/** A size that is easy to read: "512 B", "1.5 KiB", "20 MiB". */
function size(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  // A size that would be rounded to 1024 is given in the next unit, too.
  for (; Math.round(amount) >= 1024; unit++) amount /= 1024;
  const rounded = unit === 0 || amount >= 9.95 ? Math.round(amount) : amount.toFixed(1);
  return `${rounded} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

/** An age that is easy to read: "12s", "5m", "3h", "2d". */
function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 60 * 60) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 24 * 60 * 60) return `${Math.floor(seconds / (60 * 60))}h`;
  return `${Math.floor(seconds / (24 * 60 * 60))}d`;
}

if (import.meta.main) runtime().exit(run(runtime().args));
