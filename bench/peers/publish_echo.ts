/**
 * The other process of `publish.ts`: it takes frames in one of several ways, and answers each.
 *
 * @module
 */

import { SharedMemory } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";
import { notify, wait } from "@shm/array/sync";
import { cpuUsage } from "node:process";
import { dwell } from "../measure.ts";

const say = (text: string): number => Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));

/** The ways in which frames come. */
export type Way = "view" | "copy" | "bare" | "pipe" | "socket" | "small" | "word" | "idle";

export interface Task {
  way: Way;
  count: number;
}

/** The bytes of all slots of a ring of four that is full and at rest, in the same order everywhere. */
export function slotsOf(ring: SharedMemoryRing<"uint8">): Uint8Array[] {
  const slots = new Array<Uint8Array>(4);
  const { sequence } = ring.latest()!;
  for (let after = sequence - 4; after < sequence; after++) {
    slots[after & 3] = ring.next(after).array.data;
  }
  return slots;
}

async function readFull(
  read: (bytes: Uint8Array) => number | null | Promise<number | null>,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const result = read(bytes.subarray(at));
    at += (result instanceof Promise ? await result : result) ?? 0;
  }
}

async function main(): Promise<void> {
  const [frames, small, answers, words, pipe, socket] = Deno.args;
  const big = SharedMemoryRing.from(JSON.parse(frames), "uint8").load();
  const little = SharedMemoryRing.from(JSON.parse(small), "uint8").load();
  const back = SharedMemoryRing.from(JSON.parse(answers), "uint8").load();
  const memory = SharedMemory.open(words);
  const turns = new Int32Array(memory.buf!);
  const slots = slotsOf(big);
  say("ready");
  const input = Deno.openSync(pipe);
  const connection = await Deno.connect({ transport: "unix", path: socket });
  const mine = new Uint8Array(big.shape[0]);
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) {
      const { way, count } = JSON.parse(text.slice(0, end)) as Task;
      let [frame, tiny] = [big.latest()?.sequence ?? 0, little.latest()?.sequence ?? 0];
      let turn = Atomics.load(turns, 0);
      if (way === "idle") {
        const work = (): number => cpuUsage().user + cpuUsage().system;
        const before = work();
        try {
          little.next(tiny, { timeout: count });
        } catch (error) {
          if (!(error instanceof DOMException)) throw error;
        }
        say(String((work() - before) / (count * 1000)));
        continue;
      }
      say("at work");
      let answer = 0;
      for (let i = 0; i < count; i++) {
        if (way === "view" || way === "copy") {
          const { array, sequence } = big.next(frame);
          frame = sequence;
          if (way === "copy") mine.set(array.data);
          answer = array.get(0) + array.get(-1);
        } else if (way === "bare") {
          while (Atomics.load(turns, 0) === turn) wait(turns, 0, turn);
          mine.set(slots[i & 3]);
          turn++;
          Atomics.add(turns, 16, 1);
          notify(turns, 16);
          continue;
        } else if (way === "pipe") await readFull((bytes) => input.readSync(bytes), mine);
        else if (way === "socket") await readFull((bytes) => connection.read(bytes), mine);
        else if (way === "small") {
          tiny = little.next(tiny).sequence;
          dwell();
        } else {
          while (Atomics.load(turns, 0) === turn) wait(turns, 0, turn);
          turn = Atomics.load(turns, 0);
          dwell();
          Atomics.add(turns, 16, 1);
          notify(turns, 16);
          continue;
        }
        back.write(answer & 127);
      }
    }
  }
}

if (import.meta.main) await main();
