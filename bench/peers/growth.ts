/**
 * How costs grow: with the size of a segment, with the number of segments and names, with the number of
 * processes on one array, lock or queue. What should be flat has a goal, what is linear has its slope.
 *
 * @module
 */

import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryLock } from "@shm/array/sync";
import {
  expectSame,
  type Goal,
  interleave,
  isQuick,
  makeOwnRow,
  makeRow,
  quantile,
  type Row,
} from "../measure.ts";
import { Peer } from "./peer.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** One column of the table: what was measured at each size. */
interface Series {
  readonly what: string;
  readonly unit: string;
  readonly points: readonly { readonly at: string; readonly size: number; run(): number }[];
  /** The goal of the largest divided by the smallest, for what should be flat. */
  readonly flat?: Goal;
  /** Which point is the smallest in this, by its place; by default the first. */
  readonly flatFrom?: number;
  /** The unit of what one more costs, for what is linear: "µs per segment". */
  readonly slope?: string;
}

const ITEM = "growth";

async function measureSeries(series: Series, rounds: number, warmup = 2): Promise<Row[]> {
  const { what, unit, points, flat, flatFrom = 0, slope } = series;
  const times = await interleave(points.map(({ run }) => run), { rounds, warmup });
  const rows = points.map(({ at }, i) =>
    makeOwnRow({ item: ITEM, what: `${what}, ${at}`, unit }, undefined, times[i])
  );
  const [first, last] = [points[0], points.at(-1)!];
  const [least, most] = [times[0], times.at(-1)!];
  if (flat !== undefined) {
    rows.push(
      makeRow(
        { item: ITEM, what: `${what}, ${last.at}`, unit },
        {
          name: `itself, ${points[flatFrom].at}`,
          goal: flat,
        },
        most,
        times[flatFrom],
      ),
    );
  }
  if (slope !== undefined) {
    const each = most.map((time, i) => (time - least[i]) / (last.size - first.size));
    rows.push(makeOwnRow({ item: ITEM, what: `${what}, slope`, unit: slope }, undefined, each));
  }
  return rows;
}

/** Times something, in microseconds. */
function time(count: number, run: () => void): number {
  const begin = performance.now();
  for (let i = 0; i < count; i++) run();
  return (performance.now() - begin) * 1000 / count;
}

/** Measures all of it. */
export async function measureGrowth(): Promise<Row[]> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  return [
    ...await measureSizes(register),
    ...await measureLists(register),
    ...await measureNames(),
    ...await measureProcesses(register),
    ...await measureSlots(register),
  ];
}

/** `load` and `create` of 4 KiB to 8 GiB. */
async function measureSizes(register: SharedMemoryRegister): Promise<Row[]> {
  const sizes = [["4 KiB", 4 * KIB], ["1 MiB", MIB], ["64 MiB", 64 * MIB], ["1 GiB", GIB], [
    "8 GiB",
    8 * GIB,
  ]] as const;
  const loads = sizes.map(([at, size]) => {
    const name = SharedMemoryArray.buildSmaName("bench");
    register.push(name);
    using sma = new SharedMemoryArray([size], "uint8", name);
    sma.create({ reserve: false }).set(0, 7);
    const run = (): number =>
      time(100, () => {
        using sma = new SharedMemoryArray([size], "uint8", name);
        expectSame("the size", sma.load().size, size);
      });
    return { at, size, run };
  });
  const create = (reserve: boolean, count: number) => ([at, size]: typeof sizes[number]) => ({
    at,
    size: size / MIB,
    run: (): number => {
      const name = SharedMemoryArray.buildSmaName("bench");
      let spent = 0;
      for (let i = 0; i < count; i++) {
        const sma = new SharedMemoryArray([size], "uint8", name);
        spent += time(1, () => sma.create({ reserve }));
        sma.unlink();
        sma.close();
      }
      return spent / count;
    },
  });
  return [
    ...await measureSeries(
      { what: "load and close", unit: "µs", points: loads, flat: { most: 1.3 } },
      21,
    ),
    ...await measureSeries(
      {
        what: "create without reserved memory",
        unit: "µs",
        points: sizes.map(create(false, 20)),
        // Small ones get their name first, in half the time.
        flat: { most: 1.3 },
        flatFrom: 1,
      },
      15,
    ),
    ...await measureSeries(
      {
        what: "create with reserved memory",
        unit: "µs",
        points: sizes.slice(0, isQuick ? 3 : 4).map(create(true, 1)),
        slope: "µs per MiB",
      },
      5,
      1,
    ),
  ];
}

/** `list()` of 10 to 20,000 segments. */
async function measureLists(register: SharedMemoryRegister): Promise<Row[]> {
  const counts = isQuick ? [10, 100] : [10, 100, 1000, 10_000, 20_000];
  const prefix = SharedMemoryArray.buildSmaName("bench");
  const rows: Row[] = [];
  const medians: number[] = [];
  let made = 0;
  for (const count of counts) {
    for (; made < count; made++) {
      const name = `${prefix}-${made}`;
      using _memory = SharedMemory.create(name, 64);
      register.push(name);
    }
    const run = (): number => time(1, () => void SharedMemoryArray.list());
    const [times] = await interleave([run], { rounds: 9, warmup: 1 });
    medians.push(quantile(times, 0.5));
    rows.push(
      makeOwnRow(
        { item: ITEM, what: `list() of ${count} segments`, unit: "µs" },
        undefined,
        times,
      ),
    );
  }
  const slope = (medians.at(-1)! - medians[0]) / (counts.at(-1)! - counts[0]);
  rows.push(
    makeOwnRow({ item: ITEM, what: "list(), slope", unit: "µs per segment" }, undefined, [slope]),
  );
  register[Symbol.dispose]();
  return rows;
}

