import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SharedMemoryArray } from "../../mod.ts";
import {
  type ChildOptions,
  runChild,
  segmentExists,
  segmentPath,
  startChild,
  withNames,
} from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

// --- cleanAtExit() ----------------------------------------------------------------------------

const prelude = `const { cleanAtExit, endingSignals } = await import(${
  JSON.stringify(new URL("../../src/process/exit_cleanup.ts", import.meta.url).href)
});
const say = (text) => () => console.log(text);
`;

Deno.test("cleanAtExit() calls everybody at the end, in their order, and opens no library", async () => {
  const { code, stdout, stderr } = await runChild(
    `${prelude}
    cleanAtExit(say("one"), []);
    cleanAtExit(() => { throw new Error("two fails"); }, []);
    cleanAtExit(say("three"), []);
    console.log("end");`,
    { permissions: [] },
  );
  assertEquals([code, stdout], [0, "end\none\nthree\n"], stderr);
  assertStringIncludes(stderr, "two fails");
});

Deno.test("cleanAtExit() gives the way to take it back, which works once", async () => {
  const { code, stdout, stderr } = await runChild(
    `${prelude}
    const signals = ["SIGTERM", "SIGUSR1"];
    const forget = cleanAtExit(say("one"), signals);
    cleanAtExit(say("two"), []);
    forget();
    forget();
    const again = cleanAtExit(say("three"), ["SIGTERM", "SIGTERM"]);
    again();
    cleanAtExit(say("four"), []);`,
    { permissions: [] },
  );
  // No listener is left that would keep the process alive.
  assertEquals([code, stdout, stderr], [0, "two\nfour\n", ""]);
});

Deno.test("cleanAtExit() lets a cleaner take itself and others back", async () => {
  const { stdout, stderr } = await runChild(
    `${prelude}
    const forget = cleanAtExit(() => { console.log("one"); forget(); other(); }, []);
    const other = cleanAtExit(say("two"), []);
    cleanAtExit(say("three"), []);`,
    { permissions: [] },
  );
  assertEquals([stdout, stderr], ["one\nthree\n", ""]);
});

Deno.test("cleanAtExit() hears a signal once, and what came before it takes no later cleaner's signal", async () => {
  const { code, stdout, stderr } = await runChild(
    `${prelude}
    const pause = () => new Promise((resume) => setTimeout(resume, 200));
    let heard = 0;
    const own = () => heard++;
    Deno.addSignalListener("SIGTERM", own);
    const signals = ["SIGTERM", "SIGHUP"];
    const forget = cleanAtExit(say("one"), signals);
    cleanAtExit(() => other(), signals);
    const other = cleanAtExit(say("never"), signals);
    Deno.kill(Deno.pid, "SIGTERM");
    // The program's listener hears it, and that it is sent again.
    for (let i = 0; heard < 2 && i < 100; i++) await pause();
    cleanAtExit(say("two"), signals);
    forget();
    Deno.removeSignalListener("SIGTERM", own);
    console.log(heard);
    Deno.kill(Deno.pid, "SIGTERM");
    for (let i = 0; i < 100; i++) await pause();`,
  );
  assertEquals([code, stdout, stderr], [143, "one\n2\ntwo\n", ""]);
});

Deno.test("endingSignals() can all be listened to", async () => {
  const { code, stdout, stderr } = await runChild(
    `${prelude}
    const forget = cleanAtExit(() => {}, endingSignals());
    forget();
    console.log(endingSignals().join(" "));`,
    { permissions: [] },
  );
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(stdout, "SIGINT");
  assertStringIncludes(stdout, "SIGTERM");
});

// --- The end of the process ------------------------------------------------------------------

/** What a child does with its segments; it prints their names before its end. */
async function namesAfter(
  code: string,
  options?: ChildOptions,
): Promise<{ code: number; names: string[]; stderr: string }> {
  const { code: status, stdout, stderr } = await runChild(code, options);
  const names = stdout.trim().split("\n").filter((line) => line !== "");
  return { code: status, names, stderr };
}

const making = `
  const register = new SharedMemoryRegister();
  const sma = createAndRegisterSma(10, "float32", register);
  const other = createAndRegisterSma(10, "float32", register);
  other.close();
  console.log(register.join("\\n"));
`;

const using = making.replace("const register", "using register");
const endings: [criterion: string, code: string, status: number][] = [
  ["its program ends", making, 0],
  ["Deno.exit(3)", `${making} Deno.exit(3);`, 3],
  ["Deno.exit() within the scope", `{ ${using} Deno.exit(4); }`, 4],
  ["a timer that is the last to run", `${making} setTimeout(() => {}, 20);`, 0],
  // Deno fires no unload event at an error that nobody catches: that is what `using` is for.
  ["an exception that nobody catches", `{ ${using} throw new Error("mine"); }`, 1],
];
for (const [criterion, code, status] of endings) {
  Deno.test(`SharedMemoryRegister removes its segments when the process ends by ${criterion}`, async () => {
    const result = await namesAfter(code, { permissions: ["--allow-ffi"] });
    assertEquals([result.code, result.names.length], [status, 2], result.stderr);
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals(left, []);
  });
}

