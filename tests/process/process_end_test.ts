// How a process ends that has registers: as PID 1, with Workers, with two copies of the module, under
// --watch, with listeners of its own, at errors that nobody caught.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SharedMemoryArray } from "../../mod.ts";
import { type ChildOptions, modUrl, runChild, uniqueName, until } from "../helpers/helpers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

/** What a program begins with: segments under names that its parent knows, and Workers. */
const prelude = `
  const [prefix] = Deno.args;
  const MOD = ${JSON.stringify(modUrl)};
  let count = 0;
  const fill = (register, n = 2) => {
    for (let i = 0; i < n; i++) {
      const sma = new SharedMemoryArray(100, "uint8", prefix + "-" + count++);
      sma.create();
      register.push(sma.name);
      sma.close();
    }
  };
  const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));
  const startWorker = async (options, more = "", mod = MOD) => {
    const name = prefix + "-worker" + count++;
    const text = \`import { SharedMemoryArray, SharedMemoryRegister } from \${JSON.stringify(mod)};
      const register = new SharedMemoryRegister(\${JSON.stringify(options)});
      const sma = new SharedMemoryArray(100, "uint8", \${JSON.stringify(name)});
      sma.create();
      register.push(sma.name);
      const pause = (ms) => { const end = performance.now() + ms; while (performance.now() < end); };
      \${more};
      postMessage("ready");\`;
    const url = "data:application/javascript," + encodeURIComponent(text);
    const worker = new Worker(url, { type: "module" });
    await new Promise((resolve) => worker.onmessage = resolve);
    worker.onmessage = null;
    return worker;
  };
  const end = async (signal) => {
    console.log("ready");
    Deno.kill(Deno.pid, signal);
    await pause(15_000);
    console.log("survived");
  };
`;

interface End {
  /** The exit code, or the signal. */
  how: number | Deno.Signal;
  stdout: string;
  stderr: string;
  /** The names that were left; they are removed. */
  left: string[];
}

/** Runs a program that has segments to its end. */
async function endOf(code: string, options: ChildOptions = {}): Promise<End> {
  const prefix = uniqueName();
  const { code: status, signal, stdout, stderr } = await runChild(prelude + code, {
    ...options,
    args: [prefix],
  });
  return { how: signal ?? status, stdout, stderr, left: leftOf(prefix) };
}

function leftOf(prefix: string): string[] {
  const left = [...Deno.readDirSync("/dev/shm")].map(({ name }) => name)
    .filter((name) => name.startsWith(prefix));
  SharedMemoryArray.clearBuffers(left);
  return left.map((name) => name.slice(prefix.length));
}

const SIGNALS = `{ signals: ["SIGINT", "SIGTERM", "SIGHUP"] }`;
const asPid1 = inNamespaces("--pid --fork --mount-proc");

// --- PID 1 -----------------------------------------------------------------------------------

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130], ["SIGHUP", 129]] as const) {
  testWith(
    "namespaces",
    `process end: PID 1 cleans at ${signal} and exits with ${code}`,
    async () => {
      const { how, left, stdout, stderr } = await endOf(
        `const register = new SharedMemoryRegister(${SIGNALS});
      fill(register);
      console.log(Deno.pid);
      await end("${signal}");`,
        { before: asPid1 },
      );
      assertEquals([how, left, stdout], [code, [], "1\nready\n"], stderr);
    },
  );
}

testWith("namespaces", "process end: PID 1 waits until busy Workers have cleaned", async () => {
  const { how, left, stderr } = await endOf(
    `const register = new SharedMemoryRegister(${SIGNALS});
    fill(register);
    for (let i = 0; i < 3; i++) await startWorker(${SIGNALS}, "setTimeout(() => pause(600), 0)");
    await end("SIGTERM");`,
    { before: asPid1 },
  );
  assertEquals([how, left], [143, []], stderr);
});

testWith("namespaces", "process end: PID 1 exits with a register in a Worker only", async () => {
  const { how, left, stderr } = await endOf(
    `await startWorker(${SIGNALS});
    await end("SIGTERM");`,
    { before: asPid1 },
  );
  assertEquals([how, left], [143, []], stderr);
});

testWith(
  "namespaces",
  "process end: PID 1 does not wait for a terminated Worker for ever",
  async () => {
    const { how, left, stderr } = await endOf(
      `const register = new SharedMemoryRegister(${SIGNALS});
    fill(register);
    (await startWorker(${SIGNALS}, "register.length = 0; sma.unlink()")).terminate();
    await end("SIGTERM");`,
      { before: asPid1 },
    );
    assertEquals([how, left], [143, []], stderr);
  },
);

