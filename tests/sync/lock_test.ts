// Locks between processes: at most one holder, whatever becomes of the others. The tests of exclusion and of
// kills scale with SHM_SOAK; the numbers in the comments are those of `deno task soak`.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { LockGuard, SharedMemoryLock } from "@shm/array/sync";
import { changedCopy, inTime, never } from "../helpers/changed_copy.ts";
import {
  descriptorsOf,
  errorOf,
  mappingsOf,
  modUrl,
  segmentExists,
  segmentPath,
  uniqueName,
} from "../helpers/helpers.ts";
import { scale, slowness } from "../helpers/scale.ts";
import {
  compile,
  MadeLock,
  progress,
  sleep,
  syncUrl,
  Teller,
  untilWaiting,
  Words,
} from "../helpers/sync.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "locks are for Linux");

/** A second instance for a lock, attached. */
function another(lock: SharedMemoryLock): SharedMemoryLock {
  return SharedMemoryLock.from(lock).load();
}

function assertTimeout(call: () => unknown): void {
  assertEquals(assertThrows(call, DOMException, "Cannot acquire").name, "TimeoutError");
}

// --- The description -------------------------------------------------------------------------

Deno.test("SharedMemoryLock is plain data, read-only", () => {
  using lock = new MadeLock();
  const data = { kind: "lock", name: lock.name } as const;
  assertEquals(Object.entries(lock), Object.entries(data));
  assertEquals(structuredClone(lock) as unknown, data);
  assertEquals(JSON.parse(JSON.stringify(lock)), data);
  assertThrows(() => {
    (lock as { name: string }).name = "other";
  }, TypeError);
  assertEquals(SharedMemoryLock.from({ ...data, job: 7 } as typeof data).name, lock.name);
  assertEquals(
    Deno.inspect(SharedMemoryLock.from({ name: "x" })),
    'SharedMemoryLock { name: "x", attached: false, held: false }',
  );
  assertEquals(String(SharedMemoryLock.from({ name: "x" })), "SharedMemoryLock 'x'");
});

Deno.test("SharedMemoryLock refuses wrong names and descriptors", () => {
  const make = (name: unknown) => () => new SharedMemoryLock(name as string);
  for (const wrong of [undefined, null, 1, {}]) assertThrows(make(wrong), TypeError);
  for (const wrong of ["", "a/b", "a\0", ".", "x".repeat(256)]) {
    assertThrows(make(wrong), RangeError);
  }
  const from = (value: unknown) => () => SharedMemoryLock.from(value as { name: string });
  for (const wrong of [undefined, null, "tiles", 1, [], {}, { name: 1 }]) {
    assertThrows(from(wrong), TypeError);
  }
  assertThrows(() => new LockGuard(Symbol(), false, () => {}), TypeError, "acquire()");
});

Deno.test("SharedMemoryLock: create(), load(), close(), unlink()", () => {
  const lock = new SharedMemoryLock(uniqueName());
  assertThrows(() => lock.load(), Deno.errors.NotFound, lock.name);
  assertEquals(lock.unlink(), false);
  assertEquals(lock.create(), lock);
  try {
    assertThrows(() => lock.create(), Deno.errors.Busy, "attached already");
    assertThrows(() => lock.load(), Deno.errors.Busy, "attached already");
    const other = SharedMemoryLock.from(lock);
    assertThrows(() => other.create(), Deno.errors.AlreadyExists);
    assertEquals(other.load(), other);
    other.close();
    other.close();
    lock.close();
    assertEquals(segmentExists(lock.name), true);
    lock.load();
  } finally {
    assertEquals(lock.unlink(), true);
    lock.close();
  }
  assertEquals([descriptorsOf(lock.name), mappingsOf(lock.name)], [0, 0]);
});

Deno.test("SharedMemoryLock.create() checks its options and sets the mode", () => {
  using lock = new SharedMemoryLock(uniqueName());
  const create = (options: unknown) => () => lock.create(options as { mode: number });
  assertThrows(create({ mode: "600" }), TypeError);
  assertThrows(create({ reserve: true }), TypeError);
  assertThrows(create({ mode: 0o1000 }), RangeError);
  lock.create({ mode: 0o640 });
  assertEquals(Deno.statSync(segmentPath(lock.name)).mode! & 0o777, 0o640);
  lock.unlink();
});

