/**
 * A thread with a JavaScript engine of its own, in which only some dtypes are in use.
 *
 * @module
 */

import type { DType } from "@shm/array";
import { type Kit, makeKit, type Operation, timeOperation } from "../dtypes_bench.ts";

/** A message to the worker. */
export type DTypeRequest =
  | { readonly use: readonly DType[] }
  | { readonly time: Operation; readonly times: number };

interface Scope {
  onmessage: (event: MessageEvent<DTypeRequest>) => void;
  postMessage(message: number[]): void;
}
const scope = globalThis as unknown as Scope;

let kits: Kit[] = [];

scope.onmessage = ({ data }) => {
  if ("use" in data) kits = data.use.map(makeKit);
  else scope.postMessage(kits.map((kit) => timeOperation(kit, data.time, data.times)));
};
