/**
 * Streams of arrays between processes, with no copy: one process writes, any number read. Nobody polls, no
 * reader can hold up the writer, and a member that is killed harms nobody.
 *
 * It needs Linux, and in Deno the permission `--allow-ffi`.
 *
 * {@linkcode SharedMemoryRing} is for many arrays of one shape, one after another: the frames of a camera.
 * The writer overwrites the oldest of a few slots. Take `frames()` or `next()` to have every frame, and
 * `latest()` to have the newest.
 *
 * {@linkcode SharedMemoryVersions} is for one large array that is replaced as a whole now and then: a table
 * from which a server answers. Each version has a segment of its own, and a reader that uses an old one keeps
 * it.
 *
 * Both are for one writer, and every reader sees everything. Where each piece of work is to go to one of the
 * workers, take the queue of `@shm/array/queue`, or a counter in a shared array with `Atomics.add`.
 *
 * What stands in the segments is described in `docs/publication.md`, for programs in C; `shm_attach.py` reads
 * and writes both in Python.
 *
 * @example A camera and a viewer
 * ```ts
 * import { SharedMemoryArray } from "@shm/array";
 * import { SharedMemoryRing } from "@shm/array/publish";
 *
 * const name = SharedMemoryArray.buildSmaName("camera");
 * using camera = new SharedMemoryRing([270, 480], "uint8", name, 4);
 * camera.create();
 *
 * // In another process, usually: the sum of the first whole frame.
 * async function view(descriptor: unknown): Promise<number> {
 *   using ring = SharedMemoryRing.from(descriptor as typeof camera);
 *   ring.load();
 *   const signal = AbortSignal.timeout(1000);
 *   for await (const frame of ring.frames({ signal })) {
 *     let sum = 0;
 *     for (const pixel of frame.array) sum += pixel;
 *     if (frame.isWhole()) return sum;
 *   }
 *   throw new Error("the camera ended before its first whole frame");
 * }
 *
 * const sum = view(JSON.parse(JSON.stringify(camera)));
 * camera.write((slot) => slot.fill(1));
 * console.log(await sum); // 129600
 * camera.unlink();
 * ```
 *
 * @module
 */

export type { Json } from "../json_text.ts";
export type { PublicationDescriptor } from "./descriptor.ts";
export {
  type CreateOrLoadOptions,
  EndedError,
  type LoadOptions,
  type WaitAsyncOptions,
  type WaitOptions,
} from "./publication.ts";
export {
  type AnonymousRingOptions,
  Frame,
  type FrameFiller,
  type FramesOptions,
  type RingDescriptor,
  type RingOptions,
  SharedMemoryRing,
} from "./ring.ts";
export {
  type KeepOptions,
  SharedMemoryVersions,
  type Version,
  type VersionsCreateOptions,
  type VersionsCreateOrLoadOptions,
  type VersionsDescriptor,
  type VersionsLoadOptions,
} from "./versions.ts";
