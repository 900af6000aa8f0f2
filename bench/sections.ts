/**
 * The sections of `bench:peers`. Each runs in a process of its own: `deno run -A bench/sections.ts NAME`.
 *
 * @module
 */

import type { DType } from "@shm/array";
import {
  compare,
  compareGroup,
  type Contestant,
  type Group,
  interleave,
  makeRow,
  type Row,
  type Skipped,
  timed,
} from "./measure.ts";
import type { Operation } from "./dtypes_bench.ts";
import {
  afterEventGroups,
  eightDTypesGroups,
  events,
  largeGroups,
  loopDTypes,
  onceGroups,
  ordinaryGroups,
  viewGroups,
} from "./loops_bench.ts";
import type { DTypeRequest } from "./peers/dtype_worker.ts";
import { type Handover, measureHandovers } from "./peers/handover.ts";
import { Peer } from "./peers/peer.ts";
import type { QueuePart } from "./peers/queue.ts";

/** What a section found. */
export interface SectionResult {
  readonly rows: Row[];
  readonly handover?: Handover[];
  /** What it could not measure. */
  readonly skipped?: readonly Skipped[];
  readonly versions?: { readonly [program: string]: string };
}

type Section = () => Promise<SectionResult>;

/** Loops with several accesses. Errors, negative indices and many dtypes have processes of their own. */
const loops: { readonly [name: string]: Section } = {
  ...parts("loops", loopDTypes, (dtype) => compareGroups(ordinaryGroups(dtype), 31)),
  "loops:views": () => compareGroups(viewGroups(), 31),
  "loops:eight": () => compareGroups(eightDTypesGroups(), 31),
  "loops:large": () => compareGroups(largeGroups(), 31),
  ...parts("loops:after", events, (event) => compareGroups(afterEventGroups(event), 31)),
  ...parts("loops:once", ["float64", "uint8"], (dtype) => compareGroups(onceGroups(dtype), 5)),
};

/** A section with a part for each of some names. */
function parts<N extends string>(
  section: string,
  names: readonly N[],
  measure: (name: N) => Promise<SectionResult>,
): { readonly [name: string]: Section } {
  return Object.fromEntries(names.map((name) => [`${section}:${name}`, () => measure(name)]));
}

/**
 * All sections, in the order of the table. Those whose names begin with the same word and a colon are
 * parts of one section: `deno task bench:peers loops` measures all of its parts.
 */
export const sections: { readonly [name: string]: Section } = {
  attach,
  bulk,
  access,
  ...loops,
  dtypes,
  strided,
  slices,
  large,
  npy,
  handover,
  ipc,
  runtimes,
  sync,
  publish,
  ...parts("queue", ["items", "calls", "large", "killed", "idle"], queue),
  start,
  memory,
  many,
  tables,
  growth,
  demo,
};

const here = (file: string): string => new URL(file, import.meta.url).pathname;

function startNumPy(): Promise<Peer> {
  return Peer.start("/usr/bin/python3", [here("./peers/numpy_peer.py")]);
}

