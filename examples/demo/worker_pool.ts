/**
 * Worker processes that take questions as lines of JSON, and a pool that divides work among them.
 *
 * @module
 */

import { readLines } from "./lines.ts";

interface Waiting {
  resolve: () => void;
  reject: (reason: Error) => void;
}

/** One child process. It answers each line with one line, in order. */
class WorkerProcess {
  readonly #child: Deno.ChildProcess;
  readonly #number: number;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting: Waiting[] = [];
  readonly #ended: Promise<void>;
  #failure: Error | null = null;
  #bytes = 0;

  constructor(script: URL, number: number) {
    this.#number = number;
    this.#child = new Deno.Command(Deno.execPath(), {
      // Shared memory needs --allow-ffi. Nothing else is allowed: no file, no network, no environment.
      args: ["run", "--quiet", "--no-prompt", "--allow-ffi", script.href],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#ended = this.#listen();
  }

  /** Bytes that went through the pipes, in both directions. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Sends a line; the promise is for its answer. */
  ask(question: unknown): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const line = new TextEncoder().encode(JSON.stringify(question) + "\n");
    this.#bytes += line.length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      // If the worker is dead, the end of its output rejects the promise, with the reason.
      this.#writer.write(line).catch(() => {});
    });
  }

  async stop(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#ended;
  }

  async #listen(): Promise<void> {
    const stderr = new Response(this.#child.stderr).text();
    for await (const line of readLines(this.#child.stdout)) {
      this.#bytes += line.length + 1;
      this.#waiting.shift()?.resolve();
    }
    const status = await this.#child.status;
    const how = status.signal ? `was ended by ${status.signal}` : `ended with code ${status.code}`;
    const said = (await stderr).trim();
    this.#failure = new Error(
      `worker ${this.#number} (process ${this.#child.pid}) ${how}${said ? `:\n${said}` : ""}`,
    );
    this.#writer.abort().catch(() => {});
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

/** A number of equal workers. Disposing of the pool ends them. */
export class WorkerPool {
  readonly #workers: WorkerProcess[] = [];

  /** Starts `count` processes of `script`, and asks each the `first` question, to have them ready. */
  static async start(script: URL, count: number, first: unknown): Promise<WorkerPool> {
    const pool = new WorkerPool();
    try {
      for (let i = 1; i <= count; i++) pool.#workers.push(new WorkerProcess(script, i));
      await Promise.all(pool.#workers.map((worker) => worker.ask(first)));
      return pool;
    } catch (error) {
      await pool[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Bytes that went through the pipes to and from all workers. */
  get bytes(): number {
    return this.#workers.reduce((sum, worker) => sum + worker.bytes, 0);
  }

  /**
   * Gives each question to a worker that is free, until all are answered.
   *
   * Each worker has a second question waiting, so that it does not idle while its answer travels.
   */
  async askAll(questions: unknown[]): Promise<void> {
    const queue = questions[Symbol.iterator]();
    const drain = async (worker: WorkerProcess) => {
      for (const question of queue) await worker.ask(question);
    };
    await Promise.all(this.#workers.flatMap((worker) => [drain(worker), drain(worker)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}
