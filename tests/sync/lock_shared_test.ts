// Locks for readers: any number of them together, never one beside a writer, and no writer that waits for ever.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { type LockGuard, SharedMemoryLock } from "@shm/array/sync";
import { GATE_BYTE, GATED, HELD, indexOf, WAITING } from "../../src/sync/lock_words.ts";
import { changedCopy, never } from "../helpers/changed_copy.ts";
import { descriptorsOf, errorOf, mappingsOf, segmentPath, uniqueName } from "../helpers/helpers.ts";
import { scale, slowness } from "../helpers/scale.ts";
import {
  MadeLock,
  progress,
  sleep,
  syncUrl,
  Teller,
  until,
  untilWaiting,
  Words,
} from "../helpers/sync.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "locks on segments");

const shared = { shared: true };

function another(lock: SharedMemoryLock): SharedMemoryLock {
  return SharedMemoryLock.from(lock).load();
}

function assertTimeout(call: () => unknown): void {
  assertEquals(assertThrows(call, DOMException, "Cannot acquire").name, "TimeoutError");
}

/** What a promise has come to after a while; "pending" if to nothing. */
async function after<T>(milliseconds: number, promise: Promise<T>): Promise<T | "pending"> {
  return await Promise.race([promise, sleep(milliseconds).then(() => "pending" as const)]);
}

// --- One process -----------------------------------------------------------------------------

Deno.test("shared guards of one instance and of several are held together, and exclude a writer", () => {
  using lock = new MadeLock();
  using other = another(lock);
  using writer = another(lock);
  const guards = [
    lock.acquire(shared),
    lock.acquire({ shared: true, timeout: 0 }),
    lock.tryAcquire(shared)!,
    other.acquire(shared),
    other.tryAcquire(shared)!,
  ];
  assertEquals(guards.map(({ abandoned }) => abandoned), Array(5).fill(false));
  while (guards.length > 0) {
    assertEquals(writer.tryAcquire(), null, `${guards.length} readers are in`);
    assertTimeout(() => writer.acquire({ timeout: 5 }));
    const guard = guards.shift()!;
    guard.release();
    guard.release();
  }
  using guard = writer.acquire();
  assertEquals(guard.abandoned, false);
  assertEquals([lock.tryAcquire(shared), writer.tryAcquire(shared)], [null, null]);
  assertTimeout(() => lock.acquire({ shared: true, timeout: 5 }));
  assertThrows(() => writer.acquire(shared), Deno.errors.Busy, "holds the lock already");
  guard.release();
  lock.acquire({ shared: false }).release();
});

Deno.test("options of a shared lock are checked before anything else", async () => {
  const lock = new SharedMemoryLock(uniqueName()); // not attached
  for (const wrong of [{ shared: 1 }, { shared: null }, { Shared: true }, { exclusive: true }]) {
    const options = wrong as unknown as { shared: boolean };
    assertThrows(() => lock.acquire(options), TypeError, "Cannot acquire");
    assertThrows(() => lock.tryAcquire(options), TypeError, "Cannot acquire");
    await assertRejects(() => lock.acquireAsync(options), TypeError, "Cannot acquire");
  }
  assertThrows(() => lock.tryAcquire({ timeout: 5 } as never), TypeError, "there is no option");
  assertThrows(() => lock.tryAcquire(shared), Deno.errors.BadResource);
});

Deno.test("a shared lock is not made one's own: acquire() is Busy, tryAcquire() null", async () => {
  using lock = new MadeLock();
  using other = another(lock);
  using guard = lock.acquire(shared);
  assertThrows(() => lock.acquire(), Deno.errors.Busy, "shared");
  assertThrows(() => lock.acquire({ timeout: 20 }), Deno.errors.Busy, "shared");
  assertEquals(lock.tryAcquire(), null);
  assertThrows(() => other.acquire(), Deno.errors.Busy, "another instance of this thread");
  assertTimeout(() => other.acquire({ timeout: 20 }));
  const alone = lock.acquireAsync(); // waits for this very guard
  assertEquals(await after(30, alone), "pending");
  guard.release();
  (await alone).release();
});

Deno.test("close() of a lock that is held shared is Busy until the last guard is released", () => {
  using lock = new MadeLock();
  const other = another(lock);
  const [one, two] = [other.acquire(shared), other.acquire(shared)];
  assertThrows(() => other.close(), Deno.errors.Busy, "release()");
  one.release();
  assertThrows(() => other.close(), Deno.errors.Busy, "release()");
  two.release();
  other.close();
  one.release();
  lock.acquire().release();
});

