/**
 * `Queue` of `examples/python/shm_attach.py` beside this library: both put and take, answer, die and fork. What happens
 * to both under random kills stands in `kills_test.ts`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { type Json, SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryLock } from "@shm/array/sync";
import { magics, type Word } from "../../src/words.ts";
import * as words from "../../src/queue/queue_words.ts";
import { segmentExists, segmentPath, withNames } from "../helpers/helpers.ts";
import { poke, rejectionOf, sleep } from "../helpers/publish_helpers.ts";
import { eachNumPyTest } from "../helpers/python.ts";
import { askPython, startPython, told } from "../helpers/python_teller.ts";
import { endWhileTaken, hang, startMember, statesOf, withQueue } from "../helpers/queue_helpers.ts";
import { scale } from "../helpers/scale.ts";
import { untilWaiting } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "queues");

// --- Words -----------------------------------------------------------------------------------

eachNumPyTest("shm_attach.py has the words of queues", async (python) => {
  const found = await askPython(
    python,
    `tell({
    "header": S.QUEUE_WORDS, "headerBytes": S.QUEUE_BYTES, "slot": S.SLOT_WORDS, "slotBytes": S.SLOT_BYTES,
    "magic": S.QUEUE_MAGIC.decode(), "states": S.QUEUE_STATES, "word": S._state_word(S._TAKEN, 5, 0xabcdef),
    "last": S._LAST_ID, "base": S._LOCK_BASE, "attempts": Queue._MOST_ATTEMPTS, "texts": S._queue_texts(17),
})`,
    "",
  );
  const table = (all: readonly Word[]) =>
    Object.fromEntries(all.map(({ name, at, type }) => [name, [at, type]]));
  assertEquals(found, {
    header: table(words.headerWords),
    headerBytes: words.HEADER_BYTES,
    slot: table(words.slotWords),
    slotBytes: words.SLOT_BYTES,
    magic: magics.queue.text,
    states: words.stateNames,
    word: words.stateWord(words.TAKEN, 5, 0xabcdef),
    last: words.LAST_ID,
    base: words.LOCK_BASE,
    attempts: words.MOST_ATTEMPTS,
    texts: words.messageStart(0, { slots: 17, messageBytes: 64, keepFailed: false }),
  });
});

// --- Compare and exchange --------------------------------------------------------------------

for (const way of ["library", "code"]) {
  eachNumPyTest(
    `shm_attach.py compares and exchanges atomically, by its ${way}`,
    (python) =>
      withNames(async (name) => {
        using sma = new SharedMemoryArray([4], "int32", name);
        const { data } = sma.create();
        const times = 20_000 * scale;
        const program = `
S._compare_exchange = S._exchange_by_${way}()
array = S._word(attach(name, (4,), "int32"), 0)
plain = attach(name, (4,), "int32")
import ctypes
word = (ctypes.c_uint32 * 4)()
tell([S._compare_exchange(word, 4, 0, 2**32 - 1), S._compare_exchange(word, 4, 0, 5),
      S._compare_exchange(word, 4, 2**32 - 1, 7), S._compare_exchange(word, 4, 7, 7), list(word)])
shared = (ctypes.c_uint32 * 4).from_address(ctypes.addressof(array))
while plain[2] == 0:
    pass
for _ in range(${times}):
    S._update(shared, 0, lambda word: word + 3)
    plain[1] = plain[1] + 1
tell("done")
`;
        // The control is that a load and a store lose some. On a busy machine the programs may not run at one time.
        let areSomeLost = false;
        for (let tries = 0; !areSomeLost && tries < 20; tries++) {
          data.fill(0);
          await using one = startPython(python, program, [name]);
          await using two = startPython(python, program, [name]);
          for (const each of [one, two]) {
            assertEquals(await told(each), [true, false, true, true, [0, 7, 0, 0]]);
          }
          Atomics.store(data, 2, 1);
          let rounds = 0;
          const done = Promise.all([told(one), told(two)]).then(() => true);
          // This program adds, too; when the others have ended, the sum must be that of all three.
          do {
            for (let i = 0; i < 1000; i++, rounds++) Atomics.add(data, 0, 3);
          } while (!await Promise.race([done, sleep(0)]));
          assertEquals(data[0], 3 * (2 * times + rounds) | 0);
          areSomeLost = data[1] < 2 * times;
        }
        assert(areSomeLost, "a load and a store must lose some: this machine shows nothing");
      }),
  );
}

Deno.test("the instructions of shm_attach.py compare and exchange on this processor", async () => {
  const text = Deno.readTextFileSync(
    new URL("../../examples/python/shm_attach.py", import.meta.url),
  );
  const [, block] = new RegExp(`"${Deno.build.arch}": \\(\n([^)]*)\\)`).exec(text)!;
  const code = Uint8Array.from(
    Array.from(block.matchAll(/^ *"([0-9a-f ]+)"/gm), ([, hex]) => hex.split(" ")).flat(),
    (byte) => parseInt(byte, 16),
  );
  const { symbols: libc } = Deno.dlopen("libc.so.6", {
    memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
    mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    munmap: { parameters: ["pointer", "usize"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  });
  // As shm_attach.py does it: /dev/shm itself may be a place from which nothing is executed.
  const fd = libc.memfd_create(new TextEncoder().encode("code\0"), 1); // MFD_CLOEXEC
  const map = (protection: number): Deno.PointerObject => {
    const found = libc.mmap(0n, 4096n, protection, 1, fd, 0n)!; // MAP_SHARED
    assert(Deno.UnsafePointer.value(found) !== 2n ** 64n - 1n);
    return found;
  };
  try {
    const page = new Uint8Array(4096);
    page.set(code);
    Deno.writeFileSync(`/proc/self/fd/${fd}`, page);
    const instructions = map(1 | 4); // PROT_READ | PROT_EXEC
    const memory = map(1 | 2); // the word is behind the code
    const at = Deno.UnsafePointer.value(memory) + 2048n;
    const define = { parameters: ["pointer", "u32", "u32"], result: "u32" } as const;
    const exchange = new Deno.UnsafeFnPointer(instructions as Deno.PointerObject<never>, define);
    const word = Deno.UnsafePointer.create(at);
    assertEquals(exchange.call(word, 0, 2 ** 32 - 1), 0);
    assertEquals(exchange.call(word, 0, 5), 2 ** 32 - 1);
    assertEquals(exchange.call(word, 2 ** 32 - 1, 0), 2 ** 32 - 1);
    const times = 50_000;
    const add = `(exchange, word) => {
      for (let i = 0; i < ${times}; i++) {
        let seen = 0;
        for (let found; (found = exchange.call(word, seen, seen + 1)) !== seen; seen = found);
      }
    }`;
    const worker = new Worker(
      URL.createObjectURL(
        new Blob([`
          const pointer = (value) => Deno.UnsafePointer.create(value);
          const exchange = new Deno.UnsafeFnPointer(
            pointer(${Deno.UnsafePointer.value(instructions)}n), ${JSON.stringify(define)});
          self.onmessage = () => {
            (${add})(exchange, pointer(${at}n));
            self.postMessage("done");
          };
          self.postMessage("ready");
        `], { type: "text/javascript" }),
      ),
      { type: "module" },
    );
    const answer = () =>
      new Promise<string>((resolve) => worker.onmessage = (e) => resolve(e.data));
    assertEquals(await answer(), "ready");
    worker.postMessage(null);
    const done = answer();
    new Function("exchange", "word", `(${add})(exchange, word)`)(exchange, word);
    await done;
    worker.terminate();
    assertEquals(exchange.call(word, 0, 0), 2 * times);
    for (const each of [instructions, memory]) libc.munmap(each, 4096n);
  } finally {
    libc.close(fd);
  }
});

// --- Putting and taking ----------------------------------------------------------------------

eachNumPyTest(
  "Deno puts and calls, Python takes and answers",
  (python) =>
    withQueue(4, async (queue) => {
      await using teller = startPython(
        python,
        `
queue = attach(name)
tell(type(queue).__name__, queue.name == name, queue.slots, queue.message_bytes, queue.keep_failed)
for item in queue.items():
    with item:
        message = item.message
        if message == "fail":
            item.fail(ValueError("no such tile"))
        elif message == "text":
            item.fail("just text")
        elif message == "release" and item.attempt == 1 and item.wanted:
            item.release()
            with queue.take() as again:  # it has kept its place
                tell([again.message, again.attempt, again.complete(again.slot)])
        elif message == "leave" and item.attempt < 3:
            continue
        else:
            answer = [message, item.attempt, item.wanted]
            assert item.complete(answer) is True
            assert not item.wanted and raised(item.complete) == "ValueError" and raised(item.release) == "ValueError"
tell("end", queue.is_ended)
`,
        [queue.name],
      );
      assertEquals(await told(teller), ["Queue", true, 4, 1024, false]);
      const messages: Json[] = [
        null,
        true,
        -1.5,
        "ä€🎉\0\ud800",
        [1, { a: [] }],
        { b: { c: "d" } },
        "",
      ];
      for (const message of messages) {
        assertEquals(await queue.call(message), [message, 1, true]);
      }
      const answers = await Promise.all([1, 2, 3, 4].map((n) => queue.call(n)));
      assertEquals(answers, [1, 2, 3, 4].map((n) => [n, 1, true]));
      for (
        const [message, name, text] of [["fail", "ValueError", "no such tile"], [
          "text",
          "Error",
          "just text",
        ]]
      ) {
        const failure = await rejectionOf(queue.call(message));
        assertEquals([failure.name, failure.message], [name, text]);
      }
      assertEquals(await queue.call("leave"), ["leave", 3, true]);
      queue.put("release");
      assertEquals((await told(teller)).slice(0, 2), ["release", 1]);
      const given = await rejectionOf(queue.call("leave", { attempts: 2 }));
      assert(given.message.includes("given up after 2 attempts"), given.message);
      const { completed, failed } = queue.counts();
      assertEquals([completed, failed], [messages.length + 4 + 2, 3]);
      queue.end();
      assertEquals(await told(teller), ["end", true]);
      await queue.drainedAsync({ timeout: 60_000 });
    }),
);

for (const isLate of [false, true]) {
  eachNumPyTest(
    isLate
      ? "it is found out that Python counts after it has woken"
      : "who has an answer of Python's finds it counted",
    (python) =>
      withQueue(1, async (queue) => {
        for (const way of ["complete", "fail", "leave"]) {
          const answer = queue.call(way, { attempts: 1 }).catch(() => {});
          // It stops itself as soon as it has woken its caller: what it does later comes too late.
          await using _teller = startPython(
            python,
            `
queue = Queue(name)
advance, count = queue._advance, queue._count
def stop(at, most):
    advance(at, most)
    os.kill(os.getpid(), signal.SIGSTOP)
late = []
item = queue.take()
queue._advance = stop
${isLate ? "queue._count = late.append; look = queue._look_for_end" : ""}
${isLate ? "queue._look_for_end = lambda: ([count(each) for each in late], look())" : ""}
if item.message == "complete":
    item.complete()
elif item.message == "fail":
    item.fail("no")
else:
    with item:
        pass
`,
            [queue.name],
          );
          await answer;
        }
        const { completed, failed } = queue.counts();
        assertEquals([completed, failed], isLate ? [0, 0] : [1, 2]);
      }),
  );
}

eachNumPyTest(
  "Python puts, Deno takes; what cannot be put puts nothing",
  (python) =>
    withQueue(2, async (queue) => {
      await using teller = startPython(
        python,
        `
queue = Queue(name)
def fail(slot):
    raise KeyError(slot)
cyclic = []
cyclic.append(cyclic)
tell([raised(lambda: queue.put(bad)) for bad in ("x" * 63, float("nan"), object(), cyclic, fail, lambda slot: b"")])
tell([raised(lambda: queue.put(1, attempts=n)) for n in (0, 31)] + [raised(lambda: queue.put(1, timeout=-1))])
slots = []
def fill(slot):
    slots.append(slot)
    return {"slot": slot, "text": "\\ud83c\\udf89\\ud800"}
queue.put(fill)
queue.put([1, None], attempts=1)
tell(slots, raised(lambda: queue.put(1, timeout=0)), raised(lambda: queue.put(1, timeout=0.02)))
tell("waiting")
queue.put("last")
queue.drained()
tell("drained")
sys.stdin.readline()
tell(raised(lambda: queue.put(1)), queue.take(), list(queue.items()), queue.is_ended, raised(lambda: queue.drained(1)))
`,
        [queue.name],
      );
      assertEquals(await told(teller), [
        "ValueError",
        "TypeError",
        "TypeError",
        "TypeError",
        "KeyError",
        "TypeError",
      ]);
      assertEquals(await told(teller), ["ValueError", "ValueError", "ValueError"]);
      const [slots, ...full] = await told(teller);
      assertEquals(full, ["TimeoutError", "TimeoutError"]);
      assertEquals(await told(teller), "waiting");
      assertEquals(statesOf(queue), { waiting: 2 });
      await untilWaiting(teller);
      const first = queue.take()!;
      assertEquals([first.message, first.attempt, first.slot], [
        { slot: slots[0], text: "🎉\ud800" },
        1,
        slots[0],
      ]);
      first.complete();
      const second = queue.take()!;
      assertEquals(second.message, [1, null]);
      second[Symbol.dispose](); // it has one attempt
      const last = (await queue.takeAsync({ timeout: 60_000 }))!;
      assertEquals(last.message, "last");
      await untilWaiting(teller);
      last.complete();
      assertEquals(await told(teller), "drained");
      const { put, completed, failed } = queue.counts();
      assertEquals([put, completed, failed], [3, 2, 1]);
      queue.end();
      await teller.write("\n");
      assertEquals(await told(teller), ["BrokenPipeError", null, [], true, null]);
    }, { messageBytes: 64 }),
);

eachNumPyTest(
  "sleepers are woken between Python and Deno, and do not just look now and then",
  (python) =>
    withQueue(1, async (queue) => {
      await using teller = startPython(
        python,
        `
Queue._SLICE = Queue._LONG_SLICE = 600.0  # nothing is found by a look after a slice
queue = Queue(name)
tell("ready")
tell(queue.take().message)  # the item stays taken
tell(queue.take() is None)
`,
        [queue.name],
      );
      await using other = startPython(
        python,
        `
Queue._SLICE = Queue._LONG_SLICE = 600.0
queue = Queue(name)
tell("ready")
sys.stdin.readline()
queue.put("two")
tell("put")
sys.stdin.readline()
queue.drained()
tell("drained")
`,
        [queue.name],
      );
      assertEquals([await told(teller), await told(other)], ["ready", "ready"]);
      await untilWaiting(teller);
      queue.put("one");
      assertEquals(await told(teller), "one");
      await other.write("\n");
      await untilWaiting(other);
      await untilWaiting(teller);
      const answered = told(other);
      // A taker in Python holds the only slot. Its end frees it, and who wants one is woken.
      const taking = queue.takeAsync({ timeout: 60_000 });
      teller.kill();
      const item = (await taking)!;
      assertEquals([item.message, item.attempt], ["one", 2]);
      item.complete();
      assertEquals(await answered, "put");
      const two = (await queue.takeAsync({ timeout: 60_000 }))!;
      await other.write("\n");
      await untilWaiting(other);
      two.complete();
      assertEquals(await told(other), "drained");
    }),
);

eachNumPyTest(
  "a queue of Python's is one of Deno's, and both say what it is",
  (python) =>
    withNames(async (name) => {
      await using teller = startPython(
        python,
        `
mine = Queue.create(name, 3, message_bytes=100, keep_failed=True, mode=0o640)
tell([raised(lambda: Queue.create(name, 3)), raised(lambda: Queue.create(name + "x", 0)),
      raised(lambda: Queue.create(name + "x", 4097)), raised(lambda: Queue.create(name + "x", 1, message_bytes=63)),
      raised(lambda: Queue.create("memfd:1:2:3", 1))])
mine.put("fails")
with mine.take() as item:
    item.fail(OSError("too large"))
mine.put("kills", attempts=1)
with mine.take() as item:
    pass
mine.end()
tell(mine.take(), raised(lambda: mine.drained(5)))
sys.stdin.readline()
`,
        [name],
      );
      assertEquals(await told(teller), [
        "FileExistsError",
        "ValueError",
        "ValueError",
        "ValueError",
        "ValueError",
      ]);
      assertEquals(await told(teller), [null, null]);
      const options = { messageBytes: 100, keepFailed: true };
      using queue = new SharedMemoryQueue(name, 3, options).load();
      const found = SharedMemoryArray.list().find((each) => each.name === name)!;
      assertEquals([found.kind, found.mode], ["queue", 0o640]);
      assertEquals(
        Deno.readFileSync(segmentPath(name)).length,
        words.queueBytes({ slots: 3, ...options }),
      );
      assertEquals(statesOf(queue), { answered: 2 });
      const first = queue.takeFailed()!;
      assertEquals(
        [first.message, first.attempts, first.error.name, first.error.message],
        ["fails", 1, "OSError", "too large"],
      );
      const second = queue.takeFailed()!;
      assertEquals([second.message, second.attempts], ["kills", 1]);
      assertEquals([queue.takeFailed(), queue.isEnded], [null, true]);
    }),
);

// --- The dead --------------------------------------------------------------------------------

/** A Python program that takes one item, says so, and hangs. */
const hangInPython = `
queue = Queue(name)
item = queue.take()
tell("taken", item.attempt)
time.sleep(600)
`;

