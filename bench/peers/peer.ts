/**
 * Other programs that measure on command: a line goes in, a number comes out.
 *
 * @module
 */

import { TextLineStream } from "./lines.ts";

/** How long all threads of a process have run on processors, in milliseconds. */
export function processorTime(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return [...Deno.readDirSync(tasks)].map(({ name }) =>
    Number(Deno.readTextFileSync(`${tasks}/${name}/schedstat`).split(" ")[0]) / 1e6
  ).reduce((sum, time) => sum + time);
}

/** A running program. */
export class Peer {
  /** What it said of itself when it started. */
  readonly version: string;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(
    child: Deno.ChildProcess,
    lines: ReadableStreamDefaultReader<string>,
    version: string,
  ) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#lines = lines;
    this.version = version;
  }

  /** Starts a program, and waits until it has checked itself. */
  static async start(command: string, args: string[] = []): Promise<Peer> {
    const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped" }).spawn();
    const lines = child.stdout.pipeThrough(new TextLineStream()).getReader();
    const { value, done } = await lines.read();
    if (done) throw new Error(`Cannot measure: ${command} failed its own check`);
    return new Peer(child, lines, value);
  }

  /** Lets it do something; returns the number that it answers. */
  async ask(command: string): Promise<number> {
    await this.#writer.write(new TextEncoder().encode(command + "\n"));
    const { value, done } = await this.#lines.read();
    if (done) throw new Error(`Cannot measure "${command}": the peer has ended`);
    return Number(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
  }
}
