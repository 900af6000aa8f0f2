// What `shm show` prints of each kind.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { NDArray, SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryBarrier, SharedMemoryLock } from "@shm/array/sync";
import { hang, startParty } from "../../helpers/barrier_helpers.ts";
import { segmentPath, until, withNames } from "../../helpers/helpers.ts";
import { runPython } from "../../helpers/python.ts";
import { idOf, Member } from "../../helpers/publish_helpers.ts";
import { command, shell } from "../../helpers/shell.ts";
import { inTerminal } from "../../helpers/terminal.ts";
import { everyTestWith, testWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command looks at segments");

const grid = (rows: number, columns: number): number[][] =>
  Array.from(
    { length: rows },
    (_, i) => Array.from({ length: columns }, (_, j) => i * columns + j),
  );

Deno.test("show prints the elements as the view prints itself", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "float32", name);
    const view = sma.create();
    view.assign([[1, 2.5, 3], [NaN, Infinity, -6]]);
    const expected = { code: 0, out: [view.toString()], err: [] };
    assertEquals(shell("show", name), expected);
    assertEquals(shell("show", segmentPath(name)), expected);
    assertEquals(shell("show", name, "--dtype", "float32", "--shape", "2,3"), expected);
    assertEquals(shell("show", segmentPath(name), "--dtype=<f4", "--shape=(2, 3)"), expected);
    // What the user says wins; an element type of the same size leaves the shape as it is.
    const bits = new NDArray(new Int32Array(view.data.buffer), { shape: [2, 3] });
    assertEquals(shell("show", name, "--dtype", "int32").out, [bits.toString()]);
    assertEquals(shell("show", name, "--shape", "3").out, ["[1.  2.5 3. ]"]);
    assertEquals(shell("show", `${name}[0:1]`, "--dtype", "uint8").out, ["[0]"]);
  });
});

Deno.test("show takes a layout as the segment describes it", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 3], "int16", name, null, {
      byteOffset: 10,
      stride: [-1, 2],
    });
    sma.create().assign(grid(2, 3));
    assertEquals(shell("show", name).out, ["[[0 1 2]\n [3 4 5]]"]);
    using anonymous = SharedMemoryArray.createAnonymous([2, 2], "bool");
    anonymous.array!.set(1, 1, true);
    assertEquals(shell("show", anonymous.name).out, ["[[False False]\n [False  True]]"]);
    anonymous.unlink();
  });
});

testWith("NumPy", "show checks what Python writes beside a segment", async () => {
  await withNames(async (name) => {
    using memory = SharedMemory.create(name, 24);
    new Uint8Array(memory.buf!).set([1, 2, 3]);
    const described = async (text: string): Promise<ReturnType<typeof shell>> => {
      const program =
        "import os, sys; os.setxattr(sys.argv[1], 'user.shm_array', sys.argv[2].encode())";
      await runPython(["-c", program, segmentPath(name), text]);
      return shell("show", `${name}[..., :3]`);
    };
    const right = '{"kind":"array","shape":[4,6],"dtype":"|u1"}';
    assertEquals((await described(right)).out[0].split("\n")[0], "[[1 2 3]");
    const none = [
      "",
      "no JSON",
      '{"kind":"array","shape":[-1],"dtype":"|u1"}',
      '{"kind":"ring","shape":[4,6],"dtype":"|u1","slots":2}',
      '{"kind":"array","shape":[4,6],"dtype":">u8"}',
    ];
    for (const text of none) {
      assertMatch((await described(text)).err[0], /nothing describes its 24 bytes/, text);
    }
    const tooLarge = [
      '{"kind":"array","shape":[5,5],"dtype":"|u1"}',
      '{"kind":"array","shape":[9007199254740991,9007199254740991],"dtype":"|u1"}',
      '{"kind":"array","shape":[2],"dtype":"<i4","layout":{"byteOffset":20,"stride":[4]}}',
      '{"kind":"array","shape":[2],"dtype":"<i4","layout":{"byteOffset":0,"stride":[-1]}}',
      '{"kind":"array","shape":[2],"dtype":"<i4","layout":{"byteOffset":2,"stride":[1]}}',
    ];
    for (const text of tooLarge) {
      assertMatch((await described(text)).err[0], /^Cannot show .* needs .* bytes/, text);
    }
  });
});

