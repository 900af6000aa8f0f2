import { assert, assertEquals, assertFalse, assertInstanceOf, assertMatch } from "@std/assert";
import { hasCode, systemError } from "../../ffi/errors.ts";
import { errorOf } from "../helpers/helpers.ts";

const { errors } = Deno;
const numbers: [code: string, linux: number, darwin: number, ErrorClass: unknown][] = [
  ["EPERM", 1, 1, errors.PermissionDenied],
  ["ENOENT", 2, 2, errors.NotFound],
  ["ESRCH", 3, 3, Error],
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

Deno.test("systemError() of ENOTSUP is NotSupported on darwin, as on linux, where it is EOPNOTSUPP", () => {
  const told = (os: "linux" | "darwin", errno: number) => {
    const error = systemError(os, errno, "shm_open", "x");
    return [error.constructor, error.code, error.message];
  };
  assertEquals(told("darwin", 45), [
    errors.NotSupported,
    "ENOTSUP",
    "Operation not supported (os error 45): shm_open 'x'",
  ]);
  assertEquals(told("linux", 95), [
    errors.NotSupported,
    "EOPNOTSUPP",
    "Operation not supported (os error 95): shm_open 'x'",
  ]);
});

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

Deno.test("hasCode() tells errors by their code", () => {
  const error = systemError("linux", 13, "open", "x");
  assert(hasCode(error, "EACCES"));
  assert(hasCode(error, "ENOENT", "EACCES"));
  assertFalse(hasCode(error, "ENOENT"));
  assertFalse(hasCode(error));
  for (const thrown of [null, undefined, "EACCES", { code: "EACCES" }, new Error("EACCES")]) {
    assertFalse(hasCode(thrown, "EACCES"));
  }
});
