// The part of jsr:@std/uuid that the tests use, as that package itself names it.
// @ts-types="./v4.d.ts"
export * as v4 from "npm:deno-std@1.4.0/uuid/v4.js";
// @ts-types="./common.d.ts"
export { isNil, validate, version } from "npm:deno-std@1.4.0/uuid/common.js";
