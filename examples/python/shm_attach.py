"""Attach to a shared-memory array from Python, without taking it away from everybody else; wait for its
elements and lock it, together with programs that use `@shm/array/sync`.

    from shm_attach import Lock, attach, notify, wait
    image = attach("frame-0", (1080, 1920, 3), "uint8")
    state = attach("state", (16,), "int32")
    while state[0] == 0:
        wait(state, 0, 0)
    with Lock("frame-0.lock"):
        image[:, :, 0] = 255

Only attach() needs NumPy. Waiting and locking are for Linux.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import sys
import threading
import time
import weakref
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

_lock = threading.Lock()


def attach(name, shape, dtype, layout=None):
    """Return the array in segment `name`: a NumPy array over the shared bytes.

    `shape` and `dtype` are its creator's, and so is `layout`, where the descriptor has one: the JSON of
    a view does. The mapping is closed once the array and all views of it are garbage.
    """
    import numpy as np

    place = _place(layout or {}, np.dtype(dtype).itemsize)
    if name.startswith("memfd:"):
        return np.ndarray(shape, dtype, open_anonymous(name), **place)
    memory = open_untracked(name)
    array = np.ndarray(shape, dtype, memory.buf, **place)
    weakref.finalize(array, memory.close).atexit = False
    return array


def _place(layout, itemsize):
    """Offset and strides as NumPy counts them, in bytes."""
    stride = layout.get("stride")
    strides = None if stride is None else [step * itemsize for step in stride]
    return {"offset": layout.get("byteOffset", 0), "strides": strides}


def open_anonymous(name):
    """Map the anonymous segment `memfd:PID:FD:INODE`, which process PID made and holds."""
    pid, fd, inode = name.split(":")[1:]
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK  # who has the number now may have a FIFO there
    file = os.open(f"/proc/{pid}/fd/{fd}", flags)
    try:
        status = os.fstat(file)
        if status.st_ino != int(inode) or not _is_sealed(file):
            raise FileNotFoundError(f"{name} is gone: the number is another file's now")
        return mmap.mmap(file, status.st_size)
    finally:
        os.close(file)


def _is_sealed(file):
    """Whether a file is an anonymous segment: nobody can shrink or grow it."""
    get_seals, shrink_and_grow = 1034, 2 | 4  # Python before 3.8 has no names for them
    try:
        return fcntl.fcntl(file, get_seals) & shrink_and_grow == shrink_and_grow
    except OSError:
        return False


def open_untracked(name):
    """Open segment `name` so that it survives this process: CPython removes it otherwise."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    # resource_tracker.unregister() afterwards would do for one process, but the workers of a pool
    # share one tracker, which complains when each of them takes the same name out.
    with _lock:
        register = resource_tracker.register
        resource_tracker.register = lambda n, kind: n == "/" + name or register(n, kind)
        try:
            return SharedMemory(name)
        finally:
            resource_tracker.register = register


def wait(array, index, value, timeout=None):
    """Block while element `index` of a contiguous array of int32 is `value`, until it is notified.

    `timeout` is in seconds. Returns "ok", "not-equal" (it had another value) or "timed-out", as wait() of
    `@shm/array/sync` does. After "ok" look at the element again. The GIL is released meanwhile.
    """
    word = _word(array, index)
    deadline = None if timeout is None else time.monotonic() + timeout
    slept = False
    while word.value == value:
        rest = None
        if deadline is not None:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                return "timed-out"
            rest = ctypes.byref(_Timespec(int(seconds), int(seconds % 1 * 1e9)))
        if _futex(word, 0, value, rest) == 0:
            return "ok"
        slept = ctypes.get_errno() in (errno.EINTR, errno.ETIMEDOUT)
    return "ok" if slept else "not-equal"


def notify(array, index, count=None):
    """Wake those who wait for element `index`, at most `count`; return how many were woken.

    Change the element first, or a waiter that has not quite fallen asleep sleeps on.
    """
    return _futex(_word(array, index), 1, 2**31 - 1 if count is None else count, None)


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


_libc = ctypes.CDLL(None, use_errno=True)
_SYS_futex = {"x86_64": 202, "aarch64": 98}.get(platform.machine())


