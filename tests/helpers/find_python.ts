/**
 * The Pythons with NumPy that tests compare with. Most tests use one: `/usr/bin/python3`, or what the
 * environment variable `SHM_PYTHON` names. Where versions of NumPy differ, tests use these two and the
 * `python3` on the path, one of each version of NumPy.
 *
 * @module
 */

/** Which Python most tests use. */
export const pythonPath: string = Deno.env.get("SHM_PYTHON") || "/usr/bin/python3";

/** A Python that has NumPy. */
export interface Python {
  readonly path: string;
  /** The version of its NumPy: "2.4.6". */
  readonly numpy: string;
}

let found: Python | null | undefined;

/** Where Python is and which version of NumPy it has, or `null` where there is none. */
export function python(): Python | null {
  return found === undefined ? found = probe(pythonPath) : found;
}

/** One Python for each version of NumPy, {@linkcode python} first. */
export function pythons(): readonly Python[] {
  const first = python();
  return ["/usr/bin/python3", "python3"].map(probe).reduce<Python[]>(
    (found, other) =>
      other === null || found.some(({ numpy }) => numpy === other.numpy)
        ? found
        : [...found, other],
    first === null ? [] : [first],
  );
}

/** Whether a NumPy is of this version or newer. */
export function isSince({ numpy }: Python, major: number, minor: number): boolean {
  const [ownMajor, ownMinor] = numpy.split(".").map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

function probe(path: string): Python | null {
  const args = ["-c", "import numpy; print(numpy.__version__)"];
  try {
    const { success, stdout } = new Deno.Command(path, { args, stderr: "null" }).outputSync();
    return success ? { path, numpy: new TextDecoder().decode(stdout).trim() } : null;
  } catch (error) {
    // A user without rights may have another user's folder on the path.
    if (error instanceof Deno.errors.NotFound) return null;
    if (error instanceof Deno.errors.PermissionDenied) return null;
    throw error;
  }
}
