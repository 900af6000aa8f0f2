// A configuration as raw bytes under a name: one process writes it, another one sees each change.
// SharedMemory gives the bytes; this program decides what they mean (version, length, text).
// Run it: deno run --allow-ffi --allow-run=deno examples/config_bytes.ts
// It prints the two versions that the reader saw, and that the writer was told so.

import { SharedMemory, SharedMemoryArray, SharedMemoryRegister } from "@shm/array";

/** The places of the first words of the segment; the bytes of the text follow them. */
const [VERSION, LENGTH, READ] = [0, 1, 2];
const TEXT_AT = 12;

async function main(): Promise<void> {
  const name = SharedMemoryArray.buildSmaName("config");
  using register = new SharedMemoryRegister({ signals: ["SIGINT", "SIGTERM"] });
  using memory = SharedMemory.create(name, 4096);
  register.push(name); // a name in a register is removed with it

  publish(memory, { logLevel: "info", cities: ["Auckland", "Ōtautahi"] });
  const reader = new Deno.Command("deno", {
    args: ["run", "--allow-ffi", import.meta.url, name],
  }).spawn();
  const ended = reader.status.then(({ success }) => {
    if (!success) throw new Error("the reader failed");
  });

  const words = new Int32Array(memory.buf!, 0, 3);
  while (Atomics.load(words, READ) < 1) await Promise.race([ended, pause(5)]);
  publish(memory, { logLevel: "debug", cities: [] });
  await ended;
  console.log(`writer: published ${words[VERSION] / 2} versions, the reader took the last one.`);
}

/** Writes a configuration; the version is odd for as long as that takes. */
function publish(memory: SharedMemory, config: unknown): void {
  const words = new Int32Array(memory.buf!, 0, 3);
  const bytes = new TextEncoder().encode(JSON.stringify(config));
  const text = new Uint8Array(memory.buf!, TEXT_AT);
  if (bytes.length > text.length) throw new RangeError(`${bytes.length} bytes do not fit`);
  Atomics.add(words, VERSION, 1);
  words[LENGTH] = bytes.length;
  text.set(bytes);
  Atomics.add(words, VERSION, 1);
}

/** Reads the configuration; `null` while it is being written. */
function read(memory: SharedMemory): { version: number; config: unknown } | null {
  const words = new Int32Array(memory.buf!, 0, 3);
  const before = Atomics.add(words, VERSION, 0); // a load that is a barrier
  if (before % 2 !== 0) return null;
  const text = new TextDecoder().decode(
    new Uint8Array(memory.buf!, TEXT_AT).slice(0, words[LENGTH]),
  );
  if (Atomics.add(words, VERSION, 0) !== before) return null;
  return { version: before / 2, config: JSON.parse(text) };
}

async function follow(name: string): Promise<void> {
  using memory = SharedMemory.open(name); // raw bytes know their own size
  const words = new Int32Array(memory.buf!, 0, 3);
  while (words[READ] < 2) {
    const found = read(memory);
    if (found !== null && found.version > words[READ]) {
      console.log(`reader: version ${found.version} is ${JSON.stringify(found.config)}`);
      Atomics.store(words, READ, found.version);
    }
    await pause(5);
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}

if (Deno.args.length === 0) await main();
else await follow(Deno.args[0]);
