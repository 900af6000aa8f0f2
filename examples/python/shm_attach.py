"""Attach to a shared-memory array from Python, without taking it away from everybody else; wait for its
elements and lock it, together with programs that use `@shm/array/sync`.

    from shm_attach import Lock, attach, notify, wait
    image = attach("frame-0", (1080, 1920, 3), "uint8")
    state = attach("state", (16,), "int32")
    while state[0] == 0:
        wait(state, 0, 0)
    with Lock("frame-0.lock"):
        image[:, :, 0] = 255

Only attach(), rings and versions need NumPy. Waiting, locking, rings and versions are for Linux.

After os.fork() a child has none of the locks and none of the rights to write that its parent has: it can
acquire and claim for itself. docs/sync.md and docs/publication.md describe the segments.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import re
import stat
import sys
import threading
import time
import weakref
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

_lock = threading.Lock()
_process = os.getpid()  # whose the locks and the claims of this module's instances are

# The words of the segments: where each stands, in bytes, and its type. The names and places are those of
# src/sync/lock_words.ts and of src/publish/header_words.ts; a test compares them.
LOCK_WORDS = {"TURN": (0, "i32"), "WAITING": (4, "i32"), "HELD": (8, "i32"), "MAGIC": (12, "char[4]")}
LOCK_BYTES = 16
LOCK_MAGIC = b"LCK1"
HEADER_WORDS = {
    "MAGIC": (0, "char[8]"),
    "DTYPE": (8, "char[8]"),
    "ARRAY_BYTES": (16, "u64"),
    "SLOTS": (24, "u32"),
    "MODE": (28, "u32"),
    "SLOT_STEP": (32, "u64"),
    "ID": (40, "u64"),
    "NEWEST": (64, "u64"),
    "BEGUN": (72, "u64"),
    "TURN": (80, "u32"),
    "ENDED": (84, "u32"),
}
HEADER_BYTES = 128
RING_MAGIC = b"SHMRING1"
VERSIONS_MAGIC = b"SHMVERS1"
_NAME_MAX = 255
_PART_NAME_BYTES = 35  # how much longer the name of a version is, at most


class InvalidData(Exception):
    """What stands in a segment cannot be: somebody has written over it."""


class EndedError(Exception):
    """The writer has said that no more comes, and all that there was has been read."""


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
    if not re.fullmatch(r"memfd:[0-9]+:[0-9]+:[0-9]+", name):
        raise ValueError(f"Cannot use the name {name[:80]!r}: anonymous segments are called memfd:PID:FD:INODE")
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
    _check_name(name)
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


def _check_name(name, longer=0):
    """Refuse what is no segment's name: a path would lead out of /dev/shm."""
    if not isinstance(name, str):
        raise TypeError(f"Cannot use this name: it must be a str, not {type(name).__name__}")
    why = None
    if name in ("", ".", ".."):
        why = "it is empty, or names a directory"
    elif "/" in name or "\0" in name:
        why = 'it holds a "/" or a NUL; give it without the leading slash of shm_open'
    elif len(os.fsencode(name)) > _NAME_MAX - longer:
        why = f"it has more than {_NAME_MAX - longer} bytes"
    if why is not None:
        raise ValueError(f"Cannot use the name {name[:80]!r}: {why}")


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


_libc = ctypes.CDLL(None, use_errno=True)
_SYS_futex = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_FUTEX_WAIT, _FUTEX_WAKE, _FUTEX_WAKE_OP = 0, 1, 5
_MOST = 2**31 - 1
_LONGEST = 2**53 / 1000  # seconds; what is longer is no limit


def wait(array, index, value, timeout=None):
    """Block while element `index` of a contiguous array of int32 is `value`, until it is notified.

    `timeout` is in seconds. Returns "ok", "not-equal" (it had another value) or "timed-out", as wait() of
    `@shm/array/sync` does. After "ok" look at the element again. The GIL is released meanwhile.
    """
    timeout = None if timeout is None else max(0, timeout)
    return _wait(_word(array, index), 0, value, _deadline(timeout, "wait"))