Deno.test("a writer that waits holds back new readers, and lets them in when it has had its turn", async () => {
  using lock = new MadeLock();
  using second = another(lock);
  using other = another(lock);
  const guard = lock.acquire(shared);
  const writing = other.acquireAsync();
  for (const reader of [lock, second, other]) assertEquals(reader.tryAcquire(shared), null);
  for (const reader of [lock, second]) {
    assertTimeout(() => reader.acquire({ shared: true, timeout: 20 }));
    // This thread would wait for itself.
    assertThrows(() => reader.acquire(shared), Deno.errors.Busy, "a writer waits");
  }
  const reading = [second.acquireAsync(shared), lock.acquireAsync(shared)];
  assertEquals(await after(60, Promise.race(reading)), "pending");
  guard.release();
  const written = await writing;
  assertEquals(await after(30, Promise.race(reading)), "pending");
  written.release();
  for (const guard of await Promise.all(reading)) guard.release();
  second.acquire(shared).release();
});

Deno.test("a writer that gives up lets in the readers that it held back, by each way", async () => {
  using lock = new MadeLock();
  using writer = another(lock);
  using reader = another(lock);
  using _guard = lock.acquire(shared);
  const ways: ((signal: AbortSignal) => Promise<LockGuard>)[] = [
    (signal) => writer.acquireAsync({ signal }),
    () => writer.acquireAsync({ timeout: 40 }),
    () => {
      setTimeout(() => writer.close(), 40);
      return writer.acquireAsync();
    },
  ];
  for (const way of ways) {
    const controller = new AbortController();
    const start = performance.now();
    const writing = way(controller.signal).catch((reason) => reason);
    const reading = reader.acquireAsync(shared);
    const state = await after(10, reading);
    if (performance.now() - start < 40) assertEquals(state, "pending");
    controller.abort("no patience");
    assert(await writing !== undefined);
    (await reading).release();
    await sleep(25); // This thread may owe somebody a turn, in which it holds back nobody.
  }
  writer.load();
  assertTimeout(() => writer.acquire({ timeout: 5 }));
  reader.acquire(shared).release();
});

Deno.test("the tasks of one instance get the lock in their order, readers next to each other together", async () => {
  using lock = new MadeLock();
  const order: string[] = [];
  let readers = 0;
  const task = async (name: string, isShared: boolean): Promise<void> => {
    using _guard = await lock.acquireAsync({ shared: isShared });
    if (isShared) readers++;
    order.push(`${name}${isShared ? readers : ""}`);
    assert(isShared || readers === 0);
    await sleep(20);
    if (isShared) readers--;
  };
  await Promise.all([
    task("a", true),
    task("b", true),
    task("w", false),
    task("c", true),
    task("x", false),
    task("d", true),
    task("e", true),
  ]);
  assertEquals(order, ["a1", "b2", "w", "c1", "x", "d1", "e2"]);
});

Deno.test("a blocking reader comes before the writers among the tasks of its thread", async () => {
  using lock = new MadeLock();
  using other = another(lock);
  await using teller = await Teller.start(
    `
    const lock = new SharedMemoryLock(Deno.args[0]).load();
    const guard = lock.acquire({ shared: true });
    console.log("held");
    await new Promise((resume) => setTimeout(resume, 1e9));
    `,
    [lock.name],
  );
  assertEquals(await teller.line(), "held");
  const writing = lock.acquireAsync();
  // That task cannot run while this thread blocks: it would wait for itself.
  other.acquire(shared).release();
  lock.acquire(shared).release();
  teller.kill();
  (await writing).release();
});

Deno.test("a reader knows at once of names that its thread removes, and soon of others", async () => {
  const removals: ((lock: SharedMemoryLock) => unknown)[] = [
    (lock) => lock.unlink(),
    (lock) => new SharedMemoryLock(lock.name).unlink(),
    (lock) => SharedMemoryArray.clearBuffers([lock.name]),
    async (lock) => {
      Deno.removeSync(segmentPath(lock.name));
      await sleep(1);
    },
  ];
  for (const remove of removals) {
    using lock = new MadeLock();
    using anonymous = SharedMemoryLock.createAnonymous();
    for (let i = 0; i < 100; i++) lock.acquire(shared).release();
    for (let i = 0; i < 100; i++) anonymous.acquire(shared).release();
    await remove(lock);
    assertThrows(() => lock.acquire(shared), Deno.errors.NotFound);
    assertEquals(errorOf(() => lock.tryAcquire(shared)).code, "ENOENT");
    await assertRejects(() => lock.acquireAsync(shared), Deno.errors.NotFound);
    using _fresh = new MadeLock(lock.name);
    lock.acquire(shared).release();
    anonymous.unlink();
    assertThrows(() => anonymous.acquire(shared), Deno.errors.NotFound);
  }
});

