/**
 * Runs all tests, and then makes the table of line coverage: `deno task test`.
 *
 * Most tests wait for other processes. So there are several runs of `deno test` at once: each of `others` has some
 * of the folders, the first one has all the rest. What the first one says appears as it is said, what the others
 * say when all have ended.
 *
 * @module
 */

/** What the other runs test: each takes some two thirds of the time of all the rest. */
const others = [
  ["tests/system"],
  ["tests/docs", "tests/model", "tests/publish", "tests/runtimes"],
];

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
const outputs = others.map((folders) => startTests(folders, "piped").output());
const { success } = await startTests([`--ignore=${others.flat().join()}`], "inherit").status;
const failed = success ? [] : ["the first run"];
const text = new TextDecoder();
for (const [i, folders] of others.entries()) {
  const { stdout, stderr, success } = await outputs[i];
  // The report of `deno test` goes to the one, what tests skip and warn of to the other.
  console.error(text.decode(stderr));
  console.log(`\nThe tests of ${folders.join(", ")}:\n${text.decode(stdout)}`);
  if (!success) failed.push(folders.join(", "));
}
if (failed.length > 0) {
  console.log(`\nFAILED: ${failed.join("; ")}. The report above says what.`);
  Deno.exit(1);
}
const { code } = await start(["run", "-A", "tests/coverage.ts"], "inherit").status;
Deno.exit(code);
