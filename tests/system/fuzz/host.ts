/**
 * What the fuzzer needs of the runtime that it runs in: Deno, Node or Bun.
 *
 * @module
 */

import { linkSync, renameSync } from "node:fs";
import process from "node:process";
import { markAsUntransferable, Worker as NodeWorker } from "node:worker_threads";

const { Deno, Bun, gc } = globalThis as {
  Deno?: typeof globalThis.Deno;
  Bun?: { gc(isNow: boolean): void };
  gc?: () => void;
};

/** Collects garbage. */
export const collect: () => void = gc ?? (Bun === undefined ? missing() : () => Bun.gc(true));

function missing(): never {
  throw new Error("run this with --expose-gc (in Deno --v8-flags=--expose-gc)");
}

/** Gives a segment another name, or one more; tells whether it could. */
type Rename = (from: string, to: string) => boolean;

/** Deno's own functions want all permissions for what is in /dev, so C is called there. */
export const [rename, link]: readonly [Rename, Rename] = Deno === undefined
  ? [ofFileSystem(renameSync), ofFileSystem(linkSync)]
  : ofLibc(Deno);

function ofFileSystem(call: (from: string, to: string) => void): Rename {
  return (from, to) => {
    try {
      call(`/dev/shm/${from}`, `/dev/shm/${to}`);
      return true;
    } catch {
      return false;
    }
  };
}

function ofLibc({ dlopen }: typeof globalThis.Deno): readonly [Rename, Rename] {
  const { symbols } = dlopen("libc.so.6", {
    rename: { parameters: ["buffer", "buffer"], result: "i32" },
    link: { parameters: ["buffer", "buffer"], result: "i32" },
  });
  const pathOf = (name: string): Uint8Array<ArrayBuffer> =>
    new TextEncoder().encode(`/dev/shm/${name}\0`);
  return [
    (from, to) => symbols.rename(pathOf(from), pathOf(to)) === 0,
    (from, to) => symbols.link(pathOf(from), pathOf(to)) === 0,
  ];
}

/** Marks a buffer as one that cannot be moved; `null` where there is no such mark. */
export const markUntransferable: ((buffer: ArrayBuffer) => void) | null = canMark()
  ? markAsUntransferable
  : null;

/** Whether a buffer that was marked cannot be moved in any way. In Bun `transfer()` moves it nevertheless. */
function canMark(): boolean {
  try {
    const buffer = new ArrayBuffer(8);
    markAsUntransferable(buffer);
    try {
      buffer.transfer();
      return false;
    } catch {
      return true;
    }
  } catch {
    return false; // Bun 1.3 has the function, which throws
  }
}

/** A Worker, as the fuzzer uses it. */
export interface Helper {
  /** Sends a request; what comes next is its reply. */
  ask<Reply>(request: unknown, transfer: ArrayBuffer[]): Promise<Reply>;
  terminate(): void;
}

/** Starts a Worker. */
export function startHelper(program: URL): Helper {
  if (typeof Worker === "undefined") return startInNode(program);
  const worker = new Worker(program, { type: "module" });
  return {
    ask: (request, transfer) =>
      new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(`in the worker: ${message}`));
        worker.postMessage(request, transfer);
      }),
    terminate: () => worker.terminate(),
  };
}

function startInNode(program: URL): Helper {
  const worker = new NodeWorker(program);
  return {
    ask: (request, transfer) =>
      new Promise((resolve, reject) => {
        worker.removeAllListeners();
        worker.once("message", resolve);
        worker.once("error", reject);
        worker.postMessage(request, transfer);
      }),
    terminate: () => void worker.terminate(),
  };
}

/** The arguments of this program, its process, and its end. */
export const args: readonly string[] = process.argv.slice(2);
export const { pid } = process;
export const exit = (code: number): never => process.exit(code);
