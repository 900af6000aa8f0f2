// What `shm watch` prints, second by second, and how it ends.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { SharedMemory, SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing, SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryQueue } from "@shm/array/queue";
import { SharedMemoryBarrier, SharedMemoryLock } from "@shm/array/sync";
import { segmentPath, withNames } from "../../helpers/helpers.ts";
import { Member } from "../../helpers/publish_helpers.ts";
import { cli, command, shell } from "../../helpers/shell.ts";
import { inTerminal } from "../../helpers/terminal.ts";
import { everyTestWith, testWith } from "../../helpers/test_with.ts";

everyTestWith("Linux", "the command looks at segments");

/** A process that writes frames, and one that reads. */
async function withRing(
  body: (name: string, writer: Member, reader: Member) => Promise<void>,
): Promise<void> {
  await withNames(async (name) => {
    const members: Member[] = [];
    try {
      members.push(
        await Member.start(`
          globalThis.ring = new SharedMemoryRing([2, 3], "uint8", ${
          JSON.stringify(name)
        }, 4).create();
          let n = 0;
          ring.write(n);
          say("up");
          setInterval(() => ring.write(++n % 256), 20);
        `),
      );
      await members[0].line();
      members.push(
        await Member.start(`
          globalThis.ring = new SharedMemoryRing([2, 3], "uint8", ${
          JSON.stringify(name)
        }, 4).load();
          say("up");
          for await (const frame of ring.frames()) void frame;
        `),
      );
      await members[1].line();
      await body(name, members[0], members[1]);
    } finally {
      for (const member of members) await member.kill();
    }
  });
}

Deno.test("watch tells of a ring the newest frame, the rate, the age, and who reads", async () => {
  await withRing(async (name, writer, reader) => {
    // A writer that was stopped for a second has written nothing meanwhile.
    const watch = () => command(["watch", name, "--count", "3"]);
    const rowsOf = (out: string): number[] =>
      out.trimEnd().split("\n").slice(2).map((line) => Number(line.slice(8, 18)));
    let watched = await watch();
    for (let tries = 1; tries < 20 && new Set(rowsOf(watched.out)).size < 3; tries++) {
      watched = await watch();
    }
    const { code, out, err } = watched;
    assertEquals([code, err], [0, ""]);
    const lines = out.trimEnd().split("\n");
    assertEquals(lines[0], `Ring of 4 slots, uint8 [2,3], written by deno:${writer.pid}`);
    assertEquals(lines[1], "TIME         FRAME      RATE    AGE  SKIPPED  READERS");
    assertEquals(lines.length, 5);
    const frames = lines.slice(2).map((line) => {
      assertMatch(line, /^\d\d:\d\d:\d\d +\d+ +(-|[\d.]+\/s) +(-|[\d.]+m?s) +(-|\d+) {2}deno:\d+$/);
      assert(line.endsWith(`  deno:${reader.pid}`), line);
      return Number(line.slice(8, 18));
    });
    assert(frames[0] < frames[1] && frames[1] < frames[2], lines.join("\n"));
    assertMatch(lines[2], / - +(-|[\d.]+m?s) +- {2}/);
  });
});

Deno.test("watch --json prints an object a line, with what a reader misses", async () => {
  await withRing(async (name, writer, reader) => {
    const { code, out } = await command(["watch", name, "--count=3", "--json"]);
    assertEquals(code, 0);
    const all = out.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(all.length, 3);
    for (const [i, each] of all.entries()) {
      const { time, sequence, rate, ageMs, skipped, ...rest } = each;
      assert(Math.abs(Date.now() - Date.parse(time)) < 60_000);
      assert(ageMs === null || ageMs >= 0);
      assertEquals(rest, {
        name,
        kind: "ring",
        writer: { pid: writer.pid, program: "deno" },
        readers: [{ pid: reader.pid, program: "deno" }],
        ended: false,
      });
      if (i === 0) assertEquals([rate, skipped], [null, null]);
      else {
        const come = sequence - all[i - 1].sequence;
        assertEquals(skipped, Math.max(0, come - 3));
        // A writer that was stopped for a second has written nothing meanwhile.
        assertEquals(rate > 0, come > 0);
      }
    }
  });
});

