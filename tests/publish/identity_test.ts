// Publications that have the same name one after another: nobody takes the one for the other.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { evalChild, segmentExists, withOtherUser } from "../helpers/helpers.ts";
import {
  idOf,
  Member,
  partOf,
  rejectionOf,
  segmentsOf,
  sleep,
  withPublication,
} from "../helpers/publish_helpers.ts";
import { scale } from "../helpers/scale.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "publishing");

const tableOf = (name: string) => new SharedMemoryVersions([4], "int32", name);

/** The number and the first element of the newest version, as somebody sees it who comes now. */
function newestOf(name: string): unknown {
  using reader = tableOf(name).load();
  const version = reader.current();
  return version && [version.version, version.array.toArray()];
}

// --- Writers ---------------------------------------------------------------------------------

for (const published of [0, 1, 2, 5]) {
  for (const anew of [1, 2, 3]) {
    Deno.test(`a writer of ${published} versions publishes nothing beside ${anew} of the next publication`, () =>
      withPublication(async (name) => {
        using old = tableOf(name).create();
        for (let i = 1; i <= published; i++) await old.publish((next) => next.fill(-i));
        tableOf(name).unlink();
        using fresh = tableOf(name).create();
        for (let i = 1; i <= anew; i++) await fresh.publish((next) => next.fill(100 + i));
        const before = [segmentsOf(name), newestOf(name)];
        let isCalled = false;
        const publish = () => old.publish(() => void (isCalled = true));
        await assertRejects(publish, Deno.errors.NotFound, "its name was removed");
        assertEquals(isCalled, false, "nothing is made for a publication that is gone");
        assertThrows(() => old.end(), Deno.errors.NotFound);
        old.close();
        assertEquals([segmentsOf(name), newestOf(name)], before);
        fresh.unlink();
        assertEquals(segmentsOf(name), []);
      }));
  }
}

Deno.test("a version that is being filled when its publication is removed and made anew is given up", () =>
  withPublication(async (name) => {
    using old = tableOf(name).create();
    await old.publish((next) => next.fill(1));
    const filling = old.publish(async (next) => {
      await sleep(30);
      next.fill(2);
    });
    tableOf(name).unlink();
    using fresh = tableOf(name).create();
    for (let i = 1; i <= 2; i++) await fresh.publish((next) => next.fill(100 + i));
    assert(await rejectionOf(filling) instanceof Deno.errors.NotFound);
    assertEquals(newestOf(name), [2, [102, 102, 102, 102]]);
    assertEquals(segmentsOf(name), [name, partOf(name, 2)]);
    fresh.unlink();
  }));

Deno.test("a writer that is closed in the middle when its publication is gone leaves nothing", () =>
  withPublication(async (name) => {
    const old = tableOf(name).create();
    await old.publish((next) => next.fill(1));
    const filling = old.publish(() => sleep(50));
    Deno.removeSync(`/dev/shm/${name}`); // by hand: the versions stay
    assertEquals(segmentsOf(name).length, 2);
    old.close();
    assert(await rejectionOf(filling) instanceof Deno.errors.BadResource);
    assertEquals(segmentsOf(name), []);
  }));

Deno.test("a reader of a removed publication is given nothing of the next one", () =>
  withPublication(async (name) => {
    using old = tableOf(name).create();
    using reader = tableOf(name).load();
    await old.publish((next) => next.fill(1));
    tableOf(name).unlink();
    using fresh = tableOf(name).create();
    await fresh.publish((next) => next.fill(7));
    assertThrows(() => reader.current(), Deno.errors.NotFound, "it was removed");
    assertThrows(() => reader.changed(), Deno.errors.NotFound);
    fresh.unlink();
  }));

// --- Names -----------------------------------------------------------------------------------

Deno.test("arrays and publications that are called as versions once were stay as they are", () =>
  withPublication(async (name) => {
    const arrays = [1, 2, 3, 4].map((n) => new SharedMemoryArray([3], "int32", `${name}.v${n}`));
    for (const array of arrays) array.create().assign([7, 8, 9]);
    using table = tableOf(name).create();
    using release = tableOf(`${name}.v5`).create();
    await release.publish((next) => next.fill(42));
    for (let i = 1; i <= 6; i++) await table.publish((next) => next.fill(i));
    table.close();
    table.load();
    await table.publish((next) => next.fill(7)); // after a sweep
    assertEquals(SharedMemoryArray.clearBuffers([name]), [name]);
    assertEquals(newestOf(release.name), [1, [42, 42, 42, 42]]);
    for (const array of arrays) {
      using again = SharedMemoryArray.clone(array);
      assertEquals(again.load().toArray(), [7, 8, 9]);
      array.close();
      array.unlink();
    }
    release.unlink();
    assertEquals(segmentsOf(name), []);
  }));

