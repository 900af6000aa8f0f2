"""A program that looks at what the others share."""

import sys
import time

sys.path.insert(0, sys.argv[1])
import shm_attach

weights = shm_attach.attach("weights")
version = weights.current()
settings = shm_attach.attach("settings")
time.sleep(3600)
