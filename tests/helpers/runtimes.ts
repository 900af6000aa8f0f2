/**
 * Brings Node, Bun and workerd for tests, by npm. The programs stay in a folder of the user's cache, so that they are
 * fetched once.
 *
 * @module
 */

import { type RuntimeName, versions } from "../runtimes/versions.ts";

const home = Deno.env.get("HOME");
const cache = `${
  Deno.env.get("XDG_CACHE_HOME") || (home ? `${home}/.cache` : "/tmp")
}/shm-array/runtimes`;

/**
 * The program of a runtime. A test that runs it says so by `testWith("runtimes")` or `testWith("other runtimes")`.
 *
 * @param name a name of `tests/runtimes/versions.ts`
 * @returns the path of the program
 */
export function runtimePath(name: RuntimeName): string {
  return `${cache}/${programOf(name)}-${versions[name]}`;
}

/** Which program a runtime is. */
function programOf(name: RuntimeName): "node" | "bun" | "workerd" {
  return name.split("-")[0] as "node" | "bun" | "workerd";
}

/** The package of npm that holds the program for this system, and nothing but it. */
function packageOf(name: RuntimeName): string {
  const { os } = Deno.build;
  const isArm = Deno.build.arch === "aarch64";
  const packages = {
    node: `node-${os === "darwin" && isArm ? "bin-" : ""}${os}-${isArm ? "arm64" : "x64"}`,
    bun: `@oven/bun-${os}-${isArm ? "aarch64" : "x64"}`,
    workerd: `@cloudflare/workerd-${os}-${isArm ? "arm64" : "64"}`,
  };
  return `${packages[programOf(name)]}@${versions[name]}`;
}

/** Fetches one runtime: $1 is the package, $2 the program in it, $3 where it belongs. */
const fetch = `
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --loglevel=error --fetch-retries=1 --fetch-retry-mintimeout=2000 "$1" >name
tar -xzf "$(cat name)" "package/bin/$2"
"package/bin/$2" --version >&2
mkdir -p "\${3%/*}"
# Another suite may do the same at this time, so the program comes to its place at once.
mv "package/bin/$2" "$3.$$"
mv -f "$3.$$" "$3"`;

/**
 * Brings runtimes that are not there yet, several at the same time.
 *
 * @param names which
 * @returns whether all of them are there now; what npm said is printed where one is not
 */
export function bringRuntimes(names: readonly RuntimeName[]): boolean {
  const missing = names.filter((name) => !exists(runtimePath(name)));
  if (missing.length === 0) return true;
  const words = missing.flatMap((name) => [
    packageOf(name),
    programOf(name),
    runtimePath(name),
  ]);
  const script = `
while [ $# != 0 ]; do
  sh -c "$FETCH" sh "$1" "$2" "$3" &
  shift 3
done
wait`;
  const { stderr } = new Deno.Command("sh", {
    args: ["-c", script, "sh", ...words],
    env: { FETCH: fetch },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).outputSync();
  const isThere = names.every((name) => exists(runtimePath(name)));
  if (!isThere) console.warn(new TextDecoder().decode(stderr));
  return isThere;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

let browser: string | null | undefined;

/** The program of a Chromium that is installed; `null` if none is. */
export function chromium(): string | null {
  if (browser === undefined) {
    browser = ["chromium", "google-chrome", "chrome-headless-shell"].find((program) => {
      try {
        return new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" })
          .outputSync().success;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    }) ?? null;
  }
  return browser;
}
