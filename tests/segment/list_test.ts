// Every prune() here is bound to a prefix that nothing else uses.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { close, fstat } from "../../ffi/files.ts";
import { memfdCreate } from "../../ffi/mman.ts";
import {
  createAndRegisterSma,
  type DTypeLike,
  SharedMemory,
  SharedMemoryArray,
} from "../../mod.ts";
import { SharedMemoryRing, SharedMemoryVersions } from "../../src/publish/mod.ts";
import { SharedMemoryLock } from "../../src/sync/mod.ts";
import { runChild, segmentExists, segmentPath, startChild, withNames } from "../helpers/helpers.ts";
import { find, leftover, withPrefix } from "../helpers/leftovers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it lists and prunes segments");

type ErrorClass = new (message: string) => Error;

function createClosed(name: string): void {
  SharedMemory.create(name, 1).close();
}

/** A prefix that no other test, and no other program, uses. */
function ownPrefix(): string {
  return `t${crypto.randomUUID().slice(0, 13)}`;
}

function createNamed(prefix: string): SharedMemoryArray {
  const sma = new SharedMemoryArray<DTypeLike>(
    100,
    "float64",
    SharedMemoryArray.buildSmaName(prefix),
  );
  sma.create();
  return sma as SharedMemoryArray;
}

// --- What list() tells of what segments are ------------------------------------------------------

Deno.test("list() tells kind, shape, dtype, mode and uid of a segment of every kind", () => {
  withNames((array, ring, versions, lock, raw) => {
    using sma = new SharedMemoryArray([2, 3], "float32", array);
    sma.create({ mode: 0o640 });
    using frames = new SharedMemoryRing([4], "int16", ring, 4).create();
    using table = new SharedMemoryVersions([5, 1], "uint8", versions).create();
    using mutex = new SharedMemoryLock(lock).create({ mode: 0o666 });
    using bytes = SharedMemory.create(raw, 24);
    const told = [array, ring, versions, lock, raw].map((name) => {
      const { kind, shape, dtype, mode, uid } = find(name)!;
      return [kind, shape, dtype, mode, uid];
    });
    const uid = Deno.uid();
    assertEquals(told, [
      ["array", [2, 3], "float32", 0o640, uid],
      ["ring", [4], "int16", 0o600, uid],
      ["versions", [5, 1], "uint8", 0o600, uid],
      ["lock", null, null, 0o666, uid],
      [null, null, null, 0o600, uid],
    ]);
    for (const each of [sma, frames, table, mutex, bytes]) each.unlink();
  });
});

Deno.test("list() tells the kind by its magic where nothing describes a segment", () => {
  withNames((ring, lock, array) => {
    using frames = new SharedMemoryRing([4], "int16", ring, 4).create({ describe: false });
    using mutex = new SharedMemoryLock(lock).create({ describe: false });
    using sma = new SharedMemoryArray([4], "int32", array);
    sma.create({ describe: false });
    assertEquals([ring, lock, array].map((name) => find(name)!.kind), ["ring", "lock", null]);
    assertEquals([ring, lock, array].map((name) => find(name)!.shape), [null, null, null]);
    for (const each of [sma, frames, mutex]) each.unlink();
  });
});

Deno.test("list() tells of anonymous segments, once each, by the name that their creator knows", async () => {
  {
    using mine = SharedMemoryArray.createAnonymous([2, 3], "float32", { mode: 0o400 });
    using plain = SharedMemoryArray.createAnonymous([8], "int8", { describe: false });
    const child = await startChild(
      `const sma = SharedMemoryArray.createAnonymous([7], "uint16");
      // Both are mapped here, and there is a second descriptor of each.
      const other = SharedMemoryArray.attach(Deno.args[0], { access: "copy-on-write" });
      const file = Deno.openSync(Deno.args[1]);
      console.log(sma.name);
      await Deno.stdin.read(new Uint8Array(1));
      await new Promise((resolve) => setTimeout(resolve, 600_000));`,
      { args: [mine.name, `/proc/${Deno.pid}/fd/${mine.name.split(":")[2]}`] },
    );
    try {
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const theirs = (await reader.read()).value!.trim();
      await reader.cancel();
      const entry = find(mine.name)!;
      assertEquals([entry.kind, entry.shape, entry.dtype], ["array", [2, 3], "float32"]);
      assertEquals([entry.byteLength, entry.prefix, entry.mode], [24, null, 0o400]);
      assertEquals(entry.pids, [Deno.pid, child.pid].sort((a, b) => a - b));
      assert(Math.abs(entry.createdAt.getTime() - Date.now()) < 600_000);
      const [kind, shape] = [find(plain.name)!.kind, find(plain.name)!.shape];
      assertEquals([kind, shape, find(theirs)!.shape], [null, null, [7]]);
      const inode = mine.name.split(":")[3];
      const same = SharedMemoryArray.list().filter((each) =>
        /^memfd:/.test(each.name) && each.name.endsWith(":" + inode)
      );
      assertEquals(same.map((each) => each.name), [mine.name]);
      using loaded = SharedMemoryArray.attach(theirs, "uint16");
      assertEquals(loaded.array!.size, 7);
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await child.stderr.cancel();
    }
    mine.unlink();
    plain.unlink();
    mine.close();
    assertEquals(find(mine.name), undefined);
  }
});

