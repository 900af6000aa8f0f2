/**
 * `examples/python/shm_attach.py` beside this library: forks, kills, closed instances, names, ends, hostile words.
 * What both do together in quiet times stands in `interchange_test.ts`, `lock_test.ts`, `ring_test.ts` and
 * `versions_test.ts`.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { EndedError, SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryLock } from "@shm/array/sync";

import { magics } from "../../src/words.ts";
import { LOCK_BYTES, lockWords } from "../../src/sync/lock_words.ts";
import * as headerWords from "../../src/publish/header_words.ts";
import { changedCopy, never } from "../helpers/changed_copy.ts";
import type { Python } from "../helpers/find_python.ts";
import {
  greedyProgram,
  greedyPython,
  late,
  OFTEN,
  sectionsWhileAsleep,
  waitingProgram,
  waitingPython,
} from "../helpers/greedy.ts";
import { segmentPath } from "../helpers/helpers.ts";
import {
  partOf,
  poke,
  pokeNumber,
  segmentsOf,
  sleep,
  withPublication,
} from "../helpers/publish_helpers.ts";
import { eachNumPyTest } from "../helpers/python.ts";
import { askPython as ask, startPython as start, told } from "../helpers/python_teller.ts";
import { scale } from "../helpers/scale.ts";
import { Teller, untilWaiting, Words } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** The words of a segment, from outside of any attachment. */
function words(name: string): Int32Array {
  return new Int32Array(Deno.readFileSync(segmentPath(name)).buffer);
}

// --- Words -----------------------------------------------------------------------------------

eachNumPyTest("shm_attach.py has the words of the files of words", async (python) => {
  const found = await ask(
    python,
    `tell({
    "lock": S.LOCK_WORDS, "lockBytes": S.LOCK_BYTES, "header": S.HEADER_WORDS, "headerBytes": S.HEADER_BYTES,
    "magics": [magic.decode() for magic in (S.LOCK_MAGIC, S.RING_MAGIC, S.VERSIONS_MAGIC)],
})`,
    "",
  );
  const table = (all: readonly { name: string; at: number; type: string }[]) =>
    Object.fromEntries(all.map(({ name, at, type }) => [name, [at, type]]));
  const header = Object.values(headerWords).filter((word) => typeof word === "object");
  assertEquals(found, {
    lock: table(lockWords),
    lockBytes: LOCK_BYTES,
    header: table(header),
    headerBytes: headerWords.HEADER_BYTES,
    magics: [magics.lock, magics.ring, magics.versions].map(({ text }) => text),
  });
});

eachNumPyTest(
  "shm_attach.py changes a word by one atomic operation",
  (python) =>
    withPublication(async (name) => {
      using words = new SharedMemoryArray([4], "int32", name);
      const { data } = words.create();
      const times = 20_000 * scale;
      const program = `
array = attach(name, (4,), "int32")
words = S._word(array, 0)
plain = attach(name, (4,), "int32")
tell("ready")
while plain[2] == 0:
    pass
for _ in range(${times}):
    S._atomic(S._ADD, words, 0, 2)
    S._atomic(S._OR, words, 0, 1)
    plain[1] = plain[1] + 1
tell("done")
`;
      // The control is that a load and a store lose some. On a busy machine the programs may not run at one time.
      let areSomeLost = false;
      for (let tries = 0; !areSomeLost && tries < 20; tries++) {
        data.fill(0);
        await using one = start(python, program, [name]);
        await using two = start(python, program, [name]);
        assertEquals([await told(one), await told(two)], ["ready", "ready"]);
        Atomics.store(data, 2, 1);
        let rounds = 0;
        const done = Promise.all([told(one), told(two)]).then(() => true);
        // This program adds, too; when the others have ended, the sum must be that of all three.
        do {
          for (let i = 0; i < 1000; i++, rounds++) Atomics.add(data, 0, 2);
        } while (!await Promise.race([done, sleep(0)]));
        assertEquals(data[0], 2 * (2 * times + rounds) + 1);
        areSomeLost = data[1] < 2 * times;
      }
      assert(areSomeLost, "a load and a store must lose some: this machine shows nothing");
      words.unlink();
    }),
);

eachNumPyTest(
  "wait() of shm_attach.py tells of a notification only",
  (python) =>
    withPublication(async (name) => {
      using words = new SharedMemoryArray([4], "int32", name);
      const { data } = words.create();
      await using teller = start(
        python,
        `
array = attach(name, (4,), "int32")
tell("ready")
tell(wait(array, 0, 0, 2))
tell(wait(array, 0, 0, 1), wait(array, 1, 0, -1), wait(array, 1, 0, float("0")), notify(array, 0, 0))
`,
        [name],
      );
      assertEquals(await told(teller), "ready");
      await untilWaiting(teller);
      Atomics.store(data, 0, 1); // nobody is notified
      assertEquals(await told(teller), "timed-out");
      assertEquals(await told(teller), ["not-equal", "timed-out", "timed-out", 0]);
      words.unlink();
    }),
);