eachNumPyTest(
  "an item of a killed taker goes from Python to Deno, and from Deno to Python",
  (python) =>
    withQueue(2, async (queue, other) => {
      const answer = rejectionOf(queue.call("tile", { attempts: 3 }));
      await using first = startPython(python, hangInPython, [queue.name]);
      assertEquals(await told(first), ["taken", 1]);
      const [holder] = queue.holders();
      assertEquals([holder.pid, holder.attempt], [first.pid, 1]);
      assert(Math.abs(Date.now() - holder.since) < 60_000);
      const taking = startMember(other, hang);
      const member = await taking;
      first.kill();
      assertEquals(await member.line(), "taken 2");
      await using third = startPython(python, hangInPython, [queue.name]);
      await untilWaiting(third);
      await member.kill();
      assertEquals(await told(third), ["taken", 3]);
      third.kill();
      assertEquals(
        (await answer).message,
        `Cannot call '${queue.name}': given up after 3 attempts, whose takers died`,
      );
      assertEquals(statesOf(queue), {});
      assertEquals(queue.counts().failed, 1);
    }),
);

eachNumPyTest(
  "Python rescues what Deno's dead have left, and takes no call of a dead one",
  (python) =>
    withQueue(3, async (queue) => {
      const filler = await startMember(
        queue,
        `queue.putAsync(() => { say("filling"); return new Promise((resolve) => globalThis.resolve = resolve); });
      setInterval(() => {}, 1000);`,
      );
      assertEquals(await filler.line(), "filling");
      const caller = await startMember(
        queue,
        `queue.call("wanted"); queue.call("done", { read: () => { say("reading"); return new Promise((resolve) => globalThis.resolve = resolve); } });
      say("called"); setInterval(() => {}, 1000);`,
      );
      assertEquals(await caller.line(), "called");
      const wanted = queue.take()!;
      assertEquals(wanted.message, "wanted");
      queue.take()!.complete();
      assertEquals(await caller.line(), "reading");
      wanted.release();
      assertEquals(statesOf(queue), { filling: 1, waiting: 1, answered: 1 });
      await using teller = startPython(
        python,
        `
queue = Queue(name)
tell(raised(lambda: queue.put(0, timeout=0)))
sys.stdin.readline()
tell(raised(lambda: [queue.put(n, timeout=60) for n in (1, 2, 3)]), raised(lambda: queue.put(4, timeout=0)))
tell([queue.take().message for _ in range(3)])
sys.stdin.readline()
`,
        [queue.name],
      );
      assertEquals(await told(teller), "TimeoutError");
      queue.close(); // nobody else rescues
      await Promise.all([filler.kill(), caller.kill()]);
      await teller.write("\n");
      assertEquals(await told(teller), [null, "TimeoutError"]);
      assertEquals(await told(teller), [1, 2, 3]);
    }),
);

