/**
 * Waiting and locking between processes, beside C, a pipe, and the bare system calls.
 *
 * @module
 */

import { SharedMemoryArray } from "@shm/array";
import { notify, SharedMemoryBarrier, SharedMemoryLock, wait, waitAsync } from "@shm/array/sync";
import {
  compare,
  compareGroup,
  type Contestant,
  DWELL,
  dwell,
  interleave,
  makeOwnRow,
  type Row,
  timed,
} from "../measure.ts";
import { groups, lockCycles, makeLock, makeWords, raw, SYS_futex } from "../sync_bench.ts";
import { type Peer, processorTime } from "./peer.ts";
import { meetTimes, MEMBERS, passOn } from "./ring_of_four.ts";

const ITEM = "wait and notify between two processes";

/**
 * Measures all of it.
 *
 * @param c the C program `bare_sync.c`
 */
export async function measureSync(c: Peer): Promise<Row[]> {
  return [
    ...await measureTrips(c),
    ...await measureMeetings(),
    ...await measureCalls(c),
    ...await measureReads(),
    ...await measureIdle(),
    await measureRecovery(),
  ];
}

/** Starts `sync_echo.ts`, and waits until it has said something. */
async function start(args: string[], meanwhile = (): void => {}): Promise<Deno.ChildProcess> {
  const file = new URL("./sync_echo.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", file, ...args],
    stdout: "piped",
  }).spawn();
  meanwhile();
  await child.stdout.getReader().read();
  return child;
}

async function measureTrips(c: Peer): Promise<Row[]> {
  const directory = await Deno.makeTempDir({ prefix: "shm-bench-" });
  const pipes = [`${directory}/there`, `${directory}/back`];
  await new Deno.Command("mkfifo", { args: pipes }).output();
  const { name, words, address } = makeWords();
  let output!: Deno.FsFile;
  let input!: Deno.FsFile;
  const echo = await start(["echo", name, ...pipes], () => {
    output = Deno.openSync(pipes[0], { write: true });
    input = Deno.openSync(pipes[1], { read: true });
  });
  /** Has the other process answer in one way, and takes so many turns with it. */
  const trips = (
    way: number,
    count: number,
    turn: (turn: number) => void | Promise<void>,
  ): Contestant =>
  async () => {
    words[48] = count;
    Atomics.store(words, 32, way);
    notify(words, 32);
    const first = words[16];
    let time = 0;
    for (let i = 1; i <= count; i++) {
      if (way === 4) dwell();
      const begin = performance.now();
      const result = turn(first + i);
      if (result !== undefined) await result;
      time += performance.now() - begin - (way === 4 ? DWELL : 0);
    }
    return time * 1e6 / count;
  };
  const byte = new Uint8Array(1);
  const count = 1000;
  try {
    const rows = [
      ...await compare(
        { item: ITEM, what: "round trip, both synchronous", unit: "ns" },
        trips(1, count, (turn) => {
          Atomics.store(words, 0, turn);
          notify(words, 0);
          while (Atomics.load(words, 16) !== turn) wait(words, 16, turn - 1);
        }),
        [
          {
            name: "C with the same futex",
            goal: { most: 1.5 },
            contestant: () => c.ask(`trip ${count}`),
          },
          {
            name: "a pipe between two Deno processes",
            goal: { most: 0.25 },
            contestant: trips(3, count, () => {
              output.writeSync(byte);
              input.readSync(byte);
            }),
          },
        ],
        { rounds: 21 },
      ),
      ...await compare(
        { item: ITEM, what: "round trip, waitAsync on one side, both sides asleep", unit: "ns" },
        trips(4, count, async (turn) => {
          Atomics.store(words, 0, turn);
          notify(words, 0);
          while (Atomics.load(words, 16) !== turn) await waitAsync(words, 16, turn - 1).value;
        }),
        [{
          name: "a nonblocking futex call alone",
          goal: { most: 1.3 },
          contestant: trips(4, count, async (turn) => {
            Atomics.store(words, 0, turn);
            raw.futex_wake(SYS_futex, address, 1, 1);
            while (Atomics.load(words, 16) !== turn) {
              await raw.futex_wait(SYS_futex, address + 64n, 0, turn - 1, null);
            }
          }),
        }],
        { rounds: 21 },
      ),
    ];
    const spinning = trips(2, 20_000, (turn) => {
      Atomics.store(words, 0, turn);
      while (Atomics.load(words, 16) !== turn);
    });
    const [times] = await interleave([spinning], { rounds: 15 });
    rows.push(makeOwnRow(
      // iceoryx2 has published 0.1 to 0.33 µs.
      { item: ITEM, what: "round trip, spinning on Atomics", unit: "µs" },
      { most: 0.3 },
      times.map((time) => time / 1000),
    ));
    return rows;
  } finally {
    echo.kill("SIGKILL");
    await echo.status;
    input.close();
    output.close();
    await Deno.remove(directory, { recursive: true });
  }
}