// --- Forks -----------------------------------------------------------------------------------

eachNumPyTest(
  "a holder and writer in Python that forked, and is killed, gives all up at once",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      using ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      using table = new SharedMemoryVersions([4], "uint8", `${name}-v`).create();
      await using teller = start(
        python,
        `
lock, ring, table = Lock(name), Ring(name + "-r", (4,), "uint8"), Versions(name + "-v", (4,), "uint8")
lock.acquire()
ring.write(5)
table.publish(lambda array: array.fill(5))
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
tell(child)
time.sleep(60)
`,
        [name],
      );
      const child = await told(teller);
      try {
        assertThrows(() => ring.write(1), Deno.errors.Busy);
        await assertRejects(() => table.publish(() => {}), Deno.errors.Busy);
        assertEquals(lock.tryAcquire(), null);
        teller.kill();
        {
          using guard = lock.acquire({ timeout: 60_000 });
          assertEquals(guard.abandoned, true);
        }
        assertEquals(ring.write(6), 2);
        assertEquals(await table.publish((next) => next.fill(6)), 2);
      } finally {
        Deno.kill(child, "SIGKILL");
      }
    }),
);

eachNumPyTest(
  "a child that Python forked neither holds nor writes beside its parent",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      using ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      using table = new SharedMemoryVersions([4], "uint8", `${name}-v`).create();
      await using teller = start(
        python,
        `
lock, ring, table = Lock(name), Ring(name + "-r", (4,), "uint8"), Versions(name + "-v", (4,), "uint8")
fill = lambda array: array.fill(5)
ring.write(5)
table.publish(fill)
tell(forked(lambda: ring.write(6)), forked(lambda: ring.end()), forked(lambda: table.publish(fill)))
tell(ring.write(7), table.publish(fill))

# The child leaves "with", too.
def leave():
    lock.__exit__(None, None, None)
    return raised(lambda: lock.acquire(0.03))
lock.acquire()
tell(forked(leave))
sys.stdin.readline()
lock.release()
tell(forked(lambda: raised(lambda: lock.acquire(5))))

# The child returns from the parent's function, and must not publish in its place.
def split(array):
    global child
    array.fill(9)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
child = None
def attempt(action):
    before = os.getpid()
    try:
        result = action()
    except ValueError as error:
        result = str(error)
    if os.getpid() != before:
        os._exit(0)
    return result
tell(attempt(lambda: ring.write(split)), attempt(lambda: table.publish(split)))
tell(lock.acquire(5))
time.sleep(60)
`,
        [name],
      );
      assertEquals(await told(teller), ["BlockingIOError", "BlockingIOError", "BlockingIOError"]);
      assertEquals(await told(teller), [2, 2]);
      assertEquals(await told(teller), "TimeoutError");
      assertEquals(words(name)[2], 1, "HELD");
      assertEquals(lock.tryAcquire(), null);
      await teller.closeInput();
      assertEquals(await told(teller), null);
      assertEquals(await told(teller), [3, 3]);
      assertEquals([ring.latest()!.sequence, table.current()!.version], [3, 3]);
      assertEquals(table.current()!.array.toArray(), [9, 9, 9, 9]);
      assertEquals(segmentsOf(`${name}-v`), [`${name}-v`, partOf(`${name}-v`, 3)]);
      assertEquals(await told(teller), null);
      teller.kill();
      using guard = lock.acquire({ timeout: 60_000 });
      assertEquals(guard.abandoned, true);
    }),
);

eachNumPyTest(
  "a child of Python can acquire and write when its parent let go",
  (python) =>
    withPublication(async (name) => {
      using _lock = new SharedMemoryLock(name).create();
      using _ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      const program = `
lock, ring = Lock(name), Ring(name + "-r", (4,), "uint8")
ring.write(1)
ring.close()
inherited = Ring(name + "-r", (4,), "uint8")
def child():
    with lock:
        return [inherited.write(2), Lock(name)._segment.try_lock()]
tell(forked(child), inherited.write(3), raised(lambda: lock.release()))
`;
      assertEquals(await ask(python, program, name), [[2, false], 3, "RuntimeError"]);
    }),
);

// --- After close(), names that are gone ------------------------------------------------------