def _futex(word, operation, value, timeout):
    if _SYS_futex is None or sys.platform != "linux":
        raise OSError(errno.ENOSYS, "Cannot wait: there is no futex here")
    number, value = ctypes.c_long(_SYS_futex), ctypes.c_uint32(value & 0xFFFFFFFF)
    return _libc.syscall(number, ctypes.byref(word), operation, value, timeout, None, 0)


def _word(array, index):
    view = memoryview(array)
    if view.itemsize != 4 or view.format not in ("i", "l", "<i", "<l"):
        raise TypeError(f"Cannot wait: it takes an array of int32, not of format {view.format!r}")
    words = view.cast("B")
    if not 0 <= index < len(words) // 4:
        raise IndexError(f"Cannot wait: there is no element {index}")
    return ctypes.c_int32.from_buffer(words, 4 * index)


class Lock:
    """The lock that Deno programs know as `SharedMemoryLock(name)`; its segment must be there.

        with Lock("tiles") as lock:
            if lock.abandoned:
                ...  # the last holder was killed: what the lock protects may be half done

    The kernel excludes, by flock(2): a holder that is killed gives the lock up. The threads of a process
    exclude each other, too. Who waits sleeps 20 ms at a time at the most.
    """

    _TURN, _WAITING, _HELD = 0, 1, 2
    _SLICE = 0.02
    _all = weakref.WeakSet()

    def __init__(self, name):
        self.name = name
        self.abandoned = False
        self._threads = threading.Lock()
        self._open()
        Lock._all.add(self)

    def acquire(self, timeout=None):
        """Take the lock; after `timeout` seconds raise TimeoutError. `abandoned` is told anew."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._threads.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError(f"Cannot acquire {self.name!r}: another thread has it still")
        try:
            while True:
                self._words[self._WAITING] = 1
                turn = self._words[self._TURN]
                if self._try():
                    return
                rest = self._SLICE
                if deadline is not None:
                    rest = min(rest, deadline - time.monotonic())
                    if rest <= 0:
                        raise TimeoutError(f"Cannot acquire {self.name!r}: it is held still")
                wait(self._words, self._TURN, turn, rest)
        except BaseException:
            self._threads.release()
            raise

    def release(self):
        """Give the lock back, and wake who waits for it."""
        words = self._words
        words[self._HELD] = 0
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        if words[self._WAITING] != 0:
            words[self._WAITING] = 0
            words[self._TURN] = (words[self._TURN] + 1 + 2**31) % 2**32 - 2**31
            notify(words, self._TURN)
        self._threads.release()

    def close(self):
        """Give up the attachment; the segment stays."""
        if self._fd >= 0:
            self._words.release()
            self._map.close()
            os.close(self._fd)
            self._fd = -1

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, *_):
        self.release()

    def __del__(self):
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def _open(self):
        self._fd = -1
        fd = os.open("/dev/shm/" + self.name, os.O_RDWR)  # close-on-exec, as Python opens all files
        try:
            if os.fstat(fd).st_size != 16:
                raise ValueError(f"{self.name!r} is no lock: it has not 16 bytes")
            self._map = mmap.mmap(fd, 16)
        except BaseException:
            os.close(fd)
            raise
        self._words = memoryview(self._map).cast("i")
        self._fd = fd

    def _try(self):
        """Take the lock if nobody has it, of the segment that has the name now."""
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                taken = True
            except BlockingIOError:
                taken = False
            if os.fstat(self._fd).st_nlink > 0:
                if taken:
                    self.abandoned = self._words[self._HELD] != 0
                    self._words[self._HELD] = 1
                return taken
            self.close()
            self._open()


def _after_fork():
    # The child shares the open file, and so the lock: it would keep it after the parent's end.
    for lock in list(Lock._all):
        lock._threads = threading.Lock()
        if lock._fd >= 0:
            os.close(lock._fd)
            lock._fd = os.open("/dev/shm/" + lock.name, os.O_RDWR)


os.register_at_fork(after_in_child=_after_fork)


# --- Rings and versions: `@shm/array/publish`. docs/publication.md describes the segments. -----------


class _Channel:
    """The header of a publication: which array is the newest, who writes, who sleeps."""

    _HEADER = 128
    _SLICE = 0.25

    def __init__(self, name, magic, shape, dtype, slots=None):
        import numpy as np

        self.name = name
        dtype = np.dtype(dtype)
        fd = os.open("/dev/shm/" + name, os.O_RDWR)  # close-on-exec, as Python opens all files
        try:
            self._map = mmap.mmap(fd, 0)
            header = np.frombuffer(self._map, np.uint8, self._HEADER)
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            found = bytes(header[:16]).rstrip(b"\0"), int(header[16:24].view("<u8")[0])
            if found != (magic + dtype.str.encode(), size):
                raise ValueError(f"Cannot attach to {name!r}: it publishes something else: {found}")
            self.slots, mode = (int(n) for n in header[24:32].view("<u4"))
            if slots not in (None, self.slots):
                raise ValueError(f"Cannot attach to {name!r}: it has {self.slots} slots")
        except BaseException:
            os.close(fd)
            raise
        self.mode, self.reserve = mode % 2**31, mode < 2**31
        self.step = int(header[32:40].view("<u8")[0])
        self.id = int(header[40:48].view("<u8")[0])
        self._numbers = header[64:80].view("<u8")  # the newest whole array, the one that was begun last
        self._turn = header[80:84].view("<i4")
        self._fd = fd
        self._writes = False

    @property
    def newest(self):
        return int(self._numbers[0])

    @property
    def begun(self):
        return int(self._numbers[1])

    @property
    def named(self):
        return os.fstat(self._fd).st_nlink > 0

    def claim(self):
        """Become the writer; return whether this was not yet. BlockingIOError: there is another one."""
        before, self._writes = self._writes, True
        if not before:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BaseException:
                self._writes = False
                raise
        return not before

    def begin(self, number):
        self._numbers[1] = number
        _fence()

    def publish(self, number):
        _fence()
        self._numbers[0] = number
        _fence()
        turn = int(self._turn[0])
        if turn & 1:
            self._turn[0] = (turn + 1 + 2**31) % 2**32 - 2**31
            notify(self._turn, 0)

    def wait(self, after, timeout):
        """Block until there is an array after `after`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.newest <= after:
            turn = int(self._turn[0]) | 1
            self._turn[0] = turn
            _fence()
            if self.newest > after:
                return
            rest = self._SLICE
            if deadline is not None:
                rest = min(rest, deadline - time.monotonic())
                if rest <= 0:
                    raise TimeoutError(f"Cannot wait any longer for {self.name!r}: nothing came")
            wait(self._turn, 0, turn, rest)

    def close(self):
        if self._fd >= 0:
            if self._writes:
                fcntl.flock(self._fd, fcntl.LOCK_UN)  # the mapping has the file open, too
            os.close(self._fd)  # the mapping goes with the last view
            self._fd = -1

    def __del__(self):
        if getattr(self, "_fd", -1) >= 0:
            self.close()


