/* Runs a program to which a policy or sandbox (AppArmor, snap, seccomp) refuses some calls:
 * refuse_nameless ERRNO open|link|attributes PROGRAM ...
 * "open" refuses to make files without a name (O_TMPFILE), "link" to give them one (linkat), "attributes" to set
 * or read extended attributes. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define TMPFILE 020000000 /* __O_TMPFILE */

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  unsigned refuse = SECCOMP_RET_ERRNO | (atoi(argv[1]) & SECCOMP_RET_DATA);
  int link = strcmp(argv[2], "link") == 0;
  struct sock_filter opens[] = {
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
    LOAD(args[2]),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TMPFILE, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, refuse),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_filter links[] = {
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, refuse),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_filter attributes[] = {
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsetxattr, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fgetxattr, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lgetxattr, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, refuse),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {
    .len = link ? sizeof links / sizeof *links : sizeof opens / sizeof *opens,
    .filter = link ? links : opens,
  };
  if (strcmp(argv[2], "attributes") == 0) {
    program.len = sizeof attributes / sizeof *attributes;
    program.filter = attributes;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    perror("seccomp");
    return 3;
  }
  execvp(argv[3], argv + 3);
  perror(argv[3]);
  return 4;
}
