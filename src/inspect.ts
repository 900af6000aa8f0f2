/**
 * How instances look in `console.log`.
 *
 * @module
 */

import { inspectKey } from "../ffi/runtime/errors.ts";
import { descriptorOf } from "./check.ts";

/** The runtime's own way to show a value, which its console hands over. */
type Inspect = (value: unknown, options: object) => string;

/**
 * Makes `console.log` show the instances of a class as the name of the class and some of their parts.
 *
 * @param prototype the prototype of the class
 * @param parts returns the parts of an instance that are shown
 * @see {@link https://docs.deno.com/examples/custom_inspect/ | Deno: custom inspect}
 */
export function showAs<T extends object>(prototype: T, parts: (instance: T) => object): void {
  define(prototype, function (this: T, inspect: Inspect, options: object): string {
    return `${this.constructor.name} ${inspect(parts(this), options)}`;
  });
}

/**
 * Makes `console.log` show the instances of a class as a text.
 *
 * @param prototype the prototype of the class
 * @param textOf returns the text of an instance
 */
export function showText<T extends object>(prototype: T, textOf: (instance: T) => string): void {
  define(prototype, function (this: T): string {
    return textOf(this);
  });
}

// The method is defined in this way because --isolatedDeclarations refuses one with a computed name.
function define(prototype: object, value: (...args: never) => string): void {
  Object.defineProperty(prototype, inspectKey, descriptorOf({ value }));
}