/** Compiles a C program, starts it, and removes what was compiled. */
async function startBareC(source = "bare.c", ...options: string[]): Promise<Peer> {
  const directory = await Deno.makeTempDir({ prefix: "shm-bench-" });
  try {
    const program = `${directory}/bare`;
    const { success } = await new Deno.Command("gcc", {
      args: ["-O2", "-o", program, here(`./peers/${source}`), "-lrt", "-pthread"],
    }).output();
    if (!success) throw new Error(`Cannot compile ${source}`);
    return await Peer.start(program, options);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

// --- Sections --------------------------------------------------------------------------------

async function attach(): Promise<SectionResult> {
  const { createCycles, large, small, groups } = await import("./attach_bench.ts");
  await using bareC = await startBareC();
  await using threads = await startBareC("bare.c", "threads");
  await using numpy = await startNumPy();
  const [gcc] = new TextDecoder().decode(
    (await new Deno.Command("gcc", { args: ["-dumpfullversion"] }).output()).stdout,
  ).split("\n");
  const count = 2000;
  const rows = [
    ...await compare(
      { item: "create + map + view + first write + close + unlink, 4 KiB", what: "", unit: "ns" },
      timed(() => createCycles(count), count),
      [
        { name: "bare C", goal: { most: 1.3 }, contestant: asked(bareC, "create", count) },
        {
          name: "bare C with eight idle threads",
          goal: { most: 1.3 },
          contestant: asked(threads, "create", count),
        },
        {
          name: "CPython + NumPy",
          goal: { most: 0.65 },
          contestant: asked(numpy, "create", count),
        },
      ],
      { rounds: 31, warmup: 8 },
    ),
    ...await compare(
      { item: "load + view + read + close, 4 KiB", what: "", unit: "ns" },
      timed(() => small.load(count), count),
      [
        { name: "bare C", goal: { most: 1.4 }, contestant: asked(bareC, "load", count) },
        {
          name: "bare C with eight idle threads",
          goal: { most: 1.35 },
          contestant: asked(threads, "load", count),
        },
        {
          name: "CPython + NumPy",
          goal: { most: 0.65 },
          contestant: asked(numpy, "load", count),
        },
      ],
      { rounds: 31, warmup: 8 },
    ),
  ];
  for (const group of groups) rows.push(...await compareGroup(group, { rounds: 61 }));
  const [{ item }] = groups;
  rows.push(
    ...await compare(
      { item, what: "load, read, close", unit: "ns per load" },
      timed(() => large.load(count), count),
      [{ name: "bare C with 8 GiB", contestant: asked(bareC, "sparse", count) }],
    ),
    ...await compare(
      { item, what: "bare C's own load, read, close", unit: "ns per load" },
      asked(bareC, "sparse", count),
      [{ name: "bare C with 4 KiB", contestant: asked(bareC, "load", count) }],
    ),
  );
  return { rows, versions: { libc: bareC.version, gcc, python: numpy.version } };
}

/** A peer that takes its turn. */
function asked(peer: Peer, command: string, count: number): Contestant {
  return () => peer.ask(`${command} ${count}`);
}

async function bulk(): Promise<SectionResult> {
  const { wholeGroups } = await import("./bulk_bench.ts");
  const rows: Row[] = [];
  for (const group of wholeGroups()) rows.push(...await compareGroup(group, { rounds: 64 }));
  return { rows };
}

async function access(): Promise<SectionResult> {
  const { groups } = await import("./access_bench.ts");
  const rows: Row[] = [];
  for (const group of groups) rows.push(...await compareGroup(group, { rounds: 101 }));
  return { rows, versions: { ndarray: "npm ndarray 1.1.1" } };
}

/** Checks and measures groups one after the other. */
async function compareGroups(groups: readonly Group[], rounds: number): Promise<SectionResult> {
  const rows: Row[] = [];
  for (const group of groups) rows.push(...await compareGroup(group, { rounds }));
  return { rows };
}

/** Threads with an engine each: in one of them eight dtypes are in use, in the others a single one. */
async function dtypes(): Promise<SectionResult> {
  const { eightDTypes } = await import("./dtypes_bench.ts");
  const among = startEngine(eightDTypes);
  const each = eightDTypes.map((dtype) => startEngine([dtype]));
  const item = "eight dtypes in one program";
  const unit = "ns per element";
  const ask = (engine: Engine, time: Operation) => async (): Promise<number> =>
    mean(await engine.ask({ time, times: 10 }));
  const askEach = (time: Operation) => async (): Promise<number> => {
    const times: number[] = [];
    for (const engine of each) times.push(await ask(engine, time)());
    return mean(times);
  };
  const rows: Row[] = [];
  for (const what of ["get + set", "fill", "assign", "copy", "iterate"] as const) {
    rows.push(
      ...await compare({ item, what, unit }, ask(among, what), [
        { name: "float64 alone", goal: { most: 3 }, contestant: ask(each[0], what) },
        { name: "each of the eight alone", contestant: askEach(what) },
      ], { rounds: 31, warmup: 10 }),
    );
  }
  rows.push(
    ...await compare(
      { item, what: "get + set of all in one loop", unit },
      ask(among, "one loop"),
      [{ name: "typed arrays in one loop", contestant: ask(among, "one raw loop") }],
      { rounds: 15 },
    ),
  );
  for (const engine of [among, ...each]) engine.stop();
  return { rows };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each) / values.length;
}

interface Engine {
  ask(request: DTypeRequest): Promise<number[]>;
  stop(): void;
}

function startEngine(use: readonly DType[]): Engine {
  const worker = new Worker(new URL("./peers/dtype_worker.ts", import.meta.url), {
    type: "module",
  });
  worker.postMessage({ use });
  return {
    async ask(request) {
      const { promise, resolve, reject } = Promise.withResolvers<MessageEvent<number[]>>();
      worker.onmessage = resolve;
      worker.onerror = reject;
      worker.postMessage(request);
      return (await promise).data;
    },
    stop: () => worker.terminate(),
  };
}

async function strided(): Promise<SectionResult> {
  const { partGroups } = await import("./bulk_bench.ts");
  await using numpy = await startNumPy();
  const rows: Row[] = [];
  for (const group of partGroups()) {
    if (!["fill", "assign", "copy", "copy into a kept array"].includes(group.what)) {
      rows.push(...await compareGroup(group));
      continue;
    }
    group.check();
    const times = 20;
    const ours = (): void => {
      for (let i = 0; i < times; i++) group.ours();
    };
    rows.push(
      ...await compare(group, timed(ours, times * group.count), [{
        name: "NumPy",
        goal: { most: group.what === "assign" ? 1.2 : 1.5 },
        contestant: asked(
          numpy,
          `part ${group.what === "copy into a kept array" ? "copy_into" : group.what}`,
          times,
        ),
      }], { rounds: 31 }),
    );
  }
  return { rows };
}

async function slices(): Promise<SectionResult> {
  const { groups } = await import("./slice_bench.ts");
  await using numpy = await startNumPy();
  const rows: Row[] = [];
  for (const [kind, group] of Object.entries(groups)) {
    group.check();
    const [npm] = group.against;
    rows.push(
      ...await compare(group, timed(group.ours, group.count), [
        { ...npm, contestant: timed(npm.run, group.count) },
        {
          name: "NumPy",
          goal: kind === "sizes" ? undefined : { most: 0.5 },
          contestant: asked(numpy, `slice ${kind === "text" ? "reversed" : kind}`, group.count),
        },
        // 200,000 views: compiling what makes them takes some time, and is not what is measured.
      ], { rounds: 61, warmup: 100 }),
    );
  }
  return { rows };
}

async function large(): Promise<SectionResult> {
  const { createAndFill } = await import("./bulk_bench.ts");
  await using numpy = await startNumPy();
  const bytes = 512 * 2 ** 20;
  const rows = await compare(
    { item: "create + fill 512 MiB", what: "", unit: "ns" },
    () => createAndFill(bytes),
    [{
      name: "NumPy on SharedMemory",
      goal: { most: 1.0 },
      contestant: asked(numpy, "large", bytes),
    }],
    { rounds: 9, warmup: 1 },
  );
  return { rows };
}

async function npy(): Promise<SectionResult> {
  const { Files } = await import("./npy_bench.ts");
  using files = new Files();
  await using numpy = await startNumPy();
  const item = "32 MB .npy file";
  const ask = (command: string): Contestant => () => numpy.ask(command);
  const goal = { goal: { most: 1.2 } };
  const rounds = { rounds: 31, warmup: 3 };
  const { source, bigEndian, theirTarget } = files;
  await numpy.ask(`npyload ${source}`); // fills what npysave writes
  return {
    rows: [
      ...await compare(
        { item, what: "read into shared memory", unit: "ns" },
        () => files.read(source),
        [
          { name: "numpy.load, copied", ...goal, contestant: ask(`npyload ${source}`) },
          { name: "numpy.load (mmap), copied", ...goal, contestant: ask(`npymap ${source}`) },
        ],
        rounds,
      ),
      ...await compare(
        { item, what: "read, big-endian", unit: "ns" },
        () => files.read(bigEndian),
        [
          { name: "numpy.load, copied", ...goal, contestant: ask(`npyload ${bigEndian}`) },
        ],
        rounds,
      ),
      ...await compare({ item, what: "write", unit: "ns" }, () => files.write(), [
        { name: "numpy.save", ...goal, contestant: ask(`npysave ${theirTarget}`) },
      ], rounds),
      ...await compare(
        { item, what: "write a[..., ::-1]", unit: "ns" },
        () => files.write("...", "::-1"),
        [
          { name: "numpy.save", ...goal, contestant: ask(`npyreversed ${theirTarget}`) },
        ],
        rounds,
      ),
    ],
  };
}

async function handover(): Promise<SectionResult> {
  const directory = await Deno.makeTempDir({ prefix: "shm-bench-" });
  try {
    const points = await measureHandovers(directory);
    return { rows: handoverRows(points), handover: points };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function handoverRows(points: readonly Handover[]): Row[] {
  const MIB = 2 ** 20;
  const item = "hand an array to another process and back";
  const unit = "s";
  const at = (how: string, bytes: number): number =>
    points.find((point) => point.how === how && point.bytes === bytes)!.seconds;
  const shared = [...new Set(points.map(({ how }) => how))].filter((how) => how.includes("shared"));
  const copies = [
    ...new Set(points.filter(({ copies }) => copies).map(({ how }) => how)),
  ];
  return shared.flatMap((how) => {
    const slowest = Math.max(...points.filter((p) => p.how === how).map(({ seconds }) => seconds));
    // The cost of an attachment is mostly the kernel's: it has a row here, and no goal.
    const attached = !how.includes("anew");
    return [
      makeRow(
        { item, what: `${how}, slowest size`, unit },
        { name: "itself with 4 KiB", goal: attached ? { most: 1.3 } : undefined },
        [slowest],
        [at(how, 2 ** 12)],
      ),
      ...copies.map((copy) =>
        makeRow(
          { item, what: `${how}, 64 MiB`, unit },
          { name: copy, goal: { least: 100 }, figure: "speed" },
          [at(how, 64 * MIB)],
          [at(copy, 64 * MIB)],
        )
      ),
    ];
  });
}

/** Whole processes: an empty module, one that imports the library, one that uses it once; and Python's. */
async function start(): Promise<SectionResult> {
  const run = (command: string, args: string[]): Contestant => async () => {
    const begin = performance.now();
    const { success } = await new Deno.Command(command, { args }).output();
    if (!success) throw new Error(`Cannot measure: ${command} ${args.join(" ")} failed`);
    return performance.now() - begin;
  };
  const deno = (mode: string): Contestant =>
    run(Deno.execPath(), ["run", "-A", here(`./peers/start_${mode}.ts`)]);
  const python = (mode: string): Contestant =>
    run("/usr/bin/python3", [here("./peers/start_numpy.py"), mode]);
  const [empty, imported, first, bare, numpy] = await interleave(
    [deno("empty"), deno("import"), deno("first"), python("empty"), python("first")],
    { rounds: 21, warmup: 2 },
  );
  const labels = { item: "import of the module; first call", unit: "ms" };
  const beside = { name: "an empty module", figure: "difference" } as const;
  const more = (times: number[], base: number[]): number[] => times.map((t, i) => t - base[i]);
  return {
    rows: [
      makeRow({ ...labels, what: "import" }, { ...beside, goal: { most: 9 } }, imported, empty),
      makeRow(
        { ...labels, what: "import and first call" },
        { ...beside, goal: { most: 9 } },
        first,
        empty,
      ),
      makeRow(
        { ...labels, what: "import and first call, beside an empty program" },
        {
          name: "Python's, with NumPy and shared_memory, beside an empty program",
          goal: { most: 0.15 },
        },
        more(first, empty),
        more(numpy, bare),
      ),
    ],
  };
}

/** Shared memory beside `child_process.fork`. */
async function ipc(): Promise<SectionResult> {
  const { measureIpc } = await import("./peers/ipc.ts");
  return await measureIpc();
}

/** The same work in Deno, Node and Bun. */
async function runtimes(): Promise<SectionResult> {
  const { measureRuntimes } = await import("./peers/runtimes.ts");
  return await measureRuntimes();
}

async function many(): Promise<SectionResult> {
  const { measureMany } = await import("./peers/many.ts");
  return { rows: measureMany() };
}

async function tables(): Promise<SectionResult> {
  const { measureTables } = await import("./peers/tables.ts");
  return { rows: measureTables() };
}

async function growth(): Promise<SectionResult> {
  const { measureGrowth } = await import("./peers/growth.ts");
  return { rows: await measureGrowth() };
}

async function memory(): Promise<SectionResult> {
  const { residentGrowth } = await import("./peers/memory.ts");
  const growth = residentGrowth(2 ** 30, 9);
  const MIB = 2 ** 20;
  return {
    rows: [
      makeRow(
        { item: "memory: attach of 1 GiB untouched", what: "", unit: "MiB resident" },
        { name: "itself before", goal: { most: 1 }, figure: "difference" },
        growth.map(({ after }) => after / MIB),
        growth.map(({ before }) => before / MIB),
      ),
    ],
  };
}

async function sync(): Promise<SectionResult> {
  const { measureSync } = await import("./peers/sync.ts");
  await using c = await startBareC("bare_sync.c");
  return { rows: await measureSync(c) };
}

async function publish(): Promise<SectionResult> {
  const { measurePublish } = await import("./peers/publish.ts");
  return { rows: await measurePublish() };
}

async function queue(part: QueuePart): Promise<SectionResult> {
  const { measureQueue } = await import("./peers/queue.ts");
  return await measureQueue(part);
}

/** The demo does its work twice, with one process and with as many as there are cores. */
async function demo(): Promise<SectionResult> {
  const directory = await Deno.makeTempDir({ prefix: "shm-bench-" });
  const runs: { one: number; many: number }[] = [];
  try {
    for (let i = 0; i < 3; i++) {
      const { success, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", here("../examples/demo.ts"), "--out", `${directory}/relief.png`],
      }).output();
      const text = new TextDecoder().decode(stdout);
      if (!success || !/^Same result +yes/m.test(text)) {
        throw new Error("Cannot measure: the demo failed");
      }
      const one = Number(/^1 process +([\d.]+) s /m.exec(text)![1]);
      const many = Number(/^\d+ processes +([\d.]+) s,/m.exec(text)![1]);
      runs.push({ one, many });
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return {
    rows: [
      makeRow(
        { item: `the demo on ${navigator.hardwareConcurrency} cores`, what: "", unit: "s" },
        { name: "itself with one worker", goal: { least: 1.85 }, figure: "speed" },
        runs.map(({ many }) => many),
        runs.map(({ one }) => one),
      ),
    ],
  };
}

if (import.meta.main) {
  const [name] = Deno.args;
  if (!Object.hasOwn(sections, name)) throw new RangeError(`There is no section "${name}"`);
  const result = await sections[name]();
  console.log(JSON.stringify(result));
}