class Frame:
    """A frame of a Ring: `sequence`, `skipped` (how many were missed), `array` (not copied)."""

    def __init__(self, ring, sequence, skipped, array):
        self._ring, self.sequence, self.skipped, self.array = ring, sequence, skipped, array

    def is_whole(self):
        """Whether the writer has not begun to overwrite it; ask after use."""
        _fence()
        return self._ring.begun < self.sequence + self._ring.slots

    def copy(self):
        """The elements in an array of their own, or None if they were overwritten meanwhile."""
        copy = self.array.copy()
        return copy if self.is_whole() else None


class Ring:
    """What Deno programs know as `SharedMemoryRing`; its segment must be there.

        ring = Ring("camera", (1080, 1920, 3), "uint8")
        for frame in ring.frames():
            ...
    """

    def __init__(self, name, shape, dtype, slots=None):
        import numpy as np

        self._channel = channel = _Channel(name, b"SHMRING1", shape, dtype, slots)
        self.slots = channel.slots
        starts = (channel._HEADER + slot * channel.step for slot in range(channel.slots))
        self._views = [np.ndarray(shape, dtype, channel._map, start) for start in starts]
        self._last, self._joined = None, channel.newest

    def write(self, source):
        """Write a frame, from an array or by a function that fills the slot; return its number."""
        channel = self._channel
        channel.claim()
        number = channel.newest + 1
        slot = self._views[(number - 1) % self.slots]
        channel.begin(number)
        if callable(source):
            source(slot)
        else:
            slot[...] = source
        channel.publish(number)
        return number

    def latest(self):
        """The newest frame, or None before the first."""
        newest = self._channel.newest
        return self._give(newest, self._base()) if newest else None

    def next(self, after=None, timeout=None):
        """The frame after number `after` (or after the last one given); `timeout` in seconds.

        If that is overwritten already, the newest.
        """
        base = self._base() if after is None else after
        start = (self._last or 0) if after is None else after
        self._channel.wait(start, timeout)
        there = self._channel.begun < start + 1 + self.slots
        return self._give(start + 1 if there else self._channel.newest, base)

    def frames(self):
        """All frames as they come, without end."""
        frame = self.next()
        while True:
            yield frame
            frame = self.next(frame.sequence)

    def close(self):
        """Give up the right to write; the memory goes with the last view."""
        self._channel.close()

    def _base(self):
        return self._joined if self._last is None else self._last

    def _give(self, number, base):
        self._last = number
        return Frame(self._channel, number, max(0, number - base - 1), self._views[(number - 1) % self.slots])


