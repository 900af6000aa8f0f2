import { assert, assertEquals, assertFalse, assertGreater, assertThrows } from "@std/assert";
import {
  close,
  fchmod,
  fstat,
  ftruncate,
  geteuid,
  linkat,
  open,
  posixFallocate,
  pwrite,
  read,
  readdir,
  readlink,
  rename,
  renameNew,
  statx,
} from "../../ffi/files.ts";
import { memfdCreate } from "../../ffi/mman.ts";
import { platform } from "../../ffi/platform.ts";
import { errorOf, evalChild, segmentExists, uniqueName, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it calls what only Linux has");

const libraryUrl = JSON.stringify(new URL("../../ffi/library.ts", import.meta.url).href);

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_CLOEXEC, O_TMPFILE } = platform().flags;

/** Calls `body` with the path of a file of 5 bytes. */
function withFile(body: (path: string) => void): void {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, "hello");
    body(path);
  } finally {
    Deno.removeSync(path);
  }
}

/** Calls `body` with a descriptor of an open file of 5 bytes. */
function withOpen(body: (fd: number, path: string) => void): void {
  withFile((path) => {
    const fd = open(path, O_RDWR);
    try {
      body(fd, path);
    } finally {
      close(fd);
    }
  });
}

Deno.test("open(), read() and close() give the bytes of a file", () => {
  withOpen((fd, path) => {
    const bytes = new Uint8Array(8);
    assertEquals(read(fd, bytes.subarray(0, 2), path), 2);
    assertEquals(read(fd, bytes.subarray(2), path), 3);
    assertEquals(new TextDecoder().decode(bytes.subarray(0, 5)), "hello");
    assertEquals(read(fd, bytes, path), 0);
  });
});

