/*
 * Bare C: the system calls that the library makes, and nothing else.
 *
 * Reads commands from standard input, answers each with nanoseconds per cycle:
 *   create N   N times: create, map, write, unmap, unlink 4 KiB
 *   load N     N times: open, map, read, unmap 4 KiB
 *   sparse N   the same with 8 GiB, of which one page is there
 *
 * With the argument "threads" it has eight threads that sleep, as Deno has: the kernel takes longer to unmap
 * memory of a process whose threads may run on other cores.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define SIZE 4096
#define SPARSE (8L << 30)

/* What a segment says of itself: as the library, this program writes it, and reads it before it maps. */
#define ATTRIBUTE "user.shm_array"
#define DESCRIPTION "{\"kind\":\"array\",\"shape\":[512],\"dtype\":\"float64\"}"

static char temporary[64], target[64], sparse[64];
static int describes;

static void check(int good, const char *what) {
  if (good) return;
  perror(what);
  shm_unlink(temporary);
  shm_unlink(target);
  shm_unlink(sparse);
  exit(1);
}

static double *map(int fd, off_t size) {
  double *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  check(p != MAP_FAILED, "mmap");
  close(fd);
  return p;
}

static double *create(const char *name, off_t size) {
  int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  check(fd != -1, "shm_open");
  check(fchmod(fd, 0600) == 0, "fchmod");
  if (describes) {
    check(fsetxattr(fd, ATTRIBUTE, DESCRIPTION, sizeof DESCRIPTION - 1, 0) == 0, "fsetxattr");
  }
  if (size == SIZE) check(posix_fallocate(fd, 0, size) == 0, "posix_fallocate");
  else check(ftruncate(fd, size) == 0, "ftruncate");
  return map(fd, size);
}

static double *load(const char *name, off_t size) {
  int fd = shm_open(name, O_RDWR, 0);
  check(fd != -1, "shm_open");
  struct stat status;
  check(fstat(fd, &status) == 0 && status.st_size == size, "fstat");
  if (describes) {
    char text[4096];
    check(fgetxattr(fd, ATTRIBUTE, text, sizeof text) == sizeof DESCRIPTION - 1, "fgetxattr");
  }
  return map(fd, size);
}

static double create_cycle(int i) {
  volatile double *p = create(temporary, SIZE);
  p[0] = i;
  double value = p[0];
  munmap((void *)p, SIZE);
  shm_unlink(temporary);
  return value;
}

static double load_cycle(const char *name, off_t size) {
  volatile double *p = load(name, size);
  double value = p[0];
  munmap((void *)p, size);
  return value;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void *sleep_forever(void *unused) {
  for (;;) pause();
  return unused;
}

int main(int argc, char **argv) {
  pthread_t thread;
  int threads = argc > 1 && strcmp(argv[1], "threads") == 0 ? 8 : 0;
  for (int i = 0; i < threads; i++) {
    check(pthread_create(&thread, NULL, sleep_forever, NULL) == 0, "pthread_create");
  }
  // A tmpfs of a kernel before 6.6 has no such attributes: the library does without, too.
  snprintf(temporary, sizeof temporary, "/bench-bare-%d", getpid());
  int probe = shm_open(temporary, O_RDWR | O_CREAT | O_EXCL, 0600);
  check(probe != -1, "shm_open");
  describes = fsetxattr(probe, ATTRIBUTE, "", 0, 0) == 0;
  close(probe);
  shm_unlink(temporary);
  signal(SIGPIPE, SIG_IGN); // it removes its segments, also where nobody reads its answers any more
  snprintf(temporary, sizeof temporary, "/bench-bare-%d", getpid());
  snprintf(target, sizeof target, "/bench-bare-%d-target", getpid());
  snprintf(sparse, sizeof sparse, "/bench-bare-%d-sparse", getpid());
  create(target, SIZE)[0] = 1.5;
  create(sparse, SPARSE)[0] = 1.5;
  check(create_cycle(3) == 3 && load_cycle(target, SIZE) == 1.5, "result");
  printf("glibc %s\n", gnu_get_libc_version());
  fflush(stdout);

  char command[16];
  int n;
  while (scanf("%15s %d", command, &n) == 2) {
    int creates = strcmp(command, "create") == 0, is_sparse = strcmp(command, "sparse") == 0;
    const char *name = is_sparse ? sparse : target;
    off_t size = is_sparse ? SPARSE : SIZE;
    double sum = 0, expected = creates ? n * (n - 1.0) / 2 : n * 1.5, start = now();
    for (int i = 0; i < n; i++) sum += creates ? create_cycle(i) : load_cycle(name, size);
    double time = now() - start;
    check(sum == expected, "result");
    printf("%f\n", time / n);
    fflush(stdout);
  }
  shm_unlink(target);
  shm_unlink(sparse);
  return 0;
}
