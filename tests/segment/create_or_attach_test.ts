// createOrLoad() of every kind: who comes first makes it, and all others attach. Races are run between processes,
// which are killed meanwhile.

import { assert, assertEquals, assertFalse, assertGreater, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray, slice } from "../../mod.ts";
import { SharedMemoryRing, SharedMemoryVersions } from "../../src/publish/mod.ts";
import { notify, SharedMemoryLock } from "../../src/sync/mod.ts";
import {
  descriptorsOf,
  evalChild,
  mappingsOf,
  runChild,
  segmentExists,
  segmentPath,
  startChild,
  uniqueName,
  until,
  withNames,
} from "../helpers/helpers.ts";
import { withPrefix } from "../helpers/leftovers.ts";
import { publishUrl } from "../helpers/publish_helpers.ts";
import { scale } from "../helpers/scale.ts";
import { atCall } from "../helpers/seccomp.ts";
import { syncUrl } from "../helpers/sync.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and kills by seccomp");

/** Makes an instance of each kind. */
const kinds = {
  array: (name: string) => new SharedMemoryArray([4], "int32", name),
  lock: (name: string) => new SharedMemoryLock(name),
  ring: (name: string) => new SharedMemoryRing([4], "int32", name, 3),
  versions: (name: string) => new SharedMemoryVersions([4], "int32", name),
};

/** The same for other processes. */
const imports = `
  const { SharedMemoryLock, wait } = await import(${JSON.stringify(syncUrl)});
  const { SharedMemoryRing, SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
  const kinds = {
    array: (name) => new SharedMemoryArray([4], "int32", name),
    lock: (name) => new SharedMemoryLock(name),
    ring: (name) => new SharedMemoryRing([4], "int32", name, 3),
    versions: (name) => new SharedMemoryVersions([4], "int32", name),
  };
`;

// --- One after another -----------------------------------------------------------------------

for (const [kind, make] of Object.entries(kinds)) {
  Deno.test(`createOrLoad() of ${kind}: the first is the creator, the second is not`, () =>
    withNames((name) => {
      using first = make(name);
      using second = make(name);
      assertEquals([first.isCreator, second.isCreator], [null, null]);
      first.createOrLoad({ mode: 0o640 });
      second.createOrLoad({ mode: 0o600 });
      assertEquals([first.isCreator, second.isCreator], [true, false]);
      assertEquals(Deno.statSync(segmentPath(name)).mode! & 0o777, 0o640);
      assertFalse(Object.hasOwn(first, "isCreator"));
      assertFalse("isCreator" in JSON.parse(JSON.stringify(first)));
      assertThrows(() => first.createOrLoad(), Deno.errors.Busy, "Cannot create or load");
      first.close();
      assertEquals(first.isCreator, null);
      first.createOrLoad();
      assertEquals(first.isCreator, false, "it was there");
      first.close();
      first.load();
      assertEquals(first.isCreator, false);
      first.unlink();
      second.close();
      second.create();
      assertEquals(second.isCreator, true);
      second.unlink();
      assertEquals(descriptorsOf(name), kind === "array" ? 0 : 2);
    }));

  Deno.test(`createOrLoad() of ${kind} refuses the name of an anonymous segment, before any look`, () => {
    using anonymous = SharedMemoryArray.createAnonymous([4], "int32");
    using one = make(anonymous.name);
    assertThrows(() => one.createOrLoad(), RangeError, "lead to anonymous segments");
    using gone = make("memfd:1:2:3");
    assertThrows(() => gone.createOrLoad(), RangeError, "lead to anonymous segments");
    anonymous.unlink();
  });

  Deno.test(`createOrLoad() of ${kind} compares as load() does, and leaves what it refuses as it is`, () =>
    withNames((name) => {
      const other = kind === "lock"
        ? new SharedMemoryRing(1, "int8", name, 2)
        : new SharedMemoryLock(name);
      other.create();
      const before = Deno.readFileSync(segmentPath(name));
      using one = make(name);
      assertThrows(() => one.createOrLoad(), TypeError, "the segment is that of");
      assertEquals(one.isCreator, null);
      assertEquals(Deno.readFileSync(segmentPath(name)), before);
      other.close();
      assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 0]);
    }));

  Deno.test(`createOrLoad() of ${kind} waits for a segment without a size, and makes the next where it is removed`, () =>
    withNames(async (name) => {
      using one = make(name);
      Deno.writeFileSync(segmentPath(name), new Uint8Array());
      const child = await startChild(
        `await new Promise((resume) => setTimeout(resume, 300));
        Deno.removeSync(Deno.args[0]);`,
        { args: [segmentPath(name)] },
      );
      one.createOrLoad({ timeout: 60_000 });
      assertEquals(one.isCreator, true);
      assert((await child.output()).success);
      assert(one.unlink());
    }));
}

