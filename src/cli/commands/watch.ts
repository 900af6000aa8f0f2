/**
 * `shm watch`: what becomes of a segment, second by second.
 *
 * @module
 */

import { close, open, read } from "../../../ffi/files.ts";
import { platform } from "../../../ffi/platform.ts";
import { sleep } from "../../../ffi/time.ts";
import { quote } from "../../check.ts";
import { errors } from "../../errors.ts";
import { openDescriptorOf } from "../../process/proc.ts";
import { isAnonymousName } from "../../segment/mod.ts";
import { UsageError } from "../arguments.ts";
import {
  barrierFacts,
  type BarrierState,
  comeSeats,
  deadSeats,
  readBarrier,
} from "../barrier_look.ts";
import { type Command, defineCommand } from "../command.ts";
import {
  type LockState,
  readLock,
  readStream,
  segmentExists,
  type Stream,
  type Subject,
  usersOf,
  withSegment,
} from "../look.ts";
import { jsonText } from "../output.ts";
import { isOver, queueFacts, type QueueState, readQueue } from "../queue_look.ts";
import { ageText, holdersText, lockFacts, numberKey, streamText, waitersText } from "../report.ts";
import type { Screen } from "../screen.ts";
import { readTarget } from "../selection.ts";
import { type User, usersText } from "../who.ts";

/** Shows a line a second. */
export const watch: Command = defineCommand({
  name: "watch",
  summary: "shows, second by second, what becomes of a segment",
  usage: ["watch [--count N] [--json] NAME"],
  help: [
    "Prints a line a second: of a ring or versions the newest number, how many came",
    "per second, how old the newest is, how many a reader misses that looks once a",
    "second, and who reads; of a lock who holds it and who waits; of a queue how",
    "many items wait, are taken, and were over per second, and who holds some; of a",
    "barrier its generation, how many came per second, and how many seats are taken,",
    "have come and are dead; of an array whether its first 64 MiB changed, and who",
    "uses it. The segment is not kept: each look attaches and lets go.",
    "",
    "It ends when the segment is removed, or its stream has ended, and says so; at",
    "Ctrl-C by that signal, as a shell sees it (130); with --count after N lines.",
  ],
  options: {
    count: { value: "N", help: "ends after N lines" },
    json: { help: "prints one JSON object a line" },
  },
  words: { least: 1, most: 1, what: "the name of a segment" },
  run({ options, words }, screen) {
    const count = readCount(options.count);
    const { name, selection } = readTarget(words[0], segmentExists);
    if (selection !== null) throw new UsageError("watch takes a name without brackets");
    const started = performance.now();
    let last: Look | null = null;
    for (let line = 0; line < count; line++) {
      if (line > 0) pauseUntil(started + line * INTERVAL);
      const look = lookAt(name, last);
      if (look === null || (last !== null && look.key !== last.key)) {
        const isGone = look === null;
        screen.complain(
          isGone ? "It was removed." : "It was removed; another segment has its name now.",
        );
        return 0;
      }
      printLook(name, look, last, options.json, screen);
      if (look.stream?.isEnded) {
        screen.complain("Its writer has ended it: no more comes.");
        return 0;
      }
      if (look.queue !== null && isOver(look.queue)) {
        screen.complain("It was ended, and nothing is left in it.");
        return 0;
      }
      last = look;
    }
    return 0;
  },
});

/** The time from one line to the next, in milliseconds. */
const INTERVAL = 1000;

function readCount(text: string | undefined): number {
  if (text === undefined) return Infinity;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UsageError(`--count wants a whole number from 1 on, and not ${quote(text)}`);
}

/** Blocks until a time. A signal that ends the program does so meanwhile. */
function pauseUntil(time: number): void {
  for (let rest = time - performance.now(); rest > 0; rest = time - performance.now()) sleep(rest);
}

/** What was seen at one look. */
interface Look {
  /** Tells one segment from another that got its name. */
  readonly key: string;
  readonly kind: Subject["kind"];
  /** When it was, in milliseconds of a clock that only goes forward. */
  readonly at: number;
  readonly users: readonly User[] | null;
  readonly stream: Stream | null;
  readonly lock: LockState | null;
  readonly queue: QueueState | null;
  readonly barrier: BarrierState | null;
  /** A number that changes when elements do. */
  readonly sum: number | null;
}

