// Calls near the end of the stack, where any step may throw a RangeError, in a recursion that is caught: whatever
// was begun is undone or can be ended later, and nothing of another array is touched. `create()` has its tests in
// giving_up_test.ts, locks and waits have theirs in tests/sync/.

import { assertEquals } from "@std/assert";
import { evalChild, withNames } from "../helpers/helpers.ts";
import { everyTestWith } from "../helpers/test_with.ts";

everyTestWith("Linux", "it looks into /dev/shm and /proc");

const tools = `
  const [name] = Deno.args;
  const maps = () => Deno.readTextFileSync("/proc/self/maps").split("/dev/shm/" + name).length - 1;
  // A memfd shows its label.
  const anonymous = () => Deno.readTextFileSync("/proc/self/maps").split("/memfd:").length - 1;
  const fds = () => [...Deno.readDirSync("/proc/self/fd")].length;
  // Not by lstatSync(): where it finds nothing at the end of the stack, Deno 2.2 panics.
  const exists = () => {
    try { return [...Deno.readDirSync("/dev/shm")].some((entry) => entry.name === name); } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return false;
    }
  };
  const wrong = new Set();
  /** Calls a function at each of the last places of the stack, until it was done so many times. */
  const atEachPlace = (fn, most = 60) => {
    let done = 0;
    let refused = 0;
    for (let pad = 0; pad < 12; pad++) {
      done = 0;
      const shift = (n) => n > 0 ? shift(n - 1) : deep();
      const deep = () => {
        try { deep(); } catch (error) { if (!(error instanceof RangeError)) throw error; }
        if (done > most) return;
        try { fn(); done++; } catch (error) {
          refused++;
          if (!(error instanceof RangeError)) wrong.add(String(error));
        }
      };
      try { shift(pad); } catch (error) { if (!(error instanceof RangeError)) throw error; }
    }
    if (done === 0 || refused === 0) wrong.add("done " + done + ", refused " + refused);
  };
`;

