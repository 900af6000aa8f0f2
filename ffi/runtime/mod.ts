/**
 * The JavaScript runtime that this program runs on. This folder is the only place that names one.
 *
 * @module
 */

import { deno } from "./deno.ts";
import { makeError } from "./errors.ts";
import type { Runtime } from "./types.ts";

export type {
  Bytes,
  Declarations,
  Functions,
  OpenFile,
  Pointer,
  Runtime,
  SignalName,
  Sleeper,
} from "./types.ts";

let current: Runtime | undefined;

/**
 * Gives the runtime. It is looked for once, at the first call.
 *
 * @throws {Deno.errors.NotSupported} if it is none of those that are supported; the message says what is needed
 */
export function runtime(): Runtime {
  return current ??= find();
}

function find(): Runtime {
  const { Deno } = globalThis as { Deno?: { dlopen?: unknown } };
  if (Deno?.dlopen !== undefined) return deno;
  throw makeError(
    "NotSupported",
    `Cannot share memory: Deno 2.2 or newer is needed, and this is ${here()}`,
  );
}

/** Names where this program runs, for the message. */
function here(): string {
  const { Deno, process, navigator } = globalThis as {
    Deno?: { version?: { deno?: string } };
    process?: { versions?: { readonly [name: string]: string | undefined } };
    navigator?: { userAgent?: string };
  };
  // Some hosts run programs in a Deno that has no FFI.
  if (Deno !== undefined) return `Deno ${Deno.version?.deno ?? ""} without FFI`;
  const { bun, node } = process?.versions ?? {};
  // Bun says that it is Node, too; and Node has a navigator.
  if (bun !== undefined) return `Bun ${bun}`;
  if (node !== undefined) return `Node ${node}`;
  return navigator?.userAgent === undefined
    ? "another runtime"
    : `a browser (${navigator.userAgent})`;
}
