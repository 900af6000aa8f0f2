/**
 * Hands arrays to another process (or thread) and back, in every way there is.
 *
 * @module
 */

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { expectSame, isQuick, quantile } from "../measure.ts";
import type { Parcel } from "./thread.ts";
import { awaitFlag, readAll, type Request, Wire, writeAll } from "./wire.ts";

/** One point of the chart. */
export interface Handover {
  readonly how: string;
  readonly bytes: number;
  /** There and back: the median of the best block of rounds. */
  readonly seconds: number;
  readonly rounds: number;
  /** Whether the bytes are copied. */
  readonly copies: boolean;
}

const SIZES = [2 ** 12, 2 ** 20, 2 ** 26, 2 ** 29].slice(0, isQuick ? 3 : 4);

/** One way to hand an array over. */
interface Way {
  readonly how: string;
  readonly copies: boolean;
  open(bytes: number): Open;
}

/** An array that can be handed over in one way. */
interface Open {
  /** Gets the other side ready for a number of rounds. */
  begin(rounds: number): void | Promise<void>;
  /** Hands over, and gets back. */
  round(index: number): void | Promise<void>;
  /** Ends what `begin` began. */
  end?(): void;
  /** The elements as they are after the last round. */
  array(): ArrayLike<number>;
  close?(): void;
}

/** How a way is measured at a size: in blocks of rounds, between which the others have their turn. */
interface Plan {
  readonly blocks: number;
  readonly warm: number;
  readonly rounds: number;
}

/**
 * For ways that take microseconds. The kernel may put the two processes on other cores between blocks,
 * and the time to wake one up changes with that, from 7 to 35 µs.
 */
const BLOCKS = 72;

/** How a way is measured at a size. */
function planOf(way: Way, bytes: number): Plan {
  if (isQuick) return { blocks: 1, warm: 0, rounds: 1 };
  if (!way.copies) return { blocks: BLOCKS, warm: 30, rounds: 100 };
  if (bytes < 2 ** 26) return { blocks: BLOCKS, warm: 4, rounds: 12 };
  return { blocks: 1, warm: 1, rounds: bytes < 2 ** 29 ? 9 : 2 };
}

/** One way at one size, and what was measured so far. */
class Case {
  readonly plan: Plan;
  readonly #way: Way;
  readonly #bytes: number;
  readonly #open: Open;
  readonly #medians: number[] = [];
  /** How often the first and the last element were counted up. */
  #handed = 0;

  constructor(way: Way, bytes: number) {
    this.plan = planOf(way, bytes);
    this.#way = way;
    this.#bytes = bytes;
    this.#open = way.open(bytes);
  }

  /** Does some rounds to get warm, then times the others. */
  async timeBlock(): Promise<void> {
    const { warm, rounds } = this.plan;
    const open = this.#open;
    const times: number[] = [];
    await open.begin(warm + rounds);
    for (let index = 0; index < warm + rounds; index++) {
      const start = performance.now();
      await open.round(index);
      if (index >= warm) times.push((performance.now() - start) / 1000);
    }
    open.end?.();
    this.#handed += warm + rounds;
    this.#medians.push(quantile(times, 0.5));
    this.#check();
  }

  #check(): void {
    const { how } = this.#way;
    const array = this.#open.array();
    const [middle, last] = [array.length >> 1, array.length - 1];
    expectSame(`${how}: length`, array.length, this.#bytes / 8);
    expectSame(`${how}: first element`, array[0], this.#handed);
    expectSame(`${how}: middle element`, array[middle], middle);
    expectSame(`${how}: last element`, array[last], last + this.#handed);
  }

  close(): Handover {
    this.#open.close?.();
    return {
      how: this.#way.how,
      bytes: this.#bytes,
      seconds: Math.min(...this.#medians),
      rounds: this.#medians.length * this.plan.rounds,
      copies: this.#way.copies,
    };
  }
}

/** Measures every way at every size. */
export async function measureHandovers(directory: string): Promise<Handover[]> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  await using echo = await Echo.start(directory);
  const ways = [...sharedWays(echo, register), ...copyWays(echo, directory)];
  const pairs = SIZES.flatMap((bytes) => ways.map((way) => ({ way, bytes })));
  const isLong = ({ way, bytes }: typeof pairs[number]): boolean => planOf(way, bytes).blocks === 1;

  const cases = pairs.filter((pair) => !isLong(pair)).map(({ way, bytes }) => new Case(way, bytes));
  for (let block = 0; block < (cases[0]?.plan.blocks ?? 0); block++) {
    for (const each of cases) await each.timeBlock();
  }
  const results = cases.map((each) => each.close());

  for (const { way, bytes } of pairs.filter(isLong)) {
    const each = new Case(way, bytes);
    await each.timeBlock();
    results.push(each.close());
  }
  return results;
}

/** The other process. */
class Echo {
  readonly wire: Wire;
  readonly #child: Deno.ChildProcess;

  private constructor(wire: Wire, child: Deno.ChildProcess) {
    this.wire = wire;
    this.#child = child;
  }

  static async start(directory: string): Promise<Echo> {
    const paths = ["there", "back"].map((name) => `${directory}/${name}`);
    const { success } = await new Deno.Command("mkfifo", { args: paths }).output();
    if (!success) throw new Error("Cannot make pipes: mkfifo failed");
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("./echo.ts", import.meta.url).pathname, ...paths],
    }).spawn();
    const output = Deno.openSync(paths[0], { write: true });
    const input = Deno.openSync(paths[1], { read: true });
    return new Echo(new Wire(input, output), child);
  }

  /** Asks for rounds of one way; returns when the other process is ready for them. */
  readonly begin = (request: Partial<Request>): void => {
    this.wire.send(request);
    this.wire.receive();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.wire.send(null);
    await this.#child.status;
  }
}