testWith("NumPy", "show prints what NumPy prints, for parts in NumPy's own words", async () => {
  await withNames(async (name) => {
    using sma = new SharedMemoryArray([6, 5, 4], "int32", name);
    sma.create().reshape([120]).assign(new Int32Array(120).map((_, i) => i * i - 50 * i));
    const parts = [
      "0",
      "-1",
      "0:5, ::2",
      "..., 0",
      "::-1, 1",
      "2, 3, 1",
      "None, 0",
      "1:3, ..., -2:",
      "0, np.newaxis, 1",
      "5:1:-2, 0",
    ];
    const program = `
import numpy as np, sys
a = np.fromfile(sys.argv[1], dtype="<i4").reshape(6, 5, 4)
for part in sys.argv[2:]:
    print(str(eval(f"a[{part}]")).replace("\\n", "|"))
`;
    const { stdout } = await runPython(["-c", program, segmentPath(name), ...parts]);
    for (const [i, expected] of stdout.trimEnd().split("\n").entries()) {
      const { code, out } = shell("show", `${name}[${parts[i]}]`);
      assertEquals([code, out.join("\n").replaceAll("\n", "|")], [0, expected], parts[i]);
    }
  });
});

Deno.test("show needs the permission to read only, and writes nothing", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(4, "uint8", name);
    sma.create().assign([1, 2, 3, 4]);
    Deno.chmodSync(segmentPath(name), 0o400);
    const before = Deno.statSync(segmentPath(name)).mtime;
    assertEquals(shell("show", name).out, ["[1 2 3 4]"]);
    assertEquals(Deno.statSync(segmentPath(name)).mtime, before);
  });
});

Deno.test("show says what is missing where nothing describes a segment", () => {
  withNames((name) => {
    using _memory = SharedMemory.create(name, 96);
    const { code, out, err } = shell("show", name);
    assertEquals([code, out], [1, []]);
    assertEquals(err, [
      `Cannot show '${name}': nothing describes its 96 bytes; say what they are: ` +
      "--dtype float32 --shape 480,640",
    ]);
    const large = shell("show", name, "--dtype", "float64", "--shape", "4x4");
    assertEquals(large.code, 1);
    assertMatch(large.err[0], /float64 of shape \[4, 4\] needs 128 bytes, and there are 96/);
  });
});

Deno.test("show fails for what is not there, and for indices that are out of bounds", () => {
  withNames((name) => {
    assertEquals(shell("show", name), {
      code: 1,
      out: [],
      err: [`Cannot show '${name}': there is no such segment`],
    });
    using _memory = SharedMemory.create(name, 8);
    assertEquals(shell("show", `${name}[8]`, "--dtype", "int8").code, 1);
    assertEquals(shell("show", `${name}[0, 0]`, "--dtype", "int8").code, 1);
    assertEquals(shell("show", `${name}[:3]`, "--dtype", "int8").out, ["[0 0 0]"]);
    const wrong: [string[], RegExp][] = [
      [[], /show wants the name of a segment/],
      [[name, "b"], /nothing to do with "b"/],
      [[`${name}[a]`], /"\[a\]" is no selection/],
      [[name, "--dtype", "float"], /--dtype is wrong/],
      [[name, "--shape", "a"], /--shape wants lengths/],
      [[name, "--json", "--picture"], /--picture and --json exclude each other/],
      [[name, "--dytpe", "int8"], /did you mean --dtype\?/],
    ];
    for (const [args, message] of wrong) {
      const { code, out, err } = shell("show", ...args);
      assertEquals([code, out, err.length], [2, [], 1]);
      assertMatch(err[0], message);
    }
  });
});