eachNumPyTest(
  "a taker in Python that forked, and is killed, gives its items up at once",
  (python) =>
    withQueue(2, async (queue) => {
      queue.put("a");
      await using teller = startPython(
        python,
        `
queue = Queue(name)
item = queue.take()
child = os.fork()
if child == 0:
    time.sleep(600)
    os._exit(0)
tell(child)
time.sleep(600)
`,
        [queue.name],
      );
      const child = await told(teller);
      try {
        assertEquals(errorNameOf(() => queue.take({ timeout: 100 })), "TimeoutError");
        teller.kill();
        const item = queue.take({ timeout: 60_000 })!;
        assertEquals([item.message, item.attempt], ["a", 2]);
      } finally {
        Deno.kill(child, "SIGKILL");
      }
    }),
);

function errorNameOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return (error as Error).name;
  }
}

eachNumPyTest(
  "a child that Python forked has none of its parent's items, and takes for itself",
  (python) =>
    withQueue(3, async (queue) => {
      for (const n of [1, 2, 3]) queue.put(n);
      const program = `
queue = Queue(name)
item = queue.take()
def child():
    with item:  # leaving it gives nothing back
        found = [item.wanted, raised(item.complete), raised(lambda: item.fail("no")), raised(item.release)]
    with queue.take(timeout=60) as own:
        found += [own.message, own.attempt, own.complete()]
    queue.take(timeout=60)  # it ends with this
    return found
tell(forked(child))
again = queue.take(timeout=60)
tell(again.message, again.attempt, again.complete(), item.wanted, item.complete())

# The child returns from the parent's function, and must not put in its place.
def split(slot):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return os.getpid()
before = os.getpid()
try:
    queue.put(split)
    result = None
except ValueError as error:
    result = str(error)
if os.getpid() != before:
    os._exit(0 if "forked" in result else 1)
tell(result, queue.take(timeout=60).message == before)
queue.close()
tell(forked(lambda: raised(lambda: queue.take(timeout=0))))
`;
      await using teller = startPython(python, program, [queue.name]);
      assertEquals(await told(teller), [
        false,
        "ValueError",
        "ValueError",
        "ValueError",
        2,
        1,
        true,
      ]);
      assertEquals(await told(teller), [3, 2, true, true, true]);
      assertEquals(await told(teller), [null, true]);
      assertEquals(await told(teller), "ValueError");
      const { put, completed } = queue.counts();
      assertEquals([put, completed], [4, 3]);
    }),
);

