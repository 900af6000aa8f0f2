/**
 * What an attachment costs: creating, loading, closing, and the wrapper of functions.
 *
 * @module
 */

import {
  type CreateOptions,
  type NDArray,
  SharedMemory,
  SharedMemoryArray,
  SharedMemoryRegister,
  shmarrayWrap,
} from "@shm/array";
import { type Platform, platform } from "../ffi/platform.ts";
import { benchGroup, expectSame, type Group, isBenched } from "./measure.ts";

const COUNT = 100;

/** Removes the segments at the end of the process, and when a signal ends it. */
const register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });

function temporaryName(): string {
  return SharedMemoryArray.buildSmaName("bench");
}

/** Creates, writes the first element, closes and unlinks `count` arrays of 4 KiB. */
export function createCycles(count: number, options?: CreateOptions): number {
  const name = temporaryName();
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const sma = new SharedMemoryArray([512], "float64", name);
    const array = sma.create(options);
    array.set(0, i);
    sum += array.data[0];
    sma.close();
    sma.unlink();
  }
  return sum;
}

/** Loads an array `count` times, reads its first element and closes it. */
export function loadCycles(shape: number, name: string, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const sma = new SharedMemoryArray([shape], "float64", name);
    sum += sma.load().get(0);
    sma.close();
  }
  return sum;
}

/** A segment to load. Its first element is 1.5; only its first page is ever touched. */
export class Target {
  readonly name: string = temporaryName();
  readonly length: number;

  constructor(byteLength: number) {
    register.push(this.name);
    this.length = byteLength / 8;
    using sma = new SharedMemoryArray([this.length], "float64", this.name);
    sma.create({ reserve: false }).set(0, 1.5);
  }

  /** Loads and closes; touches no page. */
  attach(count: number): number {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const sma = new SharedMemoryArray([this.length], "float64", this.name);
      sum += sma.load().size;
      sma.close();
    }
    return sum;
  }

  /** Loads, reads one element, closes. */
  load(count: number): number {
    return loadCycles(this.length, this.name, count);
  }
}

const small = new Target(4096);
const large = new Target(8 * 2 ** 30);

const SPARSE = "load of 8 GiB (sparse) against load of 4 KiB";

const UNTOUCHED: Group = {
  item: SPARSE,
  what: "load, close",
  count: COUNT,
  unit: "ns per load",
  check() {
    expectSame("load of 4 KiB", small.attach(2), 2 * small.length);
    expectSame("load of 8 GiB", large.attach(2), 2 * large.length);
  },
  ours: () => large.attach(COUNT),
  against: [
    { name: "itself with 4 KiB", goal: { most: 1.3 }, run: () => small.attach(COUNT) },
  ],
};

const TOUCHED: Group = {
  item: SPARSE,
  what: "load, read, close",
  count: COUNT,
  unit: "ns per load",
  check() {
    expectSame("load of 4 KiB", small.load(2), 3);
    expectSame("load of 8 GiB", large.load(2), 3);
  },
  ours: () => large.load(COUNT),
  against: [{ name: "itself with 4 KiB", run: () => small.load(COUNT) }],
};

/** Runs something as on a system whose files have no attributes: no call is made for them. */
function withoutAttributes(run: () => unknown): unknown {
  const { os } = platform();
  Object.assign(platform(), { os: "darwin" });
  try {
    return run();
  } finally {
    Object.assign(platform(), { os });
  }
}

/** What it costs to write beside a segment what it is. */
const CREATE_DESCRIBED: Group = {
  item: "description of 4 KiB",
  what: "create, write, close, unlink",
  count: COUNT,
  unit: "ns per segment",
  check() {
    expectSame("create", createCycles(3), 3);
    expectSame("create({ describe: false })", createCycles(3, { describe: false }), 3);
  },
  ours: () => createCycles(COUNT),
  against: [
    {
      name: "itself with describe: false",
      figure: "difference",
      goal: { most: 3000 },
      run: () => createCycles(COUNT, { describe: false }),
    },
    {
      name: "itself without attributes",
      figure: "difference",
      goal: { most: 3000 },
      run: () => withoutAttributes(() => createCycles(COUNT)),
    },
  ],
};

