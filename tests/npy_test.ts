/**
 * `.npy` files: what NumPy writes is read, what is written is what NumPy writes, and what is refused
 * leaves nothing.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { NDArray, SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import {
  bytesPerElement,
  type DType,
  dtypes,
  numpyTypeString,
  type TypedArrayOf,
  typedArrayOf,
} from "@shm/array/dtype";
import { type NpySource, readNpy, writeNpy } from "@shm/array/npy";
import { Buffer } from "node:buffer";
import { runInNewContext } from "node:vm";
import { errorOf, evalChild, modUrl, runChild, segmentExists } from "./helpers/helpers.ts";
import type { Python } from "./helpers/find_python.ts";
import { eachNumPyTest, runPython } from "./helpers/python.ts";
import { Random, seedOf } from "./helpers/random.ts";
import { everyTestWith } from "./helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

const npyUrl = new URL("../src/npy.ts", import.meta.url).href;

/** Calls `body` with a folder and a register that are gone afterwards. */
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

function bytesOf({ buffer, byteOffset, byteLength }: TypedArrayOf): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The bytes of a file with this header, as it is. */
function npyBytes(
  header: string | Uint8Array,
  { version = [1, 0], elements = new Uint8Array() }: {
    version?: [major: number, minor: number];
    elements?: Uint8Array;
  } = {},
): Uint8Array<ArrayBuffer> {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, text.length, true);
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  const parts = [magic, version, length.subarray(0, version[0] === 1 ? 2 : 4), text, elements];
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function dictionary(descr: string, shape: string, order = "False"): string {
  return `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
}

// --- Round trips -----------------------------------------------------------------------------

Deno.test("readNpy() reads what writeNpy() wrote: every dtype, 0 to 3 axes", () =>
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

Deno.test("readNpy() keeps Fortran order, as a layout", () =>
  withFolder((folder, register) => {
    const path = `${folder}/f.npy`;
    const source = counted([4, 3], "int16").transpose();
    writeNpy(path, source);
    assertStringIncludes(Deno.readTextFileSync(path), "'fortran_order': True, 'shape': (3, 4)");
    const { sma, view } = readNpy(path, register);
    using _attached = sma;
    assertEquals([sma.shape, view.shape, view.stride], [[3, 4], [3, 4], [1, 3]]);
    assertEquals([sma.layout, view], [{ stride: [1, 3] }, sma.array]);
    assertEquals(view.toArray(), source.toArray());
    // Whoever loads it by its description, or by that of the view, sees the file's axes.
    for (const description of [sma, view.toJSON()]) {
      const told = JSON.parse(JSON.stringify(description));
      assertEquals([told.shape, told.layout.stride], [[3, 4], [1, 3]]);
      using other = SharedMemoryArray.from(told);
      assertEquals(other.load().toArray(), source.toArray());
    }
  }));

for (const shape of [[2, 3, 4], [1, 5], [5, 1], [4, 1, 3], [2, 2, 2, 2], [7]]) {
  Deno.test(`readNpy() of a Fortran file of shape ${shape}: load() sees these axes`, () =>
    withFolder((folder, register) => {
      const path = `${folder}/f.npy`;
      const size = shape.reduce((a, b) => a * b);
      const header = `{'descr': '>i2', 'fortran_order': True, 'shape': (${shape.join(", ")},), }`;
      const elements = Uint8Array.from({ length: 2 * size }, (_, i) => i % 2 === 0 ? 0 : i >> 1);
      Deno.writeFileSync(path, npyBytes(header, { elements }));
      const { sma, view } = readNpy(path, register);
      using _attached = sma;
      // Element k of the file is that whose first index counts fastest.
      const expected = new NDArray(Int16Array.from({ length: size }, (_, i) => i), {
        shape: shape.toReversed(),
      }).transpose().toArray();
      assertEquals(view.toArray(), expected);
      using other = SharedMemoryArray.from(JSON.parse(JSON.stringify(sma)));
      assertEquals(other.load().toArray(), expected);
      assertEquals(other.shape, shape);
    }));
}

Deno.test("readNpy() leaves nothing where the register takes no name", () =>
  withFolder((folder) => {
    const path = `${folder}/r.npy`;
    writeNpy(path, counted([2, 3], "int8").transpose());
    let name = "";
    const register = {
      push(pushed: string): never {
        name = pushed;
        throw new Error("full");
      },
    };
    assertThrows(() => readNpy(path, register), Error, "full");
    assertEquals(segmentExists(name), false);
  }));

Deno.test("writeNpy() writes a view whose elements do not lie side by side in C order", () =>
  withFolder((folder, register) => {
    const path = `${folder}/s.npy`;
    const source = counted([4, 5, 6], "float32").slice("::2", "::-1", "1:4");
    writeNpy(path, source);
    const { sma, view } = readNpy(path, register);
    using _attached = sma;
    assertEquals(view.toArray(), source.toArray());
  }));

Deno.test("readNpy() puts the elements into the segment itself", () =>
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
    assertEquals([...register], [sma.name]);
  }));

Deno.test("readNpy() and writeNpy() take a URL, and a plain array as register", () =>
  withFolder((folder) => {
    const url = new URL(`file://${folder}/with%20space.npy`);
    writeNpy(url, counted([3], "uint8"));
    const names: string[] = [];
    const { sma, view } = readNpy(url, names);
    using _attached = sma;
    assertEquals(view.toArray(), [0, 1, 2]);
    assertEquals(SharedMemoryArray.clearBuffers(names), [sma.name]);
  }));

// --- Against NumPy ---------------------------------------------------------------------------

const random = new Random(seedOf(20260801));

interface SavedCase {
  descr: string;
  shape: number[];
  order: "C" | "F";
  version: number | null;
}

/** What Python saves: a file for each case, and beside it the elements as this machine has them. */
const saver = `
import base64, json, sys, numpy as np
folder = sys.argv[1]
for k, case in enumerate(json.load(sys.stdin)):
    dtype = np.dtype(case["descr"])
    rng = np.random.RandomState(k)
    size = int(np.prod(case["shape"], dtype=int)) * dtype.itemsize
    raw = rng.randint(0, 2 if dtype.kind == "b" else 256, size).astype("u1")
    native = raw.view(dtype.newbyteorder("=")).reshape(case["shape"])
    swapped = native.byteswap().view(dtype) if dtype.byteorder == ">" else native
    array = np.asarray(swapped.reshape(case["shape"]), order=case["order"])
    with open(f"{folder}/{k}.npy", "wb") as file:
        if case["version"] is None:
            np.save(file, array)
        else:
            np.lib.format.write_array(file, array, version=(case["version"], 0))
    raw.tofile(f"{folder}/{k}.raw")
`;

function savedCases(): SavedCase[] {
  const codes = dtypes.filter((dtype) => dtype !== "uint8c").map(numpyTypeString);
  const both = codes.flatMap((code) => [code, code.replace("<", ">")]);
  return [...new Set(both)].flatMap((descr) =>
    Array.from({ length: 12 }, (): SavedCase => ({
      descr,
      shape: Array.from({ length: random.integer(0, 4) }, () => random.integer(1, 6)),
      order: random.oneOf(["C", "F"]),
      version: random.oneOf([null, 1, 2, 3]),
    }))
  ).concat([
    { descr: ">f8", shape: [70_001, 3], order: "F", version: null }, // several pieces
    { descr: ">u2", shape: [500_001], order: "C", version: null },
    { descr: ">i4", shape: [1, 3, 100_003], order: "C", version: null },
    { descr: "<f4", shape: new Array(32).fill(1).with(7, 3), order: "C", version: null },
  ]);
}

eachNumPyTest(
  "readNpy() reads what numpy.save wrote, bit by bit, in either byte order",
  (python) =>
    withFolder(async (folder, register) => {
      const cases = savedCases();
      await runPython(["-c", saver, folder], JSON.stringify(cases), python.path);
      for (const [k, test] of cases.entries()) {
        const what = `SHM_SEED=${seedOf(20260801)} ${JSON.stringify(test)}`;
        const { sma, view } = readNpy(`${folder}/${k}.npy`, register);
        using _attached = sma;
        assertEquals(numpyTypeString(view.dtype), test.descr.replace(">", "<"), what);
        assertEquals(view.shape, test.shape, what);
        assertEquals(bytesOf(view.copy()), Deno.readFileSync(`${folder}/${k}.raw`), what);
        // NumPy calls "Fortran" what is not in C order, too.
        const isFortran = test.order === "F" &&
          test.shape.filter((length) => length > 1).length > 1;
        assertEquals(view.isContiguous(), !isFortran, what);
      }
    }),
);

