// Versions of a table: one writer that replaces all of it, readers that keep what they use.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryVersions, type VersionsDescriptor } from "@shm/array/publish";
import { descriptorsOf, errorOf, evalChild, mappingsOf } from "../helpers/helpers.ts";
import {
  Member,
  mixedText,
  partOf,
  publishUrl,
  rejectionOf,
  segmentsOf,
  sleep,
  withPublication,
} from "../helpers/publish_helpers.ts";
import { Peer } from "../helpers/python.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm; one writer is told by flock");

type Table = SharedMemoryVersions<"uint32", readonly [number]>;

/** Calls `body` with a publication of versions of four elements. */
function withTable(body: (table: Table) => void | Promise<void>): Promise<void> {
  return withPublication(async (name) => {
    using table = new SharedMemoryVersions([4] as const, "uint32", name);
    table.create();
    await body(table as Table);
  });
}

/** The number of a version and its first element. */
function told(version: { version: number; array: { get(i: number): number } } | null): unknown {
  return version && [version.version, version.array.get(0)];
}

// --- Descriptors -----------------------------------------------------------------------------

Deno.test("SharedMemoryVersions is plain data, and comes back from it", () => {
  const table = new SharedMemoryVersions([2, 3], "<f4", "a-table");
  const plain: unknown = { kind: "versions", shape: [2, 3], dtype: "float32", name: "a-table" };
  assertEquals(Object.keys(table), ["kind", "shape", "dtype", "name"]);
  assertEquals(JSON.parse(JSON.stringify(table)), plain);
  assert(Object.isFrozen(table.shape));
  const cloned = structuredClone(table) as VersionsDescriptor;
  assertEquals<unknown>({ ...SharedMemoryVersions.from(cloned) }, plain);
  assertEquals(SharedMemoryVersions.clone(table, { dtype: "int8" }).dtype, "int8");
  assertEquals(String(table), "SharedMemoryVersions 'a-table' [2, 3] float32");
  assertStringIncludes(Deno.inspect(table), "attached: false");
  assertEquals(Deno.inspect(SharedMemoryVersions.prototype), "SharedMemoryVersions {}");
});

Deno.test("SharedMemoryVersions refuses wrong arguments before anything is done", async () => {
  const make = (...args: unknown[]) => () =>
    // deno-lint-ignore no-explicit-any -- wrong on purpose
    new (SharedMemoryVersions as any)(...args);
  assertThrows(make([0], "float32", "x"), RangeError);
  assertThrows(make([2], "complex64", "x"), TypeError);
  assertThrows(make([2], "float32", "a/b"), RangeError);
  assertThrows(make([2], "float32", "x".repeat(221)), RangeError, "this platform allows 220");
  make([2], "float32", "x".repeat(220))();
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const from = (value: any) => () => SharedMemoryVersions.from(value);
  assertThrows(from(5), TypeError, "a descriptor is an object with shape, dtype, name");
  assertThrows(from({ shape: [2], name: "x" }), TypeError, "has no dtype");
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  assertThrows(() => SharedMemoryVersions.clone(1 as any), TypeError, "SharedMemoryVersions");
  const table = new SharedMemoryVersions(2, "int8", "nobody-made-this");
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const wrong = table as any;
  assertThrows(() => wrong.create({ mod: 1 }), TypeError, 'there is no option "mod"');
  assertThrows(() => wrong.load({ timeout: -1 }), RangeError);
  assertThrows(() => wrong.changed({ signal: AbortSignal.abort() }), TypeError, "no option");
  assertThrows(() => wrong.changed({ timeout: -1 }), RangeError);
  await assertRejects(() => wrong.changedAsync({ timeout: "1" }), TypeError);
  await assertRejects(() => wrong.publish(), TypeError, "a function that fills");
  await assertRejects(() => table.publish(() => {}), Deno.errors.BadResource);
  await assertRejects(() => table.changedAsync(), Deno.errors.BadResource);
  const acts = [() => table.current(), () => table.changed(), () => table.closeOlder()];
  for (const act of acts) assertThrows(() => void act(), Deno.errors.BadResource, "not attached");
  assertThrows(() => SharedMemoryVersions.prototype.unlink.call({ name: "x" } as never), TypeError);
});

