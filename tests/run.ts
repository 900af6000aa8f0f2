/**
 * Runs all tests, and then makes the table of line coverage: `deno task test`.
 *
 * Most tests wait for other processes. So there are two runs of `deno test` at once: the second has some
 * of the folders, the first all the rest. What the first one says appears as it is said, what the
 * second one says when both have ended.
 *
 * @module
 */

/** What the second run tests. They are the folders that take half of the time together. */
const second = ["tests/system", "tests/docs"];

/** Starts Deno. */
function start(args: readonly string[], output: "inherit" | "piped"): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "null",
    stdout: output,
    stderr: output,
  }).spawn();
}

/** Starts a run of tests. */
function startTests(args: readonly string[], output: "inherit" | "piped"): Deno.ChildProcess {
  const coverage = ["--coverage=coverage/raw", "--coverage-raw-data-only"];
  return start(["test", "-A", "--doc", ...coverage, ...args], output);
}

await Deno.remove("coverage", { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
const others = startTests(second, "piped").output();
const { success } = await startTests([`--ignore=${second.join()}`], "inherit").status;
const { stdout, stderr, success: othersToo } = await others;
// The report of `deno test` goes to the one, what tests skip and warn of to the other.
const text = new TextDecoder();
console.error(text.decode(stderr));
console.log(`\nThe tests of ${second.join(" and ")}:\n${text.decode(stdout)}`);
if (!success || !othersToo) {
  console.log(`\nFAILED: ${success ? second.join(" and ") : "see the first report above"}`);
  Deno.exit(1);
}
const { code } = await start(["run", "-A", "tests/coverage.ts"], "inherit").status;
Deno.exit(code);
