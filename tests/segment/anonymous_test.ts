// Segments that no name in /dev/shm leads to: who reaches them, and what must never be reached in their
// place.

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import {
  createAndRegisterSma,
  type NDArray,
  SharedMemory,
  SharedMemoryArray,
  SharedMemoryRegister,
  shmarrayWrap,
} from "@shm/array";
import { errorOf, evalChild, modUrl, startChild, withOtherUser } from "../helpers/helpers.ts";
import { runPython } from "../helpers/python.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "only Linux has memfd_create");

/** What stands at a descriptor of this process; `null` if nothing does. */
function fileAt(fd: number | string): string | null {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${fd}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The descriptor and the inode that a name tells. */
function partsOf(name: string): { pid: number; fd: number; inode: number } {
  const [, pid, fd, inode] = /^memfd:(\d+):(\d+):(\d+)$/.exec(name)!.map(Number);
  return { pid, fd, inode };
}

/** How many descriptors of this process lead to memory without a name. */
function memfds(): number {
  return [...Deno.readDirSync("/proc/self/fd")]
    .filter(({ name }) => fileAt(name)?.startsWith("/memfd:")).length;
}

/** How many times this process maps the memory of an anonymous segment. */
function mappingsOf(name: string): number {
  const { inode } = partsOf(name);
  return Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => line.includes(` ${inode} `) && line.includes("/memfd:")).length;
}

// --- One process -----------------------------------------------------------------------------

Deno.test("createAnonymous() gives an attached instance, zero-filled, that describes itself", () => {
  using sma = SharedMemoryArray.createAnonymous([2, 3], "<f4");
  const { pid, fd, inode } = partsOf(sma.name);
  assertEquals(pid, Deno.pid);
  assertEquals(Deno.statSync(`/proc/self/fd/${fd}`).ino, inode);
  assertEquals(sma.array!.toArray(), [[0, 0, 0], [0, 0, 0]]);
  assertEquals([sma.smh!.name, sma.smh!.size], [sma.name, 24]);
  const descriptor = { shape: [2, 3], dtype: "float32", name: sma.name, arraySlice: null };
  assertEquals(JSON.parse(JSON.stringify(sma)), descriptor);
  assertEquals(SharedMemoryArray.list().filter(({ name }) => name === sma.name).length, 1);
  sma.unlink();
});

Deno.test("close() leaves an anonymous segment to its creator, which can load it again", () => {
  const sma = SharedMemoryArray.createAnonymous(4, "int16");
  sma.array!.assign([1, 2, 3, 4]);
  sma.close();
  assertEquals(mappingsOf(sma.name), 0);
  assertEquals(sma.load().toArray(), [1, 2, 3, 4]);
  using again = SharedMemoryArray.clone(sma, { arraySlice: ["::-1"] });
  assertEquals(again.load().toArray(), [4, 3, 2, 1]);
  again.array!.set(0, 9);
  assertEquals(sma.array!.get(3), 9);
  sma.close();
  assertEquals(sma.unlink(), true);
});

Deno.test("unlink() of an anonymous segment is true once; who is attached goes on", () => {
  const before = memfds();
  using sma = SharedMemoryArray.createAnonymous(4, "int16");
  using other = SharedMemoryArray.from(structuredClone({ ...sma }));
  other.load();
  assertEquals(memfds(), before + 1); // attaching leaves no descriptor
  assertEquals([sma.unlink(), sma.unlink(), other.unlink()], [true, false, false]);
  assertEquals(memfds(), before);
  sma.array!.fill(5);
  assertEquals(other.array!.toArray(), [5, 5, 5, 5]);
  const error = errorOf(() => SharedMemoryArray.clone(sma).load());
  assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
  assertStringIncludes(error.message, `No such file or directory (os error 2): open '${sma.name}'`);
});

Deno.test("unlink() never closes a descriptor number that another file has now", () => {
  const sma = SharedMemoryArray.createAnonymous(4, "int16");
  const { fd } = partsOf(sma.name);
  sma.close();
  sma.unlink();
  // The lowest free number is the next one that is given.
  const files: Deno.FsFile[] = [];
  while (fileAt(fd) === null) files.push(Deno.openSync("/dev/null"));
  assertEquals(fileAt(fd), "/dev/null");
  assertEquals(sma.unlink(), false);
  assertEquals(errorOf(() => sma.load()).constructor, Deno.errors.NotFound);
  assertEquals(fileAt(fd), "/dev/null");
  files.forEach((file) => file.close());
});

