// What happens at the limits of the system: each is an error with the system's code, leaves nothing
// behind, and does no harm to the arrays that are there.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { glibcVersion } from "../../ffi/library.ts";
import { nameMaxWith } from "../../ffi/platform.ts";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import {
  type ChildOptions,
  errorOf,
  runChild,
  segmentExists,
  segmentPath,
  withNames,
  withOtherUser,
} from "../helpers/helpers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

/** For children: a whole array, and ways to tell what an operation gave. */
const tools = `
  const told = (call) => {
    try {
      return String(call());
    } catch (error) {
      return [error.constructor.name, error.code ?? "-", error.message].join(" | ");
    }
  };
  const print = (label, text) => console.log(label + ": " + text);
  const names = () => Array.from(Deno.readDirSync("/dev/shm"), ({ name }) => name).sort();
  const array = (name, length) => new SharedMemoryArray([length], "uint8", name);
  const whole = (sma) => sma.array.copy().every((byte, i) => byte === i % 251);
  const filled = (name, length) => {
    const sma = array(name, length);
    sma.create().assign(Uint8Array.from({ length }, (_, i) => i % 251));
    return sma;
  };
`;

/** Runs a child to its end, and gives what it printed, by label. */
async function lines(code: string, options?: ChildOptions): Promise<Record<string, string>> {
  const { code: status, signal, stdout, stderr } = await runChild(tools + code, options);
  assertEquals([status, signal], [0, null], stderr);
  return Object.fromEntries(
    stdout.trimEnd().split("\n").map((line) => {
      const at = line.indexOf(": ");
      return [line.slice(0, at), line.slice(at + 2)];
    }),
  );
}

/** A /dev/shm of its own, with the given options of tmpfs. */
function ownShm(options: string): ChildOptions {
  return { before: inNamespaces("--mount", `mount -t tmpfs -o ${options} tmpfs /dev/shm`) };
}

// --- No memory -------------------------------------------------------------------------------

testWith(
  "namespaces",
  "limits: on a full /dev/shm create() gives ENOSPC and leaves nothing",
  async () => {
    // Taken out (posix_fallocate, as with reserve: false): create() succeeds, and the first write beyond
    // the 8 MB kills the process: the next test. Taken out (the removal of what is half made): the name
    // is taken from then on, by a segment without a size.
    const got = await lines(
      `
    const MB = 2 ** 20;
    const here = filled("here", 4 * MB);
    print("array", told(() => array("large", 6 * MB).create()));
    print("bytes", told(() => SharedMemory.create("large", 6 * MB).size));
    print("huge", told(() => array("large", 2 ** 52).create()));
    print("names", names());
    print("whole", whole(here));
    const rest = [];
    print("many", told(() => { while (true) rest.push(filled("rest-" + rest.length, MB)); }));
    print("all whole", [here, ...rest].every(whole) + " " + rest.length);
    print("all names", names().length);
    rest.forEach((sma) => (sma.unlink(), sma.close()));
    print("again", told(() => filled("large", 3 * MB).array.size));
    print("at the end", whole(here) + " " + names());
    `,
      ownShm("size=8m"),
    );
    const advice = "remove leftovers, or make it larger (a container's with --shm-size)";
    for (
      const [label, bytes] of [["array", 6 * 2 ** 20], ["bytes", 6 * 2 ** 20], ["huge", 2 ** 52]]
    ) {
      assertEquals(
        got[label],
        "Error | ENOSPC | No space left on device (os error 28): posix_fallocate 'large'; " +
          `${bytes} bytes do not fit into /dev/shm: ${advice}`,
      );
    }
    assertEquals([got.names, got.whole], ["here", "true"]);
    assertMatch(got.many, /ENOSPC/);
    assertMatch(got["all whole"], /^true [34]$/);
    assertEquals(Number(got["all names"]), 1 + Number(got["all whole"].split(" ")[1]));
    assertEquals(got.again, String(3 * 2 ** 20));
    assertEquals(got["at the end"], "true here,large");
  },
);

