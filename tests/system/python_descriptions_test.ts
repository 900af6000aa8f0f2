/**
 * `examples/python/shm_attach.py` and this library tell each other what segments are: what one side creates, the
 * other attaches to by the name alone, and both take the same texts for descriptions.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { type MemoryLayout, NDArray, SharedMemory, SharedMemoryArray } from "@shm/array";
import { type DType, dtypes, numpyTypeString } from "@shm/array/dtype";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";

import { readAttributeOfPath } from "../../ffi/xattr.ts";
import { found } from "../../src/segment/description.ts";
import { compareArrays, placedArray } from "../../src/shared_array/described_array.ts";
import { placeElements } from "../../src/shared_array/memory_layout.ts";
import type { Python } from "../helpers/find_python.ts";
import { segmentPath } from "../helpers/helpers.ts";
import { partOf, segmentsOf, withPublication } from "../helpers/publish_helpers.ts";
import { eachNumPyTest, runPython } from "../helpers/python.ts";
import { Random, seedOf } from "../helpers/random.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "segments have descriptions there only");

const imports = `
import errno, json, os, signal, sys
import shm_attach as S
from shm_attach import Lock, Ring, Versions, attach, create, unlink
name = sys.argv[1]
given = json.loads(sys.stdin.read() or "null")
def tell(*what):
    print(json.dumps(what if len(what) != 1 else what[0]), flush=True)
def raised(action):
    try:
        action()
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
`;

/** Runs a program that tells one thing. */
// deno-lint-ignore no-explicit-any -- whatever the program tells
async function ask(python: Python, program: string, name: string, input?: unknown): Promise<any> {
  const text = input === undefined ? "" : JSON.stringify(input);
  const { stdout } = await runPython(["-c", imports + program, name], text, python.path);
  return JSON.parse(stdout);
}

const numbers = dtypes.filter((dtype) => dtype !== "bool" && dtype !== "uint8c");

// --- Arrays ----------------------------------------------------------------------------------

eachNumPyTest(
  "attach() of shm_attach.py needs the name alone: every dtype",
  (python) =>
    withPublication(async (name) => {
      const all = dtypes.map((dtype) => {
        const sma = new SharedMemoryArray([2, 3], dtype, `${name}-${dtype}`);
        const isBig = dtype === "int64" || dtype === "uint64";
        const [zero, one] = isBig ? [0n, 1n] : [0, 1];
        (sma.create() as NDArray).assign([[one, zero, one], [zero, one, zero]] as never);
        return sma;
      });
      const seen = await ask(
        python,
        `
arrays = [attach(each) for each in given]
tell([[array.dtype.str, array.astype(int).tolist()] for array in arrays])
for array in arrays: array[1, 2] = 1
`,
        name,
        all.map((sma) => sma.name),
      );
      for (const [k, sma] of all.entries()) {
        assertEquals(seen[k], [numpyTypeString(sma.dtype), [[1, 0, 1], [0, 1, 0]]]);
        assertEquals(Number(sma.array!.get(1, 2)), 1);
        sma.close();
      }
    }),
);

eachNumPyTest(
  "attach() of shm_attach.py needs the name alone: layouts and anonymous segments",
  (python) =>
    withPublication(async (name) => {
      const layouts: [shape: number[], layout: MemoryLayout][] = [
        [[2, 3], { stride: [1, 2] }],
        [[2, 3], { byteOffset: 16, stride: [4, 1] }],
        [[3], { byteOffset: 8, stride: [-2] }],
      ];
      const all = layouts.map(([shape, layout], k) => {
        const sma = new SharedMemoryArray(shape, "int16", `${name}-${k}`, null, layout);
        const size = shape.reduce((a, b) => a * b);
        sma.create().assign(
          new NDArray(Int16Array.from({ length: size }, (_, i) => i), { shape }),
        );
        return sma;
      });
      using anonymous = SharedMemoryArray.createAnonymous([2, 2], "float32");
      anonymous.array!.assign([[1, 2], [3, 4]]);
      const seen = await ask(
        python,
        "tell([attach(each).tolist() for each in given])",
        name,
        [...all, anonymous].map((sma) => sma.name),
      );
      assertEquals(seen, [...all, anonymous].map((sma) => sma.array!.toArray()));
      anonymous.unlink();
      for (const sma of all) sma.close();
    }),
);