Deno.test("createAnonymous(), attach() and from() say whether they have made the segment", () =>
  withNames((name) => {
    using anonymous = SharedMemoryArray.createAnonymous(2, "int8");
    using loaded = SharedMemoryArray.from(anonymous);
    assertEquals([anonymous.isCreator, loaded.isCreator], [true, null]);
    loaded.load();
    assertEquals([loaded.isCreator, SharedMemoryArray.clone(anonymous).isCreator], [false, null]);
    anonymous.unlink();
    using sma = new SharedMemoryArray(2, "int8", name);
    sma.create();
    using attached = SharedMemoryArray.attach(name);
    assertEquals([sma.isCreator, attached.isCreator], [true, false]);
    sma.smh!.close();
    assertEquals(sma.isCreator, null);
  }));

Deno.test("createOrLoad() of an array gives what load() gives, to the creator as well", () =>
  withNames((name) => {
    using part = new SharedMemoryArray([4, 3], "float32", name, [slice(1, 3), 0]);
    const rows = part.createOrLoad();
    assertEquals([part.isCreator, rows.shape], [true, [2]]);
    assertEquals(part.array!.toArray(), [0, 0]);
    using whole = new SharedMemoryArray([4, 3], "float32", name);
    whole.createOrLoad().assign([[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]]);
    assertEquals(rows.toArray(), [2, 3]);
    assertEquals(SharedMemoryArray.list().find((each) => each.name === name)?.shape, [4, 3]);
    using other = new SharedMemoryArray([3, 4], "float32", name);
    assertThrows(() => other.createOrLoad(), RangeError, "described as shape [4, 3]");
    assertEquals(other.createOrLoad({ reinterpret: true }).get(2, 3), 4);
    using large = new SharedMemoryArray([400], "float32", name);
    assertThrows(() => large.createOrLoad({ reinterpret: true }), RangeError, "has 48 bytes");
    assertEquals([other.isCreator, large.isCreator], [false, null]);
    assertEquals(mappingsOf(name), 3);
  }));

Deno.test("createOrLoad() takes the options of create() and load()", () =>
  withNames((name, sparse) => {
    using plain = new SharedMemoryArray([2], "int16", name);
    plain.createOrLoad({ describe: false, access: "copy-on-write", timeout: 5 }).fill(7);
    assertEquals(SharedMemoryArray.list().find((each) => each.name === name)?.kind, null);
    using other = new SharedMemoryArray([2], "int16", name);
    assertEquals(other.createOrLoad().toArray(), [0, 0], "what the first one wrote is its own");
    using large = new SharedMemoryArray([2 ** 22], "uint8", sparse);
    large.createOrLoad({ reserve: false });
    assertEquals(Deno.statSync(segmentPath(sparse)).blocks, 0);
    assertEquals([plain.isCreator, other.isCreator, large.isCreator], [true, false, true]);
  }));

