// How load() and open() attach: read-write or copy-on-write, at once or after waiting for a creator.

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type OpenOptions, SharedMemory, SharedMemoryArray } from "@shm/array";
import {
  descriptorsOf,
  errorOf,
  evalChild,
  mappingsOf,
  segmentPath,
  startChild,
  withNames,
  withOtherUser,
} from "../helpers/helpers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

/** The bytes of a page on most machines; the tests leave room for larger ones. */
const page = 65536;

// --- Copy-on-write ---------------------------------------------------------------------------

Deno.test("load() copy-on-write keeps what it writes, and sees others until it does", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray(4 * page, "uint8", name);
    const shared = mine.create();
    using theirs = SharedMemoryArray.clone(mine);
    const copy = theirs.load({ access: "copy-on-write" });
    shared.set(0, 1);
    shared.set(3 * page, 1);
    assertEquals([copy.get(0), copy.get(3 * page)], [1, 1]); // live
    copy.set(0, 9);
    assertEquals([shared.get(0), copy.get(0)], [1, 9]); // private
    shared.set(1, 2);
    shared.set(3 * page, 2);
    assertEquals([copy.get(1), copy.get(3 * page)], [0, 2]); // the page is its own now, others are not
    assertEquals([descriptorsOf(name), theirs.smh!.size], [0, 4 * page]);
    theirs.close();
    assertThrows(() => copy.get(0), Deno.errors.BadResource);
    assertEquals([theirs.load().get(0), mappingsOf(name)], [1, 2]);
    mine.unlink();
  });
});

Deno.test("load() copy-on-write serves anonymous segments, and SharedMemory.open() raw bytes", () => {
  using mine = SharedMemoryArray.createAnonymous(4, "uint8");
  mine.array!.fill(3);
  using other = SharedMemoryArray.clone(mine);
  other.load({ access: "copy-on-write" }).fill(5);
  using bytes = SharedMemory.open(mine.name, { access: "copy-on-write" });
  const view = new Uint8Array(bytes.buf!);
  view[0] = 7;
  assertEquals([...view], [7, 3, 3, 3]);
  assertEquals(mine.array!.toArray(), [3, 3, 3, 3]);
  using again = SharedMemory.open(mine.name, { access: "read-write", timeout: 10 });
  new Uint8Array(again.buf!)[1] = 8;
  assertEquals(mine.array!.toArray(), [3, 8, 3, 3]);
  mine.unlink();
});

Deno.test("assign() between a copy-on-write array and its segment stores the old elements", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray(6, "int32", name);
    const shared = mine.create().assign([0, 1, 2, 3, 4, 5]);
    using theirs = SharedMemoryArray.clone(mine);
    const copy = theirs.load({ access: "copy-on-write" });
    copy.slice("1:").assign(shared.slice(":-1"));
    assertEquals(copy.toArray(), [0, 0, 1, 2, 3, 4]);
    assertEquals(shared.toArray(), [0, 1, 2, 3, 4, 5]);
    shared.assign(copy.slice("::-1"));
    assertEquals(shared.toArray(), [4, 3, 2, 1, 0, 0]);
    assertEquals(copy.toArray(), [0, 0, 1, 2, 3, 4]);
    // It describes what others can reach: the segment.
    using part = SharedMemoryArray.from(copy.slice("1:3"));
    assertEquals(part.load().toArray(), [3, 2]);
    mine.unlink();
  });
});

Deno.test("a moved or dropped copy-on-write buffer is given up like any other", async () => {
  using mine = SharedMemoryArray.createAnonymous(4, "uint8");
  const other = SharedMemoryArray.clone(mine);
  other.load({ access: "copy-on-write" }).fill(5);
  const moved = other.smh!.buf!.transfer();
  other.close();
  assertEquals([...new Uint8Array(moved)], [0, 0, 0, 0]); // zero pages, as after any close
  const dropped = await evalChild(
    `const sma = SharedMemoryArray.createAnonymous(4, "uint8");
     const inode = sma.name.split(":").at(-1);
     const mapped = () => Deno.readTextFileSync("/proc/self/maps").split("\\n")
       .filter((line) => line.includes("/memfd:") && line.includes(" " + inode + " ")).length;
     (() => SharedMemoryArray.clone(sma).load({ access: "copy-on-write" }).fill(5))();
     for (let i = 0; i < 100 && mapped() > 1; i++) {
       gc();
       await new Promise((resolve) => setTimeout(resolve, 10));
     }
     console.log(mapped(), JSON.stringify(sma.array.toArray()) === "[0,0,0,0]" ? "" : "wrong");`,
    { v8Flags: ["--expose-gc"] },
  );
  assertEquals(dropped, 1);
  mine.unlink();
});