testWith(
  "namespaces",
  "process end: PID 1 calls the program's listeners, in either order",
  async () => {
    const own = `Deno.addSignalListener("SIGTERM", () => console.log("own"));`;
    const register = `const register = new SharedMemoryRegister(${SIGNALS}); fill(register);`;
    for (const code of [own + register, register + own]) {
      const { how, left, stdout, stderr } = await endOf(`${code} await end("SIGTERM");`, {
        before: asPid1,
      });
      assertEquals([how, left, stdout], [143, [], "ready\nown\n"], stderr);
    }
  },
);

// --- Several isolates, several copies ----------------------------------------------------------

for (const workers of [1, 3]) {
  Deno.test(`process end: registers of the main thread and of ${workers} Workers all clean`, async () => {
    for (const signal of ["SIGTERM", "SIGINT"]) {
      const { how, left, stderr } = await endOf(
        `const register = new SharedMemoryRegister(${SIGNALS});
        fill(register);
        for (let i = 0; i < ${workers}; i++) {
          await startWorker(${SIGNALS}, i === 0 ? "setTimeout(() => pause(300), 0)" : "");
        }
        await end("${signal}");`,
      );
      assertEquals([how, left], [signal, []], stderr);
    }
  });
}

Deno.test("process end: registers in Workers only clean, and the signal ends the process", async () => {
  const { how, left, stderr } = await endOf(
    `for (let i = 0; i < 2; i++) await startWorker(${SIGNALS});
    await end("SIGTERM");`,
  );
  assertEquals([how, left], ["SIGTERM", []], stderr);
});

testWith(
  "listeners that end",
  "process end: Workers that are gone do not keep the process",
  async () => {
    const { how, left, stderr } = await endOf(
      `const register = new SharedMemoryRegister(${SIGNALS});
    fill(register);
    const empty = "register.length = 0; sma.unlink();";
    (await startWorker(${SIGNALS}, empty)).terminate();
    await startWorker(${SIGNALS}, empty + "setTimeout(() => self.close(), 10)");
    // Only when their threads have ended is it sure that no Worker listens any more.
    const names = () => [...Deno.readDirSync("/proc/self/task")]
      .map(({ name }) => Deno.readTextFileSync(\`/proc/self/task/\${name}/comm\`));
    const areGone = () => { try { return !names().some((name) => name.startsWith("worker-")); } catch { return false; } };
    for (let looks = 0; !areGone() && looks < 6000; looks++) await pause(10);
    await end("SIGTERM");`,
    );
    assertEquals([how, left], ["SIGTERM", []], stderr);
  },
);

Deno.test("process end: a Worker that is gone, and whose register had no signals, keeps no process", async () => {
  const { how, left, stderr } = await endOf(
    `const register = new SharedMemoryRegister(${SIGNALS});
    fill(register);
    const empty = "register.length = 0; sma.unlink();";
    (await startWorker({}, empty + "setTimeout(() => pause(600), 20)")).terminate();
    await startWorker({}, empty + "setTimeout(() => self.close(), 10)");
    await pause(60);
    (await startWorker({}, empty + "setTimeout(() => pause(1000), 20)")).terminate();
    await end("SIGTERM");`,
  );
  assertEquals([how, left], ["SIGTERM", []], stderr);
});