// --- Time limits -----------------------------------------------------------------------------

eachNumPyTest(
  "a call that is given up stays in its slot until Python lets go, however it does",
  (python) =>
    withQueue(1, async (queue) => {
      await using teller = startPython(
        python,
        `
queue = Queue(name)
def end(how, item):
    if how == "complete":
        return item.complete("late")
    if how == "fail":
        return item.fail("late")
    if how == "release":
        return item.release()
    if how == "close":
        return queue.close()
    with item:
        return None
for line in sys.stdin:
    item = queue.take()
    tell(item.wanted)
    sys.stdin.readline()
    tell(item.wanted, end(line.strip(), item))
    tell(item.wanted, raised(item.complete))
`,
        [queue.name],
      );
      for (
        const [how, result] of [["complete", false], ["fail", false], ["release", null], [
          "leave",
          null,
        ], ["close", null]]
      ) {
        const controller = new AbortController();
        const call = rejectionOf(queue.call("given up", { signal: controller.signal }));
        await teller.write(`${how}\n`);
        assertEquals(await told(teller), true);
        controller.abort();
        assertEquals((await call).name, "AbortError");
        assertEquals(statesOf(queue), { taken: 1 });
        assertEquals(queue.tryPut(1), false);
        await teller.write("\n");
        assertEquals(await told(teller), [false, result]);
        assertEquals(await told(teller), [false, "ValueError"]);
        assertEquals(statesOf(queue), {});
      }
      assertEquals([queue.counts().completed, queue.counts().failed], [0, 0]);
    }),
);

