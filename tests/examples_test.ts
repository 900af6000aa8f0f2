// Every example runs by the command in its header, with the permissions named there and no others.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { dirname } from "node:path";
import { thoseThatStay } from "./helpers.ts";
import { pythonTest, runPython } from "./python.ts";

const root = new URL("../", import.meta.url);

/** The prefix of the names of each example's segments, and what it must print. */
const examples: { [file: string]: [prefix: string, output: RegExp] } = {
  "worker_pool.ts": [
    "pool",
    /^(.{72} {2}worker [123]\n){24}24 rows by 3 processes; no pixel was copied or sent\.\n$/,
  ],
  "threads_and_processes.ts": [
    "threads",
    /^The thread counted {2}100000\nThe process counted 100000\nThe sum of both is {2}200000: .*\n$/,
  ],
  "video_ring.ts": [
    "video",
    /^viewer: saw \d+ frames.* took \d+ for un.*\nviewer: .* 0 that were mixed.*\ncamera: wrote 100 /,
  ],
  "config_bytes.ts": [
    "config",
    /^reader: version 1 is {"logLevel":"info",.*Ōtautahi"\]}\nreader: version 2 is .*\nwriter: pub/,
  ],
  "npy.ts": [
    "npy",
    /in\.npy is in shared memory now, .*:\nNDArray\(\[\[0\.5, [^]*has the same 12 elements/,
  ],
};

/** The arguments of `deno` in the header of an example, without the optional ones in brackets. */
function runArguments(file: string): string[] {
  const lines = Deno.readTextFileSync(new URL(`examples/${file}`, root)).split("\n");
  assert(lines.slice(0, 3).every((line) => /^\/\/ .{20,}/.test(line)), `${file} has no header`);
  assertEquals(lines[3], "", `the header of ${file} has more than three lines`);
  const command = lines[2].match(/^\/\/ Run it: deno (run [^[]+?)(?: \[.*\])?$/);
  assert(command !== null, `${file} does not say how to run it`);
  return command[1].split(" ");
}

interface Ran {
  success: boolean;
  stdout: string;
  stderr: string;
}

async function run(file: string, ...args: string[]): Promise<Ran> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...runArguments(file), ...args].with(0, "run"),
    cwd: root,
    stdout: "piped",
    stderr: "piped",
    // The "deno" that the example starts is the one that runs this test.
    env: { NO_COLOR: "1", PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH") ?? ""}` },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { success, stdout: out, stderr: err };
}

/** The segments that have a prefix; none on macOS, which cannot list them. */
function segmentsOf(prefix: string): string[] {
  if (Deno.build.os !== "linux") return [];
  return SharedMemoryArray.list().filter((s) => s.prefix === prefix).map(({ name }) => name);
}

for (const [file, [prefix, output]] of Object.entries(examples)) {
  Deno.test(`examples/${file} does what its header says, and leaves no segment`, async () => {
    const before = segmentsOf(prefix);
    const start = performance.now();
    const { success, stdout, stderr } = await run(file);
    assert(success, stderr);
    assertMatch(stdout, output);
    assertEquals(stderr, "");
    // Two seconds on a quiet machine; a busy one may be slower.
    assert(performance.now() - start < 20_000);
    const made = segmentsOf(prefix).filter((name) => !before.includes(name));
    assertEquals(await thoseThatStay(made), []);
  });
}

Deno.test("examples: none wants all permissions", () => {
  for (const file of Object.keys(examples)) {
    const args = runArguments(file);
    assert(!args.some((arg) => ["-A", "--allow-all", "--allow-run"].includes(arg)), file);
  }
});

// --- npy.ts ----------------------------------------------------------------------------------

pythonTest("npy: the command reads a file of NumPy's and writes one", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const [from, to] = [`${folder}/from.npy`, `${folder}/to.npy`];
    await runPython([
      "-c",
      "import sys, numpy as np; np.save(sys.argv[1], np.linspace(0, 1, 11))",
      from,
    ]);
    const { success, stdout, stderr } = await run("npy.ts", from, to);
    assert(success, stderr);
    assertStringIncludes(stdout, "dtype=float64");
    assertEquals(Deno.readFileSync(to), Deno.readFileSync(from));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
