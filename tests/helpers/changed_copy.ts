/**
 * Copies of the sources with changes in them: for processes that do something wrong, or at another pace. A copy whose
 * slices of sleep are ten minutes shows whether a sleeper is woken, however slow the machine is: one that is not
 * woken does not come.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { slowness } from "./scale.ts";

/** A text in a file of the sources, and what a copy has in its place. */
export interface Change {
  /** The path of the file, such as "src/sync/lock.ts". */
  readonly file: string;
  readonly text: string;
  readonly by: string;
}

/** A copy of the sources in a folder of its own, which is removed at the end of the scope. */
export interface ChangedCopy extends AsyncDisposable {
  /** The address of a file of the copy. */
  url(file: string): string;
}

/** Copies the sources with changes in them. */
export async function changedCopy(changes: readonly Change[]): Promise<ChangedCopy> {
  const folder = await Deno.makeTempDir({ prefix: "changed-copy-" });
  const root = new URL("../../", import.meta.url).pathname;
  const { success } = await new Deno.Command("cp", {
    args: ["-R", `${root}mod.ts`, `${root}src`, `${root}ffi`, folder],
  }).output();
  assert(success);
  for (const { file, text, by } of changes) {
    const path = `${folder}/${file}`;
    const source = await Deno.readTextFile(path);
    assertEquals(source.split(text).length, 2, `${file} has the text once: ${text}`);
    await Deno.writeTextFile(path, source.replace(text, () => by));
  }
  return {
    url: (file) => `file://${folder}/${file}`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** The change by which a constant of milliseconds becomes ten minutes: who is not woken by others does not wake. */
export function never(file: string, constant: string, milliseconds: number): Change {
  const text = `const ${constant} = `;
  return { file, text: `${text}${milliseconds};`, by: `${text}600_000;` };
}

/** What a wait gives that comes in time; one that nobody ends comes never, and fails. */
export async function inTime<T>(promise: Promise<T>, limit = 60_000 * slowness): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("nobody was woken")), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