Deno.test("a lock whose name is removed while it is held shared", () => {
  using lock = new MadeLock();
  using other = another(lock);
  const guards = [lock.acquire(shared), lock.acquire(shared), other.acquire(shared)];
  lock.unlink();
  assertThrows(() => lock.acquire(shared), Deno.errors.NotFound, "its name was removed");
  assertThrows(() => lock.acquire(), Deno.errors.Busy);
  using fresh = SharedMemoryLock.from(lock).create();
  guards.push(lock.acquire(shared)); // of the new one
  assertEquals(fresh.tryAcquire(), null);
  assertEquals(descriptorsOf(lock.name), 4, "the old segment is open while guards hold it");
  assertThrows(() => lock.close(), Deno.errors.Busy);
  for (const guard of guards) guard.release();
  assertEquals(descriptorsOf(lock.name), 3);
  fresh.acquire().release();
  lock.acquire().release();
});

// --- Abandoned -------------------------------------------------------------------------------

const holding = (options: string): string => `
  const lock = new SharedMemoryLock(Deno.args[0]).load();
  globalThis.guard = lock.acquire(${options});
  console.log("held");
  await new Promise((resume) => setTimeout(resume, 1e9));
`;

async function killed(code: string, lock: SharedMemoryLock): Promise<void> {
  await using teller = await Teller.start(code, [lock.name]);
  assertEquals(await teller.line(), "held");
}

Deno.test("abandoned: readers are told that a writer died, and only a writer takes that back", async () => {
  using lock = new MadeLock();
  using other = another(lock);
  await killed(holding(""), lock);
  for (let i = 0; i < 2; i++) {
    using one = lock.acquire(shared);
    using two = lock.acquire(shared);
    using three = other.tryAcquire(shared)!;
    assertEquals([one, two, three].map(({ abandoned }) => abandoned), [true, true, true]);
  }
  {
    using guard = lock.acquire();
    assertEquals(guard.abandoned, true);
  }
  {
    using one = other.acquire(shared);
    assertEquals(one.abandoned, false);
  }
  await killed(holding("{ shared: true }"), lock);
  using guard = lock.acquire();
  assertEquals(guard.abandoned, false, "a reader that dies leaves nothing behind");
});

