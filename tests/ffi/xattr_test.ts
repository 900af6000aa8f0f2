import { assert, assertEquals, assertFalse } from "@std/assert";
import { fcntl } from "../../ffi/fcntl.ts";
import { close, open } from "../../ffi/files.ts";
import { memfdCreate } from "../../ffi/mman.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { fgetxattr, fsetxattr } from "../../ffi/xattr.ts";
import { errorOf, evalChild, segmentPath, withNames } from "../helpers/helpers.ts";
import { python } from "../helpers/find_python.ts";
import { everyTestWith, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "only there segments have attributes");

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL, O_TMPFILE } = platform().flags;
const NAME = "user.shm_array";
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Calls `body` with an open file in memory. */
function withSegment(body: (fd: number, name: string) => void): void {
  withNames((name) => {
    const fd = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      body(fd, name);
    } finally {
      close(fd);
    }
  });
}

Deno.test("fgetxattr() gives what fsetxattr() set, also by another descriptor that may only read", () =>
  withSegment((fd, name) => {
    const text = '{"kind":"array","shape":[2,3],"dtype":"<f4"} é';
    assertEquals(fgetxattr(fd, NAME, 4096, name), null);
    assert(fsetxattr(fd, NAME, bytesOf(text), name));
    const other = shmOpen(name, O_RDONLY, 0);
    try {
      assertEquals(new TextDecoder().decode(fgetxattr(other, NAME, 4096, name)!), text);
    } finally {
      close(other);
    }
    assert(fsetxattr(fd, NAME, bytesOf("shorter"), name));
    assertEquals(fgetxattr(fd, NAME, 4096, name), bytesOf("shorter"));
    assert(fsetxattr(fd, NAME, new Uint8Array(), name));
    assertEquals(fgetxattr(fd, NAME, 4096, name), new Uint8Array());
  }));

Deno.test("fgetxattr() gives null for what is longer than asked for", () =>
  withSegment((fd, name) => {
    assert(fsetxattr(fd, NAME, new Uint8Array(100).fill(7), name));
    assertEquals(fgetxattr(fd, NAME, 99, name), null);
    assertEquals(fgetxattr(fd, NAME, 100, name), new Uint8Array(100).fill(7));
  }));

Deno.test("attributes are kept by files without a name, and by their links", () => {
  const { MFD_CLOEXEC, F_DUPFD_CLOEXEC } = platform().memfd!;
  for (
    const fd of [memfdCreate("x", MFD_CLOEXEC), open("/dev/shm", O_RDWR | O_TMPFILE, 0o600)]
  ) {
    const again = fcntl(fd, F_DUPFD_CLOEXEC, 0, "x");
    try {
      assert(fsetxattr(fd, NAME, bytesOf("here"), "x"));
      assertEquals(fgetxattr(again, NAME, 4096, "x"), bytesOf("here"));
    } finally {
      close(fd);
      close(again);
    }
  }
});

testWith("NumPy", "Python reads the attribute", () =>
  withNames(async (name) => {
    const fd = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      assert(fsetxattr(fd, NAME, bytesOf("for all"), name));
      const { stdout } = await new Deno.Command(python()!.path, {
        args: ["-c", `import os; print(os.getxattr("/dev/shm/${name}", "${NAME}"))`],
      }).output();
      assertEquals(new TextDecoder().decode(stdout), "b'for all'\n");
    } finally {
      close(fd);
    }
  }));

Deno.test("where files have no such attributes, none is set and none is there", () => {
  // /proc is a file system without. The file is one that its user may write to.
  const fd = open("/proc/self/comm", O_RDWR);
  try {
    assertFalse(fsetxattr(fd, NAME, bytesOf("x"), "x"));
    assertEquals(fgetxattr(fd, NAME, 4096, "x"), null);
  } finally {
    close(fd);
  }
});

Deno.test("where the system has no such calls, none is set and none is there", async () => {
  const ffi = JSON.stringify(new URL("../../ffi/", import.meta.url).href);
  const told = await evalChild(
    `const { platform, platformOf } = await import(${ffi} + "platform.ts");
    const { fgetxattr, fsetxattr } = await import(${ffi} + "xattr.ts");
    Object.assign(platform(), platformOf("darwin", "aarch64"));
    console.log(JSON.stringify([
      fsetxattr(0, "user.x", new Uint8Array(1), "x"),
      fgetxattr(0, "user.x", 10, "x"),
    ]));`,
  );
  assertEquals(told, [false, null]);
});

Deno.test("attributes: what fails says why", () => {
  const set = errorOf(() => fsetxattr(-1, NAME, bytesOf("x"), "seg"));
  assertEquals(set.message, "Bad file descriptor (os error 9): fsetxattr 'seg'");
  const get = errorOf(() => fgetxattr(-1, NAME, 10, "seg"));
  assertEquals(get.message, "Bad file descriptor (os error 9): fgetxattr 'seg'");
});

Deno.test("readAttributeOfPath() reads what its first call asks for", () =>
  withNames(async (name) => {
    const fd = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      assert(fsetxattr(fd, NAME, bytesOf("a description"), name));
    } finally {
      close(fd);
    }
    // This process has encoded the name of the attribute before.
    const length = await evalChild(`
      const { readAttributeOfPath } = await import(${
      JSON.stringify(new URL("../../ffi/xattr.ts", import.meta.url).href)
    });
      const path = ${JSON.stringify(segmentPath(name))};
      console.log(readAttributeOfPath(path, ${JSON.stringify(NAME)}, new Uint8Array(100), 100n));
    `);
    assertEquals(length, "a description".length);
  }));
