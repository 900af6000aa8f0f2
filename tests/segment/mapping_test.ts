import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "../../mod.ts";
import { changedCopy, never } from "../helpers/changed_copy.ts";
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

// --- Buffers that were moved away ------------------------------------------------------------
//
// What is wrong here ends the process; so each of these is one of its own.

const moves: { [how: string]: string } = {
  "buffer.transfer()": "return buffer.transfer();",
  "buffer.transferToFixedLength()": "return buffer.transferToFixedLength();",
  "structuredClone()": "return structuredClone(buffer, { transfer: [buffer] });",
  "postMessage()": `
    const { port1, port2 } = new MessageChannel();
    const arrived = new Promise((resolve) => port2.onmessage = ({ data }) => resolve(data));
    port1.postMessage(buffer, [buffer]);
    const moved = await arrived;
    port1.close();
    return moved;`,
};
for (const [how, body] of Object.entries(moves)) {
  Deno.test(`close() after ${how} neither crashes nor shares any more`, () =>
    withNames(async (name) => {
      const result = await evalChild(
        `
        async function move(buffer) { ${body} }
        const mine = new SharedMemoryArray(100_000, "uint8", Deno.args[0]);
        mine.create().fill(7);
        using theirs = SharedMemoryArray.clone(mine);
        theirs.load();
        const array = mine.array;
        const moved = new Uint8Array(await move(mine.smh.buf));
        const before = [moved.length, moved[0], array.data.length];
        let gone;
        try { array.get(0); } catch (error) { gone = error.name; }
        const attached = mine.smh !== null;
        mine.close();
        mine.close();
        // Readable and writable, but without a way to the shared bytes.
        moved[5] = 99;
        const after = [moved.length, moved[5], moved[99_999]];
        theirs.array.set(6, 42);
        const maps = Deno.readTextFileSync("/proc/self/maps").split(Deno.args[0]).length - 1;
        console.log(JSON.stringify({
          before, gone, after, attached, maps, theirs: [theirs.array.get(5), moved[6] !== 42],
        }));`,
        { args: [name] },
      );
      assertEquals(result, {
        before: [100_000, 7, 0],
        gone: "BadResource",
        attached: true,
        after: [100_000, 99, 0],
        maps: 1,
        theirs: [7, true],
      });
    }));
}

Deno.test("close() after a move to a worker neither crashes nor shares any more", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `
      const worker = new Worker(
        "data:application/javascript," + encodeURIComponent(\`
          let bytes;
          onmessage = ({ data }) => {
            bytes ??= new Uint8Array(data);
            const first = bytes[0];
            // Only after close(): before it, the store would reach the segment.
            if (data === null) bytes[0] = 99;
            postMessage([bytes.length, first, bytes[0], bytes[9_999]]);
          };\`),
        { type: "module" },
      );
      const ask = (...message) => new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage(...message);
      });
      const mine = new SharedMemoryArray(10_000, "uint8", Deno.args[0]);
      mine.create().fill(7);
      using theirs = SharedMemoryArray.clone(mine);
      theirs.load();
      const buffer = mine.smh.buf;
      const first = await ask(buffer, [buffer]);
      mine.close();
      theirs.array.set(0, 1);
      const second = await ask(null);
      console.log(JSON.stringify({ first, second, shared: theirs.array.get(0) }));
      worker.terminate();`,
      { args: [name] },
    );
    assertEquals(result, {
      first: [10_000, 7, 7, 7],
      second: [10_000, 0, 99, 0],
      shared: 1,
    });
  }));

Deno.test("SharedMemory.close() serves a moved buffer, too", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `
      const memory = SharedMemory.create(Deno.args[0], 4096);
      new Uint8Array(memory.buf)[0] = 7;
      const moved = new Uint8Array(memory.buf.transfer());
      memory.close();
      moved[1] = 5;
      console.log(JSON.stringify([moved[0], moved[1], memory.buf]));`,
      { args: [name] },
    );
    assertEquals(result, [0, 5, null]);
  }));

// --- The finalizer ---------------------------------------------------------------------------

/** What the children below need: mappings of the segment, and garbage collection until a condition. */
const collecting = `
  const [name] = Deno.args;
  const maps = () => Deno.readTextFileSync("/proc/self/maps").split("/dev/shm/" + name).length - 1;
  async function collect(until = () => false, rounds = 100) {
    for (let i = 0; i < rounds && !until(); i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
`;
const gc = { v8Flags: ["--expose-gc"] };