Deno.test("SharedMemoryLock refuses an anonymous segment, and says why", () => {
  using sma = SharedMemoryArray.createAnonymous([4], "int32");
  const lock = new SharedMemoryLock(sma.name);
  assertThrows(() => lock.create(), RangeError, "anonymous");
  assertThrows(() => lock.load(), TypeError, "described as an array");
  sma.unlink();
});

for (
  const [size, message] of [
    [8, "the segment has 8 bytes, and a lock needs 16"],
    // An array whose name was given to the lock by mistake: its first elements would be written over.
    [32, "it is something else, which a lock would write to"],
  ] as const
) {
  Deno.test(`SharedMemoryLock.load() refuses a segment of ${size} bytes, and leaves nothing`, () => {
    using memory = SharedMemory.create(uniqueName(), size);
    try {
      assertThrows(() => new SharedMemoryLock(memory.name).load(), RangeError, message);
      assertEquals([descriptorsOf(memory.name), mappingsOf(memory.name)], [0, 1]);
    } finally {
      memory.unlink();
    }
  });
}

Deno.test("SharedMemoryLock.load({ timeout }) waits for the creator", async () => {
  const lock = new SharedMemoryLock(uniqueName());
  assertThrows(() => lock.load({ timeout: -1 }), RangeError, "Cannot load");
  assertThrows(() => lock.load({ timeout: "1" } as never), TypeError, "Cannot load");
  assertThrows(() => lock.load({ timeout: 20 }), Deno.errors.NotFound);
  await using teller = await Teller.start(
    `const lock = new SharedMemoryLock(Deno.args[0]); dwell(20_000); lock.create();`,
    [lock.name],
  );
  lock.load({ timeout: 60_000 });
  using _guard = lock.acquire();
  assertEquals((await teller.end()).code, 0);
  lock.unlink();
  _guard.release();
  lock.close();
});

Deno.test("SharedMemoryLock without attachment is BadResource", async () => {
  const lock = new SharedMemoryLock(uniqueName());
  assertThrows(() => lock.acquire(), Deno.errors.BadResource, "create() or load()");
  assertThrows(() => lock.tryAcquire(), Deno.errors.BadResource);
  await assertRejects(() => lock.acquireAsync(), Deno.errors.BadResource);
});

// --- Acquiring -------------------------------------------------------------------------------

Deno.test("acquire() checks its options before anything else", async () => {
  const lock = new SharedMemoryLock(uniqueName()); // not attached
  const wrong: [unknown, typeof TypeError | typeof RangeError][] = [
    [null, TypeError],
    [5, TypeError],
    [{ timeout: "5" }, TypeError],
    [{ timeout: -1 }, RangeError],
    [{ timeout: NaN }, RangeError],
    [{ time: 1 }, TypeError],
  ];
  for (const [options, Class] of wrong) {
    assertThrows(() => lock.acquire(options as { timeout: number }), Class, "Cannot acquire");
    await assertRejects(
      () => lock.acquireAsync(options as { timeout: number }),
      Class,
      "Cannot acquire",
    );
  }
  assertThrows(() => lock.acquire({ signal: new AbortController().signal } as never), TypeError);
  await assertRejects(() => lock.acquireAsync({ signal: {} } as never), TypeError);
});

Deno.test("acquire() and tryAcquire() exclude, release() lets the next one in", () => {
  using lock = new MadeLock();
  using other = another(lock);
  {
    using guard = lock.acquire();
    assertEquals(guard.abandoned, false);
    assertThrows(() => lock.acquire(), Deno.errors.Busy, "holds the lock already");
    assertThrows(() => lock.acquire({ timeout: 0 }), Deno.errors.Busy);
    assertEquals(lock.tryAcquire(), null);
    assertEquals(other.tryAcquire(), null);
    assertTimeout(() => other.acquire({ timeout: 0 }));
    const start = performance.now();
    assertTimeout(() => other.acquire({ timeout: 50 }));
    assert(performance.now() - start >= 49.9);
    assertThrows(() => lock.close(), Deno.errors.Busy, "release()");
    assertEquals(other.tryAcquire(), null, "nothing was left behind");
    guard.release();
    guard.release();
    const theirs = other.tryAcquire()!;
    assertEquals(theirs.abandoned, false);
    guard.release();
    assertEquals(lock.tryAcquire(), null, "an old guard releases nothing");
    theirs[Symbol.dispose]();
  }
  lock.acquire({ timeout: Infinity }).release();
});