Deno.test("createOrLoad() checks its options before it looks for a segment", () => {
  const never = SharedMemoryArray.buildSmaName();
  const wrong: [typeof TypeError, string, object][] = [
    [TypeError, 'Cannot create or load: there is no option "size"', { size: 1 }],
    [TypeError, "timeout must be a number", { timeout: "1" }],
    [RangeError, "timeout", { timeout: -1 }],
    [RangeError, "mode must be from 0 to 0o777", { mode: 0o1000 }],
    [TypeError, "mode must be a number", { mode: "644" }],
    [TypeError, "describe must be a boolean", { describe: 1 }],
  ];
  for (const make of Object.values(kinds)) {
    for (const [kind, message, options] of wrong) {
      assertThrows(() => make(never).createOrLoad(options), kind, message);
    }
  }
  const sma = kinds.array(never);
  assertThrows(() => sma.createOrLoad({ access: "read" } as never), RangeError, "access must be");
  assertThrows(() => sma.createOrLoad(null as never), TypeError, "must be an object, not null");
  assertFalse(segmentExists(never));
});

Deno.test("createOrLoad() of a segment that never gets a size ends in bounded time", () =>
  withNames((name) => {
    Deno.writeFileSync(segmentPath(name), new Uint8Array());
    assertThrows(
      () => kinds.array(name).createOrLoad(),
      RangeError,
      "its creator has not set one",
    );
    assert(segmentExists(name), "nobody removes what may be somebody's");
  }));

Deno.test("a lock that was made anew under its name was not made by an instance that goes over to it", () =>
  withNames((name) => {
    using mine = new SharedMemoryLock(name).createOrLoad();
    Deno.removeSync(segmentPath(name));
    using next = new SharedMemoryLock(name).createOrLoad();
    mine.acquire().release();
    assertEquals([mine.isCreator, next.isCreator], [false, true]);
  }));

testWith(
  "namespaces",
  "createOrLoad() says at once that there is no /dev/shm, or no room",
  async () => {
    const told = await evalChild(
      `const code = (length) => {
      try { new SharedMemoryArray(length, "uint8", "x").createOrLoad(); }
      catch (error) { return [error.code, error.message]; }
    };
    console.log(JSON.stringify([code(100), code(2 ** 22)]));`,
      {
        before: inNamespaces(
          "--mount",
          "mount -t tmpfs none /mnt && touch /mnt/null /mnt/urandom && " +
            "mount --bind /dev/null /mnt/null && mount --bind /dev/urandom /mnt/urandom && " +
            "mount --rbind /mnt /dev",
        ),
      },
    ) as [string, string][];
    for (const [code, message] of told) {
      assertEquals(code, "ENOENT");
      assert(message.includes("there is no /dev/shm"), message);
    }
    const full = await evalChild(
      `const told = [];
    using most = new SharedMemoryArray(7 * 2 ** 20, "uint8", "most");
    most.createOrLoad();
    for (const length of [2 ** 22, 2 ** 20 + 4096]) {
      try { new SharedMemoryArray(length, "uint8", "x").createOrLoad(); }
      catch (error) { told.push(error.code); }
    }
    console.log(JSON.stringify([told, [...Deno.readDirSync("/dev/shm")].length]));`,
      { before: inNamespaces("--mount", "mount -t tmpfs -o size=8m tmpfs /dev/shm") },
    );
    assertEquals(full, [["ENOSPC", "ENOSPC"], 1]);
  },
);

// --- Killed creators -------------------------------------------------------------------------

/** Runs a process that is killed at a system call. */
async function kill(code: string, call: string, name: string, refused: readonly string[] = []) {
  const { signal, stderr } = await runChild(
    `${imports}${atCall}
    const [call, name, ...refused] = Deno.args;
    for (const each of refused) atCall(each, 1);
    atCall(call, "kill");
    ${code};`,
    { args: [call, name, ...refused], before: "ulimit -c 0" },
  );
  assertEquals(signal, "SIGSYS", `${call}: ${stderr}`);
}

