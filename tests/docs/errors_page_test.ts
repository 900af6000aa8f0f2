// docs/errors.md quotes messages that the sources have, with the class and the code that they come with.

import { assert, assertEquals } from "@std/assert";
import { NDArray, SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryBarrier, SharedMemoryLock, wait, waitAsync } from "@shm/array/sync";
import { testWith } from "../helpers/test_with.ts";

const root = new URL("../../", import.meta.url);
const readPage = (): string => Deno.readTextFileSync(new URL("docs/errors.md", root));

/** The text of all sources of the package. */
function sourcesIn(folder: string): string {
  return [...Deno.readDirSync(new URL(folder, root))].map(({ name, isDirectory }) =>
    isDirectory
      ? sourcesIn(`${folder}${name}/`)
      : Deno.readTextFileSync(new URL(folder + name, root))
  ).join("\n");
}

/** What the first columns of the page's tables quote. */
function quoted(page: string): string[] {
  return Array.from(page.matchAll(/^\| `([^`]+)`/gm), ([, text]) => text);
}

Deno.test("docs/errors.md quotes messages that the sources have", () => {
  const sources = sourcesIn("src/") + sourcesIn("ffi/");
  const missing = (page: string): string[] =>
    quoted(page).filter((text) => !sources.includes(text));
  const page = readPage();
  assert(quoted(page).length > 30);
  assertEquals(missing(page), []);
  // The control: a message that nobody throws is found.
  assertEquals(missing("| `Cannot fly: no wings` | x |"), ["Cannot fly: no wings"]);
});

/** What the page says of the messages that it quotes: `NotFound ENOENT`, or the class alone. */
function promised(page: string): Map<string, string> {
  const rows = page.matchAll(/^\| `([^`]+)`, `(\w+)`(?:, `\w+`| (\w+))? +\|/gm);
  return new Map(
    Array.from(
      rows,
      ([, text, name, code]) => [text, code === undefined ? name : `${name} ${code}`],
    ),
  );
}

/** What an error is, as the page says it. */
function named(error: Error): string {
  const { name, code } = error as Error & { code?: string | number };
  return typeof code === "string" ? `${name} ${code}` : name;
}

/** Another instance of what an instance stands for. */
const textOf = (instance: object) => JSON.parse(JSON.stringify(instance));

const segment = SharedMemoryArray.buildSmaName("errors");

/** Gives something a name, and takes the name away in any case. */
function withName(body: (name: string) => unknown): unknown {
  try {
    return body(segment);
  } finally {
    SharedMemoryArray.clearBuffers([segment]);
  }
}

const numbers = new NDArray(new Float64Array(6), { shape: [2, 3] });

/** How each message is brought about. Those that want another system, another user or many processes are left out. */
const provoked: { [message: string]: () => unknown } = {
  "No such file or directory": () => new SharedMemoryArray([2], "int8", segment).load(),
  "File exists": () =>
    withName((name) => {
      using _first = SharedMemory.create(name, 8);
      SharedMemory.create(name, 8);
    }),
  "No space left on device": () => new SharedMemoryArray([2 ** 45], "int8", segment).create(),
  "Cannot load": () =>
    withName((name) => {
      using sma = new SharedMemoryArray([2], "int8", name);
      sma.create();
      new SharedMemoryArray([2], "uint8", name).load();
    }),
  "by its name alone: nothing describes the segment": () =>
    withName((name) => {
      using _bytes = SharedMemory.create(name, 8);
      SharedMemoryArray.attach(name);
    }),
  "this instance is attached already; close() it": () => {
    using sma = SharedMemoryArray.createAnonymous([2], "int8");
    sma.load();
  },
  "Cannot make a SharedMemoryArray: the order is shape": () =>
    // @ts-expect-error: the order is another one
    new SharedMemoryArray("name", [2], "int8"),
  "Cannot use this dtype": () =>
    // @ts-expect-error: there is no such dtype
    new SharedMemoryArray([2], ">f8", segment),
  "Cannot use the name": () => new SharedMemoryArray([2], "int8", "a/b"),
  "Cannot use this array: its memory is gone": () => {
    const sma = SharedMemoryArray.createAnonymous([2], "int8");
    const view = sma.array!;
    sma.close();
    view.get(0);
  },
  "it is out of bounds for axis": () => numbers.get(2, 0),
  // @ts-expect-error: a bigint is no number
  "its elements are": () => numbers.set(0, 0, 1n),
  "Cannot give a subarray: the view is not contiguous": () => numbers.T.subarray(),
  "Cannot reshape: the view is not contiguous": () => numbers.T.reshape(6),
  "does not broadcast to shape": () => numbers.assign([1, 2]),
  // @ts-expect-error: a view is no index
  "Cannot slice: a view is no index": () => numbers.slice(numbers),
  "this instance is not attached": () => new SharedMemoryLock(segment).acquire(),
  "it takes an Int32Array": () => {
    using sma = SharedMemoryArray.createAnonymous([2], "float64");
    // @ts-expect-error: it is none
    wait(sma.array!.data, 0, 0);
  },
  "the array is not over a mapped segment": () => wait(new Int32Array(1), 0, 0),
  "the array was closed meanwhile": async () => {
    using sma = SharedMemoryArray.createAnonymous([2], "int32");
    const waiting = waitAsync(sma.array!.data, 0, 0).value;
    sma.close();
    await waiting;
  },
  "somebody has the lock still": () => {
    using lock = SharedMemoryLock.createAnonymous();
    using other = SharedMemoryLock.from(textOf(lock)).load();
    using _guard = lock.acquire();
    other.acquire({ timeout: 1 });
  },
  "this instance holds the lock already": () => {
    using lock = SharedMemoryLock.createAnonymous();
    using _guard = lock.acquire();
    lock.acquire();
  },
  "parties have come, and time is up": () => {
    using barrier = SharedMemoryBarrier.createAnonymous(2);
    using one = SharedMemoryBarrier.from(textOf(barrier)).load();
    using _other = SharedMemoryBarrier.from(textOf(barrier)).load();
    one.meet({ timeout: 1 });
  },
  "seats are taken": () => {
    using barrier = SharedMemoryBarrier.createAnonymous(1);
    using _one = SharedMemoryBarrier.from(textOf(barrier)).load();
    SharedMemoryBarrier.from(textOf(barrier)).load();
  },
  "the party of seat": async () => {
    using barrier = SharedMemoryBarrier.createAnonymous(2);
    using one = SharedMemoryBarrier.from(textOf(barrier)).load();
    const other = SharedMemoryBarrier.from(textOf(barrier)).load();
    const meeting = one.meetAsync();
    other.close();
    await meeting;
  },
  "it has a writer": () => {
    using ring = SharedMemoryRing.createAnonymous([2], "int8", 2);
    ring.write([1, 2]);
    using other = SharedMemoryRing.from(textOf(ring), "int8").load();
    other.write([3, 4]);
  },
  "nothing newer came, and time is up": () => {
    using ring = SharedMemoryRing.createAnonymous([2], "int8", 2);
    ring.next(0, { timeout: 1 });
  },
  "its writer has said that no more comes": () => {
    using ring = SharedMemoryRing.createAnonymous([2], "int8", 2);
    ring.end();
    ring.next();
  },
  "Cannot put into": () => {
    using queue = SharedMemoryQueue.createAnonymous(1);
    queue.end();
    queue.put(1);
  },
  "given up after": async () => {
    using queue = SharedMemoryQueue.createAnonymous(1);
    const answer = queue.call(1, { attempts: 1 });
    {
      using _item = await queue.takeAsync(); // it is neither completed nor given back
    }
    await answer;
  },
  "as JSON the": () => {
    using queue = SharedMemoryQueue.createAnonymous(1, { messageBytes: 64 });
    queue.put("x".repeat(64));
  },
  "somebody has written over the segment": () =>
    withName((name) => {
      using queue = new SharedMemoryQueue(name, 1).create();
      using bytes = SharedMemory.open(name);
      new Uint8Array(bytes.buf!).fill(255, 128);
      queue.take();
    }),
  "was removed": () => {
    using lock = new SharedMemoryLock(segment).create();
    lock.unlink();
    lock.acquire();
  },
};

/** Messages that other systems, other users, limits or several processes bring about; tests of their own do that. */
const elsewhere = [
  "Permission denied",
  "Cannot allocate memory",
  "Too many open files",
  "File too large",
  "Cannot share memory: ffi access was granted to",
  "its size is 0 bytes; its creator has not set one",
  "this thread holds the lock shared already, and a writer waits for that",
  "Cannot share memory: this is",
  "it needs Node 26.9 or newer",
  "is needed, and this is",
  "on Linux glibc is needed",
  "POSIX shared memory is bound on",
  "Cannot list segments:",
  "this kernel, or the sandbox",
];

testWith(
  "Linux",
  "the errors that docs/errors.md lists have the class and the code that it says",
  async () => {
    const rows = promised(readPage());
    assertEquals([...rows.keys()].sort(), [...Object.keys(provoked), ...elsewhere].sort());
    for (const [message, provoke] of Object.entries(provoked)) {
      let error: unknown;
      try {
        await provoke();
      } catch (caught) {
        error = caught;
      }
      assert(error instanceof Error && error.message.includes(message), `${message}: ${error}`);
      assertEquals(named(error), rows.get(message), message);
    }
  },
);

Deno.test("what docs/errors.md says of a message is read as it stands there", () => {
  const page =
    "| `A`, `NotFound` ENOENT | x |\n| `B`, `TypeError` | x |\n| `C`, `RangeError`, `TypeError` |\n";
  assertEquals([...promised(page)], [["A", "NotFound ENOENT"], ["B", "TypeError"], [
    "C",
    "RangeError",
  ]]);
  assertEquals(named(new RangeError("A")), "RangeError");
});
