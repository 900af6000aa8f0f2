import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import {
  bytesPerElement,
  type DType,
  dtypeOf,
  dtypes,
  numpyTypeString,
  parseDType,
  typedArrayOf,
} from "../src/dtype.ts";
import { runChild } from "./helpers/helpers.ts";

/** The contract's table. */
const table: [dtype: DType, array: unknown, numpy: string, bytes: number][] = [
  ["bool", Uint8Array, "|b1", 1],
  ["int8", Int8Array, "|i1", 1],
  ["uint8", Uint8Array, "|u1", 1],
  ["uint8c", Uint8ClampedArray, "|u1", 1],
  ["int16", Int16Array, "<i2", 2],
  ["uint16", Uint16Array, "<u2", 2],
  ["int32", Int32Array, "<i4", 4],
  ["uint32", Uint32Array, "<u4", 4],
  ["int64", BigInt64Array, "<i8", 8],
  ["uint64", BigUint64Array, "<u8", 8],
  ["float16", Float16Array, "<f2", 2],
  ["float32", Float32Array, "<f4", 4],
  ["float64", Float64Array, "<f8", 8],
];

Deno.test("dtypes lists the names of the table, in its order, frozen", () => {
  assertEquals(dtypes, table.map(([dtype]) => dtype));
  assert(Object.isFrozen(dtypes));
});

for (const [dtype, array, numpy, bytes] of table) {
  Deno.test(`dtype ${dtype} is what the table says`, () => {
    assertEquals(bytesPerElement(dtype), bytes);
    assertEquals(numpyTypeString(dtype), numpy);
    assertStrictEquals(typedArrayOf(dtype) as unknown, array);
    const elements = new (typedArrayOf(dtype))(3);
    assertEquals([elements.length, elements.BYTES_PER_ELEMENT], [3, bytes]);
    assertEquals(new (typedArrayOf(dtype))(new ArrayBuffer(32), 8, 2).byteOffset, 8);
    assertEquals(dtypeOf(elements), dtype === "bool" ? "uint8" : dtype);
  });

  Deno.test(`parseDType() takes every native spelling of ${dtype}`, () => {
    assertEquals(parseDType(dtype), dtype);
    const code = numpy.slice(1);
    // "u1" is uint8: a clamped array is asked for by its name or its constructor.
    const named = dtype === "uint8c" ? "uint8" : dtype;
    for (const order of ["", "<", "=", "|"]) {
      assertEquals(parseDType(order + code as "f4") as string, named);
    }
    // Uint8Array is uint8: bool is asked for by its name or its type string.
    const constructed = dtype === "bool" ? "uint8" : dtype;
    assertEquals(parseDType(array as Float32ArrayConstructor) as string, constructed);
  });
}

Deno.test("parseDType() takes '>' before what is one byte, which has no order", () => {
  const spellings = { ">b1": "bool", ">?": "bool", ">i1": "int8", ">u1": "uint8" } as const;
  for (const [spelling, dtype] of Object.entries(spellings)) {
    assertEquals(parseDType(spelling as keyof typeof spellings) as string, dtype);
  }
});

Deno.test("parseDType() takes NumPy's '?' for bool", () => {
  for (const spelling of ["?", "<?", "=?", "|?"] as const) {
    const dtype: "bool" = parseDType(spelling);
    assertEquals(dtype, "bool");
  }
});

Deno.test("parseDType() takes the names that npm ndarray has", () => {
  const a: "uint8c" = parseDType("uint8_clamped");
  const b: "int64" = parseDType("bigint64");
  const c: "uint64" = parseDType("biguint64");
  assertEquals([a, b, c], ["uint8c", "int64", "uint64"]);
});

