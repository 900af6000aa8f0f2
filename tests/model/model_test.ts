/**
 * Runs the models of the protocols, as `README.md` beside them lists the runs.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";

import { slowness } from "../helpers/scale.ts";
import { testWith } from "../helpers/test_with.ts";

const folder = new URL(".", import.meta.url).pathname;

/** A run of a model. */
interface Run {
  readonly model: string;
  /** Its switches, as README has them: `N=2 WITHOUT=OLD`. */
  readonly switches: string;
  /** A property in temporal logic; without one, what holds in every state. */
  readonly property: string;
  readonly outcome: string;
}

/** What comes out of a run, by how the first line of an error begins. */
const outcomes: { readonly [outcome: string]: RegExp } = {
  assertion: /^pan:1: assertion violated/m,
  stuck: /^pan:1: invalid end state/m,
  cycle: /^pan:1: acceptance cycle/m,
};

function readRuns(): Run[] {
  const text = Deno.readTextFileSync(`${folder}README.md`);
  const rows = text.slice(text.indexOf("## The runs")).split("\n").filter((row) =>
    row.startsWith("|")
  );
  return rows.slice(2).map((row) => {
    const [model, switches, property, outcome] = row.split("|").slice(1).map((cell) => cell.trim());
    return { model, switches: switches.replaceAll("`", ""), property, outcome };
  });
}

/** What compiles the searches: tcc takes 20 ms for one, gcc 700. */
const compiler = new Deno.Command("tcc", { args: ["-v"] }).output().then(() => "tcc", () => "cc");

async function call(command: string, args: string[], cwd: string): Promise<string> {
  const child = new Deno.Command(command, { args, cwd, stdin: "null" });
  const { code, signal, stdout, stderr } = await child.output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  // spin and pan end with another code than 0 where they find an error of the model, which is read from the text.
  if (signal !== null || /cc$/.test(command) && code !== 0) {
    throw new Error(`${command} ${args.join(" ")} ended with ${signal ?? code}: ${text}`);
  }
  return text;
}

/** Makes one run; tells what came out. */
async function outcomeOf({ model, switches, property }: Run): Promise<string> {
  const cwd = await Deno.makeTempDir({ prefix: "model-" });
  try {
    const defines = switches.split(" ").filter(Boolean).map((each) => `-D${each}`);
    const made = await call("spin", ["-a", ...defines, `${folder}${model}.pml`], cwd);
    if (/error/i.test(made)) throw new Error(`spin refuses ${model} ${switches}: ${made}`);
    // To optimise takes longer to compile than it saves: most runs have some 100,000 states. So does gcc at all.
    const how = property === "" ? ["-DSAFETY", "-DNOCLAIM"] : ["-DNFAIR=4"];
    const memory = ["-DVECTORSZ=1024", "-DCOLLAPSE", "-DMEMLIM=2000"];
    await call(await compiler, ["-O0", "-w", ...how, ...memory, "-o", "pan", "pan.c"], cwd);
    const options = property === "" ? [] : ["-a", "-f", "-N", property];
    const text = await call(`${cwd}/pan`, ["-m1000000", "-w19", ...options], cwd);
    const found = Object.keys(outcomes).find((outcome) => outcomes[outcome].test(text));
    if (found !== undefined) return found;
    // A search that was not whole proves nothing.
    assertMatch(text, /errors: 0$/m);
    assert(!/error: max search depth|out of memory|Search not completed|aborting/.test(text), text);
    return "holds";
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

testWith("spin", "every run of a model comes out as README of the models says", async () => {
  const runs = readRuns();
  const results: string[] = [];
  const todo = runs.keys();
  const start = performance.now();
  const worker = async (): Promise<void> => {
    for (const i of todo) {
      const { model, switches, property } = runs[i];
      results[i] = [model, switches, property, await outcomeOf(runs[i])].join(" | ");
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, navigator.hardwareConcurrency) }, worker));
  const wanted = runs.map((run) => Object.values(run).join(" | "));
  assertEquals(results, wanted);
  // Two quiet processors take 60 seconds; this one may be busy.
  assert(performance.now() - start < 600_000 * slowness);
});

Deno.test("README of the models lists runs of every model, and of today's faults", () => {
  const runs = readRuns();
  const models = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
    name.endsWith(".pml")
  );
  for (const name of models) {
    const own = runs.filter(({ model }) => `${model}.pml` === name);
    assert(own.some(({ outcome }) => outcome === "holds"), name);
    // Each step that can be taken out is taken out by itself in a run.
    const text = Deno.readTextFileSync(`${folder}${name}`);
    // Where older code had faults, there are runs of it.
    const hasOld = /^#define OLD\b/m.test(text);
    assertEquals(own.some(({ switches }) => switches.includes("WITHOUT=OLD")), hasOld, name);
    const steps = [...text.matchAll(/^#define ([A-Z_]+) +\d+ +\/\*.*$/gm)].map(([line, step]) => ({
      line,
      step,
    }))
      .filter(({ step }) => text.includes(`HAS(${step})`)).map(({ step }) => step);
    assert(steps.length > 3, name);
    const tried = own.map(({ switches }) => /WITHOUT=([A-Z_]+)/.exec(switches)?.[1]);
    assertEquals(steps.filter((step) => !tried.includes(step)), [], name);
  }
  assertEquals([...new Set(runs.map(({ model }) => `${model}.pml`))].sort(), models.sort());
});

Deno.test("a model's words have the names of the file of words", () => {
  const text = Deno.readTextFileSync(`${folder}README.md`);
  const rows = [...text.matchAll(/^\| `(\w+\.pml)` +\|.*\|(.*)\|$/gm)];
  assertEquals(rows.length, 6);
  for (const [, model, words] of rows) {
    const [file] = /(src|docs)\/[\w/.]+/.exec(words)!;
    const source = Deno.readTextFileSync(`${folder}../../${file}`);
    const declared = Deno.readTextFileSync(`${folder}${model}`).replaceAll(/\/\*.*?\*\//gs, "");
    const names = [...words.matchAll(/`([A-Z]+)`/g)].map(([, name]) => name);
    assert(names.length > 0);
    for (const name of names) {
      assertMatch(
        source,
        new RegExp(file.endsWith(".ts") ? `^export const ${name}\\b` : `\`${name}\``, "m"),
      );
      assertMatch(declared, new RegExp(`^(unsigned|byte|bit|bool)\\b.*\\b${name}\\b`, "m"));
    }
  }
});
