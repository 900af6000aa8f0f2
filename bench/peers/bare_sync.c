/*
 * Waiting and locking in C: the system calls that the library makes, and nothing else.
 *
 * Reads commands from standard input, answers each with nanoseconds per cycle:
 *   trip N     N round trips to a second process, by a futex each way
 *   lock N     N times: flock, unlock
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void check(int good, const char *what) {
  if (good) return;
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void set(int *word, int value) {
  __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void await_value(int *word, int value) {
  int seen;
  while ((seen = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != value)
    syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

int main(void) {
  int *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  check(words != MAP_FAILED, "mmap");
  pid_t child = fork();
  check(child != -1, "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 1;; i++) {
      await_value(words, i);
      set(words + 16, i);
    }
  }
  char name[64];
  snprintf(name, sizeof name, "/bench-sync-%d", getpid());
  int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  check(fd != -1 && shm_unlink(name) == 0, "shm_open");
  printf("glibc %s\n", gnu_get_libc_version());
  fflush(stdout);

  char command[16];
  int n, turn = 0;
  while (scanf("%15s %d", command, &n) == 2) {
    double start = now();
    if (strcmp(command, "trip") == 0) {
      for (int i = 0; i < n; i++) {
        set(words, ++turn);
        await_value(words + 16, turn);
      }
    } else {
      for (int i = 0; i < n; i++) {
        check(flock(fd, LOCK_EX | LOCK_NB) == 0, "flock");
        check(flock(fd, LOCK_UN) == 0, "flock");
      }
    }
    printf("%f\n", (now() - start) / n);
    fflush(stdout);
  }
  kill(child, SIGKILL);
  return 0;
}
