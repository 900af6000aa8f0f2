/**
 * What the library needs of a JavaScript runtime, as Bun has it: `bun:ffi`.
 *
 * @see {@link https://bun.com/docs/runtime/ffi | Bun: FFI}
 * @module
 */

import { makeError } from "./errors.ts";
import { hostProcess, hostRuntime } from "./host.ts";
import { threadSleeper } from "./sleeper.ts";
import type { Declarations, Functions, NativeType, Runtime } from "./types.ts";

/** A library that is open. */
interface Library {
  readonly symbols: { readonly [name: string]: unknown };
}

/** The part of `bun:ffi` that is used. */
interface FFI {
  dlopen(
    library: string,
    symbols: {
      readonly [name: string]: { readonly args: readonly string[]; readonly returns: string };
    },
  ): Library;
  toArrayBuffer(address: number, offset: number, byteLength: number): ArrayBuffer;
  ptr(memory: ArrayBuffer): number;
  readonly CString: new (address: number) => object;
}

/** The C types, by the names that Bun has for them. Those of 64 bits are bigints. */
const types: { readonly [type in NativeType]: string } = {
  i32: "i32",
  u32: "u32",
  i64: "i64",
  usize: "u64",
  isize: "i64",
  // A pointer is a number there, which cannot tell the highest address, and so not that mmap() failed.
  pointer: "u64",
  buffer: "ptr",
  void: "void",
};

/** The longest `ArrayBuffer` of JavaScriptCore. */
const LONGEST_BUFFER = 2 ** 32;

/** Libraries that are open. One that nobody holds might be closed, and its functions would lead nowhere. */
const opened: Library[] = [];

/** Makes the runtime for Bun, of 1.3 and newer. */
export function makeBun(): Runtime {
  const { versions, getBuiltinModule } = hostProcess();
  let found: FFI | undefined;
  const ffi = (): FFI => found ??= getBuiltinModule<FFI>("bun:ffi");
  return Object.assign(
    hostRuntime(),
    {
      name: "bun",
      checkVersion: () => checkBun(versions.bun!),
      openLibrary<const D extends Declarations>(name: string, declarations: D): Functions<D> {
        const functions: { [key: string]: unknown } = {};
        // A name stands once in a call of dlopen(), which fails if any symbol is missing: so each has its own.
        for (const [key, declaration] of Object.entries(declarations)) {
          const { name: symbol = key, parameters, result, optional } = declaration;
          try {
            const library = ffi().dlopen(name, {
              [symbol]: { args: parameters.map((type) => types[type]), returns: types[result] },
            });
            opened.push(library);
            functions[key] = library.symbols[symbol];
          } catch (error) {
            // "bun:ffi requires the JIT"
            if (error instanceof Error && error.message.includes("the JIT")) {
              throw notCompiled(error);
            }
            if (!optional) throw error;
            functions[key] = null;
          }
        }
        return functions as unknown as Functions<D>;
      },
      mayCallC: () => true,
      addressOfBuffer: (buffer) => BigInt(ffi().ptr(buffer)),
      bufferAt(pointer, byteLength) {
        if (byteLength > LONGEST_BUFFER) {
          throw makeError(
            "NotSupported",
            `Cannot map ${byteLength} bytes: an ArrayBuffer of Bun has ${LONGEST_BUFFER} bytes at the most`,
          );
        }
        if (byteLength === LONGEST_BUFFER && minorOf(versions.bun!) < 4) {
          // The element of that index is not there: it is read as undefined, and what is stored is lost.
          throw makeError(
            "NotSupported",
            `Cannot map ${byteLength} bytes: Bun ${versions.bun} does not reach the last of them; 1.4 does`,
          );
        }
        return ffi().toArrayBuffer(Number(pointer as unknown as bigint), 0, byteLength);
      },
      stringAt: (pointer) => String(new (ffi().CString)(Number(pointer as unknown as bigint))),
      sleeper: threadSleeper,
    } satisfies Partial<Runtime>,
  );
}

/**
 * Refuses a version of Bun that is too old.
 *
 * @param version the version, as `process.versions.bun` gives it
 * @throws {NotSupported} if it is below 1.3
 */
function checkBun(version: string): void {
  if (minorOf(version) >= 3) return;
  throw makeError(
    "NotSupported",
    `Cannot share memory: this is Bun ${version}, and 1.3 or newer is needed; bun upgrade gets it`,
  );
}

/** The second number of a version of Bun 1; `Infinity` for what comes after that. */
function minorOf(version: string): number {
  const [major, minor] = version.split(".").map(Number);
  return major > 1 ? Infinity : minor;
}

function notCompiled(cause: Error): Error {
  return makeError(
    "NotSupported",
    "Cannot share memory: Bun calls C only where it may compile, and here it may not " +
      "(BUN_JSC_useJIT is off, or the system forbids it)",
    cause,
  );
}
