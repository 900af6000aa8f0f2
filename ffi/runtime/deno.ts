/**
 * What the library needs of a JavaScript runtime, as Deno has it.
 *
 * @module
 */

import { makeError } from "./errors.ts";
import type {
  Declarations,
  Functions,
  OpenFile,
  Pointer,
  Runtime,
  SignalName,
  Sleeper,
} from "./types.ts";

/** A pointer as Deno has it: `null` is the null pointer. */
type Native = Deno.PointerObject;

function nativeOf(pointer: Pointer): Native {
  return pointer as unknown as Native;
}

let waitv: Sleeper["wait"] | undefined;

/** Deno's threads for calls of C that block. */
function sleeperOf(library: string): Sleeper {
  return {
    starting: null,
    // A Worker that is terminated leaves its thread asleep, and notifications that reach this thread are lost.
    longestCall: deno.isWorker() ? 95 : 3_600_000,
    wait: waitv ??= ((): Sleeper["wait"] => {
      // long syscall(SYS_futex_waitv, struct futex_waitv *waiters, unsigned int nr_futexes, unsigned int flags,
      // struct timespec *timeout, clockid_t clockid)
      const { futex_waitv } = Deno.dlopen(library, {
        futex_waitv: {
          name: "syscall",
          parameters: ["i32", "buffer", "u32", "u32", "buffer", "i32"],
          result: "i32",
          nonblocking: true,
        },
      }).symbols;
      return (call, words, length, timeout) =>
        futex_waitv(call, words, length, 0, timeout, CLOCK_MONOTONIC);
    })(),
  };
}
const CLOCK_MONOTONIC = 1;

/** Deno, of 2.2 and newer. */
export const deno: Runtime = {
  name: "deno",
  get pid() {
    return Deno.pid;
  },
  get os() {
    return Deno.build.os;
  },
  get arch() {
    return Deno.build.arch;
  },
  get args() {
    return Deno.args;
  },

  checkVersion: () => checkDeno(Deno.version.deno),
  openLibrary<const D extends Declarations>(name: string, declarations: D): Functions<D> {
    const { symbols } = Deno.dlopen(name, declarations as unknown as Deno.ForeignLibraryInterface);
    return symbols as unknown as Functions<D>;
  },
  mayCallC: () => Deno.permissions.querySync({ name: "ffi" }).state === "granted",
  isNull: (pointer) => nativeOf(pointer) === null,
  // For C `null` is quicker than a pointer of address 0.
  pointerAt: (address) =>
    (address === 0n ? null : Deno.UnsafePointer.create(address)) as unknown as Pointer,
  addressOf: (pointer) => Deno.UnsafePointer.value(nativeOf(pointer)),
  addressOfBuffer: (buffer) =>
    Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(buffer))),
  bufferAt: (pointer, byteLength) =>
    Deno.UnsafePointerView.getArrayBuffer(nativeOf(pointer), byteLength),
  stringAt: (pointer) => Deno.UnsafePointerView.getCString(nativeOf(pointer)),
  sleeper: sleeperOf,

  exit: (code) => Deno.exit(code),
  isWorker: () => "DedicatedWorkerGlobalScope" in globalThis,
  onExit(action) {
    addEventListener("unload", action);
    return () => removeEventListener("unload", action);
  },
  onUncaught(action) {
    const listener = (event: Event): void => {
      if (!event.defaultPrevented) action();
    };
    addEventListener("error", listener);
    addEventListener("unhandledrejection", listener);
    return () => {
      removeEventListener("error", listener);
      removeEventListener("unhandledrejection", listener);
    };
  },
  onInterval(milliseconds, action) {
    const timer = setInterval(action, milliseconds);
    Deno.unrefTimer(timer);
    return () => clearInterval(timer);
  },
  get signalEndsListeners() {
    return endsListeners(Deno.version.deno);
  },
  onSignal(name: SignalName, action) {
    Deno.addSignalListener(name as Deno.Signal, action);
    return () => Deno.removeSignalListener(name as Deno.Signal, action);
  },

  isTerminal: (stream) => (stream === "input" ? Deno.stdin : Deno.stdout).isTerminal(),
  columns() {
    try {
      // A terminal that nobody has given a size says 0.
      return Deno.consoleSize().columns || null;
    } catch {
      return null;
    }
  },
  rows() {
    try {
      return Deno.consoleSize().rows || null;
    } catch {
      return null;
    }
  },
  writeLine(line) {
    let bytes = new TextEncoder().encode(`${line}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
  },
  get noColour() {
    return Deno.noColor;
  },
  // The types of a Worker have no confirm(), and this module is checked in Workers, too.
  confirm: (question) =>
    (globalThis as unknown as { confirm(question: string): boolean }).confirm(question),

  openFile(path, mode) {
    const options = mode === "write" ? { write: true, create: true } : { read: true };
    return new DenoFile(Deno.openSync(path, options), mode);
  },
};

/**
 * Refuses a version of Deno that is too old.
 *
 * @param version the version, as `Deno.version.deno` gives it
 * @throws {Deno.errors.NotSupported} if it is below 2.2, the first that has all that is used here
 */
export function checkDeno(version: string): void {
  const [major, minor] = version.split(".").map(Number);
  if (major > 2 || (major === 2 && minor >= 2)) return;
  throw makeError(
    "NotSupported",
    `Cannot share memory: this is Deno ${version}, and 2.2 or newer is needed; deno upgrade gets it`,
  );
}

/**
 * Whether a signal ends a program of this version of Deno, whoever listens to it, when some isolate has once listened
 * to it and does no more. Before 2.4.2 each isolate brings the system's action back for itself.
 *
 * @param version the version, as `Deno.version.deno` gives it
 */
export function endsListeners(version: string): boolean {
  const [major, minor, patch] = version.split(/[.+-]/).map(Number);
  return major === 2 && (minor < 4 || (minor === 4 && patch < 2));
}

class DenoFile implements OpenFile {
  readonly #file: Deno.FsFile;
  readonly isFile: boolean;
  readonly size: number;
  readonly isSeekable: boolean;

  constructor(file: Deno.FsFile, mode: "read" | "write") {
    this.#file = file;
    if (mode === "read") {
      try {
        ({ isFile: this.isFile, size: this.size } = file.statSync());
      } catch (error) {
        file.close();
        throw error;
      }
      this.isSeekable = this.isFile;
      return;
    }
    // To look at a file that is written, Deno wants the permission to read: a seek tells the size, too.
    let size: number | null = null;
    try {
      size = file.seekSync(0, Deno.SeekMode.End);
      file.seekSync(0, Deno.SeekMode.Start);
    } catch {
      size = null; // It is a pipe, which goes forward only.
    }
    this.isFile = this.isSeekable = size !== null;
    this.size = size ?? 0;
  }
  read(bytes: Uint8Array): number {
    return this.#file.readSync(bytes) ?? 0;
  }
  write(bytes: Uint8Array): number {
    return this.#file.writeSync(bytes);
  }
  rewind(): void {
    this.#file.seekSync(0, Deno.SeekMode.Start);
  }
  truncate(size: number): void {
    this.#file.truncateSync(size);
  }
  close(): void {
    this.#file.close();
  }
}