Deno.test("a shared guard that is dropped gives the lock back, and nothing counts as abandoned", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const lock = new SharedMemoryLock(Deno.args[0]).load();
    const other = SharedMemoryLock.from(lock).load();
    (() => { lock.acquire({ shared: true }); lock.acquire({ shared: true }); })();
    let next = null;
    while ((next = other.tryAcquire()) === null) {
      gc();
      await new Promise((resume) => setTimeout(resume, 5));
    }
    console.log(next.abandoned);
    next.release();
    lock.close();
    Deno.exit();
    `,
    [lock.name],
    { v8Flags: ["--expose-gc"] },
  );
  assertEquals(await teller.line(), "false");
  const { code, errors } = await teller.end();
  assertEquals([code, errors.split("was dropped without release()").length], [0, 2], errors);
});

// --- Several processes -----------------------------------------------------------------------

Deno.test("readers in processes and Workers are in together", async () => {
  using words = new Words();
  using lock = new MadeLock();
  // None of them goes on before all are in: alone, each would wait for ever.
  const meet = `
    const guard = lock.acquire({ shared: true });
    Atomics.add(data, 0, 1);
    notify(data, 0);
    while (Atomics.load(data, 0) < 6) wait(data, 0, Atomics.load(data, 0), 100);
    guard.release();
  `;
  const worker = `
    import { SharedMemory } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)};
    import { notify, SharedMemoryLock, wait } from ${JSON.stringify(syncUrl)};
    const data = new Int32Array(SharedMemory.open("${words.name}").buf);
    const lock = new SharedMemoryLock("${lock.name}").load();
    ${meet}
    postMessage("done");
  `;
  const code = `
    const data = words();
    const lock = new SharedMemoryLock(Deno.args[1]).load();
    const url = "data:application/typescript," + encodeURIComponent(${JSON.stringify(worker)});
    const workers = [1, 2].map(() => new Worker(url, { type: "module" }));
    const done = workers.map((worker) => new Promise((resume) => worker.onmessage = resume));
    ${meet}
    await Promise.all(done);
    console.log("done");
    Deno.exit();
  `;
  const two = await Promise.all([1, 2].map(() => Teller.start(code, [words.name, lock.name])));
  try {
    for (const teller of two) assertEquals(await teller.line(), "done");
  } finally {
    for (const teller of two) await teller[Symbol.asyncDispose]();
  }
  lock.acquire().release();
});

for (const how of ["acquire()", "acquireAsync()"]) {
  Deno.test(`a writer that is killed while it waits in ${how} holds back nobody any more`, async () => {
    using lock = new MadeLock();
    using reader = another(lock);
    using _guard = lock.acquire(shared);
    await using teller = await Teller.start(
      `
      const lock = new SharedMemoryLock(Deno.args[0]).load();
      console.log("ready");
      await lock.${how};
      `,
      [lock.name],
    );
    assertEquals(await teller.line(), "ready");
    await untilWaiting(teller, how === "acquire()" ? undefined : "async");
    assertEquals(reader.tryAcquire(shared), null);
    const reading = reader.acquireAsync(shared);
    assertEquals(await after(50, reading), "pending");
    teller.kill();
    (await reading).release();
    reader.acquire({ shared: true, timeout: 60_000 * slowness }).release();
  });
}

/**
 * Readers in three processes take the lock again and again, each until another one is in, so that it is never free by
 * itself; where no other one can come in, because a writer holds it back, for `stay` ms. Tells how often a writer,
 * here, got it within a time limit.
 */
async function turnsAmongReaders(
  reader: string,
  stay: number,
  tries: number,
  timeout: number,
): Promise<number> {
  using words = new Words();
  using lock = new MadeLock();
  const code = `
    const data = words();
    const lock = new SharedMemoryLock(Deno.args[1]).load();
    ${reader}
    while (true) {
      const give = take();
      const before = Atomics.add(data, 1, 1);
      Atomics.add(data, 0, 1);
      for (const end = performance.now() + ${stay}; performance.now() < end; dwell(300)) {
        if (Atomics.load(data, 1) > before + 1) break; // another one has come
        await new Promise((resume) => setTimeout(resume, 1));
      }
      Atomics.sub(data, 0, 1);
      give();
    }
  `;
  const three = await Promise.all(
    [1, 2, 3].map(() => Teller.start(code, [words.name, lock.name])),
  );
  try {
    await until("readers", () => Atomics.load(words.data, 1) >= 30);
    let turns = 0;
    for (let i = 0; i < tries; i++) {
      try {
        using _guard =
          await (i % 2 === 0 ? lock.acquireAsync({ timeout }) : lock.acquire({ timeout }));
        assertEquals(Atomics.load(words.data, 0), 0, "no reader is in");
        turns++;
      } catch (error) {
        assertEquals((error as Error).name, "TimeoutError");
      }
      await sleep(20);
    }
    return turns;
  } finally {
    for (const teller of three) await teller[Symbol.asyncDispose]();
  }
}

Deno.test("no writer starves beside readers that are never out", async () => {
  const take =
    "const take = () => { const guard = lock.acquire({ shared: true }); return () => guard.release(); };";
  assertEquals(await turnsAmongReaders(take, 30, 10, 60_000 * slowness), 10);
});

Deno.test("a writer starves beside readers that know no gate: the control", async () => {
  // Plain users of flock(2).
  const take = `
    const { symbols: { flock } } =
      Deno.dlopen("libc.so.6", { flock: { parameters: ["i32", "i32"], result: "i32" } });
    const path = "/dev/shm/" + Deno.args[1];
    const fd = Number([...Deno.readDirSync("/proc/self/fd")].map(({ name }) => name).find((name) => {
      try {
        return Deno.readLinkSync("/proc/self/fd/" + name) === path;
      } catch {
        return false; // the folder itself
      }
    })); // the one of the instance, which is not used otherwise
    const take = () => { while (flock(fd, 5) !== 0) dwell(50); return () => flock(fd, 8); };
  `;
  assertEquals(await turnsAmongReaders(take, Infinity, 4, 300), 0);
});

// --- Exclusion, with kills -------------------------------------------------------------------

/**
 * What a process notes in words that all map, at `slot`: what it does in its section (1 reads, 2 writes), beside a
 * count. It looks whether another one that may not be there is there. One that was killed is there still, and was given
 * up by the kernel: it is gone, and what it noted never changes. The words 0 to 3 count violations, readings, writings,
 * and readers that met.
 */
const notes = `
  const data = words();
  const [slot, name] = [Number(Deno.args[1]), Deno.args[2]];
  const lock = new SharedMemoryLock(name).load();
  data[128 + slot] = Deno.pid;
  const isGone = (pid) => {
    try {
      return /\\) [ZX] /.test(Deno.readTextFileSync("/proc/" + pid + "/stat"));
    } catch {
      return true;
    }
  };
  let count = 0;
  /** Whether the one that was seen in a slot lived while this one is in. */
  const isThere = (i, seen, state) => {
    while (Atomics.load(data, 16 + i) === seen) {
      if (isGone(data[128 + i])) {
        Atomics.compareExchange(data, 16 + i, seen, 3);
        return false;
      }
      Atomics.store(data, 16 + slot, ++count << 2 | state); // that one may be asking the same
      dwell(200);
    }
    return Atomics.load(data, 16 + i) !== 3;
  };
  const section = (state) => {
    Atomics.store(data, 16 + slot, ++count << 2 | state);
    const look = () => {
      for (let i = 0; i < 110; i++) {
        const seen = Atomics.load(data, 16 + i);
        if (i === slot || (seen & 3) === 0 || (seen & 3) === 3) continue;
        if (state === 2 || (seen & 3) === 2) {
          if (isThere(i, seen, state)) Atomics.add(data, 0, 1);
        } else Atomics.add(data, 3, 1);
      }
    };
    look();
    dwell(Math.random() * 400);
    look();
    Atomics.add(data, state, 1);
    Atomics.store(data, 16 + slot, count << 2);
  };
  console.log("ready");
