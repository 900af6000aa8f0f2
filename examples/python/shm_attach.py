"""Attach to a shared-memory array from Python, without taking it away from everybody else.

    from shm_attach import attach
    image = attach("frame-0", (1080, 1920, 3), "uint8")
"""

import fcntl
import mmap
import os
import sys
import threading
import weakref
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np

_lock = threading.Lock()


def attach(name, shape, dtype, layout=None):
    """Return the array in segment `name`: a NumPy array over the shared bytes.

    `shape` and `dtype` are its creator's, and so is `layout`, where the descriptor has one: the JSON of
    a view does. The mapping is closed once the array and all views of it are garbage.
    """
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
