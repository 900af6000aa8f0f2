/**
 * What tests need that not every system has. A test says it itself, by {@linkcode testWith}; no list
 * elsewhere does. Where something is missing, the test says so in a line that begins with SKIPPED, and is
 * ignored; it fails instead where an environment variable requires what is missing.
 *
 * @module
 */

import { supported, tooOld } from "../runtimes/versions.ts";
import { python, pythonPath } from "./find_python.ts";
import { bringRuntimes, chromium } from "./runtimes.ts";

/** How one thing is found, what is said where it is missing, and which variable requires it. */
interface Requirement {
  readonly isThere: () => boolean;
  readonly lack: string;
  readonly required: `SHM_REQUIRE_${string}`;
}

/** What tests may need. `.ci/run` sets every variable for which it has the thing. */
const requirements = {
  /** `/dev/shm`, `/proc`, locks, anonymous segments. */
  "Linux": {
    isThere: () => Deno.build.os === "linux",
    lack: "this is not Linux",
    required: "SHM_REQUIRE_LINUX",
  },
  /** Python with NumPy: `python` of `find_python.ts` is not `null`. */
  "NumPy": {
    isThere: () => python() !== null,
    lack: `NumPy not found (${pythonPath})`,
    required: "SHM_REQUIRE_PYTHON",
  },
  /** Namespaces of its own for a process: {@linkcode inNamespaces}. */
  "namespaces": {
    isThere: () => unshare() !== undefined,
    lack: "namespaces are not permitted here",
    required: "SHM_REQUIRE_NAMESPACES",
  },
  /** Room for 4 GiB in `/dev/shm`. Where it has less, the test runs where it has one of its own. */
  "room": {
    isThere: () => isRoomy() || unshare() !== undefined,
    lack: "/dev/shm has no room for 4 GiB, and namespaces are not permitted here",
    required: "SHM_REQUIRE_ROOM",
  },
  /** A process of a second user: `withOtherUser()` of `helpers.ts`. */
  "another user": {
    isThere: () => works("setpriv --reuid=65534 --regid=65534 --clear-groups true"),
    lack: "only root can start a process of another user",
    required: "SHM_REQUIRE_ROOT",
  },
  /** A Redis server: `Redis` of `redis.ts`. */
  "Redis": {
    isThere: () => works("redis-server --version && command -v redis-cli"),
    lack: "redis-server is not installed",
    required: "SHM_REQUIRE_REDIS",
  },
  /** A C compiler: `compile()` of `sync.ts`. */
  "cc": {
    isThere: () => works("cc --version"),
    lack: "no C compiler (cc) found",
    required: "SHM_REQUIRE_CC",
  },
  /** The model checker of `tests/model/`, and the compiler of what it writes. */
  "spin": {
    isThere: () => works("spin -V && cc --version"),
    lack: "spin is not installed, or has no C compiler",
    required: "SHM_REQUIRE_SPIN",
  },
  /** `deno bundle`, which came with Deno 2.4, and whose bundler is downloaded at the first use. */
  "deno bundle": {
    isThere: bundles,
    lack: "deno bundle has no bundler",
    required: "SHM_REQUIRE_BUNDLE",
  },
  /** The Node and Bun in which the package runs: `runtimePath()` of `runtimes.ts`. */
  "runtimes": {
    isThere: () => bringRuntimes(supported),
    lack: "npm did not bring Node and Bun",
    required: "SHM_REQUIRE_RUNTIMES",
  },
  /** The Node and Bun that are too old for the package, and Cloudflare's runtime. */
  "other runtimes": {
    isThere: () => bringRuntimes([...tooOld, "workerd"]),
    lack: "npm did not bring old versions of Node and Bun, and workerd",
    required: "SHM_REQUIRE_RUNTIMES",
  },
  /** `deno pack`, which came with Deno 2.8: for `scripts/npm_tarball.ts`. */
  "deno pack": {
    isThere: () => works(`'${Deno.execPath()}' pack --help`),
    lack: "this Deno has no deno pack",
    required: "SHM_REQUIRE_PACK",
  },
  /** V8 14.9, which came with Deno 2.8: bytecode of older ones is longer. */
  "short bytecode": {
    isThere: () => versionOfV8() >= 14.9,
    lack: "this Deno has a V8 that makes longer bytecode",
    required: "SHM_REQUIRE_V8",
  },
  /** `markAsUntransferable()` of `node:worker_threads`, which came with Deno 2.7.6. */
  "marks of buffers": {
    isThere: marksBuffers,
    lack: "this Deno cannot mark buffers as untransferable",
    required: "SHM_REQUIRE_MARKS",
  },
  /** A `--watch` that calls the listeners for SIGTERM, of Workers, too: it came with Deno 2.7.7. */
  "asking watcher": {
    isThere: () => isDenoSince(2, 7, 7),
    lack: "this Deno ends Workers under --watch without a word",
    required: "SHM_REQUIRE_WATCHER",
  },
  /** A formatter that writes Markdown and SVG as this repository has them: it came with Deno 2.9. */
  "formatter": {
    isThere: () => isDenoSince(2, 9, 0),
    lack: "this Deno formats Markdown or SVG in another way",
    required: "SHM_REQUIRE_FORMATTER",
  },
  /** A Deno that lets no Worker that has ended keep the process from a signal: one before 2.4.2, or since 2.9.6. */
  "listeners that end": {
    isThere: () => !isDenoSince(2, 4, 2) || isDenoSince(2, 9, 6),
    lack: "this Deno keeps the listeners of Workers that have ended",
    required: "SHM_REQUIRE_LISTENERS",
  },
  /** A browser: `chromium()` of `runtimes.ts`. */
  "Chromium": {
    isThere: () => chromium() !== null,
    lack: "no Chromium is installed",
    required: "SHM_REQUIRE_CHROMIUM",
  },
  /** Any Node, of whatever age. */
  "Node": {
    isThere: () => works("node --version"),
    lack: "node is not installed",
    required: "SHM_REQUIRE_NODE",
  },
} satisfies { [need: string]: Requirement };

