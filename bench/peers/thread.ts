/**
 * The other thread of the hand-over: takes an array by `postMessage`, changes its first and last
 * element, and posts it back.
 *
 * @module
 */

import { touch } from "./wire.ts";

/** A message of the hand-over between threads. */
export interface Parcel {
  readonly array: Float64Array<ArrayBuffer>;
  /** Whether the memory is moved instead of copied. */
  readonly transfer: boolean;
}

interface Scope {
  onmessage: (event: MessageEvent<Parcel>) => void;
  postMessage(message: Parcel, transfer: Transferable[]): void;
}
const scope = globalThis as unknown as Scope;

scope.onmessage = ({ data }) => {
  touch(data.array);
  scope.postMessage(data, data.transfer ? [data.array.buffer] : []);
};