/** What a mapping takes, in KiB, by the lines of /proc/self/smaps; for children. */
const tools = `
  const usage = (part) => {
    const maps = Deno.readTextFileSync("/proc/self/smaps").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
    const lines = maps.find((map) => map.includes(part) && map.includes("rw-p"));
    const of = (key) => Number(new RegExp("^" + key + ": *(\\\\d+)", "m").exec(lines)[1]);
    return { rss: of("Rss"), pss: of("Pss"), dirty: of("Private_Dirty"), page: of("KernelPageSize") };
  };
`;

Deno.test("load() copy-on-write of 1 GiB shares the memory, but for the pages that are written", async () => {
  const bytes = 2 ** 30;
  using model = SharedMemoryArray.createAnonymous(bytes, "uint8", { mode: 0o400 });
  model.array!.fill(1);
  const kib = bytes / 1024;
  const told = await evalChild(
    tools + `
    const sma = new SharedMemoryArray(${bytes}, "uint8", Deno.args[0]);
    const { data } = sma.load({ access: "copy-on-write" });
    let sum = 0;
    for (let i = 0; i < data.length; i += 1024) sum += data[i];
    const read = usage("/memfd:");
    data[5000] = 2;
    const written = usage("/memfd:");
    console.log(JSON.stringify({ sum, read, written }));`,
    { args: [model.name] },
  ) as { sum: number; read: Usage; written: Usage };
  assertEquals([told.sum, model.array!.get(5000)], [kib, 1]);
  const { read, written } = told;
  // Two processes map it: each has its half. (Of its own it would be all.)
  assertEquals([read.rss, read.dirty], [kib, 0]);
  assert(read.pss <= kib / 2 + 64, `PSS after reading is ${read.pss} of ${kib} KiB`);
  assertEquals(written.dirty, written.page);
  assert(written.pss <= read.pss + written.page, `PSS after a write is ${written.pss} KiB`);
  console.log(
    `copy-on-write of 1 GiB by the second process: PSS ${read.pss} KiB after reading all of it, ` +
      `${written.pss} KiB after one write; private ${read.dirty} and ${written.dirty} KiB`,
  );
  model.unlink();
});

/** What the child tells of its mapping, in KiB. */
interface Usage {
  rss: number;
  pss: number;
  dirty: number;
  page: number;
}

testWith(
  "another user",
  "another user's segment of mode 0o644 is loaded copy-on-write only",
  async () => {
    await withNames(async (name) => {
      using mine = new SharedMemoryArray(4, "uint8", name);
      mine.create({ mode: 0o644 }).assign([1, 2, 3, 4]);
      const told = await withOtherUser((other) =>
        evalChild(
          `const sma = new SharedMemoryArray(4, "uint8", Deno.args[0]);
       const told = [];
       try { sma.load() } catch ({ code, message }) { told.push(code, message) }
       const array = sma.load({ access: "copy-on-write" });
       told.push(array.toArray(), array.fill(9).toArray());
       console.log(JSON.stringify(told));`,
          {
            args: [name],
            permissions: ["--allow-ffi"],
            as: other,
          },
        )
      );
      const message = `Permission denied (os error 13): shm_open '${name}'; attaching wants to ` +
        'write, too; load({ access: "copy-on-write" }) needs to read only';
      assertEquals(told, ["EACCES", message, [1, 2, 3, 4], [9, 9, 9, 9]]);
      assertEquals(mine.array!.toArray(), [1, 2, 3, 4]);
    });
  },
);