`;

/** How a process of the stress works: a reader mostly, and a writer now and then. */
const members = {
  blocking: `
    for (let i = 0; ; i++) {
      const state = i % 4 === 0 ? 2 : 1;
      const guard = lock.acquire({ shared: state === 1 });
      section(state);
      guard.release();
      dwell(Math.random() * 300);
    }
  `,
  asynchronous: `
    const task = async (state) => {
      const guard = await lock.acquireAsync({ shared: state === 1, timeout: 60_000 });
      section(state);
      guard.release();
    };
    while (true) await Promise.all([task(1), task(2), task(1), task(1)]);
  `,
  // The broken one: its shared mode takes nothing.
  broken: `
    for (let i = 0; ; i++) {
      const state = i % 4 === 0 ? 2 : 1;
      const guard = state === 2 ? lock.acquire() : null;
      section(state);
      guard?.release();
      dwell(Math.random() * 300);
    }
  `,
};

const python = `
import os
data = attach(sys.argv[1], (256,), "int32")
slot, lock = int(sys.argv[2]), Lock(sys.argv[3])
data[128 + slot] = os.getpid()
def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True
count = 0
def is_there(i, seen, state):
    global count
    while data[16 + i] == seen:
        if is_gone(data[128 + i]):
            data[16 + i] = 3
            return False
        count += 1
        data[16 + slot] = count << 2 | state
        time.sleep(0.0002)
    return data[16 + i] != 3
def section(state):
    global count
    count += 1
    data[16 + slot] = count << 2 | state
    for _ in range(2):
        for i in range(110):
            seen = data[16 + i]
            if i == slot or seen & 3 in (0, 3):
                continue
            if (state == 2 or seen & 3 == 2) and is_there(i, seen, state):
                data[0] += 1
        time.sleep(0.0003)
    data[4 + state] += 1
    data[16 + slot] = count << 2
print("ready")
while True:
    for state in (2, 1, 1):
        lock.acquire(shared=state == 1)
        section(state)
        lock.release()