// --- Segments --------------------------------------------------------------------------------

Deno.test("create() and load() tell what is wrong, and leave nothing attached", () =>
  withPublication(async (name) => {
    const table = new SharedMemoryVersions([4], "uint32", name);
    assertThrows(() => table.load(), Deno.errors.NotFound, "load({ timeout })");
    assertThrows(() => table.load({ timeout: 20 }), Deno.errors.NotFound);
    table.create({ mode: 0o644 });
    assertThrows(() => table.create(), Deno.errors.Busy);
    assertThrows(() => SharedMemoryVersions.clone(table).create(), Deno.errors.AlreadyExists);
    const other = SharedMemoryVersions.clone(table, { shape: [5] });
    assertThrows(() => other.load(), RangeError, "its arrays have 16 bytes of '<u4'");
    await table.publish((next) => next.fill(1));
    assertEquals(Deno.statSync(`/dev/shm/${partOf(name, 1)}`).mode! & 0o777, 0o644);
    assertEquals([mappingsOf(name), descriptorsOf(name)], [2, 1]);
    table.close();
    table.close();
    assertEquals([mappingsOf(name), descriptorsOf(name)], [0, 0]);
    assert(table.unlink() && !table.unlink());
    using array = new SharedMemoryArray([1000], "uint8", name);
    array.create();
    array.array!.fill(65);
    assertThrows(() => table.load(), TypeError, "not that of a publication of versions");
  }));

Deno.test("a reader may have the versions in another shape of the same dtype and bytes", () =>
  withPublication(async (name) => {
    using table = new SharedMemoryVersions([2, 3], "float32", name).create();
    using turned = SharedMemoryVersions.clone(table, { shape: [3, 2] }).load();
    await table.publish((next) => void next.assign([[1, 2, 3], [4, 5, 6]]));
    assertEquals(turned.current()!.array.toArray(), [[1, 2], [3, 4], [5, 6]]);
  }));

Deno.test("there are the current version and the one that is being filled, and no other", () =>
  withTable(async (table) => {
    const { name } = table;
    assertEquals(segmentsOf(name), [name]);
    for (let i = 1; i <= 12; i++) {
      const before = i === 1 ? [] : [partOf(name, i - 1)];
      const number = await table.publish((next) => {
        assertEquals(segmentsOf(name), [name, ...before, partOf(name, i)].sort());
        assertEquals(next.toArray(), [0, 0, 0, 0]);
        next.fill(i);
      });
      assertEquals(number, i);
      assertEquals(segmentsOf(name), [name, partOf(name, i)]);
    }
    assertEquals(table.unlink(), true);
    assertEquals(segmentsOf(name), []);
  }));

Deno.test("registers and clearBuffers() remove the versions, too, whether the writer lives or not", async () => {
  for (const isKilled of [true, false]) {
    await withPublication(async (name) => {
      const code = `
        const table = SharedMemoryVersions.from(JSON.parse(Deno.args[0])).create();
        await table.publish((next) => next.fill(1));
        await table.publish((next) => next.fill(2));
        try {
          await table.publish(async (next) => {
            say("half");
            const isThere = () => [...Deno.readDirSync("/dev/shm")].some((each) => each.name === Deno.args[1]);
            while (${isKilled} || isThere()) await new Promise((resume) => setTimeout(resume, 5));
          });
          say("published");
        } catch (error) {
          say(error.name);
        }
      `;
      const description = new SharedMemoryVersions([4], "uint32", name);
      const writer = await Member.start(code, { args: [JSON.stringify(description), name] });
      assertEquals(await writer.line(), "half");
      if (isKilled) await writer.kill();
      assertEquals(segmentsOf(name), [name, partOf(name, 2), partOf(name, 3)]);
      {
        using register = new SharedMemoryRegister();
        register.push(name);
      }
      assertEquals(segmentsOf(name), []);
      if (!isKilled) {
        assertEquals(await writer.line(), "NotFound");
        await writer.end();
      }
      assertEquals(segmentsOf(name), []);
      // A list in which the versions stand, too, tells of each that it is removed.
      using again = SharedMemoryVersions.clone(description).create();
      await again.publish(() => {});
      const [first, second] = [partOf(name, 1), partOf(name, 2)];
      assertEquals(SharedMemoryArray.clearBuffers([name, first, second]), [name, first]);
      const gone = await assertRejects(
        () => again.publish(() => {}),
        Deno.errors.NotFound,
        "was removed",
      );
      assertEquals((gone as { code?: string }).code, "ENOENT");
      assertEquals(segmentsOf(name), []);
    });
  }
});

