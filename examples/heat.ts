// Heat spreads in a plate: each of four workers computes every fourth row, and all meet after every step. One is
// killed and replaced: the result is that of one process, bit for bit. It prints the paths of its checkpoints.
// Run it: deno run --allow-ffi --allow-run=deno --allow-read --allow-write examples/heat.ts [SIZE STEPS FOLDER]

import { createAndRegisterSma, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { readNpy, writeNpy } from "@shm/array/npy";
import { BrokenBarrierError, exitWithParent, SharedMemoryBarrier } from "@shm/array/sync";

async function main(size: number, steps: number, folder = Deno.makeTempDirSync()): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"], uncaught: true });
  using heat = createAndRegisterSma([2, size, size], "float64", register, "heat");
  using barrier = SharedMemoryBarrier.createAnonymous(5).load(); // this process has seat 0
  heat.array!.slice(":", 0).fill(100); // the upper edge, before and after a step
  // The newest checkpoint in the folder, if there is one, is where it goes on.
  let step = Math.max(0, ...[...Deno.readDirSync(folder)].map(({ name }) => parseInt(name) || 0));
  if (step > 0) heat.array!.slice(step % 2).assign(readNpy(`${folder}/${step}.npy`, register).view);
  const workers = new Set<Deno.ChildProcess>();
  while (step < steps) {
    while (workers.size < barrier.parties - 1) {
      const args = ["run", "--allow-ffi", import.meta.url, JSON.stringify({ barrier, heat, step })];
      const worker = new Deno.Command("deno", { args }).spawn();
      workers.add(worker);
      worker.status.then(({ signal }) => {
        workers.delete(worker);
        if (signal === null) throw new Error("a worker has failed");
      });
    }
    try {
      await barrier.meetAsync({ timeout: 1000 }); // nobody else is beyond this step before
      if (++step === 150) [...workers][2]?.kill("SIGKILL");
      if (step % 100 !== 0) continue;
      writeNpy(`${folder}/part`, heat.array!.slice(step % 2)); // in this step it is only read
      Deno.renameSync(`${folder}/part`, `${folder}/${step}.npy`);
      console.log(`${folder}/${step}.npy is written`);
    } catch (error) {
      if (!(error instanceof BrokenBarrierError || error instanceof DOMException)) throw error;
      await new Promise((resume) => setTimeout(resume, 10)); // then it is known who has ended
    }
  }
  for (const worker of workers) worker.kill("SIGKILL");
}

const [job = "512", steps = "1000", folder] = Deno.args;
if (job.startsWith("{")) {
  exitWithParent(); // one that has ended before has taken the barrier along
  const { barrier, heat, step } = JSON.parse(job);
  using party = SharedMemoryBarrier.from(barrier).load();
  using plates = SharedMemoryArray.from(heat, "float64");
  let [from, to] = step % 2 === 0 ? plates.load().rows() : [...plates.load().rows()].reverse();
  for (const last = to.shape[0] - 1;; [from, to] = [to, from]) {
    for (let y = party.seat!; y < last; y += party.parties - 1) {
      for (let x = 1; x < last; x++) {
        const sum = from.get(y - 1, x) + from.get(y + 1, x) + from.get(y, x - 1) +
          from.get(y, x + 1);
        to.set(y, x, sum / 4);
      }
    }
    party.meet({ patient: true });
  }
} else await main(Number(job), Number(steps), folder);