Deno.test("acquireAsync() serves the tasks of an instance in order", async () => {
  using lock = new MadeLock();
  using other = another(lock);
  const order: string[] = [];
  let inside = 0;
  const task = async (lock: SharedMemoryLock, name: string): Promise<void> => {
    using _guard = await lock.acquireAsync();
    assertEquals(++inside, 1);
    order.push(name);
    await sleep(1);
    inside--;
  };
  const tasks = ["a", "b", "c", "d"].map((name) => task(lock, name));
  const others = ["x", "y"].map((name) => task(other, name));
  await Promise.all([...tasks, ...others]);
  assertEquals(order.filter((name) => name < "m"), ["a", "b", "c", "d"]);
  assertEquals(order.filter((name) => name > "m"), ["x", "y"]);
});

Deno.test("acquireAsync() waits behind what this instance holds", async () => {
  using lock = new MadeLock();
  const guard = lock.acquire();
  const next = lock.acquireAsync();
  await assertRejects(() => lock.acquireAsync({ timeout: 20 }), DOMException, "time is up");
  await assertRejects(() => lock.acquireAsync({ timeout: 0 }), DOMException, "time is up");
  assertEquals(await Promise.race([next, sleep(10)]), undefined);
  guard.release();
  (await next).release();
  (await lock.acquireAsync({ timeout: 0 })).release();
});

Deno.test("acquireAsync() ends by its time limit, by its signal, and leaves nothing behind", async () => {
  using lock = new MadeLock();
  using other = another(lock);
  const guard = other.acquire();
  const start = performance.now();
  const late = await lock.acquireAsync({ timeout: 50 }).catch((error) => error);
  assert(performance.now() - start >= 49.9);
  assertEquals([late instanceof DOMException, late.name], [true, "TimeoutError"]);
  const none = await lock.acquireAsync({ timeout: 0 }).catch((error) => error);
  assertEquals(none.name, "TimeoutError");

  const reason = { why: "no patience" };
  const abort = new AbortController();
  const { signal } = abort;
  const waits = [
    lock.acquireAsync({ signal }),
    lock.acquireAsync(),
    lock.acquireAsync({ signal, timeout: 60_000 * slowness }),
  ];
  setTimeout(() => abort.abort(reason), 10);
  const aborted = [waits[0], waits[2]].map((waiting) => waiting.catch((error) => error));
  assertEquals(await Promise.all(aborted) as unknown[], [reason, reason]);
  assertEquals(await lock.acquireAsync({ signal }).catch((error) => error), reason);
  guard.release();
  (await waits[1]).release();
  other.acquire().release();
});

Deno.test("close() rejects the tasks that wait, and leaves nothing behind", async () => {
  using lock = new MadeLock();
  const other = another(lock);
  const guard = lock.acquire();
  const waits = [other.acquireAsync(), other.acquireAsync({ timeout: 60_000 })];
  await sleep(30);
  other.close();
  for (const { status, reason } of await Promise.allSettled(waits) as PromiseRejectedResult[]) {
    assertEquals([status, reason.constructor], ["rejected", Deno.errors.BadResource]);
  }
  guard.release();
  assertEquals([descriptorsOf(lock.name), mappingsOf(lock.name)], [1, 1]);
});

Deno.test("close() rejects the tasks that wait, also where load() follows at once", async () => {
  using lock = new MadeLock();
  const other = another(lock);
  using guard = lock.acquire();
  const waits = [other.acquireAsync(), other.acquireAsync()];
  await sleep(30);
  other.close();
  other.load();
  guard.release();
  for (const { status, reason } of await Promise.allSettled(waits) as PromiseRejectedResult[]) {
    assertEquals([status, reason.constructor], ["rejected", Deno.errors.BadResource]);
  }
  other.acquire().release();
  (await other.acquireAsync()).release();
  other.close();
});

// --- Exclusion -------------------------------------------------------------------------------