interface WrittenCase {
  dtype: DType;
  shape: number[];
  /** What is taken of the array: an index of Python's, and then the axes of a transposition. */
  index: string[];
  axes: number[];
}

function writtenCases(): WrittenCase[] {
  const cases = Array.from({ length: 400 }, (): WrittenCase => {
    const shape = Array.from({ length: random.integer(0, 4) }, () => random.integer(1, 7));
    const index = shape.map(() => {
      const bound = (): string => random.chance(0.6) ? "" : String(random.integer(-4, 5));
      return random.chance(0.4)
        ? ":"
        : `${bound()}:${bound()}:${random.oneOf(["", "-1", "2", "-2", "3"])}`;
    });
    return {
      dtype: random.oneOf(dtypes),
      shape,
      index,
      axes: random.chance(0.5) ? shape.map((_, axis) => axis) : random.permutation(shape.length),
    };
  });
  const large = (dtype: DType, shape: number[], index: string[], axes: number[]): WrittenCase => ({
    dtype,
    shape,
    index,
    axes,
  });
  return [
    ...cases,
    large("uint8", [108, 192, 3], [":", ":", "::-1"], [0, 1, 2]),
    large("uint8", [3, 300_001], [":", "::-1"], [0, 1]), // rows larger than a piece
    large("float64", [2, 2, 40_003], ["::-1", ":", "::2"], [1, 0, 2]),
    large("int16", [600, 700], [":", "1:"], [0, 1]),
    large("float32", [513, 511], [":", ":"], [1, 0]),
    large("int64", [1, 90, 1, 91, 5], [":", ":", ":", "::-1", ":"], [2, 4, 0, 3, 1]),
    // Headers that end where the padding begins anew.
    ...Array.from({ length: 21 }, (_, n) => large("uint8", new Array(n + 9).fill(1), [], [])),
  ];
}

const comparer = `
import io, json, sys, numpy as np
folder = sys.argv[1]
for k, case in enumerate(json.load(sys.stdin)):
    base = np.fromfile(f"{folder}/{k}.raw", case["descr"]).reshape(case["shape"])
    view = base[eval(f"np.s_[{', '.join(case['index'])},]") if case["index"] else ()]
    if case["axes"]:
        view = view.transpose(case["axes"])
    wanted = io.BytesIO()
    np.save(wanted, view)
    written = open(f"{folder}/{k}.npy", "rb").read()
    assert written == wanted.getvalue(), (case, written[:200], wanted.getvalue()[:200])
    loaded = np.load(f"{folder}/{k}.npy")
    assert loaded.dtype == view.dtype and loaded.shape == view.shape, case
    assert loaded.tobytes() == view.tobytes(), case
print("same")
`;

eachNumPyTest(
  "writeNpy() writes byte for byte what numpy.save would",
  (python) =>
    withFolder(async (folder) => {
      const cases = writtenCases();
      for (const [k, { dtype, shape, index, axes }] of cases.entries()) {
        const data = new (typedArrayOf(dtype))(shape.reduce((a, b) => a * b, 1));
        const bytes = bytesOf(data);
        for (let i = 0; i < bytes.length; i++) {
          bytes[i] = random.integer(0, dtype === "bool" ? 1 : 255);
        }
        Deno.writeFileSync(`${folder}/${k}.raw`, bytes);
        const view = new NDArray(data, { shape, dtype }).slice(...index);
        writeNpy(`${folder}/${k}.npy`, axes.length > 0 ? view.transpose(axes) : view);
      }
      const input = cases.map((test) => ({ ...test, descr: numpyTypeString(test.dtype) }));
      const { stdout } = await runPython(
        ["-c", comparer, folder],
        JSON.stringify(input),
        python.path,
      );
      assertEquals(stdout, "same\n");
    }),
);

// --- Headers -------------------------------------------------------------------------------

