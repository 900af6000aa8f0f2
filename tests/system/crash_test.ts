// Processes are killed at random moments. What they shared stays right, and what they leave can be
// listed and removed. SHM_SEED replays the moments, as far as a clock can.

import { assert, assertEquals } from "@std/assert";
import {
  createAndRegisterSma,
  type SegmentInfo,
  SharedMemoryArray,
  SharedMemoryRegister,
} from "@shm/array";
import { segmentExists, startChild } from "../helpers/helpers.ts";
import { Random, seedOf } from "../helpers/random.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it lists and prunes leftovers");

/** How often each kind of process is killed: three kinds, more than 100 kills in all. */
const kills = 36 * scale;

const seed = seedOf(Date.now() % 2 ** 31);
const random = new Random(seed);

/** Starts a child and kills it at a random moment after it has said that it is at work. */
async function killedAtWork(code: string, args: string[]): Promise<number> {
  const child = await startChild(code, { args, permissions: ["--allow-ffi"] });
  const output = child.stdout.getReader();
  const { done } = await output.read();
  if (done) {
    const errors = await new Response(child.stderr).text();
    throw new Error(`the child ended before it was killed: ${errors}`);
  }
  await new Promise((resolve) => setTimeout(resolve, random.next() * 20));
  child.kill("SIGKILL");
  const { signal } = await child.status;
  await Promise.all([output.cancel(), child.stderr.cancel()]);
  assertEquals(signal, "SIGKILL");
  return child.pid;
}

/** Does something many times, two at a time, because most machines have two cores at least. */
async function inPairs(times: number, body: (i: number) => Promise<void>): Promise<void> {
  for (let i = 0; i < times; i += 2) {
    await Promise.all([i, i + 1].filter((each) => each < times).map(body));
  }
}

function listed(prefix: string): SegmentInfo[] {
  return SharedMemoryArray.list().filter((segment) => segment.prefix === prefix);
}

/** A prefix that nothing else has; what has it at the end, also of a test that failed, is removed. */
class CleanPrefix {
  readonly prefix = `crash${crypto.randomUUID().slice(0, 8)}`;

  [Symbol.dispose](): void {
    SharedMemoryArray.clearBuffers(listed(this.prefix).map(({ name }) => name));
  }
}

Deno.test(`crash: ${kills} creators killed with SIGKILL leave what list() shows and prune() removes`, async () => {
  // Taken out (the creation in one step from empty to reserved): a leftover could have its size and no
  // memory, and who attaches to it dies. Taken out (prune): the names stay until the machine reboots.
  using cleaned = new CleanPrefix();
  const { prefix } = cleaned;
  const bytes = 300_000;
  const found = { empty: 0, whole: 0, rounds: 0 };
  await inPairs(kills, async () => {
    using counter = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName(prefix));
    counter.create();
    const pid = await killedAtWork(
      `
      const [counter, prefix, bytes] = Deno.args;
      const rounds = new SharedMemoryArray([1], "int32", counter).load().data;
      console.log("at work");
      while (true) {
        const name = SharedMemoryArray.buildSmaName(prefix);
        using sma = new SharedMemoryArray([Number(bytes)], "uint8", name);
        sma.create().fill(7);
        if (Atomics.add(rounds, 0, 1) % 8 !== 0) sma.unlink();
      }
      `,
      [counter.name, prefix, String(bytes)],
    );
    // The survivor sees what the dead process wrote, and can write there.
    const rounds = counter.array!.get(0);
    found.rounds += rounds;
    counter.array!.set(0, -1);
    assertEquals(SharedMemoryArray.clone(counter).load().get(0), -1);
    counter.unlink();
    for (const { pids } of listed(prefix)) assert(!pids.includes(pid), "the dead one maps it");
  });
  assert(found.rounds > 0);
  const left = listed(prefix).filter(({ pids }) => pids.length === 0);
  for (const { name, byteLength } of left) {
    assert([0, bytes].includes(byteLength), `${name} has ${byteLength} bytes`);
    if (byteLength === 0) {
      found.empty++;
      continue;
    }
    found.whole++;
    using sma = new SharedMemoryArray([bytes], "uint8", name);
    const array = sma.load();
    // Every page is there and can be read, whether it was written or not.
    assert([0, 7].includes(array.get(0)) && [0, 7].includes(array.get(-1)));
    array.fill(9);
  }
  const names = left.map(({ name }) => name);
  assertEquals(SharedMemoryArray.prune({ prefix }), [], "younger than an hour");
  assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), names);
  assertEquals(listed(prefix), []);
  assertEquals(names.filter(segmentExists), []);
  console.log(
    `${kills} creators killed (seed ${seed}) in ${found.rounds} rounds: ` +
      `${found.whole} whole and ${found.empty} empty segments were left, and are gone`,
  );
});

Deno.test(`crash: ${kills} readers killed with SIGKILL do no harm`, async () => {
  using cleaned = new CleanPrefix();
  const { prefix } = cleaned;
  using register = new SharedMemoryRegister();
  using sma = createAndRegisterSma([64, 1024], "float64", register, prefix);
  sma.array!.assign(Float64Array.from({ length: 1024 }, (_, i) => i * 1.5));
  const before = sma.array!.copy();
  await inPairs(kills, async () => {
    const pid = await killedAtWork(
      `
      const description = JSON.parse(Deno.args[0]);
      console.log("at work");
      while (true) {
        using sma = SharedMemoryArray.from(description);
        const array = sma.load();
        if (array.slice(":", 3).copy().some((value) => value !== 4.5)) throw new Error("torn");
      }
      `,
      [JSON.stringify(sma)],
    );
    assert(!listed(prefix)[0].pids.includes(pid), "a dead reader is shown");
    assert(segmentExists(sma.name), "the death of a reader removed the segment");
  });
  assertEquals(sma.array!.copy(), before);
  const { name } = sma;
  assertEquals(listed(prefix).map(({ pids }) => pids), [[Deno.pid]]);
  register[Symbol.dispose]();
  assert(!segmentExists(name));
});

