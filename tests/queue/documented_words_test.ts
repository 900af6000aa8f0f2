// The words of queues are where docs/queue.md says, and the segments hold what it says.

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryQueue } from "@shm/array/queue";
import * as words from "../../src/queue/queue_words.ts";
import { magics } from "../../src/words.ts";
import { segmentPath } from "../helpers/helpers.ts";
import { withQueue } from "../helpers/queue_helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

const page = Deno.readTextFileSync(new URL("../../docs/queue.md", import.meta.url));
const [header, slot] = page.split("At byte 256 stand the states");

/** The rows of a table of words: byte, name, type. */
function rowsOf(text: string): { name: string; at: number; type: string }[] {
  return Array.from(
    text.matchAll(/^\| (\d+) +\| `(\w+)` +\| `([^`]+)` +\|/gm),
    ([, byte, name, type]) => ({ name, at: Number(byte), type }),
  );
}

Deno.test("docs/queue.md has every word, where the code has it", () => {
  assertEquals(rowsOf(header), [...words.headerWords]);
  assertEquals(rowsOf(slot), [...words.slotWords]);
  assert(page.includes(`The first ${words.HEADER_BYTES} bytes`));
  assert(page.includes(`each slot has ${words.SLOT_BYTES} bytes`));
  assert(page.includes(`At byte ${words.STATE.at} stand`));
  assert(page.includes(`\`${magics.queue.text}\``));
});

Deno.test("docs/queue.md has the states by their numbers", () => {
  const states = Array.from(page.matchAll(/^\| (\d) +\| `([A-Z_]+)` +\|/gm), ([, n, name]) => [
    Number(n),
    name,
  ]).filter(([, name]) => words.stateNames.includes(name as string));
  assertEquals(states, words.stateNames.map((name, n) => [n, name]));
  const numbers = words as unknown as { [name: string]: number };
  for (const [n, name] of states) assertEquals(numbers[name], n);
  assertEquals(words.LAST_ID, 2 ** 24 - 1);
  assertEquals(words.LOCK_BASE, 2 ** 32);
  assertEquals(words.stateWord(words.TAKEN, 5, 0xabcdef), 0xabcdef2b);
});

Deno.test("words have their natural place, and do not overlap", () => {
  const sizes: { [type: string]: number } = { "char[8]": 8, u32: 4, f64: 8 };
  for (
    const [list, most] of [[words.headerWords, words.HEADER_BYTES], [
      words.slotWords,
      words.SLOT_BYTES,
    ]] as const
  ) {
    let end = 0;
    for (const { at, name, type } of list) {
      assert(at >= end && at % sizes[type] === 0, name);
      end = at + sizes[type];
    }
    assert(end <= most);
  }
});

Deno.test("a queue's segment holds what docs/queue.md says", () =>
  withQueue(3, async (queue, other) => {
    const call = queue.call({ a: 1 }, { attempts: 7 });
    queue.put([2]);
    queue.end();
    const item = other.take()!;
    const { buffer } = Deno.readFileSync(segmentPath(queue.name));
    assertEquals(buffer.byteLength, 256 + 64 + 3 * 64 + 3 * 2 * 128);
    const view = new DataView(buffer);
    const u32 = (at: number): number => view.getUint32(at, true);
    const word = (name: string): number => u32(rowsOf(header).find((row) => row.name === name)!.at);
    assertEquals(new TextDecoder().decode(new Uint8Array(buffer, 0, 8)), "SHMQUEUE");
    assertEquals([word("SLOTS"), word("MESSAGE_BYTES"), word("KEEP_FAILED")], [3, 100, 1]);
    assertEquals([word("ENDED"), word("NEXT_ID"), word("SEQUENCE")], [1, 2, 2]);
    // The creator has id 1, the other one id 2.
    assertEquals([u32(256), u32(260), u32(264)], [3 | 2 << 8, 2, 0]);
    const part = (slot: number, name: string): number =>
      u32(
        256 + 64 + 64 * slot +
          rowsOf(page.slice(header.length)).find((row) => row.name === name)!.at,
      );
    assertEquals([part(0, "NUMBER"), part(1, "NUMBER")], [1, 2]);
    assertEquals([part(0, "CALLER"), part(1, "CALLER")], [1, 0]);
    assertEquals([part(0, "ATTEMPTS"), part(1, "ATTEMPTS")], [7, 3]);
    assertEquals([part(0, "TAKER"), part(0, "PID"), part(1, "TAKER")], [2, Deno.pid, 0]);
    assertEquals([part(0, "MESSAGE_LENGTH"), part(1, "MESSAGE_LENGTH")], [7, 3]);
    const text = (slot: number): string =>
      new TextDecoder().decode(new Uint8Array(buffer, 256 + 64 + 192 + 256 * slot, 7));
    assertEquals([text(0), text(1)], ['{"a":1}', "[2]\0\0\0\0"]);
    item.complete("yes");
    const after = Deno.readFileSync(segmentPath(queue.name));
    assertEquals(new TextDecoder().decode(after.subarray(640, 645)), '"yes"');
    assertEquals(await call, "yes");
    assert(SharedMemoryQueue.from(queue).slots === 3);
  }, { messageBytes: 100, keepFailed: true }));
