"""Attach to a shared-memory array from Python, without taking it away from everybody else; create one; wait for
its elements and lock it, and share out work, together with programs that use `@shm/array`.

    from shm_attach import Lock, attach, create, notify, unlink, wait
    image = attach("frame-0")  # the segment says what it is
    state = attach("state", (16,), "int32")  # and is compared with what it is told
    while state[0] == 0:
        wait(state, 0, 0)
    with Lock("frame-0.lock"):
        image[:, :, 0] = 255
    for item in attach("tiles").items():  # a queue
        with item:
            item.complete(len(item.message))

This file is all there is: copy it, or print it by `deno run jsr:@shm/array/cli python > shm_attach.py`. It runs with
CPython 3.8 and newer. Only arrays, rings and versions need NumPy. All but attach() is for Linux.

After os.fork() a child has none of the locks, none of the rights to write and none of the items of queues that its
parent has: it can acquire, claim and take for itself. docs/python.md describes the functions; docs/sync.md,
docs/publication.md and docs/queue.md describe the segments.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import math
import mmap
import os
import platform
import re
import secrets
import stat
import struct
import sys
import threading
import time
import weakref
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple, Union, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Shape = Union[int, Sequence[int]]

_lock = threading.Lock()
_process = os.getpid()  # whose the locks and the claims of this module's instances are

# The words of the segments: where each stands, in bytes, and its type. The names and places are those of
# src/sync/lock_words.ts, src/publish/header_words.ts, src/publish/ring_words.ts and src/queue/queue_words.ts; tests
# compare them.
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
    "META_BYTES": (48, "u32"),
    "NEWEST": (64, "u64"),
    "BEGUN": (72, "u64"),
    "TURN": (80, "u32"),
    "ENDED": (84, "u32"),
    "TIMED_A": (88, "u64"),
    "TIME_A": (96, "f64"),
    "TIMED_B": (104, "u64"),
    "TIME_B": (112, "f64"),
}
HEADER_BYTES = 128
# What stands beside a frame, from the first multiple of 8 after its elements on.
FRAME_WORDS = {"TIMESTAMP": (0, "f64"), "META_LENGTH": (8, "u32"), "META": (12, "char[META_BYTES]")}
RING_MAGIC = b"SHMRING1"
VERSIONS_MAGIC = b"SHMVERS1"
QUEUE_WORDS = {
    "MAGIC": (0, "char[8]"),
    "SLOTS": (8, "u32"),
    "MESSAGE_BYTES": (12, "u32"),
    "KEEP_FAILED": (16, "u32"),
    "ENDED": (20, "u32"),
    "NEXT_ID": (24, "u32"),
    "SEQUENCE": (64, "u32"),
    "WORK": (128, "u32"),
    "ROOM": (132, "u32"),
    "DRAIN": (192, "u32"),
    "COMPLETED": (196, "u32"),
    "FAILURES": (200, "u32"),
}
QUEUE_BYTES = 256  # of the header; after it a word STATE for each slot
SLOT_WORDS = {
    "NUMBER": (0, "u32"),
    "CALLER": (4, "u32"),
    "ATTEMPTS": (8, "u32"),
    "MESSAGE_LENGTH": (12, "u32"),
    "ANSWER_LENGTH": (16, "u32"),
    "ANSWER": (20, "u32"),
    "TAKER": (24, "u32"),
    "PID": (28, "u32"),
    "SINCE": (32, "f64"),
}
SLOT_BYTES = 64
QUEUE_MAGIC = b"SHMQUEUE"
QUEUE_STATES = ("FREE", "FILLING", "WAITING", "TAKEN", "DROPPED", "DONE", "FAILED", "GIVEN_UP")
_NAME_MAX = 255
_PART_NAME_BYTES = 35  # how much longer the name of a version is, at most


class InvalidData(Exception):
    """What stands in a segment cannot be: somebody has written over it."""


class EndedError(Exception):
    """The writer has said that no more comes, and all that there was has been read."""


# --- Arrays ------------------------------------------------------------------------------------------


@overload
def attach(name: str, *, dtype: Optional[npt.DTypeLike] = None) -> Any: ...
@overload
def attach(
    name: str,
    shape: Shape,
    dtype: npt.DTypeLike,
    layout: Optional[Dict[str, Any]] = None,
    *,
    reinterpret: bool = False,
) -> np.ndarray: ...
def attach(name, shape=None, dtype=None, layout=None, *, reinterpret=False):
    """Return the array in segment `name`: a NumPy array over the shared bytes. No element is copied.

    With the name alone, the segment must say what it is, as it does if `@shm/array` or create() made it. If it is
    no array, but a lock, a ring, versions or a queue, this returns an instance of Lock, Ring, Versions or Queue.
    `dtype` beside the name is what the elements of an array must be.

    `shape` and `dtype` are those of the descriptor that Deno sent, and so is `layout`, where the descriptor has one:
    the JSON of a view does. If the segment says that it is something else, that is an error, unless `reinterpret` is
    true: then the bytes are taken as they are.

    `name` may be that of an anonymous segment, `memfd:PID:FD:INODE`. The mapping is closed once the array and all
    views of it are garbage.

    Raises FileNotFoundError if there is no such segment; TypeError if it is of another kind; ValueError if it does
    not say what it is, says something else, or is too small, and for a name that none can have.

    >>> name = f"doctest-attach-{os.getpid()}"
    >>> mine = create(name, (2, 3), "float32")
    >>> theirs = attach(name)  # in another process, usually
    >>> theirs[1, 2] = 7
    >>> mine.tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 7.0]]
    >>> attach(name, (6,), "uint8")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: Cannot attach to 'doctest-...
    >>> attach(name, (6,), "uint8", reinterpret=True).shape
    (6,)
    >>> unlink(name)
    True
    """
    if shape is None:
        if layout is not None or reinterpret:
            raise TypeError("Cannot attach: layout and reinterpret are for a shape and a dtype that are given")
        wanted = None if dtype is None else _dtype_of(dtype)
    elif dtype is None:
        raise TypeError("Cannot attach: a shape needs a dtype; without both the segment says what it is")
    else:
        meant = _placed(shape, _dtype_of(dtype), layout)
    if not _HAS_SHM:
        if shape is None:
            raise ValueError(f"Cannot attach to {name!r}: segments do not say what they are here; give shape and dtype")
        memory = open_untracked(name)
        array = meant.over(memory.buf)
        weakref.finalize(array, memory.close).atexit = False
        return array

    file, size, found = _open_described(name, is_needed=shape is None)
    try:
        if shape is None:
            if found.kind != "array":
                return _attach_other(name, found, wanted)
            array = _Placed(found.shape, found.dtype, found.layout)
            if wanted is not None and wanted != array.dtype:
                raise ValueError(f"Cannot attach to {name!r} as one of {wanted}: the segment is described as {array}")
        else:
            array = meant
            if not reinterpret:
                _refuse_other_kinds(file, size, name)
                if found is not None:
                    _compare(name, array, layout is not None, found)
        array.check(size, name)
        return array.over(mmap.mmap(file, size))
    finally:
        os.close(file)


def create(
    name: str,
    shape: Shape,
    dtype: npt.DTypeLike,
    layout: Optional[Dict[str, Any]] = None,
    *,
    mode: int = 0o600,
    reserve: bool = True,
    describe: bool = True,
) -> np.ndarray:
    """Create segment `name`, zero-filled, and return the array in it. It stays until unlink().

    `layout` says where the elements lie, in a dictionary as Deno has it: `byteOffset` in bytes, `stride` in elements.
    `mode` are the permission bits. `reserve` takes the memory at once, so that a full /dev/shm is an OSError here,
    and not the end of the process later. With `describe` the segment says what it is, where files can have extended
    attributes (tmpfs from Linux 6.6 on): attach() and `SharedMemoryArray.attach()` then need its name alone.

    The segment is built whole before it has its name. Raises FileExistsError if the name is taken, TypeError for a
    dtype that Deno has not, ValueError for a wrong name, shape, layout or mode.

    >>> name = f"doctest-create-{os.getpid()}"
    >>> array = create(name, 3, "int64")
    >>> array[:] = [1, 2, 3]
    >>> attach(name).tolist()
    [1, 2, 3]
    >>> create(name, 3, "int64")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileExistsError: [Errno 17] File exists: 'doctest-...
    >>> unlink(name)
    True
    """
    array = _placed(shape, _checked_dtype(dtype), layout)
    if 0 in array.shape:
        raise ValueError(f"Cannot create {name[:80]!r}: shape {list(array.shape)} has no elements")
    low, high = array.extent()
    if low < 0 or low % array.dtype.itemsize:
        raise ValueError(f"Cannot create {name[:80]!r}: an element would lie before the segment, or across its own size")
    file = _make(name, high, mode, reserve, array.description() if describe else None)
    try:
        return array.over(mmap.mmap(file, high))
    finally:
        os.close(file)


def unlink(name: str) -> bool:
    """Remove the name of a segment, and of a publication of versions those of its versions, too.

    Whoever is attached keeps the memory. Returns False if there was no such name.

    >>> unlink("doctest-nobody-made-this")
    False
    """
    _check_name(name)
    path = _SHM + name
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    publication = None
    if stat.S_ISREG(status.st_mode) and status.st_size == HEADER_BYTES:
        with open(path, "rb") as file:
            head = file.read(HEADER_BYTES)
            status = os.fstat(file.fileno())
        at = HEADER_WORDS["ID"][0]
        if head.startswith(VERSIONS_MAGIC):
            publication = int.from_bytes(head[at : at + 8], "little")
    if publication is None:
        os.unlink(path)
    else:
        _unlink_own(path, status)
        for part in _parts_of(name, publication):
            _unlink_if_permitted(_SHM + part)
    return True


# What the descriptors of Deno call by another name than NumPy, and npm ndarray's names.
_DENO_NAMES = {"uint8c": "uint8", "uint8_clamped": "uint8", "bigint64": "int64", "biguint64": "uint64"}
_DTYPES = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64".split()


def _dtype_of(like):
    """A dtype by any name that NumPy or Deno has for it."""
    import numpy as np

    return np.dtype(_DENO_NAMES.get(like, like) if isinstance(like, str) else like)


def _checked_dtype(like):
    """A dtype that Deno has, too."""
    dtype = _dtype_of(like)
    if dtype.name not in _DTYPES or not dtype.isnative:
        raise TypeError(f"Cannot share elements of {str(dtype)[:80]}: use one of {', '.join(_DTYPES)}")
    return dtype


class _Placed(NamedTuple):
    """Where an array lies in its segment: the layout is None in C order from the first byte on."""

    shape: Tuple[int, ...]
    dtype: Any
    layout: Optional[Tuple[int, Tuple[int, ...]]]  # the position of the first element in bytes; strides in elements

    def __str__(self):
        text = f"shape {list(self.shape)} of {self.dtype}"
        if self.layout is None:
            return text
        return f"{text} with byteOffset {self.layout[0]} and stride {list(self.layout[1])}"

    @property
    def full_layout(self):
        return self.layout or (0, _c_order(self.shape))

    def over(self, memory):
        """The array over the bytes of the segment."""
        import numpy as np

        if self.layout is None:
            return np.ndarray(self.shape, self.dtype, memory)
        offset, stride = self.layout
        return np.ndarray(self.shape, self.dtype, memory, offset, [step * self.dtype.itemsize for step in stride])

    def extent(self):
        """Between which bytes the elements lie."""
        offset, stride = self.full_layout
        steps = [step * (length - 1) * self.dtype.itemsize for step, length in zip(stride, self.shape)]
        low = offset + sum(min(step, 0) for step in steps)
        return low, offset + sum(max(step, 0) for step in steps) + self.dtype.itemsize

    def check(self, size, name):
        """Refuse a segment in which some element would not lie."""
        low, high = self.extent()
        if 0 not in self.shape and (low < 0 or high > size):
            raise ValueError(f"Cannot attach to {name!r}: the segment has {size} bytes, and {self} needs {high}")

    def description(self):
        """What `@shm/array` writes beside the segment."""
        found = {"kind": "array", "shape": list(self.shape), "dtype": self.dtype.str}
        if self.layout is not None:
            found["layout"] = {"byteOffset": self.layout[0], "stride": list(self.layout[1])}
        return found


def _placed(shape, dtype, layout):
    """Check an array that a caller describes."""
    import operator

    try:
        shape = (operator.index(shape),)
    except TypeError:
        shape = tuple(operator.index(length) for length in shape)
    if any(length < 0 for length in shape):
        raise ValueError(f"Cannot use shape {list(shape)}: a length is negative")
    if not layout:
        return _Placed(shape, dtype, None)
    unknown = set(layout) - {"byteOffset", "stride"}
    if unknown:
        raise TypeError(f"Cannot use this layout: it has byteOffset and stride, not {sorted(map(str, unknown))}")
    offset = operator.index(layout.get("byteOffset") or 0)
    stride = layout.get("stride")
    stride = _c_order(shape) if stride is None else tuple(operator.index(step) for step in stride)
    if len(stride) != len(shape):
        raise ValueError(f"Cannot use this layout: it has {len(stride)} strides, and the shape {len(shape)} axes")
    if offset < 0:
        raise ValueError(f"Cannot use this layout: byteOffset {offset} is negative")
    is_plain = offset == 0 and _is_same_stride(shape, stride, _c_order(shape))
    return _Placed(shape, dtype, None if is_plain else (offset, stride))


def _c_order(shape):
    """The strides of C order, in elements."""
    strides, distance = [], 1
    for length in reversed(shape):
        strides.append(distance)
        distance *= length
    return tuple(reversed(strides))


def _is_same_stride(shape, a, b):
    """Whether strides lead to the same elements: along an axis of length 1 nobody goes."""
    return all(length == 1 or x == y for length, x, y in zip(shape, a, b))


# --- Descriptions: what a segment says of itself. src/segment/description.ts is the other side. ------

_ATTRIBUTE = "user.shm_array"
_MOST_BYTES = 4096
_KINDS = ("array", "lock", "barrier", "ring", "versions", "queue")
# No attributes here, or none that could be set or read.
_UNAVAILABLE = {"ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EACCES", "ENOSPC", "EDQUOT", "E2BIG", "ERANGE", "EROFS"}
_HAS_SHM = sys.platform == "linux"
_SHM = "/dev/shm/"
_PATIENCE = 1.0  # seconds for a creator to give the segment its size and its description


class _Description(NamedTuple):
    kind: str
    shape: Optional[Tuple[int, ...]]
    dtype: Any
    layout: Optional[Tuple[int, Tuple[int, ...]]]


def _read_description(file):
    """What an open segment says that it is; None if it says nothing, or nothing that can be."""
    try:
        text = os.getxattr(file, _ATTRIBUTE)
    except OSError as error:
        if error.errno == errno.ENODATA or errno.errorcode.get(error.errno) in _UNAVAILABLE:
            return None
        raise
    return _parse_description(text)


def _can_describe(file):
    """Whether there could be a description beside an open segment."""
    try:
        os.getxattr(file, _ATTRIBUTE)
    except OSError as error:
        return errno.errorcode.get(error.errno) not in _UNAVAILABLE
    return True


def _parse_description(text):
    """Read a description. Anybody may have written it: all of it is checked, as Deno checks it.

    >>> _parse_description(b'{"kind":"lock"}').kind
    'lock'
    >>> _parse_description(b'{"kind":"array","shape":[2,-3],"dtype":"<f4"}') is None
    True
    """
    if len(text) > _MOST_BYTES:
        return None

    def refuse(constant):
        raise ValueError(constant)  # NaN is no JSON

    try:
        found = json.loads(text.decode("utf-8-sig"), parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("kind") not in _KINDS:
        return None
    kind = found["kind"]
    has_array = kind in ("array", "ring", "versions")
    try:
        shape = _integers(found["shape"], 1) if has_array or "shape" in found else None
        dtype = _described_dtype(found["dtype"]) if has_array or "dtype" in found else None
        layout = None
        if kind == "array" and "layout" in found:
            (offset,) = _integers([found["layout"]["byteOffset"]], 0)
            layout = offset, _integers(found["layout"]["stride"], None)
            if len(layout[1]) != len(shape):
                return None
    except (KeyError, TypeError, ValueError):
        return None
    return _Description(kind, shape, dtype, layout)


def _integers(values, least):
    """A list of integers that JavaScript has exactly; ValueError if it is none."""
    if not isinstance(values, list):
        raise ValueError(values)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
            raise ValueError(value)
        if abs(value) > 2**53 - 1 or (least is not None and value < least):
            raise ValueError(value)
    return tuple(int(value) for value in values)


def _described_dtype(text):
    """A dtype as descriptions write it; ValueError if it is none."""
    if isinstance(text, str):
        name = _DENO_NAMES.get(text, text)
        if name in _DTYPES:
            return _dtype_of(name)
        code = re.fullmatch(r"([<=|]?)(\?|b1|[iu][1248]|f[248])|>(\?|[biu]1)", text)
        if code is not None:
            return _dtype_of(code[2] or code[3])
    raise ValueError(text)


def _open_described(name, is_needed):
    """Open a segment; return its descriptor, its size, and what it says, if anything.

    Its creator may be about to give it its size, and where that `is_needed` its description.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        file = _open(name)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise TypeError(f"Cannot attach to {name!r}: it is no regular file")
            is_late = time.monotonic() > deadline
            if status.st_size > 0:
                found = _read_description(file)
                if found is not None or not is_needed:
                    return file, status.st_size, found
                if is_late or not _can_describe(file):
                    raise ValueError(
                        f"Cannot attach to {name!r} by its name alone: the segment does not say what it is; "
                        "give shape and dtype"
                    )
            elif is_late:
                raise ValueError(f"Cannot attach to {name!r}: its creator has not given it a size")
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        time.sleep(0.002)


