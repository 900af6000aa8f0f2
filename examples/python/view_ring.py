"""The viewer in Python of examples/video_ring.ts, which starts it: view_ring.py DESCRIPTOR FRAMES"""

import json
import sys
import time

from shm_attach import Ring

descriptor, last = json.loads(sys.argv[1]), int(sys.argv[2])
ring = Ring(descriptor["name"], descriptor["shape"], descriptor["dtype"])
print("ready", end="", flush=True)
frames = skipped = torn = late = begin = end = before = 0
for frame in ring.frames():
    if frame.sequence > last:
        break
    pixels = frame.array.reshape(-1)
    late += time.time() * 1000 - frame.timestamp
    mixed = (pixels != pixels[0]).any()
    if not frame.is_whole():
        torn += 1  # what was seen of it is of no use
    elif mixed:
        raise RuntimeError("a mixed frame was taken for a whole one")
    frames, skipped = frames + 1, skipped + frame.skipped
    begin, end, before = begin or time.time(), time.time(), time.process_time()
rate, age = round(frames / (end - begin)), round(late / frames * 1000)
busy = round((time.process_time() - before) * 1000)
print(
    f"Python: {rate} frames/s, {age} µs late, {skipped} skipped, {torn} torn, "
    f"{busy} ms busy in a second of rest"
)
