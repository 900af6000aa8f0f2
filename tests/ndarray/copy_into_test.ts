// copy({ into }): the elements of a view in a typed array that the caller keeps. And rows(), which goes through views.

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { NDArray } from "../../mod.ts";
import { bytesPerElement, dtypes, typedArrayOf } from "../../src/dtype.ts";
import { Random, seedOf } from "../helpers/random.ts";
import { anyView, type Loose } from "../helpers/views.ts";

const random = new Random(seedOf(20261130));

for (const dtype of dtypes) {
  Deno.test(`copy({ into }) of ${dtype} stores what copy() gives, and nothing beside it`, () => {
    for (let round = 0; round < 60; round++) {
      const view = anyView(random, dtype);
      const room = new (typedArrayOf(dtype))(view.size + 2) as Loose;
      const into = room.subarray(1, view.size + 1);
      const before = [room[0], room[view.size + 1]];
      assertStrictEquals(view.copy({ into }), into);
      assertEquals([...into], [...view.copy()], `[${view.shape}] [${view.stride}]`);
      assertEquals([room[0], room[view.size + 1]], before);
    }
  });
}

Deno.test("copy({ into }) is right over the view's own memory, and over shared memory", () => {
  const data = Int16Array.from({ length: 12 }, (_, i) => i);
  const view = new NDArray(data, { shape: [3, 4] });
  const expected = view.T.copy();
  assertEquals(view.T.copy({ into: data }), expected);
  const shared = new Int16Array(new SharedArrayBuffer(24));
  const copy: Int16Array<SharedArrayBuffer> = view.slice("::-1").copy({ into: shared });
  assertEquals([...copy], [...view.slice("::-1").copy()]);
  // What another process stored as bool is made 0 or 1.
  const truth = new NDArray(Uint8Array.of(0, 2, 255), { dtype: "bool" });
  assertEquals(truth.copy({ into: new Uint8Array(3) }), Uint8Array.of(0, 1, 1));
});

Deno.test("copy({ into }) refuses what cannot hold the elements, and stores nothing", () => {
  const view: Loose = new NDArray(new Float32Array(4).fill(5), { shape: [2, 2] });
  const gone = new Float32Array(4);
  gone.buffer.transfer();
  const short = new Float32Array(3);
  for (
    const [options, ErrorClass, message] of [
      [new Float32Array(4), TypeError, "write copy({ into: array })"],
      [{ into: [1, 2, 3, 4] }, TypeError, "Cannot copy: into must be an object, not an array"],
      [{ into: {} }, TypeError, "Cannot copy: into must be a typed array, not an object"],
      [{ into: new DataView(new ArrayBuffer(16)) }, TypeError, "must be a typed array"],
      [{ into: new Float64Array(4) }, TypeError, "into holds float64, not float32"],
      [{ into: short }, RangeError, "into has 3 elements, the view has 4"],
      [{ into: new Float32Array(5) }, RangeError, "into has 5 elements, the view has 4"],
      [{ into: gone }, Deno.errors.BadResource, "memory is gone"],
      [{ to: short }, TypeError, 'Cannot copy: there is no option "to"; there is into'],
      [new Float32Array(4), TypeError, "Cannot copy: there is no option"],
      [null, TypeError, "Cannot copy: the options must be an object, not null"],
    ] as [unknown, new () => Error, string][]
  ) {
    assertThrows(() => view.copy(options), ErrorClass, message);
  }
  assertEquals(short, new Float32Array(3));
  assertEquals(view.copy({}), new Float32Array(4).fill(5));
  const bytes: Loose = new NDArray(new Uint8Array(2));
  assertThrows(() => bytes.copy({ into: new Uint8ClampedArray(2) }), TypeError, "holds uint8c");
  view.data.buffer.transfer(0);
  assertThrows(() => view.copy({ into: new Float32Array(4) }), Deno.errors.BadResource);
  assertEquals(bytesPerElement("float32"), 4);
});

Deno.test("rows() ends where it was left, and where the memory is gone it says so", () => {
  const view = new NDArray(Uint8Array.from({ length: 6 }, (_, i) => i), { shape: [3, 2] });
  const rows = view.rows();
  for (const row of rows) {
    assertEquals(row.toArray(), [0, 1]);
    break;
  }
  assertEquals([...rows], []);
  const again = view.rows();
  assertEquals(again.next().value!.toArray(), [0, 1]);
  assertEquals(Array.from(again, (row) => row.get(-1)), [3, 5]);
  assertEquals(again.next(), { value: undefined, done: true });
  assert(again[Symbol.iterator]() === again);
  assertEquals([...new NDArray(new Uint8Array(0), { shape: [0, 2] }).rows()], []);
  const lost = view.rows();
  lost.next();
  (view.data.buffer as ArrayBuffer).transfer();
  assertThrows(() => lost.next(), Deno.errors.BadResource);
});
