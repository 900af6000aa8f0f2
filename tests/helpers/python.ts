/**
 * The Pythons with NumPy that tests compare with. Most tests use one: `/usr/bin/python3`, or what the
 * environment variable `SHM_PYTHON` names. Where versions of NumPy differ, tests use these two and the
 * `python3` on the path, one of each version of NumPy. With `SHM_REQUIRE_PYTHON` set, tests that lack
 * the first one fail.
 *
 * @module
 */

import { testWith } from "./scale.ts";

const path = Deno.env.get("SHM_PYTHON") || "/usr/bin/python3";

/** A Python that has NumPy. */
export interface Python {
  readonly path: string;
  /** The version of its NumPy: "2.4.6". */
  readonly numpy: string;
}

/** Where Python is and which version of NumPy it has, or `null` where there is none. */
export const python: Python | null = probe(path);

/** One Python for each version of NumPy, {@linkcode python} first. */
const pythons: readonly Python[] = ["/usr/bin/python3", "python3"].map(probe).reduce(
  (found, other) =>
    other === null || found.some(({ numpy }) => numpy === other.numpy) ? found : [...found, other],
  python === null ? [] : [python],
);

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

/**
 * Registers a test that needs Python with NumPy. Where there is none it says so loudly and the test
 * is ignored, or fails if `SHM_REQUIRE_PYTHON` is set.
 *
 * @param name the name of the test
 * @param fn the test; {@linkcode python} is not `null` in it
 */
export function pythonTest(name: string, fn: () => void | Promise<void>): void {
  const lack = `NumPy not found (${path})`;
  testWith({ met: python !== null, lack, required: "SHM_REQUIRE_PYTHON" }, name, fn);
}

/**
 * Registers a test once for each version of NumPy that is found, as {@linkcode pythonTest} does it for
 * one.
 *
 * @param name the name of the test, to which the version is added
 * @param fn the test; gets the Python that has this NumPy
 */
export function eachNumPyTest(name: string, fn: (python: Python) => void | Promise<void>): void {
  if (pythons.length === 0) pythonTest(name, () => {});
  else if (!pythons.some((python) => isSince(python, 2, 3))) {
    console.warn(`SKIPPED with NumPy 2.3 and newer, which is not found: ${name}`);
  }
  for (const python of pythons) Deno.test(`${name} (NumPy ${python.numpy})`, () => fn(python));
}

const folders = ["../python/", "../../examples/python/"]
  .map((folder) => new URL(folder, import.meta.url).pathname);

/** Starts Python with the tests' and the examples' modules in reach. */
function command(args: readonly string[], program: string = path): Deno.Command {
  return new Deno.Command(program, {
    args: ["-B", ...args], // no compiled files beside the sources
    env: { PYTHONPATH: folders.join(":") },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/**
 * Runs Python to its end. It waits for the processes that Python started, too (its resource tracker).
 *
 * @param args a script of `tests/python/`, or `"-c"` and a program; and the arguments
 * @param input what is on its standard input
 * @param program which Python it is
 * @returns what it wrote
 */
export async function runPython(
  args: readonly string[],
  input = "",
  program: string = path,
): Promise<{ stdout: string; stderr: string }> {
  const script = args[0].endsWith(".py") ? [folders[0] + args[0], ...args.slice(1)] : args;
  const child = command(script, program).spawn();
  const [output] = await Promise.all([child.output(), writeAll(child.stdin, input)]);
  const [stdout, stderr] = [output.stdout, output.stderr].map((b) => new TextDecoder().decode(b));
  if (!output.success) throw new Error(`Python failed with code ${output.code}:\n${stderr}`);
  return { stdout, stderr };
}

async function writeAll(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stream.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
}

/** A Python process that runs beside the test and obeys its requests: `tests/python/peer.py`. */
export class Peer {
  readonly #process = command([folders[0] + "peer.py"]).spawn();
  readonly #requests = this.#process.stdin.getWriter();
  readonly #answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  readonly #stderr = this.#process.stderr.pipeThrough(new TextDecoderStream());
  #read = "";

  /** Runs statements. */
  async run(statements: string): Promise<void> {
    await this.#request({ run: statements });
  }

  /** Evaluates an expression; the value comes through JSON. */
  // deno-lint-ignore no-explicit-any -- whatever the expression gives
  ask(expression: string): Promise<any> {
    return this.#request({ ask: expression });
  }

  /** Ends the process, which must have written nothing to its error output. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close();
    await this.#answers.cancel();
    let complaints = "";
    for await (const text of this.#stderr) complaints += text;
    const { code } = await this.#process.status;
    if (code !== 0 || complaints !== "") {
      throw new Error(`The Python peer ended with code ${code} and said:\n${complaints}`);
    }
  }

  async #request(request: { run: string } | { ask: string }): Promise<unknown> {
    await this.#requests.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
    const { value, error } = JSON.parse(await this.#line());
    if (error !== undefined) throw new Error(`Python failed:\n${error}`);
    return value;
  }

  async #line(): Promise<string> {
    let end: number;
    while ((end = this.#read.indexOf("\n")) < 0) {
      const { value, done } = await this.#answers.read();
      if (done) throw new Error("The Python peer ended unexpectedly");
      this.#read += value;
    }
    const line = this.#read.slice(0, end);
    this.#read = this.#read.slice(end + 1);
    return line;
  }
}