Deno.test("show --json gives what JSON has no number for as texts", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray([2, 2], "float64", name);
    sma.create().assign([[1.5, NaN], [-Infinity, 2]]);
    const { code, out } = shell("show", name, "--json");
    assertEquals([code, JSON.parse(out.join("\n"))], [0, {
      name,
      kind: "array",
      shape: [2, 2],
      dtype: "float64",
      values: [[1.5, "NaN"], ["-Infinity", 2]],
    }]);
    const long = shell("show", name, "--dtype=int64", "--json").out.join("\n");
    assertEquals(JSON.parse(long).values[0][0], String(new BigInt64Array(sma.smh!.buf!)[0]));
    assertEquals(JSON.parse(shell("show", `${name}[0, 0]`, "--json").out[0]).values, 1.5);
  });
});

Deno.test("show --json refuses more elements than anybody reads", () => {
  withNames((name) => {
    using _memory = SharedMemory.create(name, 2 ** 20 + 1);
    const { code, err } = shell("show", name, "--dtype", "int8", "--json");
    assertEquals(code, 1);
    assertMatch(err[0], /Cannot write 1048577 elements as JSON/);
    assertMatch(err[0], /take a part/);
  });
});

Deno.test("show shows the newest frame of a ring", () => {
  withNames((name) => {
    using ring = new SharedMemoryRing([2, 3], "uint8", name, 4);
    ring.create();
    assertEquals(shell("show", name).out, [
      "Ring of 4 slots, uint8 [2,3], without a writer now",
      "No frame yet",
    ]);
    for (let i = 1; i <= 9; i++) ring.write(i);
    ring.write(grid(2, 3));
    const { code, out, err } = shell("show", name);
    assertEquals([code, err], [0, []]);
    assertEquals(out[0], `Ring of 4 slots, uint8 [2,3], written by deno:${Deno.pid}`);
    assertMatch(out[1], /^Frame 10(, .* old)?, 0 skipped$/);
    assertEquals(out[2], "[[0 1 2]\n [3 4 5]]");
    assertEquals(shell("show", `${name}[:, 1]`).out[2], "[1 4]");
    assertEquals(shell("show", name, "--shape", "6").out[2], "[0 1 2 3 4 5]");
    const facts = JSON.parse(shell("show", name, "--json").out.join("\n"));
    const { ageMs, ...rest } = facts;
    assert(ageMs === null || ageMs >= 0);
    assertEquals(rest, {
      name,
      kind: "ring",
      shape: [2, 3],
      dtype: "uint8",
      slots: 4,
      writer: { pid: Deno.pid, program: "deno" },
      ended: false,
      sequence: 10,
      skipped: 0,
      values: grid(2, 3),
    });
    ring.end();
    assertMatch(shell("show", name).out[0], /, ended$/);
    const bad = shell("show", name, "--shape", "3,3");
    assertMatch(bad.err[0], /\[3, 3\] needs 9 bytes, and its arrays have 6/);
  });
});

Deno.test("show takes whole frames from a writer at work, and says what it skipped", async () => {
  await withNames(async (name) => {
    const writer = await Member.start(`
      using ring = new SharedMemoryRing(100_000, "int32", ${JSON.stringify(name)}, 2).create();
      ring.write(0);
      say("up");
      for (let end = Date.now() + 60_000, n = 1; Date.now() < end; n++) ring.write(n);
    `);
    try {
      await writer.line();
      for (let i = 0; i < 20; i++) {
        const { code, out, err } = shell("show", `${name}[::1000]`, "--json");
        assertEquals([code, err], [0, []]);
        const { sequence, values, writer: { pid } } = JSON.parse(out.join("\n"));
        assertEquals(pid, writer.pid);
        assertEquals(values, new Array(100).fill(sequence - 1));
      }
    } finally {
      await writer.kill();
    }
    assertMatch(shell("show", name).out[0], /without a writer now/);
  });
});

