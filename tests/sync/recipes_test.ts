// The recipes in the documentation of @shm/array/sync, each in four processes. The functions are taken from
// the documentation as it stands there.

import { assert, assertEquals } from "@std/assert";
import { notify } from "@shm/array/sync";
import { scale } from "../helpers/scale.ts";
import { sleep, Teller, untilWaiting, Words } from "../helpers/sync.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm");

/** The functions in the example of the module's documentation whose title begins so. */
function recipe(title: string): string {
  const source = Deno.readTextFileSync(new URL("../../src/sync/mod.ts", import.meta.url));
  const [, example] = source.split(` * @example ${title}`);
  const code = example.split("```")[1].replaceAll(/^ \* ?/gm, "");
  return [...code.matchAll(/^(?:async )?function [\s\S]*?^}/gm)].join("\n");
}

/** Starts four processes with the same code and the number of each, and ends them after the body. */
async function inFour(
  code: string,
  names: string[],
  body: (four: Teller[]) => Promise<void>,
): Promise<void> {
  const four = await Promise.all([0, 1, 2, 3].map((i) => Teller.start(code, [...names, `${i}`])));
  try {
    await body(four);
  } finally {
    for (const teller of four) await teller[Symbol.asyncDispose]();
  }
}

Deno.test("the recipe of an event: three wait, and who comes late does not", async () => {
  const functions = recipe("Event");
  using words = new Words();
  const code = `
    ${functions}
    const data = words();
    if (Deno.args[1] === "0") {
      const happened = untilEvent(data);
      console.log("pending");
      await happened;
    } else waitForEvent(data);
    console.log(data[1]);
  `;
  await inFour(code, [words.name], async (four) => {
    assertEquals(await four[0].line(), "pending");
    await untilWaiting(four[0], "async");
    await Promise.all(four.slice(1).map((teller) => untilWaiting(teller)));
    words.data[1] = 42; // a plain store before the event is seen after it
    await using setter = await Teller.start(`${functions} setEvent(words());`, [words.name]);
    for (const teller of four) assertEquals(await teller.line(), "42");
    assertEquals((await setter.end()).code, 0);
    await using late = await Teller.start(code, [words.name, "1"]);
    assertEquals(await late.line(), "42");
  });
});

Deno.test("the recipe of a semaphore: two of four are in, never three", async () => {
  using words = new Words();
  const { data } = words;
  data[0] = 2;
  const rounds = 1000 * scale;
  const code = `
    ${recipe("Semaphore")}
    const data = words();
    for (let i = 0; i < ${rounds}; i++) {
      takePlace(data);
      const inside = Atomics.add(data, 1, 1) + 1;
      if (inside > 2) Atomics.add(data, 2, 1);
      if (inside === 2) Atomics.store(data, 3, 1);
      // The first time each stays until another one is in, too, however late that comes.
      while (i === 0 && Atomics.load(data, 3) === 0) dwell(100);
      dwell(Math.random() * 20);
      Atomics.sub(data, 1, 1);
      givePlace(data);
    }
    console.log("done");
  `;
  await inFour(code, [words.name], async (four) => {
    for (const teller of four) assertEquals(await teller.line(), "done");
  });
  assertEquals([...data.subarray(0, 4)], [2, 0, 0, 1]);
});

Deno.test("the recipe of a semaphore: a killed holder takes its place along", async () => {
  using words = new Words();
  const { data } = words;
  data[0] = 1;
  const code = `
    ${recipe("Semaphore")}
    const data = words();
    takePlace(data);
    console.log("in");
    await new Promise((resume) => setTimeout(resume, 1e9));
  `;
  await using holder = await Teller.start(code, [words.name]);
  assertEquals(await holder.line(), "in");
  await using waiter = await Teller.start(code, [words.name]);
  await untilWaiting(waiter);
  holder.kill();
  await holder.end();
  await sleep(50);
  assertEquals(data[0], 0, "the place is gone");
  await untilWaiting(waiter); // in vain
  Atomics.add(data, 0, 1); // somebody who knows gives it back
  notify(data, 0, 1);
  assertEquals(await waiter.line(), "in");
});