def notify(array, index, count=None):
    """Wake those who wait for element `index`, at most `count`; return how many were woken.

    Change the element first, or a waiter that has not quite fallen asleep sleeps on.
    """
    if count is not None and count < 1:
        return 0  # the kernel would wake one
    return _futex(_word(array, index), 0, _FUTEX_WAKE, _MOST if count is None else min(count, _MOST))


def _deadline(timeout, action):
    """When a time limit is over; None is never."""
    if timeout is None:
        return None
    if not timeout >= 0:
        raise ValueError(f"Cannot {action}: timeout must be 0 or more seconds, not {timeout}")
    return None if timeout > _LONGEST else time.monotonic() + timeout


def _wait(words, at, value, deadline):
    """Sleep while the 32-bit word at byte `at` of a ctypes object is `value`."""
    interrupted = False  # whether a signal of this process ended a sleep
    while True:
        rest = None
        if deadline is not None:
            seconds = max(0.0, deadline - time.monotonic())
            rest = ctypes.byref(_Timespec(int(seconds), int(seconds % 1 * 1e9)))
        if _futex(words, at, _FUTEX_WAIT, value, rest) == 0:
            return "ok"
        code = ctypes.get_errno()
        if code == errno.ETIMEDOUT:
            return "timed-out"
        if code == errno.EAGAIN:  # it has another value
            return "ok" if interrupted else "not-equal"
        if code != errno.EINTR:
            raise OSError(code, f"Cannot wait: {os.strerror(code)}")
        interrupted = True


def _futex(words, at, operation, value, timeout=None, second=None, more=0):
    """futex(2) on the 32-bit word at byte `at` of a ctypes object, for all processes (not private)."""
    if _SYS_futex is None or sys.platform != "linux":
        raise OSError(errno.ENOSYS, "Cannot wait: there is no futex here")
    number, value = ctypes.c_long(_SYS_futex), ctypes.c_uint32(value & 0xFFFFFFFF)
    return _libc.syscall(number, ctypes.byref(words, at), operation, value, timeout, second, ctypes.c_uint32(more))


_ADD, _OR = 1, 2
_nobody = ctypes.c_int32(0)  # nobody sleeps here


def _atomic(operation, words, at, operand, wake=None):
    """Change the 32-bit word at byte `at` by one atomic operation; return how many were woken.

    Python has no atomic operations, but the kernel does one for futex(FUTEX_WAKE_OP), by the very instructions
    of the processor that Atomics.add() and Atomics.or() are. After that it wakes at most `wake` who sleep on
    the word. (It could wake one more where the word is less than -2048; who sleeps looks again.)
    """
    sleepers = (_nobody, 0) if wake is None else (words, at)
    less_than_most_negative = 2 << 24 | 0x800
    encoded = operation << 28 | operand << 12 | less_than_most_negative
    woken = _futex(*sleepers, _FUTEX_WAKE_OP, wake or 1, ctypes.c_long(1), ctypes.byref(words, at), encoded)
    if woken < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Cannot change a word: {os.strerror(code)}")
    return woken


def _word(array, index):
    view = memoryview(array)
    if view.itemsize != 4 or view.format not in ("i", "l", "<i", "<l"):
        raise TypeError(f"Cannot wait: it takes an array of int32, not of format {view.format!r}")
    words = view.cast("B")
    if not 0 <= index < len(words) // 4:
        raise IndexError(f"Cannot wait: there is no element {index}")
    return ctypes.c_int32.from_buffer(words, 4 * index)