Deno.test("watch ends when a stream has ended, and says so", async () => {
  await withNames(async (name) => {
    using ring = new SharedMemoryRing(1, "uint8", name, 2).create();
    ring.write(1);
    ring.end();
    const { code, out, err } = await command(["watch", name]);
    assertEquals([code, err], [0, "Its writer has ended it: no more comes.\n"]);
    assertEquals(out.trimEnd().split("\n").length, 3);
  });
});

/** Starts a watch, and waits for some of its lines. */
async function startWatch(name: string, lines: number, ...args: string[]) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-ffi", cli, "watch", name, ...args],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const errors = new Response(process.stderr).text();
  let text = "";
  while (text.split("\n").length <= lines) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the watch ended: ${text}${await errors}`);
    text += value;
  }
  return { process, reader, errors };
}

Deno.test("watch ends when the name is removed, or leads to another segment", async () => {
  const endings: [end: (name: string, other: string) => void, message: string][] = [
    [(name) => void new SharedMemoryArray(4, "uint8", name).unlink(), "It was removed.\n"],
    [
      // In one step: a look may come between two.
      (name, other) => Deno.renameSync(segmentPath(other), segmentPath(name)),
      "It was removed; another segment has its name now.\n",
    ],
  ];
  for (const [end, message] of endings) {
    await withNames(async (name, otherName) => {
      using sma = new SharedMemoryArray(4, "uint8", name);
      sma.create();
      using other = new SharedMemoryArray(4, "uint8", otherName);
      other.create();
      const { process, reader, errors } = await startWatch(name, 3);
      end(name, otherName);
      assertEquals((await process.status).code, 0);
      assertEquals(await errors, message);
      await reader.cancel();
    });
  }
});

Deno.test("watch tells whether the elements of an array changed", async () => {
  await withNames(async (name) => {
    using sma = new SharedMemoryArray(1000, "uint8", name);
    sma.create();
    const { process, reader, errors } = await startWatch(name, 2, "--json");
    sma.array!.set(999, 1); // the last byte of all
    const seen: { changed: boolean; usedBy: unknown }[] = [];
    // It changes once, in one of the next lines.
    for (let text = ""; !(seen.some(({ changed }) => changed) && !seen.at(-1)!.changed);) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the watch ended: ${await errors}`);
      text += value;
      const lines = text.split("\n");
      text = lines.pop()!;
      seen.push(...lines.map((line) => JSON.parse(line)));
    }
    assertEquals(seen.filter(({ changed }) => changed).length, 1);
    assertEquals(seen[0].usedBy, [{ pid: Deno.pid, program: "deno" }]);
    process.kill("SIGINT");
    assertEquals([(await process.status).signal, await errors], ["SIGINT", ""]);
    await reader.cancel();
  });
});

Deno.test("watch tells of versions, locks and anonymous segments, too", async () => {
  await withNames(async (tableName, lockName) => {
    using table = new SharedMemoryVersions(2, "uint8", tableName).create();
    await table.publish((next) => void next.fill(1));
    const versions = shell("watch", tableName, "--count", "2");
    assertEquals(versions.code, 0);
    assertEquals(versions.out[1], "TIME       VERSION      RATE    AGE  SKIPPED  READERS");
    assertMatch(versions.out[3], /^\S+ +1 +0\.0\/s +\S+s +0 +-$/);
    table.unlink();

    using lock = new SharedMemoryLock(lockName).create();
    using _guard = lock.acquire();
    const held = shell("watch", lockName, "--count", "1");
    assertEquals(held.out[0], "TIME      STATE                   WAITING   MAPPED BY");
    assert(held.out[1].slice(10).startsWith(`held by deno:${Deno.pid}`), held.out[1]);
    assertMatch(held.out[1], /nobody +-$/);

    using anonymous = SharedMemoryArray.createAnonymous(4, "uint8");
    const unnamed = shell("watch", anonymous.name, "--count", "1", "--json");
    assertEquals([unnamed.code, JSON.parse(unnamed.out[0]).kind], [0, "array"]);
    anonymous.unlink();
  });
});