/** What it costs to ask for no description, where none could be written anyway. */
const CREATE_PLAIN: Group = {
  item: "description of 4 KiB",
  what: "create({ describe: false })",
  count: COUNT,
  unit: "ns per segment",
  check: CREATE_DESCRIBED.check,
  ours: () => createCycles(COUNT, { describe: false }),
  against: [
    {
      name: "create({ mode }) without attributes",
      goal: { most: 1.02 },
      run: () => withoutAttributes(() => createCycles(COUNT, { mode: 0o600 })),
    },
  ],
};

/** What it costs to compare a segment with what it says that it is. */
const LOAD_DESCRIBED: Group = {
  item: "description of 4 KiB",
  what: "load, read, close",
  count: COUNT,
  unit: "ns per load",
  check() {
    expectSame("load of 4 KiB", small.load(2), 3);
  },
  ours: () => small.load(COUNT),
  against: [
    {
      name: "itself without attributes",
      figure: "difference",
      goal: { most: 1000 },
      run: () => withoutAttributes(() => small.load(COUNT)),
    },
  ],
};

const sma = new SharedMemoryArray([small.length], "float64", small.name);
const wrapped = shmarrayWrap((array: NDArray<"float64">) => array.size);

function byWrapper(): number {
  let sum = 0;
  for (let i = 0; i < COUNT; i++) sum += wrapped(sma);
  return sum;
}

function byHand(): number {
  let sum = 0;
  for (let i = 0; i < COUNT; i++) {
    const array = sma.load();
    try {
      sum += array.size;
    } finally {
      sma.close();
    }
  }
  return sum;
}

const WRAPPER: Group = {
  item: "shmarrayWrap around an empty function",
  what: "call",
  count: COUNT,
  unit: "ns per call",
  check() {
    expectSame("shmarrayWrap", byWrapper(), byHand());
    expectSame("the array after a wrapped call", sma.array, null);
  },
  ours: byWrapper,
  against: [{ name: "load + close by hand", goal: { most: 1.15 }, run: byHand }],
};

const { flags } = platform();
/** Gives this system other flags: all code asks the one description of it. */
function setFlags(others: Platform["flags"]): void {
  Object.assign(platform(), { flags: others });
}
const MIB = 2 ** 20;

/** Creates, closes and unlinks segments of a size from which on they get their name last. */
function createLarge(): number {
  const name = temporaryName();
  let sum = 0;
  for (let i = 0; i < COUNT; i++) {
    using memory = SharedMemory.create(name, MIB);
    sum += memory.size;
    memory.unlink();
  }
  return sum;
}

/** The same where the system has no files without a name, so that they get it first. */
function createNamedFirst(): number {
  setFlags({ ...flags, O_TMPFILE: 0 });
  try {
    return createLarge();
  } finally {
    setFlags(flags);
  }
}

/** What it costs that large segments get their name last: at 1 MiB, the smallest of them. */
const NAMED_LAST: Group = {
  item: "create of 1 MiB, named last",
  what: "create, close, unlink",
  count: COUNT,
  unit: "ns per segment",
  check() {
    expectSame("create of 1 MiB", createLarge(), COUNT * MIB);
    expectSame("create of 1 MiB, named first", createNamedFirst(), COUNT * MIB);
  },
  ours: createLarge,
  against: [{ name: "itself, named first", run: createNamedFirst }],
};

/** Segments of 4 KiB and of 8 GiB. */
export { large, small };

/** What `bench/peers.ts` measures, too. */
export const groups: readonly Group[] = [
  UNTOUCHED,
  TOUCHED,
  WRAPPER,
  CREATE_DESCRIBED,
  CREATE_PLAIN,
  LOAD_DESCRIBED,
];

if (isBenched(import.meta.url)) {
  [...groups, NAMED_LAST].forEach(benchGroup);
  expectSame("create", createCycles(3), 3);
  Deno.bench("create + write + close + unlink, 4 KiB", () => void createCycles(1));
  Deno.bench("load + read + close, 4 KiB", () => void small.load(1));
}
