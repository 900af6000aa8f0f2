// The words of publications are where docs/publication.md says, and the segments hold what it says.

import { assert, assertEquals } from "@std/assert";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import * as header from "../../src/publish/header_words.ts";
import {
  besideFrame,
  frameWords,
  ringBytes,
  ringHeader,
  ringWords,
  slotOf,
  slotStart,
} from "../../src/publish/ring_words.ts";
import { versionsWords } from "../../src/publish/versions_words.ts";
import { partName } from "../../src/segment/parts.ts";
import { magics, type Word } from "../../src/words.ts";
import { segmentPath } from "../helpers/helpers.ts";
import { idOf, segmentsOf, withPublication } from "../helpers/publish_helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

const page = Deno.readTextFileSync(new URL("../../docs/publication.md", import.meta.url));

/** The rows of the document's table of words: byte, name, type. */
const rows = Array.from(
  page.matchAll(/^\| (\d+) +\| `(\w+)` +\| `([^`]+)` +\|/gm),
  ([, byte, name, type]) => ({ name, at: Number(byte), type }),
);

/** The rows of the table of what stands beside a frame. */
const besideRows = Array.from(
  page.matchAll(/^\| \+(\d+) +\| `(\w+)` +\| `([^`]+)` +\|/gm),
  ([, byte, name, type]) => ({ name, at: Number(byte), type }),
);

Deno.test("docs/publication.md has every word of the header, where the code has it", () => {
  const { HEADER_BYTES, ...exported } = header;
  const words = Object.values<unknown>(exported).filter((each) => typeof each === "object");
  assertEquals(rows, (words as Word[]).toSorted((a, b) => a.at - b.at));
  assert(page.includes(`Both begin with ${HEADER_BYTES} bytes`));
  assert(page.includes(`\`${magics.ring.text}\``) && page.includes(`\`${magics.versions.text}\``));
});