/** Four processes meet; beside it, they pass a turn round by `notify` and `wait`. */
async function measureMeetings(): Promise<Row[]> {
  using sma = new SharedMemoryArray([192], "int32", SharedMemoryArray.buildSmaName("bench"));
  const words = sma.create().data;
  using barrier = new SharedMemoryBarrier(SharedMemoryArray.buildSmaName("bench"), MEMBERS)
    .createOrLoad();
  const others: Deno.ChildProcess[] = [];
  const count = 500;
  /** Has all take part in one way so often. */
  const take = (way: number, part: () => void): Contestant => () => {
    words[129] = way;
    words[130] = count;
    words[131] = words[0]; // all have the same turn at rest
    Atomics.add(words, 128, 1);
    notify(words, 128);
    const begin = performance.now();
    part();
    return (performance.now() - begin) * 1e6 / count;
  };
  try {
    for (let own = 1; own < MEMBERS; own++) {
      others.push(await start(["member", sma.name, String(own), JSON.stringify(barrier)]));
    }
    return await compare(
      { item: "four processes meet", what: "meet() of a barrier", unit: "ns" },
      take(2, () => meetTimes(barrier, count)),
      [{
        name: "notify and wait of the four in a ring",
        goal: { most: 2 },
        contestant: take(1, () => passOn(words, 0, words[131], count)),
      }],
      { rounds: 31 },
    );
  } finally {
    for (const other of others) {
      other.kill("SIGKILL");
      await other.status;
    }
    sma.unlink();
    barrier.unlink();
  }
}

async function measureCalls(c: Peer): Promise<Row[]> {
  const rows: Row[] = [];
  for (const group of groups) rows.push(...await compareGroup(group, { rounds: 61 }));
  const { item, what, unit, count } = groups[1];
  rows.push(
    ...await compare({ item, what, unit }, timed(() => lockCycles(count), count), [{
      name: "C with flock",
      goal: { most: 2.5 },
      contestant: () => c.ask(`lock ${count}`),
    }], { rounds: 31 }),
  );
  return rows;
}

/** What a file takes to be read while hundreds of waits are pending. */
async function measureReads(): Promise<Row[]> {
  using sma = new SharedMemoryArray([600], "int32", SharedMemoryArray.buildSmaName("bench"));
  const words = sma.create().data;
  sma.unlink();
  const path = await Deno.makeTempFile({ prefix: "shm-bench-" });
  await Deno.writeFile(path, new Uint8Array(2 ** 16));
  const reads = async (count: number): Promise<number> => {
    const begin = performance.now();
    for (let i = 0; i < count; i++) await Deno.readFile(path);
    return (performance.now() - begin) * 1e6 / count;
  };
  try {
    return await compare(
      { item: "an asynchronous read of a file of 64 KiB", what: "beside 600 waits", unit: "ns" },
      async () => {
        const controller = new AbortController();
        const { signal } = controller;
        const waits = Array.from(
          words,
          (value, index) => waitAsync(words, index, value, Infinity, { signal }),
        );
        await new Promise((resume) => setTimeout(resume, 20)); // until all have begun
        const time = await reads(100);
        controller.abort();
        await Promise.allSettled(waits.map(({ value }) => value));
        return time;
      },
      [{ name: "the same alone", goal: { most: 1.1 }, contestant: () => reads(100) }],
      { rounds: 31 },
    );
  } finally {
    await Deno.remove(path);
  }
}

/** How much of a processor a process takes that waits. */
async function measureIdle(): Promise<Row[]> {
  const { name } = makeWords();
  const rows: Row[] = [];
  for (const [role, what] of [["idle", "idle in wait"], ["idleAsync", "idle in waitAsync"]]) {
    const child = await start([role, name]);
    const { pid } = child;
    await sleep(1000); // what starting takes, is not idle
    const [before, begin] = [processorTime(pid), performance.now()];
    await sleep(4000);
    const share = (processorTime(pid) - before) / (performance.now() - begin) * 100;
    child.kill("SIGKILL");
    await child.status;
    rows.push(makeOwnRow(
      { item: ITEM, what, unit: "% of a processor" },
      { most: 0.5 },
      [share],
    ));
  }
  return rows;
}

async function measureRecovery(): Promise<Row> {
  const lock = makeLock();
  using waiter = SharedMemoryLock.from(lock).load();
  const times: number[] = [];
  for (let i = 0; i < 21; i++) {
    const holder = await start(["hold", lock.name]);
    const waiting = waiter.acquireAsync();
    await sleep(20 + Math.random() * 20); // at any time of the waiter's slices
    const begin = performance.now();
    holder.kill("SIGKILL");
    using _guard = await waiting;
    times.push(performance.now() - begin);
    await holder.status;
  }
  return makeOwnRow(
    { item: "lock, recovery after a killed holder", what: "", unit: "ms" },
    { most: 25 },
    times,
  );
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}
