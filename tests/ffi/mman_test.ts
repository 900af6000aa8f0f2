import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { addressOf, bufferOver, mmap, munmap } from "../../ffi/mman.ts";
import { platform } from "../../ffi/platform.ts";
import { runtime } from "../../ffi/runtime/mod.ts";
import { errorOf } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /proc");

const { PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_FIXED } = platform().flags;
const PROTECTION = PROT_READ | PROT_WRITE;
const FLAGS = MAP_PRIVATE | MAP_ANONYMOUS;

/** Whether the page at an address is mapped into this process. */
function isMapped(address: bigint): boolean {
  return Deno.readTextFileSync("/proc/self/maps").split("\n").some((line) => {
    const range = /^([\da-f]+)-([\da-f]+) /.exec(line);
    return range !== null && BigInt(`0x${range[1]}`) <= address &&
      address < BigInt(`0x${range[2]}`);
  });
}

Deno.test("mmap() gives the region that munmap() takes, all of it", () => {
  const span = 3n * 4096n;
  const region = mmap(0n, span, PROTECTION, FLAGS, -1, null);
  assertEquals(region.span, span);
  const start = addressOf(region);
  const pages = [0n, 4096n, 8192n];
  assertEquals(pages.map((at) => isMapped(start + at)), [true, true, true]);
  const bytes = new Uint8Array(bufferOver(region, 8192));
  bytes[8191] = 7;
  assertEquals([bytes[0], bytes[8191]], [0, 7]);
  bytes.buffer.transfer(0);
  munmap(region);
  assertEquals(pages.map((at) => isMapped(start + at)), [false, false, false]);
});

Deno.test("mmap() puts a fixed mapping in the place of another", () => {
  const region = mmap(0n, 4096n, PROTECTION, FLAGS, -1, null);
  const bytes = new Uint8Array(bufferOver(region, 4096));
  bytes[0] = 7;
  const again = mmap(addressOf(region), region.span, PROTECTION, FLAGS | MAP_FIXED, -1, null);
  const [before, after] = [region, again].map(addressOf);
  assertStrictEquals(after, before);
  assertNotStrictEquals(again, region);
  assertEquals(bytes[0], 0);
  bytes.buffer.transfer(0);
  munmap(again);
});

Deno.test("mmap() and munmap() that fail say why", () => {
  const tooLarge = errorOf(() =>
    mmap(0n, 2n ** 60n, PROTECTION, FLAGS, -1, "x", (code) => `see ${code}`)
  );
  assertEquals(tooLarge.message, "Cannot allocate memory (os error 12): mmap 'x'; see ENOMEM");
  const badFile = errorOf(() => mmap(0n, 4096n, PROTECTION, MAP_PRIVATE, -1, "x"));
  assertEquals(badFile.message, "Bad file descriptor (os error 9): mmap 'x'");
  const address = runtime().pointerAt(1n);
  const crooked = errorOf(() => munmap({ pointer: address, span: 4096n }));
  assertEquals(crooked.message, "Invalid argument (os error 22): munmap");
});