def _attach_other(name, found, wanted):
    """Attach to a segment that is no array."""
    if wanted is not None and wanted != found.dtype:
        what = f"a {found.kind}" + ("" if found.dtype is None else f" of {found.dtype}")
        raise ValueError(f"Cannot attach to {name!r} as one of {wanted}: the segment is described as {what}")
    attach_to = _OTHER_KINDS.get(found.kind)
    if attach_to is None:
        raise TypeError(f"Cannot attach to {name!r}: the segment is that of a {found.kind}, which Python has not")
    return attach_to(name, found)


# What Python takes no part in.
_BARRIER_MAGIC = b"SHMBARR1"

_OTHER_KINDS = {
    "lock": lambda name, found: Lock(name),
    "ring": lambda name, found: Ring(name, found.shape, found.dtype),
    "versions": lambda name, found: Versions(name, found.shape, found.dtype),
    "queue": lambda name, found: Queue(name),
}


def _kind_of_head(head, size):
    """The class for a segment that begins so, which is no array; None if it may be one."""
    at = LOCK_WORDS["MAGIC"][0]
    if size == LOCK_BYTES and head[at : at + len(LOCK_MAGIC)] == LOCK_MAGIC:
        return "Lock"
    kinds = {RING_MAGIC: "Ring", VERSIONS_MAGIC: "Versions", QUEUE_MAGIC: "Queue", _BARRIER_MAGIC: "barrier"}
    return next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)


def _refuse_other_kinds(file, size, name):
    """Refuse the segment of a lock, a ring, versions or a queue, as what it begins with tells it."""
    kind = _kind_of_head(os.pread(file, 16, 0), size)
    if kind is not None:
        how = "which Python has not" if kind == "barrier" else "which attaches to it"
        raise TypeError(f"Cannot attach to {name!r} as an array: the segment is that of a {kind}, {how}")


def _compare(name, meant, has_layout, found):
    """Compare the array that is meant with what the segment says; with a layout it may be a part of that."""
    if found.kind != "array":
        raise TypeError(f"Cannot attach to {name!r} as an array: the segment is described as a {found.kind}")
    whole = _Placed(found.shape, found.dtype, found.layout)
    if meant.dtype == whole.dtype:
        is_same_shape = meant.shape == whole.shape
        (offset, stride), (other_offset, other_stride) = meant.full_layout, whole.full_layout
        if is_same_shape and offset == other_offset and _is_same_stride(meant.shape, stride, other_stride):
            return
        if has_layout and _is_part(meant, whole, is_same_shape):
            return
    raise ValueError(
        f"Cannot attach to {name!r} as {meant}: the segment is described as {whole}; "
        "reinterpret=True takes the bytes as they are"
    )


def _axes_of(array):
    """The axes from the longest stride to the shortest, and the byte at which the lowest element begins."""
    first, stride = array.full_layout
    axes = []
    for length, step in zip(array.shape, stride):
        if length == 1 or step == 0:
            continue
        if step < 0:
            first += step * (length - 1) * array.dtype.itemsize
        axes.append((length, abs(step)))
    return sorted(axes, key=lambda axis: -axis[1]), first