Deno.test("a number that another anonymous segment has now leads to neither load() nor unlink()", () => {
  const first = SharedMemoryArray.createAnonymous(4, "int16");
  first.close();
  first.unlink();
  const others: SharedMemoryArray<"int16">[] = [];
  const { fd } = partsOf(first.name);
  do others.push(
    SharedMemoryArray.createAnonymous(4, "int16") as SharedMemoryArray<"int16">,
  ); while (
    fileAt(fd) === null
  );
  const heir = others.find(({ name }) => partsOf(name).fd === fd)!;
  heir.array!.fill(7);
  const error = errorOf(() => first.load());
  assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
  assertEquals(first.unlink(), false);
  assertEquals(SharedMemoryArray.clearBuffers([first.name]), []);
  using reader = SharedMemoryArray.clone(heir);
  assertEquals(reader.load().toArray(), [7, 7, 7, 7]);
  for (const other of others) {
    assertEquals(other.unlink(), true);
    other.close();
  }
});

Deno.test("load() takes no other file for an anonymous segment, and opens no FIFO", () => {
  const path = Deno.makeTempFileSync();
  const fifo = `${path}-fifo`;
  try {
    Deno.writeFileSync(path, new Uint8Array(64));
    new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
    for (const each of [path, fifo]) {
      using file = Deno.openSync(each, { read: true, write: true });
      const { ino } = file.statSync();
      const [{ name: fd }] = [...Deno.readDirSync("/proc/self/fd")]
        .filter(({ name }) => fileAt(name) === each);
      const name = `memfd:${Deno.pid}:${fd}:${ino}`;
      for (const access of ["read-write", "copy-on-write"] as const) {
        const error = errorOf(() => SharedMemory.open(name, { access }));
        assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
      }
      assertEquals(SharedMemoryArray.clearBuffers([name]), []);
      assertEquals(fileAt(fd), each);
    }
  } finally {
    for (const each of [path, fifo]) Deno.removeSync(each);
  }
});

Deno.test("a name that leads nowhere is NotFound, whatever its numbers are", () => {
  const nothing = [
    `memfd:${Deno.pid}:${2 ** 32 + 3}:1`, // cut to 32 bits it would be another number
    `memfd:${Deno.pid}:007:1`,
    `memfd:${Deno.pid}:${"9".repeat(100)}:1`,
    "memfd:0:0:0",
    "memfd:4194304:3:1", // the largest pid is one less
    `memfd:1${"0".repeat(60)}:3:1`,
  ];
  for (const name of nothing) {
    const error = errorOf(() => SharedMemory.open(name));
    assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"], name);
    assertEquals(SharedMemoryArray.clearBuffers([name]), []);
  }
});

Deno.test("create() refuses names of anonymous segments; describing one is right", () => {
  const name = "memfd:1:2:3";
  const sma = new SharedMemoryArray(4, "uint8", name);
  assertEquals(SharedMemoryArray.from(JSON.parse(JSON.stringify(sma))).name, name);
  for (const create of [() => sma.create(), () => SharedMemory.create(name, 4)]) {
    assertThrows(create, RangeError, 'Cannot create "memfd:1:2:3": names of this form lead to');
  }
  // Whatever else begins so is a name like any other.
  const usual = `memfd:${crypto.randomUUID()}`;
  using named = new SharedMemoryArray(4, "uint8", usual);
  named.create();
  assertEquals(SharedMemoryArray.list().some((segment) => segment.name === usual), true);
  named.unlink();
});

Deno.test("nobody can change the size of an anonymous segment", () => {
  using sma = SharedMemoryArray.createAnonymous(5000, "uint8");
  const { fd } = partsOf(sma.name);
  for (const size of ["0", "10000"]) {
    const { success, stderr } = new Deno.Command("truncate", {
      args: ["--no-create", "--size", size, `/proc/${Deno.pid}/fd/${fd}`],
      env: { LC_ALL: "C" },
    }).outputSync();
    assertEquals(success, false);
    assertStringIncludes(new TextDecoder().decode(stderr), "Operation not permitted");
  }
  sma.array!.fill(1);
  assertEquals(Deno.statSync(`/proc/self/fd/${fd}`).size, 5000);
  sma.unlink();
});

Deno.test("createAnonymous() sets the mode exactly, and takes reserve", () => {
  for (const mode of [0o600, 0o644, 0o000, 0o777, 0o640]) {
    using sma = SharedMemoryArray.createAnonymous(4, "uint8", { mode });
    const { fd } = partsOf(sma.name);
    assertEquals(Deno.statSync(`/proc/self/fd/${fd}`).mode! & 0o777, mode);
    assertEquals(sma.unlink(), true);
  }
  for (const reserve of [true, false]) {
    using sma = SharedMemoryArray.createAnonymous(2 ** 20, "uint8", { reserve });
    const { blocks } = Deno.statSync(`/proc/self/fd/${partsOf(sma.name).fd}`);
    assertEquals(blocks, reserve ? 2 ** 20 / 512 : 0);
    sma.unlink();
  }
});