Deno.test("prune() takes a publication and its versions together, or not at all", async () => {
  const prefix = `versions${crypto.randomUUID().slice(0, 8)}`;
  const name = SharedMemoryArray.buildSmaName(prefix);
  const table = new SharedMemoryVersions([4], "uint32", name).create();
  try {
    await table.publish(() => {});
    const writer = SharedMemoryVersions.clone(table);
    table.close();
    using reader = SharedMemoryVersions.clone(writer).load();
    // Nobody has the version mapped, but somebody the publication.
    const both = [name, partOf(name, 1)];
    const listed = SharedMemoryArray.list().filter((each) => each.prefix === prefix);
    assertEquals(listed.map((each) => each.name), both);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), []);
    assertEquals(told(reader.current()), [1, 0]);
    reader.close();
    assertEquals(SharedMemoryArray.prune({ prefix }), [], "both are young");
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0, dryRun: true }), both);
    assertEquals(SharedMemoryArray.prune({ prefix, olderThan: 0 }), both);
  } finally {
    table.unlink();
  }
  assertEquals(segmentsOf(name), []);
});

// --- Publishing ------------------------------------------------------------------------------

Deno.test("publish() gives numbers from 1, for functions with and without a promise", () =>
  withTable(async (table) => {
    assertEquals(await table.publish((next) => next.fill(5)), 1);
    assertEquals(told(table.current()), [1, 5]);
    const slow = table.publish(async (next) => {
      await sleep(20);
      next.fill(6);
    });
    assertEquals(told(table.current()), [1, 5]);
    assert(await rejectionOf(table.publish(() => {})) instanceof Deno.errors.Busy);
    assertEquals(await slow, 2);
    assertEquals(told(table.current()), [2, 6]);
    // Without a promise it is published at once.
    const published = table.publish((next) => void next.fill(7));
    assertEquals(told(table.current()), [3, 7]);
    assertEquals(await published, 3);
  }));

Deno.test("publish() that fails changes nothing and leaves nothing", () =>
  withTable(async (table) => {
    await table.publish((next) => next.fill(1));
    const before = segmentsOf(table.name);
    const reason = new Error("no data");
    const fail = (): never => {
      throw reason;
    };
    assertEquals(await rejectionOf(table.publish(fail)), reason);
    assertEquals(await rejectionOf(table.publish(() => sleep(5).then(fail))), reason);
    assertEquals(segmentsOf(table.name), before);
    assertEquals(told(table.current()), [1, 1]);
    assertEquals(mappingsOf(table.name), 2);
    // Closed in the middle.
    const closed = table.publish(async (next) => {
      await sleep(20);
      next.fill(2);
    });
    table.close();
    assertEquals(segmentsOf(table.name), before);
    assert(await rejectionOf(closed) instanceof Deno.errors.BadResource);
    assertEquals([segmentsOf(table.name), mappingsOf(table.name)], [before, 0]);
    table.load();
    assertEquals(await table.publish((next) => next.fill(2)), 2);
  }));

Deno.test("publish() waits for whatever has a then()", () =>
  withTable(async (table) => {
    const later = (next: { fill(value: number): unknown }) => ({
      then(done: () => void): void {
        setTimeout(() => (next.fill(5), done()), 10);
      },
    });
    const publishing = table.publish(later);
    assertEquals(table.current(), null);
    assertEquals([await publishing, table.current()!.array.get(3)], [1, 5]);
  }));