eachNumPyTest(
  "nothing is written by shm_attach.py after close()",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      using ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      using table = new SharedMemoryVersions([4], "uint8", `${name}-v`).create();
      await using teller = start(
        python,
        `
lock, ring, table = Lock(name), Ring(name + "-r", (4,), "uint8"), Versions(name + "-v", (4,), "uint8")
fill = lambda array: array.fill(5)
ring.write(1)
table.publish(fill)
def closing(array):
    array.fill(6)
    table.close()
ring.close()
tell(raised(lambda: ring.write(2)), raised(lambda: ring.end()), raised(lambda: table.publish(closing)))
tell(raised(lambda: table.publish(fill)), raised(lambda: table.end()))
lock.acquire()
tell(raised(lambda: lock.close()))
lock.release()
lock.close()
tell(raised(lambda: lock.acquire(0.1)), raised(lambda: lock.acquire(0.1)))
sys.stdin.readline()
`,
        [name],
      );
      assertEquals(await told(teller), ["ValueError", "ValueError", "ValueError"]);
      assertEquals(await told(teller), ["ValueError", "ValueError"]);
      assertEquals(await told(teller), "RuntimeError");
      assertEquals(await told(teller), ["ValueError", "ValueError"]);
      assertEquals([ring.latest()!.sequence, ring.isEnded], [1, false]);
      assertEquals([table.current()!.version, table.isEnded], [1, false]);
      assertEquals(segmentsOf(`${name}-v`), [`${name}-v`, partOf(`${name}-v`, 1)]);
      lock.acquire({ timeout: 60_000 }).release();
      assertEquals(ring.write(2), 2);
      assertEquals(await table.publish((next) => next.fill(2)), 2);
      await teller.closeInput();
    }),
);

eachNumPyTest(
  "Lock of shm_attach.py does not wait for ever for what its own thread holds",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      const found = await ask(
        python,
        `lock, other = Lock(name), Lock(name)
lock.acquire()
tell_all = [raised(lock.acquire), raised(lambda: lock.acquire(timeout=0)), raised(lambda: lock.acquire(shared=True)),
            raised(other.acquire), raised(lambda: other.acquire(timeout=0.01)), raised(lambda: other.acquire(shared=True))]
# Another thread waits, for the same instance and for another one, and gets it.
taken = []
def take(which):
    which.acquire()
    taken.append(raised(which.acquire))
    which.release()
threads = [threading.Thread(target=take, args=(which,), daemon=True) for which in (lock, other)]
for thread in threads:
    thread.start()
time.sleep(0.1)
tell_all.append(len(taken))
lock.release()
for thread in threads:
    thread.join(30)
tell_all += taken
with lock.shared():
    other.acquire(shared=True)
    tell_all += [raised(lambda: other.acquire(shared=True)), raised(lambda: Lock(name).acquire())]
    other.release()
tell(*tell_all, raised(other.acquire), forked(lambda: raised(lambda: other.acquire(timeout=0))))`,
        name,
      );
      const [busy, late] = ["BlockingIOError", "TimeoutError"];
      assertEquals(found, [
        ...[busy, late, busy, busy, late, busy, 0],
        ...[busy, busy],
        ...[busy, busy, null, late],
      ]);
      lock.unlink();
    }),
);

eachNumPyTest(
  "Lock of shm_attach.py is at no moment that of the thread that had it before",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      const found = await ask(
        python,
        `lock = Lock(name)
def take():
    lock.acquire()
    lock.release()
before = threading.Thread(target=take)
before.start()
before.join()
looks, wrong = 0, 0
def look(frame, event, arg):
    # Another thread may go on after any instruction.
    global looks, wrong
    frame.f_trace_opcodes = True
    looks += 1
    wrong += lock._is_held and lock._thread == before.ident
    return look
sys.settrace(look)
lock.acquire()
sys.settrace(None)
held, lock._thread = lock._thread, before.ident
look(sys._getframe(), "line", None)  # the control
lock._thread = held
lock.release()
tell(looks > 50, wrong)`,
        name,
      );
      // Stored the other way round: 4 to 6 looks more.
      assertEquals(found, [true, 1]);
      lock.unlink();
    }),
);

