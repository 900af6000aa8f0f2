/**
 * What Node and Bun have in common: the process, the terminal and files, by the modules that Node has.
 *
 * @module
 */

import { type CodedError, type ErrorName, makeError } from "./errors.ts";
import type { OpenFile, Pointer, Runtime, SignalName } from "./types.ts";

/** The part of the global `process` that is used. No types of Node are needed to check it. */
export interface Process {
  readonly pid: number;
  readonly platform: string;
  readonly arch: string;
  readonly argv: readonly string[];
  readonly env: { readonly [name: string]: string | undefined };
  readonly versions: { readonly [name: string]: string | undefined };
  readonly permission?: { has(scope: string): boolean };
  readonly stdout: { readonly columns?: number; readonly rows?: number };
  exit(code: number): never;
  on(event: string, listener: () => void): unknown;
  prependListener(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
  listenerCount(event: string): number;
  hasUncaughtExceptionCaptureCallback?(): boolean;
  /** Gives a module of the runtime, in programs of either kind of modules. */
  getBuiltinModule<M>(name: string): M;
}

/** The global `process`. On Deno the first look at it takes 12 ms: there nobody calls this. */
export function hostProcess(): Process {
  return (globalThis as unknown as { process: Process }).process;
}

/** Whether this program runs in a Worker. */
export function isWorker(): boolean {
  const { getBuiltinModule } = hostProcess();
  return !getBuiltinModule<{ isMainThread: boolean }>("node:worker_threads").isMainThread;
}

/** The part of `node:fs` that is used. */
interface FileSystem {
  readonly constants: { readonly [flag: string]: number };
  openSync(path: string | URL, flags: number, mode: number): number;
  closeSync(fd: number): void;
  fstatSync(fd: number): { isFile(): boolean; readonly size: number };
  readSync(fd: number, bytes: Uint8Array, at: number, length: number, from: number | null): number;
  writeSync(fd: number, bytes: Uint8Array, at: number, length: number, to: number | null): number;
  ftruncateSync(fd: number, size: number): void;
}

const [STDIN, STDOUT] = [0, 1];

/** What calls C, which each runtime has in its own way. */
type Calls =
  | "name"
  | "checkVersion"
  | "openLibrary"
  | "mayCallC"
  | "addressOfBuffer"
  | "bufferAt"
  | "stringAt"
  | "sleeper";

/** Processors, by the names that Node has for them. */
const processors: { readonly [arch: string]: string | undefined } = {
  x64: "x86_64",
  arm64: "aarch64",
};

/**
 * Makes what is the same on both, when it is known that this program runs on one of them.
 *
 * @returns all but what calls C; an address is a bigint here
 */
export function hostRuntime(): Omit<Runtime, Calls> {
  const process = hostProcess();
  const fs = process.getBuiltinModule<FileSystem>("node:fs");
  return {
    pid: process.pid,
    os: process.platform,
    arch: processors[process.arch] ?? process.arch,
    args: process.argv.slice(2),

    isNull: (pointer) => bigintOf(pointer) === 0n,
    pointerAt: (address) => address as unknown as Pointer,
    addressOf: bigintOf,

    exit: (code) => process.exit(code),
    isWorker,
    onExit: (action) => listen("exit", action),
    onUncaught: (action) =>
      listen("uncaughtExceptionMonitor", () => {
        // A program that handles the errors that nobody caught goes on.
        if (process.listenerCount("uncaughtException") > 0) return;
        if (process.hasUncaughtExceptionCaptureCallback?.()) return;
        action();
      }),
    onInterval(milliseconds, action) {
      const timer = setInterval(action, milliseconds);
      (timer as unknown as { unref(): void }).unref(); // Deno's types say that it is a number.
      return () => clearInterval(timer);
    },
    signalEndsListeners: false,
    onSignal: (name: SignalName, action) => listen(name, action),

    isTerminal: (stream) =>
      process.getBuiltinModule<{ isatty(fd: number): boolean }>("node:tty")
        .isatty(stream === "input" ? STDIN : STDOUT),
    // A terminal that nobody has given a size says 0.
    columns: () => process.stdout.columns || null,
    rows: () => process.stdout.rows || null,
    writeLine: (line) => writeText(fs, `${line}\n`),
    // https://no-color.org: an empty value is none.
    noColour: (process.env.NO_COLOR ?? "") !== "",
    confirm(question) {
      writeText(fs, `${question} [y/N] `);
      return /^y$/i.test(readLine(fs));
    },

    openFile: (path, mode) => new HostFile(fs, path, mode),
  };
}

function bigintOf(pointer: Pointer): bigint {
  return pointer as unknown as bigint;
}

function listen(event: string, listener: () => void): () => void {
  hostProcess().on(event, listener);
  return () => hostProcess().off(event, listener);
}

// --- Files -----------------------------------------------------------------------------------

/** The classes of the errors that files have, by code: those that Deno has for them. */
const classes: { readonly [code: string]: ErrorName | undefined } = {
  EPERM: "PermissionDenied",
  EACCES: "PermissionDenied",
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EBUSY: "Busy",
  ETXTBSY: "Busy",
  EPIPE: "BrokenPipe",
  ENOTDIR: "NotADirectory",
  EISDIR: "IsADirectory",
  ELOOP: "FilesystemLoop",
  ERR_ACCESS_DENIED: "NotCapable",
};

/** Calls a function of `node:fs`, whose errors become those that Deno has. */
function ofFile<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code = "", errno, syscall, message } = error as CodedError & Partial<FromCall>;
    const name = classes[code];
    if (name === undefined) throw error;
    // "ENOENT: no such file or directory, open 'x'"
    const text = message.replace(/^E[A-Z]+: /, "");
    const made = makeError(name, text[0].toUpperCase() + text.slice(1), error, code);
    throw errno === undefined ? made : Object.assign(made, { errno: Math.abs(errno), syscall });
  }
}

