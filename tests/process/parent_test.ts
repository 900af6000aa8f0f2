// exitWithParent(): with parents that are killed by SIGKILL while their children do all kinds of things.

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SharedMemoryArray } from "../../mod.ts";
import { exitWithParent, SharedMemoryLock } from "../../src/sync/mod.ts";
import {
  type ChildOptions,
  type ChildResult,
  lives,
  modUrl,
  runChild,
  segmentExists,
  uniqueName,
  until,
  withFolder,
  withNames,
} from "../helpers/helpers.ts";
import { runtimePath } from "../helpers/runtimes.ts";
import { syncUrl } from "../helpers/sync.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";
import type { RuntimeName } from "../runtimes/versions.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

/**
 * What the child of a parent that is killed does, by its name. Each has a register that lists one name, and blocks for
 * ever. It calls `ready()` when nothing is left to do but that.
 */
const kinds: { readonly [kind: string]: string } = {
  wait: "exit(); ready(); wait(words, 0, 0);",
  "wait with a limit": "exit(); ready(); wait(words, 0, 0, 1e6);",
  // Each wait is shorter than the time between two looks.
  "short waits": "exit(); ready(); while (true) wait(words, 0, 0, 50);",
  acquire: "exit(); ready(); new SharedMemoryLock(lock).load().acquire();",
  "acquire with others": `exit(); ready();
    new SharedMemoryLock(lock).load().acquire({ shared: true });`,
  meet: "exit(); ready(); SharedMemoryBarrier.createAnonymous(2).load().meet();",
  take: "exit(); ready(); SharedMemoryQueue.createAnonymous(2).take();",
  put: `exit(); const queue = SharedMemoryQueue.createAnonymous(1);
    queue.put(1); ready(); queue.put(2);`,
  // It never has to wait.
  "take and put": `exit(); ready(); const queue = SharedMemoryQueue.createAnonymous(2);
    while (true) { queue.put(1); queue.take().complete(); }`,
  drained: `exit(); const queue = SharedMemoryQueue.createAnonymous(1);
    queue.put(1); ready(); queue.drained();`,
  next: `exit(); const ring = new SharedMemoryRing([4], "uint8", mine + "-ring", 2).create();
    register.push(ring.name); ready(); ring.next();`,
  "next of one who reads only": `exit();
    const ring = new SharedMemoryRing([4], "uint8", mine + "-ring", 2).create();
    register.push(ring.name);
    const mirror = SharedMemoryRing.clone(ring).load({ access: "copy-on-write" });
    ready(); mirror.next();`,
  changed: `exit(); const table = new SharedMemoryVersions([4], "uint8", mine + "-table");
    table.create(); register.push(table.name); ready(); table.changed();`,
  load: `exit(); ready();
    new SharedMemoryArray(1, "uint8", mine + "-never").load({ timeout: 1e6 });`,
  waitAsync: "exit(); ready(); await waitAsync(words, 0, 0).value;",
  idle: "exit(); exit(); ready(); setInterval(() => {}, 1e6);",
  "a Worker waits": `exit();
    const text = \`import { wait } from "\${SYNC}"; import { SharedMemory } from "\${MOD}";
      const words = new Int32Array(SharedMemory.open("\${mine}").buf);
      postMessage(0);
      wait(words, 0, 0);\`;
    const url = "data:application/javascript," + encodeURIComponent(text);
    new Worker(url, { type: "module" }).onmessage = () => ready();`,
  "another copy waits": `const copy = await import(COPY + "src/sync/mod.ts");
    exit(); ready(); copy.wait(words, 0, 0);`,
  // The parent has ended before it is asked about.
  late: "ready(); while (Deno.ppid === parent) wait(words, 1, 0, 20);" +
    "exitWithParent(parent); wait(words, 0, 0);",
  // The controls: they stay behind.
  "nobody asked": "ready(); wait(words, 0, 0);",
  "late, and not told": "ready(); while (Deno.ppid === parent) wait(words, 1, 0, 20);" +
    "exitWithParent(); wait(words, 0, 0);",
};
const controls = ["nobody asked", "late, and not told"];