Deno.test("createAnonymous() of more memory than there is gives ENOMEM and leaves nothing", () => {
  const before = memfds();
  for (const reserve of [true, false]) {
    const error = errorOf(() => SharedMemoryArray.createAnonymous(2 ** 50, "uint8", { reserve }));
    assertEquals([error.constructor, error.code], [Error, "ENOMEM"]);
    assertMatch(error.message, reserve ? /posix_fallocate 'memfd:.*are available/ : /mmap 'memfd:/);
  }
  assertEquals(memfds(), before);
});

Deno.test("createAnonymous() checks its arguments before it makes anything", () => {
  const before = memfds();
  const create = SharedMemoryArray.createAnonymous as (...args: unknown[]) => unknown;
  const misuses: [typeof TypeError | typeof RangeError, unknown[]][] = [
    [TypeError, []],
    [TypeError, ["3", "uint8"]],
    [RangeError, [[0], "uint8"]],
    [RangeError, [[-1], "uint8"]],
    [TypeError, [4, "complex64"]],
    [TypeError, [4, "uint8", 0o600]],
    [TypeError, [4, "uint8", { mode: "0600" }]],
    [RangeError, [4, "uint8", { mode: 0o1000 }]],
    [TypeError, [4, "uint8", { name: "x" }]],
  ];
  for (const [Class, args] of misuses) assertThrows(() => create(...args), Class, "Cannot");
  assertEquals(memfds(), before);
});

Deno.test("registers, clearBuffers() and wrapped functions take anonymous segments", () => {
  const before = memfds();
  const sum = shmarrayWrap((views: NDArray<"int32">[], { last }: { last: NDArray<"int32"> }) =>
    views.reduce((total, view) => total + view.get(0), last.get(-1))
  );
  let names: string[];
  {
    using register = new SharedMemoryRegister();
    const [a, b] = [1, 2].map((value) => {
      const sma = createAndRegisterSma(3, "int32", register, "tile", { anonymous: true });
      sma.array!.fill(value);
      return sma;
    });
    names = [...register];
    assertEquals(names, [a.name, b.name]);
    // The prefix is what tools show.
    assertMatch(fileAt(partsOf(a.name).fd)!, /^\/memfd:\d+-tile-/);
    a.close();
    assertEquals(sum([a, b], { last: JSON.parse(JSON.stringify(a)) }), 4);
    b.close();
    assertEquals([a.smh, mappingsOf(a.name), mappingsOf(b.name)], [null, 0, 0]);
    assertEquals(SharedMemoryArray.clearBuffers([a.name]), [a.name]);
  }
  assertEquals(memfds(), before);
  assertEquals(SharedMemoryArray.clearBuffers(names), []);
});

Deno.test("createAndRegisterSma() passes mode and reserve, and refuses what it does not know", () => {
  using register = new SharedMemoryRegister();
  const options = { mode: 0o644, reserve: false };
  using sma = createAndRegisterSma(2 ** 20, "uint8", register, "tile", options);
  const { mode, blocks } = Deno.statSync(`/dev/shm/${sma.name}`);
  assertEquals([mode! & 0o777, blocks], [0o644, 0]);
  using bare = createAndRegisterSma(2 ** 20, "uint8", register, null, {
    ...options,
    anonymous: true,
  });
  const status = Deno.statSync(`/proc/self/fd/${partsOf(bare.name).fd}`);
  assertEquals([status.mode! & 0o777, status.blocks], [0o644, 0]);
  const create = createAndRegisterSma as (...args: unknown[]) => unknown;
  for (const wrong of [{ anonymous: 1 }, { mode: "x" }, { signals: [] }, 3]) {
    assertThrows(() => create(1, "uint8", register, "", wrong), TypeError, "Cannot create");
  }
  assertThrows(() => create(1, "uint8", register, "a/b", { anonymous: true }), RangeError);
  assertEquals(register.length, 2);
});

// --- Threads ---------------------------------------------------------------------------------

/** Runs code in a Worker, in which all public names are imported; it sees `data`, and returns a value. */
async function inWorker(code: string, data: unknown): Promise<unknown> {
  const text = `import * as shm from ${JSON.stringify(modUrl)};
    self.onmessage = async ({ data }) => self.postMessage(await (async () => { ${code} })());`;
  const url = URL.createObjectURL(new Blob([text], { type: "application/javascript" }));
  const worker = new Worker(url, { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      worker.postMessage(data);
    });
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}