eachNumPyTest(
  "Lock of shm_attach.py that gives up opens the gate of no other thread",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      const guard = lock.acquire();
      await using teller = start(
        python,
        `lock, eye = Lock(name), Lock(name)._segment
second_waits, lock_byte = threading.Event(), S._Segment.lock_byte
def late(segment, at, is_locked=True):
    # The thread that gives up loses the processor, until the other one waits, if that can be.
    if threading.current_thread() is first and not is_locked:
        second_waits.wait(0.5)
    lock_byte(segment, at, is_locked)
    if threading.current_thread() is second:
        second_waits.set()
S._Segment.lock_byte = late
told, first = [], None
second = threading.Thread(target=lambda: told.append(raised(lock.acquire) or lock.release()))
while first is None:
    first = threading.Thread(target=lambda: told.append(raised(lambda: lock.acquire(timeout=0.2))))
    first.start()
    while first.is_alive() and not eye.is_byte_locked(Lock._GATE):
        time.sleep(0.001)
    if not eye.is_byte_locked(Lock._GATE):  # its time was up before it waited, on a busy machine
        first.join()
        told, first = [], None
second.start()
first.join()
second_waits.wait()
tell(*told, eye.is_byte_locked(Lock._GATE))
second.join()
tell(*told, eye.is_byte_locked(Lock._GATE))`,
        [name],
      );
      // Taken out (the gate is opened before the other thread's turn): [..., false].
      assertEquals(await told(teller), ["TimeoutError", true]);
      guard.release();
      assertEquals(await told(teller), ["TimeoutError", null, false]);
      lock.unlink();
    }),
);

eachNumPyTest(
  "Lock of shm_attach.py is free after an interrupt of acquire(), wherever that comes",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      const found = await ask(
        python,
        `
lock, other = Lock(name), Lock(name)
def look():
    global lock
    if lock._is_held:
        lock.release()
    before, lock = lock, Lock(name)
    left = [raised(lambda: other.acquire(timeout=0)) or other.release(), other.abandoned]
    return left + [raised(lambda: before.acquire(timeout=0)) or before.release()]
kinds, counts = [], []
for shared in (False, True):
    found, count, _ = interrupted(Lock.acquire, lambda: lock.acquire(shared=shared), look)
    lock.release()
    kinds += [each for each in found if each not in kinds]
    counts.append(count)
tell(kinds, sum(counts) > 100)`,
        name,
      );
      // Taken out (_take_back()): also ["TimeoutError", ...], for one instruction in five.
      assertEquals(found, [[[null, false, null]], true]);
      // The control: a lock that nobody has given back is not free.
      const guard = lock.acquire();
      assertEquals(
        await ask(python, `tell(raised(lambda: Lock(name).acquire(0)))`, name),
        "TimeoutError",
      );
      guard.release();
      lock.unlink();
    }),
);

eachNumPyTest(
  "Lock of shm_attach.py that goes over to the next lock looks closed to no thread",
  (python) =>
    withPublication(async (name) => {
      using _lock = new SharedMemoryLock(name).create();
      const found = await ask(
        python,
        `lock, told = Lock(name), []
S.unlink(name)
Lock.create(name)
close = S._Segment.close
def look(segment):
    close(segment)
    other = threading.Thread(target=lambda: told.append(raised(lambda: lock.acquire(timeout=0))))
    other.start()
    other.join()
S._Segment.close = look
lock.acquire(timeout=0)
S._Segment.close = close
lock.release()
lock.close()
tell(told, raised(lambda: lock.acquire(timeout=0)))`,
        name,
      );
      // Taken out (the old segment is closed last): "ValueError". The control: one that was closed.
      assertEquals(found, [["TimeoutError"], "ValueError"]);
      SharedMemoryArray.clearBuffers([name]);
    }),
);

eachNumPyTest(
  "Lock of shm_attach.py goes over to the lock that was made anew",
  (python) =>
    withPublication(async (name) => {
      using lock = new SharedMemoryLock(name).create();
      await using teller = start(
        python,
        `
lock = Lock(name)
lock.acquire()
lock.release()
tell("ready")
for line in sys.stdin:
    tell(raised(lambda: lock.acquire(0.1)))
    if line == "release\\n":
        lock.release()
`,
        [name],
      );
      const step = async (line: string) => {
        await teller.write(`${line}\n`);
        return await told(teller);
      };
      assertEquals(await told(teller), "ready");
      lock.unlink();
      // It is told for as long as there is none, and not that a buffer was released.
      assertEquals([await step(""), await step("")], ["FileNotFoundError", "FileNotFoundError"]);
      using anew = new SharedMemoryLock(name).create();
      {
        using _guard = anew.acquire();
        assertEquals(await step(""), "TimeoutError");
      }
      assertEquals(await step("hold"), null);
      assertEquals(anew.tryAcquire(), null);
      await teller.closeInput();
    }),
);

