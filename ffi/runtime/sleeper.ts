/**
 * Calls of C that block, in a thread of their own, for runtimes whose FFI has none that do not block.
 *
 * The thread is a Worker that is made from text, so that no file must be found in a bundle, a tarball or a compiled
 * program. It waits for a command in `Atomics.wait`, and carries it out in the kernel. While it is there it cannot be
 * ended, and whoever ends the program or the Worker that it serves waits for it: so calls must be short. The call that
 * is under way is ended when the program ends; of a Worker that is terminated nothing can run any more. The end of a
 * program waits for no thread in Bun: there each return from a call takes much more of the processor than in Node, and
 * a call of the main thread may be long.
 *
 * @module
 */

import { hostProcess, isWorker } from "./host.ts";
import type { Sleeper } from "./types.ts";

/** A Worker of `node:worker_threads`, as far as it is used. */
interface Thread {
  on(event: string, listener: (value: number) => void): void;
  ref(): void;
  unref(): void;
}

/** What the thread is given. */
interface Data {
  /** What both sides see; the functions below have the offsets. */
  readonly memory: SharedArrayBuffer;
  /** The name of the library that has `syscall`. */
  readonly library: string;
}

/** A function of C in the thread. */
type Call = (...args: (number | bigint)[]) => number | bigint;

/** The modules, as far as the thread uses them. */
interface Modules {
  "node:worker_threads": {
    readonly workerData: Data;
    readonly parentPort: { postMessage(result: number): void };
  };
  "node:ffi": {
    readonly DynamicLibrary: new (library: string) => {
      getFunction(name: string, types: { arguments: string[]; return: string }): Call;
    };
    getRawPointer(memory: SharedArrayBuffer): bigint;
  };
  "bun:ffi": {
    dlopen(
      library: string,
      symbols: { [name: string]: { args: string[]; returns: string } },
    ): { readonly symbols: { readonly [name: string]: Call } };
    ptr(memory: Uint8Array): number;
  };
}

/** The global `process` in the thread. */
interface ThreadsProcess {
  readonly versions: { readonly bun?: string };
  getBuiltinModule<N extends keyof Modules>(name: N): Modules[N];
}

/** What both sides see: 128 words to wait on, then the time limit, then the numbers. */
const [WORDS_AT, LIMIT_AT, NUMBERS_AT, END] = [0, 3072, 3088, 3104];

/** The numbers: how many commands have come, the number of the system call, and how many words there are. */
const [COMMANDS, CALL, LENGTH] = [0, 1, 2];

/**
 * What the thread does. Its source text is all that the thread has: it uses nothing of this module, and names no
 * function, because bundlers put calls of their own helpers beside those.
 */
const program = (): void => {
  const { process } = globalThis as unknown as { process: ThreadsProcess };
  const { workerData, parentPort } = process.getBuiltinModule("node:worker_threads");
  const { memory, library } = workerData;
  const numbers = new Int32Array(memory, 3088, 4);
  let address: bigint;
  // long syscall(SYS_futex_waitv, struct futex_waitv *waiters, unsigned int nr_futexes, unsigned int flags,
  // struct timespec *timeout, clockid_t clockid)
  let syscall: Call;
  if (process.versions.bun === undefined) {
    const { DynamicLibrary, getRawPointer } = process.getBuiltinModule("node:ffi");
    address = getRawPointer(memory);
    syscall = new DynamicLibrary(library).getFunction("syscall", {
      arguments: ["int64", "uint64", "uint32", "uint32", "uint64", "int32"],
      return: "int64",
    });
  } else {
    const { dlopen, ptr } = process.getBuiltinModule("bun:ffi");
    address = BigInt(ptr(new Uint8Array(memory)));
    ({ syscall } = dlopen(library, {
      syscall: { args: ["i64", "u64", "u32", "u32", "u64", "i32"], returns: "i64" },
    }).symbols);
  }
  const CLOCK_MONOTONIC = 1;
  parentPort.postMessage(0);
  for (let command = 0;;) {
    Atomics.wait(numbers, 0, command);
    command = Atomics.load(numbers, 0);
    const [, call, length] = numbers;
    // Node takes nothing but bigints for integers of 64 bits.
    const result = syscall(BigInt(call), address, length, 0, address + 3072n, CLOCK_MONOTONIC);
    parentPort.postMessage(Number(result));
  }
};

