/**
 * What the library needs of a JavaScript runtime, as Node has it: `node:ffi`.
 *
 * @see {@link https://nodejs.org/api/ffi.html | Node: FFI}
 * @module
 */

import { type CodedError, makeError } from "./errors.ts";
import { hostProcess, hostRuntime } from "./host.ts";
import { threadSleeper } from "./sleeper.ts";
import type { Declarations, Functions, NativeType, Runtime } from "./types.ts";

/** A library that is open. It takes one signature for each of its symbols. */
interface Library {
  getFunction(
    name: string,
    signature: { readonly arguments: readonly string[]; readonly return: string },
  ): unknown;
}

/** The part of `node:ffi` that is used. */
interface FFI {
  readonly DynamicLibrary: new (name: string) => Library;
  toArrayBuffer(address: bigint, byteLength: number, copies: boolean): ArrayBuffer;
  toString(address: bigint): string;
  getRawPointer(memory: ArrayBuffer): bigint;
}

/** The C types, by the names that Node has for them. Those of 64 bits are bigints, and so are pointers. */
const types: { readonly [type in NativeType]: string } = {
  i32: "int32",
  u32: "uint32",
  i64: "int64",
  usize: "uint64",
  isize: "int64",
  pointer: "pointer",
  buffer: "buffer",
  void: "void",
};

/** Libraries that are open. One that nobody holds might be closed, and its functions would lead nowhere. */
const opened: Library[] = [];

/** Makes the runtime for Node, of 26.9 and newer. */
export function makeNode(): Runtime {
  const { versions, permission, getBuiltinModule } = hostProcess();
  let found: FFI | undefined;
  const ffi = (): FFI => found ??= getBuiltinModule<FFI>("node:ffi");
  return Object.assign(
    hostRuntime(),
    {
      name: "node",
      checkVersion(): void {
        if (ffi() !== undefined) return;
        throw makeError(
          "NotSupported",
          "Cannot share memory: it needs Node 26.9 or newer, or --experimental-ffi (from 26.1 on), " +
            `and this is Node ${versions.node}` + (isNew(versions.node!) ? " without FFI" : ""),
        );
      },
      openLibrary<const D extends Declarations>(name: string, declarations: D): Functions<D> {
        // Further objects of a library take further signatures of a symbol.
        const objects: { readonly library: Library; readonly taken: Set<string> }[] = [];
        const functions: { [key: string]: unknown } = {};
        for (const [key, declaration] of Object.entries(declarations)) {
          const { name: symbol = key, parameters, result, optional } = declaration;
          let free = objects.find(({ taken }) => !taken.has(symbol));
          if (free === undefined) {
            objects.push(free = { library: open(ffi(), name), taken: new Set() });
          }
          free.taken.add(symbol);
          try {
            functions[key] = free.library.getFunction(symbol, {
              arguments: parameters.map((type) => types[type]),
              return: types[result],
            });
          } catch (error) {
            if (!optional) throw error;
            functions[key] = null;
          }
        }
        return functions as unknown as Functions<D>;
      },
      mayCallC: () => permission?.has("ffi") ?? true,
      addressOfBuffer: (buffer) => ffi().getRawPointer(buffer),
      bufferAt: (pointer, byteLength) =>
        ffi().toArrayBuffer(pointer as unknown as bigint, byteLength, false),
      stringAt: (pointer) => ffi().toString(pointer as unknown as bigint),
      sleeper: threadSleeper,
    } satisfies Partial<Runtime>,
  );
}

/** Whether a version has FFI, unless it was built without or a flag says no. */
function isNew(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major > 26 || (major === 26 && minor >= 9);
}

function open({ DynamicLibrary }: FFI, name: string): Library {
  try {
    const library = new DynamicLibrary(name);
    opened.push(library);
    return library;
  } catch (error) {
    if ((error as CodedError).code !== "ERR_ACCESS_DENIED") throw error;
    throw makeError(
      "NotCapable",
      "Cannot share memory: this program has no permission to call C; run it with --allow-ffi",
      error,
    );
  }
}
