// The words of barriers are where docs/sync.md says, and the segments hold what it says.

import { assert, assertEquals } from "@std/assert";
import * as words from "../../src/sync/barrier_words.ts";
import { LAST_ID, LOCK_BASE } from "../../src/sync/witness.ts";
import { magics } from "../../src/words.ts";
import { withParties } from "../helpers/barrier_helpers.ts";
import { segmentPath } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

const page = Deno.readTextFileSync(new URL("../../docs/sync.md", import.meta.url));
const section = page.slice(
  page.indexOf("## The segment of a barrier"),
  page.indexOf("## Waiting and"),
);
const [header, seat] = section.split("At byte 192 stand the seats");

/** The rows of a table of words: byte, name, type. */
function rowsOf(text: string): { name: string; at: number; type: string }[] {
  return Array.from(
    text.matchAll(/^\| (\d+) +\| `(\w+)` +\| `([^`]+)` +\|/gm),
    ([, byte, name, type]) => ({ name, at: Number(byte), type }),
  );
}

Deno.test("docs/sync.md has every word of a barrier, where the code has it", () => {
  assertEquals(rowsOf(header), [...words.headerWords]);
  assertEquals(rowsOf(seat), [...words.seatWords]);
  assert(section.includes(`The first ${words.HEADER_BYTES} bytes`));
  assert(seat.includes(`${words.SEAT_BYTES} bytes each`));
  assert(section.includes(`\`${magics.barrier.text}\``));
  assertEquals([LAST_ID, LOCK_BASE], [2 ** 24 - 1, 2 ** 32]);
});

Deno.test("the words of a barrier have their natural place, and do not overlap", () => {
  const sizes: { [type: string]: number } = { "char[8]": 8, u32: 4, u64: 8 };
  for (
    const [list, most] of [[words.headerWords, words.HEADER_BYTES], [
      words.seatWords,
      words.SEAT_BYTES,
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

Deno.test("the parts of SEAT and ROUND are where docs/sync.md says", () => {
  const arrival = words.arrivalOf(2 ** 28 + 5, 2 ** 11 + 3);
  const id = 0xabcdef;
  const seat = words.seatWord(id, arrival, false);
  assertEquals(seat, 0xabcdefn | 3n << 24n | 5n << 36n);
  assertEquals(words.seatWord(id, arrival, true), 0xabcdefn | 1n << 35n | 5n << 36n);
  assertEquals(words.ownerOf(seat), id);
  for (
    const [generation, breaks, isPatient, hasCome] of [
      [5, 3, false, true],
      [5, 4, false, false],
      [5, 4, true, true],
      [6, 3, false, false],
      [6, 3, true, false],
    ] as const
  ) {
    const word = words.seatWord(id, words.arrivalOf(generation, breaks), isPatient);
    assertEquals(words.hasCome(word, arrival), hasCome);
  }
  assertEquals(words.generationOf(7n << 40n | 9n), 9);
  assertEquals([words.nextGeneration(9), words.nextGeneration(2 ** 40 - 1)], [10, 0]);
});

Deno.test("a barrier's segment holds what docs/sync.md says", () =>
  withParties(3, async (a, b, c) => {
    const met = [a.meetAsync(), b.meetAsync()];
    c.meet();
    await Promise.all(met);
    c.close();
    c.load();
    const waiting = a.meetAsync({ patient: true });
    const broken = b.meetAsync().catch(() => {});
    const { buffer } = Deno.readFileSync(segmentPath(a.name));
    assertEquals(buffer.byteLength, 192 + 3 * 16);
    const view = new DataView(buffer);
    const word = (name: string): number =>
      view.getUint32(rowsOf(header).find((row) => row.name === name)!.at, true);
    assertEquals(new TextDecoder().decode(new Uint8Array(buffer, 0, 8)), "SHMBARR1");
    // Three parties, four attachments, one replacement, one generation and one retraction of a seat that was taken.
    assertEquals([word("PARTIES"), word("NEXT_ID"), word("BREAKS")], [3, 4, 1]);
    assertEquals(view.getBigUint64(64, true), 1n << 40n | 1n);
    const seats = [0, 1, 2].map((n) => view.getBigUint64(192 + 16 * n, true));
    assertEquals(seats, [
      2n << 36n | 1n << 35n | 1n, // patient, for the second generation
      2n << 36n | 1n << 24n | 2n, // after one break
      1n << 36n | 4n, // as taken in the first generation
    ]);
    for (const n of [0, 1, 2]) assertEquals(view.getUint32(192 + 16 * n + 8, true), Deno.pid);
    c.meet();
    assertEquals(await waiting, 2);
    await broken;
  }));
