// Producers, callers and takers are killed at random: no item is lost, answered twice, or in two hands.

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { withNames } from "../helpers/helpers.ts";
import { Member } from "../helpers/publish_helpers.ts";
import { queueUrl } from "../helpers/queue_helpers.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "queues");

/** How many items a run has. */
const ITEMS = Math.round(800 * scale);
const SLOTS = 8;

/** What a run may be told to do wrong, in the text of the library's module. */
interface Fault {
  /** A file of `src/queue/`, in which a text is replaced by another one. */
  readonly file: string;
  readonly text: string;
  readonly by: string;
}

/** What came out of a run. */
interface Result {
  /** How often a slot was found in two hands. */
  readonly collisions: number;
  /** Items whose effect never came about. */
  readonly lost: number;
  /** Answers that were those of another item. */
  readonly mixed: number;
  /** Items that were done more often than their takers were killed or dropped them. */
  readonly unexplained: number;
  readonly kills: number;
  readonly timeOuts: number;
}

/**
 * Code of a taker. A word of each slot says who is in it: it must be 0 when a taker comes, or the number of one that
 * was killed. `Deno.args` is not used: all is in the text.
 */
const takerOf = (async: boolean): string => `
  const visit = (item) => {
    const { n } = item.message;
    const before = Atomics.exchange(hands, item.slot, Deno.pid);
    if (before !== 0) say("in " + before);
    const end = performance.now() + (n % 7) * 0.3;
    const data = inputs.slice(item.slot).subarray();
    let sum = 0;
    while (performance.now() < end);
    for (const x of data) sum += x === n ? 0 : 1;
    Atomics.add(done, n, 1);
    const after = Atomics.compareExchange(hands, item.slot, Deno.pid, 0);
    if (after !== Deno.pid) say("out " + after);
    if (sum !== 0) say("mixed " + n);
    return n * 2;
  };
  const released = new Set();
  const isToRelease = ({ message: { n } }) => n % 5 === 0 && !released.has(n) && released.add(n);
  say("ready");
  ${
  async
    ? `await queue.serve(async (item) => { await null; return visit(item); }, { concurrency: 1 });`
    : `for (let item; (item = queue.take()) !== null;) {
        const answer = visit(item);
        if (isToRelease(item)) {
          Atomics.add(done, 0, 1); // no item has the number 0
          item.release();
          continue;
        }
        item.complete(answer);
      }`
}
  say("end");
`;

