/**
 * Helpers of several tests: unique names, a look at segments from outside the library, second processes,
 * and a second user.
 *
 * @module
 */

import { slowness } from "./scale.ts";

/** The folder in which Linux shows segments. On other systems, tests that look there fail. */
const directory = "/dev/shm";

/** A segment name that nothing else uses, and that `buildSmaName` did not make. */
export function uniqueName(): string {
  return `test-${crypto.randomUUID().slice(0, 18)}`;
}

/** The file by which Linux shows a segment. */
export function segmentPath(name: string): string {
  return `${directory}/${name}`;
}

/** Whether there is a segment of this name, as the file system sees it. */
export function segmentExists(name: string): boolean {
  try {
    Deno.lstatSync(segmentPath(name));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Tells which of some segments stay. A test that can tell the segments of a program only by their prefix
 * may also have seen those of another suite, which runs the same program at the same time: they are
 * removed after a while.
 */
export async function thoseThatStay(names: readonly string[]): Promise<string[]> {
  let there = names.filter(segmentExists);
  for (const end = Date.now() + 30_000; there.length > 0 && Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    there = there.filter(segmentExists);
  }
  return there;
}

/** Calls `body` with unique names; removes every segment that has one of them afterwards. */
export function withNames<R>(body: (...names: string[]) => R): R {
  const names = Array.from({ length: body.length }, uniqueName);
  const remove = (): void => {
    for (const name of names) {
      try {
        Deno.removeSync(segmentPath(name), { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  };
  let result: R;
  try {
    result = body(...names);
  } catch (error) {
    remove();
    throw error;
  }
  if (result instanceof Promise) return result.finally(remove) as R;
  remove();
  return result;
}

/** How many times a segment is mapped into this process. */
export function mappingsOf(name: string): number {
  return Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => line.includes(segmentPath(name))).length;
}

/** The number of file descriptors of this process for a segment, also of one without a name. */
export function descriptorsOf(name: string): number {
  let count = 0;
  for (const { name: fd } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${fd}`).includes(segmentPath(name))) count++;
    } catch {
      // The descriptor that reads the directory is closed before its link is read.
    }
  }
  return count;
}

/** The error that a function throws. */
export function errorOf(fn: () => unknown): Error & { code?: string } {
  try {
    fn();
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error(`it threw no Error but ${error}`);
  }
  throw new Error("it did not throw");
}

/** The module under test, for code that runs in another process or worker. */
export const modUrl = new URL("../../mod.ts", import.meta.url).href;

function preludeOf(modUrl: string): string {
  return `import {
    createAndRegisterSma, NDArray, SharedMemory, SharedMemoryArray, SharedMemoryRegister,
    shmarrayWrap, slice,
  } from ${JSON.stringify(modUrl)};\n`;
}

/** Another user of this machine, and copies of what its processes must be able to read. */
export interface OtherUser {
  /** A folder that it may read. */
  readonly folder: string;
  /** The command that starts Deno as this user. */
  readonly deno: readonly string[];
  /** The module under test. */
  readonly modUrl: string;
}

/**
 * Calls `body` with another user, as whom root can start processes. This user may be unable to read the
 * checkout, the cache and Deno itself, as they are in root's home, so it gets copies of what it needs.
 */
export async function withOtherUser<R>(body: (other: OtherUser) => Promise<R>): Promise<R> {
  const nobody = 65534;
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "shm-test-" });
  try {
    const { success, stderr } = await new Deno.Command("sh", {
      args: [
        "-c",
        'cp "$1" "$3/deno" && cp -R "$2/mod.ts" "$2/src" "$2/ffi" "$3" && chmod -R a+rX "$3"',
        "sh",
        Deno.execPath(),
        new URL("../../", import.meta.url).pathname,
        folder,
      ],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    await Deno.mkdir(`${folder}/cache`);
    await Deno.chown(`${folder}/cache`, nobody, nobody);
    return await body({
      folder,
      deno: [
        "env",
        "--unset=DENO_COVERAGE_DIR", // it could not write there
        `DENO_DIR=${folder}/cache`,
        `HOME=${folder}`,
        "setpriv",
        `--reuid=${nobody}`,
        `--regid=${nobody}`,
        "--clear-groups",
        `${folder}/deno`,
      ],
      modUrl: `file://${folder}/mod.ts`,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** How a child process is started. */
export interface ChildOptions {
  /** Permission flags; by default all permissions. */
  permissions?: string[];
  /** Flags for V8. */
  v8Flags?: string[];
  /** What the program finds in `Deno.args`. */
  args?: string[];
  /** Shell commands to run before, such as `ulimit -n 64`. */
  before?: string;
  /** Another user, as whom it runs. */
  as?: OtherUser;
}

/** How a child process ended, and what it wrote. */
export interface ChildResult {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
}

/**
 * Starts a second Deno process. The code finds all names of `mod.ts` imported; it comes through
 * standard input, so that nothing is written to disk.
 */
export async function startChild(
  code: string,
  options: ChildOptions = {},
): Promise<Deno.ChildProcess> {
  const { permissions = ["--allow-all"], v8Flags = [], args = [], before, as } = options;
  const flags = v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join(",")}`];
  const command = [
    ...as?.deno ?? [Deno.execPath()],
    "run",
    "--quiet",
    "--no-config",
    "--no-prompt",
    ...permissions,
    ...flags,
    "-",
    ...args,
  ];
  const [program, ...rest] = before === undefined
    ? command
    : ["sh", "-c", `${before}; exec "$@"`, "sh", ...command];
  const child = new Deno.Command(program, {
    args: rest,
    cwd: as?.folder,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(preludeOf(as?.modUrl ?? modUrl) + code));
  await writer.close();
  return child;
}

/** Runs a second Deno process to its end, which may be a failure. */
export async function runChild(code: string, options?: ChildOptions): Promise<ChildResult> {
  const child = await startChild(code, options);
  const { code: status, signal, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return {
    code: status,
    signal,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Runs a second Deno process, which must succeed, and returns what it printed as JSON. */
export async function evalChild(code: string, options?: ChildOptions): Promise<unknown> {
  const { code: status, signal, stdout, stderr } = await runChild(code, options);
  if (status !== 0) throw new Error(`the child ended with ${signal ?? status}:\n${stderr}`);
  return JSON.parse(stdout);
}

/** The processes that a process has started, as far as they live. Linux only. */
export function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return Deno.readTextFileSync(path).split(" ").filter((pid) => pid !== "").map(Number);
}

/** Whether a process lives; one that has ended and that nobody has waited for does not. Linux only. */
export function lives(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Waits until something holds; fails after a minute, or more where an emulator is slow. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const seconds = 60 * slowness;
  const end = performance.now() + seconds * 1000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`It is not so after ${seconds} s that ${what}`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

/** Calls `body` with a folder that is removed afterwards. */
export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
