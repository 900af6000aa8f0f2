/**
 * What differs from system to system: library names, flags, limits, the layout of `struct stat`.
 *
 * @module
 */

import { makeError } from "./runtime/errors.ts";
import { runtime } from "./runtime/mod.ts";

/** All that the rest of the library must know of an operating system. */
export interface Platform {
  /** The system's name, as the runtime names it. */
  readonly os: "linux" | "darwin";
  /** The libraries to look into for `shm_open`, in this order. */
  readonly libraries: readonly string[];
  /** The function that gives the address of `errno`. */
  readonly errnoLocation: "__errno_location" | "__error";
  /** The symbol of `fstat`. */
  readonly fstat: string;
  /**
   * The version of `struct stat` to ask `__fxstat` for, where the library has no `fstat` to link to
   * (glibc before 2.33).
   */
  readonly fxstatVersion: number;
  /**
   * Whether variadic arguments go on the stack, as Apple's arm64 passes them: `shm_open` then takes
   * its mode as the ninth argument, behind the eight that go into registers.
   */
  readonly variadicOnStack: boolean;
  /** The number of the system call `futex`; `null` where there is none. */
  readonly futexCall: number | null;
  /** The number of the system call `renameat2`; `null` where there is none. */
  readonly renameat2Call: number | null;
  /** Commands of `fcntl` for locks on parts of a file that an open file owns; `null` where segments take none. */
  readonly byteLocks: { readonly F_OFD_GETLK: number; readonly F_OFD_SETLK: number } | null;
  /** Whether `fchmod` serves shared memory. */
  readonly fchmod: boolean;
  /** Whether a mapping may reach beyond the end of the segment, as long as nobody touches it there. */
  readonly mapsBeyondEnd: boolean;
  /** Whether a mapping is given a wish where to begin; without, the system searches once. */
  readonly takesAddressHint: boolean;
  /** Whether the system tells how many names lead to a segment. */
  readonly countsNames: boolean;
  /** Whether the system gives each segment a number of its own, its inode. */
  readonly numbersSegments: boolean;
  /** Where segments can be listed; `null` where they cannot. */
  readonly directory: string | null;
  /** Byte offsets in `struct stat`, and whether the count of links has only two bytes. */
  readonly stat: {
    readonly device: number;
    readonly inode: number;
    readonly mode: number;
    readonly links: { readonly at: number; readonly narrow: boolean };
    readonly size: number;
  };
  /** Flags of `shm_open` and `mmap`. */
  readonly flags: {
    readonly O_RDONLY: number;
    readonly O_RDWR: number;
    readonly O_CREAT: number;
    readonly O_EXCL: number;
    readonly O_CLOEXEC: number;
    /** Opens a file without a name; 0 where the system has no such thing. */
    readonly O_TMPFILE: number;
    readonly O_NONBLOCK: number;
    readonly PROT_READ: number;
    readonly PROT_WRITE: number;
    readonly MAP_SHARED: number;
    readonly MAP_PRIVATE: number;
    readonly MAP_FIXED: number;
    readonly MAP_ANONYMOUS: number;
    readonly MAP_NORESERVE: number;
  };
  /** What files in memory without a name need, which only Linux has; `null` elsewhere. */
  readonly memfd: {
    /** Flags of `memfd_create`. */
    readonly MFD_CLOEXEC: number;
    readonly MFD_ALLOW_SEALING: number;
    readonly MFD_NOEXEC_SEAL: number;
    readonly MFD_EXEC: number;
    /** Flags of `open`. */
    readonly O_PATH: number;
    readonly O_CLOEXEC: number;
    /** Commands of `fcntl`. */
    readonly F_DUPFD_CLOEXEC: number;
    readonly F_ADD_SEALS: number;
    readonly F_GET_SEALS: number;
    /** Seals, or'ed. */
    readonly F_SEAL_SEAL: number;
    readonly F_SEAL_SHRINK: number;
    readonly F_SEAL_GROW: number;
  } | null;
  /** The numbers of the signals that can end a process and can be listened to. */
  readonly signals: { readonly [name: string]: number };
}

const posixSignals = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGALRM: 14, SIGTERM: 15 };

const linux = {
  os: "linux",
  // glibc before 2.34 has shm_open in librt; opened after it, librt finds every symbol of libc, too.
  libraries: ["libc.so.6", "librt.so.1"],
  errnoLocation: "__errno_location",
  fstat: "fstat",
  variadicOnStack: false,
  byteLocks: { F_OFD_GETLK: 36, F_OFD_SETLK: 37 },
  fchmod: true,
  mapsBeyondEnd: true,
  takesAddressHint: true,
  countsNames: true,
  numbersSegments: true,
  directory: "/dev/shm",
  flags: {
    O_RDONLY: 0x0,
    O_RDWR: 0x2,
    O_CREAT: 0x40,
    O_EXCL: 0x80,
    O_CLOEXEC: 0x80000,
    O_NONBLOCK: 0x800,
    PROT_READ: 0x1,
    PROT_WRITE: 0x2,
    MAP_SHARED: 0x01,
    MAP_PRIVATE: 0x02,
    MAP_FIXED: 0x10,
    MAP_ANONYMOUS: 0x20,
    MAP_NORESERVE: 0x4000,
  },
  memfd: {
    MFD_CLOEXEC: 0x1,
    MFD_ALLOW_SEALING: 0x2,
    MFD_NOEXEC_SEAL: 0x8,
    MFD_EXEC: 0x10,
    O_PATH: 0x200000,
    O_CLOEXEC: 0x80000,
    F_DUPFD_CLOEXEC: 1030,
    F_ADD_SEALS: 1033,
    F_GET_SEALS: 1034,
    F_SEAL_SEAL: 0x1,
    F_SEAL_SHRINK: 0x2,
    F_SEAL_GROW: 0x4,
  },
  signals: { ...posixSignals, SIGUSR1: 10, SIGUSR2: 12 },
} as const;