Deno.test("show and watch tell the age of the newest frame and version to the millisecond", async () => {
  await withNames(async (name) => {
    using ring = new SharedMemoryRing([2], "uint8", name, 2, { metaBytes: 20 }).create();
    using table = new SharedMemoryVersions([2], "uint8", `${name}-t`).create();
    ring.write(1, "meta");
    await table.publish(() => {});
    for (
      const [each, { timestamp }] of [[ring, ring.latest()!], [table, table.current()!]] as const
    ) {
      for (const args of [["show", "--json"], ["watch", "--json", "--count=1"]]) {
        const least = Math.floor(Date.now() - timestamp - 1);
        const { ageMs } = JSON.parse(shell(...args, each.name).out.join("\n"));
        const most = Math.ceil(Date.now() - timestamp + 1);
        assert(Number.isInteger(ageMs) && ageMs >= least && ageMs <= most, `${ageMs} ${least}`);
      }
    }
    table.unlink();
  });
});

Deno.test("show shows the current version, and its age", async () => {
  await withNames(async (name) => {
    using table = new SharedMemoryVersions([2, 2], "int64", name).create();
    assertEquals(shell("show", name).out.at(-1), "No version yet");
    await table.publish((next) => void next.fill(1n));
    await table.publish((next) => void next.fill(2n ** 60n));
    const { code, out, err } = shell("show", name);
    assertEquals([code, err], [0, []]);
    assertEquals(out[0], `Versions, int64 [2,2], written by deno:${Deno.pid}`);
    assertMatch(out[1], /^Version 2, \d+(\.\d)?m?s old, 0 skipped$/);
    assertEquals(
      out[2],
      new NDArray(new BigInt64Array(4).fill(2n ** 60n), { shape: [2, 2] }).toString(),
    );
    const facts = JSON.parse(shell("show", name, "--json").out.join("\n"));
    assertEquals([facts.version, facts.values.length], [2, 2]);
    Deno.removeSync(segmentPath(`${name}.${idOf(name)}.v2`));
    assertEquals(shell("show", name).code, 1);
    table.unlink();
  });
});

Deno.test("show tells who holds a lock, and who waits", async () => {
  await withNames(async (name) => {
    using lock = new SharedMemoryLock(name).create();
    assertEquals(shell("show", name).out, ["Lock, free", "Waiting: nobody", "Mapped by: nobody"]);
    const guard = lock.acquire();
    assertEquals(shell("show", name).out[0], `Lock, held by deno:${Deno.pid}`);
    const shellFlock = new Deno.Command("flock", { args: [segmentPath(name), "true"] }).spawn();
    await until(
      "flock waits",
      () => shell("show", name).out[1] === `Waiting: flock:${shellFlock.pid}`,
    );
    const facts = JSON.parse(shell("show", name, "--json").out.join("\n"));
    assertEquals(facts, {
      name,
      kind: "lock",
      holders: [{ pid: Deno.pid, program: "deno" }],
      shared: false,
      waiters: [{ pid: shellFlock.pid, program: "flock" }],
      waiting: true,
      abandoned: false,
      mappedBy: [],
    });
    guard.release();
    assertEquals((await shellFlock.status).code, 0);
    const url = new URL("../../../src/sync/mod.ts", import.meta.url).href;
    const holder = await Member.start(`
      const { SharedMemoryLock } = await import(${JSON.stringify(url)});
      const lock = new SharedMemoryLock(${JSON.stringify(name)}).load();
      globalThis.guard = lock.acquire();
      say("held");
      await new Promise((resume) => setTimeout(resume, 60_000));
    `);
    try {
      await holder.line();
      const waiting = lock.acquireAsync();
      await until(
        "somebody is announced",
        () => shell("show", name).out[1] === "Waiting: somebody",
      );
      assertEquals(shell("show", name).out[0], `Lock, held by deno:${holder.pid}`);
      assertEquals(shell("show", name).out[2], `Mapped by: deno:${holder.pid}`);
      await holder.kill();
      const after = await waiting;
      assertEquals(after.abandoned, true);
      after.release();
    } catch (error) {
      await holder.kill();
      throw error;
    }
    assertMatch(shell("show", `${name}[0]`).err[0], /it is a lock, which has no elements/);
    assertMatch(shell("show", name, "--picture").err[0], /it is a lock, which has no elements/);
    assertEquals(shell("show", name, "--dtype", "int32").code, 0);
  });
});

