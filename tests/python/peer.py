"""A Python process that a test talks to: one request per line, one answer per line, in JSON.

{"run": statements} and {"ask": expression} are evaluated with the names below in reach.
"""

import gc
import json
import math
import os
import sys
import traceback
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np

import gridr_like
from shm_attach import attach

_kept = []


def create(name, shape, dtype):
    """Create a segment as any Python program does. Its removal is left to the test."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = SharedMemory(name, create=True, size=size)
    resource_tracker.unregister(memory._name, "shared_memory")
    _kept.append(memory)  # closing it would take the memory from under the array
    return np.ndarray(shape, dtype, buffer=memory.buf)


def store(array, numbers, bits):
    """Store numbers given as text; where there is none, the bits of the element."""
    words = array.reshape(-1).view(f"u{array.itemsize}")
    kind = int if array.dtype.kind in "iub" else float
    for at, number in enumerate(numbers):
        if number is None:
            words[at] = int(bits[at])
        else:
            array.reshape(-1)[at] = kind(number)


def numbers_of(array):
    """The elements as JavaScript writes them: JSON has no int64, no NaN and no infinities."""
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    texts = [str(int(x) if array.dtype.kind == "b" else x) for x in array.reshape(-1).tolist()]
    return [names.get(text, text) for text in texts]


def layout_of(view):
    """Shape, strides in elements, and elements of a view of numbers that JSON can hold."""
    strides = [stride // view.itemsize for stride in view.strides]
    return {"shape": list(view.shape), "stride": strides, "values": view.ravel().tolist()}


def mapped(name):
    """How many times this process maps a segment."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return sum(line.rstrip().endswith("/" + name) for line in maps)


def answer(request):
    try:
        if "run" in request:
            exec(request["run"], globals())
            return json.dumps({"value": None})
        value = eval(request["ask"], globals())
        return json.dumps({"value": value}, default=lambda scalar: scalar.item())
    except Exception:
        return json.dumps({"error": traceback.format_exc()})


if __name__ == "__main__":
    for line in sys.stdin:
        print(answer(json.loads(line)), flush=True)
