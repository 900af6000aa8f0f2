/**
 * The library in Deno beside the library in Node and Bun: `runtime.ts` in each of them.
 *
 * @module
 */

import { compare, type Row } from "../measure.ts";
import { Peer } from "./peer.ts";

/** What is measured: the command, how often a round repeats it, its name in the table, and the unit. */
const commands = [
  ["create", 200, "create, write, unlink, close, 4 KiB", "ns"],
  ["load", 300, "load, read, close, 4 KiB", "ns"],
  ["get", 2 ** 20, "get in nested loops", "ns per element"],
  ["lock", 2000, "lock + unlock, nobody else wants it", "ns"],
  ["notify", 5000, "notify with nobody waiting", "ns"],
  ["wait", 300, "wait: a word there and a word back", "ns"],
  ["waitAsync", 100, "waitAsync: a word there and a word back", "ns"],
  ["ring", 300, "ring: four bytes there and back", "ns"],
  ["queue", 300, "queue: put, take, complete", "ns"],
] as const;

/** Measures all commands, in turns; gives the versions of the runtimes, too. */
export async function measureRuntimes(): Promise<
  { rows: Row[]; versions: Record<string, string> }
> {
  const script = new URL("./runtime.ts", import.meta.url).pathname;
  // Node and Bun come from npm.
  const peers = await Promise.all([
    Peer.start(Deno.execPath(), ["run", "-A", script]),
    Peer.start("npx", ["-y", "node@^26.9", "--disable-warning=ExperimentalWarning", script]),
    Peer.start("npx", ["-y", "bun@^1.3", script]),
  ]);
  try {
    const [, node, bun] = peers.map(({ version }) => version);
    const rows: Row[] = [];
    for (const [command, count, what, unit] of commands) {
      const [ours, ...others] = peers.map((peer) => () => peer.ask(`${command} ${count}`));
      rows.push(
        ...await compare(
          { item: "the same in Deno, Node and Bun", what, unit },
          ours,
          ["Node", "Bun"].map((name, i) => ({ name, contestant: others[i] })),
          { rounds: 21, warmup: 5 },
        ),
      );
    }
    return { rows, versions: { node, bun } };
  } finally {
    for (const peer of peers) await peer[Symbol.asyncDispose]();
  }
}