eachNumPyTest(
  "a taker in Python sees that its caller was killed: nobody wants its items any more",
  (python) =>
    withQueue(2, async (queue) => {
      await using teller = startPython(
        python,
        `
queue = Queue(name)
ends = {"complete": lambda item: item.complete("late"), "fail": lambda item: item.fail("late"),
        "release": lambda item: item.release(), "leave": lambda item: item.__exit__()}
for line in sys.stdin:
    asked, unasked = queue.take(timeout=30), queue.take(timeout=30)
    tell(asked.wanted, unasked.wanted)
    sys.stdin.readline()
    end = time.monotonic() + 30
    while asked.wanted and time.monotonic() < end:
        time.sleep(0.001)
    tell(asked.wanted, *[ends[line.strip()](item) for item in (asked, unasked)])
`,
        [queue.name],
      );
      for (
        const [how, result] of [["complete", false], ["fail", false], ["release", null], [
          "leave",
          null,
        ]]
      ) {
        const caller = await startMember(
          queue,
          `queue.call("a"); queue.call("b"); say("called"); setInterval(() => {}, 1000);`,
        );
        assertEquals(await caller.line(), "called");
        await teller.write(`${how}\n`);
        assertEquals(await told(teller), [true, true]);
        await caller.kill();
        await teller.write("\n");
        assertEquals(await told(teller), [false, result, result]);
        assertEquals([queue.tryPut(1), queue.tryPut(2)], [true, true]);
        for (const _ of [1, 2]) queue.take()!.complete();
      }
      assertEquals([queue.counts().completed, queue.counts().failed], [8, 0]);
    }),
);

