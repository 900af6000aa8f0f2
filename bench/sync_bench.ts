/**
 * What waiting and locking cost beside the bare calls.
 *
 * @module
 */

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { notify, SharedMemoryLock } from "@shm/array/sync";
import { benchGroup, expectSame, type Group, isBenched } from "./measure.ts";

/** Removes the segments at the end of the process, and when a signal ends it. */
const register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });

/** The system calls without anything around them. */
export const { symbols: raw } = Deno.dlopen("libc.so.6", {
  // long syscall(long number, uint32_t *uaddr, int op, uint32_t val)
  futex_wake: { name: "syscall", parameters: ["i32", "usize", "i32", "i32"], result: "i32" },
  // long syscall(long number, uint32_t *uaddr, int op, uint32_t val, const struct timespec *timeout)
  futex_wait: {
    name: "syscall",
    parameters: ["i32", "usize", "i32", "i32", "pointer"],
    result: "i32",
    nonblocking: true,
  },
  // int flock(int fd, int operation)
  flock: { parameters: ["i32", "i32"], result: "i32" },
});

export const SYS_futex = Deno.build.arch === "x86_64" ? 202 : 98;

/** Words in shared memory, whose name is removed at the end. */
export function makeWords(): { name: string; words: Int32Array; address: bigint } {
  const sma = new SharedMemoryArray([64], "int32", SharedMemoryArray.buildSmaName("bench"));
  const words = sma.create().data;
  register.push(sma.name);
  const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(words as Int32Array<ArrayBuffer>));
  return { name: sma.name, words, address };
}

/** A lock, whose name is removed at the end. */
export function makeLock(): SharedMemoryLock {
  const lock = new SharedMemoryLock(SharedMemoryArray.buildSmaName("bench")).create();
  register.push(lock.name);
  return lock;
}

const { words, address } = makeWords();
const lock = makeLock();
const anonymous = SharedMemoryLock.createAnonymous();
const file = Deno.openSync(`/dev/shm/${lock.name}`, { read: true, write: true });
const fd = descriptorOf(lock.name);

/** The number of a descriptor of this process that leads to a segment. */
function descriptorOf(name: string): number {
  const numbers = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name));
  return numbers.sort((a, b) => b - a).find((fd) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${fd}`) === `/dev/shm/${name}`;
    } catch {
      return false; // the folder that is read has been closed
    }
  })!;
}

const COUNT = 2000;
const SHARED = { shared: true };

/** Takes and gives back a lock that nobody else wants. */
export function lockCycles(count: number): void {
  for (let i = 0; i < count; i++) lock.acquire().release();
}

export const groups: readonly Group[] = [
  {
    item: "notify with nobody waiting",
    what: "",
    count: COUNT,
    unit: "ns",
    check: () => expectSame("notify", notify(words, 0), 0),
    ours() {
      let woken = 0;
      for (let i = 0; i < COUNT; i++) woken += notify(words, 0);
      return woken;
    },
    against: [{
      name: "the system call alone",
      goal: { most: 1.2 },
      run() {
        const { futex_wake } = raw;
        let woken = 0;
        for (let i = 0; i < COUNT; i++) woken += futex_wake(SYS_futex, address, 1, 2 ** 31 - 1);
        return woken;
      },
    }],
  },
  {
    item: "lock + unlock, nobody else wants it",
    what: "",
    count: COUNT,
    unit: "ns",
    check() {
      using guard = lock.acquire();
      expectSame("abandoned", guard.abandoned, false);
    },
    ours: () => lockCycles(COUNT),
    against: [{
      name: "flock by FFI alone",
      run() {
        const { flock } = raw;
        for (let i = 0; i < COUNT; i++) {
          flock(fd, 6);
          flock(fd, 8);
        }
      },
    }],
  },
  {
    item: "shared lock and unlock, nobody else wants it",
    what: "",
    count: COUNT,
    unit: "ns",
    check() {
      using one = lock.acquire(SHARED);
      using two = lock.acquire(SHARED);
      expectSame("abandoned", one.abandoned || two.abandoned, false);
    },
    ours() {
      for (let i = 0; i < COUNT; i++) lock.acquire(SHARED).release();
    },
    against: [{
      name: "flock by FFI alone",
      goal: { most: 1.3 },
      run() {
        const { flock } = raw;
        for (let i = 0; i < COUNT; i++) {
          flock(fd, 5);
          flock(fd, 8);
        }
      },
    }],
  },
  {
    item: "lock + unlock of an anonymous lock, by its creator",
    what: "",
    count: COUNT,
    unit: "ns",
    check() {
      using guard = anonymous.acquire();
      expectSame("abandoned", guard.abandoned, false);
    },
    ours() {
      for (let i = 0; i < COUNT; i++) anonymous.acquire().release();
    },
    against: [{ name: "a lock with a name", run: () => lockCycles(COUNT) }],
  },
];

if (isBenched(import.meta.url)) {
  for (const group of groups) benchGroup(group);
}
// The descriptor must live as long as its number is used.
addEventListener("unload", () => file.close());
