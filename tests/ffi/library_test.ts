import {
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { checked, cString, libc, nullIfMissing, textOf } from "../../ffi/library.ts";
import { hasCode } from "../../ffi/errors.ts";
import { errorOf, runChild, uniqueName } from "../helpers/helpers.ts";
import { everyTestWith, inNamespaces, testWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it lists segments");

/** A call that fails with errno set to one number after the other, and succeeds at the end. */
function failing(...numbers: number[]): { call: () => number; calls: () => number } {
  let calls = 0;
  const call = (): number => {
    if (calls === numbers.length) return 0;
    libc().errno[0] = numbers[calls++];
    return -1;
  };
  return { call, calls: () => calls };
}

Deno.test("checked() gives what a call returned, whatever errno says", () => {
  libc().errno[0] = 13;
  assertEquals(checked("f", null, () => 7), 7);
  assertEquals(checked("f", null, () => 0), 0);
});

Deno.test("checked() believes a failure that was told twice in a row", () => {
  const { call, calls } = failing(2, 2, 13);
  const error = errorOf(() => checked("shm_open", "x", call));
  assertEquals(calls(), 2);
  assertInstanceOf(error, Deno.errors.NotFound);
  assertEquals(error.message, "No such file or directory (os error 2): shm_open 'x'");
});

Deno.test("checked() does not believe what another system call left in errno", () => {
  // 11 is what a futex leaves: between the failure and the reading V8 made one.
  const { call, calls } = failing(11, 2, 11, 13, 13);
  assertEquals(hasCode(errorOf(() => checked("shm_open", "x", call)), "EACCES"), true);
  assertEquals(calls(), 5);
});

Deno.test("checked() repeats an interrupted call until it ends otherwise", () => {
  const { call, calls } = failing(4, 4, 4);
  assertEquals([checked("f", null, call), calls()], [0, 3]);
});

Deno.test("checked() gives the answer that a code is, and throws the others", () => {
  const answer = (code: string) => ["ENOENT", "EAGAIN"].includes(code) ? `was ${code}` : undefined;
  assertEquals(checked("f", null, failing(2, 2).call, { answer }), "was ENOENT");
  assertEquals(checked("f", null, failing(11, 2, 11, 11).call, { answer }), "was EAGAIN");
  assertEquals(errorOf(() => checked("f", null, failing(13, 13).call, { answer })).code, "EACCES");
  // The code is a value of this call: another call between changes nothing.
  const inner = failing(2, 2);
  const outer = (code: string) => {
    checked("f", null, inner.call, nullIfMissing);
    return code;
  };
  assertEquals(checked("f", null, failing(17, 17).call, { answer: outer }), "EEXIST");
});

Deno.test("checked() believes an answer at once where a call must not be repeated", () => {
  const answer = (code: string) => ["EINTR", "ETIMEDOUT"].includes(code) ? code : undefined;
  for (const [errno, code] of [[4, "EINTR"], [110, "ETIMEDOUT"]] as const) {
    const { call, calls } = failing(errno, errno);
    assertEquals(
      [checked("f", null, call, { answer, isBelievedAtOnce: true }), calls()],
      [code, 1],
    );
  }
  // Any other failure is believed the second time.
  const { call, calls } = failing(22, 22);
  const error = errorOf(() => checked("f", null, call, { answer, isBelievedAtOnce: true }));
  assertEquals([error.code, calls()], ["EINVAL", 2]);
});

Deno.test("checked() asks its caller what a failure is", () => {
  libc().errno[0] = 12;
  const isFailure = (result: bigint) => result === 5n;
  assertEquals(checked("mmap", null, () => -1n, { isFailure }), -1n);
  assertEquals(errorOf(() => checked("mmap", null, () => 5n, { isFailure })).code, "ENOMEM");
});

Deno.test("checked() takes advice for a code", () => {
  const advice = (code: string) => `see ${code}`;
  const { message } = errorOf(() => checked("shm_open", "x", failing(17, 17).call, { advice }));
  assertEquals(message, "File exists (os error 17): shm_open 'x'; see EEXIST");
});

Deno.test("checked() knows the way out of what can happen to any call", () => {
  const waysOut = {
    EIO: [5, /^Input\/output error \(os error 5\): flock 'x'; .*dmesg/],
    ENOLCK: [37, /^No locks available \(os error 37\): flock 'x'; .*close what is not used/],
    ENOSYS: [38, /^Function not implemented \(os error 38\): flock 'x'; .*kernel.*seccomp/],
    EROFS: [30, /^Read-only file system \(os error 30\): flock 'x'; .*remount,rw/],
  } as const;
  for (const [code, [errno, says]] of Object.entries(waysOut)) {
    const error = errorOf(() => checked("flock", "x", failing(errno, errno).call));
    assertEquals(error.code, code);
    assertMatch(error.message, says);
    // What the caller knows comes first.
    const told = errorOf(() =>
      checked("flock", "x", failing(errno, errno).call, { advice: () => "do that" })
    );
    assertEquals(told.message.split("; ").slice(1), ["do that"]);
  }
});

testWith(
  "namespaces",
  "create() where /dev/shm is mounted read-only says how to go on",
  async () => {
    for (const length of [10, 2 ** 22]) {
      const { stdout, stderr } = await runChild(
        `try {
        new SharedMemoryArray(${length}, "uint8", "x").create();
      } catch (error) {
        console.log(error.code, error.message);
      }`,
        { before: inNamespaces("--mount", "mount -t tmpfs -o ro tmpfs /dev/shm") },
      );
      assertMatch(
        stdout,
        /^EROFS Read-only file system \(os error 30\): .*; .*mount -o remount,rw .*createAnonymous\(\)/,
        stderr,
      );
    }
  },
);

Deno.test("cString() ends in NUL and is UTF-8", () => {
  const bytes = cString("/é");
  assertEquals([...bytes.subarray(0, bytes.indexOf(0) + 1)], [0x2f, 0xc3, 0xa9, 0]);
});

Deno.test("textOf() reads every name, and cString() writes the same bytes", () => {
  const names: [bytes: number[], text: string][] = [
    [[0x61, 0xc3, 0xa9, 0xf0, 0x9f, 0x8f, 0x94], "aé🏔"],
    [[0x61, 0xff, 0x62], "a\udcffb"],
    [[0xc3], "\udcc3"],
    [[0xc3, 0x28], "\udcc3("],
    [[0xf0, 0x9f, 0x8f], "\udcf0\udc9f\udc8f"],
    [[0xff, 0xc3, 0xa9, 0x80], "\udcffé\udc80"],
    // Surrogates in UTF-8, and a mark at the beginning.
    [[0xed, 0xb2, 0x80], "\udced\udcb2\udc80"],
    [[0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
    [[], ""],
  ];
  for (const [bytes, text] of names) {
    assertEquals(textOf(Uint8Array.from(bytes)), text);
    assertEquals([...cString(text).subarray(0, bytes.length + 1)], [...bytes, 0]);
  }
  // What stands for no byte is written as the standard says.
  assertEquals([...cString("\ud800").subarray(0, 4)], [0xef, 0xbf, 0xbd, 0]);
});

Deno.test("cString() refuses what is longer than any name or path of this library", () => {
  assertEquals(cString("x".repeat(511))[511], 0);
  for (const text of ["x".repeat(512), "é".repeat(256), "🏔".repeat(200), "\udcff".repeat(512)]) {
    const error = assertThrows(() => cString(text), RangeError);
    assertEquals(error.message, `Cannot pass ${text.length} characters to the C library`);
  }
});

Deno.test("the library is opened at the first call, not at import", async () => {
  const code = `
    let opened = 0;
    const { dlopen } = Deno;
    Deno.dlopen = (...args) => (opened++, dlopen(...args));
    const sma = new SharedMemoryArray(4, "uint8", Deno.args[0]);
    const before = opened;
    sma.unlink();
    sma.unlink();
    const after = opened;
    sma.create(); // list() asks each segment what it is
    // Other programs may have anonymous ones, which it would ask, too: so there is one in any case.
    const anonymous = SharedMemoryArray.createAnonymous(4, "uint8");
    SharedMemoryArray.list();
    sma.unlink();
    anonymous.unlink();
    console.log(JSON.stringify([before, after, opened]));`;
  const { stdout, stderr } = await runChild(code, {
    permissions: ["--allow-ffi"],
    args: [uniqueName()],
  });
  // Older systems have what is needed in the second library that is tried, and the first look at /dev/shm opens
  // what reads folders, and what reads descriptions by a path. What makes anonymous segments is opened, too.
  const tries = libc().platform.libraries.indexOf(libc().name) + 1;
  const opened = tries === 1 ? "[0,1,4]" : "[0,3,5]";
  assertEquals([stdout.trim(), stderr], [opened, ""]);
});

Deno.test("a Linux whose C library is musl says that glibc is needed", async () => {
  // musl 1.2.3 has all that is needed, and takes the name libc.so.6 for its own; this function it does not have.
  const code = `
    const { dlopen } = Deno;
    Deno.dlopen = (...args) => {
      const { symbols } = dlopen(...args);
      return { symbols: { ...symbols, gnu_get_libc_version: null } };
    };
    try { SharedMemoryArray.list(); } catch ({ name, code, message }) {
      console.log(JSON.stringify([name, code, message]));
    }`;
  const { stdout, stderr } = await runChild(code, { permissions: ["--allow-ffi"] });
  assertEquals([JSON.parse(stdout), stderr], [[
    "NotSupported",
    "ENOTSUP",
    "Cannot share memory: on Linux glibc is needed, and this C library is another one (musl, as on Alpine)",
  ], ""]);
});

Deno.test("a system without the library says what was looked for", async () => {
  const code = `
    Deno.dlopen = () => { throw new Error("none here"); };
    try {
      new SharedMemoryArray(4, "uint8", "x").load();
    } catch (error) {
      console.log(error.name, error.message, error.cause.message);
    }`;
  const { stdout } = await runChild(code);
  assertEquals(
    stdout.trim(),
    "NotSupported Cannot share memory: none of libc.so.6, librt.so.1 has what is needed none here",
  );
});

/** Runs a program at a terminal, and answers the first question for a permission. */
async function atTerminal(program: string, answer: string): Promise<string> {
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(file, program);
  const command = `${Deno.execPath()} run --no-config --no-check --allow-read ${file}`;
  const child = new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", command, "/dev/null"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  let output = "";
  try {
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      const asked = output.includes("Allow? [");
      output += piece;
      if (asked || !output.includes("Allow? [")) continue;
      // Deno throws away what was typed before the question.
      await new Promise((resume) => setTimeout(resume, 300));
      await input.write(new TextEncoder().encode(`${answer}\n`));
    }
  } finally {
    await input.close().catch(() => {}); // The program may have ended.
    await child.status;
    Deno.removeSync(file);
  }
  return output;
}

Deno.test("libc() says what to do when a prompt was answered for one library only", async () => {
  const library = JSON.stringify(new URL("../../ffi/library.ts", import.meta.url).href);
  const program = `import { libc } from ${library};
    try { console.log(libc().name); } catch (error) { console.log(String(error)); }`;
  const refused = await atTerminal(program, "y");
  assertStringIncludes(
    refused,
    'NotCapable: Cannot share memory: ffi access was granted to "libc.so.6" only, and all ffi access ' +
      "is needed; answer the prompt with A, or run again with the --allow-ffi flag",
  );
  // It does not ask a second time.
  assertEquals(refused.split("Allow? [").length - 1, 1, refused);
  assertStringIncludes(await atTerminal(program, "A"), "libc.so.6");
});
