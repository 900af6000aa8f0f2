/**
 * Starts processes of any runtime from any runtime.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";

/** A runtime, and the words that start a program in it. The path of the program and its arguments follow. */
export interface Host {
  readonly name: string;
  readonly command: readonly string[];
}

/** The runtimes that take part, the one of this program first: the test that starts it says which. */
export const hosts: readonly Host[] = JSON.parse(process.env.SHM_TEST_RUNTIMES ?? "[]");

/** The program of the other side. */
const peerProgram = new URL("./peer.ts", import.meta.url).pathname;

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: string | null;
}

function start({ command: [program, ...words] }: Host, args: readonly string[]): ChildProcess {
  return spawn(program, [...words, peerProgram, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
}

/** A process that does what it is asked to, line by line: one of `roles` of `peer.ts` for each. */
export class Peer {
  readonly host: Host;
  readonly pid: number;
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(host: Host) {
    this.host = host;
    this.#child = start(host, []);
    this.pid = this.#child.pid!;
    this.ended = endOf(this.#child);
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** Asks for something; the answer comes when it is done. */
  async ask<T>(role: string, data: object = {}): Promise<T> {
    this.tell(role, data);
    return await this.answer<T>();
  }

  /** Asks for something, and does not wait for the answer. */
  tell(role: string, data: object = {}): void {
    this.#child.stdin!.write(`${JSON.stringify({ role, data })}\n`);
  }

  /** The next answer, or what {@linkcode say} of the other side says before that. */
  async answer<T>(): Promise<T> {
    const { done, value } = await this.#lines.next();
    if (done) {
      throw new Error(`${this.host.name}'s process ended: ${JSON.stringify(await this.ended)}`);
    }
    const { error, result } = JSON.parse(value);
    if (error !== undefined) throw new Error(`in ${this.host.name}: ${error}`);
    return result;
  }

  /** Kills it as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** Lets it end by itself. */
  async end(): Promise<End> {
    this.#child.stdin!.end();
    return await this.ended;
  }
}

/** What came of a process that did one thing. */
export interface Outcome extends End {
  readonly out: string;
}

/**
 * Runs a process that does one thing, and ends.
 *
 * @param host the runtime
 * @param role what it does
 * @param name the name of a segment
 * @param act does something to it when it has written its first line
 */
export async function runOnce(
  host: Host,
  role: string,
  name: string,
  act?: (pid: number) => void,
): Promise<Outcome> {
  const child = start(host, [role, name]);
  let out = "";
  child.stdout!.on("data", (part) => {
    if (out === "") act?.(child.pid!);
    out += part;
  });
  const ended = await endOf(child);
  return { ...ended, out };
}