Deno.test("show tells who holds a lock shared", async () => {
  await withNames(async (name) => {
    using lock = new SharedMemoryLock(name).create();
    using other = SharedMemoryLock.from(lock).load();
    const guards = [lock, lock, other].map((lock) => lock.acquire({ shared: true }));
    assertEquals(shell("show", name).out.slice(0, 2), [
      `Lock, held shared by deno:${Deno.pid}`,
      "Waiting: nobody",
    ]);
    const flock = new Deno.Command("flock", {
      args: ["-s", segmentPath(name), "sh", "-c", "read line"],
      stdin: "piped",
    }).spawn();
    await until("two that read", () => shell("show", name).out[0].includes("flock:"));
    const facts = JSON.parse(shell("show", name, "--json").out.join("\n"));
    assertEquals([facts.shared, facts.holders.length, facts.abandoned], [true, 2, false]);
    const writing = other.acquireAsync();
    const waiting = lock.acquireAsync({ shared: true });
    assertEquals(shell("show", name).out[1], "Waiting: somebody");
    for (const guard of guards) guard.release();
    await flock.stdin.close();
    await flock.status;
    (await writing).release();
    (await waiting).release();
    assertEquals(shell("show", name).out, ["Lock, free", "Waiting: nobody", "Mapped by: nobody"]);
    // What a writer leaves that dies, its readers do not mend.
    using memory = SharedMemory.open(name);
    new Int32Array(memory.buf!)[2] = 1;
    using _guard = lock.acquire({ shared: true });
    assertEquals(
      shell("show", name).out[0],
      `Lock, held shared by deno:${Deno.pid}, abandoned by the last holder before`,
    );
    assertEquals(JSON.parse(shell("show", name, "--json").out.join("\n")).abandoned, true);
    assertEquals(
      JSON.parse(shell("watch", name, "--count", "1", "--json").out.join("\n")).shared,
      true,
    );
  });
});

Deno.test("show says that the last holder of a lock ended without giving it back", async () => {
  await withNames(async (name) => {
    using _lock = new SharedMemoryLock(name).create();
    const url = new URL("../../../src/sync/mod.ts", import.meta.url).href;
    const holder = await Member.start(`
      const { SharedMemoryLock } = await import(${JSON.stringify(url)});
      globalThis.guard = new SharedMemoryLock(${JSON.stringify(name)}).load().acquire();
      say("held");
      await new Promise((resume) => setTimeout(resume, 60_000));
    `);
    await holder.line();
    await holder.kill();
    assertEquals(shell("show", name).out[0], "Lock, free, abandoned by its last holder");
  });
});