def _merge_axes(axes, parts, first):
    """Put axes together that lead through memory as one would: mergeAxes() of src/shared_array/described_array.ts."""
    merged = []
    for i in reversed(range(len(axes))):
        length, row = axes[i]
        distance = _distance_across(axes[: i + 1], merged[0], parts, first) if merged else None
        if distance is None:
            merged.insert(0, axes[i])
            continue
        limit, step = merged[0]
        columns = row // distance
        beside = min(distance // step, limit - (columns - 1) * distance // step)
        merged[:1] = [(length * columns, distance), (beside, step)]
    return merged


def _distance_across(outers, inner, parts, first):
    """The distance of columns that lead on from one row to the next as the part does; None if it stays in its row."""
    (length, step), row = inner, outers[-1][1]
    if row == step * length:
        return step
    if row < step * length or row % step:
        return None
    for _, outer in outers:
        first %= outer
    distance, column = row, first // step
    for limit, stride in reversed(parts):
        if stride % step or any(stride % outer == 0 for _, outer in outers):
            continue
        column += stride // step * (limit - 1)
        if column >= length:
            distance = math.gcd(distance, stride)
    return distance if distance < row and row - distance < step * length else None


def _is_part(part, whole, is_same_shape):
    """Whether an array is what a view of another one shows. It is isPart() of src/shared_array/described_array.ts."""
    (parts, first), (all_axes, begin) = _axes_of(part), _axes_of(whole)
    rest, more = divmod(first - begin, whole.dtype.itemsize)
    if more or rest < 0:
        return False
    axes = all_axes if is_same_shape else _merge_axes(all_axes, parts, rest)
    positions = []
    for _, step in axes:
        positions.append(rest // step)
        rest %= step
    if rest or any(position >= length for position, (length, _) in zip(positions, axes)):
        return False
    taken = set()
    for length, step in parts:
        for axis, (limit, own) in enumerate(axes):
            is_free = not (is_same_shape and axis in taken)
            if is_free and step % own == 0 and positions[axis] + step // own * (length - 1) < limit:
                taken.add(axis)
                positions[axis] += step // own * (length - 1)
                break
        else:
            return False
    return True


# --- Files -------------------------------------------------------------------------------------------


def _open(name):
    """Open a segment to read and write; FileNotFoundError if there is none."""
    if _is_anonymous(name):
        return _open_anonymous(name)
    _check_name(name)
    return _open_path(_SHM + name, os.O_NOFOLLOW)


def _open_path(path, flags):
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | flags)


def _is_anonymous(name):
    return isinstance(name, str) and name.startswith("memfd:")


def _anonymous_path(name):
    """Where the segment `memfd:PID:FD:INODE` is found, and the inode that it must have."""
    if not re.fullmatch(r"memfd:[0-9]+:[0-9]+:[0-9]+", name):
        raise ValueError(f"Cannot use the name {name[:80]!r}: anonymous segments are called memfd:PID:FD:INODE")
    pid, fd, inode = name.split(":")[1:]
    return f"/proc/{pid}/fd/{fd}", int(inode)


def _is_ending(pid):
    """Whether a process has no memory any more: nobody but root may look at its descriptors then."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] in "ZX" or fields[20] == "0"  # state, vsize


def _missing(message):
    """An error that says just this, and has the number of ENOENT."""
    error = FileNotFoundError(message)
    error.errno = errno.ENOENT
    return error


def _open_anonymous(name):
    """Open the anonymous segment `memfd:PID:FD:INODE`, which process PID made and holds."""
    path, inode = _anonymous_path(name)
    try:
        file = _open_path(path, 0)  # who has the number now may have a FIFO there
    except PermissionError:
        pid = name.split(":")[1]
        # Its parent may have asked for its end since: then nothing tells any more that it was ending.
        if _is_ending(pid) or not os.path.exists(f"/proc/{pid}"):
            raise _missing(f"{name} is gone: the process that made it has ended") from None
        raise
    try:
        if os.fstat(file).st_ino != inode or not _is_sealed(file):
            raise _missing(f"{name} is gone: the number is another file's now")
        return file
    except BaseException:
        os.close(file)
        raise


def open_anonymous(name: str) -> mmap.mmap:
    """Map the anonymous segment `memfd:PID:FD:INODE`, which process PID made and holds."""
    file = _open_anonymous(name)
    try:
        return mmap.mmap(file, os.fstat(file).st_size)
    finally:
        os.close(file)


def _is_sealed(file):
    """Whether a file is an anonymous segment: nobody can shrink or grow it."""
    get_seals, shrink_and_grow = 1034, 2 | 4  # Python before 3.8 has no names for them
    try:
        return fcntl.fcntl(file, get_seals) & shrink_and_grow == shrink_and_grow
    except OSError:
        return False


def _make(name, size, mode, reserve, description, fill=None):
    """Make a segment whole, and give it its name in the end; return its descriptor.

    `fill` writes into a mapping of it before that. FileExistsError: the name is taken.
    """
    if not _HAS_SHM:
        raise OSError(errno.ENOSYS, "Cannot create a segment: this is for Linux")
    if _is_anonymous(name):
        raise ValueError(f"Cannot create {name[:80]!r}: names of this form lead to anonymous segments")
    _check_name(name)
    if not 0 <= mode <= 0o777:
        raise ValueError(f"Cannot create {name!r}: mode must be from 0 to 0o777, not {mode:#o}")
    flags = os.O_RDWR | os.O_CLOEXEC
    temporary = None
    try:
        file = os.open(_SHM, flags | os.O_TMPFILE, 0o600)
    except OSError as error:
        if errno.errorcode.get(error.errno) not in ("EACCES", "EPERM", "EOPNOTSUPP", "EISDIR", "EINVAL"):
            raise
        # Only named files may be made here.
        more = "." + secrets.token_hex(8)
        temporary = _SHM + (name + more if len(os.fsencode(name + more)) <= _NAME_MAX else more[1:])
        file = os.open(temporary, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        _describe(file, description)
        os.fchmod(file, mode)
        os.ftruncate(file, size)
        if reserve:
            os.posix_fallocate(file, 0, size)
        if fill is not None:
            with mmap.mmap(file, size) as mapping:
                fill(mapping)
        try:
            if temporary is not None:
                os.link(temporary, _SHM + name)
            else:
                _link_open(file, _SHM + name)
        except FileExistsError:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        return file
    except BaseException:
        os.close(file)
        raise
    finally:
        if temporary is not None:
            os.unlink(temporary)


def _link_open(file, path):
    """Give a file that has no name yet one."""
    proc = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(str(file), path, src_dir_fd=proc, follow_symlinks=True)
    finally:
        os.close(proc)


def _describe(file, description):
    """Write a description beside an open segment. Where there can be none, there is none, and all else works."""
    if description is None:
        return
    text = json.dumps(description, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > _MOST_BYTES:
        return
    try:
        os.setxattr(file, _ATTRIBUTE, text)
    except OSError as error:
        if errno.errorcode.get(error.errno) not in _UNAVAILABLE:
            raise


def open_untracked(name: str) -> SharedMemory:
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


def wait(array: Any, index: int, value: int, timeout: Optional[float] = None) -> str:
    """Block while element `index` of a contiguous array of int32 is `value`, until it is notified.

    `timeout` is in seconds. Returns "ok", "not-equal" (it had another value) or "timed-out", as wait() of
    `@shm/array/sync` does. After "ok" look at the element again. The GIL is released meanwhile.

    >>> name = f"doctest-wait-{os.getpid()}"
    >>> state = create(name, 16, "int32")
    >>> wait(state, 0, 1)
    'not-equal'
    >>> wait(state, 0, 0, timeout=0.001)
    'timed-out'
    >>> unlink(name)
    True
    """
    timeout = None if timeout is None else max(0, _checked_number(timeout, "wait", "timeout", "a number of seconds"))
    return _wait(_word(array, index), 0, value, _deadline(timeout, "wait"))


def notify(array: Any, index: int, count: Optional[int] = None) -> int:
    """Wake those who wait for element `index`, at most `count`; return how many were woken.

    Change the element first, or a waiter that has not quite fallen asleep sleeps on.

    >>> name = f"doctest-notify-{os.getpid()}"
    >>> state = create(name, 16, "int32")
    >>> state[0] = 1
    >>> notify(state, 0)
    0
    >>> unlink(name)
    True
    """
    if count is not None and count < 1:
        return 0  # the kernel would wake one
    return _futex(_word(array, index), 0, _FUTEX_WAKE, _MOST if count is None else min(count, _MOST))


def _checked_number(value, action, what, kind):
    """Give a number back; of anything else the comparison with one would tell a message that names no argument."""
    try:
        value >= 0
    except TypeError:
        raise TypeError(f"Cannot {action}: {what} must be {kind}, not {type(value).__name__}") from None
    return value


def _deadline(timeout, action):
    """When a time limit is over; None is never."""
    if timeout is None:
        return None
    if not _checked_number(timeout, action, "timeout", "a number of seconds") >= 0:
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


_ADD, _OR, _CLEAR = 1, 2, 3
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


# Compares the 32 bits at an address with `expected`, and if they are the same replaces them by `desired`, in one
# atomic step that orders all memory accesses around it; returns what was there. As C: uint32_t code(uint32_t *address,
# uint32_t expected, uint32_t desired).
_EXCHANGE_CODE = {
    "x86_64": (
        "89 f0"  # mov eax, esi
        "f0 0f b1 17"  # lock cmpxchg [rdi], edx
        "c3"  # ret
    ),
    "aarch64": (
        "03 fc 5f 88"  # again: ldaxr w3, [x0]
        "7f 00 01 6b"  # cmp w3, w1
        "61 00 00 54"  # b.ne out
        "02 fc 04 88"  # stlxr w4, w2, [x0]
        "84 ff ff 35"  # cbnz w4, again
        "bf 3b 03 d5"  # out: dmb ish
        "e0 03 03 2a"  # mov w0, w3
        "c0 03 5f d6"  # ret
    ),
}


def _exchange_by_library():
    """A compare-and-exchange by the compiler's library for it; OSError if it is not there."""
    library = ctypes.PyDLL("libatomic.so.1")  # it keeps the GIL, for so short a time
    exchange, fence = library.__atomic_compare_exchange_4, library.atomic_thread_fence
    exchange.restype = ctypes.c_bool
    consistent = 5  # __ATOMIC_SEQ_CST
    needs_fence = platform.machine() != "x86_64"

    def compare_exchange(words, at, expected, desired):
        found = ctypes.c_uint32(expected)
        address, value = ctypes.byref(words, at), ctypes.c_uint32(desired)
        is_done = exchange(address, ctypes.byref(found), value, consistent, consistent)
        if needs_fence:
            fence(consistent)
        return is_done

    return compare_exchange


def _exchange_by_code():
    """The same by a few instructions of the processor, in a page that is never writable; OSError if that is refused."""
    if platform.machine() not in _EXCHANGE_CODE:
        raise OSError(errno.ENOSYS, f"Cannot compare and exchange: not on {platform.machine()}")
    code = bytes.fromhex(_EXCHANGE_CODE[platform.machine()])
    file = os.memfd_create("shm_attach", os.MFD_CLOEXEC)
    try:
        os.write(file, code)
        map_memory = ctypes.CDLL(None, use_errno=True).mmap
        map_memory.restype = ctypes.c_void_p
        map_memory.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        address = map_memory(None, len(code), mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, file, 0)
    finally:
        os.close(file)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), f"Cannot compare and exchange: {os.strerror(ctypes.get_errno())}")
    exchange = ctypes.PYFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)(address)

    def compare_exchange(words, at, expected, desired):
        return exchange(ctypes.addressof(words) + at, expected, desired) == expected

    return compare_exchange


def _compare_exchange(words, at, expected, desired):
    """Change the 32-bit word at byte `at` of a ctypes object from one value to another; return whether it had that.

    Neither Python nor the kernel has this. The compiler's library has it, which most systems have; the others take the
    instructions themselves.
    """
    global _compare_exchange
    try:
        _compare_exchange = _exchange_by_library()
    except (OSError, AttributeError):
        _compare_exchange = _exchange_by_code()
    return _compare_exchange(words, at, expected, desired)


_MOST_CHANGES = 10_000  # how often a word is tried to be changed that others change, too


