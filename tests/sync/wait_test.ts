// Waiting for shared memory, and waking who waits: results and arguments are those of Atomics, who waits and
// who wakes are processes. The hunts for lost wake-ups scale with SHM_SOAK; the numbers in the comments are
// those of `deno task soak`.

import { markAsUntransferable } from "node:worker_threads";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, type SharedMemoryArray } from "@shm/array";
import { notify, wait, waitAsync, type WaitAsyncResult } from "@shm/array/sync";
import { futexWake } from "../../ffi/futex.ts";
import { mappingsOf, modUrl } from "../helpers/helpers.ts";
import { scale, slowness } from "../helpers/scale.ts";
import {
  compile,
  hasVector,
  progress,
  SHORT_PATIENCE,
  sleep,
  syncUrl,
  Teller,
  untilWaiting,
  Words,
} from "../helpers/sync.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

/** The promise of a wait that has begun. */
function begun(result: WaitAsyncResult): Promise<"ok" | "timed-out"> {
  if (!result.async) throw new Error(`the wait ended at once: ${result.value}`);
  return result.value;
}

// --- Arguments -------------------------------------------------------------------------------

const functions = {
  wait: (array: unknown) => wait(array as Int32Array, 0, 0, 0),
  notify: (array: unknown) => notify(array as Int32Array, 0),
  waitAsync: (array: unknown) => waitAsync(array as Int32Array, 0, 0, 0),
};

for (const [name, call] of Object.entries(functions)) {
  Deno.test(`${name}() takes an Int32Array over a mapped segment, and nothing else`, () => {
    using words = new Words();
    const { buffer } = words.data;
    using sma = words.attach();
    for (
      const wrong of [
        undefined,
        null,
        0,
        "words",
        {},
        [0],
        buffer,
        sma.array,
        new Uint32Array(buffer),
        new Float64Array(buffer),
        new BigInt64Array(buffer),
        new Int8Array(buffer),
        new DataView(buffer),
        new Int32Array(4),
        new Int32Array(new SharedArrayBuffer(16)),
        new Int32Array(buffer.slice()),
      ]
    ) {
      assertThrows(() => call(wrong), TypeError, "Cannot ");
    }
    const advice =
      "not over a mapped segment; the data of a shared array are, a copy of them is not";
    assertThrows(() => call(words.data.slice()), TypeError, advice);
    call(words.data);
    call(new Int32Array(buffer, 8, 2));
    using memory = SharedMemory.open(words.name);
    call(new Int32Array(memory.buf!));
  });

  Deno.test(`${name}() of a closed array is BadResource`, () => {
    using words = new Words();
    words.close();
    assertThrows(() => call(words.data), Deno.errors.BadResource, "closed");
  });

  testWith(
    "marks of buffers",
    `${name}() of a closed array whose buffer could not be detached is BadResource`,
    () => {
      using used = new Words();
      using fresh = new Words();
      call(used.data);
      for (const words of [used, fresh]) {
        markAsUntransferable(words.data.buffer);
        words.close();
        assertEquals(words.data.length > 0, true);
        assertThrows(() => call(words.data), Deno.errors.BadResource, "closed");
      }
    },
  );

  Deno.test(`${name}() of memory that was moved away is BadResource, of where it is now a TypeError`, () => {
    using words = new Words();
    const moved = words.data.buffer.transfer();
    assertThrows(() => call(words.data), Deno.errors.BadResource);
    assertThrows(() => call(new Int32Array(moved)), TypeError);
  });
}

/** What a call gives: its result, or the class of its error. */
function outcomeOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

const oddNumbers: unknown[] = [
  undefined,
  null,
  true,
  0,
  -0,
  0.9,
  1,
  1.5,
  3,
  4,
  -1,
  -0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e300,
  "1",
  "x",
  "",
  [],
  [1],
  {},
  { valueOf: () => 1 },
  1n,
  Symbol("s"),
];

