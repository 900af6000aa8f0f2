// What a node and the submitter agree on: the folder that all machines see, and the queue in Redis.

import FileSystemStore from "@zarrita/storage/fs";
import { Redis } from "ioredis";
import { basename, dirname } from "node:path";
import * as zarr from "zarrita";

/** Files in it are there whole or not at all: each is written beside, and renamed. */
export class SharedFolder extends FileSystemStore {
  override async set(key: string, bytes: Uint8Array): Promise<void> {
    const [path, beside] = [this.root + key, `${this.root}/unfinished/${crypto.randomUUID()}`];
    for (const each of [path, beside]) await Deno.mkdir(dirname(each), { recursive: true });
    await Deno.writeFile(beside, bytes);
    using file = await Deno.open(beside);
    await file.sync(); // a tile that the queue calls done outlives a power cut
    await Deno.rename(beside, path);
  }
}

/** The folder's arrays, `heights` and `shade`, are below this. */
export const rootOf = (folder: string): zarr.Location<SharedFolder> =>
  zarr.root(new SharedFolder(folder));

/** The queue of a folder, which machines may see in different places. */
export const queueOf = (folder: string): string => `hillshade-${basename(folder)}`;

/** `REDIS_URL` is like `redis://:PASSWORD@HOST:PORT`. While Redis is away, its users wait. */
export const connect = (): Redis =>
  new Redis(Deno.env.get("REDIS_URL") ?? "redis://127.0.0.1", { maxRetriesPerRequest: null });
