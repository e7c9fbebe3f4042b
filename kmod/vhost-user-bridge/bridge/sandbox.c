// SPDX-License-Identifier: GPL-2.0-only
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/vhost.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "account.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define ARCH AUDIT_ARCH_S390X
#else
#error "name this architecture's AUDIT_ARCH"
#endif

/* The low half of an argument of 64 bits. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW(n) (offsetof(struct seccomp_data, args[n]))
#else
#define LOW(n) (offsetof(struct seccomp_data, args[n]) + 4)
#endif

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
/* Skips @n instructions when the call is another. */
#define UNLESS(name, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, n)

/* The system calls by number; those with arguments that matter come last, since they load other words. */
static struct sock_filter filter[] = {
	LOAD(offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(offsetof(struct seccomp_data, nr)),
	/* Serving. */
	ALLOW(read),
	ALLOW(write),
	ALLOW(recvmsg),
	ALLOW(sendto),
	ALLOW(accept4),
	ALLOW(getsockopt),
	ALLOW(close),
	ALLOW(ppoll),
#ifdef __NR_poll
	ALLOW(poll),
#endif
	/* Mapping. */
	ALLOW(munmap),
	ALLOW(madvise),
	ALLOW(fstat),
	ALLOW(fstatfs),
#ifdef __NR_newfstatat
	ALLOW(newfstatat),
#endif
	ALLOW(process_vm_readv),
	ALLOW(getpid),
	/* The C library's own, and the end. */
	ALLOW(brk),
	ALLOW(futex),
	ALLOW(getrandom),
	ALLOW(clock_gettime),
	ALLOW(rt_sigreturn),
	ALLOW(rt_sigprocmask),
	ALLOW(restart_syscall),
	ALLOW(gettid),
	ALLOW(tgkill),
	ALLOW(exit),
	ALLOW(exit_group),
	/* Memory that is not code. */
	UNLESS(mmap, 4),
	LOAD(LOW(2)),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	UNLESS(mprotect, 4),
	LOAD(LOW(2)),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	UNLESS(ioctl, 4),
	LOAD(LOW(1)),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VHOST_VIRTIO << 8, 0, 1),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
};

int sandbox_become(const struct options *options, struct reason *reason)
{
	uid_t user = 0;
	gid_t group = 0;

	if (geteuid() || !*options->user)
		return 0;
	if (account_user(options->user, &user, &group, reason) ||
	    (*options->group && account_group(options->group, &group, reason)))
		return -1;
	if (setgroups(0, NULL) || setresgid(group, group, group) || setresuid(user, user, user))
		return refuse_error(reason, -errno, "can not become %s", options->user);
	if (user && !setuid(0))
		return refuse(reason, "could become root again");
	return 0;
}

int sandbox_enter(struct reason *reason)
{
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return refuse_error(reason, -errno, "system calls can not be filtered");
	return 0;
}