Deno.test("process end: two copies of the module in one program both clean", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const root = new URL("../../", import.meta.url).pathname;
    const { success } = new Deno.Command("cp", {
      args: ["-r", `${root}mod.ts`, `${root}src`, `${root}ffi`, folder],
    }).outputSync();
    assert(success);
    const { how, left, stderr } = await endOf(
      `const copy = "file://${folder}/mod.ts";
      const other = await import(copy);
      const one = new SharedMemoryRegister(${SIGNALS});
      const two = new other.SharedMemoryRegister(${SIGNALS});
      console.assert(one.constructor !== two.constructor);
      fill(one);
      fill(two);
      await startWorker(${SIGNALS}, "", copy);
      await end("SIGTERM");`,
    );
    assertEquals([how, left], ["SIGTERM", []], stderr);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

// --- Listeners of the program ------------------------------------------------------------------

/** A register and a listener of the program, in both orders. */
function bothOrders(own: string, options = SIGNALS): string[] {
  const register = `const register = new SharedMemoryRegister(${options}); fill(register);`;
  return [own + register, register + own];
}

Deno.test("process end: a listener that ends the program by itself is called, in either order", async () => {
  for (
    const code of bothOrders(
      `Deno.addSignalListener("SIGTERM", () => { console.log("own"); Deno.exit(7); });`,
    )
  ) {
    const { how, left, stdout, stderr } = await endOf(`${code} await end("SIGTERM");`);
    assertEquals([how, left, stdout], [7, [], "ready\nown\n"], stderr);
  }
});

Deno.test("process end: a graceful listener keeps the program until it is done, in either order", async () => {
  for (
    const code of bothOrders(
      `let begun = false;
      Deno.addSignalListener("SIGTERM", () => {
        if (begun) return; // the register sends the signal again
        begun = true;
        console.log("shutting down");
        setTimeout(() => { console.log("done"); Deno.exit(5); }, 200);
      });`,
    )
  ) {
    const { how, left, stdout, stderr } = await endOf(`${code} await end("SIGTERM");`);
    assertEquals([how, left, stdout], [5, [], "ready\nshutting down\ndone\n"], stderr);
  }
});

Deno.test("process end: with a register without signals, a graceful shutdown has its names to the end", async () => {
  for (
    const code of bothOrders(
      `Deno.addSignalListener("SIGTERM", () => setTimeout(() => {
        console.log(new SharedMemoryArray(100, "uint8", prefix + "-0").load().size);
        Deno.exit(5);
      }, 50));`,
      "{}",
    )
  ) {
    const { how, left, stdout, stderr } = await endOf(`${code} await end("SIGTERM");`);
    assertEquals([how, left, stdout], [5, [], "ready\n100\n"], stderr);
  }
});

Deno.test("process end: a program that outlives the signal is cleaned at its end", async () => {
  const { how, left, stdout, stderr } = await endOf(
    `Deno.addSignalListener("SIGTERM", () => {});
    const register = new SharedMemoryRegister(${SIGNALS});
    fill(register);
    Deno.kill(Deno.pid, "SIGTERM");
    for (let looks = 0; register.length > 0 && looks < 6000; looks++) await pause(10);
    console.log(register.length);
    fill(register);
    Deno.kill(Deno.pid, "SIGTERM");
    await pause(100);`,
  );
  assertEquals([how, left, stdout], [0, [], "0\n"], stderr);
});

Deno.test("process end: without --allow-ffi there is an end, too", async () => {
  const { how, stdout, stderr } = await endOf(
    `const register = new SharedMemoryRegister(${SIGNALS});
    await end("SIGTERM");`,
    { permissions: ["--allow-run"] },
  );
  assertEquals([how, stdout], [143, "ready\n"]);
  assertStringIncludes(stderr, "ffi");
});

// --- deno run --watch ----------------------------------------------------------------------------

/** Runs a program under `--watch`, saves it when it is ready, and waits until it is ready again. */
async function watch(
  code: string,
  args: string[] = [],
): Promise<{ output: string; prefix: string }> {
  const folder = Deno.makeTempDirSync();
  const file = `${folder}/main.ts`;
  const prefix = uniqueName();
  const text = `import { SharedMemoryArray, SharedMemoryRegister } from ${JSON.stringify(modUrl)};
    ${prelude}
    ${code}
    console.log("ready " + Deno.readDirSync("/dev/shm").filter(({ name }) => name.startsWith(prefix))
      .toArray().length);
    setInterval(() => {}, 1000);`;
  Deno.writeTextFileSync(file, text);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "--no-check", "--watch", ...args, file, prefix],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) output += piece;
  });
  const pause = (ms: number) => new Promise((resume) => setTimeout(resume, ms));
  const begins = (): number => output.split("ready ").length - 1;
  // So does one that finds the names of the one before.
  const hasFailed = (): boolean => output.includes("Process failed");
  try {
    for (let times = 1; times <= 3 && !hasFailed(); times++) {
      await until("it was started again", () => begins() >= times || hasFailed());
      // The watcher begins to watch some time after the program has begun.
      await pause(300);
      // On a busy machine it does so later, and sees the next change.
      const before = begins();
      for (let saves = 0; times < 3 && begins() === before && saves < 12; saves++) {
        Deno.writeTextFileSync(file, `${text}\n// ${times}, ${saves}`);
        for (let looks = 0; begins() === before && !hasFailed() && looks < 250; looks++) {
          await pause(20);
        }
        if (hasFailed()) break;
      }
    }
    child.kill("SIGINT");
    const { signal, code } = await child.status;
    await Promise.all(reading);
    output += `ended by ${signal ?? code}`;
    return { output, prefix };
  } catch (error) {
    leftOf(prefix);
    throw new Error(output, { cause: error });
  } finally {
    try {
      child.kill("SIGKILL");
    } catch { /* It has ended. */ }
    await child.status;
    await Promise.all(reading);
    Deno.removeSync(folder, { recursive: true });
  }
}

