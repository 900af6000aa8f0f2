import { assert, assertEquals, assertFalse, assertInstanceOf } from "@std/assert";
import { findByteLock, tryLockByte, unlockByte } from "../../ffi/fcntl.ts";
import { close, ftruncate } from "../../ffi/files.ts";
import { tryFlock, unflock } from "../../ffi/flock.ts";
import { platform, platformOf } from "../../ffi/platform.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { errorOf, evalChild, runChild, uniqueName, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "only there segments have locks on bytes");

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL } = platform().flags;

/** Calls `body` with two descriptors of one segment that were opened apart. */
function withTwo(body: (one: number, other: number, name: string) => void): void {
  withNames((name) => {
    const one = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
    const other = shmOpen(name, O_RDWR, 0);
    try {
      ftruncate(one, 16, name);
      body(one, other, name);
    } finally {
      close(one);
      close(other);
    }
  });
}

Deno.test("tryLockByte() excludes another open file of the same process, byte by byte", () =>
  withTwo((one, other, name) => {
    assert(tryLockByte(one, 5, name));
    assertFalse(tryLockByte(other, 5, name));
    assertFalse(tryLockByte(other, 5, name, "shared"));
    assert(tryLockByte(other, 4, name));
    assert(tryLockByte(other, 6, name));
    // The holder may take it again, and gives it back once.
    assert(tryLockByte(one, 5, name));
    unlockByte(one, 5, name);
    assert(tryLockByte(other, 5, name));
    assertFalse(tryLockByte(one, 6, name));
  }));

Deno.test("tryLockByte() lets many share a byte, and turns a shared lock into one for itself", () =>
  withTwo((one, other, name) => {
    assert(tryLockByte(one, 0, name, "shared"));
    assert(tryLockByte(other, 0, name, "shared"));
    assertFalse(tryLockByte(one, 0, name));
    unlockByte(other, 0, name);
    assert(tryLockByte(one, 0, name));
    assertFalse(tryLockByte(other, 0, name, "shared"));
  }));

Deno.test("tryLockByte() reaches bytes far beyond the end of the file", () =>
  withTwo((one, other, name) => {
    for (const start of [17, 2 ** 31, 2 ** 32 + 1, 2 ** 40, 2 ** 52, Number.MAX_SAFE_INTEGER]) {
      assert(tryLockByte(one, start, name));
      assertFalse(tryLockByte(other, start, name), String(start));
      assert(tryLockByte(other, start - 1, name), String(start));
      unlockByte(other, start - 1, name);
      unlockByte(one, start, name);
      assertEquals(findByteLock(other, start, 1, name), null);
    }
  }));

Deno.test("findByteLock() tells the lock that is in the way", () =>
  withTwo((one, other, name) => {
    assertEquals(findByteLock(other, 0, 2 ** 40, name), null);
    assert(tryLockByte(one, 2 ** 33 + 5, name));
    const found = { start: 2 ** 33 + 5, length: 1, pid: null };
    assertEquals(findByteLock(other, 2 ** 33 + 5, 1, name, "shared"), {
      kind: "exclusive",
      ...found,
    });
    assertEquals(findByteLock(other, 2 ** 33 + 6, 1, name, "shared"), null);
    // Its own lock is in nobody's way.
    assertEquals(findByteLock(one, 2 ** 33 + 5, 3, name), null);
    assert(tryLockByte(one, 2 ** 33 + 5, name, "shared"));
    assertEquals(findByteLock(other, 0, 2 ** 34, name), { kind: "shared", ...found });
    assertEquals(findByteLock(other, 0, 2 ** 34, name, "shared"), null);
  }));

Deno.test("locks on bytes and flock() know nothing of each other", () =>
  withTwo((one, other, name) => {
    assert(tryFlock(one, name));
    assert(tryLockByte(other, 0, name));
    assertFalse(tryFlock(other, name));
    assertFalse(tryLockByte(one, 0, name));
    unflock(one, name);
  }));

