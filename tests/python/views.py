"""Does with NumPy what tests/ndarray/views_test.ts did with our views: a batch of cases, in JSON."""

import json
import sys
import warnings

import numpy as np

from indexing import base_of, index_item

# What C leaves undefined may warn; the cases ask for no such element.
warnings.simplefilter("ignore")


def address(array):
    return array.__array_interface__["data"][0]


def selection(items):
    index = tuple(np.newaxis if item == "newaxis" else index_item(item) for item in items)
    return index if Ellipsis in index else index + (Ellipsis,)


def step(view, operation, arguments):
    if operation == "slice":
        return view[selection(arguments)]
    if operation == "transpose":
        return view.transpose(arguments)
    if operation == "broadcastTo":
        return np.broadcast_to(view, arguments)
    assert operation == "reshape"
    result = view.reshape(arguments)
    if view.size > 0 and address(result) != address(view):
        raise ValueError("NumPy copies")
    return result


def look(case):
    base = base_of(case)
    view = base
    for operation, arguments in case["steps"]:
        view = step(view, operation, arguments)
    return {
        "shape": list(view.shape),
        # Along an axis of length 1 nothing steps, and in an empty view neither.
        "stride": [
            stride // view.itemsize if length > 1 and view.size > 0 else None
            for length, stride in zip(view.shape, view.strides)
        ],
        "offset": (address(view) - address(base)) // view.itemsize if view.size else None,
        "values": view.ravel().tolist(),
        "turned": list(view.T.shape),
        "bytes": [view.nbytes, view.itemsize],
        "rows": [row.ravel().tolist() for row in view] if view.ndim else None,
    }


def run(case):
    try:
        return look(case)
    except (IndexError, ValueError):
        return None


def convert(case):
    """Converts elements, given and told as their bytes."""
    source = np.frombuffer(bytes(case["bytes"]), case["from"])
    return list(source.astype(case["to"]).tobytes())


def main():
    batch = json.load(sys.stdin)
    json.dump(
        {
            "views": [run(case) for case in batch["views"]],
            "conversions": [convert(case) for case in batch["conversions"]],
        },
        sys.stdout,
    )


main()