/** A child: its kind, its parent, a name of its own, and the name of a lock that is held. */
const child = (kind: string, copy: string): string => `
  import { SharedMemoryArray, SharedMemory, SharedMemoryRegister } from ${JSON.stringify(modUrl)};
  import {
    exitWithParent, SharedMemoryBarrier, SharedMemoryLock, wait, waitAsync,
  } from ${JSON.stringify(syncUrl)};
  import { SharedMemoryQueue } from ${
  JSON.stringify(new URL("../../src/queue/mod.ts", import.meta.url).href)
};
  import { SharedMemoryRing, SharedMemoryVersions } from ${
  JSON.stringify(new URL("../../src/publish/mod.ts", import.meta.url).href)
};
  const [MOD, SYNC, COPY] = ${JSON.stringify([modUrl, syncUrl, copy])};
  const [kind, mine, lock, ...more] = Deno.args;
  const parent = Number(more[0]);
  const register = new SharedMemoryRegister();
  const words = new SharedMemoryArray([4], "int32", mine).create().data;
  register.push(mine);
  const exit = () => exitWithParent(parent);
  const ready = () => console.log(JSON.stringify([kind, Deno.pid]));
  ${kinds[kind]}`;

/** Reads lines of a pipe one by one. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

Deno.test("exitWithParent() ends a process after its parent was killed, whatever it waits for", () =>
  withFolder((folder) =>
    withNames(async (prefix) => {
      using lock = new SharedMemoryLock(`${prefix}-lock`).create();
      using _guard = lock.acquire();
      await new Deno.Command("cp", {
        args: [
          "-R",
          ...["mod.ts", "src", "ffi"].map((path) => new URL(path, modUrl).pathname),
          folder,
        ],
      }).output();
      const names = Object.keys(kinds);
      const commands = names.map((kind, i) => {
        Deno.writeTextFileSync(`${folder}/${i}.js`, child(kind, `file://${folder}/`));
        const deno = `"$deno" run --quiet --no-config -A ${folder}/${i}.js`;
        return `${deno} '${kind}' ${prefix}-${i} ${lock.name} $$ &`;
      });
      const parent = new Deno.Command("sh", {
        args: ["-c", `${commands.join("\n")}\nwait`],
        env: { deno: Deno.execPath(), NO_COLOR: "1" },
        stdout: "piped",
      }).spawn();
      const children = new Map<string, number>();
      try {
        const lines = linesOf(parent.stdout);
        while (children.size < names.length) {
          const { value, done } = await lines.next();
          assert(!done, `not all children began: ${[...children.keys()]}`);
          const [kind, pid] = JSON.parse(value) as [string, number];
          children.set(kind, pid);
        }
        await new Promise((resume) => setTimeout(resume, 500)); // until they are blocked
        for (const [kind, pid] of children) assert(lives(pid), `${kind} has ended too soon`);
        parent.kill("SIGKILL");
        await parent.status;
        for (const kind of names.filter((kind) => !controls.includes(kind))) {
          await until(`"${kind}" has ended`, () => !lives(children.get(kind)!));
          assert(!segmentExists(`${prefix}-${names.indexOf(kind)}`), `${kind} has left its name`);
        }
        for (const kind of controls) {
          assert(lives(children.get(kind)!), `${kind} does not stay behind`);
          assert(segmentExists(`${prefix}-${names.indexOf(kind)}`));
        }
        await lines.return();
      } finally {
        for (const pid of children.values()) if (lives(pid)) Deno.kill(pid, "SIGKILL");
        await until("all have ended", () => ![...children.values()].some(lives));
        SharedMemoryArray.clearBuffers(
          [...SharedMemoryArray.list()].map(({ name }) => name).filter((name) =>
            name.startsWith(prefix)
          ),
        );
      }
    })
  ));

Deno.test("exitWithParent() sees that a subreaper became the parent, and exits with code 1", () =>
  withFolder(async (folder) => {
    // The outer process starts a middle one, which starts an inner one, and is killed.
    Deno.writeTextFileSync(
      `${folder}/role.js`,
      `import { exitWithParent } from ${JSON.stringify(syncUrl)};
      const [role = "outer", parent] = Deno.args;
      const start = (role) =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "--quiet", "--no-config", "-A", Deno.mainModule, role, String(Deno.pid)],
          stdout: "piped",
        }).spawn();
      const wordOf = async ({ stdout }) => (await stdout.getReader().read()).value;
      if (role === "inner") {
        addEventListener("unload", () => Deno.writeTextFileSync(${
        JSON.stringify(folder)
      } + "/unload", ""));
        exitWithParent(Number(parent));
        console.log(Deno.pid);
        await new Promise((resume) => setTimeout(resume, 1e6));
      }
      if (role === "middle") {
        Deno.stdout.writeSync(await wordOf(start("inner")));
        await new Promise((resume) => setTimeout(resume, 1e6));
      }
      const { prctl, waitpid } = Deno.dlopen("libc.so.6", {
        prctl: { parameters: ["i32", "i64"], result: "i32" },
        waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32", nonblocking: true },
      }).symbols;
      const PR_SET_CHILD_SUBREAPER = 36;
      prctl(PR_SET_CHILD_SUBREAPER, 1n);
      const middle = start("middle");
      const inner = Number(new TextDecoder().decode(await wordOf(middle)));
      middle.kill("SIGKILL");
      await middle.status;
      const parentOf = () => Number(Deno.readTextFileSync("/proc/" + inner + "/stat").split(" ")[3]);
      const status = new Int32Array(1);
      console.log(parentOf() === Deno.pid, await waitpid(inner, status, 0) === inner, status[0] >> 8);`,
    );
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-config", "-A", `${folder}/role.js`],
      env: { NO_COLOR: "1" },
    }).output();
    const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert(success, errors);
    assertEquals(text, "true true 1\n");
    assert(Deno.statSync(`${folder}/unload`).isFile);
  }));

testWith(
  "runtimes",
  "exitWithParent() does the same in Node and Bun",
  () =>
    withFolder(async (folder) => {
      Deno.writeTextFileSync(
        `${folder}/child.mjs`,
        `import { exitWithParent, wait } from ${JSON.stringify(syncUrl)};
      import { SharedMemoryArray } from ${JSON.stringify(modUrl)};
      const [parent, kind] = process.argv.slice(2);
      exitWithParent(Number(parent));
      console.log(JSON.stringify([kind, process.pid]));
      if (kind === "waits") wait(SharedMemoryArray.createAnonymous(4, "int32").array.data, 0, 0);
      if (kind === "idle") setInterval(() => {}, 1e6);`,
      );
      const start = (name: RuntimeName, kind: string): string =>
        `"${runtimePath(name)}" ${folder}/child.mjs $$ ${kind} &`;
      const commands = (["node", "bun"] as const).flatMap((name) =>
        ["waits", "idle"].map((kind) => start(name, kind))
      );
      const last = start("node", "ends"); // nothing else keeps it alive
      const parent = new Deno.Command("sh", {
        args: ["-c", [...commands, last, "wait"].join("\n")],
        env: { NODE_OPTIONS: "--disable-warning=ExperimentalWarning" },
        stdout: "piped",
      }).spawn();
      const pids: number[] = [];
      try {
        const lines = linesOf(parent.stdout);
        while (pids.length < commands.length + 1) {
          const { value, done } = await lines.next();
          assert(!done, "not all children began");
          const [kind, pid] = JSON.parse(value) as [string, number];
          pids.push(pid);
          if (kind === "ends") await until("it has ended", () => !lives(pid));
        }
        parent.kill("SIGKILL");
        await parent.status;
        await until("all have ended", () => !pids.some(lives));
        await lines.return();
      } finally {
        for (const pid of pids) if (lives(pid)) Deno.kill(pid, "SIGKILL");
      }
    }),
);

/** Runs a program that begins with the names of the module under test. */
function run(code: string, options: ChildOptions = {}): Promise<ChildResult> {
  return runChild(
    `import { exitWithParent, wait } from ${JSON.stringify(syncUrl)};\n${code}`,
    options,
  );
}