Deno.test("SharedMemoryRegister cleans the other registers if one fails at the end", () =>
  withNames(async (directory) => {
    Deno.mkdirSync(segmentPath(directory));
    const result = await namesAfter(
      `const failing = new SharedMemoryRegister();
      failing.push(Deno.args[0]);
      ${making}`,
      { args: [directory] },
    );
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals([result.names.length, left], [2, []]);
    assertStringIncludes(result.stderr, "Cannot clear the register");
  }));

Deno.test("SharedMemoryRegister that was disposed of takes no part in the end", () =>
  withNames(async (name) => {
    const { code, stderr } = await runChild(
      `const register = new SharedMemoryRegister({ signals: ["SIGTERM"] });
      register[Symbol.dispose]();
      using sma = new SharedMemoryArray(1, "uint8", Deno.args[0]);
      sma.create();`,
      { args: [name] },
    );
    // Neither a listener nor a timer keeps the process alive, either.
    assertEquals(code, 0, stderr);
    assert(segmentExists(name));
  }));

// --- Signals ---------------------------------------------------------------------------------

/** Starts a child that waits to be killed, and sends it a signal once it has printed its names. */
async function endBy(
  signal: Deno.Signal,
  code: string,
): Promise<{ names: string[]; signal: Deno.Signal | null; stderr: string }> {
  const child = await startChild(
    `${code}\nconsole.log("ready");\nsetTimeout(() => {}, 30_000);`,
    { permissions: ["--allow-ffi"] },
  );
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("ready\n")) {
    const { value, done } = await lines.read();
    if (done) break;
    text += value;
  }
  if (text.includes("ready")) child.kill(signal);
  await lines.cancel();
  const stderr = await new Response(child.stderr).text();
  const status = await child.status;
  const names = text.split("\n").filter((line) => line !== "" && line !== "ready");
  return { names, signal: status.signal, stderr };
}

const withSignals = making.replace("Register()", 'Register({ signals: ["SIGINT", "SIGTERM"] })');

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`SharedMemoryRegister cleans up at ${signal}, which then ends the process`, async () => {
    const result = await endBy(signal, withSignals);
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals([result.names.length, left, result.signal], [2, [], signal], result.stderr);
  });
}

for (const signal of ["SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2"] as const) {
  Deno.test(`SharedMemoryRegister can clean up at ${signal}, too`, async () => {
    const result = await endBy(
      signal,
      making.replace("Register()", `Register({ signals: ["${signal}"] })`),
    );
    const left = result.names.filter(segmentExists);
    SharedMemoryArray.clearBuffers(left);
    assertEquals([result.names.length, left, result.signal], [2, [], signal], result.stderr);
  });
}

Deno.test("SharedMemoryRegister without signals leaves its segments at SIGTERM", async () => {
  const result = await endBy("SIGTERM", making);
  const left = result.names.filter(segmentExists);
  SharedMemoryArray.clearBuffers(left);
  assertEquals([left.length, result.signal], [2, "SIGTERM"], result.stderr);
});

Deno.test("SharedMemoryRegister: two in one process clean up at one signal", async () => {
  const result = await endBy(
    "SIGTERM",
    `const signals = ["SIGTERM", "SIGTERM"];
    const one = new SharedMemoryRegister({ signals });
    const two = new SharedMemoryRegister({ signals });
    const without = new SharedMemoryRegister();
    for (const register of [one, two, without]) {
      console.log(createAndRegisterSma(1, "uint8", register).name);
    }`,
  );
  const left = result.names.filter(segmentExists);
  SharedMemoryArray.clearBuffers(left);
  // The one that did not ask for signals is cleaned, too: the process ends.
  assertEquals([result.names.length, left, result.signal], [3, [], "SIGTERM"], result.stderr);
});

Deno.test("SharedMemoryRegister: disposing of one keeps the signal for the other", async () => {
  const result = await endBy(
    "SIGINT",
    `const one = new SharedMemoryRegister({ signals: ["SIGINT"] });
    const two = new SharedMemoryRegister({ signals: ["SIGINT", "SIGHUP"] });
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    console.log(createAndRegisterSma(1, "uint8", two).name);`,
  );
  const left = result.names.filter(segmentExists);
  SharedMemoryArray.clearBuffers(left);
  assertEquals([result.names.length, left, result.signal], [1, [], "SIGINT"], result.stderr);
});

Deno.test("SharedMemoryRegister ends the process by the signal though it cannot clean up", () =>
  withNames(async (directory) => {
    Deno.mkdirSync(segmentPath(directory));
    const result = await endBy(
      "SIGTERM",
      `const one = new SharedMemoryRegister({ signals: ["SIGTERM"] });
      one.push(${JSON.stringify(directory)}, "a/b");`,
    );
    assertEquals(result.signal, "SIGTERM");
    assertStringIncludes(result.stderr, directory);
  }));
