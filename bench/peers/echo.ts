/**
 * The other process of the hand-over: takes an array, changes its first and last element, and hands
 * it back.
 *
 * @module
 */

import { SharedMemoryArray, type SharedMemoryDescriptor } from "@shm/array";
import { awaitFlag, readAll, type Request, touch, Wire, writeAll } from "./wire.ts";

const [inPath, outPath] = Deno.args;
using input = Deno.openSync(inPath, { read: true });
using output = Deno.openSync(outPath, { write: true });
const wire = new Wire(input, output);

type Handler = (request: Request) => void | Promise<void>;

const handlers: { readonly [how in Request["how"]]: Handler } = {
  /** Shared memory: each message is a descriptor, which is attached and closed. */
  descriptor({ rounds }) {
    wire.send("ready");
    for (let round = 0; round < rounds; round++) {
      using sma = SharedMemoryArray.from(wire.receive<SharedMemoryDescriptor<"float64">>());
      touch(sma.load().data);
      wire.send("yours");
    }
  },

  /** Shared memory that is attached already: each message is a line. */
  line({ at, bytes, rounds }) {
    using sma = new SharedMemoryArray([bytes / 8], "float64", at);
    const { data } = sma.load();
    wire.send("ready");
    for (let round = 0; round < rounds; round++) {
      wire.receive();
      touch(data);
      wire.send("yours");
    }
  },

  /** Shared memory that is attached already: a flag in it says whose turn it is. */
  flag({ at, bytes, rounds, flag }) {
    using sma = new SharedMemoryArray([bytes / 8], "float64", at);
    using turns = new SharedMemoryArray([1], "int32", flag);
    const { data } = sma.load();
    const turn = turns.load().data as Int32Array<ArrayBuffer>;
    wire.send("ready");
    for (let round = 0; round < rounds; round++) {
      awaitFlag(turn, 2 * round + 1);
      touch(data);
      Atomics.store(turn, 0, 2 * round + 2);
    }
  },

  pipe({ bytes, rounds }) {
    const array = new Float64Array(bytes / 8);
    const whole = new Uint8Array(array.buffer);
    wire.send("ready");
    for (let round = 0; round < rounds; round++) {
      wire.read(whole);
      touch(array);
      wire.write(whole);
    }
  },

  async socket({ at, bytes, rounds }) {
    const array = new Float64Array(bytes / 8);
    const whole = new Uint8Array(array.buffer);
    using connection = await Deno.connect({ transport: "unix", path: at });
    wire.send("ready");
    for (let round = 0; round < rounds; round++) {
      await readAll(connection, whole);
      touch(array);
      await writeAll(connection, whole);
    }
  },

  file({ at, rounds }) {
    wire.send("ready");
    for (let round = 0; round < rounds; round++) {
      wire.receive();
      const whole = Deno.readFileSync(at);
      touch(new Float64Array(whole.buffer));
      Deno.writeFileSync(at, whole);
      wire.send("yours");
    }
  },
};

while (true) {
  const request = wire.receive<Request | null>();
  if (request === null) break;
  await handlers[request.how](request);
}
