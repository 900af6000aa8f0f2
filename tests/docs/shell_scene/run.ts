// Runs the commands that its arguments are, one after another, while the programs of this folder run, in a namespace of its
// own; writes each command and its output as JSON.

import { SharedMemoryArray } from "@shm/array";
import { pythonPath } from "../../helpers/find_python.ts";
import { until } from "../../helpers/helpers.ts";

const root = new URL("../../../", import.meta.url);
const here = (file: string): string => new URL(file, import.meta.url).pathname;
const { pathname: config } = new URL("deno.json", root);

/** The words that start a program of Deno. */
function deno(...args: string[]): string[] {
  return [Deno.execPath(), "run", "--quiet", "--no-check", "--config", config, ...args];
}

/** A program that writes nothing but errors. */
function program([command, ...args]: string[]): Deno.Command {
  return new Deno.Command(command, { args, stdin: "null", stdout: "null" });
}

/** How many segments somebody uses, or nobody. */
const count = (isMeant: (pids: number[]) => boolean): number =>
  SharedMemoryArray.list().filter(({ pids }) => isMeant(pids)).length;

const permissions = ["--allow-ffi", "--allow-read", "--allow-write"];
const [folder, ...commands] = Deno.args;
const children: Deno.ChildProcess[] = [];
try {
  await program(deno("-A", here("killed.ts"))).spawn().status;
  for (const file of ["camera.ts", "model.ts"]) {
    children.push(program(deno("-A", here(file))).spawn());
  }
  await until("five segments are there", () => count((pids) => pids.length > 0) >= 5);
  const python = new URL("examples/python/", root).pathname;
  children.push(program([pythonPath, here("viewer.py"), python]).spawn());
  await until("Python uses three of them", () => count((pids) => pids.length > 1) >= 3);
  const outputs: [command: string, output: string][] = [];
  for (const command of commands) {
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) =>
      quoted ?? plain
    );
    const cli = new URL("src/cli/mod.ts", root).pathname;
    const { stdout } = await new Deno.Command("sh", {
      // Both outputs, as a person sees them.
      args: ["-c", 'exec "$@" 2>&1', "sh", ...deno(...permissions, cli, ...words.slice(1))],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    outputs.push([command, new TextDecoder().decode(stdout)]);
  }
  console.log(JSON.stringify(outputs));
} finally {
  for (const child of children) {
    child.kill("SIGKILL");
    await child.status;
  }
}
