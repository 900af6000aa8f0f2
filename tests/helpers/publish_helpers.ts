/**
 * What the tests of rings and of versions share: second processes that take part, and the check that finds
 * mixed arrays.
 *
 * @module
 */

import { type ChildOptions, segmentPath, startChild, uniqueName } from "./helpers.ts";

/** The module under test, for code that runs in another process or worker. */
export const publishUrl: string = new URL("../../src/publish/mod.ts", import.meta.url).href;

const prelude = `import { SharedMemoryRing, SharedMemoryVersions } from ${
  JSON.stringify(publishUrl)
};
const say = (text) => Deno.stdout.writeSync(new TextEncoder().encode(text + "\\n"));
`;

/** A process that takes part, and says line by line how far it is. */
export class Member {
  readonly #process: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;
  #text = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = new Response(process.stderr).text();
  }

  /** Starts one; the code finds both classes imported, and has `say(line)`. */
  static async start(code: string, options?: ChildOptions): Promise<Member> {
    return new Member(await startChild(prelude + code, options));
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The next line that it says. */
  async line(): Promise<string> {
    let end: number;
    while ((end = this.#text.indexOf("\n")) < 0) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`The member ended unexpectedly:\n${await this.#stderr}`);
      this.#text += value;
    }
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }

  /** Kills it. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await Promise.all([this.#reader.cancel(), this.#stderr]);
  }

  /** Waits for its end, which must be a good one. */
  async end(): Promise<void> {
    const { code, signal } = await this.#process.status;
    await this.#reader.cancel();
    const complaints = await this.#stderr;
    if (code !== 0) throw new Error(`The member ended with ${signal ?? code}:\n${complaints}`);
  }
}

/** The names of the segments that begin with a name, from outside the library. */
export function segmentsOf(name: string): string[] {
  return [...Deno.readDirSync("/dev/shm")].map((entry) => entry.name)
    .filter((each) => each.startsWith(name)).sort();
}

/** The id of a publication as the names of its versions bear it, from outside the library. */
export function idOf(name: string): string {
  const { buffer } = Deno.readFileSync(segmentPath(name));
  return new DataView(buffer).getBigUint64(40, true).toString(16).padStart(16, "0");
}

/** The name of a version of a publication that is there. */
export function partOf(name: string, version: number): string {
  return `${name}.${idOf(name)}.v${version}`;
}

/** Overwrites bytes of a segment, from outside the library. */
export function poke(name: string, at: number, bytes: Uint8Array): void {
  using file = Deno.openSync(segmentPath(name), { write: true });
  file.seekSync(at, Deno.SeekMode.Start);
  file.writeSync(bytes);
}

/** Overwrites a 64-bit word of a segment. */
export function pokeNumber(name: string, at: number, value: bigint): void {
  poke(name, at, new Uint8Array(new BigUint64Array([BigInt.asUintN(64, value)]).buffer));
}

/** Calls `body` with a unique name; whatever begins with it afterwards is removed. */
export async function withPublication(body: (name: string) => void | Promise<void>): Promise<void> {
  const name = uniqueName();
  try {
    await body(name);
  } finally {
    for (const each of segmentsOf(name)) Deno.removeSync(segmentPath(each));
  }
}

/**
 * The text of a function for members, `mixed(array, number, pause)`: whether some element of an array is not
 * the number that all of them are to hold. It looks at one half, pauses, and looks at the other.
 */
export const mixedText = `
const mixed = (array, number, pause) => {
  const data = array.subarray();
  const half = data.length >> 1;
  for (let i = 0; i < half; i++) if (data[i] !== number) return true;
  pause();
  for (let i = half; i < data.length; i++) if (data[i] !== number) return true;
  return false;
};
`;

/** Sleeps. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}

/**
 * Gives promises that are awaited one after another, or after something else: one that is rejected before its turn is
 * no error that nobody has caught.
 */
export function handled<P extends readonly Promise<unknown>[]>(...promises: P): P {
  for (const promise of promises) promise.catch(() => {});
  return promises;
}

/** What a promise is rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error || error instanceof DOMException) return error as Error;
    throw new Error(`it was rejected with no Error but ${error}`);
  }
  throw new Error("it was not rejected");
}
