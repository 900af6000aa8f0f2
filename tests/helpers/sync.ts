/**
 * What the tests of waiting and locking share: words in shared memory, and processes that tell what they do
 * line by line.
 *
 * @module
 */

import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryLock } from "@shm/array/sync";
import { hasFutexWaitMany } from "../../ffi/futex.ts";
import { startChild, uniqueName } from "./helpers.ts";
import { python } from "./find_python.ts";
import { slowness } from "./scale.ts";

/** The module under test, for code that runs in another process or worker. */
export const syncUrl = new URL("../../src/sync/mod.ts", import.meta.url).href;

/** What the code of a process finds imported, besides the names of `mod.ts`. */
const prelude = `
  import { notify, SharedMemoryLock, wait, waitAsync } from ${JSON.stringify(syncUrl)};
  /** The words that Deno.args[0] names. */
  const words = (name = Deno.args[0]) =>
    new Int32Array(SharedMemory.open(name).buf);
  /** Passes some time in which nobody is waited for; in microseconds. */
  const dwell = (time) => {
    const end = performance.now() + time / 1000;
    while (performance.now() < end);
  };
`;

/** Words in shared memory, all 0, whose name and mapping go at the end of the scope. */
export class Words {
  readonly name = SharedMemoryArray.buildSmaName("sync-test");
  readonly #sma: SharedMemoryArray<"int32">;
  readonly data: Int32Array<ArrayBuffer>;

  constructor(length = 16) {
    this.#sma = new SharedMemoryArray([length], "int32", this.name);
    this.data = this.#sma.create().data as Int32Array<ArrayBuffer>;
  }

  /** A second attachment of the same words. */
  attach(): SharedMemoryArray<"int32"> {
    const sma = SharedMemoryArray.clone(this.#sma);
    sma.load();
    return sma;
  }

  close(): void {
    this.#sma.close();
  }

  [Symbol.dispose](): void {
    this.#sma.unlink();
    this.#sma.close();
  }
}

/** A lock that is made, and goes with its name at the end of the scope. */
export class MadeLock extends SharedMemoryLock {
  constructor(name: string = uniqueName()) {
    super(name);
    this.create();
  }

  override [Symbol.dispose](): void {
    this.unlink();
    try {
      this.close();
    } catch (error) {
      // A test that fails may hold it still. An error here would hide why it has failed.
      if (!(error instanceof Deno.errors.Busy)) throw error;
      console.error(`At the end of the scope: ${error.message}`);
    }
  }
}

/** A second process that tells what it does in lines of text, and is killed at the end of the scope. */
export class Teller {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;
  #rest = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#errors = new Response(child.stderr).text();
  }

  /** Starts Deno with code that finds what `mod.ts` and the module under test export. */
  static async start(
    code: string,
    args: string[] = [],
    options: { v8Flags?: string[]; before?: string } = {},
  ): Promise<Teller> {
    return new Teller(await startChild(prelude + code, { ...options, args }));
  }

  /** Starts any other program. */
  static run(program: string, args: string[], env: Record<string, string> = {}): Teller {
    return new Teller(
      new Deno.Command(program, { args, env, stdin: "piped", stdout: "piped", stderr: "piped" })
        .spawn(),
    );
  }

