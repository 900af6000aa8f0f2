// The same things very often, very many, and by many at a time: nothing grows, nothing is lost.

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { evalChild, segmentExists, uniqueName } from "../helpers/helpers.ts";
import { isEmulated, scale } from "../helpers/scale.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

/** What a process holds. */
interface Holdings {
  files: number;
  mappings: number;
  segments: number;
  /** Resident memory in MiB. */
  resident: number;
}

const rounds = 100_000 * scale;

/**
 * By how many MiB resident memory may grow. An emulator grows by itself: qemu keeps the code that it has translated,
 * and some 70 bytes for each mapping that came and went, of a program without this library, too.
 */
const mostGrowth = isEmulated ? 12 + 50 * scale : 12;

/** How many descriptors this process has. */
function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test(`soak: ${rounds} rounds of create, load, wrap, close and unlink leave nothing`, async () => {
  // Taken out (closing the descriptor after mmap): EMFILE. Taken out (munmap in close()): V8 ends with
  // SIGTRAP when the 65,530 mappings that the system allows are used up. Taken out (unregistering from
  // the finalizer in close()): the next mapping at the same address is wiped out, and values are wrong.
  const samples = await evalChild(
    `
    const rounds = ${rounds};
    const prefix = "soak" + Deno.pid;
    const names = () => Array.from(Deno.readDirSync("/dev/shm"), ({ name }) => name);
    const holdings = () => {
      gc();
      return {
        files: [...Deno.readDirSync("/proc/self/fd")].length,
        mappings: Deno.readTextFileSync("/proc/self/maps").split("/dev/shm/").length - 1,
        segments: names().filter((name) => name.includes("-" + prefix + "-")).length,
        resident: Math.round(Deno.memoryUsage().rss / 2 ** 20),
      };
    };
    const sum = shmarrayWrap((array, { other }) => array.get(-1) + other.get(0));
    const samples = [];
    for (let round = 0; round <= rounds; round++) {
      // A fifth of the rounds is warm-up: the compiler and the heap find their size.
      if (round >= rounds / 5 && round % (rounds / 10) === 0) {
        // Give finalizers, which run as tasks, a chance.
        await new Promise((resolve) => setTimeout(resolve, 0));
        samples.push(holdings());
      }
      const name = SharedMemoryArray.buildSmaName(prefix);
      const mine = new SharedMemoryArray([64, 8], "float64", name);
      mine.create().set(63, 7, round);
      const [one, two] = [SharedMemoryArray.clone(mine), SharedMemoryArray.clone(mine)];
      one.load();
      using _ = two;
      two.load().set(0, 0, 1);
      if (one.array.get(0, 0) + two.array.get(-1, -1) !== round + 1) throw new Error("wrong value");
      const part = SharedMemoryArray.clone(mine, { arraySlice: [-1] });
      const first = SharedMemoryArray.clone(mine, { arraySlice: [0] });
      if (sum(part, { other: first }) !== round + 1) throw new Error("wrong sum");
      if (part.smh !== null || first.smh !== null) throw new Error("left open");
      one.close();
      mine.close();
      if (!mine.unlink()) throw new Error("no name");
    }
    console.log(JSON.stringify(samples));
    `,
    // A young generation of fixed size: otherwise V8 doubles it up to 64 MiB when it likes to.
    { v8Flags: ["--expose-gc", "--max-semi-space-size=2"] },
  ) as Holdings[];
  const of = (key: keyof Holdings): string => samples.map((sample) => sample[key]).join(" ");
  console.log(
    `${rounds} rounds, sampled ${samples.length} times after warm-up: ` +
      `files ${of("files")}; mappings ${of("mappings")}; segments ${of("segments")}; ` +
      `resident MiB ${of("resident")}`,
  );
  const [first] = samples;
  for (const { files, mappings, segments, resident } of samples) {
    assertEquals([mappings, segments], [0, 0]);
    // Deno opens a pair of sockets when it likes to; here 400,000 attachments have come and gone.
    assert(files <= first.files + 4, `descriptors grow: ${of("files")}`);
    // What they held, 4 kB each, would be more than a gigabyte.
    assert(resident <= first.resident + mostGrowth, `resident memory grows: ${of("resident")}`);
  }
});

