/**
 * Python programs that tests run, and what the two of them compare.
 *
 * @module
 */

import { isSince, type Python, pythonPath, pythons } from "./find_python.ts";
import { testWith } from "./test_with.ts";

/**
 * Registers a test once for each version of NumPy that is found.
 *
 * @param name the name of the test, to which the version is added
 * @param fn the test; gets the Python that has this NumPy
 */
export function eachNumPyTest(name: string, fn: (python: Python) => void | Promise<void>): void {
  const all = pythons();
  if (all.length === 0) return testWith("NumPy", name, () => {});
  if (!all.some((python) => isSince(python, 2, 3))) {
    console.warn(`SKIPPED with NumPy 2.3 and newer, which is not found: ${name}`);
  }
  for (const python of all) Deno.test(`${name} (NumPy ${python.numpy})`, () => fn(python));
}

const folders = ["../python/", "../../examples/python/"]
  .map((folder) => new URL(folder, import.meta.url).pathname);

/** Starts Python with the tests' and the examples' modules in reach. */
function command(args: readonly string[], program: string = pythonPath): Deno.Command {
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
  program: string = pythonPath,
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