/** What a test may need. */
export type Need = keyof typeof requirements;

const known = new Map<Need, boolean>();

/** Whether this system has something. It is looked for once. */
export function has(need: Need): boolean {
  let found = known.get(need);
  if (found === undefined) known.set(need, found = requirements[need].isThere());
  return found;
}

/** Registers a test, as `Deno.test` did before {@linkcode everyTestWith} replaced it. */
const register: typeof Deno.test = Deno.test;

/**
 * Registers a test that needs something of the system.
 *
 * @param needs what the test needs
 * @param name the name of the test
 * @param fn the test
 */
export function testWith(
  needs: Need | readonly Need[],
  name: string,
  fn: () => void | Promise<void>,
): void {
  const all = [needs].flat();
  const missing = all.find((need) => !has(need));
  if (missing === undefined) {
    Deno.test(name, all.includes("room") && !isRoomy() ? () => runInRoom(name) : fn);
  } else registerWithout(missing, name, fn);
}

function registerWithout(missing: Need, name: string, fn: () => void | Promise<void>): void {
  const { lack, required } = requirements[missing];
  if (Deno.env.get(required)) {
    register(name, () => {
      throw new Error(`Cannot run this test: ${lack}, and ${required} is set`);
    });
  } else {
    console.warn(`SKIPPED: ${lack}: ${name}`);
    register({ name, fn, ignore: true });
  }
}

/**
 * Says that every test of a file needs something. The file calls it before its first test.
 *
 * @param need what they need
 * @param _why what for, for the reader
 */
export function everyTestWith(need: Need, _why: string): void {
  if (has(need)) return;
  const test = (...args: unknown[]): void => {
    const parts = args.map((arg) =>
      typeof arg === "string" ? { name: arg } : typeof arg === "function" ? { fn: arg } : arg
    );
    const { name, fn } = Object.assign({}, ...parts);
    registerWithout(need, name ?? fn.name, fn);
  };
  // Each test file has a world of its own, so this holds for the file that calls it.
  Object.defineProperty(Deno, "test", { value: test, configurable: true, writable: true });
}

/** Whether a shell command succeeds; a shell is not there on every system. */
function works(command: string): boolean {
  const args = ["-c", command];
  try {
    return new Deno.Command("sh", { args, stdin: "null", stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const ROOM = 4 * 2 ** 30;
let roomy: boolean | undefined;

/** Whether much fits into `/dev/shm`: containers often have 64 MiB. */
function isRoomy(): boolean {
  if (roomy === undefined) {
    const args = ["--output=avail", "--block-size=1", "/dev/shm"];
    const { stdout } = new Deno.Command("df", { args, stderr: "null" }).outputSync();
    roomy = Number(new TextDecoder().decode(stdout).split("\n")[1]) >= ROOM;
  }
  return roomy;
}

/** Runs one test of this file in a namespace whose `/dev/shm` has room. */
async function runInRoom(name: string): Promise<void> {
  const before = inNamespaces("--mount", `mount -t tmpfs -o size=${ROOM + 2 ** 30} tmpfs /dev/shm`);
  const filter = `/^${name.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&")}$/`;
  const test = ["test", "-A", "--no-check", "--filter", filter, Deno.mainModule];
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", before, "sh", Deno.execPath(), ...test],
  }).output();
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success || !text.includes("1 passed")) throw new Error(text + errors);
}

function bundles(): boolean {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${folder}/in.js`, "console.log(1);\n");
    const args = ["bundle", "--no-config", "-o", `${folder}/out.js`, `${folder}/in.js`];
    return new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" })
      .outputSync().success;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Whether this Deno is of a version, or newer. */
export function isDenoSince(...version: [major: number, minor: number, patch: number]): boolean {
  const own = Deno.version.deno.split(/[.+-]/).map(Number);
  const at = version.findIndex((part, i) => part !== own[i]);
  return at === -1 || own[at] > version[at];
}

/** The version of V8, up to its second number: 14.9. */
function versionOfV8(): number {
  return Number(/^\d+\.\d/.exec(Deno.version.v8));
}

/** Looks at nothing of `node:worker_threads` in tests that do not need it: that takes time. */
function marksBuffers(): boolean {
  type Threads = { markAsUntransferable(buffer: ArrayBuffer): void };
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: string): Threads };
  };
  try {
    process.getBuiltinModule("node:worker_threads").markAsUntransferable(new ArrayBuffer(8));
    return true;
  } catch {
    return false; // Deno says: Not implemented.
  }
}

let command: string | undefined | null = null;

/** How a process gets namespaces of its own: root may do it, others may as root of a user namespace. */
function unshare(): string | undefined {
  if (command === null) {
    command = Deno.build.os !== "linux"
      ? undefined
      : ["unshare", "unshare --user --map-root-user"].find((command) =>
        works(`${command} --mount --pid --fork mount -t tmpfs tmpfs /dev/shm`)
      );
  }
  return command;
}

/**
 * What a child process is to do first to have namespaces of its own: `ChildOptions.before`.
 *
 * @param kinds options of unshare(1), such as `"--mount"`
 * @param setup shell commands that run inside, such as `"mount -t tmpfs tmpfs /dev/shm"`
 */
export function inNamespaces(kinds: string, setup = "true"): string {
  return `exec ${unshare()} ${kinds} sh -c '${setup} && exec "$@"' sh "$@"`;
}
