/**
 * The Python with NumPy that tests compare with: `/usr/bin/python3`, or what the environment
 * variable `SHM_PYTHON` names. With `SHM_REQUIRE_PYTHON` set, tests that lack it fail.
 *
 * @module
 */

const path = Deno.env.get("SHM_PYTHON") || "/usr/bin/python3";

/** Where Python is and which version of NumPy it has, or `null` where there is none. */
export const python: { path: string; numpy: string } | null = probe();

function probe(): { path: string; numpy: string } | null {
  const args = ["-c", "import numpy; print(numpy.__version__)"];
  try {
    const { success, stdout } = new Deno.Command(path, { args, stderr: "null" }).outputSync();
    return success ? { path, numpy: new TextDecoder().decode(stdout).trim() } : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/**
 * Registers a test that needs Python with NumPy. Where there is none it says so loudly and the test
 * is ignored, or fails if `SHM_REQUIRE_PYTHON` is set.
 *
 * @param name the name of the test
 * @param fn the test; {@linkcode python} is not `null` in it
 */
export function pythonTest(name: string, fn: () => void | Promise<void>): void {
  if (python !== null) {
    Deno.test(name, fn);
  } else if (Deno.env.get("SHM_REQUIRE_PYTHON")) {
    Deno.test(name, () => {
      throw new Error(`Cannot run this test: ${path} has no NumPy, and SHM_REQUIRE_PYTHON is set`);
    });
  } else {
    console.warn(`SKIPPED: NumPy not found (${path}): ${name}`);
    Deno.test({ name, fn, ignore: true });
  }
}