Deno.test("list() leaves out files in memory that no load() would take", () => {
  const fd = memfdCreate("not-sealed", 0);
  try {
    const { inode } = fstat(fd, "not-sealed");
    const name = `memfd:${Deno.pid}:${fd}:${inode}`;
    assertEquals(find(name), undefined);
    assertThrows(() => SharedMemory.open(name), Deno.errors.NotFound);
  } finally {
    close(fd);
  }
});

Deno.test("prune() never removes an anonymous segment, whatever it is called in /proc", async () => {
  await withPrefix((prefix) => {
    const register: string[] = [];
    const options = { anonymous: true } as const;
    using sma = createAndRegisterSma([4], "uint8", register, prefix, options);
    assertEquals(SharedMemoryArray.prune({ olderThan: 0, prefix }), []);
    sma.close();
    assertEquals(SharedMemoryArray.prune({ olderThan: 0, prefix, dryRun: true }), []);
    assertEquals(sma.load().size, 4);
    sma.unlink();
  });
});

// --- list() ----------------------------------------------------------------------------------

Deno.test("list() tells size, time, prefix and processes of a segment", async () => {
  await withPrefix(async (prefix) => {
    const before = Date.now();
    using sma = new SharedMemoryArray([3, 5], "float64", SharedMemoryArray.buildSmaName(prefix));
    sma.create();
    const after = Date.now();
    const mine = find(sma.name)!;
    assertEquals(Object.keys(mine).sort(), [
      "byteLength",
      "createdAt",
      "dtype",
      "kind",
      "mode",
      "name",
      "pids",
      "prefix",
      "shape",
      "uid",
    ]);
    assertEquals([mine.byteLength, mine.prefix, mine.pids], [120, prefix, [Deno.pid]]);
    // The clock of the file system ticks in steps of a few milliseconds.
    const createdAt = mine.createdAt.getTime();
    assert(createdAt >= before - 20 && createdAt <= after + 20, `${createdAt - before} ms off`);

    const reader = await startChild(
      `
      const sma = new SharedMemoryArray([3, 5], "float64", Deno.args[0]);
      sma.load();
      console.log("ready");
      await Deno.stdin.read(new Uint8Array(1));
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      `,
      { args: [sma.name] },
    );
    const output = reader.stdout.getReader();
    await output.read();
    assertEquals(find(sma.name)!.pids, [Deno.pid, reader.pid].sort((a, b) => a - b));
    sma.close();
    assertEquals(find(sma.name)!.pids, [reader.pid]);
    reader.kill("SIGKILL");
    await reader.status;
    await Promise.all([output.cancel(), reader.stderr.cancel()]);
    assertEquals(find(sma.name)!.pids, []);
    sma.unlink();
    assertEquals(find(sma.name), undefined);
  });
});

Deno.test("list() gives prefix null to a name that buildSmaName did not make", () => {
  withNames((name) => {
    using _memory = SharedMemory.create(name, 1);
    assertEquals(find(name)!.prefix, null);
  });
});

Deno.test("list() gives empty and odd prefixes back as they were", () => {
  for (const prefix of ["", "a-b", "1-2-3", "ä ö", "🙂", "line\nfeed", "x".repeat(150)]) {
    const name = leftover(prefix);
    try {
      assertEquals(find(name)!.prefix, prefix);
    } finally {
      SharedMemoryArray.clearBuffers([name]);
    }
  }
});

