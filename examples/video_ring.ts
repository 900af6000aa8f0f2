// A camera process writes frames into a ring of slots; a viewer process takes the newest one.
// Neither waits: a sequence counter per slot tells the viewer whether the frame it took is whole.
// Run it: deno run --allow-ffi --allow-run=deno examples/video_ring.ts

import {
  createAndRegisterSma,
  type NDArray,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
} from "@shm/array";

const [SLOTS, HEIGHT, WIDTH] = [4, 270, 480];
const FRAMES = 100;

/** What the viewer is told: the frames, and the counters that go with them. */
interface Ring {
  frames: SharedMemoryDescriptor<"uint8">;
  /** Per slot twice the number of times that it was written, odd while it is being written. */
  sequence: SharedMemoryDescriptor<"int32">;
  /** The number of frames written so far, and whether the viewer is there. */
  state: SharedMemoryDescriptor<"int32">;
}
const [WRITTEN, VIEWER] = [0, 1];

async function camera(): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using frames = createAndRegisterSma([SLOTS, HEIGHT, WIDTH], "uint8", register, "video");
  using sequence = createAndRegisterSma(SLOTS, "int32", register, "video");
  using state = createAndRegisterSma(2, "int32", register, "video");
  const ring: Ring = { frames, sequence, state };
  const viewer = new Deno.Command("deno", {
    args: ["run", "--allow-ffi", import.meta.url, JSON.stringify(ring)],
  }).spawn();
  const ended = viewer.status.then(({ success }) => {
    if (!success) throw new Error("the viewer failed");
  });
  while (Atomics.load(state.array!.data, VIEWER) === 0) await Promise.race([ended, pause(5)]);

  for (let frame = 0; frame < FRAMES; frame++) {
    const slot = frame % SLOTS;
    // A read-modify-write is a barrier, which a plain Atomics.store() is not: no pixel is written
    // before the counter is odd, or after it is even again, on any processor.
    Atomics.add(sequence.array!.data, slot, 1);
    frames.array!.slice(slot).fill(frame); // the picture: every pixel is the frame's number
    Atomics.add(sequence.array!.data, slot, 1);
    Atomics.add(state.array!.data, WRITTEN, 1);
    await pause(2);
  }
  await ended;
  console.log(`camera: wrote ${FRAMES} frames into ${SLOTS} slots, and never waited.`);
}

async function view(ring: Ring): Promise<void> {
  using frames = SharedMemoryArray.from(ring.frames);
  using sequence = SharedMemoryArray.from(ring.sequence);
  using state = SharedMemoryArray.from(ring.state);
  const pictures = frames.load();
  const counters = sequence.load().data;
  const { data } = state.load();
  Atomics.store(data, VIEWER, 1);

  let [seen, torn, mixed, written] = [0, 0, 0, 0];
  while (written < FRAMES) {
    written = Atomics.load(data, WRITTEN);
    if (written > 0) {
      const picture = takeFrame(pictures, counters, (written - 1) % SLOTS);
      if (picture === null) torn++;
      else {
        seen++;
        if (picture.some((pixel) => pixel !== picture[0])) mixed++;
      }
    }
    await pause(7); // a slow viewer skips frames; the camera does not wait for it
  }
  console.log(`viewer: saw ${seen} frames, skipped the others, took ${torn} for unfinished,`);
  console.log(`viewer: and found ${mixed} that were mixed of two.`);
}

/** Copies a frame out of its slot; `null` if the camera wrote there in the meantime. */
function takeFrame(
  pictures: NDArray<"uint8">,
  counters: Int32Array,
  slot: number,
): Uint8Array | null {
  const before = Atomics.add(counters, slot, 0); // a load that is a barrier
  if (before % 2 !== 0) return null;
  const picture = pictures.slice(slot).copy();
  return Atomics.add(counters, slot, 0) === before ? picture : null;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}

if (Deno.args.length === 0) await camera();
else await view(JSON.parse(Deno.args[0]));