/** How a process takes the lock around its section. */
const locks = {
  "acquire()": `using guard = lock.acquire();`,
  "acquireAsync()": `using guard = await lock.acquireAsync();`,
  "tryAcquire()": `
    let taken;
    while ((taken = lock.tryAcquire()) === null) dwell(10);
    using guard = taken;
  `,
  // The broken one excludes nobody.
  nothing: ``,
};

/**
 * Four processes count up in a section that is long enough for the others to come in, and note whether
 * anybody else was in it. Returns how often two were in, and how many counts were lost.
 */
async function contend(
  how: keyof typeof locks,
  rounds: number,
): Promise<{ overlaps: number; lost: number }> {
  using words = new Words();
  using lock = new MadeLock();
  const code = `
    const data = words();
    const lock = new SharedMemoryLock(Deno.args[1]).load();
    Atomics.add(data, 3, 1);
    while (Atomics.load(data, 3) < 4) wait(data, 3, Atomics.load(data, 3), 1);
    for (let i = 0; i < ${rounds}; i++) {
      {
        ${locks[how]}
        if (Atomics.add(data, 0, 1) !== 0) Atomics.add(data, 1, 1);
        const seen = data[2];
        dwell(Math.random() * 20);
        data[2] = seen + 1;
        Atomics.sub(data, 0, 1);
      }
      dwell(Math.random() * 20);
    }
    console.log("done");
  `;
  const four = await Promise.all(
    [1, 2, 3, 4].map(() => Teller.start(code, [words.name, lock.name])),
  );
  try {
    for (const teller of four) assertEquals(await teller.line(), "done");
  } finally {
    for (const teller of four) await teller[Symbol.asyncDispose]();
  }
  return { overlaps: words.data[1], lost: 4 * rounds - words.data[2] };
}

for (const how of ["acquire()", "acquireAsync()", "tryAcquire()"] as const) {
  const rounds = 2000 * scale; // 20,000
  Deno.test(`${how} excludes in four processes, ${rounds} times each`, async () => {
    assertEquals(await contend(how, rounds), { overlaps: 0, lost: 0 });
  });
}

Deno.test("a lock that excludes nothing is caught by the same harness: the control", async () => {
  const { overlaps, lost } = await contend("nothing", 2000);
  assert(overlaps > 0 && lost > 0, `${overlaps} overlaps, ${lost} lost`);
});

// --- Kills -----------------------------------------------------------------------------------

/** Takes the lock and says so, with whether it was abandoned; then sleeps for ever. */
const holder = `
  const lock = new SharedMemoryLock(Deno.args[0]).load();
  console.log("ready");
  const guard = lock.acquire();
  console.log(guard.abandoned);
  await new Promise((resume) => setTimeout(resume, 1e9));
`;
const asyncHolder = holder.replace("lock.acquire()", "await lock.acquireAsync()");

const kills = 10 * scale; // 100
Deno.test(`acquire() after ${kills} killed holders: the next one is told`, async () => {
  using lock = new MadeLock();
  const start = async (i: number): Promise<Teller> => {
    const teller = await Teller.start(i % 2 ? holder : asyncHolder, [lock.name]);
    assertEquals(await teller.line(), "ready");
    return teller;
  };
  const processes = await Promise.all([0, 1, 2].map(start));
  /** The first of them to say that it holds the lock, and whether it found it abandoned. */
  const said = new Map<Teller, Promise<[Teller, string]>>();
  const next = async (): Promise<[Teller, string]> => {
    for (const teller of processes) {
      if (!said.has(teller)) said.set(teller, teller.line().then((line) => [teller, line]));
    }
    return await Promise.race(said.values());
  };
  try {
    let [held, abandoned] = await next();
    assertEquals(abandoned, "false");
    for (let i = 0; i < kills; i++) {
      await sleep(Math.random() * 30); // at any time of the others' slices
      processes.splice(processes.indexOf(held), 1);
      said.delete(held);
      held.kill();
      const dead = held;
      [held, abandoned] = await inTime(next()); // `bench/` shows how long it takes
      assertEquals(abandoned, "true");
      await dead.end();
      processes.push(await start(i));
    }
  } finally {
    for (const teller of processes) await teller[Symbol.asyncDispose]();
    await Promise.allSettled(said.values());
  }
});