/** What is called at each place, and what is looked at after it; \`after\` adds to \`wrong\`. */
const cases: { [what: string]: string } = {
  "load() leaves no mapping and no descriptor": `
    const made = new SharedMemoryArray(64, "float32", name);
    made.create();
    warmUp(() => { using sma = SharedMemoryArray.clone(made); sma.load(); });
    const before = [maps(), fds()];
    const sma = SharedMemoryArray.clone(made);
    atEachPlace(() => {
      try { sma.load(); } finally { sma.close(); }
    });
    sma.close();
    if (maps() !== before[0]) wrong.add("mappings: " + (maps() - before[0]));
    if (fds() !== before[1]) wrong.add("descriptors: " + (fds() - before[1]));
    made.unlink();`,
  "createOrLoad() that makes the segment leaves nothing": `
    const make = (bytes) => new SharedMemoryArray(bytes, "uint8", name);
    for (const bytes of [64, 2 ** 20]) {
      warmUp(() => { using sma = make(bytes); sma.createOrLoad(); sma.unlink(); });
      const before = [maps(), fds()];
      const sma = make(bytes);
      atEachPlace(() => {
        try { sma.createOrLoad(); } catch (error) {
          if (exists()) wrong.add("a name, of " + bytes);
          throw error;
        }
        sma.unlink();
        sma.close();
      });
      if (sma.smh !== null) { sma.unlink(); sma.close(); }
      if (maps() !== before[0]) wrong.add("mappings: " + (maps() - before[0]));
      if (fds() !== before[1]) wrong.add("descriptors: " + (fds() - before[1]));
    }`,
  "close() can be called again, and empties the views": `
    const made = new SharedMemoryArray(64, "float32", name);
    made.create();
    warmUp(() => { using sma = SharedMemoryArray.clone(made); sma.load(); });
    const before = [maps(), fds()];
    const open = [];
    for (let i = 0; i < 2000; i++) {
      const sma = SharedMemoryArray.clone(made);
      open.push([sma, sma.load().data, sma.array]);
    }
    let at = 0;
    atEachPlace(() => { if (at < open.length) open[at++][0].close(); });
    for (const [sma] of open) sma.close();
    for (const [sma, data, array] of open) {
      if (data.length !== 0) wrong.add("a view of " + data.length);
      if (sma.smh !== null || sma.array !== null) wrong.add("attached");
      try { array.get(0); wrong.add("readable"); } catch (error) {
        if (error.name !== "BadResource") wrong.add(error.name);
      }
    }
    if (maps() !== before[0]) wrong.add("mappings: " + (maps() - before[0]));
    if (fds() !== before[1]) wrong.add("descriptors: " + (fds() - before[1]));
    made.unlink();`,
  "SharedMemory.open() and close() leave nothing": `
    using made = SharedMemory.create(name, 64);
    warmUp(() => { using memory = SharedMemory.open(name); });
    const before = [maps(), fds()];
    const all = [];
    atEachPlace(() => {
      const memory = SharedMemory.open(name);
      try { all[all.length] = memory; } finally { memory.close(); }
    });
    for (const memory of all) memory.close();
    if (maps() !== before[0]) wrong.add("mappings: " + (maps() - before[0]));
    if (fds() !== before[1]) wrong.add("descriptors: " + (fds() - before[1]));
    made.unlink();`,
  "unlink() leaves no descriptor, and removes the name or not": `
    using made = SharedMemory.create(name, 64);
    made.unlink();
    let memory = SharedMemory.create(name, 64);
    warmUp(() => { memory.unlink(); memory.close(); memory = SharedMemory.create(name, 64); });
    const before = fds();
    for (let round = 0; round < 20; round++) {
      atEachPlace(() => { memory.unlink(); }, 3);
      memory.unlink();
      if (exists()) wrong.add("the name stays");
      memory.close();
      memory = SharedMemory.create(name, 64);
    }
    if (fds() !== before) wrong.add("descriptors: " + (fds() - before));
    memory.unlink();
    memory.close();`,
  "shmarrayWrap() closes what it loaded": `
    const made = new SharedMemoryArray(64, "float32", name);
    made.create();
    const other = SharedMemoryArray.clone(made);
    const wrapped = shmarrayWrap((array, { again }) => array.get(0) + again.get(1));
    const deepInside = shmarrayWrap((array) => { const on = () => on(); on(); });
    warmUp(() => wrapped(other, { again: { ...made } }));
    const before = [maps(), fds()];
    atEachPlace(() => { wrapped(other, { again: { ...made } }); });
    atEachPlace(() => { try { deepInside(other); } catch (error) { if (!(error instanceof RangeError)) throw error; } });
    if (other.smh !== null) wrong.add("attached");
    other.close();
    if (maps() !== before[0]) wrong.add("mappings: " + (maps() - before[0]));
    if (fds() !== before[1]) wrong.add("descriptors: " + (fds() - before[1]));
    made.unlink();`,
  "createAndRegisterSma() leaves what the register knows, or nothing": `
    const folder = () => [...Deno.readDirSync("/dev/shm")].filter((e) => e.name.includes(name)).map((e) => e.name);
    const register = new SharedMemoryRegister();
    warmUp(() => { createAndRegisterSma(64, "float32", register, name).close(); });
    const before = fds();
    atEachPlace(() => { createAndRegisterSma(64, "float32", register, name).close(); }, 20);
    const missing = folder().filter((each) => !register.includes(each));
    if (missing.length > 0) wrong.add("names: " + missing.length);
    register[Symbol.dispose]();
    if (folder().length > 0) wrong.add("not cleared: " + folder().length);
    if (fds() !== before) wrong.add("descriptors: " + (fds() - before));`,
  "a register that is pushed to is watched, and cleans": `
    using made = SharedMemory.create(name, 64);
    warmUp(() => { const register = new SharedMemoryRegister(); register.push("x"); register[Symbol.dispose](); });
    const registers = [];
    atEachPlace(() => {
      const register = new SharedMemoryRegister({ signals: ["SIGUSR2"] });
      registers[registers.length] = register;
      register.push(name + "-none");
      register[Symbol.dispose]();
      register.push(name + "-none");
    }, 20);
    for (const register of registers) register[Symbol.dispose]();
    made.unlink();`,
  "createAnonymous() leaves no descriptor": `
    warmUp(() => { using sma = SharedMemoryArray.createAnonymous(64, "float32"); sma.unlink(); });
    const before = [anonymous(), fds()];
    const all = [];
    atEachPlace(() => {
      const sma = SharedMemoryArray.createAnonymous(64, "float32");
      all[all.length] = sma;
    });
    for (const sma of all) { sma.unlink(); sma.close(); }
    if (anonymous() !== before[0]) wrong.add("mappings: " + (anonymous() - before[0]));
    if (fds() !== before[1]) wrong.add("descriptors: " + (fds() - before[1]));`,
};

for (const [what, code] of Object.entries(cases)) {
  for (const warm of [false, true]) {
    Deno.test(`near the end of the stack ${what}${warm ? ", when V8 knows it" : ""}`, () =>
      withNames(async (name) => {
        const result = await evalChild(
          `${tools}
          const warmUp = (fn) => { for (let i = 0; i < ${warm ? 200 : 0}; i++) fn(); };
          // What the test itself uses is known.
          maps(); fds(); exists(); anonymous();
          ${code}
          console.log(JSON.stringify([...wrong]));`,
          { args: [name] },
        );
        assertEquals(result, []);
      }));
  }
}