Deno.test("watch tells of a queue what waits and who works, until all is over", async () => {
  await withNames(async (name) => {
    using queue = new SharedMemoryQueue(name, 4).create();
    queue.put(1);
    queue.put(2);
    const item = queue.take()!;
    const one = shell("watch", name, "--count", "1");
    assertEquals(one.out[0], "TIME      WAITING  TAKEN   FREE      RATE  HELD BY");
    assertMatch(one.out[1], new RegExp(` 1 +1 +2 +- +deno:${Deno.pid}$`));
    const { process, reader, errors } = await startWatch(name, 1, "--json");
    item.complete();
    queue.take()!.complete();
    queue.end();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
    assertEquals((await process.status).code, 0);
    assertEquals(await errors, "It was ended, and nothing is left in it.\n");
    const all = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    const last = all.at(-1);
    assertEquals([last.kind, last.free, last.completed, last.ended], ["queue", 4, 2, true]);
    assert(all.some(({ rate }) => rate > 0), text);
  });
});

Deno.test("watch tells of a barrier how far it is and who sits", async () => {
  await withNames(async (name) => {
    using barrier = new SharedMemoryBarrier(name, 2).createOrLoad();
    using other = SharedMemoryBarrier.from(barrier).load();
    const met = other.meetAsync();
    barrier.meet();
    await met;
    const waiting = other.meetAsync();
    const one = shell("watch", name, "--count", "1");
    assertEquals(one.out[0], "TIME      GENERATION      RATE  SEATS  COME  DEAD  PARTIES");
    assertMatch(one.out[1], new RegExp(` 1 +- +2/2 +1 +0 +deno:${Deno.pid}$`));
    barrier.meet();
    await waiting;
    other.close();
    const { out } = shell("watch", name, "--count", "1", "--json");
    const facts = JSON.parse(out[0]);
    assertEquals([facts.kind, facts.parties, facts.generation, facts.rate], [
      "barrier",
      2,
      2,
      null,
    ]);
    assertEquals(facts.seats.map(({ dead }: { dead: boolean }) => dead), [false, true]);
  });
});

Deno.test("a look at a sparse array takes no memory, but for the page that tells its kind", () => {
  withNames((name) => {
    using sma = new SharedMemoryArray(2 ** 24, "uint8", name);
    sma.create({ reserve: false });
    assertEquals(shell("watch", name, "--count", "1").code, 0);
    const { blocks, blksize } = Deno.statSync(segmentPath(name));
    assert(blocks! * 512 <= blksize!, `${blocks} blocks`);
  });
});

Deno.test("watch refuses wrong words, and what is not there", () => {
  withNames((name) => {
    assertMatch(shell("watch", name).err[0], /Cannot watch '.*': there is no such segment/);
    using _memory = SharedMemory.create(name, 8);
    const wrong: [string[], RegExp][] = [
      [[], /watch wants the name of a segment/],
      [[name, "--count", "0"], /--count wants a whole number from 1 on, and not "0"/],
      [[name, "--count", "1.5"], /--count wants/],
      [[`${name}[0]`], /watch takes a name without brackets/],
    ];
    for (const [args, message] of wrong) {
      const { code, err } = shell("watch", ...args);
      assertEquals(code, 2);
      assertMatch(err[0], message);
    }
  });
});

testWith("NumPy", "Ctrl-C ends watch in a terminal of 80 columns, by its signal", async () => {
  await withRing(async (name, writer, reader) => {
    const { lines, raw, code } = await inTerminal(["watch", name], {
      typed: [["READERS", "\x03"]],
    });
    assertEquals(code, -2);
    assertEquals(lines[0], `Ring of 4 slots, uint8 [2,3], written by deno:${writer.pid}`);
    assertEquals(lines[1], "TIME         FRAME      RATE    AGE  SKIPPED  READERS");
    assert(raw.includes("\x1b[1mTIME "), raw);
    assert(lines[2].endsWith(`deno:${reader.pid}`) || lines[2].startsWith("^C"), lines[2]);
    const narrow = await inTerminal(["watch", name, "--count", "1"], { columns: 30 });
    assertEquals(narrow.lines.map((line) => line.length), [30, 30, 30]);
    assert(narrow.lines.every((line) => line.endsWith("…")), narrow.lines.join("\n"));
  });
});

Deno.test("watch ends when nobody reads its lines any more", async () => {
  await withNames(async (name) => {
    using _memory = SharedMemory.create(name, 8);
    const script = `"$0" run -q --allow-ffi "$1" watch "$2" | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout } = await new Deno.Command("bash", {
      args: ["-c", script, Deno.execPath(), cli, name],
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "TIME      CHANGED  USED BY\n141\n");
  });
});
