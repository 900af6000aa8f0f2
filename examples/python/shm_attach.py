"""Attach to a shared-memory array from Python, without taking it away from everybody else.

    from shm_attach import attach
    image = attach("frame-0", (1080, 1920, 3), "uint8")
"""

import sys
import threading
import weakref
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np

_lock = threading.Lock()


def attach(name, shape, dtype):
    """Return the array in segment `name`: a NumPy array over the shared bytes.

    `shape` and `dtype` are its creator's. The mapping is closed once the array and all views of it
    are garbage.
    """
    memory = open_untracked(name)
    array = np.ndarray(shape, dtype, buffer=memory.buf)
    weakref.finalize(array, memory.close).atexit = False
    return array


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