/** The segments whose names `buildSmaName` made with a prefix. */
const namesWith = (prefix: string): string[] =>
  SharedMemoryArray.list().filter((each) => each.prefix === prefix).map(({ name }) => name);

for (const [kind, make] of Object.entries(kinds)) {
  Deno.test(`createOrLoad() of ${kind} after one that was killed at any step is the creator`, () =>
    withPrefix(async (prefix) => {
      const name = SharedMemoryArray.buildSmaName(prefix);
      const code = `kinds.${kind}(name).createOrLoad({ mode: 0o640 })`;
      const steps = ["openat of a nameless file", "fsetxattr", "fchmod", "fallocate", "linkat"];
      for (const step of kind === "array" ? steps : [...steps, "pwrite64"]) {
        await kill(code, step, name);
        assertEquals(namesWith(prefix), [], step);
        using one = make(name);
        one.createOrLoad();
        assertEquals(one.isCreator, true, step);
        assert(one.unlink());
      }
      // Where nameless files are refused, it leaves what prune() removes.
      for (
        const [refused, step] of [["linkat", "renameat2"], [
          "openat of a nameless file",
          "fallocate",
        ]]
      ) {
        await kill(code, step, name, [refused]);
        using one = make(name);
        one.createOrLoad();
        assertEquals(one.isCreator, true, step);
        assert(one.unlink());
        assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }).length, 1, step);
      }
    }));
}

// What createOrLoad() does is more than this, which its users would write:
Deno.test("create(), or else load(), fails after a creator that was killed", () =>
  withNames(async (name) => {
    await kill("kinds.array(name).create()", "fallocate", name);
    const createElseLoad = () => {
      using one = kinds.array(name);
      try {
        one.create();
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        one.load();
      }
    };
    assertThrows(createElseLoad, RangeError, "its size is 0 bytes");
  }));

// --- All at once -----------------------------------------------------------------------------

const PROCESSES = 16;

/** The words by which the test leads its processes. Those of one process stand at AT + its number. */
const [ROUND, STOP, GO_AT, DONE_AT, RESULT_AT] = [0, 1, 16, 32, 48];
const READY = -1;
const [ATTACHED, CREATED, FAILED] = [1, 2, 3];

/** Takes part in the rounds of {@linkcode race}. */
const member = `${imports}
  const [control, base, number, how] = Deno.args;
  const i = Number(number);
  using words = new SharedMemoryArray([64], "int32", control);
  const { data } = words.load();
  const hows = {
    createOrLoad: (one) => one.createOrLoad(),
    // What a user would write.
    loadElseCreate: (one) => {
      try { one.load(); } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        one.create();
        return true;
      }
    },
  };
  let round = Atomics.load(data, ${ROUND});
  Atomics.store(data, ${DONE_AT} + i, ${READY});
  for (let idle = 0; idle < 600 && Atomics.load(data, ${STOP}) === 0;) {
    if (wait(data, ${ROUND}, round, 100) === "timed-out") { idle++; continue; }
    idle = 0;
    const next = Atomics.load(data, ${ROUND});
    if (next === round) continue; // The wake-up came after this member had seen the round.
    round = next;
    if (Atomics.load(data, ${GO_AT} + i) !== round) continue;
    const name = base + "-" + round;
    let result;
    try {
      using one = kinds[Object.keys(kinds)[round % 4]](name);
      const made = hows[how](one);
      result = how === "createOrLoad" ? (one.isCreator ? ${CREATED} : ${ATTACHED}) : made === true ? ${CREATED} : ${ATTACHED};
    } catch (error) {
      console.log(round + ": " + error.stack);
      result = ${FAILED};
    }
    Atomics.store(data, ${RESULT_AT} + i, result);
    Atomics.store(data, ${DONE_AT} + i, round);
  }
`;

