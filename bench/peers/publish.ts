/**
 * Rings and versions between processes, beside pipes, sockets, `memcpy` and bare waiting.
 *
 * @module
 */

import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { notify, wait, waitAsync } from "@shm/array/sync";
import {
  compare,
  compareGroup,
  type Contestant,
  DWELL,
  dwell,
  makeOwnRow,
  type Row,
} from "../measure.ts";
import { groups } from "../publish_bench.ts";
import { slotsOf, type Task, type Way } from "./publish_echo.ts";

/** Removes the names at the end of the program: nobody can write to a ring that has none. */
const register = new SharedMemoryRegister();

const FRAME = 2_700_000;
const ITEM = "a frame of 2.7 MB to another process, and an answer";

/**
 * How many frames may be under way: the next ones are written while the reader is still at the last one, as in
 * any pipeline. The ring has four slots, so none is overwritten before it was read.
 */
const UNDER_WAY = 2;

/** The answers of the other process, counted from its start. */
interface Answers {
  now(): number;
  /** Waits for more than so many. */
  next(after: number): number;
}

/** Measures all of it. */
export async function measurePublish(): Promise<Row[]> {
  const rows = await measureFrames();
  const [current, small] = await groups();
  const [row] = await compareGroup(current, { rounds: 31 });
  rows.push(
    row,
    makeOwnRow({ item: row.item, what: row.what, unit: "ns" }, { most: 100 }, [row.ours]),
  );
  rows.push(...await compareGroup(small, { rounds: 31 }));
  rows.push(...await measureLarge());
  return rows;
}

