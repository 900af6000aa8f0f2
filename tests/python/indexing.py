"""Does with NumPy what tests/ndarray/indexing_test.ts did with our views: a batch of cases, in JSON."""

import json
import math
import sys

import numpy as np


def base_of(case):
    """An array of which neighbouring elements differ."""
    shape, dtype = case["shape"], np.dtype(case["dtype"])
    # Over a buffer, as shared memory is: an array of size 0 that NumPy allocates has strides of 0.
    buffer = bytearray(max(1, math.prod(shape) * dtype.itemsize))
    base = np.ndarray(shape, dtype, buffer)
    base.flat = np.arange(base.size) % case["modulus"] + case["first"]
    return base


def index_item(item):
    if item is None:
        return slice(None)
    if isinstance(item, dict):
        return slice(item.get("start"), item.get("stop"), item.get("step"))
    if isinstance(item, str):
        return eval(f"np.s_[{item}]")  # as Python itself reads it
    return item


def step(view, operation, arguments):
    if operation == "slice":
        index = tuple(index_item(item) for item in arguments)
        # With an ellipsis, NumPy gives a view where it would give a scalar.
        return view[index if Ellipsis in index else index + (Ellipsis,)]
    if operation == "transpose":
        return view.transpose(arguments) if arguments else view.T
    assert operation == "reshape" and view.flags.c_contiguous
    return view.reshape(arguments)


def chain(view, steps):
    for operation, arguments in steps:
        view = step(view, operation, arguments)
    return view


def plain(array):
    """The elements in C order, as numbers."""
    return (array.astype(int) if array.dtype == bool else array).ravel().tolist()


def look(case):
    base = base_of(case)
    view = chain(base, case["steps"])
    address = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return {
        "shape": list(view.shape),
        "stride": [stride // view.itemsize for stride in view.strides],
        # Where an empty view begins is nobody's concern.
        "offset": address // view.itemsize if view.size else None,
        "contiguous": view.flags.c_contiguous,
        "values": plain(view),
        "got": [get(view, index) for index in case["indices"]],
    }


def get(view, index):
    try:
        return plain(view[tuple(index) + (Ellipsis,)])[0]
    except IndexError:
        return None


def store(case):
    base = base_of(case)
    target = chain(base, case["steps"])
    source = case["source"]
    if source["kind"] == "same memory":
        # Possibly as elements of another type.
        memory = np.frombuffer(base, dtype=source["dtype"]).reshape(source["shape"])
        view = chain(memory, source["steps"])
        # NumPy forgets the overlap where both have one axis and their strides differ (a[1:27:5] =
        # a[1:17:3] in 1.24): in such a case it is helped.
        is_missed = target.ndim == 1 and view.ndim == 1 and target.strides != view.strides
        target[...] = view.copy() if is_missed else view
    elif source["kind"] == "nested":
        # Integers wrap around, as in typed arrays; NumPy 2 refuses a Python -60 for uint32.
        nested = chain(base_of(source), source["steps"]).tolist()
        target[...] = np.array(nested, source["dtype"])
    else:
        target[...] = chain(base_of(source), source["steps"])
    return {"values": plain(base)}


def run(case):
    try:
        return store(case) if "source" in case else look(case)
    except (IndexError, ValueError) as error:
        return {"refused": type(error).__name__}


if __name__ == "__main__":
    json.dump([run(case) for case in json.load(sys.stdin)], sys.stdout)