Deno.test("Workers load and unlink what the main thread made, and the other way round", async () => {
  using mine = SharedMemoryArray.createAnonymous(3, "int32");
  mine.array!.assign([1, 2, 3]);
  const answer = await inWorker(
    `const sma = shm.SharedMemoryArray.from(data);
     sma.load().set(0, 9);
     const answer = [sma.unlink(), sma.unlink()];
     sma.close(); // Nobody makes old JavaScript of this text: it has no "using".
     return answer;`,
    mine,
  );
  assertEquals([answer, mine.unlink()], [[true, false], false]);
  assertEquals(mine.array!.toArray(), [9, 2, 3]);

  const theirs = await inWorker(
    `const sma = shm.SharedMemoryArray.createAnonymous(2, "uint8");
     sma.array.fill(5);
     return { ...sma };`,
    null,
  ) as { shape: [2]; dtype: "uint8"; name: string };
  // The thread has ended; the process that made it has not.
  using sma = SharedMemoryArray.from(theirs);
  assertEquals(sma.load().toArray(), [5, 5]);
  assertEquals([sma.unlink(), sma.unlink()], [true, false]);
});

Deno.test("threads that unlink the same segments at once close each once, and nothing else", async () => {
  // Taken out (the seal that only one can put on): descriptors of others are closed, or two say true.
  // Five times: a process may have no more than 1024 descriptors.
  for (let time = 0; time < 5; time++) await unlinkInThreads(400);
});

async function unlinkInThreads(rounds: number): Promise<void> {
  const before = memfds();
  const gate = new SharedMemoryRegister();
  using flags = createAndRegisterSma(2, "int32", gate, "gate", { anonymous: true });
  const smas = Array.from({ length: rounds }, () => SharedMemoryArray.createAnonymous(1, "int32"));
  smas.forEach((sma) => sma.close());
  const names = smas.map(({ name }) => name);
  const unlinkAll = `
    const { flags, names } = data;
    const gate = shm.SharedMemoryArray.from(flags).load().data;
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < 3);
    const opened = [];
    const done = names.map((name) => {
      const removed = new shm.SharedMemoryArray(1, "int32", name).unlink();
      // Takes the number that has just become free.
      if (removed) opened.push(shm.SharedMemoryArray.createAnonymous(1, "int32"));
      return removed;
    });
    const kept = opened.filter((sma) => sma.unlink()).length;
    return { done, opened: opened.length, kept };`;
  const data = { flags: { ...flags }, names };
  const results = await Promise.all(
    [0, 1, 2].map(() => inWorker(unlinkAll, data)),
  ) as { done: boolean[]; opened: number; kept: number }[];
  names.forEach((name, i) => {
    assertEquals(results.filter(({ done }) => done[i]).length, 1, name);
  });
  for (const { opened, kept } of results) assertEquals(kept, opened);
  gate[Symbol.dispose]();
  assertEquals(memfds(), before);
}

// --- Other processes -------------------------------------------------------------------------

Deno.test("another process loads an anonymous segment by JSON, and shares it", async () => {
  using sma = SharedMemoryArray.createAnonymous([2, 3], "float64");
  sma.array!.assign([[1, 2, 3], [4, 5, 6]]);
  const job = JSON.stringify({ part: sma.array!.slice(":", "::-2") });
  const code = `
    const { part } = JSON.parse(Deno.args[0]);
    using sma = SharedMemoryArray.from(part);
    const values = sma.load().toArray();
    sma.array.fill(-1);
    console.log(JSON.stringify({ values, size: sma.smh.size }));`;
  const options = { args: [job], permissions: ["--allow-ffi"] };
  assertEquals(await evalChild(code, options), { values: [[3, 1], [6, 4]], size: 48 });
  assertEquals(sma.array!.toArray(), [[-1, 2, -1], [-1, 5, -1]]);
  sma.unlink();
});

Deno.test("unlink() in another process is PermissionDenied, and says whose it is", async () => {
  using sma = SharedMemoryArray.createAnonymous(3, "int8");
  const code = `
    const tell = ({ constructor, code, message }) => [constructor.name, code, message];
    const sma = new SharedMemoryArray(3, "int8", Deno.args[0]);
    const told = [];
    try { sma.unlink() } catch (error) { told.push(tell(error)) }
    try { SharedMemoryArray.clearBuffers([sma.name]) } catch ({ errors }) { told.push(...errors.map(tell)) }
    console.log(JSON.stringify(told));`;
  const options = { args: [sma.name], permissions: ["--allow-ffi"] };
  const expected = [
    "PermissionDenied",
    "EPERM",
    `Cannot unlink '${sma.name}': it belongs to process ${Deno.pid}, which made it, and goes with ` +
    "it or by its unlink()",
  ];
  assertEquals(await evalChild(code, options), [expected, expected]);
  assertEquals(sma.unlink(), true);
});

/** A process that makes an anonymous array of 1000 elements that are 7, says its name, and waits. */
const creator = `
  const sma = SharedMemoryArray.createAnonymous(1000, "uint16");
  sma.array.fill(7);
  console.log(sma.name);
  await new Promise((resolve) => setTimeout(resolve, 60_000));`;

