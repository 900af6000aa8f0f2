// What versions an instance keeps mapped: memory that only the collector of garbage gives back is too late.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { SharedMemoryVersions } from "@shm/array/publish";
import { errorOf, evalChild, mappingsOf } from "../helpers/helpers.ts";
import { partOf, publishUrl, segmentsOf, withPublication } from "../helpers/publish_helpers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "publishing");

const { BadResource } = Deno.errors;

const tableOf = (name: string) => new SharedMemoryVersions([4], "int32", name);

/** Publishes a version of which each element is its number. */
function publish(table: SharedMemoryVersions<"int32">): Promise<number> {
  return table.publish((next, version) => next.fill(version));
}

/** Which of some versions can still be read. */
function alive(versions: { version: number; array: { get(i: number): number } }[]): number[] {
  return versions.filter(({ array, version }) => {
    try {
      assertEquals(array.get(0), version);
      return true;
    } catch (error) {
      assert(error instanceof BadResource, String(error));
      return false;
    }
  }).map(({ version }) => version);
}

// --- The rules -------------------------------------------------------------------------------

for (const keep of [undefined, 0, 1, 3, 20]) {
  Deno.test(`a reader with keep ${keep} has the newest, the one before, held ones and so many others`, () =>
    withPublication(async (name) => {
      using table = tableOf(name).create();
      using reader = tableOf(name).load({ keep });
      const seen = [];
      const holds: Disposable[] = [];
      for (let i = 1; i <= 30; i++) {
        await publish(table);
        const version = reader.changed({ timeout: 0 });
        seen.push(version);
        if (i === 2 || i === 9) {
          const { hold } = version; // it can be taken off
          holds.push(hold());
        }
        // Another look at the same one changes nothing.
        assert(reader.current() === version);
      }
      const kept = 2 + (keep ?? 8);
      const numbers = seen.map(({ version }) => version);
      // Those that are held do not count.
      const others = numbers.filter((version) => ![2, 9].includes(version)).slice(-kept);
      assertEquals(alive(seen), [2, 9, ...others].sort((a, b) => a - b));
      assertEquals(
        mappingsOf(name),
        3 + 2 + kept,
        "two headers, the writer's newest, these",
      );
      // What is not held any more is one of the others.
      for (const hold of holds) {
        hold[Symbol.dispose]();
        hold[Symbol.dispose]();
      }
      assertEquals(alive(seen), numbers.slice(-kept));
      reader.closeOlder(2);
      assertEquals(alive(seen), [29, 30]);
      reader.closeOlder();
      assertEquals(alive(seen), [30]);
      table.unlink();
    }));
}

Deno.test("a version that was closed says why, and that hold() keeps one", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    using reader = tableOf(name).load({ keep: 0 });
    const versions = [];
    for (let i = 1; i <= 3; i++) {
      await publish(table);
      versions.push(reader.current()!);
    }
    const [{ array, hold }, before] = versions;
    for (
      const act of [() => array.get(0), () => [...array], () => array.copy(), () => array.slice(0)]
    ) {
      const error = errorOf(act);
      assert(error instanceof BadResource);
      assertStringIncludes(error.message, `version 1 of '${name}'`);
      assertStringIncludes(error.message, "there is a newer one");
      assertStringIncludes(error.message, "hold() keeps a version");
    }
    assertThrows(() => hold(), BadResource, "hold() keeps a version");
    {
      using _held = before.hold();
      for (let i = 4; i <= 6; i++) {
        await publish(table);
        reader.current();
      }
      reader.closeOlder();
      assertEquals(before.array.get(3), 2);
    }
    assertEquals(before.array.get(3), 2, "all between were closed, so it is the one before");
    await publish(table);
    reader.current();
    assertThrows(() => before.array.get(3), BadResource);
    // close() closes all, held ones, too.
    using _held = reader.current()!.hold();
    const { array: last } = reader.current()!;
    reader.close();
    assertThrows(() => last.get(0), BadResource);
    table.unlink();
  }));

Deno.test("keep is a whole number from 0, of create() and of load()", () =>
  withPublication((name) => {
    const table = tableOf(name);
    for (const wrong of [-1, 1.5, NaN, Infinity]) {
      assertThrows(() => table.create({ keep: wrong }), RangeError, "keep");
      assertThrows(() => table.load({ keep: wrong }), RangeError, "keep");
    }
    assertThrows(() => table.create({ keep: "1" as never }), TypeError, "keep must be a number");
    assertThrows(() => table.load({ keep: "1" as never }), TypeError);
    assertThrows(() => table.load({ kept: 1 } as never), TypeError, "there is timeout, keep");
    assertThrows(() => table.create({ mode: "1" as never }), TypeError, "mode");
    assertEquals(segmentsOf(name), []);
    table.create({ keep: 2, mode: 0o640, reserve: false }).close();
    table.unlink();
  }));