testWith("namespaces", "a segment in a frozen /dev/shm is loaded copy-on-write only", async () => {
  const frozen = "mount -t tmpfs tmpfs /dev/shm && printf abcd > /dev/shm/model && " +
    "mount -o remount,bind,ro /dev/shm";
  const told = await evalChild(
    `const sma = new SharedMemoryArray(4, "uint8", "model");
     const told = [];
     try { sma.load() } catch ({ code, message }) { told.push(code, message.includes("copy-on-write")) }
     console.log(JSON.stringify([...told, sma.load({ access: "copy-on-write" }).fill(1).toArray()]));`,
    { before: inNamespaces("--mount", frozen) },
  );
  assertEquals(told, ["EROFS", true, [1, 1, 1, 1]]);
});

Deno.test("load() copy-on-write does not hang at a FIFO in the place of a segment", () => {
  withNames((name) => {
    new Deno.Command("mkfifo", { args: [segmentPath(name)] }).outputSync();
    const error = errorOf(() => SharedMemory.open(name, { access: "copy-on-write" }));
    assertEquals(error.constructor, Deno.errors.InvalidData);
  });
});

// --- Waiting for a creator -------------------------------------------------------------------

Deno.test("load() with a timeout waits for a creator that has not begun", async () => {
  await withNames(async (name) => {
    const child = await startChild(
      `console.log("up");
       await new Promise((resolve) => setTimeout(resolve, 300));
       new SharedMemoryArray(4, "uint8", Deno.args[0]).create().fill(6);`,
      { args: [name], permissions: ["--allow-ffi"] },
    );
    const output = child.stdout.getReader();
    await output.read();
    using sma = new SharedMemoryArray(4, "uint8", name);
    const array = sma.load({ timeout: 60_000 });
    // It may be met between its creation and the fill.
    while (array.get(3) === 0);
    assertEquals(array.toArray(), [6, 6, 6, 6]);
    await Promise.all([output.cancel(), child.stderr.cancel(), child.status]);
  });
});

Deno.test("load() gives up after its timeout, and says so", () => {
  withNames((name) => {
    const sma = new SharedMemoryArray(4, "uint8", name);
    const text = `No such file or directory (os error 2): shm_open '${name}'; `;
    for (const timeout of [0, 1, 50.5]) {
      const begin = performance.now();
      const error = errorOf(() => sma.load({ timeout }));
      const took = performance.now() - begin;
      assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
      assertEquals(
        error.message,
        text +
          (timeout === 0
            ? "load({ timeout }) waits for its creator"
            : `nobody has created it for ${timeout} ms`),
      );
      assert(took >= timeout - 1, `${timeout} ms were over after ${took}`);
    }
    assertEquals([sma.smh, sma.array], [null, null]);
    // An anonymous segment is there before its name is: waiting for it has no sense.
    const begin = performance.now();
    assertThrows(
      () => SharedMemory.open("memfd:0:1:2", { timeout: 60_000 }),
      Deno.errors.NotFound,
    );
    assert(performance.now() - begin < 59_000, "it waited");
  });
});

Deno.test("load() and open() check their options before they look for the segment", () => {
  const sma = new SharedMemoryArray(4, "uint8", "nobody-made-this");
  const misuses: [unknown, typeof TypeError | typeof RangeError, string][] = [
    [null, TypeError, "Cannot load: the options must be an object, not null"],
    ["copy-on-write", TypeError, "Cannot load: the options must be an object, not a string"],
    [{ mode: 0o600 }, TypeError, 'there is no option "mode"; there is access, timeout'],
    [{ access: 1 }, TypeError, "Cannot load: access must be a string"],
    [
      { access: "read-only" },
      RangeError,
      'access must be "read-write" or "copy-on-write", not "read-only"',
    ],
    [{ timeout: "1" }, TypeError, "Cannot load: timeout must be a number of milliseconds"],
    [{ timeout: -1 }, RangeError, "timeout must be 0 or more milliseconds, not -1"],
    [{ timeout: NaN }, RangeError, "timeout must be 0 or more milliseconds, not NaN"],
  ];
  for (const [options, Class, message] of misuses) {
    const calls = [
      () => sma.load(options as OpenOptions),
      () => SharedMemory.open("nobody-made-this", options as OpenOptions),
    ];
    for (const call of calls) {
      const error = errorOf(call);
      assertEquals(error.constructor, Class);
      assertStringIncludes(error.message, message);
    }
  }
});