Deno.test("list() gives one entry for every segment, sorted by name", () => {
  withNames((a, b, c) => {
    const names = [a, b, c].sort();
    const memories = names.toReversed().map((name) => SharedMemory.create(name, 1));
    const listed = SharedMemoryArray.list().map(({ name }) => name);
    assertEquals(listed.filter((name) => names.includes(name)), names);
    assertEquals(listed, listed.toSorted((x, y) => x < y ? -1 : 1));
    memories.forEach((memory) => memory.close());
  });
});

Deno.test("list() passes over what is no segment", () => {
  withNames((directory, link) => {
    Deno.mkdirSync(segmentPath(directory));
    Deno.symlinkSync("/etc/hostname", segmentPath(link));
    const listed = SharedMemoryArray.list().map(({ name }) => name);
    assertEquals(listed.filter((name) => [directory, link].includes(name)), []);
  });
});

Deno.test("list() is not stopped by a foreign name that is no UTF-8", async () => {
  // Every user may put such a file there.
  const tail = crypto.randomUUID();
  const printf = async (command: string): Promise<void> => {
    const { success } = await new Deno.Command("sh", {
      args: ["-c", `${command} "/dev/shm/$(printf '\\377%.0s' $(seq 200))-${tail}"`],
    }).output();
    assert(success);
  };
  await printf("touch");
  try {
    withNames((name) => {
      using _memory = SharedMemory.create(name, 1);
      assertEquals(find(name)?.byteLength, 1);
    });
  } finally {
    await printf("rm -f");
  }
});

Deno.test("list() wants --allow-ffi only, and says so", async () => {
  const code = `console.log(JSON.stringify(SharedMemoryArray.list()), SharedMemoryArray.prune({
    prefix: "nobody-has-this", dryRun: true }))`;
  const allowed = await runChild(code, { permissions: ["--allow-ffi"] });
  assertEquals([allowed.code, allowed.stderr], [0, ""]);
  const refused = await runChild(code, {
    permissions: ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-run"],
  });
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /NotCapable: Requires ffi access.*--allow-ffi/);
});

Deno.test("list() and prune() say that macOS cannot list", async () => {
  // Not on such a machine, but with its name: the answer comes before the library is opened.
  const { stdout } = await runChild(
    `
    Object.defineProperty(Deno, "build", { value: { ...Deno.build, os: "darwin" } });
    for (const call of [() => SharedMemoryArray.list(), () => SharedMemoryArray.prune()]) {
      try {
        call();
      } catch (error) {
        console.log(error.constructor.name, error.message);
      }
    }
    `,
    { permissions: [] },
  );
  const expected =
    "NotSupported Cannot list segments: darwin has no way to; keep names in a SharedMemoryRegister\n";
  assertEquals(stdout, expected.repeat(2));
});

testWith("another user", "list() and prune() leave out segments of other users", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    Deno.chownSync(segmentPath(name), 65534, 65534);
    assertEquals(find(name), undefined);
    assertEquals(SharedMemoryArray.prune({ olderThan: 0, prefix }), []);
    assert(segmentExists(name));
  });
});

Deno.test("list() tells name, size, age, prefix and the processes that map a segment", async () => {
  const prefix = ownPrefix();
  const before = Date.now();
  using sma = createNamed(prefix);
  try {
    const segment = find(sma.name)!;
    assertEquals(Object.keys(segment).sort(), [
      "byteLength",
      "createdAt",
      "dtype",
      "kind",
      "mode",
      "name",
      "pids",
      "prefix",
      "shape",
      "uid",
    ]);
    assertEquals([segment.byteLength, segment.prefix, segment.pids], [800, prefix, [Deno.pid]]);
    assertInstanceOf(segment.createdAt, Date);
    // The kernel's file clock may lag by a tick.
    const age = segment.createdAt.getTime() - before;
    assert(-20 <= age && age <= 60_000, String(age));

    const child = await startChild(
      `using sma = SharedMemoryArray.from(JSON.parse(Deno.args[0]));
      sma.load();
      console.log("ready");
      await new Promise((resolve) => setTimeout(resolve, 60_000));`,
      { args: [JSON.stringify(sma)] },
    );
    const reader = child.stdout.getReader();
    await reader.read();
    const pids = find(sma.name)!.pids;
    child.kill("SIGKILL");
    await reader.cancel();
    await child.stderr.cancel();
    await child.status;
    assertEquals(pids, [Deno.pid, child.pid].sort((a, b) => a - b));
    assertEquals(find(sma.name)!.pids, [Deno.pid]);
    sma.close();
    assertEquals(find(sma.name)!.pids, []);
  } finally {
    sma.unlink();
  }
  assertEquals(find(sma.name), undefined);
});