def _update(words, at, change):
    """Change the 32-bit word at byte `at` of a ctypes object by a function, atomically; return what it is then."""
    for _ in range(_MOST_CHANGES):
        before = words[at // 4]
        after = change(before) & 0xFFFFFFFF
        if _compare_exchange(words, at, before, after):
            return after
    raise InvalidData("Cannot change a word of a segment: somebody else changes it all the time")


def _word(array, index):
    view = memoryview(array)
    if view.itemsize != 4 or view.format not in ("i", "l", "<i", "<l"):
        raise TypeError(f"Cannot wait: it takes an array of int32, not of format {view.format!r}")
    words = view.cast("B")
    if not 0 <= index < len(words) // 4:
        raise IndexError(f"Cannot wait: there is no element {index}")
    return ctypes.c_int32.from_buffer(words, 4 * index)


# The numbers of Linux; Python has them since 3.9.
_F_OFD_GETLK, _F_OFD_SETLK = 36, 37


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
        for _ in range(100):
            first = _open(name)
            try:
                second = _open(name)
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
        try:
            if _is_anonymous(self.name):  # its maker has it as long as others can load it
                return os.path.samestat(os.stat(_anonymous_path(self.name)[0]), self._status)
            if self.is_open:
                return os.fstat(self.fd).st_nlink > 0
            return os.path.samestat(os.lstat(_SHM + self.name), self._status)
        except (FileNotFoundError, PermissionError):  # its maker ends, or another user's process has the number
            return False

    def try_lock(self, shared=False):
        """Whether this process has the kernel's lock now."""
        try:
            fcntl.flock(self.fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    def unlock(self):
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def lock_byte(self, at, is_locked=True):
        """Lock a byte of the file, shared, for this open file, or give it back."""
        self._byte(_F_OFD_SETLK, fcntl.F_RDLCK if is_locked else fcntl.F_UNLCK, at)

    def is_byte_locked(self, at):
        """Whether another open file has a lock on a byte of the file."""
        return self._byte(_F_OFD_GETLK, fcntl.F_WRLCK, at) != fcntl.F_UNLCK

    def _byte(self, command, kind, at):
        try:
            flock = struct.pack("@hhqqi4x", kind, os.SEEK_SET, at, 1, 0)
            return struct.unpack_from("@h", fcntl.fcntl(self.fd, command, flock))[0]
        except OSError as error:
            # Not every kernel that calls itself Linux has such locks (gVisor): then nobody is held back. Another
            # program may have locked the byte alone.
            if error.errno not in (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EAGAIN):
                raise
            return fcntl.F_UNLCK

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

    Who only reads takes it shared, with other readers: `with lock.shared(): ...`, or `acquire(shared=True)`. A writer
    that waits holds back new readers. The threads of a process take turns at one instance, also if they take it
    shared: let each have an instance of its own.

    >>> lock = Lock.create(f"doctest-lock-{os.getpid()}")
    >>> with lock:
    ...     attach(lock.name).acquire(timeout=0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TimeoutError: Cannot acquire 'doctest-...
    >>> with lock:
    ...     lock.abandoned
    False
    >>> with lock.shared(), attach(lock.name).shared():
    ...     print("two readers")
    two readers
    >>> unlink(lock.name)
    True
    """

    _TURN, _WAITING, _HELD = (LOCK_WORDS[word][0] // 4 for word in ("TURN", "WAITING", "HELD"))
    _SLICE = 0.02
    _ANNOUNCED, _READER, _GATED = 1, 3, 4  # bits of WAITING
    _GATE = 2**32  # the byte that each writer locks that waits
    _ON_THE_WAY = 0.002  # how long somebody may need who has announced itself and does not sleep yet
    _all = weakref.WeakSet()

    def __init__(self, name: str) -> None:
        _check_name(name)
        self.name = name
        self.abandoned: bool = False
        self._threads = threading.Lock()
        self._is_held = False
        self._is_shared = False
        self._thread = 0  # the one that has acquired it
        self._before = None  # what HELD was before this call of acquire() has changed it
        self._is_inherited = False  # whether this is a forked child, whose parent held it at the fork
        # The turn that the last release began, until when whoever waited is let in, and whether one was woken.
        self._debt = None
        self._segment = None
        self._open()
        Lock._all.add(self)

    @classmethod
    def create(cls, name: str, *, mode: int = 0o600, describe: bool = True) -> Lock:
        """Create the segment of a lock that nobody holds, and attach to it. FileExistsError: the name is taken."""

        def fill(mapping):
            at = LOCK_WORDS["MAGIC"][0]
            mapping[at : at + len(LOCK_MAGIC)] = LOCK_MAGIC

        os.close(_make(name, LOCK_BYTES, mode, True, {"kind": "lock"} if describe else None, fill))
        return cls(name)

    def acquire(self, timeout: Optional[float] = None, *, shared: bool = False) -> None:
        """Take the lock; after `timeout` seconds raise TimeoutError. `abandoned` is told anew.

        With `shared`, others that take it shared may have it, too. `abandoned` then stays true for the next ones,
        until somebody has had the lock alone. BlockingIOError: without a time limit this would wait for ever, as this
        thread itself has the lock.
        """
        deadline = _deadline(timeout, "acquire")
        _check_process()
        self._check_open()
        if deadline is None and self._is_mine():
            raise self._own_error("this instance")
        limit = -1 if deadline is None else min(max(0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
        if not self._threads.acquire(timeout=limit):
            who = "this thread has it already" if self._is_mine() else "another thread has it still"
            raise TimeoutError(f"Cannot acquire {self.name!r}: {who}")
        try:
            self._before = None
            self._wait_turn(deadline, shared)
        except BaseException:
            self._take_back()
            self._threads.release()
            raise

    def _take_back(self):
        """Give back what was taken before an exception came: Ctrl-C may come anywhere."""
        self._is_held = False
        if self._segment.is_open:
            if self._before is not None:
                self._words[self._HELD] = self._before
            self._segment.unlock()

    def _wait_turn(self, deadline, shared):
        """Take the lock of the kernel, or wait for it; other threads of this instance wait for this one meanwhile."""
        gate = None  # the segment whose gate this closes
        try:
            has_let_in = self._let_in(deadline, shared)
            if not has_let_in and self._try(False, shared):
                return
            while True:
                words, segment = self._words, self._segment
                turn = words[self._TURN]  # before the announcement, or it may be the turn that this begins
                self._announce(shared)
                if self._try(True, shared):
                    return
                if deadline is None and any(other._is_mine() and self._is_same(other) for other in list(Lock._all)):
                    raise self._own_error("another instance")
                now = time.monotonic()
                if deadline is not None and deadline <= now:
                    raise TimeoutError(f"Cannot acquire {self.name!r}: it is held still")
                if segment is not self._segment:
                    continue
                if not shared:
                    if gate is not segment:
                        gate = segment
                        segment.lock_byte(self._GATE)
                    _atomic(_OR, words, 4 * self._WAITING, self._GATED)
                end = now + self._SLICE
                _wait(words, 4 * self._TURN, turn, end if deadline is None else min(end, deadline))
        finally:
            if gate is not None and gate.is_open:
                gate.lock_byte(self._GATE, False)
                if not self._is_held and gate is self._segment and self._words[self._WAITING] & 2:
                    self._wake(_MOST)  # the readers that were held back

    @contextlib.contextmanager
    def shared(self, timeout: Optional[float] = None) -> Iterator[Lock]:
        """Take the lock shared, for `with`."""
        self.acquire(timeout, shared=True)
        try:
            yield self
        finally:
            self.release()

    def release(self) -> None:
        """Give the lock back, and wake who waits for it. What a forked child's parent holds stays held."""
        _check_process()
        if not self._is_held and self._is_inherited:
            self._is_inherited = False
            return
        if not self._is_held:
            raise RuntimeError(f"Cannot release {self.name!r}: this instance does not hold it")
        self._is_held = False
        if not self._is_shared:
            self._words[self._HELD] = 0
        self._segment.unlock()
        self._debt = self._wake(1) or self._debt
        self._threads.release()

    def _is_mine(self):
        """Whether this thread has the lock by this instance."""
        return self._is_held and self._thread == threading.get_ident()

    def _is_same(self, other):
        mine, theirs = self._segment._status, other._segment._status
        return (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)

    def _own_error(self, what):
        why = f"this thread holds the lock already, by {what}, and could not give it back while this call blocks"
        return BlockingIOError(errno.EBUSY, f"Cannot acquire {self.name!r}: {why}")

    def _announce(self, shared):
        _atomic(_OR, self._words, 4 * self._WAITING, self._READER if shared else self._ANNOUNCED)

    def _wake(self, count):
        """Begin a new turn if somebody is announced, and wake; return the turn that is owed to them."""
        words = self._words
        announced = words[self._WAITING] & self._READER
        if not announced:
            return None
        # Before TURN: who announces itself now sees that the turn is over. A reader that does it between stays so.
        _atomic(_CLEAR, words, 4 * self._WAITING, announced)
        turn = _int32(words[self._TURN] + 1)
        woken = _atomic(_ADD, words, 4 * self._TURN, 1, wake=_MOST if announced & 2 else count)
        if words[self._WAITING] & 2:  # the one that was woken may be a reader that came meanwhile, and is held back
            woken += _futex(words, 4 * self._TURN, _FUTEX_WAKE, _MOST)
        return turn, time.monotonic() + (self._SLICE if woken else self._ON_THE_WAY), woken > 0

    def close(self) -> None:
        """Give up the attachment; the segment stays."""
        _check_process()
        if self._is_held:
            raise RuntimeError(f"Cannot close {self.name!r}: this instance holds the lock; release() it first")
        self._segment.close()

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()

    def _check_open(self):
        if not self._segment.is_open:
            raise ValueError(f"Cannot acquire {self.name!r}: this instance was closed")

    def _open(self):
        def check(mapping):
            if len(mapping) != LOCK_BYTES:
                kind = _kind_of_head(mapping[:16], len(mapping))
                why = f"it has not {LOCK_BYTES} bytes" if kind is None else f"the segment is that of a {kind}"
                raise ValueError(f"{self.name!r} is no lock: {why}")
            at = LOCK_WORDS["MAGIC"][0]
            magic = mapping[at:]
            if magic not in (LOCK_MAGIC, bytes(4)):
                raise TypeError(f"{self.name!r} is no lock: it has no magic of one; nothing was written")
            return magic == LOCK_MAGIC

        segment = _Segment(self.name, "a lock", check)
        before, self._segment = self._segment, segment
        self._words = (ctypes.c_int32 * (LOCK_BYTES // 4)).from_buffer(segment.map)
        if before is not None:  # last, or this instance looks closed to other threads
            before.close()

    def _let_in(self, deadline, shared):
        """Block until who was woken by the last release had its turn; return whether there was one."""
        if self._debt is None:
            return False
        turn, until, is_certain = self._debt
        words, now = self._words, time.monotonic()
        if words[self._TURN] != turn or now >= until or (not is_certain and deadline is not None and deadline <= now):
            self._debt = None
            return False
        self._announce(shared)
        _wait(words, 4 * self._TURN, turn, until if deadline is None else min(deadline, until))
        if is_certain and deadline is not None and deadline < until and words[self._TURN] == turn:
            _futex(words, 4 * self._TURN, _FUTEX_WAKE, 1)  # in the place of a wake-up that this may have had
            raise TimeoutError(f"Cannot acquire {self.name!r}: somebody who waited is let in first")
        self._debt = None
        return True

    def _try(self, has_waited, shared):
        """Take the lock if it can be had, of the segment that has the name now."""
        for _ in range(100):
            segment = self._segment
            taken = not (shared and segment.is_byte_locked(self._GATE)) and segment.try_lock(shared)
            if segment.is_named:
                if taken:
                    words = self._words
                    self.abandoned = words[self._HELD] != 0
                    if not shared:
                        self._before = words[self._HELD]
                        words[self._HELD] = 1
                    if has_waited:  # who let somebody in learns that one had its turn
                        _atomic(_ADD, words, 4 * self._TURN, 1)
                    # The thread first: another one, which had the lock before, must not take it for its own.
                    self._is_shared, self._thread, self._is_held = shared, threading.get_ident(), True
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
    for kind in (_Segment, Lock, _Channel, Queue):
        for instance in list(kind._all):
            instance._forked()


os.register_at_fork(after_in_child=_after_fork)


def _check_process():
    """Look whether this is a child of a fork that Python does not know of."""
    if os.getpid() != _process:
        _after_fork()


# --- Rings and versions: `@shm/array/publish`. docs/publication.md describes the segments. -----------


def _magic_check(name, what, magic, least):
    """Make a check for _Segment: a header begins with this magic, which its creator writes last."""

    def check(mapping):
        found = mapping[: len(magic)]
        if found == bytes(len(magic)) and len(mapping) >= least:
            return False
        if found != magic or len(mapping) < least:
            raise TypeError(f"Cannot attach to {name!r}: the segment is not that of {what}")
        return True

    return check


class _Channel:
    """The header of a publication: which array is the newest, who writes, who sleeps."""

    _SLICE = 0.125
    _LAST_TIME = 8.64e15  # the last moment that JavaScript knows, in milliseconds of the Unix epoch
    _all = weakref.WeakSet()

    def __init__(self, name, magic, shape, dtype, slots=None):
        self.name = name
        dtype = _dtype_of(dtype)
        size = math.prod(_placed(shape, dtype, None).shape) * dtype.itemsize
        what = "a ring" if magic == RING_MAGIC else "a publication of versions"
        self._segment = _Segment(name, what, _magic_check(name, what, magic, HEADER_BYTES))
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
            self.meta_bytes, self.beside = self._read32("META_BYTES"), _beside(size)
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
        if self.step != _slot_step(size, self.meta_bytes):
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

    def check_time(self, word, value):
        """The moment that a word says, in milliseconds of the Unix epoch."""
        if not 0 <= value <= self._LAST_TIME:
            self._refuse(word, value, "it should be a moment in milliseconds of the Unix epoch")
        return value

    def store_time(self, number, moment):
        """Note when version `number` is published, before it becomes the newest; that of the newest stays."""
        newest = self.newest
        pair = next((pair for pair in "AB" if self._read64(f"TIMED_{pair}") != newest), "A")
        at = HEADER_WORDS[f"TIMED_{pair}"][0] // 8
        self._u64[at] = 0
        _fence()
        struct.pack_into("<d", self.map, HEADER_WORDS[f"TIME_{pair}"][0], moment)
        _fence()
        self._u64[at] = number

    def time_of(self, number):
        """When version `number` was published; None if that of a later one stands there by now, or none."""
        for pair in "AB":
            if self._read64(f"TIMED_{pair}") == number:
                moment = struct.unpack_from("<d", self.map, HEADER_WORDS[f"TIME_{pair}"][0])[0]
                _fence()
                if self._read64(f"TIMED_{pair}") == number:
                    return self.check_time(f"TIME_{pair}", moment)
        return None

    def write_beside(self, number, text):
        """Write what stands beside a frame, between BEGUN and NEWEST of it."""
        at = self._at_beside(number)
        struct.pack_into("<d", self.map, at, time.time() * 1000)
        if self.meta_bytes:
            start = at + FRAME_WORDS["META"][0]
            self.map[start : start + len(text)] = text
            struct.pack_into("<I", self.map, at + FRAME_WORDS["META_LENGTH"][0], len(text))

    def read_beside(self, number):
        """What stands beside a frame: (timestamp, length of the text, text). It may be that of two frames."""
        at = self._at_beside(number)
        moment = struct.unpack_from("<d", self.map, at)[0]
        if not self.meta_bytes:
            return moment, 0, b""
        length = struct.unpack_from("<I", self.map, at + FRAME_WORDS["META_LENGTH"][0])[0]
        start = at + FRAME_WORDS["META"][0]
        return moment, length, self.map[start : start + min(length, self.meta_bytes)]

    def check_beside(self, beside):
        """Check what was read beside a frame that was whole."""
        self.check_time("TIMESTAMP", beside[0])
        if beside[1] > self.meta_bytes:
            self._refuse("META_LENGTH", beside[1], f"there is room for {self.meta_bytes}")
        return beside

    def _at_beside(self, number):
        return HEADER_BYTES + (number - 1) % self.slots * self.step + self.beside

    def is_whole(self, number, least):
        """Whether a frame is not being overwritten; frame `least` was whole before."""
        _fence()
        return self.begun_after(least) < number + self.slots

    def check_open(self, action):
        if not self._segment.is_open:
            raise ValueError(f"Cannot {action} {self.name!r}: this instance was closed")

    def check_named(self, action):
        if not self.is_named:
            raise _missing(f"Cannot {action} {self.name!r}: its name was removed; attach to the next one")

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


def _beside(size):
    """Where the words beside a frame begin, in bytes from the beginning of its slot."""
    return -(-size // 8) * 8


def _slot_step(size, meta_bytes):
    """The bytes from a slot to the next."""
    text = FRAME_WORDS["META"][0] + meta_bytes if meta_bytes else FRAME_WORDS["META_LENGTH"][0]
    return -(-(_beside(size) + text) // 64) * 64


def _make_channel(name, magic, shape, dtype, slots, mode, reserve, describe, meta_bytes=0):
    """Make the segment of a ring, or of a publication of versions, before its first array."""
    array = _placed(shape, _checked_dtype(dtype), None)
    if 0 in array.shape:
        raise ValueError(f"Cannot create {name[:80]!r}: shape {list(array.shape)} has no elements")
    size = array.extent()[1]
    step = _slot_step(size, meta_bytes) if magic == RING_MAGIC else 0
    words = {
        "DTYPE": array.dtype.str.encode(),
        "ARRAY_BYTES": size,
        "SLOTS": slots,
        "MODE": mode + (0 if reserve else 2**31),
        "SLOT_STEP": step,
        "ID": secrets.randbelow(2**64 - 1) + 1,
        "META_BYTES": meta_bytes,
        "MAGIC": magic,
    }
    description = {
        "kind": "ring" if magic == RING_MAGIC else "versions",
        "shape": list(array.shape),
        "dtype": array.dtype.name,
    }
    if magic == RING_MAGIC:
        description["slots"] = slots
        if meta_bytes:
            description["metaBytes"] = meta_bytes

    def fill(mapping):
        for word, value in words.items():
            at, kind = HEADER_WORDS[word]
            if isinstance(value, int):
                value = value.to_bytes(int(kind[1:]) // 8, "little")
            mapping[at : at + len(value)] = value

    os.close(_make(name, HEADER_BYTES + slots * step, mode, reserve, description if describe else None, fill))


class Frame:
    """A frame of a Ring: `sequence`, `skipped` (how many were missed), `array` (not copied); `timestamp` (when it
    was published, in milliseconds of the Unix epoch: 1000 times what time.time() gives) and `meta`."""

    sequence: int
    skipped: int
    timestamp: float
    array: np.ndarray

    def __init__(self, ring, sequence, skipped, beside, array):
        self._ring, self.sequence, self.skipped, self.array = ring, sequence, skipped, array
        self.timestamp, _, self._text = beside

    @property
    def meta(self) -> Any:
        """What the writer gave with the frame, from JSON; None if it gave nothing."""
        if not self._text:
            return None
        try:
            return json.loads(self._text)
        except ValueError:
            raise InvalidData(
                f"Cannot use {self._ring.name!r}: the meta of frame {self.sequence} is no JSON; it is damaged"
            ) from None

    def is_whole(self) -> bool:
        """Whether the writer has not begun to overwrite it; ask after use."""
        return self._ring.is_whole(self.sequence, self.sequence)

    def copy(self) -> Optional[np.ndarray]:
        """The elements in an array of their own, or None if they were overwritten meanwhile."""
        copy = self.array.copy()
        return copy if self.is_whole() else None


class Ring:
    """What Deno programs know as `SharedMemoryRing`; its segment must be there.

        ring = Ring("camera", (1080, 1920, 3), "uint8")
        for frame in ring.frames():
            ...

    >>> ring = Ring.create(f"doctest-ring-{os.getpid()}", (2,), "int16", 4)
    >>> ring.write([1, 2])
    1
    >>> frame = attach(ring.name).latest()
    >>> frame.sequence, frame.array.tolist(), frame.is_whole()
    (1, [1, 2], True)
    >>> abs(time.time() - frame.timestamp / 1000) < 60, frame.meta
    (True, None)
    >>> unlink(ring.name)
    True
    """

    _MOST_OVERWRITTEN = 1000  # how many frames may be overwritten while what stands beside them is read

    def __init__(self, name: str, shape: Shape, dtype: npt.DTypeLike, slots: Optional[int] = None) -> None:
        import numpy as np

        _check_name(name)
        self._channel = channel = _Channel(name, RING_MAGIC, shape, dtype, slots)
        self.name: str = name
        self.slots: int = channel.slots
        dtype = _dtype_of(dtype)
        starts = (HEADER_BYTES + slot * channel.step for slot in range(channel.slots))
        self._views = [np.ndarray(shape, dtype, channel.map, start) for start in starts]
        self._last, self._joined = None, channel.newest
        self._last_beside = None

    @classmethod
    def create(
        cls,
        name: str,
        shape: Shape,
        dtype: npt.DTypeLike,
        slots: int,
        *,
        meta_bytes: int = 0,
        mode: int = 0o600,
        reserve: bool = True,
        describe: bool = True,
    ) -> Ring:
        """Create the segment of a ring, and attach to it. FileExistsError: the name is taken.

        `meta_bytes`: the most bytes of the JSON text beside a frame.
        """
        if not 2 <= slots < 2**32:
            raise ValueError(f"Cannot create {name[:80]!r}: slots must be from 2 to 2^32 - 1, not {slots}")
        if not 0 <= meta_bytes <= 2**30:
            raise ValueError(f"Cannot create {name[:80]!r}: meta_bytes must be from 0 to 2^30, not {meta_bytes}")
        _make_channel(name, RING_MAGIC, shape, dtype, slots, mode, reserve, describe, meta_bytes)
        return cls(name, shape, dtype, slots)

    @property
    def meta_bytes(self) -> int:
        """The most bytes of the JSON text beside a frame."""
        return self._channel.meta_bytes

    def write(self, source: Union[npt.ArrayLike, Callable[[np.ndarray], Any]], meta: Any = None) -> int:
        """Write a frame, from an array or by a function that fills the slot; return its number.

        `meta` goes with it: what JSON can write, in at most `meta_bytes` bytes.
        """
        channel = self._channel
        text = b"" if meta is None else self._text_of(meta)
        channel.claim("write to")
        number = channel.newest + 1
        slot = self._views[(number - 1) % self.slots]
        channel.begin(number)
        if callable(source):
            source(slot)
            channel.check_writer("write to")
        else:
            slot[...] = source
        channel.write_beside(number, text)
        channel.publish(number)
        return number

    def _text_of(self, meta):
        """A JSON text, as JavaScript writes it: half a surrogate pair stands as an escape."""
        text = json.dumps(meta, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text = text.encode("utf-8", "backslashreplace")
        if len(text) > self.meta_bytes:
            raise ValueError(
                f"Cannot write to {self.name!r}: as JSON the meta has {len(text)} bytes, and the ring has room "
                f"for {self.meta_bytes}; meta_bytes of create() makes more"
            )
        return text

    def end(self) -> None:
        """Say that no more comes: readers are told by EndedError when they have read what there is."""
        self._channel.check_open("end")
        self._channel.end()

    @property
    def is_ended(self) -> bool:
        """Whether the writer has said that no more comes."""
        return self._channel.is_ended

    def latest(self) -> Optional[Frame]:
        """The newest frame, or None before the first."""
        newest = self._channel.newest_unless_removed(self._last or 0)
        if newest == self._last:
            return self._frame(newest, newest, self._last_beside)
        if newest:
            return self._give(newest, self._base())
        self._channel.begun_after(newest)  # InvalidData: the two cannot stand beside each other
        return None

    def next(self, after: Optional[int] = None, timeout: Optional[float] = None) -> Frame:
        """The frame after number `after` (or after the last one given); `timeout` in seconds.

        If that is overwritten already, the newest. EndedError: no more comes; FileNotFoundError: the ring was
        removed; both when all that there is has been read.
        """
        channel = self._channel
        base = self._base() if after is None else after
        start = (self._last or 0) if after is None else after
        channel.wait(start, timeout)
        return self._give(start + 1, base)

    def frames(self) -> Iterator[Frame]:
        """All frames as they come, until the writer ends."""
        after = None
        while True:
            try:
                frame = self.next(after)
            except EndedError:
                return
            yield frame
            after = frame.sequence

    def close(self) -> None:
        """Give up the right to write, for good; what is there can still be read."""
        self._channel.close()

    def _base(self):
        return self._joined if self._last is None else self._last

    def _give(self, number, base):
        """Give out a frame, or the newest one where that is overwritten."""
        channel = self._channel
        for _ in range(self._MOST_OVERWRITTEN):
            newest = channel.newest
            beside = channel.read_beside(number)
            if channel.is_whole(number, newest):
                return self._frame(number, base, channel.check_beside(beside))
            number = channel.newest
        raise InvalidData(f"Cannot read from {self.name!r}: each of many frames was overwritten while it was read")

    def _frame(self, number, base, beside):
        self._last, self._last_beside = number, beside
        skipped = max(0, number - base - 1)
        return Frame(self._channel, number, skipped, beside, self._views[(number - 1) % self.slots])


class Version(Tuple[int, "np.ndarray"]):
    """A version: a pair of its number and its array, which has `timestamp`, too: when it was published, in
    milliseconds of the Unix epoch, 1000 times what time.time() gives; NaN where the segment does not tell."""

    timestamp: float

    def __new__(cls, version: int, array: np.ndarray, timestamp: float) -> Version:
        self = super().__new__(cls, (version, array))
        self.timestamp = timestamp
        return self


class Versions:
    """What Deno programs know as `SharedMemoryVersions`; its segment must be there.

        table = Versions("table", (1000, 64), "float32")
        version, array = table.current()

    >>> table = Versions.create(f"doctest-table-{os.getpid()}", (2,), "float64")
    >>> table.publish(lambda array: array.fill(0.5))
    1
    >>> version, array = attach(table.name).current()
    >>> version, array.tolist()
    (1, [0.5, 0.5])
    >>> abs(time.time() - table.current().timestamp / 1000) < 60
    True
    >>> unlink(table.name)
    True
    """

    _MOST_TAKEN = 64  # how many numbers may be taken by versions of another user, which cannot be removed
    _MOST_REPLACED = 10_000  # how many versions may be replaced while a reader attaches to one

    def __init__(self, name: str, shape: Shape, dtype: npt.DTypeLike) -> None:
        _check_name(name, _PART_NAME_BYTES)
        self.name, self.shape, self.dtype = name, shape, _dtype_of(dtype)
        self._channel = _Channel(name, VERSIONS_MAGIC, shape, dtype)
        self._current: Optional[Version] = None
        self._given = 0

    @classmethod
    def create(
        cls,
        name: str,
        shape: Shape,
        dtype: npt.DTypeLike,
        *,
        mode: int = 0o600,
        reserve: bool = True,
        describe: bool = True,
    ) -> Versions:
        """Create the segment of a publication, and attach to it. FileExistsError: the name is taken."""
        _check_name(name, _PART_NAME_BYTES)
        _make_channel(name, VERSIONS_MAGIC, shape, dtype, 0, mode, reserve, describe)
        return cls(name, shape, dtype)

    def publish(self, fill: Callable[[np.ndarray], Any]) -> int:
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
            moment = time.time() * 1000
            channel.store_time(number, moment)
        except BaseException:
            if os.getpid() == process:  # in a forked child it is the parent's
                _unlink_own(path, made)
                self._remove_if_removed()
            raise
        channel.publish(number)  # it is current now, whatever happens
        self._current = Version(number, array, moment)
        if before:
            try:
                _unlink_if_permitted(self._path(before))
            except OSError:
                pass  # the next writer sweeps it
        return number

    def end(self) -> None:
        """Say that no more comes: readers are told by EndedError when they have the last version."""
        self._channel.check_open("end")
        self._channel.end()

    @property
    def is_ended(self) -> bool:
        """Whether the writer has said that no more comes."""
        return self._channel.is_ended

    def current(self) -> Optional[Version]:
        """The newest complete version: its number and its array; None before the first."""
        return self._give() if self._channel.newest_unless_removed(self._given) else None

    def changed(self, timeout: Optional[float] = None) -> Version:
        """Block until there is a newer version than the one given last; `timeout` in seconds."""
        self._channel.wait(self._given, timeout)
        return self._give()

    def close(self) -> None:
        """Give up the right to publish, for good; what is there can still be read."""
        self._remove_if_removed()
        self._channel.close()

    def _make(self, number):
        """Make the segment of the next version."""
        import numpy as np

        channel = self._channel
        placed = _placed(self.shape, self.dtype, None)
        size = placed.extent()[1]
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
            _describe(fd, placed.description())
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
            moment = channel.time_of(number)
            if moment is None and channel.newest != number:
                continue  # there is a newer one
            try:
                # The same bytes may be read in another shape.
                array = attach(os.path.basename(self._path(number)), self.shape, self.dtype, reinterpret=True)
            except FileNotFoundError:
                if channel.newest != number:
                    continue  # there is a newer one
                channel.check_named("attach to")
                raise
            self._current = Version(number, array, math.nan if moment is None else moment)
            break
        else:
            raise InvalidData(f"Cannot attach to a version of {self.name!r}: none of many is there")
        self._given = self._current[0]
        return self._current

    def _path(self, number):
        return f"{_SHM}{self.name}.{self._channel.id:016x}.v{number}"

    def _sweep(self, current):
        """Remove the versions that bear the own id but for one: what a killed writer left."""
        for name in _parts_of(self.name, self._channel.id, current):
            _unlink_if_permitted(_SHM + name)

    def _remove_if_removed(self):
        """Remove all versions if the publication has no name any more: nobody else would."""
        channel = self._channel
        if channel.is_writer and not channel.is_named:
            self._sweep(None)


def _parts_of(name, publication, current=None):
    """The names of the versions that bear an id, but for one."""
    start = f"{name}.{publication:016x}.v"
    for found in os.listdir(_SHM):
        number = found[len(start) :]
        if found.startswith(start) and number.isdecimal() and number.isascii() and int(number) != current:
            yield found


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


# --- Queues: `@shm/array/queue`. docs/queue.md describes the segment. --------------------------------

_FREE, _FILLING, _WAITING, _TAKEN, _DROPPED, _DONE, _FAILED, _GIVEN_UP = range(8)
_LAST_ID = 2**24 - 1
_LOCK_BASE = 2**32
_OFD_GETLK, _OFD_SETLK = 36, 37  # Python before 3.9 has no names for them
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, process
_NOTHING = object()  # what a look finds when no item comes any more


def _state_word(state, deaths, owner):
    return state | deaths << 3 | owner << 8


class QueueItem:
    """An item of a Queue that was taken: `message`, `slot`, `attempt` (1, and more if takers died with it).

    It is ended by complete(), fail() or release(), once. Leaving `with` before that hands it to the next taker, with an
    attempt counted; so does the end of this process. An item that is neither ended nor left stays taken.
    """

    message: Any
    slot: int
    attempt: int

    def __init__(self, queue, slot, word, caller):
        self._queue, self._word, self._caller = queue, word, caller
        self.slot, self.attempt, self.message = slot, (word >> 3 & 31) + 1, None

    @property
    def wanted(self) -> bool:
        """Whether it was not ended here, and its caller has neither given up nor died."""
        return self._queue._is_wanted(self)

    def complete(self, answer: Any = None) -> bool:
        """End it, with an answer that JSON can write; return whether somebody wanted it still.

        ValueError: the answer is too long (the item stays taken), or the item was ended before.
        """
        return self._queue._complete(self, answer)

    def fail(self, error: Union[BaseException, str]) -> bool:
        """End it by an error, whose name and message a caller gets; return whether somebody wanted it still."""
        return self._queue._fail(self, error)

    def release(self) -> None:
        """Give it back, to the place that it had. No attempt is counted."""
        self._queue._let_go(self, False, "release an item of")

    def __enter__(self) -> QueueItem:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._queue._holds(self):
            self._queue._let_go(self, True, "leave an item of")


class Queue:
    """What Deno programs know as `SharedMemoryQueue`: each item goes to one taker at a time. Its segment must be there.

        for item in Queue("tiles").items():
            with item:  # if this raises, another one gets the item
                item.complete(median(tiles[item.slot]))

    A lease ends with the life of its taker, not with time: a taker that hangs holds its item until it is killed.
    Threads can share an instance. A forked child has none of its parent's items, and takes for itself.

    >>> queue = Queue.create(f"doctest-queue-{os.getpid()}", 4)
    >>> queue.put({"tile": 7})
    >>> with attach(queue.name).take(timeout=5) as item:
    ...     item.message, item.attempt, item.complete()
    ({'tile': 7}, 1, True)
    >>> queue.end()
    >>> queue.take() is None
    True
    >>> unlink(queue.name)
    True
    """

    _SLICE, _LONG_SLICE = 0.05, 0.25
    _WATCH_TIME, _NAME_TIME = 0.025, 0.05  # after so many seconds a look looks for the dead, and for the name
    _MOST_SLOTS, _MOST_ATTEMPTS, _MOST_IDS, _MOST_TAKES = 4096, 30, 2**16, 100
    _MOST_BYTES = 2**30  # of a message, as src/queue/queue.ts has it
    _MOST_OF_NAME = 40
    _all = weakref.WeakSet()

    def __init__(self, name: str) -> None:
        _check_name(name)
        self.name: str = name
        self._forked()
        self._segment = _Segment(name, "a queue", _magic_check(name, "a queue", QUEUE_MAGIC, QUEUE_BYTES))
        self._map = self._segment.map
        self._u32 = (ctypes.c_uint32 * (QUEUE_BYTES // 4)).from_buffer(self._map)
        try:
            self._read_header()
            self._attach()
        except BaseException:
            self._segment.close()
            raise
        Queue._all.add(self)

    @classmethod
    def create(
        cls,
        name: str,
        slots: int,
        *,
        message_bytes: int = 1024,
        keep_failed: bool = False,
        mode: int = 0o600,
        reserve: bool = True,
        describe: bool = True,
    ) -> Queue:
        """Create the segment of a queue, and attach to it. FileExistsError: the name is taken.

        `message_bytes` is the most that a message and an answer may have as JSON. With `keep_failed`, items that
        failed keep their slots until Deno's `takeFailed()` frees them.
        """
        if not 1 <= slots <= cls._MOST_SLOTS:
            raise ValueError(f"Cannot create {name[:80]!r}: slots must be from 1 to {cls._MOST_SLOTS}, not {slots}")
        if not 64 <= message_bytes <= cls._MOST_BYTES:
            raise ValueError(
                f"Cannot create {name[:80]!r}: message_bytes must be from 64 to {cls._MOST_BYTES}, not {message_bytes}"
            )
        words = {"SLOTS": slots, "MESSAGE_BYTES": message_bytes, "KEEP_FAILED": int(keep_failed)}

        def fill(mapping):
            for word, value in words.items():
                at = QUEUE_WORDS[word][0]
                mapping[at : at + 4] = value.to_bytes(4, "little")
            mapping[: len(QUEUE_MAGIC)] = QUEUE_MAGIC

        description = {"kind": "queue", "slots": slots, "messageBytes": message_bytes}
        if keep_failed:
            description["keepFailed"] = True
        size = _queue_texts(slots) + 2 * slots * _in_lines(message_bytes)
        os.close(_make(name, size, mode, reserve, description if describe else None, fill))
        return cls(name)

    def put(
        self, message: Union[Any, Callable[[int], Any]], *, attempts: int = 3, timeout: Optional[float] = None
    ) -> None:
        """Put an item: a message that JSON can write, or a function that gets the number of the slot and returns one.

        `attempts` is after how many deaths of takers it is given up, 1 to 30. Blocks while all slots are in use; after
        `timeout` seconds raises TimeoutError. BrokenPipeError: the queue was ended; FileNotFoundError: its name was
        removed; ValueError: the message is too long. If the function raises, nothing was put.
        """
        if not 1 <= _checked_number(attempts, "put", "attempts", "an integer") <= self._MOST_ATTEMPTS:
            raise ValueError(f"Cannot put: attempts must be from 1 to {self._MOST_ATTEMPTS}, not {attempts}")
        deadline = _deadline(timeout, "put")
        self._begin("put into")
        self._check_named("put into")
        self._of_thread.claimed = None
        try:
            slot = self._claim()
            if slot is None:
                slot = self._until("ROOM", self._look_for_room, deadline)
            if slot is None:
                raise TimeoutError(f"Cannot put into {self.name!r}: all {self.slots} slots are in use, and time is up")
            try:
                message = message(slot) if callable(message) else message
            finally:
                self._of_thread.claimed = slot  # the function may have put something, too
            self._publish(slot, message, attempts)
        except BaseException:
            self._unclaim(self._of_thread.claimed)
            raise
        # What was put may be over already, and the slot another thread's.
        self._advance(self._header_at("WORK"), 1)

    def take(self, timeout: Optional[float] = None) -> Optional[QueueItem]:
        """Take the oldest item; None if the queue was ended, and nothing is left.

        Blocks while there is none; after `timeout` seconds raises TimeoutError. FileNotFoundError: the queue's name
        was removed, or the creator of an anonymous one has ended, and nothing is there.
        """
        deadline = _deadline(timeout, "take")
        self._begin("take from")
        self._of_thread.taken = None
        try:
            found = self._look_for_work()
            if found is None:
                found = self._until("WORK", self._look_for_work, deadline)
            if found is None:
                self._check_named("take from")
                raise TimeoutError(f"Cannot take from {self.name!r}: nothing came, and time is up")
            return None if found is _NOTHING else found
        except BaseException:
            self._take_back(self._of_thread.taken)
            raise

    def items(self) -> Iterator[QueueItem]:
        """All items as they come, until the queue was ended and nothing is left. End each, or leave it by `with`."""
        while True:
            item = self.take()
            if item is None:
                return
            yield item

    def end(self) -> None:
        """Say that nobody puts any more. What is there is taken still."""
        self._begin("end")
        _update(self._u32, QUEUE_WORDS["ENDED"][0], lambda _: 1)
        self._advance(self._header_at("WORK"), _MOST)
        self._advance(self._header_at("ROOM"), _MOST)
        self._look_for_end()

    @property
    def is_ended(self) -> bool:
        """Whether somebody has said that nobody puts any more."""
        ended = self._u32[QUEUE_WORDS["ENDED"][0] // 4]
        if ended > 1:
            self._refuse("ENDED", ended, "it must be 0 or 1")
        return ended == 1

    def drained(self, timeout: Optional[float] = None) -> None:
        """Block until every item that was put before is over; after `timeout` seconds raise TimeoutError."""
        deadline = _deadline(timeout, "wait")
        self._begin("wait for")
        if self._until("DRAIN", self._make_drain_look(), deadline) is None:
            raise TimeoutError(f"Cannot wait any longer for {self.name!r}: not all items are over")

    def close(self) -> None:
        """Give up the attachment: what was taken here goes back, and no attempt is counted. The segment stays."""
        _check_process()
        with self._threads:
            if not self._is_open:
                return
            for item in list(self._held.values()):
                self._let_go(item, False, "close")
            self._is_open = False
            self._close_if_unused()

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # --- The attachment

    def _forked(self):
        """Have nothing: as a new instance, and as a forked child."""
        self._threads = threading.RLock()
        self._id = 0  # no attachment yet
        self._held: Dict[int, QueueItem] = {}
        self._of_thread = threading.local()  # `taken`, `claimed`: what its take() or put() has, or is about to have
        self._own = set()  # the slots that are filled here
        self._is_open = getattr(self, "_is_open", True)
        self._next = 0  # where the next claim begins
        self._watched_at = self._named_at = -math.inf

    def _read_header(self):
        self.slots: int = self._header("SLOTS")
        if not 1 <= self.slots <= self._MOST_SLOTS:
            self._refuse("SLOTS", self.slots, f"a queue has 1 to {self._MOST_SLOTS}")
        self.message_bytes: int = self._header("MESSAGE_BYTES")
        if not 64 <= self.message_bytes <= self._MOST_BYTES:
            self._refuse("MESSAGE_BYTES", self.message_bytes, f"it is from 64 to {self._MOST_BYTES}")
        keeps = self._header("KEEP_FAILED")
        if keeps > 1:
            self._refuse("KEEP_FAILED", keeps, "it must be 0 or 1")
        self.keep_failed: bool = keeps == 1
        self._area = _in_lines(self.message_bytes)
        self._texts = _queue_texts(self.slots)
        self._parts = self._texts - SLOT_BYTES * self.slots
        size = self._texts + 2 * self.slots * self._area
        if size > len(self._map):
            self._refuse("SLOTS", self.slots, f"that needs {size} bytes, and the segment has {len(self._map)}")
        self._u32 = (ctypes.c_uint32 * (self._texts // 4)).from_buffer(self._map)
        self._f64 = (ctypes.c_double * (self._texts // 8)).from_buffer(self._map)

    def _attach(self):
        """Take an id that nobody has who lives, and lock its byte."""
        for _ in range(self._MOST_IDS):
            number = self._count("NEXT_ID") & _LAST_ID
            if number != 0 and self._lock_byte(number):
                break
        else:
            raise BlockingIOError(errno.EAGAIN, f"Cannot attach to {self.name!r}: somebody has all of its ids")
        self._id = number
        # After 2^24 attachments an id comes again. What the one before left is taken away by its successor.
        for slot, word in enumerate(self._states()):
            if word >> 8 == number:
                self._rescue(slot, self._checked(slot, word))

    def _lock_byte(self, number):
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _LOCK_BASE + number, 1, 0)
        try:
            fcntl.fcntl(self._segment.fd, _OFD_SETLK, wanted)
            return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return False

    def _is_locked(self, number):
        """Whether another attachment has the lock of an id; the own one looks free."""
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _LOCK_BASE + number, 1, 0)
        return struct.unpack(_FLOCK, fcntl.fcntl(self._segment.fd, _OFD_GETLK, wanted))[0] != fcntl.F_UNLCK

    def _begin(self, action):
        _check_process()
        with self._threads:
            self._check_open(action)
            if self._id == 0:  # in a forked child
                self._attach()

    def _check_open(self, action):
        if not self._is_open or not self._segment.is_open:
            raise ValueError(f"Cannot {action} {self.name!r}: this instance was closed")

    def _close_if_unused(self):
        """Give the lock back, unless a function of the program fills a slot still."""
        if not self._is_open and not self._own:
            self._segment.close()

    def _check_named(self, action):
        if not self._segment.is_named:
            raise _missing(
                f"Cannot {action} {self.name!r}: its name was removed, or the process that made it without a name has "
                "ended; attach to the next one"
            )

    def _check_named_lately(self, action):
        now = time.monotonic()
        if now - self._named_at >= self._NAME_TIME:
            self._check_named(action)
            self._named_at = now

    # --- Words

    def _header(self, word):
        return self._u32[QUEUE_WORDS[word][0] // 4]

    def _header_at(self, word):
        return QUEUE_WORDS[word][0]

    def _at(self, slot, word):
        return self._parts + SLOT_BYTES * slot + SLOT_WORDS[word][0]

    def _store(self, slot, word, value):
        self._u32[self._at(slot, word) // 4] = value

    def _read(self, slot, word, least=0, most=2**32 - 1):
        value = self._u32[self._at(slot, word) // 4]
        if not least <= value <= most:
            self._refuse(f"{word} of slot {slot}", value, f"it must be from {least} to {most}")
        return value

    def _count(self, word):
        """Add 1 to a counter; return it."""
        return _update(self._u32, self._header_at(word), lambda value: value + 1)

    def _refuse(self, word, value, why):
        raise InvalidData(f"Cannot use {self.name!r}: its word {word} is {value}, and {why}; it is damaged")

    def _states(self):
        return self._u32[QUEUE_BYTES // 4 : QUEUE_BYTES // 4 + self.slots]

    def _state(self, slot):
        return self._u32[QUEUE_BYTES // 4 + slot]

    def _change(self, slot, before, after):
        return _compare_exchange(self._u32, QUEUE_BYTES + 4 * slot, before, after)

    def _change_counted(self, slot, before, after, counter):
        """Change a state, and count that. It is counted first: who is woken by the change finds it counted."""
        self._count(counter)
        if self._change(slot, before, after):
            return True
        _update(self._u32, self._header_at(counter), lambda count: count - 1)
        return False

    def _checked(self, slot, word):
        """The word of a slot's state, which must be one that can be."""
        if word == 0:
            return word
        state, deaths, owner = word & 7, word >> 3 & 31, word >> 8
        needs_owner = state != _WAITING and not (self.keep_failed and state in (_FAILED, _GIVEN_UP))
        is_possible = state != _FREE and deaths <= self._MOST_ATTEMPTS and not (deaths and state == _FILLING)
        if not is_possible or (needs_owner and not owner):
            self._refuse_state(slot, word)
        return word

    def _refuse_state(self, slot, word):
        state, deaths, owner = QUEUE_STATES[word & 7], word >> 3 & 31, word >> 8
        why = f"that is {state} with {deaths} deaths and owner {owner}"
        self._refuse(f"STATE of slot {slot}", f"{word:#010x}", why)

    def _text_of(self, value, action, what):
        """A value as JSON."""
        try:
            text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
            try:
                return text.encode()
            except UnicodeEncodeError:  # half a character
                return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"Cannot {action} {self.name!r}: the {what} is nothing that JSON can write: {error}"
            ) from error

    def _write(self, slot, what, text, action):
        """Write the message or the answer of a slot, which must have room."""
        if len(text) > self.message_bytes:
            raise ValueError(
                f"Cannot {action} {self.name!r}: as JSON the {what} has {len(text)} bytes, and the queue has room for "
                f"{self.message_bytes}; large data belong in an array with an axis of slots"
            )
        start = self._texts + (2 * slot + (what == "answer")) * self._area
        self._map[start : start + len(text)] = text
        self._store(slot, f"{what.upper()}_LENGTH", len(text))

    # --- Sleeping and waking

    def _advance(self, at, count):
        """Wake sleepers, if some are announced. What they wait for was changed before, by a compare-and-exchange."""
        if self._u32[at // 4] & 1:
            _update(self._u32, at, lambda turn: turn + 1)
            _futex(self._u32, at, _FUTEX_WAKE, count)

    def _until(self, word, look, deadline):
        """Block until a look finds something; None: time is up."""
        at = self._header_at(word)
        has_slept = False
        while True:
            turn = _update(self._u32, at, lambda turn: turn | 1)
            found, is_vain = None, False
            try:
                found = look()
                is_vain = found is None
            finally:
                # One is woken at a time, and the others are not announced any more: the next one announces itself.
                if has_slept and not is_vain and word != "DRAIN":
                    _futex(self._u32, at, _FUTEX_WAKE, 1)
            if found is not None:
                return found
            now = time.monotonic()
            if deadline is not None and deadline <= now:
                return None
            end = now + (self._SLICE if word == "DRAIN" else self._slice())
            _wait(self._u32, at, turn, end if deadline is None else min(end, deadline))
            has_slept = True

    def _slice(self):
        """How long to sleep at the most: less while another attachment holds an item, and may be killed."""
        is_held = any(word >> 8 not in (0, self._id) for word in self._states())
        return self._SLICE if is_held else self._LONG_SLICE

    # --- The dead

    def _watch(self):
        """Look for the dead, if the last look is a while ago; return whether a slot was taken from one."""
        now = time.monotonic()
        if now - self._watched_at < self._WATCH_TIME:
            return False
        self._watched_at = now
        living, is_rescued = {}, False
        for slot, word in enumerate(self._states()):
            if self._checked(slot, word) >> 8 == 0:
                continue
            with self._threads:  # what a thread is about to take or to claim is not the dead's
                if not self._is_living(slot, word, living):
                    is_rescued = self._rescue(slot, word) or is_rescued
        return is_rescued

    def _is_living(self, slot, word, living):
        """Whether the owner of a slot lives, and knows that it is the owner."""
        owner = word >> 8
        if owner == self._id:
            return slot in (self._held if word & 7 in (_TAKEN, _DROPPED) else self._own)
        if owner not in living:
            living[owner] = self._is_locked(owner)
        return living[owner]

    def _rescue(self, slot, word):
        """Take a slot away from a dead owner: change its state, and nothing else."""
        state, deaths = word & 7, word >> 3 & 31
        if state == _TAKEN:
            return self._give_back(slot, word, True)
        if state in (_FAILED, _GIVEN_UP) and self._read(slot, "CALLER", 0, _LAST_ID) == 0:
            return self._change(slot, word, _state_word(state, deaths, 0))  # it was about to take what had failed
        return self._free(slot, word)

    def _give_back(self, slot, word, is_death):
        """Give an item that was taken to the next one, or give it up."""
        deaths = (word >> 3 & 31) + is_death
        caller = self._read(slot, "CALLER", 0, _LAST_ID)
        if not is_death or deaths < self._read(slot, "ATTEMPTS", 1, self._MOST_ATTEMPTS):
            if not self._change(slot, word, _state_word(_WAITING, deaths, caller)):
                return False
            self._advance(self._header_at("WORK"), 1)
            return True
        return self._end(slot, word, _state_word(_GIVEN_UP, deaths, caller), caller, "FAILURES")

    def _end(self, slot, word, end, caller, counter):
        """End an item that was taken: count that, change its state, and wake its caller, or who wants its slot."""
        is_kept = caller != 0 or (counter == "FAILURES" and self.keep_failed)
        if not self._change_counted(slot, word, end if is_kept else 0, counter):
            return False
        if caller != 0:
            self._advance(self._at(slot, "ANSWER"), _MOST)
        elif not is_kept:
            self._advance(self._header_at("ROOM"), 1)
        self._look_for_end()
        return True

    def _free(self, slot, word):
        """Free a slot, if its state is still the same."""
        if not self._change(slot, word, 0):
            return False
        self._advance(self._header_at("ROOM"), 1)
        self._look_for_end()
        return True

    # --- The end

    def _look_for_end(self):
        """Wake those who wait until all is over, if it is."""
        is_ended = self.is_ended
        if (is_ended or self._header("DRAIN") & 1) and not self._is_something_left():
            self._advance(self._header_at("DRAIN"), _MOST)
            if is_ended:
                self._advance(self._header_at("WORK"), _MOST)

    def _is_something_left(self):
        return any(word & 7 in (_FILLING, _WAITING, _TAKEN) for word in self._states())

    def _make_drain_look(self):
        last = self._header("SEQUENCE")
        filling = {slot: word for slot, word in enumerate(self._states()) if word & 7 == _FILLING}
        vain_looks = 0

        def look():
            nonlocal last, vain_looks
            self._check_open("wait for")
            self._watch()
            for slot, word in list(filling.items()):
                if self._state(slot) != word:
                    del filling[slot]
                    last = self._header("SEQUENCE")  # it has a number by now, if it was put
            is_over, is_held = not filling, False
            for slot, word in enumerate(self._states()):
                if word & 7 in (_WAITING, _TAKEN) and _int32(self._read(slot, "NUMBER") - last) <= 0:
                    is_over = False
                    is_held = is_held or word & 7 == _TAKEN
            if is_over:
                return True
            vain_looks = 0 if is_held else vain_looks + 1
            if vain_looks > 1:
                self._check_named_lately("wait for")
            return None

        return look

    # --- Putting

    def _claim(self):
        """Claim a free slot; None if there is none."""
        for tries in range(self.slots):
            slot = (self._next + tries) % self.slots
            if self._state(slot) != 0:
                continue
            with self._threads:
                if self._state(slot) != 0:  # another thread may have it
                    continue
                # The notes come first: Ctrl-C may come anywhere.
                self._of_thread.claimed = slot
                self._own.add(slot)
                if not self._change(slot, 0, _state_word(_FILLING, 0, self._id)):
                    self._own.remove(slot)
                    self._of_thread.claimed = None
                    continue
            self._next = slot + 1
            # Who ends the queue stores ENDED first, and then looks at the slots.
            is_put = False
            try:
                is_put = not self.is_ended
            finally:
                if not is_put:
                    self._unclaim(slot)
                    self._of_thread.claimed = None
            if is_put:
                return slot
            break
        if self.is_ended:
            raise BrokenPipeError(errno.EPIPE, f"Cannot put into {self.name!r}: it was ended")
        return None

    def _unclaim(self, slot):
        """Give a slot back that was claimed here, and was not put; None is none."""
        with self._threads:
            if slot in self._own:  # a forked child has none of them
                self._own.remove(slot)
                self._free(slot, _state_word(_FILLING, 0, self._id))
                self._close_if_unused()

    def _look_for_room(self):
        self._check_open("put into")
        slot = self._claim()
        if slot is None and self._watch():
            slot = self._claim()
        if slot is None:
            self._check_named_lately("put into")
        return slot

    def _publish(self, slot, message, attempts):
        text = self._text_of(message, "put into", "message")
        _check_process()
        with self._threads:
            self._check_open("put into")
            if slot not in self._own:
                raise ValueError(f"Cannot put into {self.name!r}: the slot is another process's; this one was forked")
            self._write(slot, "message", text, "put into")
            self._store(slot, "CALLER", 0)
            self._store(slot, "ATTEMPTS", attempts)
            self._store(slot, "TAKER", 0)
            self._store(slot, "NUMBER", self._count("SEQUENCE"))
            if not self._change(slot, _state_word(_FILLING, 0, self._id), _state_word(_WAITING, 0, 0)):
                self._own.remove(slot)
                self._refuse_state(slot, self._state(slot))
            self._own.remove(slot)
            self._of_thread.claimed = None

    # --- Taking

    def _look_for_work(self):
        self._check_open("take from")
        self._watch()
        is_ended = self.is_ended  # read before the slots are looked at: nothing is put after it
        item = self._try_take()
        if item is not None:
            return item
        if is_ended and not self._is_something_left():
            return _NOTHING
        self._check_named_lately("take from")
        return None

    def _try_take(self):
        """Take the oldest item that waits; None if there is none."""
        for _ in range(self._MOST_TAKES):
            now = self._header("SEQUENCE")
            oldest, oldest_age = None, -1
            for slot, word in enumerate(self._states()):
                if word & 7 == _WAITING:
                    # One that was put meanwhile has a number after `now`.
                    age = max(0, _int32(now - self._read(slot, "NUMBER")))
                    if age > oldest_age:
                        oldest, oldest_age = (slot, word), age
            if oldest is None:
                return None
            slot, word = oldest
            caller = word >> 8
            if caller != 0 and not self._is_living(slot, word, {}):
                self._free(slot, word)  # nobody wants the answer any more
                continue
            taken = _state_word(_TAKEN, word >> 3 & 31, self._id)
            with self._threads:
                if self._state(slot) != word:  # another thread may have it
                    continue
                # The note comes first: Ctrl-C may come anywhere.
                item = self._of_thread.taken = self._held[slot] = QueueItem(self, slot, taken, caller)
                if not self._change(slot, word, taken):
                    del self._held[slot]
                    continue
                self._store(slot, "TAKER", 0)
                self._store(slot, "PID", os.getpid())
                self._f64[self._at(slot, "SINCE") // 8] = time.time() * 1000
                _update(self._u32, self._at(slot, "TAKER"), lambda _: self._id)  # after the two
            try:
                if word >> 3 & 31 >= self._read(slot, "ATTEMPTS", 1, self._MOST_ATTEMPTS):
                    self._refuse_state(slot, taken)
                item.message = self._message_of(slot)
            except InvalidData as error:
                self._fail(item, error)
                raise
            return item
        return None

    def _take_back(self, item):
        """Let an item go that take() had when an exception came, and that is in nobody's hands."""
        with self._threads:
            if item is None or not self._holds(item):
                return
            word = self._state(item.slot)
            if word >> 8 == self._id and word & 7 in (_TAKEN, _DROPPED):
                self._let_go(item, False, "take from")
            else:  # it was about to be taken
                del self._held[item.slot]

    def _message_of(self, slot):
        length = self._read(slot, "MESSAGE_LENGTH", 1, self.message_bytes)
        start = self._texts + 2 * slot * self._area

        def refuse(constant):
            raise ValueError(constant)  # NaN is no JSON

        try:
            return json.loads(self._map[start : start + length].decode("utf-8", "replace"), parse_constant=refuse)
        except (ValueError, RecursionError) as error:
            raise InvalidData(f"Cannot use {self.name!r}: a message is no JSON; it is damaged") from error

    def _holds(self, item):
        _check_process()
        return self._is_open and self._held.get(item.slot) is item

    def _is_wanted(self, item):
        """Whether its caller has not given up. One that was killed has not withdrawn it, so this does: nobody else may."""
        with self._threads:
            slot, word = item.slot, item._word
            if not self._holds(item) or self._state(slot) != word:
                return False
            if item._caller == 0 or self._is_locked(item._caller):
                return True
            if self._change(slot, word, _state_word(_DROPPED, word >> 3 & 31, self._id)):
                self._look_for_end()
            return False

    def _check_held(self, item, action):
        self._check_open(action)
        if not self._holds(item):
            raise ValueError(f"Cannot {action} {self.name!r}: this item was ended already, or is another process's")

    def _complete(self, item, answer):
        action = "complete an item of"
        text = self._text_of(answer, action, "answer")
        with self._threads:
            self._check_held(item, action)
            if self._is_wanted(item) and item._caller != 0:
                self._write(item.slot, "answer", text, action)
            return self._finish(item, _DONE, "COMPLETED")

    def _fail(self, item, error):
        action, text = "fail an item of", self._failure_text(error)
        with self._threads:
            self._check_held(item, action)
            if self._is_wanted(item):
                self._write(item.slot, "answer", text, action)
            return self._finish(item, _FAILED, "FAILURES")

    def _finish(self, item, state, counter):
        slot, word, caller = item.slot, item._word, item._caller
        self._store(slot, "TAKER", 0)
        del self._held[slot]
        if self._end(slot, word, _state_word(state, word >> 3 & 31, caller), caller, counter):
            return True
        self._free_dropped(item)
        return False

    def _let_go(self, item, is_death, action):
        """Let an item go that was taken here; it goes to the next one."""
        with self._threads:
            self._check_held(item, action)
            self._store(item.slot, "TAKER", 0)
            del self._held[item.slot]
            if not self._give_back(item.slot, item._word, is_death):
                self._free_dropped(item)

    def _free_dropped(self, item):
        """Free a slot that was taken here, and whose caller has given up."""
        if not self._free(item.slot, _state_word(_DROPPED, item._word >> 3 & 31, self._id)):
            self._refuse_state(item.slot, self._state(item.slot))

    def _failure_text(self, error):
        """The name and the message of an error, in as many bytes as there is room for."""
        try:
            name, message = ("Error", error) if isinstance(error, str) else (type(error).__name__, str(error))
        except Exception:
            name, message = "Error", "what was raised cannot be written as text"
        name, length = name[: self._MOST_OF_NAME], min(len(message), self.message_bytes)
        while True:
            parts = {"name": name, "message": message[:length]}
            text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
            excess = len(text) - self.message_bytes
            if excess <= 0:
                return text
            if length > 0:
                length = max(0, length - max(1, excess // 6))  # a character takes 6 bytes at the most
            else:
                name = name[:-1]


def _in_lines(size):
    """A number of bytes, rounded up to lines of the cache."""
    return -(-size // 64) * 64


def _queue_texts(slots):
    """Where the texts of a queue begin, after the header, the states and the parts of the slots."""
    return QUEUE_BYTES + _in_lines(4 * slots) + SLOT_BYTES * slots


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
