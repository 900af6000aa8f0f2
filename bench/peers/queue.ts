/**
 * The queue between processes, beside BullMQ on Redis, Unix sockets, pipes, and bare waiting.
 *
 * @module
 */

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { notify, wait } from "@shm/array/sync";
import { Redis } from "../../tests/helpers/redis.ts";
import {
  compare,
  compareGroup,
  type Contestant,
  DWELL,
  dwell,
  expectSame,
  interleave,
  isQuick,
  makeOwnRow,
  type Opponent,
  quantile,
  type Row,
  type Skipped,
} from "../measure.ts";
import { groups } from "../queue_bench.ts";
import { TextLineStream } from "./lines.ts";
import { Peer, processorTime } from "./peer.ts";
import { INPUT, JsonLines, OUTPUT, readFull, type Tile, writeFull } from "./queue_worker.ts";

const ITEM = "a queue between two processes";
const SLOTS = 16;

const here = (file: string): string => new URL(file, import.meta.url).pathname;

/** The parts of the section. */
export type QueuePart = "items" | "calls" | "large" | "killed" | "idle";

/** What a part has found. */
interface Found {
  readonly rows: Row[];
  readonly skipped?: readonly Skipped[];
}

type Part = (register: SharedMemoryRegister, directory: string) => Promise<Found>;

const parts: { readonly [part in QueuePart]: Part } = {
  items: measureItems,
  calls: measureCalls,
  large: measureLarge,
  killed: measureKilled,
  idle: measureIdle,
};

/** Measures a part. */
export async function measureQueue(part: QueuePart): Promise<Found> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const directory = await Deno.makeTempDir({ prefix: "shm-bench-" });
  try {
    return await parts[part](register, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

// --- The other processes -----------------------------------------------------------------------

/** One that was started in a role of `queue_worker.ts`. */
class OtherProcess implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  #isKilled = false;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(args: string[]) {
    this.child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", here("queue_worker.ts"), ...args],
      stdout: "piped",
    }).spawn();
    this.#lines = this.child.stdout.pipeThrough(new TextLineStream()).getReader();
  }

  /** Starts it, and waits until it is ready. */
  static async start(role: string, ...args: unknown[]): Promise<OtherProcess> {
    const texts = args.map((arg) => typeof arg === "string" ? arg : JSON.stringify(arg));
    const other = new OtherProcess([role, ...texts]);
    await other.line();
    return other;
  }

  /** Waits until it says something. */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.read();
    if (done) throw new Error("Cannot measure: the other process has ended");
    return value;
  }

  /** Kills it; the second time does nothing. */
  kill(): void {
    if (!this.#isKilled) this.child.kill("SIGKILL");
    this.#isKilled = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.child.status;
    await this.#lines.cancel();
  }
}

function makeQueue(register: SharedMemoryRegister, slots = SLOTS): SharedMemoryQueue {
  const queue = new SharedMemoryQueue(SharedMemoryArray.buildSmaName("bench"), slots).create();
  register.push(queue.name);
  return queue;
}

function makeArray(
  register: SharedMemoryRegister,
  shape: [number, number],
): SharedMemoryArray<"float32"> {
  const sma = new SharedMemoryArray(shape, "float32", SharedMemoryArray.buildSmaName("bench"));
  sma.create().fill(0);
  register.push(sma.name);
  return sma as SharedMemoryArray<"float32">;
}

async function connect(path: string): Promise<Deno.Conn> {
  return await Deno.connect({ transport: "unix", path });
}

// --- Items -------------------------------------------------------------------------------------

/** Small items that are put, taken and completed. */
async function measureItems(register: SharedMemoryRegister, directory: string): Promise<Found> {
  const alone: Row[] = [];
  for (const group of groups) alone.push(...await compareGroup(group, { rounds: 31 }));
  const socket = `${directory}/socket`;
  await using stack = new AsyncDisposableStack();
  const queue = stack.use(makeQueue(register));
  stack.use(await OtherProcess.start("take", queue));
  stack.use(await OtherProcess.start("lines", socket));
  const lines = stack.adopt(new JsonLines(await connect(socket)), (lines) => lines.close());
  const count = 5000;
  const labels = { item: ITEM, what: "put, take, complete a small item", unit: "ns" };
  const ours: Contestant = () => {
    const begin = performance.now();
    for (let tile = 0; tile < count; tile++) queue.put({ tile });
    queue.drained();
    return (performance.now() - begin) * 1e6 / count;
  };
  const oneAtATime: Contestant = async () => {
    const begin = performance.now();
    for (let tile = 0; tile < count; tile++) {
      await lines.send({ tile });
      expectSame("the answer", (await lines.receive<Tile>())!.tile, tile);
    }
    return (performance.now() - begin) * 1e6 / count;
  };
  const beside = await compare(labels, ours, [{
    name: "a Unix socket with JSON lines, one at a time",
    goal: { least: 1 },
    figure: "speed",
    contestant: oneAtATime,
  }], { rounds: 15 });
  const rows = [...alone, ...beside];
  const opponents = [
    { name: "BullMQ on Redis, added in bulk, 50 at once", concurrency: 50, command: "bulk 1000" },
    { name: "BullMQ on Redis, one after another", concurrency: 1, command: "each 200" },
  ];
  const redis = new Redis(directory, { keeps: false });
  try {
    await redis.start();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const why = "there is no redis-server";
    return { rows, skipped: opponents.map(({ name }) => ({ ...labels, against: name, why })) };
  }
  stack.defer(() => redis.stop());
  const against: (Opponent & { contestant: Contestant })[] = [];
  for (const { name, concurrency, command } of opponents) {
    const args = ["add", redis.port, `bench-${concurrency}`, concurrency].map(String);
    const peer = stack.use(
      await Peer.start(Deno.execPath(), ["run", "-A", here("bullmq.ts"), ...args]),
    );
    const contestant: Contestant = () => peer.ask(command);
    against.push({ name, goal: { least: 20 }, figure: "speed", contestant });
  }
  rows.push(...await compare(labels, ours, against, { rounds: 9, warmup: 2 }));
  return { rows };
}