Deno.test("a creator that is killed leaves nothing; who is attached goes on", async () => {
  const child = await startChild(creator, { permissions: ["--allow-ffi"] });
  const output = child.stdout.getReader();
  const name = new TextDecoder().decode((await output.read()).value).trim();
  assertEquals(partsOf(name).pid, child.pid);
  using attached = new SharedMemoryArray(1000, "uint16", name);
  attached.load().set(0, 8);
  const again = SharedMemoryArray.clone(attached);
  child.kill("SIGKILL");
  assertEquals((await child.status).signal, "SIGKILL");
  await Promise.all([output.cancel(), child.stderr.cancel()]);
  const error = errorOf(() => again.load());
  assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
  assertStringIncludes(error.message, `there is no process ${child.pid} here: it has ended, or it`);
  assertEquals(again.unlink(), false);
  assertEquals([attached.array!.get(0), attached.array!.get(-1)], [8, 7]);
});

Deno.test("processes that are started do not inherit anonymous segments", async () => {
  using sma = SharedMemoryArray.createAnonymous(3, "int8");
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "ls -l /proc/self/fd"] }).output();
  assert(!new TextDecoder().decode(stdout).includes("memfd:"));
  sma.unlink();
});

Deno.test("a pid that another process has now leads nowhere", async () => {
  const child = await startChild(creator, { permissions: ["--allow-ffi"] });
  const output = child.stdout.getReader();
  const name = new TextDecoder().decode((await output.read()).value).trim();
  const { pid, fd, inode } = partsOf(name);
  using own = SharedMemoryArray.createAnonymous(1000, "uint16");
  // The same number as in the child, and the child's memory by another number.
  for (const wrong of [`memfd:${pid}:${fd}:${inode + 1}`, `memfd:${pid}:0:${inode}`]) {
    assertEquals(errorOf(() => SharedMemory.open(wrong)).constructor, Deno.errors.NotFound);
  }
  const mine = partsOf(own.name);
  const swapped = `memfd:${pid}:${mine.fd}:${mine.inode}`;
  assertEquals(errorOf(() => SharedMemory.open(swapped)).constructor, Deno.errors.NotFound);
  assertEquals(new SharedMemoryArray(1, "int8", swapped).unlink(), false);
  own.unlink();
  child.kill();
  await Promise.all([child.status, output.cancel(), child.stderr.cancel()]);
});

Deno.test("elsewhere than on Linux an anonymous segment is NotSupported", async () => {
  // What the library is told of the system it runs on, before it opens anything.
  const code = `
    Object.defineProperty(Deno, "build", { value: { ...Deno.build, os: "darwin" } });
    const sma = new SharedMemoryArray(3, "int8", "memfd:1:2:3");
    const told = [
      () => SharedMemoryArray.createAnonymous(3, "int8"), () => sma.load(), () => sma.unlink(),
    ].map((call) => { try { call() } catch (error) { return [error.constructor.name, error.message] } });
    console.log(JSON.stringify(told));`;
  const told = await evalChild(code, { permissions: ["--allow-ffi"] }) as [string, string][];
  for (const [i, action] of ["create", "load", "unlink"].entries()) {
    assertEquals(told[i][0], "NotSupported");
    assertStringIncludes(told[i][1], `Cannot ${action} an anonymous segment: darwin has none`);
  }
});

// --- Rights and limits -----------------------------------------------------------------------

/**
 * Has root make an anonymous segment, and another user reach for it, in a namespace in which `/proc` is
 * mounted with an option of its own. A PID namespace goes with it: until Linux 5.8 the option holds for
 * every mount of one.
 *
 * @param option the mount option
 * @returns what load(), load() by copy-on-write and unlink() of the other user told; then whether the
 * creator could unlink it, and its process
 */
async function reachAcrossUsers(option: string): Promise<{ told: unknown[][]; pid: number }> {
  const reader = `
    const sma = new SharedMemoryArray(3, "int8", Deno.args[0]);
    const told = [() => sma.load(), () => sma.load({ access: "copy-on-write" }), () => sma.unlink()]
      .map((call) => { try { return ["returned", call()] } catch ({ constructor, code, message }) {
        return [constructor.name, code, message];
      } });
    console.log(JSON.stringify(told));`;
  return await withOtherUser(async ({ deno, folder, modUrl }) => {
    const file = `${folder}/reader.ts`;
    const imports = `import { SharedMemoryArray } from ${JSON.stringify(modUrl)};\n`;
    await Deno.writeTextFile(file, imports + reader);
    const creator = `
      using sma = SharedMemoryArray.createAnonymous(3, "int8", { mode: 0o666 });
      const [program, ...args] = [...Deno.args, sma.name];
      const { stdout, stderr } = new Deno.Command(program, { args }).outputSync();
      const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      if (text === "") throw new Error(errors);
      const told = [...JSON.parse(text), ["creator", sma.unlink()]];
      console.log(JSON.stringify({ told, pid: Deno.pid }));`;
    return await evalChild(creator, {
      args: [...deno, "run", "--quiet", "--no-config", "--no-prompt", "--allow-ffi", file],
      before: inNamespaces("--mount --pid --fork", `mount -t proc -o ${option} proc /proc`),
    }) as { told: unknown[][]; pid: number };
  });
}

