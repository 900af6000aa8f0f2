/**
 * Whether a process that always wants a lock again lets another one in: what both do in words in shared memory, and how
 * often the other one is passed over. Both must wait in slices of minutes: then that is no matter of how fast the
 * machine is.
 *
 * @module
 */

import { notify } from "@shm/array/sync";
import type { Change } from "./changed_copy.ts";
import { hasVector, type Teller, until, untilWaiting, type Words } from "./sync.ts";

/**
 * How many sections the greedy one has ended, the round in which the other one is to ask for the lock, and has, in which
 * it had it, and how many sections it found then.
 */
const [SECTIONS, ROUND, ASKING, HAD, FOUND] = [0, 1, 2, 3, 4];

/** Who is passed over as often as this does not have its turn; one that the kernel cannot see may sometimes be late. */
export const OFTEN = hasVector ? 5 : 1000;

/**
 * Who has slept in a wait that blocks comes some milliseconds late: so the greedy one could always have the lock again.
 */
export const late: Change = {
  file: "src/sync/event_count.ts",
  text: "wasWoken = this.sleep(turn, Math.min(rest, lengthOf(slice)));",
  by: "wasWoken = this.sleep(turn, Math.min(rest, lengthOf(slice)));\n      sleep(5);",
};

/** A program that always wants the lock again, and works for a while in each section; it takes it by `take`. */
export const greedyProgram = (take: string): string => `
  while (true) {
    ${take}
    dwell(5000);
    Atomics.add(data, ${SECTIONS}, 1);
    guard.release();
  }
`;

/** A program that asks for the lock in each round, and notes how many sections the other one has ended. */
export const waitingProgram = (acquire: string): string => `
  for (let round = 0;; round++) {
    while (Atomics.load(data, ${ROUND}) === round) wait(data, ${ROUND}, round);
    Atomics.store(data, ${ASKING}, round + 1);
    const guard = ${acquire};
    Atomics.store(data, ${FOUND}, Atomics.load(data, ${SECTIONS}));
    Atomics.store(data, ${HAD}, round + 1);
    guard.release();
  }
`;

/** The former in Python, with the arguments of `acquire()`. */
export const greedyPython = (timeout: string): string => `
while True:
    try:
        lock.acquire(${timeout})
    except TimeoutError:
        continue
    time.sleep(0.005)
    data[${SECTIONS}] += 1
    lock.release()
`;

/** The latter in Python. */
export const waitingPython = `
asked = 0
while True:
    while data[${ROUND}] == asked:
        wait(data, ${ROUND}, asked)
    asked += 1
    data[${ASKING}] = asked
    with lock:
        data[${FOUND}] = data[${SECTIONS}]
        data[${HAD}] = asked
`;

/**
 * How many sections of the greedy one end while the other one sleeps until it has the lock: the most of five tries. It
 * is 1 for the section that the other one found, and 2 where the other one was on its way to sleep when that ended: it
 * was not asleep, so nobody had to let it in. One that is passed over finds {@linkcode OFTEN}.
 */
export async function sectionsWhileAsleep(
  words: Words,
  waiter: Teller,
  how?: "async",
): Promise<number> {
  const sections = (): number => Atomics.load(words.data, SECTIONS);
  let [most, last] = [0, 0];
  for (let round = 1; round <= 5; round++) {
    await until("the turn of the greedy one", () => sections() > last);
    Atomics.store(words.data, ROUND, round);
    notify(words.data, ROUND);
    await until("it asks for the lock", () => Atomics.load(words.data, ASKING) === round);
    await untilWaiting(waiter, how);
    const before = sections();
    let hadIt = false;
    await until("it has the lock, or is passed over", () => {
      last = sections(); // before the look: this process may be stopped until it has had it
      hadIt = Atomics.load(words.data, HAD) === round;
      return hadIt || last >= before + OFTEN;
    });
    if (hadIt) last = Atomics.load(words.data, FOUND);
    most = Math.max(most, last - before);
    if (!hadIt) break;
  }
  return most;
}