function fillWithIndices(array: { [position: number]: number; length: number }): void {
  for (let i = 0; i < array.length; i++) array[i] = i;
}

function indices(bytes: number): Float64Array<ArrayBuffer> {
  const array = new Float64Array(bytes / 8);
  fillWithIndices(array);
  return array;
}

// --- Shared memory ---------------------------------------------------------------------------

type SharedRound = (
  sma: SharedMemoryArray<"float64">,
  turn: Int32Array<ArrayBuffer>,
  index: number,
) => void;

function sharedWays({ wire, begin }: Echo, register: SharedMemoryRegister): Way[] {
  const opener = (how: Request["how"], round: SharedRound): Way["open"] => (bytes) => {
    const [at, flag] = [0, 1].map(() => SharedMemoryArray.buildSmaName("bench"));
    register.push(at, flag);
    const sma = new SharedMemoryArray([bytes / 8], "float64", at);
    const turns = new SharedMemoryArray([1], "int32", flag);
    const { data } = sma.create();
    fillWithIndices(data);
    const turn = turns.create().data as Int32Array<ArrayBuffer>;
    return {
      begin(rounds) {
        turn[0] = 0;
        begin({ how, at, flag, bytes, rounds });
      },
      round: (index) => round(sma, turn, index),
      array: () => data,
      close() {
        for (const owner of [sma, turns]) {
          owner.unlink();
          owner.close();
        }
      },
    };
  };
  return [
    {
      how: "shared memory, attached anew + pipe",
      copies: false,
      open: opener("descriptor", (sma) => {
        wire.send(sma);
        wire.receive();
      }),
    },
    {
      how: "shared memory + pipe",
      copies: false,
      open: opener("line", () => {
        wire.send("yours");
        wire.receive();
      }),
    },
    {
      how: "shared memory + Atomics",
      copies: false,
      open: opener("flag", (_sma, turn, index) => {
        Atomics.store(turn, 0, 2 * index + 1);
        awaitFlag(turn, 2 * index + 2);
      }),
    },
  ];
}

// --- Copies, and a transfer ------------------------------------------------------------------

function copyWays({ wire, begin }: Echo, directory: string): Way[] {
  return [
    {
      how: "pipe",
      copies: true,
      open(bytes) {
        const array = indices(bytes);
        const whole = new Uint8Array(array.buffer);
        return {
          begin: (rounds) => begin({ how: "pipe", bytes, rounds }),
          round() {
            wire.write(whole);
            wire.read(whole);
          },
          array: () => array,
        };
      },
    },
    { how: "Unix socket", copies: true, open: (bytes) => openSocket(wire, directory, bytes) },
    {
      how: "file in /tmp",
      copies: true,
      open(bytes) {
        let array = indices(bytes);
        const at = `${directory}/file-${bytes}`;
        return {
          begin: (rounds) => begin({ how: "file", at, bytes, rounds }),
          round() {
            Deno.writeFileSync(at, new Uint8Array(array.buffer));
            wire.send("yours");
            wire.receive();
            array = new Float64Array(Deno.readFileSync(at).buffer);
          },
          array: () => array,
          close: () => Deno.removeSync(at),
        };
      },
    },
    {
      how: "postMessage to a Worker, copy",
      copies: true,
      open: (bytes) => openThread(bytes, false),
    },
    {
      how: "postMessage to a Worker, transfer",
      copies: false,
      open: (bytes) => openThread(bytes, true),
    },
  ];
}

function openSocket(wire: Wire, directory: string, bytes: number): Open {
  const array = indices(bytes);
  const whole = new Uint8Array(array.buffer);
  const at = `${directory}/socket-${bytes}`;
  const listener = Deno.listen({ transport: "unix", path: at });
  let connection: Deno.Conn;
  return {
    async begin(rounds) {
      wire.send({ how: "socket", at, bytes, rounds });
      connection = await listener.accept();
      wire.receive();
    },
    async round() {
      await writeAll(connection, whole);
      await readAll(connection, whole);
    },
    end: () => connection.close(),
    array: () => array,
    close: () => listener.close(),
  };
}

function openThread(bytes: number, transfer: boolean): Open {
  let array = indices(bytes);
  const worker = new Worker(new URL("./thread.ts", import.meta.url), { type: "module" });
  return {
    begin() {},
    async round() {
      const { promise, resolve, reject } = Promise.withResolvers<MessageEvent<Parcel>>();
      worker.onmessage = resolve;
      worker.onerror = reject;
      worker.postMessage({ array, transfer }, transfer ? [array.buffer] : []);
      array = (await promise).data.array;
    },
    array: () => array,
    close: () => worker.terminate(),
  };
}