/** Looks; `null` if the segment was there and is not any more. */
function lookAt(name: string, last: Look | null): Look | null {
  try {
    return withSegment("watch", name, (subject) => {
      const { kind, identity } = subject;
      const stream = kind === "ring" || kind === "versions" ? readStream("watch", subject) : null;
      const lock = kind === "lock" ? readLock(subject) : null;
      return {
        key: `${identity} ${stream?.id}`,
        kind,
        at: performance.now(),
        users: usersOf(subject),
        stream,
        lock,
        queue: kind === "queue" ? readQueue(subject) : null,
        barrier: kind === "barrier" ? readBarrier(subject) : null,
        sum: kind === "array" ? sumOf(subject) : null,
      };
    });
  } catch (error) {
    if (last !== null && error instanceof errors.NotFound) return null;
    throw error;
  }
}

// --- Lines -----------------------------------------------------------------------------------

function printLook(name: string, look: Look, last: Look | null, isJson: boolean, screen: Screen) {
  const { out, style, columns } = screen;
  const time = new Date();
  if (isJson) {
    out(jsonText({ time: time.toISOString(), name, ...factsOf(look, last) }, 0));
    return;
  }
  const cells: Cell[] = [
    ["TIME", time.toTimeString().slice(0, 8), 8, "left"],
    ...cellsOf(look, last),
  ];
  if (last === null) {
    if (look.stream !== null) out(style.dim(cut(streamText(look.stream), columns)));
    const titles = cells.map(([title, , width, side]): Cell => [title, title, width, side]);
    out(style.bold(cut(rowText(titles), columns)));
  }
  out(cut(rowText(cells), columns));
}

/** A column: its title, the text of the cell, how wide it is, and on which side the text stands. */
type Cell = readonly [title: string, text: string, width: number, side: "left" | "right"];

function rowText(cells: readonly Cell[]): string {
  return cells.map(([, text, width, side]) =>
    side === "left" ? text.padEnd(width) : text.padStart(width)
  ).join("  ").trimEnd();
}

/** Cuts a line to the width of the terminal. */
function cut(line: string, columns: number | null): string {
  const characters = [...line];
  return columns === null || characters.length <= columns
    ? line
    : `${characters.slice(0, columns - 1).join("")}…`;
}

function cellsOf(look: Look, last: Look | null): Cell[] {
  const { stream, lock, queue, barrier, users } = look;
  if (stream !== null) {
    const { newest, age } = stream;
    const { rate, skipped } = progressOf(look, last);
    const title = stream.kind === "ring" ? "FRAME" : "VERSION";
    return [
      [title, newest === 0 ? "-" : String(newest), 8, "right"],
      ["RATE", rate === null ? "-" : rateText(rate), 8, "right"],
      ["AGE", newest === 0 || age === null ? "-" : ageText(age), 5, "right"],
      ["SKIPPED", skipped === null ? "-" : String(skipped), 7, "right"],
      ["READERS", peopleText(readersOf(look)), 0, "left"],
    ];
  }
  if (lock !== null) {
    return [
      ["STATE", holdersText(lock), 22, "left"],
      ["WAITING", waitersText(lock), 8, "left"],
      ["MAPPED BY", peopleText(users), 0, "left"],
    ];
  }
  if (queue !== null) {
    const { waiting, taken, free } = queue.counts;
    const rate = queueRate(look, last);
    return [
      ["WAITING", String(waiting), 7, "right"],
      ["TAKEN", String(taken), 5, "right"],
      ["FREE", String(free), 5, "right"],
      ["RATE", rate === null ? "-" : rateText(rate), 8, "right"],
      ["HELD BY", peopleText(takersOf(queue)), 0, "left"],
    ];
  }
  if (barrier !== null) {
    const { parties, generation, seats } = barrier;
    const rate = meetingRate(look, last);
    const parted = seats.map(({ party }) => party).filter((party) => party !== null);
    return [
      ["GENERATION", String(generation), 10, "right"],
      ["RATE", rate === null ? "-" : rateText(rate), 8, "right"],
      ["SEATS", `${seats.length - deadSeats(seats)}/${parties}`, 5, "right"],
      ["COME", String(comeSeats(seats)), 4, "right"],
      ["DEAD", String(deadSeats(seats)), 4, "right"],
      ["PARTIES", peopleText(onceEach(parted)), 0, "left"],
    ];
  }
  const changed = hasChanged(look, last);
  return [
    ["CHANGED", changed === null ? "-" : changed ? "yes" : "no", 7, "left"],
    ["USED BY", peopleText(users), 0, "left"],
  ];
}

