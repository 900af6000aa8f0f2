/**
 * Mappings of memory.
 *
 * @module
 */

import type { Advice } from "./errors.ts";
import { attempt, isMinusOne, lastError, libc } from "./library.ts";

/** A range of this process's addresses, as it was mapped: what `munmap()` takes. */
export interface Region {
  /** The address of the first byte. */
  readonly address: Deno.PointerObject;
  /** How many bytes of address space it takes. */
  readonly span: bigint;
}

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

function isMapFailed(address: Deno.PointerValue): boolean {
  return Deno.UnsafePointer.value(address) === MAP_FAILED;
}

/**
 * Maps memory.
 *
 * @param hint where it should begin; `null` lets the system choose
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
  hint: Deno.PointerValue,
  span: bigint,
  protection: number,
  flags: number,
  fd: number,
  subject: string | null,
  advice?: Advice,
): Region {
  const { symbols } = libc();
  const address = attempt(
    () => symbols.mmap(hint, span, protection, flags, fd, 0n),
    isMapFailed,
  );
  if (address === null) throw lastError("mmap", subject, advice);
  return { address, span };
}

/**
 * Removes a mapping.
 *
 * @param region what `mmap()` gave
 * @see {@link https://man7.org/linux/man-pages/man2/munmap.2.html | munmap(2)}
 */
export function munmap({ address, span }: Region): void {
  const { symbols } = libc();
  if (attempt(() => symbols.munmap(address, span), isMinusOne) === null) {
    throw lastError("munmap", null);
  }
}
