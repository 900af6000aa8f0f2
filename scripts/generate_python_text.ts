/**
 * Writes `src/cli/python_text.ts`: the text of `examples/python/shm_attach.py`, so that it comes with the package and
 * `shm python` can print it.
 *
 * `deno task generate` writes the file; `tests/cli/commands/python_test.ts` fails if it is not what this script
 * writes.
 *
 * @module
 */

import { format } from "./format.ts";

const source = new URL("../examples/python/shm_attach.py", import.meta.url);

const head =
  `// Written by scripts/generate_python_text.ts: change examples/python/shm_attach.py, and run \`deno task generate\`.

/**
 * The text of \`examples/python/shm_attach.py\`, which \`shm python\` prints.
 *
 * @module
 */

/** The program, to its last line feed. */
export const shmAttach: string = [
`;

/** The text of the file, as `deno fmt` leaves it. */
export async function moduleText(): Promise<string> {
  const lines = Deno.readTextFileSync(source).split("\n");
  // In quotation marks the tests that read the sources know it as text.
  const list = lines.map((line) => `  ${JSON.stringify(line)},\n`).join("");
  return await format(`${head}${list}].join("\\n");\n`, "ts");
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL("../src/cli/python_text.ts", import.meta.url), await moduleText());
}