eachNumPyTest(
  "a call that is given up is over when its taker in Python is killed",
  (python) =>
    withQueue(1, async (queue, other) => {
      await using teller = startPython(python, `tell("ready")\n${hangInPython}`, [queue.name]);
      assertEquals(await told(teller), "ready");
      const failure: Error & { pid?: number } = await endWhileTaken(
        (timeout) => rejectionOf(queue.call(1, { timeout })),
        () => queue.counts().taken === 1,
        500,
      );
      assertEquals(await told(teller), ["taken", 1]);
      assertEquals(failure.pid, teller.pid);
      assertEquals(queue.tryPut(1), false);
      teller.kill();
      other.put("after", { timeout: 60_000 });
      assertEquals(queue.take()!.message, "after");
    }),
);

eachNumPyTest(
  "take() of Python waits so long, and a signal interrupts it",
  (python) =>
    withQueue(1, async (queue) => {
      const found = await askPython(
        python,
        `
queue = Queue(name)
def interrupt(*_):
    raise KeyError
signal.signal(signal.SIGALRM, interrupt)
first = raised(lambda: (signal.setitimer(signal.ITIMER_REAL, 0.05), queue.take(timeout=60)))
begin = time.monotonic()
tell([first, raised(lambda: queue.take(timeout=0)), raised(lambda: queue.take(timeout=0.1)),
      time.monotonic() - begin >= 0.1, raised(lambda: queue.take(timeout=-1))])
`,
        queue.name,
      );
      assertEquals(found, ["KeyError", "TimeoutError", "TimeoutError", true, "ValueError"]);
      assertEquals(queue.tryPut(1), true);
    }),
);

eachNumPyTest(
  "an item is in somebody's hands after an interrupt of take(), wherever that comes",
  (python) =>
    withQueue(2, async (queue) => {
      queue.put("only");
      const found = await askPython(
        python,
        `
queue, other = Queue(name), Queue(name)
def look():
    item = other.take(timeout=0)
    item.release()
    return [item.message, item.attempt, len(queue._held)]
found, count, item = interrupted(Queue.take, lambda: queue.take(timeout=0), look)
tell(found, count > 100, raised(lambda: other.take(timeout=0)))
`,
        queue.name,
      );
      // Taken out (_take_back()): a TimeoutError. The control: what is taken is not there for another one.
      assertEquals(found, [[["only", 1, 0]], true, "TimeoutError"]);
    }),
);

eachNumPyTest(
  "a slot is filled or free after an interrupt of put(), wherever that comes",
  (python) =>
    withQueue(2, async (queue) => {
      const found = await askPython(
        python,
        `
queue = Queue(name)
def count_of(state):
    return [word & 7 for word in queue._states()].count(state)
def look():
    # Put or not: nothing is being filled, and what was put can be taken.
    filling = count_of(S._FILLING)
    raised(lambda: queue.take(timeout=0).complete())
    return [filling, len(queue._own), [word & 7 for word in queue._states()]]
found, count, _ = interrupted(Queue.put, lambda: queue.put("x", timeout=0), look)
told = [found, count > 100, count_of(S._WAITING)]
queue.take().complete()
def fill(slot):
    queue.put("another", timeout=0)
    raise KeyError
tell(*told, raised(lambda: queue.put(fill)), count_of(S._WAITING), len(queue._own))
`,
        queue.name,
      );
      // Taken out (the notes before the slot is claimed): also [1, ...]. The control: what was put waits, also where the
      // function that put it fails.
      assertEquals(found, [[[0, 0, [0, 0]]], true, 1, "KeyError", 1, 0]);
    }),
);

// --- Threads, names, kinds -------------------------------------------------------------------

eachNumPyTest(
  "put() of Python takes no slot away from another thread, when what it put is over already",
  (python) =>
    withQueue(1, async (queue) => {
      await using teller = startPython(
        python,
        `
queue, advance = Queue(name), Queue._advance
put, claimed, errors = threading.Event(), threading.Event(), []
def late(self, at, count):
    # The thread that has put loses the processor, until the other one has the slot.
    if threading.current_thread() is first and at == self._header_at("WORK"):
        put.set()
        claimed.wait()
    advance(self, at, count)
Queue._advance = late
def fill(slot):
    claimed.set()
    first.join()
    errors.append(queue._state(slot) & 7 == S._FILLING)
    return "second"
first = threading.Thread(target=lambda: errors.append(raised(lambda: queue.put("first"))))
second = threading.Thread(target=lambda: errors.append(raised(lambda: queue.put(fill))))
first.start()
put.wait()  # and not until the item waits: a taker may have it before this thread looks
second.start()
second.join()
tell(errors)
`,
        [queue.name],
      );
      const first = queue.take()!;
      assertEquals(first.message, "first");
      // The control: as long as the item is not over, the other thread waits.
      await sleep(100);
      assertEquals(queue.counts().filling, 0);
      first.complete();
      // Taken out (the slot is given back if nothing was put only): [null, false, "ValueError"].
      assertEquals(await told(teller), [null, true, null]);
      assertEquals(queue.take()!.message, "second");
    }),
);