class _Segment:
    """An open segment: one descriptor to lock, and a mapping of another one.

    A mapping keeps a duplicate of its descriptor for as long as it is there, in forked children, too. If it were
    the descriptor that is locked, a child would keep the lock after its parent was killed.
    """

    _all = weakref.WeakSet()

    def __init__(self, name, what, check):
        """Open `name`. `check` gets the mapping; it returns False if the creator has not finished."""
        self.name = name
        self.fd = -1
        deadline = time.monotonic() + 1
        while True:
            first, self.fd = self._open_twice(name)
            try:
                self._status = status = os.fstat(first)
                if not stat.S_ISREG(status.st_mode):
                    raise TypeError(f"Cannot open {name!r} as {what}: it is no regular file")
                is_late = time.monotonic() > deadline
                if status.st_size > 0:
                    self.map = mmap.mmap(first, status.st_size)
                    if check(self.map):
                        break
                if is_late:
                    raise TypeError(f"Cannot open {name!r}: it is not the segment of {what}; nothing was written")
            except BaseException:
                self.close()
                raise
            finally:
                os.close(first)
            self.close()
            time.sleep(0.002)
        _Segment._all.add(self)

    @staticmethod
    def _open_twice(name):
        path, flags = "/dev/shm/" + name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        for _ in range(100):
            first = os.open(path, flags)
            try:
                second = os.open(path, flags)
                if os.path.sameopenfile(first, second):
                    return first, second
            except BaseException:
                os.close(first)
                raise
            os.close(first)
            os.close(second)
        raise OSError(errno.EAGAIN, f"Cannot open {name!r}: the name leads to another segment each time")

    @property
    def is_open(self):
        return self.fd >= 0

    @property
    def is_named(self):
        """Whether the segment has a name still; after close(), whether it has its own."""
        if self.is_open:
            return os.fstat(self.fd).st_nlink > 0
        try:
            return os.path.samestat(os.lstat("/dev/shm/" + self.name), self._status)
        except FileNotFoundError:
            return False

    def try_lock(self):
        """Whether this process has the kernel's lock now."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    def unlock(self):
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self):
        """Give up the descriptor, and the lock with it; the mapping goes with the last view."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self):
        if getattr(self, "fd", -1) >= 0:
            self.close()

    def _forked(self):
        """In a forked child: have an open file of one's own instead of the parent's, which may be locked."""
        inherited, self.fd = self.fd, -1
        if inherited < 0:
            return
        try:
            self.fd = os.open(f"/proc/self/fd/{inherited}", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            pass  # it counts as closed
        finally:
            os.close(inherited)


class Lock:
    """The lock that Deno programs know as `SharedMemoryLock(name)`; its segment must be there.

        with Lock("tiles") as lock:
            if lock.abandoned:
                ...  # the last holder was killed: what the lock protects may be half done

    The kernel excludes, by flock(2): a holder that is killed gives the lock up. The threads of a process
    exclude each other, too. Who waits sleeps 20 ms at a time at the most. A forked child does not hold what its
    parent holds: leaving `with` there gives nothing back.
    """

    _TURN, _WAITING, _HELD = (LOCK_WORDS[word][0] // 4 for word in ("TURN", "WAITING", "HELD"))
    _SLICE = 0.02
    _ON_THE_WAY = 0.002  # how long somebody may need who has announced itself and does not sleep yet
    _all = weakref.WeakSet()

    def __init__(self, name):
        _check_name(name)
        self.name = name
        self.abandoned = False
        self._threads = threading.Lock()
        self._is_held = False
        self._is_inherited = False  # whether this is a forked child, whose parent held it at the fork
        # The turn that the last release began, until when whoever waited is let in, and whether one was woken.
        self._debt = None
        self._segment = None
        self._open()
        Lock._all.add(self)

    def acquire(self, timeout=None):
        """Take the lock; after `timeout` seconds raise TimeoutError. `abandoned` is told anew."""
        deadline = _deadline(timeout, "acquire")
        _check_process()
        self._check_open()
        limit = -1 if deadline is None else min(max(0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
        if not self._threads.acquire(timeout=limit):
            raise TimeoutError(f"Cannot acquire {self.name!r}: another thread has it still")
        try:
            has_let_in = self._let_in(deadline)
            if not has_let_in and self._try(False):
                return
            while True:
                words = self._words
                turn = words[self._TURN]  # before the announcement, or it may be the turn that this begins
                words[self._WAITING] = 1
                if self._try(True):
                    return
                now = time.monotonic()
                if deadline is not None and deadline <= now:
                    raise TimeoutError(f"Cannot acquire {self.name!r}: it is held still")
                end = now + self._SLICE
                if words is self._words:
                    _wait(words, 4 * self._TURN, turn, end if deadline is None else min(end, deadline))
        except BaseException:
            self._threads.release()
            raise

    def release(self):
        """Give the lock back, and wake who waits for it. What a forked child's parent holds stays held."""
        _check_process()
        if not self._is_held and self._is_inherited:
            self._is_inherited = False
            return
        if not self._is_held:
            raise RuntimeError(f"Cannot release {self.name!r}: this instance does not hold it")
        self._is_held = False
        words = self._words
        words[self._HELD] = 0
        self._segment.unlock()
        if words[self._WAITING] != 0:
            words[self._WAITING] = 0  # before TURN: who announces itself now sees that the turn is over
            turn = _int32(words[self._TURN] + 1)
            woken = _atomic(_ADD, words, 4 * self._TURN, 1, wake=1)
            self._debt = turn, time.monotonic() + (self._SLICE if woken else self._ON_THE_WAY), woken > 0
        self._threads.release()

    def close(self):
        """Give up the attachment; the segment stays."""
        _check_process()
        if self._is_held:
            raise RuntimeError(f"Cannot close {self.name!r}: this instance holds the lock; release() it first")
        self._segment.close()

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, *_):
        self.release()

    def _check_open(self):
        if not self._segment.is_open:
            raise ValueError(f"Cannot acquire {self.name!r}: this instance was closed")

    def _open(self):
        def check(mapping):
            if len(mapping) != LOCK_BYTES:
                raise ValueError(f"{self.name!r} is no lock: it has not {LOCK_BYTES} bytes")
            at = LOCK_WORDS["MAGIC"][0]
            magic = mapping[at:]
            if magic not in (LOCK_MAGIC, bytes(4)):
                raise TypeError(f"{self.name!r} is no lock: it has no magic of one; nothing was written")
            return magic == LOCK_MAGIC

        segment = _Segment(self.name, "a lock", check)
        if self._segment is not None:
            self._segment.close()
        self._segment = segment
        self._words = (ctypes.c_int32 * (LOCK_BYTES // 4)).from_buffer(segment.map)

    def _let_in(self, deadline):
        """Block until who was woken by the last release had its turn; return whether there was one."""
        if self._debt is None:
            return False
        turn, until, is_certain = self._debt
        words, now = self._words, time.monotonic()
        if words[self._TURN] != turn or now >= until or (not is_certain and deadline is not None and deadline <= now):
            self._debt = None
            return False
        words[self._WAITING] = 1
        _wait(words, 4 * self._TURN, turn, until if deadline is None else min(deadline, until))
        if is_certain and deadline is not None and deadline < until and words[self._TURN] == turn:
            _futex(words, 4 * self._TURN, _FUTEX_WAKE, 1)  # in the place of a wake-up that this may have had
            raise TimeoutError(f"Cannot acquire {self.name!r}: somebody who waited is let in first")
        self._debt = None
        return True

    def _try(self, has_waited):
        """Take the lock if nobody has it, of the segment that has the name now."""
        for _ in range(100):
            segment = self._segment
            taken = segment.try_lock()
            if segment.is_named:
                if taken:
                    words = self._words
                    self.abandoned = words[self._HELD] != 0
                    words[self._HELD] = 1
                    if has_waited:  # who let somebody in learns that one had its turn
                        _atomic(_ADD, words, 4 * self._TURN, 1)
                    self._is_held = True
                return taken
            if taken:
                segment.unlock()
            self._open()  # FileNotFoundError: there is none now; there may be one at the next call
            self._debt = None
        return False

    def _forked(self):
        self._threads = threading.Lock()
        self._debt = None
        self._is_held, self._is_inherited = False, self._is_held or self._is_inherited


def _int32(number):
    """A number as the 32 bits of it are read."""
    return (number + 2**31) % 2**32 - 2**31


def _after_fork():
    # The child shares the open files, and so the locks: it would keep them after the parent's end.
    global _lock, _process
    _lock, _process = threading.Lock(), os.getpid()
    for kind in (_Segment, Lock, _Channel):
        for instance in list(kind._all):
            instance._forked()


os.register_at_fork(after_in_child=_after_fork)


def _check_process():
    """Look whether this is a child of a fork that Python does not know of."""
    if os.getpid() != _process:
        _after_fork()


# --- Rings and versions: `@shm/array/publish`. docs/publication.md describes the segments. -----------


class _Channel:
    """The header of a publication: which array is the newest, who writes, who sleeps."""

    _SLICE = 0.125
    _all = weakref.WeakSet()

    def __init__(self, name, magic, shape, dtype, slots=None):
        import numpy as np

        self.name = name
        dtype = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        what = "a ring" if magic == RING_MAGIC else "a publication of versions"

        def check(mapping):
            found = mapping[: len(magic)]
            if found == bytes(len(magic)) and len(mapping) >= HEADER_BYTES:
                return False
            if found != magic or len(mapping) < HEADER_BYTES:
                raise TypeError(f"Cannot attach to {name!r}: the segment is not that of {what}")
            return True

        self._segment = _Segment(name, what, check)
        self.map = self._segment.map
        self._u64 = (ctypes.c_uint64 * (HEADER_BYTES // 8)).from_buffer(self.map)
        self._u32 = (ctypes.c_uint32 * (HEADER_BYTES // 4)).from_buffer(self.map)
        self._seen = 0
        self._is_writer = False
        try:
            found = self.map[8:16].rstrip(b"\0"), self._read64("ARRAY_BYTES")
            if found != (dtype.str.encode(), size):
                raise ValueError(f"Cannot attach to {name!r}: it publishes something else: {found}")
            self.slots, self.step = self._read32("SLOTS"), self._read64("SLOT_STEP")
            if magic == RING_MAGIC:
                self._check_slots(size, slots)
            mode = self._read32("MODE")
            self.mode, self.reserve = mode % 2**31, mode < 2**31
            if self.mode > 0o777:
                self._refuse("MODE", mode, "mode bits end at 0o777")
            self.id = self._u64[HEADER_WORDS["ID"][0] // 8]
            if self.id == 0:
                self._refuse("ID", 0, "no publication has this one")
            self.newest, self.is_ended
        except BaseException:
            self._segment.close()
            raise
        _Channel._all.add(self)

    def _check_slots(self, size, slots):
        if slots not in (None, self.slots):
            raise ValueError(f"Cannot attach to {self.name!r}: it has {self.slots} slots")
        if self.step != -(-size // 64) * 64:
            self._refuse("SLOT_STEP", self.step, f"frames have {size} bytes")
        if self.slots < 1 or HEADER_BYTES + self.slots * self.step > len(self.map):
            self._refuse("SLOTS", self.slots, f"the segment has {len(self.map)} bytes")

    def _refuse(self, word, value, why):
        raise InvalidData(f"Cannot use {self.name!r}: its word {word} is {value}, and {why}; it is damaged")

    def _read64(self, word):
        value = self._u64[HEADER_WORDS[word][0] // 8]
        if value > 2**53 - 1:
            self._refuse(word, value, "numbers end at 2^53 - 1")
        return value

    def _read32(self, word):
        return self._u32[HEADER_WORDS[word][0] // 4]

    @property
    def newest(self):
        newest = self._read64("NEWEST")
        if newest < self._seen:
            self._refuse("NEWEST", newest, f"it was {self._seen} before")
        self._seen = newest
        return newest

    def newest_unless_removed(self, given):
        """`newest`; where that was given out before, and the publication is removed, FileNotFoundError."""
        is_ended, newest = self.is_ended, self.newest
        if newest == given and not is_ended:
            self.check_named("read from")
        return newest

    def begun_after(self, least):
        """The number that was begun last; frame `least` was whole before."""
        begun = self._read64("BEGUN")
        if begun < least:
            self._refuse("BEGUN", begun, f"frame {least} was whole before")
        if begun > least + 1 and begun > self.newest + 1:
            self._refuse("BEGUN", begun, f"NEWEST is {self.newest}")
        return begun

    @property
    def is_ended(self):
        """Whether no more comes. Who looks at `newest`, too, looks at this first."""
        ended = self._read32("ENDED")
        if ended > 1:
            self._refuse("ENDED", ended, "it must be 0 or 1")
        return ended == 1

    @property
    def is_named(self):
        return self._segment.is_named

    def check_open(self, action):
        if not self._segment.is_open:
            raise ValueError(f"Cannot {action} {self.name!r}: this instance was closed")

    def check_named(self, action):
        if not self.is_named:
            raise FileNotFoundError(
                errno.ENOENT, f"Cannot {action} {self.name!r}: its name was removed; attach to the next one"
            )

    @property
    def is_writer(self):
        _check_process()
        return self._is_writer and self._segment.is_open

    def claim(self, action, may_be_ended=False):
        """Become the writer; return whether this was not yet. BlockingIOError: there is another one."""
        self.check_open(action)
        self.check_named(action)
        is_first = not self.is_writer
        if is_first:
            if not self._segment.try_lock():
                raise BlockingIOError(errno.EAGAIN, f"Cannot {action} {self.name!r}: it has a writer")
            self._is_writer = True
        if self.is_ended and not may_be_ended:
            raise BrokenPipeError(errno.EPIPE, f"Cannot {action} {self.name!r}: its writer has ended it")
        return is_first

    def check_writer(self, action):
        """The user's function may have forked, or closed the instance: then somebody else may write now."""
        if not self.is_writer:
            raise ValueError(f"Cannot {action} {self.name!r}: this process is not the writer any more")

    def begin(self, number):
        self._u64[HEADER_WORDS["BEGUN"][0] // 8] = number
        _fence()

    def publish(self, number):
        _fence()
        self._u64[HEADER_WORDS["NEWEST"][0] // 8] = self._seen = number
        self.wake()

    def end(self):
        if not self.is_ended:
            self.claim("end", may_be_ended=True)
            self._u32[HEADER_WORDS["ENDED"][0] // 4] = 1
        self.wake()

    def wake(self):
        _fence()
        if self._read32("TURN") & 1:  # only the writer clears the bit: by the carry
            _atomic(_ADD, self._u32, HEADER_WORDS["TURN"][0], 1, wake=_MOST)

    def _is_there(self, after):
        is_ended = self.is_ended  # before the number: what was published before the end is seen
        if self.newest > after:
            return True
        if is_ended:
            raise EndedError(f"Cannot wait for {self.name!r}: its writer has said that no more comes")
        return False

    def _announce(self):
        """Say that somebody is about to sleep; return the turn in which to."""
        at = HEADER_WORDS["TURN"][0]
        for _ in range(1000):
            _atomic(_OR, self._u32, at, 1)
            turn = self._read32("TURN")
            # Without the bit the writer has just woken those who waited for what was there before, and would wake
            # nobody for the next.
            if turn & 1:
                break
        _fence()
        return turn

    def wait(self, after, timeout):
        """Block until there is an array after `after`."""
        deadline = _deadline(timeout, "wait")
        at = HEADER_WORDS["TURN"][0]
        while not self._is_there(after):
            turn = self._announce()
            if self._is_there(after):
                return
            if not self.is_named:
                if self._is_there(after):
                    return
                self.check_named("wait for")
            now = time.monotonic()
            if deadline is not None and deadline <= now:
                raise TimeoutError(f"Cannot wait any longer for {self.name!r}: nothing came")
            end = now + self._SLICE
            _wait(self._u32, at, turn, end if deadline is None else min(end, deadline))

    def close(self):
        self._is_writer = False
        self._segment.close()  # the mapping goes with the last view

    def _forked(self):
        self._is_writer = False


class Frame:
    """A frame of a Ring: `sequence`, `skipped` (how many were missed), `array` (not copied)."""

    def __init__(self, ring, sequence, skipped, array):
        self._ring, self.sequence, self.skipped, self.array = ring, sequence, skipped, array

    def is_whole(self):
        """Whether the writer has not begun to overwrite it; ask after use."""
        _fence()
        return self._ring.begun_after(self.sequence) < self.sequence + self._ring.slots

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

        _check_name(name)
        self._channel = channel = _Channel(name, RING_MAGIC, shape, dtype, slots)
        self.slots = channel.slots
        starts = (HEADER_BYTES + slot * channel.step for slot in range(channel.slots))
        self._views = [np.ndarray(shape, dtype, channel.map, start) for start in starts]
        self._last, self._joined = None, channel.newest

    def write(self, source):
        """Write a frame, from an array or by a function that fills the slot; return its number."""
        channel = self._channel
        channel.claim("write to")
        number = channel.newest + 1
        slot = self._views[(number - 1) % self.slots]
        channel.begin(number)
        if callable(source):
            source(slot)
            channel.check_writer("write to")
        else:
            slot[...] = source
        channel.publish(number)
        return number

    def end(self):
        """Say that no more comes: readers are told by EndedError when they have read what there is."""
        self._channel.check_open("end")
        self._channel.end()

    @property
    def is_ended(self):
        """Whether the writer has said that no more comes."""
        return self._channel.is_ended

    def latest(self):
        """The newest frame, or None before the first."""
        newest = self._channel.newest_unless_removed(self._last or 0)
        if newest != self._last:
            self._channel.begun_after(newest)  # InvalidData: the two cannot stand beside each other
        return self._give(newest, self._base()) if newest else None

    def next(self, after=None, timeout=None):
        """The frame after number `after` (or after the last one given); `timeout` in seconds.

        If that is overwritten already, the newest. EndedError: no more comes; FileNotFoundError: the ring was
        removed; both when all that there is has been read.
        """
        channel = self._channel
        base = self._base() if after is None else after
        start = (self._last or 0) if after is None else after
        channel.wait(start, timeout)
        there = channel.begun_after(start + 1) < start + 1 + self.slots
        return self._give(start + 1 if there else channel.newest, base)

    def frames(self):
        """All frames as they come, until the writer ends."""
        after = None
        while True:
            try:
                frame = self.next(after)
            except EndedError:
                return
            yield frame
            after = frame.sequence

    def close(self):
        """Give up the right to write, for good; what is there can still be read."""
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

    _MOST_TAKEN = 64  # how many numbers may be taken by versions of another user, which cannot be removed
    _MOST_REPLACED = 10_000  # how many versions may be replaced while a reader attaches to one

    def __init__(self, name, shape, dtype):
        _check_name(name, _PART_NAME_BYTES)
        self.name, self.shape, self.dtype = name, shape, dtype
        self._channel = _Channel(name, VERSIONS_MAGIC, shape, dtype)
        self._current, self._given = None, 0

    def publish(self, fill):
        """Have `fill` fill the next version, and make it the current one; return its number."""
        channel = self._channel
        try:
            is_first = channel.claim("publish to")
        except FileNotFoundError:
            self._remove_if_removed()
            raise
        before = channel.newest
        if is_first:
            self._sweep(before)
        number, path, array, made = self._make(before + 1)
        process = os.getpid()
        try:
            channel.check_named("publish to")
            fill(array)
            channel.check_writer("publish to")
            channel.check_named("publish to")
        except BaseException:
            if os.getpid() == process:  # in a forked child it is the parent's
                _unlink_own(path, made)
                self._remove_if_removed()
            raise
        channel.publish(number)  # it is current now, whatever happens
        self._current = number, array
        if before:
            try:
                _unlink_if_permitted(self._path(before))
            except OSError:
                pass  # the next writer sweeps it
        return number

    def end(self):
        """Say that no more comes: readers are told by EndedError when they have the last version."""
        self._channel.check_open("end")
        self._channel.end()

    @property
    def is_ended(self):
        """Whether the writer has said that no more comes."""
        return self._channel.is_ended

    def current(self):
        """The newest complete version: its number and its array; None before the first."""
        return self._give() if self._channel.newest_unless_removed(self._given) else None

    def changed(self, timeout=None):
        """Block until there is a newer version than the one given last; `timeout` in seconds."""
        self._channel.wait(self._given, timeout)
        return self._give()

    def close(self):
        """Give up the right to publish, for good; what is there can still be read."""
        self._remove_if_removed()
        self._channel.close()

    def _make(self, number):
        """Make the segment of the next version."""
        import numpy as np

        channel = self._channel
        size = int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        for tries in range(self._MOST_TAKEN + 2):
            path = self._path(number)
            try:
                fd = os.open(path, flags, 0o600)
                break
            except FileExistsError:
                # It bears the own id, so a killed writer left it, and this is the only writer.
                if tries > self._MOST_TAKEN:
                    raise
                if not _unlink_if_permitted(path):
                    number += 1
        try:
            os.fchmod(fd, channel.mode)
            if channel.reserve:
                os.posix_fallocate(fd, 0, size)
            else:
                os.ftruncate(fd, size)
            array = np.ndarray(self.shape, self.dtype, mmap.mmap(fd, size))
            return number, path, array, os.fstat(fd)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(fd)

    def _give(self):
        channel = self._channel
        for _ in range(self._MOST_REPLACED):
            number = channel.newest
            if self._current is not None and self._current[0] == number:
                break
            try:
                array = attach(os.path.basename(self._path(number)), self.shape, self.dtype)
            except FileNotFoundError:
                if channel.newest != number:
                    continue  # there is a newer one
                channel.check_named("attach to")
                raise
            self._current = number, array
            break
        else:
            raise InvalidData(f"Cannot attach to a version of {self.name!r}: none of many is there")
        self._given = self._current[0]
        return self._current

    def _path(self, number):
        return f"/dev/shm/{self.name}.{self._channel.id:016x}.v{number}"

    def _sweep(self, current):
        """Remove the versions that bear the own id but for one: what a killed writer left."""
        start = os.path.basename(self._path(""))
        for name in os.listdir("/dev/shm"):
            number = name[len(start) :]
            if name.startswith(start) and number.isdecimal() and number.isascii() and int(number) != current:
                _unlink_if_permitted("/dev/shm/" + name)

    def _remove_if_removed(self):
        """Remove all versions if the publication has no name any more: nobody else would."""
        channel = self._channel
        if channel.is_writer and not channel.is_named:
            self._sweep(None)


def _unlink_own(path, made):
    """Remove a name if it leads to the file that was made: somebody may have made another one meanwhile."""
    try:
        if os.path.samestat(os.lstat(path), made):
            os.unlink(path)
    except FileNotFoundError:
        pass


def _unlink_if_permitted(path):
    """Remove a name; return whether it is gone. In a sticky /dev/shm it may be another user's."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except PermissionError:
        return False
    return True


_SYS_membarrier = {"x86_64": 324, "aarch64": 283}.get(platform.machine())
_REGISTER_PRIVATE_EXPEDITED, _PRIVATE_EXPEDITED = 16, 8


def _fence():
    """Order what was read and written before against what comes after, on every processor."""
    if _SYS_membarrier is not None:
        number = ctypes.c_long(_SYS_membarrier)
        for _ in range(2):
            if _libc.syscall(number, _PRIVATE_EXPEDITED, 0, 0) == 0:
                return
            _libc.syscall(number, _REGISTER_PRIVATE_EXPEDITED, 0, 0)  # once in a process
    raise OSError(errno.ENOSYS, "Cannot order memory: there is no membarrier(2) here")
