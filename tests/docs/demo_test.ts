import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { decodeBrightness, encodeRgb } from "../../examples/png.ts";
import { childrenOf, lives, thoseThatStay } from "../helpers/helpers.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it lists what the demo leaves");

const ROOT = new URL("../../", import.meta.url);

function demo(...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "examples/demo.ts", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
}

async function runDemo(...args: string[]) {
  const { code, stdout, stderr } = await demo(...args).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Names of the segments that a demo of process `pid` maps, or that no process maps. */
function demoSegments(pid: number): string[] {
  return SharedMemoryArray.list()
    .filter((segment) => segment.prefix === "demo")
    .filter(({ pids }) => pids.length === 0 || pids.includes(pid))
    .map(({ name }) => name);
}

/** Waits until the demo has written `text` to standard error; returns a reader of the rest. */
async function waitFor(child: Deno.ChildProcess, text: string): Promise<() => Promise<string>> {
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the demo ended before it wrote "${text}": ${seen}`);
    seen += value;
  }
  return async () => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) seen += part.value;
    return seen;
  };
}

Deno.test("demo writes a picture, and the same with many processes as with one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const out = `${folder}/small.png`;
    const { code, stdout, stderr } = await runDemo(
      ...["--size", "174x122", "--workers", "2", "--out", out],
    );
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, out);
    assertMatch(stdout, /^1 process +\d+\.\d\d s/m);
    assertMatch(stdout, /^2 processes +\d+\.\d\d s/m);
    assertMatch(stdout, /^Shared +0\.2 MB in 4 segments/m);
    assertMatch(stdout, /^Copied +[\d,]+ bytes/m);
    assertMatch(stdout, /^Same result +yes, bit for bit/m);
    assertMatch(stdout, /^Segments left +none/m);
    assertMatch(stderr, /2 processes +100 %/);
    const { width, height } = decodeBrightness(await Deno.readFile(out));
    assertEquals([width, height], [174, 122]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("demo --anonymous shares memory that has no name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const args = ["--size", "174x122", "--workers", "2", "--out", `${folder}/small.png`];
    const { code, stdout, stderr } = await runDemo(...args, "--anonymous");
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^Same result +yes, bit for bit/m);
    assertMatch(stdout, /^Segments left +none/m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("demo draws a PNG in its own form, next to no other file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const picture = `${folder}/hill.png`;
    const out = `${folder}/relief.png`;
    const bytes = Uint8Array.from({ length: 3 * 20 * 10 }, (_, i) => i % 251);
    await Deno.writeFile(picture, encodeRgb(bytes, 20, 10, {}));
    const { code, stderr } = await runDemo(
      picture,
      "--workers",
      "1",
      "--out",
      out,
      "--size",
      "80x40",
    );
    assertEquals(code, 0, stderr);
    const { width, height } = decodeBrightness(await Deno.readFile(out));
    assertEquals([width, height], [80, 40]);
    assertEquals([...Deno.readDirSync(folder)].length, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("demo --help explains every option", async () => {
  const { code, stdout } = await runDemo("--help");
  assertEquals(code, 0);
  for (const word of ["PICTURE.png", "--workers", "--size", "--out", "--anonymous", "--help"]) {
    assertStringIncludes(stdout, word);
  }
});

const WRONG: Record<string, [args: string[], message: RegExp]> = {
  "an unknown option": [["--colour"], /Unknown option '--colour'/],
  "a missing value": [["--size"], /--size/],
  "no workers": [["--workers", "0"], /--workers must be a number from 1 to 256, not "0"/],
  "workers that are no number": [["--workers", "two"], /--workers must be .* not "two"/],
  "a size that is none": [["--size", "big"], /--size must be like 1392x976/],
  "an empty size": [["--size", "0x10"], /--size must be like 1392x976/],
  "a huge size": [["--size", "10x20000"], /--size must be like 1392x976/],
  "two pictures": [["a.png", "b.png"], /one PICTURE\.png only/],
  "a picture that is not there": [["nowhere.png"], /cannot read "nowhere\.png"/],
  "a picture that is no PNG": [["README.md"], /cannot read "README\.md" as a PNG/],
  "a folder that is not there": [["--out", "nowhere/a.png"], /there is no folder "nowhere"/],
  "a folder as file": [["--out", "examples"], /is a folder/],
};

for (const [what, [args, message]] of Object.entries(WRONG)) {
  Deno.test(`demo refuses ${what} in one line, with code 2`, async () => {
    const { code, stdout, stderr } = await runDemo(...args);
    assertEquals(code, 2);
    assertEquals(stdout, "");
    assertMatch(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  });
}

/** Sends a signal to a process that may have ended just now. */
function killIfAlive(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Long enough for a signal in the middle; its segments fit into the 64 MiB that a container has. */
const size = ["--size", "1218x854"];

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`demo ended by ${signal} leaves no segment and no file`, async () => {
    // One that was through before this process sent the signal, on a busy machine, is tried again.
    for (let isEnded = false, tries = 1; !isEnded; tries++) {
      const folder = await Deno.makeTempDir();
      try {
        const child = demo(...size, "--workers", "2", "--out", `${folder}/never.png`).spawn();
        const rest = await waitFor(child, " %\n1 process");
        const names = demoSegments(child.pid);
        killIfAlive(child.pid, signal);
        const [status] = await Promise.all([child.status, child.stdout.cancel(), rest()]);
        isEnded = tries === 10 || status.code !== 0;
        if (!isEnded) continue;
        assertEquals(status.signal, signal);
        assert(names.length >= 4, "there were segments before");
        assertEquals(await thoseThatStay(names), []);
        assertEquals([...Deno.readDirSync(folder)].length, 0);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
  });
}

testWith(
  "Linux", // it tells a process's children in /proc
  "demo tells of a worker that dies, cleans up, and ends with code 1",
  async () => {
    for (let hasDied = false, tries = 1; !hasDied; tries++) {
      const folder = await Deno.makeTempDir();
      try {
        const child = demo(...size, "--workers", "2", "--out", `${folder}/never.png`).spawn();
        const rest = await waitFor(child, "1 process");
        const names = demoSegments(child.pid);
        const [worker = 0] = lives(child.pid) ? childrenOf(child.pid) : [];
        if (worker !== 0) killIfAlive(worker, "SIGKILL");
        const [status, , stderr] = await Promise.all([child.status, child.stdout.cancel(), rest()]);
        hasDied = tries === 10 || status.code !== 0;
        if (!hasDied) continue;
        assertEquals(status.code, 1);
        assertMatch(stderr, new RegExp(`worker 1 \\(process ${worker}\\) was ended by SIGKILL`));
        assert(names.length >= 4, "there were segments before");
        assertEquals(await thoseThatStay(names), []);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
  },
);
