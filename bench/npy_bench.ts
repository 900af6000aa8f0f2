/**
 * What reading and writing `.npy` files costs: `bench:peers npy` measures it beside NumPy.
 *
 * @module
 */

import { createAndRegisterSma, type NDArray, SharedMemoryRegister } from "@shm/array";
import { readNpy, writeNpy } from "@shm/array/npy";
import { isBenched } from "./measure.ts";

const SIDE = 2048;

/** Removes the segments at the end of the process, and when a signal ends it. */
const register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });

/** 32 MB of float64 in shared memory, and a file of them. */
export class Files {
  readonly #view: NDArray<"float64">;
  readonly #folder: string = Deno.makeTempDirSync({ prefix: "shm-bench-" });

  constructor() {
    this.#view = createAndRegisterSma([SIDE, SIDE], "float64", register, "bench").array!;
    const data = this.#view.subarray();
    for (let i = 0; i < data.length; i++) data[i] = i;
    writeNpy(this.source, this.#view);
    this.swapOrder();
    for (const path of [this.source, this.bigEndian]) {
      const { sma, view } = readNpy(path, register);
      if (view.get(-1, -1) !== SIDE * SIDE - 1) throw new Error(`Cannot measure: ${path} is wrong`);
      sma.unlink();
      sma.close();
    }
  }

  get source(): string {
    return `${this.#folder}/source.npy`;
  }

  get bigEndian(): string {
    return `${this.#folder}/big-endian.npy`;
  }

  get target(): string {
    return `${this.#folder}/target.npy`;
  }

  /** What a peer writes: who replaces a file waits for what the one before still has to do. */
  get theirTarget(): string {
    return `${this.#folder}/their-target.npy`;
  }

  /** Writes the file once more, as a machine of the other byte order has it. */
  private swapOrder(): void {
    const bytes = Deno.readFileSync(this.source);
    bytes[bytes.indexOf("<".charCodeAt(0))] = ">".charCodeAt(0);
    const elements = new DataView(bytes.buffer, 128);
    for (let at = 0; at < elements.byteLength; at += 8) {
      elements.setFloat64(at, elements.getFloat64(at, true));
    }
    Deno.writeFileSync(this.bigEndian, bytes);
  }

  /** Reads a file into a new array; closing it is not counted. Gives nanoseconds. */
  read(path: string): number {
    const start = performance.now();
    const { sma } = readNpy(path, register);
    const time = (performance.now() - start) * 1e6;
    sma.unlink();
    sma.close();
    return time;
  }

  /** Writes all, or a part. Gives nanoseconds. */
  write(...part: string[]): number {
    const view = this.#view.slice(...part);
    const start = performance.now();
    writeNpy(this.target, view);
    return (performance.now() - start) * 1e6;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

if (isBenched(import.meta.url)) {
  const files = new Files();
  addEventListener("unload", () => files[Symbol.dispose]());
  Deno.bench({ group: "npy", name: "readNpy of 32 MB", fn: () => void files.read(files.source) });
  Deno.bench({
    group: "npy",
    name: "readNpy of 32 MB, big-endian",
    fn: () => void files.read(files.bigEndian),
  });
  Deno.bench({ group: "npy", name: "writeNpy of 32 MB", fn: () => void files.write() });
  Deno.bench({
    group: "npy",
    name: "writeNpy of 32 MB, last axis reversed",
    fn: () => void files.write("...", "::-1"),
  });
}