eachNumPyTest(
  "shm_attach.py tells writers and readers of a removed publication",
  (python) =>
    withPublication(async (name) => {
      using ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      using table = new SharedMemoryVersions([4], "uint8", `${name}-v`).create();
      using written = new SharedMemoryRing([4], "uint8", `${name}-w`, 3).create();
      await using teller = start(
        python,
        `
ring, table = Ring(name + "-r", (4,), "uint8"), Versions(name + "-v", (4,), "uint8")
mine = Ring(name + "-w", (4,), "uint8")
mine.write(1)
table.publish(lambda array: array.fill(1))
table.current()
tell("ready")
sys.stdin.readline()
tell(raised(lambda: mine.write(2)), raised(lambda: table.publish(lambda array: None)))
first = ring.next(timeout=60).sequence
begin = time.monotonic()
tell(first, raised(lambda: ring.next(timeout=60)), raised(lambda: table.changed(timeout=60)), time.monotonic() - begin)
tell(raised(lambda: [table.current(), table.current()]), raised(lambda: ring.latest()))
sys.stdin.read()
`,
        [name],
      );
      assertEquals(await told(teller), "ready");
      ring.write(1);
      for (const each of [ring, written]) each.unlink();
      table.unlink();
      using anew = new SharedMemoryVersions([4], "uint8", `${name}-v`).create();
      await anew.publish((next) => next.fill(7));
      await teller.write("\n");
      assertEquals(await told(teller), ["FileNotFoundError", "FileNotFoundError"]);
      const [first, one, two, seconds] = await told(teller);
      assertEquals([first, one, two], [1, "FileNotFoundError", "FileNotFoundError"]);
      assert(seconds < 59, `${seconds}`);
      assertEquals(await told(teller), ["FileNotFoundError", "FileNotFoundError"]);
      await teller.closeInput();
      // The new publication has all that it had.
      assertEquals(anew.current()!.array.toArray(), [7, 7, 7, 7]);
      using late = new SharedMemoryVersions([4], "uint8", `${name}-v`).load();
      assertEquals(late.current()!.version, 1);
      assertEquals(segmentsOf(`${name}-v`), [`${name}-v`, partOf(`${name}-v`, 1)]);
    }),
);

eachNumPyTest(
  "shm_attach.py refuses paths, links and what is no segment",
  (python) =>
    withPublication(async (name) => {
      const { name: target } = new SharedMemoryLock(`${name}-lock`).create();
      const outside = await Deno.makeTempFile({ prefix: "outside-" });
      await Deno.writeFile(outside, new Uint8Array(16));
      await Deno.symlink(outside, segmentPath(`${name}-out`));
      await Deno.symlink(segmentPath(target), segmentPath(`${name}-link`));
      await new Deno.Command("mkfifo", { args: [segmentPath(`${name}-fifo`)] }).output();
      try {
        const found = await ask(
          python,
          `
bad = ["..", ".", "", "a/b", "../" + sys.argv[2], "/" + sys.argv[3], "x" * 256, "a\\0b", name + "-out", name + "-link",
       name + "-fifo"]
kinds = [Lock, lambda each: Ring(each, (4,), "uint8"), lambda each: Versions(each, (4,), "uint8"),
         lambda each: attach(each, (4,), "uint8")]
tell([[raised(lambda: kind(each)) for each in bad] for kind in kinds])
`,
          name,
          `..${outside}`,
          target,
        );
        const refused = [...Array(8).fill("ValueError"), "OSError", "OSError"];
        for (const kind of found.slice(0, 3)) assertEquals(kind, [...refused, "TypeError"]);
        // What CPython says of a FIFO is its own affair.
        assertEquals(found[3].slice(0, -1), refused);
        assertEquals(await Deno.readFile(outside), new Uint8Array(16));
      } finally {
        await Deno.remove(outside);
      }
    }),
);

// --- Kinds, hostile words --------------------------------------------------------------------

eachNumPyTest(
  "shm_attach.py refuses the segment of another kind, and writes nothing",
  (python) =>
    withPublication(async (name) => {
      using array = new SharedMemoryArray([4], "int32", `${name}-array`);
      array.create();
      using _lock = new SharedMemoryLock(`${name}-lock`).create();
      using _ring = new SharedMemoryRing([4], "uint8", `${name}-ring`, 3).create();
      using _table = new SharedMemoryVersions([4], "uint8", `${name}-table`).create();
      using large = SharedMemory.create(`${name}-large`, 4096);
      const names = ["array", "lock", "ring", "table", "large"];
      const before = names.map((each) => Deno.readFileSync(segmentPath(`${name}-${each}`)));
      const found = await ask(
        python,
        `
kinds = [Lock, lambda each: Ring(each, (4,), "uint8"), lambda each: Versions(each, (4,), "uint8")]
tell([[raised(lambda: kind(name + "-" + each)) for each in ${
          JSON.stringify(names)
        }] for kind in kinds])
`,
        name,
      );
      assertEquals(found, [
        ["TypeError", null, "ValueError", "ValueError", "ValueError"],
        ["TypeError", "TypeError", null, "TypeError", "TypeError"],
        ["TypeError", "TypeError", "TypeError", null, "TypeError"],
      ]);
      assertEquals(names.map((each) => Deno.readFileSync(segmentPath(`${name}-${each}`))), before);
      large.unlink();
    }),
);