Deno.test("list() is sorted, and gives foreign names no prefix", () => {
  withNames((a, b) => {
    createClosed(a);
    createClosed(b);
    const names = SharedMemoryArray.list().map(({ name }) => name);
    assertEquals(names, names.toSorted((x, y) => x < y ? -1 : 1));
    assertEquals([find(a)!.prefix, find(b)!.prefix], [null, null]);
  });
});

Deno.test("list() shows segments only: no directories, no links", () => {
  withNames((directory, link, target) => {
    createClosed(target);
    Deno.mkdirSync(segmentPath(directory));
    Deno.symlinkSync(segmentPath(target), segmentPath(link));
    assertEquals([find(directory), find(link)], [undefined, undefined]);
    assert(find(target));
  });
});

Deno.test("list() is not stopped by a name that is no UTF-8", () => {
  // Whoever can write to /dev/shm could otherwise keep everybody from list() and prune().
  const sh = (script: string): void => {
    const { success } = new Deno.Command("sh", { args: ["-c", script] }).outputSync();
    assert(success, script);
  };
  const file = `"/dev/shm/$(printf '\\377%.0s' $(seq 200))"`;
  using sma = createNamed(ownPrefix());
  sh(`: > ${file}`);
  try {
    assertEquals(find(sma.name)?.name, sma.name);
  } finally {
    sh(`rm ${file}`);
    sma.unlink();
  }
});

// --- prune() ---------------------------------------------------------------------------------

Deno.test("prune() removes what nobody maps and is old enough, and returns the names", async () => {
  await withPrefix((prefix) => {
    const names = [leftover(prefix), leftover(prefix)].sort();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 60_000 }), []);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), names);
    assertEquals(names.filter(segmentExists), []);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
  });
});

Deno.test("prune() takes one hour where no age is given", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const now = Date.now;
    const minute = 60_000;
    try {
      Date.now = () => now() + 59 * minute;
      assertEquals(SharedMemoryArray.prune({ prefix }), []);
      Date.now = () => now() + 61 * minute;
      assertEquals(SharedMemoryArray.prune({ prefix }), [name]);
    } finally {
      Date.now = now;
    }
  });
});

Deno.test("prune() keeps what this process or another one maps", async () => {
  // Taken out (the test of pids): both are removed, and whoever loads next finds nothing.
  await withPrefix(async (prefix) => {
    const mine = new SharedMemoryArray(8, "uint8", SharedMemoryArray.buildSmaName(prefix));
    mine.create();
    const theirs = leftover(prefix);
    const reader = await startChild(
      `globalThis.held = SharedMemory.open(Deno.args[0]); console.log("ready");
       await new Promise((resolve) => setTimeout(resolve, 60_000));`,
      { args: [theirs] },
    );
    const output = reader.stdout.getReader();
    await output.read();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
    reader.kill("SIGKILL");
    await reader.status;
    await Promise.all([output.cancel(), reader.stderr.cancel()]);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [theirs]);
    mine.close();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), [mine.name]);
  });
});

Deno.test("prune() keeps other prefixes and foreign names", async () => {
  await withPrefix((prefix) => {
    const other = leftover(`${prefix}-x`);
    const foreign = `${prefix}-1-foreign-${prefix}-`;
    SharedMemory.create(foreign, 1).close();
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
    assert(segmentExists(other) && segmentExists(foreign));
    assertEquals(SharedMemoryArray.prune({ prefix: `${prefix}-x`, olderThan: 0 }), [other]);
  });
});

Deno.test("prune() with dryRun tells and removes nothing", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0, dryRun: true }), [name]);
    assert(segmentExists(name));
  });
});