/**
 * The same, and how many names were there whenever it was ready. The watcher gives a program half a
 * second for its end, which it may not have on a busy machine: then it is tried again.
 */
async function namesUnderWatch(code: string, names: number): Promise<string> {
  for (let tries = 1;; tries++) {
    const { output, prefix } = await watch(code);
    const left = leftOf(prefix);
    const counts = output.match(/ready \d+/g) ?? [];
    const isClean = left.length === 0 && counts.length >= 3 && new Set(counts).size === 1;
    if (tries < 5 && !isClean) continue;
    assertEquals([isClean, counts[0], left], [true, `ready ${names}`, []], output);
    return output;
  }
}

Deno.test("process end: a program under --watch is started again, and nothing is left", async () => {
  const output = await namesUnderWatch(
    `const register = new SharedMemoryRegister(${SIGNALS});
    fill(register);`,
    2,
  );
  // Ctrl-C is no matter of the watcher: it ends both. Deno from 2.6 to 2.9.0 makes an exit of it.
  assertMatch(output, /ended by (SIGINT|0)$/);
});

testWith(
  "asking watcher",
  "process end: under --watch registers in Workers clean, too",
  async () => {
    await namesUnderWatch(
      `const register = new SharedMemoryRegister(${SIGNALS});
    fill(register);
    await startWorker(${SIGNALS}, "setTimeout(() => pause(150), 400)");
    await startWorker(${SIGNALS});`,
      4,
    );
  },
);

Deno.test("process end: --watch among the program's own arguments means nothing", async () => {
  const prefix = uniqueName();
  const { signal, stderr } = await runChild(
    `${prelude} const register = new SharedMemoryRegister(${SIGNALS}); fill(register);
    await end("SIGTERM");`,
    { args: [prefix, "--watch"] },
  );
  assertEquals([signal, leftOf(prefix)], ["SIGTERM", []], stderr);
});

// --- Registers that are used again ---------------------------------------------------------------

const entries: { [how: string]: string } = {
  "push()": "register.push(name)",
  "unshift()": "register.unshift(name)",
  "splice()": "register.splice(0, 0, name)",
  "an assignment": "register[0] = name",
  "Array.prototype.push": "Array.prototype.push.call(register, name)",
  "fill()": "register.length = 1; register.fill(name)",
  "createAndRegisterSma()":
    `createAndRegisterSma(4, "uint8", { push: (n) => register.push(n) }, prefix);
    register.push(name)`,
};
for (const [how, enter] of Object.entries(entries)) {
  Deno.test(`process end: a register that was disposed of is watched again after ${how}`, async () => {
    const code = `const register = new SharedMemoryRegister(${SIGNALS});
      for (let i = 0; i < 3; i++) {
        const name = prefix + i;
        new SharedMemoryArray(4, "uint8", name).create();
        ${enter};
        if (i < 2) register[Symbol.dispose]();
      }
      console.log(register.length > 0);`;
    const ended = await endOf(code);
    assertEquals([ended.how, ended.left, ended.stdout], [0, [], "true\n"], ended.stderr);
    const { how, left, stdout, stderr } = await endOf(`${code} await end("SIGTERM");`);
    assertEquals([how, left, stdout], ["SIGTERM", [], "true\nready\n"], stderr);
  });
}

Deno.test("process end: a register that was disposed of leaves the signal to the system", async () => {
  // A program that computes, and has nothing to clean, hears Ctrl-C at once.
  const { how, stdout } = await endOf(
    `{
      using register = new SharedMemoryRegister(${SIGNALS});
      fill(register);
    }
    console.log("ready");
    Deno.kill(Deno.pid, "SIGTERM");
    const until = performance.now() + 10_000;
    while (performance.now() < until);
    console.log("deaf");`,
  );
  assertEquals([how, stdout], ["SIGTERM", "ready\n"]);
});

