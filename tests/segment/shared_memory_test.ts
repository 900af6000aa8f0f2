import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "../../mod.ts";
import {
  descriptorsOf,
  errorOf,
  evalChild,
  mappingsOf,
  segmentExists,
  segmentPath,
  uniqueName,
  withNames,
} from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

Deno.test("SharedMemory.create() makes zero-filled bytes under a name", () => {
  withNames((name) => {
    using memory = SharedMemory.create(name, 5000);
    assertInstanceOf(memory, SharedMemory);
    assertInstanceOf(memory.buf, ArrayBuffer);
    assertEquals([memory.name, memory.size, memory.buf.byteLength], [name, 5000, 5000]);
    assertStrictEquals(memory.buf, memory.buf);
    assert(new Uint8Array(memory.buf).every((byte) => byte === 0));
    const { size, mode } = Deno.statSync(segmentPath(name));
    assertEquals([size, mode! & 0o777], [5000, 0o600]);
  });
});

Deno.test("SharedMemory.open() sees the same bytes, at once and both ways", () => {
  withNames((name) => {
    using mine = SharedMemory.create(name, 16);
    using theirs = SharedMemory.open(name);
    const [a, b] = [mine, theirs].map(({ buf }) => new Int32Array(buf!));
    a[0] = 42;
    b[3] = -1;
    assertEquals([b[0], a[3], theirs.size], [42, -1, 16]);
    assertEquals([Atomics.add(a, 1, 5), Atomics.add(b, 1, 5), a[1]], [0, 5, 10]);
    assertEquals(mappingsOf(name), 2);
  });
});

Deno.test("SharedMemory.open() in another process sees the same bytes", () =>
  withNames(async (name) => {
    using mine = SharedMemory.create(name, 8);
    const bytes = new Uint8Array(mine.buf!);
    bytes[0] = 7;
    const seen = await evalChild(
      `using memory = SharedMemory.open(Deno.args[0]);
      const bytes = new Uint8Array(memory.buf);
      bytes[1] = bytes[0] + 1;
      console.log(JSON.stringify([bytes[0], memory.size]));`,
      { args: [name], permissions: ["--allow-ffi"] },
    );
    assertEquals([seen, bytes[1]], [[7, 8], 8]);
    // That process has ended without unlink(): nothing is removed by that.
    assert(segmentExists(name));
  }));

Deno.test("SharedMemory.close() is idempotent, empties the views and keeps the segment", () => {
  withNames((name) => {
    const memory = SharedMemory.create(name, 8);
    const bytes = new Uint8Array(memory.buf!);
    const { buf } = memory;
    bytes[0] = 1;
    memory.close();
    memory.close();
    memory[Symbol.dispose]();
    assertEquals([memory.buf, bytes.length, buf!.detached], [null, 0, true]);
    assertEquals([memory.name, memory.size, mappingsOf(name)], [name, 8, 0]);
    using again = SharedMemory.open(name);
    assertEquals(new Uint8Array(again.buf!)[0], 1);
  });
});

Deno.test("SharedMemory is closed at the end of a scope, not unlinked", () => {
  withNames((name) => {
    {
      using _memory = SharedMemory.create(name, 8);
    }
    assertEquals([mappingsOf(name), segmentExists(name)], [0, true]);
  });
});

Deno.test("SharedMemory.unlink() tells whether the name was there, before and after close()", () => {
  withNames((name) => {
    const memory = SharedMemory.create(name, 8);
    assertEquals([memory.unlink(), memory.unlink(), segmentExists(name)], [true, false, false]);
    new Uint8Array(memory.buf!)[0] = 1;
    assertThrows(() => SharedMemory.open(name), Deno.errors.NotFound);
    memory.close();
    SharedMemory.create(name, 8).close();
    assertEquals([memory.unlink(), memory.unlink()], [true, false]);
  });
});

