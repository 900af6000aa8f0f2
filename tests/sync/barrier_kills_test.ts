// Parties are killed at random: no generation passes before all parties have come, and live.

import { assert, assertEquals } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import type { BrokenBarrierError, SharedMemoryBarrier } from "@shm/array/sync";
import { changedCopy } from "../helpers/changed_copy.ts";
import { withNames } from "../helpers/helpers.ts";
import { Member, sleep } from "../helpers/publish_helpers.ts";
import { scale, slowness } from "../helpers/scale.ts";
import { syncUrl } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "barriers");

/** How many parties there are: this process, and the others, which are killed. */
const PARTIES = 4;
/** How many parties are killed in a run. */
const KILLS = Math.round(8 * scale);

const file = "src/sync/attached_barrier.ts";

/** What a run may be told to do wrong, in the text of this file. */
interface Fault {
  readonly text: string;
  readonly by: string;
}

/** What came out of a run. */
interface Result {
  /** How often somebody went on for whom another one had not come, or was dead. */
  readonly early: number;
  /** How often somebody went on with another generation than the next one. */
  readonly skipped: number;
  readonly kills: number;
  readonly broken: number;
  readonly timeOuts: number;
  /** The last generation. */
  readonly generation: number;
}

/**
 * What parties note, as text for other processes and for this one. `control` is: end, early, skipped, broken, timeOuts.
 * For each seat there are the generation for which its party comes (0: it is away), the last one from which it went
 * on, and the one for which a party came that was killed. Nobody moves a barrier on while a party is away: so it knows
 * which generation comes next.
 */
const rules = `
  const next = () => Number(round[8] & (2n ** 40n - 1n)) + 1;
  const begin = (seat) => {
    Atomics.store(killed, seat, Math.max(killed[seat], intent[seat]));
    Atomics.store(intent, seat, 0);
  };
  const come = (seat) => {
    const generation = next();
    Atomics.store(intent, seat, generation);
    return generation;
  };
  const goOn = (seat, generation, wanted) => {
    Atomics.store(passed, seat, generation);
    if (generation !== wanted) Atomics.add(control, 2, 1);
    for (let other = 0; other < ${PARTIES}; other++) {
      const has = (words) => Atomics.load(words, other) >= generation;
      // In this order: one that goes on writes the second before it writes the first again.
      if (!has(intent) && !has(passed) && !has(killed)) Atomics.add(control, 1, 1);
    }
  };
  const giveUp = (seat, error) => {
    Atomics.store(intent, seat, 0);
    if (error instanceof BrokenBarrierError) Atomics.add(control, 3, 1);
    else if (error.name === "TimeoutError") Atomics.add(control, 4, 1);
    else throw error;
  };
  const options = () => ({
    ...(Math.random() < 0.1 ? { timeout: Math.random() * 5 } : {}),
    patient: Math.random() < 0.5,
  });
`;

interface Rules {
  come(seat: number): number;
  goOn(seat: number, generation: number, wanted: number): void;
  giveUp(seat: number, error: unknown): void;
}

/** Code of a party. */
const partyOf = (how: "sync" | "async"): string => `
  const { seat } = barrier;
  begin(seat);
  say("ready");
  while (Atomics.load(go, seat) === 0) await new Promise((resume) => setTimeout(resume, 1));
  while (Atomics.load(control, 0) === 0) {
    const until = performance.now() + Math.random() * 0.3;
    while (performance.now() < until);
    const wanted = come(seat);
    try {
      goOn(seat, ${
  how === "sync" ? "barrier.meet(options())" : "await barrier.meetAsync(options())"
}, wanted);
    } catch (error) {
      giveUp(seat, error);
      // It stays away for a while: nobody may go on meanwhile.
      if (error.name === "TimeoutError") await new Promise((resume) => setTimeout(resume, 10));
    }
  }
  say("end");
`;