// --- Calls -------------------------------------------------------------------------------------

/** One of the ways of a round trip: goes there and back. */
type Trip = (tile: number, dwells: boolean) => void | Promise<void>;

/** Times so many trips one by one, and gives the median. If they dwell, both sides are asleep when one begins. */
function median(dwells: boolean, trip: Trip): Contestant {
  return async () => {
    const times: number[] = [];
    for (let tile = 0; tile < (dwells ? 200 : 500); tile++) {
      if (dwells) dwell();
      const begin = performance.now();
      const result = trip(tile, dwells);
      if (result !== undefined) await result;
      times.push((performance.now() - begin - (dwells ? DWELL : 0)) * 1e6);
    }
    return quantile(times, 0.5);
  };
}

/** Round trips of `call()`. */
async function measureCalls(register: SharedMemoryRegister, directory: string): Promise<Found> {
  const socket = `${directory}/socket`;
  await using stack = new AsyncDisposableStack();
  const taken = stack.use(makeQueue(register));
  const served = stack.use(makeQueue(register));
  const memory = new SharedMemoryArray([64], "int32", SharedMemoryArray.buildSmaName("bench"));
  const words = memory.create().data;
  register.push(memory.name);
  stack.defer(() => memory.close());
  stack.use(await OtherProcess.start("take", taken));
  stack.use(await OtherProcess.start("serve", served));
  stack.use(await OtherProcess.start("lines", socket));
  stack.use(await OtherProcess.start("word", memory.name));
  const lines = stack.adopt(new JsonLines(await connect(socket)), (lines) => lines.close());
  const call = (queue: SharedMemoryQueue): Trip => async (tile, dwells) => {
    const answer = await queue.call<Tile>({ tile, dwells });
    expectSame("the answer", answer.tile, tile);
  };
  const bySocket: Trip = async (tile, dwells) => {
    await lines.send({ tile, dwells });
    expectSame("the answer", (await lines.receive<Tile>())!.tile, tile);
  };
  let turns = 0;
  const byWord: Trip = (_tile, dwells) => {
    words[32] = dwells ? 1 : 0;
    Atomics.store(words, 0, ++turns);
    notify(words, 0);
    while (Atomics.load(words, 16) !== turns) wait(words, 16, turns - 1);
  };
  const rows: Row[] = [];
  for (const [worker, queue] of [["take()", taken], ["serve()", served]] as const) {
    for (const [how, dwells] of [["at once", false], ["both sides asleep", true]] as const) {
      rows.push(
        ...await compare(
          { item: ITEM, what: `round trip of call(), a worker in ${worker}, ${how}`, unit: "ns" },
          median(dwells, call(queue)),
          [
            {
              name: "a Unix socket with JSON lines",
              goal: { most: 1 },
              contestant: median(dwells, bySocket),
            },
            {
              name: "notify and wait alone",
              // At once, neither side sleeps there.
              goal: dwells ? { most: 3 } : undefined,
              contestant: median(dwells, byWord),
            },
          ],
          { rounds: 15 },
        ),
      );
    }
  }
  return { rows };
}

// --- Large requests ----------------------------------------------------------------------------

const CALLERS = 4;