Deno.test("wait(), waitAsync() and notify() convert and refuse arguments as Atomics does", () => {
  using words = new Words(4);
  const shared = new Int32Array(new SharedArrayBuffer(16));
  words.data.set([0, 1, 0, 0]);
  shared.set([0, 1, 0, 0]);
  // deno-lint-ignore no-explicit-any -- whatever a caller without types gives
  for (const odd of oddNumbers as any[]) {
    const compare = (what: string, ours: () => unknown, theirs: () => unknown): void =>
      assertEquals(outcomeOf(ours), outcomeOf(theirs), `${what} of ${String(odd)}`);
    const { data } = words;
    compare("index", () => wait(data, odd, 5, 0), () => Atomics.wait(shared, odd, 5, 0));
    compare("value", () => wait(data, 1, odd, 0), () => Atomics.wait(shared, 1, odd, 0));
    compare(
      "async index",
      () => waitAsync(data, odd, 5, 0),
      () => Atomics.waitAsync(shared, odd, 5, 0),
    );
    compare(
      "async value",
      () => waitAsync(data, 1, odd, 0),
      () => Atomics.waitAsync(shared, 1, odd, 0),
    );
    compare("notify's index", () => notify(data, odd), () => Atomics.notify(shared, odd));
    compare("notify's count", () => notify(data, 0, odd), () => Atomics.notify(shared, 0, odd));
    if ([undefined, NaN, Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, "x"].includes(odd)) continue;
    if (typeof odd === "object" && odd !== null && !Array.isArray(odd) && !("1" in odd)) {
      if (Number.isNaN(Number(odd))) continue; // no limit, as NaN
    }
    compare("time limit", () => wait(data, 0, 0, odd), () => Atomics.wait(shared, 0, 0, odd));
  }
});

Deno.test("wait() and waitAsync() notice an array that is closed by the conversion of an argument", () => {
  for (const call of [wait, waitAsync, notify]) {
    using words = new Words();
    const closing = {
      valueOf() {
        words.close();
        return 0;
      },
    } as unknown as number;
    assertThrows(() => call(words.data, closing, 0), Error, "Cannot ");
    using others = new Words();
    const value = { valueOf: () => (others.close(), 0) } as unknown as number;
    assertThrows(() => call(others.data, 0, value), Deno.errors.BadResource);
  }
});

Deno.test("wait(), waitAsync() and notify() refuse memory that is loaded copy-on-write", () => {
  // The kernel would wait on a private page: nobody could wake it, and later reads would be of that page.
  using words = new Words();
  using memory = SharedMemory.open(words.name, { access: "copy-on-write" });
  const copy = new Int32Array(memory.buf!);
  for (
    const call of [() => wait(copy, 0, 0, 0), () => waitAsync(copy, 0, 0), () => notify(copy, 0)]
  ) {
    assertThrows(call, TypeError, "the array was loaded copy-on-write, and is not shared");
  }
  Atomics.store(words.data, 0, 7);
  assertEquals(copy[0], 7, "it is live as before");
});

Deno.test("wait() and waitAsync() refuse options in the place of the time limit", () => {
  using words = new Words();
  const limit = { timeout: 1 } as unknown as number;
  assertThrows(() => wait(words.data, 0, 0, limit), TypeError, "the fourth argument is the time");
  const own = new AbortController() as unknown as number;
  assertThrows(() => waitAsync(words.data, 0, 0, own), TypeError, "{ signal } as its fifth");
});

Deno.test("waitAsync() checks its options", () => {
  using words = new Words();
  const withOptions = (options: unknown): WaitAsyncResult =>
    waitAsync(words.data, 0, 0, 0, options as { signal?: AbortSignal });
  assertThrows(() => withOptions({ signal: 1 }), TypeError, "signal");
  assertThrows(() => withOptions({ abort: new AbortController().signal }), TypeError, "abort");
  assertThrows(() => withOptions(null), TypeError);
  assertEquals(withOptions({}), { async: false, value: "timed-out" });
});

// --- Results ---------------------------------------------------------------------------------