Deno.test("unlink() of an attached instance leaves what has its name by now", () =>
  withPublication(async (name) => {
    using old = tableOf(name).create();
    await old.publish((next) => next.fill(1));
    assertEquals([old.unlink(), old.unlink()], [true, false]);
    using fresh = tableOf(name).create();
    await fresh.publish((next) => next.fill(2));
    const before = segmentsOf(name);
    assertEquals(old.unlink(), false);
    assertEquals(segmentsOf(name), before);
    assertEquals(fresh.unlink(), true);
    assertEquals(segmentsOf(name), []);
    // Something of another kind, too.
    using array = new SharedMemoryArray([2], "int8", name);
    array.create();
    assertEquals([old.unlink(), segmentsOf(name)], [false, [name]]);
    // An instance that is not attached removes by name.
    old.close();
    assertEquals([old.unlink(), segmentsOf(name)], [true, []]);

    using ring = new SharedMemoryRing([4], "uint8", name, 2).create();
    assertEquals(SharedMemoryRing.clone(ring).unlink(), true);
    using next = SharedMemoryRing.clone(ring).create();
    assertEquals([ring.unlink(), segmentExists(name)], [false, true]);
    ring.close();
    assertEquals([ring.unlink(), next.unlink(), segmentExists(name)], [true, false, false]);
  }));

// --- What killed ones leave ------------------------------------------------------------------

/** Has a writer killed when its publication is removed while it fills a version; gives the version's name. */
async function leaveVersion(name: string): Promise<string> {
  using table = tableOf(name).create();
  const writer = await Member.start(
    `
    const table = SharedMemoryVersions.from(JSON.parse(Deno.args[0])).load();
    await table.publish(() => {
      say("half");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });
    `,
    { args: [JSON.stringify(table)] },
  );
  assertEquals(await writer.line(), "half");
  const version = partOf(name, 1);
  // As if the writer had made its version right after the others were listed.
  Deno.renameSync(`/dev/shm/${version}`, `/dev/shm/${version}-hidden`);
  table.unlink();
  Deno.renameSync(`/dev/shm/${version}-hidden`, `/dev/shm/${version}`);
  await writer.kill();
  assertEquals(segmentsOf(name), [version]);
  return version;
}

Deno.test("clearBuffers() takes what writers of earlier publications left, and no more", () =>
  withPublication(async (name) => {
    const left = await leaveVersion(name);
    using table = tableOf(name).create();
    await table.publish((next) => next.fill(3));
    assertEquals(segmentsOf(name), [name, left, partOf(name, 1)].sort());
    // Somebody else's list of names does not reach it.
    assertEquals(SharedMemoryArray.clearBuffers([`${name}-other`]), []);
    assertEquals(newestOf(name), [1, [3, 3, 3, 3]]);
    assertEquals(SharedMemoryArray.clearBuffers([name, left]), [name, left]);
    assertEquals(segmentsOf(name), []);
    // Also where there is no publication of that name any more.
    await leaveVersion(name);
    assertEquals(SharedMemoryArray.clearBuffers([name]), []);
    assertEquals(segmentsOf(name), []);
  }));

Deno.test("prune() takes what writers of earlier publications left, and leaves a living one", async () => {
  const prefix = `dead${crypto.randomUUID().slice(0, 8)}`;
  const name = SharedMemoryArray.buildSmaName(prefix);
  try {
    const left = await leaveVersion(name);
    using table = tableOf(name).create();
    await table.publish((next) => next.fill(3));
    const options = { prefix, olderThan: 0 };
    assertEquals(SharedMemoryArray.prune({ prefix }), [], "it is young");
    assertEquals(SharedMemoryArray.prune({ ...options, dryRun: true }), [left]);
    assertEquals(SharedMemoryArray.prune(options), [left]);
    assertEquals(newestOf(name), [1, [3, 3, 3, 3]]);
    assertEquals(segmentsOf(name), [name, partOf(name, 1)]);
    // A remover that was killed between two steps leaves the publication under another name.
    table.close();
    Deno.renameSync(`/dev/shm/${name}`, `/dev/shm/${name}.0123456789abcdef`);
    const both = segmentsOf(name);
    assertEquals([SharedMemoryArray.prune(options), both.length], [both, 2]);
    assertEquals(segmentsOf(name), []);
  } finally {
    for (const each of segmentsOf(name)) Deno.removeSync(`/dev/shm/${each}`);
  }
});

