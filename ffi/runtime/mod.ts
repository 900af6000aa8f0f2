/**
 * The JavaScript runtime that this program runs on. This folder is the only place that names one.
 *
 * @module
 */

import { makeBun } from "./bun.ts";
import { deno } from "./deno.ts";
import { makeError } from "./errors.ts";
import { makeNode } from "./node.ts";
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
  // Deno is asked for first: it has a `process`, too, which takes 12 ms at the first look.
  if (Deno?.dlopen !== undefined) return deno;
  if (Deno === undefined && !isCloudflare()) {
    const { process } = globalThis as { process?: HostProcess };
    const { bun, node } = process?.versions ?? {};
    // Bun says that it is Node, too.
    if (bun !== undefined) return makeBun();
    if (node !== undefined && process?.getBuiltinModule !== undefined) return makeNode();
  }
  throw makeError(
    "NotSupported",
    "Cannot share memory: Deno 2.2, Node 26.9 or Bun 1.3, or a newer one, is needed, and this is " +
      here(),
  );
}

/** As much of `process` as is needed to tell whose it is, and which program it runs. */
interface HostProcess {
  readonly versions?: { readonly [name: string]: string | undefined };
  readonly getBuiltinModule?: unknown;
  readonly argv?: readonly string[];
}

/**
 * Whether a program is the one that was started, for runtimes whose `import.meta.main` does not tell: Node before 24.2
 * would do nothing and say nothing.
 *
 * @param end how the path of its file ends
 */
export function isStarted(end: string): boolean {
  const { process } = globalThis as { process?: HostProcess };
  return process?.argv?.[1]?.endsWith(end) ?? false;
}

/**
 * Whether this is Cloudflare's runtime, which says that it is a Node of some version, too.
 *
 * @see {@link https://developers.cloudflare.com/workers/runtime-apis/web-standards/ | navigator.userAgent}
 */
function isCloudflare(): boolean {
  const { navigator } = globalThis as { navigator?: { userAgent?: string } };
  return navigator?.userAgent === "Cloudflare-Workers";
}

/** Names where this program runs, for the message. */
function here(): string {
  const { Deno, process, navigator } = globalThis as {
    Deno?: { version?: { deno?: string } };
    process?: HostProcess;
    navigator?: { userAgent?: string };
  };
  // Some hosts run programs in a Deno that has no FFI.
  if (Deno !== undefined) return `Deno ${Deno.version?.deno ?? ""} without FFI`;
  if (isCloudflare()) return "Cloudflare Workers";
  const { node } = process?.versions ?? {};
  // Node has a navigator, too.
  if (node !== undefined) return `Node ${node}`;
  return navigator?.userAgent === undefined
    ? "another runtime"
    : `a browser (${navigator.userAgent})`;
}
