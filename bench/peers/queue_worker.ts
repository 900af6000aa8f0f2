/**
 * The other process of `queue.ts`: a worker that gets its work in one of several ways, each as one would write it.
 *
 * @module
 */

import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { notify, wait } from "@shm/array/sync";
import { dwell } from "../measure.ts";

/** A small message, which a worker sends back as its answer. */
export type Tile = {
  readonly tile: number;
  /** Whether the worker is busy for a while before that. */
  readonly dwells?: boolean;
};

function work({ tile, dwells }: Tile): Tile {
  if (dwells) dwell();
  return { tile };
}

/** How many numbers a large request has: an image of 224 × 224 pixels in three colours. */
export const INPUT = 3 * 224 * 224;
/** How many numbers its answer has. */
export const OUTPUT = 1024;

/** Fills a buffer with what comes; returns `false` if nothing comes any more. */
export async function readFull(
  from: { read(bytes: Uint8Array<ArrayBuffer>): Promise<number | null> },
  bytes: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  for (let at = 0; at < bytes.length;) {
    const count = await from.read(bytes.subarray(at));
    if (count === null) return false;
    at += count;
  }
  return true;
}

/** Writes all of a buffer. */
export async function writeFull(
  to: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

/** A connection on which each side sends a line of JSON, and then waits for one. */
export class JsonLines {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(2 ** 16);
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  async send(message: unknown): Promise<void> {
    await writeFull(this.#connection, this.#encoder.encode(JSON.stringify(message) + "\n"));
  }

  /** Waits for a line; gives `undefined` if nothing comes any more. */
  async receive<T>(): Promise<T | undefined> {
    for (let text = "";;) {
      const count = await this.#connection.read(this.#buffer);
      if (count === null) return undefined;
      text += this.#decoder.decode(this.#buffer.subarray(0, count), { stream: true });
      // The other side sends nothing more before it has an answer.
      if (text.endsWith("\n")) return JSON.parse(text);
    }
  }

  close(): void {
    this.#connection.close();
  }
}

/** What a worker computes here of a large request: next to nothing, as only the way is measured. */
function compute(input: ArrayLike<number>): number {
  return input[0] + input[input.length - 1];
}

const ready = (): void => console.log("ready");

const roles: { readonly [role: string]: (...args: string[]) => void | Promise<void> } = {
  /** Takes items in a loop that blocks. */
  take(description) {
    using queue = SharedMemoryQueue.from(JSON.parse(description)).load();
    ready();
    for (let item; (item = queue.take()) !== null;) {
      item.complete(work(item.message));
    }
  },

  /** Serves. */
  async serve(description) {
    using queue = SharedMemoryQueue.from(JSON.parse(description)).load();
    ready();
    await queue.serve(({ message }) => work(message));
  },

  /** Takes one item, and hangs. */
  async hold(description) {
    using queue = SharedMemoryQueue.from(JSON.parse(description)).load();
    using _item = queue.take();
    ready();
    await new Promise((resume) => setTimeout(resume, 1e9));
  },

  /** Takes large requests out of arrays. */
  async arrays(description, ...arrays) {
    using queue = SharedMemoryQueue.from(JSON.parse(description)).load();
    const [inputs, outputs] = arrays.map((array) =>
      SharedMemoryArray.from(JSON.parse(array), "float32").load()
    );
    ready();
    await queue.serve(({ slot }) => {
      outputs.slice(slot).fill(compute(inputs.slice(slot).subarray()));
    });
  },

  /** Answers each line of JSON on a Unix socket by another one. */
  async lines(path) {
    using listener = Deno.listen({ transport: "unix", path });
    ready();
    for await (const connection of listener) answerLines(connection);
  },

  /** Reads large requests as bytes from Unix sockets. */
  async bytes(path) {
    using listener = Deno.listen({ transport: "unix", path });
    ready();
    for await (const connection of listener) answerBytes(connection, connection);
  },

  /** Reads large requests as bytes from its standard input. */
  stdin: () => answerBytes(Deno.stdin, Deno.stdout),

  /** Answers each change of word 0 by the same change of word 16; is busy before that if word 32 says so. */
  word(name) {
    using memory = SharedMemory.open(name);
    const words = new Int32Array(memory.buf!);
    ready();
    for (let turn = 0;; turn++) {
      while (Atomics.load(words, 0) === turn) wait(words, 0, turn);
      if (Atomics.load(words, 32) === 1) dwell();
      Atomics.add(words, 16, 1);
      notify(words, 16);
    }
  },
};

async function answerLines(connection: Deno.Conn): Promise<void> {
  const lines = new JsonLines(connection);
  for (let message; (message = await lines.receive<Tile | number[]>()) !== undefined;) {
    await lines.send(
      Array.isArray(message) ? new Array(OUTPUT).fill(compute(message)) : work(message),
    );
  }
}

async function answerBytes(
  from: Parameters<typeof readFull>[0],
  to: Parameters<typeof writeFull>[0],
): Promise<void> {
  const input = new Float32Array(INPUT);
  const output = new Float32Array(OUTPUT);
  while (await readFull(from, new Uint8Array(input.buffer))) {
    output.fill(compute(input));
    await writeFull(to, new Uint8Array(output.buffer));
  }
}

if (import.meta.main) {
  const [role, ...args] = Deno.args;
  await roles[role](...args);
}