Deno.test("the recipe of a barrier: nobody goes on before all have come", async () => {
  using words = new Words();
  const rounds = 1000 * scale;
  const code = `
    ${recipe("Barrier")}
    const data = words();
    const own = 4 + Number(Deno.args[1]);
    for (let round = 1; round <= ${rounds}; round++) {
      data[own] = round; // plain: the barrier orders it
      dwell(Math.random() * 20);
      meet(data, 4);
      for (let i = 4; i < 8; i++) if (data[i] !== round) Atomics.add(data, 2, 1);
      meet(data, 4);
    }
    console.log("done");
  `;
  await inFour(code, [words.name], async (four) => {
    for (const teller of four) assertEquals(await teller.line(), "done");
  });
  assertEquals([...words.data.subarray(0, 3)], [0, 2 * rounds, 0]);
});

/**
 * One writer and three readers of eight numbers that are always equal; returns how many torn ones the readers saw. The
 * writer ends when they have seen one.
 */
async function torn(write: string, read: string, rounds: number): Promise<number> {
  using words = new Words();
  const code = `
    ${recipe("Seqlock")}
    const data = words();
    const numbers = data.subarray(8, 16);
    const store = (number) => {
      for (let i = 0; i < 8; i++) {
        numbers[i] = number;
        if (number % 8 === i) dwell(1);
      }
    };
    const copy = () => numbers.slice();
    if (Deno.args[1] === "0") {
      // The readers must have begun: data[2] counts them.
      while (Atomics.load(data, 2) < 3) wait(data, 2, Atomics.load(data, 2), 1);
      for (let number = 1; number <= ${rounds} && Atomics.load(data, 1) === 0; number++) {
        ${write}
        dwell(Math.random() * 10);
      }
      Atomics.store(data, 3, 1);
    } else {
      let first = true;
      while (Atomics.load(data, 3) === 0) {
        const result = ${read};
        if (result.some((number) => number !== result[0])) Atomics.add(data, 1, 1);
        if (first) Atomics.add(data, 2, 1);
        first = false;
      }
    }
    console.log("done");
  `;
  await inFour(code, [words.name], async (four) => {
    for (const teller of four) assertEquals(await teller.line(), "done");
  });
  return words.data[1];
}

Deno.test("the recipe of a seqlock: no reader sees a torn version", async () => {
  const rounds = 5000 * scale;
  const write = "writeVersion(data, () => store(number));";
  assertEquals(await torn(write, "readVersion(data, copy)", rounds), 0);
});

Deno.test("without the seqlock torn versions are seen by the same harness: the control", async () => {
  // It takes some hundreds of rounds where the readers run beside the writer, and more where they may not.
  assert(await torn("store(number);", "copy()", 5_000_000) > 0);
});

Deno.test("the recipe of a seqlock: after a killed writer the next one goes on", async () => {
  using words = new Words();
  const { data } = words;
  const functions = recipe("Seqlock");
  await using writer = await Teller.start(
    `${functions}
    const data = words();
    writeVersion(data, () => {
      data[8] = 1;
      console.log("half");
      while (true);
    });`,
    [words.name],
  );
  assertEquals(await writer.line(), "half");
  await using reader = await Teller.start(
    `${functions}
    const data = words();
    console.log("ready");
    console.log(readVersion(data, () => [data[8], data[9]]).join());`,
    [words.name],
  );
  assertEquals(await reader.line(), "ready");
  writer.kill();
  await writer.end();
  assertEquals(data[0], 1);
  await using next = await Teller.start(
    `${functions}
    const data = words();
    writeVersion(data, () => data.set([2, 2], 8));`,
    [words.name],
  );
  assertEquals((await next.end()).code, 0);
  assertEquals(await reader.line(), "2,2");
  assertEquals(data[0], 2);
});