/** What Node's errors of system calls have; the number is negative there. */
interface FromCall {
  readonly errno: number;
  readonly syscall: string;
}

/** Node refuses to read or write more than 2^31 - 1 bytes at once. */
const MOST_BYTES = 2 ** 30;

class HostFile implements OpenFile {
  readonly #fs: FileSystem;
  readonly #fd: number;
  /** Where it is read or written next, as Node has no lseek; `null` in a file that goes forward only. */
  #position: number | null;
  readonly isFile: boolean;
  readonly size: number;
  readonly isSeekable: boolean;

  constructor(fs: FileSystem, path: string | URL, mode: "read" | "write") {
    const { O_RDONLY, O_WRONLY, O_CREAT } = fs.constants;
    this.#fs = fs;
    this.#fd = ofFile(() =>
      fs.openSync(path, mode === "write" ? O_WRONLY | O_CREAT : O_RDONLY, 0o666)
    );
    try {
      const status = ofFile(() => fs.fstatSync(this.#fd));
      this.isFile = this.isSeekable = status.isFile();
      this.size = this.isFile ? status.size : 0;
    } catch (error) {
      this.close();
      throw error;
    }
    this.#position = this.isSeekable ? 0 : null;
  }
  read(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, MOST_BYTES);
    return this.#moved(
      patiently(() => this.#fs.readSync(this.#fd, bytes, 0, length, this.#position)),
    );
  }
  write(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, MOST_BYTES);
    return this.#moved(
      patiently(() => this.#fs.writeSync(this.#fd, bytes, 0, length, this.#position)),
    );
  }
  #moved(count: number): number {
    if (this.#position !== null) this.#position += count;
    return count;
  }
  rewind(): void {
    this.#position = 0;
  }
  truncate(size: number): void {
    ofFile(() => this.#fs.ftruncateSync(this.#fd, size));
  }
  close(): void {
    this.#fs.closeSync(this.#fd);
  }
}

/** How long to wait for a pipe that is full or empty, in milliseconds. */
const PAUSE = 5;

/**
 * Reads or writes. Whoever started this program may have left a pipe or a terminal in a state in which a call does
 * not wait, and fails: then this waits.
 */
function patiently(call: () => number): number {
  while (true) {
    try {
      return ofFile(call);
    } catch (error) {
      if ((error as CodedError).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
    }
  }
}

function writeText(fs: FileSystem, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    const rest = bytes;
    bytes = rest.subarray(patiently(() => fs.writeSync(STDOUT, rest, 0, rest.length, null)));
  }
}

/** Reads a line of the input, byte by byte: what comes after it is for others. */
function readLine(fs: FileSystem): string {
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  const LINE_FEED = 10;
  while (patiently(() => fs.readSync(STDIN, byte, 0, 1, null)) > 0 && byte[0] !== LINE_FEED) {
    bytes.push(byte[0]);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
}