Deno.test(`soak: ${rounds / 10} rounds of anonymous segments, views and copies leave nothing`, async () => {
  // Taken out (closing the handle, or the second descriptor of unlink()): EMFILE. Taken out (close() of
  // what a wrapper loaded for a descriptor): the mappings grow, and V8 ends with SIGTRAP.
  const samples = await evalChild(
    `
    const rounds = ${rounds / 10};
    const descriptors = () => Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => name);
    const holdings = () => {
      gc();
      return {
        files: descriptors().length,
        mappings: Deno.readTextFileSync("/proc/self/maps").split("/memfd:").length - 1,
        segments: 0,
        resident: Math.round(Deno.memoryUsage().rss / 2 ** 20),
      };
    };
    const sum = shmarrayWrap(([array, other]) => array.get(-1) + other.get(0));
    const samples = [];
    for (let round = 0; round <= rounds; round++) {
      if (round >= rounds / 5 && round % (rounds / 10) === 0) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        samples.push(holdings());
      }
      using mine = SharedMemoryArray.createAnonymous([64, 8], "float64");
      mine.array.set(63, 7, round);
      using copy = SharedMemoryArray.clone(mine);
      copy.load({ access: "copy-on-write" }).set(0, 0, 5);
      using part = SharedMemoryArray.from(mine.array.slice("::-1", "::-1"));
      if (part.load().get(0, 0) + copy.array.get(0, 0) !== round + 5) throw new Error("wrong value");
      const job = JSON.parse(JSON.stringify([part.array.slice(0, "::-1"), copy.array.slice(0)]));
      if (sum(job) !== round) throw new Error("wrong sum");
      if (!mine.unlink() || part.unlink()) throw new Error("not unlinked once");
      let gone = false;
      try { SharedMemoryArray.clone(mine).load() } catch ({ code }) { gone = code === "ENOENT" }
      if (!gone) throw new Error("still there");
    }
    console.log(JSON.stringify(samples));
    `,
    { v8Flags: ["--expose-gc", "--max-semi-space-size=2"] },
  ) as Holdings[];
  const of = (key: keyof Holdings): string => samples.map((sample) => sample[key]).join(" ");
  console.log(
    `${rounds / 10} rounds, sampled ${samples.length} times after warm-up: files ${of("files")}; ` +
      `mappings ${of("mappings")}; resident MiB ${of("resident")}`,
  );
  const [first] = samples;
  for (const { files, mappings, resident } of samples) {
    assertEquals(mappings, 0);
    assert(files <= first.files + 4, `descriptors grow: ${of("files")}`);
    assert(resident <= first.resident + mostGrowth, `resident memory grows: ${of("resident")}`);
  }
});

Deno.test("soak: 1,000 segments are held at once, each with its own values", () => {
  using register = new SharedMemoryRegister();
  const prefix = uniqueName();
  const files = openFiles();
  const arrays = Array.from({ length: 1000 }, (_, i) => {
    const name = SharedMemoryArray.buildSmaName(prefix);
    register.push(name);
    const sma = new SharedMemoryArray([1000], "uint32", name);
    sma.create().fill(i);
    return sma;
  });
  const readers = arrays.map((sma) => SharedMemoryArray.clone(sma));
  readers.forEach((reader, i) => assertEquals(reader.load().get(999), i));
  const listed = SharedMemoryArray.list().filter((segment) => segment.prefix === prefix);
  assertEquals(listed.length, 1000);
  assertEquals(listed.filter(({ pids }) => String(pids) !== String(Deno.pid)), []);
  // A mapping holds no descriptor.
  assertEquals(openFiles(), files);
  readers.forEach((reader) => reader.close());
  arrays.forEach((sma, i) => {
    assert(sma.array!.copy().every((value) => value === i));
    sma.close();
  });
  register[Symbol.dispose]();
  assertEquals(arrays.filter(({ name }) => segmentExists(name)), []);
});

/** How often each outcome occurred: "load: NotFound" and so on. */
type Outcomes = Record<string, number>;

/** What may come of each call when others create and remove the same names. */
const documented = [
  "create: ok",
  "create: AlreadyExists",
  "load: ok",
  "load: ok at the second look",
  "load: NotFound",
  "load: RangeError its size is 0 bytes; its creator gave up",
  "load: RangeError the segment has",
  "unlink: true",
  "unlink: false",
];

