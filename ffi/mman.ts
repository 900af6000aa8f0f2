/**
 * Mappings of memory.
 *
 * @module
 */

import type { Advice } from "./errors.ts";
import { makeError } from "./runtime/errors.ts";
import { type Pointer, runtime } from "./runtime/mod.ts";
import { declareMemfd, declareSegments } from "./symbols.ts";
import { checked, cString, openOnUse } from "./library.ts";

const segments = openOnUse(declareSegments);
const memfd = openOnUse(declareMemfd);

/** A range of this process's addresses, as it was mapped: what `munmap()` takes. */
export interface Region {
  /** The first byte. */
  readonly pointer: Pointer;
  /** How many bytes of address space it takes. */
  readonly span: bigint;
}

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

function isMapFailed(address: Pointer): boolean {
  return runtime().addressOf(address) === MAP_FAILED;
}

/** The address of a region's first byte. */
export function addressOf({ pointer }: Region): bigint {
  return runtime().addressOf(pointer);
}

/**
 * Makes an `ArrayBuffer` over the first bytes of a region. Garbage collection never unmaps it.
 *
 * @param region what `mmap()` gave
 * @param byteLength how many bytes; nobody checks them against the region
 */
export function bufferOver({ pointer }: Region, byteLength: number): ArrayBuffer {
  return runtime().bufferAt(pointer, byteLength);
}

/**
 * Maps memory.
 *
 * @param hint the address where it should begin; 0 lets the system choose
 * @param span how many bytes to map
 * @param protection flags of {@linkcode Platform.flags} that begin with PROT
 * @param flags flags of {@linkcode Platform.flags} that begin with MAP
 * @param fd what to map from its first byte on; -1 with MAP_ANONYMOUS
 * @param subject what `fd` is, for the error
 * @param advice gives a way out for a code
 * @returns the region, which the caller unmaps
 * @see {@link https://man7.org/linux/man-pages/man2/mmap.2.html | mmap(2)}
 */
export function mmap(
  hint: bigint,
  span: bigint,
  protection: number,
  flags: number,
  fd: number,
  subject: string | null,
  advice?: Advice,
): Region {
  const wanted = runtime().pointerAt(hint);
  const pointer = checked(
    "mmap",
    subject,
    () => segments().mmap(wanted, span, protection, flags, fd, 0n),
    { isFailure: isMapFailed, advice },
  );
  return { pointer, span };
}

/**
 * Makes an empty file in memory that no name leads to.
 *
 * @param label what `/proc` shows in the place of a name; at most 249 bytes
 * @param flags flags of {@linkcode Platform.memfd} that begin with MFD
 * @returns a file descriptor, which the caller closes
 * @throws {Deno.errors.NotSupported} if the C library has no such call
 * @see {@link https://man7.org/linux/man-pages/man2/memfd_create.2.html | memfd_create(2)}
 */
export function memfdCreate(label: string, flags: number): number {
  const { memfd_create } = memfd();
  if (memfd_create === null) {
    throw makeError(
      "NotSupported",
      "Cannot make memory without a name: this C library has no memfd_create",
    );
  }
  return checked("memfd_create", label, () => memfd_create(cString(label), flags));
}

/**
 * Removes a mapping.
 *
 * @param region what `mmap()` gave
 * @see {@link https://man7.org/linux/man-pages/man2/munmap.2.html | munmap(2)}
 */
export function munmap({ pointer, span }: Region): void {
  checked("munmap", null, () => segments().munmap(pointer, span));
}