eachNumPyTest(
  "what create() of shm_attach.py makes is attached to by its name alone",
  (python) =>
    withPublication(async (name) => {
      const made = [...numbers.map((dtype) => numpyTypeString(dtype)), "|b1", "float64"];
      await ask(
        python,
        `
for each in given:
    create(f"{name}-{each}", (2, 3), each)[1, 2] = 1
create(f"{name}-fortran", [2, 3], "i2", {"stride": [1, 2]}, mode=0o640)[...] = [[1, 2, 3], [4, 5, 6]]
create(f"{name}-padded", 3, "i2", {"byteOffset": 8, "stride": [2]})[:] = [7, 8, 9]
create(f"{name}-bare", 3, "i2", describe=False, reserve=False)
tell(None)
`,
        name,
        made,
      );
      for (const each of made) {
        using sma = SharedMemoryArray.attach(`${name}-${each}`);
        assertEquals(numpyTypeString(sma.dtype), each === "float64" ? "<f8" : each);
        assertEquals([sma.shape, Number(sma.array!.get(1, 2))], [[2, 3], 1]);
        // It is the very text that this library writes.
        using same = new SharedMemoryArray([2, 3], sma.dtype, `${name}-same`);
        same.create();
        assertEquals(textBeside(sma.name), textBeside(same.name));
        same.unlink();
      }
      using fortran = SharedMemoryArray.attach(`${name}-fortran`, "int16");
      assertEquals(fortran.array!.toArray(), [[1, 2, 3], [4, 5, 6]]);
      assertEquals(fortran.layout, { byteOffset: 0, stride: [1, 2] });
      assertEquals(Deno.statSync(segmentPath(`${name}-fortran`)).mode! & 0o777, 0o640);
      using padded = SharedMemoryArray.attach(`${name}-padded`);
      assertEquals(padded.array!.toArray(), [7, 8, 9]);
      assertThrows(() => SharedMemoryArray.attach(`${name}-bare`), RangeError);
      assertEquals(Deno.statSync(segmentPath(`${name}-bare`)).blocks, 0);
      assertEquals(Deno.statSync(segmentPath(`${name}-padded`)).mode! & 0o777, 0o600);
    }),
);

/** The text beside a segment. */
function textBeside(name: string): string {
  const bytes = new Uint8Array(4096);
  const length = readAttributeOfPath(segmentPath(name), "user.shm_array", bytes, 4096n);
  return new TextDecoder().decode(bytes.subarray(0, length));
}

