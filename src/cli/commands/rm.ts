/**
 * `shm rm`: removes segments by name, and asks where a process maps one.
 *
 * @module
 */

import { errors, visible } from "../../../ffi/runtime/errors.ts";
import { type SegmentInfo, SharedMemoryArray } from "../../../mod.ts";
import { quote, quoteName } from "../../check.ts";
import { groupsOfParts, isAnonymousName, removeSegments } from "../../segment/mod.ts";
import { type Command, defineCommand, type ExitCode, jsonOption } from "../command.ts";
import { matcherOf, nameOf } from "../names.ts";
import { jsonText } from "../output.ts";
import type { Screen } from "../screen.ts";
import { allSegments, isOwn } from "../segments.ts";
import { Who } from "../who.ts";

/** Removes segments by name. */
export const rm: Command = defineCommand({
  name: "rm",
  summary: "removes segments by name, or by a pattern",
  usage: ["rm [-f] [--json] NAME..."],
  help: [
    "Removes the names of segments, and prints them. A process that maps a segment",
    "keeps its memory, but nobody else can attach to it any more: so rm asks before,",
    "and refuses where it cannot ask, as in a script. The versions of a publication",
    "go with it.",
    "",
    "NAME can be a path, /dev/shm/NAME, or a pattern with *, to be quoted: 'tile-*'",
    "takes this user's segments whose names fit. After -- it may begin with a dash.",
    "A process whose memory map cannot be read, as in another container, is not seen.",
  ],
  options: {
    force: { short: "-f", help: "asks nothing, and removes what processes map" },
    json: jsonOption,
  },
  words: { least: 1, most: Infinity, what: "the names of segments" },
  run({ options, words }, screen) {
    const { out, complain } = screen;
    const segments = new Segments();
    const removed: string[] = [];
    let code: ExitCode = 0;
    /** Does one thing. What cannot be done must not keep the others from being done. */
    const attempt = (action: () => void): void => {
      try {
        action();
      } catch (error) {
        const reasons = error instanceof AggregateError ? error.errors : [error];
        for (const reason of reasons) complain(visible((reason as Error).message));
        code = 1;
      }
    };
    const names = new Set<string>();
    for (const word of words) {
      attempt(() => segments.named(word).forEach((name) => names.add(name)));
    }
    const wanted = new Set<string>();
    for (const name of names) {
      attempt(() => {
        if (options.force || mayRemove(name, segments, screen)) wanted.add(name);
      });
    }
    // All at once: each removal alone would list all segments, to find its parts.
    const { gone } = removeSegments(wanted);
    for (const name of wanted) {
      attempt(() => {
        // What is not gone says why when it is tried alone.
        if (!gone.has(name) && SharedMemoryArray.clearBuffers([name]).length === 0) {
          throw new Error(`Cannot remove ${quote(name)}: there is no such segment`);
        }
        removed.push(name);
        if (!options.json) out(visible(name));
      });
    }
    if (options.json) out(jsonText(removed));
    return code;
  },
});

/**
 * Asks before a segment is removed that a process maps.
 *
 * @returns whether to remove it
 * @throws where nobody can be asked
 */
function mayRemove(name: string, segments: Segments, { ask, complain }: Screen): boolean {
  if (isAnonymousName(name)) return true; // it has no name that could be removed: the error says whose it is
  const users = segments.usersOf(name);
  if (users.length === 0) return true;
  const answer = ask(`Remove ${quoteName(name)}, which ${mapText(users)}`);
  if (answer === null) {
    throw new Error(
      `Cannot remove ${quoteName(name)}: ${mapText(users)} it; -f removes the name nevertheless`,
    );
  }
  if (!answer) complain(`Kept ${quoteName(name)}`);
  return answer;
}

/** Names who maps a segment, with the verb. */
function mapText(users: readonly string[]): string {
  if (users.length === 1) return `${users[0]} maps`;
  const tooMany = users.length > MOST_SHOWN;
  const shown = users.slice(0, tooMany ? MOST_SHOWN : -1);
  const rest = users.slice(shown.length);
  const last = tooMany ? `${rest.length} other${rest.length === 1 ? "" : "s"}` : rest[0];
  return `${shown.join(", ")} and ${last} map`;
}
const MOST_SHOWN = 3;

/** What there is, looked at when it is asked for. */
class Segments {
  readonly #who = new Who();
  #all: SegmentInfo[] | undefined;
  #users: Map<string, Set<number>> | undefined;
  #groupOf: ((name: string) => string) | undefined;

  #list(): SegmentInfo[] {
    return this.#all ??= allSegments();
  }

  /** Gives the name of the segment with whose name another one goes; its own, if it is no part. */
  #group(name: string): string {
    this.#list(); // what is listed later may belong to a newer publication
    return (this.#groupOf ??= groupsOfParts())(name);
  }

  /** Gives the names that a word of the command line stands for. */
  named(word: string): string[] {
    const name = nameOf(word);
    const matches = matcherOf(name);
    if (matches === null) return [name];
    const found = this.#list()
      .filter((segment) =>
        isOwn(segment) && !isAnonymousName(segment.name) && matches(segment.name)
      )
      .map(({ name }) => name);
    if (found.length === 0) {
      throw new Error(`Cannot remove ${quote(word)}: no segment of this user has such a name`);
    }
    const all = new Set(found);
    // Parts go with the whole.
    return found.filter((name) => this.#group(name) === name || !all.has(this.#group(name)));
  }

  /** Names the processes that map a segment or, if it has parts, one of these. */
  usersOf(name: string): string[] {
    if (this.#users === undefined) {
      this.#users = new Map();
      for (const segment of this.#seen(name)) {
        const { pids } = segment;
        if (pids.length === 0) continue;
        // A part is used by itself, too.
        for (const key of new Set([segment.name, this.#group(segment.name)])) {
          let users = this.#users.get(key);
          if (users === undefined) this.#users.set(key, users = new Set());
          for (const pid of pids) users.add(pid);
        }
      }
    }
    const pids = [...this.#users.get(name) ?? []];
    return this.#who.names(pids.sort((a, b) => a - b));
  }

  /** The segments, with who maps them. */
  #seen(name: string): SegmentInfo[] {
    try {
      return this.#list();
    } catch (error) {
      if (!(error instanceof errors.NotSupported)) throw error;
      throw new Error(
        `Cannot remove ${
          quoteName(name)
        }: it cannot be told who maps it; -f removes it nevertheless`,
        { cause: error },
      );
    }
  }
}
