/**
 * How long the long tests are, and what to do where the system does not let them run.
 *
 * @module
 */

/** What multiplies the long tests: the environment variable `SHM_SOAK`, 1 in a normal run. */
export const scale: number = Number(Deno.env.get("SHM_SOAK") || 1);

/** Whether namespaces and other users can be had here: root, with unshare, mount, setpriv, prlimit. */
const namespaces: boolean = works("unshare -m true && setpriv --reuid=65534 true && prlimit true");

function works(command: string): boolean {
  if (Deno.build.os !== "linux") return false;
  return new Deno.Command("sh", { args: ["-c", command], stderr: "null" }).outputSync().success;
}

/**
 * Registers a test that needs a mount namespace of its own or a second user. Where those cannot be
 * had it says so loudly and the test is ignored, or fails if `SHM_REQUIRE_NAMESPACES` is set.
 */
export function namespaceTest(name: string, fn: () => void | Promise<void>): void {
  if (namespaces) {
    Deno.test(name, fn);
  } else if (Deno.env.get("SHM_REQUIRE_NAMESPACES")) {
    Deno.test(name, () => {
      throw new Error(
        "Cannot run this test: no namespaces here, and SHM_REQUIRE_NAMESPACES is set",
      );
    });
  } else {
    console.warn(`SKIPPED: unshare, setpriv or prlimit is not permitted here: ${name}`);
    Deno.test({ name, fn, ignore: true });
  }
}
