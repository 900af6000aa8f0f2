/**
 * Producers, callers and takers are killed at random, every 50 ms one: no item is lost, answered twice or in two hands,
 * and each effect that came about again has its reason. `SHM_SOAK=25` makes 20,000 items of the 800.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { python } from "../helpers/find_python.ts";
import { withNames } from "../helpers/helpers.ts";
import { Member, sleep } from "../helpers/publish_helpers.ts";
import { startPython } from "../helpers/python_teller.ts";
import { type Change, changedCopy } from "../helpers/changed_copy.ts";
import { queueUrl } from "../helpers/queue_helpers.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "queues");

/** How many items a run has. */
const ITEMS = Math.round(800 * scale);
/** One that is to find a fault ends when it has found it. */
const MOST_ITEMS = Math.max(ITEMS, 8000);
const SLOTS = 8;
const LANES = 3;
/** Every so many milliseconds a taker is killed, if so many items were ended since the last kill: */
const KILL_EVERY = 50;
const ITEMS_PER_KILL = 20; // a machine that is slow to start processes must come to an end, too
/** Every so many kills a producer is killed, too. */
const PRODUCER_EVERY = 10;

// --- What members note in shared memory --------------------------------------------------------

/** Counts by items. */
const ROWS = { done: 0, accepted: 1, timeOuts: 2, givenBack: 3 };
/** In which of their last visits takers are, so that what a killed one did is known. */
const VISITS = 8;
const TAKERS = 4;
const PRODUCERS = 3;
/** Where things stand among the other words. */
const HANDS = 0;
const DOING = HANDS + SLOTS;
const CURSORS = DOING + TAKERS * VISITS;
const CURRENT = CURSORS + PRODUCERS;
const WORDS = CURRENT + PRODUCERS * LANES;
const NUMBERS = 16;

/** Something that is wrong on purpose. */
interface Fault {
  /** What a copy of the sources has that is other. */
  readonly change?: Change;
  /** Statements for programs in Python. */
  readonly python?: string;
}

type Kind = "take" | "takeAsync" | "serve" | "serve two" | "Python";

interface Run {
  readonly items: number;
  readonly takers: readonly Kind[];
  readonly fault?: Fault;
}

/** What came out of a run. */
interface Result {
  /** How often a slot was found in two hands. */
  readonly collisions: number;
  /** Items whose effect never came about. */
  readonly lost: number;
  /** Messages, answers or data that were those of another item. */
  readonly mixed: number;
  /** Items that were ended more than once, and somebody wanted it each time. */
  readonly twice: number;
  /** Items that were done more often than there are reasons for: killed takers, time limits, what was given back. */
  readonly unexplained: number;
  /** What happened besides: kills, time limits that were over, what takers gave back, and what was done again. */
  readonly figures: {
    readonly kills: number;
    readonly timeOuts: number;
    readonly givenBack: number;
    readonly again: number;
  };
}

// --- The members -------------------------------------------------------------------------------

/** Code in Deno that finds the queue, and has what both takers and producers need. */
function prelude(queue: SharedMemoryQueue, names: string[], items: number, url: string): string {
  const [recordsName, wordsName, dataName] = names;
  return `
    const { SharedMemoryQueue } = await import(${JSON.stringify(url)});
    const queue = SharedMemoryQueue.from(${JSON.stringify(queue)}).load();
    const records = new SharedMemoryArray([4, ${items + 1}], "int32", "${recordsName}").load().data;
    const words = new SharedMemoryArray([${WORDS}], "int32", "${wordsName}").load().data;
    const data = new SharedMemoryArray([2, ${SLOTS}, ${NUMBERS}], "int32", "${dataName}").load();
    const note = (row, n) => Atomics.add(records, row * ${items + 1} + n, 1);
    const isWhole = (view, n) => view.subarray().every((x) => x === n);
  `;
}

/**
 * Code of a taker. A word of each slot says who is in it: it must be 0 when a taker comes, or say one that was killed.
 */