Deno.test("ringWords and versionsWords have the words that docs/publication.md says are used", () => {
  const unusedIn = (column: RegExp): string[] =>
    Array.from(page.matchAll(column), ([, name]) => name);
  const unused = {
    ring: unusedIn(/^\| \d+ +\| `(\w+)` +\| `[^`]+` +\| not used +\|/gm),
    versions: unusedIn(/^\| \d+ +\| `(\w+)` +\|.*\| not used +\|$/gm),
  };
  assertEquals(unused, {
    ring: ["TIMED_A", "TIME_A", "TIMED_B", "TIME_B"],
    versions: ["BEGUN"],
  });
  assertEquals(ringWords, rows.filter(({ name }) => !unused.ring.includes(name)));
  assertEquals(versionsWords, rows.filter(({ name }) => !unused.versions.includes(name)));
});

Deno.test("docs/publication.md has every word beside a frame, where the code has it", () => {
  assertEquals(besideRows, [...frameWords]);
});

Deno.test("words have their natural place, and do not overlap", () => {
  const sizes: { [type: string]: number } = { "char[8]": 8, u64: 8, u32: 4, f64: 8 };
  let end = 0;
  for (const { at, name, type } of rows) {
    assert(at >= end && at % sizes[type] === 0, name);
    end = at + sizes[type];
  }
  assert(end <= header.HEADER_BYTES);
});

/** Reads the words of a segment by the document's table. */
function readWords(name: string): { [word: string]: string | number | bigint } {
  const { buffer } = Deno.readFileSync(segmentPath(name));
  const view = new DataView(buffer);
  const text = (at: number): string =>
    new TextDecoder().decode(new Uint8Array(buffer, at, 8)).replace(/\0+$/, "");
  return Object.fromEntries(rows.map(({ at, name, type }) => [
    name,
    type === "u32"
      ? view.getUint32(at, true)
      : type === "u64"
      ? view.getBigUint64(at, true)
      : type === "f64"
      ? view.getFloat64(at, true)
      : text(at),
  ]));
}

Deno.test("a ring's segment holds what docs/publication.md says", () =>
  withPublication((name) => {
    using ring = new SharedMemoryRing([3, 5], "int16", name, 4).create({
      mode: 0o640,
      reserve: false,
    });
    ring.write((slot, sequence) => slot.fill(sequence));
    ring.write((slot, sequence) => slot.fill(sequence));
    const { ID: id, ...words } = readWords(name);
    assert(id !== 0n);
    assertEquals<unknown>(words, {
      MAGIC: "SHMRING1",
      DTYPE: "<i2",
      ARRAY_BYTES: 30n,
      SLOTS: 4,
      MODE: 0o640 + 2 ** 31,
      SLOT_STEP: 64n,
      META_BYTES: 0,
      NEWEST: 2n,
      BEGUN: 2n,
      TURN: 0,
      ENDED: 0,
      TIMED_A: 0n,
      TIME_A: 0,
      TIMED_B: 0n,
      TIME_B: 0,
    });
    const { buffer } = Deno.readFileSync(segmentPath(name));
    for (const n of [1, 2]) {
      const start = 128 + ((n - 1) % 4) * 64; // as the document says
      assertEquals(new Int16Array(buffer, start, 15), new Int16Array(15).fill(n));
      const frame = ring.next(n - 1);
      assertEquals(frame.byteOffset, start);
      assertEquals(new DataView(buffer).getFloat64(start + 32, true), frame.timestamp);
    }
    ring.end();
    assertEquals(readWords(name).ENDED, 1);
  }));

Deno.test("a ring with meta has beside each frame what docs/publication.md says", () =>
  withPublication((name) => {
    using ring = new SharedMemoryRing([3, 5], "int16", name, 2, { metaBytes: 21 }).create();
    ring.write(1, { höhe: 3.5 });
    ring.write(2);
    const { META_BYTES, SLOT_STEP } = readWords(name);
    assertEquals([META_BYTES, SLOT_STEP], [21, 128n]);
    const { buffer } = Deno.readFileSync(segmentPath(name));
    const view = new DataView(buffer);
    const text = new TextEncoder().encode('{"höhe":3.5}');
    for (const [n, length] of [[1, text.length], [2, 0]]) {
      const beside = 128 + (n - 1) * 128 + 32;
      assertEquals(view.getFloat64(beside, true), ring.next(n - 1).timestamp);
      assertEquals(view.getUint32(beside + 8, true), length);
      assertEquals(new Uint8Array(buffer, beside + 12, length), text.slice(0, length));
    }
  }));

Deno.test("versions and their names are what docs/publication.md says", () =>
  withPublication(async (name) => {
    using table = new SharedMemoryVersions([6], "float64", name).create();
    await table.publish((next, version) => next.fill(version));
    await table.publish((next, version) => next.fill(version));
    const { ID: id, TIME_A, TIME_B, ...words } = readWords(name);
    assert(TIME_A <= TIME_B && TIME_B === table.current()!.timestamp);
    assertEquals<unknown>(words, {
      MAGIC: "SHMVERS1",
      DTYPE: "<f8",
      ARRAY_BYTES: 48n,
      SLOTS: 0,
      MODE: 0o600,
      SLOT_STEP: 0n,
      META_BYTES: 0,
      NEWEST: 2n,
      BEGUN: 0n,
      TURN: 0,
      ENDED: 0,
      TIMED_A: 1n,
      TIMED_B: 2n,
    });
    const digits = (id as bigint).toString(16).padStart(16, "0");
    assertEquals(segmentsOf(name), [name, `${name}.${digits}.v2`]);
    const { buffer } = Deno.readFileSync(segmentPath(`${name}.${digits}.v2`));
    assertEquals(new Float64Array(buffer), new Float64Array(6).fill(2));
    using other = SharedMemoryVersions.clone(table, { name: `${name}-other` }).create();
    assert(idOf(other.name) !== idOf(name), "each publication has another id");
  }));

Deno.test("arithmetic of slots and names of parts", () => {
  const ring = ringHeader({ dtype: "<f4", arrayBytes: 65 }, 3);
  assertEquals([ring.slotStep, ringBytes(ring)], [128, 128 + 3 * 128]);
  // A moment has 8 bytes beside the frame, a text 4 more for its length.
  const steps: [arrayBytes: number, metaBytes: number, step: number][] = [
    [1, 0, 64],
    [56, 0, 64],
    [57, 0, 128],
    [64, 0, 128],
    [48, 4, 64],
    [48, 5, 128],
    [8, 2 ** 20, 2 ** 20 + 64],
  ];
  for (const [arrayBytes, metaBytes, step] of steps) {
    const { slotStep } = ringHeader({ dtype: "|u1", arrayBytes }, 2, metaBytes);
    assertEquals([arrayBytes, metaBytes, slotStep], [arrayBytes, metaBytes, step]);
    assertEquals(besideFrame(arrayBytes) % 8, 0);
  }
  assertEquals([1, 2, 3, 4, 2 ** 52].map((n) => slotOf(n, 3)), [0, 1, 2, 0, 0]);
  assertEquals([0, 1, 2].map((slot) => slotStart(slot, ring)), [128, 256, 384]);
  assertEquals(partName("table", 255n, 7), "table.00000000000000ff.v7");
  assertEquals(partName("table", 2n ** 64n - 1n, 1), "table.ffffffffffffffff.v1");
});
