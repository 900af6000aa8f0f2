/**
 * What the library costs in one runtime: the same program runs in Deno, Node and Bun. It reads "COMMAND COUNT",
 * and answers with nanoseconds; processes of the same runtime, `runtime_echo.ts`, are on the other side.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
// Node and Bun have no import map of this repository.
import { type NDArray, SharedMemoryArray, SharedMemoryRegister } from "../../mod.ts";
import { SharedMemoryRing } from "../../src/publish/mod.ts";
import { SharedMemoryQueue } from "../../src/queue/mod.ts";
import { notify, SharedMemoryLock, wait, waitAsync } from "../../src/sync/mod.ts";

using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
const newName = (): string => {
  const name = SharedMemoryArray.buildSmaName("bench");
  register.push(name);
  return name;
};

const small = new SharedMemoryArray([512], "float64", newName());
small.create().fill(1);
const reader = SharedMemoryArray.clone(small);
const grid = new SharedMemoryArray([512, 512], "float64", newName()).create();
for (let i = 0; i < grid.data.length; i++) grid.data[i] = i / 3;
const lock = new SharedMemoryLock(newName()).create();
const words = new SharedMemoryArray(64, "int32", newName());
const turns = words.create().data;
const there = new SharedMemoryRing([4], "uint8", newName(), 4).create();
const back = new SharedMemoryRing([4], "uint8", newName(), 4).create();
const queue = new SharedMemoryQueue(newName(), 8).create();

/** Begins a turn, which the other process answers. */
function turn(): number {
  const next = Atomics.add(turns, 0, 1) + 1;
  notify(turns, 0);
  return next;
}

let answered = 0;
const commands: { readonly [command: string]: (count: number) => void | Promise<void> } = {
  create(count) {
    for (let i = 0; i < count; i++) {
      const sma = new SharedMemoryArray([512], "float64", `bench-${process.pid}-${i}`);
      sma.create().set(0, i);
      sma.unlink();
      sma.close();
    }
  },
  load(count) {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += reader.load().get(0);
      reader.close();
    }
    expect("load", sum, count);
  },
  get(count) {
    for (let i = 0; i < count; i += grid.size) sumOf(grid);
  },
  lock(count) {
    for (let i = 0; i < count; i++) lock.acquire().release();
  },
  notify(count) {
    let woken = 0;
    for (let i = 0; i < count; i++) woken += notify(turns, 32);
    expect("notify", woken, 0);
  },
  wait(count) {
    for (let i = 0; i < count; i++) {
      const next = turn();
      for (let seen; (seen = Atomics.load(turns, 16)) !== next;) wait(turns, 16, seen);
    }
  },
  async waitAsync(count) {
    for (let i = 0; i < count; i++) {
      const next = turn();
      for (let seen; (seen = Atomics.load(turns, 16)) !== next;) {
        await waitAsync(turns, 16, seen).value;
      }
    }
  },
  ring(count) {
    for (let i = 0; i < count; i++) {
      there.write(i & 127);
      const frame = back.next(answered);
      answered = frame.sequence;
      expect("ring", frame.array.get(0), i & 127);
    }
  },
  queue(count) {
    for (let i = 0; i < count; i++) {
      queue.put(i);
      const item = queue.take()!;
      expect("queue", item.message, i);
      item.complete();
    }
  },
};

function sumOf(view: NDArray<"float64">): number {
  const [height, width] = view.shape;
  let sum = 0;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) sum += view.get(i, j);
  }
  return sum;
}

function expect(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what} gives ${actual}, not ${expected}`);
}

const { bun, deno, node } = process.versions as { [name: string]: string | undefined };

/** Starts another process of this runtime; returns when it has attached everything. */
async function startEcho(role: string, ...instances: unknown[]): Promise<ChildProcess> {
  const file = fileURLToPath(new URL("./runtime_echo.ts", import.meta.url));
  const flags = deno === undefined ? process.execArgv : ["run", "-A"];
  const child = spawn(
    process.execPath,
    [...flags, file, role, ...instances.map((each) => JSON.stringify(each))],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

const echoes = [await startEcho("turns", words), await startEcho("frames", there, back)];
for (const command of Object.keys(commands)) await commands[command](1);
console.log(bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`);
for await (const line of createInterface({ input: process.stdin })) {
  const [command, count] = line.split(" ");
  const begin = performance.now();
  await commands[command](Number(count));
  console.log((performance.now() - begin) * 1e6 / Number(count));
}
for (const echo of echoes) echo.kill("SIGKILL");
register[Symbol.dispose]();
process.exit();