eachNumPyTest(
  "attach() of shm_attach.py compares what it is told with what the segment says",
  (python) =>
    withPublication(async (name) => {
      using sma = new SharedMemoryArray([2, 3], "float32", `${name}-a`);
      sma.create();
      using clamped = new SharedMemoryArray([4], "uint8c", `${name}-c`);
      clamped.create();
      using bare = new SharedMemoryArray([2, 3], "float32", `${name}-b`);
      bare.create({ describe: false });
      using _lock = new SharedMemoryLock(`${name}-l`).create();
      using _ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      using _old = new SharedMemoryRing([4], "uint8", `${name}-o`, 3).create({ describe: false });
      using raw = SharedMemory.create(`${name}-raw`, 16);
      const seen = await ask(
        python,
        `
a, b, c, l, r, o, raw = (f"{name}-{each}" for each in ("a", "b", "c", "l", "r", "o", "raw"))
tell([raised(action) for action in [
    lambda: attach(a, (2, 3), "float32"),
    lambda: attach(a, (2, 3), "float32", {"stride": [3, 1]}),
    lambda: attach(a, (2,), "float32", {"byteOffset": 4, "stride": [3]}),
    lambda: attach(c, 4, "uint8"),
    lambda: attach(c, 4, "uint8c"),
    lambda: attach(a, dtype="<f4"),
    lambda: attach(b, (3,), "int64"),
    lambda: attach(a, (3,), "int64", reinterpret=True),
    lambda: attach(r, (3,), "uint8", reinterpret=True),
]], [raised(action) for action in [
    lambda: attach(a, (3, 2), "float32"),
    lambda: attach(a, (2, 3), "int32"),
    lambda: attach(a, (2, 3), ">f4"),
    lambda: attach(a, (2, 3), "float32", {"stride": [1, 2]}),
    lambda: attach(a, dtype="float64"),
    lambda: attach(b),
    lambda: attach(raw),
    lambda: attach(a, (2, 4), "float32", reinterpret=True),
    lambda: attach(a, (1,), "float32", {"byteOffset": 24}, reinterpret=True),
    lambda: attach(l, dtype="uint8"),
]], [raised(action) for action in [
    lambda: attach(l, (4,), "int32"),
    lambda: attach(r, (4,), "uint8"),
    lambda: attach(o, (4,), "uint8"),
    lambda: attach(a, (2, 3)),
    lambda: attach(a, layout={"stride": [1, 2]}),
    lambda: attach(a, reinterpret=True),
    lambda: attach(a, (2, 3), "float32", {"strides": [1, 2]}),
]])
`,
        name,
      );
      assertEquals(seen[0], Array(9).fill(null));
      for (const error of seen[1]) assertMatch(error, /^ValueError: Cannot attach to /);
      assertStringIncludes(
        seen[1][0],
        "as shape [3, 2] of float32: the segment is described as shape [2, 3] of float32; " +
          "reinterpret=True takes the bytes as they are",
      );
      assertStringIncludes(seen[1][5], "does not say what it is; give shape and dtype");
      for (const error of seen[2]) assertMatch(error, /^TypeError: Cannot /);
      raw.unlink();
    }),
);

eachNumPyTest(
  "create() of shm_attach.py refuses what nobody could load, and leaves nothing",
  (python) =>
    withPublication(async (name) => {
      using sma = new SharedMemoryArray([2], "int8", `${name}-taken`);
      sma.create().fill(5);
      const seen = await ask(
        python,
        `
x = name + "-x"
tell([raised(action) for action in [
    lambda: create(name + "-taken", 2, "int8"),
    lambda: Lock.create(name + "-taken"),
    lambda: Ring.create(name + "-taken", 2, "int8", 2),
    lambda: Versions.create(name + "-taken", 2, "int8"),
    lambda: create(x, 2, ">f4"),
    lambda: create(x, 2, "complex64"),
    lambda: create(x, 2, "U3"),
    lambda: create(x, 2, "f4,i4"),
    lambda: create(x, (2, 0), "int8"),
    lambda: create(x, -1, "int8"),
    lambda: create(x, 2, "int8", mode=0o1000),
    lambda: create(x, 2, "int8", {"stride": [-1]}),
    lambda: create("memfd:1:2:3", 2, "int8"),
    lambda: create("a/b", 2, "int8"),
    lambda: Ring.create(x, 2, "int8", 1),
    lambda: Versions.create("v" * 240, 2, "int8"),
    lambda: create(x, 2**43, "int64"),
]])
`,
        name,
      );
      const kinds = seen.map((error: string) => error.split(":")[0]);
      assertEquals(kinds, [
        ...Array(4).fill("FileExistsError"),
        ...Array(4).fill("TypeError"),
        ...Array(8).fill("ValueError"),
        "OSError",
      ]);
      assertEquals(sma.array!.toArray(), [5, 5]);
      assertEquals(segmentsOf(`${name}-x`), []);
    }),
);

