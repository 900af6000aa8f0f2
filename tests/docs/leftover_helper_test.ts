// The helper of docs/lifetime.md for tests: it fails a test that leaves a segment, and lets others pass.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { inNamespaces, isDenoSince, testWith } from "../helpers/test_with.ts";

const root = new URL("../../", import.meta.url);

/** What happened, and what is in `/dev/shm` afterwards. */
interface Ran {
  readonly code: number;
  readonly printed: string;
  readonly segments: string[];
}

/**
 * Runs `deno test` on the page's example, with one line replaced, and another one left out. It has a `/dev/shm` of its own, as the page advises:
 * what other tests leave at the same moment would count.
 */
async function runExample(line: string, by: string, without = ""): Promise<Ran> {
  const page = await Deno.readTextFile(new URL("docs/lifetime.md", root));
  const [, code] = page.match(/^```ts\n(.*?leavingNothing.*?)^```$/ms)!;
  assert(code.includes(line));
  assert(page.includes("mount -t tmpfs tmpfs /dev/shm"));
  // An old Deno needs what the page says for it. Taken out: "Leaks detected", of a library.
  const calls = ['SharedMemoryArray.clearBuffers(["warm-up"])', "SharedMemoryArray.list()"];
  for (const call of calls) assert(page.includes(`\`${call}\``));
  const warmUp = `${calls.join(";\n")};\n`;
  const folder = await Deno.makeTempDir();
  try {
    const imports = { "@shm/array": new URL("mod.ts", root).href };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    const text = code.replace(line, by).replace(without, "");
    await Deno.writeTextFile(`${folder}/mean_test.ts`, isDenoSince(2, 8, 0) ? text : warmUp + text);
    const test = ["test", "--allow-ffi", "--no-check", "mean_test.ts"];
    const andList = '"$@"; code=$?; ls /dev/shm >segments; exit $code';
    const { code: exit, stdout, stderr } = await new Deno.Command("sh", {
      args: [
        ...["-c", inNamespaces("--mount", "mount -t tmpfs tmpfs /dev/shm"), "sh"],
        ...["sh", "-c", andList, "sh", Deno.execPath(), ...test],
      ],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    return {
      code: exit,
      printed: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr),
      segments: (await Deno.readTextFile(`${folder}/segments`)).split("\n").filter(Boolean),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

testWith("namespaces", "docs/lifetime.md: a test that leaves nothing passes", async () => {
  // What another process keeps without a name, and does not map, is none of its business. It comes during the test.
  const foreign: SharedMemoryArray[] = [];
  const making = setInterval(() => {
    foreign.push(SharedMemoryArray.createAnonymous([4], "int8"));
    foreign.at(-1)!.close();
  }, 5);
  try {
    const { code, printed, segments } = await runExample("sma.unlink();", "sma.unlink();");
    assertEquals([code, segments], [0, []], printed);
    assert(foreign.length > 0);
  } finally {
    clearInterval(making);
    for (const sma of foreign) sma.unlink();
  }
});

testWith(
  "namespaces",
  "docs/lifetime.md: a test that leaves a segment fails, says which, and it is gone",
  async () => {
    const { code, printed, segments } = await runExample("sma.unlink();", "");
    assertEquals([code, segments], [1, []], printed);
    assertMatch(printed, /segments are left: \d+-mean-\S+/);
  },
);

testWith(
  "namespaces",
  "docs/lifetime.md: without the line that removes it, the segment is seen afterwards",
  async () => {
    const page = "SharedMemoryArray.clearBuffers(left);";
    const { code, segments } = await runExample(page, "", "sma.unlink();");
    assertEquals([code, segments.length], [1, 1]);
    assertMatch(segments[0], /^\d+-mean-/);
  },
);
