/**
 * How instances look in `console.log`.
 *
 * @module
 */

import { descriptorOf } from "./check.ts";

/**
 * Makes `console.log` show the instances of a class as the name of the class and some of their parts.
 *
 * @param prototype the prototype of the class
 * @param parts returns the parts of an instance that are shown
 * @see {@link https://docs.deno.com/examples/custom_inspect/ | Deno: custom inspect}
 */
export function showAs<T extends object>(prototype: T, parts: (instance: T) => object): void {
  // The method is defined here because --isolatedDeclarations refuses one with this computed name.
  const show = function (this: T, inspect: typeof Deno.inspect, options: object): string {
    return `${this.constructor.name} ${inspect(parts(this), options)}`;
  };
  Object.defineProperty(
    prototype,
    Symbol.for("Deno.customInspect"),
    descriptorOf({ value: show }),
  );
}
