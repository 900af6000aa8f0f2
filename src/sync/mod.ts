/** @module */
export {
  type AcquireAsyncOptions,
  type AcquireOptions,
  type LockCreateOptions,
  type LockDescriptor,
  LockGuard,
  SharedMemoryLock,
} from "./lock.ts";
export {
  notify,
  wait,
  waitAsync,
  type WaitAsyncOptions,
  type WaitAsyncResult,
  type WaitResult,
} from "./wait.ts";
