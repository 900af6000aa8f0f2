import { checkDeno, endsListeners } from "../../ffi/runtime/deno.ts";
import {
  assertEquals,
  assertLessOrEqual,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  nameMaxAnywhere,
  nameMaxOf,
  nameMaxWith,
  platform,
  platformOf,
} from "../../ffi/platform.ts";
import * as groups from "../../ffi/symbols.ts";
import {
  evalChild,
  segmentExists,
  segmentPath,
  withFolder,
  withNames,
} from "../helpers/helpers.ts";
import { testWith } from "../helpers/test_with.ts";

const systems = [
  ["linux", "x86_64"],
  ["linux", "aarch64"],
  ["darwin", "x86_64"],
  ["darwin", "aarch64"],
] as const;

for (const [os, arch] of systems) {
  Deno.test(`platformOf() describes ${os} ${arch}`, () => {
    const platform = platformOf(os, arch);
    assertEquals(platform.os, os);
    const isLinux = os === "linux";
    // Facts from the systems' headers.
    assertEquals(nameMaxOf(os), isLinux ? 255 : 30);
    assertEquals(platform.directory, isLinux ? "/dev/shm" : null);
    assertEquals(platform.errnoLocation, isLinux ? "__errno_location" : "__error");
    assertEquals(platform.variadicOnStack, os === "darwin" && arch === "aarch64");
    assertEquals(platform.fstat, os === "darwin" && arch === "x86_64" ? "fstat$INODE64" : "fstat");
    const { O_CREAT, O_EXCL, O_RDWR, MAP_ANONYMOUS, MAP_FIXED, MAP_SHARED } = platform.flags;
    assertEquals(
      [O_RDWR, O_CREAT, O_EXCL, MAP_SHARED, MAP_FIXED, MAP_ANONYMOUS],
      isLinux ? [2, 0o100, 0o200, 1, 0x10, 0x20] : [2, 0x200, 0x800, 1, 0x10, 0x1000],
    );
    assertEquals(platform.flags.O_NONBLOCK, isLinux ? 0o4000 : 4);
    // Only Linux has memory without a name.
    assertEquals(platform.memfd?.O_PATH, isLinux ? 0o10000000 : undefined);
    const { device, inode, mode, links, size } = platform.stat;
    const widths = isLinux ? [8, 8, 4, arch === "x86_64" ? 8 : 4, 8] : [4, 8, 2, 2, 8];
    const fields = [device, inode, mode, links.at, size].map((at, i) => [at, at + widths[i]]);
    const ordered = fields.toSorted(([a], [b]) => a - b);
    // No field lies in another one, and all lie in the struct.
    for (let i = 1; i < ordered.length; i++) assertLessOrEqual(ordered[i - 1][1], ordered[i][0]);
    assertLessOrEqual(ordered.at(-1)![1], os === "linux" && arch === "aarch64" ? 128 : 144);
    assertEquals(links.narrow, !isLinux);
    const { SIGINT, SIGTERM, SIGUSR1, SIGKILL, SIGSTOP } = platform.signals;
    assertEquals([SIGINT, SIGTERM, SIGUSR1], [2, 15, isLinux ? 10 : 30]);
    assertEquals([SIGKILL, SIGSTOP], [undefined, undefined]);
    // macOS has the library in a cache and not in a folder: only the full path is looked for there.
    assertEquals(
      platform.libraries,
      isLinux ? ["libc.so.6", "librt.so.1"] : ["/usr/lib/libSystem.B.dylib"],
    );
    const { fchmod, mapsBeyondEnd, takesAddressHint, countsNames, numbersSegments } = platform;
    assertEquals(
      [fchmod, mapsBeyondEnd, takesAddressHint, countsNames, numbersSegments],
      Array(5).fill(isLinux),
    );
    assertEquals([platform.memfd === null, platform.flags.O_TMPFILE === 0], [!isLinux, !isLinux]);
  });
}

for (const [os, arch] of [["windows", "x86_64"], ["freebsd", "x86_64"], ["linux", "riscv64"]]) {
  Deno.test(`platformOf() of ${os} ${arch} names what is supported`, () => {
    const error = assertThrows(() => platformOf(os, arch), Deno.errors.NotSupported);
    assertMatch(error.message, new RegExp(`^Cannot share memory on ${os} ${arch}: `));
    for (const [os, arch] of systems) assertStringIncludes(error.message, `${os} ${arch}`);
  });
}

