// examples/cluster/ with a real Redis and two machines: nodes and machines are killed, Redis goes away
// and comes back, and the result is that of one process.

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { NDArray } from "@shm/array";
import FileSystemStore from "@zarrita/storage/fs";
import * as zarr from "zarrita";
import { hillshade } from "../../examples/cluster/hillshade.ts";
import { SharedFolder } from "../../examples/cluster/shared.ts";
import { childrenOf, lives, until, withFolder } from "../helpers/helpers.ts";
import { Machine, Redis } from "../helpers/redis.ts";
import { slowness } from "../helpers/scale.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "each node has a /dev/shm of its own");

const root = new URL("../../", import.meta.url);

/** The command that runs an example. */
function deno(file: string, ...args: string[]): [program: string, ...args: string[]] {
  const path = new URL(`examples/${file}`, root).pathname;
  return [Deno.execPath(), "run", "-A", "--no-check", "--quiet", path, ...args];
}

/** Reads all of an array at once. */
async function readArray(path: string) {
  const array = await zarr.open.v3(new FileSystemStore(path), { kind: "array" });
  return { ...await zarr.get(array), attrs: array.attrs };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Starts an example that is not on a machine of its own. */
function run(redis: Redis, file: string, ...args: string[]): Deno.ChildProcess {
  const [program, ...rest] = deno(file, ...args);
  const env = { REDIS_URL: redis.url, NO_COLOR: "1" };
  return new Deno.Command(program, { args: rest, env, stdout: "piped", stderr: "piped" }).spawn();
}

/** The nodes were through before this process did something to them: it was stopped for a second, say. */
class TooLate extends Error {}

/** A node on a machine, and what it has printed. */
class Node {
  readonly pid: number;
  output = "";
  readonly #process: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #pool: number[] = [];

  constructor(machine: Machine, folder: string, redis: Redis) {
    this.#process = machine.run(deno("cluster/node.ts", folder, "2"), {
      REDIS_URL: redis.url,
      PATIENCE: `${2 * slowness}`,
      NO_COLOR: "1",
    });
    this.pid = this.#process.pid;
    this.#read = Promise.all(
      [this.#process.stdout, this.#process.stderr].map((stream) => this.#readAll(stream)),
    );
  }

  async #readAll(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) this.output += part;
  }

  /** Stops its pool, so that it is in the middle of its tiles, whatever time passes; or says that all tiles are done. */
  freeze(): number[] {
    try {
      this.#pool = childrenOf(this.pid);
      for (const pid of this.#pool) Deno.kill(pid, "SIGSTOP");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended
      this.#pool = [];
    }
    if (this.#pool.length === 0) throw new TooLate();
    assertEquals(this.#pool.length, 2);
    return this.#pool;
  }

  /** Ends it by a signal, and waits for that; its pool may live on. */
  async end(signal: Deno.Signal): Promise<void> {
    if (lives(this.pid)) this.#process.kill(signal);
    await this.#process.status;
  }

  /** Ends it and its pool. */
  async endAll(): Promise<void> {
    const pool = this.#pool.concat(lives(this.pid) ? childrenOf(this.pid) : []);
    for (const pid of pool) if (lives(pid)) Deno.kill(pid, "SIGKILL");
    await this.end("SIGKILL");
    await this.#read;
  }
}

/** The queue of the folder `job`, as BullMQ keeps it. */
const QUEUE = "hillshade-job";

testWith(
  ["Redis", "namespaces"],
  "cluster: nodes and a machine killed, Redis away: the bits are those of one process",
  async () => {
    for (let tries = 1;; tries++) {
      try {
        return await withFolder(killNodes);
      } catch (error) {
        if (!(error instanceof TooLate) || tries === 10) throw error;
      }
    }
  },
);

/** Has a job done while nodes are killed and Redis is away, and looks at what has come out. */
async function killNodes(folder: string): Promise<void> {
  const job = `${folder}/job`;
  await Deno.mkdir(`${folder}/redis`);
  const redis = new Redis(`${folder}/redis`);
  await redis.start();
  const nodes: Node[] = [];
  let submit: Deno.ChildProcess | null = null;
  try {
    await using one = await Machine.start();
    await using two = await Machine.start();
    const start = async (machine: Machine): Promise<Node> => {
      const node = new Node(machine, job, redis);
      nodes.push(node);
      await until("the node is ready", () => {
        assert(lives(node.pid), node.output);
        return node.output.includes("ready\n");
      });
      return node;
    };
    const done = (): number => redis.count(QUEUE, "completed");
    const untilDone = (count: number): Promise<void> =>
      until(`${count} tiles are done`, () => {
        const isOver = !lives(submitting.pid); // which takes the queue away
        if (done() >= count) return true;
        if (isOver) throw new TooLate();
        return false;
      });
    const areAllTaken = (): boolean => redis.count(QUEUE, "wait") === 0;
    const inWork = (): Promise<void> =>
      until("two tiles are in work", () => {
        const isLate = areAllTaken(); // before the look, after which there may be none
        if (redis.count(QUEUE, "active") === 2) return true;
        if (isLate) throw new TooLate();
        return false;
      });

    // 10 × 7 tiles; the last ones of rows and columns are smaller.
    const terrain = await run(redis, "demo/terrain_zarr.ts", job, "900", "96").output();
    assert(terrain.success, text(terrain.stderr));
    submit = run(redis, "cluster/submit.ts", job);
    const submitting = submit;
    const submitted = submit.output();
    await until("the tiles are in the queue", () => redis.count(QUEUE, "wait") > 0);

    // A node is killed in the middle of two tiles. Its pool ends when it finds that out.
    const first = await start(one);
    await untilDone(5);
    let pool = first.freeze();
    await inWork();
    await first.end("SIGKILL");
    for (const pid of pool) Deno.kill(pid, "SIGCONT");
    await until("its pool has ended", () => !pool.some(lives));
    await Deno.writeFile(`${job}/unfinished/half-a-chunk`, new Uint8Array(100));
    const left = one.segments();
    assertEquals(left.length, 4); // memory for two tiles

    // Another machine goes on, and is in the middle of tiles when Redis ends and starts again.
    const second = await start(two);
    await untilDone(15);
    pool = second.freeze();
    if (areAllTaken()) throw new TooLate();
    await redis.stop();
    for (const pid of pool) Deno.kill(pid, "SIGCONT");

    // The killed node starts meanwhile, removes what was left, and waits for Redis.
    const third = await start(one);
    assertEquals(one.segments().length, 4);
    assertEquals(one.segments().filter((name) => left.includes(name)), []);
    await redis.start();
    await untilDone(25);

    // The second machine is switched off in the middle of tiles, and on again.
    second.freeze();
    if (areAllTaken()) throw new TooLate();
    await until("others have done the rest", areAllTaken);
    await second.endAll();
    assertEquals(two.segments().length, 4);
    const fourth = await start(two);

    const { success, stdout, stderr } = await submitted;
    assert(success, text(stderr));
    const summary = /^70 tiles by (\d) nodes, (\d+) of them not at the first attempt\n$/;
    const [, by, again] = text(stdout).match(summary) ?? [];
    assert(Number(by) >= 3 && Number(again) >= 4, text(stdout));
    assertMatch(text(stderr), /^shading +0 %\n[^]*shading +100 %\n$/m);
    for (const node of [third, fourth]) await node.end("SIGTERM");
    assertMatch(nodes.map(({ output }) => output).join(""), /^tile \d+,\d+ again$/m);
    assertEquals([one.segments(), two.segments()], [[], []]);
  } finally {
    for (const node of nodes) await node.endAll();
    if (submit !== null && lives(submit.pid)) submit.kill("SIGKILL");
    await redis.stop();
  }

  // What a killed node left unfinished is gone, and every bit is what one process computes of the whole.
  await assertRejects(() => Deno.stat(`${job}/unfinished/half-a-chunk`), Deno.errors.NotFound);
  const { data, shape, stride, attrs } = await readArray(`${job}/heights`);
  const [height, width] = shape.map((n) => n - 2);
  const heights = new NDArray(data as Float32Array, { shape, stride });
  const expected = new NDArray(new Uint8Array(height * width), { shape: [height, width] });
  hillshade(heights, expected, Number(attrs.spacing));
  assert(new Set(expected.data).size > 100, "the picture is flat");
  const shade = await readArray(`${job}/shade`);
  assertEquals(shade.shape, [height, width]);
  assertEquals((shade.data as Uint8Array).findIndex((v, i) => v !== expected.data[i]), -1);
}

/** Whether a reader ever saw a part of a file while it was written over, so many times at the most. */
async function seesParts(store: FileSystemStore, times: number): Promise<boolean> {
  let [writing, parts] = [true, 0];
  const read = async (): Promise<void> => {
    while (writing) {
      const bytes = await store.get("/c/0/0");
      if (bytes!.length !== 1 << 22 || bytes!.at(0) !== bytes!.at(-1)) parts++;
    }
  };
  await store.set("/c/0/0", new Uint8Array(1 << 22));
  const readers = [read(), read(), read()];
  for (let i = 1; i <= times && parts === 0; i++) {
    await store.set("/c/0/0", new Uint8Array(1 << 22).fill(i));
  }
  writing = false;
  await Promise.all(readers);
  return parts > 0;
}

Deno.test("SharedFolder: a reader sees a whole file or none, and nothing is left beside it", () =>
  withFolder(async (folder) => {
    assertEquals(await seesParts(new SharedFolder(`${folder}/a`), 50), false);
    assertEquals([...Deno.readDirSync(`${folder}/a/unfinished`)], []);
    // The control: zarrita's own store writes in place.
    assertEquals(await seesParts(new FileSystemStore(`${folder}/b`), 2000), true);
  }));

Deno.test("cluster: the example has at most 150 lines of code", () => {
  let count = 0;
  const folder = new URL("examples/cluster/", root);
  for (const { name } of Deno.readDirSync(folder)) {
    if (!name.endsWith(".ts")) continue;
    const lines = Deno.readTextFileSync(new URL(name, folder)).split("\n");
    count += lines.filter((line) => !/^\s*(\/\/|\/\*\*|\*|$)/.test(line)).length;
  }
  assert(count <= 150, `it has ${count}`);
});