Deno.test("publish() closes the filler's view, and the writer keeps the newest and what it gave out", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    const views: { get(i: number): number }[] = [];
    for (let i = 1; i <= 20; i++) {
      await table.publish((next) => void views.push(next.fill(i)));
      const error = errorOf(() => views.at(-1)!.get(0));
      assert(error instanceof BadResource);
      assertStringIncludes(error.message, `is version ${i} of '${name}' now; current() gives`);
      assertEquals(mappingsOf(name), 2);
    }
    // Also one that was filled later, and one that failed.
    await table.publish(async (next) => {
      await Promise.resolve();
      views.push(next.fill(21));
    });
    assertThrows(() => views.at(-1)!.get(0), BadResource);
    await assertRejects(() =>
      table.publish((next) => {
        views.push(next);
        throw new Error("no data");
      })
    );
    assertThrows(() => views.at(-1)!.get(0), BadResource);
    const given = table.current()!;
    await publish(table);
    assertEquals([given.array.get(0), mappingsOf(name)], [21, 3]);
    for (let i = 0; i < 12; i++) {
      await publish(table);
      table.current();
    }
    assertEquals(mappingsOf(name), 1 + 2 + 8);
    table.unlink();
  }));

// --- Little room -----------------------------------------------------------------------------

/** Runs code in a process whose `/dev/shm` has a size of its own. */
function inSmallMemory(size: string, code: string, before = "true"): Promise<unknown> {
  return evalChild(
    `const { SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
     const names = () => [...Deno.readDirSync("/dev/shm")].map((each) => each.name).sort();
     const mapped = () =>
       Deno.readTextFileSync("/proc/self/maps").split("\\n").filter((line) => /\\.v\\d/.test(line)).length;
     ${code}`,
    {
      before: `${before}; ${
        inNamespaces("--mount", `mount -t tmpfs -o size=${size} tmpfs /dev/shm`)
      }`,
    },
  );
}

testWith("namespaces", "a writer that nobody reads never fills /dev/shm", async () => {
  // 64 versions would fill it. Without turns of the event loop nothing is garbage, with them little.
  for (const turn of ["", "await new Promise((resume) => setTimeout(resume, 1));"]) {
    const told = await inSmallMemory(
      "8m",
      `const table = new SharedMemoryVersions([2 ** 20], "uint8", "full").create();
       let most = 0;
       for (let i = 1; i <= 100; i++) {
         await table.publish((next) => next.fill(i));
         ${turn}
         most = Math.max(most, mapped());
       }
       console.log(JSON.stringify([table.current().version, most, names().length]));`,
    );
    assertEquals(told, [100, 1, 2]);
  }
});

testWith(
  "namespaces",
  "a reader that keeps all that it is given never fills /dev/shm",
  async () => {
    for (
      const wait of ["reader.changed()", "await reader.changedAsync()", "reader.current()"]
    ) {
      const told = await inSmallMemory(
        "16m",
        `const table = new SharedMemoryVersions([2 ** 20], "uint8", "full").create();
       const reader = new SharedMemoryVersions([2 ** 20], "uint8", "full").load();
       const all = [];
       let most = 0;
       for (let i = 1; i <= 100; i++) {
         await table.publish((next) => next.fill(i));
         all.push(${wait});
         most = Math.max(most, mapped());
       }
       const alive = all.filter(({ array }) => array.data.length > 0).map(({ version }) => version);
       console.log(JSON.stringify([alive, most]));`,
      );
      // The newest, the one before, and 2 MiB, an eighth, of others; the writer has its newest mapped.
      assertEquals(told, [[97, 98, 99, 100], 5]);
    }
  },
);