Deno.test("show tells the counts of a queue, and who holds what", async () => {
  await withNames(async (name) => {
    using queue = new SharedMemoryQueue(name, 8).create();
    for (let i = 0; i < 4; i++) queue.put({ tile: i });
    queue.take()!.complete();
    using _mine = queue.take()!;
    const url = new URL("../../../src/queue/mod.ts", import.meta.url).href;
    const taker = await Member.start(`
      const { SharedMemoryQueue } = await import(${JSON.stringify(url)});
      globalThis.queue = new SharedMemoryQueue(${JSON.stringify(name)}, 8).load();
      globalThis.item = queue.take();
      say("taken");
      setTimeout(() => {}, 60_000);
    `);
    try {
      await taker.line();
      const { code, out, err } = shell("show", name);
      assertEquals([code, err], [0, []]);
      assertEquals(out.slice(0, 3), [
        "Queue of 8 slots",
        "Slots: 5 free, 0 filling, 1 waiting, 2 taken, 0 answered",
        "Items: 4 put, 1 completed, 0 failed",
      ]);
      assertMatch(out[3], new RegExp(`^Slot \\d: taken \\S+ ago by deno:${Deno.pid}, attempt 1$`));
      assertMatch(out[4], new RegExp(`^Slot \\d: taken \\S+ ago by deno:${taker.pid}, attempt 1$`));
      assertEquals(out[5], `Mapped by: deno:${taker.pid}`);
      const facts = JSON.parse(shell("show", name, "--json").out.join("\n"));
      assertEquals([facts.kind, facts.slots, facts.waiting, facts.put], ["queue", 8, 1, 4]);
      assertEquals(facts.holders.map(({ taker }: { taker: unknown }) => taker), [
        { pid: Deno.pid, program: "deno" },
        { pid: taker.pid, program: "deno" },
      ]);
      // What it shows, it shows without taking part.
      assertEquals(queue.counts().waiting, 1);
    } finally {
      await taker.kill();
    }
    queue.end();
    assertEquals(shell("show", name).out[0], "Queue of 8 slots, ended");
    assertMatch(shell("show", `${name}[0]`).err[0], /it is a queue, which has no elements/);
    using memory = SharedMemory.open(name);
    new Int32Array(memory.buf!)[2] = 4096;
    assertMatch(shell("show", name).err[0], /less than its slots need/);
  });
});

Deno.test("show tells the generation of a barrier, and who has which seat", async () => {
  await withNames(async (name) => {
    using barrier = new SharedMemoryBarrier(name, 4).create();
    assertEquals(shell("show", name), {
      code: 0,
      out: [
        "Barrier of 4 parties, generation 0",
        "Seats: 0 taken, 0 of them have come, 0 dead, 4 never taken",
        "Mapped by: nobody",
      ],
      err: [],
    });
    barrier.load();
    const party = await startParty(
      barrier,
      `barrier.meetAsync({ patient: true }).catch(() => {}); ${hang}`,
    );
    try {
      await party.line();
      const dead = await startParty(barrier, hang);
      try {
        await dead.line();
      } finally {
        await dead.kill();
      }
      assertEquals(shell("show", name).out, [
        "Barrier of 4 parties, generation 0",
        "Seats: 2 taken, 1 of them have come, 1 dead, 1 never taken",
        `Seat 0: deno:${Deno.pid}`,
        `Seat 1: deno:${party.pid}, has come`,
        "Seat 2: its party has ended; a replacement must load",
        `Mapped by: deno:${party.pid}`,
      ]);
      const facts = JSON.parse(shell("show", name, "--json").out.join("\n"));
      assertEquals([facts.kind, facts.parties, facts.generation], ["barrier", 4, 0]);
      assertEquals(facts.seats, [
        { seat: 0, party: { pid: Deno.pid, program: "deno" }, come: false, dead: false },
        { seat: 1, party: { pid: party.pid, program: "deno" }, come: true, dead: false },
        { seat: 2, party: null, come: false, dead: true },
      ]);
      // A number in the segment is believed only if the kernel says the same.
      using memory = SharedMemory.open(name);
      new Int32Array(memory.buf!)[(192 + 8) / 4] = party.pid;
      assertEquals(shell("show", name).out[2], "Seat 0: a process that cannot be seen");
      assertMatch(shell("show", `${name}[0]`).err[0], /it is a barrier, which has no elements/);
      new Int32Array(memory.buf!)[2] = 4096;
      assertMatch(shell("show", name).err[0], /less than its seats need/);
      new Int32Array(memory.buf!)[2] = 5000;
      assertMatch(shell("show", name).err[0], /its word PARTIES is 5000/);
      assertMatch(shell("ls").out.join("\n"), new RegExp(`${name} +barrier `));
    } finally {
      await party.kill();
    }
  });
});