eachNumPyTest(
  "shm_attach.py says of which kind a segment is that is no lock, and which argument is no number",
  (python) =>
    withPublication(async (name) => {
      using ring = new SharedMemoryRing([4], "uint8", `${name}-ring`, 3).create();
      using table = new SharedMemoryVersions([4], "uint8", `${name}-table`).create();
      using queue = new SharedMemoryQueue(`${name}-queue`, 2).create();
      using lock = new SharedMemoryLock(`${name}-lock`).create();
      const found = await ask(
        python,
        `def message(action):
    try:
        action()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
lock, queue = Lock(name + "-lock"), Queue(name + "-queue")
tell(*[message(lambda: Lock(name + kind)) for kind in ("-ring", "-table", "-queue")],
     *[message(action) for action in (lambda: lock.acquire(timeout="1"), lambda: queue.take(timeout=[]),
                                      lambda: queue.put(1, attempts="3"))])`,
        name,
      );
      assertEquals(found, [
        `ValueError: '${name}-ring' is no lock: the segment is that of a Ring`,
        `ValueError: '${name}-table' is no lock: the segment is that of a Versions`,
        `ValueError: '${name}-queue' is no lock: the segment is that of a Queue`,
        "TypeError: Cannot acquire: timeout must be a number of seconds, not str",
        "TypeError: Cannot take: timeout must be a number of seconds, not list",
        "TypeError: Cannot put: attempts must be an integer, not str",
      ]);
      for (const each of [ring, table, queue, lock]) each.unlink();
    }),
);

eachNumPyTest(
  "shm_attach.py refuses hostile words where it reads them",
  (python) =>
    withPublication(async (name) => {
      using _ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      using _table = new SharedMemoryVersions([4], "uint8", `${name}-v`).create();
      const { NEWEST, BEGUN, ENDED, ID, SLOTS, SLOT_STEP, MODE } = headerWords;
      await using teller = start(
        python,
        `
make = {"r": lambda: Ring(name + "-r", (4,), "uint8"), "v": lambda: Versions(name + "-v", (4,), "uint8")}
writers = {kind: made() for kind, made in make.items()}
writers["r"].write(1)
writers["v"].publish(lambda array: array.fill(1))
attached = {kind: made() for kind, made in make.items()}
first = lambda: attached["r"].next(0, timeout=1)
uses = {"r": [lambda: attached["r"].latest(), first, lambda: writers["r"].write(1)],
        "v": [lambda: attached["v"].current(), lambda: attached["v"].changed(timeout=1),
              lambda: writers["v"].publish(lambda array: None)]}
tell("ready")
for line in sys.stdin:
    kind, what = line.split()
    tell([raised(use) for use in {"make": [make[kind]], "next": [first], "all": [make[kind], *uses[kind]]}[what]])
`,
        [name],
      );
      assertEquals(await told(teller), "ready");
      const all = Array(4).fill("InvalidData");
      const look = async (kind: "r" | "v", what: string, at: number, bytes: Uint8Array) => {
        const path = segmentPath(`${name}-${kind}`);
        const before = Deno.readFileSync(path);
        poke(`${name}-${kind}`, at, bytes);
        await teller.write(`${kind} ${what}\n`);
        const found = await told(teller);
        const after = Deno.readFileSync(path);
        assertEquals(after.subarray(0, 64), poked(before, at, bytes).subarray(0, 64), "the header");
        Deno.writeFileSync(path, before);
        return found;
      };
      const long = (value: bigint) =>
        new Uint8Array(new BigUint64Array([BigInt.asUintN(64, value)]).buffer);
      const short = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
      for (const kind of ["r", "v"] as const) {
        for (const value of [2n ** 53n, 2n ** 63n - 1n, -1n, -5n]) {
          assertEquals(await look(kind, "all", NEWEST.at, long(value)), all, `${kind} ${value}`);
        }
        assertEquals(await look(kind, "all", ENDED.at, short(7)), all);
        assertEquals(await look(kind, "make", ID.at, long(0n)), ["InvalidData"]);
        assertEquals(await look(kind, "make", MODE.at, short(0o10777)), ["InvalidData"]);
      }
      // A number that goes back: those who have seen it tell.
      assertEquals((await look("v", "all", NEWEST.at, long(0n))).slice(1), all.slice(1));
      for (const value of [0n, 9n, -1n]) {
        assertEquals(
          await look("r", "next", BEGUN.at, long(value)),
          ["InvalidData"],
          `BEGUN ${value}`,
        );
      }
      for (const value of [0, 4, 2 ** 32 - 1]) {
        assertEquals(await look("r", "make", SLOTS.at, short(value)), ["InvalidData"]);
      }
      for (const value of [0n, 4n, 2n ** 62n, 128n]) {
        assertEquals(await look("r", "make", SLOT_STEP.at, long(value)), ["InvalidData"]);
      }
      // Garbage in a lock admits nobody, and delays nobody for long.
      using lock = new SharedMemoryLock(`${name}-l`).create();
      await using other = start(
        python,
        `
lock = Lock(name + "-l")
tell("ready")
sys.stdin.readline()
tell(raised(lambda: lock.acquire(0.1)))
sys.stdin.readline()
tell(raised(lambda: lock.acquire(5)))
`,
        [name],
      );
      assertEquals(await told(other), "ready");
      const guard = lock.acquire();
      for (const at of [0, 8]) pokeNumber(`${name}-l`, at === 8 ? 0 : at, -1n);
      await other.write("\n");
      assertEquals(await told(other), "TimeoutError");
      guard.release();
      await other.write("\n");
      assertEquals(await told(other), null);
      await teller.closeInput();
    }),
);

