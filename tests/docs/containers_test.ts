// What docs/containers.md says of containers and of users: of PID namespaces, and of groups.

import { assertEquals } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryLock, waitAsync } from "@shm/array/sync";
import { withOtherUser } from "../helpers/helpers.ts";
import { untilWaiting } from "../helpers/sync.ts";
import { inNamespaces, testWith } from "../helpers/test_with.ts";

const root = new URL("../../", import.meta.url);

/** Runs a program by a command, and gives what it printed as JSON. */
async function told(command: readonly string[], program: string): Promise<unknown> {
  const file = await Deno.makeTempFile({ dir: "/tmp", suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, program);
    await Deno.chmod(file, 0o644);
    const [name, ...args] = command;
    const { stdout, stderr } = await new Deno.Command(name, {
      args: [...args, "run", "--no-config", "--no-check", "--quiet", "-A", file],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    if (text === "") throw new Error(new TextDecoder().decode(stderr));
    return JSON.parse(text);
  } finally {
    await Deno.remove(file);
  }
}

/** What a container sees of the segments of another one. */
const inContainer = (job: unknown): string => `
  import { SharedMemoryArray } from "${root}mod.ts";
  import { SharedMemoryLock, notify } from "${root}src/sync/mod.ts";
  import { SharedMemoryQueue } from "${root}src/queue/mod.ts";
  const job = JSON.parse(${JSON.stringify(JSON.stringify(job))});
  const seen = { pids: SharedMemoryArray.list().find(({ name }) => name === job.sma.name)?.pids };
  const prefix = job.sma.name.split("-")[1];
  const leftovers = SharedMemoryArray.prune({ prefix, olderThan: 0, dryRun: true });
  seen.isTakenForLeftover = leftovers.includes(job.sma.name);
  try {
    SharedMemoryArray.from(job.anonymous).load();
  } catch (error) {
    seen.anonymous = error.name;
  }
  const lock = SharedMemoryLock.from(job.lock).load();
  seen.lock = lock.tryAcquire();
  const words = SharedMemoryArray.from(job.sma).load();
  Atomics.store(words.data, 0, 1);
  seen.woken = notify(words.data, 0);
  const queue = SharedMemoryQueue.from(job.queue).load();
  seen.answer = await queue.call("a question", { timeout: 60_000 });
  console.log(JSON.stringify(seen));
  lock.acquire();
  Deno.exit(0); // it still has the lock`;

testWith(
  ["Linux", "namespaces"],
  "docs/containers.md: what works between two PID namespaces, and what does not",
  async () => {
    const prefix = `containers${crypto.randomUUID().slice(0, 8)}`;
    using sma = new SharedMemoryArray([1], "int32", SharedMemoryArray.buildSmaName(prefix));
    using lock = new SharedMemoryLock(`${sma.name}.lock`);
    using queue = new SharedMemoryQueue(`${sma.name}.queue`, 2);
    using anonymous = SharedMemoryArray.createAnonymous([1], "int32");
    try {
      const { data } = sma.create();
      lock.create();
      queue.create();
      const guard = lock.acquire();
      const working = queue.serve(({ message }) => {
        guard.release();
        return `the answer to ${message}`;
      });
      const waiting = waitAsync(data, 0, 0, 60_000).value;
      await untilWaiting({ pid: Deno.pid }, "async", 2); // beside the queue's
      const job = { sma, lock, queue, anonymous };
      const deno = ["sh", "-c", inNamespaces("--pid --fork --mount-proc"), "sh", Deno.execPath()];
      assertEquals(await told(deno, inContainer(job)), {
        pids: [],
        isTakenForLeftover: true,
        anonymous: "NotFound",
        lock: null,
        woken: 1,
        answer: "the answer to a question",
      });
      assertEquals(await waiting, "ok");
      using after = lock.acquire({ timeout: 60_000 });
      assertEquals(after.abandoned, true);
      queue.end();
      await working;
    } finally {
      SharedMemoryArray.clearBuffers([sma.name, lock.name, queue.name]);
    }
  },
);

/** What a user makes of a segment: whether it can be read, written, and removed. */
const asUser = (modUrl: string, name: string): string => `
  import { SharedMemoryArray } from "${modUrl}";
  const attempt = (action) => {
    try {
      return action();
    } catch (error) {
      return error.name;
    }
  };
  const make = () => new SharedMemoryArray([1], "int32", ${JSON.stringify(name)});
  console.log(JSON.stringify({
    read: attempt(() => make().load({ access: "copy-on-write" }).get(0)),
    write: attempt(() => make().load().get(0)),
    remove: attempt(() => make().unlink()),
  }));`;

testWith(
  ["Linux", "another user"],
  "docs/containers.md: what each mode lets other users do",
  () =>
    withOtherUser(async ({ deno, modUrl }) => {
      const name = SharedMemoryArray.buildSmaName("users");
      const seenWith = async (mode: number, group: string): Promise<unknown> => {
        const make = `
          import { SharedMemoryArray } from "${root}mod.ts";
          const sma = new SharedMemoryArray([1], "int32", ${JSON.stringify(name)});
          sma.create({ mode: ${mode} }).set(0, 7);
          console.log(JSON.stringify(Deno.uid()));`;
        try {
          await told(["setpriv", `--regid=${group}`, "--clear-groups", Deno.execPath()], make);
          return await told(deno, asUser(modUrl, name));
        } finally {
          SharedMemoryArray.clearBuffers([name]);
        }
      };
      const [no, nobody] = ["PermissionDenied", "65534"];
      assertEquals(await seenWith(0o600, nobody), { read: no, write: no, remove: no });
      assertEquals(await seenWith(0o660, "0"), { read: no, write: no, remove: no });
      assertEquals(await seenWith(0o660, nobody), { read: 7, write: 7, remove: no });
      assertEquals(await seenWith(0o644, "0"), { read: 7, write: no, remove: no });
      assertEquals(await seenWith(0o666, "0"), { read: 7, write: 7, remove: no });
    }),
);