/** What the rounds of a race have shown. */
interface Race {
  /** How many processes took part, summed over all rounds. */
  took: number;
  /** Rounds in which not exactly one of those that lived was the creator, although none was killed, or more than one. */
  wrong: string[];
  /** How many times somebody failed. */
  failed: number;
  /** What the members printed. */
  printed: string[];
  /** How many members were killed, and in how many rounds the creator was among them. */
  killed: number;
  orphaned: number;
}

/** Lets 16 processes do the same at once, in rounds with a name each. */
async function race(
  how: "createOrLoad" | "loadElseCreate",
  rounds: number,
  disturb: { killEvery: number; removeEvery: number },
): Promise<Race> {
  const base = uniqueName();
  const found: Race = { took: 0, wrong: [], failed: 0, printed: [], killed: 0, orphaned: 0 };
  using control = new SharedMemoryArray([64], "int32", `${base}-control`);
  const { data } = control.create();
  const at = (word: number): number => Atomics.load(data, word);
  const children: Deno.ChildProcess[] = [];
  const outputs: Promise<void>[] = [];
  const start = async (i: number): Promise<void> => {
    Atomics.store(data, DONE_AT + i, 0);
    const child = await startChild(member, { args: [control.name, base, String(i), how] });
    children[i] = child;
    outputs.push(
      child.output().then(({ stdout, stderr }) => {
        const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        if (text !== "") found.printed.push(text);
      }),
    );
  };
  const all = Array.from({ length: PROCESSES }, (_, i) => i);
  try {
    await Promise.all(all.map(start));
    await until("all members are there", () => all.every((i) => at(DONE_AT + i) === READY));
    // The control ends when somebody has failed.
    const isFound = (): boolean => how === "loadElseCreate" && found.failed > 0;
    for (let round = 1; round <= rounds && !isFound(); round++) {
      const name = `${base}-${round}`;
      const team = all.filter((i) => at(DONE_AT + i) !== 0);
      for (const i of team) Atomics.store(data, GO_AT + i, round);
      Atomics.store(data, ROUND, round);
      notify(data, ROUND, PROCESSES);
      let victim = -1;
      if (disturb.killEvery > 0 && round % disturb.killEvery === 0) {
        const end = performance.now() + Math.random() * 4;
        while (performance.now() < end);
        victim = team[Math.floor(Math.random() * team.length)];
        children[victim].kill("SIGKILL");
        await children[victim].status;
        found.killed++;
      }
      const isRemoving = disturb.removeEvery > 0 && round % disturb.removeEvery === 1;
      const rest = team.filter((i) => i !== victim);
      await until("all have done their part", () => {
        if (isRemoving) SharedMemoryArray.clearBuffers([name]);
        return rest.every((i) => at(DONE_AT + i) === round);
      });
      found.took += team.length;
      const isDone = victim >= 0 && at(DONE_AT + victim) === round;
      const results = (isDone ? team : rest).map((i) => at(RESULT_AT + i));
      found.failed += results.filter((result) => result === FAILED).length;
      const creators = results.filter((result) => result === CREATED).length;
      if (victim >= 0 && creators === 0) found.orphaned++;
      // Where the name is removed meanwhile, there may be a creator after each removal.
      if (!isRemoving && (creators > 1 || (creators === 0 && (victim < 0 || isDone)))) {
        found.wrong.push(`round ${round}: ${results}`);
      }
      SharedMemoryArray.clearBuffers([name]);
      // A new member takes part when it is ready.
      if (victim >= 0) await start(victim);
    }
  } finally {
    Atomics.store(data, STOP, 1);
    notify(data, ROUND, PROCESSES);
    await Promise.all(outputs);
    control.unlink();
    for (const { name } of Deno.readDirSync("/dev/shm")) {
      if (name.startsWith(base)) {
        found.wrong.push(`left: ${name}`);
        Deno.removeSync(segmentPath(name));
      }
    }
  }
  return found;
}

/** A thousand of them are run by `deno task soak`. */
const rounds = Math.ceil(100 * scale);

