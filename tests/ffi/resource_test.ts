import { assertEquals } from "@std/assert";
import { getrlimit, RLIMIT_FSIZE } from "../../ffi/resource.ts";
import { errorOf, evalChild } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it has Linux's numbers of limits");

Deno.test("getrlimit() gives the limit that holds now", async () => {
  const resource = JSON.stringify(new URL("../../ffi/resource.ts", import.meta.url).href);
  const limits = await evalChild(
    `const { getrlimit, RLIMIT_FSIZE } = await import(${resource});
    const limits = [getrlimit(RLIMIT_FSIZE)];
    // Deno writes files, too: its caches, which grow with their use.
    new Deno.Command("prlimit", { args: ["--pid", String(Deno.pid), "--fsize=90000000000001:"] })
      .outputSync();
    limits.push(getrlimit(RLIMIT_FSIZE));
    console.log(JSON.stringify(limits.map(String)));`,
    { before: "ulimit -f 200000000000" },
  );
  assertEquals(limits, ["102400000000000", "90000000000001"]);
});

Deno.test("getrlimit() of a resource that there is not is EINVAL", () => {
  const { message } = errorOf(() => getrlimit(1000));
  assertEquals(message, "Invalid argument (os error 22): getrlimit '1000'");
  assertEquals(typeof getrlimit(RLIMIT_FSIZE), "number");
});

Deno.test("getrlimit() of what has no limit is larger than any size", async () => {
  const resource = JSON.stringify(new URL("../../ffi/resource.ts", import.meta.url).href);
  const limit = await evalChild(
    `const { getrlimit, RLIMIT_FSIZE } = await import(${resource});
    console.log(getrlimit(RLIMIT_FSIZE) > Number.MAX_SAFE_INTEGER);`,
    { before: "ulimit -f unlimited" },
  );
  assertEquals(limit, true);
});