eachNumPyTest(
  "create() of shm_attach.py: a creator that is killed leaves no name; only named files are no hindrance",
  (python) =>
    withPublication(async (name) => {
      const killed = await ask(
        python,
        `
child = os.fork()
if child == 0:
    os.posix_fallocate = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    create(name + "-killed", 4, "int32")
    os._exit(0)
tell(os.waitpid(child, 0)[1])
`,
        name,
      );
      assertEquals([killed, segmentsOf(`${name}-killed`)], [9, []]);

      const refused = await ask(
        python,
        `
plain = os.open
def named_only(path, flags, mode=0o777, **more):
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(errno.EACCES, "named files only")
    return plain(path, flags, mode, **more)
os.open = named_only
create(name + "-named", 4, "int32")[0] = 7
again = raised(lambda: create(name + "-named", 4, "int32"))
lock = Lock.create(name + "-lock")
tell(again, sorted(each for each in os.listdir("/dev/shm") if each.startswith(name)))
`,
        name,
      );
      assertStringIncludes(refused[0], "FileExistsError");
      assertEquals(refused[1], [`${name}-lock`, `${name}-named`]);
      using sma = SharedMemoryArray.attach(`${name}-named`, "int32");
      assertEquals(sma.array!.get(0), 7);
      SharedMemoryArray.clearBuffers(refused[1]);
    }),
);

// --- Other kinds -----------------------------------------------------------------------------

eachNumPyTest(
  "attach() of shm_attach.py gives a lock, a ring and versions that Deno made",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(`${name}-lock`).create();
      using ring = new SharedMemoryRing([2, 2], "float32", `${name}-ring`, 3).create();
      ring.write([[1, 2], [3, 4]]);
      using table = new SharedMemoryVersions([3], "uint8c", `${name}-table`).create();
      await table.publish((next) => void next.assign([7, 8, 9]));
      using _held = lock.acquire();
      const seen = await ask(
        python,
        `
lock, ring, table = (attach(f"{name}-{each}") for each in ("lock", "ring", "table"))
version, array = table.current()
part = [each for each in os.listdir("/dev/shm") if each.startswith(name + "-table.")][0]
tell([type(each).__name__ for each in (lock, ring, table)], raised(lambda: lock.acquire(timeout=0)),
     ring.latest().array.tolist(), ring.slots, version, array.tolist(), attach(part).tolist(),
     raised(lambda: attach(name + "-ring", dtype="float32")), raised(lambda: attach(name + "-ring", dtype="int8")))
`,
        name,
      );
      assertMatch(seen[1], /^TimeoutError: /);
      assertMatch(seen.pop(), /^ValueError: .* described as a ring of float32/);
      assertEquals(seen.toSpliced(1, 1), [
        ["Lock", "Ring", "Versions"],
        [[1, 2], [3, 4]],
        3,
        1,
        [7, 8, 9],
        [7, 8, 9],
        null,
      ]);
    }),
);

