/**
 * The other side of the portable checks: a process, of the same runtime or another one, that does what it is told.
 *
 * @module
 */

import fs from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import {
  errors,
  type NDArray,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
  shmarrayWrap,
} from "@shm/array";
import { type RingDescriptor, SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import type { VersionsDescriptor } from "@shm/array/publish";
import { type QueueDescriptor, SharedMemoryQueue } from "@shm/array/queue";
import { addSlowly } from "./check.ts";
import {
  type BarrierDescriptor,
  notify,
  SharedMemoryBarrier,
  SharedMemoryLock,
  wait,
  waitAsync,
} from "@shm/array/sync";

/** How long to wait for the other side, in milliseconds: only if something is broken is it reached. */
const PATIENCE = 60_000;

/** What a role is given. */
interface Data {
  readonly descriptor: SharedMemoryDescriptor;
  readonly ring: RingDescriptor;
  readonly versions: VersionsDescriptor;
  readonly queue: QueueDescriptor;
  readonly barrier: BarrierDescriptor;
  readonly name: string;
  readonly lock: string;
  readonly rounds: number;
  readonly locked: boolean;
  readonly progress: SharedMemoryDescriptor;
  readonly prefix: string;
}

/** Writes a line to the other side, at once: what comes next may block. */
function say(result: unknown): void {
  fs.writeSync(1, `${JSON.stringify({ result })}\n`);
}

function words({ descriptor }: Data): { data: Int32Array; close(): void } {
  const sma = SharedMemoryArray.from(descriptor, "int32");
  return { data: sma.load().data, close: () => sma.close() };
}

/** What a process can be asked for, by name; what a role returns is the answer. */
const roles: { readonly [role: string]: (data: Data) => unknown } = {
  /** Says which runtime this is. */
  who: () =>
    process.versions.bun !== undefined
      ? "bun"
      : (globalThis as { Deno?: unknown }).Deno !== undefined
      ? "deno"
      : "node",

  /** Sums an array up, and changes its last element. */
  sum({ descriptor }) {
    const sma = SharedMemoryArray.from(descriptor, "float64");
    const view = sma.load();
    let sum = 0;
    for (const element of view) sum += element;
    view.set(...view.shape.map(() => -1), -5);
    sma.close();
    return sum;
  },

  /** Attaches by name alone, and tells what it is. */
  attach({ name }) {
    const sma = SharedMemoryArray.attach(name);
    const { shape, dtype } = sma;
    const text = String(sma.array);
    sma.close();
    return { shape, dtype, text };
  },

  /** Writes to a private copy. */
  writePrivately({ descriptor }) {
    const sma = SharedMemoryArray.from(descriptor, "float64");
    const view = sma.load({ access: "copy-on-write" });
    view.fill(99);
    const element = view.get(...view.shape.map(() => 0));
    sma.close();
    return element;
  },

  /** Creates an array, after the other side has begun to wait for it. */
  createLate({ descriptor }) {
    const sma = SharedMemoryArray.from(descriptor, "float64");
    setTimeout(() => {
      sma.create().fill(3);
      sma.close();
    }, 30);
    return true;
  },

  /** Says whose segments it sees. */
  list({ name }) {
    return SharedMemoryArray.list().filter((segment) => segment.name === name);
  },

  /** Removes what nobody maps. */
  prune: ({ name }) => SharedMemoryArray.prune({ prefix: name }),

  /** Waits in a way that blocks, and answers when it was woken. */
  wait(data) {
    const { data: array, close } = words(data);
    say("waits");
    const ending = wait(array, 0, 0, PATIENCE);
    close();
    return ending;
  },

  /** Waits without blocking. */
  async waitAsync(data) {
    const { data: array, close } = words(data);
    const { value } = waitAsync(array, 0, 0, PATIENCE);
    say("waits");
    const ending = await value;
    close();
    return ending;
  },

  /** Plays ping-pong: answers each odd number by the next even one. */
  pong(data) {
    const { data: array, close } = words(data);
    for (let number = 1; number < 2 * data.rounds; number += 2) {
      let value: number;
      while ((value = Atomics.load(array, 0)) !== number) wait(array, 0, value, PATIENCE);
      Atomics.store(array, 0, number + 1);
      notify(array, 0);
    }
    close();
    return true;
  },

  /** Adds many times, with or without a lock. */
  async add(data) {
    const { data: array, close } = words(data);
    const lock = new SharedMemoryLock(data.lock).load();
    // Both begin when both are there.
    Atomics.add(array, 1, 1);
    while (Atomics.load(array, 1) < 2) await new Promise((resume) => setTimeout(resume, 1));
    for (let round = 0; round < data.rounds; round++) {
      const guard = data.locked ? lock.acquire({ timeout: PATIENCE }) : null;
      addSlowly(array);
      guard?.release();
    }
    lock.close();
    close();
    return true;
  },

  /** Takes a lock, and keeps it until this process is killed. */
  hold({ lock }) {
    const guard = new SharedMemoryLock(lock).load().acquire();
    setInterval(() => guard.abandoned, 1000);
    return "has it";
  },

  /** Meets at a barrier, and reads after each meeting what the other side wrote before. */
  meet({ barrier: descriptor, rounds, ...data }) {
    const barrier = SharedMemoryBarrier.from(descriptor).load({ timeout: PATIENCE });
    const { data: array, close } = words(data as Data);
    let wrong = 0;
    for (let round = 1; round <= rounds; round++) {
      barrier.meet({ timeout: PATIENCE });
      if (Atomics.load(array, 0) !== round) wrong++;
      barrier.meet({ timeout: PATIENCE });
    }
    barrier.close();
    close();
    return { wrong };
  },

  /** Takes a seat, and never comes. */
  sit({ barrier: descriptor }) {
    const barrier = SharedMemoryBarrier.from(descriptor).load({ timeout: PATIENCE });
    setInterval(() => barrier.seat, 1000);
    return "sits";
  },

  /** Writes frames; the last one is followed by the end. */
  writeFrames({ ring: descriptor, rounds }) {
    const ring = SharedMemoryRing.from(descriptor, "int32").load();
    for (let round = 1; round <= rounds; round++) ring.write((slot) => slot.fill(round));
    ring.end();
    ring.close();
    return true;
  },

  /** Reads frames to the end, and tells what was wrong with them. */
  async readFrames({ ring: descriptor }) {
    const ring = SharedMemoryRing.from(descriptor, "int32").load();
    say("reads");
    let [whole, torn, last] = [0, 0, 0];
    for await (const frame of ring.frames()) {
      const elements = frame.copy();
      if (elements === null) continue;
      whole++;
      last = frame.sequence;
      if (elements.some((element) => element !== elements[0])) torn++;
    }
    ring.close();
    return { torn, last, isAnyWhole: whole > 0 };
  },

  /** Publishes versions of a table, each full of its number. */
  async publish({ versions: descriptor, rounds }) {
    const table = SharedMemoryVersions.from(descriptor, "float64").load();
    for (let round = 0; round < rounds; round++) {
      await table.publish((next, version) => void next.fill(version));
    }
    table.end();
    table.close();
    return true;
  },

  /** Waits for the first version, and tells its elements. */
  async changed({ versions: descriptor }) {
    const table = SharedMemoryVersions.from(descriptor, "float64").load();
    say("waits");
    const { version, array } = await table.changedAsync({ timeout: PATIENCE });
    const elements = array.toArray();
    table.close();
    return { version, elements };
  },

  /** Squares numbers until the queue ends. */
  async serve({ queue: descriptor }) {
    const queue = SharedMemoryQueue.from(descriptor).load();
    say("serves");
    let served = 0;
    await queue.serve(({ message }) => {
      served++;
      if (typeof message !== "number") throw new TypeError("no number");
      return message * message;
    }, { concurrency: 2 });
    queue.close();
    return served > 0;
  },

  /** Takes an item, and keeps it until this process is killed. */
  takeAndHang({ queue: descriptor }) {
    const item = SharedMemoryQueue.from(descriptor).load().take({ timeout: PATIENCE });
    setInterval(() => item!.wanted, 1000);
    return item!.message;
  },

  /** Calls, as a client of this process's own. */
  async call({ queue: descriptor }) {
    const queue = SharedMemoryQueue.from(descriptor).load();
    const answers = await Promise.all([2, 3, 4].map((number) => queue.call<number>(number)));
    const error = await queue.call("no number").catch((error: Error) => error);
    queue.close();
    return { answers, error: error instanceof Error ? [error.name, error.message] : null };
  },

  // What crash.ts kills: each says that it is at work, and does something for ever.

  createForEver(data) {
    const { data: rounds } = words(data);
    for (let round = 1;; round++) {
      const name = SharedMemoryArray.buildSmaName(data.prefix);
      const sma = new SharedMemoryArray([300_000], "uint8", name);
      sma.create().fill(7);
      if (Atomics.add(rounds, 0, 1) % 8 !== 0) sma.unlink();
      sma.close();
      if (round === 1) say("at work");
    }
  },

  readForEver({ descriptor }) {
    say("at work");
    while (true) {
      const sma = SharedMemoryArray.from(descriptor, "int32");
      const row = sma.load().slice(":", 3) as NDArray<"int32">;
      if (row.copy().some((value) => value !== 3)) throw new Error("torn");
      sma.close();
    }
  },

  writeForEver({ descriptor, progress }) {
    const work = shmarrayWrap((target: NDArray<"int32">, done: NDArray<"int32">) => {
      say("at work");
      for (let round = 0;; round++) {
        for (let row = 0; row < target.shape[0]; row++) {
          for (let column = 0; column < target.shape[1]; column++) target.set(row, column, round);
          Atomics.store(done.data, 0, round * target.shape[0] + row + 1);
        }
      }
    });
    work(descriptor as never, progress as never);
  },

  createAnonymousForEver({ descriptor }) {
    const told = SharedMemoryArray.from(descriptor, "uint8").load() as NDArray<"uint8">;
    const kept: SharedMemoryArray[] = [];
    say("at work");
    while (true) {
      const sma = SharedMemoryArray.createAnonymous([300_000], "uint8");
      sma.array!.fill(7);
      told.fill(0);
      told.slice(`:${sma.name.length}`).assign(new TextEncoder().encode(sma.name));
      kept.push(sma);
      if (kept.length > 3) kept.shift()!.unlink();
    }
  },

  lockForEver(data) {
    const { data: array } = words(data);
    const lock = new SharedMemoryLock(data.lock).load();
    for (let round = 1;; round++) {
      const guard = lock.acquire();
      array[0]++;
      array[1]++;
      guard.release();
      if (round === 1) say("at work");
    }
  },

  publishForEver({ ring: descriptor }) {
    const ring = SharedMemoryRing.from(descriptor, "int32").load();
    ring.write((slot, sequence) => slot.fill(sequence));
    say("at work");
    while (true) ring.write((slot, sequence) => slot.fill(sequence));
  },

  /** Which class an error has, and its code. */
  fail({ name }) {
    try {
      new SharedMemoryArray([1], "int8", name).load();
      return null;
    } catch (error) {
      const { code, errno, syscall } = error as { code: string; errno: number; syscall: string };
      return { isNotFound: error instanceof errors.NotFound, code, errno, syscall };
    }
  },
};

/** Programs that end in different ways, with a register that lists a segment. */
const endings: { readonly [ending: string]: () => void } = {
  "its end": () => {},
  "exit()": () => process.exit(3),
  "an error": () => {
    setTimeout(() => {
      throw new Error("on purpose");
    }, 5);
  },
  "a rejection": () => {
    Promise.reject(new Error("on purpose"));
  },
  "a signal": () => {
    setInterval(() => {}, 1000);
  },
};

/** Ends in a way, with a segment that a register lists. */
function endWith(ending: string, name: string): void {
  const register = new SharedMemoryRegister({ signals: ["SIGTERM", "SIGINT"], uncaught: true });
  new SharedMemoryArray([4], "uint8", name).create();
  register.push(name);
  console.log("ready");
  endings[ending]();
}

/** Begins a wait on each word of a segment. */
function waitForAll(name: string): Promise<string>[] {
  const words = new SharedMemoryArray([300], "int32", name).load().data;
  return Array.from(words, (_, index) => waitAsync(words, index, 0, PATIENCE).value) as Promise<
    string
  >[];
}

/** Programs that end while waits are pending, or when they are over. */
const waiting: { readonly [ending: string]: (name: string) => void } = {
  "exit() while 300 waits are pending": (name) => {
    waitForAll(name);
    setTimeout(() => process.exit(3), 200);
  },
  "exit() with a listener that throws": (name) => {
    process.on("exit", () => {
      throw new Error("on purpose");
    });
    waitForAll(name);
    setTimeout(() => process.exit(3), 200);
  },
  "its end, when a wait is over": async (name) => {
    const words = new SharedMemoryArray([300], "int32", name).load().data;
    console.log(await waitAsync(words, 0, 0, 200).value); // nothing else keeps the program alive
  },
  "telling who looks at waits": async (name) => {
    const words = new SharedMemoryArray([300], "int32", name).load().data;
    const rounds = Number(process.argv[4]);
    // To a timer a changed word is a notification, unless this process stood still meanwhile. A thread is there after
    // some rounds, and knows better each time.
    for (let round = 0, timedOut = 0; round < rounds; round++) {
      Atomics.store(words, 0, 0);
      const { value } = waitAsync(words, 0, 0, 20);
      setTimeout(() => Atomics.store(words, 0, 1), 2);
      timedOut = await value === "timed-out" ? timedOut + 1 : 0;
      if (timedOut === 10) return console.log("a thread");
    }
    console.log("a timer");
  },
  "terminating a Worker that waits": async (name) => {
    await (await workerThat("waits", name)).terminate();
    console.log("terminated");
  },
  "terminating a Worker that is blocked": async (name) => {
    await (await workerThat("is blocked", name)).terminate();
    console.log("terminated");
  },
  "exit() while a Worker is blocked": async (name) => {
    await workerThat("is blocked", name);
    process.exit(3);
  },
};

/** Starts a Worker that waits for the words of a segment, or is blocked in a wait for the first. */
async function workerThat(does: "waits" | "is blocked", name: string): Promise<Worker> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { does, name } });
  await new Promise((resume) => worker.once("message", resume));
  await new Promise((resume) => setTimeout(resume, 200));
  return worker;
}

function workAsWorker({ does, name }: { does: "waits" | "is blocked"; name: string }): void {
  parentPort!.postMessage(does);
  if (does === "waits") return void waitForAll(name);
  wait(new SharedMemoryArray([300], "int32", name).load().data, 0, 0);
}

const [ending, name] = process.argv.slice(2);
if (!isMainThread) workAsWorker(workerData);
else if (Object.hasOwn(waiting, ending ?? "")) waiting[ending](name);
else if (ending !== undefined) endWith(ending, name);
else {
  for await (const line of createInterface({ input: process.stdin })) {
    const { role, data } = JSON.parse(line);
    try {
      say(await roles[role](data) ?? null);
    } catch (error) {
      const text = error instanceof Error
        ? `${error.name}: ${error.message}\n${error.stack}`
        : error;
      process.stdout.write(`${JSON.stringify({ error: text })}\n`);
    }
  }
  process.exit(0);
}