Deno.test("finalizer: a typed array that outlives its owner keeps the mapping, then it is given up", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${collecting}
      using other = new SharedMemoryArray(1000, "float64", name);
      other.create();
      const held = (() => {
        const sma = SharedMemoryArray.clone(other);
        return { data: sma.load().data };
      })();
      await collect(undefined, 10);
      const kept = maps();
      held.data[3] = 7;
      const shared = other.array.get(3);
      held.data = null;
      await collect(() => maps() === 1);
      console.log(JSON.stringify({ kept, shared, left: maps(), other: other.array.get(3) }));`,
      { ...gc, args: [name] },
    );
    assertEquals(result, { kept: 2, shared: 7, left: 1, other: 7 });
  }));

Deno.test("finalizer: a view alone keeps the mapping", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${collecting}
      const held = (() => {
        const sma = new SharedMemoryArray([10, 10], "int32", name);
        return { row: sma.create().fill(5).slice(3) };
      })();
      await collect(undefined, 10);
      const kept = [maps(), held.row.get(-1)];
      held.row = null;
      await collect(() => maps() === 0);
      console.log(JSON.stringify({ kept, left: maps() }));`,
      { ...gc, args: [name] },
    );
    assertEquals(result, { kept: [1, 5], left: 0 });
  }));

Deno.test("finalizer: the memory of a removed segment is free again", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${collecting}
      const shared = () => Number(/^RssShmem:\\s+(\\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))[1]);
      const before = shared();
      (() => {
        const sma = new SharedMemoryArray(2 ** 24, "uint8", name);
        sma.create().fill(1);
        sma.unlink();
      })();
      const used = shared() - before;
      await collect(() => maps() === 0);
      console.log(JSON.stringify([used, maps(), shared() - before]));`,
      { ...gc, args: [name] },
    ) as number[];
    assertGreater(result[0], 15_000);
    assertEquals(result[1], 0);
    assertLess(result[2], 1_000);
  }));

Deno.test("finalizer: a moved buffer stays readable after its array is garbage", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${collecting}
      const moved = (() => {
        const sma = new SharedMemoryArray(100_000, "uint8", name);
        sma.create().fill(7);
        return new Uint8Array(sma.smh.buf.transfer());
      })();
      await collect(() => maps() === 0);
      moved[1] = 5;
      const sum = moved.reduce((a, b) => a + b);
      using again = new SharedMemoryArray(100_000, "uint8", name);
      console.log(JSON.stringify([maps(), moved.length, sum, again.load().get(1)]));`,
      { ...gc, args: [name] },
    );
    assertEquals(result, [0, 100_000, 5, 7]);
  }));

