// What `load({ timeout })` waits for: a segment with a size, whatever comes and goes before it.

import { assert, assertEquals, assertGreaterOrEqual, assertLess } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "../../mod.ts";
import {
  descriptorsOf,
  errorOf,
  segmentExists,
  segmentPath,
  withNames,
} from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/**
 * Runs shell commands beside the test, which blocks meanwhile, and gives what they print; `$1` is the segment's file.
 */
function beside(commands: string, name: string): Promise<string> {
  const child = new Deno.Command("sh", {
    args: ["-ec", commands, "sh", segmentPath(name)],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return child.output().then(({ success, stdout, stderr }) => {
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  });
}

const attaching: { [how: string]: (name: string, timeout: number) => Disposable } = {
  "SharedMemory.open()": (name, timeout) => SharedMemory.open(name, { timeout }),
  "load()": (name, timeout) => {
    const sma = new SharedMemoryArray(64, "uint8", name);
    sma.load({ timeout });
    return sma;
  },
  'load({ access: "copy-on-write" })': (name, timeout) => {
    const sma = new SharedMemoryArray(64, "uint8", name);
    sma.load({ timeout, access: "copy-on-write" });
    return sma;
  },
};

for (const [how, attach] of Object.entries(attaching)) {
  Deno.test(`${how} with a time limit outlives segments without a size that are removed`, () =>
    withNames(async (name) => {
      Deno.writeFileSync(segmentPath(name), new Uint8Array(0));
      // The first creators were killed; somebody sweeps what they left. Then one comes to the end.
      const others = beside(
        'sleep 0.2; rm "$1"; sleep 0.1; : > "$1"; sleep 0.1; rm "$1"; sleep 0.1; ' +
          ': > "$1"; sleep 0.1; truncate --size 64 "$1"',
        name,
      );
      using attached = attach(name, 60_000);
      assert(attached);
      await others;
      assertEquals(descriptorsOf(name), 0);
    }));

  Deno.test(`${how} with a time limit is NotFound when an empty segment was removed and time is up`, () =>
    withNames(async (name) => {
      // One that removes it too late, on a busy machine, shows nothing.
      for (let isInTime = false; !isInTime;) {
        Deno.writeFileSync(segmentPath(name), new Uint8Array(0));
        const others = beside('sleep 0.1; rm "$1"; date +%s%3N', name);
        const [begin, start] = [Date.now(), performance.now()];
        const error = errorOf(() => attach(name, 2000));
        const took = performance.now() - start;
        isInTime = Number(await others) < begin + 1900;
        assertGreaterOrEqual(took, 1999);
        assertLess(took, 60_000);
        assertEquals([segmentExists(name), descriptorsOf(name)], [false, 0]);
        if (!isInTime) continue;
        assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
        assert(error.message.includes("its creator gave up and removed it"), error.message);
      }
    }));
}

Deno.test("open() with a time limit ends, though segments without a size come and go for ever", () =>
  withNames(async (name) => {
    const child = new Deno.Command("sh", {
      args: ["-c", 'while :; do : > "$1"; rm "$1"; done', "sh", segmentPath(name)],
      stderr: "null", // its last rm may find the file gone
    }).spawn();
    try {
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        const error = errorOf(() => SharedMemory.open(name, { timeout: 100 }));
        assertEquals([error.constructor, error.code], [Deno.errors.NotFound, "ENOENT"]);
        assertLess(performance.now() - start, 60_000);
      }
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
  }));