Deno.test("open() makes a file with its mode", () => {
  const path = `/tmp/${uniqueName()}`;
  close(open(path, O_RDWR | O_CREAT | O_EXCL, 0o640));
  try {
    const { mode } = Deno.statSync(path);
    assertEquals(mode! & 0o777, 0o640 & ~Deno.umask());
    const error = errorOf(() =>
      open(path, O_RDWR | O_CREAT | O_EXCL, 0o640, (code) => `no ${code}`)
    );
    assertEquals(error.message, `File exists (os error 17): open '${path}'; no EEXIST`);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("open() and memfdCreate() give descriptors that programs started later do not get", () => {
  const path = Deno.makeTempFileSync();
  for (const fd of [open(path, O_RDONLY), open("/tmp", O_RDONLY), memfdCreate("x", 1)]) {
    const [, flags] = /^flags:\s+([0-7]+)$/m.exec(
      Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`),
    )!;
    assertEquals(parseInt(flags, 8) & O_CLOEXEC, O_CLOEXEC);
    close(fd);
  }
  Deno.removeSync(path);
});

Deno.test("readlink() tells where a link leads, memfdCreate() what it was called", () => {
  const fd = memfdCreate("some name", 1);
  assertEquals(readlink(`/proc/self/fd/${fd}`), "/memfd:some name (deleted)");
  close(fd);
  assertEquals(readlink(`/proc/self/fd/${fd}`), null);
  assertThrows(
    () => readlink("/proc"),
    TypeError,
    "Invalid argument (os error 22): readlink '/proc'",
  );
});

Deno.test("pwrite() writes to the beginning, wherever the position is", () => {
  withOpen((fd, path) => {
    const bytes = new Uint8Array(5);
    assertEquals(read(fd, bytes, path), 5);
    assertEquals(pwrite(fd, new TextEncoder().encode("HE"), path), 2);
    assertEquals(read(fd, bytes, path), 0, "the position is where it was");
    assertEquals(Deno.readTextFileSync(path), "HEllo");
  });
  withFile((path) => {
    const fd = open(path, O_RDONLY);
    const error = errorOf(() => pwrite(fd, new Uint8Array(1), "seg", (code) => `see ${code}`));
    close(fd);
    assertEquals(error.code, "EBADF");
    assertEquals(error.message, "Bad file descriptor (os error 9): pwrite 'seg'; see EBADF");
  });
});

Deno.test("linkat() names an open file, and leaves one that has the name", () => {
  const folder = Deno.makeTempDirSync({ dir: "/dev/shm" });
  const [fd, other] = [0, 1].map(() => open(folder, O_RDWR | O_TMPFILE, 0o600));
  assertEquals(fstat(fd, "x").named, false);
  linkat(fd, `${folder}/a`, "x");
  assertEquals([fstat(fd, "x").named, Deno.statSync(`${folder}/a`).ino], [
    true,
    fstat(fd, "x").inode,
  ]);
  const error = errorOf(() => linkat(other, `${folder}/a`, "x", (code) => `see ${code}`));
  assertEquals(error.message, "File exists (os error 17): linkat 'x'; see EEXIST");
  assertEquals(Deno.statSync(`${folder}/a`).ino, fstat(fd, "x").inode);
  close(fd);
  close(other);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("calls on a closed descriptor are EBADF with the subject", () => {
  const fd = -1;
  const calls: [call: string, () => unknown][] = [
    ["read", () => read(fd, new Uint8Array(1), "x")],
    ["fchmod", () => fchmod(fd, 0, "x")],
    ["ftruncate", () => ftruncate(fd, 1, "x")],
    ["fstat", () => fstat(fd, "x")],
    ["posix_fallocate", () => posixFallocate(fd, 1, "x")],
  ];
  for (const [call, fn] of calls) {
    const { code, message } = errorOf(fn);
    assertEquals([code, message], ["EBADF", `Bad file descriptor (os error 9): ${call} 'x'`]);
  }
});

Deno.test("fchmod() sets the mode as it is given", () => {
  withOpen((fd, path) => {
    for (const mode of [0o600, 0o666, 0]) {
      fchmod(fd, mode, path);
      assertEquals(Deno.statSync(path).mode! & 0o7777, mode);
    }
  });
});

Deno.test("ftruncate() sets the size, posixFallocate() reserves", () => {
  withOpen((fd, path) => {
    ftruncate(fd, 3, path);
    assertEquals(Deno.readTextFileSync(path), "hel");
    ftruncate(fd, 2 ** 32 + 1, path);
    assertEquals(Deno.statSync(path).size, 2 ** 32 + 1);
    ftruncate(fd, 0, path);
    assert(posixFallocate(fd, 2 ** 20, path));
    assertEquals(Deno.statSync(path).size, 2 ** 20);
    assertGreater(Deno.statSync(path).blocks! * 512, 2 ** 20 - 1);
  });
});

Deno.test("posixFallocate() throws what the call returned, with the caller's advice", () => {
  const { code, message } = errorOf(() => posixFallocate(-1, 1, "x", (code) => `see ${code}`));
  assertEquals([code, message.endsWith("; see EBADF")], ["EBADF", true]);
});

Deno.test("posixFallocate() begins anew after a signal, but not for ever", () =>
  withNames(async (name) => {
    // Older kernels begin anew at each signal; here a function stands in the place of C's that says so.
    const result = await evalChild(
      `const { libc } = await import(${libraryUrl});
      const lib = libc();
      const real = lib.symbols;
      const results = [];
      for (const interruptions of [1, 99, Infinity]) {
        let calls = 0;
        const posix_fallocate = (...args) => calls++ < interruptions ? 4 : real.posix_fallocate(...args);
        lib.symbols = { __proto__: real, posix_fallocate };
        for (const byteLength of [4096, 2 ** 21]) {
          calls = 0;
          let what = "made";
          try {
            const memory = SharedMemory.create(Deno.args[0], byteLength);
            memory.unlink();
            memory.close();
          } catch (error) { what = error.name + " " + error.code + ": " + error.message; }
          results.push([what, calls]);
        }
      }
      console.log(JSON.stringify(results));`,
      { args: [name] },
    );
    const message = "Interrupted EINTR: Interrupted system call (os error 4): " +
      `posix_fallocate '${name}'`;
    const never = [message, 100];
    assertEquals(result, [["made", 2], ["made", 2], ["made", 100], ["made", 100], never, never]);
    assertFalse(segmentExists(name));
  }));

Deno.test("fstat() tells size, type, mode, names, device and inode", () => {
  withOpen((fd, path) => {
    Deno.chmodSync(path, 0o4751);
    const { dev, ino } = Deno.statSync(path);
    const status = fstat(fd, path);
    assertEquals(status, {
      byteLength: 5,
      regular: true,
      mode: 0o4751,
      named: true,
      device: dev,
      inode: ino!,
    });
    Deno.linkSync(path, `${path}-2`);
    Deno.removeSync(path);
    assert(fstat(fd, path).named);
    Deno.renameSync(`${path}-2`, path);
    assertEquals(fstat(fd, path).inode, ino);
    const other = open("/dev/null", O_RDONLY);
    assertFalse(fstat(other, "/dev/null").regular);
    close(other);
  });
});

Deno.test("fstat() sees that the last name is gone", () => {
  const path = `/tmp/${uniqueName()}`;
  const fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600);
  Deno.removeSync(path);
  assertFalse(fstat(fd, path).named);
  close(fd);
});

Deno.test("statx() tells size, type, owner, time and identity", () => {
  withFile((path) => {
    const { byteLength, regular, user, createdAt, identity } = statx(path)!;
    const { uid, ino, dev } = Deno.statSync(path);
    assertEquals([byteLength, regular, user], [5, true, uid]);
    assert(Math.abs(Date.now() - createdAt) < 60_000, String(createdAt));
    const [major, minor, inode] = identity.split(":").map(Number);
    // The kernel's way to put both numbers into one, for small ones.
    assertEquals([(major << 8) + (minor & 0xff), inode], [dev & 0xfffff, ino]);
  });
  assertEquals(statx("/tmp")!.regular, false);
  assertEquals(statx(`/tmp/${uniqueName()}`), null);
  assertThrows(() => statx("/dev/null/x"), Deno.errors.NotADirectory);
});

Deno.test("statx() does not follow a symbolic link", () => {
  withFile((path) => {
    const link = `/tmp/${uniqueName()}`;
    Deno.symlinkSync(path, link);
    assertFalse(statx(link)!.regular);
    Deno.removeSync(link);
  });
});

Deno.test("readdir() gives all names but . and ..", () => {
  const directory = Deno.makeTempDirSync();
  try {
    assertEquals(readdir(directory), []);
    const names = ["a", "é🏔", ".hidden", "x".repeat(255)];
    for (const name of names) Deno.writeTextFileSync(`${directory}/${name}`, "");
    assertEquals(readdir(directory).sort(), names.sort());
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  const error = errorOf(() => readdir(directory));
  assertEquals(error.message, `No such file or directory (os error 2): opendir '${directory}'`);
});

Deno.test("geteuid() is the user who owns what this process makes", () => {
  withFile((path) => assertEquals(geteuid(), Deno.statSync(path).uid));
});

Deno.test("rename() gives a file another name, and takes it from the file that has it", () =>
  withFile((path) => {
    const next = `${path}.next`;
    assertEquals(rename(path, next, "x"), true);
    assertEquals(statx(path), null);
    assertEquals(rename(path, next, "x"), false);
    Deno.writeTextFileSync(path, "another");
    const { identity } = statx(path)!;
    assertEquals(rename(path, next, "x"), true);
    assertEquals(statx(next)!.identity, identity);
    assertEquals(rename(next, path, "x"), true);
    // The call does not tell a missing folder from a missing file.
    assertEquals(rename(path, "/nowhere/x", "x"), false);
    const error = errorOf(() => rename(path, "/proc/x", "seg"));
    assertEquals(error.message, "Invalid cross-device link (os error 18): rename 'seg'");
  }));

Deno.test("renameNew() leaves the name to the file that has it", () =>
  withFile((path) => {
    const next = `${path}.next`;
    assertEquals(renameNew(path, next, "x"), true);
    assertEquals(renameNew(path, next, "x"), false);
    Deno.writeTextFileSync(path, "another");
    const error = errorOf(() => renameNew(path, next, "seg", (code) => `see ${code}`));
    assertEquals(error.message, "File exists (os error 17): renameat2 'seg'; see EEXIST");
    assertEquals([Deno.readTextFileSync(path), Deno.readTextFileSync(next)], ["another", "hello"]);
    Deno.removeSync(path);
    assertEquals(renameNew(next, path, "x"), true);
  }));