Deno.test("exitWithParent() ends at once where another process is the parent, at a later call, too", () =>
  withNames(async (name) => {
    for (const before of ["", "exitWithParent();", `exitWithParent(${Deno.pid});`]) {
      const { code, stdout, stderr } = await run(
        `const register = new SharedMemoryRegister();
        new SharedMemoryArray(1, "uint8", Deno.args[0]).create();
        register.push(Deno.args[0]);
        ${before}
        console.log("before");
        exitWithParent(1);
        console.log("after");`,
        { args: [name] },
      );
      assertEquals([code, stdout], [1, "before\n"], stderr);
      assert(!segmentExists(name));
    }
  }));

Deno.test("exitWithParent() does not keep a program alive, and may be called again", async () => {
  const { code, stdout, stderr } = await run(
    `exitWithParent(${Deno.pid});
    exitWithParent();
    exitWithParent(${Deno.pid});
    console.log(Deno.ppid);`,
    { permissions: ["--allow-ffi"] },
  );
  assertEquals([code, stdout], [0, `${Deno.pid}\n`], stderr);
});

Deno.test("exitWithParent() lets a wait end as without it: in time, and when it is notified", async () => {
  // Slices of 400 ms must not be taken for the time limit.
  const { code, stdout, stderr } = await run(
    `exitWithParent();
    const words = new Int32Array(new SharedMemoryArray(4, "int32", Deno.args[0]).create().data.buffer);
    const start = performance.now();
    const results = [wait(words, 0, 0, 1), wait(words, 0, 0, 1000), wait(words, 0, 1, 1000)];
    const time = performance.now() - start;
    const text = \`import { notify } from ${JSON.stringify(syncUrl)};
      import { SharedMemory } from ${JSON.stringify(modUrl)};
      const words = new Int32Array(SharedMemory.open("\${Deno.args[0]}").buf);
      while (notify(words, 0) === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 900);\`;
    new Worker("data:application/javascript," + encodeURIComponent(text), { type: "module" });
    await new Promise((resume) => setTimeout(resume, 0));
    results.push(wait(words, 0, 0));
    SharedMemoryArray.clearBuffers([Deno.args[0]]);
    console.log(results.join(), time >= 1000);
    Deno.exit();`,
    { args: [uniqueName()] },
  );
  assertEquals([code, stdout], [0, "timed-out,timed-out,not-equal,ok true\n"], stderr);
});

