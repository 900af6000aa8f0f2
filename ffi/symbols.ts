/**
 * Every C symbol that is bound, with its C type beside each parameter: in groups, each of which is opened when
 * one of it is used for the first time.
 *
 * @module
 */

/** The names that differ from system to system. */
interface SymbolNames {
  readonly errnoLocation: string;
  readonly fstat: string;
}

/**
 * Segments and mappings: what each program uses. Those that not every supported library has are
 * `optional`, and `null` where they are missing.
 *
 * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
 * @see {@link https://man7.org/linux/man-pages/man2/mmap.2.html | mmap(2)}
 * @see {@link https://man7.org/linux/man-pages/man2/setxattr.2.html | setxattr(2)}
 * @see {@link https://man7.org/linux/man-pages/man2/getxattr.2.html | getxattr(2)}
 * @see {@link https://man7.org/linux/man-pages/man2/fcntl_locking.2.html | fcntl_locking(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareSegments(names: SymbolNames) {
  return {
    // int *__errno_location(void)
    errno_location: {
      name: names.errnoLocation,
      parameters: [],
      result: "pointer", // int *
    },
    // const char *gnu_get_libc_version(void): of glibc only
    gnu_get_libc_version: {
      parameters: [],
      result: "pointer", // const char *
      optional: true,
    },
    // int shm_open(const char *name, int oflag, mode_t mode)
    shm_open: {
      parameters: [
        "buffer", // const char *name
        "i32", // int oflag
        "u32", // mode_t mode
      ],
      result: "i32", // int
    },
    // int shm_unlink(const char *name)
    shm_unlink: {
      parameters: ["buffer"], // const char *name
      result: "i32", // int
    },
    // int ftruncate(int fd, off_t length)
    ftruncate: {
      parameters: [
        "i32", // int fd
        "i64", // off_t length
      ],
      result: "i32", // int
    },
    // int posix_fallocate(int fd, off_t offset, off_t len): the result is the error, not errno
    posix_fallocate: {
      parameters: [
        "i32", // int fd
        "i64", // off_t offset
        "i64", // off_t len
      ],
      result: "i32", // int
      optional: true,
    },
    // int fchmod(int fd, mode_t mode)
    fchmod: {
      parameters: [
        "i32", // int fd
        "u32", // mode_t mode
      ],
      result: "i32", // int
    },
    // int getrlimit(int resource, struct rlimit *rlim)
    getrlimit: {
      parameters: [
        "i32", // int resource
        "buffer", // struct rlimit *rlim
      ],
      result: "i32", // int
    },
    // int fstat(int fd, struct stat *statbuf)
    fstat: {
      name: names.fstat,
      parameters: [
        "i32", // int fd
        "buffer", // struct stat *statbuf
      ],
      result: "i32", // int
      optional: true,
    },
    // int __fxstat(int ver, int fd, struct stat *statbuf)
    fxstat: {
      name: "__fxstat",
      parameters: [
        "i32", // int ver
        "i32", // int fd
        "buffer", // struct stat *statbuf
      ],
      result: "i32", // int
      optional: true,
    },
    // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
    mmap: {
      parameters: [
        "pointer", // void *addr
        "usize", // size_t length
        "i32", // int prot
        "i32", // int flags
        "i32", // int fd
        "i64", // off_t offset
      ],
      result: "pointer", // void *
    },
    // int munmap(void *addr, size_t length)
    munmap: {
      parameters: [
        "pointer", // void *addr
        "usize", // size_t length
      ],
      result: "i32", // int
    },
    // ssize_t read(int fd, void *buf, size_t count)
    read: {
      parameters: [
        "i32", // int fd
        "buffer", // void *buf
        "usize", // size_t count
      ],
      result: "isize", // ssize_t
    },
    // int close(int fd)
    close: {
      parameters: ["i32"], // int fd
      result: "i32", // int
    },
    // int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
    fsetxattr: {
      parameters: [
        "i32", // int fd
        "buffer", // const char *name
        "buffer", // const void *value
        "usize", // size_t size
        "i32", // int flags
      ],
      result: "i32", // int
    },
    // ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
    fgetxattr: {
      parameters: [
        "i32", // int fd
        "buffer", // const char *name
        "buffer", // void *value
        "usize", // size_t size
      ],
      // A value has 64 KiB at the most, and V8 calls a function faster that gives 32 bits.
      result: "i32", // ssize_t
    },
    // int fcntl(int fd, int cmd, struct flock *lock)
    fcntl: {
      parameters: [
        "i32", // int fd
        "i32", // int cmd
        "buffer", // struct flock *lock
      ],
      result: "i32", // int
    },
  } as const;
}

/**
 * Opening a segment where variadic arguments go on the stack: macOS on arm64.
 *
 * @see {@link https://man7.org/linux/man-pages/man3/shm_open.3.html | shm_open(3)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareVariadicOpen() {
  return {
    // int shm_open(const char *name, int oflag, ...), where variadic arguments go on the stack
    shm_open_variadic: {
      name: "shm_open",
      parameters: [
        "buffer", // const char *name
        "i32", // int oflag
        "i32", // the rest of the eight argument registers, unused
        "i32",
        "i32",
        "i32",
        "i32",
        "i32",
        "u32", // mode_t mode, on the stack
      ],
      result: "i32", // int
    },
  } as const;
}

/**
 * Files and folders that are looked at.
 *
 * @see {@link https://man7.org/linux/man-pages/man3/readdir.3.html | readdir(3)}
 * @see {@link https://man7.org/linux/man-pages/man2/statx.2.html | statx(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareFiles() {
  return {
    // int open(const char *pathname, int flags, mode_t mode)
    open: {
      parameters: [
        "buffer", // const char *pathname
        "i32", // int flags
        "u32", // mode_t mode
      ],
      result: "i32", // int
    },
    // ssize_t readlink(const char *pathname, char *buf, size_t bufsiz)
    readlink: {
      parameters: [
        "buffer", // const char *pathname
        "buffer", // char *buf
        "usize", // size_t bufsiz
      ],
      result: "isize", // ssize_t
    },
    // DIR *opendir(const char *name)
    opendir: {
      parameters: ["buffer"], // const char *name
      result: "pointer", // DIR *
    },
    // struct dirent *readdir(DIR *dirp)
    readdir: {
      parameters: ["pointer"], // DIR *dirp
      result: "pointer", // struct dirent *
    },
    // int closedir(DIR *dirp)
    closedir: {
      parameters: ["pointer"], // DIR *dirp
      result: "i32", // int
    },
    // int statx(int dirfd, const char *pathname, int flags, unsigned int mask, struct statx *statxbuf)
    statx: {
      parameters: [
        "i32", // int dirfd
        "buffer", // const char *pathname
        "i32", // int flags
        "u32", // unsigned int mask
        "buffer", // struct statx *statxbuf
      ],
      result: "i32", // int
      optional: true,
    },
    // int statfs(const char *path, struct statfs *buf)
    statfs: {
      parameters: [
        "buffer", // const char *path
        "buffer", // struct statfs *buf
      ],
      result: "i32", // int
    },
    // uid_t geteuid(void)
    geteuid: {
      parameters: [],
      result: "u32", // uid_t
    },
  } as const;
}

/**
 * The users of the machine.
 *
 * @see {@link https://man7.org/linux/man-pages/man3/getpwnam.3.html | getpwuid(3)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareUsers() {
  return {
    // struct passwd *getpwuid(uid_t uid)
    getpwuid: {
      parameters: ["u32"], // uid_t uid
      result: "pointer", // struct passwd *
      optional: true,
    },
  } as const;
}

/**
 * Files that are written, and get a name, or another one.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/linkat.2.html | linkat(2)}
 * @see {@link https://man7.org/linux/man-pages/man2/rename.2.html | rename(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareNaming() {
  return {
    // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset)
    pwrite: {
      parameters: [
        "i32", // int fd
        "buffer", // const void *buf
        "usize", // size_t count
        "i64", // off_t offset
      ],
      result: "isize", // ssize_t
    },
    // int linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags)
    linkat: {
      parameters: [
        "i32", // int olddirfd
        "buffer", // const char *oldpath
        "i32", // int newdirfd
        "buffer", // const char *newpath
        "i32", // int flags
      ],
      result: "i32", // int
    },
    // int rename(const char *oldpath, const char *newpath)
    rename: {
      parameters: [
        "buffer", // const char *oldpath
        "buffer", // const char *newpath
      ],
      result: "i32", // int
    },
    // long syscall(long number, ...): renameat2(int olddirfd, const char *oldpath, int newdirfd,
    // const char *newpath, unsigned int flags), for which glibc has a function from 2.28 on only
    renameat2: {
      name: "syscall",
      parameters: [
        "i32", // long number
        "i32", // int olddirfd
        "buffer", // const char *oldpath
        "i32", // int newdirfd
        "buffer", // const char *newpath
        "u32", // unsigned int flags
      ],
      result: "i32", // long
    },
  } as const;
}

/**
 * Memory without a name, and its seals.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/memfd_create.2.html | memfd_create(2)}
 * @see {@link https://man7.org/linux/man-pages/man2/fcntl.2.html | fcntl(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareMemfd() {
  return {
    // int memfd_create(const char *name, unsigned int flags)
    memfd_create: {
      parameters: [
        "buffer", // const char *name
        "u32", // unsigned int flags
      ],
      result: "i32", // int
      optional: true,
    },
    // int fcntl(int fd, int cmd, ...), where Linux takes the third argument as any function does
    fcntl: {
      parameters: [
        "i32", // int fd
        "i32", // int cmd
        "i32", // int arg
      ],
      result: "i32", // int
    },
  } as const;
}

/**
 * Processes, their parents and their end.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/kill.2.html | kill(2)}
 * @see {@link https://man7.org/linux/man-pages/man2/getpid.2.html | getppid(2)}
 * @see {@link https://man7.org/linux/man-pages/man2/_exit.2.html | _exit(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareProcesses() {
  return {
    // int kill(pid_t pid, int sig)
    kill: {
      parameters: [
        "i32", // pid_t pid
        "i32", // int sig
      ],
      result: "i32", // int
    },
    // pid_t getppid(void)
    getppid: {
      parameters: [],
      result: "i32", // pid_t
    },
    // void _exit(int status)
    _exit: {
      parameters: ["i32"], // int status
      result: "void",
    },
  } as const;
}

/**
 * Locks on whole files.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/flock.2.html | flock(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareFlock() {
  return {
    // int flock(int fd, int operation)
    flock: {
      parameters: [
        "i32", // int fd
        "i32", // int operation
      ],
      result: "i32", // int
    },
  } as const;
}

/**
 * Extended attributes of files that are not open.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/getxattr.2.html | lgetxattr(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareAttributesByPath() {
  return {
    // ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size)
    lgetxattr: {
      parameters: [
        "buffer", // const char *path
        "buffer", // const char *name
        "buffer", // void *value
        "usize", // size_t size
      ],
      result: "i32", // ssize_t
    },
  } as const;
}

/**
 * Waiting and waking. The C library has no functions for it: the system calls are made by number, and their
 * results fit into 32 bits.
 *
 * @see {@link https://man7.org/linux/man-pages/man2/syscall.2.html | syscall(2)}
 */
// deno-lint-ignore explicit-module-boundary-types -- the functions take their types from this literal
export function declareFutex() {
  return {
    // long syscall(long number, ...): futex(uint32_t *uaddr, int op, uint32_t val,
    // const struct timespec *timeout, uint32_t *uaddr2, uint32_t val3)
    futex: {
      name: "syscall",
      parameters: [
        "i32", // long number
        "usize", // uint32_t *uaddr
        "i32", // int op
        "i32", // uint32_t val
        "buffer", // const struct timespec *timeout
        "usize", // uint32_t *uaddr2
        "u32", // uint32_t val3
      ],
      result: "i32", // long
    },
    // The same with the first four arguments, which are all that waking takes.
    futex_wake: {
      name: "syscall",
      parameters: [
        "i32", // long number
        "usize", // uint32_t *uaddr
        "i32", // int op
        "i32", // uint32_t val
      ],
      result: "i32", // long
    },
    // int clock_gettime(clockid_t clockid, struct timespec *tp)
    clock_gettime: {
      parameters: [
        "i32", // clockid_t clockid
        "buffer", // struct timespec *tp
      ],
      result: "i32", // int
    },
  } as const;
}