eachNumPyTest(
  "threads of Python share a queue: each item is in one hand",
  (python) =>
    withQueue(8, async (queue) => {
      await using teller = startPython(
        python,
        `
queue = Queue(name)
seen, lock = [], threading.Lock()
def work():
    for item in queue.items():
        with item:
            with lock:
                seen.append(item.message)
            item.complete(item.message * 2)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
tell("ready")
for thread in threads:
    thread.join()
tell(sorted(seen))
`,
        [queue.name],
      );
      assertEquals(await told(teller), "ready");
      const numbers = Array.from({ length: 300 }, (_, n) => n);
      const answers = await Promise.all(numbers.map((n) => queue.call<number>(n)));
      assertEquals(answers, numbers.map((n) => 2 * n));
      queue.end();
      assertEquals(await told(teller), numbers);
    }),
);

eachNumPyTest(
  "a queue that was removed is FileNotFoundError for Python, when nothing is left",
  (python) =>
    withQueue(3, (queue) =>
      withQueue(1, async (empty) => {
        await using teller = startPython(
          python,
          `
queue, empty = Queue(name), Queue(sys.argv[2])
tell("ready")
tell(raised(lambda: empty.take()))  # it sleeps
tell(queue.take().message, raised(lambda: queue.take()), raised(lambda: queue.take(timeout=0)))
tell([raised(use) for use in (lambda: queue.put(1), lambda: Queue(name), lambda: attach(name))])
queue.close()
queue.close()
tell([raised(use) for use in (queue.take, lambda: queue.put(1), queue.end, queue.drained, lambda: list(queue.items()))])
`,
          [queue.name, empty.name],
        );
        assertEquals(await told(teller), "ready");
        queue.put("left");
        queue.unlink();
        await untilWaiting(teller);
        empty.unlink();
        assertEquals(await told(teller), "FileNotFoundError");
        assertEquals(await told(teller), ["left", "FileNotFoundError", "FileNotFoundError"]);
        assertEquals(await told(teller), Array(3).fill("FileNotFoundError"));
        assertEquals(await told(teller), Array(5).fill("ValueError"));
        // close() has given the item back.
        assertEquals(queue.take()!.message, "left");
      })),
);

eachNumPyTest(
  "Python attaches to an anonymous queue, as long as its creator lives",
  async (python) => {
    const child = await startMember(
      SharedMemoryQueue.createAnonymous(2),
      `const own = SharedMemoryQueue.createAnonymous(2, { messageBytes: 128 });
    say(own.name);
    say(JSON.stringify(await own.call("to Python")));
    setInterval(() => {}, 1000);`,
    );
    const name = await child.line();
    assert(name.startsWith("memfd:"));
    await using teller = startPython(
      python,
      `
queue = attach(name)
with queue.take() as item:
    tell(queue.message_bytes, item.message, item.complete("from Python"))
tell(raised(lambda: queue.take()), raised(lambda: queue.put(1)), raised(lambda: Queue(name)))
`,
      [name],
    );
    assertEquals(await told(teller), [128, "to Python", true]);
    assertEquals(await child.line(), '"from Python"');
    await child.kill();
    assertEquals(await told(teller), Array(3).fill("FileNotFoundError"));
  },
);

eachNumPyTest(
  "Queue of Python refuses another kind, and other kinds refuse a queue",
  (python) =>
    withNames(async (name, locked) => {
      using queue = new SharedMemoryQueue(name, 2).create();
      using _lock = new SharedMemoryLock(locked).create();
      const before = [name, locked].map((each) => Deno.readFileSync(segmentPath(each)));
      const found = await askPython(
        python,
        `tell([raised(lambda: Queue(sys.argv[2])), raised(lambda: Lock(name)), raised(lambda: Ring(name, (4,), "uint8")),
      raised(lambda: attach(name, (4,), "uint8")), raised(lambda: attach(name, dtype="uint8")), raised(lambda: Queue("a/b"))])`,
        name,
        locked,
      );
      assertEquals(found, [
        "TypeError",
        "ValueError",
        "TypeError",
        "TypeError",
        "ValueError",
        "ValueError",
      ]);
      assertEquals([name, locked].map((each) => Deno.readFileSync(segmentPath(each))), before);
      assertEquals(queue.counts().put, 0);
    }),
);

// --- Hostile words ---------------------------------------------------------------------------