`;

/** Processes read and write, and are killed; tells what they noted. */
async function contend(
  kinds: readonly ("blocking" | "asynchronous" | "broken" | "python" | "flock")[],
  kills: number,
): Promise<{ violations: number; readings: number; writings: number; meetings: number }> {
  using words = new Words(256);
  using lock = new MadeLock();
  let slots = 0;
  const start = async (kind: (typeof kinds)[number]): Promise<Teller> => {
    const slot = slots++;
    if (kind === "flock") {
      const note = (state: number): string =>
        `printf '\\${state}' | dd of=${segmentPath(words.name)} bs=1 seek=${
          4 * (16 + slot)
        } conv=notrunc 2>/dev/null`;
      const use = (state: number): string =>
        `flock ${state === 1 ? "-s" : "-x"} ${segmentPath(lock.name)} sh -c "${
          note(state)
        }; sleep 0.002; ${note(0)}"`;
      return Teller.run("sh", ["-c", `while :; do ${use(1)}; ${use(2)}; done`]);
    }
    const args = [words.name, String(slot), lock.name];
    const teller = kind === "python"
      ? Teller.python(python, args)
      : await Teller.start(notes + members[kind], args);
    assertEquals(await teller.line(), "ready");
    return teller;
  };
  const running = await Promise.all(
    kinds.map(async (kind) => ({ kind, teller: await start(kind) })),
  );
  try {
    const sections = (): number => Atomics.load(words.data, 1) + Atomics.load(words.data, 2);
    for (let i = 0; i < kills; i++) {
      await sleep(Math.random() * 30);
      // The shell's cannot be killed: the next one would find its note, and nobody who has ended.
      const able = running.filter(({ kind }) => kind !== "flock");
      const victim = able[Math.floor(Math.random() * able.length)];
      victim.teller.kill();
      await victim.teller.end();
      victim.teller = await start(victim.kind);
      assertEquals(Atomics.load(words.data, 0), 0);
    }
    assertEquals(await progress(sections, sections() + 200), "done");
  } finally {
    for (const { teller } of running) await teller[Symbol.asyncDispose]();
  }
  const [violations, readings, writings, meetings] = words.data;
  return { violations, readings, writings, meetings };
}

const kills = 6 * scale;
for (
  const [what, kinds] of [
    ["Deno and flock(1)", ["blocking", "asynchronous", "blocking", "flock"]],
    ["Deno, Python and flock(1)", ["blocking", "python", "asynchronous", "flock"]],
  ] as const
) {
  const test = what.includes("Python") ? testWith.bind(null, "NumPy") : Deno.test;
  test(`${what}: never a writer with anybody else, readers together, ${kills} kills`, async () => {
    const { violations, readings, writings, meetings } = await contend(kinds, kills);
    console.log(`${readings} readings, ${writings} writings, ${meetings} meetings of readers`);
    assertEquals(violations, 0);
    assert(readings > 0 && writings > 0 && meetings > 0);
  });
}

Deno.test("a lock whose shared mode takes nothing is caught by the same harness: the control", async () => {
  const { violations } = await contend(["broken", "broken", "broken"], 0);
  assert(violations > 0);
});

// --- Others that take part -------------------------------------------------------------------

Deno.test("flock(1) -s takes part", async () => {
  using lock = new MadeLock();
  const path = segmentPath(lock.name);
  await using teller = Teller.run("flock", [
    "-s",
    "--no-fork",
    path,
    "sh",
    "-c",
    "echo held; read line",
  ]);
  assertEquals(await teller.line(), "held");
  {
    using _one = lock.acquire(shared);
    assertTimeout(() => another(lock).acquire({ timeout: 20 }));
  }
  assertEquals(lock.tryAcquire(), null);
  const writing = lock.acquireAsync({ timeout: 60_000 * slowness });
  await teller.closeInput();
  (await writing).release();
  const tries = async (...options: string[]): Promise<boolean> =>
    (await new Deno.Command("flock", { args: [...options, "-n", path, "true"] }).output()).success;
  {
    using _guard = lock.acquire(shared);
    assertEquals([await tries("-s"), await tries("-x")], [true, false]);
  }
  using _guard = lock.acquire();
  assertEquals([await tries("-s"), await tries("-x")], [false, false]);
});

testWith(
  "NumPy",
  "Lock of shm_attach.py reads with Deno, and both respect the gate of the other",
  async () => {
    using lock = new MadeLock();
    using other = another(lock);
    await using teller = Teller.python(
      `
lock = Lock(sys.argv[1])
for line in sys.stdin:
    try:
        exec(line)
        print("done", lock.abandoned, flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
`,
      [lock.name],
    );
    const tell = async (line: string): Promise<string> => {
      await teller.write(line + "\n");
      return await teller.line();
    };
    assertEquals(await tell("lock.acquire(shared=True)"), "done False");
    lock.acquire(shared).release();
    assertEquals(lock.tryAcquire(), null);
    assertEquals(await tell("lock.release()"), "done False");
    {
      using guard = lock.acquire(shared);
      assertEquals(await tell("lock.acquire(0.02, shared=True); lock.release()"), "done False");
      assertEquals(await tell("lock.acquire(0.02)"), "TimeoutError");
      const writing = other.acquireAsync();
      assertEquals(
        await tell("lock.acquire(0.05, shared=True)"),
        "TimeoutError",
        "it is held back",
      );
      guard.release();
      (await writing).release();
      assertEquals(await tell("lock.acquire(5, shared=True); lock.release()"), "done False");
    }
    using guard = lock.acquire(shared);
    await teller.write("lock.acquire()\n");
    await untilWaiting(teller);
    for (let i = 0; other.tryAcquire(shared) !== null; i++) assert(i < 3, "a gate that is closed");
    const reading = other.acquireAsync(shared);
    assertEquals(await after(50, reading), "pending");
    guard.release();
    assertEquals(await teller.line(), "done False");
    assertEquals(await after(30, reading), "pending", "Python writes");
    assertEquals(await tell("lock.release()"), "done False");
    const last = await reading;
    // A killed one holds back nobody.
    await teller.write("lock.acquire()\n");
    await untilWaiting(teller);
    teller.kill();
    lock.acquire({ shared: true, timeout: 60_000 * slowness }).release();
    last.release();
  },
);