Deno.test(`crash: ${kills} workers killed with SIGKILL in a wrapped call leave every row old or new`, async () => {
  using cleaned = new CleanPrefix();
  const { prefix } = cleaned;
  const [rows, columns] = [400, 256];
  const torn: number[] = [];
  await inPairs(kills, async () => {
    const register = new SharedMemoryRegister();
    using target = createAndRegisterSma([rows, columns], "int32", register, prefix);
    using progress = createAndRegisterSma([1], "int32", register, prefix);
    target.array!.fill(-1);
    // The worker creates one of its own, by a name that the parent has registered.
    const own = SharedMemoryArray.buildSmaName(prefix);
    register.push(own);
    await killedAtWork(
      `
      const [target, progress] = JSON.parse(Deno.args[0]).map((each) => SharedMemoryArray.from(each));
      new SharedMemoryArray([1000], "int8", Deno.args[1]).create();
      const work = shmarrayWrap((target, { progress }) => {
        console.log("at work");
        for (let round = 0; true; round++) {
          for (let row = 0; row < target.shape[0]; row++) {
            for (let column = 0; column < target.shape[1]; column++) {
              target.set(row, column, round);
            }
            Atomics.store(progress.data, 0, round * target.shape[0] + row + 1);
          }
        }
      });
      work(target, { progress });
      `,
      [JSON.stringify([target, progress]), own],
    );
    // Finished rows are new in every element, the row in work is new in part, the others are old.
    const done = Atomics.load(progress.array!.data, 0);
    const [round, row] = [Math.floor(done / rows), done % rows];
    const elements = target.array!.copy();
    let partly = 0;
    elements.forEach((element, i) => {
      const of = Math.floor(i / columns);
      const old = round - 1;
      if (of === row && element === round) partly++;
      else assertEquals(element, of < row ? round : old, `row ${of}, done ${done}`);
    });
    if (partly > 0 && partly < columns) torn.push(partly);
    assertEquals(listed(prefix).find(({ name }) => name === target.name)!.pids, [Deno.pid]);
    assertEquals(listed(prefix).find(({ name }) => name === own)!.pids, []);
    // The parent's register cleans all, the dead worker's segment included.
    const names = [...register];
    assertEquals(names.length, 3);
    register[Symbol.dispose]();
    assertEquals(names.filter(segmentExists), []);
  });
  assertEquals(listed(prefix), []);
  console.log(
    `${kills} workers killed (seed ${seed}), ${torn.length} of them in the middle of a row`,
  );
});

Deno.test(`crash: ${kills} creators of anonymous segments killed with SIGKILL leave nothing at all`, async () => {
  const description = { shape: [300_000], dtype: "uint8" } as const;
  let rounds = 0;
  await inPairs(kills, async () => {
    using register = new SharedMemoryRegister();
    using told = createAndRegisterSma([256], "uint8", register, "crash", { anonymous: true });
    const pid = await killedAtWork(
      `
      const told = SharedMemoryArray.from(JSON.parse(Deno.args[0])).load();
      const kept = [];
      console.log("at work");
      for (let round = 1; true; round = round % 100 + 1) {
        const sma = SharedMemoryArray.createAnonymous([300_000], "uint8");
        sma.array.fill(7);
        told.slice(":-1").fill(0);
        told.slice(\`:\${sma.name.length}\`).assign(new TextEncoder().encode(sma.name));
        told.set(-1, round);
        kept.push(sma);
        if (kept.length > 3) kept.shift().unlink();
      }
      `,
      [JSON.stringify(told)],
    );
    rounds += told.array!.get(-1);
    const bytes = told.array!.copy();
    const name = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
    // It may have been killed before it told the first name, or in the middle of one.
    if (!/^memfd:\d+:\d+:\d+$/.test(name)) return;
    assert(name.startsWith(`memfd:${pid}:`));
    const sma = new SharedMemoryArray(description.shape, description.dtype, name);
    let error: unknown;
    try {
      sma.load();
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof Deno.errors.NotFound, `${name} can still be loaded`);
    assertEquals(SharedMemoryArray.clearBuffers([name]), []);
  });
  assert(rounds > 0);
  console.log(
    `${kills} creators of anonymous segments killed (seed ${seed}) in ${rounds} rounds or more`,
  );
});

Deno.test(`crash: ${kills} readers of a copy-on-write array killed with SIGKILL change nothing`, async () => {
  using register = new SharedMemoryRegister();
  using sma = createAndRegisterSma([64, 1024], "float64", register, null, { anonymous: true });
  sma.array!.assign(Float64Array.from({ length: 1024 }, (_, i) => i * 1.5));
  const before = sma.array!.copy();
  await inPairs(kills, async () => {
    await killedAtWork(
      `
      const description = JSON.parse(Deno.args[0]);
      console.log("at work");
      while (true) {
        using sma = SharedMemoryArray.from(description);
        const array = sma.load({ access: "copy-on-write" });
        array.fill(-1);
        if (array.get(-1, 0) !== -1) throw new Error("not its own");
      }
      `,
      [JSON.stringify(sma.array!.slice("::-1", "1:"))],
    );
    assertEquals(sma.array!.copy(), before);
  });
});
