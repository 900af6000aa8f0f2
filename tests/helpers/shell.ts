/**
 * Runs the command `shm`: in this process, and in one of its own.
 *
 * @module
 */

import { run } from "../../src/cli/mod.ts";

/** How a command ended, and the lines that it wrote. */
export interface Lines {
  code: number;
  out: string[];
  err: string[];
}

/** Runs a command in this process. */
export function shell(...args: string[]): Lines {
  const [out, err]: [string[], string[]] = [[], []];
  const code = run(args, (line) => out.push(line), (line) => err.push(line));
  return { code, out, err };
}

/** The program. */
export const cli: string = new URL("../../src/cli/mod.ts", import.meta.url).pathname;

/** Runs a command in a process of its own, whose outputs are pipes. */
export async function command(
  args: string[],
  permissions: string[] = ["--allow-ffi"],
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...permissions, cli, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}
