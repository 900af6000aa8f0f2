import { assertEquals } from "@std/assert";
import { compareRows, isFatal } from "../../bench/compare.ts";
import { type Goal, makeRow, type Row } from "../../bench/measure.ts";
import { makeHighlights, makeResultsPage, replaceHighlights } from "../../bench/report.ts";
import { readResults } from "../../bench/results.ts";
import { format } from "../../scripts/format.ts";
import { testWith } from "../helpers/test_with.ts";

const root = new URL("../../", import.meta.url);

Deno.test("bench/RESULTS.md shows the newest results", async () => {
  const page = await Deno.readTextFile(new URL("bench/RESULTS.md", root));
  assertEquals(await format(makeResultsPage(await readResults()), "md"), page);
});

testWith("formatter", "README's figures are those of the newest results", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const highlights = makeHighlights(await readResults());
  assertEquals(await format(replaceHighlights(readme, highlights), "md"), readme);
});

/** A row of so many rounds, which lie about a value. */
function rowOf(what: string, goal: Goal | undefined, value: number, scatter = 0.001): Row {
  const ours = [-2, -1, 0, 1, 2].map((step) => value * (1 + step * scatter));
  const figure = goal !== undefined && "least" in goal ? "speed" : "ratio";
  const labels = { item: "item", what, unit: "ns" };
  const own = figure === "speed" ? ours.map((each) => 1 / each) : ours;
  return makeRow(labels, { name: "them", goal, figure }, own, ours.map(() => 1));
}

Deno.test("bench:compare names rows with a goal that got worse", () => {
  const most = { most: 2 };
  const least = { least: 10 };
  const before = [
    rowOf("same", most, 1),
    rowOf("slower", most, 1),
    rowOf("better", most, 1),
    rowOf("less often", least, 20),
    rowOf("noisy", most, 1, 0.3),
    rowOf("no goal", undefined, 1),
    rowOf("dropped", most, 1),
    rowOf("loosened", most, 1),
  ];
  const after = [
    rowOf("same", most, 1.04),
    rowOf("slower", most, 1.5),
    rowOf("better", most, 0.5),
    rowOf("less often", least, 16),
    rowOf("noisy", most, 1.2, 0.3),
    rowOf("no goal", undefined, 9),
    rowOf("loosened", { most: 3 }, 1),
    rowOf("new", most, 9),
  ];
  const changes = compareRows(before, after);
  assertEquals(
    changes.map(({ row, kind, percent }) => [row.what, kind, percent && Math.round(percent)]),
    [
      ["dropped", "gone", null],
      ["loosened", "its goal is easier", null],
      ["slower", "worse", 50],
      ["less often", "worse", 25],
      ["noisy", "worse, within what the rounds scatter", 20],
    ],
  );
  assertEquals(changes.filter(isFatal).length, 4);
  assertEquals(compareRows(before, before), []);
});

Deno.test("bench:compare measures a difference about zero by its goal", () => {
  const make = (own: number): Row =>
    makeRow(
      { item: "item", what: "idle", unit: "%" },
      { name: "itself", goal: { most: 0.5 }, figure: "own" },
      [own],
      [own],
    );
  assertEquals(compareRows([make(0)], [make(0.02)]), []);
  assertEquals(compareRows([make(0)], [make(0.4)]).map(({ percent }) => percent), [80]);
});