class Versions:
    """What Deno programs know as `SharedMemoryVersions`; its segment must be there.

        table = Versions("table", (1000, 64), "float32")
        version, array = table.current()
    """

    def __init__(self, name, shape, dtype):
        self.name, self.shape, self.dtype = name, shape, dtype
        self._channel = _Channel(name, b"SHMVERS1", shape, dtype)
        self._current, self._given = None, 0

    def publish(self, fill):
        """Have `fill` fill the next version, and make it the current one; return its number."""
        import numpy as np

        channel = self._channel
        if channel.claim():
            self._unlink(channel.newest - 1)
            self._unlink(channel.newest + 1)
        number = channel.newest + 1
        path = self._path(number)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            try:
                os.fchmod(fd, channel.mode)
                size = int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize
                (os.posix_fallocate if channel.reserve else lambda fd, _, n: os.ftruncate(fd, n))(fd, 0, size)
                array = np.ndarray(self.shape, self.dtype, mmap.mmap(fd, size))
            finally:
                os.close(fd)
            self._check_named()
            fill(array)
            self._check_named()
        except BaseException:
            os.unlink(path)
            raise
        channel.publish(number)
        self._current = number, array
        self._unlink(number - 1)
        return number

    def current(self):
        """The newest complete version: its number and its array; None before the first."""
        return self._give() if self._channel.newest else None

    def changed(self, timeout=None):
        """Block until there is a newer version than the one given last; `timeout` in seconds."""
        self._channel.wait(self._given, timeout)
        return self._give()

    def close(self):
        """Give up the right to publish; the memory goes with the last view."""
        self._channel.close()

    def _give(self):
        while self._current is None or self._current[0] != self._channel.newest:
            number = self._channel.newest
            try:
                array = attach(os.path.basename(self._path(number)), self.shape, self.dtype)
            except FileNotFoundError:
                if self._channel.newest == number:  # otherwise there is a newer one
                    raise
                continue
            if not self._channel.named:
                raise FileNotFoundError(f"Cannot attach to {self.name!r}: it was removed")
            self._current = number, array
        self._given = self._current[0]
        return self._current

    def _path(self, number):
        return f"/dev/shm/{self.name}.{self._channel.id:016x}.v{number}"

    def _unlink(self, number):
        try:
            os.unlink(self._path(number))
        except FileNotFoundError:
            pass

    def _check_named(self):
        if not self._channel.named:
            raise FileNotFoundError(f"Cannot publish to {self.name!r}: it was removed")


_MEMBARRIER = {"x86_64": 324, "aarch64": 283}.get(platform.machine())
_barrier = None


def _fence():
    """Order what was read and written before against what comes after, on every processor."""
    global _barrier
    if _barrier is None:  # MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED
        if _MEMBARRIER is None or _libc.syscall(ctypes.c_long(_MEMBARRIER), 16, 0, 0) != 0:
            raise OSError(errno.ENOSYS, "Cannot order memory: there is no membarrier(2) here")
        _barrier = ctypes.c_long(_MEMBARRIER)
    _libc.syscall(_barrier, 8, 0, 0)
