// How names with brackets are read, and what is said of segments that nothing describes.

import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/cli/arguments.ts";
import { readTarget, readTold } from "../../src/cli/selection.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "names may have the folder of segments in front");

const nothing = (): boolean => false;

Deno.test("readTarget() takes NumPy's basic indexing behind a name", () => {
  const targets: [string, unknown[] | null][] = [
    ["a", null],
    ["a[0]", ["0"]],
    ["a[0:5, ::2]", ["0:5", "::2"]],
    ["a[-1,...,  newaxis]", ["-1", "...", "newaxis"]],
    ["a[None, Ellipsis]", ["newaxis", "..."]],
    ["a[np.newaxis]", ["newaxis"]],
    ["a[1 : 2,]", ["1 : 2"]],
    ["a[::-1]", ["::-1"]],
  ];
  for (const [text, selection] of targets) {
    assertEquals(readTarget(text, nothing), { name: "a", selection } as unknown, text);
  }
});

Deno.test("readTarget() refuses what NumPy's basic indexing does not know", () => {
  for (const text of ["a[]", "a[,]", "a[x]", "a[1.5]", "a[0:1:0]", "a[[0, 1]]", "a[:::]"]) {
    const error = assertThrows(() => readTarget(text, nothing), UsageError);
    assertEquals(error.message.includes("is no selection"), true, error.message);
  }
});

Deno.test("readTarget() takes brackets for part of a name where there is such a segment", () => {
  assertEquals(readTarget("a[0]", (name) => name === "a[0]"), { name: "a[0]", selection: null });
  assertEquals(readTarget("a[0][1]", (name) => name === "a[0]").name, "a[0]");
  assertEquals(readTarget("[0]", nothing), { name: "[0]", selection: null });
  assertEquals(readTarget("a[0", nothing), { name: "a[0", selection: null });
});

Deno.test("names may have the folder in front, as the shell completes it", () => {
  assertEquals(readTarget("/dev/shm/a[0]", nothing).name, "a");
});

Deno.test("readTold() reads element types and shapes", () => {
  assertEquals(readTold(undefined, undefined), {});
  assertEquals(readTold("<f4", "480,640"), { dtype: "float32", shape: [480, 640] });
  for (const text of ["2,3", "2x3", "2 3", "(2, 3)", "[2,3]", "(2, 3,)", " 2 , 3 "]) {
    assertEquals(readTold(undefined, text).shape, [2, 3], text);
  }
  assertEquals(readTold(undefined, "(4,)").shape, [4]);
  for (const text of ["", "()", "2,-3", "2,a", "1e3", "2.5"]) {
    assertThrows(() => readTold(undefined, text), UsageError, "--shape");
  }
  assertThrows(() => readTold(undefined, "9007199254740991,2"), UsageError, "--shape is wrong");
  for (const text of ["float31", "", ">f4", "complex64"]) {
    assertThrows(() => readTold(text, undefined), UsageError, "--dtype is wrong");
  }
});
