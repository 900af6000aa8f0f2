/**
 * The other end of the fuzzer's `postMessage`: keeps the buffers that it is sent, reads and writes
 * them when it is told to, and attaches to arrays by their description.
 *
 * @module
 */

import { parentPort } from "node:worker_threads";
import { SharedMemoryArray, type SharedMemoryDescriptor } from "@shm/array";

/** What the fuzzer asks for; every request gets one reply. */
export type Request =
  | { readonly what: "keep"; readonly id: number; readonly buffer: ArrayBuffer }
  | { readonly what: "read"; readonly id: number }
  | { readonly what: "write"; readonly id: number; readonly at: number; readonly byte: number }
  | { readonly what: "back"; readonly id: number }
  | { readonly what: "drop"; readonly id: number }
  | { readonly what: "load"; readonly descriptor: SharedMemoryDescriptor };

/** Bytes that were read, or a buffer that comes back. */
export type Reply = Uint8Array | ArrayBuffer | null;

const kept = new Map<number, ArrayBuffer>();

function answer(request: Request): Reply {
  switch (request.what) {
    case "keep":
      kept.set(request.id, request.buffer);
      return null;
    case "read":
      return new Uint8Array(kept.get(request.id)!).slice();
    case "write":
      new Uint8Array(kept.get(request.id)!)[request.at] = request.byte;
      return null;
    case "back": {
      const buffer = kept.get(request.id)!;
      kept.delete(request.id);
      return buffer;
    }
    case "drop":
      kept.delete(request.id);
      (globalThis as { gc?: () => void }).gc?.();
      return null;
    case "load": {
      using sma = SharedMemoryArray.from(request.descriptor);
      const { buffer, byteOffset, byteLength } = sma.load({ reinterpret: true }).data;
      return new Uint8Array(buffer, byteOffset, byteLength).slice();
    }
  }
}

/** Replies to a request by a function that sends it. */
function reply(request: Request, send: (message: Reply, transfer: ArrayBuffer[]) => void): void {
  const message = answer(request);
  send(message, request.what === "back" ? [message as ArrayBuffer] : []);
}

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => void;
  postMessage?(message: Reply, transfer: ArrayBuffer[]): void;
};
if (scope.postMessage === undefined) {
  parentPort!.on("message", (request: Request) => {
    reply(request, (message, transfer) => parentPort!.postMessage(message, transfer));
  });
} else {
  scope.onmessage = ({ data }) =>
    reply(data, (message, transfer) => scope.postMessage!(message, transfer));
}