/** For each thread, what ends the call that is under way. */
const wakers: (() => void)[] = [];

/** Whether threads can be had, as far as is known: where not, waits are looked at by a timer. */
let areAllowed = true;

/**
 * Gives a sleeper, whose thread is started at its first use.
 *
 * @param library the name of the library that has `syscall`
 * @param wake ends the call that is under way
 * @returns a sleeper, each call of which fails where this program may have no thread
 */
export function threadSleeper(library: string, wake: () => void): Sleeper {
  const longestCall = isWorker() ? 95 : hostProcess().versions.bun === undefined ? 500 : 3_600_000;
  const memory = new SharedArrayBuffer(END);
  const list = new Uint32Array(memory, WORDS_AT, (LIMIT_AT - WORDS_AT) / 4);
  const limit = new Uint32Array(memory, LIMIT_AT, 4);
  const numbers = new Int32Array(memory, NUMBERS_AT, (END - NUMBERS_AT) / 4);
  const thread = startThread({ memory, library });
  if (thread === null) {
    return { starting: null, longestCall, wait: () => Promise.resolve(-1) };
  }
  /** What is done with the next message: the first one says that the thread has started. */
  let settle: ((result: number) => void) | undefined;
  let isDead = false;
  let starting: Promise<void> | null = new Promise((resolve) => {
    settle = () => {
      starting = null;
      resolve();
    };
  });
  const end = (result: number): void => {
    const resolve = settle;
    settle = undefined;
    thread.unref();
    resolve?.(result);
  };
  thread.on("message", end);
  thread.on("error", () => {
    areAllowed = false; // the next one would fail as well
  });
  // It comes after an error, too.
  thread.on("exit", () => {
    isDead = true;
    end(-1);
  });
  // Only a wait keeps the program alive. This comes last, because a listener does, too.
  thread.unref();
  // One listener serves all threads: Node takes more than ten for a leak.
  if (wakers.push(wake) === 1) {
    // It is the first one, because none is called any more after one that throws.
    hostProcess().prependListener("exit", () => wakers.forEach((wakeOne) => wakeOne()));
  }
  return {
    get starting() {
      return starting;
    },
    longestCall,
    wait(call, words, length, timeout) {
      if (isDead) return Promise.resolve(-1);
      list.set(words.subarray(0, length * WORDS_PER_WAIT));
      limit.set(timeout);
      numbers[CALL] = call;
      numbers[LENGTH] = length;
      const { promise, resolve } = Promise.withResolvers<number>();
      settle = resolve;
      thread.ref();
      Atomics.add(numbers, COMMANDS, 1);
      Atomics.notify(numbers, COMMANDS);
      return promise;
    },
  };
}

/** The words of 32 bits in a `struct futex_waitv`. */
const WORDS_PER_WAIT = 6;

function startThread(workerData: Data): Thread | null {
  if (!areAllowed) return null;
  const { versions, getBuiltinModule } = hostProcess();
  const { Worker } = getBuiltinModule<{ Worker: new (text: string, options: object) => Thread }>(
    "node:worker_threads",
  );
  try {
    return new Worker(`(${program})()`, {
      eval: true,
      name: "shm-array waits",
      workerData,
      stdin: false,
      // The program's own options of Node, such as modules that are loaded first, are not for this thread.
      ...(versions.bun === undefined
        ? { execArgv: ["--disable-warning=ExperimentalWarning"], env: {} }
        : {}),
    });
  } catch {
    // Node is run with --permission and without --allow-worker, for example.
    areAllowed = false;
    return null;
  }
}