Deno.test("publish() that fails for want of descriptors leaves nothing, and says so", () =>
  withTable(async (table) => {
    const files: Deno.FsFile[] = [];
    const before = segmentsOf(table.name);
    const failure = await rejectionOf(table.publish(() => {
      while (true) files.push(Deno.openSync("/dev/null"));
    }));
    for (const file of files) file.close();
    assertStringIncludes(failure.message, "'/dev/null'");
    assertEquals([segmentsOf(table.name), mappingsOf(table.name)], [before, 1]);
  }));

Deno.test("the first that publishes is the writer until it closes, in this process and in others", () =>
  withTable(async (table) => {
    using other = SharedMemoryVersions.clone(table).load();
    await table.publish((next) => next.fill(1));
    await assertRejects(() => other.publish(() => {}), Deno.errors.Busy, "it has a writer");
    const code = `
      import { SharedMemoryVersions } from ${JSON.stringify(publishUrl)};
      using table = SharedMemoryVersions.from(JSON.parse(Deno.args[0])).load();
      console.log(JSON.stringify(await table.publish(() => {}).catch((error) => error.name)));
    `;
    const publish = () => evalChild(code, { args: [JSON.stringify(table)] });
    assertEquals(await publish(), "Busy");
    table.close();
    assertEquals(await publish(), 2);
    assertEquals(await other.publish((next) => next.fill(3)), 3);
  }));

Deno.test("an array that has the name of a version of old is not in the way, and stays", () =>
  withPublication(async (name) => {
    using left = new SharedMemoryArray([2], "uint8", `${name}.v1`);
    left.create();
    using table = new SharedMemoryVersions([4], "uint32", name).create();
    assertEquals(await table.publish((next) => next.fill(8)), 1);
    assertEquals(told(table.current()), [1, 8]);
    assertEquals(segmentsOf(name), [name, partOf(name, 1), `${name}.v1`].sort());
    table.unlink();
    assertEquals(segmentsOf(name), [`${name}.v1`], "it was nobody's version");
    left.unlink();
  }));

// --- Reading ---------------------------------------------------------------------------------

Deno.test("current() is null before the first, and the same object while nothing is new", () =>
  withTable(async (table) => {
    using reader = SharedMemoryVersions.clone(table).load();
    assertEquals(reader.current(), null);
    await table.publish((next) => next.fill(10));
    const first = reader.current()!;
    assertEquals<unknown>({ ...first }, { version: 1, array: first.array });
    assert(Object.isFrozen(first) && reader.current() === first);
    for (let i = 2; i <= 5; i++) await table.publish((next) => next.fill(10 * i));
    const second = reader.current()!;
    assertEquals([told(second), told(first)], [[5, 50], [1, 10]]);
    assertEquals(first.array.toArray(), [10, 10, 10, 10]);
    reader.closeOlder(2);
    assertEquals(told(first), [1, 10]);
    assertThrows(() => reader.closeOlder(0), RangeError, "keep must be 1 or more");
    assertThrows(() => reader.closeOlder("1" as never), TypeError);
    reader.closeOlder();
    assertThrows(() => first.array.get(0), Deno.errors.BadResource);
    assertEquals(told(second), [5, 50]);
    reader.close();
    assertThrows(() => second.array.get(0), Deno.errors.BadResource);
  }));

Deno.test("changed() and changedAsync() give what is newer than what was given last", () =>
  withTable(async (table) => {
    using reader = SharedMemoryVersions.clone(table).load();
    const waiting = [reader.changedAsync(), reader.changedAsync({ timeout: 60_000 })];
    await sleep(20);
    await table.publish((next) => next.fill(1));
    assertEquals((await Promise.all(waiting)).map(told), [[1, 1], [1, 1]]);
    assertEquals(errorOf(() => reader.changed({ timeout: 30 })).name, "TimeoutError");
    await table.publish((next) => next.fill(2));
    await table.publish((next) => next.fill(3));
    assertEquals(told(reader.changed({ timeout: 0 })), [3, 3]);
    // What current() gave is given.
    await table.publish((next) => next.fill(4));
    reader.current();
    assertEquals(errorOf(() => reader.changed({ timeout: 0 })).name, "TimeoutError");
    const reason = new Error("enough");
    const stop = new AbortController();
    const aborted = reader.changedAsync({ signal: stop.signal });
    const closed = reader.changedAsync();
    const late = reader.changedAsync({ timeout: 20 });
    assertEquals((await rejectionOf(late)).name, "TimeoutError");
    stop.abort(reason);
    assertEquals(await rejectionOf(aborted), reason);
    assertEquals(await rejectionOf(reader.changedAsync({ signal: stop.signal })), reason);
    reader.close();
    assert(await rejectionOf(closed) instanceof Deno.errors.BadResource);
  }));