eachNumPyTest(
  "Lock, Ring and Versions of shm_attach.py are created as Deno creates them",
  (python) =>
    withPublication(async (name) => {
      using ownLock = new SharedMemoryLock(`${name}-own-lock`).create();
      using ownRing = new SharedMemoryRing([2, 2], "int16", `${name}-own-ring`, 3).create();
      using ownTable = new SharedMemoryVersions([3], "float64", `${name}-own-table`)
        .create({ mode: 0o640, reserve: false });
      await ask(
        python,
        `
lock = Lock.create(name + "-lock")
with lock: pass
ring = Ring.create(name + "-ring", [2, 2], "int16", 3)
ring.write([[1, 2], [3, 4]])
table = Versions.create(name + "-table", 3, "float64", mode=0o640, reserve=False)
table.publish(lambda array: array.fill(0.5))
tell(None)
`,
        name,
      );
      for (const kind of ["lock", "ring", "table"]) {
        assertEquals(textBeside(`${name}-${kind}`), textBeside(`${name}-own-${kind}`));
        assertEquals(
          Deno.statSync(segmentPath(`${name}-${kind}`)).size,
          Deno.statSync(segmentPath(`${name}-own-${kind}`)).size,
        );
      }
      // All words but the counts and the id are those that Deno writes.
      for (const kind of ["ring", "table"]) {
        const [python, deno] = ["", "own-"].map((own) =>
          Deno.readFileSync(segmentPath(`${name}-${own}${kind}`)).slice(0, 40)
        );
        assertEquals(python, deno);
      }
      using lock = new SharedMemoryLock(`${name}-lock`).load();
      using guard = lock.tryAcquire();
      assertEquals(guard?.abandoned, false);
      using ring = new SharedMemoryRing([2, 2], "int16", `${name}-ring`, 3).load();
      assertEquals(ring.latest()!.array.toArray(), [[1, 2], [3, 4]]);
      assertEquals(ring.write([[5, 6], [7, 8]]), 2);
      using table = new SharedMemoryVersions([3], "float64", `${name}-table`).load();
      assertEquals(table.current()!.array.toArray(), [0.5, 0.5, 0.5]);
      using part = SharedMemoryArray.attach(partOf(`${name}-table`, 1), "float64");
      assertEquals(part.array!.toArray(), [0.5, 0.5, 0.5]);
      const listed = SharedMemoryArray.list().filter((each) => each.name.startsWith(`${name}-`));
      assertEquals(
        listed.filter((each) => !each.name.includes("own")).map((each) => each.kind).sort(),
        ["array", "lock", "ring", "versions"],
      );
      for (const own of [ownLock, ownRing, ownTable]) own.unlink();

      // unlink() removes the parts, too.
      const removed = await ask(
        python,
        `tell([unlink(f"{name}-{each}") for each in ("table", "ring", "lock", "lock")])`,
        name,
      );
      assertEquals([removed, segmentsOf(name)], [[true, true, true, false], []]);
    }),
);

// --- Texts and layouts -----------------------------------------------------------------------

/** Texts that may stand beside a segment, and whether they are descriptions. */
const texts: [text: string, isValid: boolean][] = [
  [`{"kind":"lock"}`, true],
  [`{"kind":"barrier","parties":3}`, true],
  [`{"kind":"queue","slots":3,"messageBytes":64}`, true],
  [`{"kind":"ring","shape":[4],"dtype":"uint8","slots":3}`, true],
  [`{"kind":"versions","shape":[],"dtype":"<f8"}`, true],
  [`{"kind":"array","shape":[2,3],"dtype":"<f4"}`, true],
  [`\ufeff{"kind":"array","shape":[2,3],"dtype":"<f4"}`, true],
  [` {"dtype":"uint8c" ,"shape":[2.0,3e0],"kind":"array","more":{}}\n`, true],
  [`{"kind":"array","shape":[2],"dtype":"<f4","layout":{"byteOffset":8,"stride":[-1]}}`, true],
  [`{"kind":"lock","layout":null}`, true],
  [`{"kind":"lock","kind":"array","shape":[2],"dtype":"?"}`, true],
  ...["=f4", "f4", "|f4", ">u1", ">?", "b1", "|i1", "bigint64", "uint8_clamped"].map((dtype) =>
    [`{"kind":"array","shape":[2],"dtype":"${dtype}"}`, true] as [string, boolean]
  ),
  ...[">f4", "<c8", "f16", "float", "int", "U3", "<u3", "i", "f4,f4", "Float32Array", "O", ""].map(
    (dtype) => [`{"kind":"array","shape":[2],"dtype":"${dtype}"}`, false] as [string, boolean],
  ),
  ...["2", "null", "[0]", "[-1]", "[1.5]", "[true]", `["2"]`, "[9007199254740992]", "{}", "[[1]]"]
    .map((shape) =>
      [`{"kind":"array","shape":${shape},"dtype":"<f4"}`, false] as [string, boolean]
    ),
  ...[
    "null",
    "{}",
    `{"byteOffset":0}`,
    `{"stride":[1]}`,
    `{"byteOffset":-4,"stride":[1]}`,
    `{"byteOffset":0,"stride":[1,1]}`,
    `{"byteOffset":0,"stride":[0.5]}`,
    `{"byteOffset":"0","stride":[1]}`,
    "[1]",
  ].map((layout) =>
    [`{"kind":"array","shape":[2],"dtype":"<f4","layout":${layout}}`, false] as [string, boolean]
  ),
  [`{"kind":"lock","shape":[0]}`, false],
  [`{"kind":"lock","dtype":7}`, false],
  [`{"kind":"ring","shape":[4]}`, false],
  [`{"kind":"array","dtype":"<f4"}`, false],
  [`{"kind":"tensor","shape":[4],"dtype":"<f4"}`, false],
  [`{"kind":["lock"]}`, false],
  [`{"kind":"array","shape":[NaN],"dtype":"<f4"}`, false],
  [`{"kind":"lock","x":NaN}`, false],
  [`{"kind":"lock","x":-Infinity}`, false],
  [`{"kind":"lock",}`, false],
  [`{'kind':'lock'}`, false],
  [`{"kind":"lock"} x`, false],
  [`{"kind":"lock","x":"\t"}`, false],
  ["[".repeat(4000), false],
  [`{"kind":"lock","x":${"[".repeat(500)}${"]".repeat(500)}}`, true],
  ["lock", false],
  [`"lock"`, false],
  ["null", false],
  ["[]", false],
  [`{"kind":"lock","x":"${"x".repeat(4096)}"}`, false],
  [`{"kind":"array","shape":[${Array(1000).fill(1)}],"dtype":"<f4"}`, true],
];

