/**
 * A segment that is mapped and open at once: its file is what `flock` locks.
 *
 * @module
 */

import { type Advice, hasCode } from "../../ffi/errors.ts";
import { close, fstat } from "../../ffi/files.ts";
import { platform } from "../../ffi/platform.ts";
import { shmOpen } from "../../ffi/shm.ts";
import { quote } from "../check.ts";
import { isAnonymousName } from "./anonymous.ts";
import { segmentOf } from "./buffer_segment.ts";
import { SharedMemory } from "./shared_memory.ts";

/** A mapping and a file descriptor of one segment; their owner closes both. */
export interface OpenFile {
  readonly memory: SharedMemory;
  /** Close-on-exec, so that no program that is started keeps a lock of it. */
  readonly fd: number;
}

/**
 * Attaches to a segment, and opens the file of that very segment.
 *
 * @param name a checked name
 * @param timeout how long to wait for its creator, in milliseconds
 * @param check looks at the mapping, and throws if it is none of the caller's
 * @returns both, which the caller closes
 * @throws {RangeError} if the name is that of an anonymous segment
 */
export function openFileOf(
  name: string,
  timeout: number,
  check: (memory: SharedMemory) => void,
): OpenFile {
  if (isAnonymousName(name)) {
    throw new RangeError(
      `Cannot load ${
        quote(name)
      }: names of this form lead to anonymous segments, which hold arrays only`,
    );
  }
  const deadline = performance.now() + timeout;
  // Who gave a time is told of a time, also where it has passed meanwhile.
  const least = Math.min(timeout, 1);
  for (let rest = timeout;; rest = Math.max(least, Math.ceil(deadline - performance.now()))) {
    const memory = openMemory(name, rest);
    let fd: number | undefined;
    try {
      check(memory);
      fd = shmOpen(name, platform().flags.O_RDWR, 0);
      const { device, inode } = fstat(fd, name);
      if (segmentOf(memory.buf!) === `${device}:${inode}`) return { memory, fd };
    } catch (error) {
      memory.close();
      if (fd !== undefined) close(fd);
      if (!hasCode(error, "ENOENT")) throw error;
      continue; // The name was removed between the two: its next owner is waited for.
    }
    // The name was given to another segment between the two.
    memory.close();
    close(fd);
  }
}

/** Attaches. Where that is not permitted, there is another way out than for arrays, which need not write. */
function openMemory(name: string, timeout: number): SharedMemory {
  try {
    return SharedMemory.open(name, { timeout });
  } catch (error) {
    if (hasCode(error, "EACCES")) close(shmOpen(name, platform().flags.O_RDWR, 0, denialAdvice));
    throw error;
  }
}

const denialAdvice: Advice = (code) =>
  code === "EACCES"
    ? "whoever takes part must be able to read and write; create({ mode: 0o666 }) lets everybody"
    : undefined;
