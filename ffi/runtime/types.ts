/**
 * What the library needs of a JavaScript runtime. Nothing here runs.
 *
 * @module
 */

/** The C types that are bound. Integers of 64 bits are bigints, in both directions. */
export type NativeType =
  | "i32"
  | "u32"
  | "i64"
  | "usize"
  | "isize"
  | "pointer"
  | "buffer"
  | "void";

declare const opaque: unique symbol;

/** An address, in the form in which the runtime's FFI takes and gives it. Only a runtime's file looks into it. */
export interface Pointer {
  readonly [opaque]: never;
}

/** Memory of JavaScript that C may read and write during one call; `null` is the null pointer. */
export type Bytes = ArrayBufferView<ArrayBuffer> | null;

/** What a function takes for each C type. */
interface ParameterTypes {
  i32: number;
  u32: number;
  i64: bigint;
  usize: bigint;
  isize: bigint;
  pointer: Pointer;
  buffer: Bytes;
  void: never;
}

/** What a function gives for each C type. */
interface ResultTypes {
  i32: number;
  u32: number;
  i64: bigint;
  usize: bigint;
  isize: bigint;
  pointer: Pointer;
  buffer: Pointer;
  void: void;
}

/** The declaration of one function of C. */
export interface Declaration {
  /** The symbol, where it is not the name by which the function is called. */
  readonly name?: string;
  readonly parameters: readonly NativeType[];
  readonly result: NativeType;
  /** Not every supported library has it. */
  readonly optional?: true;
}

/** Declarations, by the names by which the functions are called. */
export interface Declarations {
  readonly [key: string]: Declaration;
}

/** What a function takes. */
type ParametersOf<T extends readonly NativeType[]> = {
  -readonly [I in keyof T]: ParameterTypes[T[I]];
};

/** A function of C. */
type NativeFunction<D extends Declaration> = (
  ...args: ParametersOf<D["parameters"]>
) => ResultTypes[D["result"]];

/** The functions of declarations; `null` is an optional one that the library does not have. */
export type Functions<D extends Declarations> = {
  readonly [K in keyof D]: D[K] extends { readonly optional: true } ? NativeFunction<D[K]> | null
    : NativeFunction<D[K]>;
};

/** Calls `futex_waitv` in another thread than this one, one call at a time. */
export interface Sleeper {
  /** Settled when the thread has started, or cannot; `null` if there is nothing to wait for. */
  readonly starting: Promise<void> | null;
  /** How long a call may take at the most, in milliseconds: the isolate may end without a word before. */
  readonly longestCall: number;
  /**
   * Waits. The arguments must be kept, and left as they are, until the call has returned.
   *
   * @param call the number of the system call
   * @param words the array of `struct futex_waitv`
   * @param length how many words it has
   * @param timeout an absolute `struct timespec` of the monotonic clock
   * @returns what the system call returned; -1 is a failure whose errno is that of the other thread
   */
  wait(
    call: number,
    words: Uint32Array<ArrayBuffer>,
    length: number,
    timeout: Uint32Array<ArrayBuffer>,
  ): Promise<number>;
}

/** An open file, which is read and written from where it stands. */
export interface OpenFile {
  readonly isFile: boolean;
  /** In bytes. */
  readonly size: number;
  /** Whether it can be rewound, as a pipe cannot. */
  readonly isSeekable: boolean;
  /** Reads up to as many bytes as fit, and gives how many; 0 at the end of the file. */
  read(bytes: Uint8Array): number;
  /** Writes some of the bytes, and gives how many. */
  write(bytes: Uint8Array): number;
  rewind(): void;
  truncate(size: number): void;
  close(): void;
}

/** The name of a signal, such as `"SIGINT"`. */
export type SignalName = `SIG${string}`;

/** A JavaScript runtime, as far as the library needs one. */
export interface Runtime {
  readonly name: "deno" | "node" | "bun";
  /** The id of this process. */
  readonly pid: number;
  /** The operating system: `"linux"`, `"darwin"`. */
  readonly os: string;
  /** The processor: `"x86_64"`, `"aarch64"`. */
  readonly arch: string;
  /** The arguments of the program. */
  readonly args: readonly string[];

  // --- Calling C ---

  /**
   * Refuses a version of the runtime that is too old, before something in it fails that would be hard to
   * understand.
   *
   * @throws {Deno.errors.NotSupported} if it is too old; the message says what is needed
   */
  checkVersion(): void;
  /**
   * Opens a library.
   *
   * @throws {Deno.errors.NotCapable} if a permission is missing
   */
  openLibrary<const D extends Declarations>(name: string, declarations: D): Functions<D>;
  /** Whether C may be called without a question to the user. */
  mayCallC(): boolean;
  isNull(pointer: Pointer): boolean;
  /** The pointer to an address, which may be 0. */
  pointerAt(address: bigint): Pointer;
  addressOf(pointer: Pointer): bigint;
  /** Where the memory of a buffer is; it lies outside of the garbage collector's heap, and stays where it is. */
  addressOfBuffer(buffer: ArrayBuffer): bigint;
  /** A buffer over memory. Nobody checks the length, and garbage collection gives nothing back. */
  bufferAt(pointer: Pointer, byteLength: number): ArrayBuffer;
  /** The text at an address, up to its NUL. */
  stringAt(pointer: Pointer): string;
  /**
   * Gives the sleeper of this isolate.
   *
   * @param library the name of the library that has `syscall`
   * @param wake ends the call that is under way
   */
  sleeper(library: string, wake: () => void): Sleeper;

  // --- The process ---

  /** Ends the program; in a Worker, the Worker. */
  exit(code: number): never;
  isWorker(): boolean;
  /** Calls a function when this isolate ends. The function that is returned takes that back. */
  onExit(action: () => void): () => void;
  /**
   * Calls a function at an error or a rejection that nobody caught. The function that is returned takes that
   * back.
   */
  onUncaught(action: () => void): () => void;
  /**
   * Calls a function again and again, which does not keep the program alive. The function that is returned takes
   * that back.
   *
   * @param milliseconds how long to wait before each call
   */
  onInterval(milliseconds: number, action: () => void): () => void;
  /**
   * Whether a signal ends the process, whoever listens to it, when some isolate has once listened to it and does no
   * more.
   */
  readonly signalEndsListeners: boolean;
  /** Calls a function when a signal has come. The function that is returned takes that back. */
  onSignal(name: SignalName, action: () => void): () => void;

  // --- The terminal ---

  /** Whether the input or the output of the program is a terminal. */
  isTerminal(stream: "input" | "output"): boolean;
  /** How many columns the terminal has; `null` where it does not tell. */
  columns(): number | null;
  /** How many lines the terminal has; `null` where it does not tell. */
  rows(): number | null;
  /**
   * Writes a line to the output, all of it.
   *
   * @throws {Deno.errors.BrokenPipe} if nobody reads it any more; what writes to the console hides that
   */
  writeLine(line: string): void;
  /** Whether the user wants no colours: `NO_COLOR` is set. */
  readonly noColour: boolean;
  /** Asks a question at the terminal, and waits for the answer; whatever is not yes is no. */
  confirm(question: string): boolean;

  // --- Files ---

  /** Opens a file to read it, or to write over it: then it is made if it is not there. */
  openFile(path: string | URL, mode: "read" | "write"): OpenFile;
}