Deno.test("who has a version keeps it when all is removed, and is told that there is no newer one", () =>
  withTable(async (table) => {
    using reader = SharedMemoryVersions.clone(table).load();
    using late = SharedMemoryVersions.clone(table).load();
    await table.publish((next) => next.fill(1));
    const version = reader.current()!;
    table.unlink();
    assertEquals([told(version), told(reader.current())], [[1, 1], [1, 1]]);
    const error = assertThrows(() => late.current(), Deno.errors.NotFound, "version 1");
    assertEquals((error as { code?: string }).code, "ENOENT");
    // Another publication under the same name is another one.
    using again = SharedMemoryVersions.clone(table).create();
    await again.publish((next) => next.fill(9));
    assertThrows(() => late.current(), Deno.errors.NotFound, "it was removed");
    assertEquals(told(reader.current()), [1, 1]);
    again.unlink();
  }));

for (const start of [2 ** 31 - 2, 2 ** 32 - 2]) {
  Deno.test(`versions go on across ${start + 1}`, () =>
    withTable(async (table) => {
      {
        using memory = SharedMemory.open(table.name);
        new BigUint64Array(memory.buf!, 64, 1)[0] = BigInt(start);
      }
      using reader = SharedMemoryVersions.clone(table).load();
      for (let i = 1; i <= 4; i++) {
        assertEquals(await table.publish((next) => next.fill(i)), start + i);
        assertEquals(told(reader.current()), [start + i, i]);
        assert(reader.current() === reader.current());
      }
      table.unlink();
      assertEquals(segmentsOf(table.name), []);
    }));
}

// --- Memory ----------------------------------------------------------------------------------

testWith(
  "room",
  "old versions go when they are garbage; a loop without turns has closeOlder()",
  () =>
    withPublication(async (name) => {
      const code = `
      import { SharedMemoryVersions } from ${JSON.stringify(publishUrl)};
      const [name] = Deno.args;
      const bytes = 16 * 2 ** 20;
      using table = new SharedMemoryVersions([bytes], "uint8", name).create();
      using reader = SharedMemoryVersions.clone(table).load();
      const mapped = () => {
        const maps = Deno.readTextFileSync("/proc/self/maps").split("\\n");
        return maps.filter((line) => /\\.v\\d+$/.test(line) && line.includes(name)).length;
      };
      for (let i = 1; i <= 30; i++) {
        await table.publish((next) => next.fill(i));
        const { array } = await reader.changedAsync();
        if (array.get(-1) !== i) throw new Error("wrong");
      }
      let left = mapped();
      for (let i = 0; i < 1000 && left > 2; i++) {
        gc();
        await new Promise((resume) => setTimeout(resume, 10));
        left = mapped();
      }
      const resident = () =>
        Number(/Shmem.*?(\\d+)/.exec(Deno.readTextFileSync("/proc/self/status").replace("RssShmem", "Shmem"))[1]);
      table.closeOlder();
      reader.closeOlder();
      const after = mapped();
      let mostInLoop = 0;
      for (let i = 31; i <= 40; i++) {
        table.publish((next) => void next.fill(i));
        reader.changed();
        table.closeOlder();
        reader.closeOlder();
        mostInLoop = Math.max(mostInLoop, mapped());
      }
      table.unlink();
      console.log(JSON.stringify([left, after, mostInLoop, resident() < 3 * bytes / 1024]));
    `;
      // The newest one of each instance is left.
      assertEquals(
        await evalChild(code, { args: [name], v8Flags: ["--expose-gc"] }),
        [2, 2, 2, true],
      );
    }),
);