interface TypedByHand {
  what: string;
  header: string | Uint8Array;
  version?: [number, number];
  /** The bytes of one element. */
  bytes: number;
  found: { dtype: DType; shape: number[]; fortran: boolean };
  /** What NumPy's reader has against it. */
  refusedByNumPy?: string;
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

const typedByHand: TypedByHand[] = [
  {
    what: "double quotes",
    header: `{"descr": "<f4", "fortran_order": False, "shape": (2, 3)}`,
    bytes: 4,
    found: { dtype: "float32", shape: [2, 3], fortran: false },
  },
  {
    what: "no spaces",
    header: `{'descr':'<i2','fortran_order':True,'shape':(2,3)}`,
    bytes: 2,
    found: { dtype: "int16", shape: [2, 3], fortran: true },
  },
  {
    what: "spaces and line breaks everywhere",
    header:
      ` \t{\n 'descr'  :\r\n"<f8"\n,\f 'fortran_order' : False ,\n'shape' :\n (\n2 , \n 3 ,)\n , }\n\n`,
    bytes: 8,
    found: { dtype: "float64", shape: [2, 3], fortran: false },
  },
  {
    what: "keys in another order",
    header: `{'shape': (4,), 'descr': '|u1', 'fortran_order': False}`,
    bytes: 1,
    found: { dtype: "uint8", shape: [4], fortran: false },
  },
  {
    what:
      "what NumPy 1.9 wrote under Python 2.7: longs, and a header that ends at a multiple of 16",
    header: "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L), }".padEnd(69) + "\n",
    bytes: 8,
    found: { dtype: "float64", shape: [2, 3], fortran: false },
  },
  {
    what: "longs of Python 2",
    header: dictionary("'<u4'", "(2L, 3L)"),
    bytes: 4,
    found: { dtype: "uint32", shape: [2, 3], fortran: false },
  },
  {
    what: "one long of Python 2",
    header: dictionary("'<i8'", "(3L,)"),
    bytes: 8,
    found: { dtype: "int64", shape: [3], fortran: false },
  },
  {
    what: "longs of Python 2 in version 3.0",
    header: dictionary("'<u4'", "(2L, 3L)"),
    version: [3, 0],
    bytes: 4,
    found: { dtype: "uint32", shape: [2, 3], fortran: false },
    refusedByNumPy: "Python 2 wrote no version 3.0",
  },
  {
    what: "'?'",
    header: dictionary("'?'", "(2,)"),
    bytes: 1,
    found: { dtype: "bool", shape: [2], fortran: false },
  },
  {
    what: "'>u1', which has no order",
    header: dictionary("'>u1'", "(2,)"),
    bytes: 1,
    found: { dtype: "uint8", shape: [2], fortran: false },
  },
  {
    what: "a dtype without a byte order",
    header: dictionary("'f4'", "(2,)"),
    bytes: 4,
    found: { dtype: "float32", shape: [2], fortran: false },
  },
  {
    what: "a dtype's name",
    header: dictionary("'float64'", "(2,)"),
    bytes: 8,
    found: { dtype: "float64", shape: [2], fortran: false },
  },
  {
    what: "0-d",
    header: dictionary("'<f4'", "()"),
    bytes: 4,
    found: { dtype: "float32", shape: [], fortran: false },
  },
  {
    what: "0-d in Fortran order",
    header: dictionary("'<f4'", "()", "True"),
    bytes: 4,
    found: { dtype: "float32", shape: [], fortran: true },
  },
  {
    what: "a comment that is not ASCII, in Latin-1",
    header: latin1(dictionary("'<f4'", "(2,)") + "# für Zürich\n"),
    bytes: 4,
    found: { dtype: "float32", shape: [2], fortran: false },
  },
  {
    what: "a comment that is not ASCII, in UTF-8",
    header: dictionary("'<f4'", "(2,)") + "# 形状 ✓\n",
    version: [3, 0],
    bytes: 4,
    found: { dtype: "float32", shape: [2], fortran: false },
  },
  {
    what: "strings in pieces, with prefixes and escapes",
    header:
      `{u'descr': '<' r"f" '''4''', 'fortran\\x5forder': (False), """sh\\u0061pe""": ((2, ) )}`,
    bytes: 4,
    found: { dtype: "float32", shape: [2], fortran: false },
  },
  {
    what: "numbers in other notations",
    header: dictionary("'<i2'", "(0x10, 0b1_1, 0o2, 1_0, +1)"),
    bytes: 2,
    found: { dtype: "int16", shape: [16, 3, 2, 10, 1], fortran: false },
  },
  {
    what: "a key twice: the last one counts",
    header: `{'shape': (9,), 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}`,
    bytes: 4,
    found: { dtype: "float32", shape: [2], fortran: false },
  },
  {
    what: "no line feed at its end",
    header: dictionary("'<f4'", "(2,)").trim(),
    bytes: 4,
    found: { dtype: "float32", shape: [2], fortran: false },
  },
  {
    what: "a header beyond 64 KiB",
    header: dictionary("'<f4'", "(2,)") + " ".repeat(200_000) + "\n",
    version: [2, 0],
    bytes: 4,
    found: { dtype: "float32", shape: [2], fortran: false },
  },
  {
    what: "64 axes",
    header: dictionary("'|i1'", `(${"1, ".repeat(63)}5)`),
    bytes: 1,
    found: { dtype: "int8", shape: [...new Array(63).fill(1), 5], fortran: false },
  },
];

function fileOf({ header, version, bytes, found }: TypedByHand): Uint8Array<ArrayBuffer> {
  const size = found.shape.reduce((a, b) => a * b, bytes);
  return npyBytes(header, { version, elements: new Uint8Array(size).fill(1) });
}

for (const test of typedByHand) {
  Deno.test(`readNpy() reads a header typed by hand: ${test.what}`, () =>
    withFolder((folder, register) => {
      const { dtype, shape, fortran } = test.found;
      Deno.writeFileSync(`${folder}/a.npy`, fileOf(test));
      const { sma, view } = readNpy(`${folder}/a.npy`, register);
      using _attached = sma;
      assertEquals([view.dtype, view.shape], [dtype, shape]);
      assertEquals(sma.shape, shape);
      assertEquals(sma.layout !== undefined, fortran && shape.length > 1);
      assert(bytesOf(view.copy()).every((byte) => byte === 1));
    }));
}

/** How NumPy reads the header of each file: shape, Fortran order, dtype; or that it refuses. */
async function headersByNumPy(python: Python, folder: string, count: number): Promise<unknown[]> {
  const program = `
import json, sys, warnings
import numpy as np
try:
    from numpy.lib import _format_impl as f
except ImportError:
    from numpy.lib import format as f
warnings.simplefilter("ignore")
found = []
for k in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/{k}.npy", "rb") as file:
        try:
            version = f.read_magic(file)
            f._check_version(version)
            shape, order, dtype = f._read_array_header(file, version, max_header_size=2**25)
            found.append([list(shape), order, dtype.str])
        except Exception:  # of its tokenizer, too
            found.append(None)
json.dump(found, sys.stdout)
`;
  const { stdout } = await runPython(["-c", program, folder, String(count)], "", python.path);
  return JSON.parse(stdout);
}

eachNumPyTest(
  "readNpy() reads headers typed by hand as NumPy does",
  (python) =>
    withFolder(async (folder) => {
      for (const [k, test] of typedByHand.entries()) {
        Deno.writeFileSync(`${folder}/${k}.npy`, fileOf(test));
      }
      const found = await headersByNumPy(python, folder, typedByHand.length);
      for (const [k, { what, found: ours, refusedByNumPy }] of typedByHand.entries()) {
        const dtype = numpyTypeString(ours.dtype);
        const wanted = refusedByNumPy === undefined ? [ours.shape, ours.fortran, dtype] : null;
        assertEquals(found[k], wanted, what);
      }
    }),
);

eachNumPyTest(
  "readNpy() takes no header that NumPy does not take",
  (python) =>
    withFolder(async (folder, register) => {
      // One to three changes to a good header, by characters that mean something.
      const alphabet = [
        ..."{}()[]'\",:#\\ \n\tLlx_01239-+.<>=|?fiub",
        "True",
        "False",
        "None",
        "é",
      ];
      const good = [
        dictionary("'<f4'", "(2, 3)"),
        dictionary("'|b1'", "(6,)", "True"),
        `{"shape": (), "descr": "<i8", "fortran_order": False}`,
      ];
      const headers = Array.from({ length: 2000 }, () => {
        let text = random.oneOf(good);
        for (let changes = random.integer(1, 3); changes > 0; changes--) {
          const at = random.integer(0, text.length);
          const inserted = random.chance(0.7) ? random.oneOf(alphabet) : "";
          text = text.slice(0, at) + inserted + text.slice(at + random.integer(0, 1));
        }
        return text;
      });
      const ours = headers.map((header, k) => {
        const path = `${folder}/${k}.npy`;
        Deno.writeFileSync(path, npyBytes(header, { version: [2, 0] }));
        // There are no elements: how a header is understood is in the complaint.
        const { message } = assertThrows(() => readNpy(path, register), Error);
        const found = /: shape \[(.*?)\] of (\w+) is \d+ bytes/.exec(message);
        const [, shape, dtype] = found ?? [];
        const read = found === null
          ? null
          : [shape === "" ? [] : shape.split(", ").map(Number), numpyTypeString(dtype as DType)];
        return { message, read };
      });
      const theirs = await headersByNumPy(python, folder, headers.length);
      let taken = 0;
      for (const [k, { message, read }] of ours.entries()) {
        const what = `SHM_SEED=${seedOf(20260801)} ${JSON.stringify(headers[k])}: ${message}`;
        const numpy = theirs[k] as [number[], boolean, string] | null;
        if (read !== null) {
          taken++;
          assert(numpy !== null, what);
          assertEquals(read, [numpy[0], numpy[2].replace(">", "<")], what);
        } else if (numpy !== null) {
          // Only dtypes that have no typed array, or go by another of NumPy's many names; arrays that are
          // empty or cannot be; and True as a length of 1.
          const isRefused = message.startsWith("Cannot use this dtype") ||
            /no elements|negative length|beyond 2\^53/.test(message) ||
            numpy[0].some((length) => typeof length === "boolean");
          assert(isRefused, what);
        }
      }
      assertLess(100, taken);
      assertEquals([...register], []);
    }),
);

// --- What is refused -------------------------------------------------------------------------

const f4 = dictionary("'<f4'", "(2,)");
const eight = new Uint8Array(8);

type Refused = [
  what: string,
  bytes: Uint8Array<ArrayBuffer>,
  kind: ErrorConstructor | TypeErrorConstructor,
  says: string,
];

const refused: Refused[] = [
  ["another file", new Uint8Array(64), TypeError, "it is no .npy file"],
  ["an empty file", new Uint8Array(), TypeError, "it is no .npy file"],
  ["a file of six bytes", npyBytes(f4).slice(0, 6), TypeError, "it is no .npy file"],
  ["version 9", npyBytes(f4, { version: [9, 0], elements: eight }), TypeError, "version 9.0"],
  ["version 1.1", npyBytes(f4, { version: [1, 1], elements: eight }), TypeError, "version 1.1"],
  ["version 0", npyBytes(f4, { version: [0, 0], elements: eight }), TypeError, "1.0, 2.0 and 3.0"],
  [
    "a file cut off in the length of its header",
    npyBytes(f4).slice(0, 9),
    RangeError,
    "it ends too early",
  ],
  [
    "a file cut off in its header",
    npyBytes(f4).slice(0, 40),
    RangeError,
    "it ends too early: in its header",
  ],
  [
    "a header of 4 GiB that is not there",
    Uint8Array.from([...npyBytes("", { version: [2, 0] }).slice(0, 8), 255, 255, 255, 255, 0]),
    RangeError,
    "it ends too early: in its header",
  ],
  ["a file cut off after its header", npyBytes(f4), RangeError, "it ends too early"],
  [
    "a file cut off in its last element",
    npyBytes(f4, { elements: eight.slice(1) }),
    RangeError,
    "it ends too early: shape [2] of float32 is 8 bytes, and 7 follow its header",
  ],
  [
    "bytes after the last element",
    npyBytes(f4, { elements: new Uint8Array(11) }),
    RangeError,
    "3 bytes follow its elements; shape [2] of float32 is 8 bytes",
  ],
  [
    "a shape of 4 TiB",
    npyBytes(dictionary("'<f4'", "(1099511627776,)"), { elements: eight }),
    RangeError,
    "it ends too early",
  ],
  [
    "a shape beyond 2^53 bytes",
    npyBytes(dictionary("'<f8'", "(4503599627370496, 3)"), { elements: eight }),
    RangeError,
    "beyond 2^53 - 1 bytes",
  ],
  [
    "a shape that is 8 modulo 2^64",
    npyBytes(dictionary("'<f4'", "(9223372036854775810,)"), { elements: eight }),
    RangeError,
    "beyond 2^53 - 1 bytes",
  ],
  [
    "a shape with a negative length",
    npyBytes(dictionary("'<f4'", "(-1, -2)"), { elements: eight }),
    RangeError,
    "its shape [-1, -2] has a negative length",
  ],
  [
    "65 axes",
    npyBytes(dictionary("'|u1'", `(${"1, ".repeat(65)})`), { elements: new Uint8Array(1) }),
    RangeError,
    "65 axes, and NumPy's arrays have at most 64",
  ],
  [
    "an empty array",
    npyBytes(dictionary("'<f4'", "(3, 0)")),
    RangeError,
    "its shape [3, 0] has no elements, and a segment cannot be empty",
  ],
  [
    "bfloat16 elements, as ml_dtypes saves them",
    npyBytes(dictionary("'<V2'", "(4,)"), { elements: eight }),
    TypeError,
    "raw 2 bytes, as NumPy saves bfloat16: view as uint16",
  ],
  [
    "complex elements",
    npyBytes(dictionary("'<c8'", "(1,)"), { elements: eight }),
    TypeError,
    "trailing axis of length 2",
  ],
  [
    "complex elements, big-endian",
    npyBytes(dictionary("'>c8'", "(1,)"), { elements: eight }),
    TypeError,
    "complex",
  ],
  [
    "structured elements",
    npyBytes(dictionary("[('a', '<f4')]", "(2,)"), { elements: eight }),
    TypeError,
    "structured",
  ],
  [
    "elements that are arrays",
    npyBytes(dictionary("('<f4', (2,))", "(1,)"), { elements: eight }),
    TypeError,
    "structured",
  ],
  ["objects", npyBytes(dictionary("'|O'", "(1,)"), { elements: eight }), TypeError, "heap"],
  ["text", npyBytes(dictionary("'<U2'", "(1,)"), { elements: eight }), TypeError, "holds text"],
  [
    "bytes as text",
    npyBytes(dictionary("'|S8'", "(1,)"), { elements: eight }),
    TypeError,
    "holds text",
  ],
  [
    "dates",
    npyBytes(dictionary("'<M8[us]'", "(1,)"), { elements: eight }),
    TypeError,
    "holds dates",
  ],
  [
    "long doubles",
    npyBytes(dictionary("'<f16'", "(1,)"), { elements: eight }),
    TypeError,
    `"<f16" is unknown`,
  ],
  [
    "no dtype",
    npyBytes(dictionary("None", "(1,)"), { elements: eight }),
    TypeError,
    `"None" is unknown`,
  ],
  [
    "a header without a shape",
    npyBytes("{'descr': '<f4'}"),
    TypeError,
    `has the keys "descr", not descr, fortran_order, shape`,
  ],
  ["a key too many", npyBytes(f4.replace("{", "{'x': 1, ")), TypeError, `"shape", "x"`],
  ["an empty dictionary", npyBytes("{}"), TypeError, "has the keys none"],
  ["an empty header", npyBytes(""), TypeError, "its header cannot be read to its end"],
  ["a header that is a list", npyBytes("[1, 2]"), TypeError, "its header is no dictionary: [1, 2]"],
  [
    "a shape in brackets",
    npyBytes(dictionary("'<f4'", "[2]"), { elements: eight }),
    TypeError,
    "the shape is no tuple of integers: [2]",
  ],
  [
    "a shape without a comma",
    npyBytes(dictionary("'<f4'", "(2)"), { elements: eight }),
    TypeError,
    "the shape is no tuple",
  ],
  [
    "a length in quotes",
    npyBytes(dictionary("'<f4'", "('2',)"), { elements: eight }),
    TypeError,
    "the shape is no tuple of integers",
  ],
  [
    "a length with a fraction",
    npyBytes(dictionary("'<f4'", "(2.0,)"), { elements: eight }),
    TypeError,
    "cannot be read from character",
  ],
  [
    "an order that is a number",
    npyBytes(dictionary("'<f4'", "(2,)", "0"), { elements: eight }),
    TypeError,
    "fortran_order is neither True nor False: 0",
  ],
  [
    "a quote that is not closed",
    npyBytes("{'descr': '<f4"),
    TypeError,
    "its header cannot be read",
  ],
  [
    "code",
    npyBytes("__import__('os').remove('/')"),
    TypeError,
    "cannot be read from character 0 on",
  ],
  [
    "something after the dictionary",
    npyBytes(f4 + "1", { elements: eight }),
    TypeError,
    `cannot be read from character`,
  ],
  [
    "brackets that never end",
    npyBytes("[".repeat(60_000)),
    TypeError,
    "cannot be read from character 201 on",
  ],
  [
    "UTF-8 that is none",
    npyBytes(latin1(f4 + "# é\n"), { version: [3, 0], elements: eight }),
    TypeError,
    "its header is not in UTF-8",
  ],
  [
    "a header beyond 16 MiB",
    Uint8Array.from([...npyBytes("", { version: [2, 0] }).slice(0, 8), 1, 0, 0, 1]),
    RangeError,
    "it ends too early",
  ],
];

for (const [what, bytes, kind, says] of refused) {
  Deno.test(`readNpy() refuses ${what}, and makes nothing`, () =>
    withFolder((folder) => {
      const path = `${folder}/bad.npy`;
      Deno.writeFileSync(path, bytes);
      const names: string[] = [];
      const before = SharedMemoryArray.COUNTER;
      const error = assertThrows(() => readNpy(path, names), kind, says);
      assertLess(error.message.length, 400, error.message);
      assertEquals(names, []);
      assertEquals(SharedMemoryArray.COUNTER, before, "a segment was made");
    }));
}

Deno.test("readNpy() refuses long headers briefly: structured, keys, shapes", () =>
  withFolder((folder, register) => {
    const fields = Array.from({ length: 20_000 }, (_, i) => `('field ${i} ä', '<f4')`).join(", ");
    const keys = Array.from({ length: 20_000 }, (_, i) => `'key ${i}': 1`).join(", ");
    const lengths = "1, ".repeat(100_000);
    for (
      const header of [
        dictionary(`[${fields}]`, "(2,)"),
        `{${keys}}`,
        dictionary("'|u1'", `(${lengths})`),
      ]
    ) {
      Deno.writeFileSync(`${folder}/a.npy`, npyBytes(header, { version: [3, 0] }));
      const { message } = errorOf(() => readNpy(`${folder}/a.npy`, register));
      assertLess(message.length, 400, message);
    }
  }));

Deno.test("readNpy() refuses a header beyond 16 MiB", () =>
  withFolder((folder, register) => {
    using file = Deno.openSync(`${folder}/a.npy`, { write: true, create: true });
    file.writeSync(Uint8Array.from([...npyBytes("", { version: [2, 0] }).slice(0, 8), 1, 0, 0, 1]));
    file.truncateSync(2 ** 25); // sparse
    assertThrows(() => readNpy(`${folder}/a.npy`, register), RangeError, "16777217 bytes");
  }));

Deno.test("readNpy() removes the segment where the file is cut off meanwhile", () =>
  withFolder((folder) => {
    const path = `${folder}/a.npy`;
    for (const order of ["<", ">"]) {
      Deno.writeFileSync(path, npyBytes(f4.replace("<", order), { elements: eight.slice(1) }));
      const { statSync } = Deno.FsFile.prototype;
      // As if it had lost its last byte after it was looked at.
      Deno.FsFile.prototype.statSync = function (this: Deno.FsFile): Deno.FileInfo {
        const info = statSync.call(this);
        return { ...info, size: info.size + 1 };
      };
      const names: string[] = [];
      const name = SharedMemoryArray.buildSmaName("cut");
      try {
        assertThrows(() => readNpy(path, names, { name }), RangeError, "cut off meanwhile");
      } finally {
        Deno.FsFile.prototype.statSync = statSync;
      }
      // No register keeps the name: somebody else may make a segment of that name.
      assertEquals([names, segmentExists(name)], [[], false]);
    }
  }));

Deno.test("readNpy() leaves nothing where shared memory is full", () =>
  withFolder((folder) => {
    using file = Deno.openSync(`${folder}/a.npy`, { write: true, create: true });
    const header = npyBytes(dictionary("'|u1'", `(${2 ** 43},)`));
    file.writeSync(header);
    file.truncateSync(header.length + 2 ** 43); // sparse: 8 TiB that no machine has
    const names: string[] = [];
    const error = errorOf(() => readNpy(`${folder}/a.npy`, names));
    assert(["ENOSPC", "ENOMEM"].includes(error.code!), error.message);
    assertEquals(names, []);
  }));

Deno.test("readNpy() lets Deno's own errors through", () =>
  withFolder((folder, register) => {
    const missing = assertThrows(
      () => readNpy(`${folder}/none.npy`, register),
      Deno.errors.NotFound,
    );
    assertStringIncludes(missing.message, "none.npy");
    assertEquals(errorOf(() => readNpy(folder, register)).code, "EISDIR");
    assertThrows(() => readNpy("/dev/zero", register), TypeError, "it is no .npy file");
    assertEquals([...register], []);
  }));

Deno.test("writeNpy() lets Deno's own errors through", () =>
  withFolder((folder) => {
    const view = counted([3], "uint8");
    assertThrows(() => writeNpy(`${folder}/none/a.npy`, view), Deno.errors.NotFound);
    assertEquals(errorOf(() => writeNpy(folder, view)).code, "EISDIR");
    assertEquals(errorOf(() => writeNpy("/dev/full", view)).code, "ENOSPC");
  }));

Deno.test("readNpy() and writeNpy() need the permissions that are documented", async () => {
  const program = `
    import { readNpy, writeNpy } from ${JSON.stringify(npyUrl)};
    const nameOf = (fn) => { try { fn(); return null; } catch (error) { return error.name + " " + error.message; } };
    console.log(JSON.stringify([
      nameOf(() => readNpy("/nowhere/a.npy", [])),
      nameOf(() => writeNpy("/nowhere/a.npy", new NDArray(new Uint8Array(1)))),
    ]));`;
  const none = await evalChild(program, { permissions: [] }) as string[];
  assert(/^NotCapable.*--allow-read/s.test(none[0]), none[0]);
  assert(/^NotCapable.*--allow-write/s.test(none[1]), none[1]);
  const some = await evalChild(program, {
    permissions: ["--allow-read", "--allow-write"],
  }) as string[];
  assert(some.every((text) => text.startsWith("NotFound")), some.join());
});

const one = counted([1], "uint8");
const wrong: [what: string, call: () => unknown, kind: ErrorConstructor, says: string][] = [
  [
    "readNpy() refuses an object",
    () => readNpy({} as never, []),
    TypeError,
    "the source must be a path, a URL or bytes, not an object",
  ],
  ["readNpy() refuses no path", () => readNpy(undefined as never, []), TypeError, "not undefined"],
  [
    "readNpy() refuses no register",
    () => readNpy("/nowhere", undefined as never),
    TypeError,
    "the register must have push(name)",
  ],
  [
    "readNpy() refuses a Set",
    () => readNpy("/nowhere", new Set() as never),
    TypeError,
    "the register must have push(name)",
  ],
  [
    "writeNpy() refuses a path that is null",
    () => writeNpy(null as never, one),
    TypeError,
    "not null",
  ],
  [
    "writeNpy() refuses no view",
    () => writeNpy("/nowhere/x", undefined as never),
    TypeError,
    "the view must be an NDArray, not undefined",
  ],
  [
    "writeNpy() refuses a typed array",
    () => writeNpy("/nowhere/x", new Uint8Array(2) as never),
    TypeError,
    "the view must be an NDArray, not an object; new NDArray(data, { shape }) is one of a typed array",
  ],
  [
    "writeNpy() refuses a SharedMemoryArray",
    () => writeNpy("/nowhere/x", new SharedMemoryArray(1, "uint8", "x") as never),
    TypeError,
    "; give its array",
  ],
  [
    "writeNpy() refuses 65 axes",
    () => writeNpy("/nowhere/x", counted(new Array(65).fill(1), "uint8")),
    RangeError,
    "the view has 65 axes",
  ],
];
for (const [what, call, kind, says] of wrong) {
  Deno.test(`${what}, before any system call`, () => {
    assertInstanceOf(assertThrows(call, kind, says), kind);
  });
}

// --- Sources -------------------------------------------------------------------------------

/** A file of the elements 0, 1, 2, … of `>i2`, of shape [2, 3]. */
const smallFile = npyBytes(dictionary("'>i2'", "(2, 3)"), {
  elements: Uint8Array.of(0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 1, 5),
});
const smallArray = [[0, 1, 2], [3, 4, 261]];

/** A copy of bytes in a buffer of another kind, with bytes around it. */
function inside<B extends ArrayBufferLike>(buffer: B): Uint8Array<B> {
  const bytes = new Uint8Array(buffer).fill(0x93);
  bytes.set(smallFile, 8);
  return bytes.subarray(8, 8 + smallFile.length);
}

const around = smallFile.length + 16;
const growable = { maxByteLength: 4096 };
const sources: [what: string, make: () => NpySource][] = [
  ["a Uint8Array", () => smallFile.slice()],
  ["a part of a Uint8Array", () => inside(new ArrayBuffer(around))],
  ["an ArrayBuffer", () => smallFile.slice().buffer],
  ["a DataView", () => new DataView(inside(new ArrayBuffer(around)).buffer, 8, smallFile.length)],
  ["a Uint8ClampedArray", () => new Uint8ClampedArray(smallFile)],
  ["an Int16Array", () => new Int16Array(smallFile.slice().buffer)],
  ["a SharedArrayBuffer", () => {
    const shared = new SharedArrayBuffer(smallFile.length);
    new Uint8Array(shared).set(smallFile);
    return shared;
  }],
  ["a part of a SharedArrayBuffer", () => inside(new SharedArrayBuffer(around))],
  ["a part of a growable SharedArrayBuffer", () => inside(new SharedArrayBuffer(around, growable))],
  ["a part of a resizable ArrayBuffer", () => inside(new ArrayBuffer(around, growable))],
  ["a node:buffer Buffer", () => Buffer.from(smallFile)],
  ["an ArrayBuffer of another realm", () => {
    const other: ArrayBuffer = runInNewContext(`new ArrayBuffer(${smallFile.length})`);
    new Uint8Array(other).set(smallFile);
    return other;
  }],
];

for (const [what, make] of sources) {
  Deno.test(`readNpy() reads the bytes of ${what}, and leaves them as they are`, () => {
    using register = new SharedMemoryRegister();
    const source = make();
    const { sma, view } = readNpy(source, register);
    using _attached = sma;
    assertEquals([view.dtype, view.toArray()], ["int16", smallArray]);
    const { buffer, byteOffset } = ArrayBuffer.isView(source)
      ? source
      : { buffer: source as ArrayBuffer, byteOffset: 0 };
    assertEquals(new Uint8Array(buffer, byteOffset, smallFile.length).slice(), smallFile);
    // It is a copy in the segment.
    view.set(0, 0, 7);
    assertEquals(new Uint8Array(buffer, byteOffset, smallFile.length).slice(), smallFile);
  });
}

Deno.test("readNpy() reads a file that lies in shared memory itself", () => {
  using register = new SharedMemoryRegister();
  const name = SharedMemoryArray.buildSmaName("npy");
  register.push(name);
  const memory = SharedMemory.create(name, smallFile.length);
  new Uint8Array(memory.buf!).set(smallFile);
  for (const source of [memory.buf!, new Uint8Array(memory.buf!)]) {
    const { sma, view } = readNpy(source, register);
    using _attached = sma;
    assertEquals(view.toArray(), smallArray);
  }
  const closed = [memory.buf!, new Uint8Array(memory.buf!), new DataView(memory.buf!)];
  memory.close();
  for (const source of closed) {
    const names: string[] = [];
    assertThrows(() => readNpy(source, names), Deno.errors.BadResource, "their memory is gone");
    assertEquals(names, []);
  }
});

Deno.test("readNpy() refuses bytes that were moved elsewhere", () => {
  const source = smallFile.slice();
  const moved = structuredClone(source.buffer, { transfer: [source.buffer] });
  assertThrows(() => readNpy(source, []), Deno.errors.BadResource, "moved or transferred");
  using register = new SharedMemoryRegister();
  const { sma, view } = readNpy(moved, register);
  using _attached = sma;
  assertEquals(view.toArray(), smallArray);
});

Deno.test("readNpy() of bytes: the file must be as long as its header promises", () => {
  for (const length of [0, 5, 20, smallFile.length - 1]) {
    const error = assertThrows(() => readNpy(smallFile.slice(0, length), []), Error);
    assertStringIncludes(error.message, "Cannot read the bytes of a .npy file: it ");
  }
  const longer = new Uint8Array([...smallFile, 0, 0]);
  assertThrows(() => readNpy(longer, []), RangeError, "2 bytes follow its elements");
});

Deno.test("readNpy() names the way out for what is no file of this computer", () => {
  const says = (source: unknown, text: string): void => {
    const names: string[] = [];
    const error = assertThrows(() => readNpy(source as NpySource, names), TypeError, text);
    assertStringIncludes(error.message, "Cannot read ");
    assertEquals(names, []);
  };
  for (const url of ["https://a.example/b.npy", "http://localhost/b.npy", "data:,x", "blob:x"]) {
    says(new URL(url), "await (await fetch(url)).bytes()");
  }
  says("https://a.example/b.npy", "await (await fetch(url)).bytes()");
  says("HTTP://A.EXAMPLE", "only a URL of a file (file:) can be used");
  says("file:///tmp/a.npy", "the text is a URL and no path; give new URL(…) of it");
  says(new Blob([smallFile]), "await its arrayBuffer()");
  says(new Response(smallFile), "await its arrayBuffer()");
  says(counted([3], "uint8"), "a view has elements and is no file");
  says([1, 2], "must be a path, a URL or bytes, not an array");
  says(null, "not null");
  says(
    Uint8Array.from([0x50, 0x4b, 3, 4, ...new Uint8Array(60)]),
    "a ZIP file, as a .npz is; unpack it",
  );
  const write = (path: string | URL): void => writeNpy(path, counted([3], "uint8"));
  assertThrows(() => write(new URL("https://a.example")), TypeError, "only a URL of a file");
  assertThrows(() => write("file:///tmp/x.npy"), TypeError, "give new URL(…) of it");
});

Deno.test("readNpy() takes a path with colons, which is no URL", () =>
  withFolder((folder, register) => {
    Deno.mkdirSync(`${folder}/http:`);
    for (const path of [`${folder}/http:/a.npy`, `${folder}/C:a.npy`]) {
      Deno.writeFileSync(path, smallFile);
      const { sma, view } = readNpy(path, register);
      using _attached = sma;
      assertEquals(view.toArray(), smallArray);
    }
    assertThrows(() => readNpy("none:a.npy", register), Deno.errors.NotFound);
  }));

// --- Options -------------------------------------------------------------------------------

Deno.test("readNpy() gives the array the name that it is told, which must be free", () => {
  using register = new SharedMemoryRegister();
  const name = SharedMemoryArray.buildSmaName("given");
  const { sma } = readNpy(smallFile, register, { name });
  using _attached = sma;
  assertEquals([sma.name, ...register], [name, name]);
  assertEquals(Deno.statSync(`/dev/shm/${name}`).mode! & 0o777, 0o600);

  const names: string[] = [];
  assertThrows(() => readNpy(smallFile, names, { name }), Deno.errors.AlreadyExists, name);
  assertEquals(names, []);
  assert(segmentExists(name), "the segment of another one was removed");
  assertEquals(sma.array!.toArray(), smallArray);
});

Deno.test("readNpy() takes memory as createAndRegisterSma() does, and a name is that of named memory", () => {
  using register = new SharedMemoryRegister({ memory: "anonymous" });
  const read = (options?: Parameters<typeof readNpy>[2]): boolean => {
    using sma = readNpy(smallFile, register, options).sma;
    const { isAnonymous } = sma;
    if (isAnonymous) sma.unlink();
    return isAnonymous;
  };
  assertEquals(read(), true);
  assertEquals(read({ memory: "named" }), false);
  assertEquals(read({ anonymous: false }), false);
  assertEquals(read({ name: SharedMemoryArray.buildSmaName("given") }), false);
});

Deno.test("readNpy() describes what it makes, in Fortran order and without a name, too", () => {
  using register = new SharedMemoryRegister();
  const header = dictionary("'<i2'", "(2, 3)", "True");
  const file = npyBytes(header, { elements: bytesOf(Int16Array.of(1, 2, 3, 4, 5, 6)) });
  for (const [anonymous, describe] of [[false, true], [true, true], [false, false]]) {
    const { sma, view } = readNpy(file, register, { anonymous, describe });
    using _attached = sma;
    using same = SharedMemoryArray.clone(sma);
    assertEquals(same.load().toArray(), view.toArray());
    using inC = SharedMemoryArray.clone(sma, { layout: null });
    if (describe) assertThrows(() => inC.load(), RangeError, "stride");
    else inC.load();
  }
});

Deno.test("readNpy() that fails leaves no segment of the name that it was told", () => {
  const name = SharedMemoryArray.buildSmaName("given");
  const names: string[] = [];
  assertThrows(() => readNpy(smallFile.slice(1), names, { name }), TypeError);
  assertThrows(() => readNpy(smallFile, names, { name, dtype: "int32" }), RangeError);
  const full = {
    push(): never {
      throw new Error("full");
    },
  };
  assertThrows(() => readNpy(smallFile, full, { name }), Error, "full");
  assertEquals([segmentExists(name), names], [false, []]);
});

Deno.test("readNpy() takes prefix, mode and reserve as createAndRegisterSma() does", () => {
  using register = new SharedMemoryRegister();
  const { sma } = readNpy(smallFile, register, { prefix: "height", mode: 0o640, reserve: false });
  using _attached = sma;
  assertMatch(sma.name, /^\d+-height-/);
  assertEquals(Deno.statSync(`/dev/shm/${sma.name}`).mode! & 0o777, 0o640);
  const { sma: other } = readNpy(smallFile, register, { prefix: "" });
  using _other = other;
  assertMatch(other.name, /^\d+--/);
});

for (const order of ["C", "F"]) {
  Deno.test(`readNpy() into an anonymous segment: order ${order}`, async () => {
    const header = dictionary("'<i2'", "(2, 3)", order === "F" ? "True" : "False");
    const elements = bytesOf(Int16Array.of(1, 2, 3, 4, 5, 6));
    using register = new SharedMemoryRegister();
    const { sma, view } = readNpy(npyBytes(header, { elements }), register, {
      anonymous: true,
      prefix: "label",
    });
    using _attached = sma;
    assertMatch(sma.name, /^memfd:\d+:\d+:\d+$/);
    assertEquals([...register], [sma.name]);
    const expected = order === "C" ? [[1, 2, 3], [4, 5, 6]] : [[1, 3, 5], [2, 4, 6]];
    assertEquals(view.toArray(), expected);
    assertStringIncludes(
      Deno.readLinkSync(`/proc/self/fd/${sma.name.split(":")[2]}`),
      "-label-",
    );
    // What it describes is what another process loads.
    const seen = await evalChild(
      `using sma = SharedMemoryArray.from(JSON.parse(Deno.args[0]));
      console.log(JSON.stringify(sma.load().toArray()));`,
      { args: [JSON.stringify(sma)] },
    );
    assertEquals(seen, expected);
  });
}

Deno.test("readNpy() checks the dtype", () => {
  using register = new SharedMemoryRegister();
  for (const dtype of ["int16", "<i2", "i2", Int16Array] as const) {
    const { sma, view } = readNpy(smallFile, register, { dtype });
    using _attached = sma;
    assertEquals([sma.dtype, view.dtype, view.toArray()], ["int16", "int16", smallArray]);
  }
  const names: string[] = [];
  for (const dtype of ["uint16", "int32", "float64", "bool"] as const) {
    assertThrows(
      () => readNpy(smallFile, names, { dtype }),
      RangeError,
      `Cannot read the bytes of a .npy file as ${dtype}: its elements are of int16`,
    );
  }
  assertEquals(names, []);
});

Deno.test("readNpy() of bytes as uint8c: a file cannot tell clamped bytes from others", () => {
  using register = new SharedMemoryRegister();
  const file = npyBytes(dictionary("'|u1'", "(2,)"), { elements: Uint8Array.of(1, 255) });
  const { sma, view } = readNpy(file, register, { dtype: "uint8c" });
  using _attached = sma;
  assertEquals([sma.dtype, view.dtype, view.toArray()], ["uint8c", "uint8c", [1, 255]]);
  view.set(0, 300);
  assertEquals(view.get(0), 255);
  assertThrows(() => readNpy(file, [], { dtype: "bool" }), RangeError, "of uint8");
});

const complexCases: [descr: string, dtype: DType, order: string, shape: number[]][] = [
  ...["<c8", ">c8", "c8", "F", "complex64"].map((descr) =>
    [descr, "float32", "False", [2, 3]] as [string, DType, string, number[]]
  ),
  ...["<c16", ">c16", "D", "complex128"].map((descr) =>
    [descr, "float64", "False", [2, 3]] as [string, DType, string, number[]]
  ),
  ["<c8", "float32", "True", [2, 3]],
  [">c16", "float64", "True", [2, 3, 4]],
  [">c8", "float32", "True", [4, 1, 3]],
  ["<c8", "float32", "True", [5]],
  ["<c16", "float64", "True", []],
  ["<c8", "float32", "False", []],
];
for (const [descr, dtype, order, shape] of complexCases) {
  Deno.test(`readNpy() reads pairs of "${descr}", fortran_order ${order}, shape [${shape}]`, () => {
    const size = shape.reduce((a, b) => a * b, 1);
    const parts = new (typedArrayOf(dtype))(2 * size) as Float32Array<ArrayBuffer>;
    // Element k in the file is k + 1 and 1000 + k.
    for (let k = 0; k < size; k++) parts.set([k + 1, 1000 + k], 2 * k);
    const elements = bytesOf(parts).slice();
    if (descr.startsWith(">")) {
      for (let at = 0; at < elements.length; at += parts.BYTES_PER_ELEMENT) {
        elements.subarray(at, at + parts.BYTES_PER_ELEMENT).reverse();
      }
    }
    const tuple = `(${shape.map((length) => `${length},`).join("")})`;
    const file = npyBytes(dictionary(`'${descr}'`, tuple, order), { elements });
    using register = new SharedMemoryRegister();
    const { sma, view } = readNpy(file, register, { complex: "pairs", dtype });
    using _attached = sma;
    assertEquals([view.dtype, sma.shape, view.shape], [dtype, [...shape, 2], [...shape, 2]]);
    const inOrder = new NDArray(parts, {
      shape: order === "True" ? [...shape.toReversed(), 2] : [...shape, 2],
    });
    const axes = shape.map((_, axis) => order === "True" ? shape.length - 1 - axis : axis);
    const expected = inOrder.transpose([...axes, shape.length]).toArray();
    assertEquals(view.toArray(), expected);
    using other = SharedMemoryArray.from(JSON.parse(JSON.stringify(sma)));
    assertEquals(other.load().toArray(), expected);
    assertEquals(sma.layout !== undefined, order === "True" && shape.length > 1);

    const names: string[] = [];
    const refusal = assertThrows(() => readNpy(file, names), TypeError, "is complex");
    assertStringIncludes(refusal.message, 'complex: "pairs"');
    assertEquals(names, []);
  });
}

eachNumPyTest(
  "readNpy() reads the pairs of what numpy.save wrote, bit by bit",
  (python) =>
    withFolder(async (folder, register) => {
      const program = `
import sys, numpy as np
for k, (code, order) in enumerate((c, o) for c in ("<c8", ">c8", "<c16", ">c16") for o in "CF"):
    rng = np.random.RandomState(k)
    values = rng.standard_normal((3, 4, 5)) + 1j * rng.standard_normal((3, 4, 5))
    array = np.asarray(values.astype(code), order=order)
    np.save(f"{sys.argv[1]}/{k}.npy", array)
    native = np.ascontiguousarray(array.astype(code.replace(">", "<")))
    native.tofile(f"{sys.argv[1]}/{k}.raw")
`;
      await runPython(["-c", program, folder], "", python.path);
      for (let k = 0; k < 8; k++) {
        const { sma, view } = readNpy(`${folder}/${k}.npy`, register, { complex: "pairs" });
        using _attached = sma;
        assertEquals([view.dtype, view.shape], [k < 4 ? "float32" : "float64", [3, 4, 5, 2]]);
        assertEquals(bytesOf(view.copy()), Deno.readFileSync(`${folder}/${k}.raw`));
        assertEquals(view.isContiguous(), k % 2 === 0);
      }
    }),
);

Deno.test("readNpy() with pairs: other elements are read as ever, and the rest is refused", () => {
  using register = new SharedMemoryRegister();
  const { sma, view } = readNpy(smallFile, register, { complex: "pairs" });
  using _attached = sma;
  assertEquals([sma.shape, view.toArray()], [[2, 3], smallArray]);

  const names: string[] = [];
  const refuses = (
    descr: string,
    shape: string,
    kind: ErrorConstructor,
    says: string,
    elements = new Uint8Array(8),
  ): void => {
    const file = npyBytes(dictionary(descr, shape), { elements });
    assertThrows(() => readNpy(file, names, { complex: "pairs" }), kind, says);
  };
  refuses("'<c32'", "(1,)", TypeError, "is complex");
  refuses("'<c4'", "(2,)", TypeError, "unknown");
  refuses("'<c8'", "(2,)", RangeError, "shape [2] of pairs of float32 is 16 bytes, and 8 follow");
  refuses("'<c8'", "(0,)", RangeError, "no elements");
  refuses("'<c8'", `(${"1, ".repeat(64)})`, RangeError, "65 axes, with that of the pairs");
  assertThrows(
    () => readNpy(npyBytes(dictionary("'<c8'", "(1,)")), names, { complex: "pairs", dtype: "<f8" }),
    RangeError,
  );
  assertEquals(names, []);
});

const badOptions: [options: unknown, kind: ErrorConstructor, says: string][] = [
  [null, TypeError, "the options must be an object, not null"],
  ["float32", TypeError, "the options must be an object, not a string"],
  [{ dType: "float32" }, TypeError, `there is no option "dType"; there is name, prefix, mode`],
  [{ complex: true }, TypeError, 'complex must be a string such as "pairs", not a boolean'],
  [{ complex: "pair" }, RangeError, 'complex must be "pairs", not "pair"'],
  [{ dtype: "f32" }, TypeError, 'did you mean "float32"?'],
  [{ dtype: "<c8" }, TypeError, "is complex"],
  [{ dtype: null }, TypeError, "Cannot use this dtype"],
  [{ name: 7 }, TypeError, "name must be a string, not a number"],
  [{ name: "" }, RangeError, "it is empty"],
  [{ name: "a/b" }, RangeError, `it holds a "/"`],
  [{ name: "memfd:1:2:3" }, RangeError, "lead to anonymous segments"],
  [{ name: "a", prefix: "b" }, RangeError, "besides the name there is a prefix"],
  [
    { name: "a", anonymous: true },
    RangeError,
    "besides the name there is memory that may be anonymous",
  ],
  [{ name: "a", memory: "auto" }, RangeError, "besides the name there is memory that may be"],
  [{ memory: "heap" }, RangeError, 'memory must be "auto", "named" or "anonymous"'],
  [{ memory: "named", anonymous: true }, RangeError, "contradict each other"],
  [{ prefix: 7 }, TypeError, "prefix must be a string, not a number"],
  [{ prefix: "a/b" }, RangeError, `it holds a "/"`],
  [{ prefix: "x".repeat(250) }, RangeError, "leaves"],
  [{ mode: "600" }, TypeError, "mode must be a number such as 0o600, not a string"],
  [{ mode: 0o1000 }, RangeError, "mode must be from 0 to 0o777"],
  [{ reserve: 1 }, TypeError, "reserve must be a boolean, not a number"],
  [{ anonymous: "yes" }, TypeError, "anonymous must be a boolean, not a string"],
];
for (const [options, kind, says] of badOptions) {
  Deno.test(`readNpy() refuses the options ${Deno.inspect(options)}, before it opens a file`, () => {
    const names: string[] = [];
    const counter = SharedMemoryArray.COUNTER;
    assertThrows(() => readNpy("/nowhere/a.npy", names, options as never), kind, says);
    assertThrows(() => readNpy(smallFile, names, options as never), kind, says);
    assertEquals([names, SharedMemoryArray.COUNTER], [[], counter]);
  });
}

Deno.test("readNpy() shows the caller's line in its errors", () => {
  const error = errorOf(() => readNpy(smallFile, [], { dtype: "int8" }));
  assertStringIncludes(error.stack!.split("\n")[1], "npy_test.ts");
});

// --- Writing ---------------------------------------------------------------------------------

Deno.test("writeNpy() of a closed view is BadResource, and the old file stays", () =>
  withFolder((folder, register) => {
    const path = `${folder}/a.npy`;
    writeNpy(path, counted([3], "int32"));
    const before = Deno.readFileSync(path);
    const { sma, view } = readNpy(path, register);
    const part = view.slice("1:");
    sma.close();
    for (const closed of [view, part]) {
      assertThrows(() => writeNpy(path, closed), Deno.errors.BadResource);
    }
    assertEquals(Deno.readFileSync(path), before);
  }));

Deno.test("writeNpy() replaces longer and shorter files", () =>
  withFolder((folder, register) => {
    const path = `${folder}/a.npy`;
    for (const length of [1000, 1, 100, 100_000, 3]) {
      writeNpy(path, counted([length], "float64"));
      const { sma, view } = readNpy(path, register); // refuses trailing bytes
      using _attached = sma;
      assertEquals(view.size, length);
    }
    Deno.writeTextFileSync(path, "something else ".repeat(100));
    writeNpy(path, counted([2, 2], "uint8"));
    assertEquals(Deno.statSync(path).size, 128 + 4);
  }));

Deno.test("writeNpy() that is killed in the middle leaves no .npy file", async () =>
  await withFolder(async (folder, register) => {
    const path = `${folder}/a.npy`;
    writeNpy(path, counted([300_000], "float64"));
    const { signal, stderr } = await runChild(
      `import { writeNpy } from ${JSON.stringify(npyUrl)};
      const { writeSync } = Deno.FsFile.prototype;
      let calls = 0;
      Deno.FsFile.prototype.writeSync = function (bytes) {
        if (++calls === 5) Deno.kill(Deno.pid, "SIGKILL");
        return writeSync.call(this, bytes);
      };
      const view = new NDArray(new Float64Array(300_000), { shape: [300, 1000] });
      writeNpy(Deno.args[0], view.slice("::-1"));`,
      { args: [path] },
    );
    assertEquals(signal, "SIGKILL", stderr);
    assertThrows(() => readNpy(path, register), TypeError, "it is no .npy file");
  }));

Deno.test("writeNpy() needs no permission to read", async () =>
  await withFolder(async (folder) => {
    const path = `${folder}/a.npy`;
    writeNpy(path, counted([3], "int16"));
    const program = `import { writeNpy } from ${JSON.stringify(npyUrl)};
      import { NDArray } from ${JSON.stringify(modUrl)};
      writeNpy(Deno.args[0], new NDArray(Int16Array.of(0, 1, 2)));`;
    await Deno.writeTextFile(`${folder}/write.ts`, program);
    const again = `${folder}/b.npy`;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", `--allow-write=${folder}`, `${folder}/write.ts`, again],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(Deno.readFileSync(again), Deno.readFileSync(path));
  }));

Deno.test("writeNpy() writes to a pipe", async () =>
  await withFolder(async (folder) => {
    const path = `${folder}/a.npy`;
    writeNpy(path, counted([20, 30], "int16").slice(":", "::-1"));
    const program = `import { writeNpy } from ${JSON.stringify(npyUrl)};
      const data = Int16Array.from({ length: 600 }, (_, i) => i);
      writeNpy("/dev/stdout", new NDArray(data, { shape: [20, 30] }).slice(":", "::-1"));`;
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", `import { NDArray } from "@shm/array"; ${program}`],
      stdout: "piped",
    }).output();
    assert(success);
    assertEquals(stdout, Deno.readFileSync(path));
  }));