eachNumPyTest(
  "shm_attach.py takes the same texts for descriptions as Deno does",
  (python) =>
    withPublication(async (name) => {
      const bytes = [
        ...texts.map(([text]) => [...new TextEncoder().encode(text)]),
        [0xff, 0xfe],
        [...new TextEncoder().encode(`{"kind":"lock","x":"`), 0xc3, 0x28, 0x22, 0x7d],
      ];
      const seen: unknown[] = await ask(
        python,
        `
def described(number, text):
    """What a segment with this text beside it says: as attach() reads it."""
    file = os.open(f"/dev/shm/{name}-{number}", os.O_RDWR | os.O_CREAT, 0o600)
    os.setxattr(file, "user.shm_array", bytes(text))
    found = S._read_description(file)
    os.close(file)
    return found and {
        "kind": found.kind, "shape": found.shape and list(found.shape), "dtype": found.dtype and found.dtype.str,
        "layout": found.layout and {"byteOffset": found.layout[0], "stride": list(found.layout[1])},
    }
tell([described(number, text) for number, text in enumerate(given)])
`,
        name,
        bytes,
      );
      assertEquals(seen.length, bytes.length);
      for (const [k, text] of bytes.entries()) {
        const shown = new TextDecoder().decode(Uint8Array.from(text)).slice(0, 100);
        const { value } = found.readOfPath(segmentPath(`${name}-${k}`));
        assertEquals(value !== null, texts[k]?.[1] ?? false, shown);
        // An empty shape and none are the same to this program.
        const shape = value?.shape?.length === 0 ? [] : value?.shape;
        const dtype = value?.dtype ? numpyTypeString(value.dtype) : null;
        assertEquals(seen[k], value && { ...value, shape: shape ?? null, dtype }, shown);
      }
    }),
);

const random = new Random(seedOf(20261130));

/** An array somewhere in a small segment: strides of any sign, axes of any length. */
function randomPlace(): { shape: number[]; dtype: DType; layout: MemoryLayout | null } {
  const shape = Array.from({ length: random.integer(0, 3) }, () => random.integer(1, 4));
  const dtype: DType = random.chance(0.8) ? "int16" : "int32";
  if (random.chance(0.2)) return { shape, dtype, layout: null };
  const stride = random.permutation(shape.length).map(() => random.integer(-6, 12));
  if (random.chance(0.6)) {
    // As views have them: in some order of the axes, with steps.
    let distance = random.oneOf([1, 1, 1, 2, 3]);
    for (const axis of random.permutation(shape.length)) {
      stride[axis] = distance * random.oneOf([1, 1, 1, 2, -1]);
      distance = Math.abs(stride[axis]) * (shape[axis] + random.oneOf([0, 0, 1, 2]));
    }
  }
  const lowest = stride.reduce((sum, step, i) => sum + Math.min(0, step * (shape[i] - 1)), 0);
  const bytes = dtype === "int16" ? 2 : 4;
  return { shape, dtype, layout: { byteOffset: (random.integer(0, 6) - lowest) * bytes, stride } };
}

