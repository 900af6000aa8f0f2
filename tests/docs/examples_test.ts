// Every example runs by the command in its header, with the permissions named there and no others.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NDArray, SharedMemoryArray } from "@shm/array";
import { writeNpy } from "@shm/array/npy";
import FileSystemStore from "@zarrita/storage/fs";
import { dirname } from "node:path";
import * as zarr from "zarrita";
import {
  childrenOf,
  lives,
  segmentExists,
  thoseThatStay,
  until,
  withFolder,
} from "../helpers/helpers.ts";
import { python } from "../helpers/find_python.ts";
import { runPython } from "../helpers/python.ts";
import { inNamespaces, type Need, testWith } from "../helpers/test_with.ts";

const root = new URL("../../", import.meta.url);

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
  "versioned_table.ts": [
    "table",
    /^The first writer was .* is {"version":3,"point":777,"filledFor":3}\n[^]*"filledFor":6}\n.*: 2\n$/,
  ],
  "config_bytes.ts": [
    "config",
    /^reader: version 1 is {"logLevel":"info",.*Ōtautahi"\]}\nreader: version 2 is .*\nwriter: pub/,
  ],
  "pool.ts": [
    "workerpool",
    /^16 tiles: (\d+) pixels in the set, \1 in the picture\n.*TimeoutError: .* 500 ms\n.*RangeError: Cannot draw tile 99: there are 16\n.*TerminateError: .*\nOnce more: \1 pixels in the set\n$/,
  ],
  "supervisor.ts": [
    "supervisor",
    /^(?=[^]*A worker ended by code 70; the next starts in 100 ms\n)[^]*Answer: 1\nAnswer: 4\nAnswer: 9\nAnswer: 16\n[^]*All workers have ended\.\n$/,
  ],
  "npy.ts": [
    "npy",
    /in\.npy is in shared memory now, .*:\nNDArray\(\[\[0\.5, [^]*has the same 12 elements/,
  ],
  "npz.ts": [
    "npz",
    /^heights\.npy is float32 of shape \[2, 2\], .*\nNDArray\([^]*\nids.npy is int16 of shape \[3\], /,
  ],
  "fetch_npy.ts": [
    "fetched",
    /^The array of uint8 and shape \[2, 3, 3\] is .*\nNDArray\(\[\[255, {3}0, {3}0\],\n/,
  ],
};

/** The arguments of `deno` in the header of an example, without the example's own, in capitals or brackets. */
function runArguments(file: string): string[] {
  const lines = Deno.readTextFileSync(new URL(`examples/${file}`, root)).split("\n");
  const header = lines.slice(0, lines.indexOf(""));
  assert(
    header.length >= 3 && header.every((line) => /^\/\/ .{20,}/.test(line)),
    `${file} has no header`,
  );
  assert(header.length <= 4, `the header of ${file} has more than four lines`);
  assertMatch(header.join(" "), /\bIt prints /, `${file} does not say what it prints`);
  const command = lines[2].match(/^\/\/ Run it: deno (run [^[]+?)(?: [A-Z]+)*(?: \[.*\])?$/);
  assert(command !== null, `${file} does not say how to run it`);
  return command[1].split(" ");
}

/** The "deno" that an example starts is the one that runs this test. */
const environment = {
  NO_COLOR: "1",
  PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH") ?? ""}`,
};

interface Ran {
  success: boolean;
  stdout: string;
  stderr: string;
}

async function run(file: string, ...args: string[]): Promise<Ran> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Where the packages that an example uses are not there yet, their download is no complaint.
    // Python is the one with which the tests compare.
    args: ["run", "--quiet", ...runArguments(file).slice(1), ...args]
      .map((arg) => arg.replace(/\/usr\/bin\/python3$/, python()?.path ?? "$&")),
    cwd: root,
    stdout: "piped",
    stderr: "piped",
    env: environment,
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { success, stdout: out, stderr: err };
}

/** The segments that have a prefix; none on macOS, which cannot list them. */
function segmentsOf(prefix: string): string[] {
  if (Deno.build.os !== "linux") return [];
  return SharedMemoryArray.list().filter((s) => s.prefix === prefix).map(({ name }) => name);
}

/** Registers the test of an example, which may need something of the system, or arguments, and may write files. */
function exampleTest(
  file: string,
  [prefix, output]: [prefix: string, output: RegExp],
  needs: Need | readonly Need[],
  prepare: (folder: string) => Promise<string[]> = () => Promise.resolve([]),
  check: (folder: string, stdout: string) => void = () => {},
): void {
  testWith(
    needs,
    `examples/${file} does what its header says, and leaves no segment`,
    () =>
      withFolder(async (folder) => {
        const args = await prepare(folder);
        const before = segmentsOf(prefix);
        const start = performance.now();
        const { success, stdout, stderr } = await run(file, ...args);
        assert(success, stderr);
        assertMatch(stdout, output);
        assertEquals(stderr, "");
        // Two seconds on a quiet machine; emulated for another processor, a minute.
        assert(performance.now() - start < 180_000);
        const made = segmentsOf(prefix).filter((name) => !before.includes(name));
        assertEquals(await thoseThatStay(made), []);
        check(folder, stdout);
      }),
  );
}

for (const [file, example] of Object.entries(examples)) exampleTest(file, example, []);

exampleTest("video_ring.ts", [
  "video",
  /^(Deno|Python): \d+ frames\/s, -?\d+ µs late, \d+ skipped, \d+ torn, \d+ ms busy .*\n(Python|Deno): .*\n$/,
], "NumPy");

exampleTest(
  "npz.ts",
  [
    "npz",
    /^a\.npy is int64 of shape \[3\], .*\nNDArray\(\[0, 1, 2\],.*\nb\.npy is float32 of shape \[2, 2\],/,
  ],
  "NumPy",
  async (folder) => {
    const program = "import sys, numpy as np\n" +
      "np.savez_compressed(sys.argv[1], a=np.arange(3), b=np.ones((2, 2), 'f4', order='F'))";
    await runPython(["-c", program, `${folder}/both.npz`], "");
    return [`${folder}/both.npz`];
  },
);

exampleTest(
  "zarr.ts",
  ["zarr", /^\S+\/feet has 142 × 202 numbers, in feet\n$/],
  [],
  async (folder) => {
    const { success, stderr } = await run("demo/terrain_zarr.ts", folder, "200", "64");
    assert(success, stderr);
    return [`${folder}/heights`, `${folder}/feet`];
  },
);

/** What a median filter of nine pixels makes of the picture of tiles.ts, by sorting. */
function medians(width: number, height: number): Uint8Array {
  const noisy = Uint8Array.from(
    { length: width * height },
    (_, i) => i % 17 === 0 ? 255 : i % width / width * 200,
  );
  const clamp = (x: number, length: number): number => Math.min(Math.max(x, 0), length - 1);
  const near = new Uint8Array(9);
  return Uint8Array.from(noisy, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    for (let j = 0; j < 9; j++) {
      const [dx, dy] = [j % 3 - 1, Math.floor(j / 3) - 1];
      near[j] = noisy[clamp(y + dy, height) * width + clamp(x + dx, width)];
    }
    return near.sort()[4];
  });
}

exampleTest(
  "tiles.ts",
  [
    "tiles",
    /^16 of 32 tiles are done; a worker is killed\n32 of 32 .*\n0 to 31: \d+\n[^]*224 to 255: \d+\n$/,
  ],
  "Linux",
  (folder) => Promise.resolve(["1990", "990", `${folder}/filtered.npy`]),
  (folder, stdout) => {
    const expected = medians(1990, 990);
    const written = Deno.readFileSync(`${folder}/filtered.npy`).subarray(-expected.length);
    assert(written.every((shade, i) => shade === expected[i]), "a pixel is another one");
    // No tile is missing in the histogram, and none is in it twice.
    const counts = new Array(8).fill(0);
    for (const shade of expected) counts[shade >> 5]++;
    const lines = counts.map((count, bin) => `${bin * 32} to ${bin * 32 + 31}: ${count}\n`);
    assertEquals(stdout.slice(stdout.indexOf("0 to 31")), lines.join(""));
  },
);

exampleTest(
  "inference.ts",
  [
    "inference",
    /^A request: +200 {"label":7,"attempt":1}\n.* 200 {"label":7,"attempt":2}\n.* 504 time is up\n20 at once: +200 for [1-9]\d*, 503 for [1-9]\d*\n$/,
  ],
  "Linux",
  () => Promise.resolve(["2500"]),
);

/** The plate of heat.ts after some steps, by one process. */
function plate(size: number, steps: number): Float64Array {
  let [from, to] = [0, 1].map(() => new Float64Array(size * size).fill(100, 0, size));
  for (let step = 0; step < steps; step++, [from, to] = [to, from]) {
    for (let i = size; i < size * (size - 1); i++) {
      if (i % size === 0 || i % size === size - 1) continue;
      to[i] = (from[i - size] + from[i + size] + from[i - 1] + from[i + 1]) / 4;
    }
  }
  return from;
}

/** Compares a checkpoint of heat.ts, bit for bit. */
function assertPlate(path: string, size: number, steps: number): void {
  const expected = new Uint8Array(plate(size, steps).buffer);
  assertEquals(Deno.readFileSync(path).subarray(-expected.length), expected);
}

exampleTest(
  "heat.ts",
  ["heat", /^\S+\/100\.npy is written\n\S+\/200\.npy is written\n$/],
  "Linux",
  (folder) => Promise.resolve(["67", "200", folder]),
  (folder) => {
    for (const steps of [100, 200]) assertPlate(`${folder}/${steps}.npy`, 67, steps);
  },
);

testWith("Linux", "heat: it goes on at the newest checkpoint", () =>
  withFolder(async (folder) => {
    writeNpy(`${folder}/200.npy`, new NDArray(plate(20, 200), { shape: [20, 20] }));
    const { success, stdout, stderr } = await run("heat.ts", "20", "300", folder);
    assert(success, stderr);
    assertEquals(stdout, `${folder}/300.npy is written\n`);
    assertPlate(`${folder}/300.npy`, 20, 300);
  }));

Deno.test("examples: none wants all permissions", () => {
  const others = ["video_ring.ts", "zarr.ts", "tiles.ts", "inference.ts", "heat.ts"];
  for (const file of [...Object.keys(examples), ...others]) {
    const args = runArguments(file);
    assert(!args.some((arg) => ["-A", "--allow-all", "--allow-run"].includes(arg)), file);
  }
});

// --- pool.ts ---------------------------------------------------------------------------------

/** Starts pool.ts as a shell does, as a group of processes, with the arguments in its header. */
function startPool(): Deno.ChildProcess {
  return new Deno.Command("setsid", {
    args: [Deno.execPath(), ...runArguments("pool.ts")],
    cwd: root,
    stdout: "piped",
    stderr: "null",
    env: environment,
  }).spawn();
}

/** Interrupts a pool in the middle of its work, and looks at what is left of it. */
async function assertLeavesNothing(
  pool: Deno.ChildProcess,
  interrupt: () => unknown,
): Promise<void> {
  const workers = childrenOf(pool.pid);
  assertEquals(workers.length, 3);
  const mine = SharedMemoryArray.list().filter(({ pids }) => pids.includes(pool.pid));
  assertEquals(mine.map(({ prefix }) => prefix), ["workerpool"]);
  await interrupt();
  assertEquals((await pool.status).signal, "SIGINT");
  await until("its workers have ended", () => !workers.some(lives));
  assert(!segmentExists(mine[0].name));
}

testWith("Linux", "pool: Ctrl-C leaves nothing, not even where a task hangs", async () => {
  const pool = startPool();
  const lines = pool.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assertMatch((await lines.read()).value!, /^16 tiles/); // the next task hangs
  await assertLeavesNothing(
    pool,
    // A terminal sends the signal to the whole group.
    () => new Deno.Command("kill", { args: ["-INT", "--", `-${pool.pid}`] }).output(),
  );
  await lines.cancel();
});

testWith("Linux", "pool: a signal to the main process alone leaves nothing", async () => {
  const pool = startPool();
  await until("it has workers", () => childrenOf(pool.pid).length === 3);
  await assertLeavesNothing(pool, () => pool.kill("SIGINT"));
  await pool.stdout.cancel();
});

testWith("Linux", "pool: workers end when the main process is killed", async () => {
  const pool = startPool();
  await until("it has workers", () => childrenOf(pool.pid).length === 3);
  const workers = childrenOf(pool.pid);
  const [{ name }] = SharedMemoryArray.list().filter(({ pids }) => pids.includes(pool.pid));
  // It is stopped until the workers have sent what it does not read. Taken out (the look for the parent): all stay,
  // because Deno calls no listener for "disconnect" then.
  pool.kill("SIGSTOP");
  await new Promise((resume) => setTimeout(resume, 1000));
  pool.kill("SIGKILL");
  await pool.status;
  SharedMemoryArray.clearBuffers([name]);
  await until("its workers have ended", () => !workers.some(lives));
  await pool.stdout.cancel();
});

// --- zarr.ts ---------------------------------------------------------------------------------

/** Writes an array of different numbers, and gives what zarrita reads of it at once, in feet. */
async function makeZarr(
  path: string,
  shape: [height: number, width: number],
  chunkShape: number[],
  dtype: "float64" | "int16" = "float64",
): Promise<Float64Array> {
  const array = await zarr.create(new FileSystemStore(path), { shape, chunkShape, dtype });
  const data = Float64Array.from({ length: shape[0] * shape[1] }, (_, i) => i / 2);
  await zarr.set(array, null, { data, shape, stride: [shape[1], 1] } as zarr.Chunk<typeof dtype>);
  return (await readZarr(path)).map((metres) => metres / 0.3048);
}

async function readZarr(path: string): Promise<Float64Array> {
  const array = await zarr.open.v3(new FileSystemStore(path), { kind: "array" });
  return Float64Array.from((await zarr.get(array)).data as Float64Array);
}

Deno.test("zarr: processes read what zarrita reads at once, edges and windows of any size included", () =>
  withFolder(async (folder) => {
    const arrays = [
      await makeZarr(`${folder}/0`, [203, 117], [32, 50]),
      await makeZarr(`${folder}/1`, [3, 5], [8, 8], "int16"), // one chunk, larger than the array
    ];
    for (const [i, expected] of arrays.entries()) {
      for (const rowsOfChunks of ["1", "3", "7"]) {
        const out = `${folder}/${i} by ${rowsOfChunks}`;
        const { success, stderr } = await run("zarr.ts", `${folder}/${i}`, out, rowsOfChunks);
        assert(success, stderr);
        assertEquals(await readZarr(out), expected);
      }
    }
  }));

testWith(
  "namespaces",
  "zarr: an array larger than /dev/shm goes through it in windows",
  () =>
    withFolder(async (folder) => {
      const expected = await makeZarr(`${folder}/in`, [1200, 500], [100, 200]); // 4.8 MB
      const before = inNamespaces("--mount", "mount -t tmpfs -o size=1m tmpfs /dev/shm");
      const start = (rowsOfChunks: string): Promise<Deno.CommandOutput> =>
        new Deno.Command("sh", {
          args: [
            ...["-c", before, "sh", Deno.execPath(), ...runArguments("zarr.ts")],
            ...[`${folder}/in`, `${folder}/out`, rowsOfChunks],
          ],
          cwd: root,
          env: environment,
        }).output();
      const { success, stderr } = await start("2");
      assert(success, new TextDecoder().decode(stderr));
      assertEquals(await readZarr(`${folder}/out`), expected);
      // The control: in one piece it does not fit.
      assertStringIncludes(new TextDecoder().decode((await start("12")).stderr), "(os error 28)");
    }),
);

// --- npy.ts ----------------------------------------------------------------------------------

testWith("NumPy", "npy: the command reads a file of NumPy's and writes one", async () => {
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
