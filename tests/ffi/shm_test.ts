import { assert, assertEquals, assertFalse } from "@std/assert";
import { close, fstat } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen, shmUnlink } from "../../ffi/shm.ts";
import { errorOf, segmentExists, segmentPath, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

const { O_RDWR, O_CREAT, O_EXCL } = platform().flags;

Deno.test("shmOpen() makes and opens what shmUnlink() removes", () => {
  withNames((name) => {
    const made = shmOpen(name, O_RDWR | O_CREAT | O_EXCL, 0o600);
    const opened = shmOpen(name, O_RDWR, 0);
    assert(segmentExists(name));
    assertEquals(Deno.statSync(segmentPath(name)).mode! & 0o777, 0o600);
    assertEquals(fstat(opened, name), fstat(made, name));
    assertEquals([shmUnlink(name), shmUnlink(name)], [true, false]);
    assertFalse(segmentExists(name));
    close(made);
    close(opened);
  });
});

Deno.test("shmOpen() and shmUnlink() that fail say why, with the caller's advice", () => {
  withNames((name, directory) => {
    const missing = errorOf(() => shmOpen(name, O_RDWR, 0, (code) => `see ${code}`));
    assertEquals(
      missing.message,
      `No such file or directory (os error 2): shm_open '${name}'; see ENOENT`,
    );
    Deno.mkdirSync(segmentPath(directory));
    const refused = errorOf(() => shmUnlink(directory));
    assertEquals(refused.code, "EISDIR");
    assert(refused.message.endsWith(`: shm_unlink '${directory}'`));
  });
});