Deno.test("exitWithParent() in a Worker is an error that says where to call it", async () => {
  const { stdout, stderr } = await run(
    `const text = \`import { exitWithParent } from ${JSON.stringify(syncUrl)};
      try { exitWithParent(); } catch ({ name, code, message }) { postMessage([name, code, message]); }\`;
    new Worker("data:application/javascript," + encodeURIComponent(text), { type: "module" })
      .onmessage = ({ data }) => { console.log(data.join()); Deno.exit(); };`,
  );
  assertEquals(
    stdout,
    "NotSupported,ENOTSUP,Cannot exit with the parent: this is a Worker, and only the main thread can " +
      "end the process; call exitWithParent() there\n",
    stderr,
  );
});

testWith("namespaces", "exitWithParent() says that it cannot see a parent outside", async () => {
  for (const pid of ["", String(Deno.pid)]) {
    const { code, stderr } = await run(`exitWithParent(${pid}); console.log("after");`, {
      before: inNamespaces("--pid --fork"),
    });
    assertEquals(code, 1);
    assertStringIncludes(stderr, "NotSupported: Cannot exit with the parent: it is in another PID");
  }
});

Deno.test("exitWithParent() refuses what is no number of a process, before it does anything", () => {
  const cannot = "Cannot exit with the parent: parentPid must be ";
  for (
    const [pid, Class, message] of [
      ["1", TypeError, "an integer, not a string"],
      [null, TypeError, "an integer, not null"],
      [{ pid: 1 }, TypeError, "an integer, not an object"],
      [1n, TypeError, "an integer, not a bigint"],
      [NaN, RangeError, "a safe integer, not NaN"],
      [1.5, RangeError, "a safe integer, not 1.5"],
      [0, RangeError, "from 1 to 2147483647, not 0"],
      [-1, RangeError, "from 1 to 2147483647, not -1"],
      [2 ** 31, RangeError, "from 1 to 2147483647, not 2147483648"],
    ] as const
  ) {
    // If one of them were taken, this process would end.
    const error = assertThrows(() => exitWithParent(pid as never), Class, cannot + message);
    assertStringIncludes(error.stack!.split("\n")[1], "parent_test.ts");
  }
});

Deno.test("whatever blocks in src/ sleeps by the function that looks after the parent", async () => {
  const root = new URL("../../", import.meta.url);
  const users: string[] = [];
  const look = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory) await look(`${folder}${name}/`);
      else if (/ffi\/time\.ts"|Atomics\.wait\(/.test(withoutComments(await read(folder + name)))) {
        users.push(folder + name);
      }
    }
  };
  const read = (path: string): Promise<string> => Deno.readTextFile(new URL(path, root));
  await look("src/");
  assertEquals(users.sort(), [
    "src/cli/commands/watch.ts", // a program for the shell, which no other starts as its worker
    "src/process/parent.ts",
    "src/segment/file.ts", // waits for 0.2 s at the most, while it removes a name
  ]);
});

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, "");
}