/** What an attempt to load an anonymous segment has for a code; `undefined` if it was there. */
function codeOfLoading(name: string): string | undefined {
  using sma = new SharedMemoryArray(3, "int8", name);
  try {
    sma.load();
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/**
 * Kills the creator of an anonymous segment, whose parent never asks for its end. For others than root the descriptors
 * of such a process are forbidden.
 *
 * @param whileEnding is called until it has ended
 * @param atEnd is called then
 */
async function withEndedCreator(
  whileEnding: (name: string) => void,
  atEnd: (name: string, pid: string) => unknown,
): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    file,
    `import { SharedMemoryArray } from ${JSON.stringify(modUrl)};
    console.log(SharedMemoryArray.createAnonymous(3, "int8").name);
    setInterval(() => {}, 1000);`,
  );
  const parent = new Deno.Command("sh", {
    // The shell becomes a program that asks for no end of a child.
    args: ["-c", '"$0" run --quiet --no-config -A "$1" & exec sleep 600', Deno.execPath(), file],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const lines = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const name = (await lines.read()).value!.trim();
    const pid = name.split(":")[1];
    assertEquals(codeOfLoading(name), undefined);
    Deno.kill(Number(pid), "SIGKILL");
    const state = (): string => Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)![0];
    do whileEnding(name); while (state() !== "Z");
    await atEnd(name, pid);
  } finally {
    parent.kill("SIGKILL");
    await parent.status;
    await lines.cancel();
    await Deno.remove(file);
  }
}

Deno.test("a creator that has ended is NotFound, though its parent has not asked for its end", async () => {
  const codes = new Set<string | undefined>();
  await withEndedCreator(
    (name) => codes.add(codeOfLoading(name)),
    (name, pid) => {
      codes.add(codeOfLoading(name));
      codes.delete(undefined); // it lived still
      assertEquals([...codes], ["ENOENT"]);
      const { message } = errorOf(() => new SharedMemoryArray(3, "int8", name).load());
      assertStringIncludes(message, `process ${pid}, which made it, has ended`);
    },
  );
});

testWith(
  "NumPy",
  "a creator that has ended is FileNotFoundError in Python, too",
  () =>
    withEndedCreator(() => {}, async (name) => {
      const python = `
import sys
from shm_attach import attach
try:
    attach(sys.argv[1])
except OSError as error:
    print(type(error).__name__, end="")
`;
      assertEquals((await runPython(["-c", python, name])).stdout, "FileNotFoundError");
    }),
);

testWith(
  "another user",
  "a creator is NotFound, too, when its parent asks for its end at the wrong moment",
  () =>
    withOtherUser(async ({ deno, folder, modUrl }) => {
      const source = `${folder}/src/process/proc.ts`;
      const look = "const fields = statOf(pid);\n  return fields !== null && (";
      const parts = (await Deno.readTextFile(source)).split(look);
      assertEquals(parts.length, 2);
      await Deno.writeTextFile(source, parts.join(`globalThis.beforeLook(pid);\n  ${look}`));
      const file = `${folder}/reader.ts`;
      await Deno.writeTextFile(
        file,
        `import { SharedMemoryArray } from ${JSON.stringify(modUrl)};
        if (Deno.args[0] === "creator") {
          console.log(SharedMemoryArray.createAnonymous(3, "int8").name);
          await new Promise(() => setInterval(() => {}, 1000));
        }
        // The shell becomes a program that asks for no end of a child. When it is killed, init does.
        const parent = new Deno.Command("sh", {
          args: ["-c", '"$0" run --quiet --no-check -A "$1" creator & exec sleep 600', Deno.execPath(), ${
          JSON.stringify(file)
        }],
          stdout: "piped",
        }).spawn();
        const { value } = await parent.stdout.getReader().read();
        const name = new TextDecoder().decode(value).trim();
        const state = (pid) => {
          try {
            return Deno.readTextFileSync("/proc/" + pid + "/stat").split(") ").at(-1)[0];
          } catch {
            return "gone";
          }
        };
        const pid = name.split(":")[1];
        Deno.kill(Number(pid), "SIGKILL");
        while (state(pid) !== "Z");
        const told = [];
        globalThis.beforeLook = (pid) => {
          parent.kill("SIGKILL");
          // Where init asks for no end, there is nothing to see.
          const end = performance.now() + 10_000;
          while (state(pid) !== "gone" && performance.now() < end);
          told.push("before");
        };
        try {
          new SharedMemoryArray(3, "int8", name).load();
        } catch (error) {
          told.push(error.code);
        }
        console.log(JSON.stringify(told));
        Deno.exit();`,
      );
      const [program, ...args] = [...deno, "run", "--quiet", "--no-check", "--no-config", "-A"];
      const { stdout, stderr } = await new Deno.Command(program, {
        args: [...args, file],
        cwd: folder, // the other user may not enter this one's
      }).output();
      const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert(text !== "", errors);
      // Taken out (the look whether the process is there): "EACCES".
      assertEquals(JSON.parse(text), ["before", "ENOENT"]);
    }),
);

