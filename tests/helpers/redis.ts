/**
 * What the tests of `examples/cluster/` stand on: a Redis of their own, and machines: processes with a
 * `/dev/shm` of their own.
 *
 * @module
 */

import { until } from "./helpers.ts";
import { slowness } from "./scale.ts";
import { inNamespaces } from "./test_with.ts";

function works(program: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A Redis server on loopback that keeps its data in a folder, so that it can be stopped and started. */
export class Redis {
  readonly port: number;
  readonly #folder: string;
  readonly #keeps: boolean;
  #process: Deno.ChildProcess | null = null;

  /**
   * @param folder where its data are
   * @param options whether it keeps them, which it does by default
   */
  constructor(folder: string, { keeps = true }: { keeps?: boolean } = {}) {
    this.#folder = folder;
    this.#keeps = keeps;
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = listener.addr.port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it, and returns when it answers. */
  async start(): Promise<void> {
    const appendonly = this.#keeps ? "yes" : "no";
    const options = { port: this.port, bind: "127.0.0.1", dir: this.#folder, appendonly };
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
    this.#process = new Deno.Command("redis-server", {
      args: [...args, "--save", ""],
      stdout: "null",
    }).spawn();
    await until("Redis answers", () => works("redis-cli", "-p", String(this.port), "ping"));
  }

  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.status;
    this.#process = null;
  }

  /** How many jobs of one of BullMQ's queues are in a state. */
  count(queue: string, state: "wait" | "active" | "completed"): number {
    const [command, key] = [state === "completed" ? "zcard" : "llen", `bull:${queue}:${state}`];
    const args = ["-p", String(this.port), command, key];
    return Number(
      new TextDecoder().decode(new Deno.Command("redis-cli", { args }).outputSync().stdout),
    );
  }
}

/** A machine, as far as memory is concerned: its processes have a `/dev/shm` of their own. */
export class Machine {
  readonly #holder: Deno.ChildProcess;

  private constructor(holder: Deno.ChildProcess) {
    this.#holder = holder;
  }

  static async start(): Promise<Machine> {
    const before = inNamespaces("--mount", "mount -t tmpfs -o size=64m tmpfs /dev/shm");
    const holder = new Deno.Command("sh", {
      args: ["-c", before, "sh", "sleep", `${600 * slowness}`],
    }).spawn();
    const comm = `/proc/${holder.pid}/comm`;
    await until("the machine is up", () => Deno.readTextFileSync(comm) === "sleep\n");
    return new Machine(holder);
  }

  /** Starts a program on it; the process that is returned is the program's own. */
  run(args: string[], env: Record<string, string>): Deno.ChildProcess {
    const { pid } = this.#holder;
    const [mine, its] = ["self", pid].map((of) => Deno.readLinkSync(`/proc/${of}/ns/user`));
    const user = mine === its ? [] : ["--user", "--preserve-credentials"];
    return new Deno.Command("nsenter", {
      args: ["--target", `${pid}`, ...user, "--mount", "--wd", "--", ...args],
      env,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** The names in its `/dev/shm`. */
  segments(): string[] {
    const folder = `/proc/${this.#holder.pid}/root/dev/shm`;
    return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  }

  /** Ends it; what runs on it must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.kill("SIGKILL");
    await this.#holder.status;
  }
}
