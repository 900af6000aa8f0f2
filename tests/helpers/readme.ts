/**
 * The README's example in two processes: its files, and how the README says they are started.
 *
 * @module
 */

import { uniqueName } from "./helpers.ts";

/** The root of the repository. */
export const root = new URL("../../", import.meta.url);

/** The text of the README. */
export function readReadme(): string {
  return Deno.readTextFileSync(new URL("README.md", root));
}

/**
 * The code blocks that begin with `// NAME.ts`: files that a reader pastes. Their segment gets a name of
 * its own, because another suite may run the same files at the same time.
 */
export function pastedFiles(markdown: string): Map<string, string> {
  const blocks = markdown.matchAll(/^```ts ignore\n\/\/ (\S+\.ts)\n(.*?)^```$/gms);
  const segment = uniqueName();
  return new Map(
    [...blocks].map(([, name, code]) => [name, code.replaceAll("first-steps", segment)]),
  );
}

/** The arguments of the `deno` command in a line of the README that begins and ends so. */
export function argumentsOf(markdown: string, begin: string, end: string): string[] {
  for (const line of markdown.split("\n")) {
    if (line.startsWith(`deno ${begin} `) && line.endsWith(end)) return line.split(" ").slice(1);
  }
  throw new Error(`the README has no line "deno ${begin} … ${end}"`);
}

/** How a pasted file is started. */
export interface StartOptions {
  /** The folder of the pasted files. */
  folder: string;
  /** Environment variables, besides those of this process. */
  env?: { [name: string]: string };
}

/**
 * Runs the README's example: the writer first, the reader when the writer waits for it.
 *
 * @param writer the command for the writer: a program and its arguments
 * @param reader the command for the reader
 * @returns what the two printed, and with which code the writer ended
 */
export async function runWriterAndReader(
  writer: string[],
  reader: string[],
  { folder, env }: StartOptions,
): Promise<{ writer: string; reader: string; code: number }> {
  const start = ([program, ...args]: string[]): Deno.ChildProcess =>
    new Deno.Command(program, {
      args,
      cwd: folder,
      stdout: "piped",
      stderr: "inherit",
      env: { NO_COLOR: "1", ...env },
    }).spawn();
  const waiting = start(writer);
  const output = waiting.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let written = await readUntil(output, "Waiting for reader.ts\n");
  const { stdout } = await start(reader).output();
  written += await readUntil(output, "]]\n");
  const { code } = await waiting.status;
  await output.cancel();
  return { writer: written, reader: new TextDecoder().decode(stdout), code };
}

async function readUntil(
  reader: ReadableStreamDefaultReader<string>,
  text: string,
): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) break;
    seen += value;
  }
  return seen;
}