Deno.test("soak: 8 processes hammer 4 names, and every outcome is a documented one", async () => {
  // Taken out (waiting for the size in load()): a TypeError, "Invalid argument: mmap", where a segment
  // is met between its creation and its size. Taken out (comparing the size): "Invalid typed array
  // length", and the mapping stays.
  const names = Array.from({ length: 4 }, uniqueName);
  const seconds = 30 * scale;
  const code = `
    const [seed, seconds, ...names] = Deno.args;
    const id = Number(seed);
    const length = 1000 * id; // each has a size of its own: 8 kB to 64 kB
    const outcomes = {};
    const count = (outcome) => outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    const attempt = (what, call) => {
      try {
        count(what + ": " + call());
      } catch (error) {
        const known = /its size is 0 bytes; its creator gave up|the segment has/.exec(error.message);
        const code = error.code === undefined && known === null ? error.message : known?.[0];
        count([what + ":", error.constructor.name, code].filter(Boolean).join(" "));
      }
    };
    const oneOf = (list) => list[Math.floor(Math.random() * list.length)];
    /** Every element is 0 or the number of the one who created it: no other segment shows. */
    const check = (array) => {
      const look = () => {
        const values = new Set(array.copy());
        values.delete(0);
        return values.size > 1 || [...values].some((value) => !(value >= 1 && value <= 8))
          ? "read " + [...values]
          : null;
      };
      // Who reads while the creator fills may meet a page that the kernel has not quite cleared: about
      // once in 700,000 loads the last element of a page still was another segment's (Linux 6.18, in a
      // virtual machine), with the rest of the page 0. The mapping was the right one, a second look
      // showed the right values, and a C program that makes the same calls meets it as often. A mapping
      // of another segment would show its values again.
      if (look() === null) return "ok";
      const wrong = look();
      if (wrong !== null) throw new Error(wrong);
      return "ok at the second look";
    };
    const create = () => {
      using sma = new SharedMemoryArray([length], "float64", oneOf(names));
      const array = sma.create({ reserve: Math.random() < 0.8 });
      array.fill(id);
      return check(array);
    };
    // Each has a shape of its own, so a segment that another one made is not loaded as it is, mostly.
    const load = () => {
      using sma = new SharedMemoryArray([length], "float64", oneOf(names));
      const array = sma.load({ reinterpret: Math.random() < 0.5 });
      if (Math.random() < 0.5) SharedMemoryArray.clearBuffers([sma.name]);
      return check(array);
    };
    const unlink = () => new SharedMemoryArray(1, "int8", oneOf(names)).unlink();
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      attempt("create", create);
      attempt("load", load);
      attempt("load", load);
      if (Math.random() < 0.3) attempt("unlink", unlink);
    }
    console.log(JSON.stringify(outcomes));
  `;
  const all = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      evalChild(code, {
        args: [String(i + 1), String(seconds), ...names],
        permissions: ["--allow-ffi"],
      }) as Promise<Outcomes>),
  ).finally(() => SharedMemoryArray.clearBuffers(names));
  const sums: Outcomes = {};
  for (const outcomes of all) {
    for (const [outcome, times] of Object.entries(outcomes)) {
      sums[outcome] = (sums[outcome] ?? 0) + times;
    }
  }
  console.log(`8 processes, 4 names, ${seconds} s:`, sums);
  assertEquals(Object.keys(sums).filter((outcome) => !documented.includes(outcome)), []);
  // Printed above and bounded here: one is the kernel's, many would be ours.
  const secondLooks = sums["load: ok at the second look"] ?? 0;
  assert(secondLooks <= 5 * scale, `${secondLooks} loads showed foreign values at first`);
  for (const outcome of ["create: ok", "create: AlreadyExists", "load: ok", "load: NotFound"]) {
    assert(sums[outcome] > 100, `${outcome} occurred ${sums[outcome]} times`);
  }
});

Deno.test("soak: errors keep their code while V8 compiles and collects at the same time", async () => {
  // errno belongs to the thread, and between a call and the reading of it V8 may wait for one of its
  // own threads: a futex that answers EAGAIN then overwrites ENOENT. That happens about once in a
  // million calls; these flags make it frequent. What is seen: load() of a missing name gives
  // WouldBlock, and unlink() of one throws where it should answer false.
  const code = `
    const end = performance.now() + Number(Deno.args[0]) * 1000;
    const wrong = {};
    let calls = 0;
    const attempt = (call) => {
      calls++;
      try {
        return call();
      } catch (error) {
        return error.code ?? error.errors.map(({ code }) => code).join();
      }
    };
    const expect = (outcome, expected) => {
      if (outcome !== expected) wrong[outcome] = (wrong[outcome] ?? 0) + 1;
    };
    const name = "missing-" + crypto.randomUUID();
    const sma = new SharedMemoryArray(1, "int8", name);
    while (performance.now() < end) {
      for (let i = 0; i < 100; i++) {
        expect(attempt(() => sma.load()), "ENOENT");
        expect(attempt(() => sma.unlink()), false);
        expect(attempt(() => SharedMemoryArray.clearBuffers([name]).length), 0);
      }
    }
    console.log(JSON.stringify({ calls, wrong }));
  `;
  const runs = await Promise.all([1, 2, 3].map(() =>
    evalChild(code, {
      args: [String(6 * scale)],
      permissions: ["--allow-ffi"],
      v8Flags: ["--stress-concurrent-inlining", "--deopt-every-n-times=50"],
    }) as Promise<{ calls: number; wrong: Record<string, number> }>
  ));
  console.log(`${runs.reduce((sum, { calls }) => sum + calls, 0)} failing calls under stress`);
  for (const { wrong } of runs) assertEquals(wrong, {});
});
