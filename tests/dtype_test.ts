import {
  assert,
  assertEquals,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
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

Deno.test("what takes a canonical name refuses all else, and names it", () => {
  for (
    const  of of[bytesPerElement, numpyTypeString, typedArrayOf] as ((name: never) => unknown)[]
  ) {
    const refuses = (given: unknown, message: string): void => {
      assertThrows(() => of(given as never), TypeError, `Cannot use this dtype: ${message}`);
    };
    refuses("<f4", '"<f4" is not its canonical name, which is "float32": parseDType() gives it');
    refuses(Int8Array, 'the constructor of int8 is not its canonical name, which is "int8"');
    refuses("f32", '"f32" is unknown; did you mean "float32"?');
    refuses("c16", '"c16" is complex; use float32 or float64');
    for (const given of ["toString", "__proto__"]) refuses(given, `"${given}" is unknown`);
    for (const given of [undefined, null]) refuses(given, `${given} names none`);
  }
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
  ["<V2", /raw 2 bytes, as NumPy saves bfloat16: view as uint16/],
  ["V2", /raw 2 bytes, as NumPy saves bfloat16: view as uint16/],
  ["|V2", /view as uint16/],
  ["bfloat16", /raw 2 bytes: view as uint16/],
  ["<V1", /raw 1 byte: view as uint8/],
  ["float8_e4m3fn", /raw 1 byte: view as uint8/],
  ["|V12", /raw bytes, or it is structured; use one array per field/],
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
/** Names that are nearly right, and what is meant. */
const nearlyRight: { readonly [given: string]: DType } = {
  "uint8clamped": "uint8c",
  "Uint8ClampedArray": "uint8c",
  "f32": "float32",
  "f64": "float64",
  "F32": "float32",
  "i32": "int32",
  "i16": "int16",
  "u32": "uint32",
  "u16": "uint16",
  "i64": "int64",
  "fp32": "float32",
  "Float32": "float32",
  "FLOAT64": "float64",
  "float_32": "float32",
  "float 32": "float32",
  "Float32Array": "float32",
  "Uint8Array": "uint8",
  "BigInt64Array": "int64",
  "uint8_t": "uint8",
  "int32_t": "int32",
  "flaot32": "float32",
  "floa64": "float64",
  "unit8": "uint8",
  "uin16": "uint16",
  "inte32": "int32",
  "boolean": "bool",
  "Bool": "bool",
  "boool": "bool",
  "number": "float64",
  "bigint": "int64",
  "<float32": "float32",
};
for (const [given, meant] of Object.entries(nearlyRight)) {
  Deno.test(`parseDType() asks for ${Deno.inspect(given)} whether ${meant} is meant`, () => {
    const { message } = assertThrows(() => parseDType(given as DType), TypeError);
    const quoted = JSON.stringify(given);
    assertStringIncludes(
      message,
      `${quoted} is unknown; did you mean "${meant}"? Otherwise use one of bool, `,
    );
  });
}

Deno.test("parseDType() asks for f16 whether float16 is meant, which is NumPy's f2", () => {
  const { message } = assertThrows(() => parseDType("f16" as DType), TypeError);
  assertStringIncludes(message, 'did you mean "float16", which is "<f2"?');
});

Deno.test("parseDType() guesses nothing where nothing is near", () => {
  for (
    const given of [
      ...["", "??", "toString", "__proto__", "constructor", "int128", "float128", "int7", "i128"],
      ...["float", "double", "x32", "matrix", "f4\n", "<<f4", "f", "8", "32", "x".repeat(1000)],
    ]
  ) {
    const { message } = assertThrows(() => parseDType(given as DType), TypeError);
    assert(!message.includes("did you mean"), message);
  }
});

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