testWith("namespaces", "limits: what reservation protects from is a bus error", async () => {
  const { signal, code } = await runChild(
    `new SharedMemoryArray([2 ** 24], "uint8", "sparse").create({ reserve: false }).fill(1)`,
    ownShm("size=8m"),
  );
  assert(signal === "SIGBUS" || code === 128 + 7, `it ended with ${signal ?? code}`);
});

testWith("namespaces", "limits: without inodes create() gives ENOSPC", async () => {
  const got = await lines(
    `
    const made = [];
    print("many", told(() => { while (true) made.push(filled("n" + made.length, 100)); }));
    print("large", told(() => array("large", 2 ** 21).create()));
    print("whole", made.every(whole) + " " + (names().length === made.length));
    `,
    ownShm("nr_inodes=12"),
  );
  assertMatch(
    got.many,
    /^Error \| ENOSPC \| No space left on device \(os error 28\): shm_open 'n\d+'/,
  );
  const advice =
    "; /dev/shm holds as many files as it may: remove leftovers, or mount it with a larger nr_inodes";
  assert(got.many.endsWith(advice), got.many);
  assert(got.large.endsWith("open '/dev/shm'" + advice), got.large);
  assertEquals(got.whole, "true true");
});

testWith("namespaces", "limits: on a read-only /dev/shm create() gives EROFS", async () => {
  const got = await lines(`print("create", told(() => array("a", 4).create()));`, ownShm("ro"));
  assertEquals(
    got.create,
    "Error | EROFS | Read-only file system (os error 30): shm_open 'a'; the file system is mounted " +
      "read-only: mount -o remount,rw makes it writable, and SharedMemoryArray.createAnonymous() " +
      "needs no file system",
  );
});

Deno.test("limits: an impossible size gives ENOMEM and leaves nothing", () => {
  withNames((name) => {
    // A sparse segment can have any size; it is the mapping that finds no address space.
    const sma = new SharedMemoryArray([2 ** 50], "uint8", name);
    const error = errorOf(() => sma.create({ reserve: false }));
    assertEquals([error.constructor, error.code], [Error, "ENOMEM"]);
    assertEquals(error.message, `Cannot allocate memory (os error 12): mmap '${name}'`);
    assertEquals([sma.smh, sma.array, segmentExists(name)], [null, null, false]);
  });
});

testWith("room", "limits: without address space create() and load() give ENOMEM", async () => {
  // The limit is set once Deno runs: it starts with more address space than any limit would leave.
  await withNames(async (name) => {
    const got = await lines(
      `
      const [name] = Deno.args;
      const here = filled(name, 100_000);
      SharedMemory.create(name + "-large", 2 ** 30, { reserve: false }).close();
      const size = /VmSize:\\s*(\\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))[1] * 1024;
      const limit = size + 2 ** 29;
      new Deno.Command("prlimit", { args: ["--pid", Deno.pid, "--as=" + limit].map(String) }).outputSync();
      print("create", told(() => array(name + "-new", 2 ** 30).create()));
      print("sparse", told(() => array(name + "-new", 2 ** 30).create({ reserve: false })));
      print("load", told(() => SharedMemory.open(name + "-large")));
      print("names", names().filter((each) => each.startsWith(name)).length);
      print("whole", whole(here));
      print("small", told(() => filled(name + "-new", 1000).unlink()));
      SharedMemoryArray.clearBuffers([name, name + "-large"]);
      `,
      { args: [name] },
    );
    for (const [label, of] of [["create", "-new"], ["sparse", "-new"], ["load", "-large"]]) {
      const text = `Error | ENOMEM | Cannot allocate memory (os error 12): mmap '${name}${of}'`;
      assertEquals(got[label], text);
    }
    assertEquals([got.names, got.whole, got.small], ["2", "true", "true"]);
  });
});

