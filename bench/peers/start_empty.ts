/**
 * A program that does nothing: what Deno itself takes to start.
 *
 * @module
 */

export {};