// --- Many processes, and killed ones ------------------------------------------------------------

/**
 * A reader that says how many of the versions that it saw were mixed. The first word of the progress is the
 * number of the last version, when that is known; then comes for each reader how many versions it has seen,
 * and how often it found a table mixed that is written in place by the same writer.
 */
const readerText = `
${mixedText}
const [descriptor, inPlace, progressDescriptor, reader, milliseconds] = JSON.parse(Deno.args[0]);
using table = SharedMemoryVersions.from(descriptor).load();
using written = SharedMemoryArray.from(inPlace);
using progress = SharedMemoryArray.from(progressDescriptor);
const [control, words] = [written.load(), progress.load().data];
const cell = new Int32Array(new SharedArrayBuffer(4));
const pause = () => milliseconds > 0 && Atomics.wait(cell, 0, 0, milliseconds);
say("ready");
let [seen, mixedOnes] = [0, 0];
for (let last = 0; last === 0 || seen < last; last = Atomics.load(words, 0)) {
  const { version, array } = milliseconds > 0
    ? table.changed({ timeout: 60000 })
    : await table.changedAsync({ timeout: 60000 });
  if (version <= seen) throw new Error("went back");
  seen = version;
  if (mixed(array, version, pause)) mixedOnes++;
  if (mixed(control, control.get(0), pause)) Atomics.add(words, 2 * reader + 2, 1);
  table.closeOlder();
  // One that comes anew, as if it had just been started: it may meet a name that was just removed.
  using late = SharedMemoryVersions.clone(table).load();
  const { version: newer, array: other } = late.current();
  if (newer < version || mixed(other, newer, () => {})) mixedOnes++;
  Atomics.add(words, 2 * reader + 1, 1);
}
say(String(mixedOnes));
`;

Deno.test("500 versions, three readers: none is mixed or missing, and the check finds those that are", () =>
  withPublication(async (name) => {
    using table = new SharedMemoryVersions([65_536], "uint32", name).create();
    using inPlace = new SharedMemoryArray([65_536], "uint32", `${name}.control`);
    const control = inPlace.create();
    using progress = new SharedMemoryArray([8], "int32", `${name}.progress`);
    const words = progress.create().data;
    const readers = await Promise.all(
      [0, 1, 5].map((milliseconds, reader) =>
        Member.start(readerText, {
          args: [JSON.stringify([table, inPlace, progress, reader, milliseconds])],
        })
      ),
    );
    for (const reader of readers) assertEquals(await reader.line(), "ready");
    // The table that is written in place is the negative control.
    const isEnough = (): boolean =>
      [0, 1, 2].every((reader) => Atomics.load(words, 2 * reader + 1) >= 10) &&
      [0, 1, 2].some((reader) => Atomics.load(words, 2 * reader + 2) > 0);
    const deadline = performance.now() + 60_000 * Math.max(1, scale);
    let last = 0;
    const publish = (): Promise<number> => {
      control.fill(++last);
      return table.publish((next) => next.fill(last));
    };
    while (last < 500 * scale || (!isEnough() && performance.now() < deadline)) {
      await publish();
      table.closeOlder();
      if (last % 50 === 0) await sleep(1);
    }
    assert(isEnough(), `the readers have seen ${words}`);
    Atomics.store(words, 0, last + 1);
    await publish();
    for (const reader of readers) {
      assertEquals(await reader.line(), "0");
      await reader.end();
    }
    inPlace.unlink();
    progress.unlink();
    table.unlink();
    assertEquals(segmentsOf(name), []);
  }));

/** How often each kind of process is killed in a plain run; ten times as often in a long one. */
const kills = Math.ceil(5 * scale);

