// A thread (a Worker) and a process count in one shared array, beside the program that starts them.
// A SharedArrayBuffer serves threads only; a named array serves both, and is sent to both as data.
// Run it: deno run --allow-ffi --allow-read=. --allow-run=deno examples/threads_and_processes.ts
// It prints what both counted, and that the sum is right.

import {
  createAndRegisterSma,
  SharedMemoryArray,
  type SharedMemoryDescriptor,
  SharedMemoryRegister,
} from "@shm/array";

const TIMES = 100_000;
/** What the elements of the shared array are for. */
const [TOTAL, BY_THREAD, BY_PROCESS, FINISHED] = [0, 1, 2, 3];

async function main(): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using counts = createAndRegisterSma(4, "int32", register, "threads");
  const array = counts.array!;

  // The same file, as a thread. postMessage sends the instance as plain data.
  const thread = new Worker(import.meta.url, { type: "module", name: "thread" });
  thread.postMessage(counts);
  // The same file, as a process. It gets the same data as JSON.
  const process = new Deno.Command("deno", {
    args: ["run", "--allow-ffi", import.meta.url, JSON.stringify(counts)],
  }).spawn();

  // An error that nobody catches would end the program before the register could clean up.
  const failed = new Promise<never>((_, reject) => {
    thread.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`the thread failed: ${event.message}`));
    };
    process.status.then(({ success }) => success || reject(new Error("the process failed")));
  });

  // The two need not answer: this program sees what they store.
  while (Atomics.load(array.data, FINISHED) < 2) {
    await Promise.race([failed, new Promise((resume) => setTimeout(resume, 5))]);
  }
  thread.terminate();

  console.log(`The thread counted  ${array.get(BY_THREAD)}`);
  console.log(`The process counted ${array.get(BY_PROCESS)}`);
  console.log(`The sum of both is  ${array.get(TOTAL)}: Atomics lose nothing between them.`);
}

function count(descriptor: SharedMemoryDescriptor<"int32">, mine: number): void {
  using counts = SharedMemoryArray.from(descriptor);
  const { data } = counts.load();
  for (let i = 0; i < TIMES; i++) {
    Atomics.add(data, TOTAL, 1); // both do this to the same element
    data[mine]++; // only this one changes it, so it need not be atomic
  }
  Atomics.add(data, FINISHED, 1);
}

if (self.name === "thread") {
  addEventListener("message", (event) => count((event as MessageEvent).data, BY_THREAD));
} else if (Deno.args.length === 0) {
  await main();
} else {
  count(JSON.parse(Deno.args[0]), BY_PROCESS);
}
