/**
 * The other process of the round trips: it answers each change of word 0 by the same change of word 16, in
 * the way that word 32 says, so often as word 48 says. In way 4 it is busy for a while before it answers. Other roles
 * hold a lock, wait, or are one of four that meet.
 *
 * @module
 */

import { SharedMemory } from "@shm/array";
import { notify, SharedMemoryBarrier, SharedMemoryLock, wait, waitAsync } from "@shm/array/sync";
import { dwell } from "../measure.ts";
import { meetTimes, passOn } from "./ring_of_four.ts";

const [role, name, inPath, outPath] = Deno.args;

if (role === "echo") {
  using memory = SharedMemory.open(name);
  const words = new Int32Array(memory.buf!);
  const input = Deno.openSync(inPath, { read: true });
  const output = Deno.openSync(outPath, { write: true });
  const byte = new Uint8Array(1);
  console.log("ready");
  while (true) {
    while (Atomics.load(words, 32) === 0) wait(words, 32, 0);
    const way = Atomics.exchange(words, 32, 0);
    const rounds = words[48];
    let turn = words[16];
    if (way === 1 || way === 4) {
      for (let i = 0; i < rounds; i++) {
        while (Atomics.load(words, 0) === turn) wait(words, 0, turn);
        if (way === 4) dwell();
        Atomics.store(words, 16, ++turn);
        notify(words, 16);
      }
    } else if (way === 2) {
      for (let i = 0; i < rounds; i++) {
        while (Atomics.load(words, 0) === turn);
        Atomics.store(words, 16, ++turn);
      }
    } else {
      for (let i = 0; i < rounds; i++) {
        input.readSync(byte);
        output.writeSync(byte);
      }
    }
  }
} else if (role === "member") {
  // One of those that meet, or pass a turn round.
  const own = Number(inPath);
  using memory = SharedMemory.open(name);
  using barrier = SharedMemoryBarrier.from(JSON.parse(outPath)).load();
  const words = new Int32Array(memory.buf!);
  console.log("ready");
  for (let command = 0;; command++) {
    while (Atomics.load(words, 128) === command) wait(words, 128, command);
    if (words[129] === 1) passOn(words, own, words[131], words[130]);
    else meetTimes(barrier, words[130]);
  }
} else if (role === "hold") {
  const lock = new SharedMemoryLock(name).load();
  const guard = lock.acquire();
  console.log(guard.abandoned);
  await new Promise((resume) => setTimeout(resume, 1e9));
} else {
  using memory = SharedMemory.open(name);
  const words = new Int32Array(memory.buf!);
  console.log("idle");
  if (role === "idle") wait(words, 0, words[0]);
  else await waitAsync(words, 0, words[0]).value;
}
