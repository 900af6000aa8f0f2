/**
 * Commands for the shell: they list segments, and remove leftovers.
 *
 * It needs Linux, and the permission `--allow-ffi`.
 *
 * @example List the segments, remove leftovers, remove one by name
 * ```sh
 * deno run --allow-ffi jsr:@shm/array/cli ls
 * deno run --allow-ffi jsr:@shm/array/cli prune --older-than 1d --prefix tile --dry-run
 * deno run --allow-ffi jsr:@shm/array/cli rm 1-tile-202611-2302-5555-198e6d03-c8bd-4346-8153-55e95be48fdb
 * ```
 *
 * @module
 */

import { runtime } from "../../ffi/runtime/mod.ts";
import { run } from "./run.ts";

export { run } from "./run.ts";

if (import.meta.main) runtime().exit(run(runtime().args));