function takerIn(kind: Kind, index: number): string {
  const loop: { [kind: string]: string } = {
    take: "for (let item; (item = queue.take()) !== null;) handle(item);",
    takeAsync: `for (let item; (item = await queue.takeAsync()) !== null;) {
      await null;
      handle(item);
    }`,
    serve: "await queue.serve(async (item) => { await null; return answer(item, visit(item)); });",
    "serve two": `await queue.serve(async (item) => {
      const visit = enter(item);
      await new Promise((resume) => setTimeout(resume, 1));
      visit.leave();
      return item.message.n % 2 === 0 ? end(item, visit) : answer(item, visit);
    }, { concurrency: 2 });`,
  };
  return `
    let visits = 0;
    /**
     * Notes that a taker is in the slot, and at the item, and does the work. It leaves the slot before it ends the item,
     * which another one may take then, and is over with the item after that.
     */
    const enter = (item) => {
      const { n } = item.message;
      const visit = visits++ % ${VISITS};
      const token = Deno.pid * ${VISITS} + visit;
      const before = Atomics.exchange(words, ${HANDS} + item.slot, token);
      if (before !== 0) say("in " + Math.floor(before / ${VISITS}));
      const doing = ${DOING} + ${index * VISITS} + visit;
      Atomics.store(words, doing, n);
      const end = performance.now() + (n % 7) * 0.3;
      const [input, output] = [0, 1].map((which) => data.slice(which, item.slot));
      while (performance.now() < end);
      if (!isWhole(input, n)) say("mixed " + n);
      note(${ROWS.done}, n);
      output.fill(n);
      return {
        leave() {
          const after = Atomics.compareExchange(words, ${HANDS} + item.slot, token, 0);
          if (after !== token) say("out " + Math.floor(after / ${VISITS}));
        },
        over() { Atomics.compareExchange(words, doing, n, 0); },
      };
    };
    const visit = (item) => {
      const visit = enter(item);
      visit.leave();
      return visit;
    };
    const end = (item, visit) => {
      const { n } = item.message;
      const isWanted = n % 13 === 0 ? item.fail(new Error("no " + n)) : item.complete(n * 2);
      if (isWanted) note(${ROWS.accepted}, n);
      visit.over();
    };
    /** What a handler of serve() gives, which ends the item thereafter. */
    const answer = ({ message: { n } }, visit) => {
      setTimeout(visit.over, 2);
      if (n % 13 === 0) throw new Error("no " + n);
      return n * 2;
    };
    const given = new Set();
    const handle = (item) => {
      const { n } = item.message;
      const now = visit(item);
      if (n % 5 !== 0 || given.has(n)) return end(item, now);
      given.add(n); // once, or it would never be over
      note(${ROWS.givenBack}, n);
      if (n % 2 === 0) item.release();
      else item[Symbol.dispose]();
      now.over();
    };
    say("ready");
    ${loop[kind]}
    say("end");
  `;
}

/** What programs in Python find. */
function preludeInPython(names: string[], items: number, fault?: Fault): string {
  return `
import ctypes, mmap, random
def words_of(name):
    file = os.open("/dev/shm/" + name, os.O_RDWR)
    memory = mmap.mmap(file, 0)
    os.close(file)
    return (ctypes.c_uint32 * (len(memory) // 4)).from_buffer(memory)
records, words, data = map(words_of, ${JSON.stringify(names)})
def note(row, n):
    S._update(records, 4 * (row * ${items + 1} + n), lambda count: count + 1)
def exchange(at, value):
    while True:
        before = words[at]
        if S._compare_exchange(words, 4 * at, before, value):
            return before
def numbers(which, slot):
    start = (which * ${SLOTS} + slot) * ${NUMBERS}
    return slice(start, start + ${NUMBERS})
def say(*what):
    print(*what, flush=True)
${fault?.python ?? ""}
queue = Queue(name)
`;
}

function takerInPython(index: number): string {
  return `
visits, given = 0, set()
say("ready")
for item in queue.items():
    with item:
        n, slot = item.message["n"], item.slot
        visit, visits = visits % ${VISITS}, visits + 1
        token = os.getpid() * ${VISITS} + visit
        before = exchange(${HANDS} + slot, token)
        if before != 0:
            say("in", before // ${VISITS})
        doing = ${DOING} + ${index * VISITS} + visit
        words[doing] = n
        end = time.monotonic() + n % 7 * 0.0003
        while time.monotonic() < end:
            pass
        if data[numbers(0, slot)] != [n] * ${NUMBERS}:
            say("mixed", n)
        note(${ROWS.done}, n)
        data[numbers(1, slot)] = [n] * ${NUMBERS}
        if not S._compare_exchange(words, 4 * (${HANDS} + slot), token, 0):
            say("out", words[${HANDS} + slot] // ${VISITS})
        if n % 5 == 0 and n not in given:
            given.add(n)
            note(${ROWS.givenBack}, n)
            if n % 2 == 0:
                item.release()
        elif item.fail("no " + str(n)) if n % 13 == 0 else item.complete(n * 2):
            note(${ROWS.accepted}, n)
    words[doing] = 0
say("end")
`;
}

