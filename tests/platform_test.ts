import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { systemError } from "../ffi/errors.ts";
import { checkDeno, nameMaxOf, platformOf } from "../ffi/platform.ts";
import { buildName, checkName, prefixOf } from "../src/segment/name.ts";
import { errorOf } from "./helpers.ts";

// --- ffi/platform.ts -------------------------------------------------------------------------

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
    const { bytes, mode, links, size } = platform.stat;
    for (const end of [mode.at + mode.bytes, links.at + links.bytes, size + 8]) {
      assertLessOrEqual(end, bytes);
    }
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

Deno.test("platformOf() is not fooled by names that every object has", () => {
  assertThrows(() => platformOf("__proto__", ""), Deno.errors.NotSupported);
});

// --- ffi/errors.ts ---------------------------------------------------------------------------

const { errors } = Deno;
const numbers: [code: string, linux: number, darwin: number, ErrorClass: unknown][] = [
  ["EPERM", 1, 1, errors.PermissionDenied],
  ["ENOENT", 2, 2, errors.NotFound],
  ["EINTR", 4, 4, errors.Interrupted],
  ["EBADF", 9, 9, Error],
  ["EAGAIN", 11, 35, errors.WouldBlock],
  ["ENOMEM", 12, 12, Error],
  ["EACCES", 13, 13, errors.PermissionDenied],
  ["EBUSY", 16, 16, errors.Busy],
  ["EEXIST", 17, 17, errors.AlreadyExists],
  ["ENODEV", 19, 19, Error],
  ["ENOTDIR", 20, 20, errors.NotADirectory],
  ["EISDIR", 21, 21, errors.IsADirectory],
  ["EINVAL", 22, 22, TypeError],
  ["ENFILE", 23, 23, Error],
  ["EMFILE", 24, 24, Error],
  ["EFBIG", 27, 27, Error],
  ["ENOSPC", 28, 28, Error],
  ["EROFS", 30, 30, Error],
  ["ENAMETOOLONG", 36, 63, Error],
  ["ENOSYS", 38, 78, errors.NotSupported],
  ["ELOOP", 40, 62, errors.FilesystemLoop],
  ["EOVERFLOW", 75, 84, Error],
  ["EOPNOTSUPP", 95, 102, errors.NotSupported],
];
for (const [code, linux, darwin, ErrorClass] of numbers) {
  Deno.test(`systemError() of ${code} on linux and darwin`, () => {
    for (const [os, errno] of [["linux", linux], ["darwin", darwin]] as const) {
      const error = systemError(os, errno, "shm_open", "x");
      assertEquals([error.constructor, error.code], [ErrorClass, code]);
      const form = new RegExp(`^[A-Z][a-z/-]+( [a-z]+)* \\(os error ${errno}\\): shm_open 'x'$`);
      assertMatch(error.message, form);
    }
  });
}

Deno.test("systemError() looks as Deno's own file errors do", () => {
  const missing = `/tmp/${crypto.randomUUID()}`;
  const own = errorOf(() => Deno.openSync(missing));
  const error = systemError("linux", 2, "open", missing);
  assertEquals(error.message, own.message);
  assertEquals([error.constructor, error.name, error.code], [own.constructor, own.name, own.code]);
});

Deno.test("systemError() gives the subject and the advice if there are any", () => {
  assertEquals(
    systemError("linux", 12, "munmap", null).message,
    "Cannot allocate memory (os error 12): munmap",
  );
  assertEquals(
    systemError("linux", 17, "shm_open", "x", (code) => `see ${code}`).message,
    "File exists (os error 17): shm_open 'x'; see EEXIST",
  );
  assertEquals(
    systemError("linux", 17, "shm_open", "x", () => undefined).message,
    "File exists (os error 17): shm_open 'x'",
  );
});

Deno.test("systemError() of a number that nobody knows still has a code", () => {
  const error = systemError("linux", 9999, "mmap", "x");
  assertEquals(
    [error.constructor, error.code, error.message],
    [Error, "E9999", "Unknown error (os error 9999): mmap 'x'"],
  );
  assertInstanceOf(error, Error);
});

// --- src/naming.ts ---------------------------------------------------------------------------

const parts = {
  counter: 7,
  prefix: "tile",
  date: new Date(2024, 0, 2, 3, 4, 5),
  uuid: "0123abcd-4567-489a-bcde-f0123456789a",
};
const bytes = (name: string): number => new TextEncoder().encode(name).length;

Deno.test("buildName() is GRIDR's form where it fits", () => {
  const full = "7-tile-202401-0203-0405-0123abcd-4567-489a-bcde-f0123456789a";
  assertEquals(buildName(parts, 255), full);
  assertEquals(buildName(parts, bytes(full)), full);
  assertEquals(buildName({ ...parts, prefix: "" }, 255), full.replace("tile", ""));
  assertEquals(
    buildName({ ...parts, date: new Date(2024, 11, 31, 23, 59, 59) }, 255).slice(0, 23),
    "7-tile-202412-3123-5959",
  );
});