Deno.test("parseDType() has the canonical name in its type", () => {
  const a: "float32" = parseDType("<f4");
  const b: "int64" = parseDType(BigInt64Array);
  const c: "uint8c" = parseDType("uint8c");
  const d: "bool" = parseDType("|b1");
  assertEquals([a, b, c, d], ["float32", "int64", "uint8c", "bool"]);
  const e: "uint8" = parseDType(">u1");
  assertEquals(e, "uint8");
  // @ts-expect-error: this is no dtype
  assertThrows(() => parseDType(">f4"), TypeError);
});

const refused: [given: unknown, says: RegExp][] = [
  [">f4", /big-endian; .* use "<f4"/],
  [">i8", /big-endian; .* use "<i8"/],
  [">float64", /big-endian; .* use "float64"/],
  ["D", /complex/],
  ["d", /unknown; NumPy's is float64/],
  ["i", /unknown; NumPy's is int32/],
  [[["x", "<f4"], ["y", "<i4"]], /structured; use one array per field/],
  ["c8", /complex; use float32 or float64 with a trailing axis of length 2/],
  ["<c16", /complex/],
  [">c16", /complex/],
  ["complex64", /complex/],
  ["complex128", /complex/],
  ["U5", /holds text; use uint8/],
  ["<U12", /holds text/],
  ["|S3", /holds text/],
  ["str", /holds text/],
  ["bytes", /holds text/],
  ["O", /heap; use one of bool/],
  ["|O8", /heap/],
  ["object", /heap/],
  ["V8", /structured; use one array per field/],
  ["i4,f8", /structured/],
  ["[('a', '<f4')]", /structured/],
  ["f16", /unknown; use one of bool, int8/],
  ["float", /unknown/],
  ["Float32", /unknown/],
  [" f4", /unknown/],
  ["<<f4", /unknown/],
  ["<float32", /unknown/],
  ["f4\n", /unknown/],
  ["toString", /unknown/],
  ["??", /unknown/],
  ["<bigint64", /unknown/],
  ["__proto__", /unknown/],
  [Array, /the constructor Array makes no supported typed array/],
  [SharedArrayBuffer, /the constructor SharedArrayBuffer/],
  [() => 1, /the constructor \(anonymous\)/],
  [class Float32Array {}, /the constructor Float32Array\d? makes no supported/],
  [null, /null names none/],
  [undefined, /undefined names none/],
  [{ name: "float32" }, /an object names none/],
  [Symbol("f4"), /Symbol\(f4\) names none/],
  [4, /4 names none/],
];
for (const [given, says] of refused) {
  Deno.test(`parseDType() refuses ${Deno.inspect(given)}`, () => {
    const error = assertThrows(() => parseDType(given as DType), TypeError);
    assertMatch(error.message, /^Cannot use this dtype: /);
    assertMatch(error.message, says);
  });
}

Deno.test("dtypeOf() is null for whatever is no typed array, and cannot be fooled", () => {
  const others = [
    null,
    undefined,
    0,
    "",
    [1],
    {},
    new ArrayBuffer(1),
    new DataView(new ArrayBuffer(1)),
    Float32Array,
    { [Symbol.toStringTag]: "Float32Array" },
    Object.create(Float32Array.prototype),
  ];
  for (const other of others) assertEquals(dtypeOf(other), null);
  class Mine extends Int16Array {
    override get [Symbol.toStringTag](): "Int16Array" {
      return "nonsense" as "Int16Array";
    }
  }
  assertEquals(dtypeOf(new Mine(1)), "int16");
});

Deno.test("the dtype module needs no permission", async () => {
  const url = JSON.stringify(new URL("../src/dtype.ts", import.meta.url));
  const { code, stdout, stderr } = await runChild(
    `import { bytesPerElement, dtypeOf, dtypes, numpyTypeString, parseDType, typedArrayOf } from ${url};
    console.log(dtypes.map((dtype) =>
      [bytesPerElement(dtype), numpyTypeString(dtype), dtypeOf(new (typedArrayOf(dtype))(1))].join(" ") +
      parseDType(dtype)).length);`,
    { permissions: [] },
  );
  assertEquals([code, stdout], [0, "13\n"], stderr);
});
