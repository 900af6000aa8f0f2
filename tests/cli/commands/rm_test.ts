// What `shm rm` removes.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryVersions } from "@shm/array/publish";
import { segmentExists, segmentPath, startChild, until, withNames } from "../../helpers/helpers.ts";
import { find, leftover, withPrefix } from "../../helpers/leftovers.ts";
import { command, shell } from "../../helpers/shell.ts";
import { inTerminal } from "../../helpers/terminal.ts";
import { everyTestWith, testWith } from "../../helpers/test_with.ts";

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

/** Calls `body` while a process of its own maps a segment of 8 bytes. */
async function withUser(
  name: string,
  body: (pid: number) => void | Promise<void>,
): Promise<void> {
  const child = await startChild(`
    using sma = new SharedMemoryArray(8, "uint8", ${JSON.stringify(name)});
    sma.create();
    console.log("ready");
    await new Promise(() => setInterval(() => {}, 1000));
  `);
  try {
    await until("the process maps the segment", () => pidsOf(name).length === 1);
    await body(child.pid);
  } finally {
    child.kill("SIGKILL");
    await child.output();
  }
}

/** The processes that map a segment. */
function pidsOf(name: string): number[] {
  return find(name)?.pids ?? [];
}

Deno.test("rm refuses what a process maps where nobody can be asked, and goes on", () =>
  withNames((name, other) =>
    withUser(name, async (pid) => {
      SharedMemory.create(other, 1).close();
      assertEquals(shell("rm", name, other), {
        code: 1,
        out: [other],
        err: [`Cannot remove '${name}': deno:${pid} maps it; -f removes the name nevertheless`],
      });
      // A process of its own, whose input is no terminal either.
      assertEquals((await command(["rm", name])).code, 1);
      assert(segmentExists(name));
      assertEquals(shell("rm", "-f", name), { code: 0, out: [name], err: [] });
      assert(!segmentExists(name));
    })
  ));

testWith(
  "NumPy",
  "rm asks in a terminal, and removes after yes only",
  () =>
    withNames((name) =>
      withUser(name, async (pid) => {
        const question = `Remove '${name}', which deno:${pid} maps? [y/N] `;
        const asked = (keys: string) => inTerminal(["rm", name], { typed: [["[y/N] ", keys]] });
        for (const keys of ["n\n", "\n", "no\n"]) {
          const { code, raw } = await asked(keys);
          assertEquals([code, raw], [0, `${question}${keys}Kept '${name}'\n`]);
          assert(segmentExists(name));
        }
        const { code, raw } = await asked("y\n");
        assertEquals([code, raw], [0, `${question}y\n${name}\n`]);
        assert(!segmentExists(name));
      })
    ),
);

testWith(
  "NumPy",
  "rm does not ask where nobody maps a segment, or with -f",
  () =>
    withNames((name, unused) =>
      withUser(name, async () => {
        SharedMemory.create(unused, 1).close();
        assertEquals((await inTerminal(["rm", unused])).raw, `${unused}\n`);
        assertEquals((await inTerminal(["rm", "--force", name])).raw, `${name}\n`);
      })
    ),
);

Deno.test("rm names up to three processes that map a segment", () =>
  withNames((name) =>
    withUser(name, async () => {
      const attach = `
        using sma = new SharedMemoryArray(8, "uint8", ${JSON.stringify(name)});
        sma.load();
        await new Promise(() => setInterval(() => {}, 1000));
      `;
      const others = await Promise.all([1, 2, 3].map(() => startChild(attach)));
      try {
        await until("four processes map the segment", () => pidsOf(name).length === 4);
        const [a, b, c] = pidsOf(name).map((pid) => `deno:${pid}`);
        assertEquals(shell("rm", name).err, [
          `Cannot remove '${name}': ${a}, ${b}, ${c} and 1 other map it; ` +
          "-f removes the name nevertheless",
        ]);
      } finally {
        for (const other of others) {
          other.kill("SIGKILL");
          await other.output();
        }
      }
    })
  ));

Deno.test("rm takes a path of /dev/shm", () => {
  withNames((name) => {
    SharedMemory.create(name, 1).close();
    assertEquals(shell("rm", segmentPath(name)), { code: 0, out: [name], err: [] });
    assert(!segmentExists(name));
    const { code, err } = shell("rm", `/tmp/${name}`);
    assertEquals(code, 1);
    assertMatch(err[0], /Cannot use the name/);
  });
});

Deno.test("rm takes patterns, and says which fits nothing", async () => {
  await withPrefix((prefix) => {
    const names = [leftover(prefix), leftover(prefix)].sort();
    const kept = leftover(`${prefix}x`);
    try {
      assertEquals(shell("rm", `*-${prefix}-*`, names[0]), { code: 0, out: names, err: [] });
      assert(segmentExists(kept));
      assertEquals(shell("rm", `*-${prefix}-*`, kept), {
        code: 1,
        out: [kept],
        err: [`Cannot remove "*-${prefix}-*": no segment of this user has such a name`],
      });
    } finally {
      SharedMemoryArray.clearBuffers([kept]);
    }
  });
});

Deno.test("rm takes a pattern for a publication with all of its versions, once", () =>
  withNames((name) => {
    using table = new SharedMemoryVersions(4, "float32", name);
    table.create();
    try {
      table.publish((next) => void next.fill(1));
      // This process maps the publication and its version.
      const refused = shell("rm", `${name}*`);
      assertEquals([refused.code, refused.out, refused.err.length], [1, [], 1]);
      assertMatch(refused.err[0], /deno:\d+ maps it/);
      assertEquals(shell("rm", "-f", `${name}*`), { code: 0, out: [name], err: [] });
      assertEquals(namesLike(name), []);
    } finally {
      table.unlink();
    }
  }));

/** The segments whose names begin so. */
function namesLike(start: string): string[] {
  return [...Deno.readDirSync("/dev/shm")].map(({ name }) => name)
    .filter((name) => name.startsWith(start));
}

Deno.test("rm --json prints the names that were removed", async () => {
  await withPrefix((prefix) => {
    const name = leftover(prefix);
    const { code, out, err } = shell("rm", "--json", "not there", name);
    assertEquals([code, JSON.parse(out.join("\n"))], [1, [name]]);
    assertEquals(err, ['Cannot remove "not there": there is no such segment']);
  });
});

Deno.test("rm of an anonymous segment says whose it is", async () => {
  const child = await startChild(`
    const sma = SharedMemoryArray.createAnonymous(8, "uint8");
    console.log(sma.name);
    await new Promise(() => setInterval(() => {}, 1000));
  `);
  try {
    const reader = child.stdout.getReader();
    const name = new TextDecoder().decode((await reader.read()).value).trim();
    reader.releaseLock();
    for (const args of [["rm", name], ["rm", "-f", name]]) {
      const { code, out, err } = shell(...args);
      assertEquals([code, out], [1, []]);
      assertMatch(err[0], new RegExp(`it belongs to process ${child.pid}, which made it`));
    }
  } finally {
    child.kill("SIGKILL");
    await child.output();
  }
});
