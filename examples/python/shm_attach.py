"""Attach to a shared-memory array from Python, without taking it away from everybody else; create one; wait for
its elements and lock it, together with programs that use `@shm/array`.

    from shm_attach import Lock, attach, create, notify, unlink, wait
    image = attach("frame-0")  # the segment says what it is
    state = attach("state", (16,), "int32")  # and is compared with what it is told
    while state[0] == 0:
        wait(state, 0, 0)
    with Lock("frame-0.lock"):
        image[:, :, 0] = 255

This file is all there is: copy it, or print it by `deno run jsr:@shm/array/cli python > shm_attach.py`. It runs with
CPython 3.8 and newer. Only arrays, rings and versions need NumPy. All but attach() is for Linux.

After os.fork() a child has none of the locks and none of the rights to write that its parent has: it can
acquire and claim for itself. docs/python.md describes the functions; docs/sync.md and docs/publication.md describe
the segments.
"""

from __future__ import annotations

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
    no array, but a lock, a ring or versions, this returns an instance of Lock, Ring or Versions. `dtype` beside the
    name is what the elements of an array must be.

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


_OTHER_KINDS = {
    "lock": lambda name, found: Lock(name),
    "ring": lambda name, found: Ring(name, found.shape, found.dtype),
    "versions": lambda name, found: Versions(name, found.shape, found.dtype),
}


def _refuse_other_kinds(file, size, name):
    """Refuse the segment of a lock, a ring or versions, as what it begins with tells it."""
    head = os.pread(file, 16, 0)
    at = LOCK_WORDS["MAGIC"][0]
    if size == LOCK_BYTES and head[at:] == LOCK_MAGIC:
        kind = "Lock"
    elif head.startswith(RING_MAGIC):
        kind = "Ring"
    elif head.startswith(VERSIONS_MAGIC):
        kind = "Versions"
    else:
        return
    raise TypeError(f"Cannot attach to {name!r} as an array: the segment is that of a {kind}, which attaches to it")


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


def _is_part(part, whole, is_same_shape):
    """Whether an array is what a view of another one shows. It is isPart() of src/shared_array/described_array.ts."""
    (parts, first), (all_axes, begin) = _axes_of(part), _axes_of(whole)
    axes = []
    for length, step in all_axes:
        if not is_same_shape and axes and axes[-1][1] == step * length:
            axes[-1] = axes[-1][0] * length, step
        else:
            axes.append((length, step))
    rest, more = divmod(first - begin, whole.dtype.itemsize)
    if more or rest < 0:
        return False
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


def _missing(message):
    """An error that says just this, and has the number of ENOENT."""
    error = FileNotFoundError(message)
    error.errno = errno.ENOENT
    return error