testWith(
  "NumPy",
  "a creator is FileNotFoundError in Python, too, when its parent asks for its end at the wrong moment",
  async () => {
    const python = `
import fcntl, os
import shm_attach
if os.geteuid() == 0:  # root may look at all descriptors
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    file = os.memfd_create("creator", os.MFD_ALLOW_SEALING)
    fcntl.fcntl(file, 1033, 2 | 4)  # F_ADD_SEALS: neither shrinks nor grows
    os.write(writing, f"memfd:{os.getpid()}:{file}:{os.fstat(file).st_ino}".encode())
    os._exit(0)
name = os.read(reading, 100).decode()
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
is_ending, told = shm_attach._is_ending, []
def look(pid):
    told.append(is_ending(pid))
    os.waitpid(int(pid), 0)
    told.append(is_ending(pid))
    return told[-1]
shm_attach._is_ending = look
try:
    shm_attach.attach(name)
except OSError as error:
    told.append(type(error).__name__)
print(told, end="")
`;
    // Taken out (the look whether the process is there): "PermissionError".
    assertEquals(
      (await runPython(["-c", python])).stdout,
      "[True, False, 'FileNotFoundError']",
    );
  },
);

// With hidepid=noaccess the kernel says EPERM where it says EACCES without.
for (const option of ["hidepid=0", "hidepid=1"]) {
  testWith(
    ["another user", "namespaces"],
    `another user's anonymous segment is PermissionDenied (${option})`,
    async () => {
      const { told: [load, copy, unlink, creator], pid } = await reachAcrossUsers(option);
      for (const told of [load, copy]) {
        assertEquals(told.slice(0, 2), ["PermissionDenied", "EACCES"]);
        assertStringIncludes(told[2] as string, `may not look at process ${pid}`);
      }
      assertEquals(unlink.slice(0, 2), ["PermissionDenied", "EPERM"]);
      assertEquals(creator, ["creator", true]);
    },
  );
}

testWith(
  ["another user", "namespaces"],
  "another user's anonymous segment is NotFound where /proc hides its creator",
  async () => {
    const { told: [load, copy, unlink, creator], pid } = await reachAcrossUsers("hidepid=2");
    for (const told of [load, copy]) {
      assertEquals(told.slice(0, 2), ["NotFound", "ENOENT"]);
      assertStringIncludes(
        told[2] as string,
        `there is no process ${pid} here: it has ended, or it`,
      );
      assertMatch(
        told[2] as string,
        /, or another user runs it, and \/proc hides it \(hidepid=\w+\)$/,
      );
    }
    assertEquals(unlink, ["returned", false]); // as of any segment that cannot be seen from here
    assertEquals(creator, ["creator", true]);
  },
);

testWith(
  "another user",
  "the mode of an anonymous segment holds for its own user, too",
  async () => {
    const code = `
    const sma = SharedMemoryArray.createAnonymous(3, "int8", { mode: 0o400 });
    sma.array.fill(4);
    const other = SharedMemoryArray.clone(sma);
    const told = [];
    try { other.load() } catch ({ constructor, code, message }) { told.push(constructor.name, code, message) }
    other.load({ access: "copy-on-write" });
    console.log(JSON.stringify([...told, other.array.toArray(), sma.unlink(), sma.unlink()]));`;
    const told = await withOtherUser((other) =>
      evalChild(code, { permissions: ["--allow-ffi"], as: other })
    ) as unknown[];
    assertEquals(told.slice(0, 2), ["PermissionDenied", "EACCES"]);
    assertStringIncludes(told[2] as string, 'load({ access: "copy-on-write" }) needs to read only');
    assertEquals(told.slice(3), [[4, 4, 4], true, false]);
  },
);

