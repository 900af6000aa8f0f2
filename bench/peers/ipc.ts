/**
 * Shared memory beside what users take today to hand an array to another process: `child_process.fork` of
 * Deno, Node and Bun.
 *
 * @module
 */

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";
import { notify, wait } from "@shm/array/sync";
import { compare, type Contestant, expectSame, type Row } from "../measure.ts";
import { Peer } from "./peer.ts";

const here = (file: string): string => new URL(file, import.meta.url).pathname;

/** Starts `fork.mjs` in the three runtimes; Node and Bun come from npm. */
function startForks(): Promise<Peer[]> {
  const script = here("./fork.mjs");
  return Promise.all([
    Peer.start(Deno.execPath(), ["run", "-A", script]),
    Peer.start("npx", ["-y", "node@^26.9", script]),
    Peer.start("npx", ["-y", "bun@^1.3", script]),
  ]);
}

/** Measures a small and a large array; gives the versions of the runtimes, too. */
export async function measureIpc(): Promise<{ rows: Row[]; versions: Record<string, string> }> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const forks = await startForks();
  try {
    const rows: Row[] = [];
    for (const [text, bytes] of [["64 B", 64], ["64 MiB", 2 ** 26]] as const) {
      rows.push(...await measureSize(text, bytes, forks, register));
    }
    const [, node, bun] = forks.map(({ version }) => version);
    return { rows, versions: { node, bun } };
  } finally {
    for (const fork of forks) await fork[Symbol.asyncDispose]();
  }
}

async function measureSize(
  text: string,
  bytes: number,
  forks: readonly Peer[],
  register: SharedMemoryRegister,
): Promise<Row[]> {
  const count = bytes > 2 ** 20 ? 1 : 500;
  const ring = (): SharedMemoryRing<"uint8"> => {
    const name = SharedMemoryArray.buildSmaName("bench");
    register.push(name);
    return new SharedMemoryRing([bytes], "uint8", name, 2).create() as SharedMemoryRing<"uint8">;
  };
  const array = (length: number): SharedMemoryArray<"int32"> => {
    const name = SharedMemoryArray.buildSmaName("bench");
    register.push(name);
    const sma = new SharedMemoryArray([length], "int32", name);
    sma.create();
    return sma as SharedMemoryArray<"int32">;
  };
  using there = ring();
  using back = ring();
  using words = array(64);
  using payload = array(bytes / 4);
  const turns = words.array!.data;
  const elements = payload.array!.data;
  const children = [
    await startEcho("turns", words, payload),
    await startEcho("frames", there, back),
  ];
  const source = new Uint8Array(bytes).fill(7);
  const target = new Uint8Array(bytes);
  let answered = 0;
  const byRing: Contestant = () => {
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      source[0] = i & 127;
      there.write(source);
      const frame = back.next(answered);
      answered = frame.sequence;
      target.set(frame.array.data);
    }
    const time = (performance.now() - begin) * 1e6 / count;
    expectSame("what comes back through the ring", target[0], (count - 1) & 127);
    return time;
  };
  const byWords: Contestant = () => {
    const last = elements.length - 1;
    const expected = elements[last] + 2 * count;
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      elements[0]++;
      elements[last]++;
      const turn = Atomics.add(turns, 0, 1) + 1;
      notify(turns, 0);
      for (let seen; (seen = Atomics.load(turns, 16)) !== turn;) wait(turns, 16, seen);
    }
    const time = (performance.now() - begin) * 1e6 / count;
    expectSame("what comes back in shared memory", elements[last], expected);
    return time;
  };
  const against = ["Deno", "Node", "Bun"].map((name, i) => ({
    name: `fork of ${name}`,
    figure: "speed" as const,
    contestant: () => forks[i].ask(`${bytes} ${count}`),
  }));
  const item = `fork's messages beside shared memory, ${text} there and back`;
  const options = { rounds: count === 1 ? 4 : 21, warmup: count === 1 ? 1 : 3 };
  try {
    return [
      ...await compare({ item, what: "wait and notify", unit: "ns" }, byWords, against, options),
      ...await compare(
        { item, what: "copied in and out of a ring", unit: "ns" },
        byRing,
        against,
        options,
      ),
    ];
  } finally {
    for (const child of children) {
      child.kill("SIGKILL");
      await child.status;
    }
  }
}

/** Starts one of the other processes; returns when it has attached everything. */
async function startEcho(role: string, ...descriptors: unknown[]): Promise<Deno.ChildProcess> {
  const args = ["run", "-A", here("./ipc_echo.ts"), role];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, ...descriptors.map((each) => JSON.stringify(each))],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  return child;
}
