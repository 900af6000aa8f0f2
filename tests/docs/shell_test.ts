// docs/shell.md: what it shows is what the commands print while three programs run.

import { assertEquals } from "@std/assert";
import { withFolder } from "../helpers/helpers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "the commands list segments");

/** The section of the page in which three programs run; the others have tests of their own. */
function sessionOf(page: string): string {
  return /^## Three programs are running$.*?(?=^## )/ms.exec(page)![0];
}

/** The commands of a section, and what stands below each. */
function commandsOf(page: string): [command: string, output: string][] {
  return [...page.matchAll(/^```console\n(.*?)^```$/gms)]
    .flatMap(([, block]) => block.split(/^\$ /m).slice(1))
    .map((text) => [text.slice(0, text.indexOf("\n")), text.slice(text.indexOf("\n") + 1)]);
}

/** Takes away what differs from run to run: numbers of processes, times, ids, and the width of columns. */
function settled(output: string): string[] {
  return output.trimEnd().split("\n").map((line) =>
    // Elements stay as they are.
    /^ ?\[/.test(line) ? line : line
      .replace(/\b\d+-tile-[\d-]+-[\da-f-]+/, "TILE")
      .replace(/[\da-f]{16}(?=\.v1)/, "ID")
      .replaceAll(/python[\d.]*:\d+/g, "python:PID")
      .replaceAll(/deno:\d+/g, "deno:PID")
      .replace(/^\d\d:\d\d:\d\d .*/, "TIME, and numbers")
      .replace(/^Frame \d+.*/, "Frame N")
      .replaceAll(/\b[\d.]+ ?(m?s|m|\/s|µs)(?= |$|,)/g, "N")
      .replace(/; \/dev\/shm: .*/, "; ROOM")
      .replaceAll(/ +/g, " ")
  );
}

testWith(
  ["namespaces", "NumPy"],
  "docs/shell.md: each command prints what the page shows",
  () =>
    withFolder(async (folder) => {
      const page = Deno.readTextFileSync(new URL("../../docs/shell.md", import.meta.url));
      const expected = commandsOf(sessionOf(page));
      const { success, stdout, stderr } = await new Deno.Command("sh", {
        args: [
          "-c",
          inNamespaces(
            "--mount --pid --fork --mount-proc",
            "mount -t tmpfs -o size=64m tmpfs /dev/shm",
          ),
          "sh",
          Deno.execPath(),
          "run",
          "-A",
          "--no-check",
          new URL("shell_scene/run.ts", import.meta.url).pathname,
          folder,
          ...expected.map(([command]) => command),
        ],
        env: { NO_COLOR: "1" },
      }).output();
      const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      if (!success) throw new Error(errors);
      const settle = ([command, output]: [string, string]) => [command, settled(output)];
      assertEquals(
        (JSON.parse(text) as [string, string][]).map(settle),
        expected.map(settle),
      );
    }),
);
