/**
 * How instances look in `console.log`.
 *
 * @module
 */

import { inspectKeys } from "../ffi/runtime/errors.ts";
import { descriptorOf } from "./check.ts";

/** The runtime's own way to show a value, which its console hands over. */
type Inspect = (value: unknown, options: object) => string;

/**
 * Makes `console.log` show the instances of a class as the name of the class and some of their parts.
 *
 * @param prototype the prototype of the class
 * @param parts returns the parts of an instance that are shown
 * @see {@link https://docs.deno.com/examples/custom_inspect/ | Deno: custom inspect}
 * @see {@link https://nodejs.org/api/util.html#custom-inspection-functions-on-objects | Node: custom inspection}
 */
export function showAs<T extends object>(prototype: T, parts: (instance: T) => object): void {
  define(
    prototype,
    (instance: T, inspect, options) =>
      `${instance.constructor.name} ${inspect(parts(instance), options)}`,
  );
}

/**
 * Makes `console.log` show the instances of a class as a text.
 *
 * @param prototype the prototype of the class
 * @param textOf returns the text of an instance
 */
export function showText<T extends object>(prototype: T, textOf: (instance: T) => string): void {
  define(prototype, textOf);
}

/**
 * Makes the console of Node and Bun show an object as another one.
 *
 * @param target the object
 * @param instead gives the other one
 */
export function showLike(target: object, instead: () => object): void {
  Object.defineProperty(target, inspectKeys.node, descriptorOf({ value: instead }));
}

// The methods are defined in this way because --isolatedDeclarations refuses one with a computed name.
function define<T>(
  prototype: object,
  show: (instance: T, inspect: Inspect, options: object) => string,
): void {
  const forDeno = function (this: T, inspect: Inspect, options: object): string {
    return show(this, inspect, options);
  };
  const forNode = function (this: T, _depth: number, options: object, inspect: Inspect): string {
    return show(this, inspect, options);
  };
  Object.defineProperty(prototype, inspectKeys.deno, descriptorOf({ value: forDeno }));
  Object.defineProperty(prototype, inspectKeys.node, descriptorOf({ value: forNode }));
}
