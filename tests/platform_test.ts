import {
  assert,
  assertEquals,
  assertLessOrEqual,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  checkDeno,
  nameMaxAnywhere,
  nameMaxOf,
  nameMaxWith,
  platform,
  platformOf,
} from "../ffi/platform.ts";

const systems = [
  ["linux", "x86_64"],
  ["linux", "aarch64"],
  ["darwin", "x86_64"],
  ["darwin", "aarch64"],
] as const;

for (const [os, arch] of systems) {
  Deno.test(`platformOf() describes ${os} ${arch}`, () => {
    const platform = platformOf(os, arch);
    assertEquals(platform.os, os);
    const isLinux = os === "linux";
    // Facts from the systems' headers.
    assertEquals(nameMaxOf(os), isLinux ? 255 : 30);
    assertEquals(platform.directory, isLinux ? "/dev/shm" : null);
    assertEquals(platform.errnoLocation, isLinux ? "__errno_location" : "__error");
    assertEquals(platform.variadicOnStack, os === "darwin" && arch === "aarch64");
    assertEquals(platform.fstat, os === "darwin" && arch === "x86_64" ? "fstat$INODE64" : "fstat");
    const { O_CREAT, O_EXCL, O_RDWR, MAP_ANONYMOUS, MAP_FIXED, MAP_SHARED } = platform.flags;
    assertEquals(
      [O_RDWR, O_CREAT, O_EXCL, MAP_SHARED, MAP_FIXED, MAP_ANONYMOUS],
      isLinux ? [2, 0o100, 0o200, 1, 0x10, 0x20] : [2, 0x200, 0x800, 1, 0x10, 0x1000],
    );
    assertEquals(platform.flags.O_NONBLOCK, isLinux ? 0o4000 : 4);
    // Only Linux has memory without a name.
    assertEquals(platform.memfd?.O_PATH, isLinux ? 0o10000000 : undefined);
    const { device, inode, mode, links, size } = platform.stat;
    const widths = isLinux ? [8, 8, 4, arch === "x86_64" ? 8 : 4, 8] : [4, 8, 2, 2, 8];
    const fields = [device, inode, mode, links.at, size].map((at, i) => [at, at + widths[i]]);
    const ordered = fields.toSorted(([a], [b]) => a - b);
    // No field lies in another one, and all lie in the struct.
    for (let i = 1; i < ordered.length; i++) assertLessOrEqual(ordered[i - 1][1], ordered[i][0]);
    assertLessOrEqual(ordered.at(-1)![1], os === "linux" && arch === "aarch64" ? 128 : 144);
    assertEquals(links.narrow, !isLinux);
    const { SIGINT, SIGTERM, SIGUSR1, SIGKILL, SIGSTOP } = platform.signals;
    assertEquals([SIGINT, SIGTERM, SIGUSR1], [2, 15, isLinux ? 10 : 30]);
    assertEquals([SIGKILL, SIGSTOP], [undefined, undefined]);
    assert(platform.libraries.length > 0);
  });
}

for (const [os, arch] of [["windows", "x86_64"], ["freebsd", "x86_64"], ["linux", "riscv64"]]) {
  Deno.test(`platformOf() of ${os} ${arch} names what is supported`, () => {
    const error = assertThrows(() => platformOf(os, arch), Deno.errors.NotSupported);
    assertMatch(error.message, new RegExp(`^Cannot share memory on ${os} ${arch}: `));
    for (const [os, arch] of systems) assertStringIncludes(error.message, `${os} ${arch}`);
  });
}

Deno.test("nameMaxOf() serves systems that are not supported, too", () => {
  // There, names can be described, and the first use of one says what is missing.
  assertEquals([nameMaxOf("windows"), nameMaxOf("freebsd")], [255, 255]);
});

Deno.test("nameMaxWith() knows that glibc before 2.34 takes two bytes less", () => {
  for (const old of ["2.27", "2.31", "2.33.9000"]) assertEquals(nameMaxWith("linux", old), 253);
  for (const other of ["2.34", "2.41", "3.0", null]) assertEquals(nameMaxWith("linux", other), 255);
  assertEquals(nameMaxWith("darwin", null), 30);
  for (const os of ["linux", "darwin", "windows"]) {
    assertLessOrEqual(nameMaxAnywhere(os), nameMaxWith(os, os === "linux" ? "2.27" : null));
  }
});

Deno.test("platformOf() is not fooled by names that every object has", () => {
  assertThrows(() => platformOf("__proto__", ""), Deno.errors.NotSupported);
});

Deno.test("checkDeno() refuses what is older than 2.2, and says what to do", () => {
  for (const version of ["1.46.3", "2.0.0", "2.1.14"]) {
    assertThrows(
      () => checkDeno(version),
      Deno.errors.NotSupported,
      `Cannot share memory: this is Deno ${version}, and 2.2 or newer is needed`,
    );
  }
  for (const version of ["2.2.0", "2.9.6", "2.10.0", "3.0.0"]) checkDeno(version);
});

Deno.test("platform() describes the system that the tests run on", () => {
  assertStrictEquals(platform(), platform());
  assertStrictEquals(platform(), platformOf(Deno.build.os, Deno.build.arch));
});