Deno.test("SharedMemory.create() refuses a taken name, and leaves the other's segment", () => {
  withNames((name) => {
    using mine = SharedMemory.create(name, 8);
    const error = errorOf(() => SharedMemory.create(name, 16));
    assertInstanceOf(error, Deno.errors.AlreadyExists);
    assertEquals(error.code, "EEXIST");
    assertMatch(error.message, /^File exists \(os error 17\): shm_open '/);
    assertEquals([Deno.statSync(segmentPath(name)).size, mine.size], [8, 8]);
  });
});

Deno.test("SharedMemory.open() of a name that is not there is NotFound", () => {
  const name = uniqueName();
  const error = errorOf(() => SharedMemory.open(name));
  assertInstanceOf(error, Deno.errors.NotFound);
  assertEquals(
    [error.code, error.message],
    [
      "ENOENT",
      `No such file or directory (os error 2): shm_open '${name}'; ` +
      "load({ timeout }) waits for its creator",
    ],
  );
});

Deno.test("SharedMemory.create() takes mode and reserve", () => {
  withNames((a, b) => {
    using one = SharedMemory.create(a, 2 ** 20, { mode: 0o644, reserve: false });
    using two = SharedMemory.create(b, 2 ** 20, { reserve: true });
    const [sparse, full] = [one, two].map(({ name }) => Deno.statSync(segmentPath(name)));
    assertEquals([sparse.mode! & 0o777, full.mode! & 0o777], [0o644, 0o600]);
    assertEquals([sparse.size, sparse.blocks, full.blocks! * 512], [2 ** 20, 0, 2 ** 20]);
  });
});

Deno.test("a mode of -0 is 0: nobody may attach", () => {
  withNames((raw, array) => {
    using bytes = SharedMemory.create(raw, 8, { mode: -0 });
    using sma = new SharedMemoryArray([2], "int8", array);
    sma.create({ mode: -0 });
    for (const name of [raw, array]) {
      assertEquals(Deno.statSync(segmentPath(name)).mode! & 0o777, 0);
    }
    assertEquals([bytes.unlink(), sma.unlink()], [true, true]);
  });
});

type ErrorClass = new (message: string) => Error;
const refused: [args: unknown[], ErrorClass: ErrorClass, message: string][] = [
  [["x", 0], RangeError, "a segment cannot have 0 bytes"],
  [["x", -1], RangeError, "-1 bytes"],
  [["x", 1.5], RangeError, "1.5 bytes"],
  [["x", NaN], RangeError, "NaN bytes"],
  [["x", Infinity], RangeError, "Infinity bytes"],
  [["x", 2 ** 53], RangeError, "9007199254740992 bytes"],
  [["x"], TypeError, "byteLength must be a number of bytes, not undefined"],
  [["x", "8"], TypeError, "not a string"],
  [["x", 8n], TypeError, "not a bigint"],
  [["x", null], TypeError, "not null"],
  [["", 8], RangeError, "empty"],
  [["/x", 8], RangeError, 'holds a "/"'],
  [["..", 8], RangeError, "names a directory"],
  [["a\0", 8], RangeError, "NUL"],
  [["x".repeat(256), 8], RangeError, "256 bytes"],
  [[undefined, 8], TypeError, "must be a string"],
  [["x", 8, { mode: 0o1777 }], RangeError, "mode must be from 0 to 0o777"],
  [["x", 8, { mode: "0600" }], TypeError, "mode must be a number"],
  [["x", 8, { reserve: 1 }], TypeError, "reserve must be a boolean"],
  [["x", 8, { size: 1 }], TypeError, 'no option "size"'],
  [["x", 8, null], TypeError, "must be an object"],
];
for (const [[name, ...rest], Class, message] of refused) {
  const shown = Deno.inspect([name, ...rest], { strAbbreviateSize: 20 });
  Deno.test(`SharedMemory.create() refuses ${shown}`, () => {
    const create = SharedMemory.create as (...args: unknown[]) => unknown;
    // The name must be free, or a lack of checks would show as another error.
    const own = name === "x" ? uniqueName() : name;
    const error = assertThrows(() => create(own, ...rest), Class, message);
    assertMatch(error.message, /^Cannot /);
    if (name === "x") {
      assertEquals([segmentExists(own as string), descriptorsOf(own as string)], [false, 0]);
    }
  });
}

Deno.test("SharedMemory.create() of more than /dev/shm holds is ENOSPC, and leaves nothing", () => {
  const name = uniqueName();
  const error = errorOf(() => SharedMemory.create(name, 2 ** 50));
  assertEquals([error.constructor, error.code, segmentExists(name)], [Error, "ENOSPC", false]);
});

Deno.test("SharedMemory.open() refuses illegal names", () => {
  const open = SharedMemory.open as (name: unknown) => unknown;
  assertThrows(() => open(""), RangeError, "empty");
  assertThrows(() => open("a/b"), RangeError, 'holds a "/"');
  assertThrows(() => open(undefined), TypeError, "must be a string");
});

Deno.test("new SharedMemory() is not for callers", () => {
  const Untyped = SharedMemory as unknown as new (...args: unknown[]) => unknown;
  for (const args of [[], ["x", 8], [Symbol(), {}], [undefined, undefined]]) {
    assertThrows(
      () => new Untyped(...args),
      TypeError,
      "use SharedMemory.create(name, byteLength)",
    );
  }
});

Deno.test("SharedMemory has no own enumerable properties, and is read-only", () => {
  withNames((name) => {
    using memory = SharedMemory.create(name, 8);
    assertEquals(Reflect.ownKeys(memory), []);
    const loose = memory as unknown as Record<string, unknown>;
    for (const key of ["name", "size", "buf"]) assertThrows(() => loose[key] = 1, TypeError);
  });
});

Deno.test("Deno.inspect() of SharedMemory shows name, size and whether it is closed", () => {
  withNames((name) => {
    const memory = SharedMemory.create(name, 8);
    assertEquals(
      Deno.inspect(memory, { breakLength: Infinity }),
      `SharedMemory { name: "${name}", size: 8, closed: false }`,
    );
    memory.close();
    assertEquals(
      Deno.inspect(memory, { breakLength: Infinity }),
      `SharedMemory { name: "${name}", size: 8, closed: true }`,
    );
  });
});

Deno.test("SharedMemory and SharedMemoryArray attach to each other's segments", () => {
  withNames((name) => {
    using array = new SharedMemoryArray([2, 2], "int16", name);
    array.create().assign([[1, 2], [3, 4]]);
    using memory = SharedMemory.open(name);
    assertEquals(new Int16Array(memory.buf!), Int16Array.of(1, 2, 3, 4));
    assertEquals([array.smh!.name, array.smh!.size, array.smh!.buf !== memory.buf], [
      name,
      8,
      true,
    ]);
  });
});