// --- Words that anybody may have written --------------------------------------------------------

Deno.test("words hide a gate for a slice at the most, and close none", async () => {
  using lock = new MadeLock();
  using writer = another(lock);
  using reader = another(lock);
  using memory = SharedMemory.open(lock.name);
  const data = new Int32Array(memory.buf!);
  // Shown, and not there.
  for (let i = 0; i < 10; i++) {
    Atomics.store(data, indexOf(WAITING), i % 2 === 0 ? GATED : -1);
    reader.tryAcquire(shared)!.release();
    reader.acquire({ shared: true, timeout: 0 }).release();
  }
  // There, and hidden by somebody who writes all the time.
  using guard = lock.acquire(shared);
  const writing = writer.acquireAsync();
  const timer = setInterval(() => Atomics.store(data, indexOf(WAITING), 0), 1);
  try {
    await until("a reader is held back", () => {
      const held = reader.tryAcquire(shared);
      held?.release();
      return held === null;
    });
  } finally {
    clearInterval(timer);
  }
  Atomics.store(data, indexOf(HELD), 0);
  guard.release();
  (await writing).release();
  reader.acquire(shared).release();
});

Deno.test("words that hide a gate for ever are found out: the control", async () => {
  await using copy = await changedCopy([never("src/sync/lock_words.ts", "LOCK_SLICE", 20)]);
  const Lock: typeof SharedMemoryLock =
    (await import(copy.url("src/sync/mod.ts"))).SharedMemoryLock;
  using lock = new MadeLock();
  using writer = another(lock);
  using reader = Lock.from(lock).load();
  using memory = SharedMemory.open(lock.name);
  const data = new Int32Array(memory.buf!);
  const guard = lock.acquire(shared);
  reader.tryAcquire(shared)!.release(); // it looks at the gate, and not again within ten minutes
  const writing = writer.acquireAsync();
  for (let i = 0; i < 100; i++) {
    Atomics.store(data, indexOf(WAITING), 0);
    reader.tryAcquire(shared)!.release();
    await sleep(1);
  }
  guard.release();
  (await writing).release();
});

Deno.test("garbage in the words admits no writer beside a reader", async () => {
  using lock = new MadeLock();
  using other = another(lock);
  using memory = SharedMemory.open(lock.name);
  const data = new Int32Array(memory.buf!, 0, 3);
  const fill = (): void => {
    for (let i = 0; i < data.length; i++) Atomics.store(data, i, Math.random() * 2 ** 32 | 0);
  };
  const timer = setInterval(fill, 1);
  try {
    for (let i = 0; i < 20; i++) {
      fill();
      const guard = await lock.acquireAsync({ shared: true, timeout: 60_000 * slowness });
      assertEquals(other.tryAcquire(), null);
      const writing = other.acquireAsync({ timeout: 60_000 * slowness });
      await sleep(2);
      guard.release();
      const alone = await writing;
      assertEquals(lock.tryAcquire(shared), null);
      alone.release();
    }
  } finally {
    clearInterval(timer);
  }
});

