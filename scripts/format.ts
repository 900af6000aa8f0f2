/**
 * Formats generated text as `deno fmt` formats this repository.
 *
 * @module
 */

/** Formats a text of a kind: "md", "svg", "ts". */
export async function format(text: string, kind: "md" | "svg" | "ts"): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", kind, "-"],
    cwd: new URL("..", import.meta.url),
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout } = await child.output();
  if (code !== 0) throw new Error("Cannot format the text that was generated");
  return new TextDecoder().decode(stdout);
}
