"""A program that imports NumPy and shared_memory and uses them once; with "empty", one that does nothing."""

import sys

if sys.argv[1] != "empty":
    from multiprocessing.shared_memory import SharedMemory

    import numpy as np

    shm = SharedMemory(create=True, size=512)
    array = np.ndarray((8, 8), np.float64, shm.buf)
    shm.unlink()
    array[1, 2] = 3
    assert array[1, 2] == 3
    del array
    shm.close()
