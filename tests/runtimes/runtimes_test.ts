// What must hold in every runtime: portable.ts runs in Deno, Node and Bun, each with processes of the other two. Node and
// Bun have the package as JSR makes it for npm.

import { SharedMemoryArray } from "@shm/array";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeNpmTarball } from "../../scripts/npm_tarball.ts";
import { uniqueName } from "../helpers/helpers.ts";
import { seedOf } from "../helpers/random.ts";
import { root } from "../helpers/readme.ts";
import { runtimePath } from "../helpers/runtimes.ts";
import { scale, slowness } from "../helpers/scale.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";
import type { Summary } from "../system/fuzz/child.ts";
import type { Host } from "./spawn.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** A runtime that takes part. */
type Name = "deno" | "node" | "node-26.9" | "bun" | "bun-1.3";

/** Who runs the checks, and of whom the processes on the other side are; the newest with the newest. */
const pairs: { readonly [name in Name]: readonly Name[] } = {
  "deno": ["node", "bun"],
  "node": ["deno", "bun", "node"],
  "node-26.9": ["deno", "bun-1.3"],
  "bun": ["deno", "node", "bun"],
  "bun-1.3": ["deno", "node-26.9"],
};

function hostOf(name: Name): Host {
  const config = new URL("deno.json", root).pathname;
  const command = name === "deno"
    ? [Deno.execPath(), "run", "-A", "--quiet", "--no-check", "--config", config]
    : name.startsWith("node")
    ? [runtimePath(name), "--disable-warning=ExperimentalWarning", "--expose-gc"]
    : [runtimePath(name)];
  return { name, command };
}

/** How many random steps a runtime does, and how often each kind of process is killed. */
function amountsOf(name: Name): { steps: number; kills: number } {
  const isNewest = name === "node" || name === "bun";
  return isNewest
    ? { steps: 20_000 * scale, kills: Math.ceil(3.6 * scale) }
    : { steps: 5_000 * scale, kills: 2 * scale };
}

let folder: Promise<string> | undefined;

/** A folder that has the programs, and the package for npm; it is removed at the end of this file. */
function prepared(): Promise<string> {
  return folder ??= prepare();
}

async function prepare(): Promise<string> {
  const folder = await Deno.makeTempDir();
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const tarball = `${folder}/array.tgz`;
  await makeNpmTarball(root, tarball);
  const place = `${folder}/node_modules/@shm/array`;
  await Deno.mkdir(place, { recursive: true });
  const args = ["-xzf", tarball, "-C", place, "--strip-components=1"];
  assert((await new Deno.Command("tar", { args }).output()).success);
  await Deno.writeTextFile(`${folder}/package.json`, '{ "type": "module" }');
  const copies = { "tests/runtimes/": "", "tests/system/fuzz/": "fuzz/" };
  for (const [from, to] of Object.entries(copies)) {
    await Deno.mkdir(`${folder}/programs/${to}`, { recursive: true });
    for (const { name } of Deno.readDirSync(new URL(from, root))) {
      await Deno.copyFile(new URL(from + name, root), `${folder}/programs/${to}${name}`);
    }
  }
  // What the fuzzer imports from two folders above its own.
  await Deno.mkdir(`${folder}/helpers`);
  await Deno.copyFile(
    new URL("tests/helpers/random.ts", root),
    `${folder}/helpers/random.ts`,
  );
  return `${folder}/programs`;
}

/** How long a program may take, in milliseconds: only one that hangs does. */
const LIMIT = 600_000 * slowness;

