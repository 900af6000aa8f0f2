"""A class with the interface of GRIDR's SharedMemoryArray, written from the description of its API.

Its instances are pickled to the worker processes of a pool, and each of them loads its part.
"""

import math
import multiprocessing
import os
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from shm_attach import open_untracked


class SharedMemoryArray:
    """A named array: nothing is created or attached before create() or load()."""

    def __init__(self, shape, dtype, name, array_slice=None):
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.name = name
        self.array_slice = array_slice
        self.smh = None
        self.array = None

    def create(self):
        """Create the segment; `array` is all of it."""
        size = math.prod(self.shape) * self.dtype.itemsize
        self.smh = SharedMemory(self.name, create=True, size=size)
        self.array = np.ndarray(self.shape, self.dtype, buffer=self.smh.buf)

    def load(self):
        """Attach to the segment; `array` is the part that array_slice takes."""
        self.smh = open_untracked(self.name)
        whole = np.ndarray(self.shape, self.dtype, buffer=self.smh.buf)
        self.array = whole if self.array_slice is None else whole[self.array_slice]

    def close(self):
        """Give up the attachment."""
        self.array = None
        self.smh.close()
        self.smh = None

    def __getstate__(self):
        return {**self.__dict__, "smh": None, "array": None}

    def descriptor(self):
        """What Deno's SharedMemoryArray.from() takes."""
        return {"shape": self.shape, "dtype": self.dtype.str, "name": self.name}


def scale(job):
    """What a worker does: reads its rows of one array, writes them to another."""
    source, target, factor = job
    source.load()
    target.load()
    target.array[...] = source.array * factor
    source.close()
    target.close()
    return os.getpid()


def total(part):
    """What a worker does: adds up its part of an array."""
    part.load()
    result = part.array.sum().item()
    part.close()
    return result


def bands(sma, count):
    """The same array once per worker, each with its rows."""
    edges = np.linspace(0, sma.shape[0], count + 1).astype(int).tolist()
    return [
        SharedMemoryArray(sma.shape, sma.dtype, sma.name, np.s_[first:end])
        for first, end in zip(edges, edges[1:])
    ]


def in_pool(method, function, jobs):
    """Run jobs, one at a time per worker, in a pool of processes."""
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(function, jobs, chunksize=1)