/** Runs producers and takers, and kills takers meanwhile. */
async function run(names: string[], fault?: Fault): Promise<Result> {
  const folder = fault === undefined ? null : await faulty(fault);
  const url = folder === null ? queueUrl : `file://${folder}/src/queue/mod.ts`;
  const [name, doneName, handsName, inputsName] = names;
  using queue = new SharedMemoryQueue(name, SLOTS).create();
  using done = new SharedMemoryArray([ITEMS + 1], "int32", doneName);
  using hands = new SharedMemoryArray([SLOTS], "int32", handsName);
  using inputs = new SharedMemoryArray([SLOTS, 16], "int32", inputsName);
  [done, hands, inputs].forEach((each) => each.create());
  const prelude = `
    const { SharedMemoryQueue } = await import(${JSON.stringify(url)});
    const queue = SharedMemoryQueue.from(${JSON.stringify(queue)}).load();
    const load = (descriptor) => SharedMemoryArray.from(descriptor).load();
    const done = load(${JSON.stringify(done)}).data;
    const hands = load(${JSON.stringify(hands)}).data;
    const inputs = load(${JSON.stringify(inputs)});
  `;
  const half = ITEMS >> 1;
  const producer = (from: number, to: number): string =>
    `${prelude}
    let next = ${from};
    let mixed = 0;
    let timeOuts = 0;
    const lane = async () => {
      while (next <= ${to}) {
        const n = next++;
        while (true) {
          const fill = (slot) => { inputs.slice(slot).fill(n); return { n }; };
          if (n % 3 === 0) { await queue.putAsync(fill, { attempts: 30 }); break; }
          try {
            const timeout = n % 3 === 1 ? Math.random() * 60 : Infinity;
            const answer = await queue.call(fill, { attempts: 30, timeout });
            if (answer !== 2 * n) mixed++;
            break;
          } catch (error) {
            if (error.name !== "TimeoutError") throw error;
            timeOuts++;
          }
        }
      }
    };
    await Promise.all([lane(), lane(), lane()]);
    say(JSON.stringify({ mixed, timeOuts }));
  `;
  const counts = { collisions: 0, mixed: 0, kills: 0, timeOuts: 0 };
  const killed = new Set<number>();
  let isEnding = false;
  /**
   * Counts an error that a member has told. One whose slot was taken away is told so: that is two hands in one slot.
   */
  const countError = (error: unknown): void => {
    if (!/STATE of slot/.test(String(error))) throw error;
    counts.collisions++;
  };
  /** Keeps a taker there, and kills it now and then. */
  const keepTaker = async (isAsync: boolean): Promise<void> => {
    while (true) {
      const member = await Member.start(prelude + takerOf(isAsync));
      let killing: Promise<void> | undefined;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const kill = async (): Promise<void> => {
        counts.kills++;
        killed.add(member.pid);
        await member.kill();
      };
      try {
        for (let line; (line = await member.line()) !== "end";) {
          const [what, by] = line.split(" ");
          if (what === "mixed") counts.mixed++;
          else if (what === "ready") {
            if (isEnding) continue;
            // It may have ended by itself just then.
            timer = setTimeout(() => killing = kill().catch(() => {}), Math.random() * 500);
          } else if (!killed.has(Number(by))) counts.collisions++;
        }
        return;
      } catch (error) {
        if (killing === undefined) countError(error);
      } finally {
        clearTimeout(timer);
        await killing;
        if (killing === undefined) await member.end().catch(countError);
      }
    }
  };
  try {
    const takers = [false, true, true].map(keepTaker);
    const producers = await Promise.all([
      Member.start(producer(1, half)),
      Member.start(producer(half + 1, ITEMS)),
    ]);
    for (const each of producers) {
      try {
        const { mixed, timeOuts } = JSON.parse(await each.line());
        counts.mixed += mixed;
        counts.timeOuts += timeOuts;
      } catch (error) {
        countError(error);
      }
      await each.end().catch(countError);
    }
    isEnding = true;
    queue.end();
    await Promise.all(takers);
    await queue.drainedAsync({ timeout: 60_000 });
    const [released, ...times] = done.array!;
    const lost = times.filter((count) => count === 0).length;
    // An item is done again if its taker was killed, if it was released, or if its caller gave up and called again.
    const again = times.reduce((sum, count) => sum + Math.max(0, count - 1), 0);
    const unexplained = Math.max(0, again - counts.kills - counts.timeOuts - released);
    return { ...counts, lost, unexplained };
  } finally {
    if (folder !== null) await Deno.remove(folder, { recursive: true });
  }
}

/** Copies the sources with a fault in them. */
async function faulty({ file, text, by }: Fault): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "queue-fault-" });
  const root = new URL("../../", import.meta.url).pathname;
  const { success } = await new Deno.Command("cp", {
    args: ["-R", `${root}mod.ts`, `${root}src`, `${root}ffi`, folder],
  }).output();
  assert(success);
  const path = `${folder}/src/queue/${file}`;
  const source = await Deno.readTextFile(path);
  assertEquals(source.split(text).length, 2, `${file} has the text once: ${text}`);
  await Deno.writeTextFile(path, source.replace(text, by));
  return folder;
}

Deno.test("under kills and time-outs nothing is lost, mixed up, or in two hands", () =>
  withNames(async (a, b, c, d) => {
    const { kills, timeOuts, ...faults } = await run([a, b, c, d]);
    assertEquals(faults, { collisions: 0, lost: 0, mixed: 0, unexplained: 0 });
    assert(kills > 0 && timeOuts > 0, JSON.stringify({ kills, timeOuts }));
  }));

// The same run must see what is wrong.

Deno.test("a slot that is freed when time is up is found out", () =>
  withNames(async (a, b, c, d) => {
    const { collisions, mixed } = await run([a, b, c, d], {
      file: "attached_queue.ts",
      text:
        "if (!words.change(slot, word, stateWord(DROPPED, deathsOf(word), ownerOf(word)))) continue;",
      by: "if (!words.change(slot, word, FREE)) continue;",
    });
    assert(collisions + mixed > 0);
  }));

Deno.test("a witness that is wrong in 2 of 100 is found out", () =>
  withNames(async (a, b, c, d) => {
    const { collisions, mixed } = await run([a, b, c, d], {
      file: "attached_queue.ts",
      text: "lives = isWitnessed(this.#segment, owner);",
      by: "lives = Math.random() > 0.02 && isWitnessed(this.#segment, owner);",
    });
    assert(collisions + mixed > 0);
  }));