eachNumPyTest(
  "Queue of Python refuses words that cannot be",
  (python) =>
    withQueue(2, async (queue) => {
      await using teller = startPython(
        python,
        `
queue = Queue(name)
uses = {"make": lambda: Queue(name), "put": lambda: queue.put(1, timeout=0), "take": lambda: queue.take(timeout=0),
        "drain": lambda: queue.drained(timeout=0), "sleep": lambda: queue.take(timeout=120)}
tell("ready")
for line in sys.stdin:
    time.sleep(0.03)  # the next look looks for the dead
    begin = time.monotonic()
    tell(raised(uses[line.strip()]), time.monotonic() - begin < 60)
`,
        [queue.name],
      );
      assertEquals(await told(teller), "ready");
      const use = async (what: string): Promise<string | null> => {
        await teller.write(`${what}\n`);
        const [error, isSoon] = await told(teller);
        assert(isSoon);
        return error;
      };
      const clean = Deno.readFileSync(segmentPath(queue.name));
      const word = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
      const reset = () => poke(queue.name, 16, clean.subarray(16));
      for (
        const [at, value] of [
          [words.SLOTS.at, 0],
          [words.SLOTS.at, 4097],
          [words.SLOTS.at, 4000],
          [words.MESSAGE_BYTES.at, 63],
          [words.MESSAGE_BYTES.at, 2 ** 31],
          [words.MESSAGE_BYTES.at, 100_000],
          [words.KEEP_FAILED.at, 2],
        ]
      ) {
        poke(queue.name, at, word(value));
        assertEquals(await use("make"), "InvalidData", `${at} ${value}`);
        poke(queue.name, 8, clean.subarray(8, 20));
      }
      const { stateWord } = words;
      for (
        const state of [
          stateWord(words.FREE, 0, 5),
          stateWord(words.FREE, 3, 0),
          stateWord(words.FILLING, 0, 0),
          stateWord(words.FILLING, 2, 9),
          stateWord(words.TAKEN, 0, 0),
          stateWord(words.DROPPED, 1, 0),
          stateWord(words.DONE, 0, 0),
          stateWord(words.FAILED, 0, 0),
          stateWord(words.GIVEN_UP, 31, 7),
        ]
      ) {
        poke(queue.name, words.STATE.at + 4, word(state));
        for (const what of ["take", "drain", "sleep"]) {
          assertEquals(await use(what), "InvalidData", `${what} ${state.toString(16)}`);
        }
        reset();
      }
      poke(queue.name, words.ENDED.at, word(2));
      for (const what of ["put", "take", "sleep"]) assertEquals(await use(what), "InvalidData");
      assertEquals(statesOf(queue), {}); // what put() had claimed is free
      reset();
      const part = words.partsStart(2);
      for (
        const [name, value] of [
          [words.ATTEMPTS, 0],
          [words.ATTEMPTS, 31],
          [words.MESSAGE_LENGTH, 0],
          [words.MESSAGE_LENGTH, 1025],
        ] as const
      ) {
        const failure = rejectionOf(queue.call(1));
        for (const slot of [0, 1]) poke(queue.name, part + 64 * slot + name.at, word(value));
        assertEquals(await use("take"), "InvalidData");
        assertEquals((await failure).name, "InvalidData");
      }
      const failure = rejectionOf(queue.call("hello"));
      const texts = words.messageStart(0, { slots: 2, messageBytes: 1024, keepFailed: false });
      for (const slot of [0, 1]) {
        poke(queue.name, texts + 2048 * slot, new TextEncoder().encode("[NaN]"));
      }
      assertEquals(await use("take"), "InvalidData");
      assertEquals((await failure).name, "InvalidData");
      assertEquals(statesOf(queue), {});
    }),
);

eachNumPyTest(
  "with hostile headers all of Python's Queue ends soon, by a result or an error of its own",
  (python) =>
    withNames(async (name) => {
      const rounds = Math.round(300 * scale);
      const found = await askPython(
        python,
        `
import random
draw = random.Random(25).randrange
wrong = []
for n in range(${rounds}):
    one = Queue.create(name, 3, keep_failed=n % 2 == 0)
    other = Queue(name)
    one.put("an item")
    one.put("another one")
    if n % 3 == 0:
        other.take()
    words = memoryview(one._map).cast("I")
    for _ in range(1 + draw(6)):
        values = (0, 1, 2**32 - 1, draw(2**32), draw(8) + 256 * draw(4), draw(64))
        words[4 + draw(S._queue_texts(3) // 4 - 4)] = values[draw(len(values))]
    words.release()
    def complete():
        with other.take(timeout=0.005) as item:
            item.complete(1)
    def fail():
        other.take(timeout=0.005).fail("no")
    begin = time.monotonic()
    for use in (lambda: Queue(name).close(), lambda: one.put(1, timeout=0.005), complete, fail,
                lambda: one.drained(timeout=0.005), one.end, lambda: other.take(timeout=0.005), other.close):
        try:
            use()
        except AttributeError as error:
            if "NoneType" not in str(error):  # take() has given None
                wrong.append([n, repr(error)])
        except (S.InvalidData, TimeoutError, BrokenPipeError, BlockingIOError, ValueError) as error:
            if "Cannot " not in str(error):
                wrong.append([n, repr(error)])
        except BaseException as error:
            wrong.append([n, repr(error)])
    if time.monotonic() - begin > 60:
        wrong.append([n, "it took long"])
    S.unlink(name)
tell(wrong)
`,
        name,
      );
      assertEquals(found, []);
      assertEquals(segmentExists(name), false);
    }),
);