/** How many items a second were completed or failed. */
function queueRate({ queue, at }: Look, last: Look | null): number | null {
  if (last === null) return null;
  const over = ({ counts }: QueueState): number => counts.completed + counts.failed;
  return (over(queue!) - over(last.queue!)) / ((at - last.at) / 1000);
}

/** Who holds items, each once. */
function takersOf({ holders }: QueueState): User[] {
  return onceEach(holders.map(({ taker }) => taker).filter((taker) => taker !== null));
}

function onceEach(users: readonly User[]): User[] {
  return [...new Map(users.map((user) => [user.pid, user])).values()];
}

/** How many meetings a second there were. */
function meetingRate({ barrier, at }: Look, last: Look | null): number | null {
  if (last === null) return null;
  return (barrier!.generation - last.barrier!.generation) / ((at - last.at) / 1000);
}

function rateText(rate: number): string {
  return `${rate < 9.95 ? rate.toFixed(1) : Math.round(rate)}/s`;
}

function peopleText(processes: readonly User[] | null): string {
  if (processes === null) return "?";
  return processes.length === 0 ? "-" : usersText(processes);
}

/** Who maps a stream and does not write it. */
function readersOf({ users, stream }: Look): User[] | null {
  return users?.filter(({ pid }) => pid !== stream?.writer?.pid) ?? null;
}

function factsOf(look: Look, last: Look | null): object {
  const { stream, lock, queue, barrier, users } = look;
  if (stream !== null) {
    const { rate, skipped } = progressOf(look, last);
    return {
      kind: stream.kind,
      [numberKey(stream)]: stream.newest === 0 ? null : stream.newest,
      rate,
      ageMs: stream.newest === 0 ? null : stream.age,
      skipped,
      writer: stream.writer,
      readers: readersOf(look),
      ended: stream.isEnded,
    };
  }
  if (lock !== null) return { kind: "lock", ...lockFacts(lock), mappedBy: users };
  if (queue !== null) {
    const rate = queueRate(look, last);
    return { kind: "queue", ...queueFacts(queue), rate, mappedBy: users };
  }
  if (barrier !== null) {
    const rate = meetingRate(look, last);
    return { kind: "barrier", ...barrierFacts(barrier), rate, mappedBy: users };
  }
  return { kind: look.kind, changed: hasChanged(look, last), usedBy: users };
}

/** What came since the last look. */
interface Progress {
  /** How many a second. */
  readonly rate: number | null;
  /** How many came and were gone again before this look. */
  readonly skipped: number | null;
}

function progressOf({ stream, at }: Look, last: Look | null): Progress {
  if (last === null) return { rate: null, skipped: null };
  const come = stream!.newest - last.stream!.newest;
  // A ring has as many frames as slots, one of which may be being overwritten; of versions there is one.
  const kept = stream!.slots === null ? 1 : stream!.slots - 1;
  return { rate: come / ((at - last.at) / 1000), skipped: Math.max(0, come - kept) };
}

// --- Elements --------------------------------------------------------------------------------

function hasChanged({ sum }: Look, last: Look | null): boolean | null {
  return last === null || sum === null || last.sum === null ? null : sum !== last.sum;
}

/** How many bytes of an array are looked at. */
const MOST_BYTES = 2 ** 26;

/**
 * Makes a number of the first bytes of a segment, by one multiplication for each four of them: where one word has
 * another value, so has the number. They are read, and not mapped: what is mapped takes memory where the segment
 * has none yet.
 */
function sumOf({ name, memory }: Subject): number | null {
  const fd = openFile(name);
  if (fd === null) return null;
  try {
    const bytes = new Uint8Array(2 ** 18);
    const words = new Int32Array(bytes.buffer);
    let sum = 0;
    for (let rest = Math.min(memory.size, MOST_BYTES); rest > 0;) {
      const count = read(fd, bytes, name);
      if (count === 0) break;
      rest -= count;
      bytes.fill(0, count, Math.ceil(count / 4) * 4);
      const end = Math.ceil(count / 4);
      for (let i = 0; i < end; i++) sum = Math.imul(sum ^ words[i], 16777619) + 1 | 0;
    }
    return sum;
  } finally {
    close(fd);
  }
}

/** Opens a segment to read from it; `null` where segments have no files. */
function openFile(name: string): number | null {
  const { directory, flags } = platform();
  if (directory === null) return null;
  if (!isAnonymousName(name)) {
    return open(`${directory}/${name}`, flags.O_RDONLY | flags.O_NONBLOCK);
  }
  const [, pid, fd] = name.split(":");
  return openDescriptorOf(pid, fd, flags.O_RDONLY);
}
