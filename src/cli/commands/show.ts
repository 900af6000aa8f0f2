/**
 * `shm show`: what stands in a segment.
 *
 * @module
 */

import { quoteName } from "../../check.ts";
import type { NDArray } from "../../ndarray/mod.ts";
import { magics, type SegmentKind } from "../../words.ts";
import { UsageError } from "../arguments.ts";
import { barrierFacts, barrierLines, readBarrier } from "../barrier_look.ts";
import { type Command, defineCommand, jsonOption } from "../command.ts";
import {
  readLock,
  readStream,
  segmentExists,
  type Subject,
  takeArray,
  takeNewest,
  usersOf,
  withSegment,
} from "../look.ts";
import { jsonText } from "../output.ts";
import { type Canvas, drawPicture } from "../picture.ts";
import { queueFacts, queueLines, readQueue } from "../queue_look.ts";
import {
  holdersText,
  lockFacts,
  newestText,
  numberKey,
  streamFacts,
  streamText,
  waitersText,
} from "../report.ts";
import type { Screen } from "../screen.ts";
import {
  readTarget,
  readTold,
  type Target,
  targetHelp,
  type Told,
  toldOptions,
} from "../selection.ts";
import { type User, usersText } from "../who.ts";

/** Shows what stands in a segment. */
export const show: Command = defineCommand({
  name: "show",
  summary: "shows what stands in a segment",
  usage: ["show [--picture | --json] NAME", "show [--picture | --json] 'NAME[0:5, ::2]'"],
  help: [
    "Prints the elements of an array as NumPy does; of a ring the newest frame, of",
    "versions the current one; of a lock who holds it and who waits; of a queue its",
    "counts, and who holds which item; of a barrier its generation, and who has which",
    "seat. Nothing is written to the segment, and nobody is held up.",
    "",
    ...targetHelp,
  ],
  options: {
    picture: { help: "draws rows × columns, or rows × columns × 3 colours" },
    ...toldOptions,
    json: jsonOption,
  },
  words: { least: 1, most: 1, what: "the name of a segment" },
  run({ options, words }, screen) {
    const told = readTold(options.dtype, options.shape);
    if (options.picture && options.json) {
      throw new UsageError("--picture and --json exclude each other");
    }
    const target = readTarget(words[0], segmentExists);
    const wanted = { told, isJson: options.json, canvas: options.picture ? screen.canvas : null };
    withSegment("show", target.name, (subject) => showSubject(subject, target, wanted, screen));
    return 0;
  },
});

/** What the user wants to see. */
interface Wanted {
  readonly told: Told;
  readonly isJson: boolean;
  /** What a picture is to be drawn on; `null` for none. */
  readonly canvas: Canvas | null;
}

function showSubject(subject: Subject, target: Target, wanted: Wanted, screen: Screen): void {
  const { kind } = subject;
  if (kind === "ring" || kind === "versions") return showStream(subject, target, wanted, screen);
  if (kind !== "array" && wanted.told.dtype === undefined) {
    refuseElements(subject, target, wanted);
    if (kind === "lock") return showLock(subject, wanted, screen);
    if (kind === "queue") return showQueue(subject, wanted, screen);
    return showBarrier(subject, wanted, screen);
  }
  const { dtype, shape, view } = takeArray("show", subject, wanted.told, target.selection);
  if (wanted.isJson) screen.out(factsText({ name: target.name, kind, shape, dtype }, view));
  else showView(view, wanted, screen);
}

/** Prints elements, or draws them. */
function showView(view: NDArray, { canvas }: Wanted, { out, style }: Screen): void {
  if (canvas === null) return out(view.toString());
  const { lines, range } = drawPicture(view, canvas);
  for (const line of lines) out(line);
  if (range !== null) {
    out(style.dim(`black is ${short(range.black)}, white is ${short(range.white)}`));
  }
}

/** A number in at most six digits. */
function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function showStream(
  subject: Subject,
  { name, selection }: Target,
  wanted: Wanted,
  screen: Screen,
): void {
  const stream = readStream("show", subject, wanted.told);
  const newest = takeNewest("show", subject, stream, selection);
  if (wanted.isJson) {
    const { number = null, age = null, skipped = 0, view = null } = newest ?? {};
    const numbers = { [numberKey(stream)]: number, ageMs: age, skipped };
    screen.out(factsText({ name, ...streamFacts(stream), ...numbers }, view));
    return;
  }
  screen.out(screen.style.dim(streamText(stream)));
  screen.out(screen.style.bold(newestText(stream, newest)));
  if (newest !== null) showView(newest.view, wanted, screen);
}

/** Refuses what only elements have. */
function refuseElements({ name, kind }: Subject, { selection }: Target, { canvas }: Wanted): void {
  if (selection === null && canvas === null) return;
  throw new TypeError(
    `Cannot show ${selection === null ? "a picture" : "a part"} of ${quoteName(name)}: ` +
      `it is ${magics[kind as SegmentKind].what}, which has no elements`,
  );
}

function showLock(subject: Subject, { isJson }: Wanted, { out }: Screen): void {
  const state = readLock(subject);
  const users = usersOf(subject);
  if (isJson) {
    out(jsonText({ name: subject.name, kind: "lock", ...lockFacts(state), mappedBy: users }));
    return;
  }
  out(`Lock, ${holdersText(state)}`);
  out(`Waiting: ${waitersText(state)}`);
  showUsers(users, out);
}

function showQueue(subject: Subject, wanted: Wanted, screen: Screen): void {
  const state = readQueue(subject);
  showFacts(subject, queueFacts(state), queueLines(state), wanted, screen);
}

function showBarrier(subject: Subject, wanted: Wanted, screen: Screen): void {
  const state = readBarrier(subject);
  showFacts(subject, barrierFacts(state), barrierLines(state), wanted, screen);
}

/** Says what there is to say of a kind without elements, and who takes part. */
function showFacts(
  subject: Subject,
  facts: object,
  lines: readonly string[],
  { isJson }: Wanted,
  { out }: Screen,
): void {
  const { name, kind } = subject;
  const users = usersOf(subject);
  if (isJson) return out(jsonText({ name, kind, ...facts, mappedBy: users }));
  for (const line of lines) out(line);
  showUsers(users, out);
}

function showUsers(users: User[] | null, out: (line: string) => void): void {
  if (users !== null) out(`Mapped by: ${users.length === 0 ? "nobody" : usersText(users)}`);
}

/** The most elements that are written as JSON. */
const MOST_IN_JSON = 2 ** 20;

/** Writes facts and elements as JSON; the elements, which may be many, take one line. */
function factsText(facts: object, view: NDArray | null): string {
  if (view !== null && view.size > MOST_IN_JSON) {
    throw new RangeError(
      `Cannot write ${view.size} elements as JSON: at most ${MOST_IN_JSON} are; take a part, as in ` +
        "'NAME[0:100]', or shm save NAME FILE.npy",
    );
  }
  const text = jsonText(facts);
  const values = view === null ? "null" : JSON.stringify(view.toArray(), plain);
  return `${text.slice(0, -"\n}".length)},\n  "values": ${values}\n}`;
}

/**
 * What JSON has no number for is a text, as in ProtoJSON: NaN and infinities, and 64-bit integers, which most
 * programs would round.
 *
 * @see {@link https://protobuf.dev/programming-guides/json/ | ProtoJSON}
 */
function plain(_: string, value: unknown): unknown {
  return typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))
    ? String(value)
    : value;
}