/**
 * Code of a producer. Which items it is at stands in shared memory: the next one after a kill puts those again. Of
 * three items one is put, one is called with a time limit of 0 to 60 ms, and again if that is over, and one without.
 */
function producerIn(index: number, last: number): string {
  return `
    const cursor = ${CURSORS + index};
    const fill = (n) => (slot) => {
      const before = Atomics.load(words, ${HANDS} + slot);
      if (before !== 0) say("in " + Math.floor(before / ${VISITS}));
      data.slice(0, slot).fill(n);
      return { n };
    };
    const attempts = 30;
    const call = (n, timeout) =>
      queue.call(fill(n), {
        attempts,
        timeout,
        read: (answer, slot) => {
          if (answer !== 2 * n || !isWhole(data.slice(1, slot), n)) say("mixed " + n);
        },
      });
    const hand = async (n) => {
      while (true) {
        if (n % 6 === 0) return queue.put(fill(n), { attempts });
        if (n % 6 === 3) return await queue.putAsync(fill(n), { attempts });
        try {
          return await call(n, n % 3 === 1 ? Math.random() * 60 : Infinity);
        } catch (error) {
          if (error.name === "TimeoutError") note(${ROWS.timeOuts}, n);
          else if (error.message === "no " + n) return;
          else if (/^no \\d+$/.test(error.message)) { say("mixed " + n); return; }
          else throw error;
        }
      }
    };
    const lane = async (which) => {
      const current = ${CURRENT + index * LANES} + which;
      for (let n = words[current];; n = 0) {
        if (n === 0) {
          n = words[cursor] + 1;
          if (n > ${last}) return;
          words[current] = n;
          words[cursor] = n;
        }
        await hand(n);
        words[current] = 0;
      }
    };
    say("ready");
    await Promise.all([0, 1, 2].map(lane));
    say("end");
  `;
}

/** A producer in Python puts only. */
function producerInPython(index: number, last: number): string {
  return `
say("ready")
cursor, current = ${CURSORS + index}, ${CURRENT + index * LANES}
while True:
    n = words[current]
    if n == 0:
        n = words[cursor] + 1
        if n > ${last}:
            break
        words[current] = n
        words[cursor] = n
    def fill(slot):
        before = words[${HANDS} + slot]
        if before != 0:
            say("in", before // ${VISITS})
        data[numbers(0, slot)] = [n] * ${NUMBERS}
        return {"n": n}
    queue.put(fill, attempts=30)
    words[current] = 0
say("end")
`;
}

// --- The run -----------------------------------------------------------------------------------

/** A process that takes part. */
interface Peer {
  readonly pid: number;
  line(): Promise<string>;
  kill(): Promise<void>;
  end(): Promise<void>;
}

function startInPython(program: string, queue: SharedMemoryQueue): Peer {
  const teller = startPython(python()!, program, [queue.name]);
  return {
    pid: teller.pid,
    line: () => teller.line(),
    async kill() {
      teller.kill();
      await teller[Symbol.asyncDispose]();
    },
    async end() {
      const { code, signal, errors } = await teller.end();
      if (code !== 0) throw new Error(`Python ended with ${signal ?? code}:\n${errors}`);
    },
  };
}

/** Runs producers and takers, and kills them meanwhile. */
class Hunt {
  readonly #counts = { collisions: 0, mixed: 0 };
  #kills = 0;
  /** How often a taker was killed while it was at an item, and a producer. */
  readonly #takersKilled: Int32Array;
  readonly #callersKilled: Int32Array;
  readonly #killed = new Set<number>();
  /** Those that can be killed now, and what kills them. */
  readonly #targets = { taker: new Set<() => void>(), producer: new Set<() => void>() };
  readonly #found = Promise.withResolvers<void>();
  readonly #run: Run;
  #isOver = false;

  constructor(run: Run) {
    this.#run = run;
    this.#takersKilled = new Int32Array(run.items + 1);
    this.#callersKilled = new Int32Array(run.items + 1);
  }

  /** Counts something that is wrong. Where it is so on purpose, that is enough. */
  #note(what: "collisions" | "mixed"): void {
    this.#counts[what]++;
    if (this.#run.fault !== undefined) this.#found.resolve();
  }

  /** Counts an error that a member has told: one whose slot was taken away is told so. */
  #noteError(error: unknown): void {
    if (/STATE of slot/.test(String(error))) this.#note("collisions");
    // Where a fault was found the queue is ended, and who wants to put is told.
    else if (this.#run.fault === undefined || !/it was ended/.test(String(error))) throw error;
  }

