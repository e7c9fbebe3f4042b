// SPDX-License-Identifier: GPL-2.0-only
#include "owner.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

/* A killed owner's requests are waited for. */
#define GONE_MS 60000u

static int ready_fd = -1;

pid_t owner_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		fail_errno("fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may be gone already, and nobody will say so again. */
	if (getppid() != parent)
		_exit(1);
	return 0;
}

pid_t owner_start(void (*own)(void *argument), void *argument)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		fail_errno("pipe");
	pid = owner_fork();
	if (pid == 0) {
		close(ready[0]);
		ready_fd = ready[1];
		own(argument);
		_exit(1);
	}
	close(ready[1]);
	/* No byte: it ended before its device ran, and has said why as this case's verdict. */
	if (read(ready[0], &byte, 1) != 1)
		_exit(0);
	close(ready[0]);
	return pid;
}

void owner_ready(void)
{
	if (write(ready_fd, "r", 1) != 1)
		_exit(1);
	close(ready_fd);
}

void owner_expect_gone(pid_t pid)
{
	for (unsigned waited = 0; waited < GONE_MS; waited++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return;
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	fail("expected the process to end, saw it stuck in the kernel after %u s", GONE_MS / 1000);
}
