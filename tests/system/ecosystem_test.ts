/**
 * Our views in libraries that others wrote. These libraries work on the shared bytes: another attachment
 * sees what they store.
 */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  type DType,
  type DTypeLike,
  NDArray,
  type NDArrayOptions,
  SharedMemory,
  SharedMemoryArray,
} from "@shm/array";
import { parseDType } from "@shm/array/dtype";
import {
  Float32,
  makeData,
  makeVector,
  tableFromArrays,
  tableFromIPC,
  tableToIPC,
} from "apache-arrow";
import { encode } from "fast-png";
import { fromArrayBuffer, writeArrayBuffer } from "geotiff";
import ndarray from "ndarray";
import ops from "ndarray-ops";
import * as zarr from "zarrita";
import { withNames } from "../helpers/helpers.ts";

/** Calls `body` with the array that one attachment created and that another one loaded. */
function withArrays<const D extends DType>(
  shape: number[],
  dtype: D,
  body: (created: NDArray<D>, loaded: NDArray<D>) => void,
): void {
  withNames((name) => {
    using sma = new SharedMemoryArray<DType>(shape, dtype, name);
    using other = SharedMemoryArray.clone(sma);
    body(sma.create() as NDArray<D>, other.load() as NDArray<D>);
  });
}

Deno.test("npm ndarray-ops computes on a view as it is", () => {
  withArrays([3, 4], "float64", (created, loaded) => {
    created.assign([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]);
    assertEquals(ops.sum(created), 78);
    ops.mulseq(created, 2);
    assertEquals(loaded.slice(1).toArray(), [10, 12, 14, 16]);
    assertEquals(ops.sup(loaded), 24);
  });
});

Deno.test("npm ndarray-ops computes on reversed, stepped and transposed views", () => {
  withArrays([3, 4], "int32", (created, loaded) => {
    created.assign([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]);
    const reversed = created.slice("::-1", "1::2");
    assertEquals(ops.sum(reversed), 2 + 4 + 6 + 8 + 10 + 12);
    ops.addeq(loaded.slice("::2", "::2").transpose(), reversed.slice(":2").transpose());
    assertEquals(loaded.toArray(), [[11, 2, 15, 4], [5, 6, 7, 8], [15, 10, 19, 12]]);
  });
});

Deno.test("npm ndarray-ops takes views of every rank and dtype that it knows", () => {
  for (const dtype of ["int8", "uint8", "uint8c", "int16", "uint32", "float32"] as const) {
    for (const shape of [[], [6], [2, 3], [1, 2, 3], [3, 1, 2, 1]]) {
      withArrays(shape, dtype, (created, loaded) => {
        ops.assigns(created, 7);
        ops.addseq(loaded, 1);
        assertEquals(ops.sum(created), 8 * created.size, `${dtype} [${shape}]`);
      });
    }
  }
});

Deno.test("npm ndarray is built on a view without a copy", () => {
  withArrays([4, 5, 3], "float32", (created, loaded) => {
    const view = created.slice("::-1", ":", 1);
    const theirs = ndarray(view.data, [...view.shape], [...view.stride], view.offset);
    assertStrictEquals(theirs.data, view.data);
    assertEquals(theirs.dtype, view.dtype);
    assertEquals(theirs.dimension, view.dimension);
    assertEquals(theirs.order, view.order);
    theirs.set(0, 2, 9);
    assertEquals(loaded.get(3, 2, 1), 9);
    loaded.set(3, 4, 1, 5);
    assertEquals(theirs.get(0, 4), 5);
    const part = theirs.lo(0, 3); // and back: its fields are what our constructor takes
    const back = new NDArray(part.data as Float32Array, part as NDArrayOptions);
    assertEquals(back.shape, [4, 2]);
    assertEquals(back.get(0, 1), 5);
  });
});

Deno.test("npm apache-arrow builds a vector on a view without a copy", () => {
  withArrays([3, 4], "float32", (created, loaded) => {
    created.assign([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]);
    const row = created.slice(1).subarray();
    const vector = makeVector(makeData({ type: new Float32(), data: row }));
    assertStrictEquals(vector.data[0].values.buffer, created.data.buffer);
    assertEquals([...vector], [5, 6, 7, 8]);
    loaded.set(1, 2, -7); // as another process does
    assertEquals(vector.get(2), -7);
    assert(vector.isValid(2));
  });
});

