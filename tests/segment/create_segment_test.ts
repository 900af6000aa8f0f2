import {
  assert,
  assertEquals,
  assertFalse,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { close, fstat } from "../../ffi/files.ts";
import { SharedMemory, SharedMemoryArray } from "../../mod.ts";
import { makeSegment } from "../../src/segment/create_segment.ts";
import { unlinkOwn } from "../../src/segment/file.ts";
import {
  descriptorsOf,
  errorOf,
  evalChild,
  mappingsOf,
  modUrl,
  runChild,
  segmentExists,
  segmentPath,
  startChild,
  withNames,
} from "../helpers/helpers.ts";
import { until } from "../helpers/sync.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

const platformUrl = JSON.stringify(new URL("../../ffi/platform.ts", import.meta.url).href);
const createSegment = JSON.stringify(
  new URL("../../src/segment/create_segment.ts", import.meta.url).href,
);

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** The size of the file that shows a segment; `null` if there is none. */
function sizeOf(name: string): number | null {
  try {
    return Deno.lstatSync(segmentPath(name)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whether a process has a segment open that has no name yet. */
function hasNameless(pid: number): boolean {
  const descriptors = `/proc/${pid}/fd`;
  /** What a function gives; `otherwise` where the process has ended, or has closed the descriptor meanwhile. */
  const told = <T>(look: () => T, otherwise: T): T => {
    try {
      return look();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return otherwise;
      throw error;
    }
  };
  return told(() => [...Deno.readDirSync(descriptors)], []).some(({ name }) =>
    told(() => Deno.readLinkSync(`${descriptors}/${name}`), "").startsWith("/dev/shm/#")
  );
}

// --- Names that are taken --------------------------------------------------------

Deno.test("create() says that what has the name is no segment, and leaves it", () => {
  withNames((folder, link, segment) => {
    Deno.mkdirSync(segmentPath(folder));
    Deno.symlinkSync("/nowhere", segmentPath(link));
    try {
      for (const name of [folder, link]) {
        for (const bytes of [8, 2 * MIB]) {
          const error = errorOf(() => new SharedMemoryArray([bytes], "uint8", name).create());
          assertEquals([error.constructor, error.code], [Deno.errors.AlreadyExists, "EEXIST"]);
          assertEquals(
            error.message,
            `File exists (os error 17): shm_open '${name}'; something else than a segment has this name in ` +
              "/dev/shm; choose another one",
          );
        }
      }
      assert(Deno.lstatSync(segmentPath(folder)).isDirectory);
      assert(Deno.lstatSync(segmentPath(link)).isSymlink);
    } finally {
      Deno.removeSync(segmentPath(folder));
      Deno.removeSync(segmentPath(link));
    }
    using bytes = SharedMemory.create(segment, 8);
    assertStringIncludes(
      errorOf(() => SharedMemory.create(segment, 8)).message,
      "load() or open() attaches to it, unlink() removes it",
    );
    bytes.unlink();
  });
});

// --- Names that come last --------------------------------------------------------------------

testWith(
  "room",
  "create() of a large segment shows it when it is whole, never before",
  () =>
    withNames(async (name) => {
      const child = await startChild(
        `const sma = new SharedMemoryArray(${GIB / 2}, "uint8", Deno.args[0]);
      sma.create();
      sma.close();`,
        { args: [name] },
      );
      const seen = new Set<number | null>();
      const ended = child.status.then(() => true);
      while (!(await Promise.race([ended, new Promise((go) => setTimeout(() => go(false), 1))]))) {
        for (let i = 0; i < 100; i++) seen.add(sizeOf(name));
      }
      seen.add(sizeOf(name));
      assertEquals([...seen], [null, GIB / 2]);
      await child.stdout.cancel();
      assertEquals(await new Response(child.stderr).text(), "");
    }),
);

Deno.test("create() that is killed while it reserves leaves no name", () =>
  withNames(async (name) => {
    for (const delay of [0, 20, 60, 100]) {
      const child = await startChild(
        `console.log("go");
        new SharedMemoryArray(${2 * GIB}, "uint8", Deno.args[0]).create();
        console.log("made");`,
        { args: [name] },
      );
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const first = (await reader.read()).value!;
      assert(first.startsWith("go\n"), first);
      await new Promise((resume) => setTimeout(resume, delay));
      child.kill("SIGKILL");
      let rest = first.slice("go\n".length);
      for (let piece; !(piece = await reader.read()).done;) rest += piece.value;
      await child.status;
      await child.stderr.cancel();
      // On a fast machine it may have been whole, but it is never there without its size.
      const size = sizeOf(name);
      assert(size === 2 * GIB || (size === null && rest === ""), `${size} after "${rest}"`);
      SharedMemoryArray.clearBuffers([name]);
    }
  }));

Deno.test("create() of a large segment sets the mode exactly, whatever the umask", () =>
  withNames(async (name) => {
    for (const mode of [0o600, 0o666, 0o400, 0]) {
      const shown = await evalChild(
        `const sma = new SharedMemoryArray(${MIB}, "uint8", Deno.args[0]);
        sma.create({ mode: ${mode} }).set(0, 7);
        console.log(JSON.stringify([
          Deno.statSync("/dev/shm/" + Deno.args[0]).mode & 0o7777,
          Deno.statSync("/dev/shm/" + Deno.args[0]).blocks * 512,
        ]));
        sma.unlink();`,
        { args: [name], before: "umask 277" },
      );
      assertEquals(shown, [mode, MIB]);
    }
  }));

Deno.test("create() of a large segment maps it under its name, and keeps no descriptor", () => {
  withNames((name) => {
    for (const reserve of [true, false]) {
      using sma = new SharedMemoryArray(4 * MIB, "uint8", name);
      sma.create({ reserve }).set(-1, 5);
      using other = SharedMemoryArray.clone(sma);
      assertEquals([other.load().get(-1), mappingsOf(name), descriptorsOf(name)], [5, 2, 0]);
      assertEquals(Deno.statSync(segmentPath(name)).blocks! * 512 === 4 * MIB, reserve);
      sma.unlink();
    }
  });
});

Deno.test("create() of a large segment under a taken name is EEXIST at once", () => {
  withNames((name) => {
    using first = SharedMemory.create(name, 8);
    // More than there is: a reservation would find no room.
    const error = errorOf(() => SharedMemory.create(name, 2 ** 50));
    assertEquals([error.constructor, error.code], [Deno.errors.AlreadyExists, "EEXIST"]);
    assertTaken(error, `shm_open '${name}'`);
    assertEquals(sizeOf(first.name), 8);
  });
});

testWith(
  "room",
  "create() of a large segment leaves the name to who takes it in the meantime",
  () =>
    withNames(async (name) => {
      // One that was through before this process looked, on a busy machine, is tried again.
      for (let isFirst = false; !isFirst;) {
        const child = await startChild(
          `try { SharedMemory.create(Deno.args[0], ${3 * GIB}); console.log("made"); }
        catch (error) { console.log(error.code + " " + error.message); }`,
          { args: [name] },
        );
        const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
        await until("it reserves", () => hasNameless(child.pid) || sizeOf(name) !== null);
        try {
          using mine = SharedMemory.create(name, 8);
          const { value } = await reader.read();
          assertStringIncludes(value!, "EEXIST File exists (os error 17): linkat");
          assertEquals([sizeOf(name), mine.size], [8, 8]);
          isFirst = true;
        } catch (error) {
          if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
          assertEquals(sizeOf(name), 3 * GIB);
          SharedMemoryArray.clearBuffers([name]);
        }
        await reader.cancel();
        await child.stderr.cancel();
        await child.status;
      }
    }),
);

Deno.test("makeSegment() serves systems without files that have no name", () =>
  withNames(async (name) => {
    const shown = await evalChild(
      `const { platform } = await import(${platformUrl});
      const { flags } = platform();
      const results = [];
      for (const O_TMPFILE of [0, flags.O_TMPFILE]) {
        platform().flags = { ...flags, O_TMPFILE };
        const sma = new SharedMemoryArray(${2 * MIB}, "uint8", Deno.args[0]);
        sma.create({ mode: 0o640 }).fill(3);
        const { mode, blocks } = Deno.statSync("/dev/shm/" + Deno.args[0]);
        results.push([mode & 0o777, blocks * 512, sma.array.get(-1), sma.unlink()]);
        sma.close();
        try { SharedMemory.create(Deno.args[0], 2 ** 50); }
        catch (error) { results.push([error.code, error.message.includes("posix_fallocate")]); }
      }
      console.log(JSON.stringify(results));`,
      { args: [name] },
    );
    const one = [[0o640, 2 * MIB, 3, true], ["ENOSPC", true]];
    assertEquals(shown, [...one, ...one]);
    assertFalse(segmentExists(name));
  }));

testWith(
  "namespaces",
  "makeSegment() serves containers without /proc",
  () =>
    withNames(async (name) => {
      const shown = await evalChild(
        `const sma = new SharedMemoryArray(${2 * MIB}, "uint8", Deno.args[0]);
      sma.create().fill(3);
      console.log(JSON.stringify([sma.array.get(-1), sma.unlink()]));`,
        {
          args: [name],
          before: inNamespaces("--mount", "mount -t tmpfs none /proc"),
        },
      );
      assertEquals(shown, [3, true]);
    }),
);

/** Checks what the error for a taken name says of a segment that this process maps. */
function assertTaken({ message }: Error, call: string): void {
  const [begin, state, ...wayOut] = message.split("; ");
  assertEquals(begin, `File exists (os error 17): ${call}`);
  // A second may pass on a busy machine.
  assertMatch(
    state,
    /^it is (less than a second|\d+ seconds?) old, and process \d+ \(this one\) maps it$/,
  );
  assertEquals(wayOut, ["load() or open() attaches to it, unlink() removes it"]);
}

for (const byteLength of [8, 2 * MIB]) {
  Deno.test(`create() of ${byteLength} bytes under a taken name says how old its owner is, and who maps it`, () =>
    withNames(async (name) => {
      const refused = () => errorOf(() => SharedMemory.create(name, byteLength));
      // The look at all processes is given up after a while, which a busy machine may need for a few of them.
      const refusedWithProcesses = () => {
        let error = refused();
        for (let tries = 0; tries < 100 && !error.message.includes(", and "); tries++) {
          error = refused();
        }
        return error;
      };
      const first = SharedMemory.create(name, 8);
      assertTaken(refused(), `shm_open '${name}'`);
      const child = await startChild(
        `using memory = SharedMemory.open(Deno.args[0]);
        console.log("attached");
        for await (const _ of Deno.stdin.readable);
        await new Promise(() => setTimeout(() => {}, 1e6));`,
        { args: [name] },
      );
      const reader = child.stdout.getReader();
      await reader.read();
      assertStringIncludes(refusedWithProcesses().message, `${Deno.pid} (this one)`);
      first.close();
      assertStringIncludes(refusedWithProcesses().message, `, and process ${child.pid} maps it; `);
      child.kill("SIGKILL");
      await Promise.all([reader.cancel(), child.stderr.cancel(), child.status]);
      const leftover = refusedWithProcesses();
      assertEquals([leftover.constructor, leftover.code], [Deno.errors.AlreadyExists, "EEXIST"]);
      assertStringIncludes(leftover.message, ", and no process that this one can see maps it; ");
    }));
}

testWith(
  "namespaces",
  "create() under a taken name says so where /proc says nothing",
  () =>
    withNames(async (name) => {
      const shown = await evalChild(
        `using first = SharedMemory.create(Deno.args[0], 8);
      try { SharedMemory.create(Deno.args[0], 8); } catch (error) { console.log(JSON.stringify(error.message)); }
      first.unlink();`,
        { args: [name], before: inNamespaces("--mount", "mount -t tmpfs none /proc") },
      ) as string;
      assertMatch(shown, /shm_open '.*'; it is .* old; load\(\) or open\(\) attaches to it/);
    }),
);

// --- Taking back what was made -----------------------------------------------------------------

Deno.test("unlinkOwn() leaves a name that is somebody else's by now", () => {
  withNames((name, renamed) => {
    const { fd, device, inode } = makeSegment(name, 8, 0o600, true);
    // It still has a name, so that its count of names says nothing.
    Deno.renameSync(segmentPath(name), segmentPath(renamed));
    using other = SharedMemory.create(name, 16);
    assertFalse(unlinkOwn(name, { device, inode }));
    assertEquals([sizeOf(name), sizeOf(renamed)], [16, 8]);
    assert(unlinkOwn(renamed, { device, inode }));
    assertEquals([sizeOf(name), sizeOf(renamed), other.size], [16, null, 16]);
    assertFalse(unlinkOwn(renamed, { device, inode })); // Nothing is left to be done.
    assertFalse(unlinkOwn(name, fstat(fd, name)));
    assertEquals(sizeOf(name), 16);
    close(fd);
  });
});

Deno.test("makeSegment() that fails takes back its own name only, under stress", () =>
  withNames(async (name) => {
    // Some fail to make it, others make and remove it: what somebody holds must not go. It takes a second and a
    // half, and longer where that is too short for a hundred times.
    const losing = `
      const { makeSegment } = await import(${createSegment});
      const { platform } = await import(${platformUrl});
      platform().flags = { ...platform().flags, O_TMPFILE: 0 };
      let failed = 0;
      while (performance.now() < 1500 || (failed <= 100 && performance.now() < 60_000)) {
        try { SharedMemory.create(Deno.args[0], 2 ** 50); } catch (error) {
          if (error.code === "ENOSPC") failed++;
        }
      }
      console.log(JSON.stringify(failed));`;
    const holding = `
      const result = { held: 0, stolen: 0 };
      while (performance.now() < 1500 || (result.held <= 100 && performance.now() < 60_000)) {
        try {
          using memory = SharedMemory.create(Deno.args[0], 8);
          result.held++;
          for (let i = 0; i < 20; i++) Deno.pid;
          if (!memory.unlink()) result.stolen++;
        } catch (error) { if (error.code !== "EEXIST") throw error; }
      }
      console.log(JSON.stringify(result));`;
    const options = { args: [name] };
    const [failed, result] = await Promise.all([
      evalChild(losing, options),
      evalChild(holding, options),
    ]) as [number, { held: number; stolen: number }];
    assert(failed > 100 && result.held > 100, JSON.stringify([failed, result]));
    // A name can still be lost between the look and the removal, which the kernel has no one call for.
    assertLess(result.stolen / result.held, 0.001, JSON.stringify([failed, result]));
  }));

// --- The limit of a file's size ----------------------------------------------------------------

Deno.test("create() beyond the limit of a file's size is EFBIG, below a page, too", () =>
  withNames(async (name) => {
    const result = await runChild(
      `const told = (byteLength, options) => {
        try { using m = SharedMemory.create(Deno.args[0], byteLength, options); m.unlink(); return "made"; }
        catch (error) { return error.code + " " + error.message; }
      };
      new Deno.Command("prlimit", { args: ["--pid", String(Deno.pid), "--fsize=100:"] }).outputSync();
      const lines = [told(100), told(101), told(101, { reserve: false }), told(5000), told(2 ** 24)];
      new Deno.Command("prlimit", { args: ["--pid", String(Deno.pid), "--fsize=unlimited:"] }).outputSync();
      console.log(lines.join("\\n"));`,
      // Deno must write no file meanwhile.
      { args: [name], permissions: ["--allow-all", "--no-code-cache"] },
    );
    assertEquals([result.code, result.signal], [0, null], result.stderr);
    const refused = (call: string): string =>
      `EFBIG File too large (os error 27): ${call} '${name}'; ulimit -f raises the limit`;
    assertEquals(result.stdout.trim().split("\n"), [
      "made",
      refused("posix_fallocate"),
      refused("ftruncate"),
      refused("posix_fallocate"),
      refused("posix_fallocate"),
    ]);
    assertFalse(segmentExists(name));
  }));

Deno.test("create() in several Workers leaves what the process's signals do as it is", async () => {
  const { before, after } = await evalChild(
    `const dispositions = () => Deno.readTextFileSync("/proc/self/status").match(/^SigIgn.*$/gm);
    const text = \`
      import { SharedMemory } from ${JSON.stringify(modUrl)};
      for (let i = 0; i < 3000; i++) {
        const memory = SharedMemory.create("test-" + crypto.randomUUID(), 10_000);
        memory.unlink();
        memory.close();
      }
      postMessage("done");\`;
    const url = "data:application/javascript," + encodeURIComponent(text);
    const before = dispositions();
    await Promise.all([1, 2, 3].map(() => new Promise((resolve) => {
      const worker = new Worker(url, { type: "module" });
      worker.onmessage = () => { worker.terminate(); resolve(); };
    })));
    console.log(JSON.stringify({ before, after: dispositions() }));`,
  ) as { before: string[]; after: string[] };
  assertEquals(after, before);
});

// --- No place for segments -----------------------------------------------------------------------

testWith("namespaces", "create() and load() without /dev/shm say so", async () => {
  const lines = await evalChild(
    `const told = (fn) => { try { fn(); return "none"; } catch (error) { return error.message; } };
    console.log(JSON.stringify([
      told(() => SharedMemory.create("x", 8)),
      told(() => SharedMemory.create("x", ${MIB})),
      told(() => SharedMemory.open("x")),
      told(() => SharedMemory.open("x", { timeout: 1 })),
      told(() => SharedMemoryArray.list()),
      new SharedMemoryArray(8, "uint8", "x").unlink(),
    ]));`,
    {
      // An ordinary user may not make devices: what the program needs of /dev is bound.
      before: inNamespaces(
        "--mount",
        "mount -t tmpfs none /mnt && touch /mnt/null /mnt/urandom && " +
          "mount --bind /dev/null /mnt/null && mount --bind /dev/urandom /mnt/urandom && " +
          "mount --rbind /mnt /dev",
      ),
    },
  ) as unknown[];
  // Taken out (the question whether glibc would stray): glibc 2.31 makes the segment in /sys/fs/cgroup.
  const [message, listed] = ["shm_open 'x'", "opendir '/dev/shm'"].map((call) =>
    `No such file or directory (os error 2): ${call}; ` +
    "there is no /dev/shm: mount a tmpfs there (a container's with --tmpfs /dev/shm)"
  );
  assertEquals(lines, [message, message, message, message, listed, false]);
});
