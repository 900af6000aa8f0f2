// An HTTP server finds nearest neighbours in a table that another process replaces as a whole, again and
// again. Each answer comes from one version. The writer is killed while it fills one, and started again.
// Run it: deno run --allow-ffi --allow-net=127.0.0.1 --allow-run=deno examples/versioned_table.ts
// It prints an answer of the server after each death of the writer, and how many versions are in memory.

import { type NDArray, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { SharedMemoryVersions } from "@shm/array/publish";

const POINTS = 20_000;

async function serve(): Promise<void> {
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  const name = SharedMemoryArray.buildSmaName("table");
  register.push(name); // with it go all versions, whoever left them
  using table = new SharedMemoryVersions([POINTS, 2], "float32", name).create();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const { version, array } = table.current()!; // nobody changes this one any more
    return Response.json({ version, ...nearest(array, Number(new URL(url).search.slice(1))) });
  });

  for (const round of ["first", "second"]) {
    const writer = new Deno.Command("deno", {
      args: ["run", "--allow-ffi", import.meta.url, JSON.stringify(table)],
      stdout: "piped",
    }).spawn();
    const halves = writer.stdout.getReader();
    for (let i = 0; i < 4; i++) await halves.read(); // it is in the middle of its fourth version
    writer.kill("SIGKILL");
    await writer.status;
    await halves.cancel();
    const answer = await (await fetch(`http://127.0.0.1:${server.addr.port}/?777.4`)).text();
    console.log(`The ${round} writer was killed. Near to 777.4 is ${answer}`);
    const names = SharedMemoryArray.list().map((segment) => segment.name);
    console.log("Versions in memory:", names.filter((each) => each.startsWith(name + ".")).length);
  }
}

function nearest(points: NDArray<"float32">, x: number): { point: number; filledFor: number } {
  let best = 0;
  for (let i = 1; i < POINTS; i++) {
    if (Math.abs(points.get(i, 0) - x) < Math.abs(points.get(best, 0) - x)) best = i;
  }
  return { point: best, filledFor: points.get(best, 1) };
}

async function write(descriptor: string): Promise<void> {
  using table = SharedMemoryVersions.from(JSON.parse(descriptor), "float32").load();
  for (let number = (table.current()?.version ?? 0) + 1; true; number++) {
    await table.publish(async (next) => {
      for (let i = 0; i < POINTS; i++) next.slice(i).assign([i, number]);
      console.log("half"); // and now something takes its time
      await new Promise((resume) => setTimeout(resume, 100));
    });
  }
}

if (Deno.args.length === 0) await serve();
else await write(Deno.args[0]);