function poked(bytes: Uint8Array, at: number, more: Uint8Array): Uint8Array {
  const result = bytes.slice();
  result.set(more, at);
  return result;
}

// --- Ids and ends ----------------------------------------------------------------------------

eachNumPyTest(
  "versions of shm_attach.py bear their publication's id, and touch no other",
  (python) =>
    withPublication(async (name) => {
      using own = new SharedMemoryArray([4], "uint8", `${name}.v2`);
      own.create().fill(77);
      using stranger = new SharedMemoryArray([4], "uint8", `${name}.00000000000000ff.v2`);
      stranger.create().fill(78);
      using table = new SharedMemoryVersions([4], "uint8", name).create();
      await table.publish((next) => next.fill(1));
      table.close();
      table.load();
      const die = `
table = Versions(name, (4,), "uint8")
def fill(array):
    array.fill(66)
    tell("filling")
    os.kill(os.getpid(), 9)
table.publish(fill)
`;
      assertEquals(await ask(python, die, name), "filling");
      const others = [stranger.name, own.name];
      const parts = (...numbers: number[]) =>
        [name, ...others, ...numbers.map((number) => partOf(name, number))].sort();
      assertEquals(segmentsOf(name), parts(1, 2));
      assertEquals(
        await ask(
          python,
          `
table = Versions(name, (4,), "uint8")
number = table.publish(lambda array: array.fill(2))
tell(number, table.publish(lambda array: array.fill(3)), table.current()[1].tolist())
`,
          name,
        ),
        [2, 3, [3, 3, 3, 3]],
      );
      assertEquals(segmentsOf(name), parts(3));
      assertEquals(table.current()!.array.toArray(), [3, 3, 3, 3]);
      // And the other way: this library takes over from a killed writer in Python.
      assertEquals(await ask(python, die, name), "filling");
      assertEquals(await table.publish((next) => next.fill(4)), 4);
      assertEquals(segmentsOf(name), parts(4));
      assertEquals([own.array!.get(0), stranger.array!.get(0)], [77, 78]);
      table.unlink();
      assertEquals(segmentsOf(name), others.sort());
    }),
);

eachNumPyTest(
  "the end of a publication is told between shm_attach.py and Deno",
  (python) =>
    withPublication(async (name) => {
      using ring = new SharedMemoryRing([4], "uint8", `${name}-r`, 3).create();
      using table = new SharedMemoryVersions([4], "uint8", `${name}-v`).create();
      using mine = new SharedMemoryRing([4], "uint8", `${name}-r2`, 3).create();
      using versions = new SharedMemoryVersions([4], "uint8", `${name}-v2`).create();
      await using teller = start(
        python,
        `
ring, table = Ring(name + "-r", (4,), "uint8"), Versions(name + "-v", (4,), "uint8")
tell("ready")
tell([frame.sequence for frame in ring.frames()])
tell(table.changed(60)[0], raised(lambda: table.changed(60)), raised(lambda: ring.next(timeout=60)))
tell(ring.is_ended, raised(lambda: ring.write(1)), raised(lambda: table.publish(lambda array: None)), ring.latest().sequence)
mine, versions = Ring(name + "-r2", (4,), "uint8"), Versions(name + "-v2", (4,), "uint8")
sys.stdin.readline()
mine.write(1)
versions.publish(lambda array: array.fill(1))
mine.end()
mine.end()
versions.end()
tell(raised(lambda: mine.write(2)), raised(lambda: versions.publish(lambda array: None)))
`,
        [name],
      );
      assertEquals(await told(teller), "ready");
      await sleep(100); // the reader sleeps
      ring.write(1);
      await table.publish((next) => next.fill(1));
      await sleep(50);
      ring.write(2);
      ring.end();
      table.end();
      assertEquals(await told(teller), [1, 2]);
      assertEquals(await told(teller), [1, "EndedError", "EndedError"]);
      assertEquals(await told(teller), [true, "BlockingIOError", "BlockingIOError", 2]);
      await teller.write("\n");
      const sequences: number[] = [];
      for await (const { sequence } of mine.frames({ signal: AbortSignal.timeout(60_000) })) {
        sequences.push(sequence);
      }
      assertEquals(sequences, [1]);
      assertEquals((await versions.changedAsync({ timeout: 60_000 })).version, 1);
      await assertRejects(() => versions.changedAsync({ timeout: 60_000 }), EndedError);
      assertThrows(() => mine.next(), EndedError);
      assertEquals([mine.isEnded, versions.isEnded], [true, true]);
      assertEquals(await told(teller), ["BrokenPipeError", "BrokenPipeError"]);
    }),
);