Deno.test("it is found out that a killed holder is not noticed: the control", async () => {
  // The dead wake nobody: without slices, who waits sleeps on.
  await using copy = await changedCopy([never("src/sync/lock_words.ts", "LOCK_SLICE", 20)]);
  using lock = new MadeLock();
  await using killed = await Teller.start(holder, [lock.name]);
  assertEquals([await killed.line(), await killed.line()], ["ready", "false"]);
  const url = JSON.stringify(copy.url("src/sync/mod.ts"));
  await using next = await Teller.start(
    holder.replace("new SharedMemoryLock", `new (await import(${url})).SharedMemoryLock`),
    [lock.name],
  );
  assertEquals(await next.line(), "ready");
  await untilWaiting(next);
  killed.kill();
  await killed.end();
  const told = next.line();
  told.catch(() => {}); // it is killed before
  await assertRejects(() => inTime(told, 1000), Error, "nobody was woken");
});

Deno.test("random kills never break an invariant that the lock protects", async () => {
  // Two halves are changed one after the other. Who finds the lock abandoned mends them; who does not must
  // find them equal.
  using words = new Words();
  using lock = new MadeLock();
  const code = `
    const data = words();
    const lock = new SharedMemoryLock(Deno.args[1]).load();
    console.log("ready");
    while (true) {
      {
        using guard = ${"lock.acquire()"};
        if (guard.abandoned) {
          Atomics.add(data, 4, 1);
          data[1] = data[0];
        }
        if (data[0] !== data[1]) Atomics.add(data, 2, 1);
        data[0]++;
        dwell(Math.random() * 100);
        data[1]++;
        Atomics.add(data, 3, 1);
      }
      dwell(Math.random() * 20);
    }
  `;
  const asyncCode = code.replace("lock.acquire()", "await lock.acquireAsync()");
  const start = async (i: number): Promise<Teller> => {
    const teller = await Teller.start(i % 2 ? code : asyncCode, [words.name, lock.name]);
    assertEquals(await teller.line(), "ready");
    return teller;
  };
  const processes = await Promise.all([0, 1, 2, 3].map(start));
  try {
    for (let i = 0; i < 20 * scale; i++) {
      await sleep(Math.random() * 20);
      const [victim] = processes.splice(Math.floor(Math.random() * 4), 1);
      victim.kill();
      await victim.end();
      processes.push(await start(i));
      assertEquals(Atomics.load(words.data, 2), 0);
    }
    const before = Atomics.load(words.data, 3);
    assertEquals(await progress(() => Atomics.load(words.data, 3), before + 20), "done");
  } finally {
    for (const teller of processes) await teller[Symbol.asyncDispose]();
  }
  assertEquals(words.data[2], 0);
  console.log(`${words.data[3]} sections, ${words.data[4]} of them after a killed holder`);
  const last = lock.acquire();
  if (!last.abandoned) assertEquals(words.data[0], words.data[1]);
  last.release();
});

Deno.test("killed waiters change nothing", async () => {
  using lock = new MadeLock();
  const guard = lock.acquire();
  const waiters = await Promise.all(
    [holder, asyncHolder, holder].map((code) => Teller.start(code, [lock.name])),
  );
  for (const waiter of waiters) assertEquals(await waiter.line(), "ready");
  await Promise.all(
    waiters.map((waiter, i) => untilWaiting(waiter, i === 1 ? "async" : undefined)),
  );
  for (const waiter of waiters) await waiter[Symbol.asyncDispose]();
  using other = another(lock);
  assertEquals(other.tryAcquire(), null);
  guard.release();
  using next = other.acquire({ timeout: 60_000 * slowness });
  assertEquals(next.abandoned, false);
});