Deno.test(`${kills} writers killed in the middle of filling: nothing changes, the next one sweeps`, () =>
  withPublication(async (name) => {
    using table = new SharedMemoryVersions([4096], "uint32", name).create();
    let version = 0;
    for (let k = 0; k < kills; k++) {
      const killed = await Member.start(
        `
        const table = SharedMemoryVersions.from(JSON.parse(Deno.args[0])).load();
        const number = (table.current()?.version ?? 0) + 1;
        await table.publish((next) => next.fill(number));
        await table.publish((next) => {
          next.slice("0:2000").fill(12345);
          say("half");
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        });
      `,
        { args: [JSON.stringify(table)] },
      );
      assertEquals(await killed.line(), "half");
      version++;
      const waiting = table.current()!.version === version ? table.changedAsync() : null;
      await killed.kill();
      assertEquals(
        segmentsOf(name),
        [name, partOf(name, version), partOf(name, version + 1)].sort(),
      );
      assertEquals(table.current()!.version, version);
      assert(table.current()!.array.copy().every((element) => element === version));
      using next = SharedMemoryVersions.clone(table).load();
      assertEquals(await next.publish((array) => array.fill(version + 1)), ++version);
      assertEquals((await waiting)!.version, version);
      assertEquals(segmentsOf(name), [name, partOf(name, version)]);
    }
    // Whoever removes the publication removes what the last one left.
    const killed = await Member.start(
      `
      const table = SharedMemoryVersions.from(JSON.parse(Deno.args[0])).load();
      await table.publish(() => {
        say("half");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });
    `,
      { args: [JSON.stringify(table)] },
    );
    assertEquals(await killed.line(), "half");
    await killed.kill();
    assertEquals(segmentsOf(name).length, 3);
    table.unlink();
    assertEquals(segmentsOf(name), []);
  }));

Deno.test(`${kills} writers killed at any moment: there is always a whole version, and nothing is left`, () =>
  withPublication(async (name) => {
    using table = new SharedMemoryVersions([16_384], "uint32", name).create();
    await table.publish((next) => next.fill(1));
    table.close();
    table.load();
    for (let k = 0; k < kills; k++) {
      const killed = await Member.start(
        `
        const table = SharedMemoryVersions.from(JSON.parse(Deno.args[0])).load();
        say("at work");
        for (let number = table.current().version + 1; true; number++) {
          const version = await table.publish((next) => next.fill(number));
          if (version !== number) throw new Error("wrong number");
        }
      `,
        { args: [JSON.stringify(table)] },
      );
      assertEquals(await killed.line(), "at work");
      await sleep(Math.random() * 20);
      await killed.kill();
      using late = SharedMemoryVersions.clone(table).load();
      const { version, array } = late.current()!;
      assert(array.copy().every((element) => element === version));
      assert(segmentsOf(name).length <= 3);
    }
    table.unlink();
    assertEquals(segmentsOf(name), []);
  }));

Deno.test(`${kills} readers killed while they wait and while they read do no harm`, () =>
  withPublication(async (name) => {
    using table = new SharedMemoryVersions([4096], "uint32", name).create();
    await table.publish((next) => next.fill(1));
    using survivor = SharedMemoryVersions.clone(table).load();
    for (let k = 0; k < kills; k++) {
      survivor.current();
      const readers = await Promise.all([
        `table.current(); say("at work"); table.changed();`,
        `table.current(); const wait = table.changedAsync(); say("at work"); await wait;`,
        `say("at work"); while (true) table.current().array.copy();`,
      ].map((code) =>
        Member.start(
          `const table = SharedMemoryVersions.from(JSON.parse(Deno.args[0])).load();\n${code}`,
          { args: [JSON.stringify(table)] },
        )
      ));
      for (const reader of readers) assertEquals(await reader.line(), "at work");
      const waiting = survivor.changedAsync();
      await sleep(Math.random() * 10);
      await Promise.all(readers.map((reader) => reader.kill()));
      const version = await table.publish((next) => next.fill(k));
      assertEquals((await waiting).version, version);
      assertEquals(segmentsOf(name), [name, partOf(name, version)]);
    }
  }));

// --- Workers, Python -------------------------------------------------------------------------