Deno.test("several that remove, create and publish at the same time leave no version and take none away", () =>
  withPublication(async (name) => {
    const code = `
      const [name, role] = Deno.args;
      const table = () => new SharedMemoryVersions([64], "int32", name);
      const cell = new Int32Array(new SharedArrayBuffer(4));
      const found = { done: 0, wrong: 0, what: {} };
      const note = (error) => {
        found.what[error.name] = (found.what[error.name] ?? 0) + 1;
        const isRemoved = error.message.includes("its creator gave up and removed it");
        if (!["NotFound", "AlreadyExists", "Busy", "TimeoutError"].includes(error.name) && !isRemoved) {
          found.wrong++;
          found.what[error.name] = error.stack;
        }
      };
      say("ready");
      const end = performance.now() + ${2500 * Math.max(1, scale)};
      // On a machine that does much else, a writer may need longer for its first version.
      const last = role === "read" ? end : end + 60_000;
      while (performance.now() < (found.done === 0 ? last : end)) {
        try {
          if (role === "remove") {
            if (table().unlink()) found.done++;
            Atomics.wait(cell, 0, 0, Math.random() * 2);
          } else if (role === "attached") {
            using mine = Math.random() < 0.5 ? table().create() : table().load();
            Atomics.wait(cell, 0, 0, Math.random() * 2);
            if (mine.unlink()) found.done++;
          } else if (role === "write") {
            using mine = Math.random() < 0.5 ? table().create() : table().load();
            for (let i = 0; i < 5; i++) {
              await mine.publish((next) => next.fill(-7));
              found.done++;
            }
          } else {
            using mine = table().load();
            for (let i = 0; i < 5; i++) {
              const { array } = mine.changed({ timeout: 20 });
              found.done++;
              // Nobody fills what was handed out, and nobody hands out what is not filled.
              if (array.get(0) !== -7 || array.get(63) !== -7) found.wrong++;
            }
          }
        } catch (error) {
          note(error);
        }
      }
      say(JSON.stringify(found));
    `;
    const roles = ["remove", "attached", "remove", "write", "write", "write", "read", "read"];
    const members = await Promise.all(
      roles.map((role) => Member.start(code, { args: [name, role] })),
    );
    for (const member of members) assertEquals(await member.line(), "ready");
    const done: { [role: string]: number } = {};
    for (const [i, member] of members.entries()) {
      const found = JSON.parse(await member.line());
      assertEquals(found.wrong, 0, `${roles[i]}: ${JSON.stringify(found)}`);
      done[roles[i]] = (done[roles[i]] ?? 0) + found.done;
      await member.end();
    }
    assert(done.write > 0 && done.remove + done.attached > 0, JSON.stringify(done));
    // All writers have ended: whatever is there belongs to the publication that is there.
    const ids = new Set(
      segmentsOf(name).filter((each) => each !== name).map((each) => each.split(".").at(-2)),
    );
    assertEquals([...ids], segmentsOf(name).length > 1 ? [idOf(name)] : []);
    tableOf(name).unlink();
    assertEquals(segmentsOf(name), []);
  }));

// --- Several users ---------------------------------------------------------------------------

testWith(
  ["namespaces", "another user"],
  "a second user publishes in a sticky /dev/shm, and is never told of a failure after the commit",
  async () => {
    const told = await withOtherUser((other) => {
      const url = JSON.stringify(`${other.folder}/src/publish/mod.ts`);
      const second = `
        import { SharedMemoryVersions } from ${url};
        const table = new SharedMemoryVersions([4], "int32", "sticky").load();
        const told = [];
        for (let i = 2; i <= 5; i++) {
          try {
            told.push(await table.publish((next) => next.fill(i)));
          } catch (error) {
            told.push(error.message);
          }
        }
        table.close();
        console.log(JSON.stringify(told));
      `;
      return evalChild(
        `
        const { SharedMemoryVersions } = await import(${url});
        const names = () => [...Deno.readDirSync("/dev/shm")].map((each) => each.name).sort();
        const table = new SharedMemoryVersions([4], "int32", "sticky").create({ mode: 0o666 });
        await table.publish((next) => next.fill(1));
        const [part] = names().filter((name) => name.endsWith(".v1"));
        const id = part.split(".")[1];
        // Somebody has made a file of the name that version 4 would have.
        const inTheWay = new SharedMemoryArray([1], "int8", part.replace(/1$/, "4"));
        inTheWay.create();
        table.close();
        const child = new Deno.Command(Deno.args[0], {
          args: [...Deno.args.slice(1), "run", "-A", "--no-config", "-"],
          stdin: "piped",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(${JSON.stringify(second)}));
        await writer.close();
        const { stdout, stderr } = await child.output();
        const text = new TextDecoder();
        if (stdout.length === 0) throw new Error(text.decode(stderr));
        const told = JSON.parse(text.decode(stdout));
        table.load();
        const newest = [table.current().version, table.current().array.get(0)];
        const left = names().map((name) => name.replace(id, "ID"));
        inTheWay.unlink();
        const next = await table.publish((array) => array.fill(6));
        const then = names().map((name) => name.replace(id, "ID"));
        table.unlink();
        console.log(JSON.stringify([told, newest, left, next, then, names()]));
        `,
        {
          args: [...other.deno],
          before: inNamespaces("--mount", "mount -t tmpfs -o mode=1777 tmpfs /dev/shm"),
        },
      );
    });
    assertEquals(told, [
      [2, 3, 5, 6],
      [6, 5],
      ["sticky", "sticky.ID.v1", "sticky.ID.v4", "sticky.ID.v6"],
      7,
      ["sticky", "sticky.ID.v7"],
      [],
    ]);
  },
);