Deno.test("buildName() is shorter where the platform's limit is", () => {
  assertEquals(buildName(parts, 30), "7-tile-0123abcd4567489abcdef01");
  for (const limit of [30, 55]) {
    for (const prefix of ["", "a", "é", "0123456789"]) {
      const name = buildName({ ...parts, prefix }, limit);
      assertLessOrEqual(bytes(name), limit);
      assertMatch(name, new RegExp(`^7-${prefix}-[\\da-f]{16,32}$`));
      checkName(name, limit);
      const other = buildName({
        ...parts,
        prefix,
        uuid: parts.uuid.replace("0123abcd", "ffffffff"),
      }, limit);
      assertNotEquals(name, other);
    }
  }
  // 30 bytes leave room for 11 of prefix, counter and hyphens included 14.
  assertEquals(buildName({ ...parts, prefix: "x".repeat(11) }, 30).length, 30);
});

Deno.test("buildName() refuses a prefix that leaves too little room, or is not legal", () => {
  const long = assertThrows(() => buildName({ ...parts, prefix: "x".repeat(12) }, 30), RangeError);
  assertEquals(
    long.message,
    'Cannot build a name: the prefix "xxxxxxxxxxxx" leaves 15 of 30 bytes, and 16 are needed to ' +
      "make the name unique",
  );
  assertThrows(() => buildName({ ...parts, prefix: "é".repeat(6) }, 30), RangeError, "leaves 15");
  assertThrows(() => buildName({ ...parts, counter: 10, prefix: "x".repeat(11) }, 30), RangeError);
  assertThrows(() => buildName({ ...parts, prefix: "x".repeat(300) }, 255), RangeError, "leaves 0");
  for (const limit of [30, 255]) {
    assertThrows(() => buildName({ ...parts, prefix: "a/b" }, limit), RangeError, '"/"');
    assertThrows(() => buildName({ ...parts, prefix: "\0" }, limit), RangeError, "NUL");
    assertThrows(() => buildName({ ...parts, prefix: "\ud800" }, limit), RangeError, "surrogate");
  }
  const untyped = { ...parts, prefix: 5 as unknown as string };
  assertThrows(() => buildName(untyped, 30), TypeError, "it must be a string, not a number");
});

Deno.test("prefixOf() tells the prefix that buildName() was given, whatever it is", () => {
  const prefixes = [
    "",
    "a",
    "a-b",
    "-",
    "--",
    "1-2",
    "é🏔",
    "x\ny",
    "202401-0203-0405",
    "abcdef0123456789",
    "x".repeat(180),
    "x".repeat(199),
    "x".repeat(236),
  ];
  for (const limit of [30, 255]) {
    for (const prefix of prefixes) {
      for (const counter of [1, 12345]) {
        let name: string;
        try {
          name = buildName({ ...parts, counter, prefix }, limit);
        } catch (error) {
          assertInstanceOf(error, RangeError);
          continue;
        }
        assertEquals(prefixOf(name, limit), prefix, name);
      }
    }
  }
});

Deno.test("prefixOf() of a name that buildName() has not made is null", () => {
  const full = buildName(parts, 255);
  const foreign = [
    "",
    "x",
    "psm_1234abcd",
    "sem.mine",
    "1-2",
    "1-tile",
    "1-tile-abc",
    full.slice(1),
    full.slice(0, -1),
    full + "0",
    full.replace("-489a", "-589a"),
    full.toUpperCase(),
    // A short name is made only where a full one would not fit.
    buildName(parts, 30),
  ];
  for (const name of foreign) assertEquals(prefixOf(name, 255), null, name);
  for (const name of ["x", "1-x-abc", "7-tile-0123", "7-tile-0123abcd456789abcdef0123"]) {
    assertEquals(prefixOf(name, 30), null, name);
  }
});

Deno.test("checkName() counts UTF-8 bytes against the limit of the platform", () => {
  for (const limit of [30, 255]) {
    checkName("x".repeat(limit), limit);
    assertThrows(() => checkName("x".repeat(limit + 1), limit), RangeError, `allows ${limit}`);
    assertThrows(() => checkName("é".repeat(limit / 2 + 1), limit), RangeError, "bytes in UTF-8");
    assertThrows(() => checkName("🏔".repeat(limit / 2), limit), RangeError, "bytes in UTF-8");
  }
  // The message quotes what cannot be printed, and does not quote a novel.
  const { message } = errorOf(() => checkName("a\0".repeat(1000), 255));
  assertStringIncludes(message, '"a\\u0000a');
  assertLessOrEqual(message.length, 700);
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