async function measureFrames(): Promise<Row[]> {
  const directory = await Deno.makeTempDir({ prefix: "shm-bench-" });
  const [pipe, socket] = [`${directory}/pipe`, `${directory}/socket`];
  await new Deno.Command("mkfifo", { args: [pipe] }).output();
  const name = (): string => SharedMemoryArray.buildSmaName("bench");
  using frames = new SharedMemoryRing([FRAME] as const, "uint8", name(), 4).create();
  using small = new SharedMemoryRing([4] as const, "uint8", name(), 4).create();
  using answers = new SharedMemoryRing([1] as const, "uint8", name(), 4).create();
  using memory = SharedMemory.create(name(), 4096);
  const words = new Int32Array(memory.buf!);
  const source = new Uint8Array(FRAME).fill(7);
  for (let slot = 0; slot < 4; slot++) frames.write(source);
  const listener = Deno.listen({ transport: "unix", path: socket });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      new URL("./publish_echo.ts", import.meta.url).pathname,
      ...[frames, small, answers].map((ring) => JSON.stringify(ring)),
      memory.name,
      pipe,
      socket,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const tasks = child.stdin.getWriter();
  try {
    await lines.read();
    for (const each of [frames, small, answers, memory]) register.push(each.name);
    const output = Deno.openSync(pipe, { write: true });
    const connection = await listener.accept();
    const order = async (task: Task): Promise<string> => {
      await tasks.write(new TextEncoder().encode(JSON.stringify(task) + "\n"));
      return (await lines.read()).value!;
    };
    let answer = 0;
    const inRing: Answers = {
      now: () => answer,
      next: (after) => answer = answers.next(after).sequence,
    };
    const inWord: Answers = {
      now: () => Atomics.load(words, 16),
      next(after) {
        while (Atomics.load(words, 16) === after) wait(words, 16, after);
        return Atomics.load(words, 16);
      },
    };
    /** Hands over many frames, so fast as they are answered. */
    const streamed = async (
      count: number,
      hand: (i: number) => void | Promise<void>,
      { now, next }: Answers,
    ): Promise<number> => {
      const first = now();
      let answered = first;
      const begin = performance.now();
      for (let i = 0; i < count; i++) {
        const done = hand(i);
        if (done !== undefined) await done;
        while (answered < first + i + 1 - UNDER_WAY) answered = next(answered);
      }
      while (answered < first + count) answered = next(answered);
      return (performance.now() - begin) * 1e6 / count;
    };
    const contestant = (
      way: Way,
      count: number,
      hand: (i: number) => void | Promise<void>,
      isAsync = false,
    ): Contestant =>
    async () => {
      await order({ way, count });
      const dwells = way === "small" || way === "word";
      if (!dwells) return await streamed(count, hand, way === "bare" ? inWord : inRing);
      let time = 0;
      for (let i = 0; i < count; i++) {
        if (dwells) dwell();
        const begin = performance.now();
        const done = hand(i);
        if (done !== undefined) await done;
        if (way !== "word") {
          const frame = isAsync ? await answers.nextAsync(answer) : answers.next(answer);
          answer = frame.sequence;
        }
        time += performance.now() - begin - (dwells ? DWELL : 0);
      }
      return time * 1e6 / count;
    };
    const slots = slotsOf(frames as SharedMemoryRing<"uint8">);
    // Another ring for memcpy in one process: its slots lie as those of the first, and no other core touches them.
    using own = new SharedMemoryRing([FRAME] as const, "uint8", name(), 4).create();
    register.push(own.name);
    for (let slot = 0; slot < 4; slot++) own.write(source);
    const ownSlots = slotsOf(own as SharedMemoryRing<"uint8">);
    const mine = new Uint8Array(FRAME);
    const writeAll = async (
      write: (bytes: Uint8Array) => number | Promise<number>,
    ): Promise<void> => {
      for (let at = 0; at < FRAME;) at += await write(source.subarray(at));
    };
    const byView = contestant("view", 200, (i) =>
      void frames.write((slot) => {
        slot.set(0, i & 127);
        slot.set(-1, i & 127);
      }));
    const other = { rounds: 15, warmup: 2 };
    const word = (isAsync: boolean): Contestant =>
      contestant("word", 1000, async () => {
        const before = Atomics.load(words, 16);
        Atomics.add(words, 0, 1);
        notify(words, 0);
        while (Atomics.load(words, 16) === before) {
          if (isAsync) await waitAsync(words, 16, before).value;
          else wait(words, 16, before);
        }
      });
    const rows = [
      ...await compare({ item: ITEM, what: "written and read by view", unit: "ns" }, byView, [
        {
          name: "a pipe between two Deno processes",
          goal: { least: 20 },
          figure: "speed",
          contestant: contestant("pipe", 20, () => writeAll((bytes) => output.writeSync(bytes))),
        },
        {
          name: "a Unix socket between two Deno processes",
          goal: { least: 3 },
          figure: "speed",
          contestant: contestant("socket", 20, () => writeAll((bytes) => connection.write(bytes))),
        },
      ], other),
      ...await compare(
        { item: ITEM, what: "copied in, and copied out", unit: "ns" },
        contestant("copy", 100, () => void frames.write(source)),
        [{
          // This is done in the slots of the ring itself, as some pages of the kernel's are slower than others.
          // They are as cold, too: each side finds them in the cache of the other one's core. How
          // long memcpy takes then is a matter of the machine, and changes by a factor of three within a minute
          // in a virtual one, while copies in one process go on as before. Both ways copy at the same time
          // where two cores are free, and share one where they are not.
          name: "memcpy of it twice, once on each side",
          goal: { most: 1.3 },
          contestant: contestant("bare", 100, (i) => {
            slots[i & 3].set(source);
            Atomics.add(words, 0, 1);
            notify(words, 0);
          }),
        }, {
          // No other core has touched this memory, and no second core helps.
          name: "memcpy of it twice in one process",
          goal: { most: 1.3 },
          contestant: () => {
            const begin = performance.now();
            for (let i = 0; i < 100; i++) {
              const slot = ownSlots[i & 3];
              slot.set(source);
              mine.set(slot);
            }
            return (performance.now() - begin) * 1e6 / 100;
          },
        }],
        other,
      ),
      ...await compare(
        { item: ITEM, what: "four bytes: from write() to next() and back", unit: "ns" },
        contestant("small", 1000, (i) => void small.write((slot) => slot.set(0, i & 127))),
        [{ name: "notify and wait alone", goal: { most: 1.5 }, contestant: word(false) }],
        other,
      ),
      ...await compare(
        { item: ITEM, what: "four bytes: from write() to nextAsync() on one side", unit: "ns" },
        contestant("small", 1000, (i) => void small.write((slot) => slot.set(0, i & 127)), true),
        [{
          name: "notify and waitAsync alone",
          goal: { most: 1.5 },
          contestant: word(true),
        }],
        other,
      ),
    ];
    const idle = Number(await order({ way: "idle", count: 3000 })) * 100;
    rows.push(makeOwnRow(
      { item: ITEM, what: "a reader that waits for three seconds", unit: "% of a processor" },
      { most: 0.5 },
      [idle],
    ));
    output.close();
    connection.close();
    return rows;
  } finally {
    await tasks.close();
    await child.status;
    await lines.cancel();
    listener.close();
    await Deno.remove(directory, { recursive: true });
  }
}

/** Versions of 200 MB beside arrays of the same size that are made and filled. */
async function measureLarge(): Promise<Row[]> {
  const length = 25_000_000;
  using table = new SharedMemoryVersions([length], "float64", SharedMemoryArray.buildSmaName("b"));
  table.create();
  let value = 0;
  const rows = await compare(
    { item: "publish 200 MB", what: "segment, filling, change of versions", unit: "ns" },
    async () => {
      const begin = performance.now();
      await table.publish((next) => next.fill(++value));
      const time = performance.now() - begin;
      table.closeOlder();
      return time * 1e6;
    },
    [{
      name: "create() and fill() of an array alone",
      goal: { most: 1.1 },
      contestant: () => {
        const begin = performance.now();
        using sma = new SharedMemoryArray([length], "float64", SharedMemoryArray.buildSmaName("b"));
        sma.create().fill(++value);
        const time = performance.now() - begin;
        sma.unlink();
        return time * 1e6;
      },
    }],
    { rounds: 9, warmup: 1 },
  );
  table.unlink();
  return rows;
}