Deno.test("wait() gives not-equal at once, and timed-out not before its time", () => {
  using words = new Words();
  words.data[1] = -5;
  assertEquals(wait(words.data, 1, 0), "not-equal");
  const start = performance.now();
  assertEquals(wait(words.data, 1, -5, 40), "timed-out");
  assert(performance.now() - start >= 39.9);
  assertEquals(wait(words.data, 1, 2 ** 32 - 5, 0), "timed-out");
});

Deno.test("waitAsync() gives not-equal at once, and a promise of timed-out not before its time", async () => {
  using words = new Words();
  assertEquals(waitAsync(words.data, 0, 1), { async: false, value: "not-equal" });
  assertEquals(waitAsync(words.data, 0, 0, 0), { async: false, value: "timed-out" });
  const start = performance.now();
  const [short, long] = [waitAsync(words.data, 0, 0, 25), waitAsync(words.data, 0, 0, 60)];
  assertEquals(await short.value, "timed-out");
  assert(performance.now() - start >= 24.9);
  assertEquals(await long.value, "timed-out");
  assert(performance.now() - start >= 59.9);
});

/** How waits that do not block are done: by the kernel, or as on kernels that cannot, and beyond 1,016 waits. */
const ways = ["futex_waitv", "looking every millisecond"] as const;

/** Begins as many waits as threads sleep for, so that all others are looked at; gives what ends them. */
function occupyThreads(): () => Promise<void> {
  const words = new Words();
  const waits = Array.from({ length: 1016 }, () => begun(waitAsync(words.data, 0, 0)));
  return async () => {
    notify(words.data, 0);
    await Promise.all(waits);
    words[Symbol.dispose]();
  };
}

