/**
 * Named pipes that are read and written synchronously, which is the fastest way that Deno has. Both
 * ends of the hand-over use this file.
 *
 * @module
 */

/** Every message has this length: a reader need not search for its end. */
const MESSAGE_LENGTH = 256;

/** What the other process is to do. */
export interface Request {
  readonly how: "descriptor" | "line" | "flag" | "pipe" | "socket" | "file";
  readonly bytes: number;
  readonly rounds: number;
  /** The path of the socket or the file, or the name of the array. */
  readonly at: string;
  /** The name of the array that holds the flag. */
  readonly flag: string;
}

/** The two ways of a connection. */
export class Wire {
  readonly #in: Deno.FsFile;
  readonly #out: Deno.FsFile;
  readonly #message = new Uint8Array(MESSAGE_LENGTH);
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();

  constructor(input: Deno.FsFile, output: Deno.FsFile) {
    this.#in = input;
    this.#out = output;
  }

  /** Fills a buffer with what comes. */
  read(bytes: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < bytes.length;) {
      const count = this.#in.readSync(bytes.subarray(at));
      if (count === null) throw new Error("Cannot go on: the other process has ended");
      at += count;
    }
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < bytes.length;) at += this.#out.writeSync(bytes.subarray(at));
  }

  send(message: unknown): void {
    this.#message.fill(32);
    this.#encoder.encodeInto(JSON.stringify(message), this.#message);
    this.write(this.#message);
  }

  receive<T>(): T {
    this.read(this.#message);
    return JSON.parse(this.#decoder.decode(this.#message));
  }
}

/** What the receiver does with an array: it changes the first and the last element. */
export function touch(array: Float64Array | { [position: number]: number; length: number }): void {
  array[0] += 1;
  array[array.length - 1] += 1;
}

/** Reads a whole array from a socket. */
export async function readAll(
  connection: Deno.Conn,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const count = await connection.read(bytes.subarray(at));
    if (count === null) throw new Error("Cannot go on: the other process has closed the socket");
    at += count;
  }
}

/** Writes a whole array to a socket. */
export async function writeAll(
  connection: Deno.Conn,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** Waits, busily, until a flag has a value. */
export function awaitFlag(flag: Int32Array<ArrayBuffer>, value: number): void {
  while (Atomics.load(flag, 0) !== value);
}
