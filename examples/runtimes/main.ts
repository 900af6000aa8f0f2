// Deno, Node and Bun paint one picture at the same time, and Python mirrors it in water: one array, and no copy.
// Runs in Deno, Node and Bun, and so does painter.ts. README.md beside it says what has to be installed.
// Run it: deno run -A examples/runtimes/main.ts PICTURE.ppm

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createAndRegisterSma, SharedMemoryRegister } from "@shm/array";
import type { Job } from "./painter.ts";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const painters = [
  ["deno", "run", "--quiet", "--allow-ffi", here("painter.ts")],
  ["node", "--disable-warning=ExperimentalWarning", here("painter.ts")],
  ["bun", here("painter.ts")],
];
const mirror = ["python3", here("mirror.py")];

/** Starts a program and waits for its end; it is killed when another one has failed. */
function run([program, ...args]: string[], job: Job, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args, JSON.stringify(job)], { stdio: "inherit", signal });
    child.on("error", (cause) => reject(new Error(`${program} cannot be started`, { cause })));
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ended with code ${code}`));
    });
  });
}

async function main(path: string): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using picture = createAndRegisterSma([400, 640, 3], "uint8", register, "picture");
  using state = createAndRegisterSma(8, "int32", register, "state");

  const stop = new AbortController();
  try {
    // To JSON an array is a description of some 120 bytes.
    const jobOf = (index: number): Job => ({ picture, state, index, painters: painters.length });
    await Promise.all([
      ...painters.map((command, index) => run(command, jobOf(index), stop.signal)),
      run(mirror, jobOf(painters.length), stop.signal),
    ]);
  } finally {
    stop.abort();
  }

  const [height, width] = picture.shape;
  writeFileSync(path, `P6 ${width} ${height} 255\n`);
  writeFileSync(path, picture.array!.subarray(), { flag: "a" });
  const rows = [...state.array!.slice("3:6")];
  console.log(`Deno painted ${rows[0]} rows, Node ${rows[1]}, Bun ${rows[2]}; Python the water.`);
}

if (process.argv[2] === undefined) {
  console.error("Cannot paint: say where, such as picture.ppm");
  process.exitCode = 2;
} else await main(process.argv[2]);
