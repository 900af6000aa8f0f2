import { assertEquals } from "@std/assert";
import { kill } from "../../ffi/signal.ts";
import { errorOf, runChild } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it has Linux's numbers of signals");

const url = JSON.stringify(new URL("../../ffi/signal.ts", import.meta.url).href);

Deno.test("kill() sends a signal to a process", async () => {
  const result = await runChild(
    `const { kill } = await import(${url});
    kill(Deno.pid, 0);
    console.log("alive");
    kill(Deno.pid, 12);
    await new Promise((resume) => setTimeout(resume, 10_000));
    console.log("survived");`,
    { permissions: ["--allow-ffi"] },
  );
  assertEquals([result.signal, result.stdout], ["SIGUSR2", "alive\n"], result.stderr);
});

Deno.test("kill() of a number that there is not is EINVAL", () => {
  const { code, message } = errorOf(() => kill(Deno.pid, 1000));
  assertEquals([code, message], ["EINVAL", `Invalid argument (os error 22): kill '${Deno.pid}'`]);
});

Deno.test("exitNow() ends the process without any event, from a Worker, too", async () => {
  const result = await runChild(
    `addEventListener("unload", () => console.log("unload"));
    const code = "import { exitNow } from " + ${JSON.stringify(url)} + "; exitNow(43);";
    new Worker("data:application/javascript," + encodeURIComponent(code), { type: "module" });`,
    { permissions: ["--allow-ffi", "--allow-read"] },
  );
  assertEquals([result.code, result.stdout], [43, ""], result.stderr);
});