testWith("namespaces", "prune() removes nothing where it cannot see who maps what", async () => {
  // Without /proc (a chroot, a bare container) every segment looks as if nobody mapped it: removing
  // them would take the arrays of running programs.
  await withPrefix(async (prefix) => {
    const { stdout } = await runChild(
      `
      const sma = new SharedMemoryArray(4, "int8", SharedMemoryArray.buildSmaName("${prefix}"));
      sma.create();
      try {
        console.log(SharedMemoryArray.prune({ prefix: "${prefix}", olderThan: 0 }).length);
      } catch (error) {
        console.log(error.message);
      }
      console.log(sma.unlink());
      `,
      { before: inNamespaces("--mount", "mount -t tmpfs none /proc") },
    );
    const [pruned, unlinked] = stdout.trim().split("\n");
    assertEquals(unlinked, "true", `prune() removed a mapped segment, and gave ${pruned}`);
  });
});

testWith(
  "namespaces",
  "prune() without options cleans a whole /dev/shm, and only of our leftovers",
  async () => {
    const { stdout, stderr } = await runChild(
      `
    const now = Date.now;
    const names = ["a", "b", ""].map((prefix) => SharedMemoryArray.buildSmaName(prefix));
    for (const name of [...names, "foreign"]) SharedMemory.create(name, 4096).close();
    using kept = new SharedMemoryArray(4, "int8", SharedMemoryArray.buildSmaName("kept"));
    kept.create();
    console.log(SharedMemoryArray.prune().length);
    Date.now = () => now() + 3_600_000;
    console.log(String(SharedMemoryArray.prune()) === String(names.sort()));
    // Other programs may have anonymous segments, which are seen from here.
    console.log(SharedMemoryArray.list().map(({ name }) => name === kept.name || name)
      .filter((name) => !/^memfd:/.test(name)).sort());
    `,
      { before: inNamespaces("--mount", "mount -t tmpfs none /dev/shm") },
    );
    assertEquals([stdout, stderr], ['0\ntrue\n[ "foreign", true ]\n', ""]);
  },
);

Deno.test("prune() removes leftovers that are old enough, with dryRun only tells", () => {
  const prefix = ownPrefix();
  using used = createNamed(prefix);
  const leftovers = [createNamed(prefix), createNamed(prefix)];
  const other = createNamed(ownPrefix());
  try {
    for (const sma of [...leftovers, other]) sma.close();
    const names = leftovers.map(({ name }) => name).sort();
    assertEquals(SharedMemoryArray.prune({ prefix }), []);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 60_000 }), []);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0, dryRun: true }), names);
    assertEquals(leftovers.map(({ name }) => segmentExists(name)), [true, true]);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), names);
    assertEquals(leftovers.map(({ name }) => segmentExists(name)), [false, false]);
    assertEquals([segmentExists(used.name), segmentExists(other.name)], [true, true]);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
  } finally {
    SharedMemoryArray.clearBuffers([...leftovers, used, other].map(({ name }) => name));
  }
});

Deno.test("prune() goes by age", async () => {
  const prefix = ownPrefix();
  const sma = createNamed(prefix);
  sma.close();
  try {
    await new Promise((resolve) => setTimeout(resolve, 60));
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 600_000, dryRun: true }), []);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 50, dryRun: true }), [sma.name]);
  } finally {
    sma.unlink();
  }
});

Deno.test("prune() leaves foreign names, whatever their age", () => {
  withNames((name) => {
    createClosed(name);
    const pruned = SharedMemoryArray.prune({ olderThan: 0, dryRun: true });
    assertNotEquals(pruned.includes(name), true);
  });
});

Deno.test("prune() refuses wrong options, and then removes nothing", () => {
  const prune = SharedMemoryArray.prune as (options: unknown) => unknown;
  const refused: [options: unknown, ErrorClass: ErrorClass, message: string][] = [
    [{ olderThan: -1 }, RangeError, "olderThan must be 0 or more"],
    [{ olderThan: NaN }, RangeError, "olderThan must be 0 or more"],
    [{ olderThan: "1h" }, TypeError, "olderThan must be a number"],
    [{ prefix: 5 }, TypeError, "prefix must be a string"],
    [{ dryRun: 1 }, TypeError, "dryRun must be a boolean"],
    // A misspelt dryRun must not remove.
    [{ dryrun: true }, TypeError, 'no option "dryrun"'],
    [null, TypeError, "must be an object"],
  ];
  for (const [options, Class, message] of refused) {
    const error = assertThrows(() => prune(options), Class, message);
    assertMatch(error.message, /^Cannot prune: /);
  }
});
