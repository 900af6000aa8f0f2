/**
 * What users take today to hand an array to another process: `child_process.fork` with its IPC channel,
 * in Deno, Node and Bun. Reads "BYTES ROUNDS" from standard input, answers with nanoseconds for the way
 * there and back; the child sends back what it gets.
 *
 * @module
 */

import { fork } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

if (process.argv[2] === "child") {
  process.on("message", (message) => process.send(message));
} else {
  const child = fork(fileURLToPath(import.meta.url), ["child"], { serialization: "advanced" });
  const trip = (bytes) =>
    new Promise((resolve) => {
      child.once("message", resolve);
      child.send(bytes);
    });
  const back = await trip(new Uint8Array([1, 2, 3]));
  if (back.length !== 3 || back[2] !== 3) throw new Error("The child sends back something else");
  const { bun, deno, node } = process.versions;
  console.log(bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`);
  for await (const line of createInterface({ input: process.stdin })) {
    const [size, rounds] = line.split(" ").map(Number);
    const bytes = new Uint8Array(size).fill(7);
    const begin = performance.now();
    for (let i = 0; i < rounds; i++) await trip(bytes);
    console.log((performance.now() - begin) * 1e6 / rounds);
  }
  child.kill();
  process.exit();
}
