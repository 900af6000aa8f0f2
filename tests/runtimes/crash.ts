/**
 * Kills processes of this runtime and of others at random moments, in the middle of what they do to shared memory,
 * and looks at what they leave. A process that dies of something else than the kill is a failure, too.
 *
 * @module
 */

import fs from "node:fs";
import process from "node:process";
import { errors, SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";
import { check, equal, ok, report } from "./check.ts";
import { hosts, Peer } from "./spawn.ts";

/** How often each kind of process is killed. */
const kills = Number(process.env.SHM_TEST_KILLS ?? 4);

const prefix = `crash${process.pid}`;
const sleep = (time: number): Promise<void> => new Promise((resume) => setTimeout(resume, time));
const exists = (name: string): boolean => fs.existsSync(`/dev/shm/${name}`);
const listed = () => SharedMemoryArray.list().filter((segment) => segment.prefix === prefix);

/** Makes an array that is removed at the end. */
function make<const S extends readonly number[]>(shape: S): SharedMemoryArray<"int32", S> {
  return new SharedMemoryArray(shape, "int32", SharedMemoryArray.buildSmaName(prefix));
}

/** Starts processes that do something for ever, and kills each at a random moment. */
async function killAtWork(
  role: string,
  data: object,
  look: (pid: number) => unknown,
): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    const peer = new Peer(hosts[kill % hosts.length]);
    equal(await peer.ask(role, { ...data, prefix }), "at work");
    await sleep(Math.random() * 20);
    await peer.kill();
    equal((await peer.ended).signal, "SIGKILL");
    await look(peer.pid);
  }
}

await check("creators that are killed leave what list() shows and prune() removes", async () => {
  const counter = make([1]);
  const rounds = counter.create();
  await killAtWork("createForEver", { descriptor: counter }, (pid) => {
    for (const { pids } of listed()) ok(!pids.includes(pid), "the dead one maps it");
  });
  ok(rounds.get(0) >= kills, "nothing was made");
  const left = listed().filter(({ pids }) => pids.length === 0);
  for (const { name, byteLength } of left) {
    ok([0, 300_000].includes(byteLength), `${name} has ${byteLength} bytes`);
    if (byteLength === 0) continue;
    const sma = SharedMemoryArray.attach(name, "uint8");
    ok([0, 7].includes(sma.array!.get(0)) && [0, 7].includes(sma.array!.get(-1)));
    sma.array!.fill(9);
    sma.close();
  }
  equal(SharedMemoryArray.prune({ prefix, olderThan: 0 }), left.map(({ name }) => name));
  counter.unlink();
  counter.close();
  equal(listed(), []);
});

await check("readers that are killed do no harm", async () => {
  const sma = make([64, 1024]);
  const view = sma.create();
  view.assign(Array.from({ length: 1024 }, (_, i) => i));
  await killAtWork("readForEver", { descriptor: sma }, (pid) => {
    ok(exists(sma.name), "the death of a reader removed the segment");
    ok(!listed()[0].pids.includes(pid), "a dead reader is shown");
  });
  equal(view.slice(63).toArray(), Array.from({ length: 1024 }, (_, i) => i));
  sma.unlink();
  sma.close();
});

await check("writers that are killed in a wrapped call leave each row old or new", async () => {
  const sma = make([400, 256]);
  const view = sma.create();
  view.fill(-1);
  const progress = make([1]);
  const done = progress.create();
  await killAtWork("writeForEver", { descriptor: sma, progress }, () => {
    const [round, row] = [Math.floor(done.get(0) / 400), done.get(0) % 400];
    [...view.rows()].forEach((elements, at) => {
      const expected = at < row ? [round] : at > row ? [round - 1] : [round, round - 1];
      ok([...elements].every((element) => expected.includes(element)), `row ${at} of ${round}`);
    });
    view.fill(-1);
    done.set(0, 0);
  });
  for (const each of [sma, progress]) {
    each.unlink();
    each.close();
  }
});

await check("creators of anonymous arrays that are killed leave nothing", async () => {
  const told = new SharedMemoryArray([100], "uint8", SharedMemoryArray.buildSmaName(prefix));
  told.create();
  await killAtWork("createAnonymousForEver", { descriptor: told }, (pid) => {
    const bytes = told.array!.copy();
    told.array!.fill(0);
    const name = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
    if (!/^memfd:\d+:\d+:\d+$/.test(name)) return; // it was killed before it told the first name, or while
    ok(name.startsWith(`memfd:${pid}:`));
    try {
      new SharedMemoryArray([300_000], "uint8", name).load();
    } catch (error) {
      ok(error instanceof errors.NotFound, String(error));
      return;
    }
    throw new Error(`${name} can still be loaded`);
  });
  told.unlink();
  told.close();
});

await check(
  "a lock goes on when holders are killed, and a counter under it stays right",
  async () => {
    const sma = make([2]);
    const view = sma.create();
    const lock = new SharedMemoryLock(SharedMemoryArray.buildSmaName(prefix)).create();
    await killAtWork("lockForEver", { descriptor: sma, lock: lock.name }, () => {
      const guard = lock.acquire({ timeout: 60_000 });
      // One that was killed between its two additions says so.
      if (guard.abandoned) view.set(1, view.get(0));
      equal(view.get(0), view.get(1));
      guard.release();
    });
    ok(view.get(0) > 0);
    lock.unlink();
    lock.close();
    sma.unlink();
    sma.close();
  },
);

await check("a ring whose writers are killed shows whole frames only", async () => {
  const name = SharedMemoryArray.buildSmaName(prefix);
  const ring = new SharedMemoryRing([512], "int32", name, 3).create();
  let last = 0;
  await killAtWork("publishForEver", { ring }, () => {
    const frame = ring.latest();
    const elements = frame?.copy();
    ok(elements?.every((element) => element === elements[0]), "a torn frame");
    ok(frame!.sequence >= last, "it went back");
    last = frame!.sequence;
  });
  ring.unlink();
  ring.close();
});

SharedMemoryArray.clearBuffers(listed().map(({ name }) => name));
report();