  /** Keeps a member there until it says that it has ended. */
  async #keep(
    role: "taker" | "producer",
    start: () => Promise<Peer> | Peer,
    whenKilled: () => void,
  ): Promise<void> {
    const targets = this.#targets[role];
    while (!this.#isOver) {
      const member = await start();
      let killing: Promise<void> | undefined;
      const kill = (): void => {
        targets.delete(kill);
        this.#kills++;
        this.#killed.add(member.pid);
        killing = member.kill().catch(() => {}); // it has ended by itself just then
      };
      try {
        for (let line; (line = await member.line()) !== "end";) {
          const [what, by] = line.split(" ");
          if (what === "ready") {
            if (this.#isOver) kill();
            else targets.add(kill);
          } else if (what === "mixed") this.#note("mixed");
          else if (!this.#killed.has(Number(by))) this.#note("collisions");
        }
        targets.delete(kill);
        if (killing === undefined) return await member.end();
      } catch (error) {
        targets.delete(kill);
        if (killing === undefined) {
          await member.end().catch(() => {}); // the error says what it ended with
          this.#noteError(error);
        }
      }
      await killing;
      whenKilled();
    }
  }

  async #killNowAndThen(queue: SharedMemoryQueue): Promise<void> {
    const kill = (targets: Set<() => void>): void => {
      [...targets].at(Math.floor(Math.random() * targets.size))?.();
    };
    let times = 0;
    for (let last = 0; !this.#isOver;) {
      await sleep(KILL_EVERY);
      const { completed, failed } = queue.counts();
      if (completed + failed < last + ITEMS_PER_KILL || this.#targets.taker.size === 0) continue;
      last = completed + failed;
      kill(this.#targets.taker);
      if (++times % PRODUCER_EVERY === 0) kill(this.#targets.producer);
    }
  }

  /** Runs all of it. */
  async run(names: string[]): Promise<Result> {
    const { items, takers, fault } = this.#run;
    await using copy = fault?.change === undefined ? null : await changedCopy([fault.change]);
    const url = copy?.url("src/queue/mod.ts") ?? queueUrl;
    const [name, ...others] = names;
    using queue = new SharedMemoryQueue(name, SLOTS).create();
    using records = new SharedMemoryArray([4, items + 1], "int32", others[0]);
    using shared = new SharedMemoryArray([WORDS], "int32", others[1]);
    using data = new SharedMemoryArray([2, SLOTS, NUMBERS], "int32", others[2]);
    const noted = records.create().data as Int32Array;
    data.create();
    const words = shared.create().data;
    /** Counts what stands in words as items that a killed member was at. */
    const explain =
      (counts: Int32Array, start: number, end: number, clears: boolean) => (): void => {
        for (const [at, n] of words.subarray(start, end).entries()) {
          if (n === 0) continue;
          counts[n]++;
          if (clears) words[start + at] = 0;
        }
      };
    const common = prelude(queue, others, items, url);
    const pythons = preludeInPython(others, items, fault);
    const keepTaker = (kind: Kind, index: number): Promise<void> => {
      const start = DOING + index * VISITS;
      return this.#keep(
        "taker",
        kind === "Python"
          ? () => startInPython(pythons + takerInPython(index), queue)
          : () => Member.start(common + takerIn(kind, index)),
        explain(this.#takersKilled, start, start + VISITS, true),
      );
    };
    // Where Python takes part, a third producer is one in Python.
    const producers = takers.includes("Python") ? 3 : 2;
    const keepProducer = (index: number): Promise<void> => {
      words[CURSORS + index] = Math.floor(items * index / producers);
      const last = Math.floor(items * (index + 1) / producers);
      const start = CURRENT + index * LANES;
      const whenKilled = explain(this.#callersKilled, start, start + LANES, false);
      return this.#keep(
        "producer",
        index === 2
          ? () => startInPython(pythons + producerInPython(index, last), queue)
          : () => Member.start(common + producerIn(index, last)),
        () => {
          whenKilled();
          words[CURSORS + index] = Math.max(
            words[CURSORS + index],
            ...words.subarray(start, start + LANES),
          );
        },
      );
    };
    const all = (async () => {
      const taking = Promise.all(takers.map(keepTaker));
      const putting = Promise.all(
        Array.from({ length: producers }, (_, index) => keepProducer(index)),
      );
      await Promise.race([taking, putting]); // takers end first where a fault or an error was found
      queue.end();
      await Promise.all([taking, putting]);
      // Where a fault was found all takers were killed.
      if (!this.#isOver) await queue.drainedAsync({ timeout: 60_000 });
    })();
    const killing = this.#killNowAndThen(queue);
    try {
      await Promise.race([all, this.#found.promise]);
    } finally {
      this.#isOver = true;
      await killing;
      queue.end();
      // Whoever is left, because a fault was found.
      for (const targets of Object.values(this.#targets)) [...targets].forEach((kill) => kill());
      await all;
    }
    return this.#result(noted, items);
  }

  #result(records: Int32Array, items: number): Result {
    const of = (row: number, n: number): number => records[row * (items + 1) + n];
    let [lost, twice, unexplained] = [0, 0, 0];
    let [timeOuts, givenBack, repeated] = [0, 0, 0];
    for (let n = 1; n <= items; n++) {
      const done = of(ROWS.done, n);
      if (done === 0) lost++;
      const again = this.#callersKilled[n];
      if (of(ROWS.accepted, n) > 1 + again) twice++;
      const reasons = again + this.#takersKilled[n] + of(ROWS.timeOuts, n) + of(ROWS.givenBack, n);
      if (done > 1 + reasons) unexplained++;
      timeOuts += of(ROWS.timeOuts, n);
      givenBack += of(ROWS.givenBack, n);
      repeated += Math.max(0, done - 1);
    }
    const figures = { kills: this.#kills, timeOuts, givenBack, again: repeated };
    return { ...this.#counts, lost, twice, unexplained, figures };
  }
}

// --- The tests ---------------------------------------------------------------------------------

async function hunt(run: Run): Promise<Result> {
  return await withNames((a, b, c, d) => new Hunt(run).run([a, b, c, d]));
}

/** Runs everything as it is: nothing may be found. */
async function huntForNothing(takers: readonly Kind[]): Promise<void> {
  // Where this process was stopped all the time, it has killed nobody: then that run is a trial of nothing.
  for (let tries = 1;; tries++) {
    const { figures, ...found } = await hunt({ items: ITEMS, takers });
    if (scale !== 1) {
      console.log(`${ITEMS} items, ${takers.join(", ")}: ${JSON.stringify(figures)}`);
    }
    assertEquals(found, { collisions: 0, lost: 0, mixed: 0, twice: 0, unexplained: 0 });
    if (figures.kills > 0 && figures.timeOuts > 0) return;
    assert(tries < 10, JSON.stringify(figures));
  }
}

/** Runs everything with a fault in it, which must be found. */
async function huntForFault(takers: readonly Kind[], fault: Fault): Promise<void> {
  const { collisions, mixed } = await hunt({ items: MOST_ITEMS, takers, fault });
  assert(collisions + mixed > 0);
}

const inDeno: readonly Kind[] = ["take", "takeAsync", "serve", "serve two"];
const withPython: readonly Kind[] = ["take", "serve two", "Python", "Python"];

Deno.test(
  "under kills and time-outs nothing is lost, answered twice, or in two hands",
  () => huntForNothing(inDeno),
);

testWith(
  "NumPy",
  "with Python among takers and producers nothing is lost, answered twice, or in two hands",
  () => huntForNothing(withPython),
);

// The same runs must see what is wrong.

const freedAtTimeOut: Fault = {
  change: {
    file: "src/queue/attached_queue.ts",
    text:
      "if (!words.change(slot, word, stateWord(DROPPED, deathsOf(word), ownerOf(word)))) continue;",
    by: "if (!words.change(slot, word, FREE)) continue;",
  },
};

Deno.test("a slot that is freed when time is up is found out", () =>
  huntForFault(inDeno, freedAtTimeOut));

testWith(
  "NumPy",
  "a slot that is freed when time is up is found out by Python",
  () => huntForFault(["Python", "Python", "Python", "Python"], freedAtTimeOut),
);

Deno.test("a witness that is wrong in 2 of 100 is found out", () =>
  huntForFault(inDeno, {
    change: {
      file: "src/queue/attached_queue.ts",
      text: "lives = isWitnessed(this.#segment, owner);",
      by: "lives = Math.random() > 0.02 && isWitnessed(this.#segment, owner);",
    },
  }));

testWith(
  "NumPy",
  "a witness of Python that is wrong in 2 of 100 is found out",
  () =>
    huntForFault(withPython, {
      python: `
real = Queue._is_locked
Queue._is_locked = lambda self, number: random.random() > 0.02 and real(self, number)
`,
    }),
);