Deno.test("tryFlock() shared lets others share", () =>
  withTwo((one, other, name) => {
    assert(tryFlock(one, name, "shared"));
    assert(tryFlock(other, name, "shared"));
    assertFalse(tryFlock(one, name, "exclusive"));
    unflock(other, name);
    assert(tryFlock(one, name));
    assertFalse(tryFlock(other, name, "shared"));
  }));

Deno.test("a lock on bytes ends with its process, however that ends", () =>
  withNames(async (name) => {
    const fd = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
    const ffi = JSON.stringify(new URL("../../ffi/", import.meta.url).href);
    try {
      const { stdout, signal } = await runChild(
        `const { tryLockByte } = await import(${ffi} + "fcntl.ts");
        const { shmOpen } = await import(${ffi} + "shm.ts");
        const [name] = Deno.args;
        const fd = shmOpen(name, ${O_RDWR}, 0);
        console.log(tryLockByte(fd, 2 ** 40, name));
        Deno.kill(Deno.pid, "SIGKILL");`,
        { args: [name] },
      );
      assertEquals([stdout, signal], ["true\n", "SIGKILL"]);
      assert(tryLockByte(fd, 2 ** 40, name));
    } finally {
      close(fd);
    }
  }));

Deno.test("tryLockByte() of another process is seen", () =>
  withNames(async (name) => {
    const fd = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
    const ffi = JSON.stringify(new URL("../../ffi/", import.meta.url).href);
    try {
      assert(tryLockByte(fd, 2 ** 40, name));
      const seen = await evalChild(
        `const { tryLockByte, findByteLock } = await import(${ffi} + "fcntl.ts");
        const { shmOpen } = await import(${ffi} + "shm.ts");
        const name = Deno.args[0];
        const fd = shmOpen(name, ${O_RDWR}, 0);
        console.log(JSON.stringify([
          tryLockByte(fd, 2 ** 40, name),
          tryLockByte(fd, 2 ** 40 + 1, name),
          findByteLock(fd, 2 ** 40, 1, name, "shared"),
        ]));`,
        { args: [name] },
      );
      const lock = { kind: "exclusive", start: 2 ** 40, length: 1, pid: null };
      assertEquals(seen, [false, true, lock]);
    } finally {
      close(fd);
    }
  }));

Deno.test("locks on bytes: what fails says why", () =>
  withNames((name) => {
    close(shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600));
    const readable = shmOpen(name, O_RDONLY, 0);
    try {
      const error = errorOf(() => tryLockByte(readable, 0, name));
      assertEquals(error.message, `Bad file descriptor (os error 9): fcntl '${name}'`);
      assert(tryLockByte(readable, 0, name, "shared"));
    } finally {
      close(readable);
    }
    assertEquals(errorOf(() => unlockByte(-1, 0, name)).code, "EBADF");
    assertEquals(errorOf(() => findByteLock(-1, 0, 1, name, "shared")).code, "EBADF");
  }));

Deno.test("locks on bytes are NotSupported on macOS, whose segments have none", async () => {
  const ffi = JSON.stringify(new URL("../../ffi/", import.meta.url).href);
  const told = await evalChild(
    `const { platform, platformOf } = await import(${ffi} + "platform.ts");
    const { tryLockByte } = await import(${ffi} + "fcntl.ts");
    Object.assign(platform(), platformOf("darwin", "aarch64"));
    try {
      tryLockByte(0, 0, Deno.args[0]);
    } catch (error) {
      console.log(JSON.stringify([error.name, error.code, error.message]));
    }`,
    { args: [uniqueName()] },
  );
  const message = "Cannot lock bytes of a segment: darwin has no such locks";
  assertEquals(told, ["NotSupported", "ENOTSUP", message]);
});

Deno.test("the commands are those of Linux on every processor", () => {
  for (const arch of ["x86_64", "aarch64"]) {
    assertEquals(platformOf("linux", arch).byteLocks, { F_OFD_GETLK: 36, F_OFD_SETLK: 37 });
  }
  assertInstanceOf(errorOf(() => platformOf("linux", "riscv64")), Deno.errors.NotSupported);
});