def _open_anonymous(name):
    """Open the anonymous segment `memfd:PID:FD:INODE`, which process PID made and holds."""
    path, inode = _anonymous_path(name)
    file = _open_path(path, 0)  # who has the number now may have a FIFO there
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
    timeout = None if timeout is None else max(0, timeout)
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

    >>> lock = Lock.create(f"doctest-lock-{os.getpid()}")
    >>> with lock:
    ...     attach(lock.name).acquire(timeout=0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TimeoutError: Cannot acquire 'doctest-...
    >>> with lock:
    ...     lock.abandoned
    False
    >>> unlink(lock.name)
    True
    """

    _TURN, _WAITING, _HELD = (LOCK_WORDS[word][0] // 4 for word in ("TURN", "WAITING", "HELD"))
    _SLICE = 0.02
    _ON_THE_WAY = 0.002  # how long somebody may need who has announced itself and does not sleep yet
    _all = weakref.WeakSet()

    def __init__(self, name: str) -> None:
        _check_name(name)
        self.name = name
        self.abandoned: bool = False
        self._threads = threading.Lock()
        self._is_held = False
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

    def acquire(self, timeout: Optional[float] = None) -> None:
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

    def release(self) -> None:
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
        self.name = name
        dtype = _dtype_of(dtype)
        size = math.prod(_placed(shape, dtype, None).shape) * dtype.itemsize
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


def _make_channel(name, magic, shape, dtype, slots, mode, reserve, describe):
    """Make the segment of a ring, or of a publication of versions, before its first array."""
    array = _placed(shape, _checked_dtype(dtype), None)
    if 0 in array.shape:
        raise ValueError(f"Cannot create {name[:80]!r}: shape {list(array.shape)} has no elements")
    size = array.extent()[1]
    step = -(-size // 64) * 64 if magic == RING_MAGIC else 0
    words = {
        "DTYPE": array.dtype.str.encode(),
        "ARRAY_BYTES": size,
        "SLOTS": slots,
        "MODE": mode + (0 if reserve else 2**31),
        "SLOT_STEP": step,
        "ID": secrets.randbelow(2**64 - 1) + 1,
        "MAGIC": magic,
    }
    description = {
        "kind": "ring" if magic == RING_MAGIC else "versions",
        "shape": list(array.shape),
        "dtype": array.dtype.name,
    }
    if magic == RING_MAGIC:
        description["slots"] = slots

    def fill(mapping):
        for word, value in words.items():
            at, kind = HEADER_WORDS[word]
            if isinstance(value, int):
                value = value.to_bytes(int(kind[1:]) // 8, "little")
            mapping[at : at + len(value)] = value

    os.close(_make(name, HEADER_BYTES + slots * step, mode, reserve, description if describe else None, fill))


class Frame:
    """A frame of a Ring: `sequence`, `skipped` (how many were missed), `array` (not copied)."""

    sequence: int
    skipped: int
    array: np.ndarray

    def __init__(self, ring, sequence, skipped, array):
        self._ring, self.sequence, self.skipped, self.array = ring, sequence, skipped, array

    def is_whole(self) -> bool:
        """Whether the writer has not begun to overwrite it; ask after use."""
        _fence()
        return self._ring.begun_after(self.sequence) < self.sequence + self._ring.slots

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
    >>> unlink(ring.name)
    True
    """

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

    @classmethod
    def create(
        cls,
        name: str,
        shape: Shape,
        dtype: npt.DTypeLike,
        slots: int,
        *,
        mode: int = 0o600,
        reserve: bool = True,
        describe: bool = True,
    ) -> Ring:
        """Create the segment of a ring, and attach to it. FileExistsError: the name is taken."""
        if not 2 <= slots < 2**32:
            raise ValueError(f"Cannot create {name[:80]!r}: slots must be from 2 to 2^32 - 1, not {slots}")
        _make_channel(name, RING_MAGIC, shape, dtype, slots, mode, reserve, describe)
        return cls(name, shape, dtype, slots)

    def write(self, source: Union[npt.ArrayLike, Callable[[np.ndarray], Any]]) -> int:
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
        if newest != self._last:
            self._channel.begun_after(newest)  # InvalidData: the two cannot stand beside each other
        return self._give(newest, self._base()) if newest else None

    def next(self, after: Optional[int] = None, timeout: Optional[float] = None) -> Frame:
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
        self._last = number
        return Frame(self._channel, number, max(0, number - base - 1), self._views[(number - 1) % self.slots])


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
    >>> unlink(table.name)
    True
    """

    _MOST_TAKEN = 64  # how many numbers may be taken by versions of another user, which cannot be removed
    _MOST_REPLACED = 10_000  # how many versions may be replaced while a reader attaches to one

    def __init__(self, name: str, shape: Shape, dtype: npt.DTypeLike) -> None:
        _check_name(name, _PART_NAME_BYTES)
        self.name, self.shape, self.dtype = name, shape, _dtype_of(dtype)
        self._channel = _Channel(name, VERSIONS_MAGIC, shape, dtype)
        self._current: Optional[Tuple[int, np.ndarray]] = None
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

    def end(self) -> None:
        """Say that no more comes: readers are told by EndedError when they have the last version."""
        self._channel.check_open("end")
        self._channel.end()

    @property
    def is_ended(self) -> bool:
        """Whether the writer has said that no more comes."""
        return self._channel.is_ended

    def current(self) -> Optional[Tuple[int, np.ndarray]]:
        """The newest complete version: its number and its array; None before the first."""
        return self._give() if self._channel.newest_unless_removed(self._given) else None

    def changed(self, timeout: Optional[float] = None) -> Tuple[int, np.ndarray]:
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
            try:
                # The same bytes may be read in another shape.
                array = attach(os.path.basename(self._path(number)), self.shape, self.dtype, reinterpret=True)
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
