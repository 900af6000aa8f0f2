/**
 * Prints the line coverage that `deno test --coverage=coverage/raw` has measured.
 *
 * The processes that tests start write their coverage, too, and tests kill processes at any moment. What
 * such a process was just writing is half a file, or an empty one, at which `deno coverage` stops with an
 * error, as it does at one that a test's umask has made unreadable. So only whole files are handed to it.
 *
 * @module
 */

const raw = "coverage/raw";
const whole = "coverage/whole";

await Deno.remove(whole, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
await Deno.mkdir(whole);
let broken = 0;
for await (const { name } of Deno.readDir(raw)) {
  try {
    JSON.parse(await Deno.readTextFile(`${raw}/${name}`));
  } catch (error) {
    const isBroken = error instanceof SyntaxError || error instanceof Deno.errors.PermissionDenied;
    if (!isBroken) throw error;
    broken++;
    continue;
  }
  await Deno.rename(`${raw}/${name}`, `${whole}/${name}`);
}
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["coverage", whole, "--include=/ffi/", "--include=/src/"],
  stdin: "null",
}).spawn().status;
if (broken > 0) {
  console.log(`Left out: ${broken} files that are cut off, or that nobody can read`);
}
Deno.exit(code);