Deno.test("nameMaxOf() serves systems that are not supported, too", () => {
  // There, names can be described, and the first use of one says what is missing.
  assertEquals([nameMaxOf("windows"), nameMaxOf("freebsd")], [255, 255]);
});

Deno.test("nameMaxWith() knows that glibc before 2.34 takes two bytes less", () => {
  for (const old of ["2.27", "2.31", "2.33.9000"]) assertEquals(nameMaxWith("linux", old), 253);
  for (const other of ["2.34", "2.41", "3.0", null]) assertEquals(nameMaxWith("linux", other), 255);
  assertEquals(nameMaxWith("darwin", null), 30);
  for (const os of ["linux", "darwin", "windows"]) {
    assertLessOrEqual(nameMaxAnywhere(os), nameMaxWith(os, os === "linux" ? "2.27" : null));
  }
});

Deno.test("platformOf() is not fooled by names that every object has", () => {
  assertThrows(() => platformOf("__proto__", ""), Deno.errors.NotSupported);
});

Deno.test("checkDeno() refuses what is older than 2.2, and says what to do", () => {
  for (const version of ["1.46.3", "2.0.0", "2.1.14"]) {
    assertThrows(
      () => checkDeno(version),
      Deno.errors.NotSupported,
      `Cannot share memory: this is Deno ${version}, and 2.2 or newer is needed`,
    );
  }
  for (const version of ["2.2.0", "2.9.6", "2.10.0", "3.0.0"]) checkDeno(version);
});

Deno.test("endsListeners() tells the versions of Deno before 2.4.2", () => {
  for (const version of ["2.2.0", "2.3.7", "2.4.1"]) assertEquals(endsListeners(version), true);
  for (const version of ["2.4.2", "2.4.2+abc", "2.10.0", "3.0.0"]) {
    assertEquals(endsListeners(version), false);
  }
});

Deno.test("platform() describes the system that the tests run on", () => {
  assertStrictEquals(platform(), platform());
  assertStrictEquals(platform(), platformOf(Deno.build.os, Deno.build.arch));
});

// --- The paths of macOS ------------------------------------------------------------------------

// Where no Mac is, its facts are given to this system. What belongs to the C library that really serves stays
// Linux's: names and numbers of its calls, and the layout of `struct stat`.

/** Has a child take itself for running on macOS. */
const asOnMacOS = `
  const [name] = Deno.args;
  const load = (file) => import(${
  JSON.stringify(new URL("../../ffi/", import.meta.url).href)
} + file);
  const { platform, platformOf } = await load("platform.ts");
  const { libc } = await load("library.ts");
  const ours = { ...platform() };
  // All code asks this one object.
  const pretend = (other) => void Object.assign(platform(), other);
  const mac = platformOf("darwin", "aarch64");
  const { os, libraries, errnoLocation, fstat, fxstatVersion, variadicOnStack, stat, signals } = ours;
  const pretended = {
    ...mac, os, libraries, errnoLocation, fstat, fxstatVersion, variadicOnStack, stat, signals,
    flags: { ...ours.flags, O_TMPFILE: mac.flags.O_TMPFILE },
  };
  pretend(pretended);
  // Puts other functions in the place of those of C.
  const lib = libc();
  const replace = (fakes) => { lib.symbols = { __proto__: lib.symbols, ...fakes }; };
  replace({ posix_fallocate: null }); // XNU has none
  const exists = () => { try { Deno.lstatSync("/dev/shm/" + name); return true; } catch { return false; } };
  const maps = () => Deno.readTextFileSync("/proc/self/maps").split("/dev/shm/" + name).length - 1;
  const fds = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const told = (fn) => {
    try { fn(); return "none"; } catch (error) { return error.code ?? error.name; }
  };
`;

testWith(
  ["Linux", "room"],
  "macOS: create(), load(), close() and unlink() work",
  () =>
    withNames(async (name) => {
      const result = await evalChild(
        `${asOnMacOS}
      const results = [];
      for (const length of [3, 2 ** 20, 2 ** 25]) {
        using sma = new SharedMemoryArray(length, "float32", name);
        sma.create().fill(2);
        const again = told(() => SharedMemory.create(name, 8));
        using other = SharedMemoryArray.clone(sma);
        other.load().set(-1, 3);
        // Overlap is judged by name where segments have no number.
        sma.array.slice("1:").assign(other.array.slice(":-1"));
        results.push([again, sma.array.get(-1), sma.array.get(0), maps(), sma.unlink(), sma.unlink()]);
      }
      console.log(JSON.stringify([...results, maps()]));`,
        { args: [name] },
      );
      const one = ["EEXIST", 2, 2, 2, true, false];
      assertEquals(result, [one, one, one, 0]);
    }),
);

