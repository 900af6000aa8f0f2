/**
 * Rows of wrong calls, and the tests that are made of them: each call gives an error of the documented class
 * that says what is wrong, before anything is asked of the system.
 *
 * These tests run without any permission (`permissions: "none"`): a call that got as far as a system call
 * would have to open the C library, and give NotCapable where another error is expected. So the tests of a
 * file that uses {@linkcode refuses} must not open the library; a test of each such file shows that it is
 * not open. Taken out, the check of names lets "a/b" through to NotCapable; the check of own options takes
 * what `Object.prototype` has; and so on, row by row. A row is changed when a message becomes better, and
 * never loosened.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import * as typed from "@shm/array";
import { errorOf } from "./helpers.ts";

/** What `mod.ts` exports, without types. */
// deno-lint-ignore no-explicit-any -- nearly every call here is one that the compiler refuses
export const api = typed as any;
const { NDArray, SharedMemoryArray } = api;

/** An object whose properties throw when they are read. */
export function hostile(keys: readonly PropertyKey[]): object {
  const get = (): never => {
    throw new Error("hostile getter");
  };
  const object = {};
  for (const key of keys) Object.defineProperty(object, key, { enumerable: true, get });
  return object;
}

/** A proxy that throws when one property of its target is read. */
export function proxyOf(target: object, trapped: PropertyKey): object {
  return new Proxy(target, {
    get(...args) {
      if (args[1] === trapped) throw new Error("hostile trap");
      return Reflect.get(...args);
    },
  });
}

/** A proxy that throws when its keys are asked for. */
export function withoutKeys(): object {
  return new Proxy({}, {
    ownKeys() {
      throw new Error("hostile trap");
    },
  });
}

export const sparse: number[] = [2];
sparse[2] = 3;
export const hole: number[] = [1];
hole[2] = 3;
export const cyclic: unknown[] = [];
cyclic.push(cyclic);
export const detached = new Uint8Array(4);
detached.buffer.transfer();
export const gone = new NDArray(new Int8Array(4), { shape: [2, 2] });
(gone.data.buffer as ArrayBuffer).transfer();
export const view = new NDArray(new Float64Array(6), { shape: [2, 3] });
export const big = new NDArray(new BigInt64Array(2));
export const sma = new SharedMemoryArray([4], "int8", "a");

/** What V8 says of a method that is called on an object of another class. */
export const FOREIGN = /private member|Receiver must be/;

/** An error, what its message says, and calls that give it. */
export type Row = [
  ErrorClass: new (message?: string) => Error,
  message: string | RegExp,
  calls: (() => unknown)[],
];

/** How many wrong calls there are in some rows. */
function count(some: readonly Row[]): number {
  return some.reduce((sum, [, , calls]) => sum + calls.length, 0);
}

/**
 * Registers the tests of wrong calls: one for each public symbol, so that a failure names it; and one that
 * shows that a system call would have been seen.
 *
 * @param rows the wrong calls of each public symbol
 * @param least how many wrong calls there are at least: none is dropped
 */
export function refuses(rows: { [symbol: string]: Row[] }, least: number): void {
  const all = count(Object.values(rows).flat());
  Deno.test({
    name: `bad input: a system call would be seen here as NotCapable, in ${all} wrong calls`,
    permissions: "none",
    fn() {
      assertInstanceOf(errorOf(() => sma.load()), Deno.errors.NotCapable);
      assert(all >= least, `${all} wrong calls are fewer than ${least}`);
    },
  });
  for (const [symbol, its] of Object.entries(rows)) {
    Deno.test({
      name: `${symbol} refuses ${
        count(its)
      } wrong calls by the documented error, without a system call`,
      permissions: "none",
      fn() {
        const wrong: string[] = [];
        for (const [ErrorClass, message, calls] of its) {
          for (const call of calls) {
            const text = String(call).replace(/^\(\)\s*=>\s*/, "");
            try {
              const error = errorOf(call);
              const told = typeof message === "string"
                ? error.message.includes(message)
                : message.test(error.message);
              if (error.constructor !== ErrorClass || !told) wrong.push(`${text} gives ${error}`);
            } catch (failure) {
              wrong.push(`${text}: ${failure}`);
            }
          }
        }
        // All of them at once: one wrong row must not hide the others.
        assert(wrong.length === 0, wrong.join("\n"));
        // None of the views and descriptions that were misused has changed.
        assertEquals(view.toArray(), [[0, 0, 0], [0, 0, 0]]);
        assertEquals([view.shape, view.stride], [[2, 3], [3, 1]]);
        assertEquals(big.toArray(), [0n, 0n]);
        assertEquals({ ...sma }, { shape: [4], dtype: "int8", name: "a", arraySlice: null });
      },
    });
  }
}
