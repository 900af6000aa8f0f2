"""CPython and NumPy, doing what the library does.

Reads commands from standard input, answers each with nanoseconds per unit of work:
    create N, load N                  N cycles on 4 KiB (SharedMemory + ndarray)
    part fill|assign|copy|copy_into N N times, on every second row and column of 1024 x 1024 float64
    slice row|window|sizes|reversed N       N views
    large BYTES                       create and fill once; closing it is not counted
    npyload PATH, npymap PATH         a .npy file into new shared memory, closing not counted
    npysave PATH, npyreversed PATH    what was loaded last, and the same with the last axis reversed
"""

import platform
import sys
import timeit
from multiprocessing.shared_memory import SharedMemory
from time import perf_counter_ns

import numpy as np

SIDE = 1024


def create_cycle(i):
    shm = SharedMemory(create=True, size=4096)
    array = np.ndarray((512,), np.float64, shm.buf)
    array[0] = i
    value = array[0]
    del array
    shm.close()
    shm.unlink()
    return value


def load_cycle(name):
    shm = SharedMemory(name)
    array = np.ndarray((512,), np.float64, shm.buf)
    value = array[0]
    del array
    shm.close()
    return value


def time_cycles(cycle, arguments, expected):
    start = perf_counter_ns()
    total = 0.0
    for argument in arguments:
        total += cycle(argument)
    time = perf_counter_ns() - start
    assert total == expected, total
    return time / len(arguments)


def time_large(byte_length):
    start = perf_counter_ns()
    shm = SharedMemory(create=True, size=byte_length)
    array = np.ndarray((byte_length // 8,), np.float64, shm.buf)
    array.fill(1.5)
    time = perf_counter_ns() - start
    assert array[0] + array[-1] + array[len(array) // 2] == 4.5
    del array
    shm.close()
    shm.unlink()
    return time


class Files:
    """.npy files into shared memory, and out of it."""

    def __init__(self):
        self.shm = None
        self.array = None

    def close(self):
        if self.shm is not None:
            self.array = None
            self.shm.close()
            self.shm.unlink()
            self.shm = None

    def load(self, path, mode):
        self.close()
        start = perf_counter_ns()
        source = np.load(path, mmap_mode=mode)
        self.shm = SharedMemory(create=True, size=source.nbytes)
        self.array = np.ndarray(source.shape, source.dtype.newbyteorder("="), self.shm.buf)
        self.array[...] = source
        time = perf_counter_ns() - start
        assert self.array[-1, -1] == self.array.size - 1
        return time

    def save(self, path, view):
        start = perf_counter_ns()
        np.save(path, view)
        return perf_counter_ns() - start

    def time(self, command, path):
        if command == "npyload":
            return self.load(path, None)
        if command == "npymap":
            return self.load(path, "r")
        if command == "npysave":
            return self.save(path, self.array)
        return self.save(path, self.array[..., ::-1])


class Parts:
    """Strided views over shared memory, as bulk_bench.ts has them."""

    def __init__(self):
        self.memories = [SharedMemory(create=True, size=SIDE * SIDE * 8) for _ in range(2)]
        for memory in self.memories:
            memory.unlink()
        whole, target = (np.ndarray((SIDE, SIDE), np.float64, m.buf) for m in self.memories)
        whole[...] = (np.arange(SIDE * SIDE) % 1000).reshape(SIDE, SIDE)
        target[...] = 0
        self.part = whole[::2, ::2]
        self.target = target[::2, ::2]
        self.kept = np.zeros(self.part.shape)
        self.turn = 0
        self.check()

    def check(self):
        self.fill()
        assert (self.target == 1).all()
        self.assign()
        assert (self.target == self.part).all()
        assert (self.copy() == self.part).all() and self.copy().flags.c_contiguous

    def fill(self):
        self.turn += 1
        self.target.fill(self.turn)

    def assign(self):
        self.target[...] = self.part

    def copy(self):
        return self.part.copy()

    def copy_into(self):
        self.kept[...] = self.part

    def time(self, operation, n):
        work = getattr(self, operation)
        start = perf_counter_ns()
        for _ in range(n):
            work()
        return (perf_counter_ns() - start) / (n * self.part.size)


SLICES = {
    "row": timeit.Timer("a[7]", globals={"a": np.zeros((256, 256))}),
    "window": timeit.Timer("a[i:i+10, j:j+20]", globals={"a": np.zeros((256, 256)), "i": 7, "j": 8}),
    "sizes": timeit.Timer("a[0:i, 0:255-i]", globals={"a": np.zeros((256, 256)), "i": 100}),
    "reversed": timeit.Timer("a[::2, ::-1]", globals={"a": np.zeros((256, 256))}),
}


def main():
    target = SharedMemory(create=True, size=4096)
    try:
        np.ndarray((512,), np.float64, target.buf)[0] = 1.5
        parts = Parts()
        files = Files()
        print(f"CPython {platform.python_version()}, NumPy {np.__version__}", flush=True)
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "create":
                n = int(arguments[0])
                time = time_cycles(create_cycle, range(n), n * (n - 1) / 2)
            elif command == "load":
                n = int(arguments[0])
                time = time_cycles(load_cycle, [target.name] * n, n * 1.5)
            elif command == "part":
                time = parts.time(arguments[0], int(arguments[1]))
            elif command == "slice":
                n = int(arguments[1])
                time = SLICES[arguments[0]].timeit(n) * 1e9 / n
            elif command.startswith("npy"):
                time = files.time(command, arguments[0])
            else:
                time = time_large(int(arguments[0]))
            print(time, flush=True)
        files.close()
    finally:
        target.close()
        target.unlink()


main()