Deno.test(`createOrLoad() of ${PROCESSES} processes at once, ${rounds} rounds with kills: one creator, and nobody fails`, async () => {
  const found = await race("createOrLoad", rounds, { killEvery: 4, removeEvery: 5 });
  assertEquals([found.failed, found.wrong, found.printed], [0, [], []]);
  assertGreater(found.took, rounds);
  assertEquals(found.killed, Math.floor(rounds / 4));
});

Deno.test(`load(), or else create(), of ${PROCESSES} processes at once does fail`, async () => {
  // The control: without the loop of createOrLoad() the same race is lost.
  const found = await race("loadElseCreate", 5000, { killEvery: 0, removeEvery: 0 });
  assertGreater(found.failed, 0, JSON.stringify(found));
  assert(found.printed.some((text) => text.includes("EEXIST") || text.includes("File exists")));
});

testWith(
  "namespaces",
  "createOrLoad() of a large array takes its memory once, also where several do it at once",
  async () => {
    // /dev/shm has room for one and a half. Taken out (the turn): ENOSPC for some.
    const told = await evalChild(
      `const MB = 2 ** 20;
    const code = ${
        JSON.stringify(
          `import { SharedMemoryArray } from "MOD";
      using sma = new SharedMemoryArray([60 * 2 ** 20], "uint8", "large-" + Deno.args[0]);
      try { sma.createOrLoad(); console.log(sma.isCreator); } catch (error) { console.log(error.message); }`,
        )
      }.replace("MOD", ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)});
    const told = [];
    for (let round = 0; round < 5; round++) {
      const members = Array.from({ length: 6 }, () => {
        const child = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--quiet", "--no-config", "-", String(round)], stdin: "piped", stdout: "piped",
        }).spawn();
        return child;
      });
      await Promise.all(members.map(async (child) => {
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(code));
        await writer.close();
      }));
      const outputs = await Promise.all(members.map((child) => child.output()));
      told.push(outputs.map(({ stdout }) => new TextDecoder().decode(stdout).trim()).sort());
      Deno.removeSync("/dev/shm/large-" + round);
    }
    console.log(JSON.stringify(told));`,
      { before: inNamespaces("--mount", "mount -t tmpfs -o size=90m tmpfs /dev/shm") },
    ) as string[][];
    for (const round of told) assertEquals(round, [...Array(5).fill("false"), "true"]);
  },
);

Deno.test("createOrLoad() of a large array does not wait for ever for one who keeps the turn", () =>
  withNames(async (name) => {
    const child = await startChild(
      `const { tryFlock } = await import(${
        JSON.stringify(new URL("../../ffi/flock.ts", import.meta.url).href)
      });
      const { open } = await import(${
        JSON.stringify(new URL("../../ffi/files.ts", import.meta.url).href)
      });
      const fd = open("/dev/shm", 0);
      while (!tryFlock(fd, "x"));
      console.log("held");
      await new Promise((resume) => setTimeout(resume, 600_000));`,
    );
    const reader = child.stdout.getReader();
    await reader.read();
    using sma = new SharedMemoryArray([2 ** 20], "uint8", name);
    sma.createOrLoad();
    assertEquals(sma.isCreator, true);
    // And who finds it does not wait at all.
    using other = new SharedMemoryArray([2 ** 20], "uint8", name);
    other.createOrLoad();
    assertEquals(other.isCreator, false);
    child.kill("SIGKILL");
    await Promise.all([reader.cancel(), child.stderr.cancel(), child.status]);
  }));

Deno.test("createOrLoad() goes between raw bytes and arrays as load() does", () =>
  withNames((name) => {
    using raw = SharedMemory.create(name, 16);
    new Int32Array(raw.buf!)[1] = 5;
    using one = kinds.array(name);
    assertEquals(one.createOrLoad().get(1), 5);
    assertEquals(one.isCreator, false);
  }));
