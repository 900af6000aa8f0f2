// Atomics over the mapping are atomic between processes. What happens without them was tried: with
// `data[i] += 3` in the place of `Atomics.add` two processes lost 9 to 35 % of their increments.

import { assert, assertEquals } from "@std/assert";
import { type DType, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";
import { evalChild, uniqueName } from "../helpers/helpers.ts";
import { scale } from "../helpers/scale.ts";

/** Every dtype whose typed array Atomics takes; of uint8c and floats it throws. */
const dtypes = [
  "bool",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
] as const satisfies DType[];

/** How many operations of each kind a process does per dtype. */
const times = 200_000 * scale;

/** A number as an element of the dtype holds it. */
function wrapped(dtype: DType, number: number): bigint {
  const bits = dtype === "bool" ? 8 : Number(/\d+/.exec(dtype));
  return dtype.startsWith("int")
    ? BigInt.asIntN(bits, BigInt(number))
    : BigInt.asUintN(bits, BigInt(number));
}

/**
 * The program of each process. It waits for the others before each dtype, so that all of them count at
 * the same time. The counters are in a sliced view, because an operation must not touch its neighbours.
 */
const code = `
  const [processes, times, meeting, ...arrays] = JSON.parse(Deno.args[0]);
  const meetings = SharedMemoryArray.from(meeting).load().data;
  const nap = new Int32Array(new SharedArrayBuffer(4));
  let operations = 0;
  arrays.forEach((description, round) => {
    const view = SharedMemoryArray.from(description).load();
    const { data } = view;
    const [added, exchanged, taken] = [view.index(0), view.index(1), view.index(2)];
    const big = description.dtype.endsWith("int64");
    const [one, three] = big ? [1n, 3n] : [1, 3];
    Atomics.add(meetings, round, 1);
    while (Atomics.load(meetings, round) < processes) Atomics.wait(nap, 0, 0, 0.1);
    for (let i = 0; i < times; i++) {
      Atomics.add(data, added, three);
      Atomics.sub(data, taken, one);
      // A counter by compareExchange: a process that comes too late tries again.
      let seen = Atomics.load(data, exchanged);
      while (true) {
        const found = Atomics.compareExchange(data, exchanged, seen, seen + one);
        operations++;
        if (found === seen) break;
        seen = found;
      }
      operations += 2;
    }
  });
  console.log(operations);
`;

for (const processes of [2, 4]) {
  Deno.test(`atomics: ${processes} processes lose nothing, in every integer dtype`, async () => {
    using register = new SharedMemoryRegister();
    const created = (dtype: DType, length: number): SharedMemoryArray => {
      const sma = new SharedMemoryArray([length], dtype, uniqueName()) as SharedMemoryArray;
      register.push(sma.name);
      sma.create();
      return sma;
    };
    const meeting = created("int32", dtypes.length);
    const arrays = dtypes.map((dtype) => created(dtype, 7));
    const shared = arrays.map((sma) => SharedMemoryArray.clone(sma, { arraySlice: ["1::2"] }));
    const args = [JSON.stringify([processes, times, meeting, ...shared])];
    const operations = await Promise.all(
      Array.from(
        { length: processes },
        () => evalChild(code, { args, permissions: ["--allow-ffi"] }) as Promise<number>,
      ),
    );
    const total = operations.reduce((sum, each) => sum + each, 0);
    arrays.forEach((sma, i) => {
      const elements = Array.from(sma.array!.data as ArrayLike<number | bigint>, BigInt);
      const rounds = processes * times;
      const expected = [0, 3 * rounds, 0, rounds, 0, -rounds, 0].map((n) => wrapped(dtypes[i], n));
      assertEquals(elements, expected, dtypes[i]);
      sma.close();
    });
    meeting.close();
    console.log(`${processes} processes: ${total.toLocaleString("en")} operations, none lost`);
    // With two and with four processes together these are at least 4 million.
    assert(total >= processes * times * 3 * dtypes.length);
  });
}
