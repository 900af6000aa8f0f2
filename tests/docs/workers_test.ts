// The supervisor of docs/workers.md: the page shows it as it is, and it does what the page says.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname } from "node:path";
import { childrenOf, lives, until } from "../helpers/helpers.ts";
import { Teller } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks for processes in /proc");

const root = new URL("../../", import.meta.url);
const exampleUrl = new URL("examples/supervisor.ts", root).href;
const config = new URL("deno.json", root).pathname;

/** The "deno" that the supervisor starts is the one that runs this test. */
const environment = {
  NO_COLOR: "1",
  PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH") ?? ""}`,
};

Deno.test("docs/workers.md shows supervise() as it stands in the example", () => {
  const page = Deno.readTextFileSync(new URL("docs/workers.md", root));
  const blocks = page.split("```ts ignore\n").map((rest) => rest.split("```")[0]);
  const shown = blocks.find((block) => block.includes("async function supervise("));
  assert(shown !== undefined);
  assertStringIncludes(Deno.readTextFileSync(new URL("examples/supervisor.ts", root)), shown);
});

/**
 * Starts a program that supervises one worker, and prints "end" at its end.
 *
 * @param worker the worker's program; it finds `exitWithParent` and `abortedBySignals`
 */
function start(worker: string, grace = 1e6): Teller {
  const imports = `import { abortedBySignals, supervise } from ${JSON.stringify(exampleUrl)};
    import { exitWithParent, wait } from "@shm/array/sync";
    import { SharedMemoryArray } from "@shm/array";\n`;
  const url = (code: string): string =>
    `data:application/typescript,${encodeURIComponent(imports + code)}`;
  const args = ["run", "--quiet", `--config=${config}`, "-A", url(worker)];
  const supervisor = `await supervise(${JSON.stringify(args)}, abortedBySignals(), ${grace});
    console.log("end");`;
  return Teller.run(Deno.execPath(), [...args.slice(0, -1), url(supervisor)], environment);
}

Deno.test("supervise() starts a worker again, later and later, until it ends with code 0", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // The first is killed, the next two fail.
    await using supervisor = start(`const file = ${JSON.stringify(folder)} + "/starts";
      Deno.writeTextFileSync(file, "x", { append: true });
      const starts = Deno.readTextFileSync(file).length;
      if (starts === 1) Deno.kill(Deno.pid, "SIGKILL");
      Deno.exit(starts < 4 ? starts : 0);`);
    const begin = performance.now();
    const { code, rest, errors } = await supervisor.end();
    assertEquals(
      [code, rest],
      [
        0,
        "A worker ended by SIGKILL; the next starts in 100 ms\n" +
        "A worker ended by code 2; the next starts in 200 ms\n" +
        "A worker ended by code 3; the next starts in 400 ms\nend\n",
      ],
      errors,
    );
    assert(performance.now() - begin >= 700, "it did not wait");
    assertEquals(Deno.readTextFileSync(`${folder}/starts`), "xxxx");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("supervise() lets a worker end in its own way when it is asked to", async () => {
  await using supervisor = start(`const signal = abortedBySignals();
    console.log("works");
    const timer = setInterval(() => {}, 1e6);
    signal.addEventListener("abort", () => {
      console.log("finishes");
      clearInterval(timer);
    });`);
  assertEquals(await supervisor.line(), "works");
  supervisor.kill("SIGTERM");
  const { code, rest, errors } = await supervisor.end();
  assertEquals([code, rest], [0, "finishes\nend\n"], errors);
});

Deno.test("supervise() kills a worker that does not end when it is asked to", async () => {
  await using supervisor = start(
    `abortedBySignals();
    console.log("hangs");
    while (true);`,
    100,
  );
  assertEquals(await supervisor.line(), "hangs");
  const [worker] = childrenOf(supervisor.pid);
  supervisor.kill("SIGINT");
  const { code, rest, errors } = await supervisor.end();
  assertEquals([code, rest], [0, "end\n"], errors);
  assert(!lives(worker));
});

Deno.test("supervise() ends while it waits to start a worker again", async () => {
  await using supervisor = start("Deno.exit(1);");
  // After four of them it waits for 1.6 s.
  let line = "";
  while (!line.endsWith(" 1600 ms")) line = await supervisor.line();
  supervisor.kill("SIGTERM");
  // On a busy machine it may have started one or two more before it heard of it.
  assertMatch((await supervisor.end()).rest, /^(A worker ended by code 1; .* ms\n)*end\n$/);
});

Deno.test("a worker with exitWithParent() ends when its supervisor is killed, one without stays", async () => {
  const waits = `const words = SharedMemoryArray.createAnonymous(4, "int32").array!.data;
    console.log("waits");
    wait(words as Int32Array, 0, 0);`;
  for (const [before, stays] of [["exitWithParent(Number(Deno.args[0]));", false], ["", true]]) {
    await using supervisor = start(before + waits);
    assertEquals(await supervisor.line(), "waits");
    const [worker] = childrenOf(supervisor.pid);
    try {
      supervisor.kill("SIGKILL");
      if (stays) {
        await new Promise((resume) => setTimeout(resume, 1500));
        assert(lives(worker));
      } else await until("the worker has ended", () => !lives(worker));
    } finally {
      if (lives(worker)) Deno.kill(worker, "SIGKILL");
    }
    await supervisor.end();
  }
});
