// A camera draws frames into a ring; two viewers, one of them in Python, sleep until there is a new one.
// No viewer polls or holds up the camera, and none takes a half-drawn frame for a whole one.
// Run it: deno run --allow-ffi --allow-env=SHM_PYTHON --allow-run=deno,/usr/bin/python3 examples/video_ring.ts
// It prints for each viewer the frames per second, their age, how many it missed, and that it slept while none came.

import { SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";
import process from "node:process";

const FRAMES = 200; // then the camera rests for a second, and draws one more
const now = (): number => performance.timeOrigin + performance.now();

async function camera(): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const name = SharedMemoryArray.buildSmaName("video");
  using ring = new SharedMemoryRing([270, 480], "uint8", name, 4).create();
  register.push(name);
  const python = Deno.env.get("SHM_PYTHON") || "/usr/bin/python3";
  const viewers = [
    ["deno", "run", "--allow-ffi", import.meta.url, JSON.stringify(ring)],
    [python, "-B", `${import.meta.dirname}/python/view_ring.py`, JSON.stringify(ring), `${FRAMES}`],
  ].map(([command, ...args]) => new Deno.Command(command, { args, stdout: "piped" }).spawn());
  for (const { stdout } of viewers) {
    for await (const _ready of stdout.values({ preventCancel: true })) break;
  }
  for (let i = 1; i <= FRAMES + 1; i++) {
    ring.write((picture, sequence) => picture.fill(sequence));
    await new Promise((resume) => setTimeout(resume, i === FRAMES ? 1000 : 4));
  }
  for (const { stdout, status } of viewers) {
    await stdout.pipeTo(Deno.stdout.writable, { preventClose: true });
    if (!(await status).success) throw new Error("a viewer has failed");
  }
}

async function view(descriptor: string): Promise<void> {
  using ring = SharedMemoryRing.from(JSON.parse(descriptor), "uint8").load();
  const busy = (): number => (process.cpuUsage().user + process.cpuUsage().system) / 1000;
  console.log("ready");
  let [frames, skipped, torn, late, begin, end, before] = [0, 0, 0, 0, 0, 0, 0];
  for await (const frame of ring.frames()) {
    if (frame.sequence > FRAMES) break;
    const { data } = frame.array;
    late += now() - frame.timestamp;
    const isMixed = data.some((pixel) => pixel !== data[0]);
    if (!frame.isWhole()) torn++; // what was seen of it is of no use
    else if (isMixed) throw new Error("a mixed frame was taken for a whole one");
    [frames, skipped] = [frames + 1, skipped + frame.skipped];
    [begin, end, before] = [begin || now(), now(), busy()];
  }
  const [rate, age] = [frames / (end - begin) * 1000, late / frames * 1000].map(Math.round);
  console.log(
    `Deno: ${rate} frames/s, ${age} µs late, ${skipped} skipped, ${torn} torn, ` +
      `${Math.round(busy() - before)} ms busy in a second of rest`,
  );
}

if (Deno.args.length === 0) await camera();
else await view(Deno.args[0]);
