/**
 * How instances look in `console.log`.
 *
 * @module
 */

/**
 * Lets the instances of a class be shown as their class's name and what is worth to be seen of them.
 *
 * @param prototype the prototype of the class
 * @param parts gives the parts to show of an instance
 * @see {@link https://docs.deno.com/examples/custom_inspect/ | Deno: custom inspect}
 */
export function showAs<T extends object>(prototype: T, parts: (instance: T) => object): void {
  // A method with this computed name would be none that --isolatedDeclarations can describe.
  Object.defineProperty(prototype, Symbol.for("Deno.customInspect"), {
    value(this: T, inspect: typeof Deno.inspect, options: object): string {
      return `${this.constructor.name} ${inspect(parts(this), options)}`;
    },
  });
}
