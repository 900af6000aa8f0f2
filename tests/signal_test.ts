import { assertEquals } from "@std/assert";
import { signal } from "../ffi/signal.ts";
import { errorOf, evalChild, runChild } from "./helpers.ts";

const url = JSON.stringify(new URL("../ffi/signal.ts", import.meta.url).href);

Deno.test("signal() sets what a signal does, and gives what it did", async () => {
  const result = await evalChild(
    `const { raise, SIG_DFL, SIG_IGN, signal } = await import(${url});
    const before = [signal(10, SIG_IGN), signal(10, SIG_IGN)].map(String);
    raise(10);
    console.log(JSON.stringify([...before, String(signal(10, SIG_DFL))]));`,
    { permissions: ["--allow-ffi"] },
  );
  assertEquals(result, ["0", "1", "1"]);
});

Deno.test("raise() ends the process where the signal's action is the system's", async () => {
  const result = await runChild(
    `const { raise, SIG_DFL, signal } = await import(${url});
    signal(12, SIG_DFL);
    raise(12);
    console.log("survived");`,
    { permissions: ["--allow-ffi"] },
  );
  assertEquals([result.signal, result.stdout], ["SIGUSR2", ""]);
});

Deno.test("signal() of a number that there is not is EINVAL", () => {
  const { code, message } = errorOf(() => signal(1000, 0n));
  assertEquals([code, message], ["EINVAL", "Invalid argument (os error 22): signal '1000'"]);
});
