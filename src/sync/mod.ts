/** @module */
export {
  notify,
  wait,
  waitAsync,
  type WaitAsyncOptions,
  type WaitAsyncResult,
  type WaitResult,
} from "./wait.ts";