// --- The order of a lock ---------------------------------------------------------------------

/** Calls `body` with a lock for which nobody waits in slices, and with what starts processes of both languages. */
async function withPatience(
  python: Python,
  body: (words: Words, inPython: (program: string) => Teller, inDeno: StartDeno) => Promise<void>,
): Promise<void> {
  await using copy = await changedCopy([
    never("src/sync/lock_words.ts", "LOCK_SLICE", 20),
    late,
  ]);
  const url = JSON.stringify(copy.url("src/sync/mod.ts"));
  using words = new Words();
  using lock = new SharedMemoryLock(`${words.name}-lock`).create();
  const inPython = (program: string): Teller =>
    start(
      python,
      `Lock._SLICE = 600
lock, data = Lock(sys.argv[2]), attach(name, 16, "int32")
${program}`,
      [words.name, lock.name],
    );
  const inDeno = (program: string): Promise<Teller> =>
    Teller.start(
      `const data = words();
      const lock = new (await import(${url})).SharedMemoryLock(Deno.args[1]).load();
      ${program}`,
      [words.name, lock.name],
    );
  try {
    await body(words, inPython, inDeno);
  } finally {
    lock.unlink();
  }
}

type StartDeno = (program: string) => Promise<Teller>;

for (const timeout of ["", "0", "0.001"]) {
  eachNumPyTest(
    `a process in Python that always wants a lock again lets Deno in: acquire(${timeout})`,
    (python) =>
      withPatience(python, async (words, inPython, inDeno) => {
        await using _greedy = inPython(greedyPython(timeout));
        await using waiter = await inDeno(waitingProgram("lock.acquire()"));
        assert(await sectionsWhileAsleep(words, waiter) < OFTEN);
      }),
  );
}

eachNumPyTest(
  "a process in Python that lets nobody in is found out: the control",
  (python) =>
    withPatience(python, async (words, inPython, inDeno) => {
      await using _greedy = inPython(`Lock._let_in = lambda *_: False\n${greedyPython("")}`);
      await using waiter = await inDeno(waitingProgram("lock.acquire()"));
      assert(await sectionsWhileAsleep(words, waiter) >= OFTEN);
    }),
);

eachNumPyTest(
  "a process in Deno that always wants a lock again lets Python in",
  (python) =>
    withPatience(python, async (words, inPython, inDeno) => {
      await using _greedy = await inDeno(greedyProgram("const guard = lock.acquire();"));
      await using waiter = inPython(waitingPython);
      assert(await sectionsWhileAsleep(words, waiter) < OFTEN);
    }),
);

eachNumPyTest(
  "shm_attach.py looks at BEGUN beside NEWEST, and at the form of anonymous names",
  (python) =>
    withPublication(async (name) => {
      using ring = new SharedMemoryRing([4], "uint8", name, 3).create();
      for (let frame = 1; frame <= 4; frame++) ring.write(frame);
      pokeNumber(name, headerWords.NEWEST.at, 1000n);
      const found = await ask(
        python,
        `tell([raised(lambda: Ring(name, (4,), "uint8").latest()), *[
    raised(lambda: attach(anonymous, (4,), "uint8"))
    for anonymous in ("memfd:../dev/shm:x:1", "memfd:1/../2:3:4", "memfd:1:2", "memfd:1:2:3:4", "memfd:1:2:3\\n")
]])`,
        name,
      );
      assertEquals(found, ["InvalidData", ...Array(5).fill("ValueError")]);
    }),
);