Deno.test("a program that a holder has started does not keep the lock", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const lock = new SharedMemoryLock(Deno.args[0]).load();
    globalThis.guard = lock.acquire(); // kept: a guard that is garbage gives the lock back
    // By a shell that ends: it must not be one that Deno takes along when the holder is killed.
    const shell = new Deno.Command("sh", { args: ["-c", "sleep 100 >/dev/null 2>&1 & echo $!"] });
    await shell.spawn().status;
    await new Promise((resolve) => setTimeout(resolve, 100_000));
    `,
    [lock.name],
  );
  const sleeper = Number(await teller.line());
  try {
    assertEquals(lock.tryAcquire(), null);
    teller.kill();
    using guard = lock.acquire({ timeout: 60_000 * slowness });
    assertEquals(guard.abandoned, true);
  } finally {
    Deno.kill(sleeper, "SIGKILL");
  }
});

Deno.test("a Worker that is terminated keeps the lock until the process ends", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const code = \`
      import { SharedMemoryLock } from ${JSON.stringify(syncUrl)};
      globalThis.guard = new SharedMemoryLock("\${Deno.args[0]}").load().acquire();
      postMessage("held");
    \`;
    const worker = new Worker("data:application/javascript," + encodeURIComponent(code), {
      type: "module",
    });
    await new Promise((resume) => worker.onmessage = resume);
    worker.terminate();
    await new Promise((resume) => setTimeout(resume, 50));
    console.log("terminated");
    await new Promise((resume) => setTimeout(resume, 1e9));
    `,
    [lock.name],
  );
  assertEquals(await teller.line(), "terminated");
  assertTimeout(() => lock.acquire({ timeout: 60 }));
  teller.kill();
  using guard = lock.acquire({ timeout: 60_000 * slowness });
  assertEquals(guard.abandoned, true);
});

testWith("namespaces", "a holder in another PID namespace excludes, alive and killed", async () => {
  using lock = new MadeLock();
  // --kill-child: unshare takes its child along when it is killed.
  const before = inNamespaces("--pid --fork --kill-child");
  await using teller = await Teller.start(holder, [lock.name], { before });
  assertEquals([await teller.line(), await teller.line()], ["ready", "false"]);
  assertEquals(lock.tryAcquire(), null);
  assertTimeout(() => lock.acquire({ timeout: 60 }));
  await assertRejects(() => lock.acquireAsync({ timeout: 60 }), DOMException);
  // A waiter that is killed here does not take it from the living holder there.
  const waiter = await Teller.start(holder, [lock.name]);
  assertEquals(await waiter.line(), "ready");
  await untilWaiting(waiter);
  await waiter[Symbol.asyncDispose]();
  assertTimeout(() => lock.acquire({ timeout: 60 }));
  teller.kill();
  using guard = lock.acquire({ timeout: 60_000 * slowness });
  assertEquals(guard.abandoned, true);
});

// --- Names, garbage --------------------------------------------------------------------------

Deno.test("acquire() of a lock whose name was removed is NotFound, and leaves nothing behind", async () => {
  using lock = new MadeLock();
  using other = another(lock);
  lock.unlink();
  assertThrows(() => lock.acquire(), Deno.errors.NotFound, `'${lock.name}': its name was removed`);
  assertEquals(errorOf(() => other.tryAcquire()).code, "ENOENT");
  await assertRejects(() => other.acquireAsync(), Deno.errors.NotFound);
  assertEquals(descriptorsOf(lock.name), 2);
});

Deno.test("acquire() goes over to a lock that was made again under the name", async () => {
  using old = new MadeLock();
  using older = another(old);
  using oldest = another(old);
  old.unlink();
  using fresh = SharedMemoryLock.from(old).create();
  {
    using _guard = fresh.acquire();
    assertEquals(old.tryAcquire(), null);
    assertTimeout(() => older.acquire({ timeout: 30 }));
    await assertRejects(() => oldest.acquireAsync({ timeout: 30 }), DOMException, "time is up");
  }
  using _guard = old.acquire();
  assertEquals(fresh.tryAcquire(), null);
  assertEquals(older.tryAcquire(), null);
  assertEquals([descriptorsOf(old.name), mappingsOf(old.name)], [4, 4]);
});

Deno.test("acquire() waits for a lock that was made again while it waited", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(holder, [lock.name]);
  assertEquals(await teller.line(), "ready");
  assertEquals(await teller.line(), "false");
  using waiter = another(lock);
  const waiting = waiter.acquireAsync();
  await sleep(30);
  lock.unlink();
  using fresh = new MadeLock(lock.name); // what is removed by `lock` is its own name only
  (await waiting).release(); // the old one is held still
  fresh.acquire().release();
});