// --- Uncaught errors -------------------------------------------------------------------------------

const errors: { [what: string]: string } = {
  "an error in a timer": `setTimeout(() => { throw new Error("mine"); }, 10);`,
  "an error in a microtask": `queueMicrotask(() => { throw new Error("mine"); });`,
  "a rejection in a timer": `setTimeout(async () => { throw new Error("mine"); }, 10);`,
  "reportError()": `reportError(new Error("mine"));`,
  "an error at the top level": `throw new Error("mine");`,
  "an error in a listener of a signal":
    `Deno.addSignalListener("SIGUSR1", () => { throw new Error("mine"); });
     Deno.kill(Deno.pid, "SIGUSR1");`,
  "an error of a Worker": `await startWorker({}, \`register.length = 0; sma.unlink();
    setTimeout(() => { throw new Error("mine"); }, 10)\`);`,
};
for (const [what, code] of Object.entries(errors)) {
  Deno.test(`process end: { uncaught: true } cleans at ${what}`, async () => {
    const program = (options: string): string =>
      `const register = new SharedMemoryRegister(${options});
      fill(register);
      ${code}
      await pause(10_000);`;
    const { how, left, stderr } = await endOf(program("{ uncaught: true }"));
    assertEquals([how, left], [1, []], stderr);
    assertStringIncludes(stderr, "mine");
    // Without, the names stay: the program may handle the error elsewhere.
    assertEquals((await endOf(program("{}"))).left.length, 2);
  });
}

Deno.test("process end: { uncaught: true } in a Worker cleans at the Worker's error", async () => {
  for (const throwing of [`throw new Error("mine")`, `Promise.reject(new Error("mine"))`]) {
    const { how, left, stderr } = await endOf(
      `const worker = await startWorker({ uncaught: true }, "setTimeout(() => { ${
        throwing.replaceAll('"', '\\"')
      } }, 10)");
      await new Promise((resume) => worker.onerror = (event) => { event.preventDefault(); resume(); });`,
    );
    assertEquals([how, left], [0, []], stderr);
  }
});

Deno.test("process end: { uncaught: true } leaves errors that are handled before it", async () => {
  const { how, left, stdout, stderr } = await endOf(
    `addEventListener("error", (event) => event.preventDefault());
    addEventListener("unhandledrejection", (event) => event.preventDefault());
    const register = new SharedMemoryRegister({ uncaught: true });
    fill(register);
    setTimeout(() => { throw new Error("mine"); }, 1);
    setTimeout(async () => { throw new Error("mine"); }, 1);
    await pause(100);
    console.log(register.length);`,
  );
  assertEquals([how, left, stdout], [0, [], "2\n"], stderr);
});

Deno.test("process end: only registers that asked are cleaned at an error", async () => {
  const { how, left, stdout, stderr } = await endOf(
    `const one = new SharedMemoryRegister({ uncaught: true });
    const two = new SharedMemoryRegister({ uncaught: true });
    const without = new SharedMemoryRegister();
    fill(one, 1);
    fill(without, 1);
    one[Symbol.dispose]();
    fill(two, 1);
    addEventListener("error", (event) => event.preventDefault());
    setTimeout(() => { throw new Error("mine"); }, 1);
    await pause(100);
    console.log(one.length, two.length, without.length);`,
  );
  assertEquals([how, left, stdout], [0, [], "0 0 1\n"], stderr);
});

// --- Where nothing can run -------------------------------------------------------------------------

const silent: { [what: string]: string } = {
  "terminate()": `(await startWorker({})).terminate();`,
  "close() in the Worker":
    `await startWorker({}, "setTimeout(() => self.close(), 1)"); await pause(100);`,
  "the end of the main program": `await startWorker({}); Deno.exit(0);`,
};
Deno.test("process end: a top-level await that never settles leaves names, as documented", async () => {
  const { how, left, stderr } = await endOf(
    `fill(new SharedMemoryRegister({ uncaught: true }), 1);
    await new Promise(() => {});`,
  );
  assertEquals([how, left.length], [1, 1], stderr);
});
for (const [what, code] of Object.entries(silent)) {
  Deno.test(`process end: a Worker's register leaves its names at ${what}, as documented`, async () => {
    const { how, left, stderr } = await endOf(code);
    assertEquals([how, left.length], [0, 1], stderr);
  });
}
