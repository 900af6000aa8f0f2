/**
 * Lets the kernel kill a test's process, or refuse, at a certain system call.
 *
 * @module
 */

/**
 * Code for a child process. `atCall(call, "kill")` lets the kernel kill the process when its main thread makes the
 * system call; `atCall(call, errno)` lets the kernel refuse it with that number. The call is a name of the table, or
 * `openat of a nameless file`. What was set stays set.
 */
export const atCall = `
const atCall = (() => {
  const { prctl } = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "u64", "buffer", "u64", "u64"], result: "i32" },
  }).symbols;
  const calls = {
    x86_64: { openat: 257, fchmod: 91, fallocate: 285, ftruncate: 77, fsetxattr: 190, pwrite64: 18, linkat: 265, renameat2: 316 },
    aarch64: { openat: 56, fchmod: 52, fallocate: 47, ftruncate: 46, fsetxattr: 7, pwrite64: 68, linkat: 37, renameat2: 276 },
  }[Deno.build.arch];
  const [LOAD, EQUALS, HAS_BITS, RETURN] = [0x20, 0x15, 0x45, 0x06];
  const [ALLOW, REFUSE, KILL] = [0x7fff0000, 0x00050000, 0x80000000];
  const TMPFILE = 0o20000000; // __O_TMPFILE
  const kept = [];
  return (call, what) => {
    const isNameless = call === "openat of a nameless file";
    const number = calls[isNameless ? "openat" : call];
    if (number === undefined) throw new Error("no system call " + call);
    const rows = [[LOAD, 0, 0, 0]];
    const further = isNameless ? [[LOAD, 0, 0, 16 + 2 * 8], [HAS_BITS, 0, 1, TMPFILE]] : [];
    rows.push([EQUALS, 0, further.length + 1, number], ...further);
    rows.push([RETURN, 0, 0, what === "kill" ? KILL : REFUSE + what], [RETURN, 0, 0, ALLOW]);
    const filter = new DataView(new ArrayBuffer(8 * rows.length));
    rows.forEach(([code, yes, no, value], i) => {
      filter.setUint16(8 * i, code, true);
      filter.setUint8(8 * i + 2, yes);
      filter.setUint8(8 * i + 3, no);
      filter.setUint32(8 * i + 4, value, true);
    });
    const program = new DataView(new ArrayBuffer(16));
    program.setUint16(0, rows.length, true);
    program.setBigUint64(8, BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(filter.buffer))), true);
    kept.push(filter, program);
    const [SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER] = [38, 22, 2n];
    if (prctl(SET_NO_NEW_PRIVS, 1n, null, 0n, 0n) !== 0) throw new Error("prctl(PR_SET_NO_NEW_PRIVS) failed");
    if (prctl(SET_SECCOMP, FILTER, program.buffer, 0n, 0n) !== 0) throw new Error("prctl(PR_SET_SECCOMP) failed");
  };
})();
`;