Deno.test("garbage in the segment admits nobody and delays nobody for long", async () => {
  using lock = new MadeLock();
  using memory = SharedMemory.open(lock.name);
  const garbage = new Int32Array(memory.buf!);
  const fill = (): void => {
    for (let i = 0; i < garbage.length; i++) {
      Atomics.store(garbage, i, Math.floor(Math.random() * 2 ** 32));
    }
  };
  const timer = setInterval(fill, 1);
  // Attached before: a lock without its magic is not loaded.
  using other = another(lock);
  try {
    fill();
    for (let i = 0; i < 20; i++) {
      const guard = await lock.acquireAsync();
      fill();
      assertEquals(other.tryAcquire(), null);
      const next = other.acquireAsync({ timeout: 60_000 * slowness });
      await sleep(2);
      fill();
      guard.release();
      (await next).release();
    }
  } finally {
    clearInterval(timer);
  }
  const first = lock.acquire();
  first.release();
  const second = lock.acquire();
  assertEquals(second.abandoned, false, "who releases it, tidies up");
  second.release();
});

Deno.test("a guard and a lock that are dropped give the lock back, and all else", async () => {
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const count = () => [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
      try {
        return Deno.readLinkSync("/proc/self/fd/" + name).includes(Deno.args[0]);
      } catch {
        return false; // the folder itself
      }
    }).length;
    const collected = async (is) => {
      for (let i = 0; i < 200 && !is(); i++) {
        gc();
        await new Promise((resume) => setTimeout(resume, 5));
      }
      return is();
    };
    const lock = new SharedMemoryLock(Deno.args[0]).load();
    const other = SharedMemoryLock.from(lock).load();
    (() => { lock.acquire(); })();
    let next = null;
    console.log(await collected(() => (next ??= other.tryAcquire()) !== null), next?.abandoned);
    next.release();
    using guard = lock.acquire();
    console.log(guard.abandoned);
    (() => { SharedMemoryLock.from(lock).load(); })();
    console.log(count());
    console.log(await collected(() => count() === 2));
    console.log(other.tryAcquire());
    Deno.exit();
    `,
    [lock.name],
    { v8Flags: ["--expose-gc"] },
  );
  assertEquals(await teller.line(), "true true");
  assertEquals(await teller.line(), "false");
  assertEquals(await teller.line(), "3");
  assertEquals(await teller.line(), "true");
  assertEquals(await teller.line(), "null");
});

// --- Others that take part -------------------------------------------------------------------

/** Another program holds the lock, is excluded by it, and is killed. */
async function withOther(
  lock: SharedMemoryLock,
  hold: () => Teller,
  tryIt: () => Promise<string>,
): Promise<void> {
  {
    await using teller = hold();
    assertEquals(await teller.line(), "held");
    assertEquals(lock.tryAcquire(), null);
    assertTimeout(() => lock.acquire({ timeout: 50 }));
    assertEquals(await tryIt(), "held");
    const waiting = lock.acquireAsync({ timeout: 60_000 * slowness });
    await teller.closeInput();
    (await waiting).release();
  }
  {
    await using teller = hold();
    assertEquals(await teller.line(), "held");
    teller.kill();
    lock.acquire({ timeout: 60_000 * slowness }).release();
  }
  using _guard = lock.acquire();
  assertEquals(await tryIt(), "held");
}

Deno.test("flock(1) takes part", async () => {
  using lock = new MadeLock();
  const path = segmentPath(lock.name);
  await withOther(
    lock,
    // Without --close the program that is run would keep the lock after flock was killed.
    () => Teller.run("flock", ["--no-fork", path, "sh", "-c", "echo held; read line"]),
    async () => {
      const { success } = await new Deno.Command("flock", { args: ["-n", path, "true"] }).output();
      return success ? "taken" : "held";
    },
  );
});

testWith("cc", "a C program takes part", async () => {
  const folder = await Deno.makeTempDir();
  try {
    using lock = new MadeLock();
    const peer = compile("sync_peer.c", folder);
    await withOther(
      lock,
      () => Teller.run(peer, ["hold", lock.name]),
      async () => {
        await using teller = Teller.run(peer, ["try", lock.name]);
        return await teller.line();
      },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

testWith("NumPy", "Python's fcntl.flock takes part", async () => {
  using lock = new MadeLock();
  const open = `import fcntl; file = open("/dev/shm/" + sys.argv[1], "r+b")\n`;
  await withOther(
    lock,
    () =>
      Teller.python(
        open + `fcntl.flock(file, fcntl.LOCK_EX); print("held"); sys.stdin.read()`,
        [lock.name],
      ),
    async () => {
      await using teller = Teller.python(
        open + `
try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("taken")
except BlockingIOError:
    print("held")
`,
        [lock.name],
      );
      return await teller.line();
    },
  );
});

testWith("NumPy", "Lock of shm_attach.py takes part, and both tell a killed holder", async () => {
  using lock = new MadeLock();
  const hold = `
with Lock(sys.argv[1]) as lock:
    print("held")
    sys.stdin.read()
`;
  await withOther(
    lock,
    () => Teller.python(hold, [lock.name]),
    async () => {
      await using teller = Teller.python(
        `
try:
    Lock(sys.argv[1]).acquire(0.03)
    print("taken")
except TimeoutError:
    print("held")
`,
        [lock.name],
      );
      return await teller.line();
    },
  );
  {
    await using teller = Teller.python(hold, [lock.name]);
    assertEquals(await teller.line(), "held");
    teller.kill();
    using guard = lock.acquire({ timeout: 60_000 * slowness });
    assertEquals(guard.abandoned, true);
  }
  await using deno = await Teller.start(holder, [lock.name]);
  assertEquals([await deno.line(), await deno.line()], ["ready", "false"]);
  await using python = Teller.python(
    `
lock = Lock(sys.argv[1])
print("ready")
lock.acquire()
print(lock.abandoned)
lock.release()
lock.acquire()
print(lock.abandoned)
lock.release()
`,
    [lock.name],
  );
  assertEquals(await python.line(), "ready");
  deno.kill();
  assertEquals([await python.line(), await python.line()], ["True", "False"]);
});

testWith(
  "NumPy",
  "Lock of shm_attach.py: threads, forks, and names that were made again",
  async () => {
    using lock = new MadeLock();
    await using teller = Teller.python(
      `
import threading
name = sys.argv[1]
lock = Lock(name)

# Threads exclude each other.
count, inside, worst = 0, 0, 0
def work():
    global count, inside, worst
    for _ in range(50):
        with lock:
            inside += 1
            worst = max(worst, inside)
            seen = count
            time.sleep(0.0002)
            count = seen + 1
            inside -= 1
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(count, worst)

# A forked child does not have the lock of its parent.
lock.acquire()
child = os.fork()
if child == 0:
    try:
        lock.acquire(0.03)
        os._exit(1)
    except TimeoutError:
        os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
lock.release()

print("remove it")
sys.stdin.readline()
with lock:
    print("held")
`,
      [lock.name],
    );
    assertEquals(await teller.line(), "200 1");
    assertEquals(await teller.line(), "0");
    assertEquals(await teller.line(), "remove it");
    lock.unlink();
    using fresh = new MadeLock(lock.name); // what is removed by `lock` is its own name only
    const guard = fresh.acquire();
    await teller.closeInput();
    await sleep(50);
    guard.release();
    assertEquals(await teller.line(), "held");
  },
);

Deno.test("Workers of one process exclude each other", async () => {
  using words = new Words();
  using lock = new MadeLock();
  await using teller = await Teller.start(
    `
    const code = \`
      import { SharedMemory } from ${JSON.stringify(modUrl)};
      import { SharedMemoryLock } from ${JSON.stringify(syncUrl)};
      const data = new Int32Array(SharedMemory.open("\${Deno.args[0]}").buf);
      const lock = new SharedMemoryLock("\${Deno.args[1]}").load();
      for (let i = 0; i < 1000; i++) {
        using guard = lock.acquire();
        const seen = data[0];
        for (const end = performance.now() + 0.005; performance.now() < end;);
        data[0] = seen + 1;
      }
      postMessage("done");
    \`;
    const url = "data:application/typescript," + encodeURIComponent(code);
    const workers = [1, 2, 3, 4].map(() => new Worker(url, { type: "module" }));
    await Promise.all(workers.map((worker) => new Promise((resume) => worker.onmessage = resume)));
    console.log("done");
    Deno.exit();
    `,
    [words.name, lock.name],
  );
  assertEquals(await teller.line(), "done");
  assertEquals(words.data[0], 4000);
});