/** Lets parties meet, and kills some meanwhile, until one thing is found that must not be. */
async function run(names: string[], kills: number, fault?: Fault): Promise<Result> {
  await using copy = fault === undefined ? null : await changedCopy([{ file, ...fault }]);
  const url = copy?.url("src/sync/mod.ts") ?? syncUrl;
  const { SharedMemoryBarrier: Barrier, BrokenBarrierError: Broken } = await import(
    url
  ) as {
    SharedMemoryBarrier: typeof SharedMemoryBarrier;
    BrokenBarrierError: typeof BrokenBarrierError;
  };
  const [name, ...others] = names;
  using barrier = new Barrier(name, PARTIES).createOrLoad();
  const arrays = others.map((each) => new SharedMemoryArray([8], "int32", each));
  const [control, intent, passed, killed, go] = arrays.map((each) => each.create().data);
  using memory = SharedMemory.open(name);
  const round = new BigUint64Array(memory.buf!, 0, 24);
  const own = new Function(
    ...["control", "intent", "passed", "killed", "round", "BrokenBarrierError"],
    `${rules}; return { come, goOn, giveUp };`,
  )(control, intent, passed, killed, round, Broken) as Rules;
  const prelude = `
    const { BrokenBarrierError, SharedMemoryBarrier } = await import(${JSON.stringify(url)});
    const memory = SharedMemory.open(${JSON.stringify(name)});
    const round = new BigUint64Array(memory.buf, 0, 24);
    const [control, intent, passed, killed, go] = ${JSON.stringify(arrays)}
      .map((each) => SharedMemoryArray.from(each).load().data);
    const barrier = SharedMemoryBarrier.from(${JSON.stringify(barrier)}).load();
    ${rules}
  `;
  /** Starts one that takes the only free seat; it comes when it may go. */
  const start = async (seat: number): Promise<Member> => {
    Atomics.store(go, seat, 0);
    const member = await Member.start(prelude + partyOf(seat % 2 === 0 ? "sync" : "async"));
    assertEquals(await member.line(), "ready");
    return member;
  };
  /** Meets for some time. */
  const takePart = async (ms: number): Promise<void> => {
    const end = performance.now() + ms;
    while (performance.now() < end) {
      const wanted = own.come(0);
      try {
        const isPatient = Math.random() < 0.5;
        own.goOn(0, await barrier.meetAsync({ timeout: 50, patient: isPatient }), wanted);
      } catch (error) {
        own.giveUp(0, error);
      }
    }
  };
  /** Comes without waiting, where the meeting must not be complete. */
  const mustNotPass = (patient: boolean): void => {
    try {
      barrier.meet({ timeout: 0, patient });
    } catch (error) {
      const { name } = error as Error;
      assertEquals(name, patient ? "TimeoutError" : "BrokenBarrierError");
      return;
    }
    control[1]++;
  };
  const members: (Member | null)[] = [null];
  try {
    for (let seat = 1; seat < PARTIES; seat++) {
      members.push(await start(seat));
      Atomics.store(go, seat, 1);
    }
    let count = 0;
    while (count < kills && control[1] + control[2] === 0) {
      await takePart(20 + Math.random() * 30);
      const seat = 1 + count++ % (PARTIES - 1);
      // Where this process stays away, all others come, and one that is killed has come.
      const staysAway = Math.random() < 0.6;
      if (staysAway) await sleep(10 + Math.random() * 20);
      const killing = members[seat]!.kill();
      if (!staysAway) await takePart(10);
      await killing;
      members[seat] = null;
      const before = round[8] & (2n ** 40n - 1n);
      for (const patient of [true, false, true]) mustNotPass(patient);
      if (control[1] > 0) break;
      members[seat] = await start(seat);
      // The replacement sits, and has not come.
      mustNotPass(true);
      if (control[1] > 0) break;
      assertEquals(round[8] & (2n ** 40n - 1n), before);
      Atomics.store(go, seat, 1);
    }
    if (fault === undefined) {
      const generation = (): number => Number(round[8] & (2n ** 40n - 1n));
      const least = Math.max(kills, generation()) + 2;
      const isEnough = (): boolean => generation() > least && control[3] > 0 && control[4] > 0;
      const end = performance.now() + 60_000 * slowness;
      while (!isEnough() && performance.now() < end) await takePart(20);
      assert(isEnough(), "it goes on after all kills");
    }
    control[0] = 1;
    barrier.close(); // so that all who wait are told
    const [, early, skipped, broken, timeOuts] = control;
    const generation = Number(round[8] & (2n ** 40n - 1n));
    return { early, skipped, kills: count, broken, timeOuts, generation };
  } finally {
    for (const member of members) await member?.kill().catch(() => {});
    for (const each of arrays) each.close();
  }
}

Deno.test("under kills and time-outs nobody goes on before all have come and live", () =>
  withNames(async (a, b, c, d, e, f) => {
    const { early, skipped, ...rest } = await run([a, b, c, d, e, f], KILLS);
    if (scale > 1) console.log(rest);
    assertEquals({ early, skipped }, { early: 0, skipped: 0 });
    assert(rest.broken > 0 && rest.timeOuts > 0 && rest.generation > KILLS, JSON.stringify(rest));
  }));

// The same run must see what is wrong.

const faults: { readonly [what: string]: Fault } = {
  "passes with a dead seat": {
    text: "if (isWitnessed(this.#segment, ownerOf(word))) continue;",
    by: "continue;",
  },
  "lets a replacement have the arrival of the dead": {
    text: "const word = seatWord(id, arrivalOf(generationOf(words.round), 0), false);",
    by: "const word = before >> 24n << 24n | BigInt(id);",
  },
  "counts who has given up, as a plain counter does": {
    text: "this.#say(arrivalOf(last, 0), false);",
    by: "void last;",
  },
};
for (const [what, fault] of Object.entries(faults)) {
  Deno.test(`a barrier that ${what} is found out`, () =>
    withNames(async (a, b, c, d, e, f) => {
      // It takes 1 to 20 kills here, and more where the machine is slow.
      const { early, skipped } = await run([a, b, c, d, e, f], 600, fault);
      assert(early + skipped > 0);
    }));
}
