"""Remove stripes from an image that Deno shares, in place, with NumPy's FFT.

The argument is the image's description, as `JSON.stringify(sma)` writes it.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from shm_attach import attach  # noqa: E402 -- the line above makes it known

COARSE = 0.1  # cycles per pixel: below is the image, above it are its details and the stripes
STRONG = 20  # times the strength that is usual among the details


def remove_stripes(image):
    """Take out of an image the few waves that are much stronger than the other fine ones."""
    waves = np.fft.rfft2(image)
    strength = np.abs(waves)
    down = np.fft.fftfreq(image.shape[0])[:, None]
    across = np.fft.rfftfreq(image.shape[1])
    fine = np.hypot(down, across) > COARSE
    stripes = fine & (strength > STRONG * np.median(strength[fine]))
    waves[stripes] = 0
    image[...] = np.fft.irfft2(waves, s=image.shape)
    return stripes.sum()


description = json.loads(sys.argv[1])
shared = attach(description["name"], description["shape"], description["dtype"])
print(f"NumPy {np.__version__} removed {remove_stripes(shared)} waves")
