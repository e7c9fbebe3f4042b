// SPDX-License-Identifier: GPL-2.0-only
#include "daemon.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "report.h"

static pid_t pid;

void daemon_start(char *const *argv)
{
	pid_t killed = pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(argv[0], argv);
		_exit(127);
	}
	/* Only now: the two may well meet. */
	if (killed > 0)
		waitpid(killed, NULL, 0);
}

void daemon_kill(void)
{
	kill(pid, SIGKILL);
}

void daemon_stop(void)
{
	int status;

	kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		fail("the bridge did not end well: status %#x", status);
	pid = 0;
}

unsigned int daemon_descriptors(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return descriptors_count(path);
}