Deno.test("a program that locks the gate's byte alone is a writer that waits for ever, until it ends", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const { OpenSegment } = await import(${
      JSON.stringify(new URL("../../src/segment/mod.ts", import.meta.url).href)
    });
    const segment = OpenSegment.open(Deno.args[0], 0, () => true);
    console.log(segment.tryLockByte(${GATE_BYTE}));
    await new Promise((resume) => setTimeout(resume, 1e9));
    `,
    [lock.name],
  );
  assertEquals(await teller.line(), "true");
  await sleep(30); // until words can hide it no more
  assertTimeout(() => lock.acquire({ shared: true, timeout: 60 }));
  lock.acquire({ timeout: 60_000 * slowness }).release();
  teller.kill();
  lock.acquire({ shared: true, timeout: 60_000 * slowness }).release();
});

// --- Without a name --------------------------------------------------------------------------

Deno.test("createAnonymous(): an attached lock, which others load by its name", async () => {
  using lock = SharedMemoryLock.createAnonymous();
  assertEquals(/^memfd:\d+:\d+:\d+$/.test(lock.name), true);
  assertEquals(Object.entries(lock), [["kind", "lock"], ["name", lock.name]]);
  assertEquals(lock.isCreator, true);
  assertThrows(() => lock.create(), Deno.errors.Busy);
  using other = another(lock);
  assertEquals(other.isCreator, false);
  {
    using _one = lock.acquire(shared);
    using _two = other.acquire(shared);
    assertEquals(lock.tryAcquire(), null);
  }
  await using teller = await Teller.start(
    `
    const lock = new SharedMemoryLock(Deno.args[0]).load();
    const guard = lock.acquire();
    console.log("held");
    try {
      lock.unlink();
    } catch (error) {
      console.log(error.constructor === Deno.errors.PermissionDenied, error.message);
    }
    await new Promise((resume) => setTimeout(resume, 1e9));
    `,
    [lock.name],
  );
  assertEquals(await teller.line(), "held");
  const denial = await teller.line();
  assert(denial.startsWith("true ") && denial.includes(`process ${Deno.pid}`), denial);
  assertTimeout(() => other.acquire({ timeout: 30 }));
  teller.kill();
  using guard = other.acquire({ timeout: 60_000 * slowness });
  assertEquals(guard.abandoned, true);
  assertEquals(lock.unlink(), true);
  assertEquals(lock.unlink(), false);
  guard.release();
  assertEquals(errorOf(() => other.acquire()).code, "ENOENT");
  assertThrows(() => lock.acquire(shared), Deno.errors.NotFound);
  assertThrows(() => SharedMemoryLock.from(lock).load(), Deno.errors.NotFound);
});

Deno.test("createAnonymous() checks its options, and a lock loads no other anonymous segment", () => {
  const create = (options: unknown) => () =>
    SharedMemoryLock.createAnonymous(options as { mode: number });
  assertThrows(create({ mode: "600" }), TypeError, "Cannot make an anonymous lock");
  assertThrows(create({ reserve: true }), TypeError);
  assertThrows(create({ mode: 0o1000 }), RangeError);
  assertThrows(create(null), TypeError);
  using sma = SharedMemoryArray.createAnonymous([4], "int32");
  assertThrows(() => new SharedMemoryLock(sma.name).load(), TypeError, "described as an array");
  assertEquals([...sma.array!], [0, 0, 0, 0]);
  sma.unlink();
  const lock = SharedMemoryLock.createAnonymous({ mode: 0o640, describe: false });
  const { name } = lock;
  lock.close();
  using again = new SharedMemoryLock(name).load();
  again.unlink();
  again.close();
  assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 0]);
});

Deno.test("a number that another file has by now is no anonymous lock's name any more", () => {
  for (const path of ["/dev/null", new URL(import.meta.url).pathname]) {
    using lock = SharedMemoryLock.createAnonymous();
    using other = another(lock);
    lock.acquire().release();
    const number = lock.name.split(":")[2];
    lock.unlink();
    const files = Array.from({ length: 64 }, () => Deno.openSync(path)); // the lowest free numbers
    assertEquals(Deno.readLinkSync(`/proc/self/fd/${number}`), path);
    assertThrows(() => lock.acquire(), Deno.errors.NotFound);
    assertThrows(() => other.acquire(shared), Deno.errors.NotFound);
    files.forEach((file) => file.close());
  }
});

Deno.test("nobody waits for an anonymous lock whose creator has ended", async () => {
  await using creator = await Teller.start(`
    const lock = SharedMemoryLock.createAnonymous();
    globalThis.guard = lock.acquire();
    console.log(lock.name);
    await new Promise((resume) => setTimeout(resume, 1e9));
  `);
  using lock = new SharedMemoryLock(await creator.line()).load();
  using other = another(lock);
  const waits = [lock.acquireAsync(), other.acquireAsync(shared)];
  assertEquals(await after(50, Promise.race(waits)), "pending");
  creator.kill();
  for (const waiting of waits) await assertRejects(() => waiting, Deno.errors.NotFound);
  assertThrows(() => lock.acquire(), Deno.errors.NotFound, "has ended");
  assertThrows(() => lock.tryAcquire(shared), Deno.errors.NotFound);
});