testWith(
  "namespaces",
  "where there is no room, old versions are given up, and the step is tried again",
  async () => {
    const told = await inSmallMemory(
      "16m",
      `const size = 2 ** 19;
     const table = new SharedMemoryVersions([size], "uint8", "full").create();
     const all = [];
     const publish = async (i) => {
       await table.publish((next) => next.fill(i));
       all.push(table.current());
     };
     for (let i = 1; i <= 8; i++) await publish(i);
     const alive = () => all.filter(({ array }) => array.data.length > 0).map(({ version }) => version);
     const before = alive();
     // All that is left, but for less than a version.
     let room = 0;
     const file = Deno.openSync("/dev/shm/filler", { write: true, create: true });
     try {
       while (true) file.writeSync(new Uint8Array(2 ** 16));
     } catch {
       // full
     }
     await publish(9);
     const after = alive();
     // Now the newest, the one before and the held ones are all that there is: there is nothing to give up.
     const { hold } = table.current();
     hold();
     table.closeOlder(2);
     try {
       while (true) file.writeSync(new Uint8Array(2 ** 16));
     } catch {
       // full
     }
     const errors = [];
     for (let i = 0; i < 2; i++) {
       const error = await publish(10).then(() => null, (error) => error);
       errors.push(error && error.code);
     }
     const here = names().map((name) => name.replace(/\\.[0-9a-f]{16}\\./, ".ID."));
     console.log(JSON.stringify([before, after, errors, here, table.current().version]));`,
    );
    assertEquals(told, [
      [3, 4, 5, 6, 7, 8],
      [7, 8, 9], // 7 is an old one since 9 was given out
      ["ENOSPC", "ENOSPC"],
      ["filler", "full", "full.ID.v9"],
      9,
    ]);
  },
);

testWith(
  "namespaces",
  "without a descriptor a version is published when there is one again, and nothing is left",
  async () => {
    const told = await inSmallMemory(
      "16m",
      `const table = new SharedMemoryVersions([16], "uint8", "few").create();
     await table.publish((next) => next.fill(1));
     const files = [];
     let code;
     const take = () => {
       try {
         while (true) files.push(Deno.openSync("/dev/null"));
       } catch {
         // none is left
       }
     };
     take();
     const told = [];
     const tryIt = () => table.publish((next) => next.fill(2)).then((n) => told.push(n), (e) => told.push(e.code));
     await tryIt();
     files.pop().close();
     await tryIt();
     await tryIt();
     for (const file of files) file.close();
     console.log(JSON.stringify([told, table.current().version, names().length]));`,
      "ulimit -n 128",
    );
    const [all, version, count] = told as [unknown[], number, number];
    assertEquals(all[0], "EMFILE");
    assertEquals([version, count], [all.filter((each) => typeof each === "number").length + 1, 2]);
  },
);

Deno.test("thousands of small versions take no more than a few mappings, with and without turns", async () => {
  const told = await evalChild(
    `const { SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
     const name = Deno.args[0];
     const table = new SharedMemoryVersions([16], "uint8", name).create();
     const reader = SharedMemoryVersions.clone(table).load();
     const lines = () => Deno.readTextFileSync("/proc/self/maps").split("\\n").length;
     for (let i = 1; i <= 20; i++) { await table.publish(() => {}); reader.changed(); }
     const before = lines();
     for (let i = 1; i <= 4000; i++) {
       await table.publish(() => {});
       const { version } = i % 2 ? reader.changed() : await reader.changedAsync();
       if (i % 200 === 0) await new Promise((resume) => setTimeout(resume, 0));
     }
     const grown = lines() - before;
     table.unlink();
     console.log(JSON.stringify(grown < 400 || grown));`,
    { args: [`test-small-${crypto.randomUUID().slice(0, 8)}`] },
  );
  assertEquals(told, true);
});

Deno.test("a writer gives up no version that another process reads", () =>
  withPublication(async (name) => {
    using table = tableOf(name).create();
    await publish(table);
    const told = evalChild(
      `const { SharedMemoryVersions } = await import(${JSON.stringify(publishUrl)});
       const reader = new SharedMemoryVersions([4], "int32", Deno.args[0]).load();
       const { array } = reader.current();
       const { version } = await reader.changedAsync();
       const newer = reader.changed().version;
       console.log(JSON.stringify([array.toArray(), version, newer > version]));`,
      { args: [name] },
    );
    let isDone = false;
    told.finally(() => isDone = true).catch(() => {});
    while (!isDone) {
      await publish(table);
      await new Promise((resume) => setTimeout(resume, 20));
    }
    const [elements, , isNewer] = await told as [number[], number, boolean];
    assert(elements.every((each) => each === elements[0]) && isNewer);
    assertEquals(segmentsOf(name), [name, partOf(name, table.current()!.version)]);
    table.unlink();
  }));
