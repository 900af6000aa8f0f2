// What `shm python` prints is the file of the repository.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { moduleText } from "../../../scripts/generate_python_text.ts";
import { shmAttach } from "../../../src/cli/python_text.ts";
import { command, shell } from "../../helpers/shell.ts";
import { withFolder } from "../../helpers/helpers.ts";
import { testWith } from "../../helpers/test_with.ts";
import { eachNumPyTest } from "../../helpers/python.ts";
import { SharedMemoryArray } from "@shm/array";

const file = new URL("../../../examples/python/shm_attach.py", import.meta.url);

Deno.test("src/cli/python_text.ts is what deno task generate writes", async () => {
  const written = Deno.readTextFileSync(
    new URL("../../../src/cli/python_text.ts", import.meta.url),
  );
  assert(written === await moduleText(), "run deno task generate");
  assert(shmAttach === Deno.readTextFileSync(file), "the text is another one");
});

testWith("Linux", "shm python prints the file byte for byte, and needs no permission", async () => {
  const { code, out, err } = await command(["python"], []);
  assertEquals([code, err], [0, ""]);
  assert(out === Deno.readTextFileSync(file), out.slice(0, 200));
});

Deno.test("shm python takes no words, and its help tells where to put the file", () => {
  assertEquals(shell("python", "shm_attach.py").code, 2);
  assertEquals(shell("python", "--json").code, 2);
  const { code, out } = shell("help", "python");
  assertEquals(code, 0);
  assertStringIncludes(out.join("\n"), "shm python > shm_attach.py");
});

eachNumPyTest(
  "what shm python prints is all that a Python program needs",
  ({ path }) =>
    withFolder(async (folder) => {
      const { out } = await command(["python"], []);
      Deno.writeTextFileSync(`${folder}/shm_attach.py`, out);
      using sma = new SharedMemoryArray(
        [2, 3],
        "float32",
        SharedMemoryArray.buildSmaName("python"),
      );
      sma.create();
      try {
        Deno.writeTextFileSync(
          `${folder}/main.py`,
          "import sys\nfrom shm_attach import attach\nattach(sys.argv[1])[1, 2] = 7\n",
        );
        const { success, stderr } = await new Deno.Command(path, {
          args: ["-B", `${folder}/main.py`, sma.name],
        }).output();
        assert(success, new TextDecoder().decode(stderr));
        assertEquals(sma.array!.get(1, 2), 7);
      } finally {
        sma.unlink();
      }
    }),
);