/** An image of 602 KB there, and 4 KB back, by four callers at the same time. */
async function measureLarge(register: SharedMemoryRegister, directory: string): Promise<Found> {
  const socket = `${directory}/socket`;
  const textSocket = `${directory}/text`;
  await using stack = new AsyncDisposableStack();
  const queue = stack.use(makeQueue(register, CALLERS));
  const inputs = stack.use(makeArray(register, [CALLERS, INPUT]));
  const outputs = stack.use(makeArray(register, [CALLERS, OUTPUT]));
  stack.use(await OtherProcess.start("arrays", queue, inputs, outputs));
  stack.use(await OtherProcess.start("bytes", socket));
  stack.use(await OtherProcess.start("lines", textSocket));
  const images = Array.from(
    { length: CALLERS },
    (_, caller) => Float32Array.from({ length: INPUT }, (_, i) => (i * 7 + caller) % 256 / 255),
  );
  const expected = images.map((image) => Math.fround(image[0] + image[INPUT - 1]));
  const check = (caller: number, output: ArrayLike<number>): void => {
    expectSame("the answer's length", output.length, OUTPUT);
    expectSame("the answer", Math.fround(output[OUTPUT - 1]), expected[caller]);
  };
  /** Lets all callers send so many requests each, one after the other. */
  const together =
    (count: number, request: (caller: number) => Promise<ArrayLike<number>>): Contestant =>
    async () => {
      const begin = performance.now();
      await Promise.all(images.map(async (_, caller) => {
        for (let i = 0; i < count; i++) check(caller, await request(caller));
      }));
      return (performance.now() - begin) * 1e6 / (count * CALLERS);
    };

  const ours = together(250, (caller) =>
    queue.call((slot) => {
      inputs.array!.slice(slot).subarray().set(images[caller]);
      return null;
    }, { read: (_, slot) => outputs.array!.slice(slot).subarray().slice() }));

  const connections: Deno.Conn[] = [];
  const texts: JsonLines[] = [];
  for (let caller = 0; caller < CALLERS; caller++) {
    connections.push(stack.adopt(await connect(socket), (connection) => connection.close()));
    texts.push(stack.adopt(new JsonLines(await connect(textSocket)), (lines) => lines.close()));
  }
  const bySocket = together(100, async (caller) => {
    await writeFull(connections[caller], new Uint8Array(images[caller].buffer));
    const output = new Float32Array(OUTPUT);
    await readFull(connections[caller], new Uint8Array(output.buffer));
    return output;
  });

  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", here("queue_worker.ts"), "stdin"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  const output = child.stdout.getReader({ mode: "byob" });
  stack.defer(async () => {
    await input.close();
    await child.status;
  });
  let last: Promise<unknown> = Promise.resolve();
  const byPipe = together(50, (caller) => {
    // Answers come in the order of the requests.
    const written = input.write(new Uint8Array(images[caller].buffer));
    const answer = last.then(async () => {
      await written;
      const { value } = await output.read(new Uint8Array(4 * OUTPUT), { min: 4 * OUTPUT });
      return new Float32Array(value!.buffer);
    });
    last = answer;
    return answer;
  });

  const byText = together(1, async (caller) => {
    await texts[caller].send(Array.from(images[caller]));
    return (await texts[caller].receive<number[]>())!;
  });

  const rows = await compare(
    { item: ITEM, what: "602 KB there, 4 KB back, four callers", unit: "ns" },
    ours,
    [
      { name: "a Unix socket", goal: { least: 1.8 }, figure: "speed", contestant: bySocket },
      { name: "a pipe to stdin", goal: { least: 6 }, figure: "speed", contestant: byPipe },
      { name: "JSON lines", goal: { least: 200 }, figure: "speed", contestant: byText },
    ],
    { rounds: 15, warmup: 2 },
  );
  return { rows };
}

// --- The killed and the idle -------------------------------------------------------------------

/** How long after its taker was killed an item is with another one. */
async function measureKilled(register: SharedMemoryRegister): Promise<Found> {
  using queue = makeQueue(register);
  const times: number[] = [];
  for (let i = 0; i < (isQuick ? 2 : 31); i++) {
    queue.put({ tile: i });
    await using holder = await OtherProcess.start("hold", queue);
    const waiting = queue.takeAsync();
    await sleep(20 + Math.random() * 100); // at any time of the taker's sleep
    const begin = performance.now();
    holder.kill();
    const item = (await waiting)!;
    times.push(performance.now() - begin);
    expectSame("the attempt", item.attempt, 2);
    item.complete();
  }
  const labels = { item: ITEM, unit: "ms" };
  const rows = [
    makeOwnRow(
      { ...labels, what: "a killed taker's item is with another, median" },
      { most: 50 },
      times,
    ),
    makeOwnRow(
      { ...labels, what: "a killed taker's item is with another, worst" },
      { most: 120 },
      [Math.max(...times)],
    ),
  ];
  return { rows };
}

/** How much of a processor is taken by a worker that has nothing to do. */
async function measureIdle(register: SharedMemoryRegister): Promise<Found> {
  const rows: Row[] = [];
  for (const [role, what] of [["take", "idle in take()"], ["serve", "idle in serve()"]]) {
    using queue = makeQueue(register);
    await using other = await OtherProcess.start(role, queue);
    const { pid } = other.child;
    await queue.call({ tile: 1 });
    await sleep(1000); // what starting takes, is not idle
    const share: Contestant = async () => {
      const [before, begin] = [processorTime(pid), performance.now()];
      await sleep(4000);
      return (processorTime(pid) - before) / (performance.now() - begin) * 100;
    };
    const [shares] = await interleave([share], { rounds: 1, warmup: 0 });
    rows.push(makeOwnRow({ item: ITEM, what, unit: "% of a processor" }, { most: 0.3 }, shares));
  }
  return { rows };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}