Deno.test("versions serve Workers, each with an instance of its own", () =>
  withTable(async (table) => {
    const code = `
      import { SharedMemoryVersions } from ${JSON.stringify(publishUrl)};
      onmessage = async ({ data }) => {
        const table = SharedMemoryVersions.from(data).load();
        postMessage("ready");
        const { version, array } = await table.changedAsync({ timeout: 60000 });
        postMessage([version, array.get(0)]);
        table.close(); // Nobody makes old JavaScript of this text: it has no "using".
      };
    `;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const worker = new Worker(url, { type: "module" });
    try {
      const message = () =>
        new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
      const ready = message();
      worker.postMessage({ ...table });
      assertEquals(await ready, "ready");
      const answer = message();
      await sleep(20);
      await table.publish((next) => next.fill(42));
      assertEquals(await answer, [1, 42]);
    } finally {
      worker.terminate();
      URL.revokeObjectURL(url);
    }
  }));

testWith("NumPy", "Python reads and publishes versions", () =>
  withPublication(async (name) => {
    using table = new SharedMemoryVersions([2, 3], "float32", name).create({ mode: 0o640 });
    await using peer = new Peer();
    await peer.run(`
from shm_attach import Versions
table = Versions("${name}", (2, 3), "float32")
def told(version):
    return version and [version[0], float(version[1][1, 2])]
def raised(action):
    try:
        action()
    except Exception as error:
        return type(error).__name__
`);
    assertEquals(await peer.ask("told(table.current())"), null);
    assertEquals(await peer.ask("raised(lambda: table.changed(timeout=0.05))"), "TimeoutError");
    const asked = peer.ask("told(table.changed())");
    await sleep(100);
    await table.publish((next) => next.fill(1.5));
    assertEquals(await asked, [1, 1.5]);
    await peer.run("first = table.current()");
    for (let i = 2; i <= 5; i++) await table.publish((next) => next.fill(i));
    assertEquals(await peer.ask("[told(table.current()), told(first)]"), [[5, 5], [1, 1.5]]);
    assertEquals(
      await peer.ask("raised(lambda: table.publish(lambda a: None))"),
      "BlockingIOError",
    );
    table.close();
    table.load();
    table.current();
    const changed = table.changedAsync({ timeout: 60_000 });
    await peer.run("def fill(array):\n    array[...] = 6\n");
    assertEquals(await peer.ask("table.publish(fill)"), 6);
    const { version, array } = await changed;
    assertEquals([version, array.toArray()], [6, [[6, 6, 6], [6, 6, 6]]]);
    assertEquals(Deno.statSync(`/dev/shm/${partOf(name, 6)}`).mode! & 0o777, 0o640);
    await assertRejects(() => table.publish(() => {}), Deno.errors.Busy);
    assertEquals(
      await peer.ask("raised(lambda: table.publish(lambda a: 1 / 0))"),
      "ZeroDivisionError",
    );
    assertEquals(segmentsOf(name), [name, partOf(name, 6)]);
    await peer.run(`table.close()\ntable = Versions("${name}", (2, 3), "float32")`);
    assertEquals(await table.publish((next) => next.fill(7)), 7);
    assertEquals(await peer.ask("told(table.current())"), [7, 7]);
    assertEquals(
      await peer.ask(`raised(lambda: Versions("${name}", (2, 4), "float32"))`),
      "ValueError",
    );
    table.unlink();
    await peer.run(`table = None`);
    assertEquals(segmentsOf(name), []);
  }));

Deno.test("publish() at the end of the stack leaves no version half made", () =>
  withPublication(async (name) => {
    const left = await evalChild(
      `
      const { SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
      const left = [];
      for (let shift = 0; shift < 36; shift++) {
        const table = new SharedMemoryVersions([4], "int32", Deno.args[0]).create();
        let successes = 0;
        const pending = [];
        const deeper = () => {
          try {
            deeper();
          } catch { /* This is the end of the stack. */ }
          if (successes > 3 || pending.length > 400) return;
          try {
            pending.push(table.publish((next) => void next.fill(1)).then(() => successes++, () => {}));
          } catch { /* The end is still too near. */ }
        };
        (function shifted(rest) { rest > 0 ? shifted(rest - 1) : deeper(); })(shift);
        await Promise.all(pending);
        try {
          await table.publish((next) => void next.fill(2));
        } catch (error) {
          left.push(error.message);
        }
        table.unlink();
        table.close();
      }
      console.log(JSON.stringify(left));`,
      { args: [name] },
    );
    assertEquals(left, []);
  }));
