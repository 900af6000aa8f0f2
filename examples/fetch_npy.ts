// Fetches a .npy file into shared memory. The example is its own server of a picture in 8-bit RGB; with a
// URL it asks another one, which may answer with any .npy file.
// Run it: deno run --allow-ffi --allow-net --allow-read --allow-write examples/fetch_npy.ts [URL]
// It prints the shape, the name and the elements of the array.

import { NDArray, SharedMemoryRegister } from "@shm/array";
import { readNpy, writeNpy } from "@shm/array/npy";

async function main(url: string | URL): Promise<void> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`Cannot fetch ${url}: ${response.status}`);
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const { sma, view } = readNpy(await response.arrayBuffer(), register, { prefix: "fetched" });
  using _attached = sma;
  console.log(`The array of ${view.dtype} and shape [${view.shape.join(", ")}] is ${sma.name}`);
  console.log(view.slice(0));
}

/** Serves a small picture while the example runs. */
async function demonstrate(): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    const picture = new NDArray(new Uint8Array(2 * 3 * 3), { shape: [2, 3, 3] });
    picture.assign([[255, 0, 0], [0, 255, 0], [0, 0, 255]]);
    writeNpy(`${folder}/picture.npy`, picture);
    const answer = () => new Response(Deno.readFileSync(`${folder}/picture.npy`));
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
    await main(`http://127.0.0.1:${server.addr.port}/picture.npy`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

if (Deno.args.length === 1) await main(Deno.args[0]);
else await demonstrate();