/** Runs a program in a runtime, to its end. */
async function runIn(
  name: Name,
  program: string,
  env: { [name: string]: string },
  args: readonly string[] = [],
  flags: readonly string[] = [],
): Promise<{ code: number; signal: string | null; text: string; pid: number }> {
  const [command, ...words] = hostOf(name).command;
  const child = new Deno.Command(command, {
    args: [...words, ...flags, `${await prepared()}/${program}`, ...args],
    cwd: await prepared(),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, signal, text: text + errors, pid: child.pid };
}

for (const name of Object.keys(pairs) as Name[]) {
  testWith(
    ["deno pack", "runtimes"],
    `${name}: all checks pass, with processes of ${pairs[name].join(" and ")}`,
    async () => {
      const hosts = [name, ...pairs[name]].map(hostOf);
      const { code, signal, text } = await runIn(name, "portable.ts", {
        SHM_TEST_RUNTIMES: JSON.stringify(hosts),
      });
      const [, passed, failed] = text.match(/^(\d+) passed, (\d+) failed$/m) ?? [];
      assertEquals([failed, code, signal], ["0", 0, null], text);
      assert(Number(passed) >= 120, `${passed} checks`);
    },
  );
}

testWith(
  ["deno pack", "runtimes"],
  "node: where no Worker may be made, a timer looks at waits; and a thread elsewhere",
  async () => {
    const allowed = ["--permission", "--allow-ffi", "--allow-fs-read=*"];
    // A thread may start late on a busy machine: it has a minute and more.
    for (
      const [flags, who, rounds] of [[allowed, "a timer", 150], [[], "a thread", 5000]] as const
    ) {
      using sma = new SharedMemoryArray([300], "int32", uniqueName());
      sma.create();
      const args = ["telling who looks at waits", sma.name, String(rounds)];
      const { code, text } = await runIn("node", "peer.ts", {}, args, flags);
      sma.unlink();
      assertEquals(code, 0, text);
      assertMatch(text, new RegExp(`^${who}$`, "m"));
    }
  },
);

for (const name of ["node-22", "node-24"] as const) {
  testWith(
    ["deno pack", "runtimes", "other runtimes"],
    `${name}: the shell says which version it needs`,
    async () => {
      const { code, stdout, stderr } = await new Deno.Command(runtimePath(name), {
        args: ["node_modules/@shm/array/src/cli/mod.js", "ls"],
        cwd: `${await prepared()}/..`,
      }).output();
      const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assertEquals([code, out], [1, ""]);
      assertMatch(errors, /^Cannot share memory: it needs Node 26\.9 or newer.*\n$/);
    },
  );
}

testWith(["deno pack", "runtimes"], "bun: where it may not compile, it says so", async () => {
  const env = { BUN_JSC_useJIT: "0" };
  const { code, text } = await runIn("bun", "peer.ts", env, ["its end", uniqueName()]);
  assertEquals(code, 1, text);
  assertMatch(text, /NotSupported: Cannot share memory: Bun calls C only where it may compile/);
});

for (const name of ["bun", "bun-1.3"] as const) {
  testWith(
    ["deno pack", "runtimes"],
    `${name}: code that takes a shape apart stays compiled`,
    async () => {
      // JavaScriptCore tells where it gives up compiled code, and compiles without a thread of its own: when that
      // would be ready depends on the machine.
      const env = { BUN_JSC_printEachOSRExit: "1", BUN_JSC_useConcurrentJIT: "0" };
      const run = async (lists: "ours" | "frozen") => {
        const { code, text } = await runIn(name, "shapes.ts", env, [lists]);
        assertEquals(code, 0, text);
        const sums = text.match(/^list of \d: \d+$/gm) ?? [];
        return { lists: sums.length, exits: text.split("OutOfBounds").length - 1 };
      };
      assertEquals(await run("ours"), { lists: 9, exits: 0 });
      // The control: at a list that is only frozen, it gives up again and again.
      const { lists, exits } = await run("frozen");
      assertEquals(lists, 1);
      assert(exits > 100, `${exits} exits`);
    },
  );
}

/** A program with a register and a pending wait, which tells how many segments of its kind there are. */
const watched = `
import fs from "node:fs";
import process from "node:process";
import { createAndRegisterSma, SharedMemoryRegister } from "@shm/array";
import { waitAsync } from "@shm/array/sync";
const [prefix, told] = process.argv.slice(2);
const register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
const sma = createAndRegisterSma([1], "int32", register, prefix);
waitAsync(sma.array.data, 0, 0);
const names = fs.readdirSync("/dev/shm").filter((name) => name.includes(prefix));
fs.appendFileSync(told, names.length + " ");
`;

// Bun 1.3 starts anew without a word (docs/runtimes.md).
for (const name of ["node", "node-26.9", "bun"] as const) {
  testWith(
    ["deno pack", "runtimes"],
    `${name}: a program under --watch is started again, and nothing is left`,
    async () => {
      const prefix = uniqueName();
      const file = `${await prepared()}/${prefix}.js`;
      const told = `${file}.told`;
      Deno.writeTextFileSync(told, "");
      Deno.writeTextFileSync(file, watched);
      const child = new Deno.Command(runtimePath(name), {
        args: ["--watch", file, prefix, told],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      const starts = (): string => Deno.readTextFileSync(told);
      try {
        for (let looks = 0; starts().length < 4; looks++) {
          assert(looks < 240 * slowness, `it was started: ${starts()}`);
          await new Promise((resume) => setTimeout(resume, 500));
          // The watcher begins to watch some time after the program has begun, and sees a later change.
          if (starts().length === 2) Deno.writeTextFileSync(file, `${watched}// ${looks}\n`);
        }
      } finally {
        child.kill("SIGINT");
        await child.status;
      }
      const left = Array.from(Deno.readDirSync("/dev/shm"), ({ name }) => name)
        .filter((each) => each.includes(prefix));
      SharedMemoryArray.clearBuffers(left);
      assertMatch(starts(), /^(1 ){2,}$/);
      assertEquals(left, []);
    },
  );
}

// Steps as in tests/system/fuzz_test.ts and kills as in tests/system/crash_test.ts, a tenth of them, and less in older
// versions.
for (const name of ["node", "node-26.9", "bun", "bun-1.3"] as const) {
  const { steps, kills } = amountsOf(name);

  testWith(
    ["deno pack", "runtimes"],
    `${name}: fuzz: ${steps} random steps, no crash and no wrong value`,
    async () => {
      const seed = seedOf(5);
      const words = [seed, "steps", steps].map(String);
      const { code, signal, text, pid } = await runIn(name, "fuzz/child.ts", {}, words);
      assertEquals([code, signal], [0, null], `seed ${seed}: ${text}`);
      const left = Array.from(Deno.readDirSync("/dev/shm"), ({ name }) => name)
        .filter((each) => each.startsWith(`fuzz-${pid}-`));
      SharedMemoryArray.clearBuffers(left);
      // Where a Worker was terminated, Bun 1.3 tells nobody that a program ends (docs/runtimes.md).
      if (name !== "bun-1.3") assertEquals(left, []);
      const { operations, values }: Summary = JSON.parse(text.match(/^\{.*\}$/m)![0]);
      // Of 20,000 steps every operation is one at least.
      if (steps >= 20_000) assertEquals(Object.keys(operations).length, 42);
      assert(values > steps, text);
    },
  );

  testWith(
    ["deno pack", "runtimes"],
    `${name}: crash: ${kills} killed processes of each of six kinds harm nobody else`,
    async () => {
      const { code, signal, text } = await runIn(name, "crash.ts", {
        SHM_TEST_RUNTIMES: JSON.stringify([name, ...pairs[name]].map(hostOf)),
        SHM_TEST_KILLS: String(kills),
      });
      assertEquals([code, signal], [0, null], text);
      assertEquals(text.match(/^\d+ passed, 0 failed$/m)?.[0], "6 passed, 0 failed", text);
    },
  );
}