  /** Starts Python with a program that finds what `shm_attach.py` has for waiting and locking. */
  static python(program: string, args: string[] = []): Teller {
    const imports =
      "import os, signal, sys, time\nfrom shm_attach import Lock, attach, notify, wait\n";
    return Teller.run(python()!.path, ["-u", "-B", "-c", imports + program, ...args], {
      PYTHONPATH: new URL("../../examples/python/", import.meta.url).pathname,
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The next line; fails if the process ends before. */
  async line(): Promise<string> {
    let end: number;
    while ((end = this.#rest.indexOf("\n")) < 0) {
      const { value, done } = await this.#lines.read();
      if (done) {
        const { code, signal } = await this.#child.status;
        throw new Error(
          `The process ended with ${signal ?? code} after "${this.#rest}":\n${await this.#errors}`,
        );
      }
      this.#rest += value;
    }
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }

  /** Writes to its standard input. */
  async write(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  }

  /** Closes its standard input. */
  async closeInput(): Promise<void> {
    await this.#child.stdin.close();
  }

  kill(signal: Deno.Signal = "SIGKILL"): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
  }

  /** Waits for its end, and tells how it ended, what it had left to say, and its errors. */
  async end(): Promise<{ code: number; signal: Deno.Signal | null; rest: string; errors: string }> {
    while (true) {
      const { value, done } = await this.#lines.read();
      if (done) break;
      this.#rest += value;
    }
    const { code, signal } = await this.#child.status;
    return { code, signal, rest: this.#rest, errors: await this.#errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    if (!this.#child.stdin.locked) await this.#child.stdin.close().catch(() => {});
    await this.end();
  }
}

/** Waits until something holds, by looking; fails after a long time. */
export async function until(
  what: string,
  holds: () => boolean,
  limit = 60_000 * slowness,
): Promise<void> {
  const end = performance.now() + limit;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`It did not come about: ${what}`);
    await sleep(1);
  }
}

/** Whether a kernel that can wait on many words runs this; one that is emulated cannot. */
export const hasVector: boolean = hasFutexWaitMany();

/**
 * Whether a thread of a process waits on a mapped segment, as the kernel tells it; of those that do not block, at least
 * so many waits must stand in one call.
 */
export function isWaiting(pid: number, waits = 0): boolean {
  const segments = read(`/proc/${pid}/maps`).split("\n")
    .filter((line) => line.includes("/dev/shm/"))
    .map((line) => line.split(/[- ]/, 2).map((address) => parseInt(address, 16)));
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const call = read(`/proc/${pid}/task/${name}/syscall`);
    // The numbers of futex_waitv everywhere, and of futex on x86_64 and aarch64. The former has the vector and its
    // length, in which the control word counts, too.
    const length = /^449 \S+ (\S+)/.exec(call)?.[1];
    if (length !== undefined && parseInt(length) > waits) return true;
    const address = parseInt(/^(?:202|98) (\S+)/.exec(call)?.[1] ?? "0");
    if (segments.some(([begin, end]) => address >= begin && address < end)) return true;
  }
  return false;
}

/** A file of `/proc`; nothing where its process or thread has ended, before the file was opened or after that. */
function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    if ((error as { code?: string }).code === "ESRCH") return "";
    throw error;
  }
}

/**
 * Waits until a process waits on memory that processes share. One that does not block must have said that
 * its wait has begun: then the kernel knows of it soon, where it can. `waits` is how many of them there are to be.
 */
export function untilWaiting(
  { pid }: { pid: number },
  how?: "async",
  waits?: number,
): Promise<void> {
  // A wait that looks again and again cannot be seen from outside.
  if (how === "async" && !hasVector) return sleep(100);
  return until("a waiting thread", () => isWaiting(pid, waits));
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}

/**
 * Follows a counter; tells whether it came to its end, or stood still. It stands still after a minute in which a
 * machine may have been busy, or after {@linkcode SHORT_PATIENCE}, where a control is to see that. The first step may
 * take long: other processes must start for it.
 */
export async function progress(
  count: () => number,
  end: number,
  patience = 60_000 * slowness,
): Promise<"done" | "stalled"> {
  let last = count();
  const hasBegun = await until("the first step", () => count() !== last).then(
    () => true,
    () => false,
  );
  if (!hasBegun) return "stalled";
  let since = performance.now();
  while (last < end) {
    await sleep(5);
    const now = count();
    if (now !== last) {
      last = now;
      since = performance.now();
    } else if (performance.now() - since > patience) return "stalled";
  }
  return "done";
}

/** After how many milliseconds a counter stands still that is to do so. */
export const SHORT_PATIENCE = 3000 * slowness;

/** Compiles a C program of `tests/c/` into a folder, and gives the path of the program. */
export function compile(source: string, folder: string): string {
  const program = `${folder}/${source.replace(/\.c$/, "")}`;
  const path = new URL(`../c/${source}`, import.meta.url).pathname;
  const { success, stderr } = new Deno.Command("cc", {
    args: ["-O2", "-Wall", "-Werror", "-o", program, path, "-lrt"],
  }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return program;
}
