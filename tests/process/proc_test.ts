// What /proc says of locks, programs and the environment, compared with what was done.

import { assertEquals } from "@std/assert";
import { statx } from "../../ffi/files.ts";
import { locksOf, programOf } from "../../src/process/proc.ts";
import { evalChild, modUrl, until, withFolder } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "there is no /proc elsewhere");

/** Starts flock(1), which holds the lock of a file as long as the program that it starts runs. */
function flock(...args: string[]): Deno.ChildProcess {
  return new Deno.Command("flock", { args: [...args, "sleep", "60"] }).spawn();
}

Deno.test("locksOf() tells who holds the lock of a file, and who waits", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/a`;
    Deno.writeTextFileSync(file, "");
    const { identity } = statx(file)!;
    assertEquals(locksOf(identity), []);
    const processes: Deno.ChildProcess[] = [];
    try {
      processes.push(flock("--no-fork", "--shared", file));
      await until("it is held", () => locksOf(identity)!.length === 1);
      const held = { pid: processes[0].pid, isShared: true, isWaiting: false };
      assertEquals(locksOf(identity), [held]);
      processes.push(flock("--no-fork", "--exclusive", file));
      await until("another waits", () => locksOf(identity)!.length === 2);
      const waiting = { pid: processes[1].pid, isShared: false, isWaiting: true };
      assertEquals(locksOf(identity), [held, waiting]);
      // Locks of other files are others'.
      assertEquals(locksOf(statx(folder)!.identity), []);
    } finally {
      for (const process of processes) {
        process.kill("SIGKILL");
        await process.status;
      }
    }
  });
});

Deno.test("programOf() gives the name of a program, and null of none", async () => {
  assertEquals(programOf(Deno.pid), Deno.readTextFileSync("/proc/self/comm").trimEnd());
  const process = new Deno.Command("sleep", { args: ["60"] }).spawn();
  await until("it runs", () => programOf(process.pid) === "sleep");
  process.kill("SIGKILL");
  await process.status;
  assertEquals(programOf(process.pid), null);
});

Deno.test("startingEnvironment() gives the variables with --allow-ffi alone", async () => {
  const url = new URL("./src/process/proc.ts", modUrl).href;
  const code = `
    import { startingEnvironment } from ${JSON.stringify(url)};
    const { A, EMPTY, NONE = null } = startingEnvironment();
    console.log(JSON.stringify([A, EMPTY, NONE]));
  `;
  const options = { permissions: ["--allow-ffi"], before: "export A=b=c EMPTY=" };
  assertEquals(await evalChild(code, options), ["b=c", "", null]);
});