const darwin = {
  os: "darwin",
  futexCall: null,
  renameat2Call: null,
  byteLocks: null,
  libraries: ["/usr/lib/libSystem.B.dylib"],
  errnoLocation: "__error",
  // XNU has no chmod for shared memory: fchmod answers EINVAL (eclipse-iceoryx/iceoryx2#156).
  fchmod: false,
  fxstatVersion: 0,
  mapsBeyondEnd: false,
  // XNU does not search again after a hint that cannot be met.
  takesAddressHint: false,
  // Its fstat leaves st_nlink and st_ino of a segment 0 (pshm_stat of bsd/kern/posix_shm.c).
  countsNames: false,
  numbersSegments: false,
  directory: null,
  stat: { device: 0, inode: 8, mode: 4, links: { at: 6, narrow: true }, size: 96 },
  flags: {
    O_RDONLY: 0x0,
    O_RDWR: 0x2,
    O_CREAT: 0x200,
    O_EXCL: 0x800,
    O_CLOEXEC: 0x1000000,
    O_TMPFILE: 0,
    O_NONBLOCK: 0x4,
    PROT_READ: 0x1,
    PROT_WRITE: 0x2,
    MAP_SHARED: 0x0001,
    MAP_PRIVATE: 0x0002,
    MAP_FIXED: 0x0010,
    MAP_ANONYMOUS: 0x1000,
    MAP_NORESERVE: 0x0040,
  },
  memfd: null,
  signals: { ...posixSignals, SIGUSR1: 30, SIGUSR2: 31 },
} as const;

/** The supported systems, by system and processor. */
const platforms: { readonly [system: string]: Platform | undefined } = {
  "linux x86_64": {
    ...linux,
    futexCall: 202,
    renameat2Call: 316,
    fxstatVersion: 1,
    flags: { ...linux.flags, O_TMPFILE: 0x410000 }, // with O_DIRECTORY, which differs
    stat: { device: 0, inode: 8, mode: 24, links: { at: 16, narrow: false }, size: 48 },
  },
  "linux aarch64": {
    ...linux,
    futexCall: 98,
    renameat2Call: 276,
    fxstatVersion: 0,
    flags: { ...linux.flags, O_TMPFILE: 0x404000 },
    stat: { device: 0, inode: 8, mode: 16, links: { at: 20, narrow: false }, size: 48 },
  },
  "darwin x86_64": {
    ...darwin,
    // The plain name is the struct of 32-bit inodes on x86_64, and the only one on arm64.
    fstat: "fstat$INODE64",
    variadicOnStack: false,
  },
  "darwin aarch64": {
    ...darwin,
    fstat: "fstat",
    variadicOnStack: true,
  },
};

/**
 * Describes a system.
 *
 * @param os the operating system, as the runtime names it
 * @param arch the processor, as the runtime names it
 * @returns its description
 * @throws {Deno.errors.NotSupported} if the system is none of the supported ones; the message names them
 */
export function platformOf(os: string, arch: string): Platform {
  const platform = platforms[`${os} ${arch}`];
  if (platform === undefined) {
    throw makeError(
      "NotSupported",
      `Cannot share memory on ${os} ${arch}: POSIX shared memory is bound on ` +
        Object.keys(platforms).join(", "),
    );
  }
  return platform;
}

let current: Platform | undefined;

/**
 * Describes the system that this program runs on. Nothing is opened, and no permission is needed.
 *
 * @returns its description
 * @throws {Deno.errors.NotSupported} if it is none of the supported ones
 */
export function platform(): Platform {
  return current ??= platformOf(runtime().os, runtime().arch);
}

/**
 * How long a segment's name may be with a certain C library, whose own limit may be below the system's.
 *
 * @param os the operating system, as the runtime names it
 * @param glibc the version of glibc, such as "2.36"; `null` of another library
 * @returns the number of UTF-8 bytes, the leading slash of `shm_open` not counted
 */
export function nameMaxWith(os: string, glibc: string | null): number {
  const [major, minor] = (glibc ?? "").split(".").map(Number);
  // Before 2.34 it counted the slash and a NUL (sysdeps/posix/shm-directory.h).
  const isOld = glibc !== null && (major < 2 || (major === 2 && minor < 34));
  return isOld ? OLD_GLIBC : nameMaxOf(os);
}
const OLD_GLIBC = 253;

/**
 * How long a name may be that fits wherever this program may run on a system.
 *
 * @param os the operating system, as the runtime names it
 */
export function nameMaxAnywhere(os: string): number {
  return os === "linux" ? OLD_GLIBC : nameMaxOf(os);
}

/**
 * How long a segment's name may be. It is asked before anything is opened, also on systems that are
 * not supported: there a name can be described, and the first use of it says what is missing.
 *
 * @param os the operating system, as the runtime names it
 * @returns the number of UTF-8 bytes, the leading slash of `shm_open` not counted
 */
export function nameMaxOf(os: string): number {
  // PSHMNAMLEN of XNU is 31 with the slash; elsewhere NAME_MAX is 255 without.
  return os === "darwin" ? 30 : 255;
}