for (const way of ways) {
  /** A test of one way; the words of it are given. */
  const test = (name: string, body: (words: Words) => Promise<void>): void =>
    Deno.test(`waitAsync() ${name} (${way})`, async () => {
      const free = way === "futex_waitv" ? undefined : occupyThreads();
      try {
        using words = new Words();
        await body(words);
      } finally {
        await free?.();
      }
    });

  test("is woken by notify() in the same thread, who came first is woken first", async (words) => {
    const order: number[] = [];
    const waits = [0, 1, 2, 3, 4].map((i) =>
      begun(waitAsync(words.data, 3, 0)).then((ending) => {
        order.push(i);
        return ending;
      })
    );
    using other = words.attach(); // the same words at another address
    assertEquals(notify(other.array!.data, 3, 2), 2);
    assertEquals(await Promise.all(waits.slice(0, 2)), ["ok", "ok"]);
    assertEquals(order, [0, 1]);
    assertEquals(notify(words.data, 2), 0);
    assertEquals(notify(words.data, 3, 0), 0);
    assertEquals(notify(words.data, 3), 3);
    assertEquals(await Promise.all(waits), Array(5).fill("ok"));
    assertEquals(order, [0, 1, 2, 3, 4]);
    assertEquals(notify(words.data, 3), 0);
  });

  test("is rejected with the signal's reason", async (words) => {
    const reason = { why: "no patience" };
    const before = begun(
      waitAsync(words.data, 0, 0, undefined, { signal: AbortSignal.abort(reason) }),
    );
    assertEquals(await before.catch((error) => error), reason);

    const controller = new AbortController();
    const { signal } = controller;
    const aborted = begun(waitAsync(words.data, 0, 0, undefined, { signal }));
    const other = begun(waitAsync(words.data, 0, 0));
    await sleep(5);
    controller.abort(reason);
    assertEquals(await aborted.catch((error) => error), reason);
    assertEquals(await Promise.race([other, sleep(20)]), undefined, "the other one waits on");
    notify(words.data, 0);
    assertEquals(await other, "ok");
  });

  test("takes nothing from a signal after its end", async (words) => {
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = begun(waitAsync(words.data, 0, 0, undefined, { signal }));
    notify(words.data, 0);
    assertEquals(await waiting, "ok");
    controller.abort();
    assertEquals(await begun(waitAsync(words.data, 0, 0, 5)), "timed-out");
  });

  test("is rejected when its array is closed, others go on", async (words) => {
    using others = new Words();
    const going = begun(waitAsync(others.data, 0, 0));
    const waits = [0, 0, 1].map((index) => begun(waitAsync(words.data, index, 0)));
    await sleep(5);
    words.close();
    for (const waiting of waits) {
      await assertRejects(() => waiting, Deno.errors.BadResource, "closed");
    }
    Atomics.store(others.data, 0, 1);
    notify(others.data, 0);
    assertEquals(await going, "ok");
  });

  test("is rejected when its array is closed before it has quite begun", async (words) => {
    const waiting = begun(waitAsync(words.data, 0, 0));
    words.close();
    await assertRejects(() => waiting, Deno.errors.BadResource);
    assertEquals(mappingsOf(words.name), 0);
  });

  test("is rejected when its memory is moved away and the array closed", async (words) => {
    const waiting = begun(waitAsync(words.data, 0, 0));
    words.data.buffer.transfer();
    words.close();
    await assertRejects(() => waiting, Deno.errors.BadResource);
  });

  test("of 600 words is woken for each of them, in any order", async () => {
    using words = new Words(600);
    const waits = Array.from(words.data, (_, i) => begun(waitAsync(words.data, i, 0)));
    await using teller = await Teller.start(
      `
      const data = words();
      for (let i = 0; i < data.length; i++) {
        const index = (i * 7) % data.length;
        Atomics.store(data, index, 1);
        notify(data, index);
      }
      console.log("done");
      `,
      [words.name],
    );
    assertEquals(await teller.line(), "done");
    assertEquals(new Set(await Promise.all(waits)), new Set(["ok"]));
  });

  test("keeps 31, 32, 126, 127 and 600 waits beside a file that is read", async () => {
    // With one thread for each wait of 32 no file can be read at all: see the control below.
    using words = new Words(600);
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(file, "text");
      for (const count of [31, 32, 126, 127, 600]) {
        const waits = Array.from(
          { length: count },
          (_, i) => begun(waitAsync(words.data, i, 0)),
        );
        for (let i = 0; i < 20; i++) assertEquals(await Deno.readTextFile(file), "text");
        for (let i = 0; i < count; i++) assertEquals(notify(words.data, i), 1);
        await Promise.all(waits);
      }
    } finally {
      await Deno.remove(file);
    }
  });

  test("is not disturbed by what comes and goes beside it", async (words) => {
    const steady = begun(waitAsync(words.data, 0, 0));
    let ended = false;
    steady.finally(() => ended = true);
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      const { signal } = controller;
      const [timed, aborted] = [
        begun(waitAsync(words.data, 0, 0, 1)),
        begun(waitAsync(words.data, 1, 0, undefined, { signal })),
      ];
      if (i % 2) await Promise.resolve();
      controller.abort();
      await Promise.allSettled([timed, aborted]);
    }
    assert(!ended);
    Atomics.store(words.data, 0, 1);
    notify(words.data, 0);
    assertEquals(await steady, "ok");
  });
}

Deno.test("one thread for each of 32 waits keeps a file from being read: the control", async () => {
  // What waitAsync() would be with one nonblocking call for each wait.
  await using teller = await Teller.start(`
    const { symbols } = Deno.dlopen("libc.so.6", {
      usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
    });
    const naps = Array.from({ length: 32 }, () => symbols.usleep(900_000));
    const start = performance.now();
    let awake = 0;
    naps.forEach((nap) => nap.then(() => awake++));
    await Deno.readTextFile("/proc/self/stat");
    console.log(awake > 0 ? "after the waits" : "beside the waits");
    await Promise.all(naps);
  `);
  assertEquals(await teller.line(), "after the waits");
});

// --- Between processes -----------------------------------------------------------------------

