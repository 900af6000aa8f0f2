// Names of users, as the system knows them.

import { assertEquals } from "@std/assert";
import { geteuid } from "../../ffi/files.ts";
import { getpwuid } from "../../ffi/pwd.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it compares with /etc/passwd");

Deno.test("getpwuid() gives the names that /etc/passwd gives", () => {
  const names = new Map<number, string>();
  for (const line of Deno.readTextFileSync("/etc/passwd").split("\n")) {
    const [name, , uid] = line.split(":");
    if (uid !== undefined && !names.has(Number(uid))) names.set(Number(uid), name);
  }
  for (const [uid, name] of names) assertEquals(getpwuid(uid), name);
  assertEquals(getpwuid(geteuid()), names.get(geteuid()) ?? null);
});

Deno.test("getpwuid() gives null for a user that has no name", () => {
  assertEquals(getpwuid(3_999_999_999), null);
});
