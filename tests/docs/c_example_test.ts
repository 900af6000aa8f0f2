// The program in C of docs/memory.md reads and changes an array that Deno made.
import { assertEquals } from "@std/assert";
import { SharedMemoryArray } from "@shm/array";
import { testWith } from "../helpers/test_with.ts";

testWith("cc", "docs/memory.md: the program in C does what its comments say", async () => {
  const page = Deno.readTextFileSync(new URL("../../docs/memory.md", import.meta.url));
  const [, code] = page.match(/^```c\n(.*?)^```$/ms)!;
  const folder = await Deno.makeTempDir();
  using sma = new SharedMemoryArray([61, 87], "float32", SharedMemoryArray.buildSmaName("c"));
  const heights = sma.create();
  try {
    heights.set(10, 20, 142);
    await Deno.writeTextFile(`${folder}/point.c`, code.replace("/heights", `/${sma.name}`));
    const cc = await new Deno.Command("cc", {
      args: ["-Wall", "-Werror", "-o", `${folder}/point`, `${folder}/point.c`, "-lrt"],
    }).output();
    assertEquals([cc.success, new TextDecoder().decode(cc.stderr)], [true, ""]);
    const { code: ended, stdout } = await new Deno.Command(`${folder}/point`).output();
    assertEquals([ended, new TextDecoder().decode(stdout)], [0, "142\n"]);
    assertEquals(heights.get(10, 21), 143);
    sma.unlink();
    const { code: failed } = await new Deno.Command(`${folder}/point`, { stderr: "null" }).output();
    assertEquals(failed, 1);
  } finally {
    sma.unlink();
    await Deno.remove(folder, { recursive: true });
  }
});
