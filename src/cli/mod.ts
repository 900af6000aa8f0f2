/**
 * The command `shm`: it shows what shared memory there is, whose it is and who uses it, and removes leftovers.
 *
 * ```sh
 * deno install -g -n shm --allow-ffi jsr:@shm/array/cli
 * ```
 *
 * installs it; `shm` alone prints its usage. It needs Linux, and the permission `--allow-ffi`. In Node and Bun it is
 * `node node_modules/@shm/array/src/cli/mod.js`, as JSR's packages bring no commands there.
 *
 * @example List the segments, remove leftovers, remove one by name
 * ```sh
 * shm ls
 * shm prune --older-than 1d --prefix tile --dry-run
 * shm rm 1-tile-202611-2302-5555-198e6d03-c8bd-4346-8153-55e95be48fdb
 * ```
 *
 * @example Without installing it
 * ```sh
 * deno run --allow-ffi jsr:@shm/array/cli ls
 * ```
 *
 * @module
 */

import { runtime } from "../../ffi/runtime/mod.ts";
import { runOn } from "./run.ts";
import { programScreen } from "./screen.ts";

export { run } from "./run.ts";

if (import.meta.main) runtime().exit(runOn(programScreen(), runtime().args));