eachNumPyTest(
  "attach() of shm_attach.py takes the same parts of an array as load() does",
  async (python) => {
    const cases = Array.from({ length: 20_000 }, () => {
      const whole = randomPlace();
      const part = random.chance(0.3) ? { ...randomPlace(), shape: whole.shape } : randomPlace();
      if (part.layout?.stride && part.layout.stride.length !== part.shape.length) {
        part.layout = null;
      }
      return { whole, part };
    });
    const placed = ({ shape, dtype, layout }: ReturnType<typeof randomPlace>) =>
      placedArray(dtype, placeElements(shape, dtype, layout));
    const ours = cases.map(({ whole, part }) => {
      try {
        compareArrays(placed(part), part.layout !== null, placed(whole), "x");
        return true;
      } catch (error) {
        // A stride that is shorter than the shape may lead before the segment.
        return error instanceof RangeError && error.message.startsWith("Cannot load")
          ? false
          : null;
      }
    });
    const theirs = await ask(
      python,
      `
def placed(array):
    return S._placed(array["shape"], S._dtype_of(array["dtype"]), array["layout"])
def compares(case):
    whole = placed(case["whole"])
    try:
        S._compare("x", placed(case["part"]), case["part"]["layout"] is not None,
                   S._Description("array", whole.shape, whole.dtype, whole.layout))
        return True
    except ValueError:
        return False
tell([compares(case) for case in given])
`,
      "",
      cases,
    );
    let taken = 0;
    for (const [k, test] of cases.entries()) {
      if (ours[k] === null) continue;
      if (ours[k]) taken++;
      assertEquals(theirs[k], ours[k], `SHM_SEED=${seedOf(20261130)} ${JSON.stringify(test)}`);
    }
    assert(taken > 500, `${taken} of ${cases.length} were taken`);
  },
);

// --- The file itself -------------------------------------------------------------------------

eachNumPyTest(
  "the examples in the docstrings of shm_attach.py run, and leave nothing",
  async (python) => {
    const { stdout } = await runPython(
      ["-m", "doctest", new URL("../../examples/python/shm_attach.py", import.meta.url).pathname],
      "",
      python.path,
    );
    assertEquals(stdout, "");
    assert(!SharedMemoryArray.list().some((each) => /^doctest-\w+-\d+$/.test(each.name)));
  },
);

eachNumPyTest(
  "shm_attach.py has the syntax of CPython 3.8, and hints and docstrings",
  async (python) => {
    const program = `
import ast, inspect, json
import shm_attach as S
tree = ast.parse(open(S.__file__).read(), feature_version=(3, 8))
public = [node for node in tree.body if getattr(node, "name", "_")[0] != "_"]
functions = [node for node in public if isinstance(node, ast.FunctionDef)]
for kind in public:
    if isinstance(kind, ast.ClassDef):
        functions += [node for node in kind.body if isinstance(node, ast.FunctionDef)
                      and (node.name[0] != "_" or node.name in ("__enter__", "__exit__"))]
is_overload = lambda node: any(getattr(each, "id", "") == "overload" for each in node.decorator_list)
overloaded = {node.name for node in functions if is_overload(node)}
bare = [node.name for node in functions if node.returns is None and node.name not in overloaded]
bare += [f"{node.name}({arg.arg})" for node in functions if node.name not in overloaded
         for arg in node.args.args + node.args.kwonlyargs if arg.annotation is None and arg.arg not in ("self", "cls")]
mute = [node.name for node in public + functions
        if not isinstance(node, ast.Assign) and not is_overload(node) and node.name[:2] != "__"
        and not ast.get_docstring(node)]
print(json.dumps([bare, mute]))
`;
    const { stdout } = await runPython(["-c", program], "", python.path);
    assertEquals(JSON.parse(stdout), [[], []]);
  },
);
