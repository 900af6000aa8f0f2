// What must hold in every runtime: portable.ts runs in Deno, Node and Bun, each with processes of the other two. Node and
// Bun have the package as JSR makes it for npm.

import { assert, assertEquals } from "@std/assert";
import { makeNpmTarball } from "../../scripts/npm_tarball.ts";
import { root } from "../helpers/readme.ts";
import { runtimePath } from "../helpers/runtimes.ts";
import { slowness } from "../helpers/scale.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";
import type { Host } from "./spawn.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** A runtime that takes part. */
type Name = "deno" | "node" | "node-26.9" | "bun" | "bun-1.3";

/** Who runs the checks, and of whom the processes on the other side are; the newest with the newest. */
const pairs: { readonly [name in Name]: readonly Name[] } = {
  "deno": ["node", "bun"],
  "node": ["deno", "bun"],
  "node-26.9": ["deno", "bun-1.3"],
  "bun": ["deno", "node"],
  "bun-1.3": ["deno", "node-26.9"],
};

function hostOf(name: Name): Host {
  const config = new URL("deno.json", root).pathname;
  const command = name === "deno"
    ? [Deno.execPath(), "run", "-A", "--quiet", "--no-check", "--config", config]
    : name.startsWith("node")
    ? [runtimePath(name), "--disable-warning=ExperimentalWarning", "--expose-gc"]
    : [runtimePath(name)];
  return { name, command };
}

let folder: Promise<string> | undefined;

/** A folder that has the programs, and the package for npm; it is removed at the end of this file. */
function prepared(): Promise<string> {
  return folder ??= prepare();
}

async function prepare(): Promise<string> {
  const folder = await Deno.makeTempDir();
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const tarball = `${folder}/array.tgz`;
  await makeNpmTarball(root, tarball);
  const place = `${folder}/node_modules/@shm/array`;
  await Deno.mkdir(place, { recursive: true });
  const args = ["-xzf", tarball, "-C", place, "--strip-components=1"];
  assert((await new Deno.Command("tar", { args }).output()).success);
  await Deno.writeTextFile(`${folder}/package.json`, '{ "type": "module" }');
  for (const { name } of Deno.readDirSync(new URL("tests/runtimes/", root))) {
    await Deno.copyFile(new URL(`tests/runtimes/${name}`, root), `${folder}/${name}`);
  }
  return folder;
}

/** How long a program may take, in milliseconds: only one that hangs does. */
const LIMIT = 600_000 * slowness;

/** Runs a program in a runtime, to its end. */
async function runIn(
  name: Name,
  program: string,
  env: { [name: string]: string },
): Promise<{ code: number; signal: string | null; text: string }> {
  const [command, ...words] = hostOf(name).command;
  const child = new Deno.Command(command, {
    args: [...words, `${await prepared()}/${program}`],
    cwd: await prepared(),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, signal, text: text + errors };
}

for (const name of Object.keys(pairs) as Name[]) {
  testWith(
    ["deno pack", "runtimes"],
    `${name}: all checks pass, with processes of ${pairs[name].join(" and ")}`,
    async () => {
      const hosts = [name, ...pairs[name]].map(hostOf);
      const { code, signal, text } = await runIn(name, "portable.ts", {
        SHM_TEST_RUNTIMES: JSON.stringify(hosts),
      });
      const [, passed, failed] = text.match(/^(\d+) passed, (\d+) failed$/m) ?? [];
      assertEquals([failed, code, signal], ["0", 0, null], text);
      assert(Number(passed) >= 120, `${passed} checks`);
    },
  );
}
