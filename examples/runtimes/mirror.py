"""Mirrors the upper half of a shared picture in its lower half, as water does: mirror.py JOB

main.ts starts it, beside the painters, and it waits for them.
"""

import json
import sys

from shm_attach import attach, wait

DONE = 2  # the word in which the painters count themselves

job = json.loads(sys.argv[1])
picture = attach(job["picture"]["name"])  # the segment says what it is
state = attach(job["state"]["name"])
while (done := int(state[DONE])) < job["painters"]:
    wait(state, DONE, done)
half = len(picture) // 2
picture[half:] = picture[:half][::-1] // 2