/** Waits for word 0, says what came of it, and of what it saw. */
const waiters = {
  "wait()": `
    const data = words();
    console.log(wait(data, 0, 0), Atomics.load(data, 0));
  `,
  "waitAsync()": `
    const data = words();
    const { value } = waitAsync(data, 0, 0);
    console.log("pending");
    console.log(await value, Atomics.load(data, 0));
  `,
  "wait() in a Worker": `
    const code = \`
      import { SharedMemory } from ${JSON.stringify(modUrl)};
      import { wait } from ${JSON.stringify(syncUrl)};
      const data = new Int32Array(SharedMemory.open("\${Deno.args[0]}").buf);
      console.log(wait(data, 0, 0), Atomics.load(data, 0));
      close();
    \`;
    new Worker("data:application/javascript," + encodeURIComponent(code), { type: "module" });
  `,
};

for (const [name, code] of Object.entries(waiters)) {
  Deno.test(`${name} is woken by notify() in another process`, async () => {
    using words = new Words();
    await using teller = await Teller.start(code, [words.name]);
    const isAsync = name === "waitAsync()";
    if (isAsync) assertEquals(await teller.line(), "pending");
    await untilWaiting(teller, isAsync ? "async" : undefined);
    Atomics.store(words.data, 0, 42);
    assertEquals(notify(words.data, 0), isAsync && !hasVector ? 0 : 1);
    assertEquals(await teller.line(), "ok 42");
    assertEquals(await teller.end(), { code: 0, signal: null, rest: "", errors: "" });
  });
}

Deno.test("notify() wakes no more than asked for, and counts whom it wakes, in other processes", async () => {
  using words = new Words();
  const code = `console.log(wait(words(), 0, 0));`;
  const three = await Promise.all([1, 2, 3].map(() => Teller.start(code, [words.name])));
  try {
    await Promise.all(three.map((teller) => untilWaiting(teller)));
    assertEquals(notify(words.data, 1), 0);
    assertEquals(notify(words.data, 0, 2), 2);
    assertEquals(notify(words.data, 0, 2), 1);
    for (const teller of three) assertEquals(await teller.line(), "ok");
    assertEquals(notify(words.data, 0), 0);
  } finally {
    for (const teller of three) await teller[Symbol.asyncDispose]();
  }
});

