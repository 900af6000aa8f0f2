/**
 * The command `shm`: it shows what shared memory there is, whose it is and who uses it, and removes leftovers.
 *
 * ```sh
 * deno install -g -n shm --allow-ffi jsr:@shm/array/cli
 * ```
 *
 * installs it; `shm` alone prints its usage, and `shm help ls` that of one command. It needs Linux, and the permission
 * `--allow-ffi`; `save` and `load` need `--allow-write` and `--allow-read`, too. In Node and Bun it is
 * `node node_modules/@shm/array/src/cli/mod.js`, as JSR's packages bring no commands there.
 *
 * | command | what it does |
 * | --- | --- |
 * | `shm ls` | lists the segments: kind, shape, size, age, owner, programs that use them |
 * | `shm show NAME` | prints what stands in one: elements, a frame, who holds a lock |
 * | `shm watch NAME` | a line a second |
 * | `shm save NAME FILE`, `shm load FILE NAME` | `.npy` files |
 * | `shm rm NAME`, `shm prune` | removes names; removes what killed programs left |
 * | `shm python` | prints `shm_attach.py`, the module for Python |
 *
 * @example List the segments, remove leftovers, remove one by name
 * ```sh
 * shm ls
 * shm prune --older-than 1d --prefix tile --dry-run
 * shm rm first-steps
 * ```
 *
 * @example Without installing it
 * ```sh
 * deno run --allow-ffi jsr:@shm/array/cli ls
 * ```
 *
 * @module
 */

import { isStarted, runtime } from "../../ffi/runtime/mod.ts";
import { runOn } from "./run.ts";
import { programScreen } from "./screen.ts";

export { run } from "./run.ts";

if (import.meta.main ?? isStarted("/src/cli/mod.js")) {
  runtime().exit(runOn(programScreen(), runtime().args));
}
