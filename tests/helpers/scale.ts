/**
 * How long the long tests are, and how long tests wait.
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
