/* Attaches to an anonymous segment of int32 elements by its name, prints their sum, doubles each. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
  long pid, fd;
  unsigned long inode;
  if (argc != 2 || sscanf(argv[1], "memfd:%ld:%ld:%lu", &pid, &fd, &inode) != 3) return 1;
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/fd/%ld", pid, fd);
  int file = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0 || status.st_ino != inode) return 2;
  int seals = fcntl(file, F_GET_SEALS);
  if (seals < 0 || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_GROW)) return 2;
  size_t size = (size_t)status.st_size;
  int32_t *elements = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (elements == MAP_FAILED) return 3;
  long sum = 0;
  for (size_t i = 0; i < size / sizeof *elements; i++) {
    sum += elements[i];
    elements[i] *= 2;
  }
  printf("%ld\n", sum);
  return 0;
}