Deno.test("show refuses words that cannot be", () => {
  withNames((name) => {
    using ring = new SharedMemoryRing(4, "uint8", name, 4).create();
    ring.write(1);
    using memory = SharedMemory.open(name);
    const words = new DataView(memory.buf!);
    const cases: [at: number, value: bigint, message: RegExp][] = [
      [16, 2n ** 40n, /SLOT_STEP|bytes/],
      [64, -1n, /NEWEST/],
      [32, 8n, /SLOT_STEP/],
      [8, 0x41n, /DTYPE/],
      [24, 2n ** 31n, /less than its slots need/],
    ];
    for (const [at, value, message] of cases) {
      const before = words.getBigInt64(at, true);
      words.setBigInt64(at, value, true);
      const { code, err } = shell("show", name);
      assertEquals(code, 1);
      assertMatch(err[0], message);
      words.setBigInt64(at, before, true);
    }
  });
});

Deno.test("show does not let a name move the cursor", () => {
  const name = `test-\x1b[2J-${crypto.randomUUID()}`;
  const { err } = shell("show", name);
  assertEquals(err.filter((line) => /\p{Cc}/u.test(line)), []);
  assertMatch(err[0], /\\u\{1b\}\[2J/);
});

Deno.test("show --picture in a pipe draws with characters, 80 columns wide", async () => {
  await withNames(async (name) => {
    using sma = new SharedMemoryArray([100, 200], "uint8", name);
    const view = sma.create();
    view.slice(":", "100:").fill(255);
    const { code, out, err } = await command(
      ["show", name, "--picture"],
    );
    assertEquals([code, err], [0, ""]);
    assertEquals(out, `${" ".repeat(40)}${"@".repeat(40)}\n`.repeat(20));
  });
});

testWith("NumPy", "show --picture in a terminal draws half blocks that fit", async () => {
  await withNames(async (name) => {
    using sma = new SharedMemoryArray([4, 4], "float32", name);
    sma.create().assign(grid(4, 4));
    const args = ["show", name, "--picture"];
    const direct = await inTerminal(args, { env: { COLORTERM: "truecolor" } });
    assertEquals(direct.code, 0);
    // 24 lines, of which 3 are for the legend and the next command: 10 pixels for each element.
    assertEquals(direct.lines, [
      ...new Array(20).fill("▀".repeat(40)),
      "black is 0, white is 15",
    ]);
    assert(
      direct.raw.startsWith("\x1b[48;2;0;0;0;38;2;0;0;0m▀▀▀▀▀▀▀▀▀▀\x1b[48;2;17;17;17;38;2;17"),
    );
    const few = await inTerminal(args);
    assertEquals(few.lines, direct.lines);
    assert(few.raw.startsWith("\x1b[48;5;16;38;5;16m▀▀▀▀▀▀▀▀▀▀"));
    const none = await inTerminal(args, { env: { NO_COLOR: "1" } });
    assertEquals(none.raw, none.lines.join("\n") + "\n");
    assertEquals(none.lines.at(-1), "black is 0, white is 15");
    assertEquals(none.lines[19].at(-1), "@");
    const narrow = await inTerminal(args, { columns: 9, env: { TERM: "dumb" } });
    assertEquals(narrow.lines.length, 5);
  });
});

testWith("NumPy", "show in a terminal of 80 columns", async () => {
  await withNames(async (name) => {
    using ring = new SharedMemoryRing([2, 3], "uint8", name, 4);
    ring.create();
    ring.write(grid(2, 3));
    const { raw, lines, code } = await inTerminal(["show", name]);
    assertEquals(code, 0);
    assertEquals(lines[0], `Ring of 4 slots, uint8 [2,3], written by deno:${Deno.pid}`);
    assertEquals(lines.slice(2), ["[[0 1 2]", " [3 4 5]]"]);
    assert(raw.startsWith(`\x1b[2mRing of 4 slots`), raw);
    assert(raw.includes("\x1b[1mFrame 1, "), raw);
    const plain = await inTerminal(["show", name], { env: { NO_COLOR: "1" } });
    assertEquals(plain.raw, plain.lines.join("\n") + "\n");
    assertEquals(plain.lines[0], lines[0]);
  });
});