testWith(
  "namespaces",
  "in another PID namespace an anonymous segment is NotFound, with the reason",
  async () => {
    using sma = SharedMemoryArray.createAnonymous(3, "int8");
    const code = `
    const sma = new SharedMemoryArray(3, "int8", Deno.args[0]);
    try { sma.load() } catch ({ constructor, code, message }) {
      console.log(JSON.stringify([constructor.name, code, message, Deno.pid]));
    }`;
    const [kind, errno, message, pid] = await evalChild(code, {
      args: [sma.name],
      permissions: ["--allow-ffi"],
      before: inNamespaces("--pid --fork --mount-proc"),
    }) as [string, string, string, number];
    assertEquals([kind, errno], ["NotFound", "ENOENT"]);
    assert(pid < 100, `this is no namespace of its own: the child is process ${pid}`);
    assertStringIncludes(message, "another PID namespace (a container)");
    sma.unlink();
  },
);

testWith(
  "namespaces",
  "64 MB fit into an anonymous array where /dev/shm is full at 8 MB",
  async () => {
    const mount = "mount -t tmpfs -o size=8m tmpfs /dev/shm";
    const got = await evalChild(
      `
    const MB = 2 ** 20;
    const told = [];
    try {
      for (let i = 0; ; i++) new SharedMemoryArray(MB, "uint8", "full-" + i).create().fill(1);
    } catch ({ code }) {
      told.push(code);
    }
    const large = SharedMemoryArray.createAnonymous(64 * MB, "uint8");
    large.array.fill(3);
    using other = SharedMemoryArray.clone(large);
    told.push(other.load().get(-1), [...Deno.readDirSync("/dev/shm")].length);
    console.log(JSON.stringify(told));`,
      { before: inNamespaces("--mount", mount) },
    );
    assertEquals(got, ["ENOSPC", 3, 8]);
  },
);

Deno.test("createAnonymous() without a free descriptor gives EMFILE; unlink() frees one", async () => {
  const code = `
    using one = SharedMemoryArray.createAnonymous(1, "int8"); // opens the library
    one.unlink();
    const held = [];
    const told = [];
    try { while (true) held.push(SharedMemoryArray.createAnonymous(1, "int8")) }
    catch ({ code }) { told.push(code) }
    told.push(held[0].unlink(), held[0].unlink(), held[1].unlink());
    for (let i = 2; i < 20; i++) held[i].unlink();
    using again = SharedMemoryArray.createAnonymous(1, "int8");
    console.log(JSON.stringify([...told, again.array.get(0)]));`;
  const options = { permissions: ["--allow-ffi"], before: "ulimit -n 128" };
  assertEquals(await evalChild(code, options), ["EMFILE", true, false, true, 0]);
});

// --- Other languages -------------------------------------------------------------------------

testWith("NumPy", "Python attaches to an anonymous segment by the example's attach()", async () => {
  using sma = SharedMemoryArray.createAnonymous([3, 4], "int32");
  const program = `
import json, sys
from shm_attach import attach
job = json.loads(sys.stdin.read())
whole = attach(job["name"], job["shape"], job["dtype"])
whole[:] = [[10 * i + j for j in range(4)] for i in range(3)]
part = attach(**{key: job["part"][key] for key in ("name", "shape", "dtype", "layout")})
print(part.tolist())
part[0] = -1
wrong = job["name"] + "0"
try:
    attach(wrong, 1, "uint8")
except FileNotFoundError as error:
    print(error)
`;
  const part = sma.array!.slice("::-1", "1:3").transpose();
  const { stdout, stderr } = await runPython(
    ["-c", program],
    JSON.stringify({ ...sma, part }),
  );
  assertEquals(stderr, "");
  assertEquals(
    stdout,
    `[[21, 11, 1], [22, 12, 2]]\n${sma.name}0 is gone: the number is another file's now\n`,
  );
  assertEquals(sma.array!.toArray(), [[0, -1, 2, 3], [10, -1, 12, 13], [20, -1, 22, 23]]);
  assertEquals(sma.unlink(), true);
});

testWith("cc", "C attaches to an anonymous segment by its name", async () => {
  const program = await Deno.makeTempFile();
  try {
    const source = new URL("../c/attach_anonymous.c", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command("cc", {
      args: ["-Wall", "-Werror", "-o", program, source],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    using sma = SharedMemoryArray.createAnonymous(4, "int32");
    sma.array!.assign([1, 2, 3, 4]);
    const run = async (name: string): Promise<[number, string]> => {
      const { code, stdout } = await new Deno.Command(program, { args: [name] }).output();
      return [code, new TextDecoder().decode(stdout)];
    };
    assertEquals(await run(sma.name), [0, "10\n"]);
    assertEquals(sma.array!.toArray(), [2, 4, 6, 8]);
    assertEquals(await run(`${sma.name}0`), [2, ""]);
    sma.unlink();
    assertEquals((await run(sma.name))[0], 2);
  } finally {
    await Deno.remove(program);
  }
});
