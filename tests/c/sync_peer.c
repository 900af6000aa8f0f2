/*
 * Takes part in waiting and locking from C.
 *
 *   sync_peer wait NAME      waits while word 0 is 0, then prints it
 *   sync_peer notify NAME    stores 7 in word 0, and prints how many it woke
 *   sync_peer hold NAME      holds the lock NAME until its input ends
 *   sync_peer try NAME       prints "taken" or "held" of the lock NAME
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char name[300];
  if (argc != 3) return 2;
  snprintf(name, sizeof name, "/%s", argv[2]);
  int fd = shm_open(name, O_RDWR, 0);
  if (fd == -1) return perror("shm_open"), 1;
  if (strcmp(argv[1], "hold") == 0) {
    if (flock(fd, LOCK_EX) != 0) return perror("flock"), 1;
    printf("held\n");
    fflush(stdout);
    return getchar() == EOF ? 0 : 1;
  }
  if (strcmp(argv[1], "try") == 0) {
    printf("%s\n", flock(fd, LOCK_EX | LOCK_NB) == 0 ? "taken" : "held");
    return 0;
  }
  int32_t *words = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (words == MAP_FAILED) return perror("mmap"), 1;
  if (strcmp(argv[1], "notify") == 0) {
    __atomic_store_n(words, 7, __ATOMIC_SEQ_CST);
    printf("%ld\n", syscall(SYS_futex, words, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
    return 0;
  }
  printf("waiting\n");
  fflush(stdout);
  int32_t value;
  while ((value = __atomic_load_n(words, __ATOMIC_SEQ_CST)) == 0)
    syscall(SYS_futex, words, FUTEX_WAIT, 0, NULL, NULL, 0);
  printf("%d\n", value);
  return 0;
}
