/**
 * Names of users and of processes.
 *
 * @module
 */

import { getpwuid } from "../../ffi/pwd.ts";
import { visible } from "../../ffi/runtime/errors.ts";
import { programOf } from "../process/proc.ts";

/** A process that uses a segment. */
export interface User {
  readonly pid: number;
  /** The name of its program; `null` where it cannot be told. */
  readonly program: string | null;
}

/** Keeps what was asked for: one owner has many segments, one process maps many. */
function remembered<K, V>(ask: (key: K) => V): (key: K) => V {
  const answers = new Map<K, V>();
  return (key) => {
    let answer = answers.get(key);
    if (answer === undefined) answers.set(key, answer = ask(key));
    return answer;
  };
}

/** What is known of users and processes, each of which is looked at once. */
export class Who {
  /** Gives the name of a user; the user id where it has none. */
  readonly owner: (uid: number) => string = remembered((uid) => getpwuid(uid) ?? String(uid));

  /** Gives a process with the name of its program. */
  readonly user: (pid: number) => User = remembered((pid) => ({ pid, program: programOf(pid) }));

  /** Names processes for people, each as `program:pid`. */
  names(pids: readonly number[]): string[] {
    return pids.map((pid) => userText(this.user(pid)));
  }
}

/** Names a process for people: `program:pid`. */
export function userText({ pid, program }: User): string {
  return `${program === null ? "" : `${visible(program)}:`}${pid}`;
}

/** Names processes for people, in one text. */
export function usersText(users: readonly User[]): string {
  return users.map(userText).join(", ");
}
