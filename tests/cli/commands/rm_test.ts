// What `shm rm` removes.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { SharedMemory } from "@shm/array";
import { segmentExists, withNames } from "../../helpers/helpers.ts";
import { leftover, withPrefix } from "../../helpers/leftovers.ts";
import { command, shell } from "../../helpers/shell.ts";
import { everyTestWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command looks where segments are");

Deno.test("rm removes by name, and fails for one that is missing", async () => {
  await withPrefix(async (prefix) => {
    const [a, b] = [leftover(prefix), leftover(prefix)];
    assertEquals(await command(["rm", a]), { code: 0, out: `${a}\n`, err: "" });
    assert(!segmentExists(a));
    const missing = await command(["rm", a, b]);
    assertEquals(missing, {
      code: 1,
      out: `${b}\n`,
      err: `Cannot remove "${a}": there is no such segment\n`,
    });
    assert(!segmentExists(b));
  });
});

Deno.test("rm goes on after a name that cannot be one", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const { code, out, err } = shell("rm", "a/b", "", name);
    assertEquals([code, out], [1, [name]]);
    assertMatch(err[0], /Cannot use the name "a\/b"/);
    assertMatch(err[1], /Cannot use the name "": it is empty/);
  });
});

Deno.test("rm takes what begins with a dash behind --", () => {
  withNames((name) => {
    const dashed = `--${name}`;
    SharedMemory.create(dashed, 1).close();
    assertEquals(shell("rm", dashed).code, 2);
    assertEquals(shell("rm", "--", dashed), { code: 0, out: [dashed], err: [] });
  });
});