Deno.test("npm apache-arrow reads an IPC file in a segment without a copy", () => {
  withNames((name) => {
    const table = tableFromArrays({
      height: Float32Array.from({ length: 1000 }, (_, i) => i / 2),
      count: BigInt64Array.from({ length: 1000 }, (_, i) => BigInt(i)),
    });
    const file = tableToIPC(table, "file");
    using created = SharedMemory.create(name, file.length);
    new Uint8Array(created.buf!).set(file);
    using opened = SharedMemory.open(name); // as another process does
    // macOS rounds a segment up to pages, and the file's end is where its reader begins.
    const read = tableFromIPC(new Uint8Array(opened.buf!, 0, file.length));
    const columns = ["height", "count"].map((column) => read.getChild(column)!);
    for (const column of columns) assertStrictEquals(column.data[0].values.buffer, opened.buf);
    assertEquals(columns.map((column) => column.get(999)), [499.5, 999n]);
    const { values } = columns[0].data[0];
    new Float32Array(created.buf!, values.byteOffset, 1000)[999] = -1;
    assertEquals(columns[0].get(999), -1);
    created.unlink();
  });
});

Deno.test("npm ndarray's names of dtypes are taken with its arrays", () => {
  for (const data of [new Uint8ClampedArray(6), new BigInt64Array(6), new BigUint64Array(6)]) {
    const theirs = ndarray(data as never, [2, 3]); // its types know no bigints
    const view = new NDArray(data, theirs as NDArrayOptions & { dtype: DTypeLike });
    assertEquals(view.shape, [2, 3]);
    assertStrictEquals(view.data, data);
    assertEquals(parseDType(theirs.dtype as DTypeLike), view.dtype);
  }
});

Deno.test("npm fast-png encodes the elements of a view without a copy", () => {
  withArrays([8, 6, 3], "uint8", (created) => {
    created.fill(200);
    const png = encode({ width: 6, height: 8, channels: 3, data: created.subarray() });
    assertEquals([...png.subarray(1, 4)], [..."PNG"].map((letter) => letter.charCodeAt(0)));
  });
});

Deno.test("npm geotiff reads a window of a file into a part of a shared array", async () => {
  const [width, height] = [20, 10];
  const values = Uint16Array.from({ length: width * height }, (_, i) => i);
  const metadata = {
    ...{ width, height, BitsPerSample: [16], SampleFormat: [1], SamplesPerPixel: 1 },
    ...{ PhotometricInterpretation: 1, PlanarConfiguration: 1 },
  };
  const file = await fromArrayBuffer(writeArrayBuffer(values, metadata));
  const image = await file.getImage();
  const window = [4, 2, 12, 7]; // left, top, right, bottom
  const read = await image.readRasters({ window, interleave: true });
  withArrays([height, width], "uint16", (created, loaded) => {
    const part = created.slice("2:7", "4:12");
    part.assign(new NDArray(read as Uint16Array, { shape: [5, 8] }));
    assertEquals(loaded.get(2, 4), 2 * width + 4);
    assertEquals(loaded.get(6, 11), 6 * width + 11);
    assertEquals([loaded.get(1, 4), loaded.get(7, 11), loaded.get(2, 12)], [0, 0, 0]);
  });
});

Deno.test("npm zarrita writes a view from its first element on, and reads into one", async () => {
  const array = await zarr.create(new Map<string, Uint8Array>(), {
    ...{ shape: [4, 6], chunkShape: [3, 4], dtype: "float64" },
  });
  await withNames(async (name) => {
    using sma = new SharedMemoryArray([6, 8], "float64", name);
    sma.create().assign(
      Array.from({ length: 6 }, (_, i) => Array.from({ length: 8 }, (_, j) => 10 * i + j)),
    );
    const view = sma.array!.slice("1:5", "2:8");
    await zarr.set(array, null, {
      data: view.data.subarray(view.offset), // it does not look at `offset`
      shape: [...view.shape],
      stride: [...view.stride],
    });
    const read = await zarr.get(array, [zarr.slice(1, 3), null]);
    assertEquals([...read.data], [22, 23, 24, 25, 26, 27, 32, 33, 34, 35, 36, 37]);
    view.slice("2:").assign(new NDArray(read.data, read));
    assertEquals(view.slice(2).toArray(), [22, 23, 24, 25, 26, 27]);
    sma.unlink();
  });
});