/** A register of up to 10,000 names: adding one, and cleaning them all. */
async function measureNames(): Promise<Row[]> {
  const counts = isQuick ? [10, 100] : [10, 100, 1000, 10_000];
  const prefix = SharedMemoryArray.buildSmaName("bench");
  const add = (count: number) => ({
    at: `${count} names`,
    size: count,
    run: (): number => {
      const register = new SharedMemoryRegister();
      for (let i = 0; i < count; i++) register.push(`${prefix}-${i}`);
      const spent = time(100, () => void register.push(prefix));
      register.length = 0;
      register[Symbol.dispose]();
      return spent;
    },
  });
  const clean = (count: number) => ({
    at: `${count} names`,
    size: count,
    run: (): number => {
      const register = new SharedMemoryRegister();
      for (let i = 0; i < count; i++) {
        using memory = SharedMemory.create(`${prefix}-${i}`, 64);
        register.push(memory.name);
      }
      return time(1, () => register[Symbol.dispose]());
    },
  });
  return [
    ...await measureSeries(
      { what: "register.push() beside", unit: "µs", points: counts.map(add), flat: { most: 2 } },
      9,
    ),
    ...await measureSeries(
      {
        what: "a register's end with",
        unit: "µs",
        points: counts.map(clean),
        slope: "µs per name",
      },
      5,
      1,
    ),
  ];
}

/** What an item of a queue of 1 to 4096 slots costs: by itself, and where an item waits in every other slot. */
async function measureSlots(register: SharedMemoryRegister): Promise<Row[]> {
  const points = (isFull: boolean): Series["points"] =>
    [1, 8, 64, 512, 4096].map((slots) => {
      const queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("bench"), slots).create();
      register.push(queue.name);
      if (isFull) { for (let i = 1; i < slots; i++) queue.put(i); }
      const cycle = (): void => {
        queue.put(7);
        queue.take()!.complete();
      };
      return { at: `${slots} slots`, size: slots, run: () => time(500, cycle) * 1000 };
    });
  const what = "put, take, complete an item";
  const of = { unit: "ns", slope: "ns per slot" };
  return [
    ...await measureSeries({ ...of, what: `${what}, no other waits`, points: points(false) }, 15),
    ...await measureSeries({ ...of, what: `${what}, all others wait`, points: points(true) }, 15),
  ];
}

/** 1 to 8 processes: all read one array, take one lock, and put into one queue and take out of it. */
async function measureProcesses(register: SharedMemoryRegister): Promise<Row[]> {
  const name = SharedMemoryArray.buildSmaName("bench");
  register.push(name);
  const sma = new SharedMemoryArray([8 * MIB], "float64", name);
  sma.create().fill(0.5);
  const lock = new SharedMemoryLock(SharedMemoryArray.buildSmaName("bench"));
  lock.create();
  register.push(lock.name);
  const queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("bench"), 16);
  queue.create();
  register.push(queue.name);
  const worker = new URL("./growth_worker.ts", import.meta.url).pathname;
  const args = ["run", "-A", worker, JSON.stringify([sma, lock, queue])];
  const peers = await Promise.all(
    Array.from({ length: 8 }, () => Peer.start(Deno.execPath(), args)),
  );
  const together = async (processes: number, command: string, count: number): Promise<number> => {
    const begin = performance.now();
    await Promise.all(peers.slice(0, processes).map((peer) => peer.ask(`${command} ${count}`)));
    return processes * count / (performance.now() - begin) * 1000;
  };
  const rows: Row[] = [];
  try {
    for (
      const [what, command, count, unit, factor] of [
        ["sums of one array of 64 MiB", "sum", 4, "GB/s in all", 8 * MIB * 8 / 1e9],
        ["Atomics.add on one element", "add", 200_000, "million/s in all", 1e-6],
        ["acquire and release of one lock", "lock", 2000, "thousand/s in all", 1e-3],
        ["put and take of one queue", "queue", 1000, "thousand/s in all", 1e-3],
      ] as const
    ) {
      const processes = [1, 2, 4, 8];
      const rates = await interleave(
        processes.map((each) => () => together(each, command, count)),
        { rounds: 5, warmup: 1 },
      );
      processes.forEach((each, i) =>
        rows.push(
          makeOwnRow(
            { item: ITEM, what: `${what}, ${each} processes`, unit },
            undefined,
            rates[i].map((rate) => rate * factor),
          ),
        )
      );
    }
    return rows;
  } finally {
    for (const peer of peers) await peer[Symbol.asyncDispose]();
    sma.close();
    lock.close();
    queue.close();
  }
}
