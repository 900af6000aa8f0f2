/**
 * How long the long tests are, how long tests wait, and what becomes of tests that this system does not
 * let run.
 *
 * @module
 */

/** What multiplies the long tests: the environment variable `SHM_SOAK`, 1 in a normal run. */
export const scale: number = Number(Deno.env.get("SHM_SOAK") || 1);

/** Whether this program is for another processor than the kernel, and so runs in an emulator. */
export const isEmulated: boolean = !isKernelOf(Deno.build.arch);

/** What multiplies the time limits of tests: emulated, a process needs many seconds to start. */
export const slowness: number = isEmulated ? 10 : 1;

function isKernelOf(arch: string): boolean {
  try {
    return Deno.readTextFileSync("/proc/sys/kernel/arch").trim() === arch;
  } catch {
    return true; // Linux tells since 6.1
  }
}

/** What a test needs that not every system has. */
export interface Need {
  /** Whether this system has it. */
  readonly met: boolean;
  /** What is said where it is not met: "NumPy not found". */
  readonly lack: string;
  /** The environment variable with which the test fails where it is not met. */
  readonly required: `SHM_REQUIRE_${string}`;
}

/**
 * Registers a test that needs something of the system. Where the need is not met, it says so loudly and
 * the test is ignored, or it fails if the environment variable asks for that.
 *
 * @param need what the test needs
 * @param name the name of the test
 * @param fn the test
 */
export function testWith(need: Need, name: string, fn: () => void | Promise<void>): void {
  const { met, lack, required } = need;
  if (met) {
    Deno.test(name, fn);
  } else if (Deno.env.get(required)) {
    Deno.test(name, () => {
      throw new Error(`Cannot run this test: ${lack}, and ${required} is set`);
    });
  } else {
    console.warn(`SKIPPED: ${lack}: ${name}`);
    Deno.test({ name, fn, ignore: true });
  }
}

function works(command: string): boolean {
  if (Deno.build.os !== "linux") return false;
  const shell = new Deno.Command("sh", { args: ["-c", command], stdout: "null", stderr: "null" });
  return shell.outputSync().success;
}

/** How a process gets namespaces of its own: root may do it, others may as root of a user namespace. */
const unshare = ["unshare", "unshare --user --map-root-user"]
  .find((command) => works(`${command} --mount --pid --fork mount -t tmpfs tmpfs /dev/shm`));

/**
 * Registers a test whose processes need namespaces of their own; {@linkcode inNamespaces} starts them.
 * An ordinary user can run it where the system allows user namespaces.
 */
export function namespaceTest(name: string, fn: () => void | Promise<void>): void {
  const met = unshare !== undefined;
  const lack = "namespaces are not permitted here";
  testWith({ met, lack, required: "SHM_REQUIRE_NAMESPACES" }, name, fn);
}

/**
 * What a child process is to do first to have namespaces of its own: `ChildOptions.before`.
 *
 * @param kinds options of unshare(1), such as `"--mount"`
 * @param setup shell commands that run inside, such as `"mount -t tmpfs tmpfs /dev/shm"`
 */
export function inNamespaces(kinds: string, setup = "true"): string {
  return `exec ${unshare} ${kinds} sh -c '${setup} && exec "$@"' sh "$@"`;
}

/** Whether processes of another user can be started here, which is for root. */
const otherUsers = works("setpriv --reuid=65534 --regid=65534 --clear-groups true");

/** Registers a test that needs a second user; `withOtherUser()` of `helpers.ts` starts its processes. */
export function otherUserTest(name: string, fn: () => void | Promise<void>): void {
  const lack = "only root can start a process of another user";
  testWith({ met: otherUsers, lack, required: "SHM_REQUIRE_ROOT" }, name, fn);
}