Deno.test("limits: a size beyond the file size limit gives EFBIG, not a dead process", async () => {
  // The kernel sends SIGXFSZ to who makes a file larger than `ulimit -f` allows: who does not ignore it dies in
  // create(), and leaves the empty segment. Deno writes files, too (some into caches, which grow with their use), so the
  // limit is 51 MB, and the cache that may be larger is not written.
  await withNames(async (name) => {
    const { code, signal, stdout, stderr } = await runChild(
      `
      ${tools}
      const [name] = Deno.args;
      for (const reserve of [true, false]) {
        console.log(told(() => array(name, 100_000_000).create({ reserve })));
      }
      console.log(told(() => array(name, 10_000).create().size));
      `,
      {
        args: [name],
        before: "ulimit -f 100000",
        permissions: ["--allow-all", "--no-code-cache"],
      },
    );
    assertEquals([code, signal], [0, null], `it ended with ${signal ?? code} ${stderr}`);
    const [reserved, sparse, small] = stdout.split("\n");
    assertMatch(reserved, /^Error \| EFBIG \| File too large \(os error 27\): posix_fallocate '/);
    assertMatch(sparse, /^Error \| EFBIG \| File too large \(os error 27\): ftruncate '/);
    assertEquals(small, "10000");
  });
});

// --- No descriptors --------------------------------------------------------------------------

Deno.test("limits: without descriptors create() and load() give EMFILE", async () => {
  await withNames(async (name) => {
    const got = await lines(
      `
      const [name] = Deno.args;
      const here = filled(name, 10_000);
      const open = [];
      told(() => { while (true) open.push(Deno.openSync("/dev/null")); });
      const create = told(() => array(name + "-new", 4).create());
      const load = told(() => array(name, 4).load());
      const list = told(() => SharedMemoryArray.list().map((segment) => segment.name));
      const prune = told(() => SharedMemoryArray.prune({ prefix: name }));
      const unlinked = told(() => new SharedMemoryArray(1, "int8", name + "-none").unlink());
      open.forEach((file) => file.close());
      print("create", create);
      print("load", load);
      print("list", list);
      print("prune", prune);
      print("unlink", unlinked);
      print("names", names().filter((each) => each.startsWith(name)));
      print("whole", whole(here));
      print("then", told(() => array(name, 4).load({ reinterpret: true }).size));
      here.unlink();
      `,
      { args: [name], before: "ulimit -n 64" },
    );
    const text = "Error | EMFILE | Too many open files (os error 24): shm_open";
    assertEquals(got.create, `${text} '${name}-new'`);
    assertEquals(got.load, `${text} '${name}'`);
    assertEquals([got.unlink, got.names, got.whole, got.then], ["false", name, "true", "4"]);
    // An empty list would be a lie, and would let a clean-up believe that all is clean.
    assertMatch(got.list, /EMFILE/);
    assertMatch(got.prune, /EMFILE/);
  });
});

// --- No right --------------------------------------------------------------------------------

testWith(
  "another user",
  "limits: a second user gets EACCES, and finds nothing changed",
  async () => {
    await withNames(async (secret, open, theirs) => {
      using mine = new SharedMemoryArray([4], "uint8", secret);
      mine.create().assign([1, 2, 3, 4]);
      using shared = new SharedMemoryArray([4], "uint8", open);
      shared.create({ mode: 0o666 }).assign([5, 6, 7, 8]);
      const program = (modUrl: string): string => `
      const { SharedMemoryLock } = await import("${new URL("src/sync/mod.ts", modUrl)}");
      const [secret, open, theirs] = Deno.args;
      print("load", told(() => array(secret, 4).load()));
      print("create", told(() => array(secret, 4).create()));
      print("unlink", told(() => array(secret, 4).unlink()));
      print("lock", told(() => new SharedMemoryLock(secret).load()));
      print("allowed", told(() => array(open, 4).load().copy()));
      print("unlink of 666", told(() => array(open, 4).unlink()));
      array(theirs, 4).create();
      print("list", SharedMemoryArray.list().map(({ name }) => name).filter((name) =>
        Deno.args.includes(name)));
      print("clear", told(() => SharedMemoryArray.clearBuffers([secret, theirs, open])));
      print("gone", told(() => array(theirs, 4).unlink()));
      `;
      const got = await withOtherUser((as) =>
        lines(program(as.modUrl), {
          args: [secret, open, theirs],
          permissions: ["--allow-ffi"],
          as,
        })
      );
      const denied = "PermissionDenied | EACCES | Permission denied (os error 13)";
      assertEquals(
        got.load,
        `${denied}: shm_open '${secret}'; attaching wants to write, too; ` +
          'load({ access: "copy-on-write" }) needs to read only',
      );
      // A lock has no other access.
      assertEquals(
        got.lock,
        `${denied}: shm_open '${secret}'; every process that takes part must read and write; ` +
          "create({ mode: 0o666 }) lets everybody",
      );
      assertMatch(got.create, /^AlreadyExists \| EEXIST/);
      assertEquals(got.unlink, `${denied}: shm_unlink '${secret}'`);
      assertEquals(got.allowed, "5,6,7,8");
      assertEquals(got["unlink of 666"], `${denied}: shm_unlink '${open}'`);
      assertEquals(got.list, theirs);
      // All were tried: what could be removed is gone.
      assertMatch(
        got.clear,
        /^AggregateError \| - \| Cannot clear 2 of 3 buffers: Permission denied/,
      );
      assertEquals(got.gone, "false");
      assertEquals(mine.array!.toArray(), [1, 2, 3, 4]);
      assertEquals(shared.array!.toArray(), [5, 6, 7, 8]);
      assertEquals([segmentExists(secret), segmentExists(open)], [true, true]);
    });
  },
);

// --- Names -----------------------------------------------------------------------------------

/** The longest name with this C library; glibc before 2.34 takes two bytes less. */
const longest = nameMaxWith(Deno.build.os, glibcVersion());

Deno.test(`limits: a name of ${longest} bytes fits, one more is refused before the call`, () => {
  const tail = crypto.randomUUID();
  const room = longest - tail.length;
  for (
    const name of ["x".repeat(room) + tail, "ß".repeat(room >> 1) + "x".repeat(room & 1) + tail]
  ) {
    using memory = SharedMemory.create(name, 1);
    using other = SharedMemory.open(name);
    assertEquals([other.size, memory.unlink()], [1, true]);
    for (const call of ["create", "open", "unlink", "clear"]) {
      const error = errorOf(() => {
        if (call === "create") SharedMemory.create(name + "x", 1);
        else if (call === "open") SharedMemory.open(name + "x");
        else if (call === "unlink") new SharedMemoryArray(1, "int8", name + "x").unlink();
        else SharedMemoryArray.clearBuffers([name + "x"]);
      });
      assertEquals(error.constructor, RangeError);
      assertStringIncludes(
        error.message,
        `it has ${longest + 1} bytes in UTF-8, and this platform allows ${longest}`,
      );
    }
  }
});

Deno.test("limits: the longest name that buildSmaName() makes can be used", () => {
  using sma = new SharedMemoryArray(1, "int8", SharedMemoryArray.buildSmaName("x".repeat(220)));
  sma.create();
  assertEquals(
    SharedMemoryArray.list().find(({ name }) => name === sma.name)?.prefix,
    "x".repeat(220),
  );
  assertEquals(sma.unlink(), true);
});

Deno.test("limits: create() of a taken name leaves the one that has it as it is", () => {
  withNames((name) => {
    using first = new SharedMemoryArray([4], "uint8", name);
    first.create().assign([1, 2, 3, 4]);
    const second = new SharedMemoryArray([8], "uint8", name);
    const error = errorOf(() => second.create());
    assertEquals([error.constructor, error.code], [Deno.errors.AlreadyExists, "EEXIST"]);
    assertMatch(
      error.message,
      /^File exists \(os error 17\): shm_open '.*'; it is .* old, and .* maps? it; load\(\) or open\(\) attaches to it, unlink\(\) removes it$/,
    );
    assertEquals([second.smh, second.array], [null, null]);
    using third = SharedMemory.open(name);
    assertEquals([...new Uint8Array(third.buf!)], [1, 2, 3, 4]);
  });
});

Deno.test("limits: load() of a missing name makes nothing", () => {
  withNames((name) => {
    const sma = new SharedMemoryArray([4], "uint8", name);
    const error = errorOf(() => sma.load());
    assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
    assertEquals(
      error.message,
      `No such file or directory (os error 2): shm_open '${name}'; ` +
        "load({ timeout }) waits for its creator",
    );
    assertEquals([sma.unlink(), segmentExists(name)], [false, false]);
  });
});

/** What stands in the place of a segment, and what its name gives to load() and create(). */
const impostors: [what: string, make: (path: string) => void, load: string][] = [
  ["a directory", (path) => Deno.mkdirSync(path), "EINVAL"],
  ["a FIFO", (path) => shell("mkfifo", path), "ERR_SHM_INVALID"],
  ["a symbolic link", (path) => Deno.symlinkSync("/etc/hostname", path), "ELOOP"],
  ["a dangling link", (path) => Deno.symlinkSync("/nonexistent", path), "ELOOP"],
];

function shell(command: string, ...args: string[]): void {
  assert(new Deno.Command(command, { args }).outputSync().success);
}

for (const [what, make, load] of impostors) {
  Deno.test(`limits: ${what} in the place of a segment is refused and left there`, () => {
    withNames((name) => {
      make(segmentPath(name));
      const sma = new SharedMemoryArray([4], "uint8", name);
      const loading = errorOf(() => sma.load());
      assertEquals(loading.code ?? loading.name, load, String(loading));
      assertStringIncludes(loading.message, `'${name}'`);
      assertEquals(errorOf(() => sma.create()).code, "EEXIST");
      assertEquals([sma.smh, segmentExists(name)], [null, true]);
    });
  });
}

// --- Truncated segments ----------------------------------------------------------------------

Deno.test("limits: a segment that was truncated is refused by load()", () => {
  // Taken out (the comparison in load()): "Invalid typed array length", and the mapping stays.
  withNames((name) => {
    using creator = new SharedMemoryArray([3, 4096], "uint8", name);
    creator.create().fill(7);
    Deno.truncateSync(segmentPath(name), 4096);
    const error = errorOf(() => SharedMemoryArray.clone(creator).load());
    assertEquals(error.constructor, RangeError);
    assertEquals(
      error.message,
      `Cannot load '${name}': the segment has 4096 bytes, and shape [3, 4096] of uint8 needs 12288`,
    );
    // What is left of it can be read, by the one that was attached before, too.
    using rest = SharedMemoryArray.clone(creator, { shape: [4096] });
    rest.load({ reinterpret: true });
    assertEquals([creator.array!.get(0, 4095), rest.array!.get(4095)], [7, 7]);
  });
});

Deno.test("limits: a segment without a size is refused by load() after a bounded time", () => {
  withNames((name) => {
    Deno.createSync(segmentPath(name)).close();
    const start = performance.now();
    const error = errorOf(() => new SharedMemoryArray([4], "uint8", name).load());
    const waited = performance.now() - start;
    assertEquals(error.constructor, RangeError);
    assertStringIncludes(error.message, "its size is 0 bytes; its creator has not set one");
    assert(waited > 900 && waited < 60_000, `it waited ${waited} ms`);
  });
});

Deno.test("limits: access to a segment truncated under the reader is a bus error of the kernel", async () => {
  // No check can rule this out: it could be truncated right after it. This test is here so that what
  // the documentation says of it stays true. The shell tells 128 + 7 where the signal is not passed on.
  await withNames(async (name) => {
    const { signal, code, stdout } = await runChild(
      `
      const sma = new SharedMemoryArray([3, 4096], "uint8", Deno.args[0]);
      const array = sma.create();
      Deno.truncateSync("/dev/shm/" + Deno.args[0], 4096);
      console.log(array.get(0, 0));
      array.get(2, 0);
      console.log("not reached");
      `,
      { args: [name] },
    );
    assertEquals(stdout, "0\n");
    assert(signal === "SIGBUS" || code === 128 + 7, `it ended with ${signal ?? code}`);
  });
});