Deno.test("writeNpy() writes large pieces, whatever the strides", () =>
  withFolder((folder) => {
    const frame = counted([540, 960, 3], "uint8");
    const views = [
      frame.slice("...", "::-1"),
      frame.slice("::2", "::2"),
      frame.transpose(2, 0, 1),
      frame.transpose(1, 0, 2).slice("::-1"),
      frame.reshape(540 * 960 * 3).slice("::3"),
    ];
    const calls = (): number =>
      Number(/syscw: (\d+)/.exec(Deno.readTextFileSync("/proc/self/io"))![1]);
    for (const view of views) {
      const before = calls();
      writeNpy(`${folder}/a.npy`, view);
      // 1.5 MB; whatever else this process writes meanwhile is counted, too.
      assertLess(calls() - before, 50);
    }
  }));

Deno.test("writeNpy() writes empty views as NumPy does", () =>
  withFolder((folder) => {
    const path = `${folder}/a.npy`;
    writeNpy(path, counted([4, 3], "float32").slice("2:2"));
    const text = Deno.readTextFileSync(path);
    assertEquals(text.length, 128);
    assertStringIncludes(text, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }");
  }));

Deno.test("writeNpy() writes the bytes of a bool as they are, contiguous or not", () =>
  withFolder((folder) => {
    const path = `${folder}/a.npy`;
    const view = new NDArray(Uint8Array.of(0, 1, 2, 255), { dtype: "bool" });
    writeNpy(path, view);
    assertEquals(Deno.readFileSync(path).subarray(128), Uint8Array.of(0, 1, 2, 255));
    writeNpy(path, view.slice("::-1"));
    assertEquals(Deno.readFileSync(path).subarray(128), Uint8Array.of(255, 2, 1, 0));
  }));

Deno.test("writeNpy() writes views over a SharedArrayBuffer", () =>
  withFolder((folder, register) => {
    const path = `${folder}/a.npy`;
    const data = new Float32Array(new SharedArrayBuffer(24));
    data.set([1, 2, 3, 4, 5, 6]);
    const view = new NDArray(data, { shape: [2, 3] });
    for (const part of [view, view.slice(":", "::-1"), view.transpose()]) {
      writeNpy(path, part);
      const { sma, view: read } = readNpy(path, register);
      using _attached = sma;
      assertEquals(read.toArray(), part.toArray());
    }
  }));

Deno.test("bytesPerElement() times size is what a file has after its header", () =>
  withFolder((folder) => {
    for (const dtype of dtypes) {
      writeNpy(`${folder}/a.npy`, counted([7], dtype));
      assertEquals(Deno.statSync(`${folder}/a.npy`).size, 128 + 7 * bytesPerElement(dtype));
    }
  }));
