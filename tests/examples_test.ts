// Every example runs by the command in its header, with the permissions named there and no others.
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { createAndRegisterSma, NDArray, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { type DType, dtypes, numpyTypeString, typedArrayOf } from "@shm/array/dtype";
import { dirname } from "node:path";
import { readNpy, writeNpy } from "../examples/npy.ts";
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

/** Calls `body` with a folder and a register; removes the folder and the segments afterwards. */
async function withFolder(
  body: (folder: string, register: SharedMemoryRegister) => void | Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    using register = new SharedMemoryRegister();
    await body(folder, register);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A heap view with the elements 0, 1, 2, … */
function counted(shape: number[], dtype: DType): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new (typedArrayOf(dtype))(size);
  const isBig = dtype === "int64" || dtype === "uint64";
  for (let i = 0; i < size; i++) {
    const value = dtype === "bool" ? i % 2 : i;
    (data as { [i: number]: unknown })[i] = isBig ? BigInt(value) : value;
  }
  return new NDArray(data, { shape, dtype }) as NDArray;
}

Deno.test("npy: what is written is read again: every dtype, 0 to 3 axes", () =>
  withFolder((folder, register) => {
    const path = `${folder}/a.npy`;
    for (const dtype of dtypes) {
      for (const shape of [[], [5], [2, 3], [2, 3, 4]]) {
        const source = counted(shape, dtype);
        writeNpy(path, source);
        const { sma, view } = readNpy(path, register);
        using _attached = sma;
        // A file cannot tell clamped bytes from others.
        assertEquals(view.dtype, dtype === "uint8c" ? "uint8" : dtype);
        assertEquals(view.shape, shape);
        assertEquals(view.toArray(), source.toArray());
      }
    }
  }));

Deno.test("npy: Fortran order stays Fortran order, as a transposed view", () =>
  withFolder((folder, register) => {
    const path = `${folder}/f.npy`;
    const source = counted([4, 3], "int16").transpose();
    writeNpy(path, source);
    assertStringIncludes(Deno.readTextFileSync(path), "'fortran_order': True, 'shape': (3, 4)");
    const { sma, view } = readNpy(path, register);
    using _attached = sma;
    assertEquals([sma.shape, view.shape, view.stride], [[4, 3], [3, 4], [1, 3]]);
    assertEquals(view.toArray(), source.toArray());
  }));

Deno.test("npy: a view whose elements do not lie side by side is written in C order", () =>
  withFolder((folder, register) => {
    const path = `${folder}/s.npy`;
    const source = counted([4, 5, 6], "float32").slice("::2", "::-1", "1:4");
    writeNpy(path, source);
    const { sma, view } = readNpy(path, register);
    using _attached = sma;
    assertEquals(view.toArray(), source.toArray());
  }));

Deno.test("npy: the elements come to lie in the segment itself", () =>
  withFolder((folder, register) => {
    const path = `${folder}/m.npy`;
    writeNpy(path, counted([1 << 20], "float64"));
    const before = Deno.memoryUsage().heapUsed;
    const { sma, view } = readNpy(path, register);
    using _attached = sma;
    assertEquals(view.data.buffer, sma.smh!.buf);
    assert(Deno.memoryUsage().heapUsed - before < 1 << 20, "the heap has grown by a copy");
    // Another attachment sees what was read.
    using other = SharedMemoryArray.clone(sma);
    assertEquals(other.load().get(-1), (1 << 20) - 1);
  }));

/** Bytes that are a .npy file with this header, and too few elements. */
function npyBytes(header: string, version = 1): Uint8Array<ArrayBuffer> {
  const length = version === 1 ? [header.length, 0] : [header.length, 0, 0, 0];
  return new Uint8Array([
    ...[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0],
    ...length,
    ...new TextEncoder().encode(header),
  ]);
}

const refused: [what: string, bytes: Uint8Array<ArrayBuffer>, message: string][] = [
  ["another file", new Uint8Array(64), "it is no .npy file"],
  ["an empty file", new Uint8Array(), "it ends too early"],
  ["a file that is cut off", npyBytes(header("'<f4'", "(2,)")), "it ends too early"],
  ["big-endian elements", npyBytes(header("'>f4'", "(2,)")), "big-endian"],
  ["complex elements", npyBytes(header("'<c8'", "(2,)")), "trailing axis of length 2"],
  ["structured elements", npyBytes(header("[('a', '<f4')]", "(2,)")), "structured"],
  ["an empty array", npyBytes(header("'<f4'", "(0,)")), "it has no elements"],
  ["a header without a shape", npyBytes("{'descr': '<f4'}"), "Cannot read this header"],
  ["version 9", npyBytes(header("'<f4'", "(2,)"), 9), "version 1 to 3"],
];

function header(descr: string, shape: string): string {
  return `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }\n`;
}

for (const [what, bytes, message] of refused) {
  Deno.test(`npy: ${what} is refused, and no segment is left attached`, () =>
    withFolder((folder, register) => {
      Deno.writeFileSync(`${folder}/bad.npy`, bytes);
      assertThrows(() => readNpy(`${folder}/bad.npy`, register), Error, message);
      if (Deno.build.os !== "linux") return; // macOS cannot list segments
      const mine = SharedMemoryArray.list().filter(({ name }) => register.includes(name));
      assertEquals(mine.flatMap(({ pids }) => pids), []);
    }));
}

pythonTest(
  "npy: reads what numpy.save wrote, in C and Fortran order, versions 1 to 3",
  () =>
    withFolder(async (folder, register) => {
      const codes = dtypes.filter((dtype) => dtype !== "uint8c").map(numpyTypeString);
      await runPython([
        "-c",
        `
import sys, json, numpy as np
folder, codes = sys.argv[1], json.loads(sys.argv[2])
for k, code in enumerate(codes):
    for order in "CF":
        a = np.arange(24).astype(code).reshape(2, 3, 4)
        np.save(f"{folder}/{k}{order}.npy", np.asarray(a, order=order))
for version in (1, 2, 3):
    with open(f"{folder}/v{version}.npy", "wb") as file:
        np.lib.format.write_array(file, np.float32(7.5), version=(version, 0))
`,
        folder,
        JSON.stringify(codes),
      ]);
      for (const [k, code] of codes.entries()) {
        for (const order of "CF") {
          const { sma, view } = readNpy(`${folder}/${k}${order}.npy`, register);
          using _attached = sma;
          assertEquals(numpyTypeString(view.dtype), code);
          assertEquals(view.shape, [2, 3, 4]);
          assertEquals(view.stride, order === "C" ? [12, 4, 1] : [1, 2, 6]);
          const value = Number(view.get(1, 2, 3));
          assertEquals([Number(view.get(0, 0, 1)), value], [1, code === "|b1" ? 1 : 23]);
        }
      }
      for (const version of [1, 2, 3]) {
        const { sma, view } = readNpy(`${folder}/v${version}.npy`, register);
        using _attached = sma;
        assertEquals([view.shape, view.get()], [[], 7.5]);
      }
    }),
);

pythonTest(
  "npy: writes what numpy.load reads, byte for byte as numpy.save would",
  () =>
    withFolder(async (folder, register) => {
      using sma = createAndRegisterSma([3, 4], "uint16", register, "npy");
      sma.array!.assign(counted([3, 4], "uint16") as NDArray<"uint16">);
      const views: [name: string, view: NDArray, expression: string][] = [
        ["c", sma.array!, "a"],
        ["f", sma.array!.transpose(), "a.T"],
        ["row", sma.array!.slice(1), "a[1]"],
        ["column", sma.array!.slice(":", 1), "np.ascontiguousarray(a[:, 1])"],
        ["scalar", sma.array!.slice(2, 3), "np.array(a[2, 3])"],
        ["reversed", sma.array!.slice("::-1"), "np.ascontiguousarray(a[::-1])"],
      ];
      for (const [name, view] of views) writeNpy(`${folder}/${name}.npy`, view);
      const { stdout } = await runPython([
        "-c",
        `
import sys, io, json, numpy as np
folder, views = sys.argv[1], json.loads(sys.argv[2])
a = np.arange(12, dtype="<u2").reshape(3, 4)
for name, expression in views:
    wanted = io.BytesIO()
    np.save(wanted, eval(expression))
    written = open(f"{folder}/{name}.npy", "rb").read()
    assert (np.load(f"{folder}/{name}.npy") == eval(expression)).all(), name
    assert written == wanted.getvalue(), (name, written[:128], wanted.getvalue()[:128])
print("same")
`,
        folder,
        JSON.stringify(views.map(([name, , expression]) => [name, expression])),
      ]);
      assertEquals(stdout, "same\n");
    }),
);

pythonTest(
  "npy: the command reads a file of NumPy's and writes one",
  () =>
    withFolder(async (folder) => {
      const [from, to] = [`${folder}/from.npy`, `${folder}/to.npy`];
      await runPython([
        "-c",
        `
import sys, numpy as np
np.save(sys.argv[1], np.linspace(0, 1, 11))
`,
        from,
      ]);
      const { success, stdout, stderr } = await run("npy.ts", from, to);
      assert(success, stderr);
      assertStringIncludes(stdout, "dtype=float64");
      assertEquals(Deno.readFileSync(to), Deno.readFileSync(from));
    }),
);