testWith("Linux", "macOS: what it has not is NotSupported", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${asOnMacOS}
      console.log(JSON.stringify([
        told(() => SharedMemoryArray.createAnonymous(3, "int8")),
        told(() => SharedMemoryArray.list()),
        told(() => SharedMemoryArray.prune()),
      ]));`,
      { args: [name] },
    );
    assertEquals(result, Array(3).fill("ENOTSUP"));
  }));

/**
 * What a child in macOS's place says of a segment that it found without a size, while one of its Workers does
 * something, and how long it took.
 */
async function loadEmpty(name: string, meanwhile: string): Promise<[string, number]> {
  Deno.writeFileSync(segmentPath(name), new Uint8Array(0), { mode: 0o600 });
  const worker = `self.onmessage = ({ data: turn }) => {
    self.postMessage("ready");
    Atomics.wait(turn, 0, 0);
    Atomics.wait(turn, 0, 1, 100);
    ${meanwhile};
  };`;
  return await evalChild(
    `${asOnMacOS}
    const worker = new Worker(${
      JSON.stringify(`data:text/javascript,${encodeURIComponent(worker)}`)
    }, {
      type: "module",
    });
    const turn = new Int32Array(new SharedArrayBuffer(4));
    worker.postMessage(turn);
    await new Promise((resolve) => worker.onmessage = resolve);
    Atomics.store(turn, 0, 1);
    Atomics.notify(turn, 0);
    const start = performance.now();
    let what;
    try { what = "size " + SharedMemory.open(name).size; }
    catch (error) { what = error.name + ": " + error.message; }
    console.log(JSON.stringify([what, performance.now() - start]));
    worker.terminate();`,
    { args: [name] },
  ) as [string, number];
}

testWith(
  "Linux",
  "macOS: load() waits for a creator that has not set the size yet",
  () =>
    withNames(async (name) => {
      const path = JSON.stringify(segmentPath(name));
      // The Worker may be stopped for as long as load() waits, a second.
      for (let tries = 1;; tries++) {
        const [what, time] = await loadEmpty(name, `Deno.truncateSync(${path}, 4096)`);
        if (tries < 10 && what !== "size 4096" && time >= 900) continue;
        assertEquals(what, "size 4096");
        break;
      }
    }),
);

testWith(
  "Linux",
  "macOS: load() of a segment that stays empty waits its time, and says so",
  () =>
    withNames(async (name) => {
      // Whether it has a name still is not told there: one without is waited for as long.
      for (const meanwhile of ["", `Deno.removeSync(${JSON.stringify(segmentPath(name))})`]) {
        const [what, waited] = await loadEmpty(name, meanwhile);
        assertEquals(
          what,
          `RangeError: Cannot attach to '${name}': its size is 0 bytes; its creator has not set one`,
        );
        assertLessOrEqual(900, waited);
      }
    }),
);

testWith(
  "Linux",
  "macOS: create() that fails removes its name, wherever it fails",
  () =>
    withNames(async (name) => {
      const result = await evalChild(
        `${asOnMacOS}
      SharedMemory.create(name, 8).unlink();
      const real = lib.symbols;
      const before = fds();
      const results = [];
      const failing = (fakes, fn) => {
        replace(fakes);
        const what = told(fn);
        lib.symbols = real;
        results.push([what, exists(), fds() - before]);
      };
      const create = () => SharedMemory.create(name, 4096);
      // Its errno is what the last call left; so a call that really fails stands for each.
      failing({ ftruncate: () => real.ftruncate(-1, 0n) }, create);
      failing({ mmap: () => real.mmap(null, 4096n, 3, 1, -1, 0n) }, create);
      failing({}, () => SharedMemory.create(name, 2 ** 53 - 1)); // no address space
      const { getArrayBuffer } = Deno.UnsafePointerView;
      const refuse = () => { throw new RangeError("no buffer"); };
      Deno.UnsafePointerView.getArrayBuffer = refuse;
      failing({}, create);
      Deno.UnsafePointerView.getArrayBuffer = (pointer) => getArrayBuffer(pointer, 8);
      failing({}, () => new SharedMemoryArray(512, "float64", name).create());
      Deno.UnsafePointerView.getArrayBuffer = getArrayBuffer;
      console.log(JSON.stringify([results, maps()]));`,
        { args: [name] },
      );
      const left = [false, 0];
      const codes = ["EBADF", "EBADF", "ENOMEM", "RangeError", "RangeError"];
      assertEquals(result, [codes.map((code) => [code, ...left]), 1]);
      assertEquals(segmentExists(name), false);
    }),
);

Deno.test("the umask is never lifted: no call for it is bound", () => {
  for (const [os, arch] of systems) {
    const platform = platformOf(os, arch);
    const declarations: [string, { readonly name?: unknown }][] = Object.values(groups)
      .flatMap((declare) => Object.entries<object>(declare(platform)));
    const names = declarations.map(([key, { name = key }]) => String(name));
    assertEquals(names.filter((name) => /umask|sigaction|signal$/.test(name)), []);
  }
});

testWith(
  "Linux",
  "macOS: files that a Worker makes during create() keep the umask",
  () =>
    withFolder((folder) =>
      withNames(async (name) => {
        const result = await evalChild(
          `${asOnMacOS}
        const text = \`
          onmessage = ({ data: folder }) => {
            const modes = new Set();
            for (let i = 0; i < 500; i++) {
              const path = folder + "/" + crypto.randomUUID();
              Deno.writeTextFileSync(path, "");
              modes.add(Deno.statSync(path).mode & 0o777);
            }
            postMessage([...modes].sort());
          };\`;
        const url = "data:application/javascript," + encodeURIComponent(text);
        const worker = new Worker(url, { type: "module" });
        const modesDuring = async (create) => {
          let modes = null;
          worker.onmessage = ({ data }) => modes = data;
          worker.postMessage(Deno.args[1]);
          while (modes === null) {
            for (let i = 0; i < 10; i++) create();
            await new Promise((resume) => setTimeout(resume, 0));
          }
          return modes;
        };
        const create = () => {
          using memory = SharedMemory.create(name, 8, { mode: 0o666 });
          memory.unlink();
        };
        const results = [await modesDuring(create)];
        // The control: a thread that lifts the umask does so for all of them.
        const { shm_open } = lib.symbols;
        replace({ shm_open: (...args) => {
          const before = Deno.umask(0);
          const until = performance.now() + 1;
          while (performance.now() < until);
          const fd = shm_open(...args);
          Deno.umask(before);
          return fd;
        } });
        // Where this thread is stopped meanwhile, the Worker meets it in vain.
        let isFound = false;
        for (let tries = 0; !isFound && tries < 100; tries++) {
          isFound = (await modesDuring(create)).includes(0o666);
        }
        results.push(isFound);
        worker.terminate();
        console.log(JSON.stringify(results));`,
          { args: [name, folder], before: "umask 077" },
        );
        assertEquals(result, [[0o600], true]);
      })
    ),
);