testWith("cc", "wait() and notify() work with C", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const peer = compile("sync_peer.c", folder);
    {
      using words = new Words();
      await using teller = Teller.run(peer, ["wait", words.name]);
      assertEquals(await teller.line(), "waiting");
      await untilWaiting(teller);
      Atomics.store(words.data, 0, 5);
      assertEquals(notify(words.data, 0), 1);
      assertEquals(await teller.line(), "5");
    }
    {
      using words = new Words();
      const waiting = begun(waitAsync(words.data, 0, 0));
      await untilWaiting({ pid: Deno.pid }, "async");
      await using teller = Teller.run(peer, ["notify", words.name]);
      assertEquals(await teller.line(), hasVector ? "1" : "0");
      assertEquals([await waiting, words.data[0]], ["ok", 7]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

testWith("NumPy", "wait() and notify() work with shm_attach.py", async () => {
  using words = new Words();
  const waiting = begun(waitAsync(words.data, 0, 0));
  await untilWaiting({ pid: Deno.pid }, "async");
  await using teller = Teller.python(
    `
words = attach(sys.argv[1], 16, "int32")
print(wait(words, 1, 5), wait(words, 1, 0, 0.02), wait(words, 1, 0, 0))
words[0] = 3
print(notify(words, 0))
print(wait(words, 1, 0, 60), words[1])
`,
    [words.name],
  );
  assertEquals(await teller.line(), "not-equal timed-out timed-out");
  assertEquals(await teller.line(), hasVector ? "1" : "0");
  assertEquals([await waiting, words.data[0]], ["ok", 3]);
  await untilWaiting(teller);
  words.data[1] = 4;
  assertEquals(notify(words.data, 1), 1);
  assertEquals(await teller.line(), "ok 4");
});

// --- Ends ------------------------------------------------------------------------------------

const ends: [what: string, code: string, expected: { code: number; errors?: string }][] = [
  ["Deno.exit() ends it", `setTimeout(() => Deno.exit(3), 20);`, { code: 3 }],
  ["an uncaught error ends it", `setTimeout(() => { throw new Error("oh"); }, 20);`, {
    code: 1,
    errors: "oh",
  }],
  ["an uncaught rejection ends it", `Promise.reject(new Error("oh"));`, { code: 1, errors: "oh" }],
];
for (const [what, code, expected] of ends) {
  Deno.test(`waitAsync() that is pending: ${what}`, async () => {
    using words = new Words();
    await using teller = await Teller.start(
      `for (let i = 0; i < 200; i++) waitAsync(words(), i % 16, 0); console.log("pending"); ${code}`,
      [words.name],
    );
    assertEquals(await teller.line(), "pending");
    const { code: status, signal, errors } = await teller.end();
    assertEquals([status, signal], [expected.code, null]);
    assert(errors.includes(expected.errors ?? ""));
  });
}

Deno.test("waitAsync() that is pending keeps the program alive, one that is over does not", async () => {
  using words = new Words();
  await using teller = await Teller.start(
    `
    const { value } = waitAsync(words(), 0, 0);
    console.log("pending");
    value.then((ending) => console.log(ending));
    `,
    [words.name],
  );
  assertEquals(await teller.line(), "pending");
  await untilWaiting(teller, "async");
  await sleep(50);
  Atomics.store(words.data, 0, 1);
  assertEquals(notify(words.data, 0), hasVector ? 1 : 0);
  assertEquals(await teller.end(), { code: 0, signal: null, rest: "ok\n", errors: "" });
});

Deno.test("waitAsync() keeps its array while it waits, and lets go of it", async () => {
  using words = new Words();
  await using teller = await Teller.start(
    `
    const mappings = () =>
      Deno.readTextFileSync("/proc/self/maps").split("\\n").filter((l) => l.includes(Deno.args[0])).length;
    async function begin() {
      const ending = await waitAsync(words(), 0, 0).value;
      return ending;
    }
    const waiting = begin();
    for (let i = 0; i < 10; i++) {
      gc();
      await new Promise((resume) => setTimeout(resume, 2));
    }
    console.log(mappings());
    console.log(await waiting);
    // The thread that waited may come back late.
    for (const end = performance.now() + 60_000; mappings() > 0 && performance.now() < end;) {
      gc();
      await new Promise((resume) => setTimeout(resume, 5));
    }
    console.log(mappings());
    `,
    [words.name],
    { v8Flags: ["--expose-gc"] },
  );
  assertEquals(await teller.line(), "1");
  Atomics.store(words.data, 0, 1);
  notify(words.data, 0);
  assertEquals(await teller.line(), "ok");
  assertEquals(await teller.line(), "0");
});

Deno.test("wait() that is interrupted by signals goes on for the rest of its time", async () => {
  using words = new Words();
  await using teller = await Teller.start(
    `
    let signals = 0;
    Deno.addSignalListener("SIGUSR1", () => signals++);
    console.log("ready");
    const start = performance.now();
    const ending = wait(words(), 0, 0, 400);
    console.log(ending, performance.now() - start >= 399.9);
    // The listener runs as soon as the event loop does.
    while (signals === 0) await new Promise((resume) => setTimeout(resume, 1));
    console.log(signals > 0);
    Deno.exit();
    `,
    [words.name],
  );
  assertEquals(await teller.line(), "ready");
  for (let i = 0; i < 20; i++) {
    teller.kill("SIGUSR1");
    await sleep(5);
  }
  assertEquals(await teller.line(), "timed-out true");
  assertEquals(await teller.line(), "true");
});

/** Starts a Worker that finds the words as `data`, and waits until it has said that it waits. */
const withWorker = (code: string): string => `
  const code = \`
    import { SharedMemory } from ${JSON.stringify(modUrl)};
    import { wait, waitAsync } from ${JSON.stringify(syncUrl)};
    const data = new Int32Array(SharedMemory.open("\${Deno.args[0]}").buf);
    ${code}
  \`;
  const worker = new Worker("data:application/javascript," + encodeURIComponent(code), {
    type: "module",
  });
  await new Promise((resume) => worker.onmessage = resume);
  await new Promise((resume) => setTimeout(resume, 50));
`;

Deno.test("waitAsync() in a Worker ends when the Worker is terminated", async () => {
  using words = new Words();
  await using teller = await Teller.start(
    withWorker(`waitAsync(data, 0, 0); postMessage("waiting");`) + `
    worker.terminate();
    console.log("terminated");
    `,
    [words.name],
  );
  assertEquals(await teller.line(), "terminated");
  assertEquals(await teller.end(), { code: 0, signal: null, rest: "", errors: "" });
  assertEquals(notify(words.data, 0), 0, "nobody is left");
});

Deno.test("wait() in a Worker is ended by Deno.exit() of the program", async () => {
  using words = new Words();
  await using teller = await Teller.start(
    withWorker(`postMessage("waiting"); wait(data, 0, 0);`) + `Deno.exit(4);`,
    [words.name],
  );
  assertEquals(await teller.end(), { code: 4, signal: null, rest: "", errors: "" });
  assertEquals(notify(words.data, 0), 0, "nobody is left");
});

// --- Lost wake-ups ---------------------------------------------------------------------------

/** How the processes of a hunt wait: word 0 says whose turn it is, and nobody gives up. */
const huntersOf = {
  sync: `
    const until = (data, turn) => {
      for (let seen; (seen = Atomics.load(data, 0)) !== turn; ) wait(data, 0, seen);
    };
  `,
  async: `
    const until = async (data, turn) => {
      for (let seen; (seen = Atomics.load(data, 0)) !== turn; ) await waitAsync(data, 0, seen).value;
    };
  `,
  // The broken one looks, does something else, and waits for a change of what is there then.
  broken: `
    const until = (data, turn) => {
      while (Atomics.load(data, 0) !== turn) {
        dwell(Math.random() * 30);
        wait(data, 0, Atomics.load(data, 0));
      }
    };
  `,
};

/**
 * A ring of one slot between two processes: one puts numbers in, one takes them out and adds them up.
 * Nobody has a time limit, so that a lost wake-up stops both for ever.
 */
async function hunt(
  how: keyof typeof huntersOf,
  rounds: number,
  patience?: number,
): Promise<"done" | "stalled"> {
  using words = new Words();
  const code = huntersOf[how];
  const put = `
    ${code}
    const data = words();
    for (let i = 1; i <= ${rounds}; i++) {
      await until(data, 0);
      data[1] = i;
      Atomics.store(data, 0, 1);
      notify(data, 0);
    }
  `;
  const take = `
    ${code}
    const data = words();
    let sum = 0;
    for (let i = 1; i <= ${rounds}; i++) {
      await until(data, 1);
      sum += data[1];
      Atomics.store(data, 2, i);
      Atomics.store(data, 0, 0);
      notify(data, 0);
    }
    console.log(sum);
  `;
  // "await" of what is no promise takes a turn of the microtasks, and no more.
  await using putter = await Teller.start(put, [words.name]);
  await using taker = await Teller.start(take, [words.name]);
  const result = await progress(() => Atomics.load(words.data, 2), rounds, patience);
  if (result === "done") {
    assertEquals(await taker.line(), String(rounds * (rounds + 1) / 2));
    assertEquals((await putter.end()).code, 0);
  }
  return result;
}

const syncRounds = 30_000 * scale; // 300,000
Deno.test(`wait(): no wake-up is lost in ${syncRounds} rounds`, async () => {
  assertEquals(await hunt("sync", syncRounds), "done");
});

const asyncRounds = 10_000 * scale; // 100,000
Deno.test(`waitAsync(): no wake-up is lost in ${asyncRounds} rounds`, async () => {
  assertEquals(await hunt("async", asyncRounds), "done");
});

Deno.test("a waiter that loses wake-ups is caught by the same hunt: the control", async () => {
  assertEquals(await hunt("broken", 1_000_000, SHORT_PATIENCE), "stalled");
});

Deno.test("waitAsync(): 120 waits with random aborts lose no wake-up", async () => {
  // Each of 120 tasks takes tokens that another process gives, one notification for each token: a wait that
  // is aborted must not keep a notification that another one was to have.
  using words = new Words();
  const tokens = 3000 * scale;
  await using teller = await Teller.start(
    `
    const data = words();
    const isFinished = () => Atomics.load(data, 2) === 1;
    let given = 0;
    while (!isFinished()) {
      Atomics.add(data, 0, 1);
      notify(data, 0, 1);
      given++;
      // At the most some tokens ahead, so that the waiters must sleep.
      while (!isFinished() && given - Atomics.load(data, 1) > 8) {
        wait(data, 1, Atomics.load(data, 1), 1);
      }
    }
    console.log(given);
    `,
    [words.name],
  );
  const { data } = words;
  let taken = 0;
  let aborts = 0;
  const task = async (): Promise<void> => {
    while (!finished.signal.aborted) {
      const free = Atomics.load(data, 0);
      if (free > 0) {
        if (Atomics.compareExchange(data, 0, free, free - 1) !== free) continue;
        taken++;
        Atomics.add(data, 1, 1);
        notify(data, 1);
        // Where the other process is slow, more tokens are needed until enough was aborted.
        if (taken >= tokens && aborts > 120) finished.abort();
        continue;
      }
      const own = new AbortController();
      const signal = AbortSignal.any([own.signal, finished.signal]);
      const timer = Math.random() < 0.5
        ? setTimeout(() => own.abort("at random"), Math.random() * 4)
        : undefined;
      try {
        await waitAsync(data, 0, 0, undefined, { signal }).value;
      } catch (reason) {
        if (reason !== "at random" && !finished.signal.aborted) throw reason;
        aborts++;
      } finally {
        clearTimeout(timer);
      }
    }
  };
  const finished = new AbortController();
  const tasks = Promise.all(Array.from({ length: 120 }, task));
  const end = await progress(() => finished.signal.aborted ? Infinity : taken, Infinity);
  Atomics.store(data, 2, 1);
  assertEquals(end, "done");
  await tasks;
  assertEquals(await teller.line(), String(taken + data[0]));
});

// Here the kernel wakes the wait that came first, and that one ends for another reason before it hears of it.
for (
  const [what, end] of Object.entries({
    "is aborted": (_: SharedMemoryArray<"int32">, controller: AbortController) =>
      controller.abort(),
    "has its array closed": (sma: SharedMemoryArray<"int32">) => {
      // Without a new value, nobody could see that a wait whose memory is gone was woken.
      Atomics.store(sma.array!.data as Int32Array, 0, 1);
      sma.close();
    },
  })
) {
  Deno.test(`a wake-up of a waitAsync() that ${what} just then wakes the next process`, async () => {
    using words = new Words();
    using sma = words.attach();
    const data = sma.array!.data as Int32Array<ArrayBuffer>;
    const controller = new AbortController();
    const first = begun(waitAsync(data, 0, 0, undefined, controller));
    await untilWaiting({ pid: Deno.pid }, "async");
    await using next = await Teller.start(
      `console.log(wait(words(), 0, 0, ${60_000 * slowness}));`,
      [words.name],
    );
    await untilWaiting(next);
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(data));
    assertEquals(futexWake(BigInt(address), 1), 1);
    end(sma, controller);
    await assertRejects(() => first);
    assertEquals(await next.line(), "ok");
  });
}

Deno.test("waitAsync() is woken for its own word and segment only", async () => {
  using one = new Words();
  using other = new Words();
  const waiting = begun(waitAsync(one.data, 2, 0));
  assertEquals([notify(other.data, 2), notify(one.data, 3)], [0, 0]);
  assertEquals(notify(new Int32Array(one.data.buffer, 8), 0), 1);
  assertEquals(await waiting, "ok");
});