Deno.test("finalizer: none for a closed array, whose addresses may be another's", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${collecting}
      const make = () => {
        const sma = new SharedMemoryArray(50_000, "uint8", name);
        sma.create().fill(9);
        sma.unlink();
        return sma;
      };
      for (let i = 0; i < 200; i++) make().close();
      const live = Array.from({ length: 5 }, make);
      await collect(undefined, 20);
      console.log(JSON.stringify(live.map((sma) => sma.array.data.every((byte) => byte === 9))));`,
      { ...gc, args: [name] },
    );
    assertEquals(result, [true, true, true, true, true]);
  }));

// --- Creation --------------------------------------------------------------------------------

Deno.test("create() of more than /dev/shm holds is ENOSPC, and leaves nothing", () => {
  const name = uniqueName();
  const sma = new SharedMemoryArray([2 ** 30, 2 ** 20], "uint8", name);
  const error = errorOf(() => sma.create());
  assertEquals([error.constructor, error.code], [Error, "ENOSPC"]);
  assertMatch(
    error.message,
    new RegExp(`^No space left on device \\(os error 28\\): posix_fallocate '${name}'`),
  );
  assertStringIncludes(error.message, "1125899906842624 bytes do not fit into /dev/shm");
  assertFalse(segmentExists(name));
  assertEquals([sma.smh, sma.array, mappingsOf(name)], [null, null, 0]);
  assertEquals(descriptorsOf(name), 0);
});

Deno.test("create() undoes a creation whose mmap fails", () => {
  const name = uniqueName();
  const sma = new SharedMemoryArray(2 ** 50, "uint8", name);
  const error = errorOf(() => sma.create({ reserve: false }));
  assertEquals([error.constructor, error.code], [Error, "ENOMEM"]);
  assertEquals(error.message, `Cannot allocate memory (os error 12): mmap '${name}'`);
  assertFalse(segmentExists(name));
  assertEquals([sma.smh, descriptorsOf(name)], [null, 0]);
});

Deno.test("create() and load() without a descriptor left are EMFILE, and leave nothing", () =>
  withNames(async (name, other) => {
    using mine = new SharedMemoryArray(4, "uint8", other);
    mine.create();
    const result = await evalChild(
      `
      const [name, other] = Deno.args;
      // The library is opened before the descriptors run out.
      try { SharedMemory.open("no-such-" + name); } catch { /* as it should */ }
      const files = [];
      try {
        while (true) files.push(Deno.openSync("/dev/null"));
      } catch { /* that was the last one */ }
      const codes = [() => SharedMemory.create(name, 8), () => SharedMemory.open(other)].map((fn) => {
        try { fn(); return "none"; } catch (error) { return [error.name, error.code]; }
      });
      files.forEach((file) => file.close());
      console.log(JSON.stringify(codes));`,
      { args: [name, other], before: "ulimit -n 60" },
    );
    assertEquals(result, [["Error", "EMFILE"], ["Error", "EMFILE"]]);
    assertEquals([segmentExists(name), segmentExists(other)], [false, true]);
  }));

Deno.test("create() reserves all of it, { reserve: false } nothing", () => {
  withNames((full, sparse) => {
    using one = new SharedMemoryArray(2 ** 20, "uint8", full);
    one.create();
    using two = new SharedMemoryArray(2 ** 20, "uint8", sparse);
    two.create({ reserve: false });
    const [a, b] = [full, sparse].map((name) => Deno.statSync(segmentPath(name)));
    assertEquals([a.size, b.size], [2 ** 20, 2 ** 20]);
    assertEquals([a.blocks! * 512, b.blocks], [2 ** 20, 0]);
    assertEquals([two.array!.get(-1), two.array!.toArray().length], [0, 2 ** 20]);
    two.array!.set(2 ** 19, 1);
    assertEquals(two.array!.get(2 ** 19), 1);
  });
});

Deno.test("create() sets the mode exactly, 0600 by default", () => {
  for (const mode of [undefined, 0o600, 0o666, 0o777, 0o640, 0o400, 0]) {
    withNames((name) => {
      using sma = new SharedMemoryArray(4, "uint8", name);
      sma.create({ mode }).set(0, 1);
      assertEquals(Deno.statSync(segmentPath(name)).mode! & 0o7777, mode ?? 0o600);
    });
  }
});

// --- Attaching -------------------------------------------------------------------------------

/** A copy of the sources that waits ten minutes for a size: what does not wait so long has another reason to end. */
async function withPatience(): Promise<
  AsyncDisposable & {
    readonly SharedMemory: typeof SharedMemory;
    readonly SharedMemoryArray: typeof SharedMemoryArray;
  }
> {
  const copy = await changedCopy([never("src/segment/mapping.ts", "SIZE_TIMEOUT", 1000)]);
  const { SharedMemory, SharedMemoryArray } = await import(copy.url("mod.ts"));
  return {
    SharedMemory,
    SharedMemoryArray,
    [Symbol.asyncDispose]: () => copy[Symbol.asyncDispose](),
  };
}

Deno.test("load() refuses a segment that is too small, and names both sizes", () => {
  withNames((name) => {
    using memory = SharedMemory.create(name, 47);
    const sma = new SharedMemoryArray([2, 3], "float64", name);
    const error = assertThrows(() => sma.load(), RangeError, `Cannot load '${name}'`);
    assertStringIncludes(error.message, "47 bytes");
    assertStringIncludes(error.message, "[2, 3] of float64 needs 48");
    assertEquals([sma.smh, sma.array, mappingsOf(name)], [null, null, 1]);
    // An attach never removes anything, least of all by failing.
    assert(segmentExists(name));
    assertEquals(memory.size, 47);
    assertEquals(descriptorsOf(name), 0);
  });
});

Deno.test("load() takes a segment that is larger, and the first bytes of it", () => {
  withNames((name) => {
    using memory = SharedMemory.create(name, 16384);
    new Float64Array(memory.buf!).set([1, 2, 3]);
    using sma = new SharedMemoryArray(2, "float64", name);
    assertEquals(sma.load().toArray(), [1, 2]);
    assertEquals([sma.array!.data.length, sma.smh!.size], [2, 16384]);
  });
});

Deno.test("load() waits for a creator that has not set the size yet", () =>
  withNames(async (name) => {
    // It takes its time to be made and loaded, so it is there before the creator begins.
    await using patient = await withPatience();
    Deno.writeFileSync(segmentPath(name), new Uint8Array(0));
    const creator = new Deno.Command("sh", {
      args: ["-c", 'sleep 0.1; truncate -s 64 "$1"', "sh", segmentPath(name)],
    }).spawn();
    using sma = new patient.SharedMemoryArray(64, "uint8", name);
    const array = sma.load();
    assertEquals([array.size, array.get(63)], [64, 0]);
    assert((await creator.status).success);
  }));

Deno.test("load() of a segment that never gets a size ends in bounded time", () => {
  withNames((name) => {
    Deno.writeFileSync(segmentPath(name), new Uint8Array(0));
    const sma = new SharedMemoryArray(4, "uint8", name);
    const error = assertThrows(() => sma.load(), RangeError, `Cannot attach to '${name}'`);
    assertStringIncludes(error.message, "its size is 0 bytes");
    assert(segmentExists(name));
    assertEquals([sma.smh, descriptorsOf(name)], [null, 0]);
  });
});

Deno.test("load() with a time limit waits as long for the size, too", () =>
  withNames(async (name) => {
    Deno.writeFileSync(segmentPath(name), new Uint8Array(0));
    const creator = new Deno.Command("sh", {
      args: ["-c", 'sleep 1.5; truncate --size 64 "$1"', "sh", segmentPath(name)],
    }).spawn();
    using memory = SharedMemory.open(name, { timeout: 60_000 });
    assertEquals(memory.size, 64);
    assert((await creator.status).success);
  }));

Deno.test("load() stops waiting when the creator has given up", () =>
  withNames(async (name) => {
    await using patient = await withPatience();
    Deno.writeFileSync(segmentPath(name), new Uint8Array(0));
    const creator = new Deno.Command("sh", {
      args: ["-c", 'sleep 0.1; rm "$1"', "sh", segmentPath(name)],
    }).spawn();
    assertThrows(
      () => patient.SharedMemory.open(name),
      RangeError,
      "its creator gave up and removed it",
    );
    await creator.status;
  }));

Deno.test("load() refuses what is no segment", () => {
  withNames((directory, fifo) => {
    Deno.mkdirSync(segmentPath(directory));
    assert(errorOf(() => SharedMemory.open(directory)));
    new Deno.Command("mkfifo", { args: [segmentPath(fifo)] }).outputSync();
    const error = errorOf(() => SharedMemory.open(fifo));
    assertInstanceOf(error, Deno.errors.InvalidData);
    assertEquals(error.message, `Cannot attach to '${fifo}': it is no shared memory segment`);
    assert(segmentExists(fifo));
  });
});

// --- Nothing is left behind ------------------------------------------------------------------

Deno.test("create() and load() close the file descriptor at once", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray(4, "uint8", name);
    mine.create();
    using theirs = SharedMemoryArray.clone(mine);
    theirs.load();
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 2]);
  });
});

Deno.test("10,000 rounds of create, load, close, unlink leave nothing behind", () => {
  withNames((name) => {
    const mapped = (): number => Deno.readTextFileSync("/proc/self/maps").split("\n").length;
    const round = (i: number): void => {
      const mine = new SharedMemoryArray([8, 8], "float32", name);
      mine.create().set(0, 0, i);
      const theirs = SharedMemoryArray.clone(mine);
      if (theirs.load().get(0, 0) !== Math.fround(i)) throw new Error(`round ${i}`);
      mine.close();
      theirs.close();
      if (!mine.unlink()) throw new Error(`round ${i}`);
    };
    for (let i = 0; i < 100; i++) round(i);
    const before = mapped();
    for (let i = 0; i < 10_000; i++) round(i);
    assertFalse(segmentExists(name));
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 0]);
    // V8 maps and unmaps its own heap meanwhile; a leak of whatever kind would be thousands.
    assertLess(mapped() - before, 2000);
  });
});

Deno.test("1,000 failing attempts leave nothing behind", () => {
  withNames((name) => {
    using mine = new SharedMemoryArray(4, "uint8", name);
    mine.create();
    const tooLarge = new SharedMemoryArray(5, "uint8", name);
    for (let i = 0; i < 1000; i++) {
      errorOf(() => tooLarge.load());
      errorOf(() => tooLarge.create());
    }
    assertEquals([descriptorsOf(name), mappingsOf(name)], [0, 1]);
  });
});