testWith(
  "Linux",
  "macOS: huge and large mappings are mapped as they are, with no hint",
  () =>
    withNames(async (name) => {
      const result = await evalChild(
        `${asOnMacOS}
      const { mmap } = lib.symbols;
      const seen = [];
      replace({ mmap: (at, length, ...rest) => {
        seen.push([at !== null, Number(length)]);
        return mmap(at, length, ...rest);
      } });
      const sizes = [2 ** 25, 2 ** 31, 2 ** 31];
      for (const how of [pretended, { ...pretended, takesAddressHint: true, mapsBeyondEnd: true }]) {
        pretend(how);
        const all = sizes.map((size) => {
          const memory = SharedMemory.create(name, size, { reserve: false });
          memory.unlink();
          return memory;
        });
        for (const memory of all) memory.close();
      }
      console.log(JSON.stringify(seen));`,
        { args: [name] },
      );
      const gap = 2 ** 16;
      assertEquals(result, [
        [false, 2 ** 25],
        [false, 2 ** 31],
        [false, 2 ** 31],
        // What Linux does, which shows that the calls are seen.
        [false, 2 ** 25 + gap],
        [false, 2 ** 31 + gap],
        [true, 2 ** 31 + gap],
      ]);
    }),
);

testWith("Linux", "macOS: ENOTSUP is 45, and a NotSupported", () =>
  withNames(async (name) => {
    const result = await evalChild(
      `${asOnMacOS}
      lib.platform = { ...pretended, os: "darwin" };
      lib.errno = Int32Array.of(45);
      replace({ shm_open: () => -1 });
      try { SharedMemory.open(name); } catch (error) {
        console.log(JSON.stringify([error instanceof Deno.errors.NotSupported, error.code, error.message]));
      }`,
      { args: [name] },
    );
    assertEquals(result, [
      true,
      "ENOTSUP",
      `Operation not supported (os error 45): shm_open '${name}'`,
    ]);
  }));
